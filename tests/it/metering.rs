//! What exchanges cost: tokens as the provider told them, estimates where it did not, money by the list; each once.

use serde_json::{Value, json};

use crate::support::gateway::{Fact, Gateway, provider};
use crate::support::raw::{self, Request};
use crate::support::upstream::{
    Step, Upstream, answer, chunk, chunked, event_stream, json as json_answer, last_chunk,
    stream_of,
};

/// A provider of OpenAI's prices, with every dialect.
fn priced(url: &str) -> String {
    format!(
        "{}cost_basis = \"openai\"\n",
        provider("up", url, &["gpt-4o-mini", "text-embedding-3-small", "unheard-of"])
    )
}

fn chat(stream: bool) -> Request {
    Request::post("/v1/chat/completions").json(&json!({
        "model": "gpt-4o-mini", "stream": stream,
        "messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog."}],
    }))
}

fn completion(usage: &Value) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello world"}}],
        "usage": usage,
    })
    .to_string()
}

fn delta(content: &str) -> String {
    let event = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": content}}]});
    format!("data: {event}\n\n")
}

async fn one(steps: Vec<Step>, request: &Request) -> (raw::Response, Fact) {
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&priced(&upstream.url()));
    gateway.call(request).await
}

/// `gpt-4o-mini` costs 150, 75 (cached) and 600 nanodollars a token.
#[tokio::test]
async fn a_document_is_told_and_its_cost_stands_in_the_head() {
    let usage = json!({
        "prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 10},
    });
    let (response, fact) =
        one(vec![Step::Send(json_answer(&completion(&usage)))], &chat(false)).await;
    let told = fact.attempt().usage.expect("usage");
    assert_eq!((told.input, told.output), (Some(1_000), Some(50)));
    assert_eq!((told.cache_read, told.reasoning), (Some(400), Some(10)));
    assert!(fact.attempt().estimated.is_empty() && !fact.attempt().partial);
    let cost = 600 * 150 + 400 * 75 + 50 * 600;
    assert_eq!(fact.cost.map(|cost| cost.0), Some(cost));
    assert_eq!(response.header("x-pinhole-cost"), Some("0.00015"));
    assert_eq!(fact.attempt().label, "gpt-4o-mini");
    assert_eq!(response.text(), completion(&usage), "byte for byte, though it was held back");
}

#[tokio::test]
async fn a_model_without_a_price_costs_nothing_known() {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7});
    let request = Request::post("/v1/chat/completions").json(&json!({"model": "unheard-of"}));
    let body = completion(&usage);
    let (_, named) = one(vec![Step::Send(json_answer(&body))], &request).await;
    assert_eq!(
        named.cost.map(|cost| cost.0),
        Some(7 * 150),
        "a deployment's name; the answer names the model"
    );
    let body = body.replace("gpt-4o-mini-2024-07-18", "unheard-of");
    let (response, fact) = one(vec![Step::Send(json_answer(&body))], &request).await;
    let told = fact.attempt().usage.expect("usage");
    assert_eq!((told.input, told.output), (Some(7), Some(0)), "zero is data");
    assert_eq!(fact.cost, None, "not a cost of nothing");
    assert_eq!(response.header("x-pinhole-cost"), None);
}

#[tokio::test]
async fn a_document_that_takes_its_time_goes_without_the_cost() {
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let body = completion(&usage);
    let (first, rest) = body.split_at(20);
    let head = chunked(200, &[("content-type", "application/json")]);
    let steps = vec![
        Step::Send(head),
        Step::Send(chunk(first)),
        Step::Hold,
        Step::Send(chunk(rest)),
        Step::Send(last_chunk()),
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&priced(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&chat(false)).await;
    let head = connection.read_head().await.expect("a head, though the body is not over");
    assert_eq!(head.header("x-pinhole-cost"), None);
    upstream.release();
    let (text, _) = connection.read_body().await;
    assert_eq!(String::from_utf8(text).expect("text"), body);
    let fact = gateway.exchange(head.header("x-pinhole-id").expect("an id")).await;
    assert_eq!(fact.attempt().usage.and_then(|usage| usage.input), Some(1), "counted all the same");
}

#[tokio::test]
async fn a_short_document_that_breaks_off_comes_as_far_as_it_came() {
    let body = completion(&json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}));
    let whole = json_answer(&body);
    let cut = body.len() - body.find("hello").expect("words") - 3;
    let (begun, _) = whole.split_at(whole.len() - cut);
    let steps = vec![Step::send(begun), Step::Close];
    let (response, fact) = one(steps, &chat(false)).await;
    assert_eq!((response.status, response.end), (200, raw::End::Cut), "a head, and no clean end");
    assert_eq!(response.header("x-pinhole-cost"), None);
    assert_eq!(response.text(), body[..body.len() - cut]);
    assert_eq!(fact.outcome, "upstream_reset");
    assert!(fact.attempt().partial && !fact.attempt().missing);
    let length = (body.len() - cut) as u64;
    assert_eq!(fact.attempt().estimated.output, Some(length.div_ceil(4)), "by its length, not 0");
}

