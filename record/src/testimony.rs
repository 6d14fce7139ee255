//! What the witness swears about one review, carried in the audit annotation.
//!
//! The value is compact JSON whose last member is the MAC; the MAC covers the bytes
//! before it, as carried, and what the event itself must agree with ([`Bound`]).

use crate::denial::Context;
use jiff::Timestamp;

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
    /// Length of the raw object and the first 16 hex digits of a digest of it; the
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
pub struct Keys {
    by_id: std::collections::BTreeMap<String, ring::hmac::Key>,
    newest: Option<String>,
}
