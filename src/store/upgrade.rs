//! From schema 1 to schema 3: every row of `records`, with its rows of `attempts`, becomes one row of `exchange_records`.
//! Inside the transaction that changes the schema, so that a crash leaves the old file or the new one. The skip index is
//! made by a later step, see `store/rezone.rs`.

use std::borrow::Cow;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, Row, Statement, ToSql};

use crate::store::detail::{Detail, Part, Tried, Value};
use crate::store::memory::Memory;

/// What becomes of a column of `records`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Word,
    Plain,
}

use Kind::{Plain, Word as Text};

/// The columns that schemas 1 and 3 have both, but for those that change their meaning.
const SHARED: &[(&str, Kind)] = &[
    ("id", Plain),
    ("started_at_us", Plain),
    ("dialect", Text),
    ("operation", Text),
    ("provider", Text),
    ("model_requested", Text),
    ("model", Text),
    ("status", Plain),
    ("outcome", Text),
    ("stream", Plain),
    ("input_tokens", Plain),
    ("output_tokens", Plain),
    ("cache_read_tokens", Plain),
    ("cache_write_tokens", Plain),
    ("reasoning_tokens", Plain),
    ("usage_source", Text),
    ("cost_nanousd", Plain),
    ("queued_us", Plain),
    ("ttft_us", Plain),
    ("ttfo_us", Plain),
    ("contents_us", Plain),
    ("contents", Plain),
    ("gap_p50_us", Plain),
    ("gap_p99_us", Plain),
    ("gap_max_us", Plain),
    ("stalls", Plain),
    ("duration_us", Plain),
    ("overhead_us", Plain),
    ("request_bytes", Plain),
    ("response_bytes", Plain),
    ("attempts", Plain),
    ("error_source", Text),
    ("error_kind", Text),
    ("error_detail", Plain),
    ("upstream_status", Plain),
    ("finish_reason", Text),
    ("tools", Text),
    ("agent", Text),
    ("method", Text),
    ("path", Text),
    ("key_label", Text),
    ("user_label", Text),
    ("client_request_id", Plain),
    ("upstream_request_id", Plain),
    ("trace_id", Plain),
    ("replay_of", Plain),
    ("run_id", Plain),
    ("tags", Text),
];

/// Columns of `exchange_records` that are made anew: of each its value, bound after the shared ones.
const MADE: &[&str] =
    &["seq", "session", "client_ip", "client_port", "level", "flags", "signals", "detail"];
/// Everything was kept at this level.
const META: i64 = 1;

/// The columns of `attempts`, by the part each becomes.
const TRIED: &[(&str, Part)] = &[
    ("provider", Part::Provider),
    ("model", Part::Model),
    ("nullif(model_label, coalesce(model, ''))", Part::ModelLabel),
    ("key_label", Part::KeyLabel),
    ("because", Part::Because),
    ("status", Part::Status),
    ("sent_us", Part::SentUs),
    ("head_us", Part::HeadUs),
    ("ended_us", Part::EndedUs),
    ("bytes", Part::Bytes),
    ("http", Part::Http),
    ("tls", Part::Tls),
    ("peer", Part::Peer),
    ("input_tokens", Part::Input),
    ("output_tokens", Part::Output),
    ("cache_read_tokens", Part::CacheRead),
    ("cache_write_tokens", Part::CacheWrite),
    ("reasoning_tokens", Part::Reasoning),
    ("usage_source", Part::UsageSource),
    ("cost_nanousd", Part::Cost),
    ("price_basis", Part::PriceBasis),
    ("price_version", Part::PriceVersion),
    ("response_id", Part::ResponseId),
    ("response_model", Part::ResponseModel),
    ("service_tier", Part::ServiceTier),
    ("nullif(partial + missing * 2 + unpriced * 4, 0)", Part::Marks),
    ("error_source", Part::ErrorSource),
    ("error_kind", Part::ErrorKind),
    ("resolve_us", Part::ResolveUs),
    ("connect_us", Part::ConnectUs),
    ("tls_us", Part::TlsUs),
    ("cache_write_1h_tokens", Part::CacheWrite1h),
    ("image_input_tokens", Part::ImageInput),
    ("image_output_tokens", Part::ImageOutput),
    ("audio_input_tokens", Part::AudioInput),
    ("audio_output_tokens", Part::AudioOutput),
    ("web_searches", Part::WebSearches),
    ("estimated_input_tokens", Part::EstimatedInput),
    ("estimated_output_tokens", Part::EstimatedOutput),
];

