//! One audit event in, everything the reporter must know out. Pure.

mod context;
mod outcome;
mod record;
mod sworn;
mod unannotated;

pub use crate::config::Config;
pub use crate::testimony::Refused;
pub use crate::verdict::Counted;
pub use context::Bench;
pub use outcome::Outcome;
pub use sworn::Sworn;
pub use unannotated::Unannotated;

use crate::audit::AuditEvent;
use crate::denial::DenialId;
use crate::law::LawWrite;
use crate::verdict::{Called, Judgement, judge};
use crate::write::Write;
use jiff::Timestamp;

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
