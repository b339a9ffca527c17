//! A report as the faces read it: the baseline apart from the rest, metrics in the order of how bad they look, and nothing in it
//! that is not a number.

use std::collections::BTreeMap;

use crate::faces::words;
use crate::measure;
use crate::plan::Step;
use crate::report::{Answers, Comparison, Report, Summary, Target, Verdict};
use crate::row::{CAPTURED, Row};

/// The columns of a report.
pub(crate) struct Columns<'a> {
    pub(crate) baseline: Option<&'a Target>,
    /// All others, in the report's order.
    pub(crate) others: Vec<&'a Target>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let baseline = report.baseline_place();
        let others = report.targets.iter().enumerate();
        Self {
            baseline: baseline.and_then(|place| report.targets.get(place)),
            others: others
                .filter(|(place, _)| Some(*place) != baseline)
                .map(|(_, target)| target)
                .collect(),
        }
    }

    /// The baseline first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Target> + '_ {
        self.baseline.into_iter().chain(self.others.iter().copied())
    }
}

/// Which column a row belongs to: its place in [`Columns::all`].
pub(crate) struct Places {
    captured: Option<usize>,
    sent: Vec<usize>,
}

impl Places {
    pub(crate) fn of(report: &Report) -> Self {
        let columns = Columns::of(report);
        let place_of =
            |target: &Target| columns.all().position(|other| std::ptr::eq(other, target));
        let captured = report.targets.iter().find(|target| target.target == CAPTURED);
        Self {
            captured: captured.and_then(place_of),
            sent: report.sent().into_iter().filter_map(place_of).collect(),
        }
    }

    pub(crate) fn place(&self, row: &Row) -> Option<usize> {
        match row.target {
            None => self.captured,
            Some(target) => self.sent.get(usize::from(target)).copied(),
        }
    }
}

/// How much worse than the baseline, as a logarithm: above 0 is worse.
pub(crate) fn severity(comparison: &Comparison) -> f64 {
    let log = comparison.ratio.ln();
    let log = if words::more_is_better(&comparison.metric) { -log } else { log };
    if log.is_finite() { log } else { 0.0 }
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Slower => 0,
        Verdict::Undecided => 1,
        Verdict::Same => 2,
        Verdict::Faster => 3,
    }
}

/// What is said of a run, or what can be looked up: `service_ttft` beside `ttft` says nearly the same twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The published metrics, and those that this version does not know.
    Main,
    Details,
}

impl Part {
    fn has(self, metric: &str) -> bool {
        let is_detail = measure::metric(metric).is_some_and(|metric| !metric.published);
        is_detail == (self == Self::Details)
    }
}

/// A target's comparisons, the biggest regressions first.
pub(crate) fn by_regression(target: &Target, part: Part) -> Vec<&Comparison> {
    let mut all: Vec<&Comparison> =
        target.comparisons.iter().filter(|comparison| part.has(&comparison.metric)).collect();
    all.sort_by(|one, other| {
        rank(one.verdict)
            .cmp(&rank(other.verdict))
            .then(severity(other).total_cmp(&severity(one)))
            .then(one.metric.cmp(&other.metric))
    });
    all
}

/// The metrics worth a row, those with the biggest regressions of any target first; what was only measured comes last.
pub(crate) fn metrics(report: &Report, part: Part) -> Vec<&str> {
    let mut worst: BTreeMap<&str, (u8, f64)> = BTreeMap::new();
    for comparison in report.targets.iter().flat_map(|target| &target.comparisons) {
        let new = (rank(comparison.verdict), severity(comparison));
        let old = worst.entry(&comparison.metric).or_insert(new);
        if new.0 < old.0 || (new.0 == old.0 && new.1 > old.1) {
            *old = new;
        }
    }
    let mut compared: Vec<(&str, (u8, f64))> = worst.into_iter().collect();
    compared.sort_by(|(_, one), (_, other)| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)));
    let mut out: Vec<&str> = compared.into_iter().map(|(metric, _)| metric).collect();
    if out.is_empty() {
        let measured = |metric: &&str| {
            report.targets.iter().any(|target| target.metrics.contains_key(*metric))
        };
        out = words::metrics().filter(measured).collect();
    }
    out.retain(|metric| part.has(metric));
    out
}

pub(crate) fn comparison<'a>(target: &'a Target, metric: &str) -> Option<&'a Comparison> {
    target.comparisons.iter().find(|comparison| comparison.metric == metric)
}

