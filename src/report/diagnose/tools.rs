//! Tool calls that are odd: arguments nobody can use, circles, tools that failed.

use std::collections::HashMap;

use crate::dialect::messages;
use crate::exchange::signal::Signal;
use crate::neutral::message::Part;
use crate::report::diagnose::case::{Case, Finding, is_json};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::diagnose::limit::truncated;
use crate::report::{material, prose};

pub(super) fn bad_arguments(case: &Case<'_>) -> Option<Finding> {
    let calls =
        case.answer.messages.iter().flat_map(|message| &message.parts).filter_map(
            |part| match part {
                Part::ToolCall { name, arguments, .. } => Some((name, arguments)),
                _ => None,
            },
        );
    let broken = calls.into_iter().find(|(_, arguments)| !is_json(arguments));
    let malformed =
        matches!(case.finish(), Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL"));
    // A call that was cut with its answer is the cut's doing.
    let whole = case.answer.reading.ended && truncated(case).is_none();
    let (detail, says, seen) = match broken {
        Some((name, arguments)) if whole => (
            "not_json",
            format!("The model called the tool {name} with arguments that are not JSON"),
            Some(prose::line(arguments, 300)),
        ),
        _ if malformed => (
            "malformed",
            format!(
                "The model {} wrote a tool call that the provider could not read",
                case.model()
            ),
            None,
        ),
        _ if case.has(Signal::InvalidToolArguments) && truncated(case).is_none() => (
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
            .seen_perhaps("finish", case.finish().map(str::to_owned))
            .advise("tell the model the error as the tool's result: most correct themselves")
            .advise("make the schema simpler, say in its description what is required, or use strict mode (`strict: true`)"),
    )
}

fn called(case: &Case<'_>) -> Option<String> {
    let mut parts = case.answer.messages.iter().flat_map(|message| &message.parts);
    parts.find_map(|part| match part {
        Part::ToolCall { name, arguments, .. } => {
            Some(prose::line(&format!("{name}({arguments})"), 300))
        }
        _ => None,
    })
}

pub(super) fn repeated(case: &Case<'_>) -> Option<Finding> {
    if !case.has(Signal::RepeatedCall) {
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
            *counts.entry(prose::line(&format!("{name}({arguments})"), 300)).or_default() += 1;
        }
    }
    let most = counts.into_iter().filter(|(_, count)| *count > 1);
    most.max_by(|left, right| left.1.cmp(&right.1).then_with(|| right.0.cmp(&left.0)))
}

pub(super) fn failed_tool(case: &Case<'_>) -> Option<Finding> {
    if !case.has(Signal::FailedToolResult) {
        return None;
    }
    let result = case.request.as_deref().and_then(|body| {
        let conversation = messages::request(material::dialect(case.stored), body);
        conversation.messages.iter().rev().flat_map(|message| &message.parts).find_map(|part| {
            match part {
                Part::ToolResponse { response, .. } => Some(prose::line(response, 300)),
                _ => None,
            }
        })
    });
    Some(
        Finding::new(
            Class::FailedTool,
            Place::Client,
            Confidence::Certain,
            "The request brings the result of a tool that failed in the client",
        )
        .seen_perhaps("result", result)
        .advise("the call itself went well; look at the tool in the client"),
    )
}
