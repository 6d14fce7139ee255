use super::*;
use crate::denial::{Context, Grade, Record, TestimonyState, Verdict};
use crate::policies::{Policy, PolicyList};
use crate::testimony::{Bound, COLLECTION, FINAL, Keys, Process, Testimony, WITNESS};
use crate::text::sha256;
use jiff::SignedDuration;
use serde_json::{Value, json};

const UID: &str = "0d5f1f0e-6b62-4a0c-9c4a-3b1c2d3e4f50";

fn config() -> Config {
    Config {
        cluster: "test".into(),
        krate_group: "krate.a5c.ai".into(),
        label_prefix: "krate.a5c.ai/".into(),
        org_namespace_prefix: "krate-org-".into(),
        clock_tolerance: SignedDuration::from_secs(2),
    }
}

fn keys() -> Keys {
    Keys::from_entries([("a1", "11".repeat(32))]).unwrap()
}

fn policies() -> PolicyList {
    let policy = json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "require-pr-description", "annotations": {
            "policies.kyverno.io/severity": "high", "policies.kyverno.io/title": "Describe it"}},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"], "resources": ["pullrequests"]}]},
            "validations": [{"expression": "…", "message": "Pull requests must include a description."}],
        },
    });
    PolicyList {
        policies: vec![Policy::from_object(&policy).unwrap()],
        synced: true,
        ..PolicyList::default()
    }
}

