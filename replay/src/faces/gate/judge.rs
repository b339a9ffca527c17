//! Asks a condition of a report. Three answers: yes, no, and that a number is missing; a part that is missing decides nothing as
//! long as the other parts do.

use super::Outcome;
use super::lex::Sign;
use super::parse::{Claim, Expr, Test};
use super::quantity::{Kind, Quantity};
use crate::faces::view::{self, Columns};
use crate::faces::words;
use crate::report::{Report, Target, Verdict};
use crate::row::CAPTURED;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Unknown,
}

/// A truth and the sentences it rests on.
struct Answer {
    truth: Truth,
    because: Vec<String>,
}

impl Answer {
    fn new(truth: Truth, because: String) -> Self {
        Self { truth, because: vec![because] }
    }
}

pub(super) fn judge(condition: &Expr, report: &Report) -> (Outcome, Vec<String>) {
    if !condition.is_of_each() {
        let answer = ask(condition, report, None);
        return (outcome(answer.truth), answer.because);
    }
    let targets = judged(report);
    if targets.is_empty() {
        return (Outcome::CannotTell, vec!["the report has no target".to_owned()]);
    }
    let answers: Vec<Answer> =
        targets.into_iter().map(|target| ask(condition, report, Some(target))).collect();
    let combined = decide(answers, Truth::Yes);
    (outcome(combined.truth), combined.because)
}

fn outcome(truth: Truth) -> Outcome {
    match truth {
        Truth::Yes => Outcome::Fail,
        Truth::No => Outcome::Pass,
        Truth::Unknown => Outcome::CannotTell,
    }
}

/// The targets whose turn it is: all that are compared with something; where there are none, all that were sent to.
fn judged(report: &Report) -> Vec<&Target> {
    let columns = Columns::of(report);
    let sent = |target: &&Target| target.target != CAPTURED;
    let compared: Vec<&Target> = columns.others.iter().copied().filter(sent).collect();
    if compared.is_empty() { columns.all().filter(sent).collect() } else { compared }
}

fn ask(condition: &Expr, report: &Report, turn: Option<&Target>) -> Answer {
    match condition {
        Expr::Any(all) => {
            decide(all.iter().map(|one| ask(one, report, turn)).collect(), Truth::Yes)
        }
        Expr::All(all) => decide(all.iter().map(|one| ask(one, report, turn)).collect(), Truth::No),
        Expr::Not(one) => {
            let answer = ask(one, report, turn);
            let truth = match answer.truth {
                Truth::Yes => Truth::No,
                Truth::No => Truth::Yes,
                Truth::Unknown => Truth::Unknown,
            };
            Answer { truth, ..answer }
        }
        Expr::Test(test) => ask_test(test, report, turn),
    }
}

/// One of `decisive` decides; else one unknown leaves all unknown; else it is the other. Keeps the sentences that count.
fn decide(answers: Vec<Answer>, decisive: Truth) -> Answer {
    let has = |truth: Truth| answers.iter().any(|answer| answer.truth == truth);
    let other = if decisive == Truth::Yes { Truth::No } else { Truth::Yes };
    let truth = if has(decisive) {
        decisive
    } else if has(Truth::Unknown) {
        Truth::Unknown
    } else {
        other
    };
    let because = answers
        .into_iter()
        .filter(|answer| answer.truth == truth)
        .flat_map(|answer| answer.because)
        .collect();
    Answer { truth, because }
}

