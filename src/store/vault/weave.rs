//! Takes a stream of events apart: what all events of one kind have in common once, the texts they carry one behind the
//! other. A text that came in a hundred pieces stands there as it will stand in the next request, and is found there again.
//!
//! ```text
//!  data: {"id":"x","delta":{"content":"Hel"}}      template 0:  data: {"id":"x","delta":{"content":"…"}}
//!  data: {"id":"x","delta":{"content":"lo"}}   ─►  events       0 0
//!                                                  lengths      3 2
//!                                                  texts        Hello
//! ```

use std::collections::HashMap;
use std::ops::Range;

use crate::base::json;
use crate::store::vault::frames::Events;
use crate::store::vault::wire::{Bad, Cursor, Put};

/// Limits: templates of a stream, events of one, bytes of what is put together again.
const TEMPLATES_MAX: usize = 1_024;
const EVENTS_MAX: usize = 1 << 20;
const BODY_MAX: usize = 1 << 30;
/// Texts of one kind of event shorter than this join the next.
const TEXT_MIN: usize = 64;

/// Keys of strings that carry pieces of what a model says.
const TEXT_KEYS: &[&[u8]] = &[
    b"content",
    b"text",
    b"partial_json",
    b"arguments",
    b"delta",
    b"thinking",
    b"reasoning_content",
    b"reasoning",
    b"summary",
    b"refusal",
];

/// Keys of strings and numbers that are another in each event.
const OTHER_KEYS: &[&[u8]] = &[
    b"obfuscation",
    b"sequence_number",
    b"candidatesTokenCount",
    b"thoughtsTokenCount",
    b"totalTokenCount",
    b"promptTokenCount",
    b"tokenCount",
    b"output_tokens",
];

/// What stands between two pieces of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Hole {
    /// The next piece of the texts.
    Text,
    /// The next of what is another each time.
    Other,
    /// A number, one more than the last of these.
    Next,
}

/// A kind of event: pieces with a hole behind each, and the last piece.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Template {
    pieces: Vec<(Vec<u8>, Hole)>,
    last: Vec<u8>,
}

/// A stream without its texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    templates: Vec<Template>,
    /// The template of each event.
    events: Vec<usize>,
    /// Of each piece of text.
    lengths: Vec<usize>,
    others: Vec<Vec<u8>>,
}

/// A stream taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Woven {
    pub(super) plan: Plan,
    /// What the events say, in order; a new one begins where another kind of event does.
    pub(super) texts: Vec<Vec<u8>>,
}

/// Takes a body apart; `None` when it is no stream of events, or would not become smaller.
pub(super) fn take_apart(body: &[u8]) -> Option<Woven> {
    let mut plan = Plan::default();
    let mut known: HashMap<Template, usize> = HashMap::new();
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let (mut start, mut number, mut last) = (0, 0, None);
    let ends = Events::new(body).chain([body.len()]);
    for end in ends {
        let event = body.get(start..end).filter(|event| !event.is_empty());
        let Some(event) = event else { continue };
        start = end;
        let mut template = Template::default();
        let mut from = 0;
        let mut said: Vec<&[u8]> = Vec::new();
        holes(event, |span, hole| {
            let value = event.get(span.clone()).unwrap_or_default();
            let hole = match hole {
                Hole::Other if value == (number + 1).to_string().as_bytes() => Hole::Next,
                hole => hole,
            };
            match hole {
                Hole::Text => said.push(value),
                Hole::Other => {
                    number = digits(value).unwrap_or(number);
                    plan.others.push(value.to_vec());
                }
                Hole::Next => number += 1,
            }
            let piece = event.get(from..span.start).unwrap_or_default().to_vec();
            template.pieces.push((piece, hole));
            from = span.end;
        });
        template.last = event.get(from..).unwrap_or_default().to_vec();
        let count = known.len();
        let id = *known.entry(template).or_insert_with_key(|template| {
            plan.templates.push(template.clone());
            count
        });
        if id >= TEMPLATES_MAX || plan.events.len() >= EVENTS_MAX {
            return None;
        }
        plan.events.push(id);
        if !said.is_empty() {
            let begins = last != Some(id) && texts.last().is_none_or(|text| text.len() >= TEXT_MIN);
            if begins {
                texts.push(Vec::new());
            }
            last = Some(id);
            for piece in said {
                plan.lengths.push(piece.len());
                texts.last_mut()?.extend_from_slice(piece);
            }
        }
    }
    let common = plan.templates.len() * 2 <= plan.events.len();
    let woven = Woven { plan, texts };
    (common && woven.texts.iter().any(|text| text.len() >= TEXT_MIN)).then_some(woven)
}

