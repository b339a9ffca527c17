//! What the simulated model says, before any dialect: reasoning, words, tool calls, usage.

use serde_json::Value;

use super::ask::{Ask, Choice, Format, Last};
use super::endpoint::Endpoint;
use super::pace::Rng;
use super::schema;
use super::script::{Profile, Tools, UsageMode, When};

/// An answer's content and what it cost.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// Draws ids from here on.
    pub(crate) rng: Rng,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) model: String,
    /// One entry a token.
    pub(crate) reasoning: Vec<String>,
    /// One entry a token.
    pub(crate) text: Vec<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
    pub(crate) usage_mode: UsageMode,
    pub(crate) refusal: bool,
}

/// One tool call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
    /// The arguments as text, in the pieces they are streamed in.
    pub(crate) pieces: Vec<String>,
}

/// Why the answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
    Refusal,
}

/// Tokens in one meaning: `input` with cached ones in it, `output` with reasoning in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Usage {
    /// The usage after `done` of all output tokens, for cumulative reports.
    pub(crate) fn so_far(self, done: u64) -> Self {
        Self { output: done.min(self.output), reasoning: done.min(self.reasoning), ..self }
    }
}

impl Reply {
    /// The words in one piece.
    pub(crate) fn words(&self) -> String {
        self.text.concat()
    }

    /// The reasoning in one piece; `None` when there is none.
    pub(crate) fn thoughts(&self) -> Option<String> {
        (!self.reasoning.is_empty()).then(|| self.reasoning.concat())
    }

    /// Usage to put into an answer that is not streamed.
    pub(crate) fn told(&self) -> Option<Usage> {
        (self.usage_mode != UsageMode::Absent).then_some(self.usage)
    }
}

impl Call {
    pub(crate) fn text(&self) -> String {
        self.pieces.concat()
    }
}

/// Composes the answer to `ask`.
pub(crate) fn compose(ask: &Ask<'_>, profile: &Profile, mut rng: Rng, created: u64) -> Reply {
    let calls = calls(ask, profile.tools.unwrap_or_default(), &mut rng);
    let tokens = match profile.output_tokens {
        Some(dist) => whole(dist.draw(&mut rng)).clamp(1, 1 << 20) as usize,
        None => 16 + rng.below(24),
    };
    let thinking = match profile.reasoning {
        Some(share) => whole(tokens as f64 * share) as usize,
        None if ask.thinking || reasons(&ask.model) => 12,
        None => 0,
    };
    let mut reasoning = prose(&mut rng, thinking);
    let refusal = profile.refusal == Some(true);
    let share = profile.reasoning.map_or(0, |_| thinking);
    let mut text = if refusal {
        pieces("I can't help with that.", 4)
    } else if calls.is_empty() {
        words(ask, profile, tokens.saturating_sub(share).max(1), &mut rng)
    } else {
        Vec::new()
    };
    let mut finish = match (refusal, calls.is_empty()) {
        (true, _) => Finish::Refusal,
        (_, false) => Finish::ToolCalls,
        _ => Finish::Stop,
    };
    if let Some(max) = ask.max_tokens.filter(|_| finish == Finish::Stop) {
        let max = max as usize;
        if reasoning.len() + text.len() > max {
            reasoning.truncate(max.saturating_sub(1));
            text.truncate(max.saturating_sub(reasoning.len()).max(1));
            finish = Finish::Length;
        }
    }
    let called: usize = calls.iter().map(|call| call.pieces.len() + 4).sum();
    let output = (reasoning.len() + text.len() * ask.choices + called) as u64;
    let usage = usage(ask, profile, &mut rng, (reasoning.len() as u64, output));
    Reply {
        rng,
        created,
        model: ask.model.clone(),
        reasoning,
        text,
        calls: if refusal { Vec::new() } else { calls },
        finish,
        usage,
        usage_mode: profile.usage.unwrap_or_default(),
        refusal,
    }
}

fn usage(
    ask: &Ask<'_>,
    profile: &Profile,
    rng: &mut Rng,
    (reasoning, output): (u64, u64),
) -> Usage {
    let input = profile.input_tokens.map_or(ask.input_tokens, |dist| whole(dist.draw(rng)));
    let part = |share: Option<f64>| whole(input as f64 * share.unwrap_or(0.0)).min(input);
    let cached = part(profile.cached);
    Usage {
        input,
        cached,
        cache_write: part(profile.cache_write).min(input - cached),
        output,
        reasoning,
    }
}

/// The nearest whole number of something counted.
#[expect(clippy::cast_sign_loss, reason = "draws and shares are never negative")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Names of models that think aloud without being asked.
fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let starts = ["o1", "o3", "o4"].iter().any(|start| name.starts_with(start));
    starts || ["reason", "think", "-r1", "qwq"].iter().any(|part| name.contains(part))
}

