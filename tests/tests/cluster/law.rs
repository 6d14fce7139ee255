//! The law: versions of policies on record, who changed them, and what a denial points at.

use crate::common::{denied, entries, gaps, in_namespace, public, pull_request};
use crate::common::{refused, shared, the_one, wants_ok};
use anyhow::{Context as _, Result};
use docket_ledger::entry::Class;
use docket_tests::{ControlPlane, Options, Part, eventually, on_shared_runtime, users};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Versions of a policy, newest first, as the auditor reads them.
async fn history(plane: &ControlPlane, policy: &str) -> Result<Vec<Value>> {
    let token = plane.token(users::AUDITOR)?;
    let url = format!("{}/api/laws", plane.docket_url());
    let call = plane.http().get(url).query("policy", policy);
    let reply = call.token(&token).send().await?.expect_code(200)?;
    Ok(reply.body["items"].as_array().cloned().unwrap_or_default())
}

/// The newest version, once it is this change and (if asked for) someone is named for it.
async fn newest(plane: &ControlPlane, policy: &str, change: &str, named: bool) -> Result<Value> {
    let what = format!("{policy} is {change}");
    // The last try of a batch that found no reporter comes up to 98 s after its first.
    let patience = Duration::from_secs(if named { 150 } else { 40 });
    eventually(&what, patience, || async {
        let newest = history(plane, policy).await?.into_iter().next();
        Ok(newest.filter(|law| {
            law["change"] == change && (!named || law["changedBy"][0]["perhaps"] == false)
        }))
    })
    .await
}

async fn law_of(plane: &ControlPlane, denial: &Value) -> Result<Vec<Value>> {
    let token = plane.token(users::AUDITOR)?;
    let id = denial["id"].as_str().context("an id")?;
    let url = format!("{}/api/policy-denials/{id}/law", plane.docket_url());
    let reply = plane.http().get(url).token(&token).send().await?;
    let body = reply.expect_code(200)?.body;
    Ok(body["items"].as_array().cloned().unwrap_or_default())
}

/// Longer than the time within which two versions are both candidates.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(11)).await;
}

#[test]
fn a_switch_from_deny_to_audit_is_on_record_with_who_did_it_and_denials_keep_their_law() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("switched").await?;
        let policy = wants_ok("switched-description", &namespace);
        plane.apply_policies(std::slice::from_ref(&policy)).await?;
        let probe = pull_request(&namespace, "probe", "no");
        refused(plane, &probe).await?;
        let object = pull_request(&namespace, "first", "no");
        denied(plane.create("alice", &object).await?)?;
        let denial = the_one(plane, &namespace).await?;
        let attribution = &denial["attributions"][0];
        assert_eq!(attribution["grade"], "exact", "{attribution:#}");
        assert_eq!(attribution["laws"].as_array().map(Vec::len), Some(1));
        settle().await;

        let patch = json!({"spec": {"validationActions": ["Audit"]}});
        plane.patch("dana", &policy, &patch).await?.accepted()?;
        let law = newest(plane, "switched-description", "changed", true).await?;
        assert_eq!(law["summary"], json!(["validationActions: Deny → Audit"]));
        assert_eq!(
            law["changedBy"].as_array().map(Vec::len),
            Some(1),
            "{law:#}"
        );
        assert_eq!(law["changedBy"][0]["actor"], "dana");
        assert_eq!(law["enforces"], false);

        plane.delete("dana", &policy).await?.accepted()?;
        let gone = newest(plane, "switched-description", "deleted", true).await?;
        assert_eq!(gone["changedBy"][0]["actor"], "dana");
        assert_eq!(gone["previous"], law["id"]);
        // The denial still points at the text by which it was judged.
        let texts = law_of(plane, &denial).await?;
        assert_eq!(texts.len(), 1);
        assert_eq!(texts[0]["id"], denial["attributions"][0]["laws"][0]);
        assert_eq!(
            texts[0]["text"]["spec"]["validationActions"],
            json!(["Deny"])
        );
        Ok(())
    });
}

#[test]
fn a_denial_of_the_moment_of_a_change_names_both_laws() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("moved").await?;
        let policy = wants_ok("moved-description", &namespace);
        plane.apply_policies(std::slice::from_ref(&policy)).await?;
        refused(plane, &pull_request(&namespace, "probe", "no")).await?;
        settle().await;
        let annotation =
            json!({"metadata": {"annotations": {"policies.kyverno.io/severity": "low"}}});
        plane
            .patch("dana", &policy, &annotation)
            .await?
            .accepted()?;
        newest(plane, "moved-description", "changed", false).await?;
        // After the change: a denial before it may be on record before the change is seen.
        let object = pull_request(&namespace, "then", "no");
        denied(plane.create("alice", &object).await?)?;
        let denial = eventually("both laws are named", Duration::from_secs(30), || async {
            let found = plane.denials(&in_namespace(&namespace)).await?;
            let both = |denial: &&Value| {
                denial["attributions"][0]["laws"].as_array().map(Vec::len) == Some(2)
            };
            Ok(found.iter().find(both).cloned())
        })
        .await?;
        assert_eq!(
            denial["attributions"][0]["grade"], "ambiguous",
            "{denial:#}"
        );
        Ok(())
    });
}

