//! What a verifier reads: parts with their salts, checkpoint, tiles, key.

use super::{Answer, unread};
use crate::doors::State;
use crate::doors::ask::{Ask, Verb};
use crate::doors::auth::Caller;
use crate::doors::error::Refusal;
use crate::doors::json::Json;
use crate::doors::params::Params;
use crate::doors::proved::{part_name, salted};
use crate::doors::read::Parts;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use docket_ledger::entry::Part;
use http::{HeaderMap, Uri, header};

pub(super) async fn parts(state: Shared<State>, uri: Uri, headers: HeaderMap) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    let (from, limit) = Params::parse(&uri)?.parts()?;
    let scope = state
        .granted(&caller, Verb::List, &Ask::Readable)
        .await?
        .scope;
    let (parts, next) = state
        .inner
        .records
        .parts(&scope, from, limit)
        .await
        .map_err(unread)?;
    let mut items = Vec::with_capacity(parts.len());
    for parts in &parts {
        items.push(parts_item(parts, sees(&state, &caller, parts).await?));
    }
    Ok(Json(docket_model::Parts { items, next }).into_response())
}

pub(super) async fn part(
    state: Shared<State>,
    Path(position): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let caller = state.inner.gate.caller(&headers).await?;
    Params::parse(&uri)?.none()?;
    let scope = state
        .granted(&caller, Verb::Get, &Ask::Readable)
        .await?
        .scope;
    let unknown = || Refusal::not_found("no such entry, or not yours to read");
    let position = position.parse().map_err(|_| unknown())?;
    let (found, _) = state
        .inner
        .records
        .parts(&scope, position, 1)
        .await
        .map_err(unread)?;
    match found.iter().find(|parts| parts.position == position) {
        Some(parts) => {
            let sees = sees(&state, &caller, parts).await?;
            Ok(Json(parts_item(parts, sees)).into_response())
        }
        None => Err(unknown()),
    }
}

/// Parts that hold more than a denial's reader is shown: groups, addresses and the audit
/// event as kept; the refused object.
const EVIDENCE: [Part; 2] = [Part::Personal, Part::Exhibit];

/// May the caller see the evidence, if there is any?
async fn sees(state: &State, caller: &Caller, parts: &Parts) -> Result<bool, Refusal> {
    if !parts.parts.iter().any(|one| EVIDENCE.contains(&one.part)) {
        return Ok(true);
    }
    state.sees_evidence(caller, &parts.namespace).await
}

fn parts_item(parts: &Parts, sees_evidence: bool) -> docket_model::Part {
    let there = |wanted: Part| parts.parts.iter().find(|salted| salted.part == wanted);
    let shown = |wanted: Part| sees_evidence || !EVIDENCE.contains(&wanted);
    let part = |wanted: Part| there(wanted).filter(|_| shown(wanted)).map(salted);
    let withheld = EVIDENCE
        .into_iter()
        .filter(|part| there(*part).is_some() && !shown(*part));
    docket_model::Part {
        position: parts.position,
        class: parts.class.name().to_owned(),
        public: part(Part::Public),
        personal: part(Part::Personal),
        exhibit: part(Part::Exhibit),
        withheld: withheld.map(part_name).collect(),
    }
}

// Commitments only: any caller whose token is good. They say how many entries there are
// and when they came, and let anyone hold the operator to what was signed.

pub(super) async fn verifier_key(state: Shared<State>, headers: HeaderMap) -> Answer {
    state.inner.gate.caller(&headers).await?;
    Ok(text(format!("{}\n", state.inner.verifier_key)))
}

pub(super) async fn checkpoint(state: Shared<State>, headers: HeaderMap) -> Answer {
    state.inner.gate.caller(&headers).await?;
    Ok(text(
        state.inner.records.checkpoint().await.map_err(unread)?,
    ))
}

pub(super) async fn tile(
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
