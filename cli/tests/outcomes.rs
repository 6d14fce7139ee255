//! `docket outcomes`, and what `docket show` says happened next.

mod support;

use docket_ledger::entry::Class;
use serde_json::{Value, json};
use support::{World, id};

fn came(world: &mut World, n: u32, denial: u32, change: Value) {
    let mut public = json!({
        "id": format!("outcome-{n}"), "time": format!("2026-10-05T12:12:{n:02}.000000Z"),
        "relation": "object", "namespace": "krate-org-acme", "kind": "PullRequest",
        "operation": "UPDATE", "write": format!("w{n}"), "denials": [id(denial)], "count": 1,
        "after": 720_000, "afterLast": 720_000, "sameActor": true,
        "paths": [{"path": "spec.description", "change": "added"}],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        public[name] = value.clone();
    }
    let personal = json!({"name": "pr-\u{1b}[31m", "actor": {"username": "car\u{1b}ol"}});
    world.add(Class::Outcome, &public, Some(&personal));
}

#[tokio::test(flavor = "multi_thread")]
async fn show_says_how_it_was_fixed_after_how_long_and_by_whom() {
    let mut world = World::new().await;
    world.denials(0..7);
    came(&mut world, 0, 0, json!({}));
    let many: Vec<Value> = (0..7)
        .map(|n| json!({"path": format!("spec.a{n}"), "change": "changed"}))
        .collect();
    came(
        &mut world,
        1,
        1,
        json!({"sameActor": false, "paths": many, "morePaths": 2, "count": 9}),
    );
    came(
        &mut world,
        2,
        2,
        json!({"relation": "series", "operation": "CREATE", "paths": null,
        "pathsUnknown": "the object that was denied was not kept"}),
    );
    came(&mut world, 3, 3, json!({"retried": true, "paths": []}));
    came(
        &mut world,
        4,
        4,
        json!({"relation": "deleted", "operation": "DELETE", "paths": null,
        "pathsUnknown": "the object was removed"}),
    );
    came(&mut world, 5, 5, json!({"failedOpen": true}));
    for (denial, expected) in [
        (
            0,
            "Outcome     Fixed after 12 min by the same actor: spec.description was added",
        ),
        (
            1,
            "Fixed after 12 min by car\\u{1b}ol: spec.a0 was changed, spec.a1 was changed",
        ),
        (1, "and 4 more"),
        (1, "one of 9 denials that this write answered"),
        (
            2,
            "Another of its series (pr-\\u{1b}[31m) passed after 12 min, by the same actor",
        ),
        (
            2,
            "what was changed is not known: the object that was denied was not kept",
        ),
        (
            3,
            "Passed when tried again after 12 min by the same actor: nothing in it had been",
        ),
        (4, "The object was removed after 12 min by the same actor"),
        (5, "an enforcer's hook failed open"),
    ] {
        let page = world.run(&["show", &id(denial)]).ok();
        let joined = page.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(&expected), "{expected}:\n{page}");
        assert!(!page.contains('\u{1b}'), "{page:?}");
    }
    let none = world.run(&["show", &id(6)]).ok();
    assert!(!none.contains("Outcome"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_policy_are_readable() {
    let mut world = World::new().await;
    world.denials(0..5);
    came(&mut world, 0, 0, json!({}));
    came(
        &mut world,
        1,
        1,
        json!({"after": 60_000, "relation": "series", "paths": [
        {"path": "spec.description", "change": "changed"}, {"path": "spec.draft", "change": "removed"}]}),
    );
    came(&mut world, 2, 2, json!({"paths": null, "sameActor": false}));
    came(
        &mut world,
        3,
        3,
        json!({"relation": "deleted", "operation": "DELETE", "paths": null}),
    );
    let asked = ["outcomes", "require-pr-description", "-n", "krate-org-acme"];
    assert_eq!(
        world.run(&asked).ok(),
        "\
require-pr-description in krate-org-acme
Unresolved     1 of 5 denials (20 %) have no outcome
Time to fix    12 min from the first denial (median)
Fixed          3: 2 of the object itself, 1 only of another one of its series, 2 by whoever had been denied
Removed        1 by deleting the object
What fixed it  2 of 2 passed after setting spec.description
               1 of 2 passed after removing spec.draft
               of 1 it is not known what was changed
"
    );
    let figures = world.run(&[&asked[..], &["-o", "json"]].concat()).ok();
    let figures: Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(
        (&figures["fixed"], &figures["medianAfter"]),
        (&json!(3), &json!(720_000))
    );
    let none = world
        .run(&["outcomes", "other", "-n", "krate-org-acme"])
        .ok();
    assert!(none.ends_with("No denials.\n"), "{none}");
    world.run(&["outcomes", "x"]).fails(2, "--namespace");
}
