//! The words of a request's part or of an answer, whatever its dialect: what full-text search reads. It looks for texts in
//! JSON and leaves out names, ids and data; it never fails, since nobody checks what is searched.
//!
//! A part may begin or end anywhere, also inside a string: bodies are cut where texts are likely to come again.

use std::borrow::Cow;

use crate::base::json::string_end;
use crate::base::sse::Splitter;

/// Limit: bytes of one event that are read.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// A run of so many bytes without a space is data, not words.
const RUN_MAX: usize = 512;

/// Members whose texts are no words of a message.
const NO_WORDS: &[&str] = &[
    "cache_control",
    "call_id",
    "created",
    "data",
    "detail",
    "encrypted_content",
    "finish_reason",
    "finishReason",
    "format",
    "id",
    "item_id",
    "media_type",
    "mime_type",
    "mimeType",
    "model",
    "modelVersion",
    "object",
    "obfuscation",
    "response_id",
    "responseId",
    "role",
    "service_tier",
    "signature",
    "status",
    "stop_reason",
    "system_fingerprint",
    "thoughtSignature",
    "tool_call_id",
    "tool_use_id",
    "type",
];

/// Members of events that bring a text piece by piece.
const PIECES: &[&str] = &[
    "arguments",
    "content",
    "delta",
    "input",
    "partial_json",
    "reasoning",
    "reasoning_content",
    "refusal",
    "text",
    "thinking",
];

/// Words under collection, up to a bound.
#[derive(Debug)]
pub struct Texts {
    words: String,
    bytes_max: usize,
}

impl Texts {
    pub fn new(bytes_max: usize) -> Self {
        Self { words: String::new(), bytes_max }
    }

    pub fn is_full(&self) -> bool {
        self.words.len() >= self.bytes_max
    }

    pub fn into_words(self) -> String {
        self.words
    }

    /// Adds the texts of a part of a JSON document.
    pub fn add_part(&mut self, part: &[u8]) {
        each_text(part, |_, text| {
            self.push("\n", text);
            !self.is_full()
        });
    }

    /// Adds the texts of a whole body in clear: a JSON document, or a stream of events.
    pub fn add_body(&mut self, body: &[u8]) {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{' | b'[' | b'"') => self.add_part(body),
            Some(_) if is_events(body) => self.add_events(body),
            Some(_) => self.push("\n", &String::from_utf8_lossy(body)),
            None => {}
        }
    }

    /// Pieces of one text come under one name, and are put together.
    fn add_events(&mut self, body: &[u8]) {
        let mut streams: Vec<(String, String)> = Vec::new();
        let mut left = self.bytes_max;
        let mut splitter = Splitter::new(EVENT_BYTES_MAX);
        let mut read = |data: &[u8]| {
            if data.trim_ascii() == b"[DONE]" {
                return;
            }
            each_text(data, |name, text| {
                let at = streams.iter().position(|(known, _)| known == name);
                let at = at.unwrap_or_else(|| {
                    streams.push((name.to_owned(), String::new()));
                    streams.len() - 1
                });
                if let Some((_, stream)) = streams.get_mut(at) {
                    if !PIECES.contains(&name) {
                        if stream.ends_with(text) {
                            return left > 0;
                        }
                        stream.push(' ');
                    }
                    stream.push_str(text);
                }
                left = left.saturating_sub(text.len());
                left > 0
            });
        };
        splitter.feed_borrowed(body, |event| read(event.data));
        if let Some(last) = splitter.finish() {
            read(&last.data);
        }
        for (_, stream) in &streams {
            self.push("\n", stream);
        }
    }

    fn push(&mut self, between: &str, text: &str) {
        if text.is_empty() || self.is_full() {
            return;
        }
        if !self.words.is_empty() {
            self.words.push_str(between);
        }
        let mut left = self.bytes_max.saturating_sub(self.words.len()).min(text.len());
        while !text.is_char_boundary(left) {
            left -= 1;
        }
        self.words.push_str(text.get(..left).unwrap_or_default());
    }
}

fn is_events(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(4_096)).unwrap_or_default();
    head.split(|byte| matches!(byte, b'\n' | b'\r'))
        .any(|line| line.starts_with(b"data:") || line.starts_with(b"event:"))
}

