//! `/metrics` of both processes after a recorded day, taken apart.

use anyhow::{Context as _, Result};
use docket_tests::call::Http;
use docket_tests::kube_double::KubeDouble;
use docket_tests::pki::Authority;
use docket_tests::process::{Process, Watchdog};
use docket_tests::{Progress, binaries, eventually, replay};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Labels of each sample, by the sample's name; and what kind each metric is.
#[derive(Default)]
pub struct Exposed {
    pub samples: BTreeMap<String, Vec<BTreeMap<String, String>>>,
    pub kinds: BTreeMap<String, Kind>,
}

/// Runs both, and reads both.
pub async fn exposed() -> Result<Exposed> {
    let directory = tempfile::tempdir()?;
    let run = directory.path();
    binaries::docket(&run.join("bin"), &Progress::quiet())?;
    for dir in ["pids", "logs"] {
        std::fs::create_dir_all(run.join(dir))?;
    }
    let authority = Authority::new(&run.join("pki"), "ca")?;
    let double = KubeDouble::start().await?;
    double.kubeconfig(&run.join("kubeconfig"))?;
    let watchdog = Watchdog::start(run)?;
    let free = || Ok::<_, std::io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let at = |port: u16| format!("127.0.0.1:{port}");
    let (reporter, witness) = (free()?, free()?);

    let day = replay::day();
    std::fs::copy(day.join("audit.jsonl"), run.join("audit.log"))?;
    let cluster = std::fs::read_to_string(day.join("cluster"))?;
    let mut command = Command::new(run.join("bin/docket-reporter"));
    command
        .arg("--store")
        .arg(run.join("ledger"))
        .arg("--signing-key")
        .arg(run.join("signing-key"))
        .args(["--cluster", cluster.trim()])
        .arg("--mac-keys")
        .arg(day.join("mac-keys"))
        .arg("--kubeconfig")
        .arg(run.join("kubeconfig"))
        .args(["--audit-listen", &at(free()?), "--audit-insecure"])
        .args([
            "--audit-file",
            &format!("log={}", run.join("audit.log").display()),
        ])
        .args(["--admin-listen", &at(reporter)]);
    let _reporter = Process::spawn(run, "docket-reporter", command)?;

    let identity = authority.server("docket-webhook")?;
    let mut command = Command::new(run.join("bin/docket-webhook"));
    command
        .args(["--listen", &at(free()?)])
        .arg("--tls-cert")
        .arg(identity.certificate)
        .arg("--tls-key")
        .arg(identity.key)
        .arg("--client-ca")
        .arg(authority.certificate())
        .args(["--admin-listen", &at(witness)])
        .arg("--mac-keys")
        .arg(day.join("mac-keys"))
        .args(["--cluster", cluster.trim(), "--instance", "witness-0"]);
    let _witness = Process::spawn(run, "docket-webhook", command)?;

    let http = Http::new(&[], None)?;
    let mut exposed = Exposed::default();
    for (port, last) in [
        // The file is read to its end, and nothing is waited for any more.
        (reporter, "docket_reporter_file_behind_bytes{"),
        (witness, "docket_witness_has_key 1"),
    ] {
        let url = format!("http://{}/metrics", at(port));
        let text = eventually("the metrics are there", Duration::from_secs(60), || async {
            let Ok(reply) = http.get(&url).send().await else {
                return Ok(None);
            };
            Ok(reply.text.contains(last).then_some(reply.text))
        })
        .await?;
        exposed.read(&text)?;
    }
    drop(watchdog);
    Ok(exposed)
}

impl Exposed {
    /// The text form, as far as it is used here.
    fn read(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').context(line.to_owned())?;
                let (name, kind) = match kind {
                    "counter" => (format!("{name}_total"), Kind::Counter),
                    "info" => (format!("{name}_info"), Kind::Counter),
                    "gauge" => (name.to_owned(), Kind::Gauge),
                    "histogram" => (name.to_owned(), Kind::Histogram),
                    other => anyhow::bail!("{other} is a new kind: {line}"),
                };
                self.kinds.insert(name, kind);
            } else if !line.starts_with('#') {
                let (series, _) = line.rsplit_once(' ').context(line.to_owned())?;
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let labels = labels.trim_end_matches('}').split("\",");
                let labels = labels.filter_map(|pair| pair.split_once("=\""));
                let labels =
                    labels.map(|(name, value)| (name.into(), value.trim_end_matches('"').into()));
                let samples = self.samples.entry(name.to_owned()).or_default();
                samples.push(labels.collect());
            }
        }
        Ok(())
    }
}
