//! Objects that stand beside writes that were refused, and writes that an exception or a
//! hook that failed let through.

use crate::common::{denied, pull_request, shared, validating_policy, wants_ok};
use anyhow::Result;
use docket_tests::{ControlPlane, eventually, kyverno, on_shared_runtime, users};
use serde_json::{Value, json};
use std::time::Duration;

/// The harness's reports controller scans every 30 s.
const SCANNED: Duration = Duration::from_secs(150);

async fn get(plane: &ControlPlane, user: &str, path: &str) -> Result<docket_tests::Reply> {
    let token = plane.token(user)?;
    let url = format!("{}{path}", plane.docket_url());
    plane.http().get(url).token(&token).send().await
}

async fn items(plane: &ControlPlane, user: &str, path: &str) -> Result<Vec<Value>> {
    let body = get(plane, user, path).await?.expect_code(200)?.body;
    Ok(body["items"].as_array().cloned().unwrap_or_default())
}

/// A policy on pull requests of one namespace that only reports.
fn audit_policy(name: &str, namespace: &str) -> Value {
    let expression = "object.spec.title.startsWith('feat')";
    let mut policy = validating_policy(name, namespace, expression, "Begin the title with feat.");
    policy["spec"]["validationActions"] = json!(["Audit"]);
    scannable(&mut policy);
    policy["metadata"]["annotations"]["policies.kyverno.io/remediation"] =
        "Rename the pull request.".into();
    policy
}

/// The reports controller finds no kind for the API version `*`, so it never scans for such
/// a policy.
fn scannable(policy: &mut Value) {
    policy["spec"]["matchConstraints"]["resourceRules"][0]["apiVersions"] = json!(["v1alpha1"]);
}

#[test]
fn an_audit_finding_stands_beside_a_denial_and_goes_when_the_object_is_fixed() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("audited").await?;
        plane
            .apply_policies(&[
                audit_policy("audited-title", &namespace),
                wants_ok("audited-description", &namespace),
            ])
            .await?;
        let stands = pull_request(&namespace, "stands", "ok");
        plane.create("alice", &stands).await?.accepted()?;
        denied(
            plane
                .create("bob", &pull_request(&namespace, "refused", "no"))
                .await?,
        )?;

        let all = format!("/api/policy-violations?namespace={namespace}");
        let found = eventually("the scan's finding is in the view", SCANNED, || async {
            let found = items(plane, users::AUDITOR, &all).await?;
            Ok((found.len() >= 2).then_some(found))
        })
        .await?;
        assert_eq!(found.len(), 2, "{found:#?}");
        let of = |source: &str| found.iter().find(|one| one["source"] == source).cloned();
        let (report, denial) = (of("report").unwrap(), of("denial").unwrap());
        assert_eq!(denial["resourceRef"]["name"], "refused");
        assert_eq!(denial["policy"], "audited-description");
        assert_eq!(denial["mode"], "enforce");
        assert_eq!(denial["report"], Value::Null, "no object, no report");
        assert_eq!(report["resourceRef"]["name"], "stands");
        assert_eq!(report["resourceRef"]["kind"], "PullRequest");
        assert_eq!(report["policy"], "audited-title");
        assert_eq!(report["policyRef"]["kind"], "ValidatingPolicy");
        assert_eq!(report["mode"], "audit");
        assert_eq!(report["result"], "fail");
        assert_eq!(report["severity"], "high");
        assert_eq!(report["message"], "Begin the title with feat.");
        assert_eq!(report["remediation"], "Rename the pull request.");
        assert_eq!(report["org"], "audited");
        assert_eq!(report["repository"], "web", "as the write's testimony said");
        assert_eq!(report["denial"], Value::Null);
        assert!(report["age"].is_u64(), "{report:#}");

        let table = plane.docket(&["violations", "-n", &namespace]).await?;
        let table = String::from_utf8_lossy(&table.stdout).into_owned();
        for words in [
            "denied",
            "audit: fail",
            "PullRequest/refused",
            "PullRequest/stands",
        ] {
            assert!(table.contains(words), "{words}:\n{table}");
        }

        // A member reads it, who is in no other org; another org's developer does not.
        assert_eq!(items(plane, "alice", &all).await?.len(), 2);
        assert_eq!(get(plane, "carol", &all).await?.code(), 403);
        let theirs = get(plane, "carol", "/api/policy-violations?limit=200").await?;
        assert!(!theirs.text.contains(&namespace), "{}", theirs.text);

        let fixed = json!({"spec": {"title": "feat: stand upright"}});
        plane.patch("alice", &stands, &fixed).await?.accepted()?;
        eventually("the finding is gone", SCANNED, || async {
            let found = items(plane, users::AUDITOR, &all).await?;
            Ok(found
                .iter()
                .all(|one| one["source"] == "denial")
                .then_some(()))
        })
        .await
    });
}

