//! Where the time of an exchange went: each stretch of it as a bar on one scale, from waiting for a place to the last piece
//! of the answer, attempt by attempt.

use crate::report::look::{Look, Tone, clean_line, clip, columns, pad, pad_left};
use crate::report::words;
use crate::store::stored::{Attempt, Stored};

/// Columns of the names and of the durations.
const NAMES: usize = 16;
const TIMES: usize = 9;
/// Columns of the bars.
const BAR_MAX: usize = 80;

/// A stretch of time with a name.
struct Stretch {
    name: &'static str,
    from_us: u64,
    to_us: u64,
    sign: char,
    tone: Tone,
}

/// The picture, without a line feed at its end; `only`: the attempt from 0, else all.
pub fn text(stored: &Stored, only: Option<usize>, look: Look) -> String {
    let row = &stored.row;
    let last = stored.attempts.iter().filter_map(end).max().unwrap_or(0);
    let whole = positive(row.duration_us).max(last).max(1);
    let width = look.text_width().saturating_sub(NAMES + TIMES + 2).clamp(10, BAR_MAX);
    let picture = Picture { whole, width, look };
    let scale = pad_left(&words::time(signed(whole)), width - 1);
    let blank = " ".repeat(NAMES + TIMES + 2);
    let mut lines = vec![look.paint(Tone::Dim, &format!("{blank}0{scale}"))];
    if row.queued_us > 0 {
        let queued = positive(row.queued_us);
        let first = stored.attempts.first().map_or(queued, |one| positive(one.sent_us));
        let from = first.saturating_sub(queued);
        lines.push(picture.line(&Stretch::new("queued", from, from + queued, '░', Tone::Odd)));
    }
    for (at, attempt) in stored.attempts.iter().enumerate() {
        if only.is_some_and(|only| only != at) {
            continue;
        }
        let is_last = at + 1 == stored.attempts.len();
        let ttft = row.ttft_us.filter(|_| is_last).map(positive);
        lines.push(name(at, attempt, look));
        lines.extend(stretches(attempt, ttft, whole).iter().map(|one| picture.line(one)));
    }
    if stored.attempts.is_empty() {
        let all = Stretch::new("in the gateway", 0, whole, '█', Tone::Bad);
        lines.push(picture.line(&all));
    }
    lines.join("\n")
}

impl Stretch {
    fn new(name: &'static str, from_us: u64, to_us: u64, sign: char, tone: Tone) -> Self {
        Self { name, from_us, to_us: to_us.max(from_us), sign, tone }
    }
}

/// Who was asked, and how it ended.
fn name(at: usize, attempt: &Attempt, look: Look) -> String {
    let model = attempt.model.as_deref().map(|model| format!(" {model}")).unwrap_or_default();
    let failed = attempt.error_kind.as_deref().map(clean_line);
    let status = attempt.status.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
    let (tone, how) = match failed {
        Some(kind) => (Tone::Bad, format!("{status} {kind}")),
        None if attempt.status.is_some_and(|code| code < 400) => (Tone::Good, status),
        None => (Tone::Plain, status),
    };
    let told = clean_line(&format!("{} {}{model}", at + 1, attempt.provider));
    let room = look.text_width().saturating_sub(columns(&how) + 2);
    format!("{}  {}", look.paint(Tone::Strong, &clip(&told, room)), look.paint(tone, &how))
}

/// What followed what, from the sending to the end.
fn stretches(attempt: &Attempt, ttft: Option<u64>, whole: u64) -> Vec<Stretch> {
    let mut found = Vec::new();
    let mut at = positive(attempt.sent_us);
    if let Some(link) = attempt.link_us {
        for (name, us) in ["resolve", "connect", "tls"].into_iter().zip(link.map(positive)) {
            if us > 0 {
                found.push(Stretch::new(name, at, at + us, '▓', Tone::Odd));
                at += us;
            }
        }
    }
    let ended = end(attempt).unwrap_or(whole);
    let Some(head) = attempt.head_us.map(positive) else {
        found.push(Stretch::new("no answer", at, ended, '░', Tone::Bad));
        return found;
    };
    found.push(Stretch::new("first byte", at, head, '░', Tone::Plain));
    let first = attempt.frames.first().map(|(us, _)| *us);
    let mut begun = head;
    if let Some(token) = ttft.or(first).filter(|us| *us > head && *us <= ended) {
        found.push(Stretch::new("first token", head, token, '▒', Tone::Plain));
        begun = token;
    }
    found.push(Stretch::new("answer", begun, ended, '█', Tone::Good));
    let pause = longest(attempt, begun);
    if let Some((from, to)) = pause.filter(|(from, to)| (to - from) * 10 > ended - begun) {
        found.push(Stretch::new("longest pause", from, to, '╌', Tone::Odd));
    }
    found
}

/// The longest time without a piece after the first.
fn longest(attempt: &Attempt, begun: u64) -> Option<(u64, u64)> {
    let times = attempt.frames.iter().map(|(at, _)| *at).filter(|at| *at >= begun);
    let pairs = times.clone().zip(times.skip(1));
    pairs.max_by_key(|(from, to)| to.saturating_sub(*from)).filter(|(from, to)| to > from)
}

struct Picture {
    whole: u64,
    width: usize,
    look: Look,
}

impl Picture {
    fn line(&self, one: &Stretch) -> String {
        let took = words::time(signed(one.to_us - one.from_us));
        let place = |us: u64| {
            let at = u128::from(us.min(self.whole)) * self.width as u128 / u128::from(self.whole);
            usize::try_from(at).unwrap_or(0)
        };
        let from = place(one.from_us).min(self.width - 1);
        let bar = one.sign.to_string().repeat(place(one.to_us).saturating_sub(from).max(1));
        let name = self.look.paint(Tone::Dim, &pad(&format!("  {}", one.name), NAMES));
        let bar = self.look.paint(one.tone, &bar);
        format!("{name}{}  {}{bar}", pad_left(&took, TIMES), " ".repeat(from))
    }
}

fn end(attempt: &Attempt) -> Option<u64> {
    let last = attempt.frames.last().map(|(at, _)| *at);
    attempt.ended_us.map(positive).max(last)
}

fn positive(us: i64) -> u64 {
    u64::try_from(us).unwrap_or(0)
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::exchange::fixture;

    #[test]
    fn time_is_told_stretch_by_stretch_on_one_scale() {
        let look = Look { width: Some(80), ..Look::default() };
        let told = text(&fixture::retried(), None, look);
        assert_eq!(told.lines().next().map(columns), Some(NAMES + TIMES + 2 + 53));
        for name in ["1 ", "2 openai-eu", "first byte", "first token", "answer", "longest pause"] {
            assert!(told.contains(name), "{name}:\n{told}");
        }
        let one = text(&fixture::retried(), Some(0), look);
        assert!(!one.contains("2 openai-eu"), "{one}");
        assert!(told.lines().all(|line| columns(line) <= 80), "{told}");
        let refused = text(&fixture::rejected(), None, look);
        assert!(refused.contains("in the gateway"), "{refused}");
    }

    #[test]
    fn what_takes_no_time_is_still_seen_and_nothing_leaves_the_picture() {
        let look = Look { width: Some(60), ..Look::default() };
        for (_, stored) in fixture::all() {
            for line in text(&stored, None, look).lines() {
                assert!(columns(line) <= 60, "{line}");
            }
        }
    }
}
