//! Price lists laid over each other: the shipped one, one that was installed, one of the configuration. A row of a higher
//! list hides the row of that name below it; what was hidden in part (names, modes) is kept from below.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::base::glob::Glob;
use crate::base::near::nearest;
use crate::price::catalog::{Basis, Catalog, Fault, Model};
use crate::price::date::Day;
use crate::price::decimal::{Factor, PerCall};
use crate::price::name::{forms, region, undated};
use crate::price::rates::{Modes, Prices};

/// Limit: rows that refer to rows, and routers that lead to routers.
pub(super) const STEPS_MAX: usize = 4;

/// Price lists, merged.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// Version and date of each list, the lowest first.
    pub parts: Vec<Part>,
    vendors: IndexMap<String, String>,
    pub(super) shelves: IndexMap<String, Shelf>,
}

/// One list that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub version: Arc<str>,
    pub date: Day,
}

/// One basis, merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    pub(super) like: Vec<String>,
    pub(super) factor: Option<Factor>,
    routes: bool,
    regions: IndexMap<String, String>,
    modes: Modes,
    web_search: Option<PerCall>,
    /// By name in lower case.
    pub(super) rows: IndexMap<String, Row>,
    /// Further names without stars, to the row's.
    names: HashMap<String, String>,
    /// Names with stars, the longest first.
    globs: Vec<(Glob, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) model: Model,
    pub(super) version: Arc<str>,
}

/// What a name came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// `openai/gpt-5`
    pub basis: String,
    pub version: Arc<str>,
    pub prices: Prices,
}

impl Lists {
    /// Lays the lists over each other, the lowest first.
    pub fn layered<'a>(lists: impl IntoIterator<Item = &'a Catalog>) -> Result<Self, Fault> {
        let mut merged = Self::default();
        for list in lists {
            if list.replaces {
                merged = Self::default();
            }
            merged.lay(list);
        }
        merged.lend_names();
        for shelf in merged.shelves.values_mut() {
            shelf.index();
        }
        match merged.fault() {
            Some(fault) => Err(Fault::whole(fault)),
            None => Ok(merged),
        }
    }

    /// The list that comes with the program, alone.
    pub fn shipped() -> Self {
        let shipped = Self::layered([Catalog::shipped()]);
        debug_assert!(shipped.is_ok(), "{:?}", shipped.as_ref().err());
        shipped.unwrap_or_default()
    }

    /// The version of the topmost list.
    pub fn version(&self) -> &str {
        self.parts.last().map_or("none", |part| &part.version)
    }

    /// The newest date among the lists.
    pub fn date(&self) -> Option<Day> {
        self.parts.iter().map(|part| part.date).max()
    }

    pub fn has(&self, basis: &str) -> bool {
        self.shelves.contains_key(basis)
    }

    /// The names of all bases, in the order of the lists.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.shelves.keys().map(String::as_str)
    }

    /// The prices of `model` as `basis` sells it. In order: its name as it stands on the list, in any of its forms; a
    /// vendor's row, on a router; a glob; and the same without the date at the end of the name.
    pub fn find(&self, basis: &str, model: &str) -> Option<Found> {
        self.find_within(basis, model, STEPS_MAX)
    }

    fn find_within(&self, basis: &str, model: &str, steps: usize) -> Option<Found> {
        let steps = steps.checked_sub(1)?;
        let forms = forms(model);
        let whole = forms.first()?;
        let asked = self.shelves.get(basis)?;
        let basis = region(whole)
            .and_then(|region| asked.regions.get(region))
            .map_or(basis, String::as_str);
        let chain = self.chain(basis);
        let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
        let undated: Vec<&str> = forms.iter().filter_map(|form| undated(form)).collect();
        let literal = |forms: &[&str]| self.pick(basis, &chain, forms, Shelf::literal);
        let glob = |forms: &[&str]| self.pick(basis, &chain, forms, Shelf::glob);
        literal(&forms)
            .or_else(|| glob(&forms))
            .or_else(|| self.routed(basis, whole, steps))
            .or_else(|| literal(&undated))
            .or_else(|| glob(&undated))
    }

    fn pick(
        &self,
        basis: &str,
        chain: &[(&Shelf, Factor)],
        forms: &[&str],
        key_of: impl for<'a> Fn(&'a Shelf, &str) -> Option<&'a str>,
    ) -> Option<Found> {
        forms.iter().find_map(|form| {
            chain.iter().find_map(|(shelf, factor)| {
                let key = key_of(shelf, form)?;
                let row = shelf.rows.get(key)?;
                Some(Found {
                    basis: format!("{basis}/{key}"),
                    version: Arc::clone(&row.version),
                    prices: self.prices(shelf, row, STEPS_MAX)?.times(*factor),
                })
            })
        })
    }

    fn routed(&self, basis: &str, whole: &str, steps: usize) -> Option<Found> {
        let shelf = self.shelves.get(basis).filter(|shelf| shelf.routes)?;
        let (vendor, rest) = whole.split_once('/')?;
        let found = self.find_within(self.vendors.get(vendor)?, rest, steps)?;
        let (_, row) = found.basis.split_once('/')?;
        let factor = shelf.factor.unwrap_or(Factor::ONE);
        Some(Found {
            basis: format!("{basis}/{vendor}/{row}"),
            prices: found.prices.times(factor),
            version: found.version,
        })
    }

    /// The basis and those it is like, each once, nearest first, with what their prices are multiplied by.
    pub(super) fn chain(&self, basis: &str) -> Vec<(&Shelf, Factor)> {
        let mut chain = Vec::new();
        let mut seen = Vec::new();
        let mut waiting = vec![(basis, Factor::ONE)];
        while let Some((name, factor)) = waiting.pop() {
            let Some(shelf) = self.shelves.get(name).filter(|_| !seen.contains(&name)) else {
                continue;
            };
            seen.push(name);
            chain.push((shelf, factor));
            let inherited = factor.then(shelf.factor.unwrap_or(Factor::ONE));
            waiting.extend(shelf.like.iter().rev().map(|like| (like.as_str(), inherited)));
        }
        chain
    }

    /// The prices of a row, with what its basis says for all.
    pub(super) fn prices(&self, shelf: &Shelf, row: &Row, steps: usize) -> Option<Prices> {
        let model = &row.model;
        let Some(other) = &model.priced_as else {
            let mut modes = shelf.modes.clone();
            modes.extend(model.modes.iter().map(|(name, mode)| (name.clone(), *mode)));
            return Some(Prices {
                rates: model.rates,
                tiers: model.tiers.clone(),
                modes,
                web_search: model.web_search.or(shelf.web_search),
            });
        };
        let (basis, name) = other.split_once('/')?;
        let name = name.to_ascii_lowercase();
        let steps = steps.checked_sub(1)?;
        let mut found = self.chain(basis).into_iter();
        let (prices, inherited) = found.find_map(|(shelf, factor)| {
            let row = shelf.rows.get(shelf.literal(&name)?)?;
            Some((self.prices(shelf, row, steps)?, factor))
        })?;
        Some(prices.times(inherited).times(model.factor.unwrap_or(Factor::ONE)))
    }

    fn lay(&mut self, list: &Catalog) {
        let date = list.date.unwrap_or(Day::of_us(0));
        self.parts.push(Part { version: Arc::clone(&list.version), date });
        let vendors = list.vendors.iter();
        self.vendors
            .extend(vendors.map(|(name, basis)| (name.to_ascii_lowercase(), basis.clone())));
        for (name, basis) in &list.bases {
            self.shelves.entry(name.clone()).or_default().lay(basis, &list.version);
        }
    }

    /// A row priced as another one answers to that one's names too, unless it says its own.
    fn lend_names(&mut self) {
        let mut lent = Vec::new();
        for (basis, shelf) in &self.shelves {
            for (key, row) in &shelf.rows {
                let other = row.model.priced_as.as_ref().and_then(|other| other.split_once('/'));
                let lender =
                    other.and_then(|(basis, name)| self.shelves.get(basis)?.rows.get(name));
                if let (None, Some(lender)) = (&row.model.names, lender) {
                    lent.push((basis.clone(), key.clone(), lender.model.names.clone()));
                }
            }
        }
        for (basis, key, names) in lent {
            if let Some(row) =
                self.shelves.get_mut(&basis).and_then(|shelf| shelf.rows.get_mut(&key))
            {
                row.model.names = names;
            }
        }
    }

    /// A reference that leads nowhere.
    fn fault(&self) -> Option<String> {
        let known = |name: &String| self.shelves.contains_key(name);
        let lost = |way: String, name: &str| {
            let near = nearest(name, self.bases());
            let meant =
                near.first().map_or_else(String::new, |near| format!("; did you mean {near}?"));
            format!("{way}: no basis {name}{meant}")
        };
        for (vendor, basis) in &self.vendors {
            if !known(basis) {
                return Some(lost(format!("vendors: {vendor}"), basis));
            }
        }
        for (name, shelf) in &self.shelves {
            let others = shelf.like.iter().chain(shelf.regions.values());
            if let Some(other) = others.clone().find(|other| !known(other)) {
                return Some(lost(format!("bases: {name}"), other));
            }
            for (key, row) in &shelf.rows {
                if self.prices(shelf, row, STEPS_MAX).is_none() {
                    let other = row.model.priced_as.as_deref().unwrap_or_default();
                    return Some(format!(
                        "bases: {name}: {key}: as: {other} leads to no price; write \"basis/model\" of a row with prices"
                    ));
                }
            }
        }
        None
    }
}

