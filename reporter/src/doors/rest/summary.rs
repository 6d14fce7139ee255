//! Denials counted: by policy, namespace, kind, enforcer and repository.

use super::{Answer, Under, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::item::time;
use crate::doors::json::Json;
use crate::doors::params::Params;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::query::{Filter, SeriesRow};
use docket_model::{
    EnforcerCount, KindCount, NamespaceCount, PolicyCount, RepositoryCount, Series, Summary,
};
use http::{HeaderMap, Uri};
use jiff::Timestamp;
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
    let body = Summary {
        by_enforcer: by(
            series,
            |row| &row.enforcer,
            |enforcer, count| EnforcerCount { count, enforcer },
        ),
        by_kind: by(
            series,
            |row| &row.kind,
            |kind, count| KindCount { count, kind },
        ),
        by_namespace: by(
            series,
            |row| &row.namespace,
            |namespace, count| NamespaceCount { count, namespace },
        ),
        by_policy: by(
            series,
            |row| &row.policy,
            |policy, count| PolicyCount { count, policy },
        ),
        by_repository: by(
            series,
            |row| &row.repository,
            |repository, count| RepositoryCount { count, repository },
        ),
        open_gaps: summary.open_gaps as u64,
        org: under.org().map(str::to_owned),
        partial,
        replay: state.inner.replay,
        series: series.iter().take(SERIES_SHOWN).map(series_item).collect(),
        since: since.map(time),
        total: summary.total,
        until: until.map(time),
    };
    Ok(Json(body).into_response())
}

/// Series that a summary spells out.
const SERIES_SHOWN: usize = 50;

/// Series added up by one of their columns, largest first.
fn by<T>(
    series: &[SeriesRow],
    column: fn(&SeriesRow) -> &String,
    counted: fn(String, u64) -> T,
) -> Vec<T> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for row in series.iter().filter(|row| !column(row).is_empty()) {
        *counts.entry(column(row)).or_default() += row.count;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let counts = counts.into_iter();
    counts
        .map(|(value, count)| counted(value.to_owned(), count))
        .collect()
}

fn series_item(row: &SeriesRow) -> Series {
    Series {
        count: row.count,
        enforcer: row.enforcer.clone(),
        first_seen: time(row.first),
        kind: row.kind.clone(),
        last_seen: time(row.last),
        namespace: row.namespace.clone(),
        operation: row.operation.clone(),
        policy: row.policy.clone(),
        repository: row.repository.clone(),
        rule: row.rule.clone(),
    }
}
