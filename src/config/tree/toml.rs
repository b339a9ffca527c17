//! TOML into the tree. The parser recovers from faults, so all of them are reported, not only the first.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::{Entry, Node, Text, Value};
use crate::config::diagnostic::Findings;

pub(super) fn parse(text: &Text, findings: &mut Findings) -> Node {
    let (table, errors) = DeTable::parse_recoverable(&text.content);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        findings.push(text.syntax(at, error.message()));
    }
    Node::new(entries(table.get_ref()), 0)
}

fn entries(table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: key.span().start,
            node: node(value),
        })
        .collect();
    // The parser's map sorts by name; the order of the file is the order of trial.
    entries.sort_by_key(|entry| entry.key_at);
    Value::Table(entries)
}

fn node(spanned: &Spanned<DeValue<'_>>) -> Node {
    let value = match spanned.get_ref() {
        DeValue::String(value) => Value::String(value.to_string()),
        DeValue::Integer(value) => integer(value),
        DeValue::Float(value) => value
            .as_str()
            .replace('_', "")
            .parse()
            .map_or_else(|_| Value::String(value.to_string()), Value::Float),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(value) => Value::String(value.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(node).collect()),
        DeValue::Table(table) => entries(table),
    };
    Node::new(value, spanned.span().start)
}

fn integer(value: &DeInteger<'_>) -> Value {
    i64::from_str_radix(value.as_str(), value.radix())
        .map_or_else(|_| Value::String(value.to_string()), Value::Integer)
}