fn ask_test(test: &Test, report: &Report, turn: Option<&Target>) -> Answer {
    let target = match &test.target {
        None => turn,
        Some(name) => report.targets.iter().find(|target| target.target == *name),
    };
    let Some(target) = target else {
        let name = test.target.as_deref().unwrap_or_default();
        let known = report.targets.iter().map(|target| target.target.as_str());
        let hint = match words::nearest(name, known) {
            Some(near) => format!("; did you mean {}?", words::line(near)),
            None => String::new(),
        };
        let shown = words::line(name);
        return Answer::new(Truth::Unknown, format!("the report has no target {shown}{hint}"));
    };
    let name = words::line(&target.target);
    let said = match &test.claim {
        Claim::Verdict { metric, sign, word } => verdict(target, metric, *sign, *word),
        Claim::Number { quantity, kind, sign, limit, times } => {
            let asked = Asked { quantity: *quantity, kind: *kind, sign: *sign, limit: *limit };
            if *times {
                asked.against_baseline(report, target)
            } else {
                asked.alone(report, target)
            }
        }
    };
    match said {
        Ok((holds, sentence)) => {
            let truth = if holds { Truth::Yes } else { Truth::No };
            Answer::new(truth, format!("{name}: {sentence}"))
        }
        Err(missing) => Answer::new(Truth::Unknown, format!("{name}: {missing}")),
    }
}

/// Whether it holds, and the sentence; or what is missing.
type Said = Result<(bool, String), String>;

fn verdict(target: &Target, metric: &str, sign: Sign, word: Verdict) -> Said {
    let comparison = view::comparison(target, metric)
        .ok_or_else(|| format!("{metric} was not compared with the baseline"))?;
    let holds = (comparison.verdict == word) == (sign == Sign::Is);
    let sentence = format!(
        "verdict({metric}) is {} ({}, 95% interval {}, {} pairs)",
        words::verdict(comparison.verdict),
        words::ratio(comparison.ratio),
        words::interval(comparison.ci95),
        comparison.n
    );
    Ok((holds, sentence))
}

struct Asked {
    quantity: Quantity,
    kind: Kind,
    sign: Sign,
    limit: f64,
}

impl Asked {
    fn alone(&self, report: &Report, target: &Target) -> Said {
        let value = self.quantity.look_up(report, target, self.kind)?;
        let holds = holds(value, self.sign, self.limit);
        let sentence = format!(
            "{} is {}, {} {}",
            self.quantity.path(),
            self.kind.shown(value),
            relation(self.sign, holds),
            self.kind.shown(self.limit)
        );
        Ok((holds, sentence))
    }

    fn against_baseline(&self, report: &Report, target: &Target) -> Said {
        let value = self.quantity.look_up(report, target, self.kind)?;
        let baseline = Columns::of(report).baseline.ok_or("the report has no baseline")?;
        let base = self
            .quantity
            .look_up(report, baseline, self.kind)
            .map_err(|missing| format!("of the baseline, {missing}"))?;
        // Not by dividing: a baseline of 0 is a number, too.
        let holds = holds(value, self.sign, self.limit * base);
        let times = value / base;
        let times = if times.is_finite() {
            format!("{} ", words::ratio(times))
        } else {
            "against ".to_owned()
        };
        let sentence = format!(
            "{} is {}, {times}the baseline's {}: {} {}",
            self.quantity.path(),
            self.kind.shown(value),
            self.kind.shown(base),
            relation(self.sign, holds),
            words::ratio(self.limit)
        );
        Ok((holds, sentence))
    }
}

#[expect(clippy::float_cmp, reason = "`==` is asked for by the person who wrote the condition")]
fn holds(value: f64, sign: Sign, limit: f64) -> bool {
    match sign {
        Sign::Above => value > limit,
        Sign::AtLeast => value >= limit,
        Sign::Below => value < limit,
        Sign::AtMost => value <= limit,
        Sign::Is => value == limit,
        Sign::IsNot => value != limit,
    }
}

/// How the value stands to the limit, given whether the claim holds.
fn relation(sign: Sign, holds: bool) -> &'static str {
    match (sign, holds) {
        (Sign::Above, true) | (Sign::AtMost, false) => "above",
        (Sign::Above, false) | (Sign::AtMost, true) => "not above",
        (Sign::Below, true) | (Sign::AtLeast, false) => "below",
        (Sign::Below, false) | (Sign::AtLeast, true) => "not below",
        (Sign::Is, true) | (Sign::IsNot, false) => "equal to",
        (Sign::Is, false) | (Sign::IsNot, true) => "not equal to",
    }
}
