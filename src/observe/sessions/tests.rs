//! Conversations as real clients send them, and the sessions that they are put into.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::id::ExchangeId;
use crate::base::json::arbitrary;
use crate::exchange::fixture;
use crate::exchange::summary::Tally;
use crate::neutral::kind::Dialect;
use crate::neutral::reading::Reading;

/// The observer's part of a gateway, and its clock.
#[derive(Default)]
struct Desk {
    sessions: Sessions,
    now_us: u64,
}

/// What a turn is sent with besides its body.
#[derive(Clone, Copy)]
struct From {
    dialect: Dialect,
    session: Option<&'static str>,
    key: &'static str,
}

const CHAT: From = From { dialect: Dialect::OpenAiChat, session: None, key: "ci" };
const MESSAGES: From = From { dialect: Dialect::Anthropic, ..CHAT };
const RESPONSES: From = From { dialect: Dialect::OpenAiResponses, ..CHAT };
const GEMINI: From = From { dialect: Dialect::Gemini, ..CHAT };

impl From {
    fn named(self, session: &'static str) -> Self {
        Self { session: Some(session), ..self }
    }
}

impl Desk {
    fn send(&mut self, from: From, body: &Value) -> Exchange {
        self.send_calling(from, body, None, &[])
    }

    /// Sends a turn; the answer has this id and calls these tools.
    fn send_calling(
        &mut self,
        from: From,
        body: &Value,
        response_id: Option<&str>,
        calls: &[Call],
    ) -> Exchange {
        let mut exchange = self.exchange(from, body.to_string());
        let reading = Reading { response_id: response_id.map(str::to_owned), ..Reading::default() };
        exchange.summary.tallies = vec![Tally { reading, ..Tally::default() }];
        let placed = self.sessions.place(&mut exchange);
        self.sessions.remember(&exchange, &placed, calls);
        exchange
    }

    fn exchange(&mut self, from: From, body: String) -> Exchange {
        self.now_us += 1_000_000;
        let mut exchange = fixture::exchange();
        exchange.wall_us = self.now_us;
        exchange.id = ExchangeId::new(self.now_us);
        exchange.dialect = from.dialect;
        exchange.key_label = Some(from.key.into());
        exchange.session = from.session.map(Arc::from);
        exchange.prompt = Some(Bytes::from(body));
        exchange
    }
}

fn session(exchange: &Exchange) -> Option<&str> {
    exchange.session.as_deref()
}

