//! Starts the real binary with certificates, keys and directories as kubelet lays them out,
//! and speaks to it.

use bytes::Bytes;
use docket_record::examine::Config;
use docket_record::review::Review;
use docket_record::testimony::{Keys, Testimony};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const CLUSTER: &str = "ring";
pub const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub const NEW_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
/// Longer than any machine needs; tests wait for things, not for time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority made for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub fn issue(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// Everything the process is given, and what its callers hold.
pub struct Setup {
    pub dir: tempfile::TempDir,
    pub server: Authority,
    pub callers: Authority,
    pub reporters: Authority,
    /// Signs the certificate of kube-apiserver's front proxy.
    pub fronts: Authority,
    pub flags: Vec<String>,
    pub with_client_ca: bool,
}

impl Setup {
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let setup = Self {
            dir: tempfile::tempdir().unwrap(),
            server: Authority::new("server"),
            callers: Authority::new("callers"),
            reporters: Authority::new("reporters"),
            fronts: Authority::new("fronts"),
            flags: Vec::new(),
            with_client_ca: true,
        };
        let pair = setup.server.issue("first");
        setup.mount("tls", &[("tls.crt", &pair.cert), ("tls.key", &pair.key)]);
        setup.mount("callers", &[("ca.crt", &setup.callers.pem)]);
        setup.mount("reporters", &[("ca.crt", &setup.reporters.pem)]);
        setup.mount("keys", &[("k1", KEY)]);
        setup
    }

    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags
            .extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// With the aggregated API's door, and the reporter at this place.
    pub fn with_api(self, reporter: SocketAddr) -> Self {
        self.mount("fronts", &[("ca.crt", &self.fronts.pem)]);
        let pair = self.callers.issue("docket-webhook");
        self.mount(
            "reporter",
            &[
                ("ca.crt", &self.server.pem),
                ("tls.crt", &pair.cert),
                ("tls.key", &pair.key),
            ],
        );
        let file = |name: &str| self.path(name).display().to_string();
        let flags = [
            ("--api-listen", "127.0.0.1:0".to_owned()),
            ("--api-tls-cert", file("tls/tls.crt")),
            ("--api-tls-key", file("tls/tls.key")),
            ("--api-front-proxy-ca", file("fronts/ca.crt")),
            ("--api-reporter", format!("https://{reporter}")),
            ("--api-reporter-ca", file("reporter/ca.crt")),
            ("--api-reporter-cert", file("reporter/tls.crt")),
            ("--api-reporter-key", file("reporter/tls.key")),
        ];
        let flags: Vec<&str> = flags
            .iter()
            .flat_map(|(flag, value)| [*flag, value.as_str()])
            .collect();
        self.flags(&flags)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a volume as kubelet does: files in a directory of their own, `..data` pointing
    /// to it, and links through `..data`; an existing one is swapped by a rename.
    pub fn mount(&self, volume: &str, files: &[(&str, &str)]) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let version = format!(
            "..v{}",
            NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        );
        let root = self.path(volume);
        std::fs::create_dir_all(root.join(&version)).unwrap();
        for (name, content) in files {
            std::fs::write(root.join(&version).join(name), content).unwrap();
        }
        std::os::unix::fs::symlink(&version, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        for entry in std::fs::read_dir(&root).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with('.') && !files.iter().any(|(file, _)| **file == name) {
                std::fs::remove_file(root.join(name)).unwrap();
            }
        }
        for (name, _) in files {
            if !root.join(name).exists() {
                std::os::unix::fs::symlink(Path::new("..data").join(name), root.join(name))
                    .unwrap();
            }
        }
    }

    pub async fn start(self) -> Witness {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket-webhook"));
        command
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args([
                "--exhibits-listen",
                "127.0.0.1:0",
                "--cluster",
                CLUSTER,
                "--instance",
                "pod-1",
            ])
            .args([
                "--log-format",
                "json",
                "--reload-interval",
                "50ms",
                "--drain-delay",
                "0s",
            ]);
        for (flag, file) in [
            ("--tls-cert", "tls/tls.crt"),
            ("--tls-key", "tls/tls.key"),
            ("--exhibits-tls-cert", "tls/tls.crt"),
            ("--exhibits-tls-key", "tls/tls.key"),
            ("--exhibits-client-ca", "reporters/ca.crt"),
            ("--mac-keys", "keys"),
        ] {
            command.arg(flag).arg(self.path(file));
        }
        if self.with_client_ca {
            command.arg("--client-ca").arg(self.path("callers/ca.crt"));
        }
        // A flag given twice is refused, so a test's own replaces ours.
        let mut args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        for pair in self.flags.chunks(2) {
            if let Some(at) = args.iter().position(|arg| *arg == *pair[0]) {
                args.drain(at..at + 2);
            }
            args.extend(pair.iter().map(Into::into));
        }
        let mut child = Command::new(command.get_program())
            .args(args)
            .env("RUST_LOG", "debug,hyper=info,h2=info,rustls=info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::<Value>::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "raw": line }));
                sink.lock().unwrap().push(line);
            }
        });
        let mut witness = Witness {
            child,
            log,
            admission: ([127, 0, 0, 1], 0).into(),
            exhibits: ([127, 0, 0, 1], 0).into(),
            api: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            caller: self.callers.issue("kube-apiserver"),
            reporter: self.reporters.issue("reporter"),
            front: self.fronts.issue("front-proxy-client"),
            setup: self,
        };
        let line = witness.logged("witness listening").await;
        let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        witness.admission = address("admission");
        witness.exhibits = address("exhibits");
        if line["api"] != "off" {
            witness.api = address("api");
        }
        witness.admin = address("admin");
        witness
    }
}

