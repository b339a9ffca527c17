//! The shape of one provider block. See `file.rs` for the rules these shapes follow.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::text::SecretText;
use crate::config::units::{Span, SpanOrOff};

/// One provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The preset that fills what the block leaves out. Default: the block's key if it names a preset, else `openai`.
    pub r#type: Option<String>,
    /// Root of the provider's API, `http` or `https`; a version segment (`/v1`) may be part of it. Default: the preset's.
    pub baseurl: Option<String>,
    /// The provider's key. `env:NAME` also takes `NAME_1` to `NAME_99`, as a pool. Default: the preset's environment variables.
    pub apikey: Option<SecretText>,
    /// Several keys, as a pool.
    pub apikeys: Option<Vec<SecretText>>,
    /// The models served: names, globs such as `ft:*`, or tables. Absent: the provider is asked for its list.
    pub models: Option<Vec<Model>>,
    /// Display name, for `/v1/models`.
    pub name: Option<String>,
    /// What it is for, for `/v1/models`.
    pub description: Option<String>,
    /// Which endpoints it offers. Explicit values win; `openai_chat` is on unless another flag is. Default: the preset's; `openai_chat` alone for a block without `type` that is keyed `openai` or names no preset.
    pub compatibility: Option<Compatibility>,
    /// Where the key goes: `bearer`, `x-api-key`, `x-goog-api-key`, `hec` (`Authorization: Splunk KEY`), `cf-aig-authorization`, `header: NAME`, `none`. Default: the preset's.
    pub authorization: Option<String>,
    /// Whose credential goes out. Default: `override`, and the client's own while neither the provider nor the gateway has a key.
    pub auth_mode: Option<AuthMode>,
    /// The system behind an intermediary (`bedrock-mantle`), shown in `/v1/models`.
    pub upstream: Option<String>,
    /// Headers set on every request to it, each `Name: value`. They never replace the key.
    pub add_headers: Option<Vec<SecretText>>,
    /// Among providers with the same model, the higher one is tried first. Default: 0.
    pub preference: Option<i64>,
    /// Listed for operators, never used. Default: `false`.
    pub disabled: Option<bool>,
    /// Price list to use, such as `openai` or `bedrock-eu`; `none` for none. Default: the preset's, else that of its address or endpoints.
    pub cost_basis: Option<String>,
    /// Which model's price stands for which models; wins over the price list.
    pub model_cost_map: Option<Vec<ModelCost>>,
    /// Waits for this provider alone.
    pub timeouts: Option<ProviderTimeouts>,
    /// Requests at once to this provider. Default: no bound but the gateway's.
    #[schemars(range(min = 1))]
    pub in_flight: Option<usize>,
    /// PEM file of further certificate authorities trusted for this provider; a relative path starts from the configuration file.
    pub ca_file: Option<String>,
    /// HTTP version spoken to it. Default: `auto`.
    pub http: Option<Http>,
    /// Its paths have no version segment: a client's `/v1` is dropped. Default: the preset's.
    pub versionless: Option<bool>,
    /// It may know the caller's trace: `traceparent` goes with each request. Default: `true`.
    pub trace_context: Option<bool>,
}

/// A model: its name, or a table that says more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Model {
    /// The name as the provider knows it, or a glob.
    Name(String),
    /// A name and what is known of it.
    Table(ModelTable),
}

/// A model and what is known of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    /// The name as the provider knows it, or a glob.
    pub id: String,
    /// Other names clients may use.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Tokens of input and output together, for `/v1/models`.
    pub context_length: Option<u64>,
    /// Most tokens of one answer, for `/v1/models`.
    pub max_output_tokens: Option<u64>,
    /// What it takes and gives (`text`, `image`, `audio`), for `/v1/models`.
    #[serde(default)]
    pub modalities: Vec<String>,
}

/// Which endpoints a provider offers; a request to one that is off is answered 404 with the flag's name.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compatibility {
    /// `POST /v1/chat/completions`
    pub openai_chat: Option<bool>,
    /// `POST /v1/responses`
    pub openai_responses: Option<bool>,
    /// `POST /v1/messages`
    pub anthropic_messages: Option<bool>,
    /// `POST /v1beta/models/{model}:generateContent`
    pub gemini_generate_content: Option<bool>,
    /// Vertex's `generateContent`
    pub google_generate_content: Option<bool>,
    /// Vertex's `rawPredict`
    pub google_raw_predict: Option<bool>,
    /// `POST /bedrock/model/{model}/invoke`
    pub bedrock_model_invoke: Option<bool>,
    /// `POST /bedrock/model/{model}/converse`
    pub bedrock_converse: Option<bool>,
}

/// Whose credential goes out.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// The configured key in place of the client's.
    Override,
    /// The client's own `Authorization` or `x-api-key`; the configured key if it sent neither.
    Passthrough,
    /// None at all.
    None,
}

/// One row of `model_cost_map`; the first match wins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelCost {
    /// Model name or glob.
    pub r#match: String,
    /// The model whose price is taken: a name of the provider's price list, else of any; or `list/model`.
    pub r#as: String,
    /// Factor on that price. Default: 1.
    #[schemars(range(min = 0))]
    pub adjustment: Option<f64>,
}

/// Waits for one provider; what is absent is taken from the top-level `timeouts`.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderTimeouts {
    /// For a connection, TLS included.
    pub connect: Option<Span>,
    /// From the sent request to the first byte of the answer.
    pub first_byte: Option<Span>,
    /// Between two pieces of an answer.
    pub idle: Option<Span>,
    /// For the whole call.
    pub total: Option<SpanOrOff>,
}

/// HTTP version.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum Http {
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1.
    #[serde(rename = "1")]
    One,
    /// HTTP/2, also in clear text.
    #[serde(rename = "2")]
    Two,
}
