//! `POST /import`, with a real writer behind it.

use super::cluster_double::ClusterDouble;
use crate::doors::{Callers, Import, Names, Orgs, Settings, State, router};
use crate::events::{self, CLUSTER, Day};
use crate::health::Health;
use crate::metrics::{Metrics, render};
use crate::sources::Court;
use crate::sources::quarantine::Quarantine;
use crate::writer::{Open, Started, Writer};
use axum::Router;
use axum::body::Body;
use docket_ledger::store::{Options, Store};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tower::ServiceExt as _;

struct World {
    router: Router,
    cluster: ClusterDouble,
    registry: Registry,
    directory: tempfile::TempDir,
}

fn opening(file: PathBuf) -> Open {
    Box::new(move || {
        let options = Options {
            origin: format!("docket.a5c.ai/{CLUSTER}"),
            signing_seed: [7; 32],
            random: Box::new(|buffer| buffer.fill(9)),
        };
        Store::open(&file, options)
    })
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ledger");
        let (metrics, registry) = Metrics::new();
        let part = Health::default().part("ledger", "");
        let wait = crate::intake::Waits {
            numbers: SignedDuration::from_secs(300),
            others: Some(SignedDuration::from_secs(60)),
        };
        let started = Writer::start(opening(file.clone()), wait, metrics.clone(), part).unwrap();
        let Started {
            writer,
            verifier_key,
            ..
        } = started;
        let court = Court {
            quarantine: Quarantine::new(Some(directory.path().join("quarantine"))),
            ..crate::sources::testing::court()
        };
        let cluster = ClusterDouble::default();
        cluster.grant("admin", "*");
        cluster.grant("reader", "*");
        cluster.change(|cluster| cluster.importers.insert("admin".into()));
        let callers = Callers::Cluster {
            client: cluster.client(),
            orgs: Box::new(Orgs::by_name(Names::default())),
        };
        let import = Import::new(Arc::new(court), writer, metrics);
        let settings = Settings {
            import: Some(import),
            ..Settings::new(file, callers, verifier_key)
        };
        World {
            router: router(State::new(settings)),
            cluster,
            registry,
            directory,
        }
    }

    async fn post(&self, user: &str, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header("authorization", format!("Bearer token-of-{user}"))
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        assert_eq!(head.headers["cache-control"], "no-store");
        let busy = head.status == StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(head.headers.contains_key("retry-after"), busy);
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            head.status,
            serde_json::from_slice(&bytes).unwrap_or_default(),
        )
    }
}

fn a_day() -> Vec<u8> {
    let mut day = Day::new(Timestamp::now());
    let events = [day.denied(), day.admitted(), day.denied()];
    events.iter().flat_map(events::line).collect()
}

#[tokio::test]
async fn a_chunk_is_committed_and_told_and_a_second_time_nothing_is_new() {
    let world = World::new();
    let mut body = a_day();
    body.extend_from_slice(b"{\"broken\":\n");
    let (status, answer) = world.post("admin", "/import", body.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["events"], json!({"admitted": 1, "denied": 2}));
    assert_eq!((&answer["new"], &answer["records"]), (&json!(2), &json!(4)));
    assert_eq!(answer["broken"][0]["line"], 3);
    let kept = std::fs::read_dir(world.directory.path().join("quarantine")).unwrap();
    assert_eq!(kept.count(), 1);
    let (_, again) = world.post("admin", "/import?format=kubernetes", body).await;
    assert_eq!(
        (&again["new"], &again["events"]),
        (&json!(0), &answer["events"])
    );
    let text = render(&world.registry);
    assert!(
        text.contains(r#"audit_batches_total{source="import",answer="committed"} 2"#),
        "{text}"
    );
}

#[tokio::test]
async fn only_who_may_create_denials_in_the_cluster_may_import() {
    let world = World::new();
    let (status, answer) = world.post("reader", "/import", a_day()).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (403, &json!("forbidden"))
    );
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains("create denials.docket.a5c.ai"),
        "{message}"
    );
    let (status, _) = world.post("nobody", "/import", a_day()).await;
    assert_eq!(status, 401);
    let impersonated = Request::post("/import")
        .header("authorization", "Bearer token-of-admin")
        .header("impersonate-user", "reader")
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.send(impersonated).await.0, 400);
    world.cluster.change(|cluster| cluster.down = true);
    let (status, _) = world.post("stranger", "/import", a_day()).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let world = World::new();
    for path in [
        "/import?format=splunk",
        "/import?x=1",
        "/import?format=eks&format=eks",
    ] {
        let (status, answer) = world.post("admin", path, a_day()).await;
        assert_eq!(status, 400, "{path}");
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .contains("kubernetes, eks, aks, gke")
        );
    }
    let long = vec![b' '; super::super::import::LARGEST + 1];
    let (status, answer) = world.post("admin", "/import", long).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (413, &json!("too_large"))
    );
    let (status, answer) = world.post("admin", "/import", Body::empty()).await;
    assert_eq!((status.as_u16(), &answer["records"]), (200, &json!(0)));
    // Everything else still takes no body.
    let (status, _) = world.post("admin", "/api/gaps", a_day()).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn more_imports_at_once_are_told_to_come_back() {
    let world = World::new();
    let (began, mut begun) = tokio::sync::mpsc::channel(2);
    let (release, released) = tokio::sync::watch::channel(false);
    // A body is read only once its request has a place.
    let slow = || {
        let (began, mut released) = (began.clone(), released.clone());
        Body::from_stream(futures::stream::once(async move {
            let _ = began.send(()).await;
            let _ = released.wait_for(|released| *released).await;
            Ok::<_, std::io::Error>(bytes::Bytes::new())
        }))
    };
    let first = world.post("admin", "/import", slow());
    let second = world.post("admin", "/import", slow());
    let third = async {
        begun.recv().await.unwrap();
        begun.recv().await.unwrap();
        let answer = world.post("admin", "/import", Body::empty()).await;
        release.send_replace(true);
        answer
    };
    let ((first, _), (second, _), (third, _)) = tokio::join!(first, second, third);
    assert_eq!(
        (first.as_u16(), second.as_u16(), third.as_u16()),
        (200, 200, 503)
    );
    let (after, _) = world.post("admin", "/import", Body::empty()).await;
    assert_eq!(after, 200, "the places are free again");
}
