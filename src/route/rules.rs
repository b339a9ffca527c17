//! The operator's routing rules, as `config` and the command line fill them.

/// Rules that stand above the providers' own model lists.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// `default_backend`: where unknown models and bodies without a model go.
    pub default_backend: Option<Target>,
    /// `force_model`: every request is for this selector, whatever the client asked.
    pub force_model: Option<String>,
    /// `static_route`: every request goes to this `provider:model` selector.
    pub static_route: Option<String>,
    /// `model_aliases`: first match wins.
    pub aliases: Vec<Alias>,
    /// Well-known names that no provider block lists (`anthropic/claude-sonnet-4.6`), on the providers that are configured.
    pub shipped: Vec<Shipped>,
}

/// One well-known model name and where it is to be had, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    pub name: String,
    /// Configured providers only, each with the name it knows the model by; never empty.
    pub targets: Vec<Target>,
}

/// A provider and perhaps a model on it: `openai`, `openai:gpt-4o`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub provider: String,
    pub model: Option<String>,
}

/// One rewrite: names matching `pattern` become `replacement` (`\1` and `$1` are its groups).
#[derive(Debug, Clone)]
pub struct Alias {
    pub pattern: regex::Regex,
    /// Already in the regex crate's `${1}` form.
    pub replacement: String,
}
