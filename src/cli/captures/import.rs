//! `pinhole captures import`: exchanges of this or another program, into the store. What is there already stays as it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use pinhole_replay::recording::{Label, Recording};

use crate::base::id::ExchangeId;
use crate::cli::Exit;
use crate::cli::args::PlaceArgs;
use crate::cli::captures::progress::Progress;
use crate::cli::imported::{Imported, Importer};
use crate::cli::place::{Place, path, refuse};
use crate::cli::terminal::tell;
use crate::report::formats::import::{self, Found, Source};
use crate::store::entry::Entry;
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

/// What, and as what.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files to read; `-`: standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What they are; absent: told by how they begin.
    #[arg(long = "as", value_name = "FORMAT", value_parser = sources())]
    pub form: Option<Source>,
    /// Write nothing; say what would be.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn sources() -> impl clap::builder::TypedValueParser<Value = Source> {
    PossibleValuesParser::new(Source::ALL.map(Source::label))
        .map(|word| Source::parse(&word).unwrap_or(Source::Ndjson))
}

/// What became of one file's exchanges.
#[derive(Debug, Default)]
struct Told {
    taken: u64,
    known: u64,
    other: u64,
    damaged: u64,
}

pub(super) fn run(args: &ImportArgs) -> Result<Exit, Exit> {
    let place = Place::of(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    let mut store = Store::open(&place, args.dry_run)?;
    let mut exit = Exit::Done;
    for file in &args.files {
        let told = store.import(file, args.form)?;
        tell(&summary(file, &told, args.dry_run));
        if told.damaged > 0 {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

fn summary(file: &Path, told: &Told, dry: bool) -> String {
    let verb = if dry { "would be imported" } else { "imported" };
    let mut text = format!("{}: {} {verb}", file.display(), told.taken);
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
struct Store {
    folder: PathBuf,
    /// `None`: nothing is written.
    writer: Option<Writer>,
    /// `None`: there is no store yet, and none is made.
    reader: Option<Reader>,
    importer: Importer,
    batch: Vec<Entry>,
    batch_bytes: usize,
    /// Labels wait until what they are on has been written.
    labels: Vec<(ExchangeId, Vec<Label>)>,
}

impl Store {
    fn open(place: &Place, dry: bool) -> Result<Self, Exit> {
        let environment = |error: &dyn std::fmt::Display| refuse(&error.to_string(), Exit::Environment);
        let writer = match dry {
            true => None,
            false => Some(
                Writer::start(&place.folder, Limits::default()).map_err(|error| environment(&error))?,
            ),
        };
        let reader = Reader::open(&place.folder);
        let reader = if dry { reader.ok() } else { Some(reader.map_err(|error| environment(&error))?) };
        let book = place.settings.as_ref().map(|settings| Arc::clone(&settings.prices.book));
        Ok(Self {
            folder: place.folder.clone(),
            writer,
            reader,
            importer: Importer::new(book.unwrap_or_default()),
            batch: Vec::new(),
            batch_bytes: 0,
            labels: Vec::new(),
        })
    }

    fn import(&mut self, file: &Path, source: Option<Source>) -> Result<Told, Exit> {
        let mut from = open(file)?;
        let mut told = Told::default();
        let mut progress = Progress::new("imported");
        let mut failed = None;
        let read = import::read(&mut from, source, &mut |found| {
            match self.take(found, &mut told, (file, source)) {
                Ok(()) => progress.at(told.taken),
                Err(exit) => failed = Some(exit),
            }
            failed.is_none()
        });
        progress.done();
        if let Some(exit) = failed {
            return Err(exit);
        }
        // What was read before an error stays.
        self.write()?;
        read.map_err(|error| refuse(&format!("`{}`: {error}", file.display()), Exit::Usage))?;
        Ok(told)
    }
}
