//! Writes that an exception let through: the law's word, then a report's.

use super::*;
use crate::intake::{Sighting, by_report};
use docket_record::denial::{Attribution, Evidence, Excepted};
use docket_record::law::{LawBook, Object};
use docket_record::report::Subject;
use serde_json::json;

const ACME: &str = "krate-org-acme";

fn bench(with_exception: bool) -> (Bench, Day) {
    let policy = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "require-pr-description"},
        "spec": {"matchConstraints": {"resourceRules": [
            {"apiGroups": ["krate.a5c.ai"], "resources": ["pullrequests"]}]}}});
    let exception = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
        "metadata": {"name": "let-jane", "namespace": "kyverno"},
        "spec": {"policyRefs": [{"kind": "ValidatingPolicy", "name": "require-pr-description"}]}});
    let exception = with_exception.then_some((exception, "law-of-let-jane"));
    let law = [Some((policy, "")), exception].into_iter().flatten();
    let law = law.map(|(object, id)| (Object::read(&object).unwrap(), id.to_owned()));
    let bench = Bench::new();
    bench.court.laws.publish(LawBook::always(law));
    (bench, Bench::day())
}

/// What a report says of `pr-1`, so many seconds after the bench began.
pub(super) fn sighting(name: &str, seconds: i64) -> Sighting {
    Sighting {
        subject: Subject {
            api_version: "krate.a5c.ai/v1alpha1".into(),
            kind: "PullRequest".into(),
            namespace: ACME.into(),
            name: name.into(),
            uid: format!("uid-of-{name}"),
        },
        time: start() + SignedDuration::from_secs(seconds),
        background: Some(true),
        report: ("PolicyReport".into(), format!("uid-of-{name}")),
        attribution: by_report(Attribution {
            policy: Some("require-pr-description".into()),
            ..Attribution::default()
        }),
        exceptions: vec![Excepted {
            namespace: "kyverno".into(),
            name: "let-jane".into(),
            policy: "require-pr-description".into(),
            evidence: Evidence::Report,
            laws: vec!["law-of-let-jane".into()],
            ..Excepted::default()
        }],
    }
}

fn see(bench: &mut Bench, sightings: Vec<Sighting>) {
    bench.commit(vec![Arrival {
        sightings,
        ..Arrival::default()
    }]);
}

#[test]
fn a_write_that_an_exception_may_have_let_through_is_a_pass_by_the_law() {
    let (mut bench, mut day) = bench(true);
    let told = bench.deliver(&[day.admitted(), day.denied()]);
    assert_eq!((told.events["excepted"], told.events["denied"]), (1, 1));
    let passes = bench.rows(Class::Pass);
    assert_eq!(passes.len(), 1);
    let pass = &passes[0];
    assert_eq!(pass["verdict"], "excepted");
    assert_eq!(
        pass["exceptions"],
        json!([{"namespace": "kyverno", "name": "let-jane",
        "policyKind": "ValidatingPolicy", "policy": "require-pr-description",
        "evidence": "law", "laws": ["law-of-let-jane"]}])
    );
    assert_eq!(pass["attributions"][0]["grade"], "ambiguous");
    assert!(
        !pass.to_string().contains("denied"),
        "no word on what would have been: {pass}"
    );
    assert_eq!(bench.rows(Class::Denial).len(), 1, "a refusal is no pass");
}

#[test]
fn without_an_exception_an_admitted_write_leaves_no_entry() {
    let (mut bench, mut day) = bench(false);
    let told = bench.deliver(&[day.admitted()]);
    assert_eq!(told.events["admitted"], 1);
    assert!(bench.rows(Class::Pass).is_empty());
}

#[test]
fn dry_runs_and_deletions_and_imports_are_no_passes() {
    let (mut bench, mut day) = bench(true);
    let mut dry = day.admitted();
    dry["requestURI"] = "/apis/x?dryRun=All".into();
    let mut delete = day.admitted();
    delete["verb"] = "delete".into();
    delete["annotations"] = json!({});
    bench.deliver(&[dry, delete]);
    let mut arrival = bench
        .court
        .delivery("file", &events::list(&[day.admitted()]), bench.now);
    arrival.imported = true;
    bench.commit(vec![arrival]);
    let passes = bench.rows(Class::Pass);
    assert!(passes.is_empty(), "{passes:#?}");
}

#[test]
fn many_writes_of_a_minute_are_a_few_passes_and_a_count() {
    let (mut bench, mut day) = bench(true);
    let writes: Vec<Value> = (0..35).map(|_| day.admitted()).collect();
    let told = bench.deliver(&writes);
    assert_eq!(told.events["excepted"], 35);
    assert_eq!(bench.rows(Class::Pass).len(), 10);
    assert!(bench.rows(Class::Amendment).is_empty());
    bench.pass(200);
    let amendments = bench.rows(Class::Amendment);
    assert_eq!(amendments.len(), 1);
    assert_eq!(
        (&amendments[0]["kind"], &amendments[0]["count"]),
        (&json!("more"), &json!(25))
    );
    let last = bench.rows(Class::Pass)[0]["id"].clone();
    assert_eq!(amendments[0]["amends"], last);
    bench.pass(200);
    assert_eq!(bench.rows(Class::Amendment).len(), 1, "told once");
    // The next minute has room again.
    let mut later = Day::new(bench.now);
    later.process.instance = "witness-1".into();
    bench.deliver(&[later.admitted()]);
    assert_eq!(bench.rows(Class::Pass).len(), 11);
}

