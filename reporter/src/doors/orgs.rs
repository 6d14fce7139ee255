//! Which namespaces are an org's: by Organization and OrgNamespaceBinding objects of the
//! platform namespace, by the Namespace's label, and by the name prefix for a namespace
//! of which nothing else is said. Never by what a denied object claims.
//!
//! And since when a namespace is: one that was deleted and made again is another tenant's,
//! under the same name.

use super::auth::Permission;
use super::error::Refusal;
use super::{Callers, Settings};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, ResourceExt as _};
use moka::sync::Cache;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long the lists are believed.
const FRESH: Duration = Duration::from_secs(15);
/// How long they stand in when the API server does not answer.
const STALE: Duration = Duration::from_secs(300);
/// How long they are believed of a namespace that is not among them.
const NEW: Duration = Duration::from_secs(1);
/// How long it is believed since when a namespace is: less than it takes to delete one.
const ALIVE: Duration = Duration::from_secs(1);
/// Most namespaces of which that is remembered.
const NAMESPACES: u64 = 10_000;
/// Objects fetched at one time.
const CHUNK: u32 = 500;

/// Orgs and namespaces as last seen.
#[derive(Debug, Default)]
pub(crate) struct Map {
    /// Every namespace there is.
    pub(super) namespaces: BTreeSet<String>,
    /// Said by Organization, binding or label: namespace to orgs.
    owners: BTreeMap<String, BTreeSet<String>>,
    /// Slug of an org to the name of its Organization, where that is not the same.
    objects: BTreeMap<String, String>,
}

/// The lookup.
pub(crate) struct Orgs {
    client: Option<Client>,
    group: String,
    label: String,
    prefix: String,
    platform: String,
    /// When a namespace was created, microseconds; `None`: there is none of that name.
    alive: Cache<String, Option<i64>>,
    // tokio: held while the lists are fetched, so that they are fetched once.
    seen: Mutex<Option<(Instant, Arc<Map>)>>,
}

impl Orgs {
    pub(super) fn new(settings: &Settings) -> Orgs {
        let client = match &settings.callers {
            Callers::Cluster(client) => Some(client.clone()),
            Callers::Replay { .. } => None,
        };
        Orgs::named(
            client,
            &settings.krate_group,
            &settings.label_prefix,
            &settings.org_namespace_prefix,
            &settings.platform_namespace,
        )
    }

    /// A lookup for others than the doors.
    pub(crate) fn named(
        client: Option<Client>,
        krate_group: &str,
        label_prefix: &str,
        org_namespace_prefix: &str,
        platform_namespace: &str,
    ) -> Orgs {
        Orgs {
            client,
            group: krate_group.to_owned(),
            label: format!("{label_prefix}org"),
            prefix: org_namespace_prefix.to_owned(),
            platform: platform_namespace.to_owned(),
            alive: Cache::builder()
                .max_capacity(NAMESPACES)
                .time_to_live(ALIVE)
                .build(),
            seen: Mutex::new(None),
        }
    }

    /// The same as [`Orgs::map`], and not from before these namespaces were there; `None`
    /// while nobody answers.
    pub(crate) async fn known(&self, namespaces: &BTreeSet<&str>) -> Option<Arc<Map>> {
        let map = self.map().await.ok()?;
        if namespaces.iter().all(|name| map.namespaces.contains(*name)) {
            return Some(map);
        }
        let mut seen = self.seen.lock().await;
        // One that is gone is in no list; it is not asked for again and again.
        if matches!(&*seen, Some((when, _)) if when.elapsed() > NEW) {
            *seen = None;
        }
        drop(seen);
        self.map().await.ok()
    }

