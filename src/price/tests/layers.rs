//! Lists over lists, and what changes between them.

use crate::price::catalog::Catalog;
use crate::price::decimal::PerToken;
use crate::price::diff::diff;
use crate::price::lists::Lists;
use crate::price::rates::Kind;

fn over(text: &str) -> Lists {
    let own = Catalog::parse(text).unwrap_or_else(|fault| panic!("{fault}"));
    Lists::layered([Catalog::shipped(), &own]).unwrap_or_else(|fault| panic!("{fault}"))
}

fn list(rest: &str) -> String {
    format!("{{\"version\": \"own-1\", \"date\": \"2027-01-01\", {rest}}}")
}

#[test]
fn a_list_above_hides_rows_and_keeps_the_rest() {
    let lists = over(&list(
        r#""bases": { "openai": { "models": {
            "GPT-5": { "input": "1", "output": "8" },
            "gpt-4": null,
            "house": { "as": "openai/gpt-5", "factor": "0.5", "names": ["house-*"] } } },
          "corp": { "like": ["openai"], "factor": "0.9", "modes": { "night": "0.1" } } }"#,
    ));
    let found = lists.find("openai", "gpt-5-2025-08-07").unwrap();
    assert_eq!((&*found.version, found.basis.as_str()), ("own-1", "openai/gpt-5"));
    let price = |basis: &str, model: &str| {
        let found = lists.find(basis, model)?;
        found.prices.rates.get(Kind::Output).map(PerToken::per_million)
    };
    assert_eq!(price("openai", "gpt-5").as_deref(), Some("8"));
    assert_eq!(price("openai", "house-2").as_deref(), Some("4"));
    assert_eq!(price("corp", "gpt-5").as_deref(), Some("7.2"));
    assert_eq!(price("azure", "gpt-5").as_deref(), Some("8"), "and what is like it follows");
    assert_eq!(price("openai", "gpt-4"), None);
    let kept = lists.find("openai", "gpt-5-mini").unwrap();
    assert_eq!(&*kept.version, "2026-11-20");
    assert_eq!(kept.prices.modes.len(), 3, "batch, flex, priority");
    assert_eq!(lists.version(), "own-1");
    assert_eq!(lists.date().unwrap().to_string(), "2027-01-01");
}

#[test]
fn a_list_may_stand_alone() {
    let lists = over(&list(
        r#""replaces": true, "bases": { "openai": { "models": { "m": { "input": "1" } } } }"#,
    ));
    assert!(lists.find("openai", "gpt-5").is_none());
    assert_eq!(lists.parts.len(), 1);
    let changes = diff(&Lists::shipped(), &lists);
    assert_eq!(changes.iter().filter(|change| change.what.label() == "added").count(), 1);
    assert!(changes.iter().filter(|change| change.what.label() == "removed").count() >= 200);
}

#[test]
fn differences_are_told_with_percent() {
    let lists = over(&list(
        r#""bases": { "openai": { "models": {
            "gpt-5": { "input": "1", "output": "12", "cache_read": "0.125",
                       "modes": { "priority": { "input": "2.5", "output": "20", "cache_read": "0.25" } } },
            "gpt-9": { "input": "9", "output": "90" } } },
          "google": { "models": { "gemini-2.5-pro": { "input": "1.25", "output": "10", "cache_read": "0.125",
            "tiers": [{ "above": 200000, "input": "5", "output": "15", "cache_read": "0.25" }], "web_search": "0.035" } } } }"#,
    ));
    let told: Vec<String> =
        diff(&Lists::shipped(), &lists).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "cheaper  openai/gpt-5 input 1.25 -> 1 (-20.0%)",
            "dearer   openai/gpt-5 output 10 -> 12 (+20.0%)",
            "dearer   google/gemini-2.5-pro input above 200000 2.5 -> 5 (+100.0%)",
            "added    openai/gpt-9",
        ]
    );
    assert!(diff(&lists, &lists).is_empty());
}
