//! The test vectors of `docs/ledger-format.md`.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use data_encoding::{BASE64, HEXLOWER};
use docket_ledger::entry::{Class, Leaf, NO_PART, NewEntry, Part, bundle_leaves, commitment};
use docket_ledger::query::Reader;
use docket_ledger::store::{Batch, Options, Store};
use docket_ledger::tree::leaf_hash;
use docket_ledger::verify::{VerifyOptions, check_note, verify};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use rusqlite::Connection;

const PAGE: &str = include_str!("../../../docs/ledger-format.md");

/// The value of one line of the vectors; notes stand there with `\n` for line ends.
fn vector(name: &str) -> &'static str {
    let vectors = PAGE.split_once("```vectors\n").unwrap().1;
    let line = vectors
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no vector {name}")).trim()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_be_bytes(), bytes].concat()
}

#[test]
fn the_page_says_what_the_ledger_writes() {
    let (public, personal) = (vector("public").as_bytes(), vector("personal").as_bytes());
    let salts: [u8; 64] = std::array::from_fn(|n| n as u8);
    let (salts, _) = salts.as_chunks::<32>();
    let leaf = Leaf {
        class: Class::Denial,
        recorded_at: 1_790_000_000_000_001,
        public: commitment(Part::Public, &salts[0], public),
        personal: commitment(Part::Personal, &salts[1], personal),
        exhibit: NO_PART,
    };
    let bytes = leaf.to_bytes();
    let preimage = [b"docket part v1\n\x01", &salts[0][..], public].concat();
    assert_eq!(leaf.public, sha256(&preimage));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut next = 0;
    let random = Box::new(move |buffer: &mut [u8]| {
        for byte in buffer {
            *byte = next;
            next += 1;
        }
    });
    let options = Options {
        origin: "docket.a5c.ai/test".into(),
        signing_seed: [7; 32],
        random,
    };
    let mut store = Store::open(&path, options).unwrap();
    let entry = NewEntry {
        id: "a".into(),
        class: Class::Denial,
        public: public.to_vec(),
        personal: Some(personal.to_vec()),
        exhibit: None,
    };
    let state = vec![("numbers".to_owned(), Some(vec![1, 2]))];
    let time = Timestamp::from_microsecond(leaf.recorded_at).unwrap();
    store
        .append(
            &Batch {
                entries: vec![entry],
                state,
            },
            time,
        )
        .unwrap();
    let reader = Reader::open(&path).unwrap();
    let bundle = reader.entries(0, 1).unwrap().unwrap();
    let store_head: String = Connection::open(&path)
        .unwrap()
        .query_row("SELECT store_head FROM head", (), |row| row.get(0))
        .unwrap();

    // The page's rules for state and meta, worked out here from its words alone.
    let row = sha256(&[with_length(b"numbers"), vec![1, 2]].concat());
    let mut buckets = [sha256(&[]); 256];
    buckets[usize::from(sha256(b"numbers")[0])] = sha256(&row);
    let state_hash = sha256(buckets.as_flattened());
    let key = store.verifier_key();
    let meta = [
        "format",
        "1",
        "origin",
        "docket.a5c.ai/test",
        "verifier_key",
        &key,
    ];
    let meta_hash = sha256(&meta.map(|text| with_length(text.as_bytes())).concat());
    let checkpoint = store.checkpoint();
    let head = [
        "docket store head v1\n",
        checkpoint.split_once("\n\n").unwrap().0,
        &format!(
            "\n{}\n{}\n\n",
            BASE64.encode(&meta_hash),
            BASE64.encode(&state_hash)
        ),
    ];
    assert!(store_head.starts_with(&head.concat()), "{store_head}");

    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let line = |note: &str| note.replace('\n', "\\n");
    let written = [
        ("public commitment", hex(&leaf.public)),
        ("personal commitment", hex(&leaf.personal)),
        ("leaf", hex(&bytes)),
        ("leaf hash", hex(&leaf_hash(&bytes))),
        ("verifier key", key.clone()),
        ("checkpoint", line(&checkpoint)),
        ("bundle", hex(&bundle)),
        ("state hash", hex(&state_hash)),
        ("meta hash", hex(&meta_hash)),
        ("store head", line(&store_head)),
    ];
    for (name, value) in &written {
        assert_eq!(vector(name), value, "{name}; all:\n{written:#?}");
    }
    assert_eq!(bundle_leaves(&bundle).unwrap(), [&bytes[..]]);
    assert_eq!(bundle_leaves(&bundle[..50]), None);
    assert_eq!(
        check_note(&checkpoint, &key).unwrap().root,
        leaf_hash(&bytes)
    );
    assert_eq!(Leaf::parse(&bytes), Some(leaf));
    drop(store);
    assert_eq!(
        verify(&path, &VerifyOptions::default()).unwrap().findings,
        []
    );
}

#[test]
fn a_leaf_of_another_length_format_or_class_is_not_read() {
    let bytes = HEXLOWER.decode(vector("leaf").as_bytes()).unwrap();
    assert!(Leaf::parse(&bytes).is_some());
    assert!(Leaf::parse(&bytes[..105]).is_none());
    assert!(Leaf::parse(&[&bytes[..], &[0]].concat()).is_none());
    for (at, value) in [(0, 2), (1, 0), (1, 10)] {
        let mut other = bytes.clone();
        other[at] = value;
        assert!(Leaf::parse(&other).is_none(), "byte {at} = {value}");
    }
}
