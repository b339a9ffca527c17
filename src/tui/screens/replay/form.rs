//! What is to be sent, to whom, how fast, and what that will cost: a plan being made. Nothing is sent before its cost was seen and a
//! `y` was said to it.

use pinhole_replay::faces::words;
use serde_json::{Map, Value, json};

use crate::report::look::Tone;
use crate::report::words::things;
use crate::tui::ask::{Lane, Method, Want};
use crate::tui::common::Common;
use crate::tui::keys::Action;
use crate::tui::parts::editor::Editor;
use crate::tui::parts::popup;
use crate::tui::screens::Screen;
use crate::tui::screens::replay::told::{Offer, Ready};

pub(super) const OFFERS: Lane = Lane { screen: Screen::Replay, name: "targets" };
pub(super) const DRY: Lane = Lane { screen: Screen::Replay, name: "dry" };
pub(super) const SEND: Lane = Lane { screen: Screen::Replay, name: "send" };
/// Time without a change after which the cost is worked out.
const SETTLED_MS: u64 = 250;
/// Limit: targets of a run.
pub(super) const TARGETS_MAX: usize = 64;

/// What can be changed beside the targets; their order is that of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    From,
    Limit,
    Pace,
    Repeat,
    Context,
    Cache,
    Length,
    MaxCost,
}

pub(super) const SETTINGS: [Setting; 8] = [
    Setting::From,
    Setting::Limit,
    Setting::Pace,
    Setting::Repeat,
    Setting::Context,
    Setting::Cache,
    Setting::Length,
    Setting::MaxCost,
];

impl Setting {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::From => "recordings",
            Self::Limit => "at most",
            Self::Pace => "pace",
            Self::Repeat => "repeat",
            Self::Context => "context",
            Self::Cache => "cache",
            Self::Length => "length",
            Self::MaxCost => "max cost",
        }
    }

    /// The plan's key.
    fn key(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::Limit => "limit",
            Self::MaxCost => "max_cost",
            other => other.label(),
        }
    }

    /// What an empty value means.
    pub(super) fn empty(self) -> &'static str {
        match self {
            Self::From => "a query; enter writes it",
            Self::Limit => "all of them",
            Self::MaxCost => "no limit",
            _ => "",
        }
    }

    /// How it is written, where it is written and not chosen.
    fn help(self) -> &'static str {
        match self {
            Self::From => "a query, such as since:1d model:gpt-5*",
            Self::Limit => "so many recordings; empty: all",
            Self::Pace => "closed 4, recorded 2x, constant 5/s, poisson 5/s, one-by-one",
            Self::Repeat => "how often everything is sent, 1 to 1000",
            Self::MaxCost => "US dollars, such as 0.50; empty: no limit",
            Self::Context | Self::Cache | Self::Length => "",
        }
    }

    /// What can be chosen.
    fn choices(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Pace => &[
                ("c", "closed 4: as soon as fewer than 4 are in flight", "set pace:closed 4"),
                ("o", "one by one", "set pace:one-by-one"),
                ("1", "as recorded", "set pace:recorded 1x"),
                ("2", "as recorded, twice as fast", "set pace:recorded 2x"),
                ("r", "at a rate: 5 a second", "set pace:poisson 5/s"),
                ("w", "write another", "write pace"),
            ],
            Self::Context => &[
                ("v", "verbatim: the recorded answers stay in histories", "set context:verbatim"),
                ("l", "live: the target's own answers are fed on", "set context:live"),
            ],
            Self::Cache => &[
                ("a", "as-is: the provider's cache as it happens to be", "set cache:as-is"),
                ("c", "cold: nothing can be read from it", "set cache:cold"),
                ("w", "warm: everything sent twice, the second counts", "set cache:warm"),
            ],
            Self::Length => &[
                ("f", "free: as long as the request lets it", "set length:free"),
                ("c", "capped: at most as long as recorded", "set length:capped"),
                ("m", "matched: as long as recorded, where it can be forced", "set length:matched"),
            ],
            Self::From | Self::Limit | Self::Repeat | Self::MaxCost => &[],
        }
    }
}

/// A line that a target can be chosen by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) target: String,
    /// Its place among the chosen, from 0.
    pub(super) chosen: Option<usize>,
    pub(super) price: String,
    pub(super) pattern: bool,
}

