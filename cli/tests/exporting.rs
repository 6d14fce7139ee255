//! `docket export` to an HTTPS endpoint that fails, hangs, dies and asks for time.

#![expect(clippy::unwrap_used, reason = "a harness that fails says where")]

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

/// `docket export --follow`, ended with the test.
struct Follower(std::process::Child);

impl Follower {
    fn start(world: &World, arguments: &[&str]) -> Follower {
        let config = world.kubeconfig(&serde_json::json!({"token": "admins-token"}));
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_docket"))
            .args(["export", "--follow", "--kubeconfig", &config])
            .args(arguments)
            .env_clear()
            .stderr(std::process::Stdio::null())
            .spawn();
        Follower(child.unwrap())
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    fn ends(&mut self) -> std::process::ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_killed_again_and_again_leaves_nothing_out() {
    let mut world = World::new().await;
    let siem = Siem::that(&[Does::Answer(503), Does::Hang, Does::Die]).await;
    let ca = siem.ca();
    let cursor = world.directory.path().join("cursor").display().to_string();
    let arguments = [
        "--cursor",
        &cursor,
        "--from",
        "start",
        "--to",
        &siem.url,
        "--to-ca",
        &ca,
        "--to-timeout",
        "1",
        "--batch",
        "7",
    ];
    let mut n = 0;
    for round in 0..6_u64 {
        let mut follower = Follower::start(&world, &arguments);
        for _ in 0..40 {
            world.denials(n..n + 1);
            n += 1;
        }
        // Each time at another place: before, amid and after a delivery.
        tokio::time::sleep(Duration::from_millis(150 + round * 170)).await;
        follower.signal("-KILL");
        follower.ends();
    }
    let _follower = Follower::start(&world, &arguments);
    let delivered = || {
        let mut taken = sorted(siem.taken());
        taken.dedup();
        taken == all(0..n)
    };
    eventually("every record is delivered", delivered);
    eventually("no more is sent", || {
        let before = siem.taken().len();
        std::thread::sleep(Duration::from_millis(800));
        siem.taken().len() == before
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_asked_to_end_delivers_what_it_has_and_goes_on_there() {
    let mut world = World::new().await;
    world.denials(0..3);
    let file = world.directory.path().join("out.jsonl");
    let cursor = world.directory.path().join("cursor").display().to_string();
    let to = file.display().to_string();
    let arguments = [
        "--cursor",
        &cursor,
        "--to",
        &to,
        "--namespace",
        "krate-org-acme",
    ];
    let mut follower = Follower::start(&world, &[&arguments[..], &["--from", "start"]].concat());
    let lines = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines()
            .map(|line| {
                let item: Value = serde_json::from_str(line).unwrap();
                item["id"].as_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
    };
    eventually("what was there is written", || lines().len() == 3);
    follower.signal("-TERM");
    assert_eq!(follower.ends().code(), Some(0));
    // While nobody follows, and of another namespace.
    world.denials(3..5);
    world.deny(
        5,
        serde_json::json!({"namespace": "other"}),
        serde_json::json!({}),
    );
    let mut follower = Follower::start(&world, &arguments);
    eventually("it goes on", || lines().len() == 5);
    world.denials(6..8);
    eventually("as it happens", || lines().len() == 7);
    follower.signal("-INT");
    assert_eq!(follower.ends().code(), Some(0));
    assert_eq!(
        lines(),
        [0, 1, 2, 3, 4, 6, 7].map(id),
        "in the ledger's order, each once"
    );
    let other = world.kubeconfig(&serde_json::json!({"token": "admins-token"}));
    world
        .run(&[
            "export",
            "--follow",
            "--kubeconfig",
            &other,
            "--cursor",
            &cursor,
            "--actor",
            "bob",
        ])
        .fails(2, "belongs to other filters");
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_for_excel_begins_with_a_byte_order_mark_and_a_file_has_one_heading() {
    let world = World::new().await;
    let csv = world.run(&["export", "-o", "csv", "--bom"]).ok();
    assert!(csv.starts_with("\u{feff}id,time,"), "{csv}");
    assert_eq!(csv.matches('\u{feff}').count(), 1);
    let plain = world.run(&["export", "-o", "csv"]).ok();
    assert_eq!(csv.strip_prefix('\u{feff}'), Some(plain.as_str()));
    let file = world.directory.path().join("denials.csv");
    let to = file.display().to_string();
    for _ in 0..2 {
        world
            .run(&["export", "-o", "csv", "--bom", "--to", &to])
            .ok();
    }
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.matches("\u{feff}id,time,").count(), 1);
    assert_eq!(written.matches("id,time,").count(), 1);
    assert_eq!(written.lines().count(), 2 * plain.lines().count() - 1);
    let jsonl = world.run(&["export", "--bom"]);
    jsonl.fails(2, "-o csv --bom");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_ledger_is_refused_and_not_begun_anew() {
    let (world, other) = (World::new().await, World::seeded(9).await);
    let cursor = world.directory.path().join("cursor").display().to_string();
    let mut follower = Follower::start(&world, &["--cursor", &cursor, "--from", "start"]);
    eventually("a place is remembered", || {
        std::path::Path::new(&cursor).exists()
    });
    follower.signal("-TERM");
    follower.ends();
    let config = other.kubeconfig(&serde_json::json!({"token": "admins-token"}));
    let outcome = other.run(&[
        "export",
        "--follow",
        "--kubeconfig",
        &config,
        "--cursor",
        &cursor,
    ]);
    outcome.fails(1, "of another ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reporters_own_stream_is_followed_and_gone_on_with_too() {
    let mut world = World::new().await;
    world.denials(0..2);
    let cursor = world.directory.path().join("cursor").display().to_string();
    let file = world.directory.path().join("out.jsonl");
    let follow = || {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_docket"))
            .args([
                "export", "--follow", "--cursor", &cursor, "--from", "start", "--to",
            ])
            .arg(&file)
            .env_clear()
            .env("DOCKET_URL", &world.url)
            .env("DOCKET_CA", world.ca())
            .env("DOCKET_TOKEN", support::TOKEN)
            .stderr(std::process::Stdio::null())
            .spawn();
        Follower(child.unwrap())
    };
    let lines = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines().count()
    };
    let mut follower = follow();
    eventually("what was there is written", || lines() == 2);
    follower.signal("-TERM");
    assert_eq!(follower.ends().code(), Some(0));
    let _follower = follow();
    world.denials(2..5);
    eventually("what came since is written, once", || lines() == 5);
}
