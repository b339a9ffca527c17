//! What the file adds to redaction, checked: a rule that cannot act is a fault, because somebody relies on it.

use std::collections::HashSet;

use http::HeaderName;

use super::Context;
use crate::base::secret::Secret;
use crate::config::file_capture as file;
use crate::config::text::SecretText;
use crate::policy::redact::pointer::Pointer;
use crate::policy::redact::{self, Settings};

const PATH: [&str; 2] = ["capture", "redact"];

/// `indexed` are headers that can be asked for, so their values are kept too.
pub(super) fn redact(
    written: file::Redact,
    indexed: &[String],
    context: &mut Context<'_, '_>,
) -> Settings {
    let mut headers_allow = headers(written.headers_allow, context);
    headers_allow.extend(indexed.iter().cloned());
    Settings {
        headers_allow,
        patterns: patterns(&written.patterns, context),
        pointers: pointers(&written.pointers, context),
    }
}

/// The key that bodies are encrypted with; short ones are guessed.
pub(super) fn encryption_key(
    written: Option<SecretText>,
    context: &mut Context<'_, '_>,
) -> Option<Secret> {
    const LENGTH_MIN: usize = 16;
    let written = written?;
    let secret = written.secret().filter(|_| !written.is_placeholder());
    let message = match &secret {
        None => "no key, but something that stands for one",
        Some(secret) if secret.reveal().len() < LENGTH_MIN => "shorter than 16 characters",
        Some(_) => return secret,
    };
    let remedy = "make one with `openssl rand -base64 32` and give it as env:NAME or file:PATH";
    context.error(&["capture", "encryption_key"], message, remedy);
    None
}

fn headers(written: Vec<String>, context: &mut Context<'_, '_>) -> Vec<String> {
    for (index, name) in written.iter().enumerate() {
        let beginning = name.trim().strip_suffix('*').unwrap_or(name.trim());
        let message = if beginning.is_empty() {
            "every header's value would be kept"
        } else if HeaderName::from_bytes(beginning.as_bytes()).is_err() {
            "not the name of a header"
        } else {
            continue;
        };
        let remedy = "write a name such as `x-team`, or a beginning and a star such as `x-acme-*`";
        context.error(&[PATH[0], PATH[1], "headers_allow", &index.to_string()], message, remedy);
    }
    written
}

fn patterns(
    written: &[file::RedactPattern],
    context: &mut Context<'_, '_>,
) -> Vec<crate::exchange::redact::Pattern> {
    let mut names = HashSet::new();
    let mut patterns = Vec::with_capacity(written.len());
    for (index, row) in written.iter().enumerate() {
        let made = redact::pattern(&row.name, &row.regex);
        let made = made.and_then(|pattern| {
            let is_new = names.insert(row.name.clone());
            is_new.then_some(pattern).ok_or_else(|| format!("`{}` is there already", row.name))
        });
        match made {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => {
                let remedy = "write { name = \"customer\", regex = \"CUST-[0-9]+\" }; https://docs.rs/regex#syntax";
                let index = index.to_string();
                context.error(&[PATH[0], PATH[1], "patterns", &index], &message, remedy);
            }
        }
    }
    patterns
}

fn pointers(written: &[String], context: &mut Context<'_, '_>) -> Vec<Pointer> {
    let mut pointers = Vec::with_capacity(written.len());
    for (index, text) in written.iter().enumerate() {
        match Pointer::parse(text) {
            Ok(pointer) => pointers.push(pointer),
            Err(message) => {
                let index = index.to_string();
                let remedy = "write a JSON pointer such as /metadata/user_id or /messages/*/name";
                context.error(&[PATH[0], PATH[1], "pointers", &index], &message, remedy);
            }
        }
    }
    pointers
}
