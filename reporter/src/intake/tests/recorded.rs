//! Entries of every class, as stores hold them that were written long ago:
//! `tests/recorded/stores/entries.db` was made by [`drive`]. What the core writes of the
//! same day must still be the same bytes.

use super::deniers::seen;
use super::excepted::sighting;
use super::imports::{Way, record};
use super::laws::{law, write};
use super::*;
use docket_record::exhibit::Digests;
use docket_record::law::Change;
use serde_json::json;
use std::path::PathBuf;

const POLICY: &str = "require-pr-description";

fn store_file() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.join("../tests/recorded/stores/entries.db")
}

fn objects() -> [Value; 2] {
    let created = start().to_string();
    [
        json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
            "metadata": {"name": POLICY, "uid": "uid-1", "resourceVersion": "1", "generation": 1,
                "creationTimestamp": created, "annotations": {
                    "policies.kyverno.io/severity": "medium",
                    "policies.kyverno.io/description": "Say what it changes."}},
            "spec": {"validationActions": ["Deny"], "matchConstraints": {"resourceRules": [
                {"apiGroups": ["krate.a5c.ai"], "resources": ["pullrequests"]}]},
                "validations": [{"expression": "x", "message": "a pull request needs a description"}]},
            "status": {"autogen": {"configs": {"defaults": {"targets": [
                {"group": "apps", "version": "v1", "resource": "deployments", "kind": "Deployment"}]}}}}}),
        json!({"apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
            "metadata": {"name": "let-jane", "namespace": "kyverno", "uid": "uid-2",
                "resourceVersion": "2", "generation": 1, "creationTimestamp": created},
            "spec": {"policyRefs": [{"kind": "ValidatingPolicy", "name": POLICY}]}}),
    ]
}

fn digests(paths: &[(&str, &str)]) -> Digests {
    let own = |&(path, digest): &(&str, &str)| (path.to_owned(), digest.to_owned());
    Digests {
        key: "k1".into(),
        paths: paths.iter().map(own).collect(),
        cut: false,
    }
}

/// An event of the same object, some seconds later, that no witness saw.
fn again(item: &Value, name: &str, verb: &str, seconds: i64) -> Value {
    let mut item = item.clone();
    for field in ["requestReceivedTimestamp", "stageTimestamp"] {
        let time: Timestamp = item[field].as_str().unwrap().parse().unwrap();
        item[field] = format!("{:.6}", time + SignedDuration::from_secs(seconds)).into();
    }
    item["auditID"] = format!("again-{verb}-{name}-{seconds}").into();
    item["objectRef"]["name"] = name.into();
    item["verb"] = verb.into();
    item["annotations"] = json!({});
    item
}

