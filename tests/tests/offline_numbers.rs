//! A real witness and a real reporter, without a cluster: what becomes of numbers whose
//! audit event does not come, or comes without them.

use anyhow::{Context as _, Result};
use docket_ledger::query::Reader;
use docket_tests::call::Http;
use docket_tests::kube_double::KubeDouble;
use docket_tests::pki::Authority;
use docket_tests::process::{self, Process, Watchdog};
use docket_tests::{Progress, binaries, eventually, on_shared_runtime};
use http::Method;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const USER: &str = "alice";
const NAMESPACE: &str = "krate-org-acme";
const SOON: Duration = Duration::from_secs(60);

/// The two processes, and the API server's side of both.
struct Court {
    http: Http,
    hooks: String,
    audit: String,
    serial: u32,
}

fn port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The time now, as the API server writes it.
fn now() -> Result<String> {
    let output = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"])
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Court {
    /// One create as the API server carries it out: both hooks are called, then the event.
    async fn create(&mut self, name: &str) -> Result<Value> {
        let received = now()?;
        let mut annotations = serde_json::Map::new();
        for (path, hook) in [("mutate", "witness"), ("validate", "final")] {
            self.serial += 1;
            let uid = format!("7d0d4a3e-0000-4000-8000-{:012}", self.serial);
            let review = json!({
                "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
                "request": {
                    "uid": uid, "operation": "CREATE", "name": name, "namespace": NAMESPACE,
                    "kind": {"group": "krate.a5c.ai", "version": "v1alpha1", "kind": "PullRequest"},
                    "resource": {"group": "krate.a5c.ai", "version": "v1alpha1", "resource": "pullrequests"},
                    "userInfo": {"username": USER},
                    "object": {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}},
                    "oldObject": null, "dryRun": false,
                },
            });
            let call = self
                .http
                .call(Method::POST, format!("{}/{path}?timeout=1s", self.hooks));
            let reply = call.json(&review).send().await?.accepted()?;
            let said = reply.body["response"]["auditAnnotations"].as_object();
            let (uid, testimony) = said
                .and_then(|said| said.iter().next())
                .context("no testimony")?;
            annotations.insert(format!("{hook}.docket.a5c.ai/{uid}"), testimony.clone());
        }
        Ok(json!({
            "level": "Metadata", "auditID": format!("a-{}", self.serial), "stage": "ResponseComplete",
            "requestURI": format!("/apis/krate.a5c.ai/v1alpha1/namespaces/{NAMESPACE}/pullrequests"),
            "verb": "create", "user": {"username": USER}, "sourceIPs": ["127.0.0.1"],
            "objectRef": {"resource": "pullrequests", "namespace": NAMESPACE, "name": name,
                "apiGroup": "krate.a5c.ai", "apiVersion": "v1alpha1"},
            "responseStatus": {"metadata": {}, "code": 201},
            "requestReceivedTimestamp": received, "stageTimestamp": now()?,
            "annotations": annotations,
        }))
    }

    async fn deliver(&self, items: &[&Value]) -> Result<()> {
        let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items});
        let call = self
            .http
            .call(Method::POST, format!("{}/audit", self.audit));
        call.json(&list).send().await?.accepted()?;
        Ok(())
    }
}

fn witness(run: &Path, authority: &Authority, ports: [u16; 3]) -> Result<Process> {
    let identity = authority.server("docket-webhook")?;
    let mut command = Command::new(run.join("bin/docket-webhook"));
    command
        .args([
            "--listen",
            &at(ports[0]),
            "--exhibits-listen",
            &at(ports[1]),
        ])
        .args(["--admin-listen", &at(ports[2])])
        .args(["--cluster", "c", "--instance", "witness-0"])
        .arg("--mac-keys")
        .arg(run.join("mac-keys"));
    for (flag, file) in [
        ("--tls-cert", &identity.certificate),
        ("--tls-key", &identity.key),
        ("--exhibits-tls-cert", &identity.certificate),
        ("--exhibits-tls-key", &identity.key),
        ("--exhibits-client-ca", &authority.certificate()),
    ] {
        command.arg(flag).arg(file);
    }
    Process::spawn(run, "docket-webhook", command)
}

