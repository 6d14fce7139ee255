//! The core against a real store, under simulated time and in any order of arrival.

use super::{NAMED, Waiting};
use crate::gaps::json;
use crate::intake::{Arrival, Intake, Told, Waits};
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader};
use docket_ledger::store::{Answer, Options, Store};
use docket_record::audit::User;
use docket_record::denial::{
    Attribution, Context, DenialId, Personal, Public, Record, TestimonyState, Verdict,
};
use docket_record::examine::{Counted, Finding, Outcome};
use docket_record::exhibit::Digests;
use docket_record::write::Write;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const WAITS: Waits = Waits {
    numbers: SignedDuration::from_secs(300),
    others: None,
};

/// One event of a made-up day.
#[derive(Clone, Debug)]
struct Event {
    n: u16,
    /// Seconds after the start.
    at: i64,
    denied: bool,
    verdict: Verdict,
    operation: &'static str,
    namespace: &'static str,
    name: String,
    actor: &'static str,
    repository: &'static str,
    dry_run: bool,
    exhibit: Option<Value>,
    digests: Option<Digests>,
}

fn denied(n: u16, at: i64) -> Event {
    Event {
        n,
        at,
        denied: true,
        verdict: Verdict::Denied,
        operation: "CREATE",
        namespace: "krate-org-acme",
        name: "pr-1".into(),
        actor: "bob",
        repository: "web",
        dry_run: false,
        exhibit: None,
        digests: None,
    }
}

fn admitted(n: u16, at: i64) -> Event {
    Event {
        denied: false,
        ..denied(n, at)
    }
}

fn start() -> Timestamp {
    "2026-11-22T23:00:00Z".parse().unwrap()
}

impl Event {
    fn by(mut self, actor: &'static str) -> Event {
        self.actor = actor;
        self
    }

    fn named(mut self, name: &str) -> Event {
        self.name = name.into();
        self
    }

    fn to(mut self, operation: &'static str) -> Event {
        self.operation = operation;
        self
    }

    fn id(&self) -> DenialId {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&self.n.to_be_bytes());
        DenialId(id)
    }

    fn time(&self) -> Timestamp {
        start() + SignedDuration::from_secs(self.at)
    }

    fn user(&self) -> User {
        User {
            username: self.actor.into(),
            ..User::default()
        }
    }

    fn context(&self) -> Context {
        Context {
            repository: self.repository.into(),
            ..Context::default()
        }
    }

    fn finding(&self) -> Finding {
        let (outcome, write) = if self.denied {
            (Outcome::Record(Box::new(self.record())), None)
        } else {
            (
                Outcome::Counted(Counted::Admitted),
                Some(Box::new(self.write())),
            )
        };
        Finding {
            id: self.id(),
            time: self.time(),
            sworn: Vec::new(),
            refused: Vec::new(),
            our_hook_failed_open: false,
            outcome,
            write,
            law_write: None,
            unannotated: None,
            collection: false,
            derived: false,
        }
    }

    fn record(&self) -> Record {
        let public = Public {
            id: self.id().to_string(),
            time: format!("{:.6}", self.time()),
            verdict: self.verdict,
            operation: self.operation.into(),
            verb: String::new(),
            dry_run: self.dry_run,
            group: "krate.a5c.ai".into(),
            version: "v1alpha1".into(),
            resource: "pullrequests".into(),
            subresource: String::new(),
            kind: "PullRequest".into(),
            namespace: self.namespace.into(),
            code: 400,
            reason: String::new(),
            attributions: vec![Attribution {
                enforcer: "kyverno".into(),
                policy: Some("require-pr-description".into()),
                ..Attribution::default()
            }],
            context: self.context(),
            testimony: TestimonyState::Verified,
            passes: 1,
            source: "api".into(),
            notes: Vec::new(),
            unmasked: false,
            exceptions: Vec::new(),
            derived: String::new(),
        };
        let personal = Personal {
            name: self.name.clone(),
            generated_name: false,
            object_uid: String::new(),
            actor: self.user(),
            impersonator: None,
            source_ips: Vec::new(),
            user_agent: String::new(),
            text: String::new(),
            messages: Vec::new(),
            event: Value::Null,
            importer: String::new(),
        };
        Record {
            id: self.id(),
            public,
            personal,
            exhibit: self.exhibit.as_ref().map(json),
        }
    }

    fn write(&self) -> Write {
        Write {
            event: self.id(),
            received: self.time(),
            time: self.time(),
            group: "krate.a5c.ai".into(),
            version: "v1alpha1".into(),
            resource: "pullrequests".into(),
            subresource: String::new(),
            kind: "PullRequest".into(),
            namespace: self.namespace.into(),
            name: self.name.clone(),
            old_uid: String::new(),
            verb: String::new(),
            operation: self.operation.into(),
            dry_run: self.dry_run,
            actor: self.user(),
            context: self.context(),
            review: Some(("witness-0".into(), self.n.to_string())),
            digests: self.digests.clone(),
            failed_open: Vec::new(),
            source: "api".into(),
        }
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: Option<Store>,
    intake: Intake,
    waiting: Arc<Waiting>,
}

