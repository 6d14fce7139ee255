//! Krate's side of the plane: its kinds, its namespaces, two organizations.

mod kinds;

use serde_json::{Value, json};

pub use kinds::{GROUP, Kind, custom_resource_definitions, kinds};

/// Krate's own namespace: organizations and their bindings live here.
pub const SYSTEM: &str = "krate-system";
/// Namespace of the organization `acme`.
pub const ACME: &str = "krate-org-acme";
/// Namespace of the organization `globex`.
pub const GLOBEX: &str = "krate-org-globex";

/// The namespaces, labelled as Krate labels them.
pub fn namespaces() -> Vec<Value> {
    let mut all = vec![namespace(SYSTEM, None)];
    all.extend([(ACME, "acme"), (GLOBEX, "globex")].map(|(name, org)| namespace(name, Some(org))));
    all
}

/// A namespace, with the labels of an organization's if it is one.
pub fn namespace(name: &str, org: Option<&str>) -> Value {
    let labels = match org {
        Some(org) => json!({"krate.a5c.ai/org": org, "krate.a5c.ai/namespace": name}),
        None => json!({}),
    };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// Organizations, their bindings, and a repository or two each.
pub fn organizations() -> Vec<Value> {
    let mut all = Vec::new();
    for (org, display, namespace, repositories) in [
        ("acme", "Acme", ACME, &["web", "billing"][..]),
        ("globex", "Globex", GLOBEX, &["reactor"][..]),
    ] {
        all.push(object(
            "Organization",
            SYSTEM,
            org,
            org,
            json!({"displayName": display, "slug": org, "namespaceName": namespace}),
        ));
        all.push(object(
            "OrgNamespaceBinding",
            SYSTEM,
            org,
            org,
            json!({"organizationRef": org, "namespace": namespace}),
        ));
        for repository in repositories {
            all.push(object(
                "Repository",
                namespace,
                org,
                repository,
                json!({"organizationRef": org, "visibility": "internal"}),
            ));
        }
    }
    all
}

/// One of Krate's objects as Krate itself writes them: with its org labels.
pub fn object(kind: &str, namespace: &str, org: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"krate.a5c.ai/org": org, "krate.a5c.ai/namespace": namespace},
        },
        "spec": spec,
    })
}
