//! Real items against the published schema, by a checker that knows few keywords and
//! refuses the others: a schema that it can't read in full fails.

use super::world::{Denial, World, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};

pub(super) const SCHEMA: &str = include_str!("../../../../docs/policy-denial.schema.json");

#[tokio::test]
async fn real_items_have_the_published_shape() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut world = World::new();
    world.deny(&Denial::new(0));
    world.deny(&Denial::new(1).public(json!({"verdict": "unknown", "attributions": [], "context": {}, "namespace": "", "group": ""})));
    world.deny(&Denial::new(2).personal(json!({"impersonator": {"username": "root"}})));
    let (public, personal) = Denial::new(3)
        .public(json!({"verdict": "failedOpen"}))
        .parts();
    world.add(Class::Pass, &public, Some(&personal));
    let (public, _) = Denial::new(4).parts();
    world.add(Class::Denial, &public, None);
    world.add(
        Class::Amendment,
        &json!({"id": "a", "time": "2026-10-05T13:00:00Z", "amends": id(0), "kind": "disputed"}),
        None,
    );
    world.add(
        Class::Denial,
        &json!({"id": id(5), "time": "2026-10-05T12:59:00Z", "shape": []}),
        None,
    );
    let mut seen = 0;
    for path in [
        "/api/policy-denials",
        "/api/policy-denials?verdict=failedOpen",
        "/api/orgs/acme/policy-denials",
    ] {
        for item in world.get("admin", path).await.json()["items"]
            .as_array()
            .unwrap()
        {
            check(&schema, &schema, item, "item");
            seen += 1;
        }
    }
    assert_eq!(seen, 9);
    check(
        &schema,
        &schema,
        &world
            .get("admin", &format!("/api/policy-denials/{}", id(0)))
            .await
            .json(),
        "item",
    );
}

#[test]
#[should_panic(expected = "item.actor: 5 is not of type")]
fn an_item_of_another_shape_does_not_pass() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = json!({"type": "object", "properties": {"actor": schema["properties"]["actor"]}});
    check(&schema, &schema, &json!({"actor": 5}), "item");
}

pub(super) fn schema(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(super) fn check(root: &Value, schema: &Value, value: &Value, at: &str) {
    for (keyword, rule) in schema.as_object().expect("a schema") {
        match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "$defs" | "examples" => {}
            "$ref" => {
                let pointer = rule
                    .as_str()
                    .unwrap()
                    .strip_prefix('#')
                    .expect("a local reference");
                check(
                    root,
                    root.pointer(pointer).expect("what is referred to"),
                    value,
                    at,
                );
            }
            "type" => {
                let types = rule
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![rule.clone()]);
                assert!(
                    types.iter().any(|name| is(value, name.as_str().unwrap())),
                    "{at}: {value} is not of type {rule}"
                );
            }
            "enum" => assert!(
                rule.as_array().unwrap().contains(value),
                "{at}: {value} is not one of {rule}"
            ),
            "required" => {
                for name in rule.as_array().unwrap() {
                    assert!(
                        value.get(name.as_str().unwrap()).is_some(),
                        "{at}: {name} is missing"
                    );
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        check(root, rule, member, &format!("{at}.{name}"));
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                for name in value
                    .as_object()
                    .map(|object| object.keys())
                    .into_iter()
                    .flatten()
                {
                    assert!(
                        schema["properties"].get(name).is_some(),
                        "{at}: {name} is not in the schema"
                    );
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{n}]"));
                }
            }
            "anyOf" => {
                let fits = |rule: &Value| {
                    std::panic::catch_unwind(|| check(root, rule, value, at)).is_ok()
                };
                assert!(
                    rule.as_array().unwrap().iter().any(fits),
                    "{at}: {value} fits none of {rule}"
                );
            }
            "minimum" => assert!(
                value.is_null() || value.as_f64().unwrap() >= rule.as_f64().unwrap(),
                "{at}: {value}"
            ),
            "minLength" => assert!(
                value
                    .as_str()
                    .is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap()),
                "{at}"
            ),
            other => panic!("{at}: the checker does not know the keyword {other}"),
        }
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("no such type: {other}"),
    }
}
