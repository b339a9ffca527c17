//! Cuts a body into pieces that are likely to come again, by its outline or, where that says nothing, by its content.

use std::borrow::Cow;
use std::ops::Range;

use crate::store::capture::Outline;
use crate::store::vault::recipe::{Insert, SEGMENTS_MAX};

/// A body without its marks, and where it is cut.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// The body without its marks.
    pub(super) plain: Cow<'a, [u8]>,
    pub(super) pieces: Vec<Piece>,
    pub(super) marks: Vec<Insert>,
}

/// A span of the body without its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) span: Range<usize>,
    /// It looks like base64 of something binary.
    pub(super) media: bool,
}

/// Cuts `body`. Whatever the outline says, the pieces cover the body without its marks, in order and without gaps.
pub(super) fn cut<'a>(body: &'a [u8], outline: &Outline) -> Cut<'a> {
    let marks = spans(&outline.marks, body.len());
    let mut removed = Removed::new(&marks);
    let plain = without(body, &marks);
    let inserts = marks
        .iter()
        .scan(0, |before, mark| {
            let at = mark.start - *before;
            *before += mark.len();
            Some(Insert { at, text: body.get(mark.clone()).unwrap_or_default().to_vec() })
        })
        .collect();
    let by_content = outline.unknown || outline.cuts.len() > SEGMENTS_MAX / 2;
    let mut ends: Vec<usize> = if by_content {
        content_cuts(&plain)
    } else {
        outline.cuts.iter().map(|cut| removed.shift(*cut as usize)).collect()
    };
    let mut removed = Removed::new(&marks);
    let media: Vec<Range<usize>> = spans(&outline.media, body.len())
        .into_iter()
        .map(|span| removed.shift(span.start)..removed.shift(span.end))
        .collect();
    if !media.is_empty() {
        // A cut inside of base64 would break it.
        let mut spans = media.iter().peekable();
        ends.retain(|end| {
            while spans.next_if(|span| span.end <= *end).is_some() {}
            spans.peek().is_none_or(|span| *end <= span.start)
        });
        ends.extend(media.iter().flat_map(|span| [span.start, span.end]));
        ends.sort_unstable();
    }
    ends.push(plain.len());
    let mut media = media.iter().peekable();
    let (mut pieces, mut start) = (Vec::with_capacity(ends.len()), 0);
    for end in ends {
        if end > start && end <= plain.len() {
            while media.next_if(|span| span.end <= start).is_some() {}
            let is_media = media.peek().is_some_and(|span| **span == (start..end));
            pieces.push(Piece { span: start..end, media: is_media });
            start = end;
        }
    }
    Cut { plain, pieces, marks: inserts }
}

/// Where the place `at` of `text` is in what it became when something was hidden. What stands before the first and behind
/// the last change is found by its distance from the ends.
pub(super) fn moved(
    at: usize,
    text: &[u8],
    hidden: &[u8],
    hide: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> usize {
    let same = |(one, two): &(&u8, &u8)| one == two;
    let head = text.iter().zip(hidden).take_while(same).count();
    let tail = text.iter().rev().zip(hidden.iter().rev()).take_while(same).count();
    let behind = text.len() - at.min(text.len());
    if at <= head {
        at
    } else if behind <= tail {
        hidden.len() - behind
    } else {
        let before = text.get(..at).unwrap_or_default();
        hide(before).map_or(at, |before| before.len()).min(hidden.len())
    }
}

/// Spans as they should be: within the body, ascending, disjoint.
fn spans(given: &[Range<u32>], length: usize) -> Vec<Range<usize>> {
    let mut end = 0;
    let usable = given.iter().filter_map(|span| {
        let span = span.start as usize..span.end as usize;
        let fits = span.start >= end && span.start < span.end && span.end <= length;
        fits.then(|| {
            end = span.end;
            span
        })
    });
    usable.collect()
}

fn without<'a>(body: &'a [u8], marks: &[Range<usize>]) -> Cow<'a, [u8]> {
    if marks.is_empty() {
        return Cow::Borrowed(body);
    }
    let (mut plain, mut from) = (Vec::with_capacity(body.len()), 0);
    for mark in marks {
        plain.extend_from_slice(body.get(from..mark.start).unwrap_or_default());
        from = mark.end;
    }
    plain.extend_from_slice(body.get(from..).unwrap_or_default());
    Cow::Owned(plain)
}

/// Translates ascending offsets of a body to those of the body without its marks.
struct Removed<'a> {
    marks: std::iter::Peekable<std::slice::Iter<'a, Range<usize>>>,
    bytes: usize,
    last: usize,
}

impl<'a> Removed<'a> {
    fn new(marks: &'a [Range<usize>]) -> Self {
        Self { marks: marks.iter().peekable(), bytes: 0, last: 0 }
    }

    /// What is inside of a mark moves to its beginning; what does not ascend stays at the one before.
    fn shift(&mut self, offset: usize) -> usize {
        let offset = offset.max(self.last);
        self.last = offset;
        while let Some(mark) = self.marks.next_if(|mark| mark.end <= offset) {
            self.bytes += mark.len();
        }
        let offset = match self.marks.peek() {
            Some(mark) if mark.start < offset => mark.start,
            _ => offset,
        };
        offset - self.bytes
    }
}

