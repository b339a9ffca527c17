//! Mooncake's traces, a request a line: `{"timestamp", "input_length", "output_length", "hash_ids"}`, times in milliseconds,
//! lengths in tokens. AIPerf's form of them may have words in place of lengths, and turns:
//! `{"session_id", "timestamp" or "delay", "messages" or "text_input", "tools", "output_length"}`.
//!
//! Where there are only lengths the words are made here, the same ones each time: a block's are drawn from its hash, so two
//! prompts have the same beginning exactly as far as their ids are the same. Each word is one token of o200k.

use std::collections::HashMap;
use std::io::BufRead;

use pinhole_replay::dice::Dice;
use pinhole_replay::recording::{Body, Recording, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::report::formats::import::asked::request;
use crate::report::formats::import::lines::{Line, each, too_long};
use crate::report::formats::import::{Found, Place, ReadError};

/// A trace's times count from its own zero; here that is 2000-01-01.
const ZERO_US: i64 = 946_684_800_000_000;
/// Limit: milliseconds from there, a hundred years.
const TIME_MAX_MS: f64 = 3_155_760_000_000.0;
/// Limit: tokens of one prompt or answer.
const TOKENS_MAX: u64 = 4_000_000;
/// Tokens that one hash stands for: Mooncake's, WEKA's, Bailian's.
const BLOCKS: [u64; 3] = [512, 64, 16];
/// What stands as the model until a target's does.
const MODEL: &str = "trace";
const PATH: &str = "/v1/chat/completions";

/// A prompt of which only lengths are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// What each block is drawn from, and its tokens.
    blocks: Vec<(u64, u64)>,
    /// The most tokens that the answer may have.
    cap: Option<u64>,
}

impl Lengths {
    /// The request, with words for the lengths.
    pub fn body(&self) -> Body {
        let words: String = self.blocks.iter().map(|(id, tokens)| text(*id, *tokens)).collect();
        let said = json!([{"role": "user", "content": words}]);
        Body::of(chat(said, None, self.cap).to_string().into_bytes())
    }
}

fn chat(messages: Value, tools: Option<Value>, cap: Option<u64>) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), MODEL.into());
    body.insert("messages".to_owned(), messages);
    if let Some(tools) = tools {
        body.insert("tools".to_owned(), tools);
    }
    if let Some(cap) = cap {
        body.insert("max_completion_tokens".to_owned(), cap.into());
    }
    body.insert("stream".to_owned(), true.into());
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    Value::Object(body)
}

/// The words of a block: a longer one begins with those of a shorter one.
fn text(id: u64, tokens: u64) -> String {
    let mut dice = Dice::of(id, "trace");
    let mut text = String::new();
    for _ in 0..tokens {
        let drawn = usize::try_from(dice.below(WORDS.len() as u64)).unwrap_or_default();
        text.push(' ');
        text.push_str(WORDS.get(drawn).copied().unwrap_or_default());
    }
    text
}

#[derive(Deserialize)]
struct Traced<'a> {
    session_id: Option<String>,
    timestamp: Option<f64>,
    delay: Option<f64>,
    input_length: Option<u64>,
    output_length: Option<u64>,
    hash_ids: Option<Vec<u64>>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    text_input: Option<String>,
}

pub(super) fn read(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    let mut clock = HashMap::new();
    each(from, &mut |number, line| {
        let place = Place::Line(number);
        let text = match line {
            Line::TooLong => return found(too_long(place)),
            Line::Text(text) => text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
        };
        found(match one(number, text, &mut clock) {
            Ok((recording, None)) => Found::Recording(Box::new(recording)),
            Ok((recording, Some(lengths))) => Found::Lengths(Box::new(recording), lengths),
            Err(reason) => Found::Damaged { place, reason },
        })
    })
}

/// `clock`: by session, when its last turn was.
fn one(
    number: u64,
    line: &[u8],
    clock: &mut HashMap<String, i64>,
) -> Result<(Recording, Option<Lengths>), String> {
    let line: Traced<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let (input, cap) = (line.input_length, line.output_length.filter(|tokens| *tokens > 0));
    if let Some(tokens) = input.into_iter().chain(cap).find(|tokens| *tokens > TOKENS_MAX) {
        return Err(format!("{tokens} tokens are over the limit of {TOKENS_MAX}"));
    }
    let read = |raw: &RawValue| -> Result<Value, String> {
        serde_json::from_str(raw.get()).map_err(|error| error.to_string())
    };
    let tools = line.tools.map(read).transpose()?;
    let said = match (line.messages, &line.text_input) {
        (Some(messages), _) => Some(read(messages)?),
        (None, Some(text)) => Some(json!([{"role": "user", "content": text}])),
        (None, None) => None,
    };
    let (body, lengths) = match (said, input) {
        (Some(messages), _) => (chat(messages, tools, cap).to_string(), None),
        (None, Some(input)) => {
            let blocks = blocks(number, input, line.hash_ids.unwrap_or_default());
            ("{}".to_owned(), Some(Lengths { blocks, cap }))
        }
        (None, None) => return Err("it has neither input_length nor messages".to_owned()),
    };
    let mut recording = request(format!("line-{number}"), PATH, &body)?;
    if lengths.is_some() {
        recording.request.body = Body::default();
        recording.stream = true;
    }
    recording.started_at_us = started(line.timestamp, line.delay, line.session_id.as_ref(), clock)?;
    recording.model_requested = None;
    recording.session = line.session_id;
    let tokens = |tokens: Option<u64>| tokens.and_then(|tokens| i64::try_from(tokens).ok());
    recording.usage = Some(Usage { input: tokens(input), output: tokens(cap), ..Usage::default() });
    Ok((recording, lengths))
}

