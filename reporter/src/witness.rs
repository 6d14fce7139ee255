//! Asking the witnesses: how far a process has numbered and what for, which object of a
//! collection it reviewed last, and for exhibits.

mod collections;
mod exhibits;
mod numbers;

use crate::intake::Arrival;
use crate::metrics::Metrics;
use crate::tls::ClientFiles;
use crate::writer::Writer;
use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use bytes::Bytes;
pub use collections::LastObject;
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
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Between two questions for the last number. Well below `--number-wait`.
const POLL: Duration = Duration::from_secs(10);
/// A denial waits this long for the witness's answer, and no longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers are a few hundred bytes.
const LONGEST: usize = 64 * 1024;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The witnesses by instance name.
#[derive(Clone)]
pub struct Witnesses {
    inner: Arc<Inner>,
}

struct Inner {
    urls: BTreeMap<String, String>,
    files: Option<ClientFiles>,
    client: ArcSwap<Https>,
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

fn client(files: Option<&ClientFiles>) -> Result<Https> {
    let builder = HttpsConnectorBuilder::new();
    let builder = match files {
        Some(files) => builder.with_tls_config(files.config()?).https_only(),
        None => {
            let none = rustls::RootCertStore::empty();
            let config = rustls::ClientConfig::builder()
                .with_root_certificates(none)
                .with_no_client_auth();
            builder.with_tls_config(config).https_or_http()
        }
    };
    let connector = builder.enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

impl Witnesses {
    /// `urls` by instance name; `files` our certificate and their authority.
    ///
    /// # Errors
    /// If a certificate can't be used.
    pub fn new(
        urls: BTreeMap<String, String>,
        files: Option<ClientFiles>,
        metrics: Metrics,
    ) -> Result<Witnesses> {
        for (name, url) in &urls {
            let uri: http::Uri = url
                .parse()
                .with_context(|| format!("--witness {name}={url} is no URL"))?;
            let secure = uri.scheme_str() == Some("https");
            anyhow::ensure!(
                secure == files.is_some(),
                "--witness {name}={url}: give an https URL and --witness-ca, --witness-cert and \
                 --witness-key"
            );
        }
        let client = ArcSwap::from_pointee(client(files.as_ref())?);
        Ok(Witnesses {
            inner: Arc::new(Inner {
                urls,
                files,
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
        let client = self.inner.client.load_full();
        let response = client.request(request).await?;
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
            // Certificates may have been renewed meanwhile.
            match client(self.inner.files.as_ref()) {
                Ok(fresh) => self.inner.client.store(Arc::new(fresh)),
                Err(error) => tracing::warn!("the old witness certificate is kept: {error:#}"),
            }
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
