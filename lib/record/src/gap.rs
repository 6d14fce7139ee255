//! What a gap may hide: whether it matters to a question, and in words what happened.

use crate::entry::Named as _;
use crate::entry::gap::{Cause, Public};
use std::collections::BTreeSet;

/// Something that may be missing in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hidden {
    /// Audit events, and with them denials, writes that were let through, and outcomes.
    Denials,
    /// Writes to which an exception applied: found by the policies and exceptions of then.
    Excepted,
    /// Versions of policies.
    Laws,
    /// Who denied too.
    OtherDeniers,
}

impl Hidden {
    /// All of them.
    pub const ALL: [Hidden; 4] = [
        Hidden::Denials,
        Hidden::Excepted,
        Hidden::Laws,
        Hidden::OtherDeniers,
    ];

    /// As in questions and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Hidden::Denials => "denials",
            Hidden::Excepted => "excepted",
            Hidden::Laws => "laws",
            Hidden::OtherDeniers => "otherDeniers",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Hidden> {
        Hidden::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What a gap of this cause may hide. One that is not known here may hide anything.
///
/// A policy that was not watched hides no denial: attributions of that time are in doubt,
/// and say so themselves. Who denied too is said, or not, by each denial.
#[must_use]
pub fn hides(cause: &str) -> &'static [Hidden] {
    match Cause::from_name(cause) {
        Some(
            Cause::NumbersMissing
            | Cause::QuarantinedItem
            | Cause::QuarantinedBatch
            | Cause::FileCut
            | Cause::FileGone
            | Cause::FileUnreadable,
        ) => &[Hidden::Denials, Hidden::Excepted],
        Some(Cause::LawWatchAway) => &[Hidden::Excepted, Hidden::Laws],
        Some(Cause::EventsMissing) => &[Hidden::OtherDeniers],
        None => &Hidden::ALL,
    }
}

/// What happened, in words.
#[must_use]
pub fn words(cause: &str) -> &'static str {
    match Cause::from_name(cause) {
        Some(Cause::NumbersMissing) => "audit events never came",
        Some(Cause::QuarantinedItem) => "an audit event could not be read",
        Some(Cause::QuarantinedBatch) => "a batch of audit events could not be read",
        Some(Cause::FileCut) => "an audit log was cut before it was read",
        Some(Cause::FileGone) => "an audit log was gone before it was read",
        Some(Cause::FileUnreadable) => "an audit log could not be read",
        Some(Cause::LawWatchAway) => "policies were not watched",
        Some(Cause::EventsMissing) => "Kyverno's Events did not come",
        None => "for another reason",
    }
}

/// May what is missing belong to a write that is `asked` for, by its namespace and its
/// operation? False only where the gap's public part names every write that is missing, and
/// each is known to be another.
pub fn may_concern(gap: &Public, asked: impl Fn(&str, &str) -> bool) -> bool {
    let numbers = gap.writes.iter().filter_map(|write| write.number);
    let named: BTreeSet<u64> = numbers.collect();
    if named.is_empty()
        || gap
            .count
            .is_none_or(|missing| (named.len() as u64) < missing)
    {
        return true;
    }
    gap.writes.iter().any(|write| {
        let (namespace, operation) = (&write.namespace, &write.operation);
        // Of a write without a namespace it may be that it is not known.
        namespace.is_empty() || operation.is_empty() || asked(namespace, operation)
    })
}

#[cfg(test)]
mod tests {
    use super::{Hidden, hides, may_concern, words};
    use serde_json::json;

    #[test]
    fn a_law_gap_hides_no_denial_and_an_unknown_cause_hides_anything() {
        for (cause, expected) in [
            ("numbers-missing", &[Hidden::Denials, Hidden::Excepted][..]),
            ("file-gone", &[Hidden::Denials, Hidden::Excepted]),
            ("law-watch-away", &[Hidden::Excepted, Hidden::Laws]),
            ("events-missing", &[Hidden::OtherDeniers]),
            ("solar-flare", &Hidden::ALL),
        ] {
            assert_eq!(hides(cause), expected, "{cause}");
        }
        assert_eq!(words("solar-flare"), "for another reason");
        for one in Hidden::ALL {
            assert_eq!(Hidden::from_name(one.name()), Some(one));
        }
    }

    #[test]
    fn only_a_gap_all_of_whose_writes_are_known_is_another_namespaces() {
        let acme = |namespace: &str, operation: &str| namespace == "acme" && operation == "CREATE";
        let write = |number: u64, namespace: &str, operation: &str| json!({"number": number, "namespace": namespace, "operation": operation});
        let globex = |number| write(number, "globex", "CREATE");
        for (gap, concerns) in [
            (json!({}), true),
            (json!({"count": 2}), true),
            (json!({"count": 2, "writes": [globex(4)]}), true),
            (json!({"writes": [globex(4)]}), true),
            (json!({"count": 2, "writes": [globex(4), globex(4)]}), true),
            (json!({"count": 2, "writes": [globex(4), globex(5)]}), false),
            (
                json!({"count": 2, "writes": [globex(4), write(5, "", "CREATE")]}),
                true,
            ),
            (
                json!({"count": 2, "writes": [globex(4), write(5, "acme", "CREATE")]}),
                true,
            ),
            (
                json!({"count": 1, "writes": [write(5, "acme", "DELETE")]}),
                false,
            ),
        ] {
            let read = serde_json::from_value(gap.clone()).unwrap();
            assert_eq!(may_concern(&read, acme), concerns, "{gap}");
        }
    }
}
