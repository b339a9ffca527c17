//! Typed netstrings, as mitmproxy writes its flows: `length:bytes` and a letter for the kind.

use std::io::{self, BufRead, Read as _};

use crate::report::formats::import::{DEPTH_MAX, ITEM_MAX};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Dict(Vec<(Vec<u8>, Self)>),
}

impl Value {
    pub(super) fn get(&self, name: &str) -> &Self {
        let Self::Dict(members) = self else { return &Self::Null };
        members
            .iter()
            .find(|(key, _)| key == name.as_bytes())
            .map_or(&Self::Null, |(_, value)| value)
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// As text; bytes that are no UTF-8 are Latin-1, as headers have it.
    pub(super) fn text(&self) -> Option<String> {
        let bytes = self.bytes()?;
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        })
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

    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

/// The next element of a file: the bytes inside it, and its kind. `None` at the end.
pub(super) fn element(from: &mut dyn BufRead) -> io::Result<Option<(Vec<u8>, u8)>> {
    let mut length: usize = 0;
    let mut digits = 0;
    loop {
        let mut byte = [0];
        if from.read(&mut byte)? == 0 {
            return if digits == 0 { Ok(None) } else { Err(wrong("it was cut in a length")) };
        }
        match byte[0] {
            digit @ b'0'..=b'9' if digits < 12 => {
                length = length * 10 + usize::from(digit - b'0');
                digits += 1;
            }
            b':' if digits > 0 => break,
            _ => return Err(wrong("a length was expected")),
        }
    }
    if length > ITEM_MAX {
        return Err(wrong("an element is over the limit of 256 MiB"));
    }
    let mut bytes = Vec::new();
    let wanted = length as u64 + 1;
    if from.take(wanted).read_to_end(&mut bytes)? as u64 != wanted {
        return Err(wrong("it was cut in an element"));
    }
    let kind = bytes.pop().unwrap_or_default();
    Ok(Some((bytes, kind)))
}

fn wrong(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What an element holds.
pub(super) fn value(bytes: &[u8], kind: u8) -> Option<Value> {
    parse(bytes, kind, 0)
}

fn parse(bytes: &[u8], kind: u8, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let word = || std::str::from_utf8(bytes).ok();
    Some(match kind {
        b',' | b';' => Value::Bytes(bytes.to_vec()),
        b'#' => Value::Int(word()?.parse().ok()?),
        b'^' => Value::Float(word()?.parse().ok()?),
        b'!' => Value::Bool(word()?.parse().ok()?),
        b'~' if bytes.is_empty() => Value::Null,
        b']' => {
            let (mut items, mut rest) = (Vec::new(), bytes);
            while !rest.is_empty() {
                let (item, after) = pop(rest, depth)?;
                items.push(item);
                rest = after;
            }
            Value::List(items)
        }
        b'}' => {
            let (mut members, mut rest) = (Vec::new(), bytes);
            while !rest.is_empty() {
                let (key, after) = pop(rest, depth)?;
                let (value, after) = pop(after, depth)?;
                let Value::Bytes(key) = key else { return None };
                members.push((key, value));
                rest = after;
            }
            Value::Dict(members)
        }
        _ => return None,
    })
}

fn pop(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let colon = bytes.iter().take(13).position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(bytes.get(..colon)?).ok()?.parse().ok()?;
    let rest = bytes.get(colon + 1..)?;
    let inside = rest.get(..length)?;
    let kind = *rest.get(length)?;
    Some((parse(inside, kind, depth + 1)?, rest.get(length + 1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Value> {
        let (bytes, kind) = element(&mut text.as_bytes()).ok()??;
        value(&bytes, kind)
    }

    #[test]
    fn every_kind_is_read() {
        assert_eq!(
            read("19:5:12345#4:true!1:0#]"),
            Some(Value::List(vec![Value::Int(12345), Value::Bool(true), Value::Int(0)]))
        );
        let dict = read("26:1:a;1:b,1:f;4:-1.5^1:n;0:~}").unwrap();
        assert_eq!(dict.get("a").text().as_deref(), Some("b"));
        assert_eq!((dict.get("f").number(), dict.get("n")), (Some(-1.5), &Value::Null));
        assert_eq!(dict.get("none"), &Value::Null);
        for wrong in ["", "5:ab,", "1:a?", "x", "3:1:a]", "1:x!", "1:x~", "9999999999999:a,"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut text = "0:]".to_owned();
        for _ in 0..=DEPTH_MAX {
            text = format!("{}:{text}]", text.len());
        }
        assert_eq!(read(&text), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in any::<u8>()) {
            let _read = value(&bytes, kind);
            let _read = element(&mut bytes.as_slice());
        }
    }
}
