use crate::harness::{Setup, review, uid};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Allowed, with this uid, without testimony, patch or `Retry-After`.
fn plainly_allowed(got: &crate::harness::Got, uid: &str) {
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.headers.get("retry-after"), None);
    assert_eq!(got.headers["content-type"], "application/json");
    let answer = got.json();
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"], json!({ "uid": uid, "allowed": true }));
}

#[tokio::test]
async fn whatever_the_body_is_the_answer_is_allowed_and_counted_by_cause() {
    let witness = Setup::new().start().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = review(&uid(1));
        change(&mut body);
        body.to_string().into_bytes()
    };
    let whole = review(&uid(1)).to_string().into_bytes();
    let cases: Vec<(&str, &str, Vec<u8>, String)> = vec![
        ("empty", "json", Vec::new(), String::new()),
        ("not JSON", "json", b"denied!".to_vec(), String::new()),
        ("not UTF-8", "json", vec![0xff; 300], String::new()),
        ("an array", "json", b"[1,2]".to_vec(), String::new()),
        (
            "truncated",
            "json",
            whole[..whole.len() - 40].to_vec(),
            uid(1),
        ),
        (
            "truncated before its uid",
            "json",
            whole[..20].to_vec(),
            String::new(),
        ),
        (
            "wrong kind",
            "kind",
            with(&|b| b["kind"] = json!("Pod")),
            uid(1),
        ),
        (
            "wrong version",
            "kind",
            with(&|b| b["apiVersion"] = json!("admission.k8s.io/v9")),
            uid(1),
        ),
        (
            "no request",
            "request",
            with(&|b| b["request"] = Value::Null),
            String::new(),
        ),
        (
            "no uid",
            "request",
            with(&|b| b["request"]["uid"] = json!("")),
            String::new(),
        ),
    ];
    for (name, cause, body, uid) in cases {
        for path in ["/mutate", "/validate?timeout=1s"] {
            let series = format!("docket_witness_unreadable_total{{cause=\"{cause}\"}}");
            let before = witness.metric(&series).await;
            let got = witness.post(path, body.clone()).await;
            println!("{name}, {path}: {}", String::from_utf8_lossy(&got.body));
            plainly_allowed(&got, &uid);
            assert_eq!(witness.metric(&series).await, before + 1.0, "{name}");
        }
    }
    assert_eq!(witness.metric("docket_witness_last_number").await, 0.0);
}

#[tokio::test]
async fn a_uid_that_cannot_be_an_annotation_key_is_echoed_and_not_sworn_to() {
    let witness = Setup::new().start().await;
    for bad in ["a/b", "\"quoted\\", "ünïcode", &"x".repeat(64)] {
        let got = witness.post("/mutate", review(bad).to_string()).await;
        plainly_allowed(&got, bad);
    }
    assert_eq!(
        witness
            .metric("docket_witness_unreadable_total{cause=\"uid\"}")
            .await,
        4.0
    );
}

#[tokio::test]
async fn v1beta1_is_answered_in_v1beta1() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1));
    body["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let answer = witness.post("/mutate", body.to_string()).await.json();
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1beta1");
    assert_eq!(answer["response"]["allowed"], true);
    assert!(answer["response"]["auditAnnotations"][uid(1)].is_string());
}

#[tokio::test]
async fn a_body_nested_9990_deep_is_sworn_to() {
    let witness = Setup::new().start().await;
    let deep = format!("{}1{}", "[".repeat(9_990), "]".repeat(9_990));
    let body = review(&uid(1)).to_string().replace("\"a change\"", &deep);
    let answer = witness.post("/validate", body).await.json();
    assert_eq!(answer["response"]["allowed"], true);
    assert!(answer["response"]["auditAnnotations"][uid(1)].is_string());
    // And the exhibit is readable, or not there, but not the end of the process.
    let got = witness
        .ask("GET", &format!("/exhibits/{}", uid(1)), Value::Null)
        .await;
    assert!(matches!(got.status.as_u16(), 200 | 404), "{got:?}");
}

