mod older;

use super::*;
use crate::audit::{Cut, Status};
use crate::law::{AWAY, LawBook, Object};
use crate::verdict::refusal;
use proptest::prelude::*;
use serde_json::{Value, json};

const VPOL: &str = "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: ";

fn cel(kind: &str, name: &str, validations: Value) -> Policy {
    let object = json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"matchConstraints": {"resourceRules": [{
            "apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"], "resources": ["*"]}]},
            "validations": validations},
    });
    Policy::from_object(&object).unwrap()
}

fn fixed(name: &str, message: &str) -> Policy {
    cel(
        "ValidatingPolicy",
        name,
        json!([{"expression": "x", "message": message}]),
    )
}

fn computed(name: &str) -> Policy {
    cel(
        "ValidatingPolicy",
        name,
        json!([{"expression": "x", "messageExpression": "object.spec.title"}]),
    )
}

fn synced(policies: Vec<Policy>) -> PolicyList {
    PolicyList {
        policies,
        synced: true,
        ..PolicyList::default()
    }
}

fn target() -> Target<'static> {
    Target {
        group: "krate.a5c.ai",
        resource: "pullrequests",
        subresource: "",
        namespace: "krate-org-acme",
        name: "pr-1",
    }
}

fn read(message: &str, policies: &PolicyList) -> Vec<Owed> {
    read_of(message, policies, target())
}

fn read_of(message: &str, policies: &PolicyList, target: Target<'_>) -> Vec<Owed> {
    let cut = Cut::at(message, Cut::MESSAGE_LIMIT);
    let law = Law {
        policies,
        target,
        cut: cut.whole.is_some(),
    };
    attribute(
        &refusal(&Status {
            message: Some(cut),
            ..Status::default()
        }),
        &law,
    )
}

/// (policy, rule, message, exact) of each.
fn brief(owed: &[Owed]) -> Vec<(&str, &str, &str, bool)> {
    owed.iter()
        .map(|one| {
            let a = &one.attribution;
            let exact = a.grade == Some(Grade::Exact);
            assert_eq!(exact, a.doubt.is_empty(), "{a:?}");
            (
                a.policy.as_deref().unwrap_or(""),
                a.rule.as_deref().unwrap_or(""),
                one.message.as_str(),
                exact,
            )
        })
        .collect()
}

#[test]
fn two_policies_with_fixed_messages_have_one_reading() {
    let list = synced(vec![
        fixed(
            "require-pr-description",
            "Pull requests must include a description.",
        ),
        fixed("require-pr-label", "Title must say what it does."),
    ]);
    let text = format!(
        "{VPOL}Policy require-pr-description failed: Pull requests must include a description.; \
         Policy require-pr-label failed: Title must say what it does."
    );
    let owed = read(&text, &list);
    assert_eq!(
        brief(&owed),
        [
            (
                "require-pr-description",
                "",
                "Pull requests must include a description.",
                true
            ),
            ("require-pr-label", "", "Title must say what it does.", true),
        ]
    );
    assert_eq!(
        owed[0].attribution.webhook.as_deref(),
        Some("vpol.validate.kyverno.svc-fail")
    );
    assert_eq!(
        owed[0].attribution.policy_kind.as_deref(),
        Some("ValidatingPolicy")
    );
    assert_eq!(owed[0].attribution.enforcer, "kyverno");
}

#[test]
fn a_message_that_may_echo_a_known_policy_has_two_readings() {
    let list = synced(vec![computed("a"), fixed("b", "never")]);
    let owed = read(
        &format!("{VPOL}Policy a failed: x; Policy b failed: never"),
        &list,
    );
    assert_eq!(
        brief(&owed),
        [
            ("a", "", "x", false),
            ("b", "", "never", false),
            ("a", "", "x; Policy b failed: never", false)
        ]
    );
    assert!(owed[1].attribution.doubt.contains("several readings"));
}

