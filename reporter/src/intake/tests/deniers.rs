//! Deniers that lost the race: Events against denials, in simulated time.

use super::*;
use docket_record::denial::{Attribution, Grade, Personal, Public};
use docket_record::kyverno_event::Hearsay;
use docket_record::law::{LawBook, Object};
use serde_json::json;

const NAMED: &str = "require-pr-description";

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.waits.others = Some(SignedDuration::from_secs(60));
    bench.restart();
    let policy = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": NAMED},
        "spec": {"validationActions": ["Deny"], "matchConstraints": {"resourceRules": [
            {"apiGroups": ["krate.a5c.ai"], "resources": ["pullrequests"]}]},
            "validations": [{"expression": "x", "messageExpression": "object.spec.title"}]}});
    let law = [(Object::read(&policy).unwrap(), String::new())];
    bench.court.laws.publish(LawBook::always(law));
    bench
}

/// What an Event says about the object of an audit event, `after` milliseconds into it.
pub(super) fn seen(item: &Value, policy: &str, after: i64) -> Hearsay {
    let received: Timestamp = item["requestReceivedTimestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let name = item["objectRef"]["name"].as_str().unwrap();
    let time = received + SignedDuration::from_millis(after);
    Hearsay {
        uid: format!("{policy}/{name}/{time}"),
        event: format!("default/{policy}.1"),
        time,
        group: "krate.a5c.ai".into(),
        resource: "pullrequests".into(),
        namespace: "krate-org-acme".into(),
        name: name.into(),
        object_uid: "u1".into(),
        attribution: Attribution {
            enforcer: "kyverno".into(),
            policy_kind: Some("ValidatingPolicy".into()),
            policy: Some(policy.into()),
            result: "fail".into(),
            grade: Some(Grade::Exact),
            source: "kyvernoEvent".into(),
            ..Attribution::default()
        },
        message: format!("{policy} says no"),
    }
}

/// The same object refused again: another request.
fn retried(item: &Value, after: SignedDuration) -> Value {
    let mut item = item.clone();
    for field in ["requestReceivedTimestamp", "stageTimestamp"] {
        let time: Timestamp = item[field].as_str().unwrap().parse().unwrap();
        item[field] = format!("{:.6}", time + after).into();
    }
    item["auditID"] = format!("retry-{after}").into();
    item["annotations"] = json!({});
    item
}

impl Bench {
    fn hear(&mut self, hearsay: Vec<Hearsay>) -> Told {
        self.commit(vec![Arrival {
            hearsay,
            ..Arrival::default()
        }])
    }

    fn of(&self, kind: &str) -> Vec<Value> {
        let mut rows = self.rows(Class::Amendment);
        rows.retain(|row| row["kind"] == kind);
        rows
    }
}

fn told(bench: &Bench) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> = bench
        .of("other-denier")
        .iter()
        .map(|row| {
            let attribution = &row["attribution"];
            (text(&attribution["policy"]), text(&attribution["grade"]))
        })
        .collect();
    told.reverse();
    told
}

fn pair(policy: &str, grade: &str) -> (String, String) {
    (policy.to_owned(), grade.to_owned())
}

#[test]
fn who_lost_the_race_is_named_whether_the_event_or_the_denial_comes_first() {
    for event_first in [true, false] {
        let mut bench = bench();
        let item = Bench::day().denied();
        let hearsay = vec![seen(&item, "wants-title", 1), seen(&item, NAMED, 1)];
        if event_first {
            assert_eq!(bench.hear(hearsay).appended, 0, "an Event makes no entry");
            bench.deliver(&[item]);
        } else {
            bench.deliver(&[item]);
            bench.hear(hearsay);
        }
        // The policy that the denial names itself is not repeated.
        assert_eq!(told(&bench), [pair("wants-title", "exact")]);
        let amendment = &bench.of("other-denier")[0];
        assert_eq!(amendment["amends"], bench.rows(Class::Denial)[0]["id"]);
        assert_eq!(amendment["event"], "default/wants-title.1");
        assert!(!amendment.to_string().contains("says no"), "{amendment}");
        bench.pass(61);
        let through = &bench.of("others-through")[0];
        assert_eq!(through["state"], "none-seen");
        assert!(bench.rows(Class::Gap).is_empty());
    }
}

