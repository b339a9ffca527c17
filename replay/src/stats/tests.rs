//! Comparisons as wholes: words for intervals, what is resampled, and simulations of how often they err.

#![expect(clippy::float_cmp, reason = "what is compared comes from the same steps")]
#![expect(clippy::cast_sign_loss, reason = "lengths are never negative")]

use super::*;
use crate::dice::Dice;

fn pairs(ratios: &[f64]) -> Vec<Pair> {
    ratios
        .iter()
        .zip(0..)
        .map(|(ratio, place)| Pair { base: 2.0, new: 2.0 * ratio, session: place, exchange: place })
        .collect()
}

#[test]
fn words_for_intervals() {
    let check = |ci95, better, word| assert_eq!(verdict(ci95, better, 0.05), word, "{ci95:?}");
    for better in [Better::Lower, Better::Higher, Better::Neither] {
        check([0.953, 1.05], better, Verdict::Same);
        check([1.01, 1.04], better, Verdict::Same);
        check([0.95, 1.05], better, Verdict::Undecided);
        check([0.9, 1.2], better, Verdict::Undecided);
        check([1.0, 1.2], better, Verdict::Undecided);
    }
    check([1.01, 1.2], Better::Lower, Verdict::Slower);
    check([1.01, 1.2], Better::Higher, Verdict::Faster);
    check([0.7, 0.99], Better::Lower, Verdict::Faster);
    check([0.7, 0.99], Better::Higher, Verdict::Slower);
    check([0.7, 0.99], Better::Neither, Verdict::Faster);
    assert_eq!(verdict([1.01, 1.2], Better::Lower, 0.25), Verdict::Same);
}

#[test]
fn a_planted_difference_is_found_and_an_identical_pair_is_the_same() {
    let mut dice = Dice::new(4);
    let mut draw = |ratio: f64| -> Vec<Pair> {
        let ratios: Vec<f64> = (0..60).map(|_| ratio * (0.05 * dice.normal()).exp()).collect();
        pairs(&ratios)
    };
    let slower = compare("ttft", &draw(1.15), &Options::default()).unwrap();
    assert_eq!(slower.verdict, Verdict::Slower);
    assert!(slower.ci95[0] < 1.15 && slower.ci95[1] > 1.15, "{:?}", slower.ci95);
    assert!((1.01..1.05).contains(&slower.mde.unwrap()), "{:?}", slower.mde);
    assert!(slower.p.unwrap() < 1e-6 && slower.shift.unwrap() > 0.2);
    assert_eq!((slower.n, slower.sessions, slower.resampled_by.as_str()), (60, 60, "session"));
    assert_eq!(
        compare("speed", &draw(1.15), &Options::default()).unwrap().verdict,
        Verdict::Faster
    );
    assert_eq!(compare("ttft", &draw(1.0), &Options::default()).unwrap().verdict, Verdict::Same);
}

#[test]
fn what_is_resampled_is_said() {
    let shaped = |sessions: u32, exchanges: u32, repeats: u32| -> Vec<Pair> {
        (0..exchanges * repeats)
            .map(|n| {
                let exchange = n % exchanges;
                let new = 1.0 + f64::from(n * 7 % 5) / 10.0;
                Pair { base: 1.0, new, session: exchange % sessions, exchange }
            })
            .collect()
    };
    let check = |shape: (u32, u32, u32), by: &str, sessions: u64| {
        let pairs = shaped(shape.0, shape.1, shape.2);
        let comparison = compare("e2e", &pairs, &Options::default()).unwrap();
        assert_eq!(comparison.resampled_by, by, "{shape:?}");
        assert_eq!(comparison.sessions, sessions, "{shape:?}");
        assert!(comparison.ci95[0] <= comparison.ratio && comparison.ratio <= comparison.ci95[1]);
    };
    check((8, 40, 1), "session", 8);
    check((7, 40, 1), "exchange", 7);
    check((2, 7, 9), "none", 2);
    check((1, 1, 9), "repeat", 1);
    check((1, 1, 7), "none", 1);
}

