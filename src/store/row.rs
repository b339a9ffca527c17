//! What of an exchange becomes a record: pure and bounded. Bodies and headers go another way, see `store/capture.rs`.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::id::ExchangeId;
use crate::base::trace::TraceId;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::level::Level;
use crate::exchange::outcome::Outcome;
use crate::exchange::redact;
use crate::exchange::signal::Signals;
use crate::exchange::summary::Tally;
use crate::neutral::usage::{Usage, UsageSource};
use crate::store::text::{LINE_MAX, NAME_MAX, fit, fit_shared};

/// Limit: tags and tools of one exchange that are kept.
const LABELS_MAX: usize = 64;

/// One exchange as the store keeps it.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: [u8; 16],
    pub started_at_us: i64,
    pub session: Option<String>,
    /// The gateway found the session by the messages; no client named it.
    pub session_inferred: bool,
    pub parent_session: Option<String>,
    pub dialect: Cow<'static, str>,
    pub operation: Cow<'static, str>,
    pub model_requested: Option<String>,
    pub status: Option<u16>,
    pub outcome: Outcome,
    pub stream: bool,
    pub queued_us: i64,
    pub ttft_us: Option<i64>,
    pub ttfo_us: Option<i64>,
    /// First content to last.
    pub contents_us: Option<i64>,
    pub contents: i64,
    /// Median, 99th percentile, maximum; `None` where there were not two contents.
    pub gaps_us: Option<[i64; 3]>,
    pub stalls: u32,
    pub duration_us: i64,
    pub overhead_us: i64,
    pub request_bytes: i64,
    pub response_bytes: i64,
    pub error_source: Option<Cow<'static, str>>,
    pub error_kind: Option<Cow<'static, str>>,
    pub error_detail: Option<String>,
    pub finish_reason: Option<String>,
    /// Names and calls of the answer that went to the client.
    pub tools: Vec<(String, u32)>,
    pub agent: Cow<'static, str>,
    pub method: String,
    pub path: String,
    pub client: Option<SocketAddr>,
    pub key_label: Option<Arc<str>>,
    pub user_label: Option<String>,
    pub client_request_id: Option<String>,
    pub trace: TraceId,
    /// The sum over all attempts.
    pub cost_nanousd: Option<i64>,
    pub tags: Vec<(String, String)>,
    /// Values of the headers that the configuration has indexed; names in lower case.
    pub headers: Vec<(String, String)>,
    pub level: Level,
    /// See `store/flags.rs`; what becomes of the bodies is added when they are written.
    pub flags: i64,
    pub signals: Signals,
    /// The exchange that this one repeats, byte for byte.
    pub duplicate_of: Option<[u8; 16]>,
    /// Where in the request's body the prompt first differs from the conversation's last turn.
    pub prefix_changed_at: Option<i64>,
    /// Which rules of redaction its texts went by.
    pub policy: u32,
    /// Its head stands among those in flight, and goes when this is written.
    pub head_written: bool,
    /// The replay that made this exchange, and what it repeats; such rows are in no roll-up.
    pub run_id: Option<[u8; 16]>,
    pub replay_of: Option<[u8; 16]>,
    pub attempts: Vec<AttemptRow>,
}

/// One attempt as the store keeps it.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    pub provider: Arc<str>,
    pub model: Option<Arc<str>>,
    pub model_label: Arc<str>,
    pub key_label: Option<Arc<str>>,
    pub because: Cow<'static, str>,
    pub status: Option<u16>,
    pub error_source: Option<Cow<'static, str>>,
    pub error_kind: Option<Cow<'static, str>>,
    pub sent_us: i64,
    pub head_us: Option<i64>,
    pub ended_us: Option<i64>,
    /// Resolving, connecting, TLS; `None` on a connection that was there already.
    pub link_us: Option<[i64; 3]>,
    pub peer: Option<String>,
    pub http: Cow<'static, str>,
    pub tls: Option<Cow<'static, str>>,
    pub bytes: i64,
    pub upstream_request_id: Option<String>,
    pub response_id: Option<String>,
    pub response_model: Option<String>,
    pub service_tier: Option<String>,
    /// What counts, told and estimated.
    pub usage: Usage,
    /// The kinds in `usage` that the gateway estimated.
    pub estimated: Usage,
    pub usage_source: Option<UsageSource>,
    pub partial: bool,
    pub missing: bool,
    pub cost_nanousd: Option<i64>,
    pub unpriced: bool,
    pub price_basis: Option<Arc<str>>,
    pub price_version: Option<Arc<str>>,
}