fn parent(exchange: &Exchange) -> Option<&str> {
    exchange.parent_session.as_deref()
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// A chat of these texts, the user's and the model's in turn, after instructions.
fn chat(system: &str, texts: &[&str]) -> Value {
    let mut messages = vec![said("system", system)];
    for (at, text) in texts.iter().enumerate() {
        messages.push(said(if at % 2 == 0 { "user" } else { "assistant" }, text));
    }
    json!({"model": "m", "messages": messages})
}

#[test]
fn a_plain_loop_is_one_session_from_its_second_turn_on() {
    let mut desk = Desk::default();
    let first = desk.send(CHAT, &chat("Be.", &["one"]));
    assert_eq!((session(&first), first.summary.adopts.is_none()), (None, true));
    let second = desk.send(CHAT, &chat("Be.", &["one", "1", "two"]));
    let name = format!("inferred:{}", first.id);
    assert_eq!(session(&second), Some(name.as_str()));
    assert!(second.session_inferred);
    assert_eq!(second.summary.adopts, Some((first.id, name.as_str().into())));
    let third = desk.send(CHAT, &chat("Be.", &["one", "1", "two", "2", "three"]));
    assert_eq!((session(&third), third.summary.adopts.is_none()), (Some(name.as_str()), true));
    let again = desk.send(CHAT, &chat("Be.", &["one", "1", "two", "2", "three"]));
    assert_eq!(session(&again), Some(name.as_str()), "the same turn once more");
    let dated =
        desk.send(CHAT, &chat("Be. It is Friday.", &["one", "1", "two", "2", "three", "3", "x"]));
    assert_eq!(session(&dated), Some(name.as_str()), "instructions are not what tells");
}

#[test]
fn what_is_not_one_conversation_is_not_joined() {
    let mut desk = Desk::default();
    desk.send(CHAT, &chat("Be.", &["one"]));
    assert_eq!(session(&desk.send(CHAT, &chat("Be.", &["two"]))), None);
    assert_eq!(session(&desk.send(CHAT, &chat("Be.", &["one"]))), None, "asked anew is no turn");
    let other = From { key: "other", ..CHAT };
    let turn = chat("Be.", &["one", "1", "two"]);
    assert_eq!(session(&desk.send(other, &turn)), None, "another key's");
    let mut moved = desk.exchange(CHAT, turn.to_string());
    moved.client = Some("10.0.0.9:1".parse().unwrap());
    desk.sessions.place(&mut moved);
    assert_eq!(session(&moved), None, "another address");
    assert_eq!(session(&desk.send(CHAT, &chat("Be.", &["1", "one", "two"]))), None);
}

#[test]
fn two_programs_that_ask_the_same_stay_apart() {
    let mut desk = Desk::default();
    let one = desk.send(CHAT, &json!({"system": "a", "messages": [said("user", "hi")]}));
    let two = desk.send(CHAT, &json!({"system": "b", "messages": [said("user", "hi")]}));
    let turn = |system: &str| {
        let messages = [said("user", "hi"), said("assistant", "ho"), said("user", "so")];
        json!({"system": system, "messages": messages})
    };
    let first = desk.send(CHAT, &turn("a"));
    assert_eq!(first.summary.adopts.unwrap().0, one.id);
    let second = desk.send(CHAT, &turn("b"));
    assert_eq!(second.summary.adopts.unwrap().0, two.id);
}

#[test]
fn marks_and_layout_do_not_break_the_chain() {
    let mut desk = Desk::default();
    let first = desk.send(
        MESSAGES,
        &json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hi é", "cache_control": {"type": "ephemeral"}}]}]}),
    );
    let body = r#"{ "messages" : [ {"content": "Hi é", "role":"user"},
        {"role":"assistant", "content":[{"type":"text","text":"Ho"}] },
        {"role":"user","content":[{"type":"text","text":"So","cache_control":{"type":"ephemeral"}}]} ] }"#;
    let mut second = desk.exchange(MESSAGES, body.to_owned());
    desk.sessions.place(&mut second);
    assert_eq!(second.summary.adopts.map(|(first, _)| first), Some(first.id));
}

#[test]
fn claude_code_names_its_session_in_the_body_in_two_forms() {
    let account = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    let id = "c31ac7cf-56a7-4c0a-b363-2b726377687d";
    let device = "e56b97a3504ae3c04ad0332730777bf378fb75c9ecff9802c098717565372a90";
    for (user_id, user) in [
        (format!("user_{device}_account_{account}_session_{id}"), account),
        (format!("user_{device}_account__session_{id}"), "user_e56b97a3504ae3c0"),
        (
            json!({"device_id": device, "account_uuid": account, "session_id": id}).to_string(),
            account,
        ),
        (
            json!({"device_id": device, "account_uuid": "", "session_id": id}).to_string(),
            "e56b97a3504ae3c0",
        ),
    ] {
        let mut desk = Desk::default();
        let body = json!({"messages": [said("user", "hi")], "metadata": {"user_id": user_id}});
        let exchange = desk.send(MESSAGES, &body);
        assert_eq!(session(&exchange), Some(id), "{user_id}");
        assert_eq!(exchange.user_label.as_deref(), Some(user), "{user_id}");
        assert!(!exchange.session_inferred);
        let exchange = desk.send(MESSAGES.named("mine"), &body);
        assert_eq!(session(&exchange), Some("mine"), "a header wins");
    }
    let mut desk = Desk::default();
    let body = json!({"messages": [said("user", "hi")], "metadata": {"user_id": "customer-7"}});
    let exchange = desk.send(MESSAGES, &body);
    assert_eq!((session(&exchange), exchange.user_label.as_deref()), (None, Some("customer-7")));
}

