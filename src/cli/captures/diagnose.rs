//! `pinhole captures diagnose`: one exchange explained, or the failures of a time in groups.

use crate::cli::Exit;
use crate::cli::captures::args::DiagnoseArgs;
use crate::cli::captures::open::{forewarn, now_us, query, read, reader, row, stored};
use crate::cli::place::refuse;
use crate::cli::terminal::{look, said, say, tell};
use crate::report::around;
use crate::report::diagnose::case::Context;
use crate::report::diagnose::group::Grouping;
use crate::report::diagnose::{diagnose, text};
use crate::store::query::Query;
use crate::store::query::page::Page;
use crate::store::reader::Reader;
use crate::store::stored::{Listed, Stored};

/// Limit: exchanges that are grouped.
const ROWS_MAX: usize = 10_000;
/// Limit: exchanges of them whose bodies are read; of the others, the record says what it can.
const WHOLE_MAX: usize = 300;
/// How far back, when nothing is said.
const SINCE: &str = "24h";

pub(super) fn run(args: &DiagnoseArgs) -> Result<Exit, Exit> {
    let reader = reader(&args.place)?;
    match &args.id {
        Some(id) => one(&reader, id, args),
        None => many(&reader, args),
    }
}

fn one(reader: &Reader, id: &str, args: &DiagnoseArgs) -> Result<Exit, Exit> {
    let row = row(reader, id, &Query::all())?;
    let context = read(around::context(reader, &row))?;
    let stored = stored(reader, row)?;
    let diagnosis = diagnose(&stored, &context);
    if args.json {
        say(&json(&diagnosis)?);
    } else {
        say(text::one(&diagnosis, &stored.row, look()).trim_end());
    }
    Ok(Exit::Done)
}

fn json<T: serde::Serialize>(found: &T) -> Result<String, Exit> {
    serde_json::to_string(found).map_err(|error| refuse(&error.to_string(), Exit::Failed))
}

fn many(reader: &Reader, args: &DiagnoseArgs) -> Result<Exit, Exit> {
    let asked = asked(args)?;
    forewarn(reader, &asked);
    let rows = read(reader.list(&asked, &Page::newest(ROWS_MAX + 1)))?;
    let more = rows.len() > ROWS_MAX;
    let rows = rows.into_iter().take(ROWS_MAX);
    let failures = read(around::failures(reader, now_us()))?;
    let mut grouping = Grouping::new(Context { failures, ..Context::default() });
    let mut whole = 0;
    for row in rows {
        grouping.add(&looked_at(reader, row, &mut whole)?);
    }
    let totals = grouping.totals();
    let groups = grouping.finish();
    if args.json {
        for group in &groups {
            if !said(&json(group)?) {
                return Ok(Exit::Done);
            }
        }
    } else {
        say(text::many(&groups, totals, look()).trim_end());
    }
    if more {
        tell(&format!(
            "only the {ROWS_MAX} newest were looked at; --since and --where narrow it down"
        ));
    }
    if whole >= WHOLE_MAX {
        tell(&format!(
            "bodies were read of the {WHOLE_MAX} newest failures; the rest is judged by its records"
        ));
    }
    Ok(Exit::Done)
}

/// The exchange with its bodies where they are likely to tell more than its record.
fn looked_at(reader: &Reader, row: Listed, whole: &mut usize) -> Result<Stored, Exit> {
    let odd = row.outcome != "complete" || row.error_kind.is_some() || !row.signals.is_empty();
    if odd && *whole < WHOLE_MAX {
        *whole += 1;
        return stored(reader, row);
    }
    Ok(Stored { row, ..Stored::default() })
}

fn asked(args: &DiagnoseArgs) -> Result<Query, Exit> {
    let asked = match &args.query {
        Some(text) => query(Some(text))?,
        None => query(Some("-outcome:complete"))?,
    };
    let since = args.since.as_deref().or_else(|| args.query.is_none().then_some(SINCE));
    let Some(since) = since else { return Ok(asked) };
    let since = Query::parse(&format!("since:{}", around::quoted(since)), now_us())
        .map_err(|error| refuse(&format!("--since: {error}"), Exit::Usage))?;
    Ok(asked.and(since))
}
