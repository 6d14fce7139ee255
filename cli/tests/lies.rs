//! The test of lies: a server in front of a real reporter's answers leaves out, withholds,
//! empties, swaps and changes whatever can be, for each class and each part and each list,
//! and `docket verify` finds it, or counts what it could not compare.

#![expect(clippy::unwrap_used, reason = "lies are told on well-formed answers")]

mod support;

use docket_ledger::entry::Class;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use support::{NORAS_TOKEN, World, denial, id};

/// Position of the denial whose personal part was erased.
const ERASED: u64 = 8;

/// Two entries of each class, with all that lists show of them.
async fn court() -> World {
    let mut world = World::new().await;
    let exhibit = json!({"object": {"kind": "PullRequest"}});
    for n in 0..2 {
        let (public, personal) = denial(
            n,
            &json!({"unmasked": n == 0}),
            &json!({"event": {"auditID": format!("audit-{n}")},
                "actor": {"username": if n == 0 { "alice" } else { "admin" }}}),
        );
        world.add_with(Class::Denial, &public, Some(&personal), Some(&exhibit));
    }
    for (n, verdict) in [(2, "excepted"), (3, "failedOpen")] {
        let exceptions = json!([{"name": "fridays", "namespace": "krate-system", "policy": "p", "evidence": "law"}]);
        let (public, personal) = denial(
            n,
            &json!({"verdict": verdict, "code": 201, "exceptions": exceptions}),
            &json!({}),
        );
        world.add_with(Class::Pass, &public, Some(&personal), Some(&exhibit));
    }
    for n in 1..3 {
        let law = json!({"id": format!("law-{n}"), "time": format!("2026-10-05T11:00:0{n}Z"),
            "change": "created", "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
            "name": "require-pr-description", "hash": n.to_string(), "summary": ["new"],
            "text": {"spec": {"validationActions": ["Deny"]}}});
        world.add(Class::Law, &law, None);
    }
    for n in 0..2 {
        let came = json!({"id": format!("outcome-{n}"), "time": format!("2026-10-05T12:12:0{n}Z"),
            "relation": "object", "namespace": "krate-org-acme", "kind": "PullRequest",
            "operation": "UPDATE", "write": format!("w{n}"), "denials": [id(n)], "count": 1,
            "after": 720_000, "afterLast": 720_000, "sameActor": true,
            "paths": [{"path": "spec.description", "change": "added"}]});
        let by = json!({"name": format!("pr-{n}"), "actor": {"username": "alice"}});
        world.add(Class::Outcome, &came, Some(&by));
    }
    let (public, personal) = denial(ERASED as u32, &json!({}), &json!({}));
    world.add(Class::Denial, &public, Some(&personal));
    for n in 1..3 {
        let gap = json!({"id": format!("gap-{n}"), "time": format!("2026-10-05T11:00:0{n}Z"),
            "from": "2026-10-05T10:00:00Z", "to": "2026-10-05T10:30:00Z", "source": "witness",
            "cause": "numbers-missing", "process": {"instance": "docket-webhook-0", "started": 1},
            "numbers": [4, 6], "count": 3, "detail": "never came"});
        world.add(Class::Gap, &gap, None);
    }
    let denier = json!({"enforcer": "kyverno", "policyKind": "ValidatingPolicy", "policy": "another",
        "result": "fail", "grade": "exact", "source": "event"});
    let amendments = [
        (
            json!({"amends": id(0), "kind": "other-denier", "attribution": denier}),
            Some(json!({"message": "no"})),
        ),
        (
            json!({"amends": id(1), "kind": "other-denier", "attribution": denier}),
            Some(json!({"message": "never"})),
        ),
        (
            json!({"amends": id(0), "kind": "others", "state": "seen"}),
            None,
        ),
        (
            json!({"amends": id(1), "kind": "disputed", "detail": "seen twice"}),
            None,
        ),
        (
            json!({"amends": id(1), "kind": "law-in-doubt", "policy": "require-pr-description",
            "laws": ["law-2"], "detail": "changed at about that time"}),
            None,
        ),
        (json!({"amends": id(2), "kind": "more", "count": 7}), None),
        (
            json!({"amends": "law-2", "kind": "law-changed-by", "event": "e", "verb": "update",
            "writtenAt": "2026-10-05T11:00:02Z"}),
            Some(json!({"actor": {"username": "dana"}})),
        ),
        (json!({"amends": "gap-2", "kind": "gap-closed"}), None),
        (
            json!({"amends": "law-1", "kind": "law-autogen",
                "autogen": {"configs": {"deployments": {"spec": {}}}}}),
            None,
        ),
    ];
    for (n, (mut public, personal)) in amendments.into_iter().enumerate() {
        public["id"] = json!(format!("amendment-{n}"));
        public["time"] = json!(format!("2026-10-05T12:20:0{n}Z"));
        world.add(Class::Amendment, &public, personal.as_ref());
    }
    for (name, class) in [("flood", Class::Flood), ("statement", Class::Statement)] {
        for n in 0..2 {
            let public =
                json!({"id": format!("{name}-{n}"), "time": "2026-10-05T12:30:00Z", "count": n});
            world.add(class, &public, None);
        }
    }
    for (n, part) in ["personal", "exhibit"].iter().enumerate() {
        let public = json!({"id": format!("erasure-{n}"), "time": "2026-10-05T12:31:00Z",
            "erases": [{"position": ERASED, "parts": [part]}], "reason": "asked for"});
        world.add(
            Class::Erasure,
            &public,
            Some(&json!({"actor": {"username": "carol"}})),
        );
    }
    let sqlite = rusqlite::Connection::open(world.file()).unwrap();
    sqlite
        .busy_timeout(std::time::Duration::from_secs(5))
        .unwrap();
    for sql in [
        "UPDATE entry SET personal = NULL, personal_salt = NULL WHERE position = ?1",
        "UPDATE record SET name = NULL, actor = NULL WHERE position = ?1",
    ] {
        assert_eq!(sqlite.execute(sql, [ERASED.cast_signed()]).unwrap(), 1);
    }
    world
}

