//! A sweep in pictures: what a target carries of what it is offered, and how long its first token takes meanwhile.

use super::plot::{self, Frame, HALF, Scale, line, marks};
use super::sections;
use crate::faces::put;
use crate::faces::words::{self, escaped};
use crate::plan::Step;
use crate::report::Report;

/// The section; nothing where the run was no sweep.
pub(super) fn draw(out: &mut String, report: &Report) {
    if report.steps.is_empty() {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for step in &report.steps {
        if !names.contains(&step.target.as_str()) {
            names.push(&step.target);
        }
    }
    out.push_str("<section id=\"rates\"><h2>Rates</h2>");
    for step in &report.steps {
        if let Some(why) = &step.stopped {
            put!(out, "<p><bdi>{}</bdi>: {}.</p>", escaped(&step.target), escaped(why));
        }
    }
    out.push_str("<div class=\"figures\">");
    let throughput = Picture {
        id: "throughput",
        title: "Throughput against rate",
        about: "Good answers a second at each rate; where the line bends away from the dashed one, answers fall behind what is asked.",
        value: |step| Some(step.per_s),
        shown: |value| format!("{}/s", tick(value)),
        even: Some(names.len() as f64),
    };
    let ttft = Picture {
        id: "ttft-by-rate",
        title: "Time to first token against rate",
        about: "The median at each rate.",
        value: |step| step.ttft_p50,
        shown: words::seconds,
        even: None,
    };
    for picture in [throughput, ttft] {
        picture.draw(out, &report.steps, &names);
    }
    out.push_str("</div>");
    sections::steps(report).draw(out, "What came of each rate");
    out.push_str("</section>");
}

/// One value of each step over the rates.
struct Picture {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    value: fn(&Step) -> Option<f64>,
    shown: fn(f64) -> String,
    /// The dashed line of what is asked: the rate over so many targets.
    even: Option<f64>,
}

impl Picture {
    fn draw(&self, out: &mut String, steps: &[Step], names: &[&str]) {
        put!(out, "<figure><figcaption><h3>{}</h3>", self.title);
        match self.svg(steps, names) {
            None => out.push_str("</figcaption><p>No answer has such a value.</p>"),
            Some(svg) => put!(
                out,
                "<p>{}</p></figcaption><div class=\"plot\">{svg}</div>{}",
                self.about,
                plot::keys(names, false)
            ),
        }
        out.push_str("</figure>");
    }

    fn svg(&self, steps: &[Step], names: &[&str]) -> Option<String> {
        let x = Scale::over(steps.iter().map(|step| step.rate_per_s))?;
        let asked = |rate: f64| self.even.map(|targets| rate / targets);
        let values = steps.iter().filter_map(|step| (self.value)(step));
        let y = Scale::over(values.chain(steps.iter().filter_map(|step| asked(step.rate_per_s))))?;
        let frame = Frame::new(HALF, 280.0, x, y);
        let told = format!("{} rates of {} targets", steps.len() / names.len().max(1), names.len());
        let mut out = frame.open(self.id, self.title, &told);
        frame.grid_y(&mut out, self.shown);
        frame.grid_x(&mut out, "requests a second", tick);
        if self.even.is_some() {
            let asked = steps.iter().filter_map(|step| {
                Some((frame.x(step.rate_per_s), frame.y(asked(step.rate_per_s)?)))
            });
            for (at, (x, y)) in asked.enumerate() {
                let to = if at == 0 {
                    "<path class=\"grid\" stroke-dasharray=\"4 4\" d=\"M"
                } else {
                    "L"
                };
                put!(out, "{to}{x:.1} {y:.1}");
            }
            out.push_str("\"/>");
        }
        for (place, name) in names.iter().enumerate() {
            let own = steps.iter().filter(|step| step.target == *name);
            let points: Vec<(f64, f64)> = own
                .filter_map(|step| Some((frame.x(step.rate_per_s), frame.y((self.value)(step)?))))
                .collect();
            line(&mut out, place, &points, false);
            marks(&mut out, place, 3.5, &points);
        }
        out.push_str("</svg>");
        Some(out)
    }
}

/// Steps of an axis are sums of fractions: 1.2000000000000002 is 1.2.
fn tick(value: f64) -> String {
    format!("{}", (value * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short_and_apart() {
        assert_eq!([0.5, 1.0, 0.1 + 0.2, 1.2 + f64::EPSILON].map(tick), ["0.5", "1", "0.3", "1.2"]);
    }
}
