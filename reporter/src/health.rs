//! Whether the reporter is ready, and which part is not.

use crate::metrics::render;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Every part by name, with the reason why it is not ready.
#[derive(Clone, Default)]
pub struct Health {
    // A std mutex: held for a map operation, never across an await.
    parts: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

/// The handle of one part; parts are registered before anything is served.
#[derive(Clone)]
pub struct Part {
    health: Health,
    name: String,
}

impl Health {
    /// A part that delays readiness until it says [`Part::ready`].
    #[must_use]
    pub fn part(&self, name: impl Into<String>, why_not: &str) -> Part {
        let part = Part {
            health: self.clone(),
            name: name.into(),
        };
        part.not_ready(why_not);
        part
    }

    fn set(&self, name: &str, why_not: Option<String>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(name.to_owned(), why_not);
    }

    fn snapshot(&self) -> BTreeMap<String, Option<String>> {
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Part {
    /// It works.
    pub fn ready(&self) {
        self.health.set(&self.name, None);
    }

    /// It does not, for a reason that an operator understands.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.health.set(&self.name, Some(why.into()));
    }
}

#[derive(Clone)]
struct Admin {
    health: Health,
    registry: Arc<Registry>,
    mode: &'static str,
}

/// `/healthz`, `/readyz`, `/metrics`. `mode` is `live` or `replay`.
pub fn router(health: Health, registry: Registry, mode: &'static str) -> Router {
    let admin = Admin {
        health,
        registry: Arc::new(registry),
        mode,
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let parts = admin.health.snapshot();
    let ready = parts.values().all(Option::is_none);
    let parts: BTreeMap<_, _> = parts
        .into_iter()
        .map(|(name, why)| (name, why.unwrap_or_else(|| "ok".into())))
        .collect();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({"ready": ready, "mode": admin.mode, "parts": parts});
    (status, Json(body)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], render(&admin.registry)).into_response()
}
