//! Audit events as files and clouds hold them: one record in, one event out. Pure.
//!
//! ```text
//!  bytes of a file ──split──▶ records ──read──▶ a raw Event (its own bytes, live id)
//!                                        ├────▶ a derived event (an id of its own)
//!                                        └────▶ no audit record: told apart, not broken
//! ```
//!
//! | shape | what a record looks like | gives |
//! |---|---|---|
//! | `event` | `audit.k8s.io/v1` Event: log line, item of an EventList | raw |
//! | `container` | the same in a container's output (CRI, Docker), pieces put together | raw |
//! | `wrapped` | the same in a record of a shipper, a journal, a search engine | raw |
//! | `eks` | CloudWatch event (`message`), or a line after its time | raw |
//! | `aks` | diagnostic record (`properties.log`), AzureDiagnostics (`log_s`) | raw |
//! | `cut`, `eks-cut`, `aks-cut` | the same, its text cut on the way | derived |
//! | `aks-row` | row of AKSAudit or AKSAuditAdmin | derived |
//! | `gke` | Cloud Logging LogEntry with `protoPayload` | derived |
//!
//! Which shape a record has is told by its members alone; nothing is guessed from names
//! of files.

mod aks;
pub mod container;
mod cut;
mod eks;
mod gke;
mod line;
pub mod packed;
pub mod split;
mod wrapped;

use crate::audit::{AuditEvent, Derived, ParseError};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Where a file comes from, if someone says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Events as kube-apiserver writes them.
    Kubernetes,
    /// CloudWatch Logs.
    Eks,
    /// Azure Monitor.
    Aks,
    /// Cloud Logging.
    Gke,
}

/// What a record looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// `audit.k8s.io/v1` Event.
    Event,
    /// Line of a container's output with a whole Event in it.
    Container,
    /// Record of a log shipper with a whole Event in it.
    Wrapped,
    /// Either, its text cut.
    Cut,
    /// CloudWatch event with a whole Event in it.
    Eks,
    /// CloudWatch event whose message was cut (256 KB).
    EksCut,
    /// Azure diagnostic record with a whole Event in it.
    Aks,
    /// The same, its text cut.
    AksCut,
    /// Row of a resource-specific Azure table.
    AksRow,
    /// Cloud Logging LogEntry.
    Gke,
}

impl Format {
    /// Every one, in the order of the documentation.
    pub const ALL: [Format; 4] = [Format::Kubernetes, Format::Eks, Format::Aks, Format::Gke];

    /// As on the command line and in the query.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Kubernetes => "kubernetes",
            Format::Eks => "eks",
            Format::Aks => "aks",
            Format::Gke => "gke",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl Shape {
    /// As in records (`derived`) and counts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Shape::Event => "event",
            Shape::Container => "container",
            Shape::Wrapped => "wrapped",
            Shape::Cut => "cut",
            Shape::Eks => "eks",
            Shape::EksCut => "eks-cut",
            Shape::Aks => "aks",
            Shape::AksCut => "aks-cut",
            Shape::AksRow => "aks-row",
            Shape::Gke => "gke",
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Shape::Event | Shape::Container | Shape::Wrapped | Shape::Cut => Format::Kubernetes,
            Shape::Eks | Shape::EksCut => Format::Eks,
            Shape::Aks | Shape::AksCut | Shape::AksRow => Format::Aks,
            Shape::Gke => Format::Gke,
        }
    }

    const fn lacks(self) -> &'static str {
        match self {
            Shape::Cut | Shape::EksCut | Shape::AksCut => {
                "read from a log message that was cut: what stood after the cut is not known"
            }
            Shape::AksRow => "read from a table row: impersonation is not in it",
            Shape::Gke => {
                "read from a Cloud Logging entry: groups, impersonation and the request's \
                 address are not in it"
            }
            Shape::Event | Shape::Container | Shape::Wrapped | Shape::Eks | Shape::Aks => "",
        }
    }

    /// The same, where the Event in it was cut.
    const fn cut(self) -> Shape {
        match self {
            Shape::Eks => Shape::EksCut,
            Shape::Aks => Shape::AksCut,
            _ => Shape::Cut,
        }
    }

    /// Marks `event` as made from this shape; equal `parts` make equal events.
    fn derive(self, mut event: AuditEvent, parts: &[&[u8]]) -> AuditEvent {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        event.derived = Some(Derived {
            shape: self.name(),
            key,
            lacks: self.lacks(),
        });
        event
    }
}

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// The bytes of an Event as the API server wrote it, still to be parsed: its id is
    /// that of the live event.
    Raw(Shape, Cow<'a, str>),
    /// Put together from what the export says.
    Derived(Shape, Box<AuditEvent>),
    /// A log record of something else (another component of the control plane, another
    /// service): nothing is wrong with it.
    Other,
}

