//! How like two answers to the same request are. Pure: two answers in, shares out; nothing is sent and nothing is kept.
//!
//! ```text
//!  baseline's answer ─┬─► text: exact, normalised, length, refusal
//!                     ├─► JSON by path                                 ─► Likeness ─► difference, for sorting
//!  target's answer  ──┼─► calls of tools: names, canonical arguments, order
//!  request ───────────┴─► schema that it asked for
//! ```
//!
//! Models differ in words when nothing is wrong. For agents the calls are what counts, for extraction the JSON; the text is
//! looked at where there is neither.

mod asked;
mod calls;
mod json;
pub mod judge;
pub mod schema;
mod text;

use std::borrow::Cow;

pub use json::{Pattern, PatternError};
use serde_json::Value;

use crate::outcome::Answer;
use crate::row::Likeness;

/// What is let pass when answers are compared.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Paths of JSON answers and of tools' arguments that may differ.
    pub ignore: Vec<Pattern>,
    /// Numbers of JSON answers agree when they differ by at most this share of the larger one.
    pub tolerance: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { ignore: Vec::new(), tolerance: 1e-9 }
    }
}

/// Compares a target's answer with the baseline's. `request` is the request's body, for the schemas that it asked for.
pub fn likeness(base: &Answer, new: &Answer, request: Option<&Value>, rules: &Rules) -> Likeness {
    let calls = calls::Agreement::of(&base.calls, &new.calls, rules);
    let json = json_share(&base.text, &new.text, rules);
    let is_same_text = || text::normalised(&base.text) == text::normalised(&new.text);
    let refused = text::is_refusal(new);
    Likeness {
        exact: base.text == new.text && base.calls == new.calls,
        normalised: calls.all_agree() && (json == Some(1.0) || is_same_text()),
        json,
        schema_valid: request.and_then(|request| asked::keeps_to(request, new)),
        calls_precision: calls.precision(),
        calls_recall: calls.recall(),
        calls_f1: calls.f1(),
        names_f1: calls.names_f1(),
        calls_in_order: calls.in_order(),
        same_finish: base.finish == new.finish,
        length_ratio: length_ratio(&base.text, &new.text),
        refused,
        refusal_differs: refused != text::is_refusal(base),
        judged: None,
    }
}

/// `None`: neither is JSON. Where one is and the other is not, nothing agrees.
fn json_share(base: &str, new: &str, rules: &Rules) -> Option<f64> {
    match (json::read(base), json::read(new)) {
        (None, None) => None,
        (Some(base), Some(new)) => Some(json::share(&base, &new, rules)),
        (Some(_), None) | (None, Some(_)) => Some(0.0),
    }
}

fn length_ratio(base: &str, new: &str) -> Option<f64> {
    let length = |text: &str| text.chars().count() as f64;
    (!base.is_empty()).then(|| length(new) / length(base))
}

/// How much an answer differs for the worse, from 0, alike, to 1, and in which respects, the gravest first. For sorting: the
/// weights say what one would want to look at first, not how much worse an answer is.
pub fn difference(likeness: &Likeness) -> (f64, String) {
    let mut parts = parts(likeness);
    parts.retain(|(weight, _)| *weight > 0.0);
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    // As chances add up: never above 1, and never less for one difference more.
    let alike: f64 = parts.iter().map(|(weight, _)| 1.0 - weight).product();
    let why: Vec<&str> = parts.iter().map(|(_, why)| why.as_ref()).collect();
    (1.0 - alike, why.join(", "))
}

fn parts(likeness: &Likeness) -> Vec<(f64, Cow<'static, str>)> {
    let missing = |share: Option<f64>| 1.0 - share.unwrap_or(1.0);
    let when = |is: bool, weight: f64| if is { weight } else { 0.0 };
    let names = missing(likeness.names_f1);
    let arguments = missing(likeness.calls_f1) - names;
    let length = likeness.length_ratio.map_or(0.0, |ratio| 1.0 - ratio.min(ratio.recip()));
    // Where there is JSON or a call, its agreement says more than the words about it.
    let is_prose = likeness.json.is_none() && likeness.names_f1.is_none();
    let differs = is_prose && !likeness.normalised;
    let is_same_set = likeness.calls_f1 == Some(1.0);
    vec![
        (when(likeness.schema_valid == Some(false), 0.95), "breaks the schema".into()),
        (when(likeness.refusal_differs, 0.9), refusal(likeness).into()),
        (0.9 * names, "calls other tools".into()),
        (0.8 * arguments, "calls with other arguments".into()),
        (0.8 * missing(likeness.json), json_words(likeness)),
        (when(likeness.judged == Some(-1), 0.7), "judged worse".into()),
        (when(!likeness.same_finish, 0.3), "ends for another reason".into()),
        (
            when(is_same_set && likeness.calls_in_order == Some(false), 0.2),
            "calls in another order".into(),
        ),
        (when(differs, 0.1), "other words".into()),
        (when(differs, 0.4 * length), length_words(likeness)),
    ]
}

fn refusal(likeness: &Likeness) -> &'static str {
    if likeness.refused { "refuses" } else { "answers what the baseline refuses" }
}

fn json_words(likeness: &Likeness) -> Cow<'static, str> {
    let share = likeness.json.unwrap_or_default();
    format!("JSON agrees by {:.0} %", 100.0 * share).into()
}

fn length_words(likeness: &Likeness) -> Cow<'static, str> {
    format!("{:.2} times as long", likeness.length_ratio.unwrap_or_default()).into()
}

#[cfg(test)]
mod tests;
