//! The real process on loopback: who may deliver, what is answered, what is kept.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "each ring uses a part of it")]
mod events;
#[allow(dead_code, reason = "each ring uses a part of it")]
mod harness;

use docket_ledger::entry::Class;
use events::Day;
use harness::{Authority, Reporter, name};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_named_source_may_deliver() {
    let mut reporter = Reporter::new(&["--audit-source", "api=kube-apiserver"]);
    reporter.start().await;
    let mut day = Day::new(Timestamp::now());
    let batch = events::list(&[day.denied()]);

    let nobody = reporter.client(None);
    assert!(
        reporter.post(&nobody, batch.clone()).await.is_err(),
        "no certificate"
    );
    let stranger = reporter.client(Some(&Authority::new("other").sign("api")));
    assert!(
        reporter.post(&stranger, batch.clone()).await.is_err(),
        "another authority"
    );
    assert!(
        reporter
            .metric("docket_reporter_refused_connections_total{listener=\"audit\"}")
            .await
            >= 2
    );
    let other = reporter.client(Some(&reporter.authority.sign("someone")));
    assert_eq!(
        reporter.post(&other, batch.clone()).await.unwrap().status,
        403
    );
    let refused = "docket_reporter_audit_batches_total{source=\"\",answer=\"forbidden\"}";
    assert_eq!(reporter.metric(refused).await, 1);
    assert!(reporter.denied().is_empty(), "nothing of it is on record");

    // Which of two names counts is read differently by different readers.
    for names in [("api", "someone"), ("someone", "api")] {
        let both = reporter.authority.sign_both(names.0, names.1);
        let both = reporter.client(Some(&both));
        let answer = reporter.post(&both, batch.clone()).await.unwrap();
        assert_eq!(answer.status, 403, "{names:?}");
    }
    assert!(reporter.denied().is_empty(), "nothing of it is on record");

    let api = reporter.api_server();
    assert!(reporter.post(&api, batch).await.unwrap().ok());
    assert_eq!(reporter.denied().len(), 1);
    let row = &reporter.rows(Class::Denial)[0];
    let public: serde_json::Value = serde_json::from_slice(&row.public).unwrap();
    assert_eq!(public["source"], "kube-apiserver");
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_file_is_named_and_a_new_key_beside_it_is_believed_at_once() {
    let mut reporter = Reporter::new(&[]);
    let write = |name: &str, text: &str| {
        std::fs::write(reporter.dir.path().join("mac-keys").join(name), text).unwrap();
    };
    write("K0.old", events::KEY);
    let write_later = reporter.dir.path().join("mac-keys");
    reporter.start().await;
    let client = reporter.api_server();
    let mut day = Day::new(Timestamp::now());
    let first = events::list(&[day.denied()]);
    assert!(reporter.post(&client, first).await.unwrap().ok());
    // The webhook looks at the directory when it likes, and signs with what it finds.
    let new = "cd".repeat(32);
    std::fs::write(write_later.join("k2"), &new).unwrap();
    std::fs::write(write_later.join("k3"), "half of a k").unwrap();
    day.sign_with(&[("k1", events::KEY), ("k2", &new)]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let second = events::list(&[day.denied()]);
    assert!(reporter.post(&client, second).await.unwrap().ok());

    let rows = reporter.rows(Class::Denial);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let public: serde_json::Value = serde_json::from_slice(&row.public).unwrap();
        assert_eq!(public["testimony"], "verified");
    }
    let (_, ready) = reporter.admin("/readyz").await.unwrap();
    assert!(ready.contains("K0.old") && !ready.contains(&new), "{ready}");
    let refused = "docket_reporter_key_files_refused";
    for _ in 0..200 {
        if reporter.metric(refused).await == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reporter.metric(refused).await, 2);
    assert!(reporter.log().contains("k3"), "{}", reporter.log());
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_batches_are_kept_once_each_and_too_many_are_told_to_come_back() {
    let mut reporter = Reporter::new(&[]);
    reporter.start().await;
    let mut day = Day::new(Timestamp::now());
    let mut batches = Vec::new();
    let mut expected = BTreeSet::new();
    for _ in 0..120 {
        let items: Vec<_> = (0..10).map(|_| day.denied()).collect();
        expected.extend(items.iter().map(name));
        batches.push(events::list(&items));
    }
    let client = reporter.api_server();
    let all = batches.into_iter().map(|batch| {
        let (reporter, client) = (&reporter, client.clone());
        async move {
            loop {
                let answer = reporter.post(&client, batch.clone()).await.unwrap();
                if answer.ok() {
                    return;
                }
                assert_eq!((answer.status, answer.retry.as_deref()), (503, Some("3")));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    futures::future::join_all(all).await;
    let denied = reporter.denied();
    assert_eq!(denied.len(), expected.len());
    assert_eq!(denied.into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(reporter.rows(Class::Gap).is_empty());
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_batch_is_a_gap_and_answered_with_200() {
    let mut reporter = Reporter::new(&[]);
    reporter.start().await;
    let client = reporter.api_server();
    for _ in 0..2 {
        assert!(
            reporter
                .post(&client, &b"{\"kind\":\"Pod\"}"[..])
                .await
                .unwrap()
                .ok()
        );
    }
    let huge = vec![b' '; 64 * 1024 * 1024 + 1];
    assert!(reporter.post(&client, huge).await.unwrap().ok());
    let gaps = reporter.rows(Class::Gap);
    assert_eq!(gaps.len(), 2);
    let detail = String::from_utf8(gaps[1].public.clone()).unwrap();
    assert!(detail.contains("67108865 bytes"), "{detail}");
    assert!(reporter.admin("/healthz").await.unwrap().0 == 200);
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_broken_on_the_wire_is_asked_for_again() {
    let mut reporter = Reporter::new(&[]);
    reporter.start().await;
    let head = "POST /audit?timeout=30s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let broken = format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{\"kin\r\nzz\r\n");
    let answer = reporter.send(broken.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 3\r\n"), "{answer}");
    let answer = "docket_reporter_audit_batches_total{source=\"api\",answer=\"broken\"}";
    assert_eq!(reporter.metric(answer).await, 1);
    assert!(reporter.rows(Class::Gap).is_empty());
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_and_the_webhook_together_double_nothing() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("audit.log");
    let mut reporter = Reporter::new(&["--audit-file", &format!("log={}", log.display())]);
    reporter.start().await;
    let client = reporter.api_server();
    let mut day = Day::new(Timestamp::now());
    let mut expected = BTreeSet::new();
    for _ in 0..20 {
        let items: Vec<_> = (0..5).map(|_| day.denied()).collect();
        expected.extend(items.iter().map(name));
        let lines: Vec<u8> = items.iter().flat_map(events::line).collect();
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        std::io::Write::write_all(&mut file, &lines).unwrap();
        assert!(
            reporter
                .post(&client, events::list(&items))
                .await
                .unwrap()
                .ok()
        );
    }
    let again = "docket_reporter_audit_events_total{outcome=\"redelivered\"}";
    for _ in 0..100 {
        if reporter.metric(again).await == 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reporter.metric(again).await, 100);
    assert_eq!(reporter.denied().len(), 100);
    assert_eq!(
        reporter.denied().into_iter().collect::<BTreeSet<_>>(),
        expected
    );
    assert!(reporter.rows(Class::Amendment).is_empty());
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_there_is_a_gap_of_its_own_and_hides_no_other() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("audit.log");
    let file = format!("log={}", log.display());
    let mut reporter = Reporter::new(&["--audit-file", &file, "--number-wait", "2s"]);
    reporter.start().await;
    let client = reporter.api_server();
    let mut day = Day::new(Timestamp::now());
    let (first, lost, last) = (day.denied(), day.denied(), day.denied());
    for event in [first, last] {
        let answer = reporter.post(&client, events::list(&[event])).await;
        assert!(answer.unwrap().ok());
    }
    let causes = |reporter: &Reporter| -> Vec<String> {
        let gaps = reporter.rows(Class::Gap);
        gaps.iter()
            .map(|row| serde_json::from_slice::<serde_json::Value>(&row.public).unwrap())
            .map(|gap| gap["cause"].as_str().unwrap().to_owned())
            .collect()
    };
    for _ in 0..600 {
        if causes(&reporter).len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut found = causes(&reporter);
    found.sort();
    assert_eq!(found, ["file-unreadable", "numbers-missing"]);
    let (status, ready) = reporter.admin("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(ready.contains("does not exist"), "{ready}");
    // It comes, with what was missing: both gaps are closed.
    std::fs::write(&log, events::line(&lost)).unwrap();
    for _ in 0..600 {
        if reporter.rows(Class::Amendment).len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for row in reporter.rows(Class::Amendment) {
        let amendment: serde_json::Value = serde_json::from_slice(&row.public).unwrap();
        assert_eq!(amendment["kind"], "gap-closed", "{amendment}");
    }
    assert_eq!(reporter.rows(Class::Amendment).len(), 2);
    assert_eq!(reporter.denied().len(), 3);
    let (_, ready) = reporter.admin("/readyz").await.unwrap();
    assert!(ready.contains("\"source log\":\"ok\""), "{ready}");
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_day_is_replayed_without_a_cluster() {
    let mut reporter = Reporter::new(&[]);
    let day = reporter.dir.path().join("day");
    std::fs::create_dir_all(day.join("mac-keys")).unwrap();
    std::fs::write(day.join("mac-keys/k1"), events::KEY).unwrap();
    std::fs::write(day.join("cluster"), events::CLUSTER).unwrap();
    std::fs::write(day.join("policies.json"), "[]").unwrap();
    let mut recorded = Day::new(Timestamp::now());
    let lines: Vec<u8> = (0..3)
        .flat_map(|_| [recorded.denied(), recorded.admitted()])
        .flat_map(|e| events::line(&e))
        .collect();
    std::fs::write(day.join("audit.jsonl"), lines).unwrap();
    let token = reporter.start_replay(&day).await;
    let (_, ready) = reporter.admin("/readyz").await.unwrap();
    assert!(ready.contains("\"mode\":\"replay\""), "{ready}");
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Full<bytes::Bytes>>();
    let ask = |token: String| {
        let uri = format!("http://127.0.0.1:{}/api/policy-denials", reporter.rest);
        let request = http::Request::get(uri)
            .header("authorization", format!("Bearer {token}"))
            .body(http_body_util::Full::default())
            .unwrap();
        client.request(request)
    };
    assert_eq!(ask("wrong".into()).await.unwrap().status(), 401);
    let answer = ask(token).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = http_body_util::BodyExt::collect(answer.into_body())
        .await
        .unwrap()
        .to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["total"], 3, "{body}");
    reporter.stop().await;
}
