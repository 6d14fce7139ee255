//! The core against a real store, with events in the API server's form.

mod deniers;
mod excepted;
mod imports;
mod laws;
mod missing;
mod recorded;

use super::*;
use crate::events::{self, CLUSTER, Day};
use crate::sources::Court;
use docket_ledger::query::{Filter, Page, Reader, Row};
use docket_ledger::store::Options;
use serde_json::Value;

const WAIT: Waits = Waits {
    numbers: SignedDuration::from_secs(300),
    // Longer than any test here: what is written of others has tests of its own.
    others: Some(SignedDuration::from_hours(1000)),
};

/// A store, a core, and a court that reads for it.
struct Bench {
    dir: tempfile::TempDir,
    store: Option<Store>,
    intake: Intake,
    court: Court,
    now: Timestamp,
    waits: Waits,
}

fn options() -> Options {
    let mut next = 0_u8;
    Options {
        origin: format!("docket.a5c.ai/{CLUSTER}"),
        signing_seed: [7; 32],
        random: Box::new(move |buffer| {
            for byte in buffer {
                next = next.wrapping_add(1);
                *byte = next;
            }
        }),
    }
}

fn start() -> Timestamp {
    "2026-11-22T23:00:00Z".parse().unwrap()
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("ledger"), options()).unwrap();
        let intake = Intake::load(&mut store, WAIT, start()).unwrap();
        let court = crate::sources::testing::court();
        Bench {
            dir,
            store: Some(store),
            intake,
            court,
            now: start(),
            waits: WAIT,
        }
    }

    fn day() -> Day {
        Day::new(start() + SignedDuration::from_secs(1))
    }

    fn deliver(&mut self, items: &[Value]) -> Told {
        let arrival = self.court.delivery("api", &events::list(items), self.now);
        self.commit(vec![arrival])
    }

    fn commit(&mut self, arrivals: Vec<Arrival>) -> Told {
        let store = self.store.as_mut().unwrap();
        self.intake.commit(store, arrivals, self.now).unwrap()
    }

    fn pass(&mut self, seconds: i64) -> Told {
        self.now += SignedDuration::from_secs(seconds);
        self.pass_read_to(self.now)
    }

    /// Time passes while the sources are not read up to now.
    fn pass_read_to(&mut self, reached: Timestamp) -> Told {
        let store = self.store.as_mut().unwrap();
        self.intake.tick(store, self.now, reached).unwrap()
    }

    fn restart(&mut self) {
        drop(self.store.take());
        let mut store = Store::open(&self.dir.path().join("ledger"), options()).unwrap();
        self.intake = Intake::load(&mut store, self.waits, self.now).unwrap();
        self.store = Some(store);
    }

    fn rows(&self, class: Class) -> Vec<Value> {
        let reader = Reader::open(&self.dir.path().join("ledger")).unwrap();
        let filter = Filter {
            classes: vec![class],
            ..Filter::default()
        };
        let rows = reader
            .list(
                &filter,
                &Page {
                    limit: 200,
                    ..Page::default()
                },
            )
            .unwrap();
        let public = |row: Row| serde_json::from_slice(&row.public).unwrap();
        rows.into_iter().map(public).collect()
    }
}

#[test]
fn a_denial_is_written_once_however_often_and_by_whatever_way_it_comes() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let items = [day.denied(), day.admitted(), day.denied()];
    let first = bench.deliver(&items);
    assert_eq!((first.events["denied"], first.events["admitted"]), (2, 1));
    assert_eq!(first.testimonies["verified"], 6);
    let again = bench.deliver(&items);
    assert_eq!(again.events["redelivered"], 3);
    // Both sources in one transaction, and the log again after a restart.
    let late = day.denied();
    let now = bench.now;
    let lines = |bench: &Bench| {
        let mut arrival = Arrival::default();
        for item in items.iter().chain([&late]) {
            bench
                .court
                .line("log", &events::line(item), now, &mut arrival);
        }
        arrival
    };
    let posted = bench
        .court
        .delivery("api", &events::list(std::slice::from_ref(&late)), now);
    let logged = lines(&bench);
    let told = bench.commit(vec![posted, logged]);
    assert_eq!(told.appended, 1);
    bench.restart();
    let logged = lines(&bench);
    assert_eq!(bench.commit(vec![logged]).appended, 0);
    let denials = bench.rows(Class::Denial);
    assert_eq!(denials.len(), 3);
    assert!(
        denials
            .iter()
            .all(|denial| denial["testimony"] == "verified"),
        "{denials:#?}"
    );
    assert!(bench.rows(Class::Amendment).is_empty());
    assert!(bench.rows(Class::Gap).is_empty());
}

