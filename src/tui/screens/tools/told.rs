//! What the gateway tells of providers and keys, as far as the screen shows it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// The answer of `/api/providers`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Providers {
    pub providers: Vec<Provider>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Provider {
    pub id: String,
    pub baseurl: String,
    pub disabled: bool,
    pub keys: Vec<String>,
    pub models: Vec<String>,
    /// `"ok"`, `{"failed": why}`, or nothing where nobody asked.
    pub discovery: Value,
    pub prices: HashMap<String, Price>,
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Price {
    pub input: Option<String>,
    pub output: Option<String>,
    pub cache_read: Option<String>,
    pub basis: Option<String>,
}

/// The answer of `/api/usage?by=key`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub groups: Vec<Key>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Key {
    pub key: Option<String>,
    pub requests: i64,
    pub errors: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cost_nanousd: i64,
    pub tool_calls: i64,
    pub duration_p50_us: Option<u64>,
    pub duration_p95_us: Option<u64>,
}
