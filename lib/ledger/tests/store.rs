//! Appending, and what a store refuses.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::{Class, Leaf, Part, commitment};
use docket_ledger::note::check_note;
use docket_ledger::query::{Reader, Scope};
use docket_ledger::store::{Batch, Options, Store, StoreError, reindex};
use docket_ledger::tree::{leaf_hash, root_from_leaf_hashes};
use make::{amendment, at, batch, denial, fill, open, options};
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    (directory, path)
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let (_directory, path) = place();
    let store = fill(&path, 620);
    let (size, checkpoint, key) = (store.size(), store.checkpoint(), store.verifier_key());
    assert_eq!(size, 627);
    drop(store);
    let store = open(&path);
    assert_eq!(
        (store.size(), store.checkpoint()),
        (size, checkpoint.clone())
    );
    assert_eq!(
        store.state("source/webhook/last").unwrap().as_deref(),
        Some(&b"600"[..])
    );
    assert_eq!(store.states("numbers/").unwrap().len(), 13);
    assert_eq!(store.state("numbers/none").unwrap(), None);

    // The checkpoint is over the leaves that the bundles hold, and they fit the parts.
    let reader = Reader::open(&path).unwrap();
    let mut hashes = Vec::new();
    for (index, width) in [(0, 256), (1, 256), (2, 115)] {
        let bundle = reader.entries(index, width).unwrap().unwrap();
        hashes.extend(bundle.chunks(108).map(|leaf| leaf_hash(&leaf[2..])));
        let hashes = hashes[index as usize * 256..].as_flattened();
        assert_eq!(reader.tile(0, index, width).unwrap().unwrap(), hashes);
    }
    let read = check_note(&checkpoint, &key).unwrap();
    assert_eq!(
        (read.size, read.root),
        (size, root_from_leaf_hashes(hashes))
    );
    let bundle = reader.entries(0, 1).unwrap().unwrap();
    let leaf = Leaf::parse(&bundle[2..]).unwrap();
    assert_eq!(leaf.class, Class::Denial);
    for part in reader.parts(0).unwrap().unwrap() {
        assert_eq!(
            leaf.commitment(part.part),
            &commitment(part.part, &part.salt, &part.bytes)
        );
    }
    assert_eq!(reader.parts(0).unwrap().unwrap().len(), 3);
    assert_eq!(reader.parts(1).unwrap().unwrap()[1].part, Part::Personal);
    assert_eq!(reader.parts(1).unwrap().unwrap().len(), 2);
    assert_eq!(reader.parts(size).unwrap(), None);
}

#[test]
fn tiles_and_bundles_end_where_the_tree_ends() {
    let (_directory, path) = place();
    fill(&path, 620);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.tile(0, 2, 116).unwrap().is_none());
    assert!(reader.tile(0, 1, 0).unwrap().is_none());
    assert!(reader.tile(0, 1, 257).unwrap().is_none());
    assert!(reader.tile(0, u64::MAX, 256).unwrap().is_none());
    assert!(reader.tile(1, 0, 3).unwrap().is_none());
    assert!(reader.tile(63, 0, 1).unwrap().is_none());
    assert_eq!(
        reader.tile(1, 0, 2).unwrap().map(|tile| tile.len()),
        Some(64)
    );
    // A partial tile that the tree has grown past is still answered.
    let full = reader.tile(0, 1, 256).unwrap().unwrap();
    assert_eq!(reader.tile(0, 1, 7).unwrap().unwrap(), full[..7 * 32]);
    assert!(reader.entries(2, 116).unwrap().is_none());
}

#[test]
fn an_id_that_is_there_is_not_appended_again() {
    let (_directory, path) = place();
    let mut store = open(&path);
    let first = store
        .append(&batch([denial(0), denial(1), denial(0)]), at(0))
        .unwrap();
    assert_eq!(first.positions, [Ok(0), Ok(1), Err(0)]);
    let second = store.append(&batch([denial(1), denial(2)]), at(1)).unwrap();
    assert_eq!((second.positions, second.size), (vec![Err(1), Ok(2)], 3));
    let before = store.checkpoint();
    let third = store.append(&batch([denial(1)]), at(2)).unwrap();
    assert_eq!(
        (third.positions, third.size, store.checkpoint()),
        (vec![Err(1)], 3, before)
    );
    drop(store);
    assert_eq!(open(&path).size(), 3);
}

