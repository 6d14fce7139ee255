//! Which exceptions may have applied to an admitted write, by the law of that moment.
//!
//! This is the weaker evidence: it holds an exception's policy against the resource and the
//! namespace, and evaluates no condition. It never says that the write would have been
//! refused without the exception.

use crate::denial::{Attribution, Evidence, Excepted, Grade};
use crate::policies::{Exception, ExceptionRef, Policy, PolicyList, Target};

/// Kinds that an exception of `kyverno.io` can mean, which names no kind.
const LEGACY: [&str; 2] = ["ClusterPolicy", "Policy"];
/// Most exceptions of one write that are named.
const MOST: usize = 16;
/// What is said of each.
const DOUBT: &str =
    "an exception names this policy; whether it applied to this object is not known";

/// The exceptions, each with what is owed to its policy. Two versions of an exception that
/// may have been in force are one of them, with two laws.
pub fn by_law(list: &PolicyList, target: &Target<'_>) -> Vec<(Attribution, Excepted)> {
    let mut found: Vec<(Attribution, Excepted)> = Vec::new();
    for exception in &list.exceptions {
        for named in &exception.refs {
            let policies = list.policies.iter();
            for policy in policies.filter(|policy| {
                names(exception, named, policy)
                    && policy.covers(target)
                    && policy.places.may_be(target.namespace)
            }) {
                add(&mut found, exception, named, policy);
            }
        }
    }
    found
}

/// Does this part of an exception name the policy?
pub fn names(exception: &Exception, named: &ExceptionRef, policy: &Policy) -> bool {
    if exception.api_version.starts_with("kyverno.io/") {
        let place = named.policy.split_once('/');
        let (namespace, name) = place.unwrap_or(("", &named.policy));
        return LEGACY.contains(&policy.kind.as_str())
            && policy.namespace == namespace
            && policy.name == name;
    }
    // The other group's reference has a kind and a name, never a namespace.
    named.kind == policy.kind && named.policy == policy.name
}

