//! Which orgs share a namespace, as bindings come and go.

use super::streaming::Events;
use super::world::{Denial, World};
use serde_json::{Value, json};
use std::time::Duration;

const LIST: &str = "/api/policy-denials?namespace=commons";
const STREAM: &str = "/api/policy-denials/stream?namespace=commons";

fn of(n: u32, org: &str) -> Denial {
    let context = json!({"context": {"org": org, "repository": "web"}});
    Denial::new(n).namespace("commons").public(context)
}

fn binding(org: &str) -> Value {
    json!({"metadata": {"name": org}, "spec": {"namespace": "commons", "organizationRef": org}})
}

/// `commons` is acme's, with a record of acme's and one that names globex; anna is of
/// acme, gina of globex, and both read the namespace.
fn commons() -> World {
    // Longer than any test: what is seen sooner is not owed to a new question.
    let mut world = World::with(|settings| {
        settings.patience.stream = Duration::from_secs(3600);
        settings.heartbeat = Duration::from_millis(100);
    });
    world.deny(&of(0, "acme"));
    world.deny(&of(1, "globex"));
    for (user, org) in [("anna", "acme"), ("gina", "globex")] {
        world.cluster.grant(user, "commons");
        world.cluster.change(|cluster| {
            let get = format!("get organizations.krate.a5c.ai krate-system {org}");
            cluster.also.insert((user.to_owned(), get));
        });
    }
    world
        .cluster
        .change(|cluster| cluster.bindings.push(binding("acme")));
    world
}

#[tokio::test]
async fn a_binding_that_has_just_come_counts_for_the_next_question() {
    let world = commons();
    assert_eq!(world.get("anna", LIST).await.positions(), [1, 0]);
    world
        .cluster
        .change(|cluster| cluster.bindings.push(binding("globex")));
    assert_eq!(world.get("anna", LIST).await.positions(), [0]);
    assert_eq!(world.get("gina", LIST).await.positions(), [1]);
    // The same of an Organization that says so itself, and of the Namespace's label.
    world.cluster.change(|cluster| {
        cluster.bindings.pop();
        cluster.organizations =
            vec![json!({"metadata": {"name": "globex"}, "spec": {"namespaceName": "commons"}})];
    });
    assert_eq!(world.get("anna", LIST).await.positions(), [0]);
    world.cluster.change(|cluster| {
        cluster.organizations[0]["spec"] = json!({});
        cluster.namespaces.insert("commons".into(), "globex".into());
    });
    assert_eq!(world.get("gina", LIST).await.positions(), [1]);
    world
        .cluster
        .change(|cluster| cluster.namespaces.insert("commons".into(), String::new()));
    assert_eq!(world.get("anna", LIST).await.positions(), [1, 0]);
}

#[tokio::test]
async fn an_open_stream_and_an_open_watch_show_nothing_of_another_org_from_its_binding_on() {
    let mut world = commons();
    let mut events = Events::open(&world, "anna", STREAM, None).await;
    events.connected().await;
    world.deny(&of(2, "globex"));
    assert_eq!(events.news().await.1["denial"]["position"], 2);
    world
        .cluster
        .change(|cluster| cluster.bindings.push(binding("globex")));
    world.cluster.told().await;
    world.deny(&of(3, "globex"));
    world.deny(&of(4, "acme"));
    assert_eq!(events.news().await.1["denial"]["position"], 4);
}

#[tokio::test]
async fn while_a_watch_is_broken_nobody_reads_by_the_rights_in_a_namespace() {
    let mut world = commons();
    assert_eq!(world.get("anna", LIST).await.positions(), [1, 0]);
    let mut events = Events::open(&world, "anna", STREAM, None).await;
    events.connected().await;
    world.cluster.change(|cluster| {
        cluster.broken = true;
        cluster.bindings.push(binding("globex"));
    });
    world.cluster.told().await;
    world.deny(&of(2, "globex"));
    let message = world.get("anna", LIST).await.refused(503, "unavailable");
    assert!(message.contains("is not known at this moment"), "{message}");
    for path in [
        "/api/policy-denials",
        "/api/orgs/acme/policy-denials",
        "/api/parts",
    ] {
        world.get("anna", path).await.refused(503, "unavailable");
    }
    let ended = events.news().await.1;
    assert_eq!(ended["error"], "unavailable", "{ended}");
    // Not even by the path of an org to who reads all; all of it is another matter.
    world
        .get("admin", "/api/orgs/acme/policy-denials")
        .await
        .refused(503, "unavailable");
    assert_eq!(world.get("admin", LIST).await.positions(), [2, 1, 0]);
    world.cluster.change(|cluster| cluster.broken = false);
    // The watch begins again within two seconds, and a question waits as long.
    let own = loop {
        let answer = world.get("anna", LIST).await;
        if answer.status != 503 {
            break answer.positions();
        }
    };
    assert_eq!(own, [0]);
}

#[tokio::test]
async fn one_word_that_there_are_no_bindings_at_all_is_not_believed() {
    let world = commons();
    world
        .cluster
        .change(|cluster| cluster.bindings.push(binding("globex")));
    assert_eq!(world.get("anna", LIST).await.positions(), [0]);
    // As a server that has just started may say of a group.
    world.cluster.change(|cluster| cluster.bare = true);
    world.get("anna", LIST).await.refused(503, "unavailable");
}

#[tokio::test]
async fn before_the_first_lists_nobody_reads_by_the_rights_in_a_namespace() {
    let world = commons();
    world.cluster.change(|cluster| cluster.broken = true);
    world.get("anna", LIST).await.refused(503, "unavailable");
    assert_eq!(world.get("admin", LIST).await.positions(), [1, 0]);
}
