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
use super::script::{Profile, Rule, Script};
use crate::base::clock;
use crate::base::glob::Glob;

/// Limit: sessions whose position is remembered; past it all start again.
const SESSIONS_MAX: usize = 1 << 16;
/// Headers by which clients name their session, the most telling first.
pub(crate) const SESSION_HEADERS: [&str; 6] = [
    "x-session-id",
    "x-claude-code-session-id",
    "session-id",
    "x-opencode-session",
    "session_id",
    "thread-id",
];
/// 2026-01-01, the day on which everything made without a clock was made.
const EPOCH: u64 = 1_767_225_600;

/// What all connections of one simulator share.
pub(crate) struct Provider {
    /// Without its models and rules, which stand below in parsed form.
    pub(crate) script: Script,
    pub(crate) log: Arc<Log>,
    /// The script's models, the longest pattern first.
    models: Vec<(Glob, Profile)>,
    rules: Vec<LiveRule>,
    /// Per session (or per distinct request): answers given. Held for a look-up, never across an await.
    sessions: Mutex<HashMap<u64, u64>>,
}

/// A rule with its patterns parsed and its count.
struct LiveRule {
    path: Option<Glob>,
    model: Option<Glob>,
    /// Requests that met path and model.
    met: AtomicU64,
    rule: Rule,
}

impl LiveRule {
    fn new(rule: Rule) -> Self {
        Self {
            path: rule.path.as_deref().map(Glob::new),
            model: rule.model.as_deref().map(Glob::new),
            met: AtomicU64::new(0),
            rule,
        }
    }

    /// Whether the rule holds for this request; counts it if path and model fit.
    fn chooses(&self, model: &str, path: &str, rng: &mut Rng) -> bool {
        let fits = |glob: &Option<Glob>, text| glob.as_ref().is_none_or(|glob| glob.matches(text));
        if !fits(&self.path, path) || !fits(&self.model, model) {
            return false;
        }
        let position = self.met.fetch_add(1, Ordering::Relaxed) + 1;
        let Rule { nth, every, probability, .. } = &self.rule;
        nth.as_ref().is_none_or(|nth| nth.contains(&position))
            && every.is_none_or(|every| position.is_multiple_of(every))
            && probability.is_none_or(|probability| rng.chance(probability))
    }
}

impl Provider {
    pub(crate) fn new(mut script: Script, log: Arc<Log>) -> Self {
        let models = std::mem::take(&mut script.models).into_iter();
        let mut models: Vec<_> =
            models.map(|(pattern, profile)| (Glob::new(&pattern), profile)).collect();
        models.sort_by_key(|(glob, _)| std::cmp::Reverse(glob.as_str().len()));
        let rules = std::mem::take(&mut script.rules).into_iter();
        Self {
            models,
            rules: rules.map(LiveRule::new).collect(),
            script,
            log,
            sessions: Mutex::default(),
        }
    }

    /// The seed of this answer: of the script, the session and the position in it. Without a session equal requests
    /// count among themselves, so that clients working side by side do not change each other's answers.
    pub(crate) fn position(&self, head: &Parts, body: &Bytes) -> u64 {
        let named = SESSION_HEADERS.iter().find_map(|name| head.headers.get(*name));
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
        let mut fitting = self.models.iter().filter(|(glob, _)| glob.matches(model));
        if let Some((_, over)) = fitting.next() {
            profile.overlay(over);
        }
        if let Some(over) = magic::profile(model) {
            profile.overlay(&over);
        }
        for live in &self.rules {
            if live.chooses(model, path, rng) {
                profile.overlay(&live.rule.profile);
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
