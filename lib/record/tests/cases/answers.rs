//! What each event of each case is: the class it is counted in, or the verdict and for
//! each attribution enforcer, webhook, policy, rule, result and grade. Written by hand.

pub const ANSWERS: &[(&str, &[&str])] = &[
    (
        "01-etcd-timeout-500.json",
        &[
            "Unknown: kube-apiserver - - - error ambiguous",
            "counted server_error",
        ],
    ),
    (
        "03-mutating-patch-does-not-apply-500.json",
        &[
            "Unavailable: kube-apiserver inject.sidecar.example MutatingAdmissionWebhook - error ambiguous",
            "Unavailable: kube-apiserver - MutatingAdmissionWebhook - error ambiguous",
        ],
    ),
    (
        "05-exec-error-dialing-backend.json",
        &["counted backend", "counted backend"],
    ),
    (
        "07-eviction-two-budgets-500.json",
        &["counted server_error", "counted too_many_requests"],
    ),
    (
        "08-proxy-and-kubelet-bare-codes.json",
        &[
            "counted backend",
            "counted backend",
            "counted backend",
            "counted backend",
        ],
    ),
    (
        "09-kyverno-before-1.12-headings.json",
        &[
            "Denied: kyverno validate.kyverno.svc-fail pods-have-a-team team-is-named fail exact",
            "Denied: kyverno validate.kyverno.svc-fail pods-have-a-team team-is-named fail exact",
            "Denied: kyverno validate.kyverno.svc-fail pods-have-a-team team-is-named fail exact",
            "Denied: kyverno validate.kyverno.svc-fail pods-have-a-team team-is-named error exact",
            "Denied: kyverno mutate.kyverno.svc-fail signed-images check-signature fail ambiguous",
        ],
    ),
    (
        "10-kyverno-ephemeral-containers.json",
        &["Denied: kyverno validate.kyverno.svc-fail no-privilege unprivileged fail exact"],
    ),
    (
        "12-kyverno-yaml-odd-scalars.json",
        &[
            "Denied: kyverno validate.kyverno.svc-fail tags indented fail exact; \
             kyverno validate.kyverno.svc-fail tags no-latest fail exact; \
             kyverno validate.kyverno.svc-fail tags psa fail exact",
        ],
    ),
    (
        "14-gatekeeper-two-constraints.json",
        &[
            "Denied: webhook validation.gatekeeper.sh pods-have-owner - fail ambiguous; \
             webhook validation.gatekeeper.sh repo-allowlist - fail ambiguous",
            "Denied: webhook validation.gatekeeper.sh pods-have-owner - fail ambiguous",
        ],
    ),
];
