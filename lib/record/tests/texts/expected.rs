//! Who each recorded refusal is owed to, written by hand from the policies and the write
//! of each form (`tests/src/texts`), not from what the readers made of it.

use docket_record::denial::Verdict;

/// One attribution, with the words that go with it; `…` at an end stands for any words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub enforcer: &'a str,
    pub policy: &'a str,
    pub rule: &'a str,
    pub error: bool,
    pub exact: bool,
    pub message: &'a str,
}

/// What is expected of a form.
pub struct Expected {
    pub form: &'static str,
    /// `None`: it makes no record.
    pub verdict: Option<Verdict>,
    pub parts: &'static [Part<'static>],
    /// In 1.18, where that differs.
    pub older: Option<&'static [Part<'static>]>,
}

const fn kyverno(policy: &'static str, rule: &'static str, message: &'static str) -> Part<'static> {
    Part {
        enforcer: "kyverno",
        policy,
        rule,
        error: false,
        exact: true,
        message,
    }
}

/// A CEL policy that failed.
const fn cel(policy: &'static str, message: &'static str) -> Part<'static> {
    kyverno(policy, "", message)
}

const fn vap(policy: &'static str, message: &'static str) -> Part<'static> {
    Part {
        enforcer: "ValidatingAdmissionPolicy",
        ..kyverno(policy, "", message)
    }
}

const fn by(part: Part<'static>, enforcer: &'static str) -> Part<'static> {
    Part { enforcer, ..part }
}

const fn rule(part: Part<'static>, rule: &'static str) -> Part<'static> {
    Part { rule, ..part }
}

