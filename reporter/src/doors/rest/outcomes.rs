//! What came of the denials of a policy: within one namespace, never across tenants.

use super::{Answer, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Verb};
use crate::doors::error::Refusal;
use crate::doors::item::time;
use crate::doors::json::Json;
use crate::doors::outcome::figures;
use crate::doors::params::Params;
use axum::extract::State as Shared;
use axum::response::IntoResponse;
use docket_model::Outcomes;
use http::{HeaderMap, Uri};
use jiff::Timestamp;

pub(super) async fn outcomes(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    let (namespace, asked) = Params::parse(&uri)?.outcomes(Timestamp::now())?;
    let ask = Ask::Namespace(namespace.clone());
    let scope = state.granted(&caller, Verb::List, &ask).await?.scope;
    let (policy, since, until) = (asked.policy.clone(), asked.since, asked.until);
    let cases = state
        .inner
        .records
        .cases(&scope, &namespace, asked)
        .await
        .map_err(unread)?
        .ok_or_else(|| Refusal::not_found("no such namespace, or not yours to read"))?;
    let outcomes = Outcomes {
        namespace,
        policy,
        since: since.map(time),
        until: until.map(time),
        replay: state.inner.replay,
        ..figures(&cases)
    };
    Ok(Json(outcomes).into_response())
}
