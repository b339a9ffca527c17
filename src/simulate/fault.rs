//! From events to what really happens on the wire: when each piece is sent, and what goes wrong with it.
//!
//! ```text
//! events ─ dress (comments, CRLF, unknown, malformed) ─ end (error, cut, no terminal) ─ time (first token, cadence,
//! stall) ─ compress (gzip) ─ divide (split, cut after bytes) ─► steps
//! ```

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::answer::{Beat, Event};
use super::pace::{Rng, millis};
use super::script::{CutKind, Fault, Profile, UsageMode};

/// How long a stall lasts when the script does not say.
const STALL: Duration = Duration::from_mins(10);
/// How long `usage = "late"` keeps the client waiting.
const LATE: Duration = Duration::from_millis(200);

/// One thing a body does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send `bytes` after `wait`; with `flush` they reach the socket before the next ones.
    Send { wait: Duration, bytes: Bytes, flush: bool },
    /// End the connection without ending the body.
    Cut(CutKind),
}

/// What there is to know about a stream besides its events.
pub(crate) struct Stream<'p> {
    pub(crate) profile: &'p Profile,
    /// Server-sent events; otherwise pieces of a JSON array, which take no comments.
    pub(crate) sse: bool,
    /// The dialect's error event.
    pub(crate) error: String,
    pub(crate) gzip: bool,
}

/// The steps of a streamed answer.
pub(crate) fn stream(mut events: Vec<Event>, stream: &Stream<'_>, rng: &mut Rng) -> VecDeque<Step> {
    let fault = &stream.profile.fault;
    if fault.no_terminal == Some(true) {
        events.pop();
    }
    if stream.sse {
        events = dress(events, fault);
    }
    let mut cut = None;
    if let Some(after) = fault.error_after {
        events.truncate(after);
        events.push(Event::raw(stream.error.as_str(), Beat::Now));
    }
    if let Some(after) = fault.cut_after {
        events.truncate(after);
        cut = Some(Step::Cut(fault.cut.unwrap_or_default()));
    }
    let mut steps = time(events, stream.profile, rng);
    if stream.gzip {
        compress(&mut steps);
    }
    steps.extend(cut);
    divide(steps, fault)
}

/// The steps of an answer in one piece, `None` when nothing goes wrong with it.
pub(crate) fn plain(body: &Bytes, fault: &Fault) -> Option<VecDeque<Step>> {
    let half = body.len() / 2;
    let send = |wait: Duration, bytes: Bytes| Step::Send { wait, bytes, flush: true };
    let mut steps = VecDeque::new();
    if fault.cut_after.is_some() {
        steps.push_back(send(Duration::ZERO, body.slice(..half)));
        steps.push_back(Step::Cut(fault.cut.unwrap_or_default()));
    } else if fault.stall_after.is_some() {
        let pause = fault.stall.map_or(STALL, super::pace::Millis::duration);
        steps.push_back(send(Duration::ZERO, body.slice(..half)));
        steps.push_back(send(pause, body.slice(half..)));
    } else if fault.split.is_some() || fault.cut_after_bytes.is_some() {
        steps.push_back(send(Duration::ZERO, body.clone()));
    } else {
        return None;
    }
    Some(divide(steps, fault))
}

fn dress(events: Vec<Event>, fault: &Fault) -> Vec<Event> {
    let mut dressed = Vec::with_capacity(events.len());
    // Past the end of a short answer the malformed event still comes, before the last one.
    let last = events.len().saturating_sub(1);
    let broken_at = fault.malformed_after.map(|after| after.min(last));
    for (position, event) in events.into_iter().enumerate() {
        if broken_at == Some(position) {
            dressed.push(Event::raw("data: {\"broken\": [1, 2\n\n", Beat::Now));
        }
        if fault.comments == Some(true) {
            dressed.push(Event::raw(": keep-alive\n\n", Beat::Now));
        }
        if fault.unknown_events == Some(true) {
            let text = "event: simulated.unknown\ndata: {\"type\":\"simulated.unknown\"}\n\n";
            dressed.push(Event::raw(text, Beat::Now));
        }
        dressed.push(event);
    }
    if let Some(crlf) = fault.crlf {
        let end = if crlf { "\r\n" } else { "\n" };
        for event in &mut dressed {
            event.text = event.text.replace("\r\n", "\n").replace('\n', end);
        }
    }
    dressed
}

fn time(events: Vec<Event>, profile: &Profile, rng: &mut Rng) -> VecDeque<Step> {
    let fault = &profile.fault;
    let mut draw = |dist: Option<super::pace::Dist<super::pace::Millis>>| {
        dist.map_or(Duration::ZERO, |dist| millis(dist.draw(rng)))
    };
    let mut first = true;
    let mut steps = VecDeque::with_capacity(events.len() + 1);
    for (position, event) in events.into_iter().enumerate() {
        let mut wait = match event.beat {
            Beat::Token if std::mem::take(&mut first) => draw(profile.first_token),
            Beat::Token => draw(profile.cadence),
            Beat::Usage if profile.usage == Some(UsageMode::Late) => LATE,
            Beat::Now | Beat::Usage | Beat::Last => Duration::ZERO,
        };
        if fault.stall_after == Some(position) {
            wait += fault.stall.map_or(STALL, super::pace::Millis::duration);
        }
        steps.push_back(Step::Send { wait, bytes: Bytes::from(event.text), flush: false });
    }
    steps
}

