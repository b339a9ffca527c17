//! The provider answered, and its answer says no: a status, an error document, or an error event in the middle of a
//! stream.

use std::fmt::Write as _;

use crate::dialect::complaint::Complaint;
use crate::report::diagnose::answered::{Said, field, seconds, wait_s};
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::diagnose::limits;
use crate::report::diagnose::{advice, meaning};
use crate::report::material::{self, Answer};
use crate::report::prose::{self, capital};
use crate::report::words;
use crate::store::stored::Attempt;

/// The finding of the last attempt, where its provider said no.
pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    let attempt = case.last()?;
    let said = said(case, attempt, &case.answer)?;
    Some(finding(case, attempt, &said))
}

/// The finding of an earlier attempt.
pub(super) fn find_in(case: &Case<'_>, n: usize) -> Option<Finding> {
    let attempt = case.stored.attempts.get(n)?;
    let answer = material::answer(case.stored, n);
    let said = said(case, attempt, &answer)?;
    Some(finding(case, attempt, &said))
}

fn said<'a>(case: &'a Case<'_>, attempt: &'a Attempt, answer: &'a Answer) -> Option<Said<'a>> {
    let is_last = case.last().is_some_and(|last| std::ptr::eq(last, attempt));
    let kind = attempt
        .error_kind
        .as_deref()
        .or_else(|| case.row.error_kind.as_deref().filter(|_| is_last));
    let status = attempt.status.or_else(|| case.row.upstream_status.filter(|_| is_last));
    let complaint = answer.complaint.as_ref().filter(|complaint| !complaint.own);
    let refused = status.is_some_and(|status| status >= 400);
    let named = kind.is_some_and(|kind| by_kind(kind).is_some());
    // A message at the top of a good document is no complaint, unless it was taken for one when it closed.
    let spoken =
        complaint.is_some() && (answer.events || is_blocked(complaint) || !case.went_well());
    (refused || named || spoken).then(|| Said {
        status,
        kind,
        complaint,
        answer,
        limits: limits::read(&attempt.response),
    })
}

fn is_blocked(complaint: Option<&Complaint>) -> bool {
    complaint.and_then(|complaint| complaint.kind.as_deref()) == Some("prompt_blocked")
}

impl Case<'_> {
    pub(super) fn went_well(&self) -> bool {
        self.row.outcome == "complete" && self.row.error_kind.is_none()
    }
}

fn finding(case: &Case<'_>, attempt: &Attempt, said: &Said<'_>) -> Finding {
    let (class, detail, confidence) = classify(said);
    let words = sentence(case, said, class, detail);
    let mut finding = Finding::new(class, Place::Provider, confidence, words)
        .detail(detail)
        .act_at(act_at(class, attempt));
    finding = evidence(finding, attempt, said);
    finding = advice::of_provider(finding, case, attempt, said);
    case.explain_what_is_missing(finding)
}

/// Class, detail and how sure that is.
fn classify(said: &Said<'_>) -> (Class, &'static str, Confidence) {
    let status = said.status.unwrap_or_default();
    if said.answer.html || said.answer.beginning.is_some() {
        let detail = if said.answer.html { "html" } else { "text" };
        return match (by_status(status), status) {
            (Some(class), 401 | 402 | 404 | 408 | 413 | 429 | 504) => {
                (class, "", Confidence::Certain)
            }
            // Plain words are an answer of the API's often enough.
            (Some(class), 400..) if detail == "text" => (class, "", Confidence::Likely),
            _ => (Class::InvalidAnswer, detail, Confidence::Certain),
        };
    }
    let meant = said.complaint.and_then(meaning::meaning);
    let by_status = by_status(status);
    match (meant, by_status) {
        // 413 with a limit of tokens a minute is that limit's.
        (Some((Class::InvalidRequest, detail)), Some(Class::RequestTooLarge)) => {
            (Class::RequestTooLarge, detail, Confidence::Certain)
        }
        (Some((class, detail)), Some(by_status)) if fits(class, status) => {
            let numbers = class == Class::ContextOverflow
                && said.complaint.is_some_and(|it| meaning::overflow(&it.message).is_some());
            let coded = said.complaint.is_some_and(|it| it.code.is_some());
            let sure = class == by_status || coded || numbers;
            (class, detail, if sure { Confidence::Certain } else { Confidence::Likely })
        }
        (Some((_, _)), Some(class)) => (class, "", Confidence::Likely),
        (Some((class, detail)), None) => (class, detail, Confidence::Certain),
        (None, Some(class)) => (class, "", Confidence::Certain),
        (None, None) => {
            let class = said.kind.and_then(by_kind).unwrap_or(Class::Unknown);
            (class, "", Confidence::Likely)
        }
    }
}

