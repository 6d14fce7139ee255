//! What the table makes of what watches tell, without a watch.

use super::*;
use docket_record::law::{AWAY, Body, PENDING};
use serde_json::json;

const VPOL: &str = "ValidatingPolicy";

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn kind() -> &'static Kind {
    Kind::of("policies.kyverno.io", VPOL).unwrap()
}

fn object(name: &str, action: &str, generation: i64, version: &str) -> Object {
    Object::read(&json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": VPOL,
        "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": generation,
            "resourceVersion": version},
        "spec": {"validationActions": [action]},
    }))
    .unwrap()
}

fn list(table: &mut Table, objects: &[Object], now: i64) {
    table.served(kind());
    table.listed(kind(), objects.to_vec(), time(now), time(now));
}

/// Takes what is due: (name, change, summary), and the gaps.
fn take(table: &mut Table) -> (Vec<Entry>, Vec<Gap>) {
    let (entries, gaps) = table.due(usize::MAX);
    let taken = (entries.to_vec(), gaps.to_vec());
    table.committed(taken.0.len(), taken.1.len());
    taken
}

fn said(entries: &[Entry]) -> Vec<(&str, &str, Vec<&str>)> {
    entries
        .iter()
        .map(|entry| {
            let lines = entry.summary.iter().map(String::as_str).collect();
            (entry.name.as_str(), entry.change.name(), lines)
        })
        .collect()
}

/// The same, loaded again from what was written.
fn restart(table: &Table, entries: &[Entry]) -> Table {
    let recorded = |entry: &Entry| Recorded {
        entry: entry.clone(),
        autogen: Vec::new(),
    };
    let state = [
        (KNOWN.to_owned(), table.known(0)),
        (ABSENCES.to_owned(), table.unproven()),
    ];
    let laws = entries.iter().map(recorded).collect();
    Table::load(laws, time(-1000), &state)
}

#[test]
fn each_version_is_one_entry_however_often_it_is_told() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    // A status that changes is no new law.
    table.apply(object("p", "Deny", 1, "2"), None, time(1));
    table.apply(object("p", "Audit", 2, "3"), None, time(2));
    table.apply(object("p", "Audit", 2, "4"), None, time(3));
    table.apply(object("q", "Deny", 1, "5"), None, time(4));
    table.delete(&object("p", "Audit", 2, "6"), None, time(5));
    table.delete(&object("p", "Audit", 2, "6"), None, time(5));
    let (entries, gaps) = take(&mut table);
    assert_eq!(
        said(&entries),
        [
            ("p", "first-seen", vec!["validationActions: Deny"]),
            ("p", "changed", vec!["validationActions: Deny → Audit"]),
            ("q", "created", vec!["validationActions: Deny"]),
            ("p", "deleted", vec!["was validationActions: Audit"]),
        ]
    );
    assert!(gaps.is_empty());
    assert_eq!(entries[1].previous.as_ref(), Some(&entries[0].id));
    assert_eq!(entries[3].previous.as_ref(), Some(&entries[1].id));
    assert!(entries[0].enforces && !entries[1].enforces);
    assert_eq!(
        entries[0].text["spec"]["validationActions"],
        json!(["Deny"])
    );
    let ids: BTreeSet<&String> = entries.iter().map(|entry| &entry.id).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_restart_writes_nothing_again_and_says_how_long_nobody_watched() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    table.alive(kind(), time(10));
    let (entries, _) = take(&mut table);
    let mut table = restart(&table, &entries);
    list(&mut table, &[object("p", "Deny", 1, "9")], 60);
    let (again, gaps) = take(&mut table);
    assert_eq!(again, []);
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (
            gaps[0].source.as_str(),
            gaps[0].cause,
            gaps[0].from,
            gaps[0].to
        ),
        ("law", Cause::LawWatchAway, time(10), time(60))
    );
    // It was not changed, and so it was in force at all times.
    let book = table.book(time(-1000), true);
    let list = book.at(time(30));
    assert_eq!(list.policies.len(), 1);
    assert_eq!(list.policies[0].doubt, None);
    assert_eq!(list.policies[0].law_id, entries[0].id);
}

