//! What a provider's headers say of its limits: how much there is, how much is left, when it comes back.

use std::collections::BTreeMap;

use crate::store::stored::Leg;

/// Limit: headers that are quoted.
const QUOTED_MAX: usize = 16;

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Limit {
    pub(super) most: Option<u64>,
    pub(super) remaining: Option<u64>,
    /// As sent: a duration, seconds, or a time.
    pub(super) reset: Option<String>,
}

/// All that is said of limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Limits {
    pub(super) retry_after_s: Option<f64>,
    /// By what is limited: `requests`, `tokens`, `input-tokens`.
    pub(super) by_name: BTreeMap<String, Limit>,
    /// The headers themselves.
    pub(super) quoted: Vec<String>,
}

/// Reads `retry-after` and every header of rate limits.
pub(super) fn read(leg: &Leg) -> Limits {
    let mut limits = Limits::default();
    for (name, value) in leg.headers.iter().flatten() {
        let name = name.to_ascii_lowercase();
        let mut told = true;
        match name.as_str() {
            // Seconds; a date is shown as it stands.
            "retry-after" => {
                limits.retry_after_s = limits.retry_after_s.or_else(|| value.trim().parse().ok());
            }
            "retry-after-ms" => {
                let wait_ms = value.trim().parse::<f64>().ok();
                limits.retry_after_s =
                    wait_ms.map(|wait_ms| wait_ms / 1e3).or(limits.retry_after_s);
            }
            _ => told = limits.note(&name, value),
        }
        if told && limits.quoted.len() < QUOTED_MAX {
            limits.quoted.push(format!("{name}: {value}"));
        }
    }
    limits
}

impl Limits {
    fn note(&mut self, name: &str, value: &str) -> bool {
        let Some((_, rest)) = name.split_once("ratelimit-") else { return false };
        // `limit-requests` (OpenAI), `requests-limit` (Anthropic), `limit` (many).
        let found = ["limit", "remaining", "reset"].into_iter().find_map(|part| {
            let about = if rest == part {
                "calls"
            } else {
                rest.strip_prefix(part)
                    .and_then(|about| about.strip_prefix('-'))
                    .or_else(|| rest.strip_suffix(part).and_then(|about| about.strip_suffix('-')))?
            };
            Some((part, about))
        });
        let Some((part, about)) = found else { return false };
        let limit = self.by_name.entry(about.to_owned()).or_default();
        match part {
            "limit" => limit.most = value.trim().parse().ok(),
            "remaining" => limit.remaining = value.trim().parse().ok(),
            _ => limit.reset = Some(value.trim().to_owned()),
        }
        true
    }

    /// The limit that has nothing left, else none.
    pub(super) fn exhausted(&self) -> Option<(&str, &Limit)> {
        let mut all = self.by_name.iter();
        all.find(|(_, limit)| limit.remaining == Some(0)).map(|(name, limit)| (&**name, limit))
    }
}

impl Limits {
    /// A limit that has something left, where all that are told do.
    pub(super) fn left(&self) -> Option<(&str, &Limit)> {
        let mut all = self.by_name.iter();
        let all_left = self.by_name.iter().all(|(_, limit)| limit.remaining != Some(0));
        all.find(|(_, limit)| all_left && limit.remaining.is_some())
            .map(|(name, limit)| (&**name, limit))
    }
}

impl Limit {
    /// `0 of 500 left, resets in 12s`
    pub(super) fn words(&self) -> String {
        let count = crate::report::prose::number;
        let mut words = match (self.remaining, self.most) {
            (Some(left), Some(limit)) => format!("{} of {} left", count(left), count(limit)),
            (Some(left), None) => format!("{} left", count(left)),
            (None, Some(limit)) => format!("limit {}", count(limit)),
            (None, None) => String::new(),
        };
        if let Some(reset) = &self.reset {
            let comma = if words.is_empty() { "" } else { ", " };
            let spoken = if reset.chars().all(|c| c.is_ascii_digit()) && reset.len() < 7 {
                format!("resets in {reset} s")
            } else if reset.contains('T') || reset.len() >= 10 {
                format!("resets at {reset}")
            } else {
                format!("resets in {reset}")
            };
            words.push_str(comma);
            words.push_str(&spoken);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(headers: &[(&str, &str)]) -> Leg {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Leg { headers: Some(headers.collect()), ..Leg::default() }
    }

    #[test]
    fn every_spelling_is_read() {
        let limits = read(&leg(&[
            ("Retry-After", "12"),
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("anthropic-ratelimit-input-tokens-limit", "40000"),
            ("anthropic-ratelimit-input-tokens-remaining", "39000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-20T14:00:00Z"),
            ("X-RateLimit-Remaining", "3"),
            ("content-type", "text/plain"),
        ]));
        assert_eq!(limits.retry_after_s, Some(12.0));
        let words: Vec<String> = limits
            .by_name
            .iter()
            .map(|(name, limit)| format!("{name}: {}", limit.words()))
            .collect();
        assert_eq!(
            words,
            [
                "calls: 3 left",
                "input-tokens: 39,000 of 40,000 left, resets at 2026-11-20T14:00:00Z",
                "requests: 0 of 500 left, resets in 120ms",
            ]
        );
        assert_eq!(limits.exhausted().map(|(name, _)| name), Some("requests"));
        assert_eq!(limits.quoted.len(), 8);
    }

    #[test]
    fn milliseconds_win_and_nonsense_is_only_quoted() {
        let limits = read(&leg(&[("retry-after", "2"), ("retry-after-ms", "1500")]));
        assert_eq!(limits.retry_after_s, Some(1.5));
        let limits = read(&leg(&[("retry-after", "Fri, 20 Nov 2026 14:00:00 GMT")]));
        assert_eq!((limits.retry_after_s, limits.quoted.len()), (None, 1));
        assert_eq!(read(&Leg::default()), Limits::default());
    }
}
