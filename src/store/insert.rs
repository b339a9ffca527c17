//! Rows into `records` and `attempts`: the columns and their values, side by side.

use rusqlite::{CachedStatement, Connection, ToSql};

use crate::neutral::usage::UsageSource;
use crate::store::rollup::Batch;
use crate::store::row::{AttemptRow, Row, int};

/// What became of a batch that was committed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inserted {
    pub stored: u64,
    /// Rows the database would not have; the rest of the batch is stored.
    pub refused: u64,
}

/// Writes rows and what they add to the roll-ups, inside the caller's transaction.
///
/// An error means that the transaction is lost. A row that is refused for itself is counted and left out.
pub(super) fn insert(connection: &Connection, rows: &[Row]) -> rusqlite::Result<Inserted> {
    let mut done = Inserted::default();
    let mut batch = Batch::default();
    let mut records = connection.prepare_cached(&sql("records", RECORD))?;
    let mut attempts = connection.prepare_cached(&sql("attempts", ATTEMPT))?;
    for row in rows {
        match insert_one(connection, &mut records, &mut attempts, row) {
            Ok(()) => {
                done.stored += 1;
                batch.add(row);
            }
            Err(error) if is_of_the_row(&error) => {
                tracing::debug!(%error, "a row was refused; the rest of its batch is stored");
                done.refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    batch.write(connection)?;
    Ok(done)
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

/// Attempts first, then the record. When one is refused those before it are taken back, so that of a row there is all or
/// nothing; a savepoint a row would do the same and cost every row for it.
fn insert_one(
    connection: &Connection,
    records: &mut CachedStatement<'_>,
    attempts: &mut CachedStatement<'_>,
    row: &Row,
) -> rusqlite::Result<()> {
    let mut written = 0;
    let mut insert = || {
        for attempt in &row.attempts {
            insert_attempt(attempts, row, written, attempt)?;
            written += 1;
        }
        insert_record(records, row)
    };
    let outcome = insert();
    if outcome.is_err() && written > 0 {
        // Those with higher numbers were there before and are another's.
        let sql = "DELETE FROM attempts WHERE exchange_id = ?1 AND n <= ?2";
        connection.prepare_cached(sql)?.execute((row.id, int(written)))?;
    }
    outcome
}

fn sql(table: &str, columns: &[&str]) -> String {
    let places = vec!["?"; columns.len()].join(", ");
    format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(", "))
}

const RECORD: &[&str] = &[
    "id",
    "started_at_us",
    "session_id",
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
    "client_addr",
    "key_label",
    "client_request_id",
    "upstream_request_id",
    "trace_id",
    "replay_of",
    "run_id",
    "tags",
];

fn insert_record(insert: &mut CachedStatement<'_>, row: &Row) -> rusqlite::Result<()> {
    let last = row.last();
    let usage = last.map(|attempt| attempt.usage).unwrap_or_default();
    let tokens = |count: Option<u64>| count.map(int);
    let gap = |n: usize| row.gaps_us.and_then(|gaps| gaps.get(n).copied());
    let names: Option<Vec<&str>> =
        (!row.tools.is_empty()).then(|| row.tools.iter().map(|(name, _)| name.as_str()).collect());
    let tools = names.map(|names| serde_json::json!(names).to_string());
    let values: &[&dyn ToSql] = &[
        &row.id,
        &row.started_at_us,
        &row.session,
        &row.dialect,
        &row.operation,
        &last.map(|attempt| &*attempt.provider),
        &row.model_requested,
        &last.and_then(|attempt| attempt.model.as_deref()),
        &row.status,
        &row.outcome.label(),
        &row.stream,
        &tokens(usage.input),
        &tokens(usage.output),
        &tokens(usage.cache_read),
        &tokens(usage.cache_write),
        &tokens(usage.reasoning),
        &last.and_then(|attempt| attempt.usage_source).map(UsageSource::label),
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
        &row.error_source,
        &row.error_kind,
        &row.error_detail,
        &last.and_then(|attempt| attempt.status),
        &row.finish_reason,
        &tools,
        &row.agent,
        &row.method,
        &row.path,
        &row.client_addr,
        &row.key_label.as_deref(),
        &row.client_request_id,
        &last.and_then(|attempt| attempt.upstream_request_id.as_deref()),
        &row.trace.0,
        &row.replay_of,
        &row.run_id,
        &tags(row),
    ];
    insert.execute(values).map(|_| ())
}

fn tags(row: &Row) -> Option<String> {
    if row.tags.is_empty() {
        return None;
    }
    let pairs = row.tags.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    Some(serde_json::Value::Object(pairs.collect()).to_string())
}

const ATTEMPT: &[&str] = &[
    "exchange_id",
    "n",
    "provider",
    "model",
    "model_label",
    "key_label",
    "because",
    "status",
    "error_source",
    "error_kind",
    "sent_us",
    "head_us",
    "ended_us",
    "resolve_us",
    "connect_us",
    "tls_us",
    "reused",
    "peer",
    "http",
    "tls",
    "bytes",
    "response_id",
    "response_model",
    "service_tier",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "web_searches",
    "estimated_input_tokens",
    "estimated_output_tokens",
    "usage_source",
    "partial",
    "missing",
    "cost_nanousd",
    "unpriced",
    "price_basis",
    "price_version",
];

fn insert_attempt(
    insert: &mut CachedStatement<'_>,
    row: &Row,
    n: u64,
    attempt: &AttemptRow,
) -> rusqlite::Result<()> {
    let usage = &attempt.usage;
    let tokens = |count: Option<u64>| count.map(int);
    let link = |n: usize| attempt.link_us.and_then(|times| times.get(n).copied());
    let values: &[&dyn ToSql] = &[
        &row.id,
        &int(n + 1),
        &&*attempt.provider,
        &attempt.model.as_deref(),
        &&*attempt.model_label,
        &attempt.key_label.as_deref(),
        &attempt.because,
        &attempt.status,
        &attempt.error_source,
        &attempt.error_kind,
        &attempt.sent_us,
        &attempt.head_us,
        &attempt.ended_us,
        &link(0),
        &link(1),
        &link(2),
        &attempt.link_us.is_none(),
        &attempt.peer,
        &Some(attempt.http).filter(|version| !version.is_empty()),
        &attempt.tls,
        &attempt.bytes,
        &attempt.response_id,
        &attempt.response_model,
        &attempt.service_tier,
        &tokens(usage.input),
        &tokens(usage.output),
        &tokens(usage.cache_read),
        &tokens(usage.cache_write),
        &tokens(usage.cache_write_1h),
        &tokens(usage.reasoning),
        &tokens(usage.image_input),
        &tokens(usage.image_output),
        &tokens(usage.audio_input),
        &tokens(usage.audio_output),
        &tokens(usage.web_searches),
        &tokens(attempt.estimated.input),
        &tokens(attempt.estimated.output),
        &attempt.usage_source.map(UsageSource::label),
        &attempt.partial,
        &attempt.missing,
        &attempt.cost_nanousd,
        &attempt.unpriced,
        &attempt.price_basis.as_deref(),
        &attempt.price_version.as_deref(),
    ];
    insert.execute(values).map(|_| ())
}
