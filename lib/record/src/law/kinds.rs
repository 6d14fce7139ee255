//! Which objects are law: group, kind and plural of each.

/// A kind of policy-like object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// API group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural, as in paths and audit events.
    pub plural: &'static str,
}

const fn kind(group: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group,
        kind,
        plural,
    }
}

const CEL: &str = "policies.kyverno.io";
const LEGACY: &str = "kyverno.io";
const BUILT_IN: &str = "admissionregistration.k8s.io";

/// All of them. Two groups have a `PolicyException`: a kind alone names nothing.
pub const KINDS: [Kind; 20] = [
    kind(CEL, "ValidatingPolicy", "validatingpolicies"),
    kind(
        CEL,
        "NamespacedValidatingPolicy",
        "namespacedvalidatingpolicies",
    ),
    kind(CEL, "ImageValidatingPolicy", "imagevalidatingpolicies"),
    kind(
        CEL,
        "NamespacedImageValidatingPolicy",
        "namespacedimagevalidatingpolicies",
    ),
    kind(CEL, "MutatingPolicy", "mutatingpolicies"),
    kind(
        CEL,
        "NamespacedMutatingPolicy",
        "namespacedmutatingpolicies",
    ),
    kind(CEL, "GeneratingPolicy", "generatingpolicies"),
    kind(
        CEL,
        "NamespacedGeneratingPolicy",
        "namespacedgeneratingpolicies",
    ),
    kind(CEL, "DeletingPolicy", "deletingpolicies"),
    kind(
        CEL,
        "NamespacedDeletingPolicy",
        "namespaceddeletingpolicies",
    ),
    kind(CEL, "PolicyException", "policyexceptions"),
    kind(LEGACY, "ClusterPolicy", "clusterpolicies"),
    kind(LEGACY, "Policy", "policies"),
    kind(LEGACY, "PolicyException", "policyexceptions"),
    kind(
        BUILT_IN,
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
    ),
    kind(
        BUILT_IN,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    ),
    kind(
        BUILT_IN,
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
    ),
    kind(
        BUILT_IN,
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
    ),
    kind(
        BUILT_IN,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    ),
    kind(
        BUILT_IN,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
    ),
];

impl Kind {
    /// The kind of this name in this group.
    #[must_use]
    pub fn of(group: &str, name: &str) -> Option<&'static Kind> {
        KINDS
            .iter()
            .find(|kind| kind.group == group && kind.kind == name)
    }

    /// The kind that an audit event names by its plural.
    #[must_use]
    pub fn by_plural(group: &str, plural: &str) -> Option<&'static Kind> {
        KINDS
            .iter()
            .find(|kind| kind.group == group && kind.plural == plural)
    }

    /// `group/Kind`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}/{}", self.group, self.kind)
    }
}
