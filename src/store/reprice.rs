//! Stored rows by the prices of today: what they would cost, and on request what they cost from now on.
//!
//! ```text
//!  records and attempts of the window, a batch at a time ─► price book ─► changes ─► attempts, records     one
//!                                                                            └─────► roll-ups, less and more ┘ transaction
//! ```
//!
//! Roll-ups get the difference, never a new sum: what they know of rows that are gone stays as it is. A row keeps its cost
//! where the book has no price for it any more.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row, Transaction, TransactionBehavior};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::neutral::usage::{Usage, UsageSource};
use crate::price::book::{Amount, Book};
use crate::store::db::{self, OpenError};
use crate::store::reader::{ReadError, Reader};
use crate::store::rollup::{Batch, Measure, Place, Sums, hour_of};

/// Records of one transaction: short enough that a running gateway waits some milliseconds for it.
const BATCH: u32 = 1_000;

/// What became of the answers of one provider and model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Answers with usage.
    pub answers: u64,
    /// Of them, those whose cost is another one.
    pub changed: u64,
    /// Had no price, and have one.
    pub gained: u64,
    /// Had no price, and have none.
    pub unpriced: u64,
    /// Keep the cost they had, because the book has no price for them any more.
    pub kept: u64,
    pub before_nanousd: i64,
    pub after_nanousd: i64,
}

impl Change {
    pub fn plus(&mut self, other: &Self) {
        self.answers += other.answers;
        self.changed += other.changed;
        self.gained += other.gained;
        self.unpriced += other.unpriced;
        self.kept += other.kept;
        self.before_nanousd = self.before_nanousd.saturating_add(other.before_nanousd);
        self.after_nanousd = self.after_nanousd.saturating_add(other.after_nanousd);
    }
}

/// By provider and model, as metrics name it.
pub type Changes = BTreeMap<(String, String), Change>;

/// Why rows could not be priced anew. What was committed before stays: each batch is right by itself.
#[derive(Debug, thiserror::Error)]
pub enum RepriceError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "the store cannot be written: {0}; rows priced until now are consistent, and the command can be given again"
    )]
    Write(rusqlite::Error),
}

/// What the rows of the window, in seconds since 1970, would cost. Nothing is written.
pub fn preview(folder: &Path, book: &Book, window: (i64, i64)) -> Result<Changes, RepriceError> {
    let reader = Reader::open(folder)?;
    let mut changes = Changes::new();
    let mut span = Span::of(window);
    loop {
        let rows = load(&reader.connection, &mut span).map_err(ReadError::from)?;
        if rows.is_empty() {
            return Ok(changes);
        }
        for attempt in rows.iter().flat_map(|row| &row.attempts) {
            note(&mut changes, attempt, attempt.priced(book).as_ref());
        }
    }
}

/// Prices the rows of the window, in seconds since 1970, anew; beside a running gateway, too.
pub fn write(folder: &Path, book: &Book, window: (i64, i64)) -> Result<Changes, RepriceError> {
    // A store that is not there, or another program's, is not to be made.
    drop(Reader::open(folder)?);
    let mut connection = db::open_writer(folder, db::BUSY)?;
    let mut changes = Changes::new();
    let mut span = Span::of(window);
    loop {
        let started = clock::now();
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(RepriceError::Write)?;
        let done = write_batch(&transaction, book, &mut span).map_err(RepriceError::Write)?;
        transaction.commit().map_err(RepriceError::Write)?;
        let Some(done) = done else { return Ok(changes) };
        for (key, change) in done {
            changes.entry(key).or_default().plus(&change);
        }
        // As long as the file was held, it is left to others.
        std::thread::sleep(Duration::from_micros(clock::us_between(started, clock::now())));
    }
}

