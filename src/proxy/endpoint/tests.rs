//! Paths as a table: what each means.

use http::HeaderValue;

use super::*;

/// `dialect operation version rest model` of a path, or what else it means.
fn meaning(method: &Method, path: &str, header: Option<(&'static str, &'static str)>) -> String {
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_static(value));
    }
    match read(method, path, &headers) {
        Route::Forward(endpoint) => {
            let model = match endpoint.model {
                ModelPlace::Body => "body",
                ModelPlace::Perhaps => "perhaps",
                ModelPlace::Path(model) => model,
            };
            format!(
                "{} {} {} {} {model}",
                endpoint.dialect.label(),
                endpoint.operation.label(),
                endpoint.version.unwrap_or("-"),
                endpoint.rest
            )
        }
        Route::Catalogue { dialect, id } => {
            format!("catalogue {} {}", dialect.label(), id.unwrap_or("-"))
        }
        Route::Provider { name, rest } => format!("provider {name} {rest}"),
        Route::Info(info) => format!("{info:?}"),
        Route::Refused { dialect, refusal } => format!("refused {} {refusal:?}", dialect.label()),
    }
}

fn check(method: &Method, cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(meaning(method, path, None), *expected, "{method} {path}");
    }
}

#[test]
fn every_post_path_of_the_contract() {
    check(
        &Method::POST,
        &[
            ("/v1/chat/completions", "openai_chat chat v1 /chat/completions body"),
            ("/v1/completions", "openai_chat text_completion v1 /completions body"),
            ("/v1/responses", "openai_responses chat v1 /responses body"),
            ("/v1/embeddings", "openai_embeddings embeddings v1 /embeddings body"),
            ("/v1/messages", "anthropic chat v1 /messages body"),
            ("/v1/messages/count_tokens", "anthropic count_tokens v1 /messages/count_tokens body"),
            (
                "/v1beta/models/gemini-2.5-pro:generateContent",
                "gemini chat v1beta /models/gemini-2.5-pro:generateContent gemini-2.5-pro",
            ),
            (
                "/v1beta/models/a/b:streamGenerateContent",
                "gemini chat v1beta /models/a/b:streamGenerateContent a/b",
            ),
            ("/v1/models/m:generateContent", "gemini chat v1 /models/m:generateContent m"),
            ("/v1beta/models/m:countTokens", "gemini count_tokens v1beta /models/m:countTokens m"),
            ("/v1beta/models/m:embedContent", "gemini embeddings v1beta /models/m:embedContent m"),
            ("/v1/audio/transcriptions", "openai_chat opaque v1 /audio/transcriptions perhaps"),
            (
                "/v1/responses/resp_1/cancel",
                "openai_responses opaque v1 /responses/resp_1/cancel perhaps",
            ),
            (
                "/v1/projects/p/locations/r/publishers/anthropic/models/c@1:rawPredict",
                "anthropic opaque v1 /projects/p/locations/r/publishers/anthropic/models/c@1:rawPredict c@1",
            ),
            (
                "/v1/projects/p/locations/r/publishers/google/models/g:generateContent",
                "gemini opaque v1 /projects/p/locations/r/publishers/google/models/g:generateContent g",
            ),
            (
                "/bedrock/model/us.anthropic.claude-v2%3A0/invoke",
                "anthropic opaque - /model/us.anthropic.claude-v2%3A0/invoke us.anthropic.claude-v2%3A0",
            ),
            ("/bedrock/model/m/converse-stream", "anthropic opaque - /model/m/converse-stream m"),
        ],
    );
}

