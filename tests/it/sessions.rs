//! A client that names no session has one all the same, and what is odd about its turns is told.

use pinhole::simulate::Simulator;
use pinhole::simulate::script::Script;
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::raw::Request;

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

#[tokio::test]
async fn a_loop_without_names_is_one_session_and_a_rewritten_history_is_told() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let gateway = Gateway::start(&format!(
        "[providers.sim]\ntype = \"openai\"\nbaseurl = \"{}\"\nmodels = [\"m\"]\n",
        simulator.url()
    ));
    let send = async |messages: &[Value], stream: bool| {
        let body = json!({"model": "m", "messages": messages, "stream": stream, "user": "u-1"});
        gateway.call(&Request::post("/v1/chat/completions").json(&body)).await.1
    };
    let mut messages = vec![said("system", "Be."), said("user", "one")];
    let first = send(&messages, false).await;
    assert_eq!((first.session.as_deref(), first.user.as_deref()), (None, Some("u-1")));
    let name = format!("inferred:{}", first.id);
    for n in 0..3 {
        messages.extend([said("assistant", "so"), said("user", &format!("and {n}"))]);
        let turn = send(&messages, n % 2 == 0).await;
        assert_eq!(turn.session.as_deref(), Some(name.as_str()), "turn {n}");
        assert!(turn.session_inferred && turn.signals.is_empty(), "{:?}", turn.signals);
    }
    messages[2] = said("assistant", "so it was");
    messages.extend([said("assistant", "so"), said("user", "and now?")]);
    let turn = send(&messages, true).await;
    assert_eq!(turn.session.as_deref(), Some(name.as_str()), "it began alike");
    assert_eq!(turn.signals, ["prefix_changed"]);
    let named = Request::post("/v1/chat/completions")
        .json(&json!({"model": "m", "messages": messages}))
        .header("x-session-id", "mine");
    let (_, turn) = gateway.call(&named).await;
    assert_eq!((turn.session.as_deref(), turn.session_inferred), (Some("mine"), false));
}
