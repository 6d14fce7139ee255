//! One audit event in, everything the reporter must know out. Pure.

mod record;
mod sworn;
mod unannotated;

pub use unannotated::Unannotated;

use crate::audit::AuditEvent;
use crate::denial::{DenialId, Record};
use crate::law::LawWrite;
use crate::policies::PolicyList;
use crate::testimony::{Keys, Testimony};
use crate::verdict::{Called, Judgement, judge};
use crate::write::Write;
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
    /// 504 where no hook of ours was called.
    TimedOut,
    /// What the kubelet, pod or service behind exec, attach, portforward or proxy
    /// answered, or that it can't be reached.
    Backend,
    /// Any other failure of the API server itself (5xx): nobody refused.
    ServerError,
}

impl Counted {
    /// All of them, for metrics that must exist before they count.
    pub const ALL: [Counted; 13] = [
        Counted::NotGoverned,
        Counted::Admitted,
        Counted::Unauthenticated,
        Counted::TooManyRequests,
        Counted::Forbidden,
        Counted::Invalid,
        Counted::NotFound,
        Counted::Conflict,
        Counted::Terminating,
        Counted::NotReady,
        Counted::TimedOut,
        Counted::Backend,
        Counted::ServerError,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Counted::NotGoverned => "not_governed",
            Counted::Admitted => "admitted",
            Counted::Unauthenticated => "unauthenticated",
            Counted::TooManyRequests => "too_many_requests",
            Counted::Forbidden => "forbidden",
            Counted::Invalid => "invalid",
            Counted::NotFound => "not_found",
            Counted::Conflict => "conflict",
            Counted::Terminating => "terminating",
            Counted::NotReady => "not_ready",
            Counted::TimedOut => "timed_out",
            Counted::Backend => "backend",
            Counted::ServerError => "server_error",
        }
    }
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
    /// The write, if it was admitted.
    pub write: Option<Box<Write>>,
    /// The write, if it was one of law and was stored, or may have been.
    pub law_write: Option<Box<LawWrite>>,
    /// What of the event may explain a number that is missed, if a testimony is missing here.
    pub unannotated: Option<Unannotated>,
    /// The event was put together from an export that says less than a raw event.
    pub derived: bool,
    /// The request was a denied deletecollection: ask the witness which object was
    /// reviewed last by (user, group, resource, namespace) before `time`.
    pub collection: bool,
}

/// Entry or count.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A denial (denied, unavailable, unknown) or a pass (failedOpen, excepted).
    Record(Box<Record>),
    /// Only counted.
    Counted(Counted),
}

/// Examine one event.
///
/// # Errors
/// Only when the event has no usable stage timestamp: the caller quarantines it.
pub fn examine(event: &AuditEvent, bench: &Bench<'_>) -> Result<Finding, ExamineError> {
    let time: Timestamp = event
        .stage_timestamp
        .parse()
        .map_err(|_| ExamineError::Time)?;
    let id = DenialId::of(event, &bench.config.cluster);
    let governed = crate::verdict::governed(&event.glance(), bench.config);
    // Elsewhere no hook of ours is registered, so nothing under its name can be ours.
    let (sworn, refused) = if governed {
        sworn::hear(event, bench, time)
    } else {
        Default::default()
    };
    let called = Called {
        witnessed: !sworn.is_empty(),
        reached_final: sworn.iter().any(|one| one.hook == crate::testimony::FINAL),
        tried: crate::verdict::ours_tried(event),
    };
    let case = record::Case {
        event,
        bench,
        id,
        sworn: &sworn,
        refused: &refused,
    };
    let outcome = match judge(event, called) {
        _ if !governed => Outcome::Counted(Counted::NotGoverned),
        Judgement::Counted(Counted::Admitted) => match case.excepted() {
            Some(record) => Outcome::Record(Box::new(record)),
            None => Outcome::Counted(Counted::Admitted),
        },
        Judgement::Counted(why) => Outcome::Counted(why),
        Judgement::Record(verdict, refusal) => {
            Outcome::Record(Box::new(case.record(verdict, &refusal)))
        }
    };
    let admitted = match &outcome {
        Outcome::Record(record) => record.public.verdict.is_pass(),
        Outcome::Counted(counted) => *counted == Counted::Admitted,
    };
    let write = admitted.then(|| Box::new(case.write(time)));
    let law_write = governed.then(|| LawWrite::of(event, &id, time)).flatten();
    let unannotated = unannotated::unannotated(event, bench, &sworn, &outcome, time);
    Ok(Finding {
        id,
        time,
        our_hook_failed_open: crate::verdict::ours_failed_open(event),
        collection: is_refused_collection(event, &outcome),
        sworn,
        refused,
        outcome,
        write,
        law_write: law_write.map(Box::new),
        unannotated,
        derived: event.derived.is_some(),
    })
}

/// Refused, and only the witness may know which object it was.
fn is_refused_collection(event: &AuditEvent, outcome: &Outcome) -> bool {
    let nameless = event
        .object_ref
        .as_ref()
        .is_some_and(|object| object.name.is_empty());
    let refused = match outcome {
        Outcome::Record(record) => !record.public.verdict.is_pass(),
        Outcome::Counted(_) => false,
    };
    refused && nameless && matches!(event.verb.as_str(), "deletecollection" | "delete")
}

/// Why an event can't be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// `stageTimestamp` missing or not RFC 3339.
    #[error("audit event without a readable stageTimestamp")]
    Time,
}

#[cfg(test)]
mod tests;
