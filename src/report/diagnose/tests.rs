//! One fixture a class, in every dialect that has it.

use super::*;
use crate::exchange::signal::Signal;
use crate::neutral::failure::{Code, Source};
use crate::report::fixture::{exchange, whole};
use crate::report::look::Look;
use crate::store::stored::Listed;

fn of(stored: &Stored) -> Diagnosis {
    diagnose(stored, &Context::default())
}

/// Class and detail, the place, who can act.
#[track_caller]
fn check(stored: &Stored, class: Class, detail: &str, place: Place, act_at: Place) -> Diagnosis {
    let diagnosis = of(stored);
    let finding = &diagnosis.finding;
    let shown = text::one(&diagnosis, &stored.row, Look::default());
    assert_eq!(
        (finding.class, finding.detail.as_deref().unwrap_or(""), finding.place, finding.act_at),
        (class, detail, place, act_at),
        "{shown}"
    );
    if class != Class::Nothing {
        assert!(!finding.advice.is_empty(), "no advice: {shown}");
        assert!(!finding.evidence.is_empty(), "no evidence: {shown}");
    }
    let first = shown.lines().next().unwrap_or_default().to_owned();
    assert!(diagnosis.verdict.starts_with(first.trim_end_matches('.')), "{shown}");
    serde_json::to_value(&diagnosis).expect("JSON");
    diagnosis
}

/// A provider's refusal: dialect, status, body.
#[track_caller]
fn said(
    dialect: &str,
    status: u16,
    body: &str,
    class: Class,
    detail: &str,
    act_at: Place,
) -> Diagnosis {
    check(&exchange(dialect).refused(status, body), class, detail, Place::Provider, act_at)
}

const OPENAI: [&str; 3] = ["openai_chat", "openai_responses", "openai_embeddings"];

/// OpenAI's envelope, in its three dialects.
#[track_caller]
fn openai(
    status: u16,
    [kind, code, message]: [&str; 3],
    class: Class,
    detail: &str,
    act_at: Place,
) {
    let code = if code.is_empty() { "null".to_owned() } else { format!("\"{code}\"") };
    let message = serde_json::to_string(message).expect("JSON");
    let body = format!(
        r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":{code}}}}}"#
    );
    for dialect in OPENAI {
        said(dialect, status, &body, class, detail, act_at);
    }
}

#[track_caller]
fn anthropic(
    status: u16,
    kind: &str,
    message: &str,
    class: Class,
    detail: &str,
    act_at: Place,
) -> Diagnosis {
    let message = serde_json::to_string(message).expect("JSON");
    let body = format!(
        r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":"req_1"}}"#
    );
    said("anthropic", status, &body, class, detail, act_at)
}

