//! Denials as server-sent events.

use super::world::{Denial, World, gap, id};
use axum::body::Body;
use docket_ledger::entry::Class;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt as _;

const STREAM: &str = "/api/policy-denials/stream";
const SOON: Duration = Duration::from_secs(5);

/// An open stream.
pub(super) struct Events {
    headers: HeaderMap,
    body: Body,
    rest: String,
}

/// One event: its id or name, if it has one, and its data.
pub(super) type Event = (Option<String>, Value);

impl Events {
    pub(super) async fn open(world: &World, user: &str, path: &str, last: Option<&str>) -> Events {
        let mut request =
            Request::get(path).header("authorization", format!("Bearer token-of-{user}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        world.cluster.told().await;
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let (head, body) = response.into_parts();
        Events {
            headers: head.headers,
            body,
            rest: String::new(),
        }
    }

    /// The next event; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let mut id = None;
                let mut data = None;
                for line in event.lines() {
                    match line.split_once(": ").unwrap() {
                        // Named events have no id.
                        ("id" | "event", value) => id = Some(value.to_owned()),
                        ("data", value) => data = serde_json::from_str(value).ok(),
                        ("retry", "1000") => {}
                        _ => panic!("{line}: not a line of an unnamed event"),
                    }
                }
                let event = (id, data.expect("JSON on one line"));
                self.rest = rest.to_owned();
                return Some(event);
            }
            let frame = timeout(SOON, self.body.frame()).await.expect("in time")?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.rest += std::str::from_utf8(&bytes).unwrap();
        }
    }

    /// The next one that is no heartbeat.
    pub(super) async fn news(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("an event");
            if event.1["type"] != "heartbeat" {
                return event;
            }
        }
    }

    pub(super) async fn connected(&mut self) -> Event {
        let event = self.next().await.expect("an event");
        assert_eq!(event.1["type"], "connected", "{event:?}");
        event
    }
}

fn quick() -> World {
    World::with(|settings| settings.heartbeat = Duration::from_millis(100))
}

fn amend(world: &mut World, n: u32) {
    let amendment = json!({"id": format!("amendment-{n}"), "time": "2026-10-05T13:00:00Z",
                           "amends": id(n), "kind": "disputed"});
    world.add(Class::Amendment, &amendment, None);
}

#[tokio::test]
async fn denials_come_as_they_happen_between_heartbeats() {
    let mut world = quick();
    world.deny(&Denial::new(0));
    let mut events = Events::open(
        &world,
        "admin",
        "/api/orgs/acme/policy-denials/stream",
        None,
    )
    .await;
    let (first, connected) = events.connected().await;
    assert_eq!(connected, json!({"type": "connected", "org": "acme"}));
    let content_type = events.headers["content-type"].to_str().unwrap();
    assert_eq!(content_type, "text/event-stream; charset=utf-8");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(events.headers[name], value, "{name}");
    }
    let (beat, heartbeat) = events.next().await.unwrap();
    assert_eq!(heartbeat, json!({"type": "heartbeat"}));
    assert_eq!(beat, first, "nothing came");
    let position = world.deny(&Denial::new(1));
    let (version, data) = events.news().await;
    assert_eq!(
        (&data["type"], &data["org"]),
        (&json!("denial"), &json!("acme"))
    );
    assert_eq!(data["denial"]["position"], position);
    assert_eq!(data["denial"]["text"], Value::Null, "as in lists");
    amend(&mut world, 0);
    let (later, data) = events.news().await;
    assert_eq!(data["type"], "amended");
    assert_eq!(data["denial"]["id"], id(0));
    assert_eq!(data["denial"]["amendments"][0]["kind"], "disputed");
    assert!(version.unwrap().parse::<u64>().unwrap() < later.unwrap().parse().unwrap());
}

#[tokio::test]
async fn who_comes_back_with_the_last_id_misses_nothing_and_sees_nothing_twice() {
    let mut world = quick();
    for n in 0..4 {
        world.deny(&Denial::new(n));
    }
    let list = world.get("admin", "/api/policy-denials").await.json();
    let version = list["version"].as_str().unwrap().to_owned();
    let mut events = Events::open(&world, "admin", STREAM, None).await;
    let (begin, _) = events.connected().await;
    assert_eq!(
        begin.as_deref(),
        Some(version.as_str()),
        "a list and a stream agree"
    );
    drop(events);
    for n in 4..8 {
        world.deny(&Denial::new(n));
    }
    let path = format!("{STREAM}?cursor={version}");
    let mut events = Events::open(&world, "admin", &path, None).await;
    events.connected().await;
    let mut ids = Vec::new();
    for n in 4..6 {
        let (version, data) = events.news().await;
        assert_eq!(data["denial"]["id"], id(n));
        ids.push(version.unwrap());
    }
    drop(events);
    // A browser sends its last id to the address that it began with.
    let mut events = Events::open(&world, "admin", &path, Some(&ids[1])).await;
    events.connected().await;
    for n in 6..8 {
        assert_eq!(events.news().await.1["denial"]["id"], id(n));
    }
    // A heartbeat says that all before it was told, of whatever kind it was.
    world.add(Class::Gap, &gap(1), None);
    let size = world.store.size();
    loop {
        let (version, data) = events.next().await.unwrap();
        assert_eq!(data["type"], "heartbeat");
        if version.unwrap().ends_with(&format!("{size:03}")) {
            break;
        }
    }
}

