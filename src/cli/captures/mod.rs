//! `pinhole captures`: what the store holds, on the command line. One file a subcommand; each opens the store, asks, and
//! writes what `report` makes of the answer.

pub mod args;
mod backup;
mod diagnose;
mod diff;
mod export;
mod grep;
mod import;
mod label;
mod ls;
pub(in crate::cli) mod open;
mod progress;
mod prune;
mod scrub;
mod show;
mod stats;
mod tail;
mod verify;

use crate::cli::Exit;
use args::CapturesCommand;

pub fn run(command: &CapturesCommand) -> Exit {
    let done = match command {
        CapturesCommand::Ls(args) => ls::run(args),
        CapturesCommand::Show(args) => show::run(args),
        CapturesCommand::Tail(args) => tail::run(args),
        CapturesCommand::Grep(args) => grep::run(args),
        CapturesCommand::Export(args) => export::run(args),
        CapturesCommand::Import(args) => import::run(args),
        CapturesCommand::Label(args) => label::run(args),
        CapturesCommand::Diff(args) => diff::run(args),
        CapturesCommand::Diagnose(args) => diagnose::run(args),
        CapturesCommand::Backup(args) => backup::backup(args),
        CapturesCommand::Restore(args) => backup::restore(args),
        CapturesCommand::Stats(args) => stats::run(args),
        CapturesCommand::Prune(args) => prune::run(args),
        CapturesCommand::Scrub(args) => scrub::run(args),
        CapturesCommand::Verify(args) => verify::run(args),
    };
    done.unwrap_or_else(|exit| exit)
}