#[track_caller]
fn gemini(
    status: u16,
    word: &str,
    message: &str,
    class: Class,
    detail: &str,
    act_at: Place,
) -> Diagnosis {
    let message = serde_json::to_string(message).expect("JSON");
    let body = format!(r#"{{"error":{{"code":{status},"message":{message},"status":"{word}"}}}}"#);
    said("gemini", status, &body, class, detail, act_at)
}

use Class::{
    Authentication, ContentPolicy, ContextOverflow, InvalidAnswer, InvalidRequest, ModelNotFound,
    NotFound, Overloaded, Payment, Permission, ProviderTimeout, RateLimit, RequestTooLarge,
    ServerError,
};
use Place::{Client, Gateway, Network, Provider};

const INVALID: &str = "invalid_request_error";

/// Status; type, code, message; class, detail, who can act.
type OpenAiSays = (u16, [&'static str; 3], Class, &'static str, Place);

const OPENAI_SAYS: &[OpenAiSays] = &[
    (
        401,
        [INVALID, "invalid_api_key", "Incorrect API key provided."],
        Authentication,
        "key",
        Gateway,
    ),
    (
        403,
        [
            INVALID,
            "unsupported_country_region_territory",
            "Country, region, or territory not supported",
        ],
        Permission,
        "region",
        Provider,
    ),
    (
        403,
        ["permission_error", "", "Your organization must be verified to use the model `o3`."],
        Permission,
        "model",
        Provider,
    ),
    (402, ["billing", "", "Insufficient Balance"], Payment, "credit", Provider),
    (
        429,
        [
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ],
        Payment,
        "quota",
        Provider,
    ),
    (
        429,
        [
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached for requests. Please try again later.",
        ],
        RateLimit,
        "requests",
        Provider,
    ),
    (
        429,
        [
            "tokens",
            "rate_limit_exceeded",
            "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.",
        ],
        RateLimit,
        "tokens",
        Provider,
    ),
    (
        503,
        ["server_error", "", "The engine is currently overloaded, please try again later"],
        Overloaded,
        "",
        Provider,
    ),
    (
        400,
        [
            INVALID,
            "context_length_exceeded",
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130233 tokens.",
        ],
        ContextOverflow,
        "",
        Client,
    ),
    (413, [INVALID, "", "Request too large"], RequestTooLarge, "", Client),
    (
        413,
        [
            "tokens",
            "rate_limit_exceeded",
            "Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 8000",
        ],
        RateLimit,
        "tokens",
        Provider,
    ),
    (
        400,
        [
            INVALID,
            "unsupported_parameter",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ],
        InvalidRequest,
        "unsupported_parameter",
        Client,
    ),
    (
        400,
        [
            INVALID,
            "unsupported_value",
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
        ],
        InvalidRequest,
        "unsupported_value",
        Client,
    ),
    (
        400,
        [
            INVALID,
            "",
            "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
        ],
        InvalidRequest,
        "max_tokens",
        Client,
    ),
    (
        400,
        [
            INVALID,
            "invalid_function_parameters",
            "Invalid schema for function 'f': 'items' is missing.",
        ],
        InvalidRequest,
        "tool_schema",
        Client,
    ),
    (
        400,
        [INVALID, "invalid_image_format", "You uploaded an unsupported image."],
        InvalidRequest,
        "image",
        Client,
    ),
    (
        400,
        [
            INVALID,
            "",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
        ],
        InvalidRequest,
        "orphan_tool_result",
        Client,
    ),
    (
        400,
        [
            INVALID,
            "",
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        ],
        InvalidRequest,
        "thinking_signature",
        Client,
    ),
    (
        400,
        [
            INVALID,
            "invalid_prompt",
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        ],
        ContentPolicy,
        "prompt",
        Client,
    ),
    (
        404,
        [
            INVALID,
            "model_not_found",
            "The model `gpt-9` does not exist or you do not have access to it.",
        ],
        ModelNotFound,
        "",
        Client,
    ),
    (404, [INVALID, "", "Invalid URL (POST /v1/v1/responses)"], NotFound, "", Gateway),
    (400, [INVALID, "", "Something else"], InvalidRequest, "", Client),
    (
        500,
        ["server_error", "", "The server had an error while processing your request."],
        ServerError,
        "",
        Provider,
    ),
    (504, ["timeout", "", "Request timed out"], ProviderTimeout, "", Provider),
];

#[test]
fn openai_says_no() {
    for (status, words, class, detail, act_at) in OPENAI_SAYS {
        openai(*status, *words, *class, detail, *act_at);
    }
}

/// Status, type, message; class, detail, who can act.
const ANTHROPIC_SAYS: &[(u16, &str, &str, Class, &str, Place)] = &[
    (401, "authentication_error", "invalid x-api-key", Authentication, "key", Gateway),
    (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
        Permission,
        "",
        Provider,
    ),
    (
        400,
        INVALID,
        "Your credit balance is too low to access the Anthropic API.",
        Payment,
        "credit",
        Provider,
    ),
    (402, "billing_error", "There is an issue with your billing", Payment, "billing", Provider),
    (
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 40,000 input tokens per minute",
        RateLimit,
        "tokens",
        Provider,
    ),
    (
        429,
        "rate_limit_error",
        "Number of requests has exceeded your per-minute rate limit",
        RateLimit,
        "requests",
        Provider,
    ),
    (
        429,
        "rate_limit_error",
        "Number of concurrent connections has exceeded your rate limit.",
        RateLimit,
        "concurrency",
        Provider,
    ),
    (529, "overloaded_error", "Overloaded", Overloaded, "", Provider),
    (
        400,
        INVALID,
        "prompt is too long: 215432 tokens > 200000 maximum",
        ContextOverflow,
        "",
        Client,
    ),
    (
        400,
        INVALID,
        "input length and `max_tokens` exceed context limit: 195000 + 64000 > 200000, decrease input length or `max_tokens` and try again",
        ContextOverflow,
        "with_output",
        Client,
    ),
    (413, "request_too_large", "Request exceeds the maximum size", RequestTooLarge, "", Client),
    (
        400,
        INVALID,
        "max_tokens: 300000 > 64000, which is the maximum allowed number of output tokens for m-1",
        InvalidRequest,
        "max_tokens",
        Client,
    ),
    (
        400,
        INVALID,
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        InvalidRequest,
        "thinking_signature",
        Client,
    ),
    (
        400,
        INVALID,
        "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
        InvalidRequest,
        "orphan_tool_result",
        Client,
    ),
    (
        400,
        INVALID,
        "tools.0.custom.input_schema: JSON schema is invalid.",
        InvalidRequest,
        "tool_schema",
        Client,
    ),
    (
        400,
        INVALID,
        "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes",
        InvalidRequest,
        "image",
        Client,
    ),
    (
        400,
        INVALID,
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        InvalidRequest,
        "cache_control",
        Client,
    ),
    (
        400,
        INVALID,
        "Unexpected value(s) `x` for the `anthropic-beta` header",
        InvalidRequest,
        "beta_header",
        Client,
    ),
    (
        400,
        INVALID,
        "temperature: Extra inputs are not permitted",
        InvalidRequest,
        "unsupported_parameter",
        Client,
    ),
    (400, INVALID, "Output blocked by content filtering policy", ContentPolicy, "answer", Client),
    (404, "not_found_error", "model: claude-9", NotFound, "", Gateway),
    (500, "api_error", "Internal server error", ServerError, "", Provider),
    (504, "timeout_error", "Request timed out", ProviderTimeout, "", Provider),
];

#[test]
fn anthropic_says_no() {
    for (status, kind, message, class, detail, act_at) in ANTHROPIC_SAYS {
        anthropic(*status, kind, message, *class, detail, *act_at);
    }
}

#[test]
fn numbers_and_places_of_messages_are_in_the_sentence() {
    let says = |message: &str, class, detail: &str| {
        anthropic(400, INVALID, message, class, detail, Client).verdict
    };
    assert_eq!(
        says("prompt is too long: 215432 tokens > 200000 maximum", ContextOverflow, ""),
        "The prompt of 215,432 tokens does not fit m-1, which takes 200,000: 15,432 too many"
    );
    assert_eq!(
        says(
            "max_tokens: 300000 > 64000, which is the maximum allowed number of output tokens for m-1",
            InvalidRequest,
            "max_tokens"
        ),
        "More output is asked for than the model can give: 300,000 where 64,000 is the most"
    );
    let signature = says(
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        InvalidRequest,
        "thinking_signature",
    );
    assert!(signature.contains("at `messages.1.content.0`"), "{signature}");
}

/// Status, type, message; class, detail, who can act.
const GEMINI_SAYS: &[(u16, &str, &str, Class, &str, Place)] = &[
    (
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        Authentication,
        "key",
        Gateway,
    ),
    (
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials.",
        Authentication,
        "key",
        Gateway,
    ),
    (
        403,
        "PERMISSION_DENIED",
        "Permission denied on resource project x.",
        Permission,
        "",
        Provider,
    ),
    (
        400,
        "FAILED_PRECONDITION",
        "User location is not supported for the API use.",
        Permission,
        "region",
        Provider,
    ),
    (
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
        RateLimit,
        "",
        Provider,
    ),
    (
        503,
        "UNAVAILABLE",
        "The model is overloaded. Please try again later.",
        Overloaded,
        "",
        Provider,
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ContextOverflow,
        "",
        Client,
    ),
    (
        404,
        "NOT_FOUND",
        "models/gemini-9 is not found for API version v1beta",
        ModelNotFound,
        "",
        Client,
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Invalid JSON payload received. Unknown name \"foo\": Cannot find field.",
        InvalidRequest,
        "unsupported_parameter",
        Client,
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Function call is missing a thought_signature in functionCall parts.",
        InvalidRequest,
        "thinking_signature",
        Client,
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
        InvalidRequest,
        "orphan_tool_result",
        Client,
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Unable to process input image. Please retry.",
        InvalidRequest,
        "image",
        Client,
    ),
    (500, "INTERNAL", "An internal error has occurred.", ServerError, "", Provider),
    (504, "DEADLINE_EXCEEDED", "The request timed out.", ProviderTimeout, "", Provider),
];

#[test]
fn gemini_says_no() {
    for (status, kind, message, class, detail, act_at) in GEMINI_SAYS {
        gemini(*status, kind, message, *class, detail, *act_at);
    }
}

#[test]
fn gemini_tells_more_in_its_details() {
    let daily = r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"34.5s"}]}}"#;
    let daily = said("gemini", 429, daily, RateLimit, "day", Provider);
    assert!(daily.verdict.contains("it says to wait 34.5 s"), "{}", daily.verdict);
    check(
        &exchange("gemini").answering(
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{}}"#,
        ),
        ContentPolicy,
        "prompt",
        Provider,
        Client,
    );
}

