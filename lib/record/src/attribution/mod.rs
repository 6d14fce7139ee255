//! To whom a refusal is owed: the text of the final status, read by the enforcer's own
//! grammar and held against the policies that were in force.
//!
//! Parts of a text may be the requester's own words: a policy's message can echo a
//! field. So a reading is never preferred because it looks likely. An attribution is
//! exact only if no other reading of the text is possible and the policy is known,
//! covers the object and refuses; else it is ambiguous and says why.

mod gatekeeper;
mod kyverno;
mod kyverno_legacy;
mod map;
mod vap;
mod webhook;

use crate::denial::{Attribution, Grade};
use crate::policies::{Policy, PolicyList, Target};
use crate::verdict::Refusal;

/// One attribution with the words that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// To whom.
    pub attribution: Attribution,
    /// The policy's message, or the whole of what was said.
    pub message: String,
}

/// What an attribution is held against.
#[derive(Clone, Copy, Debug)]
pub struct Law<'a> {
    /// Policies as known at this moment.
    pub policies: &'a PolicyList,
    /// What the request was about.
    pub target: Target<'a>,
    /// True if the text is only a prefix of what was said.
    pub cut: bool,
}

/// All readings of a refusal. Never empty.
pub fn attribute(refusal: &Refusal<'_>, law: &Law<'_>) -> Vec<Owed> {
    let mut owed = match *refusal {
        Refusal::Webhook { hook, said } => webhook::refused(hook, said, law),
        Refusal::NoDryRun { hook } => vec![webhook::no_dry_run(hook)],
        Refusal::CallFailed { hook, why } => vec![webhook::unavailable(hook, why, law)],
        Refusal::Vap {
            policy,
            binding,
            said,
        } => vec![vap::refused(policy, binding, said, law)],
        Refusal::Map {
            policy,
            binding,
            said,
        } => vec![map::refused(policy, binding, said, law)],
        Refusal::Plugin { plugin, said } => vec![Owed {
            attribution: Attribution {
                policy: Some(plugin.to_owned()),
                grade: Some(Grade::Exact),
                ..by("kube-apiserver")
            },
            message: said.to_owned(),
        }],
        Refusal::PluginFailed { plugin, said } => vec![Owed {
            attribution: Attribution {
                policy: Some(plugin.to_owned()),
                result: "error".to_owned(),
                grade: Some(Grade::Exact),
                ..by("kube-apiserver")
            },
            message: said.to_owned(),
        }],
        Refusal::PatchFailed { said, last } => vec![doubted(
            Attribution {
                policy: Some("MutatingAdmissionWebhook".to_owned()),
                webhook: last.map(str::to_owned),
                result: "error".to_owned(),
                ..by("kube-apiserver")
            },
            said,
            if last.is_some() {
                "a mutating webhook's answer can't be applied, and the text does not say whose: \
                 the one named was the last to be called"
            } else {
                "a mutating webhook's answer can't be applied, and the text does not say whose"
            },
        )],
        Refusal::ConversionFailed { said } => vec![doubted(
            Attribution {
                result: "error".to_owned(),
                ..by("kube-apiserver")
            },
            said,
            "a conversion webhook failed: no policy was asked about the object it did not give",
        )],
        Refusal::StorageTimedOut { said } => vec![doubted(
            Attribution {
                result: "error".to_owned(),
                ..by("kube-apiserver")
            },
            said,
            "the storage did not answer in time: the write may have been stored",
        )],
        Refusal::MatchCondition { said } => vec![doubted(
            Attribution {
                policy: Some("matchConditions".to_owned()),
                result: "error".to_owned(),
                ..by("kube-apiserver")
            },
            said,
            "a matchCondition failed, and the text names neither webhook nor policy",
        )],
        Refusal::Forbidden { said } | Refusal::Other { said } => {
            vec![doubted(
                by("unrecognised"),
                said,
                "no known enforcer speaks like this",
            )]
        }
        Refusal::Withheld => vec![doubted(
            by("unrecognised"),
            "",
            "the audit event has a code and no text: as a rule the client asked for a form of \
             answer that keeps it out",
        )],
        Refusal::TimedOut => vec![doubted(
            by("unrecognised"),
            "",
            "the request timed out: it may have been refused, and it may have been stored",
        )],
        Refusal::NoStatus => {
            vec![doubted(
                by("unrecognised"),
                "",
                "the audit event has no status",
            )]
        }
        Refusal::Panic => vec![doubted(
            by("unrecognised"),
            "",
            "the API server's handler panicked",
        )],
        Refusal::FailedOpen => Vec::new(),
    };
    if law.cut {
        for owed in &mut owed {
            doubt(&mut owed.attribution, "the text was too long to keep whole");
        }
    }
    owed
}

