//! Gap and amendment entries: where the record may be incomplete, and what was learned later.

use crate::numbers::Hole;
use docket_ledger::entry::{Class, NewEntry};
use docket_record::entry::amendment::{self, AmendmentKind};
use docket_record::entry::gap::{MissingWrite, Personal, ProcessName, Public, WhoWrote};
use docket_record::numbers::NumberedReview;
use docket_record::testimony::Process;
use jiff::Timestamp;

pub use docket_record::entry::bytes as json;
pub use docket_record::entry::gap::Cause;
pub(crate) use docket_record::entry::id;

/// A gap before it is an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Unique for ever; the same gap told twice has the same.
    pub id: String,
    /// When it was noticed.
    pub time: Timestamp,
    /// Start of the span.
    pub from: Timestamp,
    /// End of the span.
    pub to: Timestamp,
    /// Name of the source, or `witness`.
    pub source: String,
    /// Why.
    pub cause: Cause,
    /// Whose numbers.
    pub process: Option<ProcessName>,
    /// First and last missing number.
    pub numbers: Option<(u64, u64)>,
    /// How many audit events are missing, if known.
    pub count: Option<u64>,
    /// What else is known.
    pub detail: Option<String>,
    /// The writes whose audit events are missing, as far as a witness knew.
    pub writes: Vec<NumberedReview>,
    /// Its source tries again what it had no answer for: the same bytes soon after are the
    /// same arrival, and this gap.
    pub retried: bool,
}

impl Gap {
    /// A gap of `source`; `discriminator` tells it from others of the same cause.
    #[must_use]
    pub fn new(source: &str, cause: Cause, discriminator: &str, now: Timestamp) -> Gap {
        Gap {
            id: id(&["gap", source, cause.name(), discriminator]),
            time: now,
            from: now,
            to: now,
            source: source.to_owned(),
            cause,
            process: None,
            numbers: None,
            count: None,
            detail: None,
            writes: Vec::new(),
            retried: false,
        }
    }

    /// Another gap by the same bytes, which arrived again at `first`.
    #[must_use]
    pub fn arrived(mut self, first: Timestamp) -> Gap {
        let first = first.as_millisecond().to_string();
        self.id = id(&["arrival", &self.id, &first]);
        self
    }

    /// The span in which something may be missing.
    #[must_use]
    pub fn spanning(mut self, from: Timestamp, to: Timestamp) -> Gap {
        self.from = from.min(to);
        self.to = to;
        self
    }

    /// How many audit events are missing.
    #[must_use]
    pub fn counting(mut self, count: u64) -> Gap {
        self.count = Some(count);
        self
    }

    /// A sentence more.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Gap {
        self.detail = Some(detail.into());
        self
    }

    /// One more sentence, after those that are there.
    #[must_use]
    pub fn also(mut self, sentence: &str) -> Gap {
        let detail = match self.detail.take() {
            Some(detail) => format!("{detail}; {sentence}"),
            None => sentence.to_owned(),
        };
        self.saying(detail)
    }

    /// The writes that are missing.
    #[must_use]
    pub fn naming(mut self, writes: Vec<NumberedReview>) -> Gap {
        self.writes = writes;
        self
    }

    /// Numbers of `process` that never came.
    #[must_use]
    pub fn numbers(process: &Process, hole: &Hole, now: Timestamp) -> Gap {
        let which = format!(
            "{} {} {}-{}",
            process.instance, process.started, hole.first, hole.last
        );
        let started = Timestamp::from_millisecond(process.started).unwrap_or(hole.to);
        let mut gap = Gap::new("witness", Cause::NumbersMissing, &which, now)
            .spanning(hole.from.unwrap_or(started), hole.to)
            .counting(hole.count);
        gap.process = Some(ProcessName {
            instance: process.instance.clone(),
            started: process.started,
        });
        gap.numbers = Some((hole.first, hole.last));
        gap
    }

    /// As an entry of the ledger.
    #[must_use]
    pub fn entry(&self) -> NewEntry {
        let write = |review: &NumberedReview| MissingWrite {
            number: Some(review.number),
            hook: Some(review.hook),
            time: Some(review.time),
            operation: review.operation.clone(),
            group: review.group.clone(),
            resource: review.resource.clone(),
            subresource: review.subresource.clone(),
            namespace: review.namespace.clone(),
        };
        let who = |review: &NumberedReview| WhoWrote {
            number: Some(review.number),
            name: review.name.clone(),
            user: review.user.clone(),
        };
        let public = Public {
            id: self.id.clone(),
            time: Some(self.time),
            from: Some(self.from),
            to: Some(self.to),
            source: self.source.clone(),
            cause: self.cause.into(),
            process: self.process.clone(),
            numbers: self.numbers,
            count: self.count,
            detail: self.detail.clone(),
            writes: self.writes.iter().map(write).collect(),
        };
        let entry = NewEntry::new(Class::Gap, &public.id, json(&public));
        if self.writes.is_empty() {
            return entry;
        }
        let writes = self.writes.iter().map(who).collect();
        entry.with_personal(json(&Personal { writes }))
    }
}

