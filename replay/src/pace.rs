//! How fast a run goes: one value, whatever the flags were that it was written with. What it means for a single request is
//! worked out in [`crate::schedule`].
//!
//! | written | meaning |
//! |---|---|
//! | `recorded 2x` | as it happened, twice as fast |
//! | `constant 10/s`, `poisson 10/s`, `gamma:4 10/s` | this many requests a second over all targets, with even, random or evener gaps |
//! | `ramp 1/s..50/s over 60s` | a rate that grows (or falls) evenly, and then stays |
//! | `closed 8` | the next as soon as fewer than eight are in flight |
//! | `one-by-one` | each after the one before it has ended |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of `--speed`.
pub const SPEED_MIN: f64 = 0.1;
pub const SPEED_MAX: f64 = 100.0;
/// Limit: requests a second.
pub const RATE_MAX: f64 = 100_000.0;
/// Limit: requests in flight of a closed loop.
pub const IN_FLIGHT_MAX: u32 = 10_000;
/// Requests in flight of a closed loop for which no number was given.
const IN_FLIGHT: u32 = 4;

/// How fast a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pace {
    /// As it happened; a greater speed is faster.
    Recorded {
        speed: f64,
    },
    /// Requests of the whole run a second, whatever is in flight.
    Rate {
        per_s: f64,
        shape: Shape,
    },
    /// From one rate to another, evenly, then staying there.
    Ramp {
        from: f64,
        to: f64,
        over: Duration,
    },
    /// As many as this in flight, over all targets.
    Closed {
        in_flight: u32,
    },
    OneByOne,
}

/// How the gaps of a rate are spread around their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    Constant,
    /// Exponential gaps: arrivals that know nothing of each other.
    Poisson,
    /// 1 is Poisson, more is evener, less comes in bursts.
    Gamma(f64),
}

/// Why what was written is no pace.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PaceError {
    #[error(
        "`{0}` is no pace; use recorded, closed, one-by-one, constant, poisson, gamma:K or ramp"
    )]
    Unknown(String),
    #[error(
        "`{0}` is no speed; write a factor from {SPEED_MIN}x to {SPEED_MAX}x, greater is faster"
    )]
    Speed(String),
    #[error(
        "`{0}` is no rate; write requests a second or minute, such as 10/s or 90/m, up to {RATE_MAX}/s"
    )]
    Rate(String),
    #[error("`{0}` is no ramp; write it as `1/s..50/s over 60s`")]
    Ramp(String),
    #[error("`{0}` is no shape of gamma; write gamma:K with K from 0.05 to 1000")]
    Shape(String),
    #[error("{0} requests in flight are outside the limit; give 1 to {IN_FLIGHT_MAX}")]
    InFlight(String),
    #[error("{flag} means nothing with the pace `{pace}`; leave it out, or change the pace")]
    Foreign { flag: &'static str, pace: String },
    #[error("the pace `{pace}` needs {flag}")]
    Lacks { flag: &'static str, pace: String },
}

impl Default for Pace {
    fn default() -> Self {
        Self::Recorded { speed: 1.0 }
    }
}

impl Pace {
    /// What `--pace`, `--speed`, `--rate` and `--concurrency` say together. `--pace` may also hold a whole pace as [`fmt::Display`]
    /// writes it; then no other flag may.
    pub fn from_flags(
        pace: Option<&str>,
        speed: Option<&str>,
        rate: Option<&str>,
        in_flight: Option<u32>,
    ) -> Result<Self, PaceError> {
        let pace = pace.map(str::trim);
        if let Some(whole) = pace.filter(|written| written.contains(char::is_whitespace)) {
            return match first_given(speed, rate, in_flight) {
                Some(flag) => Err(PaceError::Foreign { flag, pace: whole.to_owned() }),
                None => whole.parse(),
            };
        }
        let kind = match (pace, rate, in_flight) {
            (Some(kind), ..) => kind,
            (None, Some(rate), _) if rate.contains("..") => "ramp",
            (None, Some(_), _) => "constant",
            (None, None, Some(_)) => "closed",
            (None, None, None) => "recorded",
        };
        let foreign = match kind {
            "recorded" => first_given(None, rate, in_flight),
            "closed" => first_given(speed, rate, None),
            "one-by-one" => first_given(speed, rate, in_flight),
            _ => first_given(speed, None, in_flight),
        };
        if let Some(flag) = foreign {
            return Err(PaceError::Foreign { flag, pace: kind.to_owned() });
        }
        let in_flight = in_flight.map(|count| count.to_string());
        build(kind, speed.or(rate).or(in_flight.as_deref()))
    }

    /// Whether requests are sent at their instant, whatever is in flight.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Closed { .. } | Self::OneByOne)
    }

    /// The most that may be in flight, where the pace says so.
    pub fn in_flight(self) -> Option<u32> {
        match self {
            Self::Closed { in_flight } => Some(in_flight),
            Self::OneByOne => Some(1),
            Self::Recorded { .. } | Self::Rate { .. } | Self::Ramp { .. } => None,
        }
    }
}

