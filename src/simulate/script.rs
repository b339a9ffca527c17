//! What a simulated provider does, as TOML (`--script FILE`). Reference for users: `docs/simulate.md`.
//!
//! Life of a profile: `default` ← the longest matching `models."GLOB"` ← magic model name ← matching `rules`, in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::pace::{Dist, Millis};

/// A whole script. Everything has a default; the empty script answers at once and without faults.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Everything drawn (ids, words, times, probabilities) follows from this.
    pub seed: u64,
    /// `created` and similar times come from the clock; otherwise from the seed.
    pub real_time: bool,
    /// What `GET /v1/models` lists; absent: a short list of well-known names.
    pub catalogue: Vec<String>,
    /// Holds for every model.
    pub default: Profile,
    /// Profiles by model, as globs (`*`: any run without `/`, `**`: any run); of several that match, the longest counts.
    pub models: BTreeMap<String, Profile>,
    /// Exceptions by path, model, position or chance; all that match apply, in order.
    pub rules: Vec<Rule>,
}

/// How answers look and how they come. Every field may be absent: then the layer below decides.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Until the response head.
    pub latency: Option<Dist<Millis>>,
    /// From the response head to the first token of a stream.
    pub first_token: Option<Dist<Millis>>,
    /// Between two tokens of a stream; the whole answer waits as long when it is not streamed.
    pub cadence: Option<Dist<Millis>>,
    /// Input tokens reported; absent: estimated from the size of the request.
    pub input_tokens: Option<Dist<f64>>,
    /// Tokens produced, reasoning included.
    pub output_tokens: Option<Dist<f64>>,
    /// Share of the output that is reasoning, 0 to 1; turns reasoning on (0: off) for every request.
    pub reasoning: Option<f64>,
    /// Share of the input read from the provider's cache.
    pub cached: Option<f64>,
    /// Share of the input written to the provider's cache (Anthropic).
    pub cache_write: Option<f64>,
    /// When and how tools are called.
    pub tools: Option<Tools>,
    /// Whether and when usage is told.
    pub usage: Option<UsageMode>,
    /// The words of the answer instead of made-up ones.
    pub text: Option<String>,
    /// The model declines, in the dialect's own way.
    pub refusal: Option<bool>,
    /// At least this many bytes of text.
    pub body_bytes: Option<usize>,
    /// Length of embedding vectors.
    pub dimensions: Option<usize>,
    /// Headers added to each answer; a name may stand twice (`set-cookie`).
    pub headers: Option<Vec<(String, String)>>,
    /// Compress when the client accepts gzip.
    pub gzip: Option<bool>,
    /// Send `103 Early Hints` first (HTTP/1.1 only).
    pub early_hints: Option<bool>,
    /// Only this key is let in; any other answer is 401.
    pub expect_key: Option<String>,
    /// The one header the key must stand in; absent: any usual place.
    pub key_header: Option<String>,
    /// Answer with this status instead of a model's words.
    pub error: Option<Status>,
    /// What goes wrong in the middle.
    pub fault: Fault,
}

/// An exception: the profile that holds when a request meets every given condition.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Glob over the path, without the query: `**/chat/completions`.
    pub path: Option<String>,
    /// Glob over the model.
    pub model: Option<String>,
    /// Of the requests that meet path and model, these (the first is 1).
    pub nth: Option<Vec<u64>>,
    /// Of the requests that meet path and model, each so-manieth.
    pub every: Option<u64>,
    /// Of those left, this share.
    pub probability: Option<f64>,
    pub profile: Profile,
}

/// Tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tools {
    pub when: When,
    /// Calls in one answer.
    pub calls: usize,
    /// Streamed arguments come in pieces of a few characters; otherwise whole.
    pub fragments: bool,
    /// Share of calls whose arguments do not fit the schema.
    pub wrong_arguments: f64,
}

impl Default for Tools {
    fn default() -> Self {
        Self { when: When::Auto, calls: 1, fragments: true, wrong_arguments: 0.0 }
    }
}

/// When a tool is called, provided the request offers one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// When the last message is the user's and `tool_choice` is not `none`.
    #[default]
    Auto,
    Never,
    Always,
}

/// Whether and when an answer tells its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageMode {
    /// As the dialect has it; chat streams only when the client asks.
    #[default]
    Present,
    /// Never.
    Absent,
    /// In every event, growing, asked for or not.
    Cumulative,
    /// As `present`, but 200 ms after the last content.
    Late,
}

/// A fixed answer: an error, a redirect, an odd status.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    pub status: u16,
    /// The words of the message in the dialect's envelope; absent: as the provider would say.
    pub message: Option<String>,
    /// The whole body, verbatim, instead of the dialect's envelope.
    pub body: Option<String>,
    /// An HTML page instead of the dialect's envelope.
    pub html: bool,
    /// `retry-after`, in seconds.
    pub retry_after: Option<u64>,
    pub headers: Vec<(String, String)>,
}

