//! The law, as the cluster holds it now.
//!
//! ```text
//!  discovery (each 30 s) ──▶ one watch per kind served ──▶ table ──▶ law entries, gaps
//!                                                            │        (writer)
//!                                                            └──▶ the book: law::Laws
//! ```
//!
//! Groups that are not installed are no error, and kinds that appear later are found.
//! `synced` is true from the moment each watch of the first discovery has its first list.
//! A version is in the book only after its entry is in the ledger. A watch that breaks
//! begins again with a list, and the time between is an absence like a restart.

mod table;

use crate::gaps::{Gap, json};
use crate::health::Part;
use crate::intake::Arrival;
use crate::law::{self, HELD, Laws};
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::query::Reader;
use docket_record::law::{Entry, KINDS, Kind, LawBook, Object};
use futures::StreamExt as _;
use futures::stream::{self, AbortHandle, BoxStream, SelectAll, Stream, abortable};
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use kube::runtime::watcher::{Config, Error, Event};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use table::{KNOWN, Table};
use tokio::time::Instant;

/// Between two looks at what the cluster serves.
const DISCOVERY: Duration = Duration::from_secs(30);
/// The same while the first one has not succeeded.
const FIRST_DISCOVERY: Duration = Duration::from_secs(1);
/// Between two signs of life, which bound what a restart does not know.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Changes within this time are published together.
const SETTLE: Duration = Duration::from_millis(50);
/// First and longest pause before a broken watch begins again.
const PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// Laws in one transaction.
const LAWS: usize = 100;

