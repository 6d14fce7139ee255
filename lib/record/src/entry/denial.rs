//! Denials and passes: what the ledger keeps of one request, in two parts.

mod echoes;

use super::User;
use super::id::{base32, from_base32};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// SHA-256 over cluster, auditID, both timestamps, requestURI and user of the audit
/// event: the same event has the same id by whatever way it arrives. Written as
/// lower-case base32 without padding (52 characters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DenialId(pub [u8; 32]);

/// A text that is no denial id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a denial id is 52 characters of a-z and 2-7")]
pub struct DenialIdError;

impl DenialId {
    /// SHA-256 over the parts, each after its length in 8 bytes.
    pub(crate) fn over(parts: &[&[u8]]) -> DenialId {
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
        f.write_str(&base32(&self.0))
    }
}

impl FromStr for DenialId {
    type Err = DenialIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = from_base32(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(DenialId).ok_or(DenialIdError)
    }
}

/// What the API server's final status says of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Verdict {
    /// An enforcer said no.
    Denied,
    /// A fail-closed call to an enforcer failed.
    Unavailable,
    /// 504, or a text withheld: the outcome or the denier can't be known.
    #[default]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Evidence {
    /// The weaker: the exception was in force, and names a policy that covers the resource
    /// in that namespace. Whether its conditions held is not known.
    #[default]
    Law,
    /// The enforcer's own report says that the exception decided.
    Report,
}

/// An exception and the policy that it took out of the way, or may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline, deny_unknown_fields)]
pub struct Excepted {
    /// Its namespace; empty where only its name is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Kind of the policy that it excepts from; empty where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy_kind: String,
    /// Namespace of that policy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy_namespace: String,
    /// Name of that policy.
    pub policy: String,
    /// Rules that it excepts from; none: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// report: the enforcer's report says so. law, weaker: it was in force and names a policy
    /// that covers the resource there.
    pub evidence: Evidence,
    /// Entries of the exception's versions that may have been in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<String>,
}

/// How sure an attribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Grade {
    /// One reading of the text, and the law of that moment agrees.
    Exact,
    /// Anything less.
    Ambiguous,
}

/// What a denial is owed to. Never holds the message (that is personal).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline, deny_unknown_fields)]
pub struct Attribution {
    /// kyverno, ValidatingAdmissionPolicy, MutatingAdmissionPolicy, webhook, kube-apiserver or
    /// unrecognised.
    pub enforcer: String,
    /// Name of the webhook, where one answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Kind of the policy, such as ClusterPolicy; absent where the text does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_kind: Option<String>,
    /// Namespace of the policy, for namespaced ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_namespace: Option<String>,
    /// Name of the policy, or of the in-tree plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Name of the binding, of an admission policy of Kubernetes itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// Name of the rule. CEL policies have no rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// fail, error or skip.
    pub result: String,
    /// exact: the text has one reading and the law of that moment agrees. Else ambiguous.
    pub grade: Option<Grade>,
    /// Why it is not exact; empty for exact ones.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doubt: String,
    /// Where this is known from.
    pub source: String,
    /// Entries of the policy's versions that may have been in force: one where that is
    /// certain, none where the policy was not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<String>,
    /// The same of its binding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binding_laws: Vec<String>,
    /// What the policy said of itself at that moment, if it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub law: Option<Law>,
}

/// What a policy says about itself (annotations `policies.kyverno.io/*`, labels), as it
/// stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline, deny_unknown_fields)]
pub struct Law {
    /// As its author states it: low, medium, high, critical, info.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// As its author states it: policies.kyverno.io/category.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// As its author states it: policies.kyverno.io/title.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The kinds it is about, in its author's words: policies.kyverno.io/subject.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// policies.kyverno.io/remediation, else the description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remediation: String,
    /// audit or enforce.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Labels and annotations that name a framework, standard or control; texts by key, at
    /// most 16.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub compliance: BTreeMap<String, String>,
    /// True if a PolicyException can name a policy of this kind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exception_eligible: bool,
}

/// Krate's terms for the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline, deny_unknown_fields)]
pub struct Context {
    /// The org.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub org: String,
    /// The repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// The pull request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pull_request: String,
    /// The run: name of a Pipeline or Job.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The environment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub environment: String,
    /// The surface: repo, pr, run, runner, deployment, hook, identity or policy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub surface: String,
    /// Org or repository are only the denied object's own word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
}

/// What became of our own testimony about the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
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

impl Personal {
    /// `auditID` of the event as kept; `None` if it is not known or was cut.
    #[must_use]
    pub fn audit_id(&self) -> Option<&str> {
        self.event["auditID"].as_str()
    }

    /// When the API server received the request, as carried.
    #[must_use]
    pub fn request_received(&self) -> Option<&str> {
        self.event["requestReceivedTimestamp"].as_str()
    }

    /// Annotations of the event, by key.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.event["annotations"].as_object().into_iter().flatten();
        all.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    }
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
