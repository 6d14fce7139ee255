//! What Krate's policy page asks for: policies, reports, and reports as they change.

use super::streaming::Events;
use super::violations::{report, world};
use super::world::{Denial, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};
use std::time::Duration;

const ACME: &str = "krate-org-acme";

#[tokio::test]
async fn policies_are_the_laws_in_force_with_what_is_on_record_of_them() {
    let (mut world, _) = world();
    let bob = json!({"actor": {"username": "bob"}, "name": "other"});
    world.deny(&Denial::new(4).personal(bob));
    let mut audited = Denial::new(5);
    audited.policy = "labels-wanted".into();
    world.deny(&audited);
    let outcome = json!({"id": "outcome-1", "time": "2026-10-05T12:10:00Z", "relation": "object",
        "namespace": ACME, "kind": "PullRequest", "operation": "UPDATE", "write": "w",
        "denials": [id(0), id(1)], "count": 2, "after": 1, "afterLast": 1});
    world.add(Class::Outcome, &outcome, Some(&json!({"name": "same"})));
    let body = world.get("admin", "/api/orgs/acme/policies").await.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "bindings",
            "org",
            "policies",
            "policyEngine",
            "profiles",
            "summary",
            "templates"
        ]
    );
    for empty in ["profiles", "templates", "bindings"] {
        assert_eq!(body[empty], json!([]), "the controller fills it");
    }
    let policies = body["policies"].as_array().unwrap();
    let of = |name: &str| policies.iter().find(|one| one["name"] == name).unwrap();
    // 0 and 1 were answered, 2 is a dry run, 3 could not be asked.
    let known = of("labels-wanted");
    assert_eq!(
        (&known["denials"], &known["actors"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (
            &known["inForce"],
            &known["mode"],
            &known["severity"],
            &known["law"]
        ),
        (
            &json!(true),
            &json!("audit"),
            &json!("low"),
            &json!("law-1")
        )
    );
    let other = of("require-pr-description");
    assert_eq!(
        (
            &other["inForce"],
            &other["kind"],
            &other["denials"],
            &other["actors"]
        ),
        (&json!(false), &Value::Null, &json!(4), &json!(2))
    );
    assert_eq!(other["unresolvedShare"], json!(0.5));
    assert_eq!(other["lastDenied"], "2026-10-05T12:00:04.000000Z");
    let summary = &body["summary"];
    assert_eq!(
        (
            &summary["policies"],
            &summary["audited"],
            &summary["denials"],
            &summary["unresolved"]
        ),
        (&json!(1), &json!(1), &json!(5), &json!(3))
    );
    let engine = &body["policyEngine"];
    assert_eq!(
        (&engine["engine"], &engine["detected"]),
        (&json!("kyverno"), &json!(false))
    );
    assert_eq!(engine["health"], "disabled", "{engine}");
}

#[tokio::test]
async fn a_policy_of_the_cluster_is_told_to_whom_it_refused_something_and_to_no_other_tenant() {
    let (mut world, known) = world();
    known.reports.write().list("PolicyReport");
    known.reports.write().listed("PolicyReport");
    world.cluster.grant("anna", ACME);
    let path = "/api/orgs/acme/policies";
    let names = |body: &Value| -> Vec<String> {
        let policies = body["policies"].as_array().unwrap().iter();
        policies
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let body = world.get("anna", path).await.json();
    assert_eq!(names(&body), ["require-pr-description"]);
    assert_eq!(body["policyEngine"]["kinds"], json!({}));
    assert_eq!(body["policyEngine"]["reportKinds"], json!(["PolicyReport"]));
    let mut audited = Denial::new(5);
    audited.policy = "labels-wanted".into();
    world.deny(&audited.clone().namespace("krate-org-globex"));
    assert_eq!(
        names(&world.get("anna", path).await.json()),
        ["require-pr-description"]
    );
    audited.n = 6;
    world.deny(&audited);
    let body = world.get("anna", path).await.json();
    assert_eq!(names(&body), ["require-pr-description", "labels-wanted"]);
    world
        .get("anna", "/api/orgs/globex/policies")
        .await
        .refused(403, "forbidden");
    let wrong = world.get("anna", &format!("{path}?limit=5")).await;
    assert!(
        wrong
            .refused(400, "bad_request")
            .starts_with("limit: unknown")
    );
}

#[tokio::test]
async fn reports_are_given_in_the_shape_of_the_policy_page() {
    let (world, known) = world();
    world.cluster.grant("anna", ACME);
    let path = "/api/orgs/acme/policy-reports";
    let body = world.get("anna", path).await.json();
    assert_eq!(body["degraded"].as_array().unwrap().len(), 1, "{body}");
    known.reports.write().list("PolicyReport");
    for name in ["pr-90", "pr-93"] {
        known.reports.write().apply(report(ACME, name, json!({})));
    }
    known.reports.write().listed("PolicyReport");
    let body = world.get("anna", path).await.json();
    assert_eq!(body["degraded"], json!([]));
    let reports = &body["reports"]["policyReports"];
    let names: Vec<&Value> = reports
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["uid-of-pr-90", "uid-of-pr-93"]);
    assert_eq!(body["reports"]["clusterPolicyReports"], json!([]));
    let violations = body["violations"].as_array().unwrap();
    assert_eq!((violations.len(), &body["total"]), (2, &json!(2)));
    for name in [
        "policy",
        "rule",
        "result",
        "severity",
        "message",
        "resource",
        "report",
        "namespace",
    ] {
        assert!(
            violations[0].get(name).is_some(),
            "{name}: what the page reads"
        );
    }
    assert_eq!(violations[0]["org"], "acme");
    world
        .get("anna", "/api/orgs/globex/policy-reports")
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn reports_are_watched_in_krates_named_frames_of_whole_json() {
    let (world, known) = world();
    world.cluster.grant("anna", ACME);
    let path = "/api/watch/orgs/acme/policyreports";
    let mut events = Events::open(&world, "anna", path, None).await;
    let (name, sync) = events.next().await.unwrap();
    assert_eq!(name.as_deref(), Some("krate"));
    assert_eq!(
        (&sync["type"], &sync["resource"], &sync["namespace"]),
        (&json!("SYNC"), &json!("policyreports"), &json!(ACME))
    );
    known
        .reports
        .write()
        .apply(report("krate-org-globex", "pr-80", json!({})));
    known
        .reports
        .write()
        .apply(report(ACME, "pr-81", json!({})));
    let (_, added) = events.next().await.unwrap();
    assert_eq!(
        (&added["type"], &added["name"], &added["status"]),
        (&json!("ADDED"), &json!("uid-of-pr-81"), &json!("fail"))
    );
    let passes = json!({"result": "pass"});
    known.reports.write().apply(report(ACME, "pr-81", passes));
    let (_, modified) = events.next().await.unwrap();
    assert_eq!(
        (&modified["type"], &modified["status"]),
        (&json!("MODIFIED"), &json!("pass"))
    );
    let mut second = Events::open(&world, "anna", path, None).await;
    second.next().await.unwrap();
    world.cluster.change(|cluster| cluster.may.clear());
    let (name, error) = events.next().await.unwrap();
    assert_eq!(name.as_deref(), Some("krate-error"));
    assert!(
        error["error"].as_str().unwrap().contains("you lack"),
        "{error}"
    );
    assert!(events.next().await.is_none());
    world.cluster.grant("anna", ACME);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let mut third = Events::open(&world, "anna", path, None).await;
    third.next().await.unwrap();
    world.stop.send_replace(true);
    let (name, close) = third.next().await.unwrap();
    assert_eq!(
        (name.as_deref(), &close["code"]),
        (Some("krate-close"), &json!(0))
    );
}
