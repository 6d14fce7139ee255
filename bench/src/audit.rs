//! `/audit`: durable audit events per second, through TLS into the real reporter.
//!
//! Two baselines in the same run, each with the same bytes: an endpoint that reads and
//! counts the body (what TLS and HTTP cost), and one plain SQLite table, one synced
//! transaction a batch (what durability costs). Sender and receiver share the machine.

use crate::reporter::{Certificates, Target};
use anyhow::Context as _;
use bytes::Bytes;
use docket_record::denial::Context;
use docket_record::testimony::{Bound, FINAL, Keys, Process, Testimony, WITNESS};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// As many events as kube-apiserver puts into one batch.
const BATCH: usize = 400;
const CLUSTER: &str = "bench";
const KEY: &str = "abababababababababababababababababababababababababababababababab";

/// What to send.
#[derive(clap::Args)]
pub struct Args {
    /// Batches of 400 events for each row of the table.
    #[arg(long, default_value_t = 100)]
    batches: usize,
    /// Deliveries at one time.
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// The reporter; default: beside this program.
    #[arg(long)]
    reporter: Option<PathBuf>,
}

/// Prints the table.
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
pub fn run(args: Args) -> anyhow::Result<()> {
    let program = match args.reporter {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("docket-reporter"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!(
        "/audit: {} batches of {BATCH} events, {} at once, over TLS on loopback, one machine\n",
        args.batches, args.at_once
    );
    println!(
        "{:>9} {:>9} {:>13} {:>13} {:>7} {:>13} {:>13} {:>7}",
        "denials",
        "KiB/batch",
        "count only/s",
        "reporter/s",
        "ratio",
        "sqlite rows/s",
        "denials/s",
        "ratio"
    );
    for percent in [1, 100] {
        let dir = tempfile::tempdir()?;
        let certificates = Certificates::new(dir.path())?;
        let (batches, denied) = batches(args.batches, percent)?;
        let events = batches.len() * BATCH;
        let size = batches.iter().map(Bytes::len).sum::<usize>() / batches.len() / 1024;

        let sink = Target::sink(&certificates)?;
        let seconds = runtime.block_on(send(&sink, &certificates, &batches, args.at_once))?;
        let counted = rate(events, seconds);
        drop(sink);

        let sqlite = rate(
            denied.len(),
            insert(&dir.path().join("plain.sqlite"), &denied)?,
        );

        let reporter = Target::reporter(&program, &certificates, CLUSTER, KEY)?;
        let seconds = runtime.block_on(send(&reporter, &certificates, &batches, args.at_once))?;
        let kept = rate(events, seconds);
        let denials = rate(denied.len(), seconds);
        anyhow::ensure!(
            reporter.denials()? == denied.len() as u64,
            "the ledger holds {} denials, {} were sent",
            reporter.denials()?,
            denied.len()
        );
        println!(
            "{percent:>8}% {size:>9} {counted:>13.0} {kept:>13.0} {:>7.2} {sqlite:>13.0} {denials:>13.0} {:>7.2}",
            kept / counted,
            denials / sqlite
        );
    }
    println!("\nA 200 of the reporter means committed and synced; each denial was found once.");
    println!("The last three columns count denied events only: at 1 % they say little.");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// One plain table, the same bytes, one synced transaction for each batch.
fn insert(path: &Path, denied: &[Vec<u8>]) -> anyhow::Result<f64> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute(
        "create table event (position integer primary key, bytes blob)",
        [],
    )?;
    let began = Instant::now();
    for batch in denied.chunks(BATCH) {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("insert into event (bytes) values (?1)")?;
            for bytes in batch {
                insert.execute([bytes])?;
            }
        }
        transaction.commit()?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Seconds until every batch was answered with 200.
async fn send(
    target: &Target,
    certificates: &Certificates,
    batches: &[Bytes],
    at_once: usize,
) -> anyhow::Result<f64> {
    let client = certificates.client()?;
    let uri: http::Uri = format!("https://{}/audit", target.address()).parse()?;
    let next = std::sync::atomic::AtomicUsize::new(0);
    let began = Instant::now();
    let senders = (0..at_once).map(|_| async {
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(batch) = batches.get(at) else {
                return anyhow::Ok(());
            };
            loop {
                let request = http::Request::post(uri.clone())
                    .header("content-type", "application/json")
                    .body(Full::new(batch.clone()))?;
                let status = client.request(request).await.context("delivery")?.status();
                if status == http::StatusCode::OK {
                    break;
                }
                anyhow::ensure!(status.as_u16() == 503, "answered {status}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    });
    for sent in futures::future::join_all(senders).await {
        sent?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Batches as kube-apiserver sends them, and the bytes of the denied events.
fn batches(count: usize, percent: usize) -> anyhow::Result<(Vec<Bytes>, Vec<Vec<u8>>)> {
    let keys = Keys::from_entries([("k1", KEY)])?;
    let mut clock = Timestamp::now();
    let process = Process {
        instance: "witness-0".into(),
        started: clock.as_millisecond(),
    };
    let mut number = 0;
    let mut denied = Vec::new();
    let mut all = Vec::with_capacity(count);
    for batch in 0..count {
        let mut items = Vec::with_capacity(BATCH);
        for item in 0..BATCH {
            let serial = batch * BATCH + item;
            let deny = serial * percent % 100 < percent;
            let event = event(&keys, &process, &mut number, clock, serial, deny)?;
            clock += SignedDuration::from_millis(1);
            if deny {
                denied.push(serde_json::to_vec(&event)?);
            }
            items.push(event);
        }
        let list = json!({
            "kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items,
        });
        all.push(Bytes::from(serde_json::to_vec(&list)?));
    }
    Ok((all, denied))
}

fn event(
    keys: &Keys,
    process: &Process,
    number: &mut u64,
    received: Timestamp,
    serial: usize,
    deny: bool,
) -> anyhow::Result<Value> {
    let (name, user) = (
        format!("pr-{serial}"),
        format!("dev-{}@acme.example", serial % 50),
    );
    let sha256 = |text: &str| -> anyhow::Result<[u8; 32]> {
        Ok(digest(&SHA256, text.as_bytes()).as_ref().try_into()?)
    };
    let mut annotations = serde_json::Map::new();
    for (hook, place) in [(WITNESS, 0), (FINAL, 1)] {
        *number += 1;
        let uid = format!("{serial:08x}-0000-4000-8000-{place:012x}");
        let bound = Bound {
            cluster: CLUSTER,
            hook,
            uid: &uid,
            group: "krate.a5c.ai",
            resource: "pullrequests",
            subresource: "",
            namespace: "krate-org-acme",
            name_sha256: sha256(&name)?,
            user_sha256: sha256(&user)?,
        };
        let testimony = Testimony {
            key_id: String::new(),
            process: process.clone(),
            number: Some(*number),
            time: received + SignedDuration::from_micros(10),
            operation: "CREATE".into(),
            dry_run: false,
            old_uid: String::new(),
            context: Context {
                org: "acme".into(),
                repository: "web".into(),
                surface: "pr".into(),
                ..Context::default()
            },
            generated_name: String::new(),
            exhibit: (2000, "0123456789abcdef".into()),
        };
        let value = keys.sign(&testimony, &bound).context("no key")?;
        annotations.insert(format!("{hook}/{uid}"), value.into());
    }
    let status = if deny {
        let message = "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: \
            Policy require-pr-description failed: a pull request needs a description of at least \
            20 characters";
        json!({"metadata": {}, "status": "Failure", "message": message, "code": 400})
    } else {
        json!({"metadata": {}, "code": 201})
    };
    Ok(json!({
        "level": "Metadata",
        "auditID": format!("{serial:08x}-1111-4111-8111-000000000000"),
        "stage": "ResponseComplete",
        "requestURI": "/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests?fieldManager=kubectl-client-side-apply&fieldValidation=Strict",
        "verb": "create",
        "user": {"username": user, "groups": ["acme:developers", "system:authenticated"]},
        "sourceIPs": ["10.0.0.7"],
        "userAgent": "kubectl/v1.36.3 (linux/amd64) kubernetes/0000000",
        "objectRef": {
            "resource": "pullrequests", "namespace": "krate-org-acme", "name": name,
            "apiGroup": "krate.a5c.ai", "apiVersion": "v1alpha1",
        },
        "responseStatus": status,
        "requestReceivedTimestamp": format!("{received:.6}"),
        "stageTimestamp": format!("{:.6}", received + SignedDuration::from_millis(4)),
        "annotations": annotations,
    }))
}
