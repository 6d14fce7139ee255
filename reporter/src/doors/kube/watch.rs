//! Watches: events as they come, one JSON object a line, from a version on.
//!
//! An event's resourceVersion is the place up to which everything before it has been told,
//! so that a client that is cut off goes on from the last event that it saw and misses
//! nothing. That may be older than the record's own version.

use super::accept::Form;
use super::asked::Asked;
use super::object::Object;
use super::status::Failure;
use super::{Call, unread};
use crate::doors::ask::Verb;
use crate::doors::follow::{Change, End, Following};
use crate::metrics::OpenStream;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use docket_record::api::API_VERSION;
use http::header;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// Longest silence towards a client that takes bookmarks.
const BOOKMARK: Duration = Duration::from_secs(50);
/// Until the writer tells of an entry that a reader has seen.
const SOON: Duration = Duration::from_millis(100);
/// How long a watch goes on if the client says nothing; and up to as much again, spread by
/// the clock, so that those that began together do not all come back together. None goes on
/// for longer: who its reader is, is said when it begins.
const AT_LEAST: Duration = Duration::from_secs(30 * 60);
/// What marks the bookmark behind the initial objects.
const INITIAL_END: &str = "k8s.io/initial-events-end";

impl Call {
    /// Starts; from here on what goes wrong is an event.
    pub(super) async fn watch(mut self) -> Result<Response, Failure> {
        let resource = &self.target.resource;
        if !resource.is_denials() {
            let plural = resource.plural();
            return Err(Failure::no_such_verb(plural, "watched", "list them again"));
        }
        // A watch of one object is one of all of that name, as everywhere in Kubernetes.
        let single = self.target.name.take();
        let mut asked = Asked::parse(&self.options, &self.target, self.now)?;
        if let Some(name) = single {
            if self.target.part.is_some() || asked.name.as_ref().is_some_and(|own| *own != name) {
                return Err(Failure::not_found(self.target.resource.plural(), &name));
            }
            asked.name = Some(name);
        }
        let sharing = self.state.inner.orgs.sharing();
        let scope = self.granted(Verb::Watch).await?.scope;
        let inner = &self.state.inner;
        let Ok(permit) = inner.streams.clone().try_acquire_owned() else {
            return Err(Failure::busy("too many open watches; try again"));
        };
        let open = inner.metrics.stream("watch");
        let size = self.size().await?;
        let since = match self.options.version.as_deref() {
            None => Ok(None),
            Some(version) => self.place(version, size).map(Some),
        };
        let since = match since {
            // Clients look for this in the stream.
            Err(failure) if failure.is_expired() => {
                let line = event("ERROR", &failure.status());
                return Ok(stream(Body::from(line)));
            }
            other => other?,
        };
        // Without a version, and where it is asked for, what is there comes first.
        let initial = self.options.initial.unwrap_or(since.is_none());
        let from = match (initial, &asked.name) {
            (true, None) => 0,
            // Not through the whole ledger for the sake of one; whose name may have been
            // given by its beginning, as a table shows it.
            (true, Some(name)) => match self.found(&scope, name).await? {
                Some(entry) => {
                    asked.name = Some(entry.row.id);
                    entry.row.position
                }
                None => size,
            },
            (false, _) => since.unwrap_or(size),
        };
        let (state, caller, ask) = (self.state.clone(), self.caller.clone(), self.ask());
        let following = Following::new(
            inner.records.clone(),
            scope,
            asked.filter.clone(),
            from,
            sharing,
            inner.reauthorise,
            Box::new(move || {
                let (state, caller, ask) = (state.clone(), caller.clone(), ask.clone());
                Box::pin(async move {
                    let granted = state.granted(&caller, Verb::Watch, &ask).await?;
                    Ok(granted.scope)
                })
            }),
        );
        let spread = Duration::from_secs(self.now.as_second().unsigned_abs() % AT_LEAST.as_secs());
        let timeout = self.options.timeout.unwrap_or(Duration::MAX);
        let timeout = timeout.min(AT_LEAST + spread);
        let marked = self.options.initial == Some(true);
        let watch = Watch {
            marks: marked.then_some(size),
            initial: initial.then_some(size),
            ends: Instant::now() + timeout,
            following,
            asked,
            pending: VecDeque::new(),
            told: None,
            columns: true,
            over: false,
            call: self,
            _permit: permit,
            _open: open,
            began: size,
        };
        let lines = futures::stream::unfold(watch, |mut watch| async move {
            let line = watch.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(line)), watch))
        });
        Ok(stream(Body::from_stream(lines)))
    }
}

