//! One denial, as GET /api/policy-denials gives it.

use crate::outcome::Outcome;
use docket_record::denial::{Attribution, Context, Excepted, TestimonyState, Verdict};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Names are those of Krate's policy pages. Null: not known, withheld, or erased.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(deny_unknown_fields)]
pub struct Denial {
    /// Unique for ever; SHA-256 over the audit event, base32.
    #[schemars(length(min = 1))]
    pub id: String,
    /// When the API server answered (RFC 3339).
    pub time: String,
    /// When the ledger took it (RFC 3339).
    pub recorded_at: String,
    /// Place in the ledger's tree.
    pub position: u64,
    /// denied; unavailable: a hook that must be asked could not be; unknown: the outcome or
    /// its text was not seen. Of admitted writes: failedOpen, excepted.
    pub verdict: Verdict,
    /// CREATE, UPDATE, DELETE or CONNECT.
    pub operation: String,
    /// The request would have changed nothing.
    pub dry_run: bool,

    /// The policy of the first attribution.
    pub policy_ref: Option<PolicyRef>,
    /// Its name once more, for tables.
    pub policy: Option<String>,
    /// CEL policies have no rules.
    pub rule: Option<String>,
    /// skip: an exception decided, or may have.
    #[schemars(extend("enum" = ["fail", "error", "skip"]))]
    pub result: String,
    /// As the policy states it.
    pub severity: Option<String>,
    /// What the policy says is wrong.
    pub message: Option<String>,
    /// The object that the request was about.
    pub resource_ref: ResourceRef,
    /// The same, under the name that Krate's report pages read.
    pub resource: ResourceRef,
    /// Null: cluster-scoped.
    pub namespace: Option<String>,
    /// Under /api/orgs/{org}: that org. Else see context.claimed.
    pub org: Option<String>,
    /// The repository that the request was about.
    pub repository: Option<String>,
    /// The environment that it was about.
    pub environment: Option<String>,
    /// The surface that it came through.
    pub surface: Option<String>,
    /// audit or enforce, as the policy stood then.
    pub mode: Option<String>,
    /// First denial of the series: same namespace, policy, rule, kind, operation, repository.
    pub first_seen: String,
    /// Last denial of the series.
    pub last_seen: String,
    /// Denials of the series.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Always null: a denied request leaves no report.
    #[schemars(with = "Option<i64>")]
    pub background_scan_age: Option<u64>,
    /// What the policy says should be done.
    pub remediation: Option<String>,
    /// Denied, and a PolicyException can name the policy of the first attribution; false
    /// where its law was not known.
    pub exception_eligible: bool,
    /// Name of the policy report about the same object, which then exists.
    pub report: Option<String>,

    /// User name; the impersonated one, if there was one.
    pub actor: Option<String>,
    /// Who impersonated the actor.
    pub impersonator: Option<String>,
    /// HTTP status that the client got.
    #[schemars(with = "i32")]
    pub code: u16,
    /// The reason in the API server's answer.
    pub reason: Option<String>,
    /// Of the object, such as status or exec.
    pub subresource: Option<String>,
    /// What the witness swore: verified; missing: no testimony came; invalid: it does not
    /// hold and is ignored; disputed: it disagrees; notExpected: the kind has no hook.
    pub testimony: TestimonyState,
    /// How many passes of admission the testimonies show.
    pub passes: u32,
    /// Which source brought the audit event.
    pub source: String,
    /// Audit-ID of the request, as the client got it in the answer's header. Clients may
    /// choose it: it is no key.
    pub audit_id: Option<String>,
    /// Whom the denial is owed to, by the text of the answer.
    pub attributions: Vec<AttributionWithMessage>,
    /// Who denied too and lost the race to answer, by Kyverno's Events. Null for what is no
    /// denial.
    pub others: Option<OtherDeniers>,
    /// Of an excepted write. Nothing is said of what the policy would have done without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Excepted>,
    /// What the object and its place say of Krate's side.
    pub context: Context,
    /// True: text and messages stand as they came and may repeat secret values of the object.
    pub unmasked: bool,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// What was learned later, oldest first.
    pub amendments: Vec<Amendment>,
    /// What happened next: the admitted write that answered this denial. Null: none is known.
    pub outcome: Option<Outcome>,
    /// Names and messages were deleted from the ledger.
    pub erased: bool,
    /// The whole text that the client saw; only from /{id}.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub text: Option<String>,
}

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct PolicyRef {
    /// Its kind.
    pub kind: Option<String>,
    /// Its name.
    pub name: String,
    /// Its namespace; null for cluster-scoped kinds.
    pub namespace: Option<String>,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "Resource", deny_unknown_fields)]
