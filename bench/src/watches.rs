//! `docket-webhook` with a thousand watches of the aggregated API open, against itself
//! with none: what readers cost writers.
//!
//! Behind the webhook is a double of the reporter, which sends every watch an event now
//! and then: what is measured is `/mutate`, and the reporter is another process anyhow.

mod double;

pub use double::{DoubleArgs, double};

use crate::load::{Caller, Shot, open_loop, saturate};
use crate::process::{Server, free_address, pin_self};
use crate::witness::{Figures, NAME, certificates, review};
use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

const CONNECTIONS: usize = 16;
const OPEN_LOOP: u32 = 500;
const REVIEW: usize = 2_000;
/// Each state in turn, so that what disturbs the machine disturbs all.
const TURNS: usize = 5;
/// One user may have an eighth of all watches.
const USERS: usize = 50;

/// How to measure.
#[derive(clap::Args)]
pub struct Args {
    /// The binary measured [default: docket-webhook beside this one].
    #[arg(long, value_name = "FILE")]
    webhook: Option<PathBuf>,
    /// Open watches.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    watches: usize,
    /// Length of one turn under full load, and of one at 500 calls a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    turn: u64,
}

/// What is open beside the reviews, and how often it gets an event, in milliseconds.
const STATES: [(&str, Option<u64>); 3] = [
    ("none", None),
    ("quiet", Some(0)),
    ("1 event/s each", Some(1_000)),
];

/// Starts the servers, measures, prints.
pub fn run(args: Args) -> anyhow::Result<()> {
    let beside = std::env::current_exe()?.with_file_name("docket-webhook");
    let webhook = args.webhook.clone().unwrap_or(beside);
    ensure!(
        webhook.exists(),
        "no {}: build it with `cargo build --release -p docket-webhook`",
        webhook.display()
    );
    let pinned = pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let table = runtime.block_on(measure(&args, &webhook, pinned))?;
    #[expect(clippy::print_stdout, reason = "the table is what this command is for")]
    {
        println!("{table}");
    }
    Ok(())
}

async fn measure(args: &Args, webhook: &Path, pinned: bool) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let config = certificates(dir.path())?;
    let turn = Duration::from_secs(args.turn);
    let pair = Pair::start(webhook, dir.path(), args.watches, pinned)?;
    let shot = Shot::new(&review(REVIEW))?;
    let mut measured = STATES.map(|_| Measured::default());
    let mut callers = connect(pair.admission, &config).await?;
    saturate(&mut callers, &shot, Duration::from_secs(1)).await?;
    for _ in 0..TURNS {
        for ((_, every), measured) in STATES.iter().zip(&mut measured) {
            let open = match every {
                Some(every) => Some(Watches::open(pair.api, &config, args.watches, *every).await?),
                None => None,
            };
            saturate(&mut callers, &shot, Duration::from_millis(200)).await?;
            let counted = open.as_ref().map_or(0, Watches::events);
            let began = Instant::now();
            measured.figures.calls += saturate(&mut callers, &shot, turn).await?;
            measured.figures.wall += began.elapsed();
            let took = open_loop(&mut callers, &shot, OPEN_LOOP, turn).await?;
            measured.figures.took.extend(took);
            measured.wall += began.elapsed();
            measured.memory = pair.server.memory()?.0;
            if let Some(open) = open {
                measured.events += open.events() - counted;
                open.all_open()?;
            }
        }
    }
    table(args, webhook, pinned, &mut measured)
}

#[derive(Default)]
struct Measured {
    figures: Figures,
    events: u64,
    wall: Duration,
    memory: f64,
}

