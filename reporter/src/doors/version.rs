//! A place in the ledger as readers carry it: the resourceVersion of the aggregated API
//! and the id of a stream's event.
//!
//! One decimal number, `tag × 10^10 + place`: `place` is how many entries the ledger held,
//! `tag` a digest of its verifier key. It grows with the ledger, as clients may expect of
//! a resourceVersion (KEP-5504), a person can read the place off its end, and one that
//! another ledger gave is told apart, whatever its size (but for one pair of ledgers in
//! 900,000). It stays below 2^53: consoles compare versions as JavaScript numbers, which
//! tell no neighbours apart above that.

use ring::digest::{SHA256, digest};

/// Places are below this; the tag stands above it.
const PLACES: u64 = 10_000_000_000;
/// Tags are from 1 to this, so that the number stays below [`EXACT`].
const TAGS: u64 = 900_000;
/// From here on a double has not every whole number.
const EXACT: u64 = 1 << 53;
/// The same two of the form in which versions were printed before. Exporters and streams
/// keep such ones for as long as they like.
const OLDER_PLACES: u64 = 1_000_000_000_000;
const OLDER_TAGS: u64 = 9_000_000;

/// Whose versions are printed and taken: one ledger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    tag: u64,
    older_tag: u64,
}

/// Why a version can't be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stale {
    /// Not a number of this form.
    #[error("not a version that this ledger gives; begin without one")]
    Malformed,
    /// Another ledger's.
    #[error("the version is of another ledger; list again and go on from there")]
    Foreign,
    /// This ledger's, of the form of before, and this place. Numbers of now are smaller, so
    /// that a client that compares them must begin anew.
    #[error("the version has a form that is given no more; list again and go on from there")]
    Older(u64),
    /// The ledger does not reach so far.
    #[error(
        "the version is ahead of this ledger, which may be an older copy; list again and go on from there"
    )]
    Ahead,
}

impl Versions {
    /// Versions of the ledger that this key signs.
    pub(super) fn of(verifier_key: &str) -> Versions {
        let mut first = [0; 8];
        first.copy_from_slice(&digest(&SHA256, verifier_key.as_bytes()).as_ref()[..8]);
        let first = u64::from_be_bytes(first);
        Versions {
            tag: first % TAGS + 1,
            older_tag: first % OLDER_TAGS + 1,
        }
    }

    /// The ledger when it held `size` entries.
    pub(super) fn print(self, size: u64) -> String {
        (self.tag * PLACES + size % PLACES).to_string()
    }

    /// How many entries the ledger held, which now holds `size`.
    pub(super) fn parse(self, text: &str, size: u64) -> Result<u64, Stale> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let version: u64 = text
            .parse()
            .ok()
            .filter(|_| digits && text.len() < 20)
            .ok_or(Stale::Malformed)?;
        // Only where it can't be one of now's, of whatever ledger.
        let older = version >= EXACT;
        let (places, tag) = match older {
            true => (OLDER_PLACES, self.older_tag),
            false => (PLACES, self.tag),
        };
        let place = version % places;
        match () {
            () if version / places != tag => Err(Stale::Foreign),
            () if place > size => Err(Stale::Ahead),
            () if older => Err(Stale::Older(place)),
            () => Ok(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_printed_is_read_back_and_grows_with_the_ledger() {
        let ours = Versions::of("docket.a5c.ai/test+1234+key");
        for size in [0, 1, 402, 999_999_999] {
            assert_eq!(ours.parse(&ours.print(size), size), Ok(size));
        }
        let number = |size| ours.print(size).parse::<i64>().unwrap();
        assert!(number(9) < number(10));
        assert_eq!(ours.print(402).len(), ours.print(0).len());
    }

    /// Consoles compare versions as JavaScript numbers: doubles.
    #[test]
    fn neighbours_differ_as_javascript_numbers_in_every_ledger() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/recorded/cases/29-resource-version-above-2-to-53.json"
        );
        let case: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let number = |text: &str| text.parse::<f64>().unwrap();
        let told =
            |at: &serde_json::Value| number(at["metadata"]["resourceVersion"].as_str().unwrap());
        // What such a console made of versions as they were.
        assert!(told(&case["watch"][0]["object"]) <= told(&case["list"]));
        let exact = 9_007_199_254_740_992.0;
        for key in 0..10_000 {
            let versions = Versions::of(&key.to_string());
            for size in [0, 402, PLACES - 256] {
                let list = number(&versions.print(size));
                assert!(number(&versions.print(size + 1)) > list);
                let last = number(&versions.print(size + 255));
                assert_eq!(last - list, 255.0);
                assert!(last < exact);
            }
        }
        let last = Versions {
            tag: TAGS,
            older_tag: 1,
        };
        assert!(number(&last.print(PLACES - 1)) < exact);
        assert_eq!(EXACT as f64, exact);
    }

    #[test]
    fn a_version_of_the_form_of_before_still_says_its_place() {
        let ours = Versions {
            older_tag: 1_234_567,
            ..Versions::of("one")
        };
        let before = "1234567000000000402";
        assert_eq!(ours.parse(before, 402), Err(Stale::Older(402)));
        assert_eq!(ours.parse(before, 401), Err(Stale::Ahead));
        let theirs = "1234568000000000402";
        assert_eq!(ours.parse(theirs, 402), Err(Stale::Foreign));
        // The first bytes of the digest of this key, as they were taken.
        let of_key = Versions::of("docket.a5c.ai/test+1234+key").older_tag;
        assert_eq!(of_key, 8_676_216);
    }

    #[test]
    fn what_another_ledger_gave_or_this_one_can_not_have_given_is_refused() {
        let ours = Versions::of("one");
        let theirs = Versions::of("another");
        assert_eq!(ours.parse(&theirs.print(3), 5), Err(Stale::Foreign));
        assert_eq!(ours.parse("3", 5), Err(Stale::Foreign));
        assert_eq!(ours.parse(&ours.print(6), 5), Err(Stale::Ahead));
        for text in [
            "",
            "-1",
            "+1",
            "1.0",
            "abc",
            "99999999999999999999999",
            " 1",
        ] {
            assert_eq!(ours.parse(text, 5), Err(Stale::Malformed), "{text}");
        }
    }
}
