//! Values by keyed digest: equal values can be told from different ones, within a namespace,
//! without the values being there.

use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most paths of one object.
const PATHS: usize = 1024;
/// Most bytes of paths and digests.
const BYTES: usize = 48 * 1024;
/// Bytes of a digest that are written: 64 bits.
const LENGTH: usize = 8;
/// What the API server itself writes; it differs between any two writes.
const SERVERS: [&str; 6] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];
const LAST_APPLIED: &str = "/last-applied-configuration";

/// Digests of the values of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Id of the MAC key from which the namespace's key was derived: only digests of one
    /// key compare.
    pub key: String,
    /// 16 hexadecimal digits by path: `spec.steps[0].name`; a field whose name has a dot, a
    /// bracket or a quote is written `["a.b/c"]`.
    pub paths: BTreeMap<String, String>,
    /// True if there were more paths than are kept: one that is not here may still be
    /// there in the object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Makes digests for one namespace. Every witness with the same MAC key makes the same.
pub struct Digester {
    key_id: String,
    key: hmac::Key,
}

impl Digester {
    /// The namespace's key is derived from the MAC key, so that digests of two namespaces
    /// do not compare and none helps to forge a testimony.
    pub(crate) fn derive(
        key_id: &str,
        mac: &hmac::Key,
        cluster: &str,
        namespace: &str,
    ) -> Digester {
        let mut context = hmac::Context::with_key(mac);
        for part in ["docket exhibit 1", cluster, namespace] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Digester {
            key_id: key_id.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref()),
        }
    }

    /// 16 hexadecimal digits for a text.
    pub fn of_text(&self, text: &str) -> String {
        self.digest('s', text)
    }

    fn digest(&self, kind: char, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind as u8]);
        context.update(text.as_bytes());
        data_encoding::HEXLOWER.encode(&context.sign().as_ref()[..LENGTH])
    }

    /// A single value in its canonical form: a letter for its type, then its text.
    fn of_value(&self, value: &Value) -> String {
        match value {
            Value::Null => self.digest('n', ""),
            Value::Bool(value) => self.digest('b', if *value { "true" } else { "false" }),
            // A number that was masked as text keeps its mark.
            Value::Number(number) => self.digest('s', &number.to_string()),
            Value::String(text) => self.digest('s', text),
            Value::Array(_) => self.digest('l', ""),
            Value::Object(_) => self.digest('m', ""),
        }
    }

    /// Single values and empty containers of a whole object, by path: what people wrote
    /// first, then metadata, then status.
    pub fn of_object(&self, object: &Value) -> Digests {
        let mut digests = Digests {
            key: self.key_id.clone(),
            ..Digests::default()
        };
        let Some(fields) = object.as_object() else {
            return digests;
        };
        let last = |name: &str| match name {
            "metadata" => 1,
            "status" => 2,
            _ => 0,
        };
        let mut bytes = 0;
        for rank in 0..3 {
            let ranked = fields.iter().filter(|(name, _)| last(name) == rank);
            for (name, value) in ranked {
                if matches!(name.as_str(), "apiVersion" | "kind") {
                    continue;
                }
                self.collect(&mut field("", name), value, &mut digests, &mut bytes);
            }
        }
        digests
    }

    fn collect(&self, path: &mut String, value: &Value, digests: &mut Digests, bytes: &mut usize) {
        if digests.cut {
            return;
        }
        let length = path.len();
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let servers = path == "metadata" && SERVERS.contains(&name.as_str());
                    if servers || name.ends_with(LAST_APPLIED) {
                        continue;
                    }
                    push_field(path, name);
                    self.collect(path, value, digests, bytes);
                    path.truncate(length);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    path.push_str(&format!("[{at}]"));
                    self.collect(path, item, digests, bytes);
                    path.truncate(length);
                    if digests.cut {
                        return;
                    }
                }
            }
            single => {
                *bytes += path.len() + 2 * LENGTH + 6;
                if *bytes > BYTES || digests.paths.len() >= PATHS {
                    digests.cut = true;
                    return;
                }
                digests.paths.insert(path.clone(), self.of_value(single));
            }
        }
    }
}

fn field(path: &str, name: &str) -> String {
    let mut path = path.to_owned();
    push_field(&mut path, name);
    path
}

fn push_field(path: &mut String, name: &str) {
    if name.is_empty() || name.contains(['.', '[', ']', '"']) {
        path.push('[');
        path.push_str(&Value::from(name).to_string());
        path.push(']');
    } else {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
    }
}
