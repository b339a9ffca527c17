//! The bytes that the mock sends and the client expects, made in one place so that neither can drift.
//!
//! What the mock shall do travels inside the prompt, so it passes any gateway that forwards the body.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;

pub(crate) const MODEL: &str = "gpt-4o-mini";
pub(crate) const PATH: &str = "/v1/chat/completions";

/// Decimal digits of the instant in each frame: enough for any `u64`.
const STAMP_DIGITS: usize = 20;
const OPENING: &str = "@bench ";
/// Escapes as code and prose have them: a scanner that stops at each must not look faster than it is.
const PROMPT_FILLER: &str =
    r#"Read the file, then say \"which\" line is wrong and why.\n    let café = items[0];\n"#;
const ANSWER_FILLER: &str = r"Caf\u00e9, café, \/ and 流れ: a re-serialised answer differs. ";

/// What one request asks of the mock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Bytes of a non-streaming answer's body.
    pub(crate) answer_bytes: usize,
    /// Frames of a stream; zero asks for a non-streaming answer.
    pub(crate) frames: usize,
    /// From one frame to the next; zero writes them as fast as the socket takes them.
    pub(crate) gap_us: u64,
    /// Before the answer's first byte.
    pub(crate) delay_us: u64,
    /// After the first frame nothing more comes until the caller hangs up.
    pub(crate) stall: bool,
}

impl Plan {
    pub(crate) fn answer(answer_bytes: usize) -> Self {
        Self { answer_bytes, ..Self::default() }
    }

    pub(crate) fn stream(frames: usize, gap_us: u64) -> Self {
        Self { frames, gap_us, ..Self::default() }
    }

    fn words(&self) -> String {
        format!(
            "{OPENING}{} {} {} {} {} @ ",
            self.answer_bytes,
            self.frames,
            self.gap_us,
            self.delay_us,
            u8::from(self.stall)
        )
    }

    /// The plan in the first bytes of a request body, if they hold one.
    pub(crate) fn find(body: &[u8]) -> Option<Self> {
        let at = memmem::find(body, OPENING.as_bytes())? + OPENING.len();
        let rest = body.get(at..)?;
        let words = std::str::from_utf8(&rest[..memchr::memchr(b'@', rest)?]).ok()?;
        let mut numbers = words.split_whitespace().map(u64::from_str);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            answer_bytes: next()? as usize,
            frames: next()? as usize,
            gap_us: next()?,
            delay_us: next()?,
            stall: next()? == 1,
        })
    }
}

/// A message of a conversation that is longer than one.
const MESSAGE_BYTES: usize = 4 * 1024;
/// Of a request, what differs from the next one's, at most: an agent's new turn.
const FRESH_BYTES_MAX: usize = 1024;
const TURN: &str =
    r#""},{"role":"assistant","content":"Done; what next?"},{"role":"user","content":""#;

/// A request that differs from call to call, as real ones do: whoever stores them must not find them stored.
#[derive(Clone)]
pub(crate) struct Prompt {
    pub(crate) bytes: Vec<u8>,
    /// Where the new words stand, at the end of the last message.
    fresh: std::ops::Range<usize>,
    dice: u64,
}

impl Prompt {
    pub(crate) fn new(authority: &str, plan: &Plan, body_bytes: usize) -> Self {
        let bytes = request(authority, plan, body_bytes);
        let end = memmem::rfind(&bytes, ENDING.as_bytes()).unwrap_or(bytes.len());
        let opening = memmem::rfind(&bytes, OPENING.as_bytes()).unwrap_or_default();
        let after_plan = memchr::memchr(b'@', &bytes[opening + OPENING.len()..])
            .map_or(end, |at| opening + OPENING.len() + at + 2);
        let start = end.saturating_sub(FRESH_BYTES_MAX).max(after_plan).min(end);
        // Not between a backslash and what it escapes.
        let start = if bytes[start - 1] == b'\\' { start + 1 } else { start };
        Self { bytes, fresh: start..end, dice: 1 }
    }

    /// The same request with other words to come.
    pub(crate) fn seeded(&self, seed: u64) -> Self {
        let mut other = self.clone();
        other.dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        other
    }

    /// Puts new words in: lengths and letters as prose has them, made in a microsecond.
    pub(crate) fn refresh(&mut self) {
        let mut at = self.fresh.start;
        while at < self.fresh.end {
            self.dice ^= self.dice << 13;
            self.dice ^= self.dice >> 7;
            self.dice ^= self.dice << 17;
            let word = WORDS[(self.dice >> 40) as usize % WORDS.len()].as_bytes();
            let room = (self.fresh.end - at).min(word.len());
            self.bytes[at..at + room].copy_from_slice(&word[..room]);
            at += room;
            if at < self.fresh.end {
                self.bytes[at] = b' ';
                at += 1;
            }
        }
    }
}

const WORDS: [&str; 64] = [
    "branch", "of", "the", "parser", "fails", "when", "a", "header", "comes", "twice", "look",
    "at", "how", "tokens", "are", "counted", "and", "say", "why", "it", "is", "slower", "than",
    "before", "rename", "every", "field", "in", "this", "struct", "so", "that", "tests", "pass",
    "again", "write", "down", "what", "you", "changed", "function", "returns", "early", "without",
    "closing", "socket", "please", "check", "whether", "cache", "holds", "stale", "rows", "after",
    "restart", "import", "module", "error", "line", "number", "seven", "twelve", "config", "value",
];

