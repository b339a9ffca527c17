//! `pinhole captures grep`: words in what was said, wherever they stand.

use std::collections::HashSet;

use regex::RegexBuilder;

use crate::cli::Exit;
use crate::cli::captures::args::GrepArgs;
use crate::cli::captures::open::{after_damage, forewarn, now_us, read, reader, stored, which};
use crate::cli::place::refuse;
use crate::cli::terminal::{look, said, tell};
use crate::report::exchange::grep;
use crate::report::words;
use crate::store::capture::Absent;
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::stored::Body;

/// Characters of an id: its time to a quarter of a microsecond.
const ID: usize = 18;
/// Limit: texts that are remembered as shown.
const SEEN_MAX: usize = 1_000_000;

pub(super) fn run(args: &GrepArgs) -> Result<Exit, Exit> {
    let mut asked = which(&args.which)?;
    if args.words {
        asked = asked.and(phrase(&args.pattern)?);
    }
    let pattern = if args.regex { args.pattern.clone() } else { regex::escape(&args.pattern) };
    let pattern = if args.words { format!(r"\b{pattern}\b") } else { pattern };
    let pattern = RegexBuilder::new(&pattern)
        .case_insensitive(args.ignore_case || args.words)
        .build()
        .map_err(|error| refuse(&format!("the pattern cannot be read: {error}"), Exit::Usage))?;
    let reader = reader(&args.place)?;
    forewarn(&reader, &asked);
    let look = look();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let (mut seen, mut shown, mut without, mut damaged) = (HashSet::new(), 0, 0_usize, 0);
    for seq in read(reader.seqs(&asked, Order::Newest))? {
        let Some(row) = read(reader.listed(&[read(seq)?]))?.pop() else { continue };
        let stored = stored(&reader, row)?;
        damaged += u64::from(!stored.damage.is_empty());
        without += usize::from(is_without(&stored.request.body));
        // The same text is in every later turn of its session: once is enough.
        let mut here = HashSet::new();
        for found in grep::find(&stored, &pattern) {
            if !args.all && seen.contains(&found.text) {
                continue;
            }
            here.insert(found.text);
            let line = if args.json {
                grep::ndjson(&stored.row, &found)
            } else {
                grep::text(&stored.row, &found, ID, look)
            };
            if !said(&line) {
                return Ok(Exit::Done);
            }
            shown += 1;
            if shown >= limit {
                tell(&format!("the first {shown} matches; more with --limit, fewer with --where"));
                return Ok(after_damage(damaged, Exit::Done));
            }
        }
        if seen.len() < SEEN_MAX {
            seen.extend(here);
        }
    }
    if without > 0 {
        let many = words::things(without, "exchange has", "exchanges have");
        tell(&format!(
            "note: {many} no bodies to look in: the gateway refused before it read one, they were let go or removed, or the \
             level was below capture.level = \"full\"; `pinhole captures show ID` says which"
        ));
    }
    // As grep does: nothing found is not success.
    Ok(after_damage(damaged, if shown == 0 { Exit::Failed } else { Exit::Done }))
}

/// Of a request that was refused before it was read, nothing is missing.
fn is_without(body: &Body) -> bool {
    !matches!(body, Body::Whole(_) | Body::Absent(Absent::Nothing | Absent::Damaged))
}

/// The words as the text index has them.
fn phrase(pattern: &str) -> Result<Query, Exit> {
    let quoted = pattern.replace('\\', "\\\\").replace('"', "\\\"");
    Query::parse(&format!("text:\"{quoted}\""), now_us())
        .map_err(|error| refuse(&error.to_string(), Exit::Usage))
}
