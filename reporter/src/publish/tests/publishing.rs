//! The publisher between a ledger and a double of the API server's Events: it holds them
//! by name, and fails where a test says so. The real one answers in the cluster ring.

use super::{personal, public, user};
use crate::doors::orgs::{Names, Orgs, Seen};
use crate::health::Health;
use crate::intake::{Arrival, Waits};
use crate::law::Laws;
use crate::metrics::{Metrics, render};
use crate::publish::{CURSOR, Desk, Publisher};
use crate::writer::Writer;
use axum::response::IntoResponse as _;
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Options, Store};
use docket_record::denial::{Personal, Public};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Server {
    events: BTreeMap<String, Value>,
    creates: usize,
    /// Answers of the next requests about Events.
    failures: Vec<u16>,
}

#[derive(Clone, Default)]
struct Double(Arc<Mutex<Server>>);

impl Double {
    fn with<T>(&self, change: impl FnOnce(&mut Server) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn client(&self) -> kube::Client {
        let double = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let double = double.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                let path = head.uri.path().to_owned();
                let answer = double.with(|server| server.answer(head.method.as_str(), &path, body));
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        kube::Client::new(service, "default")
    }

    fn events(&self) -> Vec<Value> {
        self.with(|server| server.events.values().cloned().collect())
    }
}

impl Server {
    fn answer(&mut self, method: &str, path: &str, body: Value) -> Response<axum::body::Body> {
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        match (method, last.as_str()) {
            ("POST", "selfsubjectreviews") => reply(json!({"metadata": {}, "status": {"userInfo":
                {"username": "system:serviceaccount:docket-system:docket-reporter"}}})),
            _ if !self.failures.is_empty() => failed(self.failures.remove(0)),
            ("POST", "events") => {
                self.creates += 1;
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                if self.events.contains_key(&name) {
                    return failed(409);
                }
                self.events.insert(name, body.clone());
                reply(body)
            }
            ("PATCH", name) => match self.events.get_mut(name) {
                Some(event) => {
                    event["series"] = body["series"].clone();
                    reply(event.clone())
                }
                None => failed(404),
            },
            _ => panic!("the double does not know {method} {path}"),
        }
    }
}

fn reply(body: Value) -> Response<axum::body::Body> {
    axum::Json(body).into_response()
}

fn failed(code: u16) -> Response<axum::body::Body> {
    let body = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
                      "message": "no", "reason": "No", "code": code});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

