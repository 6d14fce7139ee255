//! A real reporter process on loopback, with certificates, and clients for it.

use crate::events;
use bytes::Bytes;
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader, Row};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// PEM of a certificate and its key.
pub struct Identity {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn sign(&self, name: &str) -> Identity {
        self.sign_as(&[(DnType::CommonName, name)])
    }

    /// A certificate with two common names.
    pub fn sign_both(&self, first: &str, second: &str) -> Identity {
        // rcgen keeps one name of a kind; by its number it is another kind.
        let again = DnType::CustomDnType(vec![2, 5, 4, 3]);
        self.sign_as(&[(DnType::CommonName, first), (again, second)])
    }

    fn sign_as(&self, names: &[(DnType, &str)]) -> Identity {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Identity {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

pub struct Reporter {
    pub dir: tempfile::TempDir,
    pub authority: Authority,
    pub audit: u16,
    pub admin: u16,
    pub rest: u16,
    child: Option<Child>,
    extra: Vec<String>,
    limited: bool,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Reporter {
    /// Not started yet.
    pub fn new(extra: &[&str]) -> Reporter {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("docket");
        let server = authority.sign("reporter");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("ca.crt", &authority.0.pem());
        write("server.crt", &server.cert);
        write("server.key", &server.key);
        std::fs::create_dir(dir.path().join("mac-keys")).unwrap();
        write("mac-keys/k1", events::KEY);
        // No cluster: policies stay unknown, and audit events are kept all the same.
        write(
            "kubeconfig",
            "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n\
             users: [{name: u, user: {token: x}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n\
             current-context: x\n",
        );
        Reporter {
            dir,
            authority,
            audit: free_port(),
            admin: free_port(),
            rest: free_port(),
            child: None,
            extra: extra.iter().map(|&text| text.to_owned()).collect(),
            limited: false,
        }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    /// Writes beyond a file size limit fail instead of ending the process, so that a
    /// limit set later is a full disk.
    pub fn limitable(mut self) -> Reporter {
        self.limited = true;
        self
    }

    pub async fn start(&mut self) {
        let binary = env!("CARGO_BIN_EXE_docket-reporter");
        let mut command = if self.limited {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", binary]);
            shell
        } else {
            Command::new(binary)
        };
        let file = |name: &str| self.dir.path().join(name);
        command
            .arg("--store")
            .arg(self.store())
            .arg("--signing-key")
            .arg(file("signing.key"))
            .args(["--cluster", events::CLUSTER])
            .arg("--mac-keys")
            .arg(file("mac-keys"))
            .arg("--kubeconfig")
            .arg(file("kubeconfig"))
            .args(["--audit-listen", &format!("127.0.0.1:{}", self.audit)])
            .arg("--audit-tls-cert")
            .arg(file("server.crt"))
            .arg("--audit-tls-key")
            .arg(file("server.key"))
            .arg("--audit-client-ca")
            .arg(file("ca.crt"))
            .args(["--admin-listen", &format!("127.0.0.1:{}", self.admin)])
            .args(&self.extra);
        self.spawn(command).await;
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.audit))
            .await
            .is_err()
        {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "not up: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn start_replay(&mut self, day: &std::path::Path) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket-reporter"));
        command
            .arg("--replay")
            .arg(day)
            // It is killed in the end: its store goes with the test's directory.
            .env("TMPDIR", self.dir.path())
            .args(["--listen", &format!("127.0.0.1:{}", self.rest)])
            .args(["--admin-listen", &format!("127.0.0.1:{}", self.admin)])
            .stdout(std::fs::File::create(self.dir.path().join("out")).unwrap());
        self.spawn(command).await;
        for _ in 0..100 {
            let out = std::fs::read_to_string(self.dir.path().join("out")).unwrap();
            if let Some((_, token)) = out.split_once("DOCKET_TOKEN=")
                && token.ends_with('\n')
            {
                return token.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no token was printed");
    }

    async fn spawn(&mut self, mut command: Command) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        // Through a pipe, so that a limit on files does not silence it.
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            let mut log = log;
            let _ = std::io::copy(&mut stderr, &mut log);
        });
        self.child = Some(child);
        let began = Instant::now();
        while self
            .admin("/readyz")
            .await
            .is_none_or(|(_, body)| !body.contains("ledger\":\"ok"))
        {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "not up: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(self.child.as_ref().unwrap())
    }

    /// No chance to do anything.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asked to end; it must do so without an error.
    pub async fn stop(&mut self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        self.ended().await;
    }

    /// It was asked to end; it must do so without an error.
    pub async fn ended(&mut self) {
        let mut child = self.child.take().unwrap();
        for _ in 0..600 {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log());
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.kill().unwrap();
        panic!("it does not end: {}", self.log());
    }

    pub async fn admin(&self, path: &str) -> Option<(u16, String)> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let uri = format!("http://127.0.0.1:{}{path}", self.admin);
        let response = client.get(uri.parse().unwrap()).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The value of one metric, 0 if it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.admin("/metrics").await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// A client that trusts the reporter, with a certificate or without.
    pub fn client(&self, identity: Option<&Identity>) -> Https {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(self.tls(identity))
            .https_only()
            .enable_http1()
            .build();
        Client::builder(TokioExecutor::new()).build(connector)
    }

    fn tls(&self, identity: Option<&Identity>) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        let ca = self.authority.0.pem();
        roots
            .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
            .unwrap();
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
        match identity {
            Some(identity) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(identity.cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        }
    }

    /// Sends these bytes to the audit listener as they stand; what is answered, to the end.
    pub async fn send(&self, bytes: &[u8]) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let config = self.tls(Some(&self.authority.sign("api")));
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.audit))
            .await
            .unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let mut stream = connector.connect(name, stream).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(10), reading).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn api_server(&self) -> Https {
        self.client(Some(&self.authority.sign("api")))
    }

    /// Post a batch: status and Retry-After.
    pub async fn post(&self, client: &Https, body: impl Into<Bytes>) -> Result<Answer, String> {
        let uri = format!("https://127.0.0.1:{}/audit?timeout=30s", self.audit);
        let request = http::Request::post(uri)
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        let response = client
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let retry = response.headers().get("retry-after");
        let retry = retry.map(|after| after.to_str().unwrap().to_owned());
        Ok(Answer {
            status: response.status().as_u16(),
            retry,
        })
    }

    /// Entries of a class, oldest first.
    pub fn rows(&self, class: Class) -> Vec<Row> {
        let reader = Reader::open(&self.store()).unwrap();
        let filter = Filter {
            classes: vec![class],
            ..Filter::default()
        };
        let mut rows = reader
            .list(
                &filter,
                &Page {
                    limit: 100_000,
                    ..Page::default()
                },
            )
            .unwrap();
        rows.sort_by_key(|row| row.position);
        rows
    }

    /// Names of the denied objects, in order of position.
    pub fn denied(&self) -> Vec<String> {
        let name = |row: &Row| {
            let personal: Value = serde_json::from_slice(row.personal.as_ref().unwrap()).unwrap();
            personal["name"].as_str().unwrap().to_owned()
        };
        self.rows(Class::Denial).iter().map(name).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry: Option<String>,
}

impl Answer {
    pub fn ok(&self) -> bool {
        self.status == 200
    }
}

/// The name of the object in an event.
pub fn name(event: &Value) -> String {
    event["objectRef"]["name"].as_str().unwrap().to_owned()
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the reporter's log:\n{}", self.log());
        }
    }
}
