//! Routing rules of file and command line, and who may listen where.

use super::{assert_says, load_with, provider};
use crate::config::diagnostic::Findings;
use crate::config::settings::{Overrides, Settings};
use crate::route::rules::Target;

const KEYS: [(&str, &str); 2] = [("OPENAI_API_KEY", "sk-o"), ("ANTHROPIC_API_KEY", "sk-a")];
const OPENAI: &str = "[providers.main]\ntype = \"openai\"\n";

fn with(content: &str, overrides: &Overrides) -> Result<Settings, Findings> {
    load_with("pinhole.toml", content, &KEYS, overrides)
}

fn default_backend(text: &str) -> Overrides {
    Overrides { default_backend: Some(text.to_owned()), ..Overrides::default() }
}

fn target(provider: &str, model: Option<&str>) -> Target {
    Target { provider: provider.to_owned(), model: model.map(str::to_owned) }
}

#[test]
fn a_default_names_a_provider_a_model_on_it_or_a_preset() {
    for (text, expected) in [
        ("main", target("main", None)),
        ("main:gpt-5", target("main", Some("gpt-5"))),
        ("main:ft:gpt:a/b", target("main", Some("ft:gpt:a/b"))),
        ("openai", target("main", None)),
        ("anthropic", target("anthropic", None)),
        ("anthropic:claude-haiku-4-5", target("anthropic", Some("claude-haiku-4-5"))),
    ] {
        let settings = with(OPENAI, &default_backend(text)).unwrap();
        assert_eq!(settings.rules.default_backend, Some(expected), "{text}");
    }
    let settings = with(OPENAI, &default_backend("anthropic")).unwrap();
    assert_eq!(super::keys(provider(&settings, "anthropic")), [("ANTHROPIC_API_KEY", "sk-a")]);
}

#[test]
fn a_default_that_names_nothing_is_an_error_with_near_names() {
    let findings = with(OPENAI, &default_backend("antropic")).unwrap_err();
    assert_says(&findings, &["error: --default-backend: `antropic`", "did you mean anthropic"]);
    let findings = with(OPENAI, &default_backend("openai-compatible")).unwrap_err();
    assert_says(&findings, &["--default-backend", "cannot stand alone", "baseurl"]);
}

#[test]
fn a_default_that_is_disabled_is_an_error() {
    let content = format!("default_backend = \"main\"\n{OPENAI}disabled = true\n");
    let findings = with(&content, &Overrides::default()).unwrap_err();
    assert_says(&findings, &["pinhole.toml:1:19: error: default_backend: main is disabled"]);
}

#[test]
fn a_subscription_needs_no_key_and_no_block() {
    let settings = with(OPENAI, &default_backend("chatgpt")).unwrap();
    let chatgpt = provider(&settings, "chatgpt");
    assert_eq!(chatgpt.base_url, "https://chatgpt.com/backend-api/codex");
    assert!(chatgpt.keys.is_empty() && chatgpt.versionless);
    assert!(settings.warnings.is_empty(), "{}", settings.warnings);
}

#[test]
fn the_flag_wins_over_the_file() {
    let content = format!("default_backend = \"main\"\nforce_model = \"a\"\n{OPENAI}");
    let overrides = Overrides { force_model: Some("b".to_owned()), ..default_backend("anthropic") };
    let settings = with(&content, &overrides).unwrap();
    assert_eq!(settings.rules.default_backend, Some(target("anthropic", None)));
    assert_eq!(settings.rules.force_model.as_deref(), Some("b"));
    let settings = with(&content, &Overrides::default()).unwrap();
    assert_eq!(settings.rules.default_backend, Some(target("main", None)));
}

#[test]
fn a_default_inside_backends_is_taken_as_one_at_the_top() {
    let content = "backends:\n  openai: {type: openai}\n  default_backend: openai\n";
    let settings = load_with("config.yaml", content, &KEYS, &Overrides::default()).unwrap();
    assert_eq!(settings.rules.default_backend, Some(target("openai", None)));
    assert_eq!(settings.providers.len(), 1);
    let content = format!("{content}default_backend: openai\n");
    let findings = load_with("config.yaml", &content, &KEYS, &Overrides::default()).unwrap_err();
    assert_says(&findings, &["config.yaml:3:3:", "also set at the top level, on line 4"]);
}

#[test]
fn static_routes_name_provider_and_model() {
    let route = |text: &str| {
        with(OPENAI, &Overrides { static_route: Some(text.to_owned()), ..Overrides::default() })
    };
    for text in ["main:gpt-5", "main/gpt-5", "main:gpt-5?temperature=0", "anthropic:claude"] {
        assert_eq!(route(text).unwrap().rules.static_route.as_deref(), Some(text));
    }
    assert_says(&route("gpt-5").unwrap_err(), &["--static-route: not a route"]);
    assert_says(&route("nobody:gpt-5").unwrap_err(), &["--static-route: `nobody`"]);
}