impl Plan {
    /// The body again.
    pub(super) fn put_together(&self, texts: &[u8]) -> Result<Vec<u8>, Bad> {
        const SHORT: Bad = Bad("a stream has less to say than it should");
        let mut body = Vec::with_capacity(texts.len() * 8);
        let (mut lengths, mut others) = (self.lengths.iter(), self.others.iter());
        let (mut rest, mut number) = (texts, 0_u64);
        for event in &self.events {
            let template = self.templates.get(*event).ok_or(Bad("a stream's event is unknown"))?;
            for (piece, hole) in &template.pieces {
                body.extend_from_slice(piece);
                match hole {
                    Hole::Text => {
                        let length = *lengths.next().ok_or(SHORT)?;
                        let (text, after) = rest.split_at_checked(length).ok_or(SHORT)?;
                        body.extend_from_slice(text);
                        rest = after;
                    }
                    Hole::Other => {
                        let other = others.next().ok_or(SHORT)?;
                        number = digits(other).unwrap_or(number);
                        body.extend_from_slice(other);
                    }
                    Hole::Next => {
                        number = number.wrapping_add(1);
                        body.extend_from_slice(number.to_string().as_bytes());
                    }
                }
            }
            body.extend_from_slice(&template.last);
            if body.len() > BODY_MAX {
                return Err(Bad("a body is larger than any can be"));
            }
        }
        if rest.is_empty() { Ok(body) } else { Err(Bad("a stream has more to say than it should")) }
    }

    /// Makes room for other texts: those at `changed` have the new length, and stand in their first event whole. `old` are
    /// the lengths of the texts so far.
    pub(super) fn fit(&mut self, old: &[usize], new: &[usize]) {
        let mut lengths = self.lengths.iter_mut();
        for (old, new) in old.iter().zip(new) {
            let (mut left, mut first) = (*old, true);
            let changed = old != new;
            while left > 0 || first {
                let Some(length) = lengths.next() else { return };
                left = left.saturating_sub(*length);
                if changed {
                    *length = if std::mem::take(&mut first) { *new } else { 0 };
                }
                first = false;
            }
        }
    }

    /// Changes the pieces of the templates and what is another each time; whether there was anything to change.
    pub(super) fn change(&mut self, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
        let pieces = self.templates.iter_mut().flat_map(|template| {
            template.pieces.iter_mut().map(|(piece, _)| piece).chain([&mut template.last])
        });
        let mut any = false;
        for piece in pieces.chain(self.others.iter_mut()) {
            if let Some(changed) = change(piece) {
                *piece = changed;
                any = true;
            }
        }
        any
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.put_number(self.templates.len() as u64);
        for template in &self.templates {
            to.put_number(template.pieces.len() as u64);
            for (piece, hole) in &template.pieces {
                to.push(match hole {
                    Hole::Text => 0,
                    Hole::Other => 1,
                    Hole::Next => 2,
                });
                to.put_text(piece);
            }
            to.put_text(&template.last);
        }
        to.put_number(self.events.len() as u64);
        self.events.iter().for_each(|event| to.put_number(*event as u64));
        to.put_number(self.lengths.len() as u64);
        self.lengths.iter().for_each(|length| to.put_number(*length as u64));
        to.put_number(self.others.len() as u64);
        self.others.iter().for_each(|other| to.put_number(other.len() as u64));
        self.others.iter().for_each(|other| to.extend_from_slice(other));
    }

    pub(super) fn read(from: &mut Cursor<'_>) -> Result<Self, Bad> {
        let mut plan = Self::default();
        for _ in 0..from.count()? {
            let mut template = Template::default();
            for _ in 0..from.count()? {
                let hole = match from.byte()? {
                    0 => Hole::Text,
                    1 => Hole::Other,
                    2 => Hole::Next,
                    _ => return Err(Bad("a stream is in a newer form")),
                };
                template.pieces.push((from.text()?.to_vec(), hole));
            }
            template.last = from.text()?.to_vec();
            plan.templates.push(template);
        }
        for _ in 0..from.count()? {
            plan.events.push(from.size()?);
        }
        for _ in 0..from.count()? {
            plan.lengths.push(from.size()?);
        }
        let mut others = Vec::new();
        for _ in 0..from.count()? {
            others.push(from.size()?);
        }
        for length in others {
            plan.others.push(from.take(length)?.to_vec());
        }
        Ok(plan)
    }
}

