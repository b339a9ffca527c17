//! One run: how it is going, and once it is over what it came to: the comparison, and the pairs that it is made of.

use pinhole_replay::faces::{markdown, terminal, words};
use pinhole_replay::report::Report;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;

use crate::report::look::{Tone, clean_line};
use crate::tui::ask::{Lane, Method, Want};
use crate::tui::common::Common;
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::editor::Editor;
use crate::tui::parts::pager::Pager;
use crate::tui::parts::{chart, clip, popup};
use crate::tui::screens::Screen;
use crate::tui::screens::replay::pairs::Table;
use crate::tui::screens::replay::runs;
use crate::tui::screens::replay::told::{Pairs, Run};

pub(super) const ONE: Lane = Lane { screen: Screen::Replay, name: "run" };
pub(super) const PAIRS: Lane = Lane { screen: Screen::Replay, name: "pairs" };
pub(super) const STOP: Lane = Lane { screen: Screen::Replay, name: "stop" };
pub(super) const FILE: Lane = Lane { screen: Screen::Replay, name: "file" };
/// How often a run on its way is looked at.
const LOOK_MS: u64 = 500;
/// Limit: rates kept for the sparkline.
const RATES_MAX: usize = 240;
const TABS: [&str; 2] = ["comparison", "pairs"];

/// Its state.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) id: String,
    going: Option<Run>,
    rates: Vec<f64>,
    report: Option<Box<Report>>,
    pub(super) trouble: Option<String>,
    asked_ms: u64,
    tab: usize,
    pager: Pager,
    pairs: Table,
    /// While a search is typed.
    pub(super) editor: Option<Editor>,
    /// The form that was asked for as a file.
    form: &'static str,
}

impl Watch {
    pub(super) fn open(&mut self, id: &str, common: &mut Common) {
        if self.id != id || self.report.is_none() {
            *self = Self { id: id.to_owned(), ..Self::default() };
            for lane in [PAIRS, FILE] {
                common.forget(lane);
            }
        }
        self.read(common);
    }

    pub(super) fn read(&mut self, common: &mut Common) {
        self.asked_ms = common.now_ms;
        common.ask(ONE, Want::Get { path: format!("runs/{}", self.id) });
    }

    pub(super) fn is_over(&self) -> bool {
        self.report.is_some()
    }

    pub(super) fn from(&self) -> Option<&str> {
        self.report.as_ref().map(|report| report.plan.from.as_str())
    }

    pub(super) fn scopes(&self) -> Vec<Scope> {
        match (self.is_over(), self.tab) {
            (false, _) => vec![Scope::Watch],
            (true, 0) => vec![Scope::On(Screen::Replay), Scope::Pager],
            (true, _) => vec![Scope::On(Screen::Replay), Scope::List],
        }
    }

    pub(super) fn tick(&mut self, common: &mut Common) {
        if !self.is_over() && common.now_ms >= self.asked_ms + LOOK_MS {
            self.asked_ms = common.now_ms;
            common.poll(ONE, Want::Get { path: format!("runs/{}", self.id) });
        }
    }

    pub(super) fn told(&mut self, answer: Value, common: &mut Common) {
        self.trouble = None;
        if answer.get("ended").is_some() {
            match serde_json::from_value::<Report>(answer) {
                Ok(report) => {
                    self.report = Some(Box::new(report));
                    self.going = None;
                    self.render(common);
                    self.ask_pairs(None, common);
                }
                Err(error) => self.trouble = Some(format!("the report cannot be read: {error}")),
            }
            return;
        }
        match serde_json::from_value::<Run>(answer) {
            Ok(run) => {
                if let Some(progress) = &run.progress {
                    self.rates.push(progress.per_s);
                    let surplus = self.rates.len().saturating_sub(RATES_MAX);
                    self.rates.drain(..surplus);
                }
                self.going = Some(run);
            }
            Err(error) => self.trouble = Some(format!("the run's state cannot be read: {error}")),
        }
    }

    pub(super) fn refused(&mut self, words: &str) {
        self.trouble = Some(words.to_owned());
    }

