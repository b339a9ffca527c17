//! One recorded exchange: what was asked, what came back, and when each piece of it arrived. Plain data that any recorder
//! can fill; bodies are the bytes of the wire unless they say otherwise.
//!
//! ```text
//!  client ──request──► recorder ──attempt 1: request──► provider
//!                               ◄─attempt 1: response──   (frames: arrival of each piece)
//!         ◄─response──
//! ```
//!
//! Fields that are not known are left out of the JSON, and what a reader does not know it passes over: within one version
//! of the bundle fields are only added.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One exchange, with everything that was recorded of it. Times are microseconds; offsets count from `started_at_us`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recording {
    /// The exchange this is of; pairs are formed on it.
    pub id: String,
    /// The place in the recording, in the order in which exchanges were written.
    #[serde(skip_serializing_if = "is_zero")]
    pub order: u64,
    /// Wall clock, since 1970.
    pub started_at_us: i64,
    pub duration_us: i64,
    /// Order is kept within a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// No client named the session; it was found by the messages.
    #[serde(skip_serializing_if = "is_false")]
    pub session_inferred: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_session: Option<String>,
    /// `openai_chat`, `openai_responses`, `openai_embeddings`, `anthropic`, `gemini`; empty: not known.
    pub dialect: String,
    /// `chat`, `embeddings`, `count_tokens`, …; empty: not known.
    pub operation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent: String,
    pub method: String,
    /// Without the query, which stands in `request.line`.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_requested: Option<String>,
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `complete`, `client_cancelled`, `upstream_error`, …; empty: not known.
    pub outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Names of the tools that the answer called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Of the answer that the client got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Of all attempts, in billionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nanousd: Option<i64>,
    #[serde(skip_serializing_if = "Times::is_unknown")]
    pub times: Times,
    pub request_bytes: i64,
    pub response_bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_addr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// `off`, `meta`, `headers`, `full`; empty: not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub level: String,
    /// Something was replaced by a placeholder.
    #[serde(skip_serializing_if = "is_false")]
    pub redacted: bool,
    /// The client's request is whole and can be sent again as it is.
    #[serde(skip_serializing_if = "is_false")]
    pub replayable: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// Values of headers that the recorder keeps apart, to be looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexed_headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
    /// The exchange that this one repeats, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// Where in the request's body the prompt first differs from the conversation's last turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_changed_at: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    pub request: Leg,
    pub attempts: Vec<Attempt>,
    pub response: Leg,
    /// When each piece of the client's answer went out, where that is another than the provider's: offset and length.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<(u64, u32)>,
}

/// One try at a provider. Offsets count from the exchange's start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    pub provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_label: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    pub sent_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<i64>,
    /// Resolving, connecting, TLS; absent on a connection that was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_us: Option<[i64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    pub bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nanousd: Option<i64>,
    /// Fields whose bytes differ from the client's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<String>,
    pub request: Leg,
    pub response: Leg,
    /// Arrival of each piece of the answer's body: offset and length. Empty: not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    #[serde(skip_serializing_if = "is_zero")]
    pub untabled: u64,
}

/// One side of one connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leg {
    /// Method and target, or the status: the line before the headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// In order; absent: not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<(String, String)>>,
    pub body: Body,
}

/// A body. In JSON: `"same"`, `{"absent": "why"}`, `{"text": "…"}` or `{"base64": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Not there, and why: `not_kept`, `shed_memory`, …
    Absent(String),
    /// That of the leg before it, byte for byte: the client's request for the provider's, the provider's answer for the
    /// client's.
    Same,
    Whole(Whole),
}

impl Default for Body {
    fn default() -> Self {
        Self::Absent("not_kept".to_owned())
    }
}

impl Body {
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::Whole(Whole { bytes, ..Whole::default() })
    }

    pub fn whole(&self) -> Option<&Whole> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Absent(_) | Self::Same => None,
        }
    }
}

/// The bytes of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    pub bytes: Vec<u8>,
    /// Bytes past the recorder's limit.
    pub cut_bytes: u64,
    /// The content coding that the bytes are in.
    pub coding: Option<String>,
    /// Something was replaced by a placeholder: these are not the bytes of the wire.
    pub redacted: bool,
}

/// Whose fault an error was, and its stable name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    pub source: String,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Tokens, in one meaning for all dialects: `input` is all input, cached or not, `output` all output with reasoning in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<i64>,
    /// `provider` or `estimated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What the recorder measured of the answer; times to first tokens count from the sending of the last attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttfo_us: Option<i64>,
    /// Median, 99th percentile, maximum of the gaps between contents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaps_us: Option<[i64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalls: Option<i64>,
    pub queued_us: i64,
    pub overhead_us: i64,
}

impl Times {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// What somebody put on the exchange.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Label {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    pub at_us: i64,
}

