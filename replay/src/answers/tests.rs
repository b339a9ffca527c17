//! Pairs of answers and what is said of them.

#![expect(clippy::float_cmp, reason = "shares of small whole numbers are exact")]

use serde_json::json;

use super::*;
use crate::outcome::Call;

fn says(text: &str) -> Answer {
    Answer { text: text.to_owned(), finish: Some("stop".to_owned()), ..Answer::default() }
}

fn does(calls: &[(&str, &str)]) -> Answer {
    let call = |(name, arguments): &(&str, &str)| Call {
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    Answer {
        calls: calls.iter().map(call).collect(),
        finish: Some("tool_calls".to_owned()),
        ..Answer::default()
    }
}

fn compared(base: &Answer, new: &Answer) -> Likeness {
    likeness(base, new, None, &Rules::default())
}

#[test]
fn an_answer_is_like_itself() {
    for answer in [says(""), says("Yes."), says("{\"a\":1}"), does(&[("f", "{}")])] {
        let alike = compared(&answer, &answer);
        assert!(alike.exact && alike.normalised && alike.same_finish && !alike.refusal_differs);
        assert_eq!(difference(&alike), (0.0, String::new()));
    }
    assert_eq!(compared(&says(""), &says("")).length_ratio, None);
}

#[test]
fn words_that_differ_in_nothing_but_form() {
    let alike = compared(&says("It's done!"), &says("it’s  done"));
    assert!(!alike.exact && alike.normalised);
    assert_eq!(difference(&alike).0, 0.0);
    let json = compared(&says("{\"a\": 1, \"b\": 2}"), &says("{\"b\":2.0,\"a\":1}"));
    assert!(!json.exact && json.normalised);
    assert_eq!(json.json, Some(1.0));
    let shorter = compared(&says("one two three four"), &says("one two"));
    assert_eq!(shorter.length_ratio, Some(7.0 / 18.0));
    assert!(!shorter.normalised);
}

#[test]
fn json_that_is_no_longer_json_agrees_in_nothing() {
    assert_eq!(compared(&says("{\"a\":1}"), &says("a is 1")).json, Some(0.0));
    assert_eq!(compared(&says("a is 1"), &says("{\"a\":1}")).json, Some(0.0));
    assert_eq!(compared(&says("a is 1"), &says("a is 1")).json, None);
}

#[test]
fn calls_are_compared_by_what_they_do() {
    let base = does(&[("read", "{\"path\":\"a\",\"n\":1}"), ("list", "")]);
    let spelled = does(&[("list", "{}"), ("read", "{\"n\":1.0, \"path\":\"a\"}")]);
    let alike = compared(&base, &spelled);
    assert!(!alike.exact && alike.normalised);
    assert_eq!((alike.calls_f1, alike.calls_in_order), (Some(1.0), Some(false)));
    let wrong = does(&[("read", "{\"path\":\"b\",\"n\":1}"), ("list", "{}")]);
    let other = compared(&base, &wrong);
    assert_eq!((other.calls_precision, other.calls_recall), (Some(0.5), Some(0.5)));
    assert_eq!((other.calls_f1, other.names_f1), (Some(0.5), Some(1.0)));
    assert_eq!(other.calls_in_order, Some(false));
    assert!(!other.normalised);
}

#[test]
fn what_is_ignored_may_differ() {
    let rules = Rules { ignore: vec!["$..id".parse().unwrap()], tolerance: 0.01 };
    let alike = likeness(
        &says("{\"id\":\"x\",\"price\":100}"),
        &says("{\"id\":\"y\",\"price\":100.5}"),
        None,
        &rules,
    );
    assert_eq!((alike.json, alike.normalised), (Some(1.0), true));
    let calls =
        likeness(&does(&[("f", "{\"id\":1}")]), &does(&[("f", "{\"id\":2}")]), None, &rules);
    assert_eq!(calls.calls_f1, Some(1.0));
}

/// Where each dialect keeps the schema of the text and those of tools.
#[test]
fn schemas_are_found_wherever_a_request_keeps_them() {
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let valid = |request: &Value, answer: &Answer| {
        likeness(answer, answer, Some(request), &Rules::default()).schema_valid
    };
    for request in [
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}),
        json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}),
        json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": schema}}),
    ] {
        assert_eq!(valid(&request, &says("{\"n\":1}")), Some(true), "{request}");
        assert_eq!(valid(&request, &says("{\"n\":\"1\"}")), Some(false), "{request}");
        assert_eq!(valid(&request, &says("n is 1")), Some(false), "{request}");
        assert_eq!(valid(&request, &does(&[("f", "{}")])), None, "{request}");
    }
    for tools in [
        json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]),
        json!([{"type": "function", "name": "f", "parameters": schema}]),
        json!([{"name": "f", "input_schema": schema}]),
        json!([{"functionDeclarations": [{"name": "f", "parameters": schema}]}]),
    ] {
        let request = json!({ "tools": tools });
        assert_eq!(valid(&request, &does(&[("f", "{\"n\":1}")])), Some(true), "{request}");
        for bad in [("f", "{\"n\":1.5}"), ("f", ""), ("f", "{broken"), ("g", "{\"n\":1}")] {
            assert_eq!(valid(&request, &does(&[("f", "{\"n\":1}"), bad])), Some(false), "{bad:?}");
        }
        assert_eq!(valid(&request, &says("hello")), None);
    }
    let any = json!({"response_format": {"type": "json_object"}});
    assert_eq!(valid(&any, &says("{}")), Some(true));
    assert_eq!(valid(&any, &says("no")), Some(false));
    assert_eq!(valid(&json!({}), &says("no")), None);
    assert_eq!(valid(&json!([1]), &says("no")), None);
}

