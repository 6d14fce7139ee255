//! A write of an object that is law, as an audit event tells of it.

use super::Kind;
use crate::audit::{AuditEvent, Cut};
use crate::denial::DenialId;
use crate::verdict::{asked_for_dry_run, may_be_stored};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest name that is kept; the API server stores none that is longer.
const NAME: usize = 253;

/// A write of an object that is law, but for its status, if it was stored or may have
/// been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LawWrite {
    /// Id of its audit event.
    pub event: String,
    /// `group/Kind`.
    pub kind: String,
    /// Empty for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Empty for a generated name, and for a whole collection.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Audit verb.
    pub verb: String,
    /// When the API server received it.
    pub received: Timestamp,
    /// Stage time.
    pub time: Timestamp,
}

impl LawWrite {
    /// What an event tells; `None` where it wrote no law.
    #[must_use]
    pub fn of(event: &AuditEvent, id: &DenialId, time: Timestamp) -> Option<LawWrite> {
        let object = event.object_ref.as_ref()?;
        let kind = Kind::by_plural(&object.api_group, &object.resource)?;
        // Kyverno writes the status of its policies all the time.
        if object.subresource == "status" || asked_for_dry_run(event) || !may_be_stored(event) {
            return None;
        }
        Some(LawWrite {
            event: id.to_string(),
            kind: kind.full(),
            namespace: Cut::at(&object.namespace, NAME).text,
            name: Cut::at(&object.name.text, NAME).text,
            verb: event.verb.clone(),
            received: event.request_received.parse().unwrap_or(time).min(time),
            time,
        })
    }
}
