//! What a 5xx says that no enforcer's words begin, and what is answered behind the API
//! server.

use super::*;
use crate::audit::ObjectRef;

fn mutated(event: &mut AuditEvent, round: u32, index: u32, hook: &str, changed: bool) {
    event.annotations.insert(
        format!("mutation.webhook.admission.k8s.io/round_{round}_index_{index}"),
        format!(r#"{{"configuration":"c","webhook":"{hook}","mutated":{changed}}}"#),
    );
}

fn on(subresource: &str, event: AuditEvent) -> AuditEvent {
    AuditEvent {
        object_ref: Some(ObjectRef {
            resource: "pods".into(),
            subresource: subresource.into(),
            ..ObjectRef::default()
        }),
        ..event
    }
}

#[test]
fn the_api_servers_own_failures_are_no_refusals() {
    for message in [
        "etcdserver: request is too large",
        "etcdserver: mvcc: database space exceeded",
        "etcdserver: no space",
        "etcdserver: no leader",
        "etcdserver: not leader",
        "etcdserver: too many requests",
        "etcdserver: too many operations in txn request",
        "etcdserver: permission denied",
        "etcdserver: invalid auth token",
        "etcdserver: mvcc: required revision has been compacted",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (5 vs. 2)",
        "Internal error occurred: This pod has more than one PodDisruptionBudget, which the eviction \
         subresource does not support.",
        "Internal error occurred: unable to transform key \"/registry/x\": no key",
        "Internal error occurred: no namespace information found in request context",
        "unable to decode an event from the watch stream",
        "the server is currently unable to handle the request",
        "something that no one has said before",
    ] {
        for code in [500, 501, 502, 507] {
            assert_eq!(
                text(code, "InternalError", message),
                "server_error",
                "{message}"
            );
        }
    }
    assert_eq!(word(&event(502, "", None), WITNESSED), "server_error");
    for code in [503, 504] {
        let wanted = if code == 503 {
            "not_ready"
        } else {
            "timed_out"
        };
        for message in [
            "the server is currently unable to handle the request",
            "error trying to reach service: dial tcp 192.0.2.1:443: i/o timeout",
            "apiserver is shutting down",
        ] {
            assert_eq!(text(code, "", message), wanted, "{message}");
        }
    }
}

#[test]
fn what_a_storage_that_went_silent_was_sent_may_be_stored() {
    for message in [
        "etcdserver: request timed out",
        "etcdserver: request timed out, possibly due to previous leader failure",
        "etcdserver: request timed out, possibly due to connection lost",
        "etcdserver: request timed out, waiting for the applied index took too long",
        "etcdserver: leader changed",
        "etcdserver: server stopped",
        "etcdserver: request cancelled",
        "etcdserver: context deadline exceeded",
        "context deadline exceeded",
        "context canceled",
        "rpc error: code = Unavailable desc = transport is closing",
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "rpc error: code = Unknown desc = raft proposal dropped",
        "Internal error occurred: etcdserver: request timed out",
        "The create operation against pods could not be completed at this time, please try again.",
    ] {
        assert_eq!(
            text(500, "", message),
            "Unknown StorageTimedOut",
            "{message}"
        );
        let mut dry = event(500, "", Some(message));
        dry.request_uri = Cut::at("/api/v1/namespaces/n/pods?dryRun=All&x=y", Cut::LIMIT);
        assert_eq!(word(&dry, Called::default()), "server_error", "{message}");
    }
    // Of a client that gave up the API server says so itself, and knows whom it had asked.
    let late =
        "Timeout: request did not complete within requested timeout - context deadline exceeded";
    assert_eq!(text(504, "Timeout", late), "timed_out");
}

#[test]
fn a_hook_or_a_plugin_that_failed_judged_nothing() {
    for (message, wanted) in [
        (
            "Internal error occurred: failed calling admission webhook \"a.b.c\": Post https://x: no",
            "Unavailable CallFailed",
        ),
        (
            "Internal error occurred: admission webhook \"a.b.c\" attempted to modify the object, which is \
             not supported for this operation",
            "Unavailable CallFailed",
        ),
        (
            "Internal error occurred: ValidatingAdmissionWebhook/a.b.c has panicked: no",
            "Unavailable CallFailed",
        ),
        (
            "Internal error occurred: admission plugin \"MutatingAdmissionWebhook\" failed to complete \
             mutation in 13s",
            "Unavailable PluginFailed",
        ),
        (
            "Internal error occurred: admission plugin \"image.openshift.io/ImagePolicy\" failed to complete \
             validation in 13s",
            "Unavailable PluginFailed",
        ),
        (
            "Internal error occurred: resource quota evaluation timed out",
            "Unavailable PluginFailed",
        ),
        (
            "error matching scopes of quota q, err: no",
            "Unavailable PluginFailed",
        ),
        (
            "Internal error occurred: failed to lookup namespace \"n\"",
            "Unavailable PluginFailed",
        ),
        (
            "No API token found for service account \"default\", retry after the token is automatically \
             created and added to the service account",
            "Unavailable PluginFailed",
        ),
        (
            "conversion webhook for krate.a5c.ai/v1alpha1, Kind=PullRequest failed: Post \"https://x\": no",
            "Unavailable ConversionFailed",
        ),
        (
            "conversion webhook for krate.a5c.ai/v1, Kind=Job returned 0 objects, expected 1",
            "Unavailable ConversionFailed",
        ),
        (
            "Internal error occurred: conversion webhook for a/v1, Kind=B failed, no objects returned",
            "Unavailable ConversionFailed",
        ),
    ] {
        assert_eq!(text(500, "InternalError", message), wanted, "{message}");
    }
}

#[test]
fn a_patch_that_does_not_fit_is_a_hooks_and_the_last_one_called_is_a_guess() {
    for message in [
        "add operation does not apply: doc is missing path: \"/spec/volumes/0\": missing value",
        "replace operation does not apply: doc is missing key: /metadata/labels/x: missing value",
        "remove operation does not apply: doc is missing path: /spec/x",
        "jsonpatch add operation does not apply: doc is missing path: /metadata/annotations/team",
        "error in remove for path: '/spec/x': Unable to remove nonexistent key: x: missing value",
        "testing value /spec/x failed: test failed",
        "Unable to access invalid index: 3: invalid index referenced",
        "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    ] {
        let mut one = event(500, "InternalError", Some(message));
        assert_eq!(
            word(&one, Called::default()),
            "Unavailable PatchFailed",
            "{message}"
        );
        // A client's own patch would fail in these words, unwrapped.
        one.verb = "patch".into();
        assert_eq!(word(&one, Called::default()), "server_error", "{message}");
        for prefix in [
            "Internal error occurred: ",
            "Internal error occurred: Internal error occurred: ",
        ] {
            let mut one = event(500, "InternalError", Some(&format!("{prefix}{message}")));
            one.verb = "patch".into();
            assert_eq!(
                word(&one, Called::default()),
                "Unavailable PatchFailed",
                "{message}"
            );
        }
    }
    let guess = |calls: &[(u32, u32, &str, bool)]| {
        let mut one = event(
            500,
            "InternalError",
            Some("Internal error occurred: add operation does not apply: doc is missing path: /x"),
        );
        for (round, index, hook, changed) in calls {
            mutated(&mut one, *round, *index, hook, *changed);
        }
        match judge(&one, Called::default()) {
            Judgement::Record(_, Refusal::PatchFailed { last, .. }) => last.map(str::to_owned),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(guess(&[]), None);
    let (a, b) = ((0, 2, "a.b.c", false), (0, 10, "d.e.f", false));
    assert_eq!(guess(&[a, b]).as_deref(), Some("d.e.f"));
    assert_eq!(
        guess(&[b, (1, 0, "g.h.i", false)]).as_deref(),
        Some("g.h.i")
    );
    // One that changed the object was applied, and ours changes none.
    assert_eq!(guess(&[a, (0, 10, "d.e.f", true)]), None);
    assert_eq!(guess(&[a, (0, 10, WITNESS, false)]), None);
}

#[test]
fn what_a_hook_made_of_an_object_may_not_be_readable() {
    for message in [
        "Internal error occurred: invalid character 'p' looking for beginning of value",
        "Internal error occurred: v1.Pod.Spec: v1.PodSpec.Containers: []v1.Container: decode slice: expect \
         [ or n, but found {, error found in #10 byte of ...|tainers\":{}}}|...",
        "Internal error occurred: Object 'Kind' is missing in '{}'",
    ] {
        let mut one = event(500, "InternalError", Some(message));
        assert_eq!(
            word(&one, Called::default()),
            "server_error",
            "no hook was called"
        );
        mutated(&mut one, 0, 0, "a.b.c", false);
        assert_eq!(
            word(&one, Called::default()),
            "Unavailable PatchFailed",
            "{message}"
        );
    }
    let typed = "Internal error occurred: json: cannot unmarshal string into Go struct field \
                 PodSpec.spec.containers of type []v1.Container";
    assert_eq!(text(500, "InternalError", typed), "Unavailable PatchFailed");
    let clients = "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into \
                   Go struct field PodSpec.spec.containers of type []v1.Container";
    assert_eq!(text(400, "BadRequest", clients), "invalid");
}

#[test]
fn a_refusal_in_an_enforcers_words_is_one_whatever_its_code() {
    for code in [401, 404, 409, 429, 500, 502, 503, 504] {
        let said = "admission webhook \"a.b.c\" denied the request: no";
        assert_eq!(text(code, "", said), "Denied Webhook", "{code}");
    }
    for (message, plugin) in [
        (
            "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
            "ResourceQuota",
        ),
        (
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its \
             namespace whitelist",
            "PodTolerationRestriction",
        ),
    ] {
        let one = event(500, "", Some(message));
        let Judgement::Record(Verdict::Denied, Refusal::Plugin { plugin: named, .. }) =
            judge(&one, Called::default())
        else {
            panic!("{message}");
        };
        assert_eq!(named, plugin);
    }
}

#[test]
fn each_in_tree_plugin_is_known_by_its_first_words() {
    for (words, plugin) in [
        (
            "status unknown for quota: q, resources: pods",
            "ResourceQuota",
        ),
        ("failed quota: q: must specify limits.cpu", "ResourceQuota"),
        (
            "violates PodSecurity \"baseline:latest\": privileged",
            "PodSecurity",
        ),
        (
            "Minimum cpu usage per Pod is 1.  No request is specified.",
            "LimitRanger",
        ),
        (
            "cpu max limit to request ratio per Pod is 1, but provided ratio is 2.",
            "LimitRanger",
        ),
        (
            "unable to create pods at this time because there was an error enforcing limit ranges",
            "LimitRanger",
        ),
        (
            "service account n/s was not found, retry after the service account is created",
            "ServiceAccount",
        ),
        (
            "no API token found for service account n/s, retry",
            "ServiceAccount",
        ),
        (
            "node \"a\" can only delete pods with spec.nodeName set to itself",
            "NodeRestriction",
        ),
        (
            "unexpected pod subresource \"exec\", only 'status' and 'eviction' are allowed",
            "NodeRestriction",
        ),
        (
            "image policy webhook backend denied one or more images: no",
            "ImagePolicyWebhook",
        ),
        (
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
            "RuntimeClass",
        ),
        (
            "PodSecurityPolicy: unable to admit pod: []",
            "PodSecurityPolicy",
        ),
    ] {
        let message = format!("pods \"p\" is forbidden: {words}");
        let one = event(403, "Forbidden", Some(&message));
        let Judgement::Record(Verdict::Denied, Refusal::Plugin { plugin: named, .. }) =
            judge(&one, Called::default())
        else {
            panic!("{words}");
        };
        assert_eq!(named, plugin, "{words}");
    }
}

#[test]
fn what_stands_behind_a_connection_answers_for_itself() {
    for subresource in ["exec", "attach", "portforward", "proxy"] {
        for code in [400, 401, 403, 404, 422, 429, 500, 502, 503, 504] {
            let bare = on(subresource, event(code, "", None));
            assert_eq!(
                word(&bare, Called::default()),
                "backend",
                "{subresource} {code}"
            );
        }
        for message in [
            "error dialing backend: dial tcp 192.0.2.44:10250: connect: connection refused",
            "error dialing backend: remote error: tls: internal error",
            "error dialing backend: No agent available",
            "error trying to reach service: context deadline exceeded",
            "unable to upgrade connection: container not found (\"web\")",
        ] {
            for code in [500, 503] {
                let one = on(subresource, event(code, "", Some(message)));
                assert_eq!(word(&one, Called::default()), "backend", "{message}");
            }
        }
        for message in [
            "unable to upgrade connection: container not found (\"web\")",
            "unable to upgrade connection: Forbidden (user=kube-apiserver, verb=create)",
            "container web not found in pod web-0_krate-org-acme",
            "error dialing backend: no",
        ] {
            for code in [400, 403, 404] {
                let one = on(subresource, event(code, "", Some(message)));
                assert_eq!(word(&one, Called::default()), "backend", "{message}");
            }
        }
        // But who refuses the connection itself refuses it.
        let hook = "admission webhook \"a.b.c\" denied the request: no";
        let denied = on(subresource, event(400, "", Some(hook)));
        assert_eq!(word(&denied, Called::default()), "Denied Webhook");
        let call = "Internal error occurred: failed calling webhook \"a.b.c\": no";
        let failed = on(subresource, event(500, "InternalError", Some(call)));
        assert_eq!(word(&failed, Called::default()), "Unavailable CallFailed");
        let mut rbac = on(subresource, event(403, "", None));
        rbac.annotations
            .insert("authorization.k8s.io/decision".into(), "forbid".into());
        assert_eq!(word(&rbac, Called::default()), "forbidden");
    }
    // Any other subresource is the API server's own.
    for subresource in [
        "",
        "status",
        "scale",
        "eviction",
        "binding",
        "ephemeralcontainers",
        "resize",
    ] {
        let bare = on(subresource, event(403, "", None));
        assert_eq!(
            word(&bare, Called::default()),
            "Unknown Withheld",
            "{subresource}"
        );
        let failed = on(
            subresource,
            event(500, "", Some("error dialing backend: no")),
        );
        assert_eq!(
            word(&failed, Called::default()),
            "server_error",
            "{subresource}"
        );
    }
}
