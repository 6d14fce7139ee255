//! One audit event in, everything the reporter must know out. Pure.

use crate::audit::AuditEvent;
use crate::denial::{DenialId, Record};
use crate::policies::PolicyList;
use crate::testimony::{Keys, Testimony};
use jiff::{SignedDuration, Timestamp};

/// What the cluster calls things; the same for webhook and reporter.
#[derive(Clone, Debug)]
pub struct Config {
    /// Cluster name; part of every id and MAC.
    pub cluster: String,
    /// Krate's API group (`krate.a5c.ai`).
    pub krate_group: String,
    /// Prefix of Krate's labels (`krate.a5c.ai/`).
    pub label_prefix: String,
    /// Prefix of org namespaces (`krate-org-`).
    pub org_namespace_prefix: String,
    /// How far witness and API server clocks may differ.
    pub clock_tolerance: SignedDuration,
}

/// Everything `examine` needs beside the event.
pub struct Bench<'a> {
    /// Names.
    pub config: &'a Config,
    /// MAC keys.
    pub keys: &'a Keys,
    /// Policies as known at this moment.
    pub policies: &'a PolicyList,
    /// Name of the source that brought the event.
    pub source: &'a str,
}

/// Why an event makes no entry; the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Not governed: other group, verb, stage or namespace.
    NotGoverned,
    /// Code below 400, nothing failed open.
    Admitted,
    /// 401.
    Unauthenticated,
    /// 429.
    TooManyRequests,
    /// 403 by RBAC.
    Forbidden,
    /// 400, 415, 422: decoding, schema.
    Invalid,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// Terminating namespace or CRD.
    Terminating,
    /// Server not ready.
    NotReady,
}

/// A testimony that was verified, with the uid from its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sworn {
    /// [`crate::testimony::WITNESS`] or [`crate::testimony::FINAL`].
    pub hook: String,
    /// Review uid, or `collection`.
    pub uid: String,
    /// What it says.
    pub testimony: Testimony,
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

/// What one event means.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Id of the event (and of its record, if it makes one).
    pub id: DenialId,
    /// Stage timestamp, parsed.
    pub time: Timestamp,
    /// Verified testimonies, by (time, number).
    pub sworn: Vec<Sworn>,
    /// Annotations under our hooks' names that were ignored.
    pub refused: Vec<Refused>,
    /// `failed-open…` annotations that name our own hooks, and whether the code is 504
    /// (then any user can have provoked it).
    pub our_hook_failed_open: bool,
    /// The record, if the event makes one; else why not.
    pub outcome: Outcome,
    /// The request was a denied deletecollection: ask the witness which object was
    /// reviewed last by (user, group, resource, namespace) before `time`.
    pub collection: bool,
}

/// Entry or count.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A denial (denied, unavailable, unknown) or a pass (failedOpen).
    Record(Box<Record>),
    /// Only counted.
    Counted(Counted),
}

/// Examine one event.
///
/// # Errors
/// Only when the event has no usable stage timestamp: the caller quarantines it.
pub fn examine(_event: &AuditEvent, _bench: &Bench<'_>) -> Result<Finding, ExamineError> {
    unimplemented!()
}

/// Why an event can't be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// `stageTimestamp` missing or not RFC 3339.
    #[error("audit event without a readable stageTimestamp")]
    Time,
}
