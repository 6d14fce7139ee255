//! The policies, as the cluster holds them now.
//!
//! ```text
//!  discovery (each 30 s) ──▶ one watch per kind served ──▶ table ──▶ ArcSwap<PolicyList>
//! ```
//!
//! Groups that are not installed are no error, and kinds that appear later are found.
//! `synced` is true from the moment each watch of the first discovery has its first list.

use crate::health::Part;
use crate::metrics::Metrics;
use anyhow::Result;
use arc_swap::ArcSwap;
use docket_record::policies::{Policy, PolicyList};
use futures::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what the cluster serves.
const DISCOVERY: Duration = Duration::from_secs(30);
/// The same while the first one has not succeeded.
const FIRST_DISCOVERY: Duration = Duration::from_secs(1);
/// Changes within this time are published together.
const SETTLE: Duration = Duration::from_millis(50);

/// Kinds that can refuse a request, by group.
const KINDS: &[(&str, &[&str])] = &[
    (
        "policies.kyverno.io",
        &[
            "ValidatingPolicy",
            "NamespacedValidatingPolicy",
            "ImageValidatingPolicy",
            "NamespacedImageValidatingPolicy",
            "MutatingPolicy",
            "NamespacedMutatingPolicy",
            "GeneratingPolicy",
            "NamespacedGeneratingPolicy",
        ],
    ),
    ("kyverno.io", &["ClusterPolicy", "Policy"]),
    (
        "admissionregistration.k8s.io",
        &[
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
    ),
];

/// One object, reduced to what is needed of it.
enum Kept {
    Policy(Box<Policy>),
    Binding(Value),
}

type Objects = BTreeMap<(String, String), Kept>;
type Item = (String, Result<Event<DynamicObject>, Error>);

struct Kind {
    resource: ApiResource,
    objects: Objects,
    /// Objects of a list that is not complete yet.
    listing: Objects,
    listed: bool,
    abort: AbortHandle,
}

/// All watches and what they have seen.
pub struct Watch {
    client: Client,
    policies: Arc<ArcSwap<PolicyList>>,
    health: Part,
    metrics: Metrics,
    kinds: BTreeMap<String, Kind>,
    streams: SelectAll<BoxStream<'static, Item>>,
    discovered: bool,
    synced: bool,
}

impl Watch {
    /// Nothing is asked before [`Watch::run`].
    #[must_use]
    pub fn new(
        client: Client,
        policies: Arc<ArcSwap<PolicyList>>,
        health: Part,
        metrics: Metrics,
    ) -> Watch {
        Watch {
            client,
            policies,
            health,
            metrics,
            kinds: BTreeMap::new(),
            streams: SelectAll::new(),
            discovered: false,
            synced: false,
        }
    }

    /// Watch for ever.
    ///
    /// # Errors
    /// Never by itself: what fails is counted and tried again.
    pub async fn run(mut self) -> Result<()> {
        let mut look = Instant::now();
        let mut publish: Option<Instant> = None;
        loop {
            let settled = publish.unwrap_or(look);
            tokio::select! {
                Some((kind, item)) = self.streams.next(), if !self.streams.is_empty() => {
                    if self.take(&kind, item) && publish.is_none() {
                        publish = Some(Instant::now() + SETTLE);
                    }
                }
                () = tokio::time::sleep_until(settled), if publish.is_some() => {
                    publish = None;
                    self.publish();
                }
                () = tokio::time::sleep_until(look) => {
                    let found = self.discover().await;
                    look = Instant::now() + if self.discovered { DISCOVERY } else { FIRST_DISCOVERY };
                    match found {
                        Ok(()) => publish = publish.or(Some(Instant::now())),
                        Err(error) => {
                            self.metrics.watch_error("discovery");
                            tracing::warn!("the API server does not say what it serves: {error}");
                            if !self.discovered {
                                self.health.not_ready(format!("no discovery yet: {error}"));
                            }
                        }
                    }
                }
            }
        }
    }

    async fn discover(&mut self) -> kube::Result<()> {
        let groups = self.client.list_api_groups().await?;
        let mut served: BTreeMap<String, ApiResource> = BTreeMap::new();
        for (group, wanted) in KINDS {
            let Some(group) = groups.groups.iter().find(|known| known.name == *group) else {
                continue;
            };
            // v1 where there is one; else whatever is served, the preferred one first.
            let mut versions: Vec<_> = group.versions.iter().map(|v| v.version.as_str()).collect();
            let preferred = group.preferred_version.as_ref().map(|v| v.version.as_str());
            versions.sort_by_key(|version| (*version != "v1", Some(*version) != preferred));
            for version in versions {
                if wanted.iter().all(|kind| served.contains_key(*kind)) {
                    break;
                }
                let api_version = format!("{}/{version}", group.name);
                let list = self.client.list_api_group_resources(&api_version).await?;
                for resource in list.resources {
                    if !wanted.contains(&resource.kind.as_str()) || resource.name.contains('/') {
                        continue;
                    }
                    let gvk = GroupVersionKind::gvk(&group.name, version, &resource.kind);
                    served
                        .entry(resource.kind)
                        .or_insert_with(|| ApiResource::from_gvk_with_plural(&gvk, &resource.name));
                }
            }
        }
        self.kinds.retain(|name, kind| {
            let stays = served.get(name) == Some(&kind.resource);
            if !stays {
                kind.abort.abort();
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
        // Managed fields are often larger than the policy; they are dropped at once.
        let stream = watcher(api, Config::default())
            .map_ok(|event| event.modify(|object| object.managed_fields_mut().clear()))
            .default_backoff()
            .map(move |item| (tag.clone(), item));
        let (stream, abort) = abortable(stream);
        self.streams.push(stream.boxed());
        let kind = Kind {
            resource,
            objects: Objects::new(),
            listing: Objects::new(),
            listed: false,
            abort,
        };
        self.kinds.insert(name, kind);
    }

    /// True if the published list has to change.
    fn take(&mut self, name: &str, item: Result<Event<DynamicObject>, Error>) -> bool {
        let Some(kind) = self.kinds.get_mut(name) else {
            return false;
        };
        let event = match item {
            Ok(event) => event,
            Err(error) => {
                self.metrics.watch_error(name);
                tracing::warn!(kind = name, "the watch failed and is begun again: {error}");
                if !kind.listed {
                    self.health
                        .not_ready(format!("no first list of {name}: {error}"));
                }
                return false;
            }
        };
        let key =
            |object: &DynamicObject| (object.namespace().unwrap_or_default(), object.name_any());
        match event {
            Event::Init => {
                kind.listing = Objects::new();
                false
            }
            Event::InitApply(object) => {
                let key = key(&object);
                if let Some(kept) = keep(&kind.resource, object, &self.metrics) {
                    kind.listing.insert(key, kept);
                }
                false
            }
            Event::InitDone => {
                kind.objects = std::mem::take(&mut kind.listing);
                kind.listed = true;
                true
            }
            Event::Apply(object) => {
                let key = key(&object);
                match keep(&kind.resource, object, &self.metrics) {
                    Some(kept) => kind.objects.insert(key, kept),
                    // What it says now is not known: what it said before is no longer true.
                    None => kind.objects.remove(&key),
                };
                true
            }
            Event::Delete(object) => kind.objects.remove(&key(&object)).is_some(),
        }
    }

    fn publish(&mut self) {
        if !self.synced && self.discovered {
            match self.kinds.iter().find(|(_, kind)| !kind.listed) {
                None => {
                    self.synced = true;
                    self.health.ready();
                    tracing::info!("all policies are known");
                }
                Some((name, _)) => {
                    self.health
                        .not_ready(format!("waiting for the first list of {name}"));
                }
            }
        }
        let list = assemble(
            self.kinds.values().flat_map(|kind| kind.objects.values()),
            self.synced,
        );
        self.metrics
            .policies
            .set(i64::try_from(list.policies.len()).unwrap_or(i64::MAX));
        self.policies.store(Arc::new(list));
    }
}

fn assemble<'a>(objects: impl Iterator<Item = &'a Kept>, synced: bool) -> PolicyList {
    let mut policies = Vec::new();
    let mut bindings = Vec::new();
    for object in objects {
        match object {
            Kept::Policy(policy) => policies.push(Policy::clone(policy)),
            Kept::Binding(binding) => bindings.push(binding.clone()),
        }
    }
    let mut list = PolicyList {
        policies,
        synced,
        ..PolicyList::default()
    };
    list.bind(&bindings);
    list
}

fn keep(resource: &ApiResource, object: DynamicObject, metrics: &Metrics) -> Option<Kept> {
    let name = object.name_any();
    let kept = serde_json::to_value(object).ok().and_then(|mut object| {
        object["kind"] = resource.kind.clone().into();
        object["apiVersion"] = resource.api_version.clone().into();
        kept(object)
    });
    if kept.is_none() {
        metrics.bad_policies.inc();
        tracing::warn!(
            kind = resource.kind,
            name,
            "this policy is unreadable and skipped"
        );
    }
    kept
}

/// One object with its kind, reduced.
fn kept(object: Value) -> Option<Kept> {
    let binding = object["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("PolicyBinding"));
    if !binding {
        return Policy::from_object(&object).map(|policy| Kept::Policy(Box::new(policy)));
    }
    object["spec"]["policyName"].as_str()?;
    Some(Kept::Binding(serde_json::json!({
        "kind": object["kind"],
        "spec": {
            "policyName": object["spec"]["policyName"],
            "validationActions": object["spec"]["validationActions"],
        },
    })))
}

/// The list of a recorded day: all objects at once.
#[must_use]
pub fn recorded(objects: Vec<Value>) -> PolicyList {
    let kept: Vec<Kept> = objects.into_iter().filter_map(kept).collect();
    assemble(kept.iter(), true)
}
