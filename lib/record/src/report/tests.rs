use super::*;
use proptest::prelude::*;
use serde_json::json;

fn of_kyverno(results: Value) -> Value {
    json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {"name": "8a3d", "namespace": "krate-org-acme"},
        "scope": {"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "PullRequest",
            "name": "pr-1", "namespace": "krate-org-acme", "uid": "8a3d"},
        "results": results,
    })
}

fn read(object: &Value) -> Report {
    Report::from_object(object).expect("a report")
}

fn fail() -> Value {
    json!({"source": "KyvernoValidatingPolicy", "policy": "wants-labels", "result": "fail",
        "message": "Name an owner.", "scored": true, "severity": "high", "category": "Hygiene",
        "properties": {"process": "background scan"},
        "timestamp": {"nanos": 0, "seconds": 1_790_000_000}})
}

#[test]
fn violations_are_kept_and_what_is_in_order_is_not() {
    let judged = |word: &str| {
        let mut result = fail();
        result["result"] = word.into();
        result
    };
    let report = read(&of_kyverno(json!([
        judged("pass"),
        judged("fail"),
        judged("warn"),
        judged("error"),
        judged("skip"),
        judged("maybe"),
    ])));
    let words: Vec<Judged> = report.results.iter().map(|result| result.judged).collect();
    assert_eq!(words, [Judged::Fail, Judged::Warn, Judged::Error]);
    assert_eq!(report.left_out, 0);
    let first = &report.results[0];
    assert_eq!(first.message, "Name an owner.");
    assert_eq!(first.severity, "high");
    assert_eq!(first.background, Some(true));
    assert_eq!(first.time.unwrap().as_second(), 1_790_000_000);
    assert_eq!(first.subject, report.scope);
    assert_eq!(first.subject.as_ref().unwrap().group(), "krate.a5c.ai");
}

#[test]
fn both_groups_names_for_the_same_are_read() {
    let mut result = fail();
    let text = result.as_object_mut().unwrap().remove("message").unwrap();
    result["description"] = text;
    result["subjects"] = json!([{"kind": "Pod", "apiVersion": "v1", "name": "p"}]);
    let mut object = of_kyverno(json!([result]));
    object["apiVersion"] = "openreports.io/v1alpha1".into();
    object["kind"] = "Report".into();
    let report = read(&object);
    assert_eq!(report.results[0].message, "Name an owner.");
    let subject = report.results[0].subject.as_ref().unwrap();
    assert_eq!((subject.kind.as_str(), subject.group()), ("Pod", ""));
    assert_eq!(subject.namespace, "krate-org-acme", "the report's own");
}

#[test]
fn a_result_that_owes_itself_to_an_exception_is_kept_with_its_name() {
    let mut result = fail();
    result["rule"] = "exception".into();
    result["result"] = "skip".into();
    result["properties"] =
        json!({"exceptions": "allow-pr-1, other,,", "process": "admission review"});
    let report = read(&of_kyverno(json!([result])));
    let result = &report.results[0];
    assert!(result.is_excepted() && !result.is_violation());
    assert_eq!(result.exceptions, ["allow-pr-1", "other"]);
    assert_eq!(result.background, Some(false));
}

#[test]
fn a_namespaced_policy_is_told_from_its_namespace() {
    let mut result = fail();
    result["policy"] = "krate-org-acme/own".into();
    let report = read(&of_kyverno(json!([result])));
    let result = &report.results[0];
    assert_eq!(
        (&*result.policy_namespace, &*result.policy),
        ("krate-org-acme", "own")
    );
    let policy = |kind: &str, namespace: &str| Policy {
        kind: kind.into(),
        namespace: namespace.into(),
        name: "own".into(),
        ..Policy::default()
    };
    assert!(result.is_of(&policy("NamespacedValidatingPolicy", "krate-org-acme")));
    assert!(!result.is_of(&policy("ValidatingPolicy", "")));
    assert!(
        !result.is_of(&policy("Policy", "krate-org-acme")),
        "another source's kind"
    );
}

#[test]
fn dockets_own_results_are_skipped() {
    let mut own = fail();
    own["source"] = "docket".into();
    assert_eq!(read(&of_kyverno(json!([own, fail()]))).results.len(), 1);
}

#[test]
fn a_report_speaks_of_its_own_namespace_only() {
    let mut result = fail();
    result["resources"] = json!([
        {"kind": "Pod", "apiVersion": "v1", "name": "mine", "namespace": "krate-org-acme"},
        {"kind": "Pod", "apiVersion": "v1", "name": "theirs", "namespace": "krate-org-globex"}]);
    let mut object = of_kyverno(json!([result]));
    object["scope"]["namespace"] = "krate-org-globex".into();
    let report = read(&object);
    assert_eq!(report.results.len(), 1);
    assert_eq!(report.left_out, 1);
    assert_eq!(report.scope, None);
}

#[test]
fn what_is_no_report_or_has_no_place_is_none() {
    let report = of_kyverno(json!([]));
    for (path, value) in [
        ("/kind", json!("Policy")),
        ("/kind", json!("ClusterPolicyReport")),
        ("/metadata/name", json!("")),
        ("/metadata/namespace", json!("")),
    ] {
        let mut object = report.clone();
        *object.pointer_mut(path).unwrap() = value;
        assert_eq!(Report::from_object(&object), None, "{path}");
    }
    assert_eq!(Report::from_object(&Value::Null), None);
}

