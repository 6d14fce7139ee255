//! The recorded day, through the real reporter: the offline ring's share of the first run.

use docket_tests::{Progress, day, on_shared_runtime, paths, process, replay};
use serde_json::Value;

#[test]
fn the_recorded_day_replays_to_exactly_the_denials_it_had() {
    on_shared_runtime(async {
        let run = tempfile::tempdir()?;
        let replayed =
            replay::Replay::start(run.path(), &replay::day(), &Progress::quiet()).await?;
        let records = replayed.denials().await?;
        let verdict = day::check_records(&day::writes(), &records);
        assert_eq!(verdict.wrong, Vec::<String>::new());
        assert_eq!(verdict.right, 13);

        let listed = replayed.docket(&["list"]).await?;
        assert!(
            listed.status.success(),
            "{}",
            String::from_utf8_lossy(&listed.stderr)
        );
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(
            listed.contains("replay"),
            "a table of a replay says so:\n{listed}"
        );
        let verified = replayed.docket(&["verify"]).await?;
        assert!(
            verified.status.success(),
            "{}{}",
            String::from_utf8_lossy(&verified.stdout),
            String::from_utf8_lossy(&verified.stderr)
        );
        // Every field of every list is compared, and none is unknown to the one who compares.
        let verified = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(!verified.contains("not compared"), "{verified}");
        replayed.stop();
        assert_eq!(process::alive(run.path()), []);
        Ok(())
    });
}

#[test]
fn recorded_reviews_are_of_both_kinds_and_each_has_its_own_uid() {
    let path = paths::repository().join("tests/recorded/reviews.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let reviews: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut uids: Vec<&str> = reviews
        .iter()
        .map(|review| review["request"]["uid"].as_str().unwrap())
        .collect();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), reviews.len());
    for operation in ["CREATE", "UPDATE", "DELETE"] {
        let of = reviews
            .iter()
            .filter(|review| review["request"]["operation"] == operation);
        assert!(of.count() >= 2, "{operation}");
    }
}