fn open(dir: &tempfile::TempDir) -> Store {
    let options = Options {
        origin: "docket.a5c.ai/test".into(),
        signing_seed: [7; 32],
        random: Box::new(|buffer| buffer.fill(3)),
    };
    Store::open(&dir.path().join("ledger"), options).unwrap()
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(&dir);
        let waiting = Arc::new(Waiting::default());
        let intake = Intake::load(&mut store, WAITS, start()).unwrap();
        let intake = intake.telling(Arc::clone(&waiting));
        Bench {
            dir,
            store: Some(store),
            intake,
            waiting,
        }
    }

    fn restart(&mut self) {
        drop(self.store.take());
        let mut store = open(&self.dir);
        let intake = Intake::load(&mut store, WAITS, start()).unwrap();
        self.waiting = Arc::new(Waiting::default());
        self.intake = intake.telling(Arc::clone(&self.waiting));
        self.store = Some(store);
    }

    fn deliver(&mut self, events: &[Event]) -> Told {
        let findings = events.iter().map(Event::finding).collect();
        let arrival = Arrival {
            findings,
            ..Arrival::default()
        };
        let store = self.store.as_mut().unwrap();
        self.intake.commit(store, vec![arrival], start()).unwrap()
    }

    fn answer(&self, event: &Event) -> Option<Answer> {
        self.store
            .as_ref()
            .unwrap()
            .answer(&event.id().to_string())
            .unwrap()
    }

    /// Public parts, by time of the write.
    fn outcomes(&self) -> Vec<Value> {
        let filter = Filter {
            classes: vec![Class::Outcome],
            ..Filter::default()
        };
        let page = Page {
            limit: 200,
            ..Page::default()
        };
        let reader = Reader::open(&self.dir.path().join("ledger")).unwrap();
        let rows = reader.list(&filter, &page).unwrap();
        let mut rows: Vec<Value> = rows
            .iter()
            .map(|row| serde_json::from_slice(&row.public).unwrap())
            .collect();
        rows.reverse();
        rows
    }
}

#[test]
fn a_denied_object_that_is_admitted_later_is_an_outcome() {
    let mut bench = Bench::new();
    let (first, second) = (denied(1, 0), denied(2, 60).to("UPDATE"));
    bench.deliver(&[first.clone(), second.clone()]);
    assert!(bench.outcomes().is_empty());
    bench.deliver(&[admitted(3, 720).to("UPDATE")]);
    bench.deliver(&[admitted(4, 800).to("UPDATE")]);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    let outcome = &outcomes[0];
    assert_eq!(
        outcome["denials"],
        json!([first.id().to_string(), second.id().to_string()])
    );
    for (name, expected) in [
        ("count", json!(2)),
        ("relation", json!("object")),
        ("after", json!(720_000)),
        ("afterLast", json!(660_000)),
        ("sameActor", json!(true)),
        ("namespace", json!("krate-org-acme")),
        ("kind", json!("PullRequest")),
        ("operation", json!("UPDATE")),
        ("time", json!("2026-11-22T23:12:00Z")),
        ("write", json!(admitted(3, 720).id().to_string())),
        ("paths", Value::Null),
    ] {
        assert_eq!(outcome[name], expected, "{name}");
    }
    assert!(outcome.get("retried").is_none() && outcome.get("failedOpen").is_none());
}

#[test]
fn one_fixed_by_another_says_so_and_each_actor_has_an_outcome() {
    let mut bench = Bench::new();
    bench.deliver(&[
        denied(1, 0),
        denied(2, 1).by("alice"),
        admitted(3, 2).by("alice"),
    ]);
    let outcomes = bench.outcomes();
    let same: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            (
                outcome["denials"][0].as_str().unwrap(),
                &outcome["sameActor"],
            )
        })
        .collect();
    let (bob, alice) = (denied(1, 0).id().to_string(), denied(2, 1).id().to_string());
    assert_eq!(same.len(), 2);
    assert!(same.contains(&(&bob, &json!(false))), "{same:?}");
    assert!(same.contains(&(&alice, &json!(true))), "{same:?}");
}

