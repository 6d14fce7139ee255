//! The record of one refused request: what the ledger keeps of it, in two parts.

mod echoes;

use crate::audit::{AuditEvent, User};
use data_encoding::Encoding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// SHA-256 over cluster, auditID, both timestamps, requestURI and user of the audit
/// event: the same event has the same id by whatever way it arrives. Written as
/// lower-case base32 without padding (52 characters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DenialId(pub [u8; 32]);

/// RFC 4648 base32, lower case, without padding.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut form = data_encoding::Specification::new();
    form.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    #[expect(clippy::unwrap_used, reason = "a fixed alphabet of 32 letters")]
    form.encoding().unwrap()
});

/// A text that is no denial id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a denial id is 52 characters of a-z and 2-7")]
pub struct DenialIdError;

impl DenialId {
    /// The id of an event. Each part goes in with its length before it; what a client can
    /// make long goes in by its hash, so the id does not depend on where Docket cuts.
    ///
    /// An event that was put together from less ([`AuditEvent::derived`]) has an id of its
    /// own kind, which no raw event can have.
    pub fn of(event: &AuditEvent, cluster: &str) -> DenialId {
        if let Some(derived) = &event.derived {
            let parts: [&[u8]; 4] = [
                b"docket derived 1",
                cluster.as_bytes(),
                derived.shape.as_bytes(),
                &derived.key,
            ];
            return DenialId::over(&parts);
        }
        let audit_id = event.audit_id.sha256();
        let request_uri = event.request_uri.sha256();
        let parts: [&[u8]; 7] = [
            b"docket denial 1",
            cluster.as_bytes(),
            &audit_id,
            event.request_received.as_bytes(),
            event.stage_timestamp.as_bytes(),
            &request_uri,
            event.user.username.as_bytes(),
        ];
        DenialId::over(&parts)
    }

    fn over(parts: &[&[u8]]) -> DenialId {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut id = [0; 32];
        id.copy_from_slice(context.finish().as_ref());
        DenialId(id)
    }
}

impl fmt::Display for DenialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32.encode(&self.0))
    }
}

impl FromStr for DenialId {
    type Err = DenialIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE32.decode(text.as_bytes()).map_err(|_| DenialIdError)?;
        bytes.try_into().map(DenialId).map_err(|_| DenialIdError)
    }
}

/// What the API server's final status says of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// An enforcer said no.
    Denied,
    /// A fail-closed call to an enforcer failed.
    Unavailable,
    /// 504, or a text withheld: the outcome or the denier can't be known.
    Unknown,
    /// Admitted although an enforcer's hook was skipped because it failed (a pass).
    FailedOpen,
    /// Admitted, and an exception applied, or may have (a pass). No word on what the policy
    /// would have said without it.
    Excepted,
}

impl Verdict {
    /// True for what was admitted.
    pub fn is_pass(self) -> bool {
        matches!(self, Verdict::FailedOpen | Verdict::Excepted)
    }
}

/// What says that an exception applied to a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// The weaker: the exception was in force, and names a policy that covers the resource
    /// in that namespace. Whether its conditions held is not known.
    #[default]
    Law,
    /// The enforcer's own report says that the exception decided.
    Report,
}

/// An exception and the policy that it took out of the way, or may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Excepted {
    /// Namespace of the exception; empty where only its name is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// metadata.name of the exception.
    pub name: String,
    /// Kind of the policy; empty where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy_kind: String,
    /// For namespaced policies.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy_namespace: String,
    /// metadata.name of the policy.
    pub policy: String,
    /// Rules of it, where the exception names some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// What says so.
    pub evidence: Evidence,
    /// Ids of the `law` entries of the exception that may have been in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<String>,
}

/// How sure an attribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// One reading of the text, and the law of that moment agrees.
    Exact,
    /// Anything less.
    Ambiguous,
}

/// What a denial is owed to. Never holds the message (that is personal).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attribution {
    /// `kyverno`, `ValidatingAdmissionPolicy`, `MutatingAdmissionPolicy`, `webhook`,
    /// `kube-apiserver`, `unrecognised`.
    pub enforcer: String,
    /// The hook's name, where a webhook answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// `ValidatingPolicy`, `ClusterPolicy`, …; absent where the text does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_kind: Option<String>,
    /// For namespaced policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_namespace: Option<String>,
    /// metadata.name of the policy, or the name of the in-tree plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Binding of a VAP or MAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// Legacy rule name. CEL policies have no rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// `fail` or `error`.
    pub result: String,
    /// How sure.
    pub grade: Option<Grade>,
    /// Why it is not exact; empty for exact ones.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doubt: String,
    /// Where it was read: `responseStatus`.
    pub source: String,
    /// Ids of the `law` entries that may have been in force: one where that is certain,
    /// none where the policy was not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<String>,
    /// The same of the binding that the text names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binding_laws: Vec<String>,
    /// What the law of that moment said of the policy, if it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub law: Option<Law>,
}

