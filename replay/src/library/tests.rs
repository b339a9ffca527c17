//! The ladder: exact, near, miss; duplicates by session; whatever order and spacing JSON has.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn chat(model: &str, text: &str) -> String {
    json!({"model": model, "messages": [{"role": "system", "content": "you are a helper"},
        {"role": "user", "content": text}]})
    .to_string()
}

fn asked(body: &str) -> Asked<'_> {
    Asked { method: "POST", target: "/v1/chat/completions", body: body.as_bytes() }
}

fn library(recorded: &[(&str, &str, &str)], after: After) -> Library {
    let mut library = Library::new(Rules::usual(), after);
    for (answer, (id, session, body)) in recorded.iter().enumerate() {
        let session = Some(*session).filter(|session| !session.is_empty());
        let asked = asked(body);
        library.add(&Recorded { asked, id, session, at_us: 0, answer: answer as u32 });
    }
    library
}

fn miss(found: Found) -> Miss {
    match found {
        Found::Missed(miss) => *miss,
        Found::Exact(answer) => panic!("found {answer}"),
    }
}

#[test]
fn an_equal_question_is_exact() {
    let recorded = chat("m", "hello");
    let library = library(&[("a", "", &chat("m", "other")), ("b", "", &recorded)], After::Last);
    assert_eq!(library.find(&asked(&recorded), None), Found::Exact(1));
    let spaced = recorded.replace(':', " : ").replace('{', "{ ");
    assert_eq!(library.find(&asked(&spaced), None), Found::Exact(1));
    assert_eq!((library.len(), library.questions()), (2, 2));
}

#[test]
fn a_near_one_is_named_with_what_differs() {
    let library = library(
        &[
            ("cooking", "", &chat("gpt-5", "what goes with spinach")),
            ("coding", "", &chat("gpt-5-2025-08-07", "fix the borrow error in main.rs please")),
            ("elsewhere", "", &chat("other", "fix the borrow error in lib.rs please")),
        ],
        After::Last,
    );
    let question = chat("gpt-5", "fix the borrow error in lib.rs please");
    let found = miss(library.find(&asked(&question), None));
    let nearest = found.nearest.unwrap();
    assert_eq!((&*nearest.id, nearest.is_kin, found.reason), ("coding", true, Reason::Unrecorded));
    let paths: Vec<&str> = nearest.differences.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["model", "messages[1].content"]);
    assert_eq!(library.take(&nearest, None), Some(1));
}

#[test]
fn what_has_no_kin_is_told_and_not_to_be_served() {
    let library = library(&[("a", "", &chat("gpt-5", "hello"))], After::Last);
    let found = miss(library.find(&asked(&chat("claude", "hello")), None));
    let nearest = found.nearest.unwrap();
    assert!(!nearest.is_kin && &*nearest.id == "a", "{nearest:?}");
    let stream = chat("gpt-5", "hello").replacen('{', r#"{"stream":true,"#, 1);
    assert!(!miss(library.find(&asked(&stream), None)).nearest.unwrap().is_kin);
    let none = Library::new(Rules::usual(), After::Last);
    assert_eq!(miss(none.find(&asked("{}"), None)).nearest, None);
}

#[test]
fn duplicates_come_by_session_and_may_run_out() {
    let body = chat("m", "again");
    let library =
        library(&[("a1", "a", &body), ("b1", "b", &body), ("a2", "a", &body)], After::Fail);
    let find = |session| library.find(&asked(&body), session);
    assert_eq!(find(Some("b")), Found::Exact(1));
    assert_eq!(find(Some("new")), Found::Exact(0));
    assert_eq!(find(Some("new")), Found::Exact(2));
    let found = miss(find(Some("b")));
    assert_eq!(found.reason, Reason::Exhausted);
    assert_eq!(found.nearest.unwrap().differences, []);
    assert_eq!(
        [find(None), find(None), find(None)].map(|found| found == Found::Exact(1)),
        [false, false, true]
    );
}

#[test]
fn own_rules_and_masks_widen_what_is_equal() {
    let mut rules = Rules::usual();
    rules.ignore("messages[0]").unwrap();
    rules.set_mask(Arc::new(|text| {
        std::borrow::Cow::Owned(text.chars().filter(|letter| !letter.is_ascii_digit()).collect())
    }));
    let mut library = Library::new(rules, After::Last);
    let body = chat("m", "it is 20 degrees");
    library.add(&Recorded { asked: asked(&body), id: "a", session: None, at_us: 0, answer: 7 });
    let other = chat("m", "it is 31 degrees").replace("a helper", "somebody else");
    assert_eq!(library.find(&asked(&other), None), Found::Exact(7));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
        "[a-z\\PC]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value with its members the other way round.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(turned).collect(),
        Value::Object(members) => {
            let turned = members.iter().rev().map(|(name, value)| (name.clone(), turned(value)));
            Value::Object(turned.collect::<Map<_, _>>())
        }
        value => value.clone(),
    }
}

proptest! {
    #[test]
    fn order_and_spacing_never_matter(value in values()) {
        let rules = Rules::usual();
        let digest = |text: &str| Question::read(&asked(text), &rules).digest(&rules);
        let pretty = serde_json::to_string_pretty(&turned(&value)).unwrap();
        prop_assert_eq!(digest(&value.to_string()), digest(&pretty));
    }

    #[test]
    fn another_value_is_another_question(one in values(), other in values()) {
        let rules = Rules::default();
        let digest = |value: &Value| Question::read(&asked(&value.to_string()), &rules).digest(&rules);
        // What is compared is what survives being written.
        let written = |value: &Value| serde_json::from_str::<Value>(&turned(&turned(value)).to_string()).unwrap();
        if digest(&one) == digest(&other) {
            let question = |value: &Value| Question::read(&asked(&value.to_string()), &rules);
            prop_assert_eq!(difference::between(&question(&one), &question(&other), &rules), []);
        } else {
            prop_assert_ne!(written(&one), written(&other));
        }
    }

    #[test]
    fn any_bytes_are_taken(body in prop::collection::vec(any::<u8>(), 0..200), target in "\\PC{0,40}") {
        let mut library = Library::new(Rules::usual(), After::Last);
        let asked = Asked { method: "POST", target: &target, body: &body };
        let before = matches!(library.find(&asked, None), Found::Missed(_));
        library.add(&Recorded { asked, id: "a", session: None, at_us: 0, answer: 3 });
        prop_assert!(before);
        prop_assert_eq!(library.find(&asked, Some("s")), Found::Exact(3));
    }
}
