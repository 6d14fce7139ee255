//! A double of the Kubernetes API: tokens, permissions and Krate's objects as a test
//! sets them, listed and watched. It answers only what the doors ask.

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What the cluster holds. Change it while the router runs.
#[derive(Default)]
pub struct Cluster {
    /// Token to user name.
    pub tokens: BTreeMap<String, String>,
    /// (user, namespace) that may read `denials.docket.a5c.ai`; `*`: the whole cluster.
    pub may: BTreeSet<(String, String)>,
    /// Users that may `create denials.docket.a5c.ai` in the cluster.
    pub importers: BTreeSet<String>,
    /// Who may see exhibits, and in which namespace (`*`: all).
    pub evidence: BTreeSet<(String, String)>,
    /// (user, what else), as `verb resource[/subresource][.group] [namespace] [name]`.
    pub also: BTreeSet<(String, String)>,
    /// Namespace to its org label, or empty.
    pub namespaces: BTreeMap<String, String>,
    /// When a namespace was created, where that is not long ago.
    pub created: BTreeMap<String, String>,
    pub organizations: Vec<Value>,
    pub bindings: Vec<Value>,
    /// Everything fails.
    pub down: bool,
    /// Without Krate's kinds.
    pub bare: bool,
    /// Nothing that tells of orgs can be listed or watched.
    pub broken: bool,
    /// Requests by last part of the path.
    pub asked: BTreeMap<String, usize>,
    /// What a list said, by plural and version.
    listed: BTreeMap<(String, u64), Objects>,
}

type Objects = BTreeMap<String, Value>;

#[derive(Clone, Default)]
pub struct ClusterDouble {
    cluster: Arc<Mutex<Cluster>>,
    /// Another one after each change.
    version: Arc<watch::Sender<u64>>,
}

/// Steps that others take until they know of a change: many more than it takes.
const STEPS: usize = 300;

impl ClusterDouble {
    pub fn change<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let changed = change(&mut self.cluster.lock().unwrap());
        self.version.send_modify(|version| *version += 1);
        changed
    }

    /// Returns when those who watch know of the last change: they are in the same thread.
    pub async fn told(&self) {
        for _ in 0..STEPS {
            tokio::task::yield_now().await;
        }
    }

    pub fn grant(&self, user: &str, namespace: &str) {
        self.change(|cluster| {
            cluster
                .tokens
                .insert(format!("token-of-{user}"), user.to_owned());
            cluster.may.insert((user.to_owned(), namespace.to_owned()));
            if namespace != "*" {
                // It is there, as a namespace that somebody may read.
                cluster.namespaces.entry(namespace.to_owned()).or_default();
            }
        });
    }

    pub fn asked(&self, what: &str) -> usize {
        let cluster = self.cluster.lock().unwrap();
        cluster.asked.get(what).copied().unwrap_or(0)
    }

    pub fn client(&self) -> kube::Client {
        let double = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let double = double.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                Ok::<_, std::convert::Infallible>(double.answer(&head.method, &head.uri, &body))
            }
        });
        kube::Client::new(service, "default")
    }

    fn answer(&self, method: &Method, uri: &Uri, body: &Value) -> Response<Body> {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let version = *self.version.borrow();
        let cluster = &mut *self.cluster.lock().unwrap();
        let what = path.rsplit('/').next().unwrap_or_default();
        *cluster.asked.entry(what.to_owned()).or_default() += 1;
        if cluster.down {
            return failed(StatusCode::INTERNAL_SERVER_ERROR);
        }
        match (method.as_str(), what) {
            ("POST", "tokenreviews") => reply(cluster.token_review(body)),
            ("POST", "subjectaccessreviews") => reply(cluster.access_review(body)),
            ("GET", name) if path == format!("/api/v1/namespaces/{name}") => {
                match cluster.namespace(name) {
                    Some(namespace) => reply(namespace),
                    None => failed(StatusCode::NOT_FOUND),
                }
            }
            ("GET", _) if path == "/api/v1/namespaces" || is_krates(path) => {
                if cluster.broken {
                    return failed(StatusCode::INTERNAL_SERVER_ERROR);
                }
                let Some(objects) = cluster.objects(what, version) else {
                    return failed(StatusCode::NOT_FOUND);
                };
                if query.contains("watch=true") {
                    let since = query
                        .split('&')
                        .find_map(|one| one.strip_prefix("resourceVersion="));
                    let since = since.and_then(|since| since.parse().ok()).unwrap();
                    let listed = cluster.listed.get(&(what.to_owned(), since));
                    return self.watching(what, listed.expect("a version of a list").clone());
                }
                let answer = list(&objects, version);
                cluster.listed.insert((what.to_owned(), version), objects);
                reply(answer)
            }
            _ => panic!("the double does not know {method} {path}"),
        }
    }

    /// One line for each difference from what was listed, for as long as it answers.
    fn watching(&self, what: &str, listed: Objects) -> Response<Body> {
        let state = (
            self.clone(),
            what.to_owned(),
            listed,
            self.version.subscribe(),
        );
        let lines =
            futures::stream::unfold(state, |(double, what, known, mut version)| async move {
                loop {
                    let now = {
                        let cluster = double.cluster.lock().unwrap();
                        let objects = cluster.objects(&what, *version.borrow_and_update());
                        objects.filter(|_| !cluster.down && !cluster.broken)?
                    };
                    let lines = differences(&known, &now);
                    if !lines.is_empty() {
                        let lines = axum::body::Bytes::from(lines);
                        let state = (double, what, now, version);
                        return Some((Ok::<_, std::convert::Infallible>(lines), state));
                    }
                    version.changed().await.ok()?;
                }
            });
        Response::new(Body::from_stream(lines))
    }
}

