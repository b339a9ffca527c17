//! Our own lines: an exchange each, as `captures export` and `captures show --json` write them (docs/exchange-json.md).

use indexmap::IndexMap;
use pinhole_replay::recording as made;
use pinhole_replay::recording::{Fault, Recording, Times};
use serde::Deserialize;

use crate::report::exchange_json::SCHEMA;
use crate::report::formats::import::foreign::base64;

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

/// The members that a recording is made of; the others follow from these, or mean something in their own store only.
#[derive(Deserialize)]
struct Line {
    id: String,
    started_at_us: i64,
    duration_us: i64,
    overhead_us: i64,
    queued_us: i64,
    session_id: Option<String>,
    parent_session_id: Option<String>,
    #[serde(default)]
    session_inferred: bool,
    dialect: String,
    operation: String,
    method: String,
    path: String,
    stream: bool,
    model_requested: Option<String>,
    status: Option<u16>,
    outcome: String,
    finish_reason: Option<String>,
    error_source: Option<String>,
    error_kind: Option<String>,
    error_detail: Option<String>,
    usage: Usage,
    cost_nanousd: Option<i64>,
    ttft_us: Option<i64>,
    ttfo_us: Option<i64>,
    gap_p50_us: Option<i64>,
    gap_p99_us: Option<i64>,
    gap_max_us: Option<i64>,
    stalls: Option<i64>,
    request_bytes: i64,
    response_bytes: i64,
    #[serde(default)]
    tools: Vec<String>,
    agent: String,
    client_addr: Option<String>,
    key_label: Option<String>,
    user_label: Option<String>,
    client_request_id: Option<String>,
    trace_id: Option<String>,
    replay_of: Option<String>,
    run_id: Option<String>,
    capture_level: String,
    redacted: bool,
    replayable: bool,
    #[serde(default)]
    tags: IndexMap<String, String>,
    #[serde(default)]
    indexed_headers: IndexMap<String, String>,
    #[serde(default)]
    signals: Vec<String>,
    duplicate_of: Option<String>,
    prefix_changed_at: Option<i64>,
    #[serde(default)]
    labels: Vec<Labelled>,
    request: Leg,
    attempts: Vec<Attempt>,
    response: Leg,
    #[serde(default)]
    response_frames: Vec<(u64, u32)>,
}

#[derive(Deserialize)]
struct Attempt {
    provider: String,
    model: Option<String>,
    key_label: Option<String>,
    because: String,
    status: Option<u16>,
    error_source: Option<String>,
    error_kind: Option<String>,
    sent_us: i64,
    head_us: Option<i64>,
    ended_us: Option<i64>,
    link: Option<Link>,
    peer: Option<String>,
    http: Option<String>,
    tls: Option<String>,
    bytes: i64,
    upstream_request_id: Option<String>,
    response_id: Option<String>,
    response_model: Option<String>,
    service_tier: Option<String>,
    usage: Usage,
    cost_nanousd: Option<i64>,
    #[serde(default)]
    edits: Vec<String>,
    request: Leg,
    response: Leg,
    #[serde(default)]
    frames: Vec<(u64, u32)>,
    #[serde(default)]
    frames_untabled: u64,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "resolve_us")]
    resolve: i64,
    #[serde(rename = "connect_us")]
    connect: i64,
    #[serde(rename = "tls_us")]
    tls: i64,
}

#[derive(Deserialize)]
struct Usage {
    source: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cache_read_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
}

#[derive(Deserialize)]
struct Leg {
    line: Option<String>,
    headers: Option<Vec<(String, String)>>,
    body: Body,
}

#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Body {
    Absent { reason: String },
    Same,
    Kept(Kept),
}

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    cut_bytes: u64,
    coding: Option<String>,
    #[serde(default)]
    redacted: bool,
    blake3: Option<String>,
    text: Option<String>,
    base64: Option<String>,
}

