//! What is written of a denial's other deniers: amendments.

use crate::gaps::id;
use docket_ledger::entry::{Class, NewEntry};
use docket_record::denial::{Attribution, Grade};
use docket_record::entry::amendment::{AmendmentKind, OthersState, Personal, Public};
use docket_record::kyverno_event::Hearsay;
use jiff::Timestamp;

/// A policy denied too. The last of several words about one policy counts; `times` is
/// how many there are with this one, so that the same word can be given again later.
pub(super) fn other_denier(
    denial: &str,
    attribution: &Attribution,
    times: u32,
    seen: &Hearsay,
    now: Timestamp,
) -> NewEntry {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let kind = AmendmentKind::OtherDenier;
    let grade = match attribution.grade {
        Some(Grade::Exact) => "exact",
        _ => "ambiguous",
    };
    let id = id(&[
        "amendment",
        kind.name(),
        denial,
        &part(&attribution.policy_kind),
        &part(&attribution.policy_namespace),
        &part(&attribution.policy),
        &part(&attribution.rule),
        grade,
        &times.to_string(),
    ]);
    let public = Public {
        attribution: Some(attribution.clone()),
        unmasked: !seen.message.is_empty(),
        event: seen.event.clone(),
        event_time: Some(seen.time),
        ..Public::new(kind, id, denial, now)
    };
    // The message may echo the object.
    let personal = Personal {
        message: Some(seen.message.clone()),
        ..Personal::default()
    };
    NewEntry::new(Class::Amendment, &public.id, public.bytes()).with_personal(personal.bytes())
}

/// Of this denial ([`AmendmentKind::Others`]), or of all up to it that have no word of their
/// own ([`AmendmentKind::OthersThrough`]).
pub(super) fn others(
    kind: AmendmentKind,
    denial: &str,
    state: OthersState,
    now: Timestamp,
) -> NewEntry {
    let id = id(&["amendment", kind.name(), denial]);
    let public = Public {
        state: Some(state.into()),
        ..Public::new(kind, id, denial, now)
    };
    NewEntry::new(Class::Amendment, &public.id, public.bytes())
}
