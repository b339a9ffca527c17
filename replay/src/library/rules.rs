//! What of a request does not matter when a recording is looked for: paths into the body with globs, parameters of the
//! query, and a mask over texts.
//!
//! ```text
//! metadata                        a member of the body
//! messages[*].tool_calls[*].id    any element, any depth that is written out
//! **.timestamp                    at any depth
//! extra_*                         a glob inside a name
//! ?key                            a parameter of the query
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Limit: rules of one library.
pub const RULES_MAX: usize = 256;
/// Limit: segments of one path.
const SEGMENTS_MAX: usize = 32;

/// Ids, bookkeeping and times that differ between two runs of the same program, and never change an answer's words.
pub const DEFAULTS: [&str; 33] = [
    "user",
    "metadata",
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "client_metadata",
    "store",
    "request_id",
    "client_request_id",
    "timestamp",
    "created_at",
    "messages[*].id",
    "messages[*].metadata",
    "messages[*].timestamp",
    "messages[*].created_at",
    "messages[*].tool_call_id",
    "messages[*].tool_calls[*].id",
    "messages[*].content[*].id",
    "messages[*].content[*].tool_use_id",
    "messages[*].content[*].cache_control",
    "system[*].cache_control",
    "tools[*].cache_control",
    "input[*].id",
    "input[*].call_id",
    "input[*].timestamp",
    "contents[*].parts[*].functionCall.id",
    "contents[*].parts[*].functionResponse.id",
    "contents[*].parts[*].thoughtSignature",
    "?key",
    "?api_key",
    "?api-version",
    "?access_token",
];

/// A text of Claude Code that names its build and a checksum of the request; providers leave it out of the prompt.
const BILLING: &str = "x-anthropic-billing-header";

/// Puts something fixed in place of what changes inside a text.
pub type Mask = Arc<dyn for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync>;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `*`, `[*]`
    Any,
    /// `**`
    Deep,
    Index(usize),
    /// A name, perhaps with `*` in it.
    Name(String),
}

/// Where a walk is: a name or a place in a list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl Segment {
    fn meets(&self, step: Step<'_>) -> bool {
        match (self, step) {
            (Self::Any | Self::Deep, _) => true,
            (Self::Index(wanted), Step::Index(index)) => *wanted == index,
            (Self::Name(pattern), Step::Name(name)) => glob(pattern, name),
            _ => false,
        }
    }
}

/// Why a rule cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("`{0}` is no path: write `metadata`, `messages[*].id`, `**.timestamp` or `?key`")]
    Path(String),
    #[error("the path has over {SEGMENTS_MAX} segments; `**` stands for any number of them")]
    Long,
    #[error("there are over {RULES_MAX} rules; join some with a glob")]
    Many,
}

/// What does not matter.
#[derive(Clone, Default)]
pub struct Rules {
    paths: Vec<Vec<Segment>>,
    query: Vec<String>,
    mask: Option<Mask>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("paths", &self.paths)
            .field("query", &self.query)
            .field("mask", &self.mask.is_some())
            .finish()
    }
}

impl Rules {
    /// The defaults, and nothing of the caller's own.
    pub fn usual() -> Self {
        let mut rules = Self::default();
        for rule in DEFAULTS {
            let added = rules.ignore(rule);
            debug_assert!(added.is_ok(), "{rule}: {added:?}");
        }
        rules
    }

    /// Adds a rule.
    pub fn ignore(&mut self, rule: &str) -> Result<(), RuleError> {
        if self.paths.len() + self.query.len() >= RULES_MAX {
            return Err(RuleError::Many);
        }
        if let Some(parameter) = rule.strip_prefix('?') {
            if parameter.is_empty() {
                return Err(RuleError::Path(rule.to_owned()));
            }
            self.query.push(parameter.to_owned());
            return Ok(());
        }
        self.paths.push(parse(rule)?);
        Ok(())
    }

    /// From now on texts are compared as `mask` gives them back.
    pub fn set_mask(&mut self, mask: Mask) {
        self.mask = Some(mask);
    }

