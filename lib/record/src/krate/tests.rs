use super::*;
use crate::review::Review;
use jiff::SignedDuration;
use serde_json::{Value, json};

fn config() -> Config {
    Config {
        cluster: "test".into(),
        krate_group: "krate.a5c.ai".into(),
        label_prefix: "krate.a5c.ai/".into(),
        org_namespace_prefix: "krate-org-".into(),
        clock_tolerance: SignedDuration::ZERO,
    }
}

fn context(resource: &str, namespace: &str, object: Value, old: Value) -> Context {
    let name = if object.is_null() { &old } else { &object }["metadata"]["name"].clone();
    let body = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u", "operation": "CREATE", "name": name, "namespace": namespace,
        "resource": {"group": "krate.a5c.ai", "version": "v1alpha1", "resource": resource},
        "object": object, "oldObject": old}})
    .to_string();
    Review::parse(body.as_bytes()).unwrap().context(&config())
}

#[test]
fn a_new_pull_request_only_claims_its_repository() {
    let object = json!({"metadata": {"name": "pr-1"}, "spec": {
        "organizationRef": "globex", "repository": "storefront"}});
    let found = context(
        "pullrequests",
        "krate-org-acme",
        object.clone(),
        Value::Null,
    );
    assert_eq!(
        found,
        Context {
            org: "acme".into(),
            repository: "storefront".into(),
            pull_request: "pr-1".into(),
            surface: "pr".into(),
            claimed: true,
            ..Context::default()
        }
    );
    // The stored one has been admitted: no claim.
    let mut changed = object.clone();
    changed["spec"]["repository"] = "other".into();
    let found = context("pullrequests", "krate-org-acme", changed, object);
    assert_eq!(
        (found.repository.as_str(), found.claimed),
        ("storefront", false)
    );
}

#[test]
fn outside_an_org_namespace_the_org_is_a_claim() {
    let object = json!({"metadata": {"name": "r", "labels": {"krate.a5c.ai/org": "acme"}}});
    let found = context("repositories", "shared", object, Value::Null);
    assert_eq!((found.org.as_str(), found.claimed), ("acme", true));
    let object = json!({"metadata": {"name": "r"}});
    let found = context("repositories", "krate-org-acme", object, Value::Null);
    assert_eq!((found.repository.as_str(), found.claimed), ("r", false));
}

#[test]
fn references_are_read_in_every_form_that_krate_writes() {
    for spec in [
        json!({"repository": "r"}),
        json!({"repoRef": {"name": "r"}}),
        json!({"repositories": ["r", "s"]}),
        json!({"repositoryRefs": [{"name": "r"}]}),
        json!({"repositoryRefs": ["x"], "repository": "r", "repoRef": "y"}),
    ] {
        let found = context(
            "issues",
            "n",
            json!({"metadata": {"name": "i"}, "spec": spec}),
            Value::Null,
        );
        assert_eq!(found.repository, "r", "{spec}");
    }
    for spec in [
        json!({"repository": 7}),
        json!({"repositories": []}),
        json!(["r"]),
        json!(null),
    ] {
        let found = context(
            "issues",
            "n",
            json!({"metadata": {"name": "i"}, "spec": spec}),
            Value::Null,
        );
        assert_eq!(found.repository, "", "{spec}");
    }
}

#[test]
fn a_deploy_pipeline_says_run_and_environment() {
    let object = json!({"metadata": {"name": "storefront-abc", "labels": {"environment": "prod"}},
        "spec": {"repository": "storefront", "pullRequest": "pr-1"}});
    let found = context("pipelines", "krate-org-acme", object, Value::Null);
    assert_eq!(found.run, "storefront-abc");
    assert_eq!(found.environment, "prod");
    assert_eq!(found.pull_request, "pr-1");
    assert_eq!(found.surface, "run");
}

#[test]
fn values_are_cut_at_a_character_and_before_control_characters() {
    assert_eq!(value(&"ü".repeat(40)).len(), 62);
    assert_eq!(value("a\u{1b}[2J"), "a");
}

#[test]
fn kinds_and_plurals_go_both_ways() {
    for (plural_name, kind_name, _) in KINDS {
        assert_eq!(kind(plural_name), *kind_name);
        assert_eq!(plural(kind_name), *plural_name);
    }
    for (kind_name, plural_name) in [
        ("Ingress", "ingresses"),
        ("NetworkPolicy", "networkpolicies"),
        ("Gateway", "gateways"),
        ("ConfigMap", "configmaps"),
        ("Batch", "batches"),
    ] {
        assert_eq!(plural(kind_name), plural_name);
    }
    assert_eq!(kind("widgets"), "widgets");
}
