//! Texts of Kyverno before 1.12, and of other enforcers: imports bring years of them.

use super::*;

/// Every form of heading between 1.3 and 1.19, and whether it speaks of errors alone.
const HEADINGS: [(&str, bool); 7] = [
    (
        "\n\nresource Pod/krate-org-acme/p was blocked due to the following policies\n\n",
        false,
    ),
    (
        "\n\nresource Pod/krate-org-acme/p was blocked due to the following policies \n\n",
        false,
    ),
    (
        "\n\npolicy Pod/krate-org-acme/p for resource violation: \n\n",
        false,
    ),
    (
        "\n\npolicy Pod/krate-org-acme/p for resource violations: \n\n",
        false,
    ),
    (
        "\n\npolicy Pod/krate-org-acme/p for resource error: \n\n",
        true,
    ),
    (
        "\n\npolicy Pod/krate-org-acme/p for resource errors: \n\n",
        true,
    ),
    (
        "\n\nresource Pod/krate-org-acme/p for resource violation: \n\n",
        false,
    ),
];

/// What a hook of Kyverno's for legacy policies said.
fn block(hook: &str, said: &str) -> String {
    format!("admission webhook \"{hook}.kyverno.svc-fail\" denied the request: {said}")
}

#[test]
fn every_heading_since_1_3_is_read() {
    let list = synced(vec![legacy("team", &["is-named"]), legacy("tags", &["t"])]);
    for (heading, errors) in HEADINGS {
        let said = format!("{heading}tags:\n  t: m\nteam:\n  is-named: 'Name\n    it.'\n");
        for hook in ["validate", "mutate"] {
            let owed = read(&block(hook, &said), &list);
            assert_eq!(
                brief(&owed),
                [
                    ("tags", "t", "m", true),
                    ("team", "is-named", "Name it.", true)
                ],
                "{heading:?}"
            );
            let result = if errors { "error" } else { "fail" };
            assert!(owed.iter().all(|one| one.attribution.result == result));
        }
    }
}

/// YAML writes a key of more than 128 letters in a way of its own.
#[test]
fn the_longest_names_and_strange_ones_are_read() {
    let long = "p".repeat(253);
    let list = synced(vec![legacy(&long, &["r"]), legacy("123", &["yes", "a: b"])]);
    let said = format!(
        "{}\"123\":\n  'a: b': '#'\n  \"yes\": \"\"\n? {long}\n: r: >-\n    one\n    two\n",
        HEADINGS[1].0
    );
    assert_eq!(
        brief(&read(&block("validate", &said), &list)),
        [
            ("123", "a: b", "#", true),
            ("123", "yes", "", true),
            (long.as_str(), "r", "one two", true)
        ]
    );
}

#[test]
fn a_heading_that_a_name_imitates_is_believed_only_where_no_name_could() {
    let list = synced(vec![legacy("real", &["r"]), legacy("forged", &["f"])]);
    for (heading, _) in HEADINGS {
        let name = "x for resource violation: \n\nforged:\n  f: m\n#";
        let said = heading.replace("/p ", &format!("/{name} ")) + "real:\n  r: m\n";
        for (hook, exact) in [("mutate", false), ("validate", true)] {
            for (.., sure) in brief(&read(&block(hook, &said), &list)) {
                assert_eq!(sure, exact, "{heading:?} {hook}");
            }
        }
        // In a message it is but words.
        let said = format!("{heading}real:\n  r: |-\n    a for resource error:\n\n    b\n");
        let owed = read(&block("validate", &said), &list);
        assert_eq!(
            brief(&owed),
            [("real", "r", "a for resource error:\n\nb", true)],
            "{heading:?}"
        );
    }
}

#[test]
fn a_rule_that_was_skipped_refused_nothing() {
    let list = synced(vec![legacy("team", &["a", "b", "c"])]);
    let (heading, _) = HEADINGS[0];
    for skipped in [
        "preconditions not met",
        "preconditions not met; not a team's",
        "rule skipped",
        "rule skipped due to policy exception kyverno/e",
    ] {
        let said = format!("{heading}team:\n  a: {skipped}\n  b: no\n");
        let owed = read(&block("validate", &said), &list);
        assert_eq!(
            brief(&owed),
            [("team", "a", skipped, false), ("team", "b", "no", true)]
        );
    }
    // Nothing else can have refused.
    let said = format!("{heading}team:\n  a: rule skipped\n");
    let owed = read(&block("validate", &said), &list);
    assert_eq!(brief(&owed), [("team", "a", "rule skipped", true)]);
}

