//! Which row a model's name leads to, at which seller, for which provider.

use std::collections::HashMap;
use std::sync::Arc;

use super::{row, tokens};
use crate::base::glob::Glob;
use crate::price::book::{Billing, Book, Exception};
use crate::price::catalog::Catalog;
use crate::price::decimal::Factor;
use crate::price::lists::Lists;

#[test]
fn names_lead_to_rows() {
    for (basis, model, expected) in [
        ("openai", "gpt-5", "openai/gpt-5"),
        ("openai", "gpt-5-2025-08-07", "openai/gpt-5"),
        ("openai", "openai/gpt-5", "openai/gpt-5"),
        ("openai", "gpt-5.1-2031-01-01", "openai/gpt-5.1"),
        ("openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
        ("openai", "gpt-4o-2024-11-20", "openai/gpt-4o"),
        ("openai", "ft:gpt-4o-2024-08-06:acme::id", "openai/ft:gpt-4o"),
        ("anthropic", "claude-opus-4-1-20250805", "anthropic/claude-opus-4-1"),
        ("anthropic", "claude-opus-4-20250514", "anthropic/claude-opus-4"),
        ("vertex", "claude-sonnet-4-5@20250929", "vertex/claude-sonnet-4-5"),
        ("vertex", "google/gemini-2.5-pro", "vertex/gemini-2.5-pro"),
        ("google", "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("azure-eu", "gpt-4.1", "azure-eu/gpt-4.1"),
        ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", "bedrock/claude-3-5-sonnet"),
        ("bedrock", "us.amazon.nova-pro-v1:0", "bedrock-us/nova-pro"),
        ("bedrock-eu", "global.anthropic.claude-opus-4-5-20251101-v1:0", "bedrock/claude-opus-4-5"),
        ("bedrock", "us.deepseek.r1-v1:0", "bedrock-us/r1"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4-5"),
        ("openrouter", "x-ai/grok-4", "openrouter/x-ai/grok-4"),
        ("openrouter", "deepseek/deepseek-r1:free", "openrouter/free"),
        ("vercel", "xai/grok-4", "vercel/xai/grok-4"),
        ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
        (
            "together",
            "meta-llama/Llama-3.3-70B-Instruct-Turbo",
            "together/meta-llama/llama-3.3-70b-instruct-turbo",
        ),
        ("fireworks", "accounts/fireworks/models/glm-4p6", "fireworks/glm-4p6"),
        ("minimax", "MiniMax-M2", "minimax/minimax-m2"),
    ] {
        assert_eq!(row(basis, model).as_deref(), Some(expected), "{model} at {basis}");
    }
}

#[test]
fn what_is_on_no_list_has_no_price() {
    for (basis, model) in [
        ("openai", "gpt-9"),
        ("openai", "gpt-5-mini-turbo"),
        ("openai", "claude-sonnet-4-5"),
        ("anthropic", "claude"),
        ("openrouter", "meta-llama/llama-3.3-70b-instruct"),
        ("openrouter", "openai/gpt-5:nitro"),
        ("nowhere", "gpt-5"),
        ("openai", ""),
        ("openai", "////"),
    ] {
        assert_eq!(row(basis, model), None, "{model} at {basis}");
    }
}

#[test]
fn a_region_or_a_factor_makes_it_dearer() {
    let input = |basis: &str, model: &str| {
        let found = Lists::shipped().find(basis, model).unwrap();
        found.prices.rates.iter().next().unwrap().1.per_million()
    };
    assert_eq!(input("azure", "gpt-4.1"), "2");
    assert_eq!(input("azure-eu", "gpt-4.1"), "2.2");
    assert_eq!(input("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"), "1.1");
    assert_eq!(input("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0"), "1");
    assert_eq!(
        input("bedrock-us", "claude-3-haiku"),
        "0.25",
        "older models cost the same everywhere"
    );
}

#[test]
fn the_shipped_list_holds_what_is_promised() {
    let lists = Lists::shipped();
    let promised = "openai anthropic google bedrock bedrock-us bedrock-eu bedrock-ap vertex azure azure-eu openrouter \
                    vercel deepseek mistral groq xai together fireworks cohere moonshot qwen zai minimax";
    for basis in promised.split_whitespace() {
        assert!(lists.has(basis), "{basis}");
    }
    let rows = lists.rows().count();
    assert!(rows >= 200, "{rows}");
    assert_eq!(lists.version(), "2026-11-20");
    for (basis, model) in &Catalog::shipped().bases {
        for (name, row) in &model.models {
            assert_eq!(*name, name.to_ascii_lowercase(), "{basis}");
            let cached = row.as_ref().unwrap().rates;
            let price = |kind| cached.get(kind);
            let input = price(crate::price::rates::Kind::Input);
            assert!(
                price(crate::price::rates::Kind::CacheRead)
                    <= input.or(price(crate::price::rates::Kind::CacheRead)),
                "{name}"
            );
        }
    }
}

fn book(bases: &[&str], exceptions: &[(&str, &str, f64)]) -> Book {
    let exception = |&(pattern, priced_as, adjustment): &(&str, &str, f64)| Exception {
        pattern: Glob::new(pattern),
        priced_as: priced_as.to_owned(),
        adjustment: Factor::of(adjustment).unwrap(),
    };
    let billing = Billing {
        bases: bases.iter().map(|basis| Arc::from(*basis)).collect(),
        exceptions: exceptions.iter().map(exception).collect(),
    };
    Book::new(Lists::shipped(), HashMap::from([(Arc::from("p"), billing)]))
}

#[test]
fn the_first_exception_that_matches_decides() {
    let book = book(
        &["openai"],
        &[
            ("house-*", "gpt-5", 0.5),
            ("gpt-5", "gpt-5-mini", 1.0),
            ("claude-*", "bedrock-eu/claude-sonnet-4-5", 1.0),
            ("opus", "claude-opus-4-5", 1.0),
            ("house-*", "gpt-5-nano", 1.0),
            ("lost", "gpt-99", 1.0),
        ],
    );
    let cost = |model: &str| {
        let amount = book.price("p", model, &tokens(1_000, 100), None)?;
        Some((amount.nanodollars.0, amount.basis.to_string()))
    };
    // (1000 × 1250 + 100 × 10000) / 2
    assert_eq!(cost("house-1"), Some((1_125_000, "openai/gpt-5".to_owned())));
    // 1000 × 250 + 100 × 2000
    assert_eq!(cost("gpt-5"), Some((450_000, "openai/gpt-5-mini".to_owned())));
    assert_eq!(cost("claude-x").unwrap().1, "bedrock-eu/claude-sonnet-4-5");
    assert_eq!(
        cost("opus").unwrap().1,
        "anthropic/claude-opus-4-5",
        "any basis, when the own has none"
    );
    assert_eq!(cost("gpt-5-nano").unwrap().1, "openai/gpt-5-nano", "no exception");
    assert_eq!(cost("lost"), None);
    assert_eq!(cost("unknown"), None);
}

#[test]
fn several_bases_are_looked_on_in_order_and_answers_are_remembered() {
    let book = book(&["anthropic", "openai"], &[]);
    for _ in 0..2 {
        assert_eq!(&*book.lookup("p", "gpt-5").unwrap().basis, "openai/gpt-5");
        assert_eq!(
            &*book.lookup("p", "claude-opus-4-5").unwrap().basis,
            "anthropic/claude-opus-4-5"
        );
        assert_eq!(book.lookup("p", "nothing"), None);
    }
    for number in 0..10_000 {
        assert_eq!(book.lookup("p", &format!("junk-{number}")), None);
        assert_eq!(book.lookup(&format!("junk-{number}"), "gpt-5"), None);
    }
    assert_eq!(&*book.lookup("p", "gpt-5").unwrap().version, "2026-11-20");
}

/// Stored rows outlive the configuration they were made under.
#[test]
fn a_provider_that_is_gone_bills_by_its_name() {
    let book = book(&[], &[]);
    assert_eq!(book.lookup("p", "gpt-5"), None, "configured to have no list");
    assert_eq!(&*book.lookup("openai", "gpt-5").unwrap().basis, "openai/gpt-5");
    assert_eq!(book.lookup("corp", "gpt-5"), None);
}
