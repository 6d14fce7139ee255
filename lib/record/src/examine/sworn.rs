//! The testimonies inside an event: which hold, and which are ignored.

use super::context::Bench;
use crate::audit::AuditEvent;
use crate::testimony::{Bound, COLLECTION, FINAL, Refused, Testimony, WITNESS};
use crate::text::sha256;
use jiff::{SignedDuration, Timestamp};

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

/// All annotations under our hooks' names: those that hold, by (time, number), and why
/// the others do not.
pub(super) fn hear(
    event: &AuditEvent,
    bench: &Bench<'_>,
    stage: Timestamp,
) -> (Vec<Sworn>, Vec<Refused>) {
    let mut sworn = Vec::new();
    let mut refused = Vec::new();
    for hook in [FINAL, WITNESS] {
        let under = format!("{hook}/");
        let keys = event.annotations.range(under.clone()..);
        for (key, value) in keys.take_while(|(key, _)| key.starts_with(&under)) {
            let uid = &key[under.len()..];
            match testimony(event, bench, stage, hook, uid, value) {
                Ok(testimony) => {
                    sworn.push(Sworn {
                        hook: hook.to_owned(),
                        uid: uid.to_owned(),
                        testimony,
                    });
                }
                Err(why) => refused.push(why),
            }
        }
    }
    sworn.sort_by_key(|one| (one.testimony.time, one.testimony.number));
    (sworn, refused)
}

fn testimony(
    event: &AuditEvent,
    bench: &Bench<'_>,
    stage: Timestamp,
    hook: &str,
    uid: &str,
    value: &str,
) -> Result<Testimony, Refused> {
    let nothing = crate::audit::ObjectRef::default();
    let object = event.object_ref.as_ref().unwrap_or(&nothing);
    let mut bound = Bound {
        cluster: &bench.config.cluster,
        hook,
        uid,
        group: &object.api_group,
        resource: &object.resource,
        subresource: &object.subresource,
        namespace: &object.namespace,
        name_sha256: object.name.sha256(),
        user_sha256: sha256(event.effective_user().username.as_bytes()),
    };
    let heard = bench.keys.verify(value, &bound);
    let testimony = match heard {
        // With generateName the event never learns the name, and the final review has it.
        Err(Refused::BadMac) if hook == FINAL && object.name.is_empty() => {
            let made = Testimony::read(value)
                .ok_or(Refused::Unreadable)?
                .generated_name;
            bound.name_sha256 = sha256(made.as_bytes());
            bench.keys.verify(value, &bound)?
        }
        heard => heard?,
    };
    // A number makes gaps visible, so only a collection may be without.
    if (uid == COLLECTION) != testimony.number.is_none() {
        return Err(Refused::Unreadable);
    }
    if in_window(event, bench, stage, testimony.time) {
        Ok(testimony)
    } else {
        Err(Refused::OutsideWindow)
    }
}

/// A request is answered within this time. An export may give its beginning, its end or
/// the time of the log's own taking for the one time that it has.
const EXPORT_SLACK: SignedDuration = SignedDuration::from_secs(65);

fn in_window(event: &AuditEvent, bench: &Bench<'_>, stage: Timestamp, time: Timestamp) -> bool {
    let mut tolerance = bench.config.clock_tolerance;
    // Without a readable beginning only the end bounds it.
    let mut beginning = Timestamp::MIN;
    if event.derived.is_some() {
        tolerance = tolerance.saturating_add(EXPORT_SLACK);
        beginning = stage;
    }
    let received = event.request_received.parse().unwrap_or(beginning);
    let earliest = received.checked_sub(tolerance).unwrap_or(Timestamp::MIN);
    let latest = stage.checked_add(tolerance).unwrap_or(Timestamp::MAX);
    (earliest..=latest).contains(&time)
}
