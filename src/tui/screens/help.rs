//! Every key, by where it works, and the query language in short.

use std::fmt::Write as _;

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::report::look::{Look, Tone};
use crate::store::query::field::FIELDS;
use crate::tui::ask::{Answer, Lane, Result};
use crate::tui::common::{Common, Scene};
use crate::tui::keys::{Action, KEYS, Scope};
use crate::tui::parts::reader::Reader;
use crate::tui::screens::Screen;

/// Columns of a key and its words side by side.
const HALF: usize = 76;

/// Its state.
#[derive(Debug, Default)]
pub struct Help {
    reader: Reader,
    /// The screen from which help was asked for.
    pub from: Option<Screen>,
}

impl Help {
    fn render(&mut self, common: &Common, stay: bool) {
        let room = common.room();
        self.reader.pager.set_height(usize::from(room.height));
        self.reader.pager.set(text(self.from, common.look(room.width)), stay);
    }
}

/// What `scope` is called.
fn title(scope: Scope) -> String {
    match scope {
        Scope::Everywhere => "Everywhere".to_owned(),
        Scope::List => "In lists".to_owned(),
        Scope::Pager => "In texts".to_owned(),
        Scope::Runs => "In the list of runs".to_owned(),
        Scope::Form => "While a replay is chosen".to_owned(),
        Scope::Watch => "While a replay runs".to_owned(),
        Scope::Panes => "In panes beside each other".to_owned(),
        Scope::On(screen) => format!("On {}", screen.label()),
    }
}

fn text(from: Option<Screen>, look: Look) -> String {
    let mut scopes: Vec<Scope> = from.map(Scope::On).into_iter().collect();
    scopes.extend([
        Scope::Everywhere,
        Scope::List,
        Scope::Panes,
        Scope::Runs,
        Scope::Form,
        Scope::Watch,
        Scope::Pager,
    ]);
    scopes.extend(
        Screen::ALL
            .map(Scope::On)
            .into_iter()
            .filter(|on| !scopes.contains(on))
            .collect::<Vec<_>>(),
    );
    let mut out = String::new();
    for scope in scopes {
        let keys: Vec<(String, &str)> = KEYS
            .iter()
            .filter(|one| one.scopes.contains(&scope))
            .map(|one| (one.keys.join(" "), one.words))
            .collect();
        if !keys.is_empty() {
            let _ = writeln!(out, "{}", look.rule(Tone::Strong, &title(scope), ""));
            table(&mut out, &keys, Tone::User, look);
            out.push('\n');
        }
    }
    let _ = writeln!(out, "{}", look.rule(Tone::Strong, "While a query is typed", ""));
    let typing = [
        ("enter", "ask it, and close the line"),
        ("tab backtab", "what could stand here: fields, then values"),
        ("up down", "queries that were asked before"),
        ("esc", "back to the query that was there"),
    ];
    table(&mut out, &typing.map(|(key, words)| (key.to_owned(), words)), Tone::User, look);
    language(&mut out, look);
    out
}

fn language(out: &mut String, look: Look) {
    let _ = writeln!(out, "\n{}", look.rule(Tone::Strong, "Queries", "docs/query.md"));
    let forms = [
        ("model:gpt-5*", "a field and a value; * and ? stand for anything"),
        ("a b", "both; a word alone is part of a name, an error or an id"),
        ("a OR b", "one of them; parentheses group"),
        ("-outcome:complete", "not; NOT says the same"),
        ("ttft:>2s tokens.in:10k..50k", "numbers with > < >= <= and ranges"),
        ("cost:>$0.10 since:2h", "money, and ages or dates"),
        ("text:\"does not compile\"", "words in any message"),
        ("user:\"\"", "those that have none"),
    ];
    table(out, &forms.map(|(form, words)| (form.to_owned(), words)), Tone::User, look);
    let _ =
        writeln!(out, "\n{}", look.rule(Tone::Strong, "Fields", "tag.NAME and header.NAME beside"));
    let fields: Vec<(String, &str)> =
        FIELDS.iter().map(|info| (info.name.to_owned(), info.help)).collect();
    table(out, &fields, Tone::User, look);
}

/// Name and words, in two columns where there is room.
fn table(out: &mut String, rows: &[(String, &str)], tone: Tone, look: Look) {
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).min(30) + 2;
    let width = look.width.unwrap_or(80);
    let cell =
        |(name, words): &(String, &str)| format!("  {}{words}", look.cell(tone, name, widest));
    if width < HALF * 2 {
        for row in rows {
            let _ = writeln!(out, "{}", cell(row));
        }
        return;
    }
    let half = rows.len().div_ceil(2);
    for at in 0..half {
        let Some(left) = rows.get(at) else { return };
        let plain = 2 + widest.max(left.0.len()) + left.1.len();
        let mut line = cell(left);
        if let Some(right) = rows.get(at + half) {
            line.push_str(&" ".repeat(HALF.saturating_sub(plain).max(2)));
            line.push_str(&cell(right));
        }
        let _ = writeln!(out, "{line}");
    }
}

impl Scene for Help {
    fn entered(&mut self, common: &mut Common) {
        self.render(common, false);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Help), Scope::Pager]
    }

    fn is_typing(&self) -> bool {
        self.reader.is_typing()
    }

    fn typed(&mut self, key: &str, character: Option<char>, _common: &mut Common) {
        self.reader.typed(key, character);
    }

    fn pasted(&mut self, text: &str, _common: &mut Common) {
        self.reader.pasted(text);
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            // The key that opened it closes it.
            Action::Help => {
                common.go.push(crate::tui::common::Go::Back);
                true
            }
            _ => self.reader.act(action, common),
        }
    }

    fn answered(&mut self, _lane: Lane, _answer: Result<Answer>, _common: &mut Common) {}

    fn tick(&mut self, _common: &mut Common) -> bool {
        false
    }

    fn resized(&mut self, common: &mut Common) {
        self.render(common, true);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        self.reader.chip().into_iter().collect()
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        self.reader.view(frame, area, common.theme);
    }
}
