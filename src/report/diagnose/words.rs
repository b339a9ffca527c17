//! What the words of a provider's error mean. A table of phrases, most telling first: providers change codes rarely and
//! words seldom, and those that imitate another copy both.

use crate::dialect::complaint::Complaint;
use crate::report::diagnose::class::Class;

/// A meaning, and the phrases that carry it: all of one line have to be there, in lower case.
struct Rule {
    class: Class,
    detail: &'static str,
    phrases: &'static [&'static [&'static str]],
}

const fn rule(
    class: Class,
    detail: &'static str,
    phrases: &'static [&'static [&'static str]],
) -> Rule {
    Rule { class, detail, phrases }
}

/// Codes and types that mean one thing wherever they stand.
const CODES: &[(&str, Class, &str)] = &[
    ("context_length_exceeded", Class::ContextOverflow, ""),
    ("model_context_window_exceeded", Class::ContextOverflow, ""),
    ("string_above_max_length", Class::ContextOverflow, "text"),
    ("insufficient_quota", Class::Payment, "quota"),
    ("billing_hard_limit_reached", Class::Payment, "quota"),
    ("billing_not_active", Class::Payment, "billing"),
    ("billing_error", Class::Payment, "billing"),
    ("invalid_api_key", Class::Authentication, "key"),
    ("api_key_invalid", Class::Authentication, "key"),
    ("authentication_error", Class::Authentication, "key"),
    ("unauthenticated", Class::Authentication, "key"),
    ("unsupported_country_region_territory", Class::Permission, "region"),
    ("model_not_found", Class::ModelNotFound, ""),
    ("deploymentnotfound", Class::ModelNotFound, ""),
    ("content_policy_violation", Class::ContentPolicy, "prompt"),
    ("content_filter", Class::ContentPolicy, "prompt"),
    ("prompt_blocked", Class::ContentPolicy, "prompt"),
    ("invalid_prompt", Class::ContentPolicy, "prompt"),
    ("responsibleaipolicyviolation", Class::ContentPolicy, "prompt"),
    ("overloaded_error", Class::Overloaded, ""),
    ("server_overloaded", Class::Overloaded, ""),
    ("slow_down", Class::Overloaded, "slow_down"),
    ("request_too_large", Class::RequestTooLarge, ""),
    ("invalid_function_parameters", Class::InvalidRequest, "tool_schema"),
    ("unsupported_parameter", Class::InvalidRequest, "unsupported_parameter"),
    ("unknown_parameter", Class::InvalidRequest, "unsupported_parameter"),
    ("unsupported_value", Class::InvalidRequest, "unsupported_value"),
    ("invalid_encrypted_content", Class::InvalidRequest, "thinking_signature"),
    ("thinking_signature_invalid", Class::InvalidRequest, "thinking_signature"),
    ("previous_response_not_found", Class::InvalidRequest, "previous_response"),
    ("invalid_image_format", Class::InvalidRequest, "image"),
    ("image_parse_error", Class::InvalidRequest, "image"),
    ("image_too_large", Class::InvalidRequest, "image"),
    ("invalid_base64_image", Class::InvalidRequest, "image"),
    ("tool_use_failed", Class::InvalidRequest, "tool_call"),
    ("requests", Class::RateLimit, "requests"),
    ("tokens", Class::RateLimit, "tokens"),
    ("rate_limit_error", Class::RateLimit, ""),
    ("rate_limit_exceeded", Class::RateLimit, ""),
    ("deadline_exceeded", Class::ProviderTimeout, ""),
    ("timeout_error", Class::ProviderTimeout, ""),
    ("permission_error", Class::Permission, ""),
    ("permission_denied", Class::Permission, ""),
    ("server_error", Class::ServerError, ""),
    ("api_error", Class::ServerError, ""),
];

/// Words that a rate limit is told by, whatever else they say: a request larger than the limit names both.
const RATE_WORDS: &[Rule] = &[
    rule(
        Class::RateLimit,
        "tokens",
        &[
            &["tokens per min"],
            &["(tpm)"],
            &["tokens per day"],
            &["(tpd)"],
            &["tokens per minute"],
            &["request tokens has exceeded"],
            &["input_token"],
            &["output tokens per"],
        ],
    ),
    rule(
        Class::RateLimit,
        "requests",
        &[
            &["requests per min"],
            &["(rpm)"],
            &["(rpd)"],
            &["requests per day"],
            &["number of requests has exceeded"],
            &["rate limit reached for requests"],
        ],
    ),
    rule(Class::RateLimit, "concurrency", &[&["concurrent", "limit"], &["concurrency limit"]]),
];

const WORDS: &[Rule] = &[
    rule(
        Class::Authentication,
        "key",
        &[
            &["api key not valid"],
            &["incorrect api key"],
            &["invalid api key"],
            &["invalid x-api-key"],
            &["api key expired"],
            &["no auth credentials"],
            &["you didn't provide an api key"],
            &["missing api key"],
            &["invalid bearer token"],
            &["user not found"],
            &["token has expired"],
            &["invalid authentication"],
            &["authentication failed"],
        ],
    ),
    rule(
        Class::Payment,
        "credit",
        &[
            &["credit balance is too low"],
            &["insufficient balance"],
            &["insufficient credits"],
            &["requires more credits"],
            &["billing", "plan"],
            &["enable billing"],
            &["out of credits"],
            &["payment required"],
            &["spending limit"],
            &["usage limits", "regain access"],
        ],
    ),
    rule(
        Class::ContextOverflow,
        "with_output",
        &[&["exceed context limit"], &["in the messages", "in the completion"]],
    ),
    rule(
        Class::ContextOverflow,
        "",
        &[
            &["prompt is too long"],
            &["maximum context length"],
            &["exceeds the context window"],
            &["context window", "exceed"],
            &["context_length_exceeded"],
            &["input token count", "exceed"],
            &["reduce the length of the messages"],
            &["input is too long"],
            &["available context size"],
            &["too large for model with", "context"],
            &["context length", "exceed"],
            &["too many input tokens"],
            &["longer than the model's context"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "thinking_signature",
        &[
            &["signature", "thinking"],
            &["thought_signature"],
            &["thought signature"],
            &["redacted_thinking"],
            &["thinking", "cannot be modified"],
            &["encrypted content", "could not be"],
            &["required following item"],
            &["without its required", "reasoning"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "orphan_tool_result",
        &[
            &["tool_use", "without", "tool_result"],
            &["unexpected `tool_use_id`"],
            &["tool_use_id", "tool_result", "corresponding"],
            &["must be followed by tool messages"],
            &["must be a response to a prece"],
            &["no tool output found"],
            &["no tool call found"],
            &["function response parts", "function call parts"],
            &["function call turn", "comes immediately"],
            &["tool_call_id", "not found"],
            &["tool result", "does not match"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "image",
        &[
            &["image exceeds"],
            &["image dimensions"],
            &["could not process image"],
            &["unsupported image"],
            &["image is not valid"],
            &["process input image"],
            &["image size", "exceed"],
            &["invalid image"],
            &["image url", "download"],
            &["does not support image"],
            &["image input", "not support"],
            &["image_url", "only supported by"],
            &["too many images"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "tool_schema",
        &[
            &["invalid schema for function"],
            &["input_schema"],
            &["function_declarations"],
            &["tools[", ".function.name"],
            &["tool names must be unique"],
            &["tools.", "name"],
            &["json schema is invalid"],
            &["tools", "schema"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "response_schema",
        &[
            &["invalid schema for response_format"],
            &["response_schema"],
            &["response_json_schema"],
            &["output_format", "schema"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "max_tokens",
        &[
            &["max_tokens", "too large"],
            &["maximum allowed number of output tokens"],
            &["max_tokens", "must be greater than", "budget_tokens"],
            &["max_completion_tokens", "too large"],
            &["at most", "completion tokens"],
            &["max_output_tokens", "supported range"],
            &["maxoutputtokens", "supported range"],
            &["max_tokens", "must be"],
            &["max_output_tokens", "minimum"],
        ],
    ),
    rule(Class::InvalidRequest, "cache_control", &[&["cache_control"]]),
    rule(Class::InvalidRequest, "beta_header", &[&["anthropic-beta"]]),
    rule(
        Class::InvalidRequest,
        "unsupported_parameter",
        &[
            &["unsupported parameter"],
            &["unrecognized request argument"],
            &["extra inputs are not permitted"],
            &["unknown name", "cannot find field"],
            &["is not supported with this model"],
            &["not supported by this model"],
            &["unknown parameter"],
            &["does not support parameter"],
            &["unexpected keyword"],
            &["parameter", "not supported"],
            &["property", "is unsupported"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "unsupported_value",
        &[
            &["unsupported value"],
            &["cannot both be specified"],
            &["does not support", "this model"],
            &["must be between"],
            &["less than or equal to"],
            &["greater than or equal to"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "stream",
        &[&["stream", "required"], &["only support", "stream"], &["stream must be"]],
    ),
    rule(Class::InvalidRequest, "previous_response", &[&["previous response", "not found"]]),
    rule(
        Class::InvalidRequest,
        "messages",
        &[
            &["roles must alternate"],
            &["must use the \"user\" role"],
            &["trailing whitespace"],
            &["text content blocks must be non-empty"],
            &["at least one message"],
            &["message prefill"],
            &["contents is not specified"],
            &["must not be empty"],
            &["multiturn requests"],
            &["conversation must", "user"],
        ],
    ),
    rule(
        Class::InvalidRequest,
        "json",
        &[&["parse the json body"], &["invalid json"], &["not valid json"], &["json decode"]],
    ),
    rule(
        Class::ModelNotFound,
        "",
        &[
            &["model", "does not exist"],
            &["model", "not found"],
            &["is not a valid model"],
            &["unknown model"],
            &["models/", "is not found"],
            &["model", "deprecated"],
            &["model", "decommissioned"],
            &["no such model"],
            &["model", "no longer available"],
            &["no endpoints found"],
        ],
    ),
    rule(Class::ContentPolicy, "answer", &[&["output blocked by content filter"]]),
    rule(
        Class::ContentPolicy,
        "prompt",
        &[
            &["usage policy"],
            &["usage policies"],
            &["content management policy"],
            &["content filtering policy"],
            &["content policy"],
            &["flagged"],
            &["safety system"],
            &["requires moderation"],
            &["prohibited_content"],
            &["blocked by", "filter"],
        ],
    ),
    rule(
        Class::Permission,
        "model",
        &[
            &["does not have access"],
            &["not have access to"],
            &["must be verified"],
            &["not allowed to use"],
            &["not enabled for"],
            &["has not been used in project"],
        ],
    ),
    rule(
        Class::Permission,
        "region",
        &[&["not available in your"], &["location is not supported"], &["country"]],
    ),
    rule(
        Class::RequestTooLarge,
        "",
        &[
            &["request entity too large"],
            &["payload too large"],
            &["exceeds the maximum size"],
            &["request size exceeds"],
            &["request body is too large"],
            &["payload size exceeds"],
        ],
    ),
    rule(
        Class::Overloaded,
        "",
        &[
            &["overloaded"],
            &["no capacity"],
            &["at capacity"],
            &["high demand"],
            &["resource exhausted, retry"],
            &["temporarily unavailable"],
            &["loading"],
        ],
    ),
    rule(
        Class::RateLimit,
        "",
        &[
            &["rate limit"],
            &["rate_limit"],
            &["ratelimit"],
            &["too many requests"],
            &["quota"],
            &["resource has been exhausted"],
            &["throttl"],
        ],
    ),
    rule(Class::ProviderTimeout, "", &[&["timed out"], &["timeout"], &["deadline"]]),
];

/// What an error says it is: class and detail. `None`: its words say nothing known.
pub(super) fn meaning(complaint: &Complaint) -> Option<(Class, &'static str)> {
    let said = complaint.message.to_lowercase();
    // A limit per day and one per minute are told apart by Google in ids, by others in words.
    if let Some(detail) = google_quota(complaint) {
        return Some((Class::RateLimit, detail));
    }
    let coded = coded(complaint);
    let rated = find(RATE_WORDS, &said);
    match coded {
        // "Rate limit" alone: the words know which.
        Some((Class::RateLimit, "")) => {
            let payment = find(WORDS, &said).filter(|(class, _)| *class == Class::Payment);
            rated.or(payment).or(coded)
        }
        // Broad codes: the words say more, if they say anything.
        Some((Class::ServerError | Class::Permission, "")) => {
            rated.or_else(|| find(WORDS, &said)).or(coded)
        }
        Some(_) => coded,
        None => rated.or_else(|| find(WORDS, &said)),
    }
}

fn coded(complaint: &Complaint) -> Option<(Class, &'static str)> {
    let names = [&complaint.code, &complaint.kind];
    names.into_iter().flatten().find_map(|name| {
        let name = name.to_lowercase();
        let found = CODES.iter().find(|(code, _, _)| *code == name)?;
        Some((found.1, found.2))
    })
}

fn find(rules: &[Rule], said: &str) -> Option<(Class, &'static str)> {
    let means = |rule: &&Rule| {
        rule.phrases.iter().any(|words| words.iter().all(|word| said.contains(word)))
    };
    rules.iter().find(means).map(|rule| (rule.class, rule.detail))
}

fn google_quota(complaint: &Complaint) -> Option<&'static str> {
    let id = complaint.quotas.first()?.to_lowercase();
    let tokens = id.contains("token");
    Some(match (id.contains("perday"), tokens) {
        (true, _) => "day",
        (false, true) => "tokens",
        (false, false) => "requests",
    })
}

/// Whether words or ids speak of a day's limit.
pub(super) fn is_daily(complaint: &Complaint) -> bool {
    let said = complaint.message.to_lowercase();
    complaint.quotas.iter().any(|id| id.to_lowercase().contains("perday"))
        || ["per day", "(rpd)", "(tpd)", "daily"].iter().any(|words| said.contains(words))
}

/// The whole numbers in a text, in order, separators within them left out. At most eight: sentences of limits have four.
pub(super) fn numbers(text: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        // Digits behind a letter belong to a name, such as gpt-4o or claude-3-5.
        let before = rest.get(..start).and_then(|before| before.chars().next_back());
        let number = rest.get(start..).unwrap_or_default();
        let length = number
            .char_indices()
            .find(|(at, c)| {
                let grouped = *c == ','
                    && number
                        .get(at + 1..at + 4)
                        .is_some_and(|next| next.chars().all(|digit| digit.is_ascii_digit()));
                !c.is_ascii_digit() && !grouped
            })
            .map_or(number.len(), |(at, _)| at);
        let digits: String = number.chars().take(length).filter(char::is_ascii_digit).collect();
        let named =
            before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
        if !named && let Ok(value) = digits.parse() {
            found.push(value);
        }
        rest = number.get(length..).unwrap_or_default();
        if found.len() == 8 {
            break;
        }
    }
    found
}

/// What has been asked for and what there is, of an overflow's message: the largest number that is no limit, and the
/// limit, which is smaller.
pub(super) fn overflow(message: &str) -> Option<(u64, u64)> {
    let numbers = numbers(message);
    let lower = message.to_lowercase();
    // `195000 + 64000 > 200000`
    if lower.contains('+')
        && let [input, output, limit, ..] = numbers.as_slice()
    {
        return Some((input.saturating_add(*output), *limit));
    }
    let (mut asked, mut limit) = match numbers.as_slice() {
        [one, two, ..] => (*one, *two),
        _ => return None,
    };
    if asked < limit {
        (asked, limit) = (limit, asked);
    }
    Some((asked, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(message: &str) -> Complaint {
        Complaint { message: message.to_owned(), ..Complaint::default() }
    }

    fn check(message: &str, class: Class, detail: &str) {
        assert_eq!(meaning(&says(message)), Some((class, detail)), "{message}");
    }

    #[test]
    fn the_words_of_many_providers_are_understood() {
        use Class::{
            Authentication, ContentPolicy, ContextOverflow, InvalidRequest, ModelNotFound,
            Overloaded, Payment, Permission, RateLimit, RequestTooLarge,
        };
        check("prompt is too long: 215432 tokens > 200000 maximum", ContextOverflow, "");
        check(
            "input length and `max_tokens` exceed context limit: 195000 + 64000 > 200000, decrease input length or `max_tokens` and try again",
            ContextOverflow,
            "with_output",
        );
        check(
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130233 tokens.",
            ContextOverflow,
            "",
        );
        check(
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (3000 in the messages, 2000 in the completion).",
            ContextOverflow,
            "with_output",
        );
        check(
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ContextOverflow,
            "",
        );
        check(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            ContextOverflow,
            "",
        );
        check(
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            ContextOverflow,
            "",
        );
        check(
            "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
            RateLimit,
            "tokens",
        );
        check(
            "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 45000.",
            RateLimit,
            "tokens",
        );
        check(
            "Rate limit reached for gpt-5 on requests per day (RPD): Limit 200, Used 200, Requested 1.",
            RateLimit,
            "requests",
        );
        check(
            "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
            RateLimit,
            "tokens",
        );
        check(
            "Number of concurrent connections has exceeded your rate limit.",
            RateLimit,
            "concurrency",
        );
        check(
            "You exceeded your current quota, please check your plan and billing details.",
            Payment,
            "credit",
        );
        check("Your credit balance is too low to access the Anthropic API.", Payment, "credit");
        check("Insufficient Balance", Payment, "credit");
        check("The model is overloaded. Please try again later.", Overloaded, "");
        check("API key not valid. Please pass a valid API key.", Authentication, "key");
        check("Your organization must be verified to use the model `o3`.", Permission, "model");
        check("User location is not supported for the API use.", Permission, "region");
        check("models/gemini-9 is not found for API version v1beta", ModelNotFound, "");
        check(
            "The model `gpt-9` does not exist or you do not have access to it.",
            ModelNotFound,
            "",
        );
        check(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            InvalidRequest,
            "unsupported_parameter",
        );
        check(
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            InvalidRequest,
            "unsupported_value",
        );
        check("foo: Extra inputs are not permitted", InvalidRequest, "unsupported_parameter");
        check(
            "Invalid JSON payload received. Unknown name \"foo\": Cannot find field.",
            InvalidRequest,
            "unsupported_parameter",
        );
        check(
            "max_tokens: 300000 > 64000, which is the maximum allowed number of output tokens for claude-x",
            InvalidRequest,
            "max_tokens",
        );
        check(
            "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
            InvalidRequest,
            "max_tokens",
        );
        check(
            "Invalid schema for function 'f': In context=('properties',), 'items' is missing.",
            InvalidRequest,
            "tool_schema",
        );
        check(
            "tools.0.custom.input_schema: JSON schema is invalid.",
            InvalidRequest,
            "tool_schema",
        );
        check(
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes",
            InvalidRequest,
            "image",
        );
        check(
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            InvalidRequest,
            "thinking_signature",
        );
        check(
            "Function call is missing a thought_signature in functionCall parts.",
            InvalidRequest,
            "thinking_signature",
        );
        check(
            "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
            InvalidRequest,
            "orphan_tool_result",
        );
        check(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
            InvalidRequest,
            "orphan_tool_result",
        );
        check(
            "No tool output found for function call call_1.",
            InvalidRequest,
            "orphan_tool_result",
        );
        check(
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            InvalidRequest,
            "orphan_tool_result",
        );
        check(
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
            InvalidRequest,
            "cache_control",
        );
        check("Output blocked by content filtering policy", ContentPolicy, "answer");
        check(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            ContentPolicy,
            "prompt",
        );
        check("413 Request Entity Too Large", RequestTooLarge, "");
        assert_eq!(meaning(&says("Something odd")), None);
    }

    #[test]
    fn codes_go_before_words_and_words_make_broad_codes_narrow() {
        let check = |kind: &str, code: &str, message: &str, class, detail| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let complaint = Complaint { kind: some(kind), code: some(code), ..says(message) };
            assert_eq!(meaning(&complaint), Some((class, detail)), "{kind} {code} {message}");
        };
        check("insufficient_quota", "insufficient_quota", "quota", Class::Payment, "quota");
        check("tokens", "rate_limit_exceeded", "Rate limit reached", Class::RateLimit, "");
        check(
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached for requests. Wait.",
            Class::RateLimit,
            "requests",
        );
        check("rate_limit_error", "", "40,000 input tokens per minute", Class::RateLimit, "tokens");
        check("overloaded_error", "", "Overloaded", Class::Overloaded, "");
        check("server_error", "", "The engine is currently overloaded", Class::Overloaded, "");
        check("api_error", "", "Internal server error", Class::ServerError, "");
        let daily =
            Complaint { quotas: vec!["GenerateRequestsPerDayPerProject".to_owned()], ..says("q") };
        assert_eq!(meaning(&daily), Some((Class::RateLimit, "day")));
        assert!(
            is_daily(&daily) && is_daily(&says("requests per day (RPD)")) && !is_daily(&says("x"))
        );
    }

    #[test]
    fn numbers_are_found_and_names_are_not() {
        assert_eq!(numbers("gpt-4o: Limit 30,000, used 29000; try in 2s."), [30_000, 29_000, 2]);
        assert_eq!(numbers("claude-3-5-sonnet v1.5 a7"), Vec::<u64>::new());
        for (message, expected) in [
            ("prompt is too long: 215432 tokens > 200000 maximum", (215_432, 200_000)),
            ("exceed context limit: 195000 + 64000 > 200000, decrease", (259_000, 200_000)),
            (
                "maximum context length is 128000 tokens. However, your messages resulted in 130233 tokens",
                (130_233, 128_000),
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                (1_200_000, 1_048_576),
            ),
        ] {
            assert_eq!(overflow(message), Some(expected), "{message}");
        }
        assert_eq!(overflow("Your input exceeds the context window"), None);
    }
}
