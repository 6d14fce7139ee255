//! EKS: the control plane's log type `audit` in CloudWatch Logs. Each log event's message
//! is one raw Event. Log events come from subscriptions, from `aws logs …` and from the
//! console's export; what has a time before each line is read by [`super::line`].

use super::line::AUDIT_STREAM;
use super::{ImportError, Read, Shape, content, text};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEvent<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "@message")]
    insights_message: Option<&'a RawValue>,
    /// Milliseconds since the epoch.
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, rename = "@timestamp")]
    insights_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    log_stream_name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "@logStream")]
    insights_stream: Option<Cow<'a, str>>,
}

pub(super) fn event(record: &[u8]) -> Result<Read<'_>, ImportError> {
    let event: LogEvent<'_> = serde_json::from_slice(record)?;
    let stream = event.log_stream_name.or(event.insights_stream);
    if stream.is_some_and(|stream| !stream.starts_with(AUDIT_STREAM)) {
        return Ok(Read::Other);
    }
    let said = event
        .message
        .or(event.insights_message)
        .and_then(text)
        .ok_or(ImportError::Member("message"))?;
    let logged = event.timestamp.or(event.insights_timestamp).map(logged_at);
    let logged = logged.flatten().unwrap_or_default();
    content(said, Shape::Eks, &logged, 0)
}

/// Milliseconds, or the words of Logs Insights (`2026-11-22 23:00:00.000`, in UTC).
fn logged_at(value: &RawValue) -> Option<String> {
    if let Ok(milliseconds) = value.get().parse::<i64>() {
        let time = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
        return Some(format!("{time:.6}"));
    }
    let words = text(value)?;
    super::time(&words).or_else(|| super::time(&format!("{words}Z")))
}
