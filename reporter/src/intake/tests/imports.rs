//! Imports beside the live stream, in any order.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// The ways in which one event may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Live,
    LogLine,
    Cloudwatch,
    Diagnostic,
    TableRow,
    Gke,
    Cut,
}

const RAW: [Way; 4] = [Way::Live, Way::LogLine, Way::Cloudwatch, Way::Diagnostic];
const DERIVED: [Way; 3] = [Way::TableRow, Way::Gke, Way::Cut];

/// The entry that Cloud Logging would hold.
fn gke(event: &Value) -> Value {
    let object = &event["objectRef"];
    let text = |name: &str| object[name].as_str().unwrap().to_owned();
    let status = &event["responseStatus"];
    let denied = status["code"] == 400;
    json!({
        "insertId": event["auditID"], "timestamp": event["requestReceivedTimestamp"],
        "resource": {"type": "k8s_cluster"}, "labels": event["annotations"],
        "protoPayload": {
            "serviceName": "k8s.io", "methodName": "ai.a5c.krate.v1alpha1.pullrequests.create",
            "resourceName": format!("{}/{}/namespaces/{}/{}/{}", text("apiGroup"),
                text("apiVersion"), text("namespace"), text("resource"), text("name")),
            "authenticationInfo": {"principalEmail": event["user"]["username"]},
            "status": if denied { json!({"code": 3, "message": status["message"]}) } else { json!({}) },
        },
    })
}

fn row(event: &Value) -> Value {
    json!({
        "AuditId": event["auditID"], "Stage": event["stage"], "Verb": event["verb"],
        "RequestUri": event["requestURI"], "User": event["user"].to_string(),
        "SourceIps": event["sourceIPs"], "UserAgent": event["userAgent"],
        "ObjectRef": event["objectRef"], "ResponseStatus": event["responseStatus"].to_string(),
        "Annotations": event["annotations"],
        "RequestReceivedTime": event["requestReceivedTimestamp"],
        "StageReceivedTime": event["stageTimestamp"],
    })
}

pub(super) fn record(event: &Value, way: Way) -> String {
    let line = String::from_utf8(events::line(event)).unwrap();
    let stage: Timestamp = event["stageTimestamp"].as_str().unwrap().parse().unwrap();
    match way {
        Way::Live | Way::LogLine => line.trim_end().to_owned(),
        Way::Cloudwatch => format!("{} {line}", stage).trim_end().to_owned(),
        Way::Diagnostic => {
            json!({"category": "kube-audit", "properties": {"log": line}}).to_string()
        }
        Way::TableRow => row(event).to_string(),
        Way::Gke => gke(event).to_string(),
        Way::Cut => {
            // Behind the status, so that the times and annotations are gone. The parts
            // stand in the order of their names here, so those before are moved in front.
            let mut event = event.clone();
            let annotations = event.as_object_mut().unwrap().remove("annotations");
            let mut text = event.to_string();
            text.truncate(text.find(",\"requestReceivedTimestamp").unwrap());
            assert!(annotations.is_some());
            // The status stands behind the times where members are sorted by name.
            let status = event["responseStatus"].to_string();
            let rest: Vec<String> = ["responseStatus", "stage", "user", "verb"]
                .iter()
                .map(|name| format!("\"{name}\":{}", event[*name]))
                .collect();
            let text = format!("{text},{},\"requestObject\":{{\"a\":\"b", rest.join(","));
            assert!(text.contains(&status));
            json!({"timestamp": stage.as_millisecond(), "message": text}).to_string()
        }
    }
}

impl Bench {
    fn import(&mut self, records: &[String]) -> (Told, crate::sources::import::Report) {
        let body = records.join("\n");
        let (arrival, report) = self.court.import(body.as_bytes(), None, "erin", self.now);
        (self.commit(vec![arrival]), report)
    }

    fn come(&mut self, event: &Value, way: Way) -> Told {
        match way {
            Way::Live => self.deliver(std::slice::from_ref(event)),
            way => self.import(&[record(event, way)]).0,
        }
    }

