//! From a plan's file and the flags beside it to one plan.

use pinhole_replay::pace::Pace;
use pinhole_replay::plan::{Money, Plan};

use crate::cli::replay::args::ReplayArgs;

/// The plan, or what is wrong with it.
pub(super) fn plan(args: &ReplayArgs) -> Result<Plan, String> {
    let mut plan = match &args.plan {
        Some(path) => {
            Plan::read(&crate::cli::place::path(path)).map_err(|error| error.to_string())?
        }
        None => Plan::default(),
    };
    if let Some(from) = &args.from {
        plan.from.clone_from(from);
        plan.folder = None;
    }
    if !args.to.is_empty() {
        plan.to.clone_from(&args.to);
    }
    let paced = args.pace.is_some()
        || args.speed.is_some()
        || args.rate.is_some()
        || args.concurrency.is_some();
    if paced {
        let words = [&args.pace, &args.speed, &args.rate].map(Option::as_deref);
        let [pace, speed, rate] = words;
        plan.pace = Pace::from_flags(pace, speed, rate, args.concurrency)
            .map_err(|error| error.to_string())?;
    }
    set(&mut plan.repeat, args.repeat);
    set(&mut plan.warmup, args.warmup);
    set(&mut plan.seed, args.seed);
    set(&mut plan.margin, args.margin);
    if args.judge.is_some() {
        plan.judge.clone_from(&args.judge);
    }
    plan.limit = args.limit.or(plan.limit);
    plan.polite |= args.polite;
    word(&mut plan.context, "--context", args.context.as_deref())?;
    word(&mut plan.cache, "--cache", args.cache.as_deref())?;
    word(&mut plan.length, "--length", args.length.as_deref())?;
    if let Some(money) = &args.max_cost {
        let money: Money = money.parse().map_err(|error| format!("--max-cost: {error}"))?;
        plan.max_cost = Some(money);
    }
    if !args.fail_if.is_empty() {
        plan.fail_if.clone_from(&args.fail_if);
    }
    if !args.report.is_empty() {
        let files = args.report.iter().map(|path| path.to_string_lossy().into_owned());
        plan.report = files.collect();
    }
    plan.check().map_err(|error| error.to_string())?;
    Ok(plan)
}

fn set<T: Copy>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

fn word<T: std::str::FromStr<Err = String>>(
    place: &mut T,
    flag: &str,
    given: Option<&str>,
) -> Result<(), String> {
    if let Some(given) = given {
        *place = given.parse().map_err(|error| format!("{flag}: {error}"))?;
    }
    Ok(())
}
