//! `pinhole captures show`: one exchange, as it is asked for.

use crate::cli::Exit;
use crate::cli::captures::args::{As, RawLeg, ShowArgs};
use crate::cli::captures::open::{attempt, query, reader, row, stored};
use crate::cli::place::refuse;
use crate::cli::terminal::{is_watched, look, said_bytes, say, tell};
use crate::report::exchange::curl::Side;
use crate::report::exchange::raw::{self, Leg};
use crate::report::exchange::{body, conversation, curl, headers, markdown, summary, timeline};
use crate::report::exchange_json;
use crate::report::formats::{export::har, recording};
use crate::report::look::Look;
use crate::store::stored::Stored;

/// What is asked for, and the number of the attempt from 0.
type Asked<'a> = (&'a ShowArgs, Option<usize>);

pub(super) fn run(args: &ShowArgs) -> Result<Exit, Exit> {
    let asked = query(args.query.as_deref())?;
    let reader = reader(&args.place)?;
    let row = row(&reader, &args.id, &asked)?;
    let stored = stored(&reader, row)?;
    let attempt = attempt(&stored, args.attempt)?;
    let done = if stored.damage.is_empty() { Exit::Done } else { Exit::Failed };
    match (args.raw, args.form) {
        (Some(leg), _) => write_raw(&stored, leg, (args, attempt))?,
        (None, Some(form)) => write_form(stored, form, (args, attempt))?,
        (None, None) if args.json => write_form(stored, As::Json, (args, attempt))?,
        (None, None) => {
            say(&page(&stored, (args, attempt), Look { full: args.full, ..look() }));
            if is_watched() {
                hint(&stored, args);
            }
        }
    }
    Ok(done)
}

/// The parts that are asked for; without any, the summary and the conversation.
fn page(stored: &Stored, (args, attempt): Asked<'_>, look: Look) -> String {
    let any = args.summary || args.conversation || args.headers || args.timeline;
    let mut parts = Vec::new();
    if args.summary || !any {
        parts.push(summary::text(stored, look));
    }
    let kept = stored.client_request().is_some() || body::best_answer(stored).is_some();
    if args.conversation || (!any && kept) {
        parts.push(conversation::text(stored, look));
    }
    if args.headers {
        parts.push(headers::text(stored, look));
    }
    if args.timeline {
        parts.push(timeline::text(stored, attempt, look));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// What else there is to see of it.
fn hint(stored: &Stored, args: &ShowArgs) {
    let id: String = stored.row.id.chars().take(18).collect();
    let more = [
        (!args.full).then_some("--full"),
        (!args.headers).then_some("--headers"),
        (!args.timeline && stored.attempts.iter().any(|one| !one.frames.is_empty()))
            .then_some("--timeline"),
        Some("--raw LEG"),
        Some("--as FORM"),
    ];
    let more = more.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    tell(&format!("\nmore: {more}"));
    if stored.row.outcome != "complete" || !stored.row.signals.is_empty() {
        tell(&format!("why:  pinhole captures diagnose {id}"));
    }
}

fn write_raw(stored: &Stored, leg: RawLeg, (args, attempt): Asked<'_>) -> Result<(), Exit> {
    let leg = match leg {
        RawLeg::Request => Leg::Request,
        RawLeg::Response => Leg::Response,
        RawLeg::UpstreamRequest => Leg::UpstreamRequest(attempt),
        RawLeg::UpstreamResponse => Leg::UpstreamResponse(attempt),
    };
    let raw = raw::bytes(stored, leg, args.decoded).map_err(|why| refuse(&why, Exit::Failed))?;
    if is_watched() && !args.force && body::is_binary(&raw.bytes) {
        let told = "these bytes are binary and would upset the terminal; send them to a file, or use --decoded or --force";
        return Err(refuse(told, Exit::Usage));
    }
    said_bytes(&raw.bytes);
    for note in &raw.notes {
        tell(&format!("note: {note}"));
    }
    Ok(())
}

fn write_form(stored: Stored, form: As, (args, attempt): Asked<'_>) -> Result<(), Exit> {
    let text = match form {
        As::Curl => {
            let side = attempt.map_or(Side::Client, Side::Upstream);
            curl::text(&stored, side).map_err(|why| refuse(&why, Exit::Failed))?
        }
        As::Markdown => markdown::text(&stored),
        As::Har => pretty(&har::document(recording::of(stored))),
        As::Json if args.json => exchange_json::document(&stored).to_string(),
        As::Json => pretty(&exchange_json::document(&stored)),
    };
    say(&text);
    Ok(())
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
