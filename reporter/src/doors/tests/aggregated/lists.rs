//! Lists: which objects, in which pages, of which moment.

use super::super::world::{Denial, id};
use super::{ACME, V1, court, failed, names, version};
use docket_ledger::entry::Class;
use serde_json::json;

#[tokio::test]
async fn a_namespace_is_listed_newest_first_and_all_namespaces_are_for_who_reads_all() {
    let world = court();
    let acme = format!("{ACME}/denials");
    assert_eq!(world.names("anna", &acme).await, [id(2), id(1), id(0)]);
    let all = format!("{V1}/denials");
    // What belongs to no namespace is no object of a namespaced kind.
    let everything = [id(3), id(2), id(1), id(0)];
    assert_eq!(world.names("admin", &all).await, everything);
    failed(&world.kube("anna", &all).await, 403, "Forbidden");
    let globex = format!("{V1}/namespaces/krate-org-globex/denials");
    failed(&world.kube("anna", &globex).await, 403, "Forbidden");
    let cluster = format!("{V1}/clusterdenials");
    assert_eq!(world.names("admin", &cluster).await, [id(4)]);
    let repository = format!("{ACME}/repositories/web/denials");
    assert_eq!(world.names("anna", &repository).await.len(), 3);
    let other = format!("{ACME}/repositories/api/denials");
    assert!(world.names("anna", &other).await.is_empty());
}

#[tokio::test]
async fn selectors_by_label_and_by_field_take_what_they_say() {
    let mut world = court();
    let mut other = Denial::new(10);
    other.policy = "other-policy".into();
    let context = json!({"org": "acme", "repository": "api", "surface": "run"});
    world.deny(&other.public(json!({"context": context, "kind": "Job"})));
    for (query, expected) in [
        ("labelSelector=policy%3Dother-policy", vec![10]),
        (
            "labelSelector=docket.a5c.ai/policy%21%3Dother-policy",
            vec![2, 1, 0],
        ),
        ("labelSelector=repository%20in%20(api,none)", vec![10]),
        ("labelSelector=repository%20notin%20(api)", vec![2, 1, 0]),
        ("labelSelector=%21repository", vec![]),
        ("labelSelector=org%3Dacme,surface%3Drun", vec![10]),
        ("labelSelector=verdict%3DfailedOpen", vec![5]),
        (
            "labelSelector=verdict%20in%20(failedOpen,denied)",
            vec![10, 5, 2, 1, 0],
        ),
        ("fieldSelector=kind%3DJob", vec![10]),
        ("fieldSelector=name%3Dpr-1", vec![1]),
        ("fieldSelector=verdict%3DfailedOpen", vec![5]),
        (
            "fieldSelector=actor%3Dalice,policy%3Dother-policy",
            vec![10],
        ),
        ("fieldSelector=actor%3Dbob", vec![]),
        (
            "fieldSelector=policy%3Dother-policy&labelSelector=policy%3Drequire-pr-description",
            vec![],
        ),
        ("fieldSelector=since%3D2026-10-05T12:00:02Z", vec![10, 2]),
        (
            "fieldSelector=metadata.namespace%3Dkrate-org-globex",
            vec![],
        ),
        (
            "fieldSelector=metadata.namespace%3Dkrate-org-acme,name%3Dpr-0",
            vec![0],
        ),
    ] {
        let found = world
            .names("anna", &format!("{ACME}/denials?{query}"))
            .await;
        let expected: Vec<String> = expected.into_iter().map(id).collect();
        assert_eq!(found, expected, "{query}");
    }
    let by_name = format!("{ACME}/denials?fieldSelector=metadata.name%3D{}", id(1));
    assert_eq!(world.names("anna", &by_name).await, [id(1)]);
    let beginning = format!(
        "{ACME}/denials?fieldSelector=metadata.name%3D{}",
        &id(1)[..10]
    );
    assert!(world.names("anna", &beginning).await.is_empty());
    let others = format!("{ACME}/denials?fieldSelector=metadata.name%3D{}", id(3));
    assert!(world.names("anna", &others).await.is_empty());
    let in_globex = format!("{V1}/denials?fieldSelector=metadata.namespace%3Dkrate-org-globex");
    assert_eq!(world.names("admin", &in_globex).await, [id(3)]);
}

#[tokio::test]
async fn pages_are_of_one_moment_and_say_how_many_follow() {
    let mut world = court();
    let first = world.kube("anna", &format!("{ACME}/denials?limit=2")).await;
    assert_eq!(names(&first), [id(2), id(1)]);
    let body = first.json();
    assert_eq!(body["metadata"]["remainingItemCount"], 1);
    let token = body["metadata"]["continue"].as_str().unwrap().to_owned();
    // Late news of an early time would come between the pages.
    let mut late = Denial::new(20);
    late.time = "2026-10-05T12:00:00.500000Z".into();
    world.deny(&late);
    let next = format!("{ACME}/denials?limit=2&continue={token}");
    let second = world.kube("anna", &next).await;
    assert_eq!(names(&second), [id(0)]);
    assert_eq!(version(&second.json()), version(&body));
    assert!(second.json()["metadata"].get("continue").is_none());
    assert_eq!(
        world.names("anna", &format!("{ACME}/denials")).await.len(),
        4
    );

    let other = format!("{ACME}/denials?limit=2&labelSelector=policy&continue={token}");
    let message = failed(&world.kube("anna", &other).await, 400, "BadRequest");
    assert!(message.contains("continue"), "{message}");
    let elsewhere = format!("{V1}/denials?continue={token}");
    failed(&world.kube("admin", &elsewhere).await, 400, "BadRequest");
    let broken = format!("{ACME}/denials?continue=abc");
    failed(&world.kube("anna", &broken).await, 400, "BadRequest");
}

