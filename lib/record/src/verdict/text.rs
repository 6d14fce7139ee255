//! Who speaks in a refusal's text. Each form is anchored at the text's beginning,
//! where a requester can write nothing: names are quoted there as Go's `%q` quotes.

use crate::audit::Status;
use crate::denial::Verdict;

/// A refusal's text, told apart by who speaks in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// A webhook said no.
    Webhook {
        /// Its name.
        hook: &'a str,
        /// Its words; empty where it gave none.
        said: &'a str,
    },
    /// A webhook with side effects was asked in a dry run.
    NoDryRun {
        /// Its name.
        hook: &'a str,
    },
    /// A call to a fail-closed webhook failed.
    CallFailed {
        /// Its name.
        hook: &'a str,
        /// Why, in the API server's words.
        why: &'a str,
    },
    /// A ValidatingAdmissionPolicy said no.
    Vap {
        /// The policy.
        policy: &'a str,
        /// Its binding, unless the policy itself could not be used.
        binding: Option<&'a str>,
        /// The message.
        said: &'a str,
    },
    /// A MutatingAdmissionPolicy failed.
    Map {
        /// The policy.
        policy: &'a str,
        /// Its binding.
        binding: Option<&'a str>,
        /// The error.
        said: &'a str,
    },
    /// An admission plugin inside kube-apiserver said no.
    Plugin {
        /// Its name.
        plugin: &'static str,
        /// Its words.
        said: &'a str,
    },
    /// An admission plugin inside kube-apiserver could not judge.
    PluginFailed {
        /// Its name.
        plugin: &'a str,
        /// Its words.
        said: &'a str,
    },
    /// What a mutating webhook answered can't be applied to the object. The API server
    /// does not say whose answer that was.
    PatchFailed {
        /// The error.
        said: &'a str,
        /// The mutating webhook that was called last, if the event tells.
        last: Option<&'a str>,
    },
    /// A conversion webhook of a custom resource failed.
    ConversionFailed {
        /// The error.
        said: &'a str,
    },
    /// The storage did not answer: the write may be in it.
    StorageTimedOut {
        /// The error.
        said: &'a str,
    },
    /// A matchCondition failed; the API server names neither webhook nor policy.
    MatchCondition {
        /// The error.
        said: &'a str,
    },
    /// `… is forbidden: ` and words that no row knows.
    Forbidden {
        /// The words.
        said: &'a str,
    },
    /// No row fits.
    Other {
        /// The whole text.
        said: &'a str,
    },
    /// The event has a code and no text.
    Withheld,
    /// 504.
    TimedOut,
    /// The event has no code.
    NoStatus,
    /// The API server's handler panicked.
    Panic,
    /// Nothing was refused; a hook was skipped.
    FailedOpen,
}

impl Refusal<'_> {
    /// True if an enforcer's own words are there, which no requester can forge.
    pub(crate) fn is_enforcers(&self) -> bool {
        matches!(
            self,
            Refusal::Webhook { .. }
                | Refusal::NoDryRun { .. }
                | Refusal::CallFailed { .. }
                | Refusal::Vap { .. }
                | Refusal::Map { .. }
                | Refusal::Plugin { .. }
                | Refusal::MatchCondition { .. }
        )
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Refusal::CallFailed { .. }
            | Refusal::PluginFailed { .. }
            | Refusal::PatchFailed { .. }
            | Refusal::ConversionFailed { .. } => Verdict::Unavailable,
            Refusal::StorageTimedOut { .. } => Verdict::Unknown,
            _ => Verdict::Denied,
        }
    }
}

pattern!(
    HOOK,
    r#"^admission webhook "([a-zA-Z0-9.-]+)" (denied the request without explanation|denied the request: |does not support dry run)"#
);
// `failed calling admission webhook` in Kubernetes up to 1.11.
pattern!(
    CALL,
    r#"^(?:Internal error occurred: )*(?:failed calling (?:admission )?webhook "([a-zA-Z0-9.-]+)"(?:: |; )|ValidatingAdmissionWebhook/([a-zA-Z0-9.-]+) has panicked: |admission webhook "([a-zA-Z0-9.-]+)" attempted to modify the object)"#
);
// `<resource> "<name>" is forbidden: `, or without the name, or without both.
pattern!(
    FORBIDDEN,
    r#"^(?:[^ "]+ (?:"(?:[^"\\]|\\.)*" )?is )?forbidden: "#
);
pattern!(
    VAP,
    r"^ValidatingAdmissionPolicy '([a-z0-9.-]+)' (?:with binding '([a-z0-9.-]+)' )?denied request: "
);
pattern!(
    MAP,
    r#"^policy ['"]([a-z0-9.-]+)['"] (?:with binding ['"]([a-z0-9.-]+)['"] )?denied request: "#
);
pattern!(
    LIMITS,
    r"^\[?(?:(?i:maximum|minimum) .{1,100}? usage per |.{1,100}? max limit to request ratio per )"
);
pattern!(CONDITION, r"^\[?expression '(?s:.*)' resulted in error: ");

