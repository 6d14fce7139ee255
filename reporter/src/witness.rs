//! Asking the witnesses: how far a process has numbered and what for, which object of a
//! collection it reviewed last, and for exhibits.

mod collections;
mod exhibits;
mod numbers;

use crate::intake::Arrival;
use crate::metrics::Metrics;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use bytes::Bytes;
pub use collections::LastObject;
use docket_host::{ClientFiles, ConfigFiles, ReloadingTls, TlsError};
use docket_record::testimony::Process;
use exhibits::Silent;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Between two questions for the last number. Well below `--number-wait`.
const POLL: Duration = Duration::from_secs(10);
/// A denial waits this long for the witness's answer, and no longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers are a few hundred bytes.
const LONGEST: usize = 64 * 1024;

pub type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The witnesses by instance name.
#[derive(Clone)]
pub struct Witnesses {
    inner: Arc<Inner>,
}

struct Inner {
    urls: BTreeMap<String, String>,
    client: WitnessClient,
    metrics: Metrics,
    /// Bodies of calls for exhibits under way, in KiB.
    room: Semaphore,
    /// Witnesses that did not answer in time.
    silent: Mutex<HashMap<String, Silent>>,
}

#[derive(Deserialize)]
struct Numbered {
    instance: String,
    started: i64,
    last: u64,
}

/// The files of our calls to the witnesses.
pub struct WitnessFiles(pub ClientFiles);

impl ConfigFiles for WitnessFiles {
    type Config = Https;

    fn paths(&self) -> Vec<&Path> {
        self.0.paths()
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<(Https, i64), TlsError> {
        let (tls, expires) = self.0.build(contents)?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = builder.https_only().enable_http1().build();
        Ok((
            Client::builder(TokioExecutor::new()).build(connector),
            expires,
        ))
    }
}

/// What calls the witnesses.
pub enum WitnessClient {
    /// Over TLS, with our certificate; its connections live as long as that does.
    Tls(Arc<ReloadingTls<WitnessFiles>>),
    /// Over plain HTTP, for URLs that say so.
    Plain(Box<Https>),
}

impl WitnessClient {
    /// Without TLS.
    pub fn plain() -> WitnessClient {
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = builder.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        WitnessClient::Plain(Box::new(client))
    }
}

impl Witnesses {
    /// `urls` by instance name.
    ///
    /// # Errors
    /// If one is none, or asks for another client.
    pub fn new(
        urls: BTreeMap<String, String>,
        client: WitnessClient,
        metrics: Metrics,
    ) -> Result<Witnesses> {
        for (name, url) in &urls {
            let uri: http::Uri = url
                .parse()
                .with_context(|| format!("--witness {name}={url} is no URL"))?;
            let secure = uri.scheme_str() == Some("https");
            anyhow::ensure!(
                secure == matches!(client, WitnessClient::Tls(_)),
                "--witness {name}={url}: give an https URL and --witness-ca, --witness-cert and \
                 --witness-key"
            );
        }
        Ok(Witnesses {
            inner: Arc::new(Inner {
                urls,
                client,
                metrics,
                room: Semaphore::new(exhibits::ROOM as usize),
                silent: Mutex::default(),
            }),
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Option<T>> {
        let body = self.call(request, LONGEST).await?;
        Ok(body.map(|body| serde_json::from_slice(&body)).transpose()?)
    }

    /// The body of the answer; `None` for "not found".
    async fn call(
        &self,
        request: http::Request<Full<Bytes>>,
        longest: usize,
    ) -> Result<Option<Bytes>> {
        let response = match &self.inner.client {
            WitnessClient::Plain(client) => client.request(request).await?,
            WitnessClient::Tls(tls) => tls.current().request(request).await?,
        };
        match response.status() {
            http::StatusCode::NOT_FOUND => return Ok(None),
            http::StatusCode::OK => {}
            status => anyhow::bail!("the witness answered {status}"),
        }
        let body = Limited::new(response.into_body(), longest).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?;
        Ok(Some(body.to_bytes()))
    }

    async fn numbered(&self, url: &str) -> Result<Numbered> {
        let uri = format!("{}/process", url.trim_end_matches('/'));
        let request = http::Request::get(uri).body(Full::new(Bytes::new()))?;
        let answer = tokio::time::timeout(PATIENCE, self.ask(request)).await??;
        answer.context("the witness does not know /process")
    }

    /// Ask each witness for its last number, for ever: only so is a lost tail noticed.
    ///
    /// # Errors
    /// Never by itself.
    pub async fn poll(self, writer: Writer) -> Result<()> {
        let mut trouble: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let mut polled = Vec::new();
            for (name, url) in &self.inner.urls {
                match self.numbered(url).await {
                    Ok(said) => {
                        self.inner.metrics.witness("numbered");
                        trouble.remove(name);
                        let process = Process {
                            instance: said.instance,
                            started: said.started,
                        };
                        polled.push((process, said.last));
                    }
                    Err(error) => {
                        self.inner.metrics.witness("failed");
                        let error = format!("{error:#}");
                        if trouble.get(name) != Some(&error) {
                            tracing::warn!(witness = name, "does not say its number: {error}");
                            trouble.insert(name.clone(), error);
                        }
                    }
                }
            }
            if !polled.is_empty() {
                // What is not kept now is asked again.
                let _ = writer
                    .commit(Arrival {
                        polled,
                        ..Arrival::default()
                    })
                    .await;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
