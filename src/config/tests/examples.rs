//! The public examples, byte for byte as their documents have them, and the rule of compatibility flags.

use std::net::SocketAddr;
use std::time::Duration;

use super::{first, flags, keys, load, load_with, models, provider};
use crate::config::settings::Overrides;
use crate::exchange::level::Level;
use crate::route::rules::Target;
use crate::upstream::provider::{AuthMode, AuthScheme};

const PROVIDER_BLOCK: &str = include_str!("../../../tests/golden/config/provider-block.json");
const BACKENDS: &str = include_str!("../../../tests/golden/config/backends.yaml");
/// As the page itself gives it: the indentation was lost there.
const BACKENDS_FLATTENED: &str =
    include_str!("../../../tests/golden/config/backends-flattened.yaml");
const RESPONSES_FLATTENED: &str =
    include_str!("../../../tests/golden/config/backends-responses-flattened.yaml");
const BACKENDS_RESPONSES: &str =
    include_str!("../../../tests/golden/config/backends-responses.yaml");
const DOCUMENTED: &str = include_str!("../../../tests/golden/config/documented.toml");

#[test]
fn the_json_block_loads_with_its_placeholder_warned_of() {
    let settings = load("pinhole.json", PROVIDER_BLOCK, &[]).unwrap();
    let openai = first(&settings);
    assert_eq!(&*openai.id, "openai");
    assert_eq!(openai.preset.as_deref(), Some("openai"));
    assert_eq!(openai.base_url, "https://api.openai.com/");
    assert_eq!(openai.name.as_deref(), Some("OpenAI"));
    assert_eq!(models(openai), ["gpt-5", "gpt-5-mini", "gpt-4.1"]);
    assert!(!openai.discover);
    assert_eq!(flags(openai), ["openai_chat", "openai_responses"]);
    assert_eq!(keys(openai), [("key-1", "<your-openai-key>")]);
    assert_eq!((&openai.auth, openai.auth_mode), (&AuthScheme::Bearer, AuthMode::Override));
    assert_eq!(
        settings.warnings.to_string(),
        "pinhole.json:5:17: warning: providers.openai.apikey: looks like a placeholder, not like a key; write the key, \
         or better env:NAME"
    );
}

#[test]
fn the_yaml_with_backends_loads_with_the_environments_keys() {
    let variables = [("OPENAI_API_KEY", "sk-a"), ("OPENAI_API_KEY_1", "sk-b")];
    let settings = load("config.yaml", BACKENDS, &variables).unwrap();
    let openai = first(&settings);
    assert_eq!(openai.base_url, "https://api.openai.com/");
    assert_eq!(flags(openai), ["openai_chat", "openai_responses"]);
    assert_eq!(keys(openai), [("OPENAI_API_KEY", "sk-a"), ("OPENAI_API_KEY_1", "sk-b")]);
    assert!(openai.discover);
    let target = Target { provider: "openai".to_owned(), model: None };
    assert_eq!(settings.rules.default_backend, Some(target));
    assert!(settings.warnings.is_empty(), "{}", settings.warnings);
}

#[test]
fn the_responses_backend_takes_openais_key() {
    let settings = load("config.yaml", BACKENDS_RESPONSES, &[("OPENAI_API_KEY", "sk-a")]).unwrap();
    let responses = first(&settings);
    assert_eq!(&*responses.id, "openai-responses");
    assert_eq!(flags(responses), ["openai_responses"]);
    assert_eq!(keys(responses), [("OPENAI_API_KEY", "sk-a")]);
}

#[test]
fn a_copied_yaml_that_lost_its_indentation_is_read_as_meant() {
    let variables = [("OPENAI_API_KEY", "sk-a")];
    for (flat, indented) in
        [(BACKENDS_FLATTENED, BACKENDS), (RESPONSES_FLATTENED, BACKENDS_RESPONSES)]
    {
        let [flat, indented] =
            [flat, indented].map(|content| load("config.yaml", content, &variables).unwrap());
        assert_eq!(flags(first(&flat)), flags(first(&indented)));
        assert_eq!(keys(first(&flat)), keys(first(&indented)));
        assert_eq!(flat.providers.len(), 1);
        assert_eq!(flat.rules.default_backend, indented.rules.default_backend);
        assert!(flat.warnings.to_string().contains("a block that is not indented"));
    }
}

