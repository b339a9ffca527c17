//! The command definitions: parsing, help, completions, the man page and `docs/cli.md` come from here.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::captures::args::CapturesCommand;
use crate::cli::place_args::PlaceArgs;
use crate::cli::playback_args::PlaybackArgs;
use crate::cli::replay::args::ReplayArgs;
use crate::config::settings::Overrides;

/// Version, commit and features.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("PINHOLE_COMMIT"),
    ", features: ",
    env!("PINHOLE_FEATURES"),
    ")"
);

/// A gateway for LLM traffic: forwarded byte for byte, every exchange recorded.
#[derive(Debug, Parser)]
#[command(name = "pinhole", version = VERSION, propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 a check failed, 2 usage or configuration, 3 environment (port taken, store not\n  writable)."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what it does: simulated providers, the gateway, agent-like traffic. No keys, no network.
    Demo(DemoArgs),
    /// Run the gateway.
    Serve(ServeArgs),
    /// Validate the configuration and print what it resolves to; warnings are errors here.
    Check(CheckArgs),
    /// Explain where a model name goes, and why.
    Route(RouteArgs),
    /// What tokens cost: show the price lists, see what another would change, install it.
    Prices {
        #[command(subcommand)]
        command: PricesCommand,
    },
    /// Send captured requests to other models and providers, and compare what comes back.
    Replay(Box<ReplayArgs>),
    /// Run simulated providers that speak all four dialects.
    Simulate(SimulateArgs),
    /// Serve recorded answers as a provider, with their recorded timing.
    Playback(PlaybackArgs),
    /// What was captured: list, show, follow, search, label, delete, check, back up.
    Captures {
        #[command(subcommand)]
        command: CapturesCommand,
    },
    /// Browse what was captured, watch what runs, compare, replay: on the terminal.
    Tui(TuiArgs),
    /// Show tokens, cost and times, by model, provider, key, session, day and more.
    Usage(UsageArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell to complete for.
        shell: Shell,
    },
    /// Print the man page.
    Man,
    /// Write the generated pages under docs/, or check that they are current.
    #[command(hide = true)]
    Docs {
        /// Write nothing; exit 1 when a page is stale.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct TuiArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The operations API of a gateway elsewhere, such as http://127.0.0.1:9464; absent: the data directory, by way of the
    /// gateway that serves it, if one does.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub url: Option<String>,
    /// The admin key of that gateway.
    #[arg(long, value_name = "KEY", env = "PINHOLE_ADMIN_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Draw with ASCII alone.
    #[arg(long)]
    pub ascii: bool,
    /// Read the store, also where a gateway runs on it.
    #[arg(long, conflicts_with = "url")]
    pub offline: bool,
}

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where the store goes, best a folder of its own; absent: a temporary one, which is named at the end.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print the summary and exit, also on a terminal.
    #[arg(long)]
    pub headless: bool,
    /// How long the traffic may run, from 1 second to an hour.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
}

/// Where the configuration is, and the routing flags that `serve`, `check` and `route` share.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML, YAML or JSON with comments). Absent: $PINHOLE_CONFIG, ./pinhole.*, ./config.yaml, the
    /// user's folder.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where unknown models go: a provider or preset, perhaps with a model (`openai`, `openai:gpt-4o`).
    #[arg(long, value_name = "NAME")]
    pub default_backend: Option<String>,
    /// Every request is for this model, whatever the client asks.
    #[arg(long, value_name = "SELECTOR")]
    pub force_model: Option<String>,
    /// Every request goes to this provider and model (`openai:gpt-4o?temperature=0`).
    #[arg(long, value_name = "SELECTOR")]
    pub static_route: Option<String>,
    /// Rewrite model names that match a regular expression; repeatable, the first match counts.
    #[arg(long, value_name = "PATTERN=REPLACEMENT")]
    pub model_alias: Vec<String>,
    /// Where the store lives.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Address for traffic (default 127.0.0.1:8000).
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address for operations (default 127.0.0.1:9464).
    #[arg(long, value_name = "ADDR")]
    pub ops_listen: Option<String>,
    /// How much of each exchange is kept: off, meta, headers, full.
    #[arg(long, value_name = "LEVEL")]
    pub capture: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Make one real call per provider and key: fine, refused, unreachable or unclear.
    #[arg(long)]
    pub live: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RouteArgs {
    /// The model name as a client would send it.
    pub model: String,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PricesCommand {
    /// Print prices in US dollars for a million tokens.
    Show {
        /// Model names, as a provider takes them; all rows when absent.
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
        /// Only as this seller's list has them (`openai`, `azure-eu`, …).
        #[arg(long, value_name = "B")]
        basis: Option<String>,
        /// Print NDJSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Print what a price list would change: rows added, removed, dearer, cheaper.
    Diff {
        /// The price list (JSON; docs/prices.md has the form).
        file: PathBuf,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Install a price list into the data directory, and print what it changes.
    Update {
        /// The price list (JSON; docs/prices.md has the form).
        file: PathBuf,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// Address to answer on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8100")]
    pub listen: std::net::SocketAddr,
    /// TOML file that scripts latency, cadence, tokens, errors and faults (docs/simulate.md).
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct UsageArgs {
    /// What to sum by: provider, model, key, agent, dialect, session, tag, tag:NAME, tool, hour, day, month. Repeatable or
    /// a list with commas; session, tag and tool go with times only (default model).
    #[arg(long, value_name = "WHAT")]
    pub by: Vec<String>,
    /// Beginning of the window: an age (30m, 2h, 7d, 4w), a date or a time, UTC; whole hours (default 30d).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// End of the window (default now).
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Groups shown, the dearest first; the rest is added up (default 50 in a table, all otherwise).
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: Option<usize>,
    /// Price the window's records anew by today's price lists, and show what that changes, by model.
    #[arg(long, conflicts_with_all = ["by", "limit"])]
    pub reprice: bool,
    /// Write the new prices.
    #[arg(long, requires = "reprice")]
    pub yes: bool,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print NDJSON: a line for each group, and one for the total.
    #[arg(long)]
    pub json: bool,
    /// Configuration file that names the data directory.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the store lives.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl ConfigArgs {
    pub fn overrides(&self) -> Overrides {
        Overrides {
            data_dir: self.data_dir.clone(),
            default_backend: self.default_backend.clone(),
            force_model: self.force_model.clone(),
            static_route: self.static_route.clone(),
            model_aliases: self.model_alias.clone(),
            ..Overrides::default()
        }
    }
}

impl ServeArgs {
    pub fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            ops_listen: self.ops_listen.clone(),
            capture_level: self.capture.clone(),
            ..self.config.overrides()
        }
    }
}
