//! A part may be gone if an erasure entry names it, and for no other reason.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Store, reindex};
use docket_ledger::verify::{Report, VerifyOptions, verify};
use make::{at, batch, denial, open};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;

/// Ten denials, and an erasure entry that says this.
fn erasing(path: &Path, erases: Value) -> Store {
    let mut store = open(path);
    store.append(&batch((0..10).map(denial)), at(50)).unwrap();
    let public = json!({"id": "erasure-1", "time": at(51).to_string(), "erases": erases,
        "reason": "asked for by the person"});
    let personal = json!({"actor": {"username": "carol"}});
    let erasure = NewEntry {
        id: "erasure-1".into(),
        class: Class::Erasure,
        public: serde_json::to_vec(&public).unwrap(),
        personal: Some(serde_json::to_vec(&personal).unwrap()),
        exhibit: None,
    };
    store.append(&batch([erasure]), at(51)).unwrap();
    store
}

/// The file, after this was done to it and its view was made again.
fn after(path: &Path, sql: &str) -> Report {
    let connection = Connection::open(path).unwrap();
    assert!(connection.execute(sql, ()).unwrap() > 0);
    drop(connection);
    reindex(path).unwrap();
    verify(path, &VerifyOptions::default()).unwrap()
}

const GONE: &str = "UPDATE entry SET personal = NULL, personal_salt = NULL WHERE position = 3";

#[test]
fn a_part_that_an_erasure_entry_names_may_be_gone_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(erasing(
        &path,
        json!([{"position": 3, "parts": ["personal"]}]),
    ));
    let report = after(&path, GONE);
    assert_eq!(
        (report.findings.as_slice(), report.parts_erased),
        (&[][..], 1)
    );
}

#[test]
fn a_part_that_is_gone_without_its_erasure_is_found_and_its_place_named() {
    for (erases, sql, found) in [
        (json!([]), GONE, "entry 3: the personal part is missing"),
        (
            json!([{"position": 4, "parts": ["personal"]}, {"position": 3, "parts": ["exhibit"]}]),
            GONE,
            "entry 3: the personal part is missing",
        ),
        (
            json!([{"position": 3, "parts": ["public", "personal"]}]),
            "UPDATE entry SET public = NULL, public_salt = NULL WHERE position = 3",
            "entry 3: the public part is missing",
        ),
        // Half of it is no erasure.
        (
            json!([{"position": 3, "parts": ["personal"]}]),
            "UPDATE entry SET personal = NULL WHERE position = 3",
            "entry 3: the personal part is not what the leaf says",
        ),
        // An erasure entry that was changed names nothing.
        (
            json!([{"position": 3, "parts": ["exhibit_"]}]),
            "UPDATE entry SET personal = iif(position = 3, NULL, personal), \
             personal_salt = iif(position = 3, NULL, personal_salt), \
             public = iif(position = 10, CAST(replace(public, 'exhibit_', 'personal') AS BLOB), public) \
             WHERE position IN (3, 10)",
            "entry 3: the personal part is missing",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        drop(erasing(&path, erases));
        let report = after(&path, sql);
        let said: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|one| one.starts_with(found)), "{said:?}");
    }
}
