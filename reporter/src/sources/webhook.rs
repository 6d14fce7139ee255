//! `/audit`: batches that kube-apiserver posts.
//!
//! | answer | when |
//! |---|---|
//! | 200 | committed; or put aside, and the gap entry that says so is committed |
//! | 403 | the client certificate's name is no source |
//! | 503, `Retry-After: 3` | too much at once, the body broke off, the ledger takes nothing now, or 5 s have passed |
//!
//! Nothing else is said of a delivery, whatever its headers and bytes are: kube-apiserver
//! gives up a batch after five refusals of any kind, but obeys `Retry-After` on a 503 for
//! minutes. Another path is 404 and another method 405; what is no HTTP at all is answered
//! by the HTTP library, and never was a delivery.

use super::aside::gap_of;
use super::{Court, LONGEST};
use crate::gaps::Cause;
use crate::intake::Arrival;
use crate::metrics::Metrics;
use crate::serve::Peer;
use crate::writer::{Unavailable, Writer};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Deliveries at one time. kube-apiserver was seen to open a dozen.
const AT_ONCE: usize = 64;
/// Bytes of bodies in memory at one time, in KiB.
const KIB_AT_ONCE: u32 = 256 * 1024;
/// From the end of the body to the answer.
const ANSWER: Duration = Duration::from_millis(4500);
/// For the body to arrive; kube-apiserver itself waits 30 s.
const BODY: Duration = Duration::from_secs(25);
/// Seconds after which kube-apiserver tries again.
const RETRY_AFTER: &str = "3";

/// Which certificates are which sources.
#[derive(Clone, Debug)]
pub enum Names {
    /// Every certificate of the authority; its common name is the source.
    Any,
    /// Common name to source; others are refused.
    These(BTreeMap<String, String>),
    /// No certificates (loopback): one source of this name.
    Insecure(String),
}

impl Names {
    /// Sources that are known before they deliver.
    pub fn known(&self) -> Vec<&str> {
        match self {
            Names::Any => Vec::new(),
            Names::These(names) => names.values().map(String::as_str).collect(),
            Names::Insecure(name) => vec![name],
        }
    }

    fn source(&self, peer: &Peer) -> Option<String> {
        match self {
            Names::Any => peer.0.clone().filter(|name| !name.is_empty()),
            Names::These(names) => names.get(peer.0.as_deref()?).cloned(),
            Names::Insecure(name) => Some(name.clone()),
        }
    }
}

#[derive(Clone)]
struct Audit {
    court: Arc<Court>,
    writer: Writer,
    names: Arc<Names>,
    metrics: Metrics,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    /// Parsing is work for a processor: more threads than those only take memory.
    parsers: Arc<Semaphore>,
}

/// The listener's routes.
pub fn router(court: Arc<Court>, writer: Writer, names: Names, metrics: Metrics) -> Router {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let audit = Audit {
        court,
        writer,
        names: Arc::new(names),
        metrics,
        places: Arc::new(Semaphore::new(AT_ONCE)),
        room: Arc::new(Semaphore::new(KIB_AT_ONCE as usize)),
        parsers: Arc::new(Semaphore::new(processors)),
    };
    Router::new()
        .route("/audit", post(deliver))
        .with_state(audit)
}

fn later() -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, RETRY_AFTER)],
        "try again\n",
    )
        .into_response()
}

async fn deliver(
    State(audit): State<Audit>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(source) = audit.names.source(&peer) else {
        // The name is an outsider's word: logged, never a metric label.
        tracing::warn!(name = ?peer.0, "a delivery under a name that is no source is refused");
        audit.metrics.batch("", "forbidden");
        return (
            StatusCode::FORBIDDEN,
            "this certificate is no audit source\n",
        )
            .into_response();
    };
    let answer = audit.take(&source, &headers, body).await;
    audit.metrics.batch(&source, answer);
    match answer {
        "committed" => StatusCode::OK.into_response(),
        _ => later(),
    }
}

enum Received {
    Whole(Bytes),
    TooLong { length: u64, sha256: String },
}

impl Audit {
    async fn take(&self, source: &str, headers: &HeaderMap, body: Body) -> &'static str {
        let Ok(_place) = self.places.try_acquire() else {
            return "busy";
        };
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let kib = length.unwrap_or(LONGEST).min(LONGEST) / 1024 + 1;
        let Ok(_room) = self
            .room
            .try_acquire_many(u32::try_from(kib).unwrap_or(KIB_AT_ONCE))
        else {
            return "busy";
        };
        let received = match tokio::time::timeout(BODY, receive(body, length)).await {
            Ok(Ok(received)) => received,
            Ok(Err(_)) | Err(_) => return "broken",
        };
        match tokio::time::timeout(ANSWER, self.keep(source, received)).await {
            Ok(Ok(())) => "committed",
            Ok(Err(Unavailable)) => "unavailable",
            Err(_) => "slow",
        }
    }

    async fn keep(&self, source: &str, received: Received) -> Result<(), Unavailable> {
        let now = Timestamp::now();
        let mut arrival = match received {
            Received::Whole(body) => {
                let _parser = self.parsers.acquire().await.map_err(|_| Unavailable)?;
                let (court, source) = (Arc::clone(&self.court), source.to_owned());
                tokio::task::spawn_blocking(move || court.delivery(&source, &body, now))
                    .await
                    .map_err(|error| {
                        tracing::error!("a delivery could not be read: {error}");
                        Unavailable
                    })?
            }
            Received::TooLong { length, sha256 } => {
                let put = super::quarantine::Put {
                    sha256,
                    length,
                    kept: false,
                };
                let why = "the batch is longer than 64 MiB";
                let mut gap = gap_of(source, Cause::QuarantinedBatch, &put, why, now);
                gap.retried = true;
                Arrival {
                    gaps: vec![gap],
                    ..Arrival::default()
                }
            }
        };
        let waiting = self.writer.waiting();
        let asking = async {
            self.court.collections(&mut arrival).await;
            self.court.exhibits(&mut arrival).await;
            self.court.answers(&mut arrival, waiting).await;
        };
        // A fault of ours leaves what was not asked as it came.
        if AssertUnwindSafe(asking).catch_unwind().await.is_err() {
            self.metrics.panicked("reading");
        }
        self.writer.commit(arrival).await
    }
}

/// The body, or, when it is too long, only what names it.
async fn receive(mut body: Body, length: Option<usize>) -> Result<Received, axum::Error> {
    let mut bytes = BytesMut::with_capacity(length.unwrap_or(0).min(LONGEST));
    let mut over: Option<(Context, u64)> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if over.is_none() && bytes.len() + data.len() > LONGEST {
            let mut hash = Context::new(&SHA256);
            hash.update(&bytes);
            over = Some((hash, bytes.len() as u64));
            bytes = BytesMut::new();
        }
        match &mut over {
            Some((hash, seen)) => {
                hash.update(&data);
                *seen += data.len() as u64;
            }
            None => bytes.extend_from_slice(&data),
        }
    }
    Ok(match over {
        None => Received::Whole(bytes.freeze()),
        Some((hash, length)) => Received::TooLong {
            length,
            sha256: HEXLOWER.encode(hash.finish().as_ref()),
        },
    })
}

#[cfg(test)]
mod tests;
