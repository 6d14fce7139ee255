//! Schemas of all kinds, in OpenAPI's words.
//!
//! A denial has one published shape, `docs/policy-denial.schema.json`; its schema here is
//! made from that text, so the two can't differ. OpenAPI 3.0 and 2.0 know less than JSON
//! Schema: where a value may be null, the kind of the other values is told.

use super::shapes;
use super::{GROUP, RESOURCES, VERSION};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The published shape of a denial.
const DENIAL: &str = include_str!("../../../../docs/policy-denial.schema.json");

/// Before the names of all schemas.
const PREFIX: &str = "ai.a5c.docket.v1.";

/// Definitions by their full name; references between them are `#/…` of OpenAPI 3.0.
pub type Schemas = BTreeMap<String, Value>;

/// Schemas of all kinds, of their lists, and of what they hold.
pub fn schemas() -> &'static Schemas {
    static SCHEMAS: LazyLock<Schemas> = LazyLock::new(all);
    &SCHEMAS
}

/// The full name of a kind's schema.
pub(super) fn name(kind: &str) -> String {
    format!("{PREFIX}{kind}")
}

/// Where a schema is in an OpenAPI 3.0 document.
pub(super) fn reference(kind: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", name(kind)) })
}

/// Group, version and kind, as a schema or an operation names what it is about.
pub(super) fn gvk(kind: &str) -> Value {
    json!({ "group": GROUP, "version": VERSION, "kind": kind })
}

fn all() -> Schemas {
    let mut all = Schemas::new();
    for (kind, shape) in shapes::parts() {
        all.insert(name(kind), shape);
    }
    // Compiled in, and read by every test.
    let denial: Value = serde_json::from_str(DENIAL).unwrap_or_default();
    for (part, shape) in denial["$defs"].as_object().into_iter().flatten() {
        all.insert(name(&part_kind(part)), open(shape));
    }
    let fields = open(&denial);
    for (kind, about) in [
        ("Denial", "A request that admission control refused."),
        (
            "ClusterDenial",
            "A refused request that was about no namespace.",
        ),
        ("MyDenial", "A refused request of whoever asks."),
    ] {
        all.insert(name(kind), object(kind, about, &fields));
    }
    for (kind, about, fields) in shapes::kinds() {
        all.insert(name(kind), object(kind, about, &fields));
    }
    for resource in RESOURCES {
        all.insert(
            name(resource.list_kind),
            list(resource.list_kind, resource.kind),
        );
    }
    all
}

/// The fields of a kind, with what every Kubernetes object has.
fn object(kind: &str, about: &str, fields: &Value) -> Value {
    let mut properties = common();
    properties["metadata"] = described(
        reference("ObjectMeta"),
        "Name, namespace, labels; the name is the id.",
    );
    if let (Value::Object(all), Some(fields)) = (&mut properties, fields["properties"].as_object())
    {
        all.extend(fields.clone());
    }
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "x-kubernetes-group-version-kind": [gvk(kind)],
    })
}

fn list(kind: &str, item: &str) -> Value {
    let mut properties = common();
    properties["metadata"] = described(reference("ListMeta"), "Where the list ends and stands.");
    properties["items"] = json!({
        "type": "array",
        "items": reference(item),
        "description": "The objects, newest first.",
    });
    json!({
        "type": "object",
        "description": format!("Objects of the kind {item}."),
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": [gvk(kind)],
    })
}

fn common() -> Value {
    json!({
        "apiVersion": { "type": "string", "description": "docket.a5c.ai/v1." },
        "kind": { "type": "string", "description": "The kind of this object." },
    })
}

/// A reference can have no words of its own; one of several can.
fn described(reference: Value, description: &str) -> Value {
    json!({ "allOf": [reference], "description": description })
}

/// `outcome` of the published shape is the kind `DenialOutcome` here.
fn part_kind(part: &str) -> String {
    let mut letters = part.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().collect::<String>() + letters.as_str()
}

/// JSON Schema 2020-12 in the words of OpenAPI 3.0, as far as the published shapes use it.
pub(super) fn open(schema: &Value) -> Value {
    let mut opened = Map::new();
    let words = schema["description"].as_str();
    for (keyword, rule) in schema.as_object().into_iter().flatten() {
        match keyword.as_str() {
            "type" => type_of(rule, &mut opened),
            "anyOf" => any_of(rule, &mut opened),
            "enum" => values(rule, &mut opened),
            "properties" => {
                let all = rule.as_object().into_iter().flatten();
                let all = all.map(|(field, schema)| (field.clone(), open(schema)));
                opened.insert("properties".to_owned(), Value::Object(all.collect()));
            }
            "items" => {
                opened.insert("items".to_owned(), open(rule));
            }
            "$ref" => refer(rule, words, &mut opened),
            "description" | "required" | "minimum" | "minLength" => {
                opened.insert(keyword.clone(), rule.clone());
            }
            // Unknown fields may come with a later version; the rest is about the document.
            _ => {}
        }
    }
    Value::Object(opened)
}

