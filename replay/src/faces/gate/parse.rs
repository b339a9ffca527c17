//! Pieces to a condition. Names and units are checked here, so that a condition that was read can be asked of any report.
//!
//! ```text
//!  either  := both ("or" both)*
//!  both    := single ("and" single)*
//!  single  := "not" single | "(" either ")" | test
//!  test    := [ "target" "(" text ")" "." ] ( "verdict" "(" metric ")" is word | path sign number )
//!  path    := name [ "." name ]
//! ```

use std::ops::Range;

use super::lex::{self, Number, Piece, Sign, Unit, What};
use super::quantity::{self, Answer, Kind, Lag, Paired, Quantity, Stat, Total};
use super::{DEPTH_MAX, Fault};
use crate::faces::words;
use crate::report::Verdict;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    /// Of this target, not of the one whose turn it is.
    pub(super) target: Option<String>,
    pub(super) claim: Claim,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Claim {
    Number { quantity: Quantity, kind: Kind, sign: Sign, limit: f64, times: bool },
    Verdict { metric: &'static str, sign: Sign, word: Verdict },
}

impl Expr {
    pub(super) fn targets<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Any(all) | Self::All(all) => all.iter().for_each(|one| one.targets(names)),
            Self::Not(one) => one.targets(names),
            Self::Test(test) => names.extend(test.target.as_deref()),
        }
    }

    /// Whether it asks anything of the target whose turn it is.
    pub(super) fn is_of_each(&self) -> bool {
        match self {
            Self::Any(all) | Self::All(all) => all.iter().any(Self::is_of_each),
            Self::Not(one) => one.is_of_each(),
            Self::Test(test) => test.target.is_none(),
        }
    }
}

pub(super) fn parse(source: &str) -> Result<Expr, Fault> {
    let pieces = lex::pieces(source)?;
    let mut reader = Reader { pieces: &pieces, next: 0, end: source.len(), depth: 0 };
    let condition = reader.either()?;
    match reader.peek() {
        None => Ok(condition),
        Some(piece) if piece.what == What::Close => {
            Err(Fault::new(piece.at.clone(), "this parenthesis closes nothing"))
        }
        Some(piece) => Err(Fault::new(piece.at.clone(), "`and` or `or` is missing before this")),
    }
}

struct Reader<'a> {
    pieces: &'a [Piece],
    next: usize,
    end: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Piece> {
        self.pieces.get(self.next)
    }

    fn take(&mut self) -> Option<&'a Piece> {
        let piece = self.peek();
        self.next += usize::from(piece.is_some());
        piece
    }

    fn takes(&mut self, what: &What) -> bool {
        let is = self.peek().is_some_and(|piece| piece.what == *what);
        self.next += usize::from(is);
        is
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = self.peek().is_some_and(|piece| is_name(piece, word));
        self.next += usize::from(is);
        is
    }

    /// Where the next piece is, or the end.
    fn here(&self) -> Range<usize> {
        self.peek().map_or(self.end..self.end, |piece| piece.at.clone())
    }

    /// From where a piece begins to the end of the last one taken.
    fn since(&self, start: usize) -> Range<usize> {
        let last = self.next.checked_sub(1).and_then(|place| self.pieces.get(place));
        start..last.map_or(self.end, |piece| piece.at.end).max(start)
    }

    fn wants(&mut self, what: &What, message: &str) -> Result<(), Fault> {
        if self.takes(what) { Ok(()) } else { Err(Fault::new(self.here(), message)) }
    }

    fn either(&mut self) -> Result<Expr, Fault> {
        let mut all = vec![self.both()?];
        while self.takes_word("or") {
            all.push(self.both()?);
        }
        Ok(one_or(all, Expr::Any))
    }

    fn both(&mut self) -> Result<Expr, Fault> {
        let mut all = vec![self.single()?];
        while self.takes_word("and") {
            all.push(self.single()?);
        }
        Ok(one_or(all, Expr::All))
    }

    fn single(&mut self) -> Result<Expr, Fault> {
        if self.depth >= DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} levels of parentheses and `not`");
            return Err(Fault::new(self.here(), message));
        }
        self.depth += 1;
        let found = if self.takes_word("not") {
            self.single().map(|one| Expr::Not(Box::new(one)))
        } else if self.takes(&What::Open) {
            self.either().and_then(|inner| {
                self.wants(&What::Close, "`)` is missing here")?;
                Ok(inner)
            })
        } else {
            self.test().map(Expr::Test)
        };
        self.depth -= 1;
        found
    }

    fn test(&mut self) -> Result<Test, Fault> {
        let mut target = None;
        if self.takes_word("target") {
            self.wants(&What::Open, "`target` is followed by (\"NAME\").")?;
            let at = self.here();
            match self.take().map(|piece| &piece.what) {
                Some(What::Text(name)) => target = Some(name.clone()),
                _ => return Err(Fault::new(at, "a target's name in quotes is missing here")),
            }
            self.wants(&What::Close, "`)` is missing here")?;
            self.wants(&What::Dot, "`.` and what of the target is meant are missing here")?;
        }
        let claim = if self.takes_word("verdict") { self.verdict()? } else { self.number()? };
        Ok(Test { target, claim })
    }

    /// After `verdict`.
    fn verdict(&mut self) -> Result<Claim, Fault> {
        self.wants(&What::Open, "`verdict` is followed by (METRIC)")?;
        let (name, at) = self.name("a metric is missing here")?;
        let metric =
            quantity::metric(name).ok_or_else(|| unknown("metric", name, at, words::metrics()))?;
        self.wants(&What::Close, "`)` is missing here")?;
        let at = self.here();
        let sign = self.sign()?;
        if !matches!(sign, Sign::Is | Sign::IsNot) {
            return Err(Fault::new(at, "a verdict is compared by == or !="));
        }
        let (name, at) = self.name("faster, slower, same or undecided is missing here")?;
        let all = [Verdict::Faster, Verdict::Slower, Verdict::Same, Verdict::Undecided];
        let word = all.into_iter().find(|verdict| words::verdict(*verdict) == name);
        let word = word.ok_or_else(|| unknown("verdict", name, at, all.map(words::verdict)))?;
        Ok(Claim::Verdict { metric, sign, word })
    }

    fn number(&mut self) -> Result<Claim, Fault> {
        let start = self.here().start;
        let (head, at) = self.name("a metric is missing here, as in ttft.p95 > 1.2x")?;
        let member = if self.takes(&What::Dot) {
            Some(self.name("a name is missing after the point")?)
        } else {
            None
        };
        let path = self.since(start);
        let sign = self.sign()?;
        let limit_at = self.here();
        let Some(What::Number(limit)) = self.take().map(|piece| &piece.what) else {
            return Err(Fault::new(
                limit_at,
                "a number is missing here, as in 1.2x, 250ms, 1% or $5",
            ));
        };
        let quantity = named(head, at, member, limit.unit, path)?;
        claim(quantity, sign, *limit, limit_at)
    }

    fn name(&mut self, missing: &str) -> Result<(&'a str, Range<usize>), Fault> {
        match self.peek() {
            Some(Piece { what: What::Name(name), at })
                if !matches!(name.as_str(), "and" | "or" | "not") =>
            {
                self.next += 1;
                Ok((name, at.clone()))
            }
            _ => Err(Fault::new(self.here(), missing)),
        }
    }

    fn sign(&mut self) -> Result<Sign, Fault> {
        match self.peek() {
            Some(Piece { what: What::Sign(sign), .. }) => {
                self.next += 1;
                Ok(*sign)
            }
            _ => Err(Fault::new(self.here(), "one of > >= < <= == != is missing here")),
        }
    }
}

