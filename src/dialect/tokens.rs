//! The numbers of a usage object as providers name them, and how they become [`Usage`] in its one meaning.
//!
//! The OpenAI, Anthropic and Bedrock names are read side by side, because servers that speak one dialect often add the
//! names of another. A number told again replaces the one before; nothing is summed over the events of a stream.

use crate::base::json::{Kind, Walk};
use crate::neutral::usage::{Oddity, TOKENS_MAX, Usage};

/// Whether `input` already holds what was read from and written to a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// OpenAI, Gemini: it does.
    Within,
    /// Anthropic: it does not.
    Apart,
    /// The names that were used tell: Anthropic's and Bedrock's go with `input_tokens` that leave the cache out.
    ByNames,
}

/// What has been told so far. Written by the dialects' `read.rs`, emptied by [`Tokens::usage`].
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) input: Option<u64>,
    /// Input that is billed besides `input`: Gemini's results of its own tools.
    pub(crate) input_besides: Option<u64>,
    pub(crate) output: Option<u64>,
    /// Output that is billed besides `output`: Gemini's thoughts.
    pub(crate) output_besides: Option<u64>,
    pub(crate) cache_read: Option<u64>,
    /// What DeepSeek and Moonshot say at the top of usage instead of in its details.
    cache_hit: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    pub(crate) reasoning: Option<u64>,
    pub(crate) image_input: Option<u64>,
    pub(crate) image_output: Option<u64>,
    pub(crate) audio_input: Option<u64>,
    pub(crate) audio_output: Option<u64>,
    pub(crate) total: Option<u64>,
    web_searches: Option<u64>,
    /// `input` came under a name that includes the cache wherever it is used: `prompt_tokens`.
    prompt_named: bool,
    /// Whoever writes these numbers leaves zeroes out, and the answer is over: set by Gemini's answers.
    pub(crate) omits_zeroes: bool,
    /// The cache came under names that go with an `input` without it.
    apart_named: bool,
    pub(crate) service_tier: Option<String>,
    /// Each kind once, in the order they were met.
    pub(crate) oddities: Vec<Oddity>,
}

/// Which side of usage an object of details stands on.
#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

