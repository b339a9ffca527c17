//! Every field of the file loads and lands where it acts.

use std::path::Path;
use std::time::Duration;

use super::{assert_says, block, faults, first, load, models, toml};
use crate::config::settings::{IncludeUsage, LogFormat, LogLevel, Source};
use crate::exchange::level::Level;
use crate::upstream::provider::{AuthMode, AuthScheme, HttpVersion, Model, ModelCost};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn authorization_has_every_scheme() {
    let custom = AuthScheme::Header("api-key".parse().unwrap());
    for (word, scheme) in [
        ("bearer", AuthScheme::Bearer),
        ("x-api-key", AuthScheme::XApiKey),
        ("x-goog-api-key", AuthScheme::XGoogApiKey),
        ("hec", AuthScheme::Hec),
        ("cf-aig-authorization", AuthScheme::CfAigAuthorization),
        ("header: api-key", custom),
        ("none", AuthScheme::None),
    ] {
        let settings = block(&format!("authorization = \"{word}\""));
        assert_eq!(first(&settings).auth, scheme, "{word}");
        assert_eq!(first(&settings).auth.label(), word);
    }
    let findings = faults("[providers.openai]\nauthorization = \"baerer\"");
    assert_says(
        &findings,
        &["pinhole.toml:2:17: error: providers.openai.authorization", "bearer?"],
    );
}

#[test]
fn auth_mode_has_its_three_words() {
    for (word, mode) in [
        ("override", AuthMode::Override),
        ("passthrough", AuthMode::Passthrough),
        ("none", AuthMode::None),
    ] {
        assert_eq!(first(&block(&format!("auth_mode = \"{word}\""))).auth_mode, mode);
    }
}

#[test]
fn names_descriptions_and_carried_fields_land() {
    let settings = block(
        "name = \"P\"\ndescription = \"for tests\"\nupstream = \"bedrock-mantle\"\npreference = -3\ndisabled = true\n\
         cost_basis = \"bedrock-eu\"\nin_flight = 7\nversionless = true\nhttp = 2",
    );
    let provider = first(&settings);
    assert_eq!(provider.name.as_deref(), Some("P"));
    assert_eq!(provider.description.as_deref(), Some("for tests"));
    assert_eq!(provider.upstream.as_deref(), Some("bedrock-mantle"));
    assert_eq!(provider.preference, -3);
    assert!(provider.disabled);
    assert_eq!(provider.cost_basis.as_deref(), Some("bedrock-eu"));
    assert_eq!(provider.in_flight_max, Some(7));
    assert!(provider.versionless);
    assert_eq!(provider.http, HttpVersion::Http2);
    assert_eq!(first(&block("http = \"1\"")).http, HttpVersion::Http1);
    assert_eq!(first(&block("http = \"auto\"")).http, HttpVersion::Auto);
}

#[test]
fn models_are_names_globs_and_tables() {
    let settings = block(
        "models = [\"a/b:free\", \"ft:*\", { id = \"m\", aliases = [\"fast\"], context_length = 10, \
         max_output_tokens = 5, modalities = [\"text\", \"image\"] }, \"gpt-4o\"]",
    );
    let provider = first(&settings);
    assert_eq!(models(provider), ["a/b:free", "ft:*", "m", "gpt-4o"]);
    let expected = Model {
        id: "m".to_owned(),
        aliases: vec!["fast".to_owned()],
        context_length: Some(10),
        max_output_tokens: Some(5),
        modalities: vec!["text".to_owned(), "image".to_owned()],
    };
    assert_eq!(provider.models[2], expected);
    assert_eq!(provider.models[3].context_length, Some(128_000), "a published size fills in");
    assert!(!provider.discover);
    assert!(first(&block("")).discover);
    assert!(!first(&toml("[discovery]\nenabled = false\n[providers.openai]")).discover);
}