fn is_name(piece: &Piece, word: &str) -> bool {
    matches!(&piece.what, What::Name(name) if name == word)
}

fn one_or(mut all: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            all.extend(last);
            many(all)
        }
    }
}

fn unknown(
    what: &str,
    name: &str,
    at: Range<usize>,
    known: impl IntoIterator<Item = &'static str>,
) -> Fault {
    let known: Vec<&str> = known.into_iter().collect();
    let shown = words::line(name);
    let message = match words::nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{shown}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{shown}`; there are {}", known.join(", ")),
    };
    Fault::new(at, message)
}

/// The quantity that a path names, where a limit in this unit follows.
fn named(
    head: &str,
    at: Range<usize>,
    member: Option<(&str, Range<usize>)>,
    written: Unit,
    path: Range<usize>,
) -> Result<Quantity, Fault> {
    let Some((member, member_at)) = member else { return bare(head, at, written, path) };
    let group = |names: Vec<&'static str>| unknown("member", member, member_at.clone(), names);
    match head {
        "answers" => Answer::named(member)
            .map(Quantity::Answer)
            .ok_or_else(|| group(Answer::ALL.iter().map(|one| one.name()).collect())),
        "schedule" => Lag::named(member)
            .map(Quantity::Schedule)
            .ok_or_else(|| group(Lag::ALL.iter().map(|one| one.name()).collect())),
        _ => {
            let metric = quantity::metric(head)
                .ok_or_else(|| unknown("metric", head, at, quantity::heads()))?;
            let stat = Stat::named(member).map(|stat| Quantity::Of(metric, stat));
            let paired = Paired::named(member).map(|member| Quantity::Paired(metric, member));
            stat.or(paired).ok_or_else(|| {
                let stats = Stat::ALL.iter().map(|one| one.name());
                group(stats.chain(Paired::ALL.iter().map(|one| one.name())).collect())
            })
        }
    }
}

fn bare(
    head: &str,
    at: Range<usize>,
    written: Unit,
    path: Range<usize>,
) -> Result<Quantity, Fault> {
    let metric = quantity::metric(head);
    if let Some(metric) = metric
        && written == Unit::Times
    {
        return Ok(Quantity::Paired(metric, Paired::Ratio));
    }
    if let Some(total) = Total::named(head) {
        return Ok(Quantity::Total(total));
    }
    match head {
        "left_out" => Ok(Quantity::LeftOut),
        "answers" => Err(Fault::new(path, "which share of the answers? as in answers.exact")),
        "schedule" => Err(Fault::new(path, "which lag? as in schedule.lag_p99")),
        _ if metric.is_some() => Err(Fault::new(
            path,
            format!(
                "`{head}` is held against ratios (1.2x) only; name a statistic, as in {head}.p50"
            ),
        )),
        _ => Err(unknown("metric", head, at, quantity::heads())),
    }
}

fn claim(
    quantity: Quantity,
    sign: Sign,
    limit: Number,
    limit_at: Range<usize>,
) -> Result<Claim, Fault> {
    let kind = quantity.kind(limit.unit);
    let times = limit.unit == Unit::Times && quantity.has_baseline();
    if !times && !kind.takes(limit.unit) {
        let or = if quantity.has_baseline() { ", or 1.2x for times the baseline's" } else { "" };
        let message = format!("`{}` is held against {}{or}", quantity.path(), kind.example());
        return Err(Fault::new(limit_at, message));
    }
    Ok(Claim::Number { quantity, kind, sign, limit: limit.value, times })
}
