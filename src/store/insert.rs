//! Rows into `exchange_records`: one insert an exchange, and what goes with it: words, sessions, zones, roll-ups.

use std::net::SocketAddr;

use rusqlite::{CachedStatement, Connection, ToSql};

use crate::base::aside;
use crate::neutral::usage::UsageSource;
use crate::store::apart::alone;
use crate::store::detail::Detail;
use crate::store::entry::{Bodies, Entry};
use crate::store::flags;
use crate::store::memory::Memory;
use crate::store::rollup::Batch;
use crate::store::row::{Row, int};
use crate::store::vault::Kept;
use crate::store::words::{Word, Words};
use crate::store::zones::{Field, Zones, hour};

/// What became of a batch that was committed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Of bodies, as they were on the wire and as they are stored.
    pub raw_bytes: u64,
    pub stored_bytes: u64,
    pub stored: u64,
    /// Rows the database would not have; the rest of the batch is stored.
    pub refused: u64,
    /// Exchanges whose bodies could not be stored; their records are.
    pub without_bodies: u64,
}

/// Writes exchanges and what they add to the roll-ups, inside the caller's transaction.
///
/// An error means that the transaction is lost. A row that is refused for itself is counted and left out. With `apart`, so
/// are bodies that cannot be stored: each exchange's are written so that they can be undone alone, which costs time.
pub(super) fn insert<'b>(
    connection: &Connection,
    memory: &mut Memory,
    mut bodies: Option<&mut (dyn Bodies + 'b)>,
    (entries, apart): (&[Entry], bool),
) -> rusqlite::Result<Inserted> {
    let mut done = Inserted::default();
    let mut batch = Batch::default();
    let mut records = connection.prepare_cached(&sql())?;
    memory.begin(connection)?;
    for Entry { row, captured } in entries {
        let seq = memory.next();
        let mut kept = Kept::default();
        if let (Some(captured), Some(bodies)) = (captured, &mut bodies) {
            // Bodies go first, because the record says what became of them; a record that is there already has its own.
            if is_there(connection, row)? {
                done.refused += 1;
                continue;
            }
            let mut store = || bodies.store(connection, seq, row.session.as_deref(), captured);
            kept = if apart { alone(connection, &mut store)? } else { Some(store()?) }
                .unwrap_or_else(|| {
                    bodies.undone();
                    done.without_bodies += 1;
                    Kept { flags: flags::SHED, ..Kept::default() }
                });
            aside::let_others_on();
        }
        match insert_one(connection, &mut records, memory, (seq, row, kept)) {
            Ok(()) => {
                done.stored += 1;
                done.raw_bytes += kept.raw_bytes;
                done.stored_bytes += kept.stored_bytes;
                batch.add(row);
            }
            Err(error) if is_of_the_row(&error) => {
                tracing::debug!(%error, "a row was refused; the rest of its batch is stored");
                done.refused += 1;
                if !is_there(connection, row)? {
                    batch.add_lost(row);
                }
            }
            Err(error) => return Err(error),
        }
    }
    memory.zones.flush(connection)?;
    batch.write(connection)?;
    Ok(done)
}

fn is_there(connection: &Connection, row: &Row) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM exchange_records WHERE id = ?";
    connection.prepare_cached(sql)?.exists([row.id])
}

/// Whether the row itself is at fault, and not the disk, the file or another process.
fn is_of_the_row(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch
        ),
        None => matches!(error, rusqlite::Error::ToSqlConversionFailure(_)),
    }
}

fn sql() -> String {
    let places = vec!["?"; COLUMNS.len()].join(", ");
    format!("INSERT INTO exchange_records ({}) VALUES ({places})", COLUMNS.join(", "))
}

