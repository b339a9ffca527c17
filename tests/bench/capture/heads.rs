//! Headers as clients and providers of four dialects send them.

use pinhole::store::capture::Kind;

use super::words::Dice;

pub(crate) type Headers = Vec<(&'static str, String)>;

/// Of all clients; empty values are filled in.
const SENT: &[(&str, &str)] = &[
    ("host", "127.0.0.1:8000"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "*"),
    ("connection", "keep-alive"),
    ("content-type", "application/json"),
    ("user-agent", ""),
    ("x-stainless-arch", "arm64"),
    ("x-stainless-async", "false"),
    ("x-stainless-lang", "js"),
    ("x-stainless-os", "MacOS"),
    ("x-stainless-package-version", "0.60.0"),
    ("x-stainless-read-timeout", "600"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-runtime", "node"),
    ("x-stainless-runtime-version", "v22.17.0"),
    ("x-stainless-timeout", "600"),
    ("sec-fetch-mode", "cors"),
    ("content-length", ""),
];

const SENT_ANTHROPIC: &[(&str, &str)] = &[
    ("anthropic-version", "2023-06-01"),
    (
        "anthropic-beta",
        "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
    ),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("x-app", "cli"),
    ("x-api-key", ""),
];

const SENT_ELSE: &[(&str, &str)] = &[
    ("authorization", ""),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

const RECEIVED: &[(&str, &str)] = &[
    ("date", ""),
    ("content-type", ""),
    ("transfer-encoding", "chunked"),
    ("connection", "keep-alive"),
    ("cache-control", "no-cache"),
    ("server", "cloudflare"),
    ("cf-ray", ""),
    ("cf-cache-status", "DYNAMIC"),
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("alt-svc", "h3=\":443\"; ma=86400"),
    ("via", "1.1 google"),
    ("x-robots-tag", "none"),
];

const RECEIVED_ANTHROPIC: &[(&str, &str)] = &[
    ("request-id", ""),
    ("anthropic-ratelimit-input-tokens-limit", "2000000"),
    ("anthropic-ratelimit-input-tokens-remaining", ""),
    ("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:00Z"),
    ("anthropic-ratelimit-output-tokens-limit", "400000"),
    ("anthropic-ratelimit-output-tokens-remaining", "400000"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
    ("anthropic-organization-id", "[redacted]"),
    ("retry-after", "12"),
];

const RECEIVED_ELSE: &[(&str, &str)] = &[
    ("x-request-id", ""),
    ("openai-organization", "[redacted]"),
    ("openai-processing-ms", ""),
    ("openai-version", "2020-10-01"),
    ("openai-project", "[redacted]"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "2000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", ""),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "12ms"),
    ("x-envoy-upstream-service-time", "431"),
    ("set-cookie", "[redacted]"),
];

/// What the client sends, and what goes to the provider.
pub(crate) fn sent(dice: &mut Dice, kind: Kind, length: usize) -> (Headers, Headers) {
    let secret = format!("[redacted bearer {}]", dice.id(8).to_lowercase());
    let agent = dice.pick(&[
        "claude-cli/2.0.14 (external, cli)",
        "OpenAI/Python 2.3.0",
        "Anthropic/JS 0.60.0",
        "codex_cli_rs/0.46.0 (Mac OS 15.6.1; arm64)",
        "OpenAI/JS 5.12.2",
        "curl/8.7.1",
        "python-httpx/0.28.1",
        "node",
    ]);
    let more = if kind.dialect == "anthropic" { SENT_ANTHROPIC } else { SENT_ELSE };
    let sent = filled(&[SENT, more].concat(), |name| match name {
        "user-agent" => agent.to_owned(),
        "content-length" => length.to_string(),
        _ => secret.clone(),
    });
    let mut upstream = sent.clone();
    let hosts = [
        "api.openai.com",
        "api.anthropic.com",
        "generativelanguage.googleapis.com",
        "openrouter.ai",
    ];
    upstream[0].1 = dice.pick(&hosts).into();
    (sent, upstream)
}

/// What the provider sends.
pub(crate) fn received(dice: &mut Dice, kind: Kind, id: &str) -> Headers {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = format!(
        "{}, {:02} {} 2026 {:02}:{:02}:{:02} GMT",
        dice.pick(&["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
        1 + dice.below(28),
        dice.pick(&MONTHS),
        dice.below(24),
        dice.below(60),
        dice.below(60)
    );
    let left = dice.below(2_000_000).to_string();
    let ray = format!("{}-FRA", dice.id(16).to_lowercase());
    let more = if kind.dialect == "anthropic" { RECEIVED_ANTHROPIC } else { RECEIVED_ELSE };
    filled(&[RECEIVED, more].concat(), |name| match name {
        "date" => date.clone(),
        "content-type" if kind.events => "text/event-stream; charset=utf-8".to_owned(),
        "content-type" => "application/json".to_owned(),
        "cf-ray" => ray.clone(),
        "openai-processing-ms" => left[..left.len().min(4)].to_owned(),
        "request-id" | "x-request-id" => id.to_owned(),
        _ => left.clone(),
    })
}

fn filled(
    table: &[(&'static str, &'static str)],
    fill: impl Fn(&'static str) -> String,
) -> Headers {
    let value = |name, value: &str| if value.is_empty() { fill(name) } else { value.to_owned() };
    table.iter().map(|(name, given)| (*name, value(name, given))).collect()
}
