//! A plan: all choices of a run as one value, so that a benchmark can be kept in git and a flag on the command line is one
//! field of it. Keys that no plan has are errors, with the line and the nearest name.

mod money;
mod sweep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::{DeTable, DeValue};

pub use money::Money;
pub use sweep::{Step, StopRule, Sweep};

use crate::context::{Cache, Context, Length, TargetError, parse_target};
use crate::engine::{Limits, Setup};
use crate::journal::Header;
use crate::pace::Pace;
use crate::schedule::{Groups, Outline};

/// The keys of a plan, and of the tables in it.
const KEYS: &[&str] = &[
    "from",
    "to",
    "pace",
    "repeat",
    "warmup",
    "limit",
    "seed",
    "context",
    "cache",
    "length",
    "polite",
    "max_cost",
    "deadline_s",
    "margin",
    "fail_if",
    "report",
    "judge",
    "answers",
    "sweep",
];
const TABLES: &[(&str, &[&str])] =
    &[("answers", &["ignore", "tolerance"]), ("sweep", &["rates", "requests", "stop"])];
const STOP_KEYS: &[&str] = &["errors", "lag_ms", "ttft_growth"];

/// All choices of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// A query over the store, or a file: then from the plan's folder on.
    pub from: String,
    /// Targets, each with its parameters: `provider/model?temperature=0`.
    pub to: Vec<String>,
    pub pace: Pace,
    pub repeat: u16,
    /// Recordings sent once to every target before the run, in no comparison.
    pub warmup: u32,
    /// The most recordings that are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    pub seed: u64,
    pub context: Context,
    pub cache: Cache,
    pub length: Length,
    /// Honours `Retry-After`.
    pub polite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
    /// How long one request may take.
    pub deadline_s: u64,
    /// Within which a ratio is called `same`.
    pub margin: f64,
    /// Expressions that make the run fail: see docs/replay.md.
    pub fail_if: Vec<String>,
    /// Files that the report is written to, from the folder in which the run is begun.
    pub report: Vec<String>,
    /// A target that judges answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    pub answers: Answers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Where the plan's file is.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

