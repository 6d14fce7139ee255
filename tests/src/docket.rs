//! Docket's own processes: how they are started, and the registration of the hooks.

use crate::options::Options;
use crate::plane::ControlPlane;
use crate::run::eventually;
use crate::{files, manifests, paths, process};
use anyhow::{Context as _, Result};
use http::Method;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// The cluster's name in every record of a plane.
pub const CLUSTER: &str = "plane";
/// The witness's name in its testimonies.
pub const WITNESS: &str = "witness-0";
/// Common name of the API server's certificate for `/audit`, also the source's name.
pub const AUDIT_SOURCE: &str = "kube-apiserver";
/// The source that is the API server's own log file.
pub const AUDIT_FILE_SOURCE: &str = "kube-apiserver-log";
/// The account that the shipped RBAC is written for.
const REPORTER_ACCOUNT: &str = "system:serviceaccount:docket-system:docket-reporter";

/// The API server looks at an APIService again every few seconds; a loaded machine is slow.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Keys and certificates that the two processes need.
pub(crate) fn prepare(plane: &ControlPlane) -> Result<()> {
    let dir = plane.run_dir();
    process::write_private(&dir.join("mac-keys/k1"), files::secret(32)? + "\n")?;
    let docket = plane.docket_authority();
    for name in ["docket-webhook", "docket-reporter"] {
        docket.server(name)?;
    }
    docket.client("exhibits-client", "docket-reporter", None)?;
    docket.client("api-client", "docket-webhook", None)?;
    let identity = plane
        .authority()
        .client("reporter-client", REPORTER_ACCOUNT, None)?;
    files::kubeconfig(
        &dir.join("docket-reporter.kubeconfig"),
        plane.url(),
        &plane.authority().certificate(),
        &[("docket-reporter", files::Credential::Certificate(identity))],
    )
}

/// The witness.
pub(crate) fn webhook(plane: &ControlPlane, options: &Options) -> Command {
    let (dir, ports) = (plane.run_dir(), plane.ports());
    let pki = dir.join("pki");
    let mut command = Command::new(plane.program("docket-webhook"));
    command
        .args(["--listen", &loopback(ports.webhook)])
        .arg("--tls-cert")
        .arg(pki.join("docket-webhook.crt"))
        .arg("--tls-key")
        .arg(pki.join("docket-webhook.key"))
        .arg("--client-ca")
        .arg(plane.docket_authority().certificate())
        .args(["--exhibits-listen", &loopback(ports.exhibits)])
        .arg("--exhibits-tls-cert")
        .arg(pki.join("docket-webhook.crt"))
        .arg("--exhibits-tls-key")
        .arg(pki.join("docket-webhook.key"))
        .arg("--exhibits-client-ca")
        .arg(plane.docket_authority().certificate())
        .args(["--api-listen", &loopback(ports.webhook_api)])
        .arg("--api-tls-cert")
        .arg(pki.join("docket-webhook.crt"))
        .arg("--api-tls-key")
        .arg(pki.join("docket-webhook.key"))
        .arg("--api-front-proxy-ca")
        .arg(plane.front_proxy_authority().certificate())
        .args([
            "--api-reporter",
            &format!("https://127.0.0.1:{}", ports.reporter_api),
        ])
        .arg("--api-reporter-ca")
        .arg(plane.docket_authority().certificate())
        .arg("--api-reporter-cert")
        .arg(pki.join("api-client.crt"))
        .arg("--api-reporter-key")
        .arg(pki.join("api-client.key"))
        .args(["--admin-listen", &loopback(ports.webhook_admin)])
        .arg("--mac-keys")
        .arg(dir.join("mac-keys"))
        .args(["--cluster", CLUSTER, "--instance", WITNESS])
        // Nothing routes to it any more when it is told to end.
        .args(["--drain-delay", "0s"])
        .args(&options.webhook_flags);
    command
}

