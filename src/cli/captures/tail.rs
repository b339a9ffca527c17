//! `pinhole captures tail`: exchanges as they end. Asks the store by its order, so that nothing is missed or told twice.

use std::time::Duration;

use crate::cli::Exit;
use crate::cli::captures::args::TailArgs;
use crate::cli::captures::open::{forewarn, read, reader, which};
use crate::cli::place::refuse;
use crate::cli::terminal::{look, said};
use crate::report::exchange::list::{self, Layout};
use crate::report::look::Look;
use crate::store::query::Query;
use crate::store::query::page::Page;
use crate::store::reader::Reader;
use crate::store::stored::Listed;

const POLL: Duration = Duration::from_millis(200);
/// Limit: rows read at once.
const STRETCH: usize = 1_000;

pub(super) fn run(args: &TailArgs) -> Result<Exit, Exit> {
    let asked = which(&args.which)?;
    let reader = reader(&args.place)?;
    forewarn(&reader, &asked);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| refuse(&format!("no runtime: {error}"), Exit::Environment))?;
    runtime.block_on(follow(args, &asked, &reader))
}

async fn follow(args: &TailArgs, asked: &Query, reader: &Reader) -> Result<Exit, Exit> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    // From the newest of all on: the newest that matches may lie far back.
    let newest = read(reader.list(&Query::everything(), &Page::newest(1)))?;
    let mut after = newest.first().map_or(0, |row| row.seq);
    let mut rows = read(reader.list(asked, &Page::newest(args.limit)))?;
    rows.retain(|row| row.seq <= after);
    rows.reverse();
    let look = look();
    let lines = Lines { layout: (!args.json).then(|| Layout::following(&rows, look)), look };
    if !lines.begin() || !rows.iter().all(|row| lines.say(row)) {
        return Ok(Exit::Done);
    }
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(POLL) => {}
        }
        let newest = read(reader.list(&Query::everything(), &Page::newest(1)))?;
        let newest = newest.first().map_or(0, |row| row.seq);
        while after < newest {
            let page = Page { limit: STRETCH, before: None, after: Some(after) };
            let rows = read(reader.list(asked, &page))?;
            if !rows.iter().all(|row| lines.say(row)) {
                return Ok(Exit::Done);
            }
            // What does not match has been passed by too, unless the page was full.
            let last = rows.last().map_or(newest, |row| row.seq);
            after = if rows.len() < STRETCH { newest.max(last) } else { last };
        }
    }
}

struct Lines {
    /// `None`: NDJSON.
    layout: Option<Layout>,
    look: Look,
}

impl Lines {
    fn begin(&self) -> bool {
        self.layout.as_ref().is_none_or(|layout| said(&layout.head(self.look)))
    }

    /// False when nobody reads any more.
    fn say(&self, row: &Listed) -> bool {
        said(&match &self.layout {
            Some(layout) => layout.line(row, self.look),
            None => list::ndjson(row),
        })
    }
}