impl Row {
    pub fn of(exchange: &Exchange) -> Self {
        let summary = &exchange.summary;
        let times = &summary.times;
        let sent_us = exchange.attempts.last().map_or(0, |attempt| attempt.sent_us);
        let since_sent = |at: Option<u64>| at.map(|at| int(at.saturating_sub(sent_us)));
        let lasted = times.last_content_us.zip(times.first_content_us);
        let gaps = &times.gaps;
        let failure = exchange.failure.as_ref();
        let told = summary.last().map(|tally| &tally.reading);
        Self {
            id: exchange.id.bytes(),
            started_at_us: int(exchange.wall_us),
            session: exchange.session.as_deref().map(name),
            session_inferred: exchange.session_inferred,
            parent_session: exchange.parent_session.as_deref().map(name),
            dialect: exchange.dialect.label().into(),
            operation: exchange.operation.label().into(),
            model_requested: exchange.model_requested.as_deref().map(name),
            status: exchange.status.map(|status| status.as_u16()),
            outcome: exchange.outcome,
            stream: exchange.stream,
            queued_us: int(exchange.queued_us),
            ttft_us: since_sent(times.first_content_us),
            ttfo_us: since_sent(times.first_answer_us),
            contents_us: lasted.map(|(last, first)| int(last.saturating_sub(first))),
            contents: int(times.contents),
            gaps_us: (times.contents > 1)
                .then(|| [int(gaps.p50_us), int(gaps.p99_us), int(gaps.max_us)]),
            stalls: gaps.stalls,
            duration_us: int(exchange.ended_us),
            overhead_us: int(times.overhead_us),
            request_bytes: int(exchange.request_bytes),
            response_bytes: int(exchange.response_bytes),
            error_source: failure.map(|blame| blame.source.label().into()),
            error_kind: failure.map(|blame| blame.kind.into()),
            error_detail: failure.and_then(|blame| blame.detail.as_deref()).map(line),
            finish_reason: told.and_then(|told| finish(&told.finish_reasons)),
            tools: told.map(|told| tools(&told.tools)).unwrap_or_default(),
            agent: if summary.agent.is_empty() { "none" } else { summary.agent }.into(),
            method: fit(exchange.method.as_str(), NAME_MAX).into_owned(),
            path: line(&exchange.path),
            client: exchange.client,
            key_label: exchange.key_label.as_ref().map(fit_shared),
            user_label: exchange.user_label.as_deref().map(name),
            client_request_id: exchange.client_request_id.as_deref().map(name),
            trace: exchange.trace.id,
            cost_nanousd: summary.cost.map(|cost| cost.0),
            tags: tags(&exchange.tags),
            headers: Vec::new(),
            level: Level::Meta,
            flags: 0,
            signals: summary.signals,
            duplicate_of: summary.duplicate_of.map(ExchangeId::bytes),
            prefix_changed_at: summary.prefix_changed_at.map(int),
            policy: redact::current().version(),
            head_written: false,
            run_id: exchange.replay.map(|replay| replay.run.bytes()),
            replay_of: exchange.replay.and_then(|replay| replay.of).map(ExchangeId::bytes),
            attempts: attempts(exchange),
        }
    }

    /// The attempt whose answer went to the client.
    pub fn last(&self) -> Option<&AttemptRow> {
        self.attempts.last()
    }

    pub fn tool_calls(&self) -> i64 {
        self.tools.iter().map(|(_, calls)| i64::from(*calls)).sum()
    }
}

fn attempts(exchange: &Exchange) -> Vec<AttemptRow> {
    let untold = Tally::default();
    let tallies = exchange.summary.tallies.iter().chain(std::iter::repeat(&untold));
    exchange.attempts.iter().zip(tallies).map(|(tried, tally)| attempt(tried, tally)).collect()
}

fn attempt(attempt: &Attempt, tally: &Tally) -> AttemptRow {
    let link = &attempt.link;
    let failure = attempt.failure.as_ref();
    let cost = tally.cost.as_ref();
    AttemptRow {
        provider: fit_shared(&attempt.provider),
        model: attempt.model.as_ref().map(fit_shared),
        model_label: fit_shared(&attempt.model_label),
        key_label: attempt.key_label.as_ref().map(fit_shared),
        because: attempt.because.into(),
        status: attempt.status.map(|status| status.as_u16()),
        error_source: failure.map(|blame| blame.source.label().into()),
        error_kind: failure.map(|blame| blame.kind.into()),
        sent_us: int(attempt.sent_us),
        head_us: attempt.head_us.map(int),
        ended_us: attempt.ended_us.map(int),
        link_us: (!link.reused)
            .then(|| [int(link.resolve_us), int(link.connect_us), int(link.tls_us)]),
        peer: link.peer.map(|peer| peer.to_string()),
        http: link.http.into(),
        tls: link.tls.map(Cow::Borrowed),
        bytes: int(attempt.frames.bytes),
        upstream_request_id: attempt.upstream_request_id.as_deref().map(name),
        response_id: tally.reading.response_id.as_deref().map(name),
        response_model: tally.reading.model.as_deref().map(name),
        service_tier: tally.reading.service_tier.as_deref().map(name),
        usage: tally.usage.unwrap_or_default(),
        estimated: tally.counted_by(UsageSource::Estimated),
        usage_source: tally.source,
        partial: tally.partial,
        missing: tally.missing,
        cost_nanousd: cost.map(|cost| cost.amount.0),
        unpriced: tally.unpriced,
        price_basis: cost.map(|cost| fit_shared(&cost.basis)),
        price_version: cost.map(|cost| fit_shared(&cost.version)),
    }
}

