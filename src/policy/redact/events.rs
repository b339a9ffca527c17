//! Secrets whose characters are spread over the events of a stream: the pieces of each text are joined, looked through, and
//! what is found is taken out of each event it stands in.
//!
//! No dialect is known here. Strings at the same path of successive events, under the same indexes, are taken for pieces
//! of one text.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::edits::{apply, documents};
use crate::base::json::{self, Kind, Value};
use crate::exchange::redact::Rules;

/// Members that are the same in every event, or no text.
const NO_TEXT: &[&str] = &[
    "id",
    "object",
    "model",
    "type",
    "role",
    "system_fingerprint",
    "item_id",
    "obfuscation",
    "service_tier",
    "signature",
    "encrypted_content",
    "finish_reason",
    "responseId",
    "modelVersion",
    "thoughtSignature",
    "status",
    "created",
    "data",
];
/// Members that number parallel texts.
const INDEXES: &[&str] = &["index", "output_index", "content_index", "summary_index"];
/// Limit: objects and arrays one in another that are looked into.
const DEPTH_MAX: usize = 12;
/// Limit: texts of one body that are joined.
const TEXTS_MAX: usize = 4_096;

/// The pieces of one text.
#[derive(Default)]
struct Joined {
    text: Vec<u8>,
    /// Where each piece stands in the body, and from where on in `text`.
    pieces: Vec<(usize, Range<usize>)>,
}

/// The body without secrets; `None` when there were none, or there is nothing to join.
pub(super) fn clean(rules: &Rules, body: &[u8], is_events: bool) -> Option<Vec<u8>> {
    let mut texts: HashMap<u64, Joined> = HashMap::new();
    if is_events {
        for document in documents(body, true) {
            if let Ok(root) =
                body.get(document.clone()).map_or(Err(()), |bytes| json::check(bytes).map_err(drop))
            {
                collect(&root, (document.start, 0, 0), &mut texts);
            }
        }
    } else {
        // A stream without events is one array, each element of which is what an event would be.
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'[') {
            return None;
        }
        let root = json::check(body).ok()?;
        for element in root.elements() {
            collect(&element, (0, 0, 0), &mut texts);
        }
    }
    let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    for joined in texts.values() {
        take_out(rules, joined, &mut edits);
    }
    if edits.is_empty() {
        return None;
    }
    edits.sort_unstable_by_key(|(range, _)| range.start);
    let clean = apply(body, &edits);
    // What stands outside of the joined texts.
    Some(rules.clean(&clean).unwrap_or(clean))
}

/// Adds the strings below `value`; `at` is where the document stands, the path so far, and how deep it goes.
fn collect(value: &Value<'_>, at: (usize, u64, usize), texts: &mut HashMap<u64, Joined>) {
    let (start, path, depth) = at;
    match value.kind {
        Kind::String => {
            let inner = start + value.span.start + 1..start + value.span.end - 1;
            let raw = value.raw();
            if inner.is_empty() || (texts.len() >= TEXTS_MAX && !texts.contains_key(&path)) {
                return;
            }
            let joined = texts.entry(path).or_default();
            joined.pieces.push((joined.text.len(), inner));
            joined.text.extend_from_slice(raw.get(1..raw.len() - 1).unwrap_or_default());
        }
        Kind::Object if depth < DEPTH_MAX => {
            let mut own = path;
            for member in value.members().filter(|member| INDEXES.contains(&&*member.key)) {
                own = step(own, &(&*member.key, member.value.raw()));
            }
            for member in value.members().filter(|member| !NO_TEXT.contains(&&*member.key)) {
                if matches!(member.value.kind, Kind::String | Kind::Object | Kind::Array) {
                    collect(&member.value, (start, step(own, &*member.key), depth + 1), texts);
                }
            }
        }
        Kind::Array if depth < DEPTH_MAX => {
            for element in value.elements() {
                collect(&element, (start, step(path, "[]"), depth + 1), texts);
            }
        }
        _ => {}
    }
}

fn step<T: Hash + ?Sized>(path: u64, name: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    name.hash(&mut hasher);
    hasher.finish()
}

/// The placeholder stands where the secret began; its other pieces go.
fn take_out(rules: &Rules, joined: &Joined, edits: &mut Vec<(Range<usize>, Vec<u8>)>) {
    for hit in rules.hits(&joined.text) {
        let value = joined.text.get(hit.span.clone()).unwrap_or_default();
        let mut replacement = rules.marker().placeholder(&hit.kind, value).into_bytes();
        let first =
            joined.pieces.partition_point(|(from, piece)| from + piece.len() <= hit.span.start);
        for (from, piece) in joined.pieces.iter().skip(first) {
            if *from >= hit.span.end {
                break;
            }
            let start = piece.start + hit.span.start.saturating_sub(*from);
            let end = piece.start + (hit.span.end - from).min(piece.len());
            edits.push((start..end, std::mem::take(&mut replacement)));
        }
    }
}
