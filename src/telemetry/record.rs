//! From a finished exchange to the instruments. Says what counts as what; the numbers themselves come from the summary.
//!
//! - Tokens and cost are sums over all attempts; times are those of the last attempt's answer.
//! - First tokens, tokens per second and gaps are told of event streams alone: a document has one arrival. Not told
//!   either of streams whose pieces cannot be placed in time: in a content coding, or not kept for want of memory.
//! - Time per output token wants the provider's own, final number of tokens.

use std::sync::Arc;

use http::StatusCode;

use crate::base::money::Nanodollars;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::outcome::Outcome;
use crate::exchange::summary::{Account, Tally};
use crate::neutral::failure::Code;
use crate::neutral::kind::Operation;
use crate::neutral::reading::Billing;
use crate::neutral::usage::{TOKENS_MAX, Usage, UsageSource};
use crate::telemetry::cardinality::OTHER;
use crate::telemetry::exemplar::Origin;
use crate::telemetry::handles::{Handles, Key, Names, Pair};
use crate::telemetry::instruments::{Counter, Telemetry};
use crate::telemetry::metrics::Metric;
use crate::telemetry::states::{Sign, States};

/// The provider of an exchange that ended before one was chosen.
const NONE: &str = "none";

/// Limit: nanodollars of one attempt. A larger amount is a defect of a price.
const COST_MAX: u64 = 1_000_000 * 1_000_000_000;

/// Reads one kind of tokens.
type Tokens = fn(&Usage) -> Option<u64>;

/// The kinds of tokens, as the label `type` has them.
const TOKEN_TYPES: [(&str, Tokens); 5] = [
    ("input", |usage| usage.input),
    ("output", |usage| usage.output),
    ("cache_read", |usage| usage.cache_read),
    ("cache_write", |usage| usage.cache_write),
    ("reasoning", |usage| usage.reasoning),
];

/// Refusals that say a limit of the gateway was reached.
const LIMITS: [Code; 4] =
    [Code::Overloaded, Code::ProviderOverloaded, Code::BodyTooLarge, Code::BodyTimeout];

/// Records exchanges. One thread has it; handles are kept from one exchange to the next.
pub struct Meter {
    handles: Handles,
    names: Names,
    states: States,
    collapsed: Counter,
    none: (Arc<str>, Arc<str>),
}

impl Meter {
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            names: Names::new(),
            states: States::new(Arc::clone(&telemetry)),
            collapsed: telemetry.counter(Metric::SeriesCollapsed, &[]),
            none: (Arc::from(NONE), Arc::from(OTHER)),
            handles: Handles::new(telemetry),
        }
    }

    /// Takes one exchange in. To be called once for each.
    pub fn record(&mut self, exchange: &Exchange) {
        let Self { handles, names, states, collapsed, none } = self;
        handles.collapsed = false;
        let last = exchange.attempts.last();
        let kind = exchange.failure.as_ref().map(|blame| names.kind(blame.kind));
        let (provider, model) =
            last.map_or((&none.0, &none.1), |last| (&last.provider, &last.model_label));
        let pair = names.pair(provider, model);
        let unknown = &*pair.model == OTHER && exchange.operation != Operation::Models;
        let example = exchange.trace.sampled.then(|| origin(exchange));
        whole(handles, pair, exchange, example);
        if let Some(kind) = kind {
            blamed(handles, pair, exchange, kind);
        }
        if let Some(attempt) = last {
            paced(handles, pair, (exchange, attempt), example);
        }
        for (at, attempt) in exchange.attempts.iter().enumerate() {
            let pair = names.pair(&attempt.provider, &attempt.model_label);
            let is_last = at + 1 == exchange.attempts.len();
            let left = is_last && exchange.outcome == Outcome::ClientCancelled;
            let result = Ended::of(attempt, left);
            tried(handles, pair, attempt, result, example);
            if at == 0 {
                phase(handles, pair, Phase::Queue, exchange.queued_us, example);
            }
            if let Some(tally) = exchange.summary.tallies.get(at) {
                tallied(handles, pair, tally);
            }
            states.note((pair.provider_id, &pair.provider), attempt, result.sign(attempt));
        }
        if unknown || handles.collapsed {
            collapsed.add(1);
        }
    }
}

