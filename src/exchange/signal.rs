//! What is odd about an exchange, found when it closed: stored, queryable, counted, never acted on.

/// One finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// A complete answer without text and without tool calls.
    EmptyReply,
    /// A tool was called with arguments that are no JSON, or do not fit the tool's schema in type or required members.
    InvalidToolArguments,
    /// The newest messages bring the result of a tool that failed.
    FailedToolResult,
    /// The same tool was called with the same arguments and gave the same result earlier in the conversation.
    RepeatedCall,
    /// The request is byte for byte that of another exchange of the last minutes: a retry by the client.
    DuplicateOf,
    /// The beginning of the prompt differs from that of the session's last turn: the provider's cache is broken.
    PrefixChanged,
    /// The answer ended at a limit of tokens, or was cut.
    Truncated,
    /// The model or the provider refused: a refusal part, a content filter, a safety stop.
    Refusal,
    /// A pause in the stream far beyond its own pace.
    Stall,
}

impl Signal {
    pub const ALL: [Self; 9] = [
        Self::EmptyReply,
        Self::InvalidToolArguments,
        Self::FailedToolResult,
        Self::RepeatedCall,
        Self::DuplicateOf,
        Self::PrefixChanged,
        Self::Truncated,
        Self::Refusal,
        Self::Stall,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::EmptyReply => "empty_reply",
            Self::InvalidToolArguments => "invalid_tool_arguments",
            Self::FailedToolResult => "failed_tool_result",
            Self::RepeatedCall => "repeated_call",
            Self::DuplicateOf => "duplicate_of",
            Self::PrefixChanged => "prefix_changed",
            Self::Truncated => "truncated",
            Self::Refusal => "refusal",
            Self::Stall => "stall",
        }
    }

    /// Its bit in the store. Never changed once released.
    pub fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The findings of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals(u32);

impl Signals {
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn add(&mut self, signal: Signal) {
        self.0 |= signal.bit();
    }

    pub fn has(self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.into_iter().filter(move |signal| self.has(*signal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_labels_are_of_one_signal_each() {
        let mut all = Signals::default();
        for signal in Signal::ALL {
            assert!(!all.has(signal), "{}", signal.label());
            all.add(signal);
        }
        assert_eq!(all.iter().collect::<Vec<_>>(), Signal::ALL);
        assert_eq!(Signals::of_bits(all.bits()), all);
    }
}