/// `None`: there are no more rows.
fn write_batch(
    transaction: &Transaction<'_>,
    book: &Book,
    span: &mut Span,
) -> rusqlite::Result<Option<Changes>> {
    let rows = load(transaction, span)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut changes = Changes::new();
    let mut batch = Batch::default();
    for row in &rows {
        let (mut cost, mut differs) = (None::<i64>, false);
        for attempt in &row.attempts {
            let amount = attempt.priced(book);
            note(&mut changes, attempt, amount.as_ref());
            let now = amount.as_ref().map(|amount| amount.nanodollars.0).or(attempt.cost_nanousd);
            if let Some(now) = now {
                cost = Some(cost.unwrap_or(0).saturating_add(now));
            }
            let Some(amount) = amount.filter(|amount| attempt.differs(amount)) else { continue };
            update_attempt(transaction, &row.id, attempt, &amount)?;
            differs = true;
            if !row.is_replay {
                let sums = attempt.difference(&amount);
                batch.correct(&row.place(), &attempt.provider, &attempt.model_label, &sums);
            }
        }
        if differs {
            let sql = "UPDATE records SET cost_nanousd = ?2 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute((row.id, cost))?;
        }
    }
    batch.write(transaction)?;
    Ok(Some(changes))
}

fn update_attempt(
    transaction: &Transaction<'_>,
    id: &[u8; 16],
    attempt: &Attempt,
    amount: &Amount,
) -> rusqlite::Result<()> {
    let sql = "UPDATE attempts SET cost_nanousd = ?3, unpriced = 0, price_basis = ?4, price_version = ?5 \
               WHERE exchange_id = ?1 AND n = ?2";
    let values = (id, attempt.n, amount.nanodollars.0, &*amount.basis, &*amount.version);
    transaction.prepare_cached(sql)?.execute(values).map(|_| ())
}

fn note(changes: &mut Changes, attempt: &Attempt, amount: Option<&Amount>) {
    if attempt.source.is_none() {
        return;
    }
    let before = attempt.cost_nanousd;
    let after = amount.map(|amount| amount.nanodollars.0).or(before);
    let change = Change {
        answers: 1,
        changed: u64::from(before != after),
        gained: u64::from(before.is_none() && after.is_some()),
        unpriced: u64::from(after.is_none()),
        kept: u64::from(amount.is_none() && before.is_some()),
        before_nanousd: before.unwrap_or(0),
        after_nanousd: after.unwrap_or(0),
    };
    let key = (attempt.provider.clone(), attempt.model_label.clone());
    changes.entry(key).or_default().plus(&change);
}

/// The records that are still to be read: ids are in the order of time.
struct Span {
    after: [u8; 16],
    until: [u8; 16],
}

impl Span {
    fn of((since_s, until_s): (i64, i64)) -> Self {
        let floor = |at_s: i64| {
            ExchangeId::floor(u64::try_from(at_s).unwrap_or(0).saturating_mul(1_000_000))
        };
        Self { after: floor(since_s), until: floor(until_s) }
    }
}

/// What of a record is needed to price it and to find its roll-ups.
struct Stored {
    id: [u8; 16],
    started_at_us: i64,
    session: Option<String>,
    dialect: String,
    key_label: Option<String>,
    agent: String,
    is_replay: bool,
    tags: Vec<(String, String)>,
    attempts: Vec<Attempt>,
}

struct Attempt {
    n: i64,
    provider: String,
    model: Option<String>,
    model_label: String,
    service_tier: Option<String>,
    usage: Usage,
    /// `None`: no usage is known.
    source: Option<UsageSource>,
    cost_nanousd: Option<i64>,
    unpriced: bool,
    price_basis: Option<String>,
    price_version: Option<String>,
}

impl Stored {
    fn place(&self) -> Place<'_> {
        Place {
            start_s: hour_of(self.started_at_us),
            key_label: self.key_label.as_deref().unwrap_or_default(),
            agent: &self.agent,
            dialect: &self.dialect,
            session: self.session.as_deref().unwrap_or_default(),
            tags: &self.tags,
        }
    }
}

impl Attempt {
    fn priced(&self, book: &Book) -> Option<Amount> {
        self.source?;
        book.price(
            &self.provider,
            self.model.as_deref()?,
            &self.usage,
            self.service_tier.as_deref(),
        )
    }

    fn differs(&self, amount: &Amount) -> bool {
        self.cost_nanousd != Some(amount.nanodollars.0)
            || self.unpriced
            || self.price_basis.as_deref() != Some(&*amount.basis)
            || self.price_version.as_deref() != Some(&*amount.version)
    }

