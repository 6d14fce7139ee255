use super::*;
use serde_json::{Value, json};

fn target(
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
) -> Target<'static> {
    Target {
        group,
        resource,
        subresource,
        namespace: "krate-org-acme",
        name: "x",
    }
}

fn vpol(spec: Value) -> Policy {
    let object = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "p", "uid": "u"}, "spec": spec});
    Policy::from_object(&object).unwrap()
}

#[test]
fn actions_are_deny_unless_said_otherwise() {
    assert!(vpol(json!({})).enforces);
    assert!(vpol(json!({"validationActions": []})).enforces);
    assert!(vpol(json!({"validationActions": ["Audit", "Deny"]})).enforces);
    let audit = vpol(json!({"validationActions": ["Audit"]}));
    assert!(!audit.enforces);
    assert_eq!(audit.law.mode, "audit");
}

#[test]
fn resource_rules_cover_as_the_api_server_matches() {
    let rules = |group: &str, resource: &str| {
        vpol(json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]}]}}))
    };
    let pr = target("krate.a5c.ai", "pullrequests", "");
    let status = target("krate.a5c.ai", "pullrequests", "status");
    for (group, resource, covers_main, covers_status) in [
        ("krate.a5c.ai", "pullrequests", true, false),
        ("krate.a5c.ai", "pullrequests/*", true, true),
        ("krate.a5c.ai", "pullrequests/status", false, true),
        ("*", "*", true, false),
        ("*", "*/*", true, true),
        ("apps", "*", false, false),
        ("krate.a5c.ai", "issues", false, false),
    ] {
        let policy = rules(group, resource);
        assert_eq!(policy.covers(&pr), covers_main, "{group} {resource}");
        assert_eq!(policy.covers(&status), covers_status, "{group} {resource}");
    }
    assert!(!vpol(json!({})).covers(&pr), "not readable");
}

#[test]
fn messages_are_known_only_where_all_are_fixed() {
    let policy = vpol(json!({"validations": [
        {"expression": "a", "message": "say more\n"}, {"expression": "b"}]}));
    assert!(policy.can_say("say more"));
    assert!(policy.can_say("CEL expression validation failed at index 1"));
    assert!(!policy.can_say("say more; Policy b failed: m"));
    let policy = vpol(json!({"validations": [
        {"message": "m"}, {"messageExpression": "object.spec.title"}]}));
    assert!(policy.can_say("anything"));
}

fn legacy(spec: Value) -> Policy {
    let object = json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
        "metadata": {"name": "p"}, "spec": spec});
    Policy::from_object(&object).unwrap()
}

#[test]
fn legacy_kinds_are_read_in_every_form() {
    for (kind, resource, subresource, covers) in [
        ("PullRequest", "pullrequests", "", true),
        (
            "krate.a5c.ai/v1alpha1/PullRequest",
            "pullrequests",
            "",
            true,
        ),
        ("krate.a5c.ai/*/PullRequest", "pullrequests", "", true),
        ("v1alpha1/PullRequest", "pullrequests", "", true),
        ("PullRequest/status", "pullrequests", "status", true),
        (
            "krate.a5c.ai/v1alpha1/PullRequest/status",
            "pullrequests",
            "status",
            true,
        ),
        ("PullRequest.status", "pullrequests", "status", true),
        ("*", "pullrequests", "", true),
        ("*/*", "pullrequests", "status", true),
        ("Widget", "widgets", "", true),
        ("apps/v1/PullRequest", "pullrequests", "", false),
        ("Issue", "pullrequests", "", false),
        ("PullRequest", "pullrequests", "status", false),
        ("Pull*", "pullrequests", "", true),
        ("Pull?equest", "pullrequests", "", true),
        ("*.a5c.ai/*/Pull*", "pullrequests", "", true),
        ("*.example/*/Pull*", "pullrequests", "", false),
        ("Push*", "pullrequests", "", false),
        ("Pull*", "pullrequests", "status", false),
        ("Pull*/st*", "pullrequests", "status", true),
        ("*/status", "pullrequests", "status", true),
        ("*/status", "pullrequests", "", false),
        ("*/PullRequest", "pullrequests", "", true),
        (
            "PullRequest.krate.a5c.ai/v1alpha1",
            "pullrequests",
            "",
            false,
        ),
    ] {
        for filter in ["any", "all"] {
            let policy = legacy(json!({"rules": [
                {"name": "r", "match": {filter: [{"resources": {"kinds": [kind]}}]}}]}));
            assert_eq!(
                policy.covers(&target("krate.a5c.ai", resource, subresource)),
                covers,
                "{kind}"
            );
        }
        let policy =
            legacy(json!({"rules": [{"name": "r", "match": {"resources": {"kinds": [kind]}}}]}));
        assert_eq!(
            policy.covers(&target("krate.a5c.ai", resource, subresource)),
            covers,
            "{kind}"
        );
    }
}

