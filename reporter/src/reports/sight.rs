//! What reports say of exceptions, as the intake takes it.

use crate::intake::{Sighting, by_report};
use docket_record::audit::Glance;
use docket_record::denial::{Attribution, Evidence, Excepted};
use docket_record::examine::Config;
use docket_record::excepted::names;
use docket_record::krate;
use docket_record::policies::{Policy, PolicyList};
use docket_record::report::{Report, ReportResult, Subject};
use docket_record::verdict::governed;

/// Results of governed objects that owe themselves to an exception. A report names only
/// the exception's name; its namespace and law are those of the one that names the policy.
pub(super) fn sightings(report: &Report, list: &PolicyList, config: &Config) -> Vec<Sighting> {
    let results = report.results.iter().filter(|result| result.is_excepted());
    results
        .filter_map(|result| {
            let subject = result
                .subject
                .as_ref()
                .filter(|one| is_governed(one, config))?;
            let policy = list.policies.iter().find(|policy| result.is_of(policy));
            Some(Sighting {
                subject: subject.clone(),
                time: result.time?,
                background: result.background,
                report: (report.kind.clone(), report.name.clone()),
                attribution: attribution(result, policy),
                exceptions: exceptions(result, policy, list),
            })
        })
        .collect()
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

fn attribution(result: &ReportResult, policy: Option<&Policy>) -> Attribution {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    by_report(Attribution {
        policy_kind: policy.map(|policy| policy.kind.clone()),
        policy_namespace: given(&result.policy_namespace),
        policy: given(&result.policy),
        laws: policy
            .and_then(|policy| given(&policy.law_id))
            .into_iter()
            .collect(),
        law: policy.map(|policy| policy.law.clone()),
        ..Attribution::default()
    })
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