#[test]
fn an_event_that_never_comes_is_a_gap_and_closes_when_it_comes_late() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let first = day.denied();
    let dropped = day.admitted();
    let last = day.admitted();
    bench.deliver(&[first]);
    bench.deliver(&[last]);
    assert!(bench.pass(299).gaps.is_empty());
    bench.restart();
    assert_eq!(bench.pass(1).gaps["numbers-missing"], 1);
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0]["numbers"], serde_json::json!([3, 4]));
    assert_eq!(gaps[0]["process"]["instance"], "witness-0");
    assert_eq!(gaps[0]["count"], 2);
    assert!(gaps[0]["from"].as_str() < gaps[0]["to"].as_str());
    assert_eq!(bench.pass(600), Told::default(), "told once");
    bench.restart();
    bench.deliver(&[dropped]);
    let amendments = bench.rows(Class::Amendment);
    assert_eq!(amendments.len(), 1);
    assert_eq!(amendments[0]["kind"], "gap-closed");
    assert_eq!(amendments[0]["amends"], gaps[0]["id"]);
}

#[test]
fn a_number_is_not_missed_before_every_source_was_read_so_far() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let (first, _unread, last) = (day.denied(), day.denied(), day.denied());
    bench.deliver(&[first]);
    bench.deliver(&[last]);
    let noticed = bench.now;
    bench.now += SignedDuration::from_hours(1);
    // A log that is an hour behind may hold it.
    for seconds in [-3600, 0, 299] {
        let reached = noticed + SignedDuration::from_secs(seconds);
        assert!(bench.pass_read_to(reached).gaps.is_empty(), "{seconds}");
    }
    let told = bench.pass_read_to(noticed + SignedDuration::from_secs(300));
    assert_eq!(told.gaps["numbers-missing"], 1);
    let gap = &bench.rows(Class::Gap)[0];
    assert_eq!(gap["time"], bench.now.to_string(), "{gap}");
}

#[test]
fn a_lost_tail_is_noticed_through_what_the_witness_says() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    bench.deliver(&[day.denied()]);
    let polled = vec![(day.process.clone(), 4)];
    bench.commit(vec![Arrival {
        polled,
        ..Arrival::default()
    }]);
    bench.restart();
    assert_eq!(bench.pass(300).gaps["numbers-missing"], 1);
    assert_eq!(
        bench.rows(Class::Gap)[0]["numbers"],
        serde_json::json!([3, 4])
    );
}

#[test]
fn a_process_older_than_the_ledger_has_a_baseline() {
    let mut bench = Bench::new();
    let mut day = Day::new(start() - SignedDuration::from_secs(60));
    day.number = 100;
    let (unseen, first) = (day.denied(), day.denied());
    bench.deliver(&[first]);
    bench.deliver(&[unseen]);
    assert_eq!(bench.pass(3600), Told::default());
    assert_eq!(bench.rows(Class::Denial).len(), 2);
}

