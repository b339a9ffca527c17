//! A recording as it is played: the answer's head, the pieces of its body with their times, and how it ends.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pinhole_replay::library::place::Place;
use pinhole_replay::recording::{Attempt, Body, Leg, Recording, Whole};

use crate::base::coding;
use crate::simulate::script::CutKind;

/// Limit: bytes of a request after it was decompressed.
const DECODED_MAX: usize = 256 << 20;

/// Headers of one connection; the framing is made anew.
const HOPS: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// One recorded answer.
#[derive(Debug)]
pub(super) struct Tape {
    pub(super) id: Arc<str>,
    /// `None`: the connection ended before a head came.
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What the provider said the body's length was.
    pub(super) declared: Option<u64>,
    /// All times are from the request's arrival.
    pub(super) head_us: u64,
    pub(super) pieces: Vec<Piece>,
    pub(super) ended_us: u64,
    pub(super) cut: Option<CutKind>,
    /// Something in it stands in place of what was redacted.
    pub(super) redacted: bool,
}

/// A part of the body and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at_us: u64,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A request that a tape answers.
#[derive(Debug)]
pub(super) struct Cue {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Bytes,
}

/// What a recording gives: requests, each with the place of its answer among the tapes.
pub(super) struct Cut {
    pub(super) tapes: Vec<Tape>,
    pub(super) cues: Vec<(Cue, usize)>,
}

/// The tapes of a recording; an error says why it cannot be played.
pub(super) fn of(recording: &Recording) -> Result<Cut, &'static str> {
    let asked =
        cue(&recording.method, &recording.path, &recording.request, recording.client_request())?;
    let last = recording.attempts.len().checked_sub(1);
    let tried = last.and_then(|n| Some((n, recording.attempts.get(n)?)));
    let mut cut = Cut { tapes: Vec::new(), cues: Vec::new() };
    let own = Place::of(path(&asked.target)).dialect;
    let Some((n, attempt)) = tried else {
        cut.tapes.push(of_client(recording)?);
        cut.cues.push((asked, 0));
        return Ok(cut);
    };
    let upstream =
        cue(&recording.method, &recording.path, &attempt.request, recording.upstream_request(n));
    let spoken = upstream.as_ref().map_or(own, |cue| Place::of(path(&cue.target)).dialect);
    let played = of_attempt(recording, attempt);
    // The client's answer is what the provider said, or of the gateway's own making: translated, without what the client had
    // not asked for, an error in place of one.
    let is_providers = spoken == own && !is_own(recording, n);
    if attempt.status.is_some() && is_providers {
        cut.tapes.push(played?);
        cut.cues.push((asked, 0));
        cut.cues.extend(upstream.ok().map(|cue| (cue, 0)));
    } else {
        cut.tapes.push(match of_client(recording) {
            Ok(tape) => tape,
            Err(_) => of_attempt(recording, attempt)?,
        });
        cut.cues.push((asked, 0));
        if let (Ok(tape), Ok(cue)) = (played, upstream)
            && cut
                .cues
                .iter()
                .all(|(other, _)| other.target != cue.target || other.body != cue.body)
        {
            cut.tapes.push(tape);
            cut.cues.push((cue, 1));
        }
    }
    Ok(cut)
}