/// Whether it is a target of the run and not a column shown beside it.
pub(crate) fn is_compared(target: &Target) -> bool {
    target.target != CAPTURED || !target.comparisons.is_empty()
}

/// Money and lengths: nobody calls a price slow, though a verdict has no other word for it.
pub(crate) fn is_amount(metric: &str) -> bool {
    matches!(words::unit_of(metric), words::Unit::Usd | words::Unit::Count)
}

fn is_sure(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Slower | Verdict::Faster)
}

/// What a table of verdicts needs beside it, where one is about money or lengths.
pub(crate) fn about_amounts(report: &Report) -> Option<&'static str> {
    report
        .targets
        .iter()
        .flat_map(|target| &target.comparisons)
        .any(|found| is_amount(&found.metric) && is_sure(found.verdict))
        .then_some("Of costs and lengths “slower” means more, “faster” less.")
}

/// One sentence a target: what it is better and worse at.
pub(crate) fn headline(target: &Target) -> String {
    let sorted = by_regression(target, Part::Main);
    let named = |wanted: Verdict, amounts: bool| {
        let names: Vec<String> = sorted
            .iter()
            .filter(|comparison| comparison.verdict == wanted)
            .filter(|comparison| is_amount(&comparison.metric) == amounts || !is_sure(wanted))
            .map(|comparison| {
                let metric = words::line(&comparison.metric);
                match wanted {
                    Verdict::Slower | Verdict::Faster => {
                        format!("{metric} ({})", words::ratio(comparison.ratio))
                    }
                    Verdict::Same | Verdict::Undecided => metric,
                }
            })
            .collect();
        let word = match wanted {
            Verdict::Slower if amounts => "more",
            Verdict::Faster if amounts => "less",
            other => words::verdict(other),
        };
        (!names.is_empty()).then(|| format!("{word} in {}", names.join(", ")))
    };
    let parts: Vec<String> = [
        (Verdict::Slower, false),
        (Verdict::Slower, true),
        (Verdict::Faster, false),
        (Verdict::Faster, true),
        (Verdict::Same, false),
        (Verdict::Undecided, false),
    ]
    .into_iter()
    .filter_map(|(verdict, amounts)| named(verdict, amounts))
    .collect();
    if parts.is_empty() { "nothing to compare".to_owned() } else { parts.join("; ") }
}