/// Copies all rows, in the order in which their exchanges ended, and drops the tables they were in.
pub(super) fn records(connection: &Connection) -> rusqlite::Result<()> {
    let ids: Vec<[u8; 16]> = {
        let sql = "SELECT id FROM records ORDER BY started_at_us + duration_us, id";
        let mut statement = connection.prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    {
        let mut memory = Memory::default();
        let shared: Vec<&str> = SHARED.iter().map(|(name, _)| *name).collect();
        let shared = shared.join(", ");
        let mut read = connection.prepare(&format!(
            "SELECT {shared}, session_id, parent_session_id, client_addr FROM records WHERE id = ?"
        ))?;
        let tried: Vec<&str> = TRIED.iter().map(|(column, _)| *column).collect();
        let mut attempts = connection.prepare(&format!(
            "SELECT {} FROM attempts WHERE exchange_id = ? ORDER BY n",
            tried.join(", ")
        ))?;
        let places = vec!["?"; SHARED.len() + MADE.len()].join(", ");
        let mut write = connection.prepare(&format!(
            "INSERT INTO exchange_records ({shared}, {}) VALUES ({places})",
            MADE.join(", ")
        ))?;
        memory.begin(connection)?;
        for id in &ids {
            let old = read.query_row([id], old)?;
            let detail = detail(&mut attempts, id)?;
            copy(connection, &mut memory, &mut write, (&old, &detail))?;
        }
    }
    connection.execute_batch("DROP TABLE attempts; DROP TABLE records")
}

/// A row of `records`.
struct Old {
    /// In the order of [`SHARED`].
    shared: Vec<Cell>,
    session: Option<String>,
    parent: Option<String>,
    client: Option<String>,
}

fn old(row: &Row<'_>) -> rusqlite::Result<Old> {
    let count = SHARED.len();
    Ok(Old {
        shared: (0..count).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?,
        session: row.get(count)?,
        parent: row.get(count + 1)?,
        client: row.get(count + 2)?,
    })
}

fn detail(attempts: &mut Statement<'_>, id: &[u8; 16]) -> rusqlite::Result<Detail<'static>> {
    let mut detail = Detail::default();
    let mut rows = attempts.query([id])?;
    while let Some(row) = rows.next()? {
        let mut tried = Tried::default();
        for (at, (_, part)) in TRIED.iter().enumerate() {
            let value = match row.get::<_, Cell>(at)? {
                Cell::Integer(number) => Value::Number(number),
                Cell::Text(text) => Value::Text(Cow::Owned(text)),
                _ => continue,
            };
            tried.put(*part, value);
        }
        detail.attempts.push(tried);
    }
    Ok(detail)
}

fn copy(
    connection: &Connection,
    memory: &mut Memory,
    write: &mut Statement<'_>,
    (old, detail): (&Old, &Detail<'_>),
) -> rusqlite::Result<()> {
    let seq = memory.next();
    let mut blob = Vec::new();
    if !detail.is_empty() {
        detail.encode(&mut blob, |text| memory.words.of(connection, text))?;
    }
    let mut values: Vec<Box<dyn ToSql + '_>> = Vec::with_capacity(SHARED.len() + MADE.len());
    for ((_, kind), cell) in SHARED.iter().zip(&old.shared) {
        match (kind, cell) {
            (Text, Cell::Text(text)) => values.push(Box::new(memory.words.of(connection, text)?)),
            _ => values.push(Box::new(cell)),
        }
    }
    let session = match &old.session {
        Some(name) => Some(memory.sessions.id(connection, name, old.parent.as_deref(), false)?),
        None => None,
    };
    let (ip, port) = address(old.client.as_deref());
    let ip = memory.words.of_some(connection, ip)?;
    let blob = (!blob.is_empty()).then_some(blob);
    values.extend::<[Box<dyn ToSql + '_>; 8]>([
        Box::new(seq),
        Box::new(session),
        Box::new(ip),
        Box::new(port),
        Box::new(META),
        Box::new(0),
        Box::new(0),
        Box::new(blob),
    ]);
    let values: Vec<&dyn ToSql> = values.iter().map(|value| &**value).collect();
    write.execute(&values[..]).map(|_| ())
}

/// The parts of `ip:port`.
fn address(client: Option<&str>) -> (Option<&str>, Option<u16>) {
    let parts = client.and_then(|client| client.rsplit_once(':'));
    parts.map_or((None, None), |(ip, port)| (Some(ip), port.parse().ok()))
}
