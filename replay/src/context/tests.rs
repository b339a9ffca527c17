//! Golden requests: what was recorded, what the target answered, what it is sent.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::outcome::{Answer, Call, Outcome, Seal, Sealed};
use crate::recording::{Body, Leg, Usage, Whole};

fn recording(dialect: &str, body: &Value) -> Recording {
    Recording {
        dialect: dialect.to_owned(),
        usage: Some(Usage { output: Some(40), ..Usage::default() }),
        request: Leg { body: Body::of(serde_json::to_vec(body).unwrap()), ..Leg::default() },
        ..Recording::default()
    }
}

fn ask<'a>(recording: &'a Recording, target: &'a Target) -> Ask<'a> {
    let (cache, length) = (Cache::AsIs, Length::Free);
    Ask { recording, target, cache, length, marker: "m-1", history: None }
}

fn made(asked: Ask<'_>) -> Value {
    let body = prepare(asked).unwrap().body.expect("changed");
    serde_json::from_slice(&body).unwrap()
}

fn answer(text: &str, calls: &[(&str, &str)]) -> Outcome {
    let call = |(name, arguments): &(&str, &str)| Call {
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    Outcome {
        status: Some(200),
        answer: Answer {
            text: text.to_owned(),
            calls: calls.iter().map(call).collect(),
            ..Answer::default()
        },
        ..Outcome::default()
    }
}

/// The first turn is asked, answered with `live`, and the second one is made.
fn fed(dialect: &str, first: &Value, live: &Outcome, second: &Value) -> Result<Value, Fault> {
    let target = Target::default();
    let mut history = History::default();
    let first = recording(dialect, first);
    let key = prepare(Ask { history: Some(&history), ..ask(&first, &target) })?.key.unwrap();
    history.keep(key, live);
    let second = recording(dialect, second);
    let made = prepare(Ask { history: Some(&history), ..ask(&second, &target) })?;
    Ok(serde_json::from_slice(&made.body.unwrap()).unwrap())
}

fn why(result: Result<Value, Fault>) -> String {
    let fault = result.unwrap_err();
    assert_eq!((fault.source.as_str(), fault.kind.as_str()), (SOURCE, BRANCH_STOPPED));
    fault.detail.unwrap()
}

#[test]
fn nothing_is_touched_without_a_reason() {
    let target = Target { selector: "p/m".into(), ..Target::default() };
    let recording = recording("openai_chat", &json!({"messages": []}));
    assert_eq!(prepare(ask(&recording, &target)), Ok(Prepared::default()));
    let warm = Ask { cache: Cache::Warm, ..ask(&recording, &target) };
    assert_eq!(prepare(warm), Ok(Prepared::default()));
    let unknown = Recording { dialect: "other".into(), ..recording.clone() };
    assert_eq!(prepare(ask(&unknown, &target)), Ok(Prepared::default()));
}

#[test]
fn chat_goes_on_with_the_targets_answers() {
    let first = json!({"model": "m", "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "go"}], "stream": true});
    let second = json!({"model": "m", "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "assistant", "content": "recorded", "tool_calls": [
            {"id": "r1", "type": "function", "function": {"name": "read", "arguments": "{\"a\":1}"}},
            {"id": "r2", "type": "function", "function": {"name": "read", "arguments": "{\"a\":2}"}},
            {"id": "r3", "type": "function", "function": {"name": "list", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "r1", "content": "one"},
        {"role": "tool", "tool_call_id": "r2", "content": "two"},
        {"role": "tool", "tool_call_id": "r3", "content": "three"}], "stream": true});
    let live = answer("", &[("list", "{ }"), ("read", "{\"a\":9}")]);
    assert_eq!(
        fed("openai_chat", &first, &live, &second).unwrap(),
        json!({"model": "m", "messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "go"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_live_1_0", "type": "function", "function": {"name": "list", "arguments": "{ }"}},
                {"id": "call_live_1_1", "type": "function", "function": {"name": "read", "arguments": "{\"a\":9}"}}]},
            {"role": "tool", "tool_call_id": "call_live_1_1", "content": "one"},
            {"role": "tool", "tool_call_id": "call_live_1_0", "content": "three"}], "stream": true})
    );
    let other = answer("", &[("write", "{}")]);
    assert!(why(fed("openai_chat", &first, &other, &second)).contains("`write`"));
    let twice = answer("", &[("list", "{}"), ("list", "{}")]);
    assert!(why(fed("openai_chat", &first, &twice, &second)).contains("`list`"));
    let none = answer("done", &[]);
    assert!(why(fed("openai_chat", &first, &none, &second)).contains("calls no tool"));
    let failed =
        Outcome { error: Some(Fault { kind: "timeout".into(), ..Fault::default() }), ..none };
    assert!(why(fed("openai_chat", &first, &failed, &second)).contains("timeout"));
}