#[test]
fn a_report_of_the_other_group_is_in_the_view_and_in_its_own_namespace_only() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("openly").await?;
        // By hand: Kyverno writes these only instead of the others, by a flag.
        let result = |name: &str, namespace: &str, source: &str| {
            json!({"source": source, "policy": "image-scan", "rule": "critical", "result": "fail",
                "severity": "critical", "message": "A known hole.", "scored": true,
                "resources": [{"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": namespace}],
                "timestamp": {"seconds": 1_790_000_000, "nanos": 0}})
        };
        let report = json!({
            "apiVersion": "openreports.io/v1alpha1", "kind": "Report",
            "metadata": {"name": "by-hand", "namespace": namespace}, "source": "scanner",
            "summary": {"pass": 0, "fail": 3, "warn": 0, "error": 0, "skip": 0},
            "results": [result("ours", &namespace, "scanner"),
                result("theirs", docket_tests::krate::ACME, "scanner"),
                result("again", &namespace, "docket")],
        });
        plane.create(users::ADMIN, &report).await?.accepted()?;
        let all = format!("/api/policy-violations?namespace={namespace}");
        let found = eventually(
            "the report is in the view",
            Duration::from_secs(60),
            || async {
                let found = items(plane, "alice", &all).await?;
                Ok((!found.is_empty()).then_some(found))
            },
        )
        .await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["resourceRef"]["name"], "ours");
        assert_eq!(found[0]["reportKind"], "Report");
        assert_eq!(found[0]["message"], "A known hole.");
        assert_eq!(found[0]["rule"], "critical");
        let acme = format!(
            "/api/policy-violations?namespace={}&policy=image-scan",
            docket_tests::krate::ACME
        );
        assert!(items(plane, users::AUDITOR, &acme).await?.is_empty());
        plane.delete(users::ADMIN, &report).await?.accepted()?;
        eventually("the report is gone", Duration::from_secs(30), || async {
            Ok(items(plane, "alice", &all).await?.is_empty().then_some(()))
        })
        .await
    });
}

#[test]
fn a_write_that_an_exception_let_through_is_a_pass_and_the_report_raises_its_evidence() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("excepted").await?;
        let mut policy = wants_ok("excepted-description", &namespace);
        scannable(&mut policy);
        let exception = json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
            "metadata": {"name": "let-in", "namespace": kyverno::EXCEPTION_NAMESPACE},
            "spec": {
                "policyRefs": [{"name": "excepted-description", "kind": "ValidatingPolicy"}],
                "matchConditions": [{"name": "this-one",
                    "expression": "has(object.metadata) && object.metadata.name == 'let-in'"}],
            },
        });
        plane.apply_policies(&[policy, exception]).await?;
        let let_in = pull_request(&namespace, "let-in", "no");
        eventually(
            "the exception is in force",
            Duration::from_secs(60),
            || async {
                let reply = plane.creating("alice", &let_in)?.dry_run().send().await?;
                Ok(reply.ok().then_some(()))
            },
        )
        .await?;
        plane.create("alice", &let_in).await?.accepted()?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "not-this", "no"))
                .await?,
        )?;

        let passes = format!("/api/policy-denials?namespace={namespace}&verdict=excepted");
        let found = eventually("the pass is on record", Duration::from_secs(30), || async {
            let found = items(plane, users::AUDITOR, &passes).await?;
            Ok((!found.is_empty()).then_some(found))
        })
        .await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        let pass = &found[0];
        assert_eq!(pass["resourceRef"]["name"], "let-in");
        assert_eq!(pass["actor"], "alice");
        let excepted = &pass["exceptions"][0];
        assert_eq!(excepted["name"], "let-in");
        assert_eq!(excepted["namespace"], kyverno::EXCEPTION_NAMESPACE);
        assert_eq!(excepted["policy"], "excepted-description");
        let law = excepted["laws"][0].as_str().unwrap_or_default().to_owned();
        let laws = crate::common::entries(&plane.store(), docket_ledger::entry::Class::Law)?;
        let law = laws.iter().find(|row| row.id == law);
        let law = crate::common::public(law.expect("the exception's law is an entry"));
        assert_eq!(
            (&law["kind"], &law["name"]),
            (&json!("PolicyException"), &json!("let-in"))
        );

        let id = pass["id"].as_str().unwrap_or_default().to_owned();
        let raised = eventually("the report raises the evidence", SCANNED, || async {
            let found = items(plane, users::AUDITOR, &passes).await?;
            let by_report = |one: &Value| one["exceptions"][0]["evidence"] == "report";
            Ok(found.into_iter().find(by_report))
        })
        .await?;
        assert_eq!(raised["id"], id.as_str(), "the same pass");
        let shown = plane.docket(&["show", &id]).await?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.contains("kyverno/let-in") && shown.contains("report says"),
            "{shown}"
        );
        // Scans go on; nothing is said twice.
        tokio::time::sleep(Duration::from_secs(35)).await;
        let found = items(plane, users::AUDITOR, &passes).await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        let evidence = found[0]["amendments"].as_array().into_iter().flatten();
        assert_eq!(evidence.filter(|one| one["kind"] == "evidence").count(), 1);
        Ok(())
    });
}

#[test]
fn a_hook_that_failed_open_names_the_law_that_registers_it() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("skipped").await?;
        let hook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "skipped-gate"},
            "webhooks": [{
                "name": "gate.skipped.example",
                "clientConfig": {"url": "https://127.0.0.1:1/judge"},
                "rules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
                    "operations": ["CREATE"], "resources": ["pullrequests"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "failurePolicy": "Ignore", "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
            }],
        });
        plane.apply_all(&[hook]).await?;
        let passes = format!("/api/policy-denials?namespace={namespace}&verdict=failedOpen");
        // The first may come before the API server, or Docket, knows of the hook.
        let found = eventually("a pass names a law", Duration::from_secs(60), || async {
            plane
                .create("alice", &pull_request(&namespace, "", "ok"))
                .await?
                .accepted()?;
            let found = items(plane, users::AUDITOR, &passes).await?;
            let with_law = |one: &Value| one["attributions"][0]["laws"][0].is_string();
            Ok(found.into_iter().find(with_law))
        })
        .await?;
        assert_eq!(found["attributions"][0]["webhook"], "gate.skipped.example");
        let law = found["attributions"][0]["laws"][0]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let laws = crate::common::entries(&plane.store(), docket_ledger::entry::Class::Law)?;
        let law = laws
            .iter()
            .find(|row| row.id == law)
            .expect("the law is an entry");
        assert_eq!(crate::common::public(law)["name"], "skipped-gate");
        Ok(())
    });
}
