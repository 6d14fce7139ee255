//! One denial as Krate's pages and `docket` read it: the plan's field names first, then
//! what only Docket knows. `docs/policy-denial.schema.json` is its published shape.

use super::others::{self, OthersItem};
use super::outcome::Came;
use super::read::Entry;
use super::violation::Violation;
use docket_ledger::query::Row;
use docket_record::denial::{
    Attribution, Context, Excepted, Grade, Personal, Public, TestimonyState, Verdict,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One denial. What was erased, or never known, is null.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    id: String,
    time: String,
    recorded_at: String,
    position: u64,
    verdict: Verdict,
    operation: String,
    dry_run: bool,

    policy_ref: Option<PolicyRef>,
    policy: Option<String>,
    rule: Option<String>,
    result: String,
    severity: Option<String>,
    message: Option<String>,
    resource_ref: ResourceRef,
    resource: ResourceRef,
    namespace: Option<String>,
    org: Option<String>,
    repository: Option<String>,
    environment: Option<String>,
    surface: Option<String>,
    mode: Option<String>,
    first_seen: String,
    last_seen: String,
    count: u64,
    background_scan_age: Option<u64>,
    remediation: Option<String>,
    exception_eligible: bool,
    report: Option<String>,

    actor: Option<String>,
    impersonator: Option<String>,
    code: u16,
    reason: Option<String>,
    subresource: Option<String>,
    testimony: TestimonyState,
    passes: u32,
    source: String,
    /// Of the audit event; its client may have chosen it.
    audit_id: Option<String>,
    attributions: Vec<AttributionItem>,
    /// Who denied too; null for passes.
    others: Option<OthersItem>,
    /// Of a pass: the exceptions that applied, or may have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exceptions: Vec<Excepted>,
    context: Context,
    unmasked: bool,
    notes: Vec<String>,
    amendments: Vec<Amendment>,
    /// What happened next; null: nothing that is known.
    outcome: Option<Came>,
    erased: bool,
    /// Reports are not the reader's to know of.
    #[serde(skip)]
    narrow: bool,
    /// The whole text that the client saw; only where one denial is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct PolicyRef {
    pub(super) kind: Option<String>,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceRef {
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) api_version: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct AttributionItem {
    #[serde(flatten)]
    attribution: Attribution,
    message: Option<String>,
}

impl AttributionItem {
    pub(super) fn new(attribution: Attribution, message: String) -> AttributionItem {
        AttributionItem {
            attribution,
            message: given(message),
        }
    }

    /// True if both are about one policy (and rule).
    pub(super) fn same(&self, other: &AttributionItem) -> bool {
        let (one, other) = (&self.attribution, &other.attribution);
        one.policy == other.policy
            && one.rule == other.rule
            && one.policy_kind == other.policy_kind
            && one.policy_namespace == other.policy_namespace
    }
}

/// Something learned later.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Amendment {
    kind: String,
    time: String,
    #[serde(skip_deserializing)]
    position: u64,
    /// Of `more`: how many more writes the exception applied to, or may have, in that minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// Of `evidence`: the exception that a report names.
    #[serde(skip_serializing)]
    exception: Option<Excepted>,
    /// Id of another record of the same request.
    #[serde(skip_serializing_if = "String::is_empty")]
    other: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

impl Amendment {
    fn new(row: &Row) -> Amendment {
        let read: Amendment = serde_json::from_slice(&row.public).unwrap_or_default();
        Amendment {
            position: row.position,
            ..read
        }
    }
}

/// An entry that this version can't read: its place, so that nothing seems to be missing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    id: String,
    time: String,
    recorded_at: String,
    position: u64,
    unreadable: bool,
    notes: Vec<String>,
}

/// What a reader gets for one entry.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// As it should be.
    Item(Box<Item>),
    /// Written in a form that is not known here.
    Unreadable(Unreadable),
}

