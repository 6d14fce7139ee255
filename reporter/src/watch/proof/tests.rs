//! What closes the gap of an absence, and what leaves it open.

use super::*;
use serde_json::json;

const HOOKS: &str = "admissionregistration.k8s.io/ValidatingWebhookConfiguration";
const POLICY: &str = "policies.kyverno.io/ValidatingPolicy";

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn absence() -> Absence {
    Absence {
        gap: "g".into(),
        from: time(100),
        to: time(130),
        regenerated: [(HOOKS.to_owned(), "k".to_owned())].into(),
    }
}

fn file(whole_since: i64, read_to: i64) -> Option<FileState> {
    let row = json!({
        "whole_since": time(whole_since).as_millisecond(),
        "read_to": time(read_to).as_microsecond(),
    });
    Some(serde_json::from_value(row).unwrap())
}

/// One log, read without a break from long before until long after; nothing written.
fn evidence() -> Evidence {
    Evidence {
        files: BTreeMap::from([("log".to_owned(), file(0, 200))]),
        gaps: Vec::new(),
        writes: Some(LawWrites::new(time(0))),
        servers: 1,
    }
}

fn write(kind: &str, verb: &str, name: &str, second: i64) -> LawWrite {
    LawWrite {
        event: format!("{verb} {name} {second}"),
        kind: kind.into(),
        namespace: String::new(),
        name: name.into(),
        verb: verb.into(),
        received: time(second),
        time: time(second),
    }
}

fn after(writes: &[LawWrite]) -> Proof {
    let mut evidence = evidence();
    for write in writes {
        evidence.writes.as_mut().unwrap().add(write.clone());
    }
    evidence.judge(&absence(), |write| write.name != "gone")
}

#[track_caller]
fn never(proof: &Proof, because: &str) {
    match proof {
        Proof::None(why) => assert!(why.contains(because), "{why}"),
        other => panic!("{other:?}"),
    }
}

fn made(proof: &Proof) -> &str {
    match proof {
        Proof::Made(says) => says,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_that_was_read_without_a_break_and_tells_of_no_write_is_a_proof() {
    let says = after(&[
        write(POLICY, "update", "p", 97),
        write(POLICY, "update", "p", 133),
    ]);
    assert!(made(&says).contains("(log)"), "{says:?}");
}

#[test]
fn a_write_to_a_policy_in_that_time_leaves_the_gap_open() {
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        never(&after(&[write(POLICY, verb, "p", 110)]), verb);
    }
    // A clock may be off by two seconds, and a write may have begun long before.
    never(&after(&[write(POLICY, "patch", "p", 98)]), "patch");
    never(&after(&[write(POLICY, "patch", "p", 132)]), "patch");
    let mut long = write(POLICY, "patch", "p", 140);
    long.received = time(90);
    never(&after(&[long]), "patch");
}

#[test]
fn a_hook_may_be_written_and_be_the_same_once_where_its_generation_is_another() {
    let once = after(&[
        write(HOOKS, "update", "k", 110),
        write(HOOKS, "patch", "l", 115),
    ]);
    assert!(made(&once).ends_with("the same: k, l"), "{once:?}");
    // The second one may have undone the first.
    let twice = [
        write(HOOKS, "update", "k", 110),
        write(HOOKS, "update", "k", 115),
    ];
    never(&after(&twice), "update of");
    // With the generation that it had, none of them was another.
    let again = [
        write(HOOKS, "update", "l", 110),
        write(HOOKS, "update", "l", 115),
    ];
    assert!(made(&after(&again)).ends_with("the same: l"));
    never(&after(&[write(HOOKS, "update", "gone", 110)]), "gone");
    never(&after(&[write(HOOKS, "delete", "k", 110)]), "delete");
    never(&after(&[write(HOOKS, "create", "k", 110)]), "create");
}

#[test]
fn a_log_that_began_or_broke_off_meanwhile_proves_nothing() {
    for since in [95, 110, 300] {
        let mut evidence = evidence();
        evidence.files.insert("log".into(), file(since, 400));
        never(&evidence.judge(&absence(), |_| true), "without a break");
    }
    // A row of an earlier version says nothing of it.
    let mut evidence = evidence();
    let row = json!({"read_to": time(200).as_microsecond()});
    let row = serde_json::from_value(row).unwrap();
    evidence.files.insert("log".into(), Some(row));
    never(&evidence.judge(&absence(), |_| true), "without a break");
}

#[test]
fn an_open_gap_of_the_log_of_that_time_leaves_the_gap_open() {
    let with = |noticed, from, to| {
        let mut evidence = evidence();
        evidence.gaps.push(OpenGap {
            source: "log".into(),
            noticed: time(noticed),
            from: Some(time(from)),
            to: Some(time(to)),
        });
        evidence.judge(&absence(), |_| true)
    };
    never(&with(50, 40, 110), "open gap");
    // What can't be read is noticed when it is read.
    never(&with(150, 150, 150), "open gap");
    made(&with(50, 40, 50));
}

#[test]
fn it_is_waited_until_each_log_is_read_past_the_end() {
    let judge = |files: &[(&str, Option<FileState>)]| {
        let evidence = Evidence {
            files: files
                .iter()
                .map(|(name, state)| ((*name).to_owned(), *state))
                .collect(),
            ..evidence()
        };
        evidence.judge(&absence(), |_| true)
    };
    assert_eq!(judge(&[("log", file(0, 139))]), Proof::Waits);
    assert_eq!(
        judge(&[("log", file(0, 140)), ("other", file(0, 120))]),
        Proof::Waits
    );
    assert_eq!(
        judge(&[("log", file(0, 140)), ("other", None)]),
        Proof::Waits
    );
    assert_eq!(judge(&[]), Proof::Waits);
    made(&judge(&[("log", file(0, 140)), ("other", file(0, 140))]));
}

#[test]
fn an_api_server_whose_log_is_not_read_may_have_taken_writes() {
    let mut evidence = evidence();
    evidence.servers = 2;
    never(&evidence.judge(&absence(), |_| true), "2 API servers");
    evidence.files.insert("other".into(), file(0, 200));
    made(&evidence.judge(&absence(), |_| true));
}

#[test]
fn more_writes_than_are_remembered_prove_nothing_of_the_time_before() {
    let mut many: Vec<LawWrite> = Vec::new();
    for number in 0..600 {
        many.push(write(POLICY, "patch", &format!("p{number}"), 150 + number));
    }
    // The oldest that went is of 237 s.
    never(&after(&many), "not all writes");
    // Told twice, by two sources, it is one.
    let mut once = evidence();
    let writes = once.writes.as_mut().unwrap();
    for _ in 0..600 {
        writes.add(write(HOOKS, "update", "k", 110));
    }
    made(&once.judge(&absence(), |_| true));
}
