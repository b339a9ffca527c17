//! Makes the request that a target is sent out of the one that was recorded: verbatim, or with the target's own answers in its
//! history; as the caches are, cold or warm; with the target's parameters. Where nothing is to be changed, nothing is: the
//! recorded bytes are sent.

mod edit;
mod live;
mod target;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use live::{History, Key};
pub use target::{Target, TargetError, parse_target};

use crate::recording::{Fault, Recording};

/// The source of faults that are made here and in the engine.
pub const SOURCE: &str = "replay";
/// The kind of the fault of a turn that could not be asked any more.
pub const BRANCH_STOPPED: &str = "branch_stopped";

/// Whose answers stand in the history of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// The recorded ones: every request stands by itself.
    #[default]
    Verbatim,
    /// The target's own; recorded results of tools are given to its calls of the same tools.
    Live,
}

/// In which state the provider's prompt cache is met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// As it happens to be.
    #[default]
    AsIs,
    /// A text that was never sent before stands at the beginning.
    Cold,
    /// The same request is sent once before, and not counted.
    Warm,
}

/// How long answers may get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// As the request says.
    #[default]
    Free,
    /// At most as many tokens as were recorded.
    Capped,
    /// As many as were recorded: capped, and where the target can, forced.
    Matched,
}

macro_rules! word {
    ($($of:ty: $($variant:ident = $word:literal),+;)+) => {$(
        impl fmt::Display for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl std::str::FromStr for $of {
            type Err = String;

            fn from_str(written: &str) -> Result<Self, String> {
                match written {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{written}` is none of {}", [$($word),+].join(", "))),
                }
            }
        }
    )+};
}

word! {
    Context: Verbatim = "verbatim", Live = "live";
    Cache: AsIs = "as-is", Cold = "cold", Warm = "warm";
    Length: Free = "free", Capped = "capped", Matched = "matched";
}

/// What becomes of a recorded request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub recording: &'a Recording,
    pub target: &'a Target,
    pub cache: Cache,
    pub length: Length,
    /// Never used before: what makes a cold request new.
    pub marker: &'a str,
    /// The target's answers so far; `None`: verbatim.
    pub history: Option<&'a History>,
}

/// A request ready to be sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    /// `None`: the recorded bytes.
    pub body: Option<Vec<u8>>,
    /// Under which the answer is to be kept in the history.
    pub key: Option<Key>,
}

/// The languages whose bodies can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Chat,
    Responses,
    Anthropic,
    Gemini,
}

impl Dialect {
    fn of(name: &str) -> Option<Self> {
        match name {
            "openai_chat" => Some(Self::Chat),
            "openai_responses" => Some(Self::Responses),
            "anthropic" => Some(Self::Anthropic),
            "gemini" => Some(Self::Gemini),
            _ => None,
        }
    }
}

fn fault(kind: &str, detail: impl Into<String>) -> Fault {
    Fault { source: SOURCE.to_owned(), kind: kind.to_owned(), detail: Some(detail.into()) }
}

/// Makes the request, or says why it cannot be made.
pub fn prepare(ask: Ask<'_>) -> Result<Prepared, Fault> {
    let target = ask.target;
    let length = if output_tokens(ask.recording).is_some() { ask.length } else { Length::Free };
    let is_changed = ask.history.is_some()
        || ask.cache == Cache::Cold
        || length != Length::Free
        || !target.overrides.is_empty()
        || target.model.is_some();
    if !is_changed {
        return Ok(Prepared::default());
    }
    let Some(dialect) = Dialect::of(&ask.recording.dialect) else {
        return match (ask.history, target.overrides.is_empty()) {
            (None, true) => Ok(Prepared::default()),
            _ => Err(fault(
                "not_editable",
                format!(
                    "requests of the dialect `{}` can only be sent as they are",
                    ask.recording.dialect
                ),
            )),
        };
    };
    let mut body = parse(ask.recording)?;
    let key = match ask.history {
        Some(history) => Some(live::feed(dialect, &mut body, history)?),
        None => None,
    };
    if ask.cache == Cache::Cold {
        edit::mark(dialect, &mut body, ask.marker)?;
    }
    if let Some(tokens) = output_tokens(ask.recording).filter(|_| length != Length::Free) {
        let forced = length == Length::Matched && target.forces_length;
        edit::cap(dialect, &mut body, tokens, forced);
    }
    if let Some(model) = target.model.as_deref().filter(|_| dialect != Dialect::Gemini) {
        edit::set(&mut body, &["model"], Value::from(model));
    }
    for (name, value) in &target.overrides {
        edit::override_with(dialect, &mut body, name, value);
    }
    let bytes =
        serde_json::to_vec(&body).map_err(|error| fault("not_editable", error.to_string()))?;
    Ok(Prepared { body: Some(bytes), key })
}

fn output_tokens(recording: &Recording) -> Option<u64> {
    let output = recording.usage.as_ref()?.output?;
    u64::try_from(output).ok().filter(|tokens| *tokens > 0)
}

fn parse(recording: &Recording) -> Result<Value, Fault> {
    let Some(whole) = recording.client_request() else {
        return Err(fault("not_recorded", "the request's body was not kept"));
    };
    if let Some(coding) = &whole.coding {
        return Err(fault(
            "not_editable",
            format!("the body is coded as {coding}; it has to be unpacked first"),
        ));
    }
    let body: Value = serde_json::from_slice(&whole.bytes)
        .map_err(|error| fault("not_editable", format!("the body is no JSON: {error}")))?;
    if body.is_object() { Ok(body) } else { Err(fault("not_editable", "the body is no object")) }
}

#[cfg(test)]
mod tests;
