//! The watches over reports. A group that is not installed is no error, and one that comes
//! later is found.

use super::sight::sightings;
use super::{Key, Reports};
use crate::guard::guarded;
use crate::health::Part;
use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::Result;
use docket_record::examine::Config as Names;
use docket_record::report::{Report, ReportResult};
use futures::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what the cluster serves.
const DISCOVERY: Duration = Duration::from_secs(30);
/// The same while the first one has not succeeded.
const FIRST_DISCOVERY: Duration = Duration::from_secs(1);

/// What reports say of exceptions is told after this time, together: the audit event of the
/// write should have come by then.
const SETTLE: Duration = Duration::from_secs(5);
/// Reports that wait for it. Of more, some wait for the next scan.
const WAITING: usize = 10_000;
/// Reports told in one transaction.
const AT_ONCE: usize = 500;

/// Kinds by group.
const KINDS: [(&str, [&str; 2]); 2] = [
    ("wgpolicyk8s.io", ["PolicyReport", "ClusterPolicyReport"]),
    ("openreports.io", ["Report", "ClusterReport"]),
];

type Item = (String, Result<Event<DynamicObject>, Error>);

struct Kind {
    resource: ApiResource,
    listed: bool,
    abort: AbortHandle,
}

/// What the watches over reports need.
pub struct Parts {
    /// Of the cluster.
    pub client: Client,
    /// Where they are kept.
    pub reports: Reports,
    /// For what they say of exceptions.
    pub writer: Writer,
    /// For the law of an exception, as it was then.
    pub laws: Arc<Laws>,
    /// Which objects are governed.
    pub names: Names,
    /// Readiness.
    pub health: Part,
    /// Counters.
    pub metrics: Metrics,
}

/// All watches over reports.
pub struct Watch {
    client: Client,
    reports: Reports,
    writer: Writer,
    laws: Arc<Laws>,
    names: Names,
    health: Part,
    metrics: Metrics,
    /// Reports that speak of an exception, not told yet.
    excepted: BTreeSet<Key>,
    kinds: BTreeMap<String, Kind>,
    streams: SelectAll<BoxStream<'static, Item>>,
    discovered: bool,
    ready: bool,
}