#[test]
fn another_name_of_the_same_series_by_the_same_actor_is_said_to_be_only_that() {
    let mut bench = Bench::new();
    let tried = denied(1, 0).named("web-k3j5z");
    bench.deliver(std::slice::from_ref(&tried));
    for other in [
        admitted(10, 5).named("web-aaaaa").by("alice"),
        admitted(11, 5).named("fix-aaaaa"),
        admitted(12, 5).named("web-aaaaa").to("UPDATE"),
        admitted(13, 24 * 3600 + 1).named("web-aaaaa"),
        Event {
            repository: "api",
            ..admitted(14, 5).named("web-aaaaa")
        },
        Event {
            namespace: "krate-org-globex",
            ..admitted(15, 5).named("web-aaaaa")
        },
        Event {
            dry_run: true,
            ..admitted(16, 5).named("web-aaaaa")
        },
    ] {
        bench.deliver(std::slice::from_ref(&other));
        assert_eq!(bench.answer(&tried), None, "{other:?}");
    }
    bench.deliver(&[admitted(2, 10).named("web-x81ab")]);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["relation"], "series");
    // What happens to the object itself is better known, even if it happens later.
    bench.deliver(&[admitted(3, 100).named("web-k3j5z").by("alice")]);
    let answer = bench.answer(&tried).unwrap();
    assert_eq!(
        (answer.series, answer.written_by),
        (false, admitted(3, 0).id().to_string())
    );
    // A name that was never told is no object, and may be any of its series.
    let nameless = denied(4, 200).named("");
    bench.deliver(&[nameless.clone(), admitted(5, 210).named("web-bbbbb")]);
    assert!(bench.answer(&nameless).unwrap().series);
}

#[test]
fn dry_runs_and_unknown_verdicts_open_nothing_and_unavailable_does() {
    let mut bench = Bench::new();
    let dry = Event {
        dry_run: true,
        ..denied(1, 0)
    };
    let unknown = Event {
        verdict: Verdict::Unknown,
        ..denied(2, 0)
    };
    bench.deliver(&[dry, unknown, denied(3, 0).to("CONNECT"), admitted(4, 5)]);
    assert!(bench.outcomes().is_empty());
    let unavailable = Event {
        verdict: Verdict::Unavailable,
        ..denied(5, 10)
    };
    bench.deliver(&[unavailable, admitted(6, 20).to("UPDATE")]);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["retried"], true);
}

#[test]
fn a_denied_deletion_waits_for_a_deletion_and_a_denied_write_may_end_in_one() {
    let mut bench = Bench::new();
    let deletion = denied(1, 0).to("DELETE");
    let update = denied(2, 5).to("UPDATE");
    bench.deliver(&[deletion.clone(), update.clone()]);
    bench.deliver(&[admitted(3, 10).to("UPDATE")]);
    assert_eq!(bench.answer(&deletion), None);
    bench.deliver(&[denied(4, 15).to("UPDATE"), admitted(5, 20).to("DELETE")]);
    let outcomes = bench.outcomes();
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome["denials"][0].clone(), outcome["relation"].clone()))
        .collect();
    let of = |n| Value::from(denied(n, 0).id().to_string());
    assert_eq!(told.len(), 3, "{told:?}");
    for expected in [
        (of(2), json!("object")),
        (of(1), json!("object")),
        (of(4), json!("deleted")),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
}

fn paths(digests: &[(&str, &str)]) -> BTreeMap<String, String> {
    digests
        .iter()
        .map(|&(path, digest)| (path.into(), digest.into()))
        .collect()
}

