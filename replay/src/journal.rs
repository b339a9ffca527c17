//! The journal of a run: a file of rows, one JSON line each, that a run can be taken up from after a stop or a crash, and that
//! every report is made of.
//!
//! ```text
//!  {"format":"pinhole-run","version":1,"run_id":…,"plan_blake3":…}     header
//!  {"part":{"started_at_us":…}}                                          a start: the zero of the rows that follow
//!  {"pair":0,"target":1,…}                                               rows
//!  {"ended":{"why":"interrupted","at_us":…}}                             the part's end, unless it crashed
//!  {"part":{"started_at_us":…}}                                          taken up again
//!  …
//! ```
//!
//! Lines are only appended. A last line that is not whole was being written when the run died: it is passed over by readers
//! and taken away before more is written. Where a group was sent again, its later rows count.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::{Ended, Sink};
use crate::row::{Job, Row};
use crate::schedule::{Groups, Outline};

/// What the header's `format` says.
pub const FORMAT: &str = "pinhole-run";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;
/// Limit: arrivals held of all rows of a journal that is read; past it only the pairs with the most keep theirs. One pair is
/// drawn, and a row can have 4 kB of them.
const TIMELINES_MAX: usize = 1 << 16;

/// The first line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    pub version: u32,
    pub run_id: String,
    /// Of what decides which requests are sent: see [`crate::plan::Plan::digest`].
    pub plan_blake3: String,
    /// Of the recordings' ids, in order.
    pub recordings_blake3: String,
    pub recordings: u32,
    pub repeats: u16,
    pub seed: u64,
    pub targets: Vec<String>,
    /// The program that wrote it.
    #[serde(default)]
    pub producer: String,
}

impl Header {
    /// A header for recordings of these ids.
    pub fn of<'a>(run_id: &str, ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = blake3::Hasher::new();
        let mut recordings = 0;
        for id in ids {
            hash.update(id.as_bytes()).update(b"\n");
            recordings += 1;
        }
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            run_id: run_id.to_owned(),
            recordings_blake3: hash.finalize().to_hex().to_string(),
            recordings,
            ..Self::default()
        }
    }
}

/// A start, or a start after a stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Wall clock of the zero of its rows, since 1970.
    pub started_at_us: i64,
}

/// How a part ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// `whole`, `interrupted`, `max_cost`.
    pub why: String,
    /// From the part's zero.
    pub at_us: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Part { part: Part },
    Ended { ended: End },
    Row(Box<Row>),
}

/// Why a journal cannot be read or taken up.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{path} is no journal of a run: its first line is no header")]
    Foreign { path: String },
    #[error("{path} has version {found}, this program reads up to {VERSION}; use a newer one")]
    Newer { path: String, found: u32 },
    #[error(
        "{path} is of another run: {what} differ; resume with what it was begun with, or begin a new run"
    )]
    Other { path: String, what: &'static str },
    #[error("{path} is being written by another process; wait for its end, or stop it")]
    Busy { path: String },
    #[error("{path}, line {line}: {reason}")]
    Damaged { path: String, line: usize, reason: String },
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
}

/// A journal being written.
pub struct Journal {
    out: File,
    line: Vec<u8>,
}

impl Journal {
    /// A new file, which nobody else may read. One that exists is never written over.
    pub fn create(path: &Path, header: &Header) -> Result<Self, JournalError> {
        let fail = |error| JournalError::Io { path: path.display().to_string(), error };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let out = options.open(path).map_err(fail)?;
        lock(&out, path)?;
        let mut journal = Self { out, line: Vec::new() };
        journal.write(header).map_err(fail)?;
        Ok(journal)
    }

    /// Takes a run up again: the file as it is, ready for more, and what stands in it.
    pub fn resume(path: &Path, expected: &Header) -> Result<(Self, Journaled), JournalError> {
        let fail = |error| JournalError::Io { path: path.display().to_string(), error };
        let mut out = OpenOptions::new().write(true).open(path).map_err(fail)?;
        lock(&out, path)?;
        let journaled = read(path)?;
        let own = &journaled.header;
        let differs = [
            ("the plans", own.plan_blake3 != expected.plan_blake3),
            ("the recordings", own.recordings_blake3 != expected.recordings_blake3),
            ("the targets", own.targets != expected.targets),
            ("the seeds", own.seed != expected.seed),
            ("the repeats", own.repeats != expected.repeats),
        ];
        if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(JournalError::Other { path: path.display().to_string(), what });
        }
        out.set_len(journaled.whole_bytes).map_err(fail)?;
        out.seek(io::SeekFrom::End(0)).map_err(fail)?;
        Ok((Self { out, line: Vec::new() }, journaled))
    }

    /// A start: the zero of the rows that follow.
    pub fn begin(&mut self, part: Part) -> io::Result<()> {
        self.write(&Line::Part { part })
    }

    pub fn end(&mut self, ended: Ended, at_us: u64) -> io::Result<()> {
        self.write(&Line::Ended { ended: End { why: ended.name().to_owned(), at_us } })?;
        self.out.sync_data()
    }

    /// One write a line, so that what is written is whole lines but for a crash in the middle of one.
    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

