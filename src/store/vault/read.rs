//! Gives the legs of an exchange back.

use std::borrow::Cow;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use crate::store::capture::Absent;
use crate::store::stored::{Body, Leg, Whole};
use crate::store::vault::rest::{At, Rest, RestLeg, Told};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::wire::{Bad, Cursor};
use crate::store::vault::{Part, VaultError, frames};
use crate::store::vault::{hash, recode, seal};

const REQUEST: &str = "request";
const ANSWER: &str = "answer";

/// What is done about a part that is damaged: go on without it, or stop.
type OnDamage<'a> = dyn FnMut(String, VaultError) -> Result<(), VaultError> + 'a;

/// Headers, bodies and times of one exchange.
#[derive(Debug, Clone, Default)]
pub struct Legs {
    pub request: Leg,
    pub attempts: Vec<AttemptLegs>,
    pub response: Leg,
    /// When the pieces of the client's answer went out, where it is one of its own.
    pub response_frames: Vec<(u64, u32)>,
    /// Pieces that this table had no row for.
    pub response_untabled: u64,
}

/// One try at a provider.
#[derive(Debug, Clone, Default)]
pub struct AttemptLegs {
    pub request: Leg,
    pub response: Leg,
    /// Fields whose bytes differ from the client's.
    pub edits: Vec<String>,
    /// Offset from the exchange's start in µs (to 100), length.
    pub frames: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    pub untabled: u64,
}

/// Everything kept of the exchange `seq`; `None` when nothing is.
pub fn read(connection: &Connection, seq: i64) -> Result<Option<Legs>, VaultError> {
    Shelf::new(seal::in_force()).read(connection, seq)
}

impl Shelf {
    /// As [`read`], with what was unpacked before at hand.
    pub fn read(&mut self, connection: &Connection, seq: i64) -> Result<Option<Legs>, VaultError> {
        self.read_as(connection, seq, &mut |_, error| Err(error))
    }

    /// As much as can be read: `found` hears of each part that is damaged, and the rest is given without it. An error only
    /// where nothing can be told apart, or the file itself cannot be read.
    pub fn salvage(
        &mut self,
        connection: &Connection,
        seq: i64,
        mut found: impl FnMut(String, Bad),
    ) -> Result<Option<Legs>, VaultError> {
        self.read_as(connection, seq, &mut |part, error| match error {
            VaultError::Damaged { reason, .. } => {
                found(part, reason);
                Ok(())
            }
            error @ VaultError::Sqlite(_) => Err(error),
        })
    }

    fn read_as(
        &mut self,
        connection: &Connection,
        seq: i64,
        on: &mut OnDamage<'_>,
    ) -> Result<Option<Legs>, VaultError> {
        let Some((rest, _)) = self.rest(connection, seq)? else { return Ok(None) };
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let mut tables = Cursor::new(&rest.frames);
        let mut are_tables_read = true;
        let request = self.leg(connection, (seq, 0, REQUEST), rest.request, on)?;
        let mut legs = Legs { request, ..Legs::default() };
        for (n, attempt) in (1..).zip(rest.attempts) {
            let request = self.leg(connection, (seq, n, REQUEST), attempt.request, on)?;
            let response = self.leg(connection, (seq, n, ANSWER), attempt.response, on)?;
            let is_damaged = matches!(response.body, Body::Absent(Absent::Damaged));
            let body = response.body.whole().map(|whole| &whole.bytes[..]).unwrap_or_default();
            let mut read = (Vec::new(), 0);
            if are_tables_read {
                match frames::read(&mut tables, body) {
                    Ok(table) => read = table,
                    Err(reason) => {
                        // The tables stand one behind the other: without this one, none after it. With a body that is
                        // damaged itself, it has been told.
                        are_tables_read = false;
                        if !is_damaged {
                            on(format!("the times of attempt {n}"), damaged(reason))?;
                        }
                    }
                }
            }
            let (frames, untabled) = read;
            let edits = attempt.edits.into_iter().map(Cow::into_owned).collect();
            legs.attempts.push(AttemptLegs { request, response, edits, frames, untabled });
        }
        legs.response = self.leg(connection, (seq, 0, ANSWER), rest.response, on)?;
        if are_tables_read
            && let (true, Some(own)) = (tables.left() > 0, legs.response.body.whole())
        {
            match frames::read(&mut tables, &own.bytes) {
                Ok(table) => (legs.response_frames, legs.response_untabled) = table,
                Err(reason) => {
                    are_tables_read = false;
                    on("the times of the client's answer".to_owned(), damaged(reason))?;
                }
            }
        }
        // Of a body that is damaged itself the table is not read.
        are_tables_read &= !matches!(legs.response.body, Body::Absent(Absent::Damaged));
        if are_tables_read && tables.left() > 0 {
            let more = damaged(Bad("there is more than there should be"));
            on("the times of the answers".to_owned(), more)?;
        }
        Ok(Some(legs))
    }

