//! The gates of a run as JUnit XML, which every build server reads: a test case a condition.

use crate::faces::gate::{Finding, Outcome};
use crate::faces::put;
use crate::faces::words::{self, escaped};
use crate::report::Report;

/// Draws the findings; ends with a line end. A condition that nobody can tell of is an error, not a pass.
pub fn draw(report: &Report, findings: &[Finding]) -> String {
    let counted = |outcome: Outcome| findings.iter().filter(|one| one.outcome == outcome).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\"",
        findings.len(),
        counted(Outcome::Fail),
        counted(Outcome::CannotTell),
        report.duration_us as f64 / 1e6
    );
    let stamp = words::instant(report.started_at_us).replacen(' ', "T", 1).replace(" UTC", "");
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    put!(out, "<testsuites name=\"pinhole replay\" {counts}>\n");
    put!(
        out,
        "  <testsuite name=\"replay {}\" {counts} timestamp=\"{stamp}\">\n",
        attribute(&report.run_id)
    );
    for finding in findings {
        case(&mut out, report, finding);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn case(out: &mut String, report: &Report, finding: &Finding) {
    put!(
        out,
        "    <testcase classname=\"replay.{}\" name=\"not ({})\">\n",
        attribute(&report.baseline),
        attribute(&finding.condition)
    );
    let sentences = finding.sentences.join("; ");
    let said = escaped(&sentences);
    match finding.outcome {
        Outcome::Pass => put!(out, "      <system-out>{said}</system-out>\n"),
        Outcome::Fail => put!(
            out,
            "      <failure type=\"gate\" message=\"{}\">{said}</failure>\n",
            attribute(&sentences)
        ),
        Outcome::CannotTell => put!(
            out,
            "      <error type=\"cannot tell\" message=\"{}\">{said}</error>\n",
            attribute(&sentences)
        ),
    }
    out.push_str("    </testcase>\n");
}

/// On one line: XML turns line ends within attributes into spaces anyway.
fn attribute(text: &str) -> String {
    escaped(&words::line(text))
}
