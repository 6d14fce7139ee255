//! Kubernetes Events about denials, where `kubectl get events` shows them.
//!
//! The ledger is the queue: a cursor over positions, kept in the ledger's own state with
//! what is counted ([`series`]). An Event's name comes from the denial's id, so one that is
//! sent twice exists once. Nothing here is ever waited for by `/audit`.
//!
//! One Event per series, with a growing count. No Event: dry runs (nothing was to happen),
//! cluster-scoped objects (there is no namespace whose readers it would concern), namespaces
//! that several orgs share (its readers are not all of them concerned), outcomes that are
//! not known, imports, denials older than an Event lives, Docket's own accounts (an Event about a
//! refused Event would never end), and what exceeds the namespace's rate. Each is counted,
//! and what was held back is said in the next Event. The actor is never named.

mod actor;
mod event;
mod own;
mod rate;
mod send;
mod series;
#[cfg(test)]
mod tests;

use crate::doors::orgs::{Map, Orgs};
use crate::guard::guarded;
use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use docket_ledger::entry::Part;
use docket_ledger::query::{Reader, Row};
use docket_ledger::store::StoreError;
use event::{Case, Skip};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use own::Own;
use send::Told;
use series::{Book, Effect, Key, Seen, Series};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// State row: the next position to publish.
const CURSOR: &str = "publish/events";
/// Entries looked at together.
const PAGE: u32 = 500;
/// Requests to the API server at one time.
const AT_ONCE: usize = 8;
/// An Event lives for an hour; an older denial needs none.
const STALE: SignedDuration = SignedDuration::from_hours(1);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How often counts are told, and of how many Events of one namespace at a time.
const ROUND: Duration = Duration::from_secs(5);
const PER_ROUND: usize = 25;

/// What can become of a denial, or of its Event: the metric's labels.
pub(crate) const OUTCOMES: [&str; 19] = [
    "created",
    "exists",
    "counted",
    "patched",
    "heldBack",
    "sharedNamespace",
    "own",
    "dryRun",
    "clusterScoped",
    "unknown",
    "imported",
    "stale",
    "unreadable",
    "gone",
    "namespaceGone",
    "refused",
    "failed",
    "retried",
    "forgotten",
];

/// The publisher.
pub struct Publisher {
    /// Of the cluster that the denials are from.
    pub client: Client,
    /// The ledger's file.
    pub store: PathBuf,
    /// For the cursor.
    pub writer: Writer,
    /// For the uid of the policy.
    pub laws: Arc<Laws>,
    /// Which namespaces are shared.
    pub orgs: Orgs,
    /// Counters.
    pub metrics: Metrics,
    /// This process, as Events name it.
    pub instance: String,
}

impl Publisher {
    /// Publish for ever.
    ///
    /// # Errors
    /// If the ledger can't be opened for reading.
    pub async fn run(self) -> Result<()> {
        let mut size = self.writer.size();
        let mut desk = Desk::open(self).await?;
        let mut round = Instant::now() + ROUND;
        loop {
            if !desk.page().await? {
                tokio::select! {
                    grown = size.changed() => if grown.is_err() {
                        return Ok(());
                    },
                    () = tokio::time::sleep_until(round) => {}
                }
            }
            if Instant::now() >= round {
                desk.round().await?;
                round = Instant::now() + ROUND;
            }
        }
    }
}

/// The publisher at work.
struct Desk {
    publisher: Publisher,
    own: Own,
    book: Book,
    cursor: u64,
    reader: Option<Reader>,
}

/// An entry, and what it is for an Event.
type Looked = (Row, Result<Case, Skip>);

impl Desk {
    async fn open(publisher: Publisher) -> Result<Desk> {
        let own = Own::ask(&publisher.client).await;
        let mut desk = Desk {
            publisher,
            own,
            book: Book::default(),
            cursor: 0,
            reader: None,
        };
        let states = loop {
            match desk.read(Reader::states).await? {
                Some(states) => break states,
                None => tokio::time::sleep(PAUSE).await,
            }
        };
        let cursor = states.iter().find(|(key, _)| key == CURSOR);
        let cursor = cursor.and_then(|(_, value)| std::str::from_utf8(value).ok());
        desk.cursor = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
        desk.book = Book::load(states);
        Ok(desk)
    }

