//! Scopes narrower than a namespace, shared namespaces, and namespaces that were made
//! again: in lists, totals, facets, series, single records and cursors.

use super::world::{Answer, Denial, World, gap, id};
use docket_ledger::entry::Class;
use serde_json::{Value, json};
use std::time::Duration;

const REPOSITORY: &str = "/api/namespaces/krate-org-acme/repositories/web/policy-denials";
/// Longer than any answer about a caller is believed in these tests.
const FORGOTTEN: Duration = Duration::from_millis(250);

/// What `user` may do beside reading denials, as the double writes it.
fn also(world: &World, user: &str, what: &str) {
    world.cluster.change(|cluster| {
        let token = format!("token-of-{user}");
        cluster.tokens.insert(token, user.to_owned());
        cluster.also.insert((user.to_owned(), what.to_owned()));
    });
}

fn acted(n: u32, actor: &str, repository: &str) -> Denial {
    Denial::new(n)
        .public(json!({"context": {"org": "acme", "repository": repository}}))
        .personal(json!({"actor": {"username": actor, "groups": ["developers"]}}))
}

/// Positions 0 to 5: bob in web, carol in web, bob in api, bob in web of globex, carol in
/// web of no namespace, and bob in web as somebody imported it.
fn several() -> World {
    let mut world = World::new();
    world.deny(&acted(0, "bob", "web"));
    world.deny(&acted(1, "carol", "web"));
    world.deny(&acted(2, "bob", "api"));
    world.deny(&acted(3, "bob", "web").namespace("krate-org-globex"));
    world.deny(&acted(4, "carol", "web").namespace(""));
    world.deny(
        &acted(5, "bob", "web")
            .personal(json!({"actor": {"username": "bob"}, "importer": "admin"})),
    );
    for namespace in ["krate-org-acme", "krate-org-globex"] {
        world.cluster.change(|cluster| {
            cluster.namespaces.insert(namespace.into(), String::new());
        });
    }
    world
}

/// Counts of a summary's facets and series, and its total.
#[track_caller]
fn counts(answer: &Answer) -> (u64, Vec<u64>) {
    assert_eq!(answer.status, 200, "{}", answer.json());
    let body = answer.json();
    let mut counts = Vec::new();
    for facet in [
        "byPolicy",
        "byNamespace",
        "byKind",
        "byEnforcer",
        "byRepository",
        "series",
    ] {
        let rows = body[facet].as_array().expect("a facet");
        counts.push(
            rows.iter()
                .map(|row| row["count"].as_u64().expect("a count"))
                .sum(),
        );
    }
    (answer.total(), counts)
}

#[tokio::test]
async fn whoever_may_read_own_denials_reads_those_and_no_others() {
    let world = several();
    also(&world, "bob", "list mydenials.docket.a5c.ai");
    also(&world, "bob", "get mydenials.docket.a5c.ai");
    let list = world.get("bob", "/api/my-denials").await;
    // Not the imported one: that bob did it is what somebody says.
    assert_eq!((list.positions(), list.total()), (vec![3, 2, 0], 3));
    let one = world
        .get("bob", "/api/my-denials?limit=1&namespace=krate-org-acme")
        .await;
    assert_eq!((one.positions(), one.total()), (vec![2], 2));
    let summary = world.get("bob", "/api/my-denials/summary").await;
    // Of no namespace is none; carol's in the same series do not count.
    assert_eq!(counts(&summary), (3, vec![3, 3, 3, 3, 3, 3]));
    for (n, status) in [(0, 200), (1, 404), (2, 200), (3, 200), (4, 404), (5, 404)] {
        for path in ["", "/law"] {
            let path = format!("/api/my-denials/{}{path}", id(n));
            assert_eq!(world.get("bob", &path).await.status, status, "{path}");
        }
    }
    // carol's denial is in the same series.
    let shown = world
        .get("bob", &format!("/api/my-denials/{}", id(0)))
        .await
        .json();
    assert_eq!(shown["count"], 1);
    assert_eq!(shown["firstSeen"], shown["lastSeen"]);
    // It opens no other door.
    for path in [
        "/api/policy-denials",
        "/api/parts",
        "/api/policy-violations",
        "/api/gaps",
        "/api/laws",
    ] {
        world.get("bob", path).await.refused(403, "forbidden");
    }
    also(&world, "carol", "nothing");
    let message = world
        .get("carol", "/api/my-denials")
        .await
        .refused(403, "forbidden");
    assert!(
        message.contains("`list mydenials.docket.a5c.ai` in the cluster"),
        "{message}"
    );
}

