//! The keys, as data: what each does, where it works, and the words that help, footer and palette show of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::screen::Screen;

/// Everything a key, the palette or a menu can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    Open,
    Back,
    Quit,
    Filter,
    NextHit,
    PreviousHit,
    Help,
    Palette,
    NextTab,
    PreviousTab,
    NextAttempt,
    PreviousAttempt,
    Follow,
    Mark,
    Diff,
    DiffTurns,
    NextTurn,
    PreviousTurn,
    Replay,
    Diagnose,
    Copy,
    Export,
    Sort,
    Columns,
    Views,
    Fold,
    FoldAll,
    Refresh,
    Pin,
    Label,
    Capture,
    Window,
    Stop,
    Add,
    Send,
    Suspend,
    Screen(Screen),
}

/// Where a binding works. A screen asks its scopes in order; the first that knows the key wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Everywhere,
    /// Lists of rows.
    List,
    /// Text that scrolls.
    Pager,
    /// Several lists beside each other.
    Panes,
    On(Screen),
    /// The replay screen's list of runs, its form, and a run on its way; `On(Replay)` is the comparison.
    Runs,
    Form,
    Watch,
}

/// One line of the key map.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    pub action: Action,
    pub keys: &'static [&'static str],
    pub scopes: &'static [Scope],
    /// What it does, for help and palette.
    pub words: &'static str,
    /// As the footer says it; empty: not there.
    pub hint: &'static str,
}

const fn binding(
    action: Action,
    keys: &'static [&'static str],
    scopes: &'static [Scope],
    hint: &'static str,
    words: &'static str,
) -> Binding {
    Binding { action, keys, scopes, words, hint }
}

use Action as A;
use Scope::{Everywhere, List, On, Pager, Panes};
use Screen as S;

/// The key map. Keys that a terminal sends as others (ctrl-m, ctrl-j, ctrl-i, ctrl-h) are not in it, nor tmux's ctrl-b.
pub const KEYS: &[Binding] = &[
    binding(A::Open, &["enter"], &[On(S::Diff)], "open right", "open the exchange on the right"),
    binding(A::Open, &["enter"], &[List, Panes], "open", "open what is selected"),
    binding(
        A::Fold,
        &["enter", "space"],
        &[Pager],
        "fold",
        "fold or unfold the part under the cursor",
    ),
    binding(A::Filter, &["/"], &[List], "filter", "filter the list"),
    binding(A::Filter, &["/"], &[Pager], "search", "search the text"),
    binding(A::NextTab, &["tab"], &[Panes], "next pane", "the next list of the screen"),
    binding(A::NextTab, &["tab"], &[Everywhere], "", "next tab or pane"),
    binding(A::PreviousTab, &["backtab"], &[Everywhere], "", "previous tab or pane"),
    binding(
        A::Follow,
        &["f"],
        &[On(S::Exchanges), On(S::Sessions), On(S::Exchange)],
        "follow",
        "follow what comes; scrolling lets go",
    ),
    binding(A::Mark, &["m"], &[On(S::Exchanges), On(S::Sessions)], "mark", "mark or unmark"),
    binding(
        A::Diff,
        &["d"],
        &[On(S::Exchanges), On(S::Exchange), On(S::Replay)],
        "diff",
        "compare the two that are marked, or this one's legs and turns",
    ),
    binding(
        A::Replay,
        &["r"],
        &[On(S::Exchanges), On(S::Exchange), On(S::Sessions)],
        "replay",
        "send again to other models",
    ),
    binding(
        A::Diagnose,
        &["D"],
        &[On(S::Exchanges), On(S::Exchange), On(S::Sessions)],
        "diagnose",
        "what failed, where, and what to do",
    ),
    binding(
        A::Copy,
        &["y"],
        &[On(S::Exchanges), On(S::Exchange), On(S::Sessions), On(S::Diff), On(S::Replay)],
        "copy",
        "copy: curl, id, JSON or text",
    ),
    binding(
        A::Export,
        &["e"],
        &[On(S::Exchanges), On(S::Exchange), On(S::Replay)],
        "export",
        "write to a file",
    ),
    binding(A::Sort, &["s"], &[List, On(S::Tools)], "sort", "sort by another column"),
    binding(A::Columns, &["c"], &[On(S::Exchanges)], "columns", "choose the columns"),
    binding(A::Views, &["v"], &[On(S::Exchanges)], "views", "saved views: queries with a name"),
    binding(
        A::Pin,
        &["p"],
        &[On(S::Exchanges), On(S::Exchange)],
        "",
        "pin, so that retention leaves it alone; or unpin",
    ),
    binding(
        A::Label,
        &["l"],
        &[On(S::Exchanges), On(S::Exchange)],
        "",
        "put a label on it, or take it off",
    ),
    binding(
        A::Capture,
        &["C"],
        &[On(S::Overview), On(S::Tools)],
        "capture",
        "how much is captured from now on",
    ),
    binding(A::NextAttempt, &["]"], &[On(S::Exchange)], "", "legs of the next attempt"),
    binding(A::PreviousAttempt, &["["], &[On(S::Exchange)], "", "legs of the attempt before"),
    binding(
        A::Window,
        &["w"],
        &[On(S::Overview), On(S::Tools)],
        "window",
        "another stretch of time: 15 minutes to 7 days",
    ),
    binding(A::NextTurn, &["]"], &[On(S::Diff)], "next turn", "the next turn against this one"),
    binding(
        A::PreviousTurn,
        &["["],
        &[On(S::Diff)],
        "turn before",
        "this turn's left side against its own turn before",
    ),
    binding(
        A::Stop,
        &["x"],
        &[Scope::Runs, Scope::Watch],
        "stop",
        "stop the run that is being sent",
    ),
    binding(
        A::Replay,
        &["r"],
        &[Scope::Runs, Scope::Watch, On(S::Replay)],
        "replay",
        "a replay of other recordings, or of these to other targets",
    ),
    binding(A::Mark, &["space"], &[Scope::Form], "choose", "choose a target, or change a setting"),
    binding(A::Open, &["enter"], &[Scope::Form], "change", "change what is selected"),
    binding(A::Filter, &["/"], &[Scope::Form], "filter", "find a target in the catalogue"),
    binding(
        A::Add,
        &["a"],
        &[Scope::Form],
        "write",
        "write a target: provider/model?temperature=0",
    ),
    binding(A::Send, &["S"], &[Scope::Form], "send", "send it, once its cost was agreed to"),
    binding(A::FoldAll, &["z"], &[Pager], "", "fold or unfold everything"),
    binding(A::NextHit, &["n"], &[Pager, List], "", "next hit"),
    binding(A::PreviousHit, &["N"], &[Pager, List], "", "previous hit"),
    binding(A::Up, &["k", "up"], &[Everywhere], "", "up"),
    binding(A::Down, &["j", "down"], &[Everywhere], "", "down"),
    binding(A::PageUp, &["pageup", "ctrl-u"], &[Everywhere], "", "a page up"),
    binding(A::PageDown, &["pagedown", "ctrl-d"], &[Everywhere], "", "a page down"),
    binding(A::Top, &["g", "home"], &[Everywhere], "", "to the beginning"),
    binding(A::Bottom, &["G", "end"], &[Everywhere], "", "to the end"),
    binding(A::Left, &["h", "left"], &[Everywhere], "", "left, or close"),
    binding(A::Right, &["right"], &[Everywhere], "", "right, or open"),
    binding(A::Screen(S::Overview), &["1"], &[Everywhere], "", "overview"),
    binding(A::Screen(S::Sessions), &["2"], &[Everywhere], "", "sessions"),
    binding(A::Screen(S::Exchanges), &["3"], &[Everywhere], "", "exchanges"),
    binding(A::Screen(S::Exchange), &["4"], &[Everywhere], "", "the exchange that was open last"),
    binding(A::Screen(S::Diff), &["5"], &[Everywhere], "", "the comparison that was open last"),
    binding(A::Screen(S::Replay), &["6"], &[Everywhere], "", "replay, and past runs"),
    binding(
        A::Screen(S::Tools),
        &["7"],
        &[Everywhere],
        "",
        "tools, agents, providers, models, keys",
    ),
    binding(A::Screen(S::Help), &["8"], &[Everywhere], "", "help"),
    binding(A::Help, &["?"], &[Everywhere], "help", "every key, and what it does here"),
    binding(A::Palette, &[":", "ctrl-p"], &[Everywhere], "palette", "every action by its name"),
    binding(A::Refresh, &["R", "ctrl-r"], &[Everywhere], "", "read again"),
    binding(A::Back, &["esc"], &[Everywhere], "", "back: close a menu, a filter, a screen"),
    binding(A::Quit, &["q"], &[Everywhere], "quit", "up one level; on the overview, quit"),
    binding(A::Suspend, &["ctrl-z"], &[Everywhere], "", "suspend; `fg` comes back"),
];