impl Meter {
    /// Takes in what exchanges cost whose records were lost. Everything else of them is lost too, and counted as that.
    pub fn account(&mut self, account: &Account) {
        let Self { handles, names, .. } = self;
        let pair = names.pair(&account.provider, &account.model_label);
        let answers = account.answers.max(1);
        let (tokens_max, cost_max) =
            (TOKENS_MAX.saturating_mul(answers), COST_MAX.saturating_mul(answers));
        for (source, usage) in
            [(UsageSource::Provider, &account.told), (UsageSource::Estimated, &account.estimated)]
        {
            tokens(handles, pair, source, usage, tokens_max);
        }
        if account.cost != Nanodollars::default() {
            paid(handles, pair, account.cost, cost_max);
        }
    }
}

fn origin(exchange: &Exchange) -> Origin {
    Origin {
        trace: exchange.trace.id,
        span: exchange.trace.server,
        exchange: exchange.id,
        wall_us: exchange.wall_us.saturating_add(exchange.ended_us),
    }
}

/// The exchange as the client saw it.
fn whole(handles: &mut Handles, pair: &Pair, exchange: &Exchange, example: Option<Origin>) {
    let (dialect, operation) = (exchange.dialect, exchange.operation);
    let (code, status) = status_label(exchange.status.as_ref());
    let closed = (dialect as u16) << 8 | (operation as u16) << 4 | exchange.outcome as u16;
    let key = Key::new(Metric::Requests, pair.id).of(closed, code);
    handles.add(key, 1, || {
        let outcome = exchange.outcome.label();
        [dialect.label(), operation.label(), &*pair.provider, &*pair.model, status, outcome]
    });
    let key = Key::new(Metric::Duration, pair.id).of(dialect as u16, exchange.stream.into());
    handles.observe(key, exchange.ended_us, example, || {
        let stream = if exchange.stream { "true" } else { "false" };
        [dialect.label(), &*pair.provider, &*pair.model, stream]
    });
    for signal in exchange.summary.signals.iter() {
        let key = Key::new(Metric::Signals, pair.id).of(signal as u16, 0);
        handles.add(key, 1, || [&*pair.provider, &*pair.model, signal.label()]);
    }
    if !exchange.attempts.is_empty() {
        let key = Key::new(Metric::Overhead, 0).of(dialect as u16, 0);
        let overhead_us = exchange.summary.times.overhead_us;
        handles.observe(key, overhead_us, example, || [dialect.label()]);
    }
}

/// A status as label: a provider may answer any number, so only registered ones, and those that are common all the same.
fn status_label(status: Option<&StatusCode>) -> (u16, &str) {
    match status {
        None => (0, NONE),
        Some(known) if known.canonical_reason().is_some() || is_common(known.as_u16()) => {
            (known.as_u16(), known.as_str())
        }
        Some(_) => (1, OTHER),
    }
}

/// Not registered, but met: nginx's "client closed", Anthropic's "overloaded", Cloudflare's own.
fn is_common(status: u16) -> bool {
    matches!(status, 499 | 520..=527 | 529)
}

fn blamed(handles: &mut Handles, pair: &Pair, exchange: &Exchange, kind: u16) {
    let Some(blame) = &exchange.failure else { return };
    let key = Key::new(Metric::Errors, pair.id).of(kind, blame.source as u16);
    handles.add(key, 1, || [&*pair.provider, &*pair.model, blame.source.label(), blame.kind]);
    if LIMITS.iter().any(|code| code.label() == blame.kind) {
        handles.add(Key::new(Metric::Rejections, 0).of(kind, 0), 1, || [blame.kind]);
    }
}