#[tokio::test]
async fn a_service_account_has_no_denials_of_its_own() {
    let mut world = several();
    let account = "system:serviceaccount:ci:runner";
    world.deny(&acted(9, account, "web"));
    for verb in ["get", "list", "watch"] {
        also(&world, account, &format!("{verb} mydenials.docket.a5c.ai"));
    }
    let message = world
        .get(account, "/api/my-denials")
        .await
        .refused(403, "forbidden");
    assert!(message.contains("ServiceAccount"), "{message}");
}

#[tokio::test]
async fn a_developer_of_one_repository_reads_its_denials_and_nothing_else() {
    let world = several();
    also(
        &world,
        "rita",
        "get repositories/denials.docket.a5c.ai krate-org-acme web",
    );
    let list = world.get("rita", REPOSITORY).await;
    assert_eq!((list.positions(), list.total()), (vec![5, 1, 0], 3));
    let page = world
        .get(
            "rita",
            &format!("{REPOSITORY}?limit=1&policy=require-pr-description"),
        )
        .await;
    assert_eq!((page.positions(), page.total()), (vec![5], 3));
    let summary = world.get("rita", &format!("{REPOSITORY}/summary")).await;
    assert_eq!(counts(&summary), (3, vec![3; 6]));
    for (n, status) in [(0, 200), (1, 200), (2, 404), (3, 404), (4, 404), (5, 200)] {
        let path = format!("{REPOSITORY}/{}", id(n));
        assert_eq!(world.get("rita", &path).await.status, status, "{path}");
    }
    for (path, status) in [
        (REPOSITORY.replace("web", "api"), 403),
        (REPOSITORY.replace("acme", "globex"), 403),
        ("/api/policy-denials".to_owned(), 403),
        (
            "/api/policy-denials?namespace=krate-org-acme&repository=web".to_owned(),
            403,
        ),
        ("/api/orgs/acme/policy-denials".to_owned(), 403),
        ("/api/policy-violations".to_owned(), 403),
        ("/api/outcomes?namespace=krate-org-acme".to_owned(), 403),
        ("/api/laws".to_owned(), 403),
        ("/api/parts".to_owned(), 403),
        (format!("{REPOSITORY}?namespace=krate-org-acme"), 400),
    ] {
        assert_eq!(world.get("rita", &path).await.status, status, "{path}");
    }
    // Who reads the namespace reads each of its repositories.
    world.cluster.grant("anna", "krate-org-acme");
    assert_eq!(world.get("anna", REPOSITORY).await.total(), 3);
    assert_eq!(
        world
            .get("anna", &REPOSITORY.replace("web", "api"))
            .await
            .total(),
        1
    );
}

#[tokio::test]
async fn a_cursor_of_a_wider_scope_widens_none() {
    let world = several();
    also(
        &world,
        "rita",
        "get repositories/denials.docket.a5c.ai krate-org-acme web",
    );
    let admin = world.get("admin", "/api/policy-denials?limit=4").await;
    assert_eq!(admin.positions(), [5, 4, 3, 2]);
    let cursor = admin.json()["cursor"].as_str().unwrap().to_owned();
    let rest = world
        .get("rita", &format!("{REPOSITORY}?cursor={cursor}"))
        .await;
    assert_eq!((rest.positions(), rest.total()), (vec![1, 0], 3));
}

#[tokio::test]
async fn a_narrow_scope_shows_only_what_whoever_was_denied_did_next() {
    let mut world = several();
    for (n, same) in [(0, true), (1, false)] {
        let outcome = json!({"id": format!("outcome-{n}"), "time": "2026-10-05T13:00:00Z",
            "relation": "object", "namespace": "krate-org-acme", "operation": "CREATE",
            "write": "w", "denials": [id(n)], "count": 1, "after": 1, "afterLast": 1,
            "sameActor": same, "paths": null});
        let by = json!({"name": "pr", "actor": {"username": "dave", "groups": []}});
        world.add(Class::Outcome, &outcome, Some(&by));
    }
    also(
        &world,
        "rita",
        "get repositories/denials.docket.a5c.ai krate-org-acme web",
    );
    world.cluster.grant("anna", "krate-org-acme");
    let path = |n| format!("{REPOSITORY}/{}", id(n));
    let narrow = |n| {
        let (world, path) = (&world, path(n));
        async move { world.get("rita", &path).await.json()["outcome"].clone() }
    };
    assert!(narrow(0).await.is_object());
    assert_eq!(narrow(1).await, Value::Null);
    let whole = world
        .get("anna", &format!("/api/policy-denials/{}", id(1)))
        .await
        .json();
    assert_eq!(whole["outcome"]["by"], "dave");
}

