//! What all screens share, and what a screen asks of the house: questions, ways to go, words to say.

use std::collections::HashMap;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::report::look::{Look, Tone};
use crate::tui::ask::{Answer, Lane, Result, Want};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::popup::Popup;
use crate::tui::screen::Screen;
use crate::tui::theme::Theme;

/// How long a word at the foot stays.
const NOTICE_MS: u64 = 4_000;
/// Limit: exchanges marked at once.
pub const MARKS_MAX: usize = 100;

/// Something to be done outside: the only way out of `update`.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Ask {
        lane: Lane,
        ticket: u64,
        want: Want,
    },
    /// Into the terminal's clipboard.
    Copy(String),
    /// Into a file below the working directory; told when it is there.
    Write {
        name: String,
        bytes: Vec<u8>,
    },
    /// Views, columns: kept for the next start.
    Keep(Prefs),
    Suspend,
    Quit,
}

/// What is kept between two starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Prefs {
    /// Name and query.
    pub views: Vec<(String, String)>,
    /// Columns of the list of exchanges; empty: those of the house.
    pub columns: Vec<String>,
    /// Queries that were asked, the newest last.
    pub history: Vec<String>,
}

/// Where to go after a key was handled.
#[derive(Debug, Clone, PartialEq)]
pub enum Go {
    Screen(Screen),
    Back,
    /// The exchange, at a tab if that matters.
    Exchange {
        id: String,
        tab: Option<&'static str>,
    },
    /// The exchanges that this query finds.
    Exchanges {
        filter: String,
    },
    /// Two exchanges beside each other; without the second, the turn before the first.
    Diff {
        left: String,
        right: Option<String>,
    },
    /// Choose targets for what this query finds; `count` where it is known.
    Replay {
        from: String,
        count: Option<usize>,
    },
    /// A run that is there.
    Run {
        id: String,
    },
}

/// Whether anybody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    Up,
    Lost { words: String, since_ms: u64, next_ms: u64 },
}

/// A word at the foot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub words: String,
    pub tone: Tone,
    pub until_ms: u64,
}

/// What all screens share.
#[derive(Debug)]
pub struct Common {
    /// Milliseconds since the start.
    pub now_ms: u64,
    /// Microseconds since 1970.
    pub wall_us: i64,
    pub size: (u16, u16),
    pub theme: Theme,
    /// Where it all comes from, for the head line.
    pub source: String,
    pub link: Link,
    pub notice: Option<Notice>,
    pub popup: Option<Popup>,
    /// Ids, in the order they were marked.
    pub marks: Vec<String>,
    pub prefs: Prefs,
    pub effects: Vec<Effect>,
    pub go: Vec<Go>,
    tickets: HashMap<Lane, u64>,
    waiting: HashMap<Lane, u64>,
    last_ticket: u64,
}

impl Common {
    pub fn new(size: (u16, u16), theme: Theme, source: String, prefs: Prefs) -> Self {
        Self {
            now_ms: 0,
            wall_us: 0,
            size,
            theme,
            source,
            link: Link::Up,
            notice: None,
            popup: None,
            marks: Vec::new(),
            prefs,
            effects: Vec::new(),
            go: Vec::new(),
            tickets: HashMap::new(),
            waiting: HashMap::new(),
            last_ticket: 0,
        }
    }

    /// The room a screen has: all but the head line and the footer.
    pub fn room(&self) -> Rect {
        Rect::new(0, 1, self.size.0, self.size.1.saturating_sub(2))
    }

    /// Asks; the answer comes to the screen of the lane. Whatever was asked in it before is void.
    pub fn ask(&mut self, lane: Lane, want: Want) {
        self.last_ticket += 1;
        self.tickets.insert(lane, self.last_ticket);
        self.waiting.insert(lane, self.now_ms);
        self.effects.push(Effect::Ask { lane, ticket: self.last_ticket, want });
    }

    /// As [`Common::ask`], unless the lane still waits for an answer: for what is asked again and again.
    pub fn poll(&mut self, lane: Lane, want: Want) -> bool {
        if self.is_waiting(lane) || matches!(self.link, Link::Lost { .. }) {
            return false;
        }
        self.ask(lane, want);
        true
    }

    pub fn is_waiting(&self, lane: Lane) -> bool {
        self.waiting.contains_key(&lane)
    }

    /// Lets an answer that is on its way go.
    pub fn forget(&mut self, lane: Lane) {
        self.tickets.remove(&lane);
        self.waiting.remove(&lane);
    }

    /// Whether an answer is still wanted.
    pub fn takes(&mut self, lane: Lane, ticket: u64) -> bool {
        let wanted = self.tickets.get(&lane) == Some(&ticket);
        if wanted {
            self.waiting.remove(&lane);
        }
        wanted
    }

    /// Says something at the foot for a moment.
    pub fn say(&mut self, tone: Tone, words: impl Into<String>) {
        let until_ms = self.now_ms + NOTICE_MS;
        self.notice = Some(Notice { words: words.into(), tone, until_ms });
    }

    pub fn copy(&mut self, what: &str, text: String) {
        self.effects.push(Effect::Copy(text));
        self.say(Tone::Good, format!("{what} copied to the terminal's clipboard"));
    }

    pub fn style(&self, tone: Tone) -> Style {
        self.theme.tone(tone)
    }

    /// How the reports' texts are to be made for this width.
    pub fn look(&self, width: u16) -> Look {
        Look { width: Some(usize::from(width)), colour: true, full: false }
    }

    /// Marks, or takes the mark off.
    pub fn mark(&mut self, id: &str) {
        if let Some(at) = self.marks.iter().position(|marked| marked == id) {
            self.marks.remove(at);
        } else if self.marks.len() < MARKS_MAX {
            self.marks.push(id.to_owned());
        } else {
            self.say(Tone::Odd, format!("{MARKS_MAX} are marked; no more can be"));
        }
    }
}

/// A screen: state that keys, answers and time change, and a picture of it.
pub trait Scene {
    /// It became the one that is seen.
    fn entered(&mut self, common: &mut Common);

    /// The scopes whose keys work, the nearest first; [`Scope::Everywhere`] is added.
    fn scopes(&self) -> Vec<Scope>;

    /// Whether keys are text now; they come by [`Scene::typed`] then.
    fn is_typing(&self) -> bool {
        false
    }

    /// A key while typing, as `keys::name` spells it, and the character it stands for, if any.
    fn typed(&mut self, _key: &str, _character: Option<char>, _common: &mut Common) {}

    /// Text pasted while typing.
    fn pasted(&mut self, _text: &str, _common: &mut Common) {}

    /// Does it; false: that means nothing here.
    fn act(&mut self, action: Action, common: &mut Common) -> bool;

    /// A choice from a menu or a confirmation that this screen had opened.
    fn chosen(&mut self, _choice: &str, _common: &mut Common) {}

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common);

    /// Time passes, four times a second while it is seen. True: something changed.
    fn tick(&mut self, common: &mut Common) -> bool;

    fn resized(&mut self, _common: &mut Common) {}

    /// Words right of the screen's name: filter, follow, counts.
    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        Vec::new()
    }

    fn view(&self, frame: &mut ratatui::Frame<'_>, area: Rect, common: &Common);
}
