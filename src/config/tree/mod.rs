//! One tree for three file forms: values in the order of the file, each key and value with its place.

pub mod json;
pub mod toml;
pub mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Finding, Findings, Place, Severity};

/// Limit: a file of more nodes than this is refused (YAML aliases multiply).
pub const NODES_MAX: usize = 100_000;
/// Limit: tables and lists nest at most this deep.
pub const DEPTH_MAX: usize = 64;

/// A value and the byte where it starts.
#[derive(Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub at: usize,
    /// Set when the text is not in the file itself but came from elsewhere; it may then stand for a number or a boolean.
    pub origin: Option<Origin>,
}

/// Where an indirect value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `env:NAME`
    Variable(String),
    /// `file:PATH`
    File,
    /// `command:PROGRAM ARGS`
    Command,
}

/// What a node holds.
#[derive(Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_at: usize,
    pub node: Node,
}

impl Node {
    pub fn new(value: Value, at: usize) -> Self {
        Self { value, at, origin: None }
    }

    /// The entry of `key`, when this is a table that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The node under a path of keys and list indices.
    pub fn get(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match &self.value {
            Value::List(items) => items.get(first.parse::<usize>().ok()?)?.get(rest),
            _ => self.entry(first)?.node.get(rest),
        }
    }

    /// The entries, when this is a table.
    pub fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The byte to point at for `path`: the value's start (a table's key), or that of its nearest ancestor that exists.
    pub fn locate(&self, path: &[&str]) -> usize {
        let mut node = self;
        let mut at = self.at;
        for step in path {
            match &node.value {
                Value::Table(entries) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *step) else {
                        return at;
                    };
                    // A table's own start may be far from its key (TOML headers), so a table is pointed at by its key.
                    let is_table = matches!(entry.node.value, Value::Table(_) | Value::Null);
                    at = if is_table { entry.key_at } else { entry.node.at };
                    node = &entry.node;
                }
                Value::List(items) => {
                    let Some(item) = step.parse::<usize>().ok().and_then(|i| items.get(i)) else {
                        return at;
                    };
                    at = item.at;
                    node = item;
                }
                _ => return at,
            }
        }
        at
    }

    /// As a JSON value, for serde; `Null` entries of tables are left out.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::String(value) => value.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(entries) => entries
                .iter()
                .filter(|entry| entry.node.value != Value::Null)
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl Value {
    /// The word for its type in findings.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::String(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Which form a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Toml,
    Yaml,
    Json,
}

impl Form {
    /// By the extension, which search order and users rely on; anything else is taken for TOML, the documented form.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json" | "jsonc" | "hujson" | "json5") => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// A file's text, and the way from a byte to a line and a column.
#[derive(Clone)]
pub struct Text {
    pub file: Arc<PathBuf>,
    pub content: String,
}

impl Text {
    pub fn new(file: &Path, content: String) -> Self {
        Self { file: Arc::new(file.to_owned()), content }
    }

    /// Line and column, from one, of a byte; past the end it is the end.
    pub fn place(&self, at: usize) -> Place {
        let mut at = at.min(self.content.len());
        while !self.content.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.content[..at];
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        Place {
            file: Arc::clone(&self.file),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// A finding at a byte of this text.
    pub fn finding(&self, severity: Severity, at: usize, key: &str, message: String) -> Finding {
        Finding {
            severity,
            place: Some(self.place(at)),
            key: key.to_owned(),
            message,
            remedy: String::new(),
        }
    }

    /// Parses; the tree is what could be read, also when there are findings.
    pub fn parse(&self, form: Form, findings: &mut Findings) -> Option<Node> {
        match form {
            Form::Toml => Some(toml::parse(self, findings)),
            Form::Yaml => yaml::parse(self, findings),
            Form::Json => json::parse(self, findings),
        }
    }

    /// An error of syntax.
    fn syntax(&self, at: usize, message: &str) -> Finding {
        let message = first_lower(message.trim_end_matches('.'));
        self.finding(Severity::Error, at, "", format!("syntax: {message}"))
    }

    /// An error for the second of two equal keys.
    fn duplicate(&self, at: usize, key: &str, first_at: usize) -> Finding {
        let first = self.place(first_at);
        let message = format!("duplicate key, first set on line {}", first.line);
        let mut finding = self.finding(Severity::Error, at, key, message);
        "remove one of the two".clone_into(&mut finding.remedy);
        finding
    }
}

/// Appends `entry` unless its key is there already, which is a finding.
fn push_entry(
    text: &Text,
    path: &str,
    entries: &mut Vec<Entry>,
    entry: Entry,
    findings: &mut Findings,
) {
    match entries.iter().find(|other| other.key == entry.key) {
        Some(first) => {
            let key = join(path, &entry.key);
            findings.push(text.duplicate(entry.key_at, &key, first.key_at));
        }
        None => entries.push(entry),
    }
}

/// `providers` and `openai` make `providers.openai`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn first_lower(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