/// Whether the client got bytes that are not those of attempt `n`, nor the beginning of them.
fn is_own(recording: &Recording, n: usize) -> bool {
    let Body::Whole(got) = &recording.response.body else { return false };
    let Some(said) = recording.upstream_response(n) else { return true };
    got.coding != said.coding || !said.bytes.starts_with(&got.bytes)
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

fn cue(method: &str, path: &str, leg: &Leg, whole: Option<&Whole>) -> Result<Cue, &'static str> {
    let whole = match (whole, method) {
        (Some(whole), _) => Some(whole),
        (None, "GET" | "HEAD" | "DELETE" | "OPTIONS") => None,
        (None, _) => return Err("the request's body was not kept"),
    };
    if whole.is_some_and(|whole| whole.cut_bytes > 0) {
        return Err("the request's body is over the recorder's limit");
    }
    let bytes = Bytes::from(whole.map(|whole| whole.bytes.clone()).unwrap_or_default());
    let body = match whole.and_then(|whole| whole.coding.as_deref()) {
        None => bytes,
        Some(named) => coding::decode(named, &bytes, DECODED_MAX)
            .map_err(|_| "the request's body does not decompress")?,
    };
    let mut words = leg.line.as_deref().unwrap_or_default().split(' ');
    let method = words.next().filter(|word| !word.is_empty()).unwrap_or(method);
    let target = words.next().filter(|word| !word.is_empty()).unwrap_or(path);
    Ok(Cue { method: method.to_owned(), target: relative(target).to_owned(), body })
}

/// Path and query, also of a whole address.
fn relative(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://") else { return target };
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

/// The answer as the provider gave it.
fn of_attempt(recording: &Recording, attempt: &Attempt) -> Result<Tape, &'static str> {
    let since = |at: i64| us(at - attempt.sent_us);
    let ended_us = attempt.ended_us.map_or_else(|| since(recording.duration_us), since);
    let cut = cut_of(recording, attempt.error.as_ref().map_or("", |error| &error.kind));
    let id = Arc::from(recording.id.as_str());
    let Some(status) = attempt.status else {
        let cut = Some(cut.unwrap_or_default());
        return Ok(Tape { ended_us, cut, ..empty(id) });
    };
    let whole = kept(&attempt.response, status)?;
    let (status, headers, declared, body) = head(status, &attempt.response, whole)?;
    let head_us = attempt.head_us.map_or(0, since);
    let frames = attempt.frames.iter();
    let frames = frames
        .map(|(at, length)| (since(i64::try_from(*at).unwrap_or(i64::MAX)), *length as usize));
    let pieces = pieces(frames, body.len(), ended_us);
    let redacted = whole.is_some_and(|whole| whole.redacted);
    Ok(Tape {
        id,
        status: Some(status),
        headers,
        body,
        declared,
        head_us,
        pieces,
        ended_us,
        cut,
        redacted,
    })
}

/// The answer as the client got it, in one piece where it is not recorded when its pieces went out.
fn of_client(recording: &Recording) -> Result<Tape, &'static str> {
    let status = recording.status.ok_or("no answer was recorded")?;
    let whole = match &recording.response.body {
        Body::Same => recording.client_response(),
        _ => kept(&recording.response, status)?,
    };
    let (status, headers, declared, body) = head(status, &recording.response, whole)?;
    let ended_us = us(recording.duration_us);
    let frames = recording.frames.iter().map(|(at, length)| (*at, *length as usize));
    let pieces = pieces(frames, body.len(), ended_us);
    let head_us = pieces.first().map_or(ended_us, |first| first.at_us);
    Ok(Tape {
        status: Some(status),
        headers,
        declared,
        body,
        pieces,
        head_us,
        ended_us,
        cut: cut_of(recording, ""),
        redacted: whole.is_some_and(|whole| whole.redacted),
        ..empty(recording.id.as_str().into())
    })
}

fn empty(id: Arc<str>) -> Tape {
    Tape {
        id,
        status: None,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        declared: None,
        head_us: 0,
        pieces: Vec::new(),
        ended_us: 0,
        cut: None,
        redacted: false,
    }
}

/// The body of an answer, where there must be one.
fn kept(leg: &Leg, status: u16) -> Result<Option<&Whole>, &'static str> {
    match leg.body.whole() {
        Some(whole) if whole.cut_bytes > 0 => Err("the answer's body is over the recorder's limit"),
        Some(whole) => Ok(Some(whole)),
        None if matches!(status, 100..=199 | 204 | 304) => Ok(None),
        None => Err("the answer's body was not kept"),
    }
}

type Head = (StatusCode, HeaderMap, Option<u64>, Bytes);

