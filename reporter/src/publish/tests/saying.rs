//! The Event of one denial.

use super::{now, personal, public, row, user};
use crate::publish::event::{Case, NOTE, Skip};
use crate::publish::own::Own;
use docket_ledger::query::Row;
use docket_record::denial::{Attribution, Grade, Personal, Public, TestimonyState, Verdict};
use docket_record::harmful::{HARMFUL, is_harmful};
use docket_record::policies::{Policy, PolicyList};
use k8s_openapi::api::events::v1::Event;
use serde_json::json;

fn case(public: &Public, personal: &Personal) -> Result<Case, Skip> {
    Case::read(&row(public, personal), now())
}

fn policies() -> PolicyList {
    PolicyList {
        policies: vec![Policy {
            kind: "ValidatingPolicy".into(),
            name: "require-pr-description".into(),
            uid: "u-1".into(),
            api_version: "policies.kyverno.io/v1".into(),
            ..Policy::default()
        }],
        synced: true,
        ..PolicyList::default()
    }
}

fn made(public: &Public, personal: &Personal) -> Event {
    let case = case(public, personal).unwrap();
    case.event(&policies(), "reporter-0", 1, 0)
}

#[test]
fn an_event_names_policy_message_and_id_but_never_the_actor() {
    let personal = personal("jane@acme.example must write\u{1b}[2J 20 characters", "");
    let event = made(&public(), &personal);
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
    assert_eq!(event.series, None, "the first is not yet a series");
}

#[test]
fn an_admission_plugin_is_not_called_a_policy() {
    let mut public = public();
    public.verdict = Verdict::Unavailable;
    public.attributions[0] = Attribution {
        enforcer: "kube-apiserver".into(),
        policy: Some("MutatingAdmissionWebhook".into()),
        grade: Some(Grade::Ambiguous),
        doubt: "whose answer it was is not said".into(),
        ..Attribution::default()
    };
    let note = made(&public, &personal("add operation does not apply", ""))
        .note
        .unwrap();
    assert!(
        note.starts_with(
            "admission plugin MutatingAdmissionWebhook could not be asked, so refused CREATE PullRequest: add"
        ),
        "{note}"
    );
}

#[test]
fn a_long_message_is_cut_and_the_id_and_what_was_held_back_stay() {
    let personal = personal(&"ä".repeat(4000), "");
    let case = case(&public(), &personal).unwrap();
    let event = case.event(&policies(), "reporter-0", 3, 17);
    let note = event.note.unwrap();
    assert!(note.len() <= NOTE, "{}", note.len());
    let end = format!(
        "… (17 denials before it had no Event) [denial {}]",
        public().id
    );
    assert!(note.ends_with(&end), "{note}");
    assert_eq!(event.series.unwrap().count, 3);
}

#[test]
fn a_message_with_nothing_harmless_in_it_makes_a_harmless_note() {
    let hostile = format!(
        "\u{1b}]8;;http://x\u{7}<script>alert(1)</script>\r\n\u{202e}=cmd|' /C calc'!A0{}",
        "\u{0}\u{9b}31m".repeat(20_000)
    );
    let note = made(&public(), &personal(&hostile, "")).note.unwrap();
    assert!(note.len() <= NOTE);
    let harmful = |letter: char| letter.is_control() || letter == '\u{202e}';
    assert!(!note.contains(harmful), "{note:?}");
    assert!(note.ends_with(&format!("[denial {}]", public().id)));
}

#[test]
fn no_harmful_character_gets_into_an_event_by_whatever_text() {
    for c in HARMFUL.into_iter().flatten() {
        let text = format!("a{c}b");
        let mut public = public();
        public.operation = "DELETE".into();
        public.kind.clone_from(&text);
        let first = &mut public.attributions[0];
        (first.policy, first.rule) = (Some(text.clone()), Some(text.clone()));
        let mut personal = personal(&text, &text);
        personal.name.clone_from(&text);
        let event = serde_json::to_value(made(&public, &personal)).unwrap();
        let mut texts = Vec::new();
        gather(&event, &mut texts);
        let obeyed = |text: &&&str| text.chars().any(is_harmful);
        assert_eq!(texts.iter().find(obeyed), None, "{c:?}");
        // An owner's name is the object's own word.
        let owners = json!([{"apiVersion": "v1", "kind": "Pipeline", "name": text, "uid": "u",
            "controller": true}]);
        let exhibit = json!({"object": {"metadata": {"ownerReferences": owners}}});
        let mut case = case(&self::public(), &self::personal("no", "")).unwrap();
        let before = case.key();
        case.owned(exhibit.to_string().as_bytes());
        assert_eq!(case.key(), before, "{c:?}");
    }
}

fn gather<'a>(value: &'a serde_json::Value, texts: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::String(text) => texts.push(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        serde_json::Value::Object(members) => {
            members.values().for_each(|member| gather(member, texts));
        }
        _ => {}
    }
}

