//! What all pictures share: scales, axes, marks and the thinning of points. Numbers in, SVG out; nothing is styled here but by the
//! names of classes, so that one page is right in both themes and on paper.

use std::collections::HashSet;

use crate::faces::put;
use crate::faces::words::escaped;

/// Colours, shapes and dashes before they begin again.
pub(super) const STYLES: usize = 6;
/// Limit: marks of one picture.
pub(super) const MARKS_MAX: usize = 4000;
/// Widths of pictures: one that stands beside another, and one that has the page to itself.
pub(super) const HALF: f64 = 520.0;
pub(super) const FULL: f64 = 840.0;

/// From values to shares of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// Over all that is finite; logarithmic where the values span more than a dozen times; `None` where there are none.
    pub(super) fn over(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            return None;
        }
        if low > 0.0 && high / low > 12.0 {
            return Some(Self { low: low / 1.1, high: high * 1.1, log: true });
        }
        if high - low <= high.abs() * 1e-9 {
            let room = if high == 0.0 { 1.0 } else { high.abs() * 0.5 };
            return Some(Self { low: low - room, high: high + room, log: false });
        }
        let room = (high - low) * 0.04;
        let low = if low >= 0.0 && low < high * 0.5 { 0.0 } else { low - room };
        Some(Self { low, high: high + room, log: false })
    }

    pub(super) fn linear(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, log: false }
    }

    /// A metric's name as an axis has it: one that is not even says so.
    pub(super) fn titled(&self, metric: &str) -> String {
        if self.log { format!("{metric} (logarithmic)") } else { metric.to_owned() }
    }

    pub(super) fn logarithmic(low: f64, high: f64) -> Self {
        Self { low, high, log: true }
    }

    /// From 0 to 1; what lies outside is put on the edge.
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The inverse of [`Self::share`].
    pub(super) fn value(&self, share: f64) -> f64 {
        if self.log {
            self.low * (self.high / self.low).powf(share)
        } else {
            self.low + (self.high - self.low) * share
        }
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Round values on the scale, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<f64> {
        if self.log {
            for steps in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
                let found = self.decades(steps);
                if (3..=wanted + 2).contains(&found.len()) {
                    return found;
                }
            }
        }
        self.even(wanted)
    }

    fn decades(&self, steps: &[f64]) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let all =
            (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        all.filter(|tick| self.holds(*tick)).collect()
    }

    fn even(&self, wanted: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        if !step.is_finite() || step <= 0.0 {
            return Vec::new();
        }
        let first = (self.low / step).ceil();
        (0..=wanted * 3)
            .map(|place| (first + place as f64) * step)
            .take_while(|tick| *tick <= self.high)
            // Not -0.
            .map(|tick| if tick == 0.0 { 0.0 } else { tick })
            .collect()
    }
}

/// A picture with two axes.
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
    pub(super) fn new(width: f64, height: f64, x: Scale, y: Scale) -> Self {
        Self { width, height, left: 72.0, right: 14.0, top: 10.0, bottom: 46.0, x, y }
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.width - self.left - self.right)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.floor() - self.y.share(value) * (self.floor() - self.top)
    }

    pub(super) fn floor(&self) -> f64 {
        self.height - self.bottom
    }

    pub(super) fn edge(&self) -> f64 {
        self.width - self.right
    }

    /// The beginning of the picture, with what it is in words for who cannot see it.
    pub(super) fn open(&self, id: &str, title: &str, told: &str) -> String {
        format!(
            "<svg class=\"chart{}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            if self.width > HALF { " full" } else { "" },
            self.width,
            self.height,
            escaped(title),
            escaped(told)
        )
    }

    pub(super) fn grid_x(&self, out: &mut String, label: &str, shown: impl Fn(f64) -> String) {
        let floor = self.floor();
        for tick in self.x.ticks(if self.width > HALF { 8 } else { 6 }) {
            let x = self.x(tick);
            put!(out, "<path class=\"grid\" d=\"M{x:.1} {:.1}V{floor:.1}\"/>", self.top);
            put!(
                out,
                "<text class=\"tick\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                floor + 19.0,
                escaped(&shown(tick))
            );
        }
        put!(
            out,
            "<text class=\"label\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            f64::midpoint(self.left, self.edge()),
            floor + 38.0,
            escaped(label)
        );
        put!(out, "<path class=\"axis\" d=\"M{:.1} {floor:.1}H{:.1}\"/>", self.left, self.edge());
    }

    pub(super) fn grid_y(&self, out: &mut String, shown: impl Fn(f64) -> String) {
        for tick in self.y.ticks(5) {
            let y = self.y(tick);
            put!(out, "<path class=\"grid\" d=\"M{:.1} {y:.1}H{:.1}\"/>", self.left, self.edge());
            put!(
                out,
                "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                self.left - 7.0,
                y + 4.0,
                escaped(&shown(tick))
            );
        }
    }
}

