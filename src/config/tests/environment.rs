//! Keys, proxies and files found through the environment.

use std::fs;
use std::path::Path;

use super::{assert_says, faults, first, keys, load as load_text, provider};
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::settings::{Overrides, Settings, Source};

fn from_nothing(variables: &[(&str, &str)]) -> Settings {
    load_text("pinhole.toml", "", variables).unwrap_or_else(|findings| panic!("{findings}"))
}

#[test]
fn each_preset_with_a_key_becomes_a_provider() {
    let settings = from_nothing(&[
        ("GEMINI_API_KEY", "g"),
        ("ANTHROPIC_API_KEY", "a"),
        ("OPENAI_API_KEY_2", "o2"),
        ("OPENAI_API_KEY_10", "o10"),
        ("AWS_BEARER_TOKEN_BEDROCK", "b"),
    ]);
    let ids: Vec<&str> = settings.providers.iter().map(|provider| &*provider.id).collect();
    // Bedrock has a key but no region: nobody asked for it, so it is not there.
    assert_eq!(ids, ["openai", "anthropic", "gemini"]);
    let openai = provider(&settings, "openai");
    assert_eq!(keys(openai), [("OPENAI_API_KEY_2", "o2"), ("OPENAI_API_KEY_10", "o10")]);
    assert!(settings.warnings.is_empty(), "{}", settings.warnings);

    let settings =
        from_nothing(&[("AWS_BEARER_TOKEN_BEDROCK", "b"), ("AWS_REGION", "eu-central-1")]);
    assert_eq!(
        first(&settings).base_url.host(),
        Some("bedrock-runtime.eu-central-1.amazonaws.com")
    );
}

#[test]
fn a_block_whose_address_needs_a_variable_names_it() {
    let findings = faults("[providers.bedrock]\napikey = \"k\"\n");
    assert_says(
        &findings,
        &["pinhole.toml:1:12: error: providers.bedrock.baseurl", "AWS_REGION is not set"],
    );
    let content = "[providers.azure]\nmodels = [\"my-deployment\"]\n";
    let variables =
        [("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/"), ("AZURE_OPENAI_API_KEY", "k")];
    let settings = load_text("pinhole.toml", content, &variables).unwrap();
    assert_eq!(first(&settings).base_url, "https://r.openai.azure.com/openai");
    assert_eq!(first(&settings).auth.label(), "header: api-key");
}

#[test]
fn nothing_at_all_is_an_error_with_the_remedy() {
    let findings = faults("");
    assert_says(&findings, &["no provider is configured", "OPENAI_API_KEY", "--default-backend"]);
}

#[test]
fn a_variable_in_apikey_takes_its_numbered_ones() {
    let variables = [("K", "k0"), ("K_1", "k1"), ("K_2", "k0")];
    let settings =
        load_text("pinhole.toml", "[providers.openai]\napikey = \"env:K\"\n", &variables).unwrap();
    assert_eq!(keys(first(&settings)), [("K", "k0"), ("K_1", "k1")], "the same key counts once");
    let content = "[providers.openai]\napikeys = [\"env:K_1\", \"env:K\", \"literal\"]\n";
    let settings = load_text("pinhole.toml", content, &variables).unwrap();
    assert_eq!(keys(first(&settings)), [("K_1", "k1"), ("K", "k0"), ("key-3", "literal")]);
}

#[test]
fn a_missing_key_variable_is_a_warning_that_names_it() {
    let content = "[providers.openai]\napikey = \"env:NOT_SET\"\n";
    let settings = load_text("pinhole.toml", content, &[("OPENAI_API_KEY", "sk")]).unwrap();
    assert!(first(&settings).keys.is_empty(), "another variable is no substitute");
    assert_eq!(settings.warnings.iter().count(), 1, "{}", settings.warnings);
    assert_says(&settings.warnings, &["pinhole.toml:2:10: warning:", "NOT_SET is not set"]);
}

