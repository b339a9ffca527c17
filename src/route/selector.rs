//! Selectors: `model`, `provider/model`, `provider:model`, each perhaps with `?temperature=0.7`.

/// A selector taken apart: the name without its parameters, and the parameters as they stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector<'a> {
    pub name: &'a str,
    pub params: Option<&'a str>,
}

impl<'a> Selector<'a> {
    /// Splits `text` at the first `?` that begins parameters (`name=value`); any other `?` is part of the name.
    pub fn parse(text: &'a str) -> Self {
        match text.split_once('?') {
            Some((name, params)) if params.contains('=') => Self { name, params: Some(params) },
            _ => Self { name: text, params: None },
        }
    }

    /// The ways to read the name as a provider and a model, most specific first. Whether the first part is a provider
    /// is for the table to say: `llama3:8b` and `vendor/model:free` are plain names unless one of that name exists.
    pub fn prefixes(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let name = self.name;
        [name.find('/'), name.find(':')]
            .into_iter()
            .flatten()
            .filter_map(move |at| Some((name.get(..at)?, name.get(at + 1..)?)))
            .filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
    }
}

/// Parameters that a selector may set, checked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Params {
    pub temperature: Option<f64>,
}

/// What is wrong with a selector's parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParam {
    #[error("unknown parameter {0} in the model selector; this version takes temperature")]
    Unknown(String),
    #[error("temperature {0} in the model selector is not a number between 0 and 2")]
    Temperature(String),
}

impl Params {
    /// Reads `temperature=0.7&…`. Repeated: the last one counts. Empty values are errors, never ignored.
    pub fn parse(text: &str) -> Result<Self, BadParam> {
        let mut params = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name != "temperature" {
                return Err(BadParam::Unknown(name.to_owned()));
            }
            let number: f64 = value.parse().map_err(|_| BadParam::Temperature(value.to_owned()))?;
            if !(0.0..=2.0).contains(&number) {
                return Err(BadParam::Temperature(value.to_owned()));
            }
            params.temperature = Some(number);
        }
        Ok(params)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_colons_and_slashes() {
        assert_eq!(Selector::parse("llama3:8b").params, None);
        let selector = Selector::parse("openai:gpt-4o?temperature=0.7");
        assert_eq!(selector.name, "openai:gpt-4o");
        assert_eq!(selector.params, Some("temperature=0.7"));
        assert_eq!(Selector::parse("what?").name, "what?");
    }

    #[test]
    fn both_readings_of_a_name_are_offered() {
        let readings: Vec<_> = Selector::parse("openrouter/meta/llama:free").prefixes().collect();
        assert_eq!(
            readings,
            [("openrouter", "meta/llama:free"), ("openrouter/meta/llama", "free")]
        );
    }

    #[test]
    fn parameters_are_checked() {
        assert_eq!(Params::parse("temperature=0.7").unwrap().temperature, Some(0.7));
        assert_eq!(Params::parse("temperature=0.1&temperature=1").unwrap().temperature, Some(1.0));
        for bad in ["temperature=hot", "temperature=3", "temperature=NaN", "temperature="] {
            assert!(matches!(Params::parse(bad), Err(BadParam::Temperature(_))), "{bad}");
        }
        assert_eq!(Params::parse("top_k=3"), Err(BadParam::Unknown("top_k".to_owned())));
    }
}