#[test]
fn what_changed_while_nobody_watched_is_an_entry_that_says_since_when() {
    let mut table = Table::default();
    let before = [
        object("p", "Deny", 1, "1"),
        object("q", "Deny", 1, "2"),
        object("r", "Deny", 1, "3"),
    ];
    list(&mut table, &before, 0);
    let (mut entries, _) = take(&mut table);
    let mut table = restart(&table, &entries);
    let after = [
        object("p", "Audit", 2, "7"),
        object("r", "Deny", 3, "8"),
        object("s", "Deny", 1, "9"),
    ];
    list(&mut table, &after, 60);
    let (found, gaps) = take(&mut table);
    assert_eq!(
        said(&found),
        [
            ("p", "changed", vec!["validationActions: Deny → Audit"]),
            (
                "r",
                "changed",
                vec!["changed, and changed back while nobody watched"]
            ),
            ("s", "created", vec!["validationActions: Deny"]),
            ("q", "deleted", vec!["was validationActions: Deny"]),
        ]
    );
    assert!(found.iter().all(|entry| entry.after == Some(time(0))));
    let detail = gaps[0].detail.as_deref().unwrap();
    assert!(detail.contains("4 changes"), "{detail}");
    let book = table.book(time(-1000), true);
    let then = book.at(time(30));
    assert!(then.policies.iter().all(|policy| policy.doubt.is_some()));
    assert_eq!(
        then.policies
            .iter()
            .filter(|policy| policy.name == "p")
            .count(),
        2
    );
    // And once more from the ledger: nothing is new.
    entries.extend(found);
    let mut table = restart(&table, &entries);
    list(&mut table, &after, 90);
    assert_eq!(take(&mut table).0, []);
}

#[test]
fn a_policy_made_anew_with_the_same_text_is_another_version() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    let mut again = object("p", "Deny", 1, "5");
    again.uid = "another".into();
    table.broke(kind());
    list(&mut table, &[again], 20);
    let (entries, _) = take(&mut table);
    assert_eq!(entries[1].summary, ["deleted and created again"]);
    assert_ne!(entries[0].id, entries[1].id);
}

#[test]
fn a_watch_that_breaks_leaves_doubt_until_its_list_and_a_gap_after_it() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    take(&mut table);
    table.alive(kind(), time(20));
    table.broke(kind());
    let doubted = |table: &mut Table, at| {
        let list = table.book(time(-1000), true).at(time(at));
        list.policies[0].doubt.is_some()
    };
    assert!(!doubted(&mut table, 5) && doubted(&mut table, 25));
    assert_eq!(take(&mut table).1, []);
    list(&mut table, &[object("p", "Deny", 1, "1")], 50);
    assert!(!doubted(&mut table, 25));
    let (_, gaps) = take(&mut table);
    assert_eq!((gaps[0].from, gaps[0].to), (time(20), time(50)));
}

#[test]
fn an_absence_that_lasts_is_told_while_it_lasts() {
    const HOUR: i64 = 3600;
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    let (entries, _) = take(&mut table);
    table.lasts(time(-HOUR), time(2 * HOUR));
    assert_eq!(take(&mut table).1, [], "it is watched");
    table.broke(kind());
    table.lasts(time(-HOUR), time(HOUR - 1));
    assert_eq!(take(&mut table).1, []);
    table.lasts(time(-HOUR), time(HOUR));
    table.lasts(time(-HOUR), time(HOUR + 10));
    let (_, first) = take(&mut table);
    assert_eq!((first[0].from, first[0].to), (time(0), time(HOUR)));
    assert_eq!(first.len(), 1);
    // A restart believes in the whole of it, and that is another gap.
    let mut restarted = restart(&table, &entries);
    restarted.lasts(time(HOUR + 15), time(HOUR + 20));
    list(&mut restarted, &[object("p", "Deny", 1, "1")], HOUR + 20);
    let (_, whole) = take(&mut restarted);
    assert_eq!(whole[0].from, time(0));
    assert_ne!(whole[0].id, first[0].id);
    assert_eq!(restarted.absences().count(), 1);
    list(&mut table, &[object("p", "Deny", 1, "1")], HOUR + 30);
    let (_, rest) = take(&mut table);
    assert_eq!((rest[0].from, rest[0].to), (time(HOUR), time(HOUR + 30)));
    assert_eq!(table.absences().count(), 0);
}

#[test]
fn one_absence_of_several_watches_is_one_gap() {
    let other = Kind::of("kyverno.io", "ClusterPolicy").unwrap();
    let mut table = Table::default();
    list(&mut table, &[], 0);
    table.served(other);
    table.listed(other, Vec::new(), time(0), time(0));
    table.broke(kind());
    table.broke(other);
    list(&mut table, &[], 30);
    assert_eq!(take(&mut table).1, [], "the other is still away");
    table.listed(other, Vec::new(), time(40), time(40));
    let (_, gaps) = take(&mut table);
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].from, gaps[0].to), (time(0), time(40)));
}

#[test]
fn a_kind_that_is_served_no_longer_takes_its_policies_with_it_at_the_second_look() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    take(&mut table);
    table.unserved(kind(), time(30), time(30));
    assert_eq!(take(&mut table).0, []);
    table.unserved(kind(), time(60), time(60));
    let (entries, _) = take(&mut table);
    assert_eq!(said(&entries)[0].1, "deleted");
}

