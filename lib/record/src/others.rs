//! Who else might have refused, and whether that can be known.
//!
//! Admission runs in a fixed order: mutating policies and hooks one after the other, then
//! ValidatingAdmissionPolicies, then all validating hooks side by side, then quota. What
//! refuses first ends it, but for the hooks side by side: all of them are asked, the API
//! server waits for all and tells of the first that answered.
//!
//! | refused by | others |
//! |---|---|
//! | an in-tree plugin, a MutatingAdmissionPolicy, a mutating hook of Kyverno's | none was asked |
//! | a ValidatingAdmissionPolicy | no hook was asked; of several such policies the API server names one, so not known |
//! | Kyverno's hook for validating policies, the policy certain | Kyverno's Events tell, and the policy's own Event is the proof that they arrive |
//! | the same, but uncertain; another's hook; a failed call; a text withheld | Kyverno's Events may tell of some; that there are no more is not known |
//! | 504 and the like | not known: not even that anyone refused |

use crate::attribution::{Asked, asked};
use crate::denial::{Attribution, Grade, Public, Verdict};

/// Whether others than those named may have refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// No one else was asked.
    NotAsked,
    /// Others may have been asked, and nothing tells of them.
    Untold,
    /// Others were asked, and Kyverno's Events tell of Kyverno's policies among them.
    Told,
}

/// What can be known of a refusal's other deniers.
pub fn others(public: &Public) -> Others {
    match (public.verdict, public.attributions.first()) {
        (Verdict::Denied | Verdict::Unavailable, Some(first)) => match first.enforcer.as_str() {
            "kube-apiserver" => match first.policy.as_deref() {
                // Conditions and calls of hooks that are asked side by side.
                Some("matchConditions" | "ValidatingAdmissionWebhook") => Others::Told,
                Some(_) => Others::NotAsked,
                None => Others::Untold,
            },
            "MutatingAdmissionPolicy" => Others::NotAsked,
            "ValidatingAdmissionPolicy" => Others::Untold,
            "kyverno" => match first.webhook.as_deref().map(asked) {
                Some(Asked::InTurn) => Others::NotAsked,
                _ => Others::Told,
            },
            _ => Others::Told,
        },
        _ => Others::Untold,
    }
}

/// Attributions of whose Events Kyverno must have left one each: named for certain, by a
/// hook that judges side by side with others, for an object as it is written. Empty where
/// no Event is certain to come.
pub fn must_leave_events(public: &Public) -> impl Iterator<Item = &Attribution> {
    let judged = public.verdict == Verdict::Denied
        && public.subresource.is_empty()
        && matches!(public.operation.as_str(), "CREATE" | "UPDATE" | "DELETE");
    public.attributions.iter().filter(move |one| {
        judged
            && one.enforcer == "kyverno"
            && one.policy.is_some()
            && one.grade == Some(Grade::Exact)
            && one.webhook.as_deref().map(asked) == Some(Asked::SideBySide)
    })
}

