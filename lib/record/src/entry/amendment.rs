//! Amendments: what was learned later about another entry.

use super::denial::{Attribution, Evidence, Excepted};
use super::open_enum::named_enum;
use super::{OpenEnum, User, bytes};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

named_enum! {
    /// What an amendment is about, and which members say it.
    pub enum AmendmentKind {
        /// Of a gap: all that was missing has come (`numbers`: those that came last), or it was
        /// proved that nothing is missing (`detail`).
        GapClosed = "gap-closed",
        /// Of a gap: some of the missing `numbers` have come.
        GapNarrowed = "gap-narrowed",
        /// A testimony of this record was seen in another audit event too (`detail`).
        Disputed = "disputed",
        /// `other` is a record of the same request (`detail`: how that is known).
        SameRequest = "same-request",
        /// A policy denied too: `attribution`, `unmasked`, `event`, `event_time`. Of several
        /// about one policy the last counts. The personal part has the `message`.
        OtherDenier = "other-denier",
        /// Whether others denied this one (`state`).
        Others = "others",
        /// The same of all denials up to this one that have no word of their own.
        OthersThrough = "others-through",
        /// A report names the `exception` that let a write through: `evidence`, `report`,
        /// `report_kind`, `report_time`, `background`.
        Evidence = "evidence",
        /// Of a pass: how many more writes (`count`) the exception applied to, or may have, in
        /// that minute.
        More = "more",
        /// Of a law: what Kyverno made of the policy for controllers ([`super::law::Autogen`]).
        LawAutogen = "law-autogen",
        /// Of a law: a write that may have made the version: `event`, `verb`, `written_at`,
        /// `perhaps`. The personal part has the `actor`.
        LawChangedBy = "law-changed-by",
        /// Another version of the `policy` (`laws`) may have been in force (`detail`).
        LawInDoubt = "law-in-doubt",
    }
}

named_enum! {
    /// Whether there were deniers that a refusal's own text does not name.
    pub enum OthersState {
        /// All Events came, and none names another.
        NoneSeen = "none-seen",
        /// Amendments name them.
        Seen = "seen",
        /// It can't be known.
        NotKnown = "not-known",
    }
}

/// The public part. [`AmendmentKind`] says which members belong to which kind; the others
/// are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Public {
    /// Unique for ever.
    pub id: String,
    /// When it was learned; RFC 3339.
    pub time: String,
    /// Id of the entry that it is about.
    pub amends: String,
    /// What it is about.
    pub kind: OpenEnum<AmendmentKind>,
    /// Numbers of testimonies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<u64>,
    /// Id of the other record, where two are of one request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub other: String,
    /// A sentence more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Who denied too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// The message stands as Kyverno's Event has it, and may repeat secret values of the
    /// object: no witness was asked about it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unmasked: bool,
    /// Namespace and name of Kyverno's Event; or the id of a write's audit event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// When Kyverno took the Event's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Timestamp>,
    /// Whether there were other deniers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<OpenEnum<OthersState>>,
    /// What says that the exception applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The exception that a report names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<Excepted>,
    /// Name of the report.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub report: String,
    /// Its kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub report_kind: String,
    /// When it judged the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_time: Option<Timestamp>,
    /// True if a background scan judged, false if an admission review did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// How many more there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Ids of law entries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<String>,
    /// Name of the policy whose attributions are in doubt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// Audit verb of the write.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// When the write was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Timestamp>,
    /// Only if the clocks of reporter and API server differ.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub perhaps: bool,
}

/// The personal part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personal {
    /// Who wrote the law.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<User>,
    /// What the other denier said; it may echo the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Public {
    /// An amendment of this kind, with nothing more said yet.
    #[must_use]
    pub fn new(kind: AmendmentKind, id: String, amends: &str, time: Timestamp) -> Public {
        Public {
            id,
            time: time.to_string(),
            amends: amends.to_owned(),
            kind: kind.into(),
            ..Public::default()
        }
    }

    /// What can be read of it; nothing if its members have other types.
    #[must_use]
    pub fn read(public: &[u8]) -> Public {
        serde_json::from_slice(public).unwrap_or_default()
    }

    /// As they are recorded: those of laws were first written with their members sorted.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self.kind.known() {
            Some(AmendmentKind::LawChangedBy | AmendmentKind::LawInDoubt) => sorted(self),
            _ => bytes(self),
        }
    }
}

impl Personal {
    /// What can be read of it.
    #[must_use]
    pub fn read(personal: Option<&[u8]>) -> Personal {
        let read = personal.and_then(|bytes| serde_json::from_slice(bytes).ok());
        read.unwrap_or_default()
    }

    /// As they are recorded: with all members sorted.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        sorted(self)
    }
}

fn sorted<T: Serialize>(part: &T) -> Vec<u8> {
    // Of a `Value` the members stand in the order of their names.
    bytes(&serde_json::to_value(part).unwrap_or(Value::Null))
}
