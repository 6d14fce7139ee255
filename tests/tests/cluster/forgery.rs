//! Those who would write into the record, or keep it from being written.
//!
//! The hostile webhook below is a double: no enforcer behaves so. It stands for anyone
//! with write access to webhook configurations.

use crate::common::{counter, denied, exactly, in_namespace, pull_request, shared, wants_ok};
use anyhow::Result;
use axum::{Json, Router, extract::State, routing::post};
use docket_tests::{ControlPlane, on_shared_runtime};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WITNESS: &str = "witness.docket.a5c.ai";

#[test]
fn a_batch_without_the_certificate_changes_nothing() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("forged").await?;
        let event = json!({
            "level": "Metadata", "auditID": "forged", "stage": "ResponseComplete",
            "requestURI": "/apis/krate.a5c.ai/v1alpha1/namespaces/x/pullrequests", "verb": "create",
            "user": {"username": "mallory"},
            "objectRef": {"resource": "pullrequests", "namespace": namespace, "name": "forged",
                "apiGroup": "krate.a5c.ai", "apiVersion": "v1alpha1"},
            "responseStatus": {"metadata": {}, "status": "Failure", "code": 400, "message":
                "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: Policy p failed: m"},
            "requestReceivedTimestamp": "2026-11-22T10:00:00.000000Z",
            "stageTimestamp": "2026-11-22T10:00:00.100000Z",
        });
        let batch = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [event]});

        let without = plane
            .http()
            .call(Method::POST, plane.audit_url())
            .json(&batch)
            .send()
            .await;
        assert!(without.is_err(), "{without:?}");
        // A certificate of the same authority, but not of a source.
        let witness = plane
            .docket_authority()
            .client("stranger", "stranger", None)?;
        let stranger =
            docket_tests::call::Http::new(&[plane.docket_authority().pem()], Some(&witness))?;
        let reply = stranger
            .call(Method::POST, plane.audit_url())
            .json(&batch)
            .send()
            .await?;
        assert_eq!(reply.code(), 403, "{}", reply.text);

        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(plane.denials(&in_namespace(&namespace)).await?.is_empty());
        let connections = counter(plane, "docket_reporter_refused_connections_total", "").await?;
        assert!(
            connections >= 1,
            "the call without a certificate is counted"
        );
        let batches = "docket_reporter_audit_batches_total";
        assert!(
            counter(plane, batches, "forbidden").await? >= 1,
            "and so is the stranger's"
        );
        Ok(())
    });
}

#[test]
fn testimony_that_is_forged_copied_or_replayed_is_ignored_or_disputed_and_counted() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("liars").await?;
        plane
            .apply_policies(&[wants_ok("liars-description", &namespace)])
            .await?;
        let hostile = Hostile::start(plane, &namespace).await?;

        // Forged: well-formed, under a key of its own, signed by nobody.
        hostile.say([(
            "11111111-2222-3333-4444-555555555555",
            r#"{"v":1,"k":"a","m":"AAAA"}"#,
        )]);
        denied(
            plane
                .create("alice", &pull_request(&namespace, "forged", "no"))
                .await?,
        )?;
        let forged = by_name(plane, &namespace, "forged").await?;
        assert_eq!(
            forged["testimony"], "verified",
            "a forged one beside ours changes nothing"
        );
        assert!(ignored(plane).await? >= 1);

        // Copied: a real one, of another object, under another uid.
        let (uid, value) = testimony_of(plane, "forged").await?;
        let before = ignored(plane).await?;
        hostile.say([("99999999-2222-3333-4444-555555555555", value.as_str())]);
        denied(
            plane
                .create("alice", &pull_request(&namespace, "copied", "no"))
                .await?,
        )?;
        let copied = by_name(plane, &namespace, "copied").await?;
        assert_eq!(copied["testimony"], "verified");
        assert!(ignored(plane).await? > before);
        // The same under its own uid still speaks of another object.
        hostile.say([(uid.as_str(), value.as_str())]);
        denied(
            plane
                .create("alice", &pull_request(&namespace, "moved", "no"))
                .await?,
        )?;
        assert_eq!(
            by_name(plane, &namespace, "moved").await?["testimony"],
            "verified"
        );

        // Replayed: same person, same object, at once, under its own uid. Its MAC holds.
        hostile.say([]);
        denied(
            plane
                .create("alice", &pull_request(&namespace, "again", "no"))
                .await?,
        )?;
        let (uid, value) = testimony_of(plane, "again").await?;
        hostile.say([(uid.as_str(), value.as_str())]);
        denied(
            plane
                .create("alice", &pull_request(&namespace, "again", "no"))
                .await?,
        )?;
        hostile.stop(plane).await?;
        let found = exactly(plane, &in_namespace(&namespace), 5).await?;
        let again: Vec<&Value> = found
            .iter()
            .filter(|record| record["resourceRef"]["name"] == "again")
            .collect();
        assert_eq!(
            again.len(),
            2,
            "a replay neither makes nor suppresses a record"
        );
        // Nothing tells which of the two events it was sworn for: both say so.
        for record in again {
            assert_eq!(record["testimony"], "disputed", "{record:#}");
        }
        Ok(())
    });
}

