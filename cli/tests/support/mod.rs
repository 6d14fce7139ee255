//! The real binary against the real router, over TLS on loopback. The Kubernetes API is
//! a double that lets one token read everything.

#![allow(dead_code, reason = "each test binary uses its part of this")]
#![expect(clippy::unwrap_used, reason = "a harness that fails says where")]

pub mod cluster;

use axum::Router;
use axum::body::Body;
use axum::middleware::{Next, from_fn};
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Batch, Options, Store};
use docket_record::harmful::{HARMFUL, is_harmful};
use docket_reporter::doors::{
    Callers, Head, Known, Names, Orgs, Settings, State, aggregated, router,
};
use docket_reporter::health::Health;
use docket_reporter::metrics::Metrics;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

pub const TOKEN: &str = "good-token";
pub const NORAS_TOKEN: &str = "noras-token";

/// Changes an answer's body, by its path.
pub type Lie = Arc<dyn Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync>;

pub struct World {
    pub store: Store,
    pub directory: tempfile::TempDir,
    lie: Arc<Mutex<Option<Lie>>>,
    pub url: String,
    pub known: Known,
    /// A cluster's API server, of the same records.
    pub cluster_url: String,
    size: tokio::sync::watch::Sender<u64>,
    recorded: i64,
    /// Never told: the reporter is not stopping.
    _stopping: tokio::sync::watch::Sender<bool>,
}

/// What the binary did.
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    #[track_caller]
    pub fn fails(&self, code: i32, says: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        let all = format!("{}{}", self.out, self.err);
        assert!(all.contains(says), "should say {says:?}:\n{all}");
    }
}

impl World {
    pub async fn new() -> World {
        World::seeded(7).await
    }

    /// Another seed is another signing key.
    pub async fn seeded(seed: u8) -> World {
        World::open(seed, None).await
    }

    /// Over a copy of this store.
    pub async fn over(store: &Path) -> World {
        World::open(7, Some(store)).await
    }

