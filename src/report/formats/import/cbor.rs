//! CBOR (RFC 8949), as far as captures need it: a sequence of items, read one after the other from a stream.

use std::io::{self, BufRead, Read as _};

use crate::report::formats::import::ITEM_MAX;

/// Limit: containers in each other.
const DEPTH_MAX: usize = 32;

/// An item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Value {
    pub(super) fn get(&self, name: &str) -> &Self {
        let Self::Map(members) = self else { return &Self::Null };
        let is_it = |key: &Self| matches!(key, Self::Text(text) if text == name);
        members.iter().find(|(key, _)| is_it(key)).map_or(&Self::Null, |(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }
}

/// The next item; `None` at the end of the file.
pub(super) fn item(from: &mut dyn BufRead) -> io::Result<Option<Value>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut decoder = Decoder { from, left: ITEM_MAX };
    decoder.item(0).map(Some)
}

struct Decoder<'a> {
    from: &'a mut dyn BufRead,
    /// Bytes that this item may still take.
    left: usize,
}

fn wrong(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Decoder<'_> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.exactly(&mut byte)?;
        Ok(byte[0])
    }

    fn exactly(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(into.len()).ok_or_else(too_large)?;
        self.from.read_exact(into).map_err(|_| wrong("it was cut in an item"))
    }

    /// The number that an item's head carries; `None`: the item is of indefinite length.
    fn argument(&mut self, short: u8) -> io::Result<Option<u64>> {
        let width = match short {
            0..=23 => return Ok(Some(u64::from(short))),
            24..=27 => 1_usize << (short - 24),
            31 => return Ok(None),
            _ => return Err(wrong("an item's head is reserved")),
        };
        let mut bytes = [0; 8];
        self.exactly(bytes.get_mut(8 - width..).unwrap_or_default())?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    fn item(&mut self, depth: usize) -> io::Result<Value> {
        let head = self.byte()?;
        self.after_head(head, depth)
    }

    fn after_head(&mut self, head: u8, depth: usize) -> io::Result<Value> {
        if depth > DEPTH_MAX {
            return Err(wrong("items are nested deeper than 32"));
        }
        let (major, short) = (head >> 5, head & 31);
        if major == 7 {
            return self.simple(short);
        }
        let argument = self.argument(short)?;
        let definite = || argument.ok_or_else(|| wrong("a number of indefinite length"));
        Ok(match major {
            0 => {
                Value::Int(i64::try_from(definite()?).map_err(|_| wrong("a number is too large"))?)
            }
            1 => Value::Int(
                i64::try_from(definite()?)
                    .map_err(|_| wrong("a number is too large"))?
                    .wrapping_neg()
                    - 1,
            ),
            2 => Value::Bytes(self.string(argument, major)?),
            3 => {
                let bytes = self.string(argument, major)?;
                Value::Text(String::from_utf8(bytes).map_err(|_| wrong("a text is no UTF-8"))?)
            }
            4 => {
                let mut items = Vec::new();
                self.repeat(argument, depth, &mut |_, item| {
                    items.push(item);
                    Ok(())
                })?;
                Value::List(items)
            }
            5 => {
                let mut members = Vec::new();
                self.repeat(argument, depth, &mut |decoder, key| {
                    let value = decoder.item(depth + 1)?;
                    members.push((key, value));
                    Ok(())
                })?;
                Value::Map(members)
            }
            // A tag says how to understand the item after it; the item is what is wanted.
            _ => self.item(depth + 1)?,
        })
    }

    fn repeat(
        &mut self,
        count: Option<u64>,
        depth: usize,
        take: &mut dyn FnMut(&mut Self, Value) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut taken = 0;
        while count.is_none_or(|count| taken < count) {
            let head = self.byte()?;
            if head == 0xff && count.is_none() {
                break;
            }
            let item = self.after_head(head, depth + 1)?;
            take(self, item)?;
            taken += 1;
        }
        Ok(())
    }

    fn string(&mut self, length: Option<u64>, major: u8) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(length) = length {
            self.append(length, &mut bytes)?;
            return Ok(bytes);
        }
        loop {
            let head = self.byte()?;
            if head == 0xff {
                return Ok(bytes);
            }
            if head >> 5 != major {
                return Err(wrong("a string holds something else"));
            }
            let length = self.argument(head & 31)?.ok_or_else(|| wrong("a string in a string"))?;
            self.append(length, &mut bytes)?;
        }
    }

    fn append(&mut self, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| too_large())?;
        self.left = self.left.checked_sub(length).ok_or_else(too_large)?;
        // Grows as bytes come: a length that lies costs nothing.
        let read = (&mut *self.from).take(length as u64).read_to_end(bytes)?;
        if read == length { Ok(()) } else { Err(wrong("it was cut in an item")) }
    }

    fn simple(&mut self, short: u8) -> io::Result<Value> {
        Ok(match short {
            20 => Value::Bool(false),
            21 => Value::Bool(true),
            22 | 23 => Value::Null,
            25 => {
                let mut bytes = [0; 2];
                self.exactly(&mut bytes)?;
                Value::Float(half(u16::from_be_bytes(bytes)))
            }
            26 => {
                let mut bytes = [0; 4];
                self.exactly(&mut bytes)?;
                Value::Float(f64::from(f32::from_be_bytes(bytes)))
            }
            27 => {
                let mut bytes = [0; 8];
                self.exactly(&mut bytes)?;
                Value::Float(f64::from_be_bytes(bytes))
            }
            _ => return Err(wrong("a simple value is not known")),
        })
    }
}

fn too_large() -> io::Error {
    wrong("an item is over the limit of 256 MiB")
}

/// A float of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1_023));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1_024.0) * 2f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mut bytes: &[u8]) -> io::Result<Option<Value>> {
        item(&mut bytes)
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (bytes, value) in [
            (&[0x18, 0x64][..], Value::Int(100)),
            (&[0x38, 0x63], Value::Int(-100)),
            (&[0xf9, 0x3c, 0x00], Value::Float(1.0)),
            (&[0xf9, 0x00, 0x01], Value::Float(5.960_464_477_539_063e-8)),
            (&[0xfa, 0x47, 0xc3, 0x50, 0x00], Value::Float(100_000.0)),
            (&[0xfb, 0xc0, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66], Value::Float(-4.1)),
            (&[0xf5], Value::Bool(true)),
            (&[0xf6], Value::Null),
            (&[0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0], Value::Int(1_363_896_240)),
            (&[0x44, 1, 2, 3, 4], Value::Bytes(vec![1, 2, 3, 4])),
            (&[0x5f, 0x42, 1, 2, 0x41, 3, 0xff], Value::Bytes(vec![1, 2, 3])),
            (&[0x62, 0xc3, 0xbc], text("ü")),
            (&[0x9f, 0x01, 0x80, 0xff], Value::List(vec![Value::Int(1), Value::List(vec![])])),
            (&[0xbf, 0x61, 0x61, 0x01, 0xff], Value::Map(vec![(text("a"), Value::Int(1))])),
        ] {
            assert_eq!(read(bytes).unwrap().unwrap(), value, "{bytes:x?}");
        }
        assert!(read(&[]).unwrap().is_none());
    }

    #[test]
    fn what_lies_is_refused() {
        for bytes in [
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0x5a, 0x0f, 0xff, 0xff, 0xff, 1],
            &[0x61, 0xff],
            &[0x1c],
            &[0xff],
            &[0x82, 0x01],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(read(bytes).is_err(), "{bytes:x?}");
        }
        assert!(read(&[0x81; 100]).unwrap_err().to_string().contains("nested"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = read(&bytes);
        }
    }
}
