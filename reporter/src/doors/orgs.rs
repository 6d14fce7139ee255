//! Which namespaces are an org's: by Organization and OrgNamespaceBinding objects of the
//! platform namespace, by the Namespace's label, and by the name prefix for a namespace
//! of which nothing else is said. Never by what a denied object claims.
//!
//! All of that is watched. Until every list is there, and while a watch is broken, which
//! orgs share a namespace is not known: who reads by the RBAC of a namespace, or by the
//! path of an org, is then told to come back, and no Event is published.
//!
//! And since when a namespace is: one that was deleted and made again is another tenant's,
//! under the same name.

mod map;
mod watch;

pub(crate) use map::Map;
pub use watch::Watch;

use super::auth::Permission;
use super::error::Refusal;
use crate::health::Part;
use crate::metrics::Metrics;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use moka::sync::Cache;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;

/// How long a question waits for a list that is on its way.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits for a namespace that is there and was not seen yet.
const NEW: Duration = Duration::from_millis(500);
/// How long it is believed since when a namespace is: less than it takes to delete one.
const ALIVE: Duration = Duration::from_secs(1);
/// Most namespaces of which that is remembered.
const NAMESPACES: u64 = 10_000;

/// What Krate calls things that tell of orgs.
#[derive(Clone, Debug)]
pub struct Names {
    /// Krate's API group.
    pub krate_group: String,
    /// Prefix of Krate's labels.
    pub label_prefix: String,
    /// Prefix of org namespaces.
    pub org_namespace_prefix: String,
    /// Where Organization and OrgNamespaceBinding objects live; others are not believed.
    pub platform_namespace: String,
}

impl Default for Names {
    fn default() -> Names {
        Names {
            krate_group: "krate.a5c.ai".into(),
            label_prefix: "krate.a5c.ai/".into(),
            org_namespace_prefix: "krate-org-".into(),
            platform_namespace: "krate-system".into(),
        }
    }
}

/// What the watch has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(super) map: Arc<Map>,
    /// Every list is there, and no watch is broken.
    pub(super) complete: bool,
    /// Another number after any change of which orgs share which namespace.
    pub(super) sharing: u64,
}

/// The lookup. Cheap to clone.
#[derive(Clone)]
pub struct Orgs {
    client: Option<Client>,
    names: Arc<Names>,
    /// When a namespace was created, microseconds; `None`: there is none of that name.
    alive: Cache<String, Option<i64>>,
    seen: channel::Receiver<Seen>,
}

/// What somebody who stays goes by: which orgs shared which namespace when his scope was
/// asked for.
#[derive(Clone)]
pub(super) struct Sharing {
    seen: channel::Receiver<Seen>,
    known: u64,
}

impl Orgs {
    /// Of a cluster. Nothing is known before the watch runs.
    #[must_use]
    pub fn watched(client: Client, names: Names, health: Part, metrics: Metrics) -> (Orgs, Watch) {
        let names = Arc::new(names);
        let (sender, seen) = channel::channel(Seen::default());
        let watch = Watch::new(client.clone(), Arc::clone(&names), sender, health, metrics);
        (Orgs::of(Some(client), names, seen), watch)
    }

    /// Of a recorded day, or of a cluster that says nothing of orgs: names are all there is.
    #[must_use]
    pub fn by_name(names: Names) -> Orgs {
        let seen = Seen {
            complete: true,
            ..Seen::default()
        };
        let (_, seen) = channel::channel(seen);
        Orgs::of(None, Arc::new(names), seen)
    }

    fn of(client: Option<Client>, names: Arc<Names>, seen: channel::Receiver<Seen>) -> Orgs {
        Orgs {
            client,
            names,
            alive: Cache::builder()
                .max_capacity(NAMESPACES)
                .time_to_live(ALIVE)
                .build(),
            seen,
        }
    }

    /// What there is; `None` while not all of it is known.
    pub(crate) async fn known(&self) -> Option<Arc<Map>> {
        self.seen_when(PATIENCE, |_| true).await
    }

    /// The same, and not from before these namespaces were there. One that is gone is not
    /// waited for longer than a moment.
    pub(crate) async fn known_with(&self, namespaces: &BTreeSet<&str>) -> Option<Arc<Map>> {
        if self.client.is_none() {
            return self.known().await;
        }
        let all = |map: &Map| namespaces.iter().all(|name| map.namespaces.contains(*name));
        match self.seen_when(NEW, all).await {
            Some(map) => Some(map),
            None => self.known().await,
        }
    }

    async fn seen_when(
        &self,
        patience: Duration,
        enough: impl Fn(&Map) -> bool,
    ) -> Option<Arc<Map>> {
        let mut seen = self.seen.clone();
        let enough = seen.wait_for(|seen| seen.complete && enough(&seen.map));
        let seen = tokio::time::timeout(patience, enough).await.ok()?.ok()?;
        Some(Arc::clone(&seen.map))
    }

