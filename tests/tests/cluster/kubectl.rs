//! The aggregated API as its readers meet it: real kubectl, and kube-rs.

use crate::common::{self, in_namespace, pull_request, refused, shared, the_one, wants_ok};
use anyhow::{Context as _, Result};
use docket_tests::{ControlPlane, on_shared_runtime, paths, users};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::{
    ApiResource, DynamicObject, GroupVersionKind, ListParams, WatchEvent, WatchParams,
};
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

/// Longer than a refusal needs to be on record, at the audit wait of one second.
const SOON: Duration = Duration::from_secs(20);

/// A namespace with a policy, and one refused pull request of alice's.
async fn court(plane: &ControlPlane, name: &str) -> Result<String> {
    let namespace = plane.org_namespace(name).await?;
    plane.apply_policies(&[wants_ok(name, &namespace)]).await?;
    refused(plane, &pull_request(&namespace, "probe", "no")).await?;
    deny(plane, &namespace, "pr-1").await?;
    the_one(plane, &namespace).await?;
    Ok(namespace)
}

async fn deny(plane: &ControlPlane, namespace: &str, name: &str) -> Result<()> {
    let reply = plane
        .create("alice", &pull_request(namespace, name, "no"))
        .await?;
    common::denied(reply).map(drop)
}

#[test]
fn kubectl_shows_a_table_the_wide_columns_and_one_denial_in_full() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = court(plane, "table").await?;
        let get = [
            "get",
            "denials",
            "-n",
            &namespace,
            "--field-selector",
            "dryRun=false",
        ];
        let table = plane.kubectl("alice", &get).await?.done()?;
        let mut lines = table.lines();
        let head: Vec<&str> = lines
            .next()
            .context("no table")?
            .split_whitespace()
            .collect();
        assert_eq!(
            head,
            [
                "NAME", "AGE", "OBJECT", "ACTOR", "POLICY", "VERDICT", "MESSAGE"
            ]
        );
        let row = lines.next().context("no row")?;
        for word in [
            "PullRequest/pr-1",
            "alice",
            "table",
            "denied",
            "The description must start with ok.",
        ] {
            assert!(row.contains(word), "{word}: {table}");
        }
        assert!(lines.next().is_none(), "{table}");
        let short = row.split_whitespace().next().context("no name")?;

        let wide = plane
            .kubectl("alice", &[&get[..], &["-o", "wide"]].concat())
            .await?
            .done()?;
        for word in ["ENFORCER", "kyverno", "CREATE", "web", "OUTCOME"] {
            assert!(wide.contains(word), "{word}: {wide}");
        }
        let name = wide.split_whitespace().last().context("no id")?;
        assert!(name.len() == 52 && name.starts_with(short), "{wide}");

        let one = ["get", "denial", short, "-n", &namespace, "-o", "json"];
        let one: Value = serde_json::from_str(&plane.kubectl("alice", &one).await?.done()?)?;
        assert_eq!(
            (&one["metadata"]["name"], &one["actor"]),
            (&json!(name), &json!("alice"))
        );
        let described = ["describe", "denials", short, "-n", &namespace];
        let described = plane.kubectl("alice", &described).await?.done()?;
        assert!(
            described.contains("Kind:") && described.contains("must start with ok"),
            "{described}"
        );
        let pages = plane
            .kubectl(
                "alice",
                &[
                    "get",
                    "denials",
                    "-n",
                    &namespace,
                    "--chunk-size",
                    "1",
                    "-o",
                    "name",
                ],
            )
            .await?
            .done()?;
        let all = plane
            .kubectl("alice", &["get", "denials", "-n", &namespace, "-o", "name"])
            .await?
            .done()?;
        assert_eq!(pages, all);
        assert!(
            all.lines().count() >= 2,
            "the probe is a dry run, and listed: {all}"
        );
        Ok(())
    });
}

