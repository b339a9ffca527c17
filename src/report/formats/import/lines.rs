//! Files of lines: each is read by itself, and none may be longer than a limit.

use std::io::{BufRead, Read as _};

use pinhole_replay::recording::Recording;

use crate::report::formats::import::{Found, ITEM_MAX, Place, ReadError};

/// What a line is.
pub(super) enum Line<'a> {
    Text(&'a [u8]),
    /// Longer than the limit; passed over.
    TooLong,
}

/// Makes a recording of a line; `Ok(None)`: it is fine, and none.
type Make<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Option<Recording>, String>;

/// Reads a file whose every line is one exchange.
pub(super) fn read(
    from: &mut dyn BufRead,
    recording: Make<'_>,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    each(from, &mut |number, line| {
        let place = Place::Line(number);
        match line {
            Line::TooLong => found(too_long(place)),
            Line::Text(text) => found(match recording(text) {
                Ok(Some(recording)) => Found::Recording(Box::new(recording)),
                Ok(None) => Found::Other,
                Err(reason) => Found::Damaged { place, reason },
            }),
        }
    })
}

pub(super) fn too_long(place: Place) -> Found {
    Found::Damaged { place, reason: format!("it is over the limit of {ITEM_MAX} bytes") }
}

/// Gives each line that is not empty, without its end, with its number from 1.
pub(super) fn each(
    from: &mut dyn BufRead,
    visit: &mut dyn FnMut(u64, Line<'_>) -> bool,
) -> Result<(), ReadError> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let limit = u64::try_from(ITEM_MAX).unwrap_or(u64::MAX);
        let read = from.take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let goes_on = if read == ITEM_MAX && line.last() != Some(&b'\n') {
            pass_over(from)?;
            visit(number, Line::TooLong)
        } else {
            let text = line.trim_ascii();
            text.is_empty() || visit(number, Line::Text(text))
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// Goes to the beginning of the next line.
fn pass_over(from: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = from.fill_buf()?;
        let Some(end) = memchr::memchr(b'\n', buffer) else {
            let length = buffer.len();
            if length == 0 {
                return Ok(());
            }
            from.consume(length);
            continue;
        };
        from.consume(end + 1);
        return Ok(());
    }
}
