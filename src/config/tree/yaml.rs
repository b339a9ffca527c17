//! YAML (1.2 core schema) into the tree, from parser events: a loader would lose duplicate keys.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{DEPTH_MAX, Entry, NODES_MAX, Node, Text, Value, join, push_entry};
use crate::config::diagnostic::{Finding, Findings};

pub(super) fn parse(text: &Text, findings: &mut Findings) -> Option<Node> {
    let mut reader = Reader {
        text,
        findings,
        parser: Parser::new_from_str(&text.content),
        byte_of_char: text.content.char_indices().map(|(byte, _)| byte).collect(),
        anchors: HashMap::new(),
        nodes: 0,
    };
    match reader.document() {
        Ok(node) => Some(node),
        Err(finding) => {
            findings.push(finding);
            None
        }
    }
}

struct Reader<'a> {
    text: &'a Text,
    findings: &'a mut Findings,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// The parser counts characters; places are bytes.
    byte_of_char: Vec<usize>,
    /// What `&name` marked, by the parser's number for it; with its count of nodes.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

type Read<T> = Result<T, Finding>;

impl<'a> Reader<'a> {
    fn document(&mut self) -> Read<Node> {
        let mut document = None;
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                _ if document.is_some() => {
                    return Err(self.text.syntax(at, "a second document; a configuration is one"));
                }
                event => document = Some(self.node(event, at, "", 0)?),
            }
        }
        // An empty file, or one of comments only, is an empty configuration.
        let node = document.unwrap_or_else(|| Node::new(Value::Null, 0));
        Ok(match node.value {
            Value::Null => Node::new(Value::Table(Vec::new()), node.at),
            _ => node,
        })
    }

    fn next(&mut self) -> Read<(Event<'a>, usize)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.byte(span))),
            Some(Err(error)) => {
                let at = self.byte(Span::empty(*error.marker()));
                Err(self.text.syntax(at, error.info()))
            }
            None => Ok((Event::StreamEnd, self.text.content.len())),
        }
    }

    fn byte(&self, span: Span) -> usize {
        self.byte_of_char.get(span.start.index()).copied().unwrap_or(self.text.content.len())
    }

    fn node(&mut self, event: Event<'a>, at: usize, path: &str, depth: usize) -> Read<Node> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            let limit = format!("more than {NODES_MAX} values, or nested deeper than {DEPTH_MAX}");
            return Err(self.text.syntax(at, &limit));
        }
        let nodes_before = self.nodes;
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(content, style, anchor, tag) => {
                (scalar(&content, style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(path, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.table(path, depth)?, anchor),
            _ => return Err(self.text.syntax(at, "unexpected end")),
        };
        let node = Node::new(value, at);
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - nodes_before));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: usize) -> Read<Node> {
        let Some((node, count)) = self.anchors.get(&anchor) else {
            return Err(self.text.syntax(at, "alias of an anchor that is not complete"));
        };
        self.nodes += count;
        if self.nodes > NODES_MAX {
            return Err(self
                .text
                .syntax(at, &format!("aliases make more than {NODES_MAX} values")));
        }
        Ok(node.clone())
    }

    fn list(&mut self, path: &str, depth: usize) -> Read<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, at) => {
                    let path = join(path, &items.len().to_string());
                    items.push(self.node(event, at, &path, depth + 1)?);
                }
            }
        }
    }

    fn table(&mut self, path: &str, depth: usize) -> Read<Value> {
        let mut entries = Vec::new();
        loop {
            let (key, key_at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Table(entries)),
                (Event::Scalar(key, ..), at) => (key.into_owned(), at),
                (_, at) => return Err(self.text.syntax(at, "a key must be a plain word")),
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, &join(path, &key), depth + 1)?;
            let entry = Entry { key, key_at, node };
            push_entry(self.text, path, &mut entries, entry, self.findings);
        }
    }
}

/// Quoted text is text; plain text is what the core schema says it is.
fn scalar(content: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::String(content.to_owned());
    }
    match content {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(content).unwrap_or_else(|| Value::String(content.to_owned())),
    }
}

fn number(content: &str) -> Option<Value> {
    let unsigned = content.strip_prefix(['+', '-']).unwrap_or(content);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some(hex) = content.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Value::Integer);
    }
    if let Some(octal) = content.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok().map(Value::Integer);
    }
    let integer = content.parse().ok().map(Value::Integer);
    integer.or_else(|| content.parse().ok().map(Value::Float))
}