/// SQLite's integers are signed; nothing that is measured comes near the end.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn name(text: &str) -> String {
    fit(text, NAME_MAX).into_owned()
}

fn line(text: &str) -> String {
    fit(text, LINE_MAX).into_owned()
}

/// The reason all choices ended for, or their reasons in order.
fn finish(reasons: &[String]) -> Option<String> {
    let first = reasons.first()?;
    if reasons.iter().all(|reason| reason == first) {
        return Some(name(first));
    }
    Some(name(&reasons.join(",")))
}

fn tools(called: &[crate::neutral::reading::ToolCalls]) -> Vec<(String, u32)> {
    called.iter().take(LABELS_MAX).map(|tool| (name(&tool.name), tool.calls)).collect()
}

/// Each name once; of two values the last counts.
fn tags(sent: &[(String, String)]) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::with_capacity(sent.len().min(LABELS_MAX));
    for (tag, value) in sent {
        let (tag, value) = (name(tag), name(value));
        if let Some((_, before)) = kept.iter_mut().find(|(known, _)| *known == tag) {
            *before = value;
        } else if kept.len() < LABELS_MAX {
            kept.push((tag, value));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::fixture;
    use crate::neutral::reading::{Reading, ToolCalls};

    #[test]
    fn hostile_words_are_bounded() {
        let mut exchange = fixture::exchange();
        exchange.model_requested = Some("m".repeat(1 << 20));
        exchange.session = Some("s".repeat(1 << 16).into());
        exchange.path = "/v1/\0".to_owned();
        exchange.tags = (0..1_000).map(|n| (format!("t{n}"), "v".repeat(10_000))).collect();
        exchange.tags.push(("t0".to_owned(), "last".to_owned()));
        let called = ToolCalls { name: "t\u{1b}".repeat(4_000), calls: 2 };
        let reading = Reading { tools: vec![called], ..Reading::default() };
        exchange.summary.tallies = vec![Tally { reading, ..Tally::default() }];
        let row = Row::of(&exchange);
        assert_eq!(row.model_requested.unwrap().chars().count(), NAME_MAX);
        assert_eq!(row.session.unwrap().chars().count(), NAME_MAX);
        assert_eq!(row.path, "/v1/\u{fffd}");
        assert_eq!((row.tags.len(), row.tags[0].1.as_str()), (LABELS_MAX, "last"));
        assert!(row.tags[1].1.chars().count() == NAME_MAX);
        assert_eq!(row.tools[0].0.chars().count(), NAME_MAX);
    }

    #[test]
    fn times_count_from_the_sending_of_the_last_attempt() {
        let mut exchange = fixture::exchange();
        let times = &mut exchange.summary.times;
        (times.first_content_us, times.first_answer_us) = (Some(1_055), Some(2_055));
        (times.last_content_us, times.contents) = (Some(9_055), 3);
        (times.gaps.p50_us, times.gaps.p99_us, times.gaps.max_us) = (3_000, 5_000, 5_000);
        let row = Row::of(&exchange);
        assert_eq!(
            (row.ttft_us, row.ttfo_us, row.contents_us),
            (Some(1_000), Some(2_000), Some(8_000))
        );
        assert_eq!(row.gaps_us, Some([3_000, 5_000, 5_000]));
        exchange.summary.times = crate::exchange::summary::Times::default();
        let row = Row::of(&exchange);
        assert_eq!((row.ttft_us, row.contents_us, row.gaps_us), (None, None, None));
    }

    #[test]
    fn choices_that_end_alike_have_one_reason() {
        let of = |reasons: &[&str]| {
            finish(&reasons.iter().map(|reason| (*reason).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["stop", "stop"]).as_deref(), Some("stop"));
        assert_eq!(of(&["stop", "length"]).as_deref(), Some("stop,length"));
    }
}
