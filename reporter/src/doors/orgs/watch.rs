//! The watches over Namespaces, Organizations and bindings, and the map that they make.
//!
//! ```text
//!  list and watch of each kind ─▶ one table each ─▶ Map ─▶ doors, Events
//! ```
//!
//! A watch that breaks begins with a list again. Until that list is there, the map is the
//! last one and not complete: what a binding said meanwhile is not known.

use super::map::Owner;
use super::{Map, Names, Seen};
use crate::health::Part;
use crate::metrics::Metrics;
use crate::watch::stream::{Broke, Event, Times, watching};
use anyhow::Result;
use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Sender;

/// The API server ends a watch after so many seconds, and it goes on where it was. With
/// the margin: so long a connection that was lost without a word goes unnoticed.
const CALL: u32 = 10;
/// Longest pause before a watch that broke begins again.
const PAUSE: Duration = Duration::from_secs(2);
/// So many answers in a row that there is no such kind are believed, where nothing of it
/// was there, and where something was: a server that starts may serve a group late.
const UNSERVED: [u32; 2] = [2, 20];
/// Changes taken together.
const TOGETHER: usize = 256;

/// What is watched.
const KINDS: [&str; 3] = ["Namespace", "Organization", "OrgNamespaceBinding"];

/// Objects of one kind.
#[derive(Default)]
struct Table {
    complete: bool,
    /// Answers in a row that there is no such kind.
    unserved: u32,
    there: BTreeMap<String, Owner>,
}

/// The task.
pub struct Watch {
    client: Client,
    names: Arc<Names>,
    seen: Sender<Seen>,
    health: Part,
    metrics: Metrics,
    tables: [Table; KINDS.len()],
}

impl Watch {
    pub(super) fn new(
        client: Client,
        names: Arc<Names>,
        seen: Sender<Seen>,
        health: Part,
        metrics: Metrics,
    ) -> Watch {
        Watch {
            client,
            names,
            seen,
            health,
            metrics,
            tables: Default::default(),
        }
    }

    /// Watch for ever.
    ///
    /// # Errors
    /// Never by itself: what fails is counted and tried again.
    pub async fn run(mut self) -> Result<()> {
        let krates = |kind, plural| {
            let gvk = GroupVersionKind::gvk(&self.names.krate_group, "v1alpha1", kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let platform = &self.names.platform_namespace;
            Api::namespaced_with(self.client.clone(), platform, &resource)
        };
        let namespaces = ApiResource::erase::<Namespace>(&());
        let mut streams = SelectAll::new();
        streams.push(told(0, Api::all_with(self.client.clone(), &namespaces)));
        streams.push(told(1, krates(KINDS[1], "organizations")));
        streams.push(told(2, krates(KINDS[2], "orgnamespacebindings")));
        let mut events = streams.ready_chunks(TOGETHER);
        while let Some(events) = events.next().await {
            for (at, event) in events {
                self.take(at, event);
            }
            self.publish();
        }
        Ok(())
    }

    /// What an object of that kind says.
    fn owner(&self, at: usize, object: &DynamicObject) -> Owner {
        let text = |field: &str| {
            let text = object.data["spec"][field].as_str();
            text.unwrap_or_default().to_owned()
        };
        let (namespace, org) = match at {
            0 => {
                let label = format!("{}org", self.names.label_prefix);
                let org = object.labels().get(&label).cloned();
                (object.name_any(), org.unwrap_or_default())
            }
            1 => match text("slug") {
                slug if slug.is_empty() => (text("namespaceName"), object.name_any()),
                slug => (text("namespaceName"), slug),
            },
            _ => (text("namespace"), text("organizationRef")),
        };
        Owner { namespace, org }
    }

    fn take(&mut self, at: usize, event: Event) {
        let named = |object: &DynamicObject| (object.name_any(), self.owner(at, object));
        match event {
            Event::Listed { objects, .. } => {
                let there = objects.iter().map(named).collect();
                self.tables[at] = Table {
                    complete: true,
                    unserved: 0,
                    there,
                };
            }
            Event::Applied(object, _) => {
                let (name, owner) = named(&object);
                self.tables[at].there.insert(name, owner);
            }
            Event::Deleted(object, _) => {
                self.tables[at].there.remove(&object.name_any());
            }
            Event::Alive => {}
            // A cluster without Krate's kinds has orgs by label and prefix only.
            Event::Broke(Broke::Api(kube::Error::Api(status))) if at > 0 && status.code == 404 => {
                let table = &mut self.tables[at];
                table.unserved += 1;
                table.complete = table.unserved >= UNSERVED[usize::from(!table.there.is_empty())];
                if table.complete {
                    table.there.clear();
                }
            }
            Event::Broke(why) => {
                let kind = KINDS[at];
                self.metrics.watch_error(kind);
                if std::mem::take(&mut self.tables[at].complete) {
                    tracing::warn!(kind, "the watch failed and is begun again: {why}");
                } else if !self.seen.borrow().complete {
                    self.health.not_ready(format!("no list of {kind}: {why}"));
                }
            }
        }
    }

    fn publish(&self) {
        let complete = self.tables.iter().all(|table| table.complete);
        let map = complete.then(|| {
            let [namespaces, organizations, bindings] = &self.tables;
            Map::of(&namespaces.there, &organizations.there, &bindings.there)
        });
        self.seen.send_if_modified(|seen| {
            let mut changed = seen.complete != complete;
            seen.complete = complete;
            if let Some(map) = map.filter(|map| *map != *seen.map) {
                if !map.shared().eq(seen.map.shared()) {
                    seen.sharing += 1;
                }
                seen.map = Arc::new(map);
                changed = true;
            }
            changed
        });
        if complete {
            self.health.ready();
        }
    }
}

fn told(at: usize, api: Api<DynamicObject>) -> BoxStream<'static, (usize, Event)> {
    let times = Times {
        watch: CALL,
        pause: PAUSE,
        ..Times::default()
    };
    watching(api, times).map(move |event| (at, event)).boxed()
}
