//! One condition as SQL, and where it can hold.

use rusqlite::types::Value;

use crate::store::flags;
use crate::store::query::among::{among, every_block, places_of, word};
use crate::store::query::candidates::{self, Candidates, SEQS_MAX};
use crate::store::query::column::Column;
use crate::store::query::expr::{Term, Test};
use crate::store::query::field::Field;
use crate::store::query::part::{Context, Part};
use crate::store::query::{members, names};
use crate::store::zones::BLOCK_LOG2;

type Found = rusqlite::Result<Part>;

/// The part of a query that one term is.
pub(super) fn part(context: &Context<'_>, term: &Term) -> Found {
    use Field as F;
    let test = &term.test;
    match &term.field {
        F::Session => sessions(context, test, "name"),
        F::Parent => sessions(context, test, "parent"),
        F::Inferred => Ok(flag("session IN (SELECT id FROM sessions WHERE inferred)", test)),
        F::Id => id(context, "id", true, test),
        F::Run => id(context, "run_id", true, test),
        F::ReplayOf => id(context, "replay_of", false, test),
        F::Trace => id(context, "trace_id", false, test),
        F::Replay => replay(context, test),
        F::Model => model(context, test),
        F::Error => error(context, test),
        F::Client => client(context, test),
        F::Tool => members::tool(context, test),
        F::Tag(name) => members::tag(context, name, test),
        F::Header(name) => members::named(context, Column::HEADERS, name, test),
        F::Label => label(context, test),
        F::Signal => signal(context, test),
        F::Cached => cached(context, test),
        F::Stream => yes_or_no(context, Column::STREAM, test),
        F::Redacted => bit(context, flags::REDACTED, test),
        F::Replayable => bit(context, flags::REPLAYABLE, test),
        F::Modified => bit(context, flags::MODIFIED, test),
        F::Pinned => bit(context, flags::PINNED, test),
        F::Text => Ok(text(context, test)),
        F::Word => names::part(context, test),
        F::RequestId => Ok(plain("client_request_id", test)),
        F::UpstreamId => Ok(plain("upstream_request_id", test)),
        other => match Column::of(other) {
            Some(column) => column_part(context, column, test),
            None => Ok(Part::nothing()),
        },
    }
}

fn column_part(context: &Context<'_>, column: Column, test: &Test) -> Found {
    match test {
        Test::Absent => Ok(Part::new(format!("{} IS NULL", column.name), vec![])),
        Test::Between { min, max } => number(context, column, *min, *max),
        Test::Like(pattern) => word(context, column, pattern),
        _ => Ok(Part::nothing()),
    }
}

fn number(context: &Context<'_>, column: Column, min: Option<i64>, max: Option<i64>) -> Found {
    let name = column.name;
    let part = match (min, max) {
        (Some(min), Some(max)) if min == max => Part::new(format!("{name} = ?"), vec![min.into()]),
        (Some(min), Some(max)) => {
            Part::new(format!("{name} BETWEEN ? AND ?"), vec![min.into(), max.into()])
        }
        (Some(min), None) => Part::new(format!("{name} >= ?"), vec![min.into()]),
        (None, Some(max)) => Part::new(format!("{name} <= ?"), vec![max.into()]),
        (None, None) => Part::new(format!("{name} IS NOT NULL"), vec![]),
    };
    let Some(zone) = column.zone else { return Ok(part) };
    let place = |number: i64| column.scale.place(number);
    let (min, max) = (min.map_or(i64::MIN, place), max.map_or(i64::MAX, place));
    let blocks = candidates::between(context.connection, zone, min, max)?;
    Ok(part.at(places_of(blocks)))
}

fn flag(sql: &str, test: &Test) -> Part {
    match test {
        Test::Is(true) => Part::new(sql, vec![]),
        _ => Part::new(format!("({sql}) IS NOT TRUE"), vec![]),
    }
}

fn bit(context: &Context<'_>, bit: i64, test: &Test) -> Found {
    let part = flag(&format!("flags & {bit} != 0"), test);
    let Some(zone) = Column::FLAGS.zone.filter(|_| *test == Test::Is(true)) else {
        return Ok(part);
    };
    let blocks = candidates::with_values(context.connection, zone, &[bit.into()])?;
    Ok(part.at(places_of(blocks)))
}

