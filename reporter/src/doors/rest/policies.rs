//! An org's policies as Krate's policy page asks for them: the laws in force, and what is
//! on record of each in the org's namespaces.

use super::{Answer, Under, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::item::{given, time};
use crate::doors::json::Json;
use crate::doors::outcome::share;
use crate::doors::params::Params;
use crate::doors::read::Scope;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::query::PolicyRow;
use docket_model::{Engine, EngineHealth, PolicyItem, PolicyPage, PolicyPageSummary};
use docket_record::policies::{Policy, PolicyList};
use http::{HeaderMap, Uri};
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn policies(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let inner = &state.inner;
    let caller = inner.gate.caller(&headers).await?;
    Params::parse(&uri)?.none()?;
    let (ask, _) = Under::Org(org.clone()).ask(None)?;
    let Granted { scope, partial } = state.granted(&caller, Verb::List, &ask).await?;
    let everything = state.reads_all(&caller, Verb::List).await?;
    let found = inner.records.policies(&scope).await;
    let (list, rows, limited) = found.map_err(unread)?;
    // What others did about a denial is not for those who may only see a part.
    let outcomes = !partial;
    let (mut items, mut kinds) = (Vec::new(), BTreeMap::<&str, u64>::new());
    let (mut seen, mut enforced) = (BTreeSet::new(), 0_u64);
    for policy in &list.policies {
        let shown = shown(policy, &scope, everything, &rows);
        // Two versions of one policy stand in the list right after it changed.
        if shown && seen.insert((&policy.kind, &policy.namespace, &policy.name)) {
            *kinds.entry(&policy.kind).or_default() += 1;
            enforced += u64::from(policy.enforces);
            let row = rows.get(&policy.name);
            items.push(with(in_force(policy), row, outcomes));
        }
    }
    let names: BTreeSet<&str> = list.policies.iter().map(|one| one.name.as_str()).collect();
    for (name, row) in rows
        .iter()
        .filter(|(name, _)| !names.contains(name.as_str()))
    {
        items.push(with(gone(name), Some(row), outcomes));
    }
    items.sort_by_cached_key(|item| (std::cmp::Reverse(item.denials), item.name.clone()));
    let mut total = PolicyRow::default();
    for row in rows.values() {
        total.denials += row.denials;
        total.unresolved += row.unresolved;
    }
    let (_, reports) = inner.records.reports(&scope);
    let policies = seen.len() as u64;
    let page = PolicyPage {
        org,
        policy_engine: engine(&list, &kinds, &reports, inner.records.left_out()),
        // The controller's, which is not there yet.
        profiles: Vec::new(),
        templates: Vec::new(),
        bindings: Vec::new(),
        policies: items,
        summary: PolicyPageSummary {
            policies,
            enforced,
            audited: policies - enforced,
            denials: total.denials,
            unresolved: outcomes.then_some(total.unresolved),
            unresolved_share: share(total.unresolved, total.denials).filter(|_| outcomes),
            limited,
        },
        partial,
        replay: inner.replay,
    };
    Ok(Json(page).into_response())
}

/// A policy of the cluster is told to who reads everything, and to whom it refused
/// something: its name may be about somebody else.
fn shown(
    policy: &Policy,
    scope: &Scope,
    everything: bool,
    rows: &BTreeMap<String, PolicyRow>,
) -> bool {
    if policy.namespace.is_empty() {
        everything || rows.contains_key(&policy.name)
    } else {
        scope.whole_from(&policy.namespace).is_some()
    }
}

fn in_force(policy: &Policy) -> PolicyItem {
    let law = &policy.law;
    PolicyItem {
        name: policy.name.clone(),
        kind: Some(policy.kind.clone()),
        namespace: given(policy.namespace.clone()),
        api_version: given(policy.api_version.clone()),
        mode: Some(if policy.enforces { "enforce" } else { "audit" }.to_owned()),
        in_force: true,
        rules: policy.rules.iter().map(|rule| rule.name.clone()).collect(),
        severity: given(law.severity.clone()),
        category: given(law.category.clone()),
        title: given(law.title.clone()),
        remediation: given(law.remediation.clone()),
        law: given(policy.law_id.clone()),
        ..PolicyItem::default()
    }
}

/// One that refused something and is not known any more.
fn gone(name: &str) -> PolicyItem {
    PolicyItem {
        name: name.to_owned(),
        ..PolicyItem::default()
    }
}

fn with(item: PolicyItem, row: Option<&PolicyRow>, outcomes: bool) -> PolicyItem {
    let row = row.cloned().unwrap_or_default();
    PolicyItem {
        denials: row.denials,
        actors: row.actors,
        unresolved_share: share(row.unresolved, row.denials).filter(|_| outcomes),
        last_denied: (row.denials > 0).then(|| time(row.last)),
        ..item
    }
}

/// What this reporter has seen of the engine.
fn engine(
    list: &PolicyList,
    kinds: &BTreeMap<&str, u64>,
    reports: &BTreeSet<String>,
    left_out: u64,
) -> Engine {
    let ours = |policy: &Policy| policy.api_version.contains("kyverno.io/");
    let detected = list.policies.iter().any(ours) || !reports.is_empty();
    let degraded = degraded(Some(list), reports, left_out);
    let health = match (detected, degraded.is_empty()) {
        (true, true) => EngineHealth::Ready,
        (true, false) => EngineHealth::Degraded,
        (false, _) => EngineHealth::Disabled,
    };
    let kinds = kinds
        .iter()
        .map(|(kind, &count)| ((*kind).to_owned(), count));
    Engine {
        engine: "kyverno".to_owned(),
        detected,
        health,
        kinds: kinds.collect(),
        report_kinds: reports.iter().cloned().collect(),
        degraded,
    }
}

/// Why not all may be seen, in sentences.
pub(super) fn degraded(
    list: Option<&PolicyList>,
    reports: &BTreeSet<String>,
    left_out: u64,
) -> Vec<String> {
    let mut why = Vec::new();
    if list.is_some_and(|list| !list.synced) {
        why.push("not all policies are known yet".to_owned());
    }
    if reports.is_empty() {
        why.push("no kind of policy reports is served, or none is known yet".to_owned());
    }
    if left_out > 0 {
        why.push("there are more results in reports than are kept".to_owned());
    }
    why
}
