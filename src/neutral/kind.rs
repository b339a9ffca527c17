//! Closed sets: which dialect a call speaks, what it asks for, which endpoints a provider offers.

/// A vendor's wire language. Also decides the envelope of the gateway's own errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenAiChat,
    OpenAiResponses,
    OpenAiEmbeddings,
    Anthropic,
    Gemini,
}

impl Dialect {
    pub const ALL: [Self; 5] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::OpenAiEmbeddings,
        Self::Anthropic,
        Self::Gemini,
    ];

    /// The label in metrics, log lines, the store and queries.
    pub fn label(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::OpenAiEmbeddings => "openai_embeddings",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A conversation turn: chat completions, responses, messages, generateContent.
    Chat,
    /// OpenAI's legacy `/v1/completions`.
    TextCompletion,
    Embeddings,
    CountTokens,
    /// The catalogue, answered by the gateway.
    Models,
    /// Allowed but unknown: forwarded verbatim, never parsed beyond its model.
    Opaque,
}

impl Operation {
    pub fn label(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Opaque => "opaque",
        }
    }
}

/// One compatibility flag: an endpoint family a provider may offer (`compatibility` in its block).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    OpenAiChat,
    OpenAiResponses,
    AnthropicMessages,
    GeminiGenerateContent,
    GoogleGenerateContent,
    GoogleRawPredict,
    BedrockModelInvoke,
    BedrockConverse,
}

impl Flag {
    pub const ALL: [Self; 8] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::GeminiGenerateContent,
        Self::GoogleGenerateContent,
        Self::GoogleRawPredict,
        Self::BedrockModelInvoke,
        Self::BedrockConverse,
    ];

    /// The key in a `compatibility` block.
    pub fn key(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
            Self::GeminiGenerateContent => "gemini_generate_content",
            Self::GoogleGenerateContent => "google_generate_content",
            Self::GoogleRawPredict => "google_raw_predict",
            Self::BedrockModelInvoke => "bedrock_model_invoke",
            Self::BedrockConverse => "bedrock_converse",
        }
    }

    /// The path advertised in `supported_endpoints`.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::OpenAiChat => "/v1/chat/completions",
            Self::OpenAiResponses => "/v1/responses",
            Self::AnthropicMessages => "/v1/messages",
            Self::GeminiGenerateContent => "/v1beta/models/{model}:generateContent",
            Self::GoogleGenerateContent => {
                "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:generateContent"
            }
            Self::GoogleRawPredict => {
                "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict"
            }
            Self::BedrockModelInvoke => "/bedrock/model/{model}/invoke",
            Self::BedrockConverse => "/bedrock/model/{model}/converse",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of compatibility flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn with(self, flag: Flag) -> Self {
        Self(self.0 | flag.bit())
    }

    #[must_use]
    pub fn without(self, flag: Flag) -> Self {
        Self(self.0 & !flag.bit())
    }

    pub fn has(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags that are set, in declaration order.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |flag| self.has(*flag))
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::NONE, Self::with)
    }
}