fn yes_or_no(context: &Context<'_>, column: Column, test: &Test) -> Found {
    let wanted = i64::from(*test == Test::Is(true));
    number(context, column, Some(wanted), Some(wanted))
}

fn cached(context: &Context<'_>, test: &Test) -> Found {
    match test {
        Test::Is(true) => number(context, Column::CACHE_READ, Some(1), None),
        _ => Ok(flag("cache_read_tokens > 0", test)),
    }
}

fn signal(context: &Context<'_>, test: &Test) -> Found {
    let Test::Bits(bits) = test else { return Ok(Part::nothing()) };
    let part = Part::new("signals & ? != 0", vec![(*bits).into()]);
    let Some(zone) = Column::SIGNALS.zone else { return Ok(part) };
    let values: Vec<Value> =
        (0..63).filter(|bit| bits >> bit & 1 == 1).map(|bit| Value::Integer(1 << bit)).collect();
    let blocks = candidates::with_values(context.connection, zone, &values)?;
    Ok(part.at(places_of(blocks)))
}

/// The model that was sent, or where none was, the one that was asked for.
fn model(context: &Context<'_>, test: &Test) -> Found {
    let sent = column_part(context, Column::MODEL, test)?;
    let mut asked = column_part(context, Column::REQUESTED, test)?;
    if *test == Test::Absent {
        asked.sql = format!("{} AND {}", sent.sql, asked.sql);
        return Ok(asked);
    }
    asked.sql = format!("(model IS NULL AND {})", asked.sql);
    Ok(sent.or(asked))
}

/// A kind or a source; where no error is of that kind, or in quotes, words of the error's text.
fn error(context: &Context<'_>, test: &Test) -> Found {
    let said = |words: &str| {
        let kinds = every_block(context, Column::ERROR_KIND)?;
        let words = words.to_ascii_lowercase();
        Ok(Part::new("instr(lower(error_detail), ?) > 0", vec![words.into()]).at(kinds))
    };
    match test {
        Test::Absent => Ok(Part::new("error_kind IS NULL", vec![])),
        Test::Words(words) => said(words),
        Test::Like(pattern) => {
            let kind = word(context, Column::ERROR_KIND, pattern)?.or(word(
                context,
                Column::ERROR_SOURCE,
                pattern,
            )?);
            match (&kind.candidates, pattern.name()) {
                (Candidates::Seqs(seqs), Some(name)) if seqs.is_empty() => said(name),
                _ => Ok(kind),
            }
        }
        _ => Ok(Part::nothing()),
    }
}

/// The address with its port or without.
fn client(context: &Context<'_>, test: &Test) -> Found {
    let Test::Like(pattern) = test else {
        return Ok(Part::new("client_ip IS NULL", vec![]));
    };
    let ip = word(context, Column::CLIENT_IP, pattern)?;
    let whole = format!("lower({} || ':' || client_port) GLOB ?", Column::CLIENT_IP.text());
    Ok(ip.or(Part::new(whole, vec![pattern.glob().into()])))
}

fn plain(column: &str, test: &Test) -> Part {
    match test {
        Test::Like(pattern) => match pattern.name() {
            Some(name) => Part::new(format!("{column} = ?"), vec![name.to_owned().into()]),
            None => Part::new(format!("{column} GLOB ?"), vec![pattern.glob_as_written().into()]),
        },
        _ => Part::new(format!("{column} IS NULL"), vec![]),
    }
}

fn text(context: &Context<'_>, test: &Test) -> Part {
    let Test::Words(words) = test else { return Part::nothing() };
    let seqs = context.texts.get(words).cloned().unwrap_or_default();
    of_seqs(seqs)
}

/// Just these rows.
fn of_seqs(seqs: Vec<i64>) -> Part {
    if seqs.is_empty() {
        return Part::nothing();
    }
    let part = among("seq", seqs.iter().map(|seq| Value::Integer(*seq)).collect());
    part.at(Candidates::of_seqs(seqs))
}

