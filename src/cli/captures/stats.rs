//! `pinhole captures stats`: what the store holds, and how large it is.

use crate::cli::Exit;
use crate::cli::captures::args::StatsArgs;
use crate::cli::captures::open::{folder, query, read, reader};
use crate::cli::terminal::{look, say};
use crate::report::exchange::census;

pub(super) fn run(args: &StatsArgs) -> Result<Exit, Exit> {
    let folder = folder(&args.place)?;
    let reader = reader(&args.place)?;
    let counted = match &args.query {
        Some(text) => read(reader.census_of(&query(Some(text))?))?,
        None => read(reader.census(&folder))?,
    };
    if args.json {
        say(&census::json(&counted).to_string());
    } else {
        say(&census::text(&counted, look()));
    }
    Ok(Exit::Done)
}