#[test]
fn a_testimony_in_a_second_event_disputes_both_records() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let honest = day.denied();
    let mut copy = honest.clone();
    copy["auditID"] = "22222222-2222-4222-8222-222222222222".into();
    bench.deliver(std::slice::from_ref(&honest));
    bench.deliver(std::slice::from_ref(&copy));
    let denials = bench.rows(Class::Denial);
    assert_eq!(denials.len(), 2, "it never suppresses a record");
    let disputed = denials
        .iter()
        .filter(|denial| denial["testimony"] == "disputed")
        .count();
    assert_eq!(disputed, 1);
    let amendments = bench.rows(Class::Amendment);
    assert_eq!(amendments.len(), 1);
    assert_eq!(amendments[0]["kind"], "disputed");
    // Also when nothing is remembered but what the store holds.
    let mut third = honest;
    third["auditID"] = "33333333-2222-4222-8222-222222222222".into();
    bench.restart();
    bench.deliver(&[third]);
    let denials = bench.rows(Class::Denial);
    assert_eq!(
        denials
            .iter()
            .filter(|denial| denial["testimony"] == "disputed")
            .count(),
        2
    );
}

#[test]
fn a_bad_item_is_put_aside_and_the_rest_is_kept() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let mut bad = day.denied();
    bad["responseStatus"]["code"] = "four hundred".into();
    let mut timeless = day.denied();
    timeless["stageTimestamp"] = "yesterday".into();
    let told = bench.deliver(&[bad.clone(), day.denied(), timeless]);
    assert_eq!(
        (told.gaps["quarantined-item"], told.events["denied"]),
        (2, 1)
    );
    bench.deliver(&[bad]);
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 2, "the same arrival");
    for gap in gaps {
        assert_eq!(gap["cause"], "quarantined-item");
        assert!(gap["detail"].as_str().unwrap().contains("sha256"), "{gap}");
        assert!(
            !gap["detail"].as_str().unwrap().contains("four hundred"),
            "nothing is quoted"
        );
    }
    assert_eq!(bench.rows(Class::Denial).len(), 1);
}

#[test]
fn a_batch_that_is_none_is_put_aside_once() {
    let mut bench = Bench::new();
    for body in [&b"{\"kind\":\"Pod\"}"[..], b"not json", b"not json"] {
        let arrival = bench.court.delivery("api", body, bench.now);
        assert!(arrival.findings.is_empty());
        bench.commit(vec![arrival]);
    }
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 2);
    assert!(gaps.iter().all(|gap| gap["cause"] == "quarantined-batch"));
}

#[test]
fn the_same_unreadable_bytes_are_one_arrival_for_five_minutes_and_a_new_gap_later() {
    let mut bench = Bench::new();
    let mut bad = Bench::day().denied();
    bad["responseStatus"]["code"] = "four hundred".into();
    let item = events::list(&[bad]);
    let bodies: [(&str, &[u8]); 3] = [("api", b"not json"), ("other", b"not json"), ("api", &item)];
    let mut expected = 0;
    for seconds in [0, 81, 98, 119, 3, 200, 86_400] {
        // Tried again while this process runs, and by the next one.
        bench.now += SignedDuration::from_secs(seconds);
        bench.restart();
        // The first five come within 298 seconds, 301 after the first it is another.
        if [0, 3, 86_400].contains(&seconds) {
            expected += bodies.len();
        }
        for _ in 0..2 {
            for (source, body) in bodies {
                let arrival = bench.court.delivery(source, body, bench.now);
                bench.commit(vec![arrival]);
            }
        }
        assert_eq!(bench.rows(Class::Gap).len(), expected, "{}", bench.now);
    }
    let mut ids: Vec<String> = bench
        .rows(Class::Gap)
        .iter()
        .map(|gap| gap["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), expected);
}

#[test]
fn other_stages_of_a_request_are_no_evidence() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let complete = day.denied();
    let mut begun = complete.clone();
    begun["stage"] = "ResponseStarted".into();
    begun["stageTimestamp"] = begun["requestReceivedTimestamp"].clone();
    let told = bench.deliver(&[begun, complete]);
    assert_eq!((told.events["not_governed"], told.events["denied"]), (1, 1));
    assert_eq!(bench.rows(Class::Denial)[0]["testimony"], "verified");
}