async fn absences(plane: &ControlPlane) -> Result<Vec<Value>> {
    let mut found = gaps(plane).await?;
    found.retain(|gap| gap["cause"] == "law-watch-away");
    Ok(found)
}

/// The gap that a restart of the reporter leaves, with `meanwhile` while it is down.
async fn restarted(
    plane: &ControlPlane,
    meanwhile: impl AsyncFnOnce() -> Result<()>,
) -> Result<Value> {
    let before = absences(plane).await?;
    plane.stop_part(Part::Reporter);
    meanwhile().await?;
    plane.start_part(Part::Reporter).await?;
    eventually("the gap is on record", Duration::from_secs(30), || async {
        let found = absences(plane).await?;
        let is_new = |gap: &Value| before.iter().all(|known| known["id"] != gap["id"]);
        Ok(found.into_iter().find(is_new))
    })
    .await
}

async fn is_closed(plane: &ControlPlane, gap: &Value) -> Result<bool> {
    let found = absences(plane).await?;
    let same = found.iter().find(|found| found["id"] == gap["id"]);
    Ok(same.context("the gap is there")?["closed"] == true)
}

#[test]
fn a_restart_in_which_no_policy_was_written_leaves_no_open_gap_where_the_log_is_read_too() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options {
            audit_file_source: true,
            ..Options::default()
        })
        .await?;
        let namespace = plane.org_namespace("restarted").await?;
        let policy = wants_ok("restarted-description", &namespace);
        plane.apply_policies(std::slice::from_ref(&policy)).await?;
        newest(&plane, "restarted-description", "created", false).await?;
        // Until each watch has given a sign of life after it, and that is on record.
        tokio::time::sleep(Duration::from_secs(45)).await;
        let gap = restarted(&plane, async || Ok(())).await?;
        // The log goes on, past the end.
        settle().await;
        refused(&plane, &pull_request(&namespace, "later", "no")).await?;
        let patience = Duration::from_secs(60);
        eventually("it is closed by proof", patience, || async {
            Ok(is_closed(&plane, &gap).await?.then_some(()))
        })
        .await?;

        // Changed and changed back while nobody watches: it stays.
        let gap = restarted(&plane, async || {
            for severity in [json!("low"), Value::Null] {
                let annotations = json!({"policies.kyverno.io/severity": severity});
                let patch = json!({"metadata": {"annotations": annotations}});
                plane.patch("dana", &policy, &patch).await?.accepted()?;
            }
            Ok(())
        })
        .await?;
        settle().await;
        refused(&plane, &pull_request(&namespace, "last", "no")).await?;
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert!(!is_closed(&plane, &gap).await?);
        plane.stop();
        Ok(())
    });
}

#[test]
fn what_happens_to_kyvernos_hooks_and_while_the_reporter_is_away_is_on_record() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options::default()).await?;
        let namespace = plane.org_namespace("absent").await?;
        let policy = wants_ok("absent-description", &namespace);
        plane.apply_policies(std::slice::from_ref(&policy)).await?;
        newest(&plane, "absent-description", "created", false).await?;

        // Kyverno is stopped first, or it would put its hooks back at once.
        plane.stop_part(Part::Kyverno);
        let hooks = "kyverno-resource-validating-webhook-cfg";
        let path = format!(
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{hooks}"
        );
        plane
            .admin(Method::DELETE, &path)
            .send()
            .await?
            .accepted()?;
        let law = newest(&plane, hooks, "deleted", true).await?;
        let was = law["summary"][0].as_str().unwrap_or_default();
        assert!(was.contains("vpol.validate.kyverno.svc-fail"), "{law:#}");

        plane.stop_part(Part::Reporter);
        let patch = json!({"spec": {"validationActions": ["Audit"]}});
        // No hook of Kyverno's own may be in the way of its objects.
        for kind in ["validating", "mutating"] {
            let path = format!(
                "/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations?labelSelector=webhook.kyverno.io/managed-by%3Dkyverno"
            );
            plane
                .admin(Method::DELETE, &path)
                .send()
                .await?
                .accepted()?;
        }
        plane.patch("dana", &policy, &patch).await?.accepted()?;
        plane.start_part(Part::Reporter).await?;

        let law = newest(&plane, "absent-description", "changed", true).await?;
        assert!(law["after"].is_string(), "{law:#}");
        assert_eq!(law["changedBy"][0]["actor"], "dana");
        let away = eventually("the gap is on record", Duration::from_secs(30), || async {
            let found = gaps(&plane).await?;
            Ok(found
                .into_iter()
                .find(|gap| gap["cause"] == "law-watch-away"))
        })
        .await?;
        assert_eq!(away["source"], "law");
        assert!(
            away["from"].as_str() <= law["after"].as_str(),
            "{away:#} {law:#}"
        );
        // Nothing that had not changed was written again.
        let laws = entries(&plane.store(), Class::Law)?;
        let mut versions: Vec<String> = laws
            .iter()
            .map(|row| {
                let law = public(row);
                format!(
                    "{} {} {} {}",
                    law["kind"], law["name"], law["hash"], law["previous"]
                )
            })
            .collect();
        let all = versions.len();
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), all);
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
