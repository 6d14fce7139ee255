//! Violations: what was refused, and what stands though a policy objects, in one list.

use super::{Answer, Under, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::cursor::Cursor;
use crate::doors::item::{self, time};
use crate::doors::json::Json;
use crate::doors::params::Params;
use crate::doors::read::FoundViolation;
use crate::doors::violation;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_model::Page;
use http::{HeaderMap, Uri};
use jiff::Timestamp;

pub(super) async fn violations(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    listing(&state, &Under::All, uri, &headers).await
}

pub(super) async fn org_violations(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    listing(&state, &Under::Org(org), uri, &headers).await
}

async fn listing(state: &State, under: &Under, uri: Uri, headers: &HeaderMap) -> Answer {
    let inner = &state.inner;
    let caller = inner.gate.caller(headers).await?;
    let now = Timestamp::now();
    let (asked, namespace, page) = Params::parse(&uri)?.violations(now)?;
    let (ask, _) = under.ask(namespace)?;
    let org = under.org();
    let Granted { scope, partial } = state.granted(&caller, Verb::List, &ask).await?;
    let (limit, offset) = (page.limit, page.offset);
    let found = inner.records.violations(&scope, asked, page).await;
    let found = found.map_err(unread)?;
    let map = inner.orgs.last();
    let mut items = Vec::new();
    for found in found.page.items {
        let mut item = match found {
            FoundViolation::Denied {
                entry,
                count,
                first,
                report,
            } => item::violation(item::denial(&entry, org, report), count, first),
            FoundViolation::Reported(reported) => violation::reported(&reported, &inner.names, now),
        };
        // The namespace's word, before the object's own.
        let owner = item.namespace.as_deref();
        let owner = owner.and_then(|namespace| inner.orgs.owner(&map, namespace));
        item.org = org.map(str::to_owned).or(owner).or(item.org);
        items.push(item);
    }
    let all = scope.is_all();
    Ok(Json(Page {
        org: org.map(str::to_owned),
        items,
        total: found.page.total,
        total_capped: found.page.capped,
        limit,
        offset,
        has_more: found.page.more,
        cursor: found
            .next
            .map(|(time, position)| Cursor { time, position }.print()),
        partial,
        replay: inner.replay,
        // Older denials were not looked at.
        denials_since: found.denials_since.map(time),
        left_out: (all && found.left_out > 0).then_some(found.left_out),
        incomplete: found.left_out > 0,
        ..Page::default()
    })
    .into_response())
}
