//! Tokens as providers bill them, in one meaning for every dialect. `0` is data, absence is absence.
//!
//! ```text
//! input  ── all of it, cached or not          output ── all of it, reasoning included
//!   ├ cache_read                                └ reasoning
//!   └ cache_write (of it: cache_write_1h)
//! ```

/// Limit: tokens of one kind in one answer. A larger number is a defect of the provider and is not counted.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// What one answer cost in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All input, cached or not.
    pub input: Option<u64>,
    /// All output, reasoning included.
    pub output: Option<u64>,
    /// The part of `input` that was read from a cache.
    pub cache_read: Option<u64>,
    /// The part of `input` that was written to a cache, for whatever time.
    pub cache_write: Option<u64>,
    /// The part of `cache_write` that was written for an hour.
    pub cache_write_1h: Option<u64>,
    /// The part of `output` that was reasoning.
    pub reasoning: Option<u64>,
    /// Parts of `input` and `output` by modality, where the provider says so.
    pub image_input: Option<u64>,
    pub image_output: Option<u64>,
    pub audio_input: Option<u64>,
    pub audio_output: Option<u64>,
    /// Searches that were billed apart from tokens.
    pub web_searches: Option<u64>,
}

impl Usage {
    /// Whether nothing was said at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The kinds that `other` does not name.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let keep = |own: Option<u64>, other: Option<u64>| own.filter(|_| other.is_none());
        Self {
            input: keep(self.input, other.input),
            output: keep(self.output, other.output),
            cache_read: keep(self.cache_read, other.cache_read),
            cache_write: keep(self.cache_write, other.cache_write),
            cache_write_1h: keep(self.cache_write_1h, other.cache_write_1h),
            reasoning: keep(self.reasoning, other.reasoning),
            image_input: keep(self.image_input, other.image_input),
            image_output: keep(self.image_output, other.image_output),
            audio_input: keep(self.audio_input, other.audio_input),
            audio_output: keep(self.audio_output, other.audio_output),
            web_searches: keep(self.web_searches, other.web_searches),
        }
    }

    /// The sum of two answers; a kind that neither names stays absent.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        Self {
            input: add(self.input, other.input),
            output: add(self.output, other.output),
            cache_read: add(self.cache_read, other.cache_read),
            cache_write: add(self.cache_write, other.cache_write),
            cache_write_1h: add(self.cache_write_1h, other.cache_write_1h),
            reasoning: add(self.reasoning, other.reasoning),
            image_input: add(self.image_input, other.image_input),
            image_output: add(self.image_output, other.image_output),
            audio_input: add(self.audio_input, other.audio_input),
            audio_output: add(self.audio_output, other.audio_output),
            web_searches: add(self.web_searches, other.web_searches),
        }
    }
}

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// The gateway counted, at least in part, because the provider's number is missing.
    Estimated,
}

impl UsageSource {
    pub const ALL: [Self; 2] = [Self::Provider, Self::Estimated];

    /// The label `source` of `pinhole_tokens_total`, and the store's `usage_source`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Estimated => "estimated",
        }
    }
}

/// What was wrong with a number that a provider sent. Such a number counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Oddity {
    Negative,
    /// A string, an object, `true`, NaN.
    NotANumber,
    /// Not a whole number.
    Fraction,
    /// Over [`TOKENS_MAX`].
    TooLarge,
    /// A part larger than its whole: it is cut to the whole.
    PartOverWhole,
    /// `usage` itself is there and is no object.
    NotAnObject,
}

impl Oddity {
    pub const ALL: [Self; 6] = [
        Self::Negative,
        Self::NotANumber,
        Self::Fraction,
        Self::TooLarge,
        Self::PartOverWhole,
        Self::NotAnObject,
    ];

    /// The label `kind` of `pinhole_usage_malformed_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::NotANumber => "not_a_number",
            Self::Fraction => "fraction",
            Self::TooLarge => "too_large",
            Self::PartOverWhole => "part_over_whole",
            Self::NotAnObject => "not_an_object",
        }
    }
}
