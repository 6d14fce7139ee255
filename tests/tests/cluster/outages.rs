//! Parts that are away. Each test here takes a plane of its own and stops something.

use crate::common::{denied, entries, exactly, in_namespace, personal, public, pull_request};
use crate::common::{the_one, wants_ok};
use anyhow::Result;
use docket_ledger::entry::Class;
use docket_tests::{ControlPlane, Options, Part, eventually, on_shared_runtime};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn what_was_refused_while_a_part_was_away_is_on_record_as_what_it_was() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options::default()).await?;
        without_our_webhook(&plane).await?;
        with_an_enforcer_that_fails_open(&plane).await?;
        with_kyverno_away(&plane).await?;
        plane.stop();
        Ok(())
    });
}

/// The verdict is the API server's: without our hook the record is poorer, not absent.
async fn without_our_webhook(plane: &ControlPlane) -> Result<()> {
    let namespace = plane.org_namespace("unseen").await?;
    plane
        .apply_policies(&[wants_ok("unseen-description", &namespace)])
        .await?;
    plane.stop_part(Part::Webhook);
    denied(
        plane
            .create("alice", &pull_request(&namespace, "unseen", "no"))
            .await?,
    )?;
    plane
        .create("alice", &pull_request(&namespace, "fine", "ok"))
        .await?
        .accepted()?;
    let record = the_one(plane, &namespace).await?;
    assert_eq!(record["verdict"], "denied");
    assert_eq!(record["testimony"], "missing");
    assert_eq!(record["attributions"][0]["policy"], "unseen-description");
    // Our own hook failing open is no pass of an enforcer.
    let passes = entries(&plane.store(), Class::Pass)?;
    assert!(
        passes
            .iter()
            .all(|row| public(row)["namespace"] != namespace.as_str())
    );
    plane.start_part(Part::Webhook).await
}

async fn with_an_enforcer_that_fails_open(plane: &ControlPlane) -> Result<()> {
    let namespace = plane.org_namespace("open").await?;
    let hook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "quality-gate"},
        "webhooks": [{
            "name": "gate.quality.example",
            "clientConfig": {"url": "https://127.0.0.1:1/judge"},
            "rules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
                "operations": ["CREATE"], "resources": ["pullrequests"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": "Ignore", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
        }],
    });
    plane.apply_all(&[hook]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    plane
        .create("alice", &pull_request(&namespace, "lucky", "ok"))
        .await?
        .accepted()?;

    let pass = eventually("the pass is on record", Duration::from_secs(30), || async {
        let passes = entries(&plane.store(), Class::Pass)?;
        Ok(passes
            .into_iter()
            .find(|row| public(row)["namespace"] == namespace.as_str()))
    })
    .await?;
    let facts = public(&pass);
    assert_eq!(facts["verdict"], "failedOpen");
    assert_eq!(facts["attributions"][0]["webhook"], "gate.quality.example");
    assert_eq!(personal(&pass)["name"], "lucky");
    let denials = plane.denials(&in_namespace(&namespace)).await?;
    assert!(denials.is_empty(), "{denials:#?}");
    Ok(())
}

async fn with_kyverno_away(plane: &ControlPlane) -> Result<()> {
    let namespace = plane.org_namespace("away").await?;
    plane
        .apply_policies(&[wants_ok("away-description", &namespace)])
        .await?;
    plane.stop_part(Part::Kyverno);
    let reply = denied(
        plane
            .create("alice", &pull_request(&namespace, "stuck", "ok"))
            .await?,
    )?;
    assert_eq!(reply.code(), 500, "{}", reply.text);

    let record = the_one(plane, &namespace).await?;
    assert_eq!(record["verdict"], "unavailable");
    assert_eq!(record["attributions"][0]["enforcer"], "kyverno");
    assert_eq!(record["testimony"], "verified");
    plane.start_part(Part::Kyverno).await
}

#[test]
fn a_minute_without_the_reporter_loses_nothing() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options::default()).await?;
        let namespace = plane.org_namespace("patient").await?;
        plane
            .apply_policies(&[wants_ok("patient-description", &namespace)])
            .await?;
        plane.stop_part(Part::Reporter);
        let away = Instant::now();
        let mut refused = 0;
        while away.elapsed() < Duration::from_secs(60) {
            let object = pull_request(&namespace, &format!("late-{refused}"), "no");
            denied(plane.create("alice", &object).await?)?;
            refused += 1;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        plane.start_part(Part::Reporter).await?;
        // The last try of a batch comes up to 98 s after its first.
        eventually(
            "every refusal of that minute is on record",
            Duration::from_secs(150),
            || async {
                let found = plane.denials(&in_namespace(&namespace)).await?;
                Ok((found.len() >= refused).then_some(()))
            },
        )
        .await?;
        exactly(&plane, &in_namespace(&namespace), refused).await?;
        let verified = plane
            .docket(&["verify", "--store", &plane.store().display().to_string()])
            .await?;
        assert!(
            verified.status.success(),
            "{}",
            String::from_utf8_lossy(&verified.stdout)
        );
        plane.stop();
        Ok(())
    });
}

#[test]
fn an_event_that_the_api_server_dropped_leaves_a_gap_that_names_its_number() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options {
            truncate_audit_at: Some(102_400),
            number_wait: Duration::from_secs(5),
            ..Options::default()
        })
        .await?;
        let namespace = plane.org_namespace("dropped").await?;
        plane
            .apply_policies(&[wants_ok("dropped-description", &namespace)])
            .await?;
        let write = |name: &'static str, text: &'static str| pull_request(&namespace, name, text);
        plane
            .create("alice", &write("before", "ok"))
            .await?
            .accepted()?;
        let hidden = plane.creating_with_large_headers("alice", &write("hidden", "no"))?;
        denied(
            hidden
                .header("Audit-ID", "x".repeat(200_000))
                .send()
                .await?,
        )?;
        plane
            .create("alice", &write("after", "ok"))
            .await?
            .accepted()?;

        let gap = eventually("the gap is on record", Duration::from_secs(40), || async {
            let gaps = crate::common::gaps(&plane).await?;
            Ok(gaps
                .into_iter()
                .find(|gap| gap["cause"] == "numbers-missing"))
        })
        .await?;
        // Both our hooks had answered that one review each: two numbers, side by side.
        assert_eq!(gap["count"], 2, "{gap:#}");
        assert_eq!(gap["process"]["instance"], docket_tests::docket::WITNESS);
        let (first, last) = (gap["numbers"][0].as_u64(), gap["numbers"][1].as_u64());
        assert_eq!(first.map(|first| first + 1), last, "{gap:#}");
        assert!(plane.denials(&in_namespace(&namespace)).await?.is_empty());
        plane.stop();
        Ok(())
    });
}
