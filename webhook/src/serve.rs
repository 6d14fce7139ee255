//! The accept loop: from a socket to a request, and how it ends.
//!
//! Bound, then running, then drained. Every connection has a task of its own that ends
//! with it and with nothing else.

use crate::connections::{Connection, Connections, InFlight, Place};
use crate::labels::Part;
use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Larger than hyper's default, so that a review of common size needs no second round
/// trip for flow control.
const H2_STREAM_WINDOW: u32 = 1 << 20;
const H2_CONNECTION_WINDOW: u32 = 4 << 20;
/// Reviews at once on one HTTP/2 connection.
const H2_STREAMS: u32 = 1_000;
/// A user's groups and extras come as headers, hundreds of them.
const H2_HEADERS: u32 = 256 << 10;
/// A caller that is gone without a word is found out by these: its answers may last.
const H2_PING: Duration = Duration::from_secs(30);
const H2_PONG: Duration = Duration::from_secs(20);
/// How long an evicted or idle connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// After an accept error (most often: no more file descriptors) others need a moment to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections to one door may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At most so many.
    pub connections: usize,
    /// Closed after so long without a request.
    pub idle: Duration,
    /// Handshake, and head of a request.
    pub head: Duration,
    /// Requests under way when draining begins.
    pub drain: Duration,
    /// Bytes of one answer that wait in memory for whoever reads it (HTTP/2).
    pub unread: usize,
    /// Headers of a request over HTTP/1.1, if more than 100: reading them costs more then.
    pub headers: Option<usize>,
}

/// When the head of a request was here; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct HeadArrived(pub Instant);

/// A listener that is bound and not yet serving: all that can be wrong has been found.
pub struct Door {
    name: Part,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    connections: Arc<Connections>,
    limits: Limits,
}

/// A door that serves.
#[must_use = "a door that is not drained drops its callers"]
pub struct Open {
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
    connections: Arc<Connections>,
    limits: Limits,
}

impl Door {
    /// Binds; `tls` absent means plain HTTP.
    pub async fn bind(
        name: Part,
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
        router: Router,
        limits: Limits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let connections = Connections::new(limits.connections, limits.idle, limits.head);
        Ok(Self {
            name,
            listener,
            tls,
            router,
            connections,
            limits,
        })
    }

    /// Where it listens (the port, if any was asked for).
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its connections, for the metrics.
    pub fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
    }

    /// Begins to serve.
    pub fn open(self) -> Open {
        let (closing, closed) = watch::channel(false);
        let (connections, limits) = (Arc::clone(&self.connections), self.limits);
        let task = tokio::spawn(self.accept(closed));
        Open {
            closing,
            task,
            connections,
            limits,
        }
    }

    async fn accept(self, mut closing: watch::Receiver<bool>) {
        let mut sweep = tokio::time::interval(Duration::from_secs(1).min(self.limits.head));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = sweep.tick() => {
                    self.connections.sweep();
                    continue;
                }
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(
                        door = self.name.name(),
                        "cannot accept a connection: {error}"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = self.connections.enter() else {
                continue;
            };
            let tls = self
                .tls
                .as_ref()
                .map(|tls| TlsAcceptor::from(tls.current()));
            tokio::spawn(serve(
                stream,
                tls,
                Arc::clone(&self.connections),
                self.router.clone(),
                place,
                self.limits,
                closing.clone(),
            ));
        }
    }
}

impl Open {
    /// Takes no more calls, lets those under way end, and closes. False: some did not end
    /// in time and were cut off.
    pub async fn drain(self) -> bool {
        self.closing.send_replace(true);
        let task = self.task.abort_handle();
        let ended = timeout(self.limits.drain + GOODBYE, async {
            let _ = self.task.await;
            self.connections.empty().await;
        });
        let in_time = ended.await.is_ok();
        task.abort();
        in_time
    }

    /// Ends only if the accept loop does, which nothing but a fault brings about.
    pub async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    router: Router,
    place: Place,
    limits: Limits,
    mut closing: watch::Receiver<bool>,
) {
    // Without it a large HTTP/2 body waits 40 ms for a delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else {
        let io = Heard {
            io: TokioIo::new(stream),
            connection: Arc::clone(&place.connection),
        };
        return speak(io, false, router, place, limits, closing).await;
    };
    let stream = tokio::select! {
        shaken = timeout(limits.head, tls.accept(stream)) => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                connections.unshaken.fetch_add(1, Relaxed);
                tracing::debug!("TLS handshake refused: {error}");
                return;
            }
            Err(_) => return,
        },
        () = place.connection.close.notified() => return,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = Heard {
        io: TokioIo::new(stream),
        connection: Arc::clone(&place.connection),
    };
    speak(io, h2, router, place, limits, closing).await;
}

async fn speak<I>(
    io: Heard<I>,
    h2: bool,
    router: Router,
    place: Place,
    limits: Limits,
    closing: watch::Receiver<bool>,
) where
    I: Read + Write + Unpin + Send + 'static,
{
    let connection = Arc::clone(&place.connection);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let under_way = connection.begin();
        request.extensions_mut().insert(HeadArrived(Instant::now()));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| UnderWay {
                body,
                _request: under_way,
            }))
        }
    });
    if h2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .max_concurrent_streams(H2_STREAMS)
            .max_header_list_size(H2_HEADERS)
            .max_send_buf_size(limits.unread)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PONG);
        drive(
            builder.serve_connection(io, service),
            &place,
            limits,
            closing,
        )
        .await;
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        // Hyper's own head timeout also runs while a connection merely idles, so it would
        // end keep-alive; the sweep tells the two apart.
        builder.timer(TokioTimer::new()).header_read_timeout(None);
        if let Some(headers) = limits.headers {
            builder.max_headers(headers);
        }
        drive(
            builder.serve_connection(io, service),
            &place,
            limits,
            closing,
        )
        .await;
    }
}

async fn drive<C>(connection: C, place: &Place, limits: Limits, mut closing: watch::Receiver<bool>)
where
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
        () = place.connection.close.notified() => GOODBYE,
        _ = closing.wait_for(|closing| *closing) => limits.drain,
    };
    connection.as_mut().graceful_shutdown();
    if timeout(grace, connection).await.is_err() {
        tracing::debug!("connection cut off");
    }
}

/// An answer whose request is under way until its last byte: a watch is not idle.
struct UnderWay {
    body: Body,
    _request: InFlight,
}

impl hyper::body::Body for UnderWay {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells the register when bytes come.
struct Heard<I> {
    io: I,
    connection: Arc<Connection>,
}

impl<I: Read + Unpin> Read for Heard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.connection.heard();
        }
        polled
    }
}

impl<I: Write + Unpin> Write for Heard<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
