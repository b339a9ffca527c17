//! Calls of tools and what the tools answered, in one shape for every dialect.

/// A tool that the model called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// Links the call with its result. Gemini has none in most answers.
    pub id: Option<String>,
    pub name: String,
    /// JSON as the model wrote it; free text where `is_text`.
    pub arguments: String,
    /// The tool takes text and no JSON.
    pub is_text: bool,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallResult {
    pub id: Option<String>,
    /// Where the dialect links by name.
    pub name: Option<String>,
    /// Text, or JSON.
    pub text: String,
    /// It says that it failed.
    pub failed: bool,
}

/// The calls and results of one message, or of one item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exchanged {
    pub calls: Vec<Call>,
    pub results: Vec<CallResult>,
}
