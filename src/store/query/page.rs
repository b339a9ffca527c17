//! Asking the store: a page, a count, every match, one exchange by its id.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::store::listing;
use crate::store::query::Query;
use crate::store::query::compile::{Compiled, compile};
use crate::store::query::part::Texts;
pub use crate::store::query::walk::Order;
use crate::store::query::walk::walk;
use crate::store::reader::{ReadError, Reader};
use crate::store::search::{self, Sought, look_up, scan, spread};
use crate::store::stored::Listed;
use crate::store::vault::seal;

/// Matches found at once by what goes through all of them.
const STRETCH: usize = 4_096;
/// Ids that an error about an ambiguous one names.
const NAMED_MAX: usize = 5;

/// Which part of the matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub limit: usize,
    /// Only what lies before this seq: the last one of the page before.
    pub before: Option<i64>,
    /// Only what came after this seq, the oldest first: what follows the newest seen.
    pub after: Option<i64>,
}

impl Page {
    /// The newest matches.
    pub fn newest(limit: usize) -> Self {
        Self { limit, before: None, after: None }
    }

    fn ends(&self) -> (i64, i64) {
        let lowest = self.after.map_or(i64::MIN, |after| after.saturating_add(1));
        let highest = self.before.map_or(i64::MAX, |before| before.saturating_sub(1));
        (lowest, highest)
    }

    fn order(&self) -> Order {
        if self.after.is_some() { Order::Oldest } else { Order::Newest }
    }
}

/// What matches can be sorted by, the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Cost,
    Duration,
    Ttft,
    TokensIn,
    TokensOut,
    Gap,
    Attempts,
}

impl By {
    pub const ALL: [Self; 7] = [
        Self::Cost,
        Self::Duration,
        Self::Ttft,
        Self::TokensIn,
        Self::TokensOut,
        Self::Gap,
        Self::Attempts,
    ];

    /// As the query language calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Duration => "duration",
            Self::Ttft => "ttft",
            Self::TokensIn => "tokens.in",
            Self::TokensOut => "tokens.out",
            Self::Gap => "gap",
            Self::Attempts => "attempts",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Cost => "cost_nanousd",
            Self::Duration => "duration_us",
            Self::Ttft => "ttft_us",
            Self::TokensIn => "input_tokens",
            Self::TokensOut => "output_tokens",
            Self::Gap => "gap_max_us",
            Self::Attempts => "attempts",
        }
    }
}

/// Why an exchange was not found by its id.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(
        "`{0}` is no id; use an exchange id such as 019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f (x-pinhole-id of the answer), or its \
         beginning"
    )]
    NoId(String),
    #[error("no exchange has an id that begins with `{0}`; list them with `pinhole captures ls`")]
    Unknown(String),
    #[error("{}", ambiguous(.text, .ids))]
    Ambiguous { text: String, ids: Vec<String> },
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn ambiguous(text: &str, ids: &[String]) -> String {
    let named: Vec<&str> = ids.iter().take(NAMED_MAX).map(String::as_str).collect();
    let more = if ids.len() > NAMED_MAX { " and more" } else { "" };
    format!(
        "several exchanges begin with `{text}`: {}{more}; give more of the id",
        named.join(", ")
    )
}

impl Reader {
    /// A page of matches, newest first (with `after`, oldest first).
    pub fn list(&self, query: &Query, page: &Page) -> Result<Vec<Listed>, ReadError> {
        let texts = self.texts(query)?;
        let moment = self.connection.unchecked_transaction()?;
        let compiled = compile(&moment, query, &texts)?;
        let seqs = walk(&moment, &compiled, page.ends(), page.order(), page.limit)?;
        Ok(listing::by_seq(&moment, &seqs)?)
    }

    /// How many match; it stops counting at `limit`.
    pub fn count(&self, query: &Query, limit: u64) -> Result<u64, ReadError> {
        let texts = self.texts(query)?;
        let moment = self.connection.unchecked_transaction()?;
        let compiled = compile(&moment, query, &texts)?;
        let (mut count, mut highest) = (0u64, i64::MAX);
        while count < limit {
            let wanted = usize::try_from(limit - count).unwrap_or(usize::MAX).min(STRETCH);
            let seqs = walk(&moment, &compiled, (i64::MIN, highest), Order::Newest, wanted)?;
            count += seqs.len() as u64;
            match seqs.last() {
                Some(last) if seqs.len() == wanted => highest = last - 1,
                _ => break,
            }
        }
        Ok(count)
    }

    /// How many match below `before`, `most` of them at most, and where to go on counting, if it does not end there: for
    /// who shows a number that grows.
    pub fn count_below(
        &self,
        query: &Query,
        before: Option<i64>,
        most: usize,
    ) -> Result<(usize, Option<i64>), ReadError> {
        let texts = self.texts(query)?;
        let moment = self.connection.unchecked_transaction()?;
        let compiled = compile(&moment, query, &texts)?;
        let ends = Page { limit: most, before, after: None }.ends();
        let seqs = walk(&moment, &compiled, ends, Order::Newest, most)?;
        Ok((seqs.len(), seqs.last().copied().filter(|_| seqs.len() == most)))
    }

