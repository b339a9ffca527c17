//! The menus of the list: saved views, columns, what it is sorted by.

use crate::store::query::page::By;
use crate::tui::common::{Common, Effect, Prefs};
use crate::tui::parts::popup::{self, Item, Menu, Popup};
use crate::tui::screens::exchanges::columns;

/// Limit: views that are kept.
const VIEWS_MAX: usize = 50;
/// Limit: queries that are remembered.
const HISTORY_MAX: usize = 50;

fn item(key: &str, words: String, choice: String) -> Item {
    Item { key: key.to_owned(), words, choice }
}

fn opened(title: &str, items: Vec<Item>, at: usize) -> Popup {
    Popup::Menu(Menu { title: title.to_owned(), items, at })
}

/// Views that everybody has: key, name, query. The day is the one it is.
fn built_in(common: &Common) -> Vec<(&'static str, &'static str, String)> {
    let today = jiff::Timestamp::from_microsecond(common.wall_us).unwrap_or_default();
    vec![
        ("a", "all", String::new()),
        ("f", "failures", "-outcome:complete".to_owned()),
        ("s", "slow", "duration:>10s OR ttft:>2s".to_owned()),
        ("e", "expensive", "cost:>$0.10".to_owned()),
        ("c", "cache broken", "signal:prefix_changed".to_owned()),
        ("t", "truncated", "signal:truncated".to_owned()),
        ("o", "odd: any signal", "signal:*".to_owned()),
        ("d", "today", format!("since:{}", today.strftime("%Y-%m-%d"))),
        ("r", "replays", "replay:true".to_owned()),
    ]
}

/// The views: built in, kept, and what can be done about those.
pub fn views(common: &Common, filter: &str) -> Popup {
    let mut items = Vec::new();
    for (key, name, query) in built_in(common) {
        items.push(item(key, format!("{name:<18} {query}"), format!("view:{query}")));
    }
    for (at, (name, query)) in common.prefs.views.iter().enumerate() {
        let key = if at < 9 { (at + 1).to_string() } else { String::new() };
        items.push(item(&key, format!("{name:<18} {query}"), format!("view:{query}")));
    }
    if !filter.is_empty() {
        items.push(item("w", "keep this query under a name …".to_owned(), "name view".to_owned()));
    }
    if !common.prefs.views.is_empty() {
        items.push(item("x", "remove a view …".to_owned(), "remove view".to_owned()));
    }
    opened("views", items, 0)
}

/// Which of the kept views goes.
pub fn removable(common: &Common) -> Popup {
    let kept = common.prefs.views.iter();
    let items =
        kept.map(|(name, query)| item("", format!("{name:<18} {query}"), format!("remove:{name}")));
    opened("remove which view?", items.collect(), 0)
}

pub fn sure(name: &str) -> Popup {
    popup::confirm(&[&format!("remove the view `{name}`?")], &format!("removed:{name}"))
}

pub fn name(filter: &str) -> Popup {
    popup::prompt("keep as", &format!("a name for {filter}"), "", "keep")
}

/// Keeps a query under a name; one of the same name is replaced.
pub fn keep(common: &mut Common, name: &str, query: &str) {
    let name = name.trim();
    if name.is_empty() || common.prefs.views.len() >= VIEWS_MAX {
        return;
    }
    common.prefs.views.retain(|(kept, _)| kept != name);
    common.prefs.views.push((name.to_owned(), query.to_owned()));
    saved(common);
}

pub fn remove(common: &mut Common, name: &str) {
    common.prefs.views.retain(|(kept, _)| kept != name);
    saved(common);
}

/// Remembers what was asked, the newest last.
pub fn remember(common: &mut Common, query: &str) {
    if query.is_empty() || common.prefs.history.last().is_some_and(|last| last == query) {
        return;
    }
    let history = &mut common.prefs.history;
    history.retain(|kept| kept != query);
    history.push(query.to_owned());
    let gone = history.len().saturating_sub(HISTORY_MAX);
    history.drain(..gone);
    saved(common);
}

fn saved(common: &mut Common) {
    let prefs: Prefs = common.prefs.clone();
    common.effects.push(Effect::Keep(prefs));
}

/// Every column, with a sign at those that are shown.
pub fn columns(common: &Common, at: usize) -> Popup {
    let shown = columns::of(&common.prefs.columns);
    let mut items: Vec<Item> = columns::ALL
        .iter()
        .map(|def| {
            let has = shown.iter().any(|one| one.name == def.name);
            let sign = if has { "✓" } else { " " };
            item(
                "",
                format!("{sign} {:<10} {}", def.name, def.words),
                format!("column:{}", def.name),
            )
        })
        .collect();
    items.push(item("h", "  as at first".to_owned(), "column:".to_owned()));
    opened("columns; enter shows or hides", items, at)
}

/// Shows or hides a column, and opens the menu again at it.
pub fn toggle(common: &mut Common, name: &str) {
    let mut shown: Vec<String> =
        columns::of(&common.prefs.columns).iter().map(|def| def.name.to_owned()).collect();
    if name.is_empty() {
        shown.clear();
    } else if let Some(at) = shown.iter().position(|one| one == name) {
        shown.remove(at);
    } else {
        shown.push(name.to_owned());
    }
    common.prefs.columns = shown;
    saved(common);
    let at = columns::ALL.iter().position(|def| def.name == name);
    common.popup = Some(columns(common, at.unwrap_or(columns::ALL.len())));
}

pub fn sorts(sort: Option<By>) -> Popup {
    let sign = |is: bool| if is { "✓" } else { " " };
    let mut items =
        vec![item("n", format!("{} newest first", sign(sort.is_none())), "sort:".to_owned())];
    let keys = ["c", "d", "t", "i", "o", "g", "a"];
    for (key, by) in keys.into_iter().zip(By::ALL) {
        let words = format!("{} {}", sign(sort == Some(by)), by.label());
        items.push(item(key, words, format!("sort:{}", by.label())));
    }
    opened("sort by, greatest first", items, 0)
}