/// Something learned later about a gap or a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment(amendment::Public);

impl Amendment {
    /// All that was missing has come.
    #[must_use]
    pub fn gap_closed(gap: &str, now: Timestamp) -> Amendment {
        Amendment::new(AmendmentKind::GapClosed, gap, "", now)
    }

    /// It was proved that nothing is missing.
    #[must_use]
    pub fn gap_disproved(gap: &str, because: String, now: Timestamp) -> Amendment {
        let mut amendment = Amendment::gap_closed(gap, now);
        amendment.0.detail = because;
        amendment
    }

    /// Some of the missing numbers have come; with `closed` the last of them.
    #[must_use]
    pub fn late(gap: &str, closed: bool, mut numbers: Vec<u64>, now: Timestamp) -> Amendment {
        numbers.sort_unstable();
        let mut amendment = if closed {
            Amendment::gap_closed(gap, now)
        } else {
            let which = format!("{numbers:?}");
            Amendment::new(AmendmentKind::GapNarrowed, gap, &which, now)
        };
        amendment.0.numbers = numbers;
        amendment
    }

    /// A testimony of this record turned up in another event too.
    #[must_use]
    pub fn disputed(record: &str, now: Timestamp) -> Amendment {
        let mut amendment = Amendment::new(AmendmentKind::Disputed, record, "", now);
        amendment.0.detail =
            "a testimony of this record was seen in another audit event too".into();
        amendment
    }

    /// `other` is a record of the same request, from a source that gives no common id.
    #[must_use]
    pub fn same_request(record: &str, other: &str, because: &str, now: Timestamp) -> Amendment {
        let mut amendment = Amendment::new(AmendmentKind::SameRequest, record, other, now);
        other.clone_into(&mut amendment.0.other);
        because.clone_into(&mut amendment.0.detail);
        amendment
    }

    fn new(kind: AmendmentKind, amends: &str, discriminator: &str, now: Timestamp) -> Amendment {
        let id = id(&["amendment", kind.name(), amends, discriminator]);
        Amendment(amendment::Public::new(kind, id, amends, now))
    }

    /// As an entry of the ledger.
    #[must_use]
    pub fn entry(&self) -> NewEntry {
        NewEntry::new(Class::Amendment, &self.0.id, self.0.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;
    use docket_record::gap::{Hidden, hides, words};

    #[test]
    fn of_each_cause_it_is_known_what_it_may_hide_and_how_to_say_it() {
        for cause in Cause::ALL {
            let name = cause.name();
            assert_ne!(hides(name), &Hidden::ALL[..], "{name}");
            assert_ne!(words(name), words("no such cause"), "{name}");
        }
    }
}
