//! A ledger with denials in it, and a router over it.

use super::cluster_double::ClusterDouble;
use crate::doors::read::Records;
use crate::doors::{
    Callers, Head, Known, Names, Orgs, Patience, Settings, State, aggregated, router,
};
use crate::health::Health;
use crate::metrics::{Metrics, render};
use crate::serve::Peer;
use axum::Router;
use axum::body::Body;
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Batch, Options, Store};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;

pub struct World {
    pub store: Store,
    pub cluster: ClusterDouble,
    pub router: Router,
    /// The listener of the aggregated API.
    pub aggregated: Router,
    /// The process is about to end.
    pub stop: watch::Sender<bool>,
    registry: Registry,
    size: watch::Sender<u64>,
    // Removed with the world.
    directory: tempfile::TempDir,
    recorded: i64,
}

/// One answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    async fn read(response: http::Response<Body>) -> Answer {
        let (head, body) = response.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&self.bytes));
        })
    }

    /// Positions of the items, in their order.
    #[track_caller]
    pub fn positions(&self) -> Vec<u64> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        let body = self.json();
        let items = body["items"].as_array().expect("a list");
        items
            .iter()
            .map(|item| item["position"].as_u64().unwrap())
            .collect()
    }

    #[track_caller]
    pub fn total(&self) -> u64 {
        self.json()["total"].as_u64().expect("a total")
    }

    #[track_caller]
    pub fn refused(&self, status: u16, error: &str) -> String {
        let body = self.json();
        assert_eq!(
            (self.status.as_u16(), body["error"].as_str()),
            (status, Some(error)),
            "{body}"
        );
        body["message"].as_str().expect("a message").to_owned()
    }
}

impl World {
    /// An empty ledger; `admin` may read everything.
    pub fn new() -> World {
        World::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> World {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ledger.db");
        let mut salt = 0_u8;
        let random = Box::new(move |bytes: &mut [u8]| {
            salt = salt.wrapping_add(1);
            bytes.fill(salt);
        });
        let options = Options {
            origin: "docket.a5c.ai/test".into(),
            signing_seed: [7; 32],
            random,
        };
        let store = Store::open(&file, options).unwrap();
        let cluster = ClusterDouble::default();
        cluster.grant("admin", "*");
        let (metrics, registry) = Metrics::new();
        let part = Health::default().part("orgs", "");
        let names = Names::default();
        let (orgs, watch) = Orgs::watched(cluster.client(), names, part, metrics.clone());
        tokio::spawn(watch.run());
        let callers = Callers::Cluster {
            client: cluster.client(),
            orgs: Box::new(orgs),
        };
        let mut settings = Settings::new(file, callers, store.verifier_key());
        settings.metrics = metrics;
        settings.patience = Patience {
            token: Duration::from_millis(200),
            bad_token: Duration::from_millis(50),
            access: Duration::from_millis(200),
            stream: Duration::from_millis(200),
        };
        let (size, seen) = watch::channel(store.size());
        let (stop, stopped) = watch::channel(false);
        settings.known.head = Head::new(seen, stopped);
        change(&mut settings);
        let state = State::new(settings);
        World {
            store,
            cluster,
            router: router(state.clone()),
            aggregated: aggregated(state, vec!["docket-webhook".into()]),
            stop,
            registry,
            size,
            directory,
            recorded: 1_800_000_000_000_000,
        }
    }

    /// The ledger without a door before it.
    pub fn records(&self) -> Records {
        Records::new(self.directory.path().join("ledger.db"), 1, Known::default())
    }

    /// Appends one entry and returns its position.
    pub fn add(&mut self, class: Class, public: &Value, personal: Option<&Value>) -> u64 {
        self.add_with(class, public, personal, None)
    }

    /// The same, with an exhibit.
    pub fn add_with(
        &mut self,
        class: Class,
        public: &Value,
        personal: Option<&Value>,
        exhibit: Option<&Value>,
    ) -> u64 {
        self.recorded += 1_000_000;
        let entry = NewEntry {
            id: public["id"].as_str().unwrap().to_owned(),
            class,
            public: serde_json::to_vec(public).unwrap(),
            personal: personal.map(|part| serde_json::to_vec(part).unwrap()),
            exhibit: exhibit.map(|part| serde_json::to_vec(part).unwrap()),
        };
        let batch = Batch {
            entries: vec![entry],
            state: Vec::new(),
        };
        let recorded = Timestamp::from_microsecond(self.recorded).unwrap();
        let position = self.store.append(&batch, recorded).unwrap().positions[0].unwrap();
        self.size.send_replace(self.store.size());
        position
    }

    pub fn deny(&mut self, denial: &Denial) -> u64 {
        let (public, personal) = denial.parts();
        self.add(Class::Denial, &public, Some(&personal))
    }

    /// One series of `/metrics`, without the prefix of all of them.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let text = render(&self.registry);
        let begins = format!("docket_reporter_{series} ");
        let line = text.lines().find(|line| line.starts_with(&begins));
        let value = line.unwrap_or_else(|| panic!("no {series} in {text}"));
        value[begins.len()..].parse().unwrap()
    }

    pub async fn get(&self, user: &str, path: &str) -> Answer {
        self.request(Request::get(path).header("authorization", format!("Bearer token-of-{user}")))
            .await
    }

    /// What kube-apiserver asks for that user, by way of the webhook.
    pub async fn kube(&self, user: &str, path: &str) -> Answer {
        let request = asked(user, path).body(Body::empty()).unwrap();
        self.proxied("docket-webhook", request).await
    }

