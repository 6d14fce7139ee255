//! Objects read as law, changes in words, and what was in force when.

use super::summary::{first, summary};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn vpol(name: &str, actions: Value) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": name, "uid": "u", "resourceVersion": "7", "generation": 2,
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"policies.kyverno.io/severity": "high",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "example.com/api-token": "hunter2"}},
        "spec": {"validationActions": actions,
            "matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "resources": ["*"],
                "operations": ["CREATE"]}]},
            "validations": [{"expression": "object.spec.key == 'x'", "message": "No."}]},
        "status": {"ready": true},
    })
}

fn read(object: &Value) -> Object {
    Object::read(object).expect("an object that is law")
}

#[test]
fn the_text_is_the_policy_without_status_bookkeeping_and_secrets() {
    let object = read(&vpol("p", json!(["Deny"])));
    assert_eq!(
        object.text["metadata"],
        json!({"name": "p", "annotations": {"policies.kyverno.io/severity": "high",
            "example.com/api-token": "[redacted]"}})
    );
    assert!(object.text.get("status").is_none());
    // In a policy `key` is a part of the text.
    assert_eq!(
        object.text["spec"]["validations"][0]["expression"],
        "object.spec.key == 'x'"
    );
    assert_eq!(
        (
            object.uid.as_str(),
            object.resource_version.as_str(),
            object.generation
        ),
        ("u", "7", 2)
    );
}

#[test]
fn a_version_is_named_by_its_content_alone() {
    let hash = |change: &dyn Fn(&mut Value)| {
        let mut object = vpol("p", json!(["Deny"]));
        change(&mut object);
        read(&object).hash
    };
    let same = hash(&|_| {});
    assert_eq!(same, hash(&|o| o["status"] = json!({"ready": false})));
    assert_eq!(
        same,
        hash(&|o| o["metadata"]["resourceVersion"] = json!("8"))
    );
    assert_eq!(
        same,
        hash(&|o| o["apiVersion"] = json!("policies.kyverno.io/v1beta1"))
    );
    assert_ne!(
        same,
        hash(&|o| o["spec"]["validationActions"] = json!(["Audit"]))
    );
    assert_ne!(same, hash(&|o| o["metadata"]["labels"] = json!({"a": "b"})));
}

#[test]
fn the_rotation_of_a_certificate_is_no_new_law() {
    let configuration = |bundle: &str| {
        read(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "k"},
            "webhooks": [{"name": "a.b.c", "clientConfig": {"caBundle": bundle, "url": "https://x/y"}}],
        }))
    };
    let (old, new) = (configuration("QQ=="), configuration("Qg=="));
    assert_eq!(old.hash, new.hash);
    let shown = old.text["webhooks"][0]["clientConfig"]["caBundle"]
        .as_str()
        .unwrap();
    assert!(shown.starts_with("sha256:"), "{shown}");
    assert_eq!(
        old.body,
        Body::Configuration(crate::policies::Configuration {
            kind: "ValidatingWebhookConfiguration".into(),
            name: "k".into(),
            hooks: vec!["a.b.c".into()],
            law_id: String::new(),
        })
    );
}

#[test]
fn a_secret_that_a_policy_makes_and_a_header_that_it_sends_are_not_kept() {
    let object = read(&json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "g"},
        "spec": {"rules": [{
            "name": "r",
            "context": [{"apiCall": {"service": {"url": "https://x", "headers": [
                {"key": "Authorization", "value": "Bearer planted-1"},
                {"key": "Accept", "value": "text/plain"}]}}}],
            "preconditions": {"any": [{"key": "{{token}}", "operator": "Equals", "value": "kept"}]},
            "generate": {"kind": "Secret", "name": "s", "data": {
                "kind": "Secret", "data": {"p": "cGxhbnRlZC0y"}, "stringData": {"q": "planted-3"}}},
        }]},
    }));
    let text = object.text.to_string();
    for planted in ["planted-1", "cGxhbnRlZC0y", "planted-3"] {
        assert!(!text.contains(planted), "{text}");
    }
    assert!(
        text.contains("kept") && text.contains("text/plain"),
        "{text}"
    );
}

