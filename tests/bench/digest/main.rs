//! What reading an answer costs: nanoseconds for each event of a stream, by dialect. Goal: under 300; past that and what a
//! noisy machine explains it ends with a failure.
//!
//! The streams are made here, in the shape and length that providers send: words of a few letters, now and then an
//! escape, every member that real events have. Each is fed the two ways it comes: an event a piece, and in pieces of
//! 1,400 bytes (a packet), which cut events anywhere. The figure is the least of the rounds, because on a shared machine
//! every other one holds somebody else's work.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;

use pinhole::base::clock;
use pinhole::dialect::reader::Reader;
use pinhole::neutral::kind::{Dialect, Operation};

const EVENTS: usize = 2_000;
const ROUNDS: usize = 200;
const PACKET_BYTES: usize = 1_400;

/// Limit: nanoseconds of one event.
const BUDGET_NS: f64 = 300.0;
/// How far over its budget a figure may be on a machine with other work before that counts as a miss.
const NOISE: f64 = 2.0;

const WORDS: &[&str] = &[
    " the",
    " token",
    " is",
    " a",
    " gateway",
    "\\n\\n",
    " —",
    " \\\"quoted\\\"",
    ".",
    " reads",
    " é",
    " stream",
    " of",
    " events",
    ",",
    " counted",
];

/// A stream of one dialect.
struct Sample {
    name: &'static str,
    dialect: Dialect,
    operation: Operation,
    /// One event each, with its blank line.
    events: Vec<String>,
}

fn main() -> ExitCode {
    // Test runners ask every target for its tests; a benchmark has none.
    if std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let mut missed = false;
    println!("{:<28}{:>12}{:>14}{:>14}", "stream", "bytes/event", "event a piece", "packets");
    for sample in samples() {
        let bytes: usize = sample.events.iter().map(String::len).sum();
        let by_event: Vec<&[u8]> = sample.events.iter().map(String::as_bytes).collect();
        let whole = sample.events.concat();
        let packets: Vec<&[u8]> = whole.as_bytes().chunks(PACKET_BYTES).collect();
        let figures = [nanoseconds(&sample, &by_event), nanoseconds(&sample, &packets)];
        let [by_event, packets] = figures;
        println!(
            "{:<28}{:>12}{by_event:>11.0} ns{packets:>11.0} ns",
            sample.name,
            bytes / sample.events.len(),
        );
        missed |= figures.iter().any(|figure| *figure > BUDGET_NS * NOISE);
    }
    if missed {
        println!("missed: an event took more than {NOISE} times its budget of {BUDGET_NS} ns");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The least time of the rounds, for one event.
fn nanoseconds(sample: &Sample, pieces: &[&[u8]]) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = clock::now();
        let mut reader = Reader::new(sample.dialect, sample.operation, false);
        let mut contents = 0_usize;
        for (at, piece) in pieces.iter().enumerate() {
            reader.feed(at as u64, black_box(piece), &mut |_, content| {
                contents += usize::from(!content.is_none());
            });
        }
        let reading = black_box(reader.finish());
        let took = start.elapsed().as_secs_f64() * 1e9;
        least = least.min(took / sample.events.len() as f64);
        assert!(reading.ended && reading.usage.is_some(), "{} is not whole", sample.name);
        assert!(contents + 10 > sample.events.len(), "{} lacks contents", sample.name);
    }
    least
}

fn samples() -> Vec<Sample> {
    let chat = |operation, name| Sample {
        name,
        dialect: Dialect::OpenAiChat,
        operation,
        events: chat_stream(),
    };
    vec![
        chat(Operation::Chat, "openai_chat"),
        Sample {
            name: "openai_chat, tool arguments",
            dialect: Dialect::OpenAiChat,
            operation: Operation::Chat,
            events: chat_tool_stream(),
        },
        Sample {
            name: "openai_responses",
            dialect: Dialect::OpenAiResponses,
            operation: Operation::Chat,
            events: responses_stream(),
        },
        Sample {
            name: "anthropic",
            dialect: Dialect::Anthropic,
            operation: Operation::Chat,
            events: anthropic_stream(),
        },
        Sample {
            name: "gemini",
            dialect: Dialect::Gemini,
            operation: Operation::Chat,
            events: gemini_stream(),
        },
        chat(Operation::Opaque, "opaque (chat's events)"),
    ]
}

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.iter().copied().cycle().take(EVENTS)
}