/// What is known of a refusal's other deniers, in a word, and why where it is not known:
/// `pending`, `none-seen`, `seen`, `not-known`. `last` is the state that its amendments say
/// last, its own or those of its round; `seen`: an amendment names one.
pub fn known(
    public: &Public,
    last: Option<&str>,
    seen: bool,
) -> (&'static str, Option<&'static str>) {
    match (others(public), last) {
        (Others::NotAsked, _) => ("none-seen", None),
        (Others::Untold, _) if public.verdict == Verdict::Unknown => (
            "not-known",
            Some("not even whether anyone refused is known"),
        ),
        (Others::Untold, _) => (
            "not-known",
            Some("of several such policies the API server names the first only"),
        ),
        (Others::Told, None) => ("pending", None),
        (Others::Told, Some(last)) => {
            let must = must_leave_events(public).next().is_some();
            match (must, last == "not-known", seen) {
                (true, true, _) => (
                    "not-known",
                    Some(
                        "Kyverno's Event of the policy that is named did not come, so others may be missing too",
                    ),
                ),
                (false, _, false) => (
                    "not-known",
                    Some(
                        "what is named leaves no Event for certain, so nothing proves that all came",
                    ),
                ),
                (_, _, true) => ("seen", None),
                (true, false, false) => ("none-seen", None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(enforcer: &str, webhook: &str, grade: Grade) -> Public {
        let attribution = Attribution {
            enforcer: enforcer.into(),
            webhook: Some(webhook.to_owned()).filter(|webhook| !webhook.is_empty()),
            policy: Some("p".into()),
            grade: Some(grade),
            ..Attribution::default()
        };
        serde_json::from_value(serde_json::json!({
            "id": "i", "time": "", "verdict": "denied", "operation": "CREATE", "verb": "create",
            "dryRun": false, "group": "", "version": "v1", "resource": "pods", "kind": "Pod",
            "namespace": "n", "code": 400, "attributions": [attribution],
            "context": {}, "testimony": "verified", "passes": 1, "source": "api",
        }))
        .unwrap()
    }

    #[test]
    fn the_order_of_admission_says_who_was_asked() {
        let table = [
            ("kube-apiserver", "", Others::NotAsked),
            ("MutatingAdmissionPolicy", "", Others::NotAsked),
            ("kyverno", "mutate.kyverno.svc-fail", Others::NotAsked),
            (
                "kyverno",
                "mpol.validate.kyverno.svc-fail",
                Others::NotAsked,
            ),
            ("kyverno", "ivpol.mutate.kyverno.svc-fail", Others::NotAsked),
            ("ValidatingAdmissionPolicy", "", Others::Untold),
            ("kyverno", "validate.kyverno.svc-fail", Others::Told),
            (
                "kyverno",
                "vpol.validate.kyverno.svc-fail-1a2b3c4d",
                Others::Told,
            ),
            ("kyverno", "validate-policy.kyverno.svc", Others::Told),
            ("webhook", "gate.example", Others::Told),
            ("unrecognised", "", Others::Told),
        ];
        for (enforcer, webhook, expected) in table {
            let public = denied(enforcer, webhook, Grade::Exact);
            assert_eq!(others(&public), expected, "{enforcer} {webhook}");
        }
        let mut unknown = denied("unrecognised", "", Grade::Ambiguous);
        unknown.verdict = Verdict::Unknown;
        assert_eq!(others(&unknown), Others::Untold);
        let mut condition = denied("kube-apiserver", "", Grade::Ambiguous);
        condition.attributions[0].policy = Some("matchConditions".into());
        assert_eq!(others(&condition), Others::Told);
        condition.attributions[0].policy = Some("ValidatingAdmissionWebhook".into());
        assert_eq!(others(&condition), Others::Told);
        // A conversion that failed does not say when.
        condition.attributions[0].policy = None;
        assert_eq!(others(&condition), Others::Untold);
    }

    #[test]
    fn an_event_is_demanded_only_of_a_policy_that_must_leave_one() {
        let hook = "vpol.validate.kyverno.svc-fail-finegrained-p";
        let must = |public: &Public| must_leave_events(public).count();
        assert_eq!(must(&denied("kyverno", hook, Grade::Exact)), 1);
        assert_eq!(must(&denied("kyverno", hook, Grade::Ambiguous)), 0);
        for webhook in [
            "mutate.kyverno.svc-fail",
            "mpol.validate.kyverno.svc-fail",
            "validate-policy.kyverno.svc",
        ] {
            assert_eq!(
                must(&denied("kyverno", webhook, Grade::Exact)),
                0,
                "{webhook}"
            );
        }
        assert_eq!(must(&denied("webhook", "gate.example", Grade::Exact)), 0);
        let changed: [fn(&mut Public); 3] = [
            |public| public.verdict = Verdict::Unavailable,
            |public| public.subresource = "exec".into(),
            |public| public.operation = "CONNECT".into(),
        ];
        for change in changed {
            let mut public = denied("kyverno", hook, Grade::Exact);
            change(&mut public);
            assert_eq!(must(&public), 0);
        }
    }
}