#[test]
fn limits_of_the_headers_are_told_with_their_numbers() {
    let stored = exchange("openai_chat")
        .refused(429, r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#)
        .header("retry-after", "7")
        .header("x-ratelimit-limit-tokens", "30000")
        .header("x-ratelimit-remaining-tokens", "0")
        .header("x-ratelimit-reset-tokens", "6s");
    let diagnosis = of(&stored);
    assert_eq!(
        diagnosis.verdict,
        "Provider far holds m-1 back: its limit is used up (tokens: 0 of 30,000 left, resets in 6s); it says to wait 7 s"
    );
    let seen: Vec<&str> =
        diagnosis.finding.evidence.iter().map(|evidence| evidence.seen.as_str()).collect();
    assert!(
        seen.contains(&"retry-after: 7") && seen.contains(&"x-ratelimit-remaining-tokens: 0"),
        "{seen:?}"
    );
}

#[test]
fn pages_and_statuses_without_words_are_understood() {
    const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    for dialect in ["openai_chat", "openai_responses", "anthropic", "gemini"] {
        said(dialect, 502, PAGE, InvalidAnswer, "html", Gateway);
        said(dialect, 403, PAGE, InvalidAnswer, "html", Gateway);
        said(dialect, 413, PAGE, RequestTooLarge, "", Client);
        said(dialect, 429, PAGE, RateLimit, "", Provider);
        said(dialect, 404, PAGE, NotFound, "", Gateway);
        said(dialect, 500, "upstream connect error", ServerError, "", Provider);
        for (status, class) in [
            (401, Authentication),
            (402, Payment),
            (403, Permission),
            (408, ProviderTimeout),
            (422, InvalidRequest),
            (500, ServerError),
            (529, Overloaded),
        ] {
            let act_at = match class {
                Authentication => Gateway,
                InvalidRequest => Client,
                _ => Provider,
            };
            said(dialect, status, "", class, "", act_at);
        }
    }
    let mut passed = exchange("anthropic").refused(401, "");
    passed.attempt().key_label = None;
    check(&passed, Authentication, "", Provider, Client);
}

#[test]
fn what_was_not_kept_is_told_by_the_gateways_kinds() {
    for (kind, class) in [
        ("upstream_authentication", Authentication),
        ("upstream_payment", Payment),
        ("upstream_permission", Permission),
        ("upstream_not_found", NotFound),
        ("upstream_timeout", ProviderTimeout),
        ("upstream_too_large", RequestTooLarge),
        ("upstream_rate_limit", RateLimit),
        ("upstream_overloaded", Overloaded),
        ("upstream_invalid_request", InvalidRequest),
        ("upstream_server_error", ServerError),
        ("upstream_stream_error", ServerError),
    ] {
        let mut stored = exchange("openai_chat").ended("upstream_error", kind, "").bare();
        stored.attempt().status = None;
        let diagnosis = of(&stored);
        assert_eq!(diagnosis.finding.class, class, "{kind}");
        assert!(diagnosis.finding.advice.iter().any(|advice| advice.contains("capture")), "{kind}");
    }
}

fn golden(path: &str) -> String {
    let path = format!("{}/tests/golden/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn streams_that_fail_in_the_middle_are_told_from_their_last_event() {
    for (dialect, folder, class) in [
        ("openai_chat", "openai_chat", ServerError),
        ("anthropic", "anthropic_messages", Overloaded),
        ("gemini", "gemini_generate", Overloaded),
    ] {
        let stored = exchange(dialect)
            .answering(&golden(&format!("{folder}/streams/error.sse")))
            .ended("upstream_error", "upstream_stream_error", "");
        let diagnosis = check(&stored, class, "", Provider, Provider);
        assert!(diagnosis.verdict.contains("in the middle of the stream"), "{}", diagnosis.verdict);
    }
    let failed = "event: response.created\ndata: {\"type\":\"response.created\"}\n\nevent: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Rate limit reached on tokens per min (TPM)\"}}}\n\n";
    let stored = exchange("openai_responses").answering(failed).ended(
        "upstream_error",
        "upstream_rate_limit",
        "",
    );
    check(&stored, RateLimit, "tokens", Provider, Provider);
    for (dialect, file, class) in [
        ("anthropic", "anthropic_messages/responses/error.json", Overloaded),
        ("openai_chat", "openai_chat/responses/error.json", Payment),
        ("gemini", "gemini_generate/responses/array_error.json", RateLimit),
    ] {
        let stored = exchange(dialect).answering(&golden(file)).ended(
            "upstream_error",
            "upstream_error",
            "",
        );
        assert_eq!(of(&stored).finding.class, class, "{file}");
    }
}

#[test]
fn every_refusal_of_the_gateway_is_named() {
    for code in Code::ALL.iter().copied().filter(|code| code.source() != Source::Upstream) {
        for dialect in
            ["openai_chat", "openai_responses", "openai_embeddings", "anthropic", "gemini"]
        {
            let mut stored = exchange(dialect).ended(
                "rejected",
                code.label(),
                &format!("{}; {}", code.meaning(), code.remedy()),
            );
            stored.attempts.clear();
            stored.row.provider = None;
            stored.row.status = Some(code.status());
            let diagnosis = of(&stored);
            let finding = &diagnosis.finding;
            if code == Code::InternalError {
                assert_eq!((finding.class, finding.place), (Class::GatewayError, Gateway));
                continue;
            }
            assert_eq!(
                (finding.class, finding.detail.as_deref(), finding.place),
                (Class::GatewayRefusal, Some(code.label()), Gateway)
            );
            assert!(finding.advice.iter().any(|advice| advice == code.remedy()));
            let expected = match code {
                Code::EndpointNotEnabled | Code::NoProvider | Code::ProviderNotFound => Gateway,
                code if code.source() == Source::Client => Client,
                _ => Gateway,
            };
            assert_eq!(finding.act_at, expected, "{}", code.label());
        }
    }
}

#[test]
fn the_gateways_own_envelopes_are_not_taken_for_the_providers() {
    let text = golden("anthropic_messages/errors/upstream_idle_timeout.snap");
    let body = text.lines().find(|line| line.starts_with('{')).expect("an envelope");
    let mut stored = exchange("anthropic").unanswered().ended(
        "timeout",
        "upstream_first_byte_timeout",
        "no answer",
    );
    stored.response.body = whole(body.as_bytes());
    check(&stored, Class::FirstByteTimeout, "", Provider, Provider);
}

/// Outcome, kind, the gateway's words; class, detail, place, who can act.
type Broke = ([&'static str; 3], Class, &'static str, Place, Place);

const BROKE: &[Broke] = &[
    (
        [
            "upstream_reset",
            "upstream_unreachable",
            "provider far: the name nowhere.invalid does not resolve: no such host",
        ],
        Class::DnsFailure,
        "",
        Network,
        Gateway,
    ),
    (
        [
            "upstream_reset",
            "upstream_unreachable",
            "provider far: connecting to 127.0.0.1:9 failed: Connection refused (os error 111)",
        ],
        Class::ConnectFailure,
        "refused",
        Network,
        Gateway,
    ),
    (
        [
            "upstream_reset",
            "upstream_unreachable",
            "provider far: connecting to 10.0.0.1:9 failed: No route to host",
        ],
        Class::ConnectFailure,
        "",
        Network,
        Gateway,
    ),
    (
        [
            "upstream_reset",
            "upstream_unreachable",
            "provider far: TLS with far.example failed: invalid peer certificate: UnknownIssuer",
        ],
        Class::TlsFailure,
        "",
        Network,
        Gateway,
    ),
    (
        ["upstream_reset", "upstream_unreachable", "provider far: the proxy p:3128 answered: 407"],
        Class::ConnectFailure,
        "proxy",
        Network,
        Gateway,
    ),
    (
        ["timeout", "upstream_connect_timeout", "provider far: no connection to far within 10s"],
        Class::ConnectTimeout,
        "",
        Network,
        Network,
    ),
    (
        ["timeout", "upstream_first_byte_timeout", "provider far sent no answer within 120s"],
        Class::FirstByteTimeout,
        "",
        Provider,
        Provider,
    ),
    (
        ["timeout", "upstream_total_timeout", "not over within 30s"],
        Class::TotalTimeout,
        "",
        Gateway,
        Gateway,
    ),
    (
        ["upstream_reset", "upstream_reset", "closed the connection before answering"],
        Class::Reset,
        "",
        Provider,
        Provider,
    ),
    (
        ["upstream_reset", "upstream_reset", "Connection reset by peer"],
        Class::Reset,
        "",
        Network,
        Network,
    ),
    (
        ["upstream_reset", "upstream_invalid", "the answer is not HTTP"],
        InvalidAnswer,
        "not_http",
        Provider,
        Gateway,
    ),
    (["gateway_error", "interrupted", ""], Class::Interrupted, "", Gateway, Gateway),
    (["gateway_error", "", ""], Class::GatewayError, "", Gateway, Gateway),
];

#[test]
fn no_answer_is_told_by_what_broke() {
    for ([outcome, kind, words], class, detail, place, act_at) in BROKE {
        let stored = exchange("openai_chat").unanswered().ended(outcome, kind, words);
        let found = check(&stored, *class, detail, *place, *act_at);
        let named = *class != Class::DnsFailure
            || found.verdict.contains("the name nowhere.invalid has no address");
        assert!(named, "{}", found.verdict);
    }
}

const HALF: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: cont";

#[test]
fn half_an_answer_tells_where_it_was_cut() {
    let half = |outcome: &str, kind: &str| {
        let mut stored = exchange("anthropic").answering(HALF).ended(outcome, kind, "");
        stored.row.stream = true;
        stored.attempt().frames =
            vec![(150_000, 73), (300_000, u32::try_from(HALF.len()).expect("short") - 73)];
        stored
    };
    let mut cut = half("upstream_reset", "upstream_reset");
    cut.attempt().usage_source = Some("estimated".to_owned());
    cut.attempt().output_tokens = Some(3);
    let cut = check(&cut, Class::CutStream, "without_usage", Provider, Provider);
    assert_eq!(
        cut.verdict,
        "The answer of provider far was cut off after 2 events and half of the next (the last one `content_block_delta`): the connection was closed before the end"
    );
    let seen: Vec<String> =
        cut.finding.evidence.iter().map(|it| format!("{}: {}", it.what, it.seen)).collect();
    assert!(seen.contains(&format!("cut at: byte {} of the answer", HALF.len())), "{seen:?}");
    assert!(
        seen.contains(&"last event: content_block_delta (event 2, at 300 ms)".to_owned()),
        "{seen:?}"
    );
    let reason = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n";
    let mut with = half("upstream_reset", "upstream_reset")
        .answering(&format!("{}{reason}", HALF.trim_end_matches("event: cont")));
    with.attempt().usage_source = Some("provider".to_owned());
    with.attempt().output_tokens = Some(3);
    check(&with, Class::CutStream, "with_usage", Provider, Provider);
    let idle = check(
        &half("timeout", "upstream_idle_timeout"),
        Class::IdleTimeout,
        "",
        Provider,
        Provider,
    );
    assert!(idle.verdict.contains("stayed silent for 1.60 s"), "{}", idle.verdict);
    let total = check(
        &half("timeout", "upstream_total_timeout"),
        Class::TotalTimeout,
        "",
        Gateway,
        Gateway,
    );
    assert!(total.verdict.contains("after 2 events"), "{}", total.verdict);

    let mut left = half("client_cancelled", "");
    left.row.duration_us = 1_234_000;
    let left = check(&left, Class::ClientCancelled, "", Client, Client);
    assert!(
        left.verdict.starts_with("The client left after 1.23 s, after 2 events"),
        "{}",
        left.verdict
    );
    let mut waited = exchange("openai_chat").unanswered().ended("client_cancelled", "", "");
    waited.row.duration_us = 60_020_000;
    waited.row.agent = "openai-python".to_owned();
    let waited = check(&waited, Class::ClientCancelled, "timeout_suspected", Client, Client);
    assert_eq!(
        waited.verdict,
        "Openai-python left after 60.0 s, while it waited for the answer of provider far to begin; a client timeout of 60 s is likely"
    );
    assert!(waited.finding.advice[0].contains("`timeout=`"), "{:?}", waited.finding.advice);
}

/// An answer with these facts, in the dialect's document.
fn document(dialect: &str, finish: &str, text: &str) -> Stored {
    let body = match dialect {
        "anthropic" => format!(
            r#"{{"type":"message","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"{finish}","usage":{{"input_tokens":1,"output_tokens":9}}}}"#
        ),
        "gemini" => format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"{finish}"}}],"usageMetadata":{{}}}}"#
        ),
        "openai_responses" => format!(
            r#"{{"status":"incomplete","incomplete_details":{{"reason":"{finish}"}},"output":[{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}]}}"#
        ),
        _ => format!(
            r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"{finish}"}}]}}"#
        ),
    };
    let mut stored = exchange(dialect).answering(&body);
    stored.row.finish_reason = Some(finish.to_owned());
    stored.row.output_tokens = Some(9);
    stored
}

