//! Who changed the law: writes and versions in both orders, and records of that moment.

use super::*;
use crate::intake::Sighting;
use docket_record::denial::{Attribution, Grade};
use docket_record::kyverno_event::Hearsay;
use docket_record::law::{Change, Entry, LawBook, Object};
use docket_record::report::Subject;
use serde_json::json;

const POLICY: &str = "require-pr-description";

fn object(action: &str) -> Object {
    Object::read(&json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": POLICY},
        "spec": {"validationActions": [action], "matchConstraints": {"resourceRules": [
            {"apiGroups": ["krate.a5c.ai"], "resources": ["pullrequests"]}]},
            "validations": [{"expression": "x", "message": "a pull request needs a description"}]},
    }))
    .unwrap()
}

/// A version observed so many milliseconds after the bench began.
pub(super) fn law(id: &str, change: Change, millis: i64, after: Option<i64>) -> NewEntry {
    let at = |millis| start() + SignedDuration::from_millis(millis);
    let object = object("Audit");
    let law = Entry {
        id: id.into(),
        time: at(millis),
        after: after.map(at),
        change,
        api_version: object.api_version,
        kind: "ValidatingPolicy".into(),
        namespace: String::new(),
        name: POLICY.into(),
        uid: "u".into(),
        resource_version: "2".into(),
        generation: 2,
        hash: object.hash,
        previous: None,
        summary: vec!["validationActions: Deny → Audit".into()],
        enforces: false,
        text: object.text,
        whole: None,
    };
    NewEntry {
        id: law.id.clone(),
        class: Class::Law,
        public: json(&law),
        personal: None,
        exhibit: None,
    }
}

/// An admitted write of the policy.
pub(super) fn write(user: &str, verb: &str, millis: i64) -> Value {
    let time = start() + SignedDuration::from_millis(millis);
    json!({
        "level": "Metadata", "auditID": format!("{user}-{millis}"), "stage": "ResponseComplete",
        "requestURI": format!("/apis/policies.kyverno.io/v1/validatingpolicies/{POLICY}"),
        "verb": verb, "user": {"username": user, "groups": ["platform"]},
        "objectRef": {"resource": "validatingpolicies", "name": POLICY,
            "apiGroup": "policies.kyverno.io", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": format!("{time:.6}"), "stageTimestamp": format!("{time:.6}"),
    })
}

fn enact(bench: &mut Bench, entry: NewEntry) {
    bench.commit(vec![Arrival {
        entries: vec![entry],
        ..Arrival::default()
    }]);
}

/// (law, verb) of every amendment that names who changed a law.
fn changed(bench: &Bench) -> Vec<(String, String)> {
    let mut found: Vec<_> = bench
        .rows(Class::Amendment)
        .into_iter()
        .filter(|row| row["kind"] == "law-changed-by")
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("amends"), text("verb"))
        })
        .collect();
    found.sort();
    found
}

fn told(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(own).collect()
}

#[test]
fn the_write_that_changed_a_law_is_found_in_both_orders() {
    for law_first in [true, false] {
        let mut bench = Bench::new();
        bench.now = start() + SignedDuration::from_secs(5);
        let version = law("law-1", Change::Changed, 1000, None);
        if law_first {
            enact(&mut bench, version.clone());
        }
        bench.deliver(&[write("dana", "patch", 990)]);
        if !law_first {
            enact(&mut bench, version);
        }
        assert_eq!(changed(&bench), told(&[("law-1", "patch")]));
        // Told again, it is the same.
        bench.deliver(&[write("dana", "patch", 990)]);
        assert_eq!(changed(&bench).len(), 1);
    }
}

#[test]
fn the_name_of_who_changed_a_law_is_in_the_personal_part() {
    let mut bench = Bench::new();
    enact(&mut bench, law("law-1", Change::Changed, 1000, None));
    bench.deliver(&[write("dana", "update", 990)]);
    let reader = Reader::open(&bench.dir.path().join("ledger")).unwrap();
    let rows = reader.amendments("law-1").unwrap();
    assert!(!String::from_utf8_lossy(&rows[0].public).contains("dana"));
    let personal: Value = serde_json::from_slice(rows[0].personal.as_ref().unwrap()).unwrap();
    assert_eq!(personal["actor"]["username"], "dana");
}

