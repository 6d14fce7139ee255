//! An event that came without a testimony of ours although one was due: it may be the
//! event of a number that is missed.

use super::context::Bench;
use super::outcome::Outcome;
use super::sworn::Sworn;
use crate::audit::{AuditEvent, ObjectRef};
use crate::numbers::{Hook, NumberedReview, RequestKey};
use crate::testimony::{Bound, FINAL, WITNESS};
use crate::text::sha256;
use crate::verdict::{Counted, has_hook, ours_failed_open};
use jiff::{SignedDuration, Timestamp};

/// A hook may be called until the API server gives the request up, and its answer may be
/// numbered a moment after the event says that it ended: what is on its way then.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(1);

/// What such an event shares with the reviews of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unannotated {
    /// What was written, and by whom.
    pub request: RequestKey,
    /// What its reviews may call it.
    operations: &'static [&'static str],
    /// The first moment at which a review may have been answered.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
    /// No testimony of the mutating hook is there.
    pub without_witness: bool,
    /// No testimony of the validating hook is there.
    pub without_final: bool,
}

impl Unannotated {
    /// True if no testimony of this hook is there.
    pub fn is_without(&self, hook: Hook) -> bool {
        match hook {
            Hook::Witness => self.without_witness,
            Hook::Final => self.without_final,
        }
    }

    /// True if the review may be one of this event's request, whose testimony got lost.
    pub fn may_be_of(&self, review: &NumberedReview) -> bool {
        self.request == review.request
            && self.is_without(review.hook)
            && self.operations.contains(&review.operation.as_str())
            && (self.from..=self.to).contains(&review.time)
    }
}

/// `None` if nothing is missing in this event, or our hooks were certainly not called.
pub(super) fn unannotated(
    event: &AuditEvent,
    bench: &Bench<'_>,
    sworn: &[Sworn],
    outcome: &Outcome,
    stage: Timestamp,
) -> Option<Unannotated> {
    // An export that says less gives neither times nor annotations to go by.
    if event.derived.is_some() {
        return None;
    }
    // Refused before admission.
    if let Outcome::Counted(
        Counted::NotGoverned
        | Counted::Unauthenticated
        | Counted::TooManyRequests
        | Counted::Forbidden,
    ) = outcome
    {
        return None;
    }
    let nothing = ObjectRef::default();
    let object = event.object_ref.as_ref().unwrap_or(&nothing);
    if !has_hook(
        bench.config,
        &object.api_group,
        &object.resource,
        &object.subresource,
    ) {
        return None;
    }
    let operations: &[&str] = match event.verb.as_str() {
        "create" => &["CREATE"],
        // Either makes the object if it is not there.
        "update" | "patch" => &["UPDATE", "CREATE"],
        "delete" if !object.name.is_empty() => &["DELETE"],
        // Collections are not numbered.
        _ => return None,
    };
    let heard = |hook: &str| sworn.iter().any(|one| one.hook == hook);
    let without_final = !heard(FINAL);
    // Where the API server went on to the validating hook, it marked a mutating one that
    // did not answer; without that mark there was none to call.
    let without_witness = !heard(WITNESS) && (without_final || ours_failed_open(event));
    if !without_witness && !without_final {
        return None;
    }
    let tolerance = bench.config.clock_tolerance;
    let received = event.request_received.parse().unwrap_or(stage);
    let late = tolerance.saturating_add(ON_ITS_WAY);
    Some(Unannotated {
        request: RequestKey::of(&Bound {
            cluster: &bench.config.cluster,
            hook: "",
            uid: "",
            group: &object.api_group,
            resource: &object.resource,
            subresource: &object.subresource,
            namespace: &object.namespace,
            name_sha256: object.name.sha256(),
            user_sha256: sha256(event.effective_user().username.as_bytes()),
        }),
        operations,
        from: received.checked_sub(tolerance).unwrap_or(Timestamp::MIN),
        to: stage.checked_add(late).unwrap_or(Timestamp::MAX),
        without_witness,
        without_final,
    })
}
