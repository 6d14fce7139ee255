//! Kubernetes Events about denials, where `kubectl get events` shows them.
//!
//! The ledger is the queue: a cursor over positions, kept in the ledger's own state. An
//! Event's name comes from the denial's id, so one that is sent twice exists once.
//! Nothing here is ever waited for by `/audit`.
//!
//! No Event: dry runs (nothing was to happen), cluster-scoped objects (there is no
//! namespace whose readers it would concern), outcomes that are not known, denials older
//! than an Event lives, and what exceeds the namespace's rate. Each is counted. The
//! actor is never named.

mod event;
mod rate;
#[cfg(test)]
mod tests;

use crate::intake::Arrival;
use crate::law::Laws;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use docket_ledger::query::Reader;
use event::{Skip, event};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use rate::Buckets;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// State row: the next position to publish.
const CURSOR: &str = "publish/events";
/// Entries looked at together.
const PAGE: u32 = 200;
/// Requests to the API server at one time.
const AT_ONCE: usize = 8;
/// An Event lives for an hour; an older denial needs none.
const STALE: SignedDuration = SignedDuration::from_hours(1);
/// First and longest pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const LONG_PAUSE: Duration = Duration::from_secs(30);

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
        let mut cursor = self.cursor().await;
        let mut buckets = Buckets::default();
        let mut reader = Some(open(self.store.clone()).await?);
        loop {
            let Some(held) = reader.take() else {
                reader = Some(open(self.store.clone()).await?);
                continue;
            };
            let (held, rows) = tokio::task::spawn_blocking(move || {
                let rows = held.scan(cursor, PAGE);
                (held, rows)
            })
            .await?;
            reader = Some(held);
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::warn!("the ledger cannot be read for Events: {error}");
                    reader = None;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(last) = rows.last().map(|row| row.position) else {
                if size.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            let now = Timestamp::now();
            let mut events = Vec::new();
            for row in &rows {
                match event(row, &self.laws.now(), &self.instance, now) {
                    Ok(event) if buckets.take(event.metadata.namespace.as_deref()) => {
                        events.push(event);
                    }
                    Ok(_) => self.metrics.published("heldBack"),
                    Err(Skip::NotADenial) => {}
                    Err(skip) => self.metrics.published(skip.name()),
                }
            }
            futures::stream::iter(events)
                .for_each_concurrent(AT_ONCE, |event| self.publish(event))
                .await;
            cursor = last + 1;
            let state = vec![(CURSOR.to_owned(), Some(cursor.to_string().into_bytes()))];
            // Not kept: after a restart some are sent again, under the same names.
            let _ = self
                .writer
                .commit(Arrival {
                    state,
                    ..Arrival::default()
                })
                .await;
        }
    }

    async fn cursor(&self) -> u64 {
        loop {
            match self.writer.state(CURSOR).await {
                Ok(bytes) => {
                    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                    return text.and_then(|text| text.parse().ok()).unwrap_or(0);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Create one Event; again and again while it is worth it.
    async fn publish(&self, event: Event) {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let mut pause = PAUSE;
        loop {
            let outcome = match api.create(&PostParams::default(), &event).await {
                Ok(_) => "created",
                Err(Error::Api(status)) => match status.code {
                    409 => "exists",
                    // The namespace is gone or going.
                    403 | 404 => "namespaceGone",
                    400 | 413 | 422 => {
                        tracing::warn!(namespace, "an Event was refused: {}", status.message);
                        "refused"
                    }
                    _ => "retried",
                },
                Err(_) => "retried",
            };
            self.metrics.published(outcome);
            if outcome != "retried" {
                return;
            }
            let age = event
                .event_time
                .as_ref()
                .map(|time| Timestamp::now().duration_since(time.0));
            if age.is_none_or(|age| age > STALE) {
                self.metrics.published("stale");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONG_PAUSE);
        }
    }
}

async fn open(path: PathBuf) -> Result<Reader> {
    tokio::task::spawn_blocking(move || Reader::open(&path))
        .await?
        .context("the ledger cannot be opened for publishing Events")
}
