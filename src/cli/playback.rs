//! `pinhole playback`: recordings served as a provider, until interrupted.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::library::{Library, Rules};
use regex::Regex;
use serde_json::{Value, json};

use crate::cli::captures::open::{forewarn, now_us, read, reader};
use crate::cli::place::{Place, path, refuse};
use crate::cli::playback_args::{FaultArgs, MissArg, PlaybackArgs};
use crate::cli::terminal::{said, say, tell};
use crate::cli::{Exit, serve};
use crate::report::formats::import::{self, Found, Source};
use crate::report::formats::recording;
use crate::report::words;
use crate::simulate::playback::{
    Collection, Counts, Faults, Handle, OnMiss, Options, milliseconds,
};
use crate::simulate::script::{CutKind, Fault};
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::ReadError;

/// Rows that are looked up at once.
const ROWS: usize = 64;
/// How often misses and counts are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Limit: damaged places that are named; the rest is counted.
const NAMED_MAX: u64 = 20;
/// Limit: models that are listed on a terminal.
const MODELS_SHOWN: usize = 12;

pub fn run(args: &PlaybackArgs) -> Exit {
    play(args).unwrap_or_else(|exit| exit)
}

fn play(args: &PlaybackArgs) -> Result<Exit, Exit> {
    let options = Options { on_miss: on_miss(args)?, ..options(args) };
    let collection = collect(args)?;
    if collection.recordings() == 0 {
        return Err(nothing(args, &collection));
    }
    let listener = TcpListener::bind(args.listen).map_err(|error| {
        tell(&serve::cannot_listen("--listen", args.listen, &error));
        Exit::Environment
    })?;
    let serving = serving(&collection);
    let talk = banner(&collection);
    let running = collection
        .serve(listener, options)
        .map_err(|error| refuse(&format!("playback cannot start: {error}"), Exit::Environment))?;
    let banner = || {
        if args.json {
            let mut serving = serving;
            serving["url"] = Value::from(running.url());
            said(&serving.to_string());
        } else {
            say(&format!("playback on {} {talk}", running.url()));
        }
    };
    watch(&running, args.json, banner).map_err(|error| {
        refuse(&format!("signals cannot be watched: {error}"), Exit::Environment)
    })?;
    let counts = running.counts();
    running.stop();
    if args.json {
        said(&line("total", counts).to_string());
    } else {
        tell(&summary(counts));
    }
    Ok(Exit::Done)
}

fn options(args: &PlaybackArgs) -> Options {
    let FaultArgs { cut_after, reset, stall_after, stall, status, retry_after, .. } = args.faults;
    let script = Fault {
        cut_after,
        cut: reset.then_some(CutKind::Rst),
        stall_after,
        stall: stall.map(milliseconds),
        ..Fault::default()
    };
    let first_token = args.faults.slow_first_token;
    let mut faults =
        Faults { script, status, retry_after_s: retry_after, first_token, ..Faults::default() };
    if faults != Faults::default() {
        faults.every = args.faults.every;
    }
    Options { speed: args.speed, faults, ..Options::default() }
}

fn on_miss(args: &PlaybackArgs) -> Result<OnMiss, Exit> {
    match (args.miss, &args.forward) {
        (MissArg::Error, None) => Ok(OnMiss::Error),
        (MissArg::Nearest, None) => Ok(OnMiss::Nearest),
        (MissArg::Forward, None) => {
            let told = "--miss forward needs --forward PROVIDER, a provider of the configuration";
            Err(refuse(told, Exit::Usage))
        }
        (MissArg::Error | MissArg::Nearest, Some(_)) => {
            Err(refuse("--forward goes with --miss forward only", Exit::Usage))
        }
        (MissArg::Forward, Some(name)) => {
            let place = Place::of(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
            let providers = place.settings.map(|settings| settings.providers).unwrap_or_default();
            let names: Vec<&str> = providers.iter().map(|provider| &*provider.id).collect();
            let found = providers.iter().find(|provider| *provider.id == **name);
            found.map(|provider| OnMiss::Forward(Arc::clone(provider))).ok_or_else(|| {
                let there = if names.is_empty() {
                    "no provider is configured".to_owned()
                } else {
                    format!("configured are {}", names.join(", "))
                };
                refuse(&format!("--forward: no provider `{name}`; {there}"), Exit::Usage)
            })
        }
    }
}

fn rules(args: &PlaybackArgs) -> Result<Rules, Exit> {
    let mut rules = Rules::usual();
    for rule in &args.ignore {
        let added = rules.ignore(rule);
        added.map_err(|error| refuse(&format!("--ignore: {error}"), Exit::Usage))?;
    }
    if !args.ignore_text.is_empty() {
        let patterns = args.ignore_text.clone();
        rules.set_mask(Arc::new(move |text| masked(&patterns, text)));
    }
    Ok(rules)
}

fn masked<'a>(patterns: &[Regex], text: &'a str) -> Cow<'a, str> {
    let mut masked = Cow::Borrowed(text);
    for pattern in patterns {
        if let Cow::Owned(changed) = pattern.replace_all(&masked, "\u{0}") {
            masked = Cow::Owned(changed);
        }
    }
    masked
}

