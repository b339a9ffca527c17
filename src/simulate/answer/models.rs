//! The catalogue in three shapes: Anthropic's with `anthropic-version`, Gemini's with its key header, else OpenAI's.

use http::request::Parts;
use serde_json::{Value, json};

use crate::simulate::endpoint::Family;

/// What is listed when the script names no models.
pub(crate) const CATALOGUE: [&str; 8] = [
    "gpt-5",
    "gpt-5-mini",
    "o3",
    "text-embedding-3-small",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "gemini-3-pro",
    "gemini-3-flash",
];

/// Which shape the client wants.
pub(crate) fn family(head: &Parts) -> Family {
    let (headers, path) = (&head.headers, head.uri.path());
    let query = head.uri.query().unwrap_or_default();
    let keyed = query.split('&').any(|pair| pair.starts_with("key="));
    if headers.contains_key("anthropic-version") {
        Family::Anthropic
    } else if path.contains("/v1beta/") || keyed || headers.contains_key("x-goog-api-key") {
        Family::Gemini
    } else {
        Family::OpenAi
    }
}

/// The list of models.
pub(crate) fn list(family: Family, names: &[&str], created: u64) -> Value {
    let list: Vec<Value> = names.iter().map(|name| one(family, name, created)).collect();
    match family {
        Family::OpenAi => json!({"object": "list", "data": list}),
        Family::Gemini => json!({"models": list}),
        Family::Anthropic => json!({"data": list, "has_more": false, "first_id": names.first(),
            "last_id": names.last()}),
    }
}

/// One model. Any name exists.
pub(crate) fn one(family: Family, name: &str, created: u64) -> Value {
    match family {
        Family::OpenAi => {
            json!({"id": name, "object": "model", "created": created, "owned_by": "simulated"})
        }
        Family::Anthropic => json!({"type": "model", "id": name, "display_name": name,
            "created_at": "2026-01-01T00:00:00Z"}),
        Family::Gemini => json!({"name": format!("models/{name}"), "version": "001",
            "displayName": name, "description": "simulated", "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536, "supportedGenerationMethods":
                ["generateContent", "streamGenerateContent", "countTokens", "embedContent"]}),
    }
}
