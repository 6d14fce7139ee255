//! The client that calls the reporter: HTTP/1.1, a connection for each request under way,
//! so that a slow reader of one watch holds up nobody else.

use bytes::Bytes;
use docket_host::{ClientFiles, ConfigFiles, TlsError};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::path::Path;
use std::time::Duration;
use tower::limit::ConcurrencyLimit;

/// The reporter is near: what takes longer is down.
const CONNECT: Duration = Duration::from_secs(1);
/// Connections that are being made at one time, handshake included; others wait their turn.
/// When a thousand watches are begun anew at once, the queue of those whom the reporter has
/// yet to accept must not overflow: what is dropped there is sent again after a second only.
/// The system may queue as few as 128.
const CONNECTING: usize = 64;
/// A reporter whose host is gone ends its watches after three of these.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Idle connections that are kept for the next call, and for how long.
const IDLE: usize = 16;
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Calls the reporter.
pub type Reporter = Client<ConcurrencyLimit<HttpsConnector<HttpConnector>>, Empty<Bytes>>;

/// The files of our calls to the reporter.
pub struct ReporterFiles(pub ClientFiles);

impl ConfigFiles for ReporterFiles {
    type Config = Reporter;

    fn paths(&self) -> Vec<&Path> {
        self.0.paths()
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<(Reporter, i64), TlsError> {
        let (tls, expiry) = self.0.build(contents)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(2));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE)
            .pool_idle_timeout(IDLE_TIME)
            .build(ConcurrencyLimit::new(connector, CONNECTING));
        Ok((client, expiry))
    }
}
