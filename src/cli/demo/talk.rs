//! A conversation as a client keeps it: history in, request out, in each dialect.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::neutral::kind::Dialect;

use super::answer::Answer;
use super::traffic::{Ask, Client, Session, Story, Turn};

/// Instructions as long as those of a small agent, so that requests have the weight of real ones.
const SYSTEM: &str = "You are a careful engineer at work in a repository. Look before you leap: read the files that \
    matter, say what you found, change as little as will do, and run the tests. Ask only when two readings of a task \
    lead to different work. Answer in plain sentences. Never invent the output of a command you did not run.";
/// What the tool found, each time.
const RESULT: &str = "src/session.rs:118: let expires = clock.now() + TTL;\n\
    src/session.rs:131: if expires < clock.now() { return Err(Expired) }\n\
    tests/login.rs:42: assert!(session.is_valid()) ... FAILED after 31 ms\n3 matches, exit status 1";
/// The smallest PNG there is: one pixel.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What names a session, of clients that have no name of their own for it.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-session-id");

/// The history of one session in one dialect.
#[derive(Debug)]
pub(crate) struct Talk {
    dialect: Dialect,
    history: Vec<Value>,
    /// Set by `results`, cleared by `user`.
    with_result: bool,
}

/// A request, ready for the wire.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Talk {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, history: Vec::new(), with_result: false }
    }

    pub(crate) fn ends_with_result(&self) -> bool {
        self.with_result
    }

    /// The user says something, perhaps with a picture.
    pub(crate) fn user(&mut self, turn: &Turn) {
        self.with_result = false;
        let text = turn.says;
        let picture = turn.ask == Ask::Picture;
        let url = format!("data:image/png;base64,{PICTURE}");
        let with = |words: Value, image: Value| -> Vec<Value> {
            std::iter::once(words).chain(picture.then_some(image)).collect()
        };
        self.history.push(match self.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => {
                let image = json!({"type": "image_url", "image_url": {"url": url}});
                json!({"role": "user",
                    "content": with(json!({"type": "text", "text": text}), image)})
            }
            Dialect::OpenAiResponses => {
                let image = json!({"type": "input_image", "image_url": url});
                json!({"type": "message", "role": "user",
                    "content": with(json!({"type": "input_text", "text": text}), image)})
            }
            Dialect::Anthropic => {
                let source = json!({"type": "base64", "media_type": "image/png", "data": PICTURE});
                let image = json!({"type": "image", "source": source});
                json!({"role": "user",
                    "content": with(json!({"type": "text", "text": text}), image)})
            }
            Dialect::Gemini => {
                let image = json!({"inlineData": {"mimeType": "image/png", "data": PICTURE}});
                json!({"role": "user", "parts": with(json!({"text": text}), image)})
            }
        });
    }

    /// The model's answer becomes history.
    pub(crate) fn model(&mut self, answer: &Answer) {
        let calls = &answer.calls;
        match self.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => {
                let mut message = json!({"role": "assistant", "content": answer.text});
                if !calls.is_empty() {
                    let calls = calls.iter().map(|call| {
                        json!({"id": call.id, "type": "function",
                            "function": {"name": call.name, "arguments": call.arguments}})
                    });
                    message["tool_calls"] = calls.collect();
                }
                self.history.push(message);
            }
            Dialect::OpenAiResponses => {
                if !answer.text.is_empty() {
                    self.history.push(json!({"type": "message", "role": "assistant",
                        "content": [{"type": "output_text", "text": answer.text}]}));
                }
                self.history.extend(calls.iter().map(|call| {
                    json!({"type": "function_call", "call_id": call.id, "name": call.name,
                        "arguments": call.arguments})
                }));
            }
            Dialect::Anthropic => {
                let text =
                    (!answer.text.is_empty()).then(|| json!({"type": "text", "text": answer.text}));
                let calls = calls.iter().map(|call| {
                    json!({"type": "tool_use", "id": call.id, "name": call.name,
                        "input": call.object()})
                });
                let content: Vec<Value> = text.into_iter().chain(calls).collect();
                self.history.push(json!({"role": "assistant", "content": content}));
            }
            Dialect::Gemini => {
                let text = (!answer.text.is_empty()).then(|| json!({"text": answer.text}));
                let calls = calls.iter().map(
                    |call| json!({"functionCall": {"name": call.name, "args": call.object()}}),
                );
                let parts: Vec<Value> = text.into_iter().chain(calls).collect();
                self.history.push(json!({"role": "model", "parts": parts}));
            }
        }
    }

    /// The tools' results go back to the model.
    pub(crate) fn results(&mut self, answer: &Answer) {
        self.with_result = true;
        let calls = answer.calls.iter();
        match self.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => {
                self.history.extend(calls.map(|call| {
                    json!({"role": "tool", "tool_call_id": call.id, "content": RESULT})
                }));
            }
            Dialect::OpenAiResponses => self.history.extend(calls.map(|call| {
                json!({"type": "function_call_output", "call_id": call.id, "output": RESULT})
            })),
            Dialect::Anthropic => {
                let results: Vec<Value> = calls
                    .map(|call| {
                        json!({"type": "tool_result", "tool_use_id": call.id, "content": RESULT})
                    })
                    .collect();
                self.history
                    .push(json!({"role": "user", "content": results}));
            }
            Dialect::Gemini => {
                let parts: Vec<Value> = calls
                    .map(|call| {
                        json!({"functionResponse": {"name": call.name,
                        "response": {"output": RESULT}}})
                    })
                    .collect();
                self.history.push(json!({"role": "user", "parts": parts}));
            }
        }
    }

    /// The request for the next answer.
    pub(crate) fn letter(&self, session: &Session, turn: &Turn, key: &str) -> Letter {
        let model = turn.model.unwrap_or(session.model);
        let body = match self.dialect {
            Dialect::OpenAiChat => self.chat(model, turn),
            Dialect::OpenAiResponses => self.responses(model, turn, session),
            Dialect::OpenAiEmbeddings => json!({"model": model, "input": [turn.says, SYSTEM],
                "dimensions": 64, "encoding_format": "base64"}),
            Dialect::Anthropic => self.messages(model, turn, session),
            Dialect::Gemini => self.contents(turn),
        };
        Letter {
            path: path(self.dialect, model, turn),
            headers: headers(session, self.dialect, key),
            body: body.to_string().into_bytes(),
        }
    }

    fn chat(&self, model: &str, turn: &Turn) -> Value {
        let mut messages = vec![json!({"role": "system", "content": SYSTEM})];
        messages.extend(self.history.iter().cloned());
        let mut body = json!({"messages": messages, "model": model});
        match turn.ask {
            Ask::Tool => {
                body["tools"] = json!([{"type": "function", "function": {"name": "search",
                    "description": "Searches the files.", "parameters": schema()}}]);
            }
            Ask::Object => {
                body["response_format"] = json!({"type": "json_schema", "json_schema": {
                    "name": "answer", "strict": true, "schema": object()}});
            }
            Ask::Picture => body["response_format"] = json!({"type": "json_object"}),
            Ask::Brief => body["max_completion_tokens"] = json!(12),
            Ask::Words | Ask::CountTokens | Ask::Embed => {}
        }
        if turn.stream {
            body["stream"] = json!(true);
            if turn.story != Story::NoUsage {
                body["stream_options"] = json!({"include_usage": true});
            }
        }
        body
    }

    fn responses(&self, model: &str, turn: &Turn, session: &Session) -> Value {
        let mut input = vec![json!({"type": "message", "role": "developer",
            "content": [{"type": "input_text", "text": SYSTEM}]})];
        input.extend(self.history.iter().cloned());
        let mut body = json!({"model": model, "input": input, "tool_choice": "auto",
            "parallel_tool_calls": true, "store": false, "stream": turn.stream,
            "include": ["reasoning.encrypted_content"], "prompt_cache_key": session.name});
        if turn.ask == Ask::Tool {
            body["tools"] = json!([{"type": "function", "name": "exec_command", "strict": false,
                "description": "Runs a command.", "parameters": schema()}]);
        }
        body
    }

    fn messages(&self, model: &str, turn: &Turn, session: &Session) -> Value {
        let mut body = json!({"model": model, "messages": self.history,
            "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]});
        match turn.ask {
            Ask::CountTokens => return body,
            Ask::Tool => {
                body["tools"] = json!([{"name": "Grep", "description": "Searches the files.",
                    "input_schema": schema()}]);
            }
            Ask::Object => {
                body["output_config"] =
                    json!({"format": {"type": "json_schema", "schema": object()}});
            }
            Ask::Words | Ask::Picture | Ask::Embed | Ask::Brief => {}
        }
        body["max_tokens"] = json!(32_000);
        body["metadata"] = json!({"user_id": format!("user_demo_session_{}", session.name)});
        body["stream"] = json!(turn.stream);
        body
    }

    fn contents(&self, turn: &Turn) -> Value {
        let mut body = json!({"contents": self.history,
            "systemInstruction": {"role": "user", "parts": [{"text": SYSTEM}]},
            "generationConfig": {"temperature": 1, "topP": 0.95}});
        match turn.ask {
            Ask::Tool => {
                body["tools"] = json!([{"functionDeclarations": [{"name": "run_shell_command",
                    "description": "Runs a command.", "parametersJsonSchema": schema()}]}]);
            }
            Ask::Object => {
                body["generationConfig"]["responseMimeType"] = json!("application/json");
                body["generationConfig"]["responseJsonSchema"] = object();
            }
            Ask::Words | Ask::Picture | Ask::CountTokens | Ask::Embed | Ask::Brief => {}
        }
        body
    }
}

/// The dialect of a turn's request.
pub(crate) fn dialect(session: &Session, turn: &Turn) -> Dialect {
    match turn.ask {
        Ask::Embed => Dialect::OpenAiEmbeddings,
        _ => turn.dialect.unwrap_or(session.client.dialect()),
    }
}

fn path(dialect: Dialect, model: &str, turn: &Turn) -> String {
    match dialect {
        Dialect::OpenAiChat => "/v1/chat/completions".to_owned(),
        Dialect::OpenAiResponses => "/v1/responses".to_owned(),
        Dialect::OpenAiEmbeddings => "/v1/embeddings".to_owned(),
        Dialect::Anthropic if turn.ask == Ask::CountTokens => {
            "/v1/messages/count_tokens?beta=true".to_owned()
        }
        Dialect::Anthropic => "/v1/messages?beta=true".to_owned(),
        Dialect::Gemini if turn.stream => {
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
        }
        Dialect::Gemini => format!("/v1beta/models/{model}:generateContent"),
    }
}

/// The arguments of the one tool that each agent has.
fn schema() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["pattern", "path"],
        "properties": {"pattern": {"type": "string"}, "path": {"type": "string"}}})
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["title", "kind"],
        "properties": {"title": {"type": "string"},
            "kind": {"type": "string", "enum": ["simple", "complex"]}}})
}