#[test]
fn the_paths_that_changed_are_named_and_nothing_else_of_the_admitted_object() {
    let kept = json!({"object": {}, "digests": {"key": "k1", "paths":
        paths(&[("spec.title", "11"), ("spec.description", "12"), ("spec.draft", "13")])}});
    let given = |key: &str| Digests {
        key: key.into(),
        paths: paths(&[
            ("spec.title", "11"),
            ("spec.description", "5ec"),
            ("spec.body", "14"),
        ]),
        cut: false,
    };
    let fixed = |n, at, key| Event {
        digests: Some(given(key)),
        ..admitted(n, at).to("UPDATE")
    };
    let tried = |n, at| Event {
        exhibit: Some(kept.clone()),
        ..denied(n, at)
    };
    let expected = json!([
        {"path": "spec.body", "change": "added"},
        {"path": "spec.description", "change": "changed"},
        {"path": "spec.draft", "change": "removed"},
    ]);
    // In the same batch, and with the denial in the ledger only. The last denial counts.
    let mut bench = Bench::new();
    bench.deliver(&[denied(1, 0), tried(2, 1), fixed(3, 2, "k1")]);
    bench.deliver(&[tried(4, 3)]);
    bench.restart();
    bench.deliver(&[fixed(5, 4, "k1")]);
    bench.deliver(&[tried(6, 5), fixed(7, 6, "k2")]);
    bench.deliver(&[denied(8, 7), fixed(9, 8, "k1")]);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes[0]["paths"], expected);
    assert_eq!(outcomes[1]["paths"], expected);
    for (outcome, why) in [(2, "different keys"), (3, "was not kept")] {
        assert_eq!(outcomes[outcome]["paths"], Value::Null);
        let said = outcomes[outcome]["pathsUnknown"].as_str().unwrap();
        assert!(said.contains(why), "{said}");
    }
    assert!(
        !json!(outcomes).to_string().contains("5ec"),
        "no digest of the admitted object"
    );
}

#[test]
fn many_denials_of_one_object_are_one_open_item_with_a_count() {
    let mut bench = Bench::new();
    let all = NAMED as u16 + 44;
    let retries: Vec<Event> = (0..all)
        .map(|n| denied(n, i64::from(n)).named("stuck").to("UPDATE"))
        .collect();
    for batch in retries.chunks(100) {
        bench.deliver(batch);
    }
    bench.restart();
    let fix = admitted(9000, 1000).named("stuck").to("UPDATE");
    bench.deliver(std::slice::from_ref(&fix));
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["count"], all);
    assert_eq!(outcomes[0]["denials"].as_array().unwrap().len(), NAMED);
    assert_eq!(outcomes[0]["after"], 1_000_000);
    assert_eq!(outcomes[0]["afterLast"], (1000 - i64::from(all) + 1) * 1000);
    // One that is only counted is found all the same.
    let reader = Reader::open(&bench.dir.path().join("ledger")).unwrap();
    for (n, event) in retries.iter().enumerate() {
        let found = reader.outcome(&event.id().to_string()).unwrap();
        assert!(found.is_some(), "{n}");
    }
    // And nothing of it is told twice.
    for _ in 0..2 {
        bench.restart();
        bench.deliver(&retries);
        bench.deliver(std::slice::from_ref(&fix));
        assert_eq!(bench.outcomes().len(), 1);
    }
}

#[test]
fn when_there_is_no_room_the_oldest_go_and_are_counted() {
    let mut bench = Bench::new();
    bench.intake.outcomes.room = 3;
    let tried: Vec<Event> = (0..5)
        .map(|n| denied(n, 0).named(&format!("a{n}-x")))
        .collect();
    let told = bench.deliver(&tried);
    assert_eq!(told.outcomes["forgotten"], 2);
    for n in 0..5 {
        bench.deliver(&[admitted(10 + n, 5).named(&format!("a{n}-x")).by("alice")]);
    }
    let answered: Vec<bool> = tried
        .iter()
        .map(|one| bench.answer(one).is_some())
        .collect();
    assert_eq!(answered, [false, false, true, true, true]);
}

#[test]
fn sources_ask_for_a_write_only_while_a_denial_waits_for_it() {
    let mut bench = Bench::new();
    let fix = admitted(2, 10).to("UPDATE");
    assert!(!bench.waiting.waits_for(&fix.write()));
    bench.deliver(&[denied(1, 0)]);
    assert!(bench.waiting.waits_for(&fix.write()));
    assert!(!bench.waiting.waits_for(&fix.clone().named("other").write()));
    bench.restart();
    assert!(bench.waiting.waits_for(&fix.write()), "taken up again");
    bench.deliver(std::slice::from_ref(&fix));
    assert!(!bench.waiting.waits_for(&fix.write()));
    // One that is on its way counts already, and one that came again does not.
    let record = denied(1, 0).record();
    bench
        .waiting
        .coming(&record.public, &record.personal.name, "bob");
    assert!(bench.waiting.waits_for(&fix.write()));
    bench.deliver(&[denied(1, 0)]);
    assert!(!bench.waiting.waits_for(&fix.write()));
}

