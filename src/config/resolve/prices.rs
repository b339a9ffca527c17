//! The price book: lists laid over each other, and for each provider the list it bills by.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Context;
use crate::base::glob::Glob;
use crate::base::near::nearest;
use crate::config::diagnostic::{Finding, Severity};
use crate::config::file;
use crate::config::prices::{INSTALLED, installed, read};
use crate::config::settings::Prices;
use crate::neutral::kind::Flag;
use crate::price::book::{Billing, Book, Exception};
use crate::price::catalog::Catalog;
use crate::price::decimal::Factor;
use crate::price::lists::Lists;
use crate::upstream::catalog;
use crate::upstream::provider::Provider;

/// A basis that no list has: nothing is priced.
const NONE: &str = "none";

/// What the file says of prices.
pub(super) struct Written {
    pub(super) prices: file::Prices,
    pub(super) auto_basis: bool,
}

pub(super) fn prices(
    written: &Written,
    data_dir: &Path,
    providers: &[Provider],
    context: &mut Context<'_, '_>,
) -> Prices {
    let file = written.prices.file.as_deref().map(|file| context.path(file));
    let lists = lists(file.as_deref(), data_dir, context);
    let mut billings = HashMap::new();
    for provider in providers {
        let billing = billing(provider, written.auto_basis, &lists, context);
        billings.insert(Arc::clone(&provider.id), billing);
    }
    let book = Book::new(lists, billings);
    for provider in providers {
        look_for_lost(provider, &book, context);
    }
    Prices { book: Arc::new(book), file, stale_after: written.prices.stale_after.0 }
}

/// The shipped list, the installed one over it, the configuration's own on top. A fault leaves out the list it is in.
fn lists(own: Option<&Path>, data_dir: &Path, context: &mut Context<'_, '_>) -> Lists {
    let mut parts = vec![Catalog::shipped().clone()];
    if let Some(list) = installed(data_dir)
        && let Err(fault) = lay(&mut parts, list)
    {
        context.findings.push(Finding {
            severity: Severity::Warning,
            place: None,
            key: data_dir.join(INSTALLED).display().to_string(),
            message: format!("not used: {fault}"),
            remedy: "install another with `pinhole prices update FILE`, or remove it".to_owned(),
        });
    }
    if let Some(own) = own {
        let list = read(own);
        if let Err(fault) = lay(&mut parts, list) {
            let remedy =
                "mend it; `pinhole prices diff FILE` tries it, docs/prices.md has the form";
            context.error(&["prices", "file"], &fault, remedy);
        }
    }
    Lists::layered(&parts).unwrap_or_default()
}

fn lay(parts: &mut Vec<Catalog>, list: Result<Catalog, String>) -> Result<(), String> {
    let list = list?;
    Lists::layered(parts.iter().chain([&list])).map_err(|fault| fault.to_string())?;
    parts.push(list);
    Ok(())
}

fn billing(
    provider: &Provider,
    auto_basis: bool,
    lists: &Lists,
    context: &mut Context<'_, '_>,
) -> Billing {
    let bases = match provider.cost_basis.as_deref() {
        Some(NONE) => Vec::new(),
        Some(basis) => {
            if !lists.has(basis) {
                let known: Vec<&str> = lists.bases().chain([NONE]).collect();
                let remedy = match nearest(basis, known.iter().copied()).as_slice() {
                    [] => format!("known: {}", known.join(", ")),
                    near => format!("did you mean {}?", near.join(" or ")),
                };
                let path = ["providers", &*provider.id, "cost_basis"];
                context.error(&path, "no such price list", &remedy);
            }
            vec![Arc::from(basis)]
        }
        None if auto_basis => inferred(provider),
        None => Vec::new(),
    };
    Billing { bases, exceptions: exceptions(provider, context) }
}

/// By its preset, else by the preset that has its address, else by its endpoints.
fn inferred(provider: &Provider) -> Vec<Arc<str>> {
    let host = provider.base_url.host();
    let at_host = || {
        catalog::all().iter().find(|preset| {
            let address = preset.baseurl.as_deref().and_then(|text| text.parse::<http::Uri>().ok());
            let is_local = host.is_some_and(|host| host == "127.0.0.1" || host == "localhost");
            !is_local && host.is_some() && address.is_some_and(|address| address.host() == host)
        })
    };
    let named = provider.preset.as_deref().and_then(catalog::preset).or_else(at_host);
    if let Some(basis) = named.and_then(|preset| preset.cost_basis.as_deref()) {
        return if basis == NONE { Vec::new() } else { vec![Arc::from(basis)] };
    }
    let mut bases: Vec<Arc<str>> = Vec::new();
    for basis in provider.flags.iter().map(basis_of) {
        if !bases.iter().any(|known| **known == *basis) {
            bases.push(Arc::from(basis));
        }
    }
    bases
}

fn basis_of(flag: Flag) -> &'static str {
    match flag {
        Flag::OpenAiChat | Flag::OpenAiResponses => "openai",
        Flag::AnthropicMessages => "anthropic",
        Flag::GeminiGenerateContent => "google",
        Flag::GoogleGenerateContent | Flag::GoogleRawPredict => "vertex",
        Flag::BedrockModelInvoke | Flag::BedrockConverse => "bedrock",
    }
}

fn exceptions(provider: &Provider, context: &mut Context<'_, '_>) -> Vec<Exception> {
    let mut exceptions = Vec::new();
    for (index, row) in provider.model_costs.iter().enumerate() {
        let Some(adjustment) = Factor::of(row.adjustment) else {
            let index = index.to_string();
            let path = ["providers", &*provider.id, "model_cost_map", &index, "adjustment"];
            context.error(&path, "not a factor", "write 0 to 1000, such as 0.9");
            continue;
        };
        exceptions.push(Exception {
            pattern: Glob::new(&row.pattern),
            priced_as: row.priced_as.clone(),
            adjustment,
        });
    }
    exceptions
}

/// Exceptions whose model is on no list would leave what they match without a price.
fn look_for_lost(provider: &Provider, book: &Book, context: &mut Context<'_, '_>) {
    let Some(billing) = book.billing(&provider.id) else { return };
    for (index, row) in provider.model_costs.iter().enumerate() {
        if book.named(billing, &row.priced_as).is_some() {
            continue;
        }
        let rows: Vec<String> = book.lists().rows().map(|found| found.basis).collect();
        let names = rows.iter().filter_map(|row| Some(row.split_once('/')?.1));
        let remedy = match nearest(&row.priced_as, names).as_slice() {
            [] => "`pinhole prices show` lists what has one".to_owned(),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        let index = index.to_string();
        let path = ["providers", &*provider.id, "model_cost_map", &index, "as"];
        context.warning(
            &path,
            "no such model on the price lists: what matches has no price",
            &remedy,
        );
    }
}