    /// Without outcomes: what came next is found by whatever order brings both, and that
    /// has tests of its own.
    fn size(&self) -> u64 {
        let outcomes = self.rows(Class::Outcome).len() as u64;
        self.store.as_ref().unwrap().size() - outcomes
    }
}

fn a_day() -> Vec<Value> {
    let mut day = Bench::day();
    (0..6)
        .map(|n| {
            if n % 3 == 2 {
                day.admitted()
            } else {
                day.denied()
            }
        })
        .collect()
}

#[test]
fn an_imported_record_says_who_brought_it_and_that_it_was_imported() {
    let mut bench = Bench::new();
    let day = a_day();
    let records: Vec<String> = day
        .iter()
        .map(|event| record(event, Way::Cloudwatch))
        .collect();
    let (told, report) = bench.import(&records);
    assert_eq!(told.records, [4]);
    assert_eq!((report.events["denied"], report.events["admitted"]), (4, 2));
    assert_eq!(report.shapes, BTreeMap::from([("eks", 6)]));
    for row in bench.rows(Class::Denial) {
        assert_eq!(
            (&row["source"], &row["testimony"]),
            (&json!("import"), &json!("verified"))
        );
    }
    let reader = Reader::open(&bench.dir.path().join("ledger")).unwrap();
    let page = Page {
        limit: 9,
        ..Page::default()
    };
    for row in reader.list(&Filter::default(), &page).unwrap() {
        let personal: Value = serde_json::from_slice(&row.personal.unwrap()).unwrap();
        assert_eq!(personal["importer"], "erin");
    }
    assert_eq!(bench.import(&records).0.records, [0]);
}

#[test]
fn a_broken_record_costs_only_itself_and_a_file_of_something_else_is_one_gap() {
    let mut bench = Bench::new();
    let day = a_day();
    let mut records = vec![
        record(&day[0], Way::LogLine),
        "{\"torn\":".into(),
        String::new(),
    ];
    records.push(record(&day[1], Way::Gke).replace("insertId", "insert"));
    records.push(record(&day[1], Way::Gke));
    let (told, report) = bench.import(&records);
    assert_eq!(
        (told.gaps["quarantined-item"], told.events["denied"]),
        (2, 2)
    );
    let lines: Vec<u64> = report.broken.iter().map(|broken| broken.line).collect();
    assert_eq!((lines, report.records), (vec![1, 3], 4));
    assert!(report.broken[0].why.contains("sha256"), "{report:?}");
    let size = bench.size();
    bench.restart();
    bench.import(&records);
    assert_eq!(bench.size(), size, "told once");
    let nonsense: Vec<String> = (0..100).map(|n| format!("nonsense {n}")).collect();
    let (told, report) = bench.import(&nonsense);
    assert_eq!(
        (told.gaps["quarantined-item"], report.broken.len()),
        (17, 100)
    );
    let counts = bench
        .rows(Class::Gap)
        .iter()
        .map(|gap| gap["count"].as_u64().unwrap())
        .max();
    assert_eq!(counts, Some(84));
}

#[test]
fn a_record_that_makes_the_examiner_panic_costs_itself_and_no_other() {
    let mut bench = Bench::new();
    bench.court.examine = crate::sources::testing::panics_at_pr_2;
    let day = a_day();
    let records = |way| -> Vec<String> { day.iter().map(|event| record(event, way)).collect() };
    for way in [Way::LogLine, Way::Gke] {
        let (told, report) = bench.import(&records(way));
        assert_eq!((told.gaps["quarantined-item"], report.broken.len()), (1, 1));
        assert_eq!(told.events["denied"], 3);
        assert!(report.broken[0].why.contains("panic"), "{report:?}");
    }
}

