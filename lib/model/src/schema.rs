//! The published schemas, derived from the types of the answers.
//!
//! They describe what is written, in JSON Schema 2020-12: a member that is always given is
//! required, also where it may be null.

use crate::{DenialItem, Outcomes, Violation};
use schemars::generate::SchemaSettings;
pub use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Where the schemas of an OpenAPI document are.
pub const COMPONENTS: &str = "/components/schemas";

/// A generator of schemas that refer to each other below this path of their document.
#[must_use]
pub fn generator(definitions: &'static str) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| settings.definitions_path = definitions.into());
    settings.into_generator()
}

/// The schema of a type, by reference where it has a name.
#[must_use]
pub fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    tidied(generator.subschema_for::<T>().to_value())
}

/// The schemas that were referred to, by their names.
#[must_use]
pub fn definitions(mut generator: SchemaGenerator) -> Map<String, Value> {
    let all = generator.take_definitions(false);
    all.into_iter()
        .map(|(name, schema)| (name, tidied(schema)))
        .collect()
}

/// The schemas that have a file of their own in `docs/`, by its name.
#[must_use]
pub fn published() -> Vec<(&'static str, Value)> {
    vec![
        file::<DenialItem>(
            "policy-denial.schema.json",
            "One denial, as GET /api/policy-denials gives it",
        ),
        file::<Violation>(
            "policy-violation.schema.json",
            "One violation, as GET /api/policy-violations gives it",
        ),
        file::<Outcomes>(
            "outcomes.schema.json",
            "What came of the denials of one namespace, as GET /api/outcomes gives it",
        ),
    ]
}

fn file<T: JsonSchema>(name: &'static str, title: &str) -> (&'static str, Value) {
    let schema = generator("/$defs").into_root_schema_for::<T>();
    let mut schema = tidied(schema.to_value());
    schema["title"] = title.into();
    schema["$id"] = format!("https://docket.a5c.ai/schemas/{name}").into();
    (name, schema)
}

/// Without what says nothing to a reader: formats of numbers and values that a missing
/// member has when it is read. Words of an enum stand in one list.
fn tidied(mut schema: Value) -> Value {
    tidy(&mut schema);
    schema
}

fn tidy(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    for keyword in ["properties", "$defs"] {
        if let Some(Value::Object(all)) = members.get_mut(keyword) {
            all.values_mut().for_each(tidy);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(one) = members.get_mut(keyword) {
            tidy(one);
        }
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(all)) = members.get_mut(keyword) {
            all.iter_mut().for_each(tidy);
        }
    }
    members.remove("format");
    members.remove("default");
    if members.get("additionalProperties") == Some(&Value::Bool(true)) {
        members.remove("additionalProperties");
    }
    if members.get("items") == Some(&Value::Bool(true)) {
        members.remove("items");
    }
    if let Some(Value::String(text)) = members.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    words(members);
    nullable_words(members);
}

/// An enum whose variants are described comes as one constant each.
fn words(members: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = members.get("oneOf") else {
        return;
    };
    let constant = |one: &Value| one.get("const").cloned();
    let Some(words) = all.iter().map(constant).collect::<Option<Vec<Value>>>() else {
        return;
    };
    members.remove("oneOf");
    members.insert("type".into(), "string".into());
    members.insert("enum".into(), words.into());
}

/// An enum that may be null.
fn nullable_words(members: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = members.get("anyOf") else {
        return;
    };
    let [one, null] = all.as_slice() else {
        return;
    };
    if null["type"] != "null" {
        return;
    }
    let Some(Value::Array(words)) = one.get("enum").cloned() else {
        return;
    };
    members.remove("anyOf");
    members.insert("type".into(), Value::from(vec!["string", "null"]));
    let words = words.into_iter().chain([Value::Null]);
    members.insert("enum".into(), words.collect());
}
