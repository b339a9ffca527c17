//! Reads Rust as text, just well enough: where code is, which words stand in it, which paths it imports.
//!
//! It must not grow into a parser. What it can't tell apart, a rule should not depend on.

use super::tree::SourceFile;

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Replaces comments, strings and character literals by spaces, so that what remains is code.
pub(crate) fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            code.extend(
                bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }),
            );
            at = end;
        } else {
            code.push(if bytes[at].is_ascii() { bytes[at] } else { b' ' });
            at += 1;
        }
    }
    String::from_utf8(code).unwrap_or_default()
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |length| at + length);
    }
    if rest.starts_with(b"/*") {
        return block_comment_end(bytes, at);
    }
    match rest[0] {
        b'"' => string_end(bytes, at),
        b'\'' => character_end(bytes, at),
        b'r' if at == 0 || !is_word(bytes[at - 1]) || bytes[at - 1] == b'b' => {
            raw_string_end(bytes, at)
        }
        _ => at,
    }
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn character_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 1..];
    let width = match rest.first() {
        Some(b'\\') => {
            rest.iter().skip(2).position(|byte| *byte == b'\'').map_or(0, |length| length + 2)
        }
        Some(first) => {
            1 + rest
                .iter()
                .skip(1)
                .take_while(|byte| !first.is_ascii() && (**byte & 0xC0) == 0x80)
                .count()
        }
        None => 0,
    };
    // Without the closing quote it is a lifetime.
    if width > 0 && rest.get(width) == Some(&b'\'') { start + width + 2 } else { start }
}

fn raw_string_end(bytes: &[u8], start: usize) -> usize {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return start;
    }
    let mut closing = vec![b'"'];
    closing.resize(hashes + 1, b'#');
    let inside = &bytes[open + 1..];
    inside
        .windows(closing.len())
        .position(|window| window == closing)
        .map_or(bytes.len(), |length| open + 1 + length + closing.len())
}

/// Every place where `word` stands alone in `code`.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        (*at == 0 || !is_word(bytes[at - 1]))
            && bytes.get(at + word.len()).is_none_or(|byte| !is_word(*byte))
    })
}

/// The paths named after a `prefix::` at `at`, groups opened: `{a::b, c}` gives `a::b` and `c`.
fn paths_after(code: &str, at: usize) -> Vec<Vec<&str>> {
    let rest = code[at..].trim_start();
    if !rest.starts_with('{') {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(rest.len());
        let mut path: Vec<&str> = rest[..end].split("::").filter(|part| !part.is_empty()).collect();
        let inner = rest[end..].trim_start();
        if rest[..end].ends_with("::") && inner.starts_with('{') {
            return group(inner)
                .into_iter()
                .map(|mut tail| {
                    let mut whole = path.clone();
                    whole.append(&mut tail);
                    whole
                })
                .collect();
        }
        path.truncate(8);
        return vec![path];
    }
    group(rest)
}

fn group(rest: &str) -> Vec<Vec<&str>> {
    let end = closing(rest, 0);
    let inside = &rest[1..end.max(1)];
    let mut depth = 0;
    let mut start = 0;
    let mut paths = Vec::new();
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                paths.extend(paths_after(inside, start));
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        paths.extend(paths_after(inside, start));
    }
    paths
}

/// Offset of the brace that opens the body of the function at `at`; none for a declaration.
pub(crate) fn body_of(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Offset of the brace that closes the one at `open`; the end of the text when none does.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// One path into our own crate: from `crate::`, or from `super::` resolved against the file's place.
pub(crate) struct Import {
    pub(crate) offset: usize,
    pub(crate) path: Vec<String>,
}

pub(crate) fn imports(file: &SourceFile) -> Vec<Import> {
    let mut found = Vec::new();
    for at in words(&file.code, "crate") {
        let Some(rest) = file.code[at..].strip_prefix("crate::") else {
            continue;
        };
        let start = file.code.len() - rest.len();
        for path in paths_after(&file.code, start) {
            found.push(Import { offset: at, path: path.into_iter().map(str::to_owned).collect() });
        }
    }
    found.extend(super_imports(file));
    found
}

/// `super::` paths, as paths from the crate's root.
fn super_imports(file: &SourceFile) -> Vec<Import> {
    let mut found = Vec::new();
    for at in words(&file.code, "super") {
        if file.code[..at].ends_with("super::") || !file.code[at..].starts_with("super::") {
            continue;
        }
        let mut place: Vec<&str> = file.module();
        place.extend(inline_modules(&file.code, at));
        let mut rest = at;
        while file.code[rest..].starts_with("super::") {
            place.pop();
            rest += "super::".len();
        }
        for path in paths_after(&file.code, rest) {
            let whole = place.iter().chain(path.iter()).map(|part| (*part).to_owned()).collect();
            found.push(Import { offset: at, path: whole });
        }
    }
    found
}

/// Names of the `mod name { … }` blocks around `offset`.
fn inline_modules(code: &str, offset: usize) -> Vec<&str> {
    words(&code[..offset], "mod")
        .filter_map(|at| {
            let rest = &code[at + 3..];
            let open = at + 3 + rest.find(['{', ';'])?;
            let inside = code[open..].starts_with('{') && closing(code, open) > offset;
            inside.then(|| code[at + 3..open].trim())
        })
        .collect()
}
