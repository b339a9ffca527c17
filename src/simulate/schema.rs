//! A JSON value that fits a JSON schema, for tool arguments and structured output.

use serde_json::{Map, Value, json};

use super::pace::Rng;

/// Limit: deeper schemas (or endless `$ref`s) are filled with null.
const DEPTH_MAX: usize = 12;

/// A value that fits `schema`, roughly: types, required and other properties, enums, references, bounds.
pub(crate) fn fit(schema: &Value, rng: &mut Rng) -> Value {
    Fitter { root: schema, rng }.value(schema, "", 0)
}

/// An object that does not fit `schema`: what a model gets wrong, a missing and an invented argument.
pub(crate) fn misfit(schema: &Value, rng: &mut Rng) -> Value {
    let mut value = fit(schema, rng);
    if let Some(object) = value.as_object_mut() {
        if let Some(name) = object.keys().next().cloned() {
            object.shift_remove(&name);
        }
        object.insert("unexpected_argument".into(), json!([null]));
    }
    value
}

struct Fitter<'s, 'r> {
    root: &'s Value,
    rng: &'r mut Rng,
}

impl<'s> Fitter<'s, '_> {
    fn value(&mut self, schema: &'s Value, name: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(fixed) = fixed(schema) {
            return fixed.clone();
        }
        if let Some(target) = schema["$ref"].as_str().and_then(|path| self.resolve(path)) {
            return self.value(target, name, depth + 1);
        }
        for list in ["anyOf", "oneOf", "any_of"] {
            if let Some(first) = schema[list].as_array().and_then(|list| list.first()) {
                return self.value(first, name, depth + 1);
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            return self.merged(all, name, depth);
        }
        match kind(schema).as_str() {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => json!(number(schema, 3.0).round() as i64),
            "number" => json!(number(schema, 2.5)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => Value::String(self.string(schema, name)),
        }
    }

    fn resolve(&self, path: &str) -> Option<&'s Value> {
        self.root.pointer(path.strip_prefix('#')?)
    }

    fn merged(&mut self, all: &'s [Value], name: &str, depth: usize) -> Value {
        let mut merged = Map::new();
        for part in all {
            match self.value(part, name, depth + 1) {
                Value::Object(object) => merged.extend(object),
                other => return other,
            }
        }
        Value::Object(merged)
    }

    fn object(&mut self, schema: &'s Value, depth: usize) -> Value {
        let mut object = Map::new();
        let required = schema["required"].as_array();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            // A schema that lists what it needs gets no more than that; Gemini and loose ones get everything.
            let wanted = required.is_none_or(|list| list.iter().any(|item| item == name));
            if wanted {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &'s Value, name: &str, depth: usize) -> Value {
        let least = schema["minItems"].as_u64().unwrap_or(1).clamp(1, 16);
        let most = schema["maxItems"].as_u64().unwrap_or(least);
        (0..least.min(most)).map(|_| self.value(&schema["items"], name, depth + 1)).collect()
    }

    /// A plausible and harmless string: tools of real agents may run what they get.
    fn string(&mut self, schema: &Value, name: &str) -> String {
        let text = match schema["format"].as_str().unwrap_or_default() {
            "date-time" => "2026-01-02T03:04:05Z",
            "date" => "2026-01-02",
            "time" => "03:04:05Z",
            "email" => "ada@example.com",
            "uri" | "url" => "https://example.com/",
            "uuid" => "018f2f6e-7b1c-7c3a-9d5e-0123456789ab",
            _ => named(name),
        };
        let text = match text {
            "" => ["amber", "birch", "cedar", "delta"][self.rng.below(4)],
            text => text,
        };
        let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
        let most = schema["maxLength"].as_u64().map_or(usize::MAX, |most| most as usize);
        let padding = least.min(4_096).saturating_sub(text.len());
        text.chars().chain("x".repeat(padding).chars()).take(most).collect()
    }
}

/// A value the schema dictates.
fn fixed(schema: &Value) -> Option<&Value> {
    schema.get("const").or_else(|| schema["enum"].as_array()?.first())
}

/// The schema's type in lower case (Gemini writes `STRING`), the first one that is not null of several.
fn kind(schema: &Value) -> String {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str) {
        Some(kind) => kind.to_ascii_lowercase(),
        None if schema.get("properties").is_some() => "object".to_owned(),
        None if schema.get("items").is_some() => "array".to_owned(),
        None => String::new(),
    }
}

fn number(schema: &Value, otherwise: f64) -> f64 {
    let bound = |inclusive: &str, exclusive: &str, step: f64| {
        let edge = schema[exclusive].as_f64().map(|edge| edge + step);
        schema[inclusive].as_f64().or(edge)
    };
    let low = bound("minimum", "exclusiveMinimum", 1.0).unwrap_or(f64::MIN);
    let high = bound("maximum", "exclusiveMaximum", -1.0).unwrap_or(f64::MAX);
    otherwise.max(low).min(high)
}

/// Values for well-known names of properties.
fn named(name: &str) -> &'static str {
    match name {
        "location" | "city" | "place" => "Paris",
        "country" => "France",
        "path" | "file" | "file_path" | "filename" => "README.md",
        "cmd" | "command" | "script" => "echo simulated",
        "url" => "https://example.com/",
        "query" | "q" | "pattern" => "simulated",
        "unit" => "celsius",
        "name" => "Ada",
        "date" => "2026-01-02",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value, expected: &Value) {
        assert_eq!(fit(schema, &mut Rng::new(1)), *expected, "{schema}");
    }

    #[test]
    fn values_fit_their_schemas() {
        check(
            &json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 5},
                "unit": {"enum": ["f", "c"]}, "extra": {"type": "boolean"}}, "required": ["city", "days", "unit"]}),
            &json!({"city": "Paris", "days": 5, "unit": "f"}),
        );
        check(
            &json!({"$defs": {"P": {"type": "OBJECT", "properties": {"name": {"type": ["null", "STRING"]}}}},
                "type": "array", "minItems": 2, "items": {"$ref": "#/$defs/P"}}),
            &json!([{"name": "Ada"}, {"name": "Ada"}]),
        );
        check(&json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), &Value::Null);
        check(&json!({"allOf": [{"properties": {"name": {"const": 4}}}]}), &json!({"name": 4}));
        check(&json!({"type": "number", "exclusiveMaximum": 1}), &json!(0.0));
        check(&json!({"type": "string", "format": "date"}), &json!("2026-01-02"));
    }

    #[test]
    fn endless_references_end() {
        let schema = json!({"$defs": {"L": {"properties": {"next": {"$ref": "#/$defs/L"}}}}, "$ref": "#/$defs/L"});
        assert!(fit(&schema, &mut Rng::new(1)).is_object());
    }

    #[test]
    fn misfits_do_not_fit() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let value = misfit(&schema, &mut Rng::new(1));
        assert!(value.get("city").is_none() && value.get("unexpected_argument").is_some());
    }
}