fn reporter(run: &Path, authority: &Authority, exhibits: u16, audit: u16) -> Result<Process> {
    let identity = authority.client("exhibits-client", "docket-reporter", None)?;
    let mut command = Command::new(run.join("bin/docket-reporter"));
    command
        .args(["--cluster", "c", "--number-wait", "4s"])
        .args(["--audit-listen", &at(audit), "--audit-insecure"])
        .args(["--admin-listen", &at(port()?)])
        .args(["--witness", &format!("witness-0=https://{}", at(exhibits))]);
    for (flag, file) in [
        ("--store", run.join("ledger")),
        ("--signing-key", run.join("signing-key")),
        ("--mac-keys", run.join("mac-keys")),
        ("--kubeconfig", run.join("kubeconfig")),
        ("--witness-ca", authority.certificate()),
        ("--witness-cert", identity.certificate),
        ("--witness-key", identity.key),
    ] {
        command.arg(flag).arg(file);
    }
    Process::spawn(run, "docket-reporter", command)
}

#[test]
fn a_hidden_write_is_a_gap_that_names_it_and_one_whose_client_hung_up_is_none() {
    on_shared_runtime(async {
        let directory = tempfile::tempdir()?;
        let run = directory.path();
        binaries::docket(&run.join("bin"), &Progress::quiet())?;
        for dir in ["pids", "logs"] {
            std::fs::create_dir_all(run.join(dir))?;
        }
        process::write_private(&run.join("mac-keys/k1"), "5a".repeat(32))?;
        // Each leaves it out, and neither cares.
        process::write_private(&run.join("mac-keys/k1.old"), "half a key")?;
        let authority = Authority::new(&run.join("pki"), "ca")?;
        let double = KubeDouble::start().await?;
        double.kubeconfig(&run.join("kubeconfig"))?;
        let watchdog = Watchdog::start(run)?;
        let (hooks, exhibits, audit) = (port()?, port()?, port()?);
        let _reporter = reporter(run, &authority, exhibits, audit)?;
        // Older processes than the ledger are not accounted for.
        eventually("the reporter is up", SOON, || async {
            Ok(std::net::TcpStream::connect(at(audit))
                .is_ok()
                .then_some(()))
        })
        .await?;
        let _witness = witness(run, &authority, [hooks, exhibits, port()?])?;
        eventually("the witness is up", SOON, || async {
            Ok(std::net::TcpStream::connect(at(hooks))
                .is_ok()
                .then_some(()))
        })
        .await?;
        let mut court = Court {
            http: Http::new(&[authority.pem()], None)?,
            hooks: format!("https://{}", at(hooks)),
            audit: format!("http://{}", at(audit)),
            serial: 0,
        };

        let first = court.create("pr-1").await?;
        let mut hung_up = court.create("pr-2").await?;
        hung_up["annotations"] = json!({});
        hung_up["responseStatus"] = json!({"metadata": {}, "code": 504, "reason": "Timeout",
            "message": "Timeout: request did not complete within requested timeout - context canceled"});
        let _hidden = court.create("pr-3").await?;
        let last = court.create("pr-4").await?;
        court.deliver(&[&first, &hung_up, &last]).await?;

        let gaps = eventually("a gap is on record", SOON, || async {
            let gaps = Reader::open(&run.join("ledger"))?.gaps(true)?;
            Ok((!gaps.is_empty()).then_some(gaps))
        })
        .await?;
        assert_eq!(gaps.len(), 1);
        let gap: Value = serde_json::from_slice(&gaps[0].row.public)?;
        // 1 and 2 are pr-1's, 3 and 4 pr-2's.
        assert_eq!(gap["numbers"], json!([5, 6]), "{gap}");
        let hooks: Vec<&Value> = gap["writes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|write| &write["hook"])
            .collect();
        assert_eq!(hooks, ["witness", "final"], "{gap}");
        assert_eq!(gap["writes"][0]["resource"], "pullrequests");
        assert!(!gap.to_string().contains("pr-3"), "{gap}");
        let personal: Value = serde_json::from_slice(gaps[0].row.personal.as_deref().unwrap())?;
        let who = json!({"number": 6, "name": "pr-3", "user": USER});
        assert_eq!(personal["writes"][1], who);
        drop(watchdog);
        Ok(())
    });
}
