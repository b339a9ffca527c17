//! What the store holds, as a page and as JSON.

use serde_json::{Value, json};

use crate::report::look::{Look, Tone, wrap};
use crate::report::words;
use crate::store::upkeep::Census;

/// Tables and indexes that are named, the largest first.
const PARTS: usize = 6;
/// Columns of the names at the left.
const NAMES: usize = 12;

/// The page, without a line feed at its end.
pub fn text(census: &Census, look: Look) -> String {
    let lines = records(census).into_iter().chain(sizes(census));
    let mut shown = Vec::new();
    for (name, told, tone) in lines {
        let room = look.text_width().saturating_sub(NAMES);
        for (at, line) in wrap(&told, room).into_iter().enumerate() {
            let name = look.cell(Tone::Dim, if at == 0 { name } else { "" }, NAMES);
            shown.push(format!("{name}{}", look.paint(tone, &line)));
        }
    }
    let parts = parts(census, look);
    if !parts.is_empty() {
        shown.push(String::new());
        shown.extend(parts);
    }
    shown.join("\n")
}

type Field = (&'static str, String, Tone);

/// How many there are of what.
fn records(census: &Census) -> Vec<Field> {
    let mut fields = vec![("exchanges", exchanges(census), Tone::Strong)];
    if let (Some(oldest), Some(newest)) = (census.oldest_us, census.newest_us) {
        fields.push(("from", words::moment(oldest), Tone::Plain));
        fields.push(("to", words::moment(newest), Tone::Plain));
    }
    let levels = [(census.full, "full"), (census.headers, "headers"), (census.meta, "meta")];
    fields.push(("levels", listed(&levels), Tone::Plain));
    let bodies = [
        (census.bodies.exchanges, "kept"),
        (census.removed, "removed"),
        (census.redacted, "with placeholders"),
        (census.cut, "cut"),
        (census.modified, "changed on the way"),
        (census.replayable, "replayable"),
        (census.pinned, "pinned"),
    ];
    fields.push(("bodies", listed(&bodies), Tone::Plain));
    if census.shed > 0 {
        let many = words::whole(census.shed.cast_signed());
        let reasons = [
            (census.shed_memory, "no memory (`capture.memory`)"),
            (census.shed_queue, "no room in the store's queue"),
            (census.shed_disk, "no room on the disk"),
        ];
        let noun = if census.shed == 1 { "exchange" } else { "exchanges" };
        let told = format!("bodies of {many} {noun} were let go: {}", listed(&reasons));
        fields.push(("shed", told, Tone::Bad));
    }
    fields
}

/// How many bytes they take.
fn sizes(census: &Census) -> Vec<Field> {
    let bodies = &census.bodies;
    let size = words::bytes;
    let raw = format!("{} of bodies as they were on the wire", size(bodies.raw_bytes));
    let mut fields = vec![("raw", raw, Tone::Plain), ("stored", stored_words(census), Tone::Good)];
    if bodies.kept_for_others > 0 {
        let many = words::whole(bodies.kept_for_others.cast_signed());
        let told = format!("{many} contents of exchanges that are gone, which others are made of");
        fields.push(("", told, Tone::Dim));
    }
    if bodies.dictionaries > 0 {
        let told =
            format!("{} dictionaries, {}", bodies.dictionaries, size(bodies.dictionary_bytes));
        fields.push(("", told, Tone::Dim));
    }
    if census.database_bytes == 0 {
        return fields;
    }
    let (all, free) = (size(census.database_bytes), size(bodies.free_bytes));
    let told = format!("{all} with records, indexes and all; {free} of it free");
    fields.push(("database", told, Tone::Plain));
    if let Some(each) = census.database_bytes.checked_div(census.exchanges) {
        fields.push(("", format!("{} an exchange", size(each)), Tone::Dim));
    }
    if census.log_bytes > 0 {
        fields.push(("log", format!("{} (pinhole.db-wal)", size(census.log_bytes)), Tone::Plain));
    }
    if census.search_bytes > 0 {
        let told = format!("{} (search.db, can be deleted)", size(census.search_bytes));
        fields.push(("text index", told, Tone::Plain));
    }
    fields
}

fn exchanges(census: &Census) -> String {
    let whole = |number: u64| words::whole(number.cast_signed());
    let noun = if census.sessions == 1 { "session" } else { "sessions" };
    let mut told = format!("{} in {} {noun}", whole(census.exchanges), whole(census.sessions));
    if census.replays > 0 {
        told = format!("{told}, {} of them replays", whole(census.replays));
    }
    if census.labels > 0 {
        told = format!("{told}, {} labels", whole(census.labels));
    }
    told
}

fn stored_words(census: &Census) -> String {
    let bodies = &census.bodies;
    let stored = bodies.content_bytes + bodies.rest_bytes;
    if bodies.raw_bytes == 0 {
        return words::bytes(stored);
    }
    format!(
        "{}, {} times smaller: {} of shared content, {} of each exchange's own",
        words::bytes(stored),
        words::three(bodies.ratio),
        words::bytes(bodies.content_bytes),
        words::bytes(bodies.rest_bytes)
    )
}

/// Numbers that are not nothing, with what they are.
fn listed(numbers: &[(u64, &str)]) -> String {
    let some = numbers.iter().filter(|(number, _)| *number > 0);
    let told: Vec<String> = some
        .map(|(number, what)| format!("{} {what}", words::whole(number.cast_signed())))
        .collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// The largest tables and indexes, as bars.
fn parts(census: &Census, look: Look) -> Vec<String> {
    let mut parts: Vec<(&String, u64)> =
        census.bodies.pages.iter().map(|(name, bytes)| (name, *bytes)).collect();
    parts.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), (*name).clone()));
    let all: u64 = parts.iter().map(|(_, bytes)| bytes).sum::<u64>().max(1);
    let rest: u64 = parts.iter().skip(PARTS).map(|(_, bytes)| bytes).sum();
    let others = format!("{} others", parts.len().saturating_sub(PARTS));
    let mut shown: Vec<(&String, u64)> = parts.into_iter().take(PARTS).collect();
    if rest > 0 {
        shown.push((&others, rest));
    }
    let wide = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let room = look.text_width().saturating_sub(wide + 22).min(48) as u64;
    shown
        .into_iter()
        .map(|(name, bytes)| {
            let bar = "█".repeat(usize::try_from((bytes * room).div_ceil(all)).unwrap_or(0));
            let size = look.cell_right(Tone::Plain, &words::bytes(bytes), 10);
            format!(
                "{}  {size}  {}",
                look.cell(Tone::Dim, name, wide),
                look.paint(Tone::Tool, &bar)
            )
        })
        .collect()
}

/// The same numbers, all of them.
pub fn json(census: &Census) -> Value {
    let mut value = serde_json::to_value(census).unwrap_or_default();
    let stored = census.bodies.content_bytes + census.bodies.rest_bytes;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("stored_bytes".to_owned(), json!(stored));
    }
    value
}
