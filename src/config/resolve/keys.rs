//! Keys: those of providers, and those that clients of the gateway present.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Context;
use crate::base::secret::Secret;
use crate::config::file;
use crate::config::text::SecretText;
use crate::config::tree::Origin;
use crate::exchange::level::Level;
use crate::policy::identity::GatewayKey;
use crate::upstream::catalog::Preset;
use crate::upstream::provider::ProviderKey;

const API_KEY: &str = "PINHOLE_API_KEY";
const ADMIN_KEY: &str = "PINHOLE_ADMIN_KEY";

/// `PINHOLE_API_KEY` first, then the file's.
pub(super) fn gateway_keys(
    written: Vec<file::Key>,
    context: &mut Context<'_, '_>,
) -> Vec<GatewayKey> {
    let from_variable = context.environment().get(API_KEY).map(Secret::new);
    let mut keys: Vec<GatewayKey> = from_variable
        .into_iter()
        .map(|secret| GatewayKey { label: Arc::from("env"), secret })
        .collect();
    for (index, key) in written.into_iter().enumerate() {
        let index = index.to_string();
        let path = ["keys", index.as_str(), "secret"];
        let Some(secret) = key.secret.secret() else {
            context.error(&path, "an empty key", "write a key, or env:NAME");
            continue;
        };
        if key.secret.is_placeholder() {
            placeholder(&path, context);
        }
        if keys.iter().any(|other| *other.label == *key.label) {
            let message = "the label of another key";
            context.error(&["keys", &index, "label"], message, "give each key a label of its own");
        }
        keys.push(GatewayKey { label: Arc::from(key.label.as_str()), secret });
    }
    keys
}

/// How far holders of a key may raise the capture level.
pub(super) fn raises(written: &[file::Key]) -> Vec<(Arc<str>, Level)> {
    let raises =
        written.iter().filter_map(|key| Some((key.label.as_str().into(), key.capture_max?)));
    raises.collect()
}

pub(super) fn admin_key(context: &Context<'_, '_>) -> Option<Secret> {
    context.environment().get(ADMIN_KEY).map(Secret::new)
}

/// The keys of one block, `apikey` before `apikeys`, each once.
pub(super) fn provider_keys(
    id: &str,
    apikey: Option<&SecretText>,
    apikeys: &[SecretText],
    context: &mut Context<'_, '_>,
) -> Vec<ProviderKey> {
    let mut pool = Pool::default();
    if let Some(text) = apikey {
        let path = ["providers", id, "apikey"];
        match origin(&path, context) {
            Some(Origin::Variable(name)) => {
                let name = name.clone();
                pool.add_variables(&name, context);
            }
            _ => pool.add(text, None, &path, context),
        }
    }
    for (index, text) in apikeys.iter().enumerate() {
        let index = index.to_string();
        let path = ["providers", id, "apikeys", &index];
        let label = match origin(&path, context) {
            Some(Origin::Variable(name)) => Some(name.clone()),
            _ => None,
        };
        pool.add(text, label, &path, context);
    }
    pool.keys
}

/// The keys the environment holds for a preset: the first of its variables that is set, with the numbered ones.
pub(super) fn preset_keys(preset: &Preset, context: &Context<'_, '_>) -> Vec<ProviderKey> {
    let mut pool = Pool::default();
    for name in &preset.env {
        pool.add_variables(name, context);
        if !pool.keys.is_empty() {
            break;
        }
    }
    pool.keys
}

#[derive(Default)]
struct Pool {
    keys: Vec<ProviderKey>,
    seen: BTreeSet<String>,
}

impl Pool {
    fn add_variables(&mut self, name: &str, context: &Context<'_, '_>) {
        for (name, value) in context.environment().pool(name) {
            self.push(name, Secret::new(value));
        }
    }

    fn add(
        &mut self,
        text: &SecretText,
        label: Option<String>,
        path: &[&str],
        context: &mut Context<'_, '_>,
    ) {
        let Some(secret) = text.secret() else {
            let remedy = "write env:NAME or a key, or leave the key out";
            context.warning(path, "an empty key", remedy);
            return;
        };
        if text.is_placeholder() {
            placeholder(path, context);
        }
        if http::HeaderValue::from_str(secret.reveal()).is_err() {
            let message = "holds characters that no header can carry";
            context.error(path, message, "look for a line break or a stray control character");
            return;
        }
        let label = label.unwrap_or_else(|| format!("key-{}", self.keys.len() + 1));
        self.push(label, secret);
    }

    /// The same key twice would only look like a pool.
    fn push(&mut self, label: String, secret: Secret) {
        if self.seen.insert(secret.reveal().to_owned()) {
            self.keys.push(ProviderKey { label: Arc::from(label), secret });
        }
    }
}

fn origin<'a>(path: &[&str], context: &'a Context<'_, '_>) -> Option<&'a Origin> {
    context.node(path)?.origin.as_ref()
}

fn placeholder(path: &[&str], context: &mut Context<'_, '_>) {
    let remedy = "write the key, or better env:NAME";
    context.warning(path, "looks like a placeholder, not like a key", remedy);
}
