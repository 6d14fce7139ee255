//! Plain HTTP for the kubelet and Prometheus.

use crate::connections::Connections;
use crate::labels::Part;
use crate::witness::Witness;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Admin {
    witness: Arc<Witness>,
    doors: Arc<[(Part, Arc<Connections>)]>,
}

/// `/healthz`: the process runs. `/readyz`: it can swear. `/metrics`.
pub fn router(witness: Arc<Witness>, doors: Vec<(Part, Arc<Connections>)>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Admin {
            witness,
            doors: doors.into(),
        })
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let (status, mut said) = match admin.witness.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    // The others serve, so it is ready; but someone put a key there that is none.
    for fault in admin.witness.key_faults() {
        said.push_str(&fault);
        said.push('\n');
    }
    (status, said)
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let page = admin.witness.metrics.page(&admin.witness, &admin.doors);
    ([(CONTENT_TYPE, OPENMETRICS)], page)
}
