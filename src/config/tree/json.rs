//! JSON with comments and trailing commas (HuJSON) into the tree; no other liberties.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Entry, Node, Text, Value, join, push_entry};
use crate::config::diagnostic::Findings;

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(text: &Text, findings: &mut Findings) -> Option<Node> {
    match parse_to_ast(&text.content, &CollectOptions::default(), &OPTIONS) {
        Ok(parsed) => Some(match parsed.value {
            Some(value) => Reader { text, findings }.node(&value, ""),
            None => Node::new(Value::Table(Vec::new()), 0),
        }),
        Err(error) => {
            findings.push(text.syntax(error.range().start, &error.kind().to_string()));
            None
        }
    }
}

struct Reader<'a> {
    text: &'a Text,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn node(&mut self, value: &ast::Value<'_>, path: &str) -> Node {
        let at = value.range().start;
        let value = match value {
            ast::Value::StringLit(literal) => Value::String(literal.value.to_string()),
            ast::Value::NumberLit(literal) => number(literal.value),
            ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
            ast::Value::NullKeyword(_) => Value::Null,
            ast::Value::Array(array) => {
                let items = array.elements.iter().enumerate();
                Value::List(
                    items
                        .map(|(index, item)| self.node(item, &join(path, &index.to_string())))
                        .collect(),
                )
            }
            ast::Value::Object(object) => self.table(object, path),
        };
        Node::new(value, at)
    }

    fn table(&mut self, object: &ast::Object<'_>, path: &str) -> Value {
        let mut entries = Vec::with_capacity(object.properties.len());
        for property in &object.properties {
            let key = property.name.as_str().to_owned();
            let node = self.node(&property.value, &join(path, &key));
            let entry = Entry { key, key_at: property.name.range().start, node };
            push_entry(self.text, path, &mut entries, entry, self.findings);
        }
        Value::Table(entries)
    }
}

fn number(text: &str) -> Value {
    match (text.parse(), text.parse()) {
        (Ok(integer), _) => Value::Integer(integer),
        (_, Ok(float)) => Value::Float(float),
        _ => Value::String(text.to_owned()),
    }
}
