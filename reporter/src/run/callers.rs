//! Whose questions are answered: the cluster's users, or who holds a replay's token.
//! With the cluster come its policies and the Events in it; with a replay, its recording.

use super::place::Place;
use super::tasks::Tasks;
use crate::args::Arguments;
use crate::doors::{Callers, Names, Orgs};
use crate::health::Part;
use crate::intake::Arrival;
use crate::listen::Listener;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::replay;
use crate::reports::{self, Reports};
use crate::sources::Court;
use crate::watch::Watch;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::Path;
use std::sync::Arc;

/// Connect to the cluster, or put the recording into the ledger.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts that are watched, and who needs to know"
)]
pub(super) async fn callers(
    arguments: &Arguments,
    place: &Place,
    court: &Arc<Court>,
    writer: &Writer,
    metrics: &Metrics,
    policies_part: Part,
    orgs_part: Part,
    tasks: &mut Tasks,
) -> Result<Callers> {
    match &arguments.replay {
        Some(dir) => {
            orgs_part.ready();
            replayed(dir, court, writer, &policies_part).await
        }
        None => {
            let client = client(arguments.kubeconfig.as_deref()).await?;
            let files = arguments.audit.audit_file.iter();
            let files = files.map(|(name, _)| name.clone()).collect();
            let watch = Watch::new(
                client.clone(),
                Arc::clone(&court.laws),
                place.store.clone(),
                files,
                writer.clone(),
                policies_part,
                metrics.clone(),
            );
            let listener = Listener {
                client: client.clone(),
                laws: Arc::clone(&court.laws),
                writer: writer.clone(),
                metrics: metrics.clone(),
            };
            tasks.spawn("listening to Kyverno's Events", listener.run());
            tasks.spawn("watching the law", watch.run());
            let (orgs, watch) =
                Orgs::watched(client.clone(), names(arguments), orgs_part, metrics.clone());
            tasks.spawn("watching orgs", watch.run());
            let publisher = Publisher {
                client: client.clone(),
                store: place.store.clone(),
                writer: writer.clone(),
                laws: Arc::clone(&court.laws),
                orgs: orgs.clone(),
                metrics: metrics.clone(),
                instance: arguments.instance.clone().unwrap_or_else(host_name),
            };
            tasks.spawn("publishing Events", publisher.run());
            Ok(Callers::Cluster {
                client,
                orgs: Box::new(orgs),
            })
        }
    }
}

/// Watch the reports of a cluster; a recorded day has none.
pub(super) fn reports(
    callers: &Callers,
    known: &Reports,
    court: &Arc<Court>,
    writer: &Writer,
    metrics: &Metrics,
    part: Part,
    tasks: &mut Tasks,
) {
    match callers {
        Callers::Replay { .. } => part.ready(),
        Callers::Cluster { client, .. } => {
            let watch = reports::Watch::new(reports::Parts {
                client: client.clone(),
                reports: known.clone(),
                writer: writer.clone(),
                laws: Arc::clone(&court.laws),
                names: court.config.clone(),
                health: part,
                metrics: metrics.clone(),
            });
            tasks.spawn("watching reports", watch.run());
        }
    }
}

/// What Krate calls things here.
pub(super) fn names(arguments: &Arguments) -> Names {
    let names = &arguments.names;
    Names {
        krate_group: names.krate_group.clone(),
        label_prefix: names.label_prefix.clone(),
        org_namespace_prefix: names.org_namespace_prefix.clone(),
        platform_namespace: names.platform_namespace.clone(),
    }
}

async fn replayed(
    dir: &Path,
    court: &Arc<Court>,
    writer: &Writer,
    policies_part: &Part,
) -> Result<Callers> {
    let (book, entries) = replay::laws(dir)?;
    court.laws.publish(book);
    let laws = Arrival {
        entries,
        ..Arrival::default()
    };
    writer.commit(laws).await?;
    policies_part.ready();
    let (dir, court, writer) = (dir.to_owned(), Arc::clone(court), writer.clone());
    let replaying = move || replay::events(&dir, &court, &writer);
    let lines = tokio::task::spawn_blocking(replaying).await??;
    tracing::info!(lines, "the recorded day is in the ledger");
    Ok(Callers::Replay {
        token: replay::token()?,
    })
}

async fn client(kubeconfig: Option<&Path>) -> Result<kube::Client> {
    let config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?
        }
        None => kube::Config::incluster()
            .context("no --kubeconfig was given, and this is no pod of a cluster")?,
    };
    Ok(kube::Client::try_from(config)?)
}

fn host_name() -> String {
    docket_host::host_name().unwrap_or_else(|_| "reporter".into())
}
