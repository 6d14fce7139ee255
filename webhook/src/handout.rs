//! What the witness hands out, to the reporter alone (mutual TLS): its last number, the
//! last object of a collection, and exhibits, always redacted.

use crate::collections::Whose;
use crate::witness::Witness;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docket_record::redact::Rules;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Redactions at one time: each holds a tree of an object in memory.
const REDACTIONS: usize = 2;

#[derive(Clone)]
struct Handout {
    witness: Arc<Witness>,
    rules: Arc<Rules>,
    redactions: Arc<tokio::sync::Semaphore>,
}

/// The reporter's routes.
pub fn router(witness: Arc<Witness>, rules: Rules) -> Router {
    Router::new()
        .route("/process", get(process))
        .route("/collection", post(collection))
        .route("/exhibits/{uid}", get(exhibit))
        .with_state(Handout {
            witness,
            rules: Arc::new(rules),
            redactions: Arc::new(tokio::sync::Semaphore::new(REDACTIONS)),
        })
}

#[derive(Serialize)]
struct ProcessAnswer<'a> {
    instance: &'a str,
    started: i64,
    last: u64,
}

async fn process(State(Handout { witness, .. }): State<Handout>) -> Response {
    Json(ProcessAnswer {
        instance: &witness.process.instance,
        started: witness.process.started,
        last: witness.last_number(),
    })
    .into_response()
}

#[derive(Deserialize)]
struct CollectionQuestion {
    user: String,
    #[serde(default)]
    group: String,
    resource: String,
    #[serde(default)]
    namespace: String,
    before: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CollectionAnswer {
    name: String,
    uid: String,
    review_uid: String,
    time: Timestamp,
}

async fn collection(State(Handout { witness, .. }): State<Handout>, body: Bytes) -> Response {
    let question: CollectionQuestion = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => {
            let say = format!("not a question for a collection: {error}\n");
            return (StatusCode::BAD_REQUEST, say).into_response();
        }
    };
    let whose = Whose {
        user: &question.user,
        group: &question.group,
        resource: &question.resource,
        namespace: &question.namespace,
    };
    match witness.collections.last(whose, question.before) {
        Some(last) => Json(CollectionAnswer {
            name: last.name,
            uid: last.uid,
            review_uid: last.review_uid,
            time: last.time,
        })
        .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn exhibit(State(handout): State<Handout>, Path(uid): Path<String>) -> Response {
    let Some(object) = handout.witness.exhibits.get(&uid) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Closed only with the process.
    let Ok(permit) = Arc::clone(&handout.redactions).acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let redacted = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        handout.rules.redact(&object)
    });
    match redacted.await {
        Ok(Some(redacted)) => Json(redacted).into_response(),
        // A kind that is secret as a whole, or no object after all.
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!("an exhibit could not be redacted and was not handed out: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
