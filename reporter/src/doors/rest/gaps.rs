//! Gaps: what the record knows that it does not know.

use super::{Answer, next, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Verb};
use crate::doors::item::{given, time};
use crate::doors::json::Json;
use crate::doors::params::Params;
use crate::doors::read::Scope;
use axum::extract::State as Shared;
use axum::response::IntoResponse;
use docket_ledger::query::Row;
use docket_model::{Gap, Hidden, MissingWrite, Page};
use docket_record::entry::gap::Personal;
use docket_record::gap::hides;
use http::{HeaderMap, Uri};
use jiff::Timestamp;

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
    Ok(Json(Page {
        items,
        total: listing.total,
        total_capped: listing.capped,
        limit,
        offset,
        has_more: listing.more,
        cursor,
        replay: state.inner.replay,
        ..Page::default()
    })
    .into_response())
}

/// What of a gap the caller may know. Processes, numbers and file names are for who reads
/// everything.
fn gap_item(row: &Row, scope: &Scope) -> Gap {
    let stored: Gap = serde_json::from_slice(&row.public).unwrap_or_default();
    let inner = scope.is_all();
    let hidden = hides(stored.cause.as_deref().unwrap_or_default());
    Gap {
        hides: hidden.iter().copied().map(Hidden::from).collect(),
        process: stored.process.filter(|_| inner),
        numbers: stored.numbers.filter(|_| inner),
        count: stored.count.filter(|_| inner),
        detail: stored.detail.filter(|_| inner),
        writes: writes(stored.writes, row.personal.as_deref(), scope),
        position: row.position,
        recorded_at: time(row.recorded_at),
        closed: row.closed_by.is_some(),
        closed_by: row.closed_by,
        ..stored
    }
}

/// The missing writes of namespaces that the caller reads, with who wrote what. Those of no
/// namespace, and all of their numbers, are for who reads everything.
fn writes(stored: Vec<MissingWrite>, personal: Option<&[u8]>, scope: &Scope) -> Vec<MissingWrite> {
    let personal: Personal = personal
        .and_then(|bytes| serde_json::from_slice(bytes).ok())
        .unwrap_or_default();
    let readable = stored.into_iter().filter(|write| {
        let namespace = write.namespace.as_deref().unwrap_or_default();
        let time = write.time.parse::<Timestamp>();
        let time = time.map_or(i64::MIN, Timestamp::as_microsecond);
        scope.covers_all_of(namespace, time)
    });
    readable
        .map(|write| {
            let mut who = personal.writes.iter();
            let who = who.find(|who| who.number == write.number);
            MissingWrite {
                number: write.number.filter(|_| scope.is_all()),
                name: who.and_then(|who| given(who.name.clone())),
                user: who.and_then(|who| given(who.user.clone())),
                ..write
            }
        })
        .collect()
}