impl Shown {
    /// One bad entry does not hide the others of its page. `org` is that of the path:
    /// the namespace's word, which holds where the object claims another.
    #[must_use]
    pub fn new(entry: &Entry, org: Option<&str>) -> Shown {
        match Item::new(entry) {
            Ok(item) => {
                let org = org.map(str::to_owned).or(item.org);
                Shown::Item(Box::new(Item { org, ..item }))
            }
            Err(error) => {
                let row = &entry.row;
                tracing::warn!(position = row.position, cause = %error, "unreadable entry");
                let note = "written in a form that this reporter does not know; use a newer one";
                Shown::Unreadable(Unreadable {
                    id: row.id.clone(),
                    time: time(row.time),
                    recorded_at: time(row.recorded_at),
                    position: row.position,
                    unreadable: true,
                    notes: vec![note.to_owned()],
                })
            }
        }
    }

    /// The report that speaks of the same object: it exists, by whatever way it came.
    #[must_use]
    pub fn beside(mut self, report: Option<String>) -> Shown {
        if let Shown::Item(item) = &mut self {
            item.report = report.filter(|_| !item.narrow);
        }
        self
    }

    /// As one of the violations of its object: `count` of them since `first`.
    pub(super) fn violation(self, count: u64, first: i64) -> Violation {
        match self {
            Shown::Item(item) => item.violation(count, first),
            Shown::Unreadable(Unreadable { id, time: last, .. }) => {
                Violation::unreadable(id, time(first), last, count)
            }
        }
    }

    /// Without what a list does not show.
    #[must_use]
    pub fn for_list(mut self) -> Shown {
        if let Shown::Item(item) = &mut self {
            item.text = None;
        }
        self
    }
}

impl Item {
    fn violation(self, count: u64, first: i64) -> Violation {
        let law = self
            .attributions
            .into_iter()
            .next()
            .and_then(|first| first.attribution.law);
        Violation {
            denial: Some(self.id.clone()),
            source: "denial",
            id: self.id,
            policy_ref: self.policy_ref,
            policy: self.policy,
            rule: self.rule,
            result: self.result,
            severity: self.severity,
            category: law.as_ref().map(|law| law.category.clone()).and_then(given),
            title: law.map(|law| law.title).and_then(given),
            message: self.message,
            resource: self.resource,
            resource_ref: self.resource_ref,
            namespace: self.namespace,
            org: self.org,
            repository: self.repository,
            environment: self.environment,
            surface: self.surface,
            mode: self.mode,
            first_seen: Some(time(first)),
            last_seen: Some(self.time),
            count,
            remediation: self.remediation,
            exception_eligible: self.exception_eligible,
            report: self.report,
            ..Violation::default()
        }
    }

    /// From the stored parts.
    fn new(entry: &Entry) -> serde_json::Result<Item> {
        let row = &entry.row;
        let public: Public = serde_json::from_slice(&row.public)?;
        let personal: Option<Personal> = row
            .personal
            .as_deref()
            .map(serde_json::from_slice)
            .transpose()?;
        let others = others::of(&public, entry);
        let mut item = Item::from_parts(row, public, personal);
        item.others = others;
        item.narrow = entry.narrow;
        item.outcome = entry
            .outcome
            .as_ref()
            .and_then(|outcome| Came::new(outcome, row.time));
        item.amendments = entry.amendments.iter().map(Amendment::new).collect();
        for named in item
            .amendments
            .iter()
            .filter_map(|one| one.exception.as_ref())
        {
            raise(&mut item.exceptions, named);
        }
        for row in &entry.amendments {
            item.in_doubt(row);
        }
        if item
            .amendments
            .iter()
            .any(|amendment| amendment.kind == "disputed")
        {
            item.testimony = TestimonyState::Disputed;
        }
        Ok(item)
    }

    /// A policy was found to have changed at that time, after the record was written.
    fn in_doubt(&mut self, row: &Row) {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Doubt {
            kind: String,
            laws: Vec<String>,
            policy: String,
            detail: String,
        }
        let doubt: Doubt = serde_json::from_slice(&row.public).unwrap_or_default();
        if doubt.kind != "law-in-doubt" {
            return;
        }
        let of_it = self.attributions.iter_mut().filter(|one| {
            let exact = one.attribution.grade == Some(Grade::Exact);
            exact && one.attribution.policy.as_ref() == Some(&doubt.policy)
        });
        for one in of_it {
            one.attribution.grade = Some(Grade::Ambiguous);
            one.attribution.doubt.clone_from(&doubt.detail);
            one.attribution.laws.extend(doubt.laws.clone());
        }
    }

