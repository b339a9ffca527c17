//! The names of the screens.

/// Which one is seen. Their numbers are their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Screen {
    Overview,
    Sessions,
    Exchanges,
    Exchange,
    Diff,
    Replay,
    Tools,
    Help,
}

impl Screen {
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Sessions,
        Self::Exchanges,
        Self::Exchange,
        Self::Diff,
        Self::Replay,
        Self::Tools,
        Self::Help,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Overview => "1 overview",
            Self::Sessions => "2 sessions",
            Self::Exchanges => "3 exchanges",
            Self::Exchange => "4 exchange",
            Self::Diff => "5 diff",
            Self::Replay => "6 replay",
            Self::Tools => "7 tools and providers",
            Self::Help => "8 help",
        }
    }
}
