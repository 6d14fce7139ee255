//! To whom a denial is owed, where the text alone does not say it: texts that imitate each
//! other, rules that Kyverno made for controllers, policies that it handed to the API
//! server, and an enforcer that no one has heard of. The forms that one write provokes by
//! itself are in `docs/denial-texts.md`.

use crate::common::{denied, pull_request, refused, shared, the_one, validating_policy};
use anyhow::{Context as _, Result};
use axum::{Json, Router, routing::post};
use docket_tests::{ControlPlane, eventually, on_shared_runtime, users};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// (policy, grade, message) of each attribution, sorted.
fn named(record: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = record["attributions"].as_array().into_iter().flatten();
    let mut named: Vec<_> = all
        .map(|one| {
            (
                text(&one["policy"]),
                text(&one["grade"]),
                text(&one["message"]),
            )
        })
        .collect();
    named.sort();
    named
}

#[test]
fn two_texts_that_can_be_told_from_each_other_by_nothing_name_all_readings() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("echoes").await?;
        let mut echo = validating_policy("echoes-a", &namespace, "object.spec.title == 'ok'", "m");
        // The expression stays: on Kyverno 1.18 it says of which namespace the policy is.
        let validation = &mut echo["spec"]["validations"][0];
        validation["messageExpression"] = json!("string(object.spec.title)");
        if let Some(validation) = validation.as_object_mut() {
            validation.remove("message");
        }
        let quiet = validating_policy(
            "echoes-b",
            &namespace,
            "object.spec.repository == 'web'",
            "No.",
        );
        plane.apply_policies(&[echo, quiet]).await?;
        let mut object = pull_request(&namespace, "echoing", "d");
        object["spec"]["title"] = json!("x; Policy echoes-b failed: No.");
        denied(plane.create("alice", &object).await?)?;

        let record = the_one(plane, &namespace).await?;
        let of = |policy: &str, message: &str| {
            (
                policy.to_owned(),
                "ambiguous".to_owned(),
                message.to_owned(),
            )
        };
        assert_eq!(
            named(&record),
            [
                of("echoes-a", "x"),
                of("echoes-a", "x; Policy echoes-b failed: No."),
                of("echoes-b", "No."),
            ],
            "{record:#}"
        );
        Ok(())
    });
}

/// Waits until the policy's status shows what Kyverno made of it.
async fn made(plane: &ControlPlane, policy: &Value, pointer: &str) -> Result<()> {
    let path = docket_tests::manifests::path(policy)?;
    eventually("rules for controllers", Duration::from_secs(40), || async {
        let now = plane.admin(Method::GET, &path).send().await?.accepted()?;
        Ok(now.body.pointer(pointer).is_some().then_some(()))
    })
    .await?;
    // The reporter has them by a watch, as the API server has the hooks.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

fn deployment(namespace: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "example.test/none"}]}}}})
}

#[test]
fn a_deployment_refused_by_policies_on_pods_is_exact() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let cel = plane.org_namespace("pods-cel").await?;
        let legacy = plane.org_namespace("pods-legacy").await?;
        let policy = json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
            "metadata": {"name": "pods-cel"},
            "spec": {"validationActions": ["Deny"],
                "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["pods"], "operations": ["CREATE"]}]},
                "validations": [{
                    "expression": format!("request.namespace != '{cel}' || has(object.spec.hostNetwork)"),
                    "message": "object.spec.hostNetwork must be set."}]},
        });
        let old = json!({
            "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
            "metadata": {"name": "pods-legacy"},
            "spec": {"background": false, "rules": [{"name": "host",
                "match": {"any": [{"resources": {"kinds": ["Pod"], "namespaces": [legacy]}}]},
                "validate": {"failureAction": "Enforce", "message": "hostNetwork must be set.",
                    "pattern": {"spec": {"hostNetwork": false}}}}]},
        });
        plane.apply_policies(&[policy.clone(), old.clone()]).await?;
        made(plane, &policy, "/status/autogen/configs/defaults").await?;
        made(plane, &old, "/status/autogen/rules/0").await?;

        for (namespace, policy, rule) in [
            (&cel, "pods-cel", None),
            (&legacy, "pods-legacy", Some("autogen-host")),
        ] {
            denied(plane.create(users::ADMIN, &deployment(namespace)).await?)?;
            let record = the_one(plane, namespace).await?;
            let first = &record["attributions"][0];
            assert_eq!(first["policy"], policy, "{record:#}");
            assert_eq!(first["grade"], "exact", "{record:#}");
            assert_eq!(first["rule"].as_str(), rule);
            assert_eq!(record["resourceRef"]["kind"], "Deployment");
            assert_eq!(record["exceptionEligible"], true);
        }
        Ok(())
    });
}

