//! The arithmetic.

use proptest::prelude::*;

use super::tokens;
use crate::neutral::usage::{TOKENS_MAX, Usage};
use crate::price::cost::cost;
use crate::price::decimal::{Factor, PerCall, PerToken};
use crate::price::lists::Lists;
use crate::price::rates::{Kind, Mode, Prices, Rates, Tier};

fn nano(basis: &str, model: &str, mode: Option<&str>, usage: &Usage) -> i64 {
    let found = Lists::shipped().find(basis, model).unwrap();
    cost(&found.prices, Factor::ONE, usage, mode).unwrap().0
}

/// One dollar for a million tokens is 1000 nanodollars for one.
#[test]
fn known_costs_come_out_to_the_nanodollar() {
    let cached = Usage { cache_read: Some(200), ..tokens(1_000, 500) };
    // 800 × 1250 + 200 × 125 + 500 × 10000
    assert_eq!(nano("openai", "gpt-5", None, &cached), 6_025_000);
    // half of it
    assert_eq!(nano("openai", "gpt-5", Some("flex"), &cached), 3_012_500);
    // 800 × 2500 + 200 × 250 + 500 × 20000
    assert_eq!(nano("openai", "gpt-5-2025-08-07", Some("priority"), &cached), 12_050_000);
    assert_eq!(nano("openai", "gpt-5", Some("default"), &cached), 6_025_000);

    let written = Usage {
        cache_read: Some(10_000),
        cache_write: Some(5_000),
        cache_write_1h: Some(2_000),
        web_searches: Some(3),
        ..tokens(16_000, 700)
    };
    // 1000 × 3000 + 10000 × 300 + 3000 × 3750 + 2000 × 6000 + 700 × 15000 + 3 × 10000000
    assert_eq!(nano("anthropic", "claude-sonnet-4-5-20250929", None, &written), 69_750_000);
    // Above 200000 tokens the whole request: 200001 × 6000 + 10 × 22500
    assert_eq!(nano("anthropic", "claude-sonnet-4-5", None, &tokens(200_001, 10)), 1_200_231_000);
    // At 200000 not yet: 200000 × 3000 + 10 × 15000
    assert_eq!(nano("anthropic", "claude-sonnet-4-5", None, &tokens(200_000, 10)), 600_150_000);
    // 10 % more in a region: 1000 × 3300 + 100 × 16500
    let regional = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
    assert_eq!(nano("bedrock", regional, None, &tokens(1_000, 100)), 4_950_000);

    // Reasoning is output: 100 × 300 + 4000 × 2500
    let thought = Usage { reasoning: Some(3_500), ..tokens(100, 4_000) };
    assert_eq!(nano("google", "gemini-2.5-flash", None, &thought), 10_030_000);
    // Audio is apart: 400 × 300 + 600 × 1000
    let heard = Usage { audio_input: Some(600), ..tokens(1_000, 0) };
    assert_eq!(nano("google", "gemini-2.5-flash", None, &heard), 720_000);
    // 10 × 300 + 1290 × 30000
    let drawn = Usage { image_output: Some(1_290), ..tokens(10, 1_290) };
    assert_eq!(nano("google", "gemini-2.5-flash-image", None, &drawn), 38_703_000);

    // 3 × 20 nanodollars; and 1 × 18.75 rounded up, 2 × 18.75 = 37.5 rounded half up
    assert_eq!(nano("openai", "text-embedding-3-small", None, &tokens(3, 0)), 60);
    let read = |count| Usage { cache_read: Some(count), ..tokens(count, 0) };
    assert_eq!(nano("google", "gemini-1.5-flash", None, &read(1)), 19);
    assert_eq!(nano("google", "gemini-1.5-flash", None, &read(2)), 38);
}

#[test]
fn nothing_costs_nothing_and_absence_has_no_cost() {
    let prices = Lists::shipped().find("openai", "gpt-5").unwrap().prices;
    let of = |usage| cost(&prices, Factor::ONE, &usage, None).map(|nano| nano.0);
    assert_eq!(of(tokens(0, 0)), Some(0));
    assert_eq!(of(Usage::default()), None);
    assert_eq!(of(Usage { output: Some(2), ..Usage::default() }), Some(20_000));
    let parts_alone = Usage { cache_read: Some(8), ..Usage::default() };
    assert_eq!(of(parts_alone), Some(1_000), "8 × 125");
}

#[test]
fn parts_larger_than_their_whole_are_not_paid_twice() {
    let prices = Lists::shipped().find("anthropic", "claude-haiku-4-5").unwrap().prices;
    let odd = Usage { cache_read: Some(900), cache_write: Some(900), ..tokens(1_000, 0) };
    // 900 × 100 + 100 × 1250
    assert_eq!(cost(&prices, Factor::ONE, &odd, None).unwrap().0, 215_000);
    let odd = Usage { cache_write: Some(5), cache_write_1h: Some(9), ..tokens(5, 0) };
    // 5 × 2000
    assert_eq!(cost(&prices, Factor::ONE, &odd, None).unwrap().0, 10_000);
}