const ENDING: &str = r#""}],"temperature":0.2}"#;

/// A whole chat request, head and body, whose body has exactly `body_bytes` (or the least it can have). What is longer than
/// a message is a conversation.
pub(crate) fn request(authority: &str, plan: &Plan, body_bytes: usize) -> Vec<u8> {
    let stream = if plan.frames > 0 {
        r#""stream":true,"stream_options":{"include_usage":true},"#
    } else {
        ""
    };
    let mut body = format!(
        r#"{{"model":"{MODEL}",{stream}"messages":[{{"role":"system","content":"You are terse."}},{{"role":"user","content":""#
    );
    body.push_str(&plan.words());
    let until = body_bytes.saturating_sub(ENDING.len());
    while body.len() + 2 * MESSAGE_BYTES < until {
        let next = body.len() + MESSAGE_BYTES;
        fill(&mut body, PROMPT_FILLER, next);
        body.push_str(TURN);
        let _ = write!(body, "turn {next}: ");
    }
    fill(&mut body, PROMPT_FILLER, until);
    body.push_str(ENDING);
    let mut head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {authority}\r\naccept: application/json\r\n\
         authorization: Bearer sk-mock\r\ncontent-type: application/json\r\n\
         user-agent: overhead/1\r\ncontent-length: "
    );
    let _ = write!(head, "{}\r\n\r\n", body.len());
    let mut whole = head.into_bytes();
    whole.extend_from_slice(body.as_bytes());
    whole
}

/// The body of a non-streaming answer of `bytes` bytes.
pub(crate) fn answer_body(bytes: usize) -> Vec<u8> {
    // `1.50e1` and the odd spaces are there to be lost by whoever parses and prints again.
    let mut body = String::from(
        r#"{"id":"chatcmpl-bench","object":"chat.completion", "created":1763600000,"model":"gpt-4o-mini","x_score":1.50e1,"choices":[{"index":0,"message":{"role":"assistant","content":""#,
    );
    let ending = r#""},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":512,"completion_tokens":128,"total_tokens":640}}"#;
    fill(&mut body, ANSWER_FILLER, bytes.saturating_sub(ending.len()));
    body.push_str(ending);
    body.into_bytes()
}

/// Whole pieces of filler, so that no escape is cut, then padding to the byte.
fn fill(text: &mut String, filler: &str, until: usize) {
    while text.len() + filler.len() <= until {
        text.push_str(filler);
    }
    while text.len() < until {
        text.push('.');
    }
}

/// One frame of a stream: fixed bytes but for the instant at which it was written.
pub(crate) struct Frame {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Frame {
    pub(crate) fn new() -> Self {
        let before = r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1763600000,"model":"gpt-4o-mini","system_fingerprint":"fp_\u00e9","choices":[{"index":0,"delta":{"content":" café 流れ "#;
        let after = "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
        let mut bytes = before.as_bytes().to_vec();
        let stamp_at = bytes.len();
        bytes.extend_from_slice(&[b'0'; STAMP_DIGITS]);
        bytes.extend_from_slice(after.as_bytes());
        Self { bytes, stamp_at }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// This frame as one chunk of a chunked body, and where its stamp stands in that.
    pub(crate) fn as_chunk(&self) -> (Vec<u8>, usize) {
        let mut chunk = format!("{:x}\r\n", self.bytes.len()).into_bytes();
        let stamp_at = chunk.len() + self.stamp_at;
        chunk.extend_from_slice(&self.bytes);
        chunk.extend_from_slice(b"\r\n");
        (chunk, stamp_at)
    }

    /// The instant that `received` carries, if all else in it is as it was sent.
    fn stamp(&self, received: &[u8]) -> Option<u64> {
        let after = self.stamp_at + STAMP_DIGITS;
        let digits = received.get(self.stamp_at..after)?;
        let same = received[..self.stamp_at] == self.bytes[..self.stamp_at]
            && received[after..] == self.bytes[after..]
            && digits.iter().all(u8::is_ascii_digit);
        if !same {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Writes `instant` over the stamp that starts at `at`.
pub(crate) fn write_stamp(chunk: &mut [u8], at: usize, mut instant: u64) {
    for digit in chunk[at..at + STAMP_DIGITS].iter_mut().rev() {
        *digit = b'0' + (instant % 10) as u8;
        instant /= 10;
    }
}

/// What follows the last frame: the end of the choice, the usage, the end of the stream.
pub(crate) fn stream_tail() -> &'static [u8] {
    concat!(
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1763600000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1763600000,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":512,"completion_tokens":50,"total_tokens":562}}"#,
        "\n\ndata: [DONE]\n\n"
    )
    .as_bytes()
}

/// Proves that `body` is, byte for byte, the stream the mock sent, and returns the instants at which it wrote each frame.
pub(crate) fn check_stream(body: &[u8], frame: &Frame, frames: usize) -> Result<Vec<u64>> {
    let expected = frames * frame.len() + stream_tail().len();
    ensure!(
        body.len() == expected,
        "the stream has {} bytes, the mock sent {expected}",
        body.len()
    );
    let (events, tail) = body.split_at(frames * frame.len());
    ensure!(tail == stream_tail(), "the end of the stream was changed");
    events
        .chunks(frame.len())
        .map(|event| frame.stamp(event).context("a frame was changed"))
        .collect()
}
