//! An Event within a record of something that carries logs: shippers, search engines, the
//! journal. Only members that hold a log line are looked into, by the names that these
//! programs give them; which of them is an Event is told by what is in it.

use super::{ImportError, Read, Shape, container, content, members, text};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Records within records are followed so far.
pub(super) const DEPTH: u8 = 5;
/// Members that hold a line, or an Event that was read already: Docker and Fluent Bit,
/// Vector and Filebeat, the journal, Splunk, Loki, OpenTelemetry, Cloud Logging, ECS.
const LINES: [&str; 11] = [
    "log",
    "message",
    "MESSAGE",
    "_raw",
    "line",
    "body",
    "textPayload",
    "@message",
    "original",
    "content",
    "raw",
];
/// Members that hold such a record.
const RECORDS: [&str; 12] = [
    "jsonPayload",
    "_source",
    "result",
    "event",
    "attributes",
    "fields",
    "data",
    "kubernetes",
    "audit",
    "kubernetes_audit",
    "json",
    "stringValue",
];
/// Members that say when the line was logged.
const TIMES: [&str; 10] = [
    "time",
    "timestamp",
    "@timestamp",
    "_time",
    "ts",
    "date",
    "TimeGenerated",
    "observedTimeUnixNano",
    "timeUnixNano",
    "__REALTIME_TIMESTAMP",
];

/// The first Event in a record. `logged_at`: the time of the record around this one.
pub(super) fn record<'a>(
    record: &'a [u8],
    logged_at: &str,
    depth: u8,
) -> Result<Read<'a>, ImportError> {
    if depth >= DEPTH {
        return Err(ImportError::Unknown);
    }
    if let Some(line) = container::docker(record) {
        let time = super::time(line.time).unwrap_or_default();
        return content(line.text, Shape::Container, &time, DEPTH);
    }
    let members_of: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_slice(record)?;
    if members_of.contains_key("msg") {
        // A program's own structured log (klog's JSON, zap, slog): its other members are
        // what it speaks of, which may be what a client sent.
        return Ok(Read::Other);
    }
    let logged = TIMES.iter().find_map(|name| time(members_of.get(*name)?));
    let logged = logged.unwrap_or_else(|| logged_at.to_owned());
    let mut is_line = false;
    for (name, names_a_line) in LINES
        .iter()
        .map(|name| (name, true))
        .chain(RECORDS.iter().map(|name| (name, false)))
    {
        let Some(value) = members_of.get(*name) else {
            continue;
        };
        let read = match value.get().as_bytes().first() {
            Some(b'{') => members(value.get().as_bytes(), &logged, depth + 1),
            Some(b'"') => match text(value) {
                Some(said) => content(said, Shape::Wrapped, &logged, depth + 1),
                None => continue,
            },
            // `journalctl -o json` leaves out what is long, unless told `--all`.
            Some(b'n') if *name == "MESSAGE" => Err(ImportError::Member("MESSAGE")),
            _ => continue,
        };
        match read {
            Ok(Read::Other) => is_line = true,
            Err(ImportError::Unknown) => is_line |= names_a_line || *name == "jsonPayload",
            found => return found,
        }
    }
    if is_line {
        Ok(Read::Other)
    } else {
        Err(ImportError::Unknown)
    }
}

/// RFC 3339, or a number since the epoch in a unit that its size tells.
fn time(value: &RawValue) -> Option<String> {
    let words = text(value);
    let words = words.as_deref().unwrap_or_else(|| value.get());
    if let Some(time) = super::time(words) {
        return Some(time);
    }
    let number: f64 = words.parse().ok().filter(|number: &f64| *number > 0.0)?;
    let seconds = [1e0, 1e3, 1e6, 1e9].into_iter().find_map(|unit| {
        let seconds = number / unit;
        // Up to the year 2286.
        (seconds < 1e10).then_some(seconds)
    })?;
    let time = jiff::Timestamp::from_microsecond((seconds * 1e6) as i64).ok()?;
    Some(format!("{time:.6}"))
}
