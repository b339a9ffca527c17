//! How the standard variables' values are read, and the warnings about those that do nothing here.

use crate::config::resolve::Context;
use crate::telemetry::variables::REFUSED;

/// Warns of each variable that is set and does nothing.
pub(super) fn refuse(context: &mut Context<'_, '_>) {
    let refused = |name: &str| {
        REFUSED.iter().find(|(pattern, _)| {
            if pattern.ends_with('_') { name.starts_with(pattern) } else { name == *pattern }
        })
    };
    let set: Vec<(String, &str)> = context
        .environment()
        .starting_with("OTEL_")
        .filter_map(|name| refused(name).map(|(_, remedy)| (name.to_owned(), *remedy)))
        .collect();
    for (name, remedy) in set {
        context.variable_warning(&name, "does nothing here", remedy);
    }
    if let Some(chosen) = text("OTEL_LOGS_EXPORTER", context)
        && items(&chosen).any(|item| item != "none")
    {
        let remedy = "write none; log lines go to standard error (log.format = \"json\"), collect them there";
        context.variable_warning("OTEL_LOGS_EXPORTER", "logs are not exported", remedy);
    }
}

pub(super) fn text(name: &str, context: &Context<'_, '_>) -> Option<String> {
    context.environment().get(name).map(str::to_owned)
}

/// The items of a list with commas.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// `true` in any case, and nothing else, is true: so the standard has it.
pub(super) fn flag(name: &str, context: &Context<'_, '_>) -> Option<bool> {
    text(name, context).map(|value| value.eq_ignore_ascii_case("true"))
}

/// A whole number of at least `least`.
pub(super) fn number(name: &str, least: usize, context: &mut Context<'_, '_>) -> Option<usize> {
    let parsed = text(name, context)?.parse::<usize>().ok().filter(|number| *number >= least);
    if parsed.is_none() {
        let remedy = format!("write a whole number from {least} on, or unset it");
        context.variable_warning(name, "not such a number; the default is used", &remedy);
    }
    parsed
}

/// One of a set of words.
pub(super) fn word<T: Copy>(
    name: &str,
    choices: &[(&str, T)],
    context: &mut Context<'_, '_>,
) -> Option<T> {
    let written = text(name, context)?;
    let found = choices.iter().find(|(word, _)| written.eq_ignore_ascii_case(word));
    if found.is_none() {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let remedy = format!("write one of {}", words.join(", "));
        context.variable_warning(name, "not a word that is known here", &remedy);
    }
    found.map(|(_, choice)| *choice)
}

/// `name=value,…`, percent-encoded; what is no pair is left out.
pub(super) fn pairs(list: &str) -> impl Iterator<Item = (String, String)> + '_ {
    items(list).filter_map(|item| {
        let (name, value) = item.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then(|| (decoded(name), decoded(value.trim())))
    })
}

/// Percent-decoded; what does not decode to text stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let coded = pair.filter(|_| *byte == b'%').and_then(|p| u8::from_str_radix(p, 16).ok());
        out.push(coded.unwrap_or(*byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_what_is_none_is_left_out() {
        let found: Vec<_> = pairs("a=b, authorization=Bearer%20x%3Dy ,, c, =d, e=%zz%").collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [pair("a", "b"), pair("authorization", "Bearer x=y"), pair("e", "%zz%")]);
    }
}
