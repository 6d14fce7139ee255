//! What a caller is told who gets no answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Krate's flat shape. Of a wrong parameter the message begins with its name and says what
/// is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Error {
    /// What kind of error it is, for programs.
    pub error: ErrorCode,
    /// What is wrong, for people.
    pub message: String,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ErrorCode {
    /// The request is wrong.
    BadRequest,
    /// No token, or none that the cluster knows.
    Unauthorized,
    /// Not allowed.
    Forbidden,
    /// There is no such thing, or it is not the caller's to read.
    NotFound,
    /// Another method is answered.
    MethodNotAllowed,
    /// What it goes on from is not to be had here.
    Gone,
    /// More than one request may bring.
    TooLarge,
    /// Try again.
    Unavailable,
}