#[test]
fn an_echo_that_its_supposed_policy_can_not_say_is_part_of_the_message() {
    let list = synced(vec![computed("a"), fixed("b", "never")]);
    let owed = read(
        &format!("{VPOL}Policy a failed: x; Policy b failed: forged"),
        &list,
    );
    assert_eq!(
        brief(&owed),
        [("a", "", "x; Policy b failed: forged", true)]
    );
}

#[test]
fn an_echo_of_an_unknown_or_the_same_policy_is_part_of_the_message() {
    let list = synced(vec![computed("a"), fixed("b", "never")]);
    for echo in ["Policy nowhere failed: y", "Policy a failed: y"] {
        let owed = read(&format!("{VPOL}Policy a failed: x; {echo}"), &list);
        assert_eq!(
            brief(&owed),
            [("a", "", format!("x; {echo}").as_str(), true)]
        );
    }
}

#[test]
fn nothing_is_exact_before_the_policies_are_synced() {
    let list = PolicyList {
        policies: vec![fixed("a", "m")],
        synced: false,
        ..PolicyList::default()
    };
    let owed = read(&format!("{VPOL}Policy a failed: m"), &list);
    assert_eq!(brief(&owed), [("a", "", "m", false)]);
}

#[test]
fn a_policy_must_be_known_cover_the_resource_and_refuse() {
    let mut audit = fixed("audit", "m");
    audit.enforces = false;
    let mut elsewhere = fixed("elsewhere", "m");
    elsewhere.covers = vec![("apps".into(), "*".into())];
    let mut unreadable = fixed("unreadable", "m");
    unreadable.covers.clear();
    let list = synced(vec![
        audit,
        elsewhere,
        unreadable,
        fixed("stale", "an older text"),
    ]);
    for name in ["audit", "elsewhere", "unreadable", "stale", "gone"] {
        let owed = read(&format!("{VPOL}Policy {name} failed: m"), &list);
        assert_eq!(brief(&owed), [(name, "", "m", false)], "{name}");
    }
}

#[test]
fn an_error_of_a_policy_is_told_from_a_failure() {
    let list = synced(vec![fixed("p", "m")]);
    let text = format!("{VPOL}Policy p error: failed to load context: no such key: foo");
    let owed = read(&text, &list);
    assert_eq!(
        brief(&owed),
        [("p", "", "failed to load context: no such key: foo", true)]
    );
    assert_eq!(owed[0].attribution.result, "error");
}

#[test]
fn every_form_of_a_kyverno_hooks_name_is_known() {
    for (name, only) in [
        ("vpol.validate.kyverno.svc-fail", None),
        ("vpol.validate.kyverno.svc-ignore", None),
        ("vpol.validate.kyverno.svc-fail-1a2b3c4d", None),
        (
            "vpol.validate.kyverno.svc-fail-finegrained-check-labels",
            Some("check-labels"),
        ),
        (
            "nvpol.validate.kyverno.svc-fail-finegrained-ns-p",
            Some("ns-p"),
        ),
        (
            "ivpol.validate.kyverno.svc-fail-finegrained-check-signed-images",
            Some("check-signed-images"),
        ),
        ("ivpol.mutate.kyverno.svc-fail", None),
        ("mpol.validate.kyverno.svc-fail", None),
        ("validate.kyverno.svc-ignore-finegrained-x", Some("x")),
        ("mutate.kyverno.svc-fail", None),
        ("validate-policy.kyverno.svc", None),
        ("kyverno-svc.kyverno.svc", None),
        ("kyverno-cleanup-controller.kyverno.svc", None),
    ] {
        let hook = kyverno::hook(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(hook.only, only, "{name}");
    }
    for name in [
        "validate.gatekeeper.sh",
        "vpol.validate.kyverno.svc.evil",
        "evil.kyverno.svc-fail",
    ] {
        assert_eq!(kyverno::hook(name), None, "{name}");
    }
}

#[test]
fn a_hook_for_one_policy_names_it_where_the_text_does_not() {
    let list = synced(vec![fixed("only", "m")]);
    let text = "admission webhook \"vpol.validate.kyverno.svc-fail-finegrained-only\" denied the \
                request: A kyverno managed resource can only be modified by kyverno";
    let owed = read(text, &list);
    assert_eq!(brief(&owed)[0].0, "only");
    assert!(!brief(&owed)[0].3);
}

fn legacy(name: &str, rules: &[&str]) -> Policy {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({"name": rule, "validate": {"failureAction": "Enforce"},
                "match": {"any": [{"resources": {"kinds": ["PullRequest"]}}]}})
        })
        .collect();
    let object = json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
        "metadata": {"name": name}, "spec": {"rules": rules}});
    Policy::from_object(&object).unwrap()
}

