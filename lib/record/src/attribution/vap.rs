//! ValidatingAdmissionPolicy, and those that Kyverno generates from its own policies.

use super::{Law, Owed, by, hold_against};
use crate::denial::Attribution;
use crate::policies::Policy;

const KIND: &[&str] = &["ValidatingAdmissionPolicy"];

/// Kyverno's prefixes for generated policies, and the kinds they stand for.
const GENERATED: [(&str, &str); 2] = [("vpol-", "ValidatingPolicy"), ("cpol-", "ClusterPolicy")];

pub(super) fn refused(policy: &str, binding: Option<&str>, said: &str, law: &Law<'_>) -> Owed {
    let mut attribution = Attribution {
        policy: Some(policy.to_owned()),
        policy_kind: Some(KIND[0].to_owned()),
        binding: binding.map(str::to_owned),
        // Without a binding the policy itself could not be used.
        result: if binding.is_some() { "fail" } else { "error" }.to_owned(),
        ..by("ValidatingAdmissionPolicy")
    };
    match source(policy, binding, law) {
        // The name people know and can change is the one it was generated from, and its
        // law is what was in force.
        Some(source) => {
            attribution.policy = Some(source.name.clone());
            // Kyverno generates one only from a policy with one rule.
            if let [rule] = &source.rules[..] {
                attribution.rule = Some(rule.name.clone());
            }
            hold_against(&mut attribution, &[source.kind.as_str()], law);
        }
        None => hold_against(&mut attribution, KIND, law),
    }
    Owed {
        attribution,
        message: said.to_owned(),
    }
}

/// The Kyverno policy behind a generated one: by owner reference where the object is
/// known, else by the names of policy and binding together.
fn source<'a>(policy: &str, binding: Option<&str>, law: &Law<'a>) -> Option<&'a Policy> {
    let all = &law.policies.policies;
    let known = all
        .iter()
        .find(|one| one.kind == KIND[0] && one.name == policy);
    if let Some(known) = known {
        let (kind, name) = known.generated_from.as_ref()?;
        return all
            .iter()
            .find(|one| one.kind == *kind && one.name == *name);
    }
    if binding? != format!("{policy}-binding") {
        return None;
    }
    let (kind, name) = GENERATED
        .iter()
        .find_map(|(prefix, kind)| policy.strip_prefix(prefix).map(|name| (*kind, name)))?;
    all.iter().find(|one| one.kind == kind && one.name == name)
}
