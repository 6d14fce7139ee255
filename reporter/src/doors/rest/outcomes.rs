//! What came of the denials of a policy: within one namespace, never across tenants.

use super::{Answer, said, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Verb};
use crate::doors::error::Refusal;
use crate::doors::item::time;
use crate::doors::json::Json;
use crate::doors::outcome::Figures;
use crate::doors::params::Params;
use axum::extract::State as Shared;
use axum::response::IntoResponse;
use http::{HeaderMap, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};

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
    let mut body = json!(Figures::new(&cases));
    if let Value::Object(body) = &mut body {
        body.insert("namespace".into(), namespace.into());
        body.insert("policy".into(), policy.into());
        body.insert("since".into(), since.map(time).into());
        body.insert("until".into(), until.map(time).into());
        let replay = state.inner.replay.then_some(Value::Bool(true));
        said(body, "replay", replay);
    }
    Ok(Json(body).into_response())
}
