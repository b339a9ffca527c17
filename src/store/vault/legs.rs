//! The legs of an exchange on their way in: which body is like another, which has to be decoded to be looked at, what is
//! hidden, and what the bodies come to.

use std::borrow::Cow;

use bytes::Bytes;

use crate::base::coding::{self, CodingError};
use crate::dialect::outline::outline;
use crate::store::capture::{Absent, AttemptIn, BodyIn, Captured, Content, LegIn};
use crate::store::flags;
use crate::store::vault::frames;
use crate::store::vault::headers::Head;
use crate::store::vault::recode;
use crate::store::vault::rest::{At, Recoded, Rest, RestAttempt, RestLeg, Told};
use crate::store::vault::{Clean, VaultError, hash};

/// Limit: bytes of a coded body, decoded, that are read for secrets. Of a larger one the beginning is.
const DECODED_MAX: usize = 256 << 20;

/// What the bodies seen so far come to.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) flags: i64,
    pub(super) raw_bytes: u64,
}

impl Sum {
    fn body(&mut self, content: &Content) {
        self.raw_bytes += content.bytes.len() as u64;
        if content.cut_bytes > 0 {
            self.flags |= flags::CUT;
        }
    }

    fn stored(&mut self, body: &At<Bytes>) {
        match body {
            At::Recipe(told) | At::Whole(told, _) | At::Woven(told, _) if told.redacted => {
                self.flags |= flags::REDACTED;
            }
            At::Absent(Absent::ShedMemory | Absent::ShedQueue | Absent::ShedDisk) => {
                self.flags |= flags::SHED;
            }
            _ => {}
        }
    }
}

/// Where bodies are put that do not stand by themselves.
pub(super) trait Places {
    /// A request's body, whose bytes are as they are to be read.
    fn request(&mut self, leg: u64, told: Told, content: &Content)
    -> Result<At<Bytes>, VaultError>;

    /// An answer without a coding and with nothing to hide, and what is stored of it; `None` when it is to stand by itself.
    fn stream(&mut self, told: &Told, body: &Bytes) -> Option<(At<Bytes>, Bytes)>;
}

/// Encodes all legs. `None`: there is nothing.
pub(super) fn encode<'a>(
    captured: &'a Captured,
    clean: &dyn Clean,
    sum: &mut Sum,
    places: &mut impl Places,
) -> Result<Option<Rest<'a>>, VaultError> {
    if is_empty(captured) {
        return Ok(None);
    }
    if captured.headers_redacted {
        sum.flags |= flags::REDACTED;
    }
    let request = request(0, &captured.request, None, clean, sum, places)?;
    if let (At::Recipe(told) | At::Whole(told, _), BodyIn::Content(_)) =
        (&request.body, &captured.request.body)
        && !told.redacted
        && told.cut_bytes == 0
    {
        sum.flags |= flags::REPLAYABLE;
    }
    let mut tables = Vec::new();
    let mut attempts = Vec::with_capacity(captured.attempts.len());
    for (leg, attempt) in (1..).zip(&captured.attempts) {
        let before = Some(&captured.request.body);
        let out = self::request(leg, &attempt.request, before, clean, sum, places)?;
        if matches!(out.body, At::Recipe(_) | At::Whole(..)) {
            sum.flags |= flags::MODIFIED;
        }
        let (response, stored) = response(&attempt.response, None, clean, sum, places);
        frames::write(&attempt.frames, attempt.untabled, &stored, &mut tables);
        attempts.push(RestAttempt {
            request: out,
            response,
            edits: attempt.edits.iter().map(|edit| Cow::Borrowed(*edit)).collect(),
        });
    }
    let before = captured.attempts.last().map(|attempt| &attempt.response.body);
    let (response, stored) = response(&captured.response, before, clean, sum, places);
    if !matches!(response.body, At::Same | At::Absent(_)) && !captured.response_frames.is_empty() {
        frames::write(&captured.response_frames, captured.response_untabled, &stored, &mut tables);
    }
    if matches!((&response.body, before), (At::Same, Some(BodyIn::Content(_)))) {
        sum.flags |= flags::ANSWER_SAME;
    }
    Ok(Some(Rest { request, attempts, response, frames: tables.into() }))
}

fn is_empty(captured: &Captured) -> bool {
    let leg = |leg: &LegIn| {
        let body = matches!(leg.body, BodyIn::Same | BodyIn::Nothing(Absent::NotKept));
        leg.line.is_none() && leg.headers.is_none() && body
    };
    let attempt = |attempt: &AttemptIn| {
        let told = attempt.edits.is_empty() && attempt.frames.is_empty() && attempt.untabled == 0;
        leg(&attempt.request) && leg(&attempt.response) && told
    };
    leg(&captured.request) && leg(&captured.response) && captured.attempts.iter().all(attempt)
}

/// A body that is byte for byte, and in its coding, that of the leg before.
fn is_same(content: &Content, before: Option<&BodyIn>) -> bool {
    match before {
        Some(BodyIn::Content(before)) => {
            (content.cut_bytes, &content.coding) == (before.cut_bytes, &before.coding)
                && content.bytes == before.bytes
        }
        _ => false,
    }
}