/// Marks of one column in one path: its shape and colour say whose they are.
pub(super) fn marks(out: &mut String, place: usize, size: f64, points: &[(f64, f64)]) {
    if points.is_empty() {
        return;
    }
    let style = place % STYLES;
    let kind = match style {
        0 => "round",
        4 | 5 => "cross",
        _ => "solid",
    };
    let double = size * 2.0;
    // A dot is the end of a stroke of no length: the shortest way to write a circle.
    let stroke = if style == 0 { format!(" stroke-width=\"{double:.1}\"") } else { String::new() };
    put!(out, "<path class=\"mark {kind} k{style}\"{stroke} d=\"");
    for (x, y) in points {
        match style {
            0 => put!(out, "M{x:.1} {y:.1}h0"),
            1 => {
                put!(out, "M{:.1} {:.1}h{double:.1}v{double:.1}h-{double:.1}z", x - size, y - size);
            }
            2 => put!(out, "M{x:.1} {:.1}l{size:.1} {double:.1}h-{double:.1}z", y - size * 1.1),
            3 => put!(
                out,
                "M{x:.1} {:.1}l{size:.1} {size:.1}-{size:.1} {size:.1}-{size:.1}-{size:.1}z",
                y - size
            ),
            4 => {
                put!(out, "M{:.1} {y:.1}h{double:.1}M{x:.1} {:.1}v{double:.1}", x - size, y - size);
            }
            _ => put!(
                out,
                "M{:.1} {:.1}l{double:.1} {double:.1}m0-{double:.1}l-{double:.1} {double:.1}",
                x - size,
                y - size
            ),
        }
    }
    out.push_str("\"/>");
}

/// A line of one column: its colour and dashes say whose it is.
pub(super) fn line(out: &mut String, place: usize, points: &[(f64, f64)], stepped: bool) {
    let Some((first, rest)) = points.split_first() else { return };
    put!(out, "<path class=\"line k{}\" d=\"M{:.1} {:.1}", place % STYLES, first.0, first.1);
    for (x, y) in rest {
        if stepped { put!(out, "H{x:.1}V{y:.1}") } else { put!(out, "L{x:.1} {y:.1}") }
    }
    out.push_str("\"/>");
}

/// At most `max` of the points: one of each cell of a grid that is as fine as that allows. What lies alone stays.
pub(super) fn thinned(points: Vec<(f64, f64)>, max: usize) -> Vec<(f64, f64)> {
    let mut cell = 1.0;
    let mut kept = points;
    while kept.len() > max {
        let mut seen = HashSet::new();
        kept.retain(|(x, y)| seen.insert(((x / cell) as i32, (y / cell) as i32)));
        cell *= 1.5;
    }
    kept
}

/// The names of the columns with their marks.
pub(super) fn legend(names: &[&str]) -> String {
    keys(names, true)
}

/// The same; the first need not be a baseline.
pub(super) fn keys(names: &[&str], has_baseline: bool) -> String {
    let mut out = String::from("<ul class=\"legend\">");
    for (place, name) in names.iter().enumerate() {
        out.push_str("<li><svg class=\"key\" viewBox=\"0 0 30 12\" aria-hidden=\"true\">");
        line(&mut out, place, &[(1.0, 6.0), (29.0, 6.0)], false);
        marks(&mut out, place, 3.5, &[(15.0, 6.0)]);
        let base = if place == 0 && has_baseline { " <small>(baseline)</small>" } else { "" };
        put!(out, "</svg><bdi>{}</bdi>{base}</li>", escaped(name));
    }
    out.push_str("</ul>");
    out
}

/// The value below which a share of the sorted values lies, between neighbours by proportion.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    #[expect(clippy::cast_sign_loss, reason = "a share of a length is not negative")]
    let below = place.floor() as usize;
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied().unwrap_or(0.0);
    let (low, high) = (at(below), at(below + 1));
    low + (high - low) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_what_they_are_made_of() {
        assert_eq!(Scale::over([]), None);
        assert_eq!(Scale::over([f64::NAN]), None);
        for values in [vec![5.0], vec![0.0], vec![-1.0, 1.0], vec![0.001, 1000.0], vec![1e-9, 2e-9]]
        {
            let scale = Scale::over(values.clone()).expect("a scale");
            for value in values {
                assert!(scale.holds(value), "{scale:?} {value}");
                let back = scale.value(scale.share(value));
                assert!(
                    (back - value).abs() <= value.abs().max(1e-9) * 1e-6,
                    "{scale:?} {value} {back}"
                );
            }
            let ticks = scale.ticks(7);
            assert!((2..=21).contains(&ticks.len()), "{scale:?} {ticks:?}");
            assert!(ticks.is_sorted() && ticks.iter().all(|tick| scale.holds(*tick)), "{ticks:?}");
        }
    }

    #[test]
    fn thinning_keeps_what_is_alone() {
        let mut points: Vec<(f64, f64)> = (0..10_000)
            .map(|place| (f64::from(place % 100), f64::from(place / 100) / 10.0))
            .collect();
        points.push((700.0, 300.0));
        let kept = thinned(points, 500);
        assert!(kept.len() <= 500 && kept.contains(&(700.0, 300.0)), "{}", kept.len());
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert!((quantile(&[1.0, 2.0, 3.0], 0.5) - 2.0).abs() < 1e-12);
        assert!((quantile(&[1.0, 2.0], 0.25) - 1.25).abs() < 1e-12);
        assert!((quantile(&[7.0], 0.99) - 7.0).abs() < 1e-12);
        assert!(quantile(&[], 0.5).abs() < 1e-12);
    }
}
