//! The bundle: recordings in one file that can be kept, sent and read again by later versions.
//!
//! ```text
//!  zstd( {"format":"pinhole-bundle","version":1,"created_at_us":…,"producer":"…"}\n      header
//!        {recording}\n                                                                 one line an exchange
//!        …
//!        {"end":{"recordings":n,"bytes":…,"blake3":"…"}}\n )                           the end
//! ```
//!
//! Written in one pass and read in one pass, an exchange at a time. The counts and the hash stand at the end because they
//! are known only there; a file without its end was cut off, and the reader says so after it has given what there is.
//! `bytes` and `blake3` are of the recordings' lines, line ends included.

use std::io::{BufRead, BufReader, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::recording::Recording;

/// What the header's `format` says.
pub const FORMAT: &str = "pinhole-bundle";
/// The version that is written.
pub const VERSION: u32 = 1;
/// Limit: bytes of one line.
pub const LINE_MAX: usize = 256 * 1024 * 1024;
/// What every bundle begins with: the magic number of zstd.
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Turns are resent whole: a window of 32 MiB finds them again across a session.
const WINDOW_LOG: u32 = 25;
const LEVEL: i32 = 3;

/// Turns a recording's line of version n into one of n + 1; the first entry is for version 1.
type Convert = fn(Value) -> Result<Value, String>;
const CONVERTERS: &[Convert] = &[];

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    pub version: u32,
    pub created_at_us: i64,
    /// The program that wrote it.
    #[serde(default)]
    pub producer: String,
}

/// The last line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub recordings: u64,
    pub bytes: u64,
    pub blake3: String,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    end: End,
}

/// Why a bundle cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("not a bundle: {0}")]
    Foreign(&'static str),
    #[error("the bundle has version {found}, this program reads up to {VERSION}; use a newer one")]
    Newer { found: u32 },
    #[error(transparent)]
    Read(#[from] std::io::Error),
}

/// What reading the next line gave.
#[derive(Debug, PartialEq)]
pub enum Line {
    Recording(Box<Recording>),
    /// This line is no recording; the lines after it still are.
    Damaged {
        line: u64,
        reason: String,
    },
    /// The last thing a reader gives.
    Closed(Closing),
}

/// How a bundle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// Counts and hash are right.
    Whole(End),
    /// There is an end, and it does not fit what stands before it.
    Altered,
    /// There is no end: the file was cut off, or does not unpack any further.
    CutOff(String),
}

/// Writes a bundle.
pub struct Writer<W: Write> {
    out: zstd::Encoder<'static, W>,
    hash: blake3::Hasher,
    end: End,
}

impl<W: Write> Writer<W> {
    pub fn begin(out: W, created_at_us: i64, producer: &str) -> std::io::Result<Self> {
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        out.window_log(WINDOW_LOG)?;
        out.long_distance_matching(true)?;
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            created_at_us,
            producer: producer.to_owned(),
        };
        serde_json::to_writer(&mut out, &header)?;
        out.write_all(b"\n")?;
        // A block of its own: the header of a bundle that was cut early can still be read.
        out.flush()?;
        Ok(Self { out, hash: blake3::Hasher::new(), end: End::default() })
    }

    /// Adds a recording. Its `order` is its place, whatever it said before.
    pub fn push(&mut self, recording: &mut Recording) -> std::io::Result<()> {
        recording.order = self.end.recordings;
        let mut line = serde_json::to_vec(recording)?;
        line.push(b'\n');
        self.hash.update(&line);
        self.end.recordings += 1;
        self.end.bytes += line.len() as u64;
        self.out.write_all(&line)
    }

    /// Writes the end, and gives back what it says and what was written to.
    pub fn finish(mut self) -> std::io::Result<(End, W)> {
        self.end.blake3 = self.hash.finalize().to_hex().to_string();
        serde_json::to_writer(&mut self.out, &EndLine { end: self.end.clone() })?;
        self.out.write_all(b"\n")?;
        Ok((self.end, self.out.finish()?))
    }
}

/// Reads a bundle of any version up to [`VERSION`].
pub struct Reader<R: Read> {
    lines: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    header: Header,
    converters: &'static [Convert],
    hash: blake3::Hasher,
    seen: End,
    line: u64,
    is_closed: bool,
}

