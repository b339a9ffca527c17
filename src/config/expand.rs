//! Values that stand elsewhere: `env:NAME`, `file:PATH`, `command:PROGRAM ARGS`.
//!
//! Invariant: what was read is never part of a finding; of a command that fails only its standard error is shown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::command;
use crate::config::diagnostic::{Finding, Findings, Severity};
use crate::config::env::Environment;
use crate::config::tree::{Entry, Node, Origin, Text, Value, join};

/// Limit: how long one command may run.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// Limit: a file with a value in it is at most this large.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Replaces every indirect value of the tree. Each command runs once, however often it is named. Blocks while they run.
pub fn expand(root: &mut Node, text: &Text, environment: &Environment, findings: &mut Findings) {
    let mut expander = Expander { text, environment, findings, commands: HashMap::new() };
    expander.node(root, "");
}

/// A path of the configuration: `~/` is the home directory, a relative one starts from the file's folder.
pub fn path_from(folder: &Path, environment: &Environment, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), environment.home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    }
}

struct Expander<'a> {
    text: &'a Text,
    environment: &'a Environment,
    findings: &'a mut Findings,
    commands: HashMap<String, Result<String, String>>,
}

/// What became of one value.
enum Expanded {
    /// It stands in the file itself.
    Literal,
    From(Origin, String),
    /// Nothing there, which a finding says; the key is treated as absent.
    Absent(Finding),
}

impl Expander<'_> {
    /// False when the node is to be treated as absent.
    fn node(&mut self, node: &mut Node, path: &str) -> bool {
        match &mut node.value {
            Value::Table(entries) => {
                let inner = |entry: &mut Entry, this: &mut Self| {
                    this.node(&mut entry.node, &join(path, &entry.key))
                };
                entries.retain_mut(|entry| inner(entry, self));
            }
            Value::List(items) => {
                let mut index = 0;
                items.retain_mut(|item| {
                    index += 1;
                    self.node(item, &join(path, &(index - 1).to_string()))
                });
            }
            Value::String(content) => match self.text(content, node.at, path) {
                Expanded::Literal => {}
                Expanded::From(origin, read) => {
                    node.value = Value::String(read);
                    node.origin = Some(origin);
                }
                Expanded::Absent(finding) => {
                    self.findings.push(finding);
                    return false;
                }
            },
            _ => {}
        }
        true
    }

    fn text(&mut self, content: &str, at: usize, path: &str) -> Expanded {
        if let Some(name) = content.strip_prefix("env:") {
            return self.variable(name.trim(), at, path);
        }
        let read = if let Some(file) = content.strip_prefix("file:") {
            self.file(file.trim()).map(|read| (Origin::File, read))
        } else if let Some(line) = content.strip_prefix("command:") {
            self.command(line.trim()).map(|read| (Origin::Command, read))
        } else if content.starts_with("keyfile::") {
            Err("service-account key files are not read; write command:gcloud auth print-access-token".to_owned())
        } else {
            return Expanded::Literal;
        };
        match read {
            Ok((origin, read)) => Expanded::From(origin, read),
            Err(message) => Expanded::Absent(self.text.finding(Severity::Error, at, path, message)),
        }
    }

    fn variable(&self, name: &str, at: usize, path: &str) -> Expanded {
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let message = "`env:` is not followed by the name of a variable".to_owned();
            let finding = self.text.finding(Severity::Error, at, path, message);
            return Expanded::Absent(finding);
        }
        let pool = self.environment.pool(name);
        let value = match pool.first() {
            // Only a provider's key takes the numbered ones; elsewhere the name means itself.
            Some((_, value)) if is_provider_key(path) => Some(*value),
            _ => self.environment.get(name),
        };
        if let Some(value) = value {
            return Expanded::From(Origin::Variable(name.to_owned()), value.to_owned());
        }
        let (severity, remedy) = if is_provider_key(path) {
            (Severity::Warning, format!("export {name}; until then the provider has no key"))
        } else {
            (Severity::Error, format!("export {name}, or write the value"))
        };
        let message = format!("the environment variable {name} is not set");
        Expanded::Absent(Finding { remedy, ..self.text.finding(severity, at, path, message) })
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let folder = self.text.file.parent().unwrap_or(Path::new(""));
        let full = path_from(&self.environment.directory().join(folder), self.environment, path);
        let shown = full.display();
        let size =
            std::fs::metadata(&full).map_err(|e| format!("{shown} cannot be read: {e}"))?.len();
        if size > FILE_BYTES_MAX {
            return Err(format!(
                "{shown} is larger than {FILE_BYTES_MAX} bytes, too large for a value"
            ));
        }
        // The error of a file that is not text would not show it, but its wording is not ours to trust.
        let bytes = std::fs::read(&full).map_err(|e| format!("{shown} cannot be read: {e}"))?;
        let read = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
        match read.trim() {
            "" => Err(format!("{shown} is empty")),
            value => Ok(value.to_owned()),
        }
    }

    fn command(&mut self, line: &str) -> Result<String, String> {
        if let Some(known) = self.commands.get(line) {
            return known.clone();
        }
        let folder = self.text.file.parent().unwrap_or(Path::new(""));
        let folder = self.environment.directory().join(folder);
        let result = command::output(line, &folder, COMMAND_LIMIT);
        self.commands.insert(line.to_owned(), result.clone());
        result
    }
}

/// `providers.NAME.apikey` or an item of `providers.NAME.apikeys`; names may hold dots.
fn is_provider_key(path: &str) -> bool {
    let list = path.rsplit_once('.').is_some_and(|(parent, _)| parent.ends_with(".apikeys"));
    path.starts_with("providers.") && (list || path.ends_with(".apikey"))
}