/// Calls `found` with each span of an event that is told apart from its template, in order.
fn holes(event: &[u8], mut found: impl FnMut(Range<usize>, Hole)) {
    let mut at = 0;
    while let Some(quote) = event.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let start = at + quote;
        let Some(end) = json::string_end(event, start) else { return };
        at = end;
        if event.get(end) != Some(&b':') {
            continue;
        }
        let key = event.get(start + 1..end - 1).unwrap_or_default();
        let hole = if TEXT_KEYS.contains(&key) {
            Hole::Text
        } else if OTHER_KEYS.contains(&key) {
            Hole::Other
        } else {
            continue;
        };
        let space = usize::from(event.get(end + 1) == Some(&b' '));
        let value = end + 1 + space;
        let span = match event.get(value) {
            Some(b'"') => {
                let Some(end) = json::string_end(event, value) else { return };
                value + 1..end - 1
            }
            Some(b'0'..=b'9') if hole == Hole::Other => {
                let rest = event.get(value..).unwrap_or_default();
                let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                value..value + count
            }
            _ => continue,
        };
        at = span.end + usize::from(event.get(span.end) == Some(&b'"'));
        found(span, hole);
    }
}

/// A number as it would be written again.
fn digits(value: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == value).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn again(body: &[u8]) -> Option<(Woven, usize)> {
        let woven = take_apart(body)?;
        let mut bytes = Vec::new();
        woven.plan.write(&mut bytes);
        let mut cursor = Cursor::new(&bytes);
        let plan = Plan::read(&mut cursor).unwrap();
        assert_eq!((&plan, cursor.left()), (&woven.plan, 0));
        assert_eq!(plan.put_together(&woven.texts.concat()).unwrap(), body);
        Some((woven, bytes.len()))
    }

    fn stream(pieces: &[&str]) -> String {
        let event = |(n, piece): (usize, &&str)| {
            format!(
                "event: delta\ndata: {{\"id\":\"abc\",\"delta\":\"{piece}\",\"sequence_number\":{}}}\n\n",
                n + 4
            )
        };
        pieces.iter().enumerate().map(event).collect::<String>() + "data: [DONE]\n\n"
    }

    #[test]
    fn a_text_in_pieces_becomes_one() {
        let pieces = ["Hello ", "there, ", "this \\\"is\\\" ", "", "a longer answer "].repeat(9);
        let (woven, length) = again(stream(&pieces).as_bytes()).unwrap();
        assert_eq!(woven.texts, [pieces.concat().into_bytes()]);
        assert!(length < 300, "{length}");
        // Another kind of event begins another text.
        let two = stream(&pieces) + &stream(&pieces).replace("delta", "arguments");
        assert_eq!(again(two.as_bytes()).unwrap().0.texts.len(), 2);
        for none in ["", "no events", "data: {}\n\n", "{\"delta\":\"x\"}"] {
            assert!(take_apart(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn other_texts_can_be_put_in() {
        let pieces = ["Hello ", "there, "].repeat(20);
        let mut woven = take_apart(stream(&pieces).as_bytes()).unwrap();
        let old: Vec<usize> = woven.texts.iter().map(Vec::len).collect();
        woven.plan.fit(&old, &[4]);
        let body = woven.plan.put_together(b"gone").unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("\"delta\":\"gone\"") && body.contains("\"delta\":\"\""));
        assert!(woven.plan.change(&|piece| (piece.ends_with(b"\"")).then(|| b"x\"".to_vec())));
        assert!(
            woven.plan.put_together(b"gone!").is_err() && woven.plan.put_together(b"gon").is_err()
        );
    }

    proptest! {
        #[test]
        fn whatever_is_taken_apart_can_be_put_together(
            events in prop::collection::vec((0..4_usize, "[a-z\\\\\" ]{0,40}", any::<u16>()), 0..60),
            tail in "[a-z\"\n:]{0,20}",
        ) {
            let keys = ["text", "content", "other", "obfuscation"];
            let mut body: String = events.iter().map(|(key, text, number)| {
                let (key, number) = (keys[*key], number % 7);
                format!("data: {{\"{key}\": \"{text}\",\"sequence_number\":{number},\"x\":{{\"delta\":\"{text}\"}}}}\r\n\r\n")
            }).collect();
            body.push_str(&tail);
            again(body.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, texts in "[a-z]{0,40}") {
            if let Ok(plan) = Plan::read(&mut Cursor::new(&bytes)) {
                let _refused = plan.put_together(texts.as_bytes());
            }
        }
    }
}