/// Whether words of this meaning belong under this status: a 500 that quotes a limit is still a 500.
fn fits(class: Class, status: u16) -> bool {
    match status {
        500..=599 => matches!(
            class,
            Class::ServerError
                | Class::Overloaded
                | Class::ProviderTimeout
                | Class::RateLimit
                | Class::ContextOverflow
        ),
        429 => matches!(class, Class::RateLimit | Class::Payment | Class::Overloaded),
        401 => class == Class::Authentication,
        _ => true,
    }
}

fn by_status(status: u16) -> Option<Class> {
    Some(match status {
        401 => Class::Authentication,
        402 => Class::Payment,
        403 => Class::Permission,
        404 => Class::NotFound,
        408 | 504 => Class::ProviderTimeout,
        413 => Class::RequestTooLarge,
        429 => Class::RateLimit,
        503 | 529 => Class::Overloaded,
        400..=499 => Class::InvalidRequest,
        500..=599 => Class::ServerError,
        _ => return None,
    })
}

/// The gateway's kinds of provider errors, which are there also when nothing else was kept.
fn by_kind(kind: &str) -> Option<Class> {
    Some(match kind {
        "upstream_invalid_request" | "upstream_client_error" => Class::InvalidRequest,
        "upstream_authentication" => Class::Authentication,
        "upstream_payment" => Class::Payment,
        "upstream_permission" => Class::Permission,
        "upstream_not_found" => Class::NotFound,
        "upstream_timeout" => Class::ProviderTimeout,
        "upstream_too_large" => Class::RequestTooLarge,
        "upstream_rate_limit" => Class::RateLimit,
        "upstream_overloaded" => Class::Overloaded,
        "upstream_server_error" | "upstream_stream_error" | "upstream_error" => Class::ServerError,
        _ => return None,
    })
}

/// Whose part it is to change something.
fn act_at(class: Class, attempt: &Attempt) -> Place {
    match class {
        // The gateway's own key, or what the client brought along.
        Class::Authentication if attempt.key_label.is_none() => Place::Client,
        Class::Authentication | Class::NotFound | Class::InvalidAnswer => Place::Gateway,
        Class::ContextOverflow
        | Class::InvalidRequest
        | Class::RequestTooLarge
        | Class::ModelNotFound
        | Class::ContentPolicy => Place::Client,
        _ => Place::Provider,
    }
}

