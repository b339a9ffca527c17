//! Names with wildcards: `*` stands for any run of characters, `?` for any one, and ASCII case does not matter.

/// A pattern as a query has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    /// The same in lower case, as far as ASCII goes.
    text: String,
    wild: bool,
}

impl Pattern {
    /// A name in which `*` and `?` are wildcards.
    pub fn new(text: &str) -> Self {
        Self {
            written: text.to_owned(),
            text: text.to_ascii_lowercase(),
            wild: text.contains(['*', '?']),
        }
    }

    /// A name that stands for itself.
    pub fn exact(text: &str) -> Self {
        Self { written: text.to_owned(), text: text.to_ascii_lowercase(), wild: false }
    }

    /// The name as it was written, where there is no wildcard in it.
    pub fn name(&self) -> Option<&str> {
        (!self.wild).then_some(self.written.as_str())
    }

    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Another text, with or without wildcards as this one has.
    pub(super) fn like(&self, text: &str) -> Self {
        if self.wild { Self::new(text) } else { Self::exact(text) }
    }

    /// The longest piece that each matching name has, in lower case; none where JSON would spell it in another way.
    pub(super) fn piece(&self) -> Option<&str> {
        let wildcards: &[char] = if self.wild { &['*', '?'] } else { &[] };
        let longest = self.text.split(wildcards).max_by_key(|piece| piece.len())?;
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/');
        (!longest.is_empty() && longest.chars().all(plain)).then_some(longest)
    }

    /// Every name matches.
    pub fn is_any(&self) -> bool {
        self.wild && self.text.bytes().all(|byte| byte == b'*')
    }

    pub fn matches(&self, name: &str) -> bool {
        if !self.wild {
            return self.text.eq_ignore_ascii_case(name);
        }
        let pattern: Vec<char> = self.text.chars().collect();
        let name: Vec<char> = name.chars().map(|c| c.to_ascii_lowercase()).collect();
        wild(&pattern, &name)
    }

    /// The pattern of SQLite's GLOB that matches the same names in lower case.
    pub(super) fn glob(&self) -> String {
        self.glob_of(&self.text)
    }

    /// The same where case matters: ids.
    pub(super) fn glob_as_written(&self) -> String {
        self.glob_of(&self.written)
    }

    fn glob_of(&self, text: &str) -> String {
        let mut glob = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            match character {
                '[' => glob.push_str("[[]"),
                '*' if !self.wild => glob.push_str("[*]"),
                '?' if !self.wild => glob.push_str("[?]"),
                other => glob.push(other),
            }
        }
        glob
    }
}

/// Goes back to the last star only, which is enough: an earlier one could take no more than this one can.
fn wild(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = name.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                from = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_take_any_run_and_case_does_not_matter() {
        for (pattern, yes, no) in [
            ("gpt-5*", vec!["gpt-5", "GPT-5-mini"], vec!["xgpt-5", "gpt-4"]),
            ("/v1/*", vec!["/v1/chat/completions"], vec!["/v2/v1/"]),
            ("*mini*", vec!["gpt-5-mini", "mini"], vec!["min"]),
            ("gpt-?", vec!["gpt-5"], vec!["gpt-", "gpt-55"]),
            ("a[b]*", vec!["a[b]c"], vec!["abc"]),
            ("*", vec!["", "x"], vec![]),
        ] {
            let pattern = Pattern::new(pattern);
            assert!(yes.iter().all(|name| pattern.matches(name)), "{pattern:?}");
            assert!(!no.iter().any(|name| pattern.matches(name)), "{pattern:?}");
        }
        assert!(Pattern::exact("a*").matches("A*") && !Pattern::exact("a*").matches("ab"));
    }

    #[test]
    fn the_longest_piece_is_in_every_match() {
        for (pattern, piece) in
            [("T-7*", Some("t-7")), ("a*bc?", Some("bc")), ("*", None), ("a/b", None), ("é", None)]
        {
            assert_eq!(Pattern::new(pattern).piece(), piece, "{pattern}");
        }
        assert_eq!(Pattern::exact("a*b").piece(), Some("a*b"));
    }

    proptest! {
        #[test]
        fn sqlite_agrees(pattern in "[ab*?\\[\\]é]{0,8}", name in "[abB*?\\[\\]é]{0,8}", quoted: bool) {
            let pattern = if quoted { Pattern::exact(&pattern) } else { Pattern::new(&pattern) };
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let found: bool = connection
                .query_row("SELECT lower(?1) GLOB ?2", (&name, pattern.glob()), |row| row.get(0))
                .unwrap();
            prop_assert_eq!(pattern.matches(&name), found);
        }
    }
}