impl Recording {
    /// The bytes the client sent.
    pub fn client_request(&self) -> Option<&Whole> {
        self.request.body.whole()
    }

    /// The bytes that went to the provider in attempt `n`, from 0.
    pub fn upstream_request(&self, n: usize) -> Option<&Whole> {
        match &self.attempts.get(n)?.request.body {
            Body::Same => self.client_request(),
            body => body.whole(),
        }
    }

    /// The bytes the provider answered in attempt `n`, from 0.
    pub fn upstream_response(&self, n: usize) -> Option<&Whole> {
        self.attempts.get(n)?.response.body.whole()
    }

    /// The bytes the client got.
    pub fn client_response(&self) -> Option<&Whole> {
        match &self.response.body {
            Body::Same => self.upstream_response(self.attempts.len().checked_sub(1)?),
            body => body.whole(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A body as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Word(String),
    Parts(Parts),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    cut_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    coding: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    redacted: bool,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Borrows what `Parts` owns: bodies are large.
        #[derive(Serialize)]
        struct Borrowed<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            base64: Option<String>,
            #[serde(skip_serializing_if = "is_zero")]
            cut_bytes: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            coding: Option<&'a str>,
            #[serde(skip_serializing_if = "is_false")]
            redacted: bool,
        }
        match self {
            Self::Same => serializer.serialize_str("same"),
            Self::Absent(why) => {
                Parts { absent: Some(why.clone()), ..Parts::default() }.serialize(serializer)
            }
            Self::Whole(whole) => {
                let text = std::str::from_utf8(&whole.bytes).ok();
                Borrowed {
                    text,
                    base64: text.is_none().then(|| STANDARD.encode(&whole.bytes)),
                    cut_bytes: whole.cut_bytes,
                    coding: whole.coding.as_deref(),
                    redacted: whole.redacted,
                }
                .serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let parts = match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "same" => return Ok(Self::Same),
            Form::Word(word) => {
                return Err(D::Error::custom(format_args!(
                    "a body is `same` or an object, not `{}`",
                    word.chars().take(32).collect::<String>()
                )));
            }
            Form::Parts(parts) => parts,
        };
        let bytes = match (parts.absent, parts.text, parts.base64) {
            (Some(why), None, None) => return Ok(Self::Absent(why)),
            (None, Some(text), None) => text.into_bytes(),
            (None, None, Some(coded)) => STANDARD.decode(coded).map_err(D::Error::custom)?,
            _ => {
                return Err(D::Error::custom("a body has one of `absent`, `text` and `base64`"));
            }
        };
        Ok(Self::Whole(Whole {
            bytes,
            cut_bytes: parts.cut_bytes,
            coding: parts.coding,
            redacted: parts.redacted,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_where_it_is_text() {
        let json = |body: &Body| serde_json::to_string(body).unwrap();
        let back = |text: &str| serde_json::from_str::<Body>(text).unwrap();
        for (body, text) in [
            (Body::Same, r#""same""#),
            (Body::Absent("shed_disk".into()), r#"{"absent":"shed_disk"}"#),
            (
                Body::of(b"{\"a\":\"\xc3\xa9\"}\n".to_vec()),
                "{\"text\":\"{\\\"a\\\":\\\"é\\\"}\\n\"}",
            ),
            (Body::of(vec![0xff, 0, 1]), r#"{"base64":"/wAB"}"#),
            (
                Body::Whole(Whole {
                    bytes: Vec::new(),
                    cut_bytes: 9,
                    coding: Some("gzip".into()),
                    redacted: true,
                }),
                r#"{"text":"","cut_bytes":9,"coding":"gzip","redacted":true}"#,
            ),
        ] {
            assert_eq!(json(&body), text);
            assert_eq!(back(text), body);
        }
    }

    #[test]
    fn what_is_no_body_is_refused() {
        for text in [r#""other""#, "{}", r#"{"text":"a","base64":"YQ=="}"#, r#"{"base64":"?"}"#] {
            assert!(serde_json::from_str::<Body>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_that_equals_the_one_before_is_that_one() {
        let mut recording = Recording {
            request: Leg { body: Body::of(b"ask".to_vec()), ..Leg::default() },
            attempts: vec![Attempt {
                request: Leg { body: Body::Same, ..Leg::default() },
                response: Leg { body: Body::of(b"answer".to_vec()), ..Leg::default() },
                ..Attempt::default()
            }],
            response: Leg { body: Body::Same, ..Leg::default() },
            ..Recording::default()
        };
        assert_eq!(recording.upstream_request(0).unwrap().bytes, b"ask");
        assert_eq!(recording.client_response().unwrap().bytes, b"answer");
        recording.attempts.clear();
        assert!(recording.client_response().is_none() && recording.upstream_request(0).is_none());
    }
}
