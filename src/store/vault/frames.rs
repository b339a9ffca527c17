//! The frame table of an answer: when each piece arrived, and how long it was.
//!
//! Most pieces of a stream are whole events, so a length is told in events wherever a piece ends where one does; a table in
//! which every piece is one event has no lengths at all.

use crate::store::vault::wire::{Bad, Cursor, Put};

/// Limit: rows of a table.
pub(super) const FRAMES_MAX: usize = 65_536;
/// µs of a tick.
const TICK_US: u64 = 100;

/// Each frame is one event.
const ONE_EVENT_EACH: u8 = 1;
const LENGTHS: u8 = 0;

/// Writes the table; `body` is the answer as it is stored.
pub(super) fn write(frames: &[(u64, u32)], untabled: u64, body: &[u8], to: &mut Vec<u8>) {
    let kept = frames.get(..FRAMES_MAX).unwrap_or(frames);
    to.put_number(kept.len() as u64);
    to.put_number(untabled + (frames.len() - kept.len()) as u64);
    if kept.is_empty() {
        return;
    }
    let lengths = lengths(kept, body);
    let one_each = lengths.iter().all(|length| *length == 1 << 1);
    to.push(if one_each { ONE_EVENT_EACH } else { LENGTHS });
    if !one_each {
        for length in lengths {
            to.put_number(length);
        }
    }
    let mut before = 0;
    for (at_us, _) in kept {
        // They arrive in order; a clock that says otherwise is not followed.
        let at = (at_us / TICK_US).max(before);
        to.put_number(at - before);
        before = at;
    }
}

/// Arrivals in µs, lengths; and how many pieces have no row.
pub(super) type Table = (Vec<(u64, u32)>, u64);

pub(super) fn read(from: &mut Cursor<'_>, body: &[u8]) -> Result<Table, Bad> {
    let count = from.count()?;
    let untabled = from.number()?;
    if count == 0 {
        return Ok((Vec::new(), untabled));
    }
    const LONG: Bad = Bad("a frame is longer than any can be");
    let one_each = match from.byte()? {
        LENGTHS => false,
        ONE_EVENT_EACH => true,
        _ => return Err(Bad("the frames are in a newer form")),
    };
    let (mut ends, mut at) = (Events::new(body), 0_usize);
    let mut frames = Vec::with_capacity(count.min(FRAMES_MAX));
    for _ in 0..count {
        let length = if one_each { 1 << 1 } else { from.number()? };
        let end = if length & 1 == 0 {
            // Where something was hidden, there may be fewer events than came.
            ends.next_events(at, length >> 1).or(Some(body.len().max(at)))
        } else {
            usize::try_from(length >> 1).ok().and_then(|length| at.checked_add(length))
        };
        let end = end.ok_or(LONG)?;
        frames.push((0, u32::try_from(end - at).map_err(|_| LONG)?));
        at = end;
    }
    let mut ticks = 0_u64;
    for frame in &mut frames {
        ticks = ticks.saturating_add(from.number()?);
        frame.0 = ticks.saturating_mul(TICK_US);
    }
    Ok((frames, untabled))
}

/// Lengths as they are written: events × 2 where a frame ends with an event, bytes × 2 + 1 elsewhere.
fn lengths(frames: &[(u64, u32)], body: &[u8]) -> Vec<u64> {
    let mut events = Events::new(body);
    let mut next = events.next_after(0);
    let mut at = 0;
    let each = frames.iter().map(|(_, length)| {
        let end = at + *length as usize;
        let mut count = 0;
        while let Some(event) = next.filter(|event| *event <= end) {
            if event > at {
                count += 1;
            }
            if event == end {
                break;
            }
            next = events.next_after(event);
        }
        let whole = next == Some(end) && count > 0;
        if whole {
            next = events.next_after(end);
        }
        at = end;
        if whole { count << 1 } else { u64::from(*length) << 1 | 1 }
    });
    each.collect()
}

/// Ends of events, in order: after each blank line, whatever its line ends are.
pub(super) struct Events<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Events<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// The next end past `at`.
    fn next_after(&mut self, at: usize) -> Option<usize> {
        self.find(|end| *end > at)
    }

    /// The end of the event `count` events past `at`.
    fn next_events(&mut self, at: usize, count: u64) -> Option<usize> {
        let first = if count == 0 { None } else { self.next_after(at) };
        let more = usize::try_from(count.saturating_sub(2)).unwrap_or(usize::MAX);
        if count <= 1 { first } else { first.and_then(|_| self.nth(more)) }
    }
}

impl Iterator for Events<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let line = memchr::memchr(b'\n', self.body.get(self.at..)?)?;
            self.at += line + 1;
            match self.body.get(self.at..)? {
                [b'\n', ..] => self.at += 1,
                [b'\r', b'\n', ..] => self.at += 2,
                _ => continue,
            }
            return Some(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(frames: &[(u64, u32)], body: &[u8]) -> usize {
        let mut bytes = Vec::new();
        write(frames, 3, body, &mut bytes);
        let mut cursor = Cursor::new(&bytes);
        let (read, untabled) = read(&mut cursor, body).unwrap();
        let expected: Vec<_> =
            frames.iter().take(FRAMES_MAX).map(|(at, length)| (at / 100 * 100, *length)).collect();
        assert_eq!((read, cursor.left()), (expected, 0));
        assert_eq!(untabled, 3 + frames.len().saturating_sub(FRAMES_MAX) as u64);
        bytes.len()
    }

    proptest! {
        #[test]
        fn frames_come_back(
            body in prop::collection::vec(prop::sample::select(b"ab\n\n\n\r".to_vec()), 0..200),
            mut frames in prop::collection::vec((0..10_000_000_u64, 0..30_u32), 0..20),
        ) {
            frames.sort_by_key(|frame| frame.0);
            check(&frames, &body);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, body in "[a\n]{0,30}") {
            let _refused = read(&mut Cursor::new(&bytes), body.as_bytes());
        }
    }

    #[test]
    fn a_stream_of_events_takes_a_byte_or_two_each() {
        for end in ["\n\n", "\r\n\r\n"] {
            let event = format!("data: some words{end}");
            let body = event.repeat(100);
            let frames: Vec<_> = (0..100).map(|n| (n * 5_000, event.len() as u32)).collect();
            assert_eq!(check(&frames, body.as_bytes()), 3 + 100);
            let two: Vec<_> = (0..50).map(|n| (n * 5_000, 2 * event.len() as u32)).collect();
            assert_eq!(check(&two, body.as_bytes()), 3 + 50 + 50);
        }
        check(&vec![(1, 1); FRAMES_MAX + 9], b"");
    }
}
