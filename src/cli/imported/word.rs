//! Words of closed sets, as the store's rows hold them. What an imported file says may be no member of the set, or one of
//! another version's: such words are kept for as long as the process runs, a bounded number of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::neutral::kind::{Dialect, Operation};

/// Limit: different words, over all imports of this process.
const WORDS_MAX: usize = 1_024;
/// Limit: bytes of one.
const WORD_BYTES_MAX: usize = 128;

static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The word, or `otherwise` where it is too long or one too many.
pub(super) fn kept(word: &str, otherwise: &'static str) -> &'static str {
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return known;
    }
    if words.len() >= WORDS_MAX || word.len() > WORD_BYTES_MAX || word.is_empty() {
        return otherwise;
    }
    let word: &'static str = Box::leak(word.to_owned().into_boxed_str());
    words.insert(word);
    word
}

pub(super) fn dialect(label: &str) -> Option<Dialect> {
    Dialect::ALL.into_iter().find(|dialect| dialect.label() == label)
}

pub(super) fn operation(label: &str) -> Option<Operation> {
    [
        Operation::Chat,
        Operation::TextCompletion,
        Operation::Embeddings,
        Operation::CountTokens,
        Operation::Models,
        Operation::Opaque,
    ]
    .into_iter()
    .find(|operation| operation.label() == label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_once_and_not_without_end() {
        let first = kept("some kind", "x");
        assert!(std::ptr::eq(first, kept(&String::from("some kind"), "x")));
        assert_eq!(kept(&"w".repeat(WORD_BYTES_MAX + 1), "x"), "x");
        assert_eq!(kept("", "x"), "x");
        for n in 0..2 * WORDS_MAX {
            kept(&format!("word {n}"), "x");
        }
        assert_eq!(kept("one too many", "x"), "x");
        assert_eq!(kept("some kind", "x"), "some kind");
    }
}
