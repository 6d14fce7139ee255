//! The namespace's Events, as the real API server takes and shows them.

use crate::common::{counter, denied, exactly, in_namespace, pull_request, refused};
use crate::common::{shared, the_one, validating_policy, wants_ok};
use anyhow::{Context as _, Result};
use docket_tests::{ControlPlane, eventually, on_shared_runtime, users};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Docket's Events of a namespace, once they are as wanted. Read by a member of it.
async fn events(
    plane: &ControlPlane,
    namespace: &str,
    wanted: impl Fn(&[Value]) -> bool,
) -> Result<Vec<Value>> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    eventually("the Events are there", Duration::from_secs(30), || async {
        let call = plane.call("alice", Method::GET, &path)?;
        let reply = call.send().await?.accepted()?;
        let items = reply.body["items"].as_array().into_iter().flatten();
        let ours = items.filter(|event| event["reason"] == "PolicyDenied");
        let found: Vec<Value> = ours.cloned().collect();
        Ok(wanted(&found).then_some(found))
    })
    .await
}

fn note(event: &Value) -> &str {
    event["note"].as_str().unwrap_or_default()
}

/// What `kubectl describe` asks for.
async fn described(plane: &ControlPlane, object: &Value) -> Result<Vec<Value>> {
    let meta = &object["metadata"];
    let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
    let fields = format!(
        "involvedObject.name={},involvedObject.namespace={},involvedObject.kind={},involvedObject.uid={}",
        text("name"),
        text("namespace"),
        object["kind"].as_str().context("a kind")?,
        text("uid"),
    );
    let path = format!("/api/v1/namespaces/{}/events", text("namespace"));
    eventually("describe shows it", Duration::from_secs(30), || async {
        let call = plane.call("alice", Method::GET, &path)?;
        let reply = call.query("fieldSelector", &fields).send().await?;
        let items = reply.accepted()?.body["items"].as_array().cloned();
        Ok(items.filter(|items| !items.is_empty()))
    })
    .await
}

#[test]
fn an_event_in_the_namespace_tells_what_was_refused_but_not_to_whom() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("told").await?;
        plane
            .apply_policies(&[wants_ok("told-description", &namespace)])
            .await?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "untold", "no"))
                .await?,
        )?;
        let record = the_one(plane, &namespace).await?;
        let id = record["id"].as_str().unwrap_or_default();

        let events = events(plane, &namespace, |found| !found.is_empty()).await?;

        assert_eq!(events.len(), 1, "{events:#?}");
        let event = &events[0];
        let note = note(event);
        assert!(
            note.contains("told-description") && note.contains(id),
            "{note}"
        );
        assert!(
            note.contains("The description must start with ok."),
            "{note}"
        );
        assert!(!event.to_string().contains("alice"), "{event:#}");
        assert_eq!(event["type"], "Warning");
        assert_eq!(event["regarding"]["kind"], "Namespace");
        assert_eq!(event["related"]["kind"], "ValidatingPolicy");
        assert_eq!(event["related"]["name"], "told-description");
        Ok(())
    });
}

#[test]
fn denials_of_a_series_are_one_event_and_a_deleted_one_is_followed_by_another() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("counted").await?;
        plane
            .apply_policies(&[wants_ok("counted-description", &namespace)])
            .await?;
        for (user, name) in [("alice", "one"), ("bob", "two"), ("alice", "three")] {
            let object = pull_request(&namespace, name, "no");
            denied(plane.create(user, &object).await?)?;
        }
        exactly(plane, &in_namespace(&namespace), 3).await?;
        let counts = |found: &[Value], count: u64| {
            found.iter().any(|event| event["series"]["count"] == count)
        };
        let found = events(plane, &namespace, |found| counts(found, 3)).await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        // The older form, which `kubectl get events` may show, says the same.
        let name = found[0]["metadata"]["name"].as_str().context("a name")?;
        let path = format!("/api/v1/namespaces/{namespace}/events/{name}");
        let old = plane.admin(Method::GET, &path).send().await?.accepted()?;
        assert_eq!(old.body["series"]["count"], 3, "{:#}", old.body);

        plane
            .admin(Method::DELETE, &path)
            .send()
            .await?
            .accepted()?;
        let object = pull_request(&namespace, "four", "no");
        denied(plane.create("bob", &object).await?)?;
        let found = events(plane, &namespace, |found| !found.is_empty()).await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_ne!(found[0]["metadata"]["name"], name);
        assert_eq!(found[0]["series"], Value::Null, "{found:#?}");
        Ok(())
    });
}

