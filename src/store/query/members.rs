//! Columns that hold JSON: the tools of an answer, tags, indexed headers. The lists themselves are words; the skip index
//! has their members.

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::Value as Json;

use crate::store::query::among::{among, passing, places_of};
use crate::store::query::candidates::{self, Candidates};
use crate::store::query::column::Column;
use crate::store::query::expr::Test;
use crate::store::query::part::{Context, Part};
use crate::store::query::pattern::Pattern;
use crate::store::zones::ANY;

type Found = rusqlite::Result<Part>;

/// The answer calls a tool of this name.
pub(super) fn tool(context: &Context<'_>, test: &Test) -> Found {
    let Test::Like(pattern) = test else { return Ok(Part::new("tools IS NULL", vec![])) };
    let slow = Part::new("lower(member.value) GLOB ?", vec![pattern.glob().into()]);
    let passes = |list: &Json| {
        let names = list.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(Json::as_str).any(|name| pattern.matches(name))
    };
    list(
        context,
        Column::TOOLS,
        &passes,
        &|name| pattern.matches(name),
        quickly(Column::TOOLS, pattern, slow),
    )
}

/// `tag.NAME:VALUE`; `tag:NAME` asks whether there is one of that name, `tag:NAME=VALUE` is the same as the first.
pub(super) fn tag(context: &Context<'_>, name: &str, test: &Test) -> Found {
    if !name.is_empty() {
        return named(context, Column::TAGS, name, test);
    }
    let Test::Like(pattern) = test else { return Ok(Part::new("tags IS NULL", vec![])) };
    if let Some((name, value)) = pattern.written().split_once('=') {
        return named(context, Column::TAGS, name, &Test::Like(pattern.like(value)));
    }
    let slow = Part::new("lower(member.key) GLOB ?", vec![pattern.glob().into()]);
    let passes = |list: &Json| {
        list.as_object().is_some_and(|tags| tags.keys().any(|name| pattern.matches(name)))
    };
    let in_zone = |pair: &str| pattern.matches(pair.split_once('=').map_or(pair, |(name, _)| name));
    // A name may hold an equals sign of its own.
    let in_zone = |pair: &str| pair.matches('=').count() > 1 || in_zone(pair);
    list(context, Column::TAGS, &passes, &in_zone, quickly(Column::TAGS, pattern, slow))
}

/// The member `name` has a value like this.
pub(super) fn named(context: &Context<'_>, column: Column, name: &str, test: &Test) -> Found {
    let Test::Like(pattern) = test else {
        let has = named(context, column, name, &Test::Like(Pattern::new("*")))?;
        return Ok(Part::new(format!("({}) IS NOT TRUE", has.sql), has.values));
    };
    let slow = Part::new(
        "member.key = ? AND lower(member.value) GLOB ?",
        vec![name.to_owned().into(), pattern.glob().into()],
    );
    let passes = |list: &Json| {
        list.get(name).and_then(Json::as_str).is_some_and(|value| pattern.matches(value))
    };
    let in_zone = |pair: &str| {
        let value = pair.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
        value.is_some_and(|value| pattern.matches(value))
    };
    list(context, column, &passes, &in_zone, quickly(column, pattern, slow))
}

/// The condition on a member, after one on the whole text that is much cheaper and false for most.
fn quickly(column: Column, pattern: &Pattern, member: Part) -> Part {
    let exists = format!(
        "json_valid({name}) AND EXISTS (SELECT 1 FROM json_each({name}) AS member WHERE {})",
        member.sql,
        name = column.name
    );
    let Some(piece) = pattern.piece() else { return Part::new(exists, member.values) };
    let mut values: Vec<Value> = vec![piece.to_owned().into()];
    values.extend(member.values);
    Part::new(format!("instr(lower({}), ?) > 0 AND {exists}", column.name), values)
}

/// Lists that are words are looked through once; those spelled out in a row, in that row.
fn list(
    context: &Context<'_>,
    column: Column,
    passes: &dyn Fn(&Json) -> bool,
    in_zone: &dyn Fn(&str) -> bool,
    member: Part,
) -> Found {
    let name = column.name;
    let ids = lists(context.connection, passes)?;
    let spelled = Part::new(format!("(typeof({name}) = 'text' AND {})", member.sql), member.values);
    let part = among(name, ids).or(spelled);
    let Some(zone) = column.zone else { return Ok(part.at(Candidates::All)) };
    let Some(known) = context.known(zone)? else { return Ok(part.at(Candidates::All)) };
    let mut members = passing(&known, in_zone);
    members.push(Value::Blob(ANY.to_vec()));
    let blocks = candidates::with_values(context.connection, zone, &members)?;
    Ok(part.at(places_of(blocks)))
}

/// The words that are lists which pass.
fn lists(connection: &Connection, passes: &dyn Fn(&Json) -> bool) -> rusqlite::Result<Vec<Value>> {
    // What begins with `[` or `{`, through the index of texts.
    let sql = "SELECT id, text FROM words WHERE text >= '[' AND text < '\\' \
               UNION ALL SELECT id, text FROM words WHERE text >= '{' AND text < '|'";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().unwrap_or_default();
        if serde_json::from_str(text).is_ok_and(|list| passes(&list)) {
            ids.push(row.get(0)?);
        }
    }
    Ok(ids)
}