#[test]
fn a_text_that_is_too_long_says_how_long_it_was() {
    let mut object = vpol("p", json!(["Deny"]));
    object["spec"]["validations"][0]["message"] = "é".repeat(40_000).into();
    let object = read(&object);
    let (kept, whole) = text::kept(&object.text);
    let whole = whole.expect("more than 64 KiB");
    assert!(kept.as_str().unwrap().len() <= text::TEXT_LIMIT);
    assert!(whole.length > text::TEXT_LIMIT as u64);
    assert_eq!(text::kept(&json!({"a": 1})), (json!({"a": 1}), None));
}

#[test]
fn both_groups_of_exceptions_are_read_and_told_apart() {
    let legacy = read(
        &json!({"apiVersion": "kyverno.io/v2", "kind": "PolicyException",
        "metadata": {"name": "e", "namespace": "n", "uid": "1"},
        "spec": {"exceptions": [{"policyName": "p", "ruleNames": ["r", "s"]}]}}),
    );
    let cel = read(
        &json!({"apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
        "metadata": {"name": "e", "namespace": "n", "uid": "2"},
        "spec": {"policyRefs": [{"name": "p", "kind": "ValidatingPolicy"}]}}),
    );
    assert_ne!(legacy.place, cel.place);
    let (Body::Exception(legacy), Body::Exception(cel)) = (legacy.body, cel.body) else {
        panic!("not read as exceptions");
    };
    assert_eq!(legacy.refs[0].rules, ["r", "s"]);
    assert_eq!(
        (legacy.refs[0].kind.as_str(), cel.refs[0].kind.as_str()),
        ("", "ValidatingPolicy")
    );
    assert_eq!((legacy.uid.as_str(), cel.uid.as_str()), ("1", "2"));
}

#[test]
fn what_is_no_law_is_not_read() {
    for object in [
        json!(null),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}),
        json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {}}),
        json!({"apiVersion": "kyverno.io/v1", "kind": "ValidatingPolicy", "metadata": {"name": "p"}}),
        json!({"kind": "ClusterPolicy", "metadata": {"name": "p"}}),
    ] {
        assert_eq!(Object::read(&object), None, "{object}");
    }
}

#[test]
fn a_change_is_said_in_words() {
    let said = |change: &dyn Fn(&mut Value)| {
        let old = vpol("p", json!(["Deny"]));
        let mut new = old.clone();
        change(&mut new);
        summary(&read(&old).text, &read(&new).text)
    };
    assert_eq!(said(&|_| {}), Vec::<String>::new());
    assert_eq!(
        said(&|o| o["spec"]["validationActions"] = json!(["Audit"])),
        ["validationActions: Deny → Audit"]
    );
    assert_eq!(
        said(&|o| o["spec"]["validations"][0]["message"] = json!("Never.")),
        ["validations[0].message: No. → Never."]
    );
    assert_eq!(
        said(&|o| o["spec"]["validations"] = json!([])),
        ["validations[0] removed"]
    );
    assert_eq!(
        said(&|o| o["metadata"]["annotations"]["policies.kyverno.io/severity"] = json!("low")),
        ["annotations[policies.kyverno.io/severity]: high → low"]
    );
    assert_eq!(
        said(
            &|o| o["spec"]["matchConstraints"]["resourceRules"][0]["operations"] =
                json!(["CREATE", "UPDATE"])
        ),
        ["matchConstraints.resourceRules[0].operations: CREATE → CREATE, UPDATE"]
    );
}