#[tokio::test]
async fn a_stream_without_usage_is_estimated_and_says_so() {
    let steps = stream_of(&[
        delta(""),
        delta("hello"),
        delta(" world"),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
            .to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ]);
    let (_, fact) = one(steps, &chat(true)).await;
    let attempt = fact.attempt();
    assert!(attempt.missing && !attempt.partial);
    assert_eq!(attempt.usage, Some(attempt.estimated));
    assert_eq!(attempt.estimated.output, Some(2), "two tokens of o200k");
    let input = attempt.estimated.input.expect("an estimate");
    assert!((10..40).contains(&input), "ten tokens of words and the frame around them: {input}");
    assert_eq!(attempt.reading.finish_reasons, ["stop"]);
    assert!(fact.cost.is_some());
}

#[tokio::test]
async fn what_was_cut_or_left_is_partial_and_never_zero() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\",\
                 \"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\n";
    let words = |text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    };
    let steps = vec![
        Step::Send(event_stream()),
        Step::Send(chunk(start)),
        Step::Send(chunk(words("The quick brown fox"))),
        Step::Send(chunk(words(" jumps over the lazy dog."))),
        Step::Hold,
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&priced(&upstream.url()));
    let request = Request::post("/v1/messages").json(&json!({
        "model": "gpt-4o-mini", "stream": true, "max_tokens": 100, "messages": [],
    }));
    let mut connection = gateway.connect().await;
    connection.send(&request).await;
    let head = connection.read_head().await.expect("a head");
    let _read = connection.read_until("lazy dog").await;
    drop(connection);
    let fact = gateway.exchange(head.header("x-pinhole-id").expect("an id")).await;
    assert_eq!(fact.outcome, "client_cancelled");
    let attempt = fact.attempt();
    assert!(attempt.partial && !attempt.missing);
    let usage = attempt.usage.expect("usage");
    assert_eq!((usage.input, usage.cache_read), (Some(125), Some(100)), "as the provider said");
    assert_eq!(usage.output, Some(10), "what was seen, not the 1 of the first event");
    assert_eq!((attempt.estimated.input, attempt.estimated.output), (None, Some(10)));
}

#[tokio::test]
async fn background_work_counts_when_its_usage_comes_and_once() {
    let upstream = Upstream::start(|got| {
        let state = match got.method.as_str() {
            "POST" => json!({"id": "resp_12345", "object": "response", "status": "queued", "background": true}),
            _ => json!({
                "id": "resp_12345", "object": "response", "status": "completed", "background": true,
                "usage": {"input_tokens": 30, "output_tokens": 12, "total_tokens": 42},
            }),
        };
        vec![Step::Send(json_answer(&state.to_string()))]
    })
    .await;
    let gateway = Gateway::start(&priced(&upstream.url()));
    let request = Request::post("/v1/responses")
        .json(&json!({"model": "gpt-4o-mini", "input": "hi", "background": true}));
    let (_, begun) = gateway.call(&request).await;
    assert_eq!((begun.attempt().usage, begun.attempt().missing), (None, false));
    let (_, fetched) = gateway.call(&Request::get("/v1/responses/resp_12345")).await;
    let usage = fetched.attempt().usage.expect("usage");
    assert_eq!((usage.input, usage.output), (Some(30), Some(12)));
    assert_eq!(fetched.attempt().label, "gpt-4o-mini", "it belongs to the model that worked");
    assert_eq!(fetched.cost.map(|cost| cost.0), Some(30 * 150 + 12 * 600));
    let (_, again) = gateway.call(&Request::get("/v1/responses/resp_12345")).await;
    assert_eq!((again.attempt().usage, again.cost), (None, None));
}

