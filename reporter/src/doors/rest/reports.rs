//! An org's policy reports, in the shapes of Krate's policy page: all at once, and as they
//! change.

use super::policies::degraded;
use super::stream::{events, frame, hand};
use super::{Answer, Under, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Granted, Verb};
use crate::doors::error::Refusal;
use crate::doors::json::Json;
use crate::doors::orgs::Sharing;
use crate::doors::params::Params;
use crate::doors::read::{Asked, FoundViolation, Kepts, Origin, Scope};
use crate::doors::violation;
use crate::metrics::OpenStream;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::response::IntoResponse;
use docket_ledger::query::Page;
use docket_model::{
    PolicyReport, PolicyReportChange, PolicyReportSync, PolicyReports, PolicyReportsNamed,
    Violation, WatchClosed, WatchError,
};
use http::{HeaderMap, Uri};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

/// Violations in one answer; `…/policy-violations` has pages.
const MOST: u32 = 200;
/// Reports named in one answer.
const REPORTS: usize = 1000;
/// Between two looks at the reports.
const LOOK: Duration = Duration::from_secs(1);
const RESOURCE: &str = "policyreports";

pub(super) async fn reports(
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
    let asked = Asked {
        from: Some(Origin::Report),
        ..Asked::default()
    };
    let page = Page {
        limit: MOST,
        ..Page::default()
    };
    let found = inner.records.violations(&scope, asked, page).await;
    let found = found.map_err(unread)?;
    let now = Timestamp::now();
    let violations = found
        .page
        .items
        .into_iter()
        .filter_map(|found| match found {
            FoundViolation::Reported(reported) => {
                let mut item = violation::reported(&reported, &inner.names, now);
                item.org = Some(org.clone());
                Some(item)
            }
            FoundViolation::Denied { .. } => None,
        });
    let violations: Vec<Violation> = violations.collect();
    let (kept, kinds) = inner.records.reports(&scope);
    let named = kept.iter().take(REPORTS).map(|(key, kept)| PolicyReport {
        api_version: kept.report.api_version.clone(),
        kind: key.kind.clone(),
        name: key.name.clone(),
        namespace: key.namespace.clone(),
        violations: violated(kept),
    });
    let answer = PolicyReports {
        org,
        reports: PolicyReportsNamed {
            policy_reports: named.collect(),
            cluster_policy_reports: Vec::new(),
            total: kept.len() as u64,
        },
        violations,
        total: found.page.total,
        has_more: found.page.more,
        degraded: degraded(None, &kinds, found.left_out),
        partial,
        replay: inner.replay,
    };
    // Here the members of violations are in the order of their names too.
    Ok(Json(json!(answer)).into_response())
}

fn violated(kept: &crate::reports::Kept) -> u64 {
    let results = kept.report.results.iter();
    results.filter(|result| result.is_violation()).count() as u64
}

/// Krate's watch: named events, of which every one holds JSON.
pub(super) async fn watch(
    state: Shared<State>,
    Path(org): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let inner = &state.inner;
    let caller = inner.gate.caller(&headers).await?;
    Params::parse(&uri)?.none()?;
    let (ask, _) = Under::Org(org).ask(None)?;
    let sharing = inner.orgs.sharing();
    let scope = state.granted(&caller, Verb::Watch, &ask).await?.scope;
    let Ok(permit) = inner.streams.clone().try_acquire_owned() else {
        return Err(Refusal::busy("too many open streams; try again"));
    };
    let (frames, taken) = mpsc::channel(16);
    let watch = Watch {
        state: State::clone(&state),
        headers,
        ask,
        scope,
        sharing,
        frames,
        _permit: permit,
        _open: inner.metrics.stream("sse"),
    };
    // It ends with its reader, who is told by the end of the channel if it fails.
    tokio::spawn(watch.run());
    Ok(events(taken))
}

struct Watch {
    state: State,
    /// Who asks, to be asked again.
    headers: HeaderMap,
    ask: Ask,
    scope: Scope,
    sharing: Sharing,
    frames: mpsc::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
    _open: OpenStream,
}

impl Watch {
    async fn run(mut self) {
        let records = self.state.inner.records.clone();
        let mut seen = records.report_changes();
        let (mut known, _) = records.reports(&self.scope);
        let namespaces = self.scope.whole().unwrap_or_default();
        let sync = PolicyReportSync {
            event: "SYNC",
            resource: RESOURCE,
            namespace: namespaces.join(","),
            status: format!("{} reports", known.len()),
        };
        if !self.say("krate", &sync).await {
            return;
        }
        let (mut asked, mut said) = (Instant::now(), Instant::now());
        let mut head = records.head();
        loop {
            let frames = self.frames.clone();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = frames.closed() => return,
                () = head.stopped() => {
                    let data = WatchClosed { resource: RESOURCE, code: 0 };
                    self.say("krate-close", &data).await;
                    return;
                }
            }
            let over = asked.elapsed() >= self.state.inner.reauthorise;
            let anew = over || self.sharing.is_stale();
            if anew {
                self.sharing.renew();
                match self
                    .state
                    .granted_still(&self.headers, Verb::Watch, &self.ask)
                    .await
                {
                    Ok(granted) => self.scope = granted.scope,
                    Err(refusal) => {
                        let error = refusal.body().message;
                        let data = WatchError {
                            resource: RESOURCE,
                            error,
                        };
                        self.say("krate-error", &data).await;
                        return;
                    }
                }
                asked = Instant::now();
            }
            let changes = records.report_changes();
            if changes != seen || anew {
                seen = changes;
                let (now, _) = records.reports(&self.scope);
                for data in differences(&known, &now) {
                    if !self.say("krate", &data).await {
                        return;
                    }
                    said = Instant::now();
                }
                known = now;
            }
            if said.elapsed() >= self.state.inner.heartbeat {
                // A comment, which no page sees: the connection is alive.
                if !hand(&self.state, &self.frames, Bytes::from_static(b": \n\n")).await {
                    return;
                }
                said = Instant::now();
            }
        }
    }

    async fn say(&self, event: &str, data: &impl Serialize) -> bool {
        let frame = frame(&format!("event: {event}\n"), data);
        hand(&self.state, &self.frames, frame).await
    }
}

fn differences(before: &Kepts, now: &Kepts) -> Vec<PolicyReportChange> {
    let change = |event, key: &crate::reports::Key, kept: &crate::reports::Kept| {
        let violations = violated(kept);
        PolicyReportChange {
            event,
            resource: RESOURCE,
            namespace: key.namespace.clone(),
            kind: key.kind.clone(),
            name: key.name.clone(),
            violations,
            status: if violations > 0 { "fail" } else { "pass" },
        }
    };
    let mut differences = Vec::new();
    for (key, kept) in now {
        match before.get(key) {
            None => differences.push(change("ADDED", key, kept)),
            Some(old) if !Arc::ptr_eq(old, kept) => differences.push(change("MODIFIED", key, kept)),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(key, _)| !now.contains_key(key));
    differences.extend(gone.map(|(key, kept)| change("DELETED", key, kept)));
    differences
}