impl<R: Read> Reader<R> {
    pub fn open(from: R) -> Result<Self, OpenError> {
        let mut lines = BufReader::new(zstd::Decoder::new(from)?);
        let mut first = Vec::new();
        read_line(&mut lines, &mut first, 64 * 1024)
            .map_err(|_| OpenError::Foreign("it does not unpack as zstd"))?;
        let header: Header = serde_json::from_slice(&first)
            .map_err(|_| OpenError::Foreign("its first line is no header"))?;
        if header.format != FORMAT || header.version == 0 {
            return Err(OpenError::Foreign("its header names another format"));
        }
        if header.version > VERSION {
            return Err(OpenError::Newer { found: header.version });
        }
        Ok(Self {
            lines,
            header,
            converters: CONVERTERS,
            hash: blake3::Hasher::new(),
            seen: End::default(),
            line: 1,
            is_closed: false,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next line; `None` after [`Line::Closed`].
    pub fn next_line(&mut self) -> Option<Line> {
        if self.is_closed {
            return None;
        }
        self.line += 1;
        let mut line = Vec::new();
        let read = match read_line(&mut self.lines, &mut line, LINE_MAX) {
            Ok(read) => read,
            Err(error) => return Some(self.close(Closing::CutOff(error.to_string()))),
        };
        match read {
            Read1::Nothing => Some(self.close(Closing::CutOff("its end is missing".to_owned()))),
            Read1::TooLong => Some(Line::Damaged {
                line: self.line,
                reason: format!("the line is over the limit of {LINE_MAX} bytes"),
            }),
            Read1::Line => Some(self.understand(&line)),
        }
    }

    fn understand(&mut self, line: &[u8]) -> Line {
        if line.starts_with(br#"{"end":"#)
            && let Ok(EndLine { end }) = serde_json::from_slice(line)
        {
            self.seen.blake3 = self.hash.finalize().to_hex().to_string();
            let closing = if end == self.seen { Closing::Whole(end) } else { Closing::Altered };
            return self.close(closing);
        }
        self.hash.update(line);
        self.seen.recordings += 1;
        self.seen.bytes += line.len() as u64;
        match parse(line, self.header.version, self.converters) {
            Ok(recording) => Line::Recording(Box::new(recording)),
            Err(reason) => Line::Damaged { line: self.line, reason },
        }
    }

    fn close(&mut self, closing: Closing) -> Line {
        self.is_closed = true;
        Line::Closed(closing)
    }
}

/// A line of `version`, brought up to date by the converters from there on.
fn parse(line: &[u8], version: u32, converters: &[Convert]) -> Result<Recording, String> {
    let due = converters.get(version.saturating_sub(1) as usize..).unwrap_or_default();
    if due.is_empty() {
        return serde_json::from_slice(line).map_err(|error| error.to_string());
    }
    let mut value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    for convert in due {
        value = convert(value)?;
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

enum Read1 {
    Line,
    TooLong,
    Nothing,
}

/// Reads up to and with the line end; a longer line than `max` is passed over. A last line without its end is cut off, and
/// is an error here.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>, max: usize) -> std::io::Result<Read1> {
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let read = from.by_ref().take(limit).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(Read1::Nothing);
    }
    if line.last() == Some(&b'\n') {
        return Ok(Read1::Line);
    }
    line.clear();
    if read < max {
        return Err(std::io::Error::other("its last line is not whole"));
    }
    loop {
        let (used, is_end) = {
            let buffer = from.fill_buf()?;
            match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            }
        };
        from.consume(used);
        if is_end {
            return Ok(Read1::TooLong);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::{Attempt, Body, Leg, Usage, Whole};

    fn recording(n: u64) -> Recording {
        Recording {
            id: format!("0000-{n}"),
            order: n,
            started_at_us: 1_763_625_600_000_000,
            session: Some("s".into()),
            dialect: "openai_chat".into(),
            operation: "chat".into(),
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            usage: Some(Usage { input: Some(10), ..Usage::default() }),
            tags: vec![("team".into(), "search".into())],
            request: Leg {
                line: Some("POST /v1/chat/completions HTTP/1.1".into()),
                headers: Some(vec![("A".into(), "1".into()), ("a".into(), "2".into())]),
                body: Body::of(b"{\"model\":\"gpt-5\"}".to_vec()),
            },
            attempts: vec![Attempt {
                provider: "openai".into(),
                link_us: Some([1, 2, 3]),
                request: Leg { body: Body::Same, ..Leg::default() },
                response: Leg {
                    body: Body::Whole(Whole {
                        bytes: vec![0x1f, 0x8b, 0, 255],
                        coding: Some("gzip".into()),
                        ..Whole::default()
                    }),
                    ..Leg::default()
                },
                frames: vec![(100, 3), (5_000, 1)],
                ..Attempt::default()
            }],
            response: Leg { body: Body::Same, ..Leg::default() },
            ..Recording::default()
        }
    }

    fn bundle(count: u64) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), 7, "test").unwrap();
        for n in 0..count {
            writer.push(&mut recording(n)).unwrap();
        }
        writer.finish().unwrap().1
    }

    fn lines(bytes: &[u8]) -> Vec<Line> {
        let mut reader = Reader::open(bytes).unwrap();
        std::iter::from_fn(|| reader.next_line()).collect()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let lines = lines(&bundle(3));
        assert_eq!(lines.len(), 4);
        for (n, line) in lines[..3].iter().enumerate() {
            assert_eq!(*line, Line::Recording(Box::new(recording(n as u64))));
        }
        let Line::Closed(Closing::Whole(end)) = &lines[3] else { panic!("{:?}", lines[3]) };
        assert_eq!(end.recordings, 3);
    }

    #[test]
    fn a_bundle_that_was_cut_gives_what_it_has_and_says_so() {
        let plain = zstd::decode_all(&*bundle(2)).unwrap();
        let ends: Vec<usize> = line_ends(&plain);
        let got = lines(&zstd::encode_all(&plain[..=ends[2]], 3).unwrap());
        assert_eq!(got.len(), 3);
        assert!(matches!(got[2], Line::Closed(Closing::CutOff(_))), "{:?}", got[2]);
        let whole = bundle(2);
        let got = lines(&whole[..whole.len() - 6]);
        assert!(matches!(got.last(), Some(Line::Closed(Closing::CutOff(_)))), "{got:?}");
    }

    fn line_ends(bytes: &[u8]) -> Vec<usize> {
        (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect()
    }

    #[test]
    fn a_damaged_line_spoils_neither_its_neighbours_nor_goes_unseen() {
        let plain = zstd::decode_all(&*bundle(2)).unwrap();
        let plain = String::from_utf8(plain).unwrap();
        // The header has a time of its own; the first recording's is the first of this name.
        let text = plain.replacen("\"started_at_us\":", "\"started_at_us\":x", 1);
        assert_ne!(text, plain, "there is something to damage");
        let got = lines(&zstd::encode_all(text.as_bytes(), 3).unwrap());
        assert!(matches!(&got[0], Line::Damaged { line: 2, .. }), "{:?}", got[0]);
        assert!(matches!(&got[1], Line::Recording(_)));
        assert_eq!(got[2], Line::Closed(Closing::Altered));
    }

    #[test]
    fn what_is_no_bundle_is_refused_by_name() {
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
        let why = |bytes: &[u8]| Reader::open(bytes).err().unwrap().to_string();
        assert!(why(b"{}").contains("zstd"));
        assert!(why(&zstd("{}\n")).contains("no header"));
        let header = r#"{"format":"pinhole-bundle","version":99,"created_at_us":1}"#;
        assert!(why(&zstd(&format!("{header}\n"))).contains("version 99"));
        let other = header.replace("pinhole-bundle", "har");
        assert!(why(&zstd(&format!("{other}\n"))).contains("another format"));
    }

    #[test]
    fn older_lines_pass_through_every_converter_from_their_version_on() {
        let chain: &[Convert] = &[
            |mut line| {
                let renamed = line["name"].take();
                line["id"] = renamed;
                Ok(line)
            },
            |mut line| {
                line["id"] = format!("{}!", line["id"].as_str().ok_or("no id")?).into();
                Ok(line)
            },
        ];
        let id = |line: &str, version| parse(line.as_bytes(), version, chain).map(|made| made.id);
        assert_eq!(id(r#"{"name":"a"}"#, 1).unwrap(), "a!");
        assert_eq!(id(r#"{"id":"a"}"#, 2).unwrap(), "a!");
        assert_eq!(id(r#"{"id":"a"}"#, 3).unwrap(), "a");
        assert_eq!(id(r#"{"id":5}"#, 2).unwrap_err(), "no id");
        assert_eq!(CONVERTERS.len() + 1, VERSION as usize, "a converter for each step");
    }

    #[test]
    fn every_released_version_is_read() {
        let golden = include_bytes!("../../tests/golden/formats/bundle-1.pinhole");
        let got = lines(golden);
        assert!(matches!(&got[0], Line::Recording(one) if **one == recording(0)), "{:?}", got[0]);
        assert!(matches!(got.last(), Some(Line::Closed(Closing::Whole(_)))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for bytes in [bytes.clone(), zstd::encode_all(&*bytes, 1).unwrap()] {
                if let Ok(mut reader) = Reader::open(&*bytes) {
                    while reader.next_line().is_some() {}
                }
            }
        }

        #[test]
        fn any_body_survives(bytes in prop::collection::vec(any::<u8>(), 0..2_000), at in any::<u64>()) {
            let mut one = recording(0);
            one.request.body = Body::of(bytes);
            one.attempts[0].frames = vec![(at, 1)];
            let mut writer = Writer::begin(Vec::new(), 7, "test").unwrap();
            writer.push(&mut one).unwrap();
            let (_, bytes) = writer.finish().unwrap();
            prop_assert_eq!(&lines(&bytes)[0], &Line::Recording(Box::new(one)));
        }
    }
}
