//! Start, serve, drain.

use crate::args::{AdmissionArgs, Args, ExhibitArgs};
use crate::keys::KeyDirectory;
use crate::labels::Part;
use crate::reload::{Look, follow};
use crate::serve::{Door, Limits, Open};
use crate::tls::{Tls, TlsFiles};
use crate::witness::Witness;
use crate::{admin, answer, handout};
use anyhow::Context as _;
use docket_record::examine::Config;
use docket_record::redact::Rules;
use docket_record::testimony::{Keys, Process};
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Connections that the reporter, or the kubelet and Prometheus, may hold.
const FEW: usize = 64;
/// Open files besides connections.
const OTHER_FILES: usize = 32;
/// How long those may take to end at the end.
const SOON: Duration = Duration::from_secs(2);
/// How often what is remembered of collections is swept.
const SWEEP: Duration = Duration::from_secs(30);

/// Runs until a signal ends it.
pub fn run(args: Args) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(async { Bound::new(args).await?.serve().await })
}

/// All is read and bound: what can be wrong from outside has been found.
struct Bound {
    witness: Arc<Witness>,
    admission: Door,
    exhibits: Option<Door>,
    admin: Door,
    looks: Vec<Look>,
    reload_interval: Duration,
    drain_delay: Duration,
}

impl Bound {
    async fn new(args: Args) -> anyhow::Result<Self> {
        let Args {
            admission,
            exhibits,
            oath,
            krate,
            log: _,
            admin_listen,
            reload_interval,
        } = args;
        let instance = match oath.instance {
            Some(instance) => instance,
            None => host_name().context("cannot tell the host's name: give --instance")?,
        };
        let config = Config {
            cluster: oath.cluster,
            krate_group: krate.krate_group,
            label_prefix: krate.label_prefix,
            org_namespace_prefix: krate.org_namespace_prefix,
            // Checked by the reporter alone.
            clock_tolerance: SignedDuration::ZERO,
        };
        let witness = Arc::new(Witness::new(
            Process {
                instance,
                started: Timestamp::now().as_millisecond(),
            },
            config,
            Keys::default(),
            // Without a door for the reporter nobody could ever ask for one.
            if exhibits.exhibits_listen.is_some() {
                exhibits.exhibit_bytes
            } else {
                0
            },
            admission.body_bytes,
            admission.body_timeout,
        ));
        let reload = witness.metrics.reload.clone();

        let keys = Arc::new(KeyDirectory::new(oath.mac_keys, reload.clone()));
        keys.look(&witness);
        let keyed = Arc::clone(&witness);
        let mut looks: Vec<Look> = vec![Arc::new(move || keys.look(&keyed))];

        let (drain_delay, few) = (admission.drain_delay, few(&admission));
        let admission = {
            let limits = Limits {
                connections: affordable(admission.max_connections),
                idle: admission.idle_timeout,
                head: admission.header_timeout,
                drain: admission.drain_timeout,
            };
            let files = TlsFiles {
                cert: admission.tls_cert,
                key: admission.tls_key,
                client_ca: admission.client_ca,
            };
            if files.client_ca.is_none() {
                tracing::warn!(
                    "no --client-ca: anyone who reaches {} can have reviews sworn to",
                    admission.listen
                );
            }
            let tls = Arc::new(Tls::load(Part::Admission, files, reload.clone())?);
            looks.push(look(&tls));
            let router = answer::router(Arc::clone(&witness));
            Door::bind(Part::Admission, admission.listen, Some(tls), router, limits)
                .await
                .with_context(|| format!("cannot listen on --listen {}", admission.listen))?
        };
        let exhibits = match exhibits {
            ExhibitArgs {
                exhibits_listen: Some(address),
                exhibits_tls_cert: Some(cert),
                exhibits_tls_key: Some(key),
                exhibits_client_ca: Some(ca),
                exhibit_bytes: _,
                redact,
                redact_name,
            } => {
                let rules = Rules::new(redact, redact_name)
                    .context("cannot use --redact or --redact-name")?;
                let files = TlsFiles {
                    cert,
                    key,
                    client_ca: Some(ca),
                };
                let tls = Arc::new(Tls::load(Part::Exhibits, files, reload)?);
                looks.push(look(&tls));
                let router = handout::router(Arc::clone(&witness), rules);
                let door = Door::bind(Part::Exhibits, address, Some(tls), router, few)
                    .await
                    .with_context(|| format!("cannot listen on --exhibits-listen {address}"))?;
                Some(door)
            }
            _ => None,
        };
        let mut counted = vec![(Part::Admission, admission.connections())];
        counted.extend(
            exhibits
                .as_ref()
                .map(|door| (Part::Exhibits, door.connections())),
        );
        let router = admin::router(Arc::clone(&witness), counted);
        let admin = Door::bind(Part::Admin, admin_listen, None, router, few)
            .await
            .with_context(|| format!("cannot listen on --admin-listen {admin_listen}"))?;
        Ok(Self {
            witness,
            admission,
            exhibits,
            admin,
            looks,
            reload_interval,
            drain_delay,
        })
    }

