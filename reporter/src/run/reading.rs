//! The doors for readers: REST, the aggregated API, and what an operator asks.

use super::callers;
use super::place::Place;
use super::reloading;
use super::tasks::Tasks;
use crate::admin::Admin;
use crate::args::{Arguments, Reading};
use crate::doors;
use crate::metrics::Metrics;
use crate::serve::{self, Role};
use crate::sources::Court;
use crate::writer::Writer;
use anyhow::Result;
use docket_host::health::Health;
use docket_host::{ServerFiles, admin_router};
use prometheus_client::registry::Registry;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Health and metrics, there before anything that can fail to start.
pub(super) fn admin(
    arguments: &Arguments,
    health: &Health,
    registry: Registry,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let Some(at) = arguments.reading.admin_listen else {
        return Ok(());
    };
    if arguments.replay.is_some() {
        ensure_loopback(at)?;
    }
    let admin = Admin {
        health: health.clone(),
        registry,
        mode: super::mode(arguments),
    };
    let listener = serve::bind(Role::Admin, at, None, admin_router(admin), metrics)?;
    let serving = serve::serve(Role::Admin, listener, stopped.clone());
    tasks.serve("the admin listener", serving);
    Ok(())
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts that the doors are made of"
)]
pub(super) fn reading(
    arguments: &Arguments,
    place: &Place,
    readers: doors::Callers,
    known: doors::Known,
    verifier_key: String,
    court: Arc<Court>,
    writer: Writer,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let given = &arguments.reading;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let token = match &readers {
        doors::Callers::Replay { token } => Some(token.clone()),
        doors::Callers::Cluster { .. } => None,
    };
    let at = given.listen.or(token.as_ref().map(|_| loopback));
    let live = arguments.replay.is_none();
    let import = live.then(|| doors::Import::new(court, writer, metrics.clone()));
    let settings = doors::Settings {
        import,
        names: callers::names(arguments),
        known,
        metrics: metrics.clone(),
        ..doors::Settings::new(place.store.clone(), readers, verifier_key)
    };
    let state = doors::State::new(settings);
    if let Some(at) = at {
        rest(arguments, at, token, state.clone(), metrics, stopped, tasks)?;
    }
    if let Some(at) = given.api_listen {
        aggregated(given, at, state, metrics, stopped, tasks)?;
    }
    Ok(())
}

/// REST, over TLS; plain only for a replay.
fn rest(
    arguments: &Arguments,
    at: SocketAddr,
    token: Option<String>,
    state: doors::State,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let given = &arguments.reading;
    let tls = match (&given.tls_cert, &given.tls_key) {
        (Some(cert), Some(key)) => {
            let files = ServerFiles {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: None,
                client_names: Vec::new(),
            };
            Some(reloading("the reading listener", files, tasks)?)
        }
        _ => None,
    };
    match &token {
        Some(_) => ensure_loopback(at)?,
        None => anyhow::ensure!(tls.is_some(), "--listen needs --tls-cert and --tls-key"),
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listener = serve::bind(Role::Reading, at, tls, doors::router(state), metrics)?;
    if let Some(token) = token {
        // For a shell, and for people; the token is worth nothing after this process.
        let mut out = std::io::stdout();
        writeln!(out, "DOCKET_URL={scheme}://{}", listener.address()?)?;
        writeln!(out, "DOCKET_TOKEN={token}")?;
        out.flush()?;
    }
    let serving = serve::serve(Role::Reading, listener, stopped.clone());
    tasks.serve("the reading listener", serving);
    Ok(())
}

/// What the webhook hands on from kube-apiserver.
fn aggregated(
    given: &Reading,
    at: SocketAddr,
    state: doors::State,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let (Some(cert), Some(key), Some(ca)) = (
        &given.api_tls_cert,
        &given.api_tls_key,
        &given.api_client_ca,
    ) else {
        anyhow::bail!("--api-listen needs --api-tls-cert, --api-tls-key and --api-client-ca");
    };
    let files = ServerFiles {
        cert: cert.clone(),
        key: key.clone(),
        client_ca: Some(ca.clone()),
        // Another name is refused with a reason, and counted apart.
        client_names: Vec::new(),
    };
    let tls = reloading("the listener of the aggregated API", files, tasks)?;
    let router = doors::aggregated(state, given.api_client.clone());
    let listener = serve::bind(Role::Api, at, Some(tls), router, metrics)?;
    let serving = serve::serve(Role::Api, listener, stopped.clone());
    tasks.serve("the listener of the aggregated API", serving);
    Ok(())
}

fn ensure_loopback(at: SocketAddr) -> Result<()> {
    anyhow::ensure!(
        at.ip().is_loopback(),
        "--replay listens on loopback only, and {at} is not"
    );
    Ok(())
}