fn collect(args: &PlaybackArgs) -> Result<Collection, Exit> {
    let mut collection = Collection::new(Library::new(rules(args)?, args.after.into()));
    match args.from.as_deref() {
        Some(from) if is_file(from) => of_file(from, args, &mut collection)?,
        from => of_store(from, args, &mut collection)?,
    }
    Ok(collection)
}

/// A file that is there, or a name that can be nothing else: queries have neither slashes outside of values nor endings.
pub(in crate::cli) fn is_file(from: &str) -> bool {
    let named = Path::new(from);
    let endings = ["bundle", "har", "ndjson", "jsonl", "json", "flows", "cbor", "zst"];
    let ending = named.extension().and_then(|ending| ending.to_str());
    let looks = !from.contains(':') && ending.is_some_and(|ending| endings.contains(&ending));
    from == "-" || looks || path(named).is_file()
}

fn of_store(
    from: Option<&str>,
    args: &PlaybackArgs,
    collection: &mut Collection,
) -> Result<(), Exit> {
    let query = match from {
        None => Query::all(),
        Some(text) => Query::parse(text, now_us()).map_err(|error| {
            tell(&error.underlined(text));
            refuse(&format!("--from: {error}, nor is there a file of that name"), Exit::Usage)
        })?,
    };
    let reader = reader(&args.place)?;
    forewarn(&reader, &query);
    let mut found = read(reader.seqs(&query, Order::Oldest))?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let many = usize::try_from(left).unwrap_or(ROWS).min(ROWS);
        let seqs: Result<Vec<i64>, ReadError> = found.by_ref().take(many).collect();
        let seqs = read(seqs)?;
        if seqs.is_empty() {
            break;
        }
        left -= seqs.len() as u64;
        for row in read(reader.listed(&seqs))? {
            let stored = reader
                .salvage(row)
                .map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
            if stored.damage.is_empty() {
                collection.push(&recording::of(stored));
            } else {
                collection.leave_out("it is damaged; `pinhole captures verify` says where");
            }
        }
    }
    Ok(())
}

fn of_file(from: &str, args: &PlaybackArgs, collection: &mut Collection) -> Result<(), Exit> {
    let mut file: Box<dyn BufRead> = if from == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let opened = File::open(path(Path::new(from)));
        let opened = opened.map_err(|error| {
            refuse(&format!("--from: `{from}` cannot be opened: {error}"), Exit::Usage)
        })?;
        Box::new(BufReader::with_capacity(64 * 1024, opened))
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut damaged = 0;
    let beginning = file.fill_buf().map_err(|error| unreadable(from, &error.into()))?;
    let source = Source::guess(beginning);
    if let Some(asked) = source.filter(|source| !source.has_answers()) {
        let told = format!(
            "--from: `{from}` holds requests without answers ({}): there is nothing to play; `pinhole replay --from {from}` \
             sends them",
            asked.label()
        );
        return Err(refuse(&told, Exit::Usage));
    }
    let finished = import::read(&mut file, source, &mut |found| {
        match found {
            Found::Recording(recording) => {
                collection.push(&recording);
                left = left.saturating_sub(1);
            }
            Found::Damaged { place, reason } => {
                damaged += 1;
                collection.leave_out("it is damaged");
                if damaged <= NAMED_MAX {
                    tell(&format!("{from}: {place}: {reason}"));
                }
            }
            Found::Other | Found::Lengths(..) => {
                collection.leave_out("it is no exchange with a model's provider");
            }
            Found::Note(note) => tell(&format!("{from}: {note}")),
        }
        left > 0
    });
    finished.map_err(|error| unreadable(from, &error))
}