/// One gzip member over all steps, flushed after each so that every event can be read when it comes.
fn compress(steps: &mut VecDeque<Step>) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let last = steps.len().saturating_sub(1);
    for (position, step) in steps.iter_mut().enumerate() {
        let Step::Send { bytes, .. } = step else {
            continue;
        };
        // Writing to memory cannot fail; should it ever, the piece stays short and the client sees a broken stream.
        let written = encoder.write_all(bytes).and_then(|()| encoder.flush());
        debug_assert!(written.is_ok(), "writing to memory");
        if position == last {
            let finished = encoder.try_finish();
            debug_assert!(finished.is_ok(), "writing to memory");
        }
        *bytes = Bytes::from(std::mem::take(encoder.get_mut()));
    }
}

/// `body` in one gzip member.
pub(crate) fn gzip(body: &Bytes) -> Bytes {
    let mut steps =
        VecDeque::from([Step::Send { wait: Duration::ZERO, bytes: body.clone(), flush: false }]);
    compress(&mut steps);
    match steps.pop_front() {
        Some(Step::Send { bytes, .. }) => bytes,
        _ => body.clone(),
    }
}

fn divide(steps: VecDeque<Step>, fault: &Fault) -> VecDeque<Step> {
    if fault.split.is_none() && fault.cut_after_bytes.is_none() {
        return steps;
    }
    let size = fault.split.unwrap_or(usize::MAX).max(1);
    let mut room = fault.cut_after_bytes.unwrap_or(usize::MAX);
    let mut divided = VecDeque::new();
    for step in steps {
        let Step::Send { mut wait, mut bytes, .. } = step else {
            divided.push_back(step);
            continue;
        };
        while !bytes.is_empty() && room > 0 {
            let piece = bytes.split_to(size.min(bytes.len()).min(room));
            room -= piece.len();
            divided.push_back(Step::Send {
                wait: std::mem::take(&mut wait),
                bytes: piece,
                flush: true,
            });
        }
        if room == 0 {
            divided.push_back(Step::Cut(fault.cut.unwrap_or_default()));
            return divided;
        }
    }
    divided
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn events() -> Vec<Event> {
        vec![
            Event::raw("data: {\"é\":1}\n\n", Beat::Token),
            Event::raw("data: 2\n\n", Beat::Token),
            Event::raw("data: [DONE]\n\n", Beat::Last),
        ]
    }

    /// What a client receives, `!` standing for a cut.
    fn wire(fault: Fault, gzip: bool) -> (Vec<u8>, Vec<Step>) {
        let profile = Profile { fault, ..Profile::default() };
        let about = Stream { profile: &profile, sse: true, error: "data: error\n\n".into(), gzip };
        let steps = stream(events(), &about, &mut Rng::new(1));
        let mut wire = Vec::new();
        for step in &steps {
            match step {
                Step::Send { bytes, .. } => wire.extend_from_slice(bytes),
                Step::Cut(_) => wire.push(b'!'),
            }
        }
        (wire, steps.into())
    }

    fn check(fault: Fault, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&wire(fault, false).0), expected);
    }

    #[test]
    fn each_fault_shows_on_the_wire() {
        let all = "data: {\"é\":1}\n\ndata: 2\n\ndata: [DONE]\n\n";
        check(Fault::default(), all);
        check(Fault { cut_after: Some(1), ..Fault::default() }, "data: {\"é\":1}\n\n!");
        check(Fault { cut_after_bytes: Some(7), ..Fault::default() }, "data: {!");
        check(
            Fault { error_after: Some(1), ..Fault::default() },
            "data: {\"é\":1}\n\ndata: error\n\n",
        );
        check(
            Fault { no_terminal: Some(true), ..Fault::default() },
            "data: {\"é\":1}\n\ndata: 2\n\n",
        );
        check(
            Fault { malformed_after: Some(9), ..Fault::default() },
            "data: {\"é\":1}\n\ndata: 2\n\ndata: {\"broken\": [1, 2\n\ndata: [DONE]\n\n",
        );
        check(Fault { crlf: Some(true), ..Fault::default() }, &all.replace('\n', "\r\n"));
        for size in 1..=all.len() {
            let split = Some(size);
            check(Fault { split, ..Fault::default() }, all);
        }
    }

    #[test]
    fn splitting_goes_through_characters() {
        let steps = wire(Fault { split: Some(9), ..Fault::default() }, false).1;
        let Some(Step::Send { bytes, flush, .. }) = steps.first() else {
            panic!("a first piece");
        };
        assert!(*flush && std::str::from_utf8(bytes).is_err());
    }

    #[test]
    fn stalls_and_late_usage_are_waits() {
        let steps = wire(Fault { stall_after: Some(1), ..Fault::default() }, false).1;
        let waits: Vec<Duration> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Send { wait, .. } => Some(*wait),
                Step::Cut(_) => None,
            })
            .collect();
        assert_eq!(waits, [Duration::ZERO, STALL, Duration::ZERO]);
    }

    #[test]
    fn each_compressed_event_can_be_read_when_it_comes() {
        let (wire, steps) = wire(Fault::default(), true);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&wire[..])
            .read_to_string(&mut text)
            .expect("a whole gzip member");
        assert!(text.ends_with("[DONE]\n\n"));
        let Some(Step::Send { bytes, .. }) = steps.first() else {
            panic!("a first piece");
        };
        let mut decoder = flate2::write::GzDecoder::new(Vec::new());
        decoder.write_all(bytes).expect("part of a gzip member");
        decoder.flush().expect("flush");
        assert_eq!(decoder.get_ref(), "data: {\"é\":1}\n\n".as_bytes());
    }
}