#[test]
fn kubectl_selects_by_label_and_field_and_is_told_what_is_allowed() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = court(plane, "select").await?;
        let count = async |selector: &[&str]| -> Result<usize> {
            let get = [
                &["get", "denials", "-n", &namespace, "-o", "name"],
                selector,
            ]
            .concat();
            Ok(plane.kubectl("alice", &get).await?.done()?.lines().count())
        };
        for (selector, expected) in [
            (
                &[
                    "-l",
                    "docket.a5c.ai/policy=select",
                    "--field-selector",
                    "dryRun=false",
                ][..],
                1,
            ),
            (
                &[
                    "-l",
                    "policy in (select, other)",
                    "--field-selector",
                    "name=pr-1",
                ],
                1,
            ),
            (&["-l", "policy notin (select)"], 0),
            (&["-l", "docket.a5c.ai/verdict=unavailable"], 0),
            (&["--field-selector", "actor=alice,since=1h"], 1),
            (&["--field-selector", "actor=bob"], 0),
        ] {
            assert_eq!(count(selector).await?, expected, "{selector:?}");
        }
        for (selector, allowed) in [
            (
                ["--field-selector", "spec.nodeName=a"],
                "metadata.namespace",
            ),
            (["-l", "app=web"], "docket.a5c.ai/policy"),
        ] {
            let get = ["get", "denials", "-n", &namespace, selector[0], selector[1]];
            let said = plane.kubectl("alice", &get).await?;
            assert!(!said.ok && said.err.contains("BadRequest"), "{said:?}");
            assert!(said.err.contains(allowed), "{said:?}");
        }
        for refused in [
            &["get", "denials", "-A"][..],
            &["get", "denials", "-n", "krate-org-globex"],
        ] {
            let said = plane.kubectl("alice", refused).await?;
            assert!(!said.ok && said.err.contains("Forbidden"), "{said:?}");
        }
        let delete = ["delete", "denials", "--all", "-n", &namespace];
        let said = plane.kubectl(users::ADMIN, &delete).await?;
        assert!(
            !said.ok && said.err.contains("MethodNotAllowed"),
            "{said:?}"
        );
        Ok(())
    });
}

#[test]
fn kubectl_shows_a_denial_as_it_happens() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = court(plane, "follow").await?;
        let watch = ["get", "denials", "-n", &namespace, "-w"];
        let mut kubectl = plane.kubectl_command("alice", &watch);
        let mut kubectl = kubectl
            .stdout(Stdio::piped())
            .spawn()
            .context("run kubectl")?;
        let out = kubectl.stdout.take().context("no output")?;
        let mut lines = BufReader::new(out).lines();
        // What is there already.
        let mut seen = async |wanted: &str| -> Result<String> {
            loop {
                let line = timeout(SOON, lines.next_line())
                    .await
                    .context(wanted.to_owned())??;
                let line = line.context("kubectl ended")?;
                if line.contains(wanted) {
                    return Ok(line);
                }
            }
        };
        seen("PullRequest/pr-1").await?;
        deny(plane, &namespace, "pr-2").await?;
        let line = seen("PullRequest/pr-2").await?;
        assert!(line.contains("alice") && line.contains("follow"), "{line}");
        kubectl.kill().await.context("end kubectl")
    });
}

#[test]
fn every_command_of_the_page_about_kubectl_works() {
    on_shared_runtime(async {
        let plane = shared().await?;
        plane
            .apply_policies(&[wants_ok("page", docket_tests::krate::ACME)])
            .await?;
        let probe = pull_request(docket_tests::krate::ACME, "probe", "no");
        refused(plane, &probe).await?;
        deny(plane, docket_tests::krate::ACME, "page-1").await?;
        let filter = in_namespace(docket_tests::krate::ACME).with("name", "page-1");
        plane.denials_at_least(&filter, 1).await?;
        let page = std::fs::read_to_string(paths::repository().join("docs/kubectl.md"))?;
        let script = script(&page);
        assert!(script.matches("kubectl").count() >= 20, "{script}");
        let kubeconfig = plane.kubeconfig();
        let mut shell = tokio::process::Command::new("bash");
        shell
            .args(["-c", &script])
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", plane.run_dir())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(Duration::from_secs(120), shell.output()).await??;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{said}");
        for word in [
            "PullRequest/page-1",
            "DenialProof",
            "LawList",
            "DenialEvidence",
            "PAGE-ENDS",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        Ok(())
    });
}

/// The page's commands in their order, as a reader with the rights of a developer would type
/// them; one that follows is ended after a while.
fn script(page: &str) -> String {
    let mut script = "set -euo pipefail; set -x\nalice() { command kubectl --context alice \"$@\"; }\n\
         kubectl() { case \" $* \" in *' --context '*) command kubectl \"$@\" ;; *) alice \"$@\" ;; esac; }\n"
        .to_owned();
    let blocks = page.split("```sh\n").skip(1);
    for line in blocks
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
    {
        let command = line.split("  #").next().unwrap_or(line).trim_end();
        if command.ends_with(" -w") {
            let followed = command.replacen("kubectl", "timeout 3 kubectl --context alice", 1);
            script += &format!("{followed} || [ $? = 124 ]\n");
        } else {
            script += &format!("{command}\n");
        }
    }
    script + "echo PAGE-ENDS\n"
}

