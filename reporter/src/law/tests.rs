//! The law of days that the watch's own book does not hold any more.

use super::*;
use crate::gaps::json;
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Batch, Options, Store};
use docket_record::law::{AWAY, Kind, Object, PENDING, Shelves};
use serde_json::{Value, json};

const KIND: &str = "ValidatingPolicy";
const GROUP: &str = "policies.kyverno.io";

/// Seconds into a span, a few of them ago.
fn time(second: i64) -> Timestamp {
    let now = Timestamp::now().as_second();
    Timestamp::from_second((now.div_euclid(SPAN) - 3) * SPAN + second).unwrap()
}

fn policy(action: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": KIND,
        "metadata": {"name": "p", "uid": "u"}, "spec": {"validationActions": [action]},
    })
}

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    laws: Laws,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let options = Options {
            origin: "docket.a5c.ai/test".into(),
            signing_seed: [7; 32],
            random: Box::new(|buffer| buffer.fill(1)),
        };
        let bench = Bench {
            store: Store::open(&path, options).unwrap(),
            laws: Laws::new(Some(path)),
            dir,
        };
        bench.publish(Shelves::default());
        bench
    }

    /// As the watch does after each commit.
    fn publish(&self, mut shelves: Shelves) {
        shelves.begin(Timestamp::now() - HELD);
        self.laws.publish(shelves.book(true));
    }

    fn law(&mut self, id: &str, at: i64, after: Option<i64>, action: &str) {
        let object = Object::read(&policy(action)).unwrap();
        let public = json!({
            "id": id, "time": time(at), "after": after.map(time), "name": "p", "uid": "u",
            "change": if id == "one" { "created" } else { "changed" },
            "apiVersion": object.api_version, "kind": KIND, "hash": object.hash,
            "text": object.text,
        });
        let entry = NewEntry {
            id: id.into(),
            class: Class::Law,
            public: json(&public),
            personal: None,
            exhibit: None,
        };
        let batch = Batch {
            entries: vec![entry],
            state: Vec::new(),
        };
        self.store.append(&batch, Timestamp::now()).unwrap();
    }

    /// Laws that may have been in force, and the doubt of the first.
    fn at(&self, second: i64) -> (Vec<String>, Option<&'static str>) {
        let list = self.laws.at(time(second));
        let ids = list.policies.iter().map(|policy| policy.law_id.clone());
        let doubt = list.policies.first().and_then(|policy| policy.doubt);
        (ids.collect(), doubt)
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

#[test]
fn a_version_that_is_found_later_counts_in_the_span_that_was_read_before() {
    let mut bench = Bench::new();
    bench.law("one", 60, None, "Deny");
    assert_eq!(bench.at(3600), (ids(&["one"]), None));
    // Nobody watched since; the first look afterwards finds another text.
    bench.law("two", 2 * SPAN, Some(1800), "Audit");
    bench.publish(Shelves::default());
    assert_eq!(bench.at(3600), (ids(&["one", "two"]), Some(AWAY)));
    assert_eq!(bench.at(600), (ids(&["one"]), None));
    assert!(bench.dir.path().exists());
}

#[test]
fn a_span_that_goes_on_is_read_again() {
    let mut bench = Bench::new();
    bench.law("one", 60, None, "Deny");
    assert_eq!(bench.at(3600), (ids(&["one"]), None));
    bench.law("two", 3000, None, "Audit");
    bench.publish(Shelves::default());
    assert_eq!(bench.at(3600), (ids(&["two"]), None));
}

#[test]
fn what_the_watch_is_not_sure_of_now_is_not_sure_long_ago_either() {
    let mut bench = Bench::new();
    bench.law("one", 60, None, "Deny");
    let kind = Kind::of(GROUP, KIND).unwrap();
    let mut away = Shelves::default();
    away.away(kind, Some(time(1800)));
    bench.publish(away);
    assert_eq!(bench.at(600).1, None);
    assert_eq!(bench.at(3600), (ids(&["one"]), Some(AWAY)));
    let mut pending = Shelves::default();
    let place = Object::read(&policy("Deny")).unwrap().place;
    pending.pending(place, time(1800));
    bench.publish(pending);
    assert_eq!(bench.at(600).1, None);
    assert_eq!(bench.at(3600), (ids(&["one"]), Some(PENDING)));
}

#[test]
fn a_book_is_read_once_as_long_as_nothing_new_is_known() {
    let mut bench = Bench::new();
    bench.law("one", 60, None, "Deny");
    let first = bench.laws.at(time(3600));
    assert!(Arc::ptr_eq(&first, &bench.laws.at(time(3601))));
    bench.publish(Shelves::default());
    assert!(!Arc::ptr_eq(&first, &bench.laws.at(time(3600))));
}