/// A running process.
pub struct Witness {
    pub child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub admission: SocketAddr,
    pub exhibits: SocketAddr,
    pub api: SocketAddr,
    pub admin: SocketAddr,
    pub caller: Pair,
    pub reporter: Pair,
    pub front: Pair,
    pub setup: Setup,
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self
            .log
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::thread::panicking() {
            for line in log.iter() {
                eprintln!("{line}");
            }
        } else {
            // What no test thinks to assert: nothing panicked.
            let panics = log
                .iter()
                .filter(|line| line.to_string().contains("panicked"))
                .count();
            assert_eq!(panics, 0, "{log:?}");
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// One connection, HTTP/1.1 or HTTP/2.
pub enum Connection {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Got, hyper::Error> {
        let response = match self {
            Self::H1(connection) => {
                connection.ready().await?;
                connection.send_request(request).await?
            }
            Self::H2(connection) => {
                connection.ready().await?;
                connection.send_request(request).await?
            }
        };
        let (head, body) = response.into_parts();
        Ok(Got {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Got, hyper::Error> {
        let uri = match self {
            Self::H1(_) => path.to_owned(),
            Self::H2(_) => format!("https://127.0.0.1{path}"),
        };
        let request = Request::post(uri)
            .header("host", "127.0.0.1")
            .body(Full::new(body.into()));
        self.send(request.unwrap()).await
    }
}

impl Witness {
    /// Waits for a log line.
    pub async fn logged(&mut self, message: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.all_logged(message).pop();
            if let Some(line) = found {
                return line;
            }
            if let Ok(Some(status)) = self.child.try_wait()
                && self.all_logged(message).is_empty()
            {
                panic!(
                    "the witness ended with {status}: {:?}",
                    self.log.lock().unwrap()
                );
            }
            assert!(
                Instant::now() < until,
                "no line {message:?}: {:?}",
                self.log.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn all_logged(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter(|line| line.to_string().contains(message))
            .cloned()
            .collect()
    }

    pub fn whole_log(&self) -> String {
        self.log
            .lock()
            .unwrap()
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// A TLS connection to a door, with a client certificate or without.
    pub async fn tls(
        &self,
        door: SocketAddr,
        caller: Option<&Pair>,
        alpn: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.setup.server.pem.as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match caller {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(door).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Common name of the certificate served now.
    pub async fn served_certificate(&self) -> Vec<u8> {
        let stream = self
            .tls(self.admission, Some(&self.caller), "http/1.1")
            .await
            .unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    pub async fn connect(&self, door: SocketAddr, caller: Option<&Pair>, alpn: &str) -> Connection {
        let io = TokioIo::new(self.tls(door, caller, alpn).await.unwrap());
        if alpn == "h2" {
            let (send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            Connection::H2(send)
        } else {
            let (send, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            Connection::H1(send)
        }
    }

    /// A connection as kube-apiserver makes it.
    pub async fn apiserver(&self) -> Connection {
        self.connect(self.admission, Some(&self.caller), "http/1.1")
            .await
    }

    /// One call as kube-apiserver makes it.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Got {
        self.apiserver().await.post(path, body).await.unwrap()
    }

    /// A question as the reporter asks it.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Got {
        let mut connection = self
            .connect(self.exhibits, Some(&self.reporter), "http/1.1")
            .await;
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1");
        connection
            .send(request.body(Full::new(body)).unwrap())
            .await
            .unwrap()
    }

    /// A plain request to the admin listener.
    pub async fn admin(&self, path: &str) -> Result<Got, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(self.admin).await?;
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", "x")
            .body(Full::new(Bytes::new()))?;
        Ok(Connection::H1(send).send(request).await?)
    }

    /// The value of one series.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = self.admin("/metrics").await.unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("{series} ")));
        let line = line.unwrap_or_else(|| panic!("no series {series} in\n{page}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the witness does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits until something holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let until = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A review as kube-apiserver sends it: a pull request created by ann.
pub fn review(uid: &str) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid,
            "kind": { "group": "krate.a5c.ai", "version": "v1alpha1", "kind": "PullRequest" },
            "resource": { "group": "krate.a5c.ai", "version": "v1alpha1", "resource": "pullrequests" },
            "name": "pr-1",
            "namespace": "krate-org-acme",
            "operation": "CREATE",
            "userInfo": { "username": "ann", "groups": ["system:authenticated"] },
            "object": {
                "apiVersion": "krate.a5c.ai/v1alpha1",
                "kind": "PullRequest",
                "metadata": { "name": "pr-1", "namespace": "krate-org-acme" },
                "spec": { "organizationRef": "acme", "repository": "web", "title": "a change" }
            },
            "oldObject": null,
            "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" }
        }
    })
}

/// One object of a nameless delete.
pub fn collection_review(uid: &str, name: &str) -> Value {
    let mut review = review(uid);
    let request = &mut review["request"];
    request.as_object_mut().unwrap().remove("name");
    request["operation"] = json!("DELETE");
    request["oldObject"] = request["object"].take();
    request["oldObject"]["metadata"]["name"] = json!(name);
    request["oldObject"]["metadata"]["uid"] = json!(format!("object-{name}"));
    review
}

/// A uid as the API server makes it.
pub fn uid(n: usize) -> String {
    format!("7d0d4a3e-0000-4000-8000-{n:012}")
}

/// The testimony inside an answer, verified against the review it answers.
pub fn verified(got: &Got, review: &Value, hook: &str, keys: &[(&str, &str)]) -> Testimony {
    let answer = got.json();
    let annotations = answer["response"]["auditAnnotations"]
        .as_object()
        .expect("annotations");
    assert_eq!(annotations.len(), 1);
    let (key, value) = annotations.iter().next().unwrap();
    let body = review.to_string();
    let review = Review::parse(body.as_bytes()).unwrap();
    assert_eq!(key, review.annotation_key());
    let keys = Keys::from_entries(keys.iter().copied()).unwrap();
    let value = value.as_str().unwrap();
    keys.verify(value, &review.bound(CLUSTER, hook))
        .unwrap_or_else(|e| panic!("{e:?}: {value}"))
}

pub fn config() -> Config {
    Config {
        cluster: CLUSTER.to_owned(),
        krate_group: "krate.a5c.ai".to_owned(),
        label_prefix: "krate.a5c.ai/".to_owned(),
        org_namespace_prefix: "krate-org-".to_owned(),
        clock_tolerance: jiff::SignedDuration::ZERO,
    }
}