fn type_of(rule: &Value, opened: &mut Map<String, Value>) {
    let types: Vec<&str> = match rule {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    for one in types {
        match one {
            "null" => opened.insert("nullable".to_owned(), true.into()),
            one => {
                if one == "integer" {
                    opened.insert("format".to_owned(), "int64".into());
                }
                opened.insert("type".to_owned(), one.into())
            }
        };
    }
}

/// Only "this or null" is used.
fn any_of(rule: &Value, opened: &mut Map<String, Value>) {
    for one in rule.as_array().into_iter().flatten() {
        if one["type"] == "null" {
            opened.insert("nullable".to_owned(), true.into());
        } else if let Value::Object(one) = open(one) {
            let mut one = one;
            if let Some(reference) = one.remove("$ref") {
                opened.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
            }
            opened.extend(one);
        }
    }
}

fn values(rule: &Value, opened: &mut Map<String, Value>) {
    let values = rule.as_array().into_iter().flatten();
    let words: Vec<Value> = values
        .clone()
        .filter(|one| !one.is_null())
        .cloned()
        .collect();
    if words.len() < values.count() {
        opened.insert("nullable".to_owned(), true.into());
    }
    opened.insert("type".to_owned(), "string".into());
    opened.insert("enum".to_owned(), words.into());
}

fn refer(rule: &Value, words: Option<&str>, opened: &mut Map<String, Value>) {
    let part = rule.as_str().and_then(|path| path.rsplit('/').next());
    let reference = reference(&part_kind(part.unwrap_or_default()));
    match words {
        Some(_) => opened.insert("allOf".to_owned(), json!([reference])),
        None => opened.insert("$ref".to_owned(), reference["$ref"].clone()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Value {
        serde_json::from_str(DENIAL).unwrap()
    }

    #[test]
    fn a_denial_has_the_published_fields_and_the_four_of_every_object() {
        let published = published();
        let published = published["properties"].as_object().unwrap();
        assert!(published.len() > 40);
        for kind in ["Denial", "ClusterDenial", "MyDenial"] {
            let fields = schemas()[&name(kind)]["properties"].as_object().unwrap();
            let mut wanted: Vec<&str> = published.keys().map(String::as_str).collect();
            wanted.extend(["apiVersion", "kind", "metadata"]);
            wanted.sort_unstable();
            let mut had: Vec<&str> = fields.keys().map(String::as_str).collect();
            had.sort_unstable();
            assert_eq!(had, wanted);
        }
    }

    #[test]
    fn no_published_field_has_a_name_that_kubernetes_needs() {
        for (kind, _, fields) in shapes::kinds() {
            for name in ["apiVersion", "kind", "metadata"] {
                assert!(fields["properties"][name].is_null(), "{kind}.{name}");
            }
        }
        for name in ["apiVersion", "kind", "metadata"] {
            assert!(published()["properties"][name].is_null(), "{name}");
        }
    }

    /// Every keyword of the published shape is one that is told on, or left out on purpose.
    #[test]
    fn nothing_that_the_published_shape_says_is_lost_unseen() {
        fn keywords<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
            for (keyword, rule) in schema.as_object().unwrap() {
                found.push(keyword);
                match keyword.as_str() {
                    "properties" | "$defs" => rule
                        .as_object()
                        .unwrap()
                        .values()
                        .for_each(|one| keywords(one, found)),
                    "items" => keywords(rule, found),
                    "anyOf" => rule
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|one| keywords(one, found)),
                    _ => {}
                }
            }
        }
        let published = published();
        let mut found = Vec::new();
        keywords(&published, &mut found);
        found.sort_unstable();
        found.dedup();
        let known = [
            "$defs",
            "$id",
            "$ref",
            "$schema",
            "additionalProperties",
            "anyOf",
            "description",
            "enum",
            "items",
            "minLength",
            "minimum",
            "properties",
            "required",
            "title",
            "type",
        ];
        for keyword in found {
            assert!(known.contains(&keyword), "{keyword} is not told in OpenAPI");
        }
    }

    #[test]
    fn every_field_of_every_kind_says_what_it_is() {
        fn look(at: &str, schema: &Value, silent: &mut Vec<String>) {
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                let at = format!("{at}.{field}");
                let described = schema["description"].is_string();
                if !described {
                    silent.push(at.clone());
                }
                look(&at, schema, silent);
                look(&format!("{at}[]"), &schema["items"], silent);
            }
        }
        let mut silent = Vec::new();
        for (kind, schema) in schemas() {
            assert!(schema["type"].is_string(), "{kind}");
            look(kind, schema, &mut silent);
        }
        assert!(silent.is_empty(), "{silent:#?}");
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        fn look<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
            match schema {
                Value::Object(all) => {
                    found.extend(all.get("$ref").and_then(Value::as_str));
                    all.values().for_each(|one| look(one, found));
                }
                Value::Array(all) => all.iter().for_each(|one| look(one, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        schemas().values().for_each(|one| look(one, &mut found));
        assert!(found.len() > 10);
        for reference in found {
            let name = reference.rsplit('/').next().unwrap();
            assert!(schemas().contains_key(name), "{reference}");
        }
    }
}
