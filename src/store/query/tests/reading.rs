//! Text to tree: what is understood, what is refused and with which words, and that nothing makes it panic.

use proptest::prelude::*;

use crate::store::query::expr::{Expr, Term, Test};
use crate::store::query::field::{FIELDS, Field};
use crate::store::query::pattern::Pattern;
use crate::store::query::{DEPTH_MAX, Query, TERMS_MAX, TEXT_BYTES_MAX};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000_000_000;

fn read(text: &str) -> Expr {
    match Query::parse(text, NOW) {
        Ok(query) => query.expr,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn term(text: &str) -> (Field, Test) {
    match read(text) {
        Expr::Is(Term { field, test }) => (field, test),
        other => panic!("{text}: {other:?}"),
    }
}

fn between(text: &str) -> (Option<i64>, Option<i64>) {
    match term(text).1 {
        Test::Between { min, max } => (min, max),
        other => panic!("{text}: {other:?}"),
    }
}

/// The message, and what it marks.
fn refused(text: &str) -> (String, String) {
    let error = Query::parse(text, NOW).expect_err(text);
    let marked = text.get(error.at.clone()).unwrap_or_default().to_owned();
    assert!(error.to_string().starts_with(&format!("query, column {}: ", error.column)), "{error}");
    assert!(!error.message.ends_with('.'), "{error}");
    (error.message, marked)
}

#[test]
fn numbers_have_units_comparisons_and_ranges() {
    for (text, min, max) in [
        ("ttft:>2s", Some(2_000_001), None),
        ("ttft:>=1.5s", Some(1_500_000), None),
        ("duration:<200ms", None, Some(199_999)),
        ("duration:1m..2m", Some(60_000_000), Some(120_000_000)),
        ("gap:..5s", None, Some(5_000_000)),
        ("duration:0..1s", Some(0), Some(1_000_000)),
        ("tokens.in:>10k", Some(10_001), None),
        ("tokens.out:<50", None, Some(49)),
        ("tokens.cache:1.5M", Some(1_500_000), Some(1_500_000)),
        ("cost:>$0.10", Some(100_000_001), None),
        ("cost:<=0.000000001", None, Some(1)),
        ("cost:0", Some(0), Some(0)),
        ("bytes.in:>=1.5KiB", Some(1_536), None),
        ("bytes.out:2MB..", Some(2_000_000), None),
        ("attempts:>1", Some(2), None),
        ("status:5xx", Some(500), Some(599)),
        ("status:404", Some(404), Some(404)),
        ("status:400..499", Some(400), Some(499)),
        ("upstream.status:>=500", Some(500), None),
        ("level:full", Some(3), Some(3)),
        ("level:>=headers", Some(2), None),
    ] {
        assert_eq!(between(text), (min, max), "{text}");
    }
}

#[test]
fn times_are_ages_dates_or_instants() {
    let before = |seconds: i64| NOW - seconds * 1_000_000;
    for (text, min, max) in [
        ("since:2h", Some(before(7_200)), None),
        ("since:1.5d", Some(before(129_600)), None),
        ("until:2026-11-20", None, Some(before(43_200) - 1)),
        ("until:30m", None, Some(before(1_800) - 1)),
        ("since:2026-11-20T08:00:00Z", Some(before(14_400)), None),
        ("since:2026-11-20T08:00:00+02:00", Some(before(21_600)), None),
    ] {
        assert_eq!(between(text), (min, max), "{text}");
        assert_eq!(term(text).0, Field::Started);
    }
}

#[test]
fn names_have_wildcards_unless_quoted() {
    assert_eq!(term("model:gpt-5*"), (Field::Model, Test::Like(Pattern::new("gpt-5*"))));
    assert_eq!(term("MODEL:x").0, Field::Model);
    assert_eq!(term("path:\"/v1/*\"").1, Test::Like(Pattern::exact("/v1/*")));
    assert_eq!(term("provider:\"\"").1, Test::Absent);
    assert_eq!(
        term("path:/v1beta/models/m:generateContent").1,
        Test::Like(Pattern::new("/v1beta/models/m:generateContent"))
    );
    assert_eq!(term(r#"text:"say \"hi\" \\ \n""#).1, Test::Words(r#"say "hi" \ \n"#.to_owned()));
    assert_eq!(term("text:words").1, Test::Words("words".to_owned()));
    assert_eq!(term("tag.Team:search").0, Field::Tag("Team".to_owned()));
    assert_eq!(term("header.X-Team:a").0, Field::Header("x-team".to_owned()));
    assert_eq!(term("timeout"), (Field::Word, Test::Words("timeout".to_owned())));
    assert_eq!(term("signal:stall").1, Test::Bits(1 << 8));
    assert_eq!(term("signal:*").1, Test::Bits((1 << 9) - 1));
    assert_eq!(term("replay:yes").1, Test::Is(true));
    let (lowest, highest) = match term("id:019AA1c2-8").1 {
        Test::Ids { lowest, highest } => (lowest, highest),
        other => panic!("{other:?}"),
    };
    assert_eq!(lowest[..5], [0x01, 0x9A, 0xA1, 0xC2, 0x80]);
    assert_eq!(highest[..5], [0x01, 0x9A, 0xA1, 0xC2, 0x8F]);
    assert_eq!((lowest[15], highest[15]), (0, 0xFF));
}

#[test]
fn terms_are_joined() {
    let is = |text: &str| read(text);
    let (a, b, c) = (is("a"), is("b"), is("c"));
    let not = |expr: &Expr| Expr::Not(Box::new(expr.clone()));
    let all = |parts: &[&Expr]| Expr::All(parts.iter().map(|part| (*part).clone()).collect());
    let any = |parts: &[&Expr]| Expr::Any(parts.iter().map(|part| (*part).clone()).collect());
    for (text, expected) in [
        ("", Expr::default()),
        ("  \t", Expr::default()),
        ("a b", all(&[&a, &b])),
        ("a AND b", all(&[&a, &b])),
        ("a OR b c", any(&[&a, &all(&[&b, &c])])),
        ("(a OR b) c", all(&[&any(&[&a, &b]), &c])),
        ("-a", not(&a)),
        ("NOT a b", all(&[&not(&a), &b])),
        ("- a", not(&a)),
        ("--a", a.clone()),
        ("-(a b)", not(&all(&[&a, &b]))),
        ("a(b)c", all(&[&a, &b, &c])),
        ("((a))", a.clone()),
        ("\"OR\"", is("\"OR\"")),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    assert_eq!(term("or").1, Test::Words("or".to_owned()), "only capitals join");
}

#[test]
fn replays_are_left_out_unless_asked_for() {
    for (text, replays) in [
        ("", false),
        ("model:x", false),
        ("run:01", true),
        ("replay:true", true),
        ("a OR -(replay:false)", true),
        ("id:01", true),
    ] {
        assert_eq!(Query::parse(text, NOW).unwrap().replays, replays, "{text}");
    }
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    for (text, marked, words) in [
        ("modle:x", "modle", "did you mean `model`?"),
        ("a tokens.input:>3", "tokens.input", "did you mean `tokens.in`?"),
        ("http://x", "http", "unknown field `http`; known are id, session"),
        ("tag.:x", "tag.", "unknown field"),
        ("model:", "model:", "`model:` has no value"),
        (":x", ":", "no field before the colon"),
        ("ttft:>2", ">2", "use a duration such as 200ms"),
        ("ttft:2x", "2x", "ttft: `2x` is no duration"),
        ("ttft:1.", "1.", "is no duration"),
        ("cost:>$x", ">$x", "an amount such as $0.10"),
        ("tokens.in:99999999999999999999", "99999999999999999999", "is no number"),
        ("tokens.in:5..1", "5..1", "is an empty range"),
        ("tokens.in:..", "..", "is no number"),
        ("status:6xxx", "6xxx", "a class such as 5xx"),
        ("since:yesterday", "yesterday", "an age such as 30m"),
        ("since:2026-13-01", "2026-13-01", "is no time"),
        ("stream:maybe", "maybe", "use true or false"),
        ("outcome:complet", "complet", "did you mean `complete`?"),
        ("dialect:grpc", "grpc", "use one of openai_chat"),
        ("signal:stalls", "stalls", "did you mean `stall`?"),
        ("level:all", "all", "off, meta, headers, full"),
        ("id:xyz", "xyz", "is no id"),
        ("text:\"--\"", "\"--\"", "is no word"),
        ("\"\"", "\"\"", "an empty word"),
        ("model:\"gpt", "\"gpt", "the quote is not closed"),
        ("model:\"a\"b", "", "leave a space after it"),
        ("model:a\"b\"", "\"", "a quote in the middle"),
        ("(a", "(", "the parenthesis is not closed"),
        ("a)", ")", "without an opening one"),
        ("a OR", "", "a term is missing at the end"),
        ("OR a", "OR", "a term is missing before this"),
        ("()", ")", "a term is missing before this"),
        ("a -", "", "a term is missing at the end"),
        ("é modle:x", "modle", "did you mean"),
    ] {
        let (message, at) = refused(text);
        assert_eq!(at, marked, "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
    let error = Query::parse("é modle:x", NOW).unwrap_err();
    assert_eq!((error.column, error.at), (3, 3..8));
    assert_eq!(
        Query::parse("é modle:x", NOW).unwrap_err().underlined("é modle:x"),
        "é modle:x\n  ^^^^^"
    );
}

#[test]
fn size_and_depth_are_bounded() {
    let long = "a".repeat(TEXT_BYTES_MAX + 1);
    assert!(refused(&long).0.contains("4096 are the limit"));
    let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(Query::parse(&deep(DEPTH_MAX), NOW).is_ok());
    assert!(refused(&deep(DEPTH_MAX + 1)).0.contains("32 deep at most"));
    assert!(refused(&"(".repeat(TEXT_BYTES_MAX)).0.contains("deep at most"));
    assert!(Query::parse(&"- ".repeat(TEXT_BYTES_MAX / 2), NOW).is_err());
    assert!(refused(&"a ".repeat(TERMS_MAX + 1)).0.contains("128 terms"));
}

#[test]
fn every_field_has_its_row_and_takes_some_value() {
    for info in FIELDS {
        let tried =
            ["x", "1", "5s", "true", "2h", "500", "full", "stall", "chat", "complete", "anthropic"];
        let taken =
            tried.iter().any(|value| Query::parse(&format!("{}:{value}", info.name), NOW).is_ok());
        assert!(taken, "{}", info.name);
        assert!(!info.help.ends_with('.') && info.help.len() < 80, "{}", info.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        if let Err(error) = Query::parse(&text, NOW) {
            prop_assert!(error.at.end <= text.len() && text.get(error.at.clone()).is_some());
            prop_assert!(!error.underlined(&text).is_empty());
        }
    }

    #[test]
    fn nor_does_a_text_that_is_nearly_right(
        text in "((model|status|ttft|cost|since|id|tag\\.a|text|level)?[:\"() ><=.*-]{0,3}(5xx|2s|OR|NOT|\\$1|a|..|9é)?[ )\"]?){0,12}",
        now: i64,
    ) {
        let _ = Query::parse(&text, now);
    }
}

#[test]
fn the_page_has_all_fields_and_its_examples_are_understood() {
    let page = include_str!("../../../../docs/query.md");
    for info in FIELDS {
        let row = format!("| `{}` | {} |", info.name, info.help);
        assert!(page.contains(&row), "docs/query.md lacks: {row}");
    }
    let mut examples = 0;
    for block in page.split("```query\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for example in block.lines() {
            read(example);
            examples += 1;
        }
    }
    assert!(examples > 15, "{examples}");
}