#[test]
fn numbers_that_an_import_brings_close_a_gap() {
    for way in [Way::LogLine, Way::Cloudwatch, Way::Gke, Way::TableRow] {
        let mut bench = Bench::new();
        let mut day = Bench::day();
        let (first, dropped, also, last) =
            (day.denied(), day.denied(), day.admitted(), day.denied());
        bench.deliver(&[first]);
        bench.deliver(&[last]);
        assert_eq!(bench.pass(300).gaps["numbers-missing"], 1);
        bench.restart();
        bench.come(&dropped, way);
        assert_eq!(
            bench.rows(Class::Amendment)[0]["kind"],
            "gap-narrowed",
            "{way:?}"
        );
        bench.come(&also, way);
        let closed = bench.rows(Class::Amendment);
        assert!(
            closed.iter().any(|row| row["kind"] == "gap-closed"),
            "{way:?}"
        );
        assert_eq!(bench.rows(Class::Denial).len(), 3);
    }
}

#[test]
fn an_import_in_time_keeps_a_gap_from_being_opened() {
    let mut bench = Bench::new();
    let day = a_day();
    bench.deliver(&day[..1]);
    bench.deliver(&day[5..]);
    bench.pass(200);
    for event in &day[1..5] {
        bench.come(event, Way::LogLine);
    }
    assert_eq!(bench.pass(3600), Told::default());
}

#[test]
fn an_import_opens_no_gap_by_itself() {
    // A process that nothing live has told of: older than the ledger, or not.
    for started in [-60, 1] {
        let mut bench = Bench::new();
        let mut day = Day::new(start() + SignedDuration::from_secs(started));
        let events: Vec<Value> = (0..6).map(|_| day.denied()).collect();
        for index in [4, 1] {
            bench.come(&events[index], Way::LogLine);
        }
        assert_eq!(bench.pass(3600), Told::default());
        bench.restart();
        assert_eq!(bench.pass(3600), Told::default());
        assert_eq!(bench.intake.missing(), 0);
    }
    // Behind what is known of a process too, until it is heard of again: then the holes
    // are its own, and what the import did bring is none.
    let mut bench = Bench::new();
    let day = a_day();
    bench.deliver(&day[..1]);
    bench.come(&day[3], Way::LogLine);
    assert_eq!(bench.pass(3600), Told::default());
    bench.deliver(&day[5..]);
    assert_eq!(bench.pass(299), Told::default());
    assert_eq!(bench.pass(1).gaps["numbers-missing"], 2);
    let mut missing: Vec<Value> = bench
        .rows(Class::Gap)
        .iter()
        .map(|g| g["numbers"].clone())
        .collect();
    missing.sort_by_key(ToString::to_string);
    assert_eq!(missing, [json!([3, 6]), json!([9, 10])]);
}

#[test]
fn what_the_witness_told_of_is_missed_even_where_an_import_brings_what_lies_behind() {
    let mut bench = Bench::new();
    let mut day = Bench::day();
    let events = [day.denied(), day.denied(), day.denied()];
    bench.deliver(&events[..1]);
    let polled = vec![(day.process.clone(), 6)];
    bench.commit(vec![Arrival {
        polled,
        ..Arrival::default()
    }]);
    bench.come(&events[2], Way::LogLine);
    assert_eq!(bench.pass(300).gaps["numbers-missing"], 1);
    assert_eq!(bench.rows(Class::Gap)[0]["numbers"], json!([3, 4]));
}

#[test]
fn a_testimony_in_another_raw_event_is_disputed_by_import_too() {
    let mut bench = Bench::new();
    let day = a_day();
    bench.come(&day[0], Way::Gke);
    bench.deliver(&day[..1]);
    bench.restart();
    let mut copy = day[0].clone();
    copy["auditID"] = "22222222-2222-4222-8222-222222222222".into();
    bench.come(&copy, Way::LogLine);
    let disputed = bench
        .rows(Class::Denial)
        .into_iter()
        .filter(|row| row["testimony"] == "disputed");
    assert_eq!(disputed.count(), 1);
}

