//! The routing table: from a model name to a provider and the name it is sent under.
//!
//! The order is the contract's: forced, static, aliases, exact model id, provider prefix, shipped alias, open provider
//! (one whose models are not known), default provider; else a refusal that names what is near.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use crate::base::glob::Glob;
use crate::base::near::nearest;
use crate::neutral::kind::{Flag, Flags};
use crate::route::rules::Rules;
use crate::route::selector::{BadParam, Params, Selector};

/// What metrics call a model that nobody configured.
pub static OTHER: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("other"));

/// What the table knows of one provider.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: Arc<str>,
    pub preset: Option<Arc<str>>,
    pub flags: Flags,
    pub preference: i64,
    pub disabled: bool,
    /// Model ids and globs it serves, each with the names clients may use for it.
    pub models: Vec<Served>,
    /// Its models are not known: neither configured nor discovered. It takes what nobody else serves.
    pub open: bool,
}

/// One model id (or glob) of a provider and its other names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    pub id: Arc<str>,
    pub aliases: Vec<String>,
}

/// What a call asks of the table.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub model: Option<&'a str>,
    /// The endpoint's compatibility flag; `None` where endpoints are not gated.
    pub flag: Option<Flag>,
    /// For calls without a model and flag: the family of endpoint the client's headers point to.
    pub leaning: Option<Flag>,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Index into the table's providers.
    pub provider: usize,
    /// The name to send; `None` when the call names no model and none is to be set.
    pub model: Option<Arc<str>>,
    pub params: Params,
    pub because: Because,
}

/// Which rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    ExactModel,
    ModelGlob,
    ProviderPrefix,
    ShippedAlias,
    OpenProvider,
    DefaultBackend,
    FirstWithEndpoint,
    /// `/providers/{name}/…` names it.
    ProviderPath,
    /// The path holds an id that this provider handed out.
    KnownId,
}

impl Because {
    pub fn label(self) -> &'static str {
        match self {
            Self::ExactModel => "exact model id",
            Self::ModelGlob => "model pattern",
            Self::ProviderPrefix => "provider prefix",
            Self::ShippedAlias => "shipped alias",
            Self::OpenProvider => "provider whose models are not known",
            Self::DefaultBackend => "default_backend",
            Self::FirstWithEndpoint => "first provider with the endpoint",
            Self::ProviderPath => "named in the path",
            Self::KnownId => "it handed out the id",
        }
    }
}

/// Why a call goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NoProvider,
    UnknownModel { asked: String, near: Vec<String> },
    FlagMissing { provider: Arc<str>, model: String, flag: Flag },
    NoModel,
    BadParam(BadParam),
}

/// Ready to decide: providers with their models indexed.
#[derive(Debug, Clone, Default)]
pub struct Table {
    entries: Vec<Entry>,
    /// Name a client may use → providers that serve it, best first, with the name they know it by.
    exact: HashMap<String, Vec<(usize, Arc<str>)>>,
    /// Patterns, best provider first.
    globs: Vec<(usize, Glob)>,
    shipped: HashMap<String, Vec<(usize, Arc<str>)>>,
    /// By provider: its model ids, for labels.
    ids: Vec<HashSet<Arc<str>>>,
    /// Providers in order of preference, then of the file; disabled ones left out.
    order: Vec<usize>,
    rules: Rules,
}

/// The steps of a decision, for `pinhole route`. The hot path passes `None`.
type Trail<'a> = Option<&'a mut Vec<String>>;

fn note(trail: &mut Trail<'_>, step: impl FnOnce() -> String) {
    if let Some(steps) = trail {
        steps.push(step());
    }
}

