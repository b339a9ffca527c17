//! Findings: exact line and column in each form, all of them at once.

use super::{assert_says, faults, lines, load};
use crate::config::diagnostic::Severity;

/// The error lines of one faulty file.
fn errors(name: &str, content: &str) -> Vec<String> {
    let findings = load(name, content, &[]).err().unwrap_or_else(|| panic!("no error in {name}"));
    lines(&findings, Severity::Error)
}

#[test]
fn all_faults_of_a_toml_file_are_shown_at_once_with_their_places() {
    let content = "\
[server]
listen = 8000
colour = \"red\"

[providers.openai]
apikeyy = \"x\"
baseurl = \"ftp://a.example\"
auth_mode = \"pass\"
models = [\"a\", 5]

[limits]
body = \"64M\"
";
    assert_eq!(
        errors("pinhole.toml", content),
        [
            "pinhole.toml:2:10: error: server.listen: expected text, found a whole number",
            "pinhole.toml:3:1: error: server.colour: unknown key; known here: listen, ops_listen, data_dir, instance, \
             aperture_headers, cost_header, tls, cors_origins, workers, drain, header_timeout",
            "pinhole.toml:6:1: error: providers.openai.apikeyy: unknown key; did you mean apikey?",
            "pinhole.toml:7:11: error: providers.openai.baseurl: neither http nor https; write the root of the provider's \
             API, such as https://api.openai.com",
            "pinhole.toml:8:13: error: providers.openai.auth_mode: not a word this key takes; did you mean passthrough? \
             write one of override, passthrough, none",
            "pinhole.toml:9:16: error: providers.openai.models.1: expected text or a table, found a whole number",
            "pinhole.toml:12:8: error: limits.body: not a size; write a whole number of bytes, or one with a unit: 1000, \
             64KiB, 64MiB, 10GiB",
        ]
    );
}

#[test]
fn yaml_places_count_characters_not_bytes() {
    let content = "\
# ünïcödé before
backends:
  openai: {name: \"Ünï\", apikeyy: x}
  openai: {}
default_backed: openai
";
    assert_eq!(
        errors("config.yaml", content),
        [
            "config.yaml:3:25: error: providers.openai.apikeyy: unknown key; did you mean apikey?",
            "config.yaml:4:3: error: backends.openai: duplicate key, first set on line 3; remove one of the two",
            "config.yaml:5:1: error: default_backed: unknown key; did you mean default_backend?",
        ]
    );
}

#[test]
fn json_takes_comments_and_trailing_commas_and_places_faults() {
    let content = "\
// a comment
{
  \"providers\": {
    \"openai\": {
      \"modells\": [\"a\",], /* another */
      \"disabled\": \"yes\",
    },
  },
  \"server\": {\"listen\": \"127.0.0.1:1\", \"listen\": \"127.0.0.1:2\"}
}
";
    assert_eq!(
        errors("pinhole.json", content),
        [
            "pinhole.json:5:7: error: providers.openai.modells: unknown key; did you mean models?",
            "pinhole.json:6:19: error: providers.openai.disabled: expected true or false, found text",
            "pinhole.json:9:39: error: server.listen: duplicate key, first set on line 9; remove one of the two",
        ]
    );
}

#[test]
fn syntax_errors_have_places_in_each_form() {
    for (name, content, place) in [
        ("pinhole.toml", "[server]\nlisten = \n", "pinhole.toml:2:"),
        ("pinhole.yaml", "server:\n  listen: \"a\n", "pinhole.yaml:"),
        ("pinhole.json", "{\n  \"server\": {]\n}", "pinhole.json:2:14: error: syntax: "),
    ] {
        let errors = errors(name, content);
        assert!(errors[0].starts_with(place), "{errors:?}");
        assert!(errors[0].contains("error: syntax: "), "{errors:?}");
    }
}

#[test]
fn toml_shows_several_syntax_errors_and_unknown_keys_beside_them() {
    let content =
        "[server]\nlisten = \n[log]\nlevel = \"info\"\nlevel = \"warn\"\nfromat = \"text\"\n";
    let errors = errors("pinhole.toml", content);
    assert!(errors.iter().any(|line| line.starts_with("pinhole.toml:2:")), "{errors:?}");
    assert!(errors.iter().any(|line| line.starts_with("pinhole.toml:5:1: ")), "{errors:?}");
    let unknown = "pinhole.toml:6:1: error: log.fromat: unknown key; did you mean format?";
    assert!(errors.iter().any(|line| line == unknown), "{errors:?}");
}

#[test]
fn missing_keys_are_placed_at_their_table() {
    let findings = faults("[providers.openai]\n[[keys]]\nlabel = \"a\"\n");
    assert_says(&findings, &["pinhole.toml:3:1: error: keys.0.secret: missing"]);
}

#[test]
fn semantic_faults_are_located_too() {
    let findings = faults(
        "default_backend = \"opneai\"\nmodel_aliases = [{ pattern = \"(\", replacement = \"x\" }]\n\
         [server]\nlisten = \"0.0.0.0:8000\"\n[providers.openai]\ntype = \"opnai\"\n",
    );
    assert_says(&findings, &["pinhole.toml:1:19:", "default_backend", "did you mean openai"]);
    assert_says(&findings, &["pinhole.toml:2:18:", "model_aliases.0: not a regular expression"]);
    assert_says(&findings, &["pinhole.toml:4:10:", "no gateway key", "PINHOLE_API_KEY"]);
    assert_says(&findings, &["pinhole.toml:6:8:", "providers.openai.type: no such preset"]);
}

#[test]
fn one_fault_is_said_once() {
    let findings = faults("[providers.x]\nbaseurl = 5\napikey = 7\n");
    assert_eq!(
        lines(&findings, Severity::Error),
        [
            "pinhole.toml:2:11: error: providers.x.baseurl: expected text, found a whole number",
            "pinhole.toml:3:10: error: providers.x.apikey: expected text, found a whole number",
        ]
    );
    assert_eq!(lines(&findings, Severity::Warning), [] as [&str; 0]);
}

#[test]
fn other_names_of_a_key_are_suggested_too() {
    assert_says(&faults("[backend.openai]\n"), &["1:2:", "unknown key; did you mean backends?"]);
}

#[test]
fn codex_logins_are_refused_with_the_way_out() {
    for content in ["[providers.openai-codex]\n", "[providers.c]\ntype = \"openai-codex\"\n"] {
        assert_says(
            &faults(content),
            &["ChatGPT logins are not read", "`chatgpt`", "openai_base_url"],
        );
    }
    let findings = faults("default_backend = \"openai-codex\"\n[providers.openai]\n");
    assert_says(&findings, &["default_backend", "openai_base_url"]);
}

#[test]
fn aliases_in_yaml_expand_but_do_not_multiply() {
    let settings = load(
        "pinhole.yaml",
        "providers:\n  openai: &o {apikey: a, models: [m]}\n  other: *o\n",
        &[],
    )
    .unwrap();
    assert_eq!(super::models(super::provider(&settings, "other")), ["m"]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = level - 1;
        let line =
            format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", "));
        bomb.push_str(&line);
    }
    assert!(errors("pinhole.yaml", &bomb)[0].contains("aliases make more than"));
}
