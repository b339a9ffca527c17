//! One exchange, in tabs: what was said, the bodies, when what came, and what is wrong. One that runs still grows as it
//! comes, and turns into the stored one when it ends.

mod bodies;
mod head;
mod live;
mod tab;
mod talk;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;

use crate::report::exchange::{headers, summary, timeline, waterfall};
use crate::report::look::{Look, Tone};
use crate::report::words;
use crate::store::stored::Stored;
use crate::tui::ask::{Answer, Lane, Result, Trouble, Want};
use crate::tui::common::{Common, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::editor::Editor;
use crate::tui::parts::pager::doc::Doc;
use crate::tui::parts::pager::{GUTTER, Pager};
use crate::tui::screens::{Screen, deeds};
use bodies::Side;
use live::Live;
use tab::{TABS, Tab};

const ONE: Lane = Lane { screen: Screen::Exchange, name: "one" };
const LIVE: Lane = Lane { screen: Screen::Exchange, name: "live" };
const DIAGNOSIS: Lane = Lane { screen: Screen::Exchange, name: "diagnosis" };
const DONE: Lane = Lane { screen: Screen::Exchange, name: "done" };
const RUNNING: Lane = Lane { screen: Screen::Exchange, name: "running" };
/// How often one that runs is asked for.
const LIVE_MS: u64 = 250;
/// How long after its end the store is asked for it.
const STORED_MS: u64 = 15_000;

/// How far the diagnosis is, for which width.
#[derive(Debug, Default)]
enum Diagnosis {
    #[default]
    Unasked,
    Asked(u16),
    Told(u16, String),
}

/// Its state.
#[derive(Debug, Default)]
pub struct Exchange {
    id: String,
    /// As it was stored, or as if it were.
    stored: Option<Box<Stored>>,
    /// While it runs.
    live: Option<Box<Live>>,
    /// When it was seen to have ended.
    ended_ms: Option<u64>,
    asked_ms: u64,
    tab: Tab,
    /// From 0; none: the client's legs.
    attempt: Option<usize>,
    following: bool,
    pager: Pager,
    /// While a search is typed.
    editor: Option<Editor>,
    diagnosis: Diagnosis,
    error: Option<String>,
}

impl Exchange {
    pub fn show(&mut self, id: &str, tab: Option<&'static str>, common: &mut Common) {
        if let Some(tab) = tab.and_then(|tab| TABS.into_iter().find(|one| one.label() == tab)) {
            self.tab = tab;
        }
        if self.id != id {
            for lane in [ONE, LIVE, DIAGNOSIS, DONE] {
                common.forget(lane);
            }
            // The tab stays for the next one, but a diagnosis was asked for of one alone.
            let tab = match (tab, self.tab) {
                (None, Tab::Diagnosis) => Tab::default(),
                (_, tab) => tab,
            };
            *self = Self { id: id.to_owned(), tab, following: true, ..Self::default() };
            self.read(common);
        }
    }

    fn read(&mut self, common: &mut Common) {
        self.asked_ms = common.now_ms;
        common.ask(ONE, Want::Exchange { id: self.id.clone() });
    }

    fn read_live(&mut self, common: &mut Common) {
        self.asked_ms = common.now_ms;
        let path = Live::path(&self.id, self.live.as_deref());
        common.poll(LIVE, Want::Get { path });
    }

    /// Lines above the text.
    fn head(&self, common: &Common) -> Vec<Line<'static>> {
        let Some(stored) = &self.stored else { return Vec::new() };
        let told = self.live.as_ref().map(|live| self.running(live, common));
        head::lines(stored, told, common.size.0, common.theme)
    }

    /// What one that runs is doing, and for how long nothing has come.
    fn running(&self, live: &Live, common: &Common) -> [String; 2] {
        let (age, quiet) = live.ages_us(common.now_ms);
        let quiet = quiet.map(|us| format!(", the last {} ago", words::time(us)));
        let pieces = words::things(usize::try_from(live.frames()).unwrap_or(0), "piece", "pieces");
        let phase = match self.ended_ms {
            Some(_) => "ended, not stored yet",
            None => live.phase(),
        };
        let told = format!("for {}: {pieces}{}", words::time(age), quiet.unwrap_or_default());
        [phase.to_owned(), told]
    }

    /// Makes the text of the tab. Everything that takes time is done here, none of it in the view.
    fn render(&mut self, stay: bool, common: &mut Common) {
        self.fit(common);
        let Some(stored) = &self.stored else { return };
        let width = common.room().width;
        let look = common.look(width);
        let folding = common.look(width.saturating_sub(GUTTER));
        let attempt = self.attempt;
        let doc = match self.tab {
            Tab::Conversation => {
                let nothing = self.live.as_ref().map(|live| live.nothing());
                talk::doc(stored, nothing, folding)
            }
            Tab::Request => bodies::doc(stored, Side::Request, attempt, folding),
            Tab::Response => bodies::doc(stored, Side::Response, attempt, folding),
            Tab::Headers => Doc::report(headers::text(stored, look)),
            Tab::Timeline => Doc::report(times(stored, attempt, look)),
            Tab::Raw => bodies::raw(stored, attempt, look),
            Tab::Summary => Doc::report(summary::text(stored, look)),
            Tab::Diagnosis => self.diagnosed(width, common),
        };
        self.pager.show(doc, stay);
        if self.live.is_some() && self.following {
            self.pager.act(Action::Bottom);
        }
    }

    fn diagnosed(&mut self, width: u16, common: &mut Common) -> Doc {
        if self.live.is_some() {
            return Doc::report(
                "it runs still; what is wrong can be told when it has ended".to_owned(),
            );
        }
        match &self.diagnosis {
            Diagnosis::Told(of, text) if *of == width => return Doc::report(text.clone()),
            Diagnosis::Asked(of) if *of == width && common.is_waiting(DIAGNOSIS) => {}
            _ => {
                let path = format!("exchanges/{}/diagnosis?width={width}&colour=true", self.id);
                common.ask(DIAGNOSIS, Want::Get { path });
                self.diagnosis = Diagnosis::Asked(width);
            }
        }
        Doc::report("looking into it …".to_owned())
    }

    /// How many lines the text has, by what stands above and below.
    fn fit(&mut self, common: &Common) {
        let taken = self.head(common).len() + 1 + usize::from(self.editor.is_some());
        self.pager.set_height(usize::from(common.room().height).saturating_sub(taken));
    }

    fn turn(&mut self, forward: bool, common: &mut Common) {
        let at = TABS.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        let next = if forward { at + 1 } else { at + TABS.len() - 1 };
        self.to(TABS.get(next % TABS.len()).copied().unwrap_or_default(), common);
    }

    fn to(&mut self, tab: Tab, common: &mut Common) {
        self.tab = tab;
        self.render(false, common);
    }

    /// The client's legs, then each attempt's, and round.
    fn choose(&mut self, forward: bool, common: &mut Common) {
        let many = self.stored.as_ref().map_or(0, |stored| stored.attempts.len());
        let at = self.attempt.map_or(0, |at| at + 1);
        let next = if forward { at + 1 } else { at + many } % (many + 1);
        self.attempt = next.checked_sub(1);
        let words = match (self.attempt, &self.stored) {
            (Some(at), Some(stored)) => {
                let provider = stored.attempts.get(at).map(|one| one.provider.as_str());
                format!("attempt {} of {many}: {}", at + 1, provider.unwrap_or_default())
            }
            _ => "the client's side".to_owned(),
        };
        common.say(Tone::Plain, words);
        self.render(false, common);
    }

    fn searched(&mut self) {
        if let Some(editor) = &self.editor {
            self.pager.search(editor.text());
        }
    }

    /// What needs the exchange itself; false: there is none, or that is something else.
    fn deed(&mut self, action: Action, common: &mut Common) -> bool {
        let Some(stored) = &self.stored else { return false };
        let is_stored = self.live.is_none();
        match action {
            Action::Copy => common.popup = Some(deeds::copy_menu()),
            Action::Export => common.popup = Some(deeds::export_menu()),
            Action::Pin if is_stored => deeds::pin(&self.id, !stored.row.pinned, DONE, common),
            Action::Label if is_stored => common.popup = Some(deeds::label_prompt()),
            Action::Diff if is_stored => {
                common.go.push(Go::Diff { left: self.id.clone(), right: None });
            }
            Action::Replay if is_stored => {
                common.go.push(Go::Replay { from: format!("id:{}", self.id), count: Some(1) });
            }
            Action::Pin | Action::Label | Action::Diff | Action::Replay => {
                common.say(Tone::Odd, "it runs still; that can be done when it is stored");
            }
            Action::Follow if !is_stored => {
                self.following = !self.following;
                if self.following {
                    self.pager.act(Action::Bottom);
                }
            }
            _ => return false,
        }
        true
    }

    fn arrived(&mut self, stored: Box<Stored>, common: &mut Common) {
        let stay = self.stored.is_some();
        (self.error, self.live, self.ended_ms) = (None, None, None);
        if self.attempt.is_some_and(|at| at >= stored.attempts.len()) {
            self.attempt = None;
        }
        // What a gateway calls it in full is what it is asked for from now on.
        self.id.clone_from(&stored.row.id);
        self.stored = Some(stored);
        self.render(stay, common);
    }

    fn grown(&mut self, answer: Value, common: &mut Common) {
        let mut live = self.live.take().unwrap_or_default();
        let absorbed = live.absorb(answer, common.now_ms);
        let first = self.stored.is_none();
        match absorbed {
            Ok(is_new) if is_new || first => {
                self.error = None;
                self.stored = Some(Box::new(live.stored(common.now_ms)));
                self.live = Some(live);
                self.render(!first, common);
            }
            Ok(_) => self.live = Some(live),
            Err(words) => self.error = Some(words),
        }
    }

    /// Goes to the exchange that began last of those that run, one of the same session before all others.
    fn follow(&mut self, answer: &Value, common: &mut Common) {
        let running = answer.get("exchanges").and_then(Value::as_array);
        let running = running.map(Vec::as_slice).unwrap_or_default();
        let own = self.stored.as_ref().and_then(|stored| stored.row.session_id.as_deref());
        let of = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        let same = |one: &&Value| own.is_some() && of(one, "session_id").as_deref() == own;
        let next = running.iter().rfind(same).or(running.last());
        match next.and_then(|one| of(one, "id")) {
            Some(id) => common.go.push(Go::Exchange { id, tab: None }),
            None => common.say(Tone::Plain, "nothing runs now"),
        }
    }

    /// The store has none, or nobody runs it any more.
    fn missing(&mut self, lane: Lane, words: String, common: &mut Common) {
        match (lane, self.ended_ms, self.live.is_some()) {
            // It may run.
            (ONE, None, false) if self.stored.is_none() => {
                self.error = Some(words);
                self.read_live(common);
            }
            (ONE, Some(ended), _) if common.now_ms < ended + STORED_MS => {}
            (LIVE, None, true) => {
                self.ended_ms = Some(common.now_ms);
                self.read(common);
            }
            // The error is that of the store, which was asked first.
            (LIVE, _, false) => {}
            _ => self.error = Some(words),
        }
    }
}

