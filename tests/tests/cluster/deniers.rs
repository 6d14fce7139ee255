//! Deniers that lost the race: named from Kyverno's Events, or said to be not known.

use crate::common::{denied, entries, exactly, in_namespace, public, pull_request, shared};
use crate::common::{the_one, validating_policy, wants_ok};
use anyhow::Result;
use docket_ledger::entry::Class;
use docket_tests::{ControlPlane, Options, eventually, on_shared_runtime};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A legacy policy on pull requests of one namespace, in Enforce.
fn legacy(name: &str, namespace: &str, message: &str) -> Value {
    json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": name},
        "spec": {"background": false, "rules": [{
            "name": "title",
            "match": {"any": [{"resources": {"kinds": ["krate.a5c.ai/v1alpha1/PullRequest"],
                "namespaces": [namespace]}}]},
            "validate": {"failureAction": "Enforce", "message": message,
                "pattern": {"spec": {"title": "ok*"}}},
        }]},
    })
}

fn policies(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|one| Some(one["policy"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn both_webhooks_that_deny_are_named_whichever_answers_first() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("race").await?;
        plane
            .apply_policies(&[
                wants_ok("race-cel", &namespace),
                legacy("race-legacy", &namespace, "The title must start with ok."),
            ])
            .await?;
        let tries = 12;
        for number in 0..tries {
            // The last one has a generated name.
            let name = if number + 1 == tries {
                String::new()
            } else {
                format!("pr-{number}")
            };
            denied(
                plane
                    .create("alice", &pull_request(&namespace, &name, "no"))
                    .await?,
            )?;
        }
        exactly(plane, &in_namespace(&namespace), tries).await?;
        let both = BTreeSet::from(["race-cel".to_owned(), "race-legacy".to_owned()]);
        let found = eventually("the losers are named", Duration::from_secs(30), || async {
            let found = plane.denials(&in_namespace(&namespace)).await?;
            let all = found.iter().all(|record| {
                let mut named = policies(&record["attributions"]);
                named.extend(policies(&record["others"]["attributions"]));
                named == both
            });
            Ok(all.then_some(found))
        })
        .await?;
        for record in &found {
            let others = &record["others"]["attributions"];
            assert_eq!(others.as_array().map(Vec::len), Some(1), "{record:#}");
            assert_eq!(others[0]["grade"], "exact", "{record:#}");
            assert_eq!(others[0]["source"], "kyvernoEvent");
            assert!(policies(&record["attributions"]).is_disjoint(&policies(others)));
        }
        Ok(())
    });
}

#[test]
fn an_event_that_says_blocked_of_an_audit_policy_makes_nothing() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = plane.org_namespace("lies").await?;
        let mut audit = validating_policy(
            "lies-audit",
            &namespace,
            "object.spec.title == 'never'",
            "Only watched.",
        );
        audit["spec"]["validationActions"] = json!(["Audit"]);
        plane
            .apply_policies(&[wants_ok("lies-deny", &namespace), audit])
            .await?;
        plane
            .create("alice", &pull_request(&namespace, "fine", "ok"))
            .await?
            .accepted()?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "bad", "no"))
                .await?,
        )?;

        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["resourceRef"]["name"], "bad");
        eventually(
            "Kyverno's Event is there",
            Duration::from_secs(30),
            || async {
                let path = "/apis/events.k8s.io/v1/namespaces/default/events";
                let events = plane.admin(http::Method::GET, path).send().await?.body;
                let claims = events["items"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|event| {
                        event["regarding"]["name"] == "lies-audit"
                            && event["note"]
                                .as_str()
                                .is_some_and(|note| note.contains("/bad: "))
                    });
                Ok(claims.then_some(()))
            },
        )
        .await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let record = the_one(plane, &namespace).await?;
        assert_eq!(record["others"]["attributions"], json!([]), "{record:#}");
        Ok(())
    });
}

#[test]
fn without_kyvernos_events_others_are_not_known_and_that_is_a_gap() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options {
            kyverno_flags: vec!["--omitEvents=PolicyViolation".into()],
            reporter_flags: vec!["--others-wait=3s".into()],
            ..Options::default()
        })
        .await?;
        let namespace = plane.org_namespace("silent").await?;
        plane
            .apply_policies(&[wants_ok("silent-description", &namespace)])
            .await?;
        denied(
            plane
                .create("alice", &pull_request(&namespace, "unheard", "no"))
                .await?,
        )?;
        not_known(&plane, &namespace).await?;
        let gap = eventually("the gap is on record", Duration::from_secs(30), || async {
            let gaps = crate::common::gaps(&plane).await?;
            Ok(gaps
                .into_iter()
                .find(|gap| gap["cause"] == "events-missing"))
        })
        .await?;
        assert_eq!(gap["source"], "kyverno-events");
        assert_eq!(gap["count"], 1, "{gap:#}");
        assert!(
            entries(&plane.store(), Class::Amendment)?
                .iter()
                .all(|row| public(row)["kind"] != "other-denier")
        );
        plane.stop();
        Ok(())
    });
}

async fn not_known(plane: &ControlPlane, namespace: &str) -> Result<()> {
    eventually("it is decided", Duration::from_secs(40), || async {
        let found = plane.denials(&in_namespace(namespace)).await?;
        let decided = found.len() == 1 && found[0]["others"]["state"] == "not-known";
        Ok(decided.then_some(()))
    })
    .await
}
