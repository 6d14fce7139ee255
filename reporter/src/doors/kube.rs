//! The reporter's side of the aggregated API `docket.a5c.ai/v1`: what `kubectl get denials`
//! reads.
//!
//! ```text
//!  kubectl ─▶ kube-apiserver ─▶ webhook (discovery, OpenAPI; forwards) ─▶ here
//!               │ RBAC of the path   │ X-Remote-* of the aggregator        │ identity
//!                                                                         path, options, accept
//!                                                     ask (may he?) ─▶ list, get, watch ─▶ read
//! ```
//!
//! The API server has asked RBAC about the path before it hands a request on; here it is
//! asked again, as for every door ([`super::ask`]), so that a listener that is reached by
//! another way opens nothing. Read-only: every write is 405. Failures are Kubernetes'
//! `Status`. resourceVersion is the ledger's place ([`super::version`]).

mod accept;
mod asked;
mod fields;
mod get;
mod identity;
mod labels;
mod laws;
mod list;
mod object;
mod options;
mod path;
mod safe;
mod status;
mod summaries;
mod table;
mod token;
mod watch;

use super::State;
use super::ask::{Ask, Granted, Verb};
use super::auth::{Caller, Permission};
use super::guard::dress;
use super::version::Stale;
use accept::Form;
use axum::Json;
use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use http::Method;
use jiff::Timestamp;
use object::Object;
use options::Options;
use path::{Resource, Target};
use serde_json::{Value, json};
use status::Failure;
use std::sync::Arc;
use table::Rows;

/// Everything that a request is answered with.
struct Door {
    state: State,
    /// Common names of the certificates that may hand on requests.
    clients: Vec<String>,
}

/// The paths, for those whose certificate bears one of these names.
pub(super) fn router(state: State, clients: Vec<String>) -> Router {
    let door = Arc::new(Door { state, clients });
    Router::new().fallback(serve).with_state(door)
}

async fn serve(door: Shared<Arc<Door>>, request: Request) -> Response {
    let mut response = match door.answer(request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    };
    dress(&mut response);
    response
}

impl Door {
    async fn answer(&self, request: Request) -> Result<Response, Failure> {
        let caller = identity::caller(&request, &self.clients).inspect_err(|failure| {
            let cause = match failure.is_forbidden() {
                true => "untrusted",
                false => "unreadable",
            };
            self.state.inner.metrics.refused_identity(cause);
        })?;
        let target = Target::parse(request.uri().path())?;
        if request.method() != Method::GET {
            return Err(Failure::read_only());
        }
        if !hyper::body::Body::is_end_stream(request.body()) {
            return Err(Failure::bad_request("body: none is allowed"));
        }
        let form = accept::form(request.headers())?;
        let options = Options::parse(request.uri())?;
        let now = Timestamp::now();
        let call = Call {
            state: self.state.clone(),
            caller,
            target,
            options,
            form,
            now,
        };
        if call.options.watch {
            return call.watch().await;
        }
        let inner = &self.state.inner;
        let Ok(_permit) = inner.at_once.clone().try_acquire_owned() else {
            return Err(Failure::busy("too many requests at once; try again"));
        };
        tokio::time::timeout(inner.time_limit, call.once())
            .await
            .unwrap_or_else(|_| {
                Err(Failure::busy(
                    "the answer took too long; ask for less, or try again",
                ))
            })
    }
}

/// One request, understood.
struct Call {
    state: State,
    caller: Caller,
    target: Target,
    options: Options,
    form: Form,
    now: Timestamp,
}

impl Call {
    async fn once(&self) -> Result<Response, Failure> {
        let body = match (&self.target.resource, &self.target.name, self.target.part) {
            (Resource::Summaries, None, _) => self.summaries().await?,
            (Resource::Summaries, Some(name), _) => self.summary(name).await?,
            (Resource::Laws, None, _) => self.laws().await?,
            (Resource::Laws, Some(name), _) => self.law(name).await?,
            (_, None, _) => self.denials().await?,
            (_, Some(name), None) => self.denial(name).await?,
            (_, Some(name), Some(part)) => self.part(name, part).await?,
        };
        Ok(Json(body).into_response())
    }

    /// What the caller may read of the denials that the path speaks of.
    fn ask(&self) -> Ask {
        match (&self.target.resource, &self.target.namespace) {
            (Resource::MyDenials, _) => Ask::Own,
            (Resource::ClusterDenials, _) => Ask::NoNamespace,
            (Resource::RepositoryDenials(name), Some(namespace)) => Ask::Repository {
                namespace: namespace.clone(),
                name: name.clone(),
            },
            (_, Some(namespace)) => Ask::Namespace(namespace.clone()),
            (_, None) => Ask::All,
        }
    }

    async fn granted(&self, verb: Verb) -> Result<Granted, Failure> {
        Ok(self.state.granted(&self.caller, verb, &self.ask()).await?)
    }

    /// For a resource whose permission is its own.
    async fn must(&self, verb: &'static str) -> Result<(), Failure> {
        let permission = Permission::new(verb, self.target.resource.plural(), None);
        let gate = &self.state.inner.gate;
        match gate.allows(&self.caller, &permission).await? {
            true => Ok(()),
            false => Err(Failure::forbidden(format!(
                "you may not read that; you lack {permission}"
            ))),
        }
    }

    /// How many entries the ledger holds.
    async fn size(&self) -> Result<u64, Failure> {
        self.state.inner.records.size().await.map_err(unread)
    }

    /// The place that a version stands for, in a ledger of `size` entries.
    fn place(&self, version: &str, size: u64) -> Result<u64, Failure> {
        let versions = self.state.inner.versions;
        versions.parse(version, size).map_err(|stale| match stale {
            Stale::Malformed => Failure::bad_request(format!("resourceVersion: {stale}")),
            Stale::Foreign | Stale::Older(_) | Stale::Ahead => {
                Failure::expired(format!("resourceVersion: {stale}"))
            }
        })
    }

    fn rows(&self, version: &'static str) -> Rows {
        Rows {
            version,
            include: self.options.include,
            now: self.now,
        }
    }

    /// A list in the form that was asked for.
    fn listed(&self, list_kind: &str, objects: &[Object], metadata: Value) -> Value {
        match self.form {
            Form::Object => json!({
                "kind": list_kind,
                "apiVersion": docket_record::api::API_VERSION,
                "metadata": metadata,
                "items": objects.iter().map(|object| &object.body).collect::<Vec<_>>(),
            }),
            Form::Table(version) => {
                let rows = self.rows(version);
                rows.table(&self.target.resource, objects, &metadata, true)
            }
            Form::Metadata(version) => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": version,
                "metadata": metadata,
                "items": objects.iter().map(|object| object.partial(version)).collect::<Vec<_>>(),
            }),
        }
    }

    /// One object in that form.
    fn one(&self, object: Object) -> Value {
        match self.form {
            Form::Object => object.body,
            Form::Table(version) => {
                let metadata =
                    json!({ "resourceVersion": object.body["metadata"]["resourceVersion"] });
                let rows = self.rows(version);
                rows.table(&self.target.resource, &[object], &metadata, true)
            }
            Form::Metadata(version) => object.partial(version),
        }
    }
}

fn unread(error: super::read::ReadError) -> Failure {
    super::rest::unread(error).into()
}
