//! Stored rows by the prices of today: what they would cost, and on request what they cost from now on.
//!
//! ```text
//!  records of the window, a batch at a time ─► price book ─► changes ─► records                  one
//!                                                              └─────► roll-ups, less and more ┘ transaction
//! ```
//!
//! Roll-ups get the difference, never a new sum: what they know of rows that are gone stays as it is. A row keeps its cost
//! where the book has no price for it any more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::neutral::usage::{Usage, UsageSource};
use crate::price::book::{Amount, Book};
use crate::store::db::{self, OpenError};
use crate::store::detail::{Detail, MISSING, PARTIAL, Part, Tried, UNPRICED, Value};
use crate::store::listing::pairs_of;
use crate::store::memory::Memory;
use crate::store::reader::{ReadError, Reader};
use crate::store::rollup::{Batch, Measure, Place, Sums, hour_of};
use crate::store::words::{Lexicon, spelled};
use crate::store::zones::{self, Field};

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
    let mut memory = Memory::default();
    let mut changes = Changes::new();
    let mut span = Span::of(window);
    loop {
        let started = clock::now();
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(RepriceError::Write)?;
        let done =
            write_batch(&transaction, &mut memory, book, &mut span).map_err(RepriceError::Write)?;
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
    memory: &mut Memory,
    book: &Book,
    span: &mut Span,
) -> rusqlite::Result<Option<Changes>> {
    let rows = load(transaction, span)?;
    if rows.is_empty() {
        return Ok(None);
    }
    memory.begin(transaction)?;
    let mut changes = Changes::new();
    let mut batch = Batch::default();
    let mut mended = Vec::new();
    for row in &rows {
        let mut detail = row.detail.clone();
        let (mut cost, mut differs) = (None::<i64>, false);
        for (attempt, tried) in row.attempts.iter().zip(&mut detail.attempts) {
            let amount = attempt.priced(book);
            note(&mut changes, attempt, amount.as_ref());
            let now = amount.as_ref().map(|amount| amount.nanodollars.0).or(attempt.cost_nanousd);
            if let Some(now) = now {
                cost = Some(cost.unwrap_or(0).saturating_add(now));
            }
            let Some(amount) = amount.filter(|amount| attempt.differs(amount)) else { continue };
            put_price(tried, &amount);
            differs = true;
            if !row.is_replay {
                let sums = attempt.difference(&amount);
                batch.correct(&row.place(), &attempt.provider, &attempt.model_label, &sums);
            }
        }
        if differs {
            mended.push((row.seq, cost, detail));
        }
    }
    for (seq, cost, detail) in &mended {
        let mut blob = Vec::new();
        detail.encode(&mut blob, |text| memory.words.of(transaction, text))?;
        let sql = "UPDATE exchange_records SET cost_nanousd = ?2, detail = ?3 WHERE seq = ?1";
        transaction.prepare_cached(sql)?.execute((seq, cost, blob))?;
        if let Some(cost) = cost {
            zones::add(transaction, *seq, Field::Cost, &zones::size(*cost))?;
        }
    }
    batch.write(transaction)?;
    Ok(Some(changes))
}

fn put_price(tried: &mut Tried<'_>, amount: &Amount) {
    let text = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
    tried.set(Part::Cost, Some(amount.nanodollars.0));
    tried.put(Part::PriceBasis, text(&amount.basis));
    tried.put(Part::PriceVersion, text(&amount.version));
    let mark = |mark| tried.has_mark(mark);
    tried.set_marks([mark(PARTIAL), mark(MISSING), false]);
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
    seq: i64,
    started_at_us: i64,
    session: Option<String>,
    dialect: String,
    key_label: Option<String>,
    agent: String,
    is_replay: bool,
    tags: Vec<(String, String)>,
    detail: Detail<'static>,
    attempts: Vec<Attempt>,
}

struct Attempt {
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

/// The next records with their attempts; empty at the end.
fn load(connection: &Connection, span: &mut Span) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT r.id, r.seq, r.started_at_us, (SELECT name FROM sessions WHERE sessions.id = r.session), {}, {}, {}, \
         r.run_id IS NOT NULL, {}, r.detail FROM exchange_records AS r WHERE r.id > ?1 AND r.id < ?2 ORDER BY r.id LIMIT {BATCH}",
        spelled("r.dialect"),
        spelled("r.key_label"),
        spelled("r.agent"),
        spelled("r.tags"),
    ))?;
    let mut read = statement.query((span.after, span.until))?;
    let mut lexicon = Lexicon::default();
    let mut rows: Vec<Stored> = Vec::new();
    while let Some(row) = read.next()? {
        span.after = row.get(0)?;
        let blob = row.get_ref(9)?.as_blob_or_null()?.unwrap_or_default();
        let mut detail = Detail::decode(blob);
        for tried in &mut detail.attempts {
            tried.resolve(|id| lexicon.text(connection, id))?;
        }
        rows.push(Stored {
            seq: row.get(1)?,
            started_at_us: row.get(2)?,
            session: row.get(3)?,
            dialect: row.get(4)?,
            key_label: row.get(5)?,
            agent: row.get(6)?,
            is_replay: row.get(7)?,
            tags: pairs_of(row.get_ref(8)?.as_str_or_null()?),
            attempts: detail.attempts.iter().map(attempt).collect(),
            detail,
        });
    }
    Ok(rows)
}

fn attempt(tried: &Tried<'_>) -> Attempt {
    Attempt {
        provider: tried.owned(Part::Provider).unwrap_or_default(),
        model: tried.owned(Part::Model).or_else(|| tried.owned(Part::ResponseModel)),
        model_label: tried.model_label().to_owned(),
        service_tier: tried.owned(Part::ServiceTier),
        usage: tried.usage(),
        source: tried.usage_source(),
        cost_nanousd: tried.number(Part::Cost),
        unpriced: tried.has_mark(UNPRICED),
        price_basis: tried.owned(Part::PriceBasis),
        price_version: tried.owned(Part::PriceVersion),
    }
}
