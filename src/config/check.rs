//! The tree against the schema: unknown and missing keys, wrong types, words outside a closed set, numbers out of range.
//!
//! It finds all faults, each with its place, so that serde, which stops at the first and knows no places, then succeeds.

use serde_json::Value as Schema;

use crate::config::diagnostic::{Finding, Findings, Severity};
use crate::config::schema::{follow, words};
use crate::config::tree::{Entry, Node, Text, Value, join};
use crate::config::units;

/// Checks `node` against `schema`; values that came from elsewhere as text become the number or boolean that is wanted.
pub fn check(node: &mut Node, schema: &Schema, text: &Text, findings: &mut Findings) {
    Checker {
        root: schema,
        text,
        findings,
    }
    .value(node, schema, "");
}

/// The nearest of `candidates` to `word`, when near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

struct Checker<'a> {
    root: &'a Schema,
    text: &'a Text,
    findings: &'a mut Findings,
}

impl<'a> Checker<'a> {
    fn value(&mut self, node: &mut Node, schema: &'a Schema, path: &str) {
        let schema = self.branch(node, follow(self.root, schema));
        let words = words(schema);
        if !words.is_empty() {
            return self.word(node, &words, path);
        }
        coerce(node, schema);
        if !accepts(schema, &node.value) {
            let wanted = self.wanted(schema);
            let message = format!("expected {wanted}, found {}", node.value.type_name());
            return self.error(node.at, path, message, String::new());
        }
        match &mut node.value {
            Value::Table(entries) => self.table(entries, node.at, schema, path),
            Value::List(items) => self.list(items, schema, path),
            Value::String(content) => self.format(content, node.at, schema, path),
            Value::Integer(_) | Value::Float(_) => self.range(node, schema, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Of several shapes (`anyOf`), the one whose type the node has; else the whole, so that the message names them all.
    fn branch(&self, node: &Node, schema: &'a Schema) -> &'a Schema {
        let branches = schema
            .get("anyOf")
            .and_then(Schema::as_array)
            .into_iter()
            .flatten();
        branches
            .map(|branch| follow(self.root, branch))
            .find(|branch| accepts(branch, &node.value))
            .unwrap_or(schema)
    }

    fn word(&mut self, node: &mut Node, words: &[(&str, &str)], path: &str) {
        // `http = 2` is as good as `http = "2"`.
        if let Value::Integer(number) = node.value {
            node.value = Value::String(number.to_string());
        }
        let found = match &node.value {
            Value::String(found) => found,
            other => {
                let message = format!("expected text, found {}", other.type_name());
                return self.error(node.at, path, message, allowed(words));
            }
        };
        if words.iter().any(|(word, _)| word == found) {
            return;
        }
        let meant = nearest(found, words.iter().map(|(word, _)| *word));
        let remedy = match meant {
            Some(word) => format!("did you mean {word}? {}", allowed(words)),
            None => allowed(words),
        };
        self.error(
            node.at,
            path,
            "not a word this key takes".to_owned(),
            remedy,
        );
    }

    fn table(&mut self, entries: &mut [Entry], at: usize, schema: &'a Schema, path: &str) {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let known = |key: &str| properties.and_then(|properties| properties.get(key));
        let further = schema
            .get("additionalProperties")
            .filter(|further| further.is_object());
        let place = entries.first().map_or(at, |entry| entry.key_at);
        for required in schema
            .get("required")
            .and_then(Schema::as_array)
            .into_iter()
            .flatten()
        {
            let Some(required) = required.as_str() else {
                continue;
            };
            if !entries
                .iter()
                .any(|e| e.key == required && e.node.value != Value::Null)
            {
                self.error(
                    place,
                    &join(path, required),
                    "missing".into(),
                    "add this key".into(),
                );
            }
        }
        for entry in entries {
            let path = join(path, &entry.key);
            match known(&entry.key).or(further) {
                _ if entry.node.value == Value::Null => {}
                Some(schema) => self.value(&mut entry.node, schema, &path),
                None => {
                    let names = properties
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str());
                    let remedy = unknown_remedy(&entry.key, names);
                    self.error(entry.key_at, &path, "unknown key".to_owned(), remedy);
                }
            }
        }
    }

    fn list(&mut self, items: &mut [Node], schema: &'a Schema, path: &str) {
        let Some(item_schema) = schema.get("items") else {
            return;
        };
        for (index, item) in items.iter_mut().enumerate() {
            self.value(item, item_schema, &join(path, &index.to_string()));
        }
    }

    fn format(&mut self, content: &str, at: usize, schema: &Schema, path: &str) {
        let (what, fault) = match schema.get("format").and_then(Schema::as_str) {
            Some(units::SPAN_FORMAT) => ("a duration", units::parse_span(content).err()),
            Some(units::SPAN_OR_OFF_FORMAT) => {
                ("a duration", units::parse_span_or_off(content).err())
            }
            Some(units::SIZE_FORMAT) => ("a size", units::parse_size(content).err()),
            _ => return,
        };
        if let Some(remedy) = fault {
            self.error(at, path, format!("not {what}"), remedy.to_owned());
        }
    }

    fn range(&mut self, node: &Node, schema: &Schema, path: &str) {
        let number = match node.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => return,
        };
        let minimum = schema.get("minimum").and_then(Schema::as_f64);
        if let Some(minimum) = minimum.filter(|minimum| number < *minimum) {
            self.error(node.at, path, format!("less than {minimum}"), String::new());
        }
    }

    fn wanted(&self, schema: &Schema) -> String {
        let branches = schema
            .get("anyOf")
            .and_then(Schema::as_array)
            .into_iter()
            .flatten();
        let names: Vec<&str> = branches
            .map(|branch| follow(self.root, branch))
            .chain(std::iter::once(schema))
            .flat_map(types)
            .map(type_words)
            .collect();
        names.join(" or ")
    }

    fn error(&mut self, at: usize, path: &str, message: String, remedy: String) {
        let finding = self.text.finding(Severity::Error, at, path, message);
        self.findings.push(Finding { remedy, ..finding });
    }
}

fn unknown_remedy<'a>(key: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(key, names.clone()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("known here: {}", names.collect::<Vec<_>>().join(", ")),
    }
}