type Item = (&'static Kind, Result<Event<DynamicObject>, Error>);

/// All watches and what they have seen.
pub struct Watch {
    client: Client,
    laws: Arc<Laws>,
    store: PathBuf,
    writer: Writer,
    health: Part,
    metrics: Metrics,
    watched: BTreeMap<&'static Kind, (ApiResource, AbortHandle)>,
    streams: SelectAll<BoxStream<'static, Item>>,
    table: Table,
    discovered: bool,
    synced: bool,
}

impl Watch {
    /// Nothing is asked before [`Watch::run`]. `store`: the ledger's file, for what was
    /// known before.
    #[must_use]
    pub fn new(
        client: Client,
        laws: Arc<Laws>,
        store: PathBuf,
        writer: Writer,
        health: Part,
        metrics: Metrics,
    ) -> Watch {
        Watch {
            client,
            laws,
            store,
            writer,
            health,
            metrics,
            watched: BTreeMap::new(),
            streams: SelectAll::new(),
            table: Table::default(),
            discovered: false,
            synced: false,
        }
    }

    /// Watch for ever.
    ///
    /// # Errors
    /// If the ledger can't be read at the start; what fails later is counted and tried
    /// again.
    pub async fn run(mut self) -> Result<()> {
        self.table = self.load().await?;
        let mut look = Instant::now();
        let mut beat = Instant::now() + HEARTBEAT;
        let mut publish: Option<Instant> = None;
        loop {
            let settled = publish.unwrap_or(look);
            tokio::select! {
                Some((kind, item)) = self.streams.next(), if !self.streams.is_empty() => {
                    if self.take(kind, item) && publish.is_none() {
                        publish = Some(Instant::now() + SETTLE);
                    }
                }
                () = tokio::time::sleep_until(settled), if publish.is_some() => {
                    publish = None;
                    self.publish().await;
                }
                () = tokio::time::sleep_until(beat) => {
                    beat = Instant::now() + HEARTBEAT;
                    self.beat().await;
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

    async fn load(&mut self) -> Result<Table> {
        let store = self.store.clone();
        let begins = Timestamp::now()
            .saturating_sub(HELD)
            .unwrap_or(Timestamp::MIN);
        let (laws, states) = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&store)?;
            let laws = law::entries(&reader, begins, Timestamp::MAX)?;
            anyhow::Ok((laws, reader.states()?))
        })
        .await?
        .context("the laws of earlier days cannot be read")?;
        let known = states.into_iter().find(|(key, _)| key == KNOWN);
        Ok(Table::load(
            laws,
            begins,
            known.as_ref().map(|(_, bytes)| bytes.as_slice()),
        ))
    }

    async fn discover(&mut self) -> kube::Result<()> {
        let groups = self.client.list_api_groups().await?;
        let mut served: BTreeMap<&'static Kind, ApiResource> = BTreeMap::new();
        for name in KINDS.iter().map(|kind| kind.group).collect::<BTreeSet<_>>() {
            let Some(group) = groups.groups.iter().find(|known| known.name == name) else {
                continue;
            };
            let wanted = || KINDS.iter().filter(|kind| kind.group == name);
            // v1 where there is one; else whatever is served, the preferred one first.
            let mut versions: Vec<_> = group.versions.iter().map(|v| v.version.as_str()).collect();
            let preferred = group.preferred_version.as_ref().map(|v| v.version.as_str());
            versions.sort_by_key(|version| (*version != "v1", Some(*version) != preferred));
            for version in versions {
                if wanted().all(|kind| served.contains_key(kind)) {
                    break;
                }
                let api_version = format!("{}/{version}", group.name);
                let list = self.client.list_api_group_resources(&api_version).await?;
                for resource in list.resources {
                    let Some(kind) = wanted().find(|kind| kind.plural == resource.name) else {
                        continue;
                    };
                    let gvk = GroupVersionKind::gvk(&group.name, version, kind.kind);
                    served
                        .entry(kind)
                        .or_insert_with(|| ApiResource::from_gvk_with_plural(&gvk, kind.plural));
                }
            }
        }
        let now = Timestamp::now();
        self.table.alive(now);
        for kind in &KINDS {
            match served.remove(kind) {
                Some(resource) => self.watch(kind, resource),
                None => {
                    if let Some((_, abort)) = self.watched.remove(kind) {
                        abort.abort();
                    }
                    self.table.unserved(kind, now);
                }
            }
        }
        self.discovered = true;
        Ok(())
    }

    fn watch(&mut self, kind: &'static Kind, resource: ApiResource) {
        match self.watched.get(&kind) {
            Some((known, _)) if *known == resource => return,
            Some((_, abort)) => {
                abort.abort();
                self.table.broke(kind);
            }
            None => {}
        }
        tracing::info!(kind = kind.full(), version = resource.version, "watching");
        self.table.served(kind);
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let (stream, abort) = abortable(watching(api).map(move |item| (kind, item)));
        self.streams.push(stream.boxed());
        self.watched.insert(kind, (resource, abort));
    }

    /// True if there is something to commit or to publish.
    fn take(&mut self, kind: &'static Kind, item: Result<Event<DynamicObject>, Error>) -> bool {
        let Some((resource, _)) = self.watched.get(&kind) else {
            return false;
        };
        let event = match item {
            Ok(event) => event,
            Err(error) => {
                self.metrics.watch_error(&kind.full());
                tracing::warn!(
                    kind = kind.full(),
                    "the watch failed and is begun again: {error}"
                );
                if !self.synced {
                    self.health
                        .not_ready(format!("no first list of {}: {error}", kind.full()));
                }
                self.table.broke(kind);
                return true;
            }
        };
        let now = Timestamp::now();
        match event {
            Event::Init => self.table.begin(kind),
            Event::InitApply(object) => {
                if let Some(object) = read(resource, object, &self.metrics) {
                    self.table.list(object);
                }
            }
            Event::InitDone => {
                self.table.listed(kind, now);
                return true;
            }
            Event::Apply(object) => {
                if let Some(object) = read(resource, object, &self.metrics) {
                    self.table.apply(object, now);
                    return true;
                }
            }
            Event::Delete(object) => {
                if let Some(object) = read(resource, object, &self.metrics) {
                    self.table.delete(&object, now);
                    return true;
                }
            }
        }
        false
    }

    /// Proof that the API server answers, in the state row: what a restart goes by.
    async fn beat(&mut self) {
        match self.client.apiserver_version().await {
            Ok(_) => self.table.alive(Timestamp::now()),
            Err(error) => {
                tracing::debug!("the API server does not answer: {error}");
                return;
            }
        }
        // Not kept: a restart believes in a longer absence.
        let _ = self.writer.commit(self.arrival(&[], &[])).await;
    }

    /// Into the ledger first, then into the book.
    async fn publish(&mut self) {
        loop {
            let (entries, gaps) = self.table.due(LAWS);
            if entries.is_empty() && gaps.is_empty() {
                break;
            }
            let arrival = self.arrival(entries, gaps);
            let (entries, gaps) = (entries.len(), gaps.len());
            // Until it is there nothing more is taken from the watches: they can wait.
            match self.writer.commit(arrival).await {
                Ok(()) => self.table.committed(entries, gaps),
                Err(_) => tokio::time::sleep(FIRST_DISCOVERY).await,
            }
        }
        if !self.synced && self.discovered {
            match self.table.waiting() {
                None => {
                    self.synced = true;
                    self.health.ready();
                    tracing::info!("all policies are known");
                }
                Some(kind) => {
                    self.health
                        .not_ready(format!("waiting for the first list of {}", kind.full()));
                }
            }
        }
        let held = Timestamp::now()
            .saturating_sub(HELD)
            .unwrap_or(Timestamp::MIN);
        let book = self.table.book(held, self.synced);
        self.metrics
            .cluster
            .policies
            .set(i64::try_from(book.now().policies.len()).unwrap_or(i64::MAX));
        self.laws.publish(book);
    }

    fn arrival(&self, entries: &[Entry], gaps: &[Gap]) -> Arrival {
        Arrival {
            entries: entries.iter().map(entry).collect(),
            gaps: gaps.to_vec(),
            state: vec![(KNOWN.to_owned(), Some(self.table.known()))],
            ..Arrival::default()
        }
    }
}

/// Events of one kind. After an error it begins with a list, whatever the error was: to go
/// on where it broke would say nothing of when that was.
fn watching(
    api: Api<DynamicObject>,
) -> impl Stream<Item = Result<Event<DynamicObject>, Error>> + Send + 'static {
    let begin = move || watcher(api.clone(), Config::default()).boxed();
    let first = begin();
    stream::unfold(
        (first, Duration::ZERO, begin),
        |(mut events, pause, begin)| async move {
            tokio::time::sleep(pause).await;
            match events.next().await? {
                Ok(event) => Some((Ok(event), (events, Duration::ZERO, begin))),
                Err(error) => {
                    let pause = (pause * 2).clamp(PAUSE, LONG_PAUSE);
                    let again = begin();
                    Some((Err(error), (again, pause, begin)))
                }
            }
        },
    )
}

fn read(resource: &ApiResource, mut object: DynamicObject, metrics: &Metrics) -> Option<Object> {
    // Often larger than the policy.
    object.managed_fields_mut().clear();
    let name = object.name_any();
    let read = serde_json::to_value(object).ok().and_then(|mut object| {
        object["kind"] = resource.kind.clone().into();
        object["apiVersion"] = resource.api_version.clone().into();
        Object::read(&object)
    });
    if read.is_none() {
        metrics.cluster.bad_policies.inc();
        tracing::warn!(
            kind = resource.kind,
            name,
            "this policy is unreadable and skipped"
        );
    }
    read
}

fn entry(law: &Entry) -> NewEntry {
    NewEntry {
        id: law.id.clone(),
        class: Class::Law,
        public: json(law),
        personal: None,
        exhibit: None,
    }
}

/// The law of a recorded day: all objects, in force at all times. Its entries carry the
/// time at which each object was created.
#[must_use]
pub fn recorded(objects: &[Value]) -> (LawBook, Vec<NewEntry>) {
    let mut entries = Vec::new();
    let mut laws = Vec::new();
    for value in objects {
        let Some(object) = Object::read(value) else {
            continue;
        };
        let created = value["metadata"]["creationTimestamp"].as_str();
        let mut table = Table::default();
        table.begin(object.place.kind);
        table.list(object.clone());
        let time = created.and_then(|time| time.parse().ok());
        table.listed(object.place.kind, time.unwrap_or(Timestamp::UNIX_EPOCH));
        for law in table.due(usize::MAX).0 {
            entries.push(entry(law));
            laws.push((object.clone(), law.id.clone()));
        }
    }
    (LawBook::always(laws), entries)
}