    /// Looks at what is new. False if there was nothing.
    async fn page(&mut self) -> Result<bool> {
        let (cursor, now) = (self.cursor, Timestamp::now());
        let looked = self.read(move |reader| look(reader, cursor, now)).await?;
        let Some(looked) = looked else {
            tokio::time::sleep(PAUSE).await;
            return Ok(true);
        };
        let Some(last) = looked.last().map(|(row, _)| row.position) else {
            return Ok(false);
        };
        let cases = looked.iter().filter_map(|(_, case)| case.as_ref().ok());
        let namespaces: BTreeSet<&str> = cases.map(Case::namespace).collect();
        let orgs = match namespaces.is_empty() {
            true => Arc::default(),
            false => match self.publisher.orgs.known_with(&namespaces).await {
                Some(orgs) => orgs,
                // A namespace may be shared by a binding that has not been seen.
                None => {
                    tokio::time::sleep(PAUSE).await;
                    return Ok(true);
                }
            },
        };
        let policies = self.publisher.laws.now();
        let mut events = Vec::new();
        for (row, case) in looked {
            let case = match case {
                Ok(case) => case,
                Err(Skip::NotADenial) => continue,
                Err(skip) => {
                    self.publisher.metrics.published(skip.name());
                    continue;
                }
            };
            match self.effect(&case, &row, &orgs) {
                Ok((key, held)) => {
                    let instance = &self.publisher.instance;
                    match guarded(|| case.event(&policies, instance, 1, held)) {
                        Some(event) => events.push((key, event)),
                        None => self.publisher.metrics.published(Skip::Unreadable.name()),
                    }
                }
                Err(outcome) => self.publisher.metrics.published(outcome),
            }
        }
        self.create(events).await;
        self.cursor = last + 1;
        self.keep(true).await;
        Ok(true)
    }

