//! What failed, where, how that is known, and what to do: of one exchange, or of many in groups. Pure: what is stored goes
//! in, findings come out.
//!
//! ```text
//!  Stored ─┐            ┌─ said:    the provider answered no       ┐
//!          ├─► Case ─► ─┼─ wire:    no answer, or half of one      ├─► findings, most telling first ─► Diagnosis ─► text
//!  Context ┘            ├─ refused: the gateway said no            │
//!                       └─ odd:     the answer came and is odd     ┘
//! ```

mod advice;
mod answered;
pub mod case;
pub mod class;
pub mod group;
mod limit;
mod limits;
mod meaning;
mod odd;
mod pace;
mod phrases;
mod prefix;
mod refused;
mod said;
pub mod similar;
pub mod text;
pub mod timeline;
mod tools;
mod wire;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::store::stored::Stored;
use case::{Case, Context, Finding};
use class::{Class, Confidence, Place};
use similar::Similar;
use timeline::Moment;

/// Limit: findings besides the first.
const ALSO_MAX: usize = 8;

/// All there is to say of one exchange.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    pub id: String,
    /// The sentence that says it all.
    pub verdict: String,
    /// What matters most.
    #[serde(flatten)]
    pub finding: Finding,
    /// What else is odd.
    pub also: Vec<Finding>,
    /// One line each, where there were several.
    pub attempts: Vec<String>,
    pub timeline: Vec<Moment>,
    pub similar: Similar,
}

/// Looks at one exchange.
pub fn diagnose(stored: &Stored, context: &Context) -> Diagnosis {
    let case = Case::new(stored, context);
    let mut findings = Vec::new();
    // In this order: what the gateway did, what broke, what the provider said.
    let failed = refused::find(&case).or_else(|| wire::find(&case)).or_else(|| said::find(&case));
    findings.extend(failed);
    findings.extend(odd::find(&case));
    findings.extend(prefix::find(&case));
    if findings.is_empty() && stored.row.outcome != "complete" {
        findings.push(unknown(&case));
    }
    findings.extend(earlier(&case));
    let mut findings = findings.into_iter();
    let finding = findings.next().unwrap_or_else(|| nothing(&case));
    let finding = without_bodies(&case, finding);
    let mut also: Vec<Finding> = findings.filter(|other| other.class != finding.class).collect();
    also.truncate(ALSO_MAX);
    Diagnosis {
        id: stored.row.id.clone(),
        verdict: finding.says.clone(),
        finding,
        also,
        attempts: timeline::attempts(&case),
        timeline: timeline::of(&case),
        similar: similar::of(&case),
    }
}

/// What made the gateway try again.
fn earlier(case: &Case<'_>) -> Vec<Finding> {
    let before = case.stored.attempts.len().saturating_sub(1);
    let find = |n: usize| {
        let found = said::find_in(case, n).or_else(|| {
            let attempt = case.stored.attempts.get(n)?;
            let (class, place) = wire::find_in(attempt)?;
            let says = format!("provider {}: {}", attempt.provider, class.meaning());
            Some(Finding::new(class, place, Confidence::Certain, says))
        });
        found.map(|mut finding| {
            finding.says = format!("Attempt {}: {}", n + 1, finding.says);
            finding
        })
    };
    (0..before).filter_map(find).collect()
}

fn nothing(case: &Case<'_>) -> Finding {
    let tried = case.stored.attempts.len();
    let says = if case.gone().is_some() {
        "The record tells of nothing wrong; what was said cannot be looked at any more".to_owned()
    } else if tried > 1 {
        format!("Nothing is wrong with the answer; it took {tried} attempts")
    } else {
        "Nothing is wrong: the exchange went well".to_owned()
    };
    let sure = if case.gone().is_some() { Confidence::Likely } else { Confidence::Certain };
    Finding::new(Class::Nothing, Place::Nowhere, sure, says)
}

/// A diagnosis from the record alone says that it is one.
fn without_bodies(case: &Case<'_>, finding: Finding) -> Finding {
    match case.gone() {
        Some(why) => {
            finding.seen("bodies", format!("they {why}: this is judged by the record alone"))
        }
        None => finding,
    }
}

fn unknown(case: &Case<'_>) -> Finding {
    let finding = Finding::new(
        Class::Unknown,
        Place::Provider,
        Confidence::Possible,
        format!("It ended as {}, and what is kept does not say why", case.row.outcome),
    )
    .seen_perhaps("error", case.row.error_kind.clone())
    .seen_perhaps("gateway's words", case.row.error_detail.clone());
    case.explain_what_is_missing(finding)
}
