//! A diagnosis as an expert's note: the first line says it all, what follows proves it.

use std::fmt::Write as _;

use crate::report::diagnose::Diagnosis;
use crate::report::diagnose::case::Finding;
use crate::report::diagnose::class::Place;
use crate::report::diagnose::group::Group;
use crate::report::ink::{self, Ink, Tone};
use crate::store::stored::Listed;

/// Columns of the names of evidence.
const NAME: usize = 16;
/// Limit: moments shown; the first and the last ones are.
const MOMENTS_MAX: usize = 24;

/// The note on one exchange.
pub fn one(diagnosis: &Diagnosis, row: &Listed, ink: Ink) -> String {
    let mut out = String::new();
    let tone = if diagnosis.finding.place == Place::Nowhere { Tone::Good } else { Tone::Bad };
    let mut verdict = String::new();
    ink::wrapped(&mut verdict, "", &sentence(&ink::line(&diagnosis.verdict, 600)));
    for line in verdict.lines() {
        out.push_str(&ink.paint(tone, line));
        out.push('\n');
    }
    out.push('\n');
    ink::wrapped(&mut out, "  ", &standing(&diagnosis.finding));
    ink::wrapped(&mut out, "  ", &ink::line(&about(row), 400));
    evidence(&mut out, &diagnosis.finding, ink);
    attempts(&mut out, diagnosis, ink);
    timeline(&mut out, diagnosis, ink);
    also(&mut out, diagnosis, ink);
    let provider = row.provider.as_deref().unwrap_or("the gateway");
    if diagnosis.finding.place != Place::Nowhere {
        ink.heading(&mut out, "Similar");
        for line in diagnosis.similar.lines(provider) {
            ink::wrapped(&mut out, "  ", &ink::line(&line, 300));
        }
    }
    advice(&mut out, &diagnosis.finding, ink);
    out
}

/// The groups of a query.
pub fn many(groups: &[Group], totals: (u64, u64), ink: Ink) -> String {
    let (total, fine) = totals;
    let mut out = String::new();
    if groups.is_empty() {
        let _ = writeln!(out, "{}", ink.paint(Tone::Good, &nothing_found(total)));
        return out;
    }
    let failed = total - fine;
    let most = groups.first().map(|group| named(group)).unwrap_or_default();
    let summary = format!(
        "{} in {}; most of all {most}.",
        ink::counted(failed, "finding"),
        ink::counted(groups.len() as u64, "group")
    );
    let _ = writeln!(out, "{}\n", ink.paint(Tone::Bad, &summary));
    for group in groups {
        let share = group.count * 100 / failed.max(1);
        let first = ink::stamp(group.first_us);
        let last = ink::stamp(group.last_us);
        let _ = writeln!(
            out,
            "{:>6} {share:>3} %  {}",
            group.count,
            ink.paint(Tone::Strong, &named(group))
        );
        let models = group.models.iter().map(|(model, count)| format!("{model} {count}"));
        let models = ink::line(&models.collect::<Vec<_>>().join(", "), 200);
        let _ = writeln!(out, "               {models}; {first} to {last}");
    }
    for group in groups {
        let finding = &group.example.finding;
        out.push('\n');
        let heading = format!("{} × {}", ink::count(group.count), named(group));
        let _ = writeln!(out, "{}", ink.paint(Tone::Strong, &heading));
        ink::wrapped(&mut out, "  ", &sentence(&ink::line(&finding.says, 600)));
        ink::wrapped(&mut out, "  ", &standing(finding));
        ink::wrapped(&mut out, "  ", &format!("for example {}", group.example.id));
        for evidence in finding.evidence.iter().take(4) {
            ink::wrapped(
                &mut out,
                &format!("    {:<NAME$}", evidence.what),
                &ink::line(&evidence.seen, 300),
            );
        }
        for advice in finding.advice.iter().take(2) {
            ink::wrapped(&mut out, "  → ", advice);
        }
    }
    out
}

fn nothing_found(total: u64) -> String {
    match total {
        0 => "No exchange matches: nothing failed.".to_owned(),
        _ => format!("{} looked at: nothing is wrong.", ink::counted(total, "exchange")),
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
    let mut parts = vec![row.id.clone(), ink::stamp(row.started_at_us)];
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
        ink::duration(row.duration_us.unsigned_abs())
    ));
    if let Some(session) = &row.session_id {
        parts.push(format!("session {session}"));
    }
    parts.join(" · ")
}

fn evidence(out: &mut String, finding: &Finding, ink: Ink) {
    if finding.evidence.is_empty() {
        return;
    }
    ink.heading(out, "Evidence");
    for evidence in &finding.evidence {
        ink::wrapped(out, &format!("  {:<NAME$}", evidence.what), &evidence.seen);
    }
}

fn attempts(out: &mut String, diagnosis: &Diagnosis, ink: Ink) {
    if diagnosis.attempts.is_empty() {
        return;
    }
    ink.heading(out, "Attempts");
    for line in &diagnosis.attempts {
        ink::wrapped(out, "  ", line);
    }
}

fn timeline(out: &mut String, diagnosis: &Diagnosis, ink: Ink) {
    ink.heading(out, "Timeline");
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
        let when = ink::duration(moment.at_us);
        ink::wrapped(out, &format!("  {when:>10}  "), &ink::line(&moment.says, 300));
    }
}

fn also(out: &mut String, diagnosis: &Diagnosis, ink: Ink) {
    if diagnosis.also.is_empty() {
        return;
    }
    ink.heading(out, "Also");
    for finding in &diagnosis.also {
        let label = ink.paint(Tone::Warn, finding.class.label());
        ink::wrapped(out, "  ", &format!("{label}: {}", ink::line(&finding.says, 400)));
    }
}

fn advice(out: &mut String, finding: &Finding, ink: Ink) {
    if !finding.advice.is_empty() {
        ink.heading(out, "What to do");
        for (at, advice) in finding.advice.iter().enumerate() {
            ink::wrapped(out, &format!("  {}. ", at + 1), advice);
        }
    }
    if !finding.docs.is_empty() {
        let _ = writeln!(
            out,
            "\n{}",
            ink.paint(Tone::Faint, &format!("Read on: {}", finding.docs.join(", ")))
        );
    }
}