#[test]
fn the_documented_toml_loads() {
    let variables = [("OPENAI_API_KEY", "sk-a"), ("HOME", "/home/u")];
    let settings = load("pinhole.toml", DOCUMENTED, &variables).unwrap();
    assert_eq!(settings.server.listen, SocketAddr::from(([127, 0, 0, 1], 8000)));
    assert_eq!(settings.server.ops_listen, SocketAddr::from(([127, 0, 0, 1], 9464)));
    assert_eq!(settings.server.data_dir.to_str(), Some("/home/u/.local/share/pinhole"));
    let openai = first(&settings);
    assert_eq!(openai.base_url, "https://api.openai.com/");
    assert_eq!(keys(openai), [("OPENAI_API_KEY", "sk-a")]);
    assert_eq!(models(openai), ["gpt-5", "gpt-5-mini"]);
    assert_eq!(flags(openai), ["openai_chat", "openai_responses"]);
    assert_eq!(settings.capture.level, Level::Full);
    let day = Duration::from_hours(24);
    assert_eq!(settings.retention.bodies_age, Some(day * 30));
    assert_eq!(settings.retention.bodies_bytes_max, Some(10 << 30));
    assert_eq!(settings.retention.records_age, Some(day * 400));
    assert!(settings.warnings.is_empty(), "{}", settings.warnings);
}

#[test]
fn the_flags_of_the_yamls_page_work_without_a_file() {
    let overrides = Overrides {
        default_backend: Some("openai-responses".to_owned()),
        force_model: Some("gpt-4o".to_owned()),
        ..Overrides::default()
    };
    let settings =
        load_with("pinhole.toml", "", &[("OPENAI_API_KEY", "sk-a")], &overrides).unwrap();
    let ids: Vec<&str> = settings.providers.iter().map(|provider| &*provider.id).collect();
    assert_eq!(ids, ["openai", "openai-responses"]);
    assert_eq!(keys(provider(&settings, "openai-responses")), [("OPENAI_API_KEY", "sk-a")]);
    assert_eq!(settings.rules.force_model.as_deref(), Some("gpt-4o"));
}

const CHAT: &[&str] = &["openai_chat"];
const BOTH: &[&str] = &["openai_chat", "openai_responses"];
const RESPONSES: &[&str] = &["openai_responses"];
const MESSAGES: &[&str] = &["anthropic_messages"];

/// The contract's table: how a block is written, and the flags it gets.
const FLAGS: &[(&str, &str, &[&str])] = &[
    ("type given", "[providers.x]\ntype = 'openai'", BOTH),
    ("type given, key openai", "[providers.openai]\ntype = 'openai'", BOTH),
    ("key openai, silent", "[providers.openai]", CHAT),
    ("key names no preset", "[providers.x]\nbaseurl = 'https://x.example'", CHAT),
    ("key names another preset", "[providers.anthropic]", MESSAGES),
    ("key names another preset", "[providers.openai-responses]", RESPONSES),
    ("type wins over key", "[providers.anthropic]\ntype = 'openai'", BOTH),
    ("empty block", "[providers.openai.compatibility]", CHAT),
    (
        "another flag turns chat off",
        "[providers.openai.compatibility]\nopenai_responses = true",
        RESPONSES,
    ),
    (
        "both explicit",
        "[providers.openai.compatibility]\nopenai_chat = true\nopenai_responses = true",
        BOTH,
    ),
    (
        "another flag explicitly off",
        "[providers.openai.compatibility]\nopenai_responses = false",
        CHAT,
    ),
    ("chat explicitly off", "[providers.openai.compatibility]\nopenai_chat = false", &[]),
    (
        "a block replaces the preset's flags",
        "[providers.anthropic.compatibility]\nopenai_responses = true",
        RESPONSES,
    ),
    (
        "with type and block the block wins",
        "[providers.x]\ntype = 'openai'\ncompatibility = { anthropic_messages = true }",
        MESSAGES,
    ),
];

#[test]
fn compatibility_flags_follow_the_contract() {
    for (case, content, expected) in FLAGS {
        let settings = load("pinhole.toml", content, &[]).unwrap();
        assert_eq!(flags(first(&settings)), *expected, "{case}");
    }
    let made = load("pinhole.toml", "", &[("OPENAI_API_KEY", "sk-a")]).unwrap();
    assert_eq!(flags(first(&made)), BOTH, "made from the environment");
}