#[test]
fn an_event_without_a_denial_is_counted_and_nothing_else() {
    let mut bench = bench();
    let mut day = Bench::day();
    let admitted = day.admitted();
    let denied = day.denied();
    bench.deliver(&[admitted.clone(), denied.clone()]);
    let mut other_uid = seen(&denied, "wants-title", 1);
    other_uid.namespace = "krate-org-globex".into();
    bench.hear(vec![
        // A pass that was denied within a request that went through, or a policy in audit
        // mode that the list did not know as such.
        seen(&admitted, "wants-title", 1),
        // Too late and too early for the denial of the same object.
        seen(&denied, "wants-title", 5000),
        seen(&denied, "wants-label", -2000),
        other_uid,
    ]);
    let later = bench.pass(16 * 60);
    assert_eq!(later.kyverno_events["alone"], 4);
    assert!(told(&bench).is_empty());
}

#[test]
fn an_object_of_the_same_name_but_another_uid_is_another_object() {
    let mut bench = bench();
    let mut item = Bench::day().denied();
    item["verb"] = "update".into();
    item["objectRef"]["uid"] = "u2".into();
    item["annotations"] = json!({});
    bench.deliver(&[item.clone()]);
    bench.hear(vec![seen(&item, "wants-title", 1)]);
    assert!(told(&bench).is_empty());
    let mut same = seen(&item, "wants-title", 1);
    (same.uid, same.object_uid) = ("again".into(), "u2".into());
    bench.hear(vec![same]);
    assert_eq!(told(&bench).len(), 1);
}

#[test]
fn two_denials_that_an_event_fits_share_it_and_say_so() {
    let mut bench = bench();
    let first = Bench::day().denied();
    let second = retried(&first, SignedDuration::from_secs(1));
    bench.deliver(std::slice::from_ref(&first));
    bench.hear(vec![seen(&second, "wants-title", 1)]);
    assert_eq!(told(&bench), [pair("wants-title", "exact")]);
    // The retry's own audit event comes later: the word given is taken back.
    bench.deliver(std::slice::from_ref(&second));
    let ambiguous = pair("wants-title", "ambiguous");
    assert_eq!(told(&bench)[1..], [ambiguous.clone(), ambiguous]);
    assert!(
        bench.of("other-denier")[0]["attribution"]["doubt"]
            .as_str()
            .unwrap()
            .contains("fits 2 denials")
    );
    // An Event that only the first one fits settles it for that one.
    bench.hear(vec![seen(&first, "wants-title", 1)]);
    assert_eq!(told(&bench)[3..], [pair("wants-title", "exact")]);
    let first = bench.rows(Class::Denial).pop().unwrap();
    assert_eq!(bench.of("other-denier")[0]["amends"], first["id"]);
    bench.pass(61);
    assert_eq!(bench.rows(Class::Denial).len(), 2);
}

#[test]
fn many_denials_are_decided_by_one_entry() {
    let mut bench = bench();
    let mut day = Bench::day();
    let items: Vec<Value> = (0..50).map(|_| day.denied()).collect();
    bench.deliver(&items);
    bench.hear(items.iter().map(|item| seen(item, NAMED, 1)).collect());
    assert_eq!(bench.pass(30).appended, 0, "the wait is not over");
    let told = bench.pass(31);
    assert_eq!((told.appended, told.deniers["none_seen"]), (1, 50));
    let through = &bench.of("others-through")[0];
    assert_eq!(through["amends"], bench.rows(Class::Denial)[0]["id"]);
    assert_eq!(through["state"], "none-seen");
    assert_eq!(bench.pass(3600).appended, 0);
}

