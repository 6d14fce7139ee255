//! Whatever is changed in a store, `verify` finds it.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::store::{Options, reindex};
use docket_ledger::verify::{Report, VerifyError, VerifyOptions, verify};
use make::{amendment, at, batch, denial, fill, open, options};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The bytes of a closed store with every table filled.
fn bytes(count: i64) -> (TempDir, PathBuf, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, count));
    let bytes = std::fs::read(&path).unwrap();
    (directory, path, bytes)
}

fn check(path: &Path) -> Report {
    verify(path, &VerifyOptions::default()).unwrap()
}

fn change(path: &Path, original: &[u8], sql: &str) -> bool {
    std::fs::write(path, original).unwrap();
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA ignore_check_constraints = ON")
        .unwrap();
    let changed = connection.execute(sql, ());
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    changed.is_ok_and(|rows| rows > 0)
}

fn names(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement
        .query_map((), |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn tables(path: &Path) -> Vec<(String, Vec<String>)> {
    let connection = Connection::open(path).unwrap();
    let tables = names(
        &connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table'",
    );
    let columns = |table: &String| {
        names(
            &connection,
            &format!("SELECT name FROM pragma_table_info('{table}')"),
        )
    };
    tables
        .iter()
        .map(|table| (table.clone(), columns(table)))
        .collect()
}

/// All rows of a table, in one order.
fn rows(path: &Path, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
    let connection = Connection::open(path).unwrap();
    let all = columns.join(", ");
    let mut statement = connection
        .prepare(&format!("SELECT {all} FROM {table} ORDER BY {all}"))
        .unwrap();
    let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| row.get(at)).collect();
    statement
        .query_map((), read)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn deterministic(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn a_store_that_nobody_touched_is_intact() {
    let (_directory, path, original) = bytes(620);
    let report = check(&path);
    assert_eq!(report.findings, []);
    assert_eq!(report.size, 627);
    let total: u64 = report.entries.iter().map(|(_, count)| count).sum();
    assert_eq!((report.entries.len(), total), (5, 627));
    assert_eq!(report.parts_present + report.parts_absent, 3 * 627);
    assert_eq!(std::fs::read(&path).unwrap(), original);
    reindex(&path).unwrap();
    assert_eq!(check(&path).findings, [], "after reindex");
}

#[test]
fn a_store_that_is_being_written_is_read_with_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut store = fill(&path, 300);
    assert_eq!(check(&path).size, 307);
    store
        .append(
            &batch([denial(900), amendment(901, "gap-301", "gap-closed")]),
            at(999),
        )
        .unwrap();
    let report = check(&path);
    assert_eq!((report.size, report.findings), (309, vec![]));
}

#[test]
fn an_empty_store_is_intact() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a name with % and ?");
    drop(open(&path));
    assert_eq!(check(&path).findings, []);
}

#[test]
fn a_change_of_any_column_of_any_table_is_found() {
    let (_directory, path, original) = bytes(270);
    let mut changed = 0;
    for (table, columns) in tables(&path) {
        let mut of_table = 0;
        for column in &columns {
            let key = &columns[0];
            let pick = format!(
                "{key} = (SELECT {key} FROM {table} WHERE {column} IS NOT NULL LIMIT 1 OFFSET {{}})"
            );
            let mut of_column = 0;
            for value in [
                format!(
                    "CASE typeof({column}) WHEN 'integer' THEN {column} + 1 \
                         WHEN 'text' THEN {column} || ' ' ELSE CAST(x'01' || {column} AS BLOB) END"
                ),
                format!(
                    "CASE typeof({column}) WHEN 'integer' THEN {column} + 1000000 \
                         WHEN 'text' THEN '' ELSE zeroblob(length({column})) END"
                ),
                "NULL".to_owned(),
            ] {
                for offset in [0, 7] {
                    let which = pick.replace("{}", &offset.to_string());
                    let sql = format!(
                        "UPDATE {table} SET {column} = {value} WHERE {which} AND {column} IS NOT {value}"
                    );
                    if change(&path, &original, &sql) {
                        of_column += 1;
                        assert!(!check(&path).intact(), "{sql}");
                    }
                }
            }
            assert!(of_column > 0, "nothing changed in {table}.{column}");
            of_table += of_column;
        }
        assert!(of_table > 0, "nothing changed in {table}");
        changed += of_table;
    }
    assert!(changed > 150, "only {changed}");
}

#[test]
fn a_null_column_that_is_given_a_value_is_found() {
    let (_directory, path, original) = bytes(60);
    for (table, columns) in tables(&path) {
        for column in &columns {
            for value in ["7", "'x'", "x'07'", "zeroblob(32)"] {
                let sql = format!(
                    "UPDATE {table} SET {column} = {value} WHERE {column} IS NULL AND rowid = \
                     (SELECT rowid FROM {table} WHERE {column} IS NULL LIMIT 1)"
                );
                let without_rowid = sql.replace("rowid", "position");
                if change(&path, &original, &sql) || change(&path, &original, &without_rowid) {
                    assert!(!check(&path).intact(), "{sql}");
                }
            }
        }
    }
}

#[test]
fn rows_removed_added_or_swapped_in_any_table_are_found() {
    let (_directory, path, original) = bytes(270);
    let tables = tables(&path);
    let contents: Vec<_> = tables
        .iter()
        .map(|(t, columns)| rows(&path, t, columns))
        .collect();
    let applied = std::cell::RefCell::new(vec![[0; 3]; tables.len()]);
    let strategy = (
        0..tables.len(),
        0..3_usize,
        any::<usize>(),
        any::<usize>(),
        any::<usize>(),
    );
    let run = |(table, kind, a, b, c): (usize, usize, usize, usize, usize)| {
        std::fs::write(&path, &original).unwrap();
        let (name, columns) = &tables[table];
        let rows = &contents[table];
        let (one, other) = (&rows[a % rows.len()], &rows[b % rows.len()]);
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA ignore_check_constraints = ON; BEGIN")
            .unwrap();
        let delete = |row: &Vec<Value>| {
            let terms: Vec<_> = columns
                .iter()
                .map(|column| format!("{column} IS ?"))
                .collect();
            let sql = format!("DELETE FROM {name} WHERE {}", terms.join(" AND "));
            connection.execute(&sql, params_from_iter(row)).unwrap();
        };
        let insert = |row: &Vec<Value>| {
            let places = vec!["?"; row.len()].join(", ");
            let sql = format!("INSERT INTO {name} VALUES ({places})");
            connection.execute(&sql, params_from_iter(row))
        };
        let done = match kind {
            0 => {
                delete(one);
                true
            }
            1 => {
                // A copy of a row under another key, with whatever else must differ.
                let mut copy = one.clone();
                for value in copy.iter_mut().take(1 + c % 3) {
                    *value = match &*value {
                        Value::Integer(n) => Value::Integer(n.saturating_add(1 + (b % 999) as i64)),
                        Value::Text(text) => Value::Text(format!("{text}{b}")),
                        other => other.clone(),
                    };
                }
                insert(&copy).is_ok()
            }
            _ => {
                // Two rows exchange one column or more.
                let (mut left, mut right) = (one.clone(), other.clone());
                let (from, to) = (b % columns.len(), c % columns.len());
                for at in from.min(to)..=from.max(to) {
                    std::mem::swap(&mut left[at], &mut right[at]);
                }
                delete(one);
                delete(other);
                insert(&left).is_ok() && insert(&right).is_ok()
            }
        };
        connection
            .execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        drop(connection);
        if !done || self::rows(&path, name, columns) == *rows {
            return;
        }
        applied.borrow_mut()[table][kind] += 1;
        assert!(!check(&path).intact(), "{name}: {kind} {a} {b} {c}");
    };
    deterministic(700)
        .run(&strategy, |case| {
            run(case);
            Ok(())
        })
        .unwrap();
    for ((table, _), counts) in tables.iter().zip(&*applied.borrow()) {
        assert!(counts[0] > 0, "{table}: nothing removed: {counts:?}");
        assert!(counts[1] > 0, "{table}: nothing added: {counts:?}");
        let few = ["head", "tile", "words"].contains(&table.as_str());
        assert!(counts[2] > 0 || few, "{table}: nothing swapped: {counts:?}");
    }
}

#[test]
fn tiles_that_change_places_are_found() {
    let (_directory, path, original) = bytes(520);
    let swap = "UPDATE tile SET hashes = other.hashes \
                FROM (SELECT idx, hashes FROM tile ORDER BY idx) other WHERE other.idx <> tile.idx";
    assert!(change(&path, &original, swap));
    let report = check(&path);
    let places: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| &*finding.place)
        .collect();
    assert_eq!(places, ["tile 0/0", "tile 0/1"]);
}

