//! What `text:` looks for, and whether a text has it.

/// What is looked for: words in this order; with a star at the end, the last of them may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Sought {
    pub words: Vec<String>,
    pub goes_on: bool,
}

impl Sought {
    /// Words are runs of letters and digits, as the index has them.
    pub(in crate::store) fn new(text: &str) -> Self {
        Self { words: words(text).collect(), goes_on: text.trim_end().ends_with('*') }
    }

    /// In the language of FTS5: a phrase, each word quoted.
    pub(super) fn phrase(&self) -> Option<String> {
        if self.words.is_empty() {
            return None;
        }
        let star = if self.goes_on { "*" } else { "" };
        Some(format!("\"{}\"{star}", self.words.join(" ")))
    }

    /// Whether a text has the words; for where there is no index.
    pub(in crate::store) fn is_in(&self, text: &str) -> bool {
        let all: Vec<String> = words(text).collect();
        let last = self.words.len().saturating_sub(1);
        !self.words.is_empty()
            && all.windows(self.words.len()).any(|some| {
                some.iter().zip(&self.words).enumerate().all(|(at, (word, wanted))| {
                    if at == last && self.goes_on {
                        word.starts_with(wanted)
                    } else {
                        word == wanted
                    }
                })
            })
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(plain)
}

/// Lower case, as the index has words.
fn plain(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.chars().flat_map(char::to_lowercase).collect()
}
