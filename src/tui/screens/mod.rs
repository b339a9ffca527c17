//! The screens, one file each.

pub mod deeds;
pub mod diff;
pub mod exchange;
pub mod exchanges;
pub mod help;
pub mod overview;
pub mod replay;
pub mod sessions;
pub mod tools;

use crate::tui::common::Scene;

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

/// All of them; each keeps its state while another is seen.
#[derive(Default)]
pub struct Screens {
    pub overview: overview::Overview,
    pub sessions: sessions::Sessions,
    pub exchanges: exchanges::Exchanges,
    pub exchange: exchange::Exchange,
    pub diff: diff::Diff,
    pub replay: replay::Replay,
    pub tools: tools::Tools,
    pub help: help::Help,
}

impl Screens {
    pub fn scene(&self, screen: Screen) -> &dyn Scene {
        match screen {
            Screen::Overview => &self.overview,
            Screen::Sessions => &self.sessions,
            Screen::Exchanges => &self.exchanges,
            Screen::Exchange => &self.exchange,
            Screen::Diff => &self.diff,
            Screen::Replay => &self.replay,
            Screen::Tools => &self.tools,
            Screen::Help => &self.help,
        }
    }

    pub fn scene_mut(&mut self, screen: Screen) -> &mut dyn Scene {
        match screen {
            Screen::Overview => &mut self.overview,
            Screen::Sessions => &mut self.sessions,
            Screen::Exchanges => &mut self.exchanges,
            Screen::Exchange => &mut self.exchange,
            Screen::Diff => &mut self.diff,
            Screen::Replay => &mut self.replay,
            Screen::Tools => &mut self.tools,
            Screen::Help => &mut self.help,
        }
    }
}