/// Limits: a piece that is cut by its content.
const PIECE_MIN: usize = 1024;
const PIECE_MAX: usize = 8 * 1024;
/// Bits that must be zero for a cut: one in 2,048 bytes past the least.
const PIECE_MASK: u64 = 0x7ff << 40;

/// Random words for each byte, so that a cut depends on the 64 bytes before it. Part of the format in this sense alone: other
/// words cut elsewhere, and what was stored is not found again.
const GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut words = [0; 256];
    let mut state = 0x6a09_e667_f3bc_c908_u64;
    let mut at = 0;
    while at < words.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        words[at] = word ^ (word >> 31);
        at += 1;
    }
    words
}

/// Ends of pieces of 1 to 8 KiB, wherever the same bytes stand at the same place of them.
fn content_cuts(body: &[u8]) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut start = 0;
    while body.len() - start > PIECE_MIN {
        let end = body.len().min(start + PIECE_MAX);
        // The window is filled before the first place where a cut may be.
        let from = start + PIECE_MIN - 64;
        let mut state = 0_u64;
        let found = body.get(from..end).unwrap_or_default().iter().enumerate().find(|(n, byte)| {
            let word = GEAR.get(usize::from(**byte)).copied().unwrap_or_default();
            state = (state << 1).wrapping_add(word);
            *n >= 64 && state & PIECE_MASK == 0
        });
        start = found.map_or(end, |(n, _)| from + n + 1);
        cuts.push(start);
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(cut: &Cut<'_>) -> Vec<u8> {
        let mut end = 0;
        for piece in &cut.pieces {
            assert_eq!(piece.span.start, end);
            assert!(piece.span.end > end);
            end = piece.span.end;
        }
        assert_eq!(end, cut.plain.len());
        let (mut body, mut from) = (Vec::new(), 0);
        for insert in &cut.marks {
            body.extend_from_slice(&cut.plain[from..insert.at]);
            body.extend_from_slice(&insert.text);
            from = insert.at;
        }
        body.extend_from_slice(&cut.plain[from..]);
        body
    }

    fn range() -> impl Strategy<Value = Range<u32>> {
        (0..120_u32, 0..40_u32).prop_map(|(start, length)| start..start + length)
    }

    proptest! {
        #[test]
        fn whatever_the_outline_says_the_body_is_covered(
            body in prop::collection::vec(any::<u8>(), 0..100),
            cuts in prop::collection::vec(0..120_u32, 0..20),
            marks in prop::collection::vec(range(), 0..6),
            media in prop::collection::vec(range(), 0..6),
            unknown: bool,
        ) {
            let outline = Outline { cuts, marks, media, unknown };
            prop_assert_eq!(whole(&cut(&body, &outline)), body);
        }
    }

    #[test]
    fn cuts_marks_and_media_are_taken_where_they_are() {
        let body = b"[one,MARKtwo,\"QUJD\",three]";
        let outline = Outline {
            cuts: vec![4, 12, 25],
            marks: std::iter::once(5..9).collect(),
            media: std::iter::once(14..18).collect(),
            unknown: false,
        };
        let cut = cut(body, &outline);
        let text = |piece: &Piece| {
            (std::str::from_utf8(&cut.plain[piece.span.clone()]).unwrap().to_owned(), piece.media)
        };
        let pieces: Vec<_> = cut.pieces.iter().map(text).collect();
        let of = |text: &str, media| (text.to_owned(), media);
        assert_eq!(
            pieces,
            [
                of("[one", false),
                of(",two", false),
                of(",\"", false),
                of("QUJD", true),
                of("\",three", false),
                of("]", false)
            ]
        );
        assert_eq!(cut.marks, [Insert { at: 5, text: b"MARK".to_vec() }]);
        assert_eq!(whole(&cut), body);
    }

    #[test]
    fn what_is_unknown_is_cut_at_the_same_places_wherever_they_are() {
        let mut state = 1_u64;
        let mut noise = |length: usize| -> Vec<u8> {
            let next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            };
            std::iter::repeat_with(next).take(length).collect()
        };
        let (shared, one, two) = (noise(100_000), noise(3_000), noise(777));
        let of = |head: &[u8]| {
            let body = [head, &shared].concat();
            let outline = Outline { unknown: true, ..Outline::default() };
            let cut = cut(&body, &outline);
            assert_eq!(whole(&cut), body);
            assert!(cut.pieces.iter().all(|piece| piece.span.len() <= PIECE_MAX));
            let pieces = cut.pieces.iter().map(|piece| body[piece.span.clone()].to_vec());
            pieces.collect::<Vec<_>>()
        };
        let (one, two) = (of(&one), of(&two));
        let common = one.iter().filter(|piece| two.contains(piece)).count();
        assert!(one.len() > 20 && common + 4 > one.len(), "{common} of {}", one.len());
    }
}
