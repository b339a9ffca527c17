//! `pinhole captures import`: exchanges of this or another program, into the store. What is there already stays as it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pinhole_replay::recording::{Label, Recording};

use crate::base::id::ExchangeId;
use crate::cli::Exit;
use crate::cli::captures::args::ImportArgs;
use crate::cli::captures::progress::Progress;
use crate::cli::imported::{Imported, Importer};
use crate::cli::place::{Place, path, refuse};
use crate::cli::terminal::tell;
use crate::report::formats::import::{self, Found, Source};
use crate::store::inbox::Limits;
use crate::store::labels::{self, New, On};
use crate::store::query::page::FindError;
use crate::store::reader::Reader;
use crate::store::writer::Writer;

/// Exchanges handed to the writer at once; it is waited for before the next.
const BATCH: usize = 128;
/// Bytes of them.
const BATCH_BYTES: usize = 64 * 1024 * 1024;
/// Limit: how long one batch may take to be written.
const WRITTEN_WITHIN: Duration = Duration::from_mins(10);
/// Limit: damaged places that are named; the rest is counted.
const NAMED_MAX: u64 = 20;

/// What became of one file's exchanges.
#[derive(Default)]
struct Told {
    taken: u64,
    known: u64,
    other: u64,
    damaged: u64,
}

pub(super) fn run(args: &ImportArgs) -> Result<Exit, Exit> {
    let place = Place::of(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    let mut store = Store::open(&place)?;
    let mut exit = Exit::Done;
    for file in &args.files {
        let told = store.read(file, args.form.map(Source::from))?;
        tell(&summary(file, &told));
        if told.damaged > 0 {
            exit = Exit::Failed;
        }
    }
    store.writer.stop();
    Ok(exit)
}

fn summary(file: &Path, told: &Told) -> String {
    let mut text = format!("{}: {} imported", file.display(), told.taken);
    for (count, what) in [
        (told.known, "there already"),
        (told.other, "of other protocols left out"),
        (told.damaged, "damaged"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// Where exchanges go.
struct Store<'a> {
    place: &'a Place,
    writer: Writer,
    reader: Reader,
    importer: Importer,
    /// What the next batch has.
    batch: Vec<Imported>,
    batch_bytes: usize,
    /// Labels wait until what they are on has been written.
    labels: Vec<(ExchangeId, Vec<Label>)>,
}
