//! The report for programs: the report itself. `docs/replay-report.schema.json` is its schema.

use crate::faces::view;
use crate::report::Report;

/// The report in JSON, indented; ends with a line end. What is no number is left out, so that it can be read again.
pub fn draw(report: &Report) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&view::tame(report))?;
    text.push('\n');
    Ok(text)
}