    fn difference(&self, amount: &Amount) -> Sums {
        let more = amount.nanodollars.0.saturating_sub(self.cost_nanousd.unwrap_or(0));
        let mut sums = Sums::default();
        sums.add(Measure::Cost, more);
        if self.source == Some(UsageSource::Estimated) {
            sums.add(Measure::EstimatedCost, more);
        }
        sums.add(Measure::Unpriced, -i64::from(self.unpriced));
        sums
    }
}

const COLUMNS: &str = "SELECT r.id, r.started_at_us, r.session_id, r.dialect, r.key_label, r.agent, r.run_id IS NOT NULL, \
     r.tags, a.n, a.provider, coalesce(a.model, a.response_model), a.model_label, a.service_tier, a.input_tokens, \
     a.output_tokens, a.cache_read_tokens, a.cache_write_tokens, a.cache_write_1h_tokens, a.reasoning_tokens, \
     a.image_input_tokens, a.image_output_tokens, a.audio_input_tokens, a.audio_output_tokens, a.web_searches, \
     a.usage_source, a.cost_nanousd, a.unpriced, a.price_basis, a.price_version";

/// The next records with their attempts; empty at the end.
fn load(connection: &Connection, span: &mut Span) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} FROM (SELECT id, started_at_us, session_id, dialect, key_label, agent, run_id, tags FROM records \
         WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT {BATCH}) AS r LEFT JOIN attempts AS a ON a.exchange_id = r.id \
         ORDER BY r.id, a.n"
    ))?;
    let mut read = statement.query((span.after, span.until))?;
    let mut rows: Vec<Stored> = Vec::new();
    while let Some(row) = read.next()? {
        let id: [u8; 16] = row.get(0)?;
        if rows.last().is_none_or(|last| last.id != id) {
            rows.push(stored(row, id)?);
        }
        // An exchange that was refused has none.
        if let (Some(n), Some(last)) = (row.get::<_, Option<i64>>(8)?, rows.last_mut()) {
            last.attempts.push(attempt(row, n)?);
        }
    }
    if let Some(last) = rows.last() {
        span.after = last.id;
    }
    Ok(rows)
}

fn stored(row: &Row<'_>, id: [u8; 16]) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id,
        started_at_us: row.get(1)?,
        session: row.get(2)?,
        dialect: row.get(3)?,
        key_label: row.get(4)?,
        agent: row.get(5)?,
        is_replay: row.get(6)?,
        tags: tags(row.get_ref(7)?.as_str().unwrap_or_default()),
        attempts: Vec::new(),
    })
}

/// What `insert` made of them.
fn tags(text: &str) -> Vec<(String, String)> {
    let parsed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).unwrap_or_default();
    let pairs = parsed.into_iter();
    pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())).collect()
}

fn attempt(row: &Row<'_>, n: i64) -> rusqlite::Result<Attempt> {
    let tokens = |at: usize| {
        let count: Option<i64> = row.get(at)?;
        Ok::<_, rusqlite::Error>(count.and_then(|count| u64::try_from(count).ok()))
    };
    let source: Option<String> = row.get(24)?;
    Ok(Attempt {
        n,
        provider: row.get(9)?,
        model: row.get(10)?,
        model_label: row.get(11)?,
        service_tier: row.get(12)?,
        usage: Usage {
            input: tokens(13)?,
            output: tokens(14)?,
            cache_read: tokens(15)?,
            cache_write: tokens(16)?,
            cache_write_1h: tokens(17)?,
            reasoning: tokens(18)?,
            image_input: tokens(19)?,
            image_output: tokens(20)?,
            audio_input: tokens(21)?,
            audio_output: tokens(22)?,
            web_searches: tokens(23)?,
        },
        source: source
            .and_then(|told| UsageSource::ALL.into_iter().find(|one| one.label() == told)),
        cost_nanousd: row.get(25)?,
        unpriced: row.get(26)?,
        price_basis: row.get(27)?,
        price_version: row.get(28)?,
    })
}