    /// The matches that are greatest in something, greatest first, among the newest `among` matches; and how many those
    /// were. Rows that do not have it come nowhere.
    pub fn greatest(
        &self,
        query: &Query,
        by: By,
        among: usize,
        limit: usize,
    ) -> Result<(Vec<Listed>, usize), ReadError> {
        let texts = self.texts(query)?;
        let moment = self.connection.unchecked_transaction()?;
        let compiled = compile(&moment, query, &texts)?;
        let seqs = walk(&moment, &compiled, (i64::MIN, i64::MAX), Order::Newest, among)?;
        let sql = format!("SELECT {} FROM exchange_records WHERE seq = ?", by.column());
        let mut number = moment.prepare_cached(&sql)?;
        let mut found: Vec<(i64, i64)> = Vec::new();
        for seq in &seqs {
            let value: Option<i64> = number.query_row([seq], |row| row.get(0))?;
            found.extend(value.map(|value| (value, *seq)));
        }
        found.sort_unstable_by(|left, right| right.cmp(left));
        let best: Vec<i64> = found.iter().take(limit).map(|(_, seq)| *seq).collect();
        Ok((listing::by_seq(&moment, &best)?, seqs.len()))
    }

    /// Every match there is now, a stretch at a time: memory stays bounded, and the writer is not held up. Rows that are
    /// removed meanwhile may still be named.
    pub fn seqs(&self, query: &Query, order: Order) -> Result<Seqs<'_>, ReadError> {
        let texts = self.texts(query)?;
        let compiled = compile(&self.connection, query, &texts)?;
        Ok(Seqs {
            connection: &self.connection,
            compiled,
            order,
            left: (i64::MIN, i64::MAX),
            stretch: Vec::new().into_iter(),
            ended: false,
        })
    }

    /// The rows of these seqs, in their order; those that are gone are left out.
    pub fn listed(&self, seqs: &[i64]) -> Result<Vec<Listed>, ReadError> {
        Ok(listing::by_seq(&self.connection, seqs)?)
    }

    /// The one exchange whose id is this or begins with it.
    pub fn find(&self, text: &str) -> Result<Listed, FindError> {
        let text = text.trim();
        let no_id = || FindError::NoId(crate::store::query::error::shown(text));
        let (lowest, highest) = crate::store::query::value::id_range(text).ok_or_else(no_id)?;
        let read = || -> Result<Vec<Listed>, rusqlite::Error> {
            let sql = format!(
                "SELECT seq FROM exchange_records WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT {}",
                NAMED_MAX + 1
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let seqs: Vec<i64> = statement
                .query_map((lowest, highest), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            listing::by_seq(&self.connection, &seqs)
        };
        let mut found = read().map_err(ReadError::from)?;
        match (found.len(), found.pop()) {
            (1, Some(only)) => Ok(only),
            (_, Some(last)) => {
                found.push(last);
                let ids = found.into_iter().map(|row| row.id).collect();
                Err(FindError::Ambiguous { text: text.to_owned(), ids })
            }
            (_, None) => Err(FindError::Unknown(text.to_owned())),
        }
    }
}

impl Reader {
    /// Whether asking this takes long: texts are looked for, and there is no index of them. Only the newest bodies are read
    /// then, [`SCANNED_MAX`](crate::store::search::SCANNED_MAX).
    pub fn is_slow(&self, query: &Query) -> bool {
        let index = || self.folder().and_then(|folder| search::State::of(&folder));
        !query.texts().is_empty() && index().is_none()
    }

    /// What the `text:` terms of a query find.
    pub(super) fn texts(&self, query: &Query) -> Result<Texts, ReadError> {
        let mut texts = Texts::new();
        let is_asked = !query.texts().is_empty();
        // Nothing found would be a lie.
        if is_asked && self.shelf.borrow().seal.is_none() && seal::needs_key(&self.connection)? {
            return Err(ReadError::NoKey);
        }
        for words in query.texts() {
            let sought = Sought::new(&words);
            let indexed = self.folder().and_then(|folder| look_up(&folder, &sought));
            let (mut seqs, upto) = indexed.unwrap_or_default();
            let mut shelf = self.shelf.borrow_mut();
            seqs.extend(scan(&self.connection, &mut shelf, &sought, upto)?);
            spread(&self.connection, &mut shelf, &sought, &mut seqs)?;
            texts.insert(words, seqs);
        }
        Ok(texts)
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(Path::new(self.connection.path()?).parent()?.to_owned())
    }
}

/// The matches of a query, one after the other.
pub struct Seqs<'a> {
    connection: &'a Connection,
    compiled: Compiled,
    order: Order,
    /// The lowest and the highest that are not read yet.
    left: (i64, i64),
    stretch: std::vec::IntoIter<i64>,
    ended: bool,
}

impl Iterator for Seqs<'_> {
    type Item = Result<i64, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(seq) = self.stretch.next() {
            return Some(Ok(seq));
        }
        if self.ended {
            return None;
        }
        let seqs = match walk(self.connection, &self.compiled, self.left, self.order, STRETCH) {
            Ok(seqs) => seqs,
            Err(error) => {
                self.ended = true;
                return Some(Err(error.into()));
            }
        };
        self.ended = seqs.len() < STRETCH;
        if let Some(last) = seqs.last() {
            match self.order {
                Order::Newest => self.left.1 = last - 1,
                Order::Oldest => self.left.0 = last + 1,
            }
        }
        self.stretch = seqs.into_iter();
        self.stretch.next().map(Ok)
    }
}
