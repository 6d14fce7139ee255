//! What `/audit` answers, whatever comes.

use super::*;
use crate::events::{self, Day};
use crate::health::Health;
use crate::sources::testing;
use axum::http::{Method, Request};
use docket_ledger::entry::Class;
use serde_json::Value;
use std::io::Write as _;
use tower::ServiceExt as _;

struct World {
    dir: tempfile::TempDir,
    router: Router,
}

impl World {
    fn new() -> World {
        World::with(testing::court())
    }

    fn with(court: Court) -> World {
        let dir = tempfile::tempdir().unwrap();
        let writer = testing::writer(&dir.path().join("ledger"), &Health::default());
        let metrics = court.metrics.clone();
        let names = Names::Insecure("api".into());
        let router = router(Arc::new(court), writer, names, metrics)
            .layer(Extension(Peer(Some("api".into()))));
        World { dir, router }
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, Option<String>) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let retry = answer.headers().get(header::RETRY_AFTER);
        let retry = retry.map(|after| after.to_str().unwrap().to_owned());
        (answer.status(), retry)
    }

    async fn post(&self, body: impl Into<Body>) -> (StatusCode, Option<String>) {
        let request =
            Request::post("/audit?timeout=30s").header("content-type", "application/json");
        self.ask(request.body(body.into()).unwrap()).await
    }

    fn rows(&self, class: Class) -> Vec<Value> {
        testing::rows(&self.dir.path().join("ledger"), class)
    }
}

const LATER: (StatusCode, Option<&str>) = (StatusCode::SERVICE_UNAVAILABLE, Some("3"));

fn as_told(answer: &(StatusCode, Option<String>)) -> (StatusCode, Option<&str>) {
    (answer.0, answer.1.as_deref())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_asked_for_again_in_words_that_are_obeyed() {
    let world = World::new();
    let whole = events::list(&[Day::new(Timestamp::now()).denied()]);
    let broken = futures::stream::iter([
        Ok(Bytes::copy_from_slice(&whole[..200])),
        Err(std::io::Error::other("gone")),
    ]);
    let answer = world.post(Body::from_stream(broken)).await;
    assert_eq!(as_told(&answer), LATER);
    assert!(world.rows(Class::Gap).is_empty(), "it comes again");
    assert_eq!(world.post(whole).await.0, StatusCode::OK);
    assert_eq!(world.rows(Class::Denial).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_a_gap_and_200_whatever_it_says_it_is() {
    let world = World::new();
    let event = Day::new(Timestamp::now()).denied();
    let whole = events::list(std::slice::from_ref(&event));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&whole).unwrap();
    let packed = packed.finish().unwrap();
    let mut latin = b"\xff\xfe".to_vec();
    latin.extend_from_slice(&whole);
    let unreadable: [(&str, &str, Vec<u8>); 6] = [
        ("application/json", "", Vec::new()),
        ("application/json", "gzip", packed),
        ("application/json", "", latin),
        (
            "application/vnd.kubernetes.protobuf",
            "",
            b"k8s\0\n".to_vec(),
        ),
        ("", "", serde_json::to_vec(&event).unwrap()),
        (
            "text/plain; charset=\"",
            "",
            whole[..whole.len() - 2].to_vec(),
        ),
    ];
    for (at, (kind, encoding, body)) in unreadable.into_iter().enumerate() {
        let mut request = Request::post("/audit");
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        if !encoding.is_empty() {
            request = request.header("content-encoding", encoding);
        }
        let answer = world.ask(request.body(body.into()).unwrap()).await;
        assert_eq!(as_told(&answer), (StatusCode::OK, None), "{at}");
        assert_eq!(world.rows(Class::Gap).len(), at + 1, "{at}");
    }
    // What the headers say does not matter where the body is a batch.
    let request = Request::post("/audit").header("content-type", "text/plain");
    let answer = world.ask(request.body(whole.into()).unwrap()).await;
    assert_eq!(answer.0, StatusCode::OK);
    assert_eq!(world.rows(Class::Denial).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_with_a_byte_that_is_no_text_costs_only_itself() {
    let world = World::new();
    let mut day = Day::new(Timestamp::now());
    let list = events::list(&[day.denied(), day.denied(), day.denied()]);
    let at = memchr_of(&list, b"pr-2");
    let mut torn = list.clone();
    torn[at] = 0xff;
    assert_eq!(world.post(torn).await.0, StatusCode::OK);
    assert_eq!(world.rows(Class::Denial).len(), 2);
    let gaps = world.rows(Class::Gap);
    assert_eq!(
        (gaps.len(), &gaps[0]["cause"]),
        (1, &"quarantined-item".into())
    );
}

fn memchr_of(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len())
        .position(|part| part == word)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_delivery_is_answered_by_the_listener_and_is_no_gap() {
    let world = World::new();
    for (method, path, status) in [
        (Method::GET, "/audit", StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, "/audit", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/", StatusCode::NOT_FOUND),
    ] {
        let request = Request::builder().method(method).uri(path);
        let answer = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.0, status, "{path}");
    }
    assert!(world.rows(Class::Gap).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_makes_the_examiner_panic_costs_itself_and_no_other() {
    let world = World::with(Court {
        examine: testing::panics_at_pr_2,
        ..testing::court()
    });
    let mut day = Day::new(Timestamp::now());
    let batch = events::list(&[day.denied(), day.denied(), day.denied()]);
    for _ in 0..3 {
        assert_eq!(world.post(batch.clone()).await.0, StatusCode::OK);
    }
    assert_eq!(world.rows(Class::Denial).len(), 2);
    let gaps = world.rows(Class::Gap);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0]["detail"].as_str().unwrap().contains("panic"));
}