#[test]
fn the_gravest_difference_comes_first() {
    let base = does(&[("read", "{\"p\":1}"), ("list", "{}")]);
    let of = |new: &Answer| difference(&compared(&base, new));
    let order = of(&does(&[("list", "{}"), ("read", "{\"p\":1}")]));
    let arguments = of(&does(&[("read", "{\"p\":2}"), ("list", "{}")]));
    let names = of(&does(&[("write", "{\"p\":1}"), ("list", "{}")]));
    let nothing =
        of(&Answer { finish: Some("stop".to_owned()), ..says("I cannot help with that.") });
    for (less, more) in [(&order, &arguments), (&arguments, &names), (&names, &nothing)] {
        assert!(less.0 < more.0, "{less:?} {more:?}");
    }
    assert_eq!(order.1, "calls in another order");
    assert_eq!(arguments.1, "calls with other arguments");
    assert_eq!(names.1, "calls other tools");
    assert_eq!(nothing.1, "refuses, calls other tools, ends for another reason");
    assert!(nothing.0 < 1.0);
    let prose = difference(&compared(&says("one two three four"), &says("five")));
    assert_eq!(prose.1, "0.22 times as long, other words");
    let json = difference(&compared(&says("{\"a\":1,\"b\":2}"), &says("{\"a\":1,\"b\":3}")));
    assert_eq!(json.1, "JSON agrees by 50 %");
    let broken = Likeness { schema_valid: Some(false), same_finish: true, ..Likeness::default() };
    assert_eq!(difference(&broken).1, "breaks the schema, other words");
    let judged =
        Likeness { judged: Some(-1), normalised: true, same_finish: true, ..Likeness::default() };
    assert_eq!(difference(&judged), (0.7, "judged worse".to_owned()));
}

#[test]
fn long_and_hostile_answers_end() {
    let deep = "[".repeat(100_000);
    let wide = format!("[{}1]", "1,".repeat(100_000));
    let many: Vec<(&str, &str)> = vec![("f", "{\"a\":1}"); 20_000];
    assert_eq!(compared(&says(&deep), &says(&deep)).json, None);
    assert_eq!(compared(&says(&wide), &says("[1]")).json, Some(1.0 / 100_001.0));
    assert_eq!(compared(&does(&many), &does(&many)).calls_f1, Some(1.0));
}
