//! Requests whose events are large, nameless or without text.

use crate::common::{delete_collection, denied, exactly, in_namespace, pull_request, shared};
use crate::common::{the_one, validating_policy, wants_ok};
use docket_tests::on_shared_runtime;

#[test]
fn a_denied_request_with_a_900_kb_audit_id_is_on_record() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("long-id").await?;
        plane
            .apply_policies(&[wants_ok("long-id-description", &namespace)])
            .await?;
        // `<` becomes six bytes in the event: 5.4 MB of it.
        let object = pull_request(&namespace, "hidden", "no");
        let call = plane.creating_with_large_headers("alice", &object)?;
        let call = call.header("Audit-ID", "<".repeat(900_000));
        denied(call.send().await?)?;

        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["resourceRef"]["name"], "hidden");
        assert_eq!(record["attributions"][0]["policy"], "long-id-description");
        assert_eq!(record["testimony"], "verified");
        Ok(())
    });
}

#[test]
fn a_denied_collection_names_the_object_that_was_denied() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("many").await?;
        for index in 0..6 {
            let text = if index == 3 { "keep me" } else { "ok" };
            let object = pull_request(&namespace, &format!("pr-{index}"), text);
            plane.create("alice", &object).await?.accepted()?;
        }
        plane
            .apply_policies(&[validating_policy(
                "many-kept",
                &namespace,
                "request.operation != 'DELETE' || oldObject.spec.description != 'keep me'",
                "This one stays.",
            )])
            .await?;
        denied(delete_collection(plane, "alice", &namespace).await?)?;

        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["operation"], "DELETE");
        assert_eq!(record["resourceRef"]["name"], "pr-3");
        assert_eq!(record["attributions"][0]["policy"], "many-kept");
        Ok(())
    });
}

#[test]
fn a_denial_whose_text_was_withheld_is_on_record_and_says_so() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("partial").await?;
        plane
            .apply_policies(&[wants_ok("partial-description", &namespace)])
            .await?;
        let object = pull_request(&namespace, "partial", "no");
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let reply = denied(
            plane
                .creating("alice", &object)?
                .header("Accept", accept)
                .send()
                .await?,
        )?;
        assert!(
            reply.message().contains("partial-description"),
            "{}",
            reply.text
        );

        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["verdict"], "denied");
        assert_eq!(record["resourceRef"]["name"], "partial");
        assert_eq!(record["actor"], "alice");
        assert_ne!(record["attributions"][0]["grade"], "exact");
        Ok(())
    });
}

#[test]
fn a_refusal_by_access_control_is_no_denial() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("rbac").await?;
        plane
            .apply_policies(&[wants_ok("rbac-description", &namespace)])
            .await?;
        // carol is of another org: RBAC refuses her before anyone judges.
        let reply = plane
            .create("carol", &pull_request(&namespace, "hers", "no"))
            .await?;
        assert_eq!(reply.code(), 403);
        denied(
            plane
                .create("alice", &pull_request(&namespace, "mine", "no"))
                .await?,
        )?;

        let found = exactly(plane, &in_namespace(&namespace), 1).await?;
        assert_eq!(found[0]["resourceRef"]["name"], "mine");
        Ok(())
    });
}