/// What a policy says about itself (annotations `policies.kyverno.io/*`, labels), as it
/// stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Law {
    /// `low`, `medium`, `high`, `critical`, `info`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// `policies.kyverno.io/category`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// `policies.kyverno.io/title`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// `policies.kyverno.io/subject`: the kinds it is about, in its author's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// `policies.kyverno.io/remediation`, else the description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remediation: String,
    /// `enforce` or `audit`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Labels and annotations that name a compliance framework, standard or control, by
    /// their keys; at most 16.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub compliance: BTreeMap<String, String>,
    /// True if a PolicyException can name a policy of this kind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exception_eligible: bool,
}

/// Krate's terms for the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Context {
    /// Org slug.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub org: String,
    /// Repository name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// PullRequest name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pull_request: String,
    /// Pipeline or Job name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// Deployment environment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub environment: String,
    /// `repo`, `pr`, `run`, `runner`, `deployment`, `hook`, `identity`, `policy`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub surface: String,
    /// True where org or repository are only the denied object's own word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
}

/// What became of our own testimony about the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TestimonyState {
    /// A valid testimony agrees with the event.
    Verified,
    /// Our hook was not called, failed open, or its annotation was lost.
    #[default]
    Missing,
    /// One was there, but its MAC or its facts do not hold; ignored.
    Invalid,
    /// A valid one was seen in another event too, or disagrees with the event.
    Disputed,
    /// The kind has no hook (pods, Kyverno's own objects): none is expected.
    NotExpected,
}

/// The part without names of persons or things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Public {
    /// [`DenialId`] as text.
    pub id: String,
    /// Stage timestamp, as carried.
    pub time: String,
    /// What happened.
    pub verdict: Verdict,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub operation: String,
    /// Audit verb.
    pub verb: String,
    /// True if the request was a dry run.
    pub dry_run: bool,
    /// API group, version, plural, subresource of the request.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural resource.
    pub resource: String,
    /// Subresource or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Kind by the known table, else the plural.
    pub kind: String,
    /// Empty for cluster-scoped.
    #[serde(default)]
    pub namespace: String,
    /// HTTP code the client got.
    pub code: u16,
    /// Status reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// All readings of who denied; at least one for denied and unavailable.
    pub attributions: Vec<Attribution>,
    /// Of an excepted write: the exceptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Excepted>,
    /// Krate's terms.
    pub context: Context,
    /// Our testimony.
    pub testimony: TestimonyState,
    /// How many passes of admission the testimonies show.
    pub passes: u32,
    /// Name of the source that brought the event.
    pub source: String,
    /// The export it was put together from, where no raw event was at hand.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub derived: String,
    /// True if the texts of the record stand as they came, and may repeat secret values of
    /// the object: no witness gave what to mask them by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmasked: bool,
    /// What a reader should know (`one of a collection, which one is not known`, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The part that names persons and things; can be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Personal {
    /// Object name (for generateName: the name of the last final testimony).
    #[serde(default)]
    pub name: String,
    /// True if the name was generated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated_name: bool,
    /// uid of the existing object (update, delete), if known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object_uid: String,
    /// Who acted: impersonated user, else user.
    pub actor: User,
    /// Who impersonated, if anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impersonator: Option<User>,
    /// As reported by the API server.
    #[serde(default)]
    pub source_ips: Vec<String>,
    /// Client program.
    #[serde(default)]
    pub user_agent: String,
    /// The whole text the client saw (cut); empty where withheld.
    #[serde(default)]
    pub text: String,
    /// One message for each attribution, in their order.
    #[serde(default)]
    pub messages: Vec<String>,
    /// The audit event as kept: filtered, cut.
    pub event: serde_json::Value,
    /// Who imported it; empty where the API server itself brought it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub importer: String,
}

/// One record, before it has a place in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: DenialId,
    /// Names no one.
    pub public: Public,
    /// Names persons and things.
    pub personal: Personal,
    /// The redacted object, as it is committed; `None` where no witness gave it.
    pub exhibit: Option<Vec<u8>>,
}