#[test]
fn a_denier_whose_own_event_is_missing_leaves_others_unknown_in_one_gap() {
    let mut bench = bench();
    let mut day = Bench::day();
    let items: Vec<Value> = (0..20).map(|_| day.denied()).collect();
    bench.deliver(&items);
    // One of them was heard: it has a word of its own.
    bench.hear(vec![
        seen(&items[3], NAMED, 1),
        seen(&items[3], "wants-title", 1),
        seen(&items[4], "wants-title", 1),
    ]);
    bench.pass(61);
    let gaps = bench.rows(Class::Gap);
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0]["cause"], "events-missing");
    assert_eq!(gaps[0]["source"], "kyverno-events");
    assert_eq!(gaps[0]["count"], 19);
    let moment = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
    for (end, time) in [
        ("from", &items[0]["requestReceivedTimestamp"]),
        ("to", &items[19]["stageTimestamp"]),
    ] {
        assert_eq!(moment(&gaps[0][end]), moment(time));
    }
    assert_eq!(bench.of("others-through")[0]["state"], "not-known");
    let own = bench.of("others");
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["state"], "seen");
    assert_eq!(told(&bench).len(), 2);
}

#[test]
fn a_long_drought_of_events_makes_fewer_and_fewer_gaps_and_loses_no_count() {
    let mut bench = bench();
    let mut day = Bench::day();
    for _ in 0..120 {
        bench.deliver(&[day.denied()]);
        bench.pass(15);
    }
    let gaps = bench.rows(Class::Gap);
    assert!((4..=8).contains(&gaps.len()), "{} gaps", gaps.len());
    bench.restart();
    // It ends: the first denial that is heard again closes the account.
    let item = day.denied();
    bench.deliver(std::slice::from_ref(&item));
    bench.hear(vec![seen(&item, NAMED, 1)]);
    bench.pass(120);
    bench.pass(15);
    let gaps = bench.rows(Class::Gap);
    let count: u64 = gaps.iter().filter_map(|gap| gap["count"].as_u64()).sum();
    assert_eq!(count, 120);
}

#[test]
fn who_need_not_leave_an_event_is_not_missed() {
    let mut bench = bench();
    let mut day = Bench::day();
    let mut foreign = day.denied();
    foreign["responseStatus"]["message"] =
        r#"admission webhook "gate.example" denied the request: no"#.into();
    let mut vap = day.denied();
    vap["responseStatus"] = json!({"code": 422, "reason": "Invalid", "message":
        "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: ValidatingAdmissionPolicy 'a' with \
         binding 'b' denied request: no"});
    bench.deliver(&[foreign.clone(), vap.clone()]);
    bench.hear(vec![
        seen(&foreign, "wants-title", 1),
        // No hook was asked after that policy: this is another request's.
        seen(&vap, "wants-title", 1),
    ]);
    bench.pass(61);
    assert!(bench.rows(Class::Gap).is_empty());
    assert_eq!(told(&bench), [pair("wants-title", "exact")]);
    assert_eq!(bench.of("others-through").len(), 1);
}

#[test]
fn a_withheld_text_gets_its_deniers_from_events() {
    let mut bench = bench();
    let mut item = Bench::day().denied();
    item["responseStatus"] = json!({"metadata": {}, "code": 400});
    bench.deliver(std::slice::from_ref(&item));
    bench.hear(vec![seen(&item, NAMED, 1), seen(&item, "wants-title", 1)]);
    assert_eq!(
        told(&bench),
        [pair(NAMED, "exact"), pair("wants-title", "exact")]
    );
}

#[test]
fn an_imported_day_misses_no_events_of_its_own() {
    let mut bench = bench();
    let item = Bench::day().denied();
    let mut arrival = bench
        .court
        .delivery("import", &events::list(&[item]), bench.now);
    if let Outcome::Record(record) = &mut arrival.findings[0].outcome {
        record.public.source = "import".into();
    }
    bench.commit(vec![arrival]);
    bench.pass(61);
    assert!(bench.rows(Class::Gap).is_empty());
    assert_eq!(bench.of("others-through")[0]["state"], "not-known");
}

