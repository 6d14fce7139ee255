//! What Kyverno has made of a policy on pods for their controllers.
//!
//! The policy's status says so: further rules of a legacy policy, further targets with a
//! rewritten spec of a CEL policy. Status is no law: the same text gets other rules from
//! another Kyverno. So it stands beside the law entry, as an amendment of it.

use super::text;
use crate::entry::amendment::AmendmentKind;
use serde_json::{Map, Value};

pub use crate::entry::law::Autogen as Amendment;

/// `kind` of the amendment.
pub const KIND: AmendmentKind = AmendmentKind::LawAutogen;

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