fn unreadable(from: &str, error: &import::ReadError) -> Exit {
    refuse(&format!("--from: `{from}`: {error}"), Exit::Usage)
}

fn nothing(args: &PlaybackArgs, collection: &Collection) -> Exit {
    for (reason, count) in collection.left_out() {
        tell(&format!("{count} left out: {reason}"));
    }
    let from = args.from.as_deref().map_or_else(String::new, |from| format!(" in `{from}`"));
    let remedy = if collection.left_out().is_empty() {
        "`pinhole captures ls` lists what there is, in the store that --data-dir or --config names"
    } else {
        "bodies are kept at capture.level = \"full\""
    };
    refuse(&format!("nothing to play{from}; {remedy}"), Exit::Usage)
}

fn serving(collection: &Collection) -> Value {
    json!({
        "kind": "serving",
        "url": null,
        "recordings": collection.recordings(),
        "questions": collection.questions(),
        "bytes": collection.bytes(),
        "redacted": collection.redacted(),
        "models": collection.models().collect::<Vec<_>>(),
        "left_out": collection.left_out(),
    })
}

fn banner(collection: &Collection) -> String {
    let many = usize::try_from(collection.recordings()).unwrap_or(usize::MAX);
    let many = words::things(many, "recording", "recordings");
    let asked = words::things(collection.questions(), "request", "different requests");
    let models: Vec<&str> = collection.models().collect();
    let mut shown = models.iter().take(MODELS_SHOWN).copied().collect::<Vec<_>>().join(", ");
    if models.len() > MODELS_SHOWN {
        shown.push_str(", …");
    }
    let mut lines = vec![format!("({many} of {asked}; models: {shown})")];
    let left_out = collection.left_out().iter();
    lines.extend(left_out.map(|(reason, count)| format!("{count} left out: {reason}")));
    if collection.redacted() > 0 {
        let many = words::things(collection.redacted(), "answer has", "answers have");
        lines.push(format!("{many} placeholders for what was redacted"));
    }
    lines.join("\n  ")
}

/// Tells misses and counts until a signal comes. `ready` is called when signals are watched: whoever has read that it serves
/// may send one.
fn watch(running: &Handle, is_json: bool, ready: impl FnOnce()) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut before = Counts::default();
    runtime.block_on(async {
        let ended = serve::end_signal();
        tokio::pin!(ended);
        // The first look at it is what begins to watch.
        if let Ok(stopped) = tokio::time::timeout(std::time::Duration::ZERO, &mut ended).await {
            return stopped;
        }
        ready();
        loop {
            let stopped = tokio::time::timeout(TICK, &mut ended).await;
            told(running, is_json, &mut before);
            if let Ok(stopped) = stopped {
                return stopped;
            }
        }
    })
}

fn told(running: &Handle, is_json: bool, before: &mut Counts) {
    for missed in running.misses() {
        if is_json {
            let mut value = json!({"kind": "miss", "method": missed.method, "path": missed.path});
            if let (Some(all), Value::Object(facts)) = (value.as_object_mut(), missed.facts) {
                all.extend(facts);
            }
            said(&value.to_string());
        } else {
            tell(&format!("miss: {}", missed.words));
        }
    }
    let counts = running.counts();
    if is_json && counts != *before {
        said(&line("counts", counts).to_string());
    }
    *before = counts;
}

fn line(kind: &str, counts: Counts) -> Value {
    let Counts { exact, near, missed, forwarded, faulted } = counts;
    json!({
        "kind": kind, "exact": exact, "near": near, "miss": missed, "forwarded": forwarded, "faulted": faulted,
    })
}

fn summary(counts: Counts) -> String {
    let Counts { exact, near, missed, forwarded, faulted } = counts;
    format!(
        "{exact} exact, {near} near, {missed} missed, {forwarded} forwarded, {faulted} with faults"
    )
}