#[test]
fn a_history_that_was_said_to_somebody_else_is_kept() {
    let first = json!({"messages": [{"role": "user", "content": "one"}]});
    let second = json!({"messages": [{"role": "user", "content": "another"},
        {"role": "assistant", "content": "recorded"}, {"role": "user", "content": "go on"}]});
    assert_eq!(fed("openai_chat", &first, &answer("live", &[]), &second).unwrap(), second);
}

#[test]
fn responses_go_on_with_the_targets_answers() {
    let first = json!({"input": [{"role": "user", "content": "go"}]});
    let second = json!({"input": [
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "file"},
        {"role": "user", "content": "and?"}]});
    let live = answer("I read.", &[("read", "{\"p\":1}")]);
    assert_eq!(
        fed("openai_responses", &first, &live, &second).unwrap(),
        json!({"input": [
            {"role": "user", "content": "go"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I read."}]},
            {"type": "function_call", "call_id": "call_live_1_0", "name": "read", "arguments": "{\"p\":1}"},
            {"type": "function_call_output", "call_id": "call_live_1_0", "output": "file"},
            {"role": "user", "content": "and?"}]})
    );
    let stored = json!({"previous_response_id": "resp_1", "input": "and?"});
    assert!(why(fed("openai_responses", &first, &live, &stored)).contains("only its provider has"));
}

#[test]
fn anthropic_goes_on_with_the_targets_answers() {
    let first = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "go", "cache_control": {"type": "ephemeral"}}]}]});
    let second = json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "tool_use", "id": "t1", "name": "bash", "input": {"c": 1}},
            {"type": "tool_use", "id": "t2", "name": "bash", "input": {"c": 2}, "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "ok"},
            {"type": "tool_result", "tool_use_id": "t2", "content": "bad", "is_error": true}]}]});
    let live = answer("Trying.", &[("bash", "{\"c\":3}")]);
    assert_eq!(
        fed("anthropic", &first, &live, &second).unwrap(),
        json!({"messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Trying."},
                {"type": "tool_use", "id": "call_live_1_0", "name": "bash", "input": {"c": 3}, "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_live_1_0", "content": "ok"}]}]})
    );
    let garbage = answer("", &[("bash", "{\"c\":")]);
    assert!(why(fed("anthropic", &first, &garbage, &second)).contains("no JSON object"));
    assert!(why(fed("anthropic", &first, &answer("", &[]), &second)).contains("empty"));
}

#[test]
fn gemini_goes_on_with_the_targets_answers() {
    let first = json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}]});
    let second = json!({"contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "read", "args": {"p": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"name": "read", "args": {"p": 2}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "read", "response": {"r": 1}}},
            {"functionResponse": {"name": "read", "response": {"r": 2}}}]}]});
    let live = answer("", &[("read", "{\"p\":7}")]);
    assert_eq!(
        fed("gemini", &first, &live, &second).unwrap(),
        json!({"contents": [
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "read", "args": {"p": 7}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "read", "response": {"r": 1}}}]}]})
    );
    let with_ids =
        second.to_string().replace("\"name\":\"read\"", "\"name\":\"read\",\"id\":\"i\"");
    let with_ids: Value = serde_json::from_str(&with_ids).unwrap();
    let made = fed("gemini", &first, &live, &with_ids).unwrap();
    assert_eq!(made.pointer("/contents/1/parts/0/functionCall/id"), Some(&json!("call_live_1_0")));
    let result = made.pointer("/contents/2/parts/0/functionResponse/id");
    assert_eq!(result, Some(&json!("call_live_1_0")));
}

