//! What goes on now: rates, latencies, providers, what failed, what is odd, what is captured.

pub mod capture;
pub mod panes;
pub mod told;
mod view;

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::report::look::Tone;
use crate::report::overview::Overview as Lately;
use crate::report::words;
use crate::tui::ask::{Answer, Lane, Result, Want};
use crate::tui::common::{Common, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::table::Cell;
use crate::tui::screens::Screen;
use panes::Pane;
use told::{Gateway, Live, Running, Told};

const LATELY: Lane = Lane { screen: Screen::Overview, name: "lately" };
const RUNNING: Lane = Lane { screen: Screen::Overview, name: "running" };
const CAPTURE: Lane = Lane { screen: Screen::Overview, name: "capture" };
/// How often it is asked how things stand.
const NEWS_MS: u64 = 1_000;
/// How often all is added up again although nothing came: what is old leaves the window, and late usage comes in.
const AGAIN_MS: u64 = 15_000;
/// Limit: running exchanges that are shown.
const RUNNING_MAX: usize = 500;

/// The windows that can be looked at, as the API takes them and as people say.
pub(super) const WINDOWS: [(&str, &str); 5] = [
    ("15m", "15 minutes"),
    ("1h", "hour"),
    ("6h", "6 hours"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
];
pub(super) const WINDOW_FIRST: usize = 1;

/// Its state.
#[derive(Debug)]
pub struct Overview {
    lately: Lately,
    gateway: Gateway,
    running: Vec<Running>,
    /// The newest place in the store that `lately` knows of; none: nothing was told yet.
    seq: Option<i64>,
    window: usize,
    pane: Pane,
    /// The selected row of each pane.
    cursors: [usize; Pane::ALL.len()],
    /// The cells of each pane's rows, made when an answer came.
    rows: [Vec<Vec<Cell>>; Pane::ALL.len()],
    error: Option<String>,
    asked_ms: u64,
    whole_ms: u64,
}

impl Default for Overview {
    fn default() -> Self {
        Self {
            lately: Lately::default(),
            gateway: Gateway::default(),
            running: Vec::new(),
            seq: None,
            window: WINDOW_FIRST,
            pane: Pane::Failures,
            cursors: [0; Pane::ALL.len()],
            rows: Default::default(),
            error: None,
            asked_ms: 0,
            whole_ms: 0,
        }
    }
}

impl Overview {
    /// Asks for all of it.
    fn read(&mut self, common: &mut Common) {
        (self.asked_ms, self.whole_ms) = (common.now_ms, common.now_ms);
        common.ask(LATELY, Want::Get { path: self.path(None, common) });
        common.ask(RUNNING, Want::Get { path: "live".to_owned() });
    }

    fn path(&self, seq: Option<i64>, common: &Common) -> String {
        let (window, _) = WINDOWS.get(self.window).copied().unwrap_or(("1h", ""));
        let seq = seq.map_or_else(String::new, |seq| format!("&seq={seq}"));
        let steps = view::bar_columns(common.size);
        format!("overview?window={window}&steps={steps}{seq}")
    }

    fn cursor(&self, pane: Pane) -> usize {
        self.cursors.get(pane.place()).copied().unwrap_or(0)
    }

    fn rows(&self, pane: Pane) -> &[Vec<Cell>] {
        self.rows.get(pane.place()).map_or(&[], Vec::as_slice)
    }

    fn step(&mut self, by: isize) {
        let last = self.rows(self.pane).len().saturating_sub(1);
        if let Some(cursor) = self.cursors.get_mut(self.pane.place()) {
            *cursor = cursor.saturating_add_signed(by).min(last);
        }
    }

    /// Makes the cells anew; the cursors stay within what is there.
    fn lay(&mut self) {
        for pane in Pane::ALL {
            let rows = panes::rows(pane, &self.lately, &self.gateway, &self.running);
            let last = rows.len().saturating_sub(1);
            if let (Some(cells), Some(cursor)) =
                (self.rows.get_mut(pane.place()), self.cursors.get_mut(pane.place()))
            {
                *cells = rows;
                *cursor = (*cursor).min(last);
            }
        }
    }

    fn told(&mut self, told: Told) {
        self.gateway = told.gateway;
        self.seq = Some(told.seq);
        if !told.unchanged {
            self.lately = told.lately;
        }
        self.lay();
    }

    fn open(&mut self, common: &mut Common) {
        let at = self.cursor(self.pane);
        let go = panes::open(self.pane, at, &self.lately, &self.running);
        common.go.extend(go);
    }
}

impl Scene for Overview {
    fn entered(&mut self, common: &mut Common) {
        self.read(common);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Overview), Scope::Panes]
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-10),
            Action::PageDown => self.step(10),
            Action::Top => self.step(isize::MIN),
            Action::Bottom => self.step(isize::MAX),
            Action::NextTab => self.pane = self.pane.next(1),
            Action::PreviousTab => self.pane = self.pane.next(Pane::ALL.len() - 1),
            Action::Open | Action::Right => self.open(common),
            Action::Window => {
                self.window = (self.window + 1) % WINDOWS.len();
                self.read(common);
            }
            Action::Capture => capture::menu(common),
            _ => return false,
        }
        true
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        capture::chosen(choice, CAPTURE, common);
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        if lane == CAPTURE {
            capture::switched(&answer, common);
            self.read(common);
            return;
        }
        let value = match answer {
            Ok(Answer::Json(value)) => value,
            Ok(_) => return,
            Err(trouble) => {
                self.error = Some(trouble.words().to_owned());
                return;
            }
        };
        let odd = |error: serde_json::Error| {
            Some(format!("the gateway's answer cannot be read: {error}"))
        };
        if lane == RUNNING {
            match serde_json::from_value::<Live>(value) {
                Ok(mut live) => {
                    live.exchanges.truncate(RUNNING_MAX);
                    self.running = live.exchanges;
                    self.lay();
                }
                Err(error) => self.error = odd(error),
            }
            return;
        }
        match serde_json::from_value(value) {
            Ok(told) => {
                self.error = None;
                self.told(told);
            }
            Err(error) => self.error = odd(error),
        }
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        if common.now_ms < self.asked_ms + NEWS_MS {
            return false;
        }
        self.asked_ms = common.now_ms;
        let whole = common.now_ms >= self.whole_ms + AGAIN_MS;
        let seq = if whole { None } else { self.seq };
        if common.poll(LATELY, Want::Get { path: self.path(seq, common) }) && whole {
            self.whole_ms = common.now_ms;
        }
        common.poll(RUNNING, Want::Get { path: "live".to_owned() });
        false
    }

    fn resized(&mut self, common: &mut Common) {
        // As many bars as there is room for.
        self.read(common);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        if self.seq.is_none() {
            return Vec::new();
        }
        let (_, window) = WINDOWS.get(self.window).copied().unwrap_or_default();
        let mut chips = Vec::new();
        if self.lately.past {
            let until = jiff::Timestamp::from_microsecond(self.lately.until_us).unwrap_or_default();
            let until = until.strftime("%Y-%m-%d %H:%M");
            chips.push((Tone::Odd, format!("the {window} up to {until} UTC; nothing since")));
        } else {
            chips.push((Tone::Plain, format!("last {window}")));
        }
        if self.lately.cut {
            let shown = words::count(self.lately.total.exchanges);
            chips.push((Tone::Odd, format!("the newest {shown} of it")));
        }
        if self.gateway.in_flight > 0 {
            chips.push((Tone::Good, format!("{} in flight", self.gateway.in_flight)));
        }
        chips
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        self.draw(frame, area, common);
    }
}
