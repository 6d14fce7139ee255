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
