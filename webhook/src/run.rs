//! Start, serve, drain.

use crate::admin::Admin;
use crate::api::{Api, Asked, ConcurrencyLimit, ReporterFiles, RunningApi, Setting};
use crate::args::{AdmissionArgs, ApiArgs, Args, ExhibitArgs};
use crate::labels::Part;
use crate::numbered::Numbered;
use crate::witness::Witness;
use crate::{answer, files, handout};
use anyhow::Context as _;
use docket_host::{
    ClientFiles, ConfigFiles, KeyDirectory, Listener, ListenerConfig, ListenerLimits,
    ListenerMetrics, Reload, ReloadingTls, RunningListener, ServerFiles, ShutdownSignal,
    admin_router, host_name, poll_files,
};
use docket_record::examine::Config;
use docket_record::redact::Rules;
use docket_record::testimony::Process;
use jiff::{SignedDuration, Timestamp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Reviews at once on one HTTP/2 connection.
const H2_STREAMS: u32 = 1_000;
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
        .block_on(async { Bound::new(args)?.serve().await })
}

/// All is read and bound: what can be wrong from outside has been found.
struct Bound {
    witness: Arc<Witness>,
    admission: Listener,
    exhibits: Option<Listener>,
    api: Option<Api>,
    admin: Listener,
    reloads: Vec<Reload>,
    reload_interval: Duration,
    drain_delay: Duration,
}

impl Bound {
    fn new(args: Args) -> anyhow::Result<Self> {
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
        witness.look_at_keys();
        let keyed = Arc::clone(&witness);
        let mut reloads: Vec<Reload> = vec![Arc::new(move || keyed.look_at_keys())];

        let (drain_delay, few) = (admission.drain_delay, few(&admission));
        let share = files::afford(admission.max_connections, api_files(&api));
        let admission = {
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
            let limits = ListenerLimits {
                connections: share.admission,
                drain: admission.drain_timeout,
                ..few
            };
            let tls = reloading(Part::Admission, files, &witness, &mut reloads)?;
            let config = listener_config(Part::Admission, admission.listen, tls, limits, &witness);
            Listener::bind(config, answer::router(Arc::clone(&witness)))
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
                let tls = reloading(Part::Exhibits, files, &witness, &mut reloads)?;
                let config = listener_config(Part::Exhibits, address, tls, few, &witness);
                let router = handout::router(Arc::clone(&witness), rules);
                let listener = Listener::bind(config, router)
                    .with_context(|| format!("cannot listen on --exhibits-listen {address}"))?;
                Some(listener)
            }
            _ => None,
        };
        let api = setting(api, few, share.api, &witness, &mut reloads)?;
        let api = api.map(Api::bind).transpose()?;
        let config = ListenerConfig {
            name: Part::Admin.name(),
            address: admin_listen,
            tls: None,
            identify_peers: false,
            limits: few,
            // Who reads the counters is not counted.
            metrics: ListenerMetrics::default(),
        };
        let admin = Listener::bind(config, admin_router(Admin(Arc::clone(&witness))))
            .with_context(|| format!("cannot listen on --admin-listen {admin_listen}"))?;
        Ok(Self {
            witness,
            admission,
            exhibits,
            api,
            admin,
            reloads,
            reload_interval,
            drain_delay,
        })
    }

    async fn serve(self) -> anyhow::Result<()> {
        let mut signals = ShutdownSignal::new().context("cannot catch SIGTERM and SIGINT")?;
        let exhibits_address = self.exhibits.as_ref().map(Listener::address).transpose()?;
        let api_address = self.api.as_ref().map(Api::address);
        let or_off = |address: Option<SocketAddr>| {
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
        let following = tokio::spawn(poll_files(self.reloads, self.reload_interval));
        let sweeping = tokio::spawn(sweep(Arc::clone(&self.witness)));
        let mut admission = self.admission.start();
        let mut exhibits = self.exhibits.map(Listener::start);
        let mut api = self.api.map(Api::start);
        let mut admin = self.admin.start();

        tokio::select! {
            () = signals.received() => {}
            () = admission.ended() => anyhow::bail!("the admission listener ended by itself"),
            () = ended(exhibits.as_mut()) => anyhow::bail!("the exhibit listener ended by itself"),
            () = ended(api.as_mut().map(|api| &mut api.listener)) => anyhow::bail!("the API's listener ended by itself"),
            () = admin.ended() => anyhow::bail!("the admin listener ended by itself"),
            _ = following => anyhow::bail!("certificates and keys are no longer followed"),
            _ = sweeping => anyhow::bail!("collections are no longer swept"),
        }
        tokio::spawn(async move {
            signals.received().await;
            tracing::warn!("second signal: ending at once");
            std::process::exit(1);
        });
        let listeners = Listeners {
            admission,
            exhibits,
            api,
            admin,
        };
        drain(&self.witness, self.drain_delay, listeners).await;
        Ok(())
    }
}