fn is_krates(path: &str) -> bool {
    let within = path.strip_prefix("/apis/krate.a5c.ai/v1alpha1/namespaces/krate-system/");
    matches!(within, Some("organizations" | "orgnamespacebindings"))
}

/// As a watch says them. That an object is at a newer version is no difference.
fn differences(known: &Objects, now: &Objects) -> String {
    let mut lines = String::new();
    let mut line = |word: &str, object: &Value| {
        lines += &format!("{}\n", json!({"type": word, "object": object}));
    };
    let plain = |object: &Value| {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"].take();
        object
    };
    for (name, object) in now {
        match known.get(name) {
            None => line("ADDED", object),
            Some(old) if plain(old) != plain(object) => line("MODIFIED", object),
            Some(_) => {}
        }
    }
    for (_, object) in known.iter().filter(|(name, _)| !now.contains_key(*name)) {
        line("DELETED", object);
    }
    lines
}

impl Cluster {
    fn token_review(&self, body: &Value) -> Value {
        let token = body["spec"]["token"].as_str().unwrap();
        let status = match self.tokens.get(token) {
            Some(user) => json!({
                "authenticated": true,
                "user": { "username": user, "groups": ["system:authenticated"] }
            }),
            None => json!({ "authenticated": false, "error": "unknown token" }),
        };
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
            "spec": {"token": token}, "status": status
        })
    }

    fn access_review(&self, body: &Value) -> Value {
        let spec = &body["spec"];
        let asked = &spec["resourceAttributes"];
        let groups = spec["groups"].as_array().unwrap();
        let handed_on = groups.iter().any(|group| group == "system:authenticated");
        assert!(handed_on, "{spec}");
        if asked["resource"] != "denials" {
            return self.other_review(spec);
        }
        assert_eq!(asked["group"], "docket.a5c.ai");
        let evidence = match asked["subresource"].as_str() {
            None => false,
            Some("evidence") => true,
            Some(other) => panic!("denials/{other}"),
        };
        let create = asked["verb"] == "create";
        let reads = ["get", "list", "watch"].contains(&asked["verb"].as_str().unwrap());
        assert!(create || reads, "{asked}");
        let user = spec["user"].as_str().unwrap().to_owned();
        let namespace = asked["namespace"].as_str().unwrap_or_default();
        let allowed = if create {
            assert!(asked["namespace"].is_null(), "imports are of the cluster");
            self.importers.contains(&user)
        } else if evidence {
            self.evidence.contains(&(user.clone(), "*".to_owned()))
                || (!namespace.is_empty() && self.evidence.contains(&(user, namespace.to_owned())))
        } else {
            self.may.contains(&(user.clone(), "*".to_owned()))
                || (!namespace.is_empty() && self.may.contains(&(user, namespace.to_owned())))
        };
        reviewed(spec, allowed)
    }

    fn other_review(&self, spec: &Value) -> Value {
        let asked = &spec["resourceAttributes"];
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let mut what = format!("{} {}", text("verb"), text("resource"));
        for (before, name) in [
            ("/", "subresource"),
            (".", "group"),
            (" ", "namespace"),
            (" ", "name"),
        ] {
            if !text(name).is_empty() {
                what += before;
                what += text(name);
            }
        }
        let user = spec["user"].as_str().unwrap().to_owned();
        reviewed(spec, self.also.contains(&(user, what)))
    }

    fn namespace(&self, name: &str) -> Option<Value> {
        let org = self.namespaces.get(name)?;
        let labels = match org.as_str() {
            "" => json!({}),
            org => json!({"krate.a5c.ai/org": org}),
        };
        let created = self.created.get(name);
        let created = created.map_or("2026-01-01T00:00:00Z", String::as_str);
        Some(
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": {"name": name, "labels": labels, "creationTimestamp": created}}),
        )
    }

    /// By name; `None`: not served.
    fn objects(&self, what: &str, version: u64) -> Option<Objects> {
        let all = match what {
            "namespaces" => {
                let names = self.namespaces.keys();
                names.filter_map(|name| self.namespace(name)).collect()
            }
            _ if self.bare => return None,
            "organizations" => self.organizations.clone(),
            _ => self.bindings.clone(),
        };
        let named = |mut object: Value| {
            object["metadata"]["resourceVersion"] = version.to_string().into();
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            (name, object)
        };
        Some(all.into_iter().map(named).collect())
    }
}

fn reviewed(spec: &Value, allowed: bool) -> Value {
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "metadata": {}, "spec": spec, "status": { "allowed": allowed }
    })
}

fn list(objects: &Objects, version: u64) -> Value {
    let items: Vec<&Value> = objects.values().collect();
    json!({"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "List",
           "metadata": {"resourceVersion": version.to_string()}, "items": items})
}

fn reply(body: Value) -> Response<Body> {
    axum::Json(body).into_response()
}

fn failed(code: StatusCode) -> Response<Body> {
    let reason = match code {
        StatusCode::NOT_FOUND => "NotFound",
        _ => "InternalError",
    };
    let body = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
                      "message": "no", "reason": reason, "code": code.as_u16()});
    (code, axum::Json(body)).into_response()
}
