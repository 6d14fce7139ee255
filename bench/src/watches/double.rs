//! A double of the reporter's watches: it sends each of them an event of common size every
//! so often, and nothing else. It asks nobody who may read, and reads no ledger.

use anyhow::Context;
use bytes::Bytes;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Where the double listens.
#[derive(clap::Args)]
pub struct DoubleArgs {
    #[arg(long)]
    listen: SocketAddr,
    /// Directory with ca.crt, tls.crt and tls.key.
    #[arg(long)]
    certificates: PathBuf,
}

/// Serves until it is killed.
pub fn double(args: DoubleArgs) -> anyhow::Result<()> {
    // A connection for each watch.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raise the limit of open files")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))
}

async fn serve(args: DoubleArgs) -> anyhow::Result<()> {
    let file = |name: &str| args.certificates.join(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.crt"))?)?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let chain = vec![CertificateDer::from_pem_file(file("tls.crt"))?];
    let key = PrivateKeyDer::from_pem_file(file("tls.key"))?;
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(args.listen).await?;
    let event = event();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, event) = (acceptor.clone(), event.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request| {
                let event = event.clone();
                async move { Ok::<_, Infallible>(watch(&request, event)) }
            });
            // A watch that is closed is no error.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Events = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn watch(request: &http::Request<Incoming>, event: Bytes) -> http::Response<Events> {
    let query = request.uri().query().unwrap_or_default();
    let every = query
        .rsplit_once("every=")
        .and_then(|(_, every)| every.parse().ok());
    let every = Duration::from_millis(every.unwrap_or(0));
    // Each at a moment of its own, as denials come.
    let first = Instant::now() + every.mul_f64(f64::from(rank()) / 1000.0);
    let events = stream::unfold(first, move |due| {
        let event = event.clone();
        async move {
            if every.is_zero() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(due).await;
            Some((Ok(Frame::data(event)), due + every))
        }
    });
    http::Response::new(StreamBody::new(Box::pin(events)))
}

fn rank() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 1000
}

/// A denial of two kilobytes, as a line.
fn event() -> Bytes {
    let denial = json!({
        "type": "ADDED",
        "object": {
            "apiVersion": "docket.a5c.ai/v1", "kind": "Denial",
            "metadata": { "name": "a".repeat(52), "namespace": "krate-org-acme" },
            "message": "Pull requests must include a description. ".repeat(40),
        },
    });
    Bytes::from(format!("{denial}\n"))
}
