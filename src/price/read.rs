//! Reading JSON objects so that a fault says where it is and what was meant: the way of keys to it, a near name for an
//! unknown key, a key given twice.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::base::near::nearest;

/// A JSON object with a closed set of keys.
pub(super) trait Object: Default {
    /// What it is, for messages: `a model's prices`.
    const WHAT: &'static str;
    fn keys() -> Vec<&'static str>;
    /// Takes the value of `key`, one of [`Object::keys`].
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
    /// What is wrong with it as a whole.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// Reads an [`Object`].
pub(super) fn object<'de, D: Deserializer<'de>, T: Object>(reader: D) -> Result<T, D::Error> {
    reader.deserialize_map(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut value = T::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if !T::keys().contains(&key.as_str()) {
                return Err(A::Error::custom(unknown(&key, &T::keys())));
            }
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("{key}: given twice; remove one of the two")));
            }
            value.take(&key, &mut map).map_err(|fault| under(&key, &fault))?;
            seen.push(key);
        }
        match value.fault() {
            Some(fault) => Err(A::Error::custom(fault)),
            None => Ok(value),
        }
    }
}

fn unknown(key: &str, keys: &[&'static str]) -> String {
    let shown: String = key.chars().take(60).collect();
    match nearest(key, keys.iter().copied()).first() {
        Some(near) => format!("{shown}: unknown key; did you mean {near}?"),
        None => format!("{shown}: unknown key; known are {}", keys.join(", ")),
    }
}

/// The fault of what stands under `key`. The place at its end is kept by serde_json.
pub(super) fn under<E: serde::de::Error>(key: &str, fault: &E) -> E {
    let shown: String = key.chars().take(120).collect();
    E::custom(format!("{shown}: {fault}"))
}

/// A JSON object with free keys, none of them twice.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named<T>(pub IndexMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(NamedVisitor(PhantomData)).map(Self)
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = IndexMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut named = IndexMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if key.trim().is_empty() {
                return Err(A::Error::custom("an empty name; write one, or remove it"));
            }
            if named.contains_key(&key) {
                let fault = A::Error::custom("given twice; remove one of the two");
                return Err(under(&key, &fault));
            }
            let value = map.next_value().map_err(|fault| under(&key, &fault))?;
            named.insert(key, value);
        }
        Ok(named)
    }
}

/// Text that `parse` takes; its fault is told as it is.
pub(super) struct TextVisitor<T> {
    pub what: &'static str,
    pub parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}
