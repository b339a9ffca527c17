//! The blob `rest` of an exchange: what is its own alone. Lines and headers, digests of bodies, answers, frames.
//!
//! ```text
//!  1 │ number of attempts │ request │ (request, response)… │ response │ edits… │ bodies and streams… │ frames…
//! ```

use std::borrow::Cow;

use bytes::Bytes;

use crate::store::capture::Absent;
use crate::store::vault::hash::DIGEST_BYTES;
use crate::store::vault::headers::Head;
use crate::store::vault::weave::Plan;
use crate::store::vault::wire::{Bad, Cursor, Put};

const VERSION: u8 = 1;

const SAME: u8 = 8;
const RECIPE: u8 = 9;
const WHOLE: u8 = 10;
const WOVEN: u8 = 11;

const REDACTED: u8 = 1;
const CUT: u8 = 2;
const CODED: u8 = 4;
const RECODED: u8 = 8;

/// What is told of a body besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) redacted: bool,
    pub(super) cut_bytes: u64,
    pub(super) coding: Option<String>,
    /// The body is given back compressed in this way.
    pub(super) recoded: Option<Recoded>,
    /// Of the bytes as they are stored, before they are compressed in a client's way.
    pub(super) digest: [u8; DIGEST_BYTES],
}

/// How a client compressed a body, and the digest of what it sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recoded {
    pub(super) way: u8,
    pub(super) digest: [u8; DIGEST_BYTES],
}

/// Where the bytes of a body are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At<B> {
    Absent(Absent),
    Same,
    /// In the content.
    Recipe(Told),
    /// Here.
    Whole(Told, B),
    /// A stream: its plan here, its texts in the exchange's own content.
    Woven(Told, Weave),
}

/// A stream of events, and which segments its texts are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weave {
    pub(super) plan: Plan,
    pub(super) segments: Vec<u32>,
}

/// Headers and body of one leg.
#[derive(Debug, Clone)]
pub(super) struct RestLeg {
    pub(super) head: Head,
    pub(super) body: At<Bytes>,
}

/// One attempt.
#[derive(Debug, Clone)]
pub(super) struct RestAttempt<'a> {
    pub(super) request: RestLeg,
    pub(super) response: RestLeg,
    pub(super) edits: Vec<Cow<'a, str>>,
}

/// An exchange's own part.
#[derive(Debug, Clone)]
pub(super) struct Rest<'a> {
    pub(super) request: RestLeg,
    pub(super) attempts: Vec<RestAttempt<'a>>,
    pub(super) response: RestLeg,
    /// The frame tables of all attempts, as they are written: they can be read with the bodies only.
    pub(super) frames: Bytes,
}

impl Rest<'_> {
    /// `head` writes a head, with or without a template.
    pub(super) fn write<E>(
        &self,
        mut head: impl FnMut(&Head, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let mut to = vec![VERSION];
        to.put_number(self.attempts.len() as u64);
        for leg in self.legs() {
            write_body(&leg.body, &mut to);
            head(&leg.head, &mut to)?;
        }
        for attempt in &self.attempts {
            to.put_number(attempt.edits.len() as u64);
            for edit in &attempt.edits {
                to.put_text(edit.as_bytes());
            }
        }
        for leg in self.legs() {
            match &leg.body {
                At::Whole(_, bytes) => to.extend_from_slice(bytes),
                At::Woven(_, weave) => weave.plan.write(&mut to),
                At::Absent(_) | At::Same | At::Recipe(_) => {}
            }
        }
        to.extend_from_slice(&self.frames);
        Ok(to)
    }

    /// All legs: the client's request, of each attempt both, the client's answer.
    pub(super) fn legs(&self) -> impl Iterator<Item = &RestLeg> {
        let attempts = self.attempts.iter().flat_map(|it| [&it.request, &it.response]);
        std::iter::once(&self.request).chain(attempts).chain(std::iter::once(&self.response))
    }

    pub(super) fn legs_mut(&mut self) -> impl Iterator<Item = &mut RestLeg> {
        let attempts = self.attempts.iter_mut().flat_map(|it| [&mut it.request, &mut it.response]);
        std::iter::once(&mut self.request)
            .chain(attempts)
            .chain(std::iter::once(&mut self.response))
    }
}

fn write_body(body: &At<Bytes>, to: &mut Vec<u8>) {
    to.push(match body {
        At::Absent(absent) => absent_code(*absent),
        At::Same => SAME,
        At::Recipe(_) => RECIPE,
        At::Whole(..) => WHOLE,
        At::Woven(..) => WOVEN,
    });
    match body {
        At::Absent(_) | At::Same => {}
        At::Recipe(told) => write_told(told, to),
        At::Whole(told, bytes) => {
            write_told(told, to);
            to.put_number(bytes.len() as u64);
        }
        At::Woven(told, weave) => {
            write_told(told, to);
            to.put_number(weave.segments.len() as u64);
            let mut before = 0;
            for segment in &weave.segments {
                to.put_signed(i64::from(*segment) - before);
                before = i64::from(*segment) + 1;
            }
        }
    }
}