#[tokio::test]
async fn filters_and_words_hold_for_streams_too() {
    let mut world = quick();
    let path = format!("{STREAM}?q=pr-3+description&namespace=krate-org-acme");
    let mut events = Events::open(&world, "admin", &path, None).await;
    events.connected().await;
    for n in 1..4 {
        world.deny(&Denial::new(n));
    }
    assert_eq!(events.news().await.1["denial"]["id"], id(3));
}

/// An exporter may have kept one for years, and must miss nothing.
#[tokio::test]
async fn an_id_of_the_form_of_before_goes_on_and_a_watch_with_it_begins_anew() {
    let mut world = quick();
    world.deny(&Denial::new(0));
    let key = digest(&SHA256, world.store.verifier_key().as_bytes());
    let first = u64::from_be_bytes(key.as_ref()[..8].try_into().unwrap());
    let older = ((first % 9_000_000 + 1) * 1_000_000_000_000 + world.store.size()).to_string();
    world.deny(&Denial::new(1));
    let mut events = Events::open(&world, "admin", STREAM, Some(&older)).await;
    events.connected().await;
    let (id, event) = events.news().await;
    assert_eq!(event["denial"]["position"], 1);
    assert!(id.unwrap().parse::<u64>().unwrap() < 1 << 53);
    let path = format!("/apis/docket.a5c.ai/v1/denials?resourceVersion={older}");
    let answer = world.kube("admin", &path).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["reason"]),
        (410, &json!("Expired"))
    );
}

#[tokio::test]
async fn a_place_that_can_not_be_gone_on_from_is_refused_with_the_reason() {
    let mut world = quick();
    world.deny(&Denial::new(0));
    let version = world.get("admin", "/api/policy-denials").await.json()["version"].clone();
    let version: u64 = version.as_str().unwrap().parse().unwrap();
    for (cursor, status, error, why) in [
        ("17", 410, "gone", "another ledger"),
        (&*(version + 1).to_string(), 410, "gone", "ahead"),
        (
            &*(version + 20_000_000_000).to_string(),
            410,
            "gone",
            "another ledger",
        ),
        ("x", 400, "bad_request", "id of an event"),
        ("-1", 400, "bad_request", "id of an event"),
        ("18446744073709551616", 400, "bad_request", "id of an event"),
    ] {
        let answer = world
            .get("admin", &format!("{STREAM}?cursor={cursor}"))
            .await;
        let message = answer.refused(status, error);
        assert!(
            message.starts_with("cursor: ") && message.contains(why),
            "{message}"
        );
        let request = Request::get(STREAM)
            .header("authorization", "Bearer token-of-admin")
            .header("last-event-id", cursor);
        let message = world.request(request).await.refused(status, error);
        assert!(message.starts_with("Last-Event-ID: "), "{message}");
    }
    let odd = Request::get(STREAM)
        .header("authorization", "Bearer token-of-admin")
        .header("last-event-id", b"\xff\x80".as_slice());
    world.request(odd).await.refused(400, "bad_request");
    let limit = world.get("admin", &format!("{STREAM}?limit=5")).await;
    assert!(
        limit
            .refused(400, "bad_request")
            .starts_with("limit: unknown")
    );
}

