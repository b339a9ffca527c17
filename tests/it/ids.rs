//! What a provider stored is fetched from that provider, though the path names no model.

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
        let (made, _) = gateway
            .call(&Request::post("/v1/responses").json(&ask))
            .await;
        assert_eq!(made.status, 200, "{}", made.text());
        let text = made.text();
        let id = text
            .split(r#""id":""#)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let id = id.expect("an id in the answer").to_owned();
        let (_, fact) = gateway
            .call(&Request::get(&format!("/v1/responses/{id}")))
            .await;
        assert_eq!(
            fact.attempts[0].provider, "second",
            "{id}, stream: {stream}"
        );
    }
    let (_, fact) = gateway
        .call(&Request::get("/v1/responses/resp_never_seen"))
        .await;
    assert_eq!(
        fact.attempts[0].provider, "first",
        "an id nobody handed out goes to the first"
    );
}