fn allowed(words: &[(&str, &str)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    format!("write one of {}", words.join(", "))
}

fn types(schema: &Schema) -> Vec<&str> {
    match schema.get("type") {
        Some(Schema::String(name)) => vec![name],
        Some(Schema::Array(names)) => names.iter().filter_map(Schema::as_str).collect(),
        _ => Vec::new(),
    }
}

fn accepts(schema: &Schema, value: &Value) -> bool {
    let types = types(schema);
    let is_any = types.is_empty() && schema.get("anyOf").is_none();
    is_any
        || types.iter().any(|name| match *name {
            "string" => matches!(value, Value::String(_)),
            "integer" => matches!(value, Value::Integer(_)),
            "number" => matches!(value, Value::Integer(_) | Value::Float(_)),
            "boolean" => matches!(value, Value::Bool(_)),
            "array" => matches!(value, Value::List(_)),
            "object" => matches!(value, Value::Table(_)),
            _ => false,
        })
}

/// Variables and files hold only text: where a number or a boolean is wanted, it is read as one.
fn coerce(node: &mut Node, schema: &Schema) {
    let Value::String(content) = &node.value else {
        return;
    };
    if node.origin.is_none() || accepts(schema, &node.value) {
        return;
    }
    let read = types(schema).into_iter().find_map(|name| match name {
        "integer" => content.parse().ok().map(Value::Integer),
        "number" => content.parse().ok().map(Value::Float),
        "boolean" => content.parse().ok().map(Value::Bool),
        _ => None,
    });
    if let Some(value) = read {
        node.value = value;
    }
}

fn type_words(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}
