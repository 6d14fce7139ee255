//! Watches: from where, what comes, and when they end.

use super::super::world::{Denial, World, asked, id};
use super::{ACME, TABLE, V1, court, version};
use crate::serve::Peer;
use axum::body::{Body, BodyDataStream};
use docket_ledger::entry::Class;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

/// An open watch, read line by line.
struct Stream(BodyDataStream);

impl Stream {
    async fn open(world: &World, user: &str, path: &str, accept: &str) -> Stream {
        let request = asked(user, path).header("accept", accept);
        let mut request = request.body(Body::empty()).unwrap();
        request
            .extensions_mut()
            .insert(Peer(Some("docket-webhook".into())));
        let response = world.aggregated.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Stream(response.into_body().into_data_stream())
    }

    async fn plain(world: &World, user: &str, path: &str) -> Stream {
        Stream::open(world, user, path, "application/json").await
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(Duration::from_secs(5), self.0.next());
        let line = line.await.expect("an event in time")?.unwrap();
        Some(serde_json::from_slice(&line).unwrap())
    }

    /// Type and name of the next event.
    async fn word(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let name = event["object"]["metadata"]["name"].as_str();
        (
            event["type"].as_str().unwrap().to_owned(),
            name.unwrap_or_default().to_owned(),
        )
    }

