//! What all connections of one simulator share: the script, the log, and who has asked how often.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;

use super::answer::models;
use super::magic;
use super::pace::{Rng, digest};
use super::record::Log;
use super::script::{Profile, Script, glob};
use crate::base::clock;

/// Limit: sessions whose position is remembered; past it all start again.
const SESSIONS_MAX: usize = 1 << 16;
/// Headers by which clients name their session, the most telling first.
const SESSION_HEADERS: [&str; 4] = [
    "x-session-id",
    "x-claude-code-session-id",
    "session-id",
    "thread-id",
];
/// 2026-01-01, the day on which everything made without a clock was made.
const EPOCH: u64 = 1_767_225_600;

/// What all connections of one simulator share.
pub(crate) struct Provider {
    pub(crate) script: Script,
    pub(crate) log: Arc<Log>,
    /// Per rule: requests that met its path and model.
    met: Vec<AtomicU64>,
    /// Per session (or per distinct request): answers given. Held for a look-up, never across an await.
    sessions: Mutex<HashMap<u64, u64>>,
}

impl Provider {
    pub(crate) fn new(script: Script, log: Arc<Log>) -> Self {
        Self {
            met: script.rules.iter().map(|_| AtomicU64::new(0)).collect(),
            script,
            log,
            sessions: Mutex::default(),
        }
    }

    /// The seed of this answer: of the script, the session and the position in it. Without a session equal requests
    /// count among themselves, so that clients working side by side do not change each other's answers.
    pub(crate) fn position(&self, head: &Parts, body: &Bytes) -> u64 {
        let named = SESSION_HEADERS
            .iter()
            .find_map(|name| head.headers.get(*name));
        let key = match named {
            Some(session) => digest(self.script.seed, session.as_bytes()),
            None => digest(digest(self.script.seed, head.uri.path().as_bytes()), body),
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
        let count = sessions.entry(key).or_default();
        *count += 1;
        digest(key, &count.to_le_bytes())
    }

    /// The layers of the profile, lowest first (see `script`).
    pub(crate) fn profile(&self, model: &str, path: &str, rng: &mut Rng) -> Profile {
        let mut profile = self.script.default.clone();
        let fitting = self
            .script
            .models
            .iter()
            .filter(|(pattern, _)| glob(pattern, model));
        if let Some((_, over)) = fitting.max_by_key(|(pattern, _)| pattern.len()) {
            profile.overlay(over);
        }
        if let Some(over) = magic::profile(model) {
            profile.overlay(&over);
        }
        for (rule, met) in self.script.rules.iter().zip(&self.met) {
            let meets = |pattern: &Option<String>, text: &str| {
                pattern.as_ref().is_none_or(|pattern| glob(pattern, text))
            };
            if !meets(&rule.path, path) || !meets(&rule.model, model) {
                continue;
            }
            let position = met.fetch_add(1, Ordering::Relaxed) + 1;
            let chosen = rule.nth.as_ref().is_none_or(|nth| nth.contains(&position))
                && rule
                    .every
                    .is_none_or(|every| position.is_multiple_of(every))
                && rule
                    .probability
                    .is_none_or(|probability| rng.chance(probability));
            if chosen {
                profile.overlay(&rule.profile);
            }
        }
        profile
    }

    pub(crate) fn created(&self) -> u64 {
        if self.script.real_time {
            clock::wall_us() / 1_000_000
        } else {
            EPOCH + self.script.seed % 86_400
        }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        if self.script.catalogue.is_empty() {
            return models::CATALOGUE.to_vec();
        }
        self.script.catalogue.iter().map(String::as_str).collect()
    }
}
