use super::*;
use crate::denial::Grade;
use crate::policies::Policy;
use proptest::prelude::*;

fn pull_request(name: &'static str) -> Named<'static> {
    Named {
        api_version: "krate.a5c.ai/v1alpha1",
        kind: "PullRequest",
        namespace: "krate-org-acme",
        name,
        uid: "u1",
    }
}

fn policy(kind: &str, name: &str, enforces: bool) -> Policy {
    Policy {
        kind: kind.into(),
        name: name.into(),
        uid: "p1".into(),
        enforces,
        covers: vec![("krate.a5c.ai".into(), "pullrequests".into())],
        law_id: "law1".into(),
        messages: Some(vec!["Say ok.".into()]),
        ..Policy::default()
    }
}

fn list(policies: Vec<Policy>) -> PolicyList {
    PolicyList {
        policies,
        synced: true,
        ..PolicyList::default()
    }
}

fn vpol_event(note: &str) -> Event<'_> {
    Event {
        uid: "e1",
        namespace: "default",
        name: "needs-ok.18a",
        controller: CONTROLLER,
        reason: REASON,
        regarding: Named {
            api_version: "policies.kyverno.io/v1beta1",
            kind: "ValidatingPolicy",
            namespace: "",
            name: "needs-ok",
            uid: "p1",
        },
        related: Some(pull_request("pr-3")),
        note,
        time: "2026-11-22T10:00:00.5Z".parse().unwrap(),
    }
}

const NOTE: &str = "PullRequest krate-org-acme/pr-3: fail (blocked); Say ok.";

#[test]
fn a_note_is_read_by_its_own_resource() {
    let about = pull_request("pr-3");
    let read = note(NOTE, &about).unwrap();
    assert_eq!((read.rule, read.result, read.blocked), (None, "fail", true));
    assert_eq!((read.message, read.cut), ("Say ok.", false));
    // From Kyverno's own tests (events-assert.yaml), cluster-scoped, with a rule.
    let namespace = Named {
        kind: "Namespace",
        name: "bad-ns-1",
        ..Named::default()
    };
    let text = "Namespace bad-ns-1: [require-ns-purpose-label] fail (blocked); validation error: You \
                must have label: x; and y. rule r failed at path /metadata/labels/purpose/";
    let read = note(text, &namespace).unwrap();
    assert_eq!(read.rule, Some("require-ns-purpose-label"));
    assert!(read.message.starts_with("validation error") && read.message.ends_with("purpose/"));
    let audit = note(
        "PullRequest krate-org-acme/pr-3: error; it broke\nin two",
        &about,
    )
    .unwrap();
    assert_eq!((audit.result, audit.blocked), ("error", false));
    assert_eq!(audit.message, "it broke\nin two");
    assert_eq!(
        note("PullRequest krate-org-acme/pr-3: fail", &about)
            .unwrap()
            .message,
        ""
    );
}

#[test]
fn other_notes_and_other_resources_are_not_read() {
    let about = pull_request("pr-3");
    for text in [
        "",
        "resource PullRequest/krate-org-acme/pr-3 was skipped from policy rule p/r",
        "policy needs-ok/ fail: Say ok.",
        "PullRequest krate-org-acme/pr-3: pass",
        "PullRequest krate-org-acme/pr-3: failed",
        "PullRequest krate-org-acme/pr-3: fail (blocked) and more",
        "PullRequest krate-org-acme/pr-3: [rule fail (blocked); x",
        "PullRequest krate-org-acme/pr-33: fail (blocked); x",
        "PullRequest krate-org-globex/pr-3: fail (blocked); x",
        "PullRequest pr-3: fail (blocked); x",
    ] {
        assert_eq!(note(text, &about), None, "{text}");
    }
}

#[test]
fn a_name_that_imitates_a_note_does_not_move_it() {
    let about = Named {
        name: "x: fail (blocked); Say",
        ..pull_request("")
    };
    let text = "PullRequest krate-org-acme/x: fail (blocked); Say: [r] error (blocked); Real.";
    let read = note(text, &about).unwrap();
    assert_eq!(
        (read.rule, read.result, read.message),
        (Some("r"), "error", "Real.")
    );
}

