//! The harness itself: what every other test stands on.

use crate::common::{pull_request, shared as plane, validating_policy as policy_on_pull_requests};
use docket_tests::{on_shared_runtime, users};
use http::Method;
use serde_json::json;
use std::time::Duration;

#[test]
fn users_can_do_what_their_role_says_and_no_more() {
    on_shared_runtime(async {
        let plane = plane().await?;
        let mine = "/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/repositories";
        let theirs = "/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-globex/repositories";
        plane
            .call("alice", Method::GET, mine)?
            .send()
            .await?
            .expect_code(200)?;
        plane
            .call("alice", Method::GET, theirs)?
            .send()
            .await?
            .expect_code(403)?;
        plane
            .call("carol", Method::GET, theirs)?
            .send()
            .await?
            .expect_code(200)?;
        plane
            .call(users::CONSOLE, Method::GET, theirs)?
            .send()
            .await?
            .expect_code(200)?;
        let client = plane.kube("alice").await?;
        let version = client.apiserver_version().await?;
        anyhow::ensure!(version.minor.starts_with("36"), "{version:?}");
        Ok(())
    });
}

#[test]
fn kyverno_denies_a_pull_request_without_a_description() {
    on_shared_runtime(async {
        let plane = plane().await?;
        let namespace = plane.org_namespace("first").await?;
        let policy = policy_on_pull_requests(
            "first-needs-description",
            &namespace,
            "object.spec.?description.orValue('') != ''",
            "Say why.",
        );
        plane.apply_policies(&[policy]).await?;
        let denied = plane
            .create("alice", &pull_request(&namespace, "a", ""))
            .await?;
        let denied = denied.expect_code(400)?;
        assert!(
            denied
                .message()
                .contains("Policy first-needs-description failed: Say why.")
        );
        assert!(denied.audit_id().is_some());
        plane
            .create("alice", &pull_request(&namespace, "b", "because"))
            .await?
            .expect_code(201)?;
        Ok(())
    });
}

#[test]
fn a_deleted_namespace_really_goes_away() {
    on_shared_runtime(async {
        let plane = plane().await?;
        let namespace = plane.org_namespace("short-lived").await?;
        let path = format!("/api/v1/namespaces/{namespace}");
        plane
            .admin(Method::DELETE, &path)
            .json(&json!({}))
            .send()
            .await?
            .accepted()?;
        docket_tests::eventually("the namespace is gone", Duration::from_secs(60), || async {
            let reply = plane.admin(Method::GET, &path).send().await?;
            Ok((reply.code() == 404).then_some(()))
        })
        .await
    });
}
