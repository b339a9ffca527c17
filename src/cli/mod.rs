//! The command line: one file a subcommand, which only wires. Standard output is data, standard error is talk.

pub mod args;
pub mod captures;
pub mod check;
pub mod demo;
pub mod generate;
pub mod imported;
pub mod keep;
pub mod logging;
pub mod observers;
pub mod place;
pub mod place_args;
pub mod playback;
pub mod playback_args;
pub mod prices;
pub mod replay;
pub mod route;
pub mod serve;
pub mod simulate;
pub mod terminal;
pub mod tui;
pub mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// How a command ends; the process exits with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// A gate or a check failed.
    Failed,
    /// Usage or configuration.
    Usage,
    /// The environment: port taken, store not writable.
    Environment,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Environment => 3,
        })
    }
}

/// Parses and runs.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Printing fails only when nobody reads; there is nowhere to say so.
            let _printed = error.print();
            return exit.into();
        }
    };
    let exit = match args.command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Route(args) => route::run(&args),
        Command::Prices { command } => prices::run(&command),
        Command::Captures { command } => captures::run(&command),
        Command::Simulate(args) => simulate::run(&args),
        Command::Playback(args) => playback::run(&args),
        Command::Tui(args) => tui::run(&args),
        Command::Usage(args) => usage::run(&args),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man => generate::man(),
        Command::Docs { check } => generate::docs(check),
    };
    exit.into()
}
