//! What is indexed is found, what is gone is not, and the index survives whatever happens to its file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::base::clock;
use crate::dialect::outline;
use crate::store::capture::{AttemptIn, BodyIn, Captured, Content, LegIn};
use crate::store::db;
use crate::store::query::Query;
use crate::store::query::page::Page;
use crate::store::reader::Reader;
use crate::store::search::find::{State, look_up};
use crate::store::search::sought::Sought;
use crate::store::search::{Indexer, Limits, discard, file, forget, settle};
use crate::store::vault::{NoClean, Vault, prune};

const QUICK: Limits =
    Limits { size_max: 1 << 30, document_max: 64 * 1024, every: Duration::from_millis(2) };

/// A store with a record and bodies for each pair of request and answer.
struct Store {
    folder: TempDir,
    connection: Connection,
    vault: Vault,
    newest: i64,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = db::open_writer(folder.path(), db::BUSY).unwrap();
        let vault = Vault::new(Box::new(NoClean), None);
        Self { folder, connection, vault, newest: 0 }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&mut self, request: &str, answer: &str) -> i64 {
        self.newest += 1;
        let seq = self.newest;
        let leg = |body: &str| LegIn {
            headers: Some(Vec::new()),
            body: BodyIn::Content(Content {
                bytes: Bytes::copy_from_slice(body.as_bytes()),
                outline: outline::outline(body.as_bytes()),
                ..Content::default()
            }),
            ..LegIn::default()
        };
        let attempt = AttemptIn { response: leg(answer), ..AttemptIn::default() };
        let captured =
            Captured { request: leg(request), attempts: vec![attempt], ..Captured::default() };
        let moment = self.connection.unchecked_transaction().unwrap();
        let sql = "INSERT INTO exchange_records (seq, id, started_at_us, dialect, operation, outcome, stream, queued_us, duration_us, \
                   overhead_us, request_bytes, response_bytes, attempts, agent, method, path, level, flags, signals) \
                   VALUES (?1, randomblob(16), ?1, 'openai_chat', 'chat', 'complete', 0, 0, 1, 1, 1, 1, 1, 'none', 'POST', '/', 3, 0, 0)";
        moment.execute(sql, [seq]).unwrap();
        self.vault.store(&moment, seq, None, &captured).unwrap();
        moment.commit().unwrap();
        self.vault.committed();
        seq
    }

    fn ask(&self, text: &str) -> Vec<i64> {
        let query = Query::parse(text, 0).unwrap();
        let rows = Reader::open(self.path()).unwrap().list(&query, &Page::newest(100)).unwrap();
        rows.iter().map(|row| row.seq).collect()
    }

    fn index(&self) -> Indexer {
        self.index_with(QUICK)
    }

    fn index_with(&self, limits: Limits) -> Indexer {
        Indexer::start(self.path(), limits, Box::new(|| false)).unwrap()
    }

    /// Waits until everything is read.
    fn indexed(&self) -> State {
        self.until(|state| state.upto == self.newest)
    }

    fn until(&self, reached: impl Fn(&State) -> bool) -> State {
        let started = clock::now();
        loop {
            if let Some(state) = State::of(self.path()).filter(|state| reached(state)) {
                return state;
            }
            let waited = clock::us_between(started, clock::now());
            assert!(waited < 20_000_000, "{:?}", State::of(self.path()));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn found(folder: &Path, text: &str) -> Option<Vec<i64>> {
    look_up(folder, &Sought::new(text)).map(|(seqs, _)| seqs)
}

fn message(text: &str) -> String {
    serde_json::json!({ "model": "m", "messages": [{ "role": "user", "content": text }] })
        .to_string()
}

#[test]
fn texts_are_found_with_an_index_and_without() {
    let mut store = Store::new();
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"the quick\"}}]}\n\n\
                  data: {\"choices\":[{\"delta\":{\"content\":\" brown fox\"}}]}\n\n";
    store.put(&message("Why does read_file fail?\nPlease say"), events);
    store.put(&message("nothing of note"), "{\"error\":{\"message\":\"overloaded, try later\"}}");
    store.put(&message("Über den Flüssen"), "not json");
    let cases = [
        ("text:\"quick brown fox\"", vec![1]),
        ("text:\"brown quick\"", vec![]),
        ("text:read_file", vec![1]),
        ("text:FILE", vec![1]),
        ("text:overload*", vec![2]),
        ("text:\"try lat\"", vec![]),
        ("text:über", vec![3]),
        ("text:user", vec![]),
        ("text:note OR text:json", vec![3, 2]),
        ("-text:quick", vec![3, 2]),
        ("text:quick status:500", vec![]),
    ];
    for (text, expected) in &cases {
        assert_eq!(store.ask(text), *expected, "without: {text}");
    }
    let reader = Reader::open(store.path()).unwrap();
    assert!(reader.is_slow(&Query::parse("text:a", 0).unwrap()));
    let _index = store.index();
    store.indexed();
    assert!(!reader.is_slow(&Query::parse("text:a", 0).unwrap()));
    for (text, expected) in &cases {
        assert_eq!(store.ask(text), *expected, "with: {text}");
    }
    assert_eq!(found(store.path(), "\" OR *"), Some(vec![]), "no language of FTS5 comes through");
}

/// The request of a conversation's turn: the same beginning in all, then what was said so far.
fn turn(said: &[String]) -> String {
    let system = "you are a marvellous engineer and look before you leap ".repeat(20);
    let mut messages = vec![serde_json::json!({ "role": "system", "content": system })];
    for (n, text) in said.iter().enumerate() {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        messages.push(serde_json::json!({ "role": role, "content": text }));
    }
    serde_json::json!({ "model": "m", "messages": messages }).to_string()
}

fn answer(text: &str) -> String {
    serde_json::json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] })
        .to_string()
}