fn head(status: u16, leg: &Leg, whole: Option<&Whole>) -> Result<Head, &'static str> {
    let status = StatusCode::from_u16(status).map_err(|_| "its status is no status")?;
    let mut headers = HeaderMap::new();
    for (name, value) in leg.headers.iter().flatten() {
        let own = name.to_ascii_lowercase().starts_with("x-pinhole-");
        let hop = HOPS.iter().any(|hop| name.eq_ignore_ascii_case(hop));
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        if let Some((name, value)) = pair.filter(|_| !own && !hop) {
            headers.append(name, value);
        }
    }
    // Some recorders keep the clear text beside the headers of what was compressed.
    if whole.is_none_or(|whole| whole.coding.is_none()) {
        headers.remove(header::CONTENT_ENCODING);
    }
    let mut lengths = leg.headers.iter().flatten();
    let length = lengths.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let declared = length.and_then(|(_, value)| value.trim().parse().ok());
    let body = Bytes::from(whole.map(|whole| whole.bytes.clone()).unwrap_or_default());
    Ok((status, headers, declared, body))
}

/// How the answer was cut, if it was.
fn cut_of(recording: &Recording, kind: &str) -> Option<CutKind> {
    let outcome = recording.outcome.as_str();
    let is_cut = matches!(outcome, "upstream_reset" | "timeout" | "client_cancelled")
        || kind == "upstream_reset"
        || kind.ends_with("_timeout");
    let detail = recording.error.as_ref().and_then(|error| error.detail.as_deref());
    let is_reset = detail.is_some_and(|detail| detail.contains("reset by peer"));
    is_cut.then_some(if is_reset { CutKind::Rst } else { CutKind::Close })
}

/// Pieces by the table of arrivals; what it has no row for comes with the end.
fn pieces(frames: impl Iterator<Item = (u64, usize)>, length: usize, ended_us: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from: usize = 0;
    for (at_us, size) in frames {
        let to = from.saturating_add(size).min(length);
        if to > from {
            pieces.push(Piece { at_us, from, to });
            from = to;
        }
    }
    if from < length {
        pieces.push(Piece { at_us: ended_us, from, to: length });
    }
    pieces
}

fn us(at: i64) -> u64 {
    u64::try_from(at).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_cuts_the_body_and_the_rest_comes_last() {
        let of = |frames: &[(u64, usize)], length| {
            let found = pieces(frames.iter().copied(), length, 90);
            found.iter().map(|piece| (piece.at_us, piece.from, piece.to)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[(10, 3), (20, 0), (30, 4)], 7), [(10, 0, 3), (30, 3, 7)]);
        assert_eq!(of(&[(10, 3)], 5), [(10, 0, 3), (90, 3, 5)]);
        assert_eq!(of(&[(10, 9), (20, 1)], 5), [(10, 0, 5)]);
        assert_eq!(of(&[], 0), []);
    }

    #[test]
    fn addresses_are_read_as_paths() {
        for (target, expected) in [
            ("/v1/a?b", "/v1/a?b"),
            ("https://api.example.com/v1/a?b", "/v1/a?b"),
            ("https://api.example.com", "/"),
        ] {
            assert_eq!(relative(target), expected);
        }
    }

    #[test]
    fn what_was_not_kept_whole_is_not_played() {
        let mut recording = Recording {
            method: "POST".into(),
            path: "/v1/messages".into(),
            status: Some(200),
            request: Leg { body: Body::of(b"{}".to_vec()), ..Leg::default() },
            ..Recording::default()
        };
        let why = |recording: &Recording| of(recording).err();
        assert_eq!(why(&recording), Some("the answer's body was not kept"));
        recording.response.body =
            Body::Whole(Whole { cut_bytes: 1, bytes: b"a".to_vec(), ..Whole::default() });
        assert_eq!(why(&recording), Some("the answer's body is over the recorder's limit"));
        recording.response.body = Body::of(b"a".to_vec());
        assert_eq!(why(&recording), None);
        recording.request.body = Body::default();
        assert_eq!(why(&recording), Some("the request's body was not kept"));
    }
}
