//! A listener: bound, then serving, then drained.
//!
//! Every connection has a task of its own, which ends with it and with nothing else. How
//! many there may be, and which has to go when there are more, is
//! the register's.
//!
//! HTTP/2 is spoken where TLS has agreed on it (ALPN), else HTTP/1.1; a plain listener
//! speaks HTTP/1.1.

mod activity;
mod connections;
#[cfg(test)]
mod tests;

use crate::certificate::common_name;
use crate::tls::ReloadingTls;
use activity::{InFlightBody, TrackedIo};
use axum::Router;
use axum::body::Body;
pub use connections::ListenerMetrics;
use connections::{ConnectionRegister, ConnectionSlot};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// Connections that wait to be accepted, at most; the system may allow fewer
/// (`net.core.somaxconn`). All readers come back at once after a restart.
const BACKLOG: u32 = 4096;
/// Larger than hyper's default, so that a body of common size needs no second round trip
/// for flow control. In bytes.
const H2_STREAM_WINDOW: u32 = 1 << 20;
const H2_CONNECTION_WINDOW: u32 = 4 << 20;
/// A user's groups and extras come as headers, hundreds of them. In bytes.
const H2_HEADERS: u32 = 256 << 10;
/// A caller that is gone without a word is found out by these: its answers may last.
const H2_PING: Duration = Duration::from_secs(30);
const H2_PONG: Duration = Duration::from_secs(20);
/// How long an evicted or idle connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// After an accept error (most often: no more file descriptors) others need a moment to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the connections of one listener may do.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// At most so many at one time. One more takes the place of the oldest idle one.
    pub connections: usize,
    /// Closed after so long without a request; answering pings is none.
    pub idle: Duration,
    /// The TLS handshake, and the head of a request, must be complete within this time.
    pub head: Duration,
    /// What a drain waits for requests under way.
    pub drain: Duration,
    /// Requests at one time on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes of one answer that wait in memory for whoever reads it (HTTP/2).
    pub send_buffer: usize,
    /// Headers of a request over HTTP/1.1, if more than 100: reading them costs more then.
    pub headers: Option<usize>,
}

/// Where to listen, for whom, and within which bounds.
pub struct ListenerConfig {
    /// In logs.
    pub name: &'static str,
    /// Port 0 takes a free one: see [`Listener::address`].
    pub address: SocketAddr,
    /// Without it: plain HTTP.
    pub tls: Option<Arc<ReloadingTls>>,
    /// Whether each request carries the [`Peer`] at the other end.
    pub identify_peers: bool,
    /// Bounds.
    pub limits: ListenerLimits,
    /// What is counted.
    pub metrics: ListenerMetrics,
}

/// When the head of a request was here; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct RequestStart(pub Instant);

/// Who is at the other end: the common name of a verified client certificate, if there is
/// exactly one. An extension of every request where [`ListenerConfig::identify_peers`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<String>);

/// A listener that is bound and not yet serving: all that can be wrong with its address
/// has been found.
pub struct Listener {
    socket: TcpListener,
    context: Arc<Context>,
}

/// What every connection of a listener is served with.
struct Context {
    name: &'static str,
    tls: Option<Arc<ReloadingTls>>,
    identify_peers: bool,
    router: Router,
    connections: Arc<ConnectionRegister>,
    limits: ListenerLimits,
}

/// A listener that serves.
#[must_use = "a listener that is not drained drops its callers"]
pub struct RunningListener {
    closing: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    context: Arc<Context>,
}

impl Listener {
    /// Binds, on the reactor of the runtime that this is called on.
    ///
    /// # Errors
    /// If the address can't be bound.
    pub fn bind(config: ListenerConfig, router: Router) -> io::Result<Listener> {
        let socket = match config.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart binds though connections of the last process linger.
        socket.set_reuseaddr(true)?;
        socket.bind(config.address)?;
        Ok(Listener {
            socket: socket.listen(BACKLOG)?,
            context: Arc::new(Context {
                name: config.name,
                tls: config.tls,
                identify_peers: config.identify_peers,
                router,
                connections: ConnectionRegister::new(&config.limits, config.metrics),
                limits: config.limits,
            }),
        })
    }

    /// Where it listens: the port, if 0 was asked for.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Begins to serve.
    pub fn start(self) -> RunningListener {
        let (closing, closed) = watch::channel(false);
        let context = Arc::clone(&self.context);
        RunningListener {
            closing,
            accepting: tokio::spawn(self.accept(closed)),
            context,
        }
    }

