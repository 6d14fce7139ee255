//! The summary of several policies as one: a cluster counts each policy of each namespace
//! by itself.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Series that are spelled out, as by the REST API.
const SPELLED_OUT: usize = 50;

/// As the REST API sums up.
pub(super) fn of(objects: &[Value]) -> Value {
    let mut series: Vec<Value> = Vec::new();
    for object in objects {
        for one in object["series"].as_array().into_iter().flatten() {
            let mut one = one.clone();
            one["namespace"] = object["namespace"].clone();
            one["policy"] = object["policy"].clone();
            series.push(one);
        }
    }
    series.sort_by_key(|one| std::cmp::Reverse(count(one)));
    let total: u64 = objects.iter().filter_map(|one| one["total"].as_u64()).sum();
    let by = |name: &str| by(&series, name);
    json!({
        "total": total,
        "byPolicy": by("policy"), "byNamespace": by("namespace"), "byKind": by("kind"),
        "byEnforcer": by("enforcer"), "byRepository": by("repository"),
        "series": series.iter().take(SPELLED_OUT).collect::<Vec<_>>(),
    })
}

fn count(series: &Value) -> u64 {
    series["count"].as_u64().unwrap_or(0)
}

/// Added up by one name, largest first.
fn by(series: &[Value], name: &str) -> Vec<Value> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for one in series {
        if let Some(value) = one[name].as_str().filter(|value| !value.is_empty()) {
            *counts.entry(value).or_default() += count(one);
        }
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let counts = counts.into_iter();
    counts
        .map(|(value, count)| json!({ name: value, "count": count }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::of;
    use serde_json::json;

    #[test]
    fn policies_and_namespaces_are_added_up_largest_first() {
        let one = |namespace: &str, policy: &str, count: u64| {
            json!({"namespace": namespace, "policy": policy, "total": count,
                "series": [{"kind": "Job", "enforcer": "kyverno", "repository": "", "count": count}]})
        };
        let sum = of(&[one("a", "p", 2), one("b", "p", 3), one("b", "q", 4)]);
        assert_eq!(sum["total"], 9);
        assert_eq!(
            sum["byPolicy"],
            json!([{"policy": "p", "count": 5}, {"policy": "q", "count": 4}])
        );
        assert_eq!(sum["byNamespace"][0], json!({"namespace": "b", "count": 7}));
        assert_eq!(sum["byKind"], json!([{"kind": "Job", "count": 9}]));
        assert_eq!(sum["byRepository"], json!([]));
        assert_eq!(sum["series"][0]["policy"], "q");
    }
}
