//! The blob `rest` of an exchange: what is its own alone. Lines and headers, digests of bodies, answers, frames.
//!
//! ```text
//!  1 │ number of attempts │ request │ (request, response, edits)… │ response │ whole bodies │ frames of each attempt
//! ```

use bytes::Bytes;

use crate::store::capture::Absent;
use crate::store::vault::frames;
use crate::store::vault::hash::DIGEST_BYTES;
use crate::store::vault::headers::{self, Head};
use crate::store::vault::wire::{Bad, Cursor, Put};

const VERSION: u8 = 1;

const SAME: u8 = 8;
const RECIPE: u8 = 9;
const WHOLE: u8 = 10;

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
    /// The bytes are the recipe's, compressed by zstd at this level.
    pub(super) recoded: Option<u8>,
    /// Of the bytes as they are given back.
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
}

/// Headers and body of one leg on their way out.
pub(super) struct LegOut<'a> {
    pub(super) line: Option<&'a str>,
    pub(super) headers: Option<&'a [(Bytes, Bytes)]>,
    pub(super) body: At<Bytes>,
}

/// One attempt on its way out.
pub(super) struct AttemptOut<'a> {
    pub(super) request: LegOut<'a>,
    pub(super) response: LegOut<'a>,
    pub(super) edits: &'a [&'static str],
    pub(super) frames: &'a [(u64, u32)],
    pub(super) untabled: u64,
}

/// An exchange's own part on its way out.
pub(super) struct RestOut<'a> {
    pub(super) request: LegOut<'a>,
    pub(super) attempts: Vec<AttemptOut<'a>>,
    pub(super) response: LegOut<'a>,
}

impl RestOut<'_> {
    pub(super) fn write(&self) -> Vec<u8> {
        let whole = |leg: &LegOut<'_>| match &leg.body {
            At::Whole(_, bytes) => bytes.clone(),
            _ => Bytes::new(),
        };
        let mut to = vec![VERSION];
        to.put_number(self.attempts.len() as u64);
        write_leg(&self.request, &mut to);
        for attempt in &self.attempts {
            write_leg(&attempt.request, &mut to);
            write_leg(&attempt.response, &mut to);
            to.put_number(attempt.edits.len() as u64);
            for edit in attempt.edits {
                to.put_text(edit.as_bytes());
            }
        }
        write_leg(&self.response, &mut to);
        to.extend_from_slice(&whole(&self.request));
        for attempt in &self.attempts {
            to.extend_from_slice(&whole(&attempt.request));
            to.extend_from_slice(&whole(&attempt.response));
        }
        to.extend_from_slice(&whole(&self.response));
        for attempt in &self.attempts {
            frames::write(attempt.frames, attempt.untabled, &whole(&attempt.response), &mut to);
        }
        to
    }
}

fn write_leg(leg: &LegOut<'_>, to: &mut Vec<u8>) {
    to.push(match &leg.body {
        At::Absent(absent) => absent_code(*absent),
        At::Same => SAME,
        At::Recipe(_) => RECIPE,
        At::Whole(..) => WHOLE,
    });
    match &leg.body {
        At::Absent(_) | At::Same => {}
        At::Recipe(told) => write_told(told, to),
        At::Whole(told, bytes) => {
            write_told(told, to);
            to.put_number(bytes.len() as u64);
        }
    }
    headers::write(leg.line, leg.headers, to);
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
    to.extend(told.recoded);
    to.extend_from_slice(&told.digest);
}

/// A leg as it is read.
#[derive(Debug)]
pub(super) struct LegRead<'a> {
    pub(super) head: Head,
    pub(super) body: At<&'a [u8]>,
}

/// An attempt as it is read.
#[derive(Debug)]
pub(super) struct AttemptRead<'a> {
    pub(super) request: LegRead<'a>,
    pub(super) response: LegRead<'a>,
    pub(super) edits: Vec<String>,
    pub(super) frames: Vec<(u64, u32)>,
    pub(super) untabled: u64,
}

/// An exchange's own part as it is read.
#[derive(Debug)]
pub(super) struct RestRead<'a> {
    pub(super) request: LegRead<'a>,
    pub(super) attempts: Vec<AttemptRead<'a>>,
    pub(super) response: LegRead<'a>,
}

impl<'a> RestRead<'a> {
    pub(super) fn parse(plain: &'a [u8]) -> Result<Self, Bad> {
        let mut from = Cursor::new(plain);
        if from.byte()? != VERSION {
            return Err(Bad("it was written in a newer form"));
        }
        let count = from.count()?;
        let (mut request, mut request_length) = read_leg(&mut from)?;
        let mut attempts = Vec::new();
        for _ in 0..count {
            let (request, request_length) = read_leg(&mut from)?;
            let (response, response_length) = read_leg(&mut from)?;
            let mut edits = Vec::new();
            for _ in 0..from.count()? {
                edits.push(from.string()?);
            }
            let attempt = AttemptRead { request, response, edits, frames: Vec::new(), untabled: 0 };
            attempts.push((attempt, request_length, response_length));
        }
        let (mut response, mut response_length) = read_leg(&mut from)?;
        fill(&mut request, &mut request_length, &mut from)?;
        for (attempt, request_length, response_length) in &mut attempts {
            fill(&mut attempt.request, request_length, &mut from)?;
            fill(&mut attempt.response, response_length, &mut from)?;
        }
        fill(&mut response, &mut response_length, &mut from)?;
        for (attempt, ..) in &mut attempts {
            let body = match &attempt.response.body {
                At::Whole(_, bytes) => bytes,
                _ => &[][..],
            };
            (attempt.frames, attempt.untabled) = frames::read(&mut from, body)?;
        }
        if from.left() > 0 {
            return Err(Bad("there is more than there should be"));
        }
        let attempts = attempts.into_iter().map(|(attempt, ..)| attempt).collect();
        Ok(Self { request, attempts, response })
    }
}

/// A leg, and the length of its body where that stands further behind.
fn read_leg<'a>(from: &mut Cursor<'_>) -> Result<(LegRead<'a>, usize), Bad> {
    let mut length = 0;
    let body = match from.byte()? {
        SAME => At::Same,
        RECIPE => At::Recipe(read_told(from)?),
        WHOLE => {
            let told = read_told(from)?;
            length = from.size()?;
            At::Whole(told, &[][..])
        }
        code => At::Absent(absent(code).ok_or(Bad("a body is of an unknown kind"))?),
    };
    Ok((LegRead { head: headers::read(from)?, body }, length))
}

fn fill<'a>(leg: &mut LegRead<'a>, length: &mut usize, from: &mut Cursor<'a>) -> Result<(), Bad> {
    if let At::Whole(_, bytes) = &mut leg.body {
        *bytes = from.take(*length)?;
    }
    Ok(())
}

fn read_told(from: &mut Cursor<'_>) -> Result<Told, Bad> {
    let flags = from.byte()?;
    let cut_bytes = if flags & CUT != 0 { from.number()? } else { 0 };
    let coding = if flags & CODED != 0 { Some(from.string()?) } else { None };
    let recoded = if flags & RECODED != 0 { Some(from.byte()?) } else { None };
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(from.take(DIGEST_BYTES)?);
    Ok(Told { redacted: flags & REDACTED != 0, cut_bytes, coding, recoded, digest })
}

fn absent_code(absent: Absent) -> u8 {
    match absent {
        Absent::NotKept => 0,
        Absent::ShedMemory => 1,
        Absent::ShedQueue => 2,
        Absent::ShedDisk => 3,
        Absent::Removed => 4,
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
