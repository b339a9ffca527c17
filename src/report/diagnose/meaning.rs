//! What the words and numbers of a provider's error mean.

use crate::dialect::complaint::Complaint;
use crate::report::diagnose::class::Class;
use crate::report::diagnose::phrases::{CODES, RATE_WORDS, Rule, WORDS};

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

    use Class::{
        Authentication, ContentPolicy, ContextOverflow, InvalidRequest, ModelNotFound, Overloaded,
        Payment, Permission, RateLimit, RequestTooLarge,
    };

    const MEANT: &[(&str, Class, &str)] = &[
        ("prompt is too long: 215432 tokens > 200000 maximum", ContextOverflow, ""),
        (
            "input length and `max_tokens` exceed context limit: 195000 + 64000 > 200000, decrease input length or `max_tokens` and try again",
            ContextOverflow,
            "with_output",
        ),
        (
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130233 tokens.",
            ContextOverflow,
            "",
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (3000 in the messages, 2000 in the completion).",
            ContextOverflow,
            "with_output",
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ContextOverflow,
            "",
        ),
        (
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            ContextOverflow,
            "",
        ),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            ContextOverflow,
            "",
        ),
        (
            "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
            RateLimit,
            "tokens",
        ),
        (
            "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 45000.",
            RateLimit,
            "tokens",
        ),
        (
            "Rate limit reached for gpt-5 on requests per day (RPD): Limit 200, Used 200, Requested 1.",
            RateLimit,
            "requests",
        ),
        (
            "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
            RateLimit,
            "tokens",
        ),
        (
            "Number of concurrent connections has exceeded your rate limit.",
            RateLimit,
            "concurrency",
        ),
        (
            "You exceeded your current quota, please check your plan and billing details.",
            Payment,
            "credit",
        ),
        ("Your credit balance is too low to access the Anthropic API.", Payment, "credit"),
        ("Insufficient Balance", Payment, "credit"),
        ("The model is overloaded. Please try again later.", Overloaded, ""),
        ("API key not valid. Please pass a valid API key.", Authentication, "key"),
        ("Your organization must be verified to use the model `o3`.", Permission, "model"),
        ("User location is not supported for the API use.", Permission, "region"),
        ("models/gemini-9 is not found for API version v1beta", ModelNotFound, ""),
        ("The model `gpt-9` does not exist or you do not have access to it.", ModelNotFound, ""),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            InvalidRequest,
            "unsupported_parameter",
        ),
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            InvalidRequest,
            "unsupported_value",
        ),
        ("foo: Extra inputs are not permitted", InvalidRequest, "unsupported_parameter"),
        (
            "Invalid JSON payload received. Unknown name \"foo\": Cannot find field.",
            InvalidRequest,
            "unsupported_parameter",
        ),
        (
            "max_tokens: 300000 > 64000, which is the maximum allowed number of output tokens for claude-x",
            InvalidRequest,
            "max_tokens",
        ),
        (
            "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
            InvalidRequest,
            "max_tokens",
        ),
        (
            "Invalid schema for function 'f': In context=('properties',), 'items' is missing.",
            InvalidRequest,
            "tool_schema",
        ),
        ("tools.0.custom.input_schema: JSON schema is invalid.", InvalidRequest, "tool_schema"),
        (
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes",
            InvalidRequest,
            "image",
        ),
        (
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            InvalidRequest,
            "thinking_signature",
        ),
        (
            "Function call is missing a thought_signature in functionCall parts.",
            InvalidRequest,
            "thinking_signature",
        ),
        (
            "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
            InvalidRequest,
            "orphan_tool_result",
        ),
        (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
            InvalidRequest,
            "orphan_tool_result",
        ),
        ("No tool output found for function call call_1.", InvalidRequest, "orphan_tool_result"),
        (
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            InvalidRequest,
            "orphan_tool_result",
        ),
        (
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
            InvalidRequest,
            "cache_control",
        ),
        ("Output blocked by content filtering policy", ContentPolicy, "answer"),
        (
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            ContentPolicy,
            "prompt",
        ),
        ("413 Request Entity Too Large", RequestTooLarge, ""),
    ];

    #[test]
    fn the_words_of_many_providers_are_understood() {
        for (message, class, detail) in MEANT {
            check(message, *class, detail);
        }
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