fn chat_chunk(choices: &str, usage: &str) -> String {
    format!(
        r#"data: {{"id":"chatcmpl-CdRk2vJ0qYHkZQXw8b1TtP4mS6uLa","object":"chat.completion.chunk","created":1763600000,"model":"gpt-5-mini-2025-08-07","service_tier":"default","system_fingerprint":"fp_560af6e559","choices":{choices},"usage":{usage},"obfuscation":"x9KqLm"}}"#
    ) + "\n\n"
}

const CHAT_USAGE: &str = r#"{"prompt_tokens":2006,"completion_tokens":2000,"total_tokens":4006,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

fn chat_stream() -> Vec<String> {
    let mut events = vec![chat_chunk(
        r#"[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]"#,
        "null",
    )];
    events.extend(words().map(|word| {
        let delta =
            format!(r#"[{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}]"#);
        chat_chunk(&delta, "null")
    }));
    events.push(chat_chunk(r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#, "null"));
    events.push(chat_chunk("[]", CHAT_USAGE));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn chat_tool_stream() -> Vec<String> {
    let mut events = vec![chat_chunk(
        r#"[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_3kX1","type":"function","function":{"name":"write_file","arguments":""}}]},"finish_reason":null}]"#,
        "null",
    )];
    events.extend(words().map(|word| {
        let delta = format!(
            r#"[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"function":{{"arguments":"{word}"}}}}]}},"finish_reason":null}}]"#
        );
        chat_chunk(&delta, "null")
    }));
    events.push(chat_chunk(r#"[{"index":0,"delta":{},"finish_reason":"tool_calls"}]"#, "null"));
    events.push(chat_chunk("[]", CHAT_USAGE));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn named(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn responses_stream() -> Vec<String> {
    let response = |status: &str, usage: &str| {
        format!(
            r#"{{"type":"response.{status}","sequence_number":0,"response":{{"id":"resp_68a1","object":"response","created_at":1763600000,"status":"{status}","background":false,"error":null,"incomplete_details":null,"instructions":"You are a helpful assistant.","max_output_tokens":null,"model":"gpt-5-2025-08-07","output":[],"parallel_tool_calls":true,"reasoning":{{"effort":"medium","summary":null}},"service_tier":"auto","store":true,"temperature":1.0,"text":{{"format":{{"type":"text"}}}},"tools":[],"usage":{usage},"metadata":{{}}}}}}"#
        )
    };
    let mut events = vec![named("response.created", &response("created", "null"))];
    for (number, word) in words().enumerate() {
        let data = format!(
            r#"{{"type":"response.output_text.delta","sequence_number":{number},"item_id":"msg_68a1f2c4b8d481a0b3c5d7e9f1a2b3c4","output_index":0,"content_index":0,"delta":"{word}","logprobs":[],"obfuscation":"Zq81nTuP"}}"#
        );
        events.push(named("response.output_text.delta", &data));
    }
    let usage = r#"{"input_tokens":328,"input_tokens_details":{"cached_tokens":128},"output_tokens":2000,"output_tokens_details":{"reasoning_tokens":40},"total_tokens":2328}"#;
    events.push(named("response.completed", &response("completed", usage)));
    events
}

fn anthropic_stream() -> Vec<String> {
    let mut events = vec![
        named(
            "message_start",
            r#"{"type":"message_start","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-opus-4-8","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":4000,"output_tokens":1}}}"#,
        ),
        named(
            "content_block_start",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ),
    ];
    for word in words() {
        let data = format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{word}"}}}}"#
        );
        events.push(named("content_block_delta", &data));
    }
    events.push(named("content_block_stop", r#"{"type":"content_block_stop","index":0}"#));
    events.push(named(
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2000}}"#,
    ));
    events.push(named("message_stop", r#"{"type":"message_stop"}"#));
    events
}

fn gemini_stream() -> Vec<String> {
    let mut events = Vec::new();
    for (number, word) in words().enumerate() {
        let mut event = String::new();
        let finish = if number + 1 == EVENTS { r#""finishReason":"STOP","# } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            event,
            r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":"{word}"}}],"role":"model"}},{finish}"index":0}}],"usageMetadata":{{"promptTokenCount":1000,"candidatesTokenCount":{number},"totalTokenCount":1100,"promptTokensDetails":[{{"modality":"TEXT","tokenCount":1000}}],"thoughtsTokenCount":100}},"modelVersion":"gemini-3.5-pro","responseId":"4f8kaZqVLrKJmtkP"}}"#
        );
        event.push_str("\r\n\r\n");
        events.push(event);
    }
    events
}