    /// With a client certificate of that common name.
    pub async fn proxied(&self, peer: &str, mut request: Request<Body>) -> Answer {
        self.cluster.told().await;
        request.extensions_mut().insert(Peer(Some(peer.to_owned())));
        let response = self.aggregated.clone().oneshot(request).await.unwrap();
        Answer::read(response).await
    }

    pub async fn request(&self, request: http::request::Builder) -> Answer {
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.cluster.told().await;
        Answer::read(self.router.clone().oneshot(request).await.unwrap()).await
    }
}

/// As the aggregator writes it.
pub fn asked(user: &str, path: &str) -> http::request::Builder {
    Request::get(path)
        .header("x-remote-user", user)
        .header("x-remote-group", "system:authenticated")
}

/// A denial with Krate's usual values; tests change what they are about.
#[derive(Clone)]
pub struct Denial {
    pub n: u32,
    pub time: String,
    pub namespace: String,
    pub policy: String,
    pub public: Value,
    pub personal: Value,
}

impl Denial {
    /// The n-th: at n seconds past noon, with an id that begins with its letter.
    pub fn new(n: u32) -> Denial {
        Denial {
            n,
            time: format!("2026-10-05T12:{:02}:{:02}.000000Z", n / 60, n % 60),
            namespace: "krate-org-acme".into(),
            policy: "require-pr-description".into(),
            public: json!({}),
            personal: json!({}),
        }
    }

    pub fn namespace(mut self, namespace: &str) -> Denial {
        self.namespace = namespace.into();
        self
    }

    /// Set members of the public part.
    pub fn public(mut self, public: Value) -> Denial {
        self.public = public;
        self
    }

    /// Set members of the personal part.
    pub fn personal(mut self, personal: Value) -> Denial {
        self.personal = personal;
        self
    }

    pub fn id(&self) -> String {
        id(self.n)
    }

    pub fn parts(&self) -> (Value, Value) {
        let law = json!({"severity": "medium", "category": "Pull requests",
                         "title": "A pull request says what it changes",
                         "remediation": "Give spec.description at least 20 characters.",
                         "mode": "enforce", "subject": "PullRequest", "exceptionEligible": true,
                         "compliance": {"policies.kyverno.io/controls": "CC8.1"}});
        let mut public = json!({
            "id": self.id(), "time": self.time, "verdict": "denied", "operation": "CREATE",
            "verb": "create", "dryRun": false, "group": "krate.a5c.ai", "version": "v1alpha1",
            "resource": "pullrequests", "kind": "PullRequest", "namespace": self.namespace,
            "code": 400, "reason": "",
            "attributions": [{"enforcer": "kyverno", "webhook": "vpol.validate.kyverno.svc-fail",
                "policyKind": "ValidatingPolicy", "policy": self.policy, "result": "fail",
                "grade": "exact", "source": "responseStatus", "law": law}],
            "context": {"org": "acme", "repository": "web", "pullRequest": format!("pr-{}", self.n),
                "surface": "pr", "claimed": true},
            "testimony": "verified", "passes": 1, "source": "apiserver", "notes": []
        });
        let mut personal = json!({
            "name": format!("pr-{}", self.n),
            "actor": {"username": "alice", "groups": ["developers", "system:authenticated"]},
            "sourceIps": ["10.1.2.3"], "userAgent": "kubectl/v1.36",
            "text": "admission webhook denied the request: description too short",
            "messages": ["A description of at least 20 characters is required."],
            "event": {"kind": "Event"}
        });
        merge(&mut public, &self.public);
        merge(&mut personal, &self.personal);
        (public, personal)
    }
}

fn merge(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().unwrap() {
        into[name] = value.clone();
    }
}

/// 52 characters of base32, different from the first on.
pub fn id(n: u32) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &n.to_be_bytes());
    docket_record::entry::base32(digest.as_ref())
}

/// A gap entry that names a write in each of two namespaces, one of none, and its
/// personal part.
pub fn gap_with_writes(n: u32) -> (Value, Value) {
    let mut gap = gap(n);
    gap["writes"] = json!([
        {"number": 4, "hook": "witness", "time": "2026-10-05T10:10:00Z", "operation": "CREATE",
         "group": "krate.a5c.ai", "resource": "pullrequests", "namespace": "krate-org-acme"},
        {"number": 5, "hook": "final", "time": "2026-10-05T10:11:00Z", "operation": "UPDATE",
         "group": "krate.a5c.ai", "resource": "issues", "namespace": "krate-org-globex"},
        {"number": 6, "hook": "witness", "time": "2026-10-05T10:12:00Z", "operation": "DELETE",
         "group": "krate.a5c.ai", "resource": "organizations"},
    ]);
    let who =
        |number: u64, name: &str, user: &str| json!({"number": number, "name": name, "user": user});
    let personal = json!({"writes": [who(4, "pr-7", "alice"), who(5, "i-1", "gina"), who(6, "globex", "root")]});
    (gap, personal)
}

/// A gap entry.
pub fn gap(n: u32) -> Value {
    json!({"id": format!("gap-{n}"), "time": format!("2026-10-05T11:00:{n:02}.000000Z"),
           "from": format!("2026-10-05T10:00:{n:02}Z"), "to": format!("2026-10-05T10:30:{n:02}Z"),
           "source": "witness", "cause": "numbers-missing",
           "process": {"instance": "docket-webhook-0", "started": 1}, "numbers": [4, 6], "count": 3,
           "detail": "three numbers never came"})
}
