//! The definitions of `pinhole captures`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::place_args::PlaceArgs;
use crate::report::formats::export::Format;
use crate::report::formats::import::Source;

#[derive(Debug, Subcommand)]
pub enum CapturesCommand {
    /// List exchanges, the last to end first.
    Ls(LsArgs),
    /// Show one exchange: summary, conversation, headers, timeline, exact bytes, or as a command.
    Show(Box<ShowArgs>),
    /// Print exchanges as they end, until interrupted.
    Tail(TailArgs),
    /// Find words in requests and answers.
    Grep(GrepArgs),
    /// Show what differs: the legs of one exchange, its attempts, two turns of a session, any two exchanges.
    Diff(DiffArgs),
    /// Explain what failed, where, how that is known, and what to do.
    Diagnose(DiagnoseArgs),
    /// Show what the store holds, how large it is, and what it could not keep.
    Stats(StatsArgs),
    /// Write exchanges in another format: NDJSON, HAR, a replay bundle, curl, OpenAI batch, Mooncake, AIPerf.
    Export(Box<ExportArgs>),
    /// Read exchanges of this or another program into the store.
    Import(ImportArgs),
    /// Put a label, a score, a note or a pin on an exchange or a session, or take it off.
    Label(LabelArgs),
    /// Delete exchanges, or only their bodies.
    Prune(PruneArgs),
    /// Take out of what is stored what newer rules of redaction find, shared content included, and check that nothing is
    /// left of it; exits 1 when something is.
    Scrub(ScrubArgs),
    /// Check the database, decode every body and compare its hash; exits 1 when something is damaged.
    Verify(VerifyArgs),
    /// Write a consistent copy of the store to a file, also while the gateway runs.
    Backup(BackupArgs),
    /// Put a backup in the place of the store; the old one is kept aside.
    Restore(RestoreArgs),
}

/// Which exchanges, in the query language.
#[derive(Debug, Args)]
pub struct WhereArgs {
    /// Only those a query matches, for example `model:gpt-5* status:5xx since:2h` (docs/query.md has the fields).
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Only those of a session.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
}

#[derive(Debug, Args)]
pub struct LsArgs {
    #[command(flatten)]
    pub which: WhereArgs,
    /// Rows at most (default 20 of a table on a terminal, else all; 0: all).
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,
    /// Print NDJSON: an object a row, with the columns of the view `exchanges`.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What a rendering of one exchange is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum As {
    /// A command that sends the request again; secrets are variables.
    Curl,
    /// HTTP Archive 1.2, with the times of the frames.
    Har,
    /// The whole exchange, as the operations API gives it.
    Json,
    /// A page to paste into an issue.
    Markdown,
}

