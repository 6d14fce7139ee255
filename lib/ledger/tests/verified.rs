//! A view of entries that were checked elsewhere answers as the store's own view does.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::{Class, Leaf, Part};
use docket_ledger::query::{Filter, LawFilter, Page, Reader};
use docket_ledger::verified::{VerifiedEntry, VerifiedView};
use make::fill;

fn page() -> Page {
    Page {
        limit: u32::MAX - 1,
        ..Page::default()
    }
}

fn entries(reader: &Reader) -> Vec<VerifiedEntry> {
    let size = reader.size().unwrap();
    (0..size)
        .map(|position| {
            let width = u16::try_from((size - position / 256 * 256).min(256)).unwrap();
            let bundle = reader.entries(position / 256, width).unwrap().unwrap();
            let leaves = docket_ledger::entry::bundle_leaves(&bundle).unwrap();
            let mut entry = VerifiedEntry {
                position,
                leaf: Leaf::parse(leaves[usize::try_from(position % 256).unwrap()]).unwrap(),
                public: Vec::new(),
                personal: None,
            };
            for part in reader.parts(position).unwrap().unwrap() {
                match part.part {
                    Part::Public => entry.public = part.bytes,
                    Part::Personal => entry.personal = Some(part.bytes),
                    Part::Exhibit => {}
                }
            }
            entry
        })
        .collect()
}

#[test]
fn it_gives_the_same_records_series_gaps_laws_and_outcomes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, 300));
    let store = Reader::open(&path).unwrap();
    let mut view = VerifiedView::new().unwrap();
    for some in entries(&store).chunks(70) {
        assert_eq!(view.add(some).unwrap(), Vec::<u64>::new());
    }
    let view = view.reader().unwrap();
    let all = Filter {
        classes: vec![Class::Denial, Class::Pass],
        ..Filter::default()
    };
    let records = store.list(&all, &page()).unwrap();
    assert!(records.len() > 200);
    assert_eq!(view.list(&all, &page()).unwrap(), records);
    for record in &records {
        assert_eq!(
            view.amendments(&record.id).unwrap(),
            store.amendments(&record.id).unwrap()
        );
        assert_eq!(
            view.outcome(&record.id).unwrap(),
            store.outcome(&record.id).unwrap()
        );
    }
    let denials = Filter::default();
    assert_eq!(
        view.series(&denials, 1000).unwrap(),
        store.series(&denials, 1000).unwrap()
    );
    assert_eq!(
        view.count(&denials).unwrap(),
        store.count(&denials).unwrap()
    );
    assert_eq!(view.gaps(false).unwrap(), store.gaps(false).unwrap());
    let laws = LawFilter::default();
    assert_eq!(
        view.laws(&laws, &page()).unwrap(),
        store.laws(&laws, &page()).unwrap()
    );
}

#[test]
fn an_id_that_an_earlier_entry_has_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, 20));
    let mut entries = entries(&Reader::open(&path).unwrap());
    let again = VerifiedEntry {
        position: entries.len() as u64,
        ..entries[3].clone()
    };
    entries.push(again);
    let mut view = VerifiedView::new().unwrap();
    assert_eq!(view.add(&entries).unwrap(), [entries.len() as u64 - 1]);
}
