//! From schema 1 to schema 3: every row of `records`, with its rows of `attempts`, becomes one row of `exchange_records`.
//! Inside the transaction that changes the schema, so that a crash leaves the old file or the new one.

use std::borrow::Cow;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, Row, Statement, ToSql};

use crate::store::detail::{Detail, Part, Tried, Value};
use crate::store::memory::Memory;
use crate::store::words::Word;
use crate::store::zones::{Field, hour};

/// What becomes of a column of `records`, and the zones it is found by.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Word(Option<Field>),
    Plain,
    Number(Field),
    Size(Field),
    Hour(Field),
}

use Kind::{Hour, Number, Plain, Size, Word as Text};

/// The columns that schemas 1 and 3 have both, but for those that change their meaning.
const SHARED: &[(&str, Kind)] = &[
    ("id", Plain),
    ("started_at_us", Hour(Field::StartedHour)),
    ("dialect", Text(Some(Field::Dialect))),
    ("operation", Text(Some(Field::Operation))),
    ("provider", Text(Some(Field::Provider))),
    ("model_requested", Text(Some(Field::ModelRequested))),
    ("model", Text(Some(Field::Model))),
    ("status", Number(Field::Status)),
    ("outcome", Text(Some(Field::Outcome))),
    ("stream", Number(Field::Stream)),
    ("input_tokens", Size(Field::InputTokens)),
    ("output_tokens", Size(Field::OutputTokens)),
    ("cache_read_tokens", Size(Field::CacheReadTokens)),
    ("cache_write_tokens", Size(Field::CacheWriteTokens)),
    ("reasoning_tokens", Size(Field::ReasoningTokens)),
    ("usage_source", Text(Some(Field::UsageSource))),
    ("cost_nanousd", Size(Field::Cost)),
    ("queued_us", Plain),
    ("ttft_us", Size(Field::Ttft)),
    ("ttfo_us", Plain),
    ("contents_us", Plain),
    ("contents", Plain),
    ("gap_p50_us", Plain),
    ("gap_p99_us", Plain),
    ("gap_max_us", Size(Field::GapMax)),
    ("stalls", Plain),
    ("duration_us", Size(Field::Duration)),
    ("overhead_us", Size(Field::Overhead)),
    ("request_bytes", Size(Field::RequestBytes)),
    ("response_bytes", Size(Field::ResponseBytes)),
    ("attempts", Size(Field::Attempts)),
    ("error_source", Text(Some(Field::ErrorSource))),
    ("error_kind", Text(Some(Field::ErrorKind))),
    ("error_detail", Plain),
    ("upstream_status", Number(Field::UpstreamStatus)),
    ("finish_reason", Text(Some(Field::FinishReason))),
    ("tools", Text(None)),
    ("agent", Text(Some(Field::Agent))),
    ("method", Text(Some(Field::Method))),
    ("path", Text(Some(Field::Path))),
    ("key_label", Text(Some(Field::KeyLabel))),
    ("user_label", Text(Some(Field::UserLabel))),
    ("client_request_id", Plain),
    ("upstream_request_id", Plain),
    ("trace_id", Plain),
    ("replay_of", Plain),
    ("run_id", Plain),
    ("tags", Text(None)),
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
    memory.zones.enter(seq);
    let mut blob = Vec::new();
    if !detail.is_empty() {
        detail.encode(&mut blob, |text| memory.words.of(connection, text))?;
    }
    let mut values: Vec<Box<dyn ToSql + '_>> = Vec::with_capacity(SHARED.len() + MADE.len());
    for ((name, kind), cell) in SHARED.iter().zip(&old.shared) {
        match (kind, cell) {
            (Text(field), Cell::Text(text)) => {
                let word = memory.words.of(connection, text)?;
                match field {
                    Some(field) => memory.zones.word(connection, *field, Some(&word))?,
                    None => list_into_zones(connection, memory, (name, text), &word)?,
                }
                values.push(Box::new(word));
                continue;
            }
            (Number(field), Cell::Integer(number)) => {
                memory.zones.number(connection, *field, Some(*number))?;
            }
            (Size(field), Cell::Integer(number)) => {
                memory.zones.size(connection, *field, Some(*number))?;
            }
            (Hour(field), Cell::Integer(at_us)) => {
                memory.zones.number(connection, *field, Some(hour(*at_us)))?;
            }
            _ => {}
        }
        values.push(Box::new(cell));
    }
    memory.zones.number(connection, Field::Level, Some(META))?;
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

fn list_into_zones(
    connection: &Connection,
    memory: &mut Memory,
    (name, text): (&str, &str),
    list: &Word<'_>,
) -> rusqlite::Result<()> {
    let field = if name == "tools" { Field::Tool } else { Field::Tag };
    if !memory.zones.is_new_list(field, list) {
        return Ok(());
    }
    let parts: Vec<String> = match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(tools)) => {
            tools.iter().filter_map(|tool| tool.as_str().map(str::to_owned)).collect()
        }
        Ok(serde_json::Value::Object(tags)) => {
            let tags = tags.iter();
            tags.map(|(tag, value)| format!("{tag}={}", value.as_str().unwrap_or_default()))
                .collect()
        }
        _ => Vec::new(),
    };
    for part in &parts {
        let word = memory.words.of(connection, part)?;
        memory.zones.word(connection, field, Some(&word))?;
    }
    Ok(())
}

/// The parts of `ip:port`.
fn address(client: Option<&str>) -> (Option<&str>, Option<u16>) {
    let parts = client.and_then(|client| client.rsplit_once(':'));
    parts.map_or((None, None), |(ip, port)| (Some(ip), port.parse().ok()))
}