    /// The series that begins, and how many were held back before it; else what became of it.
    fn effect(&mut self, case: &Case, row: &Row, orgs: &Map) -> Result<(Key, u64), &'static str> {
        if self.own.is(case.actor()) {
            return Err("own");
        }
        if orgs.is_shared(case.namespace()) {
            return Err("sharedNamespace");
        }
        let (key, name) = (case.key(), case.name());
        match self
            .book
            .denial(key, &Seen::of(row, case.namespace(), &name))
        {
            Effect::Begins { held } => Ok((key, held)),
            Effect::Counts => Err("counted"),
            Effect::HeldBack => Err("heldBack"),
        }
    }

    /// Tells how far Events count, and lets go of what is over.
    async fn round(&mut self) -> Result<()> {
        let due = self.book.due(PER_ROUND);
        let (client, metrics) = (&self.publisher.client, &self.publisher.metrics);
        let told: Vec<(Key, Series, Told)> = futures::stream::iter(due)
            .map(|(key, series)| async move {
                let told = send::count(client, metrics, &series).await;
                (key, series, told)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut gone = Vec::new();
        for (key, series, told) in told {
            match told {
                Told::Said => self.book.said(key, &series.name, series.count),
                Told::Refused => self.book.forget(key, &series.name),
                Told::Gone => gone.push((key, series)),
                Told::Later => {}
            }
        }
        self.again(gone).await?;
        self.book.expire(Timestamp::now().as_microsecond());
        let forgotten = std::mem::take(&mut self.book.forgotten);
        let published = &self.publisher.metrics.cluster.published;
        published.add("forgotten", forgotten);
        self.keep(false).await;
        Ok(())
    }

    /// New Events for those that someone deleted, or that did not live as long.
    async fn again(&mut self, gone: Vec<(Key, Series)>) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        // Not now: the next round finds them gone again.
        let Some(orgs) = self.publisher.orgs.known().await else {
            return Ok(());
        };
        let mut events = Vec::new();
        for (key, series) in gone {
            let now = Timestamp::now();
            let at = series.position;
            let Some(mut looked) = self
                .read(move |reader| {
                    reader
                        .at(at)
                        .map(|row| row.map(|row| case(reader, row, now)))
                })
                .await?
            else {
                continue;
            };
            let Some((row, Ok(case))) = looked.take() else {
                self.book.forget(key, &series.name);
                continue;
            };
            if orgs.is_shared(case.namespace()) {
                self.book.forget(key, &series.name);
                continue;
            }
            let name = case.name();
            let seen = Seen::of(&row, case.namespace(), &name);
            if let Some((count, held)) = self.book.again(key, &seen) {
                let policies = self.publisher.laws.now();
                let instance = &self.publisher.instance;
                events.push((key, case.event(&policies, instance, count, held)));
            }
        }
        self.create(events).await;
        Ok(())
    }

    async fn create(&mut self, events: Vec<(Key, k8s_openapi::api::events::v1::Event)>) {
        let (client, metrics) = (&self.publisher.client, &self.publisher.metrics);
        let created: Vec<(Key, String, u64, bool)> = futures::stream::iter(events)
            .map(|(key, event)| async move {
                let there = send::create(client, metrics, &event).await;
                let count = event.series.map_or(1, |series| series.count.max(1));
                let name = event.metadata.name.unwrap_or_default();
                (key, name, u64::from(count.unsigned_abs()), there)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (key, name, count, there) in created {
            if there {
                self.book.said(key, &name, count);
            } else {
                self.book.forget(key, &name);
            }
        }
    }

    /// Keeps what is counted, with the cursor if it moved. Not kept: said again after a
    /// restart, under the same names and with the same counts.
    async fn keep(&mut self, moved: bool) {
        let mut state = self.book.rows();
        if moved {
            state.push((CURSOR.into(), Some(self.cursor.to_string().into_bytes())));
        }
        if state.is_empty() {
            return;
        }
        let arrival = Arrival {
            state,
            ..Arrival::default()
        };
        if self.publisher.writer.commit(arrival).await.is_ok() {
            self.book.kept();
        }
    }

    /// Reads the ledger, which is opened again after a failure. `None`: not now.
    async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => open(self.publisher.store.clone()).await?,
        };
        let (reader, result) = tokio::task::spawn_blocking(move || {
            let result = read(&reader);
            (reader, result)
        })
        .await?;
        match result {
            Ok(found) => {
                self.reader = Some(reader);
                Ok(Some(found))
            }
            Err(error) => {
                tracing::warn!("the ledger cannot be read for Events: {error}");
                Ok(None)
            }
        }
    }
}

fn look(reader: &Reader, from: u64, now: Timestamp) -> Result<Vec<Looked>, StoreError> {
    let rows = reader.scan(from, PAGE)?;
    Ok(rows.into_iter().map(|row| case(reader, row, now)).collect())
}

/// A fault of ours costs this Event.
fn case(reader: &Reader, row: Row, now: Timestamp) -> Looked {
    let case = guarded(|| {
        let mut case = Case::read(&row, now)?;
        if case.may_have_an_owner() {
            // Without it the Event is about the namespace, which is true too.
            let parts = reader.parts(row.position).ok().flatten();
            let mut parts = parts.into_iter().flatten();
            if let Some(exhibit) = parts.find(|part| part.part == Part::Exhibit) {
                case.owned(&exhibit.bytes);
            }
        }
        Ok(case)
    });
    (row, case.unwrap_or(Err(Skip::Unreadable)))
}

async fn open(path: PathBuf) -> Result<Reader> {
    tokio::task::spawn_blocking(move || Reader::open(&path))
        .await?
        .context("the ledger cannot be opened for publishing Events")
}