/// It could not judge.
const fn error(part: Part<'static>) -> Part<'static> {
    Part {
        error: true,
        ..part
    }
}

const fn doubted(part: Part<'static>) -> Part<'static> {
    Part {
        exact: false,
        ..part
    }
}

const fn denied(form: &'static str, parts: &'static [Part<'static>]) -> Expected {
    Expected {
        form,
        verdict: Some(Verdict::Denied),
        parts,
        older: None,
    }
}

const fn unavailable(form: &'static str, parts: &'static [Part<'static>]) -> Expected {
    Expected {
        verdict: Some(Verdict::Unavailable),
        ..denied(form, parts)
    }
}

const fn differs(expected: Expected, older: &'static [Part<'static>]) -> Expected {
    Expected {
        older: Some(older),
        ..expected
    }
}

/// As `tests/src/texts/cel.rs` has it.
const WORDS: &str =
    "Say: \"why\"; - 'what' #1\n  key: [a, {b: &c *d}] | > %e @f `g`\n\n\"Wer\" — 誰? ; Policy: no";
const ECHOED: &str = "The title is Say: \"why\"; - 'what' #1\n  key: [a, {b: &c *d}] | > %e @f `g`\n\n\"Wer\" — 誰? ; Policy: no";
const LONG: &str = "The pull request must say what it changes, why it changes it, who asked for it, \
    where the ticket is, how it was tested, and what is to be done if it has to be taken back; \
    see https://example.test/policies/pull-requests#descriptions-and-why-they-matter for more.";

pub const FORMS: &[Expected] = &[
    denied(
        "vpol-message",
        &[cel("vpol-message", "A pull request says what it changes.")],
    ),
    denied("vpol-echo", &[cel("vpol-echo", "The title is mine")]),
    denied("vpol-words", &[cel("vpol-words", WORDS)]),
    denied("vpol-echo-words", &[cel("vpol-echo-words", ECHOED)]),
    denied(
        "vpol-echo-unknown",
        &[cel(
            "vpol-echo-unknown",
            "The title is x; Policy nowhere failed: y",
        )],
    ),
    denied(
        "vpol-error",
        &[error(cel("vpol-error", "…no such key: nope"))],
    ),
    denied(
        "vpol-message-error",
        &[cel(
            "vpol-message-error",
            "failed to evaluate message expression: no such key: nope",
        )],
    ),
    denied(
        "vpol-default",
        &[cel(
            "vpol-default",
            "CEL expression validation failed at index 1",
        )],
    ),
    // Which part may go on depends on the order, which is that of a map.
    differs(
        denied(
            "vpol-several",
            &[
                doubted(cel("vpol-several-a", "The first says no.")),
                doubted(cel("vpol-several-b", "The title is mine")),
                doubted(error(cel("vpol-several-c", "…no such key: nope"))),
                doubted(cel(
                    "vpol-several-b",
                    "The title is mine; Policy vpol-several-c error: …",
                )),
            ],
        ),
        &[
            doubted(error(cel(
                "vpol-several-c",
                "failed to load context: no such key: nope",
            ))),
            doubted(cel("vpol-several-a", "The first says no.")),
            doubted(cel("vpol-several-b", "The title is mine")),
            doubted(error(cel(
                "vpol-several-c",
                "…; Policy vpol-several-a failed: The first says no.",
            ))),
            doubted(error(cel(
                "vpol-several-c",
                "…; Policy vpol-several-b failed: The title is mine",
            ))),
        ],
    ),
    denied(
        "vpol-imitates",
        &[
            doubted(cel("vpol-imitates-a", "The title is x")),
            doubted(cel("vpol-imitates-b", "never")),
            doubted(cel(
                "vpol-imitates-a",
                "The title is x; Policy vpol-imitates-b failed: never",
            )),
        ],
    ),
    denied(
        "vpol-imitates-fixed",
        &[cel(
            "vpol-imitates-fixed-a",
            "m; Policy vpol-imitates-fixed-b failed: n",
        )],
    ),
    denied("vpol-warns", &[cel("vpol-warns-a", "Denied.")]),
    denied("vpol-ignore", &[cel("vpol-ignore", "Denied all the same.")]),
    denied(
        "vpol-finegrained",
        &[cel("vpol-finegrained", "Asked alone.")],
    ),
    denied("nvpol", &[cel("nvpol", "At home.")]),
    denied("nvpol-finegrained", &[cel("nvpol-fine", "At home, alone.")]),
    denied(
        "vpol-autogen-pod",
        &[cel(
            "vpol-autogen-pod",
            "object.spec.hostNetwork must be false.",
        )],
    ),
    denied(
        "vpol-autogen",
        &[cel(
            "vpol-autogen",
            "object.spec.template.spec.hostNetwork must be false.",
        )],
    ),
    denied(
        "vpol-autogen-cron",
        &[cel(
            "vpol-autogen-cron",
            "object.spec.jobTemplate.spec.template.spec.hostNetwork must be false.",
        )],
    ),
    differs(
        denied(
            "ivpol",
            &[error(cel("ivpol", "failed to update digest: …"))],
        ),
        &[error(cel("ivpol", "failed to evaluate policy: …"))],
    ),
    denied(
        "mpol-error",
        &[error(cel("mpol-error", "no such key: nope"))],
    ),
    denied(
        "mpol-several",
        &[
            doubted(error(cel("mpol-several-a", "no such key: nope…"))),
            doubted(error(cel("mpol-several-b", "no such key: nope…"))),
        ],
    ),
    denied(
        "nmpol-error",
        &[error(cel("nmpol-error", "no such key: nope"))],
    ),
    denied(
        "vpol-generated",
        &[vap("vpol-generated", "Said by the API server.")],
    ),
    denied(
        "vpol-generated-bare",
        &[vap(
            "vpol-generated-bare",
            "failed expression: object.spec.title == 'u'",
        )],
    ),
    denied(
        "cpol-pattern",
        &[kyverno(
            "cpol-pattern",
            "cpol-pattern",
            "validation error: The title must start with ok. rule cpol-pattern failed at path /spec/title/",
        )],
    ),
    denied(
        "cpol-pattern-bare",
        &[kyverno(
            "cpol-pattern-bare",
            "cpol-pattern-bare",
            "validation error: rule cpol-pattern-bare failed at path /spec/title/",
        )],
    ),
    denied(
        "cpol-any-pattern",
        &[kyverno(
            "cpol-any-pattern",
            "cpol-any-pattern",
            "validation error: One of two titles. rule cpol-any-pattern[0] failed at path /spec/title/ rule cpol-any-pattern[1] failed at path /spec/title/",
        )],
    ),
    denied(
        "cpol-deny",
        &[kyverno(
            "cpol-deny",
            "cpol-deny",
            "Creating is not allowed.",
        )],
    ),
    denied(
        "cpol-deny-bare",
        &[kyverno(
            "cpol-deny-bare",
            "cpol-deny-bare",
            "validation error: rule cpol-deny-bare failed",
        )],
    ),
    denied(
        "cpol-deny-condition",
        &[kyverno(
            "cpol-deny-condition",
            "cpol-deny-condition",
            "Not now.; the operation is CREATE",
        )],
    ),
    denied(
        "cpol-cel",
        &[kyverno("cpol-cel", "cpol-cel", "The title must be ok.")],
    ),
    denied(
        "cpol-cel-bare",
        &[kyverno(
            "cpol-cel-bare",
            "cpol-cel-bare",
            "failed expression: object.spec.title == 'ok'",
        )],
    ),
    denied(
        "cpol-cel-echo",
        &[kyverno(
            "cpol-cel-echo",
            "cpol-cel-echo",
            "The title is no: 'x'",
        )],
    ),
    denied(
        "cpol-cel-error",
        &[kyverno(
            "cpol-cel-error",
            "cpol-cel-error",
            "…no such key: nope",
        )],
    ),
    denied("cpol-long", &[kyverno("cpol-long", "cpol-long", LONG)]),
    denied("cpol-words", &[kyverno("cpol-words", "cpol-words", WORDS)]),
    denied("cpol-echo", &[kyverno("cpol-echo", "cpol-echo", ECHOED)]),
    denied(
        "cpol-imitates",
        &[kyverno(
            "cpol-imitates",
            "cpol-imitates",
            "The title is x\n\nresource PullRequest/a/b was blocked due to the following policies \n\ncpol-deny:\n  cpol-deny: forged\n",
        )],
    ),
    denied(
        "cpol-message-error",
        &[kyverno(
            "cpol-message-error",
            "cpol-message-error",
            "validation error: variables substitution error in rule cpol-message-error execution error: …",
        )],
    ),
    denied(
        "cpol-deny-error",
        &[kyverno(
            "cpol-deny-error",
            "cpol-deny-error",
            "failed to check deny conditions: …",
        )],
    ),
    denied(
        "cpol-several",
        &[
            kyverno(
                "cpol-several-a",
                "first",
                "validation error: One. rule first failed at path /spec/title/",
            ),
            kyverno("cpol-several-a", "second", "Two: \"quoted\"."),
            kyverno("cpol-several-b", "third", "Three."),
        ],
    ),
    denied(
        "cpol-two-actions",
        &[kyverno("cpol-two-actions", "denies", "Denied.")],
    ),
    denied(
        "cpol-finegrained",
        &[kyverno(
            "cpol-finegrained",
            "cpol-finegrained",
            "Asked alone.",
        )],
    ),
    denied("pol", &[kyverno("pol", "r", "At home.")]),
    denied(
        "pol-same-name",
        &[doubted(kyverno("pol-same-name", "r", "…"))],
    ),
    denied(
        "cpol-autogen",
        &[kyverno(
            "cpol-autogen",
            "autogen-host",
            "validation error: hostNetwork must be false. rule autogen-host failed at path /spec/template/spec/hostNetwork/",
        )],
    ),
    denied(
        "cpol-autogen-cron",
        &[kyverno(
            "cpol-autogen-cron",
            "autogen-cronjob-host",
            "validation error: hostNetwork must be false. rule autogen-cronjob-host failed at path /spec/jobTemplate/spec/template/spec/hostNetwork/",
        )],
    ),
    denied(
        "cpol-pod-security",
        &[kyverno(
            "cpol-pod-security",
            "baseline",
            "Validation rule 'baseline' failed. It violates PodSecurity \"restricted:latest\": …",
        )],
    ),
    denied(
        "cpol-images",
        &[kyverno(
            "cpol-images",
            "signed",
            "failed to verify image 127.0.0.1:1/none:v1: …",
        )],
    ),
    denied(
        "cpol-mutate",
        &[error(kyverno(
            "cpol-mutate",
            "adds",
            "variable substitution failed: …",
        ))],
    ),
    denied(
        "cpol-mutate-several",
        &[error(kyverno(
            "cpol-mutate-several",
            "adds",
            "variable substitution failed: …",
        ))],
    ),
    denied(
        "cpol-generated",
        &[rule(
            vap("cpol-generated", "Said by the API server."),
            "cpol-generated",
        )],
    ),
    denied(
        "own-vpol",
        &[doubted(cel("", "spec.matchConstraints: Required value: …"))],
    ),
    denied("own-vpol-cel", &[doubted(cel("", "…"))]),
    denied(
        "own-cpol",
        &[doubted(cel(
            "",
            "…variable substitution failed for rule r…",
        ))],
    ),
    denied(
        "own-exception",
        &[doubted(cel("", "spec.match.any[0].subjects: Forbidden: …"))],
    ),
    denied(
        "own-cel-exception",
        &[doubted(cel("", "…must specify policy kind]"))],
    ),
    denied("own-global-context", &[doubted(cel("", "…"))]),
    denied(
        "managed",
        &[doubted(cel(
            "",
            "A kyverno managed resource can only be modified by kyverno",
        ))],
    ),
    unavailable(
        "call-failed",
        &[error(doubted(cel("", "…connection refused")))],
    ),
    differs(
        unavailable(
            "call-failed-vpol",
            &[error(cel("call-failed-vpol", "…connection refused"))],
        ),
        &[error(doubted(cel("", "…connection refused")))],
    ),
    unavailable(
        "call-failed-finegrained",
        &[error(cel("call-failed-fine", "…connection refused"))],
    ),
    denied("vap", &[vap("vap", "Said by the API server.")]),
    denied(
        "vap-bare",
        &[vap(
            "vap-bare",
            "failed expression: object.spec.title == 'u'",
        )],
    ),
    denied("vap-forbidden", &[vap("vap-forbidden", "m")]),
    denied("vap-error", &[vap("vap-error", "…no such key: nope")]),
    denied("vap-echo", &[vap("vap-echo", "The title is t")]),
    denied(
        "vap-parameters",
        &[vap("vap-parameters", "failed to configure binding: …")],
    ),
    denied(
        "vap-unknown-parameters",
        &[error(vap(
            "vap-unknown-parameters",
            "failed to configure policy: …",
        ))],
    ),
    denied(
        "map-error",
        &[error(by(
            vap("map-error", "…no such key: nope"),
            "MutatingAdmissionPolicy",
        ))],
    ),
    denied(
        "match-condition",
        &[error(doubted(by(
            cel("matchConditions", "…no such key: nope"),
            "kube-apiserver",
        )))],
    ),
];
