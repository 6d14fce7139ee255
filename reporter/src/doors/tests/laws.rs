//! Laws at the door: the law of a denial, the history of a policy, and who may read which.

use super::world::{Denial, World, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};

const POLICY: &str = "require-pr-description";
const ACME: &str = "krate-org-acme";

fn law(n: u32, change: &str, namespace: &str, action: &str) -> Value {
    let kind = if namespace.is_empty() {
        "ValidatingPolicy"
    } else {
        "NamespacedValidatingPolicy"
    };
    json!({
        "id": format!("law-{n}"), "time": format!("2026-10-05T11:00:{n:02}Z"), "change": change,
        "apiVersion": "policies.kyverno.io/v1", "kind": kind, "namespace": namespace,
        "name": POLICY, "hash": format!("h{n}"), "summary": [],
        "text": {"kind": kind, "metadata": {"name": POLICY}, "spec": {"validationActions": [action]}},
    })
}

fn changed_by(n: u32, actor: &str) -> (Value, Value) {
    let public = json!({"id": format!("by-{n}-{actor}"), "time": "2026-10-05T11:00:30Z",
        "amends": format!("law-{n}"), "kind": "law-changed-by", "verb": "patch",
        "writtenAt": "2026-10-05T11:00:00Z", "event": actor});
    (public, json!({"actor": {"username": actor}}))
}

fn world() -> World {
    let mut world = World::new();
    world.cluster.grant("alice", ACME);
    world.cluster.grant("carol", "krate-org-globex");
    world.cluster.change(|cluster| {
        let there = ("krate-org-globex".to_owned(), String::new());
        cluster.namespaces.extend([there]);
    });
    world.add(Class::Law, &law(1, "first-seen", "", "Deny"), None);
    world.add(Class::Law, &law(2, "changed", "", "Audit"), None);
    world.add(Class::Law, &law(3, "created", ACME, "Deny"), None);
    for actor in ["dana", "eve"] {
        let (public, personal) = changed_by(2, actor);
        world.add(Class::Amendment, &public, Some(&personal));
    }
    let attributions = json!([{"enforcer": "kyverno", "policy": POLICY, "result": "fail",
        "grade": "exact", "source": "responseStatus", "policyKind": "ValidatingPolicy",
        "laws": ["law-1"]}]);
    world.deny(&Denial::new(0).public(json!({"attributions": attributions})));
    world
}

fn ids(body: &Value) -> Vec<&str> {
    let items = body["items"].as_array().expect("a list");
    items
        .iter()
        .map(|law| law["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn whoever_may_read_a_denial_reads_the_law_of_then() {
    let world = world();
    let path = format!("/api/policy-denials/{}/law", id(0));
    let body = world.get("alice", &path).await.json();
    assert_eq!(ids(&body), ["law-1"]);
    assert_eq!(
        body["items"][0]["text"]["spec"]["validationActions"],
        json!(["Deny"])
    );
    assert_eq!(body["items"][0].get("changedBy"), None);
    world.get("carol", &path).await.refused(404, "not_found");
    world
        .get("alice", &format!("{path}?x=1"))
        .await
        .refused(400, "bad_request");
}

#[tokio::test]
async fn what_kyverno_made_of_a_policy_for_controllers_is_told_with_it() {
    let mut world = world();
    for (n, resource) in [(1, "jobs"), (2, "deployments")] {
        let made = json!({"id": format!("made-{n}"), "time": format!("2026-10-05T12:00:0{n}Z"),
            "amends": "law-1", "kind": "law-autogen",
            "autogen": {"configs": {"defaults": {"targets": [{"resource": resource}]}}}});
        world.add(Class::Amendment, &made, None);
    }
    let last = json!({"configs": {"defaults": {"targets": [{"resource": "deployments"}]}}});
    let path = format!("/api/policy-denials/{}/law", id(0));
    let body = world.get("alice", &path).await.json();
    assert_eq!(body["items"][0]["autogen"], last);
    let one = world.get("admin", "/api/laws/law-1").await.json();
    assert_eq!(one["autogen"], last);
    let none = world.get("admin", "/api/laws/law-3").await.json();
    assert_eq!(none.get("autogen"), None);
    let path = format!(
        "/apis/docket.a5c.ai/v1/namespaces/{ACME}/denials/{}/law",
        id(0)
    );
    let body = world.kube("admin", &path).await.json();
    assert_eq!(body["items"][0]["autogen"], last);
}

#[tokio::test]
async fn the_history_of_a_policy_is_the_clusters_and_that_of_a_namespace_its_readers() {
    let world = world();
    let path = format!("/api/laws?policy={POLICY}");
    let body = world.get("admin", &path).await.json();
    assert_eq!(ids(&body), ["law-3", "law-2", "law-1"]);
    let by: Vec<&Value> = body["items"][1]["changedBy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|by| &by["actor"])
        .collect();
    assert_eq!(by, ["dana", "eve"]);
    let body = world.get("alice", &path).await.json();
    assert_eq!(ids(&body), ["law-3"]);
    assert_eq!(body["total"], 1);
    assert_eq!(body["items"][0].get("changedBy"), None);
    let none = world.get("carol", &path).await.json();
    assert_eq!(ids(&none), Vec::<&str>::new());
    let page = world.get("admin", &format!("{path}&limit=2")).await.json();
    assert_eq!(
        (ids(&page).len(), page["hasMore"].as_bool()),
        (2, Some(true))
    );
    let rest = format!("{path}&cursor={}", page["cursor"].as_str().unwrap());
    assert_eq!(ids(&world.get("admin", &rest).await.json()), ["law-1"]);
    let kind = format!("{path}&kind=ValidatingPolicy");
    assert_eq!(
        ids(&world.get("admin", &kind).await.json()),
        ["law-2", "law-1"]
    );
    world
        .get("admin", "/api/laws?rule=x")
        .await
        .refused(400, "bad_request");
}

#[tokio::test]
async fn one_law_is_read_by_its_id_within_its_scope() {
    let world = world();
    let of_cluster = world.get("admin", "/api/laws/law-2").await.json();
    assert_eq!(of_cluster["change"], "changed");
    world
        .get("alice", "/api/laws/law-2")
        .await
        .refused(404, "not_found");
    assert_eq!(
        world.get("alice", "/api/laws/law-3").await.json()["id"],
        "law-3"
    );
    world
        .get("admin", "/api/laws/none")
        .await
        .refused(404, "not_found");
    // The id of something else is no law's.
    let denial = format!("/api/laws/{}", id(0));
    world.get("admin", &denial).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_denial_whose_law_moved_is_shown_as_ambiguous() {
    let mut world = world();
    let doubt = json!({"id": "doubt", "time": "2026-10-05T12:00:05Z", "amends": id(0),
        "kind": "law-in-doubt", "laws": ["law-2"], "policy": POLICY, "detail": "it moved"});
    world.add(Class::Amendment, &doubt, None);
    let body = world
        .get("alice", &format!("/api/policy-denials/{}", id(0)))
        .await
        .json();
    let attribution = &body["attributions"][0];
    assert_eq!(attribution["grade"], "ambiguous");
    assert_eq!(attribution["doubt"], "it moved");
    assert_eq!(attribution["laws"], json!(["law-1", "law-2"]));
    let laws = world
        .get("alice", &format!("/api/policy-denials/{}/law", id(0)))
        .await
        .json();
    assert_eq!(ids(&laws), ["law-1", "law-2"]);
}
