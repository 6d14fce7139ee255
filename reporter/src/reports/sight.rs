//! What reports say of exceptions, as the intake takes it.

use super::table::Kept;
use crate::intake::{Sighting, by_report};
use crate::law::Laws;
use docket_record::attribution::cite_in_force;
use docket_record::audit::Glance;
use docket_record::denial::{Attribution, Evidence, Excepted};
use docket_record::examine::Config;
use docket_record::excepted::names;
use docket_record::krate;
use docket_record::policies::{Policy, PolicyList};
use docket_record::report::{Report, ReportResult, Subject};
use docket_record::verdict::governed;
use jiff::Timestamp;
use std::sync::Arc;

/// Results of governed objects that owe themselves to an exception, each by the law of the
/// time at which the object was judged. A report names only the exception's name; its
/// namespace and law are those of the one that names the policy. May read the ledger, for
/// laws of days long past.
pub(super) fn sightings(reports: &[Arc<Kept>], laws: &Laws, config: &Config) -> Vec<Sighting> {
    let results = reports.iter().flat_map(|kept| {
        let report = &kept.report;
        report.results.iter().map(move |result| (report, result))
    });
    let mut found: Vec<(Timestamp, &Report, &ReportResult, &Subject)> = results
        .filter(|(_, result)| result.is_excepted())
        .filter_map(|(report, result)| {
            let subject = result.subject.as_ref()?;
            is_governed(subject, config).then_some((result.time?, report, result, subject))
        })
        .collect();
    // What is read of the ledger serves all of about the same time.
    found.sort_by_key(|(time, ..)| *time);
    let sighting = |(time, report, result, subject): (_, &Report, &ReportResult, &Subject)| {
        let list = laws.at(time);
        let policies = list.policies.iter().filter(|policy| result.is_of(policy));
        let policies: Vec<&Policy> = policies.collect();
        Sighting {
            subject: subject.clone(),
            time,
            background: result.background,
            report: (report.kind.clone(), report.name.clone()),
            attribution: attribution(result, &policies, &list),
            exceptions: exceptions(result, policies.first().copied(), &list),
        }
    };
    found.into_iter().map(sighting).collect()
}

/// Docket answers for writes to governed objects, and so for these.
fn is_governed(subject: &Subject, config: &Config) -> bool {
    let resource = krate::plural(&subject.kind);
    let glance = Glance {
        stage: "ResponseComplete".into(),
        verb: "update".into(),
        group: subject.group().into(),
        resource: resource.into(),
        subresource: "".into(),
        namespace: subject.namespace.as_str().into(),
    };
    governed(&glance, config)
}

/// By the enforcer's own word; not sure where it is not known which version of the policy
/// it was.
fn attribution(result: &ReportResult, versions: &[&Policy], list: &PolicyList) -> Attribution {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut owed = by_report(Attribution {
        policy_namespace: given(&result.policy_namespace),
        policy: given(&result.policy),
        ..Attribution::default()
    });
    cite_in_force(&mut owed, versions, list);
    owed
}

fn exceptions(result: &ReportResult, policy: Option<&Policy>, list: &PolicyList) -> Vec<Excepted> {
    let one = |name: &String| {
        let mut excepted = Excepted {
            name: name.clone(),
            policy_kind: policy.map(|policy| policy.kind.clone()).unwrap_or_default(),
            policy_namespace: result.policy_namespace.clone(),
            policy: result.policy.clone(),
            evidence: Evidence::Report,
            ..Excepted::default()
        };
        let Some(policy) = policy else {
            return excepted;
        };
        let mut found = list.exceptions.iter().filter(|exception| {
            exception.name == *name
                && exception
                    .refs
                    .iter()
                    .any(|named| names(exception, named, policy))
        });
        if let Some(first) = found.next() {
            let others: Vec<_> = found.collect();
            // Two of one name in two namespaces: which of them decided is not known.
            if others
                .iter()
                .all(|other| other.namespace == first.namespace)
            {
                excepted.namespace.clone_from(&first.namespace);
            }
            let laws = std::iter::once(first)
                .chain(others)
                .map(|one| one.law_id.clone());
            excepted.laws = laws.filter(|id| !id.is_empty()).collect();
        }
        excepted
    };
    result.exceptions.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
