//! The recordings of a run, one at a time: a line of each is held (who, when), bodies are read when they are sent. A file is
//! read once into a file of ours that has no name, so that a run of any length takes little memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pinhole_replay::estimate::Sample;
use pinhole_replay::library::place::Place;
use pinhole_replay::recording::{Body, Recording, Whole};
use serde::{Deserialize, Serialize};

use crate::base::coding;
use crate::report::formats::import::trace::Lengths;
use crate::report::formats::import::{self, Found};
use crate::report::formats::recording;
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::{ReadError, Reader};
use crate::store::stored::Listed;
use crate::store::vault::VaultError;

/// What can be sent again with any sense; the rest acts on things that are not there any more.
const OPERATIONS: [&str; 4] = ["chat", "text_completion", "embeddings", "count_tokens"];
/// Limit: damaged places that are named; the rest is counted.
const NAMED_MAX: u64 = 20;
/// Limit: bytes of a request's body once it is decoded.
const DECODED_MAX: usize = 256 << 20;

/// Recordings in the order in which they were found.
pub struct Source {
    lines: Vec<Line>,
    /// What was found and cannot be sent, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// What was said about the file.
    pub notes: Vec<String>,
    kept: Kept,
}

/// What is held of a recording all the time.
#[derive(Debug, Clone)]
pub struct Line {
    pub id: String,
    pub session: Option<String>,
    pub started_at_us: i64,
    pub ended_at_us: i64,
    pub dialect: String,
    /// What sending it takes, about.
    pub sample: Sample,
    pub model: Option<String>,
    /// The place in the store, or in the file.
    at: i64,
}

enum Kept {
    Store(Box<Mutex<Reader>>),
    File(Mutex<File>),
}