/// A day on which everything happens that an entry can say.
fn drive() -> Bench {
    let mut bench = Bench::new();
    bench.waits.others = Some(SignedDuration::from_secs(60));
    bench.restart();
    let to_ask: Arc<NumbersToAsk> = Arc::default();
    to_ask.serve();
    let mut store = bench.store.take().unwrap();
    let intake = Intake::load(&mut store, bench.waits, bench.now).unwrap();
    bench.intake = intake.asking(Arc::clone(&to_ask));
    bench.store = Some(store);
    let commit = |bench: &mut Bench, arrival: Arrival| bench.commit(vec![arrival]);

    // Policies, and what Kyverno made of one.
    let (book, entries) = crate::watch::recorded(&objects());
    bench.court.laws.publish(book);
    let laws = Arrival {
        entries,
        ..Arrival::default()
    };
    commit(&mut bench, laws);

    // Denials: of the first Kyverno's Events come, of the second none do.
    let mut day = Bench::day();
    let (first, second) = (day.denied(), day.denied());
    bench.deliver(&[first.clone(), second.clone()]);
    let hearsay = vec![seen(&first, "wants-title", 1), seen(&first, POLICY, 1)];
    let events = Arrival {
        hearsay,
        ..Arrival::default()
    };
    commit(&mut bench, events);

    // The policy is changed in that moment, and the clocks of both do not agree.
    let versions = [
        law("law-1", Change::Changed, 3000, None),
        law("law-2", Change::Changed, 4000, Some(3500)),
    ];
    let changed = Arrival {
        entries: versions.into(),
        ..Arrival::default()
    };
    commit(&mut bench, changed);
    bench.deliver(&[write("dana", "patch", 2990), write("eve", "update", 3990)]);

    // The same testimony in another event.
    let mut copy = first.clone();
    copy["auditID"] = "22222222-2222-4222-8222-222222222222".into();
    bench.deliver(&[copy]);

    // An event that can't be read.
    let mut broken = first.clone();
    broken["responseStatus"]["code"] = "four hundred".into();
    bench.deliver(&[broken]);

    // Imports: one of a request that is on record, one that nobody saw live.
    let unseen = day.denied();
    for (event, way) in [(&second, Way::Gke), (&unseen, Way::Cloudwatch)] {
        let body = record(event, way);
        let (arrival, _) = bench.court.import(body.as_bytes(), None, "erin", bench.now);
        commit(&mut bench, arrival);
    }

    // Writes that an exception let through, more than are kept; a report of one of them,
    // and of another that nobody saw.
    let writes: Vec<Value> = (0..12).map(|_| day.admitted()).collect();
    bench.deliver(&writes);
    let known = writes[9]["objectRef"]["name"].as_str().unwrap();
    let reports = Arrival {
        sightings: vec![sighting(known, 10), sighting("pr-unseen", 11)],
        ..Arrival::default()
    };
    commit(&mut bench, reports);

    // Enforcers that could not be asked: a hook that failed open, and one that failed.
    let mut open = day.admitted();
    open["annotations"]["failed-open.validating.webhook.admission.k8s.io/round_0_index_0"] =
        "vpol.validate.kyverno.svc-ignore-finegrained-require-pr-description".into();
    let mut unavailable = day.denied();
    unavailable["responseStatus"] = json!({"metadata": {}, "status": "Failure", "code": 500,
        "reason": "InternalError", "message": "Internal error occurred: failed calling webhook \
        \"vpol.validate.kyverno.svc-fail\": failed to call webhook: Post \
        \"https://kyverno-svc.kyverno.svc:443/vpol/validate/fail\": dial tcp 10.0.0.1:443: \
        connect: connection refused"});
    bench.deliver(&[open, unavailable]);

    // What came of denials: the object passed with other fields, or was removed.
    let tried = day.denied();
    let name = tried["objectRef"]["name"].as_str().unwrap().to_owned();
    let admitted = json!({"metadata": {}, "code": 201});
    let mut fixed = again(&tried, &name, "create", 5);
    fixed["responseStatus"] = admitted.clone();
    let posted = events::list(&[tried.clone(), fixed]);
    let mut arrival = bench.court.delivery("api", &posted, bench.now);
    let kept = json!({"object": {"spec": {"title": "x"}},
        "digests": digests(&[("spec.title", "11"), ("spec.draft", "13")])});
    for finding in &mut arrival.findings {
        if let Outcome::Record(record) = &mut finding.outcome
            && record.public.verdict == Verdict::Denied
        {
            record.exhibit = Some(json(&kept));
        }
        if let Some(write) = &mut finding.write {
            write.digests = Some(digests(&[("spec.title", "12"), ("spec.body", "14")]));
        }
    }
    commit(&mut bench, arrival);
    let name = second["objectRef"]["name"].as_str().unwrap();
    let mut removed = again(&second, name, "delete", 20);
    removed["responseStatus"] = json!({"metadata": {}, "code": 200});
    bench.deliver(&[removed]);

    // Two writes whose events do not come; the witness knows what its numbers were for.
    // They come late, one after the other.
    let hidden = day.denied();
    let mut reviews = day.reviews(&hidden);
    let late = day.admitted();
    reviews.extend(day.reviews(&late));
    bench.deliver(&[day.denied()]);
    bench.pass(61);
    let numbers: Vec<u64> = to_ask.now().into_values().flatten().collect();
    let answered = vec![Answered {
        process: day.process.clone(),
        reviews,
        numbers,
    }];
    let answer = Arrival {
        answered,
        ..Arrival::default()
    };
    commit(&mut bench, answer);
    bench.pass(270);
    bench.deliver(&[hidden]);
    bench.deliver(&[late]);
    bench.pass(300);

    // Nothing makes erasures yet; the format has them.
    let tried = bench.rows_of(Class::Denial).into_iter().find(|row| {
        let exhibit = bench.store.as_ref().unwrap().exhibit(&row.id).unwrap();
        exhibit.is_some()
    });
    let position = tried.unwrap().position;
    let public = format!(
        r#"{{"id":"erasure-1","time":"{}","erases":[{{"position":{position},"parts":["exhibit"]}}],"reason":"asked for by the person"}}"#,
        bench.now
    );
    let erasure = NewEntry {
        id: "erasure-1".into(),
        class: Class::Erasure,
        public: public.into_bytes(),
        personal: Some(json(&json!({"actor": {"username": "carol"}}))),
        exhibit: None,
    };
    let batch = Batch {
        entries: vec![erasure],
        state: Vec::new(),
    };
    bench
        .store
        .as_mut()
        .unwrap()
        .append(&batch, bench.now)
        .unwrap();
    bench
}

impl Bench {
    fn rows_of(&self, class: Class) -> Vec<Row> {
        let rows = self.store.as_ref().unwrap().scan(0, 1000).unwrap();
        rows.into_iter().filter(|row| row.class == class).collect()
    }
}

#[test]
fn the_same_day_still_makes_the_bytes_that_were_recorded() {
    let bench = drive();
    let made = bench.store.as_ref().unwrap().scan(0, 1000).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("ledger");
    std::fs::copy(store_file(), &copy).unwrap();
    let recorded = Reader::open(&copy).unwrap().scan(0, 1000).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (made, recorded) in made.iter().zip(&recorded) {
        let parts = |row: &Row| {
            (
                row.class,
                text(&row.public),
                row.personal.as_deref().map(text),
            )
        };
        assert_eq!(parts(made), parts(recorded), "entry {}", recorded.position);
    }
    assert_eq!(made.len(), recorded.len());
}

/// Run it once, by hand. The file is not made again: that stores which are there read and
/// verify is what it shows.
#[test]
#[ignore = "makes the recorded store"]
fn record_the_store() {
    assert!(!store_file().exists(), "it was recorded before");
    let mut bench = drive();
    drop(bench.store.take());
    std::fs::create_dir_all(store_file().parent().unwrap()).unwrap();
    std::fs::copy(bench.dir.path().join("ledger"), store_file()).unwrap();
}
