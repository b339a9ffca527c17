//! `pinhole usage`: tokens, cost and times of a window, by one or more things; and its costs by today's prices.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::clock;
use crate::cli::Exit;
use crate::cli::args::UsageArgs;
use crate::cli::place::{self, Place, refuse};
use crate::cli::terminal::{say, tell};
use crate::config::prices::Layers;
use crate::price::book::Book;
use crate::report::reprice::{self as report, Repriced};
use crate::report::{ask, usage};
use crate::store::reader::Reader;
use crate::store::reprice;
use crate::store::usage::{Ask, UsageError};

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
    if args.reprice {
        return reprice(args, &ask).unwrap_or_else(|exit| exit);
    }
    let folder = match place::folder(args.config.as_deref(), args.data_dir.as_deref()) {
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

/// What today's prices change in the window; written only when told to.
fn reprice(args: &UsageArgs, ask: &Ask) -> Result<Exit, Exit> {
    let (folder, book) = folder_and_book(args)?;
    let window = ask.window_s();
    let changes = if args.yes {
        reprice::write(&folder, &book, window)
    } else {
        reprice::preview(&folder, &book, window)
    };
    let changes = changes.map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    let repriced = Repriced { changes, window, written: args.yes };
    if args.csv {
        say(report::csv(&repriced).trim_end());
    } else if args.json {
        for line in report::ndjson(&repriced) {
            say(&line);
        }
    } else {
        say(&report::table(&repriced));
        for note in report::notes(&repriced) {
            tell(&note);
        }
    }
    Ok(Exit::Done)
}

/// As the configuration says; without any, the shipped price list and the installed one.
fn folder_and_book(args: &UsageArgs) -> Result<(PathBuf, Arc<Book>), Exit> {
    let place = Place::of(args.config.as_deref(), args.data_dir.as_deref())?;
    if let Some(settings) = place.settings {
        return Ok((place.folder, settings.prices.book));
    }
    let lists = Layers::of(&place.folder, None).and_then(|layers| layers.lists());
    let lists = lists.map_err(|fault| refuse(&fault, Exit::Usage))?;
    Ok((place.folder, Arc::new(Book::new(lists, HashMap::new()))))
}
