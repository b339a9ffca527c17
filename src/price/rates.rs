//! The prices of one model: by kind of token, by size of the request, by mode of service.

use indexmap::IndexMap;

use crate::price::decimal::{Factor, PerCall, PerToken};

/// What is priced by the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    ImageInput,
    ImageOutput,
    AudioInput,
    AudioOutput,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Input,
        Self::Output,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Reasoning,
        Self::ImageInput,
        Self::ImageOutput,
        Self::AudioInput,
        Self::AudioOutput,
    ];

    /// The key in price lists and in the pricing API.
    pub fn key(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Reasoning => "reasoning",
            Self::ImageInput => "image_input",
            Self::ImageOutput => "image_output",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
        }
    }

    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key() == key)
    }
}

/// A price for some kinds; what has none costs what the kind it is part of costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates([Option<PerToken>; Kind::ALL.len()]);

impl Rates {
    pub fn get(&self, kind: Kind) -> Option<PerToken> {
        self.0.get(kind as usize).copied().flatten()
    }

    pub fn set(&mut self, kind: Kind, price: PerToken) {
        if let Some(place) = self.0.get_mut(kind as usize) {
            *place = Some(price);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// These, and those of `below` where these have none.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let mut all = *below;
        for (kind, price) in self.iter() {
            all.set(kind, price);
        }
        all
    }

    #[must_use]
    pub fn times(&self, factor: Factor) -> Self {
        Self(self.0.map(|price| price.map(|price| price.times(factor))))
    }

    /// The kinds that have a price, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, PerToken)> + '_ {
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }
}

/// Prices of a whole request whose input is larger than `above`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tier {
    pub above: u64,
    pub rates: Rates,
}

/// What a mode of service (`batch`, `flex`, `priority`) does to prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of them times this.
    Factor(Factor),
    /// These instead, for requests of every size.
    Rates(Rates),
}

pub type Modes = IndexMap<String, Mode>;

/// All prices of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    pub rates: Rates,
    /// Ascending by `above`.
    pub tiers: Vec<Tier>,
    pub modes: Modes,
    pub web_search: Option<PerCall>,
}

impl Prices {
    #[must_use]
    pub fn times(&self, factor: Factor) -> Self {
        if factor == Factor::ONE {
            return self.clone();
        }
        let tier = |tier: &Tier| Tier { above: tier.above, rates: tier.rates.times(factor) };
        let mode = |mode: &Mode| match mode {
            Mode::Factor(own) => Mode::Factor(*own),
            Mode::Rates(rates) => Mode::Rates(rates.times(factor)),
        };
        Self {
            rates: self.rates.times(factor),
            tiers: self.tiers.iter().map(tier).collect(),
            modes: self.modes.iter().map(|(name, own)| (name.clone(), mode(own))).collect(),
            web_search: self.web_search.map(|price| price.times(factor)),
        }
    }

    /// The prices by the token of a request with this much input in this mode, and what they are still multiplied by.
    pub fn at(&self, input_tokens: u64, mode: Option<&str>) -> (Rates, Factor) {
        let tier = self.tiers.iter().rev().find(|tier| input_tokens > tier.above);
        let sized = tier.map_or(self.rates, |tier| tier.rates.over(&self.rates));
        match mode.and_then(|mode| self.mode(mode)) {
            Some(Mode::Rates(rates)) => (rates.over(&self.rates), Factor::ONE),
            Some(Mode::Factor(factor)) => (sized, *factor),
            None => (sized, Factor::ONE),
        }
    }

    fn mode(&self, name: &str) -> Option<&Mode> {
        let mut modes = self.modes.iter();
        modes.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, mode)| mode)
    }
}