const BLOCK: &str = "admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource \
    PullRequest/krate-org-acme/pr-5 was blocked due to the following policies \n\n";

#[test]
fn the_legacy_block_is_read_as_yaml_folded_or_not() {
    let list = synced(vec![
        legacy("fork-runs-untrusted", &["fork-needs-untrusted"]),
        legacy("two", &["a", "autogen-b"]),
    ]);
    let text = format!(
        "{BLOCK}fork-runs-untrusted:\n  fork-needs-untrusted: 'validation error: The label `x`\n    is \
         required. rule fork-needs-untrusted failed at path /spec/trustTier/'\ntwo:\n  a: one\n  \
         autogen-b: \"t\\u00fcr; Policy z failed: \"\n"
    );
    let owed = read(&text, &list);
    assert_eq!(
        brief(&owed),
        [
            (
                "fork-runs-untrusted",
                "fork-needs-untrusted",
                "validation error: The label `x` is required. rule fork-needs-untrusted failed at path /spec/trustTier/",
                true
            ),
            ("two", "a", "one", true),
            ("two", "autogen-b", "tür; Policy z failed: ", true),
        ]
    );
}

#[test]
fn a_deployment_refused_by_a_policy_on_pods_is_exact() {
    let mut made = cel("ValidatingPolicy", "pods", json!([]));
    made.covers = vec![("".into(), "pods".into())];
    let object = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "made"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "validations": [{"message": "object.spec.hostNetwork is not allowed"}]},
        "status": {"autogen": {"configs": {"defaults": {
            "targets": [{"group": "apps", "version": "v1", "resource": "deployments", "kind": "Deployment"}],
            "spec": {"validations": [{"message": "object.spec.template.spec.hostNetwork is not allowed"}]}}}}}});
    let rule = |name: &str, kind: &str| {
        json!({"name": name, "validate": {"failureAction": "Enforce"},
            "match": {"any": [{"resources": {"kinds": [kind]}}]}})
    };
    let old = json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "old"},
        "spec": {"rules": [rule("r", "Pod")]},
        "status": {"autogen": {"rules": [rule("autogen-r", "Deployment"), rule("autogen-cronjob-r", "CronJob")]}}});
    let list = synced(vec![
        made,
        Policy::from_object(&object).unwrap(),
        Policy::from_object(&old).unwrap(),
    ]);
    let deployment = Target {
        group: "apps",
        resource: "deployments",
        ..target()
    };
    let cases = [
        (
            format!(
                "{VPOL}Policy made failed: object.spec.template.spec.hostNetwork is not allowed"
            ),
            true,
        ),
        // Made for no controllers; another rule's name; one that covers something else.
        (format!("{VPOL}Policy pods failed: m"), false),
        (format!("{BLOCK}old:\n  autogen-r: m\n"), true),
        (format!("{BLOCK}old:\n  autogen-other: m\n"), false),
        (format!("{BLOCK}old:\n  autogen-cronjob-r: m\n"), false),
        (format!("{BLOCK}old:\n  r: m\n"), false),
    ];
    for (text, exact) in cases {
        let owed = read_of(&text, &list, deployment);
        assert_eq!(brief(&owed)[0].3, exact, "{text}: {owed:?}");
    }
}