impl Sink for Journal {
    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.write(row)
    }
}

/// What stands in a journal. Times of the rows count from the first part's zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journaled {
    pub header: Header,
    pub parts: Vec<Part>,
    /// How the last part ended; `None`: it did not.
    pub ended: Option<End>,
    /// One a job; where it was sent again, the last. Warm-ups stand before.
    pub rows: Vec<Row>,
    /// Everything that was paid for, also what was sent again.
    pub spent_nanousd: i64,
    /// Bytes of the last line, where it is not whole.
    pub torn_bytes: u64,
    whole_bytes: u64,
    finished: HashSet<(u32, u16)>,
}

impl Journaled {
    /// Whether all targets' rows of a pair were written in one part.
    pub fn is_finished(&self, pair: u32, repeat: u16) -> bool {
        self.finished.contains(&(pair, repeat))
    }

    /// The groups that need not be sent again: those of which all targets' rows were written in one part. Where answers are
    /// fed on, only those of sessions that are whole: what was answered is not kept.
    pub fn done(&self, outline: &Outline, is_live: bool) -> Groups {
        let length = outline.len() as u64;
        let mut open: HashSet<(u32, u16)> = HashSet::new();
        for repeat in (0..self.header.repeats).filter(|_| is_live) {
            for cue in outline.cues() {
                if let Some(session) = cue.session()
                    && !self.finished.contains(&(cue.pair, repeat))
                {
                    open.insert((session, repeat));
                }
            }
        }
        let mut done = Groups::default();
        for repeat in 0..self.header.repeats {
            for (place, cue) in (0..).zip(outline.cues()) {
                let is_open = cue.session().is_some_and(|own| open.contains(&(own, repeat)));
                if self.finished.contains(&(cue.pair, repeat)) && !is_open {
                    done.insert(u64::from(repeat) * length + place);
                }
            }
        }
        done
    }
}

/// One process writes it: two that take up the same run would send everything twice. Where the system has no such locks
/// there is none.
fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(JournalError::Busy { path: path.display().to_string() })
        }
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Reads a journal from its file.
pub fn read(path: &Path) -> Result<Journaled, JournalError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| JournalError::Io { path: name.clone(), error })?;
    read_from(&name, &mut BufReader::new(file))
}

/// Reads a journal.
pub fn read_from(name: &str, from: &mut impl BufRead) -> Result<Journaled, JournalError> {
    let fail = |error| JournalError::Io { path: name.to_owned(), error };
    let mut reading = Reading::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let read = from.read_until(b'\n', &mut line).map_err(fail)?;
        if read == 0 {
            break;
        }
        number += 1;
        if line.last() != Some(&b'\n') {
            if number == 1 {
                // What would be appended to it is no line of its own.
                return Err(JournalError::Foreign { path: name.to_owned() });
            }
            reading.made.torn_bytes = read as u64;
            break;
        }
        if number == 1 {
            reading.made.header = header(name, &line)?;
        } else {
            let parsed = serde_json::from_slice(&line).map_err(|error| JournalError::Damaged {
                path: name.to_owned(),
                line: number,
                reason: error.to_string(),
            })?;
            reading.take(parsed);
        }
        reading.made.whole_bytes += read as u64;
    }
    if number == 0 {
        return Err(JournalError::Foreign { path: name.to_owned() });
    }
    reading.made.rows.sort_by_key(|row| !row.warmup);
    Ok(reading.made)
}

fn header(name: &str, line: &[u8]) -> Result<Header, JournalError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Any {
        format: String,
        version: u32,
    }
    let foreign = || JournalError::Foreign { path: name.to_owned() };
    let any: Any = serde_json::from_slice(line).map_err(|_| foreign())?;
    if any.format != FORMAT || any.version == 0 {
        return Err(foreign());
    }
    if any.version > VERSION {
        return Err(JournalError::Newer { path: name.to_owned(), found: any.version });
    }
    serde_json::from_slice(line).map_err(|_| foreign())
}

/// What is known in the middle of a file.
#[derive(Default)]
struct Reading {
    made: Journaled,
    /// Where a job's row is.
    places: HashMap<Job, usize>,
    /// Targets that the part has written of a group.
    open: HashMap<(u32, u16), HashSet<Option<u16>>>,
    shift_us: u64,
    /// Arrivals in `made.rows`, about.
    timelines: usize,
}

