//! What is odd about an answer that came: it ended at a limit, is empty, refuses, calls tools wrongly, paused, came late.
//! An exchange can show several; each is a finding of its own.

use crate::exchange::signal::Signal;
use crate::neutral::message::Part;
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::diagnose::{limit, pace, tools};
use crate::report::prose::{self, capital};
use crate::report::words;

/// The findings, most telling first.
pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    [
        declined(case),
        limit::truncated(case),
        bad_event(case),
        unfinished(case),
        empty(case),
        tools::bad_arguments(case),
        tools::repeated(case),
        tools::failed_tool(case),
        pace::stall(case),
        pace::slow(case),
        pace::duplicate(case),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn declined(case: &Case<'_>) -> Option<Finding> {
    let reason = case.finish().unwrap_or_default();
    let provider = case.provider();
    let filtered = matches!(
        reason,
        "content_filter"
            | "SAFETY"
            | "PROHIBITED_CONTENT"
            | "BLOCKLIST"
            | "SPII"
            | "RECITATION"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "guardrail_intervened"
            | "content_filtered"
    );
    if filtered {
        let finding = Finding::new(
            Class::ContentPolicy,
            Place::Provider,
            Confidence::Certain,
            format!("A filter of {provider} stopped the answer ({reason})"),
        );
        return Some(
            finding
                .detail("answer")
                .act_at(Place::Client)
                .seen("finish", reason)
                .advise("change what the prompt says, or use a model with other rules; Gemini: `safetySettings`")
                .advise("what came before the filter was billed"),
        );
    }
    if reason != "refusal" && !case.has(Signal::Refusal) {
        return None;
    }
    let words = said(case);
    let finding = Finding::new(
        Class::Refusal,
        Place::Provider,
        Confidence::Certain,
        format!("The model {} declined to answer", case.model()),
    );
    Some(
        finding
            .act_at(Place::Client)
            .seen_perhaps("finish", (!reason.is_empty()).then(|| reason.to_owned()))
            .seen_perhaps("answer", words)
            .advise("say what the task is for; drop the turn that led to the refusal before asking again")
            .advise("use another model for this task"),
    )
}

/// The answer's first words.
fn said(case: &Case<'_>) -> Option<String> {
    let parts = case.answer.messages.iter().flat_map(|message| &message.parts);
    parts.into_iter().find_map(|part| match part {
        Part::Text(words) if !words.trim().is_empty() => {
            Some(format!("\"{}\"", prose::line(words.trim(), 200)))
        }
        _ => None,
    })
}

fn bad_event(case: &Case<'_>) -> Option<Finding> {
    let event = case.answer.bad_event.as_ref()?;
    let at =
        event.at_us.map(|at| format!(", {} after the start", prose::time(at))).unwrap_or_default();
    Some(
        Finding::new(
            Class::InvalidAnswer,
            Place::Provider,
            Confidence::Certain,
            format!(
                "{} sent an event that is not JSON (event {}{at})",
                capital(&case.provider()),
                event.number
            ),
        )
        .detail("event")
        .seen(
            "event",
            format!(
                "{} (event {}), ends at byte {}",
                event.name,
                event.number,
                prose::number(event.end as u64)
            ),
        )
        .advise("clients may stop reading there; report it to the provider with the request id")
        .advise("`pinhole captures show ID --raw upstream-response` gives the exact bytes"),
    )
}

fn unfinished(case: &Case<'_>) -> Option<Finding> {
    let answer = &case.answer;
    let ended_well = case.row.outcome == "complete";
    if !ended_well
        || !answer.events
        || answer.reading.ended
        || answer.cut
        || answer.event_count == 0
    {
        return None;
    }
    let last = answer.last.as_ref().map(|last| format!("`{}`", last.name)).unwrap_or_default();
    Some(
        Finding::new(
            Class::Unfinished,
            Place::Provider,
            Confidence::Likely,
            format!("The stream ended in order but without its closing event; the last one is {last}"),
        )
        .seen("last event", format!("{last} (event {})", answer.event_count))
        .advise("Codex and Claude Code take such an answer for broken and ask again; others miss the end of it and its usage")
        .advise("a proxy that ends long streams, or an imperfect compatible server, does this; report it to the provider"),
    )
}

fn empty(case: &Case<'_>) -> Option<Finding> {
    let chat = matches!(case.row.operation.as_str(), "chat" | "text_completion");
    let good = case.row.status == Some(200) && case.row.outcome == "complete";
    let seen_empty = case.answer.kept && !case.answer.cut && case.answer.is_empty();
    let finish = case.finish().unwrap_or_default();
    let cut = matches!(finish, "length" | "max_tokens" | "MAX_TOKENS" | "max_output_tokens");
    // A background answer is still to come; a warm-up is never to come.
    if !chat
        || !good
        || cut
        || !(seen_empty || case.has(Signal::EmptyReply))
        || case.params.max_tokens == Some(0)
    {
        return None;
    }
    let (_, thoughts) = case.answer.lengths();
    let (detail, more) = if case.answer.kept && case.answer.bytes == 0 {
        ("no_bytes", ": a 200 with no body at all")
    } else if thoughts > 0 {
        ("reasoning_only", ": reasoning, and no word after it")
    } else {
        ("", "")
    };
    Some(
        Finding::new(
            Class::EmptyAnswer,
            Place::Provider,
            Confidence::Certain,
            format!("{} answered 200 with neither text nor tool calls{more}", capital(&case.provider())),
        )
        .detail(detail)
        .seen("status", "200")
        .seen_perhaps("finish", (!finish.is_empty()).then(|| finish.to_owned()))
        .seen_perhaps("usage", case.row.output_tokens.map(|tokens| format!("{tokens} output tokens")))
        .seen("answer", format!("{} in {}", words::bytes(case.answer.bytes as u64), prose::counted(case.answer.event_count as u64, "event")))
        .advise("try again; an empty answer is rarely repeated")
        .advise("if it comes back: the last message may leave nothing to say (an answer already given, a tool result that ends the task), or a stop sequence fits at once"),
    )
}
