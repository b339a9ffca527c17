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
    /// `None`: no provider was chosen, or none yet. Rules that name one may fit then; see [`Rules::decide`].
    pub provider: Option<&'a str>,
    /// As it was sent; before a provider was chosen, as it was asked for.
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

    /// What is kept of an exchange that is over. Of one that came to no provider, the least of what the rules might have
    /// said of it: what was to be kept from the disk is, also where it was refused before anybody knew whose it was.
    pub fn decide(&self, facts: &Facts<'_>) -> Level {
        let decides = self.rules.iter().position(|rule| rule.fits(facts) == Fit::Yes);
        let share = decides.and_then(|at| self.rules.get(at)).map_or(self.base, |rule| rule.share);
        let before = self.rules.iter().take(decides.unwrap_or(self.rules.len()));
        let perhaps = before.filter(|rule| rule.fits(facts) == Fit::Perhaps);
        let least = perhaps.map(|rule| rule.share.level_for(facts.dice)).min();
        let mut level = share.level_for(facts.dice);
        if let Some(least) = least.filter(|least| *least < level) {
            // Neither the client nor what came of it raises that.
            return facts.asked.map_or(least, |asked| asked.min(least)).min(self.cap.0);
        }
        // A client that asks for less gets less, whatever came of it.
        if let Some(asked) = facts.asked.filter(|asked| *asked < level) {
            return asked.min(self.cap.0);
        }
        if let Some(asked) = facts.asked {
            level = level.max(asked.min(self.may_raise_to(facts.key)));
        }
        // Neither a client that asks for less nor a rule that hides an exchange is overruled by what came of it.
        let lowered = facts.asked.is_some_and(|asked| asked < Level::Full)
            || (decides.is_some() && level == Level::Off);
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

/// Whether a rule is for an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    /// It names a provider or a model, and the exchange came to none.
    Perhaps,
    Yes,
}

impl Rule {
    fn fits(&self, facts: &Facts<'_>) -> Fit {
        let fits = |glob: &Option<Glob>, text: Option<&str>, unknown: Fit| match (glob, text) {
            (None, _) => Fit::Yes,
            (Some(_), None) => unknown,
            (Some(glob), Some(text)) if glob.matches(text) => Fit::Yes,
            (Some(_), Some(_)) => Fit::No,
        };
        // An exchange that came to a provider without a model has none; one that came to none might have come to any.
        let unknown = if facts.provider.is_none() { Fit::Perhaps } else { Fit::No };
        fits(&self.key, facts.key, Fit::No)
            .min(fits(&self.provider, facts.provider, unknown))
            .min(self.fits_model(facts, unknown))
            .min(fits(&self.path, Some(facts.path), Fit::No))
    }

    /// A name that was not looked up yet may have the provider before it.
    fn fits_model(&self, facts: &Facts<'_>, unknown: Fit) -> Fit {
        match (&self.model, facts.model) {
            (None, _) => Fit::Yes,
            (Some(_), None) => unknown,
            (Some(glob), Some(model)) if glob.matches(model) => Fit::Yes,
            (Some(glob), Some(model)) => {
                let mut behind = model.match_indices([':', '/']);
                let fits = behind.any(|(at, _)| glob.matches(model.get(at + 1..).unwrap_or("")));
                if fits { unknown } else { Fit::No }
            }
        }
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
        let provider = Some("openai");
        let facts = |model, path| Facts { provider, model, path, ..Facts::default() };
        let decided = |model, path| rules.decide(&facts(model, path));
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
    fn what_came_to_no_provider_gets_the_least_of_the_rules_that_might_fit() {
        let mut rules = Rules::of(Level::Headers);
        rules.tail.errors = true;
        let any = Rule { key: None, ..rule("", Level::Off) };
        let of_provider = Rule { provider: Some(Glob::new("private")), ..any.clone() };
        let of_model = Rule { model: Some(Glob::new("secret-*")), ..any.clone() };
        rules.rules = vec![of_model];
        let refused = Facts { failed: true, key: Some("ann"), ..Facts::default() };
        let decided = |rules: &Rules, model| rules.decide(&Facts { model, ..refused });
        for model in [Some("secret-1"), Some("up:secret-1"), Some("up/secret-1"), None] {
            assert_eq!(decided(&rules, model), Level::Off, "{model:?}");
        }
        assert_eq!(decided(&rules, Some("other")), Level::Full);
        rules.rules = vec![of_provider];
        let other = Facts { provider: Some("other"), ..refused };
        assert_eq!(rules.decide(&refused), Level::Off, "it might have gone there");
        assert_eq!(rules.decide(&other), Level::Full, "it did not");
        let first = Rule { path: Some(Glob::new("/v1/**")), ..rule("", Level::Meta) };
        rules.rules.insert(0, Rule { key: None, ..first });
        let known = Facts { path: "/v1/messages", failed: false, ..refused };
        assert_eq!(rules.decide(&known), Level::Meta, "a rule before it decides for sure");
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
