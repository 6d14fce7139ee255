//! Numbers that stay away: explained by the event of their request, or a gap that names it.

use super::*;
use docket_record::numbers::NumberedReview;
use serde_json::json;
use std::collections::BTreeSet;

/// A core whose questions the test answers.
struct Asked {
    bench: Bench,
    to_ask: Arc<NumbersToAsk>,
    day: Day,
}

impl Asked {
    fn new() -> Asked {
        let mut asked = Asked {
            bench: Bench::new(),
            to_ask: Arc::default(),
            day: Bench::day(),
        };
        asked.to_ask.serve();
        asked.restart();
        asked
    }

    fn restart(&mut self) {
        self.bench.restart();
        let mut store = self.bench.store.take().unwrap();
        let intake = Intake::load(&mut store, self.bench.waits, self.bench.now).unwrap();
        self.bench.intake = intake.asking(Arc::clone(&self.to_ask));
        self.bench.store = Some(store);
    }

    /// Numbers that are to be asked about now.
    fn asked(&self) -> BTreeSet<u64> {
        self.to_ask.now().into_values().flatten().collect()
    }

    /// The witness remembers these of what it is asked about now.
    fn answer(&mut self, reviews: &[NumberedReview]) {
        assert!(self.answer_what_is_asked(reviews), "nothing is asked");
    }

    fn answer_what_is_asked(&mut self, reviews: &[NumberedReview]) -> bool {
        let numbers = self.asked();
        if numbers.is_empty() {
            return false;
        }
        let answered = Answered {
            process: self.day.process.clone(),
            reviews: reviews
                .iter()
                .filter(|review| numbers.contains(&review.number))
                .cloned()
                .collect(),
            numbers: numbers.into_iter().collect(),
        };
        self.bench.commit(vec![Arrival {
            answered: vec![answered],
            ..Arrival::default()
        }]);
        true
    }

    /// Between two writes that are on record: numbers 1, 2 and the last two.
    fn between(&mut self, deliver: impl FnOnce(&mut Day) -> Vec<Value>) {
        let first = self.day.admitted();
        let mut items = deliver(&mut self.day);
        items.insert(0, first);
        items.push(self.day.admitted());
        self.bench.deliver(&items);
    }

    /// All that is missed is asked about, answered, and waited for to the end.
    fn answered_and_waited_for(&mut self, reviews: &[NumberedReview]) -> Told {
        self.bench.pass(30);
        self.answer(reviews);
        self.bench.pass(270)
    }

    fn gaps(&self) -> Vec<Value> {
        self.bench.rows(Class::Gap)
    }

    /// Personal parts of the gaps, newest first.
    fn who(&self) -> Vec<Value> {
        let reader = Reader::open(&self.bench.dir.path().join("ledger")).unwrap();
        let gaps = reader.gaps(false).unwrap().into_iter();
        gaps.map(|gap| {
            gap.row
                .personal
                .map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
        })
        .collect()
    }
}

#[test]
fn a_number_whose_request_came_without_our_annotation_is_no_gap() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        let (event, hung_up) = day.hung_up();
        reviews = hung_up;
        vec![event]
    });
    assert_eq!(asked.bench.pass(29), Told::default());
    assert!(asked.asked().is_empty(), "most events take seconds");
    asked.bench.pass(1);
    assert_eq!(asked.bench.intake.missing(), 2);
    asked.answer(&reviews);
    let told = asked.bench.pass(30);
    assert_eq!(told.absent["explained"], 2);
    assert_eq!(asked.bench.intake.missing(), 0);
    asked.restart();
    assert_eq!(asked.bench.pass(3600), Told::default());
    assert!(asked.gaps().is_empty());
}

#[test]
fn an_admitted_write_without_our_annotation_explains_its_number_too() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        let mut event = day.admitted();
        reviews = day.reviews(&event);
        // The answer of the validating hook alone was lost.
        let annotations = event["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| key.starts_with("witness."));
        vec![event]
    });
    let told = asked.answered_and_waited_for(&reviews);
    assert_eq!(told.absent["explained"], 1);
    assert!(asked.gaps().is_empty());
}

