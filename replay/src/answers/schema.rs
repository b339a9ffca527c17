//! Whether a value keeps to a JSON Schema: the keywords that requests to models use, of drafts 4 to 2020-12 and of OpenAPI.
//!
//! `pattern`, `patternProperties`, `format`, `contains`, `unevaluated*` and references to elsewhere are not looked at: a
//! crate that knows them all brings fifty others. What is not looked at never makes a value invalid.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::json::canonical;

/// Limit: schemas within schemas, references followed.
const DEPTH_MAX: u32 = 64;
/// Limit: schemas applied to one value; alternatives within alternatives multiply.
const STEPS_MAX: u32 = 100_000;

/// What looking at a value gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Yes,
    No,
    /// The schema is too deep or too large to say.
    Unknown,
}

/// Whether `value` keeps to `schema`.
pub fn keeps(schema: &Value, value: &Value) -> Keeps {
    let mut look = Look { root: schema, steps: 0 };
    match look.at(schema, value, 0) {
        Some(true) => Keeps::Yes,
        Some(false) => Keeps::No,
        None => Keeps::Unknown,
    }
}

struct Look<'a> {
    root: &'a Value,
    steps: u32,
}

/// `None`: a limit was reached.
type Found = Option<bool>;

impl<'a> Look<'a> {
    fn at(&mut self, schema: &'a Value, value: &Value, depth: u32) -> Found {
        self.steps += 1;
        if depth > DEPTH_MAX || self.steps > STEPS_MAX {
            return None;
        }
        let schema = match schema {
            Value::Bool(verdict) => return Some(*verdict),
            Value::Object(schema) => schema,
            _ => return Some(true),
        };
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return Some(true);
        }
        if !fits_itself(schema, value) {
            return Some(false);
        }
        let below = depth + 1;
        Some(
            self.refers(schema, value, below)?
                && self.combines(schema, value, below)?
                && match value {
                    Value::Object(members) => self.members(schema, members, below)?,
                    Value::Array(items) => self.items(schema, items, below)?,
                    _ => true,
                },
        )
    }

    fn refers(&mut self, schema: &'a Map<String, Value>, value: &Value, depth: u32) -> Found {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(true) };
        let target = match reference.strip_prefix('#') {
            Some("") => Some(self.root),
            Some(pointer) => self.root.pointer(pointer),
            None => None,
        };
        target.map_or(Some(true), |target| self.at(target, value, depth))
    }

    fn combines(&mut self, schema: &'a Map<String, Value>, value: &Value, depth: u32) -> Found {
        let list = |name: &str| schema.get(name).and_then(Value::as_array);
        if let Some(all) = list("allOf")
            && self.count(all, value, depth)? < all.len()
        {
            return Some(false);
        }
        if let Some(any) = list("anyOf")
            && self.count(any, value, depth)? == 0
        {
            return Some(false);
        }
        if let Some(one) = list("oneOf")
            && self.count(one, value, depth)? != 1
        {
            return Some(false);
        }
        if let Some(not) = schema.get("not")
            && self.at(not, value, depth)?
        {
            return Some(false);
        }
        let Some(condition) = schema.get("if") else { return Some(true) };
        let branch = if self.at(condition, value, depth)? { "then" } else { "else" };
        schema.get(branch).map_or(Some(true), |branch| self.at(branch, value, depth))
    }

    fn count(&mut self, schemas: &'a [Value], value: &Value, depth: u32) -> Option<usize> {
        schemas
            .iter()
            .try_fold(0, |count, schema| Some(count + usize::from(self.at(schema, value, depth)?)))
    }

    fn members(
        &mut self,
        schema: &'a Map<String, Value>,
        members: &Map<String, Value>,
        depth: u32,
    ) -> Found {
        let known = schema.get("properties").and_then(Value::as_object);
        // Names that a pattern may allow are not looked at.
        let others = schema
            .get("additionalProperties")
            .filter(|_| !schema.contains_key("patternProperties"));
        let names = schema.get("propertyNames");
        for (name, value) in members {
            let of_name = known.and_then(|known| known.get(name)).or(others);
            if let Some(of_name) = of_name
                && !self.at(of_name, value, depth)?
            {
                return Some(false);
            }
            if let Some(names) = names
                && !self.at(names, &Value::String(name.clone()), depth)?
            {
                return Some(false);
            }
        }
        Some(true)
    }

    fn items(&mut self, schema: &'a Map<String, Value>, items: &[Value], depth: u32) -> Found {
        // A list of schemas is for the first items: `prefixItems` now, `items` in older drafts.
        let (first, others) = match (schema.get("prefixItems"), schema.get("items")) {
            (Some(Value::Array(first)), others) => (first.as_slice(), others),
            (_, Some(Value::Array(first))) => (first.as_slice(), schema.get("additionalItems")),
            (_, others) => (&[][..], others),
        };
        for (place, item) in items.iter().enumerate() {
            if let Some(of_item) = first.get(place).or(others)
                && !self.at(of_item, item, depth)?
            {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// The keywords that need no other schema.
fn fits_itself(schema: &Map<String, Value>, value: &Value) -> bool {
    let has_type = match schema.get("type") {
        Some(Value::String(name)) => is_of(name, value),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).any(|n| is_of(n, value))
        }
        _ => true,
    };
    let in_enum = schema
        .get("enum")
        .and_then(Value::as_array)
        .is_none_or(|values| values.iter().any(|one| is_same(one, value)));
    let is_const = schema.get("const").is_none_or(|one| is_same(one, value));
    has_type
        && in_enum
        && is_const
        && match value {
            Value::Object(members) => fits_members(schema, members),
            Value::Array(items) => fits_items(schema, items),
            Value::String(text) => {
                // Letters as the standard counts them, which are not bytes.
                is_within(schema, "minLength", "maxLength", text.chars().count())
            }
            Value::Number(number) => fits_number(schema, number.as_f64().unwrap_or(f64::NAN)),
            Value::Null | Value::Bool(_) => true,
        }
}

/// Gemini writes types in capitals.
fn is_of(name: &str, value: &Value) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    a == b || canonical(a, &[]) == canonical(b, &[])
}

