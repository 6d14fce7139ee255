//! AKS: diagnostic categories `kube-audit` and `kube-audit-admin`. Event Hub and storage
//! records hold the raw Event as text (`properties.log`), AzureDiagnostics does in the
//! column `log_s`; the resource-specific tables hold its members as columns.

use super::{ImportError, Read, Shape, content, text};
use crate::audit::AuditEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Categories that hold audit events.
const AUDIT: &str = "kube-audit";

#[derive(Deserialize)]
struct Diagnostic<'a> {
    #[serde(borrow)]
    category: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "Category")]
    category_column: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "TimeGenerated")]
    time_generated: Option<Cow<'a, str>>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    log_s: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Properties<'a> {
    #[serde(borrow)]
    log: Option<&'a RawValue>,
}

pub(super) fn diagnostic(record: &[u8]) -> Result<Read<'_>, ImportError> {
    let record: Diagnostic<'_> = serde_json::from_slice(record)?;
    let category = record.category.or(record.category_column);
    if category.is_some_and(|category| !category.starts_with(AUDIT)) {
        return Ok(Read::Other);
    }
    let logged = record.time.or(record.time_generated);
    let logged = logged.and_then(|at| super::time(&at)).unwrap_or_default();
    let said = match (record.log_s, record.properties) {
        (Some(log), _) => text(log).ok_or(ImportError::Member("log_s"))?,
        (None, Some(properties)) => log(properties)?,
        (None, None) => return Err(ImportError::Member("properties")),
    };
    content(said, Shape::Aks, &logged, 0)
}

/// `properties.log`; some pipelines carry the properties as text.
fn log(properties: &RawValue) -> Result<Cow<'_, str>, ImportError> {
    let missing = ImportError::Member("properties.log");
    if let Some(inner) = text(properties) {
        let read: Properties<'_> = serde_json::from_str(&inner)?;
        let said = read.log.and_then(text).ok_or(missing)?;
        return Ok(Cow::Owned(said.into_owned()));
    }
    let read: Properties<'_> = serde_json::from_str(properties.get())?;
    read.log.and_then(text).ok_or(missing)
}

/// Columns of AKSAudit and AKSAuditAdmin, by the names they have in Azure Monitor's
/// table reference. Dynamic columns come as JSON, or as JSON in a string.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    #[serde(borrow)]
    audit_id: Cow<'a, str>,
    #[serde(borrow)]
    stage: Cow<'a, str>,
    #[serde(borrow)]
    verb: Cow<'a, str>,
    #[serde(borrow)]
    request_uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    user_agent: Option<&'a RawValue>,
    #[serde(borrow)]
    source_ips: Option<&'a RawValue>,
    #[serde(borrow)]
    object_ref: Option<&'a RawValue>,
    #[serde(borrow)]
    response_status: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    request_received_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stage_received_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time_generated: Option<Cow<'a, str>>,
}

pub(super) fn row(record: &[u8]) -> Result<Read<'static>, ImportError> {
    let row: Row<'_> = serde_json::from_slice(record)?;
    let received = row.request_received_time.as_deref().and_then(super::time);
    let staged = row.stage_received_time.as_deref().and_then(super::time);
    let staged = staged
        .or_else(|| row.time_generated.as_deref().and_then(super::time))
        .ok_or(ImportError::Member("StageReceivedTime"))?;
    let mut json = String::from("{");
    for (name, value) in [
        ("auditID", Some(quoted(&row.audit_id))),
        ("stage", Some(quoted(&row.stage))),
        ("verb", Some(quoted(&row.verb))),
        ("requestURI", row.request_uri.as_deref().map(quoted)),
        ("requestReceivedTimestamp", received.as_deref().map(quoted)),
        ("stageTimestamp", Some(quoted(&staged))),
        ("userAgent", row.user_agent.map(|raw| raw.get().to_owned())),
        ("user", row.user.and_then(dynamic)),
        ("sourceIPs", row.source_ips.and_then(dynamic)),
        ("objectRef", row.object_ref.and_then(dynamic)),
        ("responseStatus", row.response_status.and_then(dynamic)),
        ("annotations", row.annotations.and_then(dynamic)),
    ] {
        let Some(value) = value.filter(|value| value != "null") else {
            continue;
        };
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&quoted(name));
        json.push(':');
        json.push_str(&value);
    }
    json.push('}');
    let event = AuditEvent::parse(json.as_bytes())?;
    let parts: [&[u8]; 6] = [
        row.audit_id.as_bytes(),
        row.stage.as_bytes(),
        received.as_deref().unwrap_or_default().as_bytes(),
        staged.as_bytes(),
        row.request_uri.as_deref().unwrap_or_default().as_bytes(),
        event.user.username.as_bytes(),
    ];
    let event = Shape::AksRow.derive(event.clone(), &parts);
    Ok(Read::Derived(Shape::AksRow, Box::new(event)))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A dynamic column as JSON; an empty one is none.
fn dynamic(value: &RawValue) -> Option<String> {
    let Some(inner) = text(value) else {
        return Some(value.get().to_owned());
    };
    if inner.trim().is_empty() {
        return None;
    }
    // Text that is no JSON stands as what it is, and is refused where an object is due.
    let json = serde_json::from_str::<&RawValue>(&inner).map(|raw| raw.get().to_owned());
    Some(json.unwrap_or_else(|_| value.get().to_owned()))
}