#[test]
fn legacy_failure_actions_are_read_at_both_levels() {
    let rule = |action: Value| json!([{"name": "r", "validate": action}]);
    assert!(
        legacy(json!({"validationFailureAction": "Enforce", "rules": rule(json!({}))})).enforces
    );
    assert!(
        legacy(json!({"validationFailureAction": "enforce", "rules": rule(json!({}))})).enforces
    );
    assert!(
        !legacy(json!({"validationFailureAction": "Audit", "rules": rule(json!({}))})).enforces
    );
    assert!(!legacy(json!({"rules": rule(json!({}))})).enforces);
    let own = rule(json!({"failureAction": "Enforce"}));
    assert!(legacy(json!({"validationFailureAction": "Audit", "rules": own})).enforces);
    let audit = rule(json!({"failureAction": "Audit"}));
    assert!(!legacy(json!({"validationFailureAction": "Enforce", "rules": audit})).enforces);
    let images = json!([{"name": "i", "verifyImages": [{"failureAction": "Enforce"}]}]);
    assert!(legacy(json!({"rules": images})).enforces);
    let mutate = json!([{"name": "m", "mutate": {"patchStrategicMerge": {}}}]);
    assert!(legacy(json!({"rules": mutate})).enforces);
    assert!(!legacy(json!({"failurePolicy": "Ignore", "rules": mutate})).enforces);
}

#[test]
fn a_namespaced_policy_judges_only_at_home() {
    let object = json!({"kind": "NamespacedValidatingPolicy", "metadata": {"name": "p", "namespace": "krate-org-globex"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "resources": ["*"]}]}}});
    let policy = Policy::from_object(&object).unwrap();
    assert!(!policy.covers(&target("krate.a5c.ai", "pullrequests", "")));
    let list = PolicyList {
        policies: vec![policy],
        synced: true,
        ..PolicyList::default()
    };
    let kinds = ["NamespacedValidatingPolicy"];
    assert_eq!(list.named(&kinds, "p", "krate-org-acme").count(), 0);
    assert_eq!(list.named(&kinds, "p", "krate-org-globex").count(), 1);
}

#[test]
fn what_a_policy_says_of_itself_is_taken_over() {
    let object = json!({"kind": "ClusterPolicy", "metadata": {"name": "p",
        "labels": {"nist-800-53": "CM-7", "control-plane": "no", "app": "kyverno"},
        "annotations": {
        "policies.kyverno.io/title": "T", "policies.kyverno.io/severity": "high",
        "policies.kyverno.io/subject": "Pod", "policies.kyverno.io/controls": "CC8.1",
        "pod-policies.kyverno.io/autogen-controllers": "none",
        "policies.kyverno.io/category": "C", "policies.kyverno.io/description": "D"}}, "spec": {}});
    let law = Policy::from_object(&object).unwrap().law;
    assert_eq!(
        (
            law.title.as_str(),
            law.severity.as_str(),
            law.category.as_str(),
            law.subject.as_str(),
            law.remediation.as_str()
        ),
        ("T", "high", "C", "Pod", "D")
    );
    let compliance: Vec<_> = law.compliance.into_iter().collect();
    assert_eq!(
        compliance,
        [
            ("nist-800-53".to_owned(), "CM-7".to_owned()),
            (
                "policies.kyverno.io/controls".to_owned(),
                "CC8.1".to_owned()
            ),
        ]
    );
}

