//! The aggregated API as kubectl and the API server's own controllers meet it: what stands
//! while the reporter is down, and who is let in.

use crate::common::shared;
use anyhow::{Context as _, Result};
use docket_tests::{ControlPlane, Options, Part, eventually, on_shared_runtime, users};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[test]
fn kubectl_lists_and_explains_the_resources() {
    on_shared_runtime(async {
        let plane = shared().await?;
        listed(plane).await?;
        let about = plane.kubectl("alice", &["explain", "denials"]).await?;
        let about = about.done()?;
        assert!(about.contains("KIND:       Denial"), "{about}");
        assert!(about.contains("attributions"), "{about}");
        let field = ["explain", "denials.policy"];
        let about = plane.kubectl("alice", &field).await?.done()?;
        assert!(about.contains("FIELD: policy <string>"), "{about}");
        assert!(about.contains("Its name once more, for tables."), "{about}");
        let nested = ["explain", "denials.outcome.relation"];
        let about = plane.kubectl("alice", &nested).await?.done()?;
        assert!(about.contains("The object itself; only another"), "{about}");
        for resource in ["clusterdenials", "mydenials", "summaries", "laws"] {
            let about = plane.kubectl("alice", &["explain", resource]).await?;
            assert!(about.clone().done()?.contains("metadata"), "{about:?}");
        }
        Ok(())
    });
}

/// As `kubectl api-resources` shows them, also by the category.
async fn listed(plane: &ControlPlane) -> Result<()> {
    let all = [
        "api-resources",
        "--api-group",
        "docket.a5c.ai",
        "-o",
        "wide",
    ];
    let all = plane.kubectl("alice", &all).await?.done()?;
    for (name, namespaced, kind, verbs) in [
        ("denials", "true", "Denial", "get,list,watch"),
        ("clusterdenials", "false", "ClusterDenial", "get,list,watch"),
        ("mydenials", "false", "MyDenial", "get,list,watch"),
        ("summaries", "true", "Summary", "get,list"),
        ("laws", "false", "Law", "get,list"),
    ] {
        let line = all.lines().find(|line| line.starts_with(name));
        let words: Vec<&str> = line
            .with_context(|| format!("no {name} in {all}"))?
            .split_whitespace()
            .collect();
        for word in [namespaced, kind, verbs] {
            assert!(words.contains(&word), "{word}: {words:?}");
        }
    }
    Ok(())
}

#[test]
fn the_api_server_serves_discovery_and_openapi_of_both_versions() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let groups = get(plane, "/apis", AGGREGATED).await?;
        let group = groups["items"].as_array().and_then(|groups| {
            groups
                .iter()
                .find(|group| group["metadata"]["name"] == "docket.a5c.ai")
        });
        let version = &group.context("the group is not discovered")?["versions"][0];
        assert_eq!(version["freshness"], "Current");
        let resources = version["resources"].as_array().context("no resources")?;
        let names: Vec<&Value> = resources.iter().map(|one| &one["resource"]).collect();
        for name in ["denials", "repositories", "laws"] {
            assert!(names.contains(&&json!(name)), "{names:?}");
        }
        let third = "/openapi/v3/apis/docket.a5c.ai/v1";
        let third = get(plane, third, "application/json").await?;
        let denial = &third["components"]["schemas"]["ai.a5c.docket.v1.Denial"];
        assert_eq!(denial["properties"]["dryRun"]["type"], "boolean");
        eventually(
            "the older document is merged",
            Duration::from_secs(60),
            || async {
                let second = get(plane, "/openapi/v2", "application/json").await?;
                let denial = &second["definitions"]["ai.a5c.docket.v1.Denial"];
                Ok((denial["properties"]["dryRun"]["type"] == "boolean").then_some(()))
            },
        )
        .await
    });
}

async fn get(plane: &ControlPlane, path: &str, accept: &str) -> Result<Value> {
    let call = plane.admin(Method::GET, path).header("Accept", accept);
    Ok(call.send().await?.accepted()?.body)
}

#[test]
fn nobody_writes_through_the_aggregated_api() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let path = "/apis/docket.a5c.ai/v1/namespaces/krate-org-acme/denials";
        for method in [Method::POST, Method::DELETE] {
            let reply = plane.admin(method, path).json(&json!({})).send().await?;
            let reply = reply.expect_code(405)?;
            assert!(reply.message().contains("read-only"), "{}", reply.message());
        }
        Ok(())
    });
}

/// The reporter is killed: kubectl and the API server's controllers go on, and readers are
/// told at once.
#[test]
fn a_namespace_goes_though_the_reporter_was_killed() {
    on_shared_runtime(async {
        let options = Options::default()
            .without(Part::Kyverno)
            .without(Part::ReportsController);
        let plane = ControlPlane::start(options).await?;
        let namespace = plane.org_namespace("going").await?;
        plane
            .create(
                "alice",
                &crate::common::pull_request(&namespace, "left", "ok"),
            )
            .await?
            .accepted()?;
        plane.stop_part(Part::Reporter);
        let path = format!("/api/v1/namespaces/{namespace}");
        plane
            .admin(Method::DELETE, &path)
            .json(&json!({}))
            .send()
            .await?
            .accepted()?;
        let began = Instant::now();
        eventually("the namespace is gone", Duration::from_secs(60), || async {
            let reply = plane.admin(Method::GET, &path).send().await?;
            Ok((reply.code() == 404).then_some(()))
        })
        .await?;
        println!("the namespace was gone after {:?}", began.elapsed());
        listed(&plane).await?;
        let denials = "/apis/docket.a5c.ai/v1/namespaces/krate-org-acme/denials";
        let began = Instant::now();
        let reply = plane.admin(Method::GET, denials).send().await?;
        let reply = reply.expect_code(503)?;
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "it took {:?}",
            began.elapsed()
        );
        assert_eq!(reply.body["reason"], "ServiceUnavailable");
        assert!(
            reply.message().contains("nothing is lost"),
            "{}",
            reply.message()
        );
        // Other groups are as they were.
        let others = plane
            .kubectl(users::ADMIN, &["get", "pullrequests", "-A"])
            .await?;
        assert!(others.ok, "{others:?}");
        plane.stop();
        Ok(())
    });
}

