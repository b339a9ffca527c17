//! The definitions of `pinhole playback`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use pinhole_replay::library::After;
use regex::Regex;

use crate::cli::place_args::PlaceArgs;
use crate::simulate::pace::Millis;
use crate::simulate::playback::Speed;

#[derive(Debug, clap::Args)]
pub struct PlaybackArgs {
    /// What to serve: a query over the store, or a file (bundle, HAR, NDJSON, …; `-`: standard input). Absent: all there is.
    #[arg(long, value_name = "QUERY|FILE")]
    pub from: Option<String>,
    /// Address to answer on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8200")]
    pub listen: SocketAddr,
    /// How fast time goes: 1x as recorded, 2x twice as fast, 0 at once.
    #[arg(long, value_name = "SPEED", default_value = "1x", value_parser = speed)]
    pub speed: Speed,
    /// What a request gets that was never recorded: an error with the nearest recording and the differences; the answer of
    /// the nearest recording of the same model family; the answer of the provider that --forward names.
    #[arg(long, value_name = "WHAT", default_value = "error")]
    pub miss: MissArg,
    /// A provider of the configuration, for --miss forward. Its own key is sent, never the caller's.
    #[arg(long, value_name = "PROVIDER")]
    pub forward: Option<String>,
    /// What a caller gets who asks once more than was recorded: the last answer, all from the first on, or a miss.
    #[arg(long, value_name = "WHAT", default_value = "last")]
    pub after: AfterArg,
    /// A field that does not matter when a recording is looked for (`metadata`, `messages[*].name`, `**.seed`, `?key`);
    /// repeatable, added to the usual ones (docs/playback.md).
    #[arg(long, value_name = "PATH")]
    pub ignore: Vec<String>,
    /// Text that does not matter, as a regular expression (`Today is \S+`); repeatable.
    #[arg(long, value_name = "REGEX")]
    pub ignore_text: Vec<Regex>,
    /// Serve at most so many exchanges, the oldest first.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub faults: FaultArgs,
    /// Print NDJSON: what is served, each miss, counts when they change, the total.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What goes wrong on purpose.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Faults")]
pub struct FaultArgs {
    /// End the connection after so many recorded frames; 0: before the head.
    #[arg(long, value_name = "FRAMES")]
    pub cut_after: Option<usize>,
    /// End it with a reset instead of a close.
    #[arg(long, requires = "cut_after")]
    pub reset: bool,
    /// Send nothing for a while after so many recorded frames.
    #[arg(long, value_name = "FRAMES")]
    pub stall_after: Option<usize>,
    /// How long (default 10m).
    #[arg(long, value_name = "TIME", requires = "stall_after", value_parser = time)]
    pub stall: Option<Duration>,
    /// Answer with this status instead of the recording.
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(400..=599))]
    pub status: Option<u16>,
    /// With that `retry-after`, in seconds.
    #[arg(long, value_name = "SECONDS", requires = "status")]
    pub retry_after: Option<u64>,
    /// Hold back the first frame, and all after it, for so long.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub slow_first_token: Option<Duration>,
    /// Only in each so-manieth request.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissArg {
    Error,
    Nearest,
    Forward,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AfterArg {
    Last,
    Cycle,
    Fail,
}

impl From<AfterArg> for After {
    fn from(after: AfterArg) -> Self {
        match after {
            AfterArg::Last => Self::Last,
            AfterArg::Cycle => Self::Cycle,
            AfterArg::Fail => Self::Fail,
        }
    }
}

fn speed(text: &str) -> Result<Speed, String> {
    Speed::parse(text).ok_or_else(|| {
        "a speed is a factor from 0.01x to 1000x, or 0 for at once: `1x`, `2.5x`, `0`".to_owned()
    })
}

fn time(text: &str) -> Result<Duration, String> {
    let time = Millis::parse(text).map(Millis::duration);
    time.ok_or_else(|| "a time is a number with a unit: `250ms`, `2s`, `1m`".to_owned())
}
