//! The texts of records, and of all that is counted by them: every column that holds text, of every table.
//!
//! Words, sessions, labels, roll-ups and heads are shared by many exchanges, so that all of them are gone through whatever
//! was asked for.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};

use crate::base::id;
use crate::store::detail::Detail;
use crate::store::memory;
use crate::store::scrub::Policy;
use crate::store::sketch::Sketch;
use crate::store::words::Word;
use crate::store::zones::Field;
use crate::store::{facts, flags};

/// Tables without texts from outside, or whose blobs are somebody else's to change.
const LEFT_OUT: &[&str] = &["bodies", "links", "dictionaries", "facts"];
const RECORDS: &str = "exchange_records";
/// Rows that are changed in one transaction.
const AT_ONCE: usize = 256;
/// Columns of a record that may be the number of a word.
const WORDS: &[&str] = &[
    "dialect",
    "operation",
    "provider",
    "model_requested",
    "model",
    "outcome",
    "usage_source",
    "error_source",
    "error_kind",
    "finish_reason",
    "tools",
    "agent",
    "method",
    "path",
    "client_ip",
    "key_label",
    "user_label",
    "tags",
    "headers",
];

struct Table {
    name: String,
    /// Columns of the primary key, or the row's number.
    key: Vec<String>,
    columns: Vec<String>,
    is_keyed: bool,
}

/// A row with something to hide.
struct Found {
    key: Vec<Cell>,
    /// Column and text, as it is to be.
    texts: Vec<(usize, String)>,
    detail: Option<Vec<u8>>,
}

/// How many texts there are with something to hide.
pub(super) fn count(connection: &Connection, policy: &dyn Policy) -> rusqlite::Result<u64> {
    let mut texts = 0;
    for table in tables(connection)? {
        for row in found(connection, &table, policy)? {
            texts += row.texts.len() as u64 + u64::from(row.detail.is_some());
        }
    }
    Ok(texts)
}

/// Replaces them, and flags the records they belong to. Gives how many there were.
pub(super) fn replace(connection: &mut Connection, policy: &dyn Policy) -> rusqlite::Result<u64> {
    let mut texts = 0;
    let (mut words, mut sessions) = (BTreeSet::new(), BTreeSet::new());
    for table in tables(connection)? {
        let rows = found(connection, &table, policy)?;
        for some in rows.chunks(AT_ONCE) {
            let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for row in some {
                texts += row.texts.len() as u64 + u64::from(row.detail.is_some());
                if let (Some(Cell::Integer(id)), true) = (row.key.first(), !row.texts.is_empty()) {
                    match &*table.name {
                        "words" => words.insert(*id),
                        "sessions" => sessions.insert(*id),
                        _ => false,
                    };
                }
                write(&moment, &table, row)?;
            }
            moment.commit()?;
        }
    }
    flag(connection, &words, &sessions)?;
    Ok(texts)
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
    let names: Vec<String> = connection
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut tables = Vec::new();
    for name in names.into_iter().filter(|name| !LEFT_OUT.contains(&&**name)) {
        let mut statement =
            connection.prepare("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid")?;
        let all: Vec<(String, i64)> = statement
            .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let keyed = "SELECT wr FROM pragma_table_list(?)";
        let is_keyed: bool = connection.query_row(keyed, [&name], |row| row.get(0))?;
        let of_key = all.iter().filter(|(_, at)| *at > 0).map(|(name, _)| name.clone()).collect();
        let key = if is_keyed { of_key } else { vec!["rowid".to_owned()] };
        let columns = all.into_iter().map(|(name, _)| name).collect();
        tables.push(Table { name, key, columns, is_keyed });
    }
    Ok(tables)
}

/// The rows of a table with something to hide.
fn found(
    connection: &Connection,
    table: &Table,
    policy: &dyn Policy,
) -> rusqlite::Result<Vec<Found>> {
    let sql = format!(
        "SELECT {}, {} FROM {}",
        table.columns.join(", "),
        table.key.join(", "),
        table.name
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut texts = Vec::new();
        for at in 0..table.columns.len() {
            if let ValueRef::Text(text) = row.get_ref(at)?
                && let Ok(text) = std::str::from_utf8(text)
                && let Some(clean) = clean(text, is_pair(table, row)?, policy)
            {
                texts.push((at, clean));
            }
        }
        let detail = match table.columns.iter().position(|column| column == "detail") {
            Some(at) if table.name == RECORDS => match row.get_ref(at)? {
                ValueRef::Blob(blob) => detail(blob, policy),
                _ => None,
            },
            _ => None,
        };
        if !texts.is_empty() || detail.is_some() {
            let key = table.columns.len()..table.columns.len() + table.key.len();
            let key = key.map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?;
            found.push(Found { key, texts, detail });
        }
    }
    Ok(found)
}