/// Testimonies that were ignored so far, for whatever reason.
async fn ignored(plane: &ControlPlane) -> Result<u64> {
    let all = counter(plane, "docket_reporter_testimonies_total", "").await?;
    Ok(all - counter(plane, "docket_reporter_testimonies_total", "verified").await?)
}

async fn by_name(plane: &ControlPlane, namespace: &str, name: &str) -> Result<Value> {
    let filter = in_namespace(namespace).with("name", name);
    let mut found = plane.denials_at_least(&filter, 1).await?;
    Ok(found.remove(0))
}

/// The witness's newest testimony about the object, from the audit log, where anyone who
/// may read it finds it.
async fn testimony_of(plane: &ControlPlane, name: &str) -> Result<(String, String)> {
    docket_tests::eventually(
        "the testimony is in the audit log",
        Duration::from_secs(10),
        || async {
            let log = tokio::fs::read_to_string(plane.audit_log()).await?;
            let event = log
                .lines()
                .rev()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|event| event["objectRef"]["name"] == name);
            let annotations = event
                .as_ref()
                .and_then(|event| event["annotations"].as_object());
            Ok(annotations.into_iter().flatten().find_map(|(key, value)| {
                let uid = key.strip_prefix(WITNESS)?.strip_prefix('/')?;
                let ours = value.as_str()?;
                (!uid.starts_with("11111111") && !uid.starts_with("99999999"))
                    .then(|| (uid.to_owned(), ours.to_owned()))
            }))
        },
    )
    .await
}

/// A webhook that bears our hook's name in a configuration of its own and swears whatever
/// it is told.
struct Hostile {
    says: Arc<Mutex<BTreeMap<String, String>>>,
    configuration: Value,
    server: tokio::task::JoinHandle<()>,
}

impl Hostile {
    async fn start(plane: &ControlPlane, namespace: &str) -> Result<Self> {
        let says: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let identity = plane.docket_authority().server("hostile")?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let router = Router::new()
            .route("/swear", post(swear))
            .with_state(Arc::clone(&says));
        let server = tokio::spawn(crate::common::serve(listener, identity, router));
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "zz-hostile"},
            "webhooks": [{
                "name": WITNESS,
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/swear"),
                    "caBundle": data_encoding::BASE64.encode(plane.docket_authority().pem().as_bytes()),
                },
                "rules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
                    "operations": ["CREATE"], "resources": ["pullrequests"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "failurePolicy": "Fail", "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "timeoutSeconds": 2,
            }],
        });
        plane
            .apply_all(std::slice::from_ref(&configuration))
            .await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(Hostile {
            says,
            configuration,
            server,
        })
    }

    fn say<'a>(&self, annotations: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let annotations = annotations
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        if let Ok(mut says) = self.says.lock() {
            *says = annotations.collect();
        }
    }

    async fn stop(self, plane: &ControlPlane) -> Result<()> {
        plane
            .delete(docket_tests::users::ADMIN, &self.configuration)
            .await?
            .accepted()?;
        self.server.abort();
        Ok(())
    }
}

async fn swear(
    State(says): State<Arc<Mutex<BTreeMap<String, String>>>>,
    Json(review): Json<Value>,
) -> Json<Value> {
    let annotations = says.lock().map(|says| says.clone()).unwrap_or_default();
    Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true, "auditAnnotations": annotations},
    }))
}