#[test]
fn a_policy_that_denied_is_exact_by_the_law() {
    let policies = list(vec![policy("ValidatingPolicy", "needs-ok", true)]);
    let seen = read(&vpol_event(NOTE), &policies).unwrap();
    assert_eq!(seen.attribution.grade, Some(Grade::Exact));
    assert_eq!(seen.attribution.laws, ["law1"]);
    assert_eq!(seen.attribution.source, SOURCE);
    assert_eq!(
        (seen.group.as_str(), seen.resource.as_str()),
        ("krate.a5c.ai", "pullrequests")
    );
    assert_eq!(
        (seen.name.as_str(), seen.message.as_str()),
        ("pr-3", "Say ok.")
    );
    assert_eq!(seen.event, "default/needs-ok.18a");
}

#[test]
fn blocked_is_not_believed_of_a_policy_that_refuses_nothing() {
    let policies = list(vec![
        policy("ValidatingPolicy", "needs-ok", false),
        policy("ValidatingPolicy", "other", true),
    ]);
    assert_eq!(
        read(&vpol_event(NOTE), &policies),
        Err(Ignored::NotEnforcing)
    );
    // Changed at about that time: either version may have been in force.
    let both = list(vec![
        policy("ValidatingPolicy", "needs-ok", false),
        policy("ValidatingPolicy", "needs-ok", true),
    ]);
    let seen = read(&vpol_event(NOTE), &both).unwrap();
    assert_eq!(seen.attribution.grade, Some(Grade::Ambiguous));
    // A legacy policy's own word stands against a list that may be behind.
    let mut legacy = vpol_event("PullRequest krate-org-acme/pr-3: [r] fail (blocked); No.");
    legacy.regarding.api_version = "kyverno.io/v1";
    legacy.regarding.kind = "ClusterPolicy";
    let policies = list(vec![policy("ClusterPolicy", "needs-ok", false)]);
    let seen = read(&legacy, &policies).unwrap();
    assert_eq!(seen.attribution.rule.as_deref(), Some("r"));
    assert_eq!(
        seen.attribution.doubt,
        "the policy, as known, does not refuse"
    );
}

#[test]
fn a_policy_that_is_gone_or_was_made_again_is_ambiguous() {
    let seen = read(&vpol_event(NOTE), &list(Vec::new())).unwrap();
    assert_eq!(
        seen.attribution.doubt,
        "no such policy was known at the time"
    );
    let mut again = policy("ValidatingPolicy", "needs-ok", true);
    again.uid = "p2".into();
    let seen = read(&vpol_event(NOTE), &list(vec![again])).unwrap();
    assert_eq!(
        seen.attribution.doubt,
        "the policy was deleted and made again since"
    );
}