fn write_told(told: &Told, to: &mut Vec<u8>) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    to.push(
        flag(told.redacted, REDACTED)
            | flag(told.cut_bytes > 0, CUT)
            | flag(told.coding.is_some(), CODED)
            | flag(told.recoded.is_some(), RECODED),
    );
    if told.cut_bytes > 0 {
        to.put_number(told.cut_bytes);
    }
    if let Some(coding) = &told.coding {
        to.put_text(coding.as_bytes());
    }
    if let Some(recoded) = told.recoded {
        to.push(recoded.way);
        to.extend_from_slice(&recoded.digest);
    }
    to.extend_from_slice(&told.digest);
}

impl Rest<'static> {
    /// `head` reads a head, with or without a template.
    pub(super) fn parse(
        plain: Vec<u8>,
        mut head: impl FnMut(&mut Cursor<'_>) -> Result<Head, Bad>,
    ) -> Result<Self, Bad> {
        let plain = Bytes::from(plain);
        let mut from = Cursor::new(&plain);
        if from.byte()? != VERSION {
            return Err(Bad("it was written in a newer form"));
        }
        let count = from.count()?;
        let mut lengths = Vec::new();
        let mut leg = |from: &mut Cursor<'_>| {
            let (body, length) = read_body(from)?;
            lengths.push(length);
            Ok(RestLeg { head: head(from)?, body })
        };
        let request = leg(&mut from)?;
        let mut attempts = Vec::new();
        for _ in 0..count {
            attempts.push(RestAttempt {
                request: leg(&mut from)?,
                response: leg(&mut from)?,
                edits: Vec::new(),
            });
        }
        let response = leg(&mut from)?;
        let mut rest = Self { request, attempts, response, frames: Bytes::new() };
        for attempt in &mut rest.attempts {
            for _ in 0..from.count()? {
                attempt.edits.push(from.string()?.into());
            }
        }
        for (leg, length) in rest.legs_mut().zip(lengths) {
            match &mut leg.body {
                At::Whole(_, whole) => *whole = plain.slice_ref(from.take(length)?),
                At::Woven(_, weave) => weave.plan = Plan::read(&mut from)?,
                At::Absent(_) | At::Same | At::Recipe(_) => {}
            }
        }
        rest.frames = plain.slice_ref(from.take(from.left())?);
        Ok(rest)
    }
}

/// A body without its bytes, and how many there are further behind.
fn read_body(from: &mut Cursor<'_>) -> Result<(At<Bytes>, usize), Bad> {
    Ok(match from.byte()? {
        SAME => (At::Same, 0),
        RECIPE => (At::Recipe(read_told(from)?), 0),
        WHOLE => {
            let told = read_told(from)?;
            (At::Whole(told, Bytes::new()), from.size()?)
        }
        WOVEN => {
            let told = read_told(from)?;
            let (mut segments, mut before) = (Vec::new(), 0_i64);
            for _ in 0..from.count()? {
                let segment = before.checked_add(from.signed()?);
                let segment = segment.and_then(|segment| u32::try_from(segment).ok());
                let segment = segment.ok_or(Bad("a stream's text is nowhere"))?;
                segments.push(segment);
                before = i64::from(segment) + 1;
            }
            (At::Woven(told, Weave { segments, plan: Plan::default() }), 0)
        }
        code => (At::Absent(absent(code).ok_or(Bad("a body is of an unknown kind"))?), 0),
    })
}

fn read_told(from: &mut Cursor<'_>) -> Result<Told, Bad> {
    let flags = from.byte()?;
    let cut_bytes = if flags & CUT != 0 { from.number()? } else { 0 };
    let coding = if flags & CODED != 0 { Some(from.string()?) } else { None };
    let recoded = if flags & RECODED != 0 {
        Some(Recoded { way: from.byte()?, digest: read_digest(from)? })
    } else {
        None
    };
    let digest = read_digest(from)?;
    Ok(Told { redacted: flags & REDACTED != 0, cut_bytes, coding, recoded, digest })
}

fn read_digest(from: &mut Cursor<'_>) -> Result<[u8; DIGEST_BYTES], Bad> {
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(from.take(DIGEST_BYTES)?);
    Ok(digest)
}

fn absent_code(absent: Absent) -> u8 {
    match absent {
        Absent::NotKept | Absent::Nothing => 0,
        Absent::ShedMemory => 1,
        Absent::ShedQueue => 2,
        Absent::ShedDisk => 3,
        Absent::Removed | Absent::Damaged => 4,
    }
}

fn absent(code: u8) -> Option<Absent> {
    Some(match code {
        0 => Absent::NotKept,
        1 => Absent::ShedMemory,
        2 => Absent::ShedQueue,
        3 => Absent::ShedDisk,
        4 => Absent::Removed,
        _ => return None,
    })
}
