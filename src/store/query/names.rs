//! A word alone: part of a name (model, provider, path, agent, key, tool), of an error, or of an id. Never of a message's
//! text, so that the answer does not depend on whether there is an index of texts; `text:` asks for that.

use rusqlite::types::Value;

use crate::store::query::among;
use crate::store::query::column::Column;
use crate::store::query::expr::Test;
use crate::store::query::part::{Context, Part};

const WORDS: [Column; 9] = [
    Column::MODEL,
    Column::REQUESTED,
    Column::PROVIDER,
    Column::PATH,
    Column::AGENT,
    Column::KEY,
    Column::TOOLS,
    Column::ERROR_KIND,
    Column::FINISH,
];

/// Columns that hold a text of their own.
const TEXTS: [&str; 3] = ["error_detail", "client_request_id", "upstream_request_id"];

pub(super) fn part(context: &Context<'_>, test: &Test) -> rusqlite::Result<Part> {
    let Test::Words(written) = test else { return Ok(Part::nothing()) };
    let word = written.to_ascii_lowercase();
    let bound = || -> Vec<Value> { vec![word.clone().into()] };
    let mut part = Part::nothing();
    for column in WORDS {
        let slow = Part::new(format!("instr(lower({}), ?) > 0", column.text()), bound());
        let has = |text: &str| text.to_ascii_lowercase().contains(&word);
        part = part.or(among::words(context, column, &has, slow)?);
    }
    for column in TEXTS {
        part = part.or(Part::new(format!("instr(lower({column}), ?) > 0"), bound()));
    }
    let session = "session IN (SELECT id FROM sessions WHERE instr(lower(name), ?) > 0)";
    part = part.or(Part::new(session, bound()));
    let digits: String = word.chars().filter(|c| *c != '-').collect();
    if digits.len() >= DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let digits: Vec<Value> = vec![digits.into()];
        part = part.or(Part::new("instr(lower(hex(id)), ?) > 0", digits.clone()));
        part = part.or(Part::new("instr(lower(hex(trace_id)), ?) > 0", digits));
    }
    Ok(part)
}

/// Fewer digits are in too many ids to mean one.
const DIGITS_MIN: usize = 4;
