//! Labels, scores and notes that people and programs put on exchanges and sessions afterwards.
//!
//! Each change is a short transaction of its own on a connection of its own, beside the writer's batches.

use std::path::Path;

use rusqlite::{Connection, Row, TransactionBehavior};

use crate::base::id::ExchangeId;
use crate::store::db::{self, OpenError};
use crate::store::reader::{ReadError, Reader};
use crate::store::stored::{Label, LabelOn};
use crate::store::text::fit;

/// Limit: characters of a label's name.
pub const NAME_MAX: usize = 64;
/// Limit: characters of a note.
pub const NOTE_MAX: usize = 4_096;
/// Limit: characters of an author.
pub const AUTHOR_MAX: usize = 256;
/// Limit: labels on one exchange or session.
pub const LABELS_MAX: i64 = 64;

/// What a label is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    Exchange(ExchangeId),
    /// By its name.
    Session(String),
}

impl On {
    fn kind(&self) -> LabelOn {
        match self {
            Self::Exchange(_) => LabelOn::Exchange,
            Self::Session(_) => LabelOn::Session,
        }
    }
}

/// A label as it is put.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct New {
    pub name: String,
    pub score: Option<f64>,
    pub note: Option<String>,
    pub author: Option<String>,
}

/// Why a label could not be put or removed.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    #[error(
        "`{0}` is no name of a label; use up to {NAME_MAX} letters, digits, `.`, `_`, `-`, `/`, beginning with a letter or digit"
    )]
    Name(String),
    #[error("the score {0} is no number that can be kept; use a finite one such as 0.8")]
    Score(f64),
    #[error("the note has {0} characters, {NOTE_MAX} are the limit; shorten it")]
    Note(usize),
    #[error("the author has {0} characters, {AUTHOR_MAX} are the limit; shorten it")]
    Author(usize),
    #[error("there are {LABELS_MAX} labels on it already, which is the limit; remove one first")]
    TooMany,
    #[error("there is no exchange {0}; list them with `pinhole captures ls`")]
    NoExchange(ExchangeId),
    #[error("there is no session `{0}`; list them with GET /api/sessions")]
    NoSession(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(
        "the label could not be written: {0}; check the disk and the rights on the data directory"
    )]
    Write(#[from] rusqlite::Error),
}

/// Puts a label; one of the same name on the same thing is replaced.
pub fn put(folder: &Path, on: &On, new: &New, at_us: i64) -> Result<Label, LabelError> {
    let label = check(on, new, at_us)?;
    let mut connection = open(folder)?;
    let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    must_be_there(&moment, on)?;
    delete(&moment, on, &label.name)?;
    let (exchange, session) = target(on);
    let column = column(on);
    let sql = format!("SELECT count(*) FROM labels WHERE {column} = coalesce(?1, ?2)");
    let there: i64 = moment.query_row(&sql, (&exchange, &session), |row| row.get(0))?;
    if there >= LABELS_MAX {
        return Err(LabelError::TooMany);
    }
    let sql = "INSERT INTO labels (exchange, session, name, score, note, author, at_us) VALUES (?, ?, ?, ?, ?, ?, ?)";
    moment.execute(
        sql,
        (&exchange, &session, &label.name, label.score, &label.note, &label.author, label.at_us),
    )?;
    moment.commit()?;
    Ok(label)
}

/// Removes a label; false: it was not there.
pub fn remove(folder: &Path, on: &On, name: &str) -> Result<bool, LabelError> {
    let name = name_of(name)?;
    let mut connection = open(folder)?;
    let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    must_be_there(&moment, on)?;
    let removed = delete(&moment, on, &name)?;
    moment.commit()?;
    Ok(removed)
}

impl Reader {
    /// The labels of an exchange (not those of its session) or of a session, by name.
    pub fn labels(&self, on: &On) -> Result<Vec<Label>, ReadError> {
        Ok(of(&self.connection, on)?)
    }

