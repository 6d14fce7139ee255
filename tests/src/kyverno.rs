//! Kyverno outside the cluster: its admission and reports controllers as plain processes,
//! and how to know that they serve.

use crate::call::Http;
use crate::files::{Credential, kubeconfig};
use crate::plane::ControlPlane;
use crate::run::eventually;
use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use http::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NAMESPACE: &str = "kyverno";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kyverno/leases";
/// Namespace in which exceptions count: the plane's own, so that an exception is a
/// deliberate act and not something that any team can write.
pub const EXCEPTION_NAMESPACE: &str = NAMESPACE;

/// All CRDs of Kyverno, its namespace, and what its reports account may read.
pub(crate) async fn install(plane: &ControlPlane, crds: &Path) -> Result<()> {
    let mut files: Vec<_> = std::fs::read_dir(crds)
        .with_context(|| format!("read {}", crds.display()))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let created = files.iter().map(|file| async move {
        let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let call = plane
            .admin(Method::POST, path)
            .body("application/yaml", text);
        let reply = call.send().await?;
        if reply.code() == 409 {
            Ok(reply)
        } else {
            reply.accepted()
        }
    });
    try_join_all(created)
        .await
        .context("install Kyverno's CRDs")?;
    let wanted: Vec<(String, String)> = files.iter().filter_map(|file| crd_of(file)).collect();
    plane.discovered(&wanted).await?;
    plane
        .apply_all(&[crate::krate::namespace(NAMESPACE, None)])
        .await?;
    plane.apply_all(&reports_rbac()).await
}

/// `kyverno.io_policies.yaml` defines `policies` of `kyverno.io`.
fn crd_of(file: &Path) -> Option<(String, String)> {
    let (group, plural) = file.file_stem()?.to_str()?.split_once('_')?;
    Some((group.to_owned(), plural.to_owned()))
}

/// What a background scan reads. Without it a policy reports `ready: false`.
fn reports_rbac() -> Vec<Value> {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "kyverno:reports-controller"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "kyverno:reports-controller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "kyverno:reports-controller"},
        "subjects": [{"kind": "ServiceAccount", "namespace": NAMESPACE,
            "name": "kyverno-reports-controller"}],
    });
    vec![role, binding]
}

fn command(plane: &ControlPlane, program: &str, account: &str) -> Result<Command> {
    let file = plane.run_dir().join(format!("{program}.kubeconfig"));
    let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
    let identity = plane
        .authority()
        .client(program, &user, Some("system:masters"))?;
    let authority = plane.authority().certificate();
    kubeconfig(
        &file,
        plane.url(),
        &authority,
        &[(program, Credential::Certificate(identity))],
    )?;
    let mut command = Command::new(plane.program(program));
    command
        .env("KYVERNO_NAMESPACE", NAMESPACE)
        .env("KYVERNO_SERVICEACCOUNT_NAME", account)
        .env("KYVERNO_DEPLOYMENT", account)
        .env("KYVERNO_POD_NAME", program)
        .env("INIT_CONFIG", "kyverno")
        .env("METRICS_CONFIG", "kyverno-metrics")
        .arg(format!("--kubeconfig={}", file.display()))
        .arg("--enablePolicyException")
        .arg(format!("--exceptionNamespace={EXCEPTION_NAMESPACE}"))
        .args(["--metricsHost=127.0.0.1", "--disableLogColor"])
        .arg("--autoMemLimitEnabled=false")
        .arg("-v=2");
    Ok(command)
}

/// The admission controller.
pub(crate) fn admission(plane: &ControlPlane) -> Result<Command> {
    let port = plane.ports().kyverno;
    let mut command = command(plane, "kyverno", "kyverno-admission-controller")?;
    command
        .arg(format!("--metricsPort={}", plane.ports().kyverno_metrics))
        .arg(format!("--serverIP=127.0.0.1:{port}"))
        .arg("--webhookServerHost=127.0.0.1")
        .arg(format!("--webhookServerPort={port}"))
        .arg("--controllerRuntimeMetricsAddress=0")
        .arg("--caSecretName=kyverno-svc.kyverno.svc.kyverno-tls-ca")
        .arg("--tlsSecretName=kyverno-svc.kyverno.svc.kyverno-tls-pair")
        .arg("--backgroundServiceAccountName=system:serviceaccount:kyverno:kyverno-background-controller")
        .arg("--reportsServiceAccountName=system:serviceaccount:kyverno:kyverno-reports-controller")
        .args(&plane.options().kyverno_flags);
    Ok(command)
}

/// The reports controller, scanning often enough for a person to wait for it.
pub(crate) fn reports(plane: &ControlPlane) -> Result<Command> {
    let mut command = command(plane, "reports-controller", "kyverno-reports-controller")?;
    command
        .arg(format!("--metricsPort={}", plane.ports().reports_metrics))
        .arg("--backgroundScanInterval=30s");
    Ok(command)
}

/// A killed controller leaves a lease behind that its successor would wait for.
pub(crate) async fn forget_lease(plane: &ControlPlane, name: &str) -> Result<()> {
    plane
        .admin(Method::DELETE, &format!("{LEASES}/{name}"))
        .send()
        .await?;
    Ok(())
}

