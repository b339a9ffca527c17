//! `pinhole captures verify`: whether everything that was kept can be read back as it was.

use std::path::Path;

use serde_json::json;

use crate::cli::Exit;
use crate::cli::captures::args::VerifyArgs;
use crate::cli::captures::open::{folder, query, unsealed};
use crate::cli::captures::progress::Progress;
use crate::cli::place::refuse;
use crate::cli::terminal::{said, say, tell};
use crate::report::words;
use crate::store::db::OpenError;
use crate::store::reader::Reader;
use crate::store::upkeep::Checked;

pub(super) fn run(args: &VerifyArgs) -> Result<Exit, Exit> {
    let asked = args.query.as_deref().map(|text| query(Some(text))).transpose()?;
    let folder = folder(&args.place)?;
    unsealed(&folder, &args.place)?;
    let reader = match Reader::open(&folder) {
        Ok(reader) => reader,
        // There is a file, and it is none that SQLite can read: what this command is there to say.
        Err(OpenError::NotOurs { path }) => return Ok(foreign(&path, args.json)),
        Err(error) => return Err(refuse(&error.to_string(), Exit::Environment)),
    };
    let mut progress = Progress::new("verified");
    let checked = reader.check(asked.as_ref(), |far| progress.at(far.done));
    progress.done();
    let checked = checked.map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    if args.json {
        write_json(&checked);
    } else {
        write(&checked);
    }
    Ok(if checked.is_well() { Exit::Done } else { Exit::Failed })
}

fn foreign(path: &Path, is_json: bool) -> Exit {
    let reason =
        format!("{} is damaged from its beginning, or is no store of pinhole", path.display());
    if is_json {
        said(&json!({ "kind": "database", "reason": reason }).to_string());
        say(&json!({ "kind": "total", "ok": false, "findings": 1 }).to_string());
    } else {
        tell(&format!(
            "error: {reason}; `pinhole captures restore FILE` brings a backup back, or move the file away"
        ));
    }
    Exit::Failed
}

fn write(checked: &Checked) {
    for finding in &checked.findings {
        say(&format!("database: {finding}"));
    }
    for (id, reason) in &checked.damaged {
        say(&format!("{id}: {reason}"));
    }
    let bodies = &checked.bodies;
    let told = format!(
        "{} of {}, {}, decoded and compared",
        words::things(count(bodies.bodies), "body", "bodies"),
        words::things(count(bodies.exchanges), "exchange", "exchanges"),
        words::bytes(bodies.bytes)
    );
    if checked.is_well() {
        say(&format!("all is well: {told}"));
    } else {
        tell(&told);
        tell(&format!(
            "error: {} damaged, {} in the database; `pinhole captures restore FILE` brings a backup back",
            words::things(count(bodies.damaged), "exchange is", "exchanges are"),
            words::things(checked.findings.len(), "finding", "findings")
        ));
    }
}

fn write_json(checked: &Checked) {
    for finding in &checked.findings {
        said(&json!({ "kind": "database", "reason": finding }).to_string());
    }
    for (id, reason) in &checked.damaged {
        said(&json!({ "kind": "exchange", "id": id, "reason": reason }).to_string());
    }
    let bodies = &checked.bodies;
    let total = json!({
        "kind": "total",
        "ok": checked.is_well(),
        "exchanges": bodies.exchanges,
        "bodies": bodies.bodies,
        "bytes": bodies.bytes,
        "damaged": bodies.damaged,
        "findings": checked.findings.len(),
    });
    say(&total.to_string());
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