fn table(
    args: &Args,
    webhook: &Path,
    pinned: bool,
    measured: &mut [Measured],
) -> anyhow::Result<String> {
    let mut table = format!(
        "/mutate with {} watches of the aggregated API open, against none ({} KB reviews,\n\
         {CONNECTIONS} connections; measured: {}; {};\nthe reporter behind it is a double).\n\n\
         {:<16} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>9} {:>8}\n",
        args.watches,
        REVIEW / 1000,
        webhook.display(),
        if pinned {
            "the witness alone on core 0, load and double on core 1"
        } else {
            "not pinned"
        },
        "watches",
        "req/s",
        "ratio",
        "p50 ms",
        "ratio",
        "p99 ms",
        "ratio",
        "events/s",
        "RSS MiB",
    );
    for one in measured.iter_mut() {
        one.figures.took.sort_unstable();
    }
    let rate = |figures: &Figures| figures.calls as f64 / figures.wall.as_secs_f64();
    let base = &measured.first().context("no figures")?.figures;
    for ((name, _), one) in STATES.iter().zip(measured.iter()) {
        let figures = &one.figures;
        let (p50, p99) = (figures.percentile(0.5), figures.percentile(0.99));
        writeln!(
            table,
            "{name:<16} {:>8.0} {:>6.2} {p50:>8.3} {:>6.2} {p99:>8.3} {:>6.2} {:>9.0} {:>8.1}",
            rate(figures),
            rate(figures) / rate(base),
            p50 / base.percentile(0.5),
            p99 / base.percentile(0.99),
            one.events as f64 / one.wall.as_secs_f64(),
            one.memory,
        )?;
    }
    write!(
        table,
        "\nreq/s under full load; p50 and p99 at {OPEN_LOOP} calls/s (open loop)."
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

/// A witness with a double of the reporter behind it.
struct Pair {
    server: Server,
    _double: Server,
    admission: SocketAddr,
    api: SocketAddr,
}

impl Pair {
    fn start(webhook: &Path, dir: &Path, watches: usize, pinned: bool) -> anyhow::Result<Self> {
        let (admission, api, reporter) = (free_address()?, free_address()?, free_address()?);
        let file = |name: &str| dir.join(name).into_os_string();
        let me = std::env::current_exe()?;
        let listen = reporter.to_string();
        let args = ["double", "--listen", &listen, "--certificates"];
        let mut args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        args.push(dir.as_os_str());
        let double = Server::start_beside(me.as_os_str(), &args, reporter)?;
        let keys = dir.join("keys");
        std::fs::create_dir_all(&keys)?;
        std::fs::write(keys.join("k1"), "5a".repeat(32))?;
        let flags = [
            ("--listen", admission.to_string().into()),
            ("--tls-cert", file("tls.crt")),
            ("--tls-key", file("tls.key")),
            ("--client-ca", file("ca.crt")),
            ("--api-listen", api.to_string().into()),
            ("--api-tls-cert", file("tls.crt")),
            ("--api-tls-key", file("tls.key")),
            ("--api-front-proxy-ca", file("ca.crt")),
            ("--api-front-proxy-name", NAME.into()),
            ("--api-reporter", format!("https://{reporter}").into()),
            ("--api-reporter-ca", file("ca.crt")),
            ("--api-reporter-cert", file("tls.crt")),
            ("--api-reporter-key", file("tls.key")),
            ("--api-max-watches", (2 * watches).to_string().into()),
            ("--admin-listen", free_address()?.to_string().into()),
            ("--mac-keys", keys.into_os_string()),
            ("--cluster", "bench".into()),
        ];
        let args: Vec<&OsStr> = flags
            .iter()
            .flat_map(|(flag, value)| [OsStr::new(flag), value.as_os_str()])
            .collect();
        let server = Server::start(webhook.as_os_str(), &args, admission, pinned)?;
        Ok(Self {
            server,
            _double: double,
            admission,
            api,
        })
    }
}

/// Open watches, read as they come; dropped, they are closed.
struct Watches {
    tasks: JoinSet<()>,
    /// A connection whose sender is gone counts as ended.
    _senders: Vec<http2::SendRequest<Empty<Bytes>>>,
    wanted: usize,
    events: Arc<AtomicU64>,
}

impl Watches {
    /// As the API server opens them: many on one connection.
    async fn open(
        api: SocketAddr,
        config: &ClientConfig,
        wanted: usize,
        every: u64,
    ) -> anyhow::Result<Self> {
        let mut config = config.clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let (mut tasks, events) = (JoinSet::new(), Arc::<AtomicU64>::default());
        let mut senders = Vec::new();
        let mut left = wanted;
        while left > 0 {
            let stream = TcpStream::connect(api).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from("127.0.0.1")?;
            let io = TokioIo::new(connector.connect(name, stream).await?);
            let (send, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tasks.spawn(async move {
                let _ = connection.await;
            });
            let here = left.min(500);
            let opened = (0..here).map(|at| {
                let mut send = send.clone();
                async move {
                    let path = format!(
                        "https://127.0.0.1/apis/docket.a5c.ai/v1/denials?watch=true&every={every}"
                    );
                    let request = http::Request::get(path)
                        .header("x-remote-user", format!("user-{}", at % USERS))
                        .body(Empty::<Bytes>::new())?;
                    send.ready().await?;
                    let answer = send.send_request(request).await?;
                    ensure!(answer.status() == 200, "a watch got {}", answer.status());
                    anyhow::Ok(answer.into_body())
                }
            });
            for mut body in try_join_all(opened).await? {
                let events = Arc::clone(&events);
                tasks.spawn(async move {
                    while let Some(Ok(_)) = body.frame().await {
                        events.fetch_add(1, Relaxed);
                    }
                });
            }
            senders.push(send);
            left -= here;
        }
        Ok(Self {
            tasks,
            _senders: senders,
            wanted,
            events,
        })
    }

    fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Nothing was measured if they had closed meanwhile.
    fn all_open(mut self) -> anyhow::Result<()> {
        let mut ended = 0;
        while self.tasks.try_join_next().is_some() {
            ended += 1;
        }
        ensure!(ended == 0, "{ended} of {} watches ended early", self.wanted);
        Ok(())
    }
}
