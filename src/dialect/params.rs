//! The parameters of a request that traces show. Lenient: what is of another type than it should be is left out.

use crate::base::json::{Kind, Walk};
use crate::neutral::kind::Dialect;

/// Limit: stop sequences, encoding formats.
const LIST_MAX: usize = 16;
/// Limit: bytes of one text.
const TEXT_BYTES_MAX: usize = 256;

/// What a request asks for besides its words. Absent: not said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub max_tokens: Option<u64>,
    pub stop_sequences: Vec<String>,
    pub seed: Option<i64>,
    /// How many answers are wanted.
    pub choice_count: Option<u64>,
    pub reasoning_level: Option<String>,
    pub previous_response_id: Option<String>,
    pub service_tier: Option<String>,
    /// `json`, `text`, `image` or `speech`.
    pub output_type: Option<&'static str>,
    pub encoding_formats: Vec<String>,
    pub dimensions: Option<u64>,
}

/// Reads the parameters of a request's body.
pub fn params(dialect: Dialect, body: &[u8]) -> Params {
    let mut params = Params::default();
    Walk::new(body).members(|walk, key| match (dialect, key) {
        (Dialect::Gemini, b"generationConfig" | b"generation_config") => {
            walk.members(|walk, key| gemini(&mut params, walk, key));
        }
        (Dialect::Gemini, b"outputDimensionality") => params.dimensions = count(walk),
        (Dialect::Gemini, b"serviceTier") => params.service_tier = text(walk),
        (Dialect::Gemini, _) => {}
        _ => openai_or_anthropic(&mut params, walk, key),
    });
    params
}

fn openai_or_anthropic(params: &mut Params, walk: &mut Walk<'_>, key: &[u8]) {
    match key {
        b"temperature" => params.temperature = walk.number(),
        b"top_p" => params.top_p = walk.number(),
        b"top_k" => params.top_k = walk.number(),
        b"frequency_penalty" => params.frequency_penalty = walk.number(),
        b"presence_penalty" => params.presence_penalty = walk.number(),
        b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens" => {
            params.max_tokens = count(walk).or(params.max_tokens);
        }
        b"stop" | b"stop_sequences" => params.stop_sequences = texts(walk),
        b"seed" => params.seed = whole(walk),
        b"n" => params.choice_count = count(walk),
        b"reasoning_effort" => params.reasoning_level = text(walk),
        b"reasoning" | b"output_config" => {
            walk.members(|walk, key| match key {
                b"effort" => params.reasoning_level = text(walk),
                b"format" => note_format(params, walk),
                _ => {}
            });
        }
        b"previous_response_id" => params.previous_response_id = text(walk),
        b"service_tier" => params.service_tier = text(walk),
        b"response_format" => note_format(params, walk),
        // Responses put the format under `text`, the legacy completions have no such member.
        b"text" => {
            walk.members(|walk, key| {
                if key == b"format" {
                    note_format(params, walk);
                }
            });
        }
        b"output_format" if walk.kind() == Some(Kind::Object) => note_format(params, walk),
        b"modalities" => note_modalities(params, walk),
        b"encoding_format" => params.encoding_formats = texts(walk),
        b"dimensions" => params.dimensions = count(walk),
        _ => {}
    }
}

fn gemini(params: &mut Params, walk: &mut Walk<'_>, key: &[u8]) {
    match key {
        b"temperature" => params.temperature = walk.number(),
        b"topP" | b"top_p" => params.top_p = walk.number(),
        b"topK" | b"top_k" => params.top_k = walk.number(),
        b"frequencyPenalty" => params.frequency_penalty = walk.number(),
        b"presencePenalty" => params.presence_penalty = walk.number(),
        b"maxOutputTokens" | b"max_output_tokens" => params.max_tokens = count(walk),
        b"stopSequences" => params.stop_sequences = texts(walk),
        b"seed" => params.seed = whole(walk),
        b"candidateCount" => params.choice_count = count(walk),
        b"thinkingConfig" => {
            walk.members(|walk, key| {
                if key == b"thinkingLevel" {
                    params.reasoning_level = text(walk);
                }
            });
        }
        b"responseMimeType" => {
            let is_json = text(walk).is_some_and(|mime| mime == "application/json");
            params.output_type = params.output_type.or(is_json.then_some("json"));
        }
        b"responseModalities" => note_modalities(params, walk),
        _ => {}
    }
}

/// A format is named by its type: `json_object`, `json_schema`, `text`.
fn note_format(params: &mut Params, walk: &mut Walk<'_>) {
    walk.members(|walk, key| {
        if key != b"type" {
            return;
        }
        match text(walk).as_deref() {
            Some("json_object" | "json_schema") => params.output_type = Some("json"),
            Some("text") => params.output_type = params.output_type.or(Some("text")),
            _ => {}
        }
    });
}

/// What is wanted besides text tells more than the text does.
fn note_modalities(params: &mut Params, walk: &mut Walk<'_>) {
    for modality in texts(walk) {
        match modality.to_ascii_lowercase().as_str() {
            "image" => params.output_type = Some("image"),
            "audio" => params.output_type = Some("speech"),
            _ => {}
        }
    }
}

fn count(walk: &mut Walk<'_>) -> Option<u64> {
    whole(walk).and_then(|number| u64::try_from(number).ok())
}

