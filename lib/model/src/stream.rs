//! Denials as they come.

use crate::denial::DenialItem;
use crate::error::ErrorCode;
use crate::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data of one server-sent event; its id is a place to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StreamEvent {
    /// What it is about.
    #[serde(rename = "type")]
    pub event: StreamEventType,
    /// Where the path has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub org: Option<String>,
    /// A part is kept back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// A recorded day is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replay: bool,
    /// The denial, as lists show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DenialItem")]
    pub denial: Option<DenialItem>,
    /// What kind of error it is, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub error: Option<ErrorCode>,
    /// What is wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
}

/// What an event of a stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum StreamEventType {
    /// The first event.
    Connected,
    /// A denial came.
    Denial,
    /// Something was learned of a denial that came before.
    Amended,
    /// Nothing happened.
    Heartbeat,
    /// The last event: the stream can't go on.
    Error,
}

impl StreamEvent {
    /// An event of this type, without anything else.
    #[must_use]
    pub fn new(event: StreamEventType) -> StreamEvent {
        StreamEvent {
            event,
            org: None,
            partial: false,
            replay: false,
            denial: None,
            error: None,
            message: None,
        }
    }
}
