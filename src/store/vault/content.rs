//! The blob `content` of an exchange: the segments it brought, and the recipes of its requests.
//!
//! ```text
//!  1 │ number of recipes │ (leg, recipe)… │ number of segments │ (length × 2 + base64)… │ bytes of all segments
//! ```

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use crate::store::vault::index::Place;
use crate::store::vault::recipe::{Recipe, SEGMENTS_MAX};
use crate::store::vault::wire::{Bad, Cursor, Put};

const VERSION: u8 = 1;
/// What a frame goes on from, at most. Part of the format: both sides have to come to the same.
const WINDOW_BYTES: usize = 64 << 10;

/// How the bytes of a segment stand for its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// The text is base64 of the bytes, with padding.
    Base64,
    Base64Bare,
    Base64Url,
}

impl Form {
    const ALL: [Self; 4] = [Self::Text, Self::Base64, Self::Base64Bare, Self::Base64Url];

    /// The bytes that `text` is base64 of, when writing them again gives the same text.
    pub(super) fn decode(text: &[u8]) -> Option<(Self, Vec<u8>)> {
        [Self::Base64, Self::Base64Bare, Self::Base64Url].into_iter().find_map(|form| {
            let bytes = match form {
                Self::Text => return None,
                Self::Base64 => BASE64_STANDARD.decode(text),
                Self::Base64Bare => BASE64_STANDARD_NO_PAD.decode(text),
                Self::Base64Url => BASE64_URL_SAFE_NO_PAD.decode(text),
            };
            let mut again = Vec::with_capacity(text.len());
            form.write(bytes.as_deref().ok()?, &mut again);
            Some((form, bytes.ok()?)).filter(|_| again == text)
        })
    }

    /// The text that the bytes stand for.
    pub(super) fn write(self, bytes: &[u8], to: &mut Vec<u8>) {
        let text = match self {
            Self::Text => return to.extend_from_slice(bytes),
            Self::Base64 => BASE64_STANDARD.encode(bytes),
            Self::Base64Bare => BASE64_STANDARD_NO_PAD.encode(bytes),
            Self::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        };
        to.extend_from_slice(text.as_bytes());
    }
}

/// The content of one exchange, unpacked.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) seq: i64,
    /// The content that its frame goes on from.
    pub(super) before: Option<Arc<Content>>,
    pub(super) legs: Vec<LegRecipe>,
    segments: Vec<(Range<usize>, Form)>,
    plain: Vec<u8>,
}

/// The recipe of one request's body.
#[derive(Debug)]
pub(super) struct LegRecipe {
    /// 0 for the client's request, n for that of attempt n, counted from 1.
    pub(super) leg: u64,
    pub(super) recipe: Recipe,
    /// Segments that earlier legs of the exchange have introduced.
    pub(super) own: usize,
    /// Filled at the first use.
    pub(super) list: OnceLock<List>,
}

/// The segments of a body, in order.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) places: Arc<[Place]>,
    /// How many bases had to be looked at.
    pub(super) depth: usize,
}

impl LegRecipe {
    /// The list of the exchange `seq`, whose recipe stands on `based`.
    pub(super) fn expand(&self, seq: i64, based: Option<&List>) -> Result<List, Bad> {
        if let Some(list) = self.list.get() {
            return Ok(list.clone());
        }
        let places = based.map(|list| &*list.places).unwrap_or_default();
        let places = self.recipe.list(seq, self.own, places)?.into();
        let list = List { places, depth: based.map_or(0, |list| list.depth + 1) };
        Ok(self.list.get_or_init(|| list).clone())
    }
}

impl Content {
    pub(super) fn parse(seq: i64, before: Option<Arc<Self>>, plain: Vec<u8>) -> Result<Self, Bad> {
        let mut cursor = Cursor::new(&plain);
        if cursor.byte()? != VERSION {
            return Err(Bad("the content was written in a newer form"));
        }
        let (mut legs, mut own) = (Vec::new(), 0_usize);
        for _ in 0..cursor.count()? {
            let leg = cursor.number()?;
            let recipe = Recipe::read(seq, &mut cursor)?;
            let introduced = recipe.own();
            legs.push(LegRecipe { leg, recipe, own, list: OnceLock::new() });
            own = own.saturating_add(introduced);
        }
        let count = cursor.count()?;
        if count > SEGMENTS_MAX {
            return Err(Bad("a content has too many segments"));
        }
        let (mut segments, mut at) = (Vec::with_capacity(count), 0_usize);
        for _ in 0..count {
            let head = cursor.size()?;
            let form = *Form::ALL.get(head & 3).ok_or(Bad("a segment is of an unknown form"))?;
            let end = at.checked_add(head >> 2).ok_or(Bad("a segment is too long"))?;
            segments.push((at..end, form));
            at = end;
        }
        if cursor.left() != at {
            return Err(Bad("a content is not as long as its segments"));
        }
        let head = plain.len() - at;
        for (span, _) in &mut segments {
            *span = span.start + head..span.end + head;
        }
        Ok(Self { seq, before, legs, segments, plain })
    }