/// Its state.
#[derive(Debug)]
pub(super) struct Form {
    values: [String; SETTINGS.len()],
    /// How many recordings whoever came here had chosen.
    pub(super) count: Option<usize>,
    offers: Vec<Offer>,
    pub(super) offers_known: bool,
    pub(super) chosen: Vec<String>,
    pub(super) filter: String,
    /// While the filter is typed.
    pub(super) editor: Option<Editor>,
    pub(super) rows: Vec<Row>,
    /// Over settings, then rows.
    pub(super) cursor: usize,
    pub(super) ready: Option<Ready>,
    /// Why nothing can be sent as it stands.
    pub(super) trouble: Option<String>,
    /// When the cost is to be worked out; `None`: it is, or is being.
    due_ms: Option<u64>,
    pub(super) is_sending: bool,
}

impl Default for Form {
    fn default() -> Self {
        let values = ["", "", "closed 4", "1", "verbatim", "as-is", "free", ""];
        Self {
            values: values.map(str::to_owned),
            count: None,
            offers: Vec::new(),
            offers_known: false,
            chosen: Vec::new(),
            filter: String::new(),
            editor: None,
            rows: Vec::new(),
            cursor: SETTINGS.len(),
            ready: None,
            trouble: None,
            due_ms: None,
            is_sending: false,
        }
    }
}

impl Form {
    /// Begins with other recordings; targets and settings stay as they were the last time.
    pub(super) fn prepare(&mut self, from: &str, count: Option<usize>, common: &mut Common) {
        self.set(Setting::From, from);
        self.count = count;
        self.cursor = if from.is_empty() { 0 } else { SETTINGS.len() };
        self.editor = None;
        self.changed(common);
        self.read(common);
    }

    pub(super) fn read(&self, common: &mut Common) {
        common.ask(OFFERS, Want::Get { path: "targets".to_owned() });
    }

    pub(super) fn value(&self, setting: Setting) -> &str {
        let place = SETTINGS.iter().position(|one| *one == setting);
        place.and_then(|place| self.values.get(place)).map_or("", String::as_str)
    }

    fn set(&mut self, setting: Setting, value: &str) {
        let place = SETTINGS.iter().position(|one| *one == setting);
        if let Some(own) = place.and_then(|place| self.values.get_mut(place)) {
            value.trim().clone_into(own);
        }
    }

    /// What was worked out holds no longer.
    fn changed(&mut self, common: &mut Common) {
        common.forget(DRY);
        self.ready = None;
        self.trouble = None;
        let is_whole = !self.chosen.is_empty() && !self.value(Setting::From).is_empty();
        self.due_ms = is_whole.then_some(common.now_ms + SETTLED_MS);
        self.list();
    }

    /// True: something changed.
    pub(super) fn tick(&mut self, common: &mut Common) -> bool {
        if self.due_ms.is_none_or(|due| common.now_ms < due) {
            return false;
        }
        self.due_ms = None;
        let mut plan = self.plan();
        plan.insert("dry_run".to_owned(), json!(true));
        common.ask(DRY, post(plan));
        true
    }

    pub(super) fn is_working(&self, common: &Common) -> bool {
        self.due_ms.is_some() || common.is_waiting(DRY)
    }

    /// The plan's keys. What cannot be right is left to the gateway to refuse: its words name the limits.
    fn plan(&self) -> Map<String, Value> {
        let mut plan = Map::new();
        for setting in SETTINGS {
            let value = self.value(setting);
            let told = match setting {
                Setting::Limit | Setting::MaxCost if value.is_empty() => continue,
                Setting::Limit | Setting::Repeat => match value.parse::<u64>() {
                    Ok(number) => json!(number),
                    Err(_) => json!(value),
                },
                _ => json!(value),
            };
            plan.insert(setting.key().to_owned(), told);
        }
        plan.insert("to".to_owned(), json!(self.chosen));
        plan
    }

    pub(super) fn offered(&mut self, mut answer: Value) {
        let rows = answer.get_mut("targets").map(Value::take).unwrap_or_default();
        match serde_json::from_value(rows) {
            Ok(offers) => {
                self.offers = offers;
                self.offers_known = true;
            }
            Err(error) => self.trouble = Some(format!("the catalogue cannot be read: {error}")),
        }
        self.list();
    }

