//! Violations: denials and reports in one list, and who may read which.

use super::shape::check;
use super::world::{Denial, World, id};
use crate::doors::Known;
use docket_record::law::{Body, Change, Kind, Place, Shelves, Version};
use docket_record::policies::Policy;
use docket_record::report::Report;
use docket_record::write::Write;
use jiff::Timestamp;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../../docs/policy-violation.schema.json");
const ACME: &str = "krate-org-acme";
const GLOBEX: &str = "krate-org-globex";

pub(super) fn report(namespace: &str, pull_request: &str, change: Value) -> Report {
    let mut result = json!({"source": "KyvernoValidatingPolicy", "policy": "labels-wanted",
        "result": "fail", "message": "Name an owner.", "severity": "high",
        "properties": {"process": "background scan"}, "timestamp": {"seconds": 1_790_000_000}});
    for (name, value) in change.as_object().unwrap() {
        result[name] = value.clone();
    }
    let mut object = json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {"name": format!("uid-of-{pull_request}"), "namespace": namespace},
        "scope": {"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "PullRequest",
            "name": pull_request, "namespace": namespace},
        "results": [result],
    });
    if namespace.is_empty() {
        object["kind"] = "ClusterPolicyReport".into();
    }
    Report::from_object(&object).unwrap()
}

fn audit_policy() -> Policy {
    let mut policy = Policy {
        kind: "ValidatingPolicy".into(),
        name: "labels-wanted".into(),
        law_id: "law-1".into(),
        ..Policy::default()
    };
    policy.law.mode = "audit".into();
    policy.law.severity = "low".into();
    policy.law.exception_eligible = true;
    policy.law.remediation = "Set metadata.labels.owner.".into();
    policy
}

/// Reports in two namespaces and of the cluster, beside denials.
pub(super) fn world() -> (World, Known) {
    let known = Known::default();
    let shared = known.clone();
    let mut world = World::with(|settings| {
        let head = settings.known.head.clone();
        settings.known = Known { head, ..shared };
    });
    let mut shelves = Shelves::default();
    let policy = audit_policy();
    let place = Place {
        kind: Kind::of("policies.kyverno.io", &policy.kind).unwrap(),
        namespace: String::new(),
        name: policy.name.clone(),
    };
    let version = Version {
        id: policy.law_id.clone(),
        at: Timestamp::MIN,
        after: None,
        change: Change::FirstSeen,
        body: Body::Policy(Box::new(policy)),
    };
    shelves.put(place, version);
    known.laws.publish(shelves.book(true));
    for (namespace, name) in [(ACME, "pr-90"), (GLOBEX, "pr-91"), ("", "pr-92")] {
        let found = report(namespace, name, json!({}));
        known.reports.write().apply(found);
    }
    // Twice the same object, once a dry run, once not a refusal.
    world.deny(&Denial::new(0).personal(json!({"name": "same"})));
    world.deny(&Denial::new(1).personal(json!({"name": "same"})));
    world.deny(&Denial::new(2).public(json!({"dryRun": true})));
    world.deny(&Denial::new(3).public(json!({"verdict": "unavailable"})));
    (world, known)
}

fn names(items: &Value) -> Vec<(&str, &str)> {
    let items = items["items"].as_array().expect("a list");
    items
        .iter()
        .map(|item| {
            (
                item["source"].as_str().unwrap(),
                item["resourceRef"]["name"].as_str().unwrap_or(""),
            )
        })
        .collect()
}

async fn list(world: &World, user: &str, query: &str) -> Value {
    let path = format!("/api/policy-violations{query}");
    let answer = world.get(user, &path).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.json());
    answer.json()
}

#[tokio::test]
async fn a_refused_write_and_an_object_that_stands_are_in_one_list() {
    let (world, _) = world();
    let body = list(&world, "admin", "").await;
    let found = names(&body);
    assert_eq!(
        found
            .iter()
            .filter(|one| **one == ("denial", "same"))
            .count(),
        1
    );
    assert_eq!(found.len(), 4, "{body:#}");
    assert_eq!(body["total"], 4);
    let denied = &body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["source"] == "denial")
        .unwrap()
        .clone();
    assert_eq!(denied["count"], 2, "both denials of the object");
    assert_eq!(denied["denial"], denied["id"]);
    assert_eq!(denied["mode"], "enforce");
    let stands = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["namespace"] == ACME && i["source"] == "report")
        .unwrap();
    assert_eq!(stands["mode"], "audit");
    assert_eq!(
        stands["severity"], "high",
        "the report's word before the policy's"
    );
    assert_eq!(stands["policyRef"]["kind"], "ValidatingPolicy");
    assert_eq!(stands["remediation"], "Set metadata.labels.owner.");
    assert_eq!(stands["report"], "uid-of-pr-90");
    assert_eq!(stands["org"], "acme");
    assert_eq!(stands["surface"], "pr");
    assert!(
        stands["backgroundScanAge"]
            .as_u64()
            .is_some_and(|age| age > 0)
    );
    assert_eq!(stands["age"], stands["backgroundScanAge"]);
    assert_eq!(stands["exceptionEligible"], true);
}