fn calls(ask: &Ask<'_>, tools: Tools, rng: &mut Rng) -> Vec<Call> {
    let asked = match (&ask.choice, tools.when) {
        _ if ask.tools.is_empty() => false,
        (Choice::None, _) | (_, When::Never) => false,
        (_, When::Always) => true,
        _ => ask.last == Last::User,
    };
    if !asked {
        return Vec::new();
    }
    let named = match &ask.choice {
        Choice::Named(name) => ask.tools.iter().position(|tool| tool.name == *name),
        _ => None,
    };
    let count = if ask.parallel { tools.calls.max(1) } else { 1 };
    (0..count)
        .filter_map(|turn| ask.tools.get(named.unwrap_or(turn % ask.tools.len())))
        .map(|tool| {
            let schema: Value = tool
                .schema
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default();
            let mut arguments = if rng.chance(tools.wrong_arguments) {
                schema::misfit(&schema, rng)
            } else {
                schema::fit(&schema, rng)
            };
            if !arguments.is_object() {
                arguments = Value::Object(serde_json::Map::new());
            }
            let text = arguments.to_string();
            let pieces = if tools.fragments { pieces(&text, 5) } else { vec![text] };
            Call { name: tool.name.clone(), arguments, pieces }
        })
        .collect()
}

fn words(ask: &Ask<'_>, profile: &Profile, tokens: usize, rng: &mut Rng) -> Vec<String> {
    let mut text = match (&ask.format, &profile.text) {
        (_, Some(text)) => pieces(text, 4),
        (Format::Schema(schema), None) => pieces(&schema::fit(schema, rng).to_string(), 4),
        (Format::Json, None) => pieces(r#"{"answer":"simulated","items":[1,2,3],"ok":true}"#, 4),
        (Format::Text, None) => spoken(ask, tokens, rng),
    };
    if let Some(bytes) = profile.fault.huge_line {
        text.insert(1.min(text.len()), "x".repeat(bytes));
    }
    if let Some(bytes) = profile.body_bytes {
        let mut missing = bytes.saturating_sub(text.iter().map(String::len).sum());
        while missing > 0 {
            let size = missing.min(4_096);
            text.push("y".repeat(size));
            missing -= size;
        }
    }
    text
}

/// Free text, with what was seen of images first.
fn spoken(ask: &Ask<'_>, tokens: usize, rng: &mut Rng) -> Vec<String> {
    let mut text = match ask.images {
        0 => Vec::new(),
        1 => pieces("I see 1 image. ", 4),
        count => pieces(&format!("I see {count} images. "), 4),
    };
    text.extend(prose(rng, tokens.saturating_sub(text.len()).max(1)));
    // Legacy completions go on from the prompt.
    if ask.endpoint == Endpoint::Completions
        && let Some(first) = text.first_mut()
    {
        first.insert(0, ' ');
    }
    text
}

/// Words of a made-up report; some of more than one byte a character, as in life.
const WORDS: [&str; 48] = [
    "the", "answer", "depends", "on", "how", "light", "enters", "a", "small", "opening", "and",
    "each", "ray", "keeps", "its", "own", "path", "so", "an", "image", "appears", "upside", "down",
    "without", "any", "lens", "which", "is", "why", "exposure", "takes", "longer", "than", "with",
    "glass", "naïve", "café", "größer", "日本", "über", "sharp", "edges", "soften", "when", "hole",
    "grows", "wide", "🙂",
];

/// `count` tokens of prose.
fn prose(rng: &mut Rng, count: usize) -> Vec<String> {
    let mut tokens = Vec::with_capacity(count);
    for position in 0..count {
        let word = WORDS[rng.below(WORDS.len())];
        let mut token = String::with_capacity(word.len() + 2);
        if position == 0 {
            let mut letters = word.chars();
            token.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            token.push_str(letters.as_str());
        } else {
            token.push(' ');
            token.push_str(word);
        }
        if position + 1 == count {
            token.push('.');
        }
        tokens.push(token);
    }
    tokens
}

/// `text` in pieces of `size` characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let mut pieces = Vec::with_capacity(text.len() / size + 1);
    let mut piece = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count > 0 && count % size == 0 {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push(letter);
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(body: &Value, profile: &Profile) -> Reply {
        let text = body.to_string();
        let ask = Ask::read(Endpoint::Chat, None, "", text.as_bytes()).expect("a JSON body");
        compose(&ask, profile, Rng::new(1), 0)
    }

    #[test]
    fn small_limits_end_with_length() {
        let body = json!({"max_tokens": 3, "messages": [{"role": "user", "content": "x"}]});
        let reply = reply(&body, &Profile::default());
        assert_eq!((reply.finish, reply.text.len(), reply.usage.output), (Finish::Length, 3, 3));
    }

    #[test]
    fn tools_are_called_once_and_then_talked_about() {
        let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
        let user = json!({"messages": [{"role": "user", "content": "x"}], "tools": tool});
        let told = json!({"messages": [{"role": "tool", "content": "x"}], "tools": tool});
        let none = json!({"messages": [{"role": "user", "content": "x"}], "tools": tool, "tool_choice": "none"});
        assert_eq!(reply(&user, &Profile::default()).calls.len(), 1);
        assert_eq!(reply(&told, &Profile::default()).calls.len(), 0);
        assert_eq!(reply(&none, &Profile::default()).calls.len(), 0);
    }

    #[test]
    fn images_are_counted_in_words() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:,"}});
        let body = json!({"messages": [{"role": "user", "content": [image, image]}]});
        assert!(reply(&body, &Profile::default()).words().starts_with("I see 2 images. "));
    }

    #[test]
    fn reasoning_is_part_of_the_output() {
        let profile = Profile {
            reasoning: Some(0.25),
            output_tokens: Some(super::super::pace::Dist::Constant(40.0)),
            ..Profile::default()
        };
        let reply = reply(&json!({"messages": []}), &profile);
        assert_eq!((reply.usage.reasoning, reply.usage.output), (10, 40));
    }
}