#[test]
fn a_rule_that_only_audits_is_not_what_a_block_is_owed_to() {
    let rule = |name: &str, action: &str| {
        json!({"name": name, "validate": {"failureAction": action},
            "match": {"any": [{"resources": {"kinds": ["PullRequest"]}}]}})
    };
    let object = json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "p"},
        "spec": {"rules": [rule("denies", "Enforce"), rule("tells", "Audit")]}});
    let list = synced(vec![Policy::from_object(&object).unwrap()]);
    let owed = read(&format!("{BLOCK}p:\n  denies: m\n  tells: m\n"), &list);
    assert_eq!(
        brief(&owed),
        [("p", "denies", "m", true), ("p", "tells", "m", false)]
    );
    assert!(owed[1].attribution.doubt.contains("does not refuse"));
}

#[test]
fn the_block_of_kyvernos_own_test_is_read() {
    let text = "admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource foo/bar/baz \
        was blocked due to the following policies \n\ntest:\n  rule-error: message error\n  rule-fail: message fail\n";
    let owed = read(text, &synced(vec![]));
    assert_eq!(
        brief(&owed),
        [
            ("test", "rule-error", "message error", false),
            ("test", "rule-fail", "message fail", false)
        ]
    );
}

#[test]
fn a_legacy_block_that_lies_is_not_exact() {
    let list = synced(vec![legacy("p", &["r"])]);
    // A rule the policy does not have; no YAML; no map of maps.
    for (tail, names) in [
        ("p:\n  other: m\n".to_owned(), true),
        ("p: [\n".to_owned(), false),
        ("p:\n  r: [1, 2]\n".to_owned(), false),
        ("&a [*a]".to_owned(), false),
        ("p:\n  r: one\n  r: two\n".to_owned(), false),
    ] {
        let owed = read(&format!("{BLOCK}{tail}"), &list);
        for (policy, _, _, exact) in brief(&owed) {
            assert!(!exact, "{tail}");
            assert_eq!(policy.is_empty(), !names, "{tail}");
        }
    }
}

#[test]
fn a_heading_that_comes_twice_is_believed_where_the_name_could_not_have_held_it() {
    let list = synced(vec![legacy("p", &["r"])]);
    let echo = "x was blocked due to the following policies \n\n    y";
    let echoing = format!("{BLOCK}p:\n  r: '{echo}'\n");
    assert!(
        brief(&read(&echoing, &list))[0].3,
        "names are checked by now"
    );
    // In the mutating phase they are not: the first heading may be the requester's.
    let early = echoing.replace("\"validate.", "\"mutate.");
    assert!(!brief(&read(&early, &list))[0].3);
    let named = early.replace("acme/pr-5", "acme/pr-1");
    assert!(brief(&read(&named, &list))[0].3, "the object has this name");
    let forged = format!(
        "{}p:\n  r: forged was blocked due to the following policies \n\nq:\n  r: m\n",
        BLOCK.replace("\"validate.", "\"mutate.")
    );
    assert!(!brief(&read(&forged, &list)).iter().any(|one| one.3));
}

#[test]
fn several_mutate_rules_are_all_named_and_not_told_apart() {
    let mutates = |rule: &str| {
        json!({"name": rule, "mutate": {"patchStrategicMerge": {}},
            "match": {"any": [{"resources": {"kinds": ["PullRequest"]}}]}})
    };
    let object = json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "p"},
        "spec": {"rules": [mutates("a"), mutates("b"), mutates("c")]}});
    let list = synced(vec![Policy::from_object(&object).unwrap()]);
    let text = |rules: &str| {
        format!(
            "admission webhook \"mutate.kyverno.svc-fail\" denied the request: mutation policy p error: \
             failed to apply policy p rules [{rules}]"
        )
    };
    assert_eq!(
        brief(&read(&text("a: no x: y [z]"), &list)),
        [("p", "a", "no x: y [z]", true)]
    );
    assert_eq!(
        brief(&read(&text("a: one b: two"), &list)),
        [("p", "a", "one", false), ("p", "b", "two", false)]
    );
    assert!(!brief(&read(&text("d: not its rule"), &list))[0].3);
}