#[test]
fn rules_and_hooks_are_told_apart_by_name() {
    let rules = |rules: Value| json!({"kind": "ClusterPolicy", "spec": {"rules": rules}});
    let rule =
        |name: &str, action: &str| json!({"name": name, "validate": {"failureAction": action}});
    assert_eq!(
        summary(
            &rules(json!([rule("a", "Enforce"), rule("b", "Enforce")])),
            &rules(json!([rule("c", "Audit"), rule("a", "Audit")])),
        ),
        [
            "rules[a].validate.failureAction: Enforce → Audit",
            "rules[b] removed",
            "rules[c] added"
        ]
    );
    let hooks = |hooks: Value| json!({"kind": "ValidatingWebhookConfiguration", "webhooks": hooks});
    let full = hooks(json!([{"name": "x"}, {"name": "y"}]));
    assert_eq!(
        summary(&full, &hooks(json!([]))),
        ["all hooks removed: x, y"]
    );
    assert_eq!(
        summary(&full, &json!({"kind": "ValidatingWebhookConfiguration"})),
        ["all hooks removed: x, y"]
    );
    assert_eq!(summary(&hooks(json!([])), &full), ["hooks added: x, y"]);
    assert_eq!(first(&full), ["hooks: x, y"]);
    assert_eq!(
        first(&vpol("p", json!(["Deny"]))),
        ["validationActions: Deny"]
    );
}

#[test]
fn a_summary_is_bounded_and_harmless() {
    let old = json!({"spec": {}});
    let fields: serde_json::Map<String, Value> = (0..500)
        .map(|n| (format!("f{n}\u{1b}"), Value::from("x".repeat(5000))))
        .collect();
    let said = summary(&old, &json!({"spec": fields}));
    assert_eq!(said.len(), 25);
    assert_eq!(said[24], "and 476 more");
    assert!(
        said.iter()
            .all(|line| line.len() < 400 && !line.contains('\u{1b}'))
    );
}

/// A version at a second, with the action that it has.
fn put(shelves: &mut Shelves, id: &str, at: i64, after: Option<i64>, action: Option<&str>) {
    let object = read(&vpol("p", json!([action.unwrap_or("Deny")])));
    let version = Version {
        id: id.into(),
        at: time(at),
        after: after.map(time),
        change: match action {
            None => Change::Deleted,
            Some(_) => Change::Changed,
        },
        body: if action.is_some() {
            object.body
        } else {
            Body::Gone
        },
    };
    shelves.put(object.place, version);
}

/// Ids of the versions in force at a second, and whether they are doubted.
fn in_force(book: &LawBook, at: i64) -> (Vec<String>, bool) {
    let list = book.at(time(at));
    let ids = list.policies.iter().map(|policy| policy.law_id.clone());
    (
        ids.collect(),
        list.policies.iter().any(|policy| policy.doubt.is_some()),
    )
}

#[test]
fn within_ten_seconds_of_a_change_both_versions_may_have_been_in_force() {
    let mut shelves = Shelves::default();
    put(&mut shelves, "a", 0, None, Some("Deny"));
    put(&mut shelves, "b", 100, None, Some("Audit"));
    put(&mut shelves, "c", 200, None, None);
    let book = shelves.book(true);
    let just = |ids: &[&str]| {
        (
            ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
            false,
        )
    };
    assert_eq!(in_force(&book, -11), just(&[]));
    assert_eq!(in_force(&book, -10), just(&["a"]));
    assert_eq!(in_force(&book, 89), just(&["a"]));
    assert_eq!(in_force(&book, 90), just(&["a", "b"]));
    assert_eq!(in_force(&book, 109), just(&["a", "b"]));
    assert_eq!(in_force(&book, 110), just(&["b"]));
    // A deleted one may still be asked for a moment.
    assert_eq!(in_force(&book, 209), just(&["b"]));
    assert_eq!(in_force(&book, 210), just(&[]));
    assert!(book.now().policies.is_empty());
}

#[test]
fn what_came_while_nobody_watched_may_have_come_at_any_time_of_that() {
    let mut shelves = Shelves::default();
    put(&mut shelves, "a", 0, None, Some("Deny"));
    put(&mut shelves, "b", 500, Some(100), Some("Audit"));
    let book = shelves.book(true);
    assert_eq!(in_force(&book, 89), (vec!["a".into()], false));
    assert_eq!(in_force(&book, 300), (vec!["a".into(), "b".into()], true));
    assert_eq!(in_force(&book, 509), (vec!["a".into(), "b".into()], true));
    assert_eq!(in_force(&book, 510), (vec!["b".into()], false));
}