#[test]
fn what_a_policy_says_of_itself_is_bounded() {
    let long = "x".repeat(10_000);
    let mut annotations = serde_json::Map::new();
    for n in 0..100 {
        annotations.insert(format!("example.com/cis-{n:03}"), json!(long));
    }
    annotations.insert("policies.kyverno.io/title".to_owned(), json!(long));
    annotations.insert(format!("cis/{long}"), json!("m"));
    let object = json!({"kind": "Policy", "metadata": {"name": "p", "annotations": annotations}});
    let law = Policy::from_object(&object).unwrap().law;
    assert_eq!(law.title.len(), 1024);
    assert_eq!(law.compliance.len(), 16);
    assert!(law.compliance.values().all(|value| value.len() == 256));
    assert!(law.compliance.contains_key("example.com/cis-000"));
}

#[test]
fn exceptions_can_name_kyvernos_policies_and_no_others() {
    for (kind, eligible) in [
        ("ClusterPolicy", true),
        ("NamespacedValidatingPolicy", true),
        ("MutatingPolicy", true),
        ("ValidatingAdmissionPolicy", false),
        ("MutatingAdmissionPolicy", false),
    ] {
        let object = json!({"kind": kind, "metadata": {"name": "p"}});
        let law = Policy::from_object(&object).unwrap().law;
        assert_eq!(law.exception_eligible, eligible, "{kind}");
    }
}

#[test]
fn other_objects_are_no_policies() {
    for object in [
        json!({}),
        json!(7),
        json!({"kind": "Pod", "metadata": {"name": "p"}}),
        json!({"kind": "Policy"}),
    ] {
        assert_eq!(Policy::from_object(&object), None);
    }
}

#[test]
fn a_rule_takes_in_what_kyverno_asks_about_by_itself() {
    let covers = |kind: &str, resource: &'static str| {
        let policy =
            legacy(json!({"rules": [{"name": "r", "match": {"resources": {"kinds": [kind]}}}]}));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        policy.covers(&target("", resource, subresource))
    };
    for kind in ["Pod", "v1/Pod", "*/Pod", "/v1/Pod", "*", "Po?", "P*"] {
        assert!(covers(kind, "pods/ephemeralcontainers"), "{kind}");
        assert!(!covers(kind, "pods/exec"), "{kind}");
    }
    for kind in ["Deployment", "apps/v1/Pod", "Pod/exec", "Pod/status"] {
        assert!(!covers(kind, "pods/ephemeralcontainers"), "{kind}");
    }
    assert!(covers("Service", "services/status"));
    assert!(!covers("Pod", "pods/status"));
    // Policies of before 1.9 name what is sent, not where.
    for (kind, resource) in [
        ("PodExecOptions", "pods/exec"),
        ("PodAttachOptions", "pods/attach"),
        ("v1/PodPortForwardOptions", "pods/portforward"),
        ("PodProxyOptions", "pods/proxy"),
        ("Binding", "pods/binding"),
        ("Eviction", "pods/eviction"),
        ("Pod/exec", "pods/exec"),
        ("Pod.eviction", "pods/eviction"),
    ] {
        assert!(covers(kind, resource), "{kind}");
        assert!(!covers(kind, "pods"), "{kind}");
    }
}

#[test]
fn patterns_take_in_what_they_say() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("a*c", "abbc", true),
        ("a*c", "abbd", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b", "ab ab", true),
        ("?", "", false),
        ("a?", "ab", true),
        ("AB", "ab", true),
        ("a", "ab", false),
        ("ab", "a", false),
    ] {
        assert_eq!(wildcard(pattern, text), fits, "{pattern} {text}");
    }
}
