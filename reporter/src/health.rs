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

/// Every part by name, with what is to be said of it.
#[derive(Clone, Default)]
pub struct Health {
    // A std mutex: held for a map operation, never across an await.
    parts: Arc<Mutex<BTreeMap<String, Readiness>>>,
}

/// Of one part.
#[derive(Clone)]
enum Readiness {
    Ready,
    /// It works, and this is what an operator should know.
    ReadyBut(String),
    NotReady(String),
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

    fn set(&self, name: &str, state: Readiness) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(name.to_owned(), state);
    }

    fn snapshot(&self) -> BTreeMap<String, Readiness> {
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Part {
    /// It works.
    pub fn ready(&self) {
        self.health.set(&self.name, Readiness::Ready);
    }

    /// It works, and there is something that an operator should know.
    pub fn ready_but(&self, what: impl Into<String>) {
        self.health
            .set(&self.name, Readiness::ReadyBut(what.into()));
    }

    /// It does not, for a reason that an operator understands.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.health.set(&self.name, Readiness::NotReady(why.into()));
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
    let not_ready = |state: &Readiness| matches!(state, Readiness::NotReady(_));
    let ready = !parts.values().any(not_ready);
    let said = |state| match state {
        Readiness::Ready => "ok".into(),
        Readiness::ReadyBut(what) => format!("ok; {what}"),
        Readiness::NotReady(why) => why,
    };
    let parts = parts.into_iter().map(|(name, state)| (name, said(state)));
    let parts: BTreeMap<_, _> = parts.collect();
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