#[test]
fn repeats_of_one_exchange_are_not_many_exchanges() {
    // Ten exchanges, each with its own ratio, and the same ten measured thirty times: the interval stays as wide.
    let ten: Vec<Pair> = pairs(&[0.8, 1.3, 1.1, 0.9, 1.2, 1.0, 1.4, 0.85, 1.15, 1.05]);
    let one_session = |pairs: &[Pair]| -> Vec<Pair> {
        pairs.iter().map(|pair| Pair { session: 0, ..*pair }).collect()
    };
    let many: Vec<Pair> = (0..30).flat_map(|_| one_session(&ten)).collect();
    let few = compare("e2e", &one_session(&ten), &Options::default()).unwrap();
    let many = compare("e2e", &many, &Options::default()).unwrap();
    assert_eq!((few.n, many.n), (10, 300));
    for end in 0..2 {
        assert!((few.ci95[end] - many.ci95[end]).abs() < 1e-9, "{:?} {:?}", few.ci95, many.ci95);
    }
    assert!(many.p.unwrap() > 0.05, "{:?}", many.p);
}

#[test]
fn the_same_pairs_in_any_order_give_the_same_comparison() {
    let mut dice = Dice::new(11);
    let mut pairs: Vec<Pair> = (0..90)
        .map(|n| Pair {
            base: dice.unit() + 0.1,
            new: dice.unit() + 0.1,
            session: n / 5,
            exchange: n,
        })
        .collect();
    let before = compare("ttft", &pairs, &Options::default());
    dice.shuffle(&mut pairs);
    assert_eq!(compare("ttft", &pairs, &Options::default()), before);
    let other = compare("ttft", &pairs, &Options { seed: 2, ..Options::default() });
    assert_ne!(other.unwrap().ci95, before.unwrap().ci95);
}

#[test]
fn odd_input_has_an_answer_or_none() {
    let none: [&[f64]; 3] = [&[], &[1.2], &[0.0, 1.0]];
    for ratios in none {
        assert_eq!(compare("ttft", &pairs(ratios), &Options::default()), None, "{ratios:?}");
    }
    let constant = compare("output_tokens", &pairs(&[1.0; 20]), &Options::default()).unwrap();
    assert_eq!((constant.ci95, constant.verdict), ([1.0, 1.0], Verdict::Same));
    assert_eq!((constant.p, constant.p_holm, constant.mde), (None, None, Some(1.0)));
    let two = compare("ttft", &pairs(&[1e-200, 1e200]), &Options::default()).unwrap();
    assert!(two.ci95.iter().all(|end| end.is_finite()), "{:?}", two.ci95);
    assert_eq!(two.verdict, Verdict::Undecided);
    let zeros = compare("cost", &pairs(&[0.0, f64::NAN, 1.0, 1.1]), &Options::default()).unwrap();
    assert_eq!((zeros.n, zeros.left_out), (2, 2));
}

#[test]
fn a_family_is_corrected_as_one() {
    let strong = pairs(&[1.5, 1.4, 1.6, 1.45, 1.55, 1.52, 1.48, 1.51]);
    let weak = pairs(&[1.5, 0.7, 1.6, 0.8, 1.1, 1.2, 0.9, 1.0]);
    let found =
        compare_all(&[("ttft", &strong), ("e2e", &weak), ("cost", &[])], &Options::default());
    assert_eq!(found.iter().map(|c| c.metric.as_str()).collect::<Vec<_>>(), ["ttft", "e2e"]);
    assert_eq!(found[0].p_holm.unwrap(), 2.0 * found[0].p.unwrap());
    assert_eq!(found[1].p_holm, found[1].p);
    assert_eq!(compare("ttft", &strong, &Options::default()).unwrap().ci95, found[0].ci95);
}

