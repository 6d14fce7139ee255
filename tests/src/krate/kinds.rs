//! Krate's kinds as CRDs of our own writing: names, required fields and status
//! subresources as Krate has them, everything else open (`spec` keeps unknown fields).

use serde_json::{Map, Value, json};

/// Krate's API group.
pub const GROUP: &str = "krate.a5c.ai";

/// A kind: what a CRD is made from.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// API group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural resource name.
    pub plural: &'static str,
    /// Short name or empty.
    pub short: &'static str,
    /// Whether status is a subresource. Where it is not, an update of the object can
    /// change the status (a merge of a pull request is such an update).
    pub status: bool,
    /// Required fields of spec with their schema: `s` string, `i` integer, `a` array,
    /// `o` object, `x` anything, or the allowed words separated by `|`.
    required: &'static [(&'static str, &'static str)],
}

const ORG: (&str, &str) = ("organizationRef", "s");
const MODE: &str = "audit|enforce";

/// All kinds of the plane.
pub const fn kinds() -> &'static [Kind] {
    &KINDS
}

const fn krate(
    kind: &'static str,
    plural: &'static str,
    status: bool,
    required: &'static [(&'static str, &'static str)],
) -> Kind {
    Kind {
        group: GROUP,
        version: "v1alpha1",
        kind,
        plural,
        short: "",
        status,
        required,
    }
}

const fn short(mut kind: Kind, short: &'static str) -> Kind {
    kind.short = short;
    kind
}

static KINDS: [Kind; 18] = [
    krate(
        "Organization",
        "organizations",
        true,
        &[("displayName", "s"), ("namespaceName", "s")],
    ),
    krate(
        "OrgNamespaceBinding",
        "orgnamespacebindings",
        true,
        &[ORG, ("namespace", "s")],
    ),
    short(
        krate(
            "Repository",
            "repositories",
            true,
            &[ORG, ("visibility", "private|internal|public")],
        ),
        "repo",
    ),
    krate(
        "BranchProtection",
        "branchprotections",
        false,
        &[ORG, ("refs", "x")],
    ),
    krate("RefPolicy", "refpolicies", false, &[ORG]),
    krate(
        "WebhookSubscription",
        "webhooksubscriptions",
        false,
        &[ORG, ("url", "s"), ("events", "a")],
    ),
    krate(
        "RunnerPool",
        "runnerpools",
        false,
        &[ORG, ("warmReplicas", "i"), ("maxReplicas", "i")],
    ),
    short(
        krate(
            "PullRequest",
            "pullrequests",
            false,
            &[ORG, ("repository", "s"), ("title", "s")],
        ),
        "pr",
    ),
    krate("Issue", "issues", true, &[ORG, ("title", "s")]),
    krate("Review", "reviews", true, &[ORG, ("pullRequest", "s")]),
    krate(
        "Pipeline",
        "pipelines",
        true,
        &[ORG, ("repository", "s"), ("ref", "s")],
    ),
    krate(
        "Job",
        "jobs",
        true,
        &[ORG, ("pipeline", "s"), ("step", "s")],
    ),
    krate(
        "PolicyProfile",
        "policyprofiles",
        true,
        &[ORG, ("displayName", "s"), ("mode", "audit|enforce|mixed")],
    ),
    krate(
        "PolicyTemplate",
        "policytemplates",
        true,
        &[("displayName", "s"), ("targetKinds", "a"), ("kyverno", "o")],
    ),
    krate(
        "PolicyBinding",
        "policybindings",
        true,
        &[ORG, ("templateRef", "x"), ("mode", MODE)],
    ),
    krate(
        "PolicyExceptionRequest",
        "policyexceptionrequests",
        true,
        &[
            ORG,
            ("policyRef", "o"),
            ("justification", "s"),
            ("expiresAt", "s"),
        ],
    ),
    // Its spec may hold the values of a secret.
    krate(
        "AgentSecretGrant",
        "agentsecretgrants",
        true,
        &[ORG, ("subject", "x"), ("secretRef", "x"), ("purpose", "s")],
    ),
    // Not Krate's, but governed with it: what a deployment is written as.
    Kind {
        group: "core.oam.dev",
        version: "v1beta1",
        kind: "Application",
        plural: "applications",
        short: "",
        status: true,
        required: &[("components", "a")],
    },
];

/// The CRDs of all kinds.
pub fn custom_resource_definitions() -> Vec<Value> {
    KINDS.iter().map(Kind::definition).collect()
}

impl Kind {
    fn definition(&self) -> Value {
        let names = if self.short.is_empty() {
            json!([])
        } else {
            json!([self.short])
        };
        let subresources = if self.status {
            json!({"status": {}})
        } else {
            json!({})
        };
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", self.plural, self.group)},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {
                    "kind": self.kind,
                    "listKind": format!("{}List", self.kind),
                    "plural": self.plural,
                    "singular": self.kind.to_lowercase(),
                    "shortNames": names,
                },
                "versions": [{
                    "name": self.version,
                    "served": true,
                    "storage": true,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {"spec": self.spec(), "status": open},
                    }},
                }],
            },
        })
    }

    fn spec(&self) -> Value {
        let properties: Map<String, Value> = self
            .required
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), schema(kind)))
            .collect();
        let required: Vec<&str> = self.required.iter().map(|(name, _)| *name).collect();
        json!({
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "required": required,
            "properties": properties,
        })
    }
}

fn schema(kind: &str) -> Value {
    match kind {
        "s" => json!({"type": "string"}),
        "i" => json!({"type": "integer", "minimum": 0}),
        "a" => json!({"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": true}}),
        "o" => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        "x" => json!({"x-kubernetes-preserve-unknown-fields": true}),
        words => json!({"type": "string", "enum": words.split('|').collect::<Vec<_>>()}),
    }
}
