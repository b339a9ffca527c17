//! Model globs: `*` stands for any run of characters without `/`, `**` for any run at all; everything else for itself.

/// A parsed pattern, such as `ft:*` or `anthropic/**`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
    /// What every match begins with: most names are refused by it alone.
    prefix: String,
    /// The rest of the pattern, from its first star.
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Token {
    Literal(String),
    /// `*`
    Segment,
    /// `**`
    Anything,
}

impl Glob {
    pub fn new(pattern: &str) -> Self {
        let first_star = pattern.find('*').unwrap_or(pattern.len());
        let (prefix, mut rest) = pattern.split_at(first_star);
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let literal_end = rest.find('*').unwrap_or(rest.len());
            let (literal, stars) = rest.split_at(literal_end);
            if !literal.is_empty() {
                tokens.push(Token::Literal(literal.to_owned()));
            }
            rest = stars.trim_start_matches('*');
            match stars.len() - rest.len() {
                0 => {}
                1 => tokens.push(Token::Segment),
                _ => tokens.push(Token::Anything),
            }
        }
        Self { text: pattern.to_owned(), prefix: prefix.to_owned(), tokens }
    }

    /// The pattern as written: the metric label of models that only it admits.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// No star: the pattern is one name.
    pub fn is_literal(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether `name` matches, in time proportional to its length times the number of stars.
    pub fn matches(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(self.prefix.as_str()) else {
            return false;
        };
        match self.tokens.as_slice() {
            [] => rest.is_empty(),
            [Token::Anything] => true,
            [Token::Segment] => !rest.contains('/'),
            tokens => matches_tokens(tokens, rest.as_bytes()),
        }
    }
}

/// Keeps the set of places that the tokens so far can reach, so that no choice is ever tried twice.
fn matches_tokens(tokens: &[Token], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for token in tokens {
        reached = match token {
            Token::Literal(literal) => after_literal(&reached, name, literal.as_bytes()),
            Token::Segment => after_star(&reached, name, |byte| byte != b'/'),
            Token::Anything => after_star(&reached, name, |_| true),
        };
    }
    reached.last() == Some(&true)
}

fn after_literal(reached: &[bool], name: &[u8], literal: &[u8]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    let from = reached.iter().enumerate().filter(|(_, is)| **is);
    for (at, _) in from {
        let fits = name.get(at..).is_some_and(|rest| rest.starts_with(literal));
        if let Some(place) = next.get_mut(at + literal.len()) {
            *place |= fits;
        }
    }
    next
}

fn after_star(reached: &[bool], name: &[u8], passes: impl Fn(u8) -> bool) -> Vec<bool> {
    let mut open = false;
    let mut next = Vec::with_capacity(reached.len());
    for (at, is) in reached.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| name.get(before));
        open = *is || (open && before.is_some_and(|byte| passes(*byte)));
        next.push(open);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::new(pattern);
        for name in yes {
            assert!(glob.matches(name), "{pattern} should match {name}");
        }
        for name in no {
            assert!(!glob.matches(name), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_do_not() {
        check("gpt-5", &["gpt-5"], &["gpt-5-mini", "gpt", ""]);
        check("ft:*", &["ft:gpt-4o:acme::id", "ft:"], &["ft", "ft:a/b", "xft:a"]);
        check(
            "anthropic/**",
            &["anthropic/claude", "anthropic/a/b:free"],
            &["anthropic", "openai/anthropic/x"],
        );
        check("*", &["gpt-5", ""], &["a/b"]);
        check("**", &["gpt-5", "", "a/b"], &[]);
        check(
            "*/llama-*:free",
            &["meta/llama-3:free", "x/llama-:free"],
            &["meta/llama-3", "a/b/llama-3:free", "meta/llama-3/x:free"],
        );
        check("**/llama*", &["a/b/llama3", "/llama"], &["llama3", "a/llama/3"]);
        check("a*b*c", &["abc", "abbbc", "a1b2c"], &["ab", "acb", "a/bc"]);
        check("claude-*-4?", &["claude-opus-4?"], &["claude-opus-45"]);
        check("modèle-*é", &["modèle-é", "modèle-xé"], &["modèle-"]);
        check("", &[""], &["a"]);
        check("a***b", &["ab", "a/x/b"], &["a"]);
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let glob = Glob::new(&"*a".repeat(200));
        assert!(!glob.matches(&"a".repeat(2_000).replace("aaaaaaaaaa", "aaaaaaaaab")));
        assert!(glob.matches(&"a".repeat(2_000)));
    }

    /// The plain definition, exponential but short.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=name.len()).any(|at| by_definition(rest, &name[at..])),
            [b'*', rest @ ..] => (0..=name.len())
                .take_while(|at| !name[..*at].contains(&b'/'))
                .any(|at| by_definition(rest, &name[at..])),
            [byte, rest @ ..] => name.first() == Some(byte) && by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_follows_the_definition(pattern in "(a|b|/|\\*|\\*\\*){0,8}", name in "[ab/]{0,8}") {
            prop_assert_eq!(
                Glob::new(&pattern).matches(&name),
                by_definition(pattern.as_bytes(), name.as_bytes()),
            );
        }
    }
}
