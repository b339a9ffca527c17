//! Answers that came late or haltingly, and requests that came twice.

use crate::exchange::signal::Signal;
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::prose::{self, capital};

/// A first token later than this is worth a word, whatever is usual.
const SLOW_US: u64 = 10_000_000;
/// Below this no first token is slow.
const SLOW_LEAST_US: u64 = 1_500_000;
/// Exchanges that tell what is usual; fewer tell nothing.
const USUAL_LEAST: usize = 5;
/// A prompt from this length on is long.
const LONG_TOKENS: u64 = 50_000;
/// A pause from this length on is a stall, whatever the pace.
const PAUSE_US: u64 = 10_000_000;

pub(super) fn stall(case: &Case<'_>) -> Option<Finding> {
    let told = case.row.gap_max_us.map(i64::unsigned_abs);
    let longest = case.answer.pause.map(|pause| pause.us).or(told)?;
    let odd = case.has(Signal::Stall) || case.row.stalls.unwrap_or(0) > 0;
    if longest < PAUSE_US && !(odd && longest >= 1_000_000) || case.row.outcome != "complete" {
        return None;
    }
    let pace = case.row.gap_p50_us.map(i64::unsigned_abs);
    let against = pace
        .map(|pace| format!(", against {} between events otherwise", prose::time(pace)))
        .unwrap_or_default();
    let mut finding = Finding::new(
        Class::Stall,
        Place::Provider,
        Confidence::Likely,
        format!("The answer of {} paused for {}{against}", case.provider(), prose::time(longest)),
    );
    if let Some(pause) = case.answer.pause {
        finding = finding.seen(
            "timing",
            format!(
                "from {} on, after {} bytes, nothing came for {}",
                prose::time(pause.from_us),
                prose::number(pause.after_bytes),
                prose::time(pause.us)
            ),
        );
    }
    if let Some(stalls) = case.row.stalls.filter(|stalls| *stalls > 0) {
        finding = finding.seen(
            "timing",
            prose::counted(stalls.unsigned_abs(), "pause") + " over ten times the usual",
        );
    }
    Some(
        finding
            .advise("nothing broke; the model thought, called its own tools, or waited for a place")
            .advise("`streams.keep_alive = \"15s\"` keeps clients from giving up in such a pause; `timeouts.idle` bounds it"),
    )
}

/// Where the time to the first word went, in microseconds.
struct Wait {
    ttft: u64,
    queued: u64,
    /// When the last attempt was sent.
    sent: u64,
    /// Attempts before the last.
    retries: u64,
    /// From the sending to the head of the answer.
    head: u64,
    /// From there to the first word.
    word: u64,
}

impl Wait {
    fn of(case: &Case<'_>, ttft: u64) -> Option<Self> {
        let attempt = case.last()?;
        let queued = case.row.queued_us.unsigned_abs();
        let sent = attempt.sent_us.unsigned_abs();
        let several = case.stored.attempts.len() > 1;
        let head = attempt.head_us.map_or(ttft, i64::unsigned_abs).saturating_sub(sent);
        Some(Self {
            ttft,
            queued,
            sent,
            retries: if several { sent.saturating_sub(queued) } else { 0 },
            head,
            word: ttft.saturating_sub(sent.saturating_add(head)),
        })
    }

    /// What took most of it: detail, place, sentence.
    fn blame(&self, case: &Case<'_>) -> (&'static str, Place, String) {
        let half = self.ttft / 2;
        let provider = case.provider();
        if self.queued > half {
            let says = "most of it was spent waiting for a place in the gateway".to_owned();
            return ("queue", Place::Gateway, says);
        }
        if self.retries > half {
            let failed = prose::counted(case.stored.attempts.len() as u64 - 1, "attempt");
            let says = format!("most of it went into {failed} that failed");
            return ("retries", Place::Provider, says);
        }
        let head = prose::time(self.head);
        if self.head > self.word {
            let says = format!("{provider} took {head} to begin its answer");
            return ("provider_queue", Place::Provider, says);
        }
        let says = format!(
            "{provider} began to answer after {head} and then took {} to the first word",
            prose::time(self.word)
        );
        ("provider", Place::Provider, says)
    }