impl Watch {
    /// Nothing is asked before [`Watch::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Watch {
        let Parts {
            client,
            reports,
            writer,
            laws,
            names,
            health,
            metrics,
        } = parts;
        Watch {
            client,
            reports,
            writer,
            laws,
            names,
            health,
            metrics,
            excepted: BTreeSet::new(),
            kinds: BTreeMap::new(),
            streams: SelectAll::new(),
            discovered: false,
            ready: false,
        }
    }

    /// Watch for ever.
    ///
    /// # Errors
    /// Never by itself: what fails is counted and tried again.
    pub async fn run(mut self) -> Result<()> {
        let mut look = Instant::now();
        let mut settled: Option<Instant> = None;
        loop {
            if settled.is_none() && !self.excepted.is_empty() {
                settled = Some(Instant::now() + SETTLE);
            }
            tokio::select! {
                () = tokio::time::sleep_until(settled.unwrap_or(look)), if settled.is_some() => {
                    settled = None;
                    self.tell_excepted().await;
                }
                Some((kind, item)) = self.streams.next(), if !self.streams.is_empty() => {
                    self.take(&kind, item);
                }
                () = tokio::time::sleep_until(look) => {
                    if let Err(error) = self.discover().await {
                        self.metrics.watch_error("discovery");
                        tracing::warn!("the API server does not say what reports it serves: {error}");
                        if !self.discovered {
                            self.health.not_ready(format!("no discovery yet: {error}"));
                        }
                    }
                    look = Instant::now() + if self.discovered { DISCOVERY } else { FIRST_DISCOVERY };
                }
            }
            self.tell();
        }
    }

    async fn discover(&mut self) -> kube::Result<()> {
        let groups = self.client.list_api_groups().await?;
        let mut served: BTreeMap<String, ApiResource> = BTreeMap::new();
        for (name, wanted) in &KINDS {
            let Some(group) = groups.groups.iter().find(|group| group.name == *name) else {
                continue;
            };
            let Some(version) = group.preferred_version.as_ref().or(group.versions.first()) else {
                continue;
            };
            let list = self
                .client
                .list_api_group_resources(&version.group_version)
                .await?;
            for resource in list.resources {
                if wanted.contains(&resource.kind.as_str()) && !resource.name.contains('/') {
                    let gvk = GroupVersionKind::gvk(name, &version.version, &resource.kind);
                    let found = ApiResource::from_gvk_with_plural(&gvk, &resource.name);
                    served.insert(resource.kind, found);
                }
            }
        }
        let reports = &self.reports;
        self.kinds.retain(|name, kind| {
            let stays = served.get(name) == Some(&kind.resource);
            if !stays {
                kind.abort.abort();
                reports.write().forget(name);
            }
            stays
        });
        for (name, resource) in served {
            if !self.kinds.contains_key(&name) {
                self.watch(name, resource);
            }
        }
        self.discovered = true;
        Ok(())
    }

    fn watch(&mut self, name: String, resource: ApiResource) {
        tracing::info!(kind = name, version = resource.api_version, "watching");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let tag = name.clone();
        let stream = watcher(api, Config::default())
            .map_ok(|event| event.modify(|object| object.managed_fields_mut().clear()))
            .default_backoff()
            .map(move |item| (tag.clone(), item));
        let (stream, abort) = abortable(stream);
        self.streams.push(stream.boxed());
        let kind = Kind {
            resource,
            listed: false,
            abort,
        };
        self.kinds.insert(name, kind);
    }

    fn take(&mut self, name: &str, item: Result<Event<DynamicObject>, Error>) {
        let Some(kind) = self.kinds.get_mut(name) else {
            return;
        };
        match item {
            Ok(Event::Init) => self.reports.write().list(name),
            Ok(Event::InitApply(object) | Event::Apply(object)) => self.apply(name, object),
            Ok(Event::InitDone) => {
                kind.listed = true;
                self.reports.write().listed(name);
            }
            Ok(Event::Delete(object)) => self.reports.write().delete(&key(name, &object)),
            Err(error) => {
                self.metrics.watch_error(name);
                tracing::warn!(kind = name, "the watch failed and is begun again: {error}");
                if !kind.listed {
                    self.health
                        .not_ready(format!("no first list of {name}: {error}"));
                }
            }
        }
    }

    /// Its texts may hold what an object holds, so nothing of them goes to the log.
    fn apply(&mut self, name: &str, object: DynamicObject) {
        let key = key(name, &object);
        let read = self.kinds.get(name).and_then(|kind| {
            let mut object = serde_json::to_value(object).ok()?;
            object["kind"] = kind.resource.kind.clone().into();
            object["apiVersion"] = kind.resource.api_version.clone().into();
            guarded(|| Report::from_object(&object)).flatten()
        });
        match read {
            Some(report) => {
                let excepted = report.results.iter().any(ReportResult::is_excepted);
                if excepted && self.excepted.len() < WAITING {
                    self.excepted.insert(key);
                }
                self.reports.write().apply(report);
            }
            // What it says now is not known: what it said before is no longer true.
            None => {
                self.metrics.cluster.bad_reports.inc();
                self.reports.write().delete(&key);
            }
        }
    }

    /// Not before all policies are known: the law of the exception would be missing. What
    /// the ledger does not take now is said again by the next scan.
    async fn tell_excepted(&mut self) {
        if !self.laws.now().synced {
            return;
        }
        let mut kept = Vec::new();
        for _ in 0..AT_ONCE {
            let Some(key) = self.excepted.pop_first() else {
                break;
            };
            kept.extend(self.reports.read().get(&key));
        }
        let (laws, names) = (Arc::clone(&self.laws), self.names.clone());
        let reading = tokio::task::spawn_blocking(move || sightings(&kept, &laws, &names));
        let found = match reading.await {
            Ok(found) if !found.is_empty() => found,
            Ok(_) => return,
            Err(error) => {
                self.metrics.watch_error("excepted");
                tracing::error!("reports about exceptions could not be read: {error}");
                return;
            }
        };
        let arrival = Arrival {
            sightings: found,
            ..Arrival::default()
        };
        if self.writer.commit(arrival).await.is_err() {
            self.metrics.watch_error("excepted");
        }
    }

    /// Ready when each kind of the first discovery has had its first list, once.
    fn tell(&mut self) {
        let (reports, results, left_out) = {
            let table = self.reports.read();
            let (reports, results) = table.count();
            (reports, results, table.left_out())
        };
        self.metrics.cluster.reports(reports, results, left_out);
        if self.ready || !self.discovered {
            return;
        }
        match self.kinds.iter().find(|(_, kind)| !kind.listed) {
            None => {
                self.ready = true;
                self.health.ready();
                tracing::info!(reports, "all reports are known");
            }
            Some((name, _)) => {
                let why = format!("waiting for the first list of {name}");
                self.health.not_ready(why);
            }
        }
    }
}

fn key(kind: &str, object: &DynamicObject) -> Key {
    Key {
        namespace: object.namespace().unwrap_or_default(),
        kind: kind.to_owned(),
        name: object.name_any(),
    }
}
