//! What is odd about an answer that came: it ended at a limit, is empty, refuses, calls tools wrongly, paused, came late.
//! An exchange can show several; each is a finding of its own.

use std::collections::HashMap;

use serde_json::Value;

use crate::dialect::messages;
use crate::exchange::signal::Signal;
use crate::neutral::message::Part;
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::ink::{self, capital};
use crate::report::material;

/// A first token later than this is worth a word, whatever is usual.
const SLOW_US: u64 = 10_000_000;
/// Below this no first token is slow.
const SLOW_LEAST_US: u64 = 1_500_000;
/// Exchanges that tell what is usual; fewer tell nothing.
const USUAL_LEAST: usize = 5;
/// A pause from this length on is a stall, whatever the pace.
const PAUSE_US: u64 = 10_000_000;

/// The findings, most telling first.
pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    [
        declined(case),
        truncated(case),
        bad_event(case),
        unfinished(case),
        empty(case),
        bad_arguments(case),
        repeated(case),
        failed_tool(case),
        stall(case),
        slow(case),
        duplicate(case),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn has(case: &Case<'_>, signal: Signal) -> bool {
    case.row.signals.contains(&signal.label())
}

/// Why the answer ended, in the provider's word.
fn finish<'a>(case: &'a Case<'_>) -> Option<&'a str> {
    let read = case.answer.reading.finish_reasons.first().map(String::as_str);
    case.row.finish_reason.as_deref().or(read).filter(|reason| !reason.is_empty())
}

fn declined(case: &Case<'_>) -> Option<Finding> {
    let reason = finish(case).unwrap_or_default();
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
    if reason != "refusal" && !has(case, Signal::Refusal) {
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
            Some(format!("\"{}\"", ink::line(words.trim(), 200)))
        }
        _ => None,
    })
}

fn truncated(case: &Case<'_>) -> Option<Finding> {
    let reason = finish(case).unwrap_or_default();
    let at_context = reason == "model_context_window_exceeded";
    let at_limit = matches!(
        reason,
        "length" | "max_tokens" | "MAX_TOKENS" | "max_output_tokens" | "incomplete"
    );
    if !at_limit && !at_context {
        return None;
    }
    let output = case.row.output_tokens.map(i64::unsigned_abs);
    let reasoning = case.row.reasoning_tokens.map_or(0, i64::unsigned_abs);
    let limit = case.params.max_tokens;
    let (words, thoughts) = case.answer.lengths();
    let all_reasoning = output.is_some_and(|output| reasoning > 0 && reasoning * 5 >= output * 4);
    let (detail, says) = if at_context {
        (
            "context",
            "The answer was cut: prompt and answer together filled the model's context".to_owned(),
        )
    } else if all_reasoning {
        let left = if words == 0 { "nothing" } else { "little" };
        (
            "reasoning",
            format!(
                "The answer was cut at its limit of {} tokens: reasoning took {} of them and left {left} for the answer",
                ink::count(limit.or(output).unwrap_or_default()),
                ink::count(reasoning)
            ),
        )
    } else if let Some(limit) = limit {
        (
            "max_tokens",
            format!(
                "The answer was cut at the request's limit of {} output tokens",
                ink::count(limit)
            ),
        )
    } else {
        (
            "model_limit",
            format!(
                "The answer was cut at a limit the request does not set{}: the model's own, or the provider's default",
                output
                    .map(|output| format!(", after {} tokens", ink::count(output)))
                    .unwrap_or_default()
            ),
        )
    };
    let mut finding = Finding::new(Class::Truncated, Place::Provider, Confidence::Certain, says)
        .detail(detail)
        .act_at(Place::Client)
        .seen("finish", reason)
        .seen_perhaps(
            "request",
            limit.map(|limit| format!("allows {} output tokens", ink::count(limit))),
        );
    if let Some(output) = output {
        finding = finding.seen(
            "usage",
            format!(
                "{} output tokens, {} of them reasoning",
                ink::count(output),
                ink::count(reasoning)
            ),
        );
    }
    if case.answer.kept {
        finding =
            finding.seen("answer", format!("{words} characters of text, {thoughts} of reasoning"));
    }
    let cut_call = case
        .answer
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .any(|part| matches!(part, Part::ToolCall { arguments, .. } if !is_json(arguments)));
    if cut_call {
        finding = finding.seen("tool call", "its arguments are cut off and are no JSON");
    }
    let finding = match detail {
        "reasoning" => finding.advise("raise the limit well above the reasoning (`max_tokens`, `max_output_tokens`, `maxOutputTokens`), or lower the effort (`reasoning_effort`, `thinking.budget_tokens`, `thinkingConfig`)"),
        "context" => finding.advise("shorten the conversation, or use a model with a longer context"),
        "model_limit" => finding.advise("set the limit in the request (`max_tokens`, `max_output_tokens`, `maxOutputTokens`); many providers have a low default"),
        _ => finding.advise("raise the limit in the client (`max_tokens`, `max_output_tokens`, `maxOutputTokens`)"),
    };
    Some(match case.row.agent.as_str() {
        "claude-code" => finding.advise("Claude Code: `CLAUDE_CODE_MAX_OUTPUT_TOKENS`"),
        _ => finding.advise("or let the client ask for the rest in a further turn"),
    })
}

