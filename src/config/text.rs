//! Text of the file that may be a credential: read, never shown.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::base::secret::Secret;

/// A string of the file that is a credential once `expand` has run.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// The credential; `None` when nothing but white space is left of it.
    pub fn secret(&self) -> Option<Secret> {
        let text = self.0.trim();
        (!text.is_empty()).then(|| Secret::new(text))
    }

    /// `Name: value` as a header, its value marked sensitive: it may be a credential too.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = self.0.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    /// See [`is_placeholder`].
    pub fn is_placeholder(&self) -> bool {
        is_placeholder(&self.0)
    }
}

/// Looks like the placeholder of a document (`<your-openai-key>`, `YOUR_API_KEY`, `sk-...`), not like a key.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    (text.starts_with('<') && text.ends_with('>'))
        || text.ends_with("...")
        || text.ends_with('…')
        || ["your-", "your_", "changeme", "change-me", "xxxx"].iter().any(|s| text.contains(s))
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "secret"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_keys() {
        let text = |text: &str| SecretText(text.to_owned());
        for placeholder in
            ["<your-openai-key>", "sg-YOUR-KEY-HERE", "sk-...", "xxxx", "YOUR_API_KEY"]
        {
            assert!(text(placeholder).is_placeholder(), "{placeholder}");
        }
        for key in ["sk-proj-a8F3", "gsk_7hQ", "local"] {
            assert!(!text(key).is_placeholder(), "{key}");
        }
        assert!(text("  ").secret().is_none());
        assert_eq!(format!("{:?}", text("planted-secret")), "SecretText(…)");
    }
}