/// How fast a stream came.
fn paced(
    handles: &mut Handles,
    pair: &Pair,
    (exchange, attempt): (&Exchange, &Attempt),
    example: Option<Origin>,
) {
    if !(exchange.stream && is_placed_in_time(attempt)) {
        return;
    }
    let times = &exchange.summary.times;
    let labels = || [&*pair.provider, &*pair.model];
    for (metric, at) in [
        (Metric::FirstToken, times.first_content_us),
        (Metric::FirstAnswerToken, times.first_answer_us),
    ] {
        let Some(at) = at else { continue };
        match at.checked_sub(attempt.sent_us) {
            Some(us) => handles.observe(Key::new(metric, pair.id), us, example, labels),
            None => handles.note_implausible(),
        }
    }
    if times.contents >= 2 && attempt.frames.missing_bytes() == 0 {
        let key = Key::new(Metric::GapMax, pair.id);
        handles.observe(key, times.gaps.max_us, example, labels);
        if times.gaps.stalls > 0 {
            let key = Key::new(Metric::Stalls, pair.id);
            handles.add(key, times.gaps.stalls.into(), labels);
        }
    }
    if let Some(seconds) = per_output_token(exchange) {
        let key = Key::new(Metric::PerOutputToken, pair.id);
        handles.observe_seconds(key, seconds, example, labels);
    }
}

/// Whether each piece of the answer has an arrival of its own: not so inside a coding, nor where only the end was kept.
fn is_placed_in_time(attempt: &Attempt) -> bool {
    let frames = &attempt.frames;
    let kept = frames.tail().is_empty() || frames.head().next().is_some();
    attempt.events && attempt.coding.is_none() && kept
}

/// (last content − first content) / (output tokens − 1), by the provider's own final number.
fn per_output_token(exchange: &Exchange) -> Option<f64> {
    let times = &exchange.summary.times;
    let tally = exchange.summary.last()?;
    if tally.source != Some(UsageSource::Provider) || tally.partial {
        return None;
    }
    let tokens = tally.usage?.output.filter(|tokens| (2..=TOKENS_MAX).contains(tokens))?;
    let span_us = times.last_content_us?.checked_sub(times.first_content_us?)?;
    (span_us > 0).then(|| span_us as f64 / 1e6 / (tokens - 1) as f64)
}

/// How an attempt ended: the label `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Ok,
    ClientError,
    RateLimited,
    ServerError,
    Unreachable,
    Timeout,
    Reset,
    Invalid,
    Cancelled,
}

impl Ended {
    /// `left`: the client went away while this attempt ran.
    fn of(attempt: &Attempt, left: bool) -> Self {
        let failed = attempt.failure.as_ref().and_then(|blame| Self::of_failure(blame.kind));
        if let Some(failed) = failed {
            return failed;
        }
        match attempt.status.map(|status| status.as_u16()) {
            // The provider failed inside a 200 and said so.
            Some(200..300) if attempt.failure.is_some() => Self::ServerError,
            Some(429) => Self::RateLimited,
            Some(400..500) => Self::ClientError,
            Some(500..) => Self::ServerError,
            Some(_) if !left => Self::Ok,
            Some(_) | None => Self::Cancelled,
        }
    }

    fn of_failure(kind: &str) -> Option<Self> {
        let found = Code::ALL.iter().find(|code| code.label() == kind)?;
        match found {
            Code::UpstreamUnreachable => Some(Self::Unreachable),
            Code::UpstreamReset => Some(Self::Reset),
            Code::UpstreamInvalid => Some(Self::Invalid),
            Code::UpstreamConnectTimeout
            | Code::UpstreamFirstByteTimeout
            | Code::UpstreamIdleTimeout
            | Code::UpstreamTotalTimeout => Some(Self::Timeout),
            _ => None,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Invalid => "invalid",
            Self::Cancelled => "cancelled",
        }
    }

    fn sign(self, attempt: &Attempt) -> Sign {
        match self {
            Self::Ok | Self::ClientError | Self::RateLimited => Sign::Up,
            Self::Cancelled if attempt.status.is_some() => Sign::Up,
            Self::Cancelled => Sign::None,
            Self::ServerError | Self::Unreachable | Self::Timeout | Self::Reset | Self::Invalid => {
                Sign::Down
            }
        }
    }
}

/// A part of an attempt's time: the label `phase`.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Queue,
    Resolve,
    Connect,
    Tls,
    FirstByte,
}

impl Phase {
    fn label(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByte => "first_byte",
        }
    }
}

fn phase(handles: &mut Handles, pair: &Pair, phase: Phase, us: u64, example: Option<Origin>) {
    let key = Key::new(Metric::Phases, pair.provider_id).of(phase as u16, 0);
    handles.observe(key, us, example, || [&*pair.provider, phase.label()]);
}

