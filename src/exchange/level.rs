//! How much of an exchange is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of an exchange is kept.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Deserialize,
    Serialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is stored.
    Off,
    /// Facts and numbers, no headers, no bodies.
    #[default]
    Meta,
    /// Also request and response headers.
    Headers,
    /// Also the bodies.
    Full,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Off, Self::Meta, Self::Headers, Self::Full];

    /// The word in configuration, flags and the `x-pinhole-capture` header.
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Meta => "meta",
            Self::Headers => "headers",
            Self::Full => "full",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| word.eq_ignore_ascii_case(level.label()))
    }

    /// The number in the store.
    pub fn number(self) -> u8 {
        self as u8
    }
}
