//! `docket export` to an HTTPS endpoint that fails, hangs, dies and asks for time.

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{World, id, serve};

/// What the endpoint does with the next request; after the last one it takes everything.
#[derive(Clone, Copy, Debug)]
enum Does {
    Take,
    Answer(u16),
    AskForTime(&'static str),
    /// Takes the body, and then the connection ends without an answer.
    Die,
    Hang,
    TakeAtMost(usize),
}

#[derive(Default)]
struct Seen {
    does: VecDeque<Does>,
    /// Ids of each request that was taken.
    taken: Vec<Vec<String>>,
    asked: Vec<Instant>,
    tokens: Vec<String>,
}

/// A real TLS server.
struct Siem {
    seen: Arc<Mutex<Seen>>,
    url: String,
    directory: tempfile::TempDir,
}

impl Siem {
    async fn that(does: &[Does]) -> Siem {
        let seen = Arc::new(Mutex::new(Seen {
            does: does.iter().copied().collect(),
            ..Seen::default()
        }));
        let shared = seen.clone();
        let router = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
            let shared = shared.clone();
            async move { answer(&shared, &headers, &body).await }
        });
        let directory = tempfile::tempdir().unwrap();
        let port = serve(router, directory.path()).await;
        Siem {
            seen,
            url: format!("https://localhost:{port}/in?key=secret-in-url"),
            directory,
        }
    }

    fn ca(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }

    fn taken(&self) -> Vec<String> {
        self.seen.lock().unwrap().taken.concat()
    }
}

async fn answer(seen: &Mutex<Seen>, headers: &HeaderMap, body: &Bytes) -> Response {
    let does = {
        let mut seen = seen.lock().unwrap();
        seen.asked.push(Instant::now());
        let token = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap());
        seen.tokens.push(token.unwrap_or_default().to_owned());
        seen.does.pop_front().unwrap_or(Does::Take)
    };
    let lines = std::str::from_utf8(body).unwrap().lines();
    let ids: Vec<String> = lines
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let uid = record["id"].as_str().or(record["metadata"]["uid"].as_str());
            uid.unwrap().to_owned()
        })
        .collect();
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    match does {
        Does::TakeAtMost(most) if ids.len() > most => {
            // It goes on being so small.
            seen.lock().unwrap().does.push_front(does);
            status(413).into_response()
        }
        Does::Take | Does::TakeAtMost(_) => {
            seen.lock().unwrap().taken.push(ids);
            StatusCode::NO_CONTENT.into_response()
        }
        Does::Answer(code) => (status(code), "no \u{1b}[31mthanks").into_response(),
        Does::AskForTime(time) => (status(503), [("retry-after", time)], "").into_response(),
        Does::Die => std::panic::resume_unwind(Box::new("the server dies")),
        Does::Hang => std::future::pending().await,
    }
}

fn all(numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut ids: Vec<String> = numbers.map(id).collect();
    ids.sort();
    ids
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_hangs_and_dies_gets_every_record_in_the_end() {
    let mut world = World::new().await;
    world.denials(0..5);
    let siem = Siem::that(&[
        Does::Answer(500),
        Does::Die,
        Does::Hang,
        Does::AskForTime("2"),
        Does::Answer(429),
    ])
    .await;
    let outcome = world.run(&[
        "export",
        "--to",
        &siem.url,
        "--to-ca",
        &siem.ca(),
        "--to-timeout",
        "1",
    ]);
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (0, ""),
        "{}",
        outcome.err
    );
    assert_eq!(sorted(siem.taken()), all(0..5));
    for words in [
        "answers 500",
        "can't be reached",
        "did not answer within 1s",
        "answers 503",
        "answers 429",
    ] {
        assert!(outcome.err.contains(words), "{words}:\n{}", outcome.err);
    }
    assert!(!outcome.err.contains("secret-in-url"), "{}", outcome.err);
    let asked = &siem.seen.lock().unwrap().asked;
    assert_eq!(asked.len(), 6);
    assert!(
        asked[4] - asked[3] >= Duration::from_secs(2),
        "Retry-After is honoured"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_goes_in_parts() {
    let mut world = World::new().await;
    world.denials(0..23);
    let siem = Siem::that(&[Does::TakeAtMost(4)]).await;
    let outcome = world.run(&[
        "export",
        "-o",
        "ocsf",
        "--to",
        &siem.url,
        "--to-ca",
        &siem.ca(),
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert_eq!(sorted(siem.taken()), all(0..23));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_further_try_can_mend_ends_at_once_and_shows_no_token() {
    let mut world = World::new().await;
    world.denials(0..1);
    let siem = Siem::that(&[Does::Answer(401), Does::Answer(404), Does::TakeAtMost(0)]).await;
    let header = siem.directory.path().join("header");
    std::fs::write(&header, "Authorization: Bearer very-secret\n").unwrap();
    let ca = siem.ca();
    let arguments = [
        "export",
        "--to",
        &siem.url,
        "--to-ca",
        &ca,
        "--to-header-file",
        header.to_str().unwrap(),
    ];
    for says in [
        "is the token of --to-header-file still good",
        "does not take it, 404",
        "(413)",
    ] {
        let outcome = world.run(&arguments);
        outcome.fails(2, says);
        let told = format!("{}{}", outcome.out, outcome.err);
        assert!(
            !told.contains("very-secret")
                && !told.contains("secret-in-url")
                && !told.contains('\u{1b}'),
            "{told}"
        );
    }
    assert_eq!(siem.seen.lock().unwrap().tokens[0], "Bearer very-secret");
    std::fs::write(&header, "very-secret\n").unwrap();
    let outcome = world.run(&arguments);
    outcome.fails(2, "must hold lines `Name: value`");
    assert!(!outcome.err.contains("very-secret"));
    let stranger = World::new().await;
    let ca = stranger.ca().display().to_string();
    world
        .run(&["export", "--to", &siem.url, "--to-ca", &ca])
        .fails(2, "--to-ca names its authority");
    assert_eq!(siem.taken(), Vec::<String>::new());
}
