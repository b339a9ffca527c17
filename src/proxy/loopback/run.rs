//! What a plan comes to, found out before anything is sent: recordings, targets, prices, an estimate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::answers::Rules;
use pinhole_replay::context::{Context, Target, parse_target};
use pinhole_replay::engine::{Budget, Limits, Setup};
use pinhole_replay::estimate::{self, Estimate, Price, Sample};
use pinhole_replay::faces::words;
use pinhole_replay::pace::Pace;
use pinhole_replay::plan::{Plan, PlanError};
use pinhole_replay::schedule::{Beat, Outline};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::proxy::loopback::aim::{self, Aim};
use crate::proxy::loopback::asking::{self, Seat};
use crate::proxy::state::Shared;
use crate::report::replay::source::Source;

/// Limit: how long an answer may wait for a judge's word; questions wait for one another.
const JUDGING_MAX: Duration = Duration::from_hours(6);

/// Above this estimate a run is confirmed first, in billionths of a US dollar.
const CONFIRM_ABOVE: i64 = 1_000_000_000;

/// A plan with its recordings and targets found, and nothing sent.
pub struct Ready {
    pub id: ExchangeId,
    pub plan: Plan,
    pub source: Arc<Source>,
    pub setup: Setup,
    pub aims: Vec<Aim>,
    pub estimates: Vec<Estimate>,
    /// Who judges answers, where somebody does.
    pub judge: Option<Seat>,
    pub(super) rules: Rules,
}

impl Ready {
    /// The estimate of everything that has a price, in billionths of a US dollar.
    pub fn about_nanousd(&self) -> i64 {
        let costs = self.estimates.iter().filter_map(|one| one.cost_nanousd);
        costs.fold(0, i64::saturating_add)
    }

    /// The same as people read it.
    pub fn about(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
        let nanousd = self.about_nanousd() as f64;
        words::usd(nanousd / 1e9)
    }

    /// Whether somebody has to say yes first.
    pub fn is_dear(&self) -> bool {
        self.about_nanousd() > CONFIRM_ABOVE
    }
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("nothing to send: {0}")]
    Empty(String),
    #[error(
        "{untimed} recordings of `{from}` do not say when they were sent, so they cannot be sent as recorded; choose a pace: \
         --pace one-by-one, --concurrency 4, --rate 2/s"
    )]
    Untimed { from: String, untimed: usize },
    #[error("the target `{target}` cannot be sent these recordings: {reason}")]
    Target { target: String, reason: String },
    #[error("the judge `{target}` cannot be asked: {reason}")]
    Judge { target: String, reason: String },
    #[error(
        "--max-cost is given, and `{target}` has no price; add one to the price list (prices.file), or leave --max-cost out"
    )]
    Unpriced { target: String },
    #[error(
        "`sweep.requests` of {requests} for {recordings} recordings and {rates} rates are more repeats than 65535; send fewer, or from more recordings"
    )]
    Sweep { requests: u64, recordings: usize, rates: usize },
    #[error(transparent)]
    Answers(#[from] pinhole_replay::answers::PatternError),
}

/// Finds out what a plan comes to.
pub fn ready(shared: &Shared, plan: Plan, source: Source) -> Result<Ready, Unready> {
    plan.check()?;
    if source.lines().is_empty() {
        return Err(Unready::Empty(nothing(&plan, &source)));
    }
    let is_recorded = matches!(plan.pace, Pace::Recorded { .. }) && plan.sweep.is_none();
    if is_recorded && source.lines().len() > 1 {
        let untimed = source.lines().iter().filter(|line| line.started_at_us == 0).count();
        if untimed > 0 {
            return Err(Unready::Untimed { from: plan.from, untimed });
        }
    }
    let mut targets = targets(&plan)?;
    let aims = targets
        .iter()
        .map(|target| {
            aim::of(shared, target, &source)
                .map_err(|reason| Unready::Target { target: target.to_string(), reason })
        })
        .collect::<Result<Vec<Aim>, Unready>>()?;
    for (target, aim) in targets.iter_mut().zip(&aims) {
        target.forces_length = aim.forces_length;
    }
    let seat = |target: &String| {
        asking::seat(shared, target)
            .map_err(|reason| Unready::Judge { target: target.clone(), reason })
    };
    let judge = plan.judge.as_ref().map(seat).transpose()?;
    let samples: BTreeMap<u32, Sample> =
        (0..).zip(source.lines().iter().map(|line| line.sample)).collect();
    let prices: Vec<Option<Price>> = aims.iter().map(|aim| aim.price).collect();
    let mut setup = setup(&plan, &source, targets);
    let estimates = estimates(&plan, &setup, &samples, &prices, judge.as_ref())?;
    if let Some(max) = plan.max_cost {
        let mut asked = aims.iter().chain(judge.as_ref().map(|judge| &judge.aim));
        if let Some(aim) = asked.find(|aim| aim.price.is_none()) {
            return Err(Unready::Unpriced { target: aim.target.clone() });
        }
        let (rules, samples) = (setup.clone(), samples);
        let worst = move |pair: u32, target: u16| {
            let target = usize::from(target);
            let sample = samples.get(&pair).copied().unwrap_or_default();
            let price = prices.get(target).copied().flatten().unwrap_or_default();
            estimate::worst_nanousd(&rules, &sample, target, price)
        };
        setup.budget = Some(Budget {
            max_nanousd: max.nanousd,
            worst: Arc::new(worst),
            judge_nanousd: judge.as_ref().map_or(0, Seat::worst_nanousd),
            spent_nanousd: 0,
        });
    }
    let id = ExchangeId::new(clock::wall_us());
    setup.marker = id.to_string();
    let rules = rules(&plan)?;
    Ok(Ready { id, plan, source: Arc::new(source), setup, aims, estimates, judge, rules })
}