#[test]
fn a_gap_names_the_write_that_is_missing_and_its_personal_part_who_wrote_what() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        let hidden = day.denied();
        reviews = day.reviews(&hidden);
        vec![]
    });
    let told = asked.answered_and_waited_for(&reviews);
    assert_eq!(told.absent, BTreeMap::from([("named", 2), ("unnamed", 0)]));
    let gap = &asked.gaps()[0];
    assert_eq!(gap["numbers"], json!([3, 4]));
    assert_eq!(gap.get("detail"), None, "{gap}");
    let write = |place: usize, hook: &str| {
        json!({
            "number": 3 + place, "hook": hook, "time": reviews[place].time, "operation": "CREATE",
            "group": "krate.a5c.ai", "resource": "pullrequests", "namespace": "krate-org-acme",
        })
    };
    assert_eq!(
        gap["writes"],
        json!([write(0, "witness"), write(1, "final")])
    );
    assert!(!gap.to_string().contains("pr-2"), "{gap}");
    let who = |number: u64| json!({"number": number, "name": "pr-2", "user": "jane@acme.example"});
    assert_eq!(asked.who(), [json!({"writes": [who(3), who(4)]})]);
}

#[test]
fn an_event_of_another_write_user_or_time_explains_nothing() {
    type Change = fn(&mut Value);
    let changes: [Change; 6] = [
        |event| event["objectRef"]["name"] = "another".into(),
        |event| event["objectRef"]["namespace"] = "krate-org-globex".into(),
        |event| event["objectRef"]["subresource"] = "status".into(),
        |event| event["user"]["username"] = "bob".into(),
        |event| event["verb"] = "delete".into(),
        |event| {
            event["requestReceivedTimestamp"] = "2026-11-22T23:10:00.000000Z".into();
            event["stageTimestamp"] = "2026-11-22T23:10:01.000000Z".into();
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut asked = Asked::new();
        let mut reviews = Vec::new();
        asked.between(|day| {
            let (mut event, hung_up) = day.hung_up();
            change(&mut event);
            reviews = hung_up;
            vec![event]
        });
        let told = asked.answered_and_waited_for(&reviews);
        assert_eq!(told.absent.get("explained"), None, "change {at}");
        assert_eq!(asked.gaps().len(), 1, "change {at}");
    }
}

#[test]
fn an_event_refused_before_admission_explains_nothing() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        let (mut event, hung_up) = day.hung_up();
        event["annotations"]["authorization.k8s.io/decision"] = "forbid".into();
        event["responseStatus"] = json!({"metadata": {}, "code": 403, "reason": "Forbidden",
            "message": "pullrequests.krate.a5c.ai \"pr-2\" is forbidden: User \"jane\" cannot create"});
        reviews = hung_up;
        vec![event]
    });
    assert_eq!(
        asked.answered_and_waited_for(&reviews).gaps["numbers-missing"],
        1
    );
}

#[test]
fn one_event_explains_one_number_of_each_hook() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        // The same write at the same time, twice; of the second one the event is hidden.
        let (event, mut both) = day.hung_up();
        let (_, hidden) = day.hung_up();
        for (one, other) in both.clone().into_iter().zip(hidden) {
            both.push(NumberedReview {
                number: other.number,
                ..one
            });
        }
        reviews = both;
        // However often and by whatever way it comes.
        vec![event.clone(), event]
    });
    let told = asked.answered_and_waited_for(&reviews);
    assert_eq!(told.gaps["numbers-missing"], 1);
    let gap = &asked.gaps()[0];
    assert_eq!(
        (&gap["count"], &gap["numbers"]),
        (&json!(2), &json!([5, 6]))
    );
    assert_eq!(asked.who()[0]["writes"][0]["name"], "pr-2");
}

#[test]
fn a_number_that_comes_after_it_was_explained_is_no_dispute() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    let mut late = Value::Null;
    asked.between(|day| {
        late = day.denied();
        reviews = day.reviews(&late);
        // Another request for the same write, which never got to our hooks.
        let mut other = late.clone();
        other["annotations"] = json!({});
        other["auditID"] = "9".into();
        other["responseStatus"] =
            json!({"metadata": {}, "code": 504, "reason": "Timeout", "message": "Timeout"});
        vec![other]
    });
    assert_eq!(
        asked.answered_and_waited_for(&reviews).absent["explained"],
        2
    );
    asked.restart();
    asked.bench.deliver(&[late]);
    let denials = asked.bench.rows(Class::Denial);
    assert_eq!(denials.len(), 1);
    assert_eq!(denials[0]["testimony"], "verified");
    assert!(asked.bench.rows(Class::Amendment).is_empty());
    assert_eq!(asked.bench.pass(3600), Told::default());
}