#[test]
fn a_restart_goes_on_where_it_was_and_repeats_nothing() {
    let mut bench = bench();
    let mut day = Bench::day();
    let items = [day.denied(), day.denied()];
    bench.deliver(&items);
    let hearsay = vec![seen(&items[0], NAMED, 1), seen(&items[0], "wants-title", 1)];
    bench.hear(hearsay.clone());
    bench.pass(30);
    bench.restart();
    // As after any start: the Events that are still there are read again, and audit
    // events may be delivered again.
    bench.hear(hearsay.clone());
    bench.deliver(&items);
    assert_eq!(told(&bench).len(), 1);
    assert_eq!(bench.pass(59).appended, 0, "they wait anew");
    bench.pass(16);
    assert_eq!(bench.of("others-through").len(), 1);
    assert_eq!(bench.rows(Class::Gap)[0]["count"], 1);
    // Decided is decided: neither a restart nor a delivery asks again.
    bench.restart();
    bench.deliver(&items);
    bench.hear(hearsay);
    assert_eq!(bench.pass(3600).appended, 0);
}

#[test]
fn what_was_heard_survives_a_core_that_is_thrown_away() {
    let mut bench = bench();
    let item = Bench::day().denied();
    bench.hear(vec![seen(&item, "wants-title", 1)]);
    let WaitsAndStore { mut store, intake } = bench.apart();
    let heard = intake.into_hearsay();
    let mut next = Intake::load(&mut store, bench.waits, bench.now).unwrap();
    let arrival = Arrival {
        hearsay: heard,
        ..Arrival::default()
    };
    next.commit(&mut store, vec![arrival], bench.now).unwrap();
    (bench.intake, bench.store) = (next, Some(store));
    bench.deliver(&[item]);
    assert_eq!(told(&bench).len(), 1);
}

struct WaitsAndStore {
    store: Store,
    intake: Intake,
}

impl Bench {
    fn apart(&mut self) -> WaitsAndStore {
        let mut store = self.store.take().unwrap();
        let spare = Intake::load(&mut store, self.waits, self.now).unwrap();
        let intake = std::mem::replace(&mut self.intake, spare);
        WaitsAndStore { store, intake }
    }
}

#[test]
fn too_many_that_wait_are_decided_as_not_known_and_counted() {
    let bench = bench();
    let mut day = Bench::day();
    let arrival = bench
        .court
        .delivery("api", &events::list(&[day.denied()]), bench.now);
    let Outcome::Record(record) = arrival.findings[0].outcome.clone() else {
        panic!("a denial");
    };
    let (mut public, mut personal): (Public, Personal) = (record.public, record.personal);
    let store = bench.store.as_ref().unwrap();
    let mut core =
        super::super::deniers::Deniers::load(store, bench.waits.others, bench.now).unwrap();
    let most = 65_536;
    for number in 0..most + 10 {
        public.id = format!("denial-{number}");
        personal.name = format!("pr-{}", number % 1000);
        core.denial(&public, &personal, 0, bench.now);
    }
    let (mut entries, mut state, mut told) = (Vec::new(), Vec::new(), Told::default());
    core.round(bench.now, &mut entries, &mut state, &mut told);
    assert_eq!(told.deniers["dropped"], 10);
    let written: Vec<Value> = entries
        .iter()
        .map(|entry| serde_json::from_slice(&entry.public).unwrap())
        .collect();
    assert_eq!(written.len(), 2);
    assert_eq!(written[0]["state"], "not-known");
    assert_eq!(written[0]["amends"], "denial-9");
    assert_eq!(
        (&written[1]["cause"], &written[1]["count"]),
        (&json!("events-missing"), &json!(10))
    );
    // One object that floods costs each Event no more than a bounded look.
    let item = day.denied();
    personal.name = item["objectRef"]["name"].as_str().unwrap().into();
    let began = std::time::Instant::now();
    for number in 0..5000 {
        public.id = format!("flood-{number}");
        core.denial(&public, &personal, 0, bench.now);
        let mut hearsay = seen(&item, "wants-title", 1);
        hearsay.uid = number.to_string();
        core.hear(hearsay, bench.now, &mut told);
        core.settle(bench.now, &mut entries);
    }
    assert!(told.kyverno_events["crowded_out"] > 4000);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
