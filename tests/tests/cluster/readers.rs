//! Who may read at the doors.

use crate::common::{counter, denied, in_namespace, pull_request, shared, the_one, wants_ok};
use docket_tests::{Filter, docket, on_shared_runtime};

#[test]
fn a_developer_reads_the_denials_of_her_own_namespaces_and_no_others() {
    on_shared_runtime(async {
        let plane = shared().await?;
        // alice and bob are members, carol is not.
        let namespace = plane.org_namespace("hers").await?;
        plane
            .apply_policies(&[wants_ok("hers-description", &namespace)])
            .await?;
        denied(
            plane
                .create("bob", &pull_request(&namespace, "seen", "no"))
                .await?,
        )?;
        let record = the_one(plane, &namespace).await?;

        let found = plane.denials_as("alice", &in_namespace(&namespace)).await?;
        assert_eq!(found.len(), 1);
        let all = plane.denials_as("alice", &Filter::all()).await?;
        assert!(all.iter().any(|one| one["id"] == record["id"]));

        let url = plane.docket_url();
        let get = |user: &'static str, path: String| async move {
            let token = plane.token(user)?;
            plane.http().get(path).token(&token).send().await
        };
        let asked = format!("{url}/api/policy-denials?namespace={namespace}");
        assert_eq!(get("carol", asked.clone()).await?.code(), 403);
        let id = record["id"].as_str().unwrap_or_default();
        assert_eq!(
            get("carol", format!("{url}/api/policy-denials/{id}"))
                .await?
                .code(),
            404
        );
        assert_eq!(
            get("alice", format!("{url}/api/policy-denials/{id}"))
                .await?
                .code(),
            200
        );
        let theirs = get("carol", format!("{url}/api/policy-denials?limit=200")).await?;
        assert!(!theirs.text.contains(id), "{}", theirs.text);
        assert_eq!(plane.http().get(asked).send().await?.code(), 401);
        Ok(())
    });
}

#[test]
fn both_sources_bring_every_event_and_nothing_is_doubled() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("twice").await?;
        plane
            .apply_policies(&[wants_ok("twice-description", &namespace)])
            .await?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "once", "no"))
                .await?,
        )?;
        the_one(plane, &namespace).await?;

        let batches = "docket_reporter_audit_batches_total";
        for source in [docket::AUDIT_SOURCE, docket::AUDIT_FILE_SOURCE] {
            let label = format!("source=\"{source}\"");
            let delivered = counter(plane, batches, &label).await?;
            assert!(delivered > 0, "nothing came from {source}");
        }
        let store = plane.store().display().to_string();
        let proof = plane.docket(&["verify", "--store", &store]).await?;
        assert!(
            proof.status.success(),
            "{}",
            String::from_utf8_lossy(&proof.stdout)
        );
        Ok(())
    });
}
