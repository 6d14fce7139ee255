//! Plain HTTP calls as one user, with everything the answer carried.
//!
//! Typed clients hide what Docket is about (status texts, Audit-Id, repeated tries), so
//! tests write and read with these.

use anyhow::{Context as _, Result};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;
use std::time::Duration;

use crate::pki::Identity;

/// An HTTP client that trusts the authorities of one run. It never repeats a call.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// `authorities` as PEM; with an identity it shows a client certificate.
    pub fn new(authorities: &[String], identity: Option<&Identity>) -> Result<Self> {
        Http::speaking(true, authorities, identity)
    }

    /// Speaks HTTP/1.1 only, with room for headers of a megabyte. Over HTTP/2 such a header
    /// breaks the connection, and with it every call that shares it.
    pub fn for_large_headers(authorities: &[String]) -> Result<Self> {
        Http::speaking(false, authorities, None)
    }

    fn speaking(http2: bool, authorities: &[String], identity: Option<&Identity>) -> Result<Self> {
        crate::run::install_crypto();
        let mut roots = RootCertStore::empty();
        for pem in authorities {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots
                    .add(certificate.context("read an authority")?)
                    .context("trust it")?;
            }
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(
                    CertificateDer::pem_file_iter(&identity.certificate)
                        .context("read the client certificate")?
                        .collect::<Result<_, _>>()
                        .context("read the client certificate")?,
                    PrivateKeyDer::from_pem_file(&identity.key).context("read the client key")?,
                )
                .context("use the client certificate")?,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let connector = match http2 {
            true => connector.enable_all_versions().wrap_connector(tcp),
            false => connector.enable_http1().wrap_connector(tcp),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .retry_canceled_requests(false)
            .http1_max_buf_size(8 << 20)
            .build(connector);
        Ok(Http { client })
    }

    /// Begins a call.
    pub fn call(&self, method: Method, url: impl Into<String>) -> Call {
        Call {
            http: self.clone(),
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            within: Duration::from_secs(70),
        }
    }

    /// A GET.
    pub fn get(&self, url: impl Into<String>) -> Call {
        self.call(Method::GET, url)
    }
}

/// A call that is being put together.
#[derive(Clone, Debug)]
pub struct Call {
    http: Http,
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    within: Duration,
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter. The value must need no escaping but for spaces and `+`.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        let value = value
            .replace('%', "%25")
            .replace('+', "%2B")
            .replace(' ', "%20");
        let value = value.replace('&', "%26").replace('#', "%23");
        self.url.push_str(&format!("{mark}{name}={value}"));
        self
    }

    /// Asks for a dry run.
    #[must_use]
    pub fn dry_run(self) -> Self {
        self.query("dryRun", "All")
    }

    /// Acts as someone else (kubectl's `--as`).
    #[must_use]
    pub fn acting_as(self, user: &str) -> Self {
        self.header("Impersonate-User", user)
    }

    /// Carries a bearer token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Any body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// Gives up after this time (70 s if not said).
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Sends it. An error means that no answer came; a refusal is a [`Reply`].
    pub async fn send(self) -> Result<Reply> {
        let what = format!("{} {}", self.method, self.url);
        let mut request = Request::builder().method(self.method).uri(self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(self.body))
            .context("put the call together")?;
        let exchange = async {
            let response = self.http.client.request(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok((parts, body))
        };
        let (parts, bytes) = tokio::time::timeout(self.within, exchange)
            .await
            .with_context(|| format!("{what}: no answer in time"))?
            .with_context(|| what.clone())?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Reply {
            what,
            status: parts.status,
            headers: parts.headers,
            body,
            text,
        })
    }
}

/// An answer, whatever it says.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Method and URL of the call.
    pub what: String,
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body if it is JSON, else null.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Reply {
    /// The HTTP code.
    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The id under which the API server audits this request.
    pub fn audit_id(&self) -> Option<&str> {
        self.headers.get("Audit-Id")?.to_str().ok()
    }

    /// `message` of a Status.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// True for 2xx.
    pub fn ok(&self) -> bool {
        self.status.is_success()
    }

    /// The reply, or an error that shows it, unless it is 2xx.
    pub fn accepted(self) -> Result<Self> {
        anyhow::ensure!(
            self.ok(),
            "{}: {} {}",
            self.what,
            self.status,
            self.excerpt()
        );
        Ok(self)
    }

    /// The reply, or an error that shows it, unless it has this code.
    pub fn expect_code(self, code: u16) -> Result<Self> {
        anyhow::ensure!(
            self.code() == code,
            "{}: {} instead of {code}: {}",
            self.what,
            self.status,
            self.excerpt()
        );
        Ok(self)
    }

    fn excerpt(&self) -> String {
        self.text.chars().take(600).collect()
    }
}
