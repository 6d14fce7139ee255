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
use crate::relist::{Pause, relisting};
use anyhow::Result;
use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher;
use kube::runtime::watcher::{Config, Error, Event};
use kube::{Client, ResourceExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Sender;

/// The API server ends a watch after so many seconds, and it goes on where it was. One
/// that has said nothing for five more is dead: so long a lost connection goes unnoticed.
const CALL: u32 = 10;
/// Before a watch that broke begins again.
const PAUSE: Pause = Pause {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(2),
};
/// So many answers in a row that there is no such kind are believed, where nothing of it
/// was there, and where something was: a server that starts may serve a group late.
const UNSERVED: [u32; 2] = [3, 20];
/// Changes taken together.
const TOGETHER: usize = 256;

/// What is watched.
const KINDS: [&str; 3] = ["Namespace", "Organization", "OrgNamespaceBinding"];

/// What a watch says.
enum Change {
    /// A list begins.
    Begins,
    /// An object of a list.
    Listed(String, Owner),
    /// The list is complete.
    Complete,
    /// An object is there, or has changed.
    There(String, Owner),
    /// It is gone.
    Gone(String),
    /// The API server serves no such kind.
    Unserved,
    /// The watch broke.
    Broke(Error),
}

/// Objects of one kind.
#[derive(Default)]
struct Table {
    complete: bool,
    /// Answers in a row that there is no such kind.
    unserved: u32,
    listing: BTreeMap<String, Owner>,
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
        let mut streams = SelectAll::new();
        streams.push(self.namespaces());
        streams.push(self.objects(1, "organizations", |object| Owner {
            namespace: text(object, "namespaceName"),
            org: match text(object, "slug") {
                slug if slug.is_empty() => object.name_any(),
                slug => slug,
            },
        }));
        streams.push(self.objects(2, "orgnamespacebindings", |object| Owner {
            namespace: text(object, "namespace"),
            org: text(object, "organizationRef"),
        }));
        let mut changes = streams.ready_chunks(TOGETHER);
        while let Some(changes) = changes.next().await {
            for (at, change) in changes {
                self.take(at, change);
            }
            self.publish();
        }
        Ok(())
    }

    fn namespaces(&self) -> BoxStream<'static, (usize, Change)> {
        let api = Api::<PartialObjectMeta<Namespace>>::all(self.client.clone());
        let label = format!("{}org", self.names.label_prefix);
        let begin = move || watcher(api.clone(), Config::default().timeout(CALL)).boxed();
        relisting(begin, PAUSE)
            .map(move |item| {
                let owner = |namespace: &PartialObjectMeta<Namespace>| Owner {
                    namespace: namespace.name_any(),
                    org: namespace.labels().get(&label).cloned().unwrap_or_default(),
                };
                (0, change(item, owner))
            })
            .boxed()
    }

    fn objects(
        &self,
        at: usize,
        plural: &str,
        owner: fn(&DynamicObject) -> Owner,
    ) -> BoxStream<'static, (usize, Change)> {
        let gvk = GroupVersionKind::gvk(&self.names.krate_group, "v1alpha1", KINDS[at]);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let platform = &self.names.platform_namespace;
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), platform, &resource);
        let begin = move || watcher(api.clone(), Config::default().timeout(CALL)).boxed();
        relisting(begin, PAUSE)
            .map(move |item| match item {
                Err(Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404 => {
                    (at, Change::Unserved)
                }
                item => (at, change(item, owner)),
            })
            .boxed()
    }

    fn take(&mut self, at: usize, change: Change) {
        let table = &mut self.tables[at];
        match change {
            Change::Begins => table.listing.clear(),
            Change::Listed(name, owner) => {
                table.listing.insert(name, owner);
            }
            Change::Complete => {
                table.there = std::mem::take(&mut table.listing);
                (table.complete, table.unserved) = (true, 0);
            }
            Change::There(name, owner) => {
                table.there.insert(name, owner);
            }
            Change::Gone(name) => {
                table.there.remove(&name);
            }
            // A cluster without Krate's kinds has orgs by label and prefix only.
            Change::Unserved => {
                table.unserved += 1;
                if table.unserved >= UNSERVED[usize::from(!table.there.is_empty())] {
                    table.there.clear();
                    table.complete = true;
                }
            }
            Change::Broke(error) => {
                self.metrics.watch_error(KINDS[at]);
                if std::mem::take(&mut table.complete) {
                    let kind = KINDS[at];
                    tracing::warn!(kind, "the watch failed and is begun again: {error}");
                } else if !self.seen.borrow().complete {
                    self.health
                        .not_ready(format!("no list of {}: {error}", KINDS[at]));
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

fn change<K: ResourceExt>(item: Result<Event<K>, Error>, owner: impl Fn(&K) -> Owner) -> Change {
    match item {
        Ok(Event::Init) => Change::Begins,
        Ok(Event::InitApply(object)) => Change::Listed(object.name_any(), owner(&object)),
        Ok(Event::InitDone) => Change::Complete,
        Ok(Event::Apply(object)) => Change::There(object.name_any(), owner(&object)),
        Ok(Event::Delete(object)) => Change::Gone(object.name_any()),
        Err(error) => Change::Broke(error),
    }
}

fn text(object: &DynamicObject, field: &str) -> String {
    let text = object.data["spec"][field].as_str();
    text.unwrap_or_default().to_owned()
}
