//! What the reporter tells the kubelet and Prometheus.

use crate::metrics::render;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use docket_host::AdminState;
use docket_host::health::Health;
use prometheus_client::registry::Registry;

/// Health and counters of this process.
pub struct Admin {
    /// Of each part.
    pub health: Health,
    /// What is counted.
    pub registry: Registry,
    /// `live` or `replay`.
    pub mode: &'static str,
}

impl AdminState for Admin {
    fn readiness(&self) -> Response {
        let report = self.health.report();
        let status = if report.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let body = serde_json::json!({
            "ready": report.ready,
            "mode": self.mode,
            "parts": report.parts,
        });
        (status, Json(body)).into_response()
    }

    fn metrics(&self) -> String {
        render(&self.registry)
    }
}
