//! A double of the reporter: it takes requests over mutual TLS as the real one does, says
//! back what it was asked, and sends what a test tells it. The real one is behind the
//! webhook in the cluster ring.

use crate::harness::{Authority, Pair};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

type Answer = Response<BoxBody<Bytes, Broken>>;
/// Ends an answer in the middle.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;
/// Sends pieces of a watch; dropped, it ends it.
pub type Feed = mpsc::UnboundedSender<Result<Bytes, Broken>>;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Default)]
struct Shared {
    /// Held by a test, nobody is let in.
    busy: Arc<tokio::sync::Mutex<()>>,
    seen: Mutex<Vec<Seen>>,
    feeds: Mutex<Vec<Feed>>,
}

/// The double; dropped, it is gone with all its connections.
pub struct Reporter {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reporter {
    /// Serves with a certificate by `server`, to those that `callers` has signed.
    pub async fn start(server: &Authority, callers: &str, at: SocketAddr) -> Self {
        let config = tls(&server.issue("reporter"), callers);
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let inside = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(config);
            let mut connections = JoinSet::new();
            loop {
                drop(inside.busy.lock().await);
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&inside));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = hyper::service::service_fn(move |request| {
                        let shared = Arc::clone(&shared);
                        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .max_headers(1024)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    /// From here on nobody is let in, until what is returned is dropped; the system still
    /// takes connections for it, as many as it queues.
    pub async fn busy(&self) -> impl Drop + use<> {
        Arc::clone(&self.shared.busy).lock_owned().await
    }

    /// What it was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The feeds of its watches, in the order in which they came; they are the caller's then.
    pub fn feeds(&self) -> Vec<Feed> {
        std::mem::take(&mut self.shared.feeds.lock().unwrap())
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().unwrap().to_string();
    let body = body.collect().await.unwrap().to_bytes();
    shared.seen.lock().unwrap().push(Seen {
        method: head.method.to_string(),
        path: path.clone(),
        headers: head.headers,
        body,
    });
    if path.contains("/silent") {
        std::future::pending::<()>().await;
    }
    let answer = Response::builder()
        .header("content-type", "application/json")
        .header("set-cookie", "a=b")
        .header("server", "a double")
        .header("warning", "299 - \"mind\"");
    if path.contains("watch=true") || path.contains("/endless") {
        let (feed, pieces) = mpsc::unbounded();
        shared.feeds.lock().unwrap().push(feed);
        let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
        return answer.body(BoxBody::new(body)).unwrap();
    }
    let body = json!({ "kind": "DenialList", "items": [] }).to_string();
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    answer.body(body.boxed()).unwrap()
}

fn tls(pair: &Pair, callers: &str) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(callers.as_bytes()).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
        )
        .unwrap();
    Arc::new(config)
}
