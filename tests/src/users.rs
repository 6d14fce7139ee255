//! The people and programs of the demonstration, and what they may do.
//!
//! All but the administrator and the service account come with a token that the API
//! server reads from a file, so that the same token works for kubectl and for Docket.

use serde_json::{Value, json};

/// Someone with a context in the kubeconfig.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// Context and user name.
    pub name: &'static str,
    /// Groups.
    pub groups: &'static [&'static str],
    /// For people who read the list of contexts.
    pub who: &'static str,
}

/// The administrator: a client certificate in `system:masters`.
pub const ADMIN: &str = "admin";
/// The context of Krate's console, a ServiceAccount.
pub const CONSOLE: &str = "krate";
/// Namespace and name of the console's ServiceAccount.
pub const CONSOLE_ACCOUNT: (&str, &str) = (crate::krate::SYSTEM, "krate-krate");
/// May read every denial.
pub const AUDITOR: &str = "auditor";

/// Users with a token.
pub const USERS: [User; 5] = [
    User {
        name: "alice",
        groups: &["krate:developers"],
        who: "developer of acme",
    },
    User {
        name: "bob",
        groups: &["krate:developers"],
        who: "developer of acme",
    },
    User {
        name: "carol",
        groups: &["krate:developers"],
        who: "developer of globex",
    },
    User {
        name: "dana",
        groups: &["krate:platform-engineers"],
        who: "platform engineer",
    },
    User {
        name: AUDITOR,
        groups: &[],
        who: "reads every denial",
    },
];

const DEVELOPER: &str = "krate-developer";
const READ_DENIALS: &str = "docket-denials-reader";
const READ_EVIDENCE: &str = "docket-evidence-reader";
const READ_CLUSTER: &str = "docket-clusterdenials-reader";
const READ_LAWS: &str = "docket-laws-reader";

/// Roles and bindings. The roles for reading denials are those of `deploy/rbac.yaml`.
pub fn rbac() -> Vec<Value> {
    let (console_namespace, console) = CONSOLE_ACCOUNT;
    let mut objects = vec![
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": console, "namespace": console_namespace},
        }),
        cluster_role(
            DEVELOPER,
            json!([
                {"apiGroups": ["krate.a5c.ai"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["core.oam.dev"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["pods", "pods/exec", "pods/log", "configmaps", "events"], "verbs": ["*"]},
                {"apiGroups": ["apps", "batch"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": ["wgpolicyk8s.io"], "resources": ["policyreports"], "verbs": ["get", "list", "watch"]},
            ]),
        ),
        cluster_role(
            "krate-platform-engineer",
            json!([
                {"apiGroups": ["krate.a5c.ai", "core.oam.dev"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["kyverno.io", "policies.kyverno.io"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["namespaces", "pods", "events"], "verbs": ["get", "list", "watch"]},
            ]),
        ),
        cluster_role(
            "krate-console",
            json!([
                {"apiGroups": ["krate.a5c.ai", "core.oam.dev"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch", "create"]},
            ]),
        ),
        binding(
            "krate-platform-engineers",
            None,
            "krate-platform-engineer",
            &[group("krate:platform-engineers")],
        ),
        binding(
            "krate-console",
            None,
            "krate-console",
            &[account(console_namespace, console)],
        ),
        binding("docket-auditor", None, READ_DENIALS, &[person(AUDITOR)]),
        binding(
            "docket-auditor-evidence",
            None,
            READ_EVIDENCE,
            &[person(AUDITOR)],
        ),
        binding(
            "docket-auditor-cluster",
            None,
            READ_CLUSTER,
            &[person(AUDITOR)],
        ),
        binding("docket-auditor-laws", None, READ_LAWS, &[person(AUDITOR)]),
        binding(
            "docket-platform-engineers",
            None,
            READ_DENIALS,
            &[group("krate:platform-engineers")],
        ),
    ];
    let teams: [(&str, &[&str]); 2] = [
        (crate::krate::ACME, &["alice", "bob"]),
        (crate::krate::GLOBEX, &["carol"]),
    ];
    for (namespace, members) in teams {
        objects.extend(self::members(namespace, members));
    }
    objects
}

/// Bindings that make people developers of a namespace and readers of its denials.
pub fn members(namespace: &str, people: &[&str]) -> Vec<Value> {
    let people: Vec<Value> = people.iter().map(|name| person(name)).collect();
    vec![
        binding("developers", Some(namespace), DEVELOPER, &people),
        binding("denials", Some(namespace), READ_DENIALS, &people),
    ]
}

fn cluster_role(name: &str, rules: Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": rules,
    })
}

fn binding(name: &str, namespace: Option<&str>, role: &str, subjects: &[Value]) -> Value {
    let kind = if namespace.is_some() {
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    };
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    })
}

fn person(name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})
}

fn group(name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name})
}

fn account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}
