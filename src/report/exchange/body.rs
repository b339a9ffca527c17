//! The bytes of a body made readable: its coding undone, its kind told, its words found.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use crate::base::coding;
use crate::dialect::{complaint, messages};
use crate::neutral::kind::Dialect;
use crate::neutral::message::{Conversation, Message};
use crate::store::stored::{Stored, Whole};

/// Limit: bytes of a body after its coding is undone.
const CLEAR_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a body turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    Empty,
    /// Server-sent events.
    Events,
    Json(Value),
    Text(String),
    Binary,
}

/// The bytes without their content coding; of a body that was cut, as much of the beginning as can be read.
pub fn clear(whole: &Whole) -> Cow<'_, [u8]> {
    let Some(coding) = whole.coding.as_deref() else { return Cow::Borrowed(&whole.bytes) };
    let bytes = Bytes::copy_from_slice(&whole.bytes);
    match coding::decode(coding, &bytes, CLEAR_BYTES_MAX) {
        Ok(clear) => Cow::Owned(clear.to_vec()),
        Err(coding::CodingError::Unsupported { .. }) => Cow::Borrowed(&whole.bytes),
        Err(_) => Cow::Owned(coding::beginning(coding, &whole.bytes, CLEAR_BYTES_MAX)),
    }
}

pub fn form(clear: &[u8]) -> Form {
    let start = clear.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(clear).trim_ascii_start();
    if start.is_empty() {
        return Form::Empty;
    }
    let events = [b"data:".as_slice(), b"event:", b"id:", b"retry:", b": ", b":\n"];
    if events.iter().any(|head| start.starts_with(head)) {
        return Form::Events;
    }
    if matches!(start.first(), Some(b'{' | b'['))
        && let Ok(value) = serde_json::from_slice(start)
    {
        return Form::Json(value);
    }
    match std::str::from_utf8(clear) {
        Ok(text) if !is_binary(text.as_bytes()) => Form::Text(text.to_owned()),
        // Cut in the middle of a sign, or words in another coding.
        Err(error) if error.valid_up_to() + 4 > clear.len() && !is_binary(clear) => {
            Form::Text(String::from_utf8_lossy(clear).into_owned())
        }
        _ => Form::Binary,
    }
}

/// Whether a terminal should not see it: control bytes that no text has.
pub fn is_binary(bytes: &[u8]) -> bool {
    let control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    bytes.iter().any(control)
        || std::str::from_utf8(bytes).is_err_and(|error| {
            // The end may be cut in the middle of a sign.
            error.error_len().is_some() || error.valid_up_to() + 4 <= bytes.len()
        })
}

pub fn dialect(stored: &Stored) -> Option<Dialect> {
    Dialect::ALL.into_iter().find(|dialect| dialect.label() == stored.row.dialect)
}

/// What the client asked, where its words are understood.
pub fn asked(stored: &Stored, clear: &[u8]) -> Option<Conversation> {
    let conversation = messages::request(dialect(stored)?, clear);
    (!conversation.system.is_empty() || !conversation.messages.is_empty()).then_some(conversation)
}

/// What the answer says, put together of its events where it was a stream.
pub fn answered(stored: &Stored, clear: &[u8]) -> Option<Vec<Message>> {
    let dialect = dialect(stored)?;
    let messages = match form(clear) {
        Form::Events => messages::events(dialect, clear),
        Form::Json(_) => messages::document(dialect, clear),
        // A list of answers that was cut has no end to it.
        Form::Empty | Form::Text(_) | Form::Binary => Vec::new(),
    };
    (!messages.is_empty()).then_some(messages)
}

/// The answer's bytes that say most: those the client got, else the provider's last.
pub fn best_answer(stored: &Stored) -> Option<&Whole> {
    stored
        .client_response()
        .or_else(|| stored.upstream_response(stored.attempts.len().checked_sub(1)?))
}

/// What the provider says went wrong, in its own words; inside a stream too.
pub fn complaint(clear: &[u8]) -> Option<String> {
    let complaint = match form(clear) {
        Form::Events => complaint::of_events(clear),
        _ => complaint::of_document(clear),
    }?;
    let name = complaint.name();
    let kind = name.map(|name| format!("{name}: ")).unwrap_or_default();
    Some(format!("{kind}{}", complaint.message)).filter(|told| !told.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_by_the_bytes() {
        for (bytes, expected) in [
            (b"".as_slice(), Form::Empty),
            (b" \n", Form::Empty),
            (b"data: {}\n\n", Form::Events),
            (b": hello\n\n", Form::Events),
            (b"\xEF\xBB\xBFevent: x\n", Form::Events),
            (b"{\"a\":1}", Form::Json(serde_json::json!({ "a": 1 }))),
            (b"{\"a\":", Form::Text("{\"a\":".to_owned())),
            ("grüße".as_bytes(), Form::Text("grüße".to_owned())),
            (b"ab\xc3", Form::Text("ab\u{fffd}".to_owned())),
            (b"\x89PNG\r\n\x1a\n", Form::Binary),
            (b"a\0b", Form::Binary),
            (b"a\xff b c d e", Form::Binary),
        ] {
            assert_eq!(form(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn codings_are_undone_also_of_a_cut_body() {
        let text = b"hello hello hello hello".repeat(50);
        let coded = coding::gzip(&text);
        let whole = |bytes: &[u8], coding: &str| Whole {
            bytes: bytes.to_vec(),
            coding: Some(coding.to_owned()),
            ..Whole::default()
        };
        assert_eq!(clear(&whole(&coded, "gzip")).as_ref(), text);
        let cut = whole(&coded[..coded.len() - 9], "gzip");
        assert!(text.starts_with(&clear(&cut)) && !clear(&cut).is_empty());
        assert_eq!(clear(&whole(b"abc", "x-own")).as_ref(), b"abc");
    }
}