fn first_given(
    speed: Option<&str>,
    rate: Option<&str>,
    in_flight: Option<u32>,
) -> Option<&'static str> {
    let speed = speed.map(|_| "--speed");
    speed.or(rate.map(|_| "--rate")).or(in_flight.map(|_| "--concurrency"))
}

fn build(kind: &str, rest: Option<&str>) -> Result<Pace, PaceError> {
    let lacks = |flag| PaceError::Lacks { flag, pace: kind.to_owned() };
    match kind {
        "recorded" => Ok(Pace::Recorded { speed: rest.map_or(Ok(1.0), speed)? }),
        "closed" => Ok(Pace::Closed { in_flight: rest.map_or(Ok(IN_FLIGHT), in_flight)? }),
        "one-by-one" => match rest {
            None => Ok(Pace::OneByOne),
            Some(more) => Err(PaceError::Unknown(format!("{kind} {more}"))),
        },
        "ramp" => ramp(rest.ok_or_else(|| lacks("--rate 1/s..50/s over 60s"))?),
        _ => {
            let shape = shape(kind)?;
            Ok(Pace::Rate { per_s: rate(rest.ok_or_else(|| lacks("--rate"))?)?, shape })
        }
    }
}

fn shape(kind: &str) -> Result<Shape, PaceError> {
    match (kind, kind.strip_prefix("gamma:")) {
        ("constant", _) => Ok(Shape::Constant),
        ("poisson", _) => Ok(Shape::Poisson),
        (_, Some(shape)) => shape
            .parse()
            .ok()
            .filter(|shape| (0.05..=1000.0).contains(shape))
            .map(Shape::Gamma)
            .ok_or_else(|| PaceError::Shape(kind.to_owned())),
        _ => Err(PaceError::Unknown(kind.to_owned())),
    }
}

/// `2x`, `0.5x`, `2`.
pub fn speed(written: &str) -> Result<f64, PaceError> {
    let number = written.trim().trim_end_matches(['x', 'X', '×']);
    number
        .parse()
        .ok()
        .filter(|speed| (SPEED_MIN..=SPEED_MAX).contains(speed))
        .ok_or_else(|| PaceError::Speed(written.to_owned()))
}

/// `10/s`, `90/m`, `10`: requests a second.
pub fn rate(written: &str) -> Result<f64, PaceError> {
    let wrong = || PaceError::Rate(written.to_owned());
    let (number, unit) = written.split_once('/').unwrap_or((written, "s"));
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        _ => return Err(wrong()),
    };
    let count: f64 = number.trim().parse().map_err(|_| wrong())?;
    let per_s = count / seconds;
    if per_s > 0.0 && per_s <= RATE_MAX { Ok(per_s) } else { Err(wrong()) }
}

fn in_flight(written: &str) -> Result<u32, PaceError> {
    written
        .trim()
        .parse()
        .ok()
        .filter(|count| (1..=IN_FLIGHT_MAX).contains(count))
        .ok_or_else(|| PaceError::InFlight(written.to_owned()))
}

/// `1/s..50/s over 60s`.
fn ramp(written: &str) -> Result<Pace, PaceError> {
    let wrong = || PaceError::Ramp(written.to_owned());
    let (rates, over) = written.split_once(" over ").ok_or_else(wrong)?;
    let (from, to) = rates.split_once("..").ok_or_else(wrong)?;
    let over = over.trim();
    let (number, unit) = over.split_at(over.trim_end_matches(char::is_alphabetic).len());
    let unit = match unit {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = seconds * unit;
    if !(0.001..=1e7).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Pace::Ramp { from: rate(from)?, to: rate(to)?, over: Duration::from_secs_f64(seconds) })
}

impl FromStr for Pace {
    type Err = PaceError;