impl Reading {
    fn take(&mut self, line: Line) {
        match line {
            Line::Part { part } => {
                let zero = self.made.parts.first().map_or(part, |first| *first).started_at_us;
                self.shift_us = part.started_at_us.abs_diff(zero.min(part.started_at_us));
                self.made.parts.push(part);
                self.made.ended = None;
                self.open.clear();
            }
            Line::Ended { ended } => self.made.ended = Some(ended),
            Line::Row(row) => {
                self.timelines += row.arrivals.len();
                self.row(*row);
                if self.timelines > TIMELINES_MAX {
                    self.timelines = thin(&mut self.made.rows, TIMELINES_MAX / 2);
                }
            }
        }
    }

    fn row(&mut self, mut row: Row) {
        self.made.spent_nanousd +=
            row.cost_nanousd.filter(|_| row.target.is_some()).unwrap_or_default();
        self.made.spent_nanousd += row.judge_nanousd();
        row.intended_us += self.shift_us;
        row.sent_us += self.shift_us;
        row.ended_us += self.shift_us;
        for arrival in &mut row.arrivals {
            arrival.at_us += self.shift_us;
        }
        // What a parser made room for beyond that would be held as long.
        row.arrivals.shrink_to_fit();
        if row.warmup {
            self.made.rows.push(row);
            return;
        }
        let group = (row.pair, row.repeat);
        if row.target.is_some() {
            let seen = self.open.entry(group).or_default();
            seen.insert(row.target);
            if seen.len() == self.made.header.targets.len() {
                self.open.remove(&group);
                self.made.finished.insert(group);
            }
        }
        let next = self.made.rows.len();
        let place = *self.places.entry(row.job()).or_insert(next);
        match self.made.rows.get_mut(place) {
            Some(earlier) => *earlier = row,
            None => self.made.rows.push(row),
        }
    }
}

