//! How alike two requests are, by small sketches: digests of their messages, and samples of their words.

use serde_json::Value;

use super::question::{Content, Question, part};
use super::rules::{Rules, Step};

/// Words that a sketch keeps of a text, by the smallest of their digests.
const SLOTS: usize = 32;
/// Limit: bytes of text that words are taken from, counted from the end: what is new stands there.
const TEXT_MAX: usize = 128 * 1024;
/// Limit: messages of one sketch, the last ones.
const PARTS_MAX: usize = 4_096;

/// What is kept of a request to find those like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sketch {
    /// Digests of messages, instructions and tools, in the order of their numbers.
    parts: Vec<u64>,
    /// Of all texts.
    words: [u32; SLOTS],
    /// Of the last message.
    last: [u32; SLOTS],
}

impl Sketch {
    pub(super) fn of(question: &Question, rules: &Rules) -> Self {
        let mut sketch =
            Self { parts: Vec::new(), words: [u32::MAX; SLOTS], last: [u32::MAX; SLOTS] };
        let Content::Json(body) = &question.body else { return sketch };
        let begin = rules.begin();
        let mut last: Option<&Value> = None;
        for (name, member) in body.as_object().into_iter().flatten() {
            let Some(watch) = rules.step(&begin, Step::Name(name)) else { continue };
            match (name.as_str(), member) {
                ("messages" | "input" | "contents", Value::Array(items)) => {
                    let skipped = items.len().saturating_sub(PARTS_MAX);
                    for (index, item) in items.iter().enumerate().skip(skipped) {
                        if let Some(watch) = rules.step(&watch, Step::Index(index)) {
                            sketch.parts.push(part(item, rules, &watch));
                        }
                    }
                    last = items.last();
                }
                ("system" | "instructions" | "systemInstruction" | "tools", _) => {
                    sketch.parts.push(part(member, rules, &watch));
                }
                ("input" | "prompt", _) => last = Some(member),
                _ => {}
            }
        }
        sketch.parts.sort_unstable();
        let mut room = TEXT_MAX;
        sample(body, rules, &mut sketch.words, &mut room);
        let mut room = TEXT_MAX;
        if let Some(last) = last {
            sample(last, rules, &mut sketch.last, &mut room);
        }
        sketch
    }

    /// From 0 (nothing in common) to 1000 (the same messages).
    pub(super) fn alike(&self, other: &Self) -> u16 {
        let parts = shared(&self.parts, &other.parts);
        let words = agreement(&self.words, &other.words);
        let last = agreement(&self.last, &other.last);
        // What is asked last weighs as much as the whole conversation before it.
        ((parts * 4 + words * 3 + last * 3) / 10) as u16
    }
}

/// Twice the digests in common among all digests, in thousandths.
fn shared(one: &[u64], other: &[u64]) -> u32 {
    let all = one.len() + other.len();
    if all == 0 {
        return 1_000;
    }
    let (mut common, mut one, mut other) = (0, one, other);
    while let (Some((a, rest)), Some((b, behind))) = (one.split_first(), other.split_first()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => one = rest,
            std::cmp::Ordering::Greater => other = behind,
            std::cmp::Ordering::Equal => {
                common += 2;
                (one, other) = (rest, behind);
            }
        }
    }
    (common * 1_000 / all) as u32
}

/// The share of slots that hold the same word, in thousandths.
fn agreement(one: &[u32; SLOTS], other: &[u32; SLOTS]) -> u32 {
    let pairs = || one.iter().zip(other).filter(|(a, b)| **a != u32::MAX || **b != u32::MAX);
    let all = pairs().count();
    if all == 0 {
        return 1_000;
    }
    (pairs().filter(|(a, b)| a == b).count() * 1_000 / all) as u32
}

/// Puts the words of all texts into slots, the last texts first.
fn sample(value: &Value, rules: &Rules, slots: &mut [u32; SLOTS], room: &mut usize) {
    if *room == 0 {
        return;
    }
    match value {
        Value::String(text) => {
            let text = rules.text(text);
            *room = room.saturating_sub(text.len().max(1));
            let words = text.split(|letter: char| !letter.is_alphanumeric());
            for word in words.filter(|word| !word.is_empty()).take(TEXT_MAX / 4) {
                let hash = fnv(word.as_bytes());
                let slot = slots.get_mut(hash as usize % SLOTS);
                let rank = (hash >> 32) as u32;
                if let Some(slot) = slot.filter(|slot| **slot > rank) {
                    *slot = rank;
                }
            }
        }
        Value::Array(items) => {
            items.iter().rev().for_each(|item| sample(item, rules, slots, room));
        }
        Value::Object(members) => {
            members.values().rev().for_each(|member| sample(member, rules, slots, room));
        }
        _ => {}
    }
}

/// Words are short: a simple digest, mixed so that both halves are of use.
fn fnv(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use super::super::question::Asked;
    use super::*;

    fn sketch(messages: &[&str]) -> Sketch {
        let messages: Vec<Value> = messages
            .iter()
            .map(|text| serde_json::json!({"role": "user", "content": text}))
            .collect();
        let body = serde_json::json!({"model": "m", "messages": messages}).to_string();
        let rules = Rules::usual();
        let asked = Asked { method: "POST", target: "/v1/chat/completions", body: body.as_bytes() };
        Sketch::of(&Question::read(&asked, &rules), &rules)
    }

    #[test]
    fn the_same_is_most_alike_and_another_subject_least() {
        let asked = sketch(&["you are a helper", "read the file main.rs and fix the borrow error"]);
        let same = asked.alike(&asked);
        let near = asked
            .alike(&sketch(&["you are a helper", "read the file lib.rs and fix the borrow error"]));
        let far = asked.alike(&sketch(&["you cook", "what goes with spinach tonight"]));
        assert_eq!(same, 1_000);
        assert!(near > 600 && near < 1_000 && far < 300, "{near} {far}");
    }
}
