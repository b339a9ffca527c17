//! What the store gives back, as a recording.

use pinhole_replay::recording::{Attempt, Body, Fault, Label, Leg, Recording, Times, Usage, Whole};

use crate::report::exchange_json::reason;
use crate::store::stored::{self, LabelOn, Stored};

/// Everything the store has of one exchange. Takes it, because bodies are large.
pub fn of(stored: Stored) -> Recording {
    let Stored { row, request, attempts, response, response_frames, labels, .. } = stored;
    let gaps = row.gap_p50_us.zip(row.gap_p99_us).zip(row.gap_max_us);
    Recording {
        order: 0,
        started_at_us: row.started_at_us,
        duration_us: row.duration_us,
        session: row.session_id,
        session_inferred: row.session_inferred,
        parent_session: row.parent_session_id,
        dialect: row.dialect,
        operation: row.operation,
        agent: row.agent,
        method: row.method,
        path: row.path,
        model_requested: row.model_requested,
        stream: row.stream,
        status: row.status,
        outcome: row.outcome,
        error: fault(row.error_source, row.error_kind, row.error_detail),
        finish_reason: row.finish_reason,
        tools: row.tools,
        usage: usage(
            [
                row.input_tokens,
                row.output_tokens,
                row.cache_read_tokens,
                row.cache_write_tokens,
                row.reasoning_tokens,
            ],
            row.usage_source,
        ),
        cost_nanousd: row.cost_nanousd,
        times: Times {
            ttft_us: row.ttft_us,
            ttfo_us: row.ttfo_us,
            gaps_us: gaps.map(|((p50, p99), max)| [p50, p99, max]),
            stalls: row.stalls,
            queued_us: row.queued_us,
            overhead_us: row.overhead_us,
        },
        request_bytes: row.request_bytes,
        response_bytes: row.response_bytes,
        key_label: row.key_label,
        user_label: row.user_label,
        client_addr: row.client_addr,
        client_request_id: row.client_request_id,
        trace_id: row.trace_id,
        replay_of: row.replay_of,
        run_id: row.run_id,
        level: row.capture_level,
        redacted: row.redacted,
        replayable: row.replayable,
        tags: row.tags,
        indexed_headers: row.headers,
        duplicate_of: row.duplicate_of,
        prefix_changed_at: row.prefix_changed_at,
        signals: row.signals.into_iter().map(str::to_owned).collect(),
        // Those of the session are on no exchange; whoever reads this could not take them off.
        labels: labels.into_iter().filter(|one| one.on == LabelOn::Exchange).map(label).collect(),
        request: leg(request),
        attempts: attempts.into_iter().map(attempt).collect(),
        response: leg(response),
        frames: response_frames,
        id: row.id,
    }
}

fn attempt(attempt: stored::Attempt) -> Attempt {
    Attempt {
        provider: attempt.provider,
        model: attempt.model,
        key_label: attempt.key_label,
        because: attempt.because,
        status: attempt.status,
        error: fault(attempt.error_source, attempt.error_kind, None),
        sent_us: attempt.sent_us,
        head_us: attempt.head_us,
        ended_us: attempt.ended_us,
        link_us: attempt.link_us,
        peer: attempt.peer,
        http: attempt.http,
        tls: attempt.tls,
        bytes: attempt.bytes,
        upstream_request_id: attempt.upstream_request_id,
        response_id: attempt.response_id,
        response_model: attempt.response_model,
        service_tier: attempt.service_tier,
        usage: usage(
            [
                attempt.input_tokens,
                attempt.output_tokens,
                attempt.cache_read_tokens,
                attempt.cache_write_tokens,
                attempt.reasoning_tokens,
            ],
            attempt.usage_source,
        ),
        cost_nanousd: attempt.cost_nanousd,
        edits: attempt.edits,
        request: leg(attempt.request),
        response: leg(attempt.response),
        frames: attempt.frames,
        untabled: attempt.untabled,
    }
}

fn fault(source: Option<String>, kind: Option<String>, detail: Option<String>) -> Option<Fault> {
    (source.is_some() || kind.is_some()).then(|| Fault {
        source: source.unwrap_or_default(),
        kind: kind.unwrap_or_default(),
        detail,
    })
}

fn usage(tokens: [Option<i64>; 5], source: Option<String>) -> Option<Usage> {
    let [input, output, cache_read, cache_write, reasoning] = tokens;
    let usage = Usage { input, output, cache_read, cache_write, reasoning, source };
    (usage != Usage::default()).then_some(usage)
}

fn label(label: stored::Label) -> Label {
    Label {
        name: label.name,
        score: label.score,
        note: label.note,
        author: label.author,
        at_us: label.at_us,
    }
}

fn leg(leg: stored::Leg) -> Leg {
    let body = match leg.body {
        stored::Body::Absent(why) => Body::Absent(reason(why).to_owned()),
        stored::Body::Same => Body::Same,
        stored::Body::Whole(whole) => Body::Whole(Whole {
            bytes: whole.bytes,
            cut_bytes: whole.cut_bytes,
            coding: whole.coding,
            redacted: whole.redacted,
        }),
    };
    Leg { line: leg.line, headers: leg.headers, body }
}
