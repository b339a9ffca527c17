//! Two answers side by side: what they share on the same line, what one of them alone says in its colour.

use unicode_width::UnicodeWidthChar;

use crate::report::diff::answers as told;
use crate::report::diff::pair::Answers;
use crate::report::diff::runs::Run;
use crate::report::look::{Look, Tone, clean};

/// From this width on there is room for two columns.
pub const WIDE: usize = 120;
/// Between the columns.
const GAP: &str = " │ ";

type Sign = (Tone, char);

/// Calls first, then the words in two columns.
pub fn text(answers: &Answers, look: Look, width: usize) -> String {
    let mut out = look.rule(Tone::Strong, "Answers", "left and right");
    out.push('\n');
    if !answers.known {
        out.push_str("  not kept on both sides\n");
    }
    out.push_str(&told::calls(answers, look));
    if !answers.reasoning_same {
        out.push_str("  the reasoning differs\n");
    }
    if answers.text_same {
        out.push_str("  the text is the same\n");
    }
    if !answers.calls.is_empty() || !answers.reasoning_same || answers.text_same {
        out.push('\n');
    }
    let column = width.saturating_sub(GAP.chars().count()) / 2;
    for (left, right) in lines(&answers.text, column) {
        let wide: usize = left.iter().map(|(_, c)| c.width().unwrap_or(0)).sum();
        out.push_str(&painted(&left, look));
        out.push_str(&" ".repeat(column.saturating_sub(wide)));
        out.push_str(&look.paint(Tone::Dim, GAP));
        out.push_str(&painted(&right, look));
        out.push('\n');
    }
    out
}

/// Lines of both, those that are shared beside each other.
fn lines(runs: &[Run], width: usize) -> Vec<(Vec<Sign>, Vec<Sign>)> {
    let mut out = Vec::new();
    let (mut left, mut right): (Vec<Sign>, Vec<Sign>) = (Vec::new(), Vec::new());
    let mut flush = |left: &mut Vec<Sign>, right: &mut Vec<Sign>| {
        let mut ours = wrap(left, width).into_iter();
        let mut theirs = wrap(right, width).into_iter();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (our, their) => out.push((our.unwrap_or_default(), their.unwrap_or_default())),
            }
        }
        left.clear();
        right.clear();
    };
    for run in runs {
        match run {
            Run::Same(text) => {
                for c in clean(text).chars() {
                    if c == '\n' {
                        flush(&mut left, &mut right);
                    } else {
                        left.push((Tone::Plain, c));
                        right.push((Tone::Plain, c));
                    }
                }
            }
            Run::Removed(text) => left.extend(clean(text).chars().map(|c| (Tone::Bad, c))),
            Run::Added(text) => right.extend(clean(text).chars().map(|c| (Tone::Good, c))),
        }
    }
    if !left.is_empty() || !right.is_empty() {
        flush(&mut left, &mut right);
    }
    out
}

/// Lines no wider than `width`, broken at blanks where there are any. At least one.
fn wrap(signs: &[Sign], width: usize) -> Vec<Vec<Sign>> {
    let mut out = Vec::new();
    for line in signs.split(|(_, c)| *c == '\n') {
        let mut rest = line;
        loop {
            let (mut wide, mut fits) = (0, 0);
            for (_, c) in rest {
                wide += c.width().unwrap_or(0);
                if wide > width {
                    break;
                }
                fits += 1;
            }
            if fits == rest.len() {
                out.push(rest.to_vec());
                break;
            }
            let head = rest.get(..fits).unwrap_or_default();
            // The blank at which it breaks may be the one that does not fit any more.
            let is_blank = |at: usize| rest.get(at).is_some_and(|(_, c)| *c == ' ');
            let blank =
                if is_blank(fits) { Some(fits) } else { head.iter().rposition(|(_, c)| *c == ' ') };
            let blank = blank.filter(|at| *at > 0);
            let end = blank.unwrap_or(fits.max(1));
            out.push(rest.get(..end).unwrap_or_default().to_vec());
            let next = end + usize::from(blank.is_some());
            rest = rest.get(next..).unwrap_or_default();
        }
    }
    out
}

fn painted(signs: &[Sign], look: Look) -> String {
    let mut out = String::new();
    for run in signs.chunk_by(|(left, _), (right, _)| left == right) {
        let text: String = run.iter().map(|(_, c)| *c).collect();
        out.push_str(&look.paint(run.first().map_or(Tone::Plain, |(tone, _)| *tone), &text));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(signs: &[Sign]) -> String {
        signs.iter().map(|(_, c)| *c).collect()
    }

    #[test]
    fn shared_lines_stand_beside_each_other() {
        let runs = [
            Run::Same("one\n".to_owned()),
            Run::Removed("two and\nmuch more".to_owned()),
            Run::Added("zwei".to_owned()),
            Run::Same(" end\nlast".to_owned()),
        ];
        let lines: Vec<(String, String)> =
            lines(&runs, 20).iter().map(|(left, right)| (told(left), told(right))).collect();
        let pair = |left: &str, right: &str| (left.to_owned(), right.to_owned());
        assert_eq!(
            lines,
            [
                pair("one", "one"),
                pair("two and", "zwei end"),
                pair("much more end", ""),
                pair("last", "last")
            ]
        );
    }

    #[test]
    fn long_and_wide_lines_break() {
        let signs: Vec<Sign> = "aaa bbb 日本語日本".chars().map(|c| (Tone::Plain, c)).collect();
        let lines: Vec<String> = wrap(&signs, 7).iter().map(|line| told(line)).collect();
        assert_eq!(lines, ["aaa bbb", "日本語", "日本"]);
        assert_eq!(wrap(&[], 5).len(), 1);
        assert!(wrap(&signs, 0).len() <= signs.len() + 1, "it ends");
    }
}