/// What does not count when answers are compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Paths of JSON answers and of tools' arguments.
    pub ignore: Vec<String>,
    /// The share by which numbers may differ.
    pub tolerance: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            from: String::new(),
            to: Vec::new(),
            pace: Pace::default(),
            repeat: 1,
            warmup: 0,
            limit: None,
            seed: 1,
            context: Context::default(),
            cache: Cache::default(),
            length: Length::default(),
            polite: false,
            max_cost: None,
            deadline_s: 600,
            margin: 0.05,
            fail_if: Vec::new(),
            report: Vec::new(),
            judge: None,
            answers: Answers::default(),
            sweep: None,
            folder: None,
        }
    }
}

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{path}, line {line}: `{key}` is no key of {table}{hint}")]
    Unknown { path: String, line: usize, key: String, table: String, hint: String },
    #[error("`{key}` is no key of {table}{hint}")]
    UnknownMember { key: String, table: String, hint: String },
    #[error("the plan cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{path}, line {line}: {reason}")]
    Syntax { path: String, line: usize, reason: String },
    #[error("`{key}` is {value}, the limits are {least} and {most}")]
    Limit { key: &'static str, value: String, least: f64, most: f64 },
    #[error("the plan names nothing to send; set `from` to a query or a file")]
    NoSource,
    #[error("the plan names no target; set `to`, or give --to")]
    NoTarget,
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl Plan {
    /// Reads a plan from its file.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| PlanError::Io { path: name.clone(), error })?;
        let folder = path.parent().map(Path::to_owned);
        Ok(Self { folder, ..Self::parse(&name, &text)? })
    }

    /// Reads a plan; `name` stands in messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, PlanError> {
        let syntax = |error: &toml::de::Error| PlanError::Syntax {
            path: name.to_owned(),
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        };
        let table = DeTable::parse(text).map_err(|error| syntax(&error))?;
        check_keys(name, text, table.get_ref())?;
        toml::from_str(text).map_err(|error| syntax(&error))
    }

    /// The same from JSON: the members are the keys.
    pub fn of_json(plan: serde_json::Map<String, Value>) -> Result<Self, PlanError> {
        check_members(&plan, "a plan", KEYS)?;
        for (inner, keys) in TABLES {
            let Some(Value::Object(table)) = plan.get(*inner) else { continue };
            check_members(table, &format!("`{inner}`"), keys)?;
            if let Some(Value::Object(stop)) = table.get("stop") {
                check_members(stop, "`sweep.stop`", STOP_KEYS)?;
            }
        }
        Ok(serde_json::from_value(Value::Object(plan))?)
    }

    /// As a file. Not every plan that can be made can be written and read again: seeds beyond 2⁶³ have no place in TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// What has to be right before anything is read or sent.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.from.trim().is_empty() {
            return Err(PlanError::NoSource);
        }
        if self.to.is_empty() {
            return Err(PlanError::NoTarget);
        }
        for target in self.to.iter().chain(&self.judge) {
            parse_target(target)?;
        }
        let within = |key, value: f64, least, most| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(PlanError::Limit { key, value: value.to_string(), least, most })
        };
        within("repeat", f64::from(self.repeat), 1.0, 1000.0)?;
        within("to", self.to.len() as f64, 1.0, 64.0)?;
        within("margin", self.margin, 0.0, 1.0)?;
        within("deadline_s", self.deadline_s as f64, 1.0, 86_400.0)?;
        within("answers.tolerance", self.answers.tolerance, 0.0, 1.0)?;
        match &self.sweep {
            Some(sweep) => sweep.check(within),
            None => Ok(()),
        }
    }

    /// The run that the plan describes, over these recordings: all but what is known only when it begins (budget, what is
    /// done already).
    pub fn setup(
        &self,
        outline: Arc<Outline>,
        names: Arc<[(String, Option<String>)]>,
        marker: String,
    ) -> Result<Setup, PlanError> {
        let targets: Result<Vec<_>, _> =
            self.to.iter().map(|target| parse_target(target)).collect();
        Ok(Setup {
            outline,
            names,
            targets: targets?,
            pace: self.pace,
            repeats: self.repeat,
            warmup: self.warmup,
            seed: self.seed,
            context: self.context,
            cache: self.cache,
            length: self.length,
            polite: self.polite,
            budget: None,
            done: Groups::default(),
            marker,
            limits: Limits { deadline: Duration::from_secs(self.deadline_s), ..Limits::default() },
        })
    }

    /// The head of the run's journal.
    pub fn header<'a>(&self, run_id: &str, ids: impl IntoIterator<Item = &'a str>) -> Header {
        Header {
            plan_blake3: self.digest(),
            repeats: self.repeat,
            seed: self.seed,
            targets: self.to.clone(),
            ..Header::of(run_id, ids)
        }
    }

    /// The file that `from` names, where it names one.
    pub fn file(&self) -> Option<PathBuf> {
        let beside = self.folder.as_ref().map(|folder| folder.join(&self.from));
        beside.into_iter().chain([PathBuf::from(&self.from)]).find(|path| path.is_file())
    }

    /// Of everything that decides which requests are sent, and nothing else: a run whose limit of cost or whose reports are
    /// changed is the same run.
    pub fn digest(&self) -> String {
        let parts = (&self.to, self.pace, self.repeat, self.warmup, self.seed);
        let parts = (parts, self.context, self.cache, self.length, &self.sweep, &self.judge);
        let json = serde_json::to_vec(&parts).unwrap_or_default();
        blake3::hash(&json).to_hex().to_string()
    }
}

fn check_keys(name: &str, text: &str, plan: &DeTable<'_>) -> Result<(), PlanError> {
    known(name, text, plan, "a plan", KEYS)?;
    for (inner, keys) in TABLES {
        let Some(table) = plan.get(*inner).and_then(|value| table(value.get_ref())) else {
            continue;
        };
        known(name, text, table, &format!("`{inner}`"), keys)?;
        if let Some(stop) = table.get("stop").and_then(|value| self::table(value.get_ref())) {
            known(name, text, stop, "`sweep.stop`", STOP_KEYS)?;
        }
    }
    Ok(())
}

