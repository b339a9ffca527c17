//! `pinhole prices show`: rows as a table, or as NDJSON.

use std::fmt::Write as _;

use super::refused;
use crate::base::near::nearest;
use crate::cli::Exit;
use crate::cli::terminal::{say, tell};
use crate::price::decimal::PerToken;
use crate::price::lists::{Found, Lists};
use crate::price::rates::Kind;
use crate::price::view;

pub(super) fn show(
    lists: &Lists,
    models: &[String],
    basis: Option<&str>,
    as_json: bool,
) -> Result<Exit, Exit> {
    if let Some(basis) = basis.filter(|basis| !lists.has(basis)) {
        let near = nearest(basis, lists.bases()).join(" or ");
        let meant = if near.is_empty() { String::new() } else { format!("; did you mean {near}?") };
        return Err(refused(&format!("no price list {basis}{meant}")));
    }
    let mut exit = Exit::Done;
    let mut rows: Vec<Found> = match (models, basis) {
        ([], None) => lists.rows().collect(),
        ([], Some(basis)) => lists.sold_by(basis),
        _ => Vec::new(),
    };
    for model in models {
        let found = match basis {
            Some(basis) => lists.find(basis, model).into_iter().collect(),
            None => lists.everywhere(model),
        };
        if found.is_empty() {
            tell(&format!("no price for {model}: it is on no list"));
            exit = Exit::Failed;
        }
        rows.extend(found);
    }
    if as_json {
        for found in &rows {
            say(&view::row(found).to_string());
        }
    } else {
        table(&rows);
    }
    Ok(exit)
}

/// US dollars for a million tokens, aligned.
fn table(rows: &[Found]) {
    const SHOWN: [Kind; 5] =
        [Kind::Input, Kind::Output, Kind::CacheRead, Kind::CacheWrite, Kind::CacheWrite1h];
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|found| found.basis.chars().count()).max().unwrap_or(0).max(5);
    let mut head = format!("{:<width$}", "model");
    for kind in SHOWN {
        // Writing to a string cannot fail.
        let _ = write!(head, " {:>14}", kind.key());
    }
    say(&format!("{head}  more"));
    for found in rows {
        let mut line = format!("{:<width$}", found.basis);
        for kind in SHOWN {
            let price = found.prices.rates.get(kind).map(PerToken::per_million);
            let _ = write!(line, " {:>14}", price.as_deref().unwrap_or("-"));
        }
        let tiers = found.prices.tiers.iter().map(|tier| format!("tier above {}", tier.above));
        let modes = found.prices.modes.keys().cloned();
        let more: Vec<String> = tiers.chain(modes).collect();
        say(format!("{line}  {}", more.join(", ")).trim_end());
    }
}
