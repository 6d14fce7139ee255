//! Who may read what, and what everyone else is told.

use super::world::{Denial, World, gap, gap_with_writes, id};
use axum::body::Body;
use docket_ledger::entry::Class;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;

/// Two orgs with denials each, one denial of no namespace, one gap; `anna` reads acme.
fn two_orgs() -> World {
    two_orgs_in(World::new())
}

fn two_orgs_in(mut world: World) -> World {
    for n in 0..6 {
        let org = if n % 2 == 0 {
            "krate-org-acme"
        } else {
            "krate-org-globex"
        };
        world.deny(&Denial::new(n).namespace(org));
    }
    world.deny(&Denial::new(6).namespace(""));
    world.add(Class::Gap, &gap(1), None);
    world.cluster.grant("anna", "krate-org-acme");
    world.cluster.change(|cluster| {
        for org in [
            "krate-org-acme",
            "krate-org-globex",
            "krate-system",
            "empty",
        ] {
            cluster.namespaces.insert(org.into(), String::new());
        }
        cluster
            .tokens
            .insert("token-of-nobody".into(), "nobody".into());
    });
    world
}

#[tokio::test]
async fn without_a_good_token_nothing_is_said() {
    let world = two_orgs();
    let paths = [
        "/api/policy-denials",
        "/api/policy-denials/summary",
        "/api/gaps",
        "/api/parts",
        "/api/parts/0",
        "/checkpoint",
        "/verifier-key",
        "/tile/0/000.p/8",
        "/tile/entries/000.p/8",
        "/api/orgs/acme/policy-denials",
        "/api/policy-denials?colour=red",
    ];
    for path in paths {
        for header in [
            "",
            "Basic YWRtaW46YWRtaW4=",
            "Bearer",
            "Bearer ",
            "Bearer forged",
        ] {
            let answer = world
                .request(Request::get(path).header("authorization", header))
                .await;
            answer.refused(401, "unauthorized");
            assert_eq!(
                answer.headers["www-authenticate"], "Bearer realm=\"docket\"",
                "{path} {header}"
            );
        }
        world
            .request(Request::get(path))
            .await
            .refused(401, "unauthorized");
    }
    let long = format!("Bearer {}", "a".repeat(20_000));
    world
        .request(Request::get("/checkpoint").header("authorization", long))
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn a_namespace_reader_gets_that_namespace_in_lists_totals_and_summaries() {
    let world = two_orgs();
    let list = world.get("anna", "/api/policy-denials").await;
    assert_eq!((list.positions(), list.total()), (vec![4, 2, 0], 3));
    let summary = world.get("anna", "/api/policy-denials/summary").await;
    assert_eq!(summary.total(), 3);
    assert!(!String::from_utf8_lossy(&summary.bytes).contains("globex"));
    for filter in [
        "actor=alice",
        "policy=require-pr-description",
        "rule=x",
        "verdict=failedOpen",
        "since=1000w",
    ] {
        let answer = world
            .get("anna", &format!("/api/policy-denials?{filter}"))
            .await;
        assert!(
            answer
                .positions()
                .iter()
                .all(|position| [0, 2, 4].contains(position)),
            "{filter}"
        );
        assert!(answer.total() <= 3, "{filter}");
    }
}

#[tokio::test]
async fn a_page_by_cursor_stays_in_the_scope_of_who_shows_it() {
    let world = two_orgs();
    let admin = world.get("admin", "/api/policy-denials?limit=1").await;
    assert_eq!(admin.positions(), [6]);
    let cursor = admin.json()["cursor"].as_str().unwrap().to_owned();
    let anna = world
        .get("anna", &format!("/api/policy-denials?cursor={cursor}"))
        .await;
    assert_eq!((anna.positions(), anna.total()), (vec![4, 2, 0], 3));
}

#[tokio::test]
async fn an_id_out_of_scope_and_an_id_that_never_was_get_the_same_answer() {
    let world = two_orgs();
    assert_eq!(
        world
            .get("anna", &format!("/api/policy-denials/{}", id(0)))
            .await
            .status,
        200
    );
    let never = world
        .get("anna", &format!("/api/policy-denials/{}", id(99)))
        .await;
    never.refused(404, "not_found");
    for other in [id(1), id(6), id(1)[..8].to_owned()] {
        let answer = world
            .get("anna", &format!("/api/policy-denials/{other}"))
            .await;
        assert_eq!((answer.status, &answer.bytes), (never.status, &never.bytes));
    }
}

#[tokio::test]
async fn the_beginning_of_an_id_tells_nothing_of_ids_out_of_scope() {
    let mut world = two_orgs();
    for (namespace, end) in [("krate-org-acme", 'a'), ("krate-org-globex", 'b')] {
        let id = format!("aaaaaaa{}", end.to_string().repeat(45));
        world.deny(
            &Denial::new(u32::from(end))
                .namespace(namespace)
                .public(json!({"id": id})),
        );
    }
    assert_eq!(
        world
            .get("anna", "/api/policy-denials/aaaaaaa")
            .await
            .status,
        200
    );
    world
        .get("admin", "/api/policy-denials/aaaaaaa")
        .await
        .refused(400, "bad_request");
}

#[tokio::test]
async fn parts_are_handed_out_for_records_in_scope_only() {
    let world = two_orgs();
    assert_eq!(world.get("anna", "/api/parts").await.positions(), [0, 2, 4]);
    assert_eq!(world.get("anna", "/api/parts").await.json()["next"], 8);
    assert_eq!(world.get("anna", "/api/parts/2").await.status, 200);
    let never = world.get("anna", "/api/parts/99").await;
    for other in [1, 6, 7] {
        let answer = world.get("anna", &format!("/api/parts/{other}")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.bytes),
            (404, &never.bytes),
            "{other}"
        );
    }
    assert_eq!(
        world.get("admin", "/api/parts").await.positions(),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
}

#[tokio::test]
async fn whoever_misses_a_part_may_read_that_it_was_erased_but_not_by_whom() {
    let mut world = two_orgs();
    let public = json!({"id": "erasure-1", "time": "2026-10-05T13:00:00Z",
        "erases": [{"position": 1, "parts": ["personal"]}]});
    world.add(
        Class::Erasure,
        &public,
        Some(&json!({"actor": {"username": "carol"}})),
    );
    let page = world.get("anna", "/api/parts").await;
    assert_eq!(page.positions(), [0, 2, 4, 8]);
    let page = page.json();
    let erasure = &page["items"][3];
    assert!(erasure["public"]["bytes"].is_string(), "{erasure}");
    assert_eq!(
        (
            &erasure["class"],
            &erasure["personal"],
            &erasure["withheld"]
        ),
        (&json!("erasure"), &Value::Null, &json!(["personal"]))
    );
}

#[tokio::test]
async fn a_namespace_reader_learns_of_gaps_but_not_of_processes() {
    let world = two_orgs();
    let answer = world.get("anna", "/api/gaps").await;
    assert_eq!(answer.positions(), [7]);
    let body = answer.json();
    let item = &body["items"][0];
    assert_eq!(
        (item["cause"].as_str(), item["from"].as_str()),
        (Some("numbers-missing"), Some("2026-10-05T10:00:01Z"))
    );
    for name in ["process", "numbers", "count", "detail"] {
        assert!(item.get(name).is_none(), "{name}");
    }
    assert!(world.get("admin", "/api/gaps").await.json()["items"][0]["process"].is_object());
}

#[tokio::test]
async fn a_missing_write_is_named_to_those_who_read_its_namespace() {
    let mut world = two_orgs();
    let (gap, personal) = gap_with_writes(2);
    world.add(Class::Gap, &gap, Some(&personal));
    let writes = async |user: &str| {
        let body = world.get(user, "/api/gaps").await.json();
        let items = body["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["id"] == "gap-2").unwrap();
        item["writes"].clone()
    };
    let mut acme = json!({
        "hook": "witness", "time": "2026-10-05T10:10:00Z", "operation": "CREATE", "group": "krate.a5c.ai",
        "resource": "pullrequests", "namespace": "krate-org-acme", "name": "pr-7", "user": "alice",
    });
    assert_eq!(writes("anna").await, json!([acme]));
    let all = writes("admin").await;
    acme["number"] = 4.into();
    assert_eq!(all[0], acme);
    assert_eq!(
        (&all[1]["user"], &all[2]["name"]),
        (&json!("gina"), &json!("globex"))
    );
    assert_eq!(all.as_array().unwrap().len(), 3);
    // One that names nothing is as it always was.
    let body = world.get("admin", "/api/gaps").await.json();
    let old = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == "gap-1");
    assert!(old.unwrap().get("writes").is_none());
}

#[tokio::test]
async fn a_refused_namespace_is_refused_by_name_with_what_is_missing() {
    let world = two_orgs();
    for namespace in ["krate-org-globex", "never-was"] {
        let path = format!("/api/policy-denials?namespace={namespace}");
        let message = world.get("anna", &path).await.refused(403, "forbidden");
        assert!(
            message.contains("list denials.docket.a5c.ai") && message.contains(namespace),
            "{message}"
        );
    }
    assert_eq!(
        world
            .get("anna", "/api/policy-denials?namespace=krate-org-acme")
            .await
            .total(),
        3
    );
}

#[tokio::test]
async fn who_may_read_nowhere_is_refused_and_not_told_that_there_is_nothing() {
    let world = two_orgs();
    for path in [
        "/api/policy-denials",
        "/api/policy-denials/summary",
        "/api/gaps",
        "/api/parts",
        "/api/orgs/acme/policy-denials",
        "/api/orgs/never-was/policy-denials",
        &format!("/api/policy-denials/{}", id(0)),
    ] {
        let message = world.get("nobody", path).await.refused(403, "forbidden");
        assert!(
            message.contains(" denials.docket.a5c.ai"),
            "{path}: {message}"
        );
    }
    world.cluster.grant("nobody", "empty");
    tokio::time::sleep(Duration::from_millis(250)).await;
    let answer = world.get("nobody", "/api/policy-denials").await;
    assert_eq!((answer.positions(), answer.total()), (vec![], 0));
}

#[tokio::test]
async fn an_org_is_its_namespaces_by_organization_binding_label_and_prefix() {
    let mut world = World::new();
    for (n, namespace) in (0..).zip([
        "krate-org-acme",
        "by-spec",
        "by-binding",
        "by-label",
        "krate-org-globex",
        "other",
    ]) {
        // Whatever the object says of its org, here always acme.
        world.deny(&Denial::new(n).namespace(namespace));
    }
    world.cluster.change(|cluster| {
        cluster.namespaces.insert("by-label".into(), "acme".into());
        cluster.organizations.push(json!({"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "Organization",
            "metadata": {"name": "acme", "namespace": "krate-system"}, "spec": {"namespaceName": "by-spec"}}));
        cluster.bindings.push(json!({"apiVersion": "krate.a5c.ai/v1alpha1", "kind": "OrgNamespaceBinding",
            "metadata": {"name": "b", "namespace": "krate-system"}, "spec": {"organizationRef": "acme", "namespace": "by-binding"}}));
    });
    let answer = world.get("admin", "/api/orgs/acme/policy-denials").await;
    assert_eq!((answer.positions(), answer.total()), (vec![3, 2, 1, 0], 4));
    assert_eq!(answer.json()["org"], "acme");
    let globex = world.get("admin", "/api/orgs/globex/policy-denials").await;
    assert_eq!(globex.positions(), [4]);
    assert_eq!(
        globex.json()["items"][0]["org"],
        "globex",
        "the namespace's word, not the object's"
    );
    assert_eq!(globex.json()["items"][0]["context"]["org"], "acme");
    assert_eq!(
        world
            .get("admin", &format!("/api/orgs/acme/policy-denials/{}", id(1)))
            .await
            .status,
        200
    );
    world
        .get("admin", &format!("/api/orgs/acme/policy-denials/{}", id(4)))
        .await
        .refused(404, "not_found");
    assert_eq!(
        world
            .get("admin", "/api/orgs/acme/policy-denials/summary")
            .await
            .total(),
        4
    );
    world
        .get("admin", "/api/orgs/never-was/policy-denials")
        .await
        .refused(404, "not_found");
    let message = world
        .get("admin", "/api/orgs/acme/policy-denials?namespace=other")
        .await
        .refused(400, "bad_request");
    assert!(
        message.contains("by-binding, by-label, by-spec, krate-org-acme"),
        "{message}"
    );
}

#[tokio::test]
async fn a_namespace_that_is_said_to_be_anothers_does_not_fall_to_an_org_by_its_name() {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    world.cluster.change(|cluster| {
        cluster
            .namespaces
            .insert("krate-org-acme".into(), "globex".into());
    });
    assert_eq!(
        world
            .get("admin", "/api/orgs/globex/policy-denials")
            .await
            .positions(),
        [0]
    );
    world
        .get("admin", "/api/orgs/acme/policy-denials")
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_reader_of_a_part_of_an_org_is_told_that_it_is_a_part() {
    let world = two_orgs();
    world.cluster.change(|cluster| {
        cluster
            .namespaces
            .insert("krate-org-globex".into(), "acme".into());
    });
    let part = world.get("anna", "/api/orgs/acme/policy-denials").await;
    assert_eq!(
        (part.positions(), &part.json()["partial"]),
        (vec![4, 2, 0], &json!(true))
    );
    assert!(!part.json().as_object().unwrap().contains_key("replay"));
    let all = world.get("admin", "/api/orgs/acme/policy-denials").await;
    assert_eq!((all.total(), all.json().get("partial")), (6, None));
}

#[tokio::test]
async fn a_cluster_without_krates_kinds_has_orgs_by_label_and_prefix() {
    let world = two_orgs();
    world.cluster.change(|cluster| cluster.bare = true);
    assert_eq!(
        world
            .get("anna", "/api/orgs/acme/policy-denials")
            .await
            .total(),
        3
    );
}

#[tokio::test]
async fn answers_about_callers_are_remembered_for_a_moment_and_no_longer() {
    // Long enough for a loaded machine to ask five times.
    let moment = Duration::from_secs(2);
    let world = two_orgs_in(World::with(|settings| {
        settings.patience.token = moment;
        settings.patience.access = moment;
    }));
    for _ in 0..5 {
        world
            .get("anna", "/api/policy-denials?namespace=krate-org-acme")
            .await
            .positions();
    }
    assert_eq!(
        (
            world.cluster.asked("tokenreviews"),
            world.cluster.asked("subjectaccessreviews")
        ),
        // Of the namespace, and of the cluster, which would have no bounds.
        (1, 2)
    );
    world.cluster.change(|cluster| cluster.may.clear());
    tokio::time::sleep(moment + Duration::from_millis(50)).await;
    world
        .get("anna", "/api/policy-denials?namespace=krate-org-acme")
        .await
        .refused(403, "forbidden");
    world.cluster.change(|cluster| cluster.tokens.clear());
    tokio::time::sleep(moment + Duration::from_millis(50)).await;
    world
        .get("anna", "/api/policy-denials")
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn a_token_that_was_not_good_yet_is_asked_about_again_soon() {
    let world = two_orgs();
    world
        .get("late", "/api/policy-denials")
        .await
        .refused(401, "unauthorized");
    world
        .get("late", "/api/policy-denials")
        .await
        .refused(401, "unauthorized");
    assert_eq!(world.cluster.asked("tokenreviews"), 1);
    world.cluster.grant("late", "krate-org-acme");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.get("late", "/api/policy-denials").await.total(), 3);
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_no_reason_to_let_anyone_in() {
    let world = two_orgs();
    world.cluster.change(|cluster| cluster.down = true);
    let answer = world.get("admin", "/api/policy-denials").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    world.cluster.change(|cluster| cluster.down = false);
    assert_eq!(
        world.get("admin", "/api/policy-denials").await.total(),
        7,
        "a failure is not remembered"
    );
}

#[tokio::test]
async fn only_get_is_answered_and_no_body_is_read() {
    let world = two_orgs();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri("/api/policy-denials")
            .header("authorization", "Bearer token-of-admin");
        let answer = world.request(request).await;
        answer.refused(405, "method_not_allowed");
        assert_eq!(answer.headers["allow"], "GET, HEAD");
    }
    let request =
        Request::get("/api/policy-denials").header("authorization", "Bearer token-of-admin");
    world
        .send(request.body(Body::from("{}")).unwrap())
        .await
        .refused(400, "bad_request");
    world
        .get("admin", "/nowhere")
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_it_private() {
    let world = two_orgs();
    for path in [
        "/api/policy-denials",
        "/checkpoint",
        "/nowhere",
        "/api/policy-denials?colour=red",
        "/tile/0/000.p/8",
    ] {
        let answer = world.get("admin", path).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
    }
}

#[tokio::test]
async fn more_requests_than_allowed_are_told_to_come_back() {
    let world = World::with(|settings| settings.at_once = 0);
    let answer = world.get("admin", "/api/policy-denials").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_says_nothing_of_why() {
    let world = World::with(|settings| settings.store = "/nowhere/ledger.db".into());
    let message = world
        .get("admin", "/api/policy-denials")
        .await
        .refused(503, "unavailable");
    assert!(!message.contains("/nowhere"), "{message}");
}

#[tokio::test]
async fn one_entry_of_an_unknown_form_does_not_hide_the_others() {
    let mut world = two_orgs();
    let strange = json!({"id": id(50), "time": "2026-10-05T12:59:00Z", "namespace": "krate-org-acme", "verdict": "denied", "shape": [1]});
    world.add(Class::Denial, &strange, None);
    let answer = world.get("admin", "/api/policy-denials").await;
    assert_eq!(answer.total(), 8);
    let body = answer.json();
    let unread = &body["items"][0];
    assert_eq!(
        (unread["id"].as_str(), unread["unreadable"].as_bool()),
        (Some(id(50).as_str()), Some(true)),
        "{unread}"
    );
    let null = |name: &str| unread.get(name).is_none_or(Value::is_null);
    assert!(null("actor") && null("policy"));
}
