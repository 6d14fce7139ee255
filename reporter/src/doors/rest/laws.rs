//! Laws: the text by which a denial was judged, and the history of a policy.

use super::{Answer, Under, next, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Verb};
use crate::doors::error::Refusal;
use crate::doors::item::{given, time};
use crate::doors::json::Json;
use crate::doors::params::Params;
use crate::doors::read::Entry;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::query::Row;
use docket_model::{ChangedBy, DenialLaws, Law, Page};
use docket_record::audit::User;
use docket_record::law::autogen;
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::Value;

/// Laws of one denial that are looked up.
const MOST: usize = 32;

/// The laws that a denial's attributions name.
pub(super) async fn of_denial(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    named_by(&state, &Under::All, &id, uri, &headers).await
}

pub(super) async fn of_own(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    named_by(&state, &Under::Own, &id, uri, &headers).await
}

pub(super) async fn of_repository(
    state: Shared<State>,
    Path((namespace, name, id)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let under = Under::Repository { namespace, name };
    named_by(&state, &under, &id, uri, &headers).await
}

async fn named_by(state: &State, under: &Under, id: &str, uri: Uri, headers: &HeaderMap) -> Answer {
    let (_, scope, denial) = super::denials::found(state, under, id, uri, headers).await?;
    let records = &state.inner.records;
    let laws = records.laws_named(named(&denial)).await.map_err(unread)?;
    let everyone = scope.is_all();
    let laws = DenialLaws {
        denial: denial.row.id,
        items: laws.iter().map(|law| item(law, everyone)).collect(),
    };
    Ok(Json(laws).into_response())
}

/// The versions of policies, newest first.
pub(super) async fn history(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    let (filter, page) = Params::parse(&uri)?.laws()?;
    let (ask, _) = Under::All.ask(filter.namespace.clone())?;
    let scope = state.granted(&caller, Verb::List, &ask).await?.scope;
    // One who reads everything sees who changed the laws of a namespace too.
    let everyone = state.reads_all(&caller, Verb::List).await?;
    let (limit, offset) = (page.limit, page.offset);
    let listing = state
        .inner
        .records
        .laws(&scope, filter, page)
        .await
        .map_err(unread)?;
    let cursor = next(&listing, |law| &law.row);
    let items = listing.items.iter().map(|law| item(law, everyone));
    Ok(Json(Page {
        items: items.collect(),
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

/// One law by its id.
pub(super) async fn one(
    state: Shared<State>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    Params::parse(&uri)?.none()?;
    let granted = state.granted(&caller, Verb::Get, &Ask::Readable).await?;
    let scope = granted.scope;
    let found = state.inner.records.laws_named(vec![id]).await;
    let law = found.map_err(unread)?.pop();
    let law = law.filter(|law| {
        let public: Value = serde_json::from_slice(&law.row.public).unwrap_or_default();
        scope.covers_all_of(
            public["namespace"].as_str().unwrap_or_default(),
            law.row.time,
        )
    });
    match law {
        Some(law) => Ok(Json(item(&law, scope.is_all())).into_response()),
        None => Err(Refusal::not_found("no such law, or not yours to read")),
    }
}

/// Ids of the laws that a record names, and of those that put it in doubt; once each.
pub(in crate::doors) fn named(denial: &Entry) -> Vec<String> {
    let read = |row: &Row| -> Value { serde_json::from_slice(&row.public).unwrap_or_default() };
    let public = read(&denial.row);
    let attributions = public["attributions"].as_array().into_iter().flatten();
    let mut lists: Vec<Value> = attributions
        .flat_map(|one| [one["laws"].clone(), one["bindingLaws"].clone()])
        .collect();
    let later = denial.amendments.iter().map(read);
    let doubts = later.filter(|later| later["kind"] == "law-in-doubt");
    lists.extend(doubts.map(|doubt| doubt["laws"].clone()));
    let mut ids: Vec<String> = Vec::new();
    for id in lists.iter().filter_map(Value::as_array).flatten() {
        if let Some(id) = id.as_str()
            && ids.len() < MOST
            && !ids.iter().any(|known| known == id)
        {
            ids.push(id.to_owned());
        }
    }
    ids
}

/// The entry as stored, with its place, what Kyverno made of it last, and who changed it
/// for those who may know.
pub(in crate::doors) fn item(law: &Entry, everyone: bool) -> Law {
    let row = &law.row;
    let mut item: Law = serde_json::from_slice(&row.public).unwrap_or_else(|_| Law {
        id: row.id.clone(),
        unreadable: true,
        ..Law::default()
    });
    item.position = row.position;
    item.recorded_at = time(row.recorded_at);
    let amendments = law.amendments.iter().rev();
    let mut made = amendments.filter_map(|row| autogen::Amendment::read(&row.public));
    if let Some(last) = made.next() {
        item.autogen = Some(last.autogen);
    }
    if everyone {
        let mut by: Vec<ChangedBy> = law.amendments.iter().filter_map(changed_by).collect();
        // Those that fit only if the clocks differ count where no other does.
        if by.iter().any(|one| !one.perhaps) {
            by.retain(|one| !one.perhaps);
        }
        item.changed_by = Some(by);
    }
    item
}

/// What an amendment says of who changed a law.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Change {
    kind: String,
    verb: Option<String>,
    written_at: Option<String>,
    event: Option<String>,
    perhaps: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WhoChanged {
    actor: User,
}

/// One of these is who it was; of several, it was one of them.
fn changed_by(row: &Row) -> Option<ChangedBy> {
    let change: Change = serde_json::from_slice(&row.public).ok()?;
    if change.kind != "law-changed-by" {
        return None;
    }
    let personal = row.personal.as_deref();
    let who: Option<WhoChanged> = personal.and_then(|bytes| serde_json::from_slice(bytes).ok());
    Some(ChangedBy {
        actor: who.and_then(|who| given(who.actor.username)),
        verb: change.verb,
        time: change.written_at,
        event: change.event,
        perhaps: change.perhaps,
    })
}