/// True once the controller holds the lease of this name.
pub(crate) async fn leads(plane: &ControlPlane, name: &str) -> Result<bool> {
    let lease = plane
        .admin(Method::GET, &format!("{LEASES}/{name}"))
        .send()
        .await?;
    Ok(lease.body["spec"]["holderIdentity"]
        .as_str()
        .is_some_and(|holder| !holder.is_empty()))
}

/// True once Kyverno serves: its hooks for policies are registered with the authority of
/// the certificate it shows, it says that it is ready, and it has begun the heartbeat
/// without which it registers no hooks for resources. Asked of Kyverno itself, never by a
/// write: one that fails would be on record.
pub(crate) async fn serves(plane: &ControlPlane) -> Result<bool> {
    let health = plane
        .admin(Method::GET, &format!("{LEASES}/kyverno-health"))
        .send()
        .await?;
    if health.body["metadata"]["annotations"]["kyverno.io/last-request-time"].is_null() {
        return Ok(false);
    }
    for path in [
        "mutatingwebhookconfigurations/kyverno-policy-mutating-webhook-cfg",
        "validatingwebhookconfigurations/kyverno-policy-validating-webhook-cfg",
    ] {
        let found = plane
            .admin(Method::GET, &format!("{CONFIGURATIONS}/{path}"))
            .send()
            .await?;
        let bundle = found.body["webhooks"][0]["clientConfig"]["caBundle"].as_str();
        let Some(bundle) = bundle else {
            return Ok(false);
        };
        let pem = data_encoding::BASE64
            .decode(bundle.as_bytes())
            .context("read a caBundle")?;
        let kyverno = Http::new(&[String::from_utf8(pem).context("read a caBundle")?], None)?;
        let ready = format!(
            "https://127.0.0.1:{}/health/readiness",
            plane.ports().kyverno
        );
        if !kyverno
            .get(ready)
            .within(Duration::from_secs(3))
            .send()
            .await?
            .ok()
        {
            return Ok(false);
        }
    }
    // The API server learns of the configurations as we do, by a watch.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(true)
}

/// How long the API server may take to notice a changed webhook configuration; it watches
/// them, so this is generous.
const SETTLE: Duration = Duration::from_millis(1_000);
/// Kyverno 1.18 registers a hook before its own engine has compiled the policy: until then
/// it lets everything pass, and nothing that it publishes tells when it begins to judge.
const SETTLE_1_18: Duration = Duration::from_secs(5);

impl ControlPlane {
    /// Applies policies (YAML, several documents) and waits until Kyverno has registered
    /// them, so that the next write is judged by them. No probing write is made: a probe
    /// that is denied would be on record.
    pub async fn policies(&self, yaml: &str) -> Result<()> {
        let policies = crate::manifests::parse(yaml)?;
        self.apply_policies(&policies).await
    }

    /// The same for objects.
    pub async fn apply_policies(&self, policies: &[Value]) -> Result<()> {
        for policy in policies {
            self.apply(crate::users::ADMIN, policy).await?.accepted()?;
        }
        for policy in policies {
            let name = policy["metadata"]["name"].as_str().unwrap_or_default();
            let what = format!("policy {name} in force");
            eventually(&what, Duration::from_secs(40), || async {
                Ok(self.is_in_force(policy).await?.then_some(()))
            })
            .await?;
        }
        let settle = match crate::binaries::kyverno_line()? {
            "1.18" => SETTLE_1_18,
            _ => SETTLE,
        };
        tokio::time::sleep(settle).await;
        Ok(())
    }

    async fn is_in_force(&self, policy: &Value) -> Result<bool> {
        let kind = policy["kind"].as_str().unwrap_or_default();
        let name = policy["metadata"]["name"].as_str().unwrap_or_default();
        let group = policy["apiVersion"].as_str().unwrap_or_default();
        if group.starts_with("admissionregistration.k8s.io") || !group.contains("kyverno") {
            // The API server's own, or no policy at all (a binding, an exception).
            return Ok(true);
        }
        let object = self
            .admin(Method::GET, &crate::manifests::path(policy)?)
            .send()
            .await?
            .body;
        if kind.ends_with("Exception") {
            return Ok(true);
        }
        if group.starts_with("kyverno.io/") {
            let conditions = object["status"]["conditions"].as_array().cloned();
            let ready =
                |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
            return Ok(conditions.unwrap_or_default().iter().any(ready));
        }
        let hooks = if kind.contains("Mutating") {
            "mutating"
        } else {
            "validating"
        };
        let path = format!("{CONFIGURATIONS}/{hooks}webhookconfigurations");
        let all = self.admin(Method::GET, &path).send().await?.body;
        let configurations = all["items"].as_array().into_iter().flatten();
        let webhooks = configurations
            .flat_map(|item| item["webhooks"].as_array())
            .flatten();
        let urls = webhooks.filter_map(|hook| hook["clientConfig"]["url"].as_str());
        Ok(urls
            .into_iter()
            .any(|url| url.split('/').skip(3).any(|step| step == name)))
    }
}
