//! HTTPS to the reporter. Every failure names its remedy.

use crate::args::Server;
use crate::door::{Endless, Refused};
use crate::failure::{Failure, chain, could_not};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest answer that is read: a page of 200 entries with all their parts.
pub const LARGEST: usize = 64 * 1024 * 1024;
/// Longest wait for one answer.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Where systems keep the certificates that they believe.
const SYSTEM_CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

const SOURCE: &str = "after `make up`, `. target/run/env` sets it";

/// What a server made of a body.
pub enum Posted {
    /// Its answer.
    Taken(Value),
    /// Busy, not there, or it did not answer: the same may go well in a moment.
    Later(Failure),
}

/// One server, one token.
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authority: String,
    loopback: bool,
    token: String,
    ca: String,
}

impl Client {
    /// Nothing is sent yet.
    pub fn new(server: &Server) -> Result<Client, Failure> {
        let say = |text: String| Failure::CouldNot(text);
        let url = server.url.as_deref().ok_or_else(|| {
            say(format!(
                "no server to ask: set DOCKET_URL or --url ({SOURCE})"
            ))
        })?;
        let parsed: Uri = url
            .trim_end_matches('/')
            .parse()
            .map_err(could_not("the address is not a URL"))?;
        // A replay on this machine has no TLS; its token goes nowhere.
        let loopback = is_loopback(parsed.host().unwrap_or_default());
        let scheme = match parsed.scheme_str() {
            Some("https") => "https",
            Some("http") if loopback => "http",
            _ => {
                return Err(say(format!(
                    "{url} is not an https address; a token is never sent without TLS"
                )));
            }
        };
        let authority = parsed
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        let token = server
            .token
            .clone()
            .filter(|token| !token.trim().is_empty())
            .ok_or_else(|| say(format!("no token to show: set DOCKET_TOKEN or --token ({SOURCE}; else `kubectl create token`)")))?;
        let (ca, roots) = match scheme {
            "https" => roots(server.ca.as_deref())?,
            _ => (PathBuf::new(), RootCertStore::empty()),
        };
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .build();
        let http =
            hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        let prefix = parsed.path().trim_end_matches('/');
        Ok(Client {
            http,
            base: format!("{scheme}://{authority}{prefix}"),
            authority,
            loopback,
            token: token.trim().to_owned(),
            ca: ca.display().to_string(),
        })
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The bearer token that is shown.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Is the server on this machine?
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The body of a 200.
    pub async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        let (status, body) = self.ask(path).await?;
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(self.refused(status, &body))
        }
    }

    /// A 200's body as JSON.
    pub async fn json(&self, path: &str) -> Result<Value, Failure> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).map_err(could_not("the server's answer is not JSON"))
    }

    /// Sends a body. What is worth another try is told apart from what is not.
    pub async fn post(&self, path: &str, body: Bytes) -> Result<Posted, Failure> {
        let asked = self.call(Method::POST, path, body).await;
        match asked {
            Ok((StatusCode::OK, body)) => serde_json::from_slice(&body)
                .map(Posted::Taken)
                .map_err(could_not("the server's answer is not JSON")),
            Ok((StatusCode::SERVICE_UNAVAILABLE, body)) => Ok(Posted::Later(
                self.refused(StatusCode::SERVICE_UNAVAILABLE, &body),
            )),
            Ok((status, body)) => Err(self.refused(status, &body)),
            Err(failure) => Ok(Posted::Later(failure)),
        }
    }

    /// A 200's body as JSON; `None` for what is not there, or not the caller's to read.
    pub async fn json_if_any(&self, path: &str) -> Result<Option<Value>, Failure> {
        let (status, body) = self.ask(path).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            StatusCode::OK => serde_json::from_slice(&body)
                .map(Some)
                .map_err(could_not("the server's answer is not JSON")),
            status => Err(self.refused(status, &body)),
        }
    }

    /// An answer that does not end; `after` is the id of the last event that was seen.
    pub async fn stream(&self, path: &str, after: Option<&str>) -> Result<Endless, Refused> {
        let mut request = self
            .request(Method::GET, path, Bytes::new())
            .map_err(Refused::Failed)?;
        if let Some(after) = after.and_then(|after| after.parse().ok()) {
            request.headers_mut().insert("last-event-id", after);
        }
        let sent = tokio::time::timeout(PATIENCE, self.http.request(request)).await;
        let response = match sent {
            Err(_) => {
                return Err(Refused::Later(format!(
                    "{} does not answer",
                    self.authority
                )));
            }
            Ok(Err(error)) => return Err(Refused::Later(self.unreachable(&error).said())),
            Ok(Ok(response)) => response,
        };
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body.map_err(Into::into).boxed_unsync());
        }
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
        let refused = self.refused(head.status, &body);
        Err(Refused::of(head.status, refused))
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, Bytes), Failure> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(
                header::USER_AGENT,
                concat!("docket/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(body))
            .map_err(could_not(
                "the request can't be written; is the token one line of text?",
            ))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = self.request(method, path, body)?;
        let answer = async {
            let response = self
                .http
                .request(request)
                .await
                .map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            match body {
                Ok(body) => Ok((status, body.to_bytes())),
                Err(error) => Err(Failure::CouldNot(format!(
                    "the answer of {} broke off: {}",
                    self.authority,
                    chain(error.as_ref())
                ))),
            }
        };
        let late = || {
            Failure::CouldNot(format!(
                "{} did not answer within {PATIENCE:?}; try again, or ask for less",
                self.authority
            ))
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| late())?
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Failure {
        let cause = chain(error);
        let remedy = if cause.contains("UnknownIssuer") || cause.contains("certificate") {
            format!(
                "its certificate is not believed by {}; set DOCKET_CA or --ca to the right authority ({SOURCE})",
                self.ca
            )
        } else {
            "is the reporter running there? `make up` starts one, and `. target/run/env` sets DOCKET_URL to it".to_owned()
        };
        Failure::CouldNot(format!(
            "{} can't be reached: {remedy} [{cause}]",
            self.authority
        ))
    }

    /// What the server said, and for a token what to do.
    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = body["message"].as_str().unwrap_or("it does not say why");
        match status {
            StatusCode::NOT_FOUND => Failure::Wrong(said.to_owned()),
            StatusCode::UNAUTHORIZED => Failure::CouldNot(format!(
                "{} does not accept the token: {said}; set a fresh DOCKET_TOKEN (`kubectl create token`, or `. target/run/env`)",
                self.authority
            )),
            StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => Failure::CouldNot(said.to_owned()),
            status => Failure::CouldNot(format!("{} answers {status}: {said}", self.authority)),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// The certificates of a file, else those of the system, and where they stand.
pub fn roots(given: Option<&Path>) -> Result<(PathBuf, RootCertStore), Failure> {
    let system = || {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        named
            .into_iter()
            .chain(SYSTEM_CERTIFICATES.map(PathBuf::from))
            .find(|file| file.exists())
    };
    let file = given.map(Path::to_owned).or_else(system).ok_or_else(|| {
        Failure::CouldNot(format!(
            "no certificates to believe: set DOCKET_CA or --ca ({SOURCE})"
        ))
    })?;
    let unreadable = |cause: String| {
        Failure::CouldNot(format!(
            "{} holds no certificates that can be read: {cause}; set DOCKET_CA or --ca ({SOURCE})",
            file.display()
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(&file).map_err(|error| unreadable(chain(&error)))?
    {
        let certificate = certificate.map_err(|error| unreadable(chain(&error)))?;
        // Systems keep some that rustls does not take; the others still hold.
        let taken = roots.add(certificate);
        if given.is_some() {
            taken.map_err(|error| unreadable(chain(&error)))?;
        }
    }
    if roots.is_empty() {
        Err(unreadable("none in it".to_owned()))
    } else {
        Ok((file, roots))
    }
}

/// `name=value` pairs as a query; values percent-encoded.
pub fn query(pairs: &[(&str, String)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        query.push_str(&encode(value));
    }
    query
}

/// One part of a path or a query: everything but letters, digits and `-_.~` escaped.
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, query};

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "10.0.0.1",
            "localhost.example",
            "127.0.0.1.example",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_a_user_types_never_becomes_a_second_parameter() {
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&[
                ("actor", "a&limit=1#é /".to_owned()),
                ("limit", "5".to_owned())
            ]),
            "?actor=a%26limit%3D1%23%C3%A9%20%2F&limit=5"
        );
    }
}
