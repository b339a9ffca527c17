//! What users write, and what comes of it: whole files in, settings or findings out.

mod environment;
mod examples;
mod fields;
mod hostile;
mod located;
mod redact;
mod rules;
mod secrets;
mod telemetry;

use std::path::Path;

use crate::config::diagnostic::{Findings, Severity};
use crate::config::env::Environment;
use crate::config::load::load_text;
use crate::config::settings::{Overrides, Settings, Source};
use crate::config::tree::Text;
use crate::upstream::provider::Provider;

/// Loads `content` as the file `name`, with these variables and flags.
fn load_with(
    name: &str,
    content: &str,
    variables: &[(&str, &str)],
    overrides: &Overrides,
) -> Result<Settings, Findings> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let environment = Environment::new(folder, variables.iter().copied());
    let text = Text::new(Path::new(name), content.to_owned());
    load_text(text, Source::File(folder.join(name)), overrides, &environment)
}

fn load(name: &str, content: &str, variables: &[(&str, &str)]) -> Result<Settings, Findings> {
    load_with(name, content, variables, &Overrides::default())
}

/// Loads TOML that must be free of errors.
fn toml(content: &str) -> Settings {
    load("pinhole.toml", content, &[]).unwrap_or_else(|findings| panic!("{findings}"))
}

/// The findings of TOML that has errors.
fn faults(content: &str) -> Findings {
    load("pinhole.toml", content, &[]).err().unwrap_or_else(|| panic!("no error in:\n{content}"))
}

/// One block `[providers.p]` with a base URL, and further lines.
fn block(lines: &str) -> Settings {
    toml(&format!("[providers.p]\nbaseurl = \"https://p.example\"\n{lines}"))
}

fn first(settings: &Settings) -> &Provider {
    &settings.providers[0]
}

fn provider<'a>(settings: &'a Settings, id: &str) -> &'a Provider {
    let found = settings.providers.iter().find(|provider| &*provider.id == id);
    found.unwrap_or_else(|| panic!("no provider {id}"))
}

fn flags(provider: &Provider) -> Vec<&'static str> {
    provider.flags.iter().map(crate::neutral::kind::Flag::key).collect()
}

fn keys(provider: &Provider) -> Vec<(&str, &str)> {
    provider.keys.iter().map(|key| (&*key.label, key.secret.reveal())).collect()
}

fn models(provider: &Provider) -> Vec<&str> {
    provider.models.iter().map(|model| model.id.as_str()).collect()
}

/// The findings' lines of one severity.
fn lines(findings: &Findings, severity: Severity) -> Vec<String> {
    findings.iter().filter(|f| f.severity == severity).map(ToString::to_string).collect()
}

/// Some finding holds all of `parts`.
#[track_caller]
fn assert_says(findings: &Findings, parts: &[&str]) {
    let says = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(findings.iter().any(|finding| says(&finding.to_string())), "{parts:?} in:\n{findings}");
}
