//! Processes killed, disks full: what was acknowledged stays, nothing is doubled.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "each ring uses a part of it")]
mod events;
#[allow(dead_code, reason = "each ring uses a part of it")]
mod harness;

use docket_ledger::entry::Class;
use events::Day;
use harness::{Reporter, name};
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_kill_is_kept_exactly_once() {
    let mut reporter = Reporter::new(&[]);
    let mut day = Day::new(Timestamp::now());
    let acknowledged = Mutex::new(BTreeSet::new());
    let mut lost: Vec<Vec<Value>> = Vec::new();
    for round in 0..4_u64 {
        reporter.start().await;
        let client = reporter.api_server();
        let batches: Vec<Vec<Value>> = (0..200)
            .map(|_| (0..8).map(|_| day.denied()).collect())
            .collect();
        let open = Mutex::new(Vec::new());
        {
            let reporter = &reporter;
            let (acknowledged, open, client) = (&acknowledged, &open, &client);
            let posting = futures::StreamExt::for_each_concurrent(
                futures::stream::iter(&batches),
                12,
                |batch| async move {
                    match reporter.post(client, events::list(batch)).await {
                        Ok(answer) if answer.ok() => {
                            acknowledged.lock().unwrap().extend(batch.iter().map(name));
                        }
                        _ => open.lock().unwrap().push(batch.clone()),
                    }
                },
            );
            // In the middle of it, at another moment each round.
            let pid = reporter.pid();
            let killing = async {
                tokio::time::sleep(Duration::from_millis(60 + 90 * round)).await;
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            };
            futures::future::join(posting, killing).await;
        }
        reporter.kill();
        lost.extend(open.into_inner().unwrap());
    }
    reporter.start().await;
    let acknowledged = acknowledged.into_inner().unwrap();
    let kept = reporter.denied();
    let unique: BTreeSet<_> = kept.iter().cloned().collect();
    assert_eq!(unique.len(), kept.len(), "none is doubled");
    assert!(
        !acknowledged.is_empty() && !lost.is_empty(),
        "the kill hit the middle"
    );
    assert!(
        acknowledged.is_subset(&unique),
        "none that was acknowledged is lost"
    );
    // The API server delivers the others again.
    let client = reporter.api_server();
    for batch in lost {
        assert!(
            reporter
                .post(&client, events::list(&batch))
                .await
                .unwrap()
                .ok()
        );
    }
    let kept = reporter.denied();
    assert_eq!(kept.len(), 4 * 200 * 8);
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>().len(), 4 * 200 * 8);
    assert!(
        reporter.rows(Class::Amendment).is_empty(),
        "a second delivery disputes nothing"
    );
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_one_gap_though_the_reporter_is_killed_between_its_deliveries() {
    let mut reporter = Reporter::new(&[]);
    let mut day = Day::new(Timestamp::now());
    let mut bad = day.denied();
    bad["responseStatus"]["code"] = "four hundred".into();
    let batch = events::list(&[day.denied(), bad]);
    for _ in 0..4 {
        reporter.start().await;
        let client = reporter.api_server();
        for body in [&batch[..], b"not a batch"] {
            let answer = reporter.post(&client, body.to_vec()).await;
            assert!(answer.unwrap().ok());
        }
        reporter.kill();
    }
    reporter.start().await;
    assert_eq!(reporter.rows(Class::Gap).len(), 2);
    assert_eq!(reporter.denied().len(), 1);
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_with_retry_after_and_overcome() {
    let mut reporter = Reporter::new(&[]).limitable();
    reporter.start().await;
    let client = reporter.api_server();
    let mut day = Day::new(Timestamp::now());
    let mut batch = || events::list(&(0..50).map(|_| day.denied()).collect::<Vec<_>>());
    assert!(reporter.post(&client, batch()).await.unwrap().ok());

    let before = prlimit(
        Some(reporter.pid()),
        Resource::Fsize,
        Rlimit {
            current: Some(4096),
            maximum: None,
        },
    )
    .unwrap();
    let refused = batch();
    for _ in 0..3 {
        let answer = reporter.post(&client, refused.clone()).await.unwrap();
        assert_eq!((answer.status, answer.retry.as_deref()), (503, Some("3")));
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let (status, ready) = reporter.admin("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(!ready.contains("\"ledger\":\"ok\""), "{ready}");
    assert_eq!(reporter.denied().len(), 50);

    prlimit(Some(reporter.pid()), Resource::Fsize, before).unwrap();
    let mut tries = 0;
    while !reporter.post(&client, refused.clone()).await.unwrap().ok() {
        tries += 1;
        assert!(tries < 50, "it does not recover");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(reporter.denied().len(), 100);
    assert!(reporter.post(&client, batch()).await.unwrap().ok());
    assert_eq!(
        reporter.denied().into_iter().collect::<BTreeSet<_>>().len(),
        150
    );
    reporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_end_in_the_middle_of_deliveries_loses_none_that_was_acknowledged() {
    let mut reporter = Reporter::new(&[]);
    reporter.start().await;
    let client = reporter.api_server();
    let mut day = Day::new(Timestamp::now());
    let batches: Vec<Vec<Value>> = (0..300)
        .map(|_| (0..4).map(|_| day.denied()).collect())
        .collect();
    let acknowledged = Mutex::new(BTreeSet::new());
    let pid = reporter.pid();
    {
        let (reporter, acknowledged, client) = (&reporter, &acknowledged, &client);
        let posting = futures::StreamExt::for_each_concurrent(
            futures::stream::iter(&batches),
            12,
            |batch| async move {
                if let Ok(answer) = reporter.post(client, events::list(batch)).await
                    && answer.ok()
                {
                    acknowledged.lock().unwrap().extend(batch.iter().map(name));
                }
            },
        );
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        };
        futures::future::join(posting, stopping).await;
    }
    reporter.ended().await;
    let kept: BTreeSet<_> = reporter.denied().into_iter().collect();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(!acknowledged.is_empty());
    assert!(acknowledged.is_subset(&kept));
}
