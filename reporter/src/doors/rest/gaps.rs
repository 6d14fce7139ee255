//! Gaps: what the record knows that it does not know.

use super::{Answer, Envelope, next, said, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Verb};
use crate::doors::item::time;
use crate::doors::json::Json;
use crate::doors::params::Params;
use crate::doors::read::Scope;
use axum::extract::State as Shared;
use axum::response::IntoResponse;
use docket_ledger::query::Row;
use docket_record::gap::hides;
use http::{HeaderMap, Uri};
use jiff::Timestamp;
use serde_json::Value;

pub(super) async fn gaps(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    let (asked, page) = Params::parse(&uri)?.gaps(Timestamp::now())?;
    let granted = state.granted(&caller, Verb::List, &Ask::Readable).await?;
    let scope = granted.scope;
    let (limit, offset) = (page.limit, page.offset);
    let listing = state
        .inner
        .records
        .gaps(&scope, asked, page)
        .await
        .map_err(unread)?;
    let cursor = next(&listing, |gap| &gap.row);
    let items = listing
        .items
        .iter()
        .map(|gap| gap_item(&gap.row, &scope))
        .collect();
    Ok(Json(Envelope::<Value> {
        org: None,
        items,
        total: listing.total,
        total_capped: listing.capped,
        limit,
        offset,
        has_more: listing.more,
        cursor,
        version: None,
        partial: false,
        replay: state.inner.replay,
    })
    .into_response())
}

/// What of a gap everyone may know, who may read anything.
const GAP_FIELDS: [&str; 6] = ["id", "time", "from", "to", "source", "cause"];
/// What belongs to the operator: processes, numbers, file names.
const GAP_INNER: [&str; 4] = ["process", "numbers", "count", "detail"];

/// What of a missing write whoever reads its namespace may know.
const WRITE_FIELDS: [&str; 7] = [
    "hook",
    "time",
    "operation",
    "group",
    "resource",
    "subresource",
    "namespace",
];

fn gap_item(row: &Row, scope: &Scope) -> Value {
    let public: serde_json::Map<String, Value> =
        serde_json::from_slice(&row.public).unwrap_or_default();
    let mut item = serde_json::Map::new();
    for name in GAP_FIELDS {
        item.insert(
            name.to_owned(),
            public.get(name).cloned().unwrap_or_default(),
        );
    }
    let cause = public.get("cause").and_then(Value::as_str);
    let hidden = hides(cause.unwrap_or_default()).iter();
    let hidden: Vec<&str> = hidden.map(|one| one.name()).collect();
    item.insert("hides".to_owned(), hidden.into());
    if scope.is_all() {
        for name in GAP_INNER {
            said(&mut item, name, public.get(name).cloned());
        }
    }
    let writes = writes(&public, row.personal.as_deref(), scope);
    said(
        &mut item,
        "writes",
        Some(writes)
            .filter(|writes| !writes.is_empty())
            .map(Value::from),
    );
    item.insert("position".to_owned(), row.position.into());
    item.insert("recordedAt".to_owned(), time(row.recorded_at).into());
    item.insert("closed".to_owned(), row.closed_by.is_some().into());
    item.insert("closedBy".to_owned(), row.closed_by.into());
    Value::Object(item)
}

/// The missing writes of namespaces that the caller reads, with who wrote what. Those of no
/// namespace, and all of their numbers, are for who reads everything.
fn writes(
    public: &serde_json::Map<String, Value>,
    personal: Option<&[u8]>,
    scope: &Scope,
) -> Vec<Value> {
    let personal: Value = personal
        .and_then(|bytes| serde_json::from_slice(bytes).ok())
        .unwrap_or_default();
    let who = personal["writes"].as_array().map_or(&[][..], Vec::as_slice);
    let all = public.get("writes").and_then(Value::as_array);
    let readable = all.into_iter().flatten().filter(|write| {
        let namespace = write["namespace"].as_str().unwrap_or_default();
        let time = write["time"].as_str().and_then(|time| time.parse().ok());
        let time = time.map_or(i64::MIN, Timestamp::as_microsecond);
        scope.covers_all_of(namespace, time)
    });
    readable
        .map(|write| {
            let mut item = serde_json::Map::new();
            for name in WRITE_FIELDS {
                said(&mut item, name, write.get(name).cloned());
            }
            if scope.is_all() {
                said(&mut item, "number", write.get("number").cloned());
            }
            if let Some(who) = who.iter().find(|who| who["number"] == write["number"]) {
                for name in ["name", "user"] {
                    said(&mut item, name, who.get(name).cloned());
                }
            }
            Value::Object(item)
        })
        .collect()
}