/// A whole number, written as such or as `12.0`.
fn whole(walk: &mut Walk<'_>) -> Option<i64> {
    /// The largest number up to which a double holds every whole one.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let as_written = walk.clone();
    let number = walk.number()?;
    let digits = as_written.clone().scalar().unwrap_or_default();
    let exact = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let is_whole = number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    exact.or_else(|| is_whole.then_some(number as i64))
}

fn text(walk: &mut Walk<'_>) -> Option<String> {
    let text = walk.text().filter(|text| !text.is_empty())?.read();
    Some(text.split_at(text.floor_char_boundary(TEXT_BYTES_MAX)).0.to_owned())
}

/// One text, or a list of them.
fn texts(walk: &mut Walk<'_>) -> Vec<String> {
    let mut texts: Vec<String> = text(walk).into_iter().collect();
    walk.elements(|walk| {
        if texts.len() < LIST_MAX {
            texts.extend(text(walk));
        }
    });
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::arbitrary;
    use proptest::prelude::*;

    fn check(dialect: Dialect, body: &str, expected: &Params) {
        assert_eq!(params(dialect, body.as_bytes()), *expected, "{body}");
    }

    #[test]
    fn chat() {
        check(
            Dialect::OpenAiChat,
            r#"{"model":"m","temperature":0.2,"top_p":1,"frequency_penalty":-0.5,"presence_penalty":0,
                "max_tokens":null,"max_completion_tokens":100,"stop":"END","seed":-7,"n":2,"reasoning_effort":"low",
                "service_tier":"flex","response_format":{"type":"json_schema","json_schema":{}},
                "messages":[{"temperature":9}]}"#,
            &Params {
                temperature: Some(0.2),
                top_p: Some(1.0),
                frequency_penalty: Some(-0.5),
                presence_penalty: Some(0.0),
                max_tokens: Some(100),
                stop_sequences: vec!["END".to_owned()],
                seed: Some(-7),
                choice_count: Some(2),
                reasoning_level: Some("low".to_owned()),
                service_tier: Some("flex".to_owned()),
                output_type: Some("json"),
                ..Params::default()
            },
        );
        check(
            Dialect::OpenAiChat,
            r#"{"modalities":["text","audio"]}"#,
            &Params { output_type: Some("speech"), ..Params::default() },
        );
    }

    #[test]
    fn responses() {
        check(
            Dialect::OpenAiResponses,
            r#"{"reasoning":{"effort":"high","summary":"auto"},"max_output_tokens":5,"previous_response_id":"resp_1",
                "text":{"format":{"type":"text"}}}"#,
            &Params {
                reasoning_level: Some("high".to_owned()),
                max_tokens: Some(5),
                previous_response_id: Some("resp_1".to_owned()),
                output_type: Some("text"),
                ..Params::default()
            },
        );
    }

    #[test]
    fn messages() {
        check(
            Dialect::Anthropic,
            r#"{"max_tokens":64000,"top_k":5,"stop_sequences":["a","b"],
                "output_config":{"effort":"high","format":{"type":"json_schema","schema":{}}}}"#,
            &Params {
                max_tokens: Some(64000),
                top_k: Some(5.0),
                stop_sequences: vec!["a".to_owned(), "b".to_owned()],
                reasoning_level: Some("high".to_owned()),
                output_type: Some("json"),
                ..Params::default()
            },
        );
    }

    #[test]
    fn gemini() {
        check(
            Dialect::Gemini,
            r#"{"temperature":9,"generationConfig":{"temperature":1,"topP":0.9,"topK":40,"maxOutputTokens":100.0,
                "stopSequences":["x"],"candidateCount":1,"seed":3,"thinkingConfig":{"thinkingLevel":"low"},
                "responseMimeType":"application/json"}}"#,
            &Params {
                temperature: Some(1.0),
                top_p: Some(0.9),
                top_k: Some(40.0),
                max_tokens: Some(100),
                stop_sequences: vec!["x".to_owned()],
                choice_count: Some(1),
                seed: Some(3),
                reasoning_level: Some("low".to_owned()),
                output_type: Some("json"),
                ..Params::default()
            },
        );
    }

    #[test]
    fn embeddings() {
        check(
            Dialect::OpenAiEmbeddings,
            r#"{"input":"x","encoding_format":"base64","dimensions":256}"#,
            &Params {
                encoding_formats: vec!["base64".to_owned()],
                dimensions: Some(256),
                ..Params::default()
            },
        );
    }

    #[test]
    fn what_is_of_another_type_is_left_out() {
        check(
            Dialect::OpenAiChat,
            r#"{"temperature":"hot","top_p":{},"max_tokens":-5,"seed":1.5,"n":"2","stop":5,"reasoning":7,
                "response_format":"json","service_tier":""}"#,
            &Params::default(),
        );
        check(Dialect::Anthropic, "[1]", &Params::default());
        check(Dialect::Gemini, "", &Params::default());
    }

    proptest! {
        #[test]
        fn any_body_can_be_asked(value in arbitrary::object(), cut in any::<prop::sample::Index>()) {
            let text = value.to_string();
            for dialect in Dialect::ALL {
                params(dialect, &text.as_bytes()[..cut.index(text.len())]);
            }
        }
    }
}