/// Takes the arrivals of all but the pairs that are best to draw, those that most columns have and then the longest, until at
/// most `most` are left; how many those are.
fn thin(rows: &mut [Row], most: usize) -> usize {
    let mut groups: HashMap<(u32, u16), (usize, usize)> = HashMap::new();
    let drawn = |row: &&Row| !row.warmup && row.is_good() && row.arrivals.len() > 1;
    for row in rows.iter().filter(drawn) {
        let (columns, arrivals) = groups.entry((row.pair, row.repeat)).or_default();
        *columns += 1;
        *arrivals += row.arrivals.len();
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(group, size)| (Reverse(*size), *group));
    let mut left = 0;
    let kept = groups.iter().take_while(|(_, (_, arrivals))| {
        left += arrivals;
        left <= most
    });
    let kept: HashMap<(u32, u16), usize> =
        kept.map(|(group, (_, count))| (*group, *count)).collect();
    for row in rows.iter_mut() {
        if !drawn(&&*row) || !kept.contains_key(&(row.pair, row.repeat)) {
            row.arrivals = Vec::new();
        }
    }
    kept.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Arrival, What};
    use crate::schedule::Beat;

    fn row(pair: u32, target: u16) -> Row {
        Row {
            pair,
            target: Some(target),
            cost_nanousd: Some(5),
            intended_us: 100,
            sent_us: 110,
            ended_us: 200,
            of: format!("x{pair}"),
            ..Row::default()
        }
    }

    fn header(recordings: usize) -> Header {
        let ids: Vec<String> = (0..recordings).map(|n| format!("x{n}")).collect();
        Header {
            plan_blake3: "p".into(),
            repeats: 1,
            targets: vec!["a".into(), "b".into()],
            ..Header::of("r1", ids.iter().map(String::as_str))
        }
    }

    /// Two sessions by turns.
    fn outline(count: u32) -> Outline {
        Outline::of((0..count).map(|pair| Beat {
            pair,
            session: Some(if pair % 2 == 0 { "even" } else { "odd" }),
            started_at_us: i64::from(pair) * 10,
            ended_at_us: i64::from(pair) * 10 + 5,
            depends: true,
        }))
    }

    #[test]
    fn what_is_held_of_a_long_run_are_numbers_and_the_timelines_of_a_few_pairs() {
        let arrivals = |count: usize| {
            let at = |at_us| Arrival { at_us, what: What::Text };
            (0..count as u64).map(at).collect::<Vec<_>>()
        };
        let mut reading = Reading::default();
        reading.made.header = header(2_000);
        for pair in 0..2_000 {
            for target in 0..2 {
                // The longest of two columns is pair 700; that of pair 900 has one column, that of 800 an error.
                let count = if pair == 700 { 256 } else { 200 };
                let mut row = Row { arrivals: arrivals(count), ..row(pair, target) };
                row.status = Some(if pair == 800 { 500 } else { 200 });
                row.arrivals.truncate(if (pair, target) == (900, 1) { 0 } else { count });
                reading.take(Line::Row(Box::new(row)));
            }
        }
        let rows = &reading.made.rows;
        let held: usize = rows.iter().map(|row| row.arrivals.capacity()).sum();
        assert_eq!((rows.len(), held <= TIMELINES_MAX), (4_000, true), "{held}");
        assert!(held > TIMELINES_MAX / 4, "{held}: as many as there is room for");
        let of = |pair: u32| rows.iter().filter(move |row| row.pair == pair);
        assert_eq!(of(700).map(|row| row.arrivals.len()).collect::<Vec<_>>(), [256, 256]);
        assert_eq!(of(0).map(|row| row.arrivals.len()).collect::<Vec<_>>(), [200, 200]);
        assert!(of(900).all(|row| row.arrivals.is_empty()));
        assert!(of(800).all(|row| row.arrivals.is_empty() && row.ended_us == 200));
    }

    #[test]
    fn a_run_is_taken_up_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ndjson");
        let mut journal = Journal::create(&path, &header(4)).unwrap();
        journal.begin(Part { started_at_us: 1_000 }).unwrap();
        for (pair, target) in [(0, 1), (0, 0), (1, 0), (1, 1), (2, 0)] {
            journal.row(&row(pair, target)).unwrap();
        }
        journal.end(Ended::Interrupted, 300).unwrap();
        drop(journal);
        let exists = Journal::create(&path, &header(4)).err().unwrap().to_string();
        assert!(exists.contains("run.ndjson") && exists.contains("exists"), "{exists}");

        // It died in the middle of a line, too.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"pair\":3,\"target\":0,\"of\":\"x3").unwrap();
        let (mut journal, was) = Journal::resume(&path, &header(4)).unwrap();
        assert_eq!((was.rows.len(), was.spent_nanousd, was.torn_bytes), (5, 25, 29));
        assert_eq!(was.ended.as_ref().unwrap().why, "interrupted");
        let busy = Journal::resume(&path, &header(4)).err().unwrap().to_string();
        assert!(busy.contains("run.ndjson is being written by another process"), "{busy}");
        let done = was.done(&outline(4), false);
        let places: Vec<u64> = (0..4).filter(|group| done.contains(*group)).collect();
        assert_eq!(places, [0, 1], "half a group is sent again");
        assert!(was.done(&outline(4), true).is_empty(), "no session is whole");

        journal.begin(Part { started_at_us: 6_000 }).unwrap();
        for (pair, target) in [(2, 1), (2, 0), (3, 0), (3, 1)] {
            journal.row(&row(pair, target)).unwrap();
        }
        drop(journal);
        let whole = read(&path).unwrap();
        assert_eq!((whole.rows.len(), whole.torn_bytes, whole.parts.len()), (8, 0, 2));
        assert_eq!((whole.spent_nanousd, whole.ended.clone()), (45, None));
        assert_eq!(whole.done(&outline(4), true).len(), 4);
        let again = whole.rows.iter().find(|row| row.job() == self::row(2, 0).job()).unwrap();
        assert_eq!((again.intended_us, again.ended_us), (5_100, 5_200), "on one time line");
    }

    #[test]
    fn two_halves_of_a_group_from_two_parts_are_no_whole() {
        let mut text = serde_json::to_string(&header(1)).unwrap() + "\n";
        for target in [0, 1] {
            text += "{\"part\":{\"started_at_us\":1}}\n";
            text += &(serde_json::to_string(&row(0, target)).unwrap() + "\n");
        }
        let made = read_from("j", &mut text.as_bytes()).unwrap();
        assert_eq!((made.rows.len(), made.done(&outline(1), false).len()), (2, 0));
    }

    #[test]
    fn what_is_no_journal_of_this_run_is_refused_by_name() {
        let why = |text: &str| read_from("j", &mut text.as_bytes()).unwrap_err().to_string();
        assert!(why("").contains("j is no journal"));
        assert!(why("{\"pair\":1}\n").contains("no header"));
        assert!(why("{\"format\":\"pinhole-run\",\"version\":9}\n").contains("version 9"));
        let start = serde_json::to_string(&header(1)).unwrap();
        assert!(why(&start).contains("no header"), "its line end is missing");
        assert!(why(&format!("{start}\n{{\"pair\":\n")).contains("j, line 2"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ndjson");
        drop(Journal::create(&path, &header(2)).unwrap());
        let other = |header: Header| Journal::resume(&path, &header).err().unwrap().to_string();
        assert!(
            other(Header { plan_blake3: "q".into(), ..header(2) }).contains("the plans differ")
        );
        assert!(other(header(3)).contains("the recordings differ"));
        assert!(other(Header { seed: 4, ..header(2) }).contains("the seeds differ"));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ndjson");
        drop(Journal::create(&path, &header(1)).unwrap());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
