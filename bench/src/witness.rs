//! `docket-webhook`, the real binary with everything on (key, MAC, client certificates,
//! exhibits), against [`crate::echo`], in turns on the same core.

use crate::load::{Caller, Shot, UID, open_loop, saturate};
use crate::process::{Server, free_address, pin_self};
use anyhow::{Context, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Size of a review in bytes, and the part of the echo's requests per second aimed at.
const SIZES: [(usize, f64); 3] = [(2_000, 0.9), (20_000, 0.8), (200_000, 0.65)];
/// Enough to keep one core busy.
const CONNECTIONS: usize = 16;
/// Turns of each server per size: what disturbs the machine disturbs both.
const TURNS: usize = 3;
const OPEN_LOOP: u32 = 500;
/// Common name of every certificate here.
pub const NAME: &str = "bench";
/// What the witness holds once it has been up for a while. Measured before that, the system
/// hands out fresh pages for it, which is the start's price and not a review's.
const EXHIBITS: usize = 64 << 20;

/// How to measure the witness.
#[derive(clap::Args)]
pub struct Args {
    /// The binary measured [default: docket-webhook beside this one].
    #[arg(long, value_name = "FILE")]
    webhook: Option<PathBuf>,
    /// Length of one turn under full load, and of one at 500 calls a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    turn: u64,
}

/// Starts both servers, measures, prints.
pub fn run(args: Args) -> anyhow::Result<()> {
    let beside = std::env::current_exe()?.with_file_name("docket-webhook");
    let webhook = args.webhook.unwrap_or(beside);
    ensure!(
        webhook.exists(),
        "no {}: build it with `cargo build --release -p docket-webhook`",
        webhook.display()
    );
    // Before the runtime: its threads take their core from this one.
    let pinned = pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let table = runtime.block_on(measure(&webhook, Duration::from_secs(args.turn), pinned))?;
    #[expect(clippy::print_stdout, reason = "the table is what this command is for")]
    {
        println!("{table}");
    }
    Ok(())
}

struct Contestant {
    name: &'static str,
    server: Server,
    address: SocketAddr,
}

/// What was measured of one server, or of one state of it.
#[derive(Default)]
pub struct Figures {
    /// Calls under full load.
    pub calls: u64,
    /// Processor time that they took.
    pub busy: Duration,
    /// Time that they took.
    pub wall: Duration,
    /// Of calls at a steady rate, how long each took; sorted before it is read.
    pub took: Vec<Duration>,
}

impl Figures {
    /// Calls a second of one core that does nothing else.
    fn per_core(&self) -> f64 {
        self.calls as f64 / self.busy.as_secs_f64().max(f64::EPSILON)
    }

    /// In milliseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        let at = ((self.took.len() as f64 - 1.0) * part).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let at = at.max(0.0) as usize;
        self.took
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

async fn measure(webhook: &Path, turn: Duration, pinned: bool) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let config = certificates(dir.path())?;
    let contestants = [
        start_echo(dir.path(), pinned)?,
        start_witness(webhook, dir.path(), pinned)?,
    ];
    let mut table = format!(
        "The witness against a bare TLS echo on the same stack (HTTP/1.1, {CONNECTIONS} connections;\n\
         measured: {}, with MAC, client certificates and 64 MiB of exhibits).\n\
         Requests/s are per second of the server's processor time, {}.\n\n\
         {:>7}  {:<8} {:>12} {:>7} {:>6} {:>10} {:>6} {:>10} {:>10} {:>9}\n",
        webhook.display(),
        if pinned {
            "each server alone on core 0, the load on core 1"
        } else {
            "not pinned"
        },
        "review",
        "server",
        "req/s/core",
        "ratio",
        "aim",
        "req/s wall",
        "busy",
        "p50 ms",
        "p99 ms",
        "RSS MiB",
    );
    for (size, aim) in SIZES {
        let shot = Shot::new(&review(size))?;
        let mut figures = [Figures::default(), Figures::default()];
        for contestant in &contestants {
            let mut callers = connect(contestant.address, &config).await?;
            let mut calls = 0;
            while calls < (EXHIBITS / size) as u64 {
                calls += saturate(&mut callers, &shot, Duration::from_millis(100)).await?;
            }
        }
        for _ in 0..TURNS {
            for (contestant, figures) in contestants.iter().zip(&mut figures) {
                let mut callers = connect(contestant.address, &config).await?;
                // Warm: buffers have grown to their size.
                saturate(&mut callers, &shot, Duration::from_millis(200)).await?;
                let (busy, began) = (contestant.server.cpu()?, std::time::Instant::now());
                figures.calls += saturate(&mut callers, &shot, turn).await?;
                figures.wall += began.elapsed();
                figures.busy += contestant.server.cpu()?.saturating_sub(busy);
                figures
                    .took
                    .extend(open_loop(&mut callers, &shot, OPEN_LOOP, turn).await?);
            }
        }
        let limit = figures[0].per_core();
        for (contestant, figures) in contestants.iter().zip(&mut figures) {
            figures.took.sort_unstable();
            let echo = contestant.name == "echo";
            writeln!(
                table,
                "{:>4} KB  {:<8} {:>12.0} {:>7} {:>6} {:>10.0} {:>5.0}% {:>10.3} {:>10.3} {:>9.1}",
                size / 1000,
                contestant.name,
                figures.per_core(),
                if echo {
                    String::new()
                } else {
                    format!("{:.2}", figures.per_core() / limit)
                },
                if echo {
                    String::new()
                } else {
                    format!("{aim:.2}")
                },
                figures.calls as f64 / figures.wall.as_secs_f64(),
                100.0 * figures.busy.as_secs_f64() / figures.wall.as_secs_f64(),
                figures.percentile(0.5),
                figures.percentile(0.99),
                contestant.server.memory()?.0,
            )?;
        }
    }
    let highest: Vec<String> = contestants
        .iter()
        .map(|c| Ok(format!("{} {:.1} MiB", c.name, c.server.memory()?.1)))
        .collect::<anyhow::Result<_>>()?;
    write!(
        table,
        "\np50 and p99 at {OPEN_LOOP} calls/s (open loop). Highest RSS: {}.",
        highest.join(", ")
    )?;
    Ok(table)
}

async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> anyhow::Result<Vec<Caller>> {
    let mut callers = Vec::new();
    for _ in 0..CONNECTIONS {
        callers.push(Caller::connect(address, Arc::clone(config)).await?);
    }
    Ok(callers)
}

fn start_echo(dir: &Path, pinned: bool) -> anyhow::Result<Contestant> {
    let address = free_address()?;
    let (listen, cert, key) = (
        address.to_string(),
        dir.join("tls.crt"),
        dir.join("tls.key"),
    );
    let args: [&OsStr; 7] = [
        "echo".as_ref(),
        "--listen".as_ref(),
        listen.as_ref(),
        "--tls-cert".as_ref(),
        cert.as_ref(),
        "--tls-key".as_ref(),
        key.as_ref(),
    ];
    let me = std::env::current_exe()?;
    let server = Server::start(me.as_os_str(), &args, address, pinned)?;
    Ok(Contestant {
        name: "echo",
        server,
        address,
    })
}

fn start_witness(webhook: &Path, dir: &Path, pinned: bool) -> anyhow::Result<Contestant> {
    let address = free_address()?;
    let keys = dir.join("keys");
    std::fs::create_dir_all(&keys)?;
    std::fs::write(keys.join("k1"), "5a".repeat(32))?;
    let (listen, exhibits, admin) = (
        address.to_string(),
        free_address()?.to_string(),
        free_address()?.to_string(),
    );
    let (cert, key, ca) = (dir.join("tls.crt"), dir.join("tls.key"), dir.join("ca.crt"));
    let flags: [(&str, &OsStr); 11] = [
        ("--listen", listen.as_ref()),
        ("--tls-cert", cert.as_ref()),
        ("--tls-key", key.as_ref()),
        ("--client-ca", ca.as_ref()),
        ("--exhibits-listen", exhibits.as_ref()),
        ("--exhibits-tls-cert", cert.as_ref()),
        ("--exhibits-tls-key", key.as_ref()),
        ("--exhibits-client-ca", ca.as_ref()),
        ("--admin-listen", admin.as_ref()),
        ("--mac-keys", keys.as_ref()),
        ("--cluster", "bench".as_ref()),
    ];
    let args: Vec<&OsStr> = flags
        .iter()
        .flat_map(|(flag, value)| [flag.as_ref(), *value])
        .collect();
    let server = Server::start(webhook.as_os_str(), &args, address, pinned)?;
    Ok(Contestant {
        name: "witness",
        server,
        address,
    })
}

/// One authority for both sides; what the callers present and trust.
pub fn certificates(dir: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "bench");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    std::fs::write(dir.join("ca.crt"), &ca_pem)?;
    let issuer = Issuer::new(ca, ca_key);
    let issue = || -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, NAME);
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    };
    let (cert, key) = issue()?;
    std::fs::write(dir.join("tls.crt"), cert)?;
    std::fs::write(dir.join("tls.key"), key)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let (cert, key) = issue()?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).context("key")?,
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A created pipeline of about this size, shaped like what people write: many short fields.
pub fn review(size: usize) -> String {
    let step = |n: usize| {
        json!({
            "name": format!("step-{n}"),
            "image": format!("registry.example/build/tool:{n}.4.2"),
            "command": ["/bin/sh", "-c", format!("make target-{n} && echo \"done\"")],
            "env": [{ "name": "MODE", "value": "release" }, { "name": "STEP", "value": n.to_string() }],
            "timeoutSeconds": 30 + n, "allowFailure": false
        })
    };
    let whole = |steps: Vec<serde_json::Value>| {
        json!({
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": UID,
                "kind": { "group": "krate.a5c.ai", "version": "v1alpha1", "kind": "Pipeline" },
                "resource": { "group": "krate.a5c.ai", "version": "v1alpha1", "resource": "pipelines" },
                "name": "nightly", "namespace": "krate-org-acme", "operation": "CREATE",
                "userInfo": { "username": "ann", "groups": ["developers", "system:authenticated"] },
                "object": {
                    "apiVersion": "krate.a5c.ai/v1alpha1", "kind": "Pipeline",
                    "metadata": { "name": "nightly", "namespace": "krate-org-acme",
                        "labels": { "krate.a5c.ai/org": "acme", "app.kubernetes.io/name": "web" } },
                    "spec": { "organizationRef": "acme", "repository": "web", "ref": "main",
                        "pullRequest": "pr-7", "steps": steps }
                },
                "oldObject": null, "dryRun": false,
                "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" }
            }
        })
        .to_string()
    };
    let (none, one) = (whole(Vec::new()).len(), whole(vec![step(100)]).len());
    let count = size.saturating_sub(none) / (one - none).max(1);
    whole((0..count).map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_has_about_the_size_asked_for() {
        for (size, _) in SIZES {
            let length = review(size).len();
            assert!(length.abs_diff(size) * 10 < size * 2, "{length} for {size}");
        }
    }

    #[test]
    fn percentiles_are_taken_from_sorted_times() {
        let took = (1..=100).map(Duration::from_millis).collect();
        let figures = Figures {
            took,
            ..Figures::default()
        };
        assert_eq!(figures.percentile(0.5), 51.0);
        assert_eq!(figures.percentile(0.99), 99.0);
    }
}
