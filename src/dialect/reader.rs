//! Reads answers, off the hot path: events or one document in, a [`Reading`] out. One `match` for each thing that the
//! dialects do in their own way; nothing here can fail, and what cannot be understood is left out.

use crate::base::json::{self, Kind, Walk};
use crate::base::sse::Splitter;
use crate::dialect::notes::Notes;
use crate::dialect::tokens::Cache;
use crate::dialect::{
    anthropic_messages, gemini_generate, opaque, openai_chat, openai_embeddings, openai_responses,
    tail,
};
use crate::neutral::kind::{Dialect, Operation};
use crate::neutral::reading::{Billing, Content, Reading};

/// Limit: bytes of one event. What is read has been kept already, within smaller limits; this one only bounds the copy.
const EVENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Limit: bytes held of a line whose front is missing.
const HALF_LINE_MAX: usize = 256 * 1024;

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    form: Form,
    splitter: Splitter,
    /// The line that stood cut where bytes are missing: set by `skip`, emptied at its end.
    half_line: Option<Vec<u8>>,
    notes: Notes,
}

/// By whose rules an answer is read.
#[derive(Debug, Clone, Copy)]
enum Form {
    Known(Dialect),
    /// The endpoint is not known: the answer must tell. The dialect is the one of the path.
    Opaque(Dialect),
    /// Nothing is billed, so only an error is of interest.
    Unbilled,
}

impl Reader {
    pub fn new(dialect: Dialect, operation: Operation, words: bool) -> Self {
        let form = match operation {
            Operation::Chat | Operation::TextCompletion | Operation::Embeddings => {
                Form::Known(dialect)
            }
            Operation::Opaque => Form::Opaque(dialect),
            Operation::CountTokens | Operation::Models => Form::Unbilled,
        };
        Self {
            form,
            splitter: Splitter::new(EVENT_BYTES_MAX),
            half_line: None,
            notes: Notes::new(words),
        }
    }

    /// Takes the next piece of an event stream, in any cut. `on_content` hears of each event that carried content, with
    /// the arrival of the piece that completed it.
    pub fn feed(&mut self, at_us: u64, piece: &[u8], on_content: &mut impl FnMut(u64, Content)) {
        let rest = self.end_half_line(at_us, piece, on_content);
        self.split(at_us, rest, on_content);
    }

    /// Says that bytes are missing here: what stands half finished is dropped, and reading goes on at the next event.
    pub fn skip(&mut self) {
        self.splitter = Splitter::new(EVENT_BYTES_MAX);
        self.half_line = Some(Vec::new());
    }

    /// Takes a whole document.
    pub fn document(&mut self, body: &[u8]) -> Content {
        if [b"data:".as_slice(), b"event:", b": "].iter().any(|start| body.starts_with(start)) {
            // An event stream under another content type.
            let mut content = Content::NONE;
            self.feed(0, body, &mut |_, found| content = content.with(found));
            return content;
        }
        let mut walk = Walk::new(body);
        if !matches!(walk.kind(), Some(Kind::Object | Kind::Array)) {
            return Content::NONE;
        }
        let content = match self.form {
            Form::Known(dialect) => read_document(dialect, &mut self.notes, &mut walk),
            Form::Opaque(_) => opaque::document(&mut self.notes, &mut walk),
            Form::Unbilled => {
                error_alone(&mut self.notes, &mut walk);
                Content::NONE
            }
        };
        self.notes.reading.ended = !walk.is_broken();
        self.notes.reading.content = self.notes.reading.content.with(content);
        content
    }

    /// Takes the end of a document whose front was not kept: usage usually stands there.
    pub fn document_end(&mut self, tail: &[u8]) {
        if let Form::Opaque(dialect) = self.form {
            // Only what was made before is fetched from this dialect's other paths.
            if dialect == Dialect::OpenAiResponses {
                self.notes.reading.billing = Billing::Fetched;
            }
            // The lines that are whole; those before them are lost, so the sum is partial.
            let start = memchr::memchr(b'\n', tail).map_or(tail.len(), |end| end + 1);
            let lines = tail.get(start..).unwrap_or_default();
            opaque::lines(&mut self.notes, &mut Walk::new(lines));
        }
        let depth_max = if self.reads_gemini() { 2 } else { 1 };
        self.notes.reading.ended = self.read_fragment(tail, depth_max);
    }