#[tokio::test]
async fn a_stream_shows_what_its_reader_may_read_and_ends_when_that_is_taken_away() {
    let mut world = quick();
    world.cluster.grant("anna", "krate-org-acme");
    world.cluster.grant("nobody", "krate-org-other");
    world.deny(&Denial::new(3));
    world.deny(&Denial::new(0).namespace("krate-org-globex"));
    let globex = format!("{STREAM}?namespace=krate-org-globex");
    world.get("anna", &globex).await.refused(403, "forbidden");
    let other = "/api/orgs/globex/policy-denials/stream";
    world.get("anna", other).await.refused(403, "forbidden");
    // A place before the other's denial shows no more of it than any other place.
    let version = world.get("anna", "/api/policy-denials").await.json()["version"].clone();
    let version: u64 = version.as_str().unwrap().parse().unwrap();
    let path = format!("{STREAM}?cursor={}", version - 1);
    let mut events = Events::open(&world, "anna", &path, None).await;
    events.connected().await;
    world.deny(&Denial::new(1).namespace("krate-org-globex"));
    world.deny(&Denial::new(2));
    assert_eq!(events.news().await.1["denial"]["id"], id(2));
    world.cluster.change(|cluster| cluster.may.clear());
    let (version, data) = timeout(SOON, events.news()).await.expect("the end");
    assert_eq!(
        (&data["type"], &data["error"]),
        (&json!("error"), &json!("forbidden"))
    );
    assert!(
        data["message"].as_str().unwrap().contains("you lack"),
        "{data}"
    );
    assert_eq!(
        version, None,
        "the next stream goes on from the last denial"
    );
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn ones_own_denials_and_a_repositorys_are_streamed_and_proved() {
    let mut world = quick();
    world.cluster.grant("alice", "krate-org-none");
    world.cluster.change(|cluster| {
        let acme = "krate-org-acme".to_owned();
        cluster.namespaces.insert(acme, "acme".to_owned());
        for may in [
            "watch mydenials.docket.a5c.ai",
            "get mydenials.docket.a5c.ai",
            "get repositories/denials.docket.a5c.ai krate-org-acme web",
        ] {
            cluster.also.insert(("alice".into(), may.into()));
        }
    });
    let own = "/api/my-denials/stream";
    let repository = "/api/namespaces/krate-org-acme/repositories/web/policy-denials/stream";
    let mut streams = Vec::new();
    for path in [own, repository] {
        let mut events = Events::open(&world, "alice", path, None).await;
        events.connected().await;
        streams.push(events);
    }
    let other = json!({"actor": {"username": "bob"}});
    let api = json!({"context": {"repository": "api"}});
    world.deny(&Denial::new(1).personal(other.clone()).public(api.clone()));
    world.deny(&Denial::new(2).personal(other));
    world.deny(&Denial::new(3).public(api));
    assert_eq!(streams[0].news().await.1["denial"]["id"], id(2 + 1));
    assert_eq!(streams[1].news().await.1["denial"]["id"], id(2));
    for (path, n, status) in [
        ("/api/my-denials", 3, 200),
        ("/api/my-denials", 2, 404),
        (
            "/api/namespaces/krate-org-acme/repositories/web/policy-denials",
            2,
            200,
        ),
        (
            "/api/namespaces/krate-org-acme/repositories/web/policy-denials",
            3,
            404,
        ),
    ] {
        let proof = world.get("alice", &format!("{path}/{}/proof", id(n))).await;
        assert_eq!(proof.status, status, "{path} {n}");
    }
}

#[tokio::test]
async fn streams_have_a_limit_of_their_own() {
    let world = World::with(|settings| {
        settings.streams = 1;
        settings.at_once = 1;
        settings.heartbeat = Duration::from_millis(50);
    });
    let mut events = Events::open(&world, "admin", STREAM, None).await;
    events.connected().await;
    let second = world.get("admin", STREAM).await;
    assert!(second.refused(503, "unavailable").contains("streams"));
    // Open streams are no requests in progress.
    assert_eq!(world.get("admin", "/api/policy-denials").await.status, 200);
    drop(events);
    let freed = async {
        loop {
            let request = Request::get(STREAM).header("authorization", "Bearer token-of-admin");
            let request = request.body(Body::empty()).unwrap();
            let answer = world.router.clone().oneshot(request).await.unwrap();
            if answer.status() == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, freed).await.expect("a place");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_ended_and_counted() {
    let (metrics, _) = crate::metrics::Metrics::new();
    let counter = metrics.readers.slow.clone();
    let mut world = World::with(|settings| {
        settings.stall = Duration::from_millis(50);
        settings.streams = 1;
        settings.metrics = metrics;
    });
    let slow = Events::open(&world, "admin", STREAM, None).await;
    for n in 0..40 {
        world.deny(&Denial::new(n));
    }
    let ended = async {
        while counter.get() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, ended).await.expect("it is counted");
    // Its place is free, though it still hangs on.
    let mut next = Events::open(&world, "admin", STREAM, None).await;
    next.connected().await;
    drop(slow);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_and_with_the_right_to_ask_for_another() {
    let mut world = quick();
    world.cluster.grant("anna", "krate-org-acme");
    world.cluster.grant("console", "krate-org-acme");
    let may = ("console".to_owned(), "impersonate users anna".to_owned());
    world.cluster.change(|cluster| cluster.also.insert(may));
    let mut hers = Events::open(&world, "anna", STREAM, None).await;
    let request = Request::get(STREAM)
        .header("authorization", "Bearer token-of-console")
        .header("impersonate-user", "anna")
        .body(Body::empty())
        .unwrap();
    let (head, body) = world
        .router
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .into_parts();
    assert_eq!(head.status, 200);
    let mut for_her = Events {
        headers: head.headers,
        body,
        rest: String::new(),
    };
    world.deny(&Denial::new(0));
    for events in [&mut hers, &mut for_her] {
        events.connected().await;
        assert_eq!(events.news().await.1["denial"]["id"], id(0));
    }
    world.cluster.change(|cluster| {
        cluster.tokens.remove("token-of-anna");
        cluster.also.clear();
    });
    for (events, error) in [(&mut hers, "unauthorized"), (&mut for_her, "forbidden")] {
        let (_, last) = timeout(SOON, events.news()).await.expect("the end");
        assert_eq!(
            (&last["type"], &last["error"]),
            (&json!("error"), &json!(error))
        );
        assert!(events.next().await.is_none());
    }
}
