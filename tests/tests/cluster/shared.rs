//! The plane that tests share, and what most of them need.

use anyhow::Result;
use docket_tests::{ControlPlane, Options, krate};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The shared plane: started by the first test that asks, ended with the process.
pub async fn plane() -> Result<&'static ControlPlane> {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    PLANE
        .get_or_try_init(|| ControlPlane::start(Options::without_docket()))
        .await
}

/// A pull request of the repository `web` whose description is this.
pub fn pull_request(namespace: &str, name: &str, description: &str) -> Value {
    let org = namespace.trim_start_matches("krate-org-");
    krate::object(
        "PullRequest",
        namespace,
        org,
        name,
        json!({
            "organizationRef": org, "repository": "web", "title": "Say what it does",
            "description": description,
        }),
    )
}

/// A ValidatingPolicy on pull requests of one namespace: `expression` must hold.
pub fn policy_on_pull_requests(
    name: &str,
    namespace: &str,
    expression: &str,
    message: &str,
) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "validationActions": ["Deny"],
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [{
                    "apiGroups": ["krate.a5c.ai"], "apiVersions": ["v1alpha1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["pullrequests"],
                }],
            },
            "validations": [{"expression": expression, "message": message}],
        },
    })
}
