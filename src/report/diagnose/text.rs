//! A diagnosis as an expert's note: the first line says it all, what follows proves it.

use std::fmt::Write as _;

use crate::report::diagnose::Diagnosis;
use crate::report::diagnose::case::Finding;
use crate::report::diagnose::class::Place;
use crate::report::diagnose::group::Group;
use crate::report::look::{Look, Tone};
use crate::report::{prose, words};
use crate::store::stored::Listed;

/// Columns of the names of evidence.
const NAME: usize = 16;
/// Limit: moments shown; the first and the last ones are.
const MOMENTS_MAX: usize = 24;

/// The note on one exchange.
pub fn one(diagnosis: &Diagnosis, row: &Listed, look: Look) -> String {
    let mut out = String::new();
    let tone = if diagnosis.finding.place == Place::Nowhere { Tone::Good } else { Tone::Bad };
    prose::verdict(&mut out, look, tone, &sentence(&prose::line(&diagnosis.verdict, 600)));
    out.push('\n');
    prose::wrapped(&mut out, look, "  ", &standing(&diagnosis.finding));
    prose::wrapped(&mut out, look, "  ", &prose::line(&about(row), 400));
    evidence(&mut out, &diagnosis.finding, look);
    attempts(&mut out, diagnosis, look);
    timeline(&mut out, diagnosis, look);
    also(&mut out, diagnosis, look);
    let provider = row.provider.as_deref().unwrap_or("the gateway");
    if diagnosis.finding.place != Place::Nowhere {
        prose::heading(&mut out, look, "Similar");
        for line in diagnosis.similar.lines(provider) {
            prose::wrapped(&mut out, look, "  ", &prose::line(&line, 300));
        }
    }
    advice(&mut out, &diagnosis.finding, look);
    out
}

/// The groups of a query.
pub fn many(groups: &[Group], totals: (u64, u64), look: Look) -> String {
    let (total, fine) = totals;
    let mut out = String::new();
    if groups.is_empty() {
        let _ = writeln!(out, "{}", look.paint(Tone::Good, &nothing_found(total)));
        return out;
    }
    let failed = total - fine;
    let most = groups.first().map(named).unwrap_or_default();
    let summary = format!(
        "{} in {}; most of all {most}.",
        prose::counted(failed, "finding"),
        prose::counted(groups.len() as u64, "group")
    );
    let _ = writeln!(out, "{}\n", look.paint(Tone::Bad, &summary));
    for group in groups {
        let share = group.count * 100 / failed.max(1);
        let first = words::moment(group.first_us);
        let last = words::moment(group.last_us);
        let _ = writeln!(
            out,
            "{:>6} {share:>3} %  {}",
            group.count,
            look.paint(Tone::Strong, &named(group))
        );
        let models = group.models.iter().map(|(model, count)| format!("{model} {count}"));
        let models = prose::line(&models.collect::<Vec<_>>().join(", "), 200);
        let _ = writeln!(out, "               {models}; {first} to {last}");
    }
    for group in groups {
        let finding = &group.example.finding;
        out.push('\n');
        let heading = format!("{} × {}", prose::number(group.count), named(group));
        let _ = writeln!(out, "{}", look.paint(Tone::Strong, &heading));
        prose::wrapped(&mut out, look, "  ", &sentence(&prose::line(&finding.says, 600)));
        prose::wrapped(&mut out, look, "  ", &standing(finding));
        prose::wrapped(&mut out, look, "  ", &format!("for example {}", group.example.id));
        for evidence in finding.evidence.iter().take(4) {
            prose::wrapped(
                &mut out,
                look,
                &format!("    {:<NAME$}", evidence.what),
                &prose::line(&evidence.seen, 300),
            );
        }
        for advice in finding.advice.iter().take(2) {
            prose::wrapped(&mut out, look, "  → ", advice);
        }
    }
    out
}

fn nothing_found(total: u64) -> String {
    match total {
        0 => "No exchange matches: nothing failed.".to_owned(),
        _ => format!("{} looked at: nothing is wrong.", prose::counted(total, "exchange")),
    }
}