/// Headers as the real clients send them, where a gateway might look.
fn headers(session: &Session, dialect: Dialect, key: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("content-type", "application/json");
    let bearer = format!("Bearer {key}");
    match dialect {
        Dialect::Anthropic => {
            put("x-api-key", key);
            put("anthropic-version", "2023-06-01");
        }
        Dialect::Gemini => put("x-goog-api-key", key),
        _ => put("authorization", &bearer),
    }
    match session.client {
        Client::ClaudeCode => {
            put("user-agent", "claude-cli/2.1.197 (external, cli)");
            put("x-app", "cli");
            put("x-claude-code-session-id", session.name);
            put("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14");
        }
        Client::Codex => {
            put("user-agent", "codex_exec/0.169.0");
            put("originator", "codex_exec");
            put("session-id", session.name);
            put("thread-id", session.name);
            put("accept", "text/event-stream");
        }
        Client::GeminiCli => {
            put("user-agent", "GeminiCLI/0.61.0");
            put("x-goog-api-client", "google-genai-sdk/1.30.0 gl-node/v24");
            put("x-session-id", session.name);
        }
        Client::OpenAiPython => {
            put("user-agent", "OpenAI/Python 3.51.0");
            put("x-stainless-lang", "python");
            put("x-stainless-retry-count", "0");
            put("x-session-id", session.name);
        }
    }
    headers
}
