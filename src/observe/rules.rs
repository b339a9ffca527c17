//! The capture rules in force: put there at start, replaced on reload, overridden for a while by an operator.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::exchange::level::Level;
use crate::policy::capture::Rules;

/// Shared by whoever holds bytes, whoever stores them and whoever reloads.
#[derive(Debug, Default)]
pub struct RulesInForce {
    /// What every exchange is judged by.
    effective: ArcSwap<Rules>,
    told: Mutex<Told>,
}

/// What was said, by whom.
#[derive(Debug, Default)]
struct Told {
    configured: Arc<Rules>,
    switched: Option<Switched>,
    /// Counts switches: an expiry ends the one that it was set for, and no later one.
    switches: u64,
}

/// An operator's word, until it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switched {
    pub level: Level,
    /// Microseconds since 1970; `None`: until it is taken back.
    pub until_us: Option<u64>,
}

impl RulesInForce {
    pub fn new(rules: Arc<Rules>) -> Arc<Self> {
        let own = Self::default();
        own.replace(rules);
        Arc::new(own)
    }

    pub fn load(&self) -> arc_swap::Guard<Arc<Rules>> {
        self.effective.load()
    }

    /// A new configuration; an operator's word stays.
    pub fn replace(&self, rules: Arc<Rules>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.configured = rules;
        self.settle(&told);
    }

    /// One level for everything from now on, but never beyond what zero retention allows; `None` goes back to the
    /// configuration. Gives the number to end it by.
    pub fn switch(&self, switched: Option<Switched>) -> u64 {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.switched = switched;
        told.switches += 1;
        self.settle(&told);
        told.switches
    }

    /// Ends the switch of that number, if no other came since.
    pub fn expire(&self, switch: u64) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = told.switches == switch;
        if is_last {
            told.switched = None;
            self.settle(&told);
        }
        is_last
    }

    pub fn switched(&self) -> Option<Switched> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).switched
    }

    fn settle(&self, told: &Told) {
        let effective = match told.switched {
            None => Arc::clone(&told.configured),
            Some(switched) => {
                let (cap, indexed) = (told.configured.cap, Arc::clone(&told.configured.indexed));
                Arc::new(Rules { indexed, cap, ..Rules::of(switched.level) })
            }
        };
        self.effective.store(effective);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::capture::Cap;

    #[test]
    fn a_switch_overrides_the_configuration_until_it_ends() {
        let rules = RulesInForce::new(Arc::new(Rules::of(Level::Meta)));
        let full = Switched { level: Level::Full, until_us: None };
        let first = rules.switch(Some(full));
        assert_eq!((rules.load().most(), rules.switched()), (Level::Full, Some(full)));
        rules.replace(Arc::new(Rules::of(Level::Headers)));
        assert_eq!(rules.load().most(), Level::Full, "a reload does not end it");
        let second = rules.switch(Some(Switched { level: Level::Off, until_us: Some(1) }));
        assert!(!rules.expire(first), "another came since");
        assert_eq!(rules.load().most(), Level::Off);
        assert!(rules.expire(second));
        assert_eq!((rules.load().most(), rules.switched()), (Level::Headers, None));
        rules.replace(Arc::new(Rules { cap: Cap(Level::Meta), ..Rules::of(Level::Full) }));
        rules.switch(Some(full));
        assert_eq!(rules.load().most(), Level::Meta, "zero retention stays zero");
    }
}
