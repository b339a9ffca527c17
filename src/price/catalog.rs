//! One price list: the JSON of `catalog.json`, of `prices.file`, of `pinhole prices update`. Read whole or refused with
//! the place and the remedy; what the keys mean is in `docs/prices.md`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess};

use crate::price::date::Day;
use crate::price::decimal::{Factor, PerCall, PerToken};
use crate::price::rates::{Kind, Mode, Modes, Rates, Tier};
use crate::price::read::{Named, Object, TextVisitor, object};

/// Limit: bytes of a price list.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Limit: bytes of the version, which goes with each stored cost.
const VERSION_BYTES_MAX: usize = 64;

/// A price list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    /// Goes with each cost made of it.
    pub version: Arc<str>,
    /// When its prices were looked up.
    pub date: Option<Day>,
    pub note: Option<String>,
    /// It stands alone, instead of over the lists below it.
    pub replaces: bool,
    /// Beginnings of model names on routers (`x-ai/…`), and the basis that prices them.
    pub vendors: IndexMap<String, String>,
    pub bases: IndexMap<String, Basis>,
}

/// The prices of one seller.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Basis {
    /// Bases whose models it sells too, in order.
    pub like: Option<Vec<String>>,
    /// What prices taken over by `like` are multiplied by.
    pub factor: Option<Factor>,
    /// Its names are `vendor/model`, priced by the vendor's basis.
    pub routes: Option<bool>,
    /// Beginnings of model names (`eu.`) that mean another basis.
    pub regions: IndexMap<String, String>,
    pub modes: Modes,
    pub web_search: Option<PerCall>,
    /// `None`: the model of that name in a list below is taken out.
    pub models: IndexMap<String, Option<Model>>,
}

/// One model's row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    pub rates: Rates,
    pub tiers: Vec<Tier>,
    pub modes: Modes,
    pub web_search: Option<PerCall>,
    /// Further names and globs.
    pub names: Option<Vec<String>>,
    /// Priced as another row: `basis/model`.
    pub priced_as: Option<String>,
    pub factor: Option<Factor>,
}

/// Why a text is no price list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    pub message: String,
    /// Line and column, from one; zero when the list as a whole is meant.
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}, column {}: {}", self.column, self.message),
        }
    }
}

impl Fault {
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: 0, column: 0 }
    }
}

impl Catalog {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > BYTES_MAX {
            return Err(Fault::whole(format!("larger than {BYTES_MAX} bytes")));
        }
        serde_json::from_str(text).map_err(|error| {
            let full = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = full.strip_suffix(&place).unwrap_or(&full).to_owned();
            Fault { message, line: error.line(), column: error.column() }
        })
    }

    /// The list that comes with the program.
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Catalog> = LazyLock::new(|| {
            let parsed = Catalog::parse(include_str!("catalog.json"));
            // It is part of the program and read by a test, so a fault in it cannot reach a user.
            debug_assert!(parsed.is_ok(), "{:?}", parsed.as_ref().err());
            parsed.unwrap_or_default()
        });
        &SHIPPED
    }
}

impl Object for Catalog {
    const WHAT: &'static str = "a price list";

    fn keys() -> Vec<&'static str> {
        vec!["version", "date", "note", "replaces", "vendors", "bases"]
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "version" => self.version = map.next_value::<String>()?.into(),
            "date" => self.date = Some(map.next_value()?),
            "note" => self.note = Some(map.next_value()?),
            "replaces" => self.replaces = map.next_value()?,
            "vendors" => self.vendors = map.next_value::<Named<String>>()?.0,
            _ => self.bases = map.next_value::<Named<Basis>>()?.0,
        }
        Ok(())
    }

    fn fault(&self) -> Option<String> {
        let version = self.version.trim();
        if version.is_empty() || version.len() > VERSION_BYTES_MAX {
            return Some(format!(
                "version: missing or over {VERSION_BYTES_MAX} bytes; write one such as \"2026-11-20\""
            ));
        }
        if self.date.is_none() {
            return Some(
                "date: missing; write when the prices were looked up, such as \"2026-11-20\""
                    .to_owned(),
            );
        }
        let slashed = self.bases.keys().find(|name| name.contains('/'));
        slashed.map(|name| format!("bases: {name}: a basis has no / in its name"))
    }
}

impl Object for Basis {
    const WHAT: &'static str = "a basis: an object with models";

