//! Text without what does not change its meaning, and whether it refuses.

use crate::outcome::Answer;

/// Marks that part words. Signs that mean something (`+ < = > $ % / \ @ & # | ^ ~`), letters of any script and the width of
/// letters are left alone.
const MARKS: &str = ".,;:!?\"()[]{}*_`-–—…«»“”„‹›¡¿·•、。「」『』【】《》〈〉・";
/// Marks within words: "don't" and "don’t" are one word.
const APOSTROPHES: &str = "'’‘‚";

/// Lower case, marks as spaces, runs of white space as one. A point or comma between digits and a minus before one stay:
/// 3.5 is not 35, and -5 is not 5.
pub(super) fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_digit_next = letters.peek().is_some_and(char::is_ascii_digit);
        let is_in_number = is_digit_next
            && match letter {
                '.' | ',' => before.is_ascii_digit(),
                '-' => !before.is_alphanumeric(),
                _ => false,
            };
        if is_in_number || !is_mark(letter) && !APOSTROPHES.contains(letter) {
            out.extend(letter.to_lowercase());
        } else if is_mark(letter) && !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        before = letter;
    }
    out.truncate(out.trim_end().len());
    out
}

fn is_mark(letter: char) -> bool {
    letter.is_whitespace() || MARKS.contains(letter)
}

/// How refusals begin, normalised. English, and only at the very start of a short text without calls: a guess that is made
/// alike for all targets, beside the provider's own word.
const REFUSALS: &[&str] = &[
    "i cant help",
    "i cant assist",
    "i cant provide",
    "i cant comply",
    "i cant do that",
    "i cannot help",
    "i cannot assist",
    "i cannot provide",
    "i cannot comply",
    "i cannot fulfill",
    "i can not help",
    "im not able to help",
    "im not able to assist",
    "im unable to help",
    "im unable to assist",
    "i am unable to help",
    "i am unable to assist",
    "i wont be able to help",
    "i must decline",
    "i have to decline",
];
/// Limit: longer texts do more than refuse.
const REFUSAL_MAX: usize = 600;

pub(super) fn is_refusal(answer: &Answer) -> bool {
    if answer.refused {
        return true;
    }
    if !answer.calls.is_empty() || answer.text.is_empty() || answer.text.len() > REFUSAL_MAX {
        return false;
    }
    let text = normalised(&answer.text);
    let mut text = text.as_str();
    for courtesy in ["im sorry ", "i am sorry ", "sorry ", "i apologize ", "but ", "unfortunately "]
    {
        text = text.strip_prefix(courtesy).unwrap_or(text);
    }
    REFUSALS.iter().any(|refusal| text.starts_with(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_reads_the_same() {
        let same = |a: &str, b: &str| assert_eq!(normalised(a), normalised(b));
        same("Hello,  World!", "hello world");
        same("It's **done**.\n\n- one\n- two\n", "its done one two");
        same("“Well-known” — yes…", "well known yes");
        same("  Größe\u{a0}ÄNDERN ", "größe ändern");
        same("He said: “don’t”.", "he said \"don't\"");
        same("総和は、5。", "総和は 5");
        same("", " \n.");
    }

    #[test]
    fn what_means_something_else_does_not() {
        let other = |a: &str, b: &str| assert_ne!(normalised(a), normalised(b));
        other("3.5", "35");
        other("1,000", "1 000");
        other("minus -5", "minus 5");
        other("a + b", "a b");
        other("5%", "5");
        other("ａ", "a");
        other("now here", "nowhere");
        assert_eq!(normalised("x-5"), "x 5", "a hyphen, not a minus");
    }

    #[test]
    fn refusals_are_known_by_the_flag_or_how_they_begin() {
        let says = |text: &str| is_refusal(&Answer { text: text.to_owned(), ..Answer::default() });
        assert!(says("I’m sorry, but I can't help with that request."));
        assert!(says("I cannot assist with this."));
        assert!(!says("I can help with that."));
        assert!(!says("The letter says: I cannot assist with this."));
        assert!(!says(&format!("I can't help with the first part, but: {}", "x".repeat(700))));
        assert!(!says(""));
        assert!(is_refusal(&Answer { refused: true, ..Answer::default() }));
    }
}