#[test]
fn a_missing_variable_elsewhere_is_an_error() {
    let content = "[[keys]]\nlabel = \"a\"\nsecret = \"env:NOT_SET\"\n[providers.openai]\n";
    let findings = faults(content);
    assert_says(&findings, &["pinhole.toml:3:10: error: keys.0.secret", "NOT_SET is not set"]);
    assert!(!findings.to_string().contains("missing"), "{findings}");
}

#[test]
fn a_provider_without_a_key_is_a_warning_unless_it_needs_none() {
    let quiet = |content: &str| {
        load_text("pinhole.toml", content, &[]).is_ok_and(|settings| settings.warnings.is_empty())
    };
    assert!(!quiet("[providers.openai]\n"));
    assert!(quiet("[providers.openai]\nauth_mode = \"passthrough\"\n"));
    assert!(quiet("[providers.openai]\nauthorization = \"none\"\n"));
    assert!(quiet("[providers.openai]\ndisabled = true\n"));
    assert!(quiet("[providers.ollama]\n"));
}

#[test]
fn values_come_from_files_and_commands_and_numbers_from_text() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), " sk-file \n").unwrap();
    fs::write(
        folder.path().join("pinhole.toml"),
        "[server]\nworkers = \"env:WORKERS\"\naperture_headers = \"env:HEADERS\"\n\
         [providers.openai]\napikeys = [\"file:key\", \"command:echo sk-command\"]\n",
    )
    .unwrap();
    let variables = [("WORKERS", "4"), ("HEADERS", "true")];
    let environment = Environment::new(folder.path(), variables);
    let settings = load(None, &Overrides::default(), &environment).unwrap();
    assert_eq!(keys(first(&settings)), [("key-1", "sk-file"), ("key-2", "sk-command")]);
    assert_eq!(settings.server.workers, Some(4));
    assert!(settings.server.aperture_headers);
    assert!(settings.warnings.is_empty(), "{}", settings.warnings);
}

#[test]
fn a_command_runs_once_in_a_load() {
    let folder = tempfile::tempdir().unwrap();
    let command = "command:sh -c 'echo run >> runs; echo sk'";
    let content = format!(
        "[providers.openai]\napikey = \"{command}\"\n[providers.anthropic]\napikey = \"{command}\"\n"
    );
    fs::write(folder.path().join("pinhole.toml"), content).unwrap();
    let environment = Environment::new(folder.path(), []);
    let settings = load(None, &Overrides::default(), &environment).unwrap();
    assert_eq!(keys(provider(&settings, "anthropic")), [("key-1", "sk")]);
    assert_eq!(fs::read_to_string(folder.path().join("runs")).unwrap(), "run\n");
}

#[test]
fn key_files_of_service_accounts_name_the_command_to_use() {
    let findings = faults("[providers.vertex]\napikey = \"keyfile::cGxhbnRlZA==\"\n");
    assert_says(
        &findings,
        &["pinhole.toml:2:10: error:", "command:gcloud auth print-access-token"],
    );
    assert!(!findings.to_string().contains("cGxhbnRlZA"), "{findings}");
}

#[test]
fn proxies_follow_scheme_exceptions_and_loopback() {
    let content = "\
[providers.openai]
[providers.plain]
baseurl = \"http://plain.example\"
[providers.inner]
baseurl = \"https://models.corp.example/v1\"
[providers.ollama]
";
    let settings = load_text(
        "pinhole.toml",
        content,
        &[
            ("https_proxy", "http://user:planted@proxy.example:3128"),
            ("ALL_PROXY", "proxy2.example:8080"),
            ("NO_PROXY", "corp.example"),
        ],
    )
    .unwrap();
    let proxy = |id: &str| provider(&settings, id).proxy.as_ref().map(ToString::to_string);
    assert_eq!(proxy("openai").unwrap(), "http://user:planted@proxy.example:3128/");
    assert_eq!(proxy("plain").unwrap(), "http://proxy2.example:8080/");
    assert_eq!(proxy("inner"), None);
    assert_eq!(proxy("ollama"), None);
    assert!(!format!("{settings:?}").contains("planted"));

    let socks = [("ALL_PROXY", "socks5://u:planted@p:1"), ("OPENAI_API_KEY", "sk")];
    let settings = from_nothing(&socks);
    assert_eq!(first(&settings).proxy, None);
    assert_says(&settings.warnings, &["warning: ALL_PROXY: not a proxy this gateway can use"]);
    assert!(!settings.warnings.to_string().contains("planted"));
}

