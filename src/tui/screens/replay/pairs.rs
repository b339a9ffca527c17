//! The pairs of a run, the biggest regressions first: any of them can be opened beside its baseline.

use pinhole_replay::faces::words;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::report::look::{Tone, clean_line};
use crate::tui::common::{Common, Go};
use crate::tui::keys::Action;
use crate::tui::parts::popup::{Item, Menu, Popup};
use crate::tui::parts::table::{self, Cell, Column};
use crate::tui::screens::replay::told::{Pair, Pairs};

/// What sorts by how answers differ.
const DIFFERENCE: &str = "difference";

/// Its state.
#[derive(Debug, Default)]
pub(super) struct Table {
    pairs: Option<Pairs>,
    cursor: usize,
    top: usize,
    error: Option<String>,
}

impl Table {
    pub(super) fn set(&mut self, pairs: Pairs, common: &Common) {
        self.pairs = Some(pairs);
        self.error = None;
        self.go(0, common);
    }

    pub(super) fn refused(&mut self, words: &str) {
        self.error = Some(words.to_owned());
    }

    fn rows(&self) -> &[Pair] {
        self.pairs.as_ref().map_or(&[], |pairs| &pairs.pairs)
    }

    /// What one looks at.
    pub(super) fn told(&self) -> String {
        let Some(pairs) = &self.pairs else { return String::new() };
        let by = match pairs.sort.as_str() {
            DIFFERENCE => "answers that differ most first".to_owned(),
            metric => format!("biggest regressions of {metric} first"),
        };
        match pairs.count {
            count if count > pairs.pairs.len() => {
                format!("  {by}; {} of {count}", pairs.pairs.len())
            }
            count => format!("  {by}; {count}"),
        }
    }

    /// What they can be sorted by.
    pub(super) fn sorts() -> Popup {
        let item = |name: &str, words: String| Item {
            key: String::new(),
            words,
            choice: format!("sort {name}"),
        };
        let mut items = vec![item(DIFFERENCE, "how answers differ".to_owned())];
        items.extend(words::metrics().map(|metric| item(metric, metric.to_owned())));
        Popup::Menu(Menu { title: "biggest regressions of".to_owned(), items, at: 0 })
    }

    /// Beside its baseline.
    pub(super) fn open(&self, common: &mut Common) {
        let Some(pair) = self.rows().get(self.cursor) else { return };
        match (&pair.baseline_id, &pair.target_id) {
            (Some(left), Some(right)) => {
                common.go.push(Go::Diff { left: left.clone(), right: Some(right.clone()) });
            }
            (_, Some(id)) => common.go.push(Go::Exchange { id: id.clone(), tab: None }),
            (_, None) => {
                common.say(Tone::Odd, "it was never sent; what was captured is opened");
                common.go.push(Go::Exchange { id: pair.of.clone(), tab: None });
            }
        }
    }

    fn height(common: &Common) -> usize {
        usize::from(common.room().height).saturating_sub(2).max(1)
    }

    fn go(&mut self, to: usize, common: &Common) {
        self.cursor = to.min(self.rows().len().saturating_sub(1));
        let height = Self::height(common);
        self.top = self.top.clamp((self.cursor + 1).saturating_sub(height), self.cursor);
    }

    pub(super) fn resized(&mut self, common: &Common) {
        self.go(self.cursor, common);
    }

    /// Moves; false: that is no movement.
    pub(super) fn act(&mut self, action: Action, common: &Common) -> bool {
        let page = Self::height(common);
        let to = match action {
            Action::Up => self.cursor.saturating_sub(1),
            Action::Down => self.cursor + 1,
            Action::PageUp => self.cursor.saturating_sub(page),
            Action::PageDown => self.cursor + page,
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => return false,
        };
        self.go(to, common);
        true
    }

    pub(super) fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let Some(pairs) = &self.pairs else {
            let (tone, words) = match &self.error {
                Some(error) => (Tone::Bad, error.as_str()),
                None => (Tone::Dim, "reading …"),
            };
            frame.render_widget(Line::styled(words.to_owned(), theme.tone(tone)), area);
            return;
        };
        let height = usize::from(area.height.saturating_sub(1));
        let seen = pairs.pairs.iter().skip(self.top).take(height);
        let rows: Vec<Vec<Cell>> = seen.map(|pair| cells(pair, &pairs.sort)).collect();
        let selected = self.cursor.checked_sub(self.top);
        table::view(frame, area, &columns(&pairs.sort), &rows, selected, theme);
    }
}

/// The metric that is shown.
fn metric(sort: &str) -> &str {
    if sort == DIFFERENCE { "e2e" } else { sort }
}

fn columns(sort: &str) -> Vec<Column> {
    vec![
        Column::new("target", 20),
        Column::right(metric(sort), 9),
        Column::right("baseline", 9),
        Column::right("ratio", 7),
        Column::right("differs", 7),
        Column::new("why", 22),
        Column::new("session", 22),
        Column::right("repeat", 6),
        Column::new("captured exchange", 36),
    ]
}

fn cells(pair: &Pair, sort: &str) -> Vec<Cell> {
    let metric = metric(sort);
    let more_is_better = words::more_is_better(metric);
    let worse = pair.ratio.map(|ratio| if more_is_better { 1.0 / ratio } else { ratio });
    let tone = match worse {
        _ if pair.error.is_some() => Tone::Bad,
        Some(worse) if worse > 1.05 => Tone::Bad,
        Some(worse) if worse < 0.95 => Tone::Good,
        _ => Tone::Plain,
    };
    let why = match (&pair.error, &pair.baseline_error) {
        (None, Some(kind)) => format!("baseline failed: {kind}"),
        _ => pair.why.clone(),
    };
    vec![
        (Tone::Plain, clean_line(&pair.target)),
        (Tone::Plain, words::optional(metric, pair.value)),
        (Tone::Dim, words::optional(metric, pair.baseline)),
        (tone, pair.ratio.map_or_else(|| words::NONE.to_owned(), words::ratio)),
        (Tone::Plain, pair.difference.map_or_else(String::new, |share| format!("{share:.2}"))),
        (if pair.error.is_some() { Tone::Bad } else { Tone::Dim }, clean_line(&why)),
        (Tone::Dim, clean_line(pair.session.as_deref().unwrap_or_default())),
        (Tone::Dim, (pair.repeat + 1).to_string()),
        (Tone::Dim, clean_line(&pair.of)),
    ]
}