#[test]
fn each_of_two_changes_is_owed_to_its_own_write() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(20);
    bench.deliver(&[write("dana", "patch", 990), write("eve", "update", 8990)]);
    enact(&mut bench, law("law-1", Change::Changed, 1000, None));
    enact(&mut bench, law("law-2", Change::Changed, 9000, None));
    assert_eq!(
        changed(&bench),
        told(&[("law-1", "patch"), ("law-2", "update")])
    );
}

#[test]
fn of_two_writes_that_may_have_done_it_both_are_named() {
    let mut bench = Bench::new();
    bench.deliver(&[write("dana", "patch", 900), write("eve", "update", 950)]);
    enact(&mut bench, law("law-1", Change::Changed, 1000, None));
    assert_eq!(
        changed(&bench),
        told(&[("law-1", "patch"), ("law-1", "update")])
    );
}

#[test]
fn a_write_that_fits_only_if_the_clocks_differ_is_marked() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(5);
    bench.deliver(&[write("admin", "patch", 990), write("dana", "update", 1990)]);
    enact(&mut bench, law("law-1", Change::Changed, 1000, None));
    enact(&mut bench, law("law-2", Change::Changed, 2000, None));
    let mut found: Vec<_> = bench
        .rows(Class::Amendment)
        .into_iter()
        .map(|row| {
            (
                row["amends"].clone(),
                row["verb"].clone(),
                row["perhaps"] == true,
            )
        })
        .collect();
    found.sort_by_key(|(law, verb, _)| format!("{law}{verb}"));
    assert_eq!(
        found,
        [
            ("law-1".into(), "patch".into(), false),
            ("law-1".into(), "update".into(), true),
            ("law-2".into(), "patch".into(), true),
            ("law-2".into(), "update".into(), false),
        ]
    );
}

#[test]
fn a_change_right_behind_the_creation_is_owed_to_who_changed_it() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(5);
    enact(&mut bench, law("made", Change::Created, 1000, None));
    enact(
        &mut bench,
        law("changed", Change::Changed, 3300, Some(2200)),
    );
    bench.deliver(&[write("dana", "patch", 2900)]);
    let found = bench.rows(Class::Amendment);
    let sure = found
        .iter()
        .any(|row| row["amends"] == "changed" && row["perhaps"] != true);
    assert!(sure, "{found:#?}");
}

#[test]
fn a_write_that_did_something_else_changed_nothing() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(60);
    enact(&mut bench, law("law-1", Change::Changed, 30_000, None));
    let mut status = write("kyverno", "update", 29_990);
    status["objectRef"]["subresource"] = "status".into();
    let mut dry = write("dana", "patch", 29_990);
    dry["requestURI"] = format!("{}?dryRun=All", dry["requestURI"].as_str().unwrap()).into();
    let mut other = write("dana", "patch", 29_991);
    other["objectRef"]["name"] = "another".into();
    let deleted = write("dana", "delete", 29_990);
    let long_before = write("dana", "patch", 1000);
    let after = write("dana", "patch", 33_000);
    bench.deliver(&[status, dry, other, deleted, long_before, after]);
    assert_eq!(changed(&bench), []);
}

#[test]
fn a_change_found_after_an_absence_is_owed_to_a_write_of_that_absence_also_after_a_restart() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(90);
    enact(
        &mut bench,
        law("law-1", Change::Changed, 80_000, Some(10_000)),
    );
    bench.restart();
    bench.deliver(&[write("dana", "patch", 40_000)]);
    assert_eq!(changed(&bench), told(&[("law-1", "patch")]));
}

#[test]
fn an_amendment_is_not_counted_as_a_record_of_an_event() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(5);
    enact(&mut bench, law("law-1", Change::Changed, 1000, None));
    let told = bench.deliver(&[write("dana", "patch", 990), Bench::day().denied()]);
    assert_eq!(changed(&bench).len(), 1);
    assert_eq!((told.appended, told.records), (2, vec![1]));
}