/// One provider, named so that a test sees which file was read.
fn write(path: &Path, id: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let content = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => format!("[providers.{id}]\ntype = \"ollama\"\n"),
        Some("json") => format!("{{\"providers\": {{\"{id}\": {{\"type\": \"ollama\"}}}}}}"),
        _ => format!("backends:\n  {id}: {{type: ollama}}\n"),
    };
    fs::write(path, content).unwrap();
}

#[test]
fn files_are_found_in_the_documented_order() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("work");
    let home = folder.path().join("home");
    fs::create_dir_all(&here).unwrap();
    let variables =
        [("HOME", home.to_str().unwrap().to_owned()), ("PINHOLE_CONFIG", "named.toml".to_owned())];
    let found = |config: Option<&Path>, with_variable: bool| {
        let taken = variables.iter().take(if with_variable { 2 } else { 1 });
        let pairs = taken.map(|(name, value)| (*name, value.as_str()));
        let environment = Environment::new(&here, pairs);
        let settings = load(config, &Overrides::default(), &environment).unwrap();
        assert!(matches!(settings.source, Source::File(_)));
        settings.providers[0].id.to_string()
    };
    // From the last to the first: each new file wins over those before.
    write(&home.join(".config/pinhole/pinhole.yaml"), "home-yaml");
    assert_eq!(found(None, false), "home-yaml");
    write(&home.join(".config/pinhole/pinhole.toml"), "home-toml");
    assert_eq!(found(None, false), "home-toml");
    fs::write(here.join("config.yaml"), "unrelated: true\n").unwrap();
    assert_eq!(found(None, false), "home-toml", "a config.yaml of some other program");
    write(&here.join("config.yaml"), "shared");
    assert_eq!(found(None, false), "shared");
    for name in ["pinhole.json", "pinhole.yml", "pinhole.yaml", "pinhole.toml"] {
        let id = name.replace('.', "-");
        write(&here.join(name), &id);
        assert_eq!(found(None, false), id);
    }
    write(&here.join("named.toml"), "variable");
    assert_eq!(found(None, true), "variable");
    write(&here.join("flag.json"), "flag");
    assert_eq!(found(Some(Path::new("flag.json")), true), "flag");
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::new(folder.path(), [("OPENAI_API_KEY", "sk")]);
    let missing = Path::new("none.toml");
    let findings = load(Some(missing), &Overrides::default(), &environment).unwrap_err();
    assert_says(&findings, &["error: none.toml: cannot be read", "--config"]);
    let settings = load(None, &Overrides::default(), &environment).unwrap();
    assert_eq!(settings.source, Source::Environment);
}

#[cfg(unix)]
#[test]
fn a_key_in_a_file_that_all_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pinhole.toml");
    fs::write(&path, "[providers.openai]\napikey = \"planted-secret\"\n").unwrap();
    let environment = Environment::new(folder.path(), []);
    let warnings = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        load(None, &Overrides::default(), &environment).unwrap().warnings
    };
    assert_says(&warnings(0o644), &["pinhole.toml:2:10: warning:", "chmod 600"]);
    assert!(!warnings(0o644).to_string().contains("planted"));
    assert!(warnings(0o600).is_empty());
}
