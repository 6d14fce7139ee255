//! The paths. Each handler: parameters, caller, scope, question, answer.

mod denials;
mod gaps;
mod laws;
mod outcomes;
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
use axum::routing::get;
pub(super) use denials::is_id;
use denials::{exhibit, list, one, org_list, org_one};
use docket_ledger::query::Row;
use docket_ledger::store::StoreError;
use gaps::gaps;
pub(super) use laws::{item as law_item, named as laws_of};
use outcomes::outcomes;
use proof::{checkpoint, part, parts, tile, verifier_key};
use serde::Serialize;
use serde_json::Value;
use stream::{org_stream, stream};
use summary::{org_summary, summary};
use violations::{org_violations, violations};

type Answer = Result<Response, Refusal>;

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/api/policy-denials", get(list))
        .route("/api/policy-denials/summary", get(summary))
        .route("/api/policy-denials/{id}", get(one))
        .route("/api/policy-denials/stream", get(stream))
        .route("/api/policy-denials/{id}/exhibit", get(exhibit))
        .route("/api/policy-denials/{id}/proof", get(denials::proof))
        .route("/api/orgs/{org}/policy-denials", get(org_list))
        .route("/api/orgs/{org}/policy-denials/summary", get(org_summary))
        .route("/api/orgs/{org}/policy-denials/stream", get(org_stream))
        .route("/api/orgs/{org}/policy-denials/{id}", get(org_one))
        .route(
            "/api/orgs/{org}/policy-denials/{id}/proof",
            get(denials::org_proof),
        )
        .route("/api/my-denials", get(denials::own_list))
        .route("/api/my-denials/summary", get(summary::own))
        .route("/api/my-denials/stream", get(stream::own))
        .route("/api/my-denials/{id}", get(denials::own_one))
        .route("/api/my-denials/{id}/proof", get(denials::own_proof))
        .route("/api/my-denials/{id}/law", get(laws::of_own))
        .route(&repository(""), get(denials::repository_list))
        .route(&repository("/summary"), get(summary::repository))
        .route(&repository("/stream"), get(stream::repository))
        .route(&repository("/{id}"), get(denials::repository_one))
        .route(&repository("/{id}/proof"), get(denials::repository_proof))
        .route(&repository("/{id}/law"), get(laws::of_repository))
        .route("/api/orgs/{org}/policies", get(policies::policies))
        .route("/api/orgs/{org}/policy-reports", get(reports::reports))
        .route("/api/watch/orgs/{org}/policyreports", get(reports::watch))
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

fn repository(rest: &str) -> String {
    format!("/api/namespaces/{{namespace}}/repositories/{{name}}/policy-denials{rest}")
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