#[tokio::test]
async fn a_body_of_40_mib_is_allowed_with_its_uid() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1)).to_string().into_bytes();
    let at = body.windows(8).position(|w| w == b"a change").unwrap();
    body.splice(at..at, std::iter::repeat_n(b'x', 40 << 20));
    let uid_comes_first = br#"{"request":{"uid":"u-first","object":""#.to_vec();
    let large = [uid_comes_first, vec![b'x'; 40 << 20], b"\"}}".to_vec()].concat();
    let got = witness.post("/mutate", large).await;
    plainly_allowed(&got, "u-first");
    for alpn in ["http/1.1", "h2"] {
        let mut connection = witness
            .connect(witness.admission, Some(&witness.caller), alpn)
            .await;
        let got = connection
            .post("/mutate", Bytes::from(body.clone()))
            .await
            .unwrap();
        assert_eq!(
            (got.status, &got.json()["response"]["allowed"]),
            (StatusCode::OK, &json!(true))
        );
    }
    assert_eq!(
        witness
            .metric("docket_witness_unreadable_total{cause=\"large\"}")
            .await,
        3.0
    );
    assert_eq!(witness.metric("docket_witness_body_bytes").await, 0.0);
}

#[tokio::test]
async fn a_body_of_20_mib_is_read_and_sworn_to() {
    let witness = Setup::new().start().await;
    let body = review(&uid(1))
        .to_string()
        .replace("a change", &"x".repeat(20 << 20));
    let answer = witness.post("/mutate", body).await.json();
    assert!(answer["response"]["auditAnnotations"][uid(1)].is_string());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_allowed_when_its_time_is_over() {
    let witness = Setup::new()
        .flags(&["--body-timeout", "300ms"])
        .start()
        .await;
    let mut stream = witness
        .tls(witness.admission, Some(&witness.caller), "http/1.1")
        .await
        .unwrap();
    let head = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n";
    let began = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
        .write_all(br#"{"request":{"uid":"u-slow","#)
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.contains(r#""response":{"uid":"u-slow","allowed":true}"#),
        "{answer}"
    );
    assert_eq!(
        witness
            .metric("docket_witness_unreadable_total{cause=\"slow\"}")
            .await,
        1.0
    );
}

#[tokio::test]
async fn a_body_that_comes_after_the_api_server_has_given_up_takes_no_number() {
    let witness = Setup::new().start().await;
    let mut stream = witness
        .tls(witness.admission, Some(&witness.caller), "http/1.1")
        .await
        .unwrap();
    let body = review(&uid(1)).to_string();
    let (first, rest) = body.split_at(100);
    let head = format!(
        "POST /mutate?timeout=1s HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // It has an answer by then, and may have closed the connection.
    let _ = stream.write_all(rest.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(!answer.contains("auditAnnotations"), "{answer}");
    assert_eq!(witness.metric("docket_witness_last_number").await, 0.0);
    let got = witness.post("/mutate?timeout=1s", body).await;
    assert!(got.json()["response"]["auditAnnotations"].is_object());
    assert_eq!(witness.metric("docket_witness_last_number").await, 1.0);
}

#[tokio::test]
async fn a_witness_without_a_key_allows_without_testimony_and_is_not_ready() {
    let setup = Setup::new();
    setup.mount("keys", &[]);
    let witness = setup.start().await;
    plainly_allowed(
        &witness.post("/mutate", review(&uid(1)).to_string()).await,
        &uid(1),
    );
    let ready = witness.admin("/readyz").await.unwrap();
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8_lossy(&ready.body).contains("--mac-keys"));
    assert_eq!(
        witness.admin("/healthz").await.unwrap().status,
        StatusCode::OK
    );
    let series =
        "docket_witness_reviews_total{hook=\"witness\",operation=\"CREATE\",result=\"keyless\"}";
    assert_eq!(witness.metric(series).await, 1.0);
    assert_eq!(witness.metric("docket_witness_last_number").await, 0.0);
}

#[tokio::test]
async fn no_object_ever_reaches_the_log() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1));
    body["request"]["object"]["spec"]["title"] = json!("WORD-IN-THE-OBJECT");
    body["request"]["userInfo"]["username"] = json!("WORD-OF-THE-USER");
    witness.post("/mutate", body.to_string()).await;
    witness
        .post("/validate", body.to_string()[..300].to_owned())
        .await;
    witness
        .ask("GET", &format!("/exhibits/{}", uid(1)), Value::Null)
        .await;
    let log = witness.whole_log();
    assert!(log.contains("witness listening"));
    assert!(!log.contains("WORD-"), "{log}");
}
