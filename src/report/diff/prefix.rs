//! Where the beginning of a prompt changed from one turn to the next: what a provider's cache can still use, and whether
//! the provider's own numbers agree.
//!
//! Providers hash tools, then instructions, then messages, and use the longest beginning they have seen. `cache_control`
//! marks say where they may cut; they are no part of the prompt and are left aside.

use serde::Serialize;

use crate::base::json::Value;
use crate::dialect::pieces::{self, Piece, Section};
use crate::report::{material, prose};
use crate::store::stored::{Listed, Stored};

/// Characters of text shown on both sides of the first difference.
const AROUND_CHARS: usize = 60;
/// After this time most caches have let go of a prompt, if nothing was said of longer.
const CACHE_LIFE_US: i64 = 300_000_000;
/// Below this no provider caches.
const CACHED_LEAST_TOKENS: u64 = 1_024;

/// The first place at which the prompt changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Break {
    pub section: Section,
    /// Which tool, instruction or message, from 0.
    pub index: usize,
    pub path: String,
    /// Offsets of the first byte that differs, in the body of the earlier and of the later request.
    pub offset_before: usize,
    pub offset_after: usize,
    /// The text around, from a little before the difference.
    pub before: String,
    pub after: String,
}

/// What the provider told of its cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Told {
    pub input_tokens: Option<u64>,
    pub cache_read_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
}

/// Whether the provider's numbers fit what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// It read about what stayed the same, or nothing could be read.
    Agrees,
    /// The beginning stayed and the provider read nothing, or little, of it.
    ReadLess,
    /// It read more than what stayed the same.
    ReadMore,
    /// It told nothing.
    Unknown,
}

/// The beginning of one prompt against that of the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prefix {
    /// The shorter prompt is the beginning of the longer one.
    pub holds: bool,
    pub first_change: Option<Break>,
    /// Parts of the cache's key besides the prompt that differ: a model, a tool choice.
    pub key_changes: Vec<String>,
    /// Bytes of tools, instructions and messages that stayed the same from the beginning on.
    pub valid_bytes: usize,
    pub prompt_bytes: usize,
    /// The share of the input tokens that those bytes are; an estimate.
    pub valid_tokens: Option<u64>,
    /// Where marks stand, before and after.
    pub marks_before: Vec<String>,
    pub marks_after: Vec<String>,
    /// From the end of the earlier exchange to the start of the later one.
    pub pause_us: i64,
    pub told: Told,
    pub agreement: Agreement,
    /// What the numbers mean, in a sentence.
    pub says: String,
}

/// Compares the prompts of two exchanges; `None` when one of the bodies was not kept or holds no prompt.
pub fn compare(before: &Stored, after: &Stored) -> Option<Prefix> {
    let (left, right) = (material::request(before)?, material::request(after)?);
    let (dialect_before, dialect_after) = (material::dialect(before), material::dialect(after));
    let ours = pieces::of_request(dialect_before, &left);
    let theirs = pieces::of_request(dialect_after, &right);
    if ours.is_empty() || theirs.is_empty() {
        return None;
    }
    let same = ours.iter().zip(&theirs).take_while(|(a, b)| is_same(a, b)).count();
    let length = |pieces: &[Piece]| pieces.iter().map(|piece| piece.span.len()).sum::<usize>();
    let holds = same == ours.len() || same == theirs.len();
    let first_change = (!holds).then(|| broken(&left, ours.get(same)?, &right, theirs.get(same)?));
    let first_change = first_change.flatten();
    let inside = first_change.as_ref().map_or(0, |change| {
        theirs.get(same).map_or(0, |piece| change.offset_after.saturating_sub(piece.span.start))
    });
    let key_changes = key_changes(before, after, &left, &right);
    let other_cache = key_changes
        .iter()
        .any(|change| change.starts_with("model:") || change.starts_with("provider:"));
    let valid_bytes =
        if other_cache { 0 } else { length(theirs.get(..same).unwrap_or_default()) + inside };
    let prompt_bytes = length(&theirs);
    let told = told(&after.row);
    let valid_tokens = told
        .input_tokens
        .map(|input| input.saturating_mul(valid_bytes as u64) / (prompt_bytes as u64).max(1));
    let mut prefix = Prefix {
        holds,
        first_change,
        key_changes,
        valid_bytes,
        prompt_bytes,
        valid_tokens,
        marks_before: marks(&ours),
        marks_after: marks(&theirs),
        pause_us: after
            .row
            .started_at_us
            .saturating_sub(before.row.started_at_us.saturating_add(before.row.duration_us)),
        told,
        agreement: Agreement::Unknown,
        says: String::new(),
    };
    (prefix.agreement, prefix.says) = judge(&prefix, &before.row, dialect_after.label());
    Some(prefix)
}

fn is_same(left: &Piece, right: &Piece) -> bool {
    left.section == right.section && left.hash == right.hash
}

fn told(row: &Listed) -> Told {
    let tokens = |tokens: Option<i64>| tokens.map(i64::unsigned_abs);
    // What the gateway estimated says nothing of a cache.
    let provider = row.usage_source.as_deref() != Some("estimated");
    Told {
        input_tokens: tokens(row.input_tokens),
        cache_read_tokens: tokens(row.cache_read_tokens).filter(|_| provider),
        cache_write_tokens: tokens(row.cache_write_tokens).filter(|_| provider),
    }
}

