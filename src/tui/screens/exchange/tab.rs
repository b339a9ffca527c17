//! The tabs of an exchange.

/// All of them, in their order.
pub(super) const TABS: [Tab; 8] = [
    Tab::Conversation,
    Tab::Request,
    Tab::Response,
    Tab::Headers,
    Tab::Timeline,
    Tab::Raw,
    Tab::Diagnosis,
    Tab::Summary,
];

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tab {
    #[default]
    Conversation,
    Request,
    Response,
    Headers,
    Timeline,
    Raw,
    Diagnosis,
    Summary,
}

impl Tab {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Request => "request",
            Self::Response => "response",
            Self::Headers => "headers",
            Self::Timeline => "timeline",
            Self::Raw => "raw",
            Self::Diagnosis => "diagnosis",
            Self::Summary => "summary",
        }
    }
}
