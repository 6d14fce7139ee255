//! Laws: their history, and which of them matter to a time.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::query::{LawFilter, Page, Reader, Row};
use docket_ledger::store::reindex;
use docket_ledger::verify::{VerifyOptions, verify};
use make::{at, batch, law, micros, open, scope};

fn ids(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().map(|row| row.id).collect()
}

#[test]
fn a_time_needs_the_versions_in_it_the_last_before_and_the_first_after() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut store = open(&path);
    let seconds = [
        (10, "a"),
        (20, "b"),
        (30, "a"),
        (40, "a"),
        (50, "a"),
        (60, "a"),
    ];
    let laws = seconds.map(|(second, name)| law(second, name));
    store.append(&batch(laws), at(1000)).unwrap();
    drop(store);
    let needed = |from, until| {
        let reader = Reader::open(&path).unwrap();
        ids(reader.laws_in_force(micros(from), micros(until)).unwrap())
    };
    assert_eq!(needed(35, 45), ["law-20", "law-30", "law-40", "law-50"]);
    assert_eq!(needed(100, 200), ["law-20", "law-60"]);
    assert_eq!(needed(0, 5), ["law-10", "law-20"]);
    // The same from a view that was made anew, and the store is intact.
    reindex(&path).unwrap();
    assert_eq!(needed(35, 45), ["law-20", "law-30", "law-40", "law-50"]);
    let report = verify(&path, &VerifyOptions::default()).unwrap();
    assert!(report.intact(), "{:?}", report.findings);
}

#[test]
fn a_history_is_paged_and_filtered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut store = open(&path);
    let laws = (1..=5).map(|second| law(second, if second == 3 { "b" } else { "a" }));
    store.append(&batch(laws), at(1000)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let of = |name: &str| LawFilter {
        name: Some(name.to_owned()),
        ..LawFilter::default()
    };
    let page = |after| Page {
        limit: 3,
        after,
        ..Page::default()
    };
    let (rows, total) = reader.laws(&of("a"), &page(None)).unwrap();
    let last = rows.last().map(|row| (row.time, row.position));
    assert_eq!(
        (ids(rows), total),
        (vec!["law-5".into(), "law-4".into(), "law-2".into()], 4)
    );
    let (rows, _) = reader.laws(&of("a"), &page(last)).unwrap();
    assert_eq!(ids(rows), ["law-1"]);
    // A reader of namespaces sees no law of the cluster.
    let scoped = LawFilter {
        scope: scope(&["", "krate-org-acme"]),
        ..LawFilter::default()
    };
    assert_eq!(reader.laws(&scoped, &page(None)).unwrap(), (Vec::new(), 0));
}