#[test]
fn a_kind_that_is_installed_later_was_not_watched_between_two_looks() {
    let mut table = Table::default();
    table.unserved(kind(), time(0), time(0));
    table.unserved(kind(), time(30), time(30));
    list(&mut table, &[object("p", "Deny", 1, "1")], 60);
    let (entries, gaps) = take(&mut table);
    assert_eq!(said(&entries)[0].1, "created");
    assert_eq!(entries[0].after, Some(time(30)));
    assert_eq!(gaps.len(), 1);
}

#[test]
fn a_failed_commit_loses_nothing() {
    let mut table = Table::default();
    list(
        &mut table,
        &[object("p", "Deny", 1, "1"), object("q", "Deny", 1, "2")],
        0,
    );
    let first = table.due(1).0.to_vec();
    assert_eq!(table.due(1).0, first);
    table.committed(1, 0);
    assert_eq!(table.due(9).0[0].name, "q");
}

#[test]
fn a_version_that_is_not_on_record_yet_is_a_doubt_from_its_receipt_on() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    take(&mut table);
    table.apply(object("p", "Audit", 2, "2"), None, time(100));
    let at = |table: &mut Table, second| {
        let list = table.book(time(-1000), true).at(time(second));
        let of = |policy: &docket_record::policies::Policy| {
            let actions = policy.enforces;
            (actions, policy.doubt)
        };
        list.policies.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(at(&mut table, 80), [(true, None)]);
    assert_eq!(at(&mut table, 500), [(true, Some(PENDING))]);
    // Another one that comes meanwhile does not make the doubt younger.
    table.apply(object("p", "Deny", 3, "3"), None, time(300));
    assert_eq!(at(&mut table, 150), [(true, Some(PENDING))]);
    table.committed(1, 0);
    assert_eq!(at(&mut table, 150), [(false, None)]);
    assert_eq!(at(&mut table, 500), [(false, Some(PENDING))]);
    table.committed(1, 0);
    assert_eq!(at(&mut table, 500), [(true, None)]);
}

#[test]
fn what_was_known_and_not_on_record_is_found_again_after_a_crash() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    let (entries, _) = take(&mut table);
    table.apply(object("p", "Audit", 2, "2"), None, time(20));
    // A sign of life is kept, the version was not.
    table.alive(kind(), time(60));
    let mut table = restart(&table, &entries);
    list(&mut table, &[object("p", "Audit", 2, "2")], 90);
    let (found, gaps) = take(&mut table);
    assert_eq!(found[0].after, Some(time(20)));
    assert_eq!((gaps[0].from, gaps[0].to), (time(20), time(90)));
}

#[test]
fn a_kind_that_one_look_does_not_find_is_in_doubt_at_once() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    take(&mut table);
    table.alive(kind(), time(25));
    table.unserved(kind(), time(30), time(30));
    let list = table.book(time(-1000), true).at(time(40));
    assert_eq!(list.policies[0].doubt, Some(AWAY));
}

#[test]
fn a_watch_that_was_late_says_since_when_a_change_may_be() {
    let mut table = Table::default();
    list(&mut table, &[object("p", "Deny", 1, "1")], 0);
    take(&mut table);
    table.apply(object("p", "Audit", 2, "2"), Some(time(30)), time(50));
    // It told of each version: nothing was changed back in between.
    table.apply(object("p", "Audit", 4, "4"), Some(time(30)), time(51));
    let (entries, gaps) = take(&mut table);
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].after, entries[0].time),
        (Some(time(30)), time(50))
    );
    assert!(gaps.is_empty());
    let list = table.book(time(-1000), true).at(time(40));
    assert!(list.policies.iter().all(|policy| policy.doubt.is_some()));
}

#[test]
fn a_recorded_object_has_a_law_in_force_at_all_times() {
    let value = json!({"apiVersion": "policies.kyverno.io/v1", "kind": VPOL,
        "metadata": {"name": "p", "creationTimestamp": "2026-11-23T03:37:04Z"}, "spec": {}});
    let (book, entries) = crate::watch::recorded(&[value, json!({"kind": "Pod"})]);
    assert_eq!(entries.len(), 1);
    let list = book.at(time(-1_000_000_000));
    assert_eq!(list.policies[0].law_id, entries[0].id);
    assert!(list.synced && list.policies[0].doubt.is_none());
    let public: Entry = serde_json::from_slice(&entries[0].public).unwrap();
    assert_eq!(public.time.to_string(), "2026-11-23T03:37:04Z");
    assert!(matches!(Version::of(&public, &[])[0].body, Body::Policy(_)));
}

