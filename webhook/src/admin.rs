//! What the witness tells the kubelet and Prometheus: whether it can swear, and what it
//! counts.

use crate::witness::Witness;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use docket_host::AdminState;
use std::sync::Arc;

/// Tells what a witness tells.
pub struct Admin(pub Arc<Witness>);

impl AdminState for Admin {
    fn readiness(&self) -> Response {
        let (status, mut said) = match self.0.not_ready() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        };
        // The others serve, so it is ready; but someone put a key there that is none.
        for fault in self.0.key_faults() {
            said.push_str(&fault);
            said.push('\n');
        }
        (status, said).into_response()
    }

    fn metrics(&self) -> String {
        self.0.metrics.page(&self.0)
    }
}
