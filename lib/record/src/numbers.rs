//! What a testimony's number was given for: the reporter asks it of a witness about numbers
//! whose audit event has not come.
//!
//! A number that stays away is an event that never came, or the event of a request that
//! came without our annotation, because the client had hung up while our hook was called.
//! [`RequestKey`] tells which: it is the same for a review and for the event of its request.

use crate::testimony::Bound;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use crate::entry::gap::Hook;

/// Most numbers of one [`Question`].
pub const QUESTIONS: usize = 1024;
/// Longest [`Question`], in bytes of JSON.
pub const LONGEST_QUESTION: usize = 32 << 10;
/// Longest [`Answer`], in bytes of JSON.
pub const LONGEST_ANSWER: usize = 2 << 20;

/// First half of SHA-256 over what a review and the audit event of its request both know:
/// group, resource, subresource, namespace, name and effective user. The operation is not
/// in it: the event of a patch does not say whether it made the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestKey(pub [u8; 16]);

impl RequestKey {
    /// The key of what a testimony is bound to. `name_sha256` is that of an empty name where
    /// the API server made the name: the event never learns it.
    pub fn of(bound: &Bound<'_>) -> RequestKey {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let parts: [&[u8]; 7] = [
            b"docket request 1",
            bound.group.as_bytes(),
            bound.resource.as_bytes(),
            bound.subresource.as_bytes(),
            bound.namespace.as_bytes(),
            &bound.name_sha256,
            &bound.user_sha256,
        ];
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&context.finish().as_ref()[..16]);
        RequestKey(key)
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl From<RequestKey> for String {
    fn from(key: RequestKey) -> String {
        key.to_string()
    }
}

/// A text that is no request key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request key is 32 hexadecimal digits")]
pub struct RequestKeyError;

impl TryFrom<String> for RequestKey {
    type Error = RequestKeyError;

    fn try_from(text: String) -> Result<RequestKey, RequestKeyError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(RequestKey).ok_or(RequestKeyError)
    }
}

/// `POST /numbers`: what these numbers were given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Start of the process that is meant, milliseconds since the epoch.
    pub started: i64,
    /// At most [`QUESTIONS`].
    pub numbers: Vec<u64>,
}

/// What the witness knows of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Name of the process that answers.
    pub instance: String,
    /// Its start, milliseconds since the epoch; if another one was meant it knows nothing.
    pub started: i64,
    /// One for each number that it remembers, in no order.
    pub reviews: Vec<NumberedReview>,
}

/// A review, as far as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberedReview {
    /// The number that its testimony was given.
    pub number: u64,
    /// Which hook was called.
    pub hook: Hook,
    /// When it was answered.
    pub time: Timestamp,
    /// What it shares with its audit event.
    pub request: RequestKey,
    /// `CREATE`, `UPDATE`, `DELETE`; empty if another one.
    pub operation: String,
    /// API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural; empty if it is not remembered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Subresource or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Namespace; empty for cluster-scoped objects, or if it is not remembered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Object name; one that was cut ends in `…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Effective user; one that was cut ends in `…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testimony::WITNESS;
    use crate::text::sha256;

    fn key(namespace: &str, name: &str, user: &str) -> RequestKey {
        RequestKey::of(&Bound {
            cluster: "c",
            hook: WITNESS,
            uid: "u",
            group: "krate.a5c.ai",
            resource: "issues",
            subresource: "",
            namespace,
            name_sha256: sha256(name.as_bytes()),
            user_sha256: sha256(user.as_bytes()),
        })
    }

    #[test]
    fn a_key_is_of_one_write_by_one_user_and_reads_back() {
        let one = key("a", "b", "c");
        assert_eq!(one, key("a", "b", "c"));
        for other in [key("x", "b", "c"), key("a", "x", "c"), key("a", "b", "x")] {
            assert_ne!(one, other);
        }
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(json.len(), 34);
        assert_eq!(serde_json::from_str::<RequestKey>(&json).unwrap(), one);
        for wrong in ["\"\"", "\"ab\"", "1", "\"zz\""] {
            assert!(
                serde_json::from_str::<RequestKey>(wrong).is_err(),
                "{wrong}"
            );
        }
    }
}
