use crate::harness::{Setup, Witness, collection_review, review, uid};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// One call about these reviews, each with one text.
fn questions(uids: &[usize], text: &str) -> Value {
    let one = |n: &usize| json!({ "uid": uid(*n), "namespace": "krate-org-acme", "texts": [text] });
    json!({ "questions": uids.iter().map(one).collect::<Vec<_>>() })
}

async fn answers(witness: &Witness, uids: &[usize], text: &str) -> Vec<Value> {
    let got = witness
        .ask("POST", "/exhibits", questions(uids, text))
        .await;
    assert_eq!(got.status, StatusCode::OK);
    got.json()["answers"].as_array().unwrap().clone()
}

#[tokio::test]
async fn exhibits_of_a_batch_are_handed_to_the_reporter_redacted_and_its_texts_masked() {
    let witness = Setup::new()
        .flags(&[
            "--redact",
            "spec.auth.header",
            "--redact-name",
            "accountNumber",
        ])
        .start()
        .await;
    let mut body = review(&uid(1));
    let spec = &mut body["request"]["object"]["spec"];
    spec["password"] = json!("hunter2");
    spec["auth"] = json!({ "header": "x-word", "kind": "basic" });
    spec["bankAccountNumber"] = json!(1234567);
    witness.post("/mutate", body.to_string()).await;
    witness.post("/mutate", review(&uid(2)).to_string()).await;
    let text = "no \"hunter2\", x-word or 1234567, but a change";
    let answers = answers(&witness, &[1, 2, 3], text).await;
    let held = &answers[0]["held"];
    let object = &held["exhibit"]["object"];
    assert_eq!(object["spec"]["title"], "a change");
    assert_eq!(object["spec"]["auth"]["kind"], "basic");
    let masked = held["texts"][0].as_str().unwrap();
    assert!(masked.starts_with("no \"[redacted:") && masked.ends_with("], but a change"));
    for secret in ["hunter2", "x-word", "1234567"] {
        assert!(!held.to_string().contains(secret), "{held}");
    }
    let digests = &held["exhibit"]["digests"];
    let mark = &digests["paths"]["spec.password"].as_str().unwrap()[..4];
    assert!(masked.contains(mark), "{masked} has the mark {mark}");
    // An object without secrets leaves the text alone.
    assert_eq!(answers[1]["held"]["texts"], json!([null]));
    assert_eq!(answers[2], json!({ "missing": "gone" }));
}

#[tokio::test]
async fn two_witnesses_with_one_key_make_the_same_digests() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let witness = Setup::new().start().await;
        witness.post("/mutate", review(&uid(1)).to_string()).await;
        let answers = answers(&witness, &[1], "").await;
        digests.push(answers[0]["held"]["exhibit"]["digests"].clone());
    }
    assert!(digests[0]["paths"].as_object().unwrap().len() > 2);
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn what_an_update_replaces_is_masked_too() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1));
    body["request"]["operation"] = json!("UPDATE");
    body["request"]["oldObject"] = body["request"]["object"].clone();
    body["request"]["oldObject"]["spec"]["token"] = json!("an-old-value");
    witness.post("/validate", body.to_string()).await;
    let answers = answers(&witness, &[1], "was an-old-value").await;
    assert!(
        !answers[0].to_string().contains("an-old-value"),
        "{answers:?}"
    );
}