fn broken(left: &[u8], our: &Piece, right: &[u8], their: &Piece) -> Option<Break> {
    let spot = if our.section == their.section {
        let (ours, theirs) = (Value::at(left, &our.span)?, Value::at(right, &their.span)?);
        pieces::first_difference(&ours, &theirs, &their.path)
    } else {
        None
    };
    let (path, offset_before, offset_after) = match spot {
        Some(spot) => (spot.path, spot.left, spot.right),
        // A piece went or came: the places of both begin to differ here.
        None if our.section < their.section => (our.path.clone(), our.span.start, their.span.start),
        None => (their.path.clone(), our.span.start, their.span.start),
    };
    let piece = if our.section < their.section { our } else { their };
    Some(Break {
        section: piece.section,
        index: piece.index,
        path,
        offset_before,
        offset_after,
        before: around(left, offset_before),
        after: around(right, offset_after),
    })
}

/// The text around an offset, a little more behind it than before it.
fn around(body: &[u8], at: usize) -> String {
    let start = at.saturating_sub(AROUND_CHARS / 3);
    let end = (at + AROUND_CHARS).min(body.len());
    let text = String::from_utf8_lossy(body.get(start..end).unwrap_or_default());
    let lead = if start > 0 { "…" } else { "" };
    let trail = if end < body.len() { "…" } else { "" };
    let text = text.trim_matches(char::REPLACEMENT_CHARACTER);
    format!("{lead}{}{trail}", prose::line(text, AROUND_CHARS * 2))
}

fn marks(pieces: &[Piece]) -> Vec<String> {
    pieces.iter().filter(|piece| piece.marked).map(|piece| piece.path.clone()).collect()
}

/// What belongs to the cache's key and is not the prompt.
fn key_changes(before: &Stored, after: &Stored, left: &[u8], right: &[u8]) -> Vec<String> {
    const KEYS: [&str; 6] = [
        "tool_choice",
        "toolConfig",
        "thinking",
        "prompt_cache_key",
        "reasoning",
        "response_format",
    ];
    let mut changes = Vec::new();
    let mut note = |name: &str, one: Option<&str>, other: Option<&str>| {
        if one != other {
            let side = |text: Option<&str>| prose::line(text.unwrap_or("none"), 80);
            changes.push(format!("{name}: {} → {}", side(one), side(other)));
        }
    };
    note("provider", before.row.provider.as_deref(), after.row.provider.as_deref());
    note("model", before.row.model.as_deref(), after.row.model.as_deref());
    if let (Ok(ours), Ok(theirs)) =
        (crate::base::json::check(left), crate::base::json::check(right))
    {
        for key in KEYS {
            let text = |value: &Value<'_>| {
                value.get(key).map(|value| String::from_utf8_lossy(value.raw()).into_owned())
            };
            note(key, text(&ours).as_deref(), text(&theirs).as_deref());
        }
    }
    changes
}

fn judge(prefix: &Prefix, before: &Listed, dialect: &str) -> (Agreement, String) {
    let count = prose::number;
    let Some(read) = prefix.told.cache_read_tokens else {
        return (Agreement::Unknown, "the provider tells nothing of its cache".to_owned());
    };
    // What of the earlier prompt could have been there: its own tokens, or what stayed of it.
    let earlier = before.input_tokens.map(i64::unsigned_abs);
    let stayed = prefix.valid_tokens.unwrap_or(0);
    let could = earlier.map_or(stayed, |earlier| earlier.min(stayed));
    if read > stayed + stayed / 5 + CACHED_LEAST_TOKENS {
        return (
            Agreement::ReadMore,
            format!(
                "the provider read {} tokens from its cache, more than the {} or so that stayed the same: an older turn, or another session, had that beginning",
                count(read),
                count(stayed)
            ),
        );
    }
    if could < CACHED_LEAST_TOKENS && read > 0 {
        let told = format!(
            "the provider read {} tokens from its cache; by our count about {} stayed the same, too few to compare",
            count(read),
            count(stayed)
        );
        return (Agreement::Unknown, told);
    }
    if could < CACHED_LEAST_TOKENS {
        let why = if prefix.holds {
            "the earlier prompt was too short to be cached"
        } else {
            "too little stayed the same to be cached"
        };
        return (Agreement::Agrees, format!("the provider read nothing from its cache; {why}"));
    }
    if read * 2 >= could {
        return (
            Agreement::Agrees,
            format!(
                "the provider read {} tokens from its cache, as the unchanged beginning of about {} allows",
                count(read),
                count(could)
            ),
        );
    }
    let why = why_less(prefix, dialect);
    (
        Agreement::ReadLess,
        format!(
            "about {} tokens stayed the same, but the provider read only {} from its cache: {}",
            count(could),
            count(read),
            why.join("; ")
        ),
    )
}

/// Why a provider may have read less from its cache than stayed the same.
fn why_less(prefix: &Prefix, dialect: &str) -> Vec<String> {
    let mut why = Vec::new();
    if prefix.pause_us > CACHE_LIFE_US {
        why.push(format!(
            "the pause of {} is longer than most caches live",
            prose::time(prefix.pause_us.unsigned_abs())
        ));
    }
    if dialect == "anthropic" && prefix.marks_after.is_empty() {
        why.push("the request marks nothing to be cached (`cache_control`)".to_owned());
    } else if dialect == "anthropic" && prefix.marks_before.is_empty() {
        why.push("the earlier request marked nothing to be cached (`cache_control`)".to_owned());
    }
    if !prefix.key_changes.is_empty() {
        why.push(format!(
            "what else belongs to the cache's key changed ({})",
            prefix.key_changes.join("; ")
        ));
    }
    if why.is_empty() {
        why.push("the provider may have sent the call to another machine; a stable `prompt_cache_key` (OpenAI) or session helps".to_owned());
    }
    why
}
