//! kube-apiserver and the controller manager: their files and command lines.

use super::ControlPlane;
use crate::docket::AUDIT_SOURCE;
use crate::files::{self, Credential};
use crate::options::{AuditWebhook, Part};
use crate::users::{self, USERS};
use crate::{manifests, paths, pki, process};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name under which the API server shows itself to the hooks. Not the audit source's:
/// who may ask the witness need not be believed by the reporter.
const ADMISSION_CLIENT: &str = "kube-apiserver-admission";

pub(super) fn prepare(plane: &ControlPlane) -> Result<()> {
    let (run, cluster, docket) = (
        &plane.run,
        &plane.authorities.cluster,
        &plane.authorities.docket,
    );
    cluster.server("kube-apiserver")?;
    pki::service_account_key(&run.join("pki"))?;
    plane
        .authorities
        .front_proxy
        .client("front-proxy-client", "front-proxy-client", None)?;
    let mut csv = String::new();
    for user in USERS {
        let token = files::secret(16)?;
        let groups = user.groups.join(",");
        let _ = writeln!(csv, "{token},{0},{0},\"{groups}\"", user.name);
        plane.keep_token(user.name, token);
    }
    // The administrator's certificate is what kubectl uses; raw calls use a token.
    let token = files::secret(16)?;
    let _ = writeln!(csv, "{token},{0},{0},\"system:masters\"", users::ADMIN);
    plane.keep_token(users::ADMIN, token);
    process::write_private(&run.join("tokens.csv"), csv)?;

    if plane.options.audit_config {
        return printed_configuration(plane);
    }
    let hooks = format!("127.0.0.1:{}", plane.ports.webhook);
    let client = docket.client(ADMISSION_CLIENT, ADMISSION_CLIENT, None)?;
    files::admission_configuration(&run.join("admission.json"), &hooks, &client)?;
    let target = match &plane.options.audit_webhook {
        AuditWebhook::Off => return Ok(()),
        AuditWebhook::Reporter => plane.audit_url(),
        AuditWebhook::Url(url) => url.clone(),
    };
    let client = docket.client("audit-client", AUDIT_SOURCE, None)?;
    files::kubeconfig(
        &run.join("audit.kubeconfig"),
        &target,
        &docket.certificate(),
        &[(AUDIT_SOURCE, Credential::Certificate(client))],
    )
}

/// Where `docket audit-config` writes.
fn printed(plane: &ControlPlane) -> PathBuf {
    plane.run.join("audit-config")
}