async fn api(plane: &ControlPlane, user: &str, namespace: &str) -> Result<Api<DynamicObject>> {
    let kind = GroupVersionKind::gvk("docket.a5c.ai", "v1", "Denial");
    let resource = ApiResource::from_gvk_with_plural(&kind, "denials");
    let client = plane.kube(user).await?;
    Ok(Api::namespaced_with(client, namespace, &resource))
}

fn object_name(object: &DynamicObject) -> Option<&str> {
    object.data["resourceRef"]["name"].as_str()
}

#[test]
fn a_program_lists_watches_and_goes_on_where_it_was_cut_off() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = court(plane, "resume").await?;
        let api = api(plane, "alice", &namespace).await?;
        let list = api.list(&ListParams::default().limit(1)).await?;
        assert_eq!(list.items.len(), 1);
        let token = list.metadata.continue_.context("more than one page")?;
        let rest = api
            .list(&ListParams::default().continue_token(&token))
            .await?;
        assert_eq!(
            list.metadata.resource_version,
            rest.metadata.resource_version
        );
        let mut version = rest.metadata.resource_version.context("no version")?;
        // Each time another watch, from the last event that was seen.
        for name in ["pr-2", "pr-3"] {
            deny(plane, &namespace, name).await?;
            let watch = api.watch(&WatchParams::default(), &version).await?;
            let mut watch = std::pin::pin!(watch);
            let found = timeout(SOON, async {
                while let Some(event) = watch.try_next().await? {
                    match event {
                        WatchEvent::Added(object) => return Ok(object),
                        WatchEvent::Modified(_) | WatchEvent::Bookmark(_) => {}
                        other => anyhow::bail!("{other:?}"),
                    }
                }
                anyhow::bail!("the watch ended")
            });
            let object = found.await.context("no event")??;
            assert_eq!(object_name(&object), Some(name));
            version = object.metadata.resource_version.context("no version")?;
        }
        Ok(())
    });
}

#[test]
fn the_watchers_of_kube_rs_get_each_denial_once_by_either_way_of_listing() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = court(plane, "informer").await?;
        let fields = "dryRun=false";
        for (config, name) in [
            (
                watcher::Config::default().fields(fields).page_size(1),
                "by-pages",
            ),
            (
                watcher::Config::default().fields(fields).streaming_lists(),
                "by-stream",
            ),
        ] {
            let before = plane.denials(&in_namespace(&namespace)).await?.len();
            let events = watcher(api(plane, "alice", &namespace).await?, config);
            let mut events = std::pin::pin!(events);
            let mut known = 0;
            let mut next = async || {
                timeout(SOON, events.try_next())
                    .await
                    .context("no event")?
                    .context("the end")
            };
            loop {
                match next().await?.context("ended")? {
                    watcher::Event::Init => {}
                    watcher::Event::InitApply(_) => known += 1,
                    watcher::Event::InitDone => break,
                    other => anyhow::bail!("{other:?}"),
                }
            }
            assert_eq!(known, before, "{name}");
            deny(plane, &namespace, name).await?;
            loop {
                if let watcher::Event::Apply(object) = next().await?.context("ended")?
                    && object_name(&object) == Some(name)
                {
                    break;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_program_with_a_version_of_another_ledger_is_told_to_begin_anew() {
    on_shared_runtime(async {
        let plane = shared().await?;
        let namespace = court(plane, "expired").await?;
        let api = api(plane, "alice", &namespace).await?;
        let list = api.list(&ListParams::default()).await?;
        let now: u64 = list
            .metadata
            .resource_version
            .context("no version")?
            .parse()?;
        for wrong in [now + 1_000_000, now + 1_000_000_000_000, 5] {
            let watch = api
                .watch(&WatchParams::default(), &wrong.to_string())
                .await?;
            let first = std::pin::pin!(watch).next().await.context("no event")??;
            let WatchEvent::Error(status) = first else {
                anyhow::bail!("{first:?}");
            };
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        let wrong = ListParams::default().fields("spec.nodeName=a");
        let Err(kube::Error::Api(status)) = api.list(&wrong).await else {
            anyhow::bail!("it was taken");
        };
        assert_eq!(status.code, 400);
        assert!(
            status.message.contains("since, until, namespace"),
            "{}",
            status.message
        );
        Ok(())
    });
}
