use super::super::{Key, Table};
use super::*;
use docket_record::denial::Grade;
use docket_record::law::{Change, Kind, Object, Place, Shelves, Version};
use jiff::SignedDuration;
use serde_json::{Value, json};

const JUDGED: &str = "2026-11-22T10:00:00Z";

fn judged() -> Timestamp {
    JUDGED.parse().unwrap()
}

fn config() -> Config {
    Config {
        cluster: "test".into(),
        krate_group: "krate.a5c.ai".into(),
        label_prefix: "krate.a5c.ai/".into(),
        org_namespace_prefix: "krate-org-".into(),
        clock_tolerance: SignedDuration::ZERO,
    }
}

/// A report of one object that was let through at that time.
fn report() -> Arc<Kept> {
    let object = json!({"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {"name": "u1", "namespace": "krate-org-acme"},
        "scope": {"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "PullRequest",
            "namespace": "krate-org-acme", "name": "pr-1", "uid": "u1"},
        "results": [{"source": "KyvernoValidatingPolicy", "policy": "needs-ok", "result": "skip",
            "timestamp": {"seconds": judged().as_second(), "nanos": 0},
            "properties": {"exceptions": "let-jane", "process": "background scan"}}]});
    let mut table = Table::default();
    table.apply(Report::from_object(&object).unwrap());
    let key = Key {
        namespace: "krate-org-acme".into(),
        kind: "PolicyReport".into(),
        name: "u1".into(),
    };
    table.get(&key).unwrap()
}

fn policy(title: &str) -> Value {
    json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "needs-ok", "annotations": {"policies.kyverno.io/title": title}},
        "spec": {"validationActions": ["Deny"]}})
}

fn exception() -> Value {
    json!({"apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
        "metadata": {"name": "let-jane", "namespace": "kyverno"},
        "spec": {"policyRefs": [{"kind": "ValidatingPolicy", "name": "needs-ok"}]}})
}

/// Versions with their ids, each observed so many minutes after the object was judged.
fn laws(versions: Vec<(&str, i64, Option<Value>)>) -> Laws {
    let mut shelves = Shelves::default();
    for (id, minutes, object) in versions {
        let kind = if id.starts_with("exception") {
            "PolicyException"
        } else {
            "ValidatingPolicy"
        };
        let exception = kind == "PolicyException";
        let place = Place {
            kind: Kind::of("policies.kyverno.io", kind).unwrap(),
            namespace: if exception { "kyverno" } else { "" }.to_owned(),
            name: if exception { "let-jane" } else { "needs-ok" }.to_owned(),
        };
        let body = object.map(|object| Object::read(&object).unwrap().body);
        shelves.put(
            place,
            Version {
                id: id.to_owned(),
                at: judged() + SignedDuration::from_mins(minutes),
                after: None,
                change: match body {
                    Some(_) => Change::Changed,
                    None => Change::Deleted,
                },
                body: body.unwrap_or(docket_record::law::Body::Gone),
            },
        );
    }
    let laws = Laws::default();
    laws.publish(shelves.book(true));
    laws
}

fn seen(laws: &Laws) -> Sighting {
    let mut seen = sightings(&[report()], laws, &config());
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}

#[test]
fn a_report_is_held_against_the_law_of_the_time_at_which_it_judged() {
    // Since then the policy was changed, and the exception deleted.
    let seen = seen(&laws(vec![
        ("policy-1", -60, Some(policy("then"))),
        ("policy-2", 60, Some(policy("now"))),
        ("exception-1", -30, Some(exception())),
        ("exception-2", 30, None),
    ]));
    let owed = &seen.attribution;
    assert_eq!(
        (owed.grade, &owed.laws),
        (Some(Grade::Exact), &vec!["policy-1".to_owned()])
    );
    assert_eq!(owed.law.as_ref().unwrap().title, "then");
    assert_eq!(owed.policy_kind.as_deref(), Some("ValidatingPolicy"));
    let exception = &seen.exceptions[0];
    assert_eq!(
        (exception.namespace.as_str(), &exception.laws),
        ("kyverno", &vec!["exception-1".to_owned()])
    );
}

#[test]
fn a_report_of_about_the_time_of_a_change_names_both_versions() {
    let seen = seen(&laws(vec![
        ("policy-1", -60, Some(policy("then"))),
        ("policy-2", 0, Some(policy("now"))),
        ("exception-1", -30, Some(exception())),
    ]));
    let owed = &seen.attribution;
    assert_eq!(owed.grade, Some(Grade::Ambiguous));
    assert_eq!(owed.laws, ["policy-1", "policy-2"]);
}

#[test]
fn a_report_of_a_time_before_any_law_was_known_claims_none() {
    let seen = seen(&laws(vec![("policy-1", 60, Some(policy("now")))]));
    let owed = &seen.attribution;
    assert_eq!((owed.grade, owed.laws.len()), (Some(Grade::Ambiguous), 0));
    assert_eq!(owed.policy.as_deref(), Some("needs-ok"));
    assert_eq!(owed.doubt, "no such policy was known at the time");
}
