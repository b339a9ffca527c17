//! The play at a glance: a row per session, time from left to right. Pure.

use super::drive::Call;
use super::page::{Marks, WIDTH};
use super::traffic::Story;

/// Columns of the name and the space around it.
const NAME: usize = 18;
const COLUMNS: usize = WIDTH - NAME;

/// One session's row. Of calls side by side the streaming one is seen, and a trouble's end before all.
pub(crate) fn row<'a>(
    name: &str,
    calls: impl Iterator<Item = &'a Call>,
    elapsed_us: u64,
    marks: Marks,
) -> String {
    let column = |us: u64| (us * COLUMNS as u64 / elapsed_us.max(1)) as usize;
    let (mut waits, mut streams, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    for call in calls {
        let (start, end) = (column(call.sent_us), column(call.sent_us + call.total_us));
        let waiting = if call.stream { marks.waits } else { marks.plain };
        waits.push((start, end, waiting));
        if let Some(ttft_us) = call.ttft_us {
            streams.push((column(call.sent_us + ttft_us), end, marks.streams));
        }
        if !matches!(call.story, Story::Fine | Story::SlowFirst | Story::NoUsage) {
            troubles.push((end, end, marks.trouble));
        }
    }
    let mut cells = [' '; COLUMNS];
    for (from, to, mark) in waits.into_iter().chain(streams).chain(troubles) {
        paint(&mut cells, from, to, mark);
    }
    let cells: String = cells.iter().collect();
    format!("  {name:<16}{cells}")
}

/// Fills the columns from `from` to `to`, at least one.
fn paint(cells: &mut [char; COLUMNS], from: usize, to: usize, mark: char) {
    let from = from.min(COLUMNS - 1);
    let to = to.clamp(from + 1, COLUMNS);
    cells[from..to].fill(mark);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::page::Page;

    #[test]
    fn a_row_shows_waiting_streaming_and_trouble() {
        let calls = [
            Call {
                stream: true,
                sent_us: 0,
                ttft_us: Some(100_000),
                total_us: 200_000,
                ..Call::sample()
            },
            Call { story: Story::HtmlError, sent_us: 300_000, total_us: 100_000, ..Call::sample() },
        ];
        let marks = Page::new(false).marks;
        let row = row("name", calls.iter(), 600_000, marks);
        let expected = "  name            ..........##########          ==========X";
        assert_eq!(row.trim_end(), expected);
    }

    #[test]
    fn what_ends_after_the_end_stays_on_the_page() {
        let late = Call { sent_us: 900, total_us: 900, ..Call::sample() };
        let row = row("name", [late].iter(), 0, Page::new(true).marks);
        assert_eq!(row.chars().count(), WIDTH);
    }
}