#[test]
fn answers_that_ended_at_a_limit_tell_which() {
    for (dialect, finish, asked) in [
        ("openai_chat", "length", r#"{"model":"m-1","max_completion_tokens":9}"#),
        ("openai_responses", "max_output_tokens", r#"{"model":"m-1","max_output_tokens":9}"#),
        ("anthropic", "max_tokens", r#"{"model":"m-1","max_tokens":9}"#),
        ("gemini", "MAX_TOKENS", r#"{"generationConfig":{"maxOutputTokens":9}}"#),
    ] {
        let cut = check(
            &document(dialect, finish, "half").asking(asked),
            Class::Truncated,
            "max_tokens",
            Provider,
            Client,
        );
        assert_eq!(
            cut.verdict, "The answer was cut at the request's limit of 9 output tokens",
            "{dialect}"
        );
        check(
            &document(dialect, finish, "half").asking("{}"),
            Class::Truncated,
            "model_limit",
            Provider,
            Client,
        );
        let mut thought = document(dialect, finish, "").asking(asked);
        thought.row.reasoning_tokens = Some(9);
        let thought = check(&thought, Class::Truncated, "reasoning", Provider, Client);
        assert_eq!(
            thought.verdict,
            "The answer was cut at its limit of 9 tokens: reasoning took 9 of them and left nothing for the answer",
            "{dialect}"
        );
    }
    check(
        &document("anthropic", "model_context_window_exceeded", "half"),
        Class::Truncated,
        "context",
        Provider,
        Client,
    );
}

#[test]
fn refusals_filters_and_empty_answers_are_told_apart() {
    check(
        &document("anthropic", "refusal", "I can't help with that."),
        Class::Refusal,
        "",
        Provider,
        Client,
    );
    let mut refused = document("openai_chat", "stop", "I'm sorry");
    refused.row.signals = vec![Signal::Refusal.label()];
    check(&refused, Class::Refusal, "", Provider, Client);
    for (dialect, finish) in [
        ("openai_chat", "content_filter"),
        ("gemini", "SAFETY"),
        ("gemini", "RECITATION"),
        ("openai_responses", "content_filter"),
    ] {
        check(&document(dialect, finish, ""), ContentPolicy, "answer", Provider, Client);
    }
    for (dialect, finish) in
        [("openai_chat", "stop"), ("anthropic", "end_turn"), ("gemini", "STOP")]
    {
        check(&document(dialect, finish, ""), Class::EmptyAnswer, "", Provider, Provider);
        check(&document(dialect, finish, "hi"), Class::Nothing, "", Place::Nowhere, Place::Nowhere);
    }
    check(
        &exchange("openai_chat").answering(""),
        Class::EmptyAnswer,
        "no_bytes",
        Provider,
        Provider,
    );
    let thought = r#"{"choices":[{"message":{"content":"","reasoning_content":"Hm."},"finish_reason":"stop"}]}"#;
    check(
        &exchange("openai_chat").answering(thought),
        Class::EmptyAnswer,
        "reasoning_only",
        Provider,
        Provider,
    );
    let mut bare = exchange("openai_chat").bare();
    bare.row.signals = vec![Signal::EmptyReply.label()];
    check(&bare, Class::EmptyAnswer, "", Provider, Provider);
}

#[test]
fn tool_calls_that_are_odd_are_shown() {
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).expect("JSON");
        format!(
            r#"{{"choices":[{{"message":{{"tool_calls":[{{"id":"c","type":"function","function":{{"name":"look","arguments":{arguments}}}}}]}},"finish_reason":"tool_calls"}}]}}"#
        )
    };
    check(
        &exchange("openai_chat").answering(&call("{\"a\":1")),
        Class::InvalidToolArguments,
        "not_json",
        Provider,
        Client,
    );
    check(
        &exchange("openai_chat").answering(&call("{\"a\":1}")),
        Class::Nothing,
        "",
        Place::Nowhere,
        Place::Nowhere,
    );
    let mut schema = exchange("openai_chat").answering(&call("{\"a\":1}"));
    schema.row.signals = vec![Signal::InvalidToolArguments.label()];
    let schema = check(&schema, Class::InvalidToolArguments, "schema", Provider, Client);
    assert_eq!(schema.finding.evidence[0].seen, "look({\"a\":1})");
    let mut malformed = document("gemini", "MALFORMED_FUNCTION_CALL", "x");
    malformed.row.finish_reason = Some("MALFORMED_FUNCTION_CALL".to_owned());
    check(&malformed, Class::InvalidToolArguments, "malformed", Provider, Client);

    let asked = r#"{"messages":[
        {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"look","input":{"at":"x"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"nothing there"}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"2","name":"look","input":{"at":"x"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"2","content":"nothing there"}]}]}"#;
    let mut circles = document("anthropic", "end_turn", "hm").asking(asked);
    circles.row.signals = vec![Signal::RepeatedCall.label()];
    let circles = check(&circles, Class::RepeatedCall, "", Client, Client);
    assert_eq!(
        circles.verdict,
        "The conversation goes in circles: the same tool call was made 2 times"
    );
    let mut failed = document("anthropic", "end_turn", "hm").asking(asked);
    failed.row.signals = vec![Signal::FailedToolResult.label()];
    let failed = of(&failed);
    assert_eq!(
        (failed.finding.class, failed.finding.evidence[0].seen.as_str()),
        (Class::FailedTool, "nothing there")
    );
}