    /// The org's namespaces. Empty when nothing and nobody names one.
    pub(super) fn namespaces(&self, map: &Map, org: &str) -> BTreeSet<String> {
        let owned = map.owners.iter().filter(|(_, orgs)| orgs.contains(org));
        let mut found: BTreeSet<String> = owned.map(|(name, _)| name.clone()).collect();
        let by_prefix = format!("{}{org}", self.prefix);
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
                let org = namespace.strip_prefix(&self.prefix)?;
                (!org.is_empty()).then(|| org.to_owned())
            }
        }
    }

    /// Is the org of a record in this namespace made up from the namespace's name? Then it
    /// tells no tenants apart.
    pub(super) fn names_its_org(&self, namespace: &str) -> bool {
        let rest = namespace.strip_prefix(&self.prefix);
        rest.is_some_and(|org| !org.is_empty())
    }

    /// The permission to read an org itself: what tells its members in a shared namespace.
    pub(super) fn membership(&self, map: &Map, org: &str) -> Permission {
        Permission {
            verb: "get",
            group: self.group.clone(),
            resource: "organizations",
            subresource: String::new(),
            namespace: Some(self.platform.clone()),
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

    /// What is known at this moment; in a replay nothing but names.
    pub(super) async fn map(&self) -> Result<Arc<Map>, Refusal> {
        let Some(client) = &self.client else {
            return Ok(Arc::default());
        };
        let mut seen = self.seen.lock().await;
        if let Some((when, map)) = &*seen
            && when.elapsed() < FRESH
        {
            return Ok(map.clone());
        }
        match self.fetch(client).await {
            Ok(map) => {
                let map = Arc::new(map);
                *seen = Some((Instant::now(), map.clone()));
                Ok(map)
            }
            Err(error) => match &*seen {
                Some((when, map)) if when.elapsed() < STALE => {
                    tracing::warn!(%error, "orgs could not be listed; the last list stands in");
                    Ok(map.clone())
                }
                _ => Err(Refusal::unavailable(
                    "the API server could not be asked for orgs",
                    &error,
                )),
            },
        }
    }

    async fn fetch(&self, client: &Client) -> Result<Map, kube::Error> {
        let mut map = Map::default();
        let mut page = ListParams::default().limit(CHUNK);
        let api = Api::<Namespace>::all(client.clone());
        loop {
            let list = api.list_metadata(&page).await?;
            for namespace in &list.items {
                map.namespaces.insert(namespace.name_any());
                map.say(&namespace.name_any(), namespace.labels().get(&self.label));
            }
            let Some(next) = list.metadata.continue_.filter(|next| !next.is_empty()) else {
                break;
            };
            page = page.continue_token(&next);
        }
        for organization in self.list(client, "Organization", "organizations").await? {
            let spec = &organization.data["spec"];
            let name = organization.name_any();
            let slug = spec["slug"]
                .as_str()
                .map_or_else(|| name.clone(), str::to_owned);
            if let Some(namespace) = spec["namespaceName"].as_str() {
                map.say(namespace, Some(&slug));
            }
            if slug != name {
                map.objects.insert(slug, name);
            }
        }
        for binding in self
            .list(client, "OrgNamespaceBinding", "orgnamespacebindings")
            .await?
        {
            let spec = &binding.data["spec"];
            if let (Some(namespace), Some(org)) =
                (spec["namespace"].as_str(), spec["organizationRef"].as_str())
            {
                map.say(namespace, Some(&org.to_owned()));
            }
        }
        map.by_slug();
        Ok(map)
    }

    async fn list(
        &self,
        client: &Client,
        kind: &str,
        plural: &str,
    ) -> Result<Vec<DynamicObject>, kube::Error> {
        let kind = GroupVersionKind::gvk(&self.group, "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &self.platform, &resource);
        match api.list(&ListParams::default()).await {
            Ok(list) => Ok(list.items),
            // A cluster without Krate's kinds has orgs by label and prefix only.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            Err(error) => Err(error),
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

impl Map {
    /// Does an Organization, a binding or a label name this org?
    pub(super) fn speaks_of(&self, org: &str) -> bool {
        self.owners.values().any(|orgs| orgs.contains(org))
    }

    /// Do several orgs share this namespace?
    pub(crate) fn is_shared(&self, namespace: &str) -> bool {
        self.sharing(namespace).is_some()
    }

    /// The orgs that share a namespace, if several do.
    pub(super) fn sharing(&self, namespace: &str) -> Option<&BTreeSet<String>> {
        self.owners.get(namespace).filter(|orgs| orgs.len() > 1)
    }

    /// How records may name these orgs: by slug, or by the name of the Organization.
    pub(super) fn spelled<'a>(
        &self,
        orgs: impl IntoIterator<Item = &'a String>,
    ) -> BTreeSet<String> {
        let both = orgs.into_iter().flat_map(|org| {
            let object = self.objects.get(org).cloned();
            [Some(org.clone()), object].into_iter().flatten()
        });
        both.collect()
    }

    /// Who is named by the name of the Organization is the org of its slug.
    fn by_slug(&mut self) {
        for (slug, name) in &self.objects {
            for orgs in self.owners.values_mut() {
                if orgs.remove(name) {
                    orgs.insert(slug.clone());
                }
            }
        }
    }

    fn say(&mut self, namespace: &str, org: Option<&String>) {
        if let Some(org) = org.filter(|org| !org.is_empty() && !namespace.is_empty()) {
            self.owners
                .entry(namespace.to_owned())
                .or_default()
                .insert(org.clone());
        }
    }
}
