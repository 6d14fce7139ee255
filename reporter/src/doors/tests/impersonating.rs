//! A front end that asks for its user, with and without the permission to.

use super::world::{Answer, Denial, World};
use http::Request;

/// `console` reads everything itself; anna reads acme.
fn world() -> World {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    world.deny(&Denial::new(1).namespace("krate-org-globex"));
    world.cluster.grant("console", "*");
    world.cluster.grant("anna", "krate-org-acme");
    world
}

fn allow(world: &World, what: &str) {
    world.cluster.change(|cluster| {
        cluster.also.insert(("console".into(), what.into()));
    });
}

async fn ask(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut request =
        Request::get("/api/policy-denials").header("authorization", "Bearer token-of-console");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.request(request).await
}

#[tokio::test]
async fn a_front_end_that_may_impersonate_gets_its_users_scope_and_not_its_own() {
    let world = world();
    assert_eq!(ask(&world, &[]).await.total(), 2);
    allow(&world, "impersonate users anna");
    let hers = ask(&world, &[("Impersonate-User", "anna")]).await;
    assert_eq!((hers.positions(), hers.total()), (vec![0], 1));
}

#[tokio::test]
async fn each_name_must_be_one_that_it_may_impersonate() {
    let world = world();
    allow(&world, "impersonate users anna");
    allow(&world, "impersonate groups developers");
    allow(&world, "impersonate uids.authentication.k8s.io u-1");
    allow(
        &world,
        "impersonate userextras/scopes/x.authentication.k8s.io view",
    );
    let anna = ("impersonate-user", "anna");
    let all = [
        anna,
        ("Impersonate-Group", "developers"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Extra-Scopes%2fx", "view"),
    ];
    assert_eq!(ask(&world, &all).await.total(), 1);
    for (header, lacks) in [
        (("Impersonate-User", "admin"), "impersonate users admin"),
        (
            ("Impersonate-User", "system:serviceaccount:ci:runner"),
            "impersonate serviceaccounts runner` in namespace ci",
        ),
    ] {
        let message = ask(&world, &[header]).await.refused(403, "forbidden");
        assert!(message.contains(lacks), "{message}");
    }
    for (header, lacks) in [
        (
            ("Impersonate-Group", "system:masters"),
            "impersonate groups system:masters",
        ),
        (
            ("Impersonate-Uid", "u-2"),
            "impersonate uids.authentication.k8s.io u-2",
        ),
        (
            ("Impersonate-Extra-Scopes%2fx", "edit"),
            "impersonate userextras/scopes/x.authentication.k8s.io edit",
        ),
        (
            ("Impersonate-Extra-Other", "view"),
            "impersonate userextras/other.authentication.k8s.io view",
        ),
    ] {
        let message = ask(&world, &[anna, header]).await.refused(403, "forbidden");
        assert!(message.contains(lacks), "{message}");
        // One good name beside it does not help.
        let both = [anna, ("Impersonate-Group", "developers"), header];
        ask(&world, &both).await;
        assert_eq!(ask(&world, &both).await.status, 403, "{header:?}");
    }
}

#[tokio::test]
async fn headers_that_say_too_little_or_too_much_are_refused_and_not_ignored() {
    let world = world();
    allow(&world, "impersonate users anna");
    allow(&world, "impersonate groups developers");
    for headers in [
        &[("Impersonate-Group", "developers")][..],
        &[("Impersonate-Uid", "u")],
        &[("Impersonate-User", "")],
        &[("Impersonate-User", "anna"), ("Impersonate-User", "anna")],
        &[("Impersonate-User", "anna"), ("Impersonate-Role", "x")],
        &[("Impersonate-User", "anna"), ("Impersonate-Extra-", "x")],
    ] {
        let message = ask(&world, headers).await.refused(400, "bad_request");
        assert!(
            message.starts_with("impersonate-"),
            "{headers:?}: {message}"
        );
    }
    let mut many = vec![("Impersonate-User", "anna")];
    many.resize(70, ("Impersonate-Group", "developers"));
    ask(&world, &many).await.refused(400, "bad_request");
}

#[tokio::test]
async fn whom_the_aggregator_names_is_nobody_here() {
    let world = world();
    for headers in [
        &[("X-Remote-User", "admin")][..],
        &[
            ("X-Remote-User", "admin"),
            ("X-Remote-Group", "system:masters"),
        ],
    ] {
        let mut request = Request::get("/api/policy-denials");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world.request(request).await.refused(401, "unauthorized");
        let request = Request::get("/api/policy-denials")
            .header("authorization", "Bearer token-of-anna")
            .header("X-Remote-User", "admin")
            .header("X-Remote-Group", "system:masters");
        assert_eq!(world.request(request).await.total(), 1);
    }
}
