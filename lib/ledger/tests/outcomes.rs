//! Which outcome counts for which denial.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::query::Reader;
use docket_ledger::store::{Store, reindex};
use docket_ledger::verify::{VerifyOptions, verify};
use make::{at, batch, micros, open, outcome};
use serde_json::json;
use std::path::Path;

const ACME: &str = "krate-org-acme";

/// The `n`th denial of one object.
fn denied(n: i64, change: serde_json::Value) -> NewEntry {
    let mut public = json!({
        "id": format!("d{n}"), "time": at(n).to_string(), "verdict": "denied", "dryRun": false,
        "operation": "UPDATE", "kind": "PullRequest", "namespace": ACME,
        "attributions": [{"enforcer": "kyverno", "policy": "a"}, {"enforcer": "kyverno", "policy": "b"}],
    });
    for (name, value) in change.as_object().unwrap() {
        public[name] = value.clone();
    }
    NewEntry {
        id: format!("d{n}"),
        class: Class::Denial,
        public: public.to_string().into_bytes(),
        personal: Some(json!({"name": "object-3"}).to_string().into_bytes()),
        exhibit: (n == 1).then(|| b"shown".to_vec()),
    }
}

fn add(store: &mut Store, entries: impl IntoIterator<Item = NewEntry>) {
    store.append(&batch(entries), at(1000)).unwrap();
}

fn found(path: &Path, denial: &str) -> Option<String> {
    let row = Reader::open(path).unwrap().outcome(denial).unwrap();
    row.map(|row| row.id)
}

#[test]
fn the_object_itself_counts_before_its_series_and_then_the_earliest_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut store = open(&path);
    add(&mut store, (0..4).map(|n| denied(n, json!({}))));
    assert_eq!(store.answer("d0").unwrap(), None);
    add(
        &mut store,
        [
            outcome(200, "series", &["d0", "d1"], 2),
            outcome(400, "object", &["d0", "d2"], 2),
            outcome(300, "deleted", &["d0"], 1),
        ],
    );
    let answer = store.answer("d0").unwrap().unwrap();
    assert_eq!(
        (answer.series, answer.time, answer.written_by.as_str()),
        (false, micros(300), "write-300")
    );
    let expect = |path: &Path| {
        assert_eq!(found(path, "d0").as_deref(), Some("outcome-300-deleted"));
        assert_eq!(found(path, "d1").as_deref(), Some("outcome-200-series"));
        assert_eq!(found(path, "d2").as_deref(), Some("outcome-400-object"));
        assert_eq!(found(path, "d3"), None);
        assert_eq!(found(path, "nothing"), None);
    };
    expect(&path);
    assert_eq!(store.exhibit("d1").unwrap().as_deref(), Some(&b"shown"[..]));
    assert_eq!(store.exhibit("d2").unwrap(), None);
    drop(store);
    reindex(&path).unwrap();
    expect(&path);
    let report = verify(&path, &VerifyOptions::default()).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn those_that_are_only_counted_are_found_by_their_object_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut store = open(&path);
    // The span of `outcome(100)` is 40 to 99.
    let others = [
        denied(39, json!({})),
        denied(40, json!({})),
        denied(99, json!({})),
        denied(98, json!({"kind": "Pipeline"})),
        denied(97, json!({"namespace": "krate-org-globex"})),
        denied(96, json!({"operation": "DELETE"})),
    ];
    add(&mut store, others);
    add(&mut store, [outcome(100, "object", &["d50"], 3)]);
    for (denial, there) in [
        ("d39", false),
        ("d40", true),
        ("d99", true),
        ("d98", false),
        ("d97", false),
        ("d96", false),
    ] {
        assert_eq!(found(&path, denial).is_some(), there, "{denial}");
        assert_eq!(store.answer(denial).unwrap().is_some(), there, "{denial}");
    }
    assert!(store.counts_others("write-100").unwrap());
    assert!(!store.counts_others("write-101").unwrap());
}

#[test]
fn cases_are_of_one_namespace_and_policy_without_dry_runs_or_unknown_verdicts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut store = open(&path);
    add(
        &mut store,
        [
            denied(0, json!({})),
            denied(1, json!({"verdict": "unavailable"})),
            denied(2, json!({"dryRun": true})),
            denied(3, json!({"verdict": "unknown"})),
            denied(4, json!({"namespace": "krate-org-globex"})),
            denied(
                5,
                json!({"attributions": [{"enforcer": "kyverno", "policy": "c"}]}),
            ),
        ],
    );
    add(&mut store, [outcome(100, "object", &["d1", "d4"], 2)]);
    let reader = Reader::open(&path).unwrap();
    let times = |policy, since, until, most| {
        let cases = reader.cases(ACME, policy, since, until, most).unwrap();
        let times: Vec<i64> = cases.cases.iter().map(|case| case.time).collect();
        (times, cases.more)
    };
    assert_eq!(
        times(None, None, None, 9),
        (vec![micros(5), micros(1), micros(0)], false)
    );
    assert_eq!(
        times(Some("b"), None, None, 9),
        (vec![micros(1), micros(0)], false)
    );
    assert_eq!(times(Some("b"), None, None, 1), (vec![micros(1)], true));
    assert_eq!(
        times(Some("a"), Some(micros(1)), None, 9),
        (vec![micros(1)], false)
    );
    assert_eq!(
        times(Some("a"), None, Some(micros(1)), 9),
        (vec![micros(0)], false)
    );
    assert_eq!(times(Some("d"), None, None, 9), (vec![], false));
    let cases = reader.cases(ACME, Some("a"), None, None, 9).unwrap();
    let outcomes: Vec<Option<u64>> = cases.cases.iter().map(|case| case.outcome).collect();
    assert_eq!(outcomes, [Some(6), None]);
    assert_eq!(cases.outcomes[&6].id, "outcome-100-object");
}