#[test]
fn the_largest_numbers_stay_in_range() {
    let mut rates = Rates::default();
    for kind in Kind::ALL {
        rates.set(kind, PerToken::parse("100000").unwrap());
    }
    let modes = [("max".to_owned(), Mode::Factor(Factor::parse("1000").unwrap()))];
    let web_search = Some(PerCall::parse("100000").unwrap());
    let prices =
        Prices { rates, modes: modes.into_iter().collect(), web_search, ..Prices::default() };
    for count in [TOKENS_MAX, u64::MAX] {
        let all = Some(count);
        let usage = Usage {
            cache_read: all,
            cache_write: all,
            cache_write_1h: all,
            reasoning: all,
            image_input: all,
            image_output: all,
            audio_input: all,
            audio_output: all,
            web_searches: all,
            ..tokens(count, count)
        };
        let most = cost(&prices, Factor::parse("1000").unwrap(), &usage, Some("MAX"));
        assert_eq!(most.unwrap().0, i64::MAX);
        assert!(cost(&prices, Factor(0), &usage, None).unwrap().0 >= 0);
    }
    let plain = cost(&prices, Factor::ONE, &tokens(TOKENS_MAX, TOKENS_MAX), None);
    assert_eq!(plain.unwrap().0, 200_000_000_000_000_000, "two hundred million dollars");
}

/// Some usage with parts within their wholes.
fn usages() -> impl Strategy<Value = Usage> {
    let part = 0..=TOKENS_MAX;
    (part.clone(), part.clone(), part.clone(), part.clone(), part, 0_u64..1_000).prop_map(
        |(read, write, plain, reasoning, spoken, searches)| Usage {
            cache_read: Some(read / 4),
            cache_write: Some(write / 4),
            cache_write_1h: Some(write / 8),
            reasoning: Some(reasoning / 2),
            web_searches: Some(searches),
            ..tokens(read / 4 + write / 4 + plain / 2, reasoning / 2 + spoken / 2)
        },
    )
}

/// Prices as real ones are: cached input no dearer than plain, written no cheaper, tiers dearer.
fn prices() -> impl Strategy<Value = Prices> {
    (0_u64..1_000_000_000, 0_u64..1_000_000_000, 0_u64..=100, any::<bool>()).prop_map(
        |(input, output, percent, apart)| {
            let mut rates = Rates::default();
            rates.set(Kind::Input, PerToken(input));
            rates.set(Kind::Output, PerToken(output));
            rates.set(Kind::CacheRead, PerToken(input * percent / 100));
            rates.set(Kind::CacheWrite, PerToken(input + input * percent / 100));
            if apart {
                rates.set(Kind::Reasoning, PerToken(output * percent / 100));
            }
            let dearer = rates.times(Factor(2_000_000));
            Prices {
                rates,
                tiers: vec![Tier { above: 200_000, rates: dearer }],
                web_search: Some(PerCall(10_000_000_000)),
                ..Prices::default()
            }
        },
    )
}

fn whole(prices: &Prices, usage: &Usage) -> i64 {
    cost(prices, Factor::ONE, usage, None).unwrap().0
}

proptest! {
    #[test]
    fn more_never_costs_less(prices in prices(), usage in usages(), more in 1_u64..1_000_000) {
        let before = whole(&prices, &usage);
        for larger in [
            Usage { input: usage.input.map(|count| count + more), ..usage },
            Usage { output: usage.output.map(|count| count + more), ..usage },
            Usage { web_searches: usage.web_searches.map(|count| count + more), ..usage },
        ] {
            prop_assert!(whole(&prices, &larger) >= before);
        }
    }

    #[test]
    fn input_and_output_add_up(prices in prices(), usage in usages()) {
        let input = Usage { output: None, reasoning: None, web_searches: None, ..usage };
        let output = Usage { output: usage.output, reasoning: usage.reasoning, ..Usage::default() };
        // The tier goes by the input, so the parts are priced without tiers.
        let flat = Prices { tiers: Vec::new(), ..prices };
        let searches = Usage { web_searches: usage.web_searches, ..Usage::default() };
        let sum = whole(&flat, &input) + whole(&flat, &output) + whole(&flat, &searches);
        prop_assert!((whole(&flat, &usage) - sum).abs() <= 1, "each part may be rounded up once");
    }

    #[test]
    fn what_was_read_from_a_cache_is_never_dearer(prices in prices(), usage in usages()) {
        let uncached = Usage { cache_read: None, ..usage };
        prop_assert!(whole(&prices, &usage) <= whole(&prices, &uncached));
    }

    #[test]
    fn any_numbers_have_a_cost(
        prices in prices(),
        counts in proptest::array::uniform10(proptest::option::of(any::<u64>())),
    ) {
        let [input, output, cache_read, cache_write, cache_write_1h, reasoning, image_input, image_output, audio_input, web_searches] = counts;
        let usage = Usage {
            input, output, cache_read, cache_write, cache_write_1h, reasoning, image_input, image_output, audio_input,
            web_searches, ..Usage::default()
        };
        let found = cost(&prices, Factor::ONE, &usage, Some("batch"));
        prop_assert_eq!(found.is_none(), usage.is_empty());
        prop_assert!(found.is_none_or(|nano| nano.0 >= 0));
    }
}