/// In the skip index tags and headers are `name=value`.
fn is_pair(table: &Table, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    if table.name != "zones" {
        return Ok(false);
    }
    let field: i64 = row.get(0)?;
    Ok([Field::Tag, Field::Header].iter().any(|pair| i64::from(pair.number()) == field))
}

/// A text as it is to be. Lists and objects of JSON keep their form: each text in them is looked at by itself, as it was
/// when it was stored.
fn clean(text: &str, is_pair: bool, policy: &dyn Policy) -> Option<String> {
    if let (true, Some((name, value))) = (is_pair, text.split_once('=')) {
        let (clean_name, clean_value) = (plain(name, policy), plain(value, policy));
        if clean_name.is_none() && clean_value.is_none() {
            return None;
        }
        let name = clean_name.as_deref().unwrap_or(name);
        return Some(format!("{name}={}", clean_value.as_deref().unwrap_or(value)));
    }
    if text.starts_with(['{', '['])
        && let Ok(mut json) = serde_json::from_str::<serde_json::Value>(text)
    {
        return clean_json(&mut json, policy).then(|| json.to_string());
    }
    plain(text, policy)
}

fn plain(text: &str, policy: &dyn Policy) -> Option<String> {
    let clean = policy.part(text.as_bytes())?;
    Some(
        String::from_utf8(clean)
            .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()),
    )
}

fn clean_json(json: &mut serde_json::Value, policy: &dyn Policy) -> bool {
    match json {
        serde_json::Value::String(text) => match plain(text, policy) {
            Some(clean) => {
                *text = clean;
                true
            }
            None => false,
        },
        serde_json::Value::Array(items) => {
            items.iter_mut().fold(false, |changed, item| clean_json(item, policy) | changed)
        }
        serde_json::Value::Object(members) => {
            let mut changed = false;
            let old = std::mem::take(members);
            for (name, mut value) in old {
                changed |= clean_json(&mut value, policy);
                let clean = plain(&name, policy);
                changed |= clean.is_some();
                members.insert(clean.unwrap_or(name), value);
            }
            changed
        }
        _ => false,
    }
}

/// The attempts of a record, where a text that is spelled out in them has something to hide.
fn detail(blob: &[u8], policy: &dyn Policy) -> Option<Vec<u8>> {
    let mut detail = Detail::decode(blob);
    let mut changed = false;
    for tried in &mut detail.attempts {
        changed |= tried.change_texts(|text| plain(text, policy));
    }
    let mut out = Vec::with_capacity(blob.len());
    let Ok(()) = detail.encode(&mut out, spelled);
    changed.then_some(out)
}

/// Stays a text: what is hidden comes too seldom for a word.
#[expect(clippy::unnecessary_wraps, reason = "the encoder takes words, whose lookup may fail")]
fn spelled(text: &str) -> Result<Word<'_>, std::convert::Infallible> {
    Ok(Word::Text(Cow::Borrowed(text)))
}

fn write(moment: &Transaction<'_>, table: &Table, row: &Found) -> rusqlite::Result<()> {
    if table.is_keyed {
        return rewrite_keyed(moment, table, row);
    }
    let Some(Cell::Integer(rowid)) = row.key.first() else { return Ok(()) };
    for (at, text) in &row.texts {
        let Some(column) = table.columns.get(*at) else { continue };
        let sql = format!("UPDATE {} SET {column} = ? WHERE rowid = ?", table.name);
        let mut update = moment.prepare_cached(&sql)?;
        // What must be there once may be there already, from an exchange that was stored by the newer rules.
        let mut text = text.clone();
        while let Err(error) = update.execute((&text, rowid)) {
            if error.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) {
                return Err(error);
            }
            text.push('~');
        }
    }
    if table.name == RECORDS {
        if let Some(detail) = &row.detail {
            let sql = "UPDATE exchange_records SET detail = ? WHERE seq = ?";
            moment.prepare_cached(sql)?.execute((detail, rowid))?;
        }
        let sql = format!("{FLAG} WHERE seq = ?3");
        moment.prepare_cached(&sql)?.execute((flags::REDACTED, flags::REPLAYABLE, rowid))?;
    }
    Ok(())
}