#[test]
fn every_part_of_every_reading_is_told_up_to_a_bound() {
    let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    let list = synced(names.iter().map(|name| computed(name)).collect());
    let text: Vec<String> = names
        .iter()
        .map(|name| format!("Policy {name} failed: m"))
        .collect();
    let owed = read(&format!("{VPOL}{}", text[..3].join("; ")), &list);
    let parts: Vec<&str> = owed.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        parts,
        [
            "m",
            "m",
            "m",
            "m; Policy p1 failed: m",
            "m; Policy p1 failed: m; Policy p2 failed: m",
            "m; Policy p2 failed: m",
        ]
    );
    let owed = read(&format!("{VPOL}{}", text.join("; ")), &list);
    assert_eq!(owed.len(), 16);
    assert!(brief(&owed).iter().all(|one| !one.3));
}

#[test]
fn a_block_that_was_cut_still_names_its_whole_policies() {
    let list = synced(vec![legacy("a", &["r"]), legacy("b", &["r"])]);
    let long = "x".repeat(Cut::MESSAGE_LIMIT);
    let owed = read(&format!("{BLOCK}a:\n  r: short\nb:\n  r: {long}\n"), &list);
    assert_eq!(brief(&owed), [("a", "r", "short", false)]);
}

#[test]
fn a_cel_text_that_was_cut_is_not_exact() {
    let list = synced(vec![computed("a"), computed("b")]);
    let long = "x".repeat(Cut::MESSAGE_LIMIT);
    let owed = read(
        &format!("{VPOL}Policy a failed: {long}; Policy b failed: m"),
        &list,
    );
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].attribution.grade, Some(Grade::Ambiguous));
}

#[test]
fn mutate_rules_and_mutating_policies_are_named() {
    let list = synced(vec![
        legacy("add-label", &["r1"]),
        cel("MutatingPolicy", "defaults", json!([])),
    ]);
    let owed = read(
        "admission webhook \"mutate.kyverno.svc-fail\" denied the request: mutation policy add-label \
         error: failed to apply policy add-label rules [r1: variable not found]",
        &list,
    );
    assert_eq!(brief(&owed)[0].0, "add-label");
    assert_eq!(brief(&owed)[0].1, "r1");
    let owed = read(
        "admission webhook \"mpol.validate.kyverno.svc-fail\" denied the request: Resource: \
         krate-org-acme/pr-1, Kind: PullRequest, Errors: [Policy defaults: failed to evaluate policy: boom]",
        &list,
    );
    assert_eq!(brief(&owed), [("defaults", "", "boom", true)]);
}

#[test]
fn a_policy_object_refused_by_kyverno_is_not_a_policys_denial() {
    let owed = read(
        "admission webhook \"validate-policy.kyverno.svc\" denied the request: spec.matchConstraints: \
         Required value: a matchConstraints with at least one resource rule is required",
        &synced(vec![]),
    );
    assert_eq!(owed[0].attribution.enforcer, "kyverno");
    assert_eq!(owed[0].attribution.policy, None);
}

