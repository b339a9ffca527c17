//! What SQL finds is what the plain meaning of a query finds, row by row; pages, counts and iterators agree.

use crate::base::id::{ExchangeId, next_random};
use crate::exchange::level::Level;
use crate::exchange::signal::Signal;
use crate::store::labels::{self, New, On};
use crate::store::query::Query;
use crate::store::query::expr::{Expr, Term, Test};
use crate::store::query::field::Field;
use crate::store::query::page::{By, FindError, Order, Page};
use crate::store::query::tests::records::{NOW, ROWS, row, store};
use crate::store::reader::Reader;
use crate::store::stored::Listed;

/// Terms of which queries are made: rare and common ones, words and numbers, with and without an index.
const TERMS: &[&str] = &[
    "model:gpt-5*",
    "model:gpt-5",
    "model:GPT-5-MINI",
    "model:none",
    "model:\"\"",
    "model:*",
    "requested:alias-1",
    "provider:local",
    "provider:open*",
    "provider:\"\"",
    "dialect:anthropic",
    "operation:embeddings",
    "status:5xx",
    "status:404",
    "status:>=500",
    "status:\"\"",
    "upstream.status:200",
    "outcome:upstream_error",
    "outcome:*ed",
    "stream:true",
    "stream:false",
    "ttft:>2s",
    "ttft:<1ms",
    "ttft:1s..1.5s",
    "ttft:\"\"",
    "duration:>10s",
    "duration:<=7919us",
    "gap:>5s",
    "tokens.in:>10k",
    "tokens.in:31",
    "tokens.out:<50",
    "tokens.cache:>0",
    "cached:true",
    "cached:false",
    "cost:>$0.10",
    "cost:0",
    "cost:..$0.05",
    "since:2h",
    "until:5h",
    "since:3h until:2h",
    "attempts:>1",
    "attempts:0",
    "error:overloaded",
    "error:upstream",
    "error:*",
    "error:\"said 37:\"",
    "error:later",
    "error:\"\"",
    "finish:length",
    "finish:\"\"",
    "tool:shell",
    "tool:tool-7",
    "tool:tool-*",
    "tool:\"\"",
    "agent:claude-code",
    "key:ci",
    "key:\"\"",
    "user:eve",
    "path:/v1/files/*",
    "path:/v1/files/13",
    "path:\"/v1/*\"",
    "client:10.0.0.7",
    "client:10.0.0.7:5000",
    "client:\"\"",
    "method:post",
    "tag.team:search",
    "tag.team:t*",
    "tag.team:\"\"",
    "tag:team",
    "tag:\"team=search\"",
    "tag.a:x",
    "header.x-team:blue",
    "header.X-Team:\"\"",
    "level:full",
    "level:>meta",
    "pinned:true",
    "pinned:false",
    "replayable:true",
    "redacted:true",
    "inferred:true",
    "signal:stall",
    "signal:truncated",
    "signal:*",
    "session:s-17",
    "session:s-1*",
    "session:\"\"",
    "parent:s-4",
    "request_id:req-70",
    "request_id:req-1*",
    "upstream_id:up_99",
    "replay:true",
    "replay:false",
    "run:0707",
    "run:*",
    "label:good",
    "label:g*",
    "label:\"\"",
    "gpt",
    "files/26",
    "s-100",
    "req-70",
    "nowhere",
];

fn meets(expr: &Expr, row: &Listed) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| meets(part, row)),
        Expr::Any(parts) => parts.iter().any(|part| meets(part, row)),
        Expr::Not(part) => !meets(part, row),
        Expr::Is(term) => meets_term(term, row),
    }
}

