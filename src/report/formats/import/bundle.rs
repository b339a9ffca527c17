//! Our own bundle, of whatever version.

use std::io::BufRead;

use pinhole_replay::bundle::{Closing, Line, Reader};

use crate::report::formats::import::{Found, Place, ReadError};

pub(super) fn read(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    let mut reader = Reader::open(from)?;
    while let Some(line) = reader.next_line() {
        let goes_on = match line {
            Line::Recording(recording) => found(Found::Recording(recording)),
            Line::Damaged { line, reason } => {
                found(Found::Damaged { place: Place::Line(line), reason })
            }
            Line::Closed(Closing::Whole(_)) => true,
            Line::Closed(Closing::Altered) => found(Found::Note(
                "the bundle was altered after it was written: its hash or its counts do not fit"
                    .to_owned(),
            )),
            Line::Closed(Closing::CutOff(why)) => {
                found(Found::Note(format!("the bundle was cut off: {why}")))
            }
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}