#[test]
fn aliases_of_flags_come_before_those_of_the_file() {
    let overrides = Overrides {
        model_aliases: vec![r"^gpt-(\d)=main:gpt-\1x?temperature=0.5".to_owned()],
        ..Overrides::default()
    };
    let list = "model_aliases = [{ pattern = \"^b$\", replacement = \"c\" }]\n";
    let table = "[model_aliases]\n\"^b$\" = \"c\"\n";
    for content in [format!("{list}{OPENAI}"), format!("{OPENAI}{table}")] {
        let aliases = with(&content, &overrides).unwrap().rules.aliases;
        let shown: Vec<(&str, &str)> = aliases
            .iter()
            .map(|alias| (alias.pattern.as_str(), alias.replacement.as_str()))
            .collect();
        assert_eq!(shown, [(r"^gpt-(\d)", "main:gpt-${1}x?temperature=0.5"), ("^b$", "c")]);
    }
    for (bad, message) in [("a", "no `=` in it"), ("(=b", "not a regular expression: unclosed")] {
        let overrides = Overrides { model_aliases: vec![bad.to_owned()], ..Overrides::default() };
        assert_says(&with(OPENAI, &overrides).unwrap_err(), &["error: --model-alias", message]);
    }
}

#[test]
fn shipped_names_lead_to_the_providers_that_are_there() {
    let content = "[providers.anthropic]\n[providers.openrouter]\n[providers.off]\ntype = \"anthropic\"\ndisabled = true\n";
    let settings = with(content, &Overrides::default()).unwrap();
    let targets = |name: &str| {
        let shipped = settings.rules.shipped.iter().find(|shipped| shipped.name == name);
        shipped.map(|shipped| shipped.targets.clone()).unwrap_or_default()
    };
    let name = "anthropic/claude-sonnet-4.6";
    let expected =
        [target("anthropic", Some("claude-sonnet-4-6")), target("openrouter", Some(name))];
    assert_eq!(targets(name), expected);
    let name = "x-ai/grok-4.3";
    assert_eq!(targets(name), [target("openrouter", Some(name))]);
    let alone = with("[providers.ollama]\n", &Overrides::default()).unwrap();
    assert!(alone.rules.shipped.is_empty());
}

#[test]
fn listening_beyond_loopback_needs_a_key() {
    let overrides =
        |listen: &str| Overrides { listen: Some(listen.to_owned()), ..Overrides::default() };
    let findings = with(OPENAI, &overrides("0.0.0.0:8000")).unwrap_err();
    assert_says(&findings, &["server.listen", "no gateway key", "PINHOLE_API_KEY", "[[keys]]"]);
    let content = format!("[[keys]]\nlabel = \"a\"\nsecret = \"gw\"\n{OPENAI}");
    assert!(with(&content, &overrides("[::]:8000")).is_ok());
    assert!(with(OPENAI, &overrides("127.0.0.2:8000")).is_ok());
    let ops = Overrides { ops_listen: Some("0.0.0.0:9464".to_owned()), ..Overrides::default() };
    assert_says(&with(OPENAI, &ops).unwrap_err(), &["server.ops_listen", "PINHOLE_ADMIN_KEY"]);
    assert_says(&with(OPENAI, &overrides("8000")).unwrap_err(), &["--listen: not an address"]);
    let level = Overrides { capture_level: Some("all".to_owned()), ..Overrides::default() };
    assert_says(&with(OPENAI, &level).unwrap_err(), &["--capture: not a capture level", "meta"]);
}

#[test]
fn doubtful_blocks_are_told() {
    let settings = with("[providers.antropic]\napikey = \"k\"\n", &Overrides::default()).unwrap();
    assert_says(&settings.warnings, &["providers.antropic.baseurl", "did you mean anthropic"]);
    assert!(!super::keys(super::first(&settings)).contains(&("OPENAI_API_KEY", "sk-o")));
    let findings = with("[providers.\"a:b\"]\ntype = \"openai\"\n", &Overrides::default());
    assert_says(&findings.unwrap_err(), &["pinhole.toml:1:12:", "not fit for a provider's id"]);
    let findings = with("[providers.mine]\ntype = \"openai-compatible\"\n", &Overrides::default());
    assert_says(&findings.unwrap_err(), &["providers.mine.baseurl: missing"]);
}

#[test]
fn a_block_that_names_no_preset_never_takes_openais_key() {
    let content = "[providers.corp]\nbaseurl = \"https://corp.example\"\n";
    let settings = with(content, &Overrides::default()).unwrap();
    assert!(super::first(&settings).keys.is_empty());
}
