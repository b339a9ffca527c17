//! Numbers and texts of the blobs: how they are written, and a cursor that reads them and never past their end.

use crate::base::varint;

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bad(pub &'static str);

const SHORT: Bad = Bad("a blob ends too soon");

/// Reads a blob from its beginning to its end.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Bad> {
        let (first, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Seven bits a byte, the lowest first; the high bit says that more follow.
    pub(super) fn number(&mut self) -> Result<u64, Bad> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Bad("a number in a blob is too large"))
    }

    /// A number of things that each take at least one byte of what is left.
    pub(super) fn count(&mut self) -> Result<usize, Bad> {
        let count = self.size()?;
        if count > self.rest.len() { Err(SHORT) } else { Ok(count) }
    }

    pub(super) fn size(&mut self) -> Result<usize, Bad> {
        usize::try_from(self.number()?).map_err(|_| Bad("a number in a blob is too large"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Bad> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Bytes with their number before them.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Bad> {
        let length = self.size()?;
        self.take(length)
    }

    pub(super) fn string(&mut self) -> Result<String, Bad> {
        Ok(String::from_utf8_lossy(self.text()?).into_owned())
    }
}

/// What [`Cursor`] reads, written.
pub(super) trait Put {
    fn put_number(&mut self, number: u64);

    fn put_signed(&mut self, number: i64);

    fn put_text(&mut self, text: &[u8]);
}

impl Put for Vec<u8> {
    fn put_number(&mut self, number: u64) {
        varint::push(self, number);
    }

    fn put_signed(&mut self, number: i64) {
        self.put_number((number << 1 ^ number >> 63).cast_unsigned());
    }

    fn put_text(&mut self, text: &[u8]) {
        self.put_number(text.len() as u64);
        self.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, signed: i64, text: Vec<u8>) {
            let mut bytes = Vec::new();
            bytes.put_number(number);
            bytes.put_signed(signed);
            bytes.put_text(&text);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.number(), Ok(number));
            prop_assert_eq!(cursor.signed(), Ok(signed));
            prop_assert_eq!(cursor.text(), Ok(&text[..]));
            prop_assert_eq!((cursor.left(), cursor.byte()), (0, Err(SHORT)));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Cursor::new(&[0xff; 10]).number().is_err());
        assert!(Cursor::new(&[0x80]).number().is_err());
        assert!(Cursor::new(&[5, 1]).text().is_err());
        assert!(Cursor::new(&[9, 1]).count().is_err());
    }
}
