//! Gives the legs of an exchange back.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension};

use crate::store::stored::{Body, Leg, Whole};
use crate::store::vault::rest::{At, Rest, RestLeg, Told};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::wire::{Bad, Cursor};
use crate::store::vault::{Part, VaultError, frames};
use crate::store::vault::{hash, recode, seal};

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
        let Some((rest, _)) = self.rest(connection, seq)? else { return Ok(None) };
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let mut tables = Cursor::new(&rest.frames);
        let mut legs =
            Legs { request: self.leg(connection, (seq, 0), rest.request)?, ..Legs::default() };
        for (n, attempt) in (1..).zip(rest.attempts) {
            let request = self.leg(connection, (seq, n), attempt.request)?;
            let response = self.leg(connection, (seq, n), attempt.response)?;
            let body = response.body.whole().map(|whole| &whole.bytes[..]).unwrap_or_default();
            let (frames, untabled) = frames::read(&mut tables, body).map_err(damaged)?;
            let edits = attempt.edits.into_iter().map(Cow::into_owned).collect();
            legs.attempts.push(AttemptLegs { request, response, edits, frames, untabled });
        }
        legs.response = self.leg(connection, (seq, 0), rest.response)?;
        if let (true, Some(own)) = (tables.left() > 0, legs.response.body.whole()) {
            let table = frames::read(&mut tables, &own.bytes).map_err(damaged)?;
            (legs.response_frames, legs.response_untabled) = table;
        }
        if tables.left() > 0 {
            return Err(damaged(Bad("there is more than there should be")));
        }
        Ok(Some(legs))
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
        (seq, leg): (i64, u64),
        read: RestLeg,
    ) -> Result<Leg, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = read.head.line.map(|line| text(&line));
        let headers = read
            .head
            .headers
            .map(|headers| headers.iter().map(|(name, value)| (text(name), text(value))).collect());
        let body = match read.body {
            At::Absent(absent) => Body::Absent(absent),
            At::Same => Body::Same,
            At::Recipe(told) => {
                let body = self.assemble(connection, seq, leg)?;
                whole(told, body).map_err(damaged)?
            }
            At::Whole(told, bytes) => whole(told, bytes.to_vec()).map_err(damaged)?,
            At::Woven(told, weave) => {
                whole(told, self.weave(connection, seq, &weave)?).map_err(damaged)?
            }
        };
        Ok(Leg { line, headers, body })
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