/// What the target sealed goes back to it, in its place; what was recorded of others does not.
#[test]
fn what_a_target_sealed_goes_back_to_it() {
    let sealed = |live: &mut Outcome, all: &[(Seal, Value)]| {
        let one = |(place, item): &(Seal, Value)| Sealed { place: *place, item: item.clone() };
        live.answer.sealed = all.iter().map(one).collect();
    };
    let user = json!({"role": "user", "content": "go"});
    let first = json!({"messages": [user]});
    let second = json!({"messages": [user,
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "other", "signature": "recorded"},
            {"type": "tool_use", "id": "t", "name": "bash", "input": {}, "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}]});
    let thinking = json!({"type": "thinking", "thinking": "own", "signature": "live"});
    let hidden = json!({"type": "redacted_thinking", "data": "x"});
    let mut live = answer("Trying.", &[("bash", "{}")]);
    sealed(&mut live, &[(Seal::Before(0), thinking.clone()), (Seal::Before(1), hidden.clone())]);
    let made = fed("anthropic", &first, &live, &second).unwrap();
    let call = json!({"type": "tool_use", "id": "call_live_1_0", "name": "bash", "input": {}, "cache_control": {"type": "ephemeral"}});
    assert_eq!(
        made["messages"][1]["content"],
        json!([thinking, {"type": "text", "text": "Trying."}, call, hidden])
    );

    let user = json!({"role": "user", "parts": [{"text": "go"}]});
    let first = json!({"contents": [user]});
    let result = |n: i64| json!({"functionResponse": {"name": "read", "response": {"r": n}}});
    let second = json!({"contents": [user,
        {"role": "model", "parts": [
            {"functionCall": {"name": "read", "args": {}}, "thoughtSignature": "recorded"},
            {"functionCall": {"name": "read", "args": {}}}]},
        {"role": "user", "parts": [result(1), result(2)]}]});
    let mut live = answer("", &[("read", "{}"), ("read", "{}")]);
    sealed(&mut live, &[(Seal::Call(0), json!("a")), (Seal::Text, json!("b"))]);
    let made = fed("gemini", &first, &live, &second).unwrap();
    let call = json!({"name": "read", "args": {}});
    assert_eq!(
        made["contents"][1]["parts"],
        json!([{"text": "", "thoughtSignature": "b"},
            {"functionCall": call, "thoughtSignature": "a"}, {"functionCall": call}])
    );

    let user = json!({"role": "user", "content": "go"});
    let first = json!({"input": [user]});
    let second = json!({"input": [user,
        {"type": "reasoning", "id": "rs_0", "summary": [], "encrypted_content": "recorded"},
        {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"}]});
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"});
    let mut live = answer("", &[("read", "{}")]);
    sealed(&mut live, &[(Seal::Before(0), item.clone())]);
    let made = fed("openai_responses", &first, &live, &second).unwrap();
    assert_eq!(made["input"][1], item);
    assert_eq!(made["input"][2]["call_id"], "call_live_1_0");
    assert_eq!(made["input"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_cold_request_begins_with_something_new() {
    let target = Target::default();
    for (dialect, body, places) in [
        (
            "openai_chat",
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d"}}],
                "messages": [{"role": "system", "content": "s"}]}),
            &["/messages/0/content", "/tools/0/function/description"][..],
        ),
        (
            "openai_chat",
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}),
            &["/messages/0/content/0/text"],
        ),
        ("openai_responses", json!({"instructions": "s", "input": "a"}), &["/instructions"]),
        ("openai_responses", json!({"input": "a"}), &["/input"]),
        (
            "openai_responses",
            json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}),
            &["/input/0/content/0/text"],
        ),
        (
            "anthropic",
            json!({"system": [{"type": "text", "text": "s"}], "messages": []}),
            &["/system/0/text"],
        ),
        (
            "anthropic",
            json!({"messages": [{"role": "user", "content": "a"}]}),
            &["/messages/0/content"],
        ),
        (
            "gemini",
            json!({"systemInstruction": {"parts": [{"text": "s"}]}, "contents": []}),
            &["/systemInstruction/parts/0/text"],
        ),
        (
            "gemini",
            json!({"contents": [{"parts": [{"text": "a"}]}]}),
            &["/contents/0/parts/0/text"],
        ),
    ] {
        let recording = recording(dialect, &body);
        let cold = made(Ask { cache: Cache::Cold, ..ask(&recording, &target) });
        for place in places {
            let text = cold.pointer(place).and_then(Value::as_str).unwrap();
            assert!(text.starts_with("[m-1]\n"), "{dialect} {place}: {cold}");
        }
    }
    let empty = recording("anthropic", &json!({"messages": []}));
    let fault = prepare(Ask { cache: Cache::Cold, ..ask(&empty, &target) }).unwrap_err();
    assert_eq!(fault.kind, "not_editable");
}

#[test]
fn answers_are_capped_at_what_was_recorded() {
    let target = Target { forces_length: true, ..Target::default() };
    for (dialect, body, want) in [
        ("openai_chat", json!({}), json!({"max_completion_tokens": 40})),
        ("openai_chat", json!({"max_tokens": 9}), json!({"max_tokens": 9})),
        ("openai_responses", json!({"max_output_tokens": 99}), json!({"max_output_tokens": 40})),
        ("anthropic", json!({"max_tokens": 99}), json!({"max_tokens": 40})),
        (
            "anthropic",
            json!({"max_tokens": 99, "thinking": {"budget_tokens": 64}}),
            json!({"max_tokens": 65, "thinking": {"budget_tokens": 64}}),
        ),
        ("gemini", json!({}), json!({"generationConfig": {"maxOutputTokens": 40}})),
    ] {
        let recording = recording(dialect, &body);
        let capped = made(Ask { length: Length::Capped, ..ask(&recording, &target) });
        assert_eq!(capped, want, "{dialect}");
    }
    let chat = recording("openai_chat", &json!({}));
    let matched = made(Ask { length: Length::Matched, ..ask(&chat, &target) });
    let want = json!({"max_completion_tokens": 40, "min_tokens": 40, "ignore_eos": true});
    assert_eq!(matched, want);
    let unknown = Recording { usage: None, ..chat };
    let free = prepare(Ask { length: Length::Capped, ..ask(&unknown, &target) }).unwrap();
    assert_eq!(free.body, None, "nothing is guessed");
}

#[test]
fn parameters_find_the_place_that_the_dialect_has_for_them() {
    let written = "p/m?temperature=0.5&max_tokens=7&stop=x&top_p=null&a.b=1";
    let target = Target { model: Some("new".into()), ..parse_target(written).unwrap() };
    for (dialect, body, want) in [
        (
            "openai_chat",
            json!({"model": "m", "top_p": 1, "max_completion_tokens": 5}),
            json!({"model": "new", "max_completion_tokens": 7, "temperature": 0.5, "stop": "x", "a": {"b": 1}}),
        ),
        (
            "openai_responses",
            json!({"model": "m"}),
            json!({"model": "new", "temperature": 0.5, "max_output_tokens": 7, "stop": "x", "a": {"b": 1}}),
        ),
        (
            "anthropic",
            json!({"max_tokens": 5}),
            json!({"max_tokens": 7, "model": "new", "temperature": 0.5, "stop_sequences": ["x"], "a": {"b": 1}}),
        ),
        (
            "gemini",
            json!({"generationConfig": {"topP": 1, "seed": 4}}),
            json!({"generationConfig": {"seed": 4, "temperature": 0.5, "maxOutputTokens": 7, "stopSequences": ["x"]}, "a": {"b": 1}}),
        ),
    ] {
        assert_eq!(made(ask(&recording(dialect, &body), &target)), want, "{dialect}");
    }
    let effort = parse_target("p/m?reasoning_effort=low").unwrap();
    let body = recording("openai_responses", &json!({"reasoning": {"summary": "auto"}}));
    let want = json!({"reasoning": {"summary": "auto", "effort": "low"}});
    assert_eq!(made(ask(&body, &effort)), want);
}

#[test]
fn what_cannot_be_changed_is_refused_by_name() {
    let target = parse_target("p/m?temperature=0").unwrap();
    let whole = recording("openai_chat", &json!({}));
    let with = |body| Recording { request: Leg { body, ..Leg::default() }, ..whole.clone() };
    for (recording, kind, part) in [
        (with(Body::Absent("shed_memory".into())), "not_recorded", "not kept"),
        (with(Body::of(b"[1]".to_vec())), "not_editable", "no object"),
        (with(Body::of(b"{".to_vec())), "not_editable", "no JSON"),
        (
            with(Body::Whole(Whole { coding: Some("gzip".into()), ..Whole::default() })),
            "not_editable",
            "gzip",
        ),
        (
            Recording { dialect: "openai_embeddings".into(), ..whole.clone() },
            "not_editable",
            "embeddings",
        ),
    ] {
        let fault = prepare(ask(&recording, &target)).unwrap_err();
        assert_eq!(fault.kind, kind);
        assert!(fault.detail.as_ref().unwrap().contains(part), "{fault:?}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = proptest::sample::select(vec![
        "assistant",
        "user",
        "model",
        "tool",
        "text",
        "tool_use",
        "tool_result",
        "function_call",
        "function_call_output",
        "reasoning",
        "i",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    let names = proptest::sample::select(vec![
        "role",
        "type",
        "content",
        "parts",
        "id",
        "call_id",
        "tool_calls",
        "tool_call_id",
        "tool_use_id",
        "name",
        "function",
        "functionCall",
        "functionResponse",
        "cache_control",
        "system",
        "tools",
        "generationConfig",
        "thinking",
        "budget_tokens",
    ]);
    leaf.prop_recursive(4, 48, 6, move |inner| {
        let object = proptest::collection::vec((names.clone(), inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::Array),
            object.prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_breaks_the_editing_and_without_answers_none_is_changed(
        items in any_json(),
        tail in any_json(),
        dialect in proptest::sample::select(vec!["openai_chat", "openai_responses", "anthropic", "gemini"]),
    ) {
        let list = match dialect {
            "openai_responses" => "input",
            "gemini" => "contents",
            _ => "messages",
        };
        let body = json!({list: items, "tools": tail, "system": tail, "generationConfig": tail});
        let mut history = History::default();
        let target = Target::default();
        let asked = recording(dialect, &body);
        let made = prepare(Ask { history: Some(&history), ..ask(&asked, &target) }).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&made.body.unwrap()).unwrap(), body.clone());

        // Whatever was said first is answered, and everything else is changed at once.
        history.keep(made.key.unwrap(), &answer("a", &[("i", "{}")]));
        let target = parse_target("p/m?max_tokens=3&stop=x&a.b=1").unwrap();
        let mut longer = body.clone();
        if let Some(Value::Array(items)) = longer.get_mut(list) {
            items.push(json!({"role": if dialect == "gemini" { "model" } else { "assistant" }}));
            items.push(tail);
        }
        let longer = recording(dialect, &longer);
        for (cache, length) in [(Cache::AsIs, Length::Capped), (Cache::Cold, Length::Matched)] {
            let asked = Ask { history: Some(&history), cache, length, ..ask(&longer, &target) };
            if let Ok(made) = prepare(asked) {
                let made: Value = serde_json::from_slice(&made.body.unwrap()).unwrap();
                prop_assert!(made.is_object());
            }
        }
    }
}
