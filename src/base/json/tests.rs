//! The scanner against `serde_json`, and the cases worth naming.

use super::*;
use proptest::prelude::*;

/// The top-level members of an object as `serde_json` would have them: the last of several wins.
fn members_of(input: &[u8]) -> Result<Option<serde_json::Value>, JsonError> {
    let mut members = serde_json::Map::new();
    let layout = each_member(input, |member| {
        let value = serde_json::from_slice(member.value.raw()).unwrap_or_default();
        members.insert(member.key.into_owned(), value);
    })?;
    Ok((layout.root.kind == Kind::Object).then_some(members.into()))
}

/// Whatever `serde_json` accepts is accepted, with the same members.
fn agrees_with_serde(input: &[u8]) {
    let theirs = serde_json::from_slice::<serde_json::Value>(input);
    let ours = members_of(input);
    let shown = String::from_utf8_lossy(input);
    if let Ok(theirs) = theirs {
        let members = ours.unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(members.is_some(), theirs.is_object(), "{shown}");
        if let Some(members) = members {
            assert_eq!(members, theirs, "{shown}");
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_on_random_values(value in arbitrary::value(), layout in arbitrary::layout()) {
        let text = arbitrary::write(&value, &layout);
        prop_assert!(each_member(text.as_bytes(), |_| ()).is_ok(), "{}", text);
        agrees_with_serde(text.as_bytes());
        agrees_with_serde(value.to_string().as_bytes());
    }

    #[test]
    fn agrees_with_serde_on_damaged_values(
        value in arbitrary::object(),
        layout in arbitrary::layout(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        damage in 0..4,
    ) {
        let mut text = arbitrary::write(&value, &layout).into_bytes();
        let at = at.index(text.len());
        match damage {
            0 => { text.remove(at); }
            1 => text[at] = byte,
            2 => text.insert(at, byte),
            _ => text.truncate(at),
        }
        agrees_with_serde(&text);
    }

    #[test]
    fn agrees_with_serde_on_token_soup(text in "(\\[|\\]|\\{|\\}|:|,|\"a\"|\"\\\\\"\"|1|-|0|\\.5|e3|true|null| ){0,16}") {
        agrees_with_serde(text.as_bytes());
        // On these tokens the scanner is as strict as a parser, numbers beyond a double apart.
        let accepted = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert!(accepted || check(text.as_bytes()).is_err() || text.contains('e'), "{}", text);
    }

    #[test]
    fn a_string_is_found_whatever_its_length(length in 0_usize..200, escape in any::<prop::sample::Index>()) {
        let mut inner = vec![b'x'; length];
        if length > 0 {
            inner[escape.index(length)] = b'"';
        }
        let plain = String::from_utf8(inner).unwrap();
        let text = format!("{{\"k\":{},\"after\":1}}", serde_json::Value::from(plain));
        agrees_with_serde(text.as_bytes());
    }
}

fn rejects(input: &str, at: usize, reason: &str) {
    let error = each_member(input.as_bytes(), |_| ()).expect_err(input);
    assert_eq!((error.at, error.reason), (at, reason), "{input}");
}

#[test]
fn structural_faults_are_named_with_their_place() {
    rejects("", 0, "the body is empty");
    rejects(" \n", 2, "the body is empty");
    rejects("{\"a\":1,}", 7, "expected a key in quotes");
    rejects("{\"a\" 1}", 5, "expected a colon after the key");
    rejects("{\"a\":1 \"b\":2}", 7, "expected a comma or the end of the object or array");
    rejects("{\"a\":[1,2}", 9, "expected a comma or the end of the object or array");
    rejects("{\"a\":[1,]}", 8, "expected a value");
    rejects("{\"a\":tru}", 5, "expected true, false or null");
    rejects("{\"a\":01}", 6, "a number starts with a needless zero");
    rejects("{\"a\":1.}", 7, "expected a digit");
    rejects("{\"a\":\"b}", 5, "the string that begins here has no end");
    rejects("{\"a\":\"b\\", 5, "the string that begins here has no end");
    rejects("{\"a\":{\"b\":1", 11, "the body ends inside an object or array");
    rejects("{\"a\":", 5, "the body ends where a value should stand");
    rejects("{} {}", 3, "something follows the end of the JSON value");
    rejects("{'a':1}", 1, "expected a key in quotes");
    rejects("<html>", 0, "expected a value");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(check(nested(DEPTH_MAX).as_bytes()).is_ok());
    rejects(
        &nested(DEPTH_MAX + 1),
        5 + DEPTH_MAX,
        "objects and arrays are nested more than 512 deep",
    );
    rejects(&"[".repeat(1_000_000), DEPTH_MAX, "objects and arrays are nested more than 512 deep");
}

#[test]
fn what_parsers_refuse_but_providers_may_judge_is_let_through() {
    for lenient in [
        "\u{feff}{\"a\":1}",
        "{\"a\":\"tab\tinside\"}",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":1e999}",
    ] {
        assert!(check(lenient.as_bytes()).is_ok(), "{lenient}");
    }
    assert!(check(b"{\"a\":\"\xff\xfe\"}").is_ok());
}

#[test]
fn members_keep_their_order_their_spans_and_their_duplicates() {
    let input = r#" { "model" : "a", "n":-1.5e3 ,"\u006dodel":"b","x":{"model":"c"}} "#;
    let mut seen = Vec::new();
    let layout = each_member(input.as_bytes(), |member| {
        assert_eq!(&input[member.value.span.clone()].as_bytes(), &member.value.raw());
        seen.push((
            member.key.into_owned(),
            input[member.key_span].to_owned(),
            input[member.value.span].to_owned(),
        ));
    })
    .unwrap();
    let expected = [
        ("model", "\"model\"", "\"a\""),
        ("n", "\"n\"", "-1.5e3"),
        ("model", "\"\\u006dodel\"", "\"b\""),
        ("x", "\"x\"", "{\"model\":\"c\"}"),
    ]
    .map(|(key, quoted, value)| (key.to_owned(), quoted.to_owned(), value.to_owned()));
    assert_eq!(seen, expected);
    assert_eq!((layout.members, layout.root.span), (4, 1..input.len() - 1));
}

#[test]
fn values_can_be_looked_into() {
    let input = br#"{"a":{"t":true,"f":false,"n":null,"s":"x\n","u":7,"d":0.5,"s2":[1,[2],{}]},"a":{"t":false}}"#;
    let root = check(input).unwrap();
    let first = root.members().next().unwrap().value;
    assert_eq!(first.get("t").unwrap().as_bool(), Some(true));
    assert_eq!(first.get("f").unwrap().as_bool(), Some(false));
    assert_eq!(first.get("n").unwrap().kind, Kind::Null);
    assert_eq!(first.get("s").unwrap().as_str().unwrap(), "x\n");
    assert_eq!(first.get("u").unwrap().as_u64(), Some(7));
    assert_eq!(first.get("d").unwrap().as_f64(), Some(0.5));
    assert_eq!(first.get("d").unwrap().as_u64(), None);
    assert!(first.get("missing").is_none());
    assert_eq!(first.get("t").unwrap().as_str(), None);
    let elements: Vec<&[u8]> =
        first.get("s2").unwrap().elements().map(|element| element.raw()).collect();
    assert_eq!(elements, [b"1".as_slice(), b"[2]", b"{}"]);
    assert_eq!(root.get("a").unwrap().get("t").unwrap().as_bool(), Some(false));
    assert_eq!(root.elements().count(), 0);
    assert_eq!(Value::at(input, &first.span).unwrap().raw(), first.raw());
}