fn denied() -> Value {
    json!({
        "level": "Metadata", "auditID": "a-1", "stage": "ResponseComplete",
        "requestURI": "/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests?fieldManager=kubectl",
        "verb": "create", "user": {"username": "alice", "groups": ["system:authenticated"]},
        "sourceIPs": ["127.0.0.1"], "userAgent": "kubectl/v1.36.0",
        "objectRef": {"resource": "pullrequests", "namespace": "krate-org-acme", "name": "pr-1",
            "apiGroup": "krate.a5c.ai", "apiVersion": "v1alpha1"},
        "responseStatus": {"metadata": {}, "status": "Failure", "code": 400, "message":
            "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: Policy require-pr-description failed: Pull requests must include a description."},
        "requestReceivedTimestamp": "2026-11-22T23:29:51.000000Z",
        "stageTimestamp": "2026-11-22T23:29:51.500000Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    })
}

fn testimony() -> Testimony {
    Testimony {
        key_id: String::new(),
        process: Process {
            instance: "docket-0".into(),
            started: 1_763_800_000_000,
        },
        number: Some(7),
        time: "2026-11-22T23:29:51.100000Z".parse().unwrap(),
        operation: "CREATE".into(),
        dry_run: false,
        old_uid: String::new(),
        context: Context {
            org: "acme".into(),
            repository: "storefront".into(),
            pull_request: "pr-1".into(),
            surface: "pr".into(),
            claimed: true,
            ..Context::default()
        },
        generated_name: String::new(),
        exhibit: (0, String::new()),
    }
}

/// Signs for the event that [`denied`] gives, with this name.
fn swear(hook: &str, uid: &str, name: &str, testimony: &Testimony) -> String {
    let bound = Bound {
        cluster: "test",
        hook,
        uid,
        group: "krate.a5c.ai",
        resource: "pullrequests",
        subresource: "",
        namespace: "krate-org-acme",
        name_sha256: sha256(name.as_bytes()),
        user_sha256: sha256(b"alice"),
    };
    keys().sign(testimony, &bound).unwrap()
}

fn look(event: &Value) -> Finding {
    let (config, keys, policies) = (config(), keys(), policies());
    let bench = Bench {
        config: &config,
        keys: &keys,
        policies: &policies,
        source: "audit",
    };
    let event = AuditEvent::parse(event.to_string().as_bytes()).unwrap();
    examine(&event, &bench).unwrap()
}

fn record(finding: &Finding) -> &Record {
    match &finding.outcome {
        Outcome::Record(record) => record,
        Outcome::Counted(why) => panic!("only counted: {why:?}"),
    }
}

#[test]
fn a_denied_write_with_a_testimony_is_one_whole_record() {
    let mut event = denied();
    event["annotations"][format!("{WITNESS}/{UID}")] =
        swear(WITNESS, UID, "pr-1", &testimony()).into();
    let finding = look(&event);
    let Record {
        public, personal, ..
    } = record(&finding);
    assert_eq!(public.verdict, Verdict::Denied);
    assert_eq!(public.testimony, TestimonyState::Verified);
    assert_eq!(public.passes, 1);
    assert_eq!(public.kind, "PullRequest");
    assert_eq!(public.context.repository, "storefront");
    assert_eq!(public.attributions.len(), 1);
    let owed = &public.attributions[0];
    assert_eq!(owed.policy.as_deref(), Some("require-pr-description"));
    assert_eq!(owed.grade, Some(Grade::Exact), "{}", owed.doubt);
    assert_eq!(owed.law.as_ref().unwrap().severity, "high");
    assert_eq!(
        personal.messages,
        ["Pull requests must include a description."]
    );
    assert_eq!(personal.actor.username, "alice");
    assert_eq!(personal.name, "pr-1");
    assert!(!finding.collection && !finding.our_hook_failed_open);
}

#[test]
fn without_a_testimony_the_event_alone_makes_the_record() {
    let finding = look(&denied());
    let record = record(&finding);
    assert_eq!(record.public.testimony, TestimonyState::Missing);
    assert_eq!(record.public.context.org, "acme");
    assert_eq!(record.public.context.pull_request, "pr-1");
    assert_eq!(record.public.operation, "CREATE");
}

#[test]
fn a_kind_without_a_hook_expects_no_testimony() {
    let mut event = denied();
    event["objectRef"]["apiGroup"] = "".into();
    event["objectRef"]["resource"] = "pods".into();
    assert_eq!(
        record(&look(&event)).public.testimony,
        TestimonyState::NotExpected
    );
}

#[test]
fn forged_copied_and_late_testimonies_are_ignored_and_counted() {
    let good = swear(WITNESS, UID, "pr-1", &testimony());
    let late = Testimony {
        time: "2026-11-22T23:29:58Z".parse().unwrap(),
        ..testimony()
    };
    let unnumbered = Testimony {
        number: None,
        ..testimony()
    };
    let cases = [
        ("{}".to_owned(), Refused::Unreadable),
        (good.replace("acme", "evil"), Refused::BadMac),
        (good.replace("\"a1\"", "\"zz\""), Refused::UnknownKey),
        (
            swear(WITNESS, "another-uid", "pr-1", &testimony()),
            Refused::BadMac,
        ),
        (swear(WITNESS, UID, "pr-2", &testimony()), Refused::BadMac),
        (swear(WITNESS, UID, "pr-1", &late), Refused::OutsideWindow),
        (
            swear(WITNESS, UID, "pr-1", &unnumbered),
            Refused::Unreadable,
        ),
    ];
    for (value, why) in cases {
        let mut event = denied();
        event["annotations"][format!("{WITNESS}/{UID}")] = value.into();
        let finding = look(&event);
        assert_eq!(finding.refused, [why]);
        assert!(finding.sworn.is_empty());
        let record = record(&finding);
        assert_eq!(record.public.testimony, TestimonyState::Invalid);
        assert_eq!(record.public.context.repository, "", "{why:?}");
    }
}

#[test]
fn a_testimony_that_contradicts_the_event_makes_it_disputed() {
    let mut event = denied();
    event["requestURI"] = "/apis/x?dryRun=All".into();
    event["annotations"][format!("{WITNESS}/{UID}")] =
        swear(WITNESS, UID, "pr-1", &testimony()).into();
    let found = look(&event);
    assert_eq!(record(&found).public.testimony, TestimonyState::Disputed);
    assert!(record(&found).public.dry_run);

    let mut event = denied();
    event["verb"] = "delete".into();
    event["annotations"][format!("{WITNESS}/{UID}")] =
        swear(WITNESS, UID, "pr-1", &testimony()).into();
    assert_eq!(
        record(&look(&event)).public.testimony,
        TestimonyState::Disputed
    );
}

#[test]
fn a_generated_name_comes_from_the_last_final_testimony() {
    let mut event = denied();
    event["objectRef"].as_object_mut().unwrap().remove("name");
    event["annotations"][format!("{WITNESS}/{UID}")] = swear(WITNESS, UID, "", &testimony()).into();
    for (uid, name, millis) in [("u1", "pr-aaaaa", 200), ("u2", "pr-bbbbb", 300)] {
        let last = Testimony {
            number: Some(millis),
            time: format!("2026-11-22T23:29:51.{millis}Z").parse().unwrap(),
            context: Context::default(),
            generated_name: name.into(),
            ..testimony()
        };
        event["annotations"][format!("{FINAL}/{uid}")] = swear(FINAL, uid, name, &last).into();
    }
    let finding = look(&event);
    assert_eq!(finding.refused, []);
    let record = record(&finding);
    assert_eq!(record.personal.name, "pr-bbbbb");
    assert!(record.personal.generated_name);
    assert_eq!(record.public.passes, 2);
    assert_eq!(record.public.context.repository, "storefront");
}

#[test]
fn impersonation_shows_actor_and_impersonator() {
    let mut event = denied();
    event["user"] = json!({"username": "console"});
    event["impersonatedUser"] = json!({"username": "alice", "groups": ["dev"]});
    event["annotations"][format!("{WITNESS}/{UID}")] =
        swear(WITNESS, UID, "pr-1", &testimony()).into();
    let finding = look(&event);
    let record = record(&finding);
    assert_eq!(record.personal.actor.username, "alice");
    assert_eq!(
        record.personal.impersonator.as_ref().unwrap().username,
        "console"
    );
    assert_eq!(record.public.testimony, TestimonyState::Verified);
}

#[test]
fn a_denied_collection_asks_for_its_object() {
    let mut event = denied();
    event["verb"] = "deletecollection".into();
    event["objectRef"].as_object_mut().unwrap().remove("name");
    let said = Testimony {
        number: None,
        operation: "DELETE".into(),
        ..testimony()
    };
    event["annotations"][format!("{WITNESS}/{COLLECTION}")] =
        swear(WITNESS, COLLECTION, "", &said).into();
    let finding = look(&event);
    assert!(finding.collection);
    assert_eq!(finding.sworn.len(), 1);
    assert_eq!(record(&finding).public.operation, "DELETE");
    assert_eq!(record(&finding).public.testimony, TestimonyState::Verified);
}

#[test]
fn an_admitted_write_is_counted_and_its_numbers_are_heard() {
    let mut event = denied();
    event["responseStatus"] = json!({"metadata": {}, "code": 201});
    event["annotations"][format!("{WITNESS}/{UID}")] =
        swear(WITNESS, UID, "pr-1", &testimony()).into();
    let finding = look(&event);
    assert!(matches!(
        finding.outcome,
        Outcome::Counted(Counted::Admitted)
    ));
    assert_eq!(finding.sworn[0].testimony.number, Some(7));
}

#[test]
fn an_enforcers_hook_that_failed_open_is_a_pass_and_ours_is_not() {
    let key = "failed-open.validating.webhook.admission.k8s.io/round_0_index_0";
    let mut event = denied();
    event["responseStatus"] = json!({"metadata": {}, "code": 201});
    event["annotations"][key] = WITNESS.into();
    let finding = look(&event);
    assert!(finding.our_hook_failed_open);
    assert!(matches!(
        finding.outcome,
        Outcome::Counted(Counted::Admitted)
    ));
    event["annotations"][key] =
        "vpol.validate.kyverno.svc-ignore-finegrained-require-pr-description".into();
    let finding = look(&event);
    let record = record(&finding);
    assert_eq!(record.public.verdict, Verdict::FailedOpen);
    assert_eq!(
        record.public.attributions[0].policy.as_deref(),
        Some("require-pr-description")
    );
    assert_eq!(record.public.attributions[0].source, "annotations");
}

#[test]
fn what_is_not_governed_is_only_counted() {
    for (field, value) in [("verb", "get"), ("stage", "ResponseStarted")] {
        let mut event = denied();
        event[field] = value.into();
        assert!(matches!(
            look(&event).outcome,
            Outcome::Counted(Counted::NotGoverned)
        ));
    }
    let mut event = denied();
    event["objectRef"]["apiGroup"] = "apps".into();
    event["objectRef"]["namespace"] = "kube-system".into();
    assert!(matches!(
        look(&event).outcome,
        Outcome::Counted(Counted::NotGoverned)
    ));
}

#[test]
fn the_id_depends_on_the_event_alone_and_on_each_of_its_parts() {
    let id = look(&denied()).id;
    let mut with_kind = denied();
    with_kind["kind"] = "Event".into();
    with_kind["apiVersion"] = "audit.k8s.io/v1".into();
    with_kind["annotations"] = json!({});
    assert_eq!(look(&with_kind).id, id);
    for field in ["auditID", "requestURI"] {
        let mut other = denied();
        other[field] = "x".repeat(5000).into();
        let long = look(&other).id;
        assert_ne!(long, id);
        other[field] = ("x".repeat(5000) + "y").into();
        assert_ne!(look(&other).id, long, "what lies behind the cut counts too");
    }
    let mut other = denied();
    other["user"]["username"] = "bob".into();
    assert_ne!(look(&other).id, id);
    let text = id.to_string();
    assert_eq!(text.len(), 52);
    assert_eq!(text.parse(), Ok(id));
}

#[test]
fn an_event_without_a_stage_time_is_handed_back() {
    let mut event = denied();
    event["stageTimestamp"] = "yesterday".into();
    let event = AuditEvent::parse(event.to_string().as_bytes()).unwrap();
    let (config, keys, policies) = (config(), keys(), policies());
    let bench = Bench {
        config: &config,
        keys: &keys,
        policies: &policies,
        source: "audit",
    };
    assert!(matches!(examine(&event, &bench), Err(ExamineError::Time)));
}

/// The key of the review that the API server sends of the event that [`denied`] gives.
fn request_key() -> crate::numbers::RequestKey {
    let body = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{
        "uid":"u","name":"pr-1","operation":"CREATE","userInfo":{"username":"alice"},
        "resource":{"group":"krate.a5c.ai","resource":"pullrequests"},"namespace":"krate-org-acme"}}"#;
    let review = crate::review::Review::parse(body).unwrap();
    crate::numbers::RequestKey::of(&review.bound("test", WITNESS))
}

#[test]
fn an_event_without_a_testimony_of_ours_says_which_reviews_may_be_its_own() {
    use crate::numbers::{Hook, NumberedReview};
    let unannotated = look(&denied()).unannotated.unwrap();
    assert!(unannotated.without_witness && unannotated.without_final);
    let time = |text: &str| format!("2026-11-22T23:29:{text}Z").parse().unwrap();
    let review = NumberedReview {
        number: 1,
        hook: Hook::Witness,
        time: time("51.2"),
        request: request_key(),
        operation: "CREATE".into(),
        group: String::new(),
        resource: String::new(),
        subresource: String::new(),
        namespace: String::new(),
        name: String::new(),
        user: String::new(),
    };
    assert!(unannotated.may_be_of(&review));
    // Clocks may differ by two seconds, and an answer be on its way for one.
    for (at, fits) in [
        ("48.999999", false),
        ("49.0", true),
        ("54.5", true),
        ("54.500001", false),
    ] {
        let time = time(at);
        let other = NumberedReview {
            time,
            ..review.clone()
        };
        assert_eq!(unannotated.may_be_of(&other), fits, "{at}");
    }
    let update = NumberedReview {
        operation: "UPDATE".into(),
        ..review.clone()
    };
    assert!(!unannotated.may_be_of(&update));
    let mut patch = denied();
    patch["verb"] = "patch".into();
    let patched = look(&patch).unannotated.unwrap();
    assert!(patched.may_be_of(&update) && patched.may_be_of(&review));

    let mut event = denied();
    event["annotations"][format!("{WITNESS}/{UID}")] =
        swear(WITNESS, UID, "pr-1", &testimony()).into();
    let half = look(&event).unannotated.unwrap();
    assert!(!half.may_be_of(&review));
    let validated = NumberedReview {
        hook: Hook::Final,
        ..review
    };
    assert!(half.may_be_of(&validated));
    event["annotations"][format!("{FINAL}/{UID}")] = swear(FINAL, UID, "pr-1", &testimony()).into();
    assert_eq!(look(&event).unannotated, None);
    // The validating hook alone is registered, or the mutating one did not answer.
    let annotations = event["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| !key.starts_with(WITNESS));
    assert_eq!(look(&event).unannotated, None);
    event["annotations"]["failed-open.mutation.webhook.admission.k8s.io/round_0_index_0"] =
        WITNESS.into();
    let skipped = look(&event).unannotated.unwrap();
    assert!(skipped.without_witness && !skipped.without_final);
}

#[test]
fn where_no_numbered_review_can_have_been_nothing_is_unannotated() {
    type Change = fn(&mut Value);
    let changes: [Change; 6] = [
        |event| event["objectRef"]["apiGroup"] = "apps".into(),
        |event| event["verb"] = "deletecollection".into(),
        |event| {
            event["verb"] = "delete".into();
            event["objectRef"]["name"] = "".into();
        },
        |event| event["responseStatus"] = json!({"code": 401, "message": "Unauthorized"}),
        |event| event["responseStatus"] = json!({"code": 429, "message": "too many requests"}),
        |event| {
            event["responseStatus"] = json!({"code": 403, "message": "no"});
            event["annotations"]["authorization.k8s.io/decision"] = "forbid".into();
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut event = denied();
        change(&mut event);
        assert_eq!(look(&event).unannotated, None, "change {at}");
    }
}
