//! What a client reads from an answer: words, tool calls, usage, the end; in each dialect, plain or event by event.

use serde_json::Value;

use crate::neutral::kind::Dialect;

/// An answer, filled as it comes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) usage: Usage,
    /// The answer said something of tokens.
    pub(crate) told: bool,
    /// Pieces of content: words, reasoning, arguments.
    pub(crate) contents: usize,
    /// The dialect's last event has come, or the whole plain answer.
    pub(crate) ended: bool,
    /// The message of an error, as a user would read it.
    pub(crate) error: Option<String>,
}

/// A tool call of the model.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Tokens, in one meaning for all dialects: `input` is all input, cached or not; `output` has the reasoning in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
}

impl ToolCall {
    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or_default()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

impl Answer {
    /// Reads a plain answer, or an error's body.
    pub(crate) fn plain(dialect: Dialect, body: &[u8]) -> Self {
        let mut answer = Self::default();
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            let page = String::from_utf8_lossy(body);
            answer.error = page.contains("<html").then(|| "an HTML page".to_owned());
            return answer;
        };
        answer.note_error(&value);
        match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => {
                answer.text += text(&value["choices"][0]["message"]["content"]);
                answer.chat_usage(&value["usage"]);
            }
            Dialect::OpenAiResponses => answer.responses_usage(&value["usage"]),
            Dialect::Anthropic => {
                answer.text += text(&value["content"][0]["text"]);
                answer.anthropic_usage(&value["usage"]);
            }
            Dialect::Gemini => answer.gemini(&value),
        }
        answer.ended = true;
        answer
    }

    /// Reads one event of a stream.
    pub(crate) fn event(&mut self, dialect: Dialect, data: &[u8]) {
        if data == b"[DONE]" {
            self.ended = true;
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(data) else {
            return;
        };
        self.note_error(&value);
        match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => self.chat(&value),
            Dialect::OpenAiResponses => self.responses(&value),
            Dialect::Anthropic => self.anthropic(&value),
            Dialect::Gemini => self.gemini(&value),
        }
    }

    fn note_error(&mut self, value: &Value) {
        if let Some(message) = value["error"]["message"]
            .as_str()
            .or(value["message"].as_str().filter(|_| value["type"] == "error"))
        {
            self.error = Some(message.to_owned());
        }
    }

    fn words(&mut self, words: &str) {
        self.text += words;
        self.contents += usize::from(!words.is_empty());
    }

    fn chat(&mut self, value: &Value) {
        let delta = &value["choices"][0]["delta"];
        self.words(text(&delta["content"]));
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let at = number(&piece["index"]) as usize;
            if self.calls.len() <= at {
                self.calls.push(ToolCall::default());
            }
            self.contents += 1;
            if let Some(call) = self.calls.get_mut(at) {
                call.id += text(&piece["id"]);
                call.name += text(&piece["function"]["name"]);
                call.arguments += text(&piece["function"]["arguments"]);
            }
        }
        self.chat_usage(&value["usage"]);
    }

    fn chat_usage(&mut self, usage: &Value) {
        if usage.is_object() {
            self.told = true;
            self.usage = Usage {
                input: number(&usage["prompt_tokens"]),
                cached: number(&usage["prompt_tokens_details"]["cached_tokens"]),
                output: number(&usage["completion_tokens"]),
            };
        }
    }

    fn responses(&mut self, value: &Value) {
        match text(&value["type"]) {
            "response.output_text.delta" => self.words(text(&value["delta"])),
            "response.function_call_arguments.delta" | "response.reasoning_summary_text.delta" => {
                self.contents += 1;
            }
            "response.output_item.done" if value["item"]["type"] == "function_call" => {
                let item = &value["item"];
                self.calls.push(ToolCall {
                    id: text(&item["call_id"]).to_owned(),
                    name: text(&item["name"]).to_owned(),
                    arguments: text(&item["arguments"]).to_owned(),
                });
            }
            "response.completed" | "response.incomplete" => {
                self.responses_usage(&value["response"]["usage"]);
                self.ended = true;
            }
            _ => {}
        }
    }

    fn responses_usage(&mut self, usage: &Value) {
        self.told |= usage.is_object();
        self.usage = Usage {
            input: number(&usage["input_tokens"]),
            cached: number(&usage["input_tokens_details"]["cached_tokens"]),
            output: number(&usage["output_tokens"]),
        };
    }

    fn anthropic(&mut self, value: &Value) {
        match text(&value["type"]) {
            "message_start" => self.anthropic_usage(&value["message"]["usage"]),
            "content_block_start" if value["content_block"]["type"] == "tool_use" => {
                let block = &value["content_block"];
                self.calls.push(ToolCall {
                    id: text(&block["id"]).to_owned(),
                    name: text(&block["name"]).to_owned(),
                    arguments: String::new(),
                });
            }
            "content_block_delta" => {
                let delta = &value["delta"];
                self.words(text(&delta["text"]));
                let piece = text(&delta["partial_json"]);
                self.contents += usize::from(!piece.is_empty());
                if let Some(call) = self.calls.last_mut() {
                    call.arguments += piece;
                }
            }
            "message_delta" => self.usage.output = number(&value["usage"]["output_tokens"]),
            "message_stop" => self.ended = true,
            _ => {}
        }
    }

    /// Anthropic counts what the cache read and wrote beside the input.
    fn anthropic_usage(&mut self, usage: &Value) {
        let cached = number(&usage["cache_read_input_tokens"]);
        let written = number(&usage["cache_creation_input_tokens"]);
        self.told |= usage.is_object();
        self.usage = Usage {
            input: number(&usage["input_tokens"]) + cached + written,
            cached,
            output: number(&usage["output_tokens"]),
        };
    }

    fn gemini(&mut self, value: &Value) {
        let candidate = &value["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            self.words(text(&part["text"]));
            let call = &part["functionCall"];
            if call.is_object() {
                self.contents += 1;
                self.calls.push(ToolCall {
                    id: text(&call["id"]).to_owned(),
                    name: text(&call["name"]).to_owned(),
                    arguments: call["args"].to_string(),
                });
            }
        }
        let usage = &value["usageMetadata"];
        if usage.is_object() {
            self.told = true;
            self.usage = Usage {
                input: number(&usage["promptTokenCount"]),
                cached: number(&usage["cachedContentTokenCount"]),
                output: number(&usage["candidatesTokenCount"])
                    + number(&usage["thoughtsTokenCount"]),
            };
        }
        self.ended |= candidate["finishReason"].is_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: Dialect, events: &[&str]) -> Answer {
        let mut answer = Answer::default();
        for event in events {
            answer.event(dialect, event.as_bytes());
        }
        answer
    }

    fn check(dialect: Dialect, events: &[&str], words: &str, usage: (u64, u64, u64)) {
        let answer = read(dialect, events);
        let told = answer.usage;
        assert_eq!(answer.text, words, "{dialect:?}");
        assert_eq!((told.input, told.cached, told.output), usage, "{dialect:?}");
        assert!(answer.ended, "{dialect:?}");
        let call = answer.calls.first().expect("a tool call");
        assert_eq!((&*call.id, &*call.name), ("c1", "grep"), "{dialect:?}");
        assert_eq!(call.object()["path"], "src", "{dialect:?}");
    }

    #[test]
    fn every_dialects_stream_is_read() {
        check(
            Dialect::OpenAiChat,
            &[
                r#"{"choices":[{"index":0,"delta":{"content":"Hm."}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"grep","arguments":""}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"path\":"}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"src\"}"}}]}}]}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}}"#,
                "[DONE]",
            ],
            "Hm.",
            (9, 4, 5),
        );
        check(
            Dialect::OpenAiResponses,
            &[
                r#"{"type":"response.output_text.delta","delta":"Hm."}"#,
                r#"{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c1","name":"grep","arguments":"{\"path\":\"src\"}"}}"#,
                r#"{"type":"response.completed","response":{"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":5}}}"#,
            ],
            "Hm.",
            (9, 4, 5),
        );
        // Here the cache's tokens come on top of the input, and the sum is what counts.
        check(
            Dialect::Anthropic,
            &[
                r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":1}}}"#,
                r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hm."}}"#,
                r#"{"type":"content_block_start","content_block":{"type":"tool_use","id":"c1","name":"grep","input":{}}}"#,
                r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"path\":"}}"#,
                r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"\"src\"}"}}"#,
                r#"{"type":"message_delta","usage":{"output_tokens":5}}"#,
                r#"{"type":"message_stop"}"#,
            ],
            "Hm.",
            (9, 4, 5),
        );
        // Thoughts are counted beside the candidates, and are output.
        check(
            Dialect::Gemini,
            &[
                r#"{"candidates":[{"content":{"parts":[{"text":"Hm."}]}}]}"#,
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"c1","name":"grep","args":{"path":"src"}}}]},"finishReason":"STOP"}],
                    "usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4,"candidatesTokenCount":3,"thoughtsTokenCount":2}}"#,
            ],
            "Hm.",
            (9, 4, 5),
        );
    }

    #[test]
    fn errors_are_read_as_a_user_would() {
        let body = br#"{"type":"error","error":{"type":"authentication_error","message":"no"}}"#;
        let answer = Answer::plain(Dialect::Anthropic, body);
        assert_eq!(answer.error.as_deref(), Some("no"));
        let page = Answer::plain(Dialect::OpenAiChat, b"<html><body>500</body></html>");
        assert_eq!(page.error.as_deref(), Some("an HTML page"));
        let event = r#"{"type":"error","code":"upstream_idle_timeout","message":"silent"}"#;
        let answer = read(Dialect::OpenAiResponses, &[event]);
        assert_eq!(answer.error.as_deref(), Some("silent"));
    }
}