/// The bytes of one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RawLeg {
    /// What the client sent.
    Request,
    /// What the client got.
    Response,
    /// What went to the provider.
    UpstreamRequest,
    /// What the provider answered.
    UpstreamResponse,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// An exchange id or its beginning, `last`, or `last~N` for the Nth before the last (default `last`).
    #[arg(default_value = "last")]
    pub id: String,
    /// What `last` counts: only those a query matches.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Show the headers of all legs, what the client sent beside what the provider got.
    #[arg(long)]
    pub headers: bool,
    /// Show when each piece of the answer came, and the pauses.
    #[arg(long)]
    pub timeline: bool,
    /// Show the conversation alone.
    #[arg(long)]
    pub conversation: bool,
    /// Show the summary alone.
    #[arg(long)]
    pub summary: bool,
    /// Shorten nothing.
    #[arg(long)]
    pub full: bool,
    /// Write it in another form.
    #[arg(long = "as", value_name = "FORM", conflicts_with_all = ["raw", "headers", "timeline", "conversation", "summary"])]
    pub form: Option<As>,
    /// The same as `--as json`, on one line.
    #[arg(long, conflicts_with_all = ["form", "raw", "headers", "timeline", "conversation", "summary"])]
    pub json: bool,
    /// Write the exact bytes of one leg's body, and nothing else.
    #[arg(long, value_name = "LEG", conflicts_with_all = ["headers", "timeline", "conversation", "summary"])]
    pub raw: Option<RawLeg>,
    /// Which attempt, from 1: for `--raw upstream-…`, `--timeline` and `--as curl` (default the last; curl: the client's).
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub attempt: Option<usize>,
    /// With `--raw`: undo the content coding (gzip, br, …).
    #[arg(long, requires = "raw")]
    pub decoded: bool,
    /// With `--raw`: write binary to a terminal too.
    #[arg(long, requires = "raw")]
    pub force: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct TailArgs {
    #[command(flatten)]
    pub which: WhereArgs,
    /// Rows of those that have ended already, to begin with.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// Print NDJSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct GrepArgs {
    /// Text to find, in messages, tool calls, results and answers.
    pub pattern: String,
    /// The pattern is a regular expression.
    #[arg(long, short = 'E')]
    pub regex: bool,
    /// Capitals and small letters are the same.
    #[arg(long, short = 'i')]
    pub ignore_case: bool,
    /// The pattern is whole words: looked up in the text index, which is fast in a large store.
    #[arg(long, short = 'w', conflicts_with = "regex")]
    pub words: bool,
    /// Print a message again in every turn that resends it.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub which: WhereArgs,
    /// Matches at most (0: all).
    #[arg(long, short = 'n', value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Print NDJSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Only of the exchanges a query matches.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct LabelArgs {
    /// An exchange id or its beginning, `last`, `last~N`; with `--session` the label itself.
    #[arg(value_name = "ID", required_unless_present = "session")]
    pub first: Option<String>,
    /// The label, perhaps with a score: `good`, `quality=0.8`.
    #[arg(value_name = "NAME[=SCORE]")]
    pub second: Option<String>,
    /// Label a session, not an exchange: all its exchanges have the label.
    #[arg(long, value_name = "ID", conflicts_with = "second")]
    pub session: Option<String>,
    /// Retention and `prune` leave the exchange alone; with `--session` those that the session has now.
    #[arg(long, conflicts_with_all = ["unpin", "remove", "note"])]
    pub pin: bool,
    /// Take the pin off.
    #[arg(long, conflicts_with_all = ["remove", "note"])]
    pub unpin: bool,
    /// Words to go with it.
    #[arg(long, value_name = "TEXT", conflicts_with = "remove")]
    pub note: Option<String>,
    /// Take the label off.
    #[arg(long)]
    pub remove: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Those a query matches.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Those that ended longer ago: `30d`, `12h`.
    #[arg(long, value_name = "AGE")]
    pub older_than: Option<String>,
    /// Delete only what was sent and answered; the records stay.
    #[arg(long)]
    pub bodies_only: bool,
    /// Say what would be deleted, and delete nothing (the default without `--yes`).
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Delete.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct ScrubArgs {
    /// Only those a query matches; texts that exchanges share (words, sessions, labels, sums) are gone through whatever it
    /// says.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Look for this too, besides what the configuration says; a group named `secret` is replaced alone.
    #[arg(long = "pattern", value_name = "REGEX", allow_hyphen_values = true)]
    pub patterns: Vec<String>,
    /// Look at exchanges too that these rules have been applied to.
    #[arg(long)]
    pub all: bool,
    /// Say what would be replaced, and replace nothing (the default without `--yes`).
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Replace.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only the bodies of the exchanges a query matches; the database itself is checked without it.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Print NDJSON: an object for each thing that is damaged, and one for the total.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; it must not be there yet.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A file that `captures backup` has written.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// An exchange (as in `show`); with `--turns`, the number of the earlier turn, from 1 (default: all, a line each).
    #[arg(value_name = "ID", required_unless_present = "turns")]
    pub left: Option<String>,
    /// Another exchange to compare the first with; without it, the legs of the first are compared.
    #[arg(value_name = "ID2", conflicts_with_all = ["legs", "attempts", "turns"])]
    pub right: Option<String>,
    /// What the gateway changed: the client's request and the provider's, the provider's answer and the client's.
    #[arg(long, conflicts_with_all = ["attempts", "turns"])]
    pub legs: bool,
    /// Each attempt against the next.
    #[arg(long, conflicts_with = "turns")]
    pub attempts: bool,
    /// What `last` counts: only those a query matches.
    #[arg(
        long = "where",
        value_name = "QUERY",
        allow_hyphen_values = true,
        conflicts_with = "turns"
    )]
    pub query: Option<String>,
    /// Each turn of this session against the next: what changed, and where the beginning of the prompt did.
    #[arg(long, value_name = "SESSION")]
    pub turns: Option<String>,
    /// Print NDJSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// One exchange (as in `show`); without it, the failures of a time in groups.
    #[arg(value_name = "ID", conflicts_with_all = ["query", "since"])]
    pub id: Option<String>,
    /// Exchanges that a query matches, in groups, also those that went well but are odd.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// How far back (30m, 24h, 7d, or a time); default 24h, with `--where` all there is.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Print NDJSON: the diagnosis, or a group a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Which exchanges, as what, where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub which: WhereArgs,
    /// What to write; absent: what the file's name says (.har, .ndjson, .bundle, .sh), else ndjson.
    #[arg(long = "as", value_name = "FORMAT", value_parser = formats())]
    pub form: Option<Format>,
    /// Where to; `-`: standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exchanges at most, the oldest first.
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<u64>,
    /// Write everything that came since the last export with --mark, and note how far it went: retention with
    /// `require_export` removes no body beyond.
    #[arg(long, conflicts_with_all = ["query", "session", "limit"])]
    pub mark: bool,
    /// Print the result as NDJSON: a line for what was left out or is damaged, and one for the total; on standard error
    /// where the exchanges go to standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::label))
        .map(|word| Format::parse(&word).unwrap_or(Format::Ndjson))
}

/// What, and as what.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files to read; `-`: standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What they are; absent: told by how they begin.
    #[arg(long = "as", value_name = "FORMAT", value_parser = sources())]
    pub form: Option<Source>,
    /// Write nothing; say what would be.
    #[arg(long)]
    pub dry_run: bool,
    /// Not for `import`: says how to take over a part of a file.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true, hide = true)]
    pub query: Option<String>,
    /// Print NDJSON: a line for each file.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn sources() -> impl TypedValueParser<Value = Source> {
    PossibleValuesParser::new(
        Source::ALL.into_iter().filter(|source| source.has_answers()).map(Source::label),
    )
    .map(|word| Source::parse(&word).unwrap_or(Source::Ndjson))
}
