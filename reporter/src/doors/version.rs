//! A place in the ledger as readers carry it: the resourceVersion of the aggregated API
//! and the id of a stream's event.
//!
//! One decimal number, `tag × 10^12 + place`: `place` is how many entries the ledger held,
//! `tag` a digest of its verifier key. It grows with the ledger, as clients may expect of
//! a resourceVersion (KEP-5504), a person can read the place off its end, and one that
//! another ledger gave is told apart, whatever its size.

use ring::digest::{SHA256, digest};

/// Places are below this; the tag stands above it.
const PLACES: u64 = 1_000_000_000_000;
/// Tags are from 1 to this, so that the number fits into 63 bits.
const TAGS: u64 = 9_000_000;

/// Whose versions are printed and taken: one ledger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    tag: u64,
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
        Versions {
            tag: u64::from_be_bytes(first) % TAGS + 1,
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
        if version / PLACES != self.tag {
            return Err(Stale::Foreign);
        }
        let place = version % PLACES;
        if place > size {
            return Err(Stale::Ahead);
        }
        Ok(place)
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
        let number = |size| ours.print(size).parse::<i64>().expect("63 bits");
        assert!(number(9) < number(10));
        assert_eq!(ours.print(402).len(), ours.print(0).len());
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