const COLUMNS: &[&str] = &[
    "seq",
    "id",
    "started_at_us",
    "session",
    "dialect",
    "operation",
    "provider",
    "model_requested",
    "model",
    "status",
    "outcome",
    "stream",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost_nanousd",
    "queued_us",
    "ttft_us",
    "ttfo_us",
    "contents_us",
    "contents",
    "gap_p50_us",
    "gap_p99_us",
    "gap_max_us",
    "stalls",
    "duration_us",
    "overhead_us",
    "request_bytes",
    "response_bytes",
    "attempts",
    "error_source",
    "error_kind",
    "error_detail",
    "upstream_status",
    "finish_reason",
    "tools",
    "agent",
    "method",
    "path",
    "client_ip",
    "client_port",
    "key_label",
    "user_label",
    "client_request_id",
    "upstream_request_id",
    "trace_id",
    "replay_of",
    "run_id",
    "tags",
    "headers",
    "level",
    "flags",
    "signals",
    "duplicate_of",
    "prefix_changed_at",
    "policy",
    "detail",
];

/// The texts of a row as they are written.
struct Spelled<'a> {
    dialect: Word<'a>,
    operation: Word<'a>,
    provider: Option<Word<'a>>,
    model_requested: Option<Word<'a>>,
    model: Option<Word<'a>>,
    outcome: Word<'a>,
    usage_source: Option<Word<'a>>,
    error_source: Option<Word<'a>>,
    error_kind: Option<Word<'a>>,
    finish_reason: Option<Word<'a>>,
    agent: Word<'a>,
    method: Word<'a>,
    path: Word<'a>,
    key_label: Option<Word<'a>>,
    user_label: Option<Word<'a>>,
}

impl<'a> Spelled<'a> {
    fn of(connection: &Connection, words: &mut Words, row: &'a Row) -> rusqlite::Result<Self> {
        let last = row.last();
        let source = last.and_then(|attempt| attempt.usage_source).map(UsageSource::label);
        let mut of = |text: &'a str| words.of(connection, text);
        Ok(Self {
            dialect: of(&row.dialect)?,
            operation: of(&row.operation)?,
            provider: last.map(|attempt| of(&attempt.provider)).transpose()?,
            model_requested: row.model_requested.as_deref().map(&mut of).transpose()?,
            model: last.and_then(|attempt| attempt.model.as_deref()).map(&mut of).transpose()?,
            outcome: of(row.outcome.label())?,
            usage_source: source.map(&mut of).transpose()?,
            error_source: row.error_source.as_deref().map(&mut of).transpose()?,
            error_kind: row.error_kind.as_deref().map(&mut of).transpose()?,
            finish_reason: row.finish_reason.as_deref().map(&mut of).transpose()?,
            agent: of(&row.agent)?,
            method: of(&row.method)?,
            path: of(&row.path)?,
            key_label: row.key_label.as_deref().map(&mut of).transpose()?,
            user_label: row.user_label.as_deref().map(&mut of).transpose()?,
        })
    }

    fn zones(&self, connection: &Connection, zones: &mut Zones, row: &Row) -> rusqlite::Result<()> {
        let last = row.last();
        let source = last.and_then(|attempt| attempt.usage_source).map(UsageSource::label);
        for (field, word, text) in [
            (Field::Dialect, Some(&self.dialect), Some(&*row.dialect)),
            (Field::Operation, Some(&self.operation), Some(&*row.operation)),
            (Field::Provider, self.provider.as_ref(), last.map(|attempt| &*attempt.provider)),
            (Field::ModelRequested, self.model_requested.as_ref(), row.model_requested.as_deref()),
            (Field::Model, self.model.as_ref(), last.and_then(|attempt| attempt.model.as_deref())),
            (Field::Outcome, Some(&self.outcome), Some(row.outcome.label())),
            (Field::UsageSource, self.usage_source.as_ref(), source),
            (Field::ErrorSource, self.error_source.as_ref(), row.error_source.as_deref()),
            (Field::ErrorKind, self.error_kind.as_ref(), row.error_kind.as_deref()),
            (Field::FinishReason, self.finish_reason.as_ref(), row.finish_reason.as_deref()),
            (Field::Agent, Some(&self.agent), Some(&*row.agent)),
            (Field::Method, Some(&self.method), Some(&*row.method)),
            (Field::Path, Some(&self.path), Some(&*row.path)),
            (Field::KeyLabel, self.key_label.as_ref(), row.key_label.as_deref()),
            (Field::UserLabel, self.user_label.as_ref(), row.user_label.as_deref()),
        ] {
            if let Some((word, text)) = word.zip(text) {
                zones.word(connection, field, (word, text))?;
            }
        }
        Ok(())
    }
}