fn request(
    leg: u64,
    given: &LegIn,
    before: Option<&BodyIn>,
    clean: &dyn Clean,
    sum: &mut Sum,
    places: &mut impl Places,
) -> Result<RestLeg, VaultError> {
    let body = match &given.body {
        BodyIn::Nothing(absent) => At::Absent(*absent),
        BodyIn::Same => At::Same,
        BodyIn::Content(content) if is_same(content, before) => At::Same,
        BodyIn::Content(content) => {
            sum.body(content);
            let told = Told {
                cut_bytes: content.cut_bytes,
                coding: content.coding.clone(),
                redacted: content.redacted,
                ..Told::default()
            };
            match readable(content, clean) {
                Readable::AsIs => places.request(leg, told, content)?,
                Readable::Hiding(decoded) => {
                    let mut stored =
                        places.request(leg, Told { coding: None, ..told }, &decoded)?;
                    if let At::Recipe(told) | At::Whole(told, _) = &mut stored {
                        told.redacted = true;
                    }
                    stored
                }
                Readable::Recoded(decoded, recoded) => {
                    let digest = hash::digest(&content.bytes);
                    let recoded = Some(Recoded { way: recoded, digest });
                    places.request(leg, Told { recoded, ..told }, &decoded)?
                }
                Readable::Not => whole(told, content.bytes.clone(), clean),
            }
        }
    };
    sum.stored(&body);
    Ok(RestLeg { head: head(given), body })
}

/// An answer, and the bytes that are stored of it.
fn response(
    given: &LegIn,
    before: Option<&BodyIn>,
    clean: &dyn Clean,
    sum: &mut Sum,
    places: &mut impl Places,
) -> (RestLeg, Bytes) {
    let (body, stored) = match &given.body {
        BodyIn::Nothing(absent) => (At::Absent(*absent), Bytes::new()),
        BodyIn::Same => (At::Same, Bytes::new()),
        BodyIn::Content(content) if is_same(content, before) => (At::Same, Bytes::new()),
        BodyIn::Content(content) => {
            sum.body(content);
            let told = Told {
                cut_bytes: content.cut_bytes,
                coding: content.coding.clone(),
                redacted: content.redacted,
                ..Told::default()
            };
            answer(told, content.bytes.clone(), clean, places)
        }
    };
    sum.stored(&body);
    (RestLeg { head: head(given), body }, stored)
}

fn answer(
    told: Told,
    bytes: Bytes,
    clean: &dyn Clean,
    places: &mut impl Places,
) -> (At<Bytes>, Bytes) {
    let coded = told.coding.is_some();
    match whole(told, bytes, clean) {
        At::Whole(told, bytes) => {
            let stream = if coded || told.redacted { None } else { places.stream(&told, &bytes) };
            stream.unwrap_or_else(|| (At::Whole(told, bytes.clone()), bytes))
        }
        other => (other, Bytes::new()),
    }
}

fn head(given: &LegIn) -> Head {
    let line = given.line.as_ref().map(|line| Bytes::copy_from_slice(line.as_bytes()));
    Head { line, headers: given.headers.clone() }
}

/// How a request's body can be cut into segments.
enum Readable {
    AsIs,
    /// It is coded and has something to hide: it is stored decoded.
    Hiding(Content),
    /// It is coded in a way that can be done again.
    Recoded(Content, u8),
    Not,
}

fn readable(content: &Content, clean: &dyn Clean) -> Readable {
    let Some(coding) = &content.coding else { return Readable::AsIs };
    let Ok(bytes) = coding::decode(coding, &content.bytes, DECODED_MAX) else {
        return Readable::Not;
    };
    let decoded = Content { outline: outline(&bytes), bytes, coding: None, ..content.clone() };
    if clean.clean(&decoded.bytes).is_some() {
        return Readable::Hiding(decoded);
    }
    if content.cut_bytes > 0 || !coding.eq_ignore_ascii_case("zstd") {
        return Readable::Not;
    }
    match recode::find(&decoded.bytes, &content.bytes) {
        Some(recoded) => Readable::Recoded(decoded, recoded),
        None => Readable::Not,
    }
}

/// A body stored in one piece. Where something has to be hidden in a coded one, it is stored decoded.
pub(super) fn whole(told: Told, bytes: Bytes, clean: &dyn Clean) -> At<Bytes> {
    // What was decoded to be cut is stored as it came.
    let again = told.recoded.and_then(|recoded| recode::again(recoded.way, &bytes).ok());
    let (told, bytes) = (Told { recoded: None, ..told }, again.map_or(bytes, Bytes::from));
    let hidden = match &told.coding {
        None => clean.clean(&bytes),
        Some(coding) => match coding::decode(coding, &bytes, DECODED_MAX) {
            Ok(decoded) => clean.clean(&decoded),
            Err(CodingError::Unsupported { .. } | CodingError::TooMany) => clean.clean(&bytes),
            Err(_) => clean.clean(&coding::beginning(coding, &bytes, DECODED_MAX)),
        },
    };
    let (told, bytes) = match hidden {
        None => (told, bytes),
        Some(hidden) => (Told { redacted: true, coding: None, ..told }, Bytes::from(hidden)),
    };
    At::Whole(Told { digest: hash::digest(&bytes), ..told }, bytes)
}
