//! What could not be read of one arrival: put aside by hash, counted, and told as gaps.

use super::quarantine::{Put, Quarantine};
use crate::gaps::{Cause, Gap};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

/// Unreadable items of one arrival that are put aside each by itself; more than these are
/// one gap that counts them, so that a file of something else does not fill the ledger.
pub const APART: usize = 16;

/// The unreadable items of one arrival.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    apart: Vec<Gap>,
    more: Option<More>,
    /// Their source delivers again what it gets no answer for.
    pub retried: bool,
}

/// Those beyond [`APART`].
#[derive(Clone, Debug)]
struct More {
    source: String,
    now: Timestamp,
    /// Over the items in order.
    sha256: [u8; 32],
    length: u64,
    count: u64,
}

impl Aside {
    /// True if nothing was put aside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apart.is_empty() && self.more.is_none()
    }

    /// Puts one item aside. What is said of it: nothing of it is quoted.
    pub fn item(
        &mut self,
        quarantine: &Quarantine,
        source: &str,
        bytes: &[u8],
        why: &str,
        now: Timestamp,
    ) -> String {
        let sha256 = Put::hash(bytes);
        let gap = Gap::new(source, Cause::QuarantinedItem, &sha256, now);
        if let Some(same) = self.apart.iter_mut().find(|same| same.id == gap.id) {
            same.count = same.count.map(|count| count + 1);
            return same.detail.clone().unwrap_or_default();
        }
        if self.apart.len() >= APART {
            self.more(source, &sha256, bytes.len() as u64, now);
            return format!("{why}; {} bytes, sha256 {sha256}, not kept", bytes.len());
        }
        let gap = gap_of(
            source,
            Cause::QuarantinedItem,
            &quarantine.put(bytes),
            why,
            now,
        );
        let said = gap.detail.clone().unwrap_or_default();
        self.apart.push(gap.counting(1));
        said
    }

    /// The same for an item of which only hash and length are known.
    pub fn too_long(&mut self, source: &str, sha256: String, length: u64, now: Timestamp) {
        if self.apart.len() >= APART {
            return self.more(source, &sha256, length, now);
        }
        let put = Put {
            sha256,
            length,
            kept: false,
        };
        let why = "the line is longer than 64 MiB";
        let gap = gap_of(source, Cause::QuarantinedItem, &put, why, now);
        self.apart.push(gap.counting(1));
    }

    fn more(&mut self, source: &str, sha256: &str, length: u64, now: Timestamp) {
        let more = self.more.get_or_insert_with(|| More {
            source: source.to_owned(),
            now,
            sha256: [0; 32],
            length: 0,
            count: 0,
        });
        let mut chain = more.sha256.to_vec();
        chain.extend_from_slice(sha256.as_bytes());
        more.sha256
            .copy_from_slice(digest(&SHA256, &chain).as_ref());
        more.length += length;
        more.count += 1;
    }

    /// As gaps.
    #[must_use]
    pub fn into_gaps(self) -> Vec<Gap> {
        let mut gaps = self.apart;
        if let Some(more) = self.more {
            let put = Put {
                sha256: HEXLOWER.encode(&more.sha256),
                length: more.length,
                kept: false,
            };
            let why = format!("{} more items of one arrival cannot be read", more.count);
            let gap = gap_of(&more.source, Cause::QuarantinedItem, &put, &why, more.now);
            gaps.push(gap.counting(more.count));
        }
        for gap in &mut gaps {
            gap.retried = self.retried;
        }
        gaps
    }
}

/// A gap for bytes that were put aside.
pub fn gap_of(source: &str, cause: Cause, put: &Put, why: &str, now: Timestamp) -> Gap {
    let kept = if put.kept {
        "kept in quarantine"
    } else {
        "not kept: quarantine is full"
    };
    Gap::new(source, cause, &put.sha256, now).saying(format!(
        "{why}; {} bytes, sha256 {}, {kept}",
        put.length, put.sha256
    ))
}
