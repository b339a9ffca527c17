//! What to do when the provider said no: by class, in the words of the configuration and of the client at hand.

use crate::report::diagnose::answered::{Said, field, seconds, wait_s};
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::Class;
use crate::report::diagnose::meaning;
use crate::report::{prose, words};
use crate::store::stored::Attempt;

const TROUBLE: &str = "docs/troubleshooting.md";

/// From this length on a single message is worth naming.
const LARGE: usize = 16 * 1024;

/// Adds what to do, and where to read on.
pub(super) fn of_provider(
    finding: Finding,
    case: &Case<'_>,
    attempt: &Attempt,
    said: &Said<'_>,
) -> Finding {
    let key = case.provider_key();
    match finding.class {
        Class::Authentication => authentication(finding, attempt, &key),
        Class::Permission => finding
            .advise("ask the account's owner to allow the model or region for this key, or use another provider's model")
            .advise(format!("`pinhole check --live` shows what the key of providers.{key} may do")),
        Class::Payment => finding
            .advise("add credit, or raise the spending limit, in the provider's console; waiting does not help")
            .advise("until then send this model to another provider: a `model_aliases` entry, or the header `x-pinhole-fallback`"),
        Class::RateLimit => rate_limit(finding, case, said, &key),
        Class::Overloaded => finding
            .advise(retry(case))
            .advise("name another model to fall back to: header `x-pinhole-fallback: PROVIDER/MODEL`")
            .advise("look at the provider's status page; nothing in the request causes this"),
        Class::ContextOverflow => context_overflow(finding, case),
        Class::RequestTooLarge => finding
            .advise("send less: shorten the conversation, send images smaller or by URL")
            .advise("this limit is of bytes and the provider's own; `limits.body` of the gateway does not change it"),
        Class::InvalidRequest => invalid(finding, case, said),
        Class::ModelNotFound => finding
            .advise(format!("`pinhole route {}` shows where the name goes and which names are near", case.model()))
            .advise(format!("compare with what the provider lists (`pinhole check --live`), and correct `providers.{key}.models` or the client's model name"))
            .advise("an account may lack access to a model that exists: ask for it in the provider's console"),
        Class::NotFound => finding
            .advise(format!("check `providers.{key}.baseurl`: the version (`/v1`) may be missing or there twice"))
            .advise(format!("check that the provider offers {}; if not, turn its `compatibility` flag off", case.row.path)),
        Class::ContentPolicy => finding
            .advise("change what the prompt says, or use a model with other rules; the same prompt will be stopped again")
            .advise("Gemini: `safetySettings` in the request; Azure: the deployment's content filter"),
        Class::ProviderTimeout => finding
            .advise("ask for less output, or stream: long answers without a stream meet the provider's own time limit")
            .advise(retry(case)),
        Class::InvalidAnswer => finding
            .advise(format!("check `providers.{key}.baseurl`, and what stands between: a proxy (`HTTPS_PROXY`), a firewall, a sign-in page"))
            .advise(retry(case)),
        _ => finding
            .advise(retry(case))
            .advise("when it goes on: the provider's status page, and its support with the request id above"),
    }
    .read_on(page(said))
}

