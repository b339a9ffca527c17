//! How small bodies become and what that costs: `cargo bench --bench capture`.
//!
//! The traffic is made from a seed (`traffic`, `words`) of words that no dictionary was trained on. What is compared with
//! the goals is the whole file after a checkpoint, and for each exchange the record of `RECORD` bytes that goes with it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run ends")]
#![expect(clippy::indexing_slicing, reason = "a benchmark that is wrong ends")]

mod corpus;
mod heads;
mod traffic;
mod train;
mod words;

use std::io::Write;
use std::path::Path;

use pinhole::base::clock;
use pinhole::dialect::outline::outline;
use pinhole::store::stored::Body;
use pinhole::store::vault::{self, NoClean, Shelf, Slot, Vault};
use rusqlite::{Connection, TransactionBehavior};
use rustix::time::{ClockId, clock_gettime};
use traffic::Sent;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of an exchange's record and what indexes it, about.
const RECORD: u64 = 350;
/// Exchanges after which dictionaries are trained, once.
const TRAIN_AFTER: i64 = 1_000;
/// Exchanges of one transaction.
const BATCH: usize = 64;

fn main() {
    if std::env::args().any(|argument| argument == "--train") {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        return train::train(&root.join("src/store/vault/dictionaries"));
    }
    let named: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    for (name, run) in [("agents", agents as fn()), ("chats", chats), ("unique", unique)] {
        if named.is_empty() || named.iter().any(|one| one == name) {
            run();
        }
    }
}

fn agents() {
    let sent = traffic::sessions(1, 8);
    let raw: usize = sent.iter().map(Sent::raw).sum();
    let requests: usize = sent.iter().map(|one| one.request().len()).sum();
    println!("agent sessions: {} exchanges, {:.1} MB of bodies", sent.len(), raw as f64 / 1e6);
    let began = cpu_s();
    let cuts: usize = sent.iter().map(|one| outline(one.request()).cuts.len()).sum();
    let outline_s = cpu_s() - began;
    println!(
        "  outline            {:>10.0} MB/s, {:.0} cuts each",
        requests as f64 / 1e6 / outline_s,
        cuts as f64 / sent.len() as f64
    );
    let one = longest(&sent);
    let all = concatenated(&sent);
    let folder = tempfile::tempdir().expect("a folder");
    let filled = fill(folder.path(), &sent);
    report(&filled, sent.len(), raw);
    println!("  zstd -3 --long=27  {:>10} bytes, 1/{:.0} of raw", all, raw as f64 / all as f64);
    let ours = filled.file_bytes + RECORD * sent.len() as u64;
    println!("  of that            {:>10.2}   (goal 1.20, with records)", ours as f64 / all as f64);
    println!(
        "  outline and store  {:>10.0} MB/s of request bodies   (goal 200)",
        requests as f64 / 1e6 / (outline_s + filled.cpu_s)
    );
    open(folder.path(), &sent, one);
}

fn chats() {
    let sent = traffic::chats(2, 20_000);
    let raw: usize = sent.iter().map(Sent::raw).sum();
    println!(
        "chats with a shared prompt: {} exchanges, {} bytes each",
        sent.len(),
        raw / sent.len()
    );
    let folder = tempfile::tempdir().expect("a folder");
    let filled = fill(folder.path(), &sent);
    report(&filled, sent.len(), raw);
    let ours = filled.file_bytes + RECORD * sent.len() as u64;
    println!("  of raw             {:>10.3}   (goal 0.25, with records)", ours as f64 / raw as f64);
}

fn unique() {
    let sent = traffic::unique(3, 4_000);
    let raw: usize = sent.iter().map(Sent::raw).sum();
    println!("unique texts: {} exchanges, {} bytes each", sent.len(), raw / sent.len());
    let (train, _) = sent.split_at(1_000);
    let samples: Vec<Vec<u8>> = train.iter().map(row).collect();
    let dictionary = zstd::dict::from_samples(&samples, 112 * 1024).expect("a dictionary");
    let mut packer = zstd::bulk::Compressor::with_dictionary(3, &dictionary).expect("zstd");
    let folder = tempfile::tempdir().expect("a folder");
    let filled = fill(folder.path(), &sent);
    report(&filled, sent.len(), raw);
    let after = sent.iter().skip(filled.trained_at);
    let rows: usize = after.map(|one| packer.compress(&row(one)).expect("zstd").len()).sum();
    println!("  rows, dictionary   {rows:>10} bytes");
    let ours = filled.after_bytes as f64 / rows as f64;
    println!(
        "  blobs of that      {ours:>10.3}   (goal 1.10; both of what came after the training)"
    );
}

fn row(one: &Sent) -> Vec<u8> {
    [one.request(), one.answer()].concat()
}

struct Filled {
    file_bytes: u64,
    blob_bytes: u64,
    cpu_s: f64,
    /// Exchanges before dictionaries were trained, and the blobs of those behind.
    trained_at: usize,
    after_bytes: u64,
}