/// The shares and counts of a target's answers that are known, by the report's names.
pub(crate) fn answers(answers: &Answers) -> Vec<(&'static str, String)> {
    let share = |value: Option<f64>| value.map(words::share);
    let count = |value: u64| (value > 0).then(|| words::count(value));
    [
        ("exact", Some(words::share(answers.exact))),
        ("normalised", Some(words::share(answers.normalised))),
        ("json", share(answers.json)),
        ("schema_valid", share(answers.schema_valid)),
        ("tool_calls_precision", share(answers.tool_calls_precision)),
        ("tool_calls_recall", share(answers.tool_calls_recall)),
        ("tool_calls_f1", share(answers.tool_calls_f1)),
        ("tool_names_f1", share(answers.tool_names_f1)),
        ("tool_calls_in_order", share(answers.tool_calls_in_order)),
        ("same_finish", Some(words::share(answers.same_finish))),
        ("length_ratio", answers.length_ratio.map(words::ratio)),
        ("refusals", count(answers.refusals)),
        ("only the baseline good", count(answers.only_baseline_good)),
        ("only this one good", count(answers.only_target_good)),
        ("mcnemar_p", answers.mcnemar_p.map(|p| format!("{p:.3}"))),
        (
            "judged won/lost/neither",
            answers.judged.map(|[won, lost, neither]| format!("{won}/{lost}/{neither}")),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The heads of the table of a sweep's steps.
pub(crate) const STEP_HEADS: [&str; 9] = [
    "rate",
    "target",
    "answers",
    "errors",
    "lag p99",
    "good a second",
    "ttft p50",
    "ttft p99",
    "too much because",
];

/// A sweep's steps as [`STEP_HEADS`] name their cells.
pub(crate) fn steps(report: &Report) -> Vec<[String; 9]> {
    let ttft = |value: Option<f64>| words::optional("ttft", value);
    let cells = |step: &Step| {
        [
            format!("{}/s", step.rate_per_s),
            words::line(&step.target),
            words::count(step.n),
            words::share(step.errors),
            words::micros(step.lag_p99_us),
            format!("{:.1}", step.per_s),
            ttft(step.ttft_p50),
            ttft(step.ttft_p99),
            step.stopped.as_deref().map_or_else(String::new, words::line),
        ]
    };
    report.steps.iter().map(cells).collect()
}

/// How the run was made, in one line.
pub(crate) fn setting(report: &Report) -> String {
    let plan = &report.plan;
    let mut parts = vec![format!("{} recordings", words::count(report.recordings))];
    if report.sessions > 0 {
        parts.push(format!("{} sessions", words::count(report.sessions)));
    }
    for part in [&plan.pace, &plan.context] {
        if !part.is_empty() {
            parts.push(words::line(part));
        }
    }
    if !plan.cache.is_empty() {
        parts.push(format!("cache {}", words::line(&plan.cache)));
    }
    if plan.repeat > 1 {
        parts.push(format!("{} repeats", plan.repeat));
    }
    parts.join(", ")
}

/// What has to be known to trust the numbers, as the report says it.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    report.notes.iter().map(|note| words::harmless(note).into_owned()).collect()
}

/// The report as people read it: tame, and targets of one name told apart. Data keeps the names as they were given.
pub(crate) fn presented(report: &Report) -> Report {
    let mut report = tame(report);
    let mut order: Vec<&mut Target> =
        report.targets.iter_mut().filter(|target| target.number.is_some()).collect();
    order.sort_by_key(|target| target.number);
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for target in order {
        let count = seen.entry(target.target.clone()).or_default();
        *count += 1;
        if *count > 1 {
            // In front, where a narrow column does not cut it off.
            target.target = format!("#{count} {}", target.target);
        }
    }
    report
}

/// The report without what is no number: comparisons and distributions that could not be worked out are left out whole.
pub(crate) fn tame(report: &Report) -> Report {
    let mut report = report.clone();
    if !report.plan.margin.is_finite() {
        report.plan.margin = 0.0;
    }
    report.steps.retain_mut(tame_step);
    if let Some(judge) = &mut report.judge {
        keep_finite(&mut judge.cost_usd);
    }
    for target in &mut report.targets {
        keep_finite(&mut target.cost_usd);
        target.metrics.retain(|_, summary| tame_summary(summary));
        target.elsewhere.retain(|_, value| value.is_finite());
        target.comparisons.retain_mut(tame_comparison);
        if let Some(answers) = &mut target.answers {
            tame_answers(answers);
        }
    }
    report
}

fn keep_finite(value: &mut Option<f64>) {
    *value = value.filter(|value| value.is_finite());
}

fn tame_step(step: &mut Step) -> bool {
    for value in [&mut step.ttft_p50, &mut step.ttft_p99, &mut step.ttft_growth] {
        keep_finite(value);
    }
    [step.rate_per_s, step.errors, step.per_s].iter().all(|value| value.is_finite())
}

fn tame_summary(summary: &mut Summary) -> bool {
    for tail in [&mut summary.p90, &mut summary.p95, &mut summary.p99, &mut summary.p999] {
        keep_finite(tail);
    }
    [summary.mean, summary.p50, summary.min, summary.max].iter().all(|value| value.is_finite())
}

fn tame_comparison(comparison: &mut Comparison) -> bool {
    for value in
        [&mut comparison.mde, &mut comparison.p, &mut comparison.p_holm, &mut comparison.shift]
    {
        keep_finite(value);
    }
    comparison.shift_ci95 =
        comparison.shift_ci95.filter(|ends| ends.iter().all(|end| end.is_finite()));
    comparison.ratio.is_finite() && comparison.ci95.iter().all(|end| end.is_finite())
}

fn tame_answers(answers: &mut Answers) {
    for value in [&mut answers.exact, &mut answers.normalised, &mut answers.same_finish] {
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    for value in [
        &mut answers.json,
        &mut answers.schema_valid,
        &mut answers.tool_calls_precision,
        &mut answers.tool_calls_recall,
        &mut answers.tool_calls_f1,
        &mut answers.tool_names_f1,
        &mut answers.tool_calls_in_order,
        &mut answers.length_ratio,
        &mut answers.mcnemar_p,
    ] {
        keep_finite(value);
    }
    answers.worst.retain(|worst| worst.difference.is_finite());
}
