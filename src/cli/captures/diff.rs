//! `pinhole captures diff`: what differs between the legs of an exchange, its attempts, turns of a session, two exchanges.

use serde::Serialize;

use crate::cli::Exit;
use crate::cli::captures::args::DiffArgs;
use crate::cli::captures::open::{query, read, reader, row, stored};
use crate::cli::place::refuse;
use crate::cli::terminal::{look, said, say, tell};
use crate::report::around;
use crate::report::diff::turns::Turns;
use crate::report::diff::{legs, pair, text, turns};
use crate::store::query::Query;
use crate::store::reader::Reader;
use crate::store::stored::{Listed, Stored};

/// Limit: exchanges of a session that are looked at.
const SESSION_MAX: usize = 5_000;

pub(super) fn run(args: &DiffArgs) -> Result<Exit, Exit> {
    let asked = query(args.query.as_deref())?;
    let reader = reader(&args.place)?;
    if let Some(session) = &args.turns {
        return of_session(&reader, session, args);
    }
    let left = exchange(&reader, args.left.as_deref().unwrap_or("last"), &asked)?;
    if let Some(right) = &args.right {
        let both = pair::compare(&left, &exchange(&reader, right, &asked)?);
        return told(args, &both, || text::exchanges(&both, look()));
    }
    if args.attempts {
        let pairs = legs::attempts(&left);
        return told(args, &pairs, || text::attempts(&pairs, look()));
    }
    let found = legs::compare(&left);
    told(args, &found, || text::legs(&found, look()))
}

fn exchange(reader: &Reader, id: &str, asked: &Query) -> Result<Stored, Exit> {
    let row = row(reader, id, asked)?;
    stored(reader, row)
}

fn told<T: Serialize>(
    args: &DiffArgs,
    found: &T,
    text: impl FnOnce() -> String,
) -> Result<Exit, Exit> {
    if args.json {
        say(&json(found)?);
    } else {
        say(text().trim_end());
    }
    Ok(Exit::Done)
}

fn json<T: Serialize>(found: &T) -> Result<String, Exit> {
    serde_json::to_string(found).map_err(|error| refuse(&error.to_string(), Exit::Failed))
}

fn of_session(reader: &Reader, session: &str, args: &DiffArgs) -> Result<Exit, Exit> {
    let rows = read(reader.of_session(session, None, SESSION_MAX))?;
    let turns = around::turns(&rows);
    if turns.len() < 2 {
        let many = if rows.is_empty() { "no exchange" } else { "no two turns" };
        let told = format!(
            "the session {session} has {many} to compare; `pinhole captures ls --session {session}` lists it"
        );
        return Err(refuse(&told, Exit::Failed));
    }
    match &args.left {
        Some(number) => {
            let found = one(reader, &turns, number)?;
            told(args, &found, || text::turns(&found, look()))
        }
        None => all(reader, &turns, args),
    }
}

/// The turn with this number against the next.
fn one(reader: &Reader, all: &[&Listed], number: &str) -> Result<Turns, Exit> {
    let last = all.len() - 1;
    let wrong = || {
        let told = format!(
            "`{number}` is no turn with one after it; the session has turns 1 to {}",
            last + 1
        );
        refuse(&told, Exit::Usage)
    };
    let at: usize =
        number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).ok_or_else(wrong)?;
    match (all.get(at), all.get(at + 1)) {
        (Some(before), Some(after)) => Ok(turns::compare(
            &stored(reader, (*before).clone())?,
            &stored(reader, (*after).clone())?,
        )),
        _ => Err(wrong()),
    }
}

/// A line for each turn and the next.
fn all(reader: &Reader, all: &[&Listed], args: &DiffArgs) -> Result<Exit, Exit> {
    let mut rows = all.iter();
    let mut before = match rows.next() {
        Some(first) => stored(reader, (*first).clone())?,
        None => return Ok(Exit::Done),
    };
    if !args.json {
        said(&text::turns_head(look()));
    }
    for (at, row) in rows.enumerate() {
        let after = stored(reader, (*row).clone())?;
        let found = turns::compare(&before, &after);
        let line = if args.json { json(&found)? } else { text::turns_line(at + 1, &found, look()) };
        if !said(&line) {
            return Ok(Exit::Done);
        }
        before = after;
    }
    if !args.json {
        tell("a number behind --turns SESSION shows that turn against the next in full");
    }
    Ok(Exit::Done)
}