/// Real answers against the schemas that kubectl explains them by.
#[test]
fn every_kind_has_the_published_shape() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("shapely").await?;
        let policies = [crate::common::wants_ok("shapely-description", &namespace)];
        plane.apply_policies(&policies).await?;
        let refused = crate::common::pull_request(&namespace, "no", "no");
        crate::common::denied(plane.create("alice", &refused).await?)?;
        let record = crate::common::the_one(plane, &namespace).await?;
        let id = record["id"].as_str().context("no id")?;
        let document = get(
            plane,
            "/openapi/v3/apis/docket.a5c.ai/v1",
            "application/json",
        )
        .await?;
        let schemas = &document["components"]["schemas"];
        let base = "/apis/docket.a5c.ai/v1";
        let within = format!("{base}/namespaces/{namespace}");
        for path in [
            format!("{within}/denials"),
            format!("{within}/denials/{id}"),
            format!("{within}/denials/{id}/evidence"),
            format!("{within}/denials/{id}/proof"),
            format!("{within}/denials/{id}/law"),
            format!("{within}/repositories/web/denials"),
            format!("{within}/summaries"),
            format!("{base}/clusterdenials"),
            format!("{base}/mydenials"),
            format!("{base}/laws?limit=5"),
        ] {
            let answer = get(plane, &path, "application/json").await?;
            let kind = answer["kind"].as_str().context("no kind")?;
            let schema = &schemas[format!("ai.a5c.docket.v1.{kind}")];
            anyhow::ensure!(schema.is_object(), "{path}: no schema of {kind}");
            fits(schemas, schema, &answer, &path)?;
            let items = answer["items"].as_array();
            let empty = items.is_some_and(Vec::is_empty);
            let may_be = ["clusterdenials", "mydenials"]
                .iter()
                .any(|name| path.ends_with(name));
            anyhow::ensure!(!empty || may_be, "{path} is empty: nothing was shown");
        }
        Ok(())
    });
}

/// Members that are told of, with values of the kind told.
fn fits(schemas: &Value, schema: &Value, value: &Value, at: &str) -> Result<()> {
    let reference = schema["$ref"]
        .as_str()
        .or(schema["allOf"][0]["$ref"].as_str());
    if value.is_null() {
        anyhow::ensure!(schema["nullable"] == true, "{at} is null");
        return Ok(());
    }
    if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
        return fits(schemas, &schemas[name], value, at);
    }
    let right = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        other => anyhow::bail!("{at}: {other:?} is no type"),
    };
    anyhow::ensure!(right, "{at}: {value} is not of type {}", schema["type"]);
    if let Some(words) = schema["enum"].as_array() {
        anyhow::ensure!(
            words.contains(value),
            "{at}: {value} is not one of {words:?}"
        );
    }
    for item in value.as_array().into_iter().flatten() {
        fits(schemas, &schema["items"], item, &format!("{at}[]"))?;
    }
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true
        || schema["additionalProperties"].is_object();
    for (name, member) in value.as_object().into_iter().flatten() {
        let told = &schema["properties"][name];
        // An object without properties holds texts by key.
        if open || schema["properties"].is_null() {
            continue;
        }
        anyhow::ensure!(told.is_object(), "{at}.{name} is not in the schema");
        fits(schemas, told, member, &format!("{at}.{name}"))?;
    }
    Ok(())
}

/// Whoever the caller says he is, the API server says who he is.
#[test]
fn headers_of_a_caller_make_him_no_one_else() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let denials = "/apis/docket.a5c.ai/v1/namespaces/krate-org-acme/denials";
        // carol develops for globex and may not read here.
        let carol = || plane.call("carol", Method::GET, denials);
        carol()?.send().await?.expect_code(403)?;
        let smuggled = carol()?
            .header("X-Remote-User", "admin")
            .header("X-Remote-Group", "system:masters")
            .header("X-Remote-Uid", "0")
            .header("X-Remote-Extra-Scopes", "all")
            .header("Connection", "X-Remote-Extra-Scopes");
        smuggled.send().await?.expect_code(403)?;
        // mydenials are those of the caller that the API server names.
        let mine = "/apis/docket.a5c.ai/v1/mydenials";
        let call = plane
            .call("carol", Method::GET, mine)?
            .header("X-Remote-User", "alice");
        let reply = call.send().await?;
        anyhow::ensure!([200, 403].contains(&reply.code()), "{reply:?}");
        for item in reply.body["items"].as_array().into_iter().flatten() {
            assert_eq!(item["actor"], "carol");
        }
        // Past the API server nobody gets in.
        for (port, what) in [
            (plane.ports().webhook_api, "the webhook's door"),
            (plane.ports().reporter_api, "the reporter's door"),
        ] {
            let url = format!("https://localhost:{port}{denials}");
            let call = plane.http().get(url).header("X-Remote-User", "admin");
            let reply = call.header("X-Remote-Group", "system:masters").send().await;
            assert!(reply.is_err(), "{what} let a stranger in: {reply:?}");
        }
        Ok(())
    });
}