    async fn accept(self, mut closing: watch::Receiver<bool>) {
        let Listener { socket, context } = self;
        let mut sweep = tokio::time::interval(Duration::from_secs(1).min(context.limits.head));
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = sweep.tick() => {
                    context.connections.sweep();
                    continue;
                }
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(
                        listener = context.name,
                        "cannot accept a connection: {error}"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Some(slot) = context.connections.enter() {
                tokio::spawn(serve(stream, Arc::clone(&context), slot, closing.clone()));
            }
        }
    }
}

impl RunningListener {
    /// Takes no more calls, lets those under way end, and closes. False: some did not end
    /// in time and were cut off.
    pub async fn drain(self) -> bool {
        self.closing.send_replace(true);
        let accepting = self.accepting.abort_handle();
        let ended = timeout(self.context.limits.drain + GOODBYE, async {
            let _ = self.accepting.await;
            self.context.connections.empty().await;
        });
        let in_time = ended.await.is_ok();
        accepting.abort();
        in_time
    }

    /// Ends only if the accept loop does, which nothing but a fault brings about.
    pub async fn ended(&mut self) {
        let _ = (&mut self.accepting).await;
    }
}

async fn serve(
    stream: TcpStream,
    context: Arc<Context>,
    slot: ConnectionSlot,
    mut closing: watch::Receiver<bool>,
) {
    // Without it a large HTTP/2 body waits 40 ms for a delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let nobody = || context.identify_peers.then(Peer::default);
    let Some(tls) = &context.tls else {
        return speak(stream, false, nobody(), &context, &slot, closing).await;
    };
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let stream = tokio::select! {
        shaken = timeout(context.limits.head, handshake) => match shaken {
            Ok(Ok(stream)) => stream,
            refused => {
                context.connections.metrics().handshakes_refused.inc();
                let why = match refused {
                    Ok(Err(error)) => error.to_string(),
                    _ => "it took too long".to_owned(),
                };
                tracing::debug!(listener = context.name, "TLS handshake refused: {why}");
                return;
            }
        },
        () = slot.connection.close.notified() => return,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let peer = context.identify_peers.then(|| peer(&stream));
    speak(stream, h2, peer, &context, &slot, closing).await;
}

/// Whoever has no name, or several, is nobody: it is for the routes to refuse it.
fn peer(stream: &TlsStream<TcpStream>) -> Peer {
    let chain = stream.get_ref().1.peer_certificates();
    let leaf = chain.and_then(|chain| chain.first());
    Peer(leaf.and_then(|leaf| match common_name(leaf) {
        Ok(name) => Some(name),
        Err(error) => {
            tracing::warn!("a client certificate names nobody: {error}");
            None
        }
    }))
}

async fn speak<S>(
    stream: S,
    h2: bool,
    peer: Option<Peer>,
    context: &Arc<Context>,
    slot: &ConnectionSlot,
    closing: watch::Receiver<bool>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    if h2 {
        slot.connection.carries_pings();
    }
    let io = TrackedIo::new(TokioIo::new(stream), Arc::clone(&slot.connection));
    let (connection, router) = (Arc::clone(&slot.connection), context.router.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let in_flight = connection.begin();
        let extensions = request.extensions_mut();
        extensions.insert(RequestStart(Instant::now()));
        if let Some(peer) = &peer {
            extensions.insert(peer.clone());
        }
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| InFlightBody::new(body, in_flight)))
        }
    });
    let limits = &context.limits;
    if h2 {
        let connection = http2(limits).serve_connection(io, service);
        drive(connection, slot, limits, closing).await;
    } else {
        let connection = http1(limits).serve_connection(io, service);
        drive(connection, slot, limits, closing).await;
    }
}

fn http1(limits: &ListenerLimits) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Hyper's own head timeout also runs while a connection merely idles, so it would end
    // keep-alive; the sweep tells the two apart.
    builder.timer(TokioTimer::new()).header_read_timeout(None);
    if let Some(headers) = limits.headers {
        builder.max_headers(headers);
    }
    builder
}

fn http2(limits: &ListenerLimits) -> hyper::server::conn::http2::Builder<TokioExecutor> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(H2_HEADERS)
        .max_send_buf_size(limits.send_buffer)
        .keep_alive_interval(H2_PING)
        .keep_alive_timeout(H2_PONG);
    builder
}

async fn drive<C>(
    connection: C,
    slot: &ConnectionSlot,
    limits: &ListenerLimits,
    mut closing: watch::Receiver<bool>,
) where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let grace = tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!("connection ended: {error}");
            }
            return;
        }
        () = slot.connection.close.notified() => GOODBYE,
        _ = closing.wait_for(|closing| *closing) => limits.drain,
    };
    connection.as_mut().graceful_shutdown();
    if timeout(grace, connection).await.is_err() {
        tracing::debug!("connection cut off");
    }
}
