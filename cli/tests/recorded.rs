//! A store that was written long ago, served and read by today's programs.

mod support;

use serde_json::Value;
use std::path::Path;
use support::World;

async fn world() -> World {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    World::over(&manifest.join("../tests/recorded/stores/entries.db")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_over_it_says_is_what_its_parts_say() {
    let said = world().await.run(&["verify"]).ok();
    assert!(said.ends_with("intact\n"), "{said}");
    assert!(
        said.contains("listed as the parts say, and no other"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_list_shows_what_is_in_it() {
    let world = world().await;
    let lists: [(&[&str], usize); 5] = [
        (&["list", "--limit", "0", "-o", "json"], 9),
        (&["list", "--verdict", "excepted", "-o", "json"], 12),
        (&["list", "--verdict", "failedOpen", "-o", "json"], 1),
        (
            &["law", "history", "require-pr-description", "-o", "json"],
            3,
        ),
        (&["gaps", "-o", "json"], 3),
    ];
    for (arguments, expected) in lists {
        let shown = world.run(arguments).ok();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let shown = shown["items"]
            .as_array()
            .unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(shown.len(), expected, "{arguments:?}: {shown:#?}");
        let unreadable = shown.iter().any(|item| item["unreadable"] == true);
        assert!(!unreadable, "{arguments:?}: {shown:#?}");
    }
}
