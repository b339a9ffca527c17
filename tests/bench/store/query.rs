//! What queries cost on a million records: `cargo bench --bench query`. With `-- FOLDER` a store that is there is asked
//! instead, and brought up to date before.
//!
//! Goals: the newest page of 50 within 5 ms, with any filter that has an index within 50 ms. Records are spread over 30 days;
//! values are common (one in three), rare (one in ten thousand) or all but absent (five in all), and thresholds lie in the
//! middle of what the skip index takes together. Each figure is the median of nine, the first of them with a cold cache.
//!
//! Then the oldest hundred thousand are deleted, with their bodies, while a writer goes on: no batch may wait 50 ms.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run ends")]

mod prune;
mod rows;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pinhole::base::clock;
use pinhole::exchange::outcome::Outcome;
use pinhole::exchange::signal::Signal;
use pinhole::neutral::usage::Usage;
use pinhole::store::entry::Entry;
use pinhole::store::query::Query;
use pinhole::store::query::page::Page;
use pinhole::store::reader::Reader;
use pinhole::store::row::Row;

const ROWS: u64 = 1_000_000;
const BATCH: u64 = 500;
const LIMIT: usize = 50;
/// 2026-11-20T12:00:00Z, when the last record was made.
const NOW_US: u64 = 1_795_176_000_000_000;
/// Thirty days of them.
const APART_US: u64 = 2_592_000;

/// The query, and its goal in milliseconds.
const ASKED: &[(&str, f64)] = &[
    ("", 5.0),
    ("model:model-3*", 50.0),
    ("provider:openai status:200", 50.0),
    ("status:5xx", 50.0),
    ("status:5xx provider:gemini model:model-5*", 50.0),
    ("error:overloaded agent:codex", 50.0),
    ("user:rare", 50.0),
    ("user:once", 50.0),
    ("user:once OR user:rare status:5xx", 50.0),
    ("model:no-such", 50.0),
    ("tag.team:team-3", 50.0),
    ("tag.ticket:t-777", 50.0),
    ("tag.ticket:none-such", 50.0),
    ("path:/v1/files/777777", 50.0),
    ("tool:deploy", 50.0),
    ("signal:stall", 50.0),
    ("session:019aa000-0000-7000-8000-000000012345", 50.0),
    ("ttft:>2s", 50.0),
    ("ttft:>30s", 50.0),
    ("ttft:>22s", 50.0),
    ("duration:>10s tokens.out:<50", 50.0),
    ("tokens.in:>150k", 50.0),
    ("cost:>$0.10", 50.0),
    ("cost:>$1", 50.0),
    ("since:2h", 50.0),
    ("until:20d", 50.0),
    ("since:20d until:19d status:5xx", 50.0),
    ("(provider:openai OR provider:anthropic) ttft:>2s since:7d -status:200", 50.0),
    ("-provider:openai", 50.0),
    ("requested:model-7*", 50.0),
    ("dialect:openai_chat", 50.0),
    ("operation:embeddings", 50.0),
    ("upstream.status:5xx", 50.0),
    ("outcome:upstream_error", 50.0),
    ("finish:length", 50.0),
    ("stream:false", 50.0),
    ("overhead:>1s", 50.0),
    ("tokens.cache:>1M", 50.0),
    ("usage:estimated", 50.0),
    ("agent:none-such", 50.0),
    ("key:ci", 50.0),
    ("method:GET", 50.0),
    ("level:full", 50.0),
    ("redacted:true", 50.0),
    ("replayable:true", 50.0),
    ("modified:true", 50.0),
    ("pinned:true", 50.0),
    ("label:none-such", 50.0),
    ("run:019aa000-0000-7000-8000-000000012345", 50.0),
    ("id:019aa000-0000-7000-8000-000000012345", 50.0),
    ("path:/v1/files/*", 50.0),
];

