//! Chance and time of a simulated provider, both drawn from the seed and from nothing else.

use std::f64::consts::TAU;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// A small generator (splitmix64): one per answer, seeded so that the answer can be made again.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..`bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        match bound {
            0 => 0,
            _ => (self.next() % bound as u64) as usize,
        }
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// `length` letters and digits behind `prefix`: the look of a provider's ids.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Qz";
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        let mut pool = 0;
        for position in 0..length {
            if position % 10 == 0 {
                pool = self.next();
            }
            id.push(char::from(ALPHABET[(pool & 63) as usize]));
            pool >>= 6;
        }
        id
    }
}

/// The finalizer of splitmix64.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A 64-bit digest of `bytes`: not for secrets, only to tell requests apart, the same on every machine.
pub(crate) fn digest(seed: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9FB2_1C65_1E98_DF25;
    let start = mix(seed ^ bytes.len() as u64);
    // Four lanes side by side: one multiplication does not wait for the one before it.
    let mut lanes = [start, start ^ 1, start ^ 2, start ^ 3];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(29);
        }
    }
    let mut state = lanes.into_iter().fold(0, |state, lane| mix(state ^ lane));
    for byte in rest {
        state = (state ^ u64::from(*byte)).wrapping_mul(FACTOR).rotate_left(29);
    }
    mix(state)
}

/// A time in a script: `"120ms"`, `"1.5s"`, `"800us"`, `"2m"`, or a number of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(with = "String")]
pub struct Millis(pub f64);

impl Millis {
    /// Reads the text form; `None` when it is not a number with a known unit.
    pub fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = text[..split].parse().ok()?;
        let factor = match text[split..].trim() {
            "us" => 0.001,
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            _ => return None,
        };
        Some(Self(number * factor))
    }

    pub(crate) fn duration(self) -> Duration {
        millis(self.0)
    }
}

/// A duration of `value` milliseconds, at least zero and at most a day.
pub(crate) fn millis(value: f64) -> Duration {
    Duration::from_secs_f64((value / 1_000.0).clamp(0.0, 86_400.0))
}

impl From<Millis> for f64 {
    fn from(value: Millis) -> Self {
        value.0
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Millis;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time such as \"120ms\", \"1.5s\", \"800us\" or a number of milliseconds",
                )
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Millis, E> {
                Millis::parse(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Millis, E> {
                self.visit_f64(number as f64)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Millis, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Millis, E> {
                Ok(Millis(number))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// How a quantity varies from one draw to the next.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Shape<T> {
    /// Evenly between the two.
    Uniform(T, T),
    /// The bell, cut off at zero.
    Normal { mean: T, sd: T },
    /// The long tail of network and model latencies: `median`, and the spread of its logarithm.
    Lognormal { median: T, sigma: f64 },
    /// Independent arrivals.
    Exponential { mean: T },
}

/// A constant, or a distribution to draw from.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Dist<T> {
    Constant(T),
    Drawn(Shape<T>),
}

impl<T: Copy + Into<f64>> Dist<T> {
    /// One value, never negative.
    pub(crate) fn draw(&self, rng: &mut Rng) -> f64 {
        let value = match *self {
            Self::Constant(value) => value.into(),
            Self::Drawn(Shape::Uniform(low, high)) => {
                let (low, high): (f64, f64) = (low.into(), high.into());
                low + (high - low) * rng.unit()
            }
            Self::Drawn(Shape::Normal { mean, sd }) => mean.into() + sd.into() * bell(rng),
            Self::Drawn(Shape::Lognormal { median, sigma }) => {
                median.into() * (sigma * bell(rng)).exp()
            }
            Self::Drawn(Shape::Exponential { mean }) => -(1.0 - rng.unit()).ln() * mean.into(),
        };
        value.max(0.0)
    }
}

/// A standard normal value (Box and Muller).
fn bell(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.unit()).ln()).sqrt();
    radius * (TAU * rng.unit()).cos()
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Dist<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Written by hand because an untagged enum would hide which key or unit was wrong.
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Dist<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a value, or a table with `uniform`, `normal`, `lognormal` or `exponential`",
                )
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::new(text)).map(Dist::Constant)
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_f64(number as f64)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                T::deserialize(serde::de::value::F64Deserializer::new(number)).map(Dist::Constant)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Shape::deserialize(MapAccessDeserializer::new(map)).map(Dist::Drawn)
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        wait: Dist<Millis>,
    }

    fn dist(text: &str) -> Result<Dist<Millis>, toml::de::Error> {
        toml::from_str::<Holder>(text).map(|holder| holder.wait)
    }

    fn mean(dist: &Dist<Millis>) -> f64 {
        let mut rng = Rng::new(7);
        (0..20_000).map(|_| dist.draw(&mut rng)).sum::<f64>() / 20_000.0
    }

    #[test]
    fn every_shape_is_read_and_has_its_mean() {
        for (text, expected) in [
            ("wait = 12", 12.0),
            ("wait = '1.5s'", 1_500.0),
            ("wait = '250us'", 0.25),
            ("wait = { uniform = ['10ms', 30] }", 20.0),
            ("wait = { normal = { mean = '100ms', sd = 5 } }", 100.0),
            ("wait = { exponential = { mean = '40ms' } }", 40.0),
            // The mean of a lognormal is median × exp(sigma² / 2).
            ("wait = { lognormal = { median = 100, sigma = 0.5 } }", 113.3),
        ] {
            let found = mean(&dist(text).expect(text));
            assert!((found - expected).abs() / expected < 0.03, "{text}: {found}");
        }
    }

    #[test]
    fn wrong_units_and_shapes_are_named() {
        for (text, part) in [
            ("wait = '5 parsecs'", "5 parsecs"),
            ("wait = { triangular = 3 }", "triangular"),
            ("wait = { normal = { mean = 3, deviation = 1 } }", "deviation"),
        ] {
            let message = dist(text).expect_err(text).to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn same_seed_same_draws() {
        let (mut one, mut two) = (Rng::new(3), Rng::new(3));
        assert_eq!(one.id("req_", 24), two.id("req_", 24));
        assert_eq!(one.next(), two.next());
        assert_ne!(digest(1, b"12345678"), digest(1, b"12345679"));
        assert_ne!(digest(1, b"123"), digest(2, b"123"));
    }

    #[test]
    fn the_digest_sees_every_byte() {
        let bytes = vec![7u8; 100];
        let whole = digest(1, &bytes);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x80;
            assert_ne!(digest(1, &changed), whole, "byte {at}");
        }
    }
}
