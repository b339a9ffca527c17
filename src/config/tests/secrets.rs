//! A planted secret never comes out: not in findings, not in `Debug`, not in the printed view.

use std::fs;

use super::load;
use crate::config::env::Environment;
use crate::config::print;
use crate::config::settings::Overrides;

const PLANTED: &str = "planted-secret";

#[test]
fn settings_and_their_views_do_not_show_credentials() {
    let content = format!(
        "[[keys]]\nlabel = \"team\"\nsecret = \"{PLANTED}-1\"\n\
         [providers.openai]\napikeys = [\"{PLANTED}-2\", \"env:KEY\", \"file:key\", \"command:echo {PLANTED}-5\"]\n\
         add_headers = [\"x-token: {PLANTED}-6\"]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), format!("{PLANTED}-4")).unwrap();
    fs::write(folder.path().join("pinhole.toml"), content).unwrap();
    let values = [3, 7, 8, 9].map(|number| format!("{PLANTED}-{number}"));
    let proxy = format!("http://u:{}@proxy:1", values[3]);
    let environment = Environment::new(
        folder.path(),
        [
            ("KEY", values[0].as_str()),
            ("PINHOLE_API_KEY", values[1].as_str()),
            ("PINHOLE_ADMIN_KEY", values[2].as_str()),
            ("HTTPS_PROXY", proxy.as_str()),
        ],
    );
    let overrides = Overrides::default();
    let settings = crate::config::load::load(None, &overrides, &environment).unwrap();
    assert_eq!(settings.providers[0].keys.len(), 4);
    for view in [
        format!("{settings:?}"),
        format!("{settings:#?}"),
        format!("{environment:?}"),
        print::text(&settings),
        print::json(&settings).to_string(),
        settings.warnings.to_string(),
    ] {
        assert!(!view.contains(PLANTED), "{view}");
    }
}

/// Faults of every kind, each with the secret where the fault is.
const FAULTS: &[(&str, &str)] = &[
    ("toml", "[providers.openai]\napikey = planted-secret\n"),
    ("toml", "[providers.openai]\napikey = \"planted-secret\n"),
    ("toml", "[providers.openai]\nbaseurl = \"planted-secret\"\n"),
    ("toml", "[providers.openai]\nauthorization = \"planted-secret\"\n"),
    ("toml", "[providers.openai]\nauth_mode = \"planted-secret\"\n"),
    ("toml", "[providers.openai]\ntype = \"planted-secret\"\n"),
    ("toml", "[providers.openai]\nadd_headers = [\"planted-secret\"]\n"),
    ("toml", "[providers.openai]\nmodels = \"planted-secret\"\n"),
    ("toml", "[providers.openai]\napikey = { planted = \"planted-secret\" }\n"),
    ("toml", "[providers.openai]\napikey = \"planted-secret\\u0001\"\n"),
    ("toml", "[limits]\nbody = \"planted-secret\"\n[providers.openai]\n"),
    ("toml", "[server]\nlisten = \"planted-secret\"\n[providers.openai]\n"),
    ("yaml", "providers:\n  openai:\n    apikey: \"planted-secret\n"),
    ("yaml", "providers:\n  openai:\n    apikey: [planted-secret\n"),
    ("yaml", "providers:\n  openai:\n    apikey: *planted-secret\n"),
    ("yaml", "providers:\n  openai:\n    apikey: !planted-secret%zz x: y: z\n"),
    ("json", "{\"providers\": {\"openai\": {\"apikey\": planted-secret}}}"),
    ("json", "{\"providers\": {\"openai\": {\"apikey\": \"planted-secret}}}"),
    ("json", "{\"providers\": {\"openai\": {\"apikey\": \"planted-secret\\q\"}}}"),
];

#[test]
fn findings_do_not_show_values() {
    for (extension, content) in FAULTS {
        let findings = load(&format!("pinhole.{extension}"), content, &[]).err();
        let findings = findings.unwrap_or_else(|| panic!("no error in {content}"));
        assert!(!findings.to_string().contains(PLANTED), "{content}\n{findings}");
        assert!(!format!("{findings:?}").contains(PLANTED), "{content}");
    }
}
