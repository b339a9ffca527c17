//! Other people's spellings of the same document, brought to ours before it is checked.
//!
//! `backends` is `providers`; `default_backend` and `static_route` inside it belong to the top; an empty block is a block.

use crate::config::diagnostic::{Finding, Findings, Severity};
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
    let providers_at = entries
        .iter()
        .find(|e| e.key == "providers")
        .map(|e| e.key_at);
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
                format!(
                    "another name of `providers`, which is on line {}",
                    text.place(at).line
                ),
            )
        }),
        None => "providers".clone_into(&mut backends.key),
    }
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
            format!(
                "also set at the top level, on line {}",
                text.place(top.key_at).line
            ),
        )
    });
}
