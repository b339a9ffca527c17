//! Entry: find the file, read it, resolve it. Blocks (files, commands): on a runtime, call it from a blocking thread.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::check::check;
use crate::config::diagnostic::{Finding, Findings, Severity};
use crate::config::env::Environment;
use crate::config::expand::expand;
use crate::config::file::File;
use crate::config::normalise::normalise;
use crate::config::resolve::{Inputs, Read, resolve};
use crate::config::schema::schema;
use crate::config::settings::{Overrides, Settings, Source};
use crate::config::tree::{Form, Node, Text, Value};

/// Where a configuration may be named, besides `--config`.
pub const VARIABLE: &str = "PINHOLE_CONFIG";
/// Names looked for in the working directory and in the user's `pinhole` folder, in this order.
pub const NAMES: [&str; 4] = ["pinhole.toml", "pinhole.yaml", "pinhole.yml", "pinhole.json"];
/// Looked for in the working directory last: many tools have such a file, so it counts only with providers in it.
pub const SHARED_NAME: &str = "config.yaml";
/// Limit: a larger file is not a configuration.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Finds, reads and resolves the configuration.
///
/// `config` is the `--config` flag. `Ok` may carry warnings (`settings.warnings`); `Err` carries every finding,
/// warnings included, and at least one error.
pub fn load(
    config: Option<&Path>,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, Findings> {
    match find(config, environment) {
        None => {
            let inputs = Inputs { read: None, overrides, environment };
            settle(File::default(), Source::Environment, &inputs, Findings::default())
        }
        Some(shown) => {
            let path = environment.directory().join(&shown);
            let content = read(&path).map_err(|message| unreadable(&shown, message))?;
            let text = Text::new(&shown, content);
            load_text(text, Source::File(path), overrides, environment)
        }
    }
}

/// Resolves a configuration that is at hand as text, for `POST /api/config:validate`; its form follows its file's name.
pub fn load_text(
    text: Text,
    source: Source,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, Findings> {
    let mut findings = Findings::default();
    let form = Form::of(&text.file);
    let Some(mut root) = text.parse(form, &mut findings) else {
        return Err(findings);
    };
    if findings.has_errors() {
        // What could be read is still checked, but nothing is run or resolved from a half-read file.
        let mut further = Findings::default();
        normalise(&mut root, &text, &mut further);
        check(&mut root, schema(), &text, &mut further);
        add_apart(&mut findings, further);
        findings.sort();
        return Err(findings);
    }
    normalise(&mut root, &text, &mut findings);
    expand(&mut root, &text, environment, &mut findings);
    check(&mut root, schema(), &text, &mut findings);
    warn_of_readers(&source, &root, &text, &mut findings);
    let Ok(file) = File::deserialize(root.to_json()) else {
        // Serde's message may hold a value; the check above names every fault it knows of.
        let message = "does not have the shape of a configuration".to_owned();
        findings.push(text.finding(Severity::Error, 0, "", message));
        return Err(findings);
    };
    let read = Read { text, root };
    let inputs = Inputs { read: Some(&read), overrides, environment };
    settle(file, source, &inputs, findings)
}

/// The file to read, as it is to be shown: relative when found in the working directory.
pub fn find(config: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    if let Some(named) = config {
        return Some(named.to_owned());
    }
    if let Some(named) = environment.get(VARIABLE) {
        return Some(PathBuf::from(named));
    }
    let here = environment.directory();
    if let Some(name) = NAMES.into_iter().find(|name| here.join(name).is_file()) {
        return Some(PathBuf::from(name));
    }
    if has_providers(&here.join(SHARED_NAME)) {
        return Some(PathBuf::from(SHARED_NAME));
    }
    let folder = environment.config_home()?.join("pinhole");
    NAMES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// By its lines, not by parsing: a file that is ours but faulty must be found, so that its faults are shown.
fn has_providers(path: &Path) -> bool {
    let is_ours = |line: &str| line.starts_with("providers:") || line.starts_with("backends:");
    read(path).is_ok_and(|content| content.lines().any(is_ours))
}

fn read(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let content = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    // A byte order mark says nothing and would be a character of the first key.
    Ok(content.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(content))
}

fn unreadable(path: &Path, message: String) -> Findings {
    Findings(vec![Finding {
        severity: Severity::Error,
        place: None,
        key: path.display().to_string(),
        message,
        remedy: format!("name an existing file with --config or ${VARIABLE}"),
    }])
}

fn settle(
    file: File,
    source: Source,
    inputs: &Inputs<'_>,
    mut findings: Findings,
) -> Result<Settings, Findings> {
    let mut settings = resolve(file, source, inputs, &mut findings);
    findings.sort();
    if findings.has_errors() {
        return Err(findings);
    }
    settings.warnings = findings;
    Ok(settings)
}

/// Adds what was found in a half-read tree, except on lines that are broken and keys that may only seem to be missing.
fn add_apart(findings: &mut Findings, further: Findings) {
    let line = |finding: &Finding| finding.place.as_ref().map(|place| place.line);
    let broken: Vec<_> = findings.iter().map(line).collect();
    for finding in further.0 {
        if !broken.contains(&line(&finding)) && finding.message != "missing" {
            findings.push(finding);
        }
    }
}

/// Keys that stand in the file itself should not be readable by everyone on the machine.
#[cfg(unix)]
fn warn_of_readers(source: &Source, root: &Node, text: &Text, findings: &mut Findings) {
    use std::os::unix::fs::PermissionsExt;

    const OTHERS_READ: u32 = 0o004;
    let Source::File(path) = source else { return };
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & OTHERS_READ == 0 {
        return;
    }
    if let Some((key, at)) = inline_secret(root) {
        let message = "a key stands in a file that everyone on this machine can read".to_owned();
        findings.push(Finding {
            remedy: "write env:NAME or file:PATH instead, or chmod 600 the file".to_owned(),
            ..text.finding(Severity::Warning, at, &key, message)
        });
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Source, _: &Node, _: &Text, _: &mut Findings) {}

/// The first key that is written out in the file.
#[cfg(unix)]
fn inline_secret(root: &Node) -> Option<(String, usize)> {
    use crate::config::text::is_placeholder;

    let is_inline = |node: &Node| match &node.value {
        Value::String(content) => node.origin.is_none() && !is_placeholder(content),
        _ => false,
    };
    let items = |node: &Node| match &node.value {
        Value::List(items) => items.clone(),
        _ => Vec::new(),
    };
    let mut candidates = Vec::new();
    if let Some(Value::Table(blocks)) = root.get(&["providers"]).map(|node| &node.value) {
        for block in blocks {
            let path = format!("providers.{}", block.key);
            if let Some(key) = block.node.get(&["apikey"]) {
                candidates.push((format!("{path}.apikey"), key.clone()));
            }
            for key in block.node.get(&["apikeys"]).map(items).unwrap_or_default() {
                candidates.push((format!("{path}.apikeys"), key));
            }
        }
    }
    for (index, key) in root.get(&["keys"]).map(items).unwrap_or_default().iter().enumerate() {
        if let Some(secret) = key.get(&["secret"]) {
            candidates.push((format!("keys.{index}.secret"), secret.clone()));
        }
    }
    let found = candidates.into_iter().find(|(_, node)| is_inline(node));
    found.map(|(key, node)| (key, node.at))
}