/// Visits each text that may hold words, with the name of the member it stands under, until the visitor says no.
fn each_text(part: &[u8], mut visit: impl FnMut(&str, &str) -> bool) {
    let mut name = String::new();
    let mut at = match begins_inside(part) {
        Some(end) => {
            let text = unescaped(part.get(..end).unwrap_or_default());
            if !is_data(&text) && !visit("", &text) {
                return;
            }
            end + 1
        }
        None => 0,
    };
    while let Some(start) = quote_from(part, at) {
        // What a member was called ends with what it is a member of.
        let between = part.get(at..start).unwrap_or_default();
        if memchr::memchr2(b'}', b']', between).is_some() {
            name.clear();
        }
        let end = string_end(part, start).unwrap_or(part.len() + 1);
        let text = unescaped(part.get(start + 1..(end - 1).max(start + 1)).unwrap_or_default());
        at = end;
        if followed_by_colon(part, end) {
            name = text.into_owned();
        } else if !NO_WORDS.contains(&name.as_str()) && !is_data(&text) && !visit(&name, &text) {
            return;
        }
    }
}

/// Where the string ends in whose middle the part begins; a part without a quote is one.
fn begins_inside(part: &[u8]) -> Option<usize> {
    let end = closing_quote(part);
    let before = part.get(..end)?;
    // Between strings there are only marks, numbers, true, false and null.
    let outside = |byte: &u8| {
        byte.is_ascii_whitespace() || byte.is_ascii_digit() || b"[]{},:.+-eEtrufalsn".contains(byte)
    };
    (!before.iter().all(outside)).then_some(end)
}

/// The first quote that no backslash escapes, or the end.
fn closing_quote(part: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match memchr::memchr2(b'"', b'\\', part.get(at..).unwrap_or_default()) {
            None => return part.len(),
            Some(step) if part.get(at + step) == Some(&b'"') => return at + step,
            Some(step) => at += step + 2,
        }
    }
}

fn quote_from(part: &[u8], at: usize) -> Option<usize> {
    memchr::memchr(b'"', part.get(at..)?).map(|step| at + step)
}

fn followed_by_colon(part: &[u8], at: usize) -> bool {
    let rest = part.get(at..).unwrap_or_default();
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// The text of what stands between quotes; as it stands where that makes no sense.
fn unescaped(inner: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let quoted = [b"\"", inner, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text),
        Err(_) => String::from_utf8_lossy(inner),
    }
}

fn is_data(text: &str) -> bool {
    text.len() > RUN_MAX
        && (text.starts_with("data:")
            || !text.as_bytes().iter().take(RUN_MAX).any(u8::is_ascii_whitespace)
                && text.is_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_body(body: &str) -> String {
        let mut texts = Texts::new(1_000);
        texts.add_body(body.as_bytes());
        texts.into_words()
    }

    fn of_part(part: &str) -> String {
        let mut texts = Texts::new(1_000);
        texts.add_part(part.as_bytes());
        texts.into_words()
    }

    #[test]
    fn texts_are_found_and_names_ids_and_data_are_not() {
        assert_eq!(
            of_body(
                r#"{"model":"m","messages":[{"role":"user","content":"say \"hi\"\nnow"}],"n":1}"#
            ),
            "say \"hi\"\nnow"
        );
        let image =
            format!(r#"[{{"type":"image","source":{{"data":"abc"}}}},"{}","é"]"#, "A".repeat(600));
        assert_eq!(of_body(&image), "é");
        assert_eq!(of_body("plain words"), "plain words");
        assert_eq!(of_body(""), "");
    }

    #[test]
    fn parts_may_begin_and_end_inside_a_string() {
        assert_eq!(of_part(r#"of a text","role":"user"},{"content":"next"#), "of a text\nnext");
        assert_eq!(of_part(r"no quote at all\n, only \u00e9"), "no quote at all\n, only é");
        assert_eq!(of_part(r#",{"role":"assistant","content":"yes"}"#), "yes");
        assert_eq!(of_part(r#" [1, true, "a"]"#), "a");
        assert_eq!(of_part("\"\\"), "\\");
    }

    #[test]
    fn pieces_of_events_are_put_together() {
        for stream in [
            "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n\
             data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"lo you\"}}]}\n\ndata: [DONE]\n\n",
            "event: content_block_delta\ndata: {\"type\":\"x\",\"delta\":{\"text\":\"Hel\"}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"x\",\"delta\":{\"text\":\"lo you\"}}",
        ] {
            assert_eq!(of_body(stream).trim(), "Hello you");
        }
        let tools = "data: {\"name\":\"shell\",\"arguments\":\"{\\\"cmd\\\":\"}\n\n\
                     data: {\"name\":\"shell\",\"arguments\":\"\\\"ls\\\"}\"}\n\n";
        assert_eq!(of_body(tools), " shell\n{\"cmd\":\"ls\"}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_the_bound(bytes: Vec<u8>, text in "([\"\\\\{}:,a é]|data:|\n){0,40}", max in 0usize..64) {
            for body in [bytes.as_slice(), text.as_bytes()] {
                let mut texts = Texts::new(max);
                texts.add_part(body);
                texts.add_body(body);
                prop_assert!(texts.into_words().len() <= max + 1);
            }
        }
    }
}