/// What goes wrong in an answer. Several may be combined.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// An error event after so many events; the stream then ends.
    pub error_after: Option<usize>,
    /// The connection ends after so many events; 0: before the head.
    pub cut_after: Option<usize>,
    /// The connection ends after so many bytes of the body.
    pub cut_after_bytes: Option<usize>,
    /// How it ends.
    pub cut: Option<CutKind>,
    /// Nothing more after so many events, for `stall`.
    pub stall_after: Option<usize>,
    /// How long; absent: ten minutes.
    pub stall: Option<Millis>,
    /// An event that is not JSON after so many events.
    pub malformed_after: Option<usize>,
    /// One token of so many bytes.
    pub huge_line: Option<usize>,
    /// The last event (`[DONE]`, `response.completed`, `message_stop`) is missing.
    pub no_terminal: Option<bool>,
    /// The body comes in pieces of so many bytes, through the middle of characters.
    pub split: Option<usize>,
    /// Comment lines between events.
    pub comments: Option<bool>,
    /// CRLF line ends.
    pub crlf: Option<bool>,
    /// Events of a type nobody knows.
    pub unknown_events: Option<bool>,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CutKind {
    /// TCP FIN in the middle of the body.
    #[default]
    Close,
    /// TCP RST.
    Rst,
}

/// Copies every field that `$over` sets.
macro_rules! overlay {
    ($base:expr, $over:expr; $($field:ident),* $(,)?) => {
        $( if $over.$field.is_some() { $base.$field.clone_from(&$over.$field); } )*
    };
}

impl Profile {
    /// Lays `over` on top: what it sets wins, what it leaves open stays.
    pub(crate) fn overlay(&mut self, over: &Self) {
        overlay!(self, over; latency, first_token, cadence, input_tokens, output_tokens, reasoning,
            cached, cache_write, tools, usage, text, refusal, body_bytes, dimensions, headers, gzip,
            early_hints, expect_key, key_header, error);
        overlay!(self.fault, over.fault; error_after, cut_after, cut_after_bytes, cut, stall_after,
            stall, malformed_after, huge_line, no_terminal, split, comments, crlf, unknown_events);
    }
}

/// Why a script was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("script {path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("script is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("script: {0}")]
    Meaning(String),
}

impl Script {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.to_path_buf(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks a script's text.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self = toml::from_str(text)?;
        let profiles = script.models.values().chain(script.rules.iter().map(|rule| &rule.profile));
        for profile in profiles.chain([&script.default]) {
            check(profile).map_err(ScriptError::Meaning)?;
        }
        for rule in &script.rules {
            share("rules.probability", rule.probability).map_err(ScriptError::Meaning)?;
            if rule.every == Some(0) {
                let words = "`rules.every` is 0; use 1 for each request, or leave it out";
                return Err(ScriptError::Meaning(words.to_owned()));
            }
        }
        Ok(script)
    }
}

fn check(profile: &Profile) -> Result<(), String> {
    share("reasoning", profile.reasoning)?;
    share("cached", profile.cached)?;
    share("cache_write", profile.cache_write)?;
    share("tools.wrong_arguments", profile.tools.map(|tools| tools.wrong_arguments))?;
    if profile.fault.split == Some(0) {
        return Err("`fault.split` is 0; use 1 or more bytes".to_owned());
    }
    let Some(error) = &profile.error else {
        return Ok(());
    };
    if !(200..=599).contains(&error.status) {
        return Err(format!("`error.status` is {}; use 200 to 599", error.status));
    }
    Ok(())
}

fn share(name: &str, value: Option<f64>) -> Result<(), String> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(format!("`{name}` is {value}; it is a share, use 0 to 1"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_impossible_values_are_named() {
        for (text, part) in [
            ("sed = 3", "sed"),
            ("[default]\nreasoning = 1.5", "reasoning"),
            ("[default.error]\nstatus = 99", "error.status"),
            ("[[rules]]\nevery = 0", "rules.every"),
            ("[default.fault]\nsplit = 0", "fault.split"),
            ("[default.fault]\ncut_afterwards = 1", "cut_afterwards"),
        ] {
            let message = Script::parse(text).expect_err(text).to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    /// The property names of every object in the schema of scripts.
    fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
        let properties = schema["properties"].as_object();
        found.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
        let inner = schema.as_object().into_iter().flat_map(|object| object.values());
        for value in inner.chain(schema.as_array().into_iter().flatten()) {
            keys(value, found);
        }
    }

    #[test]
    fn the_reference_names_every_key_and_its_example_loads() {
        let page = include_str!("../../docs/simulate.md");
        let mut found = Vec::new();
        keys(schemars::schema_for!(Script).as_value(), &mut found);
        assert!(found.len() > 40, "{found:?}");
        for key in found {
            let named = [format!("`{key}`"), format!(" {key} "), format!(" {key},")];
            assert!(
                named.iter().any(|form| page.contains(form)),
                "{key} is not in docs/simulate.md"
            );
        }
        let examples = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let scripts: Vec<Script> =
            examples.map(|example| Script::parse(example).expect(example)).collect();
        assert_eq!(scripts.len(), 1);
    }

    #[test]
    fn later_layers_win_field_by_field() {
        let mut profile = Profile { gzip: Some(true), reasoning: Some(0.5), ..Profile::default() };
        let mut over = Profile { reasoning: Some(0.0), ..Profile::default() };
        over.fault.split = Some(3);
        profile.overlay(&over);
        assert_eq!(profile.gzip, Some(true));
        assert_eq!(profile.reasoning, Some(0.0));
        assert_eq!(profile.fault.split, Some(3));
    }
}
