//! What the gateway changed: the client's request against what went to the provider, and the provider's answer against
//! what the client got. Also one attempt against the next.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::diff::json::{self, Bodies};
use crate::report::exchange::body;
use crate::report::prose;
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Leg, Stored, Whole};

/// One header that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// One side against the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sides {
    /// `client request → provider fake`
    pub name: String,
    pub line: Option<(String, String)>,
    pub headers: Vec<Header>,
    /// Headers were not kept on one side.
    pub headers_unknown: bool,
    pub body: Bodies,
    /// Fields that the gateway says it edited.
    pub edits: Vec<String>,
    /// Secrets were replaced before storing: equal means equal after that.
    pub redacted: bool,
}

/// All legs of one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Legs {
    pub id: String,
    /// Bodies of request and answer passed byte for byte.
    pub unmodified: bool,
    pub sides: Vec<Sides>,
}

/// Compares the legs of one exchange.
pub fn compare(stored: &Stored) -> Legs {
    let mut sides = Vec::new();
    for (n, attempt) in stored.attempts.iter().enumerate() {
        let request = stored.client_request();
        let sent = stored.upstream_request(n);
        let number =
            if stored.attempts.len() > 1 { format!(" (attempt {})", n + 1) } else { String::new() };
        sides.push(Sides {
            edits: attempt.edits.clone(),
            ..side(
                format!("client request → request to {}{number}", attempt.provider),
                (&stored.request, request),
                (&attempt.request, sent),
            )
        });
    }
    if let Some(last) = stored.attempts.last() {
        let n = stored.attempts.len() - 1;
        sides.push(side(
            format!("answer of {} → answer to the client", last.provider),
            (&last.response, stored.upstream_response(n)),
            (&stored.response, stored.client_response()),
        ));
    }
    let unmodified =
        !sides.is_empty() && sides.iter().all(|side| matches!(side.body, Bodies::Same { .. }));
    Legs { id: stored.row.id.clone(), unmodified, sides }
}

/// One attempt against the next.
pub fn attempts(stored: &Stored) -> Vec<Pair> {
    let pairs = stored.attempts.windows(2).enumerate();
    pairs
        .filter_map(|(n, pair)| {
            let [before, after] = pair else { return None };
            Some(Pair {
                name: format!("attempt {} → attempt {}", n + 1, n + 2),
                facts: facts(before, after),
                request: side(
                    format!("request to {} → request to {}", before.provider, after.provider),
                    (&before.request, stored.upstream_request(n)),
                    (&after.request, stored.upstream_request(n + 1)),
                ),
                response: side(
                    format!("answer of {} → answer of {}", before.provider, after.provider),
                    (&before.response, stored.upstream_response(n)),
                    (&after.response, stored.upstream_response(n + 1)),
                ),
            })
        })
        .collect()
}

/// Two attempts, compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    pub name: String,
    /// What is not the same: provider, model, status, times.
    pub facts: Vec<Header>,
    pub request: Sides,
    pub response: Sides,
}

fn facts(before: &Attempt, after: &Attempt) -> Vec<Header> {
    let took = |attempt: &Attempt| {
        let ended = attempt.ended_us?;
        Some(prose::time(ended.saturating_sub(attempt.sent_us).unsigned_abs()))
    };
    let status = |attempt: &Attempt| attempt.status.map(|status| status.to_string());
    [
        ("provider", Some(before.provider.clone()), Some(after.provider.clone())),
        ("model", before.model.clone(), after.model.clone()),
        ("key", before.key_label.clone(), after.key_label.clone()),
        ("because", Some(before.because.clone()), Some(after.because.clone())),
        ("peer", before.peer.clone(), after.peer.clone()),
        ("status", status(before), status(after)),
        ("error", before.error_kind.clone(), after.error_kind.clone()),
        ("took", took(before), took(after)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(name, before, after)| Header { name: name.to_owned(), before, after })
    .collect()
}

fn side(name: String, before: (&Leg, Option<&Whole>), after: (&Leg, Option<&Whole>)) -> Sides {
    let body = match (before.1, after.1) {
        (Some(left), Some(right)) if std::ptr::eq(left, right) || left.bytes == right.bytes => {
            json::bodies(&left.bytes, &right.bytes)
        }
        // What differs in its coding may say the same.
        (Some(left), Some(right)) => json::bodies(&body::clear(left), &body::clear(right)),
        (None, _) => Bodies::Unknown { why: absent(before.0) },
        (_, None) => Bodies::Unknown { why: absent(after.0) },
    };
    let redacted = [before.1, after.1].into_iter().flatten().any(|whole| whole.redacted);
    let unknown = before.0.headers.is_none() || after.0.headers.is_none();
    let line =
        before.0.line.clone().zip(after.0.line.clone()).filter(|(left, right)| left != right);
    Sides {
        name,
        line,
        headers: if unknown { Vec::new() } else { headers(before.0, after.0) },
        headers_unknown: unknown,
        body,
        edits: Vec::new(),
        redacted,
    }
}

fn absent(leg: &Leg) -> String {
    let why = match &leg.body {
        Body::Absent(Absent::NotKept) => "not kept at this capture level",
        Body::Absent(Absent::ShedMemory) => "let go for want of memory",
        Body::Absent(Absent::ShedQueue) => "let go because the store's queue was full",
        Body::Absent(Absent::ShedDisk) => "let go because the disk was full",
        Body::Absent(Absent::Removed) => "removed later",
        Body::Absent(Absent::Nothing) => "never there",
        Body::Absent(Absent::Damaged) => "damaged",
        Body::Same | Body::Whole(_) => "not kept on the other side",
    };
    why.to_owned()
}

/// Headers by name, several of one name in their order.
fn headers(before: &Leg, after: &Leg) -> Vec<Header> {
    fn by_name(leg: &Leg) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in leg.headers.iter().flatten() {
            let joined = all.entry(name.to_ascii_lowercase()).or_default();
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(value);
        }
        all
    }
    let (left, mut right) = (by_name(before), by_name(after));
    let mut found = Vec::new();
    for (name, value) in left {
        let other = right.remove(&name);
        if other.as_ref() != Some(&value) {
            found.push(Header { name, before: Some(value), after: other });
        }
    }
    found.extend(right.into_iter().map(|(name, value)| Header {
        name,
        before: None,
        after: Some(value),
    }));
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}