/// Lists of texts as one text each, JSON.
struct Lists {
    tools: Option<String>,
    tags: Option<String>,
    headers: Option<String>,
}

impl Lists {
    fn of(row: &Row) -> Self {
        let names = || row.tools.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        Self {
            tools: (!row.tools.is_empty()).then(|| serde_json::json!(names()).to_string()),
            tags: object(&row.tags),
            headers: object(&row.headers),
        }
    }
}

fn object(pairs: &[(String, String)]) -> Option<String> {
    if pairs.is_empty() {
        return None;
    }
    let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    Some(serde_json::Value::Object(pairs.collect()).to_string())
}

/// The address without its port; IPv6 in brackets, so that a colon and the port make the whole again.
pub(super) fn ip_of(client: SocketAddr) -> String {
    match client {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

fn insert_one(
    connection: &Connection,
    insert: &mut CachedStatement<'_>,
    memory: &mut Memory,
    (seq, row, kept): (i64, &Row, Kept),
) -> rusqlite::Result<()> {
    let flags = row.flags | kept.flags;
    // A reload between the texts and the bodies leaves rules of two kinds.
    let policy = if kept.policy.is_none_or(|policy| policy == row.policy) { row.policy } else { 0 };
    let words = &mut memory.words;
    let spelled = Spelled::of(connection, words, row)?;
    let lists = Lists::of(row);
    let tools = words.of_some(connection, lists.tools.as_deref())?;
    let tags = words.of_some(connection, lists.tags.as_deref())?;
    let headers = words.of_some(connection, lists.headers.as_deref())?;
    let ip = row.client.map(ip_of);
    let ip = words.of_some(connection, ip.as_deref())?;
    let session = row.session.as_deref().map(|name| {
        let parent = row.parent_session.as_deref();
        memory.sessions.id(connection, name, parent, row.session_inferred)
    });
    let mut blob = std::mem::take(&mut memory.blob);
    blob.clear();
    let detail = Detail::of(row);
    if !detail.is_empty() {
        detail.encode(&mut blob, |text| words.of(connection, text))?;
    }
    let columns = Columns {
        seq,
        row,
        flags,
        policy,
        spelled: &spelled,
        lists: [tools.as_ref(), tags.as_ref(), headers.as_ref()],
        ip: ip.as_ref(),
        session: session.transpose()?,
        detail: (!blob.is_empty()).then_some(&blob[..]),
    };
    columns.insert(insert)?;
    if row.head_written {
        let sql = "DELETE FROM in_flight WHERE id = ?";
        connection.prepare_cached(sql)?.execute([row.id])?;
    }
    memory.zones.enter(connection, seq)?;
    spelled.zones(connection, &mut memory.zones, row)?;
    columns.lists_into_zones(connection, memory)?;
    memory.blob = blob;
    memory.zones.bits(connection, Field::Flag, flags)?;
    numbers_into_zones(connection, &mut memory.zones, row)
}

/// What is written for a row.
struct Columns<'a> {
    seq: i64,
    row: &'a Row,
    flags: i64,
    policy: u32,
    spelled: &'a Spelled<'a>,
    /// Tools, tags, headers.
    lists: [Option<&'a Word<'a>>; 3],
    ip: Option<&'a Word<'a>>,
    session: Option<i64>,
    detail: Option<&'a [u8]>,
}

impl Columns<'_> {
    fn insert(&self, insert: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
        let Self { row, spelled, .. } = self;
        let [tools, tags, headers] = self.lists;
        let last = row.last();
        let usage = last.map(|attempt| attempt.usage).unwrap_or_default();
        let gap = |n: usize| row.gaps_us.and_then(|gaps| gaps.get(n).copied());
        let values: &[&dyn ToSql] = &[
            &self.seq,
            &row.id,
            &row.started_at_us,
            &self.session,
            &spelled.dialect,
            &spelled.operation,
            &spelled.provider,
            &spelled.model_requested,
            &spelled.model,
            &row.status,
            &spelled.outcome,
            &row.stream,
            &usage.input.map(int),
            &usage.output.map(int),
            &usage.cache_read.map(int),
            &usage.cache_write.map(int),
            &usage.reasoning.map(int),
            &spelled.usage_source,
            &row.cost_nanousd,
            &row.queued_us,
            &row.ttft_us,
            &row.ttfo_us,
            &row.contents_us,
            &row.contents,
            &gap(0),
            &gap(1),
            &gap(2),
            &row.gaps_us.map(|_| row.stalls),
            &row.duration_us,
            &row.overhead_us,
            &row.request_bytes,
            &row.response_bytes,
            &int(row.attempts.len() as u64),
            &spelled.error_source,
            &spelled.error_kind,
            &row.error_detail,
            &last.and_then(|attempt| attempt.status),
            &spelled.finish_reason,
            &tools,
            &spelled.agent,
            &spelled.method,
            &spelled.path,
            &self.ip,
            &row.client.map(|client| client.port()),
            &spelled.key_label,
            &spelled.user_label,
            &row.client_request_id,
            &last.and_then(|attempt| attempt.upstream_request_id.as_deref()),
            &row.trace.0,
            &row.replay_of,
            &row.run_id,
            &tags,
            &headers,
            &row.level.number(),
            &self.flags,
            &row.signals.bits(),
            &row.duplicate_of,
            &row.prefix_changed_at,
            &self.policy,
            &self.detail,
        ];
        insert.execute(values).map(|_| ())
    }

    /// The parts of lists, once a block for a list that comes again.
    fn lists_into_zones(
        &self,
        connection: &Connection,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        let Memory { words, zones, .. } = memory;
        let row = self.row;
        let [tools, tags, headers] = self.lists;
        if tools.is_some_and(|list| zones.is_new_list(Field::Tool, list)) {
            for (name, _) in &row.tools {
                zones.member(connection, words, (Field::Tool, name))?;
            }
        }
        for (field, list, pairs) in
            [(Field::Tag, tags, &row.tags), (Field::Header, headers, &row.headers)]
        {
            if list.is_some_and(|list| zones.is_new_list(field, list)) {
                for (name, value) in pairs {
                    zones.member(connection, words, (field, &format!("{name}={value}")))?;
                }
            }
        }
        Ok(())
    }
}

