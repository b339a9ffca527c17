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
        policy_version: row.get(60)?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::level::Level;
    use crate::exchange::signal::Signals;
    use crate::store::flags;
    use crate::store::row::Row;
    use crate::store::tests::{read, rich, writer};

    /// A row with something in every column.
    fn row() -> Row {
        let mut row = Row::of(&rich());
        (row.session_inferred, row.parent_session) = (true, Some("s-0".to_owned()));
        row.user_label = Some("customer-7".to_owned());
        row.level = Level::Full;
        row.flags = flags::REDACTED | flags::PINNED;
        row.signals.add(Signal::EmptyReply);
        row.signals.add(Signal::Stall);
        row.headers = vec![("x-team".to_owned(), "a\"b".to_owned())];
        row.gaps_us = Some([1, 2, 3]);
        (row.run_id, row.replay_of, row.duplicate_of) =
            (Some([1; 16]), Some([2; 16]), Some([3; 16]));
        row.prefix_changed_at = Some(77);
        row.error_detail = Some("slow down".to_owned());
        row
    }

    #[test]
    fn a_listing_has_all_that_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (row(), row());
        // Twice, so that texts come spelled out and as words.
        writer(&folder).handle().put(vec![first.clone(), second.clone()]);
        let database = read(&folder);
        database
            .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
            .map(|version| assert_eq!(version, 4))
            .unwrap();
        let listed = by_seq(&database, &[2, 9, 1]).unwrap();
        assert_eq!(listed.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 1]);
        for (given, row) in [&second, &first].into_iter().zip(&listed) {
            assert_eq!(by_id(&database, &given.id).unwrap().as_ref(), Some(row));
            assert_eq!(row.session_id.as_deref(), Some("s-1"));
            assert_eq!(row.parent_session_id.as_deref(), Some("s-0"));
            assert_eq!(row.user_label.as_deref(), Some("customer-7"));
            assert_eq!(row.client_addr.as_deref(), Some("10.0.0.7:5000"));
            assert_eq!((&*row.capture_level, row.redacted, row.replayable), ("full", true, false));
            assert!(row.pinned && row.session_inferred && row.stream);
            assert_eq!(row.signals, ["empty_reply", "stall"]);
            assert_eq!(row.tools, ["search", "read"]);
            assert_eq!(row.headers, given.headers);
            assert_eq!(row.tags, given.tags);
            assert_eq!([row.gap_p50_us, row.gap_p99_us, row.gap_max_us], [1, 2, 3].map(Some));
            assert_eq!((row.stalls, row.ttft_us, row.queued_us), (Some(0), Some(2_000), 0));
            let ids =
                [&row.run_id, &row.replay_of, &row.duplicate_of].map(|id| id.as_deref().unwrap());
            assert_eq!(ids.map(|id| &id[..8]), ["01010101", "02020202", "03030303"]);
            assert_eq!((row.prefix_changed_at, row.labels.len()), (Some(77), 0));
            assert_eq!((&*row.model.clone().unwrap(), row.input_tokens), ("gpt-5", Some(1_000)));
        }
        assert!(by_id(&database, &[8; 16]).unwrap().is_none());
        assert!(attempts(&database, 8).unwrap().is_empty());
    }

    #[test]
    fn labels_of_the_exchange_and_of_its_session_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (row(), row());
        let running = writer(&folder);
        running.handle().put(vec![first.clone(), second.clone()]);
        crate::store::tests::flushed(running.handle());
        running.handle().run(move |connection| {
            let sql = "INSERT INTO labels (exchange, session, name, at_us) VALUES (?, ?, ?, 0)";
            for (exchange, session, name) in [
                (Some(first.id), None, "slow"),
                (Some(first.id), None, "slow"),
                (None, Some("s-1"), "good"),
                (None, Some("s-9"), "other"),
            ] {
                connection.execute(sql, (exchange, session, name)).unwrap();
            }
        });
        crate::store::tests::flushed(running.handle());
        let listed = by_seq(&read(&folder), &[1, 2]).unwrap();
        assert_eq!(
            (&*listed[0].labels, &*listed[1].labels),
            (&["good".to_owned(), "slow".to_owned()][..], &["good".to_owned()][..])
        );
    }

    #[test]
    fn every_signal_is_in_the_view() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(VIEW).unwrap();
        let all = Signal::ALL.iter().fold(Signals::default(), |mut all, signal| {
            all.add(*signal);
            all
        });
        let sql = "INSERT INTO exchange_records (id, started_at_us, stream, duration_us, overhead_us, request_bytes, \
                   response_bytes, attempts, level, flags, signals) VALUES (x'00', 0, 0, 0, 0, 0, 0, 0, 1, 0, ?)";
        connection.execute(sql, [all.bits()]).unwrap();
        let told: String =
            connection.query_row("SELECT signals FROM exchanges", [], |row| row.get(0)).unwrap();
        assert_eq!(signals(Some(&told)), Signal::ALL.map(Signal::label));
    }
}