#[test]
fn while_the_watch_is_away_nothing_is_certain() {
    let mut shelves = Shelves::default();
    put(&mut shelves, "a", 0, None, Some("Deny"));
    let kind = Kind::of("policies.kyverno.io", "ValidatingPolicy").unwrap();
    shelves.away(kind, Some(time(100)));
    let book = shelves.book(true);
    assert_eq!(in_force(&book, 89), (vec!["a".into()], false));
    assert_eq!(in_force(&book, 90), (vec!["a".into()], true));
    assert!(book.now().policies[0].doubt.is_some());
    shelves.away(kind, None);
    assert_eq!(
        in_force(&shelves.book(true), 100),
        (vec!["a".into()], false)
    );
}

#[test]
fn before_the_first_look_a_policy_is_named_and_doubted() {
    let mut shelves = Shelves::default();
    let object = read(&vpol("p", json!(["Deny"])));
    let version = Version {
        id: "a".into(),
        at: time(0),
        after: None,
        change: Change::FirstSeen,
        body: object.body,
    };
    shelves.put(object.place, version);
    let book = shelves.book(true);
    assert_eq!(in_force(&book, -5), (vec!["a".into()], true));
    assert_eq!(in_force(&book, 0), (vec!["a".into()], false));
}

#[test]
fn what_is_forgotten_says_since_when_all_is_known() {
    let mut shelves = Shelves::default();
    put(&mut shelves, "a", 0, None, Some("Deny"));
    put(&mut shelves, "b", 100, None, Some("Audit"));
    shelves.forget(time(110));
    assert_eq!(shelves.book(true).begins(), Timestamp::MIN);
    shelves.forget(time(111));
    let book = shelves.book(true);
    assert_eq!(book.begins(), time(111));
    assert_eq!(in_force(&book, 111), (vec!["b".into()], false));
    put(&mut shelves, "c", 200, None, None);
    shelves.forget(time(1000));
    assert!(shelves.book(true).now().policies.is_empty());
}

#[test]
fn what_kyverno_has_made_of_a_policy_is_taken_over_without_a_new_version() {
    let mut shelves = Shelves::default();
    put(&mut shelves, "a", 0, None, Some("Deny"));
    let mut object = vpol("p", json!(["Deny"]));
    object["status"] = json!({"autogen": {"configs": {"defaults": {
        "targets": [{"group": "apps", "resource": "deployments"}], "spec": {}}}}});
    let object = read(&object);
    shelves.refresh(&object.place, object.body);
    let list = shelves.book(true).now();
    assert_eq!(list.policies[0].law_id, "a");
    let made = ("apps".to_owned(), "deployments".to_owned());
    assert!(list.policies[0].covers.contains(&made));
}

fn vap(kind: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": "v"}, "spec": {"policyName": "v"}})
}

fn bound(actions: &str) -> Value {
    let mut binding = vap("ValidatingAdmissionPolicyBinding");
    binding["spec"]["validationActions"] = json!([actions]);
    binding
}

#[test]
fn bindings_decide_whether_an_admission_policy_refuses() {
    let enforces = |objects: &[Value]| {
        let objects = objects
            .iter()
            .map(|object| (read(object), "law".to_owned()));
        let list = LawBook::always(objects).now();
        let policy = &list.policies[0];
        assert_eq!(
            policy.law.mode,
            if policy.enforces { "enforce" } else { "audit" }
        );
        policy.enforces
    };
    let (policy, mutating) = (
        vap("ValidatingAdmissionPolicy"),
        vap("MutatingAdmissionPolicy"),
    );
    assert!(!enforces(std::slice::from_ref(&policy)));
    assert!(!enforces(&[policy.clone(), bound("Audit")]));
    assert!(enforces(&[policy.clone(), bound("Deny")]));
    assert!(!enforces(&[policy, vap("MutatingAdmissionPolicyBinding")]));
    assert!(enforces(&[
        mutating.clone(),
        vap("MutatingAdmissionPolicyBinding")
    ]));
    assert!(!enforces(&[mutating, bound("Deny")]));
}

