//! `pinhole demo`.

use crate::cli::Exit;
use crate::cli::args::DemoArgs;

pub fn run(_args: &DemoArgs) -> Exit {
    Exit::Done
}