    async fn open(seed: u8, copied: Option<&Path>) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ledger.db");
        if let Some(store) = copied {
            std::fs::copy(store, &file).unwrap();
        }
        let mut salt = 0_u8;
        let random = Box::new(move |bytes: &mut [u8]| {
            salt = salt.wrapping_add(1);
            bytes.fill(salt);
        });
        let options = Options {
            origin: "docket.a5c.ai/test".into(),
            signing_seed: [seed; 32],
            random,
        };
        let store = Store::open(&file, options).unwrap();
        let (size, sizes) = tokio::sync::watch::channel(store.size());
        let (stopping, stops) = tokio::sync::watch::channel(false);
        let known = Known {
            head: Head::new(sizes, stops),
            ..Known::default()
        };
        let client = kubernetes();
        let health = Health::default().part("orgs", "");
        let (metrics, _) = Metrics::new();
        let (orgs, watch) = Orgs::watched(client.clone(), Names::default(), health, metrics);
        tokio::spawn(watch.run());
        let callers = Callers::Cluster {
            client,
            orgs: Box::new(orgs),
        };
        let settings = Settings {
            known: known.clone(),
            ..Settings::new(file, callers, store.verifier_key())
        };
        let lie = Arc::new(Mutex::new(None));
        let state = State::new(settings);
        let api = cluster::aggregator(aggregated(state.clone(), vec![cluster::WEBHOOK.into()]));
        let router = lying(router(state), lie.clone());
        let port = serve(router, directory.path()).await;
        let url = format!("https://localhost:{port}");
        let api_directory = directory.path().join("api");
        std::fs::create_dir(&api_directory).unwrap();
        let api_port = serve(api, &api_directory).await;
        World {
            store,
            directory,
            lie,
            url,
            known,
            cluster_url: format!("https://localhost:{api_port}"),
            size,
            _stopping: stopping,
            recorded: 1_790_000_000_000_000,
        }
    }

    /// From now on the server answers so.
    pub fn lie(&self, lie: impl Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
        *self.lie.lock().unwrap() = Some(Arc::new(lie));
    }

    pub fn honest(&self) {
        *self.lie.lock().unwrap() = None;
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn add(&mut self, class: Class, public: &Value, personal: Option<&Value>) {
        self.add_with(class, public, personal, None);
    }

    /// The same, with an exhibit.
    pub fn add_with(
        &mut self,
        class: Class,
        public: &Value,
        personal: Option<&Value>,
        exhibit: Option<&Value>,
    ) {
        self.recorded += 1_000_000;
        let entry = NewEntry {
            id: public["id"].as_str().unwrap().to_owned(),
            class,
            public: serde_json::to_vec(public).unwrap(),
            personal: personal.map(|part| serde_json::to_vec(part).unwrap()),
            exhibit: exhibit.map(|part| serde_json::to_vec(part).unwrap()),
        };
        let recorded = Timestamp::from_microsecond(self.recorded).unwrap();
        self.store
            .append(
                &Batch {
                    entries: vec![entry],
                    state: Vec::new(),
                },
                recorded,
            )
            .unwrap();
        self.size.send_modify(|size| *size += 1);
    }

    /// The n-th denial; members of the two parts as given.
    pub fn deny(&mut self, n: u32, public: Value, personal: Value) {
        let (public, personal) = denial(n, &public, &personal);
        self.add(Class::Denial, &public, Some(&personal));
    }

    pub fn denials(&mut self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            self.deny(n, json!({}), json!({}));
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        command
            .args(arguments)
            .env_clear()
            .env("DOCKET_URL", &self.url)
            .env("DOCKET_CA", self.ca())
            .env("DOCKET_TOKEN", TOKEN)
            .env("DOCKET_STATE", self.state())
            .envs(environment.iter().copied());
        let output = command.output().unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// With `text` on standard input.
    pub fn piped(&self, arguments: &[&str], text: &[u8]) -> (i32, String, String) {
        use std::io::Write as _;
        let mut child = Command::new(env!("CARGO_BIN_EXE_docket"))
            .args(arguments)
            .env_clear()
            .env("DOCKET_URL", &self.url)
            .env("DOCKET_CA", self.ca())
            .env("DOCKET_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

/// A text with the first and the last of each range of harmful characters.
pub fn harmful() -> String {
    let ends = HARMFUL
        .iter()
        .flat_map(|range| [range.start(), range.end()]);
    let all: String = ends.flat_map(|c| ['x', *c]).collect();
    format!("\u{1b}]0;owned\u{7}no\r\nID fake{all}y")
}

/// What of a command's output a terminal would obey; line breaks are its own.
pub fn obeyed(printed: &str) -> Option<char> {
    printed.chars().find(|c| is_harmful(*c) && *c != '\n')
}

pub fn id(n: u32) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &n.to_be_bytes());
    docket_record::entry::base32(digest.as_ref())
}

pub fn denial(n: u32, public: &Value, personal: &Value) -> (Value, Value) {
    let law = json!({"severity": "medium", "category": "Pull requests",
        "title": "A pull request says what it changes",
        "remediation": "Give spec.description at least 20 characters.", "mode": "enforce",
        "subject": "PullRequest", "exceptionEligible": true,
        "compliance": {"policies.kyverno.io/controls": "CC8.1"}});
    let mut whole = json!({
        "id": id(n), "time": format!("2026-10-05T12:{:02}:{:02}.000000Z", n / 60 % 60, n % 60),
        "verdict": "denied", "operation": "CREATE", "verb": "create", "dryRun": false,
        "group": "krate.a5c.ai", "version": "v1alpha1", "resource": "pullrequests",
        "kind": "PullRequest", "namespace": "krate-org-acme", "code": 400, "reason": "",
        "attributions": [{"enforcer": "kyverno", "policyKind": "ValidatingPolicy",
            "policy": "require-pr-description", "result": "fail", "grade": "exact",
            "source": "responseStatus", "law": law}],
        "context": {"org": "acme", "repository": "web", "pullRequest": format!("pr-{n}"),
            "surface": "pr", "claimed": true},
        "testimony": "verified", "passes": 1, "source": "apiserver"
    });
    let mut names = json!({
        "name": format!("pr-{n}"), "actor": {"username": "alice"},
        "text": "denied", "messages": ["A description of at least 20 characters is required."],
        "event": {}
    });
    for (into, from) in [(&mut whole, public), (&mut names, personal)] {
        for (name, value) in from.as_object().unwrap() {
            into[name] = value.clone();
        }
    }
    (whole, names)
}

fn lying(router: Router, lie: Arc<Mutex<Option<Lie>>>) -> Router {
    router.layer(from_fn(
        move |request: axum::extract::Request, next: Next| {
            let lie = lie.lock().unwrap().clone();
            async move {
                // HTTP/2 names the host too.
                let path = request
                    .uri()
                    .path_and_query()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let response = next.run(request).await;
                let Some(lie) = lie else { return response };
                let (mut head, body) = response.into_parts();
                head.headers.remove("content-length");
                let bytes = axum::body::to_bytes(body, usize::MAX)
                    .await
                    .unwrap()
                    .to_vec();
                axum::response::Response::from_parts(head, Body::from(lie(&path, bytes)))
            }
        },
    ))
}

/// TLS on a free port; the authority's certificate goes to `ca.pem`.
pub async fn serve(router: Router, directory: &Path) -> u16 {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("ca.pem"), issued.cert.pem()).unwrap();
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let service = TowerToHyperService::new(router);
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    port
}

/// May this user do what the attributes of an access review say? Alice grants no exceptions;
/// Nora reads one namespace, without evidence.
pub fn allowed(user: &str, asked: &Value) -> bool {
    let is = |name: &str, value: &str| asked[name].as_str().unwrap_or_default() == value;
    match user {
        "admin" => true,
        "nora" => {
            is("resource", "mydenials")
                || (is("resource", "denials")
                    && is("subresource", "")
                    && is("namespace", "krate-org-acme"))
        }
        // The aggregator keeps her from what is not hers.
        "alice" => is("group", "docket.a5c.ai"),
        _ => false,
    }
}

/// A double of the Kubernetes API: [`TOKEN`] is an admin who may read everything, and
/// [`NORAS_TOKEN`] reads one namespace. Namespaces are there since long ago.
fn kubernetes() -> kube::Client {
    use axum::response::IntoResponse as _;
    let namespace = |name: &str| {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}})
    };
    let answer = move |path: &str, query: &str, body: &Value| match path.rsplit('/').next() {
        Some("tokenreviews") => {
            let token = body["spec"]["token"].as_str().unwrap_or_default();
            let user = [(TOKEN, "admin"), (NORAS_TOKEN, "nora")];
            let user = user.into_iter().find(|(known, _)| token == *known);
            let status = json!({"authenticated": user.is_some(),
                "user": {"username": user.map_or("", |(_, user)| user)}});
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
                "spec": body["spec"], "status": status})
            .into()
        }
        Some("subjectaccessreviews") => {
            let user = body["spec"]["user"].as_str().unwrap_or_default();
            let allowed = allowed(user, &body["spec"]["resourceAttributes"]);
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                "metadata": {}, "spec": body["spec"], "status": {"allowed": allowed}})
            .into()
        }
        // Nothing ever changes.
        Some("namespaces") if query.contains("watch=true") => None,
        Some("namespaces") => {
            let items = ["krate-org-acme", "krate-org-globex"].map(namespace);
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": {"resourceVersion": "1"}, "items": items})
            .into()
        }
        Some(name) if path == format!("/api/v1/namespaces/{name}") => namespace(name).into(),
        _ => json!({"kind": "Status", "code": 404}).into(),
    };
    let service = tower::service_fn(
        move |request: http::Request<kube::client::Body>| async move {
            let (head, body) = request.into_parts();
            let body = http_body_util::BodyExt::collect(body)
                .await
                .unwrap()
                .to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let query = head.uri.query().unwrap_or_default();
            let response = match answer(head.uri.path(), query, &body) {
                Some(answer) if answer["kind"] == "Status" => {
                    (http::StatusCode::NOT_FOUND, axum::Json(answer)).into_response()
                }
                Some(answer) => axum::Json(answer).into_response(),
                None => std::future::pending().await,
            };
            Ok::<_, std::convert::Infallible>(response)
        },
    );
    kube::Client::new(service, "default")
}