#[test]
fn a_binding_that_has_just_changed_makes_its_policy_stand_twice() {
    let mut shelves = Shelves::default();
    let mut put = |value: &Value, id: &str, at| {
        let object = read(value);
        let version = Version {
            id: id.into(),
            at: time(at),
            after: None,
            change: Change::Created,
            body: object.body,
        };
        shelves.put(object.place, version);
    };
    put(&vap("ValidatingAdmissionPolicy"), "policy", 0);
    put(&bound("Deny"), "old", 0);
    put(&bound("Audit"), "new", 100);
    let book = shelves.book(true);
    let enforces = |at| {
        let list = book.at(time(at));
        list.policies
            .iter()
            .map(|policy| policy.enforces)
            .collect::<Vec<_>>()
    };
    assert_eq!(enforces(50), [true]);
    assert_eq!(enforces(95), [true, false]);
    assert_eq!(enforces(115), [false]);
    let list = book.at(time(95));
    assert_eq!(
        list.policies[0].bindings,
        [("v".to_owned(), vec!["old".to_owned(), "new".to_owned()])]
    );
}

#[test]
fn an_entry_says_the_same_as_the_object_that_it_was_made_from() {
    let object = read(&vpol("p", json!(["Deny"])));
    let entry = Entry {
        id: "id".into(),
        time: time(0),
        after: None,
        change: Change::FirstSeen,
        api_version: object.api_version.clone(),
        kind: "ValidatingPolicy".into(),
        namespace: String::new(),
        name: "p".into(),
        uid: object.uid.clone(),
        resource_version: object.resource_version.clone(),
        generation: object.generation,
        hash: object.hash.clone(),
        previous: None,
        summary: Vec::new(),
        enforces: true,
        text: object.text.clone(),
        whole: None,
    };
    let bytes = serde_json::to_vec(&entry).unwrap();
    let again: Entry = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(again, entry);
    assert_eq!(again.place(), Some(object.place.clone()));
    assert_eq!(Version::of(&again, &[])[0].body, object.body);
}

fn on_pods(status: Value) -> Value {
    json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "validations": [{"message": "object.spec"}]},
        "status": status})
}

fn made_for(resource: &str) -> Value {
    json!({"configs": {"defaults": {"targets": [{"group": "apps", "resource": resource}],
        "spec": {"validations": [{"message": "object.spec.template.spec"}]}}}})
}

#[test]
fn what_kyverno_made_of_a_policy_is_no_part_of_its_text_or_hash() {
    let without = read(&on_pods(json!({"ready": true})));
    let with = read(&on_pods(json!({"autogen": made_for("deployments")})));
    assert_eq!((&with.text, &with.hash), (&without.text, &without.hash));
    assert_eq!(without.autogen, Value::Null);
    assert_eq!(with.autogen, made_for("deployments"));
    for nothing in [
        json!({}),
        json!(null),
        json!({"rules": []}),
        json!({"configs": {}}),
        json!(7),
    ] {
        assert_eq!(
            read(&on_pods(json!({"autogen": nothing}))).autogen,
            Value::Null
        );
    }
    let secret = json!({"rules": [{"name": "r", "headers": [{"key": "Authorization", "value": "planted"}]}]});
    let read = read(&on_pods(json!({"autogen": secret})));
    assert!(!read.autogen.to_string().contains("planted"));
}