/// Why a record gives no event.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("the record is not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but of no shape that is known.
    #[error("the record is no audit event in a form that is known; docs/import.md lists them")]
    Unknown,
    /// Of another shape than the one that was asked for.
    #[error("the record has the shape {}, not the one that --format asks for", .0.name())]
    NotThat(Shape),
    /// Lines that hold neither the object nor the answer's text.
    #[error(
        "the line is of --audit-log-format=legacy, which names neither the object nor the reason \
         of a refusal: such a log can't be read; set --audit-log-format=json"
    )]
    Legacy,
    /// What was cut away says how the request ended.
    #[error("the event was cut before it says how the request ended")]
    CutEarly,
    /// The event in it can't be read.
    #[error(transparent)]
    Event(#[from] ParseError),
    /// A member that is needed is missing or of another form.
    #[error("the record's {0} is missing or cannot be read")]
    Member(&'static str),
}

/// Reads one record. With `format`, one of another shape is an error.
///
/// # Errors
/// The record is put aside by the caller.
pub fn read(record: &[u8], format: Option<Format>) -> Result<Read<'_>, ImportError> {
    let record = record.trim_ascii();
    let read = match record.first() {
        Some(b'{') => members(record, "", 0)?,
        _ => line::read(record)?,
    };
    match (&read, format) {
        (Read::Raw(shape, _) | Read::Derived(shape, _), Some(format))
            if shape.format() != format =>
        {
            Err(ImportError::NotThat(*shape))
        }
        _ => Ok(read),
    }
}

/// The members that tell the shapes apart, unread.
#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, rename = "protoPayload")]
    proto_payload: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    log_s: Option<&'a RawValue>,
    #[serde(borrow, rename = "AuditId")]
    audit_id_column: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "@message")]
    insights_message: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, rename = "logStreamName")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, rename = "@logStream")]
    insights_stream: Option<&'a RawValue>,
    #[serde(borrow, rename = "ingestionTime")]
    ingested: Option<&'a RawValue>,
    #[serde(borrow, rename = "auditID")]
    audit_id: Option<&'a RawValue>,
    #[serde(borrow)]
    stage: Option<&'a RawValue>,
    #[serde(borrow)]
    verb: Option<&'a RawValue>,
}

impl Top<'_> {
    /// `message` is what many call a log line; CloudWatch counts time in milliseconds and
    /// names streams.
    fn is_cloudwatch(&self) -> bool {
        let text = |value: Option<&RawValue>| value.is_some_and(|raw| raw.get().starts_with('"'));
        let counted = |raw: &RawValue| raw.get().bytes().all(|byte| byte.is_ascii_digit());
        let named = self.stream.is_some() || self.insights_stream.is_some();
        text(self.insights_message)
            || text(self.message)
                && (named || self.ingested.is_some() || self.timestamp.is_some_and(counted))
    }
}

/// A record that is an object. `logged_at` and `depth`: of the record around it.
fn members<'a>(record: &'a [u8], logged_at: &str, depth: u8) -> Result<Read<'a>, ImportError> {
    let top: Top<'_> = serde_json::from_slice(record)?;
    let event = top.audit_id.is_some() || (top.stage.is_some() && top.verb.is_some());
    if event {
        // It was read as JSON, which is text.
        let text = str::from_utf8(record).map_err(|_| ImportError::Unknown)?;
        return Ok(Read::Raw(Shape::Event, Cow::Borrowed(text)));
    }
    if top.proto_payload.is_some() {
        return gke::entry(record);
    }
    if top.audit_id_column.is_some() {
        return aks::row(record);
    }
    if top.properties.is_some() || top.log_s.is_some() {
        return aks::diagnostic(record);
    }
    if top.is_cloudwatch() {
        return eks::event(record);
    }
    wrapped::record(record, logged_at, depth)
}

/// A log line that should be an Event: whole, cut, in a line of its own, or something else.
fn content<'a>(
    text: Cow<'a, str>,
    shape: Shape,
    logged_at: &str,
    depth: u8,
) -> Result<Read<'a>, ImportError> {
    if line::is_legacy(text.trim_start()) {
        return Err(ImportError::Legacy);
    }
    if !text.trim_start().starts_with('{') {
        // Other components of the control plane log plain text to the same place.
        let line::Found::Object {
            at,
            time,
            shape: inner,
        } = line::find(text.trim_start())
        else {
            return Ok(Read::Other);
        };
        if depth >= wrapped::DEPTH {
            return Ok(Read::Other);
        }
        // A container's line is an Event, or the container's own.
        let depth = match inner {
            Shape::Container => wrapped::DEPTH,
            _ => depth + 1,
        };
        let time = time_or(time, logged_at);
        let at = at + text.len() - text.trim_start().len();
        let object = match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[at..]),
            Cow::Owned(text) => Cow::Owned(text[at..].to_owned()),
        };
        return content(object, shape, &time, depth);
    }
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => {
            let owned = match members(text.as_bytes(), logged_at, depth.saturating_add(1)) {
                Ok(Read::Raw(Shape::Event, _)) => None,
                Ok(_) if depth >= wrapped::DEPTH => return Ok(Read::Other),
                Ok(Read::Raw(_, inner)) => Some(inner.into_owned()),
                Ok(Read::Derived(shape, event)) => return Ok(Read::Derived(shape, event)),
                Ok(Read::Other) | Err(ImportError::Unknown) => return Ok(Read::Other),
                Err(error) => return Err(error),
            };
            Ok(Read::Raw(shape, owned.map_or(text, Cow::Owned)))
        }
        Err(_) if cut::may_be(&text) => cut::event(&text, shape.cut(), logged_at),
        Err(_) => Ok(Read::Other),
    }
}

fn time_or(words: &str, or: &str) -> String {
    time(words).unwrap_or_else(|| or.to_owned())
}

/// A string member, with its escapes read.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get())
        .ok()
        .map(|text| text.0)
}

/// A time in any form of RFC 3339, in the form that the API server writes.
fn time(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(format!("{time:.6}"))
}

#[cfg(test)]
mod tests;