    pub(super) fn segment(&self, index: u32) -> Option<(&[u8], Form)> {
        let (span, form) = self.segments.get(index as usize)?;
        Some((self.plain.get(span.clone())?, *form))
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (&[u8], Form)> {
        self.segments
            .iter()
            .map(|(span, form)| (self.plain.get(span.clone()).unwrap_or_default(), *form))
    }

    /// This content and those before it, the oldest first: what the next goes on from.
    pub(super) fn window(&self) -> Vec<u8> {
        let (mut parts, mut bytes, mut content) = (Vec::new(), 0, Some(self));
        while let Some(part) = content.filter(|_| bytes < WINDOW_BYTES) {
            bytes += part.plain.len();
            parts.push(&part.plain[..]);
            content = part.before.as_deref();
        }
        let mut window = Vec::with_capacity(bytes);
        parts.iter().rev().for_each(|part| window.extend_from_slice(part));
        window.drain(..window.len().saturating_sub(WINDOW_BYTES));
        window
    }

    /// How many contents stand before it.
    pub(super) fn depth(&self) -> usize {
        std::iter::successors(self.before.as_deref(), |content| content.before.as_deref()).count()
    }

    pub(super) fn leg(&self, leg: u64) -> Option<&LegRecipe> {
        self.legs.iter().find(|recipe| recipe.leg == leg)
    }

    /// Bytes it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        self.plain.len() + self.segments.len() * 96 + 256
    }
}

/// A content under construction.
#[derive(Debug, Default)]
pub(super) struct Draft {
    recipes: Vec<u8>,
    legs: u64,
    segments: Vec<(Range<usize>, Form)>,
    bytes: Vec<u8>,
}

impl Draft {
    /// Adds a segment and gives its number.
    pub(super) fn push(&mut self, bytes: &[u8], form: Form) -> u32 {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.segments.push((start..self.bytes.len(), form));
        self.segments.len() as u32 - 1
    }

    /// The bytes of a segment.
    pub(super) fn segment(&self, index: u32) -> Option<&[u8]> {
        self.bytes.get(self.segments.get(index as usize)?.0.clone())
    }

    pub(super) fn recipe(&mut self, seq: i64, leg: u64, recipe: &Recipe) {
        self.legs += 1;
        self.recipes.put_number(leg);
        recipe.write(seq, &mut self.recipes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.legs == 0 && self.segments.is_empty()
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let length = self.recipes.len() + self.segments.len() * 3 + self.bytes.len() + 16;
        let mut plain = Vec::with_capacity(length);
        plain.push(VERSION);
        plain.put_number(self.legs);
        plain.extend_from_slice(&self.recipes);
        plain.put_number(self.segments.len() as u64);
        for (span, form) in &self.segments {
            let form = Form::ALL.iter().position(|known| known == form).unwrap_or_default();
            plain.put_number((span.len() as u64) << 2 | form as u64);
        }
        plain.extend_from_slice(&self.bytes);
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base64_is_taken_apart_only_when_it_comes_back(bytes: Vec<u8>, text in "[A-Za-z0-9+/=_-]{0,40}") {
            for form in [Form::Base64, Form::Base64Bare, Form::Base64Url] {
                let mut written = Vec::new();
                form.write(&bytes, &mut written);
                let (found, decoded) = Form::decode(&written).unwrap();
                prop_assert_eq!(&decoded, &bytes);
                let mut again = Vec::new();
                found.write(&decoded, &mut again);
                prop_assert_eq!(again, written);
            }
            if let Some((form, bytes)) = Form::decode(text.as_bytes()) {
                let mut again = Vec::new();
                form.write(&bytes, &mut again);
                prop_assert_eq!(again, text.as_bytes());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(content) = Content::parse(5, None, [&[VERSION], &bytes[..]].concat()) {
                prop_assert!(content.segments().count() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_draft_is_read_as_it_was_made() {
        let mut draft = Draft::default();
        assert!(draft.is_empty());
        assert_eq!(draft.push(b"one", Form::Text), 0);
        assert_eq!(draft.push(&[0xff; 300], Form::Base64Url), 1);
        let places = [Place { seq: 9, index: 0 }, Place { seq: 9, index: 1 }];
        draft.recipe(9, 0, &Recipe::to(&places, 9, 0, None, Vec::new()));
        let content = Content::parse(9, None, draft.write()).unwrap();
        let segments: Vec<_> = content.segments().collect();
        assert_eq!(segments, [(&b"one"[..], Form::Text), (&[0xff; 300][..], Form::Base64Url)]);
        assert_eq!(content.segment(1), Some(segments[1]));
        assert_eq!(content.segment(2), None);
        let leg = content.leg(0).unwrap();
        assert_eq!(leg.recipe.list(9, leg.own, &[]).unwrap(), places);
        assert!(content.leg(1).is_none());
    }
}
