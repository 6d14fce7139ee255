//! What the witness swears about one review, carried in the audit annotation.
//!
//! The value is compact JSON whose last member is the MAC; the MAC covers the bytes
//! before it, as carried, and what the event itself must agree with ([`Bound`]).

use crate::denial::Context;
use crate::text::prefix;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq as _;

/// The mutating hook: sees the object first, even when a
/// ValidatingAdmissionPolicy denies it later.
pub const WITNESS: &str = "witness.docket.a5c.ai";
/// The validating hook: sees the final object and its generated name.
pub const FINAL: &str = "final.docket.a5c.ai";
/// Annotation key of a nameless DELETE (deletecollection), instead of a uid: such
/// a request reviews thousands of objects in one event.
pub const COLLECTION: &str = "collection";

/// One process of the witness. Numbers are only comparable within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// Pod name, or the name given with `--instance`.
    pub instance: String,
    /// Start of the process, milliseconds since the epoch.
    pub started: i64,
}

/// What one testimony says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// Which key signed it.
    pub key_id: String,
    /// Who swears.
    pub process: Process,
    /// Its place among the testimonies of its process, from 1, both hooks counted
    /// together. `None` for collections, which are not numbered.
    pub number: Option<u64>,
    /// When the review was answered.
    pub time: Timestamp,
    /// CREATE, UPDATE, DELETE, CONNECT: the audit verb does not tell for patches.
    pub operation: String,
    /// The event does not always tell (DELETE bodies).
    pub dry_run: bool,
    /// uid of the object that exists already.
    pub old_uid: String,
    /// Krate's terms, each cut at 63 bytes. Empty in `final` unless it differs.
    pub context: Context,
    /// `final` only: the name the API server generated.
    pub generated_name: String,
    /// Length of the raw object and the first 16 hex digits of a keyed digest of it; the
    /// witness may still hold it under this uid. Zero: nothing held.
    pub exhibit: (u64, String),
}

/// What the MAC binds although the testimony does not carry it: the event must agree.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    /// Cluster name as configured for webhook and reporter.
    pub cluster: &'a str,
    /// [`WITNESS`] or [`FINAL`], from the annotation's key.
    pub hook: &'a str,
    /// Review uid or [`COLLECTION`], from the annotation's key.
    pub uid: &'a str,
    /// API group of the resource.
    pub group: &'a str,
    /// Plural.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// SHA-256 of the object's name as the review gave it (empty name: of nothing).
    pub name_sha256: [u8; 32],
    /// SHA-256 of the effective user's name.
    pub user_sha256: [u8; 32],
}

/// MAC keys by id. The webhook signs with the newest, the reporter accepts all.
#[derive(Clone, Default)]
pub struct Keys {
    by_id: BTreeMap<String, hmac::Key>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_id.keys()).finish()
    }
}

/// Why a directory of keys can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// File name out of bounds.
    #[error("the MAC key id {0:?} is not 1 to 16 of a-z, 0-9 and -: rename the file")]
    Id(String),
    /// Content out of bounds.
    #[error("the MAC key {0} is not 64 hexadecimal digits (32 bytes): make it again")]
    Content(String),
}

impl KeysError {
    /// Name of the file.
    pub fn id(&self) -> &str {
        match self {
            KeysError::Id(id) | KeysError::Content(id) => id,
        }
    }
}

/// The key in one file.
fn key(id: &str, content: &[u8]) -> Result<hmac::Key, KeysError> {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if id.is_empty() || id.len() > 16 || !id.bytes().all(allowed) {
        return Err(KeysError::Id(id.to_owned()));
    }
    let secret = HEXLOWER_PERMISSIVE.decode(content.trim_ascii_end()).ok();
    secret
        .filter(|secret| secret.len() == 32)
        .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret))
        .ok_or_else(|| KeysError::Content(id.to_owned()))
}

impl Keys {
    /// Keys from (file name, file content). Names that begin with a dot are skipped:
    /// kubelet keeps its own entries beside the files. No key at all is no error; then
    /// nothing can be signed.
    ///
    /// # Errors
    /// The first id or content that is out of bounds.
    pub fn from_entries<N, C>(entries: impl IntoIterator<Item = (N, C)>) -> Result<Keys, KeysError>
    where
        N: Into<String>,
        C: AsRef<[u8]>,
    {
        let (keys, wrong) = Keys::read(entries);
        wrong.into_iter().next().map_or(Ok(keys), Err)
    }

    /// The same; what is out of bounds gives no key and is named.
    pub fn read<N, C>(entries: impl IntoIterator<Item = (N, C)>) -> (Keys, Vec<KeysError>)
    where
        N: Into<String>,
        C: AsRef<[u8]>,
    {
        let (mut by_id, mut wrong) = (BTreeMap::new(), Vec::new());
        for (id, content) in entries {
            let id = id.into();
            if id.starts_with('.') {
                continue;
            }
            match key(&id, content.as_ref()) {
                Ok(key) => drop(by_id.insert(id, key)),
                Err(error) => wrong.push(error),
            }
        }
        (Keys { by_id }, wrong)
    }

