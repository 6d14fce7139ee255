use crate::harness::{Setup, eventually, review, uid};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn readiness_goes_first_while_calls_are_still_answered() {
    let mut witness = Setup::new()
        .flags(&["--drain-delay", "1500ms"])
        .start()
        .await;
    assert_eq!(
        witness.admin("/readyz").await.unwrap().status,
        StatusCode::OK
    );
    witness.signal("TERM");
    eventually("it is not ready", || async {
        witness
            .admin("/readyz")
            .await
            .is_ok_and(|got| got.status == StatusCode::SERVICE_UNAVAILABLE)
    })
    .await;
    let got = witness.post("/mutate", review(&uid(1)).to_string()).await;
    assert!(got.json()["response"]["auditAnnotations"].is_object());
    assert!(witness.ended().await.success());
    let line = witness.logged("witness drained").await;
    assert_eq!(
        (&line["last"], &line["cut_off"]),
        (&json!(1), &json!(false))
    );
}

#[tokio::test]
async fn a_call_under_way_is_finished_and_counted_before_the_end() {
    let mut witness = Setup::new().start().await;
    let mut idle = witness.apiserver().await;
    idle.post("/mutate", review(&uid(1)).to_string())
        .await
        .unwrap();
    let mut stream = witness
        .tls(witness.admission, Some(&witness.caller), "http/1.1")
        .await
        .unwrap();
    let body = review(&uid(2)).to_string();
    let (first, rest) = body.split_at(100);
    let head = format!(
        "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    let held = "docket_witness_body_bytes";
    eventually("the body has begun", || async {
        witness.metric(held).await > 0.0
    })
    .await;
    witness.signal("INT");
    witness.logged("witness draining").await;
    eventually("no new call is taken", || async {
        witness
            .tls(witness.admission, Some(&witness.caller), "http/1.1")
            .await
            .is_err()
    })
    .await;
    // The reporter can still learn how far this process has counted.
    assert_eq!(
        witness.ask("GET", "/process", Value::Null).await.json()["last"],
        1
    );
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.contains(&uid(2)),
        "{answer}"
    );
    assert!(witness.ended().await.success());
    assert_eq!(witness.logged("witness drained").await["last"], 2);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut witness = Setup::new().flags(&["--drain-delay", "1h"]).start().await;
    witness.signal("TERM");
    witness.logged("witness draining").await;
    assert!(witness.child.try_wait().unwrap().is_none());
    witness.signal("TERM");
    assert!(!witness.ended().await.success());
}

#[tokio::test]
async fn a_call_that_never_ends_does_not_hold_up_the_end() {
    let flags = ["--drain-timeout", "300ms", "--body-timeout", "1h"];
    let mut witness = Setup::new().flags(&flags).start().await;
    let mut stream = witness
        .tls(witness.admission, Some(&witness.caller), "http/1.1")
        .await
        .unwrap();
    stream
        .write_all(b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        .await
        .unwrap();
    let held = "docket_witness_body_bytes";
    eventually("the body has begun", || async {
        witness.metric(held).await > 0.0
    })
    .await;
    witness.signal("TERM");
    let ended = tokio::time::timeout(Duration::from_secs(10), witness.ended())
        .await
        .unwrap();
    assert!(ended.success());
    assert_eq!(witness.logged("witness drained").await["last"], 0);
}
