//! Randomness that can be had again: everything that a run leaves to chance (order, gaps, resampling) comes from its seed,
//! never from the system.
//!
//! The generator is xoshiro256++ by Blackman and Vigna, its state filled by splitmix64. It is fast and even, and no secret
//! may depend on it.

/// A generator of one stream of numbers.
#[derive(Debug, Clone)]
pub struct Dice {
    state: [u64; 4],
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut filler = seed;
        Self { state: std::array::from_fn(|_| splitmix(&mut filler)) }
    }

    /// A stream of its own for `purpose`: what one part of a run draws changes nothing for the others.
    pub fn of(seed: u64, purpose: &str) -> Self {
        // FNV-1a: any even hash would do, this one is the same everywhere.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::new(seed ^ hash)
    }

    /// 64 even bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let kept = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= kept;
        *d = d.rotate_left(45);
        result
    }

    /// An even number under `bound`, without bias; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Lemire's method: the high half of a product is even once the few low halves that repeat are thrown away.
        let uneven = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if (product as u64) >= uneven {
                return (product >> 64) as u64;
            }
        }
    }

    /// From 0, and under 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Above 0, and up to 1: what logarithms are taken of.
    fn unit_above_0(&mut self) -> f64 {
        1.0 - self.unit()
    }

    /// Exponential with mean 1: the gaps of a Poisson process of rate 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit_above_0().ln()
    }

    /// Normal with mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        // Marsaglia's polar method. The second number is thrown away: no state but the generator's.
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// Gamma with this shape and scale 1, so with mean `shape`; 0 for a shape that is none.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape.is_nan() || shape <= 0.0 {
            return 0.0;
        }
        if shape < 1.0 {
            // A shape of one more, made smaller by a power of an even number.
            let smaller = self.unit_above_0().powf(1.0 / shape);
            return self.gamma(shape + 1.0) * smaller;
        }
        // Marsaglia and Tsang, 2000.
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let cube = (1.0 + c * x).powi(3);
            if cube > 0.0 && self.unit_above_0().ln() < 0.5 * x * x + d - d * cube + d * cube.ln() {
                return d * cube;
            }
        }
    }

    /// Puts the items into an order of which all are equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these numbers are exact")]

    use super::*;

    const DRAWS: usize = 200_000;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let drawn: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<f64>() / DRAWS as f64;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / DRAWS as f64;
        (mean, variance)
    }

    fn check(name: &str, got: (f64, f64), mean: f64, variance: f64) {
        assert!((got.0 - mean).abs() < 0.01 * mean.abs().max(1.0), "{name}: mean {}", got.0);
        assert!((got.1 - variance).abs() < 0.03 * variance.max(0.1), "{name}: variance {}", got.1);
    }

    #[test]
    fn the_first_numbers_are_those_of_the_published_generators() {
        // splitmix64 from 0, and xoshiro256++ from the state 1, 2, 3, 4: the vectors of rand_xoshiro's tests.
        let mut filler = 0;
        assert_eq!(splitmix(&mut filler), 0xe220_a839_7b1d_cdaf);
        assert_eq!(splitmix(&mut filler), 0x6e78_9e6a_a1b9_65f4);
        let mut dice = Dice { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| dice.next_u64()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn the_same_seed_gives_the_same_and_another_purpose_something_else() {
        let draw = |mut dice: Dice| (0..8).map(|_| dice.next_u64()).collect::<Vec<_>>();
        assert_eq!(draw(Dice::new(7)), draw(Dice::new(7)));
        assert_ne!(draw(Dice::new(7)), draw(Dice::new(8)));
        assert_ne!(draw(Dice::of(7, "order")), draw(Dice::of(7, "gaps")));
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut dice = Dice::new(1);
        check("unit", moments(|| dice.unit()), 0.5, 1.0 / 12.0);
        check("exponential", moments(|| dice.exponential()), 1.0, 1.0);
        check("normal", moments(|| dice.normal()), 0.0, 1.0);
        for shape in [0.25, 0.9, 1.0, 3.5, 40.0] {
            check(&format!("gamma {shape}"), moments(|| dice.gamma(shape)), shape, shape);
        }
    }

    #[test]
    fn bounds_are_kept_and_every_number_under_them_comes_as_often() {
        let mut dice = Dice::new(2);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[dice.below(6) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (9_600..10_400).contains(count)), "{seen:?}");
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
        assert_eq!(dice.gamma(f64::NAN) + dice.gamma(-1.0), 0.0);
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_makes_every_order_as_likely() {
        let mut dice = Dice::new(3);
        let mut orders = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [1, 2, 3, 4];
            dice.shuffle(&mut items);
            *orders.entry(items).or_insert(0_u32) += 1;
        }
        assert_eq!(orders.len(), 24);
        assert!(orders.values().all(|count| (850..1150).contains(count)), "{orders:?}");
    }
}