fn meets_term(term: &Term, row: &Listed) -> bool {
    use Field as F;
    let some = |text: &str| Some(text.to_owned());
    match (&term.field, &term.test) {
        (F::Error, test) => meets_error(test, row),
        (F::Word, Test::Words(word)) => meets_word(word, row),
        (F::Model, test) => like(test, &[row.model.clone().or(row.model_requested.clone())]),
        (F::Requested, test) => like(test, std::slice::from_ref(&row.model_requested)),
        (F::Provider, test) => like(test, std::slice::from_ref(&row.provider)),
        (F::Dialect, test) => like(test, &[some(&row.dialect)]),
        (F::Operation, test) => like(test, &[some(&row.operation)]),
        (F::Outcome, test) => like(test, &[some(&row.outcome)]),
        (F::Finish, test) => like(test, std::slice::from_ref(&row.finish_reason)),
        (F::Agent, test) => like(test, &[some(&row.agent)]),
        (F::Key, test) => like(test, std::slice::from_ref(&row.key_label)),
        (F::User, test) => like(test, std::slice::from_ref(&row.user_label)),
        (F::Path, test) => like(test, &[some(&row.path)]),
        (F::Method, test) => like(test, &[some(&row.method)]),
        (F::Session, test) => like(test, std::slice::from_ref(&row.session_id)),
        (F::Parent, test) => like(test, std::slice::from_ref(&row.parent_session_id)),
        (F::RequestId, test) => like(test, std::slice::from_ref(&row.client_request_id)),
        (F::UpstreamId, test) => like(test, std::slice::from_ref(&row.upstream_request_id)),
        (F::Client, test) => {
            let ip = row.client_addr.as_ref().and_then(|addr| addr.rsplit_once(':'));
            like(test, &[row.client_addr.clone(), ip.map(|(ip, _)| ip.to_owned())])
        }
        (F::Tool, test) => like(test, &some_of(&row.tools)),
        (F::Label, test) => like(test, &some_of(&row.labels)),
        (F::Tag(name), test) if name.is_empty() => {
            let all =
                row.tags.iter().flat_map(|(name, value)| [name.clone(), format!("{name}={value}")]);
            like(test, &some_of(&all.collect::<Vec<_>>()))
        }
        (F::Tag(name), test) => like(test, &[pair(&row.tags, name)]),
        (F::Header(name), test) => like(test, &[pair(&row.headers, name)]),
        (F::Run, Test::Like(_)) => row.run_id.is_some(),
        (F::Run, Test::Ids { .. }) => row.run_id.as_ref().is_some_and(|id| id.starts_with("0707")),
        (F::Signal, Test::Bits(bits)) => Signal::ALL.into_iter().any(|signal| {
            bits & i64::from(signal.bit()) != 0 && row.signals.contains(&signal.label())
        }),
        (field, Test::Is(wanted)) => yes(field, row) == *wanted,
        (field, Test::Absent) => number(field, row).is_none(),
        (field, Test::Between { min, max }) => number(field, row).is_some_and(|number| {
            min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
        }),
        other => panic!("{other:?}"),
    }
}

fn some_of(names: &[String]) -> Vec<Option<String>> {
    names.iter().cloned().map(Some).collect()
}

fn pair(pairs: &[(String, String)], wanted: &str) -> Option<String> {
    pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
}

fn like(test: &Test, names: &[Option<String>]) -> bool {
    let mut there = names.iter().flatten();
    match test {
        Test::Absent => there.next().is_none(),
        Test::Like(pattern) => there.any(|name| pattern.matches(name)),
        other => panic!("{other:?}"),
    }
}

fn yes(field: &Field, row: &Listed) -> bool {
    match field {
        Field::Stream => row.stream,
        Field::Cached => row.cache_read_tokens > Some(0),
        Field::Redacted => row.redacted,
        Field::Replayable => row.replayable,
        Field::Pinned => row.pinned,
        Field::Inferred => row.session_inferred,
        Field::Replay => row.run_id.is_some(),
        other => panic!("{other:?}"),
    }
}

fn number(field: &Field, row: &Listed) -> Option<i64> {
    match field {
        Field::Status => row.status.map(i64::from),
        Field::UpstreamStatus => row.upstream_status.map(i64::from),
        Field::Ttft => row.ttft_us,
        Field::Duration => Some(row.duration_us),
        Field::Gap => row.gap_max_us,
        Field::TokensIn => row.input_tokens,
        Field::TokensOut => row.output_tokens,
        Field::TokensCache => row.cache_read_tokens,
        Field::Cost => row.cost_nanousd,
        Field::Attempts => Some(row.attempts),
        Field::Started => Some(row.started_at_us),
        Field::Level => Level::parse(&row.capture_level).map(|level| i64::from(level.number())),
        other => panic!("{other:?}"),
    }
}