fn sentence(case: &Case<'_>, said: &Said<'_>, class: Class, detail: &str) -> String {
    let provider = capital(&case.provider());
    let model = case.model();
    let status = said.status.filter(|status| *status >= 400);
    let with = status.map(|status| format!(" with {status}")).unwrap_or_default();
    let message = said.complaint.map(|complaint| complaint.message.as_str()).unwrap_or_default();
    let midstream = said.answer.events && status.is_none();
    let whole = match class {
        Class::Authentication => {
            format!("{provider} does not accept the key it was sent ({})", status.unwrap_or(401))
        }
        Class::Permission => {
            format!("{provider} knows the key and does not allow it to use {model}{with}")
        }
        Class::Payment => format!(
            "{provider} wants to be paid: the account has no credit or is at its spending limit{}",
            in_brackets(status)
        ),
        Class::RateLimit => rate_limit(&provider, &model, said, detail),
        Class::Overloaded => format!("{provider} is overloaded and turned {model} away{with}"),
        Class::ContextOverflow => overflow(case, &model, message, detail),
        Class::RequestTooLarge => format!(
            "the request has {}, more than {} takes{}",
            words::bytes(case.row.request_bytes.unsigned_abs()),
            case.provider(),
            in_brackets(status)
        ),
        Class::InvalidRequest => invalid(&provider, said, detail, &with),
        Class::ModelNotFound => {
            format!("{provider} has no model {model}, or not for this key{}", in_brackets(status))
        }
        Class::NotFound => format!(
            "{provider} knows nothing at the address it was called at{}",
            in_brackets(status)
        ),
        Class::ContentPolicy => format!(
            "a filter of {} stopped the {}{}",
            case.provider(),
            if detail == "answer" { "answer" } else { "prompt" },
            in_brackets(status)
        ),
        Class::ProviderTimeout => {
            format!("{provider} ran out of its own time{}", in_brackets(status))
        }
        Class::InvalidAnswer => format!(
            "a page came back instead of an answer of {}{}: a proxy, firewall or load balancer in front of it spoke",
            case.provider(),
            in_brackets(status)
        ),
        Class::ServerError if midstream => {
            format!("{provider} broke off its answer with an error in the middle of the stream")
        }
        _ => format!("{provider} failed by itself{with}"),
    };
    let whole = if midstream && class != Class::ServerError {
        format!("{whole}, in the middle of the stream")
    } else {
        whole
    };
    capital(&whole)
}

fn in_brackets(status: Option<u16>) -> String {
    status.map(|status| format!(" ({status})")).unwrap_or_default()
}

fn rate_limit(provider: &str, model: &str, said: &Said<'_>, detail: &str) -> String {
    let daily = said.complaint.is_some_and(meaning::is_daily);
    let of = match detail {
        "tokens" if daily => " of tokens a day",
        "tokens" => " of tokens a minute",
        "requests" if daily => " of requests a day",
        "requests" => " of requests",
        "day" => " of the day",
        "concurrency" => " of requests at once",
        _ => "",
    };
    let mut sentence = format!("{provider} holds {model} back: its limit{of} is used up");
    if let Some((name, limit)) = said.limits.exhausted() {
        let _ = write!(sentence, " ({name}: {})", limit.words());
    } else if let Some((name, limit)) = said.limits.left() {
        // Another limit than those of the headers: of a shorter time, of another model, of the account.
        let _ = write!(
            sentence,
            ", though its headers tell of {} ({name}): it is another limit, or one of a shorter time",
            limit.words()
        );
    }
    match wait_s(said) {
        Some(wait) => {
            let _ = write!(sentence, "; it says to wait {}", seconds(wait));
        }
        None => sentence.push_str("; it does not say for how long"),
    }
    sentence
}

fn overflow(case: &Case<'_>, model: &str, message: &str, detail: &str) -> String {
    let what =
        if detail == "with_output" { "prompt and room for the answer" } else { "the prompt" };
    match meaning::overflow(message) {
        Some((asked, limit)) if asked > limit => format!(
            "{what} of {} tokens do{} not fit {model}, which takes {}: {} too many",
            prose::number(asked),
            if detail == "with_output" { "" } else { "es" },
            prose::number(limit),
            prose::number(asked - limit)
        ),
        _ => format!(
            "the prompt does not fit {model}'s context ({} of request)",
            words::bytes(case.row.request_bytes.unsigned_abs())
        ),
    }
}