const FLAG: &str = "UPDATE exchange_records SET flags = (flags | ?1) & ~?2";

/// A row whose texts are its key: taken out and put in anew; what is there already under that key is added up.
fn rewrite_keyed(moment: &Transaction<'_>, table: &Table, row: &Found) -> rusqlite::Result<()> {
    let is_key: Vec<String> = table.key.iter().map(|column| format!("{column} = ?")).collect();
    let is_key = is_key.join(" AND ");
    let columns = table.columns.join(", ");
    let sql = format!("SELECT {columns} FROM {} WHERE {is_key}", table.name);
    let read = |key: &[Cell]| -> rusqlite::Result<Option<Vec<Cell>>> {
        let mut statement = moment.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(key))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        (0..table.columns.len()).map(|at| row.get(at)).collect::<rusqlite::Result<_>>().map(Some)
    };
    let Some(mut cells) = read(&row.key)? else { return Ok(()) };
    let delete = format!("DELETE FROM {} WHERE {is_key}", table.name);
    moment.prepare_cached(&delete)?.execute(params_from_iter(&row.key))?;
    for (at, text) in &row.texts {
        if let Some(cell) = cells.get_mut(*at) {
            *cell = Cell::Text(text.clone());
        }
    }
    let at_of = |column: &String| table.columns.iter().position(|known| known == column);
    let key: Vec<Cell> =
        table.key.iter().filter_map(|column| cells.get(at_of(column)?).cloned()).collect();
    if let Some(there) = read(&key)? {
        for ((column, cell), other) in table.columns.iter().zip(&mut cells).zip(there) {
            if !table.key.contains(column) {
                add(cell, &other);
            }
        }
    }
    let places = vec!["?"; table.columns.len()].join(", ");
    let sql = format!("INSERT OR REPLACE INTO {} ({columns}) VALUES ({places})", table.name);
    moment.prepare_cached(&sql)?.execute(params_from_iter(&cells)).map(drop)
}

/// Sums and distributions of two rows of a roll-up that have become one.
fn add(cell: &mut Cell, other: &Cell) {
    match (cell, other) {
        (Cell::Integer(sum), Cell::Integer(more)) => *sum = sum.saturating_add(*more),
        (Cell::Blob(sketch), Cell::Blob(more)) => {
            let mut both = Sketch::default();
            both.merge_encoded(sketch);
            both.merge_encoded(more);
            *sketch = both.encode();
        }
        _ => {}
    }
}

/// Flags the records that words and sessions belong to, and tells writers to read both anew.
fn flag(
    connection: &mut Connection,
    words: &BTreeSet<i64>,
    sessions: &BTreeSet<i64>,
) -> rusqlite::Result<()> {
    if words.is_empty() && sessions.is_empty() {
        return Ok(());
    }
    let list = |ids: &BTreeSet<i64>| serde_json::json!(ids).to_string();
    let (words, sessions) = (list(words), list(sessions));
    let last: i64 =
        connection.query_row("SELECT coalesce(max(seq), 0) FROM exchange_records", [], |row| {
            row.get(0)
        })?;
    let of_words: Vec<String> = WORDS
        .iter()
        .map(|column| {
            format!(
                "typeof({column}) = 'integer' AND {column} IN (SELECT value FROM json_each(?3))"
            )
        })
        .collect();
    let sql = format!(
        "{FLAG} WHERE seq BETWEEN ?5 AND ?6 AND (session IN (SELECT value FROM json_each(?4)) OR {})",
        of_words.join(" OR ")
    );
    let mut from = 0;
    while from <= last {
        let to = from + 4_095;
        let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        moment.prepare_cached(&sql)?.execute((
            flags::REDACTED,
            flags::REPLAYABLE,
            &words,
            &sessions,
            from,
            to,
        ))?;
        moment.commit()?;
        from = to + 1;
    }
    facts::put(connection, memory::GENERATION, &id::next_random().to_le_bytes())
}
