//! The JSON Schema of the configuration file, made from the shapes in `file.rs`. `check` walks it; `docs` prints it.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::config::file::File;

/// The schema that files are checked against.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let mut schema = schemars::schema_for!(File).to_value();
        simplify(&mut schema);
        schema
    });
    &SCHEMA
}

/// Follows `$ref` into `$defs`; a schema without one is itself.
pub fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    name.and_then(|name| root.get("$defs")?.get(name)).unwrap_or(schema)
}

/// The words a schema allows, with what each means; empty when it is no closed set.
pub fn words(schema: &Value) -> Vec<(&str, &str)> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let listed = listed.filter_map(|word| Some((word.as_str()?, "")));
    let described = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let described = described.flat_map(|branch| {
        let meaning = branch.get("description").and_then(Value::as_str).unwrap_or("");
        let constant = branch.get("const").and_then(Value::as_str).map(|word| (word, meaning));
        constant.into_iter().chain(words(branch))
    });
    listed.chain(described).collect()
}

/// Absent and null are one thing to us, so `Option` leaves no trace in the schema: no null types, branches or defaults.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            drop_null(object);
            object.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn drop_null(object: &mut Map<String, Value>) {
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| branch != &json!({"type": "null"}));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}