#[tokio::test]
async fn the_exhibit_of_a_delete_is_the_object_as_it_was() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1));
    body["request"]["operation"] = json!("DELETE");
    body["request"]["oldObject"] = body["request"]["object"].take();
    witness.post("/mutate", body.to_string()).await;
    let answers = answers(&witness, &[1], "").await;
    let object = &answers[0]["held"]["exhibit"]["object"];
    assert_eq!(object["metadata"]["name"], "pr-1");
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_nothing_of_it_is_told() {
    let witness = Setup::new().start().await;
    for (body, status) in [
        (json!({ "questions": 1 }), StatusCode::BAD_REQUEST),
        (
            json!({ "questions": [{ "uid": 7, "texts": ["a-secret"] }] }),
            StatusCode::BAD_REQUEST,
        ),
        (questions(&vec![1; 4097], ""), StatusCode::BAD_REQUEST),
    ] {
        let got = witness.ask("POST", "/exhibits", body).await;
        assert_eq!(got.status, status);
        assert!(!String::from_utf8_lossy(&got.body).contains("a-secret"));
    }
    // Refused before it is read: the answer may be lost in the closed connection.
    let long = http::Request::post("/exhibits")
        .header("host", "127.0.0.1")
        .body(http_body_util::Full::new(vec![b'x'; 33 << 20].into()));
    let mut connection = witness
        .connect(witness.exhibits, Some(&witness.reporter), "http/1.1")
        .await;
    if let Ok(got) = connection.send(long.unwrap()).await {
        assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let got = witness.ask("GET", "/exhibits", Value::Null).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn four_hundred_denials_with_long_messages_are_answered_in_one_call() {
    let witness = Setup::new().start().await;
    let mut connection = witness.apiserver().await;
    let uids: Vec<usize> = (0..400).collect();
    for n in &uids {
        let mut body = review(&uid(*n));
        body["request"]["object"]["spec"]["token"] = json!(format!("value-of-{n}-here"));
        connection.post("/mutate", body.to_string()).await.unwrap();
    }
    let text = format!("{}value-of-7-here", "so many words ".repeat(1_100));
    let answers = answers(&witness, &uids, &text).await;
    assert_eq!(answers.len(), 400);
    // An unoptimised witness may run out of time; it then says so, and loses nothing.
    for (n, answer) in answers.iter().enumerate() {
        let slow = answer["missing"] == "slow";
        assert!(
            slow || answer["held"]["exhibit"]["object"].is_object(),
            "{answer}"
        );
        assert!(n > 7 || !slow, "the first are answered");
    }
    let masked = answers[7]["held"]["texts"][0].as_str().unwrap();
    assert!(!masked.contains("value-of-7-here"));
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
    let gone = json!({ "missing": "gone" });
    assert_eq!(answers(&witness, &[1, 2], "").await, [gone.clone(), gone]);
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
    let answers = answers(&witness, &[99, 0], "").await;
    assert!(answers[0]["held"].is_object());
    assert_eq!(answers[1], json!({ "missing": "gone" }));
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

#[tokio::test]
async fn what_a_number_was_given_for_is_told_to_the_reporter() {
    let witness = Setup::new().start().await;
    let mut update = review(&uid(2));
    update["request"]["operation"] = json!("UPDATE");
    update["request"]["name"] = json!("pr-2");
    update["request"]["namespace"] = json!("krate-org-globex");
    update["request"]["userInfo"]["username"] = json!("bob");
    let first = review(&uid(1));
    witness.post("/mutate", first.to_string()).await;
    witness
        .post("/mutate", collection_review(&uid(9), "c").to_string())
        .await;
    witness.post("/validate", update.to_string()).await;
    let started = &witness.ask("GET", "/process", Value::Null).await.json()["started"];
    let asked = json!({ "started": started, "numbers": [2, 1, 3, 0] });
    let got = witness.ask("POST", "/numbers", asked).await;
    assert_eq!(got.status, StatusCode::OK);
    let answer: docket_record::numbers::Answer = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(answer.instance, "pod-1");
    let [two, one] = &answer.reviews[..] else {
        panic!("{answer:?}")
    };
    assert_eq!((two.number, one.number), (2, 1));
    let told = |of: &docket_record::numbers::NumberedReview| {
        json!([
            of.hook,
            of.operation,
            of.resource,
            of.namespace,
            of.name,
            of.user
        ])
    };
    assert_eq!(
        told(one),
        json!([
            "witness",
            "CREATE",
            "pullrequests",
            "krate-org-acme",
            "pr-1",
            "ann"
        ])
    );
    assert_eq!(
        told(two),
        json!([
            "final",
            "UPDATE",
            "pullrequests",
            "krate-org-globex",
            "pr-2",
            "bob"
        ])
    );
    assert_eq!(
        witness.metric("docket_witness_numbers_remembered").await,
        2.0
    );
    // Numbers of another process of this name are not this one's.
    let other = json!({ "started": 1, "numbers": [1] });
    let got = witness.ask("POST", "/numbers", other).await.json();
    assert_eq!(got["reviews"], json!([]));
    let many = json!({ "started": started, "numbers": vec![1; 1025] });
    for wrong in [many, json!({ "numbers": "all" })] {
        let got = witness.ask("POST", "/numbers", wrong).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
    }
}