#[tokio::test]
async fn a_selector_that_takes_few_gets_short_pages_that_add_up() {
    let mut world = court();
    for n in 100..400 {
        let surface = if n % 100 == 0 { "hook" } else { "pr" };
        world.deny(&Denial::new(n).public(json!({"context": {"surface": surface}})));
    }
    let mut found = Vec::new();
    let mut query = "labelSelector=surface%20in%20(hook)&limit=1".to_owned();
    for _ in 0..10 {
        let page = world.kube("anna", &format!("{ACME}/denials?{query}")).await;
        found.extend(names(&page));
        let body = page.json();
        assert!(body["metadata"].get("remainingItemCount").is_none());
        match body["metadata"]["continue"].as_str() {
            Some(token) => {
                query = format!("labelSelector=surface%20in%20(hook)&limit=1&continue={token}")
            }
            None => break,
        }
    }
    assert_eq!(found, [id(300), id(200), id(100)]);
}

#[tokio::test]
async fn a_list_of_an_exact_version_is_as_it_was_then() {
    let mut world = court();
    let then = version(&world.kube("anna", &format!("{ACME}/denials")).await.json());
    world.deny(&Denial::new(20));
    let disputed = json!({"id": "amendment-1", "time": "2026-10-05T13:00:00Z", "amends": id(0), "kind": "disputed"});
    world.add(Class::Amendment, &disputed, None);
    let exact = format!("{ACME}/denials?resourceVersion={then}&resourceVersionMatch=Exact");
    let answer = world.kube("anna", &exact).await;
    assert_eq!(names(&answer), [id(2), id(1), id(0)]);
    let body = answer.json();
    assert_eq!(
        (version(&body), &body["items"][2]["testimony"]),
        (then, &json!("verified"))
    );
    let newer = format!("{ACME}/denials?resourceVersion={then}&resourceVersionMatch=NotOlderThan");
    let answer = world.kube("anna", &newer).await;
    assert_eq!(names(&answer).len(), 4);
    let body = answer.json();
    assert!(version(&body) > then);
    assert_eq!(body["items"][3]["testimony"], "disputed");
    assert_eq!(version(&body["items"][3]), version(&body));
}

#[tokio::test]
async fn a_version_ahead_or_of_another_ledger_is_gone_and_nonsense_is_wrong() {
    let world = court();
    let now = version(&world.kube("anna", &format!("{ACME}/denials")).await.json());
    for (given, code, reason) in [
        (now + 1, 410, "Expired"),
        (now + 10_000_000_000, 410, "Expired"),
        (5, 410, "Expired"),
    ] {
        let path = format!("{ACME}/denials?resourceVersion={given}");
        failed(&world.kube("anna", &path).await, code, reason);
    }
    let path = format!("{ACME}/denials?resourceVersion=abc");
    failed(&world.kube("anna", &path).await, 400, "BadRequest");
}

#[tokio::test]
async fn summaries_count_denials_and_actors_by_policy_and_namespace() {
    let mut world = court();
    let personal = json!({"actor": {"username": "carol"}});
    world.deny(&Denial::new(30).personal(personal));
    let mut strange = Denial::new(31);
    strange.policy = "PodSecurity".into();
    world.deny(&strange);
    let answer = world.kube("anna", &format!("{ACME}/summaries")).await;
    let body = answer.json();
    assert_eq!(
        (
            answer.status.as_u16(),
            body["items"].as_array().unwrap().len()
        ),
        (200, 2),
        "{body}"
    );
    let of = |policy: &str| {
        let items = body["items"].as_array().unwrap();
        items
            .iter()
            .find(|item| item["policy"] == policy)
            .unwrap()
            .clone()
    };
    let usual = of("require-pr-description");
    assert_eq!(
        (
            &usual["total"],
            &usual["actors"],
            &usual["metadata"]["name"],
            &usual["firstSeen"]
        ),
        (
            &json!(4),
            &json!(2),
            &json!("require-pr-description"),
            &json!("2026-10-05T12:00:00.000000Z")
        )
    );
    let name = of("PodSecurity")["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(name.starts_with("podsecurity-"), "{name}");
    let one = world
        .kube("anna", &format!("{ACME}/summaries/{name}"))
        .await
        .json();
    assert_eq!(
        (&one["kind"], &one["total"]),
        (&json!("Summary"), &json!(1))
    );
    failed(
        &world.kube("anna", &format!("{ACME}/summaries/none")).await,
        404,
        "NotFound",
    );
    failed(
        &world.kube("anna", &format!("{V1}/summaries")).await,
        403,
        "Forbidden",
    );
    let all = world.kube("admin", &format!("{V1}/summaries")).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
}