    pub(super) fn worked_out(&mut self, answer: Value) {
        match serde_json::from_value(answer) {
            Ok(ready) => self.ready = Some(ready),
            Err(error) => self.trouble = Some(format!("the estimate cannot be read: {error}")),
        }
    }

    /// The lines: what was chosen first, then what the filter finds.
    fn list(&mut self) {
        let place = |target: &str| self.chosen.iter().position(|one| one == target);
        let price = |offer: &Offer| {
            let prices = offer.usd_per_million?;
            Some(format!("{} in, {} out", words::usd(prices.input), words::usd(prices.output)))
        };
        let typed = self.filter.to_lowercase();
        let parts: Vec<&str> = typed.split_whitespace().collect();
        let priced = |target: &str| {
            let bare = target.split('?').next().unwrap_or_default();
            self.offers.iter().find(|offer| offer.target == bare).and_then(price)
        };
        let chosen = self.chosen.iter().map(|target| Row {
            target: target.clone(),
            chosen: place(target),
            price: priced(target).unwrap_or_default(),
            pattern: false,
        });
        let found = self.offers.iter().filter(|offer| {
            let name = offer.target.to_lowercase();
            place(&offer.target).is_none() && parts.iter().all(|part| name.contains(part))
        });
        let found = found.map(|offer| Row {
            target: offer.target.clone(),
            chosen: None,
            price: price(offer).unwrap_or_else(|| {
                let words = if offer.pattern { "any name: a writes it" } else { "no price" };
                words.to_owned()
            }),
            pattern: offer.pattern,
        });
        self.rows = chosen.chain(found).collect();
        self.cursor = self.cursor.min((SETTINGS.len() + self.rows.len()).saturating_sub(1));
    }

    fn under(&self) -> Result<Setting, Option<&Row>> {
        match SETTINGS.get(self.cursor) {
            Some(setting) => Ok(*setting),
            None => Err(self.rows.get(self.cursor - SETTINGS.len())),
        }
    }

    pub(super) fn typed(&mut self, key: &str, character: Option<char>) {
        let Some(editor) = &mut self.editor else { return };
        match key {
            "enter" => self.editor = None,
            "esc" => {
                self.editor = None;
                self.filter.clear();
                self.list();
            }
            _ => {
                if editor.key(key, character) {
                    self.narrow();
                }
            }
        }
    }

    pub(super) fn pasted(&mut self, text: &str) {
        if self.editor.as_mut().is_some_and(|editor| editor.insert(text)) {
            self.narrow();
        }
    }

    /// The first of what is found is the next to be chosen.
    fn narrow(&mut self) {
        self.filter = self.editor.as_ref().map_or_else(String::new, |one| one.text().to_owned());
        self.list();
        let found = SETTINGS.len() + self.chosen.len();
        self.cursor = found.min((SETTINGS.len() + self.rows.len()).saturating_sub(1));
    }

    /// False: that means nothing here.
    pub(super) fn act(&mut self, action: Action, common: &mut Common) -> bool {
        let last = (SETTINGS.len() + self.rows.len()).saturating_sub(1);
        let page = usize::from(common.room().height / 2).max(1);
        match action {
            Action::Up => self.cursor = self.cursor.saturating_sub(1),
            Action::Down => self.cursor = (self.cursor + 1).min(last),
            Action::PageUp => self.cursor = self.cursor.saturating_sub(page),
            Action::PageDown => self.cursor = (self.cursor + page).min(last),
            Action::Top => self.cursor = 0,
            Action::Bottom => self.cursor = last,
            Action::NextTab | Action::PreviousTab => {
                let targets = SETTINGS.len().min(last);
                self.cursor = if self.cursor < targets { targets } else { 0 };
            }
            Action::Filter => self.editor = Some(Editor::new(&self.filter)),
            Action::Mark | Action::Open => match self.under() {
                Ok(setting) => self.change(setting, common),
                Err(Some(row)) if row.pattern => {
                    let text = row.target.trim_end_matches('*').to_owned();
                    write_target(&text, common);
                }
                Err(Some(row)) => {
                    let target = row.target.clone();
                    self.toggle(&target, common);
                }
                Err(None) => {}
            },
            Action::Add => write_target("", common),
            Action::Send => self.confirm(common),
            Action::Back if !self.filter.is_empty() => {
                self.filter.clear();
                self.list();
            }
            _ => return false,
        }
        true
    }

