//! A bit that flips in the file is found, or nobody can tell the difference.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader, Scope};
use docket_ledger::store::StoreError;
use docket_ledger::verify::{VerifyOptions, verify};
use make::{fill, scope};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Write;
use std::path::Path;

/// All that a reader can get, by every index.
fn everything(path: &Path) -> Result<String, StoreError> {
    let reader = Reader::open(path)?;
    let mut out = String::new();
    let mut say = |what: &dyn std::fmt::Debug| writeln!(out, "{what:?}").unwrap();
    let size = reader.size()?;
    say(&(
        reader.checkpoint()?,
        reader.verifier_key()?,
        size,
        reader.states()?,
    ));
    let rows = reader.scan(0, 9999)?;
    say(&rows);
    let page = Page {
        limit: 9999,
        ..Page::default()
    };
    let some = |value: &str| Some(value.to_owned());
    let filters = [
        Filter::default(),
        Filter {
            classes: Class::ALL.to_vec(),
            ..Filter::default()
        },
        Filter {
            classes: vec![Class::Gap, Class::Amendment],
            ..Filter::default()
        },
        Filter {
            scope: scope(&["krate-org-acme", ""]),
            ..Filter::default()
        },
        Filter {
            policy: some("fork-runs-untrusted"),
            ..Filter::default()
        },
        Filter {
            rule: some("has-secret"),
            ..Filter::default()
        },
        Filter {
            enforcer: some("kyverno"),
            ..Filter::default()
        },
        Filter {
            kind: some("Pipeline"),
            ..Filter::default()
        },
        Filter {
            name: some("object-3"),
            ..Filter::default()
        },
        Filter {
            repository: some("web"),
            ..Filter::default()
        },
        Filter {
            actor: some("bob"),
            ..Filter::default()
        },
        Filter {
            verdict: some("unavailable"),
            dry_run: Some(false),
            ..Filter::default()
        },
        Filter {
            since: Some(make::micros(40)),
            until: Some(make::micros(90)),
            ..Filter::default()
        },
        Filter {
            policy: some("fork-runs-untrusted"),
            scope: Scope::one("krate-org-globex"),
            ..Filter::default()
        },
    ];
    for filter in &filters {
        say(&(
            reader.list(filter, &page)?,
            reader.count(filter)?,
            reader.series(filter, 999)?,
        ));
    }
    say(&(reader.gaps(false)?, reader.gaps(true)?));
    for row in &rows {
        say(&(
            reader.get(&row.id, &Scope::all())?,
            reader.parts(row.position)?,
        ));
        say(&reader.amendments(&row.id)?);
    }
    for index in 0..=size / 256 {
        let width = u16::try_from((size - index * 256).min(256)).unwrap();
        say(&(reader.tile(0, index, width)?, reader.entries(index, width)?));
    }
    say(&reader.tile(1, 0, u16::try_from(size / 256).unwrap())?);
    Ok(out)
}

#[test]
fn a_flipped_bit_is_found_or_changes_nothing_that_anyone_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, 270));
    let original = std::fs::read(&path).unwrap();
    let before = everything(&path).unwrap();
    let harmless = std::cell::Cell::new(0);
    let flip = |bit: usize| {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(directory.path().join(format!("ledger{suffix}")));
        }
        std::fs::write(&path, &bytes).unwrap();
        let report = verify(&path, &VerifyOptions::default());
        if report.as_ref().is_ok_and(|report| !report.intact()) {
            return;
        }
        harmless.set(harmless.get() + 1);
        assert!(report.is_ok(), "bit {bit}: {report:?}");
        let after = everything(&path);
        assert!(
            after.as_ref().is_ok_and(|after| *after == before),
            "bit {bit} changed a reader"
        );
    };
    // The header of the file and of its first page, where a bit has the widest effect.
    (0..108).map(|byte| byte * 8 + byte * 5 % 8).for_each(flip);
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&(0..original.len() * 8), |bit| {
            flip(bit);
            Ok(())
        })
        .unwrap();
    let harmless = harmless.get();
    assert!(
        harmless < 250,
        "{harmless} flips were not found; is anything?"
    );
}
