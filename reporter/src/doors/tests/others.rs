//! Who else denied: what readers are told before, and after it was decided.

use super::world::{Denial, World, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};

async fn others(world: &World, n: u32) -> Value {
    let path = format!("/api/policy-denials/{}", id(n));
    world.get("admin", &path).await.json()["others"].clone()
}

fn denier(n: u32, times: u32, policy: &str, grade: &str) -> Value {
    json!({"id": format!("w{n}-{times}"), "time": "2026-10-05T12:10:00Z", "amends": id(n),
           "kind": "other-denier", "attribution": {"enforcer": "kyverno",
           "policyKind": "ClusterPolicy", "policy": policy, "rule": "r", "result": "fail",
           "grade": grade, "source": "kyvernoEvent"}})
}

fn state(n: u32, kind: &str, state: &str) -> Value {
    json!({"id": format!("{kind}-{n}"), "time": "2026-10-05T12:11:00Z", "amends": id(n),
           "kind": kind, "state": state})
}

#[tokio::test]
async fn a_denial_waits_then_has_others_or_none_or_is_not_known() {
    let mut world = World::new();
    for n in 0..4 {
        world.deny(&Denial::new(n));
    }
    assert_eq!(others(&world, 0).await["state"], "pending");
    let said = json!({"message": "Name a secret."});
    world.add(
        Class::Amendment,
        &denier(1, 1, "signing", "exact"),
        Some(&said),
    );
    assert_eq!(others(&world, 1).await["state"], "pending");
    assert_eq!(
        others(&world, 1).await["attributions"][0]["policy"],
        "signing"
    );
    world.add(
        Class::Amendment,
        &denier(1, 2, "signing", "ambiguous"),
        Some(&said),
    );
    world.add(Class::Amendment, &state(2, "others", "not-known"), None);
    world.add(
        Class::Amendment,
        &state(2, "others-through", "none-seen"),
        None,
    );
    assert_eq!(
        others(&world, 0).await,
        json!({"state": "none-seen", "attributions": []})
    );
    let seen = others(&world, 1).await;
    assert_eq!(seen["state"], "seen");
    assert_eq!(seen["attributions"].as_array().unwrap().len(), 1);
    assert_eq!(seen["attributions"][0]["grade"], "ambiguous");
    assert_eq!(seen["attributions"][0]["message"], "Name a secret.");
    assert_eq!(others(&world, 2).await["state"], "not-known");
    assert!(others(&world, 2).await["why"].is_string());
    // The round did not reach it.
    assert_eq!(others(&world, 3).await["state"], "pending");
}

#[tokio::test]
async fn what_the_order_of_admission_tells_needs_no_waiting() {
    let mut world = World::new();
    let by = |enforcer: &str| {
        json!({"attributions": [{"enforcer": enforcer, "policy": "p", "result": "fail",
               "grade": "exact", "source": "responseStatus"}]})
    };
    world.deny(&Denial::new(0).public(by("ValidatingAdmissionPolicy")));
    world.deny(&Denial::new(1).public(by("kube-apiserver")));
    world.deny(&Denial::new(2).public(by("webhook")));
    assert_eq!(others(&world, 0).await["state"], "not-known");
    assert_eq!(others(&world, 1).await["state"], "none-seen");
    assert_eq!(others(&world, 2).await["state"], "pending");
    world.add(
        Class::Amendment,
        &state(2, "others-through", "none-seen"),
        None,
    );
    assert_eq!(others(&world, 2).await["state"], "not-known");
    let (public, personal) = Denial::new(3)
        .public(json!({"verdict": "failedOpen"}))
        .parts();
    world.add(Class::Pass, &public, Some(&personal));
    assert_eq!(others(&world, 3).await, Value::Null);
}
