//! Exhibits are for those who may `get denials/evidence`, and for nobody else.

use super::world::{Denial, World, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};

fn world() -> (World, u64, u64) {
    let mut world = World::new();
    let (public, personal) = Denial::new(0).public(json!({"namespace": "hers"})).parts();
    let exhibit = json!({"object": {"kind": "PullRequest", "spec": {"title": "shown"}}});
    let with = world.add_with(Class::Denial, &public, Some(&personal), Some(&exhibit));
    let (public, personal) = Denial::new(1).public(json!({"namespace": "hers"})).parts();
    let without = world.add(Class::Denial, &public, Some(&personal));
    for user in ["reader", "keeper", "elsewhere"] {
        world.cluster.grant(user, "hers");
    }
    let (public, personal) = Denial::new(2).public(json!({"namespace": "other"})).parts();
    world.add(Class::Denial, &public, Some(&personal));
    world.cluster.grant("stranger", "other");
    world.cluster.change(|cluster| {
        for (user, namespace) in [
            ("keeper", "hers"),
            ("stranger", "hers"),
            ("elsewhere", "theirs"),
            ("admin", "*"),
        ] {
            let grant = (user.to_owned(), namespace.to_owned());
            cluster.evidence.insert(grant);
        }
    });
    (world, with, without)
}

#[tokio::test]
async fn an_exhibit_needs_the_permission_for_evidence_in_its_namespace() {
    let (world, ..) = world();
    let path = format!("/api/policy-denials/{}/exhibit", id(0));
    for user in ["keeper", "admin"] {
        let answer = world.get(user, &path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["object"]["spec"]["title"], "shown");
    }
    for user in ["reader", "elsewhere"] {
        let message = world.get(user, &path).await.refused(403, "forbidden");
        assert!(message.contains("`get denials/evidence.docket.a5c.ai` in namespace hers"));
        let none = format!("/api/policy-denials/{}/exhibit", id(1));
        let same = world.get(user, &none).await.refused(403, "forbidden");
        assert_eq!(message, same, "it is not told whether there is one");
    }
}

#[tokio::test]
async fn a_denial_without_an_exhibit_and_one_out_of_scope_are_not_found() {
    let (world, ..) = world();
    let none = format!("/api/policy-denials/{}/exhibit", id(1));
    world.get("keeper", &none).await.refused(404, "not_found");
    // Evidence alone opens nothing: the denial itself must be theirs to read.
    let path = format!("/api/policy-denials/{}/exhibit", id(0));
    world.get("stranger", &path).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_parts_of_a_reader_are_without_the_evidence_and_say_so() {
    let (world, with, without) = world();
    for (user, sees) in [("reader", false), ("elsewhere", false), ("keeper", true)] {
        let all = world.get(user, "/api/parts?from=0&limit=10").await.json();
        let one = world.get(user, &format!("/api/parts/{with}")).await.json();
        let of = |position: u64| {
            let items = all["items"].as_array().unwrap();
            items
                .iter()
                .find(|item| item["position"] == position)
                .unwrap()
        };
        assert_eq!(of(with), &one);
        assert_eq!(one["exhibit"]["bytes"].is_string(), sees, "{user}");
        assert_eq!(one["personal"]["bytes"].is_string(), sees, "{user}");
        let withheld = |parts: &[&str]| if sees { json!([]) } else { json!(parts) };
        assert_eq!(one["withheld"], withheld(&["personal", "exhibit"]));
        assert!(one["public"]["bytes"].is_string());
        assert_eq!(of(without)["withheld"], withheld(&["personal"]));
        assert_eq!(of(without)["exhibit"], Value::Null);
    }
}
