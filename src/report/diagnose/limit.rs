//! Answers that ended at a limit of tokens: whose limit it was, and what took the room.

use crate::neutral::message::Part;
use crate::report::diagnose::case::{Case, Finding, is_json};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::prose;

/// What ended the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// That of the request.
    Asked,
    /// That of the request, and reasoning took most of it.
    Reasoning,
    /// Prompt and answer filled the context.
    Context,
    /// The model's own, or the provider's default.
    Model,
}

pub(super) fn truncated(case: &Case<'_>) -> Option<Finding> {
    let reason = case.finish().unwrap_or_default();
    let limit = limit(case, reason)?;
    let finding =
        Finding::new(Class::Truncated, Place::Provider, Confidence::Certain, sentence(case, limit))
            .detail(match limit {
                Limit::Asked => "max_tokens",
                Limit::Reasoning => "reasoning",
                Limit::Context => "context",
                Limit::Model => "model_limit",
            })
            .act_at(Place::Client)
            .seen("finish", reason);
    Some(advised(evidence(finding, case), case, limit))
}

fn limit(case: &Case<'_>, reason: &str) -> Option<Limit> {
    match reason {
        "model_context_window_exceeded" => return Some(Limit::Context),
        "length" | "max_tokens" | "MAX_TOKENS" | "max_output_tokens" | "incomplete" => {}
        _ => return None,
    }
    let (words, thoughts) = case.answer.lengths();
    let reasoning = reasoning(case);
    let most = output(case).is_some_and(|output| {
        reasoning > 0 && reasoning.saturating_mul(5) >= output.saturating_mul(4)
    });
    // Anthropic does not count reasoning apart; the answer shows it.
    let calls = parts(case).any(|part| matches!(part, Part::ToolCall { .. }));
    let shown = reasoning == 0 && thoughts > 0 && thoughts >= words * 4 && !calls;
    Some(match case.params.max_tokens {
        _ if most || shown => Limit::Reasoning,
        Some(_) => Limit::Asked,
        None => Limit::Model,
    })
}

fn output(case: &Case<'_>) -> Option<u64> {
    case.row.output_tokens.map(i64::unsigned_abs)
}

fn reasoning(case: &Case<'_>) -> u64 {
    case.row.reasoning_tokens.map_or(0, i64::unsigned_abs)
}

fn parts<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Part> {
    case.answer.messages.iter().flat_map(|message| &message.parts)
}

fn sentence(case: &Case<'_>, limit: Limit) -> String {
    let asked = case.params.max_tokens;
    match limit {
        Limit::Context => {
            "The answer was cut: prompt and answer together filled the model's context".to_owned()
        }
        Limit::Reasoning => {
            let took = match reasoning(case) {
                0 => "most".to_owned(),
                tokens => prose::number(tokens),
            };
            let left = if case.answer.lengths().0 == 0 { "nothing" } else { "little" };
            let all = asked.or(output(case)).map(prose::number).unwrap_or_default();
            format!(
                "The answer was cut at its limit of {all} tokens: reasoning took {took} of them and left {left} for the \
                 answer"
            )
        }
        Limit::Asked => format!(
            "The answer was cut at the request's limit of {} output tokens",
            prose::number(asked.unwrap_or_default())
        ),
        Limit::Model => {
            let after =
                output(case).map(|output| format!(", after {} tokens", prose::number(output)));
            if case.stored.client_request().is_none() {
                let after = after.unwrap_or_default();
                return format!(
                    "The answer was cut at a limit of tokens{after}; whether the request set it cannot be seen"
                );
            }
            format!(
                "The answer was cut at a limit the request does not set{}: the model's own, or the provider's default",
                after.unwrap_or_default()
            )
        }
    }
}

fn evidence(finding: Finding, case: &Case<'_>) -> Finding {
    let asked = case.params.max_tokens;
    let asked = asked.map(|asked| format!("allows {} output tokens", prose::number(asked)));
    let usage = output(case).map(|output| {
        let reasoning = match reasoning(case) {
            0 => String::new(),
            tokens => format!(", {} of them reasoning", prose::number(tokens)),
        };
        format!("{} output tokens{reasoning}", prose::number(output))
    });
    let (words, thoughts) = case.answer.lengths();
    let answer = format!("{words} characters of text, {thoughts} of reasoning");
    let cut_call = parts(case)
        .any(|part| matches!(part, Part::ToolCall { arguments, .. } if !is_json(arguments)));
    finding
        .seen_perhaps("request", asked)
        .seen_perhaps("usage", usage)
        .seen_perhaps("answer", case.answer.kept.then_some(answer))
        .seen_perhaps(
            "tool call",
            cut_call.then(|| "its arguments are cut off and are no JSON".to_owned()),
        )
}

fn advised(finding: Finding, case: &Case<'_>, limit: Limit) -> Finding {
    let finding = finding.advise(match limit {
        Limit::Reasoning => {
            "raise the limit well above the reasoning (`max_tokens`, `max_output_tokens`, `maxOutputTokens`), or lower the \
             effort (`reasoning_effort`, `thinking.budget_tokens`, `thinkingConfig`)"
        }
        Limit::Context => "shorten the conversation, or use a model with a longer context",
        Limit::Model => {
            "set the limit in the request (`max_tokens`, `max_output_tokens`, `maxOutputTokens`); many providers have a low \
             default"
        }
        Limit::Asked => {
            "raise the limit in the client (`max_tokens`, `max_output_tokens`, `maxOutputTokens`)"
        }
    });
    match case.row.agent.as_str() {
        "claude-code" => finding.advise("Claude Code: `CLAUDE_CODE_MAX_OUTPUT_TOKENS`"),
        _ => finding.advise("or let the client ask for the rest in a further turn"),
    }
}
