//! What is refused, and how: always as a Status.

use super::super::world::{World, asked, id};
use super::{ACME, V1, court, failed};
use axum::body::Body;
use http::{HeaderValue, Method, Request};

#[tokio::test]
async fn every_write_is_refused_and_says_that_the_record_is_read_only() {
    let world = court();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let mut request = asked("admin", &format!("{ACME}/denials/{}", id(0)))
            .body(Body::empty())
            .unwrap();
        *request.method_mut() = method.clone();
        let answer = world.proxied("docket-webhook", request).await;
        let message = failed(&answer, 405, "MethodNotAllowed");
        assert!(message.contains("read-only"), "{method}: {message}");
        assert_eq!(answer.headers["allow"], "GET");
    }
    for resource in ["summaries", "laws"] {
        let answer = world
            .kube("admin", &format!("{V1}/{resource}?watch=true"))
            .await;
        failed(&answer, 405, "MethodNotAllowed");
    }
}

#[tokio::test]
async fn only_the_certificate_of_the_webhook_may_say_who_asks() {
    let world = court();
    let request = || {
        asked("admin", &format!("{V1}/denials"))
            .body(Body::empty())
            .unwrap()
    };
    for peer in ["kube-apiserver", "docket-webhook.evil", ""] {
        let answer = world.proxied(peer, request()).await;
        let message = failed(&answer, 403, "Forbidden");
        assert!(message.contains("docket-webhook"), "{message}");
    }
    // Without any certificate at all.
    let answer = tower::ServiceExt::oneshot(world.aggregated.clone(), request())
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(
        world.metric("refused_identities_total{cause=\"untrusted\"}"),
        4.0
    );
    assert_eq!(world.proxied("docket-webhook", request()).await.status, 200);
}

#[tokio::test]
async fn a_request_that_names_no_user_is_nobodys() {
    let world = court();
    let nobody = Request::get(format!("{V1}/denials"))
        .header("x-remote-group", "system:masters")
        .header("authorization", "Bearer token-of-admin");
    let answer = world
        .proxied("docket-webhook", nobody.body(Body::empty()).unwrap())
        .await;
    failed(&answer, 401, "Unauthorized");
    let mut twice = asked("anna", &format!("{V1}/denials"))
        .body(Body::empty())
        .unwrap();
    twice
        .headers_mut()
        .append("x-remote-user", HeaderValue::from_static("admin"));
    failed(
        &world.proxied("docket-webhook", twice).await,
        401,
        "Unauthorized",
    );
    assert_eq!(
        world.metric("refused_identities_total{cause=\"unreadable\"}"),
        2.0
    );
}

#[tokio::test]
async fn the_rest_door_believes_no_header_about_who_asks() {
    let world = court();
    let request =
        asked("admin", "/api/policy-denials").header("authorization", "Bearer token-of-anna");
    let answer = world.request(request).await;
    assert_eq!(answer.positions(), [2, 1, 0]);
    let alone = world.request(asked("admin", "/api/policy-denials")).await;
    alone.refused(401, "unauthorized");
}

#[tokio::test]
async fn unknown_selectors_and_parameters_are_refused_with_what_is_allowed() {
    let world = court();
    for (query, named, allowed) in [
        (
            "fieldSelector=colour%3Dred",
            "colour",
            "metadata.name, metadata.namespace",
        ),
        (
            "fieldSelector=spec.nodeName%3Da",
            "spec.nodeName",
            "since, until, namespace",
        ),
        (
            "fieldSelector=policy%21%3Da",
            "policy",
            "!= is not answered",
        ),
        (
            "fieldSelector=verdict%3Dmaybe",
            "verdict",
            "denied, unavailable",
        ),
        (
            "fieldSelector=policy%3Da,policy%3Db",
            "policy",
            "given once",
        ),
        ("labelSelector=app%3Dweb", "app", "docket.a5c.ai/verdict"),
        ("labelSelector=policy%20in%20(", "policy", "KEY in (A,B)"),
        ("colour=red", "colour", "labelSelector"),
        ("limit=x", "limit", "a number"),
    ] {
        for watch in ["", "&watch=true"] {
            let answer = world
                .kube("anna", &format!("{ACME}/denials?{query}{watch}"))
                .await;
            let message = failed(&answer, 400, "BadRequest");
            assert!(
                message.contains(named) && message.contains(allowed),
                "{query}: {message}"
            );
        }
    }
}

#[tokio::test]
async fn a_name_out_of_scope_and_one_that_never_was_are_told_alike() {
    let world = court();
    for name in [id(3), id(4), id(99), "short".into(), "a".repeat(60)] {
        let answer = world.kube("anna", &format!("{ACME}/denials/{name}")).await;
        let message = failed(&answer, 404, "NotFound");
        assert_eq!(
            message,
            format!("denials.docket.a5c.ai \"{name}\" not found")
        );
    }
    let globex = format!("{V1}/namespaces/krate-org-globex/denials/{}", id(3));
    failed(&world.kube("anna", &globex).await, 403, "Forbidden");
    for path in ["denials/x", "namespaces/a/pods", "watch/denials", ""] {
        let answer = world.kube("admin", &format!("{V1}/{path}")).await;
        failed(&answer, 404, "NotFound");
    }
}

#[tokio::test]
async fn a_form_that_is_not_spoken_is_not_acceptable() {
    let world = court();
    let request = asked("anna", &format!("{ACME}/denials"))
        .header("accept", "application/vnd.kubernetes.protobuf")
        .body(Body::empty())
        .unwrap();
    let answer = world.proxied("docket-webhook", request).await;
    let message = failed(&answer, 406, "NotAcceptable");
    assert!(message.contains("application/json"), "{message}");
}

#[tokio::test]
async fn an_api_server_that_cannot_be_asked_makes_nobody_wait_long() {
    let world = court();
    world.cluster.change(|cluster| cluster.down = true);
    let answer = world.kube("anna", &format!("{ACME}/denials")).await;
    failed(&answer, 503, "ServiceUnavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["details"]["retryAfterSeconds"], 1);
    let busy = World::with(|settings| settings.at_once = 0);
    let answer = busy.kube("admin", &format!("{V1}/denials")).await;
    failed(&answer, 503, "ServiceUnavailable");
    let full = World::with(|settings| settings.streams = 0);
    let answer = full.kube("admin", &format!("{V1}/denials?watch=1")).await;
    failed(&answer, 503, "ServiceUnavailable");
}
