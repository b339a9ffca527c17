//! What the rules of `tests/tidy.rs` are made of: a rule's form, the tree of files, and the reading of Rust as text.

pub(crate) mod rust;
pub(crate) mod tree;

use std::fmt::Write as _;

pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) what: String,
}

/// What a rule is called, what it looks for, and what to do when it finds something.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) find: fn(&tree::Tree) -> Vec<Finding>,
    pub(crate) way_out: &'static str,
}

/// Proves that the rule fails on each offender and passes the innocent, then holds the repository to it.
pub(crate) fn hold(rule: &Rule, offenders: &[&[(&str, &str)]], innocent: &[(&str, &str)]) {
    for offender in offenders {
        let shown = offender.last().map_or("", |(_, text)| text);
        assert!(
            !(rule.find)(&tree::Tree::of(offender)).is_empty(),
            "rule '{}' misses: {shown}",
            rule.name
        );
    }
    let wrongly = listed(&(rule.find)(&tree::Tree::of(innocent)));
    assert!(wrongly.is_empty(), "rule '{}' blames the innocent:\n{wrongly}", rule.name);

    assert!(!tree::REPOSITORY.files.is_empty(), "the repository is not where it was built");
    let findings = listed(&(rule.find)(&tree::REPOSITORY));
    assert!(findings.is_empty(), "rule: {}\n{findings}way out: {}\n", rule.name, rule.way_out);
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().fold(String::new(), |mut text, finding| {
        let _ = writeln!(text, "  {}  {}", finding.place, finding.what);
        text
    })
}
