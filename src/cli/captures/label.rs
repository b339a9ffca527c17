//! `pinhole captures label`: labels, scores and notes on exchanges and sessions, put and taken off.

use std::path::Path;

use serde_json::json;

use crate::base::id::ExchangeId;
use crate::cli::Exit;
use crate::cli::captures::args::LabelArgs;
use crate::cli::captures::open::{folder, now_us, row};
use crate::cli::place::refuse;
use crate::cli::terminal::{say, tell};
use crate::config::env::Environment;
use crate::report::words;
use crate::store::labels::{self, LabelError, New, On};
use crate::store::pins;
use crate::store::query::Query;
use crate::store::reader::Reader;

pub(super) fn run(args: &LabelArgs) -> Result<Exit, Exit> {
    let folder = folder(&args.place)?;
    let (on, written) = match (&args.session, &args.first) {
        (Some(session), label) => (On::Session(session.clone()), label.as_deref()),
        (None, id) => (exchange(&folder, id.as_deref())?, args.second.as_deref()),
    };
    let target = match &on {
        On::Exchange(id) => format!("exchange {id}"),
        On::Session(name) => format!("session {name}"),
    };
    let pinned = (args.pin || args.unpin).then_some(args.pin);
    if let Some(pinned) = pinned {
        pin(&folder, (&on, &target), pinned, args)?;
    }
    let Some(written) = written else {
        let told = "name the label, or use --pin or --unpin";
        return if pinned.is_some() { Ok(Exit::Done) } else { Err(refuse(told, Exit::Usage)) };
    };
    let (name, score) = read(written)?;
    if args.remove {
        let removed = labels::remove(&folder, &on, &name).map_err(|error| refused(&error))?;
        if args.json {
            say(&json!({ "on": target, "name": name, "removed": removed }).to_string());
        } else if removed {
            tell(&format!("{name} removed from {target}"));
        } else {
            tell(&format!("{target} has no label {name}"));
        }
        return Ok(if removed { Exit::Done } else { Exit::Failed });
    }
    let author = Environment::of_process().get("USER").map(str::to_owned);
    let new = New { name, score, note: args.note.clone(), author };
    let label = labels::put(&folder, &on, &new, now_us()).map_err(|error| refused(&error))?;
    if args.json {
        say(&json!({ "on": target, "label": label }).to_string());
    } else {
        let score = label.score.map(|score| format!("={score}")).unwrap_or_default();
        tell(&format!("{}{score} put on {target}", label.name));
    }
    Ok(Exit::Done)
}

fn exchange(folder: &Path, id: Option<&str>) -> Result<On, Exit> {
    let reader =
        Reader::open(folder).map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    let row = row(&reader, id.unwrap_or("last"), &Query::everything())?;
    let id = ExchangeId::parse(&row.id).map(On::Exchange);
    id.ok_or_else(|| refuse("the store has a record without an id", Exit::Environment))
}

fn pin(
    folder: &Path,
    (on, target): (&On, &str),
    pinned: bool,
    args: &LabelArgs,
) -> Result<(), Exit> {
    let changed = pins::set(folder, on, pinned).map_err(|error| refused(&error))?;
    if args.json {
        say(&json!({ "on": target, "pinned": pinned, "changed": changed }).to_string());
        return Ok(());
    }
    let verb = if pinned { "pinned" } else { "unpinned" };
    let many = words::things(changed, "exchange", "exchanges");
    tell(&match (on, changed) {
        (_, 0) => format!("{target} is {verb} already"),
        (On::Exchange(_), _) => format!("{target} is {verb}"),
        (On::Session(_), _) => format!("{target}: {many} {verb}; later ones are not"),
    });
    Ok(())
}

/// `NAME` or `NAME=SCORE`.
fn read(written: &str) -> Result<(String, Option<f64>), Exit> {
    let Some((name, score)) = written.split_once('=') else {
        return Ok((written.to_owned(), None));
    };
    let score = score.trim().parse().map_err(|_| {
        let told = format!("`{}` is no score; use a number such as 0.8", score.escape_debug());
        refuse(&told, Exit::Usage)
    })?;
    Ok((name.trim().to_owned(), Some(score)))
}

fn refused(error: &LabelError) -> Exit {
    let exit = match error {
        LabelError::Open(_) | LabelError::Write(_) => Exit::Environment,
        LabelError::NoExchange(_) | LabelError::NoSession(_) => Exit::Failed,
        _ => Exit::Usage,
    };
    refuse(&error.to_string(), exit)
}