fn is_within(schema: &Map<String, Value>, least: &str, most: &str, count: usize) -> bool {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let count = count as f64;
    bound(least).is_none_or(|least| count >= least) && bound(most).is_none_or(|most| count <= most)
}

fn fits_members(schema: &Map<String, Value>, members: &Map<String, Value>) -> bool {
    let all_there = |names: &Value| {
        let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(Value::as_str).all(|name| members.contains_key(name))
    };
    let needed_along = schema.get("dependentRequired").and_then(Value::as_object);
    schema.get("required").is_none_or(all_there)
        && needed_along.is_none_or(|needed| {
            needed.iter().all(|(name, names)| !members.contains_key(name) || all_there(names))
        })
        && is_within(schema, "minProperties", "maxProperties", members.len())
}

fn fits_items(schema: &Map<String, Value>, items: &[Value]) -> bool {
    let is_unique = schema.get("uniqueItems") != Some(&Value::Bool(true)) || {
        let distinct: BTreeSet<String> = items.iter().map(|item| canonical(item, &[])).collect();
        distinct.len() == items.len()
    };
    is_unique && is_within(schema, "minItems", "maxItems", items.len())
}

fn fits_number(schema: &Map<String, Value>, number: f64) -> bool {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    // In draft 4 a flag beside the bound, later a bound of its own.
    let is_open = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let low = bound("minimum")
        .is_none_or(|low| if is_open("exclusiveMinimum") { number > low } else { number >= low });
    let high = bound("maximum").is_none_or(|high| {
        if is_open("exclusiveMaximum") { number < high } else { number <= high }
    });
    let step = bound("multipleOf").filter(|step| *step > 0.0).is_none_or(|step| {
        let times = number / step;
        (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
    });
    low && high
        && step
        && bound("exclusiveMinimum").is_none_or(|low| number > low)
        && bound("exclusiveMaximum").is_none_or(|high| number < high)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Values that keep to the schema, and values that do not.
    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn check(schema: Value, good: Value, bad: Value) {
        for value in good.as_array().unwrap() {
            assert_eq!(keeps(&schema, value), Keeps::Yes, "{schema} {value}");
        }
        for value in bad.as_array().unwrap() {
            assert_eq!(keeps(&schema, value), Keeps::No, "{schema} {value}");
        }
    }

    #[test]
    fn keywords() {
        check(json!(true), json!([1, null]), json!([]));
        check(json!(false), json!([]), json!([1, null]));
        check(json!({"type": "integer"}), json!([1, 1.0, -3]), json!([1.5, "1", null]));
        check(json!({"type": ["string", "null"]}), json!(["a", null]), json!([1, {}]));
        check(json!({"type": "STRING", "nullable": true}), json!(["a", null]), json!([1]));
        check(json!({"enum": ["a", 1, {"b": [1]}]}), json!(["a", 1.0, {"b": [1.0]}]), json!(["b"]));
        check(json!({"const": null}), json!([null]), json!([0, false, ""]));
        check(
            json!({"minLength": 2, "maxLength": 3}),
            json!(["éé", "abc", 7]),
            json!(["é", "abcd"]),
        );
        check(json!({"minimum": 1, "exclusiveMaximum": 3}), json!([1, 2.9]), json!([0.9, 3]));
        check(json!({"maximum": 3, "exclusiveMaximum": true}), json!([2]), json!([3]));
        check(json!({"multipleOf": 0.1}), json!([0.3, 7]), json!([0.35]));
        check(
            json!({"minItems": 1, "maxItems": 2, "uniqueItems": true, "items": {"type": "number"}}),
            json!([[1], [1, 2], "x"]),
            json!([[], [1, 1.0], [1, 2, 3], ["a"]]),
        );
        check(
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            json!([["a"], []]),
            json!([[1], ["a", 1]]),
        );
        check(json!({"items": [{"type": "string"}]}), json!([["a", 1]]), json!([[1]]));
    }

    #[test]
    fn members() {
        let schema = json!({
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city"],
            "additionalProperties": false,
        });
        check(
            schema,
            json!([{"city": "Bern"}, {"city": "Bern", "days": 2}]),
            json!([{}, {"city": 1}, {"city": "Bern", "days": 0}, {"city": "Bern", "x": 1}, []]),
        );
        check(
            json!({"additionalProperties": {"type": "number"}, "minProperties": 1}),
            json!([{"a": 1}]),
            json!([{}, {"a": "1"}]),
        );
        check(
            json!({"additionalProperties": false, "patternProperties": {"^x": {}}}),
            json!([{"y": 1}]),
            json!([]),
        );
        check(json!({"propertyNames": {"maxLength": 1}}), json!([{"a": 1}]), json!([{"ab": 1}]));
        check(
            json!({"dependentRequired": {"a": ["b"]}}),
            json!([{"b": 1}, {"a": 1, "b": 1}]),
            json!([{"a": 1}]),
        );
    }

    #[test]
    fn combinations_and_references() {
        check(
            json!({"anyOf": [{"type": "string"}, {"minimum": 5}], "not": {"const": "x"}}),
            json!(["a", 5]),
            json!([4, "x"]),
        );
        check(json!({"oneOf": [{"minimum": 1}, {"maximum": 5}]}), json!([0, 6]), json!([3]));
        check(json!({"allOf": [{"minimum": 1}, {"maximum": 5}]}), json!([3]), json!([0, 6]));
        check(
            json!({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}),
            json!(["ab", 2]),
            json!(["a", 1]),
        );
        let tree = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {"properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}, "required": ["v"]}},
        });
        check(tree, json!([{"v": 1, "next": {"v": 2}}]), json!([{"v": 1, "next": {"next": {}}}]));
        check(json!({"$ref": "https://example.com/s"}), json!([1, "a"]), json!([]));
    }

    #[test]
    fn hostile_schemas_end() {
        assert_eq!(keeps(&json!({"$ref": "#"}), &json!(1)), Keeps::Unknown);
        let mut many = json!({"oneOf": [{"$ref": "#/d0"}], "d20": {"type": "string"}});
        for n in 0..20 {
            let next = json!({"$ref": format!("#/d{}", n + 1)});
            many[format!("d{n}")] = json!({"oneOf": [next, next, next]});
        }
        assert_eq!(keeps(&many, &json!("a")), Keeps::Unknown);
        for odd in [json!(1), json!([]), json!({"type": 1, "enum": 2, "required": 3, "items": 4})] {
            assert_eq!(keeps(&odd, &json!({"a": [1]})), Keeps::Yes, "{odd}");
        }
    }
}