#[test]
fn a_policy_that_kyverno_handed_to_the_api_server_is_named_by_its_own_name() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("handed").await?;
        let mut policy =
            validating_policy("handed", &namespace, "object.spec.title == 'ok'", "Not ok.");
        policy["spec"]["autogen"] = json!({"validatingAdmissionPolicy": {"enabled": true}});
        policy["metadata"]["annotations"] = json!({
            "policies.kyverno.io/severity": "medium",
            "policies.kyverno.io/subject": "PullRequest",
            "policies.kyverno.io/remediation": "Give it the title ok.",
            "policies.kyverno.io/controls": "CC8.1",
        });
        plane.apply_all(&[policy]).await?;
        let object = pull_request(&namespace, "by-vap", "d");
        // Until the API server has it, Kyverno itself says no.
        eventually("the API server judges", Duration::from_secs(40), || async {
            let call = plane.creating(users::ADMIN, &object)?.dry_run();
            let reply = call.send().await?;
            Ok(reply.message().contains("'vpol-handed'").then_some(()))
        })
        .await?;
        let reply = denied(plane.create("alice", &object).await?)?;
        assert!(
            reply.message().contains("'vpol-handed'"),
            "{}",
            reply.message()
        );

        let record = the_one(plane, &namespace).await?;
        let first = &record["attributions"][0];
        assert_eq!(first["enforcer"], "ValidatingAdmissionPolicy");
        assert_eq!(first["policy"], "handed", "{record:#}");
        assert_eq!(first["policyKind"], "ValidatingPolicy");
        assert_eq!(first["grade"], "exact", "{record:#}");
        assert_eq!(first["law"]["severity"], "medium");
        assert_eq!(first["law"]["subject"], "PullRequest");
        assert_eq!(
            first["law"]["compliance"]["policies.kyverno.io/controls"],
            "CC8.1"
        );
        assert_eq!(record["remediation"], "Give it the title ok.");
        assert_eq!(record["exceptionEligible"], true);
        Ok(())
    });
}

#[test]
fn an_enforcer_that_no_one_has_heard_of_leaves_a_good_record() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("stranger").await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let identity = plane.docket_authority().server("stranger")?;
        let router = Router::new().route("/", post(refuse));
        let server = tokio::spawn(crate::common::serve(listener, identity, router));
        let hook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "stranger"},
            "webhooks": [{
                "name": "rules.stranger.example",
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"),
                    "caBundle": data_encoding::BASE64.encode(plane.docket_authority().pem().as_bytes()),
                },
                "rules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
                    "operations": ["CREATE"], "resources": ["pullrequests"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "failurePolicy": "Fail", "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            }],
        });
        plane.apply_all(std::slice::from_ref(&hook)).await?;
        let object = pull_request(&namespace, "strange", "d");
        refused(plane, &object).await?;
        let reply = denied(plane.create("alice", &object).await?)?;
        plane.delete(users::ADMIN, &hook).await?.accepted()?;
        server.abort();
        assert_eq!(reply.code(), 403);

        let record = the_one(plane, &namespace).await?;
        let first = &record["attributions"][0];
        assert_eq!(record["verdict"], "denied");
        assert_eq!(record["actor"], "alice");
        assert_eq!(first["enforcer"], "webhook");
        assert_eq!(first["webhook"], "rules.stranger.example");
        assert_eq!(first["grade"], "ambiguous");
        let message = first["message"].as_str().context("no message")?;
        assert_eq!(
            message,
            "policy 42: \"Bytes\" are not allowed; Policy x failed: y"
        );
        assert_eq!(record["exceptionEligible"], false);
        Ok(())
    });
}

async fn refuse(Json(review): Json<Value>) -> Json<Value> {
    Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": false, "status": {"code": 403,
            "message": "policy 42: \"Bytes\" are not allowed; Policy x failed: y"}},
    }))
}
