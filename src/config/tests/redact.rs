//! The rules that the file adds to redaction.

use super::{assert_says, faults, toml};

#[test]
fn rules_land_checked() {
    let settings = toml(
        "[capture.redact]\nheaders_allow = [\"X-Team\", \"x-acme-*\"]\n\
         patterns = [{ name = \"customer\", regex = 'CUST-\\d{6}' }]\npointers = [\"/metadata/user_id\"]\n\
         [providers.openai]",
    );
    let redact = &settings.redact;
    assert_eq!(redact.headers_allow, ["X-Team", "x-acme-*"]);
    assert_eq!(
        (&*redact.patterns[0].name, redact.patterns[0].regex.as_str()),
        ("customer", r"CUST-\d{6}")
    );
    assert_eq!(redact.pointers[0].as_str(), "/metadata/user_id");
    assert!(toml("[providers.openai]").redact.patterns.is_empty());
}

#[test]
fn rules_that_cannot_act_are_faults() {
    for (written, says) in [
        ("headers_allow = [\"*\"]", ["capture.redact.headers_allow", "every header's value"]),
        (
            "headers_allow = [\"x team\"]",
            ["capture.redact.headers_allow", "not the name of a header"],
        ),
        (
            "patterns = [{ name = \"a\", regex = \"(\" }]",
            ["capture.redact.patterns", "unclosed group"],
        ),
        (
            "patterns = [{ name = \"a\", regex = \"x*\" }]",
            ["capture.redact.patterns", "empty text"],
        ),
        (
            "patterns = [{ name = \"a b\", regex = \"x\" }]",
            ["capture.redact.patterns", "name of a pattern"],
        ),
        (
            "patterns = [{ name = \"a\", regex = \"x\" }, { name = \"a\", regex = \"y\" }]",
            ["capture.redact.patterns", "there already"],
        ),
        ("pointers = [\"metadata\"]", ["capture.redact.pointers", "begins with `/`"]),
        ("off = true", ["capture.redact.off", "unknown key"]),
    ] {
        let findings = faults(&format!("[capture.redact]\n{written}\n[providers.openai]"));
        assert_says(&findings, &says);
        assert!(findings.to_string().contains(".toml:2"), "{findings}");
    }
}

#[test]
fn a_key_is_long_enough_and_never_shown() {
    let with = |key: &str| format!("[capture]\nencryption_key = \"{key}\"\n[providers.openai]");
    let settings = toml(&with("planted-secret-0123456789"));
    assert_eq!(settings.encryption_key.as_ref().unwrap().reveal(), "planted-secret-0123456789");
    assert!(!format!("{settings:?}").contains("planted"));
    for (key, says) in [("short", "shorter than 16"), ("<your-key-goes-here>", "stands for one")] {
        assert_says(&faults(&with(key)), &["capture.encryption_key", says]);
    }
    assert_says(&faults(&with("env:NO_SUCH_KEY")), &["capture.encryption_key", "NO_SUCH_KEY"]);
}