/// What an operator of a kubeadm cluster does: let the files be written, put the
/// certificates beside them.
fn printed_configuration(plane: &ControlPlane) -> Result<()> {
    let dir = printed(plane);
    let log = plane.audit_log();
    let mut command = Command::new(plane.program("docket"));
    command
        .args(["audit-config", "kubeadm", "--audit-url", &plane.audit_url()])
        .args(["--webhook", &format!("127.0.0.1:{}", plane.ports.webhook)])
        .arg("--dir")
        .arg(&dir)
        .arg("--log-dir")
        .arg(log.parent().context("the audit log has no directory")?)
        .arg("--write")
        .arg(&dir);
    let output = command.output().context("run docket audit-config")?;
    anyhow::ensure!(
        output.status.success(),
        "docket audit-config: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let docket = &plane.authorities.docket;
    let put = |from: &Path, name: &str| {
        let text = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
        process::write_private(&dir.join(name), text)
    };
    put(&docket.certificate(), "docket-ca.crt")?;
    for (file, user) in [
        ("audit-client", AUDIT_SOURCE),
        ("hooks-client", ADMISSION_CLIENT),
    ] {
        let identity = docket.client(file, user, None)?;
        put(&identity.certificate, &format!("{file}.crt"))?;
        put(&identity.key, &format!("{file}.key"))?;
    }
    Ok(())
}

/// The flags in the printed ClusterConfiguration.
fn printed_flags(plane: &ControlPlane) -> Result<Vec<String>> {
    let config = manifests::read(&printed(plane).join("kubeadm-config.yaml"))?;
    let arguments = config
        .first()
        .and_then(|config| config["apiServer"]["extraArgs"].as_array())
        .context("the printed configuration has no arguments")?;
    let flag = |one: &Value| {
        Some(format!(
            "--{}={}",
            one["name"].as_str()?,
            one["value"].as_str()?
        ))
    };
    arguments
        .iter()
        .map(|one| flag(one).context("an argument without name or value"))
        .collect()
}

/// kube-apiserver with etcd in it.
pub(super) fn apiserver(plane: &ControlPlane) -> Result<Command> {
    let (run, options) = (&plane.run, &plane.options);
    let pki = run.join("pki");
    let policy = paths::repository().join("deploy/audit-policy.yaml");
    let mut command = Command::new(plane.program(Part::ApiServer.name()));
    let mut flag = |name: &str, value: &dyn std::fmt::Display| {
        command.arg(format!("--{name}={value}"));
    };
    flag("docket-etcd-dir", &run.join("etcd").display());
    flag("bind-address", &"127.0.0.1");
    flag("advertise-address", &"127.0.0.1");
    flag("secure-port", &plane.ports.apiserver);
    flag("endpoint-reconciler-type", &"none");
    flag("service-cluster-ip-range", &"10.0.0.0/24");
    flag("cert-dir", &pki.display());
    flag("tls-cert-file", &pki.join("kube-apiserver.crt").display());
    flag(
        "tls-private-key-file",
        &pki.join("kube-apiserver.key").display(),
    );
    flag(
        "client-ca-file",
        &plane.authorities.cluster.certificate().display(),
    );
    flag("token-auth-file", &run.join("tokens.csv").display());
    flag("authorization-mode", &"RBAC");
    flag("allow-privileged", &true);
    // Pods of the tests have no service account; tokens of accounts work all the same.
    flag("disable-admission-plugins", &"ServiceAccount");
    flag("service-account-issuer", &"https://kubernetes.default.svc");
    flag(
        "service-account-key-file",
        &pki.join("service-accounts.pub").display(),
    );
    flag(
        "service-account-signing-key-file",
        &pki.join("service-accounts.key").display(),
    );
    flag(
        "requestheader-client-ca-file",
        &plane.authorities.front_proxy.certificate().display(),
    );
    flag("requestheader-allowed-names", &"front-proxy-client");
    flag("requestheader-username-headers", &"X-Remote-User");
    flag("requestheader-group-headers", &"X-Remote-Group");
    flag("requestheader-extra-headers-prefix", &"X-Remote-Extra-");
    flag(
        "proxy-client-cert-file",
        &pki.join("front-proxy-client.crt").display(),
    );
    flag(
        "proxy-client-key-file",
        &pki.join("front-proxy-client.key").display(),
    );
    if !options.audit_config {
        flag(
            "admission-control-config-file",
            &run.join("admission.json").display(),
        );
        flag("audit-policy-file", &policy.display());
        flag("audit-log-path", &plane.audit_log().display());
        flag("audit-log-maxsize", &100);
    }
    if !options.audit_config && options.audit_webhook != AuditWebhook::Off {
        flag(
            "audit-webhook-config-file",
            &run.join("audit.kubeconfig").display(),
        );
        // Only the wait is shortened; the back-off stays at its default.
        flag("audit-webhook-batch-max-wait", &"1s");
    }
    if let Some(size) = options.truncate_audit_at {
        flag("audit-webhook-truncate-enabled", &true);
        flag("audit-webhook-truncate-max-event-size", &size);
    }
    if options.audit_config {
        command.args(printed_flags(plane)?);
    }
    command.args(&options.apiserver_flags);
    Ok(command)
}

/// The controller manager: the same program under another name.
pub(super) fn controller_manager(plane: &ControlPlane) -> Result<Command> {
    let part = Part::ControllerManager.name();
    let program = plane.run.join("bin").join(part);
    if !program.exists() {
        std::fs::create_dir_all(plane.run.join("bin")).context("create the run's bin")?;
        std::os::unix::fs::symlink(plane.program(Part::ApiServer.name()), &program)
            .context("name the controller manager")?;
    }
    let config = plane.run.join(format!("{part}.kubeconfig"));
    let authority = &plane.authorities.cluster;
    let user = "system:kube-controller-manager";
    let identity = authority.client(part, user, Some("system:masters"))?;
    files::kubeconfig(
        &config,
        &plane.url,
        &authority.certificate(),
        &[(part, Credential::Certificate(identity))],
    )?;
    let mut command = Command::new(program);
    command
        .arg(format!("--kubeconfig={}", config.display()))
        .arg("--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller")
        .arg("--leader-elect=false")
        .arg("--use-service-account-credentials=false")
        .arg("--secure-port=0");
    Ok(command)
}

/// The roles that Docket ships, with their namespace.
pub(super) fn shipped_rbac() -> Result<Vec<Value>> {
    manifests::read(&paths::repository().join("deploy/rbac.yaml"))
}