fn usual(ttft_us: i64) -> Context {
    let other = |at: i64| Listed {
        id: format!("other-{at}"),
        provider: Some("far".to_owned()),
        model: Some("m-1".to_owned()),
        outcome: "complete".to_owned(),
        ttft_us: Some(ttft_us + at),
        ..Listed::default()
    };
    Context { traffic: (0..9).map(other).collect(), ..Context::default() }
}

#[test]
fn what_came_late_is_held_against_what_is_usual() {
    let slow = |ttft_us: i64, head_us: i64, queued_us: i64| {
        let mut stored = document("anthropic", "end_turn", "hi");
        stored.row.stream = true;
        stored.row.ttft_us = Some(ttft_us);
        stored.row.queued_us = queued_us;
        stored.attempt().sent_us = queued_us + 1_000;
        stored.attempt().head_us = Some(head_us);
        diagnose(&stored, &usual(400_000)).finding
    };
    assert_eq!(slow(600_000, 500_000, 0).class, Class::Nothing);
    for (finding, detail, place) in [
        (slow(4_000_000, 3_600_000, 0), "provider_queue", Provider),
        (slow(4_000_000, 200_000, 0), "provider", Provider),
        (slow(4_000_000, 3_900_000, 3_500_000), "queue", Gateway),
    ] {
        assert_eq!(
            (finding.class, finding.detail.as_deref(), finding.place),
            (Class::SlowFirstToken, Some(detail), place)
        );
        assert!(finding.evidence.iter().any(|evidence| evidence.what == "usual"));
    }
}