/// Why recordings cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Store(#[from] ReadError),
    #[error(transparent)]
    Body(#[from] VaultError),
    #[error("{path}: {error}")]
    File { path: String, error: import::ReadError },
    #[error("{path} cannot be opened: {error}")]
    Open { path: String, error: io::Error },
    #[error(
        "a recording cannot be put aside: {0}; is there room in the folder for temporary files?"
    )]
    Spool(#[from] io::Error),
    #[error("a recording that was put aside cannot be read back: {0}")]
    Spoilt(#[from] serde_json::Error),
    #[error("the recording is not there any more")]
    Gone,
}

impl Source {
    /// Exchanges of the store, the oldest first.
    pub fn of_store(reader: Reader, asked: &Query, limit: usize) -> Result<Self, SourceError> {
        let (mut lines, mut left_out) = (Vec::new(), BTreeMap::new());
        for seq in reader.seqs(asked, Order::Oldest)? {
            if lines.len() >= limit {
                break;
            }
            for row in reader.listed(&[seq?])? {
                match unfit(&row) {
                    None => lines.push(line_of_row(row)),
                    Some(why) => *left_out.entry(why.to_owned()).or_default() += 1,
                }
            }
        }
        Ok(Self {
            lines,
            left_out,
            notes: Vec::new(),
            kept: Kept::Store(Box::new(Mutex::new(reader))),
        })
    }

    /// Recordings of a file in any form that can be imported, and requests without answers.
    pub fn of_file(path: &Path, limit: usize) -> Result<Self, SourceError> {
        let name = || path.display().to_string();
        let file = File::open(path).map_err(|error| SourceError::Open { path: name(), error })?;
        let spool = tempfile::tempfile()?;
        let mut taking = Taking {
            name: name(),
            out: BufWriter::new(spool.try_clone()?),
            at: 0,
            damaged: 0,
            answered: false,
            source: Self {
                lines: Vec::new(),
                left_out: BTreeMap::new(),
                notes: Vec::new(),
                kept: Kept::File(Mutex::new(spool)),
            },
        };
        let mut failed = None;
        let read = import::read(&mut BufReader::new(file), None, &mut |found| {
            failed = taking.take(found).err();
            failed.is_none() && taking.source.lines.len() < limit
        });
        read.map_err(|error| SourceError::File { path: name(), error })?;
        if let Some(error) = failed {
            return Err(error);
        }
        taking.finish()
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The whole recording at a place, its request's body in the clear.
    pub fn get(&self, place: usize) -> Result<Recording, SourceError> {
        let line = self.lines.get(place).ok_or(SourceError::Gone)?;
        let mut recording = match &self.kept {
            Kept::Store(reader) => {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                let row = reader.listed(&[line.at])?.pop().ok_or(SourceError::Gone)?;
                recording::of(reader.exchange(row)?)
            }
            Kept::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                take(&mut file, line.at)?
            }
        };
        decode(&mut recording);
        Ok(recording)
    }
}

/// A file that is being read.
struct Taking {
    name: String,
    out: BufWriter<File>,
    /// Bytes put aside.
    at: i64,
    damaged: u64,
    /// Something was recorded of an answer.
    answered: bool,
    source: Source,
}

impl Taking {
    fn take(&mut self, found: Found) -> Result<(), SourceError> {
        let (mut recording, lengths) = match found {
            Found::Recording(recording) => (*recording, None),
            Found::Lengths(recording, lengths) => (*recording, Some(lengths)),
            Found::Damaged { place, reason } => {
                self.damaged += 1;
                if self.damaged <= NAMED_MAX {
                    self.note(&format!("{place}: {reason}"));
                } else if self.damaged == NAMED_MAX + 1 {
                    self.note("more damaged places are only counted");
                }
                self.leave_out("damaged");
                return Ok(());
            }
            Found::Other => {
                self.leave_out("not a call of a model");
                return Ok(());
            }
            Found::Note(note) => {
                self.note(&note);
                return Ok(());
            }
        };
        place(&mut recording);
        if let Some(why) = unsendable(&recording, lengths.is_some()) {
            self.leave_out(why);
            return Ok(());
        }
        self.answered |= recording.status.is_some() || !recording.attempts.is_empty();
        let line = line_of(&recording, self.at);
        self.at += put(&mut self.out, &Spooled { recording, lengths })?;
        self.source.lines.push(line);
        Ok(())
    }

    fn note(&mut self, words: &str) {
        self.source.notes.push(format!("{}: {words}", self.name));
    }

    fn leave_out(&mut self, why: &str) {
        *self.source.left_out.entry(why.to_owned()).or_default() += 1;
    }

    fn finish(mut self) -> Result<Source, SourceError> {
        self.out.flush()?;
        if !self.answered && !self.source.lines.is_empty() {
            self.note(
                "it holds requests without answers: of several --to the first is the baseline, and one alone is compared with \
                 nothing",
            );
        }
        Ok(self.source)
    }
}

/// What stands in the file of ours.
#[derive(Serialize, Deserialize)]
struct Spooled {
    recording: Recording,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lengths: Option<Lengths>,
}

/// Says what another program's recording asks for, and brings it to the path that the gateway has for it: what other
/// recorders stand before has paths of its own.
fn place(recording: &mut Recording) {
    if !recording.operation.is_empty() {
        return;
    }
    let Some((operation, path)) = import::operation(&recording.path) else { return };
    operation.clone_into(&mut recording.operation);
    if recording.dialect.is_empty() {
        Place::of(&path).dialect.clone_into(&mut recording.dialect);
        recording.path = path;
    }
}

/// Why an exchange cannot be sent again; the words stand in reports.
fn unfit(row: &Listed) -> Option<&'static str> {
    if !OPERATIONS.contains(&row.operation.as_str()) {
        return Some("not a call of a model");
    }
    match (row.redacted, row.replayable, row.capture_level.as_str()) {
        (_, true, _) => None,
        (true, _, _) => Some("redacted: placeholders stand in the request"),
        (_, _, "full") => Some("the request's body was let go, cut or removed"),
        _ => Some("captured without bodies: capture.level was below full"),
    }
}

fn unsendable(recording: &Recording, has_lengths: bool) -> Option<&'static str> {
    if !OPERATIONS.contains(&recording.operation.as_str()) {
        return Some("not a call of a model");
    }
    match recording.client_request() {
        None if has_lengths => None,
        None => Some("there is no request body"),
        Some(whole) if whole.redacted => Some("redacted: placeholders stand in the request"),
        Some(whole) if whole.cut_bytes > 0 => Some("the request's body was let go, cut or removed"),
        Some(_) => None,
    }
}

