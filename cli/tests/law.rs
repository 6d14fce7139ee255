//! `docket law`, and the law of then under `docket show`.

mod support;

use docket_ledger::entry::Class;
use serde_json::{Value, json};
use support::{World, id};

fn law(n: u32, change: &str, action: &str) -> Value {
    let mut law = json!({
        "id": format!("law-{n}"), "time": format!("2026-10-05T11:00:0{n}Z"), "change": change,
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "namespace": "",
        "name": "require-pr-description", "hash": format!("h{n}"), "summary": [],
        "text": {"kind": "ValidatingPolicy", "metadata": {"name": "require-pr-description"},
            "spec": {"note": "\u{1b}[31m", "validationActions": [action]}},
    });
    if n > 1 {
        law["previous"] = format!("law-{}", n - 1).into();
        law["summary"] = json!(["validationActions: Deny → Audit"]);
    }
    law
}

async fn world() -> World {
    let mut world = World::new().await;
    world.add(Class::Law, &law(1, "first-seen", "Deny"), None);
    world.add(Class::Law, &law(2, "changed", "Audit"), None);
    let by = json!({"id": "by", "time": "2026-10-05T11:00:09Z", "amends": "law-2",
        "kind": "law-changed-by", "verb": "patch", "event": "e"});
    let actor = json!({"actor": {"username": "dana"}});
    world.add(Class::Amendment, &by, Some(&actor));
    let made = json!({"id": "made", "time": "2026-10-05T11:00:10Z", "amends": "law-1",
        "kind": "law-autogen", "autogen": {"configs": {"defaults": {"targets": [
            {"group": "apps", "resource": "deployments"}, {"group": "batch", "resource": "jobs"}]}}}});
    world.add(Class::Amendment, &made, None);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_policy_says_what_changed_and_who_did_it() {
    let world = world().await;
    let out = world
        .run(&["law", "history", "require-pr-description"])
        .ok();
    let head = "2026-10-05 11:00:02Z  changed  require-pr-description (ValidatingPolicy) by dana\n  \
                validationActions: Deny → Audit\n  law entry law-2\n";
    assert!(out.starts_with(head), "{out}");
    assert!(
        out.contains("  -    - Deny\n  +    - Audit\n") || out.contains("- Deny\n  +"),
        "{out}"
    );
    assert!(out.contains("first-seen  require-pr-description"), "{out}");
    let made = "  Kyverno made of it, for controllers of pods: deployments, jobs\n";
    assert_eq!(out.matches(made).count(), 1, "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
    let body = world
        .run(&["law", "history", "require-pr-description", "-o", "json"])
        .ok();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["items"].as_array().unwrap().len(), 2);
    world
        .run(&["law", "history", "none"])
        .fails(1, "no version of none is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_version_is_shown_in_full() {
    let world = world().await;
    let out = world.run(&["law", "show", "law-1"]).ok();
    assert!(out.contains("kind: ValidatingPolicy\n"), "{out}");
    assert!(out.contains("- Deny"), "{out}");
    world.run(&["law", "show", "law-9"]).fails(1, "no such law");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_shows_the_text_of_then() {
    let mut world = world().await;
    let attributions = json!([{"enforcer": "kyverno", "policy": "require-pr-description",
        "policyKind": "ValidatingPolicy", "result": "fail", "grade": "exact",
        "source": "responseStatus", "laws": ["law-1"]}]);
    world.deny(0, json!({"attributions": attributions}), json!({}));
    let out = world.run(&["show", &id(0)]).ok();
    assert!(
        out.contains(
            "Law         require-pr-description (ValidatingPolicy), as of 2026-10-05 11:00:01Z"
        ),
        "{out}"
    );
    assert!(out.contains("- Deny") && !out.contains("- Audit"), "{out}");
    assert!(out.contains("docket law show law-1"), "{out}");
}
