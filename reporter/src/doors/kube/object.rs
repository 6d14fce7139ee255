//! A record as a Kubernetes object: metadata, and beside it, flat as in an Event, the
//! members that the REST door gives (`docs/policy-denial.schema.json`). None of those is
//! called apiVersion, kind or metadata.

use super::labels::is_value;
use super::path::Resource;
use super::safe;
use crate::doors::read::Entry;
use data_encoding::HEXLOWER;
use docket_model::DenialItem;
use docket_record::api::{API_VERSION, label};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One object, before it has a form.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) labels: BTreeMap<&'static str, String>,
    pub(super) body: Value,
}

/// Members that are labels too.
const LABELS: [(&str, &str); 5] = [
    (label::ORG, "org"),
    (label::REPOSITORY, "repository"),
    (label::SURFACE, "surface"),
    (label::POLICY, "policy"),
    (label::VERDICT, "verdict"),
];

/// Of a denial; `denial` is what the REST door gives of `entry`.
pub(super) fn denial(
    resource: &Resource,
    version: &str,
    entry: &Entry,
    denial: &DenialItem,
) -> Object {
    let row = &entry.row;
    let mut members = match serde_json::to_value(denial) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut labels = BTreeMap::new();
    for (key, member) in LABELS {
        if let Some(value) = members.get(member).and_then(Value::as_str)
            && is_value(value)
        {
            labels.insert(key, value.to_owned());
        }
    }
    let mut metadata = metadata(&row.id, row.time, version);
    if matches!(resource, Resource::Denials | Resource::RepositoryDenials(_)) {
        metadata["namespace"] = row.namespace.clone().into();
    }
    if !labels.is_empty() {
        metadata["labels"] = json!(labels);
    }
    head(&mut members, resource.kind(), metadata);
    let mut body = Value::Object(members);
    safe::value(&mut body);
    Object { labels, body }
}

/// Of anything else that has no labels.
pub(super) fn other(kind: &str, metadata: Value, members: Value) -> Object {
    let mut members = match members {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    head(&mut members, kind, metadata);
    let mut body = Value::Object(members);
    safe::value(&mut body);
    Object {
        labels: BTreeMap::new(),
        body,
    }
}

fn head(members: &mut Map<String, Value>, kind: &str, metadata: Value) {
    members.insert("apiVersion".into(), API_VERSION.into());
    members.insert("kind".into(), kind.into());
    members.insert("metadata".into(), metadata);
}

/// The uid is made from the name, which is unique for ever.
pub(super) fn metadata(name: &str, time: i64, version: &str) -> Value {
    json!({
        "name": name,
        "uid": uid(name),
        "creationTimestamp": whole_seconds(time),
        "resourceVersion": version,
    })
}

/// RFC 9562, version 8: bits of a digest.
pub(super) fn uid(name: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// As all of Kubernetes writes times in metadata.
pub(super) fn whole_seconds(microseconds: i64) -> String {
    let time = Timestamp::from_microsecond(microseconds).unwrap_or_default();
    format!("{time:.0}")
}

impl Object {
    /// Nothing but the metadata.
    pub(super) fn partial(&self, version: &str) -> Value {
        json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": version,
            "metadata": self.body["metadata"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_the_form_of_one_and_is_the_same_each_time() {
        let one = uid("abc");
        assert_eq!(
            (one.len(), one.as_bytes()[14], one.split('-').count()),
            (36, b'8', 5)
        );
        assert_eq!(one, uid("abc"));
        assert_ne!(one, uid("abd"));
    }

    #[test]
    fn times_in_metadata_are_whole_seconds() {
        assert_eq!(whole_seconds(1_700_000_000_999_999), "2023-11-14T22:13:20Z");
    }
}