fn meets_error(test: &Test, row: &Listed) -> bool {
    let said = |words: &str| {
        row.error_detail
            .as_ref()
            .is_some_and(|text| text.to_lowercase().contains(&words.to_lowercase()))
    };
    match test {
        Test::Absent => row.error_kind.is_none(),
        Test::Words(words) => said(words),
        Test::Like(pattern) if pattern.name() == Some("later") => said("later"),
        Test::Like(pattern) => [&row.error_kind, &row.error_source]
            .into_iter()
            .flatten()
            .any(|name| pattern.matches(name)),
        other => panic!("{other:?}"),
    }
}

fn meets_word(word: &str, row: &Listed) -> bool {
    let names = [
        &row.model,
        &row.model_requested,
        &row.provider,
        &Some(row.path.clone()),
        &Some(row.agent.clone()),
        &row.key_label,
        &row.error_kind,
        &row.finish_reason,
        &row.error_detail,
        &row.client_request_id,
        &row.upstream_request_id,
        &row.session_id,
    ];
    let has = |text: &String| text.to_ascii_lowercase().contains(word);
    names.into_iter().flatten().any(has) || row.tools.iter().any(has)
}

/// Different at each run; a failure names its query.
fn queries(count: usize) -> Vec<String> {
    let pick = |n: u64| usize::try_from(next_random() % n).unwrap();
    let term = || {
        let sign = if pick(4) == 0 { "-" } else { "" };
        format!("{sign}{}", TERMS[pick(TERMS.len() as u64)])
    };
    let made = (0..count).map(|_| match pick(4) {
        0 => format!("{} {}", term(), term()),
        1 => format!("{} OR {}", term(), term()),
        2 => format!("({} OR {}) {}", term(), term(), term()),
        _ => format!("{} -({} {})", term(), term(), term()),
    });
    TERMS
        .iter()
        .map(|term| (*term).to_owned())
        .chain(TERMS.iter().map(|term| format!("-{term}")))
        .chain(made)
        .collect()
}

#[test]
fn queries_find_what_they_mean() {
    let folder = store(ROWS);
    let all = |reader: &Reader| reader.list(&Query::everything(), &Page::newest(10_000)).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    assert_eq!(all(&reader).len() as u64, ROWS);
    let good = New { name: "Good".to_owned(), ..New::default() };
    let third = all(&reader).into_iter().find(|row| row.seq == 3).unwrap();
    let third = ExchangeId::parse(&third.id).unwrap();
    for on in [On::Exchange(third), On::Session("s-90".to_owned())] {
        labels::put(folder.path(), &on, &good, 1).unwrap();
    }
    let rows = all(&reader);
    assert!(rows.windows(2).all(|pair| pair[0].seq > pair[1].seq), "newest first");
    let mut found_some = 0;
    for text in queries(150) {
        let query = Query::parse(&text, NOW).unwrap();
        let expected: Vec<i64> = rows
            .iter()
            .filter(|row| query.replays || row.run_id.is_none())
            .filter(|row| meets(&query.expr, row))
            .map(|row| row.seq)
            .collect();
        let seqs = |page: Page| -> Vec<i64> {
            reader.list(&query, &page).unwrap().iter().map(|row| row.seq).collect()
        };
        found_some += usize::from(!expected.is_empty());
        let newest: Vec<i64> =
            reader.seqs(&query, Order::Newest).unwrap().map(Result::unwrap).collect();
        assert_eq!(newest, expected, "{text}");
        assert_eq!(reader.count(&query, u64::MAX).unwrap(), expected.len() as u64, "{text}");
        assert_eq!(seqs(Page::newest(7)), expected[..expected.len().min(7)], "{text}");
        let middle = expected.get(expected.len() / 2).copied().unwrap_or(50);
        let older: Vec<i64> =
            expected.iter().copied().filter(|seq| *seq < middle).take(5).collect();
        assert_eq!(seqs(Page { limit: 5, before: Some(middle), after: None }), older, "{text}");
        let newer =
            expected.iter().rev().copied().filter(|seq| *seq > middle).take(5).collect::<Vec<_>>();
        assert_eq!(seqs(Page { limit: 5, before: None, after: Some(middle) }), newer, "{text}");
    }
    assert!(found_some > 150, "{found_some}");
}

