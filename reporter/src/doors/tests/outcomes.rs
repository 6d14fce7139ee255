//! What happened next: of one denial, and the figures of a policy within a namespace.

use super::shape::{check, schema};
use super::world::{Denial, World, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../../docs/outcomes.schema.json");

/// The write at 12:`minute`:00 answers these denials.
fn came(world: &mut World, n: u32, minute: u32, denials: &[u32], change: Value) {
    let mut public = json!({
        "id": format!("outcome-{n}"), "time": format!("2026-10-05T12:{minute:02}:00.000000Z"),
        "relation": "object", "namespace": "krate-org-acme", "group": "krate.a5c.ai",
        "resource": "pullrequests", "kind": "PullRequest", "operation": "UPDATE",
        "write": format!("write-{n}"),
        "denials": denials.iter().map(|&n| id(n)).collect::<Vec<_>>(), "count": denials.len(),
        "after": u64::from(minute) * 60_000, "afterLast": 1000, "sameActor": true,
        "paths": [{"path": "spec.description", "change": "added"}],
    });
    for (name, value) in change.as_object().unwrap() {
        public[name] = value.clone();
    }
    let personal = json!({"name": "pr-0", "actor": {"username": "alice", "groups": ["a"]}});
    world.add(Class::Outcome, &public, Some(&personal));
}

fn court() -> World {
    let mut world = World::new();
    for n in 0..6 {
        world.deny(&Denial::new(n));
    }
    world.deny(&Denial::new(6).public(json!({"dryRun": true})));
    world.deny(&Denial::new(7).namespace("krate-org-globex"));
    came(&mut world, 0, 2, &[0, 1], json!({}));
    came(
        &mut world,
        1,
        12,
        &[2],
        json!({"relation": "series", "paths": [
        {"path": "spec.description", "change": "changed"}, {"path": "spec.title", "change": "removed"}]}),
    );
    came(
        &mut world,
        2,
        40,
        &[3],
        json!({"sameActor": false, "retried": true, "paths": null,
        "pathsUnknown": "no witness gave the object that was admitted"}),
    );
    came(
        &mut world,
        3,
        50,
        &[4],
        json!({"relation": "deleted", "operation": "DELETE", "paths": null}),
    );
    came(
        &mut world,
        4,
        55,
        &[7],
        json!({"namespace": "krate-org-globex"}),
    );
    world
}

#[tokio::test]
async fn a_denial_says_who_wrote_next_after_how_long_and_what_was_changed() {
    let world = court();
    let item = world
        .get("admin", &format!("/api/policy-denials/{}", id(1)))
        .await
        .json();
    assert_eq!(
        item["outcome"],
        json!({
            "id": "outcome-0", "time": "2026-10-05T12:02:00.000000Z", "position": 8,
            "after": 119_000, "by": "alice", "relation": "object", "name": "pr-0",
            "operation": "UPDATE", "sameActor": true, "retried": false, "failedOpen": false,
            "count": 2, "paths": [{"path": "spec.description", "change": "added"}],
            "morePaths": 0, "pathsUnknown": null
        })
    );
    let list = world.get("admin", "/api/policy-denials").await.json();
    let of: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["outcome"]["relation"].as_str())
        .collect();
    assert_eq!(
        of,
        [
            Some("object"),
            None,
            None,
            Some("deleted"),
            Some("object"),
            Some("series"),
            Some("object"),
            Some("object")
        ]
    );
    let schema = schema(super::shape::SCHEMA);
    for item in list["items"].as_array().unwrap() {
        check(&schema, &schema, item, "item");
    }
}

#[tokio::test]
async fn what_was_erased_of_an_outcome_names_no_one() {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    let public = json!({"id": "o", "time": "2026-10-05T12:05:00Z", "relation": "object",
        "namespace": "krate-org-acme", "write": "w", "denials": [id(0)], "count": 1});
    world.add(Class::Outcome, &public, None);
    let item = world
        .get("admin", &format!("/api/policy-denials/{}", id(0)))
        .await
        .json();
    assert_eq!(item["outcome"]["id"], "o");
    assert!(item["outcome"]["by"].is_null() && item["outcome"]["name"].is_null());
}

#[tokio::test]
async fn the_figures_of_a_policy_are_of_one_namespace() {
    let world = court();
    let path = "/api/outcomes?namespace=krate-org-acme&policy=require-pr-description";
    let figures = world.get("admin", path).await.json();
    assert_eq!(
        figures,
        json!({
            "namespace": "krate-org-acme", "policy": "require-pr-description",
            "since": null, "until": null,
            "denials": 6, "unresolved": 1, "unresolvedShare": 1.0 / 6.0,
            "fixed": 3, "fixedObject": 2, "fixedSeries": 1, "fixedRetried": 1, "fixedSameActor": 2,
            "deleted": 1, "failedOpen": 0, "medianAfter": 720_000,
            "pathsKnown": 2,
            "topPaths": [
                {"path": "spec.description", "count": 2, "added": 1, "changed": 1, "removed": 0},
                {"path": "spec.title", "count": 1, "added": 0, "changed": 0, "removed": 1}],
            "limited": false
        })
    );
    let schema = schema(SCHEMA);
    check(&schema, &schema, &figures, "figures");
    let late = format!("{path}&since=2026-10-05T12:00:02Z&until=2026-10-05T12:00:05Z");
    let figures = world.get("admin", &late).await.json();
    assert_eq!(
        (&figures["denials"], &figures["fixed"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(figures["medianAfter"], (720_000 + 2_400_000) / 2);
    check(&schema, &schema, &figures, "figures");
    // Of no policy, of another one, of nothing.
    let all = world
        .get("admin", "/api/outcomes?namespace=krate-org-globex")
        .await
        .json();
    assert_eq!((&all["denials"], &all["fixed"]), (&json!(1), &json!(1)));
    let none = world
        .get(
            "admin",
            "/api/outcomes?namespace=krate-org-acme&policy=other",
        )
        .await
        .json();
    assert_eq!(
        (&none["denials"], &none["unresolvedShare"]),
        (&json!(0), &Value::Null)
    );
    check(&schema, &schema, &none, "figures");
}

#[tokio::test]
async fn what_passed_because_a_hook_failed_open_is_no_fix() {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    came(&mut world, 0, 2, &[0], json!({"failedOpen": true}));
    let figures = world
        .get("admin", "/api/outcomes?namespace=krate-org-acme")
        .await
        .json();
    assert_eq!(
        (
            &figures["fixed"],
            &figures["failedOpen"],
            &figures["medianAfter"]
        ),
        (&json!(0), &json!(1), &Value::Null)
    );
}

#[tokio::test]
async fn a_namespace_must_be_named_and_be_the_callers_to_read() {
    let world = court();
    world.cluster.grant("acme-reader", "krate-org-acme");
    world.cluster.grant("other", "other");
    let message = world
        .get("admin", "/api/outcomes")
        .await
        .refused(400, "bad_request");
    assert!(message.starts_with("namespace:"), "{message}");
    let message = world
        .get(
            "admin",
            "/api/outcomes?namespace=krate-org-acme&actor=alice",
        )
        .await
        .refused(400, "bad_request");
    assert!(
        message.contains("allowed: namespace, policy, since, until"),
        "{message}"
    );
    let mine = "/api/outcomes?namespace=krate-org-acme";
    assert_eq!(world.get("acme-reader", mine).await.json()["denials"], 6);
    world
        .get("acme-reader", "/api/outcomes?namespace=krate-org-globex")
        .await
        .refused(403, "forbidden");
    world.get("other", mine).await.refused(403, "forbidden");
}