fn main() {
    if let Some(given) = std::env::args().skip(1).find(|word| !word.starts_with('-')) {
        let started = clock::now();
        prune::writer(Path::new(&given)).stop();
        let opened_s = clock::us_between(started, clock::now()) as f64 / 1e6;
        println!("opened and closed in {opened_s:.1} s");
        return ask_all(Path::new(&given));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let started = clock::now();
    fill(folder.path());
    let filled_s = clock::us_between(started, clock::now()) as f64 / 1e6;
    let bytes = std::fs::metadata(folder.path().join("pinhole.db")).expect("the file").len();
    println!("{ROWS} records, {} MB, filled in {filled_s:.0} s; a page of {LIMIT}", bytes >> 20);
    ask_all(folder.path());
    prune::measure(folder.path(), record, ROWS);
}

fn ask_all(folder: &Path) {
    println!("{:>9} {:>9} {:>6} {:>6}  query", "median", "first", "goal", "found");
    let mut missed = 0;
    for (text, goal) in ASKED {
        let (median, first, found) = ask(folder, text);
        let mark = if median > *goal { "  missed" } else { "" };
        missed += usize::from(median > *goal);
        println!("{median:>6.2} ms {first:>6.2} ms {goal:>6} {found:>6}  {text}{mark}");
    }
    println!("{missed} of {} miss their goal", ASKED.len());
}

fn ask(folder: &Path, text: &str) -> (f64, f64, usize) {
    let now = i64::try_from(NOW_US).expect("a time");
    let query = Query::parse(text, now).expect("a query");
    let mut found = 0;
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            // A reader each: as on the command line, nothing is prepared.
            let started = clock::now();
            let reader = Reader::open(folder).expect("the store");
            found = reader.list(&query, &Page::newest(LIMIT)).expect("a page").len();
            clock::us_between(started, clock::now()) as f64 / 1e3
        })
        .collect();
    let first = times[0];
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], first, found)
}

fn fill(folder: &Path) {
    let mut writer = prune::writer(folder);
    let counters = std::sync::Arc::clone(writer.handle().counters());
    for batch in 0..ROWS / BATCH {
        while counters.queued.load(Ordering::Relaxed) > 8_192 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let entry = |n| match n {
            0..prune::WITH_BODIES => prune::with_bodies(n, record(n)),
            _ => Entry::from(record(n)),
        };
        writer.handle().put((batch * BATCH..(batch + 1) * BATCH).map(entry).collect());
    }
    writer.stop();
    assert_eq!(counters.stored.load(Ordering::Relaxed), ROWS, "{counters:?}");
}

/// The record of this number; what looks random is the same at each run.
fn record(n: u64) -> Row {
    let mut row = rows::row(NOW_US + n * APART_US - ROWS * APART_US, n % 30, n / 20);
    let any = |salt: u64, of: u64| {
        let mixed = (n ^ (salt << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) % of
    };
    // From 50 ms to about 100 s, as many in each doubling.
    let spread = |salt: u64, least: u64| (least << (any(salt, 11))) + any(salt + 1, least);
    let signed = |number: u64| i64::try_from(number).expect("a number");
    row.ttft_us = Some(signed(spread(1, 20_000)));
    row.duration_us = signed(spread(3, 100_000));
    row.cost_nanousd = Some(signed(spread(5, 200_000)));
    if let Some(attempt) = row.attempts.first_mut() {
        attempt.usage =
            Usage { input: Some(spread(7, 100)), output: Some(any(9, 900)), ..attempt.usage };
    }
    if any(11, 97) == 0 {
        row.status = Some(503);
        row.outcome = Outcome::UpstreamError;
        row.error_source = Some("upstream".into());
        row.error_kind = Some("overloaded".into());
    }
    if any(12, 10_000) == 0 {
        row.user_label = Some("rare".to_owned());
        row.signals.add(Signal::Stall);
        row.tools.push(("deploy".to_owned(), 1));
    }
    if n % (ROWS / 5) == 1_234 {
        row.user_label = Some("once".to_owned());
        row.cost_nanousd = Some(2_000_000_000);
        row.ttft_us = Some(60_000_000);
    }
    if any(13, 50) == 0 {
        row.path = format!("/v1/files/{n}");
    }
    row.tags.push(("ticket".to_owned(), format!("t-{}", any(14, 50_000))));
    row
}