#[test]
fn a_huge_report_is_cut_and_says_how_much() {
    let mut result = fail();
    result["message"] = "é".repeat(MESSAGE_LIMIT).into();
    let report = read(&of_kyverno(json!(vec![result; MOST_RESULTS + 7])));
    assert_eq!(report.results.len(), MOST_RESULTS);
    assert_eq!(report.left_out, 7);
    assert!(report.results[0].message.len() <= MESSAGE_LIMIT);
}

/// What the real reports controller wrote, as the API server gave it.
fn recorded(bytes: &str) -> Vec<Report> {
    let list: Value = serde_json::from_str(bytes).unwrap();
    let items = list["items"].as_array().unwrap();
    items.iter().map(read).collect()
}

#[test]
fn recorded_reports_say_what_the_scan_found_and_that_it_was_fixed() {
    let found = recorded(include_str!(
        "../../../../tests/recorded/reports/found.json"
    ));
    let [audited, excepted] = &found[..] else {
        panic!("{found:#?}");
    };
    let [violation] = &audited.results[..] else {
        panic!("{audited:#?}");
    };
    assert!(violation.is_violation());
    assert_eq!(violation.policy, "audited-title");
    assert_eq!(violation.message, "Begin the title with feat.");
    assert_eq!(violation.background, Some(true));
    let subject = violation.subject.as_ref().unwrap();
    assert_eq!((&*subject.kind, &*subject.name), ("PullRequest", "stands"));
    assert_eq!(
        subject.uid, audited.name,
        "a report is named by its object's uid"
    );
    let [skipped] = &excepted.results[..] else {
        panic!("{excepted:#?}");
    };
    assert!(skipped.is_excepted());
    assert_eq!(skipped.exceptions, ["let-in"], "without its namespace");
    assert_eq!(skipped.policy, "excepted-description");

    let fixed = recorded(include_str!(
        "../../../../tests/recorded/reports/fixed.json"
    ));
    assert!(fixed[0].results.is_empty());
    assert_eq!(fixed[0].scope.as_ref().unwrap().name, "stands");
}

/// Any JSON in the places that are read.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop_oneof![Just("fail"), Just("skip"), Just("Report"), Just("a/b/c")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let key = prop_oneof![
            Just("kind"),
            Just("metadata"),
            Just("name"),
            Just("namespace"),
            Just("results"),
            Just("result"),
            Just("resources"),
            Just("subjects"),
            Just("scope"),
            Just("timestamp"),
            Just("seconds"),
            Just("nanos"),
            Just("properties"),
            Just("exceptions"),
            Just("policy"),
            Just("message"),
            Just("source"),
            Just("apiVersion"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_is_read_or_not_but_within_bounds(
        mut object in anything(), results in prop::collection::vec(anything(), 0..6)
    ) {
        if object.is_object() {
            object["kind"] = "PolicyReport".into();
            object["metadata"] = json!({"name": "n", "namespace": "ns"});
            object["results"] = Value::from(results);
        }
        if let Some(report) = Report::from_object(&object) {
            prop_assert!(!report.name.is_empty());
            for result in &report.results {
                prop_assert!(result.is_violation() || !result.exceptions.is_empty());
                prop_assert!(result.exceptions.len() <= MOST_EXCEPTIONS);
                let subject = result.subject.clone().unwrap_or_default();
                prop_assert!(subject.kind.is_empty() || subject.namespace == report.namespace);
            }
        }
    }
}

/// A title with a slash in it is another tool's own name for its check.
#[test]
fn only_kyvernos_policies_are_split_into_namespace_and_name() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/recorded/cases/27-report-policy-title-with-slash.json"
    );
    let object: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let report = read(&object);
    let names: Vec<(&str, &str, &str)> = report
        .results
        .iter()
        .map(|one| {
            (
                one.policy_namespace.as_str(),
                one.policy.as_str(),
                one.rule.as_str(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("", "Non-default /proc masks set", "KSV027"),
            ("", "Manages /etc/hosts", "KSV007"),
            ("krate-org-acme", "ours", ""),
        ]
    );
    let names = |source: &str, policy: &str| {
        let mut result = fail();
        result["source"] = source.into();
        result["policy"] = policy.into();
        let result = read(&of_kyverno(json!([result]))).results.remove(0);
        (result.policy_namespace, result.policy)
    };
    let whole = |policy: &str| (String::new(), policy.to_owned());
    for (source, policy) in [
        ("", "a/b"),
        ("Falco", "Read /etc/shadow"),
        ("Trivy Vulnerability", "CVE-2024-1/golang.org/x/net"),
        ("kube-bench", "1.2.3/a"),
        // A tool that takes Kyverno's name does not take its form.
        ("kyverno", "Manages /etc/hosts"),
        ("kyverno", "a/b/c"),
        ("kyverno", "/b"),
        ("kyverno", "a/"),
    ] {
        assert_eq!(names(source, policy), whole(policy), "{source}");
    }
    for source in [
        "kyverno",
        "KyvernoMutatingPolicy",
        "KyvernoImageValidatingPolicy",
    ] {
        assert_eq!(
            names(source, "ns-1/check.it"),
            ("ns-1".into(), "check.it".into())
        );
        assert_eq!(names(source, "check"), whole("check"));
    }
}
