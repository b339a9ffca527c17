//! Upper bounds of histograms, in seconds. Each suits what is measured: a gateway's own microseconds, a model's minutes.

/// Whole calls, first tokens: 10 ms to 10 min.
pub const CALL: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0,
];

/// The gateway's own time: 10 µs to 1 s.
pub const OVERHEAD: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.1, 1.0,
];

/// Time per output token: 1 ms to 2.5 s, close together where models are.
pub const TOKEN: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0,
    2.5,
];

/// The longest silence of a stream: 10 ms to 1 min.
pub const GAP: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Parts of an attempt: 100 µs to 5 min.
pub const PHASE: &[f64] = &[
    0.000_1, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];

/// Where `value` falls: the first bound not below it, or the number of bounds for what is over all of them.
pub(crate) fn index(bounds: &[f64], value: f64) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_and_span_what_they_say() {
        for (bounds, from, to) in [
            (CALL, 0.01, 600.0),
            (OVERHEAD, 0.000_01, 1.0),
            (TOKEN, 0.001, 2.5),
            (GAP, 0.01, 60.0),
            (PHASE, 0.000_1, 300.0),
        ] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
            assert_eq!((bounds.first(), bounds.last()), (Some(&from), Some(&to)));
        }
    }

    #[test]
    fn a_value_on_a_bound_belongs_to_it() {
        for (value, at) in [(0.0, 0), (0.01, 0), (0.010_1, 1), (600.0, 15), (601.0, 16)] {
            assert_eq!(index(CALL, value), at, "{value}");
        }
    }
}