#[test]
fn bodies_name_sessions_and_users() {
    for (from, body, expected, user) in [
        (
            RESPONSES,
            json!({"input": "x", "prompt_cache_key": "019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f"}),
            Some("019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f"),
            None,
        ),
        (
            RESPONSES,
            json!({"input": "x", "prompt_cache_key": "k", "client_metadata": {"session_id": "s", "thread_id": "t"}}),
            Some("s"),
            None,
        ),
        (RESPONSES, json!({"input": "x", "conversation": {"id": "conv_1"}}), Some("conv_1"), None),
        (RESPONSES, json!({"input": "x", "conversation": "conv_2"}), Some("conv_2"), None),
        (
            CHAT,
            json!({"messages": [], "session_id": "or-1", "user": "u-1"}),
            Some("or-1"),
            Some("u-1"),
        ),
        (CHAT, json!({"messages": [], "safety_identifier": "h"}), None, Some("h")),
        (CHAT, json!({"messages": [], "user": "u", "safety_identifier": "h"}), None, Some("u")),
        (CHAT, json!({"messages": [], "user": "{\"device\":1}"}), None, None),
        (CHAT, json!({"messages": [], "user": "x".repeat(1_000)}), None, None),
        (CHAT, json!({"messages": [], "session_id": 5, "user": ["u"]}), None, None),
        (GEMINI, json!({"request": {"contents": [], "session_id": "g-1"}}), Some("g-1"), None),
    ] {
        let exchange = Desk::default().send(from, &body);
        assert_eq!(session(&exchange), expected, "{body}");
        assert_eq!(exchange.user_label.as_deref(), user, "{body}");
    }
}

#[test]
fn a_cache_key_is_a_session_only_where_it_is_drawn_for_one() {
    let uuid = "019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f";
    for key in [uuid, "ses_4f0c1d2e5fKq0b6c1d2e", "thread:019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f"] {
        let exchange =
            Desk::default().send(RESPONSES, &json!({"input": "x", "prompt_cache_key": key}));
        assert_eq!(session(&exchange), Some(key));
    }
    for key in [
        "my-app",
        "support-bot-v3",
        "user_019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f",
        "app:tenant_4f0c1d2e5fKq0b6c1d2e",
        "thread_1",
        // The digest of a system prompt, or of a user.
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "019aa1c2-8d1f-7c3e-9a40",
        "system_prompt_of_the_agent",
    ] {
        let exchange =
            Desk::default().send(RESPONSES, &json!({"input": "x", "prompt_cache_key": key}));
        assert_eq!(session(&exchange), None, "{key}");
    }
    for of_user in ["user", "safety_identifier"] {
        let body = json!({"input": "x", "prompt_cache_key": uuid, of_user: uuid});
        assert_eq!(session(&Desk::default().send(RESPONSES, &body)), None, "{of_user}");
    }
}

#[test]
fn users_with_one_cache_key_keep_their_conversations_apart() {
    let mut desk = Desk::default();
    let mut sessions = Vec::new();
    for question in ["where is my parcel", "cancel my order"] {
        let mut messages = vec![said("user", question)];
        let body = json!({"messages": messages, "prompt_cache_key": "shop"});
        let first = desk.send(CHAT, &body);
        assert_eq!(session(&first), None);
        messages.push(said("assistant", "one moment"));
        messages.push(said("user", "thanks"));
        let second = desk.send(CHAT, &json!({"messages": messages, "prompt_cache_key": "shop"}));
        assert!(second.session_inferred);
        assert_eq!(session(&second), Some(format!("inferred:{}", first.id).as_str()));
        sessions.push(second.session);
    }
    assert_ne!(sessions[0], sessions[1]);
}