/// An open watch.
struct Watch {
    call: Call,
    following: Following,
    asked: Asked,
    /// Read, and not yet told.
    pending: VecDeque<Change>,
    /// When a bookmark said that everything so far has been told.
    told: Option<Instant>,
    /// Below this place everything is news to the client.
    initial: Option<u64>,
    /// The client waits for a bookmark that says that it has everything up to here.
    marks: Option<u64>,
    ends: Instant,
    /// The client has no columns yet.
    columns: bool,
    over: bool,
    _permit: OwnedSemaphorePermit,
    /// Counts it as open.
    _open: OpenStream,
    /// The ledger's size when it was opened: what is older comes late for no fault of ours.
    began: u64,
}

impl Watch {
    /// The next line.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            while let Some(change) = self.pending.pop_front() {
                if let Some(line) = self.changed(&change) {
                    return Some(line);
                }
            }
            if self.over {
                return None;
            }
            let bookmarks = self.call.options.bookmarks;
            let patience = match (self.told, self.marks) {
                // What is there comes at once, and then the word that it was all.
                (None, _) if bookmarks => Duration::ZERO,
                (Some(_), Some(_)) => SOON,
                (Some(at), None) => BOOKMARK.saturating_sub(at.elapsed()),
                (None, _) => BOOKMARK,
            };
            let left = self.ends.saturating_duration_since(Instant::now());
            let step = match self.following.next(patience.min(left)).await {
                Ok(step) => step,
                Err(End::Stopping) => return None,
                Err(End::Refused(refusal)) => return Some(self.failed(refusal.into())),
                Err(End::Unread(error)) => return Some(self.failed(unread(error))),
            };
            self.over = Instant::now() >= self.ends;
            let quiet = step.changes.is_empty();
            self.pending.extend(step.changes);
            if quiet && bookmarks {
                let marked = self.marks.take_if(|size| step.size >= *size).is_some();
                if marked || self.told.is_none_or(|at| at.elapsed() >= BOOKMARK) {
                    self.told = Some(Instant::now());
                    return Some(self.bookmark(step.size, marked));
                }
            }
        }
    }

    fn failed(&mut self, failure: Failure) -> Vec<u8> {
        self.over = true;
        event("ERROR", &failure.status())
    }

    fn changed(&mut self, change: &Change) -> Option<Vec<u8>> {
        let object = self.call.object(&change.entry, change.size);
        if !self.asked.takes(&change.entry, &object) {
            return None;
        }
        let initial = self.initial.is_some_and(|size| change.size <= size);
        if change.new && change.size > self.began {
            let metrics = &self.call.state.inner.metrics;
            metrics.streamed(change.entry.row.time);
        }
        let word = if change.new || initial {
            "ADDED"
        } else {
            "MODIFIED"
        };
        Some(event(word, &self.formed(object)))
    }

    fn formed(&mut self, object: Object) -> Value {
        match self.call.form {
            Form::Object => object.body,
            Form::Metadata(version) => object.partial(version),
            Form::Table(version) => {
                let rows = super::table::Rows {
                    now: Timestamp::now(),
                    ..self.call.rows(version)
                };
                let metadata =
                    json!({ "resourceVersion": object.body["metadata"]["resourceVersion"] });
                let with_columns = std::mem::replace(&mut self.columns, false);
                rows.table(
                    &self.call.target.resource,
                    &[object],
                    &metadata,
                    with_columns,
                )
            }
        }
    }

    fn bookmark(&self, size: u64, last_of_initial: bool) -> Vec<u8> {
        let version = self.call.state.inner.versions.print(size);
        let mut metadata = json!({ "resourceVersion": version });
        if last_of_initial {
            metadata["annotations"] = json!({ INITIAL_END: "true" });
        }
        let object = match self.call.form {
            Form::Object => json!({
                "kind": self.call.target.resource.kind(),
                "apiVersion": API_VERSION,
                "metadata": metadata,
            }),
            Form::Metadata(version) => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": version,
                "metadata": metadata,
            }),
            Form::Table(version) => {
                let rows = self.call.rows(version);
                rows.table(&self.call.target.resource, &[], &metadata, false)
            }
        };
        event("BOOKMARK", &object)
    }
}

fn event(word: &str, object: &Value) -> Vec<u8> {
    let mut line = json!({ "type": word, "object": object })
        .to_string()
        .into_bytes();
    line.push(b'\n');
    line
}

fn stream(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