#[test]
fn the_oldest_come_first_where_that_is_asked_and_counting_stops() {
    let folder = store(1_500);
    let reader = Reader::open(folder.path()).unwrap();
    for text in ["", "model:gpt-5*", "session:s-7*"] {
        let query = Query::parse(text, NOW).unwrap();
        let mut newest: Vec<i64> =
            reader.seqs(&query, Order::Newest).unwrap().map(Result::unwrap).collect();
        let oldest: Vec<i64> =
            reader.seqs(&query, Order::Oldest).unwrap().map(Result::unwrap).collect();
        newest.reverse();
        assert_eq!(newest, oldest, "{text}");
        assert_eq!(reader.count(&query, 90).unwrap(), 90, "{text}");
    }
}

#[test]
fn an_exchange_is_found_by_its_id_or_the_beginning_of_it() {
    let folder = store(30);
    let reader = Reader::open(folder.path()).unwrap();
    let rows = reader.list(&Query::everything(), &Page::newest(30)).unwrap();
    let one = &rows[4];
    assert_eq!(reader.find(&one.id).unwrap(), *one);
    assert_eq!(reader.find(&one.id.to_uppercase().replace('-', "")).unwrap(), *one);
    assert_eq!(reader.find(&one.id[..35]).unwrap().id, one.id);
    let told = reader.find("01").unwrap_err();
    assert!(matches!(&told, FindError::Ambiguous { ids, .. } if ids.len() == 6), "{told}");
    assert!(told.to_string().ends_with("and more; give more of the id"), "{told}");
    assert!(reader.find("ffff").unwrap_err().to_string().contains("begins with `ffff`"));
    for no_id in ["", "xyz", "01 02", &"0".repeat(33)] {
        assert!(matches!(reader.find(no_id), Err(FindError::NoId(_))), "{no_id}");
    }
}

#[test]
fn sessions_are_added_up_and_paged_by_their_newest_match() {
    let folder = store(400);
    let reader = Reader::open(folder.path()).unwrap();
    let sessions =
        |text: &str, page: &Page| reader.sessions(&Query::parse(text, NOW).unwrap(), page).unwrap();
    let all = sessions("", &Page::newest(100));
    assert_eq!(all.len(), 20);
    assert_eq!((all[0].id.as_str(), all[0].exchanges), ("s-19", 16));
    assert!(all.windows(2).all(|pair| pair[0].seq > pair[1].seq));
    let rows = reader.of_session("s-3", None, 100).unwrap();
    assert!(rows.windows(2).all(|pair| pair[0].seq < pair[1].seq) && rows.len() == 16);
    let third = all.iter().find(|session| session.id == "s-3").unwrap();
    assert_eq!(
        third.errors,
        rows.iter().map(|row| i64::from(row.outcome != "complete")).sum::<i64>()
    );
    assert_eq!(third.input_tokens, rows.iter().filter_map(|row| row.input_tokens).sum::<i64>());
    assert_eq!(third.first_us, rows[0].started_at_us);
    assert_eq!(third.models.len(), 3);
    assert_eq!(
        (third.inferred, all.iter().find(|s| s.id == "s-5").unwrap().parent.as_deref()),
        (true, Some("s-4"))
    );
    let first = sessions("", &Page::newest(6));
    let next = sessions("", &Page { before: Some(first[5].seq), ..Page::newest(100) });
    let ids = |list: &[crate::store::query::sessions::Session]| -> Vec<String> {
        list.iter().map(|session| session.id.clone()).collect()
    };
    assert_eq!([ids(&first), ids(&next)].concat(), ids(&all));
    let since = Page { after: Some(first[5].seq), ..Page::newest(100) };
    assert_eq!(ids(&sessions("", &since)), ids(&first[..5]), "those that have something newer");
    assert_eq!(third.turns, rows.iter().map(|row| i64::from(row.operation == "chat")).sum::<i64>());
    let odd: i64 = rows.iter().map(|row| i64::try_from(row.signals.len()).unwrap()).sum();
    assert_eq!(third.signals.values().sum::<i64>(), odd);
    for (name, times) in &third.signals {
        let has = rows.iter().filter(|row| row.signals.contains(&name.as_str())).count();
        assert_eq!(*times, i64::try_from(has).unwrap(), "{name}");
    }
    let users: Vec<_> = rows.iter().filter_map(|row| row.user_label.clone()).collect();
    assert!(users.iter().all(|user| third.users.contains(user)));
    let failed = sessions("status:5xx", &Page::newest(100));
    assert!(
        failed.len() < 20
            && failed.iter().all(|session| session.exchanges == 16 && session.errors > 0)
    );
}