#[tokio::test]
async fn real_violations_have_the_published_shape() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let (world, known) = world();
    known.reports.write().apply(report(
        ACME,
        "bare",
        json!({"policy": "", "timestamp": null,
        "source": "trivy", "properties": null, "severity": "", "message": ""}),
    ));
    let body = list(&world, "admin", "").await;
    let items = body["items"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    for item in items {
        check(&schema, &schema, item, "item");
    }
}

#[tokio::test]
async fn each_filter_narrows_the_list() {
    let (world, known) = world();
    let change = json!({"result": "warn", "policy": "other", "source": "trivy", "severity": "low"});
    known.reports.write().apply(report(ACME, "pr-93", change));
    for (query, expected) in [
        ("?source=denial", vec!["same"]),
        (
            "?source=report&namespace=krate-org-acme",
            vec!["pr-90", "pr-93"],
        ),
        ("?mode=enforce", vec!["same"]),
        ("?mode=audit", vec!["pr-90", "pr-91", "pr-92"]),
        ("?severity=high", vec!["pr-90", "pr-91", "pr-92"]),
        ("?severity=medium", vec!["same"]),
        ("?severity=low", vec!["pr-93"]),
        ("?result=warn", vec!["pr-93"]),
        ("?result=fail&source=denial", vec!["same"]),
        ("?result=error", vec![]),
        ("?policy=other", vec!["pr-93"]),
        ("?policy=require-pr-description", vec!["same"]),
        ("?name=pr-91", vec!["pr-91"]),
        ("?kind=Job", vec![]),
        ("?repository=web", vec!["same"]),
        ("?since=2026-10-01T00:00:00Z", vec!["same"]),
        (
            "?until=2026-10-01T00:00:00Z",
            vec!["pr-90", "pr-91", "pr-92", "pr-93"],
        ),
    ] {
        let body = list(&world, "admin", query).await;
        let mut found: Vec<&str> = names(&body).into_iter().map(|(_, name)| name).collect();
        found.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    for query in [
        "?verdict=denied",
        "?severity=dire",
        "?mode=mixed",
        "?source=x",
        "?result=pass",
    ] {
        let answer = world
            .get("admin", &format!("/api/policy-violations{query}"))
            .await;
        answer.refused(400, "bad_request");
    }
}

#[tokio::test]
async fn a_namespace_reader_sees_the_reports_of_that_namespace_and_no_others() {
    let (world, _) = world();
    world.cluster.grant("carol", GLOBEX);
    let body = list(&world, "carol", "").await;
    assert_eq!(names(&body), [("report", "pr-91")]);
    assert_eq!(body["total"], 1);
    let theirs = world
        .get("carol", "/api/policy-violations?namespace=krate-org-acme")
        .await;
    theirs.refused(403, "forbidden");
    let org = world
        .get("carol", "/api/orgs/globex/policy-violations")
        .await
        .json();
    assert_eq!(names(&org), [("report", "pr-91")]);
    assert_eq!(org["org"], "globex");
    let other = world.get("carol", "/api/orgs/acme/policy-violations").await;
    other.refused(403, "forbidden");
    // Cluster scope, and no namespace: the cluster's reports are not an org's.
    let acme = world
        .get("admin", "/api/orgs/acme/policy-violations")
        .await
        .json();
    let mut found = names(&acme);
    found.sort_unstable();
    assert_eq!(found, [("denial", "same"), ("report", "pr-90")]);
    assert_eq!(
        world.get("nobody", "/api/policy-violations").await.status,
        401
    );
}

#[tokio::test]
async fn pages_follow_one_another_without_loss_or_repetition() {
    let (world, known) = world();
    for n in 0..7 {
        known
            .reports
            .write()
            .apply(report(ACME, &format!("more-{n}"), json!({})));
    }
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let body = list(&world, "admin", &query).await;
        let items = body["items"].as_array().unwrap();
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = body["cursor"].as_str() else {
            break;
        };
        assert_eq!(body["hasMore"], true);
        query = format!("?limit=3&cursor={cursor}");
    }
    assert_eq!(seen.len(), 11);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 11);
    let offset = list(&world, "admin", "?limit=3&offset=9").await;
    assert_eq!(offset["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn denial_and_report_of_one_object_name_each_other() {
    let (mut world, known) = world();
    world.deny(
        &Denial::new(7)
            .public(json!({"attributions": [{"enforcer": "kyverno",
        "policy": "labels-wanted", "result": "fail", "source": "responseStatus"}]}))
            .personal(json!({"name": "pr-90"})),
    );
    let body = list(&world, "admin", "?name=pr-90").await;
    let items = body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{body:#}");
    for item in items {
        assert_eq!(item["denial"], id(7));
        assert_eq!(item["report"], "uid-of-pr-90");
    }
    let path = format!("/api/policy-denials/{}", id(7));
    assert_eq!(
        world.get("admin", &path).await.json()["report"],
        "uid-of-pr-90"
    );
    // The object is fixed: the report goes, and with it the link and the violation.
    let mut fixed = report(ACME, "pr-90", json!({}));
    fixed.results.clear();
    known.reports.write().apply(fixed);
    let body = list(&world, "admin", "?name=pr-90").await;
    assert_eq!(names(&body), [("denial", "pr-90")]);
}

#[tokio::test]
async fn a_report_older_than_the_last_write_or_the_law_says_so() {
    let (mut world, known) = world();
    let fresh = list(&world, "admin", "?name=pr-90").await;
    assert_eq!(fresh["items"][0]["stale"], Value::Null);
    world.add(
        docket_ledger::entry::Class::Law,
        &json!({"id": "law-1", "time": "2026-11-01T00:00:00Z"}),
        None,
    );
    let older = list(&world, "admin", "?name=pr-90").await;
    assert_eq!(older["items"][0]["stale"], "the policy was changed later");
    known.objects.wrote(
        &(Write {
            context: docket_record::denial::Context {
                repository: "storefront".into(),
                ..Default::default()
            },
            ..crate::objects::write(
                "krate.a5c.ai",
                "pullrequests",
                ACME,
                "pr-90",
                "2026-11-02T00:00:00Z",
            )
        }),
    );
    let written = list(&world, "admin", "?name=pr-90").await;
    assert_eq!(written["items"][0]["stale"], "the object was written later");
    assert_eq!(written["items"][0]["repository"], "storefront");
    let by_repository = list(&world, "admin", "?repository=storefront").await;
    assert_eq!(names(&by_repository), [("report", "pr-90")]);
}

#[tokio::test]
async fn what_there_was_no_room_for_is_said() {
    let (world, known) = world();
    world.cluster.grant("carol", GLOBEX);
    *known.reports.write() = crate::reports::Table::bounded(crate::reports::Bounds {
        results: 1,
        ..Default::default()
    });
    known
        .reports
        .write()
        .apply(report(GLOBEX, "kept", json!({})));
    known
        .reports
        .write()
        .apply(report(GLOBEX, "not-kept", json!({})));
    let body = list(&world, "admin", "?source=report").await;
    assert_eq!(
        (names(&body), &body["leftOut"]),
        (vec![("report", "kept")], &json!(1))
    );
    let body = list(&world, "carol", "").await;
    assert_eq!(
        (&body["incomplete"], &body["leftOut"]),
        (&json!(true), &Value::Null)
    );
}

fn excepted(n: u32) -> (Value, Value) {
    Denial::new(n)
        .public(json!({"verdict": "excepted", "code": 201, "exceptions": [
            {"namespace": "kyverno", "name": "let-in", "policyKind": "ValidatingPolicy",
             "policy": "labels-wanted", "evidence": "law", "laws": ["law-2"]},
            {"namespace": "kyverno", "name": "other", "policy": "labels-wanted", "evidence": "law"}],
            "attributions": [{"enforcer": "kyverno", "policy": "labels-wanted", "result": "skip",
                "grade": "ambiguous", "doubt": "not known", "source": "law"}]}))
        .parts()
}

#[tokio::test]
async fn an_excepted_write_is_listed_when_asked_for_with_the_evidence_as_it_is_now() {
    let denial_schema: Value =
        serde_json::from_str(include_str!("../../../../docs/policy-denial.schema.json")).unwrap();
    let (mut world, _) = world();
    let (public, personal) = excepted(40);
    world.add(docket_ledger::entry::Class::Pass, &public, Some(&personal));
    let ask = "/api/policy-denials?verdict=excepted";
    let body = world.get("admin", ask).await.json();
    let item = &body["items"][0];
    check(&denial_schema, &denial_schema, item, "item");
    assert_eq!(item["exceptions"][0]["evidence"], "law");
    assert_eq!(item["exceptionEligible"], false, "nothing was refused");
    world.add(
        docket_ledger::entry::Class::Amendment,
        &json!({"id": "raised", "time": "2026-10-05T13:00:00Z", "amends": id(40),
            "kind": "evidence", "evidence": "report", "exception": {"name": "let-in",
            "policy": "labels-wanted", "evidence": "report"}}),
        None,
    );
    world.add(
        docket_ledger::entry::Class::Amendment,
        &json!({"id": "more", "time": "2026-10-05T13:00:00Z", "amends": id(40), "kind": "more",
            "count": 25}),
        None,
    );
    let body = world.get("admin", ask).await.json();
    let item = &body["items"][0];
    check(&denial_schema, &denial_schema, item, "item");
    assert_eq!(item["exceptions"][0]["evidence"], "report");
    assert_eq!(
        item["exceptions"][1]["evidence"], "law",
        "of this one nothing was said"
    );
    assert_eq!(item["amendments"][1]["count"], 25);
    // Neither a denial nor a violation, and counted in no series.
    let all = world
        .get("admin", "/api/policy-denials?limit=100")
        .await
        .json();
    assert!(!all.to_string().contains(&id(40)));
    let violations = list(&world, "admin", "?source=denial").await;
    assert_eq!(names(&violations), [("denial", "same")]);
    let summary = world
        .get("admin", "/api/policy-denials/summary")
        .await
        .json();
    assert!(
        !summary["byPolicy"].to_string().contains("labels-wanted"),
        "{summary}"
    );
}

/// What is known of an object beside the ledger is of a namespace as it is now, and for
/// who reads all of that namespace.
#[tokio::test]
async fn reports_and_writes_stay_out_of_narrow_scopes_and_former_namespaces() {
    let (mut world, known) = world();
    let by_report = json!({"attributions": [{"enforcer": "kyverno", "policy": "labels-wanted",
        "result": "fail", "source": "responseStatus"}]});
    let refused = Denial::new(7).public(by_report);
    world.deny(&refused.personal(json!({"name": "pr-90"})));
    let context = docket_record::denial::Context {
        repository: "storefront".into(),
        ..Default::default()
    };
    let written = Write {
        context,
        ..crate::objects::write(
            "krate.a5c.ai",
            "pullrequests",
            ACME,
            "pr-90",
            "2026-11-02T00:00:00Z",
        )
    };
    known.objects.wrote(&written);
    world.cluster.grant("anna", ACME);
    let whole = format!("/api/policy-denials/{}", id(7));
    let shown = world.get("anna", &whole).await.json();
    assert_eq!(shown["report"], "uid-of-pr-90");
    let stands = list(&world, "anna", "?name=pr-90&source=report").await;
    assert_eq!(stands["items"][0]["repository"], "storefront");
    assert_eq!(stands["items"][0]["denial"], id(7));
    let all = list(&world, "anna", "?repository=storefront").await;
    assert_eq!(all["total"], 1);

    world.cluster.change(|cluster| {
        let web = "get repositories/denials.docket.a5c.ai krate-org-acme web";
        cluster.tokens.insert("token-of-rita".into(), "rita".into());
        cluster.also.insert(("rita".into(), web.into()));
    });
    let narrow = format!(
        "/api/namespaces/{ACME}/repositories/web/policy-denials/{}",
        id(7)
    );
    let shown = world.get("rita", &narrow).await.json();
    assert_eq!(
        (&shown["id"], &shown["report"]),
        (&json!(id(7)), &Value::Null)
    );

    // Made again after that write: another tenant's object had that name then.
    world.cluster.change(|cluster| {
        let made = "2026-11-03T00:00:00Z".to_owned();
        cluster.created.insert(ACME.into(), made);
    });
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let stands = list(&world, "anna", "?name=pr-90&source=report").await;
    let item = &stands["items"][0];
    assert_eq!(
        (&item["repository"], &item["denial"]),
        (&Value::Null, &Value::Null)
    );
    let all = list(&world, "anna", "?repository=storefront").await;
    assert_eq!(all["total"], 0);
}
