//! Plain HTTP for the kubelet and Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a program tells of itself.
pub trait AdminState: Send + Sync + 'static {
    /// The answer of `/readyz`.
    fn readiness(&self) -> Response;

    /// The page of `/metrics`, in the OpenMetrics text format.
    fn metrics(&self) -> String;
}

/// `/healthz`: the process runs. `/readyz` and `/metrics`: what it tells of itself.
pub fn admin_router<S: AdminState>(state: S) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready::<S>))
        .route("/metrics", get(metrics::<S>))
        .with_state(Arc::new(state))
}

async fn ready<S: AdminState>(State(state): State<Arc<S>>) -> Response {
    state.readiness()
}

async fn metrics<S: AdminState>(State(state): State<Arc<S>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPENMETRICS)], state.metrics())
}
