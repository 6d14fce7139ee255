//! A double of the Kubernetes API for rings without a control plane: it knows tokens and
//! who may do what with denials, and has nothing else. The real one answers in the
//! cluster ring.

use anyhow::{Context as _, Result};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::path::Path;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// May read and import; the token is the name.
pub const IMPORTER: &str = "erin";
/// May read only.
pub const READER: &str = "auditor";

/// The double; it ends when dropped.
#[derive(Debug)]
pub struct KubeDouble {
    port: u16,
    serving: JoinHandle<()>,
}

impl KubeDouble {
    /// Starts to listen on loopback, without TLS.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind the double of the Kubernetes API")?;
        let port = listener.local_addr().context("read its port")?.port();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let connection = auto::Builder::new(TokioExecutor::new());
                    let service = service_fn(answer);
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(KubeDouble { port, serving })
    }

    /// A kubeconfig for it.
    pub fn kubeconfig(&self, path: &Path) -> Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": format!("http://127.0.0.1:{}", self.port)}}],
            "users": [{"name": "reporter", "user": {"token": "reporter"}}],
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "reporter"}}],
        });
        crate::files::write_json(path, &config)
    }
}

impl Drop for KubeDouble {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let spec = &body["spec"];
    let status = if path.ends_with("/tokenreviews") {
        let name = spec["token"].as_str().unwrap_or_default();
        let known = [IMPORTER, READER].contains(&name);
        Some(json!({"authenticated": known, "user": {"username": name}}))
    } else if path.ends_with("/subjectaccessreviews") {
        let asked = &spec["resourceAttributes"];
        let importer = spec["user"] == IMPORTER && asked["namespace"].is_null();
        Some(json!({"allowed": asked["verb"] == "get" || importer}))
    } else {
        None
    };
    let (code, answer) = match status {
        Some(status) => (
            StatusCode::CREATED,
            json!({"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": {},
                "spec": spec, "status": status}),
        ),
        None => (
            StatusCode::NOT_FOUND,
            json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
                "reason": "NotFound", "message": "the double has nothing", "code": 404}),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    *response.status_mut() = code;
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}