    async fn serve(self) -> anyhow::Result<()> {
        let mut term = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
        let mut int = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
        let exhibits_address = self.exhibits.as_ref().map(Door::address).transpose()?;
        tracing::info!(
            instance = %self.witness.process.instance,
            started = self.witness.process.started,
            admission = %self.admission.address()?,
            exhibits = %exhibits_address.map_or_else(|| "off".to_owned(), |a| a.to_string()),
            admin = %self.admin.address()?,
            "witness listening"
        );
        let following = tokio::spawn(follow(self.looks, self.reload_interval));
        let sweeping = tokio::spawn(sweep(Arc::clone(&self.witness)));
        let mut admission = self.admission.open();
        let mut exhibits = self.exhibits.map(Door::open);
        let mut admin = self.admin.open();

        tokio::select! {
            () = either(&mut term, &mut int) => {}
            () = admission.ended() => anyhow::bail!("the admission listener ended by itself"),
            () = ended(&mut exhibits) => anyhow::bail!("the exhibit listener ended by itself"),
            () = admin.ended() => anyhow::bail!("the admin listener ended by itself"),
            _ = following => anyhow::bail!("certificates and keys are no longer followed"),
            _ = sweeping => anyhow::bail!("collections are no longer swept"),
        }
        tokio::spawn(async move {
            either(&mut term, &mut int).await;
            tracing::warn!("second signal: ending at once");
            std::process::exit(1);
        });
        drain(&self.witness, self.drain_delay, admission, exhibits, admin).await;
        Ok(())
    }
}

/// First say "not ready", then stop listening, then let calls end. The other listeners
/// stay to the last: the last number is only known when the last call has ended.
async fn drain(
    witness: &Witness,
    delay: Duration,
    admission: Open,
    exhibits: Option<Open>,
    admin: Open,
) {
    witness.drain();
    tracing::info!(delay = ?delay, "witness draining: not ready, still answering");
    tokio::time::sleep(delay).await;
    let whole = admission.drain().await;
    tracing::info!(
        instance = %witness.process.instance,
        started = witness.process.started,
        last = witness.last_number(),
        cut_off = !whole,
        "witness drained"
    );
    if let Some(exhibits) = exhibits {
        exhibits.drain().await;
    }
    admin.drain().await;
}

async fn sweep(witness: Arc<Witness>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        witness.collections.sweep(Timestamp::now());
    }
}

async fn ended(open: &mut Option<Open>) {
    match open {
        Some(open) => open.ended().await,
        None => std::future::pending().await,
    }
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn few(admission: &AdmissionArgs) -> Limits {
    Limits {
        connections: FEW,
        idle: admission.idle_timeout,
        head: admission.header_timeout,
        drain: SOON,
    }
}

/// As many connections as asked for, or as the system has file descriptors for: beyond
/// that nobody could be accepted, and nobody be made to go.
fn affordable(connections: usize) -> usize {
    let wanted = (connections + 2 * FEW + OTHER_FILES) as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("cannot raise the limit of open files: {error}");
        }
    }
    let short = match getrlimit(Resource::Nofile).current {
        Some(current) => wanted.saturating_sub(current),
        None => 0,
    };
    let affordable = connections
        .saturating_sub(usize::try_from(short).unwrap_or(usize::MAX))
        .max(1);
    if affordable < connections {
        tracing::warn!(
            "only {affordable} of --max-connections {connections}: raise the limit of open files"
        );
    }
    affordable
}

fn look(tls: &Arc<Tls>) -> Look {
    let tls = Arc::clone(tls);
    Arc::new(move || tls.look())
}

fn host_name() -> std::io::Result<String> {
    // In a pod this is the pod's name.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(name.trim_end().to_owned())
}