    /// A text as it is compared.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.starts_with(BILLING) {
            return Cow::Borrowed(BILLING);
        }
        match &self.mask {
            Some(mask) => mask(text),
            None => Cow::Borrowed(text),
        }
    }

    pub(crate) fn is_parameter_ignored(&self, name: &str) -> bool {
        self.query.iter().any(|pattern| glob(pattern, name))
    }

    /// At the top of a body.
    pub(crate) fn begin(&self) -> Watch {
        Watch((0..self.paths.len()).map(|path| (path as u16, 0)).collect())
    }

    /// One step down; `None`: what is there is ignored.
    pub(crate) fn step(&self, watch: &Watch, step: Step<'_>) -> Option<Watch> {
        let mut next = Vec::new();
        for &(path, at) in &watch.0 {
            let segments = self.paths.get(usize::from(path)).map_or(&[][..], Vec::as_slice);
            let mut at = usize::from(at);
            // `**` may stand for nothing: what follows it is tried as well.
            while let Some(Segment::Deep) = segments.get(at) {
                next.push((path, at as u16));
                at += 1;
            }
            if segments.get(at).is_some_and(|segment| segment.meets(step)) {
                if at + 1 == segments.len() {
                    return None;
                }
                next.push((path, (at + 1) as u16));
            }
        }
        Some(Watch(next))
    }
}

/// Rules that may still hold further down: which, and how far they have come.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Vec<(u16, u16)>);

fn parse(rule: &str) -> Result<Vec<Segment>, RuleError> {
    let wrong = || RuleError::Path(rule.to_owned());
    let path = rule.strip_prefix("$.").unwrap_or(rule);
    let mut segments = Vec::new();
    for part in path.split('.') {
        let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() && rest.is_empty() {
            return Err(wrong());
        }
        match name {
            "" => {}
            "*" => segments.push(Segment::Any),
            "**" => segments.push(Segment::Deep),
            name => segments.push(Segment::Name(name.to_owned())),
        }
        while !rest.is_empty() {
            let inner = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (index, after) = inner.ok_or_else(wrong)?;
            segments.push(match index {
                "*" | "" => Segment::Any,
                index => Segment::Index(index.parse().map_err(|_| wrong())?),
            });
            rest = after;
        }
    }
    if segments.len() > SEGMENTS_MAX {
        return Err(RuleError::Long);
    }
    if matches!(segments.last(), None | Some(Segment::Deep)) || segments == [Segment::Any] {
        // These would ignore everything, which is never meant.
        return Err(wrong());
    }
    Ok(segments)
}

/// Whether `*` in the pattern can be filled so that it is the text. Linear: only the last `*` is ever tried again.
fn glob(pattern: &str, text: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == text;
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignores(rule: &str, path: &[Step<'_>]) -> bool {
        let mut rules = Rules::default();
        rules.ignore(rule).unwrap();
        let mut watch = rules.begin();
        for step in path {
            match rules.step(&watch, *step) {
                Some(next) => watch = next,
                None => return true,
            }
        }
        false
    }

    #[test]
    fn paths_meet_what_they_say() {
        use Step::{Index as I, Name as N};
        for (rule, path, expected) in [
            ("user", &[N("user")][..], true),
            ("$.user", &[N("user")], true),
            ("user", &[N("a"), N("user")], false),
            ("user", &[N("users")], false),
            ("metadata", &[N("metadata"), N("deep")], true),
            ("messages[*].id", &[N("messages"), I(3), N("id")], true),
            ("messages[2].id", &[N("messages"), I(3), N("id")], false),
            ("messages[3].id", &[N("messages"), I(3), N("id")], true),
            ("messages.*.id", &[N("messages"), I(0), N("id")], true),
            ("messages[*].id", &[N("messages"), I(3), N("role")], false),
            ("**.at", &[N("at")], true),
            ("**.at", &[N("a"), I(1), N("b"), N("at")], true),
            ("a.**.at", &[N("a"), N("b"), N("at")], true),
            ("a.**.at", &[N("b"), N("b"), N("at")], false),
            ("x_*", &[N("x_request")], true),
            ("*_id", &[N("trace_id")], true),
            ("a*b*c", &[N("a-b-bc")], true),
            ("a*b*c", &[N("a-c")], false),
        ] {
            assert_eq!(ignores(rule, path), expected, "{rule} {path:?}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for rule in ["", "a..b", "a[", "a[x]", "**", "a.**", "*", "?", "$."] {
            assert!(matches!(Rules::default().ignore(rule), Err(RuleError::Path(_))), "{rule}");
        }
        let long = vec!["a"; SEGMENTS_MAX + 1].join(".");
        assert_eq!(Rules::default().ignore(&long), Err(RuleError::Long));
        let mut rules = Rules::usual();
        let refused = (0..RULES_MAX).find_map(|n| rules.ignore(&format!("a{n}")).err());
        assert_eq!(refused, Some(RuleError::Many));
    }

    #[test]
    fn texts_are_masked() {
        let mut rules = Rules::usual();
        assert_eq!(rules.text("x-anthropic-billing-header: cc_version=1; cch=ab"), BILLING);
        rules.set_mask(Arc::new(|text| Cow::Owned(text.replace("2026-11-20", "DAY"))));
        assert_eq!(rules.text("it is 2026-11-20"), "it is DAY");
    }
}
