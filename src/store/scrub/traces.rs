//! Looks for values in the store's files as bytes: what SQLite does not show may still stand in a page.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;

use crate::store::db;
use crate::store::scrub::ScrubError;
use crate::store::search;

/// Shorter values stand in any large file by chance.
const VALUE_MIN: usize = 6;
/// Limit: bytes of a value that are looked for; its beginning says enough.
const VALUE_MAX: usize = 128;
/// Values that are looked for in one pass.
const AT_ONCE: usize = 500;
const BUFFER: usize = 4 << 20;

/// A file in which a value still stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub file: String,
    /// Places; one that lies where two reads meet may count twice.
    pub places: u64,
}

/// Whether a value is long enough to be looked for.
pub(super) fn is_searched(value: &[u8]) -> bool {
    value.len() >= VALUE_MIN
}

/// Files of the store and of its index, what was kept aside included, in which one of the values stands.
pub(super) fn find(folder: &Path, values: &BTreeSet<Vec<u8>>) -> Result<Vec<Trace>, ScrubError> {
    let failed = |path: &Path, error| ScrubError::File { path: path.display().to_string(), error };
    let values: Vec<&[u8]> =
        values.iter().filter(|value| is_searched(value)).map(Vec::as_slice).collect();
    let mut traces = Vec::new();
    if values.is_empty() {
        return Ok(traces);
    }
    let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let is_store = name.starts_with(db::FILE) || name.starts_with(search::FILE);
        if !is_store || !path.is_file() {
            continue;
        }
        let mut places = 0;
        for some in values.chunks(AT_ONCE) {
            places += match File::open(&path).and_then(|file| count(file, &any_of(some)?)) {
                // The log goes when the last writer closes it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
                count => count.map_err(|error| failed(&path, error))?,
            };
        }
        if places > 0 {
            traces.push(Trace { file: name, places });
        }
    }
    traces.sort_by(|one, two| one.file.cmp(&two.file));
    Ok(traces)
}

/// One pattern for all of them.
fn any_of(values: &[&[u8]]) -> std::io::Result<Regex> {
    let literal = |value: &&[u8]| -> String {
        value.iter().take(VALUE_MAX).fold(String::new(), |mut pattern, byte| {
            let written = write!(pattern, "\\x{byte:02x}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
            pattern
        })
    };
    let pattern: Vec<String> = values.iter().map(literal).collect();
    RegexBuilder::new(&pattern.join("|"))
        .unicode(false)
        .size_limit(256 << 20)
        .build()
        .map_err(std::io::Error::other)
}

fn count(mut file: File, values: &Regex) -> std::io::Result<u64> {
    let mut buffer = Vec::with_capacity(BUFFER + VALUE_MAX);
    let mut places = 0;
    loop {
        let read = file.by_ref().take(BUFFER as u64).read_to_end(&mut buffer)?;
        if read == 0 {
            return Ok(places);
        }
        places += values.find_iter(&buffer).count() as u64;
        // A value may lie across two buffers.
        let keep = buffer.len().saturating_sub(VALUE_MAX - 1);
        buffer.drain(..keep);
    }
}
