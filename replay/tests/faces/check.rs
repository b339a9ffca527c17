//! Small strict judges: of markup, of JSON against a schema.

use std::collections::BTreeSet;

use serde_json::Value;

const VOID: &[&str] = &["meta", "link"];
const RAW: &[&str] = &["style", "script"];

/// An element's name and its attributes.
pub(crate) type Element = (String, Vec<(String, String)>);

/// Every element of a text that is markup to the last character: all tags closed in order, all attributes quoted, all references
/// known, no identifier twice. `html`: some elements have no end, some hold raw text.
pub(crate) fn markup(text: &str, html: bool) -> Result<Vec<Element>, String> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        references(&rest[..at])?;
        rest = &rest[at..];
        if rest.starts_with("<!DOCTYPE html>") || rest.starts_with("<?xml ") {
            rest = &rest[rest.find('>').ok_or("no end")? + 1..];
            continue;
        }
        let end = rest.find('>').ok_or("a tag without end")?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().ok_or("an end too many")?;
            if last != name {
                return Err(format!("</{name}> closes <{last}>"));
            }
            continue;
        }
        let empty = tag.ends_with('/');
        let (name, attributes) = attributes(tag.trim_end_matches('/'))?;
        for (attribute, value) in &attributes {
            if attribute == "id" && !ids.insert(value.clone()) {
                return Err(format!("the id {value} twice"));
            }
        }
        if html && RAW.contains(&name.as_str()) {
            let close = format!("</{name}>");
            rest = &rest[rest.find(&close).ok_or("raw text without end")? + close.len()..];
        } else if !(empty || html && VOID.contains(&name.as_str())) {
            open.push(name.clone());
        }
        elements.push((name, attributes));
    }
    references(rest)?;
    if open.is_empty() { Ok(elements) } else { Err(format!("never closed: {open:?}")) }
}

fn attributes(tag: &str) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("no name of an element: {name:?}"));
    }
    let mut found = Vec::new();
    while !rest.trim().is_empty() {
        let (attribute, value) =
            rest.trim_start().split_once("=\"").ok_or(format!("not quoted: {rest:?}"))?;
        if !attribute.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c)) {
            return Err(format!("no name of an attribute: {attribute:?}"));
        }
        let (value, after) = value.split_once('"').ok_or("a value without end")?;
        references(value)?;
        found.push((attribute.to_owned(), value.to_owned()));
        rest = after;
    }
    Ok((name.to_owned(), found))
}

fn references(text: &str) -> Result<(), String> {
    if let Some(bad) = text.chars().find(|c| c.is_control() && !"\n\t".contains(*c)) {
        return Err(format!("a control character: {bad:?}"));
    }
    for part in text.split('&').skip(1) {
        if !["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| part.starts_with(known)) {
            return Err(format!(
                "an unknown reference: &{}",
                part.chars().take(12).collect::<String>()
            ));
        }
    }
    if text.contains("]]>") { Err("]]> as it stands".to_owned()) } else { Ok(()) }
}

/// What of a value is not as the schema says. Strict: a member that the schema does not name is a fault, too.
pub(crate) fn against(
    root: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    faults: &mut Vec<String>,
) {
    if let Some(place) = schema["$ref"].as_str() {
        return match root.pointer(place.trim_start_matches('#')) {
            Some(target) => against(root, target, value, at, faults),
            None => faults.push(format!("{at}: no definition {place}")),
        };
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = |one: &Value| {
            let mut found = Vec::new();
            against(root, one, value, at, &mut found);
            found
        };
        let tried: Vec<Vec<String>> = any.iter().map(fits).collect();
        if tried.iter().all(|found| !found.is_empty()) {
            faults.extend(tried.into_iter().flatten());
        }
        return;
    }
    let mut fault = |what: String| faults.push(format!("{at}: {what}: {value}"));
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        fault("another constant".to_owned());
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        fault("not in the enumeration".to_owned());
    }
    if !is_of_type(schema, value) {
        fault(format!("not of type {}", schema["type"]));
    }
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|least| number < least) {
            fault("below the minimum".to_owned());
        }
        if schema["maximum"].as_f64().is_some_and(|most| number > most) {
            fault("above the maximum".to_owned());
        }
    }
    if let Some(items) = value.as_array() {
        let n = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|least| n < least)
            || schema["maxItems"].as_u64().is_some_and(|most| n > most)
        {
            fault("another number of items".to_owned());
        }
        for (place, item) in items.iter().enumerate() {
            against(root, &schema["items"], item, &format!("{at}/{place}"), faults);
        }
    }
    members(root, schema, value, at, faults);
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        _ => false,
    };
    match &schema["type"] {
        Value::Null => true,
        Value::Array(all) => all.iter().any(is),
        one => is(one),
    }
}

fn members(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let Some(object) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            faults.push(format!("{at}: lacks {name}"));
        }
    }
    for (name, member) in object {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(known), _) | (None, Some(known)) => against(root, known, member, &at, faults),
            (None, None) => faults.push(format!("{at}: not in the schema")),
        }
    }
}