fn add(
    found: &mut Vec<(Attribution, Excepted)>,
    exception: &Exception,
    named: &ExceptionRef,
    policy: &Policy,
) {
    let law = |id: &String| Some(id.clone()).filter(|id| !id.is_empty());
    let known = found.iter_mut().find(|(_, known)| {
        known.namespace == exception.namespace
            && known.name == exception.name
            && known.policy_kind == policy.kind
            && known.policy_namespace == policy.namespace
            && known.policy == policy.name
    });
    if let Some((attribution, known)) = known {
        for (ids, id) in [
            (&mut attribution.laws, law(&policy.law_id)),
            (&mut known.laws, law(&exception.law_id)),
        ] {
            ids.extend(id.filter(|id| !ids.contains(id)));
        }
        for rule in &named.rules {
            if !known.rules.contains(rule) {
                known.rules.push(rule.clone());
            }
        }
        return;
    }
    if found.len() >= MOST {
        return;
    }
    let attribution = Attribution {
        enforcer: "kyverno".to_owned(),
        policy_kind: Some(policy.kind.clone()),
        policy_namespace: Some(policy.namespace.clone()).filter(|name| !name.is_empty()),
        policy: Some(policy.name.clone()),
        result: "skip".to_owned(),
        grade: Some(Grade::Ambiguous),
        doubt: DOUBT.to_owned(),
        source: "law".to_owned(),
        laws: law(&policy.law_id).into_iter().collect(),
        law: Some(policy.law.clone()),
        ..Attribution::default()
    };
    let excepted = Excepted {
        namespace: exception.namespace.clone(),
        name: exception.name.clone(),
        policy_kind: policy.kind.clone(),
        policy_namespace: policy.namespace.clone(),
        policy: policy.name.clone(),
        rules: named.rules.clone(),
        evidence: Evidence::Law,
        laws: law(&exception.law_id).into_iter().collect(),
    };
    found.push((attribution, excepted));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(kind: &str, namespace: &str, name: &str) -> Policy {
        let group = if kind.contains("Cluster") || kind == "Policy" {
            "kyverno.io/v1"
        } else {
            "policies.kyverno.io/v1"
        };
        Policy::from_object(&json!({"apiVersion": group, "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"matchConstraints": {
                "namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name",
                    "operator": "NotIn", "values": ["kube-system"]}]},
                "resourceRules": [{"apiGroups": ["g"], "resources": ["pods"]}]},
                "rules": [{"name": "r", "validate": {}, "match": {"any": [{"resources": {"kinds": ["g/v1/Pod"]}}]}}]}}))
        .unwrap()
    }

    fn exception(api: &str, refs: &[(&str, &str)]) -> Exception {
        Exception {
            api_version: api.into(),
            namespace: "kyverno".into(),
            name: "e".into(),
            law_id: "law-e".into(),
            refs: refs
                .iter()
                .map(|(kind, policy)| ExceptionRef {
                    kind: (*kind).into(),
                    policy: (*policy).into(),
                    rules: vec!["r".into()],
                })
                .collect(),
            ..Exception::default()
        }
    }

    fn named(policies: Vec<Policy>, exceptions: Vec<Exception>, namespace: &str) -> Vec<String> {
        let list = PolicyList {
            policies,
            exceptions,
            synced: true,
            ..PolicyList::default()
        };
        let target = Target {
            group: "g",
            resource: "pods",
            namespace,
            ..Target::default()
        };
        let found = by_law(&list, &target);
        found
            .into_iter()
            .map(|(_, one)| format!("{}/{}", one.policy_kind, one.policy))
            .collect()
    }

    #[test]
    fn an_exception_of_each_group_names_its_own_kinds_of_policies() {
        const CEL: &str = "policies.kyverno.io/v1";
        const OLD: &str = "kyverno.io/v2";
        for (kind, namespace, api, refs, applies) in [
            ("ValidatingPolicy", "", CEL, ("ValidatingPolicy", "p"), true),
            (
                "ValidatingPolicy",
                "",
                CEL,
                ("ImageValidatingPolicy", "p"),
                false,
            ),
            (
                "ValidatingPolicy",
                "",
                CEL,
                ("ValidatingPolicy", "q"),
                false,
            ),
            ("ValidatingPolicy", "", OLD, ("", "p"), false),
            ("ClusterPolicy", "", OLD, ("", "p"), true),
            ("ClusterPolicy", "", CEL, ("", "p"), false),
            ("Policy", "ns", OLD, ("", "ns/p"), true),
            ("Policy", "ns", OLD, ("", "p"), false),
            ("Policy", "ns", OLD, ("", "other/p"), false),
        ] {
            let found = named(
                vec![policy(kind, namespace, "p")],
                vec![exception(api, &[refs])],
                "ns",
            );
            assert_eq!(found.len(), usize::from(applies), "{kind} {api} {refs:?}");
        }
    }

    #[test]
    fn a_policy_that_does_not_cover_the_resource_there_is_not_excepted() {
        let all = || vec![policy("ValidatingPolicy", "", "p")];
        let by = || {
            vec![exception(
                "policies.kyverno.io/v1",
                &[("ValidatingPolicy", "p")],
            )]
        };
        assert_eq!(named(all(), by(), "ns"), ["ValidatingPolicy/p"]);
        assert!(
            named(all(), by(), "kube-system").is_empty(),
            "shut out by the selector"
        );
        let mut other = all();
        other[0].covers = vec![("g".into(), "jobs".into())];
        assert!(named(other, by(), "ns").is_empty());
        assert!(
            named(
                vec![policy("NamespacedValidatingPolicy", "elsewhere", "p")],
                vec![exception(
                    "policies.kyverno.io/v1",
                    &[("NamespacedValidatingPolicy", "p")]
                )],
                "ns"
            )
            .is_empty()
        );
    }

    #[test]
    fn two_versions_that_may_have_been_in_force_are_one_exception_with_two_laws() {
        let first = exception("policies.kyverno.io/v1", &[("ValidatingPolicy", "p")]);
        let second = Exception {
            law_id: "law-2".into(),
            ..first.clone()
        };
        let list = PolicyList {
            policies: vec![policy("ValidatingPolicy", "", "p")],
            exceptions: vec![first, second],
            ..PolicyList::default()
        };
        let target = Target {
            group: "g",
            resource: "pods",
            namespace: "ns",
            ..Target::default()
        };
        let found = by_law(&list, &target);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.laws, ["law-e", "law-2"]);
        assert_eq!(found[0].1.evidence, Evidence::Law);
        assert_eq!(found[0].0.grade, Some(Grade::Ambiguous));
    }
}
