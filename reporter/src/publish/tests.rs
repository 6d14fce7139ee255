//! What is said, to whom it is not, and how often.

use super::event::{NOTE, Skip, event};
use super::rate::Buckets;
use docket_ledger::entry::Class;
use docket_ledger::query::Row;
use docket_record::audit::User;
use docket_record::denial::{Attribution, Context, Personal, Public, TestimonyState, Verdict};
use docket_record::policies::{Policy, PolicyList};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use serde_json::json;
use std::time::{Duration, Instant};

fn public() -> Public {
    Public {
        id: "abcdefgh".repeat(6) + "ijkl",
        time: "2026-11-22T23:00:00.123456Z".into(),
        verdict: Verdict::Denied,
        operation: "CREATE".into(),
        verb: "create".into(),
        dry_run: false,
        group: "krate.a5c.ai".into(),
        version: "v1alpha1".into(),
        resource: "pullrequests".into(),
        subresource: String::new(),
        kind: "PullRequest".into(),
        namespace: "krate-org-acme".into(),
        code: 400,
        reason: String::new(),
        exceptions: Vec::new(),
        attributions: vec![Attribution {
            enforcer: "kyverno".into(),
            policy_kind: Some("ValidatingPolicy".into()),
            policy: Some("require-pr-description".into()),
            result: "fail".into(),
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

fn personal(message: &str, uid: &str) -> Personal {
    Personal {
        name: "pr-1".into(),
        generated_name: false,
        object_uid: uid.into(),
        actor: User {
            username: "jane@acme.example".into(),
            ..User::default()
        },
        impersonator: None,
        source_ips: Vec::new(),
        user_agent: String::new(),
        text: String::new(),
        messages: vec![message.into()],
        event: json!({}),
        importer: String::new(),
    }
}

fn row(public: &Public, personal: &Personal) -> Row {
    Row {
        position: 0,
        id: public.id.clone(),
        class: Class::Denial,
        time: 0,
        recorded_at: 0,
        namespace: public.namespace.clone(),
        repository: None,
        org: None,
        actor: Some(personal.actor.username.clone()),
        imported: false,
        public: serde_json::to_vec(public).unwrap(),
        personal: Some(serde_json::to_vec(personal).unwrap()),
        series: None,
        closed_by: None,
    }
}

fn now() -> Timestamp {
    "2026-11-22T23:00:05Z".parse().unwrap()
}

fn made(public: &Public, personal: &Personal) -> Result<Event, Skip> {
    let policies = PolicyList {
        policies: vec![Policy {
            kind: "ValidatingPolicy".into(),
            name: "require-pr-description".into(),
            uid: "u-1".into(),
            api_version: "policies.kyverno.io/v1".into(),
            ..Policy::default()
        }],
        synced: true,
        ..PolicyList::default()
    };
    event(&row(public, personal), &policies, "reporter-0", now())
}

#[test]
fn an_event_names_policy_message_and_id_but_never_the_actor() {
    let personal = personal("jane@acme.example must write\u{1b}[2J 20 characters", "");
    let event = made(&public(), &personal).unwrap();
    let note = event.note.unwrap();
    assert!(note.contains("ValidatingPolicy require-pr-description denied CREATE PullRequest"));
    assert!(note.contains("must write"));
    assert!(
        note.ends_with(&format!("[denial {}]", public().id)),
        "{note}"
    );
    assert!(!note.contains("jane") && !note.contains('\u{1b}'), "{note}");
    assert_eq!(event.related.unwrap().uid.as_deref(), Some("u-1"));
    let regarding = event.regarding.unwrap();
    assert_eq!(regarding.kind.as_deref(), Some("Namespace"));
    assert_eq!(regarding.namespace.as_deref(), Some("krate-org-acme"));
}

#[test]
fn a_long_message_is_cut_and_the_id_stays() {
    let event = made(&public(), &personal(&"ä".repeat(4000), "")).unwrap();
    let note = event.note.unwrap();
    assert!(note.len() <= NOTE, "{}", note.len());
    assert!(note.ends_with(&format!("[denial {}]", public().id)));
}

#[test]
fn an_update_regards_the_object_that_exists() {
    let event = made(&public(), &personal("no", "uid-7")).unwrap();
    let regarding = event.regarding.unwrap();
    assert_eq!(regarding.uid.as_deref(), Some("uid-7"));
    assert_eq!(regarding.kind.as_deref(), Some("PullRequest"));
    assert_eq!(
        regarding.api_version.as_deref(),
        Some("krate.a5c.ai/v1alpha1")
    );
}

#[test]
fn dry_runs_cluster_scoped_unknown_and_old_denials_make_no_event() {
    let personal = personal("no", "");
    let with = |change: fn(&mut Public)| {
        let mut public = public();
        change(&mut public);
        made(&public, &personal).unwrap_err()
    };
    assert_eq!(with(|p| p.dry_run = true), Skip::DryRun);
    assert_eq!(with(|p| p.namespace.clear()), Skip::ClusterScoped);
    assert_eq!(with(|p| p.verdict = Verdict::Unknown), Skip::Unknown);
    assert_eq!(
        with(|p| p.time = "2026-11-22T20:00:00Z".into()),
        Skip::Stale
    );
}

#[test]
fn a_namespace_has_its_own_rate() {
    let mut buckets = Buckets::default();
    let start = Instant::now();
    let sent = (0..500).filter(|_| buckets.take_at("loud", start)).count();
    assert_eq!(sent, 100);
    assert!(buckets.take_at("quiet", start));
    assert!(buckets.take_at("loud", start + Duration::from_secs(1)));
}