fn denied(bench: &Bench) -> Value {
    bench.rows(Class::Denial).remove(0)["attributions"][0].clone()
}

fn with_law(bench: &Bench) {
    let book = LawBook::always([(object("Deny"), "law-0".to_owned())]);
    bench.court.laws.publish(book);
}

#[test]
fn a_denial_of_the_moment_of_a_change_is_amended_when_the_watch_tells_of_it() {
    let mut bench = Bench::new();
    with_law(&bench);
    let item = Bench::day().denied();
    bench.deliver(&[item]);
    assert_eq!(denied(&bench)["grade"], "exact");
    assert_eq!(denied(&bench)["laws"], json!(["law-0"]));
    enact(&mut bench, law("law-1", Change::Changed, 2000, None));
    let doubts: Vec<Value> = bench
        .rows(Class::Amendment)
        .into_iter()
        .filter(|row| row["kind"] == "law-in-doubt")
        .collect();
    assert_eq!(doubts.len(), 1);
    assert_eq!(doubts[0]["amends"], bench.rows(Class::Denial)[0]["id"]);
    assert_eq!(doubts[0]["laws"], json!(["law-1"]));
}

#[test]
fn a_denial_that_was_examined_before_the_law_was_told_is_not_written_as_exact() {
    let mut bench = Bench::new();
    with_law(&bench);
    let item = Bench::day().denied();
    let examined = bench
        .court
        .delivery("api", &events::list(&[item]), bench.now);
    enact(&mut bench, law("law-1", Change::Changed, 2000, None));
    bench.commit(vec![examined]);
    assert_eq!(denied(&bench)["grade"], "ambiguous");
    assert_eq!(denied(&bench)["laws"], json!(["law-0", "law-1"]));
}

#[test]
fn a_denial_long_before_a_change_stays_exact() {
    let mut bench = Bench::new();
    with_law(&bench);
    let item = Bench::day().denied();
    bench.deliver(&[item]);
    bench.now = start() + SignedDuration::from_secs(60);
    enact(&mut bench, law("law-1", Change::Changed, 60_000, None));
    assert!(bench.rows(Class::Amendment).is_empty());
}

/// An Event of the policy about the object of an audit event, exact by `law-0`.
fn heard(item: &Value) -> Hearsay {
    let received = item["requestReceivedTimestamp"].as_str().unwrap();
    Hearsay {
        uid: "e1".into(),
        event: format!("default/{POLICY}.1"),
        time: received.parse().unwrap(),
        group: "krate.a5c.ai".into(),
        resource: "pullrequests".into(),
        namespace: "krate-org-acme".into(),
        name: item["objectRef"]["name"].as_str().unwrap().into(),
        object_uid: String::new(),
        attribution: owed_to_law_0("kyvernoEvent"),
        message: String::new(),
    }
}

fn owed_to_law_0(source: &str) -> Attribution {
    Attribution {
        enforcer: "kyverno".into(),
        policy_kind: Some("ValidatingPolicy".into()),
        policy: Some(POLICY.into()),
        grade: Some(Grade::Exact),
        source: source.into(),
        laws: vec!["law-0".into()],
        ..Attribution::default()
    }
}

#[test]
fn an_event_of_the_moment_of_a_change_is_not_sure_whichever_is_told_first() {
    for event_first in [true, false] {
        let mut bench = Bench::new();
        // The denial itself names another policy.
        let mut item = Bench::day().denied();
        let text = item["responseStatus"]["message"].as_str().unwrap();
        item["responseStatus"]["message"] = text.replace(POLICY, "another").into();
        let hearsay = vec![heard(&item)];
        bench.deliver(&[item]);
        let hear = |bench: &mut Bench| {
            bench.commit(vec![Arrival {
                hearsay: hearsay.clone(),
                ..Arrival::default()
            }]);
        };
        let version = law("law-1", Change::Changed, 2000, None);
        if event_first {
            hear(&mut bench);
            enact(&mut bench, version);
        } else {
            enact(&mut bench, version);
            hear(&mut bench);
        }
        let told: Vec<Value> = bench
            .rows(Class::Amendment)
            .into_iter()
            .filter(|row| row["kind"] == "other-denier")
            .map(|row| row["attribution"].clone())
            .collect();
        assert_eq!(told.len(), if event_first { 2 } else { 1 }, "{told:#?}");
        // The last word counts; rows come newest first.
        assert_eq!(told[0]["grade"], "ambiguous");
        assert_eq!(told[0]["laws"], json!(["law-0", "law-1"]));
        if event_first {
            assert_eq!(told[1]["grade"], "exact");
        }
    }
}

