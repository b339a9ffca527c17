//! `pinhole captures`: what the store holds, on the command line. One file a subcommand; each opens the store, asks, and
//! writes what `report` makes of the answer.

pub mod args;
mod backup;

use crate::cli::Exit;
use args::CapturesCommand;

pub fn run(command: &CapturesCommand) -> Exit {
    let done = match command {
        CapturesCommand::Backup(args) => backup::backup(args),
        CapturesCommand::Restore(args) => backup::restore(args),
        _ => Ok(Exit::Done),
    };
    done.unwrap_or_else(|exit| exit)
}
