//! Words, prose and source files out of a seed: made of syllables, so that no dictionary knows them.

/// A small generator of numbers; the same seed gives the same traffic everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }

    /// From `start` to below `end`.
    pub(crate) fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end - start)
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Letters and digits, as ids have them.
    pub(crate) fn id(&mut self, length: usize) -> String {
        const SIGNS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz";
        (0..length).map(|_| char::from(self.pick(SIGNS))).collect()
    }
}

/// A vocabulary, frequent words first.
pub(crate) struct Words(Vec<String>);

const HEADS: &[&str] = &[
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su",
    "ta", "ve", "wi", "xo", "zu", "bra", "cle", "dri", "flo", "gru", "pla", "ste", "tri", "shu",
    "tho",
];
const TAILS: &[&str] = &[
    "b", "ck", "d", "ft", "g", "lm", "ln", "m", "nd", "ng", "p", "r", "rs", "rt", "s", "st", "t",
    "v", "x", "z", "", "", "",
];

impl Words {
    pub(crate) fn new(dice: &mut Dice, count: usize) -> Self {
        let word = |dice: &mut Dice, n: usize| {
            let syllables = 1 + dice.below(if n < 100 { 2 } else { 3 });
            let heads: String = (0..syllables).map(|_| dice.pick(HEADS)).collect();
            heads + dice.pick(TAILS)
        };
        Self((0..count).map(|n| word(dice, n)).collect())
    }

    /// A word; the first ones come much more often than the last.
    pub(crate) fn word(&self, dice: &mut Dice) -> &str {
        let roll = |dice: &mut Dice| dice.below(1 << 16);
        let share = roll(dice) * roll(dice) / (1 << 16) * roll(dice) / (1 << 16);
        &self.0[share * self.0.len() / (1 << 16)]
    }

    /// Sentences of about `bytes` bytes.
    pub(crate) fn prose(&self, dice: &mut Dice, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 80);
        while text.len() < bytes {
            let count = dice.between(5, 16);
            for n in 0..count {
                let word = self.word(dice);
                if n == 0 {
                    text.push(word.as_bytes()[0].to_ascii_uppercase().into());
                    text.push_str(&word[1..]);
                } else {
                    text.push(' ');
                    text.push_str(word);
                }
                if n > 1 && n + 1 < count && dice.below(9) == 0 {
                    text.push(',');
                }
            }
            text.push_str(if dice.below(6) == 0 { ".\n\n" } else { ". " });
        }
        text
    }

    /// A name of a function or a field: words with underscores.
    pub(crate) fn name(&self, dice: &mut Dice) -> String {
        let count = dice.between(1, 4);
        (0..count).map(|_| self.word(dice)).collect::<Vec<_>>().join("_")
    }

    /// Lines of a program of about `bytes` bytes, in a made-up language with braces.
    pub(crate) fn source(&self, dice: &mut Dice, bytes: usize) -> String {
        let names: Vec<String> = (0..30).map(|_| self.name(dice)).collect();
        let mut text = String::with_capacity(bytes + 200);
        let mut depth = 0_usize;
        while text.len() < bytes {
            text.extend(std::iter::repeat_n("    ", depth));
            let (one, two, three) = (pick(dice, &names), pick(dice, &names), pick(dice, &names));
            let line = match dice.below(12) {
                0 if depth < 4 => format!("fn {one}({two}: {three}) -> Result<{one}> {{"),
                1 | 2 if depth < 4 => format!("if {one}.{two}() == {} {{", dice.below(1_000)),
                3 if depth < 4 => format!("for {one} in {two}.iter() {{"),
                4 => format!("// {}", self.prose(dice, 40).trim()),
                5 => format!("let {one} = {two}({three}, {})?;", dice.below(100)),
                6 => format!("{one}.{two} = \"{}\";", self.name(dice)),
                7 => format!("return {one};"),
                8 => format!("assert!({one} > {});", dice.below(10_000)),
                _ if depth > 0 => "}".to_owned(),
                _ => format!("use {one}::{two};"),
            };
            if line == "}" {
                text.truncate(text.trim_end_matches(' ').len());
                depth -= 1;
                text.extend(std::iter::repeat_n("    ", depth));
            } else if line.ends_with('{') {
                depth += 1;
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn pick<'a>(dice: &mut Dice, of: &'a [String]) -> &'a str {
    &of[dice.below(of.len())]
}