    /// True if nothing can be signed or verified.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Id of the key that signs: the last in byte order.
    pub fn newest(&self) -> Option<&str> {
        self.by_id.last_key_value().map(|(id, _)| id.as_str())
    }

    /// First 16 hexadecimal digits of a keyed digest of a raw object, as its testimony
    /// carries it. Keyed: whoever reads the redacted object could else try short secrets
    /// in its place until the digest fits. `None` without a key.
    pub fn digest_of_exhibit(&self, object: &[u8]) -> Option<String> {
        let (_, key) = self.by_id.last_key_value()?;
        let mut context = hmac::Context::with_key(key);
        context.update(b"docket exhibit raw 1");
        context.update(object);
        let head = context.sign().as_ref().get(..8)?.to_vec();
        Some(data_encoding::HEXLOWER.encode(&head))
    }

    /// Makes digests of values for a namespace, from the key of this id, else from the
    /// newest. `None` if there is no such key.
    pub fn digester(
        &self,
        id: Option<&str>,
        cluster: &str,
        namespace: &str,
    ) -> Option<crate::digest::Digester> {
        let (id, key) = match id {
            Some(id) => self.by_id.get_key_value(id),
            None => self.by_id.last_key_value(),
        }?;
        Some(crate::digest::Digester::derive(id, key, cluster, namespace))
    }

    /// The annotation's value for a testimony, signed with the newest key whatever
    /// `key_id` says. `None` without a key.
    pub fn sign(&self, testimony: &Testimony, bound: &Bound<'_>) -> Option<String> {
        let (id, key) = self.by_id.last_key_value()?;
        let mut value = serde_json::to_string(&Wire::of(testimony, id)).ok()?;
        value.pop();
        let mac = BASE64URL_NOPAD.encode(&mac(key, &value, bound));
        value.push_str(MAC_OPENS);
        value.push_str(&mac);
        value.push_str(MAC_CLOSES);
        Some(value)
    }

    /// Reads a value and checks its MAC against what the event says.
    ///
    /// # Errors
    /// [`Refused`]: not our format, a key that is not here, or a MAC that does not hold.
    pub fn verify(&self, value: &str, bound: &Bound<'_>) -> Result<Testimony, Refused> {
        let (signed, tag) = split(value).ok_or(Refused::Unreadable)?;
        let testimony = Testimony::read(value).ok_or(Refused::Unreadable)?;
        let key = self
            .by_id
            .get(&testimony.key_id)
            .ok_or(Refused::UnknownKey)?;
        // The same time wherever the bytes differ. ring's own verification takes no MAC that
        // is cut, as ours is.
        if mac(key, signed, bound).ct_eq(&tag).into() {
            Ok(testimony)
        } else {
            Err(Refused::BadMac)
        }
    }
}

const MAC_OPENS: &str = ",\"m\":\"";
const MAC_CLOSES: &str = "\"}";
/// Bytes of the MAC that are carried; 128 bits can't be guessed.
const MAC_LENGTH: usize = 16;

/// The signed bytes and the MAC of a value.
fn split(value: &str) -> Option<(&str, [u8; MAC_LENGTH])> {
    let (signed, encoded) = value.strip_suffix(MAC_CLOSES)?.rsplit_once(MAC_OPENS)?;
    let tag = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
    Some((signed, tag.try_into().ok()?))
}

/// HMAC-SHA256 over the signed bytes and the bound facts, each with its length before
/// it, so that no two lists of facts make the same input.
fn mac(key: &hmac::Key, signed: &str, bound: &Bound<'_>) -> [u8; MAC_LENGTH] {
    let mut context = hmac::Context::with_key(key);
    let parts: [&[u8]; 11] = [
        b"docket testimony 1",
        bound.cluster.as_bytes(),
        bound.hook.as_bytes(),
        bound.uid.as_bytes(),
        bound.group.as_bytes(),
        bound.resource.as_bytes(),
        bound.subresource.as_bytes(),
        bound.namespace.as_bytes(),
        &bound.name_sha256,
        &bound.user_sha256,
        signed.as_bytes(),
    ];
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut tag = [0; MAC_LENGTH];
    tag.copy_from_slice(&context.sign().as_ref()[..MAC_LENGTH]);
    tag
}

