//! MutatingAdmissionPolicy: it refuses only by failing.

use super::{Law, Owed, by, hold_against};
use crate::denial::Attribution;

const KIND: &[&str] = &["MutatingAdmissionPolicy"];

pub(super) fn refused(policy: &str, binding: Option<&str>, said: &str, law: &Law<'_>) -> Owed {
    let mut attribution = Attribution {
        policy: Some(policy.to_owned()),
        policy_kind: Some(KIND[0].to_owned()),
        binding: binding.map(str::to_owned),
        result: "error".to_owned(),
        ..by("MutatingAdmissionPolicy")
    };
    let all = &law.policies.policies;
    let generated = all
        .iter()
        .find(|one| one.kind == KIND[0] && one.name == policy)
        .and_then(|known| known.generated_from.as_ref());
    let source = generated.and_then(|(kind, name)| {
        all.iter()
            .find(|one| one.kind == *kind && one.name == *name)
    });
    match source {
        Some(source) => {
            attribution.policy = Some(source.name.clone());
            hold_against(&mut attribution, &[source.kind.as_str()], law);
        }
        None => hold_against(&mut attribution, KIND, law),
    }
    Owed {
        attribution,
        message: said.to_owned(),
    }
}