/// What the honest server says, by path.
fn answers(world: &World) -> BTreeMap<String, Value> {
    let heard = Arc::new(Mutex::new(BTreeMap::new()));
    world.lie({
        let heard = heard.clone();
        move |path, body| {
            if let Ok(answer) = serde_json::from_slice::<Value>(&body) {
                heard.lock().unwrap().insert(path.to_owned(), answer);
            }
            body
        }
    });
    world.run(&["verify"]).ok();
    world.honest();
    let heard = heard.lock().unwrap();
    heard.clone()
}

/// From now on the answer at this path is another one.
fn instead(world: &World, path: &str, answer: &Value) {
    let (path, answer) = (path.to_owned(), serde_json::to_vec(answer).unwrap());
    world.lie(move |asked, body| if asked == path { answer.clone() } else { body });
}

/// As `docket verify -o json`, with an API server to ask or without.
fn verified(world: &World, ask: bool) -> (i32, Value) {
    let config = world.kubeconfig(&json!({"token": "somebody-elses"}));
    let environment = [("KUBECONFIG", config.as_str())];
    let environment = if ask { &environment[..] } else { &[] };
    let outcome = world.run_with(&["verify", "-o", "json"], environment);
    let document: Value = serde_json::from_str(&outcome.out).unwrap_or_default();
    assert_eq!(
        outcome.code == 0,
        document["intact"] == true,
        "{}{}",
        outcome.out,
        outcome.err
    );
    (outcome.code, document)
}