fn table<'a, 'i>(value: &'a DeValue<'i>) -> Option<&'a DeTable<'i>> {
    match value {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn known(
    name: &str,
    text: &str,
    table: &DeTable<'_>,
    what: &str,
    keys: &[&str],
) -> Result<(), PlanError> {
    let Some((key, _)) = table.iter().find(|(key, _)| !keys.contains(&key.get_ref().as_ref()))
    else {
        return Ok(());
    };
    let written: &str = key.get_ref().as_ref();
    Err(PlanError::Unknown {
        path: name.to_owned(),
        line: line_at(text, key.span().start),
        key: written.to_owned(),
        table: what.to_owned(),
        hint: hint(written, keys),
    })
}

fn check_members(
    table: &serde_json::Map<String, Value>,
    what: &str,
    keys: &[&str],
) -> Result<(), PlanError> {
    let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    Err(PlanError::UnknownMember {
        key: key.clone(),
        table: what.to_owned(),
        hint: hint(key, keys),
    })
}

/// The nearest name, or all of them.
fn hint(written: &str, keys: &[&str]) -> String {
    let distance = |other: &str| strsim::damerau_levenshtein(&written.to_lowercase(), other);
    let near = keys.iter().map(|other| (distance(other), *other)).min();
    match near.filter(|(distance, _)| *distance <= 1 + written.len() / 4) {
        Some((_, near)) => format!("; did you mean `{near}`?"),
        None => format!("; there are {}", keys.join(", ")),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
from = "since:7d"
to = ["p/a", "p/b?temperature=0"]
pace = "gamma:2 10/s"
repeat = 3
warmup = 4
limit = 100
seed = 9
context = "live"
cache = "as-is"
length = "capped"
polite = true
max_cost = "$2.50"
deadline_s = 30
margin = 0.1
fail_if = ["ttft.p95 > 1.2x"]
report = ["out.html"]
judge = "p/j"

[answers]
ignore = ["$.id"]
tolerance = 0.01

[sweep]
rates = ["1/s", "10/s"]
requests = 50
stop = { errors = 0.1, lag_ms = 50, ttft_growth = 3.0 }
"#;

    #[test]
    fn every_choice_can_be_written_and_read_again() {
        let plan = Plan::parse("p.toml", WHOLE).unwrap();
        plan.check().unwrap();
        assert_eq!(plan.pace.to_string(), "gamma:2 10/s");
        assert_eq!(plan.max_cost.unwrap().nanousd, 2_500_000_000);
        assert_eq!(Plan::parse("again", &plan.to_toml().unwrap()).unwrap(), plan);
        let default = Plan::parse("empty", "").unwrap();
        assert_eq!(default, Plan::default());
        let written = serde_json::to_value(&plan).unwrap();
        let keys: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, KEYS, "the keys that are known are the keys there are");
        for (inner, keys) in TABLES {
            let own: Vec<&String> = written[*inner].as_object().unwrap().keys().collect();
            assert_eq!(own, *keys);
        }
        let stop: Vec<&String> = written["sweep"]["stop"].as_object().unwrap().keys().collect();
        assert_eq!(stop, STOP_KEYS);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, message) in [
            ("\nform = \"x\"", "p.toml, line 2: `form` is no key of a plan; did you mean `from`?"),
            ("to = []\nPace = \"x\"", "line 2: `Pace` is no key of a plan; did you mean `pace`?"),
            (
                "[answers]\nignored = []",
                "line 2: `ignored` is no key of `answers`; did you mean `ignore`?",
            ),
            (
                "[sweep]\nrates = []\nstop = { lag = 1 }",
                "line 3: `lag` is no key of `sweep.stop`; there are errors, lag_ms",
            ),
            ("zzzzzz = 1", "there are from, to, pace"),
            ("pace = \"often\"", "line 1: `often` is no pace"),
            ("\nmax_cost = \"cheap\"", "line 2: `cheap` is no sum"),
            ("repeat = ", "p.toml, line 1: "),
            ("context = \"alive\"", "unknown variant `alive`, expected `verbatim` or `live`"),
        ] {
            let error = Plan::parse("p.toml", text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_plan_can_be_json_and_its_members_are_held_to_the_same_names() {
        let plan = Plan::parse("p", WHOLE).unwrap();
        let Value::Object(json) = serde_json::to_value(&plan).unwrap() else { panic!() };
        assert_eq!(Plan::of_json(json).unwrap(), plan);
        for (json, message) in [
            (r#"{"form": "x"}"#, "`form` is no key of a plan; did you mean `from`?"),
            (r#"{"answers": {"ignored": []}}"#, "`ignored` is no key of `answers`; did you mean"),
            (r#"{"sweep": {"stop": {"lag": 1}}}"#, "`lag` is no key of `sweep.stop`; there are"),
            (r#"{"pace": "often"}"#, "the plan cannot be read: `often` is no pace"),
            (r#"{"to": 1}"#, "the plan cannot be read: invalid type"),
        ] {
            let error = Plan::of_json(serde_json::from_str(json).unwrap()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_plan_that_cannot_be_run_is_refused_before_it_is() {
        let plan = |change: fn(&mut Plan)| {
            let mut plan = Plan::parse("p", WHOLE).unwrap();
            change(&mut plan);
            plan.check().unwrap_err().to_string()
        };
        for (error, part) in [
            (plan(|plan| plan.from.clear()), "nothing to send"),
            (plan(|plan| plan.to.clear()), "no target"),
            (plan(|plan| plan.to.push("?".into())), "names no model"),
            (plan(|plan| plan.repeat = 0), "`repeat` is 0, the limits are 1 and 1000"),
            (plan(|plan| plan.margin = f64::NAN), "`margin` is NaN"),
            (plan(|plan| plan.sweep.as_mut().unwrap().rates.clear()), "`sweep.rates` is 0"),
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_digest_is_of_what_is_sent() {
        let plan = Plan::parse("p", WHOLE).unwrap();
        let cheaper = Plan { max_cost: None, report: Vec::new(), ..plan.clone() };
        assert_eq!(plan.digest(), cheaper.digest());
        assert_ne!(plan.digest(), Plan { seed: 8, ..plan.clone() }.digest());
        assert_ne!(plan.digest(), Plan { to: Vec::new(), ..plan.clone() }.digest());
    }

    #[test]
    fn a_plan_becomes_a_run_and_the_head_of_its_journal() {
        let plan = Plan::parse("p", WHOLE).unwrap();
        let setup = plan.setup(Arc::default(), Arc::from([]), "m".into()).unwrap();
        assert_eq!((setup.targets.len(), setup.repeats, setup.warmup), (2, 3, 4));
        assert_eq!(setup.targets[1].to_string(), plan.to[1]);
        assert_eq!(setup.limits.deadline, Duration::from_secs(30));
        let header = plan.header("r1", ["a", "b"]);
        assert_eq!((header.recordings, header.repeats, header.seed), (2, 3, 9));
        assert_eq!((&header.targets, header.plan_blake3), (&plan.to, plan.digest()));
        let broken = Plan { to: vec!["?".into()], ..plan };
        assert!(broken.setup(Arc::default(), Arc::from([]), String::new()).is_err());
    }

    #[test]
    fn the_suites_that_are_shipped_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
        for name in ["compare-models", "regression-gate", "load-sweep"] {
            let plan = Plan::read(&folder.join(format!("{name}.toml"))).unwrap();
            plan.check().unwrap();
            assert!(
                plan.from.starts_with("recordings/") && plan.from.ends_with(".bundle"),
                "{name}"
            );
            assert_eq!(plan.folder.as_deref(), Some(folder.as_path()));
            assert_eq!(plan.sweep.is_some(), name == "load-sweep");
            assert_eq!(!plan.fail_if.is_empty(), name == "regression-gate");
        }
        assert!(matches!(Plan::read(&folder.join("none.toml")), Err(PlanError::Io { .. })));
    }
}
