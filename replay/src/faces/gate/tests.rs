//! Conditions and what comes of them; conditions that cannot be read and what is said of them.

use crate::plan::Plan;
use proptest::prelude::*;

use super::*;
use crate::report::{Answers, Comparison, Schedule, Summary, Target, Verdict};

fn summary(p50: f64, p95: Option<f64>) -> Summary {
    Summary { n: 40, mean: p50, p50, p95, min: p50 / 2.0, max: p50 * 3.0, ..Summary::default() }
}

fn target(name: &str, factor: f64) -> Target {
    let metrics = [
        ("ttft", summary(0.4 * factor, Some(0.8 * factor))),
        ("speed", summary(50.0 / factor, None)),
        ("output_tokens", summary(120.0, Some(300.0))),
    ];
    Target {
        target: name.to_owned(),
        n: 100,
        errors: if factor > 1.0 { 2 } else { 0 },
        cost_usd: (factor < 2.0).then_some(0.10 * factor),
        metrics: metrics.into_iter().map(|(name, all)| (name.to_owned(), all)).collect(),
        ..Target::default()
    }
}

fn compared(name: &str, factor: f64, verdict: Verdict) -> Target {
    let comparison = |metric: &str, ratio: f64| Comparison {
        metric: metric.to_owned(),
        ratio,
        ci95: [ratio * 0.98, ratio * 1.02],
        n: 98,
        verdict,
        ..Comparison::default()
    };
    Target {
        comparisons: vec![comparison("ttft", factor), comparison("cost", factor)],
        answers: Some(Answers {
            n: 98,
            exact: 0.9,
            tool_calls_f1: Some(0.97),
            ..Answers::default()
        }),
        ..target(name, factor)
    }
}

fn report() -> Report {
    Report {
        baseline: "fake/fast".to_owned(),
        recordings: 100,
        left_out: [("redacted".to_owned(), 25)].into(),
        schedule: Schedule { lag_p99_us: 4_000, ..Schedule::default() },
        targets: vec![
            target("captured", 1.0),
            target("fake/fast", 1.0),
            compared("fake/slow", 1.5, Verdict::Slower),
            compared("fake/twin", 1.0, Verdict::Same),
        ],
        ..Report::default()
    }
}

#[track_caller]
fn check(condition: &str, outcome: Outcome, sentence: &str) {
    let gate = Gate::parse(condition).unwrap_or_else(|error| panic!("{error}"));
    let finding = gate.judge(&report());
    assert_eq!(finding.outcome, outcome, "{condition}: {:?}", finding.sentences);
    assert!(
        finding.sentences.iter().any(|one| one == sentence),
        "{condition}: {:#?}",
        finding.sentences
    );
}

#[test]
fn conditions_are_decided_with_their_numbers() {
    use Outcome::{CannotTell, Fail, Pass};
    let cases = [
        (
            "ttft.p95 > 1.2x",
            Fail,
            "fake/slow: ttft.p95 is 1.20 s, 1.50x the baseline's 800 ms: above 1.20x",
        ),
        (
            "ttft.p95 > 2 x",
            Pass,
            "fake/twin: ttft.p95 is 800 ms, 1.00x the baseline's 800 ms: not above 2.00x",
        ),
        ("ttft.p50 >= 600ms", Fail, "fake/slow: ttft.p50 is 600 ms, not below 600 ms"),
        ("ttft > 1.2x", Fail, "fake/slow: ttft is 1.50x, above 1.20x"),
        ("ttft.ci_low > 1.4", Fail, "fake/slow: ttft.ci_low is 1.47x, above 1.40x"),
        ("errors > 1%", Fail, "fake/slow: errors is 2.0%, above 1.0%"),
        ("errors > 2", Pass, "fake/slow: errors is 2, not above 2"),
        ("errors > 1x", Fail, "fake/slow: errors is 2.0%, against the baseline's 0%: above 1.00x"),
        ("cost > 1.1x", Fail, "fake/slow: cost is 1.50x, above 1.10x"),
        ("cost > $0.2", Pass, "fake/slow: cost is $0.1500, not above $0.2000"),
        (
            "verdict(ttft) == slower",
            Fail,
            "fake/slow: verdict(ttft) is slower (1.50x, 95% interval 1.47–1.53, 98 pairs)",
        ),
        (
            "verdict(ttft) != same",
            Fail,
            "fake/slow: verdict(ttft) is slower (1.50x, 95% interval 1.47–1.53, 98 pairs)",
        ),
        (
            "answers.tool_calls_f1 < 0.95",
            Pass,
            "fake/twin: answers.tool_calls_f1 is 97.0%, not below 95.0%",
        ),
        ("answers.exact < 95%", Fail, "fake/twin: answers.exact is 90.0%, below 95.0%"),
        ("speed.p50 < 40", Fail, "fake/slow: speed.p50 is 33.3/s, below 40/s"),
        ("output_tokens.p95 > 0.3k", Pass, "fake/twin: output_tokens.p95 is 300, not above 300"),
        ("schedule.lag_p99 > 5ms", Pass, "fake/slow: schedule.lag_p99 is 4 ms, not above 5 ms"),
        ("left_out > 10%", Fail, "fake/slow: left_out is 20.0%, above 10.0%"),
        (
            "target(\"fake/twin\").ttft.p50 > 1s",
            Pass,
            "fake/twin: ttft.p50 is 400 ms, not above 1 s",
        ),
        ("target('fake/fast').errors > 0", Pass, "fake/fast: errors is 0, not above 0"),
        (
            "target(\"fake/twin\").verdict(ttft) == same",
            Fail,
            "fake/twin: verdict(ttft) is same (1.00x, 95% interval 0.98–1.02, 98 pairs)",
        ),
        ("e2e.p50 > 2s", CannotTell, "fake/slow: e2e was not measured"),
        ("ttft.p99 > 2s", CannotTell, "fake/slow: ttft.p99 is not given for 40 values"),
        ("tpot > 1.2x", CannotTell, "fake/slow: tpot was not compared with the baseline"),
        ("answers.json < 1", CannotTell, "fake/slow: answers.json has no cases"),
        (
            "target(\"fake/slwo\").errors > 0",
            CannotTell,
            "the report has no target fake/slwo; did you mean fake/slow?",
        ),
    ];
    for (condition, outcome, sentence) in cases {
        check(condition, outcome, sentence);
    }
}