    /// What was known last: for words, not for permissions.
    pub(super) fn last(&self) -> Arc<Map> {
        Arc::clone(&self.seen.borrow().map)
    }

    /// To be asked before the scope is that goes by it.
    pub(super) fn sharing(&self) -> Sharing {
        let mut sharing = Sharing {
            seen: self.seen.clone(),
            known: 0,
        };
        sharing.renew();
        sharing
    }

    /// The org's namespaces. Empty when nothing and nobody names one.
    pub(super) fn namespaces(&self, map: &Map, org: &str) -> BTreeSet<String> {
        let owned = map.owners.iter().filter(|(_, orgs)| orgs.contains(org));
        let mut found: BTreeSet<String> = owned.map(|(name, _)| name.clone()).collect();
        let by_prefix = format!("{}{org}", self.names.org_namespace_prefix);
        if !map.owners.contains_key(&by_prefix) {
            found.insert(by_prefix);
        }
        found
    }

    /// The org that a namespace belongs to; `None` where several share it, or none owns it.
    pub(super) fn owner(&self, map: &Map, namespace: &str) -> Option<String> {
        match map.owners.get(namespace) {
            Some(orgs) => {
                let mut orgs = orgs.iter();
                let first = orgs.next()?;
                orgs.next().is_none().then(|| first.clone())
            }
            None => {
                let org = namespace.strip_prefix(&self.names.org_namespace_prefix)?;
                (!org.is_empty()).then(|| org.to_owned())
            }
        }
    }

    /// Is the org of a record in this namespace made up from the namespace's name? Then it
    /// tells no tenants apart.
    pub(super) fn names_its_org(&self, namespace: &str) -> bool {
        let rest = namespace.strip_prefix(&self.names.org_namespace_prefix);
        rest.is_some_and(|org| !org.is_empty())
    }

    /// The permission to read an org itself: what tells its members in a shared namespace.
    pub(super) fn membership(&self, map: &Map, org: &str) -> Permission {
        Permission {
            verb: "get",
            group: self.names.krate_group.clone(),
            resource: "organizations",
            subresource: String::new(),
            namespace: Some(self.names.platform_namespace.clone()),
            name: Some(map.objects.get(org).map_or(org, String::as_str).to_owned()),
        }
    }

    /// When the namespace of that name was created, in microseconds of whole seconds;
    /// `None`: there is none (any more).
    pub(super) async fn created(&self, namespace: &str) -> Result<Option<i64>, Refusal> {
        let Some(client) = self.client.as_ref().filter(|_| is_label(namespace)) else {
            return Ok(None);
        };
        if let Some(known) = self.alive.get(namespace) {
            return Ok(known);
        }
        let api = Api::<Namespace>::all(client.clone());
        let found = api.get_metadata_opt(namespace).await.map_err(|error| {
            Refusal::unavailable(
                "the API server could not be asked for the namespace",
                &error,
            )
        })?;
        let created = found.map(|found| match found.metadata.creation_timestamp {
            Some(time) => time.0.as_microsecond(),
            // Never so; and if, nothing is older than that.
            None => i64::MAX,
        });
        self.alive.insert(namespace.to_owned(), created);
        Ok(created)
    }
}

impl Sharing {
    /// Has it changed since, or is it not known now?
    pub(super) fn is_stale(&self) -> bool {
        let seen = self.seen.borrow();
        !seen.complete || seen.sharing != self.known
    }

    /// A scope is going to be asked for anew.
    pub(super) fn renew(&mut self) {
        self.known = self.seen.borrow_and_update().sharing;
    }

    /// Returns when more has been seen, whatever it is.
    pub(super) async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
impl Orgs {
    /// As if the watch had seen bindings of these (namespace, org), or not seen all yet.
    pub(crate) fn seen(bindings: &[(&str, &str)], complete: bool) -> (Orgs, channel::Sender<Seen>) {
        let (sender, seen) = channel::channel(Seen::of(bindings, complete));
        (Orgs::of(None, Arc::default(), seen), sender)
    }
}

#[cfg(test)]
impl Seen {
    pub(crate) fn of(bindings: &[(&str, &str)], complete: bool) -> Seen {
        let owner = |(namespace, org): &(&str, &str)| {
            let (namespace, org) = ((*namespace).to_owned(), (*org).to_owned());
            (format!("{namespace}-{org}"), map::Owner { namespace, org })
        };
        let bindings = bindings.iter().map(owner).collect();
        let none = std::collections::BTreeMap::new();
        Seen {
            map: Arc::new(Map::of(&none, &none, &bindings)),
            complete,
            sharing: 0,
        }
    }
}

/// Can a namespace have this name? It goes into a path.
fn is_label(name: &str) -> bool {
    let written = name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    written && (1..=63).contains(&name.len())
}
