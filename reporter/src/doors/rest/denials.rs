//! Denials: the list, and one by its id.

use super::{Answer, Under, next, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::auth::Caller;
use crate::doors::error::Refusal;
use crate::doors::item;
use crate::doors::json::Json;
use crate::doors::params::Params;
use crate::doors::read::{Entry, Found, Scope};
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::entry::Part;
use docket_ledger::query::Filter;
use docket_model::Page;
use http::{HeaderMap, Uri, header};
use jiff::Timestamp;

pub(super) async fn list(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    listing(&state, &Under::All, uri, &headers).await
}

pub(super) async fn org_list(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    listing(&state, &Under::Org(org), uri, &headers).await
}

pub(super) async fn one(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    single(&state, &Under::All, &id, uri, &headers).await
}

pub(super) async fn org_one(
    state: Shared<State>,
    Path((org, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    single(&state, &Under::Org(org), &id, uri, &headers).await
}

pub(super) async fn own_list(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    listing(&state, &Under::Own, uri, &headers).await
}

pub(super) async fn own_one(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    single(&state, &Under::Own, &id, uri, &headers).await
}

pub(super) async fn repository_list(
    state: Shared<State>,
    Path(place): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    listing(&state, &place.into(), uri, &headers).await
}

pub(super) async fn repository_one(
    state: Shared<State>,
    Path((namespace, name, id)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let under = Under::Repository { namespace, name };
    single(&state, &under, &id, uri, &headers).await
}

pub(super) async fn exhibit(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let (caller, _, entry) = found(&state, &Under::All, &id, uri, &headers).await?;
    let row = &entry.row;
    let (parts, _) = state
        .inner
        .records
        .parts(&Scope::all(), row.position, 1)
        .await
        .map_err(unread)?;
    let parts = parts
        .into_iter()
        .find(|parts| parts.position == row.position);
    let namespace = parts.as_ref().map_or("", |parts| parts.namespace.as_str());
    // The permission first, whether or not there is an exhibit.
    if !state.sees_evidence(&caller, namespace).await? {
        let place = if namespace.is_empty() {
            "the cluster".to_owned()
        } else {
            format!("namespace {namespace}")
        };
        return Err(Refusal::forbidden(format!(
            "you may not read the object behind this denial; you lack \
             `get denials/evidence.docket.a5c.ai` in {place}"
        )));
    }
    let exhibit = parts
        .into_iter()
        .flat_map(|parts| parts.parts)
        .find(|salted| salted.part == Part::Exhibit)
        .ok_or_else(|| Refusal::not_found("no exhibit was kept of this denial"))?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, exhibit.bytes).into_response())
}

pub(super) async fn proof(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    proved(&state, &Under::All, &id, uri, &headers).await
}

pub(super) async fn org_proof(
    state: Shared<State>,
    Path((org, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    proved(&state, &Under::Org(org), &id, uri, &headers).await
}

pub(super) async fn own_proof(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    proved(&state, &Under::Own, &id, uri, &headers).await
}

pub(super) async fn repository_proof(
    state: Shared<State>,
    Path((namespace, name, id)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let under = Under::Repository { namespace, name };
    proved(&state, &under, &id, uri, &headers).await
}

async fn proved(state: &State, under: &Under, id: &str, uri: Uri, headers: &HeaderMap) -> Answer {
    let (caller, scope, entry) = found(state, under, id, uri, headers).await?;
    let proof = state.proof(&caller, &scope, &entry).await?;
    let proof = proof.ok_or_else(|| Refusal::not_found("no such denial, or not yours to read"))?;
    Ok(Json(proof).into_response())
}

async fn listing(state: &State, under: &Under, uri: Uri, headers: &HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(headers).await?;
    let asked = Params::parse(&uri)?.list(Timestamp::now())?;
    let (ask, namespace) = under.ask(asked.namespace)?;
    let filter = Filter {
        namespace,
        ..asked.filter
    };
    let Granted { scope, partial } = state.granted(&caller, Verb::List, &ask).await?;
    let (limit, offset) = (asked.page.limit, asked.page.offset);
    // Before the list: what comes between the two is in both, and missing in neither.
    let size = state.inner.records.size().await.map_err(unread)?;
    let version = state.inner.versions.print(size);
    let listing = state
        .inner
        .records
        .list(&scope, filter, asked.page)
        .await
        .map_err(unread)?;
    let cursor = next(&listing, |entry| &entry.row);
    let items = listing
        .items
        .iter()
        .map(|entry| {
            let report = state.inner.records.report_of(&entry.row);
            item::denial(entry, under.org(), report).for_list()
        })
        .collect();
    Ok(Json(Page {
        org: under.org().map(str::to_owned),
        items,
        total: listing.total,
        total_capped: listing.capped,
        limit,
        offset,
        has_more: listing.more,
        cursor,
        version: Some(version),
        partial,
        replay: state.inner.replay,
        ..Page::default()
    })
    .into_response())
}

async fn single(state: &State, under: &Under, id: &str, uri: Uri, headers: &HeaderMap) -> Answer {
    let (_, _, entry) = found(state, under, id, uri, headers).await?;
    let report = state.inner.records.report_of(&entry.row);
    Ok(Json(item::denial(&entry, under.org(), report)).into_response())
}

/// The one record with this id that the caller may read.
pub(super) async fn found(
    state: &State,
    under: &Under,
    id: &str,
    uri: Uri,
    headers: &HeaderMap,
) -> Result<(Caller, Scope, Box<Entry>), Refusal> {
    let caller = state.inner.gate.caller(headers).await?;
    Params::parse(&uri)?.none()?;
    // The scope first, whether or not there is such an id: the way there tells nothing.
    let (ask, _) = under.ask(None)?;
    let scope = state.granted(&caller, Verb::Get, &ask).await?.scope;
    let unknown = || Refusal::not_found("no such denial, or not yours to read");
    if !is_id(id) {
        return Err(unknown());
    }
    match state.inner.records.find(&scope, id).await.map_err(unread)? {
        Found::One(entry) => Ok((caller, scope, entry)),
        Found::None => Err(unknown()),
        Found::Several => Err(Refusal::bad_request(format!(
            "id: several denials begin with {id}; give more of it"
        ))),
    }
}

/// Can this be an id, or its beginning?
pub(in crate::doors) fn is_id(id: &str) -> bool {
    let written = id
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    written && (SHORTEST_ID..=LONGEST_ID).contains(&id.len())
}

/// Fewest characters of an id that are looked up: 30 bits.
const SHORTEST_ID: usize = 6;
/// An id in full.
const LONGEST_ID: usize = 52;
