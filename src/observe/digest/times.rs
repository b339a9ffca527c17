//! When content came, how evenly, and what of the time was the gateway's own.

use super::Digester;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::summary::{Gaps, Times};
use crate::neutral::reading::Content;

/// A gap is a stall when it is over ten times the median and over this.
const STALL_US: u64 = 250_000;

impl Digester {
    /// Of an event stream whose pieces can be placed in time; a document has a first byte and nothing else.
    pub(super) fn times(&mut self, attempt: Option<&Attempt>, overhead_us: u64) -> Times {
        let Some(attempt) = attempt else { return Times { overhead_us, ..Times::default() } };
        let answered =
            |content: &(u64, Content)| content.1.has(Content::TEXT) || content.1.has(Content::TOOL);
        // The first content is unknown where the front was let go.
        let whole_front = self.hole != Some(0);
        let first = |found: Option<&(u64, Content)>| found.filter(|_| whole_front).map(|one| one.0);
        self.gaps.clear();
        for (n, pair) in self.arrivals.windows(2).enumerate() {
            if let [(before, _), (at, _)] = pair
                && self.hole != Some(n + 1)
            {
                self.gaps.push(at.saturating_sub(*before));
            }
        }
        Times {
            first_byte_us: attempt.frames.first_us(),
            first_content_us: first(self.arrivals.first()),
            first_answer_us: first(self.arrivals.iter().find(|one| answered(one))),
            last_content_us: self.arrivals.last().map(|(at, _)| *at),
            contents: self.arrivals.len() as u64,
            gaps: gaps(&mut self.gaps),
            overhead_us,
        }
    }
}

/// Median, 99th percentile and maximum by the nearest rank; stalls.
fn gaps(gaps: &mut [u64]) -> Gaps {
    if gaps.is_empty() {
        return Gaps::default();
    }
    gaps.sort_unstable();
    let rank = |share: f64| {
        #[expect(clippy::cast_sign_loss, reason = "shares are positive")]
        let rank = (share * gaps.len() as f64).ceil() as usize;
        gaps.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    };
    let p50_us = rank(0.5);
    let stalled = |gap: &&u64| **gap > STALL_US && **gap > p50_us.saturating_mul(10);
    Gaps {
        p50_us,
        p99_us: rank(0.99),
        max_us: gaps.last().copied().unwrap_or_default(),
        stalls: u32::try_from(gaps.iter().filter(stalled).count()).unwrap_or(u32::MAX),
    }
}

/// The gateway's own time: the whole, less the union of the intervals in which it waited for somebody else.
pub(super) fn overhead_us(exchange: &Exchange) -> u64 {
    let mut waits = vec![(0, exchange.request_read_us)];
    waits.extend(exchange.waited_at_provider);
    waits.extend(
        exchange
            .attempts
            .iter()
            .map(|attempt| (attempt.sent_us, attempt.ended_us.unwrap_or(exchange.ended_us))),
    );
    exchange.ended_us.saturating_sub(union_us(&mut waits, exchange.ended_us))
}

/// How much of `0..end` the intervals cover, overlaps once.
fn union_us(intervals: &mut [(u64, u64)], end: u64) -> u64 {
    intervals.sort_unstable();
    let (mut covered, mut reached) = (0, 0);
    for (from, to) in intervals.iter() {
        let (from, to) = ((*from).max(reached), (*to).min(end));
        if to > from {
            covered += to - from;
            reached = to;
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::exchange::fixture;

    #[test]
    fn overlaps_are_counted_once() {
        for (mut intervals, end, covered) in [
            (vec![], 100, 0),
            (vec![(0, 10), (20, 30)], 100, 20),
            (vec![(20, 30), (0, 25)], 100, 30),
            (vec![(0, 50), (10, 20), (40, 60)], 100, 60),
            (vec![(90, 200)], 100, 10),
            (vec![(50, 40)], 100, 0),
        ] {
            assert_eq!(union_us(&mut intervals, end), covered, "{intervals:?}");
        }
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_stalls_stand_out() {
        assert_eq!(gaps(&mut []), Gaps::default());
        assert_eq!(gaps(&mut [7]), Gaps { p50_us: 7, p99_us: 7, max_us: 7, stalls: 0 });
        let mut even: Vec<u64> = (1..=100).collect();
        let found = gaps(&mut even);
        assert_eq!((found.p50_us, found.p99_us, found.max_us), (50, 99, 100));
        let mut stalled = vec![20_000; 9];
        stalled.push(2_000_000);
        assert_eq!(gaps(&mut stalled).stalls, 1);
        let mut slow = vec![1_000_000; 10];
        assert_eq!(gaps(&mut slow).stalls, 0, "slow all along is no stall");
    }

    /// One stream that five programs measure in five ways: a role at 60 ms, ten contents of five tokens each from 400 ms
    /// to 1,300 ms, the end at 1,320 ms. Sent at once, so that offsets are durations.
    #[test]
    fn one_stream_has_one_answer() {
        let mut exchange = fixture::exchange();
        let attempt = &mut exchange.attempts[0];
        attempt.sent_us = 0;
        let mut say = |at_ms: u64, event: &str| {
            let text = format!("data: {event}\n\n");
            attempt.frames.push(at_ms * 1_000, &Bytes::from(text));
        };
        say(60, r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#);
        for n in 0..10 {
            say(400 + n * 100, r#"{"choices":[{"index":0,"delta":{"content":"five tokens"}}]}"#);
        }
        say(1_320, r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
        say(1_320, r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":50}}"#);
        say(1_320, "[DONE]");
        exchange.request_read_us = 0;
        exchange.attempts[0].ended_us = Some(1_320_000);
        exchange.ended_us = 1_320_400;
        Digester::default().digest(&mut exchange);
        let times = &exchange.summary.times;
        assert_eq!(
            times.first_byte_us,
            Some(60_000),
            "what a program that counts bytes calls ttft"
        );
        assert_eq!(times.first_content_us, Some(400_000), "ttft: the role is no token");
        assert_eq!(times.first_answer_us, Some(400_000));
        assert_eq!((times.contents, times.last_content_us), (10, Some(1_300_000)));
        let gaps = Gaps { p50_us: 100_000, p99_us: 100_000, max_us: 100_000, stalls: 0 };
        assert_eq!(times.gaps, gaps, "between contents, not between tokens");
        assert_eq!(times.overhead_us, 400, "the end less the attempt");
        let output = exchange.summary.usage().and_then(|usage| usage.output);
        assert_eq!(output, Some(50));
        let tpot_us = (1_300_000 - 400_000) / (output.unwrap_or_default() - 1);
        assert_eq!(tpot_us, 18_367, "18.4 ms: decoding alone");
    }

    #[test]
    fn reasoning_is_a_first_token_and_no_first_answer() {
        let mut exchange = fixture::exchange();
        for (at, delta) in [
            (10, r#"{"reasoning_content":"hm"}"#),
            (20, r#"{"reasoning_content":"so"}"#),
            (50, r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#),
        ] {
            let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
            exchange.attempts[0].frames.push(at, &Bytes::from(event));
        }
        Digester::default().digest(&mut exchange);
        let times = &exchange.summary.times;
        assert_eq!((times.first_content_us, times.first_answer_us), (Some(10), Some(50)));
    }
}
