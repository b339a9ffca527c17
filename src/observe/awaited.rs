//! Answers whose usage comes later: a background response, a batch. The call that began the work leaves its id here; the
//! first later answer under that id that tells usage takes it out, so that polling never counts twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Limit: ids waited for; the oldest are forgotten first, and then their usage is not counted.
pub const AWAITED_MAX: usize = 65_536;
/// Limit: bytes of an id.
const ID_BYTES_MAX: usize = 256;

/// Whose tokens they will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub provider: Arc<str>,
    pub model: Option<Arc<str>>,
    pub model_label: Arc<str>,
    /// Billed by the price of batches.
    pub batch: bool,
}

/// Limit: ids settled that the store has not heard of; further ones are not told, and a restart waits for them in vain.
const SETTLED_MAX: usize = 65_536;

/// The ids waited for. Written and read by the observer's thread. Those that came with an exchange that is stored are
/// kept over restarts by the store, which finds them in the exchange's summary; the others live here alone.
#[derive(Debug, Default)]
pub struct Awaited(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    owners: HashMap<String, Owner>,
    /// In order of arrival; emptied from the front.
    order: VecDeque<String>,
    forgotten: u64,
    /// Emptied by the store's sink; not filled where there is none.
    settled: Vec<String>,
    is_told: bool,
}

impl Awaited {
    /// Waits for the usage of `id`; false where it is no id. A second call for one id changes nothing: the first knows the
    /// model.
    pub fn expect(&self, id: &str, owner: Owner) -> bool {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return false;
        }
        let mut waiting = self.lock();
        if waiting.owners.contains_key(id) {
            return true;
        }
        waiting.owners.insert(id.to_owned(), owner);
        waiting.order.push_back(id.to_owned());
        while waiting.order.len() > AWAITED_MAX {
            if let Some(oldest) = waiting.order.pop_front()
                && waiting.owners.remove(&oldest).is_some()
            {
                waiting.forgotten += 1;
            }
        }
        true
    }

    /// Whose `id` is, when it is waited for from this provider; taken out when its usage is told.
    pub fn settle(&self, id: &str, provider: &str, told: bool) -> Option<Owner> {
        let mut waiting = self.lock();
        let owner = waiting.owners.get(id).filter(|owner| &*owner.provider == provider)?.clone();
        if !told {
            return Some(owner);
        }
        waiting.owners.remove(id);
        waiting.order.retain(|other| other != id);
        if waiting.is_told && waiting.settled.len() < SETTLED_MAX {
            waiting.settled.push(id.to_owned());
        }
        Some(owner)
    }

    /// Ids whose usage will not be counted, because too many were waited for.
    pub fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Takes up what an earlier run of the gateway waited for, and from now on tells the store what is settled.
    pub fn take_up(&self, known: impl IntoIterator<Item = (String, Owner)>) {
        for (id, owner) in known {
            self.expect(&id, owner);
        }
        self.lock().is_told = true;
    }

    /// What was settled since the last time.
    pub fn settled(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().settled)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(model: &str) -> Owner {
        Owner {
            provider: "openai".into(),
            model: Some(model.into()),
            model_label: model.into(),
            batch: false,
        }
    }

    #[test]
    fn an_id_is_settled_once_and_belongs_to_the_call_that_began_it() {
        let awaited = Awaited::default();
        awaited.expect("resp_1", owner("gpt-5"));
        awaited.expect("resp_1", owner("other"));
        awaited.expect("", owner("gpt-5"));
        assert_eq!(awaited.settle("resp_1", "openai", false), Some(owner("gpt-5")));
        assert_eq!(awaited.settle("resp_1", "openai", true), Some(owner("gpt-5")));
        assert_eq!(awaited.settle("resp_1", "openai", true), None);
        awaited.expect("resp_2", owner("gpt-5"));
        assert_eq!(
            awaited.settle("resp_2", "other", true),
            None,
            "a stranger's id of the same name"
        );
        assert!(awaited.settle("resp_2", "openai", true).is_some());
        assert!(awaited.settled().is_empty(), "nobody keeps them");
    }

    #[test]
    fn the_oldest_are_forgotten_and_counted() {
        let awaited = Awaited::default();
        for n in 0..AWAITED_MAX + 3 {
            awaited.expect(&format!("resp_{n}"), owner("gpt-5"));
        }
        assert_eq!(awaited.forgotten(), 3);
        assert_eq!(
            (awaited.settle("resp_2", "openai", true), awaited.settle("resp_3", "openai", true)),
            (None, Some(owner("gpt-5")))
        );
    }

    #[test]
    fn a_store_hears_once_of_what_is_settled() {
        let awaited = Awaited::default();
        awaited.take_up([("resp_old".to_owned(), owner("gpt-4"))]);
        awaited.expect("resp_1", owner("gpt-5"));
        assert_eq!(awaited.settle("resp_old", "openai", true), Some(owner("gpt-4")));
        assert_eq!(awaited.settled(), ["resp_old"]);
        assert!(awaited.settled().is_empty());
    }
}