#[test]
fn tables_indices_triggers_and_marks_that_do_not_belong_are_found() {
    let (_directory, path, original) = bytes(60);
    for sql in [
        "CREATE TABLE more (a)",
        "CREATE INDEX more ON record (org)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER more AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
        "DROP INDEX record_actor",
        "DROP TABLE gap",
        "DROP TABLE entry",
        "DROP TABLE head",
        "ALTER TABLE record ADD COLUMN more TEXT",
        "ALTER TABLE record RENAME COLUMN actor TO person",
        "PRAGMA user_version = 9",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 9",
    ] {
        std::fs::write(&path, &original).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("{sql}; PRAGMA wal_checkpoint(TRUNCATE)"))
            .unwrap();
        drop(connection);
        assert!(!check(&path).intact(), "{sql}");
    }
}

#[test]
fn an_older_copy_is_found_when_a_newer_checkpoint_is_given() {
    let (_directory, path, older) = bytes(270);
    let mut store = open(&path);
    let early = store.checkpoint();
    store
        .append(&batch((500..520).map(denial)), at(900))
        .unwrap();
    let (late, key) = (store.checkpoint(), store.verifier_key());
    drop(store);
    let known = |checkpoint: &str| VerifyOptions {
        verifier_key: Some(key.clone()),
        known_checkpoint: Some(checkpoint.to_owned()),
    };
    assert_eq!(verify(&path, &known(&early)).unwrap().findings, []);
    assert_eq!(verify(&path, &known(&late)).unwrap().findings, []);
    std::fs::write(&path, older).unwrap();
    assert_eq!(
        check(&path).findings,
        [],
        "nothing is known of the newer one"
    );
    let report = verify(&path, &known(&late)).unwrap();
    assert!(
        report.findings[0].what.starts_with("an older copy"),
        "{:?}",
        report.findings
    );

    // The same size again with other entries: a fork.
    open(&path)
        .append(&batch((600..620).map(denial)), at(900))
        .unwrap();
    assert_eq!(check(&path).findings, []);
    let report = verify(&path, &known(&late)).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].place, "known checkpoint");
}

