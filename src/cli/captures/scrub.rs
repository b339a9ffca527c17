//! `pinhole captures scrub`: newer rules of redaction for what is stored already.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::captures::args::ScrubArgs;
use crate::cli::captures::open::{forewarn, query, read, unsealed};
use crate::cli::captures::progress::Progress;
use crate::cli::place::{Place, refuse};
use crate::cli::terminal::{say, tell};
use crate::observe::scrub::Scrubber;
use crate::policy::redact::{self, Redactor};
use crate::report::words;
use crate::store::digest_key;
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::Reader;
use crate::store::scrub::{self, Asked, Policy, Scrubbed};

pub(super) fn run(args: &ScrubArgs) -> Result<Exit, Exit> {
    let place = Place::of(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    let folder = &place.folder;
    let environment = |error: &dyn std::fmt::Display| refuse(&error.to_string(), Exit::Environment);
    unsealed(folder, &args.place)?;
    let reader = Reader::open(folder).map_err(|error| environment(&error))?;
    let key = digest_key::digest_key(folder).map_err(|error| environment(&error))?;
    let scrubber = Scrubber::new(redactor(args, &place, key)?);
    let asked = asked(args, &reader, scrubber.version())?;
    drop(reader);
    let mut progress = Progress::new(if args.yes { "scrubbed" } else { "looked at" });
    let on = |done| progress.at(done);
    let done = if args.yes {
        scrub::scrub(folder, &asked, &scrubber, on)
    } else {
        scrub::preview(folder, &asked, &scrubber, on)
    };
    progress.done();
    let done = done.map_err(|error| environment(&error))?;
    if args.json {
        let mut told = serde_json::to_value(&done).unwrap_or_default();
        told["dry_run"] = json!(!args.yes);
        told["policy_version"] = json!(scrubber.version());
        say(&told.to_string());
    } else {
        write(args, &done);
    }
    Ok(if done.is_clean() { Exit::Done } else { Exit::Failed })
}

/// The configuration's rules, and those of the command line.
fn redactor(args: &ScrubArgs, place: &Place, key: [u8; 32]) -> Result<Redactor, Exit> {
    let mut settings =
        place.settings.as_ref().map(|known| known.redact.clone()).unwrap_or_default();
    for pattern in &args.patterns {
        let pattern = redact::pattern("scrub", pattern)
            .map_err(|error| refuse(&format!("--pattern: {error}"), Exit::Usage))?;
        settings.patterns.push(pattern);
    }
    Ok(Redactor::new(&settings, key))
}

fn asked(args: &ScrubArgs, reader: &Reader, version: u32) -> Result<Asked, Exit> {
    let which = match &args.query {
        Some(text) => query(Some(text))?,
        None => Query::everything(),
    };
    forewarn(reader, &which);
    let mut seqs = Vec::new();
    for seq in read(reader.seqs(&which, Order::Oldest))? {
        seqs.push(read(seq)?);
    }
    let newest = seqs.last().copied().unwrap_or_default();
    if !args.all {
        seqs = read(scrub::not_at(reader, &seqs, version))?;
    }
    Ok(Asked { seqs, newer_than: args.query.is_none().then_some(newest) })
}

fn write(args: &ScrubArgs, done: &Scrubbed) {
    let exchanges = words::things(done.exchanges as usize, "exchange", "exchanges");
    let values = words::things(done.values as usize, "value", "values");
    let texts = words::things(done.texts as usize, "text", "texts");
    if args.yes {
        say(&format!(
            "{exchanges} looked at: {values} replaced, {} flagged as redacted, {texts} of records replaced",
            words::things(done.changed as usize, "exchange", "exchanges")
        ));
    } else {
        say(&format!(
            "{exchanges} looked at: {values} would be replaced, in the bodies or headers of {} and in {texts} of records",
            done.changed
        ));
        tell("nothing was replaced; add --yes to replace");
    }
    for seq in &done.unreadable {
        say(&format!(
            "number {seq}: cannot be decoded; `pinhole captures prune --where id:…` deletes it"
        ));
    }
    for seq in &done.left {
        say(&format!("number {seq}: something is still found in it"));
    }
    for trace in &done.traces {
        say(&format!("{}: a value still stands there, {} times", trace.file, trace.places));
    }
    if args.yes && done.is_clean() {
        say("checked: none of them is left, in no body and in no file of the store");
    } else if args.yes {
        tell(
            "error: something is left, see above; stop `pinhole serve` and run it again, and delete what was kept aside",
        );
    }
    if done.short > 0 {
        let short = words::things(done.short as usize, "value is", "values are");
        tell(&format!(
            "note: {short} too short to be looked for as bytes; bodies and texts were looked through"
        ));
    }
    if args.yes && !args.patterns.is_empty() {
        tell(
            "note: a gateway that runs stores by its own configuration; add the pattern to capture.redact.patterns too",
        );
    }
}