/// In-tree plugins by the first words of what they say after `is forbidden: `.
const PLUGINS: [(&str, &str); 38] = [
    ("exceeded quota: ", "ResourceQuota"),
    ("failed quota: ", "ResourceQuota"),
    ("status unknown for quota: ", "ResourceQuota"),
    ("insufficient quota to ", "ResourceQuota"),
    ("quota usage is negative for resource(s): ", "ResourceQuota"),
    ("unable to get previous usage ", "ResourceQuota"),
    ("violates PodSecurity \"", "PodSecurity"),
    ("error looking up service account ", "ServiceAccount"),
    ("Error looking up service account ", "ServiceAccount"),
    ("service account ", "ServiceAccount"),
    ("no API token found for service account ", "ServiceAccount"),
    ("no PriorityClass with name ", "Priority"),
    ("the integer value of priority ", "Priority"),
    ("the string value of PreemptionPolicy ", "Priority"),
    (
        "cannot set blockOwnerDeletion ",
        "OwnerReferencesPermissionEnforcement",
    ),
    (
        "cannot set an ownerRef on a resource ",
        "OwnerReferencesPermissionEnforcement",
    ),
    ("pod rejected: RuntimeClass ", "RuntimeClass"),
    ("pod rejected: Pod", "RuntimeClass"),
    (
        "conflict: runtimeClass.scheduling.nodeSelector[",
        "RuntimeClass",
    ),
    ("pod node label selector ", "PodNodeSelector"),
    ("pod does not have \"", "NodeRestriction"),
    ("node \"", "NodeRestriction"),
    ("unexpected pod subresource \"", "NodeRestriction"),
    ("could not determine node from user ", "NodeRestriction"),
    (
        "image policy webhook backend denied one or more images: ",
        "ImagePolicyWebhook",
    ),
    (
        "image policy webook backend denied one or more images: ",
        "ImagePolicyWebhook",
    ),
    (
        "one or more images rejected by webhook backend",
        "ImagePolicyWebhook",
    ),
    ("Not allowed by PodSecurity", "PodSecurity"),
    (
        "admission control is denying all modifications",
        "AlwaysDeny",
    ),
    ("cannot exec into or attach to a ", "DenyEscalatingExec"),
    (
        "affinity.PodAntiAffinity.RequiredDuringScheduling",
        "LimitPodHardAntiAffinityTopology",
    ),
    ("PodSecurityPolicy: ", "PodSecurityPolicy"),
    (
        "unable to validate against any pod security policy",
        "PodSecurityPolicy",
    ),
    (
        "no providers available to validate pod request",
        "PodSecurityPolicy",
    ),
    (
        "unable to validate against any security context constraint",
        "SecurityContextConstraint",
    ),
    ("SecurityContext.", "SecurityContextDeny"),
    ("pod.Spec.SecurityContext.", "SecurityContextDeny"),
    ("Pod.Spec.SecurityContext.", "SecurityContextDeny"),
];
/// The same of refusals that carry neither a name nor a code: the API server makes them a
/// 500.
const BARE: [(&str, &str); 3] = [
    (
        "insufficient quota to match these scopes: ",
        "ResourceQuota",
    ),
    (
        "pod tolerations (possibly merged with namespace default tolerations) conflict ",
        "PodTolerationRestriction",
    ),
    (
        "namespace tolerations and pod tolerations conflict",
        "PodTolerationRestriction",
    ),
];

/// Who speaks in the text of a status.
pub fn refusal(status: &Status) -> Refusal<'_> {
    let Some(message) = &status.message else {
        return Refusal::Withheld;
    };
    let text = message.text.as_str();
    if let Some(found) = HOOK.captures(text) {
        let hook = group(&found, 1);
        let said = &text[found.get_match().end()..];
        return match group(&found, 2) {
            "does not support dry run" => Refusal::NoDryRun { hook },
            _ => Refusal::Webhook { hook, said },
        };
    }
    if let Some(found) = CALL.captures(text) {
        let called = found.get(1).or_else(|| found.get(2));
        return match called {
            Some(hook) => Refusal::CallFailed {
                hook: hook.as_str(),
                why: &text[found.get_match().end()..],
            },
            // It was called, and answered with a patch for what has no object.
            None => Refusal::CallFailed {
                hook: group(&found, 3),
                why: text,
            },
        };
    }
    if let Some(map) = map(text) {
        return map;
    }
    // A name may fill the text that was kept; then what follows it was kept apart.
    let words = match &status.after_name {
        Some(rest) => rest.text.strip_prefix("is forbidden: "),
        None => FORBIDDEN.find(text).map(|found| &text[found.end()..]),
    };
    match words {
        Some(words) => forbidden(words),
        None => match BARE.iter().find(|(words, _)| text.starts_with(words)) {
            Some((_, plugin)) => Refusal::Plugin { plugin, said: text },
            None => Refusal::Other { said: text },
        },
    }
}

fn forbidden(said: &str) -> Refusal<'_> {
    if let Some(found) = VAP.captures(said) {
        return Refusal::Vap {
            policy: group(&found, 1),
            binding: found.get(2).map(|binding| binding.as_str()),
            said: &said[found.get_match().end()..],
        };
    }
    if let Some(map) = map(said) {
        return map;
    }
    if let Some((_, plugin)) = PLUGINS.iter().find(|(words, _)| said.starts_with(words)) {
        return Refusal::Plugin { plugin, said };
    }
    if LIMITS.is_match(said) || said.ends_with(" an error enforcing limit ranges") {
        return Refusal::Plugin {
            plugin: "LimitRanger",
            said,
        };
    }
    if CONDITION.is_match(said) {
        return Refusal::MatchCondition { said };
    }
    Refusal::Forbidden { said }
}

fn map(text: &str) -> Option<Refusal<'_>> {
    let found = MAP.captures(text)?;
    Some(Refusal::Map {
        policy: group(&found, 1),
        binding: found.get(2).map(|binding| binding.as_str()),
        said: &text[found.get_match().end()..],
    })
}

fn group<'a>(found: &regex::Captures<'a>, index: usize) -> &'a str {
    found.get(index).map_or("", |found| found.as_str())
}
