//! Names of OpenTelemetry's semantic conventions, in the two sets of GenAI names that backends know.
//!
//! Invariant: a name stands here and in [`ATTRIBUTES`], which the reference page is printed from, and nowhere else. The
//! crate of constants is not used: its GenAI half is frozen and marked as deprecated.

/// Which set of GenAI names is used. The HTTP names are stable and the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The last published GenAI conventions, which dashboards and backends understand.
    #[default]
    V1_41,
    /// The main branch of the conventions' own repository.
    Newest,
}

impl Profile {
    pub const ALL: [Self; 2] = [Self::V1_41, Self::Newest];

    /// The word in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::V1_41 => "v1.41",
            Self::Newest => "newest",
        }
    }

    /// The schema that spans and metrics say they follow.
    pub fn schema_url(self) -> &'static str {
        match self {
            Self::V1_41 => "https://opentelemetry.io/schemas/1.41.0",
            Self::Newest => "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
        }
    }
}

/// Which span an attribute stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Server,
    Call,
    Attempt,
    /// The server span and the spans of the call.
    Every,
}

/// One attribute: its name, type, where it stands, in which profile, and what it says.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    pub on: On,
    /// `None`: in both.
    pub profile: Option<Profile>,
    pub meaning: &'static str,
}

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Texts,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Int => "int",
            Self::Float => "double",
            Self::Bool => "boolean",
            Self::Texts => "string[]",
        }
    }
}

/// Declares the constants and their table from one list, so that a name without a row does not compile.
macro_rules! attributes {
    ($( $constant:ident $name:literal $kind:ident $on:ident $profile:ident $meaning:literal; )*) => {
        $( pub const $constant: &str = $name; )*

        /// All attributes, in the order of the reference page.
        pub const ATTRIBUTES: &[Row] = &[ $( Row {
            name: $name,
            kind: Kind::$kind,
            on: On::$on,
            profile: profile!($profile),
            meaning: $meaning,
        }, )* ];
    };
}

macro_rules! profile {
    (Both) => {
        None
    };
    ($profile:ident) => {
        Some(Profile::$profile)
    };
}

