//! `pinhole captures prune`: deletes what is asked for, after saying what that would be.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::captures::args::PruneArgs;
use crate::cli::captures::open::{folder, forewarn, now_us, query, read, reader};
use crate::cli::captures::progress::Progress;
use crate::cli::place::refuse;
use crate::cli::terminal::{say, tell};
use crate::report::words;
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::Reader;
use crate::store::upkeep;

pub(super) fn run(args: &PruneArgs) -> Result<Exit, Exit> {
    let asked = asked(args)?;
    let folder = folder(&args.place)?;
    let reader = reader(&args.place)?;
    forewarn(&reader, &asked);
    let mut seqs = Vec::new();
    for seq in read(reader.seqs(&asked, Order::Oldest))? {
        seqs.push(read(seq)?);
    }
    let (raw, first, last) = span(&reader, &seqs)?;
    let what = if args.bodies_only { "the bodies of " } else { "" };
    let many = words::things(seqs.len(), "exchange", "exchanges");
    if !args.yes {
        if args.json {
            say(&json!({ "dry_run": true, "exchanges": seqs.len(), "wire_bytes": raw }).to_string());
        } else {
            let span = match (first, last) {
                (Some(first), Some(last)) => {
                    format!(", from {} to {}", words::moment(first), words::moment(last))
                }
                _ => String::new(),
            };
            let wire = words::bytes_of(raw);
            say(&format!("would delete {what}{many}{span}, {wire} on the wire"));
            tell("nothing was deleted; add --yes to delete");
        }
        return Ok(Exit::Done);
    }
    drop(reader);
    let mut progress = Progress::new("deleted");
    let pruned = upkeep::prune(&folder, &seqs, args.bodies_only, |done| progress.at(done));
    progress.done();
    let pruned = pruned.map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    if args.json {
        say(&json!({ "dry_run": false, "deleted": pruned }).to_string());
    } else {
        let bytes = words::bytes(pruned.bytes);
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let records = words::things(count(pruned.records), "record", "records");
        let bodies = words::things(count(pruned.bodies), "exchange", "exchanges");
        let records = if args.bodies_only { String::new() } else { format!("{records} and ") };
        say(&format!("{records}the bodies of {bodies} deleted, {bytes} of the store"));
        if pruned.log_held {
            tell(
                "somebody reads the store: what was deleted may stand in pinhole.db-wal until they end",
            );
        }
    }
    Ok(Exit::Done)
}

/// What is to go. Pinned exchanges stay unless the query speaks of them.
fn asked(args: &PruneArgs) -> Result<Query, Exit> {
    if args.query.is_none() && args.older_than.is_none() {
        let told = "say what is to go: --where QUERY, --older-than AGE (30d, 12h), or both; without --yes nothing is deleted";
        return Err(refuse(told, Exit::Usage));
    }
    let mut asked = match (&args.query, &args.older_than) {
        (Some(text), _) => query(Some(text))?,
        // By age, replays too: they grow old as everything does.
        (None, _) => Query::everything(),
    };
    if let Some(age) = &args.older_than {
        asked = asked.and(part(&format!("until:{age}"), "--older-than")?);
    }
    let speaks = args.query.as_deref().is_some_and(|text| text.contains("pinned:"));
    if !speaks {
        asked = asked.and(part("-pinned:true", "--where")?);
    }
    Ok(asked)
}

fn part(text: &str, flag: &str) -> Result<Query, Exit> {
    Query::parse(text, now_us()).map_err(|error| refuse(&format!("{flag}: {error}"), Exit::Usage))
}

/// Bytes on the wire, and the first and the last start.
fn span(reader: &Reader, seqs: &[i64]) -> Result<(i64, Option<i64>, Option<i64>), Exit> {
    let (mut raw, mut first, mut last) = (0_i64, None, None);
    for some in seqs.chunks(1_000) {
        for row in read(reader.listed(some))? {
            raw += row.request_bytes + row.response_bytes;
            first = first.into_iter().chain([row.started_at_us]).min();
            last = last.into_iter().chain([row.started_at_us]).max();
        }
    }
    Ok((raw, first, last))
}
