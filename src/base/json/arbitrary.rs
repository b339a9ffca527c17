//! Random JSON for property tests: values, and their text with odd white space and escapes.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

/// Any value, a few levels deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e15..1e15).prop_map(|number: f64| Value::from(number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5).prop_map(|members| {
                let members: serde_json::Map<String, Value> = members.into_iter().collect();
                Value::from(members)
            }),
        ]
    })
}

/// An object, as request bodies are.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), value()), 0..6).prop_map(|members| {
        let members: serde_json::Map<String, Value> = members.into_iter().collect();
        Value::from(members)
    })
}

/// Keys that edits care about, and others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("model".to_owned()),
        Just("stream".to_owned()),
        Just("stream_options".to_owned()),
        Just("include_usage".to_owned()),
        Just("temperature".to_owned()),
        Just("generationConfig".to_owned()),
        text(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z\"\\\\{}\\[\\]:, é😀\u{2028}\n\t\u{7f}]{0,12}",
        "[a-z]{20,80}",
        "data: \\[DONE\\]\n\n",
    ]
}

/// Choices of white space and escapes, one for each place, used over and over.
pub(crate) fn layout() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..32)
}

/// Writes `value` with white space and escapes as `layout` says.
pub(crate) fn write(value: &Value, layout: &[u8]) -> String {
    let mut writer = Writer { out: String::new(), choices: layout.iter().cycle() };
    writer.space();
    writer.value(value);
    writer.space();
    writer.out
}

struct Writer<'a> {
    out: String,
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Writer<'_> {
    fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or(0)
    }

    fn space(&mut self) {
        let space = match self.choice() % 8 {
            0 => " ",
            1 => "\n  ",
            2 => "\r\n\t",
            _ => "",
        };
        self.out.push_str(space);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(elements) => {
                self.out.push('[');
                self.space();
                for (index, element) in elements.iter().enumerate() {
                    self.separator(index);
                    self.value(element);
                    self.space();
                }
                self.out.push(']');
            }
            Value::Object(members) => {
                self.out.push('{');
                self.space();
                for (index, (key, value)) in members.iter().enumerate() {
                    self.separator(index);
                    self.string(key);
                    self.space();
                    self.out.push(':');
                    self.space();
                    self.value(value);
                    self.space();
                }
                self.out.push('}');
            }
            Value::String(text) => self.string(text),
            other => self.out.push_str(&other.to_string()),
        }
    }

    fn separator(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
            self.space();
        }
    }

    fn string(&mut self, text: &str) {
        if self.choice().is_multiple_of(4) {
            self.out.push('"');
            for unit in text.encode_utf16() {
                write!(self.out, "\\u{unit:04X}").unwrap();
            }
            self.out.push('"');
        } else {
            self.out.push_str(&Value::from(text).to_string());
        }
    }
}