#[tokio::test]
async fn a_compressed_document_is_decoded_for_reading_only() {
    use std::io::Write as _;
    let body = completion(&json!({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.as_bytes()).expect("memory");
    let packed = encoder.finish().expect("memory");
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let (response, fact) =
        one(vec![Step::Send(answer(200, &headers, &packed))], &chat(false)).await;
    assert_eq!(response.body, packed, "as it came");
    let usage = fact.attempt().usage.expect("usage");
    assert_eq!((usage.input, usage.output), (Some(5), Some(6)));
}

#[tokio::test]
async fn errors_and_embeddings_and_hostile_numbers() {
    let error = r#"{"error":{"type":"rate_limit","message":"slow down"}}"#;
    let headers = [("content-type", "application/json"), ("x-ratelimit-remaining-tokens", "12")];
    let (_, fact) = one(vec![Step::Send(answer(429, &headers, error))], &chat(false)).await;
    assert_eq!(
        (fact.attempt().usage, fact.attempt().missing),
        (None, false),
        "an error is no answer"
    );

    let body = r#"{"object":"list","data":[],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let request = Request::post("/v1/embeddings")
        .json(&json!({"model": "text-embedding-3-small", "input": "x"}));
    let (_, fact) = one(vec![Step::Send(json_answer(body))], &request).await;
    assert_eq!(fact.attempt().usage.and_then(|usage| usage.input), Some(8));
    assert_eq!(fact.cost.map(|cost| cost.0), Some(8 * 20));

    let usage = json!({"prompt_tokens": -3, "completion_tokens": "9", "prompt_tokens_details": 5});
    let (_, fact) = one(vec![Step::Send(json_answer(&completion(&usage)))], &chat(false)).await;
    let labels: Vec<&str> = fact.attempt().reading.oddities.iter().map(|odd| odd.label()).collect();
    assert!(labels.contains(&"negative") && labels.contains(&"not_a_number"), "{labels:?}");
}

#[tokio::test]
async fn an_error_inside_a_200_is_the_providers_failure_and_costs_nothing() {
    let body = r#"{"error":{"type":"overloaded_error","message":"later"}}"#;
    let (response, fact) = one(vec![Step::Send(json_answer(body))], &chat(false)).await;
    assert_eq!((response.status, response.text().as_str()), (200, body), "handed on as it came");
    assert_eq!((fact.outcome, fact.status), ("upstream_error", Some(200)));
    assert_eq!(fact.failure, Some(("upstream", "upstream_overloaded")));
    assert_eq!(
        (fact.attempt().usage, fact.cost),
        (None, None),
        "nothing was written, nothing is billed"
    );
}

/// The vector of one stream that five programs measure differently: a role at 60 ms, ten contents of five tokens from
/// 400 ms on, 100 ms apart. Times here are real, so they are compared with what the provider's clock said.
#[tokio::test]
async fn an_empty_role_event_is_no_first_token() {
    let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let end = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":50}}\n\ndata: [DONE]\n\n";
    let steps = vec![
        Step::Send(event_stream()),
        Step::Send(chunk(role)),
        Step::Hold,
        Step::Send(chunk(delta("one"))),
        Step::Send(chunk(end)),
        Step::Send(last_chunk()),
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&priced(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&chat(true)).await;
    let head = connection.read_head().await.expect("a head");
    let _role = connection.read_until("assistant").await;
    upstream.release();
    let _rest = connection.read_body().await;
    let fact = gateway.exchange(head.header("x-pinhole-id").expect("an id")).await;
    let (first_byte, first) = (fact.times.first_byte_us, fact.times.first_content_us);
    assert!(first_byte < first, "{:?}", fact.times);
    assert_eq!(fact.times.contents, 1);
    assert_eq!(first, fact.times.first_answer_us);
}
