//! `pinhole captures verify`: whether everything that was kept can be read back as it was.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::captures::args::VerifyArgs;
use crate::cli::captures::open::{folder, reader, unsealed};
use crate::cli::captures::progress::Progress;
use crate::cli::place::refuse;
use crate::cli::terminal::{said, say, tell};
use crate::report::words;
use crate::store::upkeep::Checked;

pub(super) fn run(args: &VerifyArgs) -> Result<Exit, Exit> {
    unsealed(&folder(&args.place)?, &args.place)?;
    let reader = reader(&args.place)?;
    let mut progress = Progress::new("verified");
    let checked = reader.check(|far| progress.at(far.done));
    progress.done();
    let checked = checked.map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    if args.json {
        write_json(&checked);
    } else {
        write(&checked);
    }
    Ok(if checked.is_well() { Exit::Done } else { Exit::Failed })
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
        "{} bodies of {} exchanges, {}, decoded and compared",
        bodies.bodies,
        bodies.exchanges,
        words::bytes(bodies.bytes)
    );
    if checked.is_well() {
        say(&format!("all is well: {told}"));
    } else {
        tell(&told);
        tell(&format!(
            "error: {} exchanges are damaged, {} findings in the database; `captures restore` brings a backup back",
            bodies.damaged,
            checked.findings.len()
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
