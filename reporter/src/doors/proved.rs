//! The proof of one denial: all that anyone needs to recompute the root that is signed,
//! without asking again. What it is made of is in `docs/ledger-format.md`.

use super::State;
use super::auth::Caller;
use super::error::Refusal;
use super::read::{Entry, Scope};
use super::rest::unread;
use data_encoding::BASE64;
use docket_ledger::entry::Part;
use serde_json::{Value, json};

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
    ) -> Result<Option<Value>, Refusal> {
        let records = &self.inner.records;
        let Some(proof) = records.inclusion(entry).await.map_err(unread)? else {
            return Ok(None);
        };
        let sees = self.sees_evidence(caller, &entry.row.namespace).await?;
        let position = entry.row.position;
        let (found, _) = records.parts(scope, position, 1).await.map_err(unread)?;
        let own = found.into_iter().find(|parts| parts.position == position);
        let (mut parts, mut withheld) = (json!({}), Vec::new());
        for salted in own.into_iter().flat_map(|own| own.parts) {
            let (name, open) = match salted.part {
                Part::Public => ("public", true),
                Part::Personal => ("personal", sees),
                Part::Exhibit => ("exhibit", sees),
            };
            if open {
                parts[name] = json!({
                    "salt": BASE64.encode(&salted.salt),
                    "bytes": BASE64.encode(&salted.bytes),
                });
            } else {
                withheld.push(name);
            }
        }
        let path = proof.path.iter().map(|hash| BASE64.encode(hash));
        Ok(Some(json!({
            "id": entry.row.id,
            "position": proof.position,
            "leaf": BASE64.encode(&proof.leaf),
            "path": path.collect::<Vec<_>>(),
            "treeSize": proof.size,
            "checkpoint": proof.checkpoint,
            "verifierKey": self.inner.verifier_key,
            "parts": parts,
            // Named, so that nobody takes them for erased.
            "withheld": withheld,
        })))
    }
}