/// What each target, and the judge, will be sent and cost; of a sweep, when no rate is too much.
fn estimates(
    plan: &Plan,
    setup: &Setup,
    samples: &BTreeMap<u32, Sample>,
    prices: &[Option<Price>],
    judge: Option<&Seat>,
) -> Result<Vec<Estimate>, Unready> {
    let mut all: Vec<Estimate> = match &plan.sweep {
        None => estimate::estimate(setup, samples, prices),
        Some(sweep) => {
            let (rates, recordings) = (sweep.rates.len(), setup.outline.len());
            let too_many = || Unready::Sweep { requests: sweep.requests, recordings, rates };
            let mut sum: Vec<Estimate> = Vec::new();
            for at in 0..rates {
                let part = sweep.part(setup, at, None).ok_or_else(too_many)?;
                let step = estimate::estimate(&part, samples, prices);
                if sum.is_empty() {
                    sum = step;
                } else {
                    sum.iter_mut().zip(&step).for_each(|(sum, step)| sum.add(step));
                }
            }
            sum
        }
    };
    if let Some(judge) = judge {
        // With several targets the first is the baseline, which is not judged.
        let compared = all.iter().skip(usize::from(all.len() > 1));
        let answers = compared.map(|one| one.requests).sum();
        all.push(judge.estimate(answers));
    }
    Ok(all)
}

/// What does not count when answers are compared.
fn rules(plan: &Plan) -> Result<Rules, Unready> {
    let ignore = plan.answers.ignore.iter().map(|path| path.parse()).collect::<Result<_, _>>()?;
    let tolerance = plan.answers.tolerance.max(Rules::default().tolerance);
    Ok(Rules { ignore, tolerance })
}

fn targets(plan: &Plan) -> Result<Vec<Target>, PlanError> {
    let named = |written: &String| {
        let target = parse_target(written)?;
        Ok(Target { model: Some(target.selector.clone()), ..target })
    };
    plan.to.iter().map(named).collect()
}

fn nothing(plan: &Plan, source: &Source) -> String {
    let file = plan.file().is_some();
    let found = if source.left_out.is_empty() {
        format!("`{}` {} no exchange", plan.from, if file { "holds" } else { "finds" })
    } else {
        let reasons: Vec<String> =
            source.left_out.iter().map(|(why, count)| format!("{count} × {why}")).collect();
        let verb = if file { "holds" } else { "finds" };
        format!("`{}` {verb} none that can be sent again ({})", plan.from, reasons.join("; "))
    };
    if file {
        return found;
    }
    format!("{found}; `pinhole captures ls --where …` shows what is there")
}

fn setup(plan: &Plan, source: &Source, targets: Vec<Target>) -> Setup {
    let beats = (0..).zip(source.lines()).map(|(pair, line)| Beat {
        pair,
        session: line.session.as_deref(),
        started_at_us: line.started_at_us,
        ended_at_us: line.ended_at_us,
        depends: line.session.is_some(),
    });
    let names = source.lines().iter().map(|line| (line.id.clone(), line.session.clone()));
    Setup {
        outline: Arc::new(Outline::of(beats)),
        names: names.collect(),
        targets,
        pace: plan.pace,
        repeats: plan.repeat,
        warmup: plan.warmup,
        seed: plan.seed,
        context: plan.context,
        cache: plan.cache,
        length: plan.length,
        polite: plan.polite,
        budget: None,
        done: pinhole_replay::schedule::Groups::default(),
        marker: String::new(),
        limits: Limits {
            deadline: Duration::from_secs(plan.deadline_s),
            // Answers that are fed on are held with their groups.
            groups: if plan.context == Context::Live { 1_024 } else { 4_096 },
            judging: if plan.judge.is_some() { JUDGING_MAX } else { Limits::default().judging },
            ..Limits::default()
        },
    }
}