/// One attempt: its end, its connection, the parts of its time.
fn tried(
    handles: &mut Handles,
    pair: &Pair,
    attempt: &Attempt,
    result: Ended,
    example: Option<Origin>,
) {
    let key = Key::new(Metric::Attempts, pair.id).of(result as u16, 0);
    handles.add(key, 1, || [&*pair.provider, &*pair.model, result.label()]);
    let link = &attempt.link;
    let mut setup_us = 0;
    if link.reused {
        handles.add(Key::new(Metric::Reused, pair.provider_id), 1, || [&*pair.provider]);
    } else if !link.http.is_empty() {
        let http = match link.http {
            "2" => "2",
            _ => "1.1",
        };
        let key = Key::new(Metric::Opened, pair.provider_id).of((http == "2").into(), 0);
        handles.add(key, 1, || [&*pair.provider, http]);
        phase(handles, pair, Phase::Resolve, link.resolve_us, example);
        phase(handles, pair, Phase::Connect, link.connect_us, example);
        if link.tls.is_some() {
            phase(handles, pair, Phase::Tls, link.tls_us, example);
        }
        let parts = [link.resolve_us, link.connect_us, link.tls_us];
        setup_us = parts.into_iter().fold(0, u64::saturating_add);
    }
    if let Some(head_us) = attempt.head_us {
        let waited_us = head_us.saturating_sub(attempt.sent_us).saturating_sub(setup_us);
        phase(handles, pair, Phase::FirstByte, waited_us, example);
    }
}

/// Tokens and cost of one attempt.
fn tallied(handles: &mut Handles, pair: &Pair, tally: &Tally) {
    let labels = || [&*pair.provider, &*pair.model];
    if tally.usage.is_some() {
        for source in UsageSource::ALL {
            tokens(handles, pair, source, &tally.counted_by(source), TOKENS_MAX);
        }
    }
    if let Some(cost) = &tally.cost {
        paid(handles, pair, cost.amount, COST_MAX);
    }
    for (metric, happened) in [
        (Metric::UsageMissing, tally.missing),
        (Metric::UsagePartial, tally.partial),
        (Metric::Unpriced, tally.unpriced),
    ] {
        if happened {
            handles.add(Key::new(metric, pair.id), 1, labels);
        }
    }
    let searches = tally.usage.and_then(|usage| usage.web_searches).unwrap_or_default();
    if (1..=TOKENS_MAX).contains(&searches) {
        handles.add(Key::new(Metric::WebSearches, pair.id), searches, labels);
    }
    // An answer fetched once more by its id calls no tools once more.
    let again = tally.reading.billing == Billing::Fetched && tally.usage.is_none();
    if !tally.reading.tools.is_empty() && !again {
        let key = Key::new(Metric::ToolCalls, pair.id);
        handles.add(key, tally.reading.tool_calls(), labels);
    }
    for oddity in &tally.reading.oddities {
        let key = Key::new(Metric::UsageMalformed, pair.provider_id).of(*oddity as u16, 0);
        handles.add(key, 1, || [&*pair.provider, oddity.label()]);
    }
}

fn paid(handles: &mut Handles, pair: &Pair, amount: Nanodollars, max: u64) {
    match u64::try_from(amount.0) {
        Ok(nano) if nano <= max => {
            let key = Key::new(Metric::Cost, pair.id);
            handles.add(key, nano, || [&*pair.provider, &*pair.model]);
        }
        _ => handles.note_implausible(),
    }
}

/// Each kind of tokens belongs to one source: what the provider said, or what the gateway counted in its place.
fn tokens(handles: &mut Handles, pair: &Pair, source: UsageSource, usage: &Usage, max: u64) {
    for (at, (kind, of)) in (0_u16..).zip(TOKEN_TYPES) {
        let Some(count) = of(usage) else { continue };
        if count > max {
            handles.note_implausible();
            continue;
        }
        let key = Key::new(Metric::Tokens, pair.id).of(at, source as u16);
        handles.add(key, count, || [&*pair.provider, &*pair.model, kind, source.label()]);
    }
}