    fn from_str(written: &str) -> Result<Self, PaceError> {
        match written.trim().split_once(char::is_whitespace) {
            Some((kind, rest)) => build(kind, Some(rest.trim())),
            None => build(written.trim(), None),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded { speed } => write!(f, "recorded {speed}x"),
            Self::Rate { per_s, shape: Shape::Constant } => write!(f, "constant {per_s}/s"),
            Self::Rate { per_s, shape: Shape::Poisson } => write!(f, "poisson {per_s}/s"),
            Self::Rate { per_s, shape: Shape::Gamma(k) } => write!(f, "gamma:{k} {per_s}/s"),
            Self::Ramp { from, to, over } => {
                write!(f, "ramp {from}/s..{to}/s over {}s", over.as_secs_f64())
            }
            Self::Closed { in_flight } => write!(f, "closed {in_flight}"),
            Self::OneByOne => f.write_str("one-by-one"),
        }
    }
}

impl TryFrom<String> for Pace {
    type Error = PaceError;

    fn try_from(written: String) -> Result<Self, PaceError> {
        written.parse()
    }
}

impl From<Pace> for String {
    fn from(pace: Pace) -> Self {
        pace.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(
        pace: Option<&str>,
        speed: Option<&str>,
        rate: Option<&str>,
        in_flight: Option<u32>,
    ) -> String {
        match Pace::from_flags(pace, speed, rate, in_flight) {
            Ok(pace) => {
                assert_eq!(pace.to_string().parse(), Ok(pace), "what is shown can be written");
                pace.to_string()
            }
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn flags_come_to_one_value() {
        assert_eq!(flags(None, None, None, None), "recorded 1x");
        assert_eq!(flags(None, Some("2x"), None, None), "recorded 2x");
        assert_eq!(flags(Some("recorded"), Some("0.1"), None, None), "recorded 0.1x");
        assert_eq!(flags(None, None, Some("10/s"), None), "constant 10/s");
        assert_eq!(flags(Some("poisson"), None, Some("90/m"), None), "poisson 1.5/s");
        assert_eq!(flags(Some("gamma:2.5"), None, Some("7"), None), "gamma:2.5 7/s");
        assert_eq!(flags(None, None, None, Some(8)), "closed 8");
        assert_eq!(flags(Some("closed"), None, None, None), "closed 4");
        assert_eq!(flags(Some("one-by-one"), None, None, None), "one-by-one");
        let ramp = "1/s..50/s over 2m";
        assert_eq!(flags(None, None, Some(ramp), None), "ramp 1/s..50/s over 120s");
        assert_eq!(flags(Some("poisson 3/s"), None, None, None), "poisson 3/s");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (made, part) in [
            (flags(None, Some("0.05x"), None, None), "0.05x` is no speed"),
            (flags(None, Some("101x"), None, None), "101x` is no speed"),
            (flags(None, Some("NaN"), None, None), "NaN` is no speed"),
            (flags(None, None, Some("0/s"), None), "0/s` is no rate"),
            (flags(None, None, Some("5/h"), None), "5/h` is no rate"),
            (flags(None, None, Some("inf"), None), "inf` is no rate"),
            (flags(None, None, Some("1..2"), None), "`1..2` is no ramp"),
            (flags(None, None, None, Some(0)), "0 requests in flight"),
            (flags(Some("fast"), None, None, None), "`fast` is no pace"),
            (flags(Some("poisson"), None, None, None), "needs --rate"),
            (flags(Some("gamma:0"), None, Some("1/s"), None), "no shape of gamma"),
            (flags(Some("closed"), Some("2x"), None, None), "--speed means nothing"),
            (flags(None, Some("2x"), Some("1/s"), None), "--speed means nothing"),
            (flags(None, None, Some("1/s"), Some(3)), "--concurrency means nothing"),
            (flags(Some("closed 8"), None, None, Some(3)), "--concurrency means nothing"),
            (flags(Some("one-by-one 3"), None, None, None), "is no pace"),
        ] {
            assert!(made.starts_with('!') && made.contains(part), "{made}");
        }
    }

    #[test]
    fn a_pace_is_a_string_in_every_format() {
        let pace = Pace::Rate { per_s: 12.5, shape: Shape::Gamma(4.0) };
        let json = serde_json::to_string(&pace).unwrap();
        assert_eq!(json, r#""gamma:4 12.5/s""#);
        assert_eq!(serde_json::from_str::<Pace>(&json).unwrap(), pace);
    }
}
