//! One failure, two audiences: what the caller may know, and what the log must know.

use super::json::Json;
use axum::response::{IntoResponse, Response};
use docket_model::{Error, ErrorCode};
use http::{HeaderValue, StatusCode, header};

/// What a caller is told. Krate's flat shape, `{error, message}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: Error,
}

impl Refusal {
    /// 400: the request is wrong; the message names the parameter and what is allowed.
    pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message)
    }

    /// 401: no token, or one that the cluster does not know.
    pub(super) fn unauthorized(message: &str) -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
    }

    /// 403: known, but not allowed; the message names the missing permission.
    pub(super) fn forbidden(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
    }

    /// 404, the same for what does not exist and for what the caller may not read.
    pub(super) fn not_found(message: &str) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
    }

    /// 405.
    pub(super) fn only_get() -> Refusal {
        Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::MethodNotAllowed,
            "only GET is answered",
        )
    }

    /// 410: what it goes on from is not to be had here.
    pub(super) fn gone(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::GONE, ErrorCode::Gone, message)
    }

    /// 413: more than one request may bring.
    pub(super) fn too_large(message: &str) -> Refusal {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, message)
    }

    /// 503: try again; the cause is logged here, once.
    pub(super) fn unavailable(message: &str, cause: &dyn std::error::Error) -> Refusal {
        tracing::warn!(cause = %chain(cause), "{message}");
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            message,
        )
    }

    /// 503: too much at once, or too slow.
    pub(super) fn busy(message: &str) -> Refusal {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            message,
        )
    }

    /// Code and message, for a door with another shape.
    pub(super) fn said(self) -> (StatusCode, String) {
        (self.status, self.error.message)
    }

    /// The body.
    pub(super) fn body(self) -> Error {
        self.error
    }

    fn new(status: StatusCode, error: ErrorCode, message: impl Into<String>) -> Refusal {
        let message = message.into();
        Refusal {
            status,
            error: Error { error, message },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.error)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"docket\""),
                );
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            _ => {}
        }
        response
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