#[tokio::test]
async fn records_of_no_namespace_are_a_scope_of_their_own() {
    let mut world = several();
    let law = json!({"id": "law-1", "time": "2026-10-05T12:00:00Z", "kind": "ClusterPolicy", "name": "p"});
    world.add(Class::Law, &law, None);
    world.add(Class::Gap, &gap(1), None);
    let scope =
        docket_ledger::query::Scope::of([(String::new(), docket_ledger::query::Plot::default())]);
    let records = world.records();
    let (parts, _) = records.parts(&scope, 0, 200).await.unwrap();
    assert_eq!(
        parts.iter().map(|parts| parts.position).collect::<Vec<_>>(),
        [4]
    );
    let laws = records
        .laws(
            &scope,
            Default::default(),
            docket_ledger::query::Page {
                limit: 9,
                ..Default::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(laws.total, 0, "laws of the cluster need the whole");
}

#[tokio::test]
async fn a_namespace_that_was_made_again_is_another_tenant() {
    let mut world = World::new();
    // Denials in seconds 0 to 9 past noon, all of one series.
    for n in 0..10 {
        world.deny(&Denial::new(n).namespace("team"));
    }
    let law = |n: u32| {
        json!({"id": format!("law-{n}"), "time": format!("2026-10-05T12:00:{n:02}Z"),
        "kind": "Policy", "namespace": "team", "name": "p", "apiVersion": "kyverno.io/v1"})
    };
    let old = world.add(Class::Law, &law(2), None);
    let new = world.add(Class::Law, &law(8), None);
    world.cluster.grant("anna", "team");
    let made = |at: Option<&str>| world_made(&world, at);
    made(Some("2026-10-05T12:00:00Z"));
    let all = world
        .get("anna", "/api/policy-denials?namespace=team")
        .await;
    assert_eq!(
        all.total(),
        10,
        "nothing older is on record, so all of the second is theirs"
    );

    made(Some("2026-10-05T12:00:04Z"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for path in [
        "/api/policy-denials?namespace=team",
        "/api/policy-denials",
        "/api/policy-denials?namespace=team&policy=require-pr-description",
    ] {
        let list = world.get("anna", path).await;
        // The old one may have lasted into second 4.
        assert_eq!(
            (list.positions(), list.total()),
            (vec![9, 8, 7, 6, 5], 5),
            "{path}"
        );
        let item = &list.json()["items"][0];
        assert_eq!(
            (item["count"].as_u64(), item["firstSeen"].as_str()),
            (Some(5), Some("2026-10-05T12:00:05.000000Z"))
        );
    }
    let summary = world
        .get("anna", "/api/policy-denials/summary?namespace=team")
        .await;
    assert_eq!(counts(&summary), (5, vec![5; 6]));
    let one = world
        .get("anna", &format!("/api/policy-denials/{}", id(3)))
        .await;
    one.refused(404, "not_found");
    let admin = world.get("admin", "/api/policy-denials?limit=6").await;
    let cursor = admin.json()["cursor"].as_str().unwrap().to_owned();
    let rest = world
        .get("anna", &format!("/api/policy-denials?cursor={cursor}"))
        .await;
    assert_eq!((rest.positions(), rest.total()), (vec![], 5));
    let outcomes = world.get("anna", "/api/outcomes?namespace=team").await;
    assert_eq!(outcomes.json()["denials"], 5);
    let laws = world.get("anna", "/api/laws?namespace=team").await;
    assert_eq!((laws.positions(), laws.total()), (vec![new], 1));
    for (n, status) in [(2, 404), (8, 200)] {
        assert_eq!(
            world
                .get("anna", &format!("/api/laws/law-{n}"))
                .await
                .status,
            status
        );
    }
    let parts = world.get("anna", "/api/parts?limit=200").await;
    assert_eq!(parts.positions(), [5, 6, 7, 8, 9, new]);
    assert_eq!(
        world.get("anna", &format!("/api/parts/{old}")).await.status,
        404
    );
    let violations = world
        .get("anna", "/api/policy-violations?namespace=team")
        .await;
    assert_eq!(violations.json()["items"].as_array().unwrap().len(), 5);
    // The cluster's readers have no such bound.
    assert_eq!(
        world
            .get("admin", "/api/policy-denials?namespace=team")
            .await
            .total(),
        10
    );

    made(None);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let message = world
        .get("anna", "/api/policy-denials?namespace=team")
        .await
        .refused(403, "forbidden");
    assert!(message.contains("in the cluster"), "{message}");
    assert_eq!(world.get("anna", "/api/policy-denials").await.total(), 0);
    assert_eq!(
        world
            .get("admin", "/api/policy-denials?namespace=team")
            .await
            .total(),
        10
    );
}

fn world_made(world: &World, at: Option<&str>) {
    world.cluster.change(|cluster| match at {
        Some(at) => {
            cluster.created.insert("team".into(), at.into());
        }
        None => {
            cluster.namespaces.remove("team");
        }
    });
}

/// `commons` is shared by acme and globex; positions 0 to 3: acme's, globex's, one that
/// names none, one that names an org which is not there.
fn shared() -> World {
    let mut world = World::new();
    for (n, org) in [(0, "acme"), (1, "globex"), (2, ""), (3, "initech")] {
        let context = json!({"context": {"org": org, "repository": "web"}});
        world.deny(&Denial::new(n).namespace("commons").public(context));
    }
    world.cluster.change(|cluster| {
        cluster.organizations = vec![
            json!({"metadata": {"name": "acme"}, "spec": {"namespaceName": "commons"}}),
            json!({"metadata": {"name": "globex-corporation"}, "spec": {"slug": "globex"}}),
        ];
        cluster.bindings = vec![json!({"metadata": {"name": "b"},
            "spec": {"namespace": "commons", "organizationRef": "globex-corporation"}})];
    });
    for user in ["anna", "gina", "both", "none"] {
        world.cluster.grant(user, "commons");
    }
    for (user, org) in [
        ("anna", "acme"),
        ("gina", "globex-corporation"),
        ("both", "acme"),
        ("both", "globex-corporation"),
    ] {
        also(
            &world,
            user,
            &format!("get organizations.krate.a5c.ai krate-system {org}"),
        );
    }
    world
}

#[tokio::test]
async fn in_a_shared_namespace_each_org_reads_what_names_it() {
    let world = shared();
    for (user, all) in [
        ("anna", vec![0]),
        ("gina", vec![1]),
        ("both", vec![3, 2, 1, 0]),
        ("admin", vec![3, 2, 1, 0]),
    ] {
        for path in [
            "/api/policy-denials",
            "/api/policy-denials?namespace=commons",
        ] {
            let list = world.get(user, path).await;
            assert_eq!(
                (list.positions(), list.total()),
                (all.clone(), all.len() as u64),
                "{user} {path}"
            );
            let partial = all.len() < 4;
            assert_eq!(list.json()["partial"] == true, partial, "{user} {path}");
        }
        let summary = world
            .get(user, "/api/policy-denials/summary?namespace=commons")
            .await;
        let total = all.len() as u64;
        assert_eq!(counts(&summary), (total, vec![total; 6]), "{user}");
        for n in 0..4 {
            let one = world
                .get(user, &format!("/api/policy-denials/{}", id(n)))
                .await;
            let status = if all.contains(&u64::from(n)) {
                200
            } else {
                404
            };
            assert_eq!(one.status, status, "{user} {n}");
            if status == 200 {
                assert_eq!(one.json()["count"], total, "{user}");
            }
        }
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(
            world.get(user, "/api/parts").await.positions(),
            sorted,
            "{user}"
        );
        let violations = world.get(user, "/api/policy-violations").await;
        assert_eq!(violations.total(), total, "{user}");
    }
    // Figures over what others did to pass are for who may read all of it.
    let outcomes = |user| {
        let world = &world;
        async move {
            world
                .get(user, "/api/outcomes?namespace=commons")
                .await
                .status
        }
    };
    assert_eq!(outcomes("anna").await, 404);
    assert_eq!(outcomes("both").await, 200);
    let message = world
        .get("none", "/api/policy-denials?namespace=commons")
        .await
        .refused(403, "forbidden");
    assert!(
        message.contains("organizations.krate.a5c.ai") && !message.contains("globex"),
        "{message}"
    );
    assert_eq!(world.get("none", "/api/policy-denials").await.total(), 0);
}

#[tokio::test]
async fn an_orgs_path_leaves_out_what_names_another_org_of_a_shared_namespace() {
    let world = shared();
    for (user, org, all) in [
        ("anna", "acme", vec![0]),
        ("both", "acme", vec![3, 2, 0]),
        ("both", "globex", vec![3, 2, 1]),
        ("admin", "acme", vec![3, 2, 0]),
        ("admin", "globex", vec![3, 2, 1]),
    ] {
        let list = world
            .get(user, &format!("/api/orgs/{org}/policy-denials"))
            .await;
        assert_eq!(
            (list.positions(), list.total()),
            (all.clone(), all.len() as u64),
            "{user} {org}"
        );
    }
    // The namespace is hers to read, that org's part of it is not.
    let other = world.get("anna", "/api/orgs/globex/policy-denials").await;
    assert_eq!(
        (other.total(), other.json()["partial"].as_bool()),
        (0, Some(true))
    );
}

#[tokio::test]
async fn where_the_namespaces_name_makes_the_org_records_tell_no_tenants_apart() {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    world.cluster.change(|cluster| {
        cluster.bindings = ["acme", "globex"]
            .map(|org| json!({"metadata": {"name": org}, "spec": {"namespace": "krate-org-acme", "organizationRef": org}}))
            .into();
    });
    world.cluster.grant("anna", "krate-org-acme");
    also(
        &world,
        "anna",
        "get organizations.krate.a5c.ai krate-system acme",
    );
    world
        .get("anna", "/api/policy-denials?namespace=krate-org-acme")
        .await
        .refused(403, "forbidden");
    also(
        &world,
        "anna",
        "get organizations.krate.a5c.ai krate-system globex",
    );
    tokio::time::sleep(FORGOTTEN).await;
    let list = world
        .get("anna", "/api/policy-denials?namespace=krate-org-acme")
        .await;
    assert_eq!(list.total(), 1);
}

#[tokio::test]
async fn a_listed_denial_says_nothing_of_addresses_and_groups() {
    let world = several();
    for path in [
        "/api/policy-denials".to_owned(),
        format!("/api/policy-denials/{}", id(0)),
        "/api/policy-violations".to_owned(),
    ] {
        let answer = world.get("admin", &path).await;
        let text = String::from_utf8(answer.bytes).unwrap();
        for secret in ["developers", "10.1.2.3", "kubectl/v1.36"] {
            assert!(!text.contains(secret), "{path}: {secret}");
        }
    }
}

#[tokio::test]
async fn which_namespaces_are_an_orgs_is_told_to_who_reads_them() {
    let world = several();
    world.cluster.grant("anna", "krate-org-acme");
    world.cluster.grant("both", "krate-org-acme");
    world.cluster.grant("both", "krate-org-globex");
    let path = "/api/orgs/globex/policy-denials?namespace=krate-org-acme";
    let message = world.get("anna", path).await.refused(400, "bad_request");
    assert!(!message.contains("krate-org-globex"), "{message}");
    let message = world.get("both", path).await.refused(400, "bad_request");
    assert!(message.contains("krate-org-globex"), "{message}");
}

#[tokio::test]
async fn what_belongs_to_no_namespace_needs_its_own_permission() {
    let world = several();
    world.cluster.grant("anna", "krate-org-acme");
    let path = "/apis/docket.a5c.ai/v1/clusterdenials";
    let refused = world.kube("anna", path).await;
    assert_eq!(refused.status, 403, "{}", refused.json());
    also(&world, "anna", "list clusterdenials.docket.a5c.ai");
    tokio::time::sleep(FORGOTTEN).await;
    let body = world.kube("anna", path).await.json();
    let items = body["items"].as_array().unwrap();
    let ids: Vec<_> = items.iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&json!(id(4))], "{body}");
    assert_eq!(
        world
            .kube("anna", "/apis/docket.a5c.ai/v1/denials")
            .await
            .status,
        403
    );
}