/// How the sessions of a simulated run are: how long, and how alike within.
#[derive(Clone, Copy)]
struct World {
    sessions: u32,
    length: fn(&mut Dice, u32) -> u32,
    /// Share of the variance that a session has in common.
    alike: f64,
    noise: fn(&mut Dice) -> f64,
    /// Standard deviation of a log ratio.
    spread: f64,
    ratio: f64,
}

const EVEN: World = World {
    sessions: 30,
    length: |_, _| 8,
    alike: 0.3,
    noise: Dice::normal,
    spread: 0.25,
    ratio: 1.0,
};

impl World {
    fn draw(&self, dice: &mut Dice) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for session in 0..self.sessions {
            let common = self.alike.sqrt() * (self.noise)(dice);
            for _ in 0..(self.length)(dice, session) {
                let own = (1.0 - self.alike).sqrt() * (self.noise)(dice);
                // Sizes of requests differ far more than targets do; pairing takes that out.
                let base = (0.8 * dice.normal()).exp();
                let new = base * self.ratio * (self.spread * (common + own)).exp();
                pairs.push(Pair { base, new, session, exchange: pairs.len() as u32 });
            }
        }
        pairs
    }

    /// The share of runs whose interval excludes 1.
    fn share_decided(&self, runs: u32) -> f64 {
        let options = Options { resamples: 1_000, ..Options::default() };
        let mut dice = Dice::new(2026);
        let mut decided = 0;
        for seed in 0..runs {
            let prepared = Prepared::of("ttft", &self.draw(&mut dice)).unwrap();
            let options = Options { seed: u64::from(seed), ..options };
            let [low, high] = intervals(&[prepared], &options)[0];
            decided += u32::from(low > 0.0 || high < 0.0);
        }
        f64::from(decided) / f64::from(runs)
    }
}

fn student(dice: &mut Dice) -> f64 {
    // Student's t with five degrees, to variance 1.
    dice.normal() / (2.0 * dice.gamma(2.5) / 3.0).sqrt()
}

fn geometric(dice: &mut Dice, _: u32) -> u32 {
    1 + (8.0 * dice.exponential()) as u32
}

fn long_tailed(dice: &mut Dice, _: u32) -> u32 {
    1 + (1.8 + dice.normal()).exp() as u32
}

fn one_is_large(_: &mut Dice, session: u32) -> u32 {
    if session == 0 { 60 } else { 3 }
}

#[test]
fn a_true_null_is_refused_in_3_to_7_of_100_runs() {
    let check = |name: &str, world: World| {
        let share = world.share_decided(1_000);
        assert!((0.03..=0.07).contains(&share), "{name}: {share}");
    };
    check("even", EVEN);
    check("sessions alike", World { alike: 0.8, ..EVEN });
    check("heavy tails", World { noise: student, ..EVEN });
    check("geometric", World { length: geometric, ..EVEN });
    check("geometric, 60", World { length: geometric, sessions: 60, noise: student, ..EVEN });
    check("long-tailed", World { length: long_tailed, ..EVEN });
    check("one session is a third", World { length: one_is_large, sessions: 41, ..EVEN });
    check("one exchange each", World { length: |_, _| 1, sessions: 60, ..EVEN });
}

#[test]
fn power_is_as_the_smallest_detectable_ratio_says() {
    let check = |name: &str, world: World| {
        // What one large run says it could have shown, scaled to the world's size, is what all runs are then given.
        let mut dice = Dice::new(7);
        let mut reach = Vec::new();
        for _ in 0..200 {
            let prepared = Prepared::of("ttft", &world.draw(&mut dice)).unwrap();
            reach.push(smallest_detectable(&prepared.clusters).ln());
        }
        let mde = (reach.iter().sum::<f64>() / reach.len() as f64).exp();
        let share = World { ratio: mde, ..world }.share_decided(600);
        assert!((0.75..=0.86).contains(&share), "{name}: {share} at {mde}");
    };
    check("even", EVEN);
    check("geometric, 60", World { length: geometric, sessions: 60, ..EVEN });
    check("one exchange each", World { length: |_, _| 1, sessions: 120, ..EVEN });
}