#[test]
fn a_pass_by_a_report_of_the_moment_of_a_change_is_not_sure_whichever_is_told_first() {
    for report_first in [true, false] {
        let mut bench = Bench::new();
        let sighting = Sighting {
            subject: Subject {
                api_version: "krate.a5c.ai/v1alpha1".into(),
                kind: "PullRequest".into(),
                namespace: "krate-org-acme".into(),
                name: "pr-1".into(),
                uid: "u1".into(),
            },
            time: start() + SignedDuration::from_secs(1),
            background: Some(false),
            report: ("PolicyReport".into(), "u1".into()),
            attribution: owed_to_law_0("report"),
            exceptions: Vec::new(),
        };
        let see = |bench: &mut Bench| {
            bench.commit(vec![Arrival {
                sightings: vec![sighting.clone()],
                ..Arrival::default()
            }]);
        };
        let version = law("law-1", Change::Changed, 2000, None);
        if report_first {
            see(&mut bench);
            enact(&mut bench, version);
        } else {
            enact(&mut bench, version);
            see(&mut bench);
        }
        let pass = bench.rows(Class::Pass).remove(0);
        let doubts = bench.rows(Class::Amendment);
        if report_first {
            assert_eq!(pass["attributions"][0]["grade"], "exact");
            assert_eq!(doubts[0]["kind"], "law-in-doubt");
            assert_eq!(doubts[0]["amends"], pass["id"]);
        } else {
            assert_eq!(pass["attributions"][0]["grade"], "ambiguous");
            assert!(doubts.is_empty(), "{doubts:#?}");
        }
    }
}

fn doubts(bench: &Bench) -> Vec<Value> {
    let amendments = bench.rows(Class::Amendment).into_iter();
    amendments
        .filter(|row| row["kind"] == "law-in-doubt")
        .collect()
}

#[test]
fn a_denial_of_an_absence_that_a_restart_ends_is_amended_when_the_change_is_found() {
    let mut bench = Bench::new();
    with_law(&bench);
    bench.deliver(&[Bench::day().denied()]);
    bench.restart();
    bench.now = start() + SignedDuration::from_secs(120);
    enact(
        &mut bench,
        law("law-1", Change::Changed, 100_000, Some(500)),
    );
    assert_eq!(doubts(&bench).len(), 1);
    assert_eq!(doubts(&bench)[0]["policy"], POLICY);
}

#[test]
fn a_policy_that_is_gone_after_an_absence_may_have_been_another_one_before() {
    for (after, doubted) in [(Some(500), 1), (None, 0)] {
        let mut bench = Bench::new();
        with_law(&bench);
        bench.deliver(&[Bench::day().denied()]);
        enact(&mut bench, law("gone", Change::Deleted, 5000, after));
        assert_eq!(doubts(&bench).len(), doubted, "{after:?}");
    }
}

/// A denial by a ValidatingAdmissionPolicy through a binding.
fn bound() -> Value {
    let mut item = Bench::day().denied();
    item["responseStatus"] = json!({
        "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
        "message": "pullrequests.krate.a5c.ai \"pr-1\" is forbidden: ValidatingAdmissionPolicy 'v' \
            with binding 'b' denied request: no",
    });
    item
}

