//! How much of the same there was: in the day before, at the same provider around the time, and what the client did next.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::diagnose::case::Case;
use crate::report::prose;
use crate::store::stored::Listed;

/// Hours that are looked back.
pub const HOURS: usize = 24;
const HOUR_US: i64 = 3_600_000_000;

/// The failures like this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Similar {
    /// Of the same provider and kind in the day before, this one not counted.
    pub same: u64,
    /// Of those, per model, most first.
    pub by_model: Vec<(String, u64)>,
    /// Of those, per hour, the last hour last.
    pub by_hour: Vec<u32>,
    /// All failures at this provider in the day before.
    pub at_provider: u64,
    /// The provider's exchanges around the time, and how many of them failed.
    pub around: Around,
    /// What the client did next, where its session shows it.
    pub next: Option<Next>,
}

/// Other traffic of the provider around the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Around {
    pub calls: u64,
    pub failed: u64,
}

/// The next try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    pub id: String,
    pub after_us: u64,
    pub outcome: String,
    pub status: Option<u16>,
    /// The body has the same length: most likely the same request.
    pub same_request: bool,
}

pub(super) fn of(case: &Case<'_>) -> Similar {
    let row = case.row;
    let mut similar = Similar { by_hour: vec![0; HOURS], ..Similar::default() };
    let mut models: BTreeMap<&str, u64> = BTreeMap::new();
    for other in &case.context.failures {
        if other.id == row.id || other.provider != row.provider {
            continue;
        }
        similar.at_provider += 1;
        if !is_alike(row, other) {
            continue;
        }
        similar.same += 1;
        let model = other.model.as_deref().or(other.model_requested.as_deref()).unwrap_or("-");
        *models.entry(model).or_default() += 1;
        let age = row.started_at_us.saturating_sub(other.started_at_us).max(0) / HOUR_US;
        let hour = usize::try_from(age).ok().and_then(|age| HOURS.checked_sub(age + 1));
        if let Some(count) = hour.and_then(|hour| similar.by_hour.get_mut(hour)) {
            *count += 1;
        }
    }
    similar.by_model = models.into_iter().map(|(model, count)| (model.to_owned(), count)).collect();
    similar.by_model.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    for other in case.context.traffic.iter().filter(|other| other.id != row.id) {
        if other.provider == row.provider {
            similar.around.calls += 1;
            similar.around.failed += u64::from(other.outcome != "complete");
        }
    }
    similar.next = next(row, &case.context.session);
    similar
}

/// The same kind of end: by code, else by outcome and reason.
fn is_alike(one: &Listed, other: &Listed) -> bool {
    one.error_kind == other.error_kind
        && one.outcome == other.outcome
        && (one.error_kind.is_some() || one.finish_reason == other.finish_reason)
        && one.upstream_status == other.upstream_status
}

fn next(row: &Listed, session: &[Listed]) -> Option<Next> {
    if row.outcome == "complete" || row.session_id.is_none() {
        return None;
    }
    let ended = row.started_at_us.saturating_add(row.duration_us);
    let later = session.iter().filter(|other| {
        other.id != row.id
            && other.session_id == row.session_id
            && other.started_at_us >= ended
            && other.operation == row.operation
    });
    let next = later.min_by_key(|other| other.started_at_us)?;
    Some(Next {
        id: next.id.clone(),
        after_us: next.started_at_us.saturating_sub(ended).unsigned_abs(),
        outcome: next.outcome.clone(),
        status: next.status,
        same_request: next.request_bytes == row.request_bytes,
    })
}

impl Similar {
    /// The lines of the report; none where nothing is known.
    pub fn lines(&self, provider: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.same > 0 {
            let most =
                self.by_model.iter().take(3).map(|(model, count)| format!("{count} {model}"));
            let most = most.collect::<Vec<_>>().join(", ");
            let last_hour = self.by_hour.last().copied().unwrap_or(0);
            lines.push(format!(
                "{} like it at {provider} in the day before ({most}), {last_hour} of them in the last hour",
                prose::number(self.same)
            ));
        } else {
            lines.push(format!("none like it at {provider} in the day before"));
        }
        if self.at_provider > self.same {
            lines.push(format!(
                "{} of other kinds at {provider} in that day",
                prose::counted(self.at_provider - self.same, "failure")
            ));
        }
        if self.around.calls > 0 {
            lines.push(format!(
                "around the time: {}, {} of them failed",
                prose::counted(self.around.calls, "other call"),
                prose::number(self.around.failed)
            ));
        }
        if let Some(next) = &self.next {
            let what =
                if next.same_request { "the client asked again" } else { "the session went on" };
            let status = next.status.map(|status| format!(" {status}")).unwrap_or_default();
            lines.push(format!(
                "{what} {} later: {}{status} ({})",
                prose::time(next.after_us),
                next.outcome,
                next.id
            ));
        }
        lines
    }
}
