//! Proofs of single entries: each leads to the root that is signed, and to no other.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::Hash;
use docket_ledger::note::check_note;
use docket_ledger::query::{Inclusion, Reader};
use docket_ledger::tree::{leaf_hash, node_hash};
use make::fill;

/// The verifier of RFC 9162, 2.1.3.2, written from its text alone.
fn root(proof: &Inclusion) -> Option<Hash> {
    let (mut place, mut last) = (proof.position, proof.size - 1);
    let mut hash = leaf_hash(&proof.leaf);
    for beside in &proof.path {
        if last == 0 {
            return None;
        }
        if place % 2 == 1 || place == last {
            hash = node_hash(beside, &hash);
            while place % 2 == 0 && place != 0 {
                place /= 2;
                last /= 2;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        place /= 2;
        last /= 2;
    }
    (last == 0).then_some(hash)
}

#[test]
fn each_entry_of_trees_of_many_sizes_is_proved_by_its_path() {
    for size in [1, 2, 3, 7, 8, 255, 256, 257, 511, 513, 700] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let store = fill(&path, size);
        let reader = Reader::open(&path).unwrap();
        let signed = check_note(&store.checkpoint(), &store.verifier_key()).unwrap();
        for position in 0..store.size() {
            let proof = reader.inclusion(position).unwrap().unwrap();
            assert_eq!((proof.position, proof.size), (position, store.size()));
            assert_eq!(proof.checkpoint, store.checkpoint());
            assert_eq!(root(&proof), Some(signed.root), "{position} of {size}");
        }
        assert_eq!(reader.inclusion(store.size()).unwrap(), None);
        assert_eq!(reader.inclusion(u64::MAX).unwrap(), None);
    }
}

#[test]
fn another_leaf_or_another_place_does_not_lead_to_the_root() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let store = fill(&path, 300);
    let reader = Reader::open(&path).unwrap();
    let signed = check_note(&store.checkpoint(), &store.verifier_key()).unwrap();
    let proof = reader.inclusion(100).unwrap().unwrap();
    let mut forged = proof.clone();
    forged.leaf[20] ^= 1;
    assert_ne!(root(&forged), Some(signed.root));
    let elsewhere = Inclusion {
        position: 101,
        ..proof.clone()
    };
    assert_ne!(root(&elsewhere), Some(signed.root));
    let mut shorter = proof;
    shorter.path.pop();
    assert_eq!(root(&shorter), None);
}