#[test]
fn and_or_not_bind_as_in_school_and_a_missing_number_decides_only_what_hangs_on_it() {
    use Outcome::{CannotTell, Fail, Pass};
    let slow = "fake/slow: ttft is 1.50x, above 1.20x";
    let cases = [
        ("ttft > 1.2x and errors > 1%", Fail, slow),
        ("ttft > 1.2x and errors > 5%", Pass, "fake/slow: errors is 2.0%, not above 5.0%"),
        ("errors > 5% and ttft > 9x or ttft > 1.2x", Fail, slow),
        (
            "errors > 5% and (ttft > 9x or ttft > 1.2x)",
            Pass,
            "fake/slow: errors is 2.0%, not above 5.0%",
        ),
        ("not not ttft > 1.2x", Fail, slow),
        ("not ttft <= 1.2x", Fail, slow),
        ("e2e.p50 > 2s or ttft > 1.2x", Fail, slow),
        ("e2e.p50 > 2s and errors > 50%", Pass, "fake/slow: errors is 2.0%, not above 50.0%"),
        ("not e2e.p50 > 2s", CannotTell, "fake/twin: e2e was not measured"),
    ];
    for (condition, outcome, sentence) in cases {
        check(condition, outcome, sentence);
    }
}

#[test]
fn a_condition_is_asked_of_one_target_at_a_time() {
    let mut report = report();
    report.targets[3].errors = 50;
    // The twin has the errors, the slow one the time: neither has both.
    let gate = Gate::parse("ttft > 1.2x and errors > 10%").expect("a condition");
    assert_eq!(gate.judge(&report).outcome, Outcome::Pass);
    let gate = Gate::parse("target('fake/slow').ttft > 1.2x and target('fake/twin').errors > 10%")
        .expect("a condition");
    assert_eq!(gate.judge(&report).outcome, Outcome::Fail);
    assert_eq!(gate.targets(), ["fake/slow", "fake/twin"]);
}

#[test]
fn without_targets_to_compare_the_baseline_is_judged_and_without_any_nobody_can_tell() {
    let mut report = report();
    report.targets.truncate(2);
    let judge =
        |condition: &str, report: &Report| Gate::parse(condition).expect("read").judge(report);
    assert_eq!(judge("ttft.p50 > 300ms", &report).outcome, Outcome::Fail);
    assert_eq!(
        judge("ttft.p50 > 300ms", &report).sentences,
        ["fake/fast: ttft.p50 is 400 ms, above 300 ms"]
    );
    report.targets.clear();
    assert_eq!(judge("errors > 0", &report).outcome, Outcome::CannotTell);
    assert!(!Outcome::CannotTell.is_open());
}