/// The reporter.
pub(crate) fn reporter(plane: &ControlPlane, options: &Options) -> Command {
    let (dir, ports) = (plane.run_dir(), plane.ports());
    let pki = dir.join("pki");
    let mut command = Command::new(plane.program("docket-reporter"));
    command
        .arg("--store")
        .arg(plane.store())
        .arg("--signing-key")
        .arg(dir.join("signing-key"))
        .args(["--cluster", CLUSTER])
        .arg("--mac-keys")
        .arg(dir.join("mac-keys"))
        .args(["--audit-listen", &loopback(ports.audit)])
        .arg("--audit-tls-cert")
        .arg(pki.join("docket-reporter.crt"))
        .arg("--audit-tls-key")
        .arg(pki.join("docket-reporter.key"))
        .arg("--audit-client-ca")
        .arg(plane.docket_authority().certificate())
        .args(["--audit-source", &format!("{AUDIT_SOURCE}={AUDIT_SOURCE}")])
        .args(["--listen", &loopback(ports.rest)])
        .arg("--tls-cert")
        .arg(pki.join("docket-reporter.crt"))
        .arg("--tls-key")
        .arg(pki.join("docket-reporter.key"))
        .args(["--api-listen", &loopback(ports.reporter_api)])
        .arg("--api-tls-cert")
        .arg(pki.join("docket-reporter.crt"))
        .arg("--api-tls-key")
        .arg(pki.join("docket-reporter.key"))
        .arg("--api-client-ca")
        .arg(plane.docket_authority().certificate())
        .args(["--admin-listen", &loopback(ports.reporter_admin)])
        .arg("--kubeconfig")
        .arg(dir.join("docket-reporter.kubeconfig"))
        .args([
            "--witness",
            &format!("{WITNESS}=https://127.0.0.1:{}", ports.exhibits),
        ])
        .arg("--witness-ca")
        .arg(plane.docket_authority().certificate())
        .arg("--witness-cert")
        .arg(pki.join("exhibits-client.crt"))
        .arg("--witness-key")
        .arg(pki.join("exhibits-client.key"))
        .args([
            "--number-wait",
            &format!("{}s", options.number_wait.as_secs()),
        ]);
    if options.audit_file_source {
        let file = format!("{AUDIT_FILE_SOURCE}={}", plane.audit_log().display());
        command.args(["--audit-file", &file]);
    }
    command.args(&options.reporter_flags);
    command
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// `deploy/webhookconfig.yaml` with the hooks' place swapped: a process on loopback
/// instead of a Service. Everything else is what a cluster gets.
pub fn registration(port: u16, authority_pem: &str) -> Result<Vec<Value>> {
    let bundle = data_encoding::BASE64.encode(authority_pem.as_bytes());
    let mut objects = manifests::read(&paths::repository().join("deploy/webhookconfig.yaml"))?;
    for object in &mut objects {
        let hooks = object["webhooks"]
            .as_array_mut()
            .context("no webhooks in the registration")?;
        for hook in hooks {
            let path = hook["clientConfig"]["service"]["path"].as_str();
            let path = path
                .context("a hook of the registration has no path")?
                .to_owned();
            hook["clientConfig"] = json!({
                "url": format!("https://127.0.0.1:{port}{path}"),
                "caBundle": bundle,
            });
        }
    }
    Ok(objects)
}

/// `deploy/apiservice.yaml` with the port of a process on loopback, and the Service that it
/// names: one that only gives another name, since there is no network of Services here.
pub fn api_service(port: u16, authority_pem: &str) -> Result<Vec<Value>> {
    let bundle = data_encoding::BASE64.encode(authority_pem.as_bytes());
    let mut objects = manifests::read(&paths::repository().join("deploy/apiservice.yaml"))?;
    let api = objects.first_mut().context("no APIService")?;
    api["spec"]["caBundle"] = bundle.into();
    let named = &mut api["spec"]["service"];
    named["port"] = port.into();
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": named["name"], "namespace": named["namespace"]},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    });
    objects.insert(0, service);
    Ok(objects)
}

/// Waits until the API server has found the aggregated API.
pub async fn api_available(plane: &ControlPlane) -> Result<()> {
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.docket.a5c.ai";
    eventually("docket.a5c.ai is served", READY_WITHIN, || async {
        let found = plane.admin(Method::GET, path).send().await?.accepted()?;
        let conditions = found.body["status"]["conditions"].as_array();
        let available = conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Available" && condition["status"] == "True");
        Ok(available.then_some(()))
    })
    .await
}
