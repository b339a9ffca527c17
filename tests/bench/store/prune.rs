//! How long a batch waits while a hundred thousand exchanges are deleted beside it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pinhole::base::clock;
use pinhole::store::capture::{BodyIn, Captured, Content, LegIn};
use pinhole::store::entry::Entry;
use pinhole::store::inbox::Limits;
use pinhole::store::row::Row;
use pinhole::store::upkeep;
use pinhole::store::vault::{NoClean, Vault};
use pinhole::store::writer::Writer;

/// The oldest exchanges, which go.
const PRUNED: i64 = 100_000;
/// Exchanges that have bodies: those that go, and as many that stay.
pub(crate) const WITH_BODIES: u64 = 200_000;
/// Records of a batch, as the observer hands them on under load.
const BATCH: u64 = 100;
/// What a batch may wait, ms.
const GOAL: f64 = 50.0;

/// Where bodies go, as in a gateway.
pub(crate) fn writer(folder: &Path) -> Writer {
    let vault = Vault::new(Box::new(NoClean), None);
    Writer::start_with(folder, Limits::default(), Some(Box::new(vault))).expect("a store")
}

/// A question that begins as the others do and an answer of its own, some hundred bytes each.
pub(crate) fn with_bodies(n: u64, row: Row) -> Entry {
    let noise = blake3::hash(&n.to_le_bytes()).to_hex();
    let leg = |text: String| LegIn {
        body: BodyIn::Content(Content { bytes: text.into_bytes().into(), ..Content::default() }),
        ..LegIn::default()
    };
    let system = "You are a careful agent that reads files and answers. ".repeat(8);
    let request = format!(
        r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"n":{n},"q":"{noise}"}}]}}"#
    );
    let response =
        format!(r#"{{"id":"{n}","choices":[{{"message":{{"content":"{noise}{n}{noise}"}}}}]}}"#);
    let captured =
        Captured { request: leg(request), response: leg(response), ..Captured::default() };
    Entry { row, captured: Some(Box::new(captured)) }
}

/// Prints how long batches took alone and beside the deletion; true: the goal was missed.
pub(crate) fn measure(folder: &Path, record: impl Fn(u64) -> Row, from: u64) -> bool {
    let writer = writer(folder);
    let mut n = from;
    let mut batch = || {
        let rows: Vec<Row> = (n..n + BATCH).map(&record).collect();
        n += BATCH;
        let started = clock::now();
        writer.handle().put(rows);
        assert!(writer.handle().flush(Duration::from_mins(1)), "the writer does not answer");
        clock::us_between(started, clock::now()) as f64 / 1e3
    };
    let alone: Vec<f64> = (0..500).map(|_| batch()).collect();
    let ended = AtomicBool::new(false);
    let (beside, took) = std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let started = clock::now();
            let seqs: Vec<i64> = (1..=PRUNED).collect();
            let pruned = upkeep::prune(folder, &seqs, false, |_| ()).expect("a deletion");
            ended.store(true, Ordering::Relaxed);
            assert_eq!(pruned.records, PRUNED.unsigned_abs());
            clock::us_between(started, clock::now()) as f64 / 1e6
        });
        let mut beside = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            beside.push(batch());
            // Some thousand exchanges a second.
            std::thread::sleep(Duration::from_millis(20));
        }
        (beside, pruning.join().expect("the deletion"))
    });
    println!("{PRUNED} exchanges with bodies deleted in {took:.1} s; a batch of {BATCH} took");
    let mut worst = 0.0;
    for (what, mut times) in [("alone", alone), ("beside", beside)] {
        times.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        worst = at(100);
        println!(
            "  {what:<7} median {:>6.2} ms  p99 {:>6.2} ms  worst {worst:>6.2} ms",
            at(50),
            at(99)
        );
    }
    println!("  goal: never more than {GOAL} ms{}", if worst > GOAL { "  missed" } else { "" });
    worst > GOAL
}