    pub fn finish(mut self) -> Reading {
        if let Some(line) = self.half_line.take() {
            self.read_half_line(0, &line, &mut |_, _| ());
        }
        let splitter = std::mem::replace(&mut self.splitter, Splitter::new(0));
        // The blank line may be missing, the data may not.
        if let Some(event) = splitter.finish()
            && (event.data == b"[DONE]" || json::check(&event.data).is_ok())
        {
            let content = read_event(self.form, &mut self.notes, &event.data);
            self.notes.reading.content = self.notes.reading.content.with(content);
        }
        self.notes.finish(match self.form {
            Form::Known(Dialect::Anthropic) => Cache::Apart,
            Form::Known(_) | Form::Unbilled => Cache::Within,
            Form::Opaque(_) => Cache::ByNames,
        })
    }

    fn split(&mut self, at_us: u64, piece: &[u8], on_content: &mut impl FnMut(u64, Content)) {
        let (form, notes) = (self.form, &mut self.notes);
        self.splitter.feed_borrowed(piece, |event| {
            let content = read_event(form, notes, event.data);
            notes.reading.content = notes.reading.content.with(content);
            if !content.is_none() {
                on_content(at_us, content);
            }
        });
    }

    /// Takes the rest of the line that stood cut, and gives what follows it.
    fn end_half_line<'a>(
        &mut self,
        at_us: u64,
        piece: &'a [u8],
        on_content: &mut impl FnMut(u64, Content),
    ) -> &'a [u8] {
        let Some(line) = &mut self.half_line else { return piece };
        let end = memchr::memchr2(b'\n', b'\r', piece);
        let (more, rest) = piece.split_at(end.unwrap_or(piece.len()));
        line.extend_from_slice(more);
        if line.len() > HALF_LINE_MAX {
            line.drain(..line.len() - HALF_LINE_MAX);
        }
        if end.is_some()
            && let Some(line) = self.half_line.take()
        {
            self.read_half_line(at_us, &line, on_content);
        }
        rest
    }

    /// The missing bytes may as well have ended just before this line. Otherwise it may be the end of an event that
    /// repeats the whole answer, and has the usage.
    fn read_half_line(
        &mut self,
        at_us: u64,
        line: &[u8],
        on_content: &mut impl FnMut(u64, Content),
    ) {
        let data = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii_start);
        if data.is_some_and(|data| data == b"[DONE]" || json::check(data).is_ok()) {
            self.split(at_us, line, on_content);
        } else if self.read_fragment(line, 2) {
            // Of all long events only the last one of this dialect has a usage that is not null.
            let is_last = matches!(self.form, Form::Known(Dialect::OpenAiResponses));
            self.notes.reading.ended |= is_last;
        }
    }

    /// Reads the usage at the end of a piece of JSON; true when there is one.
    fn read_fragment(&mut self, fragment: &[u8], depth_max: usize) -> bool {
        if matches!(self.form, Form::Unbilled) {
            return false;
        }
        if let Some(mut walk) = tail::last_object(fragment, "usageMetadata", depth_max)
            && self.reads_gemini()
        {
            gemini_generate::read::usage(&mut self.notes, &mut walk);
            return true;
        }
        let Some(mut walk) = tail::last_object(fragment, "usage", depth_max) else {
            return false;
        };
        self.notes.tokens.read(&mut walk)
    }

    fn reads_gemini(&self) -> bool {
        matches!(self.form, Form::Known(Dialect::Gemini) | Form::Opaque(_))
    }
}

fn read_event(form: Form, notes: &mut Notes, data: &[u8]) -> Content {
    match form {
        Form::Known(Dialect::OpenAiChat) => openai_chat::read::event(notes, data),
        Form::Known(Dialect::OpenAiResponses) => openai_responses::read::event(notes, data),
        Form::Known(Dialect::OpenAiEmbeddings) => openai_embeddings::read::event(notes, data),
        Form::Known(Dialect::Anthropic) => anthropic_messages::read::event(notes, data),
        Form::Known(Dialect::Gemini) => gemini_generate::read::event(notes, data),
        Form::Opaque(_) => opaque::event(notes, data),
        Form::Unbilled => Content::NONE,
    }
}

fn read_document(dialect: Dialect, notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    match dialect {
        Dialect::OpenAiChat => openai_chat::read::document(notes, walk),
        Dialect::OpenAiResponses => openai_responses::read::document(notes, walk),
        Dialect::OpenAiEmbeddings => openai_embeddings::read::document(notes, walk),
        Dialect::Anthropic => anthropic_messages::read::document(notes, walk),
        Dialect::Gemini => gemini_generate::read::document(notes, walk),
    }
}

