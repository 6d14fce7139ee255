mod failures;

use super::*;
use crate::audit::Cut;
use jiff::SignedDuration;

fn event(code: u16, reason: &str, message: Option<&str>) -> AuditEvent {
    AuditEvent {
        stage: "ResponseComplete".into(),
        verb: "create".into(),
        response_status: Some(Status {
            code,
            reason: reason.into(),
            message: message.map(|text| Cut::at(text, Cut::MESSAGE_LIMIT)),
            ..Status::default()
        }),
        ..AuditEvent::default()
    }
}

/// Verdict and speaker, or the count, in one word each.
fn word(event: &AuditEvent, called: Called) -> String {
    match judge(event, called) {
        Judgement::Counted(why) => why.label().to_owned(),
        Judgement::Record(verdict, refusal) => {
            let speaker = format!("{refusal:?}");
            let speaker = speaker.split([' ', '{']).next().unwrap_or("").to_owned();
            format!("{verdict:?} {speaker}")
        }
    }
}

fn text(code: u16, reason: &str, message: &str) -> String {
    word(&event(code, reason, Some(message)), Called::default())
}

const WITNESSED: Called = Called {
    witnessed: true,
    reached_final: false,
    tried: false,
};
const FINAL_TOO: Called = Called {
    witnessed: true,
    reached_final: true,
    tried: false,
};

#[test]
fn every_class_of_refusal_is_told_by_its_anchor() {
    let cases = [
        (
            400,
            "",
            "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: Policy a failed: m",
            "Denied Webhook",
        ),
        (
            403,
            "Forbidden",
            "admission webhook \"validation.gatekeeper.sh\" denied the request: [x] no",
            "Denied Webhook",
        ),
        (
            401,
            "",
            "admission webhook \"a.b.c\" denied the request without explanation",
            "Denied Webhook",
        ),
        (
            409,
            "Conflict",
            "admission webhook \"a.b.c\" denied the request: no",
            "Denied Webhook",
        ),
        (
            400,
            "BadRequest",
            "admission webhook \"a.b.c\" does not support dry run",
            "Denied NoDryRun",
        ),
        (
            500,
            "",
            "admission webhook \"a.b.c\" attempted to modify the object, which is not supported for this operation",
            "Unavailable CallFailed",
        ),
        (
            500,
            "InternalError",
            "Internal error occurred: failed calling webhook \"a.b.c\": failed to call webhook: x",
            "Unavailable CallFailed",
        ),
        (
            422,
            "Invalid",
            "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: ValidatingAdmissionPolicy 'v' with binding 'b' denied request: m",
            "Denied Vap",
        ),
        (
            401,
            "Unauthorized",
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'v' denied request: failed to configure policy: e",
            "Denied Vap",
        ),
        (
            403,
            "Invalid",
            "policy 'm' with binding 'b' denied request: e",
            "Denied Map",
        ),
        (
            403,
            "Forbidden",
            "policy \"m\" denied request: e",
            "Denied Map",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
            "Denied Plugin",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": privileged",
            "Denied Plugin",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2]",
            "Denied Plugin",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: error looking up service account n/s: serviceaccount \"s\" not found",
            "Denied Plugin",
        ),
        (
            403,
            "Forbidden",
            "deployments.apps \"d\" is forbidden: expression '2 / 0 == 1' resulted in error: division by zero",
            "Denied MatchCondition",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: some plugin of your own",
            "Denied Forbidden",
        ),
        (403, "Forbidden", "no form at all", "Denied Other"),
        (418, "", "teapot", "Denied Other"),
        (
            403,
            "Forbidden",
            "pullrequests.krate.a5c.ai \"x\" is forbidden: User \"bob\" cannot create resource \"pullrequests\" in API group \"krate.a5c.ai\" in the namespace \"n\"",
            "forbidden",
        ),
        (
            403,
            "Forbidden",
            "pullrequests.krate.a5c.ai is forbidden: User \"bob\" cannot create resource \"pullrequests\" in API group \"krate.a5c.ai\" in the namespace \"n\"",
            "forbidden",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: unable to create new content in namespace n because it is being terminated",
            "terminating",
        ),
        (
            403,
            "Forbidden",
            "x.krate.a5c.ai \"p\" is forbidden: create not allowed while custom resource definition is terminating",
            "terminating",
        ),
        (
            403,
            "Forbidden",
            "pods \"p\" is forbidden: not yet ready to handle request",
            "not_ready",
        ),
        (
            422,
            "Invalid",
            "PullRequest.krate.a5c.ai \"x\" is invalid: spec.title: Required value",
            "invalid",
        ),
        (
            400,
            "BadRequest",
            "PullRequest in version \"v1alpha1\" cannot be handled as a PullRequest: strict decoding error: unknown field \"x\"",
            "invalid",
        ),
        (
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format",
            "invalid",
        ),
        (404, "NotFound", "namespaces \"n\" not found", "not_found"),
        (
            409,
            "AlreadyExists",
            "pullrequests.krate.a5c.ai \"x\" already exists",
            "conflict",
        ),
        (401, "Unauthorized", "Unauthorized", "unauthenticated"),
        (
            429,
            "TooManyRequests",
            "too many requests",
            "too_many_requests",
        ),
        (503, "ServiceUnavailable", "down", "not_ready"),
        (
            504,
            "Timeout",
            "Timeout: request did not complete within requested timeout - context deadline exceeded",
            "timed_out",
        ),
        (201, "", "", "admitted"),
    ];
    for (code, reason, message, wanted) in cases {
        assert_eq!(text(code, reason, message), wanted, "{code} {message}");
    }
}

