//! What happened next, by real writes: who fixed it, and by changing what.

use crate::common::{denied, exactly, in_namespace, pull_request, shared};
use crate::common::{refused, validating_policy, wants_ok};
use anyhow::Result;
use docket_tests::{ControlPlane, on_shared_runtime};
use serde_json::{Value, json};
use std::time::Duration;

/// The denials of a namespace, oldest first, once each has an outcome.
async fn came(plane: &ControlPlane, namespace: &str, count: usize) -> Result<Vec<Value>> {
    docket_tests::eventually("each has an outcome", Duration::from_secs(20), || async {
        let found = plane.denials(&in_namespace(namespace)).await?;
        let all = found.iter().all(|denial| denial["outcome"].is_object());
        Ok((all && found.len() >= count).then_some(()))
    })
    .await?;
    exactly(plane, &in_namespace(namespace), count).await
}

/// Paths of an outcome below `spec`, with what became of them.
fn of_spec(denial: &Value) -> Vec<(&str, &str)> {
    let paths = denial["outcome"]["paths"].as_array().into_iter().flatten();
    paths
        .map(|path| {
            let text = |name: &str| path[name].as_str().unwrap_or_default();
            (text("path"), text("change"))
        })
        .filter(|(path, _)| path.starts_with("spec"))
        .collect()
}

#[test]
fn a_description_that_was_fixed_is_the_one_path_of_spec_that_changed() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("fixed").await?;
        plane
            .apply_policies(&[wants_ok("fixed-description", &namespace)])
            .await?;
        let mut object = pull_request(&namespace, "by-bob", "no");
        denied(plane.create("bob", &object).await?)?;
        object["spec"]["description"] = "ok, it says what it changes".into();
        plane.create("bob", &object).await?.accepted()?;
        // An update that is denied, and one without a description at all.
        object["spec"]
            .as_object_mut()
            .map(|spec| spec.remove("description"));
        denied(plane.replace("bob", &object).await?)?;
        object["spec"]["description"] = "ok again".into();
        plane.replace("bob", &object).await?.accepted()?;

        let found = came(plane, &namespace, 2).await?;
        for (denial, change, operation) in [
            (&found[0], "changed", "CREATE"),
            (&found[1], "added", "UPDATE"),
        ] {
            let outcome = &denial["outcome"];
            assert_eq!(outcome["relation"], "object", "{outcome:#}");
            assert_eq!(outcome["by"], "bob");
            assert_eq!(outcome["sameActor"], true);
            assert_eq!(outcome["operation"], operation);
            assert_eq!(
                of_spec(denial),
                [("spec.description", change)],
                "{outcome:#}"
            );
            assert!(
                outcome["after"]
                    .as_u64()
                    .is_some_and(|after| after < 60_000)
            );
        }
        assert!(
            !json!(found[1]["outcome"]).to_string().contains("ok again"),
            "no value is kept"
        );

        let token = plane.token(docket_tests::users::AUDITOR)?;
        let url = format!(
            "{}/api/outcomes?namespace={namespace}&policy=fixed-description",
            plane.docket_url()
        );
        let figures = plane
            .http()
            .get(url)
            .token(&token)
            .send()
            .await?
            .expect_code(200)?
            .body;
        assert_eq!(figures["fixed"], 2, "{figures:#}");
        assert_eq!(figures["unresolved"], 0);
        assert_eq!(figures["topPaths"][0]["path"], "spec.description");
        assert_eq!(figures["topPaths"][0]["count"], 2);
        Ok(())
    });
}

#[test]
fn a_denial_that_another_one_fixed_says_so() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("other").await?;
        plane
            .apply_policies(&[wants_ok("other-description", &namespace)])
            .await?;
        let mut object = pull_request(&namespace, "of-bob", "no");
        denied(plane.create("bob", &object).await?)?;
        object["spec"]["description"] = "ok, says alice".into();
        plane.create("alice", &object).await?.accepted()?;
        let found = came(plane, &namespace, 1).await?;
        assert_eq!(found[0]["outcome"]["by"], "alice");
        assert_eq!(found[0]["outcome"]["sameActor"], false);
        Ok(())
    });
}

#[test]
fn a_retry_under_another_generated_name_is_of_the_series_only() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("series").await?;
        plane
            .apply_policies(&[wants_ok("series-description", &namespace)])
            .await?;
        denied(
            plane
                .create("bob", &pull_request(&namespace, "", "no"))
                .await?,
        )?;
        plane
            .create("bob", &pull_request(&namespace, "", "ok now"))
            .await?
            .accepted()?;
        let found = came(plane, &namespace, 1).await?;
        assert_eq!(found[0]["outcome"]["relation"], "series");
        assert_ne!(found[0]["outcome"]["name"], found[0]["resource"]["name"]);
        assert_eq!(of_spec(&found[0]), [("spec.description", "changed")]);
        Ok(())
    });
}

#[test]
fn a_denied_dry_run_has_no_outcome() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("rehearsed").await?;
        plane
            .apply_policies(&[wants_ok("rehearsed-description", &namespace)])
            .await?;
        let mut object = pull_request(&namespace, "tried", "no");
        refused(plane, &object).await?;
        let dry = plane.creating("bob", &object)?.dry_run().send().await?;
        denied(dry)?;
        // Beside a real denial, so that there is something to wait for.
        denied(plane.create("bob", &object).await?)?;
        object["spec"]["description"] = "ok".into();
        plane.create("bob", &object).await?.accepted()?;
        came(plane, &namespace, 1).await?;
        let filter = docket_tests::Filter::namespace(&namespace).with("dryRun", "true");
        let found = plane.denials_at_least(&filter, 1).await?;
        assert!(
            found.iter().all(|denial| denial["outcome"].is_null()),
            "{found:#?}"
        );
        Ok(())
    });
}

#[test]
fn a_denied_deletion_is_answered_by_a_deletion_and_by_nothing_else() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("deleted").await?;
        let policy = validating_policy(
            "deleted-keep",
            &namespace,
            "request.operation != 'DELETE' || oldObject.spec.title != 'keep'",
            "It is to be kept.",
        );
        plane.apply_policies(&[policy]).await?;
        let mut object = pull_request(&namespace, "kept", "ok");
        object["spec"]["title"] = "keep".into();
        plane.create("bob", &object).await?.accepted()?;
        denied(plane.delete("bob", &object).await?)?;
        let loose = json!({"spec": {"title": "loose"}});
        plane.patch("alice", &object, &loose).await?.accepted()?;
        let found = exactly(plane, &in_namespace(&namespace), 1).await?;
        assert!(found[0]["outcome"].is_null(), "{}", found[0]["outcome"]);
        plane.delete("bob", &object).await?.accepted()?;
        let found = came(plane, &namespace, 1).await?;
        assert_eq!(found[0]["outcome"]["relation"], "object");
        assert_eq!(found[0]["outcome"]["operation"], "DELETE");
        assert_eq!(found[0]["outcome"]["by"], "bob");
        Ok(())
    });
}
