//! What a first look at a request found: enough to route it, with the places to edit.

use std::ops::Range;

/// A value found in the raw request bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The text, unescaped.
    pub text: String,
    /// Where the value stands in the body, quotes included; what an edit replaces.
    pub span: Range<usize>,
}

/// The facts of one request body. Absence is absence: a client that did not send `stream` has `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The last `model` that is a string: the one most parsers take.
    pub model: Option<Found>,
    /// Every other `model` member: earlier duplicates, which some providers read first, and a `null`.
    pub model_others: Vec<Range<usize>>,
    pub stream: Option<bool>,
    /// `stream_options.include_usage`, when sent.
    pub include_usage: Option<bool>,
    /// Where the value of `stream_options` stands, when sent.
    pub stream_options: Option<Range<usize>>,
    /// Where the value of `temperature` stands, when sent.
    pub temperature: Option<Range<usize>>,
    /// Just after the opening brace of the body: where a new member may be spliced in.
    pub insert_at: usize,
    /// The body is an empty object, so a spliced member takes no comma.
    pub empty_object: bool,
}
