//! The paths. Each handler: parameters, caller, scope, question, answer.

mod denials;
mod gaps;
mod laws;
mod outcomes;
mod proof;
mod summary;
mod violations;

use super::auth::Caller;
use super::cursor::Cursor;
use super::error::Refusal;
use super::guard::guard;
use super::orgs::Map;
use super::read::{Listing, ReadError, Scope};
use super::{Inner, State};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use denials::{exhibit, list, one, org_list, org_one};
use docket_ledger::query::{Filter, Page, Row};
use gaps::gaps;
use outcomes::outcomes;
use proof::{checkpoint, part, parts, tile, verifier_key};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use summary::{org_summary, summary};
use violations::{org_violations, violations};

type Answer = Result<Response, Refusal>;

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/api/policy-denials", get(list))
        .route("/api/policy-denials/summary", get(summary))
        .route("/api/policy-denials/{id}", get(one))
        .route("/api/policy-denials/{id}/exhibit", get(exhibit))
        .route("/api/orgs/{org}/policy-denials", get(org_list))
        .route("/api/orgs/{org}/policy-denials/summary", get(org_summary))
        .route("/api/orgs/{org}/policy-denials/{id}", get(org_one))
        .route("/api/policy-violations", get(violations))
        .route("/api/orgs/{org}/policy-violations", get(org_violations))
        .route("/api/policy-denials/{id}/law", get(laws::of_denial))
        .route("/api/laws", get(laws::history))
        .route("/api/laws/{id}", get(laws::one))
        .route("/api/outcomes", get(outcomes))
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

fn said(body: &mut serde_json::Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
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
