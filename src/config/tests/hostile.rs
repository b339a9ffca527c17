//! Whatever a file holds, there is an answer: a tree or a place, never a panic, never more than the limits.

use std::path::Path;

use proptest::prelude::*;

use super::{faults, load};
use crate::config::check::check;
use crate::config::diagnostic::Findings;
use crate::config::normalise::normalise;
use crate::config::schema::schema;
use crate::config::tree::{Form, Text};

const EXAMPLE: &str = include_str!("../../../docs/pinhole.example.toml");
const JSON: &str = include_str!("../../../tests/golden/config/provider-block.json");
const YAML: &str = include_str!("../../../tests/golden/config/backends.yaml");

/// Reads without resolving; every place lies in the text, and a text without a tree has a finding.
fn read(form: Form, content: &str) {
    let text = Text::new(Path::new("f"), content.to_owned());
    let mut findings = Findings::default();
    match text.parse(form, &mut findings) {
        Some(mut root) => {
            normalise(&mut root, &text, &mut findings);
            check(&mut root, schema(), &text, &mut findings);
        }
        None => assert!(findings.has_errors(), "neither tree nor finding: {content:?}"),
    }
    let lines: Vec<&str> = content.split('\n').collect();
    for finding in &findings {
        let place = finding.place.as_ref().unwrap();
        let line = lines.get(place.line - 1).unwrap_or_else(|| panic!("{finding}"));
        assert!(place.column <= line.chars().count() + 1, "{finding} in {content:?}");
    }
}

#[test]
fn files_cut_at_any_place_are_read_or_refused() {
    for (form, content) in [(Form::Toml, EXAMPLE), (Form::Json, JSON), (Form::Yaml, YAML)] {
        for (end, _) in content.char_indices() {
            read(form, &content[..end]);
        }
    }
}

#[test]
fn every_form_bounds_depth() {
    for (form, open) in [(Form::Json, "["), (Form::Yaml, "["), (Form::Toml, "a = [")] {
        read(form, &open.repeat(20_000));
    }
    read(Form::Yaml, &"- ".repeat(20_000));
    read(Form::Json, &"{\"a\":".repeat(20_000));
    read(Form::Toml, &format!("a = {}", "{ a = ".repeat(20_000)));
    read(Form::Toml, &format!("[{}]", vec!["a"; 20_000].join(".")));
}

#[test]
fn findings_are_bounded_and_an_error_among_them_is_kept() {
    let unknown = |index: usize| format!("k{index} = 1\n");
    let content: String = (0..2_000).map(unknown).collect();
    assert_eq!(faults(&content).iter().count(), 500);

    let doubled: String = (0..1_000).map(|_| "\"m\", ").collect();
    let content =
        format!("[providers.ollama]\nmodels = [{doubled}]\nin_flight = 1\n[limits]\nbody = 0\n");
    let findings = load("pinhole.toml", &content, &[]).unwrap_err();
    assert!(findings.to_string().contains("limits.body"), "the error is past the limit");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(content in "\\PC{0,80}") {
        for form in [Form::Toml, Form::Yaml, Form::Json] {
            read(form, &content);
        }
    }

    /// Texts of the characters that mean something.
    #[test]
    fn any_arrangement_of_signs_is_read_or_refused(content in "[a-c:\\-\\[\\]{}\"'=#,&*!|>%@`~. \n\r\t\u{feff}\u{e9}]{0,40}") {
        for form in [Form::Toml, Form::Yaml, Form::Json] {
            read(form, &content);
        }
    }
}
