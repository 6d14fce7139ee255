use crate::harness::{
    KEY, NEW_KEY, Setup, collection_review, config, eventually, review, uid, verified,
};
use docket_record::review::Review;
use docket_record::testimony::{COLLECTION, FINAL, WITNESS};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;

const KEYS: &[(&str, &str)] = &[("k1", KEY)];

#[tokio::test]
async fn a_testimony_verifies_and_says_what_the_review_said() {
    let witness = Setup::new().start().await;
    let body = review(&uid(1));
    let before = Timestamp::now().as_microsecond();
    let got = witness.post("/mutate?timeout=1s", body.to_string()).await;
    let sworn = verified(&got, &body, WITNESS, KEYS);
    assert_eq!(sworn.process.instance, "pod-1");
    assert_eq!(sworn.number, Some(1));
    assert!((before..=Timestamp::now().as_microsecond()).contains(&sworn.time.as_microsecond()));
    assert_eq!(sworn.operation, "CREATE");
    assert!(!sworn.dry_run);
    assert_eq!(sworn.old_uid, "");
    let text = body.to_string();
    let parsed = Review::parse(text.as_bytes()).unwrap();
    assert_eq!(sworn.context, parsed.context(&config()));
    assert_eq!(sworn.context.repository, "web");
    let object = parsed.object.unwrap();
    // Keyed: whoever may read the redacted object can't try secrets until it fits.
    let keys = docket_record::testimony::Keys::from_entries(KEYS.iter().copied()).unwrap();
    let digest = keys.digest_of_exhibit(object).unwrap();
    let plain = ring::digest::digest(&ring::digest::SHA256, object);
    assert_ne!(digest, data_encoding::HEXLOWER.encode(&plain.as_ref()[..8]));
    assert_eq!(sworn.exhibit, (object.len() as u64, digest));
    assert_eq!(got.json()["response"].get("patch"), None);
}

#[tokio::test]
async fn a_testimony_is_short() {
    let witness = Setup::new().start().await;
    let mut body = review(&uid(1));
    // The name reaches the mutating hook unchecked.
    body["request"]["name"] = json!("n".repeat(200_000));
    body["request"]["object"]["metadata"]["name"] = json!("n".repeat(200_000));
    body["request"]["object"]["spec"]["repository"] = json!("r".repeat(200_000));
    for (path, hook, limit) in [("/mutate", WITNESS, 400), ("/validate", FINAL, 250)] {
        let got = witness.post(path, body.to_string()).await;
        verified(&got, &body, hook, KEYS);
        let answer = got.json();
        let value = answer["response"]["auditAnnotations"][uid(1)]
            .as_str()
            .unwrap();
        assert!(value.len() <= limit, "{} bytes: {value}", value.len());
    }
}