fn line_of_row(row: Listed) -> Line {
    let tokens = |value: Option<i64>| value.and_then(|tokens| u64::try_from(tokens).ok());
    let usage = (tokens(row.input_tokens), tokens(row.output_tokens));
    let bytes = u64::try_from(row.request_bytes).unwrap_or_default();
    Line {
        sample: Sample::known(usage, bytes, &row.operation),
        ended_at_us: row.started_at_us.saturating_add(row.duration_us),
        id: row.id,
        session: row.session_id,
        started_at_us: row.started_at_us,
        dialect: row.dialect,
        model: row.model_requested,
        at: row.seq,
    }
}

fn line_of(recording: &Recording, at: i64) -> Line {
    Line {
        // What the recorded provider had in its cache, a target need not have.
        sample: Sample { cached: 0, ..Sample::of(recording) },
        id: recording.id.clone(),
        session: recording.session.clone(),
        started_at_us: recording.started_at_us,
        ended_at_us: recording.started_at_us.saturating_add(recording.duration_us),
        dialect: recording.dialect.clone(),
        model: recording.model_requested.clone(),
        at,
    }
}

/// Puts a recording aside: its length, then itself. The bytes that were written.
fn put(out: &mut impl Write, spooled: &Spooled) -> Result<i64, SourceError> {
    let bytes = serde_json::to_vec(spooled)?;
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.write_all(&bytes)?;
    Ok(i64::try_from(bytes.len()).unwrap_or(i64::MAX).saturating_add(8))
}

fn take(file: &mut File, at: i64) -> Result<Recording, SourceError> {
    file.seek(SeekFrom::Start(at.cast_unsigned()))?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut bytes = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut bytes)?;
    let Spooled { mut recording, lengths } = serde_json::from_slice(&bytes)?;
    if let Some(lengths) = lengths {
        recording.request.body = lengths.body();
    }
    Ok(recording)
}

