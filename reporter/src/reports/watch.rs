//! The watches over reports. A group that is not installed is no error, and one that comes
//! later is found.

use super::{Key, Reports};
use crate::health::Part;
use crate::metrics::Metrics;
use anyhow::Result;
use docket_record::report::Report;
use futures::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what the cluster serves.
const DISCOVERY: Duration = Duration::from_secs(30);
/// The same while the first one has not succeeded.
const FIRST_DISCOVERY: Duration = Duration::from_secs(1);

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

/// All watches over reports.
pub struct Watch {
    client: Client,
    reports: Reports,
    health: Part,
    metrics: Metrics,
    kinds: BTreeMap<String, Kind>,
    streams: SelectAll<BoxStream<'static, Item>>,
    discovered: bool,
    ready: bool,
}

impl Watch {
    /// Nothing is asked before [`Watch::run`].
    #[must_use]
    pub fn new(client: Client, reports: Reports, health: Part, metrics: Metrics) -> Watch {
        Watch {
            client,
            reports,
            health,
            metrics,
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
        loop {
            tokio::select! {
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
            Report::from_object(&object)
        });
        match read {
            Some(report) => self.reports.write().apply(report),
            // What it says now is not known: what it said before is no longer true.
            None => {
                self.metrics.bad_reports.inc();
                self.reports.write().delete(&key);
            }
        }
    }

    /// Ready when each kind of the first discovery has had its first list, once.
    fn tell(&mut self) {
        let (reports, results, left_out) = {
            let table = self.reports.read();
            let (reports, results) = table.count();
            (reports, results, table.left_out())
        };
        self.metrics.reports(reports, results, left_out);
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