#[test]
fn a_pause_is_a_stall_and_a_missing_end_is_told() {
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n";
    let end = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let mut stalled = exchange("anthropic").answering(&format!("{stream}{end}"));
    stalled.row.stream = true;
    stalled.attempt().frames = vec![(100_000, 73), (15_100_000, 400)];
    let stalled = check(&stalled, Class::Stall, "", Provider, Provider);
    assert!(stalled.verdict.contains("paused for 15.0 s"), "{}", stalled.verdict);
    let unfinished =
        check(&exchange("anthropic").answering(stream), Class::Unfinished, "", Provider, Provider);
    assert!(unfinished.verdict.ends_with("the last one is `content_block_delta`"));
    let broken = format!("{stream}data: {{\"broken\": [1, 2\n\n{end}");
    check(&exchange("anthropic").answering(&broken), InvalidAnswer, "event", Provider, Provider);
}

#[test]
fn a_broken_prefix_is_shown_where_it_broke() {
    let turn = |id: &str, system: &str, read: i64| {
        let asked = format!(
            r#"{{"system":"{system}","messages":[{{"role":"user","content":"{}"}}]}}"#,
            "word ".repeat(4_000)
        );
        let mut stored = document("anthropic", "end_turn", "hi").asking(&asked);
        stored.row.id = id.to_owned();
        stored.row.input_tokens = Some(5_000);
        stored.row.cache_read_tokens = Some(read);
        stored
    };
    let context = Context {
        before: Some(Box::new(turn("0199-before", "It is 12:00.", 0))),
        ..Context::default()
    };
    let missed = diagnose(&turn("0199-this", "It is 12:01.", 0), &context).finding;
    assert_eq!(
        (missed.class, missed.detail.as_deref(), missed.place),
        (Class::CacheMiss, Some("prefix_changed"), Client)
    );
    assert!(
        missed.says.starts_with("The prompt's beginning changed at system (byte 21)"),
        "{}",
        missed.says
    );
    let unread = diagnose(&turn("0199-this", "It is 12:00.", 0), &context).finding;
    assert_eq!((unread.class, unread.detail.as_deref()), (Class::CacheMiss, Some("not_read")));
    let read = diagnose(&turn("0199-this", "It is 12:00.", 4_900), &context).finding;
    assert_eq!(read.class, Class::Nothing);
    let mut bare = exchange("anthropic").bare();
    bare.row.signals = vec![Signal::PrefixChanged.label()];
    assert_eq!(of(&bare).finding.class, Class::CacheMiss);
}