fn error_alone(notes: &mut Notes, walk: &mut Walk<'_>) {
    walk.members(|walk, key| {
        if key == b"error" {
            notes.error(walk);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::usage::{TOKENS_MAX, Usage};
    use proptest::prelude::*;

    const CHUNK: &str = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
    const USAGE: &str =
        r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;

    fn tokens(input: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }

    /// Reads `before`, misses some bytes, and reads `after`: whole, byte by byte, and cut at every position.
    fn read_around_a_hole(dialect: Dialect, before: &str, after: &str) -> (Reading, usize) {
        let read = |pieces: &[&[u8]]| {
            let mut reader = Reader::new(dialect, Operation::Chat, true);
            let mut contents = 0;
            reader.feed(1, before.as_bytes(), &mut |_, _| contents += 1);
            reader.skip();
            for piece in pieces {
                reader.feed(2, piece, &mut |_, _| contents += 1);
            }
            (reader.finish(), contents)
        };
        let after = after.as_bytes();
        let whole = read(&[after]);
        let single: Vec<&[u8]> = after.chunks(1).collect();
        assert_eq!(read(&single), whole, "byte by byte");
        for cut in 0..=after.len() {
            let (left, right) = after.split_at(cut);
            assert_eq!(read(&[left, right]), whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn half_events_around_a_hole_are_dropped_and_the_rest_is_read() {
        let before = format!("{CHUNK}\n\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"lost");
        let after = format!("st\"}}}}]}}\n\n{CHUNK}\n\n{USAGE}\n\ndata: [DONE]\n\n");
        let (reading, contents) = read_around_a_hole(Dialect::OpenAiChat, &before, &after);
        assert_eq!((reading.usage, reading.ended, contents), (Some(tokens(7, 3)), true, 2));
        assert_eq!(reading.words, "hihi");
    }

    #[test]
    fn an_event_that_begins_after_the_hole_is_whole() {
        let (reading, contents) = read_around_a_hole(
            Dialect::OpenAiChat,
            "data: lost",
            &format!("{CHUNK}\r\n\r\n{USAGE}\r\n\r\n"),
        );
        assert_eq!((reading.usage, reading.ended, contents), (Some(tokens(7, 3)), false, 1));
    }

    #[test]
    fn usage_is_read_from_the_end_of_an_event_whose_front_is_missing() {
        let end = |status| {
            format!(
                r#"of it","usage":{{"x":1}}}}],"{status}":null,"usage":{{"input_tokens":7,"output_tokens":3}},"metadata":{{}}}},"sequence_number":9}}"#
            )
        };
        for after in [format!("{}\n\n", end("error")), end("error"), format!("{}\r\r", end("x"))] {
            let (reading, _) = read_around_a_hole(Dialect::OpenAiResponses, "", &after);
            assert_eq!((reading.usage, reading.ended), (Some(tokens(7, 3)), true), "{after}");
        }
        let nothing = "of it\",\"usage\":null}}\n\n";
        let (reading, _) = read_around_a_hole(Dialect::OpenAiResponses, "", nothing);
        assert_eq!((reading.usage, reading.ended), (None, false));
    }

    fn read_end(dialect: Dialect, operation: Operation, tail: &str) -> Reading {
        let mut reader = Reader::new(dialect, operation, false);
        reader.document_end(tail.as_bytes());
        reader.finish()
    }

    #[test]
    fn usage_is_read_from_the_end_of_a_document() {
        use Operation::{Chat, Embeddings, Opaque};
        for (dialect, operation, tail, input) in [
            (
                Dialect::OpenAiEmbeddings,
                Embeddings,
                r#".25]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}"#,
                7,
            ),
            (
                Dialect::OpenAiChat,
                Chat,
                r#"ng\"}}]},"usage":{"a":1}}}],"usage":{"prompt_tokens":7},"system_fingerprint":"f"}"#,
                7,
            ),
            (
                Dialect::Anthropic,
                Chat,
                "t\"}],\"usage\":{\"input_tokens\":7,\"cache_read_input_tokens\":5}}\n",
                12,
            ),
            (
                Dialect::Gemini,
                Chat,
                r#"AA"}}]}}],"usageMetadata":{"promptTokenCount":7},"responseId":"r"}]"#,
                7,
            ),
            (Dialect::OpenAiChat, Opaque, r#"AAA"}],"usage":{"input_tokens":7}}"#, 7),
            (Dialect::Gemini, Opaque, r#"A"}}]}}],"usageMetadata":{"promptTokenCount":7}}"#, 7),
        ] {
            let reading = read_end(dialect, operation, tail);
            assert_eq!(reading.usage.and_then(|usage| usage.input), Some(input), "{tail}");
            assert!(reading.ended, "{tail}");
        }
        let reading = read_end(Dialect::OpenAiChat, Chat, "[0.1,0.2,0.3");
        assert_eq!((reading.usage, reading.ended), (None, false));
        let stored = r#"x"}],"usage":{"input_tokens":7}}"#;
        let reading = read_end(Dialect::OpenAiResponses, Opaque, stored);
        assert_eq!(reading.billing, Billing::Fetched);
    }

    #[test]
    fn the_lines_left_of_a_long_batch_are_a_partial_sum() {
        let line = r#"{"custom_id":"a","result":{"type":"succeeded","message":{"usage":{"input_tokens":7,"output_tokens":3}}}}"#;
        let tail = format!("put_tokens\":5}}}}}}}}\n{line}\n{line}\n");
        let reading = read_end(Dialect::Anthropic, Operation::Opaque, &tail);
        assert_eq!((reading.usage, reading.ended), (Some(tokens(14, 6)), false));
        assert_eq!(reading.billing, Billing::Fetched);
    }

    #[test]
    fn a_stream_under_another_content_type_is_still_a_stream() {
        let mut reader = Reader::new(Dialect::OpenAiChat, Operation::Chat, false);
        let content = reader.document(format!("{CHUNK}\n\n{USAGE}\n\ndata: [DONE]\n\n").as_bytes());
        let reading = reader.finish();
        assert_eq!(content, Content::TEXT);
        assert_eq!((reading.usage, reading.ended), (Some(tokens(7, 3)), true));
    }

    #[test]
    fn limits_hold() {
        let mut reader = Reader::new(Dialect::OpenAiChat, Operation::Chat, true);
        let long = "é".repeat(500_000);
        for call in 0..100 {
            let event = format!(
                "data: {{\"id\":\"{long}\",\"choices\":[{{\"index\":{call},\"delta\":{{\"content\":\"{long}\",\"tool_calls\":[{{\"index\":{call},\"id\":\"{call}\",\"function\":{{\"name\":\"t{call}\"}}}}]}}}}]}}\n\n"
            );
            reader.feed(0, event.as_bytes(), &mut |_, _| ());
            if call == 6 {
                break;
            }
        }
        for call in 7..3_000 {
            let event = format!(
                "data: {{\"choices\":[{{\"index\":{call},\"finish_reason\":\"stop\",\"delta\":{{\"tool_calls\":[{{\"index\":{call},\"id\":\"{call}\",\"function\":{{\"name\":\"t{call}\"}}}}]}}}}]}}\n\n"
            );
            reader.feed(0, event.as_bytes(), &mut |_, _| ());
        }
        let reading = reader.finish();
        assert_eq!(reading.words.len(), Reading::WORDS_MAX);
        assert_eq!(reading.words_cut, 7 * 1_000_000 - Reading::WORDS_MAX as u64);
        assert_eq!(reading.tools.len(), Reading::TOOLS_MAX);
        assert!(reading.response_id.is_some_and(|id| id.len() == 256));
        assert_eq!(reading.finish_reasons.len(), 128);
    }

    /// Numbers that no provider should send.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("-1".to_owned()),
            Just("9223372036854775808".to_owned()),
            Just("18446744073709551616".to_owned()),
            Just("1e999".to_owned()),
            Just("-1e999".to_owned()),
            Just("NaN".to_owned()),
            Just("12.0".to_owned()),
            Just("0.5".to_owned()),
            Just("\"7\"".to_owned()),
            Just("{\"a\":{}}".to_owned()),
            Just("[[1]]".to_owned()),
            Just("null".to_owned()),
            Just("true".to_owned()),
            (0..=2 * TOKENS_MAX).prop_map(|number| number.to_string()),
            (0..50_u64).prop_map(|number| number.to_string()),
            "[-+0-9.eE]{1,12}",
        ]
    }

    const NAMES: &[&str] = &[
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "output_tokens_details",
        "cached_tokens",
        "reasoning_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "ephemeral_1h_input_tokens",
        "image_tokens",
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "cachedContentTokenCount",
        "totalTokenCount",
        "promptTokensDetails",
        "inputTokens",
        "cacheReadInputTokens",
        "server_tool_use",
        "web_search_requests",
    ];

    /// Members that mean something, in each other's places.
    fn object() -> impl Strategy<Value = String> {
        let member = |value: BoxedStrategy<String>| {
            prop::collection::vec((prop::sample::select(NAMES), value), 0..6).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            })
        };
        member(prop_oneof![4 => hostile(), 1 => member(hostile().boxed())].boxed())
    }

    fn event() -> impl Strategy<Value = String> {
        let frames = prop::sample::select(
            &[
                r#"{"choices":[],"usage":@}"#,
                r#"{"choices":[{"index":@,"delta":{"content":"x","tool_calls":[{"index":@,"function":{"name":"f","arguments":@}}]},"usage":@,"finish_reason":@}],"x_groq":{"usage":@}}"#,
                r#"{"type":"message_start","message":{"usage":@,"content":@}}"#,
                r#"{"type":"message_delta","usage":@,"delta":{"stop_reason":@,"text":"x"}}"#,
                r#"{"type":"content_block_start","content_block":@}"#,
                r#"{"type":"response.completed","response":{"status":"completed","usage":@,"output":[@,{"type":"function_call","name":@}]}}"#,
                r#"{"type":"response.output_item.added","output_index":@,"item":@}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"x"},@]},"index":@}],"usageMetadata":@}"#,
                r#"{"object":"batch","status":"completed","usage":@}"#,
                r#"{"error":@}"#,
                "@",
                "[DONE]",
            ][..],
        );
        (frames, prop::collection::vec(prop_oneof![3 => object(), 1 => hostile()], 8)).prop_map(
            |(frame, values)| {
                let mut values = values.iter().cycle();
                frame.split('@').collect::<Vec<_>>().iter().enumerate().fold(
                    String::new(),
                    |mut made, (at, piece)| {
                        if at > 0 {
                            made.push_str(values.next().map_or("", String::as_str));
                        }
                        made.push_str(piece);
                        made
                    },
                )
            },
        )
    }

    /// What holds for every reading, whatever was sent.
    fn is_sane(reading: &Reading) -> bool {
        let usage = reading.usage.unwrap_or_default();
        let within = |part: Option<u64>, whole: Option<u64>| {
            part.is_none_or(|part| {
                part <= 64 * TOKENS_MAX && whole.is_none_or(|whole| part <= whole)
            })
        };
        let oddities = &reading.oddities;
        let once = oddities.iter().enumerate().all(|(at, one)| !oddities[..at].contains(one));
        within(usage.input, None)
            && within(usage.output, None)
            && within(usage.cache_read, usage.input)
            && within(usage.cache_write, usage.input)
            && within(usage.cache_write_1h, usage.cache_write)
            && within(usage.reasoning, usage.output)
            && within(usage.image_input, usage.input)
            && within(usage.audio_output, usage.output)
            && once
    }

    proptest! {
        #[test]
        fn hostile_streams_read_the_same_in_any_cut(
            events in prop::collection::vec(event(), 1..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut stream: Vec<u8> = events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect();
            if let Some((at, byte)) = damage {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            for dialect in Dialect::ALL {
                for operation in [Operation::Chat, Operation::Opaque] {
                    let mut whole = Reader::new(dialect, operation, true);
                    whole.feed(0, &stream, &mut |_, _| ());
                    let mut pieces = Reader::new(dialect, operation, true);
                    for pair in places.windows(2) {
                        pieces.feed(0, &stream[pair[0]..pair[1]], &mut |_, _| ());
                    }
                    let (whole, pieces) = (whole.finish(), pieces.finish());
                    prop_assert!(is_sane(&whole), "{whole:?}");
                    prop_assert_eq!(whole, pieces);
                }
            }
        }

        #[test]
        fn hostile_documents_are_read(documents in prop::collection::vec(event(), 1..3), cut in any::<prop::sample::Index>()) {
            let text = documents.join("\n");
            let text = text.as_bytes();
            let (front, tail) = text.split_at(cut.index(text.len() + 1));
            for dialect in Dialect::ALL {
                for operation in [Operation::Chat, Operation::Embeddings, Operation::Opaque, Operation::CountTokens] {
                    for body in [text, front] {
                        let mut reader = Reader::new(dialect, operation, true);
                        reader.document(body);
                        prop_assert!(is_sane(&reader.finish()));
                    }
                    let mut reader = Reader::new(dialect, operation, true);
                    reader.document_end(tail);
                    prop_assert!(is_sane(&reader.finish()));
                }
            }
        }
    }
}
