//! The simulated providers over real sockets: every dialect plain and streamed, every fault, and determinism.

use std::time::Duration;

use pinhole::simulate::record::End as Ended;
use pinhole::simulate::script::Script;
use pinhole::simulate::{Handle, Simulator};
use serde_json::{Value, json};

use crate::support::raw::{self, DEADLINE, End, Request, Response};

fn start(script: &str) -> Handle {
    let script = Script::parse(script).expect("a valid script");
    Simulator::local(script).expect("a free port")
}

fn chat(model: &str, stream: bool) -> Request {
    Request::post("/v1/chat/completions").json(&json!({"model": model, "stream": stream,
        "messages": [{"role": "user", "content": "How does a pinhole make an image?"}]}))
}

async fn ask(simulator: &Handle, path: &str, body: &Value) -> Response {
    raw::send(simulator.addr(), &Request::post(path).json(body)).await
}

fn data(response: &Response) -> Vec<Value> {
    let events = response.events().into_iter();
    events.filter_map(|(_, data)| serde_json::from_str(&data).ok()).collect()
}

fn names(response: &Response) -> Vec<String> {
    let mut names: Vec<String> = response.events().into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names
}

const WEATHER: &str =
    r#"{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}"#;

fn schema() -> Value {
    serde_json::from_str(WEATHER).expect("a schema")
}

// ------------------------------------------------------------------------------------------------- dialects

#[tokio::test]
async fn chat_plain_has_usage_and_stream_only_if_asked() {
    let simulator = start("");
    let plain = raw::send(simulator.addr(), &chat("m", false)).await;
    let body = plain.json();
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["model"], "m");
    assert!(body["usage"]["completion_tokens"].as_u64().is_some_and(|tokens| tokens >= 16));

    let streamed = raw::send(simulator.addr(), &chat("m", true)).await;
    assert_eq!(streamed.end, End::Clean);
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    assert!(!streamed.text().contains("usage"));

    let asked = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "messages": []});
    let asked = data(&ask(&simulator, "/v1/chat/completions", &asked).await);
    let last = asked.last().expect("events");
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["total_tokens"].is_u64());
    assert!(
        asked[..asked.len() - 1]
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
}

