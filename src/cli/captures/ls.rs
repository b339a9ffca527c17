//! `pinhole captures ls`: exchanges as a table or NDJSON, the last to end first.

use crate::cli::Exit;
use crate::cli::captures::args::LsArgs;
use crate::cli::captures::open::{forewarn, read, reader, which};
use crate::cli::terminal::{is_watched, look, said, tell};
use crate::report::exchange::list::{self, Layout};
use crate::store::query::page::Order;
use crate::store::reader::Reader;
use crate::store::stored::Listed;

/// Rows of a table on a terminal when nothing is said; programs get all.
const WATCHED: usize = 20;
/// Rows read at once; a table's columns are fitted to the first of them.
const STRETCH: usize = 500;

pub(super) fn run(args: &LsArgs) -> Result<Exit, Exit> {
    let asked = which(&args.which)?;
    let reader = reader(&args.place)?;
    let limit = match args.limit {
        Some(0) => usize::MAX,
        Some(limit) => limit,
        None if is_watched() && !args.json => WATCHED,
        None => usize::MAX,
    };
    forewarn(&reader, &asked);
    let look = look();
    let mut layout: Option<Layout> = None;
    let mut shown = 0;
    let mut seqs = read(reader.seqs(&asked, Order::Newest))?.take(limit.saturating_add(1));
    loop {
        let mut stretch = Vec::new();
        for seq in seqs.by_ref().take(STRETCH) {
            stretch.push(read(seq)?);
        }
        if stretch.is_empty() {
            break;
        }
        let over = (shown + stretch.len()).saturating_sub(limit);
        stretch.truncate(stretch.len() - over);
        let rows = rows(&reader, &stretch)?;
        if layout.is_none() && !args.json {
            let fitted = Layout::of(&rows, look);
            said(&fitted.head(look));
            layout = Some(fitted);
        }
        let line = |row: &Listed| match &layout {
            Some(layout) => layout.line(row, look),
            None => list::ndjson(row),
        };
        if !rows.iter().all(|row| said(&line(row))) {
            return Ok(Exit::Done);
        }
        shown += stretch.len();
        if over > 0 {
            if is_watched() && !args.json {
                tell(&format!(
                    "the {shown} that ended last; more with --limit, fewer with --where"
                ));
            }
            break;
        }
    }
    if shown == 0 {
        nothing(&reader, args)?;
    }
    Ok(Exit::Done)
}

fn rows(reader: &Reader, seqs: &[i64]) -> Result<Vec<Listed>, Exit> {
    read(reader.listed(seqs))
}

/// Why the list is empty, on standard error: an empty list is an answer.
fn nothing(reader: &Reader, args: &LsArgs) -> Result<(), Exit> {
    let any = read(reader.list(&crate::store::query::Query::everything(), &newest()))?;
    tell(match (any.is_empty(), args.which.query.is_some() || args.which.session.is_some()) {
        (true, _) => "the store is empty: nothing has come through the gateway yet",
        (false, true) => "no exchange matches",
        (false, false) => "only replays are there; --where replay:true lists them",
    });
    Ok(())
}

fn newest() -> crate::store::query::page::Page {
    crate::store::query::page::Page::newest(1)
}
