//! The writer when its core panics.

use super::*;
use crate::events::{self, Day};
use crate::health::Health;
use crate::intake::MAKES_THE_CORE_PANIC;
use crate::sources::testing;
use docket_ledger::entry::Class;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_makes_the_core_panic_costs_itself_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let writer = testing::writer(&path, &Health::default());
    let court = testing::court();
    let mut day = Day::new(Timestamp::now());
    let mut items: Vec<Value> = (0..40).map(|_| day.denied()).collect();
    for bad in [7, 30] {
        items[bad]["objectRef"]["name"] = MAKES_THE_CORE_PANIC.into();
    }
    let arrival = || {
        let mut arrival = court.delivery("api", &events::list(&items), Timestamp::now());
        arrival.state = vec![("source/x".into(), Some(b"reached".to_vec()))];
        arrival
    };
    // The first panic is a failure: nothing is acknowledged, and all of it comes again.
    assert!(writer.commit(arrival()).await.is_err());
    let other = court.delivery("api", &events::list(&[day.denied()]), Timestamp::now());
    let (again, other) = tokio::join!(writer.commit_counting(arrival()), writer.commit(other));
    assert_eq!(again.unwrap(), 38);
    assert!(other.is_ok());
    assert_eq!(testing::rows(&path, Class::Denial).len(), 39);
    let gaps = testing::rows(&path, Class::Gap);
    assert_eq!(gaps.len(), 2);
    for gap in &gaps {
        assert_eq!(
            (&gap["cause"], &gap["count"]),
            (&"quarantined-item".into(), &1.into())
        );
        assert_eq!(gap["source"], "api");
    }
    assert_eq!(writer.state("source/x").await.unwrap().unwrap(), b"reached");
    // And once more: nothing is doubled.
    writer.commit(arrival()).await.unwrap();
    assert_eq!(testing::rows(&path, Class::Denial).len(), 39);
    assert_eq!(testing::rows(&path, Class::Gap).len(), 2);
}
