//! Which price is whose: each provider's basis and exceptions over the price lists, with what was looked up remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::glob::Glob;
use crate::base::money::Nanodollars;
use crate::neutral::usage::Usage;
use crate::price::cost;
use crate::price::decimal::Factor;
use crate::price::lists::{Found, Lists};
use crate::price::rates::Prices;

/// Limit: names remembered for one provider; past it they are looked up anew.
const REMEMBERED_MAX: usize = 4_096;

/// How one provider bills.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Billing {
    /// The bases to look on, in order. Empty: nothing has a price but what `exceptions` names.
    pub bases: Vec<Arc<str>>,
    /// The first whose pattern matches decides.
    pub exceptions: Vec<Exception>,
}

/// Models priced as another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    pub pattern: Glob,
    /// `model` of the provider's bases (else of any), or `basis/model`.
    pub priced_as: String,
    pub adjustment: Factor,
}

/// The price of a model at a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    /// The row it was made of: `openai/gpt-5`.
    pub basis: Arc<str>,
    /// The version of the list that the row stands on.
    pub version: Arc<str>,
    pub prices: Prices,
    pub adjustment: Factor,
}

/// What an answer cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    pub nanodollars: Nanodollars,
    pub basis: Arc<str>,
    pub version: Arc<str>,
}

impl Priced {
    /// What `usage` costs; `None`: nothing is known of it.
    pub fn cost(&self, usage: &Usage, service_tier: Option<&str>) -> Option<Amount> {
        let nanodollars = cost::cost(&self.prices, self.adjustment, usage, service_tier)?;
        Some(Amount {
            nanodollars,
            basis: Arc::clone(&self.basis),
            version: Arc::clone(&self.version),
        })
    }
}

type Remembered = HashMap<String, Option<Arc<Priced>>>;

/// Price lists and who bills by them. One a configuration; made anew on reload.
#[derive(Debug, Default)]
pub struct Book {
    lists: Lists,
    providers: HashMap<Arc<str>, Billing>,
    /// By provider, then by model. Held for a look or an insertion, never across an await.
    remembered: Mutex<HashMap<Arc<str>, Remembered>>,
}

impl Book {
    pub fn new(lists: Lists, providers: HashMap<Arc<str>, Billing>) -> Self {
        Self { lists, providers, remembered: Mutex::default() }
    }

    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    pub fn billing(&self, provider: &str) -> Option<&Billing> {
        self.providers.get(provider)
    }

    /// The price of `model` at `provider`; `None`: it is on no list. A provider that is not configured, as stored rows
    /// may name, bills by the basis of its name, if there is one.
    pub fn lookup(&self, provider: &str, model: &str) -> Option<Arc<Priced>> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered.get(provider).and_then(|models| models.get(model)) {
            return known.clone();
        }
        let found = self.find(provider, model).map(Arc::new);
        let models = match self.providers.get_key_value(provider) {
            Some((id, _)) => remembered.entry(Arc::clone(id)).or_default(),
            // Only configured names are remembered, so that the map has a bound.
            None => return found,
        };
        if models.len() >= REMEMBERED_MAX {
            models.clear();
        }
        models.insert(model.to_owned(), found.clone());
        found
    }

    /// What `usage` of `model` at `provider` costs, also for rows that were stored long ago. `None`: no price, or no usage.
    pub fn price(
        &self,
        provider: &str,
        model: &str,
        usage: &Usage,
        service_tier: Option<&str>,
    ) -> Option<Amount> {
        self.lookup(provider, model)?.cost(usage, service_tier)
    }

    /// The row that an exception's `as` leads to.
    pub fn named(&self, billing: &Billing, priced_as: &str) -> Option<Found> {
        let own = || billing.bases.iter().find_map(|basis| self.lists.find(basis, priced_as));
        let told = || {
            let (basis, model) = priced_as.split_once('/')?;
            self.lists.find(basis, model)
        };
        let any = || self.lists.bases().find_map(|basis| self.lists.find(basis, priced_as));
        told().or_else(own).or_else(any)
    }

    fn find(&self, provider: &str, model: &str) -> Option<Priced> {
        let Some(billing) = self.providers.get(provider) else {
            return self.lists.find(provider, model).map(|found| priced(found, Factor::ONE));
        };
        let mut exceptions = billing.exceptions.iter();
        if let Some(exception) = exceptions.find(|exception| exception.pattern.matches(model)) {
            let found = self.named(billing, &exception.priced_as)?;
            return Some(priced(found, exception.adjustment));
        }
        let found = billing.bases.iter().find_map(|basis| self.lists.find(basis, model))?;
        Some(priced(found, Factor::ONE))
    }
}

fn priced(found: Found, adjustment: Factor) -> Priced {
    Priced {
        basis: Arc::from(found.basis),
        version: found.version,
        prices: found.prices,
        adjustment,
    }
}
