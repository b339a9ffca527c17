//! `pinhole usage`: tokens, cost and times of a window, by one or more things.

use std::path::PathBuf;

use crate::base::clock;
use crate::cli::Exit;
use crate::cli::args::UsageArgs;
use crate::cli::serve::tell_findings;
use crate::cli::terminal::{say, tell};
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::settings::Overrides;
use crate::report::{ask, usage};
use crate::store::reader::Reader;
use crate::store::usage::UsageError;

/// Groups of a table when nothing is said; programs get all.
const TABLE_MAX: usize = 50;

pub fn run(args: &UsageArgs) -> Exit {
    let limit = args.limit.or((!args.csv && !args.json).then_some(TABLE_MAX));
    let words = ask::Words {
        by: args.by.iter().map(String::as_str).collect(),
        since: args.since.as_deref(),
        until: args.until.as_deref(),
        limit,
    };
    let now_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
    let ask = match ask::read(&words, now_us) {
        Ok(ask) => ask,
        Err(error) => return refuse(&error, Exit::Usage),
    };
    let folder = match folder(args) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let reader = match Reader::open(&folder) {
        Ok(reader) => reader,
        Err(error) => return refuse(&error.to_string(), Exit::Environment),
    };
    let report = match reader.usage(&ask) {
        Ok(report) => report,
        Err(error @ UsageError::Apart(_)) => return refuse(&format!("by: {error}"), Exit::Usage),
        Err(error) => return refuse(&error.to_string(), Exit::Environment),
    };
    if args.csv {
        say(usage::csv(&report).trim_end());
    } else if args.json {
        for line in usage::ndjson(&report) {
            say(&line);
        }
    } else {
        say(&usage::table(&report));
        for note in usage::notes(&report) {
            tell(&note);
        }
    }
    Exit::Done
}

/// Where the store is: as the flag says, else as the configuration does.
fn folder(args: &UsageArgs) -> Result<PathBuf, Exit> {
    if let (Some(folder), None) = (&args.data_dir, &args.config) {
        return Ok(folder.clone());
    }
    let overrides = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    match load(args.config.as_deref(), &overrides, &Environment::of_process()) {
        Ok(settings) => Ok(settings.server.data_dir),
        Err(findings) => {
            tell_findings(&findings);
            Err(Exit::Usage)
        }
    }
}

fn refuse(error: &str, exit: Exit) -> Exit {
    tell(&format!("error: {error}"));
    exit
}
