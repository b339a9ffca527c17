//! Prices as JSON, for the pricing API, the catalogue of models and `pinhole prices show --json`.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::price::book::Priced;
use crate::price::decimal::{Factor, PerToken};
use crate::price::lists::{Found, Lists, STEPS_MAX};
use crate::price::rates::{Kind, Mode, Prices, Rates};

/// What the numbers of [`row`] mean.
pub fn units() -> Value {
    let mut units: Map<String, Value> = Kind::ALL
        .into_iter()
        .map(|kind| (kind.key().to_owned(), json!("USD per 1M tokens")))
        .collect();
    units.insert("web_search".to_owned(), json!("USD per call"));
    units
        .insert("tiers".to_owned(), json!("prices of the whole request when input > above tokens"));
    units.insert("modes".to_owned(), json!("factor on token prices, or prices instead"));
    Value::Object(units)
}

/// One model's prices: US dollars as decimal text.
pub fn row(found: &Found) -> Value {
    let (basis, model) = found.basis.split_once('/').unwrap_or((&found.basis, ""));
    let mut row = json!({ "basis": basis, "model": model, "version": &*found.version });
    if let Some(fields) = row.as_object_mut() {
        fields.extend(prices(&found.prices));
    }
    row
}

fn prices(prices: &Prices) -> Map<String, Value> {
    let mut fields = rates(&prices.rates);
    if !prices.tiers.is_empty() {
        let tiers = prices.tiers.iter().map(|tier| {
            let mut fields = rates(&tier.rates);
            fields.insert("above".to_owned(), json!(tier.above));
            Value::Object(fields)
        });
        fields.insert("tiers".to_owned(), tiers.collect());
    }
    if !prices.modes.is_empty() {
        let modes = prices.modes.iter().map(|(name, mode)| {
            let mode = match mode {
                Mode::Factor(factor) => json!(factor.to_string()),
                Mode::Rates(own) => Value::Object(rates(own)),
            };
            (name.clone(), mode)
        });
        fields.insert("modes".to_owned(), Value::Object(modes.collect()));
    }
    if let Some(search) = prices.web_search {
        fields.insert("web_search".to_owned(), json!(search.dollars()));
    }
    fields
}

fn rates(rates: &Rates) -> Map<String, Value> {
    rates.iter().map(|(kind, price)| (kind.key().to_owned(), json!(price.per_million()))).collect()
}

/// What a provider takes for one of its models: US dollars for a million tokens, adjustments included.
pub fn per_million(priced: &Priced) -> Value {
    let prices = priced.prices.times(priced.adjustment);
    let mut fields = rates(&prices.rates);
    fields.insert("basis".to_owned(), json!(&*priced.basis));
    Value::Object(fields)
}

/// `pricing` of a row of `/v1/models`: US dollars for one token, adjustments included.
pub fn per_token(priced: &Priced) -> Value {
    let prices = priced.prices.times(priced.adjustment);
    let rate = |kind| prices.rates.get(kind).map(PerToken::per_token);
    let fields = [
        ("input", rate(Kind::Input)),
        ("output", rate(Kind::Output)),
        ("input_cache_read", rate(Kind::CacheRead)),
        ("input_cache_write", rate(Kind::CacheWrite)),
        ("input_cache_write_1h", rate(Kind::CacheWrite1h)),
        ("web_search", prices.web_search.map(crate::price::decimal::PerCall::dollars)),
    ];
    let present = fields.into_iter();
    Value::Object(
        present.filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect(),
    )
}

impl Lists {
    /// The rows that stand on the lists themselves, by `basis/model`; what `like` takes over is left out.
    pub fn all(&self) -> IndexMap<String, Prices> {
        self.rows().map(|found| (found.basis, found.prices)).collect()
    }

    /// The same with their versions.
    pub fn rows(&self) -> impl Iterator<Item = Found> + '_ {
        self.shelves.iter().flat_map(move |(name, shelf)| {
            shelf.rows.iter().filter_map(move |(key, row)| {
                Some(Found {
                    basis: format!("{name}/{key}"),
                    version: std::sync::Arc::clone(&row.version),
                    prices: self.prices(shelf, row, STEPS_MAX)?,
                })
            })
        })
    }

    /// `model` as each basis sells it; with a basis before it (`azure/gpt-5`), as that one does.
    pub fn everywhere(&self, model: &str) -> Vec<Found> {
        if let Some((basis, rest)) = model.split_once('/')
            && let Some(found) = self.find(basis, rest)
        {
            return vec![found];
        }
        let mut found: Vec<Found> = Vec::new();
        for basis in self.bases() {
            if let Some(one) = self.find(basis, model)
                && !found.iter().any(|known| known.basis == one.basis)
            {
                found.push(one);
            }
        }
        found
    }

    /// All that `basis` sells, what it takes over by `like` included.
    pub fn sold_by(&self, basis: &str) -> Vec<Found> {
        let chain = self.chain(basis);
        let keys = chain.iter().flat_map(|(shelf, _)| shelf.rows.keys());
        let mut found: IndexMap<&str, Found> = IndexMap::new();
        for key in keys {
            if let Some(one) = self.find(basis, key).filter(|_| !found.contains_key(key.as_str())) {
                found.insert(key, one);
            }
        }
        found.into_values().collect()
    }

    /// Bases that sell what others do: `{"azure": {"like": ["openai"], "factor": "1.1"}}`.
    pub fn kinship(&self) -> Value {
        let related = self.shelves.iter().filter(|(_, shelf)| !shelf.like.is_empty());
        let fields = related.map(|(name, shelf)| {
            let factor = shelf.factor.unwrap_or(Factor::ONE).to_string();
            (name.clone(), json!({ "like": shelf.like, "factor": factor }))
        });
        Value::Object(fields.collect())
    }
}
