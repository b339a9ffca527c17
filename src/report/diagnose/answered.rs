//! An answer that says no, with what is needed to judge it.

use crate::dialect::complaint::Complaint;
use crate::report::diagnose::limits::Limits;
use crate::report::material::Answer;
use crate::report::prose;

/// Limit: characters of a field's name.
const FIELD_CHARS_MAX: usize = 120;

/// What one attempt's answer says, with all that is needed to judge it.
pub(super) struct Said<'a> {
    pub(super) status: Option<u16>,
    pub(super) kind: Option<&'a str>,
    pub(super) complaint: Option<&'a Complaint>,
    pub(super) answer: &'a Answer,
    pub(super) limits: Limits,
}

/// What the provider asks to wait: by header, else in the body.
pub(super) fn wait_s(said: &Said<'_>) -> Option<f64> {
    said.limits.retry_after_s.or_else(|| said.complaint?.retry_after_s)
}

pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{} s", (seconds * 10.0).round() / 10.0)
    } else {
        prose::time(
            std::time::Duration::try_from_secs_f64(seconds)
                .map_or(0, |wait| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// The field at fault: named, or leading the message (`messages.1.content.0: …`), or quoted in it.
pub(super) fn field(complaint: Option<&Complaint>) -> Option<String> {
    let complaint = complaint?;
    if let Some(param) = &complaint.param {
        return Some(prose::line(param, FIELD_CHARS_MAX));
    }
    let (start, _) = complaint.message.split_once(": ").unwrap_or_default();
    let is_path = !start.is_empty()
        && start.len() < FIELD_CHARS_MAX
        && start.chars().all(|c| c.is_ascii_alphanumeric() || "._[]*".contains(c))
        && start.chars().any(|c| "._[".contains(c) || c.is_ascii_lowercase());
    if is_path {
        return Some(start.to_owned());
    }
    let (_, after) = complaint.message.split_once("arameter")?;
    let quoted = after.trim_start_matches([':', ' ', 's']);
    let quote = quoted.chars().next().filter(|quote| "'`\"".contains(*quote))?;
    let name: String =
        quoted.chars().skip(1).take_while(|c| *c != quote).take(FIELD_CHARS_MAX).collect();
    Some(name).filter(|name| !name.is_empty())
}
