//! Traces of load: when requests came, how long prompts and answers were, and what prompts share.
//!
//! Mooncake: `{"timestamp", "input_length", "output_length", "hash_ids"}`, no words. A hash stands for a block of 512
//! tokens and all blocks before it, so that equal ids mean an equal beginning. The gateway has no tokenizer of the
//! provider: a block is 2,048 bytes of the prompt's words (four bytes a token), and the last id stands for the whole prompt.
//!
//! AIPerf: `{"session_id", "timestamp" or "delay", "messages", "tools", "output_length"}`, with the words. A session's first
//! turn has its time, each later one the pause after the answer before it.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::prompt;
use crate::report::formats::export::clear;
use crate::store::stored::Stored;

/// Tokens that one hash stands for.
const BLOCK_TOKENS: u64 = 512;
/// Bytes of words taken for that many tokens.
const BLOCK_BYTES: usize = 4 * BLOCK_TOKENS as usize;
/// Limit: sessions whose last answer is remembered; of others every turn has its time.
const SESSIONS_MAX: usize = 65_536;

/// What a trace must know of the exchanges before.
#[derive(Default)]
pub(super) struct Clock {
    /// When the first exchange began.
    began_us: Option<i64>,
    /// When a session's last answer ended.
    ended_us: HashMap<String, i64>,
}

impl Clock {
    /// Milliseconds since the first exchange.
    fn timestamp(&mut self, stored: &Stored) -> i64 {
        let began_us = *self.began_us.get_or_insert(stored.row.started_at_us);
        (stored.row.started_at_us - began_us).max(0) / 1_000
    }

    /// Milliseconds since the answer before it in its session; `None`: it is the first of one.
    fn delay(&mut self, stored: &Stored) -> Option<i64> {
        let session = stored.row.session_id.as_ref()?;
        let ended_us = stored.row.started_at_us.saturating_add(stored.row.duration_us);
        let before = self.ended_us.get_mut(session).map(|own| std::mem::replace(own, ended_us));
        if before.is_none() && self.ended_us.len() < SESSIONS_MAX {
            self.ended_us.insert(session.clone(), ended_us);
        }
        before.map(|before| (stored.row.started_at_us - before).max(0) / 1_000)
    }
}

#[derive(Serialize)]
struct Mooncake {
    timestamp: i64,
    input_length: u64,
    output_length: u64,
    hash_ids: Vec<u64>,
}

pub(super) fn mooncake(stored: &Stored, clock: &mut Clock) -> Result<String, &'static str> {
    let body = stored.client_request().ok_or("its request was not kept")?;
    let words = prompt::words(&clear(body).ok_or("its request does not decode, or was cut")?);
    let input = stored.row.input_tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let input_length = input.filter(|tokens| *tokens > 0).unwrap_or(words.len() as u64 / 4).max(1);
    let line = Mooncake {
        output_length: output_length(stored).ok_or("its answer has no tokens")?,
        timestamp: clock.timestamp(stored),
        input_length,
        hash_ids: hash_ids(words.as_bytes(), input_length),
    };
    serde_json::to_string(&line).map_err(|_| "it cannot be written as JSON")
}

fn output_length(stored: &Stored) -> Option<u64> {
    stored.row.output_tokens.and_then(|tokens| u64::try_from(tokens).ok()).filter(|n| *n > 0)
}

/// As many ids as `tokens` have blocks: of the words' beginnings, and at last of all of them.
fn hash_ids(words: &[u8], tokens: u64) -> Vec<u64> {
    let blocks = usize::try_from(tokens.div_ceil(BLOCK_TOKENS)).unwrap_or(1);
    let mut chain = blake3::Hasher::new();
    let mut ids = Vec::with_capacity(blocks);
    for block in words.chunks_exact(BLOCK_BYTES).take(blocks - 1) {
        chain.update(block);
        ids.push(id(&chain));
    }
    let mut whole = blake3::Hasher::new();
    whole.update(words);
    while ids.len() < blocks {
        // More tokens than these bytes stand for: nothing is known of what the rest shares.
        ids.push(id(&whole));
        whole.update(b"\0");
    }
    ids
}

/// 48 bits: every reader of JSON has them exactly.
fn id(hasher: &blake3::Hasher) -> u64 {
    let hash = hasher.finalize();
    hash.as_bytes().iter().take(6).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

#[derive(Serialize)]
struct AiPerf<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_length: Option<u64>,
}

