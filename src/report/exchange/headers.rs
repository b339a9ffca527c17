//! The headers of all legs: what the client sent beside what the provider got, what the provider answered beside what the
//! client got, each difference marked.

use crate::report::look::{Look, Tone, clean_line, columns, pad, wrap};
use crate::report::words;
use crate::store::stored::{Leg, Stored};

/// Limit: columns of names; a longer one moves its value.
const NAMES_MAX: usize = 30;

/// The page, without a line feed at its end.
pub fn text(stored: &Stored, look: Look) -> String {
    let mut pages = Vec::new();
    if stored.attempts.is_empty() {
        pages.push(one("the client sent", &stored.request, stored, look));
    }
    for (at, attempt) in stored.attempts.iter().enumerate() {
        let name = clean_line(&attempt.provider);
        let number =
            if stored.attempts.len() > 1 { format!(" ({})", at + 1) } else { String::new() };
        let got = format!("{name} got{number}");
        pages.push(both("the client sent", &stored.request, &got, &attempt.request, look));
        let sent = format!("{name} answered{number}");
        if at + 1 == stored.attempts.len() {
            pages.push(both(&sent, &attempt.response, "the client got", &stored.response, look));
        } else {
            pages.push(one(&sent, &attempt.response, stored, look));
        }
    }
    if stored.attempts.is_empty() {
        pages.push(one("the client got", &stored.response, stored, look));
    }
    pages.retain(|page| !page.is_empty());
    if pages.is_empty() {
        return look.paint(Tone::Dim, "no headers were kept of this exchange");
    }
    if pages.iter().any(|page| page.contains("│")) {
        let legend = "~ changed   - only left   + only right";
        pages.push(look.paint(Tone::Dim, legend));
    }
    pages.join("\n\n")
}

/// One leg by itself.
fn one(title: &str, leg: &Leg, stored: &Stored, look: Look) -> String {
    let mut lines = vec![look.rule(Tone::Strong, title, "")];
    lines.extend(leg.line.as_deref().map(|line| format!("  {}", clean_line(line))));
    let Some(headers) = &leg.headers else {
        let level = &stored.row.capture_level;
        let told = if leg.line.is_some() || leg.body.whole().is_some() || level == "meta" {
            format!(
                "headers were not kept (level {level}); `--capture headers` or `full` keeps them"
            )
        } else {
            "there was none".to_owned()
        };
        lines.push(format!("  {}", look.paint(Tone::Dim, &told)));
        return lines.join("\n");
    };
    let wide = names_width(headers.iter().map(|(name, _)| name.as_str()));
    for (name, value) in headers {
        lines.extend(row(' ', name, wide, &[(Tone::Plain, value)], look));
    }
    lines.join("\n")
}

/// Two legs, the second made of the first.
fn both(left_title: &str, left: &Leg, right_title: &str, right: &Leg, look: Look) -> String {
    let (Some(ours), Some(theirs)) = (&left.headers, &right.headers) else {
        let only = if left.headers.is_some() { (left_title, left) } else { (right_title, right) };
        let Some(headers) = &only.1.headers else { return String::new() };
        let mut lines = vec![look.rule(Tone::Strong, only.0, "")];
        let wide = names_width(headers.iter().map(|(name, _)| name.as_str()));
        for (name, value) in headers {
            lines.extend(row(' ', name, wide, &[(Tone::Plain, value)], look));
        }
        return lines.join("\n");
    };
    let pairs = paired(ours, theirs);
    let wide = names_width(pairs.iter().map(|(name, _, _)| *name));
    let differ = pairs.iter().filter(|(_, left, right)| left != right).count();
    let told = words::things(differ, "difference", "differences");
    let title = format!("{left_title} │ {right_title}");
    let mut lines = vec![look.rule(Tone::Strong, &title, &told)];
    let (left_line, right_line) = (left.line.as_deref(), right.line.as_deref());
    if left_line.is_some() || right_line.is_some() {
        let differ = left_line.zip(right_line).is_some_and(|(left, right)| left != right);
        let mark = if differ { '~' } else { ' ' };
        let left_line = if differ { left_line } else { left_line.or(right_line) };
        lines.extend(pair(mark, "", wide, left_line, right_line, look));
    }
    for (name, left, right) in pairs {
        let mark = match (left, right) {
            (Some(left), Some(right)) if left == right => ' ',
            (Some(_), Some(_)) => '~',
            (Some(_), None) => '-',
            (None, _) => '+',
        };
        lines.extend(pair(mark, name, wide, left, right, look));
    }
    lines.join("\n")
}

type Pair<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Each header of the left with the one of its name on the right, in the order of the left; then what is only right.
fn paired<'a>(left: &'a [(String, String)], right: &'a [(String, String)]) -> Vec<Pair<'a>> {
    let mut free: Vec<Option<&(String, String)>> = right.iter().map(Some).collect();
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    for (name, value) in left {
        // Of several of one name, an equal one first.
        let named = |one: Option<&(String, String)>| {
            one.is_some_and(|(other, _)| other.eq_ignore_ascii_case(name))
        };
        let equal = |one: Option<&(String, String)>| {
            named(one) && one.is_some_and(|(_, other)| other == value)
        };
        let at = free.iter().position(|one| equal(*one));
        let at = at.or_else(|| free.iter().position(|one| named(*one)));
        let found = at.and_then(|at| free.get_mut(at)).and_then(Option::take);
        pairs.push((name, Some(value), found.map(|(_, value)| value.as_str())));
    }
    pairs.extend(
        free.into_iter().flatten().map(|(name, value)| (name.as_str(), None, Some(value.as_str()))),
    );
    pairs
}

fn names_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(columns).max().unwrap_or(0).min(NAMES_MAX)
}

fn pair(
    mark: char,
    name: &str,
    wide: usize,
    left: Option<&str>,
    right: Option<&str>,
    look: Look,
) -> Vec<String> {
    let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
    match mark {
        ' ' => row(mark, name, wide, &[(Tone::Dim, left)], look),
        '-' => row(mark, name, wide, &[(Tone::Bad, left), (Tone::Plain, "")], look),
        '+' => row(mark, name, wide, &[(Tone::Plain, ""), (Tone::Good, right)], look),
        _ => row(mark, name, wide, &[(Tone::Odd, left), (Tone::Odd, right)], look),
    }
}

/// One header; each value is wrapped in its own column.
fn row(mark: char, name: &str, wide: usize, values: &[(Tone, &str)], look: Look) -> Vec<String> {
    let room = look.text_width().saturating_sub(wide + 4);
    let each = (room / values.len().max(1)).saturating_sub(2).max(8);
    let cells: Vec<(Tone, Vec<String>)> =
        values.iter().map(|(tone, value)| (*tone, wrap(&clean_line(value), each))).collect();
    let high = cells.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0).max(1);
    let name = clean_line(name);
    let mut lines = Vec::with_capacity(high);
    let mut names = name.as_str();
    if columns(names) > wide {
        lines.push(format!("{mark} {names}"));
        names = "";
    }
    for at in 0..high {
        let begin = if at == 0 && lines.is_empty() { mark } else { ' ' };
        let mut line = format!("{begin} {}  ", pad(if at == 0 { names } else { "" }, wide));
        for (tone, cell) in &cells {
            let text = cell.get(at).map_or("", String::as_str);
            line.push_str(&look.cell(*tone, text, each + 2));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}