    fn keys() -> Vec<&'static str> {
        vec!["like", "factor", "routes", "regions", "modes", "web_search", "models"]
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "like" => self.like = Some(map.next_value()?),
            "factor" => self.factor = Some(map.next_value()?),
            "routes" => self.routes = Some(map.next_value()?),
            "regions" => self.regions = map.next_value::<Named<String>>()?.0,
            "modes" => self.modes = map.next_value::<Named<Mode>>()?.0,
            "web_search" => self.web_search = Some(map.next_value()?),
            _ => self.models = map.next_value::<Named<Option<Model>>>()?.0,
        }
        Ok(())
    }

    fn fault(&self) -> Option<String> {
        let mut owners: HashMap<String, &str> = HashMap::new();
        for (model, row) in &self.models {
            let names = row.iter().flat_map(|row| row.names.iter().flatten());
            for name in std::iter::once(model).chain(names) {
                if let Some(owner) = owners.insert(name.to_ascii_lowercase(), model) {
                    return Some(format!(
                        "models: {model}: {name} is a name of {owner} already; remove one of the two"
                    ));
                }
            }
        }
        None
    }
}

impl Object for Model {
    const WHAT: &'static str = "a model: an object with prices";

    fn keys() -> Vec<&'static str> {
        let mut keys: Vec<&str> = Kind::ALL.into_iter().map(Kind::key).collect();
        keys.extend(["tiers", "modes", "web_search", "names", "as", "factor"]);
        keys
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "tiers" => self.tiers = map.next_value()?,
            "modes" => self.modes = map.next_value::<Named<Mode>>()?.0,
            "web_search" => self.web_search = Some(map.next_value()?),
            "names" => self.names = Some(map.next_value()?),
            "as" => self.priced_as = Some(map.next_value()?),
            "factor" => self.factor = Some(map.next_value()?),
            kind => take_price(&mut self.rates, kind, map)?,
        }
        Ok(())
    }

    fn fault(&self) -> Option<String> {
        let has_prices = !self.rates.is_empty() || !self.tiers.is_empty();
        match (&self.priced_as, has_prices) {
            (Some(_), true) => {
                Some("as: stands beside prices; write the one or the other".to_owned())
            }
            (None, false) => {
                Some("no price; write input and output, or as: \"basis/model\"".to_owned())
            }
            (None, true) if self.rates.get(Kind::Input).is_none() => {
                Some("input: missing; write \"0\" if it is free".to_owned())
            }
            (None, true) if self.factor.is_some() => {
                Some("factor: only goes with as; multiply the prices instead".to_owned())
            }
            _ if !self.tiers.is_sorted_by(|a, b| a.above < b.above) => {
                Some("tiers: not in ascending order of above; sort them".to_owned())
            }
            _ => None,
        }
    }
}

impl Object for Tier {
    const WHAT: &'static str = "a tier: an object with above and prices";

    fn keys() -> Vec<&'static str> {
        let mut keys = vec!["above"];
        keys.extend(Kind::ALL.into_iter().map(Kind::key));
        keys
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key == "above" {
            self.above = map.next_value()?;
            return Ok(());
        }
        take_price(&mut self.rates, key, map)
    }

    fn fault(&self) -> Option<String> {
        (self.above == 0 || self.rates.is_empty())
            .then(|| "a tier without above or without a price; write both".to_owned())
    }
}

/// Prices of a mode, when they are not a factor.
impl Object for Rates {
    const WHAT: &'static str = "prices by kind";

    fn keys() -> Vec<&'static str> {
        Kind::ALL.into_iter().map(Kind::key).collect()
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        take_price(self, key, map)
    }
}

fn take_price<'de, A: MapAccess<'de>>(
    rates: &mut Rates,
    key: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    let price = map.next_value()?;
    if let Some(kind) = Kind::named(key) {
        rates.set(kind, price);
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Catalog {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        object(reader)
    }
}

impl<'de> Deserialize<'de> for Basis {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        object(reader)
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        object(reader)
    }
}

impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        object(reader)
    }
}

impl<'de> Deserialize<'de> for PerToken {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let what = "a price as text, such as \"1.25\"";
        reader.deserialize_str(TextVisitor { what, parse: Self::parse })
    }
}

impl<'de> Deserialize<'de> for PerCall {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let what = "a price as text, such as \"0.01\"";
        reader.deserialize_str(TextVisitor { what, parse: Self::parse })
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let what = "a factor as text, such as \"0.5\"";
        reader.deserialize_str(TextVisitor { what, parse: Self::parse })
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let parse =
            |text: &str| Self::parse(text).ok_or_else(|| "not a date; write 2026-11-20".to_owned());
        reader.deserialize_str(TextVisitor { what: "a date such as \"2026-11-20\"", parse })
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(ModeVisitor)
    }
}

/// A factor as text, or prices as an object.
struct ModeVisitor;

impl<'de> serde::de::Visitor<'de> for ModeVisitor {
    type Value = Mode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a factor as text, such as \"0.5\", or an object with prices")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mode, E> {
        Factor::parse(text).map(Mode::Factor).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mode, A::Error> {
        let rates: Rates = object(serde::de::value::MapAccessDeserializer::new(map))?;
        if rates.is_empty() {
            return Err(A::Error::custom("no price; write a factor or prices"));
        }
        Ok(Mode::Rates(rates))
    }
}