    fn ask_pairs(&self, sort: Option<&str>, common: &mut Common) {
        let sort = sort.map_or_else(String::new, |sort| format!("&sort={sort}"));
        let path = format!("runs/{}/pairs?limit=1000{sort}", self.id);
        common.ask(PAIRS, Want::Get { path });
    }

    pub(super) fn told_pairs(&mut self, answer: Value, common: &Common) {
        match serde_json::from_value::<Pairs>(answer) {
            Ok(pairs) => self.pairs.set(pairs, common),
            Err(error) => self.pairs.refused(&format!("the pairs cannot be read: {error}")),
        }
    }

    pub(super) fn refused_pairs(&mut self, words: &str) {
        self.pairs.refused(words);
    }

    /// The comparison, as wide as there is room.
    pub(super) fn render(&mut self, common: &Common) {
        let room = common.room();
        self.pager.set_height(usize::from(room.height.saturating_sub(1)));
        self.pairs.resized(common);
        if let Some(report) = &self.report {
            let how = terminal::How { width: usize::from(room.width), colour: true };
            self.pager.set(terminal::draw(report, how), true);
        }
    }

    pub(super) fn typed(&mut self, key: &str, character: Option<char>, common: &mut Common) {
        let Some(editor) = &mut self.editor else { return };
        match key {
            "enter" | "esc" => {
                let words = if key == "esc" { String::new() } else { editor.text().to_owned() };
                self.editor = None;
                if self.pager.search(&words) == 0 && !words.is_empty() {
                    common.say(Tone::Odd, format!("`{words}` is not in it"));
                }
            }
            _ => drop(editor.key(key, character)),
        }
    }