    /// All names in use and how often, the most used first.
    pub fn label_names(&self, limit: usize) -> Result<Vec<(String, i64)>, ReadError> {
        let sql = "SELECT name, count(*) FROM labels GROUP BY name ORDER BY count(*) DESC, name";
        let read = || -> rusqlite::Result<Vec<(String, i64)>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.take(limit).collect()
        };
        Ok(read()?)
    }
}

/// The same inside the store.
pub(super) fn of(connection: &Connection, on: &On) -> rusqlite::Result<Vec<Label>> {
    let (exchange, session) = target(on);
    let sql = format!(
        "SELECT name, score, note, author, at_us FROM labels WHERE {} = coalesce(?1, ?2) ORDER BY name",
        column(on)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let labels = statement.query_map((exchange, session), |row| label(row, on))?;
    labels.collect()
}

fn label(row: &Row<'_>, on: &On) -> rusqlite::Result<Label> {
    Ok(Label {
        on: on.kind(),
        name: row.get(0)?,
        score: row.get(1)?,
        note: row.get(2)?,
        author: row.get(3)?,
        at_us: row.get(4)?,
    })
}

fn check(on: &On, new: &New, at_us: i64) -> Result<Label, LabelError> {
    if let Some(score) = new.score.filter(|score| !score.is_finite()) {
        return Err(LabelError::Score(score));
    }
    let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    let (note, author) = (length(&new.note), length(&new.author));
    if note > NOTE_MAX {
        return Err(LabelError::Note(note));
    }
    if author > AUTHOR_MAX {
        return Err(LabelError::Author(author));
    }
    let clean = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    Ok(Label {
        on: on.kind(),
        name: name_of(&new.name)?,
        score: new.score,
        note: new.note.as_ref().map(|note| note.chars().map(clean).collect()),
        author: new.author.as_ref().map(|author| fit(author, AUTHOR_MAX).into_owned()),
        at_us,
    })
}

/// Names are kept in lower case, so that `label:Good` and `label:good` are one.
fn name_of(written: &str) -> Result<String, LabelError> {
    let name = written.trim().to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if !begins || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(LabelError::Name(fit(written, NAME_MAX).escape_debug().to_string()));
    }
    Ok(name)
}

pub(super) fn open(folder: &Path) -> Result<Connection, LabelError> {
    // A label must not make a store: that is the business of `serve`.
    drop(db::open_reader(folder)?);
    Ok(db::open_writer(folder, db::BUSY)?)
}

pub(super) fn must_be_there(connection: &Connection, on: &On) -> Result<(), LabelError> {
    let there = match on {
        On::Exchange(id) => connection
            .prepare_cached("SELECT 1 FROM exchange_records WHERE id = ?")?
            .exists([id.bytes()])?,
        On::Session(name) => {
            connection.prepare_cached("SELECT 1 FROM sessions WHERE name = ?")?.exists([name])?
        }
    };
    match on {
        _ if there => Ok(()),
        On::Exchange(id) => Err(LabelError::NoExchange(*id)),
        On::Session(name) => {
            Err(LabelError::NoSession(fit(name, AUTHOR_MAX).escape_debug().to_string()))
        }
    }
}

fn delete(connection: &Connection, on: &On, name: &str) -> rusqlite::Result<bool> {
    let (exchange, session) = target(on);
    let sql = format!("DELETE FROM labels WHERE {} = coalesce(?1, ?2) AND name = ?3", column(on));
    Ok(connection.execute(&sql, (exchange, session, name))? > 0)
}

fn column(on: &On) -> &'static str {
    match on {
        On::Exchange(_) => "exchange",
        On::Session(_) => "session",
    }
}

fn target(on: &On) -> (Option<[u8; 16]>, Option<&str>) {
    match on {
        On::Exchange(id) => (Some(id.bytes()), None),
        On::Session(name) => (None, Some(name)),
    }
}