/// The value's form. Keys are one letter: it is multiplied by passes and by requests.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(rename = "v")]
    version: u8,
    #[serde(rename = "k", borrow)]
    key_id: Cow<'a, str>,
    #[serde(rename = "i", borrow)]
    instance: Cow<'a, str>,
    #[serde(rename = "s")]
    started: i64,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// Microseconds since the epoch.
    #[serde(rename = "t")]
    time: i64,
    #[serde(rename = "o", borrow)]
    operation: Cow<'a, str>,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    #[serde(rename = "u", default, borrow, skip_serializing_if = "str::is_empty")]
    old_uid: Cow<'a, str>,
    #[serde(rename = "g", default, borrow, skip_serializing_if = "str::is_empty")]
    generated_name: Cow<'a, str>,
    #[serde(rename = "c", default, borrow, skip_serializing_if = "Option::is_none")]
    context: Option<WireContext<'a>>,
    #[serde(rename = "x", default, borrow, skip_serializing_if = "Option::is_none")]
    exhibit: Option<(u64, Cow<'a, str>)>,
    /// Only when read: it is appended by hand, after the bytes it covers.
    #[serde(rename = "m", default, borrow, skip_serializing)]
    _mac: Cow<'a, str>,
}

#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct WireContext<'a> {
    #[serde(rename = "o", borrow, skip_serializing_if = "str::is_empty")]
    org: Cow<'a, str>,
    #[serde(rename = "r", borrow, skip_serializing_if = "str::is_empty")]
    repository: Cow<'a, str>,
    #[serde(rename = "p", borrow, skip_serializing_if = "str::is_empty")]
    pull_request: Cow<'a, str>,
    #[serde(rename = "n", borrow, skip_serializing_if = "str::is_empty")]
    run: Cow<'a, str>,
    #[serde(rename = "e", borrow, skip_serializing_if = "str::is_empty")]
    environment: Cow<'a, str>,
    #[serde(rename = "s", borrow, skip_serializing_if = "str::is_empty")]
    surface: Cow<'a, str>,
    #[serde(rename = "c", skip_serializing_if = "std::ops::Not::not")]
    claimed: bool,
}

impl<'a> Wire<'a> {
    fn of(testimony: &'a Testimony, key_id: &'a str) -> Self {
        let context = &testimony.context;
        let held = testimony.exhibit.0 > 0;
        Wire {
            version: 1,
            key_id: key_id.into(),
            instance: prefix(&testimony.process.instance, NAME_LIMIT).into(),
            started: testimony.process.started,
            number: testimony.number,
            time: testimony.time.as_microsecond(),
            operation: prefix(&testimony.operation, 16).into(),
            dry_run: testimony.dry_run,
            old_uid: prefix(&testimony.old_uid, 128).into(),
            generated_name: prefix(&testimony.generated_name, NAME_LIMIT).into(),
            context: (*context != Context::default()).then(|| WireContext {
                org: value(&context.org),
                repository: value(&context.repository),
                pull_request: value(&context.pull_request),
                run: value(&context.run),
                environment: value(&context.environment),
                surface: value(&context.surface),
                claimed: context.claimed,
            }),
            exhibit: held.then(|| (testimony.exhibit.0, prefix(&testimony.exhibit.1, 16).into())),
            _mac: Cow::default(),
        }
    }
}

/// Longest name of an object or a pod.
const NAME_LIMIT: usize = 253;

fn value(text: &str) -> Cow<'_, str> {
    prefix(text, crate::krate::VALUE_LIMIT).into()
}

impl Testimony {
    /// Reads a value without believing it: only [`Keys::verify`] says that it holds.
    pub fn read(value: &str) -> Option<Testimony> {
        let wire: Wire<'_> = serde_json::from_str(value).ok()?;
        if wire.version != 1 {
            return None;
        }
        let context = wire.context.unwrap_or_default();
        let exhibit = wire.exhibit.unwrap_or_default();
        Some(Testimony {
            key_id: wire.key_id.into(),
            process: Process {
                instance: wire.instance.into(),
                started: wire.started,
            },
            number: wire.number,
            time: Timestamp::from_microsecond(wire.time).ok()?,
            operation: wire.operation.into(),
            dry_run: wire.dry_run,
            old_uid: wire.old_uid.into(),
            context: Context {
                org: context.org.into(),
                repository: context.repository.into(),
                pull_request: context.pull_request.into(),
                run: context.run.into(),
                environment: context.environment.into(),
                surface: context.surface.into(),
                claimed: context.claimed,
            },
            generated_name: wire.generated_name.into(),
            exhibit: (exhibit.0, exhibit.1.into()),
        })
    }
}

/// Why an annotation that looks like ours is ignored; the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Not our format.
    Unreadable,
    /// Key id not known here.
    UnknownKey,
    /// MAC does not hold for these bytes in this event.
    BadMac,
    /// Holds, but its time lies outside the request's window.
    OutsideWindow,
}

impl Refused {
    /// All of them, for metrics that must exist before they count.
    pub const ALL: [Refused; 4] = [
        Refused::Unreadable,
        Refused::UnknownKey,
        Refused::BadMac,
        Refused::OutsideWindow,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Refused::Unreadable => "unreadable",
            Refused::UnknownKey => "unknown_key",
            Refused::BadMac => "bad_mac",
            Refused::OutsideWindow => "outside_window",
        }
    }
}

#[cfg(test)]
mod tests;
