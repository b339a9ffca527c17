//! Other people's spellings of the same document, brought to ours before it is checked.
//!
//! `backends` is `providers`; `default_backend` and `static_route` inside it belong to the top; an empty block is a block;
//! a document whose indentation was lost in copying (seed 002's kind, as its page gives it) is read as it was meant.

use crate::config::diagnostic::{Finding, Findings, Severity};
use crate::config::schema::schema;
use crate::config::tree::{Entry, Node, Text, Value};

/// Keys that documents of seed 002's kind put inside `backends`, as plain text.
const LIFTED: [&str; 2] = ["default_backend", "static_route"];

/// Rewrites the spellings in place. A file may use either of two, not both.
pub fn normalise(root: &mut Node, text: &Text, findings: &mut Findings) {
    let Some(entries) = root.entries_mut() else {
        return;
    };
    // For editors; says nothing to us.
    entries.retain(|entry| entry.key != "$schema");
    rename_backends(entries, text, findings);
    indent(entries, text, findings);
    let Some(providers) = entries.iter_mut().find(|entry| entry.key == "providers") else {
        return;
    };
    let Some(blocks) = providers.node.entries_mut() else {
        return;
    };
    let lifted: Vec<Entry> = blocks
        .extract_if(.., |entry| {
            LIFTED.contains(&entry.key.as_str()) && matches!(entry.node.value, Value::String(_))
        })
        .collect();
    for block in blocks {
        if block.node.value == Value::Null {
            block.node.value = Value::Table(Vec::new());
        }
    }
    for entry in lifted {
        lift(entries, entry, text, findings);
    }
}

fn rename_backends(entries: &mut [Entry], text: &Text, findings: &mut Findings) {
    let providers_at = entries.iter().find(|e| e.key == "providers").map(|e| e.key_at);
    let Some(backends) = entries.iter_mut().find(|e| e.key == "backends") else {
        return;
    };
    match providers_at {
        Some(at) => findings.push(Finding {
            remedy: "keep one of the two names".to_owned(),
            ..text.finding(
                Severity::Error,
                backends.key_at,
                "backends",
                format!("another name of `providers`, which is on line {}", text.place(at).line),
            )
        }),
        None => "providers".clone_into(&mut backends.key),
    }
}

/// Puts blocks that stand beside an empty `providers` into it:
///
/// ```text
///   backends:                  backends:
///   openai:             →        openai:
///   type: openai                   type: openai
///   default_backend: openai    default_backend: openai
/// ```
fn indent(entries: &mut Vec<Entry>, text: &Text, findings: &mut Findings) {
    let is_top = |key: &str| schema()["properties"].get(key).is_some();
    let is_field = |key: &str| schema()["$defs"]["Provider"]["properties"].get(key).is_some();
    let Some(index) = entries
        .iter()
        .position(|entry| entry.key == "providers" && entry.node.value == Value::Null)
    else {
        return;
    };
    let mut blocks: Vec<Entry> = Vec::new();
    let mut kept = Vec::new();
    for mut entry in entries.split_off(index + 1) {
        if is_top(&entry.key) {
            kept.push(entry);
        } else if entry.node.value == Value::Null {
            entry.node.value = Value::Table(Vec::new());
            blocks.push(entry);
        } else if is_field(&entry.key)
            && let Some(fields) = blocks.last_mut().and_then(|block| block.node.entries_mut())
        {
            fields.push(entry);
        } else {
            kept.push(entry);
        }
    }
    entries.append(&mut kept);
    if blocks.is_empty() {
        return;
    }
    let (at, key) = (blocks[0].key_at, blocks[0].key.clone());
    findings.push(Finding {
        remedy: "indent the block's name by two spaces and its keys by four".to_owned(),
        ..text.finding(
            Severity::Warning,
            at,
            &key,
            "a block that is not indented, read as if it were".to_owned(),
        )
    });
    entries[index].node.value = Value::Table(blocks);
}

fn lift(entries: &mut Vec<Entry>, entry: Entry, text: &Text, findings: &mut Findings) {
    let Some(top) = entries.iter().find(|other| other.key == entry.key) else {
        entries.push(entry);
        return;
    };
    findings.push(Finding {
        remedy: "keep the one at the top level".to_owned(),
        ..text.finding(
            Severity::Error,
            entry.key_at,
            &format!("providers.{}", entry.key),
            format!("also set at the top level, on line {}", text.place(top.key_at).line),
        )
    });
}
