//! The look of the summary: 78 columns, a few drawn lines where the locale has them, ASCII elsewhere. Pure.

/// Columns used; terminals have 80.
pub(crate) const WIDTH: usize = 78;

/// Lines of text, and the characters to draw with.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    pub(crate) marks: Marks,
}

/// What differs between UTF-8 and ASCII.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    rule: &'static str,
    bar: &'static str,
    pub(crate) right: &'static str,
    pub(crate) fork: [&'static str; 3],
    pub(crate) fine: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) to: &'static str,
    /// Of the timeline: waiting, streaming, a plain answer, trouble.
    pub(crate) waits: char,
    pub(crate) streams: char,
    pub(crate) plain: char,
    pub(crate) trouble: char,
}

const DRAWN: Marks = Marks {
    rule: "─",
    bar: "█",
    right: "──▶",
    fork: ["┌──▶", "├──▶", "└──▶"],
    fine: "✓",
    wrong: "✗",
    to: "–",
    waits: '░',
    streams: '█',
    plain: '▒',
    trouble: '╳',
};

const ASCII: Marks = Marks {
    rule: "-",
    bar: "#",
    right: "-->",
    fork: [".-->", "+-->", "'-->"],
    fine: "ok",
    wrong: "NO",
    to: "-",
    waits: '.',
    streams: '#',
    plain: '=',
    trouble: 'X',
};

impl Page {
    pub(crate) fn new(utf8: bool) -> Self {
        Self { text: String::new(), marks: if utf8 { DRAWN } else { ASCII } }
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    pub(crate) fn blank(&mut self) {
        self.line("");
    }

    /// A heading, ruled to the right edge.
    pub(crate) fn heading(&mut self, words: &str) {
        self.blank();
        let rest = WIDTH.saturating_sub(words.chars().count() + 4);
        let rule = self.marks.rule;
        let line = format!("{} {words} {}", rule.repeat(2), rule.repeat(rest));
        self.line(&line);
    }

    /// A bar as long as `part` is of `whole`, which has [`Self::BAR_MAX`] columns.
    pub(crate) fn bar(&self, part: u64, whole: u64) -> String {
        let length = part * Self::BAR_MAX as u64 / whole.max(1);
        self.marks.bar.repeat(Self::BAR_MAX.min(length as usize))
    }

    pub(crate) const BAR_MAX: usize = 38;

    /// Words wrapped to the page, the first line behind `first`, the others indented as far.
    pub(crate) fn wrapped(&mut self, first: &str, words: &str) {
        let indent = first.chars().count();
        let mut line = first.to_owned();
        for word in words.split_whitespace() {
            let full = line.chars().count() + 1 + word.chars().count() > WIDTH;
            if full && line.chars().count() > indent {
                self.line(&line);
                line = " ".repeat(indent);
            } else if line.chars().count() > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds with as many digits as they deserve: `0.31 ms`, `112 ms`, `1.24 s`.
pub(crate) fn time(us: u64) -> String {
    let ms = us as f64 / 1_000.0;
    match us {
        0..10_000 => format!("{ms:.2} ms"),
        10_000..1_000_000 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (us, text) in [(310, "0.31 ms"), (112_400, "112 ms"), (1_240_000, "1.24 s")] {
            assert_eq!(time(us), text);
        }
    }

    #[test]
    fn lines_end_at_the_edge() {
        let mut page = Page::new(true);
        page.heading("A heading");
        page.wrapped("  * ", &"some words ".repeat(30));
        let text = page.into_text();
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(text.lines().count() > 5);
        assert!(text.contains("\n    some"), "{text}");
    }

    #[test]
    fn ascii_is_ascii() {
        let mut page = Page::new(false);
        page.heading("A heading");
        let bar = page.bar(1, 2);
        page.line(&bar);
        let marks = page.marks;
        let fixed = [marks.right, marks.fine, marks.wrong, marks.to];
        let all = fixed.iter().chain(&marks.fork);
        assert!(page.into_text().is_ascii());
        assert!(all.into_iter().all(|mark| mark.is_ascii()));
        let drawn = [marks.waits, marks.streams, marks.plain, marks.trouble];
        assert!(drawn.iter().all(char::is_ascii));
    }
}
