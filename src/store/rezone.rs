//! Makes the skip index from the records: when the schema changes what stands in it, and after texts were replaced.

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, TransactionBehavior};

use crate::store::words::{Lexicon, Word, Words};
use crate::store::zones::{Field, Zones, block_of, clear_filters, hour, seqs_of};

/// Columns of words.
const WORDS: &[(Field, &str)] = &[
    (Field::Provider, "provider"),
    (Field::Model, "model"),
    (Field::ModelRequested, "model_requested"),
    (Field::Dialect, "dialect"),
    (Field::Operation, "operation"),
    (Field::Outcome, "outcome"),
    (Field::ErrorSource, "error_source"),
    (Field::ErrorKind, "error_kind"),
    (Field::FinishReason, "finish_reason"),
    (Field::Agent, "agent"),
    (Field::Method, "method"),
    (Field::Path, "path"),
    (Field::KeyLabel, "key_label"),
    (Field::UserLabel, "user_label"),
    (Field::UsageSource, "usage_source"),
];
/// Columns of JSON.
const LISTS: &[(Field, &str)] =
    &[(Field::Tool, "tools"), (Field::Tag, "tags"), (Field::Header, "headers")];
const NUMBERS: &[(Field, &str)] = &[
    (Field::Status, "status"),
    (Field::UpstreamStatus, "upstream_status"),
    (Field::Stream, "stream"),
    (Field::Level, "level"),
];
const BITS: &[(Field, &str)] = &[(Field::Flag, "flags"), (Field::Signal, "signals")];
const SIZES: &[(Field, &str)] = &[
    (Field::Ttft, "ttft_us"),
    (Field::Duration, "duration_us"),
    (Field::Overhead, "overhead_us"),
    (Field::InputTokens, "input_tokens"),
    (Field::OutputTokens, "output_tokens"),
    (Field::CacheReadTokens, "cache_read_tokens"),
    (Field::CacheWriteTokens, "cache_write_tokens"),
    (Field::ReasoningTokens, "reasoning_tokens"),
    (Field::Cost, "cost_nanousd"),
    (Field::RequestBytes, "request_bytes"),
    (Field::ResponseBytes, "response_bytes"),
    (Field::Attempts, "attempts"),
    (Field::GapMax, "gap_max_us"),
];
const STARTED: &str = "started_at_us";

/// The whole index anew, inside the caller's transaction.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DELETE FROM zones; DELETE FROM zone_filters")?;
    Making::default().make(connection, (i64::MIN, i64::MAX))
}

/// The filters anew, a block a transaction; rows of texts that are gone stay, and lead to a look in vain.
pub(super) fn each_block(connection: &mut Connection) -> rusqlite::Result<()> {
    let sql = "SELECT seq FROM exchange_records WHERE seq > ? ORDER BY seq LIMIT 1";
    let mut making = Making::default();
    let mut after = i64::MIN;
    loop {
        let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let next = moment.prepare_cached(sql)?.query_row([after], |row| row.get(0));
        let seq: i64 = match next {
            Ok(seq) => seq,
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(()),
            Err(error) => return Err(error),
        };
        let block = block_of(seq);
        clear_filters(&moment, block)?;
        let (first, last) = seqs_of(block);
        making.make(&moment, (first, last))?;
        moment.commit()?;
        after = last;
    }
}

/// What is remembered from record to record.
#[derive(Default)]
struct Making {
    zones: Zones,
    words: Words,
    texts: Lexicon,
}

impl Making {
    fn make(&mut self, connection: &Connection, (first, last): (i64, i64)) -> rusqlite::Result<()> {
        let columns: Vec<&str> = [WORDS, LISTS, NUMBERS, BITS, SIZES]
            .into_iter()
            .flatten()
            .map(|(_, column)| *column)
            .collect();
        let sql = format!(
            "SELECT seq, {STARTED}, {} FROM exchange_records WHERE seq BETWEEN ? AND ? ORDER BY seq",
            columns.join(", ")
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((first, last))?;
        // What was known of the block is gone from the file.
        self.zones.clear();
        while let Some(row) = rows.next()? {
            self.note(connection, row)?;
        }
        self.zones.flush(connection)
    }

    fn note(&mut self, connection: &Connection, row: &Row<'_>) -> rusqlite::Result<()> {
        self.zones.enter(connection, row.get(0)?)?;
        self.zones.number(connection, Field::StartedHour, Some(hour(row.get(1)?)))?;
        let mut at = 1;
        let mut next = || {
            at += 1;
            at
        };
        for (field, _) in WORDS {
            self.word(connection, *field, row.get_ref(next())?)?;
        }
        for (field, _) in LISTS {
            self.list(connection, *field, row.get_ref(next())?)?;
        }
        for (field, _) in NUMBERS {
            self.zones.number(connection, *field, row.get(next())?)?;
        }
        for (field, _) in BITS {
            self.zones.bits(connection, *field, row.get(next())?)?;
        }
        for (field, _) in SIZES {
            self.zones.size(connection, *field, row.get(next())?)?;
        }
        Ok(())
    }

    fn word(
        &mut self,
        connection: &Connection,
        field: Field,
        value: ValueRef<'_>,
    ) -> rusqlite::Result<()> {
        match value {
            ValueRef::Integer(id) if self.zones.knows(field, id) => Ok(()),
            ValueRef::Integer(id) => {
                let text = self.texts.text(connection, id)?;
                self.zones.word(connection, field, (&Word::Id(id), &text))
            }
            ValueRef::Text(text) => {
                let text = String::from_utf8_lossy(text);
                let word = Word::Text(Cow::Borrowed(&text));
                self.zones.word(connection, field, (&word, &text))
            }
            _ => Ok(()),
        }
    }

    fn list(
        &mut self,
        connection: &Connection,
        field: Field,
        value: ValueRef<'_>,
    ) -> rusqlite::Result<()> {
        let text = match value {
            ValueRef::Integer(id) if self.zones.is_new_list(field, &Word::Id(id)) => {
                Cow::Owned(self.texts.text(connection, id)?)
            }
            ValueRef::Text(text) => String::from_utf8_lossy(text),
            _ => return Ok(()),
        };
        for part in parts(&text) {
            self.zones.member(connection, &mut self.words, (field, &part))?;
        }
        Ok(())
    }
}

/// Names, or `name=value`.
fn parts(list: &str) -> Vec<String> {
    match serde_json::from_str(list) {
        Ok(serde_json::Value::Array(names)) => {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        Ok(serde_json::Value::Object(pairs)) => {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect()
        }
        _ => Vec::new(),
    }
}
