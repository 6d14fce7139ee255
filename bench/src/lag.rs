//! From refusal to reader: how long until `kubectl get denials -w` shows a denial.
//!
//! A whole control plane with Kyverno and Docket, audit events sent at least each second
//! (the usual is 30 s). The clock starts when the client has its refusal. Baseline of the same
//! run: when the ledger took the record, so that what the door adds is told apart from what
//! the API server waits.

use anyhow::Context as _;
use docket_tests::krate::{self, ACME};
use docket_tests::{ControlPlane, Options, Part, eventually};
use futures::TryStreamExt as _;
use kube::Api;
use kube::api::{
    ApiResource, DynamicObject, GroupVersionKind, ListParams, WatchEvent, WatchParams,
};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

/// What to do.
#[derive(clap::Args)]
pub struct Args {
    /// Refusals to wait for.
    #[arg(long, default_value_t = 200)]
    refusals: usize,
    /// Milliseconds between two.
    #[arg(long, default_value_t = 130)]
    every: u64,
}

/// The last one must be there within this.
const PATIENCE: Duration = Duration::from_secs(30);
const READER: &str = "auditor";
const WRITER: &str = "alice";

/// When something was, and when it was seen: microseconds since the epoch.
struct Seen {
    recorded: i64,
    at: i64,
}

/// Prints the table.
pub fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(args))
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
async fn measure(args: Args) -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default().without(Part::ReportsController)).await?;
    plane
        .apply_policies(&docket_tests::day::policies()?)
        .await?;
    let probe = request("probe");
    eventually("the policy judges", PATIENCE, || async {
        let reply = plane.creating(WRITER, &probe)?.dry_run().send().await?;
        Ok((!reply.ok()).then_some(()))
    })
    .await?;

    let kind = GroupVersionKind::gvk("docket.a5c.ai", "v1", "Denial");
    let denials = ApiResource::from_gvk_with_plural(&kind, "denials");
    let api: Api<DynamicObject> = Api::namespaced_with(plane.kube(READER).await?, ACME, &denials);
    let list = api.list(&ListParams::default()).await?;
    let version = list.metadata.resource_version.context("no version")?;
    let watch = api.watch(&WatchParams::default(), &version).await?;
    let wanted = args.refusals;
    let watching = tokio::spawn(async move {
        let mut watch = std::pin::pin!(watch);
        let mut seen = HashMap::new();
        while seen.len() < wanted {
            match watch.try_next().await?.context("the watch ended")? {
                WatchEvent::Added(object) => seen.extend(read(&object)),
                WatchEvent::Error(status) => anyhow::bail!("{status:?}"),
                _ => {}
            }
        }
        Ok(seen)
    });

    let mut refused = Vec::new();
    let mut every = tokio::time::interval(Duration::from_millis(args.every));
    for number in 0..args.refusals {
        every.tick().await;
        let name = format!("lag-{number}");
        let reply = plane.create(WRITER, &request(&name)).await?;
        anyhow::ensure!(!reply.ok(), "{name} was admitted");
        refused.push((name, now()));
    }
    let seen = tokio::time::timeout(PATIENCE, watching)
        .await
        .context("some refusals were never told")???;
    plane.stop();

    let lag = |to: fn(&Seen) -> i64| -> Vec<f64> {
        let each = refused
            .iter()
            .filter_map(|(name, at)| Some((to(seen.get(name)?) - at) as f64 / 1e6));
        let mut all: Vec<f64> = each.collect();
        all.sort_by(f64::total_cmp);
        all
    };
    println!(
        "{} refusals, one each {} ms, audit wait 1 s; seconds after the client had its refusal\n",
        args.refusals, args.every
    );
    println!("{:<24} {:>7} {:>7} {:>7}", "", "p50", "p99", "most");
    for (what, lags) in [
        ("in the ledger (baseline)", lag(|seen| seen.recorded)),
        ("seen by a watch", lag(|seen| seen.at)),
    ] {
        anyhow::ensure!(
            lags.len() == args.refusals,
            "{what}: {} of them",
            lags.len()
        );
        let at = |share: f64| lags[((lags.len() - 1) as f64 * share).round() as usize];
        println!(
            "{what:<24} {:>7.3} {:>7.3} {:>7.3}",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

fn read(object: &DynamicObject) -> Option<(String, Seen)> {
    let name = object.data["resourceRef"]["name"].as_str()?;
    let recorded: jiff::Timestamp = object.data["recordedAt"].as_str()?.parse().ok()?;
    let seen = Seen {
        recorded: recorded.as_microsecond(),
        at: now(),
    };
    name.starts_with("lag-").then(|| (name.to_owned(), seen))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A pull request without the description that a policy of the first run wants.
fn request(name: &str) -> serde_json::Value {
    krate::object(
        "PullRequest",
        ACME,
        "acme",
        name,
        json!({"organizationRef": "acme", "repository": "web", "title": "Make it so", "description": "no"}),
    )
}
