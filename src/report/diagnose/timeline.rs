//! What happened when: the client's request, each attempt, the answer's first and last pieces, the end.

use serde::Serialize;

use crate::report::diagnose::case::Case;
use crate::report::{material, prose, words};
use crate::store::stored::Attempt;

/// Limit: attempts that are told one by one.
const ATTEMPTS_MAX: usize = 20;
/// A pause from this length on has a line of its own.
const PAUSE_US: u64 = 1_000_000;

/// Less than this is no waiting.
const WAIT_US: i64 = 1_000;

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Microseconds from the exchange's start.
    pub at_us: u64,
    pub says: String,
}

pub(super) fn of(case: &Case<'_>) -> Vec<Moment> {
    let row = case.row;
    let mut moments = Moments(Vec::new());
    let from = if row.agent.is_empty() || row.agent == "none" { "a client" } else { &row.agent };
    let asked = row.model_requested.as_deref().or(row.model.as_deref()).unwrap_or("no model");
    moments.add(
        0,
        format!(
            "{} {} from {from}, for {asked}, {}",
            row.method,
            row.path,
            words::bytes(row.request_bytes.unsigned_abs())
        ),
    );
    if row.queued_us >= WAIT_US {
        moments.add(
            row.queued_us,
            format!("{} spent waiting for a place", prose::time(row.queued_us.unsigned_abs())),
        );
    }
    for (n, attempt) in case.stored.attempts.iter().take(ATTEMPTS_MAX).enumerate() {
        moments.attempt(case, n, attempt);
    }
    let more = case.stored.attempts.len().saturating_sub(ATTEMPTS_MAX);
    if more > 0 {
        moments.add(row.duration_us, format!("{more} more attempts"));
    }
    let status = row.status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
    moments.add(
        row.duration_us,
        format!(
            "over: {}, {status} and {} to the client",
            row.outcome,
            words::bytes(row.response_bytes.unsigned_abs())
        ),
    );
    let Moments(mut moments) = moments;
    moments.sort_by_key(|moment| moment.at_us);
    moments
}

struct Moments(Vec<Moment>);

impl Moments {
    fn add(&mut self, at_us: i64, says: String) {
        self.0.push(Moment { at_us: u64::try_from(at_us).unwrap_or(0), says });
    }

    fn attempt(&mut self, case: &Case<'_>, n: usize, attempt: &Attempt) {
        let number = n + 1;
        let total = case.stored.attempts.len();
        let model =
            attempt.model.as_deref().map(|model| format!(" as {model}")).unwrap_or_default();
        let which = if total > 1 { format!("attempt {number}: ") } else { String::new() };
        let because = if attempt.because.is_empty() {
            String::new()
        } else {
            format!(" ({})", attempt.because)
        };
        self.add(
            attempt.sent_us,
            format!("{which}sent to {}{model}{because}{}", attempt.provider, connection(attempt)),
        );
        if let Some(head) = attempt.head_us {
            let status =
                attempt.status.map_or_else(|| "an answer".to_owned(), |status| status.to_string());
            self.add(head, format!("{which}{status} begins"));
        }
        let is_last = number == total;
        if is_last {
            self.contents(case);
        }
        if let (Some(kind), Some(ended)) = (&attempt.error_kind, attempt.ended_us) {
            self.add(ended, format!("{which}ended by {kind}"));
        } else if let (false, Some(ended)) = (is_last, attempt.ended_us) {
            self.add(ended, format!("{which}let go"));
        }
    }

    fn contents(&mut self, case: &Case<'_>) {
        let answer = &case.answer;
        let first_word = case.row.ttft_us.map(i64::unsigned_abs);
        if let Some(first) = first_word.filter(|_| case.row.stream) {
            self.add(i64::try_from(first).unwrap_or(0), "first word".to_owned());
        }
        if let Some(pause) = answer.pause.filter(|pause| pause.us >= PAUSE_US) {
            self.add(
                i64::try_from(pause.from_us).unwrap_or(0),
                format!(
                    "nothing for {} (after {} bytes)",
                    prose::time(pause.us),
                    prose::number(pause.after_bytes)
                ),
            );
        }
        let Some(last) = answer.last_byte_us else { return };
        let what = match &answer.last {
            Some(last) => format!("last event: {} (event {})", last.name, last.number),
            None => format!("last byte: {} in all", words::bytes(answer.bytes as u64)),
        };
        self.add(i64::try_from(last).unwrap_or(0), what);
    }
}

fn connection(attempt: &Attempt) -> String {
    match attempt.link_us {
        Some([resolve, connect, tls]) if [resolve, connect, tls].iter().any(|us| *us > 0) => {
            let us = |us: i64| prose::time(us.unsigned_abs());
            let tls = if tls > 0 { format!(" + TLS {}", us(tls)) } else { String::new() };
            format!(", new connection: name {} + connect {}{tls}", us(resolve), us(connect))
        }
        Some(_) => ", new connection".to_owned(),
        None => String::new(),
    }
}

/// What became of every attempt, one line each, where there were several.
pub(super) fn attempts(case: &Case<'_>) -> Vec<String> {
    if case.stored.attempts.len() < 2 {
        return Vec::new();
    }
    let line = |(n, attempt): (usize, &Attempt)| {
        let took = attempt.ended_us.unwrap_or(attempt.sent_us).saturating_sub(attempt.sent_us);
        let model = attempt.model.as_deref().unwrap_or("-");
        let became = match (attempt.status, attempt.error_kind.as_deref()) {
            (Some(status), Some(kind)) => format!("{status} {kind}"),
            (Some(status), None) => status.to_string(),
            (None, Some(kind)) => kind.to_owned(),
            (None, None) => "no answer".to_owned(),
        };
        let words = material::answer(case.stored, n)
            .complaint
            .map(|complaint| format!(": {}", prose::line(&complaint.message, 120)));
        format!(
            "{}. {} {model}: {became} in {}{}",
            n + 1,
            attempt.provider,
            prose::time(took.unsigned_abs()),
            words.unwrap_or_default()
        )
    };
    case.stored.attempts.iter().enumerate().take(ATTEMPTS_MAX).map(line).collect()
}
