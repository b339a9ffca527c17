//! Who failed, how, and what the caller is told. One closed set of codes; `docs/errors.md` is printed from it.

use std::borrow::Cow;
use std::time::Duration;

/// Who is to blame: the label `source` of `pinhole_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Client,
    Gateway,
    Upstream,
}

impl Source {
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// Declares [`Code`] and its table from one list, so that a code without a row does not compile.
macro_rules! codes {
    ($( $variant:ident $label:literal $status:literal $source:ident $class:ident $meaning:literal $remedy:literal; )*) => {
        /// A stable error code: in the body, the log line, the store and `docs/errors.md`. Never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $( $variant, )* }

        impl Code {
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The stable text of the code; also the `kind` label of metrics.
            pub fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )* }
            }
            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 {
                match self { $( Self::$variant => $status, )* }
            }
            pub fn source(self) -> Source {
                match self { $( Self::$variant => Source::$source, )* }
            }
            /// The family each dialect maps to its own error types.
            pub fn class(self) -> Class {
                match self { $( Self::$variant => Class::$class, )* }
            }
            /// What happened, for the reference page.
            pub fn meaning(self) -> &'static str {
                match self { $( Self::$variant => $meaning, )* }
            }
            /// What to do about it, for the reference page.
            pub fn remedy(self) -> &'static str {
                match self { $( Self::$variant => $remedy, )* }
            }
        }
    };
}

/// The family of an error, which each dialect's `error.rs` maps to the types its SDKs know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    TooLarge,
    RateLimit,
    Overloaded,
    Timeout,
    Upstream,
    Internal,
}