/// The picture of all times, then the pieces of the answer.
fn times(stored: &Stored, attempt: Option<usize>, look: Look) -> String {
    let pieces = timeline::text(stored, attempt, look);
    format!("{}\n\n{pieces}", waterfall::text(stored, attempt, look))
}

impl Scene for Exchange {
    fn entered(&mut self, common: &mut Common) {
        if !self.id.is_empty() && self.live.is_none() && !common.is_waiting(ONE) {
            self.read(common);
        }
        self.render(true, common);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Exchange), Scope::Pager]
    }

    fn is_typing(&self) -> bool {
        self.editor.is_some()
    }

    fn typed(&mut self, key: &str, character: Option<char>, common: &mut Common) {
        let Some(editor) = &mut self.editor else { return };
        match key {
            "enter" => {
                self.searched();
                self.editor = None;
                let (_, hits) = self.pager.hits();
                if hits == 0 && !self.pager.searched().is_empty() {
                    let words = format!("{} is not here", self.pager.searched());
                    common.say(Tone::Odd, words);
                }
            }
            "esc" => {
                self.editor = None;
                self.pager.search("");
            }
            _ => {
                if editor.key(key, character) {
                    self.searched();
                }
            }
        }
        self.fit(common);
    }

    fn pasted(&mut self, text: &str, _common: &mut Common) {
        if self.editor.as_mut().is_some_and(|editor| editor.insert(text)) {
            self.searched();
        }
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::NextTab | Action::Right => self.turn(true, common),
            Action::PreviousTab => self.turn(false, common),
            Action::Left if self.tab != Tab::Conversation => self.turn(false, common),
            Action::NextAttempt => self.choose(true, common),
            Action::PreviousAttempt => self.choose(false, common),
            Action::Diagnose => self.to(Tab::Diagnosis, common),
            Action::Filter => {
                self.editor = Some(Editor::default());
                self.fit(common);
            }
            Action::Back if !self.pager.searched().is_empty() => drop(self.pager.search("")),
            _ if self.deed(action, common) => {}
            Action::Follow => common.ask(RUNNING, Want::Get { path: "live".to_owned() }),
            _ => {
                let acted = self.pager.act(action);
                if acted && self.live.is_some() {
                    self.following = self.pager.is_at_end();
                }
                return acted;
            }
        }
        true
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        if deeds::label(&self.id, choice, DONE, common) {
            return;
        }
        if let (Some(deed), Some(stored)) = (deeds::deed(choice), &self.stored) {
            deed.perform(stored, self.attempt, common);
        }
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        match (lane, answer) {
            (ONE, Ok(Answer::Exchange(stored))) => self.arrived(stored, common),
            (LIVE, Ok(Answer::Json(answer))) => self.grown(answer, common),
            (RUNNING, Ok(Answer::Json(answer))) => self.follow(&answer, common),
            (DIAGNOSIS, answer) => {
                let text = match answer {
                    Ok(Answer::Json(told)) => told
                        .get("text")
                        .and_then(Value::as_str)
                        .unwrap_or("the gateway's answer has no text; it is of an older version")
                        .to_owned(),
                    Ok(_) => return,
                    Err(trouble) => trouble.words().to_owned(),
                };
                if let Diagnosis::Asked(width) = self.diagnosis {
                    self.diagnosis = Diagnosis::Told(width, text);
                }
                if self.tab == Tab::Diagnosis {
                    self.render(true, common);
                }
            }
            (DONE, Ok(_)) => self.read(common),
            (DONE, Err(trouble)) => common.say(Tone::Bad, trouble.words()),
            (lane, Err(Trouble::Refused { status: 404, detail })) => {
                self.missing(lane, detail, common);
            }
            (_, Err(trouble)) if self.stored.is_none() => {
                self.error = Some(trouble.words().to_owned());
            }
            (_, Err(trouble)) => common.say(Tone::Bad, trouble.words()),
            (_, Ok(_)) => {}
        }
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        if self.live.is_none() || common.now_ms < self.asked_ms + LIVE_MS {
            return self.live.is_some();
        }
        match self.ended_ms {
            None => self.read_live(common),
            Some(_) if !common.is_waiting(ONE) => self.read(common),
            Some(_) => {}
        }
        // The age is another.
        true
    }

    fn resized(&mut self, common: &mut Common) {
        self.render(true, common);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let mut chips = Vec::new();
        if let (Some(at), Some(stored)) = (self.attempt, &self.stored) {
            let words = format!("attempt {} of {}", at + 1, stored.attempts.len());
            chips.push((Tone::Odd, words));
        }
        if self.live.is_some() && self.following {
            chips.push((Tone::Good, "following".to_owned()));
        }
        if !self.pager.searched().is_empty() && self.editor.is_none() {
            let (at, all) = self.pager.hits();
            chips.push((Tone::User, format!("/{} {at} of {all}", self.pager.searched())));
        }
        chips
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut area = area;
        let next = |area: &mut Rect| {
            let row = Rect { height: area.height.min(1), ..*area };
            area.y += row.height;
            area.height -= row.height;
            row
        };
        for line in self.head(common) {
            frame.render_widget(line, next(&mut area));
        }
        let mut spans = Vec::new();
        for tab in TABS {
            let style = if tab == self.tab { theme.selected() } else { theme.tone(Tone::Dim) };
            spans.push(Span::styled(format!(" {} ", tab.label()), style));
        }
        frame.render_widget(Line::from(spans), next(&mut area));
        if let Some(editor) = &self.editor {
            let (at, all) = self.pager.hits();
            let mut line = editor.line(" /", theme);
            if !editor.text().is_empty() {
                line.push_span(Span::styled(format!("  {at} of {all}"), theme.tone(Tone::Dim)));
            }
            frame.render_widget(line, next(&mut area));
        }
        let say = |frame: &mut Frame<'_>, tone, words: &str| {
            let line = Line::styled(format!(" {words}"), theme.tone(tone));
            frame.render_widget(line, area);
        };
        if let (Some(error), None) = (&self.error, &self.stored) {
            say(frame, Tone::Bad, error);
        } else if self.id.is_empty() {
            say(
                frame,
                Tone::Dim,
                "no exchange is open; choose one in the list (3), or f for the newest that runs",
            );
        } else if self.stored.is_none() {
            say(frame, Tone::Dim, "reading …");
        } else {
            self.pager.view(frame, area, theme);
        }
    }
}