/// What a hook that failed open would have judged.
pub fn failed_open(hook: &str, law: &Law<'_>) -> Owed {
    webhook::failed_open(hook, law)
}

pub(crate) use webhook::{Asked, asked};

fn by(enforcer: &str) -> Attribution {
    Attribution {
        enforcer: enforcer.to_owned(),
        result: "fail".to_owned(),
        source: "responseStatus".to_owned(),
        ..Attribution::default()
    }
}

fn doubted(mut attribution: Attribution, message: &str, why: &str) -> Owed {
    doubt(&mut attribution, why);
    Owed {
        attribution,
        message: message.to_owned(),
    }
}

/// Lowers the grade. The first doubt is the one that is told: the rest follow from it
/// or weigh less.
pub(crate) fn doubt(attribution: &mut Attribution, why: &str) {
    attribution.grade = Some(Grade::Ambiguous);
    if attribution.doubt.is_empty() {
        why.clone_into(&mut attribution.doubt);
    }
}

/// Grades an attribution that names a policy: exact if exactly one policy of these kinds
/// has the name, covers the object and refuses. Fills in its kind, namespace and law.
pub(crate) fn hold_against(attribution: &mut Attribution, kinds: &[&str], law: &Law<'_>) {
    let name = attribution.policy.clone().unwrap_or_default();
    let found: Vec<&Policy> = law
        .policies
        .named(kinds, &name, law.target.namespace)
        .collect();
    let who = |policy: &Policy| (policy.kind.clone(), policy.namespace.clone());
    match found.first() {
        Some(first) if found.iter().any(|other| who(other) != who(first)) => {
            doubt(attribution, "several policies have this name");
        }
        Some(policy) => {
            if cite_in_force(attribution, &found, law.policies) {
                return;
            }
            if !policy.enforces {
                doubt(attribution, "the policy, as known, does not refuse");
            } else if !policy.covers(&law.target) {
                doubt(
                    attribution,
                    "the policy, as known, does not cover this resource",
                );
            } else if attribution.grade.is_none() {
                attribution.grade = Some(Grade::Exact);
            }
        }
        None => doubt(attribution, unknown(law.policies)),
    }
}

/// Names the versions of one policy that may have been in force: its kind, namespace and
/// law. True, and the attribution is ambiguous, if which of them was is not known, or
/// there is none.
pub fn cite_in_force(
    attribution: &mut Attribution,
    versions: &[&Policy],
    list: &PolicyList,
) -> bool {
    let Some(first) = versions.first() else {
        doubt(attribution, unknown(list));
        return true;
    };
    adopt(attribution, first);
    cite(attribution, versions);
    let why = if !list.synced {
        Some(NOT_SYNCED)
    } else if let Some(why) = &list.doubt {
        Some(why.as_str())
    } else if let Some(why) = versions.iter().find_map(|version| version.doubt) {
        Some(why)
    } else {
        (versions.len() > 1).then_some(EITHER)
    };
    if let Some(why) = why {
        doubt(attribution, why);
    }
    why.is_some()
}

/// Why nothing is known of a policy that a list does not have.
fn unknown(list: &PolicyList) -> &'static str {
    match list.synced {
        true => "no such policy was known at the time",
        false => NOT_SYNCED,
    }
}

/// Of the time before the first full lists.
const NOT_SYNCED: &str = "the policies were not all known yet";

/// Two versions of one policy were observed within ten seconds of the request.
pub const EITHER: &str =
    "the policy was changed at about that time: either version may have been in force";

/// Names the law: the versions that may have been in force, and those of the binding.
fn cite(attribution: &mut Attribution, versions: &[&Policy]) {
    let mut laws = Vec::new();
    let mut bindings = Vec::new();
    for version in versions {
        laws.push(&version.law_id);
        let bound = version.bindings.iter();
        let named = bound.filter(|(name, _)| attribution.binding.as_ref() == Some(name));
        bindings.extend(named.flat_map(|(_, ids)| ids));
    }
    let ids = |ids: Vec<&String>| {
        let mut distinct: Vec<String> = Vec::new();
        for id in ids.into_iter().filter(|id| !id.is_empty()) {
            if !distinct.contains(id) {
                distinct.push(id.clone());
            }
        }
        distinct
    };
    (attribution.laws, attribution.binding_laws) = (ids(laws), ids(bindings));
}

fn adopt(attribution: &mut Attribution, policy: &Policy) {
    attribution.policy_kind = Some(policy.kind.clone());
    attribution.policy_namespace =
        Some(policy.namespace.clone()).filter(|namespace| !namespace.is_empty());
    attribution.law = Some(policy.law.clone());
}

#[cfg(test)]
mod tests;
