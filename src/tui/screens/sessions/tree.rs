//! Sessions as a tree: sub-agents below those that called them, folded or not, in any order.

use std::collections::{HashMap, HashSet};

use crate::store::query::sessions::Session;

/// Limit: how deep sub-agents are shown below each other.
const DEPTH_MAX: usize = 8;

/// What the list is sorted by, the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Last,
    Started,
    Turns,
    Tokens,
    Cost,
    Errors,
    Signals,
    Duration,
}

impl Sort {
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Last, "n", "last seen"),
        (Self::Started, "s", "started"),
        (Self::Turns, "t", "turns"),
        (Self::Tokens, "o", "tokens"),
        (Self::Cost, "c", "cost"),
        (Self::Errors, "e", "errors"),
        (Self::Signals, "i", "signals"),
        (Self::Duration, "d", "duration"),
    ];

    pub fn label(self) -> &'static str {
        Self::ALL.iter().find(|one| one.0 == self).map_or("", |one| one.2)
    }

    fn of(self, session: &Session) -> i64 {
        match self {
            Self::Last => session.seq,
            Self::Started => session.first_us,
            Self::Turns => session.turns,
            Self::Tokens => session.input_tokens + session.output_tokens,
            Self::Cost => session.cost_nanousd,
            Self::Errors => session.errors,
            Self::Signals => session.signals.values().sum(),
            Self::Duration => session.last_us - session.first_us,
        }
    }
}

/// One line: which session, how deep, and what hangs below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: usize,
    pub depth: usize,
    /// Sessions below it, theirs too.
    pub below: usize,
    pub folded: bool,
}

/// The lines of all sessions. One whose parent is not among them stands at the root; so does what is its own ancestor.
pub fn lines(sessions: &[Session], sort: Sort, folded: &HashSet<String>) -> Vec<Line> {
    let known: HashMap<&str, usize> =
        sessions.iter().enumerate().map(|(at, one)| (one.id.as_str(), at)).collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (at, session) in sessions.iter().enumerate() {
        let parent = session.parent.as_deref().and_then(|parent| known.get(parent).copied());
        match parent {
            Some(parent) if parent != at => children.entry(parent).or_default().push(at),
            _ => roots.push(at),
        }
    }
    let key = |at: &usize| sessions.get(*at).map(|one| std::cmp::Reverse((sort.of(one), one.seq)));
    for list in children.values_mut() {
        list.sort_by_key(key);
    }
    // A tree stands where the newest of it stands.
    let mut walk =
        Walk { sessions, children: &children, folded, seen: HashSet::new(), out: Vec::new() };
    if sort == Sort::Last {
        let newest = |root: &usize| std::cmp::Reverse(walk.newest(*root, 0));
        roots.sort_by_cached_key(newest);
    } else {
        roots.sort_by_key(key);
    }
    for root in roots {
        walk.add(root, 0, true);
    }
    // Those that go round in a circle have no root.
    for at in 0..sessions.len() {
        if !walk.seen.contains(&at) {
            walk.add(at, 0, true);
        }
    }
    walk.out
}

struct Walk<'a> {
    sessions: &'a [Session],
    children: &'a HashMap<usize, Vec<usize>>,
    folded: &'a HashSet<String>,
    seen: HashSet<usize>,
    out: Vec<Line>,
}

impl Walk<'_> {
    fn newest(&self, at: usize, depth: usize) -> i64 {
        let own = self.sessions.get(at).map_or(0, |one| one.seq);
        if depth >= DEPTH_MAX {
            return own;
        }
        let below = self.children.get(&at).into_iter().flatten();
        below.map(|child| self.newest(*child, depth + 1)).fold(own, i64::max)
    }

    /// Adds a session and what is below it; how many it added, shown or not.
    fn add(&mut self, at: usize, depth: usize, shown: bool) -> usize {
        if !self.seen.insert(at) {
            return 0;
        }
        let Some(session) = self.sessions.get(at) else { return 0 };
        let folded = self.folded.contains(&session.id);
        let place = self.out.len();
        if shown {
            self.out.push(Line { at, depth: depth.min(DEPTH_MAX), below: 0, folded });
        }
        let mut below = 0;
        let children = self.children;
        for child in children.get(&at).into_iter().flatten() {
            below += self.add(*child, depth + 1, shown && !folded);
        }
        if shown && let Some(line) = self.out.get_mut(place) {
            line.below = below;
        }
        below + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, parent: Option<&str>, seq: i64) -> Session {
        Session { id: id.to_owned(), parent: parent.map(str::to_owned), seq, ..Session::default() }
    }

    fn told(sessions: &[Session], folded: &[&str]) -> Vec<String> {
        let folded = folded.iter().map(|id| (*id).to_owned()).collect();
        lines(sessions, Sort::Last, &folded)
            .iter()
            .map(|line| {
                format!("{}{}+{}", " ".repeat(line.depth), sessions[line.at].id, line.below)
            })
            .collect()
    }

    #[test]
    fn sub_agents_hang_below_and_a_tree_stands_where_its_newest_is() {
        let sessions = [
            one("b", None, 9),
            one("a/x", Some("a"), 12),
            one("a/y", Some("a"), 7),
            one("a/x/z", Some("a/x"), 6),
            one("a", None, 5),
            one("orphan", Some("gone"), 4),
        ];
        let tree = ["a+3", " a/x+1", "  a/x/z+0", " a/y+0", "b+0", "orphan+0"];
        assert_eq!(told(&sessions, &[]), tree);
        assert_eq!(told(&sessions, &["a"]), ["a+3", "b+0", "orphan+0"]);
    }

    #[test]
    fn circles_and_own_parents_end() {
        let sessions = [one("a", Some("b"), 1), one("b", Some("a"), 2), one("c", Some("c"), 3)];
        assert_eq!(told(&sessions, &[]), ["c+0", "a+1", " b+0"]);
        assert_eq!(told(&sessions, &["a"]), ["c+0", "a+1"]);
    }
}