#[test]
fn an_event_regards_the_object_that_is_there() {
    let mut public = public();
    public.operation = "UPDATE".into();
    public.verb = "patch".into();
    let regarding = made(&public, &personal("no", "uid-7")).regarding.unwrap();
    assert_eq!(regarding.uid.as_deref(), Some("uid-7"));
    assert_eq!(regarding.kind.as_deref(), Some("PullRequest"));
    assert_eq!(
        regarding.api_version.as_deref(),
        Some("krate.a5c.ai/v1alpha1")
    );
    // Nobody swore that it was there: the patch may have been about to make it.
    public.testimony = TestimonyState::Missing;
    let regarding = made(&public, &personal("no", "")).regarding.unwrap();
    assert_eq!(regarding.kind.as_deref(), Some("Namespace"));
    public.operation = "DELETE".into();
    let regarding = made(&public, &personal("no", "")).regarding.unwrap();
    assert_eq!(regarding.name.as_deref(), Some("pr-1"));
    assert_eq!(regarding.uid, None);
}

#[test]
fn an_event_about_what_was_never_there_regards_its_owner() {
    let owners = |owners| json!({"object": {"metadata": {"ownerReferences": owners}}}).to_string();
    let pipeline = json!({"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "Pipeline",
        "name": "web-1", "uid": "u-9", "controller": true});
    let mut case = case(&public(), &personal("no", "")).unwrap();
    assert!(case.may_have_an_owner());
    let alone = case.key();
    case.owned(
        owners(json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}]))
            .as_bytes(),
    );
    case.owned(br#"{"object": "[too many fields]"}"#);
    let mut hostile = pipeline.clone();
    hostile["name"] = json!("\u{1b}[2J");
    case.owned(owners(json!([hostile])).as_bytes());
    assert_eq!(case.key(), alone);
    case.owned(owners(json!([pipeline])).as_bytes());
    assert_ne!(case.key(), alone, "another owner, another Event");
    let regarding = case.event(&policies(), "r", 1, 0).regarding.unwrap();
    assert_eq!(regarding.kind.as_deref(), Some("Pipeline"));
    assert_eq!(regarding.uid.as_deref(), Some("u-9"));
    assert_eq!(regarding.namespace.as_deref(), Some("krate-org-acme"));
}

#[test]
fn denials_of_one_series_are_one_event_whoever_and_whatever_they_name() {
    let key = |public: &Public, personal: &Personal| case(public, personal).unwrap().key();
    let first = key(&public(), &personal("no", ""));
    let mut other = personal("no, pr-2", "");
    other.name = "pr-2".into();
    other.actor = user("joe");
    assert_eq!(key(&public(), &other), first);
    for change in [
        |public: &mut Public| public.operation = "UPDATE".into(),
        |public: &mut Public| public.kind = "Issue".into(),
        |public: &mut Public| public.context.repository = "web".into(),
        |public: &mut Public| public.attributions[0].rule = Some("r".into()),
        |public: &mut Public| public.attributions[0].policy = Some("p".into()),
        |public: &mut Public| public.verdict = Verdict::Unavailable,
        |public: &mut Public| public.namespace = "krate-org-globex".into(),
    ] {
        let mut public = public();
        change(&mut public);
        assert_ne!(key(&public, &personal("no", "")), first, "{public:?}");
    }
}

#[test]
fn a_policy_that_only_a_text_names_is_not_related_and_hides_the_actor_too() {
    let mut public = public();
    let first = &mut public.attributions[0];
    first.policy = Some("jane-may-not".into());
    first.grade = Some(Grade::Ambiguous);
    let event = made(&public, &personal("no", ""));
    assert_eq!(event.related, None);
    let note = event.note.unwrap();
    assert!(
        note.starts_with("ValidatingPolicy (actor)-may-not denied"),
        "{note}"
    );
}

#[test]
fn dry_runs_cluster_scoped_unknown_imported_and_old_denials_make_no_event() {
    let personal = personal("no", "");
    let with = |change: fn(&mut Public)| {
        let mut public = public();
        change(&mut public);
        case(&public, &personal).unwrap_err()
    };
    assert_eq!(with(|p| p.dry_run = true), Skip::DryRun);
    assert_eq!(with(|p| p.namespace.clear()), Skip::ClusterScoped);
    assert_eq!(with(|p| p.verdict = Verdict::Unknown), Skip::Unknown);
    assert_eq!(
        with(|p| p.time = "2026-11-22T20:00:00Z".into()),
        Skip::Stale
    );
    let brought = Row {
        imported: true,
        ..row(&public(), &personal)
    };
    assert_eq!(Case::read(&brought, now()).unwrap_err(), Skip::Imported);
}

#[test]
fn accounts_of_dockets_own_namespace_are_its_own() {
    let own = Own::of("system:serviceaccount:docket-system:docket-reporter".into());
    assert!(own.is("system:serviceaccount:docket-system:docket-reporter"));
    assert!(own.is("system:serviceaccount:docket-system:docket-controller"));
    assert!(!own.is("system:serviceaccount:docket-system-2:docket-reporter"));
    assert!(!own.is("jane") && !own.is(""));
    let person = Own::of("docket".into());
    assert!(person.is("docket") && !person.is("docket-2"));
    assert!(!Own::default().is(""), "who is not known is not Docket");
}

#[test]
fn the_page_about_events_explains_every_outcome() {
    let page = include_str!("../../../../docs/events.md");
    for outcome in crate::publish::OUTCOMES {
        assert!(page.contains(&format!("`{outcome}`")), "{outcome}");
    }
}
