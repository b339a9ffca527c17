//! The tree against the schema: unknown and missing keys, wrong types, words outside a closed set, numbers out of range.
//!
//! It finds all faults, each with its place, and takes the faulty parts out, so that serde, which stops at the first
//! fault and knows no places, succeeds on the rest and what the rest means is checked in the same run.

use serde_json::Value as Schema;

use crate::base::near::nearest;
use crate::config::diagnostic::{Finding, Findings, Severity};
use crate::config::schema::{follow, words};
use crate::config::tree::{Entry, Node, Text, Value, join};
use crate::config::units;

/// Checks `node` against `schema`; values that came from elsewhere as text become the number or boolean that is wanted.
pub fn check(node: &mut Node, schema: &Schema, text: &Text, findings: &mut Findings) {
    let mut checker = Checker { root: schema, text, findings };
    if checker.value(node, schema, "") == Verdict::Faulty && !matches!(node.value, Value::Table(_))
    {
        node.value = Value::Table(Vec::new());
    }
}

struct Checker<'a> {
    root: &'a Schema,
    text: &'a Text,
    findings: &'a mut Findings,
}

/// Whether a value can be used, perhaps after parts of it were taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Usable,
    Faulty,
}

impl<'a> Checker<'a> {
    fn value(&mut self, node: &mut Node, schema: &'a Schema, path: &str) -> Verdict {
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
            Value::Integer(number) => self.range(*number as f64, node.at, schema, path),
            Value::Float(number) => self.range(*number, node.at, schema, path),
            Value::Null | Value::Bool(_) => Verdict::Usable,
        }
    }

    /// Of several shapes (`anyOf`), the one whose type the node has; else the whole, so that the message names them all.
    fn branch(&self, node: &Node, schema: &'a Schema) -> &'a Schema {
        branches(schema)
            .map(|branch| follow(self.root, branch))
            .find(|branch| accepts(branch, &node.value))
            .unwrap_or(schema)
    }

    fn word(&mut self, node: &mut Node, words: &[(&str, &str)], path: &str) -> Verdict {
        // `http = 2` is as good as `http = "2"`.
        if let Value::Integer(number) = node.value {
            node.value = Value::String(number.to_string());
        }
        let Value::String(found) = &node.value else {
            let message = format!("expected text, found {}", node.value.type_name());
            return self.error(node.at, path, message, allowed(words));
        };
        if words.iter().any(|(word, _)| word == found) {
            return Verdict::Usable;
        }
        let remedy = match nearest(found, words.iter().map(|(word, _)| *word)).first() {
            Some(word) => format!("did you mean {word}? {}", allowed(words)),
            None => allowed(words),
        };
        self.error(node.at, path, "not a word this key takes".to_owned(), remedy)
    }

    fn table(
        &mut self,
        entries: &mut Vec<Entry>,
        at: usize,
        schema: &'a Schema,
        path: &str,
    ) -> Verdict {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let further = schema.get("additionalProperties").filter(|further| further.is_object());
        let mut verdict = self.required(entries, at, schema, path);
        entries.retain_mut(|entry| {
            let path = join(path, &entry.key);
            let known = properties.and_then(|properties| properties.get(&entry.key));
            let checked = match known.or(further) {
                _ if entry.node.value == Value::Null && known.or(further).is_some() => {
                    return false;
                }
                Some(schema) => self.value(&mut entry.node, schema, &path),
                None => {
                    let names = properties.into_iter().flatten().flat_map(key_names);
                    let remedy = unknown_remedy(&entry.key, names);
                    self.error(entry.key_at, &path, "unknown key".to_owned(), remedy)
                }
            };
            // A table lives on without its faulty parts, unless one of them is needed.
            if checked == Verdict::Faulty && is_required(schema, &entry.key) {
                verdict = Verdict::Faulty;
            }
            checked == Verdict::Usable
        });
        verdict
    }

    fn required(&mut self, entries: &[Entry], at: usize, schema: &Schema, path: &str) -> Verdict {
        let place = entries.first().map_or(at, |entry| entry.key_at);
        let names = schema.get("required").and_then(Schema::as_array).into_iter().flatten();
        let mut verdict = Verdict::Usable;
        for name in names.filter_map(Schema::as_str) {
            if entries.iter().any(|e| e.key == name && e.node.value != Value::Null) {
                continue;
            }
            verdict = Verdict::Faulty;
            let path = join(path, name);
            // A value that could not be fetched has its finding already.
            if !self.findings.iter().any(|finding| finding.key == path) {
                self.error(place, &path, "missing".to_owned(), "add this key".to_owned());
            }
        }
        verdict
    }

    /// A list with a faulty item goes as a whole: without it the others would stand at other places.
    fn list(&mut self, items: &mut [Node], schema: &'a Schema, path: &str) -> Verdict {
        let mut verdict = Verdict::Usable;
        let Some(item_schema) = schema.get("items") else {
            return verdict;
        };
        for (index, item) in items.iter_mut().enumerate() {
            if self.value(item, item_schema, &join(path, &index.to_string())) == Verdict::Faulty {
                verdict = Verdict::Faulty;
            }
        }
        verdict
    }

    fn format(&mut self, content: &str, at: usize, schema: &Schema, path: &str) -> Verdict {
        let (what, read) = match schema.get("format").and_then(Schema::as_str) {
            Some(units::SPAN_FORMAT) => ("a duration", units::parse_span(content).err()),
            Some(units::SPAN_OR_OFF_FORMAT) => {
                ("a duration", units::parse_span_or_off(content).err())
            }
            Some(units::SIZE_FORMAT) => ("a size", units::parse_size(content).err()),
            _ => return Verdict::Usable,
        };
        match read {
            Some(remedy) => self.error(at, path, format!("not {what}"), remedy.to_owned()),
            None => Verdict::Usable,
        }
    }

    fn range(&mut self, number: f64, at: usize, schema: &Schema, path: &str) -> Verdict {
        let minimum = schema.get("minimum").and_then(Schema::as_f64);
        match minimum.filter(|minimum| number < *minimum) {
            Some(minimum) => {
                let remedy = format!("write {minimum} or more");
                self.error(at, path, format!("less than {minimum}"), remedy)
            }
            None => Verdict::Usable,
        }
    }

    fn wanted(&self, schema: &Schema) -> String {
        let names: Vec<&str> = branches(schema)
            .map(|branch| follow(self.root, branch))
            .chain(std::iter::once(schema))
            .flat_map(types)
            .map(type_words)
            .collect();
        names.join(" or ")
    }

    fn error(&mut self, at: usize, path: &str, message: String, remedy: String) -> Verdict {
        let finding = self.text.finding(Severity::Error, at, path, message);
        self.findings.push(Finding { remedy, ..finding });
        Verdict::Faulty
    }
}

fn branches(schema: &Schema) -> impl Iterator<Item = &Schema> {
    schema.get("anyOf").and_then(Schema::as_array).into_iter().flatten()
}

fn is_required(schema: &Schema, key: &str) -> bool {
    let names = schema.get("required").and_then(Schema::as_array);
    names.is_some_and(|names| names.iter().any(|name| name == key))
}

/// A key's name, and its other name if it has one.
fn key_names<'a>(
    (name, property): (&'a String, &'a Schema),
) -> impl Iterator<Item = &'a str> + Clone {
    let alias = property.get("x-alias").and_then(Schema::as_str);
    std::iter::once(name.as_str()).chain(alias)
}

fn unknown_remedy<'a>(key: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(key, names.clone()).first() {
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
