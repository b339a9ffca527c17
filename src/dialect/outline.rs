//! Where a body may be cut so that its parts are found again in the next one: after each message and each tool, around long
//! texts. One pass over any JSON object, by its structure alone and no names but one; what comes out is a hint.

use std::ops::Range;

use crate::base::json;

/// Where a body falls into parts that are likely to come again. A hint: whatever it says, the body is stored exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Ends of parts, ascending: after each message, each tool, around long texts.
    pub cuts: Vec<u32>,
    /// Spans that move through a conversation without meaning anything for it (`cache_control`), ascending, disjoint.
    pub marks: Vec<Range<u32>>,
    /// Spans of base64 that stand for binary data, ascending, disjoint.
    pub media: Vec<Range<u32>>,
    /// It is not known what this is: cut it by its content.
    pub unknown: bool,
}

/// Parts shorter than this join their neighbour. Marks do not count: a part is the same with them and without.
const PART_MIN: usize = 64;
/// Texts from this length on are parts of their own.
const TEXT_MIN: usize = 512;
/// Base64 from this length on may be something binary.
const MEDIA_MIN: usize = 1_024;
/// Limit: bytes of a mark's value.
const MARK_MAX: usize = 256;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Looks for places to cut `body` at.
pub fn outline(body: &[u8]) -> Outline {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if !text.trim_ascii_start().starts_with(b"{") || u32::try_from(body.len()).is_err() {
        return Outline { unknown: true, ..Outline::default() };
    }
    let mut pass = Pass { body, ..Pass::default() };
    pass.run();
    pass.outline
}

/// The state of the pass. Depth 1 is the object at the top, depth 2 what its members hold.
#[derive(Default)]
struct Pass<'a> {
    body: &'a [u8],
    at: usize,
    depth: usize,
    /// At depth 2 or below an array stands open that is a member of the top.
    in_array: bool,
    /// The comma before the member under way.
    comma: Option<usize>,
    outline: Outline,
    last_cut: usize,
    /// Where the element of the array under way began.
    element: usize,
    /// Bytes of marks so far, and as many at the last cut.
    marked: usize,
    marked_at_cut: usize,
}