pub(super) fn recording(line: &[u8]) -> Result<Option<Recording>, String> {
    let Version { schema } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if schema > SCHEMA {
        return Err(format!(
            "it has schema {schema}, this program reads up to {SCHEMA}; use a newer one"
        ));
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    whole(line).map(Some).map_err(str::to_owned)
}

fn whole(line: Line) -> Result<Recording, &'static str> {
    let gaps = line.gap_p50_us.zip(line.gap_p99_us).zip(line.gap_max_us);
    Ok(Recording {
        order: 0,
        started_at_us: line.started_at_us,
        duration_us: line.duration_us,
        session: line.session_id,
        session_inferred: line.session_inferred,
        parent_session: line.parent_session_id,
        dialect: line.dialect,
        operation: line.operation,
        agent: line.agent,
        method: line.method,
        path: line.path,
        model_requested: line.model_requested,
        stream: line.stream,
        status: line.status,
        outcome: line.outcome,
        error: fault(line.error_source, line.error_kind, line.error_detail),
        finish_reason: line.finish_reason,
        tools: line.tools,
        usage: usage(line.usage),
        cost_nanousd: line.cost_nanousd,
        times: Times {
            ttft_us: line.ttft_us,
            ttfo_us: line.ttfo_us,
            gaps_us: gaps.map(|((p50, p99), max)| [p50, p99, max]),
            stalls: line.stalls,
            queued_us: line.queued_us,
            overhead_us: line.overhead_us,
        },
        request_bytes: line.request_bytes,
        response_bytes: line.response_bytes,
        key_label: line.key_label,
        user_label: line.user_label,
        client_addr: line.client_addr,
        client_request_id: line.client_request_id,
        trace_id: line.trace_id,
        replay_of: line.replay_of,
        run_id: line.run_id,
        level: line.capture_level,
        redacted: line.redacted,
        replayable: line.replayable,
        tags: line.tags.into_iter().collect(),
        indexed_headers: line.indexed_headers.into_iter().collect(),
        signals: line.signals,
        duplicate_of: line.duplicate_of,
        prefix_changed_at: line.prefix_changed_at,
        labels: own_labels(line.labels),
        request: leg(line.request)?,
        attempts: line.attempts.into_iter().map(attempt).collect::<Result<_, _>>()?,
        response: leg(line.response)?,
        frames: line.response_frames,
        id: line.id,
    })
}

/// A label, and what it was on.
#[derive(Deserialize)]
struct Labelled {
    #[serde(default)]
    on: String,
    #[serde(flatten)]
    label: made::Label,
}

/// Those of the session are on no exchange: put on one, taking them off the session would leave them there.
fn own_labels(labels: Vec<Labelled>) -> Vec<made::Label> {
    labels.into_iter().filter(|one| one.on != "session").map(|one| one.label).collect()
}

fn attempt(tried: Attempt) -> Result<made::Attempt, &'static str> {
    Ok(made::Attempt {
        provider: tried.provider,
        model: tried.model,
        key_label: tried.key_label,
        because: tried.because,
        status: tried.status,
        error: fault(tried.error_source, tried.error_kind, None),
        sent_us: tried.sent_us,
        head_us: tried.head_us,
        ended_us: tried.ended_us,
        link_us: tried.link.map(|link| [link.resolve, link.connect, link.tls]),
        peer: tried.peer,
        http: tried.http,
        tls: tried.tls,
        bytes: tried.bytes,
        upstream_request_id: tried.upstream_request_id,
        response_id: tried.response_id,
        response_model: tried.response_model,
        service_tier: tried.service_tier,
        usage: usage(tried.usage),
        cost_nanousd: tried.cost_nanousd,
        edits: tried.edits,
        request: leg(tried.request)?,
        response: leg(tried.response)?,
        frames: tried.frames,
        untabled: tried.frames_untabled,
    })
}

fn fault(source: Option<String>, kind: Option<String>, detail: Option<String>) -> Option<Fault> {
    (source.is_some() || kind.is_some()).then(|| Fault {
        source: source.unwrap_or_default(),
        kind: kind.unwrap_or_default(),
        detail,
    })
}

fn usage(told: Usage) -> Option<made::Usage> {
    let usage = made::Usage {
        input: told.input_tokens,
        output: told.output_tokens,
        cache_read: told.cache_read_tokens,
        cache_write: told.cache_write_tokens,
        reasoning: told.reasoning_tokens,
        source: told.source,
    };
    (usage != made::Usage::default()).then_some(usage)
}

fn leg(leg: Leg) -> Result<made::Leg, &'static str> {
    Ok(made::Leg { line: leg.line, headers: leg.headers, body: body(leg.body)? })
}

/// `text` is for reading; where it is not the very bytes, `base64` has them.
fn body(body: Body) -> Result<made::Body, &'static str> {
    let kept = match body {
        Body::Absent { reason } => return Ok(made::Body::Absent(reason)),
        Body::Same => return Ok(made::Body::Same),
        Body::Kept(kept) => kept,
    };
    let bytes = match (kept.base64, kept.text) {
        (Some(coded), _) => base64(&coded).ok_or("the base64 of a body does not decode")?,
        (None, Some(text)) => text.into_bytes(),
        (None, None) => return Err("a body that is kept has neither `text` nor `base64`"),
    };
    let is_whole = kept.blake3.is_none_or(|told| blake3::hash(&bytes).to_hex().as_str() == told);
    if !is_whole {
        return Err("a body does not fit its `blake3`: it was altered");
    }
    Ok(made::Body::Whole(made::Whole {
        bytes,
        cut_bytes: kept.cut_bytes,
        coding: kept.coding,
        redacted: kept.redacted,
    }))
}