    /// False: that means nothing here.
    pub(super) fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::Stop if !self.is_over() => {
                let lines = ["stop the run?", "what came back so far is kept and reported"];
                common.popup = Some(popup::confirm(&lines, "stop"));
                return true;
            }
            _ if !self.is_over() => return false,
            Action::NextTab | Action::PreviousTab => self.tab = (self.tab + 1) % TABS.len(),
            Action::Copy => {
                let items = [
                    ("i", "the run's id", "copy id"),
                    ("t", "the comparison as text", "copy text"),
                    ("m", "the comparison as Markdown", "copy markdown"),
                ];
                common.popup = Some(popup::menu("copy", &items));
            }
            Action::Export => {
                let items = [
                    ("h", "HTML: with pictures, in one file", "write html"),
                    ("m", "Markdown", "write md"),
                    ("j", "JSON: the report", "write json"),
                    ("c", "CSV: a line a request", "write csv"),
                ];
                common.popup = Some(popup::menu("write the report", &items));
            }
            Action::Diff if self.tab == 0 => self.tab = 1,
            Action::Diff | Action::Open | Action::Right if self.tab == 1 => self.pairs.open(common),
            Action::Sort if self.tab == 1 => common.popup = Some(Table::sorts()),
            Action::Filter if self.tab == 0 => {
                self.editor = Some(Editor::new(self.pager.searched()));
            }
            _ if self.tab == 0 => return self.pager.act(action),
            _ => return self.pairs.act(action, common),
        }
        true
    }

    /// What a menu came to; false: it was not this one's.
    pub(super) fn chosen(&mut self, choice: &str, common: &mut Common) -> bool {
        if let Some(sort) = choice.strip_prefix("sort ") {
            self.ask_pairs(Some(sort), common);
            return true;
        }
        if let Some(form) = choice.strip_prefix("write ") {
            self.form = match form {
                "html" => "html",
                "md" => "md",
                "json" => "json",
                _ => "csv",
            };
            let path = format!("runs/{}/report.{}", self.id, self.form);
            common.ask(FILE, Want::Text { path });
            return true;
        }
        match (choice, &self.report) {
            ("stop", _) => {
                let (method, path) = (Method::Delete, format!("runs/{}", self.id));
                common.ask(STOP, Want::Do { method, path, body: None });
            }
            ("copy id", _) => common.copy("the run's id", self.id.clone()),
            ("copy text", Some(report)) => {
                let how = terminal::How { width: 100, colour: false };
                common.copy("the comparison", terminal::draw(report, how));
            }
            ("copy markdown", Some(report)) => {
                common.copy("the comparison", markdown::draw(report));
            }
            _ => return false,
        }
        true
    }

    /// The report as a file.
    pub(super) fn file(&self) -> String {
        format!("replay-{}.{}", self.id, self.form)
    }

    pub(super) fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        if !self.is_over() {
            self.progress(frame, area, common);
            return;
        }
        let mut spans = Vec::new();
        for (at, tab) in TABS.iter().enumerate() {
            let style = if at == self.tab { theme.selected() } else { theme.tone(Tone::Dim) };
            spans.push(Span::styled(format!(" {tab} "), style));
        }
        if self.tab == 1 {
            spans.push(Span::styled(self.pairs.told(), theme.tone(Tone::Dim)));
        }
        let head = match &self.editor {
            Some(editor) => editor.line("/", theme),
            None => Line::from(spans),
        };
        frame.render_widget(head, Rect { height: 1, ..area });
        let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        if self.tab == 0 {
            self.pager.view(frame, area, theme);
        } else {
            self.pairs.view(frame, area, common);
        }
    }

    fn progress(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let width = usize::from(area.width);
        let mut lines = vec![Line::styled(format!(" run {}", self.id), theme.tone(Tone::Strong))];
        if let Some(run) = &self.going {
            lines.extend(self.going(run, width, common));
        } else if self.trouble.is_none() {
            lines.push(Line::styled(" reading …", theme.tone(Tone::Dim)));
        }
        if let Some(trouble) = &self.trouble {
            lines.push(Line::default());
            let told = crate::report::look::wrap(&clean_line(trouble), width.saturating_sub(2));
            let line = |text: String| Line::styled(format!(" {text}"), theme.tone(Tone::Odd));
            lines.extend(told.into_iter().map(line));
        }
        for (row, line) in (0..area.height).zip(lines) {
            frame.render_widget(line, Rect { y: area.y + row, height: 1, ..area });
        }
    }

    fn going(&self, run: &Run, width: usize, common: &Common) -> Vec<Line<'static>> {
        let theme = common.theme;
        let progress = run.progress.clone().unwrap_or_default();
        let of = format!(" {} recordings to {}", words::count(run.recordings), runs::targets(run));
        #[expect(clippy::cast_precision_loss, reason = "a share for a bar")]
        let share = progress.done as f64 / progress.planned.max(1) as f64;
        let counts = format!(
            " {} of {} answered",
            words::count(progress.done),
            words::count(progress.planned)
        );
        let bar = chart::bar(share, width.saturating_sub(10).min(100));
        let left = progress.left_s.map_or_else(|| "not known yet".to_owned(), words::seconds);
        let label = |name: &str| Span::styled(format!(" {name:<11}"), theme.tone(Tone::Dim));
        let errors = if progress.errors > 0 { Tone::Bad } else { Tone::Plain };
        let row = |name: &str, tone: Tone, value: String| {
            Line::from(vec![label(name), Span::styled(value, theme.tone(tone))])
        };
        let rate = format!("{:.1} a second", progress.per_s);
        let room = width.saturating_sub(14 + rate.len()).min(60);
        let state =
            if run.state == "stopping" { (Tone::Odd, "stopping") } else { (Tone::Good, "") };
        vec![
            Line::styled(clip(&of, width), theme.tone(Tone::Dim)),
            Line::default(),
            Line::from(vec![
                Span::raw(" "),
                Span::styled(bar, theme.series(1)),
                Span::styled(format!(" {:>5}", words::share(share)), theme.tone(Tone::Strong)),
            ]),
            Line::from(vec![
                Span::raw(counts),
                Span::styled(format!("  {}", state.1), theme.tone(state.0)),
            ]),
            Line::default(),
            row("in flight", Tone::Plain, words::count(progress.in_flight)),
            row("errors", errors, words::count(progress.errors)),
            row("spent", Tone::Plain, words::usd(progress.spent_usd)),
            row("gone", Tone::Plain, words::seconds(progress.elapsed_s)),
            row("left", Tone::Plain, left),
            Line::from(vec![
                label("rate"),
                Span::raw(rate),
                Span::raw("  "),
                Span::styled(chart::spark(&self.rates, room), theme.series(0)),
            ]),
        ]
    }
}
