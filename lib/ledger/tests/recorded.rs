//! A store that was written long ago still opens, reads and verifies, and the forms of its
//! entries still say all that stands in them.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, LawFilter, Page, Reader, Row, Scope};
use docket_ledger::store::{Options, Store, reindex};
use docket_ledger::verify::{VerifyOptions, verify};
use docket_record::entry::amendment::{self, AmendmentKind};
use docket_record::entry::{bytes, denial, erasure, gap, law, outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `reporter/src/intake/tests/recorded.rs` says how it was made.
const STORE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/recorded/stores/entries.db"
);

fn copy(directory: &Path) -> PathBuf {
    let path = directory.join("ledger");
    std::fs::copy(STORE, &path).unwrap();
    path
}

fn open(path: &Path) -> Store {
    let options = Options {
        origin: "docket.a5c.ai/test".into(),
        signing_seed: [7; 32],
        random: Box::new(|buffer| buffer.fill(1)),
    };
    Store::open(path, options).unwrap()
}

#[test]
fn it_opens_and_verifies_and_its_view_is_made_again_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy(directory.path());
    let size = open(&path).size();
    let found = verify(&path, &VerifyOptions::default()).unwrap();
    assert_eq!((found.findings.as_slice(), found.size), (&[][..], size));
    assert_eq!(found.parts_erased, 1);
    let classes: Vec<Class> = found.entries.iter().map(|(class, _)| *class).collect();
    let unwritten = [Class::Flood, Class::Statement];
    let written = Class::ALL
        .into_iter()
        .filter(|one| !unwritten.contains(one));
    assert_eq!(classes, written.collect::<Vec<_>>());
    assert_eq!(reindex(&path).unwrap(), size);
    let again = verify(&path, &VerifyOptions::default()).unwrap();
    assert_eq!(again.findings, []);
}

#[test]
fn each_of_its_lists_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let reader = Reader::open(&copy(directory.path())).unwrap();
    let page = Page {
        limit: 1000,
        ..Page::default()
    };
    let of = |class| {
        let filter = Filter {
            classes: vec![class],
            ..Filter::default()
        };
        reader.list(&filter, &page).unwrap()
    };
    for row in of(Class::Denial).iter().chain(&of(Class::Pass)) {
        assert_eq!(row.namespace, "krate-org-acme", "{}", row.position);
        assert_eq!(
            reader.get(&row.id, &Scope::all()).unwrap().as_ref(),
            Some(row)
        );
    }
    let gaps = reader.gaps(false).unwrap();
    let open: Vec<String> = reader.open_gaps().unwrap().into_keys().collect();
    assert_eq!(gaps.len(), of(Class::Gap).len());
    assert!(gaps.iter().any(|gap| gap.row.closed_by.is_some()));
    assert!(open.contains(&"quarantined-item".to_owned()), "{open:?}");
    let (laws, _) = reader.laws(&LawFilter::default(), &page).unwrap();
    assert_eq!(laws.len(), of(Class::Law).len());
    let answered: Vec<Row> = of(Class::Denial)
        .iter()
        .filter_map(|row| reader.outcome(&row.id).unwrap())
        .collect();
    assert!(answered.len() >= 2, "{answered:?}");
    let series = reader.series(&Filter::default(), 100).unwrap();
    let counted: u64 = series.iter().map(|series| series.count).sum();
    assert_eq!(counted, of(Class::Denial).len() as u64);
    assert!(reader.others_through(0).unwrap().is_some());
}

/// The form reads it, leaves nothing out, and writes it as it was.
fn is_kept<T: Serialize + DeserializeOwned>(part: &[u8], row: &Row) {
    is_kept_by(part, row, bytes::<T>);
}

fn is_kept_by<T: DeserializeOwned>(part: &[u8], row: &Row, write: impl Fn(&T) -> Vec<u8>) {
    let read: T = serde_json::from_slice(part).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&write(&read)), text(part), "entry {}", row.position);
}

#[test]
fn every_part_of_every_class_is_written_as_it_was_by_its_form() {
    let directory = tempfile::tempdir().unwrap();
    let reader = Reader::open(&copy(directory.path())).unwrap();
    let mut kinds = BTreeSet::new();
    for row in reader.scan(0, 1000).unwrap() {
        let public = row.public.as_slice();
        let personal = row.personal.as_deref();
        match row.class {
            Class::Denial | Class::Pass => {
                is_kept::<denial::Public>(public, &row);
                is_kept::<denial::Personal>(personal.unwrap(), &row);
            }
            Class::Amendment => {
                let read = amendment::Public::read(public);
                kinds.insert(read.kind.known().unwrap());
                match read.kind.known().unwrap() {
                    AmendmentKind::LawAutogen => is_kept::<law::Autogen>(public, &row),
                    _ => is_kept_by(public, &row, amendment::Public::bytes),
                }
                if let Some(personal) = personal {
                    is_kept_by(personal, &row, amendment::Personal::bytes);
                }
            }
            Class::Law => is_kept::<law::Public>(public, &row),
            Class::Outcome => {
                is_kept::<outcome::Public>(public, &row);
                is_kept::<outcome::Personal>(personal.unwrap(), &row);
            }
            Class::Gap => {
                is_kept::<gap::Public>(public, &row);
                if let Some(personal) = personal {
                    is_kept::<gap::Personal>(personal, &row);
                }
            }
            Class::Erasure => {
                is_kept::<erasure::Public>(public, &row);
                is_kept::<erasure::Personal>(personal.unwrap(), &row);
            }
            Class::Flood | Class::Statement => panic!("nothing writes {:?}", row.class),
        }
    }
    let all: BTreeSet<AmendmentKind> = AmendmentKind::ALL.into_iter().collect();
    assert_eq!(kinds, all, "amendments of each kind are recorded");
}
