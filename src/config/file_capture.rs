//! The shapes of `[capture]` and `[retention]`. See `file.rs` for the rules these shapes follow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::SecretText;
use crate::config::units::{Size, Span};
use crate::exchange::level::Level;

/// Limit on memory, unless the file says otherwise.
const MEMORY: u64 = 256 << 20;
/// Limit on the index of texts, unless the file says otherwise.
const SEARCH: u64 = 1 << 30;

/// How much of each exchange is kept. A reload changes it for exchanges that end from then on.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// `off` keeps nothing, `meta` facts and numbers, `headers` also headers, `full` also bodies.
    pub level: Level,
    /// What is replaced by placeholders besides credentials, which always are.
    pub redact: Option<Redact>,
    /// Encrypts headers and bodies on disk; better as `env:NAME`, `file:PATH` or `command:PROGRAM ARGS`. Records stay readable.
    #[serde(skip_serializing)]
    pub encryption_key: Option<SecretText>,
    /// The share of sessions that `level` is for, from 0 to 1; the others are kept at `meta`.
    pub sample: f64,
    /// Levels for some keys, providers, models or paths; the first rule that fits decides.
    pub rules: Vec<CaptureRule>,
    /// What is kept whole whatever its level (but for what a rule sets to `off`), once it is seen what came of it: `error`, `slow`, `retried`, `cut`, `empty`.
    pub tail: Vec<Tail>,
    /// From this duration on an exchange is slow.
    pub slow_after: Span,
    /// Memory for bodies of running exchanges and of those that wait to be written; past it bodies are let go, records not.
    pub memory: Size,
    /// Whether texts are indexed (`search.db`), so that `text:"…"` is fast. Off, the file is removed.
    pub search: bool,
    /// How large that index may grow; past it the oldest exchanges are dropped from it.
    pub search_size: Size,
    /// Headers whose values can be asked for (`header.NAME:value`), besides being kept.
    pub headers_indexed: Vec<String>,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            level: Level::default(),
            redact: None,
            encryption_key: None,
            sample: 1.0,
            rules: Vec::new(),
            tail: Vec::new(),
            slow_after: Span(std::time::Duration::from_secs(30)),
            memory: Size(MEMORY),
            search: true,
            search_size: Size(SEARCH),
            headers_indexed: Vec::new(),
        }
    }
}

/// A level for some exchanges. What is not given fits all; names may be globs.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureRule {
    /// Labels of gateway keys.
    pub key: Option<String>,
    /// Names of providers.
    pub provider: Option<String>,
    /// Models as they are sent to the provider.
    pub model: Option<String>,
    /// Paths as the client asked for them; `**` also matches `/`.
    pub path: Option<String>,
    /// How much is kept.
    pub level: Level,
    /// The share of sessions that `level` is for, from 0 to 1. Default: 1.
    pub sample: Option<f64>,
}

/// What came of an exchange that is kept whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// It failed.
    Error,
    /// It took `slow_after` or longer.
    Slow,
    /// It took more than one attempt.
    Retried,
    /// The answer broke off.
    Cut,
    /// The answer had neither text nor tool calls.
    Empty,
}

/// What is taken out of whatever is kept or shown, besides the credentials that always are; see `docs/redaction.md`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// Headers whose values are kept besides the well-known ones: a name, or a beginning and `*`. Credentials never are.
    pub headers_allow: Vec<String>,
    /// Further patterns to look for in bodies, headers, records, spans and log lines.
    pub patterns: Vec<RedactPattern>,
    /// JSON pointers to values of bodies that are replaced whole; `*` is any element or member.
    pub pointers: Vec<String>,
}

/// One pattern.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactPattern {
    /// Stands in the placeholder: letters, digits, `_` and `-`.
    pub name: String,
    /// Regular expression (syntax of Rust's `regex`); where it has a group named `secret`, that alone is replaced.
    pub regex: String,
}

/// When what was kept is removed.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Bodies and headers.
    pub bodies: Option<BodyRetention>,
    /// Facts and numbers.
    pub records: Option<RecordRetention>,
}

/// When captured bodies and headers are removed; the bound that is reached first acts. Pinned ones stay.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BodyRetention {
    /// Older ones are removed; `0s` is zero retention: nothing but facts and numbers ever reaches the disk.
    pub age: Option<Span>,
    /// Beyond this much on disk the oldest are removed.
    pub size: Option<Size>,
    /// Nothing is removed that was not exported with `pinhole captures export --mark` before.
    pub require_export: Option<bool>,
}

/// When records are removed: at the start and once an hour. Sums by hour and day stay.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecordRetention {
    /// Older ones are removed, with their bodies.
    pub age: Option<Span>,
}
