//! The dashboard, the alerts and their documentation speak of metrics that are there: each
//! name, each label and each value of one is looked up in what a real reporter and a real
//! witness answer, after a recorded day. What the rules do over time is not shown here.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod exposed;
mod promql;

use docket_tests::{manifests, on_shared_runtime, paths};
use exposed::{Kind, exposed};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;

fn file(name: &str) -> String {
    let path = paths::repository().join("charts/docket/files").join(name);
    read_to_string(path).unwrap()
}

fn rules() -> Value {
    manifests::parse(&file("docket.rules.yaml"))
        .unwrap()
        .remove(0)
}

/// Every rule of every group.
fn all_rules(rules: &Value) -> Vec<&Value> {
    let groups = rules["groups"].as_array().unwrap();
    let each = groups
        .iter()
        .flat_map(|one| one["rules"].as_array().unwrap());
    each.collect()
}

fn docs() -> String {
    read_to_string(paths::repository().join("docs/metrics.md")).unwrap()
}

/// (where it stands, expression) of each panel and each rule.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let dashboard: Value = serde_json::from_str(&file("docket.dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            // What Grafana puts there.
            let expression = expression.replace("$__rate_interval", "5m");
            found.push((format!("panel {title}"), expression));
        }
    }
    let rules = rules();
    for rule in all_rules(&rules) {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
        found.push((name.to_owned(), rule["expr"].as_str().unwrap().to_owned()));
    }
    found
}

#[test]
fn everything_that_is_drawn_or_alerted_on_is_there() {
    on_shared_runtime(async {
        let mut exposed = exposed().await?;
        // What recording rules make has the labels that they group by.
        let rules = rules();
        for rule in all_rules(&rules) {
            if let Some(name) = rule["record"].as_str() {
                let labels = promql::grouping(rule["expr"].as_str().unwrap());
                let below = promql::selected(rule["expr"].as_str().unwrap());
                let samples = &exposed.samples[&below[0]];
                let kept = samples.iter().map(|one| {
                    let kept = one.iter().filter(|(label, _)| labels.contains(*label));
                    kept.map(|(label, value)| (label.clone(), value.clone()))
                        .collect::<BTreeMap<_, _>>()
                });
                let kept = kept.collect();
                exposed.samples.insert(name.to_owned(), kept);
            }
        }
        let expressions = expressions();
        assert!(expressions.len() > 60, "{}", expressions.len());
        let mut wrong = Vec::new();
        for (place, expression) in &expressions {
            for complaint in promql::check(expression, &exposed.samples) {
                wrong.push(format!("{place}: {complaint}\n    {expression}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));

        // And the other way round: what is there is explained.
        let docs = docs();
        let told: BTreeSet<&str> = docs
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| code.starts_with("docket_"))
            .map(|code| code.split('{').next().unwrap())
            .collect();
        let there: BTreeSet<&str> = exposed.kinds.keys().map(String::as_str).collect();
        let missing: Vec<_> = there.difference(&told).collect();
        assert!(
            missing.is_empty(),
            "docs/metrics.md does not explain {missing:?}"
        );
        let gone: Vec<_> = told.difference(&there).collect();
        assert!(
            gone.is_empty(),
            "docs/metrics.md explains what is not there: {gone:?}"
        );

        // Prometheus' way to name things.
        for (name, kind) in &exposed.kinds {
            let counter = name.ends_with("_total") || name.ends_with("_info");
            assert_eq!(counter, *kind == Kind::Counter, "{name} is a {kind:?}");
            let histogram = name.ends_with("_seconds");
            assert!(histogram || *kind != Kind::Histogram, "{name} has no unit");
        }
        Ok(())
    });
}

#[test]
fn a_name_a_label_or_a_value_that_is_not_there_is_found() {
    let sample = BTreeMap::from([("cause".to_owned(), "a".to_owned())]);
    let there = BTreeMap::from([("x_total".to_owned(), vec![sample])]);
    for good in [
        "sum by (cause) (rate(x_total[5m]))",
        r#"x_total{cause="a"}"#,
        r#"x_total{cause=~"a"}"#,
        r#"x_total{cause!="zzz"}"#,
        "absent(x_total)",
    ] {
        assert_eq!(promql::check(good, &there), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "y_total",
        "sum by (why) (rate(x_total[5m]))",
        r#"x_total{why="a"}"#,
        r#"x_total{cause="b"}"#,
        r#"x_total{cause=~"a|b"}"#,
        r#"x_total{cause=~"b.*"}"#,
        "sum by (cause (x_total)",
        "rate(x_total)",
    ] {
        assert_eq!(promql::check(bad, &there).len(), 1, "{bad}");
    }
}

#[test]
fn the_prometheus_operator_gets_the_same_rules() {
    let operator = manifests::parse(&file("docket.prometheusrule.yaml"))
        .unwrap()
        .remove(0);
    assert_eq!(operator["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(operator["kind"], "PrometheusRule");
    assert_eq!(operator["spec"], rules());
}

#[test]
fn every_alert_says_what_to_do_and_every_instruction_has_its_alert() {
    let docs = docs();
    let headings: BTreeSet<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let rules = rules();
    let mut alerts = BTreeSet::new();
    for rule in all_rules(&rules) {
        let Some(alert) = rule["alert"].as_str() else {
            continue;
        };
        assert!(alerts.insert(alert), "{alert} is there twice");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{alert}"
        );
        let annotations = &rule["annotations"];
        for field in ["summary", "description"] {
            assert!(
                annotations[field]
                    .as_str()
                    .is_some_and(|text| text.len() > 10)
            );
        }
        let place = format!("docs/metrics.md#{}", alert.to_lowercase());
        assert_eq!(annotations["runbook"], place.as_str());
    }
    assert_eq!(alerts, headings);
}

#[test]
fn a_panel_has_a_title_a_text_and_a_place_of_its_own() {
    let dashboard: Value = serde_json::from_str(&file("docket.dashboard.json")).unwrap();
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel:#}");
        let at = &panel["gridPos"];
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|side| at[side].as_u64().unwrap());
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(places.insert(cell), "two panels at {cell:?}: {panel:#}");
        }
        if panel["type"] != "row" {
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| text.len() > 5)
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
        }
    }
}
