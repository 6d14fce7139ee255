//! Denials as they come, as server-sent events in Krate's convention: unnamed events, the
//! first says `connected`, `heartbeat` in silence, `id:` is the place in the ledger to go on
//! from ([`version`](crate::doors::version)).
//!
//! Nothing is buffered for a reader: its place is kept, and the ledger is read when there
//! is room. Who takes nothing for half a minute is ended, and comes back to the same place.

use super::{Answer, Under, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::error::Refusal;
use crate::doors::follow::{Change, End, Following};
use crate::doors::item;
use crate::doors::json;
use crate::doors::params::Params;
use crate::doors::version::Stale;
use crate::metrics::OpenStream;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use docket_ledger::query::Filter;
use docket_model::{StreamEvent, StreamEventType};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Frames between the ledger and the socket.
const FRAMES: usize = 16;
/// What browsers wait before they come back, in milliseconds; Krate's pages begin so too.
const RETRY: &str = "retry: 1000\n";

pub(super) async fn stream(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    begin(&state, &Under::All, uri, &headers).await
}

pub(super) async fn org_stream(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    begin(&state, &Under::Org(org), uri, &headers).await
}

pub(super) async fn own(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    begin(&state, &Under::Own, uri, &headers).await
}

pub(super) async fn repository(
    state: Shared<State>,
    Path(place): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    begin(&state, &place.into(), uri, &headers).await
}

async fn begin(state: &State, under: &Under, uri: Uri, headers: &HeaderMap) -> Answer {
    let inner = &state.inner;
    let caller = inner.gate.caller(headers).await?;
    let (filter, namespace, cursor) = Params::parse(&uri)?.stream(Timestamp::now())?;
    let (ask, namespace) = under.ask(namespace)?;
    let filter = Filter {
        namespace,
        ..filter
    };
    let org = under.org();
    let sharing = inner.orgs.sharing();
    let Granted { scope, partial } = state.granted(&caller, Verb::Watch, &ask).await?;
    let size = inner.records.size().await.map_err(unread)?;
    // What a browser saw last says more than the address that it began with.
    let last = match headers.get("last-event-id").map(HeaderValue::to_str) {
        Some(Ok("")) | None => None,
        Some(Ok(id)) => Some(("Last-Event-ID", id.to_owned())),
        Some(Err(_)) => Some(("Last-Event-ID", String::from("?"))),
    };
    let from = match last.or(cursor.map(|cursor| ("cursor", cursor))) {
        Some((name, version)) => place(state, name, &version, size)?,
        None => size,
    };
    let Ok(permit) = inner.streams.clone().try_acquire_owned() else {
        return Err(Refusal::busy("too many open streams; try again"));
    };
    let following = Following::new(
        inner.records.clone(),
        scope,
        filter,
        from,
        sharing,
        inner.reauthorise,
        {
            let (state, headers) = (state.clone(), headers.clone());
            Box::new(move || {
                let (state, headers, ask) = (state.clone(), headers.clone(), ask.clone());
                Box::pin(async move {
                    let still = state.granted_still(&headers, Verb::Watch, &ask);
                    Ok(still.await?.scope)
                })
            })
        },
    );
    let connected = StreamEvent {
        org: org.map(str::to_owned),
        partial,
        replay: inner.replay,
        ..StreamEvent::new(StreamEventType::Connected)
    };
    let (frames, taken) = mpsc::channel(FRAMES);
    let stream = Stream {
        state: state.clone(),
        org: org.map(str::to_owned),
        following,
        frames,
        _permit: permit,
        _open: inner.metrics.stream("sse"),
        began: size,
    };
    // It ends with its reader, who is told by the end of the channel if it fails.
    tokio::spawn(stream.run(connected, from));
    Ok(events(taken))
}

/// The place that a version stands for.
fn place(state: &State, name: &str, version: &str, size: u64) -> Result<u64, Refusal> {
    match state.inner.versions.parse(version, size) {
        // An id is no number to compare: one that was kept goes on where it was.
        Ok(place) | Err(Stale::Older(place)) => Ok(place),
        Err(stale @ Stale::Malformed) => Err(Refusal::bad_request(format!(
            "{name}: must be the id of an event; {stale}"
        ))),
        Err(stale @ (Stale::Foreign | Stale::Ahead)) => {
            Err(Refusal::gone(format!("{name}: {stale}")))
        }
    }
}

/// What the reader gets as frames are made.
pub(super) fn events(frames: mpsc::Receiver<Bytes>) -> Response {
    let frames = futures::stream::unfold(frames, |mut frames| async move {
        let frame = frames.recv().await?;
        Some((Ok::<_, Infallible>(frame), frames))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        ),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, Body::from_stream(frames)).into_response()
}

/// One frame, with its members in the order of their names: no JSON holds a line break.
pub(super) fn frame(lines: &str, data: &impl Serialize) -> Bytes {
    let data = json::bytes(&json!(data)).unwrap_or_default();
    let mut frame = format!("{lines}data: ").into_bytes();
    frame.extend(data);
    frame.extend(b"\n\n");
    frame.into()
}

/// Hands on one frame; false: the reader is gone, or has taken nothing for too long.
pub(super) async fn hand(state: &State, frames: &mpsc::Sender<Bytes>, frame: Bytes) -> bool {
    use mpsc::error::SendTimeoutError::Timeout;
    match frames.send_timeout(frame, state.inner.stall).await {
        Ok(()) => true,
        Err(error) => {
            if matches!(error, Timeout(_)) {
                state.inner.metrics.readers.slow.inc();
            }
            false
        }
    }
}

struct Stream {
    state: State,
    org: Option<String>,
    following: Following,
    frames: mpsc::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
    _open: OpenStream,
    /// The ledger's size when it was opened: what is older comes late for no fault of ours.
    began: u64,
}

impl Stream {
    async fn run(mut self, connected: StreamEvent, from: u64) {
        let first = frame(&format!("{RETRY}{}", self.id(from)), &connected);
        if !hand(&self.state, &self.frames, first).await {
            return;
        }
        let heartbeat = self.state.inner.heartbeat;
        loop {
            let frames = self.frames.clone();
            let step = tokio::select! {
                step = self.following.next(heartbeat) => step,
                () = frames.closed() => return,
            };
            match step {
                Ok(step) => {
                    let quiet = step.changes.is_empty();
                    for change in step.changes {
                        let told = self.told(&change);
                        if !hand(&self.state, &self.frames, told).await {
                            return;
                        }
                        if change.new && change.size > self.began {
                            let metrics = &self.state.inner.metrics;
                            metrics.streamed(change.entry.row.time);
                        }
                    }
                    // All so far was told: who comes back goes on from here.
                    let beat = StreamEvent::new(StreamEventType::Heartbeat);
                    let beat = frame(&self.id(step.size), &beat);
                    if quiet && !hand(&self.state, &self.frames, beat).await {
                        return;
                    }
                }
                Err(End::Stopping) => return,
                Err(End::Refused(refusal)) => return self.end(refusal).await,
                Err(End::Unread(error)) => return self.end(unread(error)).await,
            }
        }
    }

    async fn end(self, refusal: Refusal) {
        let error = refusal.body();
        let event = StreamEvent {
            error: Some(error.error),
            message: Some(error.message),
            ..StreamEvent::new(StreamEventType::Error)
        };
        hand(&self.state, &self.frames, frame("", &event)).await;
    }

    fn id(&self, size: u64) -> String {
        format!("id: {}\n", self.state.inner.versions.print(size))
    }

    fn told(&self, change: &Change) -> Bytes {
        let entry = &change.entry;
        let report = self.state.inner.records.report_of(&entry.row);
        let event = match change.new {
            true => StreamEventType::Denial,
            false => StreamEventType::Amended,
        };
        let event = StreamEvent {
            org: self.org.clone(),
            denial: Some(item::denial(entry, self.org.as_deref(), report).for_list()),
            ..StreamEvent::new(event)
        };
        frame(&self.id(change.size), &event)
    }
}