attributes! {
    HTTP_REQUEST_METHOD "http.request.method" Text Every Both "the request's method";
    HTTP_ROUTE "http.route" Text Server Both "the endpoint, with `{model}` and `{id}` in place of names; absent for paths that are none";
    URL_PATH "url.path" Text Server Both "the path as it came, without the query, which may hold a key";
    URL_SCHEME "url.scheme" Text Server Both "`http` or `https`, of the listener";
    HTTP_STATUS "http.response.status_code" Int Every Both "what the client, or the gateway, was answered";
    CLIENT_ADDRESS "client.address" Text Server Both "the client's IP address";
    CLIENT_PORT "client.port" Int Server Both "and port";
    USER_AGENT "user_agent.original" Text Server Both "the client's `user-agent`";
    ERROR_TYPE "error.type" Text Every Both "a status of 400 and more (of 500 and more on the server span), or the gateway's error code (docs/errors.md)";
    SERVER_ADDRESS "server.address" Text Call Both "host of the provider's base URL; also on attempts";
    SERVER_PORT "server.port" Int Call Both "and its port; also on attempts";
    PEER_ADDRESS "network.peer.address" Text Attempt Both "the address that the connection went to";
    PEER_PORT "network.peer.port" Int Attempt Both "and port";
    PROTOCOL_NAME "network.protocol.name" Text Attempt Both "`http`";
    PROTOCOL_VERSION "network.protocol.version" Text Attempt Both "`1.1` or `2`";
    TLS_PROTOCOL_VERSION "tls.protocol.version" Text Attempt Both "`1.2` or `1.3`";
    RESEND_COUNT "http.request.resend_count" Int Attempt Both "from the second attempt on";

    OPERATION_NAME "gen_ai.operation.name" Text Call Both "`chat`, `generate_content` (Gemini; pictures and sound), `text_completion`, `embeddings`";
    PROVIDER_NAME "gen_ai.provider.name" Text Call Both "OpenTelemetry's word for the provider, from its preset (docs/config.md)";
    REQUEST_MODEL "gen_ai.request.model" Text Call Both "the model sent to the provider";
    RESPONSE_MODEL "gen_ai.response.model" Text Call Both "the model the provider says it used";
    RESPONSE_ID "gen_ai.response.id" Text Call Both "the provider's id of the answer";
    FINISH_REASONS "gen_ai.response.finish_reasons" Texts Call Both "one a choice, in the provider's words";
    TIME_TO_FIRST_CHUNK "gen_ai.response.time_to_first_chunk" Float Call Both "seconds from the request to the first content of a stream (the formula of docs/telemetry.md)";
    REQUEST_STREAM "gen_ai.request.stream" Bool Call Both "only on streams";
    CONVERSATION_ID "gen_ai.conversation.id" Text Call Both "the session, where the client names one; never made up";
    INPUT_TOKENS "gen_ai.usage.input_tokens" Int Call Both "all input, cached or not";
    OUTPUT_TOKENS "gen_ai.usage.output_tokens" Int Call Both "all output, with reasoning";
    CACHE_READ_TOKENS "gen_ai.usage.cache_read.input_tokens" Int Call Both "part of the input";
    CACHE_CREATION_TOKENS "gen_ai.usage.cache_creation.input_tokens" Int Call Both "part of the input; the older name of the next";
    CACHE_WRITE_TOKENS "gen_ai.usage.cache_write.input_tokens" Int Call Both "part of the input; backends know the one name or the other, so both are sent";
    REASONING_TOKENS "gen_ai.usage.reasoning.output_tokens" Int Call Both "part of the output";
    IMAGE_INPUT_TOKENS "gen_ai.usage.image.input_tokens" Int Call Newest "part of the input";
    IMAGE_OUTPUT_TOKENS "gen_ai.usage.image.output_tokens" Int Call Newest "part of the output";
    AUDIO_INPUT_TOKENS "gen_ai.usage.audio.input_tokens" Int Call Newest "part of the input";
    AUDIO_OUTPUT_TOKENS "gen_ai.usage.audio.output_tokens" Int Call Newest "part of the output";
    MAX_TOKENS "gen_ai.request.max_tokens" Int Call Both "as asked for, like the rows below";
    TEMPERATURE "gen_ai.request.temperature" Float Call Both "";
    TOP_P "gen_ai.request.top_p" Float Call Both "";
    TOP_K "gen_ai.request.top_k" Float Call V1_41 "";
    TOP_K_INT "gen_ai.request.top_k" Int Call Newest "a whole number in the newest set";
    FREQUENCY_PENALTY "gen_ai.request.frequency_penalty" Float Call Both "";
    PRESENCE_PENALTY "gen_ai.request.presence_penalty" Float Call Both "";
    STOP_SEQUENCES "gen_ai.request.stop_sequences" Texts Call Both "at most 16, with `telemetry.content = \"span\"` only: they are words of the prompt";
    SEED "gen_ai.request.seed" Int Call Both "";
    CHOICE_COUNT "gen_ai.request.choice.count" Int Call Both "only where it is not 1";
    OUTPUT_TYPE "gen_ai.output.type" Text Call Both "`text` or `json`, where a format is asked for";
    REASONING_LEVEL "gen_ai.request.reasoning.level" Text Call Newest "";
    PREVIOUS_RESPONSE_ID "gen_ai.request.previous_response.id" Text Call Newest "";
    DIMENSION_COUNT "gen_ai.embeddings.dimension.count" Int Call Both "";
    ENCODING_FORMATS "gen_ai.request.encoding_formats" Texts Call Both "";
    OPENAI_API_TYPE "openai.api.type" Text Call Both "`chat_completions` or `responses`; like the next two only where the provider's name is `openai`";
    OPENAI_REQUEST_TIER "openai.request.service_tier" Text Call Both "where it is not `auto`";
    OPENAI_RESPONSE_TIER "openai.response.service_tier" Text Call Both "";
    SYSTEM_INSTRUCTIONS "gen_ai.system_instructions" Text Call Both "JSON; only with `telemetry.content = \"span\"`, like the next two";
    INPUT_MESSAGES "gen_ai.input.messages" Text Call Both "JSON";
    OUTPUT_MESSAGES "gen_ai.output.messages" Text Call Both "JSON";

    EXCHANGE_ID "pinhole.exchange.id" Text Every Both "the id in `x-pinhole-id`, the log line and the store";
    OUTCOME "pinhole.outcome" Text Server Both "how the exchange ended";
    ERROR_SOURCE "pinhole.error.source" Text Server Both "`client`, `gateway` or `upstream`, where something failed";
    KEY_LABEL "pinhole.key.label" Text Server Both "label of the gateway key";
    SESSION_ID "session.id" Text Server Both "the session, where the client names one";
    TAGS "pinhole.tags" Texts Server Both "`name=value` from `x-pinhole-tag`, at most 16";
    ATTEMPTS "pinhole.attempts" Int Server Both "attempts made";
    OVERHEAD "pinhole.overhead" Float Server Both "seconds of the gateway's own time";
    QUEUED "pinhole.queued" Float Server Both "seconds spent waiting for a place, where it waited";
    REQUEST_BYTES "http.request.body.size" Int Server Both "bytes of the request's body";
    RESPONSE_BYTES "http.response.body.size" Int Server Both "bytes of the answer's body handed to the client";
    AGENT "pinhole.agent" Text Server Both "a closed name for the client program";
    DIALECT "pinhole.dialect" Text Call Both "the client's dialect";
    MODEL_REQUESTED "pinhole.model.requested" Text Call Both "the client's word for the model, where another was sent";
    USAGE_SOURCE "pinhole.usage.source" Text Call Both "`provider`, or `estimated` where the gateway counted";
    ALL_INPUT_TOKENS "pinhole.usage.input_tokens" Int Call Both "tokens of the prompt, all attempts together; absent when there was one";
    ALL_OUTPUT_TOKENS "pinhole.usage.output_tokens" Int Call Both "tokens of the answers, all attempts together; absent when there was one";
    USAGE_PARTIAL "pinhole.usage.partial" Bool Call Both "the answer ended before its final usage";
    COST_USD "pinhole.cost.usd" Float Call Both "what all attempts cost, an estimate from the price list";
    COST_NANOUSD "pinhole.cost.nanousd" Int Call Both "the same, exactly, in billionths of a dollar";
    COST_BASIS "pinhole.cost.basis" Text Call Both "the entry of the price list";
    COST_VERSION "pinhole.cost.version" Text Call Both "and the list's version";
    SIGNALS "pinhole.signals" Texts Call Both "what is odd about the exchange, where anything is (docs/signals.md)";
    TOOL_CALLS "pinhole.tool_calls" Int Call Both "tool calls in the answer, where there are any";
    STREAM_CONTENTS "pinhole.stream.contents" Int Call Both "events of the stream that carried content";
    GAP_P50 "pinhole.stream.gap.p50" Float Call Both "median seconds between two of them";
    GAP_P99 "pinhole.stream.gap.p99" Float Call Both "99th percentile";
    GAP_MAX "pinhole.stream.gap.max" Float Call Both "largest";
    STALLS "pinhole.stream.stalls" Int Call Both "gaps over ten times the median and over 250 ms, where there are any";
    PROVIDER "pinhole.provider" Text Attempt Both "the provider's id in the configuration";
    BECAUSE "pinhole.because" Text Attempt Both "which rule chose it";
    UPSTREAM_REQUEST_ID "pinhole.upstream.request_id" Text Attempt Both "the provider's request id";
    LINK_REUSED "pinhole.link.reused" Bool Attempt Both "the connection was open already";
    LINK_RESOLVE "pinhole.link.resolve" Float Attempt Both "seconds of the name's lookup, on a new connection";
    LINK_CONNECT "pinhole.link.connect" Float Attempt Both "seconds of connecting";
    LINK_TLS "pinhole.link.tls" Float Attempt Both "seconds of the TLS handshake";
}