#[test]
fn a_requesters_name_never_reaches_an_anchor() {
    // Names are quoted as Go quotes; what looks like an anchor is inside the quotes.
    for name in [
        r#"x\" is forbidden: User \"a\" cannot b"#,
        r#"x\" is invalid: "#,
        r#"x\\\" is forbidden: unable to create new content in namespace "#,
    ] {
        let message = format!("pods \"{name}\" is forbidden: exceeded quota: q");
        assert_eq!(
            text(403, "Forbidden", &message),
            "Denied Plugin",
            "{message}"
        );
    }
    let message = "PullRequest.krate.a5c.ai \"admission webhook \\\"a.b.c\\\" denied the request: x\" is invalid: y";
    assert_eq!(text(422, "Invalid", message), "invalid");
}

#[test]
fn a_name_that_fills_the_text_hides_no_refusal() {
    let name = "n".repeat(200_000);
    for (message, wanted) in [
        (
            format!("pods \"{name}\" is forbidden: exceeded quota: q"),
            "Denied Plugin",
        ),
        (
            format!("Pod \"{name}\" is invalid: metadata.name"),
            "invalid",
        ),
    ] {
        let code = if wanted == "invalid" { 422 } else { 403 };
        let reason = if wanted == "invalid" {
            "Invalid"
        } else {
            "Forbidden"
        };
        let json = serde_json::json!({"stage": "ResponseComplete", "verb": "create",
            "responseStatus": {"code": code, "reason": reason, "message": message}});
        let event = AuditEvent::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(word(&event, Called::default()), wanted);
    }
}

#[test]
fn a_withheld_text_is_a_denial_only_after_the_final_hook() {
    assert_eq!(word(&event(400, "", None), FINAL_TOO), "Denied Withheld");
    assert_eq!(word(&event(400, "", None), WITNESSED), "Unknown Withheld");
    for code in [403, 409, 422] {
        assert_eq!(word(&event(code, "", None), FINAL_TOO), "Unknown Withheld");
    }
    assert_eq!(word(&event(404, "", None), WITNESSED), "not_found");
    let mut rbac = event(403, "", None);
    rbac.annotations
        .insert("authorization.k8s.io/decision".into(), "forbid".into());
    assert_eq!(word(&rbac, Called::default()), "forbidden");
}

#[test]
fn a_timeout_is_unknown_only_where_a_hook_of_ours_was_called() {
    let mut late = event(504, "Timeout", Some("Timeout: request did not complete"));
    assert_eq!(word(&late, WITNESSED), "Unknown TimedOut");
    late.annotations.insert(
        "failed-open.mutation.webhook.admission.k8s.io/round_0_index_0".into(),
        WITNESS.into(),
    );
    let tried = Called {
        tried: ours_tried(&late),
        ..Called::default()
    };
    assert_eq!(word(&late, tried), "Unknown TimedOut");
    assert!(ours_failed_open(&late));
    assert!(failed_open(&late).is_empty());
}

