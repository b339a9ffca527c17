//! Whether a tool was called with arguments that it can take: as far as can be said without running a validator.

use serde_json::{Map, Value};

use crate::dialect::calls;
use crate::neutral::call::Call;

/// The arguments are a JSON object, no required member is missing, and each member is of the type that the tool's own
/// schema in the request says. Alternatives, references and what lies deeper are not looked into.
pub(super) fn fit(call: &Call, request: &[u8]) -> bool {
    if call.is_text {
        return true;
    }
    let text = call.arguments.trim();
    // Some servers send nothing for a call without arguments.
    let text = if text.is_empty() { "{}" } else { text };
    let Ok(Value::Object(arguments)) = serde_json::from_str(text) else { return false };
    calls::schema(request, &call.name).is_none_or(|schema| fits_schema(&arguments, &schema))
}

fn fits_schema(arguments: &Map<String, Value>, schema: &Value) -> bool {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_required =
        required.iter().filter_map(Value::as_str).all(|member| arguments.contains_key(member));
    let properties = schema["properties"].as_object();
    has_required
        && properties.is_none_or(|properties| {
            arguments.iter().all(|(member, value)| {
                properties.get(member).is_none_or(|schema| is_of_type(value, schema))
            })
        })
}

fn is_of_type(value: &Value, schema: &Value) -> bool {
    if value.is_null() && schema["nullable"].as_bool() == Some(true) {
        return true;
    }
    match &schema["type"] {
        Value::String(name) => is_named(value, name),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str).peekable();
            names.peek().is_none() || names.any(|name| is_named(value, name))
        }
        _ => true,
    }
}

/// By the names of JSON Schema, which Gemini writes in capitals; a name that is not known says nothing.
fn is_named(value: &Value, name: &str) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r#"{"tools":[{"name":"f","input_schema":{"type":"object","required":["path"],"properties":{
        "path":{"type":"string"},"line":{"type":"integer"},"deep":{"type":["boolean","null"]},"any":{"anyOf":[]},
        "list":{"type":"ARRAY","nullable":true}}}}]}"#;

    #[test]
    fn arguments_fit_in_kind_members_and_types() {
        for (arguments, fits) in [
            (r#"{"path":"a"}"#, true),
            (r#"{"path":"a","line":3,"deep":null,"any":[1],"list":null,"more":{}}"#, true),
            (r#"{"path":"a","line":3.0}"#, true),
            (r#"{"path":"a","line":3.5}"#, false),
            (r#"{"path":"a","line":"3"}"#, false),
            (r#"{"path":"a","deep":0}"#, false),
            (r#"{"path":"a","list":{}}"#, false),
            (r#"{"path":["a"]}"#, false),
            (r#"{"line":3}"#, false),
            ("", false),
            (r#"{"path":"a"#, false),
            (r#"["path"]"#, false),
            (r#""{\"path\":\"a\"}""#, false),
            ("null", false),
        ] {
            let call =
                Call { name: "f".to_owned(), arguments: arguments.to_owned(), ..Call::default() };
            assert_eq!(fit(&call, REQUEST.as_bytes()), fits, "{arguments}");
        }
        let of = |name: &str, arguments: &str, is_text| Call {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            is_text,
            id: None,
        };
        assert!(fit(&of("f", "*** Begin Patch", true), REQUEST.as_bytes()), "text is not JSON");
        assert!(fit(&of("unknown", r#"{"a":1}"#, false), REQUEST.as_bytes()));
        assert!(fit(&of("unknown", "", false), b""), "no arguments, no schema");
    }
}