pub struct ResourceRef {
    /// Its kind.
    pub kind: String,
    /// Its name; null: not known, or erased.
    pub name: Option<String>,
    /// Its namespace; null for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its group and version.
    pub api_version: String,
}

/// One reading of who denied, and by which policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Attribution", deny_unknown_fields)]
pub struct AttributionWithMessage {
    /// As recorded.
    #[serde(flatten)]
    pub attribution: Attribution,
    /// What it says is wrong.
    pub message: Option<String>,
}

impl AttributionWithMessage {
    /// True if both are about one policy (and rule).
    #[must_use]
    pub fn is_about_the_policy_of(&self, other: &AttributionWithMessage) -> bool {
        let (one, other) = (&self.attribution, &other.attribution);
        one.policy == other.policy
            && one.rule == other.rule
            && one.policy_kind == other.policy_kind
            && one.policy_namespace == other.policy_namespace
    }
}

/// Deniers that the refusal's own text does not name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct OtherDeniers {
    /// pending: still waited for; none-seen: no one; seen: others, listed; not-known: see
    /// why.
    pub state: OthersState,
    /// The others.
    pub attributions: Vec<AttributionWithMessage>,
    /// Why it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
}

/// Whether it is known who denied too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum OthersState {
    /// Still waited for.
    Pending,
    /// No one.
    NoneSeen,
    /// Others, listed.
    Seen,
    /// It can't be known.
    NotKnown,
}

/// Something learned later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline, deny_unknown_fields)]
pub struct Amendment {
    /// What it is about.
    pub kind: String,
    /// When it was learned (RFC 3339).
    pub time: String,
    /// Place in the ledger's tree.
    pub position: u64,
    /// Of `more`: further writes in that minute to which the exception applied, or may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub count: Option<u64>,
    /// same-request: id of the other record of this request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub other: String,
    /// How it is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// An entry that this version can't read: its place, so that nothing seems to be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct UnreadableDenial {
    /// Unique for ever.
    pub id: String,
    /// When the API server answered (RFC 3339).
    pub time: String,
    /// When the ledger took it (RFC 3339).
    pub recorded_at: String,
    /// Place in the ledger's tree.
    pub position: u64,
    /// True: the entry has a form that this reporter does not know; only its place is given.
    pub unreadable: bool,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What a reader gets for one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DenialItem {
    /// Written in a form that is not known. First, as it alone has the member `unreadable`.
    Unreadable(UnreadableDenial),
    /// As it should be.
    Denial(Box<Denial>),
}

impl DenialItem {
    /// Without what a list does not show.
    #[must_use]
    pub fn for_list(mut self) -> DenialItem {
        if let DenialItem::Denial(denial) = &mut self {
            denial.text = None;
        }
        self
    }
}

/// One object: the members of both, of which those are required that both have.
impl JsonSchema for DenialItem {
    fn schema_name() -> Cow<'static, str> {
        "Denial".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Denial::json_schema(generator);
        let other = UnreadableDenial::json_schema(generator);
        let required = |schema: &Schema| schema.get("required").cloned().unwrap_or_default();
        let theirs = required(&other);
        let theirs = theirs.as_array().map_or(&[][..], Vec::as_slice);
        if let Some(ours) = schema
            .get_mut("required")
            .and_then(|all| all.as_array_mut())
        {
            ours.retain(|name| theirs.contains(name));
        }
        if let Some(ours) = schema
            .get_mut("properties")
            .and_then(|all| all.as_object_mut())
            && let Some(theirs) = other.get("properties").and_then(|all| all.as_object())
        {
            for (name, member) in theirs {
                ours.entry(name).or_insert_with(|| member.clone());
            }
        }
        schema
    }
}
