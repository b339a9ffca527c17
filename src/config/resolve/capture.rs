//! `[capture]` and `[retention]`: the rules by which is decided what is kept, and for how long.

use std::sync::Arc;

use http::HeaderName;

use super::Context;
use crate::base::glob::Glob;
use crate::config::file_capture as file;
use crate::config::settings::{Capture, Retention};
use crate::exchange::level::Level;
use crate::policy::capture::{Cap, Rule, Rules, Share, Tail};

/// Limit: rules are tried one after the other for every exchange.
const RULES_MAX: usize = 256;
/// Limit: indexed headers are copied into every record.
const HEADERS_MAX: usize = 16;

pub(super) fn capture(
    written: &file::Capture,
    retention: &Retention,
    raises: Vec<(Arc<str>, Level)>,
    context: &mut Context<'_, '_>,
) -> Capture {
    let level = level(written.level, context);
    let zero = retention.bodies_age.is_some_and(|age| age.is_zero());
    let gone = retention.records_age.is_some_and(|age| age.is_zero());
    let cap = match (gone, zero) {
        (true, _) => Level::Off,
        (false, true) => Level::Meta,
        (false, false) => Level::Full,
    };
    if written.rules.len() > RULES_MAX {
        let message = format!("more than {RULES_MAX} rules");
        context.error(&["capture", "rules"], &message, "join some of them by globs");
    }
    let rules = rules(&written.rules, context);
    let has = |word| written.tail.contains(&word);
    let tail = Tail {
        errors: has(file::Tail::Error),
        slow: has(file::Tail::Slow).then_some(written.slow_after.0),
        retried: has(file::Tail::Retried),
        cut: has(file::Tail::Cut),
        empty: has(file::Tail::Empty),
    };
    let base = Share { level, sample: share(written.sample, &["capture", "sample"], context) };
    let indexed = headers(&written.headers_indexed, context);
    let rules = Rules { base, rules, tail, raises, indexed, cap: Cap(cap) };
    Capture {
        level,
        rules: Arc::new(rules),
        search: written.search,
        search_bytes_max: written.search_size.0,
        memory_bytes_max: usize::try_from(written.memory.0).unwrap_or(usize::MAX),
    }
}

/// A number from 0 to 1.
fn share(written: f64, at: &[&str], context: &mut Context<'_, '_>) -> f64 {
    if !(0.0..=1.0).contains(&written) {
        context.error(at, "no share", "write a number from 0 to 1");
    }
    written
}

fn rules(written: &[file::CaptureRule], context: &mut Context<'_, '_>) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(written.len());
    for (n, rule) in written.iter().enumerate() {
        let n = n.to_string();
        let at = ["capture", "rules", &n, "sample"];
        let sample = share(rule.sample.unwrap_or(1.0), &at, context);
        let globs = [&rule.key, &rule.provider, &rule.model, &rule.path];
        let [key, provider, model, path] = globs.map(|text| text.as_deref().map(Glob::new));
        if globs.iter().all(|text| text.is_none()) {
            let remedy = "name a key, provider, model or path, or write capture.level";
            context.error(&["capture", "rules", &n], "a rule that fits everything", remedy);
        }
        rules.push(Rule { key, provider, model, path, share: Share { level: rule.level, sample } });
    }
    rules
}

/// The file's level, unless a flag says otherwise.
fn level(written: Level, context: &mut Context<'_, '_>) -> Level {
    let Some(word) = &context.inputs.overrides.capture_level else { return written };
    let level = Level::ALL.into_iter().find(|level| level.label() == word);
    if level.is_none() {
        let remedy = "write one of off, meta, headers, full";
        context.flag_error("--capture", "not a capture level", remedy);
    }
    level.unwrap_or(written)
}

fn headers(written: &[String], context: &mut Context<'_, '_>) -> Arc<[HeaderName]> {
    if written.len() > HEADERS_MAX {
        let message = format!("more than {HEADERS_MAX} headers");
        context.error(&["capture", "headers_indexed"], &message, "index fewer of them");
    }
    let mut names = Vec::with_capacity(written.len());
    for (n, name) in written.iter().enumerate() {
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            names.push(name);
        } else {
            let at = ["capture", "headers_indexed", &n.to_string()];
            context.error(&at, "no header name", "write a name such as x-team");
        }
    }
    names.into()
}

pub(super) fn retention(written: &file::Retention) -> Retention {
    let bodies = written.bodies.as_ref();
    Retention {
        bodies_age: bodies.and_then(|bodies| bodies.age).map(|age| age.0),
        bodies_bytes_max: bodies.and_then(|bodies| bodies.size).map(|size| size.0),
        require_export: bodies.and_then(|bodies| bodies.require_export).unwrap_or(false),
        records_age: written.records.as_ref().and_then(|records| records.age).map(|age| age.0),
    }
}