#[test]
fn an_event_without_our_annotation_closes_the_gap_when_it_comes_late_or_by_an_import() {
    for imported in [false, true] {
        let mut asked = Asked::new();
        let (mut reviews, mut late) = (Vec::new(), Value::Null);
        asked.between(|day| {
            (late, reviews) = day.hung_up();
            vec![]
        });
        let told = asked.answered_and_waited_for(&reviews);
        assert_eq!(told.gaps["numbers-missing"], 1);
        asked.restart();
        let mut arrival =
            asked
                .bench
                .court
                .delivery("api", &events::list(&[late]), asked.bench.now);
        arrival.imported = imported;
        let told = asked.bench.commit(vec![arrival]);
        assert_eq!(told.absent["explained"], 2);
        let amendments = asked.bench.rows(Class::Amendment);
        assert_eq!(amendments.len(), 1, "{amendments:?}");
        assert_eq!(amendments[0]["kind"], "gap-closed");
        assert_eq!(amendments[0]["numbers"], json!([3, 4]));
        assert_eq!(amendments[0]["amends"], asked.gaps()[0]["id"]);
    }
}

#[test]
fn what_no_witness_remembers_is_a_gap_without_a_name_that_says_so() {
    let mut asked = Asked::new();
    asked.between(|day| {
        day.denied();
        vec![]
    });
    let told = asked.answered_and_waited_for(&[]);
    assert_eq!(told.absent, BTreeMap::from([("named", 0), ("unnamed", 2)]));
    let gap = &asked.gaps()[0];
    assert_eq!(gap["detail"], "2 were given for what no witness remembers");
    assert_eq!((gap.get("writes"), asked.who()), (None, vec![Value::Null]));
}

#[test]
fn a_witness_that_does_not_answer_is_asked_again_and_said_and_holds_up_nothing() {
    let mut asked = Asked::new();
    asked.between(|day| {
        day.denied();
        vec![]
    });
    for second in 30..300 {
        let now = asked.bench.pass(if second == 30 { 30 } else { 1 });
        assert!(now.gaps.is_empty(), "{second}");
        let expected = if second % 10 == 0 { 2 } else { 0 };
        assert_eq!(asked.asked().len(), expected, "{second}");
    }
    assert_eq!(asked.bench.pass(1).gaps["numbers-missing"], 1);
    let said = "2 were given by a witness that could not be asked what for";
    assert_eq!(asked.gaps()[0]["detail"], said);
}

#[test]
fn after_a_restart_a_gap_waits_for_the_answer_about_its_numbers_and_not_for_long() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        let hidden = day.denied();
        reviews = day.reviews(&hidden);
        vec![]
    });
    asked.bench.now += SignedDuration::from_hours(1);
    asked.restart();
    assert!(asked.bench.pass(0).gaps.is_empty(), "it is asked first");
    asked.answer(&reviews);
    assert_eq!(asked.bench.pass(1).absent["named"], 2);
    assert_eq!(asked.who()[0]["writes"][1]["user"], "jane@acme.example");

    asked.between(|day| {
        day.denied();
        vec![]
    });
    asked.bench.now += SignedDuration::from_hours(1);
    asked.restart();
    asked.bench.pass(0);
    assert!(asked.bench.pass(4).gaps.is_empty());
    assert_eq!(
        asked.bench.pass(1).gaps["numbers-missing"],
        1,
        "no answer came"
    );
}

#[test]
fn a_gap_names_so_many_writes_and_counts_the_others() {
    let mut asked = Asked::new();
    let mut reviews = Vec::new();
    asked.between(|day| {
        for _ in 0..50 {
            let hidden = day.denied();
            reviews.extend(day.reviews(&hidden));
        }
        vec![]
    });
    let told = asked.answered_and_waited_for(&reviews);
    assert_eq!(told.absent["named"], 100);
    let gap = &asked.gaps()[0];
    assert_eq!(gap["writes"].as_array().unwrap().len(), 64);
    assert_eq!(gap["detail"], "36 more writes are known and not named here");
}

#[test]
fn clients_that_hang_up_by_the_thousand_make_no_gap() {
    let mut asked = Asked::new();
    let mut known = Vec::new();
    let mut explained = 0;
    // Between any two of them one write is on record, so each is a hole of its own: more
    // than are kept at one time.
    let (seconds, each) = (60, 80);
    for second in 0..seconds + 60 {
        if second < seconds {
            let mut items = Vec::new();
            for _ in 0..each {
                let (event, reviews) = asked.day.hung_up();
                items.extend([event, asked.day.admitted()]);
                known.extend(reviews);
            }
            asked.bench.deliver(&items);
        }
        let told = asked.bench.pass(1);
        assert!(told.gaps.is_empty(), "in second {second}");
        explained += told.absent.get("explained").copied().unwrap_or(0);
        asked.answer_what_is_asked(&known);
    }
    assert_eq!(explained, 2 * seconds * each);
    assert_eq!(asked.bench.intake.missing(), 0);
    assert!(asked.gaps().is_empty());
}
