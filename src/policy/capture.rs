//! How much of an exchange is kept: by configuration, key, route, model, the client's own word, and what came of it. Pure.
//!
//! ```text
//!  head known ──► bound: the most it may come to ──► that much is held in memory while it runs
//!  over ────────► decide: what it comes to ────────► that much is stored
//! ```

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::base::glob::Glob;
use crate::exchange::level::Level;

/// What decides.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// Where no rule says otherwise.
    pub base: Share,
    /// The first that fits decides.
    pub rules: Vec<Rule>,
    pub tail: Tail,
    /// Labels of the keys whose holders may ask for more, and how much.
    pub raises: Vec<(Arc<str>, Level)>,
    /// Headers whose values are kept with the record, so that they can be asked for.
    pub indexed: Arc<[HeaderName]>,
    /// Nothing goes beyond it: zero retention.
    pub cap: Cap,
}

/// The most that may be kept at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap(pub Level);

impl Default for Cap {
    fn default() -> Self {
        Self(Level::Full)
    }
}

/// A level for a share of the sessions; the others are kept at `meta`, or lower where the level is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub level: Level,
    /// From 0 to 1.
    pub sample: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self { level: Level::Meta, sample: 1.0 }
    }
}

/// A level for some exchanges; what is `None` fits all.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub key: Option<Glob>,
    pub provider: Option<Glob>,
    pub model: Option<Glob>,
    pub path: Option<Glob>,
    pub share: Share,
}

/// Which exchanges are kept whole, whatever their level, once it is seen what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    pub errors: bool,
    /// From this duration on.
    pub slow: Option<Duration>,
    pub retried: bool,
    pub cut: bool,
    pub empty: bool,
}

/// What is known of an exchange that is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    pub key: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub model: Option<&'a str>,
    pub path: &'a str,
    /// The level that the client asked for.
    pub asked: Option<Level>,
    /// The same for all exchanges of a session.
    pub dice: u64,
    pub failed: bool,
    pub duration: Duration,
    pub attempts: usize,
    pub cut: bool,
    pub empty: bool,
}

impl Rules {
    /// One level for everything.
    pub fn of(level: Level) -> Self {
        Self { base: Share { level, sample: 1.0 }, ..Self::default() }
    }

    /// Whether headers are read, though perhaps not kept.
    pub fn reads_headers(&self) -> bool {
        !self.indexed.is_empty() && self.most() > Level::Off
    }

    /// The most that any exchange may come to.
    pub fn most(&self) -> Level {
        let rules = self.rules.iter().map(|rule| rule.share.level);
        let tail = if self.tail == Tail::default() { Level::Off } else { Level::Full };
        rules.chain([self.base.level, tail]).max().unwrap_or_default().min(self.cap.0)
    }

    /// The most that an exchange may come to whose client asked for `asked`.
    pub fn bound(&self, asked: Option<Level>) -> Level {
        let most = self.most();
        let Some(asked) = asked else { return most };
        if asked <= most {
            return asked;
        }
        // Whose key it is is not known yet.
        let raised = self.raises.iter().map(|(_, level)| *level).max().unwrap_or(Level::Off);
        most.max(asked.min(raised)).min(self.cap.0)
    }

    /// What is kept of an exchange that is over.
    pub fn decide(&self, facts: &Facts<'_>) -> Level {
        let rule = self.rules.iter().find(|rule| rule.fits(facts));
        let mut level = rule.map_or(self.base, |rule| rule.share).level_for(facts.dice);
        // A client that asks for less gets less, whatever came of it.
        if let Some(asked) = facts.asked.filter(|asked| *asked < level) {
            return asked.min(self.cap.0);
        }
        if let Some(asked) = facts.asked {
            level = level.max(asked.min(self.may_raise_to(facts.key)));
        }
        let lowered = facts.asked.is_some_and(|asked| asked < Level::Full);
        if !lowered && self.tail.takes(facts) {
            level = Level::Full;
        }
        level.min(self.cap.0)
    }

    fn may_raise_to(&self, key: Option<&str>) -> Level {
        let raise = self.raises.iter().find(|(label, _)| Some(&**label) == key);
        raise.map_or(Level::Off, |(_, level)| *level)
    }
}

impl Share {
    fn level_for(self, dice: u64) -> Level {
        // The upper bits of a hash, as a number from 0 to 1.
        let thrown = (dice >> 11) as f64 / (1_u64 << 53) as f64;
        if thrown < self.sample { self.level } else { self.level.min(Level::Meta) }
    }
}

impl Rule {
    fn fits(&self, facts: &Facts<'_>) -> bool {
        let fits = |glob: &Option<Glob>, text: Option<&str>| {
            glob.as_ref().is_none_or(|glob| text.is_some_and(|text| glob.matches(text)))
        };
        fits(&self.key, facts.key)
            && fits(&self.provider, facts.provider)
            && fits(&self.model, facts.model)
            && fits(&self.path, Some(facts.path))
    }
}

