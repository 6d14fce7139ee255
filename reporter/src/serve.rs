//! A listener: bound, then served, then drained.

use crate::metrics::Metrics;
use crate::tls::Server;
use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use docket_host::common_name;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Connections of one listener at a time.
const CONNECTIONS: usize = 512;
/// The same where most of them stay open: watches, of which the door has its own limit.
const WIDE: usize = 4096;
/// Connections that wait to be accepted, at most; the system may allow fewer
/// (`net.core.somaxconn`). All readers come back at once after a restart.
const WAITING: u32 = 1024;
/// Headers of a request over HTTP/1.1.
const MANY: usize = 4096;
/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 4096;
/// A TLS handshake takes milliseconds; who needs longer is not serious.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its headers.
const HEADERS: Duration = Duration::from_secs(30);
/// What a drain waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(10);

/// Who is at the other end: the common name of a verified client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<String>);

/// A bound socket.
pub struct Bound {
    listener: TcpListener,
    name: &'static str,
    tls: Option<Server>,
    connections: usize,
}

impl Bound {
    /// Bind; all that can be wrong with an address shows here.
    ///
    /// # Errors
    /// If the address can't be bound.
    pub async fn bind(name: &'static str, at: SocketAddr, tls: Option<Server>) -> Result<Bound> {
        let listener = listen(at).with_context(|| format!("cannot listen on {at} ({name})"))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        tracing::info!(
            listener = name,
            "listening on {scheme}://{}",
            listener.local_addr()?
        );
        Ok(Bound {
            listener,
            name,
            tls,
            connections: CONNECTIONS,
        })
    }

    /// With room for thousands who stay.
    #[must_use]
    pub fn wide(self) -> Bound {
        Bound {
            connections: WIDE,
            ..self
        }
    }

    /// Where it listens: the port, if 0 was asked for.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serve until `stop`, then let requests in progress finish.
    ///
    /// # Errors
    /// Never by itself; the listener of a healthy process does not end.
    pub async fn serve(
        self,
        router: Router,
        metrics: Metrics,
        mut stop: watch::Receiver<bool>,
    ) -> Result<()> {
        let places = Arc::new(Semaphore::new(self.connections));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (stream, _) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly: existing connections go on.
                    tracing::warn!(listener = self.name, "cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                metrics.refused(self.name);
                continue;
            };
            let tls = self.tls.as_ref().map(|tls| tls.load_full());
            let (router, metrics, name) = (router.clone(), metrics.clone(), self.name);
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                let _place = place;
                let _ = stream.set_nodelay(true);
                match tls {
                    None => connection(TokioIo::new(stream), Peer(None), router, watcher).await,
                    Some(config) => match handshake(stream, config).await {
                        Ok((stream, peer)) => {
                            connection(TokioIo::new(stream), peer, router, watcher).await;
                        }
                        Err(error) => {
                            metrics.refused(name);
                            tracing::debug!(listener = name, "connection refused: {error}");
                        }
                    },
                }
            });
        }
        if tokio::time::timeout(DRAIN, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(
                listener = self.name,
                "requests still open after the drain are dropped"
            );
        }
        Ok(())
    }
}

fn listen(at: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart binds though connections of the last process linger.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(WAITING)
}

async fn handshake(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
) -> std::io::Result<(tokio_rustls::server::TlsStream<TcpStream>, Peer)> {
    let accepted = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
    let stream = accepted
        .await
        .map_err(|_| std::io::Error::other("handshake took too long"))??;
    let name = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    // Whoever has no name, or several, is nobody: the doors refuse it.
    let peer = Peer(name.and_then(|name| match common_name(name) {
        Ok(name) => Some(name),
        Err(error) => {
            tracing::warn!("a client certificate names nobody: {error}");
            None
        }
    }));
    Ok((stream, peer))
}

async fn connection<I>(
    io: I,
    peer: Peer,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = tower::service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|e| match e {})) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // The groups of whoever asks through the API server are headers; hyper takes 100.
        .max_headers(MANY)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(60))
        // One connection may carry all watches.
        .max_concurrent_streams(STREAMS);
    let served = builder
        .serve_connection(io, TowerToHyperService::new(service))
        .into_owned();
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!("connection ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::try_join_all;

    #[tokio::test]
    async fn readers_that_come_at_once_wait_their_turn() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let all = allowed.trim().parse::<usize>().unwrap().min(1000);
        let at = ([127, 0, 0, 1], 0).into();
        let bound = Bound::bind("test", at, None).await.unwrap();
        // Nobody is accepted meanwhile. One that the system drops tries again for minutes.
        let at = bound.address().unwrap();
        let coming = try_join_all((0..all).map(|_| TcpStream::connect(at)));
        let waiting = tokio::time::timeout(Duration::from_secs(20), coming).await;
        assert_eq!(waiting.expect("all are queued").unwrap().len(), all);
    }
}