fn numbers_into_zones(
    connection: &Connection,
    zones: &mut Zones,
    row: &Row,
) -> rusqlite::Result<()> {
    let last = row.last();
    let usage = last.map(|attempt| attempt.usage).unwrap_or_default();
    let upstream_status = last.and_then(|attempt| attempt.status);
    for (field, value) in [
        (Field::Status, row.status.map(i64::from)),
        (Field::UpstreamStatus, upstream_status.map(i64::from)),
        (Field::Stream, Some(i64::from(row.stream))),
        (Field::Level, Some(i64::from(row.level.number()))),
        (Field::StartedHour, Some(hour(row.started_at_us))),
    ] {
        zones.number(connection, field, value)?;
    }
    for (field, value) in [
        (Field::Ttft, row.ttft_us),
        (Field::Duration, Some(row.duration_us)),
        (Field::Overhead, Some(row.overhead_us)),
        (Field::InputTokens, usage.input.map(int)),
        (Field::OutputTokens, usage.output.map(int)),
        (Field::CacheReadTokens, usage.cache_read.map(int)),
        (Field::CacheWriteTokens, usage.cache_write.map(int)),
        (Field::ReasoningTokens, usage.reasoning.map(int)),
        (Field::Cost, row.cost_nanousd),
        (Field::RequestBytes, Some(row.request_bytes)),
        (Field::ResponseBytes, Some(row.response_bytes)),
        (Field::Attempts, Some(int(row.attempts.len() as u64))),
        (Field::GapMax, row.gaps_us.map(|[_, _, longest]| longest)),
    ] {
        zones.size(connection, field, value)?;
    }
    zones.bits(connection, Field::Signal, i64::from(row.signals.bits()))
}