impl Tail {
    fn takes(&self, facts: &Facts<'_>) -> bool {
        self.errors && facts.failed
            || self.slow.is_some_and(|slow| facts.duration >= slow)
            || self.retried && facts.attempts > 1
            || self.cut && facts.cut
            || self.empty && facts.empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(key: &str, level: Level) -> Rule {
        let share = Share { level, sample: 1.0 };
        Rule { key: Some(Glob::new(key)), provider: None, model: None, path: None, share }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let mut rules = Rules::of(Level::Meta);
        rules.rules = vec![rule("ci-*", Level::Off), rule("*", Level::Headers)];
        let decided = |key| rules.decide(&Facts { key, ..Facts::default() });
        assert_eq!(decided(Some("ci-1")), Level::Off);
        assert_eq!(decided(Some("ann")), Level::Headers);
        assert_eq!(decided(None), Level::Meta, "a rule for keys fits no caller without one");
        assert_eq!((rules.most(), rules.bound(None)), (Level::Headers, Level::Headers));
        let gpt = Rule { model: Some(Glob::new("gpt-*")), key: None, ..rule("", Level::Full) };
        let path = Rule { path: Some(Glob::new("/v1/**")), key: None, ..rule("", Level::Headers) };
        rules.rules = vec![gpt, path];
        let decided = |model, path| rules.decide(&Facts { model, path, ..Facts::default() });
        assert_eq!(decided(Some("gpt-5"), "/v1/messages"), Level::Full);
        assert_eq!(decided(Some("claude"), "/v1/messages"), Level::Headers);
        assert_eq!(decided(None, "/other"), Level::Meta);
    }

    #[test]
    fn a_client_may_lower_and_raises_only_with_a_key_that_may() {
        let mut rules = Rules::of(Level::Headers);
        rules.raises = vec![("ann".into(), Level::Full)];
        let decided = |key, asked| rules.decide(&Facts { key, asked, ..Facts::default() });
        assert_eq!(decided(None, Some(Level::Off)), Level::Off);
        assert_eq!(decided(Some("bob"), Some(Level::Full)), Level::Headers);
        assert_eq!(decided(Some("ann"), Some(Level::Full)), Level::Full);
        assert_eq!(decided(Some("ann"), None), Level::Headers, "nobody asked");
        assert_eq!(rules.bound(Some(Level::Off)), Level::Off);
        assert_eq!(rules.bound(Some(Level::Full)), Level::Full, "the key may turn out to be ann's");
        rules.raises.clear();
        assert_eq!(rules.bound(Some(Level::Full)), Level::Headers);
    }

    #[test]
    fn what_went_wrong_is_kept_whole_unless_the_client_forbade_it() {
        let mut rules = Rules::of(Level::Meta);
        rules.tail = Tail {
            errors: true,
            slow: Some(Duration::from_secs(30)),
            retried: true,
            cut: true,
            empty: true,
        };
        assert_eq!(rules.bound(None), Level::Full);
        let well = Facts { attempts: 1, ..Facts::default() };
        assert_eq!(rules.decide(&well), Level::Meta);
        for facts in [
            Facts { failed: true, ..well },
            Facts { duration: Duration::from_secs(30), ..well },
            Facts { attempts: 2, ..well },
            Facts { cut: true, ..well },
            Facts { empty: true, ..well },
        ] {
            assert_eq!(rules.decide(&facts), Level::Full, "{facts:?}");
            for asked in [Level::Off, Level::Meta, Level::Headers] {
                let decided = rules.decide(&Facts { asked: Some(asked), ..facts });
                assert!(decided <= asked, "{facts:?} at {asked:?}: {decided:?}");
            }
            let capped = Rules { cap: Cap(Level::Meta), ..rules.clone() };
            assert_eq!(capped.decide(&facts), Level::Meta);
        }
    }

    #[test]
    fn sampling_takes_its_share_of_the_sessions() {
        let rules = Rules { base: Share { level: Level::Full, sample: 0.25 }, ..Rules::default() };
        let dice = (0..10_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let decided = dice.map(|dice| rules.decide(&Facts { dice, ..Facts::default() }));
        let full = decided.filter(|level| *level == Level::Full).count();
        assert!((2_400..2_600).contains(&full), "{full}");
        let none = Rules { base: Share { level: Level::Full, sample: 0.0 }, ..Rules::default() };
        assert_eq!(none.decide(&Facts::default()), Level::Meta);
        let off = Rules { base: Share { level: Level::Off, sample: 0.0 }, ..Rules::default() };
        assert_eq!(off.decide(&Facts::default()), Level::Off, "sampling raises nothing");
    }

    #[test]
    fn nothing_is_stored_beyond_what_was_bounded() {
        let mut rules = Rules::of(Level::Meta);
        rules.rules = vec![rule("a", Level::Off), rule("b", Level::Headers)];
        rules.raises = vec![("a".into(), Level::Headers), ("c".into(), Level::Full)];
        for asked in Level::ALL.map(Some).into_iter().chain([None]) {
            for key in [None, Some("a"), Some("b"), Some("c")] {
                let decided = rules.decide(&Facts { key, asked, ..Facts::default() });
                assert!(decided <= rules.bound(asked), "{key:?} asked {asked:?}: {decided:?}");
            }
        }
    }
}