codes! {
    InvalidJson "invalid_json" 400 Client InvalidRequest
        "the request body is not JSON" "send a JSON object; the message names the byte at which reading stopped";
    InvalidRequest "invalid_request" 400 Client InvalidRequest
        "the request cannot be understood: a field has the wrong type, or the path is malformed" "correct the field that the message names";
    InvalidParameter "invalid_parameter" 400 Client InvalidRequest
        "a parameter in the model selector (`model?temperature=…`) is unknown or out of range" "correct or remove the parameter that the message names";
    MissingModel "missing_model" 400 Client InvalidRequest
        "the request names no model and no default provider offers the endpoint" "send `model`, or set `default_backend`";
    InvalidEncoding "invalid_encoding" 400 Client InvalidRequest
        "the body does not decode with its `content-encoding`" "send the body as its header says, or without compression";
    UnsupportedContentType "unsupported_content_type" 415 Client InvalidRequest
        "this endpoint takes JSON" "send `content-type: application/json`";
    UnsupportedEncoding "unsupported_encoding" 415 Client InvalidRequest
        "the body's `content-encoding` is not one of gzip, deflate, br, zstd" "use one of those, or none";
    InvalidApiKey "invalid_api_key" 401 Client Authentication
        "the key is not one of this gateway's" "use a gateway key: `PINHOLE_API_KEY`, or one of `[[keys]]`";
    MissingApiKey "missing_api_key" 401 Client Authentication
        "this gateway wants a key and the request carries none" "send a gateway key in `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `x-pinhole-key`";
    OriginNotAllowed "origin_not_allowed" 403 Client Permission
        "a web page at another origin called a gateway that has no keys" "add the origin to `server.cors_origins`, or configure gateway keys";
    PathNotFound "path_not_found" 404 Client NotFound
        "no endpoint at this path" "see `GET /targets` for the base URLs";
    MethodNotAllowed "method_not_allowed" 405 Client InvalidRequest
        "the path exists, the method does not" "use the method named in the `allow` header";
    ModelNotFound "model_not_found" 404 Client NotFound
        "no configured provider serves this model" "use one of the near names in the message, add the model to a provider's `models`, or set `default_backend`";
    EndpointNotEnabled "endpoint_not_enabled" 404 Client NotFound
        "the model's provider does not offer this endpoint" "set the compatibility flag that the message names";
    ProviderNotFound "provider_not_found" 404 Client NotFound
        "no provider of this name" "use one of the configured provider names";
    WebsocketUnsupported "websocket_unsupported" 426 Client InvalidRequest
        "websocket transport is not offered" "use HTTP: the same path with POST and server-sent events";
    RealtimeUnsupported "realtime_unsupported" 501 Client InvalidRequest
        "the realtime API is not offered" "call the provider directly for realtime sessions";
    McpUnsupported "mcp_unsupported" 501 Client InvalidRequest
        "MCP aggregation is not offered" "connect the client to the MCP server itself";
    BodyTooLarge "body_too_large" 413 Client TooLarge
        "the request body is over the limit" "raise `limits.body`";
    BodyTimeout "body_timeout" 408 Client Timeout
        "the request body did not arrive in time" "check the client's connection, or raise `timeouts.request_body`";
    Overloaded "overloaded" 503 Gateway Overloaded
        "too many requests, or too many body bytes, are in flight" "retry after the time in `retry-after`, or raise `limits.in_flight` and `limits.buffered`";
    ProviderOverloaded "provider_overloaded" 429 Gateway RateLimit
        "too many requests are in flight to this provider" "retry after the time in `retry-after`, or raise the provider's `in_flight`";
    GatewayRestarting "gateway_restarting" 503 Gateway Overloaded
        "the gateway is draining before a restart" "retry after the time in `retry-after`";
    NoProvider "no_provider" 503 Gateway Internal
        "no provider is configured" "set a key such as `OPENAI_API_KEY`, or write a configuration file (`pinhole check` shows what was found)";
    InternalError "internal_error" 500 Gateway Internal
        "a defect of the gateway" "report it with the exchange id";
    UpstreamUnreachable "upstream_unreachable" 502 Upstream Upstream
        "no connection to the provider: name not found, refused, no route, or TLS failed" "check the provider's `baseurl`, the network and the proxy settings; `pinhole check --live` tries each provider";
    UpstreamReset "upstream_reset" 502 Upstream Upstream
        "the provider closed the connection before answering" "retry; look at the provider's status page";
    UpstreamInvalid "upstream_invalid" 502 Upstream Upstream
        "the provider's answer is not HTTP" "check that `baseurl` points at an HTTP server of the right scheme";
    UpstreamConnectTimeout "upstream_connect_timeout" 504 Upstream Timeout
        "no connection to the provider within `timeouts.connect`" "check the network, or raise the provider's `timeouts.connect`";
    UpstreamFirstByteTimeout "upstream_first_byte_timeout" 504 Upstream Timeout
        "the provider sent no answer within `timeouts.first_byte`" "ask for less output, stream, or raise the provider's `timeouts.first_byte`";
    UpstreamIdleTimeout "upstream_idle_timeout" 504 Upstream Timeout
        "the provider stopped sending in the middle of an answer for `timeouts.idle`" "retry, or raise the provider's `timeouts.idle`";
    UpstreamTotalTimeout "upstream_total_timeout" 504 Upstream Timeout
        "the whole call took longer than `timeouts.total`" "raise or remove the provider's `timeouts.total`";
    UpstreamError "upstream_error" 502 Upstream Upstream
        "the provider answered with an error, wrapped because `errors.wrap_502` is set" "the message holds the provider's own answer";
}

/// One refusal or failure, ready to be shaped by the caller's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// Lower case, names the thing and the limit, ends with the remedy.
    pub message: Cow<'static, str>,
    /// The offending field, where there is one (OpenAI's `param`).
    pub param: Option<&'static str>,
    pub retry_after: Option<Duration>,
    /// The methods that the path takes, for the `allow` header.
    pub allow: Option<&'static str>,
    /// What the provider answered, when one answered.
    pub upstream_status: Option<u16>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            allow: None,
            upstream_status: None,
        }
    }

    #[must_use]
    pub fn param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
