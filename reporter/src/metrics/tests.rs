//! What is counted, and that it stays within bounds.

use super::denials::NewDenial;
use super::*;
use docket_record::denial::{Attribution, Context, Grade, Public, TestimonyState, Verdict};

fn public(policy: &str, namespace: &str) -> Public {
    Public {
        id: String::new(),
        time: String::new(),
        verdict: Verdict::Denied,
        operation: "CREATE".into(),
        verb: "create".into(),
        dry_run: false,
        group: String::new(),
        version: "v1".into(),
        resource: "pods".into(),
        subresource: String::new(),
        kind: "Pod".into(),
        namespace: namespace.into(),
        code: 400,
        reason: String::new(),
        exceptions: Vec::new(),
        attributions: vec![Attribution {
            enforcer: "kyverno".into(),
            policy: Some(policy.into()),
            rule: Some("a-rule".into()),
            grade: Some(Grade::Exact),
            ..Attribution::default()
        }],
        context: Context::default(),
        testimony: TestimonyState::Verified,
        passes: 1,
        source: "api".into(),
        derived: String::new(),
        unmasked: false,
        notes: Vec::new(),
    }
}

fn time() -> Timestamp {
    "2026-11-22T23:00:00Z".parse().unwrap()
}

fn told(denials: impl IntoIterator<Item = Public>) -> Told {
    let new = |public: Public| NewDenial::of(&public, time());
    Told {
        denials: denials.into_iter().map(new).map(|new| (0, new)).collect(),
        ..Told::default()
    }
}

#[track_caller]
fn has(registry: &Registry, line: &str) {
    let text = render(registry);
    assert!(text.lines().any(|one| one == line), "{line}\n{text}");
}

#[test]
fn what_was_told_is_counted_under_its_name() {
    let (metrics, registry) = Metrics::new();
    let mut told = Told {
        appended: 2,
        size: Some(7),
        ..Told::default()
    };
    told.events.insert("denied", 2);
    metrics.told(&told, time());
    has(
        &registry,
        r#"docket_reporter_audit_events_total{outcome="denied"} 2"#,
    );
    has(&registry, "docket_reporter_tree_size 7");
    // What never happened is there too, and zero.
    has(
        &registry,
        r#"docket_reporter_testimonies_total{worth="bad_mac"} 0"#,
    );
    has(
        &registry,
        r#"docket_reporter_gaps_open{cause="file-cut"} 0"#,
    );
}

#[test]
fn denials_are_counted_by_policy_rule_namespace_and_verdict() {
    let (metrics, registry) = Metrics::new();
    let mut dry = public("p", "a");
    dry.dry_run = true;
    metrics.told(&told([public("p", "a"), public("p", "a"), dry]), time());
    has(
        &registry,
        r#"docket_reporter_denials_total{policy="p",rule="a-rule",namespace="a",enforcer="kyverno",verdict="denied"} 2"#,
    );
    has(&registry, "docket_reporter_dry_run_denials_total 1");
}

#[test]
fn a_name_that_only_a_text_says_is_no_label() {
    let (metrics, registry) = Metrics::new();
    let mut echo = public("jane@acme.example", "a");
    echo.attributions[0].grade = Some(Grade::Ambiguous);
    metrics.told(&told([echo]), time());
    assert!(!render(&registry).contains("jane"));
    has(
        &registry,
        r#"docket_reporter_denials_total{policy="",rule="",namespace="a",enforcer="kyverno",verdict="denied"} 1"#,
    );
}

#[test]
fn too_many_sets_of_labels_are_counted_as_one_and_it_says_so() {
    let (metrics, registry) = Metrics::new();
    let policies = (0..6000).map(|number| public(&format!("p{number}"), "a"));
    metrics.told(&told(policies), time());
    metrics.told(&told([public("p7", "a")]), time());
    has(&registry, "docket_reporter_denials_label_sets 5000");
    has(&registry, "docket_reporter_denials_overflowed_total 1000");
    has(
        &registry,
        r#"docket_reporter_denials_total{policy="other",rule="other",namespace="other",enforcer="other",verdict="denied"} 1000"#,
    );
    has(
        &registry,
        r#"docket_reporter_denials_total{policy="p7",rule="a-rule",namespace="a",enforcer="kyverno",verdict="denied"} 2"#,
    );
    let series = render(&registry)
        .lines()
        .filter(|line| line.contains("denials_total{"))
        .count();
    assert_eq!(series, 5001);
}

#[test]
fn lag_is_measured_to_each_step_and_never_negative() {
    let (metrics, registry) = Metrics::new();
    let later = time() + jiff::SignedDuration::from_millis(1500);
    metrics.told(&told([public("p", "a")]), later);
    metrics.lag(Step::Streamed, later, time());
    has(
        &registry,
        r#"docket_reporter_denial_lag_seconds_bucket{le="2.0",step="committed"} 1"#,
    );
    has(
        &registry,
        r#"docket_reporter_denial_lag_seconds_bucket{le="1.0",step="committed"} 0"#,
    );
    has(
        &registry,
        r#"docket_reporter_denial_lag_seconds_sum{step="streamed"} 0.0"#,
    );
}

#[test]
fn a_stream_is_open_until_it_is_dropped() {
    let (metrics, registry) = Metrics::new();
    let open = (metrics.stream("sse"), metrics.stream("sse"));
    has(&registry, r#"docket_reporter_streams_open{door="sse"} 2"#);
    drop(open);
    has(&registry, r#"docket_reporter_streams_open{door="sse"} 0"#);
}
