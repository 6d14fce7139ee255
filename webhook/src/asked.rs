//! `POST /exhibits`: all that a reporter asks about one batch, answered in one call.
//!
//! Bounded in bytes, count and time on this side too: reviews are answered by the same
//! process, and nothing here may cost them anything. What does not fit is answered as
//! missing; the reporter's record stands without it.

use crate::handout::Handout;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use docket_record::exhibit::{self, Answer, Answers, LONGEST_CALL, Missing, Question, Questions};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// From the head of the call to the last question that is still looked at. The reporter
/// gives up after a second.
const TIME: Duration = Duration::from_millis(800);
/// For the whole of the call to arrive, once it is its turn.
const ARRIVAL: Duration = Duration::from_millis(500);
/// What an answer costs beside its texts.
const FRAME: usize = 64;

pub async fn exhibits(State(handout): State<Handout>, request: Request) -> Response {
    let deadline = Instant::now() + TIME;
    // First the permit, then the body: no more bodies in memory than calls under way.
    let permit = Arc::clone(&handout.redactions).acquire_owned();
    let Ok(Ok(permit)) = tokio::time::timeout(TIME, permit).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let body = axum::body::to_bytes(request.into_body(), LONGEST_CALL);
    let body = match tokio::time::timeout(ARRIVAL, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let answered = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let questions = Questions::parse(&body).map_err(|error| told(&error))?;
        drop(body);
        let answers = Answers {
            answers: answers(&handout, &questions.questions, deadline),
        };
        serde_json::to_vec(&answers).map_err(|error| told(&error))
    });
    match answered.await {
        Ok(Ok(answer)) => {
            let json = [(CONTENT_TYPE, "application/json")];
            (json, Body::from(answer)).into_response()
        }
        Ok(Err(why)) => (StatusCode::BAD_REQUEST, why).into_response(),
        Err(error) => {
            tracing::error!("exhibits could not be redacted and were not handed out: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What serde says may quote a text: only the kind and the place of the fault are told.
fn told(error: &serde_json::Error) -> String {
    format!(
        "not a question for exhibits: {:?} error at byte {}\n",
        error.classify(),
        error.column()
    )
    .to_lowercase()
}

fn answers(handout: &Handout, questions: &[Question], deadline: Instant) -> Vec<Answer> {
    let mut room = exhibit::LONGEST_ANSWER - 2 * FRAME;
    let mut answers = Vec::with_capacity(questions.len());
    for (at, question) in questions.iter().enumerate() {
        let left = (questions.len() - at) * FRAME;
        let answer = if Instant::now() >= deadline {
            Answer::Missing(Missing::Slow)
        } else {
            answer(handout, question)
        };
        let cost = cost(&answer);
        answers.push(if cost + left <= room {
            room -= cost;
            answer
        } else {
            Answer::Missing(Missing::TooLarge)
        });
    }
    answers
}

fn answer(handout: &Handout, question: &Question) -> Answer {
    let witness = &handout.witness;
    let Some(held) = witness.exhibits.get(&question.uid) else {
        return Answer::Missing(Missing::Gone);
    };
    let id = question.digests_with.as_deref();
    let digester = witness
        .keys
        .load()
        .digester(id, &witness.config.cluster, &question.namespace);
    Answer::Held(exhibit::answer(
        question,
        &held.object,
        held.replaced.as_deref(),
        &handout.rules,
        digester.as_ref(),
    ))
}

/// At most so many bytes of JSON: a character takes up to six.
fn cost(answer: &Answer) -> usize {
    match answer {
        Answer::Missing(_) => FRAME,
        Answer::Held(held) => {
            let exhibit = held.exhibit.as_ref().map_or(0, |raw| raw.get().len());
            let texts = held.texts.iter().map(|text| match text {
                None => 5,
                Some(text) => 6 * text.len() + 3,
            });
            FRAME + exhibit + texts.sum::<usize>()
        }
    }
}
