//! The paths. Each handler: parameters, caller, scope, question, answer.

mod denials;
mod gaps;
mod laws;
mod openapi;
mod outcomes;
mod paths;
mod policies;
mod proof;
mod reports;
mod stream;
mod summary;
mod violations;

use super::State;
use super::ask::Ask;
use super::cursor::Cursor;
use super::error::Refusal;
use super::guard::guard;
use super::read::{Listing, ReadError, Records};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
pub(super) use denials::is_id;
use docket_ledger::query::Row;
use docket_ledger::store::StoreError;
pub(super) use laws::{item as law_item, named as laws_of};
#[cfg(test)]
pub(super) use openapi::document;
use serde::Serialize;
use serde_json::Value;

type Answer = Result<Response, Refusal>;

pub(super) fn router(state: State) -> Router {
    let doors = paths::doors().into_iter();
    let router = doors.fold(Router::new(), |router, door| {
        router.route(&door.path, door.serve)
    });
    router
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
    /// There are more than that: counting ended there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_capped: bool,
    limit: u32,
    offset: u64,
    has_more: bool,
    cursor: Option<String>,
    /// Where a stream begins that shows what comes after this list.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
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

/// That a part is kept back, that a recorded day is shown: said only where it is so.
fn flag(body: &mut Value, partial: bool, replay: bool) {
    for (name, so) in [("partial", partial), ("replay", replay)] {
        if so {
            body[name] = true.into();
        }
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

pub(super) fn unread(error: ReadError) -> Refusal {
    if let ReadError::Store(StoreError::TooLong) = error {
        return Refusal::bad_request(format!(
            "q: nothing less than {} s would do; narrow it by since, namespace, policy or \
             another filter",
            Records::SEARCH.as_secs()
        ));
    }
    Refusal::unavailable("the ledger could not be read; try again", &error)
}

/// Under which path the question is asked: each is a scope.
enum Under {
    /// Whatever there is for the caller.
    All,
    Org(String),
    /// The caller's own.
    Own,
    Repository {
        namespace: String,
        name: String,
    },
}

impl Under {
    /// What is asked for, and what of the parameter `namespace` is left to filter by.
    fn ask(&self, namespace: Option<String>) -> Result<(Ask, Option<String>), Refusal> {
        Ok(match (self, namespace) {
            (Under::All, None) => (Ask::Readable, None),
            (Under::All, Some(namespace)) => (Ask::Namespace(namespace), None),
            (Under::Org(org), namespace) => {
                let org = org.clone();
                (Ask::Org { org, namespace }, None)
            }
            (Under::Own, namespace) => (Ask::Own, namespace),
            (Under::Repository { .. }, Some(_)) => {
                return Err(Refusal::bad_request(
                    "namespace: stands in the path already; leave it out",
                ));
            }
            (Under::Repository { namespace, name }, None) => {
                let (namespace, name) = (namespace.clone(), name.clone());
                (Ask::Repository { namespace, name }, None)
            }
        })
    }

    /// The org of the path: the namespace's word.
    fn org(&self) -> Option<&str> {
        match self {
            Under::Org(org) => Some(org),
            _ => None,
        }
    }
}

/// A repository's path.
impl From<(String, String)> for Under {
    fn from((namespace, name): (String, String)) -> Under {
        Under::Repository { namespace, name }
    }
}
