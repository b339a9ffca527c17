//! Records as they are listed: the public view, read into [`Listed`], and the attempts of one exchange.
//!
//! A filter is a condition over `exchange_records AS r`; what is shown of the records it finds is the view's expressions,
//! so that listings and the view cannot tell different things.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::exchange::signal::Signal;
use crate::store::detail::{Detail, Part, Tried};
use crate::store::stored::{Attempt, Listed};
use crate::store::words::Lexicon;

/// The schema file that made the view as it is now.
const VIEW: &str = include_str!("schema/0003_records.sql");

/// The columns of the view `exchanges`, each with its name, as expressions over `exchange_records AS r`:
/// `SELECT {listed_columns()} FROM exchange_records AS r WHERE …` gives rows for [`listed`].
pub fn listed_columns() -> &'static str {
    let view = VIEW.split_once("CREATE VIEW exchanges AS\nSELECT\n").map(|(_, view)| view);
    let columns = view.and_then(|view| view.split_once("\nFROM exchange_records AS r;"));
    columns.map_or("*", |(columns, _)| columns)
}

/// A row of the view, columns in its order.
pub fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        id: row.get(0)?,
        started_at_us: row.get(1)?,
        session_id: row.get(2)?,
        parent_session_id: row.get(3)?,
        dialect: row.get(4)?,
        operation: row.get(5)?,
        provider: row.get(6)?,
        model_requested: row.get(7)?,
        model: row.get(8)?,
        status: row.get(9)?,
        outcome: row.get(10)?,
        stream: row.get(11)?,
        input_tokens: row.get(12)?,
        output_tokens: row.get(13)?,
        cache_read_tokens: row.get(14)?,
        cache_write_tokens: row.get(15)?,
        reasoning_tokens: row.get(16)?,
        usage_source: row.get(17)?,
        cost_nanousd: row.get(18)?,
        ttft_us: row.get(19)?,
        duration_us: row.get(20)?,
        overhead_us: row.get(21)?,
        request_bytes: row.get(22)?,
        response_bytes: row.get(23)?,
        attempts: row.get(24)?,
        error_source: row.get(25)?,
        error_kind: row.get(26)?,
        upstream_status: row.get(27)?,
        finish_reason: row.get(28)?,
        tools: names(row, 29)?,
        agent: row.get(30)?,
        path: row.get(31)?,
        client_addr: row.get(32)?,
        key_label: row.get(33)?,
        user_label: row.get(34)?,
        client_request_id: row.get(35)?,
        upstream_request_id: row.get(36)?,
        trace_id: row.get(37)?,
        replay_of: row.get(38)?,
        run_id: row.get(39)?,
        capture_level: row.get(40)?,
        redacted: row.get(41)?,
        replayable: row.get(42)?,
        tags: pairs(row, 43)?,
        labels: names(row, 44)?,
        error_detail: row.get(45)?,
        method: row.get(46)?,
        session_inferred: row.get(47)?,
        signals: signals(row.get_ref(48)?.as_str_or_null()?),
        headers: pairs(row, 49)?,
        ttfo_us: row.get(50)?,
        gap_p50_us: row.get(51)?,
        gap_p99_us: row.get(52)?,
        gap_max_us: row.get(53)?,
        stalls: row.get(54)?,
        queued_us: row.get(55)?,
        pinned: row.get(56)?,
        seq: row.get(57)?,
        duplicate_of: row.get(58)?,
        prefix_changed_at: row.get(59)?,
    })
}

/// A JSON array of texts; as much of it as there is.
fn names(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<String>> {
    let text = row.get_ref(at)?.as_str_or_null()?;
    Ok(text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
}

fn pairs(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<(String, String)>> {
    Ok(pairs_of(row.get_ref(at)?.as_str_or_null()?))
}

/// A JSON object of texts; as much of it as there is.
pub(super) fn pairs_of(text: Option<&str>) -> Vec<(String, String)> {
    let parsed: Option<serde_json::Map<String, serde_json::Value>> =
        text.and_then(|text| serde_json::from_str(text).ok());
    let pairs = parsed.unwrap_or_default().into_iter();
    pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())).collect()
}

fn signals(text: Option<&str>) -> Vec<&'static str> {
    let told = text.unwrap_or_default().split(',');
    told.filter_map(|name| Signal::ALL.into_iter().map(Signal::label).find(|known| *known == name))
        .collect()
}

/// The records with these numbers, in the order given; those that are gone are left out.
pub fn by_seq(connection: &Connection, seqs: &[i64]) -> rusqlite::Result<Vec<Listed>> {
    let sql = format!("SELECT {} FROM exchange_records AS r WHERE r.seq = ?", listed_columns());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(seqs.len());
    for seq in seqs {
        found.extend(statement.query_row([seq], listed).optional()?);
    }
    Ok(found)
}

/// The number of the record with this id.
pub fn seq_of(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT seq FROM exchange_records WHERE id = ?";
    connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()
}

/// The record with this id.
pub fn by_id(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<Option<Listed>> {
    let Some(seq) = seq_of(connection, id)? else { return Ok(None) };
    Ok(by_seq(connection, &[seq])?.pop())
}

/// The attempts of a record, in their order, without what was sent and answered.
pub fn attempts(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<Attempt>> {
    let sql = "SELECT detail, upstream_request_id FROM exchange_records WHERE seq = ?";
    let read = connection.prepare_cached(sql)?.query_row([seq], |row| {
        Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, Option<String>>(1)?))
    });
    let Some((detail, last_id)) = read.optional()? else { return Ok(Vec::new()) };
    let mut lexicon = Lexicon::default();
    let mut attempts = Vec::new();
    for mut tried in Detail::decode(&detail.unwrap_or_default()).attempts {
        tried.resolve(|id| lexicon.text(connection, id))?;
        attempts.push(attempt(&tried));
    }
    if let Some(last) = attempts.last_mut() {
        last.upstream_request_id = last_id;
    }
    Ok(attempts)
}

fn attempt(tried: &Tried<'_>) -> Attempt {
    let number = |part| tried.number(part);
    Attempt {
        provider: tried.owned(Part::Provider).unwrap_or_default(),
        model: tried.owned(Part::Model),
        key_label: tried.owned(Part::KeyLabel),
        because: tried.owned(Part::Because).unwrap_or_default(),
        status: number(Part::Status).and_then(|status| u16::try_from(status).ok()),
        error_source: tried.owned(Part::ErrorSource),
        error_kind: tried.owned(Part::ErrorKind),
        sent_us: number(Part::SentUs).unwrap_or_default(),
        head_us: number(Part::HeadUs),
        ended_us: number(Part::EndedUs),
        link_us: tried.link_us(),
        peer: tried.owned(Part::Peer),
        http: tried.owned(Part::Http),
        tls: tried.owned(Part::Tls),
        bytes: number(Part::Bytes).unwrap_or_default(),
        upstream_request_id: tried.owned(Part::UpstreamRequestId),
        response_id: tried.owned(Part::ResponseId),
        response_model: tried.owned(Part::ResponseModel),
        service_tier: tried.owned(Part::ServiceTier),
        input_tokens: number(Part::Input),
        output_tokens: number(Part::Output),
        cache_read_tokens: number(Part::CacheRead),
        cache_write_tokens: number(Part::CacheWrite),
        reasoning_tokens: number(Part::Reasoning),
        usage_source: tried.owned(Part::UsageSource),
        cost_nanousd: number(Part::Cost),
        ..Attempt::default()
    }
}