    fn change(&self, setting: Setting, common: &mut Common) {
        let choices = setting.choices();
        common.popup = Some(if choices.is_empty() {
            self.prompt(setting)
        } else {
            popup::menu(setting.label(), choices)
        });
    }

    fn prompt(&self, setting: Setting) -> popup::Popup {
        let choice = format!("set {}", setting.key());
        popup::prompt(setting.label(), setting.help(), self.value(setting), &choice)
    }

    fn toggle(&mut self, target: &str, common: &mut Common) {
        match self.chosen.iter().position(|one| one == target) {
            Some(place) => drop(self.chosen.remove(place)),
            None if self.chosen.len() >= TARGETS_MAX => {
                let words = format!("a run has at most {TARGETS_MAX} targets");
                common.say(Tone::Odd, words);
            }
            None => self.chosen.push(target.to_owned()),
        }
        self.changed(common);
        // The line that was chosen stays the one under the cursor.
        if let Some(place) = self.rows.iter().position(|row| row.target == target) {
            self.cursor = SETTINGS.len() + place;
        }
    }

    /// What a menu or a line of this form came to; false: it was not this form's.
    pub(super) fn chosen(&mut self, choice: &str, common: &mut Common) -> bool {
        if choice == "write pace" {
            common.popup = Some(self.prompt(Setting::Pace));
            return true;
        }
        if choice == "send" {
            self.send(common);
            return true;
        }
        let Some((what, value)) = choice.split_once(':') else { return false };
        if what == "target" {
            let value = value.trim();
            if !value.is_empty() && !self.chosen.iter().any(|one| one == value) {
                self.toggle(value, common);
            }
            return true;
        }
        let setting = SETTINGS.iter().find(|one| what.strip_prefix("set ") == Some(one.key()));
        let Some(setting) = setting else { return false };
        if *setting == Setting::From && self.value(Setting::From) != value.trim() {
            self.count = None;
        }
        self.set(*setting, value);
        self.changed(common);
        true
    }

    /// Asks whether it may cost what it will.
    fn confirm(&self, common: &mut Common) {
        let why_not = if self.value(Setting::From).is_empty() {
            Some("no recordings are chosen: write a query in the first line")
        } else if self.chosen.is_empty() {
            Some("no target is chosen: space chooses, a writes one")
        } else if self.is_sending {
            Some("it is being sent already")
        } else if self.is_working(common) {
            Some("the cost is being worked out; once more in a moment")
        } else if self.ready.is_none() {
            Some("it cannot be sent as it stands; the reason is below the targets")
        } else {
            None
        };
        if let Some(words) = why_not {
            common.say(Tone::Odd, words);
            return;
        }
        let Some(ready) = &self.ready else { return };
        let mut question = vec![format!(
            "send {} requests to {}?",
            words::count(ready.requests()),
            things(self.chosen.len(), "target", "targets"),
        )];
        question.push(price_of(ready));
        if ready.unpriced() > 0 {
            let told = things(ready.unpriced(), "target has", "targets have");
            question.push(format!("{told} no price and may cost more"));
        }
        let limit = self.value(Setting::MaxCost);
        question.push(match limit {
            "" => "no max cost is set".to_owned(),
            limit => format!("it stops before it costs more than {}", dollars(limit)),
        });
        let question: Vec<&str> = question.iter().map(String::as_str).collect();
        common.popup = Some(popup::confirm(&question, "send"));
    }

    fn send(&mut self, common: &mut Common) {
        let mut plan = self.plan();
        plan.insert("yes".to_owned(), json!(true));
        self.is_sending = true;
        self.trouble = None;
        common.ask(SEND, post(plan));
    }
}

fn post(plan: Map<String, Value>) -> Want {
    let (method, path) = (Method::Post, "replays".to_owned());
    Want::Do { method, path, body: Some(Value::Object(plan)) }
}

fn write_target(text: &str, common: &mut Common) {
    let help = "provider/model, with parameters provider/model?temperature=0&max_tokens=200";
    common.popup = Some(popup::prompt("target", help, text, "target"));
}

/// What it comes to, in a sentence.
pub(super) fn price_of(ready: &Ready) -> String {
    let (about, worst) = ready.costs();
    let usd = crate::report::words::dollars;
    format!("about {}, at worst {}", usd(about), usd(worst))
}

fn dollars(written: &str) -> String {
    if written.starts_with('$') { written.to_owned() } else { format!("${written}") }
}
