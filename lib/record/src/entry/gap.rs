//! Gaps: spans in which the record may be incomplete.

use super::OpenEnum;
use super::open_enum::named_enum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

named_enum! {
    /// Why the record may be incomplete.
    pub enum Cause {
        /// Testimonies were sworn, their audit events never came.
        NumbersMissing = "numbers-missing",
        /// One audit event could not be read.
        QuarantinedItem = "quarantined-item",
        /// A whole batch could not be read.
        QuarantinedBatch = "quarantined-batch",
        /// The audit log was cut in place before it was read.
        FileCut = "file-cut",
        /// The audit log was removed before it was read to its end.
        FileGone = "file-gone",
        /// The audit log, or a part of it, could not be read.
        FileUnreadable = "file-unreadable",
        /// Kyverno denied and left no Event: deniers that lost the race are not known.
        EventsMissing = "events-missing",
        /// Policies were not watched: versions of that time may be missing.
        LawWatchAway = "law-watch-away",
    }
}

/// Which of our two hooks was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hook {
    /// The mutating one ([`crate::testimony::WITNESS`]).
    Witness,
    /// The validating one ([`crate::testimony::FINAL`]).
    Final,
}

/// A witness process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessName {
    /// Instance name.
    pub instance: String,
    /// Start, milliseconds since the epoch.
    pub started: i64,
}

/// The public part. What is absent is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Public {
    /// Unique for ever; the same gap told twice has the same.
    pub id: String,
    /// When it was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Start of the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// End of the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Name of the source, or `witness`.
    pub source: String,
    /// Why.
    pub cause: OpenEnum<Cause>,
    /// Whose numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// First and last missing number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<(u64, u64)>,
    /// How many audit events are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The writes whose audit events are missing, as far as they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<MissingWrite>,
}

/// A write whose audit event is missing: what its testimony's number was given for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MissingWrite {
    /// The number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Which of our hooks was called: a write that calls both has two numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
    /// When the hook answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operation: String,
    /// API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural; empty if it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Empty for the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Empty for cluster-scoped objects, or if it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// The personal part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personal {
    /// Who wrote what, for each of the writes.
    pub writes: Vec<WhoWrote>,
}

/// Names of a person and a thing; what was cut ends in `…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WhoWrote {
    /// Which of the gap's writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Object name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Effective user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}