fn with_binding(bench: &Bench) {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "v"},
        "spec": {"matchConstraints": {"resourceRules": [
            {"apiGroups": ["krate.a5c.ai"], "resources": ["pullrequests"]}]}},
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "b"},
        "spec": {"policyName": "v", "validationActions": ["Deny"]},
    });
    let laws = [(policy, "law-v"), (binding, "law-b")];
    let laws = laws.map(|(object, id)| (Object::read(&object).unwrap(), id.to_owned()));
    bench.court.laws.publish(LawBook::always(laws));
}

fn binding_changed(millis: i64) -> NewEntry {
    let mut entry = law("law-b2", Change::Changed, millis, None);
    let mut public: Value = serde_json::from_slice(&entry.public).unwrap();
    public["apiVersion"] = "admissionregistration.k8s.io/v1".into();
    public["kind"] = "ValidatingAdmissionPolicyBinding".into();
    public["name"] = "b".into();
    entry.public = json(&public);
    entry
}

#[test]
fn a_binding_that_changed_at_that_moment_is_a_doubt_like_its_policy() {
    let mut bench = Bench::new();
    with_binding(&bench);
    bench.deliver(&[bound()]);
    assert_eq!(denied(&bench)["grade"], "exact", "{:#}", denied(&bench));
    assert_eq!(denied(&bench)["bindingLaws"], json!(["law-b"]));
    enact(&mut bench, binding_changed(2000));
    assert_eq!(doubts(&bench).len(), 1);
    assert_eq!(doubts(&bench)[0]["policy"], "v");
    assert_eq!(doubts(&bench)[0]["laws"], json!(["law-b2"]));

    let mut bench = Bench::new();
    with_binding(&bench);
    enact(&mut bench, binding_changed(2000));
    bench.deliver(&[bound()]);
    assert_eq!(denied(&bench)["grade"], "ambiguous");
    assert_eq!(denied(&bench)["bindingLaws"], json!(["law-b", "law-b2"]));
}

/// What is remembered of writes to law.
fn law_writes(bench: &Bench) -> Vec<String> {
    let row = bench.store.as_ref().unwrap().state("law/writes").unwrap();
    let row: Value = serde_json::from_slice(&row.unwrap()).unwrap();
    let writes = row["writes"].as_array().unwrap().iter();
    let text = |write: &Value, field: &str| write[field].as_str().unwrap().to_owned();
    writes
        .map(|write| format!("{} {}", text(write, "verb"), text(write, "name")))
        .collect()
}

#[test]
fn a_write_to_law_is_remembered_unless_nothing_can_have_been_stored() {
    let mut bench = Bench::new();
    bench.now = start() + SignedDuration::from_secs(60);
    let coded = |verb: &str, name: &str, code: u16| {
        let mut item = write("dana", verb, 30_000);
        item["auditID"] = format!("{verb} {name} {code}").into();
        item["objectRef"]["name"] = name.into();
        item["responseStatus"] = json!({"metadata": {}, "code": code, "message": "no"});
        item
    };
    let mut status = coded("update", "status", 200);
    status["objectRef"]["subresource"] = "status".into();
    let mut dry = coded("patch", "dry", 200);
    dry["requestURI"] = "/apis/policies.kyverno.io/v1/validatingpolicies/dry?dryRun=All".into();
    let mut other = coded("patch", "other", 200);
    other["objectRef"]["resource"] = "globalcontextentries".into();
    other["objectRef"]["apiGroup"] = "kyverno.io".into();
    let mut forbidden = coded("deletecollection", "forbidden", 403);
    forbidden["annotations"] = json!({"authorization.k8s.io/decision": "forbid"});
    let items = [
        coded("patch", "admitted", 200),
        coded("update", "timed-out", 504),
        coded("delete", "failed", 500),
        coded("deletecollection", "begun", 403),
        coded("create", "refused", 400),
        coded("update", "conflict", 409),
        coded("create", "too-many", 429),
        status,
        dry,
        other,
        forbidden,
    ];
    bench.deliver(&items);
    let known = [
        "patch admitted",
        "update timed-out",
        "delete failed",
        "deletecollection begun",
    ];
    assert_eq!(law_writes(&bench), known);
    // Another source, another process: the same writes.
    bench.restart();
    bench.deliver(&items);
    assert_eq!(law_writes(&bench), known);
}