fn page(said: &Said<'_>) -> &'static str {
    match said.status {
        Some(401) => "docs/troubleshooting.md#the-provider-refuses-its-key",
        Some(404) => "docs/troubleshooting.md#404-the-model-is-not-found",
        Some(429) => "docs/troubleshooting.md#429-from-the-provider",
        _ => TROUBLE,
    }
}

fn authentication(finding: Finding, attempt: &Attempt, key: &str) -> Finding {
    match &attempt.key_label {
        Some(label) => finding
            .seen("key", format!("the gateway's key `{label}` was sent"))
            .advise(format!("correct `providers.{key}.apikey` (or its variable): it is mistyped, expired or revoked"))
            .advise("`pinhole check --live` tries every key without spending tokens"),
        None => finding
            .seen("key", "no key of the gateway was used: the client's own credentials went through")
            .advise(format!("give the gateway a key: `providers.{key}.apikey = \"env:…\"`"))
            .advise("or correct the key in the client's settings"),
    }
}

/// How the client at hand tries again, or how to make it.
fn retry(case: &Case<'_>) -> String {
    match case.row.agent.as_str() {
        "claude-code" => {
            "try again; Claude Code does so by itself (`CLAUDE_CODE_MAX_RETRIES` sets how often)".to_owned()
        }
        "codex" => {
            "try again; Codex does so by itself (`request_max_retries`, `stream_max_retries` of its model provider)".to_owned()
        }
        "openai-python" | "openai-node" | "anthropic-python" | "anthropic-node" => {
            "try again; the SDK does so twice by itself (`max_retries`)".to_owned()
        }
        _ => "try again after a pause that grows with each try".to_owned(),
    }
}

fn rate_limit(finding: Finding, case: &Case<'_>, said: &Said<'_>, key: &str) -> Finding {
    let message = said.complaint.map(|complaint| complaint.message.as_str()).unwrap_or_default();
    let daily = said.complaint.is_some_and(meaning::is_daily);
    // `Limit 30000, Requested 45000`: waiting changes nothing.
    let alone_too_large = message.to_lowercase().contains("request too large");
    let finding = if alone_too_large {
        finding.advise("waiting does not help: this request alone is larger than the limit of a minute; send less, or ask for a higher tier")
    } else if daily {
        finding.advise("the limit is of the day: wait for its end, ask for a higher tier, or use another model")
    } else if let Some(wait) = wait_s(said) {
        finding.advise(format!(
            "wait {} before the next try; clients that obey `retry-after` do so by themselves",
            seconds(wait)
        ))
    } else {
        finding.advise(retry(case))
    };
    let finding = match finding.detail.as_deref() {
        Some("tokens") => finding.advise("smaller prompts help more than fewer calls: shorten histories, keep the beginning of prompts unchanged so that the cache is read"),
        Some("concurrency" | "requests") => finding.advise(format!(
            "bound what is sent at once: `providers.{key}.in_flight` lets requests wait their turn in the gateway"
        )),
        _ => finding,
    };
    finding.advise(format!(
        "spread the load: more keys of other accounts in `providers.{key}.apikeys`, or another provider by `x-pinhole-fallback`"
    ))
}

fn context_overflow(finding: Finding, case: &Case<'_>) -> Finding {
    let finding = match case.row.agent.as_str() {
        "claude-code" => finding.advise("shorten the conversation: `/compact` or `/clear` in Claude Code"),
        "codex" => finding.advise("shorten the conversation: `/compact` in Codex, or `model_auto_compact_token_limit` in its configuration"),
        "gemini-cli" => finding.advise("shorten the conversation: `/compress` in Gemini CLI"),
        _ => finding.advise("shorten the conversation: drop or summarise old turns, and large tool results first"),
    };
    let finding = match case.params.max_tokens {
        Some(max) if finding.detail.as_deref() == Some("with_output") => finding.advise(format!(
            "or ask for less output: the request leaves room for {} tokens",
            prose::number(max)
        )),
        _ => finding,
    };
    let finding = match largest_message(case) {
        Some(largest) => finding.seen("largest message", largest),
        None => finding,
    };
    finding
        .advise("or use a model with a longer context: an entry in `model_aliases` changes it for every client")
        .advise("`pinhole captures diff --turns SESSION` shows what made the prompt grow")
}

/// Which part of the prompt takes the most room.
fn largest_message(case: &Case<'_>) -> Option<String> {
    let body = case.request.as_deref()?;
    let pieces =
        crate::dialect::pieces::of_request(crate::report::material::dialect(case.stored), body);
    let largest = pieces.iter().max_by_key(|piece| piece.span.len())?;
    if largest.span.len() < LARGE {
        return None;
    }
    let name = largest.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    Some(format!(
        "{}{name}: {} of {}",
        largest.path,
        words::bytes(largest.span.len() as u64),
        words::bytes(body.len() as u64)
    ))
}

fn invalid(finding: Finding, case: &Case<'_>, said: &Said<'_>) -> Finding {
    let field = field(said.complaint).map_or_else(
        || "the field that the message names".to_owned(),
        |field| format!("`{field}`"),
    );
    let message =
        said.complaint.map(|complaint| complaint.message.to_lowercase()).unwrap_or_default();
    let finding = if said.complaint.is_some()
        && case.last().is_some_and(|attempt| !attempt.edits.is_empty())
    {
        let edits = case.last().map(|attempt| attempt.edits.join(", ")).unwrap_or_default();
        finding.seen("edits", format!("the gateway changed {edits} on the way; `pinhole captures diff ID --legs` shows how"))
    } else {
        finding
    };
    let advice = match finding.detail.as_deref().unwrap_or_default() {
        "unsupported_parameter" if message.contains("max_completion_tokens") => {
            "send `max_completion_tokens` instead of `max_tokens`: reasoning models take no other".to_owned()
        }
        "unsupported_parameter" => format!("leave {field} out for this model, in the client or in the selector (`model?…`)"),
        "unsupported_value" => format!("leave {field} at its default: reasoning models take no other value of sampling parameters"),
        "max_tokens" if case.row.agent == "claude-code" => {
            "ask for less output: `CLAUDE_CODE_MAX_OUTPUT_TOKENS` in Claude Code's environment".to_owned()
        }
        "max_tokens" => "ask for less output: lower `max_tokens`; with thinking it must stay above the thinking budget".to_owned(),
        "tool_schema" => format!("correct the schema at {field}: providers want objects with `type` and `properties`, arrays with `items`, names of letters, digits, `_` and `-`"),
        "response_schema" => "correct the schema: strict modes want `additionalProperties: false` and every property required".to_owned(),
        "image" => "send the image smaller (under 5 MB and 8,000 pixels), as PNG, JPEG, GIF or WebP, to a model that takes images".to_owned(),
        "thinking_signature" => "send thinking blocks back exactly as they came, or leave them out; after a change of provider or model start from a history without them".to_owned(),
        "orphan_tool_result" => "keep every tool call together with its result when a history is shortened or a call was interrupted; the client's history is broken, and a new session starts clean".to_owned(),
        "cache_control" => "set at most four `cache_control` marks, longer lifetimes first".to_owned(),
        "beta_header" => "remove the value from `anthropic-beta`: this provider or model does not have that feature".to_owned(),
        "previous_response" => "send the whole history instead of `previous_response_id`, or send with `store: true` to the same provider and account".to_owned(),
        "stream" => "send `\"stream\": true`".to_owned(),
        "json" => "look at the bytes that left: `pinhole captures show ID --raw upstream-request`".to_owned(),
        _ => format!("correct {field} in the request; trying again without a change will fail again"),
    };
    finding.advise(advice)
}
