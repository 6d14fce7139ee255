//! A double of a kube-apiserver with its aggregator in front of the real aggregated API: it
//! knows tokens, and tells the reporter who asks, as the webhook would.

use super::World;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use docket_reporter::Peer;
use http::StatusCode;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Common name of the webhook's certificate.
pub const WEBHOOK: &str = "docket-webhook";
/// Token and name.
pub const USERS: [(&str, &str); 4] = [
    ("admins-token", "admin"),
    ("alices-token", "alice"),
    (super::TOKEN, "admin"),
    (super::NORAS_TOKEN, "nora"),
];

pub fn aggregator(api: Router) -> Router {
    api.layer(from_fn(|mut request: Request, next: Next| async move {
        let bearer = request.headers().get("authorization");
        let token = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let user = USERS.iter().find(|(known, _)| token == Some(*known));
        let Some((_, user)) = user else {
            return status(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized");
        };
        let path = request.uri().path();
        if path.ends_with("/selfsubjectaccessreviews") {
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
            let allowed = super::allowed(user, &body["spec"]["resourceAttributes"]);
            let answer = json!({"status": {"allowed": allowed}});
            return (StatusCode::CREATED, axum::Json(answer)).into_response();
        }
        if !path.starts_with("/apis/docket.a5c.ai/v1/") {
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        }
        if *user == "alice" && !path.ends_with("/mydenials") && !path.contains("/krate-org-acme/") {
            let words = "denials.docket.a5c.ai is forbidden: User \"alice\" cannot list it there";
            return status(StatusCode::FORBIDDEN, "Forbidden", words);
        }
        let user = http::HeaderValue::from_static(user);
        request.headers_mut().insert("x-remote-user", user);
        request
            .extensions_mut()
            .insert(Peer(Some(WEBHOOK.to_owned())));
        next.run(request).await
    }))
}

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    (code, axum::Json(body)).into_response()
}

impl World {
    /// A kubeconfig with this user's part.
    pub fn kubeconfig(&self, user: &Value) -> String {
        let ca = self.directory.path().join("api/ca.pem");
        let context = |name: &str, namespace: Option<&str>| json!({"name": name, "context": {"cluster": "c", "user": "u", "namespace": namespace}});
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.cluster_url, "certificate-authority": ca}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [context("here", Some("krate-org-acme")), context("elsewhere", None)]});
        let file = self.directory.path().join("kubeconfig");
        std::fs::write(&file, config.to_string()).unwrap();
        file.display().to_string()
    }

    /// A credential plugin that says this token.
    pub fn plugin(&self, token: &str) -> PathBuf {
        let file = self.directory.path().join("plugin.sh");
        let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": token}});
        std::fs::write(&file, format!("#!/bin/sh\necho '{credential}'\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }
}
