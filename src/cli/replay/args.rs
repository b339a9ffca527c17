//! The flags of `pinhole replay`.

use std::path::PathBuf;

use crate::cli::place_args::PlaceArgs;

/// Send captured requests again, to other models and providers, and compare what comes back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Requests go through the same pipeline as live traffic, with the keys of the configuration, and
are captured with `run:ID`; no metric, budget or query has them unless it asks. Tools are never
executed: calls are compared, and recorded results are given back where `--context live` asks for
them. Costs real money at real providers: --dry-run first.

  pinhole replay --from 'since:1d model:gpt-5*' --to openai/gpt-5-mini --dry-run
  pinhole replay --from regression.bundle --to local/a --to local/b --repeat 3 --report report.html
  pinhole replay --plan suites/gate.toml --yes --fail-if 'ttft.p95 > 1.2x or errors > 1%'

Exit codes: 0 done; 1 a gate of --fail-if failed, or the run was broken off; 2 usage; 3 environment.")]
pub struct ReplayArgs {
    /// What is sent: a query over the store, or a file (bundle, HAR, NDJSON and what else `captures import` reads; OpenAI
    /// batch input, AIPerf raw payloads, Mooncake traces).
    #[arg(long, value_name = "QUERY|FILE")]
    pub from: Option<String>,
    /// A target, repeatable: a model, `provider/model`, with parameters `provider/model?temperature=0`. With several the
    /// first is the baseline; with one the captured answers are.
    #[arg(long, value_name = "SELECTOR")]
    pub to: Vec<String>,
    /// recorded, constant, poisson, gamma, ramp, closed, one-by-one.
    #[arg(long, value_name = "PACE")]
    pub pace: Option<String>,
    /// With `recorded`: 0.1x to 100x, more is faster.
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<String>,
    /// Requests a second, such as 10/s; `1/s..50/s` is a ramp.
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Requests in flight: each answer lets the next one go.
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// How often everything is sent.
    #[arg(long, value_name = "N")]
    pub repeat: Option<u16>,
    /// Recordings sent once to each target beforehand, in no comparison.
    #[arg(long, value_name = "N")]
    pub warmup: Option<u32>,
    /// No more recordings than this.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Stops before the run can cost more, such as '$5'.
    #[arg(long, value_name = "MONEY")]
    pub max_cost: Option<String>,
    /// verbatim: the recorded history; live: the target's own answers are fed on.
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// The provider's prompt cache: as-is, cold, warm.
    #[arg(long, value_name = "STATE")]
    pub cache: Option<String>,
    /// How long answers may get: free, capped at the recorded length, matched.
    #[arg(long, value_name = "LENGTH")]
    pub length: Option<String>,
    /// A target that is asked which of two answers is better, in both orders; its cost is shown apart.
    #[arg(long, value_name = "SELECTOR")]
    pub judge: Option<String>,
    /// Waits as long as a provider asks (Retry-After); without it 429 is an outcome like any other.
    #[arg(long)]
    pub polite: bool,
    /// Draws orders and intervals: the same seed, the same run.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Ratios within [1/(1+M), 1+M] are called the same (default 0.05).
    #[arg(long, value_name = "M")]
    pub margin: Option<f64>,
    /// Writes the report: .html, .md, .json, .csv (a line a request), .xml (JUnit, of --fail-if). Repeatable.
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Exit 1 where this holds: docs/replay-gate.md. Repeatable.
    #[arg(long, value_name = "EXPR")]
    pub fail_if: Vec<String>,
    /// Reads all of this from a file; flags given beside it win.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Takes up a run that was broken off, with the same plan.
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Says what would be sent and what it would cost, and sends nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Asks nothing before sending.
    #[arg(long)]
    pub yes: bool,
    /// The report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}