/// When it was sent: at its time, or so long after the turn before it; 0: it does not say.
fn started(
    timestamp: Option<f64>,
    delay: Option<f64>,
    session: Option<&String>,
    clock: &mut HashMap<String, i64>,
) -> Result<i64, String> {
    let micros = |ms: f64| {
        let is_time = (0.0..=TIME_MAX_MS).contains(&ms);
        is_time.then(|| (ms * 1_000.0).round() as i64).ok_or_else(|| {
            format!("{ms} is no time in milliseconds from the beginning of the trace")
        })
    };
    let before = session.and_then(|session| clock.get(session)).copied();
    let at = match (timestamp, delay, before) {
        (Some(at), ..) => ZERO_US + micros(at)?,
        (None, Some(delay), Some(before)) => before.saturating_add(micros(delay)?),
        (None, _, _) => return Ok(0),
    };
    if let Some(session) = session {
        clock.insert(session.clone(), at);
    }
    Ok(at)
}

/// What each block is drawn from, and its tokens: all of them are full but the last.
fn blocks(line: u64, tokens: u64, ids: Vec<u64>) -> Vec<(u64, u64)> {
    if ids.is_empty() {
        // Nothing is known of what it shares: it shares nothing, also not with an id.
        return vec![(line.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63, tokens)];
    }
    let count = ids.len() as u64;
    let even = || tokens.div_ceil(count).max(1);
    let size = BLOCKS.into_iter().find(|size| tokens.div_ceil(*size) == count).unwrap_or_else(even);
    let mut left = tokens;
    let block = |id| {
        let own = left.min(size);
        left -= own;
        (id, own)
    };
    ids.into_iter().map(block).filter(|(_, tokens)| *tokens > 0).collect()
}