/// Writes all of it as the writer does, and reads each exchange back by itself.
fn fill(folder: &Path, sent: &[Sent]) -> Filled {
    let path = folder.join("pinhole.db");
    let mut connection = Connection::open(&path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA page_size = 16384; PRAGMA auto_vacuum = incremental; PRAGMA journal_mode = wal;
             PRAGMA synchronous = normal; PRAGMA cache_size = -8000;",
        )
        .expect("settings");
    connection
        .execute_batch(include_str!("../../../src/store/schema/0002_bodies.sql"))
        .expect("the schema");
    let mut vault = Vault::new(Box::new(NoClean), None);
    let began = cpu_s();
    let (mut blob_bytes, mut after_bytes, mut trained_at, mut train_s) = (0, 0, 0, None);
    let mut seq = 0;
    for batch in sent.chunks(BATCH) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .expect("a transaction");
        for one in batch {
            seq += 1;
            let kept = vault.store(&transaction, seq, Some(&one.session), &one.captured);
            let stored = kept.expect("a store").stored_bytes;
            blob_bytes += stored;
            after_bytes += if train_s.is_some() { stored } else { 0 };
        }
        transaction.commit().expect("a commit");
        vault.committed();
        // The store does this when it is idle, once a day.
        if train_s.is_none() && seq >= TRAIN_AFTER {
            train_s = Some(train(&connection));
            trained_at = usize::try_from(seq).unwrap_or_default();
        }
    }
    let cpu_s = cpu_s() - began - train_s.unwrap_or_default();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
    let stats = vault::stats(&connection).expect("the counts");
    println!("  content, rest      {:>10} {} bytes", stats.content_bytes, stats.rest_bytes);
    println!("  pages              {:?}", stats.pages);
    for (seq, one) in (1..).zip(sent) {
        let legs = vault::read(&connection, seq).expect("a reading").expect("an exchange");
        let (Body::Whole(request), Body::Whole(answer)) =
            (&legs.request.body, &legs.attempts[0].response.body)
        else {
            unreachable!("both bodies were stored")
        };
        assert!(request.bytes == one.request() && answer.bytes == one.answer());
        assert_eq!(legs.attempts[0].frames, one.captured.attempts[0].frames);
    }
    let file_bytes = std::fs::metadata(&path).expect("the file").len();
    Filled { file_bytes, blob_bytes, cpu_s, trained_at, after_bytes }
}

/// Trains what can be trained; CPU seconds.
fn train(connection: &Connection) -> f64 {
    let began = cpu_s();
    let mut shelf = Shelf::default();
    for slot in Slot::ALL {
        let trained = vault::train(connection, &mut shelf, slot).expect("a training");
        if let Some(trained) = trained {
            println!("  trained            {:>10}, {} % saved", slot.label(), trained.saved);
            trained.keep(connection, &shelf).expect("a dictionary");
        }
    }
    cpu_s() - began
}

fn report(filled: &Filled, count: usize, raw: usize) {
    let each = |bytes: u64| bytes as f64 / count as f64;
    println!(
        "  file               {:>10} bytes, 1/{:.0} of raw, {:.0} each",
        filled.file_bytes,
        raw as f64 / filled.file_bytes as f64,
        each(filled.file_bytes)
    );
    println!(
        "  blobs              {:>10} bytes, {:.0} each",
        filled.blob_bytes,
        each(filled.blob_bytes)
    );
    println!("  CPU of store       {:>10.1} µs each", filled.cpu_s * 1e6 / count as f64);
}

/// Opens one exchange with nothing at hand.
fn open(folder: &Path, sent: &[Sent], at: usize) {
    let connection = Connection::open(folder.join("pinhole.db")).expect("the database");
    let began = clock::now();
    let legs = Shelf::default()
        .read(&connection, i64::try_from(at).unwrap_or_default() + 1)
        .expect("a reading");
    let took = clock::us_between(began, clock::now());
    assert!(legs.is_some());
    let one = &sent[at];
    println!(
        "  open               {:>10} µs, an exchange of {} messages, {} bytes   (goal 20,000)",
        took,
        one.messages,
        one.request().len()
    );
}

fn longest(sent: &[Sent]) -> usize {
    let each = sent.iter().enumerate().max_by_key(|(_, one)| one.messages);
    each.map_or(0, |(at, _)| at)
}

/// Bytes of all bodies in the order of their arrival, compressed in one stream with a window of 128 MiB.
fn concatenated(sent: &[Sent]) -> u64 {
    let mut counter = Counter(0);
    let mut encoder = zstd::stream::Encoder::new(&mut counter, 3).expect("zstd");
    encoder.long_distance_matching(true).expect("zstd");
    encoder.window_log(27).expect("zstd");
    for one in sent {
        encoder.write_all(one.request()).expect("memory");
        encoder.write_all(one.answer()).expect("memory");
    }
    encoder.finish().expect("memory");
    counter.0
}

struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
