//! The paths. Each handler: parameters, caller, scope, question, answer.

use super::auth::Caller;
use super::cursor::Cursor;
use super::error::Refusal;
use super::guard::guard;
use super::item::{Shown, time};
use super::orgs::Map;
use super::params::Params;
use super::read::{Found, Listing, Parts, ReadError, Scope};
use super::{Inner, State};
use axum::extract::{Path, State as Shared};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use data_encoding::BASE64;
use docket_ledger::entry::Part;
use docket_ledger::query::{Filter, Page, Row, SeriesRow};
use http::{HeaderMap, Uri, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Answer = Result<Response, Refusal>;

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/api/policy-denials", get(list))
        .route("/api/policy-denials/summary", get(summary))
        .route("/api/policy-denials/{id}", get(one))
        .route("/api/orgs/{org}/policy-denials", get(org_list))
        .route("/api/orgs/{org}/policy-denials/summary", get(org_summary))
        .route("/api/orgs/{org}/policy-denials/{id}", get(org_one))
        .route("/api/gaps", get(gaps))
        .route("/api/parts", get(parts))
        .route("/api/parts/{position}", get(part))
        .route("/verifier-key", get(verifier_key))
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{level}/{*place}", get(tile))
        .fallback(async || Refusal::not_found("no such path; see docs/rest.md"))
        .method_not_allowed_fallback(async || Refusal::only_get())
        .layer(from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

async fn list(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    listing(&state, None, uri, &headers).await
}

async fn org_list(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    listing(&state, Some(&org), uri, &headers).await
}

async fn one(state: Shared<State>, Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Answer {
    single(&state, None, &id, uri, &headers).await
}

async fn org_one(
    state: Shared<State>,
    Path((org, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    single(&state, Some(&org), &id, uri, &headers).await
}

async fn summary(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    counted(&state, None, uri, &headers).await
}

async fn org_summary(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    counted(&state, Some(&org), uri, &headers).await
}

/// What a list is wrapped in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<String>,
    items: Vec<T>,
    total: u64,
    limit: u32,
    offset: u64,
    has_more: bool,
    cursor: Option<String>,
    /// Some namespaces of the org are not the caller's to read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    /// A recorded day is shown, not a live cluster.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replay: bool,
}

async fn listing(state: &State, org: Option<&str>, uri: Uri, headers: &HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(headers).await?;
    let asked = Params::parse(&uri)?.list(Timestamp::now())?;
    let (scope, partial) = state
        .scope(&caller, org, asked.namespace.as_deref())
        .await?;
    let (limit, offset) = (asked.page.limit, asked.page.offset);
    let listing = state
        .inner
        .records
        .list(&scope, asked.filter, asked.page)
        .await
        .map_err(unread)?;
    let cursor = next(&listing, |entry| &entry.row);
    let items = listing
        .items
        .iter()
        .map(|entry| Shown::new(entry, org).for_list())
        .collect();
    Ok(Json(Envelope {
        org: org.map(str::to_owned),
        items,
        total: listing.total,
        limit,
        offset,
        has_more: listing.more,
        cursor,
        partial,
        replay: state.inner.replay,
    })
    .into_response())
}

async fn single(
    state: &State,
    org: Option<&str>,
    id: &str,
    uri: Uri,
    headers: &HeaderMap,
) -> Answer {
    let caller = state.inner.gate.caller(headers).await?;
    Params::parse(&uri)?.none()?;
    // The scope first, whether or not there is such an id: the way there tells nothing.
    let (scope, _) = state.scope(&caller, org, None).await?;
    let unknown = || Refusal::not_found("no such denial, or not yours to read");
    let written = id
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    if !written || !(SHORTEST_ID..=LONGEST_ID).contains(&id.len()) {
        return Err(unknown());
    }
    match state.inner.records.find(&scope, id).await.map_err(unread)? {
        Found::One(entry) => Ok(Json(Shown::new(&entry, org)).into_response()),
        Found::None => Err(unknown()),
        Found::Several => Err(Refusal::bad_request(format!(
            "id: several denials begin with {id}; give more of it"
        ))),
    }
}

/// Fewest characters of an id that are looked up: 30 bits.
const SHORTEST_ID: usize = 6;
/// An id in full.
const LONGEST_ID: usize = 52;

async fn counted(state: &State, org: Option<&str>, uri: Uri, headers: &HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(headers).await?;
    let (filter, namespace) = Params::parse(&uri)?.summary(Timestamp::now())?;
    let (since, until) = (filter.since, filter.until);
    let (scope, partial) = state.scope(&caller, org, namespace.as_deref()).await?;
    let summary = state
        .inner
        .records
        .summary(&scope, filter)
        .await
        .map_err(unread)?;
    let series = &summary.series;
    let mut body = json!({
        "total": summary.total,
        "since": since.map(time),
        "until": until.map(time),
        "byPolicy": by(series, "policy", |row| &row.policy),
        "byNamespace": by(series, "namespace", |row| &row.namespace),
        "byKind": by(series, "kind", |row| &row.kind),
        "byEnforcer": by(series, "enforcer", |row| &row.enforcer),
        "byRepository": by(series, "repository", |row| &row.repository),
        "series": series.iter().take(SERIES_SHOWN).map(series_item).collect::<Vec<_>>(),
        "openGaps": summary.open_gaps,
    });
    if let Value::Object(body) = &mut body {
        said(body, "org", org.map(Value::from));
        said(body, "partial", partial.then_some(Value::Bool(true)));
        said(
            body,
            "replay",
            state.inner.replay.then_some(Value::Bool(true)),
        );
    }
    Ok(Json(body).into_response())
}

/// Series that a summary spells out.
const SERIES_SHOWN: usize = 50;

fn said(body: &mut serde_json::Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

/// Series added up by one of their columns, largest first.
fn by(series: &[SeriesRow], name: &str, column: fn(&SeriesRow) -> &String) -> Vec<Value> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for row in series.iter().filter(|row| !column(row).is_empty()) {
        *counts.entry(column(row)).or_default() += row.count;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts
        .into_iter()
        .map(|(value, count)| json!({ name: value, "count": count }))
        .collect()
}

fn series_item(row: &SeriesRow) -> Value {
    json!({
        "namespace": row.namespace,
        "enforcer": row.enforcer,
        "policy": row.policy,
        "rule": row.rule,
        "kind": row.kind,
        "operation": row.operation,
        "repository": row.repository,
        "count": row.count,
        "firstSeen": time(row.first),
        "lastSeen": time(row.last),
    })
}

async fn gaps(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    let (asked, page) = Params::parse(&uri)?.gaps(Timestamp::now())?;
    let (scope, _) = state.scope(&caller, None, None).await?;
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
        limit,
        offset,
        has_more: listing.more,
        cursor,
        partial: false,
        replay: state.inner.replay,
    })
    .into_response())
}

/// What of a gap everyone may know, who may read anything.
const GAP_FIELDS: [&str; 6] = ["id", "time", "from", "to", "source", "cause"];
/// What belongs to the operator: processes, numbers, file names.
const GAP_INNER: [&str; 4] = ["process", "numbers", "count", "detail"];

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
    if *scope == Scope::All {
        for name in GAP_INNER {
            said(&mut item, name, public.get(name).cloned());
        }
    }
    item.insert("position".to_owned(), row.position.into());
    item.insert("recordedAt".to_owned(), time(row.recorded_at).into());
    item.insert("closed".to_owned(), row.closed_by.is_some().into());
    item.insert("closedBy".to_owned(), row.closed_by.into());
    Value::Object(item)
}

async fn parts(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    let (from, limit) = Params::parse(&uri)?.parts()?;
    let (scope, _) = state.scope(&caller, None, None).await?;
    let (parts, next) = state
        .inner
        .records
        .parts(&scope, from, limit)
        .await
        .map_err(unread)?;
    let items: Vec<_> = parts.iter().map(parts_item).collect();
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

async fn part(
    state: Shared<State>,
    Path(position): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    Params::parse(&uri)?.none()?;
    let (scope, _) = state.scope(&caller, None, None).await?;
    let unknown = || Refusal::not_found("no such entry, or not yours to read");
    let position = position.parse().map_err(|_| unknown())?;
    let (found, _) = state
        .inner
        .records
        .parts(&scope, position, 1)
        .await
        .map_err(unread)?;
    match found.iter().find(|parts| parts.position == position) {
        Some(parts) => Ok(Json(parts_item(parts)).into_response()),
        None => Err(unknown()),
    }
}

/// Bytes as they are stored and hashed, hence base64.
fn parts_item(parts: &Parts) -> Value {
    let part = |wanted: Part| {
        let there = parts.parts.iter().find(|salted| salted.part == wanted);
        there.map(|salted| {
            json!({ "salt": BASE64.encode(&salted.salt), "bytes": BASE64.encode(&salted.bytes) })
        })
    };
    json!({
        "position": parts.position,
        "class": parts.class,
        "public": part(Part::Public),
        "personal": part(Part::Personal),
        "exhibit": part(Part::Exhibit),
    })
}

// Commitments only: any caller whose token is good. They say how many entries there are
// and when they came, and let anyone hold the operator to what was signed.

async fn verifier_key(state: Shared<State>, headers: HeaderMap) -> Answer {
    state.inner.gate.caller(&headers).await?;
    Ok(text(format!("{}\n", state.inner.verifier_key)))
}

async fn checkpoint(state: Shared<State>, headers: HeaderMap) -> Answer {
    state.inner.gate.caller(&headers).await?;
    Ok(text(
        state.inner.records.checkpoint().await.map_err(unread)?,
    ))
}

async fn tile(
    state: Shared<State>,
    Path((level, place)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    state.inner.gate.caller(&headers).await?;
    let unknown = || Refusal::not_found("no such tile");
    let (index, width) = tile_place(&place).ok_or_else(unknown)?;
    let records = &state.inner.records;
    let bytes = match level.as_str() {
        "entries" => records.entries(index, width).await,
        level => {
            let level = level
                .parse()
                .ok()
                .filter(|&number: &u8| number.to_string() == level);
            records.tile(level.ok_or_else(unknown)?, index, width).await
        }
    };
    let bytes = bytes.map_err(unread)?.ok_or_else(unknown)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// C2SP tlog-tiles: `x001/x234/067`, and `.p/W` for a tile that is not full.
fn tile_place(place: &str) -> Option<(u64, u16)> {
    let (index, width) = match place.split_once(".p/") {
        None => (place, 256),
        Some((index, width)) => {
            let number = width.parse().ok()?;
            let printed: bool = u16::to_string(&number) == width;
            ((1..256).contains(&number) && printed).then_some((index, number))?
        }
    };
    let mut number = 0_u64;
    let groups: Vec<&str> = index.split('/').collect();
    let (last, first) = groups.split_last()?;
    if first.first() == Some(&"x000") {
        return None;
    }
    for group in first
        .iter()
        .map(|group| group.strip_prefix('x'))
        .chain([Some(*last)])
    {
        let group = group?;
        if group.len() != 3 || !group.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(group.parse().ok()?)?;
    }
    Some((number, width))
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

fn next<T>(listing: &Listing<T>, row: impl Fn(&T) -> &Row) -> Option<String> {
    let last = row(listing.items.last().filter(|_| listing.more)?);
    Some(
        Cursor {
            time: last.time,
            position: last.position,
        }
        .print(),
    )
}

fn unread(error: ReadError) -> Refusal {
    Refusal::unavailable("the ledger could not be read; try again", &error)
}

impl State {
    /// What the caller may read of what was asked for; second: whether a part of it is
    /// kept back.
    async fn scope(
        &self,
        caller: &Caller,
        org: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<(Scope, bool), Refusal> {
        let Inner {
            gate,
            orgs,
            records,
            ..
        } = &*self.inner;
        let Some(org) = org else {
            return Ok((gate.scope(caller, namespace, records, orgs).await?, false));
        };
        let map = orgs.map().await?;
        let namespaces = orgs.namespaces(&map, org);
        match namespace {
            Some(name) => {
                let scope = gate.scope(caller, Some(name), records, orgs).await?;
                if namespaces.contains(name) {
                    return Ok((scope, false));
                }
                let names: Vec<_> = namespaces.iter().map(String::as_str).collect();
                Err(Refusal::bad_request(format!(
                    "namespace: must be one of org {org}'s: {}",
                    names.join(", ")
                )))
            }
            None => {
                let scope = gate.org_scope(caller, org, &namespaces).await?;
                if gate.reads_all(caller).await? && !self.known(org, &map, &namespaces).await? {
                    return Err(Refusal::not_found("no such org"));
                }
                let all = scope == Scope::All.within(&namespaces);
                Ok((scope, !all))
            }
        }
    }

    /// Is there anything that speaks of this org?
    async fn known(
        &self,
        org: &str,
        map: &Map,
        namespaces: &BTreeSet<String>,
    ) -> Result<bool, Refusal> {
        if map.speaks_of(org) || namespaces.iter().any(|name| map.namespaces.contains(name)) {
            return Ok(true);
        }
        let scope = Scope::Namespaces(namespaces.clone());
        let page = Page {
            limit: 1,
            ..Page::default()
        };
        let found = self
            .inner
            .records
            .list(&scope, Filter::default(), page)
            .await;
        Ok(found.map_err(unread)?.total > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::tile_place;

    #[test]
    fn tile_paths_are_those_of_the_specification_and_no_others() {
        assert_eq!(tile_place("000"), Some((0, 256)));
        assert_eq!(tile_place("x001/x234/067"), Some((1_234_067, 256)));
        assert_eq!(tile_place("x001/234.p/8"), Some((1234, 8)));
        for wrong in [
            "",
            "0",
            "0000",
            "x000/001",
            "001/001",
            "x001",
            "001.p/0",
            "001.p/256",
            "001.p/08",
            "00a",
            "001.p",
        ] {
            assert_eq!(tile_place(wrong), None, "{wrong}");
        }
    }
}
