//! What the store costs: `cargo bench --bench store`.
//!
//! Rows are made first and written then, so that the process's CPU time is the writer's. The second half fills a year
//! (8,760 hours of 30 combinations of provider, model, key and agent, 200,000 sessions) and asks each report of it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run ends")]

mod rows;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pinhole::base::clock;
use pinhole::store::inbox::Limits;
use pinhole::store::reader::Reader;
use pinhole::store::row::Row;
use pinhole::store::usage::{Ask, By};
use pinhole::store::writer::Writer;
use rustix::time::{ClockId, clock_gettime};

use rows::row;

const ROWS: u64 = 200_000;
/// Rows a batch of the observer's has at full load: some 10,000 a second, 10 ms each.
const BATCH: usize = 100;
const HOURS: u64 = 8_760;
const COMBINATIONS: u64 = 30;
const SESSIONS: u64 = 200_000;
/// 2025-01-01T00:00:00Z.
const YEAR_US: u64 = 1_735_689_600_000_000;
const HOUR_US: u64 = 3_600_000_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows: Vec<Row> = (0..ROWS).map(|n| row(YEAR_US + n * 100, n % 30, n / 20)).collect();
    let (wall_s, cpu_s) = write(folder.path(), rows);
    let bytes = std::fs::metadata(folder.path().join("pinhole.db")).expect("the file").len();
    println!("{ROWS} rows in batches of {BATCH}");
    println!("  rows a second      {:>10.0}", ROWS as f64 / wall_s);
    println!("  CPU a row          {:>10.1} µs", cpu_s * 1e6 / ROWS as f64);
    println!("  bytes a row        {:>10.0}", bytes as f64 / ROWS as f64);

    let folder = tempfile::tempdir().expect("a folder");
    let all = HOURS * COMBINATIONS;
    let of = |n: u64| {
        let (hour, combination) = (n / COMBINATIONS, n % COMBINATIONS);
        row(YEAR_US + hour * HOUR_US + combination * 1_000_000, combination, n * SESSIONS / all)
    };
    let (wall_s, _) = write(folder.path(), (0..all).map(of).collect());
    println!("a year: {all} rows, {SESSIONS} sessions, filled in {wall_s:.1} s; median of 9");
    let reader = Reader::open(folder.path()).expect("the store");
    for words in By::WORDS.iter().map(|word| vec![*word]).chain([
        vec![],
        vec!["tag:team"],
        vec!["model", "day"],
        vec!["provider", "model"],
    ]) {
        println!("  --by {:<22} {:>7.1} ms", words.join(","), ask(&reader, &words));
    }
}

/// Writes all rows as the observer would, as fast as they are taken: wall clock and CPU.
fn write(folder: &Path, rows: Vec<Row>) -> (f64, f64) {
    let mut writer = Writer::start(folder, Limits::default()).expect("a store");
    let count = rows.len() as u64;
    let mut batches = Vec::new();
    let mut rest = rows.into_iter();
    loop {
        let batch: Vec<Row> = rest.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        batches.push(batch);
    }
    let (started, cpu) = (clock::now(), cpu_s());
    let counters = Arc::clone(writer.handle().counters());
    for batch in batches {
        while counters.queued.load(Ordering::Relaxed) > 8_192 {
            std::thread::sleep(Duration::from_millis(1));
        }
        writer.handle().put(batch);
    }
    writer.stop();
    let took = (clock::us_between(started, clock::now()) as f64 / 1e6, cpu_s() - cpu);
    assert_eq!(counters.stored.load(Ordering::Relaxed), count, "{counters:?}");
    took
}

fn ask(reader: &Reader, words: &[&str]) -> f64 {
    let by = words.iter().filter_map(|word| By::parse(word)).collect();
    let ask = Ask {
        by,
        since_us: signed(YEAR_US + HOUR_US),
        until_us: signed(YEAR_US + (HOURS - 1) * HOUR_US),
        limit: Some(50),
    };
    let mut times: Vec<u64> = (0..9)
        .map(|_| {
            let started = clock::now();
            let report = reader.usage(&ask).expect("a report");
            assert!(!report.lines.is_empty());
            clock::us_between(started, clock::now())
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2] as f64 / 1e3
}

fn cpu_s() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a time")
}
