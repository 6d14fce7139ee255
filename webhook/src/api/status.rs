//! Refusals in Kubernetes' form, so that kubectl prints their message.

use super::counts::Cause;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// Clients of Kubernetes try again by themselves, ten times: long enough for a reporter
/// that is being replaced, and short enough for a person who waits.
const AGAIN: u32 = 1;

fn status(code: StatusCode, reason: &str, message: &str, again: bool) -> Response {
    let mut status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    });
    if again {
        status["details"] =
            json!({ "group": docket_record::api::GROUP, "retryAfterSeconds": AGAIN });
    }
    let json = HeaderValue::from_static("application/json");
    let mut answer = (code, [(CONTENT_TYPE, json)], Body::from(status.to_string())).into_response();
    if again {
        answer.headers_mut().insert(RETRY_AFTER, AGAIN.into());
    }
    answer
}

/// 404: no such path.
pub fn not_found(path: &str) -> Response {
    let shown: String = path.chars().take(256).collect();
    let message = format!("{shown} is not served here");
    status(StatusCode::NOT_FOUND, "NotFound", &message, false)
}

/// 405: everything is to read.
pub fn method_not_allowed() -> Response {
    let message = "docket.a5c.ai is read-only: get, list and watch are all that it allows";
    let mut answer = status(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        message,
        false,
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET"));
    answer
}

/// 406: another form than JSON is wanted.
pub fn not_acceptable() -> Response {
    let message = "only application/json is served here";
    status(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, false)
}

/// Why the reporter did not answer.
pub fn of(cause: Cause) -> Response {
    let bad = |message| status(StatusCode::BAD_REQUEST, "BadRequest", message, false);
    let many = |message| {
        let code = StatusCode::TOO_MANY_REQUESTS;
        status(code, "TooManyRequests", message, true)
    };
    match cause {
        Cause::Method => method_not_allowed(),
        Cause::Path => bad("names in this API are letters, digits, dashes and dots"),
        Cause::Upgrade => bad("this API has no WebSockets: watch over plain HTTP"),
        Cause::Identity => {
            let message = "the API server did not say who asks: X-Remote-User must be there once";
            status(StatusCode::UNAUTHORIZED, "Unauthorized", message, false)
        }
        Cause::Full => many("docket has as many readers as it takes at one time; try again"),
        Cause::Share => {
            many("you have as many requests open as one user may; end some of your watches")
        }
        Cause::Unreachable => {
            let message = "the record of denials cannot be read at the moment: docket's reporter \
                           does not answer; nothing is lost, try again";
            let code = StatusCode::SERVICE_UNAVAILABLE;
            status(code, "ServiceUnavailable", message, true)
        }
        Cause::Slow => {
            let message = "docket's reporter took too long to answer; ask for less, or try again";
            status(StatusCode::GATEWAY_TIMEOUT, "Timeout", message, false)
        }
    }
}
