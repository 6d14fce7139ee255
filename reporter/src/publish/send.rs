//! Events at the API server: made, counted on, and what it says to that.

use super::STALE;
use super::series::Series;
use crate::metrics::{Metrics, Step};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;
use std::time::Duration;

/// First and longest pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// Attempts where the API server answers, but not as it should.
const TRIES: u32 = 5;

/// What became of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It stands in the Event.
    Said,
    /// There is no such Event any more.
    Gone,
    /// The API server will not take it.
    Refused,
    /// It may take it later.
    Later,
}

/// Makes one Event; again and again while it is worth it. True if it is there.
pub(super) async fn create(client: &Client, metrics: &Metrics, event: &Event) -> bool {
    let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut pause = PAUSE;
    let mut tries = 0;
    loop {
        let outcome = match api.create(&PostParams::default(), event).await {
            Ok(_) => "created",
            Err(error) => not_created(namespace, &error, &mut tries),
        };
        metrics.published(outcome);
        if outcome == "created"
            && let Some(time) = &event.event_time
        {
            metrics.lag(Step::Published, time.0, Timestamp::now());
        }
        if outcome != "retried" {
            return matches!(outcome, "created" | "exists");
        }
        let age = event
            .event_time
            .as_ref()
            .map(|time| Timestamp::now().duration_since(time.0));
        if age.is_none_or(|age| age > STALE) {
            metrics.published("stale");
            return false;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONG_PAUSE);
    }
}

fn not_created(namespace: &str, error: &Error, tries: &mut u32) -> &'static str {
    let Error::Api(status) = error else {
        return "retried";
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let terminating = |reason: &str| reason == "NamespaceTerminating";
    match status.code {
        409 => "exists",
        404 => "namespaceGone",
        403 if causes.into_iter().any(|cause| terminating(&cause.reason)) => "namespaceGone",
        400 | 403 | 413 | 422 => {
            tracing::warn!(namespace, "an Event was refused: {}", status.message);
            "refused"
        }
        401 | 429 | 503 | 504 => "retried",
        _ => {
            *tries += 1;
            if *tries < TRIES {
                return "retried";
            }
            tracing::warn!(namespace, "an Event could not be made: {}", status.message);
            "failed"
        }
    }
}

/// Tells the API server how many there are; once, since the next round says it again.
pub(super) async fn count(client: &Client, metrics: &Metrics, series: &Series) -> Told {
    let api: Api<Event> = Api::namespaced(client.clone(), &series.namespace);
    let Ok(last) = Timestamp::from_microsecond(series.last) else {
        return Told::Refused;
    };
    let body = json!({"series": {
        "count": i32::try_from(series.count).unwrap_or(i32::MAX),
        "lastObservedTime": MicroTime(last),
    }});
    let patched = api
        .patch(&series.name, &PatchParams::default(), &Patch::Merge(&body))
        .await;
    let (told, outcome) = match patched {
        Ok(_) => (Told::Said, "patched"),
        Err(Error::Api(status)) => match status.code {
            404 => (Told::Gone, "gone"),
            400 | 403 | 413 | 422 => {
                let namespace = &series.namespace;
                tracing::warn!(
                    namespace,
                    "an Event's count was refused: {}",
                    status.message
                );
                (Told::Refused, "refused")
            }
            _ => (Told::Later, "retried"),
        },
        Err(_) => (Told::Later, "retried"),
    };
    metrics.published(outcome);
    told
}
