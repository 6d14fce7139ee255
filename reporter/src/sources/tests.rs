//! Denied collections, against doubles of the witness: plain HTTP, one path.

use super::*;
use crate::events::{self, Day};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::Barrier;

/// What a witness says of the collection, once all are asked; `None`: nothing, ever.
async fn witness(says: Option<Value>, all: Arc<Barrier>) -> String {
    let answer = move |body: bytes::Bytes| async move {
        all.wait().await;
        let asked: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(asked["user"], "jane@acme.example");
        assert_eq!(asked["resource"], "pullrequests");
        match says {
            None => std::future::pending().await,
            Some(Value::Null) => StatusCode::NOT_FOUND.into_response(),
            Some(says) => axum::Json(says).into_response(),
        }
    };
    let router = axum::Router::new().route("/collection", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Name of the denied object and notes, where these witnesses are asked.
async fn denied(says: Vec<Option<Value>>) -> (String, Vec<String>) {
    let mut urls = BTreeMap::new();
    let all = Arc::new(Barrier::new(says.len()));
    for (at, says) in says.into_iter().enumerate() {
        let url = witness(says, Arc::clone(&all)).await;
        urls.insert(format!("witness-{at}"), url);
    }
    let metrics = Metrics::new().0;
    let court = Court {
        witnesses: Some(
            Witnesses::new(
                urls,
                crate::witness::WitnessClient::plain(),
                metrics.clone(),
            )
            .unwrap(),
        ),
        metrics,
        ..testing::court()
    };
    let now: Timestamp = "2026-11-22T23:00:00Z".parse().unwrap();
    let mut event = Day::new(now).denied();
    event["verb"] = "deletecollection".into();
    event["objectRef"]["name"] = "".into();
    // The first witness's testimony alone is in the event, whoever saw the last object.
    event["annotations"] = json!({});
    let mut arrival = court.delivery("api", &events::list(&[event]), now);
    court.collections(&mut arrival).await;
    let Outcome::Record(record) = arrival.findings.remove(0).outcome else {
        panic!("no record")
    };
    (record.personal.name, record.public.notes)
}

fn reviewed(name: &str, time: &str) -> Option<Value> {
    let time = format!("2026-11-22T22:59:{time}Z");
    Some(json!({"name": name, "uid": name, "reviewUid": "r", "time": time}))
}

const LAST: &str = "one of a collection: the object that was reviewed last";

#[tokio::test]
async fn the_witness_that_saw_the_last_object_of_a_collection_names_it() {
    let (name, notes) = denied(vec![
        reviewed("pr-3", "58.000"),
        reviewed("pr-4", "58.004"),
        Some(Value::Null),
    ])
    .await;
    assert_eq!((name.as_str(), notes), ("pr-4", vec![LAST.to_owned()]));
}

#[tokio::test]
async fn objects_reviewed_at_the_same_time_are_told_and_none_is_named() {
    let (name, notes) = denied(vec![reviewed("pr-3", "58.000"), reviewed("pr-4", "58.000")]).await;
    let tied = "witnesses reviewed different objects at the same last time";
    assert_eq!(
        (name.as_str(), notes),
        ("", vec![WHICH_NOT_KNOWN.to_owned(), tied.to_owned()])
    );
}

#[tokio::test]
async fn a_witness_that_does_not_answer_is_told() {
    let (name, notes) = denied(vec![reviewed("pr-3", "58.000"), None, None]).await;
    let silent = "2 of 3 witnesses did not say which object they reviewed last: it may be another";
    assert_eq!(
        (name.as_str(), notes),
        ("pr-3", vec![LAST.to_owned(), silent.to_owned()])
    );
    let (name, notes) = denied(vec![None]).await;
    assert_eq!((name.as_str(), notes[0].as_str()), ("", WHICH_NOT_KNOWN));
    assert!(notes[1].starts_with("1 of 1 witnesses"), "{notes:?}");
}
