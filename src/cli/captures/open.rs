//! What every subcommand begins with: the store, the query, the exchange that is meant.

use std::path::{Path, PathBuf};

use crate::base::clock;
use crate::cli::Exit;
use crate::cli::captures::args::WhereArgs;
use crate::cli::place::{self, Place, refuse};
use crate::cli::place_args::PlaceArgs;
use crate::cli::terminal::tell;
use crate::report::words;
use crate::store::query::Query;
use crate::store::query::page::{FindError, Page};
use crate::store::reader::{ReadError, Reader};
use crate::store::search::SCANNED_MAX;
use crate::store::stored::{Listed, Stored};
use crate::store::vault::seal::{self, SealError};

/// Limit: how far back `last~N` goes.
const LAST_MAX: usize = 100_000;

pub(super) fn folder(place: &PlaceArgs) -> Result<PathBuf, Exit> {
    place::folder(place.config.as_deref(), place.data_dir.as_deref())
}

pub(in crate::cli) fn reader(place: &PlaceArgs) -> Result<Reader, Exit> {
    let folder = folder(place)?;
    unseal(&folder, place)?;
    Reader::open(&folder).map_err(|error| refuse(&error.to_string(), Exit::Environment))
}

/// Puts the configured key in force, where bodies are encrypted.
fn unseal(folder: &Path, place: &PlaceArgs) -> Result<(), Exit> {
    // A store that cannot be opened says so when it is.
    if !seal::is_sealed(folder).unwrap_or(false) {
        return Ok(());
    }
    let place = Place::of(place.config.as_deref(), place.data_dir.as_deref())?;
    let key = place.settings.and_then(|settings| settings.encryption_key);
    if key.is_none() {
        tell(
            "note: headers and bodies are encrypted and no key is given; --config names the file with \
             capture.encryption_key",
        );
    }
    let made = seal::for_reading(folder, key.as_ref());
    made.map(drop).map_err(|error| refuse(&error.to_string(), Exit::Environment))
}

/// For what goes through all bodies: without the key each of them would look damaged.
pub(super) fn unsealed(folder: &Path, place: &PlaceArgs) -> Result<(), Exit> {
    unseal(folder, place)?;
    if seal::is_sealed(folder).unwrap_or(false) && seal::in_force().is_none() {
        return Err(refuse(&SealError::no_key(folder).to_string(), Exit::Environment));
    }
    Ok(())
}

/// Says that a query takes long and how far it looks, where texts are looked for without an index of them.
pub(in crate::cli) fn forewarn(reader: &Reader, asked: &Query) {
    if reader.is_slow(asked) {
        tell(&format!(
            "note: there is no index of texts; text: reads the bodies of the newest {SCANNED_MAX} exchanges"
        ));
    }
}

pub(in crate::cli) fn now_us() -> i64 {
    i64::try_from(clock::wall_us()).unwrap_or(i64::MAX)
}

/// A query as it was written; one that cannot be understood is shown with its fault marked.
pub(in crate::cli) fn query(text: Option<&str>) -> Result<Query, Exit> {
    let Some(text) = text else { return Ok(Query::all()) };
    Query::parse(text, now_us()).map_err(|error| {
        tell(&error.underlined(text));
        refuse(&format!("--where: {error}"), Exit::Usage)
    })
}

pub(super) fn which(which: &WhereArgs) -> Result<Query, Exit> {
    let asked = query(which.query.as_deref())?;
    let Some(session) = &which.session else { return Ok(asked) };
    let quoted = session.replace('\\', "\\\\").replace('"', "\\\"");
    let session = Query::parse(&format!("session:\"{quoted}\""), now_us());
    let session = session.map_err(|error| refuse(&format!("--session: {error}"), Exit::Usage))?;
    Ok(asked.and(session))
}

pub(in crate::cli) fn read<T>(result: Result<T, ReadError>) -> Result<T, Exit> {
    result.map_err(|error| refuse(&error.to_string(), Exit::Environment))
}

/// The exchange that is meant: by its id or the beginning of it, or counted back from the newest match.
pub(super) fn row(reader: &Reader, id: &str, asked: &Query) -> Result<Listed, Exit> {
    let Some(back) = back(id) else { return found(reader, id) };
    forewarn(reader, asked);
    let rows = read(reader.list(asked, &Page::newest(back.min(LAST_MAX) + 1)))?;
    let many = rows.len();
    rows.into_iter().nth(back).ok_or_else(|| {
        let told = match many {
            0 => "no exchange matches; `pinhole captures ls` lists what there is".to_owned(),
            _ => format!("`{id}` goes back too far: {many} match"),
        };
        refuse(&told, Exit::Failed)
    })
}

/// `last`, `last~3`.
fn back(id: &str) -> Option<usize> {
    match id.strip_prefix("last")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

fn found(reader: &Reader, id: &str) -> Result<Listed, Exit> {
    reader.find(id).map_err(|error| {
        let exit = match error {
            FindError::NoId(_) | FindError::Ambiguous { .. } => Exit::Usage,
            FindError::Unknown(_) => Exit::Failed,
            FindError::Read(_) => Exit::Environment,
        };
        refuse(&error.to_string(), exit)
    })
}

/// All of it that can be read; what is damaged is told.
pub(super) fn stored(reader: &Reader, row: Listed) -> Result<Stored, Exit> {
    let stored =
        reader.salvage(row).map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    for line in damage(&stored) {
        tell(&format!("error: {line}"));
    }
    Ok(stored)
}

/// A line for each part that is damaged.
pub(in crate::cli) fn damage(stored: &Stored) -> Vec<String> {
    let id = &stored.row.id;
    stored.damage.iter().map(|(part, why)| format!("{id}: {part} is damaged: {why}")).collect()
}

/// What is said when some of many were damaged; the exit code that goes with it.
pub(super) fn after_damage(damaged: u64, done: Exit) -> Exit {
    if damaged == 0 {
        return done;
    }
    let many = words::things(
        usize::try_from(damaged).unwrap_or(usize::MAX),
        "exchange is",
        "exchanges are",
    );
    tell(&format!(
        "error: {many} damaged; `pinhole captures verify` checks all, `pinhole captures restore` brings a backup back"
    ));
    Exit::Failed
}

/// Attempts are counted from 1; one that there is not is an error that says how many there are.
pub(super) fn attempt(stored: &Stored, number: Option<usize>) -> Result<Option<usize>, Exit> {
    let there = stored.attempts.len();
    match number {
        Some(number) if number > there => {
            let many = words::things(there, "attempt", "attempts");
            let told = format!("there is no attempt {number}; the exchange has {many}");
            Err(refuse(&told, Exit::Failed))
        }
        number => Ok(number.map(|number| number.saturating_sub(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_counts_back() {
        for (word, expected) in
            [("last", Some(0)), ("last~0", Some(0)), ("last~12", Some(12)), ("lasting", None)]
        {
            assert_eq!(back(word), expected, "{word}");
        }
        assert_eq!((back("last~x"), back("019a")), (None, None));
    }
}