/// An event and how it comes, with a restart before it or not.
fn comings(ways: &'static [Way]) -> impl Strategy<Value = Vec<(usize, Way, bool)>> {
    let one = (
        0..6_usize,
        proptest::sample::select(ways),
        proptest::bool::weighted(0.1),
    );
    proptest::collection::vec(one, 1..40)
}

const ALL: [Way; 7] = [
    Way::Live,
    Way::LogLine,
    Way::Cloudwatch,
    Way::Diagnostic,
    Way::TableRow,
    Way::Gke,
    Way::Cut,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn raw_events_are_one_by_whatever_way_and_however_often_they_come(comings in comings(&RAW)) {
        let mut bench = Bench::new();
        let day = a_day();
        for (event, way, restart) in &comings {
            if *restart {
                bench.restart();
            }
            bench.come(&day[*event], *way);
        }
        let mut denied: Vec<usize> = comings.iter().map(|(event, ..)| *event).filter(|e| e % 3 != 2).collect();
        denied.sort_unstable();
        denied.dedup();
        prop_assert_eq!(bench.size(), denied.len() as u64, "nothing but one denial each");
        let rows = bench.rows(Class::Denial);
        prop_assert!(rows.iter().all(|row| row["testimony"] == "verified"));
        // And the whole day once more, by every way.
        bench.restart();
        for way in RAW {
            for (event, ..) in &comings {
                bench.come(&day[*event], way);
            }
        }
        prop_assert_eq!(bench.size(), denied.len() as u64);
    }

    #[test]
    fn derived_events_are_linked_and_never_merged_in_any_order(comings in comings(&ALL)) {
        let mut bench = Bench::new();
        let day = a_day();
        let mut forms: BTreeMap<usize, BTreeSet<Way>> = BTreeMap::new();
        for (event, way, restart) in &comings {
            if *restart {
                bench.restart();
            }
            bench.come(&day[*event], *way);
            if event % 3 != 2 {
                let form = if RAW.contains(way) { Way::Live } else { *way };
                forms.entry(*event).or_default().insert(form);
            }
        }
        let rows = bench.rows(Class::Denial);
        let records: usize = forms.values().map(BTreeSet::len).sum();
        prop_assert_eq!(rows.len(), records);
        prop_assert!(rows.iter().all(|row| row["testimony"] != "disputed"), "{:#?}", rows);
        let links = bench.rows(Class::Amendment);
        prop_assert!(links.iter().all(|row| row["kind"] == "same-request"), "{:#?}", links);
        // Each form of a request with each other one, on both records.
        let pairs: usize = forms.values().map(|forms| forms.len() * (forms.len() - 1)).sum();
        prop_assert_eq!(links.len(), pairs, "{:?}", forms);
        let size = bench.size();
        bench.restart();
        for (event, way, _) in comings.iter().rev() {
            bench.come(&day[*event], *way);
        }
        prop_assert_eq!(bench.size(), size, "a second time changes nothing");
        prop_assert!(bench.pass(3600).gaps.is_empty() || comings.iter().any(|(_, way, _)| *way == Way::Live));
    }
}

#[test]
fn every_way_is_either_raw_or_derived() {
    let mut all: Vec<Way> = RAW.into_iter().chain(DERIVED).collect();
    all.sort_unstable();
    let mut listed = ALL.to_vec();
    listed.sort_unstable();
    assert_eq!(all, listed);
}

/// A law, and what Kyverno made of it, as the watch writes them.
fn law_and_made(id: &str, object: &Value) -> Vec<NewEntry> {
    let read = docket_record::law::Object::read(object).unwrap();
    let law = json!({
        "id": id, "time": start(), "change": "created", "apiVersion": read.api_version,
        "kind": object["kind"], "name": read.place.name, "hash": read.hash, "text": read.text,
    });
    let made = json!({
        "id": format!("made-{id}"), "time": start() + SignedDuration::from_hours(30),
        "amends": id, "kind": "law-autogen", "autogen": read.autogen,
    });
    let entry = |class, public: &Value| NewEntry {
        id: public["id"].as_str().unwrap().to_owned(),
        class,
        public: json(public),
        personal: None,
        exhibit: None,
    };
    vec![entry(Class::Law, &law), entry(Class::Amendment, &made)]
}