/// An event of an attempt: the answer's head had been read.
pub const EVENT_HEAD: &str = "pinhole.response.head";
/// An event of an attempt: the first content arrived.
pub const EVENT_FIRST_CONTENT: &str = "pinhole.response.first_content";
/// An event of an attempt: the last content arrived.
pub const EVENT_LAST_CONTENT: &str = "pinhole.response.last_content";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_is_declared_once_a_profile() {
        for profile in Profile::ALL {
            let names: Vec<&str> = ATTRIBUTES
                .iter()
                .filter(|row| row.profile.is_none_or(|only| only == profile))
                .map(|row| row.name)
                .collect();
            let unique: BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(unique.len(), names.len(), "{profile:?}");
        }
    }

    /// What dashboards and backends look for: a change here is a change of the contract.
    #[test]
    fn the_names_that_others_rely_on_are_pinned() {
        for (name, kind) in [
            ("gen_ai.operation.name", Kind::Text),
            ("gen_ai.provider.name", Kind::Text),
            ("gen_ai.request.model", Kind::Text),
            ("gen_ai.response.model", Kind::Text),
            ("gen_ai.response.id", Kind::Text),
            ("gen_ai.response.finish_reasons", Kind::Texts),
            ("gen_ai.response.time_to_first_chunk", Kind::Float),
            ("gen_ai.conversation.id", Kind::Text),
            ("gen_ai.usage.input_tokens", Kind::Int),
            ("gen_ai.usage.output_tokens", Kind::Int),
            ("gen_ai.usage.cache_read.input_tokens", Kind::Int),
            ("gen_ai.usage.cache_creation.input_tokens", Kind::Int),
            ("gen_ai.usage.cache_write.input_tokens", Kind::Int),
            ("gen_ai.usage.reasoning.output_tokens", Kind::Int),
            ("gen_ai.input.messages", Kind::Text),
            ("gen_ai.output.messages", Kind::Text),
            ("gen_ai.system_instructions", Kind::Text),
            ("http.request.resend_count", Kind::Int),
            ("pinhole.exchange.id", Kind::Text),
            ("pinhole.cost.usd", Kind::Float),
        ] {
            let row = ATTRIBUTES.iter().find(|row| row.name == name);
            let row = row.unwrap_or_else(|| panic!("{name} is gone"));
            assert_eq!((row.kind, row.profile), (kind, None), "{name}");
        }
        assert!(ATTRIBUTES.iter().all(|row| !row.name.starts_with("gen_ai.system.")));
    }
}
