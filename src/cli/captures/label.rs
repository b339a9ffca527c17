//! `pinhole captures label`: labels, scores and notes on exchanges and sessions, put and taken off.

use serde_json::json;

use crate::base::id::ExchangeId;
use crate::cli::Exit;
use crate::cli::captures::args::LabelArgs;
use crate::cli::captures::open::{folder, now_us, row};
use crate::cli::place::refuse;
use crate::cli::terminal::{say, tell};
use crate::config::env::Environment;
use crate::store::labels::{self, LabelError, New, On};
use crate::store::query::Query;
use crate::store::reader::Reader;

pub(super) fn run(args: &LabelArgs) -> Result<Exit, Exit> {
    let folder = folder(&args.place)?;
    let (on, written) = match (&args.session, &args.second) {
        (Some(session), _) => (On::Session(session.clone()), args.first.as_str()),
        (None, Some(label)) => {
            let reader = Reader::open(&folder)
                .map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
            let row = row(&reader, &args.first, &Query::everything())?;
            let id = ExchangeId::parse(&row.id)
                .ok_or_else(|| refuse("the store has a record without an id", Exit::Environment))?;
            (On::Exchange(id), label.as_str())
        }
        (None, None) => return Err(refuse("name the label", Exit::Usage)),
    };
    let target = match &on {
        On::Exchange(id) => format!("exchange {id}"),
        On::Session(name) => format!("session {name}"),
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