fn replay(context: &Context<'_>, test: &Test) -> Found {
    if *test != Test::Is(true) {
        return Ok(Part::new("run_id IS NULL", vec![]));
    }
    let places = places(context, "run_id IS NOT NULL", &[])?;
    Ok(Part::new("run_id IS NOT NULL", vec![]).at(places))
}

/// Beginnings of ids are ranges of bytes.
fn id(context: &Context<'_>, column: &str, indexed: bool, test: &Test) -> Found {
    let (sql, values): (_, Vec<Value>) = match test {
        Test::Ids { lowest, highest } if lowest == highest => {
            (format!("{column} = ?"), vec![lowest.to_vec().into()])
        }
        Test::Ids { lowest, highest } => (
            format!("{column} BETWEEN ? AND ?"),
            vec![lowest.to_vec().into(), highest.to_vec().into()],
        ),
        Test::Like(_) => (format!("{column} IS NOT NULL"), vec![]),
        _ => (format!("{column} IS NULL"), vec![]),
    };
    let places = match test {
        Test::Ids { .. } | Test::Like(_) if indexed => places(context, &sql, &values)?,
        _ => Candidates::All,
    };
    Ok(Part::new(sql, values).at(places))
}

/// Where rows of a condition are that has an index of its own.
pub(super) fn places(
    context: &Context<'_>,
    sql: &str,
    values: &[Value],
) -> rusqlite::Result<Candidates> {
    let few = format!("SELECT seq FROM exchange_records WHERE {sql} LIMIT {}", SEQS_MAX + 1);
    let mut statement = context.connection.prepare_cached(&few)?;
    let seqs: Vec<i64> = statement
        .query_map(rusqlite::params_from_iter(values), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if seqs.len() <= SEQS_MAX {
        return Ok(Candidates::of_seqs(seqs));
    }
    let log2 = BLOCK_LOG2;
    let blocks = format!("SELECT DISTINCT seq >> {log2} FROM exchange_records WHERE {sql}");
    let mut statement = context.connection.prepare_cached(&blocks)?;
    let blocks = statement
        .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Candidates::Blocks(blocks))
}

/// Sessions by name, or by the name of the session that started them.
fn sessions(context: &Context<'_>, test: &Test, by: &str) -> Found {
    let Test::Like(pattern) = test else {
        return Ok(match by {
            "parent" => {
                Part::new("(SELECT parent FROM sessions WHERE id = session) IS NULL", vec![])
            }
            _ => Part::new("session IS NULL", vec![]),
        });
    };
    let named = match pattern.name() {
        Some(_) => "SELECT id FROM sessions WHERE name = ?",
        None => "SELECT id FROM sessions WHERE name GLOB ?",
    };
    let sql = match by {
        "parent" => format!("SELECT id FROM sessions WHERE parent IN ({named})"),
        _ => named.to_owned(),
    };
    let value: Value = match pattern.name() {
        Some(name) => name.to_owned().into(),
        None => pattern.glob_as_written().into(),
    };
    let part = Part::new(format!("session IN ({sql})"), vec![value]);
    let places = places(context, &part.sql, &part.values)?;
    Ok(part.at(places))
}

/// On the exchange itself or on its session.
fn label(context: &Context<'_>, test: &Test) -> Found {
    let (filter, values): (_, Vec<Value>) = match test {
        Test::Like(pattern) => match pattern.name() {
            Some(name) => ("name = ?", vec![name.to_ascii_lowercase().into()]),
            None => ("lower(name) GLOB ?", vec![pattern.glob().into()]),
        },
        _ => ("1", vec![]),
    };
    let on_exchange =
        format!("id IN (SELECT exchange FROM labels WHERE {filter} AND exchange IS NOT NULL)");
    let on_session = format!(
        "session IN (SELECT id FROM sessions WHERE name IN (SELECT session FROM labels WHERE {filter} \
         AND session IS NOT NULL))"
    );
    let exchanges = places(context, &on_exchange, &values)?;
    let sessions = places(context, &on_session, &values)?;
    let part = Part::new(on_exchange, values.clone()).or(Part::new(on_session, values));
    match test {
        Test::Like(_) => Ok(part.at(exchanges.or(sessions))),
        _ => Ok(Part::new(format!("({}) IS NOT TRUE", part.sql), part.values)),
    }
}