/// How many were not compared, by what.
fn skipped(document: &Value) -> BTreeMap<String, u64> {
    let skipped = document["notCompared"].as_array().unwrap().iter();
    skipped
        .map(|one| {
            (
                one["what"].as_str().unwrap().to_owned(),
                one["count"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_truth_is_intact_and_all_of_it_is_compared() {
    let world = court().await;
    for ask in [false, true] {
        let (code, document) = verified(&world, ask);
        assert_eq!(code, 0, "{document:#}");
        assert_eq!(skipped(&document), BTreeMap::new(), "{document:#}");
        assert_eq!(document["compared"]["erased"], 1);
        for (what, count) in [
            ("records", 5),
            ("laws", 2),
            ("gaps", 2),
            ("lists", 3),
            ("figures", 3),
        ] {
            assert_eq!(document["compared"][what], count, "{what}: {document:#}");
        }
    }
    let said = world.run(&["verify"]).ok();
    assert!(said.contains("1 was erased"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_any_class_is_left_out_withheld_emptied_or_swapped_unnoticed() {
    let world = court().await;
    let answers = answers(&world);
    let (path, page) = answers
        .iter()
        .find(|(path, _)| path.starts_with("/api/parts"))
        .unwrap();
    let items = page["items"].as_array().unwrap();
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        classes
            .entry(item["class"].as_str().unwrap())
            .or_default()
            .push(at);
    }
    assert_eq!(classes.len(), Class::ALL.len());
    let (mut told, mut hidden) = (0, 0);
    for (class, places) in classes {
        let [first, second, ..] = places[..] else {
            panic!("two of {class}")
        };
        for part in ["public", "personal", "exhibit"] {
            if items[first][part].is_null() {
                continue;
            }
            type Lie<'a> = &'a dyn Fn(&mut Vec<Value>);
            let withheld: Lie<'_> = &|items| {
                items[first][part] = Value::Null;
                items[first]["withheld"] = json!([part]);
            };
            let lies: [(&str, Lie<'_>); 8] = [
                ("omitted", &|items| items[first][part] = Value::Null),
                ("taken out", &|items| {
                    items[first].as_object_mut().unwrap().remove(part);
                }),
                ("empty", &|items| items[first][part] = json!({})),
                ("with no bytes", &|items| {
                    items[first][part]["bytes"] = json!("")
                }),
                ("with no salt", &|items| {
                    items[first][part]["salt"] = json!("")
                }),
                ("an empty object", &|items| {
                    items[first][part]["bytes"] = json!("e30=")
                }),
                ("swapped", &|items| {
                    let other = items[second][part].take();
                    items[second][part] = std::mem::replace(&mut items[first][part], other);
                }),
                ("withheld and shown", &|items| {
                    let shown = items[first][part].take();
                    items[first]["withheld"] = json!([part]);
                    items[second][part] = shown;
                }),
            ];
            for (name, lie) in lies {
                let mut page = page.clone();
                lie(page["items"].as_array_mut().unwrap());
                instead(&world, path, &page);
                let (code, document) = verified(&world, false);
                assert_eq!(code, 1, "{class}, {part} {name}: {document:#}");
                let place = format!("entry {first}:");
                let findings = document["findings"].to_string();
                assert!(
                    findings.contains(&place) || findings.contains(&format!("entry {second}:")),
                    "{class}, {part} {name}: {findings}"
                );
                told += 1;
            }
            // Only the API server knows whether that is right.
            let mut page = page.clone();
            withheld(page["items"].as_array_mut().unwrap());
            instead(&world, path, &page);
            let (code, document) = verified(&world, true);
            assert_eq!(code, 1, "{class}, {part} withheld: {document:#}");
            let (code, document) = verified(&world, false);
            if part == "public" {
                assert_eq!(code, 1, "{class}, {part} withheld: {document:#}");
            } else {
                assert_eq!(code, 0, "{class}, {part} withheld: {document:#}");
                let what = if part == "personal" {
                    "personal parts withheld"
                } else {
                    "exhibits withheld"
                };
                assert_eq!(skipped(&document).get(what), Some(&1), "{document:#}");
                hidden += 1;
            }
        }
        // The whole entry.
        type Lie<'a> = &'a dyn Fn(&mut Vec<Value>);
        let lies: [(&str, Lie<'_>); 5] = [
            ("left out", &|items| _ = items.remove(first)),
            ("of another class", &|items| {
                items[first]["class"] = json!(if class == "gap" { "denial" } else { "gap" });
            }),
            ("told twice", &|items| {
                items.insert(first, items[first].clone())
            }),
            ("in another's place", &|items| {
                let position = items[second]["position"].take();
                items[second]["position"] =
                    std::mem::replace(&mut items[first]["position"], position);
            }),
            ("without a place", &|items| {
                items[first]["position"] = Value::Null
            }),
        ];
        for (name, lie) in lies {
            let mut page = page.clone();
            lie(page["items"].as_array_mut().unwrap());
            instead(&world, path, &page);
            let (code, document) = verified(&world, true);
            assert_eq!(code, 1, "{class} {name}: {document:#}");
            told += 1;
        }
        let mut page = page.clone();
        page["items"].as_array_mut().unwrap().remove(first);
        instead(&world, path, &page);
        let (code, document) = verified(&world, false);
        if code == 0 {
            assert_eq!(
                skipped(&document).get("entries not served"),
                Some(&1),
                "{document:#}"
            );
            hidden += 1;
        }
    }
    // denial, pass: 3 parts; outcome, amendment, erasure: 2; law, gap, flood, statement: 1.
    assert_eq!((told, hidden >= 7), (16 * 8 + 9 * 5, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_gone_is_believed_only_with_its_erasure() {
    let world = court().await;
    let answers = answers(&world);
    let (path, page) = answers
        .iter()
        .find(|(path, _)| path.starts_with("/api/parts"))
        .unwrap();
    // The same part of an entry that no erasure names, and one with a forged erasure.
    let mut gone = page.clone();
    gone["items"][0]["personal"] = Value::Null;
    instead(&world, path, &gone);
    world.run(&["verify"]).fails(
        1,
        "entry 0: its personal part is not there, and no erasure entry names it",
    );
    let erasure = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .position(|item| item["class"] == "erasure")
        .unwrap();
    let forged = json!({"id": "erasure-0", "time": "2026-10-05T12:31:00Z",
        "erases": [{"position": 0, "parts": ["personal"]}, {"position": ERASED, "parts": ["personal"]}]});
    gone["items"][erasure]["public"]["bytes"] =
        json!(data_encoding::BASE64.encode(forged.to_string().as_bytes()));
    instead(&world, path, &gone);
    let outcome = world.run(&["verify"]);
    outcome.fails(1, "entry 0: its personal part is not there");
    outcome.fails(1, "its public part does not fit");
}

/// Another value of the same sort.
fn other(value: &Value) -> Value {
    match value {
        Value::Null => json!("x"),
        Value::Bool(is) => json!(!is),
        Value::Number(number) => json!(number.as_f64().unwrap() + 1.0),
        Value::String(text) => json!(format!("{text}x")),
        Value::Array(_) => json!(["x"]),
        Value::Object(_) => json!({"x": 1}),
    }
}

/// Places of all values that hold no others.
fn leaves(value: &Value, place: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, &format!("{place}/{name}"), places);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &format!("{place}/{at}"), places);
            }
        }
        _ => places.push(place.to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_shows_a_field_otherwise_leaves_an_item_out_or_adds_one_unnoticed() {
    let world = court().await;
    let answers = answers(&world);
    let mut told = BTreeMap::new();
    for (path, answer) in &answers {
        // The parts are lied about above; a kind word about paging hides nothing.
        if path.starts_with("/api/parts") || path.ends_with("limit=1") {
            continue;
        }
        let list = answer["items"].is_array();
        let mut lies: Vec<(String, Value)> = Vec::new();
        let mut places = Vec::new();
        leaves(answer, "", &mut places);
        // Each field once, of the first item that has it; of lists of parts of another list
        // a few, for their items are compared alike.
        let narrow = ["/repositories/", "/orgs/", "my-denials"];
        let narrow = narrow.iter().any(|of| path.contains(of));
        let few = ["id", "verdict", "message", "actor", "detail", "total"];
        let mut fields = BTreeSet::new();
        places.retain(|place| {
            if narrow && !few.iter().any(|name| place.ends_with(&format!("/{name}"))) {
                return false;
            }
            let item = place.split('/').nth(2).unwrap_or_default();
            fields.insert(place.replacen(&format!("/items/{item}/"), "/items/", 1))
        });
        for place in places {
            let name = place.rsplit('/').next().unwrap();
            let of_item = place.starts_with("/items/");
            let paging = [
                "limit",
                "offset",
                "hasMore",
                "cursor",
                "version",
                "org",
                "partial",
                "totalCapped",
            ];
            if (list && !of_item && paging.contains(&name))
                // What reports say is the cluster's word, and so is whose a namespace is.
                || name == "report"
                || (path.starts_with("/api/policy-violations") && (name == "org" || place == "/total"))
                // How many of a series an org has is not known.
                || (path.starts_with("/api/orgs/") && ["count", "firstSeen", "lastSeen"].contains(&name))
            {
                continue;
            }
            let mut changed = answer.clone();
            let value = changed.pointer_mut(&place).unwrap();
            *value = other(value);
            lies.push((place, changed));
        }
        if list {
            let items = answer["items"].as_array().unwrap();
            for (at, item) in items.iter().enumerate() {
                let mut without = answer.clone();
                without["items"].as_array_mut().unwrap().remove(at);
                if !path.starts_with("/api/orgs/") {
                    lies.push((format!("without item {at}"), without));
                }
                let mut twice = answer.clone();
                twice["items"].as_array_mut().unwrap().push(item.clone());
                lies.push((format!("item {at} twice"), twice));
            }
            if items.len() > 1 && !path.starts_with("/api/policy-violations") {
                let mut turned = answer.clone();
                turned["items"].as_array_mut().unwrap().reverse();
                lies.push(("turned around".to_owned(), turned));
            }
        }
        for (lie, changed) in lies {
            instead(&world, path, &changed);
            let (code, document) = verified(&world, false);
            assert_eq!(code, 1, "{path}: {lie}: {document:#}");
            *told.entry(path.clone()).or_insert(0) += 1;
        }
    }
    for list in [
        "/api/policy-denials?limit=200",
        "/api/policy-denials?limit=200&verdict=excepted",
        "/api/policy-denials?limit=200&verdict=failedOpen",
        "/api/policy-denials/summary",
        "/api/my-denials?limit=200",
        "/api/namespaces/krate-org-acme/repositories/web/policy-denials?limit=200",
        "/api/orgs/acme/policy-denials?limit=200",
        "/api/policy-violations?limit=200",
        "/api/outcomes?namespace=krate-org-acme",
        "/api/laws?limit=200",
        "/api/gaps?limit=200",
    ] {
        assert!(
            told.get(list).is_some_and(|lies| *lies > 10),
            "{list}: {told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truthful_server_is_intact_for_who_reads_one_namespace_and_what_was_not_compared_is_said()
{
    let mut world = court().await;
    world.deny(20, json!({"namespace": "krate-org-globex"}), json!({}));
    let config = world.kubeconfig(&json!({"token": "somebody-elses"}));
    let nora = ("DOCKET_TOKEN", NORAS_TOKEN);
    let state = world.directory.path().join("noras").display().to_string();
    let state = ("DOCKET_STATE", state.as_str());
    let asked = world
        .run_with(&["verify"], &[nora, state, ("KUBECONFIG", &config)])
        .ok();
    for says in [
        "9 of 27 entries yours to read",
        "8 personal parts withheld (not yours to read, as the API server says)",
        "4 exhibits withheld (not yours to read, as the API server says)",
        "18 entries not served (not yours to read, as the API server says)",
        "2 gaps by what they say",
    ] {
        assert!(asked.contains(says), "{says}: {asked}");
    }
    assert!(asked.ends_with("intact\n"), "{asked}");
    let alone = world.run_with(&["verify"], &[nora, state]).ok();
    assert!(alone.contains("no API server was asked"), "{alone}");
    // What she can compare still is.
    world.lie(|path, body| {
        if !path.starts_with("/api/policy-denials?limit") {
            return body;
        }
        let mut page: Value = serde_json::from_slice(&body).unwrap();
        if let Some(item) = page["items"].get_mut(1) {
            item["verdict"] = json!("unknown");
        }
        serde_json::to_vec(&page).unwrap()
    });
    world.run_with(&["verify"], &[nora, state]).fails(
        1,
        "is listed otherwise than its parts say in /api/policy-denials: verdict",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_it_is_read_is_no_tampering_and_no_excuse_for_more() {
    let mut world = court().await;
    let old = world.store.checkpoint();
    world.deny(30, json!({}), json!({}));
    let later = [
        json!({"id": "l-0", "amends": id(0), "kind": "disputed", "detail": "seen twice"}),
        json!({"id": "l-1", "amends": "gap-1", "kind": "gap-closed"}),
        json!({"id": "l-2", "amends": "law-1", "kind": "law-changed-by", "verb": "create"}),
    ];
    for mut public in later {
        public["time"] = json!("2026-10-05T13:00:00Z");
        world.add(Class::Amendment, &public, None);
    }
    let came = json!({"id": "outcome-late", "time": "2026-10-05T13:00:01Z", "relation": "object",
        "namespace": "krate-org-acme", "kind": "PullRequest", "operation": "UPDATE", "write": "w9",
        "denials": [id(8)], "count": 1, "after": 1000, "afterLast": 1000, "sameActor": false});
    world.add(Class::Outcome, &came, None);
    // At first the server has only what was signed then.
    let growing = |old: String, change: fn(&mut Value)| {
        let asked = Mutex::new(0);
        move |path: &str, body: Vec<u8>| {
            let mut asked = asked.lock().unwrap();
            if path == "/checkpoint" {
                *asked += 1;
                if *asked == 1 {
                    return old.clone().into_bytes();
                }
            }
            if path != "/api/policy-denials?limit=200" {
                return body;
            }
            let mut page = serde_json::from_slice(&body).unwrap();
            change(&mut page);
            serde_json::to_vec(&page).unwrap()
        }
    };
    world.lie(growing(old.clone(), |_| {}));
    let (code, document) = verified(&world, false);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(document["size"], 26);
    assert!(
        skipped(&document)["items that were changed meanwhile"] > 4,
        "{document:#}"
    );
    // Five entries came: none of them makes a hundred, or another verdict.
    let lies: [fn(&mut Value); 4] = [
        |page| page["total"] = json!(100),
        |page| page["items"][1]["count"] = json!(100),
        |page| page["items"][1]["verdict"] = json!("unknown"),
        |page| page["items"][3]["amendments"] = json!([{"kind": "disputed", "position": 99}]),
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        world.lie(growing(old.clone(), lie));
        let (code, document) = verified(&world, false);
        assert_eq!(code, 1, "{at}: {document:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_made_a_missing_write_is_compared_with_the_gaps_personal_part() {
    let mut world = World::new().await;
    world.deny(0, json!({}), json!({}));
    let write = json!({"number": 4, "hook": "final", "time": "2026-10-05T10:10:00Z",
        "operation": "CREATE", "resource": "pullrequests", "namespace": "krate-org-acme"});
    let gap = json!({"id": "gap-1", "time": "2026-10-05T11:00:00Z", "from": "2026-10-05T10:00:00Z",
        "to": "2026-10-05T10:30:00Z", "source": "witness", "cause": "numbers-missing",
        "numbers": [4, 4], "count": 1, "writes": [write]});
    let who = json!({"writes": [{"number": 4, "name": "pr-9", "user": "alice"}]});
    world.add(Class::Gap, &gap, Some(&who));
    let shown = |user: Value| {
        let mut shown = write.clone();
        shown["name"] = json!("pr-9");
        shown["user"] = user;
        move |path: &str, body: Vec<u8>| {
            if !path.starts_with("/api/gaps") {
                return body;
            }
            let mut page: Value = serde_json::from_slice(&body).unwrap();
            page["items"][0]["writes"] = json!([shown]);
            serde_json::to_vec(&page).unwrap()
        }
    };
    world.lie(shown(json!("alice")));
    let (code, document) = verified(&world, false);
    assert_eq!(
        (code, skipped(&document)),
        (0, BTreeMap::new()),
        "{document:#}"
    );
    for user in [json!("bob"), Value::Null] {
        world.lie(shown(user));
        let outcome = world.run(&["verify"]);
        outcome.fails(
            1,
            "entry 1 is listed otherwise than its parts say in /api/gaps: writes.0.user",
        );
    }
}
