//! Two turns of a session: what of the conversation was kept, added, changed or taken out, and where the prompt's
//! beginning changed.

use serde::Serialize;

use crate::dialect::pieces::{self, Piece, Section};
use crate::report::diff::align::{Step, align};
use crate::report::diff::prefix::{self, Prefix};
use crate::report::{material, prose};
use crate::store::stored::Stored;

/// Limit: pieces that are listed.
const LISTED_MAX: usize = 100;
/// Limit: characters of a piece that are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// What became of a tool, an instruction or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    Added,
    Removed,
    Changed,
    /// The same words, at another place.
    Moved,
}

/// One piece that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Altered {
    pub became: Became,
    pub section: Section,
    /// Where it stands in the later request, or stood in the earlier one.
    pub path: String,
    /// Its role or name.
    pub name: Option<String>,
    pub bytes: usize,
    /// The beginning of it; of a change, from the first difference on.
    pub shown: String,
    /// Of a change: what stood there before.
    pub was: Option<String>,
}

/// How one turn differs from the one before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Turns {
    pub before: String,
    pub after: String,
    pub kept: usize,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub moved: usize,
    pub altered: Vec<Altered>,
    /// Pieces that are counted and not listed.
    pub more: usize,
    pub prefix: Option<Prefix>,
    /// Why there is nothing to compare.
    pub missing: Option<String>,
}

/// Compares two turns.
pub fn compare(before: &Stored, after: &Stored) -> Turns {
    let mut turns = Turns {
        before: before.row.id.clone(),
        after: after.row.id.clone(),
        kept: 0,
        added: 0,
        changed: 0,
        removed: 0,
        moved: 0,
        altered: Vec::new(),
        more: 0,
        prefix: prefix::compare(before, after),
        missing: None,
    };
    let (Some(left), Some(right)) = (material::request(before), material::request(after)) else {
        let which = if material::request(before).is_none() { &before.row } else { &after.row };
        turns.missing = Some(format!(
            "the body of {} was not kept (capture was {})",
            which.id, which.capture_level
        ));
        return turns;
    };
    let ours = pieces::of_request(material::dialect(before), &left);
    let theirs = pieces::of_request(material::dialect(after), &right);
    let mut both = Both { turns, left: &left, right: &right };
    for section in [Section::Tools, Section::System, Section::Messages] {
        let of = |all: &[Piece]| -> Vec<Piece> {
            all.iter().filter(|piece| piece.section == section).cloned().collect()
        };
        both.section(&of(&ours), &of(&theirs));
    }
    both.turns
}

struct Both<'a> {
    turns: Turns,
    left: &'a [u8],
    right: &'a [u8],
}

impl Both<'_> {
    fn section(&mut self, ours: &[Piece], theirs: &[Piece]) {
        let hashes = |pieces: &[Piece]| pieces.iter().map(|piece| piece.hash).collect::<Vec<_>>();
        let (our_hashes, their_hashes) = (hashes(ours), hashes(theirs));
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        for step in align(&our_hashes, &their_hashes) {
            match step {
                Step::Same(..) => {
                    self.pair(&gone, &came);
                    gone.clear();
                    came.clear();
                    self.turns.kept += 1;
                }
                Step::Left(at) => gone.extend(ours.get(at)),
                Step::Right(at) => came.extend(theirs.get(at)),
            }
        }
        self.pair(&gone, &came);
    }

    /// What went and what came between two pieces that stayed: of the same role in the same order, it changed.
    fn pair(&mut self, gone: &[&Piece], came: &[&Piece]) {
        let mut left: std::collections::VecDeque<&Piece> = gone.iter().copied().collect();
        for new in came {
            if let Some(at) = left.iter().position(|old| old.hash == new.hash) {
                left.remove(at);
                self.note(Became::Moved, new, None);
            } else if left.front().is_some_and(|old| old.name == new.name) {
                let old = left.pop_front();
                self.note(Became::Changed, new, old);
            } else {
                self.note(Became::Added, new, None);
            }
        }
        for old in left {
            self.note(Became::Removed, old, None);
        }
    }

    fn note(&mut self, became: Became, piece: &Piece, was: Option<&Piece>) {
        let count = match became {
            Became::Added => &mut self.turns.added,
            Became::Removed => &mut self.turns.removed,
            Became::Changed => &mut self.turns.changed,
            Became::Moved => &mut self.turns.moved,
        };
        *count += 1;
        if self.turns.altered.len() >= LISTED_MAX {
            self.turns.more += 1;
            return;
        }
        let body = if became == Became::Removed { self.left } else { self.right };
        let spot = was.and_then(|was| {
            use crate::base::json::Value;
            let (old, new) =
                (Value::at(self.left, &was.span)?, Value::at(self.right, &piece.span)?);
            pieces::first_difference(&old, &new, &piece.path)
        });
        let (path, shown, was) = match (spot, was) {
            (Some(spot), Some(old)) => (
                spot.path,
                excerpt(self.right, spot.right, piece.span.end),
                Some(excerpt(self.left, spot.left, old.span.end)),
            ),
            _ => (piece.path.clone(), excerpt(body, piece.span.start, piece.span.end), None),
        };
        self.turns.altered.push(Altered {
            became,
            section: piece.section,
            path,
            name: piece.name.clone(),
            bytes: piece.span.len(),
            shown,
            was,
        });
    }
}

fn excerpt(body: &[u8], start: usize, end: usize) -> String {
    let some = end.min(start + SHOWN_CHARS_MAX * 4);
    let text = String::from_utf8_lossy(body.get(start..some).unwrap_or_default());
    prose::line(&text, SHOWN_CHARS_MAX)
}
