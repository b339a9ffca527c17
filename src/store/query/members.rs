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

type Found = rusqlite::Result<Part>;

/// The answer calls a tool of this name.
pub(super) fn tool(context: &Context<'_>, test: &Test) -> Found {
    let Test::Like(pattern) = test else { return Ok(Part::new("tools IS NULL", vec![])) };
    let slow = Part::new("lower(member.value) GLOB ?", vec![pattern.glob().into()]);
    let passes = |list: &Json| {
        let names = list.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(Json::as_str).any(|name| pattern.matches(name))
    };
    let member = Member {
        list: &passes,
        zone: &|name| pattern.matches(name),
        text: pattern.name().map(str::to_owned),
        pattern,
    };
    list(context, Column::TOOLS, &member, slow)
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
    let member = Member { list: &passes, zone: &in_zone, text: None, pattern };
    list(context, Column::TAGS, &member, slow)
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
    let text = pattern.name().map(|value| format!("{name}={value}"));
    list(context, column, &Member { list: &passes, zone: &in_zone, text, pattern }, slow)
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

/// What a member has to be.
struct Member<'a> {
    /// Whether a list has one.
    list: &'a dyn Fn(&Json) -> bool,
    /// Whether this is one, as the skip index has it.
    zone: &'a dyn Fn(&str) -> bool,
    /// How the skip index has it, where there is but one way.
    text: Option<String>,
    /// What its value or name is like.
    pattern: &'a Pattern,
}

/// Lists that are words are looked through once; those spelled out in a row, in that row.
fn list(context: &Context<'_>, column: Column, member: &Member<'_>, slow: Part) -> Found {
    let name = column.name;
    let ids = lists(context.connection, member)?;
    let slow = quickly(column, member.pattern, slow);
    let spelled = Part::new(format!("(typeof({name}) = 'text' AND {})", slow.sql), slow.values);
    let part = among(name, ids).or(spelled);
    let Some(zone) = column.zone else { return Ok(part.at(Candidates::All)) };
    let members = match &member.text {
        Some(text) => context.words_of(text)?,
        None => match context.known(zone)? {
            Some(known) => passing(&known, member.zone),
            None => return Ok(part.at(Candidates::All)),
        },
    };
    let mut blocks = candidates::with_values(context.connection, zone, &members)?;
    blocks.add_all(&candidates::filtered(context.connection, zone, member.text.as_deref())?);
    Ok(part.at(places_of(blocks)))
}

/// The words that are lists which pass.
fn lists(connection: &Connection, member: &Member<'_>) -> rusqlite::Result<Vec<Value>> {
    // What begins with `[` or `{`, through the index of texts; few are worth reading.
    let sql = "SELECT id, text FROM words WHERE text >= '[' AND text < '\\' AND instr(lower(text), ?1) > 0
               UNION ALL
               SELECT id, text FROM words WHERE text >= '{' AND text < '|' AND instr(lower(text), ?1) > 0";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([member.pattern.piece().unwrap_or_default()])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().unwrap_or_default();
        if serde_json::from_str(text).is_ok_and(|list| (member.list)(&list)) {
            ids.push(row.get(0)?);
        }
    }
    Ok(ids)
}
