//! What of an object is law: its text in one form, and the hash that names a version.

use crate::redact::{REDACTED, Rules};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

pub use crate::entry::law::Whole;

/// Longest text that is kept whole, in bytes of JSON.
pub const TEXT_LIMIT: usize = 64 * 1024;

/// Of the metadata only this: the rest says when and by what means, not what.
const METADATA: [&str; 5] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "ownerReferences",
];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The text of an object: fields sorted; no status, no managed fields, nothing secret;
/// a `caBundle` by its hash.
#[must_use]
pub fn text(object: &Value) -> Value {
    let mut text = Map::new();
    for (field, value) in sorted(object) {
        let value = match field.as_str() {
            "status" => continue,
            "metadata" => metadata(value),
            _ => clean(value, field),
        };
        text.insert(field.clone(), value);
    }
    text.into()
}

/// SHA-256, hex, over the text without `apiVersion` (the version that happens to be
/// served) and without certificates (their rotation is no new law).
#[must_use]
pub fn hash(text: &Value) -> String {
    let mut content = text.clone();
    if let Some(content) = content.as_object_mut() {
        content.remove("apiVersion");
    }
    for hook in content["webhooks"].as_array_mut().into_iter().flatten() {
        if let Some(config) = hook["clientConfig"].as_object_mut() {
            config.remove("caBundle");
        }
    }
    sha256(content.to_string().as_bytes())
}

/// The text as an entry keeps it: whole, or the beginning of its JSON as a string.
#[must_use]
pub fn kept(text: &Value) -> (Value, Option<Whole>) {
    let json = text.to_string();
    if json.len() <= TEXT_LIMIT {
        return (text.clone(), None);
    }
    let whole = Whole {
        length: json.len() as u64,
        sha256: sha256(json.as_bytes()),
    };
    (crate::text::prefix(&json, TEXT_LIMIT).into(), Some(whole))
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// Whatever order the parser keeps, the hash must not depend on it.
fn sorted(value: &Value) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = value.as_object().into_iter().flatten().collect();
    fields.sort_unstable_by_key(|(field, _)| *field);
    fields
}

fn metadata(value: &Value) -> Value {
    let mut kept = Map::new();
    for (field, value) in sorted(value) {
        if !METADATA.contains(&field.as_str()) {
            continue;
        }
        let mut value = clean(value, field);
        if field == "annotations"
            && let Some(annotations) = value.as_object_mut()
        {
            annotations.remove(LAST_APPLIED);
            for (name, value) in annotations {
                let own = name.rsplit('/').next().unwrap_or(name);
                if is_secret(own) {
                    *value = REDACTED.into();
                }
            }
        }
        let empty = value.as_object().is_some_and(Map::is_empty);
        if !empty {
            kept.insert(field.clone(), value);
        }
    }
    kept.into()
}

/// A policy may hold a Secret to be generated, or a header to be sent: their values go.
/// Nothing else does, for in a policy `key` and `token` are parts of the text.
pub(super) fn clean(value: &Value, under: &str) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| clean(item, under)).collect(),
        Value::Object(_) => {
            let secret = value["kind"] == "Secret";
            let header = under == "headers" && value["key"].as_str().is_some_and(is_secret);
            let mut kept = Map::new();
            for (field, value) in sorted(value) {
                let cleaned = match field.as_str() {
                    "data" | "stringData" if secret => blank(value),
                    "value" if header => REDACTED.into(),
                    "caBundle" if value.is_string() => {
                        let bundle = value.as_str().unwrap_or_default();
                        format!("sha256:{}", sha256(bundle.as_bytes())).into()
                    }
                    _ => clean(value, field),
                };
                kept.insert(field.clone(), cleaned);
            }
            kept.into()
        }
        scalar => scalar.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    Rules::default().is_secret_field(name)
}

/// The shape without the values.
fn blank(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(blank).collect(),
        Value::Object(_) => sorted(value)
            .into_iter()
            .map(|(field, value)| (field.clone(), blank(value)))
            .collect(),
        Value::Null => Value::Null,
        _ => REDACTED.into(),
    }
}
