//! What holds for every request before anyone looks at it: how many at once, how long,
//! without a body, and which headers the answer carries.

use super::State;
use super::error::Refusal;
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use std::time::Instant;

/// No answer is kept by anyone, framed, sniffed or run.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000"),
    ),
];

pub(super) async fn guard(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The pattern, not the path: paths hold ids and queries hold names.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = answer(&state, request, next).await;
    dress(&mut response);
    tracing::debug!(
        %method,
        route = route.as_ref().map_or("", MatchedPath::as_str),
        status = response.status().as_u16(),
        ms = started.elapsed().as_millis(),
        "read"
    );
    response
}

/// Puts the headers on.
pub(super) fn dress(response: &mut Response) {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
}

async fn answer(state: &State, request: Request, next: Next) -> Response {
    if !hyper::body::Body::is_end_stream(request.body()) {
        return Refusal::bad_request("body: none is allowed").into_response();
    }
    let Ok(_permit) = state.inner.at_once.clone().try_acquire_owned() else {
        return Refusal::busy("too many requests at once; try again").into_response();
    };
    let limit = state.inner.time_limit;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Refusal::busy("the answer took too long; ask for less, or try again").into_response()
        }
    }
}
