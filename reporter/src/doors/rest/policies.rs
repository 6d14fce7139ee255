//! An org's policies as Krate's policy page asks for them: the laws in force, and what is
//! on record of each in the org's namespaces.

use super::{Answer, Under, flag, unread};
use crate::doors::State;
use crate::doors::ask::{Granted, Verb};
use crate::doors::item::time;
use crate::doors::json::Json;
use crate::doors::outcome::share;
use crate::doors::params::Params;
use crate::doors::read::Scope;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::query::PolicyRow;
use docket_record::policies::{Policy, PolicyList};
use http::{HeaderMap, Uri};
use serde_json::{Value, json};
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
    items.sort_by_key(|item| {
        let denials = item["denials"].as_u64();
        (std::cmp::Reverse(denials), item["name"].to_string())
    });
    let mut total = PolicyRow::default();
    for row in rows.values() {
        total.denials += row.denials;
        total.unresolved += row.unresolved;
    }
    let (_, reports) = inner.records.reports(&scope);
    let mut body = json!({
        "org": org,
        "policyEngine": engine(&list, &kinds, &reports, inner.records.left_out()),
        // The controller's, which is not there yet.
        "profiles": [],
        "templates": [],
        "bindings": [],
        "policies": items,
        "summary": {
            "policies": seen.len(),
            "enforced": enforced,
            "audited": seen.len() as u64 - enforced,
            "denials": total.denials,
            "unresolved": outcomes.then_some(total.unresolved),
            "unresolvedShare": share(total.unresolved, total.denials).filter(|_| outcomes),
            "limited": limited,
        },
    });
    flag(&mut body, partial, inner.replay);
    Ok(Json(body).into_response())
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

fn in_force(policy: &Policy) -> Value {
    let law = &policy.law;
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let rules = policy.rules.iter().map(|rule| &rule.name);
    json!({
        "name": policy.name,
        "kind": policy.kind,
        "namespace": given(&policy.namespace),
        "apiVersion": given(&policy.api_version),
        "mode": if policy.enforces { "enforce" } else { "audit" },
        "inForce": true,
        "rules": rules.collect::<Vec<_>>(),
        "severity": given(&law.severity),
        "category": given(&law.category),
        "title": given(&law.title),
        "remediation": given(&law.remediation),
        "law": given(&policy.law_id),
    })
}

/// One that refused something and is not known any more.
fn gone(name: &str) -> Value {
    json!({
        "name": name, "kind": null, "namespace": null, "apiVersion": null, "mode": null,
        "inForce": false, "rules": [], "severity": null, "category": null, "title": null,
        "remediation": null, "law": null,
    })
}

fn with(mut item: Value, row: Option<&PolicyRow>, outcomes: bool) -> Value {
    let row = row.cloned().unwrap_or_default();
    let unresolved = share(row.unresolved, row.denials).filter(|_| outcomes);
    item["denials"] = row.denials.into();
    item["actors"] = row.actors.into();
    item["unresolvedShare"] = unresolved.into();
    item["lastDenied"] = (row.denials > 0).then(|| time(row.last)).into();
    item
}

/// What this reporter has seen of the engine.
fn engine(
    list: &PolicyList,
    kinds: &BTreeMap<&str, u64>,
    reports: &BTreeSet<String>,
    left_out: u64,
) -> Value {
    let ours = |policy: &Policy| policy.api_version.contains("kyverno.io/");
    let detected = list.policies.iter().any(ours) || !reports.is_empty();
    let degraded = degraded(Some(list), reports, left_out);
    let health = match (detected, degraded.is_empty()) {
        (true, true) => "ready",
        (true, false) => "degraded",
        (false, _) => "disabled",
    };
    json!({
        "engine": "kyverno", "detected": detected, "health": health,
        "kinds": kinds, "reportKinds": reports, "degraded": degraded,
    })
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