/// The same policy, and what Kyverno says it made of it.
fn made(resource: &str) -> Object {
    let targets = match resource {
        "" => json!({}),
        resource => json!({"defaults": {"targets": [{"group": "apps", "resource": resource}]}}),
    };
    Object::read(&json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": VPOL,
        "metadata": {"name": "p", "uid": "uid-p", "generation": 1, "resourceVersion": "1"},
        "spec": {"validationActions": ["Deny"]},
        "status": {"autogen": {"configs": targets}},
    }))
    .unwrap()
}

/// What amendments say that Kyverno made, and of which law.
fn amended(table: &mut Table) -> Vec<(String, autogen::Amendment)> {
    let (entries, _) = take(table);
    assert!(entries.len() <= 1, "no law is written for it: {entries:#?}");
    let amendments = table.amendments(0, usize::MAX).to_vec();
    table.amended(amendments.len());
    let resource = |made: &autogen::Amendment| {
        let target = &made.autogen["configs"]["defaults"]["targets"][0]["resource"];
        target.as_str().unwrap_or_default().to_owned()
    };
    amendments
        .into_iter()
        .map(|made| (resource(&made), made))
        .collect()
}

/// Resources of the policy at a time, of each version that may have been in force.
fn covered(table: &mut Table, second: i64) -> Vec<String> {
    let list = table.book(time(-1000), true).at(time(second));
    let covers = list
        .policies
        .iter()
        .flat_map(|policy| policy.covers.clone());
    covers.map(|(_, resource)| resource).collect()
}

#[test]
fn what_kyverno_makes_of_a_policy_is_an_amendment_of_its_law_and_no_new_version() {
    let mut table = Table::default();
    list(&mut table, &[made("")], 0);
    let (laws, _) = take(&mut table);
    assert!(table.amendments(0, 9).is_empty(), "nothing was made yet");
    table.apply(made("deployments"), None, time(1));
    table.apply(made("deployments"), None, time(2));
    let first = amended(&mut table);
    assert_eq!(first.len(), 1, "told once");
    assert_eq!(
        (first[0].0.as_str(), &first[0].1.amends),
        ("deployments", &laws[0].id)
    );
    assert_eq!(
        covered(&mut table, 0),
        ["deployments"],
        "of the whole version"
    );
    // Another Kyverno makes something else of the same text, and again what it was.
    table.apply(made("jobs"), None, time(100));
    table.apply(made("deployments"), None, time(200));
    table.apply(made(""), None, time(300));
    let later = amended(&mut table);
    let resources: Vec<&str> = later
        .iter()
        .map(|(resource, _)| resource.as_str())
        .collect();
    assert_eq!(resources, ["jobs", "deployments", ""]);
    let ids: BTreeSet<&String> = first
        .iter()
        .chain(&later)
        .map(|(_, made)| &made.id)
        .collect();
    assert_eq!(ids.len(), 4);
    let all = |table: &mut Table| [1, 100, 150, 250, 350].map(|second| covered(table, second));
    let expected: [&[&str]; 5] = [
        &["deployments"],
        &["deployments", "jobs"],
        &["jobs"],
        &["deployments"],
        &[],
    ];
    assert_eq!(all(&mut table), expected);
    // The ledger says the same after a restart, and nothing is told again.
    let amendments = first.into_iter().chain(later).map(|(_, made)| made);
    let recorded = Recorded {
        entry: laws[0].clone(),
        autogen: amendments.collect(),
    };
    let state = [(KNOWN.to_owned(), table.known(0))];
    let mut table = Table::load(vec![recorded], time(-1000), &state);
    list(&mut table, &[made("")], 400);
    assert!(amended(&mut table).is_empty());
    assert_eq!(all(&mut table), expected);
}

#[test]
fn a_store_from_before_such_amendments_gets_them_at_the_next_list() {
    let mut table = Table::default();
    list(&mut table, &[made("deployments")], 0);
    let (laws, _) = take(&mut table);
    let mut table = restart(&table, &laws);
    assert!(covered(&mut table, 0).is_empty());
    list(&mut table, &[made("deployments")], 500);
    let (again, _) = take(&mut table);
    assert_eq!(again, []);
    assert_eq!(table.amendments(0, 9)[0].amends, laws[0].id);
    assert_eq!(covered(&mut table, 0), ["deployments"]);
}

#[test]
fn an_amendment_is_not_written_before_its_law() {
    let mut table = Table::default();
    list(
        &mut table,
        &[made("deployments"), object("q", "Deny", 1, "2")],
        0,
    );
    let first = table.due(1).0.len();
    assert_eq!((first, table.amendments(first, 9).len()), (1, 0));
    table.committed(first, 0);
    assert_eq!(table.amendments(0, 9).len(), 0, "a law still waits");
    assert_eq!(table.amendments(1, 9).len(), 1);
    assert_eq!(
        table.amendments(1, 1).len(),
        0,
        "there is room for the law alone"
    );
    assert_eq!(table.pending(), 2);
}