struct Listeners {
    admission: RunningListener,
    exhibits: Option<RunningListener>,
    api: Option<RunningApi>,
    admin: RunningListener,
}

/// First say "not ready", then stop listening, then let calls end. The other listeners
/// stay to the last: the last number is only known when the last call has ended. Readers
/// go beside them: they find another replica.
async fn drain(witness: &Witness, delay: Duration, listeners: Listeners) {
    witness.drain();
    tracing::info!(delay = ?delay, "witness draining: not ready, still answering");
    tokio::time::sleep(delay).await;
    let readers = async {
        match listeners.api {
            Some(api) => api.drain().await,
            None => true,
        }
    };
    let (whole, _) = tokio::join!(listeners.admission.drain(), readers);
    tracing::info!(
        instance = %witness.process.instance,
        started = witness.process.started,
        last = witness.last_number(),
        cut_off = !whole,
        "witness drained"
    );
    if let Some(exhibits) = listeners.exhibits {
        exhibits.drain().await;
    }
    listeners.admin.drain().await;
}

async fn sweep(witness: Arc<Witness>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        witness.collections.sweep(Timestamp::now());
    }
}

async fn ended(listener: Option<&mut RunningListener>) {
    match listener {
        Some(listener) => listener.ended().await,
        None => std::future::pending().await,
    }
}

fn few(admission: &AdmissionArgs) -> ListenerLimits {
    ListenerLimits {
        connections: FEW,
        idle: admission.idle_timeout,
        head: admission.header_timeout,
        drain: SOON,
        streams: H2_STREAMS,
        send_buffer: UNREAD,
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

/// The aggregated API's listener, if there is to be one; `share` of the files that it asked for
/// are there.
fn setting(
    args: ApiArgs,
    few: ListenerLimits,
    share: f64,
    witness: &Arc<Witness>,
    reloads: &mut Vec<Reload>,
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
    let files = ServerFiles {
        cert,
        key,
        client_ca: Some(front_proxy_ca),
        client_names,
    };
    let tls = reloading(Part::Api, files, witness, reloads)?;
    let files = ReporterFiles(ClientFiles {
        ca: reporter_ca,
        cert: reporter_cert,
        key: reporter_key,
    });
    let reporter = reloading(Part::Reporter, files, witness, reloads)?;
    let limits = ListenerLimits {
        connections: files::part(api_max_connections, share),
        send_buffer: UNREAD_WATCH,
        headers: Some(HEADERS),
        ..few
    };
    let counts = witness.metrics.api.clone();
    Ok(Some(Setting {
        listener: listener_config(Part::Api, listen, tls, limits, witness),
        authority,
        reporter,
        watches: ConcurrencyLimit::new(
            files::part(api_max_watches, share),
            counts.open(Asked::Watch),
        ),
        calls: ConcurrencyLimit::new(files::part(api_max_calls, share), counts.open(Asked::Read)),
        patience: api_timeout,
        counts,
    }))
}

/// A listener of ours over TLS.
fn listener_config(
    part: Part,
    address: SocketAddr,
    tls: Arc<ReloadingTls>,
    limits: ListenerLimits,
    witness: &Witness,
) -> ListenerConfig {
    ListenerConfig {
        name: part.name(),
        address,
        tls: Some(tls),
        // Whoever gets through the handshake is believed.
        identify_peers: false,
        limits,
        metrics: witness.metrics.listener(part),
    }
}

/// The certificates of a part, now and whenever they change.
fn reloading<F: ConfigFiles>(
    part: Part,
    files: F,
    witness: &Witness,
    reloads: &mut Vec<Reload>,
) -> anyhow::Result<Arc<ReloadingTls<F>>> {
    let observe = witness.metrics.reload.observer(part);
    let tls = Arc::new(ReloadingTls::load(part.name(), files, observe)?);
    let reloaded = Arc::clone(&tls);
    reloads.push(Arc::new(move || reloaded.reload()));
    Ok(tls)
}