#[test]
fn earlier_attempts_and_the_time_around_are_told() {
    let mut stored = document("anthropic", "end_turn", "hi");
    let mut first = exchange("anthropic")
        .refused(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        )
        .attempts
        .remove(0);
    first.provider = "near".to_owned();
    stored.attempts.insert(0, first);
    stored.row.attempts = 2;
    stored.row.signals = vec![Signal::DuplicateOf.label()];
    let diagnosis = of(&stored);
    let also: Vec<Class> = diagnosis.also.iter().map(|finding| finding.class).collect();
    assert_eq!((diagnosis.finding.class, also), (Class::Duplicate, vec![Overloaded]));
    assert_eq!(diagnosis.attempts[0], "1. near m-1: 529 in 1.90 s: Overloaded");

    let failed = exchange("anthropic").refused(529, "").row;
    let other = |id: &str, model: &str, hours: i64| Listed {
        id: id.to_owned(),
        model: Some(model.to_owned()),
        started_at_us: failed.started_at_us - hours * 3_600_000_000 - 1,
        ..failed.clone()
    };
    let mut session = other("0199-next", "m-1", 0);
    session.session_id = Some("s".to_owned());
    session.started_at_us = failed.started_at_us + 3_000_000;
    session.outcome = "complete".to_owned();
    session.status = Some(200);
    let context = Context {
        failures: vec![
            other("a", "m-1", 0),
            other("b", "m-1", 2),
            other("c", "m-2", 23),
            failed.clone(),
        ],
        session: vec![session],
        traffic: vec![other("a", "m-1", 0)],
        before: None,
    };
    let mut stored = exchange("anthropic").refused(529, "");
    stored.row.session_id = Some("s".to_owned());
    let similar = diagnose(&stored, &context).similar;
    assert_eq!((similar.same, similar.at_provider), (3, 3));
    assert_eq!(similar.by_model, [("m-1".to_owned(), 2), ("m-2".to_owned(), 1)]);
    assert_eq!((similar.by_hour[23], similar.by_hour[21], similar.by_hour[0]), (1, 1, 1));
    assert_eq!((similar.around.calls, similar.around.failed), (1, 1));
    let next = similar.next.expect("the session went on");
    assert_eq!(
        (next.id.as_str(), next.after_us, next.same_request),
        ("0199-next", 1_000_000, true)
    );
}

