//! Lists that are refused, each with the place, what is wrong, and what to write.

use crate::price::catalog::Catalog;
use crate::price::lists::Lists;

/// The fault of a list whose basis `b` has the one model `m`, written from line 2 on.
fn model_fault(model: &str) -> String {
    let text = format!(
        "{{ \"version\": \"1\", \"date\": \"2026-11-20\", \"bases\": {{ \"b\": {{ \"models\": {{\n\"m\": {model}\n}}}}}}}}"
    );
    Catalog::parse(&text).unwrap_err().to_string()
}

#[test]
fn faults_of_a_model_are_told_with_line_way_and_remedy() {
    for (model, words) in [
        (
            r#"{ "input": "-1" }"#,
            "bases: b: models: m: input: not a price: negative; write US dollars",
        ),
        (r#"{ "input": 1.25 }"#, "expected a price as text, such as \"1.25\""),
        (r#"{ "input": "cheap" }"#, "input: not a price: not a decimal number"),
        (r#"{ "input": null }"#, "expected a price as text"),
        (r#"{ "imput": "1" }"#, "m: imput: unknown key; did you mean input?"),
        (r#"{ "input": "1", "cached": "1" }"#, "cached: unknown key; did you mean cache_read?"),
        (r#"{ "input": "1", "zzz": "1" }"#, "zzz: unknown key; known are input, output"),
        (r#"{ "input": "1", "input": "2" }"#, "input: given twice; remove one of the two"),
        (r#"{ "output": "1" }"#, "input: missing; write \"0\" if it is free"),
        ("{}", "no price; write input and output"),
        (r#"{ "input": "1", "as": "b/m" }"#, "as: stands beside prices"),
        (r#"{ "input": "1", "factor": "2" }"#, "factor: only goes with as"),
        (r#"{ "input": "1", "tiers": [{ "above": 0, "input": "1" }] }"#, "a tier without above"),
        (
            r#"{ "input": "1", "tiers": [{ "above": 9 }] }"#,
            "a tier without above or without a price",
        ),
        (
            r#"{ "input": "1", "tiers": [{ "above": 9, "input": "1" }, { "above": 9, "input": "2" }] }"#,
            "not in ascending order",
        ),
        (
            r#"{ "input": "1", "tiers": [{ "above": -1, "input": "1" }] }"#,
            "invalid value: integer `-1`",
        ),
        (
            r#"{ "input": "1", "modes": { "batch": "2x" } }"#,
            "batch: not a factor: not a decimal number",
        ),
        (r#"{ "input": "1", "modes": { "batch": {} } }"#, "no price; write a factor or prices"),
        (
            r#"{ "input": "1", "modes": { "batch": { "inputs": "1" } } }"#,
            "batch: inputs: unknown key; did you mean input?",
        ),
        (r#"{ "input": "1", "names": ["M"] }"#, "M is a name of m already"),
        ("[]", "expected a model: an object with prices"),
    ] {
        let fault = model_fault(model);
        assert!(fault.contains(words), "{model}: {fault}");
        let line = if words.contains("already") { "line 3, " } else { "line 2, " };
        assert!(fault.starts_with(line), "{fault}");
        assert!(!fault.contains(" at line "), "{fault}");
    }
}

#[test]
fn faults_of_a_list_are_told() {
    for (text, words) in [
        ("", "EOF while parsing"),
        ("[]", "expected a price list"),
        ("{", "EOF"),
        (r#"{ "date": "2026-11-20" }"#, "version: missing"),
        (r#"{ "version": "1" }"#, "date: missing"),
        (r#"{ "version": "1", "date": "tomorrow" }"#, "date: not a date; write 2026-11-20"),
        (r#"{ "version": "1", "date": "2026-11-20", "base": {} }"#, "did you mean bases?"),
        (
            r#"{ "version": "1", "date": "2026-11-20", "bases": { "a": {}, "a": {} } }"#,
            "a: given twice",
        ),
        (r#"{ "version": "1", "date": "2026-11-20", "bases": { "a/b": {} } }"#, "a basis has no /"),
        (r#"{ "version": "1", "date": "2026-11-20", "bases": { "": {} } }"#, "an empty name"),
    ] {
        let fault = Catalog::parse(text).unwrap_err().to_string();
        assert!(fault.contains(words), "{text}: {fault}");
    }
    let large = format!("{{\"note\": \"{}\"}}", "x".repeat(9 << 20));
    assert!(Catalog::parse(&large).unwrap_err().to_string().contains("larger than"));
    assert!(Catalog::parse(&"[".repeat(100_000)).is_err(), "depth has a limit");
}

#[test]
fn references_that_lead_nowhere_are_told() {
    let fault = |rest: &str| {
        let text = format!("{{ \"version\": \"1\", \"date\": \"2026-11-20\", {rest} }}");
        let own = Catalog::parse(&text).unwrap();
        Lists::layered([Catalog::shipped(), &own]).unwrap_err().to_string()
    };
    assert_eq!(
        fault(r#""bases": { "b": { "like": ["opena"] } }"#),
        "bases: b: no basis opena; did you mean openai?"
    );
    assert!(fault(r#""vendors": { "v": "zzzz" }"#).starts_with("vendors: v: no basis zzzz"));
    for lost in ["openai/gpt-99", "gpt-5", "b/m", "b/n"] {
        let rest = format!(
            r#""bases": {{ "b": {{ "models": {{ "m": {{ "as": "{lost}" }}, "n": {{ "as": "b/m" }} }} }} }}"#
        );
        assert!(fault(&rest).contains("leads to no price"), "{lost}");
    }
    let circle = r#""bases": { "x": { "like": ["y"], "models": { "m": { "input": "1" } } }, "y": { "like": ["x"] } }"#;
    let text = format!("{{ \"version\": \"1\", \"date\": \"2026-11-20\", {circle} }}");
    let lists = Lists::layered([&Catalog::parse(&text).unwrap()]).unwrap();
    assert_eq!(lists.find("y", "m").unwrap().basis, "y/m", "a circle of likes is walked once");
}
