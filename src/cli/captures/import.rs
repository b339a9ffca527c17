//! `pinhole captures import`: exchanges of this or another program, into the store. What is there already stays as it is.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pinhole_replay::recording::{Label, Recording};

use crate::base::id::ExchangeId;
use crate::cli::Exit;
use crate::cli::captures::args::ImportArgs;
use crate::cli::captures::progress::Progress;
use crate::cli::imported::{Imported, Importer};
use crate::cli::keep;
use crate::cli::place::{Place, path, refuse};
use crate::cli::terminal::{said, tell};
use crate::observe::clean;
use crate::report::formats::import::{self, Found, ReadError, Source};
use crate::store::digest_key;
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

/// What became of one file's exchanges.
#[derive(Debug, Default)]
struct Told {
    taken: u64,
    known: u64,
    other: u64,
    damaged: u64,
}

pub(super) fn run(args: &ImportArgs) -> Result<Exit, Exit> {
    if args.query.is_some() {
        let told = "--where asks a store, and what is in a file is in none yet; import it into a folder of its own \
                    (--data-dir DIR) and take over a part: `pinhole captures export --data-dir DIR --where QUERY -o \
                    FILE`, then import that file";
        return Err(refuse(told, Exit::Usage));
    }
    let place = Place::of(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    let mut store = Store::open(&place, args.dry_run)?;
    let mut exit = Exit::Done;
    for file in &args.files {
        let told = store.import(file, args.form)?;
        if args.json {
            said(&json(file, &told, args.dry_run).to_string());
        } else {
            tell(&summary(file, &told, args.dry_run));
        }
        if told.damaged > 0 {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

fn json(file: &Path, told: &Told, dry: bool) -> serde_json::Value {
    serde_json::json!({
        "kind": "file",
        "file": file,
        "dry_run": dry,
        "imported": told.taken,
        "known": told.known,
        "left_out": told.other,
        "damaged": told.damaged,
    })
}

fn summary(file: &Path, told: &Told, dry: bool) -> String {
    let verb = if dry { "would be imported" } else { "imported" };
    let mut parts = vec![format!("{}: {} {verb}", file.display(), told.taken)];
    let counts = [
        (told.known, "there already"),
        (told.other, "of other protocols left out"),
        (told.damaged, "damaged"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    parts.extend(counts.map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
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
    batch_ids: HashSet<ExchangeId>,
    /// Labels wait until what they are on has been written.
    labels: Vec<(ExchangeId, Vec<Label>)>,
}

impl Store {
    fn open(place: &Place, dry: bool) -> Result<Self, Exit> {
        let folder = &place.folder;
        let writer = if dry { None } else { Some(writer(place)?) };
        let reader = match Reader::open(folder) {
            Ok(reader) => Some(reader),
            Err(_) if dry => None,
            Err(error) => return Err(environment(&error)),
        };
        let book = place.settings.as_ref().map(|settings| Arc::clone(&settings.prices.book));
        Ok(Self {
            folder: folder.clone(),
            writer,
            reader,
            importer: Importer::new(book.unwrap_or_default()),
            batch: Vec::new(),
            batch_bytes: 0,
            batch_ids: HashSet::new(),
            labels: Vec::new(),
        })
    }

    fn import(&mut self, file: &Path, source: Option<Source>) -> Result<Told, Exit> {
        let mut from = open(file)?;
        let mut told = Told::default();
        let mut progress = Progress::new("imported");
        let mut failed = None;
        let source = match source {
            Some(source) => Some(source),
            None => guess(&mut from).map_err(|error| unreadable(file, &error))?,
        };
        if let Some(asked) = source.filter(|source| !source.has_answers()) {
            let (name, form) = (file.display(), asked.label());
            let told = format!(
                "`{name}` holds requests without answers ({form}), which are no exchanges; `pinhole replay --from {name}` \
                 sends them"
            );
            return Err(refuse(&told, Exit::Usage));
        }
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
        read.map_err(|error| unreadable(file, &error))?;
        Ok(told)
    }

    fn take(
        &mut self,
        found: Found,
        told: &mut Told,
        (file, source): (&Path, Option<Source>),
    ) -> Result<(), Exit> {
        match found {
            Found::Recording(recording) => {
                let label = source.map_or("unknown", Source::label);
                return self.record(*recording, told, label);
            }
            Found::Damaged { place, reason } => {
                told.damaged += 1;
                if told.damaged <= NAMED_MAX {
                    tell(&format!("{}: {place}: {reason}", file.display()));
                } else if told.damaged == NAMED_MAX + 1 {
                    tell(&format!("{}: more damaged places are only counted", file.display()));
                }
            }
            // Files of lengths are refused before anything is read.
            Found::Other | Found::Lengths(..) => told.other += 1,
            Found::Note(note) => {
                told.damaged += 1;
                tell(&format!("{}: {note}", file.display()));
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        mut recording: Recording,
        told: &mut Told,
        source: &str,
    ) -> Result<(), Exit> {
        let labels = std::mem::take(&mut recording.labels);
        let weight = weight(&recording);
        let imported = match self.importer.take(recording, source) {
            Ok(imported) => imported,
            Err(reason) => {
                told.damaged += 1;
                tell(&reason);
                return Ok(());
            }
        };
        let id = imported.exchange.id;
        if self.is_known(id)? {
            told.known += 1;
            return Ok(());
        }
        told.taken += 1;
        if self.writer.is_none() {
            return Ok(());
        }
        let Imported { row, mut captured, .. } = imported;
        clean::in_force().whole_bodies(&mut captured);
        self.batch.push(Entry { row, captured: Some(Box::new(captured)) });
        self.batch_ids.insert(id);
        self.batch_bytes += weight;
        if !labels.is_empty() {
            self.labels.push((id, labels));
        }
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn is_known(&self, id: ExchangeId) -> Result<bool, Exit> {
        if self.batch_ids.contains(&id) {
            return Ok(true);
        }
        match self.reader.as_ref().map(|reader| reader.find(&id.to_string())) {
            Some(Ok(_)) => Ok(true),
            None | Some(Err(FindError::Unknown(_) | FindError::NoId(_))) => Ok(false),
            Some(Err(error)) => Err(environment(&error)),
        }
    }

    /// Hands over what is there and waits until it is written.
    fn write(&mut self) -> Result<(), Exit> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let handle = writer.handle();
        let lost = || {
            let counters = handle.counters();
            counters.failed.load(Ordering::Relaxed) + counters.dropped.load(Ordering::Relaxed)
        };
        let before = lost();
        handle.put(std::mem::take(&mut self.batch));
        self.batch_ids.clear();
        self.batch_bytes = 0;
        if !handle.flush(WRITTEN_WITHIN) || lost() > before {
            let told = "the store does not take the exchanges; check the disk, and import the file again: what is there \
                        already stays as it is";
            return Err(refuse(told, Exit::Environment));
        }
        for (id, labels) in self.labels.drain(..) {
            for label in labels {
                put_label(&self.folder, id, label);
            }
        }
        Ok(())
    }
}

/// A label that cannot be put is told, and is no reason to stop.
fn put_label(folder: &Path, id: ExchangeId, label: Label) {
    let Label { name, score, note, author, at_us } = label;
    let put = labels::put(folder, &On::Exchange(id), &New { name, score, note, author }, at_us);
    if let Err(error) = put {
        tell(&format!("a label on {id} is left out: {error}"));
    }
}

fn weight(recording: &Recording) -> usize {
    let own = [&recording.request, &recording.response];
    let tried = recording.attempts.iter().flat_map(|tried| [&tried.request, &tried.response]);
    own.into_iter()
        .chain(tried)
        .filter_map(|leg| leg.body.whole())
        .map(|whole| whole.bytes.len())
        .sum()
}

/// The writer, with the redaction that the configuration asks for.
fn writer(place: &Place) -> Result<Writer, Exit> {
    let redact =
        place.settings.as_ref().map(|settings| settings.redact.clone()).unwrap_or_default();
    let key = digest_key::digest_key(&place.folder).map_err(|error| environment(&error))?;
    clean::in_force().start(&redact, key);
    // What is imported is not removed on the way: retention is the gateway's affair.
    let sealed = place.settings.as_ref().and_then(|settings| settings.encryption_key.as_ref());
    let bodies = keep::bodies(&place.folder, sealed).map_err(|error| environment(&error))?;
    Writer::start_with(&place.folder, Limits::default(), Some(bodies))
        .map_err(|error| environment(&error))
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Exit> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(path(file)).map_err(|error| {
        refuse(&format!("`{}` cannot be opened: {error}", file.display()), Exit::Usage)
    })?;
    Ok(Box::new(BufReader::with_capacity(64 * 1024, opened)))
}

fn guess(from: &mut dyn BufRead) -> Result<Option<Source>, ReadError> {
    let beginning = from.fill_buf()?;
    if beginning.is_empty() {
        return Ok(None);
    }
    Source::guess(beginning).map(Some).ok_or(ReadError::Unknown)
}

fn unreadable(file: &Path, error: &ReadError) -> Exit {
    if matches!(error, ReadError::Unknown) {
        let known = Source::ALL.into_iter().filter(|source| source.has_answers());
        let known: Vec<&str> = known.map(Source::label).collect();
        let told = format!(
            "`{}`: its format is not known; name it with --as: {}",
            file.display(),
            known.join(", ")
        );
        return refuse(&told, Exit::Usage);
    }
    refuse(&format!("`{}`: {error}", file.display()), Exit::Usage)
}

fn environment(error: &dyn std::fmt::Display) -> Exit {
    refuse(&error.to_string(), Exit::Environment)
}
