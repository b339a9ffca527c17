//! Finds the value of one field in a `multipart/form-data` body by its span, beside parts of any size and content.

use std::ops::Range;

use memchr::memmem;

/// Limit: parts looked at.
const PARTS_MAX: usize = 1_000;

/// Limit: bytes of one part's headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The span of the value of field `name`; the last of several. Nothing when the content type has no boundary or the
/// body no such field.
pub fn find_value(content_type: &str, body: &[u8], name: &str) -> Option<Range<usize>> {
    let boundary = boundary(content_type)?;
    let mut found = None;
    for part in parts(body, &boundary).take(PARTS_MAX) {
        let Some(value) = value_of(body, &part, name) else {
            continue;
        };
        found = Some(value);
    }
    found
}

/// The `boundary` parameter of a multipart content type, unquoted.
pub fn boundary(content_type: &str) -> Option<String> {
    let (media_type, parameters) = content_type.split_once(';')?;
    let media_type = media_type.trim();
    if !media_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty())
}

/// The value of one `name=value` or `name="value"` in a header's parameters.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_start_matches([';', ' ', '\t']).trim();
        let (value, after) = read_value(after.trim_start());
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        // What stands before the next semicolon belongs to this parameter.
        rest = after.split_once(';').map_or("", |(_, next)| next);
    }
    None
}

/// A token, or a quoted string with backslash escapes; and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

/// The spans between the delimiters: each part with its headers, without the line end that belongs to the delimiter.
fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = Range<usize>> + 'a {
    let delimiter = format!("--{boundary}");
    let length = delimiter.len();
    let finder = memmem::Finder::new(&delimiter).into_owned();
    let mut from = 0;
    let mut starts = std::iter::from_fn(move || {
        loop {
            let at = from + finder.find(body.get(from..)?)?;
            from = at + length;
            // A delimiter stands at the start of a line and fills it, but for white space or the closing dashes. The
            // start is asked first, so that a body of nothing but delimiters is not searched to its end for each.
            let places = line_end_before(body, at)
                .and_then(|before| Some((before, delimiter_end(body, at + length)?)));
            if places.is_some() {
                return places;
            }
        }
    });
    let mut part_start = starts.next().map(|(_, after)| after);
    std::iter::from_fn(move || {
        let start = part_start?;
        let (end, next_start) = starts.next()?;
        part_start = Some(next_start);
        Some(start..end.max(start))
    })
}

/// Where the line before `at` ends, line end excluded; nothing when `at` is in the middle of a line.
fn line_end_before(body: &[u8], at: usize) -> Option<usize> {
    let before = body.get(..at)?;
    if before.is_empty() {
        return Some(0);
    }
    let without_lf = before.strip_suffix(b"\n")?;
    let without_cr = without_lf.strip_suffix(b"\r").unwrap_or(without_lf);
    Some(without_cr.len())
}

/// Where the line of a delimiter ends, line end included.
fn delimiter_end(body: &[u8], at: usize) -> Option<usize> {
    let rest = body.get(at..)?;
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let tail = rest.get(..end)?.trim_ascii();
    (tail.is_empty() || tail == b"--").then(|| (at + end + 1).min(body.len()))
}

/// The span of a part's content when it is the field `name`, and no file.
fn value_of(body: &[u8], part: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let content = body.get(part.clone())?;
    let head = content.get(..HEAD_BYTES_MAX).unwrap_or(content);
    let (head_end, value_start) = blank_line(head)?;
    let head = String::from_utf8_lossy(head.get(..head_end)?);
    let is_field = head.lines().any(|line| {
        let Some((header, value)) = line.split_once(':') else {
            return false;
        };
        let (_, parameters) = value.split_once(';').unwrap_or_default();
        header.trim().eq_ignore_ascii_case("content-disposition")
            && parameter(parameters, "name").as_deref() == Some(name)
            && parameter(parameters, "filename").is_none()
    });
    is_field.then_some(part.start + value_start..part.end)
}

/// Where the headers of a part end and its content begins.
fn blank_line(head: &[u8]) -> Option<(usize, usize)> {
    let crlf = memmem::find(head, b"\r\n\r\n").map(|at| (at, at + 4));
    let lf = memmem::find(head, b"\n\n").map(|at| (at, at + 2));
    match (crlf, lf) {
        (Some(crlf), Some(lf)) => Some(crlf.min(lf)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEECH: &str = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b=\\\"c.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\0\u{1}\r\n--xy\r\nmodel\r\n--xyzz\r\n name=\"model\"\r\n--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--xyz\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n--xyz--\r\n";

    fn check(content_type: &str, body: &str, expected: Option<&str>) {
        let span = find_value(content_type, body.as_bytes(), "model");
        let value = span.map(|span| &body[span]);
        assert_eq!(value, expected, "{content_type}");
    }

    #[test]
    fn the_model_is_found_beside_a_file() {
        check("multipart/form-data; boundary=xyz", SPEECH, Some("whisper-1"));
        check("Multipart/Form-Data; charset=utf-8; Boundary=\"xyz\"", SPEECH, Some("whisper-1"));
        check(
            "multipart/form-data; note=\"a;boundary=no\"; boundary=xyz ; x=y",
            SPEECH,
            Some("whisper-1"),
        );
    }

    #[test]
    fn line_ends_order_and_quotes_may_vary() {
        let lf = SPEECH.replace("\r\n", "\n");
        check("multipart/form-data; boundary=xyz", &lf, Some("whisper-1"));
        let unquoted = SPEECH.replace("name=\"model\"\r\n\r\n", "name=model\r\n\r\n");
        check("multipart/form-data; boundary=xyz", &unquoted, Some("whisper-1"));
        let extra_header = SPEECH.replace(
            "Content-Disposition: form-data; name=\"model\"",
            "content-type: text/plain\r\ncontent-disposition:form-data;name=\"model\"",
        );
        check("multipart/form-data; boundary=xyz", &extra_header, Some("whisper-1"));
        let preamble = format!("ignored preamble\r\n{SPEECH}epilogue");
        check("multipart/form-data; boundary=xyz", &preamble, Some("whisper-1"));
    }

    #[test]
    fn what_is_missing_is_not_found() {
        check("multipart/form-data", SPEECH, None);
        check("multipart/form-data; boundary=", SPEECH, None);
        check("application/json; boundary=xyz", SPEECH, None);
        check("multipart/form-data; boundary=other", SPEECH, None);
        check("multipart/form-data; boundary=xyz", "", None);
        check("multipart/form-data; boundary=xyz", "--xyz", None);
        check("multipart/form-data; boundary=xyz", "--xyz--", None);
        let as_file = SPEECH.replace("name=\"model\"\r\n", "name=\"model\"; filename=\"m\"\r\n");
        check("multipart/form-data; boundary=xyz", &as_file, None);
    }

    #[test]
    fn an_empty_value_has_an_empty_span() {
        let body = SPEECH.replace("whisper-1", "");
        check("multipart/form-data; boundary=xyz", &body, Some(""));
    }

    #[test]
    fn a_body_cut_anywhere_is_read_without_panic() {
        for cut in 0..SPEECH.len() {
            let found =
                find_value("multipart/form-data; boundary=xyz", &SPEECH.as_bytes()[..cut], "model");
            if let Some(span) = found {
                assert!(span.end <= cut);
            }
        }
    }
}