#[test]
fn doubled_and_empty_models_are_warned_of() {
    let settings = block("models = [\"a\", \"b\", \"a\"]");
    assert_eq!(models(first(&settings)), ["a", "b"]);
    assert_says(&settings.warnings, &["pinhole.toml:3:21: warning: providers.p.models.2"]);
    assert_says(&block("models = []").warnings, &["providers.p.models: an empty list"]);
}

#[test]
fn added_headers_land_but_never_replace_the_key_or_break_the_connection() {
    let settings =
        block("add_headers = [\"X-Title: tests\", \"http-referer: https://a.example:1\"]");
    let headers: Vec<(&str, &str)> = first(&settings)
        .add_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(headers, [("x-title", "tests"), ("http-referer", "https://a.example:1")]);

    let settings = block("add_headers = [\"Authorization: Bearer x\"]");
    assert!(first(&settings).add_headers.is_empty());
    assert_says(&settings.warnings, &["add_headers.0", "authorization carries the key"]);

    let findings = faults("[providers.openai]\nadd_headers = [\"no colon\", \"Host: x\"]");
    assert_says(&findings, &["pinhole.toml:2:16:", "not a header"]);
    assert_says(&findings, &["pinhole.toml:2:28:", "host is the connection's own"]);
}

#[test]
fn model_costs_are_carried_in_order() {
    let settings = block(
        "[[providers.p.model_cost_map]]\nmatch = \"a*\"\nas = \"gpt-5\"\nadjustment = 0.5\n\
         [[providers.p.model_cost_map]]\nmatch = \"*\"\nas = \"gpt-5-mini\"",
    );
    let row = |pattern: &str, priced_as: &str, adjustment| ModelCost {
        pattern: pattern.to_owned(),
        priced_as: priced_as.to_owned(),
        adjustment,
    };
    let expected = [row("a*", "gpt-5", 0.5), row("*", "gpt-5-mini", 1.0)];
    assert_eq!(first(&settings).model_costs, expected);
}

#[test]
fn a_providers_waits_win_over_the_gateways() {
    let settings = toml(
        "[timeouts]\nconnect = \"1s\"\nidle = \"2s\"\ntotal = \"1h\"\nrequest_body = \"7s\"\n\
         [providers.openai.timeouts]\nidle = \"500ms\"\ntotal = \"off\"",
    );
    let own = first(&settings).timeouts;
    assert_eq!(own.connect, seconds(1));
    assert_eq!(own.first_byte, seconds(120));
    assert_eq!(own.idle, Duration::from_millis(500));
    assert_eq!(own.total, None);
    assert_eq!(settings.timeouts.total, Some(seconds(3600)));
    assert_eq!(settings.server.request_body_timeout, seconds(7));
    assert_says(
        &faults("[providers.openai.timeouts]\nconnect = \"0s\""),
        &["pinhole.toml:2:11: error: providers.openai.timeouts.connect: a wait of no time"],
    );
}

#[test]
fn a_ca_file_starts_from_the_configurations_folder() {
    let settings = block("ca_file = \"Cargo.toml\"");
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert_eq!(first(&settings).tls.ca_file.as_deref(), Some(expected.as_path()));
    let findings = faults("[providers.openai]\nca_file = \"no-such.pem\"");
    assert_says(&findings, &["providers.openai.ca_file: there is no file", "no-such.pem"]);
}