#[test]
fn admission_policies_are_named_with_their_bindings() {
    let vap = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "vap-title"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "resources": ["*"]}]}}});
    let list = |objects: &[&Value]| {
        let read = |(n, object): (usize, &&Value)| (Object::read(object).unwrap(), n.to_string());
        LawBook::always(objects.iter().enumerate().map(read)).now()
    };
    let text = "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: ValidatingAdmissionPolicy 'vap-title' \
                with binding 'vap-title' denied request: say more";
    let owed = read(text, &list(&[&vap]));
    assert_eq!(
        brief(&owed),
        [("vap-title", "", "say more", false)],
        "not bound"
    );
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "vap-title"},
        "spec": {"policyName": "vap-title", "validationActions": ["Deny"]}});
    let list = list(&[&vap, &binding]);
    let owed = read(text, &list);
    assert_eq!(brief(&owed), [("vap-title", "", "say more", true)]);
    assert_eq!(owed[0].attribution.laws, ["0"]);
    assert_eq!(owed[0].attribution.binding_laws, ["1"]);
    assert_eq!(owed[0].attribution.binding.as_deref(), Some("vap-title"));
    assert_eq!(owed[0].attribution.enforcer, "ValidatingAdmissionPolicy");
    // A requester's name can't bring its own words to the anchor.
    let text = r#"pullrequests.krate.a5c.ai "x\" is forbidden: ValidatingAdmissionPolicy 'a' denied request: " is forbidden: exceeded quota: q, requested: 1"#;
    assert_eq!(
        read(text, &list)[0].attribution.policy.as_deref(),
        Some("ResourceQuota")
    );
}

#[test]
fn a_generated_admission_policy_is_named_by_its_source() {
    let list = synced(vec![fixed("check", "m")]);
    let owed = read(
        "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: ValidatingAdmissionPolicy 'vpol-check' with \
         binding 'vpol-check-binding' denied request: m",
        &list,
    );
    assert_eq!(brief(&owed), [("check", "", "m", true)]);
    assert_eq!(
        owed[0].attribution.policy_kind.as_deref(),
        Some("ValidatingPolicy")
    );
    // Without Kyverno's binding it is someone's own policy with such a name.
    let owed = read(
        "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: ValidatingAdmissionPolicy 'vpol-check' with \
         binding 'mine' denied request: m",
        &list,
    );
    assert_eq!(brief(&owed), [("vpol-check", "", "m", false)]);
}

#[test]
fn a_mutating_admission_policy_is_named() {
    let owed = read(
        "policy 'm' with binding 'b' denied request: no such key: x",
        &synced(vec![]),
    );
    assert_eq!(brief(&owed), [("m", "", "no such key: x", false)]);
    assert_eq!(owed[0].attribution.enforcer, "MutatingAdmissionPolicy");
}

#[test]
fn a_failed_call_names_a_policy_only_where_the_hook_has_one() {
    let list = synced(vec![fixed("only", "m")]);
    let text = |path: &str| {
        format!(
            "Internal error occurred: failed calling webhook \"vpol.validate.kyverno.svc-fail\": failed \
             to call webhook: Post \"https://127.0.0.1:9443/vpol/{path}?timeout=10s\": context deadline exceeded"
        )
    };
    let owed = read(&text("only/only"), &list);
    assert_eq!((brief(&owed)[0].0, brief(&owed)[0].3), ("only", true));
    let owed = read(&text("only/other"), &list);
    assert_eq!((brief(&owed)[0].0, brief(&owed)[0].3), ("", false));
    let owed = read(
        "Internal error occurred: failed calling webhook \"x.example.com\": boom",
        &list,
    );
    assert_eq!(owed[0].attribution.enforcer, "webhook");
    assert_eq!(
        owed[0].attribution.webhook.as_deref(),
        Some("x.example.com")
    );
}

#[test]
fn other_webhooks_and_unknown_words_say_who_they_are() {
    let none = synced(vec![]);
    let owed = read(
        "admission webhook \"validation.gatekeeper.sh\" denied the request: [x] no",
        &none,
    );
    assert_eq!(owed[0].attribution.enforcer, "webhook");
    let owed = read(
        "admission webhook \"a.b.c\" denied the request without explanation",
        &none,
    );
    assert_eq!(
        (
            owed[0].attribution.enforcer.as_str(),
            owed[0].message.as_str()
        ),
        ("webhook", "")
    );
    let owed = read("something new", &none);
    assert_eq!(owed[0].attribution.enforcer, "unrecognised");
    let owed = read(
        "deployments.apps \"d\" is forbidden: expression '2 / 0 == 1' resulted in error: division by zero",
        &none,
    );
    assert_eq!(
        owed[0].attribution.policy.as_deref(),
        Some("matchConditions")
    );
}

