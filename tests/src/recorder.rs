//! A hook that keeps what it is sent: how real reviews get into `tests/recorded`.

use crate::docket;
use crate::plane::ControlPlane;
use anyhow::{Context as _, Result};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

type Reviews = Arc<Mutex<Vec<Bytes>>>;

/// Beside Docket's own hooks, for the same kinds. It allows everything.
#[derive(Debug)]
pub struct Recorder {
    reviews: Reviews,
    serving: JoinHandle<()>,
}

impl Recorder {
    /// Starts to listen and registers.
    pub async fn start(plane: &ControlPlane) -> Result<Self> {
        let identity = plane.docket_authority().server("recorder")?;
        let chain = CertificateDer::pem_file_iter(&identity.certificate)
            .context("read the recorder's certificate")?
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&identity.key).context("read its key")?;
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("use the recorder's certificate")?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind the recorder")?;
        let port = listener
            .local_addr()
            .context("read the recorder's port")?
            .port();
        let reviews = Reviews::default();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let serving = tokio::spawn(accept(listener, acceptor, Arc::clone(&reviews)));
        let mut registration = docket::registration(port, &plane.docket_authority().pem())?;
        for object in &mut registration {
            object["metadata"]["name"] = json!("zz-recorder");
            object["webhooks"][0]["name"] = json!("recorder.docket.test");
        }
        plane.apply_all(&registration).await?;
        // Its registration reaches the API server's hooks by a watch.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        Ok(Recorder { reviews, serving })
    }

    /// Writes the reviews, as they came, one a line, in the order of their arrival.
    pub fn write(self, path: &Path) -> Result<usize> {
        self.serving.abort();
        let reviews = self.reviews.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        for review in reviews.iter() {
            text.extend_from_slice(review.trim_ascii());
            text.push(b'\n');
        }
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(reviews.len())
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, reviews: Reviews) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, reviews) = (acceptor.clone(), Arc::clone(&reviews));
        tokio::spawn(async move {
            if let Err(error) = serve(stream, acceptor, reviews).await {
                eprintln!("recorder: {error:#}");
            }
        });
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, reviews: Reviews) -> Result<()> {
    let stream = acceptor.accept(stream).await.context("TLS handshake")?;
    let service = service_fn(move |request: Request<Incoming>| {
        let reviews = Arc::clone(&reviews);
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            let answer = allow(&body);
            reviews
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(body);
            let response = Response::builder().header("Content-Type", "application/json");
            anyhow::Ok(response.body(Full::new(Bytes::from(answer.to_string())))?)
        }
    });
    let connection = auto::Builder::new(TokioExecutor::new());
    let done = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
    done.map_err(|error| anyhow::anyhow!("{error}"))
}

fn allow(body: &[u8]) -> Value {
    let review: Value = serde_json::from_slice(body).unwrap_or_default();
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    })
}
