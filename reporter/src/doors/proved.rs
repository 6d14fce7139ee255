//! The proof of one denial: all that anyone needs to recompute the root that is signed,
//! without asking again. What it is made of is in `docs/ledger-format.md`.

use super::State;
use super::auth::Caller;
use super::error::Refusal;
use super::read::{Entry, Scope};
use super::rest::unread;
use data_encoding::BASE64;
use docket_ledger::entry::Part;
use docket_ledger::query::SaltedPart;
use docket_model::{PartName, Proof, ProofParts, Salted};

impl State {
    /// That a denial which the caller has read is in the newest tree: leaf, the hashes from
    /// it to the root, the signed checkpoint, and the parts that are the caller's to see.
    /// `None`: the entry is gone.
    ///
    /// # Errors
    /// If the ledger can't be read, or the API server can't be asked.
    pub(super) async fn proof(
        &self,
        caller: &Caller,
        scope: &Scope,
        entry: &Entry,
    ) -> Result<Option<Proof>, Refusal> {
        let records = &self.inner.records;
        let Some(proof) = records.inclusion(entry).await.map_err(unread)? else {
            return Ok(None);
        };
        let sees = self.sees_evidence(caller, &entry.row.namespace).await?;
        let position = entry.row.position;
        let (found, _) = records.parts(scope, position, 1).await.map_err(unread)?;
        let own = found.into_iter().find(|parts| parts.position == position);
        let (mut parts, mut withheld) = (ProofParts::default(), Vec::new());
        for one in own.into_iter().flat_map(|own| own.parts) {
            let (part, open) = match one.part {
                Part::Public => (&mut parts.public, true),
                Part::Personal => (&mut parts.personal, sees),
                Part::Exhibit => (&mut parts.exhibit, sees),
            };
            if open {
                *part = Some(salted(&one));
            } else {
                withheld.push(part_name(one.part));
            }
        }
        let path = proof.path.iter().map(|hash| BASE64.encode(hash));
        Ok(Some(Proof {
            id: entry.row.id.clone(),
            position: proof.position,
            leaf: BASE64.encode(&proof.leaf),
            path: path.collect(),
            tree_size: proof.size,
            checkpoint: proof.checkpoint,
            verifier_key: self.inner.verifier_key.to_string(),
            parts,
            // Named, so that nobody takes them for erased.
            withheld,
        }))
    }
}

/// Bytes as they are stored and hashed, hence base64.
pub(super) fn salted(part: &SaltedPart) -> Salted {
    Salted {
        salt: BASE64.encode(&part.salt),
        bytes: BASE64.encode(&part.bytes),
    }
}

/// A part as answers name it.
pub(super) fn part_name(part: Part) -> PartName {
    match part {
        Part::Public => PartName::Public,
        Part::Personal => PartName::Personal,
        Part::Exhibit => PartName::Exhibit,
    }
}