/// The API server's word on a Deployment that was refused.
fn refused(name: &str, said: &str) -> Value {
    let at = format!("{:.6}", start() + SignedDuration::from_hours(1));
    json!({
        "level": "Metadata", "auditID": name,
        "stage": "ResponseComplete", "verb": "create",
        "requestURI": "/apis/apps/v1/namespaces/krate-org-acme/deployments",
        "user": {"username": "dana", "groups": ["developers"]},
        "objectRef": {"resource": "deployments", "namespace": "krate-org-acme", "name": name,
            "apiGroup": "apps", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "status": "Failure", "message": said, "code": 400},
        "requestReceivedTimestamp": at, "stageTimestamp": at,
    })
}

#[test]
fn a_deployment_of_long_ago_is_exact_by_what_kyverno_made_of_a_policy_on_pods() {
    let rule = |name: &str, kind: &str| {
        json!({"name": name, "validate": {"failureAction": "Enforce"},
            "match": {"any": [{"resources": {"kinds": [kind]}}]}})
    };
    let legacy = json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
        "metadata": {"name": "no-latest"}, "spec": {"rules": [rule("tag", "Pod")]},
        "status": {"autogen": {"rules": [rule("autogen-tag", "Deployment"),
            rule("autogen-cronjob-tag", "CronJob")]}}});
    let cel = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "no-host"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "validations": [{"message": "object.spec.hostNetwork"}]},
        "status": {"autogen": {"configs": {"defaults": {
            "targets": [{"group": "apps", "resource": "deployments"}],
            "spec": {"validations": [{"message": "object.spec.template.spec.hostNetwork"}]}}}}}});
    let block = "admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource \
                 Deployment/krate-org-acme/old was blocked due to the following policies \n\n\
                 no-latest:\n  autogen-tag: 'validation error: no latest'\n";
    let said = "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: \
                Policy no-host failed: object.spec.template.spec.hostNetwork";
    let events = [refused("old", block), refused("new", said)];
    for (with_amendments, grade) in [(true, "exact"), (false, "ambiguous")] {
        let mut bench = Bench::new();
        // Days later: the watch's own book does not reach back so far.
        bench.now = start() + SignedDuration::from_hours(48);
        let laws = crate::law::Laws::new(Some(bench.dir.path().join("ledger")));
        let mut shelves = docket_record::law::Shelves::default();
        shelves.begin(bench.now);
        laws.publish(shelves.book(true));
        bench.court.laws = Arc::new(laws);
        let laws = [("law-1", &legacy), ("law-2", &cel)];
        let mut entries: Vec<NewEntry> = laws
            .into_iter()
            .flat_map(|(id, object)| law_and_made(id, object))
            .collect();
        entries.retain(|entry| with_amendments || entry.class == Class::Law);
        bench.commit(vec![Arrival {
            entries,
            ..Arrival::default()
        }]);
        let lines: Vec<u8> = events.iter().flat_map(events::line).collect();
        let (arrival, report) = bench.court.import(&lines, None, "erin", bench.now);
        assert!(report.broken.is_empty(), "{:?}", report.broken);
        bench.commit(vec![arrival]);
        let owed: Vec<Value> = bench
            .rows(Class::Denial)
            .into_iter()
            .map(|row| row["attributions"][0].clone())
            .collect();
        assert_eq!(owed.len(), 2);
        for one in owed {
            assert_eq!(one["grade"], grade, "{one}");
            let law = if one["policy"] == "no-host" {
                "law-2"
            } else {
                "law-1"
            };
            assert_eq!(one["laws"], json!([law]));
        }
    }
}