#[test]
fn what_cannot_be_read_is_underlined() {
    let cases = [
        ("tfft.p95 > 1.2x", 0..4, "unknown metric `tfft`; did you mean `ttft`?"),
        ("ttft.p59 > 1.2x", 5..8, "unknown member `p59`; did you mean `p50`?"),
        ("answers.exakt < 1", 8..13, "unknown member `exakt`; did you mean `exact`?"),
        (
            "ttft.p95 > 1.2q",
            14..15,
            "unknown unit `q`; there are us, ms, s, min, %, x (times the baseline), k, M, and $ in front",
        ),
        (
            "ttft.p95 > $5",
            11..13,
            "`ttft.p95` is held against a time, as in 250ms or 2s, or 1.2x for times the baseline's",
        ),
        (
            "ttft.p95 > 5",
            11..12,
            "`ttft.p95` is held against a time, as in 250ms or 2s, or 1.2x for times the baseline's",
        ),
        (
            "ttft > 2s",
            0..4,
            "`ttft` is held against ratios (1.2x) only; name a statistic, as in ttft.p50",
        ),
        (
            "answers.exact < 0.9x",
            16..20,
            "`answers.exact` is held against a share, as in 0.95 or 95%",
        ),
        ("ttft.p95 1.2x", 9..13, "one of > >= < <= == != is missing here"),
        ("ttft.p95 >", 10..10, "a number is missing here, as in 1.2x, 250ms, 1% or $5"),
        ("errors > 1% && ttft > 1.2x", 12..14, "write `and` instead of `&&`"),
        ("errors > 1% ttft > 1.2x", 12..16, "`and` or `or` is missing before this"),
        ("(errors > 1%", 12..12, "`)` is missing here"),
        ("errors > 1%)", 11..12, "this parenthesis closes nothing"),
        ("verdict(ttft) > slower", 14..15, "a verdict is compared by == or !="),
        ("verdict(ttft) == slow", 17..21, "unknown verdict `slow`; did you mean `slower`?"),
        ("verdict(tfft) == slower", 8..12, "unknown metric `tfft`; did you mean `ttft`?"),
        ("target(fake).errors > 1", 7..11, "a target's name in quotes is missing here"),
        ("target(\"fake", 7..12, "the quoted text has no end"),
        ("errors > 1e999", 9..14, "this is no number that can be counted with"),
        ("", 0..0, "a metric is missing here, as in ttft.p95 > 1.2x"),
        ("errors = 1", 7..8, "write `==` instead of `=`"),
        ("errors > 1 # x", 11..12, "`#` means nothing here"),
    ];
    for (condition, at, message) in cases {
        let error = Gate::parse(condition).expect_err(condition);
        assert_eq!((error.at.clone(), error.message.as_str()), (at, message), "{condition}");
    }
    let error = Gate::parse("errors > 1% or tfft.p95 > 1.2x").expect_err("unknown").to_string();
    assert_eq!(
        error,
        "unknown metric `tfft`; did you mean `ttft`? (column 16)\n  errors > 1% or tfft.p95 > 1.2x\n                 ^^^^"
    );
}

#[test]
fn depth_and_length_have_limits() {
    let deep = |levels: usize| format!("{}errors > 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Gate::parse(&deep(DEPTH_MAX - 1)).is_ok());
    for condition in [deep(DEPTH_MAX), deep(2_000), format!("{} errors > 1", "not ".repeat(900))] {
        let error = Gate::parse(&condition).expect_err("too deep");
        assert_eq!(error.message, "more than 64 levels of parentheses and `not`");
    }
    let error = Gate::parse(&" ".repeat(SOURCE_MAX + 1)).expect_err("too long");
    assert!(
        error.message.starts_with("the condition is longer than 4096 bytes"),
        "{}",
        error.message
    );
}

/// The conditions of the guide are read, so that it cannot go stale.
#[test]
fn the_conditions_of_the_guide_are_read() {
    let guide = include_str!("../../../../docs/replay-gate.md");
    let mut read = 0;
    for line in guide
        .split("```text\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
    {
        let condition = line.split("  #").next().unwrap_or_default().trim();
        if !condition.is_empty()
            && !condition.contains(":=")
            && !condition.contains('^')
            && !line.starts_with("unknown")
            && !line.starts_with(' ')
        {
            Gate::parse(condition).unwrap_or_else(|error| panic!("{error}"));
            read += 1;
        }
    }
    assert!(read >= 12, "{read} conditions");
    for name in quantity::heads() {
        assert!(guide.contains(&format!("`{name}")), "the guide lacks {name}");
    }
}

#[test]
fn a_target_that_the_plan_has_not_is_told_before_anything_is_sent() {
    let plan = |condition: &str| Plan {
        to: vec!["fake/fast".to_owned(), "fake/slow?temperature=0".to_owned()],
        fail_if: vec!["errors > 1%".to_owned(), condition.to_owned()],
        ..Plan::default()
    };
    for known in ["fake/fast", "fake/slow?temperature=0", "captured"] {
        let plan = plan(&format!("target(\"{known}\").errors > 1"));
        assert_eq!(Gate::of_plan(&plan).expect(known).len(), 2);
    }
    let error = Gate::of_plan(&plan("ttft > 2x or target(\"fake/fats\").errors > 1")).unwrap_err();
    assert!(error.message.contains("no target `fake/fats`; did you mean fake/fast?"), "{error}");
    assert_eq!(error.at, 21..30);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        if let Err(error) = Gate::parse(&text) {
            prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error);
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_order_of_its_own_pieces_makes_it_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "ttft", ".", "p95", ">", "<=", "==", "1.2x", "5ms", "$1", "%", "1", "(", ")", "and", "or", "not", "verdict",
            "target", "\"fake/slow\"", "slower", "errors", "cost", "answers", "exact", "-", "é", "'",
        ]), 0..24),
        gap in prop::sample::select(vec!["", " "]),
    ) {
        let text = pieces.join(gap);
        match Gate::parse(&text) {
            Ok(gate) => prop_assert!(!gate.judge(&report()).sentences.is_empty()),
            Err(error) => prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error),
        }
    }
}