fn an_event() -> impl Strategy<Value = Event> {
    let names = prop::sample::select(vec!["web-a", "web-b", "api-a", ""]);
    let operations = prop::sample::select(vec!["CREATE", "UPDATE", "DELETE", "CREATE"]);
    let actors = prop::sample::select(vec!["alice", "bob"]);
    let verdicts = prop::sample::select(vec![
        Verdict::Denied,
        Verdict::Denied,
        Verdict::Unavailable,
        Verdict::Unknown,
    ]);
    let times = 0..40_i64;
    (
        any::<bool>(),
        names,
        operations,
        actors,
        verdicts,
        times,
        0..8,
    )
        .prop_map(
            |(is_denied, name, operation, actor, verdict, at, dry)| Event {
                denied: is_denied,
                verdict,
                operation,
                actor,
                name: name.into(),
                dry_run: dry == 0,
                ..denied(0, at)
            },
        )
}

/// A day, its events in one order of arrival, and in another one.
fn a_day() -> impl Strategy<Value = (Vec<Event>, Vec<Event>, Vec<usize>)> {
    prop::collection::vec(an_event(), 1..24)
        .prop_map(|mut events| {
            for (n, event) in (1..).zip(&mut events) {
                event.n = n;
            }
            events
        })
        .prop_flat_map(|events| {
            let arrivals = Just(events.clone()).prop_shuffle();
            let again = Just(events).prop_shuffle();
            (arrivals, again, prop::collection::vec(1..6_usize, 24))
        })
}

/// What should come of a denial, from the whole day at once.
fn expected(denied: &Event, day: &[Event]) -> Option<(bool, i64, String)> {
    if denied.dry_run || denied.verdict == Verdict::Unknown {
        return None;
    }
    let writes = day.iter().filter(|write| {
        !write.denied
            && !write.dry_run
            && write.at >= denied.at
            && (denied.operation != "DELETE" || write.operation == "DELETE")
    });
    let related = writes.filter_map(|write| {
        let object = !denied.name.is_empty() && write.name == denied.name;
        let stem = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
        let alike = denied.name.is_empty()
            || write.name.is_empty()
            || stem(&write.name) == stem(&denied.name);
        let series = denied.operation == "CREATE"
            && write.operation == "CREATE"
            && write.actor == denied.actor
            && alike;
        (object || series).then(|| (!object, write.at, write.id().to_string()))
    });
    related.min()
}

fn batches(events: &[Event], sizes: &[usize]) -> Vec<Vec<Event>> {
    let (mut rest, mut batches) = (events, Vec::new());
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, after) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

fn check(bench: &Bench, day: &[Event]) -> Result<(), TestCaseError> {
    for event in day.iter().filter(|event| event.denied) {
        let found = bench.answer(event).map(|answer| {
            let seconds = (answer.time - start().as_microsecond()) / 1_000_000;
            (answer.series, seconds, answer.written_by)
        });
        prop_assert_eq!(found, expected(event, day), "{:?}", event);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_arrival_changes_no_outcome((day, again, sizes) in a_day()) {
        let mut bench = Bench::new();
        for batch in batches(&day, &sizes) {
            bench.deliver(&batch);
        }
        check(&bench, &day)?;
        // What comes again changes nothing, remembered or not.
        let told = bench.outcomes().len();
        for _ in 0..2 {
            for batch in batches(&again, &sizes) {
                bench.deliver(&batch);
            }
            bench.restart();
        }
        prop_assert_eq!(bench.outcomes().len(), told);
        let store = bench.dir.path().join("ledger");
        let report = docket_ledger::verify::verify(&store, &Default::default()).unwrap();
        prop_assert!(report.intact(), "{:?}", report.findings);
    }

    #[test]
    fn a_restart_in_between_loses_no_denial((day, again, sizes) in a_day(), at in 0..24_usize) {
        let mut bench = Bench::new();
        // Denials first, then the writes: these are not remembered over a restart.
        let mut ordered = day.clone();
        ordered.sort_by_key(|event| !event.denied);
        for (n, batch) in batches(&ordered, &sizes).into_iter().enumerate() {
            if n == at % 6 {
                bench.restart();
            }
            bench.deliver(&batch);
        }
        check(&bench, &day)?;
        // An import brings all of it once more.
        let mut other = Bench::new();
        for (n, batch) in batches(&day, &sizes).into_iter().enumerate() {
            if n == at % 6 {
                other.restart();
            }
            other.deliver(&batch);
        }
        for batch in batches(&again, &sizes) {
            other.deliver(&batch);
        }
        check(&other, &day)?;
    }
}