/// A request that the client had compressed is sent in the clear: what is changed in it has to be read.
fn decode(recording: &mut Recording) {
    let Body::Whole(whole) = &mut recording.request.body else { return };
    let Some(coding) = &whole.coding else { return };
    let bytes = Bytes::from(std::mem::take(&mut whole.bytes));
    match coding::decode(coding, &bytes, DECODED_MAX) {
        Ok(decoded) => *whole = Whole { bytes: decoded.to_vec(), ..Whole::default() },
        Err(_) => whole.bytes = bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use pinhole_replay::bundle::Writer;

    use super::*;

    /// `{"model":"m"}`.
    const GZIPPED: [u8; 33] = [
        0x1f, 0x8b, 0x8, 0x0, 0x0, 0x0, 0x0, 0x0, 0x2, 0x3, 0xab, 0x56, 0xca, 0xcd, 0x4f, 0x49,
        0xcd, 0x51, 0xb2, 0x52, 0xca, 0x55, 0xaa, 0x5, 0x0, 0x9b, 0x6c, 0xba, 0xaa, 0xd, 0x0, 0x0,
        0x0,
    ];

    fn recording(id: &str, text: &str) -> Recording {
        let mut recording = Recording {
            id: id.to_owned(),
            session: Some("s".to_owned()),
            dialect: "openai_chat".to_owned(),
            operation: "chat".to_owned(),
            started_at_us: 1_000,
            duration_us: 500,
            ..Recording::default()
        };
        recording.request.body = Body::of(text.as_bytes().to_vec());
        recording
    }

    #[test]
    fn a_file_is_read_once_and_given_back_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bundle");
        let mut writer = Writer::begin(File::create(&path).unwrap(), 0, "test").unwrap();
        for (id, text) in [("a", "{\"n\":1}"), ("b", "{\"n\":2}"), ("c", "{\"n\":3}")] {
            writer.push(&mut recording(id, text)).unwrap();
        }
        let mut redacted = recording("d", "{}");
        redacted.request.body = Body::Whole(Whole { redacted: true, ..Whole::default() });
        writer.push(&mut redacted).unwrap();
        let mut other = recording("e", "{}");
        other.operation = "models".to_owned();
        writer.push(&mut other).unwrap();
        writer.finish().unwrap();
        let source = Source::of_file(&path, usize::MAX).unwrap();
        let ids: Vec<&str> = source.lines().iter().map(|line| line.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        for (place, text) in [(2, "{\"n\":3}"), (0, "{\"n\":1}"), (1, "{\"n\":2}")] {
            let back = source.get(place).unwrap();
            assert_eq!(back.client_request().unwrap().bytes, text.as_bytes());
        }
        assert!(matches!(source.get(3), Err(SourceError::Gone)));
        let reasons: Vec<(&str, u64)> =
            source.left_out.iter().map(|(why, count)| (why.as_str(), *count)).collect();
        let redacted = "redacted: placeholders stand in the request";
        assert_eq!(reasons, [("not a call of a model", 1), (redacted, 1)]);
        assert_eq!(Source::of_file(&path, 2).unwrap().lines().len(), 2);
    }

    #[test]
    fn files_of_other_programs_say_by_their_paths_what_they_ask_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.har");
        let entry = |url: &str, body: &str| {
            let post = serde_json::json!({"mimeType": "application/json", "text": body});
            serde_json::json!({"startedDateTime": "2026-11-20T08:00:00.000Z", "time": 5,
                "request": {"method": "POST", "url": url, "headers": [], "postData": post},
                "response": {"status": 200, "headers": [], "content": {"text": "{}"}}})
        };
        let entries = [
            entry("https://api.anthropic.com/v1/messages?beta=true", "{\"n\":1}"),
            entry("https://x.azure.com/openai/deployments/d/chat/completions", "{\"n\":22}"),
            entry("https://g.example/v1beta/models/g-1:streamGenerateContent?alt=sse", "{}"),
            entry("https://telemetry.example/v1/events", "{}"),
        ];
        let har = serde_json::json!({"log": {"version": "1.2", "entries": entries}});
        std::fs::write(&path, har.to_string()).unwrap();
        let source = Source::of_file(&path, usize::MAX).unwrap();
        let dialects: Vec<&str> = source.lines().iter().map(|line| &*line.dialect).collect();
        assert_eq!(dialects, ["anthropic", "openai_chat", "gemini"]);
        let paths: Vec<String> = (0..3).map(|n| source.get(n).unwrap().path).collect();
        let gemini = "/v1beta/models/g-1:streamGenerateContent";
        assert_eq!(paths, ["/v1/messages", "/v1/chat/completions", gemini]);
        assert_eq!(source.left_out, BTreeMap::from([("not a call of a model".to_owned(), 1)]));
        // What was not recorded is guessed, not free.
        let sample = source.lines()[1].sample;
        assert_eq!((sample.input, sample.output, sample.guessed), (2, 500, true));
        assert!(source.notes.is_empty(), "{:?}", source.notes);
    }

    #[test]
    fn damage_is_named_with_its_place_and_not_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let good = "{\"input_length\":5,\"timestamp\":0}\n";
        std::fs::write(&path, good.to_owned() + &"no\n".repeat(100)).unwrap();
        let source = Source::of_file(&path, usize::MAX).unwrap();
        assert_eq!(source.left_out, BTreeMap::from([("damaged".to_owned(), 100)]));
        assert!(source.notes[0].contains("a.jsonl: line 2: "), "{}", source.notes[0]);
        assert!(source.notes[20].contains("only counted"), "{}", source.notes[20]);
        assert_eq!(source.notes.len(), 22, "and a word on answers");
        let body = source.get(0).unwrap();
        assert!(body.client_request().unwrap().bytes.starts_with(b"{\"model\":"));
        std::fs::write(&path, "what is this").unwrap();
        let error = Source::of_file(&path, 1).err().unwrap().to_string();
        assert!(error.contains("a.jsonl: its format is not known"), "{error}");
    }

    #[test]
    fn what_was_compressed_is_sent_in_the_clear() {
        let mut one = recording("a", "");
        let packed = GZIPPED.to_vec();
        one.request.body =
            Body::Whole(Whole { bytes: packed, coding: Some("gzip".into()), ..Whole::default() });
        decode(&mut one);
        let whole = one.client_request().unwrap();
        assert_eq!((whole.bytes.as_slice(), &whole.coding), (&b"{\"model\":\"m\"}"[..], &None));
    }
}
