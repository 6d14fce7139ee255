//! The API server's own log, imported: beside what it sent, and instead of it. Each test
//! here takes a plane of its own.

use crate::common::{denied, entries, exactly, gaps, in_namespace, personal, public};
use crate::common::{pull_request, wants_ok};
use anyhow::{Context as _, Result};
use docket_ledger::entry::Class;
use docket_tests::{AuditWebhook, ControlPlane, Options, eventually, on_shared_runtime};
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;

/// May import, by the role that is shipped.
const IMPORTER: &str = "dana";

async fn bind_importer(plane: &ControlPlane) -> Result<()> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "importers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "docket-importer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": IMPORTER}],
    });
    plane.apply_all(&[binding]).await
}

async fn import(plane: &ControlPlane, user: &str) -> Result<Output> {
    let log = plane.audit_log().display().to_string();
    let mut command = plane.docket_command(&["import", "-o", "json", &log])?;
    command.env("DOCKET_TOKEN", plane.token(user)?);
    tokio::task::spawn_blocking(move || command.output().context("run docket import")).await?
}

async fn imported(plane: &ControlPlane) -> Result<Value> {
    let output = import(plane, IMPORTER).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "docket import: {said}");
    serde_json::from_slice(&output.stdout).context("what docket import says")
}

/// Ids of the entries that events make, and of what was said of them later.
fn ids(plane: &ControlPlane) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for class in [
        Class::Denial,
        Class::Pass,
        Class::Gap,
        Class::Amendment,
        Class::Outcome,
    ] {
        ids.extend(
            entries(&plane.store(), class)?
                .into_iter()
                .map(|row| row.id),
        );
    }
    ids.sort();
    Ok(ids)
}

/// The ids, once nothing has been added for five seconds.
async fn settled(plane: &ControlPlane) -> Result<Vec<String>> {
    eventually("nothing more arrives", Duration::from_secs(120), || async {
        let before = ids(plane)?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok((ids(plane)? == before).then_some(before))
    })
    .await
}

#[test]
fn the_printed_configuration_is_taken_and_importing_the_log_beside_it_changes_nothing() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options {
            audit_config: true,
            ..Options::default()
        })
        .await?;
        let namespace = plane.org_namespace("twice").await?;
        plane
            .apply_policies(&[wants_ok("twice-description", &namespace)])
            .await?;
        for (name, text) in [
            ("one", "no"),
            ("two", "ok"),
            ("three", "no"),
            ("four", "ok"),
        ] {
            let reply = plane
                .create("alice", &pull_request(&namespace, name, text))
                .await?;
            assert_eq!(reply.ok(), text == "ok", "{}", reply.text);
        }
        let records = exactly(&plane, &in_namespace(&namespace), 2).await?;
        for record in &records {
            // The printed certificates open our hooks, which take no call without one.
            assert_eq!(record["testimony"], "verified", "{record:#}");
            assert_eq!(record["source"], docket_tests::docket::AUDIT_SOURCE);
        }

        let refused = import(&plane, docket_tests::users::AUDITOR).await?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("create denials.docket.a5c.ai"), "{said}");

        bind_importer(&plane).await?;
        let before = settled(&plane).await?;
        for _ in 0..2 {
            let told = imported(&plane).await?;
            assert_eq!(
                (&told["new"], &told["broken"]),
                (&json!(0), &json!(0)),
                "{told:#}"
            );
            assert!(told["events"]["denied"].as_u64() >= Some(2), "{told:#}");
            assert_eq!(ids(&plane)?, before);
        }
        let file = plane.store().display().to_string();
        let verified = plane.docket(&["verify", "--store", &file]).await?;
        assert!(
            verified.status.success(),
            "{}",
            String::from_utf8_lossy(&verified.stdout)
        );
        plane.stop();
        Ok(())
    });
}

#[test]
fn an_import_brings_what_the_api_server_never_sent_and_closes_the_gap() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options {
            audit_webhook: AuditWebhook::Off,
            number_wait: Duration::from_secs(5),
            ..Options::default()
        })
        .await?;
        bind_importer(&plane).await?;
        let namespace = plane.org_namespace("unsent").await?;
        plane
            .apply_policies(&[wants_ok("unsent-description", &namespace)])
            .await?;
        for name in ["one", "two", "three"] {
            denied(
                plane
                    .create("alice", &pull_request(&namespace, name, "no"))
                    .await?,
            )?;
        }
        let missing = || async {
            let gaps = gaps(&plane).await?;
            let numbers = gaps
                .into_iter()
                .filter(|gap| gap["cause"] == "numbers-missing");
            anyhow::Ok(numbers.collect::<Vec<_>>())
        };
        eventually(
            "what never came is a gap",
            Duration::from_secs(180),
            || async { Ok((!missing().await?.is_empty()).then_some(())) },
        )
        .await?;
        assert!(plane.denials(&in_namespace(&namespace)).await?.is_empty());

        let told = imported(&plane).await?;
        assert!(told["new"].as_u64() >= Some(3), "{told:#}");
        let records = exactly(&plane, &in_namespace(&namespace), 3).await?;
        for record in &records {
            assert_eq!(
                (&record["source"], &record["testimony"]),
                (&json!("import"), &json!("verified"))
            );
        }
        eventually(
            "every such gap is closed",
            Duration::from_secs(30),
            || async {
                let open: Vec<_> = missing()
                    .await?
                    .into_iter()
                    .filter(|gap| gap["closed"] != true)
                    .collect();
                Ok(open.is_empty().then_some(()))
            },
        )
        .await?;
        let importers = entries(&plane.store(), Class::Denial)?;
        let ours = importers
            .iter()
            .find(|row| public(row)["namespace"] == namespace.as_str());
        assert_eq!(personal(ours.context("no record")?)["importer"], IMPORTER);
        plane.stop();
        Ok(())
    });
}