/// Words that are one token of o200k each, with the space before them.
const WORDS: [&str; 160] = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "government",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
    "end",
    "member",
    "law",
    "car",
    "city",
    "community",
    "name",
    "president",
    "team",
    "minute",
    "idea",
    "kid",
    "body",
    "information",
    "back",
    "parent",
    "face",
    "others",
    "level",
    "office",
    "door",
    "health",
    "person",
    "art",
    "war",
    "history",
    "party",
    "result",
    "change",
    "morning",
    "reason",
    "research",
    "girl",
    "guy",
    "moment",
    "air",
    "teacher",
    "force",
    "education",
    "foot",
    "boy",
    "age",
    "policy",
    "music",
    "market",
    "sense",
    "nation",
    "plan",
    "college",
    "interest",
    "death",
    "experience",
    "effect",
    "use",
    "class",
    "control",
    "care",
    "field",
    "development",
    "role",
    "effort",
    "rate",
    "heart",
    "drug",
    "show",
    "leader",
    "light",
    "voice",
    "wife",
    "police",
    "mind",
    "price",
    "report",
    "decision",
    "son",
    "view",
    "relationship",
    "town",
    "road",
    "arm",
    "difference",
    "value",
    "building",
    "action",
    "season",
    "society",
    "tax",
    "director",
    "position",
    "player",
    "record",
    "paper",
    "space",
    "ground",
    "form",
    "event",
    "matter",
    "center",
    "couple",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::report::formats::import::Source;

    fn found(text: &str) -> Vec<Result<(Recording, Option<Lengths>), String>> {
        assert_eq!(Source::guess(text.as_bytes()), Some(Source::Mooncake), "{text}");
        let mut all = Vec::new();
        crate::report::formats::import::read(&mut text.as_bytes(), None, &mut |one| {
            all.push(match one {
                Found::Recording(recording) => Ok((*recording, None)),
                Found::Lengths(recording, lengths) => Ok((*recording, Some(lengths))),
                Found::Damaged { place, reason } => Err(format!("{place}: {reason}")),
                other => panic!("{other:?}"),
            });
            true
        })
        .unwrap();
        all
    }

    fn prompt(lengths: &Lengths) -> String {
        let Body::Whole(whole) = lengths.body() else { panic!("no body") };
        let body: Value = serde_json::from_slice(&whole.bytes).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    }

    fn lengths(text: &str) -> Vec<Lengths> {
        found(text).into_iter().map(|one| one.unwrap().1.unwrap()).collect()
    }

    #[test]
    fn a_word_is_a_token() {
        let tables = tiktoken::encoding::o200k_base();
        for word in WORDS {
            assert_eq!(tables.count(&format!(" {word}")), 1, "{word}");
        }
        let unlike: HashSet<&str> = WORDS.into_iter().collect();
        assert_eq!(unlike.len(), WORDS.len());
        let trace = r#"{"timestamp":0,"input_length":1300,"output_length":7,"hash_ids":[1,2,3]}"#;
        assert_eq!(tables.count(&prompt(&lengths(trace)[0])), 1_300);
    }

    #[test]
    fn prompts_share_what_their_ids_share_and_nothing_else() {
        let all = lengths(
            "{\"timestamp\":0,\"input_length\":1300,\"output_length\":7,\"hash_ids\":[10,11,12]}\n\
             {\"timestamp\":5,\"input_length\":1536,\"output_length\":7,\"hash_ids\":[10,11,13]}\n\
             {\"timestamp\":9,\"input_length\":1100,\"output_length\":7,\"hash_ids\":[10,11,12]}\n\
             {\"timestamp\":9,\"input_length\":600,\"output_length\":7}\n\
             {\"timestamp\":9,\"input_length\":600,\"output_length\":7}\n",
        );
        let texts: Vec<String> = all.iter().map(prompt).collect();
        let words = |n: usize| texts[n].split(' ').skip(1).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(|n| words(n).len()), [1_300, 1_536, 1_100, 600]);
        assert_eq!(words(0)[..1_024], words(1)[..1_024]);
        assert_ne!(words(0)[1_024..1_034], words(1)[1_024..1_034]);
        assert!(texts[0].starts_with(&texts[2]), "the same block, less of it");
        assert_ne!(words(3)[..10], words(4)[..10], "lines without ids share nothing");
        let again = lengths("{\"timestamp\":0,\"input_length\":520,\"hash_ids\":[10,99]}");
        assert!(texts[0].starts_with(&prompt(&again[0])[..2_000]), "in any file");
    }

    #[test]
    fn blocks_of_any_size_come_to_the_length() {
        for (tokens, ids, expected) in [
            (1_300, 3, vec![512, 512, 276]),
            (40, 3, vec![16, 16, 8]),
            (130, 3, vec![64, 64, 2]),
            (10, 1, vec![10]),
            (2_000, 2, vec![1_000, 1_000]),
            (2, 5, vec![1, 1]),
        ] {
            let made = blocks(1, tokens, (0..ids).collect());
            let sizes: Vec<u64> = made.iter().map(|(_, tokens)| *tokens).collect();
            assert_eq!(sizes, expected, "{tokens} in {ids}");
        }
    }

    #[test]
    fn times_lengths_and_sessions_are_the_traces() {
        let all = found(
            "{\"timestamp\":27482,\"input_length\":6955,\"output_length\":52,\"hash_ids\":[46]}\n\
             {\"session_id\":\"s\",\"timestamp\":1500.5,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[1],\"output_length\":9}\n\
             {\"session_id\":\"s\",\"delay\":250,\"text_input\":\"b\"}\n\
             {\"session_id\":\"t\",\"delay\":250,\"text_input\":\"c\"}\n",
        );
        let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
        let times: Vec<i64> = all.iter().map(|(one, _)| one.started_at_us).collect();
        let turn = ZERO_US + 1_500_500;
        assert_eq!(times, [ZERO_US + 27_482_000, turn, turn + 250_000, 0]);
        let usage = all[0].0.usage.as_ref().unwrap();
        assert_eq!((usage.input, usage.output), (Some(6_955), Some(52)));
        assert_eq!((all[0].0.session.as_deref(), all[1].0.session.as_deref()), (None, Some("s")));
        let body: Value =
            serde_json::from_slice(&all[1].0.client_request().unwrap().bytes).unwrap();
        assert_eq!((&body["max_completion_tokens"], &body["tools"]), (&json!(9), &json!([1])));
        assert_eq!((&body["stream"], &body["messages"][0]["content"]), (&json!(true), &json!("a")));
        assert!(all[0].0.client_request().is_none(), "words are made when they are sent");
    }

    #[test]
    fn what_is_no_line_of_a_trace_is_named() {
        let all = found(
            "{\"timestamp\":1,\"input_length\":5}\n{\"timestamp\":-1,\"input_length\":5}\n{\"timestamp\":1}\n\
             {\"timestamp\":1,\"input_length\":99000000}\n{\"timestamp\":1,\"input_length\":5,\"hash_ids\":[\"x\"]}\nno\n",
        );
        assert!(all[0].is_ok());
        for (n, words) in [
            (1, "line 2: -1 is no time"),
            (2, "line 3: it has neither"),
            (3, "over the limit of 4000000"),
            (4, "line 5"),
            (5, "line 6"),
        ] {
            assert!(all[n].as_ref().unwrap_err().contains(words), "{:?}", all[n]);
        }
    }
}
