//! What Kyverno has made of a policy on pods for their controllers.
//!
//! The policy's status says so: further rules of a legacy policy, further targets with a
//! rewritten spec of a CEL policy. Status is no law: the same text gets other rules from
//! another Kyverno. So it stands beside the law entry, as an amendment of it.

use super::text::{self, Whole};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `kind` of the amendment.
pub const KIND: &str = "law-autogen";

/// The public part of the amendment. Of several of one law the first holds from the
/// beginning of that version on, each other from its own time on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Amendment {
    /// Unique for ever.
    pub id: String,
    /// When it was observed.
    pub time: Timestamp,
    /// The watch had been away: it came after this, and no later than `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// Id of the law entry.
    pub amends: String,
    /// [`KIND`].
    pub kind: String,
    /// `status.autogen` of the policy, as Kyverno wrote it; null if there is none any more.
    #[serde(default)]
    pub autogen: Value,
    /// It was too long, and only the beginning of its JSON is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
}

impl Amendment {
    /// Reads the public part of an amendment; `None` if it is one of another kind.
    #[must_use]
    pub fn read(public: &[u8]) -> Option<Amendment> {
        let read: Amendment = serde_json::from_slice(public).ok()?;
        (read.kind == KIND).then_some(read)
    }
}

/// What an object's status says, in one form, without what is secret; null where Kyverno
/// made nothing.
pub(super) fn of(object: &Value) -> Value {
    let said = &object["status"]["autogen"];
    let mut made = Map::new();
    let filled = |value: &Value| match value {
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => false,
    };
    for field in ["configs", "rules"] {
        if filled(&said[field]) {
            made.insert(field.to_owned(), text::clean(&said[field], field));
        }
    }
    match made.is_empty() {
        true => Value::Null,
        false => made.into(),
    }
}

/// The text of a version as if its status were part of it.
pub(super) fn beside(text: &Value, autogen: &Value) -> Value {
    let mut whole = text.clone();
    if let Some(object) = whole.as_object_mut() {
        object.insert(
            "status".to_owned(),
            serde_json::json!({ "autogen": autogen }),
        );
    }
    whole
}
