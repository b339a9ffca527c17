//! The distributions that intervals and tests are read from: normal, Student's t, binomial at one half, sums of ranks.
//!
//! To about 13 digits, by the usual series and continued fractions; tests hold them to values of scipy.

/// P(Z ≤ z).
pub(super) fn normal_cdf(z: f64) -> f64 {
    if z.is_nan() {
        return f64::NAN;
    }
    // Through the incomplete gamma function: P(Z² ≤ z²) is P(½, z²/2). Each tail on its own, so that small ones stay exact.
    let tail = 0.5 * upper_gamma(0.5, 0.5 * z * z);
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// The z with P(Z ≤ z) = p.
pub(super) fn normal_quantile(p: f64) -> f64 {
    quantile(p, f64::INFINITY, normal_cdf)
}

/// P(T ≤ t) at `freedom` degrees, which need not be whole.
pub(super) fn t_cdf(t: f64, freedom: f64) -> f64 {
    if freedom.is_infinite() {
        return normal_cdf(t);
    }
    let tail = 0.5 * beta(freedom / (freedom + t * t), 0.5 * freedom, 0.5);
    if t < 0.0 { tail } else { 1.0 - tail }
}

/// The t with P(T ≤ t) = p.
pub(super) fn t_quantile(p: f64, freedom: f64) -> f64 {
    quantile(p, freedom, |t| t_cdf(t, freedom))
}

/// By bisection on the lower half, where the tail keeps its digits; both distributions are symmetric about 0.
fn quantile(p: f64, freedom: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    let tail = p.min(1.0 - p);
    if tail <= 0.0 {
        return if p < 0.5 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let (mut low, mut high) = (-1.0, 0.0);
    while cdf(low) > tail && low > -1e300 {
        high = low;
        low *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if cdf(middle) > tail {
            high = middle;
        } else {
            low = middle;
        }
    }
    let found = f64::midpoint(low, high);
    if p < 0.5 { found } else { -found }
}

/// P(at most `most` of `n` even coins show heads).
pub(super) fn even_binomial_cdf(most: u64, n: u64) -> f64 {
    let half = n as f64 * std::f64::consts::LN_2;
    let all = ln_gamma(n as f64 + 1.0);
    let chance =
        |k: u64| (all - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0) - half).exp();
    (0..=most.min(n)).map(chance).sum::<f64>().min(1.0)
}

/// For each sum that some of these whole numbers can have, from 0 to the sum of all, the share of the 2ⁿ choices that give
/// it. Meant for at most 50 numbers, so that every count is a whole number that a float can hold.
pub(super) fn subset_sum_shares(numbers: &[usize]) -> Vec<f64> {
    let mut counts = vec![0.0; numbers.iter().sum::<usize>() + 1];
    if let Some(first) = counts.first_mut() {
        *first = 1.0;
    }
    for number in numbers {
        for sum in (*number..counts.len()).rev() {
            let below = counts.get(sum - number).copied().unwrap_or_default();
            if let Some(count) = counts.get_mut(sum) {
                *count += below;
            }
        }
    }
    let all = 2_f64.powi(i32::try_from(numbers.len()).unwrap_or(i32::MAX));
    counts.iter().map(|count| count / all).collect()
}

/// ln Γ(x) for x > 0, by Lanczos' approximation (g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum = TERMS
        .iter()
        .zip(1..)
        .fold(0.999_999_999_999_809_9, |sum, (term, place)| sum + term / (x + f64::from(place)));
    let base = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * base.ln() - base + sum.ln()
}

/// The regularised upper incomplete gamma function Q(a, x).
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return 1.0 - front * sum;
    }
    let step = |n: f64| (-n * (n - a), x + 2.0 * n + 1.0 - a);
    front / fraction(x + 1.0 - a, step)
}

/// The regularised incomplete beta function I(x; a, b).
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let step = |n: f64| {
        let half = (n / 2.0).floor();
        let top = if n % 2.0 == 0.0 {
            half * (b - half) * x / ((a + 2.0 * half - 1.0) * (a + 2.0 * half))
        } else {
            -(a + half) * (a + b + half) * x / ((a + 2.0 * half) * (a + 2.0 * half + 1.0))
        };
        (top, 1.0)
    };
    front / (a * fraction(1.0, step))
}

/// first + top₁/(bottom₁ + top₂/(bottom₂ + …)), by Lentz' method.
fn fraction(first: f64, step: impl Fn(f64) -> (f64, f64)) -> f64 {
    const TINY: f64 = 1e-300;
    const STEPS_MAX: u32 = 10_000;
    let not_0 = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut value = not_0(first);
    let (mut c, mut d) = (value, 0.0);
    for n in 1..=STEPS_MAX {
        let (top, bottom) = step(f64::from(n));
        d = 1.0 / not_0(bottom + top * d);
        c = not_0(bottom + top / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these numbers are exact")]

    use super::*;

    fn check(name: &str, got: f64, scipy: f64) {
        let off = (got - scipy).abs() / scipy.abs().max(1e-300);
        assert!(off < 1e-11, "{name}: {got} is not {scipy}");
    }

    #[test]
    fn values_are_those_of_scipy() {
        check("norm.cdf(-6)", normal_cdf(-6.0), 9.865_876_450_376_946e-10);
        check("norm.cdf(-1.3)", normal_cdf(-1.3), 0.096_800_484_585_610_33);
        check("norm.cdf(0.7)", normal_cdf(0.7), 0.758_036_347_776_927);
        check("norm.ppf(.975)", normal_quantile(0.975), 1.959_963_984_540_054);
        check("norm.ppf(.001)", normal_quantile(0.001), -3.090_232_306_167_813);
        check("t.ppf(.975, 1)", t_quantile(0.975, 1.0), 12.706_204_736_174_694);
        check("t.ppf(.975, 7)", t_quantile(0.975, 7.0), 2.364_624_251_592_785);
        check("t.ppf(.8, 29)", t_quantile(0.8, 29.0), 0.854_191_985_881_855_7);
        check("t.ppf(.975, 12.6)", t_quantile(0.975, 12.6), 2.167_361_092_258_204_7);
        check("t.cdf(-3, 4.5)", t_cdf(-3.0, 4.5), 0.017_190_433_944_379_81);
        check("binom.cdf(3, 17, .5)", even_binomial_cdf(3, 17), 0.006_362_915_039_062_5);
        check("binom.cdf(470, 1000, .5)", even_binomial_cdf(470, 1000), 0.031_011_597_549_181_716);
    }

    #[test]
    fn edges_have_answers() {
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(0.5).abs() < 1e-12);
        assert!(t_quantile(0.975, 0.0).is_nan() && normal_quantile(-0.1).is_nan());
        assert!((t_quantile(0.975, 1e7) - normal_quantile(0.975)).abs() < 1e-6);
        assert_eq!(even_binomial_cdf(0, 0), 1.0);
        assert_eq!(normal_cdf(40.0), 1.0);
    }

    #[test]
    fn choices_of_three_ranks_are_counted_by_hand() {
        let counts: Vec<f64> =
            subset_sum_shares(&[1, 2, 3]).iter().map(|share| share * 8.0).collect();
        assert_eq!(counts, [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
        let ranks: Vec<usize> = (1..=50).collect();
        assert!((subset_sum_shares(&ranks).iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
