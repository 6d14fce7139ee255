use crate::harness::{Setup, collection_review, review, uid};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn exhibit(n: usize) -> String {
    format!("/exhibits/{}", uid(n))
}

#[tokio::test]
async fn an_exhibit_is_handed_to_the_reporter_redacted() {
    let witness = Setup::new()
        .flags(&["--redact", "spec.auth.header"])
        .start()
        .await;
    let mut body = review(&uid(1));
    body["request"]["object"]["spec"]["password"] = json!("hunter2");
    body["request"]["object"]["spec"]["auth"] = json!({ "header": "x-word", "kind": "basic" });
    witness.post("/mutate", body.to_string()).await;
    let got = witness.ask("GET", &exhibit(1), Value::Null).await;
    assert_eq!(got.status, StatusCode::OK);
    let object = got.json();
    assert_eq!(object["spec"]["title"], "a change");
    assert_eq!(object["spec"]["auth"]["kind"], "basic");
    let text = object.to_string();
    assert!(
        !text.contains("hunter2") && !text.contains("x-word"),
        "{text}"
    );
    assert_eq!(
        witness.ask("GET", &exhibit(2), Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_exhibit_of_a_delete_is_the_object_as_it_was() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1));
    body["request"]["operation"] = json!("DELETE");
    body["request"]["oldObject"] = body["request"]["object"].take();
    witness.post("/mutate", body.to_string()).await;
    let object = witness.ask("GET", &exhibit(1), Value::Null).await.json();
    assert_eq!(object["metadata"]["name"], "pr-1");
}

#[tokio::test]
async fn a_secret_is_never_an_exhibit() {
    let witness = Setup::new().start().await;
    let mut by_kind = review(&uid(1));
    by_kind["request"]["kind"]["kind"] = json!("Secret");
    let mut by_resource = review(&uid(2));
    by_resource["request"]["resource"]["resource"] = json!("secrets");
    for body in [by_kind, by_resource] {
        let answer = witness.post("/mutate", body.to_string()).await.json();
        // Not even its length and digest: short secrets can be guessed from them.
        let testimonies = answer["response"]["auditAnnotations"].as_object().unwrap();
        let testimony = testimonies.values().next().unwrap().as_str().unwrap();
        assert_eq!(
            docket_record::testimony::Testimony::read(testimony)
                .unwrap()
                .exhibit
                .0,
            0
        );
    }
    assert_eq!(witness.metric("docket_witness_exhibits").await, 0.0);
    assert_eq!(
        witness.ask("GET", &exhibit(1), Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn exhibits_never_cost_more_than_they_may() {
    let witness = Setup::new()
        .flags(&["--exhibit-bytes", "100KiB"])
        .start()
        .await;
    let mut connection = witness.apiserver().await;
    for n in 0..100 {
        let mut body = review(&uid(n));
        body["request"]["object"]["spec"]["title"] = json!("x".repeat(5_000));
        connection.post("/mutate", body.to_string()).await.unwrap();
    }
    let bytes = witness.metric("docket_witness_exhibit_bytes").await;
    assert!(bytes > 50_000.0 && bytes <= 102_400.0, "{bytes}");
    let held = witness.metric("docket_witness_exhibits").await;
    let evicted = witness
        .metric("docket_witness_exhibits_evicted_total")
        .await;
    assert_eq!(held + evicted, 100.0);
    assert_eq!(
        witness.ask("GET", &exhibit(99), Value::Null).await.status,
        StatusCode::OK
    );
    assert_eq!(
        witness.ask("GET", &exhibit(0), Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn only_the_reporter_is_answered() {
    let witness = Setup::new().start().await;
    for caller in [None, Some(&witness.caller)] {
        let stream = witness.tls(witness.exhibits, caller, "http/1.1").await;
        // Refused at the handshake, or at the first read in TLS 1.3.
        let refused = match stream {
            Err(_) => true,
            Ok(mut stream) => {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream
                    .write_all(b"GET /process HTTP/1.1\r\nhost: x\r\n\r\n")
                    .await;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.is_err() || answer.is_empty()
            }
        };
        assert!(refused);
    }
    assert_eq!(
        witness.ask("GET", "/process", Value::Null).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_process_tells_its_last_number() {
    let witness = Setup::new().start().await;
    let before = witness.ask("GET", "/process", Value::Null).await.json();
    assert_eq!(
        (&before["instance"], &before["last"]),
        (&json!("pod-1"), &json!(0))
    );
    let started = Timestamp::from_millisecond(before["started"].as_i64().unwrap()).unwrap();
    assert!(Timestamp::now().duration_since(started) < SignedDuration::from_mins(1));
    witness.post("/mutate", review(&uid(1)).to_string()).await;
    witness.post("/validate", review(&uid(2)).to_string()).await;
    let after = witness.ask("GET", "/process", Value::Null).await.json();
    assert_eq!(after["last"], 2);
    assert_eq!(after["started"], before["started"]);
}

#[tokio::test]
async fn the_last_object_of_a_collection_is_remembered_for_the_reporter() {
    let witness = Setup::new().start().await;
    let mut between = Timestamp::UNIX_EPOCH;
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        for path in ["/mutate", "/validate"] {
            let body = collection_review(&uid(n), name).to_string();
            witness.post(path, body).await;
        }
        if name == "b" {
            between = Timestamp::now();
        }
    }
    let question = |before: Timestamp| {
        json!({ "user": "ann", "group": "krate.a5c.ai", "resource": "pullrequests",
                "namespace": "krate-org-acme", "before": before })
    };
    let last = witness
        .ask("POST", "/collection", question(Timestamp::now()))
        .await
        .json();
    assert_eq!(
        (&last["name"], &last["uid"]),
        (&json!("c"), &json!("object-c"))
    );
    assert_eq!(last["reviewUid"], uid(2));
    assert!(last["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let earlier = witness
        .ask("POST", "/collection", question(between))
        .await
        .json();
    assert_eq!(earlier["name"], "b");
    let mut other = question(Timestamp::now());
    other["user"] = json!("bob");
    let got = witness.ask("POST", "/collection", other).await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
    let got = witness
        .ask("POST", "/collection", json!({ "user": 1 }))
        .await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert_eq!(witness.metric("docket_witness_collections").await, 1.0);
}