#[tokio::test]
async fn chat_tools_come_in_fragments_that_join_to_fitting_json() {
    let simulator = start("[default.tools]\ncalls = 2");
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema()}});
    let body = json!({"model": "m", "stream": true, "tools": [tool("weather"), tool("time")],
        "messages": [{"role": "user", "content": "x"}]});
    let chunks = data(&ask(&simulator, "/v1/chat/completions", &body).await);
    let deltas: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]).collect();
    for (index, name) in ["weather", "time"].iter().enumerate() {
        let own: Vec<&&Value> = deltas.iter().filter(|delta| delta["index"] == index).collect();
        assert_eq!(own[0]["function"]["name"], *name);
        assert!(own.len() > 3, "fragments");
        let text: String =
            own.iter().filter_map(|delta| delta["function"]["arguments"].as_str()).collect();
        assert_eq!(text, r#"{"city":"Paris"}"#);
    }
    assert_eq!(chunks.last().expect("chunks")["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn responses_events_are_numbered_and_build_the_object() {
    let simulator = start("");
    let body = json!({"model": "m", "stream": true, "input": "hi", "reasoning": {"effort": "low"}});
    let streamed = ask(&simulator, "/v1/responses", &body).await;
    let events = data(&streamed);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    for ((name, _), event) in streamed.events().iter().zip(&events) {
        assert_eq!(event["type"], *name);
    }
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    let text: String = deltas.filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(last["response"]["output"][1]["content"][0]["text"], text);
    assert_eq!(last["response"]["output"][0]["type"], "reasoning");
    let usage = &last["response"]["usage"];
    assert!(
        usage["output_tokens_details"]["reasoning_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
}

#[tokio::test]
async fn responses_stop_short_with_incomplete() {
    let simulator = start("");
    let body = json!({"model": "m", "stream": true, "input": "hi", "max_output_tokens": 4});
    let last = data(&ask(&simulator, "/v1/responses", &body).await).pop().expect("events");
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["usage"]["output_tokens"], 4);
}

#[tokio::test]
async fn anthropic_blocks_and_events() {
    let simulator = start("[default]\ncached = 0.5\ninput_tokens = 100");
    let body = json!({"model": "m", "stream": true, "max_tokens": 500, "thinking": {"type": "adaptive"},
        "tools": [{"name": "weather", "input_schema": schema()}],
        "messages": [{"role": "user", "content": "x"}]});
    let streamed = ask(&simulator, "/v1/messages?beta=true", &body).await;
    assert_eq!(
        names(&streamed),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let events = data(&streamed);
    let json: String =
        events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(json, r#"{"city":"Paris"}"#);
    assert!(events.iter().any(|event| event["delta"]["signature"].is_string()));
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    let usage = &events[0]["message"]["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["cache_read_input_tokens"]),
        (&json!(50), &json!(50))
    );

    let count = ask(&simulator, "/v1/messages/count_tokens", &body).await.json();
    assert!(count["input_tokens"].as_u64().is_some_and(|tokens| tokens > 10));
}

#[tokio::test]
async fn gemini_streams_events_or_an_array() {
    let simulator = start("");
    let body = json!({"contents": [{"parts": [{"text": "x"}]}]});
    let events =
        data(&ask(&simulator, "/v1beta/models/g:streamGenerateContent?alt=sse", &body).await);
    let array = ask(&simulator, "/v1/models/g:streamGenerateContent", &body).await.json();
    let array = array.as_array().expect("an array");
    for chunks in [&events, array] {
        let last = chunks.last().expect("chunks");
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["modelVersion"], "g");
        let tokens =
            |chunk: &Value| chunk["usageMetadata"]["candidatesTokenCount"].as_u64().expect("usage");
        assert!(chunks.windows(2).all(|pair| tokens(&pair[0]) <= tokens(&pair[1])), "usage grows");
    }
    let plain = ask(&simulator, "/v1beta/models/a/b:generateContent", &body).await.json();
    assert_eq!(plain["modelVersion"], "a/b");
    assert!(plain["candidates"][0]["content"]["parts"][0]["text"].is_string());
    let count = ask(&simulator, "/v1beta/models/g:countTokens", &body).await.json();
    assert!(count["totalTokens"].is_u64());
}

#[tokio::test]
async fn embeddings_in_both_encodings() {
    let simulator = start("");
    let body = json!({"model": "e", "input": ["a", "b"], "dimensions": 8});
    let floats = ask(&simulator, "/v1/embeddings", &body).await.json();
    assert_eq!(floats["data"][1]["embedding"].as_array().map(Vec::len), Some(8));
    let body = json!({"model": "e", "input": "a", "dimensions": 8, "encoding_format": "base64"});
    let packed = ask(&simulator, "/v1/embeddings", &body).await.json();
    // 32 bytes in base64.
    assert_eq!(packed["data"][0]["embedding"].as_str().map(str::len), Some(44));
    let body = json!({"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]});
    let batch = ask(&simulator, "/v1beta/models/e:batchEmbedContents", &body).await.json();
    assert_eq!(batch["embeddings"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn three_shapes_of_the_catalogue() {
    let simulator = start("catalogue = ['one', 'two']");
    let openai = raw::send(simulator.addr(), &Request::get("/v1/models")).await.json();
    assert_eq!(openai["data"][1]["id"], "two");
    let anthropic = Request::get("/v1/models?limit=1000").header("anthropic-version", "2023-06-01");
    let anthropic = raw::send(simulator.addr(), &anthropic).await.json();
    assert_eq!(
        (&anthropic["data"][0]["type"], &anthropic["last_id"]),
        (&json!("model"), &json!("two"))
    );
    let gemini = raw::send(simulator.addr(), &Request::get("/v1beta/models")).await.json();
    assert_eq!(gemini["models"][0]["name"], "models/one");
    let head = raw::send(simulator.addr(), &Request::new("HEAD", "/v1/models")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.header("content-length").is_some_and(|length| length != "0"));
}

#[tokio::test]
async fn opaque_paths_tell_what_arrived() {
    let simulator = start("");
    let body: Vec<u8> = (0..=255).collect();
    let request = Request::post("/v1/files?x=1")
        .header("content-type", "application/octet-stream")
        .body(body.clone());
    let echo = raw::send(simulator.addr(), &request).await.json();
    assert_eq!(echo["body"]["bytes"], 256);
    assert_eq!(echo["body"]["blake3"], blake3::hash(&body).to_hex().as_str());
    assert_eq!((&echo["path"], &echo["query"]), (&json!("/v1/files"), &json!("x=1")));

    let form =
        "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nsim-error-429\r\n--b--\r\n";
    let request = Request::post("/v1/audio/transcriptions")
        .header("content-type", "multipart/form-data; boundary=b");
    let refused = raw::send(simulator.addr(), &request.body(form)).await;
    assert_eq!(refused.status, 429, "the model of a form counts");
    let speech =
        ask(&simulator, "/v1/audio/speech", &json!({"model": "tts-1", "input": "x"})).await;
    assert_eq!((speech.header("content-type"), speech.body.len()), (Some("audio/mpeg"), 16_384));
}

#[tokio::test]
async fn structured_output_fits_its_schema_in_every_dialect() {
    let simulator = start("");
    let format = json!({"type": "json_schema", "schema": schema()});
    let chat = json!({"model": "m", "messages": [],
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema()}}});
    let responses = json!({"model": "m", "input": "x", "text": {"format": format}});
    let anthropic = json!({"model": "m", "messages": [], "output_config": {"format": format}});
    let gemini = json!({"contents": [], "generationConfig": {"responseJsonSchema": schema()}});
    for (path, body, text) in [
        ("/v1/chat/completions", chat, "/choices/0/message/content"),
        ("/v1/responses", responses, "/output/0/content/0/text"),
        ("/v1/messages", anthropic, "/content/0/text"),
        ("/v1beta/models/m:generateContent", gemini, "/candidates/0/content/parts/0/text"),
    ] {
        let answer = ask(&simulator, path, &body).await.json();
        assert_eq!(answer.pointer(text), Some(&json!(r#"{"city":"Paris"}"#)), "{path}: {answer}");
    }
}

#[tokio::test]
async fn every_dialect_has_its_own_words_for_the_end() {
    let simulator = start("");
    let user = json!([{"role": "user", "content": "x"}]);
    let chat = |model: &str| json!({"model": model, "messages": user, "max_tokens": 3});
    let responses = |model: &str| json!({"model": model, "input": "x", "max_output_tokens": 3});
    let gemini = json!({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"maxOutputTokens": 3}});
    let generate = |model: &str| format!("/v1beta/models/{model}:generateContent");
    let finish = "/choices/0/finish_reason";
    for (path, body, pointer, expected) in [
        ("/v1/chat/completions", chat("m"), finish, "length"),
        ("/v1/completions", chat("m"), finish, "length"),
        ("/v1/messages", chat("m"), "/stop_reason", "max_tokens"),
        ("/v1/responses", responses("m"), "/incomplete_details/reason", "max_output_tokens"),
        (&generate("m"), gemini.clone(), "/candidates/0/finishReason", "MAX_TOKENS"),
        ("/v1/chat/completions", chat("sim-refusal"), finish, "stop"),
        (
            "/v1/chat/completions",
            chat("sim-refusal"),
            "/choices/0/message/refusal",
            "I can't help with that.",
        ),
        ("/v1/messages", chat("sim-refusal"), "/stop_reason", "refusal"),
        ("/v1/responses", responses("sim-refusal"), "/output/0/content/0/type", "refusal"),
        (&generate("sim-refusal"), gemini, "/candidates/0/finishReason", "SAFETY"),
    ] {
        let answer = ask(&simulator, path, &body).await.json();
        assert_eq!(answer.pointer(pointer), Some(&json!(expected)), "{path}: {answer}");
    }
}

#[tokio::test]
async fn cached_and_reasoning_tokens_have_their_place_in_every_dialect() {
    let simulator = start(
        "[default]\ninput_tokens = 100\noutput_tokens = 40\nreasoning = 0.25\ncached = 0.3\ncache_write = 0.1",
    );
    for (path, cached, reasoning, input) in [
        (
            "/v1/chat/completions",
            "/usage/prompt_tokens_details/cached_tokens",
            Some("/usage/completion_tokens_details/reasoning_tokens"),
            ("/usage/prompt_tokens", 100),
        ),
        (
            "/v1/responses",
            "/usage/input_tokens_details/cached_tokens",
            Some("/usage/output_tokens_details/reasoning_tokens"),
            ("/usage/input_tokens", 100),
        ),
        ("/v1/messages", "/usage/cache_read_input_tokens", None, ("/usage/input_tokens", 60)),
        (
            "/v1beta/models/m:generateContent",
            "/usageMetadata/cachedContentTokenCount",
            Some("/usageMetadata/thoughtsTokenCount"),
            ("/usageMetadata/promptTokenCount", 100),
        ),
    ] {
        let body = json!({"model": "m", "messages": [], "input": "x", "contents": []});
        let answer = ask(&simulator, path, &body).await.json();
        assert_eq!(answer.pointer(cached), Some(&json!(30)), "{path}: {answer}");
        assert_eq!(answer.pointer(input.0), Some(&json!(input.1)), "{path}: {answer}");
        if let Some(reasoning) = reasoning {
            assert_eq!(answer.pointer(reasoning), Some(&json!(10)), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn tools_can_be_whole_wrong_or_kept_back() {
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": schema()}});
    let body = |model: &str| json!({"model": model, "tools": [tool], "messages": [{"role": "user", "content": "x"}]});
    let simulator = start("[models.whole.tools]\nfragments = false");
    let mut streamed = body("whole");
    streamed["stream"] = json!(true);
    let chunks = data(&ask(&simulator, "/v1/chat/completions", &streamed).await);
    let pieces = chunks.iter().filter_map(|chunk| {
        chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
    });
    assert_eq!(
        pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>(),
        [r#"{"city":"Paris"}"#]
    );
    let wrong = ask(&simulator, "/v1/chat/completions", &body("sim-wrong-arguments")).await.json();
    let arguments = &wrong["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, r#"{"unexpected_argument":[null]}"#);
    let none = ask(&simulator, "/v1/chat/completions", &body("sim-no-tools")).await.json();
    assert_eq!(none["choices"][0]["finish_reason"], "stop");
}

// --------------------------------------------------------------------------------------------- determinism

#[tokio::test]
async fn same_seed_same_bytes_other_seed_other_bytes() {
    let run = async |script: &str| {
        let simulator = start(script);
        let mut bytes = Vec::new();
        for stream in [true, false, true] {
            let answer = raw::send(simulator.addr(), &chat("m", stream)).await;
            bytes.push((answer.head.headers.clone(), answer.body));
        }
        bytes
    };
    let (one, two, other) = (run("seed = 1").await, run("seed = 1").await, run("seed = 2").await);
    assert_eq!(one, two);
    assert_ne!(one, other);
    assert_ne!(one[0], one[2], "the second of equal requests is answered anew");
}

#[tokio::test]
async fn sessions_do_not_disturb_each_other() {
    let request = |session: &str| chat("m", false).header("x-session-id", session);
    let (alone, crowded) = (start(""), start(""));
    let mut expected = Vec::new();
    for _ in 0..2 {
        expected.push(raw::send(alone.addr(), &request("a")).await.body);
    }
    for body in expected {
        raw::send(crowded.addr(), &request("b")).await;
        assert_eq!(raw::send(crowded.addr(), &request("a")).await.body, body);
    }
}

// -------------------------------------------------------------------------------------------------- errors

#[tokio::test]
async fn errors_have_the_envelope_of_the_dialect() {
    let simulator = start("");
    for (path, pointer, kind) in [
        ("/v1/chat/completions", "/error/code", "rate_limit_exceeded"),
        ("/v1/messages", "/error/type", "rate_limit_error"),
        ("/v1beta/models/sim-error-429:generateContent", "/error/status", "RESOURCE_EXHAUSTED"),
    ] {
        let answer = ask(&simulator, path, &json!({"model": "sim-error-429"})).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
        assert_eq!(answer.json().pointer(pointer), Some(&json!(kind)), "{path}");
    }
    let html = raw::send(simulator.addr(), &chat("sim-html-500", true)).await;
    assert_eq!((html.status, html.header("content-type")), (500, Some("text/html")));
    let invalid = raw::send(simulator.addr(), &Request::post("/v1/messages").body("{")).await;
    assert_eq!((invalid.status, &invalid.json()["type"]), (400, &json!("error")));
    let redirect = raw::send(simulator.addr(), &chat("sim-redirect", false)).await;
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("/elsewhere")));
    let empty = raw::send(simulator.addr(), &chat("sim-status-204", false)).await;
    assert_eq!((empty.status, empty.body.len(), empty.end), (204, 0, End::Clean));
}

#[tokio::test]
async fn websockets_are_refused_at_once() {
    let simulator = start("");
    let handshake = Request::get("/v1/responses")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    assert_eq!(raw::send(simulator.addr(), &handshake).await.status, 426);
}

#[tokio::test]
async fn rules_hit_the_requests_they_name() {
    let simulator = start(
        "[[rules]]\npath = '**/chat/completions'\nmodel = 'm*'\nnth = [2]\n\
         profile.error = { status = 529, message = 'busy', headers = [['x-a', '1'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']] }\n\
         [[rules]]\nevery = 3\nprofile.error = { status = 400, body = '{\"verbatim\": 1}' }",
    );
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = raw::send(simulator.addr(), &chat("m", false)).await;
        if answer.status == 529 {
            assert_eq!(answer.json()["error"]["message"], "busy");
            assert_eq!(answer.head.header_all("set-cookie"), ["a=1", "b=2"]);
        }
        if answer.status == 400 {
            assert_eq!(answer.text(), r#"{"verbatim": 1}"#);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 529, 400]);
}

#[tokio::test]
async fn keys_are_checked_where_the_script_says() {
    let simulator = start(
        "[models.'anywhere*']\nexpect_key = 'k'\n[models.strict]\nexpect_key = 'k'\nkey_header = 'x-api-key'",
    );
    for (model, header, value, status) in [
        ("anywhere", "authorization", "Bearer k", 200),
        ("anywhere", "x-goog-api-key", "k", 200),
        ("anywhere", "authorization", "Bearer wrong", 401),
        ("strict", "authorization", "Bearer k", 401),
        ("strict", "x-api-key", "k", 200),
        ("free", "x", "y", 200),
    ] {
        let request = chat(model, false).header(header, value);
        assert_eq!(
            raw::send(simulator.addr(), &request).await.status,
            status,
            "{model} {header} {value}"
        );
    }
}

// -------------------------------------------------------------------------------------------------- faults

#[tokio::test]
async fn cuts_end_the_connection_abnormally() {
    let simulator = start("");
    for (model, stream, end, events) in [
        ("sim-cut-3", true, End::Cut, 3),
        ("sim-rst-3", true, End::Reset, 3),
        ("sim-cut-1", false, End::Cut, 0),
        ("sim-rst-1", false, End::Reset, 0),
        ("sim-cut-bytes-5", true, End::Cut, 1),
    ] {
        let answer = raw::send(simulator.addr(), &chat(model, stream)).await;
        assert_eq!((answer.status, answer.end), (200, end), "{model}");
        assert!(!answer.body.is_empty(), "{model}");
        if stream {
            assert_eq!(answer.events().len(), events, "{model}: {}", answer.text());
        }
    }
    let nothing = raw::send(simulator.addr(), &chat("sim-cut-0", true)).await;
    assert_eq!((nothing.status, nothing.end), (0, End::Cut));
    assert_eq!(simulator.counts().cut, 6);
}

#[tokio::test]
async fn errors_in_the_middle_end_the_stream() {
    let simulator = start("");
    let sse = "/v1beta/models/sim-error-midstream:streamGenerateContent?alt=sse";
    for (path, needle) in [
        ("/v1/chat/completions", "server_error"),
        ("/v1/responses", "\"type\":\"error\""),
        ("/v1/messages", "overloaded_error"),
        (sse, "UNAVAILABLE"),
    ] {
        let body =
            json!({"model": "sim-error-midstream", "stream": true, "contents": [], "messages": []});
        let answer = ask(&simulator, path, &body).await;
        let events = answer.events();
        assert_eq!((answer.status, answer.end, events.len()), (200, End::Clean, 4), "{path}");
        assert!(events[3].1.contains(needle), "{path}: {events:?}");
    }
}

#[tokio::test]
async fn odd_streams_still_hold_the_same_words() {
    let simulator = start("[default]\ntext = 'größer als 日本 🙂'");
    for model in ["plain", "sim-split-1", "sim-crlf", "sim-comments", "sim-split-2+crlf+comments"] {
        let answer = raw::send(simulator.addr(), &chat(model, true)).await;
        assert_eq!(answer.end, End::Clean, "{model}");
        let chunks = data(&answer);
        let deltas =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert_eq!(deltas.collect::<String>(), "größer als 日本 🙂", "{model}");
        assert_eq!(answer.text().contains("\r\n"), model.contains("crlf"), "{model}");
        assert_eq!(answer.text().contains(": keep-alive"), model.contains("comments"), "{model}");
    }
}

#[tokio::test]
async fn split_bodies_come_in_pieces_through_characters() {
    let simulator = start("[default]\ntext = '日本日本'");
    let mut connection = raw::connect(simulator.addr()).await;
    connection.send(&chat("sim-split-1", true)).await;
    connection.read_head().await.expect("a head");
    let mut halves = 0;
    while let Some(piece) = connection.read_chunk().await {
        halves += usize::from(std::str::from_utf8(&piece).is_err());
    }
    assert!(halves > 0, "a character came in two pieces");
}

#[tokio::test]
async fn broken_streams() {
    let simulator = start("");
    let malformed = raw::send(simulator.addr(), &chat("sim-malformed-2", true)).await.events();
    assert!(serde_json::from_str::<Value>(&malformed[2].1).is_err());
    let unknown = raw::send(simulator.addr(), &chat("sim-unknown-events", true)).await;
    assert!(names(&unknown).contains(&"simulated.unknown".to_owned()));
    let endless = raw::send(simulator.addr(), &chat("sim-no-terminal", true)).await;
    assert_eq!((endless.end, endless.text().contains("[DONE]")), (End::Clean, false));
    let huge = raw::send(simulator.addr(), &chat("sim-huge-line", true)).await;
    assert!(huge.events().iter().any(|(_, data)| data.len() > 1 << 20));
    let body = raw::send(simulator.addr(), &chat("sim-huge-body-3000000", false)).await;
    assert!(
        body.json()["choices"][0]["message"]["content"]
            .as_str()
            .is_some_and(|text| text.len() >= 3_000_000)
    );
    let half = raw::send(simulator.addr(), &chat("sim-malformed", false)).await;
    assert!(half.end == End::Clean && serde_json::from_slice::<Value>(&half.body).is_err());
}

#[tokio::test]
async fn gzip_only_when_accepted() {
    use std::io::Read as _;
    let simulator = start("");
    for stream in [true, false] {
        let plain = raw::send(simulator.addr(), &chat("sim-gzip", stream)).await;
        assert_eq!(plain.header("content-encoding"), None);
        let request = chat("sim-gzip", stream).header("accept-encoding", "br, gzip");
        let packed = raw::send(simulator.addr(), &request).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut text).expect("gzip");
        assert!(text.contains("chat.completion"), "{text}");
    }
}

#[tokio::test]
async fn compressed_requests_are_understood() {
    let simulator = start("");
    let body = json!({"model": "packed", "messages": []}).to_string();
    let packed = zstd::encode_all(body.as_bytes(), 3).expect("zstd");
    let request = Request::post("/v1/chat/completions")
        .header("content-encoding", "zstd")
        .body(packed.clone());
    assert_eq!(raw::send(simulator.addr(), &request).await.json()["model"], "packed");
    assert_eq!(simulator.requests()[0].body, packed, "the log holds the body as it came");
    let request =
        Request::post("/v1/chat/completions").header("content-encoding", "gzip").body("no gzip");
    assert_eq!(raw::send(simulator.addr(), &request).await.status, 400);
}

#[tokio::test]
async fn early_hints_come_first() {
    let simulator = start("");
    let answer = raw::send(simulator.addr(), &chat("sim-early-hints", false)).await;
    assert_eq!((answer.head.interim, answer.status), (vec![103], 200));
}

#[tokio::test]
async fn waits_are_kept() {
    let simulator = start("");
    for (model, least) in
        [("sim-latency-80ms", 80), ("sim-slow-first-80ms", 80), ("sim-slow-10ms+tokens-9", 80)]
    {
        for stream in [true, false] {
            let started = pinhole::base::clock::now();
            raw::send(simulator.addr(), &chat(model, stream)).await;
            let took = started.elapsed();
            assert!(took >= Duration::from_millis(least), "{model} {stream}: {took:?}");
        }
    }
}

#[tokio::test]
async fn usage_modes() {
    let simulator = start("");
    let usage = async |model: &str| {
        let body = json!({"model": model, "stream": true, "messages": [], "stream_options": {"include_usage": true}});
        let chunks = data(&ask(&simulator, "/v1/chat/completions", &body).await);
        chunks
            .iter()
            .filter_map(|chunk| chunk["usage"]["completion_tokens"].as_u64())
            .collect::<Vec<_>>()
    };
    assert_eq!(usage("sim-no-usage").await, [0u64; 0]);
    assert_eq!(usage("sim-late-usage+tokens-5").await, [5]);
    assert_eq!(usage("sim-cumulative+tokens-3").await, [0, 1, 2, 3, 3]);
    let silent = json!({"model": "sim-no-usage", "stream": true, "messages": [], "input": "x", "contents": []});
    for path in ["/v1/messages", "/v1/responses", "/v1beta/models/sim-no-usage:generateContent"] {
        let answer = ask(&simulator, path, &silent).await.text();
        assert!(!answer.contains("_tokens\":") || path == "/v1/responses", "{path}: {answer}");
        assert!(!answer.contains("usageMetadata") && !answer.contains("\"total_tokens"), "{path}");
    }
}

#[tokio::test]
async fn the_python_sdk_of_gemini_writes_inner_names_in_snake_case() {
    let simulator = start("");
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "generationConfig": {"thinkingConfig": {"include_thoughts": true}},
        "tools": [{"functionDeclarations": [{"name": "weather", "parameters_json_schema": schema()}]}]});
    let answer = ask(&simulator, "/v1/models/g:generateContent", &body).await.json();
    let parts = &answer["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0]["thought"], true);
    assert_eq!(parts[1]["functionCall"]["args"], json!({"city": "Paris"}));
    assert!(answer["usageMetadata"]["thoughtsTokenCount"].is_u64());
}

#[tokio::test]
async fn http2_without_tls_is_served_and_cut() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let simulator = start("");
    let socket =
        tokio::net::TcpStream::connect(simulator.addr()).await.expect("a listening server");
    let io = TokioIo::new(socket);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    let connection = pinhole::base::task::spawn("test connection", connection);
    let request = |model: &str| {
        let body = json!({"model": model, "stream": true, "messages": []}).to_string();
        http::Request::post(format!("{}/v1/chat/completions", simulator.url()))
            .body(Full::new(bytes::Bytes::from(body)))
            .expect("a request")
    };
    let answer = client.send_request(request("m")).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
    assert!(body.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(simulator.requests()[0].version, http::Version::HTTP_2);
    let answer = client.send_request(request("sim-cut-2")).await.expect("a head");
    assert!(answer.into_body().collect().await.is_err(), "the body does not end");
    assert!(connection.await.expect("no panic").is_err(), "the connection goes with it");
}

// ------------------------------------------------------------------------------------------------- the log

#[tokio::test]
async fn the_log_tells_what_came_and_how_it_ended() {
    let simulator = start("");
    let mut connection = raw::connect(simulator.addr()).await;
    connection.send(&chat("sim-stall-2", true).header("X-Custom", "1")).await;
    connection.read_head().await.expect("a head");
    connection.read_until("\n\n").await;
    drop(connection);
    let cancelled =
        simulator.wait(DEADLINE, |seen| seen.iter().any(|seen| seen.cancelled_at().is_some()));
    assert!(cancelled.await, "the stalled stream was given up");
    let seen = &simulator.requests()[0];
    assert_eq!((seen.target(), seen.header("x-custom")), ("/v1/chat/completions", Some("1")));
    assert_eq!(seen.json()["model"], "sim-stall-2");

    let mut connection = raw::connect(simulator.addr()).await;
    for _ in 0..2 {
        connection.send(&chat("m", false)).await;
        assert_eq!(connection.read_response().await.status, 200);
    }
    let requests = simulator.requests();
    assert_eq!(requests[1].connection, requests[2].connection, "kept alive");
    assert!(
        requests[1..].iter().all(|seen| seen.end.is_some_and(|(end, _)| end == Ended::Complete))
    );
    assert_eq!((simulator.counts().completed, simulator.counts().cancelled), (2, 1));
}

#[tokio::test]
async fn a_client_gone_before_the_head_is_noticed() {
    let simulator = start("");
    let mut connection = raw::connect(simulator.addr()).await;
    connection.send(&chat("sim-latency-60s", false)).await;
    assert!(simulator.wait(DEADLINE, |seen| seen.len() == 1).await);
    drop(connection);
    assert!(simulator.wait(DEADLINE, |seen| seen[0].cancelled_at().is_some()).await);
}

#[tokio::test]
async fn many_connections_at_once_are_served() {
    let simulator = start("");
    let addr = simulator.addr();
    let mut connections = Vec::new();
    for _ in 0..300 {
        let mut connection = raw::connect(addr).await;
        connection.send(&chat("sim-slow-first-300ms", true)).await;
        connections.push(connection);
    }
    for connection in &mut connections {
        let answer = connection.read_response().await;
        assert_eq!((answer.status, answer.end), (200, End::Clean));
    }
    assert_eq!(simulator.counts().completed, 300);
}

#[tokio::test]
async fn stopping_closes_port_and_connections() {
    let simulator = start("");
    let addr = simulator.addr();
    let mut connection = raw::connect(addr).await;
    connection.send(&chat("sim-stall-1", true)).await;
    connection.read_head().await.expect("a head");
    simulator.stop();
    assert!(connection.closed().await);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