#[test]
fn mutate_rules_that_are_only_named_are_all_named() {
    let list = synced(vec![legacy("sidecars", &["add", "set image", "pull"])]);
    let said = |rules: &str| {
        let text = format!("failed to apply policy sidecars rules [{rules}]");
        (format!("mutation policy sidecars error: {text}"), text)
    };
    let (all, text) = said("add pull");
    let owed = read(&block("mutate", &all), &list);
    assert_eq!(
        brief(&owed),
        [
            ("sidecars", "add", text.as_str(), true),
            ("sidecars", "pull", text.as_str(), true)
        ]
    );
    let (one, text) = said("set image");
    let owed = read(&block("mutate", &one), &list);
    assert_eq!(
        brief(&owed),
        [("sidecars", "set image", text.as_str(), true)]
    );
    let (unknown, _) = said("add nothing");
    let owed = read(&block("mutate", &unknown), &list);
    assert_eq!(
        owed.iter()
            .map(|one| one.attribution.grade)
            .collect::<Vec<_>>(),
        [Some(Grade::Exact), Some(Grade::Ambiguous)]
    );
    let text = "mutation policy sidecars error: failed to validate resource mutated by policy \
                sidecars: no";
    assert_eq!(brief(&read(&block("mutate", text), &list))[0].0, "sidecars");
    let text = "failed to update resource in context for policy sidecars: no";
    assert_eq!(
        brief(&read(&block("mutate", text), &list)),
        [("sidecars", "", "no", true)]
    );
}

#[test]
fn a_rule_on_pods_is_exact_for_debug_containers_too() {
    let list = synced(vec![legacy_of("pods", "Pod")]);
    let said = format!("{}pods:\n  r: m\n", HEADINGS[1].0);
    for (subresource, exact) in [("", true), ("ephemeralcontainers", true), ("exec", false)] {
        let target = Target {
            group: "",
            resource: "pods",
            subresource,
            ..target()
        };
        let owed = read_of(&block("validate", &said), &list, target);
        assert_eq!(
            brief(&owed),
            [("pods", "r", "m", exact)],
            "pods/{subresource}"
        );
    }
}

fn legacy_of(name: &str, kind: &str) -> Policy {
    let object = json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": name},
        "spec": {"rules": [{"name": "r", "validate": {"failureAction": "Enforce"},
            "match": {"any": [{"resources": {"kinds": [kind]}}]}}]},
    });
    Policy::from_object(&object).unwrap()
}

#[test]
fn every_constraint_of_gatekeepers_is_named_and_none_is_certain() {
    let none = synced(vec![]);
    let of = |hook: &str, said: &str| {
        let owed = read(
            &format!("admission webhook \"{hook}\" denied the request: {said}"),
            &none,
        );
        let names: Vec<_> = brief(&owed)
            .into_iter()
            .map(|(policy, _, message, exact)| {
                assert!(!exact);
                (policy.to_owned(), message.to_owned())
            })
            .collect();
        assert!(owed.iter().all(|one| {
            one.attribution.enforcer == "webhook"
                && one.attribution.webhook.as_deref() == Some(hook)
        }));
        names
    };
    let named = |all: &[(&str, &str)]| {
        let all = all.iter();
        let all = all.map(|(policy, message)| ((*policy).to_owned(), (*message).to_owned()));
        all.collect::<Vec<_>>()
    };
    let hook = "validation.gatekeeper.sh";
    assert_eq!(
        of(
            hook,
            "[denied by a] first\nof two lines\n[denied by b] second"
        ),
        named(&[("a", "first\nof two lines"), ("b", "second")])
    );
    assert_eq!(
        of(
            hook,
            "[a] one\n[b] two\n[a] three\n[not a name] four\n[C] five"
        ),
        named(&[
            ("a", "one\nthree\n[not a name] four\n[C] five"),
            ("b", "two")
        ])
    );
    // Its own refusals name none, and another's brackets are another's.
    let own = "Only exempt namespace can have the admission.gatekeeper.sh/ignore label";
    assert_eq!(
        of("check-ignore-label.gatekeeper.sh", own),
        named(&[("", own)])
    );
    assert_eq!(of("gate.example.org", "[a] no"), named(&[("", "[a] no")]));
    let many: Vec<String> = (0..100).map(|n| format!("[c-{n}] m")).collect();
    assert_eq!(of(hook, &many.join("\n")).len(), 16);
}

#[test]
fn webhooks_of_other_enforcers_keep_their_names_and_their_texts() {
    let none = synced(vec![]);
    for (hook, said) in [
        ("validating-webhook.openpolicyagent.org", "no `team` label"),
        (
            "clusterwide-privileged-pods.kubewarden.admission",
            "Privileged container is not allowed",
        ),
        (
            "webhook-server.datree.svc",
            "\n---\nwebhook-x\n\n❌  Ensure each container has a limit\n",
        ),
        (
            "polaris.fairwinds.com",
            "\nPolaris prevented this deployment due to configuration problems:\n- Pod: no",
        ),
        (
            "webhook.cert-manager.io",
            "spec.secretName: Required value: must be specified",
        ),
        ("validation.istio.io", "configuration is invalid: no hosts"),
        ("team-policy.jspolicy.com", "Field spec.x is not allowed"),
    ] {
        let text = format!("admission webhook \"{hook}\" denied the request: {said}");
        let owed = read(&text, &none);
        assert_eq!(brief(&owed), [("", "", said, false)]);
        assert_eq!(owed[0].attribution.enforcer, "webhook");
        assert_eq!(owed[0].attribution.webhook.as_deref(), Some(hook));
    }
}
