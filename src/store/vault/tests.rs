//! What goes in comes out: whole exchanges through the vault and back.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use rusqlite::Connection;

use crate::dialect::outline::outline;
use crate::store::capture::{Absent, AttemptIn, BodyIn, Captured, Content, Kind, LegIn};
use crate::store::flags;
use crate::store::stored::{Body, Leg, Whole};
use crate::store::vault::{self, Clean, Kept, Legs, NoClean, Part, Seal, Shelf, Vault};

pub(super) fn connection() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../schema/0002_bodies.sql")).unwrap();
    connection
}

fn connection_to(path: &std::path::Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(include_str!("../schema/0002_bodies.sql")).unwrap();
    connection
}

fn content(text: impl AsRef<[u8]>) -> BodyIn {
    let bytes = Bytes::copy_from_slice(text.as_ref());
    BodyIn::Content(Content { outline: outline(&bytes), bytes, ..Content::default() })
}

fn leg(line: &str, headers: &[(&str, &str)], body: BodyIn) -> LegIn {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let headers = headers.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    LegIn { line: Some(line.to_owned()), headers: Some(headers), body }
}

/// An exchange with one attempt, whose request went as it came.
fn exchange(request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Captured {
    let headers = [("content-type", "application/json"), ("user-agent", "test")];
    Captured {
        request: leg("POST /v1/messages HTTP/1.1", &headers, content(request)),
        attempts: vec![AttemptIn {
            request: leg("POST /v1/messages HTTP/1.1", &headers, BodyIn::Same),
            response: leg("200 OK", &[("x-request-id", "abc")], content(answer)),
            kind: Kind { dialect: "anthropic", events: true },
            ..AttemptIn::default()
        }],
        response: leg("200 OK", &[("x-pinhole-id", "1")], BodyIn::Same),
        ..Captured::default()
    }
}

/// What a leg reads as when nothing was hidden.
fn as_stored(leg: &LegIn) -> Leg {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers = leg
        .headers
        .as_ref()
        .map(|headers| headers.iter().map(|(name, value)| (text(name), text(value))).collect());
    let body = match &leg.body {
        BodyIn::Nothing(absent) => Body::Absent(*absent),
        BodyIn::Same => Body::Same,
        BodyIn::Content(content) => Body::Whole(Whole {
            bytes: content.bytes.to_vec(),
            cut_bytes: content.cut_bytes,
            coding: content.coding.clone(),
            redacted: false,
        }),
    };
    Leg { line: leg.line.clone(), headers, body }
}

fn assert_leg(read: &Leg, given: &LegIn) {
    assert_eq!(format!("{read:?}"), format!("{:?}", as_stored(given)));
}

pub(super) fn assert_same(read: &Legs, given: &Captured) {
    assert_leg(&read.request, &given.request);
    assert_leg(&read.response, &given.response);
    assert_eq!(read.attempts.len(), given.attempts.len());
    for (read, given) in read.attempts.iter().zip(&given.attempts) {
        assert_leg(&read.request, &given.request);
        assert_leg(&read.response, &given.response);
        assert_eq!(read.edits, given.edits);
        assert_eq!((&read.frames, read.untabled), (&given.frames, given.untabled));
    }
    let own = (&read.response_frames, read.response_untabled);
    assert_eq!(own, (&given.response_frames, given.response_untabled));
}

#[test]
fn an_answer_of_the_clients_own_has_its_times() {
    let connection = connection();
    let mut vault = vault();
    let comment = ": keep-alive\n\n";
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let mut captured = exchange("{}", event);
    let own = format!("{comment}{comment}{event}");
    captured.response = LegIn {
        body: BodyIn::Content(Content { bytes: own.into(), ..Content::default() }),
        ..captured.response
    };
    captured.response_frames = vec![
        (1_000, comment.len() as u32),
        (2_000, comment.len() as u32),
        (2_500, event.len() as u32),
    ];
    captured.response_untabled = 3;
    put(&mut vault, &connection, 1, &captured);
    assert_same(&vault::read(&connection, 1).unwrap().unwrap(), &captured);
}

pub(super) fn vault() -> Vault {
    Vault::new(Box::new(NoClean), None)
}

pub(super) fn put(
    vault: &mut Vault,
    connection: &Connection,
    seq: i64,
    captured: &Captured,
) -> Kept {
    let kept = vault.store(connection, seq, Some("s"), captured).unwrap();
    vault.committed();
    kept
}

fn message(n: usize) -> String {
    let words: Vec<String> =
        (0..60 + n % 7 * 20).map(|word| format!("w{} ", word * n % 977)).collect();
    let text = words.concat();
    format!(r#"{{"role":"user","content":[{{"type":"text","text":"{n} {text}"}}]}}"#)
}

fn turn(seq: i64) -> usize {
    usize::try_from(seq).unwrap()
}

/// A conversation of `turns` messages, the last two with a mark.
fn conversation(turns: usize) -> String {
    let mut messages: Vec<String> = (0..turns).map(message).collect();
    for message in messages.iter_mut().rev().take(2) {
        *message = message.replace(r#""}]"#, r#"","cache_control":{"type":"ephemeral"}}]"#);
    }
    format!(
        r#"{{"model":"m","system":"{}","messages":[{}],"stream":true}}"#,
        "You help. ".repeat(90),
        messages.join(",")
    )
}

#[test]
fn a_conversation_is_stored_once_and_reads_as_it_was() {
    let connection = connection();
    let mut vault = vault();
    let turns: Vec<Captured> =
        (1..60).map(|n| exchange(conversation(n), format!("data: answer {n}\n\n"))).collect();
    let mut stored = 0;
    for (seq, turn) in (1..).zip(&turns) {
        let kept = put(&mut vault, &connection, seq, turn);
        assert_eq!(kept.flags, flags::REPLAYABLE | flags::ANSWER_SAME);
        assert!(seq == 1 || kept.stored_bytes < 900, "{seq}: {kept:?}");
        stored += kept.stored_bytes;
        if seq == 30 {
            // A new process knows nothing of what was before.
            vault = self::vault();
        }
    }
    let raw: usize = (1..60).map(|n| conversation(n).len()).sum();
    assert!(raw > 35 * stored as usize, "{raw} to {stored}");
    for (seq, turn) in (1..).zip(&turns) {
        assert_same(&vault::read(&connection, seq).unwrap().unwrap(), turn);
    }
    assert!(vault::read(&connection, 99).unwrap().is_none());
    // Each turn needs the one before it, and by way of it all others.
    let links: i64 =
        connection.query_row("SELECT count(*) FROM links", [], |row| row.get(0)).unwrap();
    assert!(links < 64, "{links}");
}

#[test]
fn every_shape_of_exchange_comes_back() {
    let connection = connection();
    let mut vault = vault();
    let mut cases = vec![
        Captured::default(),
        exchange("", ""),
        exchange("\0\u{1}{", [0xff, 0xfe, 0x00]),
        exchange("not json ".repeat(4_000), "x".repeat(100_000)),
        exchange(r#"{"messages":[]}"#, "{}"),
        exchange("{\"a\":\"unended", "data: x"),
    ];
    let mut edited = exchange(conversation(5), "one");
    edited.attempts[0].request.body = content(conversation(5).replace(r#""m""#, r#""other""#));
    edited.attempts[0].edits = vec!["model"];
    edited.attempts.push(AttemptIn {
        request: leg(
            "POST /x",
            &[],
            content(r#"{"contents":[{"parts":[{"text":"quite another"}]}]}"#),
        ),
        response: LegIn { body: BodyIn::Nothing(Absent::ShedMemory), ..LegIn::default() },
        frames: vec![(100, 3), (1_500, 7), (1_500, 0)],
        untabled: 9,
        ..AttemptIn::default()
    });
    edited.response.body = content("translated");
    cases.push(edited);
    let mut coded = exchange("", "");
    for (coding, body) in [
        ("zstd", zstd::bulk::compress(conversation(8).as_bytes(), 3).unwrap()),
        ("zstd", zstd::bulk::compress(conversation(8).as_bytes(), 9).unwrap()),
        ("gzip", crate::base::coding::gzip(conversation(8).as_bytes())),
        ("br", b"no brotli at all".to_vec()),
        ("unheard-of", b"text".to_vec()),
    ] {
        let mut case = coded.clone();
        for leg in [&mut case.request, &mut case.attempts[0].response] {
            leg.body = BodyIn::Content(Content {
                bytes: body.clone().into(),
                coding: Some(coding.to_owned()),
                cut_bytes: 7,
                ..Content::default()
            });
        }
        cases.push(case);
    }
    coded.request.headers =
        Some((0..1_000).map(|n| (n.to_string().into(), Bytes::from(vec![b'v'; n]))).collect());
    cases.push(coded);
    let media = |n: u8| {
        use base64::Engine;
        let bytes: Vec<u8> =
            (0..9_000_u32).map(|at| ((at * at * u32::from(n)) >> 3) as u8).collect();
        base64::prelude::BASE64_STANDARD.encode(bytes)
    };
    for n in [1, 2, 1] {
        cases.push(exchange(
            format!(r#"{{"contents":[{{"inline_data":{{"data":"{}"}}}}]}}"#, media(n)),
            "",
        ));
    }
    for (seq, case) in (1..).zip(&cases) {
        put(&mut vault, &connection, seq, case);
        match vault::read(&connection, seq).unwrap() {
            Some(read) => assert_same(&read, case),
            None => assert_eq!(seq, 1),
        }
    }
    assert_eq!(vault.counters().mismatches.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// Hides `secret-` and the word behind it, and a pair of words that stand in two messages.
#[derive(Clone, Copy)]
struct Hide;

impl Clean for Hide {
    fn clean(&self, text: &[u8]) -> Option<Vec<u8>> {
        let rules = regex::bytes::Regex::new(r"secret-[a-z0-9]+|BEGIN[^!]{0,60}END").unwrap();
        match rules.replace_all(text, &b"[hidden]"[..]) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(hidden) => Some(hidden),
        }
    }

    fn version(&self) -> u32 {
        1
    }
}

fn hidden(text: &str) -> Vec<u8> {
    Hide.clean(text.as_bytes()).unwrap_or_else(|| text.as_bytes().to_vec())
}

#[test]
fn secrets_are_replaced_before_anything_is_written() {
    let connection = connection();
    let mut vault = Vault::new(Box::new(Hide), None);
    let mut conversation = conversation(6);
    let mut seq = 0;
    for (from, to) in [
        ("w0 ", "secret-one1 "),
        ("w8 ", "secret-two2 "),
        ("w9 ", "w9 "),
        (r#"w79 "}"#, r#"w79 BEGIN"}"#),
        (r#""2 w0"#, r#""END 2 w0"#),
        ("You help.", "You help secret-three."),
    ] {
        conversation = conversation.replacen(from, to, 1);
        seq += 1;
        let answer = format!("data: the key is secret-x{seq} indeed\n\n");
        let kept = put(&mut vault, &connection, seq, &exchange(&conversation, &answer));
        assert_eq!(kept.flags, flags::REDACTED | flags::ANSWER_SAME, "{seq}");
        let read = vault::read(&connection, seq).unwrap().unwrap();
        let Body::Whole(whole) = &read.request.body else { panic!("no body") };
        assert_eq!(
            String::from_utf8_lossy(&whole.bytes),
            String::from_utf8_lossy(&hidden(&conversation))
        );
        assert!(whole.redacted);
        let Body::Whole(whole) = &read.attempts[0].response.body else { panic!("no body") };
        assert_eq!(whole.bytes, hidden(&answer));
    }
    // Compressed, a secret is found as well, and the coding goes.
    let coded = zstd::bulk::compress(conversation.as_bytes(), 3).unwrap();
    let mut captured = exchange("", "");
    for leg in [&mut captured.request, &mut captured.attempts[0].response] {
        let (bytes, coding) = (coded.clone().into(), Some("zstd".to_owned()));
        leg.body = BodyIn::Content(Content { bytes, coding, ..Content::default() });
    }
    put(&mut vault, &connection, 99, &captured);
    let read = vault::read(&connection, 99).unwrap().unwrap();
    for leg in [&read.request, &read.attempts[0].response] {
        let Body::Whole(whole) = &leg.body else { panic!("no body") };
        assert_eq!(
            (&whole.bytes, &whole.coding, whole.redacted),
            (&hidden(&conversation), &None, true)
        );
    }
}

#[test]
fn what_was_rolled_back_is_not_referred_to() {
    let mut connection = connection();
    let mut vault = vault();
    let transaction = connection.transaction().unwrap();
    vault.store(&transaction, 1, None, &exchange(conversation(3), "a")).unwrap();
    transaction.rollback().unwrap();
    vault.rolled_back();
    let other = exchange(message(1_000), "b");
    let transaction = connection.transaction().unwrap();
    vault.store(&transaction, 1, None, &other).unwrap();
    vault.store(&transaction, 2, None, &exchange(conversation(3), "a")).unwrap();
    transaction.commit().unwrap();
    vault.committed();
    assert_same(&vault::read(&connection, 1).unwrap().unwrap(), &other);
    assert_same(&vault::read(&connection, 2).unwrap().unwrap(), &exchange(conversation(3), "a"));
}

/// Turns bytes over and adds the place they were sealed for.
#[derive(Debug)]
struct Turn;

impl Seal for Turn {
    fn seal(&self, plain: &[u8], seq: i64, part: Part) -> Vec<u8> {
        let mut sealed: Vec<u8> = plain.iter().map(|byte| !byte).collect();
        sealed.extend(format!("{seq}{part:?}").into_bytes());
        sealed
    }

    fn open(&self, sealed: &[u8], seq: i64, part: Part) -> Option<Vec<u8>> {
        let plain = sealed.strip_suffix(format!("{seq}{part:?}").as_bytes())?;
        Some(plain.iter().map(|byte| !byte).collect())
    }
}

#[test]
fn sealed_bodies_open_with_the_key_and_in_their_place() {
    let connection = connection();
    let mut vault = Vault::new(Box::new(NoClean), Some(Arc::new(Turn)));
    let captured = exchange(conversation(3), "data: x\n\n");
    put(&mut vault, &connection, 1, &captured);
    let mut shelf = Shelf::new(Some(Arc::new(Turn)));
    assert_same(&shelf.read(&connection, 1).unwrap().unwrap(), &captured);
    let told = vault::read(&connection, 1).unwrap_err().to_string();
    assert!(told.contains("encrypted and no key is given") && !told.contains("damaged"), "{told}");
    connection.execute("UPDATE bodies SET seq = 2", []).unwrap();
    let told = Shelf::new(Some(Arc::new(Turn))).read(&connection, 2).unwrap_err().to_string();
    assert!(told.contains("another key"), "{told}");
}

#[test]
fn templates_of_before_the_encryption_are_rewritten_too() {
    let mut connection = connection();
    let with_key = |n: usize| {
        let mut captured = exchange(message(n), "{}");
        if let Some(headers) = &mut captured.request.headers {
            headers.push(("x-key".into(), "a secret-key here".into()));
        }
        captured
    };
    // What comes twice gets a template.
    let mut open = vault();
    for seq in [1, 2] {
        put(&mut open, &connection, seq, &with_key(1));
    }
    let seal: Arc<dyn Seal> = Arc::new(Turn);
    let mut sealed = Vault::new(Box::new(NoClean), Some(Arc::clone(&seal)));
    for seq in [3, 4] {
        put(&mut sealed, &connection, seq, &with_key(2));
    }
    let hide = |text: &[u8]| Hide.clean(text);
    let mut shelf = Shelf::new(Some(Arc::clone(&seal)));
    let done = vault::rewrite(&mut connection, &mut shelf, &[1, 2, 3, 4], &hide).unwrap();
    assert_eq!(done.templates, 2, "{done:?}");
    let plain = "SELECT count(*) FROM dictionaries WHERE kind = 'headers' AND instr(bytes, 'secret-key') > 0";
    assert_eq!(count(&connection, plain), 0);
    let mut shelf = Shelf::new(Some(seal));
    for seq in 1..=4 {
        let read = shelf.read(&connection, seq).unwrap().unwrap();
        assert!(!format!("{read:?}").contains("secret-key"), "{read:?}");
    }
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_removed_takes_along_what_nothing_needs() {
    let mut connection = connection();
    let mut vault = vault();
    for seq in 1..=20 {
        put(&mut vault, &connection, seq, &exchange(conversation(turn(seq)), "answer"));
    }
    let other = exchange(message(77_000), "answer");
    put(&mut vault, &connection, 21, &other);
    let verified = |connection: &Connection| vault::verify(connection, |_| ()).unwrap();
    assert_eq!((verified(&connection).damaged, verified(&connection).bodies), (0, 42));

    let seqs: Vec<i64> = (1..=19).collect();
    let removed = vault::prune(&mut connection, &seqs).unwrap();
    assert_eq!((removed.exchanges, removed.contents), (19, 0));
    assert!(vault::read(&connection, 3).unwrap().is_none());
    assert_same(
        &vault::read(&connection, 20).unwrap().unwrap(),
        &exchange(conversation(20), "answer"),
    );
    assert_eq!(verified(&connection).damaged, 0);
    assert_eq!(vault::stats(&connection).unwrap().kept_for_others, 19);

    // The writer goes on with content of removed exchanges while it is there, and not when it is gone.
    put(&mut vault, &connection, 22, &exchange(conversation(4), "answer"));
    assert_same(
        &vault::read(&connection, 22).unwrap().unwrap(),
        &exchange(conversation(4), "answer"),
    );
    let removed = vault::prune(&mut connection, &[20]).unwrap();
    assert_eq!((removed.exchanges, removed.contents), (1, 16));
    put(&mut vault, &connection, 23, &exchange(conversation(20), "answer"));
    assert_same(
        &vault::read(&connection, 23).unwrap().unwrap(),
        &exchange(conversation(20), "answer"),
    );
    assert_same(
        &vault::read(&connection, 22).unwrap().unwrap(),
        &exchange(conversation(4), "answer"),
    );
    assert_eq!(verified(&connection).damaged, 0);

    vault::prune(&mut connection, &[21, 22, 23, 24]).unwrap();
    for table in ["bodies", "links", "dictionaries"] {
        assert_eq!(count(&connection, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn damage_is_found_and_never_a_panic() {
    let connection = connection();
    let mut vault = vault();
    for seq in 1..=6 {
        put(&mut vault, &connection, seq, &exchange(conversation(turn(seq)), "data: answer\n\n"));
    }
    for (change, found) in [
        ("UPDATE bodies SET content = substr(content, 1, length(content) - 3) WHERE seq = 4", 3),
        ("UPDATE bodies SET rest = zeroblob(40) WHERE seq = 2", 1),
        ("UPDATE bodies SET content = NULL WHERE seq = 6", 1),
        ("UPDATE bodies SET content = (SELECT content FROM bodies WHERE seq = 6) WHERE seq = 5", 2),
        ("UPDATE bodies SET rest_dictionary = 1234", 6),
        ("UPDATE bodies SET content_dictionary = -1", 6),
        ("DELETE FROM bodies WHERE seq = 1", 5),
        ("DELETE FROM links", 5),
    ] {
        connection.execute_batch(&format!("SAVEPOINT before; {change}")).unwrap();
        let verified = vault::verify(&connection, |_| ()).unwrap();
        assert!(verified.damaged >= found, "{change}: {verified:?}");
        connection.execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
    }
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().damaged, 0);
}

#[test]
fn a_later_cleaning_reaches_everything_and_leaves_nothing() {
    let mut connection = connection();
    let mut vault = vault();
    let secret =
        |text: String| {
            text.replacen("w8 ", "secret-two2 ", 1)
                .replacen(r#"w79 "}"#, r#"w79 BEGIN"}"#, 1)
                .replacen(r#""2 w0"#, r#""END 2 w0"#, 1)
        };
    let turns: Vec<Captured> = (1..=20)
        .map(|n| {
            let mut turn = exchange(secret(conversation(n)), format!("data: secret-{n}\n\n"));
            if n % 5 == 0 {
                let coded = crate::base::coding::gzip(b"a coded secret-coded").into();
                turn.attempts[0].response.body = BodyIn::Content(Content {
                    bytes: coded,
                    coding: Some("gzip".to_owned()),
                    ..Content::default()
                });
            }
            if let Some(headers) = &mut turn.request.headers {
                headers.push(("x-key".into(), "a secret-key here".into()));
            }
            turn
        })
        .collect();
    for (seq, turn) in (1..).zip(&turns) {
        put(&mut vault, &connection, seq, turn);
    }
    put(&mut vault, &connection, 50, &exchange(message(3), "nothing to hide"));
    let hide = |text: &[u8]| Hide.clean(text);
    let mut shelf = Shelf::default();
    let done = vault::rewrite(&mut connection, &mut shelf, &[20, 50], &hide).unwrap();
    assert!(done.contents == 1 && done.exchanges >= 20 && done.templates == 1, "{done:?}");
    vault::rewrite(&mut connection, &mut shelf, &(1..=50).collect::<Vec<_>>(), &hide).unwrap();
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().named, []);
    for (seq, turn) in (1..).zip(&turns) {
        let read = vault::read(&connection, seq).unwrap().unwrap();
        let BodyIn::Content(given) = &turn.request.body else { panic!("no body") };
        let Body::Whole(whole) = &read.request.body else { panic!("no body") };
        let given = String::from_utf8_lossy(&given.bytes).into_owned();
        // Of the pair of words, turn 2 has one, and in turn 3 a mark stands between them.
        if !(2..=3).contains(&seq) {
            assert_eq!(
                String::from_utf8_lossy(&whole.bytes),
                String::from_utf8_lossy(&hidden(&given)),
                "{seq}"
            );
            assert_eq!(whole.redacted, given.as_bytes() != hidden(&given), "{seq}");
        }
        let told = format!("{read:?}");
        assert!(!told.contains("secret-"), "{seq}");
        assert!(read.request.headers.unwrap().iter().any(|(_, value)| value == "a [hidden] here"));
        let Body::Whole(answer) = &read.attempts[0].response.body else { panic!("no body") };
        let expected = if seq % 5 == 0 { &b"a coded [hidden]"[..] } else { b"data: [hidden]\n\n" };
        assert_eq!((&answer.bytes[..], &answer.coding), (expected, &None));
    }
    let again = vault::rewrite(&mut connection, &mut shelf, &[20], &hide).unwrap();
    assert_eq!(again, vault::Rewritten::default());
    assert_same(
        &vault::read(&connection, 50).unwrap().unwrap(),
        &exchange(message(3), "nothing to hide"),
    );
    // The writer goes on with what is there now.
    put(&mut vault, &connection, 51, &turns[19]);
    assert_same(&vault::read(&connection, 51).unwrap().unwrap(), &turns[19]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blobs_that_were_changed_are_read_or_refused(
        part in prop::sample::select(vec!["content", "rest"]),
        seq in 1..=3_i64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let connection = connection();
        let mut vault = vault();
        for seq in 1..=3 {
            put(&mut vault, &connection, seq, &exchange(conversation(turn(seq)), "data: a\n\n"));
        }
        let dictionary = format!("SELECT {part}_dictionary, {part} FROM bodies WHERE seq = {seq}");
        let (id, blob): (i64, Vec<u8>) =
            connection.query_row(&dictionary, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        // Changed behind the compression, so that what is read there is reached.
        let mut shelf = Shelf::default();
        let place = (seq, Part::Rest);
        let mut plain = shelf.open(&connection, &blob, id, place).unwrap();
        for (at, byte) in changes {
            let at = at.index(plain.len().min(200));
            plain[at] = byte;
        }
        let (_, blob) = shelf.pack(&connection, &plain, id, place).unwrap();
        let sql = format!("UPDATE bodies SET {part} = ?1 WHERE seq = {seq}");
        connection.execute(&sql, [blob]).unwrap();
        let _damage = vault::verify(&connection, |_| ()).unwrap();
    }
}

/// A stream as OpenAI sends it, a word at a time, with a text that the next request will hold.
fn stream(text: &str) -> String {
    let event = |(n, word): (usize, &str)| {
        format!(
            "data: {{\"id\":\"c-1\",\"choices\":[{{\"delta\":{{\"content\":\"{word}\"}}}}],\"sequence_number\":{n}}}\n\n"
        )
    };
    let events: String = text.split_inclusive(' ').enumerate().map(event).collect();
    events + "data: [DONE]\n\n"
}

fn said(n: usize) -> String {
    let words: Vec<String> =
        (0..150).map(|word| format!("says{} ", word * n * n % 9_973)).collect();
    words.concat()
}

/// Turns that answer in streams, and repeat what was said in the next request.
fn talk(turns: usize) -> Vec<Captured> {
    let mut messages = vec![message(1)];
    (0..turns)
        .map(|n| {
            let request = format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
            messages.push(format!(r#"{{"role":"assistant","content":"{}"}}"#, said(n)));
            messages.push(message(n + 100));
            let answer = stream(&said(n));
            let mut captured = exchange(request, &answer);
            let lengths = answer.split_inclusive("\n\n").map(|event| event.len() as u32);
            captured.attempts[0].frames =
                lengths.enumerate().map(|(at, length)| (at as u64 * 700, length)).collect();
            captured
        })
        .collect()
}

#[test]
fn what_a_stream_says_is_stored_once() {
    let connection = connection();
    let mut vault = vault();
    let turns = talk(30);
    let mut last = 0;
    for (seq, turn) in (1..).zip(&turns) {
        last = put(&mut vault, &connection, seq, turn).stored_bytes;
    }
    for (seq, turn) in (1..).zip(&turns) {
        assert_same(&vault::read(&connection, seq).unwrap().unwrap(), turn);
    }
    // The words of the stream and those of a message, each once, and some bytes for the rest.
    assert!(last < 1_100, "{last}");
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().damaged, 0);
    assert_eq!(vault.counters().mismatches.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn secrets_in_streams_are_found_across_events_and_later() {
    let spread = |n: i64| {
        stream(&said(3)).replacen("\"says0 \"", "\"sec\"", 1).replacen(
            "\"says9 \"",
            &format!("\"ret-word{n} \""),
            1,
        )
    };
    let read = |connection: &Connection, seq| {
        let read = vault::read(connection, seq).unwrap().unwrap();
        let Body::Whole(whole) = &read.attempts[0].response.body else { panic!("no body") };
        assert!(whole.redacted && !read.attempts[0].frames.is_empty());
        String::from_utf8(whole.bytes.clone()).unwrap()
    };
    let with_frames = |n| {
        let mut captured = exchange(conversation(3), spread(n));
        captured.attempts[0].frames = vec![(0, 10), (100, 50)];
        captured
    };
    let mut connection = connection();
    // At once.
    let mut vault = Vault::new(Box::new(Hide), None);
    put(&mut vault, &connection, 1, &with_frames(1));
    let answer = read(&connection, 1);
    assert!(answer.contains("[hidden] says18") && !answer.contains("word1"), "{answer}");
    // By a later policy.
    let mut vault = self::vault();
    put(&mut vault, &connection, 2, &with_frames(2));
    let mut shelf = Shelf::default();
    let done = vault::rewrite(&mut connection, &mut shelf, &[2], &|text| Hide.clean(text)).unwrap();
    assert_eq!(done.contents, 1);
    let answer = read(&connection, 2);
    assert!(answer.contains("[hidden] says18") && !answer.contains("word2"), "{answer}");
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().named, []);
}

#[test]
fn long_conversations_are_rewritten_with_what_goes_on_from_them() {
    let mut connection = connection();
    let mut vault = vault();
    let turns = talk(40);
    for (seq, turn) in (1..).zip(&turns) {
        put(&mut vault, &connection, seq, turn);
    }
    let after = "SELECT count(*) FROM bodies WHERE content_dictionary = 100";
    assert!(count(&connection, after) > 25);
    // In the tenth turn, in what was said and in a message.
    let hide = |text: &[u8]| {
        let rules = regex::bytes::Regex::new("says81 |109 w0 ").unwrap();
        rules.is_match(text).then(|| rules.replace_all(text, &b"[gone]"[..]).into_owned())
    };
    let seqs: Vec<i64> = (1..=40).collect();
    vault::rewrite(&mut connection, &mut Shelf::default(), &seqs, &hide).unwrap();
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().named, []);
    for (seq, turn) in (1..).zip(&turns) {
        let read = vault::read(&connection, seq).unwrap().unwrap();
        let (Body::Whole(whole), BodyIn::Content(given)) = (&read.request.body, &turn.request.body)
        else {
            panic!("no body")
        };
        let expected = hide(&given.bytes).unwrap_or(given.bytes.to_vec());
        assert_eq!(
            String::from_utf8_lossy(&whole.bytes),
            String::from_utf8_lossy(&expected),
            "{seq}"
        );
        assert!(!format!("{read:?}").contains("says81 "));
    }
    // What is removed takes nothing along that the others go on from.
    vault::prune(&mut connection, &(1..=39).collect::<Vec<_>>()).unwrap();
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().named, []);
    vault::prune(&mut connection, &[40]).unwrap();
    assert_eq!(count(&connection, "SELECT count(*) FROM bodies"), 0);
}

#[test]
fn a_dictionary_is_trained_when_it_is_worth_it_and_goes_with_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection_to(&folder.path().join("store.db"));
    let mut vault = vault();
    let single = |n: i64| {
        let word = |word| format!("trained{} ", (word * n * 31 + n) % 199);
        let words = (0..40).map(word).collect::<Vec<_>>().concat();
        exchange(format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]}}"#), "{}")
    };
    for seq in 1..=600 {
        put(&mut vault, &connection, seq, &single(seq));
    }
    let trained = "SELECT count(*) FROM dictionaries WHERE kind = 'content'";
    // What is removed while it goes on may be in it.
    let mut early = self::vault();
    early.idle(&connection).unwrap();
    crate::store::vault::store::count_removal(&connection).unwrap();
    while !early.is_at(2) {
        early.idle(&connection).unwrap();
    }
    assert_eq!(count(&connection, trained), 0);
    while !vault.is_at(2) {
        vault.idle(&connection).unwrap();
        std::thread::yield_now();
    }
    let trained = "SELECT count(*) FROM dictionaries WHERE kind = 'content'";
    assert_eq!(count(&connection, trained), 1);
    let before = put(&mut self::vault(), &self::connection(), 1, &single(601)).stored_bytes;
    let after = put(&mut vault, &connection, 601, &single(601)).stored_bytes;
    assert!(after < before * 9 / 10, "{after} of {before}");
    assert_same(&vault::read(&connection, 601).unwrap().unwrap(), &single(601));
    // A second one is not trained within the day.
    assert!(
        vault::train(&connection, &mut Shelf::default(), vault::Slot::Content).unwrap().is_none()
    );
    let hide = |text: &[u8]| {
        text.starts_with(br#"{"role":"user","content":"trained1 "#).then(|| b"[gone]".to_vec())
    };
    let seqs: Vec<i64> = (1..=601).collect();
    let done = vault::rewrite(&mut connection, &mut Shelf::default(), &seqs, &hide).unwrap();
    assert!(done.contents > 0);
    assert_eq!(count(&connection, trained), 0);
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().named, []);
}

#[test]
fn a_session_of_before_the_start_is_found_again() {
    let connection = connection();
    connection
        .execute_batch(
            "CREATE TABLE sessions (id INTEGER PRIMARY KEY, name TEXT, parent INTEGER);
             CREATE TABLE exchange_records (seq INTEGER PRIMARY KEY, session INTEGER, flags INTEGER NOT NULL DEFAULT 0);
             INSERT INTO sessions VALUES (1, 's', NULL);",
        )
        .unwrap();
    let mut vault = vault();
    let turns = talk(20);
    for (seq, turn) in (1..).zip(&turns[..19]) {
        put(&mut vault, &connection, seq, turn);
        connection
            .execute("INSERT INTO exchange_records (seq, session) VALUES (?1, 1)", [seq])
            .unwrap();
    }
    // So much else came since that the newest content does not tell.
    for seq in 100..200 {
        let other = exchange(message(turn(seq) * 7), "other");
        vault.store(&connection, seq, Some("other"), &other).unwrap();
    }
    vault.committed();
    let kept = put(&mut self::vault(), &connection, 300, &turns[19]);
    assert!(kept.stored_bytes < 1_500, "{kept:?}");
    assert_same(&vault::read(&connection, 300).unwrap().unwrap(), &turns[19]);
}

/// One exchange of each kind that the format knows, for the golden files.
pub(super) fn golden_cases() -> Vec<Captured> {
    let mut cases = vec![
        exchange(conversation(2), r#"{"answer":"one"}"#),
        exchange(conversation(3), r#"{"answer":"two"}"#),
        exchange(conversation(4), r#"{"answer":"three"}"#),
    ];
    let mut edited = exchange(conversation(4), "one");
    edited.attempts[0].request.body = content(conversation(4).replace(r#""m""#, r#""other""#));
    edited.attempts[0].edits = vec!["model"];
    edited.attempts.push(AttemptIn {
        response: LegIn { body: BodyIn::Nothing(Absent::ShedMemory), ..LegIn::default() },
        frames: vec![(100, 3), (1_500, 7)],
        untabled: 9,
        ..AttemptIn::default()
    });
    edited.response.body = content("translated");
    cases.push(edited);
    cases.extend(talk(2));
    let mut coded = exchange("", "");
    coded.request.body = BodyIn::Content(Content {
        bytes: zstd::bulk::compress(conversation(2).as_bytes(), 3).unwrap().into(),
        coding: Some("zstd".to_owned()),
        ..Content::default()
    });
    if let BodyIn::Content(content) = &mut coded.attempts[0].response.body {
        (content.bytes, content.cut_bytes) = (Bytes::from_static(b"\0\xff cut"), 1_000_000);
    }
    cases.push(coded);
    let media = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".repeat(30);
    cases.push(exchange(
        format!(r#"{{"contents":[{{"data":"{media}"}}]}}"#),
        "no json ".repeat(300),
    ));
    cases
}

#[test]
fn what_an_older_policy_let_in_is_not_met_by_a_newer_one() {
    let connection = connection();
    let body = |turn: usize| {
        let said = "the secret-word99 stands here, among words that are long enough to be a segment of their own".repeat(8);
        exchange(
            format!(r#"{{"messages":[{{"role":"user","content":"{said}"}}],"turn":{turn}}}"#),
            "{}",
        )
    };
    let mut older = vault();
    put(&mut older, &connection, 1, &body(1));
    // As after a restart with more rules: what is read from before must not be taken for clean.
    let mut newer = Vault::new(Box::new(Hide), None);
    put(&mut newer, &connection, 2, &body(2));
    let read = vault::read(&connection, 2).unwrap().unwrap();
    let Body::Whole(whole) = &read.request.body else { panic!("no body") };
    let text = String::from_utf8_lossy(&whole.bytes);
    assert!(whole.redacted && !text.contains("secret-word99"), "{text}");
    assert_eq!(vault::verify(&connection, |_| ()).unwrap().damaged, 0);
}