#[test]
fn what_does_not_speak_of_a_refusal_is_passed_over() {
    let policies = list(vec![policy("ValidatingPolicy", "needs-ok", true)]);
    let event = vpol_event(NOTE);
    let cases: [(Event<'_>, Ignored); 7] = [
        (
            Event {
                controller: "kyverno-scan",
                ..event
            },
            Ignored::Foreign,
        ),
        (
            Event {
                reason: "PolicyApplied",
                ..event
            },
            Ignored::Foreign,
        ),
        (
            Event {
                related: None,
                ..event
            },
            Ignored::OtherForm,
        ),
        (
            Event {
                regarding: Named {
                    kind: "MutatingPolicy",
                    ..event.regarding
                },
                ..event
            },
            Ignored::OtherForm,
        ),
        // A tenant's own Event about a policy of the cluster.
        (
            Event {
                namespace: "krate-org-acme",
                ..event
            },
            Ignored::Misplaced,
        ),
        (
            Event {
                note: "PullRequest a/b: fail (blocked)",
                ..event
            },
            Ignored::Unreadable,
        ),
        (
            Event {
                note: "PullRequest krate-org-acme/pr-3: fail; x",
                ..event
            },
            Ignored::NotBlocked,
        ),
    ];
    for (event, why) in cases {
        assert_eq!(read(&event, &policies), Err(why));
    }
}

#[test]
fn a_namespaced_policy_speaks_from_its_own_namespace() {
    let own = Policy {
        namespace: "krate-org-acme".into(),
        ..policy("NamespacedValidatingPolicy", "needs-ok", true)
    };
    let mut event = vpol_event(NOTE);
    event.regarding.kind = "NamespacedValidatingPolicy";
    event.regarding.namespace = "krate-org-acme";
    event.namespace = "krate-org-acme";
    let seen = read(&event, &list(vec![own])).unwrap();
    assert_eq!(seen.attribution.grade, Some(Grade::Exact));
    assert_eq!(
        seen.attribution.policy_namespace.as_deref(),
        Some("krate-org-acme")
    );
    event.namespace = "default";
    assert_eq!(read(&event, &list(Vec::new())), Err(Ignored::Misplaced));
}

#[test]
fn a_note_cut_inside_a_character_is_read_up_to_it() {
    let mut long = policy("ValidatingPolicy", "needs-ok", true);
    let text = format!("Say ok.{}", "é".repeat(600));
    long.messages = Some(vec![text.clone()]);
    let policies = list(vec![long]);
    let whole = NOTE.replace("Say ok.", &text);
    // As Kyverno cuts, and as the API server shows what is no UTF-8.
    let cut = format!("{}...", String::from_utf8_lossy(&whole.as_bytes()[..CUT]));
    assert!(cut.contains('\u{fffd}'), "the cut tears a character");
    let seen = read(&vpol_event(&cut), &policies).unwrap();
    assert!(seen.message.starts_with("Say ok.é") && seen.message.ends_with("..."));
    // Cut before the verdict: nothing is guessed.
    let head = format!("{}...", &whole[..20]);
    assert_eq!(
        read(&vpol_event(&head), &policies),
        Err(Ignored::Unreadable)
    );
}

#[test]
fn a_message_that_may_echo_the_object_is_not_kept() {
    let mut computed = policy("ValidatingPolicy", "needs-ok", true);
    computed.messages = None;
    let seen = read(&vpol_event(NOTE), &list(vec![computed])).unwrap();
    assert_eq!(seen.message, "");
    assert_eq!(seen.attribution.grade, Some(Grade::Exact));
    let other = NOTE.replace("Say ok.", "token hunter2 is too short");
    let fixed = list(vec![policy("ValidatingPolicy", "needs-ok", true)]);
    assert_eq!(read(&vpol_event(&other), &fixed).unwrap().message, "");
}

proptest! {
    #[test]
    fn what_kyverno_writes_is_read_back(
        namespace in "[a-z]{0,8}",
        name in "[a-z][-a-z0-9.]{0,20}",
        rule in proptest::option::of("[a-zA-Z0-9 _-]{1,63}"),
        error in any::<bool>(),
        blocked in any::<bool>(),
        message in "\\PC{0,80}",
    ) {
        let about = Named { kind: "Job", namespace: &namespace, name: &name, ..Named::default() };
        let mut text = match namespace.as_str() {
            "" => format!("Job {name}: "),
            _ => format!("Job {namespace}/{name}: "),
        };
        if let Some(rule) = &rule {
            text += &format!("[{rule}] ");
        }
        text += if error { "error" } else { "fail" };
        if blocked {
            text += " (blocked)";
        }
        if !message.is_empty() {
            text += &format!("; {message}");
        }
        let read = note(&text, &about).unwrap();
        prop_assert_eq!(read.rule, rule.as_deref());
        prop_assert_eq!(read.result, if error { "error" } else { "fail" });
        prop_assert_eq!((read.blocked, read.message), (blocked, message.as_str()));
    }

    #[test]
    fn any_text_is_read_or_not_and_never_more(text in "\\PC{0,200}", name in "\\PC{0,40}") {
        let about = Named { kind: "Job", name: &name, ..Named::default() };
        if let Some(read) = note(&text, &about) {
            prop_assert!(text.ends_with(read.message));
        }
    }
}
