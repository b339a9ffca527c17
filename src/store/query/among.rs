//! Columns of words: which words match, what stands for them in a row, and where they are.

use rusqlite::types::Value;

use crate::store::query::candidates::{self, Candidates};
use crate::store::query::column::Column;
use crate::store::query::part::{Context, Known, Part};
use crate::store::query::pattern::Pattern;
use crate::store::zones::Field;

type Found = rusqlite::Result<Part>;

/// A column of words: the few that match are looked up once, rows are then compared by number.
pub(super) fn word(context: &Context<'_>, column: Column, pattern: &Pattern) -> Found {
    if pattern.is_any() {
        let blocks = every_block(context, column)?;
        return Ok(Part::new(format!("{} IS NOT NULL", column.name), vec![]).at(blocks));
    }
    let slow = Part::new(format!("lower({}) GLOB ?", column.text()), vec![pattern.glob().into()]);
    let passes = |text: &str| pattern.matches(text);
    match (column.zone, pattern.name()) {
        (Some(zone), Some(name)) if is_open(zone) => {
            let ids = context.words_of(name)?;
            let mut blocks = candidates::with_values(context.connection, zone, &ids)?;
            blocks.add_all(&candidates::filtered(context.connection, zone, Some(name))?);
            Ok(ids_or_spelled(column, ids, slow).at(places_of(blocks)))
        }
        _ => words(context, column, &passes, slow),
    }
}

/// Rows whose word passes; `slow` says the same of a row by itself, for where not all words are known.
pub(super) fn words(
    context: &Context<'_>,
    column: Column,
    passes: &dyn Fn(&str) -> bool,
    slow: Part,
) -> Found {
    let Some(zone) = column.zone else { return Ok(slow) };
    let Some(known) = context.known(zone)? else { return Ok(slow) };
    let mut matching = passing(&known, passes);
    let mut blocks = candidates::with_values(context.connection, zone, &matching)?;
    if !is_open(zone) {
        return Ok(among(column.name, matching).at(places_of(blocks)));
    }
    blocks.add_all(&candidates::filtered(context.connection, zone, None)?);
    if known.is_partial {
        matching = context.words(passes)?;
    }
    Ok(ids_or_spelled(column, matching, slow).at(places_of(blocks)))
}

/// Whether blocks may have filters of the field with this number.
fn is_open(zone: i64) -> bool {
    Field::OPEN.iter().any(|field| i64::from(field.number()) == zone)
}

fn ids_or_spelled(column: Column, ids: Vec<Value>, slow: Part) -> Part {
    let spelled =
        Part::new(format!("(typeof({}) = 'text' AND {})", column.name, slow.sql), slow.values);
    among(column.name, ids).or(spelled)
}

pub(super) fn passing(known: &Known, passes: &dyn Fn(&str) -> bool) -> Vec<Value> {
    let texts = known.texts.iter().filter(|(_, text)| passes(text));
    texts.map(|(value, _)| value.clone()).collect()
}

/// No block is no row.
pub(super) fn places_of(blocks: candidates::Blocks) -> Candidates {
    if blocks.is_empty() { Candidates::Seqs(Vec::new()) } else { Candidates::Blocks(blocks) }
}

/// The blocks where the column has a value at all.
pub(super) fn every_block(context: &Context<'_>, column: Column) -> rusqlite::Result<Candidates> {
    let Some(zone) = column.zone else { return Ok(Candidates::All) };
    let Some(known) = context.known(zone)? else { return Ok(Candidates::All) };
    let values: Vec<Value> = known.texts.into_iter().map(|(value, _)| value).collect();
    let mut blocks = candidates::with_values(context.connection, zone, &values)?;
    blocks.add_all(&candidates::filtered(context.connection, zone, None)?);
    Ok(places_of(blocks))
}

/// A column that has one of these values.
pub(super) fn among(column: &str, values: Vec<Value>) -> Part {
    /// Limit: values that are bound one by one.
    const BOUND_MAX: usize = 64;
    match values.as_slice() {
        [] => Part::nothing(),
        [_] => Part::new(format!("{column} = ?"), values),
        many if many.len() <= BOUND_MAX => {
            Part::new(format!("{column} IN ({})", vec!["?"; many.len()].join(", ")), values)
        }
        many => {
            let list: Vec<serde_json::Value> = many
                .iter()
                .filter_map(|value| match value {
                    Value::Integer(number) => Some((*number).into()),
                    Value::Text(text) => Some(text.clone().into()),
                    Value::Null | Value::Real(_) | Value::Blob(_) => None,
                })
                .collect();
            let list = serde_json::Value::Array(list).to_string();
            Part::new(format!("{column} IN (SELECT value FROM json_each(?))"), vec![list.into()])
        }
    }
}