#[test]
fn a_store_written_anew_with_another_key_is_found_when_the_key_or_a_checkpoint_is_given() {
    let (directory, path, _) = bytes(60);
    let store = open(&path);
    let (key, checkpoint) = (store.verifier_key(), store.checkpoint());
    let forged = directory.path().join("forged");
    let other = Options {
        signing_seed: [1; 32],
        ..options()
    };
    let mut forger = docket_ledger::store::Store::open(&forged, other).unwrap();
    forger.append(&batch((0..59).map(denial)), at(900)).unwrap();
    drop(forger);
    assert_eq!(check(&forged).findings, [], "by its own word it is intact");
    let given = VerifyOptions {
        verifier_key: Some(key.clone()),
        known_checkpoint: None,
    };
    assert!(!verify(&forged, &given).unwrap().intact());
    let given = VerifyOptions {
        verifier_key: None,
        known_checkpoint: Some(checkpoint),
    };
    assert!(!verify(&forged, &given).unwrap().intact());
    let given = VerifyOptions {
        verifier_key: Some("nonsense".into()),
        known_checkpoint: None,
    };
    assert!(matches!(verify(&forged, &given), Err(VerifyError::Key(_))));
    let given = VerifyOptions {
        verifier_key: Some(key),
        known_checkpoint: Some("x".into()),
    };
    assert!(matches!(
        verify(&forged, &given),
        Err(VerifyError::Checkpoint(_))
    ));
}

#[test]
fn a_file_cut_at_any_length_is_found() {
    let (_directory, path, original) = bytes(270);
    let mut lengths: Vec<usize> = vec![0, 1, 99, 100, 511, 512, 8191, 8192, original.len() - 1];
    lengths.extend(
        (1..original.len() / 8192)
            .step_by(5)
            .map(|pages| pages * 8192),
    );
    let cut = |length: usize| {
        std::fs::write(&path, &original[..length]).unwrap();
        assert!(
            !check(&path).intact(),
            "cut at {length} of {}",
            original.len()
        );
    };
    lengths.into_iter().for_each(cut);
    deterministic(60)
        .run(&(0..original.len()), |length| {
            cut(length);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_file_that_is_not_there_could_not_be_checked() {
    let directory = tempfile::tempdir().unwrap();
    let missing = verify(&directory.path().join("none"), &VerifyOptions::default());
    assert!(matches!(missing, Err(VerifyError::Io(_, _))));
}

#[test]
fn a_change_of_the_entries_is_found_although_the_view_was_made_again() {
    let (_directory, path, original) = bytes(60);
    for sql in [
        "UPDATE entry SET exhibit = NULL, exhibit_salt = NULL WHERE position = 11",
        "UPDATE entry SET personal = NULL, personal_salt = NULL WHERE position = 3",
        "UPDATE entry SET public = NULL, public_salt = NULL WHERE position = 3",
        "UPDATE entry SET personal = CAST('{}' AS BLOB) WHERE position = 3",
        "UPDATE entry SET exhibit = x'01', exhibit_salt = zeroblob(32) WHERE position = 1",
        "UPDATE entry SET (public_salt, public) = \
         (SELECT public_salt, public FROM entry WHERE position = 5) WHERE position = 4",
        "DELETE FROM entry WHERE position = (SELECT max(position) FROM entry)",
        "DELETE FROM entry WHERE position = 7",
    ] {
        assert!(change(&path, &original, sql), "{sql}");
        // Only where two entries have one id there is no view to make.
        assert!(
            reindex(&path).is_ok() || sql.contains("position = 5"),
            "{sql}"
        );
        assert!(!check(&path).intact(), "{sql}");
    }
}