#[test]
fn what_kyverno_made_of_a_policy_comes_back_from_the_ledger() {
    let object = read(&on_pods(json!({"autogen": made_for("deployments")})));
    let entry = Entry {
        id: "law".into(),
        time: time(0),
        after: None,
        change: Change::Created,
        api_version: object.api_version.clone(),
        kind: "ValidatingPolicy".into(),
        namespace: String::new(),
        name: "p".into(),
        uid: "u".into(),
        resource_version: String::new(),
        generation: 1,
        hash: object.hash.clone(),
        previous: None,
        summary: Vec::new(),
        enforces: true,
        text: object.text.clone(),
        whole: None,
    };
    let amendment = |second: i64, resource: &str| autogen::Amendment {
        id: second.to_string(),
        time: time(second),
        after: None,
        amends: "law".into(),
        kind: autogen::KIND.into(),
        autogen: made_for(resource),
        whole: None,
    };
    let bytes = serde_json::to_vec(&amendment(5, "deployments")).unwrap();
    let again = autogen::Amendment::read(&bytes).unwrap();
    assert_eq!(again, amendment(5, "deployments"));
    assert_eq!(autogen::Amendment::read(br#"{"id": "x", "time": "2026-10-05T12:00:00Z", "amends": "law", "kind": "law-changed-by"}"#), None);
    assert_eq!(Version::of(&entry, &[again])[0].body, object.body);

    // An upgrade of Kyverno made something else of it at 100.
    let mut shelves = Shelves::default();
    for version in Version::of(
        &entry,
        &[amendment(5, "deployments"), amendment(100, "jobs")],
    ) {
        shelves.put(object.place.clone(), version);
    }
    let book = shelves.book(true);
    let covered = |second: i64| {
        let list = book.at(time(second));
        let laws: Vec<&str> = list
            .policies
            .iter()
            .map(|one| one.law_id.as_str())
            .collect();
        assert!(
            laws.iter().all(|law| *law == "law"),
            "one version of the law"
        );
        let covers = list
            .policies
            .iter()
            .flat_map(|policy| policy.covers.clone());
        covers
            .map(|(_, resource)| resource)
            .filter(|resource| resource != "pods")
            .collect::<Vec<_>>()
    };
    assert_eq!(covered(1), ["deployments"], "also before it was seen");
    assert_eq!(covered(100), ["deployments", "jobs"], "either");
    assert_eq!(covered(111), ["jobs"]);
    let gone = Entry {
        change: Change::Deleted,
        ..entry
    };
    assert_eq!(
        Version::of(&gone, &[amendment(5, "jobs")])[0].body,
        Body::Gone
    );
}

proptest! {
    /// Whatever changed when, a time far from every change has exactly the newest version
    /// before it, and a time near one has all that are near.
    #[test]
    fn the_law_of_a_time_is_the_newest_before_it_and_all_that_are_near(
        gaps in proptest::collection::vec(1_i64..40, 1..12),
        asked in -30_i64..400,
    ) {
        let mut shelves = Shelves::default();
        let mut at = 0;
        let mut observed = Vec::new();
        for (n, gap) in gaps.iter().enumerate() {
            at += gap;
            observed.push(at);
            put(&mut shelves, &n.to_string(), at, None, Some(if n % 2 == 0 { "Deny" } else { "Audit" }));
        }
        let (found, doubted) = in_force(&shelves.book(true), asked);
        prop_assert!(!doubted);
        let begun = |n: usize| asked >= observed[n] - 10;
        let over = |n: usize| observed.get(n + 1).is_some_and(|next| asked >= next + 10);
        let expected: Vec<String> = (0..observed.len())
            .filter(|n| begun(*n) && !over(*n))
            .map(|n| n.to_string())
            .collect();
        prop_assert_eq!(&found, &expected);
        let near = observed.iter().any(|at| (asked - at).abs() <= 10);
        if !near {
            let newest = observed.iter().rposition(|at| *at <= asked);
            prop_assert_eq!(found, newest.map(|n| n.to_string()).into_iter().collect::<Vec<_>>());
        }
    }

    /// The same question has the same answer, whichever questions came before.
    #[test]
    fn the_order_of_questions_does_not_matter(
        times in proptest::collection::vec(0_i64..300, 1..40),
    ) {
        let mut shelves = Shelves::default();
        for (n, at) in [10, 30, 90, 91, 160, 250].into_iter().enumerate() {
            put(&mut shelves, &n.to_string(), at, None, Some("Deny"));
        }
        let book = shelves.book(true);
        for at in times {
            prop_assert_eq!(in_force(&book, at), in_force(&shelves.book(true), at));
        }
    }
}
