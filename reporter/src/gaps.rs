//! Gap and amendment entries: where the record may be incomplete, and what was learned later.

use crate::numbers::Hole;
use data_encoding::BASE32_NOPAD;
use docket_ledger::entry::{Class, NewEntry};
use docket_record::numbers::{Hook, NumberedReview};
use docket_record::testimony::Process;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::Serialize;

/// Why the record may be incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Testimonies were sworn, their audit events never came.
    NumbersMissing,
    /// One audit event could not be read.
    QuarantinedItem,
    /// A whole batch could not be read.
    QuarantinedBatch,
    /// The audit log was cut in place before it was read.
    FileCut,
    /// The audit log was removed before it was read to its end.
    FileGone,
    /// The audit log, or a part of it, could not be read.
    FileUnreadable,
    /// Kyverno denied and left no Event: deniers that lost the race are not known.
    EventsMissing,
    /// Policies were not watched: versions of that time may be missing.
    LawWatchAway,
}

impl Cause {
    /// All of them, for metrics that must exist before they count.
    pub const ALL: [Cause; 8] = [
        Cause::NumbersMissing,
        Cause::QuarantinedItem,
        Cause::QuarantinedBatch,
        Cause::FileCut,
        Cause::FileGone,
        Cause::FileUnreadable,
        Cause::EventsMissing,
        Cause::LawWatchAway,
    ];

    /// As in entries and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cause::NumbersMissing => "numbers-missing",
            Cause::QuarantinedItem => "quarantined-item",
            Cause::QuarantinedBatch => "quarantined-batch",
            Cause::FileCut => "file-cut",
            Cause::FileGone => "file-gone",
            Cause::FileUnreadable => "file-unreadable",
            Cause::EventsMissing => "events-missing",
            Cause::LawWatchAway => "law-watch-away",
        }
    }
}

/// A gap before it is an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// First and last missing number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<(u64, u64)>,
    /// How many audit events are missing, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The writes whose audit events are missing, as far as they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<MissingWrite>,
    /// Its source tries again what it had no answer for: the same bytes soon after are the
    /// same arrival, and this gap.
    #[serde(skip)]
    pub retried: bool,
}

/// A write whose audit event is missing: what its testimony's number was given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingWrite {
    /// The number.
    pub number: u64,
    /// Which of our hooks was called: a write that calls both has two numbers.
    pub hook: Hook,
    /// When the hook answered.
    pub time: Timestamp,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operation: String,
    /// API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural; absent if it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Absent for the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Absent for cluster-scoped objects, or if it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// In the personal part.
    #[serde(skip)]
    pub who: WhoWrote,
}

/// Names of a person and a thing; what was cut ends in `…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhoWrote {
    /// Which of the gap's writes.
    pub number: u64,
    /// Object name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Effective user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}

impl MissingWrite {
    /// As the witness remembers it.
    #[must_use]
    pub fn of(review: &NumberedReview) -> MissingWrite {
        MissingWrite {
            number: review.number,
            hook: review.hook,
            time: review.time,
            operation: review.operation.clone(),
            group: review.group.clone(),
            resource: review.resource.clone(),
            subresource: review.subresource.clone(),
            namespace: review.namespace.clone(),
            who: WhoWrote {
                number: review.number,
                name: review.name.clone(),
                user: review.user.clone(),
            },
        }
    }
}

/// A witness process, as written in a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessName {
    /// Instance name.
    pub instance: String,
    /// Start, milliseconds since the epoch.
    pub started: i64,
}

/// Lower-case base32 of SHA-256 over the parts, each ended by a zero byte.
pub(crate) fn id(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    BASE32_NOPAD
        .encode(digest(&SHA256, &bytes).as_ref())
        .to_ascii_lowercase()
}

/// Bytes of an entry's part. Our own types have text keys only, so this cannot fail.
pub fn json<T: Serialize>(part: &T) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "structs with text keys always serialise"
    )]
    serde_json::to_vec(part).expect("a part serialises")
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
    pub fn naming(mut self, writes: Vec<MissingWrite>) -> Gap {
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
        NewEntry {
            id: self.id.clone(),
            class: Class::Gap,
            public: json(self),
            personal: self.personal(),
            exhibit: None,
        }
    }

    /// Who wrote what, if that is known.
    fn personal(&self) -> Option<Vec<u8>> {
        #[derive(Serialize)]
        struct Personal<'a> {
            writes: Vec<&'a WhoWrote>,
        }
        let writes: Vec<_> = self.writes.iter().map(|write| &write.who).collect();
        (!writes.is_empty()).then(|| json(&Personal { writes }))
    }
}

/// Something learned later about an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amendment {
    id: String,
    time: Timestamp,
    amends: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<u64>,
    /// Id of the other record, where two are of one request.
    #[serde(skip_serializing_if = "String::is_empty")]
    other: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

impl Amendment {
    /// All that was missing has come.
    #[must_use]
    pub fn gap_closed(gap: &str, now: Timestamp) -> Amendment {
        Amendment::new("gap-closed", gap, "", now)
    }

    /// It was proved that nothing is missing.
    #[must_use]
    pub fn gap_disproved(gap: &str, because: String, now: Timestamp) -> Amendment {
        let mut amendment = Amendment::gap_closed(gap, now);
        amendment.detail = because;
        amendment
    }

    /// Some of the missing numbers have come; with `closed` the last of them.
    #[must_use]
    pub fn late(gap: &str, closed: bool, mut numbers: Vec<u64>, now: Timestamp) -> Amendment {
        numbers.sort_unstable();
        let mut amendment = if closed {
            Amendment::gap_closed(gap, now)
        } else {
            Amendment::new("gap-narrowed", gap, &format!("{numbers:?}"), now)
        };
        amendment.numbers = numbers;
        amendment
    }

    /// A testimony of this record turned up in another event too.
    #[must_use]
    pub fn disputed(record: &str, now: Timestamp) -> Amendment {
        let mut amendment = Amendment::new("disputed", record, "", now);
        amendment.detail = "a testimony of this record was seen in another audit event too".into();
        amendment
    }

    /// `other` is a record of the same request, from a source that gives no common id.
    #[must_use]
    pub fn same_request(record: &str, other: &str, because: &str, now: Timestamp) -> Amendment {
        let mut amendment = Amendment::new("same-request", record, other, now);
        amendment.other = other.to_owned();
        amendment.detail = because.to_owned();
        amendment
    }

    fn new(kind: &'static str, amends: &str, discriminator: &str, now: Timestamp) -> Amendment {
        Amendment {
            id: id(&["amendment", kind, amends, discriminator]),
            time: now,
            amends: amends.to_owned(),
            kind,
            numbers: Vec::new(),
            other: String::new(),
            detail: String::new(),
        }
    }

    /// As an entry of the ledger.
    #[must_use]
    pub fn entry(&self) -> NewEntry {
        NewEntry {
            id: self.id.clone(),
            class: Class::Amendment,
            public: json(self),
            personal: None,
            exhibit: None,
        }
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
