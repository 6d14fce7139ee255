//! Start, serve, drain.

use crate::api::{Api, Asked, OpenApi, ReporterFiles, Seats, Setting};
use crate::args::{AdmissionArgs, ApiArgs, Args, ExhibitArgs};
use crate::labels::Part;
use crate::numbered::Numbered;
use crate::reload::{Look, follow};
use crate::serve::{Door, Limits, Open};
use crate::tls::{ClientFiles, Files, ServerFiles, Tls};
use crate::witness::Witness;
use crate::{admin, answer, files, handout};
use anyhow::Context as _;
use docket_host::KeyDirectory;
use docket_record::examine::Config;
use docket_record::redact::Rules;
use docket_record::testimony::Process;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Connections that the reporter, or the kubelet and Prometheus, may hold.
pub const FEW: usize = 64;
/// Bytes of an answer that wait for a slow reader: reviews have short ones, and watches
/// are many.
const UNREAD: usize = 400 << 10;
const UNREAD_WATCH: usize = 64 << 10;
/// A user's groups and extras are headers.
const HEADERS: usize = 4096;
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
    api: Option<Api>,
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
            api,
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
            KeyDirectory::new(oath.mac_keys),
            // Without a door for the reporter nobody could ever ask.
            exhibits.exhibits_listen.map(|_| Numbered::default()),
            match exhibits.exhibits_listen {
                Some(_) => exhibits.exhibit_bytes,
                None => 0,
            },
            admission.body_bytes,
            admission.body_timeout,
        ));
        let reload = witness.metrics.reload.clone();

        witness.look_at_keys();
        let keyed = Arc::clone(&witness);
        let mut looks: Vec<Look> = vec![Arc::new(move || keyed.look_at_keys())];

        let (drain_delay, few) = (admission.drain_delay, few(&admission));
        let share = files::afford(admission.max_connections, api_files(&api));
        let admission = {
            let limits = Limits {
                connections: share.admission,
                idle: admission.idle_timeout,
                head: admission.header_timeout,
                drain: admission.drain_timeout,
                unread: UNREAD,
                headers: None,
            };
            let files = ServerFiles {
                cert: admission.tls_cert,
                key: admission.tls_key,
                client_ca: admission.client_ca,
                client_names: Vec::new(),
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
                let files = ServerFiles {
                    cert,
                    key,
                    client_ca: Some(ca),
                    client_names: Vec::new(),
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
        let api = match setting(api, few, share.api, &witness, &mut looks)? {
            Some(setting) => Some(Api::bind(setting).await?),
            None => None,
        };
        let mut counted = vec![(Part::Admission, admission.connections())];
        counted.extend(
            exhibits
                .as_ref()
                .map(|door| (Part::Exhibits, door.connections())),
        );
        counted.extend(
            api.as_ref()
                .map(|api| (Part::Api, api.door().connections())),
        );
        let router = admin::router(Arc::clone(&witness), counted);
        let admin = Door::bind(Part::Admin, admin_listen, None, router, few)
            .await
            .with_context(|| format!("cannot listen on --admin-listen {admin_listen}"))?;
        Ok(Self {
            witness,
            admission,
            exhibits,
            api,
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
        let api_address = self.api.as_ref().map(|api| api.door().address());
        let or_off = |address: Option<std::net::SocketAddr>| {
            address.map_or_else(|| "off".to_owned(), |address| address.to_string())
        };
        tracing::info!(
            instance = %self.witness.process.instance,
            started = self.witness.process.started,
            admission = %self.admission.address()?,
            exhibits = %or_off(exhibits_address),
            api = %or_off(api_address.transpose()?),
            admin = %self.admin.address()?,
            "witness listening"
        );
        let following = tokio::spawn(follow(self.looks, self.reload_interval));
        let sweeping = tokio::spawn(sweep(Arc::clone(&self.witness)));
        let mut admission = self.admission.open();
        let mut exhibits = self.exhibits.map(Door::open);
        let mut api = self.api.map(Api::open);
        let mut admin = self.admin.open();

        tokio::select! {
            () = either(&mut term, &mut int) => {}
            () = admission.ended() => anyhow::bail!("the admission listener ended by itself"),
            () = ended(exhibits.as_mut()) => anyhow::bail!("the exhibit listener ended by itself"),
            () = ended(api.as_mut().map(|api| &mut api.open)) => anyhow::bail!("the API's listener ended by itself"),
            () = admin.ended() => anyhow::bail!("the admin listener ended by itself"),
            _ = following => anyhow::bail!("certificates and keys are no longer followed"),
            _ = sweeping => anyhow::bail!("collections are no longer swept"),
        }
        tokio::spawn(async move {
            either(&mut term, &mut int).await;
            tracing::warn!("second signal: ending at once");
            std::process::exit(1);
        });
        let doors = Doors {
            admission,
            exhibits,
            api,
            admin,
        };
        drain(&self.witness, self.drain_delay, doors).await;
        Ok(())
    }
}

struct Doors {
    admission: Open,
    exhibits: Option<Open>,
    api: Option<OpenApi>,
    admin: Open,
}

/// First say "not ready", then stop listening, then let calls end. The other listeners
/// stay to the last: the last number is only known when the last call has ended. Readers
/// go beside them: they find another replica.
async fn drain(witness: &Witness, delay: Duration, doors: Doors) {
    witness.drain();
    tracing::info!(delay = ?delay, "witness draining: not ready, still answering");
    tokio::time::sleep(delay).await;
    let readers = async {
        match doors.api {
            Some(api) => api.drain().await,
            None => true,
        }
    };
    let (whole, _) = tokio::join!(doors.admission.drain(), readers);
    tracing::info!(
        instance = %witness.process.instance,
        started = witness.process.started,
        last = witness.last_number(),
        cut_off = !whole,
        "witness drained"
    );
    if let Some(exhibits) = doors.exhibits {
        exhibits.drain().await;
    }
    doors.admin.drain().await;
}

async fn sweep(witness: Arc<Witness>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        witness.collections.sweep(Timestamp::now());
    }
}

async fn ended(open: Option<&mut Open>) {
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
        unread: UNREAD,
        headers: None,
    }
}

/// Open files that readers may need: each forwarded request has a connection of its own to
/// the reporter.
fn api_files(api: &ApiArgs) -> usize {
    match api.api_listen {
        Some(_) => api.api_max_connections + api.api_max_watches + api.api_max_calls,
        None => 0,
    }
}

/// The aggregated API's door, if there is to be one; `share` of the files that it asked for
/// are there.
fn setting(
    args: ApiArgs,
    few: Limits,
    share: f64,
    witness: &Arc<Witness>,
    looks: &mut Vec<Look>,
) -> anyhow::Result<Option<Setting>> {
    let ApiArgs {
        api_listen: Some(listen),
        api_tls_cert: Some(cert),
        api_tls_key: Some(key),
        api_front_proxy_ca: Some(front_proxy_ca),
        api_front_proxy_name: client_names,
        api_reporter: Some(authority),
        api_reporter_ca: Some(reporter_ca),
        api_reporter_cert: Some(reporter_cert),
        api_reporter_key: Some(reporter_key),
        api_max_connections,
        api_max_watches,
        api_max_calls,
        api_timeout,
    } = args
    else {
        return Ok(None);
    };
    let reload = &witness.metrics.reload;
    let files = ServerFiles {
        cert,
        key,
        client_ca: Some(front_proxy_ca),
        client_names,
    };
    let tls = Arc::new(Tls::load(Part::Api, files, reload.clone())?);
    looks.push(look(&tls));
    let files = ReporterFiles(ClientFiles {
        ca: reporter_ca,
        cert: reporter_cert,
        key: reporter_key,
    });
    let reporter = Arc::new(Tls::load(Part::Reporter, files, reload.clone())?);
    looks.push(look(&reporter));
    let counts = witness.metrics.api.clone();
    Ok(Some(Setting {
        listen,
        tls,
        limits: Limits {
            connections: files::part(api_max_connections, share),
            unread: UNREAD_WATCH,
            headers: Some(HEADERS),
            ..few
        },
        authority,
        reporter,
        watches: Seats::new(
            files::part(api_max_watches, share),
            counts.open(Asked::Watch),
        ),
        calls: Seats::new(files::part(api_max_calls, share), counts.open(Asked::Read)),
        patience: api_timeout,
        counts,
    }))
}

fn look<F: Files>(tls: &Arc<Tls<F>>) -> Look {
    let tls = Arc::clone(tls);
    Arc::new(move || tls.look())
}

fn host_name() -> std::io::Result<String> {
    // In a pod this is the pod's name.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(name.trim_end().to_owned())
}
