//! Routing decisions as a table: what is configured, what is asked, where it goes.

use super::*;
use crate::route::rules::{Alias, Shipped, Target};

fn entry(id: &str, flags: &[Flag], models: &[&str]) -> Entry {
    Entry {
        id: id.into(),
        preset: Some(id.into()),
        flags: flags.iter().copied().collect(),
        preference: 0,
        disabled: false,
        models: models
            .iter()
            .map(|id| Served { id: Arc::from(*id), aliases: Vec::new() })
            .collect(),
        open: models.is_empty(),
    }
}

const CHAT: Flag = Flag::OpenAiChat;
const MESSAGES: Flag = Flag::AnthropicMessages;

fn usual() -> Vec<Entry> {
    vec![
        entry("openai", &[CHAT, Flag::OpenAiResponses], &["gpt-5", "gpt-5-mini", "ft:*"]),
        entry("anthropic", &[MESSAGES], &["claude-sonnet-4-6"]),
        entry("ollama", &[CHAT], &["llama3:8b", "openai/gpt-oss"]),
    ]
}

/// Where `asked` goes at an endpoint with `flag`: `provider>model`, or the refusal.
fn decided(table: &Table, asked: Option<&str>, flag: Option<Flag>) -> String {
    match table.decide(Ask { model: asked, flag, leaning: None }) {
        Ok(choice) => {
            let model = choice.model.as_deref().unwrap_or("-").to_owned();
            format!("{}>{model}", table.entries()[choice.provider].id)
        }
        Err(Refusal::UnknownModel { near, .. }) => format!("unknown, near {near:?}"),
        Err(Refusal::FlagMissing { provider, flag, .. }) => {
            format!("{provider} lacks {}", flag.key())
        }
        Err(other) => format!("{other:?}"),
    }
}

fn check(rules: Rules, cases: &[(&str, &str)]) {
    let table = Table::new(usual(), rules);
    for (asked, expected) in cases {
        assert_eq!(decided(&table, Some(asked), Some(CHAT)), *expected, "{asked}");
    }
}