#[test]
fn codex_threads_have_the_session_of_the_one_that_began_them() {
    let mut desk = Desk::default();
    let body = json!({"input": [], "prompt_cache_key": "root", "client_metadata":
        {"session_id": "root", "thread_id": "child", "x-codex-parent-thread-id": "root"}});
    let exchange = desk.send(RESPONSES, &body);
    assert_eq!((session(&exchange), parent(&exchange)), (Some("child"), Some("root")));
}

#[test]
fn an_answer_that_is_gone_on_from_is_the_same_session() {
    let mut desk = Desk::default();
    let first = desk.send_calling(RESPONSES, &json!({"input": "one"}), Some("resp_1"), &[]);
    let body = json!({"input": "two", "previous_response_id": "resp_1"});
    let second = desk.send_calling(RESPONSES, &body, Some("resp_2"), &[]);
    let name = format!("inferred:{}", first.id);
    assert_eq!(session(&second), Some(name.as_str()));
    assert_eq!(second.summary.adopts.map(|(first, _)| first), Some(first.id));
    let body = json!({"input": "three", "previous_response_id": "resp_2"});
    let third = desk.send(RESPONSES, &body);
    assert_eq!((session(&third), third.summary.prefix_changed_at), (Some(name.as_str()), None));
    let body = json!({"input": "four", "previous_response_id": "resp_other"});
    assert_eq!(session(&desk.send(RESPONSES, &body)), None);
}

#[test]
fn responses_and_gemini_loops_are_found_by_their_items() {
    let mut desk = Desk::default();
    let mut input = vec![
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "ls"}]}),
    ];
    let first = desk.send(RESPONSES, &json!({"instructions": "Be.", "input": input.clone()}));
    input.push(json!({"type": "reasoning", "id": "r", "encrypted_content": "AA", "summary": []}));
    input.push(json!({"type": "function_call", "call_id": "c", "name": "sh", "arguments": "{}"}));
    input.push(json!({"type": "function_call_output", "call_id": "c", "output": "a"}));
    let second = desk.send(RESPONSES, &json!({"instructions": "Be.", "input": input}));
    assert_eq!(second.summary.adopts.map(|(first, _)| first), Some(first.id));

    let mut contents = vec![json!({"role": "user", "parts": [{"text": "ls"}]})];
    let first = desk.send(GEMINI, &json!({"contents": contents.clone()}));
    contents
        .push(json!({"role": "model", "parts": [{"functionCall": {"name": "sh", "args": {}}}]}));
    contents.push(json!({"role": "user", "parts": [{"functionResponse": {"name": "sh", "response": {"output": "a"}}}]}));
    let second = desk.send(GEMINI, &json!({"contents": contents}));
    assert_eq!(second.summary.adopts.map(|(first, _)| first), Some(first.id));
}

const PROMPT: &str = "Look for all callers of `expire` and list them.";

fn task() -> Call {
    Call {
        id: Some("toolu_7".to_owned()),
        name: "Task".to_owned(),
        arguments: json!({"description": "Find callers of it", "prompt": PROMPT}).to_string(),
        is_text: false,
    }
}

