//! Two texts compared by words.

use serde::Serialize;

use crate::report::diff::align::{Step, align};

/// Limit: words of each text that are compared; what comes after counts as replaced.
const WORDS_MAX: usize = 40_000;

/// A run of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "text", rename_all = "lowercase")]
pub enum Run {
    Same(String),
    Removed(String),
    Added(String),
}

/// What turns `left` into `right`.
pub fn diff(left: &str, right: &str) -> Vec<Run> {
    if left == right {
        return if left.is_empty() { Vec::new() } else { vec![Run::Same(left.to_owned())] };
    }
    let (ours, our_rest) = split(left);
    let (theirs, their_rest) = split(right);
    let mut runs = Runs::default();
    for step in align(&ours, &theirs) {
        match step {
            Step::Same(at, _) => runs.same(ours.get(at).copied().unwrap_or_default()),
            Step::Left(at) => runs.removed.push_str(ours.get(at).copied().unwrap_or_default()),
            Step::Right(at) => runs.added.push_str(theirs.get(at).copied().unwrap_or_default()),
        }
    }
    runs.removed.push_str(our_rest);
    runs.added.push_str(their_rest);
    runs.close();
    runs.done
}

/// Words with the white space after them, and what is over the limit.
fn split(text: &str) -> (Vec<&str>, &str) {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_space = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            in_space = true;
        } else if in_space {
            in_space = false;
            words.push(text.get(start..at).unwrap_or_default());
            start = at;
            if words.len() >= WORDS_MAX {
                return (words, text.get(start..).unwrap_or_default());
            }
        }
    }
    let last = text.get(start..).unwrap_or_default();
    if !last.is_empty() {
        words.push(last);
    }
    (words, "")
}

#[derive(Default)]
struct Runs {
    done: Vec<Run>,
    removed: String,
    added: String,
}

impl Runs {
    fn same(&mut self, word: &str) {
        self.close();
        if let Some(Run::Same(text)) = self.done.last_mut() {
            text.push_str(word);
        } else {
            self.done.push(Run::Same(word.to_owned()));
        }
    }

    fn close(&mut self) {
        if !self.removed.is_empty() {
            self.done.push(Run::Removed(std::mem::take(&mut self.removed)));
        }
        if !self.added.is_empty() {
            self.done.push(Run::Added(std::mem::take(&mut self.added)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared() {
        let same = |text: &str| Run::Same(text.to_owned());
        let removed = |text: &str| Run::Removed(text.to_owned());
        let added = |text: &str| Run::Added(text.to_owned());
        assert_eq!(diff("", ""), []);
        assert_eq!(diff("a b", "a b"), [same("a b")]);
        assert_eq!(
            diff("the red fox", "the brown fox"),
            [same("the "), removed("red "), added("brown "), same("fox")]
        );
        assert_eq!(diff("a", ""), [removed("a")]);
        assert_eq!(diff("é x", "é y"), [same("é "), removed("x"), added("y")]);
    }

    #[test]
    fn long_texts_stay_bounded() {
        let left = "word ".repeat(WORDS_MAX + 10);
        let right = format!("{left}end");
        let runs = diff(&left, &right);
        assert!(matches!(runs.first(), Some(Run::Same(_))));
        let text: String = runs
            .iter()
            .map(|run| match run {
                Run::Same(text) | Run::Added(text) => text.as_str(),
                Run::Removed(_) => "",
            })
            .collect();
        assert_eq!(text, right);
    }
}
