//! The load: as little work per request as can be, so that one core of it can fill one core
//! of a server. Requests are bytes made beforehand; only the uid changes.

use anyhow::{Context, ensure};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Stands in a body where the uid goes: as long as one.
pub const UID: &str = "7d0d4a3e-0000-4000-8000-000000000000";
const DIGITS: usize = 12;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A request, ready to be sent again and again.
#[derive(Clone)]
pub struct Shot {
    bytes: Vec<u8>,
    digits: usize,
}

impl Shot {
    /// A call of `/mutate` with this review.
    pub fn new(body: &str) -> anyhow::Result<Self> {
        let head = format!(
            "POST /mutate?timeout=1s HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: kube-apiserver-admission\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let uid = body.find(UID).context("no uid in the body")?;
        let digits = head.len() + uid + UID.len() - DIGITS;
        Ok(Self {
            bytes: [head.as_bytes(), body.as_bytes()].concat(),
            digits,
        })
    }

    fn renew(&mut self) {
        let number = format!("{:0DIGITS$}", NEXT.fetch_add(1, Relaxed));
        self.bytes[self.digits..self.digits + DIGITS].copy_from_slice(number.as_bytes());
    }
}

/// One connection.
pub struct Caller {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Caller {
    /// Connects with HTTP/1.1, as kube-apiserver does to a service.
    pub async fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1")?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 << 10],
        })
    }

    /// One request and its whole answer.
    pub async fn call(&mut self, shot: &mut Shot) -> anyhow::Result<()> {
        shot.renew();
        self.stream.write_all(&shot.bytes).await?;
        self.stream.flush().await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            if let Some(whole) = answer_length(&self.buffer[..filled])?
                && filled >= whole
            {
                let answer = &self.buffer[..whole];
                ensure!(
                    answer.windows(14).any(|w| w == b"\"allowed\":true"),
                    "not allowed"
                );
                return Ok(());
            }
        }
    }
}

/// Length of head and body, once the head is there.
fn answer_length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "not 200: {head}");
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .context("no content-length")?;
    Ok(Some(end + 4 + length))
}

/// As many calls as can be for a while, on all connections at once; how many there were.
pub async fn saturate(callers: &mut [Caller], shot: &Shot, time: Duration) -> anyhow::Result<u64> {
    let until = Instant::now() + time;
    let each = callers.iter_mut().map(|caller| {
        let mut shot = shot.clone();
        async move {
            let mut calls = 0;
            while Instant::now() < until {
                caller.call(&mut shot).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        }
    });
    Ok(futures::future::try_join_all(each).await?.into_iter().sum())
}

/// So many calls a second, sent when they are due whatever became of those before; the time
/// from due to answered, sorted.
pub async fn open_loop(
    callers: &mut [Caller],
    shot: &Shot,
    per_second: u32,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let connections = u32::try_from(callers.len())?;
    let step = Duration::from_secs(1) * connections / per_second;
    let start = Instant::now() + Duration::from_millis(50);
    let each = callers.iter_mut().zip(0u32..).map(|(caller, at)| {
        let mut shot = shot.clone();
        async move {
            let mut took = Vec::new();
            let mut due = start + step * at / connections;
            while due < start + time {
                tokio::time::sleep_until(due.into()).await;
                // The timer is coarse (1 ms); what it adds is not the server's.
                let sent = Instant::now();
                caller.call(&mut shot).await?;
                let late = sent
                    .duration_since(due)
                    .saturating_sub(Duration::from_millis(2));
                took.push(sent.elapsed() + late);
                due += step;
            }
            anyhow::Ok(took)
        }
    });
    let mut took: Vec<_> = futures::future::try_join_all(each)
        .await?
        .into_iter()
        .flatten()
        .collect();
    took.sort_unstable();
    Ok(took)
}
