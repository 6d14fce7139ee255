use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

fn report(namespace: &str, name: &str, policies: &[&str], seconds: i64) -> Report {
    let results: Vec<_> = policies
        .iter()
        .map(|policy| {
            json!({"source": "kyverno", "policy": policy, "rule": "r", "result": "fail",
                "message": "no", "timestamp": {"seconds": seconds}})
        })
        .collect();
    let object = json!({"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {"name": name, "namespace": namespace},
        "scope": {"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": namespace},
        "results": results});
    Report::from_object(&object).unwrap()
}

fn policies(table: &Table) -> Vec<String> {
    let found = table.violations(None);
    found
        .iter()
        .map(|one| one.result().policy.clone())
        .collect()
}

fn key(namespace: &str, name: &str) -> Key {
    Key {
        namespace: namespace.into(),
        kind: "PolicyReport".into(),
        name: name.into(),
    }
}

#[test]
fn a_report_is_replaced_and_gone_with_its_violations() {
    let mut table = Table::default();
    table.apply(report("ns", "a", &["p", "q"], 1));
    assert_eq!(policies(&table), ["p", "q"]);
    table.apply(report("ns", "a", &["q"], 2));
    assert_eq!(policies(&table), ["q"]);
    assert_eq!(table.about("v1", "Pod", "ns", "a"), Some("a"));
    table.delete(&key("ns", "a"));
    assert_eq!(table.count(), (0, 0));
    assert_eq!(table.about("v1", "Pod", "ns", "a"), None);
    assert_eq!((table.bytes, table.results), (0, 0));
}

#[test]
fn the_first_time_of_a_violation_stays_while_it_lasts() {
    let mut table = Table::default();
    table.apply(report("ns", "a", &["p"], 100));
    table.apply(report("ns", "a", &["p", "new"], 200));
    let first = |table: &Table| -> Vec<i64> {
        let found = table.violations(None);
        found
            .iter()
            .map(|one| one.first_seen().unwrap().as_second())
            .collect()
    };
    assert_eq!(first(&table), [100, 200]);
    table.apply(report("ns", "a", &["new"], 300));
    table.apply(report("ns", "a", &["p", "new"], 400));
    assert_eq!(first(&table), [400, 200], "what was away begins anew");
}

#[test]
fn a_list_read_again_drops_what_is_not_in_it_and_nothing_before_its_end() {
    let mut table = Table::default();
    table.list("PolicyReport");
    table.apply(report("ns", "a", &["p"], 1));
    table.apply(report("ns", "b", &["q"], 1));
    table.listed("PolicyReport");
    table.list("PolicyReport");
    table.apply(report("ns", "b", &["q"], 2));
    // The list breaks off and begins again.
    table.list("PolicyReport");
    assert_eq!(table.count().0, 2);
    table.apply(report("ns", "c", &["r"], 2));
    table.listed("PolicyReport");
    assert_eq!(policies(&table), ["r"], "b was in the broken list only");
    table.listed("Report");
    assert_eq!(
        table.count().0,
        1,
        "another kind's list is no matter of these"
    );
    table.forget("PolicyReport");
    assert_eq!(table.count().0, 0);
}

#[test]
fn what_has_no_room_is_counted_until_it_is_gone_or_has_room() {
    let mut table = Table::bounded(Bounds {
        results: 2,
        ..Bounds::default()
    });
    table.apply(report("ns", "a", &["p", "q"], 1));
    table.apply(report("ns", "b", &["r"], 1));
    assert_eq!((table.count(), table.left_out()), ((1, 2), 1));
    table.apply(report("ns", "c", &["s"], 1));
    assert_eq!(table.left_out(), 2);
    table.delete(&key("ns", "c"));
    assert_eq!(table.left_out(), 1);
    table.delete(&key("ns", "a"));
    table.apply(report("ns", "b", &["r"], 2));
    assert_eq!((table.count(), table.left_out()), ((1, 1), 0));
}

#[test]
fn reports_without_a_violation_leave_half_of_the_room_to_the_others() {
    let mut table = Table::bounded(Bounds {
        bytes: 20_000,
        ..Bounds::default()
    });
    for n in 0..1000 {
        table.apply(report("ns", &format!("clean-{n}"), &[], 1));
    }
    assert!(table.bytes <= 10_000 && table.left_out() == 0);
    table.apply(report("ns", "bad", &["p"], 1));
    assert_eq!(policies(&table), ["p"]);
}

#[test]
fn a_namespace_is_read_by_its_whole_name() {
    let mut table = Table::default();
    for namespace in ["ns", "ns-a", "n"] {
        table.apply(report(namespace, "x", &[namespace], 1));
    }
    table.apply(report("clean", "x", &[], 1));
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        table.violations(Some(&names)).len()
    };
    assert_eq!(
        (of(&["ns"]), of(&["ns-a", "n"]), of(&[""]), of(&[])),
        (1, 2, 0, 0)
    );
    assert_eq!(table.namespaces(10), ["n", "ns", "ns-a"]);
    assert_eq!(table.namespaces(2).len(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Apply(u8, u8),
    Delete(u8),
    List,
    Listed,
}

proptest! {
    /// The table against a plain map, with and without room.
    #[test]
    fn the_table_holds_what_was_said_last(
        steps in prop::collection::vec(prop_oneof![
            (0..6_u8, 0..4_u8).prop_map(|(name, count)| Step::Apply(name, count)),
            (0..6_u8).prop_map(Step::Delete),
            Just(Step::List),
            Just(Step::Listed),
        ], 0..40),
        room in prop_oneof![Just(3_usize), Just(1000)],
    ) {
        let mut table = Table::bounded(Bounds { results: room, ..Bounds::default() });
        let mut model: BTreeMap<u8, u8> = BTreeMap::new();
        let mut listing: BTreeSet<u8> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Apply(name, count) => {
                    let policies = vec!["p"; usize::from(count)];
                    table.apply(report("ns", &name.to_string(), &policies, 1));
                    model.insert(name, count);
                    listing.insert(name);
                }
                Step::Delete(name) => {
                    table.delete(&key("ns", &name.to_string()));
                    model.remove(&name);
                }
                Step::List => {
                    table.list("PolicyReport");
                    listing.clear();
                }
                Step::Listed => {
                    table.listed("PolicyReport");
                    model.retain(|name, _| listing.contains(name));
                }
            }
            let wanted: u64 = model.values().map(|&count| u64::from(count)).sum();
            let (_, kept) = table.count();
            prop_assert!(kept <= room);
            prop_assert_eq!(kept as u64 + table.left_out(), wanted);
            let bytes: usize = table.reports.values().map(|kept| kept.bytes).sum();
            prop_assert_eq!(bytes, table.bytes);
        }
    }
}