/// What a key means in these scopes.
pub fn find(key: &str, scopes: &[Scope]) -> Option<Action> {
    let in_scope = |scope: &Scope| {
        KEYS.iter().find(|one| one.scopes.contains(scope) && one.keys.contains(&key))
    };
    scopes.iter().find_map(in_scope).map(|one| one.action)
}

/// A key as the map spells it.
pub fn name(key: &KeyEvent) -> String {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    let word = match key.code {
        KeyCode::Char(' ') => "space".to_owned(),
        KeyCode::Char(c) if control => c.to_ascii_lowercase().to_string(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::BackTab => "backtab".to_owned(),
        KeyCode::Backspace => "backspace".to_owned(),
        KeyCode::Delete => "delete".to_owned(),
        KeyCode::Up => "up".to_owned(),
        KeyCode::Down => "down".to_owned(),
        KeyCode::Left => "left".to_owned(),
        KeyCode::Right => "right".to_owned(),
        KeyCode::Home => "home".to_owned(),
        KeyCode::End => "end".to_owned(),
        KeyCode::PageUp => "pageup".to_owned(),
        KeyCode::PageDown => "pagedown".to_owned(),
        KeyCode::F(n) => format!("f{n}"),
        _ => String::new(),
    };
    match (control, alt) {
        (true, _) => format!("ctrl-{word}"),
        (_, true) => format!("alt-{word}"),
        _ => word,
    }
}

/// The character a key stands for while typing.
pub fn character(key: &KeyEvent) -> Option<char> {
    let held = KeyModifiers::CONTROL | KeyModifiers::ALT;
    match key.code {
        KeyCode::Char(c) if !key.modifiers.intersects(held) => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_scope() {
        for (at, one) in KEYS.iter().enumerate() {
            for other in &KEYS[at + 1..] {
                let shared = one.scopes.iter().any(|scope| other.scopes.contains(scope));
                let key = one.keys.iter().find(|key| other.keys.contains(key));
                assert!(
                    !shared || key.is_none(),
                    "{key:?}: {:?} and {:?}",
                    one.action,
                    other.action
                );
            }
        }
    }

    #[test]
    fn keys_that_terminals_cannot_tell_apart_are_not_used() {
        for key in KEYS.iter().flat_map(|one| one.keys) {
            for bad in ["ctrl-m", "ctrl-j", "ctrl-i", "ctrl-h", "ctrl-[", "ctrl-b"] {
                assert_ne!(*key, bad);
            }
        }
    }
}