struct World {
    double: Double,
    writer: Writer,
    metrics: Metrics,
    registry: Registry,
    directory: tempfile::TempDir,
    serial: u32,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ledger");
        let (metrics, registry) = Metrics::new();
        let waits = Waits {
            numbers: SignedDuration::from_secs(300),
            others: None,
        };
        let open = move || {
            let options = Options {
                origin: "docket.a5c.ai/test".into(),
                signing_seed: [7; 32],
                random: Box::new(|buffer| buffer.fill(9)),
            };
            Store::open(&file, options)
        };
        let part = Health::default().part("ledger", "");
        let started = Writer::start(Box::new(open), waits, metrics.clone(), part).unwrap();
        World {
            double: Double::default(),
            writer: started.writer,
            metrics,
            registry,
            directory,
            serial: 0,
        }
    }

    /// A denial of this moment, on record.
    async fn denied(&mut self, change: impl FnOnce(&mut Public, &mut Personal)) {
        let entry = self.entry(change);
        self.commit(vec![entry]).await;
    }

    fn entry(&mut self, change: impl FnOnce(&mut Public, &mut Personal)) -> NewEntry {
        self.serial += 1;
        let (mut public, mut personal) = (public(), personal("no", ""));
        public.id = format!("{:0>52}", self.serial);
        public.time = Timestamp::now().to_string();
        change(&mut public, &mut personal);
        NewEntry {
            id: public.id.clone(),
            class: Class::Denial,
            public: serde_json::to_vec(&public).unwrap(),
            personal: Some(serde_json::to_vec(&personal).unwrap()),
            exhibit: None,
        }
    }

    async fn commit(&self, entries: Vec<NewEntry>) {
        let arrival = Arrival {
            entries,
            ..Arrival::default()
        };
        self.writer.commit(arrival).await.unwrap();
    }

    async fn desk(&self) -> Desk {
        self.desk_of(Orgs::by_name(Names::default())).await
    }

    async fn desk_of(&self, orgs: Orgs) -> Desk {
        Desk::open(Publisher {
            orgs,
            client: self.double.client(),
            store: self.directory.path().join("ledger"),
            writer: self.writer.clone(),
            laws: Arc::new(Laws::new(None)),
            metrics: self.metrics.clone(),
            instance: "reporter-0".into(),
        })
        .await
        .unwrap()
    }

    /// As a process that died before it kept what it had done.
    async fn forget(&self, rows: Vec<(String, Option<Vec<u8>>)>) {
        let arrival = Arrival {
            state: rows,
            ..Arrival::default()
        };
        self.writer.commit(arrival).await.unwrap();
    }

    #[track_caller]
    fn counted(&self, outcome: &str, count: u64) {
        let text = render(&self.registry);
        let line = format!("kubernetes_events_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

async fn caught_up(desk: &mut Desk) {
    while desk.page().await.unwrap() {}
}

fn nothing(_: &mut Public, _: &mut Personal) {}

#[tokio::test]
async fn many_denials_of_a_series_are_one_event_whose_count_grows() {
    let mut world = World::new();
    let mut desk = world.desk().await;
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    let events = world.double.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["series"], Value::Null);
    for _ in 0..4 {
        world.denied(nothing).await;
    }
    caught_up(&mut desk).await;
    desk.round().await.unwrap();
    let events = world.double.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["series"]["count"], 5);
    world.counted("created", 1);
    world.counted("counted", 4);
    world.counted("patched", 1);
    desk.round().await.unwrap();
    world.counted("patched", 1);
}

#[tokio::test]
async fn a_restart_doubles_nothing_wherever_it_falls() {
    let mut world = World::new();
    let mut desk = world.desk().await;
    world.denied(nothing).await;
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    desk.round().await.unwrap();
    // Everything was kept.
    let mut desk = world.desk().await;
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    desk.round().await.unwrap();
    assert_eq!(world.double.events()[0]["series"]["count"], 3);
    // Nothing was kept.
    let mut rows: Vec<_> = desk.read(|reader| reader.states()).await.unwrap().unwrap();
    rows.retain(|(key, _)| key.starts_with("publish/"));
    assert!(rows.iter().any(|(key, _)| key == CURSOR), "{rows:?}");
    world
        .forget(rows.into_iter().map(|(key, _)| (key, None)).collect())
        .await;
    let mut desk = world.desk().await;
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    desk.round().await.unwrap();
    let events = world.double.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["series"]["count"], 4);
    world.counted("exists", 1);
}

#[tokio::test]
async fn a_deleted_event_is_followed_by_a_new_one() {
    let mut world = World::new();
    let mut desk = world.desk().await;
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    world.double.with(|server| server.events.clear());
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    desk.round().await.unwrap();
    let events = world.double.events();
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0]["series"],
        Value::Null,
        "it counts what the old one did not"
    );
    assert_eq!(events[0]["metadata"]["name"], format!("docket-{:0>52}", 2));
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    desk.round().await.unwrap();
    assert_eq!(world.double.events()[0]["series"]["count"], 2);
    world.counted("gone", 1);
}

#[tokio::test]
async fn a_namespace_of_several_orgs_has_no_events_and_neither_has_docket() {
    let mut world = World::new();
    let both = [("common", "acme"), ("common", "globex")];
    let (orgs, _sender) = Orgs::seen(&both, true);
    let mut desk = world.desk_of(orgs).await;
    world
        .denied(|public, _| public.namespace = "common".into())
        .await;
    let reporter = "system:serviceaccount:docket-system:docket-reporter";
    world
        .denied(|_, personal| personal.actor = user(reporter))
        .await;
    caught_up(&mut desk).await;
    assert!(world.double.events().is_empty());
    world.counted("sharedNamespace", 1);
    world.counted("own", 1);
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    assert_eq!(world.double.events().len(), 1);
}