#[test]
fn the_sections_beside_providers_land() {
    let settings = load(
        "pinhole.toml",
        "force_model = \"m\"\nstatic_route = \"openai:m\"\n\
         [server]\nlisten = \"localhost:1\"\nops_listen = \"[::1]:2\"\ndata_dir = \"d\"\ninstance = \"sgp1\"\n\
         aperture_headers = true\ntls = { cert = \"Cargo.toml\", key = \"Cargo.lock\" }\n\
         cors_origins = [\"https://a.example\", \"*\"]\nworkers = 3\ndrain = \"1m\"\nheader_timeout = \"5s\"\n\
         [ops]\nmetrics_public = true\n[log]\nformat = \"json\"\nlevel = \"debug\"\n[errors]\nwrap_502 = true\n\
         [limits]\nbody = \"1MiB\"\nin_flight = 2\nwait = \"0s\"\nbuffered = 2097152\n\
         [streams]\ninclude_usage = \"when_missing\"\nkeep_alive = \"20s\"\n[discovery]\nenabled = false\nevery = \"1h\"\n\
         [capture]\nlevel = \"headers\"\n[retention.records]\nage = \"1d\"\n\
         [[keys]]\nlabel = \"team\"\nsecret = \"gw-1\"\n[providers.openai]\n",
        &[("OPENAI_API_KEY", "sk-a"), ("PINHOLE_API_KEY", "gw-0"), ("PINHOLE_ADMIN_KEY", "adm")],
    )
    .unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = &settings.server;
    assert_eq!(server.listen.to_string(), "127.0.0.1:1");
    assert_eq!(server.ops_listen.to_string(), "[::1]:2");
    assert_eq!(server.data_dir, folder.join("d"));
    assert_eq!(server.instance.as_deref(), Some("sgp1"));
    assert!(server.aperture_headers);
    assert_eq!(server.tls.as_ref().unwrap().key, folder.join("Cargo.lock"));
    assert_eq!(server.cors_origins, ["https://a.example", "*"]);
    assert_eq!((server.workers, server.drain), (Some(3), seconds(60)));
    assert_eq!(server.header_timeout, seconds(5));
    assert!(settings.ops.metrics_public);
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Json, LogLevel::Debug));
    assert!(settings.errors.wrap_502);
    let limits = settings.limits;
    assert_eq!((limits.body_bytes_max, limits.buffered_bytes_max), (1 << 20, 2 << 20));
    assert_eq!((limits.in_flight_max, limits.wait), (2, seconds(0)));
    assert_eq!(settings.streams.include_usage, IncludeUsage::WhenMissing);
    assert_eq!(settings.streams.keep_alive, Some(seconds(20)));
    assert!(!settings.discovery.enabled);
    assert_eq!(settings.discovery.every, seconds(3600));
    assert_eq!(settings.capture.level, Level::Headers);
    assert_eq!(settings.retention.records_age, Some(seconds(86_400)));
    let keys: Vec<(&str, &str)> =
        settings.gateway_keys.iter().map(|key| (&*key.label, key.secret.reveal())).collect();
    assert_eq!(keys, [("env", "gw-0"), ("team", "gw-1")]);
    assert_eq!(settings.admin_key.as_ref().unwrap().reveal(), "adm");
    assert_eq!(settings.rules.force_model.as_deref(), Some("m"));
    assert_eq!(settings.rules.static_route.as_deref(), Some("openai:m"));
    assert_eq!(settings.source, Source::File(folder.join("pinhole.toml")));
}

#[test]
fn defaults_are_those_of_the_documents() {
    let settings = toml("[providers.openai]");
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.server.ops_listen.to_string(), "127.0.0.1:9464");
    assert_eq!((settings.server.drain, settings.server.header_timeout), (seconds(30), seconds(15)));
    let limits = settings.limits;
    assert_eq!((limits.body_bytes_max, limits.buffered_bytes_max), (64 << 20, 256 << 20));
    assert_eq!((limits.in_flight_max, limits.wait), (1024, seconds(5)));
    let waits = settings.timeouts;
    assert_eq!((waits.connect, waits.first_byte), (seconds(10), seconds(120)));
    assert_eq!((waits.idle, waits.total), (seconds(300), None));
    assert_eq!(settings.streams.include_usage, IncludeUsage::Never);
    assert_eq!(settings.streams.keep_alive, None);
    assert!(settings.discovery.enabled);
    assert_eq!(settings.capture.level, Level::Meta);
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Text, LogLevel::Info));
    assert!(!settings.errors.wrap_502 && !settings.ops.metrics_public);
}
