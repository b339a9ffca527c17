//! The command line.

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
#[command(
    name = "overhead",
    about = "What a gateway costs, measured against direct, a bare hyper proxy and nginx"
)]
pub(crate) struct Options {
    /// A short run: one or two minutes instead of five
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds; every other one runs in reverse order [default: 3, quick: 2]
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// Only these contenders, by name (direct and floor are what the others are compared with)
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub(crate) only: Vec<String>,
    /// Only these loads, by name
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub(crate) loads: Vec<String>,
    /// The gateway to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_pinhole"))]
    pub(crate) pinhole: PathBuf,
    /// Pinhole again, with the keys of a TOML file laid over its configuration
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    pub(crate) variant: Vec<(String, String)>,
    /// Another gateway; {port} and {upstream} (HOST:PORT) are filled in
    #[arg(long, value_name = "NAME=COMMAND", value_parser = named)]
    pub(crate) peer: Vec<(String, String)>,
    /// `none` leaves the placement of processes to the kernel
    #[arg(long, default_value = "cores", value_parser = ["cores", "none"])]
    pub(crate) pin: String,
    /// Run ahead of all else on the machine (round robin; needs root); loads are then not repeated for noise
    #[arg(long)]
    pub(crate) first: bool,
    /// Streams held open and silent for the memory figure; 0 leaves it out
    #[arg(long, default_value_t = 10_000)]
    pub(crate) idle_streams: usize,
    /// Prompts of 1 MiB sent at the same instant for the memory figure; 0 leaves it out
    #[arg(long, default_value_t = 1_000)]
    pub(crate) concurrent_bodies: usize,
    /// Also write every figure of every round here
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Put the tables into docs/performance.md
    #[arg(long)]
    pub(crate) write_docs: bool,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

pub(crate) fn read() -> Options {
    Options::parse()
}

impl Options {
    pub(crate) fn round_count(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 3 }).max(1)
    }

    /// Part of each load's usual time.
    pub(crate) fn time_share(&self) -> f64 {
        if self.quick { 0.35 } else { 1.0 }
    }
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not NAME=VALUE")),
    }
}
