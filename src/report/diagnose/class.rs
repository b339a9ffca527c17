//! What can have gone wrong: one closed list, for every dialect. The labels are stable: programs read them.

use serde::{Serialize, Serializer};

/// A part of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Client,
    Gateway,
    Network,
    Provider,
    /// Nothing went wrong.
    Nowhere,
}

impl Place {
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Network => "network",
            Self::Provider => "provider",
            Self::Nowhere => "nowhere",
        }
    }
}

/// How sure the diagnosis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Follows from a number, or from one of several possible causes.
    Possible,
    /// Follows from words, or from what usually lies behind it.
    Likely,
    /// Follows from a code, or from what the gateway itself saw or did.
    Certain,
}

impl Confidence {
    pub fn label(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// Declares [`Class`] from one list, which `docs/diagnose.md` holds as a table.
macro_rules! classes {
    ($( $variant:ident $label:literal $meaning:literal; )*) => {
        /// What went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Class { $( $variant, )* }

        impl Class {
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The word in JSON.
            pub fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )* }
            }

            /// What it means, as the reference says it.
            pub fn meaning(self) -> &'static str {
                match self { $( Self::$variant => $meaning, )* }
            }
        }
    };
}

classes! {
    Authentication "authentication" "the provider does not accept the key";
    Permission "permission" "the key is good, what it asks for is not allowed";
    Payment "payment" "the account has no credit, or its spending limit is reached";
    RateLimit "rate_limit" "a limit of requests or tokens in a time is used up";
    Overloaded "overloaded" "the provider has no capacity now";
    ContextOverflow "context_overflow" "prompt and answer do not fit the model's context";
    RequestTooLarge "request_too_large" "the body has more bytes than the provider takes";
    InvalidRequest "invalid_request" "the provider can't do what the request says";
    ModelNotFound "model_not_found" "the provider has no such model, or not for this key";
    NotFound "not_found" "the provider knows nothing at this address";
    ContentPolicy "content_policy" "a filter of the provider stopped the prompt or the answer";
    ServerError "server_error" "the provider failed by itself";
    ProviderTimeout "provider_timeout" "the provider ran out of its own time";
    ConnectTimeout "connect_timeout" "no connection within `timeouts.connect`";
    FirstByteTimeout "first_byte_timeout" "no answer within `timeouts.first_byte`";
    IdleTimeout "idle_timeout" "the answer stood still for `timeouts.idle`";
    TotalTimeout "total_timeout" "the call was not over within `timeouts.total`";
    DnsFailure "dns_failure" "the provider's name has no address";
    ConnectFailure "connect_failure" "nobody takes the connection";
    TlsFailure "tls_failure" "the connection can't be made safe";
    Reset "reset" "the connection ended before the answer began";
    CutStream "cut_stream" "the connection ended in the middle of the answer";
    ClientCancelled "client_cancelled" "the client left before the end";
    GatewayRefusal "gateway_refusal" "the gateway said no; the detail is its code";
    GatewayError "gateway_error" "a defect of the gateway";
    Interrupted "interrupted" "the gateway ended in the middle of the exchange";
    InvalidAnswer "invalid_answer" "what came is not an answer of the API";
    Unfinished "unfinished" "the stream ended in order, but without its last event";
    Refusal "refusal" "the model declined";
    Truncated "truncated" "the answer ended at a limit of tokens";
    EmptyAnswer "empty_answer" "a complete answer without words and without calls";
    InvalidToolArguments "invalid_tool_arguments" "a tool was called with arguments that are no JSON or do not fit its schema";
    RepeatedCall "repeated_call" "the same call with the same result, again";
    FailedTool "failed_tool" "a tool of the client failed, and the model was told";
    Stall "stall" "the answer paused far longer than its pace";
    SlowFirstToken "slow_first_token" "the first word took long";
    CacheMiss "cache_miss" "the prompt's beginning changed, so the provider's cache did not help";
    Duplicate "duplicate" "the client sent the same request again";
    Nothing "nothing" "nothing is wrong";
    Unknown "unknown" "it failed, and what is kept does not say how";
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_class() {
        let page = include_str!("../../../docs/diagnose.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = Class::ALL
            .iter()
            .map(|class| format!("| `{}` | {} |", class.label(), class.meaning()))
            .collect();
        assert_eq!(rows, expected);
    }
}
