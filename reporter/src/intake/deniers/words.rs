//! What is written of a denial's other deniers: amendments.

use crate::gaps::{id, json};
use docket_ledger::entry::{Class, NewEntry};
use docket_record::denial::{Attribution, Grade};
use docket_record::kyverno_event::Hearsay;
use jiff::Timestamp;
use serde::Serialize;

/// Public part; the message, which may echo the object, is the personal one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherDenier<'a> {
    id: &'a str,
    time: Timestamp,
    amends: &'a str,
    kind: &'static str,
    attribution: &'a Attribution,
    /// The message stands as Kyverno's Event has it, and may repeat secret values of the
    /// object: no witness was asked about it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unmasked: bool,
    /// Namespace and name of Kyverno's Event.
    event: &'a str,
    event_time: Timestamp,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Others<'a> {
    id: &'a str,
    time: Timestamp,
    amends: &'a str,
    kind: &'static str,
    state: &'static str,
}

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
    let kind = "other-denier";
    let grade = match attribution.grade {
        Some(Grade::Exact) => "exact",
        _ => "ambiguous",
    };
    let id = id(&[
        "amendment",
        kind,
        denial,
        &part(&attribution.policy_kind),
        &part(&attribution.policy_namespace),
        &part(&attribution.policy),
        &part(&attribution.rule),
        grade,
        &times.to_string(),
    ]);
    let public = OtherDenier {
        id: &id,
        time: now,
        amends: denial,
        kind,
        attribution,
        unmasked: !seen.message.is_empty(),
        event: &seen.event,
        event_time: seen.time,
    };
    NewEntry {
        public: json(&public),
        class: Class::Amendment,
        personal: Some(json(&Message {
            message: &seen.message,
        })),
        exhibit: None,
        id,
    }
}

/// Of this denial.
pub(super) fn others(denial: &str, state: &'static str, now: Timestamp) -> NewEntry {
    state_of("others", denial, state, now)
}

/// Of all up to this denial that have no word of their own.
pub(super) fn others_through(denial: &str, state: &'static str, now: Timestamp) -> NewEntry {
    state_of("others-through", denial, state, now)
}

fn state_of(kind: &'static str, denial: &str, state: &'static str, now: Timestamp) -> NewEntry {
    let id = id(&["amendment", kind, denial]);
    let public = Others {
        id: &id,
        time: now,
        amends: denial,
        kind,
        state,
    };
    NewEntry {
        public: json(&public),
        class: Class::Amendment,
        personal: None,
        exhibit: None,
        id,
    }
}