fn invalid(provider: &str, said: &Said<'_>, detail: &str, with: &str) -> String {
    let field = field(said.complaint);
    let at = field.map(|field| format!(" `{field}`")).unwrap_or_default();
    match detail {
        "unsupported_parameter" => {
            format!("{provider} does not take the parameter{at} for this model")
        }
        "unsupported_value" => format!(
            "{provider} does not take this value of{at}{}",
            if at.is_empty() { " a parameter" } else { "" }
        ),
        "max_tokens" => format!(
            "more output is asked for than the model can give{at_max}",
            at_max = numbers_of(said)
        ),
        "tool_schema" => format!("{provider} can't use a tool's definition{}", place_of(&at)),
        "response_schema" => {
            format!("{provider} can't use the schema for the answer{}", place_of(&at))
        }
        "tool_call" => format!("{provider} could not read the tool call that the model made"),
        "image" => format!(
            "{provider} can't use an image of the request{}{}",
            place_of(&at),
            numbers_of(said)
        ),
        "thinking_signature" => format!(
            "{provider} does not recognise a thinking block as its own{}: its signature is missing, altered, or another provider's",
            place_of(&at)
        ),
        "orphan_tool_result" => format!(
            "a tool call and its result do not stand together in the conversation{}",
            place_of(&at)
        ),
        "cache_control" => {
            format!("{provider} does not take the `cache_control` marks as they stand")
        }
        "beta_header" => format!("{provider} does not know a value of the `anthropic-beta` header"),
        "previous_response" => {
            format!("{provider} no longer has the response that the request goes on from")
        }
        "stream" => format!("{provider} answers this only as a stream"),
        "messages" => {
            format!("{provider} does not take the messages in this order or shape{}", place_of(&at))
        }
        "json" => format!("{provider} could not read the body as JSON"),
        _ => format!("{provider} can't do what the request says{with}{}", place_of(&at)),
    }
}

fn place_of(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!(", at{at}") }
}

fn numbers_of(said: &Said<'_>) -> String {
    let numbers =
        said.complaint.map(|complaint| meaning::numbers(&complaint.message)).unwrap_or_default();
    match numbers.iter().filter(|number| **number > 99).collect::<Vec<_>>().as_slice() {
        [one, two, ..] => {
            format!(
                ": {} where {} is the most",
                prose::number(**one.max(two)),
                prose::number(**one.min(two))
            )
        }
        _ => String::new(),
    }
}

fn evidence(mut finding: Finding, attempt: &Attempt, said: &Said<'_>) -> Finding {
    if let Some(status) = said.status {
        let line = attempt.response.line.clone().unwrap_or_else(|| status.to_string());
        finding = finding.seen("status", line);
    }
    if let Some(complaint) = said.complaint {
        let name = complaint.name().map(|name| format!("{name}: ")).unwrap_or_default();
        finding = finding.seen("error", format!("{name}{}", complaint.message));
        finding = finding.seen_perhaps("field", field(Some(complaint)));
        finding = finding.seen_perhaps("provider behind it", complaint.via.clone());
        for quota in &complaint.quotas {
            finding = finding.seen("quota", quota.clone());
        }
    }
    if let Some(beginning) = &said.answer.beginning {
        let kind = material::header(&attempt.response, "content-type").unwrap_or("no content type");
        finding = finding.seen("body", format!("{kind}: \"{beginning}\""));
    }
    // Limits that are far from reached have nothing to do with anything else.
    let limited = matches!(finding.class, Class::RateLimit | Class::Overloaded | Class::Payment);
    let telling = |header: &&String| limited || header.starts_with("retry-after");
    for header in said.limits.quoted.iter().filter(telling) {
        finding = finding.seen("header", header.clone());
    }
    if let Some(server) = material::header(&attempt.response, "server")
        && said.answer.html
    {
        finding = finding.seen("header", format!("server: {server}"));
    }
    if said.answer.events
        && let Some(last) = &said.answer.last
    {
        let at = last.at_us.map(|at| format!(", after {}", prose::time(at))).unwrap_or_default();
        finding = finding.seen("last event", format!("{} (event {}{at})", last.name, last.number));
    }
    if said.complaint.is_none()
        && let Some(kind) = said.kind
    {
        finding = finding.seen("error", kind.to_owned());
    }
    finding.seen_perhaps("request id", attempt.upstream_request_id.clone())
}
