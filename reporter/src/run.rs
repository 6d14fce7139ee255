//! The parts of the reporter, put together, watched, and taken apart in order.

use crate::args::Arguments;
use crate::doors;
use crate::health::{self, Health};
use crate::keys;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::replay::{self, Scratch};
use crate::serve::Bound;
use crate::sources::Court;
use crate::sources::file::{Shared, Tail};
use crate::sources::quarantine::Quarantine;
use crate::sources::webhook::{self, Names};
use crate::tls::{ClientFiles, Server, ServerFiles};
use crate::watch::Watch;
use crate::witness::Witnesses;
use crate::writer::{Open, Started, Writer};
use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use docket_ledger::store::{Options, Store};
use docket_record::examine::Config;
use docket_record::policies::PolicyList;
use kube::config::{KubeConfigOptions, Kubeconfig};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Time passes in the intake.
const TICK: Duration = Duration::from_secs(1);
/// What the end waits for the ledger's last transaction.
const LAST_COMMIT: Duration = Duration::from_secs(15);

/// Everything that runs. The end of any of it, unasked, ends the process.
#[derive(Default)]
struct Tasks {
    /// End by themselves when told to stop: listeners, file sources.
    serving: JoinSet<(String, Result<()>)>,
    /// Are in the middle of nothing that must finish.
    background: JoinSet<(String, Result<()>)>,
}

impl Tasks {
    fn serve(&mut self, name: &str, task: impl Future<Output = Result<()>> + Send + 'static) {
        let name = name.to_owned();
        self.serving.spawn(async move { (name, task.await) });
    }

    fn spawn(&mut self, name: &str, task: impl Future<Output = Result<()>> + Send + 'static) {
        let name = name.to_owned();
        self.background.spawn(async move { (name, task.await) });
    }

    /// The first to end, which none should.
    async fn first_end(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            Some(ended) = self.serving.join_next() => ended,
            Some(ended) = self.background.join_next() => ended,
            else => return anyhow::anyhow!("nothing runs"),
        };
        match ended {
            Ok((name, Ok(()))) => anyhow::anyhow!("{name} ended by itself"),
            Ok((name, Err(error))) => error.context(format!("{name} ended")),
            Err(error) => anyhow::anyhow!("a part panicked: {error}"),
        }
    }

    /// What takes deliveries first, then what feeds the ledger.
    async fn stop(mut self, stop: &watch::Sender<bool>) {
        stop.send_replace(true);
        while let Some(ended) = self.serving.join_next().await {
            if let Ok((name, Err(error))) = ended {
                tracing::warn!("{name}: {error:#}");
            }
        }
        self.background.shutdown().await;
    }
}

/// Where the record is kept: a store of ours, or one that goes away with a replay.
struct Place {
    store: PathBuf,
    seed: [u8; 32],
    cluster: String,
    mac_keys: PathBuf,
    quarantine: Option<PathBuf>,
    /// Held so that it is removed at the end.
    _scratch: Option<Scratch>,
}