#[test]
fn exact_ids_win_over_prefixes_and_colons_stay_in_names() {
    check(
        Rules::default(),
        &[
            ("gpt-5", "openai>gpt-5"),
            ("llama3:8b", "ollama>llama3:8b"),
            ("openai/gpt-oss", "ollama>openai/gpt-oss"),
            ("openai/gpt-5", "openai>gpt-5"),
            ("openai:gpt-5", "openai>gpt-5"),
            ("openai:gpt-5?temperature=0.7", "openai>gpt-5"),
            ("openai:not-listed", "openai>not-listed"),
            ("ft:gpt-5:acme", "openai>ft:gpt-5:acme"),
            ("claude-sonnet-4-6", "anthropic lacks openai_chat"),
            ("gpt-5-minni", r#"unknown, near ["gpt-5-mini", "gpt-5"]"#),
        ],
    );
}

#[test]
fn an_unknown_model_goes_to_the_default_only_when_it_is_set() {
    let default = Target { provider: "openai".into(), model: None };
    let rules = Rules { default_backend: Some(default), ..Rules::default() };
    check(rules, &[("brand-new", "openai>brand-new"), ("llama3:8b", "ollama>llama3:8b")]);
}

#[test]
fn force_means_force() {
    let rules = Rules { force_model: Some("gpt-5-mini".into()), ..Rules::default() };
    check(
        rules,
        &[
            ("gpt-5", "openai>gpt-5-mini"),
            ("anthropic:claude-sonnet-4-6", "openai>gpt-5-mini"),
            ("nonsense", "openai>gpt-5-mini"),
        ],
    );
    let rules =
        Rules { static_route: Some("ollama:llama3:8b?temperature=0".into()), ..Rules::default() };
    let table = Table::new(usual(), rules);
    let choice =
        table.decide(Ask { model: Some("gpt-5"), flag: Some(CHAT), leaning: None }).unwrap();
    assert_eq!(choice.model.as_deref(), Some("llama3:8b"));
    assert_eq!(choice.params.temperature, Some(0.0));
}

#[test]
fn aliases_rewrite_once_first_match_first() {
    let alias = |pattern: &str, replacement: &str| Alias {
        pattern: regex::Regex::new(pattern).unwrap(),
        replacement: replacement.to_owned(),
    };
    let rules = Rules {
        aliases: vec![alias("^gpt-4o(.*)$", "openai:gpt-5${1}"), alias("^gpt-4.*$", "llama3:8b")],
        ..Rules::default()
    };
    check(
        rules,
        &[
            ("gpt-4o-mini", "openai>gpt-5-mini"),
            ("gpt-4-turbo", "ollama>llama3:8b"),
            ("gpt-5", "openai>gpt-5"),
        ],
    );
}

#[test]
fn preference_decides_between_two_that_serve_a_model_then_the_file() {
    let mut entries = vec![
        entry("first", &[CHAT], &["m"]),
        entry("second", &[CHAT], &["m"]),
        entry("third", &[MESSAGES], &["m"]),
    ];
    assert_eq!(
        decided(&Table::new(entries.clone(), Rules::default()), Some("m"), Some(CHAT)),
        "first>m"
    );
    entries[1].preference = 5;
    let table = Table::new(entries.clone(), Rules::default());
    assert_eq!(decided(&table, Some("m"), Some(CHAT)), "second>m");
    assert_eq!(
        decided(&table, Some("m"), Some(MESSAGES)),
        "third>m",
        "the endpoint picks among them"
    );
    entries[1].disabled = true;
    assert_eq!(decided(&Table::new(entries, Rules::default()), Some("m"), Some(CHAT)), "first>m");
}

#[test]
fn a_provider_whose_models_are_not_known_takes_what_nobody_lists() {
    let mut entries = usual();
    entries.push(entry("groq", &[CHAT], &[]));
    let table = Table::new(entries, Rules::default());
    assert_eq!(decided(&table, Some("kimi-k2"), Some(CHAT)), "groq>kimi-k2");
    assert_eq!(decided(&table, Some("kimi-k2"), Some(MESSAGES)), "unknown, near []");
}

#[test]
fn calls_without_a_model_go_to_the_default_or_the_first_with_the_endpoint() {
    let table = Table::new(usual(), Rules::default());
    assert_eq!(decided(&table, None, Some(MESSAGES)), "anthropic>-");
    assert_eq!(decided(&table, None, None), "openai>-");
    assert_eq!(decided(&table, None, Some(Flag::BedrockConverse)), "NoModel");
    let default = Target { provider: "ollama".into(), model: Some("llama3:8b".into()) };
    let rules = Rules { default_backend: Some(default), ..Rules::default() };
    let table = Table::new(usual(), rules);
    assert_eq!(decided(&table, None, Some(CHAT)), "ollama>llama3:8b");
    assert_eq!(
        decided(&table, None, Some(MESSAGES)),
        "anthropic>-",
        "a default without the endpoint is passed over"
    );
}

#[test]
fn shipped_aliases_name_the_model_as_its_provider_does() {
    let shipped = vec![Shipped {
        name: "anthropic/claude-sonnet-4.6".into(),
        targets: vec![Target {
            provider: "anthropic".into(),
            model: Some("claude-sonnet-4-6".into()),
        }],
    }];
    let table = Table::new(usual(), Rules { shipped, ..Rules::default() });
    assert_eq!(
        decided(&table, Some("anthropic/claude-sonnet-4.6"), Some(MESSAGES)),
        "anthropic>claude-sonnet-4-6"
    );
}

#[test]
fn bad_parameters_are_refused_and_nothing_is_no_provider() {
    let table = Table::new(usual(), Rules::default());
    assert!(decided(&table, Some("gpt-5?temperature=9"), Some(CHAT)).contains("Temperature"));
    assert!(decided(&table, Some("gpt-5?top_k=9"), Some(CHAT)).contains("top_k"));
    assert_eq!(decided(&Table::default(), Some("gpt-5"), Some(CHAT)), "NoProvider");
}

#[test]
fn the_trail_tells_every_step() {
    let table = Table::new(usual(), Rules::default());
    let (steps, _) =
        table.explain(Ask { model: Some("claude-sonnet-4-6"), flag: Some(CHAT), leaning: None });
    assert_eq!(steps, ["anthropic: passed over, compatibility.openai_chat is off"]);
    let (steps, _) = table.explain(Ask { model: Some("gpt-5"), flag: Some(CHAT), leaning: None });
    assert_eq!(steps, ["openai: chosen by exact model id, sent as gpt-5"]);
}
