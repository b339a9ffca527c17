//! `pinhole captures grep`: words in what was said, wherever they stand.

use std::collections::HashSet;

use regex::RegexBuilder;

use crate::cli::Exit;
use crate::cli::captures::args::GrepArgs;
use crate::cli::captures::open::{forewarn, now_us, read, reader, stored, which};
use crate::cli::place::refuse;
use crate::cli::terminal::{look, said, tell};
use crate::report::exchange::grep;
use crate::report::words;
use crate::store::query::Query;
use crate::store::query::page::Order;

/// Characters of an id: its time to a quarter of a microsecond.
const ID: usize = 18;
/// Limit: texts that are remembered as shown.
const SEEN_MAX: usize = 1_000_000;

pub(super) fn run(args: &GrepArgs) -> Result<Exit, Exit> {
    let mut asked = which(&args.which)?;
    if args.words {
        asked = asked.and(words(&args.pattern)?);
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
    let (mut seen, mut shown, mut without) = (HashSet::new(), 0, 0_usize);
    for seq in read(reader.seqs(&asked, Order::Newest))? {
        let Some(row) = read(reader.listed(&[read(seq)?]))?.pop() else { continue };
        let stored = stored(&reader, row)?;
        without += usize::from(stored.client_request().is_none());
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
                return Ok(Exit::Done);
            }
        }
        if seen.len() < SEEN_MAX {
            seen.extend(here);
        }
    }
    if without > 0 {
        tell(&format!(
            "note: {} no bodies to look in: the gateway refused before it read one, or the level was below \
             capture.level = \"full\"; `pinhole captures show ID` says which",
            words::things(without, "exchange has", "exchanges have")
        ));
    }
    // As grep does: nothing found is not success.
    Ok(if shown == 0 { Exit::Failed } else { Exit::Done })
}

/// The words as the text index has them.
fn words(pattern: &str) -> Result<Query, Exit> {
    let quoted = pattern.replace('\\', "\\\\").replace('"', "\\\"");
    Query::parse(&format!("text:\"{quoted}\""), now_us())
        .map_err(|error| refuse(&error.to_string(), Exit::Usage))
}