fn is_json(arguments: &str) -> bool {
    arguments.is_empty() || serde_json::from_str::<Value>(arguments).is_ok()
}

fn bad_event(case: &Case<'_>) -> Option<Finding> {
    let event = case.answer.bad_event.as_ref()?;
    let at = event
        .at_us
        .map(|at| format!(", {} after the start", ink::duration(at)))
        .unwrap_or_default();
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
                ink::count(event.end as u64)
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
    let finish = finish(case).unwrap_or_default();
    let cut = matches!(finish, "length" | "max_tokens" | "MAX_TOKENS" | "max_output_tokens");
    // A background answer is still to come; a warm-up is never to come.
    if !chat
        || !good
        || cut
        || !(seen_empty || has(case, Signal::EmptyReply))
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
        .seen("answer", format!("{} in {}", ink::bytes(case.answer.bytes as u64), ink::counted(case.answer.event_count as u64, "event")))
        .advise("try again; an empty answer is rarely repeated")
        .advise("if it comes back: the last message may leave nothing to say (an answer already given, a tool result that ends the task), or a stop sequence fits at once"),
    )
}

fn bad_arguments(case: &Case<'_>) -> Option<Finding> {
    let calls =
        case.answer.messages.iter().flat_map(|message| &message.parts).filter_map(
            |part| match part {
                Part::ToolCall { name, arguments, .. } => Some((name, arguments)),
                _ => None,
            },
        );
    let broken = calls.into_iter().find(|(_, arguments)| !is_json(arguments));
    let malformed =
        matches!(finish(case), Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL"));
    // A call that was cut with its answer is the cut's doing.
    let whole = case.answer.reading.ended && truncated(case).is_none();
    let (detail, says, seen) = match broken {
        Some((name, arguments)) if whole => (
            "not_json",
            format!("The model called the tool {name} with arguments that are not JSON"),
            Some(ink::line(arguments, 300)),
        ),
        _ if malformed => (
            "malformed",
            format!(
                "The model {} wrote a tool call that the provider could not read",
                case.model()
            ),
            None,
        ),
        _ if has(case, Signal::InvalidToolArguments) && truncated(case).is_none() => (
            "schema",
            "The model called a tool with arguments that do not fit the tool's schema".to_owned(),
            called(case),
        ),
        _ => return None,
    };
    Some(
        Finding::new(Class::InvalidToolArguments, Place::Provider, Confidence::Certain, says)
            .detail(detail)
            .act_at(Place::Client)
            .seen_perhaps("tool call", seen)
            .seen_perhaps("finish", finish(case).map(str::to_owned))
            .advise("tell the model the error as the tool's result: most correct themselves")
            .advise("make the schema simpler, say in its description what is required, or use strict mode (`strict: true`)"),
    )
}

fn called(case: &Case<'_>) -> Option<String> {
    let mut parts = case.answer.messages.iter().flat_map(|message| &message.parts);
    parts.find_map(|part| match part {
        Part::ToolCall { name, arguments, .. } => {
            Some(ink::line(&format!("{name}({arguments})"), 300))
        }
        _ => None,
    })
}

fn repeated(case: &Case<'_>) -> Option<Finding> {
    if !has(case, Signal::RepeatedCall) {
        return None;
    }
    let most = case.request.as_deref().and_then(|body| most_repeated(case, body));
    let (says, seen) = match most {
        Some((call, times)) => (
            format!("The conversation goes in circles: the same tool call was made {times} times"),
            Some(call),
        ),
        None => (
            "The conversation goes in circles: a tool call was repeated with the same result"
                .to_owned(),
            None,
        ),
    };
    Some(
        Finding::new(Class::RepeatedCall, Place::Client, Confidence::Certain, says)
            .seen_perhaps("tool call", seen)
            .advise("stop the agent: each round costs the whole prompt again")
            .advise("let the tool's result say what to do differently; limit the number of calls in the client"),
    )
}

/// The call that stands most often in the conversation, and how often.
fn most_repeated(case: &Case<'_>, body: &[u8]) -> Option<(String, usize)> {
    let conversation = messages::request(material::dialect(case.stored), body);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for part in conversation.messages.iter().flat_map(|message| &message.parts) {
        if let Part::ToolCall { name, arguments, .. } = part {
            *counts.entry(ink::line(&format!("{name}({arguments})"), 300)).or_default() += 1;
        }
    }
    let most = counts.into_iter().filter(|(_, count)| *count > 1);
    most.max_by(|left, right| left.1.cmp(&right.1).then_with(|| right.0.cmp(&left.0)))
}

fn failed_tool(case: &Case<'_>) -> Option<Finding> {
    if !has(case, Signal::FailedToolResult) {
        return None;
    }
    let result = case.request.as_deref().and_then(|body| {
        let conversation = messages::request(material::dialect(case.stored), body);
        conversation.messages.iter().rev().flat_map(|message| &message.parts).find_map(|part| {
            match part {
                Part::ToolResponse { response, .. } => Some(ink::line(response, 300)),
                _ => None,
            }
        })
    });
    Some(
        Finding::new(
            Class::FailedTool,
            Place::Client,
            Confidence::Certain,
            "The request brings the result of a tool that failed in the client".to_owned(),
        )
        .seen_perhaps("result", result)
        .advise("the call itself went well; look at the tool in the client"),
    )
}

fn stall(case: &Case<'_>) -> Option<Finding> {
    let told = case.row.gap_max_us.map(i64::unsigned_abs);
    let longest = case.answer.pause.map(|pause| pause.us).or(told)?;
    let odd = has(case, Signal::Stall) || case.row.stalls.unwrap_or(0) > 0;
    if longest < PAUSE_US && !(odd && longest >= 1_000_000) || case.row.outcome != "complete" {
        return None;
    }
    let pace = case.row.gap_p50_us.map(i64::unsigned_abs);
    let against = pace
        .map(|pace| format!(", against {} between events otherwise", ink::duration(pace)))
        .unwrap_or_default();
    let mut finding = Finding::new(
        Class::Stall,
        Place::Provider,
        Confidence::Likely,
        format!("The answer of {} paused for {}{against}", case.provider(), ink::duration(longest)),
    );
    if let Some(pause) = case.answer.pause {
        finding = finding.seen(
            "timing",
            format!(
                "from {} on, after {} bytes, nothing came for {}",
                ink::duration(pause.from_us),
                ink::count(pause.after_bytes),
                ink::duration(pause.us)
            ),
        );
    }
    if let Some(stalls) = case.row.stalls.filter(|stalls| *stalls > 0) {
        finding = finding.seen(
            "timing",
            ink::counted(stalls.unsigned_abs(), "pause") + " over ten times the usual",
        );
    }
    Some(
        finding
            .advise("nothing broke; the model thought, called its own tools, or waited for a place")
            .advise("`streams.keep_alive = \"15s\"` keeps clients from giving up in such a pause; `timeouts.idle` bounds it"),
    )
}

fn slow(case: &Case<'_>) -> Option<Finding> {
    let ttft = case.row.ttft_us?.unsigned_abs();
    let usual = usual_ttft(case);
    let slow = ttft >= SLOW_US
        || usual.is_some_and(|usual| ttft >= SLOW_LEAST_US && ttft > usual.saturating_mul(3));
    if !slow || !case.row.stream {
        return None;
    }
    let attempt = case.last()?;
    let queued = case.row.queued_us.unsigned_abs();
    let sent = attempt.sent_us.unsigned_abs();
    let before_the_last =
        if case.stored.attempts.len() > 1 { sent.saturating_sub(queued) } else { 0 };
    let head = attempt.head_us.map_or(ttft, i64::unsigned_abs).saturating_sub(sent);
    let after_head = ttft.saturating_sub(sent + head);
    let (detail, place, says) = if queued * 2 > ttft {
        (
            "queue",
            Place::Gateway,
            "most of it was spent waiting for a place in the gateway".to_owned(),
        )
    } else if before_the_last * 2 > ttft {
        (
            "retries",
            Place::Provider,
            format!(
                "most of it went into {} that failed",
                ink::counted(case.stored.attempts.len() as u64 - 1, "attempt")
            ),
        )
    } else if head > after_head {
        (
            "provider_queue",
            Place::Provider,
            format!("{} took {} to begin its answer", case.provider(), ink::duration(head)),
        )
    } else {
        (
            "provider",
            Place::Provider,
            format!(
                "{} began to answer after {} and then took {} to the first word",
                case.provider(),
                ink::duration(head),
                ink::duration(after_head)
            ),
        )
    };
    let mut finding = Finding::new(
        Class::SlowFirstToken,
        place,
        Confidence::Likely,
        format!("The first word took {}: {says}", ink::duration(ttft)),
    )
    .detail(detail)
    .seen(
        "timing",
        format!(
            "queue {}, sent at {}, head after {}, first word at {}",
            ink::duration(queued),
            ink::duration(sent),
            ink::duration(head),
            ink::duration(ttft)
        ),
    );
    if let Some(usual) = usual {
        finding = finding.seen(
            "usual",
            format!(
                "{} is the median of {} with {}",
                ink::duration(usual),
                ink::counted(ttfts(case).len() as u64, "other call"),
                case.model()
            ),
        );
    }
    if let Some(input) = case.row.input_tokens.map(i64::unsigned_abs) {
        let cached = case.row.cache_read_tokens.map_or(0, i64::unsigned_abs);
        finding = finding.seen(
            "prompt",
            format!(
                "{} tokens, {} of them from the provider's cache",
                ink::count(input),
                ink::count(cached)
            ),
        );
        if input > 50_000 && cached * 2 < input {
            finding = finding.advise("a long prompt that is not in the cache is read anew each turn: keep its beginning unchanged, and mark it (`cache_control`)");
        }
    }
    Some(match detail {
        "queue" => finding.advise("raise `limits.in_flight` or the provider's `in_flight`, or send less at once"),
        "retries" => finding.advise("see the attempts in the timeline: what failed first cost the time"),
        _ => finding.advise("less reasoning effort, a smaller or faster model, or another provider of the same model"),
    })
}

/// First tokens of other exchanges with this provider and model.
fn ttfts(case: &Case<'_>) -> Vec<u64> {
    let model = case.row.model.as_deref();
    let others = case.context.traffic.iter().filter(|other| other.id != case.row.id);
    let same = others
        .filter(|other| other.provider == case.row.provider && other.model.as_deref() == model);
    same.filter_map(|other| other.ttft_us).map(i64::unsigned_abs).collect()
}

fn usual_ttft(case: &Case<'_>) -> Option<u64> {
    let mut all = ttfts(case);
    all.sort_unstable();
    (all.len() >= USUAL_LEAST).then(|| all.get(all.len() / 2).copied()).flatten()
}

fn duplicate(case: &Case<'_>) -> Option<Finding> {
    if !has(case, Signal::DuplicateOf) {
        return None;
    }
    let same = |other: &&crate::store::stored::Listed| {
        other.seq < case.row.seq
            && other.request_bytes == case.row.request_bytes
            && other.model == case.row.model
    };
    let earlier = case.context.session.iter().filter(same).max_by_key(|other| other.seq);
    Some(
        Finding::new(
            Class::Duplicate,
            Place::Client,
            Confidence::Certain,
            format!("{} sent the same request before, byte for byte", capital(case.client())),
        )
        .seen_perhaps(
            "earlier",
            earlier.map(|other| {
                format!("{}: {} {}", other.id, other.status.unwrap_or_default(), other.outcome)
            }),
        )
        .advise(
            "a retry after a failure is what clients do; after a success both answers are billed",
        ),
    )
}