pub(super) fn aiperf(stored: &Stored, clock: &mut Clock) -> Result<String, &'static str> {
    let row = &stored.row;
    let key = match (row.dialect.as_str(), row.operation.as_str()) {
        ("openai_chat", "chat") => "messages",
        ("openai_chat", "text_completion") => "prompt",
        _ => return Err("AIPerf takes messages and prompts of OpenAI's chat dialect alone"),
    };
    let body = stored.client_request().ok_or("its request was not kept")?;
    let clear = clear(body).ok_or("its request does not decode, or was cut")?;
    let text = std::str::from_utf8(&clear).map_err(|_| "its request is no JSON object")?;
    let text = text.replace(['\n', '\r'], " ");
    let members: IndexMap<String, &RawValue> =
        serde_json::from_str(&text).map_err(|_| "its request is no JSON object")?;
    let said = members.get(key).copied().ok_or("its request has no messages")?;
    let is_text = said.get().starts_with('"');
    if !is_text && !is_list(said) {
        return Err("its request has no messages");
    }
    if (key == "prompt") != is_text {
        return Err("its prompt is no text");
    }
    let timestamp = clock.timestamp(stored);
    let delay = clock.delay(stored);
    let line = AiPerf {
        session_id: row.session_id.as_deref(),
        timestamp: delay.is_none().then_some(timestamp),
        delay,
        text_input: is_text.then_some(said),
        messages: (!is_text).then_some(said),
        tools: members.get("tools").copied().filter(|tools| !is_text && is_list(tools)),
        output_length: output_length(stored),
    };
    serde_json::to_string(&line).map_err(|_| "it cannot be written as JSON")
}

/// A list with something in it: AIPerf refuses empty ones.
fn is_list(value: &RawValue) -> bool {
    let inner = value.get().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| !inner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::formats::fixture::{chat, with_request};

    #[test]
    fn ids_are_shared_as_far_as_prompts_are_equal() {
        let words = |n: usize| (0..n).map(|at| (at / 97 % 251) as u8).collect::<Vec<_>>();
        let (short, long) = (hash_ids(&words(10_000), 2_500), hash_ids(&words(20_000), 5_000));
        assert_eq!((short.len(), long.len()), (5, 10));
        assert_eq!(short[..4], long[..4], "the beginning is the same");
        assert_ne!(short[4], long[4], "the last one is of the whole prompt");
        let mut other = words(10_000);
        other[9_999] ^= 1;
        assert_eq!(hash_ids(&other, 2_500)[..4], short[..4]);
        assert_ne!(hash_ids(&other, 2_500)[4], short[4]);
        other[0] ^= 1;
        assert!(hash_ids(&other, 2_500).iter().all(|id| !short.contains(id)));
        assert_eq!(hash_ids(b"", 1).len(), 1);
        let few = hash_ids(b"dense", 1_500);
        assert!(few.len() == 3 && few[0] != few[1] && few.iter().all(|id| *id < 1 << 48));
    }

    #[test]
    fn a_sessions_later_turns_wait_for_the_answer_before() {
        let mut clock = Clock::default();
        let mut lines = Vec::new();
        for n in 0..3 {
            let mut stored = with_request(
                chat(n),
                br#"{"messages":[{"role":"user","content":"a"}],"tools":[],"stream":true}"#,
            );
            stored.row.started_at_us += 10_000_000 * i64::from(n);
            stored.row.duration_us = 4_000_000;
            stored.row.session_id = Some(if n == 1 { "other" } else { "same" }.to_owned());
            lines.push(aiperf(&stored, &mut clock).unwrap());
        }
        let messages = r#""messages":[{"role":"user","content":"a"}],"output_length":5}"#;
        let none = with_request(chat(9), br#"{"messages":[ ]}"#);
        assert!(aiperf(&none, &mut clock).unwrap_err().contains("no messages"));
        assert_eq!(lines[0], format!(r#"{{"session_id":"same","timestamp":0,{messages}"#));
        assert_eq!(lines[1], format!(r#"{{"session_id":"other","timestamp":10000,{messages}"#));
        assert_eq!(lines[2], format!(r#"{{"session_id":"same","delay":16000,{messages}"#));
    }

    #[test]
    fn lengths_are_the_providers() {
        let mut clock = Clock::default();
        let line = mooncake(&chat(0), &mut clock).unwrap();
        assert!(
            line.starts_with(r#"{"timestamp":0,"input_length":10,"output_length":5,"hash_ids":["#)
        );
        let mut silent = chat(0);
        silent.row.output_tokens = None;
        assert!(mooncake(&silent, &mut clock).unwrap_err().contains("no tokens"));
    }
}
