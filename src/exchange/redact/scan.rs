//! Finds secrets in one pass: all beginnings and parts of names are looked for at once, and what they belong to is read
//! only where one of them stands.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, Span, packed};

use super::mark::Hit;
use super::shapes::{SHAPES, Shape};
use super::{context, pairs};

/// Raised with every change of what is found, so that rows say by which rules they were cleaned.
pub(super) const REVISION: u32 = 1;

/// What a word that was found is part of.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Shape(&'static Shape),
    Jwt,
    Pem,
    Bearer,
    Basic,
    Address,
    /// Part of a name; long enough to be rare, without the first letter, which may be a capital.
    Name,
    Parameter,
}

const WORDS: &[(&str, Rule)] = &[
    ("eyJ", Rule::Jwt),
    ("-----BEGIN ", Rule::Pem),
    ("earer ", Rule::Bearer),
    ("EARER ", Rule::Bearer),
    ("earer%20", Rule::Bearer),
    ("asic ", Rule::Basic),
    ("://", Rule::Address),
    ("assw", Rule::Name),
    ("ASSW", Rule::Name),
    ("assphrase", Rule::Name),
    ("ASSPHRASE", Rule::Name),
    ("ecret", Rule::Name),
    ("ECRET", Rule::Name),
    ("oken", Rule::Name),
    ("OKEN", Rule::Name),
    ("redential", Rule::Name),
    ("uthorization", Rule::Name),
    ("UTHORIZATION", Rule::Name),
    ("pi_key", Rule::Name),
    ("PI_KEY", Rule::Name),
    ("pi-key", Rule::Name),
    ("pi-Key", Rule::Name),
    ("PI-KEY", Rule::Name),
    ("pikey", Rule::Name),
    ("piKey", Rule::Name),
    ("PIKEY", Rule::Name),
    ("ccess_key", Rule::Name),
    ("CCESS_KEY", Rule::Name),
    ("ccess-key", Rule::Name),
    ("ccessKey", Rule::Name),
    ("ccountKey", Rule::Name),
    ("rivate_key", Rule::Name),
    ("rivateKey", Rule::Name),
    ("RIVATE_KEY", Rule::Name),
    ("ription-Key", Rule::Name),
    ("ription-key", Rule::Name),
    ("key=", Rule::Parameter),
    ("sig=", Rule::Parameter),
];

/// Words of one search; the processor compares 32 of them with many bytes at once, and longer ones at higher speed.
const TOGETHER_MAX: usize = 27;
/// Words shorter than this are searched for apart, so that they do not slow the others down.
const SHORT: usize = 4;
/// Limit: characters of a word.
const WORD_MAX: usize = 24;
/// What is searched at a time: stays near the processor, and bounds how many words are held.
const STRETCH: usize = 64 * 1024;

/// Words that are searched for at once, and what each means.
struct Group {
    finder: Finder,
    rules: Vec<Rule>,
}

enum Finder {
    Packed(packed::Searcher),
    /// On processors that compare one byte at a time.
    Automaton(AhoCorasick),
}

static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let shapes = SHAPES.iter().map(|shape| (shape.prefix, Rule::Shape(shape)));
    let (short, long): (Vec<_>, Vec<_>) =
        shapes.chain(WORDS.iter().copied()).partition(|(word, _)| word.len() < SHORT);
    let groups = short.chunks(TOGETHER_MAX).chain(long.chunks(TOGETHER_MAX));
    groups.filter_map(Group::new).collect()
});

impl Group {
    fn new(words: &[(&'static str, Rule)]) -> Option<Self> {
        let rules = words.iter().map(|(_, rule)| *rule).collect();
        let words = words.iter().map(|(word, _)| *word);
        let finder = match packed::Searcher::new(words.clone()) {
            Some(searcher) => Finder::Packed(searcher),
            None => Finder::Automaton(AhoCorasick::new(words).ok()?),
        };
        Some(Self { finder, rules })
    }

    /// Adds where words of the group begin in `stretch`, with what they mean.
    fn find(&self, text: &[u8], stretch: &Range<usize>, found: &mut Vec<(Range<usize>, Rule)>) {
        let end = text.len().min(stretch.end + WORD_MAX);
        let mut at = stretch.start;
        while at < stretch.end {
            let span = Span { start: at, end };
            let word = match &self.finder {
                Finder::Packed(searcher) => searcher.find_in(text, span),
                Finder::Automaton(automaton) => automaton.find(Input::new(text).span(span)),
            };
            let Some(word) = word.filter(|word| word.start() < stretch.end) else { return };
            if let Some(rule) = self.rules.get(word.pattern().as_usize()) {
                found.push((word.range(), *rule));
            }
            at = word.end();
        }
    }
}

/// The secrets in a text, ascending and apart from each other.
pub(super) fn scan(text: &[u8]) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut words = Vec::new();
    for start in (0..text.len()).step_by(STRETCH) {
        words.clear();
        let stretch = start..text.len().min(start + STRETCH);
        for group in GROUPS.iter() {
            group.find(text, &stretch, &mut words);
        }
        words.sort_unstable_by_key(|(word, _)| word.start);
        for (word, rule) in &words {
            let done = hits.last().map_or(0, |last| last.span.end);
            if word.start >= done
                && let Some(hit) = check(*rule, text, word.clone())
                && hit.span.start >= done
            {
                hits.push(hit);
            }
        }
    }
    hits
}

fn check(rule: Rule, text: &[u8], word: Range<usize>) -> Option<Hit> {
    match rule {
        Rule::Shape(shape) => context::shape(text, word.start, shape),
        Rule::Jwt => context::jwt(text, word.start),
        Rule::Pem => context::pem(text, word),
        Rule::Bearer => context::bearer(text, word.start..bearer_end(text, word)),
        Rule::Basic => context::basic(text, word.start..word.end - 1),
        Rule::Address => context::address(text, word),
        Rule::Name => pairs::named(text, &word),
        Rule::Parameter => pairs::parameter(text, &word),
    }
}

/// Where the word itself ends: before the space, plain or encoded.
fn bearer_end(text: &[u8], word: Range<usize>) -> usize {
    let space = text.get(word.clone()).and_then(|word| memchr::memchr2(b' ', b'%', word));
    space.map_or(word.end, |at| word.start + at)
}