#[test]
fn kubectl_describe_shows_it_on_the_object_or_its_owner() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("described").await?;
        plane
            .apply_policies(&[wants_ok("described-description", &namespace)])
            .await?;
        let object = pull_request(&namespace, "there", "ok, it is there");
        let object = plane.create("alice", &object).await?.accepted()?.body;
        let patch = json!({"spec": {"description": "no"}});
        denied(plane.patch("alice", &object, &patch).await?)?;
        let shown = described(plane, &object).await?;
        assert_eq!(shown.len(), 1, "{shown:#?}");
        assert_eq!(shown[0]["reason"], "PolicyDenied");

        let owner = pull_request(&namespace, "owner", "ok, it owns");
        let owner = plane.create("alice", &owner).await?.accepted()?.body;
        let mut owned = pull_request(&namespace, "owned", "no");
        owned["metadata"]["ownerReferences"] = json!([{
            "apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": true,
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        }]);
        denied(plane.create("bob", &owned).await?)?;
        let shown = described(plane, &owner).await?;
        assert_eq!(shown.len(), 1, "{shown:#?}");
        Ok(())
    });
}

#[test]
fn a_message_that_echoes_who_asked_names_no_one_in_an_event() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("echoed").await?;
        let expression = "object.spec.description.startsWith('ok')";
        let mut policy = validating_policy("echoed", &namespace, expression, "No.");
        policy["spec"]["validations"][0]["messageExpression"] = json!(
            "'No, ' + request.userInfo.username.split(':')[3] + ' (' + \
                request.userInfo.username + '): \\u001b[2J<b>' + object.spec.title"
        );
        plane.apply_policies(&[policy]).await?;
        refused(plane, &pull_request(&namespace, "probe", "no")).await?;
        let object = pull_request(&namespace, "echo", "no");
        denied(plane.create(users::CONSOLE, &object).await?)?;
        let record = the_one(plane, &namespace).await?;
        let message = record["message"].as_str().unwrap_or_default();
        assert!(message.contains("krate-krate"), "{message}");
        let found = events(plane, &namespace, |found| !found.is_empty()).await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        let shown = found[0].to_string();
        let (account_namespace, account) = users::CONSOLE_ACCOUNT;
        assert!(
            !shown.contains(account) && !shown.contains(account_namespace),
            "{shown}"
        );
        let note = note(&found[0]);
        assert!(note.contains("No, (actor) ((actor)): "), "{note}");
        assert!(
            note.contains("Make it so") && !note.contains('\u{1b}'),
            "{note:?}"
        );
        Ok(())
    });
}

#[test]
fn a_namespace_of_several_orgs_has_no_events() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let outcome = "docket_reporter_kubernetes_events_total";
        let skipped = || counter(plane, outcome, "outcome=\"sharedNamespace\"");
        let before = skipped().await?;
        for org in ["acme", "globex"] {
            let spec = json!({"organizationRef": org, "namespace": "krate-org-common"});
            let binding = docket_tests::krate::object(
                "OrgNamespaceBinding",
                docket_tests::krate::SYSTEM,
                org,
                &format!("common-{org}"),
                spec,
            );
            plane.apply(users::ADMIN, &binding).await?.accepted()?;
        }
        let namespace = plane.org_namespace("common").await?;
        plane
            .apply_policies(&[wants_ok("common-description", &namespace)])
            .await?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "shared", "no"))
                .await?,
        )?;
        the_one(plane, &namespace).await?;
        eventually("it is left out", Duration::from_secs(30), || async {
            Ok((skipped().await? > before).then_some(()))
        })
        .await?;
        assert!(events(plane, &namespace, |_| true).await?.is_empty());
        Ok(())
    });
}