#[test]
fn a_text_is_found_at_every_exchange_whose_messages_have_it() {
    let mut store = Store::new();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    // Two conversations, turn about: those of the first have odd numbers.
    for n in 1..=5 {
        for (said, name) in [(&mut one, "first"), (&mut two, "second")] {
            said.push(format!("{name}ask{n} about the things that {name} conversation is about"));
            let reply = format!("{name}reply{n}, and some more words, so that it is a part alone");
            store.put(&turn(said), &answer(&reply));
            said.push(reply);
        }
    }
    let cases = [
        ("text:firstask1", vec![9, 7, 5, 3, 1]),
        ("text:\"secondask3 about the things\"", vec![10, 8, 6]),
        ("text:firstask5", vec![9]),
        // The answer, and from then on as a message of the next requests.
        ("text:secondreply4", vec![10, 8]),
        ("text:marvellous", vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("-text:firstask2", vec![10, 8, 6, 4, 2, 1]),
        ("text:firstask4 OR text:secondask5", vec![10, 9, 7]),
        ("text:firstask2 -text:firstask4", vec![5, 3]),
        ("text:firstask1 text:secondask1", vec![]),
    ];
    for (text, expected) in &cases {
        assert_eq!(store.ask(text), *expected, "without: {text}");
    }
    let _index = store.index();
    store.indexed();
    assert_eq!(found(store.path(), "firstask1"), Some(vec![1]), "it stands there once");
    for (text, expected) in &cases {
        assert_eq!(store.ask(text), *expected, "with: {text}");
        let reader = Reader::open(store.path()).unwrap();
        let query = Query::parse(text, 0).unwrap();
        assert_eq!(reader.count(&query, 100).unwrap(), expected.len() as u64, "{text}");
    }
}

#[test]
fn a_text_is_found_where_it_stays_when_the_exchange_that_brought_it_is_pruned() {
    let mut store = Store::new();
    let mut said = Vec::new();
    for n in 1..=4 {
        said.push(format!("ask{n} about the things that this conversation is about"));
        let reply = format!("reply{n}, and some more words, so that it is a part alone");
        store.put(&turn(&said), &answer(&reply));
        said.push(reply);
    }
    let check = |store: &Store, how: &str, cases: &[(&str, Vec<i64>)]| {
        for (text, expected) in cases {
            assert_eq!(store.ask(text), *expected, "{how}: {text}");
        }
    };
    let but_for_the_first = [
        ("text:ask1", vec![4, 3, 2]),
        ("text:reply1", vec![4, 3, 2]),
        ("text:ask4", vec![4]),
        ("text:marvellous", vec![4, 3, 2]),
    ];
    prune(&mut store.connection, &[1]).unwrap();
    check(&store, "without an index", &but_for_the_first);
    let mut index = store.index();
    store.indexed();
    check(&store, "indexed afterwards", &but_for_the_first);
    // As `captures prune` does it.
    prune(&mut store.connection, &[2]).unwrap();
    forget(&store.connection, store.path(), &[2]).unwrap();
    check(&store, "pruned", &[("text:ask1", vec![4, 3]), ("text:ask2", vec![4, 3])]);
    // As retention does it, which leaves the index to the indexer.
    prune(&mut store.connection, &[3]).unwrap();
    let but_for_the_last = [
        ("text:ask1", vec![4]),
        ("text:ask3", vec![4]),
        ("text:marvellous", vec![4]),
        ("-text:ask1", vec![3, 2, 1]),
    ];
    check(&store, "not tidied yet", &but_for_the_last);
    let lessened = || {
        let connection = file::open_reader(store.path()).unwrap();
        let sql = "SELECT count(*) FROM documents WHERE whole = 0";
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() == 3
    };
    let until = clock::now() + Duration::from_secs(20);
    while !lessened() {
        assert!(clock::now() < until, "the indexer does not tidy");
        std::thread::sleep(Duration::from_millis(2));
    }
    check(&store, "tidied", &but_for_the_last);
    index.stop();
    // With the last turn goes all that was kept for it.
    prune(&mut store.connection, &[4]).unwrap();
    forget(&store.connection, store.path(), &[4]).unwrap();
    assert_eq!(State::of(store.path()).unwrap().documents, 0);
    assert_eq!(store.ask("text:marvellous"), Vec::<i64>::new());
    discard(store.path()).unwrap();
}

#[test]
fn what_is_new_is_indexed_and_what_is_gone_is_taken_out() {
    let mut store = Store::new();
    for n in 0..100 {
        let rare = if n == 2 { "quixotic" } else { "" };
        store.put(&message(&format!("number n{n}x {rare}")), "{}");
    }
    let mut index = store.index();
    store.indexed();
    let last = store.put(&message("afterwards"), "{}");
    assert_eq!(store.ask("text:afterwards"), [last], "indexed or not yet");
    store.indexed();
    assert_eq!(found(store.path(), "quixotic"), Some(vec![3]));
    let path = store.path().to_owned();
    let bytes =
        |end: &str| std::fs::read(path.join(format!("{}{end}", file::FILE))).unwrap_or_default();
    let holds = |word: &str| {
        ["", "-wal"].iter().any(|end| memchr::memmem::find(&bytes(end), word.as_bytes()).is_some())
    };
    assert!(holds("quixotic"));
    let gone = [3, 4, 4_000];
    prune(&mut store.connection, &gone).unwrap();
    forget(&store.connection, store.path(), &gone).unwrap();
    settle(store.path()).unwrap();
    assert_eq!(found(store.path(), "n2x"), Some(vec![]));
    assert_eq!(found(store.path(), "n4x"), Some(vec![5]));
    assert!(!holds("quixotic"), "its words are out of the file");
    store.connection.execute("DELETE FROM bodies WHERE seq <= 50", []).unwrap();
    store.until(|state| state.documents == 51);
    assert_eq!(found(store.path(), "number").unwrap().len(), 50);
    index.stop();
}

#[test]
fn the_size_is_held_by_dropping_the_oldest() {
    let mut store = Store::new();
    for n in 0..600u64 {
        let words: Vec<String> =
            (0..60).map(|k| format!("w{}", n * 1_000_003 % 99_991 + k * 7)).collect();
        store.put(&message(&words.join(" ")), "{}");
    }
    let size_max = 120 * 1024;
    let _index = store.index_with(Limits { size_max, ..QUICK });
    let state = store.indexed();
    assert!(state.documents < 600 && state.documents > 50, "{state:?}");
    assert!(state.dropped_below > 1 && state.bytes < 2 * size_max, "{state:?}");
}

#[test]
fn a_file_that_is_gone_or_foreign_or_of_another_store_is_made_anew() {
    let mut store = Store::new();
    store.put(&message("here"), "{}");
    let index = store.index();
    store.indexed();
    discard(store.path()).unwrap();
    assert_eq!(found(store.path(), "here"), None);
    store.indexed();
    assert_eq!(found(store.path(), "here"), Some(vec![1]));
    drop(index);
    let file = store.path().join(file::FILE);
    discard(store.path()).unwrap();
    std::fs::write(&file, "no database, but long enough to be looked at".repeat(30)).unwrap();
    assert_eq!(store.ask("text:here"), [1], "without it the bodies are read");
    let index = store.index();
    store.indexed();
    drop(index);
    let sql = "UPDATE exchange_records SET id = randomblob(16)";
    store.connection.execute(sql, []).unwrap();
    store.connection.execute("DELETE FROM bodies", []).unwrap();
    let _index = store.index();
    store.until(|state| state.documents == 0);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn it_stands_aside_while_the_writer_has_work() {
    let mut store = Store::new();
    store.put(&message("patience"), "{}");
    let busy = Arc::new(AtomicBool::new(true));
    let (asked, told) = std::sync::mpsc::sync_channel(0);
    let is_busy = Arc::clone(&busy);
    let _index = Indexer::start(
        store.path(),
        QUICK,
        Box::new(move || {
            let _ = asked.try_send(());
            is_busy.load(Ordering::Relaxed)
        }),
    )
    .unwrap();
    for _ in 0..3 {
        told.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    assert_eq!(State::of(store.path()).unwrap().documents, 0);
    busy.store(false, Ordering::Relaxed);
    assert_eq!(store.indexed().documents, 1);
}
