//! What the witness hands out, to the reporter alone (mutual TLS): its last number, what
//! numbers were given for, the last object of a collection, and exhibits, always redacted.

use crate::asked;
use crate::collections::Whose;
use crate::witness::Witness;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docket_record::numbers::{Answer, LONGEST_QUESTION, QUESTIONS, Question};
use docket_record::redact::Rules;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Calls for exhibits at one time: each keeps a processor busy and a tree of an object in
/// memory.
const REDACTIONS: usize = 2;

/// What the routes share.
#[derive(Clone)]
pub struct Handout {
    /// The state behind all listeners.
    pub witness: Arc<Witness>,
    /// What is secret.
    pub rules: Arc<Rules>,
    /// Who holds a permit may redact.
    pub redactions: Arc<tokio::sync::Semaphore>,
}

/// The reporter's routes.
pub fn router(witness: Arc<Witness>, rules: Rules) -> Router {
    Router::new()
        .route("/process", get(process))
        .route("/collection", post(collection))
        .route("/numbers", post(numbers))
        .route("/exhibits", post(asked::exhibits))
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

async fn numbers(State(Handout { witness, .. }): State<Handout>, body: Bytes) -> Response {
    let question = serde_json::from_slice::<Question>(&body).ok();
    let question = question
        .filter(|question| body.len() <= LONGEST_QUESTION && question.numbers.len() <= QUESTIONS);
    let Some(question) = question else {
        let say = format!("not a question for numbers, of which there may be {QUESTIONS}\n");
        return (StatusCode::BAD_REQUEST, say).into_response();
    };
    let process = &witness.process;
    // Another process of this name counted from one too.
    let meant = question.started == process.started;
    let numbers = question.numbers.into_iter().filter(|_| meant);
    Json(Answer {
        instance: process.instance.clone(),
        started: process.started,
        reviews: numbers
            .filter_map(|number| witness.numbered.as_ref()?.get(number))
            .collect(),
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
