//! What refused objects, users and policies say may be anything: no command prints a
//! character that a terminal obeys or hides with, in whatever form, by either way.

mod support;

use docket_ledger::entry::Class;
use serde_json::{Value, json};
use support::{World, harmful, id, obeyed};

/// A denial, a pass, a law and a gap that hold every harmful character wherever a text stands.
async fn court() -> World {
    let mut world = World::new().await;
    let hostile = harmful();
    let law = json!({"title": hostile, "remediation": hostile, "subject": hostile, "severity": hostile,
        "category": hostile, "compliance": {&hostile: hostile}, "exceptionEligible": true});
    let attribution = json!({"enforcer": hostile, "policy": hostile, "rule": hostile, "result": "fail",
        "grade": "ambiguous", "doubt": hostile, "source": "responseStatus", "law": law});
    let public = json!({"kind": hostile, "notes": [hostile], "reason": hostile,
        "attributions": [attribution], "context": {"org": hostile, "repository": hostile}});
    let grown = format!("{hostile}{}", "x".repeat(30_000));
    let personal = json!({"name": hostile, "actor": {"username": hostile},
        "impersonator": {"username": hostile}, "messages": [grown], "text": grown,
        "event": {"auditID": hostile}});
    world.deny(0, public.clone(), personal.clone());
    let mut passed = public;
    passed["verdict"] = json!("excepted");
    passed["exceptions"] = json!([{"name": hostile, "namespace": hostile, "policy": hostile,
        "policyKind": hostile, "rules": [hostile], "evidence": "law"}]);
    let (passed, personal) = support::denial(1, &passed, &personal);
    world.add(Class::Pass, &passed, Some(&personal));
    world.add(
        Class::Gap,
        &json!({"id": "gap", "time": "2026-10-05T11:00:00Z", "from": hostile, "to": hostile,
            "source": hostile, "cause": hostile, "detail": hostile, "process": {"instance": hostile}}),
        None,
    );
    for (n, change) in [(1, "created"), (2, "changed")] {
        world.add(
            Class::Law,
            &json!({"id": format!("law-{n}"), "time": format!("2026-10-05T11:00:0{n}Z"),
                "apiVersion": "policies.kyverno.io/v1", "kind": hostile, "name": "policy",
                "namespace": "", "hash": n.to_string(), "change": change, "previous": "law-1",
                "summary": [hostile], "text": {&hostile: hostile, "n": n, "list": [hostile]}}),
            None,
        );
        world.add(
            Class::Amendment,
            &json!({"id": format!("made-{n}"), "time": "2026-10-05T11:00:09Z",
                "amends": format!("law-{n}"), "kind": "law-autogen", "autogen": {
                    "rules": [{"name": hostile}],
                    "configs": {&hostile: {"targets": [{"resource": hostile}]}}}}),
            None,
        );
    }
    world
}

#[track_caller]
fn harmless(outcome: &support::Outcome, arguments: &[&str]) {
    assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.err);
    let all = format!("{}{}", outcome.out, outcome.err);
    assert_eq!(obeyed(&all), None, "{arguments:?}");
    let forged = |line: &str| line.starts_with("ID fake");
    assert!(!all.lines().any(forged), "{arguments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_prints_a_character_that_a_terminal_obeys_or_hides_with() {
    let world = court().await;
    let one = id(0);
    for arguments in [
        &["list"][..],
        &["list", "--verdict", "excepted"],
        &["show", &one],
        &["show", &id(1)],
        &["why", &one],
        &["summary"],
        &["violations"],
        &["outcomes", "-n", "krate-org-acme"],
        &["law", "history", "policy"],
        &["law", "show", "law-2"],
        &["gaps"],
    ] {
        for form in ["table", "wide", "json", "jsonl", "yaml"] {
            let arguments = [arguments, &["-o", form]].concat();
            harmless(&world.run(&arguments), &arguments);
        }
    }
    for form in ["jsonl", "csv", "ocsf"] {
        let arguments = ["export", "-o", form];
        harmless(&world.run(&arguments), &arguments);
    }
    let verified = world.run(&["verify"]);
    harmless(&verified, &["verify"]);
    // What is written for programs reads back as it came.
    let listed: Value = serde_json::from_str(&world.run(&["list", "-o", "json"]).ok()).unwrap();
    assert_eq!(listed["items"][0]["actor"], harmful());
    let yaml = world.run(&["list", "-o", "yaml"]).ok();
    let listed: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(listed["items"][0]["actor"], harmful());
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_kubeconfig_it_is_the_same() {
    let world = court().await;
    let config = world.kubeconfig(&json!({"token": "admins-token"}));
    let environment = [("KUBECONFIG", config.as_str()), ("DOCKET_URL", "")];
    for arguments in [
        &["list"][..],
        &["show", &id(0)],
        &["law", "history", "policy"],
    ] {
        for form in ["wide", "json", "yaml"] {
            let arguments = [arguments, &["-o", form, "--context", "here"]].concat();
            harmless(&world.run_with(&arguments, &environment), &arguments);
        }
    }
}