#[tokio::test]
async fn dry_run_old_uid_and_generated_name_are_sworn_to() {
    let witness = Setup::new().start().await;
    let mut update = review(&uid(1));
    update["request"]["operation"] = json!("UPDATE");
    update["request"]["dryRun"] = json!(true);
    update["request"]["oldObject"] = update["request"]["object"].clone();
    update["request"]["oldObject"]["metadata"]["uid"] = json!("old-object");
    let got = witness.post("/mutate", update.to_string()).await;
    let sworn = verified(&got, &update, WITNESS, KEYS);
    assert!(sworn.dry_run);
    assert_eq!(
        (sworn.operation.as_str(), sworn.old_uid.as_str()),
        ("UPDATE", "old-object")
    );

    let mut create = review(&uid(2));
    create["request"]["object"]["metadata"]["generateName"] = json!("pr-");
    create["request"].as_object_mut().unwrap().remove("name");
    create["request"]["object"]["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("name");
    let got = witness.post("/mutate", create.to_string()).await;
    assert_eq!(verified(&got, &create, WITNESS, KEYS).generated_name, "");
    create["request"]["uid"] = json!(uid(3));
    create["request"]["name"] = json!("pr-x7k2p");
    create["request"]["object"]["metadata"]["name"] = json!("pr-x7k2p");
    let got = witness.post("/validate", create.to_string()).await;
    assert_eq!(
        verified(&got, &create, FINAL, KEYS).generated_name,
        "pr-x7k2p"
    );
}

#[tokio::test]
async fn the_final_testimony_repeats_the_context_only_if_it_has_changed() {
    let witness = Setup::new().start().await;
    let first = review(&uid(1));
    let seen = verified(
        &witness.post("/mutate", first.to_string()).await,
        &first,
        WITNESS,
        KEYS,
    );
    let same = review(&uid(2));
    let got = witness.post("/validate", same.to_string()).await;
    assert_eq!(
        verified(&got, &same, FINAL, KEYS).context,
        Default::default()
    );
    let mut moved = review(&uid(3));
    moved["request"]["object"]["spec"]["repository"] = json!("other");
    let got = witness.post("/validate", moved.to_string()).await;
    assert_eq!(
        verified(&got, &moved, FINAL, KEYS).context.repository,
        "other"
    );
    let mut elsewhere = review(&uid(4));
    elsewhere["request"]["namespace"] = json!("krate-org-globex");
    let got = witness.post("/validate", elsewhere.to_string()).await;
    assert_eq!(
        verified(&got, &elsewhere, FINAL, KEYS).context.repository,
        seen.context.repository
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_consecutive_over_both_hooks_and_concurrent_calls() {
    let witness = std::sync::Arc::new(Setup::new().start().await);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8 {
        let witness = std::sync::Arc::clone(&witness);
        callers.spawn(async move {
            let alpn = if caller % 2 == 0 { "http/1.1" } else { "h2" };
            let mut connection = witness
                .connect(witness.admission, Some(&witness.caller), alpn)
                .await;
            let mut numbers = Vec::new();
            for n in 0..50 {
                let body = review(&uid(caller * 100 + n));
                let (path, hook) = if n % 2 == 0 {
                    ("/mutate", WITNESS)
                } else {
                    ("/validate", FINAL)
                };
                let got = connection.post(path, body.to_string()).await.unwrap();
                numbers.push(verified(&got, &body, hook, KEYS).number.unwrap());
            }
            numbers
        });
    }
    let numbers: Vec<u64> = callers.join_all().await.into_iter().flatten().collect();
    assert_eq!(numbers.len(), 400);
    assert_eq!(
        numbers.into_iter().collect::<BTreeSet<_>>(),
        (1..=400).collect()
    );
    assert_eq!(witness.metric("docket_witness_last_number").await, 400.0);
}

#[tokio::test]
async fn a_collection_is_sworn_to_shortly_under_a_constant_key_and_without_number() {
    let witness = Setup::new().start().await;
    let body = collection_review(&uid(1), "pr-1");
    let got = witness.post("/mutate", body.to_string()).await;
    let sworn = verified(&got, &body, WITNESS, KEYS);
    assert_eq!(sworn.number, None);
    let answer = got.json();
    assert_eq!(answer["response"]["uid"], uid(1));
    let value = answer["response"]["auditAnnotations"][COLLECTION]
        .as_str()
        .unwrap();
    assert!(value.len() <= 160, "{} bytes: {value}", value.len());
    // The next numbered one is the first: no number is lost on collections.
    let single = review(&uid(2));
    let got = witness.post("/mutate", single.to_string()).await;
    assert_eq!(verified(&got, &single, WITNESS, KEYS).number, Some(1));
}

#[tokio::test]
async fn a_key_swapped_in_signs_from_then_on() {
    let witness = Setup::new().start().await;
    let body = review(&uid(1));
    let got = witness.post("/mutate", body.to_string()).await;
    assert_eq!(verified(&got, &body, WITNESS, KEYS).key_id, "k1");
    let both = &[("k1", KEY), ("k2", NEW_KEY)];
    witness.setup.mount("keys", both);
    eventually("the new key signs", || async {
        let got = witness.post("/mutate", body.to_string()).await;
        verified(&got, &body, WITNESS, both).key_id == "k2"
    })
    .await;
}

#[tokio::test]
async fn a_bad_key_is_left_out_and_the_others_sign_on() {
    let witness = Setup::new().start().await;
    witness.setup.mount(
        "keys",
        &[("k1", KEY), ("k9", "not a key"), ("Bad_Name", NEW_KEY)],
    );
    let refused = "docket_witness_reloads_total{part=\"keys\",result=\"refused\"}";
    eventually("both are refused", || async {
        witness.metric(refused).await == 2.0
    })
    .await;
    let body = review(&uid(1));
    let got = witness.post("/mutate", body.to_string()).await;
    assert_eq!(verified(&got, &body, WITNESS, KEYS).key_id, "k1");
    assert!(!witness.whole_log().contains(NEW_KEY));
    // Said once, not at every look.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(witness.metric(refused).await, 2.0);
}

#[tokio::test]
async fn keys_stay_in_use_while_their_directory_is_gone() {
    let witness = Setup::new().start().await;
    std::fs::rename(witness.setup.path("keys"), witness.setup.path("away")).unwrap();
    let refused = "docket_witness_reloads_total{part=\"keys\",result=\"refused\"}";
    eventually("it is noticed", || async {
        witness.metric(refused).await >= 1.0
    })
    .await;
    let body = review(&uid(1));
    let got = witness.post("/mutate", body.to_string()).await;
    assert_eq!(verified(&got, &body, WITNESS, KEYS).key_id, "k1");
}