#[test]
fn state_alone_is_stored_and_removed() {
    let (_directory, path) = place();
    let mut store = open(&path);
    let set = |key: &str, value: Option<&str>| (key.to_owned(), value.map(|v| v.into()));
    let state = vec![set("a", Some("1")), set("b", Some("2"))];
    store
        .append(
            &Batch {
                entries: vec![],
                state,
            },
            at(0),
        )
        .unwrap();
    let state = vec![set("a", None), set("b", Some("3")), set("c", None)];
    store
        .append(
            &Batch {
                entries: vec![],
                state,
            },
            at(0),
        )
        .unwrap();
    assert_eq!(store.states("").unwrap(), [("b".to_owned(), b"3".to_vec())]);
    drop(store);
    assert_eq!(open(&path).states("").unwrap().len(), 1);
}

#[test]
fn an_entry_that_does_not_carry_its_id_refuses_the_whole_batch() {
    let (_directory, path) = place();
    let mut store = open(&path);
    let mut wrong = denial(1);
    wrong.id = "another".into();
    let state = vec![("k".to_owned(), Some(vec![1]))];
    let both = Batch {
        entries: vec![denial(0), wrong],
        state,
    };
    assert!(matches!(
        store.append(&both, at(0)),
        Err(StoreError::Entry(1))
    ));
    assert_eq!((store.size(), store.state("k").unwrap()), (0, None));
    assert_eq!(
        store.append(&batch([denial(0)]), at(0)).unwrap().positions,
        [Ok(0)]
    );
    drop(store);
    assert_eq!(open(&path).size(), 1);
}

#[test]
fn the_recorded_time_does_not_run_backwards() {
    let (_directory, path) = place();
    let mut store = open(&path);
    store.append(&batch([denial(0)]), at(100)).unwrap();
    store.append(&batch([denial(1)]), at(50)).unwrap();
    drop(store);
    open(&path).append(&batch([denial(2)]), at(60)).unwrap();
    let rows = Reader::open(&path).unwrap().scan(0, 9).unwrap();
    let times: Vec<i64> = rows.iter().map(|row| row.recorded_at).collect();
    assert_eq!(times, [make::micros(100); 3]);
}

#[test]
fn a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space() {
    let (_directory, path) = place();
    let mut store = fill(&path, 100);
    let size = store.size();
    drop(store);
    // The limit is kept by the connection, so it is put on the store's own.
    store = open(&path);
    let pages: i64 = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA page_count", (), |row| row.get(0))
        .unwrap();
    store.limit_pages(pages as u32 + 2).unwrap();
    let mut acknowledged = size;
    let mut n = 1000;
    let state = |n: i64| vec![("last".to_owned(), Some(n.to_string().into_bytes()))];
    let full = loop {
        let entries = (n..n + 20).map(denial).collect();
        match store.append(
            &Batch {
                entries,
                state: state(n),
            },
            at(n),
        ) {
            Ok(appended) => acknowledged = appended.size,
            Err(error) => break error,
        }
        n += 20;
        assert!(n < 9000, "the limit was never felt");
    };
    assert!(matches!(full, StoreError::Full), "{full:?}");
    assert_eq!(store.size(), acknowledged);
    store.limit_pages(u32::MAX - 1).unwrap();
    let entries = (n..n + 20).map(denial).collect();
    let appended = store
        .append(
            &Batch {
                entries,
                state: state(n),
            },
            at(n),
        )
        .unwrap();
    assert_eq!(appended.size, acknowledged + 20);
    drop(store);
    let store = open(&path);
    assert_eq!(store.size(), acknowledged + 20);
    assert_eq!(
        store.state("last").unwrap(),
        Some(n.to_string().into_bytes())
    );
}

#[test]
fn a_store_is_opened_by_its_own_origin_and_key_only_and_by_one_process() {
    let (_directory, path) = place();
    let store = fill(&path, 10);
    assert!(matches!(
        Store::open(&path, options()),
        Err(StoreError::Held)
    ));
    assert!(matches!(reindex(&path), Err(StoreError::Held)));
    drop(store);
    let other = Options {
        signing_seed: [1; 32],
        ..options()
    };
    assert!(matches!(
        Store::open(&path, other),
        Err(StoreError::OtherKey)
    ));
    let other = Options {
        origin: "docket.a5c.ai/other".into(),
        ..options()
    };
    assert!(matches!(
        Store::open(&path, other),
        Err(StoreError::OtherOrigin(_))
    ));
    let other = Options {
        origin: "not one word".into(),
        ..options()
    };
    assert!(matches!(Store::open(&path, other), Err(StoreError::Key(_))));
    assert_eq!(open(&path).size(), 17);
}