#[test]
fn minutes_that_come_in_turns_have_one_budget_each() {
    let (mut bench, _) = bench(true);
    // One source is a minute behind the other.
    let mut days = [
        Bench::day(),
        Day::new(start() + SignedDuration::from_secs(61)),
    ];
    days[1].process.instance = "witness-1".into();
    for _ in 0..20 {
        for day in &mut days {
            bench.deliver(&[day.admitted()]);
        }
    }
    let passes = bench.rows(Class::Pass);
    assert_eq!(passes.len(), 20, "ten of each");
    bench.pass(121);
    let mut more = bench.rows(Class::Amendment);
    more.retain(|row| row["kind"] == "more");
    let counts: Vec<&Value> = more.iter().map(|row| &row["count"]).collect();
    assert_eq!(counts, [&json!(10), &json!(10)]);
}

#[test]
fn the_minutes_that_are_counted_have_a_bound() {
    let mut passes = super::super::excepted::Passes::default();
    let mut batch = Batch::default();
    let (bench, mut day) = bench(true);
    let list = events::list(&[day.admitted()]);
    let arrival = bench.court.delivery("api", &list, bench.now);
    let Outcome::Record(record) = &arrival.findings[0].outcome else {
        panic!("an excepted write");
    };
    for minute in 0..5000 {
        let time = start() + SignedDuration::from_mins(minute);
        for _ in 0..11 {
            passes.keep(record, time, start(), &mut batch);
        }
    }
    assert_eq!(
        batch.entries.len(),
        5000 - 4096,
        "the oldest were told when they were over"
    );
}

#[test]
fn a_report_raises_the_evidence_of_the_write_once_however_often_it_scans() {
    let (mut bench, mut day) = bench(true);
    bench.deliver(&[day.admitted()]);
    for scan in 0..3 {
        see(&mut bench, vec![sighting("pr-1", 30 + scan)]);
    }
    let passes = bench.rows(Class::Pass);
    assert_eq!(passes.len(), 1);
    let amendments = bench.rows(Class::Amendment);
    assert_eq!(amendments.len(), 1, "{amendments:#?}");
    assert_eq!(amendments[0]["amends"], passes[0]["id"]);
    assert_eq!(amendments[0]["kind"], "evidence");
    assert_eq!(amendments[0]["evidence"], "report");
    assert_eq!(
        amendments[0]["exception"]["laws"],
        json!(["law-of-let-jane"])
    );
    // What was remembered is lost; the ledger knows the pass.
    bench.restart();
    see(&mut bench, vec![sighting("pr-1", 60)]);
    assert_eq!(
        (
            bench.rows(Class::Pass).len(),
            bench.rows(Class::Amendment).len()
        ),
        (1, 1)
    );
}

#[test]
fn a_report_makes_the_pass_where_the_law_said_nothing() {
    let (mut bench, mut day) = bench(false);
    bench.deliver(&[day.admitted()]);
    see(&mut bench, vec![sighting("pr-1", 30)]);
    see(&mut bench, vec![sighting("pr-1", 60)]);
    let passes = bench.rows(Class::Pass);
    assert_eq!(passes.len(), 1, "{passes:#?}");
    assert_eq!(passes[0]["exceptions"][0]["evidence"], "report");
    assert_eq!(
        passes[0]["time"], "2026-11-22T23:00:01.002Z",
        "that of the write"
    );
    assert_eq!(passes[0]["operation"], "CREATE");
    assert!(bench.rows(Class::Amendment).is_empty());
}

#[test]
fn a_report_of_an_object_whose_write_is_not_known_says_so() {
    let (mut bench, _) = bench(true);
    see(&mut bench, vec![sighting("pr-9", 30)]);
    see(&mut bench, vec![sighting("pr-9", 60)]);
    let passes = bench.rows(Class::Pass);
    assert_eq!(passes.len(), 1, "{passes:#?}");
    assert_eq!(passes[0]["time"], "2026-11-22T23:00:30Z");
    let note = passes[0]["notes"][0].as_str().unwrap();
    assert!(note.contains("is not known"), "{note}");
}

#[test]
fn a_report_older_than_the_last_write_is_not_about_it() {
    let (mut bench, mut day) = bench(true);
    bench.deliver(&[day.admitted()]);
    see(&mut bench, vec![sighting("pr-1", -5)]);
    assert!(bench.rows(Class::Amendment).is_empty());
    see(&mut bench, vec![sighting("pr-1", 5)]);
    assert_eq!(bench.rows(Class::Amendment).len(), 1);
}