/// Run until a signal.
///
/// # Errors
/// If something can't start, or a part ends by itself.
pub async fn run(arguments: Arguments) -> Result<()> {
    let mut signals = Signals::new()?;
    let (stop, stopped) = watch::channel(false);
    let health = Health::default();
    let (metrics, registry) = Metrics::new();
    let mut tasks = Tasks::default();

    let mode = if arguments.replay.is_some() {
        "replay"
    } else {
        "live"
    };
    let store_part = health.part("ledger", "it is being opened");
    let policies_part = health.part("policies", "not asked yet");
    let keys_part = health.part("macKeys", "not read yet");
    if let Some(at) = arguments.reading.admin_listen {
        if arguments.replay.is_some() {
            ensure_loopback(at)?;
        }
        let bound = Bound::bind("admin", at, None).await?;
        let router = health::router(health.clone(), registry, mode);
        tasks.serve(
            "the admin listener",
            bound.serve(router, metrics.clone(), stopped.clone()),
        );
    }

    let place = place(&arguments)?;
    let Started {
        writer,
        end,
        verifier_key,
    } = Writer::start(
        opener(&place),
        arguments.audit.number_wait,
        metrics.clone(),
        store_part,
    )
    .with_context(|| format!("cannot open the store {}", place.store.display()))?;
    tracing::info!(
        key = verifier_key,
        "checkpoints are signed; give readers this key"
    );

    let policies = Arc::new(ArcSwap::from_pointee(PolicyList::default()));
    let mac_keys = Arc::new(ArcSwap::from_pointee(keys::mac_keys(&place.mac_keys)?));
    tasks.spawn(
        "reading MAC keys",
        keys::reload(place.mac_keys.clone(), Arc::clone(&mac_keys), keys_part),
    );
    let witnesses = witnesses(&arguments, &metrics)?;
    let court = Arc::new(Court {
        config: config(&arguments, &place.cluster),
        keys: mac_keys,
        policies: Arc::clone(&policies),
        quarantine: Quarantine::new(place.quarantine.clone()),
        witnesses: witnesses.clone(),
    });

    let callers = match &arguments.replay {
        Some(dir) => {
            policies.store(Arc::new(replay::policies(dir)?));
            policies_part.ready();
            let (dir, court, writer) = (dir.clone(), Arc::clone(&court), writer.clone());
            let replaying = move || replay::events(&dir, &court, &writer);
            let lines = tokio::task::spawn_blocking(replaying).await??;
            tracing::info!(lines, "the recorded day is in the ledger");
            doors::Callers::Replay {
                token: replay::token()?,
            }
        }
        None => {
            let client = client(arguments.kubeconfig.as_deref()).await?;
            let watch = Watch::new(
                client.clone(),
                Arc::clone(&policies),
                policies_part,
                metrics.clone(),
            );
            tasks.spawn("watching policies", watch.run());
            let publisher = Publisher {
                client: client.clone(),
                store: place.store.clone(),
                writer: writer.clone(),
                policies: Arc::clone(&policies),
                metrics: metrics.clone(),
                instance: arguments.instance.clone().unwrap_or_else(host_name),
            };
            tasks.spawn("publishing Events", publisher.run());
            doors::Callers::Cluster(client)
        }
    };

    let shared = Shared {
        court: Arc::clone(&court),
        writer: writer.clone(),
        metrics: metrics.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let catching_up = files(&arguments, &shared, &health, &stopped, &mut tasks).await?;
    audit(&arguments, court, &writer, &metrics, &stopped, &mut tasks).await?;
    if let Some(witnesses) = witnesses {
        tasks.spawn("asking witnesses", witnesses.poll(writer.clone()));
    }
    tasks.spawn("the clock", clock(writer.clone(), catching_up));
    reading(
        &arguments,
        &place,
        callers,
        verifier_key,
        &metrics,
        &stopped,
        &mut tasks,
    )
    .await?;

    // From here on the writer lives as long as those who use it.
    drop((shared, writer));
    tracing::info!(mode, "started");
    let mut end = end;
    let ended = tokio::select! {
        () = signals.next() => Ok(()),
        error = tasks.first_end() => Err(error),
        _ = &mut end => Err(anyhow::anyhow!("the ledger's thread ended")),
    };
    tracing::info!("stopping");
    tokio::select! {
        () = shut_down(tasks, &stop, end) => {}
        () = signals.next() => tracing::warn!("a second signal: stopping at once"),
    }
    ended
}

/// Deliveries in progress are answered, then the ledger commits what it has.
async fn shut_down(tasks: Tasks, stop: &watch::Sender<bool>, end: oneshot::Receiver<()>) {
    tasks.stop(stop).await;
    if tokio::time::timeout(LAST_COMMIT, end).await.is_err() {
        tracing::warn!("the ledger was still busy; what it had not acknowledged comes again");
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn place(arguments: &Arguments) -> Result<Place> {
    let ledger = &arguments.ledger;
    if let Some(dir) = &arguments.replay {
        let scratch = Scratch::new()?;
        let cluster = arguments
            .names
            .cluster
            .clone()
            .or_else(|| replay::cluster(dir));
        return Ok(Place {
            store: scratch.path().join("ledger.sqlite"),
            seed: keys::random_seed()?,
            cluster: cluster.context("the recording names no cluster; give --cluster")?,
            mac_keys: arguments
                .names
                .mac_keys
                .clone()
                .unwrap_or_else(|| dir.join("mac-keys")),
            quarantine: None,
            _scratch: Some(scratch),
        });
    }
    let store = ledger.store.clone().context("--store is missing")?;
    let signing_key = ledger
        .signing_key
        .as_deref()
        .context("--signing-key is missing")?;
    let beside = || {
        let mut name = store.clone().into_os_string();
        name.push(".quarantine");
        PathBuf::from(name)
    };
    Ok(Place {
        seed: keys::signing_seed(signing_key, &store)?,
        cluster: arguments
            .names
            .cluster
            .clone()
            .context("--cluster is missing")?,
        mac_keys: arguments
            .names
            .mac_keys
            .clone()
            .context("--mac-keys is missing")?,
        quarantine: Some(ledger.quarantine.clone().unwrap_or_else(beside)),
        store,
        _scratch: None,
    })
}

fn opener(place: &Place) -> Open {
    let (path, seed) = (place.store.clone(), place.seed);
    let origin = format!("docket.a5c.ai/{}", place.cluster);
    Box::new(move || {
        let system = SystemRandom::new();
        Store::open(
            &path,
            Options {
                origin: origin.clone(),
                signing_seed: seed,
                random: Box::new(move |buffer| {
                    // A salt that can be guessed would undo what it is for: better to stop.
                    #[expect(clippy::expect_used, reason = "no salt is better than a known one")]
                    system.fill(buffer).expect("the system gives randomness");
                }),
            },
        )
    })
}

fn config(arguments: &Arguments, cluster: &str) -> Config {
    let names = &arguments.names;
    Config {
        cluster: cluster.to_owned(),
        krate_group: names.krate_group.clone(),
        label_prefix: names.label_prefix.clone(),
        org_namespace_prefix: names.org_namespace_prefix.clone(),
        clock_tolerance: names.clock_tolerance,
    }
}

fn witnesses(arguments: &Arguments, metrics: &Metrics) -> Result<Option<Witnesses>> {
    let given = &arguments.witness;
    if given.witness.is_empty() || arguments.replay.is_some() {
        return Ok(None);
    }
    let identity = given.witness_cert.clone().zip(given.witness_key.clone());
    let files = given
        .witness_ca
        .clone()
        .map(|ca| ClientFiles { ca, identity });
    let urls = given.witness.iter().cloned().collect();
    Witnesses::new(urls, files, metrics.clone()).map(Some)
}

async fn client(kubeconfig: Option<&Path>) -> Result<kube::Client> {
    let config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?
        }
        None => kube::Config::incluster()
            .context("no --kubeconfig was given, and this is no pod of a cluster")?,
    };
    Ok(kube::Client::try_from(config)?)
}

/// One thread per file; what is returned says whether old lines are being read.
async fn files(
    arguments: &Arguments,
    shared: &Shared,
    health: &Health,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<Vec<Arc<AtomicBool>>> {
    let mut all = Vec::new();
    if arguments.replay.is_some() {
        return Ok(all);
    }
    for (name, path) in &arguments.audit.audit_file {
        let part = health.part(format!("source {name}"), "not read yet");
        let catching_up = Arc::new(AtomicBool::new(true));
        let tail = Tail::new(
            name,
            Path::new(path),
            shared,
            part,
            Arc::clone(&catching_up),
        )
        .await?;
        all.push(catching_up);
        let (ended, end) = oneshot::channel::<()>();
        let stopped = stopped.clone();
        std::thread::Builder::new()
            .name(format!("tail-{name}"))
            .spawn(move || {
                tail.run(&stopped);
                let _ = ended.send(());
            })?;
        let task = async move {
            end.await.context("its thread panicked")?;
            Ok(())
        };
        tasks.serve(&format!("the file source {name}"), task);
    }
    Ok(all)
}

async fn audit(
    arguments: &Arguments,
    court: Arc<Court>,
    writer: &Writer,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let given = &arguments.audit;
    let (Some(at), None) = (given.audit_listen, &arguments.replay) else {
        return Ok(());
    };
    let (tls, names) = if given.audit_insecure {
        anyhow::ensure!(
            at.ip().is_loopback(),
            "--audit-insecure is for loopback only, and {at} is not; give --audit-tls-cert,              --audit-tls-key and --audit-client-ca"
        );
        tracing::warn!("--audit-insecure: any local process can put denials on record");
        (None, Names::Insecure("webhook".into()))
    } else {
        let (Some(cert), Some(key), Some(ca)) = (
            &given.audit_tls_cert,
            &given.audit_tls_key,
            &given.audit_client_ca,
        ) else {
            anyhow::bail!(
                "--audit-listen needs --audit-tls-cert, --audit-tls-key and --audit-client-ca                  (or, on loopback, --audit-insecure)"
            );
        };
        let files = ServerFiles {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: Some(ca.clone()),
        };
        let named: std::collections::BTreeMap<_, _> = given.audit_source.iter().cloned().collect();
        let names = if named.is_empty() {
            Names::Any
        } else {
            Names::These(named)
        };
        (Some(reloading(files, tasks)?), names)
    };
    let bound = Bound::bind("audit", at, tls).await?;
    let router = webhook::router(court, writer.clone(), names, metrics.clone());
    tasks.serve(
        "the audit listener",
        bound.serve(router, metrics.clone(), stopped.clone()),
    );
    Ok(())
}

fn reloading(files: ServerFiles, tasks: &mut Tasks) -> Result<Server> {
    let (server, reload) = files.load()?;
    tasks.spawn("reading certificates", reload);
    Ok(server)
}

async fn reading(
    arguments: &Arguments,
    place: &Place,
    callers: doors::Callers,
    verifier_key: String,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<()> {
    let given = &arguments.reading;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let token = match &callers {
        doors::Callers::Replay { token } => Some(token.clone()),
        doors::Callers::Cluster(_) => None,
    };
    let Some(at) = given.listen.or(token.as_ref().map(|_| loopback)) else {
        return Ok(());
    };
    let tls = match (&given.tls_cert, &given.tls_key) {
        (Some(cert), Some(key)) => {
            let files = ServerFiles {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: None,
            };
            Some(reloading(files, tasks)?)
        }
        _ => None,
    };
    match &token {
        Some(_) => ensure_loopback(at)?,
        None => anyhow::ensure!(tls.is_some(), "--listen needs --tls-cert and --tls-key"),
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let bound = Bound::bind("reading", at, tls).await?;
    if let Some(token) = token {
        // For a shell, and for people; the token is worth nothing after this process.
        let mut out = std::io::stdout();
        writeln!(out, "DOCKET_URL={scheme}://{}", bound.address()?)?;
        writeln!(out, "DOCKET_TOKEN={token}")?;
        out.flush()?;
    }
    let names = &arguments.names;
    let settings = doors::Settings {
        krate_group: names.krate_group.clone(),
        label_prefix: names.label_prefix.clone(),
        org_namespace_prefix: names.org_namespace_prefix.clone(),
        platform_namespace: names.platform_namespace.clone(),
        ..doors::Settings::new(place.store.clone(), callers, verifier_key)
    };
    let router = doors::router(doors::State::new(settings));
    tasks.serve(
        "the reading listener",
        bound.serve(router, metrics.clone(), stopped.clone()),
    );
    Ok(())
}

fn ensure_loopback(at: SocketAddr) -> Result<()> {
    anyhow::ensure!(
        at.ip().is_loopback(),
        "--replay listens on loopback only, and {at} is not"
    );
    Ok(())
}

/// Lets time pass in the intake, but not while old lines are being read: what they hold
/// is not missing.
async fn clock(writer: Writer, catching_up: Vec<Arc<AtomicBool>>) -> Result<()> {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if !catching_up
            .iter()
            .any(|source| source.load(Ordering::Relaxed))
        {
            writer.tick();
        }
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "reporter".into(), |name| name.trim().to_owned())
}