proptest! {
    #[test]
    fn no_text_makes_attribution_panic_or_leaves_it_empty(
        hook in prop_oneof![
            Just("vpol.validate.kyverno.svc-fail"), Just("validate.kyverno.svc-fail"),
            Just("mpol.validate.kyverno.svc-fail"), Just("x.y.z"),
        ],
        said in "(Policy [ab] (failed|error): |; |\\PC|\n\n|resource a/b/c was blocked due to the following policies \n\n|a:\n  b: ){0,12}",
    ) {
        let list = synced(vec![computed("a"), fixed("b", "m"), legacy("a", &["b"])]);
        let owed = read(&format!("admission webhook \"{hook}\" denied the request: {said}"), &list);
        prop_assert!(!owed.is_empty());
    }

    #[test]
    fn an_echoing_message_never_makes_another_policy_exact(message in "[a-z ;:]{0,20}(; Policy b failed: [a-z;]{0,5}){1,3}") {
        let list = synced(vec![computed("a"), computed("b")]);
        let owed = read(&format!("{VPOL}Policy a failed: {message}"), &list);
        for (policy, _, _, exact) in brief(&owed) {
            prop_assert!(!(policy == "b" && exact));
        }
    }
}

#[test]
fn a_hook_that_failed_open_is_owed_to_the_configuration_that_registers_it() {
    use crate::policies::Configuration;
    let list = PolicyList {
        configurations: vec![
            Configuration {
                hooks: vec!["guard.example".into(), "other.example".into()],
                law_id: "law-of-guard".into(),
                ..Configuration::default()
            },
            Configuration {
                hooks: vec!["third.example".into()],
                law_id: "law-of-third".into(),
                ..Configuration::default()
            },
        ],
        synced: true,
        ..PolicyList::default()
    };
    let law = Law {
        policies: &list,
        target: Target::default(),
        cut: false,
    };
    let owed = failed_open("guard.example", &law);
    assert_eq!(owed.attribution.laws, ["law-of-guard"]);
    assert_eq!(owed.attribution.policy, None);
    assert_eq!(owed.attribution.grade, Some(Grade::Ambiguous));
    assert!(
        failed_open("gone.example", &law)
            .attribution
            .laws
            .is_empty()
    );
}

#[test]
fn a_policy_that_has_just_changed_is_named_in_both_versions_and_not_exactly() {
    let version = |id: &str, policy: Policy| Policy {
        law_id: id.into(),
        ..policy
    };
    let text = "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: \
                Policy check failed: m";
    let before = version("law-1", fixed("check", "m"));
    let mut after = version("law-2", fixed("check", "m"));
    after.enforces = false;
    let owed = read(text, &synced(vec![before.clone()]));
    assert_eq!(brief(&owed), [("check", "", "m", true)]);
    assert_eq!(owed[0].attribution.laws, ["law-1"]);
    let owed = read(text, &synced(vec![before.clone(), after]));
    assert_eq!(brief(&owed), [("check", "", "m", false)]);
    assert_eq!(owed[0].attribution.laws, ["law-1", "law-2"]);
    assert_eq!(owed[0].attribution.doubt, EITHER);
    // A generated policy is as sure as the one that it was generated from.
    let mut doubted = before;
    doubted.doubt = Some(AWAY);
    let text = "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: ValidatingAdmissionPolicy \
                'vpol-check' with binding 'vpol-check-binding' denied request: m";
    let owed = read(text, &synced(vec![doubted]));
    assert_eq!(brief(&owed), [("check", "", "m", false)]);
}