impl Tokens {
    /// Takes the value of a member `usage`; false when it is no object.
    pub(crate) fn read(&mut self, walk: &mut Walk<'_>) -> bool {
        self.object(walk, |tokens, walk, key| match key {
            b"prompt_tokens" => {
                tokens.prompt_named = true;
                tokens.number(walk, |tokens| &mut tokens.input);
            }
            b"input_tokens" | b"inputTokens" => tokens.number(walk, |tokens| &mut tokens.input),
            b"completion_tokens" | b"output_tokens" | b"outputTokens" => {
                tokens.number(walk, |tokens| &mut tokens.output);
            }
            b"total_tokens" | b"totalTokens" => tokens.number(walk, |tokens| &mut tokens.total),
            b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => {
                tokens.details(walk, Side::Input);
            }
            b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" => {
                tokens.details(walk, Side::Output);
            }
            b"prompt_cache_hit_tokens" | b"cached_tokens" => {
                tokens.number(walk, |tokens| &mut tokens.cache_hit);
            }
            b"reasoning_tokens" | b"thinking_tokens" => {
                tokens.number(walk, |tokens| &mut tokens.reasoning);
            }
            b"service_tier" => {
                let tier = walk.text().filter(|tier| (1..=64).contains(&tier.inner().len()));
                tokens.service_tier = tier.map(|tier| tier.read().into_owned());
            }
            b"billed_units" => {
                tokens.read(walk);
            }
            _ => tokens.read_apart(walk, key),
        })
    }

    /// The members of usage that Anthropic and Bedrock have and OpenAI has not.
    fn read_apart(&mut self, walk: &mut Walk<'_>, key: &[u8]) {
        match key {
            b"cache_read_input_tokens" | b"cacheReadInputTokens" | b"cacheReadInputTokenCount" => {
                self.apart_named = true;
                self.number(walk, |tokens| &mut tokens.cache_read);
            }
            b"cache_creation_input_tokens"
            | b"cacheWriteInputTokens"
            | b"cacheWriteInputTokenCount" => {
                self.apart_named = true;
                self.number(walk, |tokens| &mut tokens.cache_write);
            }
            b"cache_creation" => {
                self.object(walk, |tokens, walk, key| match key {
                    b"ephemeral_5m_input_tokens" => {
                        tokens.number(walk, |tokens| &mut tokens.cache_write_5m);
                    }
                    b"ephemeral_1h_input_tokens" => {
                        tokens.number(walk, |tokens| &mut tokens.cache_write_1h);
                    }
                    _ => {}
                });
            }
            b"server_tool_use" => {
                self.object(walk, |tokens, walk, key| {
                    if key == b"web_search_requests" {
                        tokens.number(walk, |tokens| &mut tokens.web_searches);
                    }
                });
            }
            _ => {}
        }
    }

    fn details(&mut self, walk: &mut Walk<'_>, side: Side) {
        self.object(walk, |tokens, walk, key| match (key, side) {
            (b"cached_tokens", Side::Input) => tokens.number(walk, |tokens| &mut tokens.cache_read),
            (b"cache_write_tokens" | b"cache_creation_tokens", Side::Input) => {
                tokens.number(walk, |tokens| &mut tokens.cache_write);
            }
            (b"image_tokens", Side::Input) => tokens.number(walk, |tokens| &mut tokens.image_input),
            (b"audio_tokens", Side::Input) => tokens.number(walk, |tokens| &mut tokens.audio_input),
            (b"reasoning_tokens" | b"thinking_tokens", Side::Output) => {
                tokens.number(walk, |tokens| &mut tokens.reasoning);
            }
            (b"image_tokens", Side::Output) => {
                tokens.number(walk, |tokens| &mut tokens.image_output);
            }
            (b"audio_tokens", Side::Output) => {
                tokens.number(walk, |tokens| &mut tokens.audio_output);
            }
            _ => {}
        });
    }

    /// Reads an object's members; anything else but `null` is noted. True when it was one.
    pub(crate) fn object(
        &mut self,
        walk: &mut Walk<'_>,
        mut visit: impl FnMut(&mut Self, &mut Walk<'_>, &[u8]),
    ) -> bool {
        let is_object = walk.members(|walk, key| visit(self, walk, key));
        if !is_object && walk.kind() != Some(Kind::Null) {
            self.note(Oddity::NotAnObject);
        }
        is_object
    }

    /// Takes a number into its slot. `null` and a bad number leave what is there.
    pub(crate) fn number(&mut self, walk: &mut Walk<'_>, slot: fn(&mut Self) -> &mut Option<u64>) {
        match read_number(walk) {
            Ok(Some(number)) => *slot(self) = Some(number),
            Ok(None) => {}
            Err(oddity) => self.note(oddity),
        }
    }

    fn note(&mut self, oddity: Oddity) {
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    fn is_told(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// For answers that have no output: a total alone is all input.
    pub(crate) fn take_total_as_input(&mut self) {
        if !self.is_told() {
            self.input = self.total;
        }
    }

    /// Forgets the numbers: they are of an answer that is not over yet.
    pub(crate) fn clear(&mut self) {
        *self = Self { oddities: std::mem::take(&mut self.oddities), ..Self::default() };
    }

    /// Ends the reading. `searches` were seen to be made; they count where tokens are told and the provider does not
    /// count them itself.
    pub(crate) fn usage(&mut self, cache: Cache, searches: u64) -> Option<Usage> {
        self.add_reasoning_left_out();
        let cache_read = self.cache_read.or(self.cache_hit);
        let cache_write =
            self.cache_write.or_else(|| sum(&[self.cache_write_5m, self.cache_write_1h]));
        let is_apart = match cache {
            Cache::Within => false,
            Cache::Apart => !self.prompt_named,
            Cache::ByNames => self.apart_named && !self.prompt_named,
        };
        let input = match (self.input, is_apart) {
            (Some(input), true) => sum(&[Some(input), cache_read, cache_write]),
            (input, _) => sum(&[input, self.input_besides]),
        };
        let output = sum(&[self.output, self.output_besides]).or_else(|| {
            let is_all_input = input.is_some() && self.total == input;
            (self.omits_zeroes && is_all_input).then_some(0)
        });
        let usage = Usage {
            input: self.bounded(input),
            output: self.bounded(output),
            cache_read,
            cache_write,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            image_input: self.image_input,
            image_output: self.image_output,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
            web_searches: self.web_searches,
        };
        let mut usage = self.fitted(usage);
        if usage.is_empty() {
            return None;
        }
        usage.web_searches = usage.web_searches.or(Some(searches).filter(|made| *made > 0));
        Some(usage)
    }

    /// Some servers count reasoning beside the completion, not in it; their total gives it away.
    fn add_reasoning_left_out(&mut self) {
        let (Some(input), Some(output), Some(reasoning), Some(total)) =
            (self.input, self.output, self.reasoning, self.total)
        else {
            return;
        };
        if reasoning > 0 && self.output_besides.is_none() && total == input + output + reasoning {
            self.output_besides = Some(reasoning);
        }
    }

    fn bounded(&mut self, number: Option<u64>) -> Option<u64> {
        if number.is_some_and(|number| number > TOKENS_MAX) {
            self.note(Oddity::TooLarge);
            return None;
        }
        number
    }

    /// Cuts each part to its whole.
    fn fitted(&mut self, usage: Usage) -> Usage {
        let mut fitted = usage;
        self.fit(&mut fitted.cache_read, usage.input);
        let not_read = usage.input.map(|input| input - fitted.cache_read.unwrap_or(0));
        self.fit(&mut fitted.cache_write, not_read);
        self.fit(&mut fitted.cache_write_1h, fitted.cache_write);
        self.fit(&mut fitted.reasoning, usage.output);
        self.fit(&mut fitted.image_input, usage.input);
        self.fit(&mut fitted.audio_input, usage.input);
        self.fit(&mut fitted.image_output, usage.output);
        self.fit(&mut fitted.audio_output, usage.output);
        fitted
    }

    fn fit(&mut self, part: &mut Option<u64>, whole: Option<u64>) {
        if let (Some(size), Some(whole)) = (*part, whole)
            && size > whole
        {
            *part = Some(whole);
            self.note(Oddity::PartOverWhole);
        }
    }
}

/// The sum of those that are there; each is at most [`TOKENS_MAX`].
fn sum(numbers: &[Option<u64>]) -> Option<u64> {
    numbers.iter().flatten().copied().reduce(u64::saturating_add)
}

/// `null` is absent. A number may be written as a fraction or with an exponent as long as it is whole.
fn read_number(walk: &mut Walk<'_>) -> Result<Option<u64>, Oddity> {
    match walk.kind() {
        Some(Kind::Null) => return Ok(None),
        Some(Kind::Number) => {}
        _ => return Err(Oddity::NotANumber),
    }
    let scalar = walk.scalar().unwrap_or_default();
    // Nearly always: a whole number that no limit can mind. Gemini tells several in each event.
    if (1..=9).contains(&scalar.len()) && scalar.iter().all(u8::is_ascii_digit) {
        let number = scalar.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Ok(Some(number));
    }
    let digits = std::str::from_utf8(scalar).ok();
    let digits = digits.ok_or(Oddity::NotANumber)?;
    // The letters of NaN and infinity are numbers to Rust's parser.
    if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return Err(Oddity::NotANumber);
    }
    let number: f64 = digits.parse().map_err(|_| Oddity::NotANumber)?;
    if number < 0.0 {
        return Err(Oddity::Negative);
    }
    if number > TOKENS_MAX as f64 {
        return Err(Oddity::TooLarge);
    }
    if number.fract() != 0.0 {
        return Err(Oddity::Fraction);
    }
    #[expect(clippy::cast_sign_loss, reason = "between zero and the limit, and whole")]
    Ok(Some(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `usage` (the object's text), combined by `cache`, as the fields that are there, and the oddities.
    fn check(cache: Cache, text: &str, expected: &str, oddities: &[Oddity]) {
        let mut tokens = Tokens::default();
        tokens.read(&mut Walk::new(text.as_bytes()));
        let usage = tokens.usage(cache, 0);
        assert_eq!(shown(usage.as_ref()), expected, "{text}");
        assert_eq!(tokens.oddities, oddities, "{text}");
    }

    fn shown(usage: Option<&Usage>) -> String {
        let Some(usage) = usage else { return "none".to_owned() };
        [
            ("in", usage.input),
            ("out", usage.output),
            ("read", usage.cache_read),
            ("write", usage.cache_write),
            ("1h", usage.cache_write_1h),
            ("reasoning", usage.reasoning),
            ("image_in", usage.image_input),
            ("image_out", usage.image_output),
            ("audio_in", usage.audio_input),
            ("audio_out", usage.audio_output),
            ("searches", usage.web_searches),
        ]
        .iter()
        .filter_map(|(name, number)| number.map(|number| format!("{name} {number}")))
        .collect::<Vec<_>>()
        .join(", ")
    }

    #[test]
    fn openai_counts_the_cache_within() {
        let check = |text, expected| check(Cache::Within, text, expected, &[]);
        check(
            r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,
                "prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0,"image_tokens":7,"cache_write_tokens":5},
                "completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":3,"image_tokens":null}}"#,
            "in 2006, out 300, read 1920, write 5, reasoning 256, image_in 7, audio_in 0, audio_out 3",
        );
        check(
            r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,
                "output_tokens_details":{"reasoning_tokens":0}}"#,
            "in 10, out 5, read 4, reasoning 0",
        );
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2}"#,
            "in 10, out 5, read 8",
        );
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":8,"prompt_tokens_details":{"cached_tokens":6}}"#,
            "in 10, out 5, read 6",
        );
        check(r#"{"prompt_tokens":0,"total_tokens":0}"#, "in 0");
        check("{}", "none");
        check("null", "none");
    }

    #[test]
    fn reasoning_beside_the_completion_is_part_of_the_output() {
        check(
            Cache::Within,
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,"completion_tokens_details":{"reasoning_tokens":100}}"#,
            "in 10, out 105, reasoning 100",
            &[],
        );
    }

    #[test]
    fn anthropic_counts_the_cache_apart() {
        let usage = r#"{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,
            "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},
            "output_tokens":5,"server_tool_use":{"web_search_requests":2}}"#;
        let expected = "in 140, out 5, read 100, write 30, 1h 10, searches 2";
        check(Cache::Apart, usage, expected, &[]);
        check(Cache::ByNames, usage, expected, &[]);
        check(
            Cache::Apart,
            r#"{"input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10}}"#,
            "in 40, write 30, 1h 10",
            &[],
        );
        check(Cache::Apart, r#"{"output_tokens":5}"#, "out 5", &[]);
        check(
            Cache::ByNames,
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":25,"cacheReadInputTokens":7,"cacheWriteInputTokens":3}"#,
            "in 20, out 5, read 7, write 3",
            &[],
        );
        check(
            Cache::ByNames,
            r#"{"prompt_tokens":110,"completion_tokens":5,"cache_read_input_tokens":100}"#,
            "in 110, out 5, read 100",
            &[],
        );
    }

    #[test]
    fn bad_numbers_are_absent_and_named_once() {
        let check = |text: &str, expected, oddities: &[Oddity]| {
            check(Cache::Within, text, expected, oddities);
        };
        for (number, oddity) in [
            ("-1", Oddity::Negative),
            ("-1e400", Oddity::Negative),
            ("\"12\"", Oddity::NotANumber),
            ("{}", Oddity::NotANumber),
            ("[1]", Oddity::NotANumber),
            ("true", Oddity::NotANumber),
            ("NaN", Oddity::NotANumber),
            ("Infinity", Oddity::NotANumber),
            ("inf", Oddity::NotANumber),
            ("1e", Oddity::NotANumber),
            ("12.5", Oddity::Fraction),
            ("0.1e-1", Oddity::Fraction),
            ("1000000001", Oddity::TooLarge),
            ("9223372036854775808", Oddity::TooLarge),
            ("1e999", Oddity::TooLarge),
        ] {
            let usage = format!(r#"{{"prompt_tokens":{number},"completion_tokens":7}}"#);
            check(&usage, "out 7", &[oddity]);
        }
        for number in ["12", "12.0", "1.2e1", "120e-1", "-0"] {
            let usage = format!(r#"{{"completion_tokens":{number}}}"#);
            check(&usage, if number == "-0" { "out 0" } else { "out 12" }, &[]);
        }
        check(r#"{"prompt_tokens":-1,"completion_tokens":-2}"#, "none", &[Oddity::Negative]);
        check("5", "none", &[Oddity::NotAnObject]);
        check(r#"{"prompt_tokens":5,"prompt_tokens_details":7}"#, "in 5", &[Oddity::NotAnObject]);
    }

    #[test]
    fn parts_are_cut_to_their_wholes() {
        check(
            Cache::Within,
            r#"{"prompt_tokens":10,"completion_tokens":5,
                "prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":4,"image_tokens":11},
                "completion_tokens_details":{"reasoning_tokens":6}}"#,
            "in 10, out 5, read 8, write 2, reasoning 5, image_in 10",
            &[Oddity::PartOverWhole],
        );
        check(
            Cache::Apart,
            r#"{"input_tokens":1000000000,"cache_read_input_tokens":1000000000,"output_tokens":1}"#,
            "out 1, read 1000000000",
            &[Oddity::TooLarge],
        );
    }
}
