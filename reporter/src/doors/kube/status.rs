//! Failures as Kubernetes says them: a `Status`, whose code and reason clients act on.

use super::safe;
use crate::doors::error::Refusal;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    /// Name and plural, where one object was asked for.
    about: Option<(&'static str, String)>,
}

/// Seconds after which to try again, where that may help.
const AGAIN: u16 = 1;

impl Failure {
    /// 400: names what is wrong and what is allowed.
    pub(super) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: the request says not who asks.
    pub(super) fn unauthorized(message: &str) -> Failure {
        Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// 403: who calls is not the one who may hand on requests.
    pub(super) fn forbidden(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 404 for an object, the same where it does not exist and where it is not the caller's
    /// to read.
    pub(super) fn not_found(plural: &'static str, name: &str) -> Failure {
        let message = format!("{plural}.docket.a5c.ai {name:?} not found");
        let about = Some((plural, name.to_owned()));
        Failure {
            about,
            ..Failure::new(StatusCode::NOT_FOUND, "NotFound", message)
        }
    }

    /// 404 for a path.
    pub(super) fn no_such_path(path: &str) -> Failure {
        let path: String = path
            .chars()
            .take(200)
            .flat_map(char::escape_default)
            .collect();
        let message = format!("nothing is served at {path}");
        Failure::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 405 for every write.
    pub(super) fn read_only() -> Failure {
        let message = "docket.a5c.ai is read-only: the record is made from audit events, and \
                       nothing in it can be created, changed or deleted; get, list and watch \
                       are answered";
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// 405 for a verb that this resource does not have.
    pub(super) fn no_such_verb(plural: &str, verb: &str, instead: &str) -> Failure {
        let message = format!("{plural}.docket.a5c.ai cannot be {verb}; {instead}");
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// 406.
    pub(super) fn not_acceptable() -> Failure {
        let message = "only application/json is spoken, with as=Table or \
                       as=PartialObjectMetadata(List) of meta.k8s.io v1 or v1beta1 if asked for";
        Failure::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 410: a version that this ledger can't go on from; the client lists anew.
    pub(super) fn expired(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::GONE, "Expired", message)
    }

    /// 503: too much at once, or too slow.
    pub(super) fn busy(message: &str) -> Failure {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        )
    }

    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            code,
            reason,
            message: message.into(),
            about: None,
        }
    }

    /// True where it is not for this client.
    pub(super) fn is_forbidden(&self) -> bool {
        self.code == StatusCode::FORBIDDEN
    }

    /// True where the client holds a version that it must forget.
    pub(super) fn is_expired(&self) -> bool {
        self.code == StatusCode::GONE
    }

    /// As an object: of an answer, or of a watch event of type ERROR.
    pub(super) fn status(&self) -> Value {
        let mut details = json!({});
        if let Some((plural, name)) = &self.about {
            details = json!({ "group": "docket.a5c.ai", "kind": plural, "name": name });
        }
        safe::value(&mut details);
        if self.code == StatusCode::SERVICE_UNAVAILABLE {
            details["retryAfterSeconds"] = AGAIN.into();
        }
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": safe::text(&self.message).as_ref().unwrap_or(&self.message),
            "reason": self.reason,
            "details": details,
            "code": self.code.as_u16(),
        })
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let (code, message) = refusal.said();
        let reason = match code {
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::GONE => "Expired",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalError",
        };
        Failure::new(code, reason, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(self.status())).into_response();
        let headers = response.headers_mut();
        match self.code {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(AGAIN));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use docket_record::harmful::{HARMFUL, is_harmful};

    #[test]
    fn what_a_request_named_is_harmless_in_its_answer() {
        for c in HARMFUL.into_iter().flatten() {
            let name = format!("a{c}b");
            for failure in [
                Failure::not_found("denials", &name),
                Failure::no_such_path(&name),
                Failure::bad_request(name.replace(['\n', '\t'], "")),
            ] {
                let said = failure.status();
                let message = said["message"].as_str().unwrap_or_default();
                assert!(!message.chars().any(is_harmful), "{message:?}");
                let named = said["details"]["name"].as_str().unwrap_or_default();
                let obeyed = |c: char| is_harmful(c) && !matches!(c, '\n' | '\t');
                assert!(!named.chars().any(obeyed), "{named:?}");
            }
        }
    }
}
