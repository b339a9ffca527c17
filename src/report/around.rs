//! Reads from the store what a diagnosis wants to know besides the exchange: failures like it, its session, other traffic
//! of its provider, the turn before. Everything is bounded.

use crate::report::diagnose::case::Context;
use crate::store::query::Query;
use crate::store::query::page::Page;
use crate::store::reader::{ReadError, Reader};
use crate::store::stored::Listed;

/// Limit: failures of the day that are looked at.
const FAILURES_MAX: usize = 2_000;
/// Limit: other exchanges of the provider, and how far around they are looked for.
const TRAFFIC_MAX: usize = 500;
const TRAFFIC_AROUND_US: i64 = 600_000_000;
/// Limits: exchanges of the session before and after.
const BEFORE_MAX: usize = 50;
const AFTER_MAX: usize = 20;
const DAY_US: i64 = 86_400_000_000;

/// What did not go well in the day that ends at `until_us`.
pub fn failures(reader: &Reader, until_us: i64) -> Result<Vec<Listed>, ReadError> {
    let until = until_us.saturating_add(1);
    within(
        reader,
        "-outcome:complete",
        [until.saturating_sub(DAY_US), until],
        &Page::newest(FAILURES_MAX),
    )
}

/// All that there is around one exchange.
pub fn context(reader: &Reader, row: &Listed) -> Result<Context, ReadError> {
    let mut context = Context {
        failures: failures(reader, row.started_at_us)?,
        session: session(reader, row)?,
        ..Context::default()
    };
    if let Some(provider) = &row.provider {
        let window =
            [-TRAFFIC_AROUND_US, TRAFFIC_AROUND_US].map(|us| row.started_at_us.saturating_add(us));
        let provider = format!("provider:{}", quoted(provider));
        context.traffic = within(reader, &provider, window, &Page::newest(TRAFFIC_MAX))?;
    }
    if let Some(before) = turn_before(row, &context.session) {
        // A body that is damaged makes the diagnosis of another exchange poorer, not impossible.
        context.before = reader.exchange(before.clone()).ok().map(Box::new);
    }
    Ok(context)
}

/// The turns of a conversation among exchanges of a session: answered or not, but of one kind, in their order. What a
/// client asks beside it (titles, counts) is of another model or no chat.
pub fn turns(session: &[Listed]) -> Vec<&Listed> {
    let mut turns: Vec<&Listed> = session.iter().filter(|row| row.operation == "chat").collect();
    turns.sort_by_key(|row| (row.started_at_us, row.seq));
    turns
}

/// The turn that came before this one, if this one got an answer worth comparing.
fn turn_before<'a>(row: &Listed, session: &'a [Listed]) -> Option<&'a Listed> {
    if row.operation != "chat" || row.outcome != "complete" {
        return None;
    }
    let same = |other: &&Listed| {
        other.id != row.id
            && other.started_at_us < row.started_at_us
            && other.model == row.model
            && other.dialect == row.dialect
            && other.outcome == "complete"
    };
    turns(session).into_iter().rfind(same)
}

fn session(reader: &Reader, row: &Listed) -> Result<Vec<Listed>, ReadError> {
    let Some(session) = &row.session_id else { return Ok(Vec::new()) };
    let mut rows = reader.of_session(session, Some(row.seq), AFTER_MAX)?;
    let before = Page { before: Some(row.seq), ..Page::newest(BEFORE_MAX) };
    rows.extend(matching(
        reader,
        &format!("session:{}", quoted(session)),
        row.started_at_us,
        &before,
    )?);
    Ok(rows)
}

/// The query's matches that started within the window, its end not among it.
fn within(
    reader: &Reader,
    query: &str,
    window: [i64; 2],
    page: &Page,
) -> Result<Vec<Listed>, ReadError> {
    let [from, until] = window.map(|us| jiff::Timestamp::from_microsecond(us).unwrap_or_default());
    matching(reader, &format!("{query} since:\"{from}\" until:\"{until}\""), window[1], page)
}

/// A query that cannot be read matches nothing: it is made here, of values that are quoted.
fn matching(
    reader: &Reader,
    query: &str,
    now_us: i64,
    page: &Page,
) -> Result<Vec<Listed>, ReadError> {
    Query::parse(query, now_us).map_or_else(|_| Ok(Vec::new()), |query| reader.list(&query, page))
}

/// A value as the query language takes it, whatever is in it.
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