    fn line(&self) -> String {
        format!(
            "queue {}, sent at {}, head after {}, first word at {}",
            prose::time(self.queued),
            prose::time(self.sent),
            prose::time(self.head),
            prose::time(self.ttft)
        )
    }
}

pub(super) fn slow(case: &Case<'_>) -> Option<Finding> {
    let ttft = case.row.ttft_us?.unsigned_abs();
    let usual = usual_ttft(case);
    let slow = ttft >= SLOW_US
        || usual.is_some_and(|usual| ttft >= SLOW_LEAST_US && ttft > usual.saturating_mul(3));
    if !slow || !case.row.stream {
        return None;
    }
    let wait = Wait::of(case, ttft)?;
    let (detail, place, says) = wait.blame(case);
    let says = format!("The first word took {}: {says}", prose::time(ttft));
    let usual = usual.map(|usual| {
        let others = prose::counted(ttfts(case).len() as u64, "other call");
        format!("{} is the median of {others} with {}", prose::time(usual), case.model())
    });
    let finding = Finding::new(Class::SlowFirstToken, place, Confidence::Likely, says)
        .detail(detail)
        .seen("timing", wait.line())
        .seen_perhaps("usual", usual);
    Some(of_prompt(finding, case).advise(match detail {
        "queue" => "raise `limits.in_flight` or the provider's `in_flight`, or send less at once",
        "retries" => "see the attempts in the timeline: what failed first cost the time",
        _ => "less reasoning effort, a smaller or faster model, or another provider of the same model",
    }))
}

/// A prompt that is long and not in the cache takes its time.
fn of_prompt(finding: Finding, case: &Case<'_>) -> Finding {
    let Some(input) = case.row.input_tokens.map(i64::unsigned_abs) else { return finding };
    let cached = case.row.cache_read_tokens.map_or(0, i64::unsigned_abs);
    let finding = finding.seen(
        "prompt",
        format!(
            "{} tokens, {} of them from the provider's cache",
            prose::number(input),
            prose::number(cached)
        ),
    );
    if input <= LONG_TOKENS || cached > input / 2 {
        return finding;
    }
    finding.advise(
        "a long prompt that is not in the cache is read anew each turn: keep its beginning unchanged, and mark it \
         (`cache_control`)",
    )
}

/// First tokens of other exchanges with this provider and model.
fn ttfts(case: &Case<'_>) -> Vec<u64> {
    let model = case.row.model.as_deref();
    let others = case.context.traffic.iter().filter(|other| other.id != case.row.id);
    let same = others
        .filter(|other| other.provider == case.row.provider && other.model.as_deref() == model);
    same.filter_map(|other| other.ttft_us).map(i64::unsigned_abs).collect()
}

fn usual_ttft(case: &Case<'_>) -> Option<u64> {
    let mut all = ttfts(case);
    all.sort_unstable();
    (all.len() >= USUAL_LEAST).then(|| all.get(all.len() / 2).copied()).flatten()
}

pub(super) fn duplicate(case: &Case<'_>) -> Option<Finding> {
    if !case.has(Signal::DuplicateOf) {
        return None;
    }
    let same = |other: &&crate::store::stored::Listed| {
        other.seq < case.row.seq
            && other.request_bytes == case.row.request_bytes
            && other.model == case.row.model
    };
    let earlier = case.context.session.iter().filter(same).max_by_key(|other| other.seq);
    Some(
        Finding::new(
            Class::Duplicate,
            Place::Client,
            Confidence::Certain,
            format!("{} sent the same request before, byte for byte", capital(case.client())),
        )
        .seen_perhaps(
            "earlier",
            earlier.map(|other| {
                format!("{}: {} {}", other.id, other.status.unwrap_or_default(), other.outcome)
            }),
        )
        .advise(
            "a retry after a failure is what clients do; after a success both answers are billed",
        ),
    )
}
