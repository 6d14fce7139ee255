//! What is said and to whom it is not; what is counted; and what becomes of both when the
//! API server or this process goes away.

mod counting;
mod hiding;
mod publishing;
mod saying;

use docket_ledger::entry::Class;
use docket_ledger::query::Row;
use docket_record::audit::User;
use docket_record::denial::{
    Attribution, Context, Grade, Personal, Public, TestimonyState, Verdict,
};
use jiff::Timestamp;
use serde_json::json;

/// A denied create of a pull request.
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
            grade: Some(Grade::Exact),
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

fn user(name: &str) -> User {
    User {
        username: name.into(),
        ..User::default()
    }
}

fn personal(message: &str, uid: &str) -> Personal {
    Personal {
        name: "pr-1".into(),
        generated_name: false,
        object_uid: uid.into(),
        actor: user("jane@acme.example"),
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
