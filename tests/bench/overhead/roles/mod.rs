//! The parts this program plays when it starts itself again.

mod floor;
mod mock;

use std::future::Future;

use anyhow::{Context as _, Result, bail};

use crate::place;

/// The first argument of a process that plays a role.
pub(crate) const WORD: &str = "role";

pub(crate) fn play(words: &[String]) -> Result<()> {
    let (role, rest) = words.split_first().context("role NAME")?;
    match role.as_str() {
        "launch" => place::launch(rest),
        "mock" => on_one_thread(mock::serve(port(rest, 0)?)),
        "floor" => on_one_thread(floor::serve(port(rest, 0)?, port(rest, 1)?)),
        _ => bail!("no such role: {role}"),
    }
}

fn port(words: &[String], place: usize) -> Result<u16> {
    let word = words.get(place).context("a port is missing")?;
    word.parse().with_context(|| format!("not a port: {word}"))
}

pub(crate) fn on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
