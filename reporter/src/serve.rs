//! The reporter's listeners: what each may cost, and that they end with the process.

use crate::metrics::Metrics;
use anyhow::{Context as _, Result};
use axum::Router;
pub use docket_host::Peer;
use docket_host::{Listener, ListenerConfig, ListenerLimits, ReloadingTls, raise_open_files};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Connections of API servers that deliver, at one time.
const AUDIT: usize = 512;
/// Of the kubelet and Prometheus.
const ADMIN: usize = 64;
/// Of readers, at each of their two listeners: most are streams and watches, which stay.
const READERS: usize = 4096;
/// Open files besides connections: the ledger's, for each of its readers; audit logs;
/// connections to the cluster and to witnesses.
const OTHER_FILES: usize = 256;

/// kube-apiserver closes its own idle connections after 90 s; ours must be open for longer,
/// or it may lose a delivery to the race.
const IDLE: Duration = Duration::from_secs(300);
/// The TLS handshake, or the head of a request: milliseconds; who needs longer is not
/// serious.
const HEAD: Duration = Duration::from_secs(10);
/// What a drain waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(10);
/// One HTTP/2 connection may carry all watches.
const STREAMS: u32 = 4096;
/// Bytes of an answer that wait for a slow reader.
const UNREAD: usize = 400 << 10;
/// The groups of whoever asks through the API server are headers.
const HEADERS: usize = 4096;

/// Which listener it is, as in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// API servers deliver audit events.
    Audit,
    /// REST.
    Reading,
    /// The aggregated API, for the webhook.
    Api,
    /// Health and metrics.
    Admin,
}

impl Role {
    /// As in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Role::Audit => "audit",
            Role::Reading => "reading",
            Role::Api => "api",
            Role::Admin => "admin",
        }
    }

    fn connections(self) -> usize {
        match self {
            Role::Audit => AUDIT,
            Role::Admin => ADMIN,
            Role::Reading | Role::Api => {
                let all = AUDIT + ADMIN + 2 * READERS + OTHER_FILES;
                readers(raise_open_files(all))
            }
        }
    }
}

/// Connections of each of the two listeners for readers, if there may be so many open
/// files: deliveries come first.
fn readers(files: usize) -> usize {
    let left = files.saturating_sub(AUDIT + ADMIN + OTHER_FILES) / 2;
    if left < READERS {
        tracing::warn!("only {left} connections of readers: raise the limit of open files");
    }
    left.clamp(1, READERS)
}

/// Binds a listener; all that can be wrong with an address shows here.
///
/// # Errors
/// If the address can't be bound.
pub fn bind(
    role: Role,
    address: SocketAddr,
    tls: Option<Arc<ReloadingTls>>,
    router: Router,
    metrics: &Metrics,
) -> Result<Listener> {
    let name = role.name();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let config = ListenerConfig {
        name,
        address,
        tls,
        // Their name is who delivers, or who forwards.
        identify_peers: matches!(role, Role::Audit | Role::Api),
        limits: ListenerLimits {
            connections: role.connections(),
            idle: IDLE,
            head: HEAD,
            drain: DRAIN,
            streams: STREAMS,
            send_buffer: UNREAD,
            headers: Some(HEADERS),
        },
        metrics: metrics.listener(name),
    };
    let listener = Listener::bind(config, router)
        .with_context(|| format!("cannot listen on {address} ({name})"))?;
    tracing::info!(
        listener = name,
        "listening on {scheme}://{}",
        listener.address()?
    );
    Ok(listener)
}

/// Serves until `stopped`, then lets requests in progress finish.
///
/// # Errors
/// If it ends by itself, which nothing but a fault brings about.
pub async fn serve(
    role: Role,
    listener: Listener,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut listener = listener.start();
    tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = listener.ended() => anyhow::bail!("it accepts no more connections"),
    }
    if !listener.drain().await {
        tracing::warn!(
            listener = role.name(),
            "requests still open after the drain are dropped"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