#[test]
fn files_that_are_not_ledgers_are_refused_and_left_as_they_are() {
    let (_directory, path) = place();
    let text =
        b"not a database, but long enough to be read as the head of one, perhaps. ".repeat(9);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(
        Store::open(&path, options()),
        Err(StoreError::NotALedger)
    ));
    assert!(matches!(Reader::open(&path), Err(StoreError::NotALedger)));
    assert_eq!(std::fs::read(&path).unwrap(), text);

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE mine (a)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(
        Store::open(&path, options()),
        Err(StoreError::NotALedger)
    ));
    assert!(matches!(reindex(&path), Err(StoreError::NotALedger)));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    drop(open(&path));
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 2")
        .unwrap();
    assert!(matches!(
        Store::open(&path, options()),
        Err(StoreError::Newer(2))
    ));
    assert!(matches!(Reader::open(&path), Err(StoreError::Newer(2))));
}

#[test]
fn a_head_that_does_not_fit_its_rows_is_refused_at_opening() {
    for change in [
        "DELETE FROM entry WHERE position = 16",
        "DELETE FROM record WHERE position = 16",
        "UPDATE entry SET leaf = zeroblob(106) WHERE position = 5",
        "UPDATE head SET size = size - 1",
        "UPDATE head SET edge = zeroblob(length(edge))",
        "UPDATE state SET value = x'00'",
        "DELETE FROM state",
        "DELETE FROM head",
        "UPDATE head SET store_head = checkpoint",
    ] {
        let (_directory, path) = place();
        drop(fill(&path, 10));
        Connection::open(&path)
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let opened = Store::open(&path, options());
        assert!(
            matches!(opened, Err(StoreError::Damaged(_))),
            "{change}: {:?}",
            opened.err()
        );
    }
}

#[test]
fn another_writer_is_fenced_off() {
    let (_directory, path) = place();
    let mut store = fill(&path, 10);
    Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE head SET size = 99")
        .unwrap();
    assert!(matches!(
        store.append(&batch([denial(50)]), at(1)),
        Err(StoreError::Fenced)
    ));
    assert!(matches!(
        store.append(&batch([denial(50)]), at(1)),
        Err(StoreError::Poisoned)
    ));
}

#[test]
fn reindexing_makes_the_view_again_and_keeps_the_tree() {
    let (_directory, path) = place();
    let store = fill(&path, 620);
    let checkpoint = store.checkpoint();
    drop(store);
    let reader = Reader::open(&path).unwrap();
    let read = |reader: &Reader| (reader.scan(0, 999).unwrap(), reader.gaps(false).unwrap());
    let before = read(&reader);
    let broken = "DELETE FROM record WHERE position % 3 = 0; UPDATE series SET count = 1; \
                  DROP INDEX record_time; DELETE FROM gap; UPDATE attribution SET policy = 'x'";
    Connection::open(&path)
        .unwrap()
        .execute_batch(broken)
        .unwrap();
    assert_ne!(read(&reader), before);
    assert_eq!(reindex(&path).unwrap(), 627);
    assert_eq!(read(&Reader::open(&path).unwrap()), before);
    assert_eq!(open(&path).checkpoint(), checkpoint);
}

#[test]
fn an_amendment_closes_the_gap_it_names_once() {
    let (_directory, path) = place();
    let mut store = fill(&path, 10);
    store
        .append(&batch([amendment(90, "gap-10", "gap-closed")]), at(99))
        .unwrap();
    let reader = Reader::open(&path).unwrap();
    let closed = reader.get("gap-10", &Scope::all()).unwrap().unwrap();
    assert_eq!(closed.closed_by, Some(12), "the first amendment counts");
    let open: Vec<String> = reader
        .gaps(true)
        .unwrap()
        .into_iter()
        .map(|gap| gap.row.id)
        .collect();
    assert_eq!(open, ["gap-11"]);
    let gap = &reader.gaps(false).unwrap()[1];
    assert_eq!(
        (gap.from, gap.to),
        (Some(make::micros(-50)), Some(make::micros(10)))
    );
    assert_eq!(
        (gap.source.as_str(), gap.cause.as_str()),
        ("witness", "numbers-missing")
    );
    let disputes = reader.amendments("denial-00003").unwrap();
    assert_eq!(
        disputes.iter().map(|row| row.position).collect::<Vec<_>>(),
        [13]
    );
}