impl Pass<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.body.get(self.at) {
            match byte {
                b'"' => {
                    if self.string().is_none() {
                        return;
                    }
                    continue;
                }
                b'{' | b'[' => self.open(*byte == b'['),
                b'}' | b']' => self.close(),
                b',' => {
                    self.comma = Some(self.at);
                    if self.depth == 2 && self.in_array {
                        self.end_element();
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn open(&mut self, array: bool) {
        self.depth += 1;
        self.comma = None;
        if self.depth == 2 {
            self.in_array = array;
            if array {
                self.cut(self.at + 1);
                self.element = self.at + 1;
            }
        }
    }

    fn close(&mut self) {
        if self.depth == 2 && self.in_array {
            self.end_element();
            self.in_array = false;
        }
        self.depth = self.depth.saturating_sub(1);
        self.comma = None;
    }

    /// A string: a key or a value. `None` when it has no end.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        let end = json::string_end(self.body, start)?;
        self.at = end;
        let inner = start + 1..end - 1;
        if inner.len() == MARK_KEY.len() && self.body.get(inner.clone()) == Some(MARK_KEY) {
            self.mark(start);
        } else if inner.len() >= TEXT_MIN {
            if inner.len() >= MEDIA_MIN
                && let Some(media) = media(self.body, &inner)
            {
                self.outline.media.push(offset(media.start)..offset(media.end));
            }
            self.cut_long(inner.start);
            self.cut_long(inner.end);
        }
        Some(())
    }

    /// A member that begins with the key at `start` and moves without meaning anything.
    fn mark(&mut self, start: usize) {
        let colon = skip_space(self.body, self.at);
        let value = skip_space(self.body, colon + 1);
        if self.body.get(colon) != Some(&b':') || self.body.get(value) != Some(&b'{') {
            return;
        }
        let rest = self.body.get(value..).unwrap_or_default();
        let rest = rest.get(..MARK_MAX).unwrap_or(rest);
        // Only flat ones are known; a brace in a string would make it another.
        let Some(length) = memchr::memchr(b'}', rest) else { return };
        let flat = rest.get(1..length).unwrap_or_default();
        if flat.iter().any(|byte| matches!(byte, b'{' | b'[' | b'\\')) {
            return;
        }
        let end = value + length + 1;
        let after = skip_space(self.body, end);
        let span = match self.comma.take() {
            Some(comma) => comma..end,
            None if self.body.get(after) == Some(&b',') => start..skip_space(self.body, after + 1),
            None => start..end,
        };
        // With a comma of its own before it, the next member needs that comma.
        self.at = span.end;
        self.marked += span.len();
        self.outline.marks.push(offset(span.start)..offset(span.end));
    }

    /// Bytes since the last cut, without marks.
    fn since_cut(&self, at: usize) -> usize {
        (at - self.last_cut).saturating_sub(self.marked - self.marked_at_cut)
    }

    fn cut(&mut self, at: usize) {
        if at > self.last_cut {
            self.outline.cuts.push(offset(at));
            self.last_cut = at;
            self.marked_at_cut = self.marked;
        }
    }

    fn cut_long(&mut self, at: usize) {
        if self.since_cut(at) >= PART_MIN {
            self.cut(at);
        }
    }

    /// Cuts after the element that ends here, the white space behind it not counted.
    fn end_element(&mut self) {
        let before = self.body.get(..self.at).unwrap_or_default();
        let end = before.trim_ascii_end().len().max(self.last_cut).max(self.element);
        if self.since_cut(end) >= PART_MIN {
            self.cut(end);
        } else if self.last_cut > self.element {
            // What is left of an element that was cut inside stays with it.
            self.outline.cuts.pop();
            self.cut(end);
        }
        self.element = end;
    }
}

/// What client and provider agree to move about: where a prompt may be cached up to.
const MARK_KEY: &[u8] = b"cache_control";

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn skip_space(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count()
}

/// The part of a string that looks like base64: all of it, or of a data URL what comes behind the comma.
fn media(body: &[u8], inner: &Range<usize>) -> Option<Range<usize>> {
    const HEAD_MAX: usize = 128;
    const COMMA: &[u8] = b";base64,";
    let text = body.get(inner.clone())?;
    let start = if text.starts_with(b"data:") {
        memchr::memmem::find(text.get(..HEAD_MAX)?, COMMA)? + COMMA.len()
    } else {
        0
    };
    let data = text.get(start..)?;
    let of_base64 = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
    };
    let looks = |part: &[u8]| part.iter().all(of_base64);
    let has = |what: fn(&u8) -> bool| data.iter().take(HEAD_MAX).any(what);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let like = mixed && looks(data.get(..HEAD_MAX)?) && looks(data.get(data.len() - HEAD_MAX..)?);
    like.then_some(inner.start + start..inner.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The parts of a body without its marks, `¦` between them.
    fn parts(body: &str) -> String {
        let outline = outline(body.as_bytes());
        let mut shown = String::new();
        for (at, c) in body.char_indices() {
            let at = at as u32;
            if outline.cuts.contains(&at) {
                shown.push('¦');
            }
            if !outline.marks.iter().any(|mark| mark.contains(&at)) {
                shown.push(c);
            }
        }
        shown
    }

    fn long(words: usize) -> String {
        "some words. ".repeat(words)
    }

    #[test]
    fn elements_and_long_texts_are_parts() {
        let (medium, text) = (long(6), long(50));
        let body = format!(
            r#"{{"model":"m","tools":[{{"a":"{medium}"}},{{"b":1}},{{"c":"{medium}"}}],"messages":[{{"role":"user","content":[{{"id":"{medium}","text":"{text}"}}]}} , {{"role":"user","content":"{text}"}}],"n":1}}"#
        );
        assert_eq!(
            parts(&body),
            format!(
                r#"{{"model":"m","tools":[¦{{"a":"{medium}"}}¦,{{"b":1}},{{"c":"{medium}"}}¦],"messages":[¦{{"role":"user","content":[{{"id":"{medium}","text":"¦{text}"}}]}}¦ , {{"role":"user","content":"{text}"}}¦],"n":1}}"#
            )
        );
    }

    #[test]
    fn a_conversation_that_grows_keeps_its_parts() {
        let message =
            |n: usize| format!(r#"{{"role":"user","content":"{n} {}"}}"#, long(n % 9 * 8));
        let body = |count: usize| {
            let messages: Vec<_> = (0..count).map(message).collect();
            format!(r#"{{"model":"m","messages":[{}],"stream":true}}"#, messages.join(","))
        };
        let (shorter, longer) = (parts(&body(20)), parts(&body(21)));
        let shorter: Vec<_> = shorter.split('¦').collect();
        let longer: Vec<_> = longer.split('¦').collect();
        let same = shorter.iter().zip(&longer).take_while(|(one, two)| one == two).count();
        assert!(same + 2 >= shorter.len(), "{same} of {}", shorter.len());
    }

    #[test]
    fn marks_are_found_wherever_they_stand_and_change_no_part() {
        let medium = long(6);
        let with = |first: &str, second: &str, third: &str| {
            format!(
                r#"{{"system":[{{"type":"text","text":"{medium}"{first}}}],"messages":[{{{second}"role":"user"}},{{"x":"{medium}"}},{{{third}}}]}}"#
            )
        };
        let plain = parts(&with("", "", ""));
        for mark in
            [r#""cache_control":{"type":"ephemeral"}"#, r#""cache_control" : { "ttl": "1h" }"#]
        {
            let (before, after) = (format!(", {mark}"), format!("{mark}, "));
            assert_eq!(parts(&with(&before, "", "")), plain);
            assert_eq!(parts(&with("", &after, "")), plain);
            assert_eq!(parts(&with("", "", mark)), plain);
            assert_eq!(parts(&with(&before, &after, mark)), plain);
        }
        for no_mark in [
            r#", "cache_control": null"#,
            r#", "cache_control": {"a": {"b": 1}}"#,
            r#", "x": "cache_control""#,
        ] {
            assert_eq!(outline(with(no_mark, "", "").as_bytes()).marks, [], "{no_mark}");
        }
    }

    #[test]
    fn media_is_told_from_text() {
        let data = "iVBORw0KGgoAAAANSUhEUgAA".repeat(60);
        let body = format!(
            r#"{{"m":[{{"source":{{"data":"{data}"}}}},{{"image_url":{{"url":"data:image/png;base64,{data}"}}}},{{"text":"{}"}}]}}"#,
            "aB ".repeat(800)
        );
        let media = outline(body.as_bytes()).media;
        let spans: Vec<_> =
            media.iter().map(|span| &body[span.start as usize..span.end as usize]).collect();
        assert_eq!(spans, [&data, &data]);
        assert_eq!(outline(br#"{"a":""#).media, []);
    }

    #[test]
    fn what_is_no_object_is_unknown() {
        for body in [&b""[..], b"[1,2]", b"--boundary", b"\xff\x00", b"  \"text\""] {
            assert!(outline(body).unknown, "{body:?}");
        }
        assert!(!outline(b" \n{}").unknown);
        assert!(!outline(b"\xEF\xBB\xBF{}").unknown);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_in_order_and_inside(bytes in prop::collection::vec(prop_oneof![
            Just(b"{".to_vec()), Just(b"[".to_vec()), Just(b"}".to_vec()), Just(b"]".to_vec()), Just(b",".to_vec()),
            Just(b"\"cache_control\":{\"a\":1}".to_vec()), Just(b"\"x\":".to_vec()), Just(vec![b'"'; 1]),
            (500..1_200_usize).prop_map(|length| [&b"\""[..], &vec![b'a'; length], b"\""].concat()),
            any::<u8>().prop_map(|byte| vec![byte]),
        ], 0..40)) {
            let body = [b"{".to_vec(), bytes.concat()].concat();
            let outline = outline(&body);
            prop_assert!(outline.cuts.is_sorted_by(|one, two| one < two));
            prop_assert!(outline.cuts.iter().all(|cut| *cut as usize <= body.len()));
            for spans in [&outline.marks, &outline.media] {
                prop_assert!(spans.is_sorted_by(|one, two| one.end <= two.start));
                prop_assert!(spans.iter().all(|span| span.start < span.end && span.end as usize <= body.len()));
            }
        }
    }
}
