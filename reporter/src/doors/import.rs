//! `POST /import`: events that people bring, from files and from clouds.
//!
//! | answer | when |
//! |---|---|
//! | 200 | all of the chunk is committed; the body says what was in it |
//! | 400 | a parameter is wrong, or the body broke off |
//! | 401, 403 | no good token; no `create denials` in the cluster |
//! | 413 | more than 64 MiB in one request |
//! | 503, `Retry-After` | other imports are at work, or the ledger takes nothing now |
//!
//! It shares the ledger's one writer with `/audit`, never its places: [`AT_ONCE`] chunks
//! are worked on at a time, so a dozen imports can't keep a live batch waiting for longer
//! than that many transactions.

use super::State;
use super::error::Refusal;
use super::guard::dress;
use super::impersonate::Impersonation;
use crate::metrics::Metrics;
use crate::sources::import::{Broken, Report, SOURCE};
use crate::sources::{Court, LONGEST};
use crate::writer::Writer;
use axum::body::Body;
use axum::extract::{Query, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use docket_model::{BrokenRecord, ImportSummary};
use docket_record::import::Format;
use futures::FutureExt as _;
use http::HeaderMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Chunks in memory at a time.
const AT_ONCE: usize = 2;
/// Witnesses are asked for the exhibits of denials that are younger; what they hold in
/// memory reaches back minutes, not days.
const HELD: SignedDuration = SignedDuration::from_hours(1);
/// For one chunk to arrive.
const BODY: Duration = Duration::from_secs(60);
/// Longest body; one record may be as long.
pub(super) const LARGEST: usize = LONGEST + 1024;

/// Where imported events go.
#[derive(Clone)]
pub struct Import {
    court: Arc<Court>,
    writer: Writer,
    metrics: Metrics,
    places: Arc<Semaphore>,
}

impl Import {
    pub(crate) fn new(court: Arc<Court>, writer: Writer, metrics: Metrics) -> Import {
        metrics.sources.source(SOURCE);
        Import {
            court,
            writer,
            metrics,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/import", post(import))
        .with_state(state)
}

async fn import(
    Shared(state): Shared<State>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut response = match take(&state, &query, &headers, body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    };
    dress(&mut response);
    response
}

async fn take(
    state: &State,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: Body,
) -> Result<ImportSummary, Refusal> {
    if Impersonation::of(headers)?.is_some() {
        // Records name who brought them.
        return Err(Refusal::bad_request(
            "impersonate-user: nobody imports for somebody else; send your own token",
        ));
    }
    let gate = &state.inner.gate;
    let caller = gate.caller(headers).await?;
    let importer = gate.importer(&caller).await?;
    let format = format(query)?;
    let import = state
        .inner
        .import
        .as_ref()
        .ok_or_else(|| Refusal::not_found("nothing can be imported here"))?;
    let Ok(_place) = import.places.try_acquire() else {
        import.metrics.batch(SOURCE, "busy");
        return Err(Refusal::busy("other imports are at work; try again"));
    };
    let body = receive(body).await?;
    let (court, importer) = (Arc::clone(&import.court), importer.to_owned());
    let read = move || court.import(&body, format, &importer, Timestamp::now());
    let (mut arrival, report) = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Refusal::unavailable("the chunk could not be read", &error))?;
    let now = Timestamp::now();
    if arrival
        .findings
        .iter()
        .any(|one| now.duration_since(one.time) < HELD)
    {
        // A fault of ours leaves what was not asked as it came.
        let asking = AssertUnwindSafe(import.court.exhibits(&mut arrival));
        if asking.catch_unwind().await.is_err() {
            import.metrics.panicked("reading");
        }
    }
    match import.writer.commit_counting(arrival).await {
        Ok(new) => {
            import.metrics.batch(SOURCE, "committed");
            import.metrics.sources.imported("new", new);
            let broken = report.broken.len() as u64;
            import.metrics.sources.imported("broken", broken);
            for (&what, &count) in &report.events {
                import.metrics.sources.imported(what, count);
            }
            Ok(summary(report, new))
        }
        Err(error) => {
            import.metrics.batch(SOURCE, "unavailable");
            Err(Refusal::unavailable(
                "the ledger takes nothing at the moment; try again",
                &error,
            ))
        }
    }
}

/// `new`: records that were not in the ledger before.
fn summary(report: Report, new: u64) -> ImportSummary {
    let named = |counts: BTreeMap<&str, u64>| {
        let counts = counts.into_iter();
        counts
            .map(|(name, count)| (name.to_owned(), count))
            .collect()
    };
    let broken = report.broken.into_iter();
    let broken = broken.map(|Broken { line, why }| BrokenRecord { line, why });
    ImportSummary {
        records: report.records,
        other: report.other,
        shapes: named(report.shapes),
        events: named(report.events),
        broken: broken.collect(),
        new,
    }
}

fn format(query: &[(String, String)]) -> Result<Option<Format>, Refusal> {
    let mut format = None;
    for (name, value) in query {
        let known = Format::from_name(value).filter(|_| name == "format" && format.is_none());
        if known.is_none() {
            let names = Format::ALL.map(Format::name).join(", ");
            return Err(Refusal::bad_request(format!(
                "format: must be one of {names}, given once; no other parameter is known"
            )));
        }
        format = known;
    }
    Ok(format)
}

async fn receive(body: Body) -> Result<Bytes, Refusal> {
    let body = Limited::new(body, LARGEST).collect();
    match tokio::time::timeout(BODY, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large(
            "body: at most 64 MiB in one request; send the file in parts, at line breaks",
        )),
        Ok(Err(_)) => Err(Refusal::bad_request("body: it broke off")),
        Err(_) => Err(Refusal::bad_request(
            "body: it did not arrive within 60 s; send less at a time",
        )),
    }
}