    /// Why a body of the exchange was let go; `None`: nothing of it says so.
    pub fn why_shed(
        &mut self,
        connection: &Connection,
        seq: i64,
    ) -> Result<Option<Absent>, VaultError> {
        let Some((mut rest, _)) = self.rest(connection, seq)? else { return Ok(None) };
        Ok(rest.legs_mut().find_map(|leg| match leg.body {
            At::Absent(why @ (Absent::ShedMemory | Absent::ShedQueue | Absent::ShedDisk)) => {
                Some(why)
            }
            _ => None,
        }))
    }

    /// The own part of an exchange, and the number of its dictionary.
    pub(super) fn rest(
        &mut self,
        connection: &Connection,
        seq: i64,
    ) -> Result<Option<(Rest<'static>, i64)>, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let row = connection
            .prepare_cached("SELECT rest_dictionary, rest FROM bodies WHERE seq = ?1")?
            .query_row([seq], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
            })
            .optional()?;
        let Some((Some(id), Some(blob))) = row else { return Ok(None) };
        let plain = self.open(connection, &blob, id, (seq, Part::Rest)).map_err(damaged)?;
        let rest = self.parse_rest(connection, plain).map_err(damaged)?;
        Ok(Some((rest, if id < 0 { -1 - id } else { id })))
    }

    pub(super) fn parse_rest(
        &mut self,
        connection: &Connection,
        plain: Vec<u8>,
    ) -> Result<Rest<'static>, Bad> {
        let (templates, seal) = (&mut self.templates, self.seal.as_deref());
        Rest::parse(plain, |from| templates.read(connection, seal, from))
    }

    fn leg(
        &mut self,
        connection: &Connection,
        (seq, leg, side): (i64, u64, &str),
        read: RestLeg,
        on: &mut OnDamage<'_>,
    ) -> Result<Leg, VaultError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = read.head.line.map(|line| text(&line));
        let headers = read
            .head
            .headers
            .map(|headers| headers.iter().map(|(name, value)| (text(name), text(value))).collect());
        let body = match self.body(connection, (seq, leg), read.body) {
            Ok(body) => body,
            Err(error) => {
                let whose = match leg {
                    0 => format!("the client's {side}"),
                    n => format!("the provider's {side} of attempt {n}"),
                };
                on(whose, error)?;
                Body::Absent(Absent::Damaged)
            }
        };
        Ok(Leg { line, headers, body })
    }

    fn body(
        &mut self,
        connection: &Connection,
        (seq, leg): (i64, u64),
        at: At<Bytes>,
    ) -> Result<Body, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let (told, bytes) = match at {
            At::Absent(absent) => return Ok(Body::Absent(absent)),
            At::Same => return Ok(Body::Same),
            At::Recipe(told) => (told, self.assemble(connection, seq, leg)?),
            At::Whole(told, bytes) => (told, bytes.to_vec()),
            At::Woven(told, weave) => (told, self.weave(connection, seq, &weave)?),
        };
        whole(told, bytes).map_err(damaged)
    }
}

fn whole(told: Told, bytes: Vec<u8>) -> Result<Body, Bad> {
    if hash::digest(&bytes) != told.digest {
        return Err(Bad("a body does not have the digest it was stored with"));
    }
    let mut whole =
        Whole { bytes, cut_bytes: told.cut_bytes, coding: told.coding, redacted: told.redacted };
    if let Some(recoded) = told.recoded {
        match recode::again(recoded.way, &whole.bytes) {
            Ok(coded) if hash::digest(&coded) == recoded.digest => whole.bytes = coded,
            // Another version of zstd compresses it in another way: what it says is there, its bytes on the wire are not.
            _ => (whole.coding, whole.redacted) = (None, true),
        }
    }
    Ok(Body::Whole(whole))
}