#[test]
fn failures_are_grouped_by_what_they_are() {
    let mut grouping = group::Grouping::new(Context::default());
    for at in 0..5 {
        let mut stored = exchange("anthropic").refused(529, "");
        stored.row.id = format!("over-{at}");
        stored.row.started_at_us += at;
        grouping.add(&stored);
    }
    grouping.add(&exchange("anthropic").refused(400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}}"#));
    grouping.add(&document("anthropic", "end_turn", "hi"));
    let totals = grouping.totals();
    let groups = grouping.finish();
    assert_eq!(totals, (7, 1));
    let shown: Vec<(Class, u64)> = groups.iter().map(|group| (group.class, group.count)).collect();
    assert_eq!(shown, [(Overloaded, 5), (ContextOverflow, 1)]);
    assert_eq!(groups[0].example.id, "over-4");
    let text = text::many(&groups, totals, Look::default());
    assert!(text.starts_with("6 findings in 2 groups; most of all overloaded at far.\n"), "{text}");
    assert!(text::many(&[], (0, 0), Look::default()).starts_with("No exchange matches"));
}

#[test]
fn hostile_contents_neither_break_nor_garble() {
    let nasty = "\u{1b}[2J\0".repeat(5_000);
    let message = serde_json::to_string(&nasty).expect("JSON");
    let body = format!(r#"{{"error":{{"message":{message},"type":{message},"param":{message}}}}}"#);
    let mut stored =
        exchange("openai_chat").refused(400, &body).header("x-ratelimit-reset", &nasty);
    stored.row.error_detail = Some(nasty.clone());
    stored.row.id.clone_from(&nasty);
    stored.row.agent.clone_from(&nasty);
    stored.row.path.clone_from(&nasty);
    stored.row.session_id = Some(nasty);
    stored.attempt().frames = vec![(u64::MAX, u32::MAX), (0, 0)];
    stored.attempt().sent_us = i64::MIN / 2;
    stored.row.duration_us = -5;
    let shown = text::one(&of(&stored), &stored.row, Look::default());
    assert!(!shown.contains(['\u{1b}', '\0']), "{shown:?}");
    for body in
        ["", "[", "{\"error\":", "\u{feff}", "data: \n\n", ": x\n\n", "data: {\"error\":[]}\n\n"]
    {
        let stored = exchange("gemini").answering(body).asking(body);
        of(&stored);
    }
}