#[test]
fn an_event_without_an_end_is_unknown_where_we_were_called() {
    let mut panicked = event(500, "InternalError", Some("panic"));
    panicked.stage = "Panic".into();
    assert_eq!(word(&panicked, Called::default()), "Unknown Panic");
    let none = AuditEvent {
        response_status: None,
        ..event(0, "", None)
    };
    assert_eq!(word(&none, WITNESSED), "Unknown NoStatus");
    assert_eq!(word(&none, Called::default()), "admitted");
}

#[test]
fn a_skipped_hook_of_an_enforcer_is_a_pass() {
    let mut admitted = event(201, "", None);
    for (round, hook) in ["vpol.validate.kyverno.svc-ignore", FINAL]
        .iter()
        .enumerate()
    {
        let key = format!("failed-open.validating.webhook.admission.k8s.io/round_0_index_{round}");
        admitted.annotations.insert(key, (*hook).into());
    }
    assert_eq!(word(&admitted, Called::default()), "FailedOpen FailedOpen");
    assert_eq!(failed_open(&admitted), ["vpol.validate.kyverno.svc-ignore"]);
}

#[test]
fn the_mutating_mark_says_that_we_were_called() {
    let mut event = event(400, "", None);
    let key = "mutation.webhook.admission.k8s.io/round_0_index_0";
    let mark = |hook: &str| {
        format!(r#"{{"configuration":"00-docket.a5c.ai","webhook":"{hook}","mutated":false}}"#)
    };
    event
        .annotations
        .insert(key.into(), mark("other.example.com"));
    assert!(!ours_tried(&event));
    event.annotations.insert(key.into(), mark(WITNESS));
    assert!(ours_tried(&event));
}

#[test]
fn the_governed_scope_is_writes_and_execs_in_the_named_groups() {
    let config = Config {
        cluster: "test".into(),
        krate_group: "krate.a5c.ai".into(),
        label_prefix: "krate.a5c.ai/".into(),
        org_namespace_prefix: "krate-org-".into(),
        clock_tolerance: SignedDuration::ZERO,
    };
    let cases = [
        ("create", "krate.a5c.ai", "pullrequests", "", "any", true),
        (
            "deletecollection",
            "krate.a5c.ai",
            "issues",
            "",
            "any",
            true,
        ),
        ("get", "krate.a5c.ai", "pullrequests", "", "any", false),
        ("get", "", "pods", "exec", "krate-org-a", true),
        ("get", "", "pods", "log", "krate-org-a", false),
        ("create", "", "pods", "", "kube-system", false),
        ("create", "", "configmaps", "", "krate-org-a", false),
        ("patch", "apps", "deployments", "", "krate-org-a", true),
        ("patch", "batch", "jobs", "", "default", false),
        ("update", "core.oam.dev", "applications", "", "x", true),
        ("update", "core.oam.dev", "workflows", "", "x", false),
        ("delete", "kyverno.io", "clusterpolicies", "", "", true),
        (
            "delete",
            "policies.kyverno.io",
            "validatingpolicies",
            "",
            "",
            true,
        ),
        (
            "delete",
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations",
            "",
            "",
            true,
        ),
        ("watch", "krate.a5c.ai", "pullrequests", "", "any", false),
    ];
    for (verb, group, resource, subresource, namespace, wanted) in cases {
        let glance = Glance {
            stage: "ResponseComplete".into(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
        };
        assert_eq!(governed(&glance, &config), wanted, "{glance:?}");
        let early = Glance {
            stage: "ResponseStarted".into(),
            ..glance
        };
        assert!(!governed(&early, &config));
    }
    assert!(has_hook(&config, "krate.a5c.ai", "pullrequests", "status"));
    assert!(has_hook(&config, "core.oam.dev", "applications", ""));
    assert!(!has_hook(&config, "", "pods", "exec"));
    assert!(!has_hook(&config, "kyverno.io", "clusterpolicies", ""));
}
