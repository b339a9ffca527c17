//! What another set of price lists would change: rows added and removed, prices dearer and cheaper.

use std::fmt;

use crate::price::lists::Lists;
use crate::price::rates::{Kind, Prices};

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// `openai/gpt-5`
    pub row: String,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Added,
    Removed,
    /// A price for a million tokens; `tier` is the size above which it holds.
    Price {
        kind: Kind,
        tier: Option<u64>,
        before: String,
        after: String,
        /// Of the old price; `None`: it was free.
        percent: Option<f64>,
    },
    /// Tiers, modes, price of searches.
    Terms,
}

impl What {
    pub fn label(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Price { percent, .. } if percent.is_some_and(|percent| percent < 0.0) => {
                "cheaper"
            }
            Self::Price { .. } => "dearer",
            Self::Terms => "terms",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}", self.what.label(), self.row)?;
        match &self.what {
            What::Added | What::Removed => Ok(()),
            What::Terms => write!(f, " (tiers, modes or searches)"),
            What::Price { kind, tier, before, after, percent } => {
                write!(f, " {}", kind.key())?;
                if let Some(above) = tier {
                    write!(f, " above {above}")?;
                }
                write!(f, " {before} -> {after}")?;
                percent.map_or(Ok(()), |percent| write!(f, " ({percent:+.1}%)"))
            }
        }
    }
}

/// From `before` to `after`: changes in the order of `before`, then what is new.
pub fn diff(before: &Lists, after: &Lists) -> Vec<Change> {
    let (old, new) = (before.all(), after.all());
    let mut changes = Vec::new();
    for (row, prices) in &old {
        match new.get(row) {
            Some(other) => compare(row, prices, other, &mut changes),
            None => changes.push(Change { row: row.clone(), what: What::Removed }),
        }
    }
    let added = new.keys().filter(|row| !old.contains_key(*row));
    changes.extend(added.map(|row| Change { row: row.clone(), what: What::Added }));
    changes
}

fn compare(row: &str, old: &Prices, new: &Prices, changes: &mut Vec<Change>) {
    let mut sizes: Vec<Option<u64>> = vec![None];
    let same_tiers =
        old.tiers.iter().map(|tier| tier.above).eq(new.tiers.iter().map(|tier| tier.above));
    if same_tiers {
        sizes.extend(old.tiers.iter().map(|tier| Some(tier.above)));
    }
    for tier in sizes {
        let size = tier.map_or(0, |above| above.saturating_add(1));
        let ((old, _), (new, _)) = (old.at(size, None), new.at(size, None));
        for kind in Kind::ALL {
            let (before, after) = (old.get(kind), new.get(kind));
            if before == after {
                continue;
            }
            // A kind without a price of its own costs what its whole does.
            let whole = |kind: Kind| match kind {
                Kind::Output | Kind::Reasoning | Kind::ImageOutput | Kind::AudioOutput => {
                    Kind::Output
                }
                _ => Kind::Input,
            };
            let before = before.or(old.get(whole(kind))).unwrap_or_default();
            let after = after.or(new.get(whole(kind))).unwrap_or_default();
            if before == after {
                continue;
            }
            let percent = (before.0 > 0).then(|| (after.0 as f64 / before.0 as f64 - 1.0) * 100.0);
            let what = What::Price {
                kind,
                tier,
                before: before.per_million(),
                after: after.per_million(),
                percent,
            };
            changes.push(Change { row: row.to_owned(), what });
        }
    }
    if !same_tiers || old.modes != new.modes || old.web_search != new.web_search {
        changes.push(Change { row: row.to_owned(), what: What::Terms });
    }
}