#[test]
fn aliases_of_the_same() {
    check(
        &Method::POST,
        &[
            ("/api/v1/chat/completions", "openai_chat chat v1 /chat/completions body"),
            ("/openai/v1/chat/completions", "openai_chat chat v1 /chat/completions body"),
            ("/anthropic/v1/messages", "anthropic chat v1 /messages body"),
            (
                "/gemini/v1beta/models/m:generateContent",
                "gemini chat v1beta /models/m:generateContent m",
            ),
            ("/chat/completions", "openai_chat chat v1 /chat/completions body"),
            ("/responses", "openai_responses chat v1 /responses body"),
            ("/messages", "anthropic chat v1 /messages body"),
            ("/v1/v1/messages", "anthropic chat v1 /messages body"),
            ("/v1/chat/completions/", "openai_chat chat v1 /chat/completions body"),
            ("/models/m:generateContent", "gemini chat v1beta /models/m:generateContent m"),
        ],
    );
}

#[test]
fn reading_paths() {
    check(
        &Method::GET,
        &[
            ("/", "Root"),
            ("/health", "Health"),
            ("/ready", "Ready"),
            ("/targets", "Targets"),
            ("/auth/me", "AuthMe"),
            ("/v1/models", "catalogue openai_chat -"),
            ("/api/v1/models", "catalogue openai_chat -"),
            ("/v1/models/openai/gpt-5", "catalogue openai_chat openai/gpt-5"),
            ("/v1beta/models", "catalogue gemini -"),
            ("/v1/responses/resp_1", "openai_responses opaque v1 /responses/resp_1 perhaps"),
            ("/v1/files", "openai_chat opaque v1 /files perhaps"),
            ("/v1/responses", "refused openai_responses Method(\"POST\")"),
            ("/v1/messages", "refused anthropic Method(\"POST\")"),
            ("/providers/ollama/api/tags", "provider ollama /api/tags"),
            ("/providers/ollama", "provider ollama "),
            ("/nothing/here", "refused openai_chat Unknown"),
            ("/favicon.ico", "refused openai_chat Unknown"),
        ],
    );
    assert_eq!(meaning(&Method::HEAD, "/", None), "Root");
    assert_eq!(
        meaning(&Method::POST, "/health", None),
        "refused openai_chat Method(\"GET, HEAD\")"
    );
}

#[test]
fn headers_tell_dialects_apart() {
    let anthropic = Some(("anthropic-version", "2023-06-01"));
    let gemini = Some(("x-goog-api-key", "k"));
    assert_eq!(meaning(&Method::GET, "/v1/models", anthropic), "catalogue anthropic -");
    assert_eq!(meaning(&Method::GET, "/v1/models", gemini), "catalogue gemini -");
    assert_eq!(meaning(&Method::GET, "/v1/files", anthropic), "anthropic opaque v1 /files perhaps");
}

#[test]
fn refusals_come_at_once() {
    let upgrade = Some(("upgrade", "websocket"));
    assert_eq!(
        meaning(&Method::GET, "/v1/responses", upgrade),
        "refused openai_responses Websocket"
    );
    assert_eq!(meaning(&Method::GET, "/v1/realtime", upgrade), "refused openai_chat Realtime");
    assert_eq!(meaning(&Method::POST, "/v1/realtime", None), "refused openai_chat Realtime");
    assert_eq!(meaning(&Method::POST, "/v1/mcp", None), "refused openai_chat Mcp");
}

#[test]
fn paths_that_climb_or_hide_are_malformed() {
    for path in ["/v1/../secret", "/v1/%2e%2e/x", "/v1/..%2fx", "/v1/a%5cb", "/v1/a%00"] {
        let meaning = meaning(&Method::GET, path, None);
        assert!(meaning.contains("Malformed"), "{path}: {meaning}");
    }
    assert!(!meaning(&Method::GET, "/v1/models/gpt-4.1", None).contains("Malformed"));
    assert!(!meaning(&Method::GET, "/v1/files/..x", None).contains("Malformed"));
}

#[test]
fn percent_coding_goes_both_ways() {
    assert_eq!(percent_decode("us.anthropic%3A0"), "us.anthropic:0");
    assert_eq!(percent_decode("100%"), "100%");
    assert_eq!(percent_decode("%zz"), "%zz");
    assert_eq!(percent_encode("a b/c:d?"), "a%20b/c:d%3F");
}