#[test]
fn matches_are_counted_piece_by_piece_and_sorted_among_the_newest() {
    let folder = store(400);
    let reader = Reader::open(folder.path()).unwrap();
    let query = Query::parse("status:2xx", NOW).unwrap();
    let all = reader.list(&query, &Page::newest(1_000)).unwrap();
    let (mut count, mut before, mut pieces) = (0, None, 0);
    loop {
        let (some, next) = reader.count_below(&query, before, 50).unwrap();
        count += some;
        pieces += 1;
        match next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    assert_eq!((count, pieces), (all.len(), all.len() / 50 + 1));
    for by in By::ALL {
        let (rows, among) = reader.greatest(&query, by, 100, 10).unwrap();
        assert_eq!(among, 100, "{}", by.label());
        let of = |row: &Listed| match by {
            By::Cost => row.cost_nanousd,
            By::Duration => Some(row.duration_us),
            By::Ttft => row.ttft_us,
            By::TokensIn => row.input_tokens,
            By::TokensOut => row.output_tokens,
            By::Gap => row.gap_max_us,
            By::Attempts => Some(row.attempts),
        };
        let mut wanted: Vec<i64> = all.iter().take(100).filter_map(of).collect();
        wanted.sort_unstable_by(|left, right| right.cmp(left));
        wanted.truncate(10);
        assert_eq!(rows.iter().filter_map(of).collect::<Vec<_>>(), wanted, "{}", by.label());
    }
}

#[test]
fn labels_are_put_replaced_and_removed() {
    let folder = store(10);
    let reader = Reader::open(folder.path()).unwrap();
    let exchange = On::Exchange(ExchangeId::from_bytes(row(3).id));
    let new = |name: &str| New { name: name.to_owned(), ..New::default() };
    let scored = New { score: Some(0.5), note: Some("a\nb\u{7}".to_owned()), ..new("Good") };
    // Ids of the fixture's rows are random: the store's are asked.
    let put = |on: &On, new: &New| labels::put(folder.path(), on, new, 7);
    assert!(
        put(&exchange, &scored).unwrap_err().to_string().starts_with("there is no exchange 01")
    );
    let id = reader.list(&Query::everything(), &Page::newest(1)).unwrap().remove(0).id;
    let exchange = On::Exchange(ExchangeId::parse(&id).unwrap());
    let label = put(&exchange, &scored).unwrap();
    assert_eq!((label.name.as_str(), label.note.as_deref()), ("good", Some("a\nb\u{fffd}")));
    put(&exchange, &New { score: Some(1.0), ..new("good") }).unwrap();
    put(&On::Session("s-0".to_owned()), &new("set/1")).unwrap();
    assert_eq!(
        reader
            .labels(&exchange)
            .unwrap()
            .iter()
            .map(|l| (l.name.as_str(), l.score))
            .collect::<Vec<_>>(),
        [("good", Some(1.0))]
    );
    assert_eq!(reader.find(&id).unwrap().labels, ["good", "set/1"]);
    assert_eq!(reader.label_names(5).unwrap(), [("good".to_owned(), 1), ("set/1".to_owned(), 1)]);
    for (bad, words) in [
        (new(""), "is no name of a label"),
        (new("a b"), "is no name of a label"),
        (new("-a"), "is no name of a label"),
        (New { score: Some(f64::NAN), ..new("a") }, "finite"),
        (New { note: Some("x".repeat(5_000)), ..new("a") }, "4096 are the limit"),
        (New { author: Some("x".repeat(257)), ..new("a") }, "256 are the limit"),
    ] {
        let told = put(&exchange, &bad).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
    assert!(
        put(&On::Session("no".to_owned()), &new("a"))
            .unwrap_err()
            .to_string()
            .contains("no session `no`")
    );
    for n in 0..63 {
        put(&exchange, &new(&format!("l{n}"))).unwrap();
    }
    assert!(put(&exchange, &new("more")).unwrap_err().to_string().contains("which is the limit"));
    assert!(put(&exchange, &new("l1")).is_ok(), "replacing is not adding");
    assert!(labels::remove(folder.path(), &exchange, "GOOD").unwrap());
    assert!(!labels::remove(folder.path(), &exchange, "good").unwrap());
    let none = tempfile::tempdir().unwrap();
    assert!(labels::put(none.path(), &exchange, &new("a"), 1).is_err());
    assert!(!none.path().join("pinhole.db").exists(), "a label makes no store");
}
