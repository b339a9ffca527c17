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
pub use crate::tui::screen::Screen;

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
