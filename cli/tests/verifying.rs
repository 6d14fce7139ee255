//! `docket verify` against servers that lie, and against files; `docket reindex`.

#![expect(clippy::unwrap_used, reason = "lies are told on well-formed answers")]

mod support;

use docket_ledger::entry::Class;
use serde_json::{Value, json};
use support::World;

async fn court(denials: u32) -> World {
    let mut world = World::new().await;
    world.denials(0..denials);
    let (public, _) = support::denial(denials, &json!({}), &json!({}));
    world.add(Class::Denial, &public, None);
    world
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intact_ledger_is_said_to_be_intact_and_what_was_checked() {
    let mut world = court(300).await;
    world.add(Class::Gap, &json!({"id": "gap", "time": "2026-10-05T11:00:00Z", "source": "witness", "cause": "numbers-missing"}), None);
    assert_eq!(
        world.run(&["verify"]).ok(),
        "\
checkpoint  docket.a5c.ai/test, 302 entries, signed by a key seen here for the first time
tree        302 leaves recomputed, their root is the one that was signed
tiles       3 tiles as recomputed
parts       302 of 302 entries yours to read; 602 parts fit their commitments
lists       301 records and 1 gap listed as the parts say, and no other; so in 3 narrower lists and 3 answers with figures
intact
"
    );
    world.denials(400..500);
    let again = world.run(&["verify"]).ok();
    assert!(
        again.contains("signed by the key pinned at an earlier visit"),
        "{again}"
    );
    assert!(
        again.contains("history     holds all 302 entries of an earlier visit"),
        "{again}"
    );
    let key = world.store.verifier_key();
    let given = world.run(&["verify", "--key", &key]).ok();
    assert!(
        given.contains("signed by the key given") && given.contains("402 entries of an earlier"),
        "{given}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_evidence_is_told_what_could_not_be_compared() {
    let world = court(3).await;
    // As the server answers whoever lacks the permission.
    let withhold = |verdict: &'static str| {
        world.lie(move |path, body| {
            let body = change(path, "/api/parts", body, |page| {
                for item in page["items"].as_array_mut().unwrap() {
                    if item["personal"].is_object() {
                        item["personal"] = Value::Null;
                        item["withheld"] = json!(["personal"]);
                    }
                }
            });
            change(path, "/api/policy-denials?", body, |page| {
                if let Some(item) = page["items"].get_mut(1) {
                    item["verdict"] = json!(verdict);
                }
            })
        });
    };
    withhold("denied");
    let said = world.run(&["verify"]).ok();
    assert!(
        said.contains(
            "4 of 4 entries yours to read; 4 parts fit their commitments, 3 are not yours to read"
        ),
        "{said}"
    );
    for says in [
        "not compared: 3 personal parts withheld (not yours to read, says the server; no API server was asked",
        "3 records' names and messages (you lack `get denials/evidence`)",
    ] {
        assert!(said.contains(says), "{said}");
    }
    // What can be compared still is.
    withhold("unknown");
    let outcome = world.run(&["verify"]);
    assert_eq!(outcome.code, 1, "{}", outcome.out);
    assert!(
        outcome
            .out
            .contains("is listed otherwise than its parts say"),
        "{}",
        outcome.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_amendments_change_in_a_list_is_no_tampering_and_what_only_seems_so_is() {
    let mut world = World::new().await;
    world.denials(0..3);
    let (public, personal) = support::denial(
        3,
        &json!({"verdict": "excepted", "code": 201}),
        &json!({"messages": []}),
    );
    world.add(Class::Pass, &public, Some(&personal));
    let amends = support::id(1);
    world.add(
        Class::Amendment,
        &json!({"id": "doubt", "time": "2026-10-05T12:10:00Z", "amends": amends,
            "kind": "law-in-doubt", "policy": "require-pr-description", "laws": ["another"],
            "detail": "the policy was changed at about that time"}),
        None,
    );
    let said = world.run(&["verify"]).ok();
    assert!(said.contains("4 records listed as the parts say"), "{said}");
    // Someone who may not see amendments has the list's word that there is one.
    let blind = |path: &str, body: Vec<u8>| {
        change(path, "/api/parts", body, |page| {
            let items = page["items"].as_array_mut().unwrap();
            items.retain(|item| item["position"] != 4);
        })
    };
    world.lie(blind);
    assert!(world.run(&["verify"]).ok().ends_with("intact\n"));
    for (lie, found) in [
        (
            None,
            "entry 1 is listed otherwise than its parts say in /api/policy-denials: amendments",
        ),
        (
            Some(3),
            "entry 1 is listed otherwise than its parts say in /api/policy-denials: amendments",
        ),
    ] {
        world.lie(move |path, body| {
            change(path, "/api/policy-denials?", body, |page| {
                let items = page["items"].as_array_mut().into_iter().flatten();
                for item in items.filter(|item| item["position"] == 1) {
                    let amendments = item["amendments"].as_array_mut().unwrap();
                    match lie {
                        None => amendments.clear(),
                        Some(at) => amendments[0]["position"] = json!(at),
                    }
                }
            })
        });
        let outcome = world.run(&["verify"]);
        assert_eq!(outcome.code, 1, "{}", outcome.out);
        assert!(outcome.out.contains(found), "{}", outcome.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_ledger_is_intact() {
    let world = World::new().await;
    assert!(world.run(&["verify"]).ok().ends_with("intact\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_of_a_server_is_found_and_its_place_named() {
    let world = court(300).await;
    world.run(&["verify"]).ok();
    type Lie = fn(&str, Vec<u8>) -> Vec<u8>;
    let lies: [(&str, &str, Lie); 13] = [
        (
            "a changed leaf",
            "do not give the root that was signed",
            |path, mut body| {
                if path.starts_with("/tile/entries/000") {
                    body[5 * 108 + 20] ^= 1;
                }
                body
            },
        ),
        (
            "two swapped leaves",
            "do not give the root that was signed",
            |path, mut body| {
                if path.starts_with("/tile/entries/000") {
                    let (first, second) = body.split_at_mut(108);
                    first.swap_with_slice(&mut second[..108]);
                }
                body
            },
        ),
        (
            "a bundle too short",
            "entry bundle 1 does not hold 45 leaves",
            |path, mut body| {
                if path.starts_with("/tile/entries/001") {
                    body.truncate(44 * 108);
                }
                body
            },
        ),
        (
            "a changed tile",
            "tile 0/0 does not hold the hashes of its entries",
            |path, mut body| {
                if path.starts_with("/tile/0/000") {
                    body[40] ^= 1;
                }
                body
            },
        ),
        (
            "a changed part",
            "entry 7: its personal part does not fit",
            |path, body| {
                change(path, "/api/parts", body, |page| {
                    for item in page["items"].as_array_mut().unwrap() {
                        if item["position"] == 7 {
                            item["personal"]["bytes"] = json!("e30=");
                        }
                    }
                })
            },
        ),
        (
            "a part under another salt",
            "entry 7: its public part does not fit",
            |path, body| {
                change(path, "/api/parts", body, |page| {
                    for item in page["items"].as_array_mut().unwrap() {
                        if item["position"] == 7 {
                            item["public"]["salt"] =
                                json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
                        }
                    }
                })
            },
        ),
        (
            "parts of two entries swapped",
            "entry 1: its public part does not fit",
            |path, body| {
                change(path, "/api/parts?from=0&", body, |page| {
                    page["items"][0]["position"] = json!(1);
                    page["items"][1]["position"] = json!(0);
                })
            },
        ),
        (
            "parts that go round in circles",
            "the server has a leaf for it and knows no such entry",
            |path, body| {
                change(path, "/api/parts?from=200&", body, |page| {
                    page["next"] = json!(200);
                    page["items"] = json!([]);
                })
            },
        ),
        (
            "a denial left out of the list",
            "entry 299 is in the ledger, but not in /api/policy-denials",
            |path, body| {
                change(path, "/api/policy-denials?limit", body, |page| {
                    page["items"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|item| item["position"] != 299);
                })
            },
        ),
        (
            "a denial told otherwise",
            "entry 299 is listed otherwise than its parts say",
            |path, body| {
                change(path, "/api/policy-denials?limit", body, |page| {
                    for item in page["items"].as_array_mut().unwrap() {
                        if item["position"] == 299 {
                            item["actor"] = json!("mallory");
                        }
                    }
                })
            },
        ),
        (
            "a message told otherwise",
            "entry 299 is listed otherwise than its parts say",
            |path, body| {
                change(path, "/api/policy-denials?limit", body, |page| {
                    for item in page["items"].as_array_mut().unwrap() {
                        if item["position"] == 299 {
                            item["attributions"][0]["message"] = json!("fine");
                        }
                    }
                })
            },
        ),
        ("a denial listed twice", "is listed twice", |path, body| {
            change(path, "/api/policy-denials?limit", body, |page| {
                let item = page["items"][0].clone();
                page["items"].as_array_mut().unwrap().push(item);
            })
        }),
        (
            "a changed checkpoint",
            "the checkpoint is not signed",
            |path, body| {
                if path != "/checkpoint" {
                    return body;
                }
                String::from_utf8(body)
                    .unwrap()
                    .replacen("301", "300", 1)
                    .into_bytes()
            },
        ),
    ];
    for (name, says, lie) in lies {
        world.lie(lie);
        let outcome = world.run(&["verify"]);
        outcome.fails(1, says);
        assert!(!outcome.out.contains("\nintact"), "{name}: {}", outcome.out);
    }
    world.honest();
    assert!(
        world
            .run(&["verify"])
            .ok()
            .contains("holds all 301 entries"),
        "no lie was remembered"
    );
}

fn change(path: &str, begins: &str, body: Vec<u8>, change: impl Fn(&mut Value)) -> Vec<u8> {
    if !path.starts_with(begins) {
        return body;
    }
    let mut page = json_of(&body);
    change(&mut page);
    serde_json::to_vec(&page).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_is_found_when_a_newer_checkpoint_is_known() {
    let mut world = court(10).await;
    let old = world.store.checkpoint();
    world.denials(20..30);
    let new = world.directory.path().join("new.txt");
    std::fs::write(&new, world.store.checkpoint()).unwrap();
    world.lie(move |path, body| {
        if path == "/checkpoint" {
            old.clone().into_bytes()
        } else {
            body
        }
    });
    world
        .run(&["verify", "--checkpoint", new.to_str().unwrap()])
        .fails(1, "an older copy");
    // The list shows what came after it, and no checkpoint says that anything did.
    world
        .run(&["verify"])
        .fails(1, "shows an entry 20 that no checkpoint holds");
    world.honest();
    world.run(&["verify"]).ok();
    let old = std::fs::read(world.state().join("known-ledgers.json")).unwrap();
    world.lie({
        let first = court(10).await.store.checkpoint();
        move |path, body| {
            if path == "/checkpoint" {
                first.clone().into_bytes()
            } else {
                body
            }
        }
    });
    world.run(&["verify"]).fails(1, "an older copy");
    assert_eq!(
        std::fs::read(world.state().join("known-ledgers.json")).unwrap(),
        old
    );
    world
        .run(&["verify", "--checkpoint", "/nowhere.txt"])
        .fails(2, "/nowhere.txt can't be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_history_is_found_by_the_checkpoint_seen_before() {
    let mut first = World::new().await;
    first.denials(0..5);
    first.run(&["verify"]).ok();
    let mut second = World::new().await;
    second.deny(0, json!({}), json!({"actor": {"username": "mallory"}}));
    second.denials(1..9);
    let state = first.state();
    let outcome = second.run_with(&["verify"], &[("DOCKET_STATE", state.to_str().unwrap())]);
    outcome.fails(1, "entries 0 to 4 are not those of an earlier visit");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_than_the_pinned_one_is_refused() {
    let mut first = World::new().await;
    first.denials(0..2);
    first.run(&["verify"]).ok();
    let mut second = World::seeded(8).await;
    second.denials(0..2);
    let state = first.state();
    let outcome = second.run_with(&["verify"], &[("DOCKET_STATE", state.to_str().unwrap())]);
    outcome.fails(1, "not signed by the key pinned at an earlier visit");
    outcome.fails(1, "known-ledgers.json");
    second
        .run(&["verify", "--key", &first.store.verifier_key()])
        .fails(1, "not signed by the key given");
    second
        .run(&["verify", "--key", "nonsense"])
        .fails(2, "--key:");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shows_another_ledger_than_before_is_refused() {
    let mut world = World::new().await;
    world.denials(0..2);
    world.run(&["verify"]).ok();
    world.lie(|path, body| {
        if path != "/checkpoint" {
            return body;
        }
        String::from_utf8(body)
            .unwrap()
            .replace("docket.a5c.ai/test", "docket.a5c.ai/other")
            .into_bytes()
    });
    world.run(&["verify"]).fails(1, "now shows another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_checked_and_not_remembered() {
    let mut first = World::new().await;
    first.denials(0..3);
    let mut second = World::seeded(8).await;
    second.denials(0..3);
    let replay = |path: &str, body| {
        change(path, "/api/policy-denials?limit", body, |page| {
            page["replay"] = json!(true)
        })
    };
    first.lie(replay);
    second.lie(replay);
    let state = first.state();
    for world in [&first, &second] {
        let out = world
            .run_with(&["verify"], &[("DOCKET_STATE", state.to_str().unwrap())])
            .ok();
        assert!(
            out.contains("replay      a recorded day") && out.ends_with("intact\n"),
            "{out}"
        );
        assert!(
            world
                .run(&["list"])
                .ok()
                .starts_with("replay: a recorded day, not a live cluster\n")
        );
    }
    assert!(!state.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_checked_is_not_called_tampered() {
    let mut world = World::new().await;
    world.denials(0..2);
    world
        .run_with(&["verify"], &[("DOCKET_URL", "https://localhost:1")])
        .fails(2, "can't be reached");
    world
        .run_with(&["verify"], &[("DOCKET_TOKEN", "forged")])
        .fails(2, "does not accept the token");
    world
        .run(&["verify", "--store", "/nowhere.db"])
        .fails(2, "/nowhere.db");
    std::fs::create_dir_all(world.state()).unwrap();
    std::fs::write(world.state().join("known-ledgers.json"), "{").unwrap();
    world
        .run(&["verify"])
        .fails(2, "put it right, or delete it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_checked_with_its_view_and_a_view_is_rebuilt() {
    let mut world = court(5).await;
    let key = world.store.verifier_key();
    let note = world.directory.path().join("note.txt");
    std::fs::write(&note, world.store.checkpoint()).unwrap();
    world.denials(20..22);
    let (file, note) = (world.file(), note.to_str().unwrap().to_owned());
    let file = file.to_str().unwrap();
    world
        .run(&["reindex", "--store", file])
        .fails(2, "stop that reporter first");
    let intact = world
        .run(&[
            "verify",
            "--store",
            file,
            "--key",
            &key,
            "--checkpoint",
            &note,
        ])
        .ok();
    assert!(
        intact.contains("8 entries, signed by the key given")
            && intact.contains("holds all of the checkpoint"),
        "{intact}"
    );
    let World {
        store, directory, ..
    } = world;
    drop(store);
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_docket"))
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        support::Outcome {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    };
    let sqlite = rusqlite::Connection::open(file).unwrap();
    sqlite
        .execute("UPDATE record SET actor = 'mallory' WHERE position = 3", ())
        .unwrap();
    drop(sqlite);
    let changed = run(&["verify", "--store", file]);
    changed.fails(1, "TAMPERED    record 3");
    assert!(changed.out.contains("the key that it names itself"));
    assert_eq!(
        run(&["reindex", "--store", file]).ok(),
        "The view was rebuilt from 8 entries.\n"
    );
    assert!(
        run(&["verify", "--store", file, "--key", &key])
            .ok()
            .ends_with("intact\n")
    );
    run(&["reindex", "--store", "/nowhere.db"]).fails(2, "/nowhere.db");
    drop(directory);
}