impl Table {
    pub fn new(entries: Vec<Entry>, rules: Rules) -> Self {
        let mut order: Vec<usize> =
            (0..entries.len()).filter(|at| !entries[*at].disabled).collect();
        order.sort_by_key(|at| std::cmp::Reverse(entries[*at].preference));
        let mut table = Self { order, rules, ..Self::default() };
        for at in table.order.clone() {
            for served in &entries[at].models {
                let pattern = Glob::new(&served.id);
                if !pattern.is_literal() {
                    table.globs.push((at, pattern));
                    continue;
                }
                let names = served.aliases.iter().map(String::as_str).chain([&*served.id]);
                for name in names {
                    let row = table.exact.entry(name.to_owned()).or_default();
                    row.push((at, Arc::clone(&served.id)));
                }
            }
        }
        let ids =
            |entry: &Entry| entry.models.iter().map(|served| Arc::clone(&served.id)).collect();
        table.ids = entries.iter().map(ids).collect();
        table.entries = entries;
        for shipped in table.rules.shipped.clone() {
            let row = shipped
                .targets
                .iter()
                .filter_map(|target| {
                    let at = table.position(&target.provider)?;
                    Some((at, Arc::from(target.model.as_deref().unwrap_or(&shipped.name))))
                })
                .collect::<Vec<_>>();
            if !row.is_empty() {
                table.shipped.insert(shipped.name, row);
            }
        }
        table
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every name a client may ask for, with the provider that would serve it first.
    pub fn names(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        self.exact
            .iter()
            .chain(&self.shipped)
            .filter_map(|(name, row)| row.first().map(|(at, id)| (name.as_str(), *at, &**id)))
    }

    /// Shipped aliases that resolve with the providers at hand: name, provider, model.
    pub fn shipped(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        self.shipped
            .iter()
            .filter_map(|(name, row)| row.first().map(|(at, id)| (name.as_str(), *at, &**id)))
    }

    pub fn decide(&self, ask: Ask<'_>) -> Result<Choice, Refusal> {
        self.decide_with(ask, &mut None)
    }

    /// As [`Self::decide`], telling each step.
    pub fn explain(&self, ask: Ask<'_>) -> (Vec<String>, Result<Choice, Refusal>) {
        let mut steps = Vec::new();
        let result = self.decide_with(ask, &mut Some(&mut steps));
        (steps, result)
    }

    /// What metrics call `model` at this provider: its id, the pattern that admits it, or `other`. Never a client's word.
    pub fn label(&self, provider: usize, model: Option<&str>) -> Arc<str> {
        let known = model.and_then(|model| {
            let id = self.ids.get(provider)?.get(model).cloned();
            id.or_else(|| {
                let mut globs = self.globs.iter().filter(|(at, _)| *at == provider);
                let (_, glob) = globs.find(|(_, glob)| glob.matches(model))?;
                Some(Arc::from(glob.as_str()))
            })
        });
        known.unwrap_or_else(|| Arc::clone(&OTHER))
    }

    fn decide_with(&self, ask: Ask<'_>, trail: &mut Trail<'_>) -> Result<Choice, Refusal> {
        if self.order.is_empty() {
            return Err(Refusal::NoProvider);
        }
        let forced = self.rules.static_route.as_deref().or(self.rules.force_model.as_deref());
        if let Some(selector) = forced {
            note(trail, || format!("forced: every request is for {selector}"));
        }
        let Some(asked) = forced.or(ask.model) else {
            return self.without_model(ask, trail);
        };
        let selector = Selector::parse(asked);
        let params = match selector.params {
            Some(text) => Params::parse(text).map_err(Refusal::BadParam)?,
            None => Params::default(),
        };
        let aliased = self.apply_alias(selector.name, trail);
        let (name, params) = match &aliased {
            None => (selector.name, params),
            Some(text) => {
                let rewritten = Selector::parse(text);
                let own = rewritten.params.map(Params::parse).transpose();
                let own = own.map_err(Refusal::BadParam)?.unwrap_or_default();
                let temperature = params.temperature.or(own.temperature);
                (rewritten.name, Params { temperature })
            }
        };
        let choice = self.by_name(name, ask.flag, trail)?;
        Ok(Choice { params, ..choice })
    }

    fn apply_alias(&self, name: &str, trail: &mut Trail<'_>) -> Option<String> {
        let alias = self.rules.aliases.iter().find(|alias| alias.pattern.is_match(name))?;
        let rewritten = alias.pattern.replace(name, alias.replacement.as_str()).into_owned();
        note(trail, || format!("alias {}: {name} becomes {rewritten}", alias.pattern.as_str()));
        Some(rewritten)
    }

    fn by_name(
        &self,
        name: &str,
        flag: Option<Flag>,
        trail: &mut Trail<'_>,
    ) -> Result<Choice, Refusal> {
        if let Some(row) = self.exact.get(name) {
            return self.first_with_flag(row, flag, Because::ExactModel, trail);
        }
        let matching: Vec<_> = self
            .globs
            .iter()
            .filter(|(_, glob)| glob.matches(name))
            .map(|(at, _)| (*at, Arc::from(name)))
            .collect();
        if !matching.is_empty() {
            return self.first_with_flag(&matching, flag, Because::ModelGlob, trail);
        }
        let selector = Selector { name, params: None };
        for (prefix, model) in selector.prefixes() {
            if let Some(at) = self.position(prefix) {
                let known = self.entries[at]
                    .models
                    .iter()
                    .find(|served| served.aliases.iter().any(|alias| alias == model));
                let model = known.map_or_else(|| Arc::from(model), |served| Arc::clone(&served.id));
                // A catalogue name such as `openai/gpt-5` may be called otherwise by the provider itself.
                let model = self.shipped_name(name, at).unwrap_or(model);
                let row = [(at, model)];
                return self.first_with_flag(&row, flag, Because::ProviderPrefix, trail);
            }
        }
        if let Some(row) = self.shipped.get(name) {
            return self.first_with_flag(row, flag, Because::ShippedAlias, trail);
        }
        self.unlisted(name, flag, trail)
    }

    /// A name nobody lists: a provider whose models are not known takes it, else the default provider.
    fn unlisted(
        &self,
        name: &str,
        flag: Option<Flag>,
        trail: &mut Trail<'_>,
    ) -> Result<Choice, Refusal> {
        note(trail, || format!("{name}: no provider lists this model"));
        if let Some(default) = &self.rules.default_backend
            && let Some(at) = self.position(&default.provider)
        {
            let row = [(at, Arc::from(name))];
            return self.first_with_flag(&row, flag, Because::DefaultBackend, trail);
        }
        let open = self.order.iter().copied().find(|at| {
            let entry = &self.entries[*at];
            entry.open && flag.is_none_or(|flag| entry.flags.has(flag))
        });
        if let Some(at) = open {
            let row = [(at, Arc::from(name))];
            return self.first_with_flag(&row, flag, Because::OpenProvider, trail);
        }
        let known = self.names().map(|(name, _, _)| name);
        let near = nearest(name, known).into_iter().map(str::to_owned).collect();
        Err(Refusal::UnknownModel { asked: name.to_owned(), near })
    }

    fn shipped_name(&self, name: &str, provider: usize) -> Option<Arc<str>> {
        let row = self.shipped.get(name)?;
        row.iter().find(|(at, _)| *at == provider).map(|(_, model)| Arc::clone(model))
    }

    fn first_with_flag(
        &self,
        row: &[(usize, Arc<str>)],
        flag: Option<Flag>,
        because: Because,
        trail: &mut Trail<'_>,
    ) -> Result<Choice, Refusal> {
        for (at, model) in row {
            let entry = &self.entries[*at];
            if flag.is_some_and(|flag| !entry.flags.has(flag)) {
                note(trail, || {
                    let mut text = format!("{}: passed over", entry.id);
                    if let Some(flag) = flag {
                        let _ = write!(text, ", compatibility.{} is off", flag.key());
                    }
                    text
                });
                continue;
            }
            note(trail, || format!("{}: chosen by {}, sent as {model}", entry.id, because.label()));
            return Ok(Choice {
                provider: *at,
                model: Some(Arc::clone(model)),
                params: Params::default(),
                because,
            });
        }
        match (row.first(), flag) {
            (Some((at, model)), Some(flag)) => Err(Refusal::FlagMissing {
                provider: Arc::clone(&self.entries[*at].id),
                model: model.to_string(),
                flag,
            }),
            _ => Err(Refusal::NoModel),
        }
    }

    /// A call without a model: the default provider, else the first that has the endpoint.
    fn without_model(&self, ask: Ask<'_>, trail: &mut Trail<'_>) -> Result<Choice, Refusal> {
        let wanted = ask.flag.or(ask.leaning);
        let has = |at: usize| wanted.is_none_or(|flag| self.entries[at].flags.has(flag));
        let choice = |provider, model, because| Choice {
            provider,
            model,
            params: Params::default(),
            because,
        };
        if let Some(default) = &self.rules.default_backend
            && let Some(at) = self.position(&default.provider).filter(|at| has(*at))
        {
            note(trail, || format!("no model: {} by default_backend", default.provider));
            let model = default.model.as_deref().filter(|_| ask.flag.is_some()).map(Arc::from);
            return Ok(choice(at, model, Because::DefaultBackend));
        }
        let first = self.order.iter().copied().find(|at| has(*at));
        // An opaque path goes somewhere even when no provider offers the family its headers point to.
        let first = first.or_else(|| self.order.first().copied().filter(|_| ask.flag.is_none()));
        let Some(at) = first else {
            return Err(Refusal::NoModel);
        };
        note(trail, || format!("no model: {} is the first with the endpoint", self.entries[at].id));
        Ok(choice(at, None, Because::FirstWithEndpoint))
    }

    /// The enabled provider of this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.entries.iter().position(|entry| &*entry.id == id && !entry.disabled)
    }
}

#[cfg(test)]
mod tests;
