//! From tokens to nanodollars, in whole numbers, rounded once for each attempt.
//!
//! With `p(kind)` in picodollars for a token, and each part no larger than what is left of its whole:
//!
//! ```text
//! cost = ( cache_read · p(cache_read)                     or p(input) where it has no price of its own
//!        + (cache_write − cache_write_1h) · p(cache_write)          or p(input)
//!        + cache_write_1h · p(cache_write_1h)             or p(cache_write), or p(input)
//!        + image_input · p(image_input) + audio_input · p(audio_input)     where they are priced apart
//!        + the rest of input · p(input)
//!        + reasoning · p(reasoning)                       where it is priced apart
//!        + image_output · p(image_output) + audio_output · p(audio_output) where they are priced apart
//!        + the rest of output · p(output)
//!        + web searches · price of a search )  · mode · adjustment
//! ```
//!
//! Prices are those of the largest tier that the whole input is above, for the whole request. A search has one price in
//! every mode. The sum is divided by 1000 and rounded half up.

use crate::base::money::Nanodollars;
use crate::neutral::usage::Usage;
use crate::price::decimal::{Factor, PerToken};
use crate::price::rates::{Kind, Prices, Rates};

/// Picodollars times millionths (of the mode) times millionths (of the adjustment) in a nanodollar.
const SHARES_IN_NANODOLLAR: u128 = 1_000 * 1_000_000 * 1_000_000;

/// What `usage` costs; `None`: nothing is known of it.
pub fn cost(
    prices: &Prices,
    adjustment: Factor,
    usage: &Usage,
    mode: Option<&str>,
) -> Option<Nanodollars> {
    if usage.is_empty() {
        return None;
    }
    let (rates, factor) = prices.at(all_input(usage), mode);
    let tokens = input(&rates, usage).saturating_add(output(&rates, usage));
    let searches = u128::from(usage.web_searches.unwrap_or(0))
        .saturating_mul(u128::from(prices.web_search.unwrap_or_default().0));
    let moded = tokens
        .saturating_mul(u128::from(factor.0))
        .saturating_add(searches.saturating_mul(u128::from(Factor::ONE.0)));
    let shares = moded.saturating_mul(u128::from(adjustment.0));
    let rounded = shares.saturating_add(SHARES_IN_NANODOLLAR / 2) / SHARES_IN_NANODOLLAR;
    Some(Nanodollars(i64::try_from(rounded).unwrap_or(i64::MAX)))
}

/// The whole input; where only its parts were told, their sum.
fn all_input(usage: &Usage) -> u64 {
    let parts = [usage.cache_read, usage.cache_write].into_iter().flatten();
    usage.input.unwrap_or_else(|| parts.fold(0, u64::saturating_add))
}

fn input(rates: &Rates, usage: &Usage) -> u128 {
    let plain = rates.get(Kind::Input).unwrap_or_default();
    let read = rates.get(Kind::CacheRead).unwrap_or(plain);
    let write = rates.get(Kind::CacheWrite).unwrap_or(plain);
    let write_1h = rates.get(Kind::CacheWrite1h).unwrap_or(write);
    let mut whole = Whole { left: all_input(usage), picodollars: 0 };
    whole.take(usage.cache_read, read);
    let long = usage.cache_write_1h.unwrap_or(0).min(usage.cache_write.unwrap_or(u64::MAX));
    whole.take(Some(long), write_1h);
    whole.take(usage.cache_write.map(|all| all - long), write);
    whole.take_if_apart(usage.image_input, rates.get(Kind::ImageInput));
    whole.take_if_apart(usage.audio_input, rates.get(Kind::AudioInput));
    whole.rest(plain)
}

fn output(rates: &Rates, usage: &Usage) -> u128 {
    let plain = rates.get(Kind::Output).unwrap_or_default();
    let parts = [usage.reasoning, usage.image_output, usage.audio_output].into_iter().flatten();
    let all = usage.output.unwrap_or_else(|| parts.fold(0, u64::saturating_add));
    let mut whole = Whole { left: all, picodollars: 0 };
    whole.take_if_apart(usage.reasoning, rates.get(Kind::Reasoning));
    whole.take_if_apart(usage.image_output, rates.get(Kind::ImageOutput));
    whole.take_if_apart(usage.audio_output, rates.get(Kind::AudioOutput));
    whole.rest(plain)
}

/// Tokens that parts are taken from, so that none is paid for twice.
struct Whole {
    left: u64,
    picodollars: u128,
}

impl Whole {
    fn take(&mut self, part: Option<u64>, price: PerToken) {
        let part = part.unwrap_or(0).min(self.left);
        self.left -= part;
        let picodollars = u128::from(part).saturating_mul(u128::from(price.0));
        self.picodollars = self.picodollars.saturating_add(picodollars);
    }

    fn take_if_apart(&mut self, part: Option<u64>, price: Option<PerToken>) {
        if let Some(price) = price {
            self.take(part, price);
        }
    }

    fn rest(mut self, price: PerToken) -> u128 {
        self.take(Some(self.left), price);
        self.picodollars
    }
}