impl Shelf {
    fn lay(&mut self, basis: &Basis, version: &Arc<str>) {
        if let Some(like) = &basis.like {
            self.like.clone_from(like);
        }
        self.factor = basis.factor.or(self.factor);
        self.routes = basis.routes.unwrap_or(self.routes);
        self.regions.extend(basis.regions.clone());
        self.modes.extend(basis.modes.clone());
        self.web_search = basis.web_search.or(self.web_search);
        for (name, model) in &basis.models {
            let key = name.to_ascii_lowercase();
            let Some(model) = model else {
                self.rows.shift_remove(&key);
                continue;
            };
            let mut model = model.clone();
            let below = self.rows.get(&key).and_then(|row| row.model.names.clone());
            model.names = model.names.or(below);
            self.rows.insert(key, Row { model, version: Arc::clone(version) });
        }
    }

    /// Makes the index of names. A row's own name wins over what others call themselves; of those the later row.
    fn index(&mut self) {
        for (key, row) in &self.rows {
            for name in row.model.names.iter().flatten() {
                let name = name.to_ascii_lowercase();
                if name.contains('*') {
                    self.globs.push((Glob::new(&name), key.clone()));
                } else {
                    self.names.insert(name, key.clone());
                }
            }
        }
        self.globs.sort_by_key(|(glob, _)| std::cmp::Reverse(glob.as_str().len()));
    }

    fn literal(&self, form: &str) -> Option<&str> {
        let own = self.rows.get_key_value(form).map(|(key, _)| key);
        own.or_else(|| self.names.get(form)).map(String::as_str)
    }

    fn glob(&self, form: &str) -> Option<&str> {
        let mut globs = self.globs.iter();
        globs.find(|(glob, _)| glob.matches(form)).map(|(_, key)| key.as_str())
    }
}
