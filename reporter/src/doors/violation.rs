//! One violation, from a report: an object stands that a policy objects to. Those that were
//! denied are made of their denials ([`item`](super::item)).

use super::item::{given, time};
use super::read::{Reported, word};
use docket_model::{PolicyRef, ResourceRef, Violation, ViolationSource};
use docket_record::denial::Context;
use docket_record::examine::Config;
use docket_record::krate;
use docket_record::report::Subject;
use jiff::{SignedDuration, Timestamp};

/// A report tells its time to the second.
const REPORT_TIME: SignedDuration = SignedDuration::from_secs(1);

/// From a report, as things stand `now`.
pub(super) fn reported(reported: &Reported, names: &Config, now: Timestamp) -> Violation {
    let Reported {
        id,
        violation,
        policy,
        law_time: _,
        write,
        denial,
    } = reported;
    let (report, result) = (&violation.kept.report, violation.result());
    let subject = result.subject.clone().unwrap_or_default();
    let law = policy.as_ref().map(|policy| policy.law.clone());
    let law = law.unwrap_or_default();
    let context = match write {
        Some(write) => write.context.clone(),
        None => context(names, &subject),
    };
    let resource = ResourceRef {
        kind: subject.kind,
        name: given(subject.name),
        namespace: given(subject.namespace),
        api_version: subject.api_version,
    };
    let age = result.time.map(|time| seconds(now, time));
    let first_seen = violation.first_seen().or(result.time);
    Violation {
        id: id.clone(),
        source: ViolationSource::Report,
        policy_ref: given(result.policy.clone()).map(|name| PolicyRef {
            kind: policy.as_ref().map(|policy| policy.kind.clone()),
            name,
            namespace: given(result.policy_namespace.clone()),
        }),
        policy: given(result.policy.clone()),
        rule: given(result.rule.clone()),
        result: word(result.judged).to_owned(),
        severity: given(result.severity.clone()).or_else(|| given(law.severity)),
        category: given(result.category.clone()).or_else(|| given(law.category)),
        title: given(law.title),
        message: given(result.message.clone()),
        resource_ref: resource.clone(),
        resource,
        namespace: given(report.namespace.clone()),
        org: given(context.org),
        repository: given(context.repository),
        environment: given(context.environment),
        surface: given(context.surface),
        mode: given(law.mode),
        first_seen: first_seen.map(|at| time(at.as_microsecond())),
        last_seen: result.time.map(|at| time(at.as_microsecond())),
        count: 1,
        age,
        background_scan_age: age.filter(|_| result.background == Some(true)),
        stale: stale(reported).map(str::to_owned),
        remediation: given(law.remediation),
        exception_eligible: law.exception_eligible,
        report: Some(report.name.clone()),
        report_kind: Some(report.kind.clone()),
        denial: denial.clone(),
    }
}

/// Why the result may not hold any more, if something newer than it is known.
fn stale(reported: &Reported) -> Option<&'static str> {
    let judged = reported.violation.result().time?;
    let after = judged.checked_add(REPORT_TIME).ok()?;
    let write = reported.write.as_ref();
    if write.is_some_and(|write| write.time >= after) {
        return Some("the object was written later");
    }
    let law = reported.law_time?;
    (law >= after.as_microsecond()).then_some("the policy was changed later")
}

/// Krate's terms, as far as kind, namespace and name tell them.
fn context(names: &Config, subject: &Subject) -> Context {
    let resource = krate::plural(&subject.kind);
    let (group, namespace) = (subject.group(), &subject.namespace);
    krate::context_without_object(names, group, &resource, namespace, &subject.name)
}

fn seconds(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(now.duration_since(then).as_secs()).unwrap_or(0)
}