    async fn quiet(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(150), self.0.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

fn said(word: &str, name: String) -> (String, String) {
    (word.to_owned(), name)
}

#[tokio::test]
async fn a_watch_from_a_list_goes_on_where_the_list_ends() {
    let mut world = court();
    let list = world.kube("anna", &format!("{ACME}/denials")).await.json();
    let path = format!(
        "{ACME}/denials?watch=true&resourceVersion={}",
        version(&list)
    );
    let mut stream = Stream::plain(&world, "anna", &path).await;
    stream.quiet().await;
    world.deny(&Denial::new(20).namespace("krate-org-globex"));
    world.deny(&Denial::new(21));
    assert_eq!(stream.word().await, said("ADDED", id(21)));
    let open = "streams_open{door=\"watch\"}";
    assert_eq!(world.metric(open), 1.0);
    assert_eq!(
        world.metric("denial_lag_seconds_count{step=\"streamed\"}"),
        1.0
    );
    let disputed = json!({"id": "amendment-1", "time": "2026-10-05T13:00:00Z", "amends": id(0), "kind": "disputed"});
    world.add(Class::Amendment, &disputed, None);
    let event = stream.next().await.unwrap();
    assert_eq!(
        (
            &event["type"],
            &event["object"]["metadata"]["name"],
            &event["object"]["testimony"]
        ),
        (&json!("MODIFIED"), &json!(id(0)), &json!("disputed"))
    );
    stream.quiet().await;
    drop(stream);
    assert_eq!(world.metric(open), 0.0);
}

#[tokio::test]
async fn one_that_was_cut_off_goes_on_from_the_last_event_and_misses_nothing() {
    let mut world = court();
    let all = format!("{ACME}/denials?watch=true");
    let mut seen = Vec::new();
    let mut path = all.clone();
    for n in 100..104 {
        world.deny(&Denial::new(n));
        let mut stream = Stream::plain(&world, "anna", &path).await;
        // Two events of each watch, then it breaks.
        for _ in 0..2 {
            let event = stream.next().await.unwrap();
            seen.push(
                event["object"]["metadata"]["name"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
            path = format!("{all}&resourceVersion={}", version(&event["object"]));
            if seen.len() == 7 {
                break;
            }
        }
    }
    assert_eq!(seen, [0, 1, 2, 100, 101, 102, 103].map(id));
}

#[tokio::test]
async fn without_a_version_what_is_there_comes_first() {
    let mut world = court();
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        let mut stream = Stream::plain(&world, "anna", &format!("{ACME}/denials?{query}")).await;
        for n in 0..3 {
            assert_eq!(stream.word().await, said("ADDED", id(n)));
        }
        stream.quiet().await;
    }
    let mut stream = Stream::plain(&world, "admin", &format!("{V1}/clusterdenials?watch=1")).await;
    assert_eq!(stream.word().await, said("ADDED", id(4)));
    let mut one = Stream::plain(
        &world,
        "anna",
        &format!(
            "{ACME}/denials?watch=1&fieldSelector=metadata.name%3D{}",
            id(1)
        ),
    )
    .await;
    assert_eq!(one.word().await, said("ADDED", id(1)));
    world.deny(&Denial::new(30));
    one.quiet().await;
    let answered = json!({"id": "amendment-1", "time": "2026-10-05T13:00:00Z", "amends": id(1), "kind": "disputed"});
    world.add(Class::Amendment, &answered, None);
    assert_eq!(one.word().await, said("MODIFIED", id(1)));
}

#[tokio::test]
async fn one_is_watched_by_the_beginning_of_its_name_and_by_words_of_its_text() {
    let mut world = court();
    for path in [
        format!("{ACME}/denials/{}?watch=1", &id(1)[..12]),
        format!(
            "{ACME}/denials?watch=1&fieldSelector=metadata.name%3D{}",
            &id(1)[..12]
        ),
    ] {
        let mut one = Stream::plain(&world, "anna", &path).await;
        assert_eq!(one.word().await, said("ADDED", id(1)));
        one.quiet().await;
    }
    let path = format!("{ACME}/denials?watch=1&fieldSelector=q%3Dzebra");
    let mut stream = Stream::plain(&world, "anna", &path).await;
    stream.quiet().await;
    world.deny(&Denial::new(20));
    let messages = json!({"messages": ["No zebra may be merged."]});
    world.deny(&Denial::new(21).personal(messages));
    assert_eq!(stream.word().await, said("ADDED", id(21)));
    let path = format!("{ACME}/denials?fieldSelector=q%3Dzebra");
    assert_eq!(world.names("anna", &path).await, [id(21)]);
}

#[tokio::test]
async fn a_streaming_list_is_ended_by_a_marked_bookmark() {
    let mut world = court();
    let path = format!(
        "{ACME}/denials?watch=true&sendInitialEvents=true&allowWatchBookmarks=true\
         &resourceVersionMatch=NotOlderThan&resourceVersion="
    );
    let mut stream = Stream::plain(&world, "anna", &path).await;
    for n in 0..3 {
        assert_eq!(stream.word().await, said("ADDED", id(n)));
    }
    let event = stream.next().await.unwrap();
    assert_eq!(event["type"], "BOOKMARK");
    let metadata = &event["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(version(&event["object"]) % 10_000_000_000, 6);
    world.deny(&Denial::new(20));
    assert_eq!(stream.word().await, said("ADDED", id(20)));
    let empty = World::new();
    let mut stream = Stream::plain(&empty, "admin", &path).await;
    assert_eq!(stream.next().await.unwrap()["type"], "BOOKMARK");
}

#[tokio::test]
async fn a_client_that_takes_bookmarks_gets_one_at_once_where_nothing_is_new() {
    let world = court();
    let list = world.kube("anna", &format!("{ACME}/denials")).await.json();
    let path = format!(
        "{ACME}/denials?watch=true&allowWatchBookmarks=true&resourceVersion={}",
        version(&list)
    );
    let mut stream = Stream::plain(&world, "anna", &path).await;
    let event = stream.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["kind"]),
        (&json!("BOOKMARK"), &json!("Denial"))
    );
    assert_eq!(version(&event["object"]), version(&list));
    stream.quiet().await;
}

#[tokio::test]
async fn a_version_that_cannot_be_gone_on_from_is_an_event_and_then_the_end() {
    let world = court();
    let list = world.kube("anna", &format!("{ACME}/denials")).await.json();
    for given in [version(&list) + 1, 7, version(&list) + 50_000_000_000] {
        let path = format!("{ACME}/denials?watch=true&resourceVersion={given}");
        let mut stream = Stream::plain(&world, "anna", &path).await;
        let event = stream.next().await.unwrap();
        assert_eq!(event["type"], "ERROR");
        assert_eq!(
            (&event["object"]["code"], &event["object"]["reason"]),
            (&json!(410), &json!("Expired"))
        );
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_table_is_watched_row_by_row_with_its_columns_once() {
    let world = court();
    let path = format!("{ACME}/denials?watch=true");
    let mut stream = Stream::open(&world, "anna", &path, TABLE).await;
    let first = stream.next().await.unwrap();
    let second = stream.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    let columns = |event: &Value| {
        event["object"]["columnDefinitions"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((columns(&first) > 5, columns(&second)), (true, 0));
    assert_eq!(second["object"]["rows"][0]["cells"][0], id(1)[..12]);
}

#[tokio::test]
async fn a_watch_ends_in_time_and_when_the_process_does() {
    let world = court();
    let forever = format!("{V1}/clusterdenials?watch=1&timeoutSeconds={}", u64::MAX);
    let mut stream = Stream::plain(&world, "admin", &forever).await;
    assert_eq!(stream.word().await, said("ADDED", id(4)));
    let path = format!("{ACME}/denials?watch=true&timeoutSeconds=0");
    let mut stream = Stream::plain(&world, "anna", &path).await;
    for n in 0..3 {
        assert_eq!(stream.word().await, said("ADDED", id(n)));
    }
    assert!(stream.next().await.is_none());
    let mut open = Stream::plain(&world, "admin", &format!("{V1}/clusterdenials?watch=1")).await;
    assert_eq!(open.word().await, said("ADDED", id(4)));
    world.stop.send_replace(true);
    assert!(open.next().await.is_none());
}

#[tokio::test]
async fn a_reader_whose_permission_is_taken_away_is_told_and_cut_off() {
    let mut world = World::with(|settings| settings.patience.stream = Duration::from_millis(100));
    world.cluster.grant("anna", "krate-org-acme");
    world.deny(&Denial::new(0));
    let mut stream = Stream::plain(&world, "anna", &format!("{ACME}/denials?watch=1")).await;
    assert_eq!(stream.word().await, said("ADDED", id(0)));
    world.cluster.change(|cluster| cluster.may.clear());
    tokio::time::sleep(Duration::from_millis(400)).await;
    world.deny(&Denial::new(1));
    let event = stream.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(403))
    );
    assert!(stream.next().await.is_none());
}