fn named(group: &Group) -> String {
    let detail = group.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let provider =
        group.provider.as_deref().map(|provider| format!(" at {provider}")).unwrap_or_default();
    format!("{}{detail}{provider}", group.class.label())
}

/// With the full stop that the structure leaves out.
fn sentence(text: &str) -> String {
    let ended = text.ends_with(['.', '?', '!', '…']);
    if ended { text.to_owned() } else { format!("{text}.") }
}

fn standing(finding: &Finding) -> String {
    let detail = finding.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    if finding.place == Place::Nowhere {
        return finding.class.label().to_owned();
    }
    format!(
        "{}{detail} · where: {} · who can act: {} · {}",
        finding.class.label(),
        finding.place.label(),
        finding.act_at.label(),
        finding.confidence.label()
    )
}

fn about(row: &Listed) -> String {
    let mut parts = vec![row.id.clone(), words::moment(row.started_at_us)];
    parts.push(format!("{} {}", row.dialect, row.operation));
    let asked = row.model_requested.as_deref().unwrap_or("no model");
    parts.push(match (&row.model, &row.provider) {
        (Some(model), Some(provider)) if model == asked => format!("{asked} at {provider}"),
        (Some(model), Some(provider)) => format!("{asked} → {model} at {provider}"),
        (_, Some(provider)) => format!("{asked} at {provider}"),
        _ => asked.to_owned(),
    });
    let status = row.status.map(|status| format!("{status} ")).unwrap_or_default();
    parts.push(format!(
        "{status}{} in {}",
        row.outcome,
        prose::time(row.duration_us.unsigned_abs())
    ));
    if let Some(session) = &row.session_id {
        parts.push(format!("session {session}"));
    }
    parts.join(" · ")
}

fn evidence(out: &mut String, finding: &Finding, look: Look) {
    if finding.evidence.is_empty() {
        return;
    }
    prose::heading(out, look, "Evidence");
    for evidence in &finding.evidence {
        prose::wrapped(out, look, &format!("  {:<NAME$}", evidence.what), &evidence.seen);
    }
}

fn attempts(out: &mut String, diagnosis: &Diagnosis, look: Look) {
    if diagnosis.attempts.is_empty() {
        return;
    }
    prose::heading(out, look, "Attempts");
    for line in &diagnosis.attempts {
        prose::wrapped(out, look, "  ", line);
    }
}

fn timeline(out: &mut String, diagnosis: &Diagnosis, look: Look) {
    prose::heading(out, look, "Timeline");
    let moments = &diagnosis.timeline;
    let hidden = moments.len().saturating_sub(MOMENTS_MAX);
    let half = MOMENTS_MAX / 2;
    for (at, moment) in moments.iter().enumerate() {
        if hidden > 0 && (half..half + hidden).contains(&at) {
            if at == half {
                let _ = writeln!(out, "  {:>10}  {hidden} more", "…");
            }
            continue;
        }
        let when = prose::time(moment.at_us);
        prose::wrapped(out, look, &format!("  {when:>10}  "), &prose::line(&moment.says, 300));
    }
}

fn also(out: &mut String, diagnosis: &Diagnosis, look: Look) {
    if diagnosis.also.is_empty() {
        return;
    }
    prose::heading(out, look, "Also");
    for finding in &diagnosis.also {
        let label = look.paint(Tone::Odd, finding.class.label());
        prose::wrapped(out, look, "  ", &format!("{label}: {}", prose::line(&finding.says, 400)));
    }
}

fn advice(out: &mut String, finding: &Finding, look: Look) {
    if !finding.advice.is_empty() {
        prose::heading(out, look, "What to do");
        for (at, advice) in finding.advice.iter().enumerate() {
            prose::wrapped(out, look, &format!("  {}. ", at + 1), advice);
        }
    }
    if !finding.docs.is_empty() {
        let _ = writeln!(
            out,
            "\n{}",
            look.paint(Tone::Dim, &format!("Read on: {}", finding.docs.join(", ")))
        );
    }
}
