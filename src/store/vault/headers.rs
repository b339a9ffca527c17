//! The line and the headers of a leg.

use bytes::Bytes;

use crate::store::vault::wire::{Bad, Cursor, Put};

/// A leg's line and headers as they are read.
pub(super) type Head = (Option<String>, Option<Vec<(String, String)>>);

const LINE: u8 = 1;
const HEADERS: u8 = 2;

pub(super) fn write(line: Option<&str>, headers: Option<&[(Bytes, Bytes)]>, to: &mut Vec<u8>) {
    to.push(if line.is_some() { LINE } else { 0 } | if headers.is_some() { HEADERS } else { 0 });
    if let Some(line) = line {
        to.put_text(line.as_bytes());
    }
    if let Some(headers) = headers {
        to.put_number(headers.len() as u64);
        for (name, value) in headers {
            to.put_text(name);
            to.put_text(value);
        }
    }
}

pub(super) fn read(from: &mut Cursor<'_>) -> Result<Head, Bad> {
    let flags = from.byte()?;
    let line = if flags & LINE != 0 { Some(from.string()?) } else { None };
    if flags & HEADERS == 0 {
        return Ok((line, None));
    }
    let count = from.count()?;
    let mut headers = Vec::with_capacity(count.min(1_024));
    for _ in 0..count {
        headers.push((from.string()?, from.string()?));
    }
    Ok((line, Some(headers)))
}