#[tokio::test]
async fn an_event_that_was_deleted_does_not_come_again_where_several_orgs_share_by_now() {
    let mut world = World::new();
    let (orgs, seen) = Orgs::seen(&[("common", "acme")], true);
    let mut desk = world.desk_of(orgs).await;
    let common = |public: &mut Public, _: &mut Personal| public.namespace = "common".into();
    world.denied(common).await;
    caught_up(&mut desk).await;
    assert_eq!(world.double.events().len(), 1);
    world.denied(common).await;
    caught_up(&mut desk).await;
    world.double.with(|server| server.events.clear());
    let both = [("common", "acme"), ("common", "globex")];
    seen.send_replace(Seen::of(&both, true));
    desk.round().await.unwrap();
    world.counted("gone", 1);
    assert!(world.double.events().is_empty());
}

#[tokio::test]
async fn while_it_is_not_known_which_namespaces_are_shared_no_event_is_published() {
    let mut world = World::new();
    let (orgs, seen) = Orgs::seen(&[], false);
    let mut desk = world.desk_of(orgs).await;
    world
        .denied(|public, _| public.namespace = "common".into())
        .await;
    world.denied(nothing).await;
    assert!(desk.page().await.unwrap(), "it is looked at again");
    assert!(world.double.events().is_empty());
    // The binding that was on its way.
    let both = [("common", "acme"), ("common", "globex")];
    seen.send_replace(Seen::of(&both, true));
    caught_up(&mut desk).await;
    assert_eq!(world.double.events().len(), 1);
    world.counted("sharedNamespace", 1);
}

#[tokio::test]
async fn an_api_server_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let mut world = World::new();
    let mut desk = world.desk().await;
    world.double.with(|server| server.failures = vec![503]);
    world.denied(nothing).await;
    caught_up(&mut desk).await;
    assert_eq!(world.double.events().len(), 1);
    world.counted("retried", 1);
    // Refused: no Event, and the next denial tries anew.
    world.double.with(|server| server.failures = vec![422]);
    let issue = |public: &mut Public, _: &mut Personal| public.kind = "Issue".into();
    world.denied(issue).await;
    caught_up(&mut desk).await;
    world.counted("refused", 1);
    world.denied(issue).await;
    caught_up(&mut desk).await;
    assert_eq!(world.double.events().len(), 2);
    assert_eq!(world.double.with(|server| server.creates), 2);
    // A count that was not taken is said in the next round.
    world.denied(issue).await;
    caught_up(&mut desk).await;
    world.double.with(|server| server.failures = vec![500]);
    desk.round().await.unwrap();
    desk.round().await.unwrap();
    let counts = |event: &Value| event["series"]["count"].as_u64();
    let counts: Vec<_> = world.double.events().iter().map(counts).collect();
    assert_eq!(counts, [None, Some(2)]);
}

#[tokio::test]
async fn what_was_held_back_is_said_in_the_next_event() {
    let mut world = World::new();
    let mut desk = world.desk().await;
    let rule = |number: usize| {
        move |public: &mut Public, _: &mut Personal| {
            public.attributions[0].rule = Some(format!("rule-{number}"));
        }
    };
    let entries = (0..105).map(|number| world.entry(rule(number))).collect();
    world.commit(entries).await;
    caught_up(&mut desk).await;
    assert_eq!(world.double.events().len(), 100);
    world.counted("heldBack", 5);
    // The namespace has a new token after 200 ms of the ledger's time.
    let mut held = 5;
    let mut more = 105..;
    while world.double.events().len() == 100 {
        world.denied(rule(more.next().unwrap())).await;
        caught_up(&mut desk).await;
        held += 1;
    }
    let said = format!("({} denials before it had no Event)", held - 1);
    let events = world.double.events();
    let saying = |event: &&Value| event["note"].as_str().unwrap().contains(&said);
    assert_eq!(events.iter().filter(saying).count(), 1, "{said}");
}
