//! What a provider stored is fetched from that provider, though the path names no model.

use std::io::Read as _;

use pinhole::simulate::Simulator;
use pinhole::simulate::script::Script;
use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::raw::Request;

#[tokio::test]
async fn a_stored_response_is_fetched_where_it_was_made() {
    let [first, second] =
        [(); 2].map(|()| Simulator::local(Script::default()).expect("a simulator"));
    let gateway = Gateway::start(&format!(
        r#"
[providers.first]
type = "openai"
baseurl = "{}"
apikey = "sk-first"
models = ["m-first"]
[providers.second]
type = "openai"
baseurl = "{}"
apikey = "sk-second"
models = ["m-second"]
"#,
        first.url(),
        second.url()
    ));
    for stream in [false, true] {
        let ask = json!({"model": "m-second", "input": "x", "stream": stream});
        let (made, _) = gateway.call(&Request::post("/v1/responses").json(&ask)).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let text = made.text();
        let id = text.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next());
        let id = id.expect("an id in the answer").to_owned();
        let (_, fact) = gateway.call(&Request::get(&format!("/v1/responses/{id}"))).await;
        assert_eq!(fact.attempts[0].provider, "second", "{id}, stream: {stream}");
    }
    let (_, fact) = gateway.call(&Request::get("/v1/responses/resp_never_seen")).await;
    assert_eq!(fact.attempts[0].provider, "first", "an id nobody handed out goes to the first");
}

#[tokio::test]
async fn ids_of_compressed_answers_and_of_clients_that_hang_up_are_known_too() {
    let [first, second] =
        [(); 2].map(|()| Simulator::local(Script::default()).expect("a simulator"));
    let block = |id: &str, url: &str| {
        format!(
            "[providers.{id}]\ntype = \"openai\"\nbaseurl = \"{url}\"\nmodels = [\"{id}-*\", \"sim-{id}*\"]\n"
        )
    };
    let toml = block("first", &first.url()) + &block("second", &second.url());
    let gateway = Gateway::start(&toml);
    for stream in [false, true] {
        let ask = json!({"model": "sim-second+gzip", "input": "x", "stream": stream});
        let request = Request::post("/v1/responses").json(&ask).header("accept-encoding", "gzip");
        let (made, _) = gateway.call(&request).await;
        assert_eq!(made.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&made.body[..]).read_to_string(&mut text).expect("gzip");
        fetched(&gateway, &text).await;
    }
    let ask = json!({"model": "second-1", "input": "x", "stream": true});
    let mut connection = gateway.connect().await;
    connection.send(&Request::post("/v1/responses").json(&ask)).await;
    connection.read_head().await.expect("a head");
    let (text, _) = connection.read_until("event: response.completed").await;
    connection.read_until("\n\n").await;
    drop(connection);
    gateway.ended(5).await;
    fetched(&gateway, &String::from_utf8_lossy(&text)).await;
}

/// The id in `text` leads to the second provider.
async fn fetched(gateway: &Gateway, text: &str) {
    let mut after = text.split(r#""id":""#).skip(1);
    let id = after.next().and_then(|rest| rest.split('"').next()).expect("an id in the answer");
    let (_, fact) = gateway.call(&Request::get(&format!("/v1/responses/{id}"))).await;
    assert_eq!(fact.attempt().provider, "second", "{id}");
}
