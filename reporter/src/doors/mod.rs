//! The doors: how people and programs read the record over HTTP.
//!
//! ```text
//!  request ─guard─▶ auth (who is it, what may it read = Scope) ─▶ rest ─▶ read ─▶ ledger
//!                     │ TokenReview, SubjectAccessReview           the only caller of
//!                     └ orgs (which namespaces are an org's:       ledger::query
//!                             watched)
//! ```
//!
//! One door leads the other way: [`import`](self::import) takes events that people bring.
//!
//! Every question goes through [`read::Records`], whose methods take the caller's
//! [`read::Scope`] as their first argument: totals, ids, parts and cursors included.

mod ask;
mod auth;
mod cursor;
mod error;
mod follow;
mod guard;
mod impersonate;
mod import;
mod item;
mod json;
mod kube;
pub(crate) mod orgs;
mod others;
mod outcome;
mod params;
mod proved;
pub mod read;
mod rest;
#[cfg(test)]
mod tests;
mod version;
mod violation;

pub use auth::Patience;
pub use follow::Head;
pub use import::Import;
pub use orgs::{Names, Orgs, Watch as OrgWatch};
pub use read::Known;

use crate::metrics::Metrics;
use auth::Gate;
use docket_record::examine::Config;
use read::Records;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Who may ask.
#[derive(Clone)]
pub enum Callers {
    /// Bearer tokens of the cluster: TokenReview, then SubjectAccessReview.
    Cluster {
        /// To ask.
        client: ::kube::Client,
        /// Which namespaces are an org's there.
        orgs: Box<Orgs>,
    },
    /// A recorded day is shown (`--replay`): one token, which reads all of it.
    Replay {
        /// The generated token.
        token: String,
    },
}

/// What the doors need to know; [`Settings::new`] fills in all but the first three.
#[derive(Clone)]
pub struct Settings {
    /// The ledger's file. It must exist.
    pub store: PathBuf,
    /// Who may ask.
    pub callers: Callers,
    /// `Store::verifier_key()`: handed to `docket verify` at its first visit.
    pub verifier_key: String,
    /// What Krate calls things.
    pub names: Names,
    /// What is known beside the ledger.
    pub known: Known,
    /// Connections to the ledger.
    pub readers: usize,
    /// Requests at one time; more are told to come back.
    pub at_once: usize,
    /// Open streams at one time, watches included; more are told to come back.
    pub streams: usize,
    /// Silence on a stream after which its reader is told that it is still there.
    pub heartbeat: Duration,
    /// How long a reader of a stream may take nothing.
    pub stall: Duration,
    /// Longest that one request may take.
    pub time_limit: Duration,
    /// How long answers about callers are believed.
    pub patience: Patience,
    /// Where imported events go; `None`: nothing is taken.
    pub import: Option<Import>,
    /// Counters.
    pub metrics: Metrics,
}

impl Settings {
    /// Krate's names, four readers, 64 requests at once, ten seconds each.
    #[must_use]
    pub fn new(store: PathBuf, callers: Callers, verifier_key: String) -> Settings {
        Settings {
            store,
            callers,
            verifier_key,
            names: Names::default(),
            known: Known::default(),
            readers: 4,
            at_once: 64,
            streams: 2048,
            heartbeat: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            time_limit: Duration::from_secs(10),
            patience: Patience::default(),
            import: None,
            metrics: Metrics::new().0,
        }
    }
}

/// What every request shares. Cheap to clone.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

struct Inner {
    records: Records,
    gate: Gate,
    orgs: Orgs,
    names: Config,
    verifier_key: String,
    replay: bool,
    versions: version::Versions,
    at_once: Arc<tokio::sync::Semaphore>,
    streams: Arc<tokio::sync::Semaphore>,
    reauthorise: Duration,
    heartbeat: Duration,
    stall: Duration,
    time_limit: Duration,
    import: Option<Import>,
    metrics: Metrics,
}

impl State {
    /// Nothing is opened or asked before the first request.
    #[must_use]
    pub fn new(settings: Settings) -> State {
        let replay = matches!(settings.callers, Callers::Replay { .. });
        let orgs = match &settings.callers {
            Callers::Cluster { orgs, .. } => Orgs::clone(orgs),
            Callers::Replay { .. } => Orgs::by_name(settings.names.clone()),
        };
        let names = Config {
            cluster: String::new(),
            krate_group: settings.names.krate_group,
            label_prefix: settings.names.label_prefix,
            org_namespace_prefix: settings.names.org_namespace_prefix,
            clock_tolerance: jiff::SignedDuration::ZERO,
        };
        State {
            inner: Arc::new(Inner {
                records: Records::new(settings.store, settings.readers, settings.known),
                reauthorise: settings.patience.stream,
                gate: Gate::new(settings.callers, settings.patience),
                orgs,
                names,
                versions: version::Versions::of(&settings.verifier_key),
                verifier_key: settings.verifier_key,
                replay,
                at_once: Arc::new(tokio::sync::Semaphore::new(settings.at_once)),
                streams: Arc::new(tokio::sync::Semaphore::new(settings.streams)),
                heartbeat: settings.heartbeat,
                stall: settings.stall,
                time_limit: settings.time_limit,
                import: settings.import,
                metrics: settings.metrics,
            }),
        }
    }
}

/// The reporter's side of the aggregated API, to be served over mutual TLS: `clients` are
/// the common names of the certificates that may hand on requests.
pub fn aggregated(state: State, clients: Vec<String>) -> axum::Router {
    kube::router(state, clients)
}

/// The REST API, to be served over TLS.
pub fn router(state: State) -> axum::Router {
    rest::router(state.clone()).merge(import::router(state))
}