#[test]
fn a_sub_agent_under_the_same_header_gets_a_session_of_its_own() {
    let mut desk = Desk::default();
    let claude = MESSAGES.named("s");
    let main = json!({"system": "main", "messages": [said("user", "Fix the login, please.")]});
    desk.send_calling(claude, &main, None, &[task()]);
    let opening = json!([{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": PROMPT}]);
    let mut messages = vec![json!({"role": "user", "content": opening})];
    let first = desk.send(claude, &json!({"system": "explorer", "messages": messages.clone()}));
    assert_eq!((session(&first), parent(&first)), (Some("s/toolu_7"), Some("s")));
    messages.extend([said("assistant", "grep"), said("user", "3 matches")]);
    let second = desk.send(claude, &json!({"system": "explorer", "messages": messages}));
    assert_eq!((session(&second), parent(&second)), (Some("s/toolu_7"), Some("s")));
    assert!(second.session_inferred && second.summary.adopts.is_none());
}

#[test]
fn a_sub_agent_of_a_plain_loop_names_the_session_of_its_parent() {
    let mut desk = Desk::default();
    let main = desk.send_calling(CHAT, &chat("Be.", &["Fix it"]), None, &[task()]);
    let child = desk.send(CHAT, &chat("Explore.", &[PROMPT]));
    let (own, other) = (format!("inferred:{}", child.id), format!("inferred:{}", main.id));
    assert_eq!((session(&child), parent(&child)), (Some(own.as_str()), Some(other.as_str())));
    assert_eq!(child.summary.adopts, Some((main.id, other.as_str().into())));
    let next = desk.send(CHAT, &chat("Be.", &["Fix it", "called", "done"]));
    assert_eq!((session(&next), parent(&next)), (Some(other.as_str()), None));
    assert!(next.summary.adopts.is_none(), "told once");
    let other_key = From { key: "other", ..CHAT };
    assert_eq!(parent(&desk.send(other_key, &chat("Explore.", &[PROMPT]))), None);
}

/// Where the prefix broke, as the text that stands there.
fn broken_at(exchange: &Exchange) -> Option<String> {
    let at = usize::try_from(exchange.summary.prefix_changed_at?).unwrap();
    let body = exchange.prompt.as_ref().unwrap();
    Some(String::from_utf8_lossy(&body[at..body.len().min(at + 60)]).into_owned())
}

#[test]
fn a_broken_prefix_is_told_with_its_place() {
    let tool = |name: &str| json!({"name": name, "input_schema": {}});
    let body = |tools: &[Value], system: &str, texts: &[&str]| {
        let mut body = chat("", texts);
        let messages = body["messages"].as_array_mut().unwrap();
        messages.remove(0);
        json!({"model": "m", "tools": tools, "system": [{"type": "text", "text": system}], "messages": messages})
    };
    let tools = [tool("read"), tool("write")];
    let long = ["a", "b", "c", "d", "e", "f", "g"];
    let at = |next: &Value| {
        let mut desk = Desk::default();
        let claude = MESSAGES.named("s");
        for turns in [1, 3, 5] {
            let exchange = desk.send(claude, &body(&tools, "Be.", &long[..turns]));
            assert_eq!(broken_at(&exchange), None, "turn of {turns}");
        }
        broken_at(&desk.send(claude, next))
    };
    let check = |next: Value, expected: Option<&str>| {
        let found = at(&next);
        let fits =
            found.as_deref().zip(expected).map(|(found, expected)| found.starts_with(expected));
        assert_eq!(fits, expected.map(|_| true), "{found:?} for {next}");
        assert_eq!(found.is_some(), expected.is_some(), "{found:?} for {next}");
    };
    check(body(&tools, "Be.", &long), None);
    check(body(&tools, "Be.", &long[..5]), None);
    check(body(&tools, "Be.", &["a", "b", "c", "d", "another"]), None);
    check(body(&tools, "Be.", &["a", "b", "another"]), None);
    check(body(&tools, "Be. Friday.", &long), Some(r#"{"type":"text","text":"Be. Friday."#));
    check(
        body(&[tool("read"), tool("grep"), tool("write")], "Be.", &long),
        Some(r#"{"name":"grep""#),
    );
    check(body(&tools[..1], "Be.", &long), Some(r#"{"type":"text","text":"Be."#));
    check(
        body(&tools, "Be.", &["a", "b", "cut", "d", "e", "f", "g"]),
        Some(r#"{"role":"user","content":"cut"#),
    );
    check(body(&tools, "Be.", &["Summary of all"]), Some(r#"{"role":"user","content":"Summary"#));
    let mut other_model = body(&tools, "Be. Friday.", &long);
    other_model["model"] = json!("small");
    let mut desk = Desk::default();
    desk.send(MESSAGES.named("s"), &body(&tools, "Be.", &long));
    let mut exchange = desk.exchange(MESSAGES.named("s"), other_model.to_string());
    exchange.model_requested = Some("small".to_owned());
    desk.sessions.place(&mut exchange);
    assert_eq!(exchange.summary.prefix_changed_at, None, "each model has a cache of its own");
    let mut marked = body(&tools, "Be.", &long);
    marked["messages"][4]["content"] =
        json!([{"type": "text", "text": "e", "cache_control": {"type": "ephemeral"}}]);
    check(marked, None);
}

#[test]
fn titles_and_side_questions_break_nothing() {
    let mut desk = Desk::default();
    let claude = MESSAGES.named("s");
    let title = json!({"system": "Title?", "messages": [said("user", "hi")]});
    let main = |texts: &[&str]| {
        let mut body = chat("", texts);
        body["messages"].as_array_mut().unwrap().remove(0);
        body["system"] = json!("Main.");
        body
    };
    for body in [title.clone(), main(&["hi"]), title, main(&["hi", "ho", "so"])] {
        let exchange = desk.send(claude, &body);
        assert_eq!((session(&exchange), broken_at(&exchange)), (Some("s"), None), "{body}");
    }
}

#[test]
fn memory_is_bounded_and_what_goes_on_is_remembered() {
    let talks = Limit { entries_max: 100, weight_max: 2_000, turn_us: HOUR_US };
    let heads = Limit { entries_max: 1_000, ..talks };
    let mut desk = Desk::default();
    desk.sessions.talks = Talks::within(talks, heads);
    let texts: Vec<String> = (0..60).map(|n| format!("text {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut name = None;
    for n in 0..600 {
        desk.send(CHAT, &chat("Be.", &[format!("{n}").as_str(), "so", "what"]));
        if n % 20 == 1 {
            let turn = desk.send(CHAT, &chat("Be.", &texts[..=(2 * (n / 20))]));
            let expected = name.get_or_insert(format!("inferred:{}", turn.id));
            assert!(n < 20 || session(&turn) == Some(expected.as_str()), "turn {n}");
        }
        let [talks, weight, heads] = desk.sessions.talks.sizes();
        assert!(talks <= 100 && weight <= 2_000 && heads <= 1_000, "{talks} {weight} {heads}");
    }
}

proptest! {
    #[test]
    fn any_body_is_placed(value in arbitrary::value(), layout in arbitrary::layout(), cut in any::<prop::sample::Index>()) {
        let text = arbitrary::write(&value, &layout);
        let members = ["messages", "input", "contents", "tools", "system", "metadata", "client_metadata", "conversation",
            "user", "request", "previous_response_id"].map(|name| format!(r#""{name}":{text}"#)).join(",");
        let whole = format!("{{{members}}}");
        let cut = String::from_utf8_lossy(&whole.as_bytes()[..cut.index(whole.len() + 1)]).into_owned();
        let mut desk = Desk::default();
        for from in [CHAT, MESSAGES, RESPONSES, GEMINI] {
            for body in [whole.clone(), cut.clone(), text.clone()] {
                let mut exchange = desk.exchange(from, body);
                let placed = desk.sessions.place(&mut exchange);
                let length = exchange.prompt.as_ref().unwrap().len();
                let parts = placed.sketch.messages.iter().chain(&placed.sketch.head);
                for part in parts {
                    prop_assert!(part.from <= part.to && part.to <= length);
                }
                prop_assert!(exchange.session.is_none_or(|session| session.len() <= 600));
            }
        }
    }
}
