//! `pinhole captures`: what the store holds, on the command line. One file a subcommand; each opens the store, asks, and
//! writes what `report` makes of the answer.

pub mod args;
mod backup;
pub mod export;
mod grep;
pub mod import;
mod label;
mod ls;
mod open;
mod progress;
mod show;
mod tail;

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
        CapturesCommand::Backup(args) => backup::backup(args),
        CapturesCommand::Restore(args) => backup::restore(args),
        CapturesCommand::Stats(_) | CapturesCommand::Prune(_) | CapturesCommand::Verify(_) => {
            Ok(Exit::Done)
        }
    };
    done.unwrap_or_else(|exit| exit)
}
