//! Denials counted: by policy, namespace, kind, enforcer and repository.

use super::{Answer, Under, flag, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::item::time;
use crate::doors::json::Json;
use crate::doors::params::Params;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::query::{Filter, SeriesRow};
use http::{HeaderMap, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) async fn summary(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    counted(&state, &Under::All, uri, &headers).await
}

pub(super) async fn org_summary(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    counted(&state, &Under::Org(org), uri, &headers).await
}

pub(super) async fn own(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    counted(&state, &Under::Own, uri, &headers).await
}

pub(super) async fn repository(
    state: Shared<State>,
    Path(place): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    counted(&state, &place.into(), uri, &headers).await
}

async fn counted(state: &State, under: &Under, uri: Uri, headers: &HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(headers).await?;
    let (filter, namespace) = Params::parse(&uri)?.summary(Timestamp::now())?;
    let (since, until) = (filter.since, filter.until);
    let (ask, namespace) = under.ask(namespace)?;
    let filter = Filter {
        namespace,
        ..filter
    };
    let Granted { scope, partial } = state.granted(&caller, Verb::List, &ask).await?;
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
    if let Some(org) = under.org() {
        body["org"] = org.into();
    }
    flag(&mut body, partial, state.inner.replay);
    Ok(Json(body).into_response())
}

/// Series that a summary spells out.
const SERIES_SHOWN: usize = 50;

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