    fn from_parts(row: &Row, public: Public, personal: Option<Personal>) -> Item {
        let first = public.attributions.first();
        let law = first.and_then(|attribution| attribution.law.as_ref());
        let name = personal
            .as_ref()
            .map(|personal| personal.name.clone())
            .and_then(given);
        let namespace = given(public.namespace.clone());
        let api_version = match public.group.as_str() {
            "" => public.version.clone(),
            group => format!("{group}/{}", public.version),
        };
        let resource = ResourceRef {
            kind: public.kind.clone(),
            name,
            namespace: namespace.clone(),
            api_version,
        };
        let messages = personal
            .as_ref()
            .map(|personal| personal.messages.as_slice());
        let message = |at: usize| messages?.get(at).cloned().and_then(given);
        let text = personal
            .as_ref()
            .map(|personal| personal.text.clone())
            .and_then(given);
        let (count, first_time, last_time) = row.series.unwrap_or((1, row.time, row.time));
        let context = public.context.clone();
        Item {
            policy_ref: first.and_then(policy_ref),
            policy: first.and_then(|attribution| attribution.policy.clone()),
            rule: first.and_then(|attribution| attribution.rule.clone()),
            result: first.map_or_else(
                || "error".to_owned(),
                |attribution| attribution.result.clone(),
            ),
            severity: law.map(|law| law.severity.clone()).and_then(given),
            message: message(0).or_else(|| text.clone()),
            remediation: law.map(|law| law.remediation.clone()).and_then(given),
            // What denied was enforced, whatever the policy's annotation says.
            mode: match public.verdict {
                Verdict::Denied => Some("enforce".to_owned()),
                _ => law.map(|law| law.mode.clone()).and_then(given),
            },
            // What could not be asked, or let pass, asks for no exception.
            exception_eligible: public.verdict == Verdict::Denied
                && law.is_some_and(|law| law.exception_eligible),
            attributions: (0..)
                .zip(&public.attributions)
                .map(|(at, attribution)| AttributionItem {
                    attribution: attribution.clone(),
                    message: message(at),
                })
                .collect(),
            others: None,
            exceptions: public.exceptions.clone(),
            actor: personal
                .as_ref()
                .map(|personal| personal.actor.username.clone())
                .and_then(given),
            audit_id: personal
                .as_ref()
                .and_then(|personal| personal.event["auditID"].as_str())
                .map(str::to_owned)
                .and_then(given),
            impersonator: personal
                .as_ref()
                .and_then(|personal| personal.impersonator.as_ref())
                .map(|user| user.username.clone()),
            resource_ref: resource.clone(),
            resource,
            namespace,
            org: given(context.org.clone()),
            repository: given(context.repository.clone()),
            environment: given(context.environment.clone()),
            surface: given(context.surface.clone()),
            first_seen: time(first_time),
            last_seen: time(last_time),
            count,
            background_scan_age: None,
            report: None,
            id: public.id,
            time: public.time,
            recorded_at: time(row.recorded_at),
            position: row.position,
            verdict: public.verdict,
            operation: public.operation,
            dry_run: public.dry_run,
            code: public.code,
            reason: given(public.reason),
            subresource: given(public.subresource),
            testimony: public.testimony,
            passes: public.passes,
            source: public.source,
            context,
            unmasked: public.unmasked,
            notes: public.notes,
            amendments: Vec::new(),
            outcome: None,
            erased: personal.is_none(),
            narrow: false,
            text,
        }
    }
}

/// A report names the exception, perhaps without its namespace.
fn raise(exceptions: &mut [Excepted], named: &Excepted) {
    let same = |one: &&mut Excepted| {
        one.name == named.name
            && one.policy == named.policy
            && (named.namespace.is_empty() || one.namespace == named.namespace)
    };
    for one in exceptions.iter_mut().filter(same) {
        one.evidence = named.evidence;
    }
}

/// Empty means not known.
pub(super) fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn policy_ref(attribution: &Attribution) -> Option<PolicyRef> {
    Some(PolicyRef {
        name: attribution.policy.clone()?,
        kind: attribution.policy_kind.clone(),
        namespace: attribution.policy_namespace.clone(),
    })
}

/// Microseconds as RFC 3339, always with six digits.
pub(super) fn time(microseconds: i64) -> String {
    let time = Timestamp::from_microsecond(microseconds).unwrap_or_default();
    format!("{time:.6}")
}
