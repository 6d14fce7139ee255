//! Lists, filters, pages, ids, summaries, gaps: as a caller who may read everything.

use super::world::{Denial, World, gap, id};
use crate::doors::read::Records;
use data_encoding::BASE64;
use docket_ledger::entry::{Class, Leaf, Part};
use docket_ledger::tree::{leaf_hash, node_hash};
use docket_ledger::verify;
use serde_json::{Value, json};

/// Six denials, each different in what the filters ask for.
fn court() -> World {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    world.deny(
        &Denial::new(1)
            .namespace("krate-org-globex")
            .personal(json!({
                "actor": {"username": "bob"}, "name": "pr-other"
            })),
    );
    world.deny(&Denial::new(2).public(json!({
        "kind": "Job", "operation": "UPDATE", "dryRun": true,
        "context": {"org": "acme", "repository": "api", "surface": "run"}
    })));
    let mut unavailable = Denial::new(3);
    unavailable.policy = "fork-runs-untrusted".into();
    world.deny(&unavailable.public(json!({"verdict": "unavailable"})));
    let two = json!({"attributions": [
        {"enforcer": "kyverno", "policy": "require-pr-description", "result": "fail", "source": "responseStatus"},
        {"enforcer": "kyverno", "policy": "webhook-signing-required", "rule": "has-secret", "result": "fail", "source": "responseStatus"}]});
    world.deny(&Denial::new(4).public(two));
    let vap = json!({"attributions": [{"enforcer": "ValidatingAdmissionPolicy", "policy": "no-latest",
        "binding": "no-latest-all", "result": "fail", "source": "responseStatus"}], "namespace": ""});
    world.deny(&Denial::new(5).public(vap));
    let (pass, personal) = Denial::new(6)
        .public(json!({"verdict": "failedOpen", "code": 201}))
        .parts();
    world.add(Class::Pass, &pass, Some(&personal));
    world
}

#[tokio::test]
async fn denials_come_newest_first_and_admitted_writes_are_not_among_them() {
    let world = court();
    let all = world.get("admin", "/api/policy-denials").await;
    assert_eq!(all.positions(), [5, 4, 3, 2, 1, 0]);
    let body = all.json();
    assert_eq!(body["total"], 6);
    assert_eq!(
        (body["limit"].as_u64(), body["offset"].as_u64()),
        (Some(25), Some(0))
    );
    assert_eq!(
        (body["hasMore"].as_bool(), body["cursor"].is_null()),
        (Some(false), true)
    );
    assert!(
        body.get("org").is_none() && body.get("replay").is_none(),
        "{body}"
    );
}

#[tokio::test]
async fn an_exception_can_be_asked_for_where_the_law_of_the_denial_says_so() {
    let world = court();
    let all = world.get("admin", "/api/policy-denials").await;
    let eligible: Vec<u64> = all.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["exceptionEligible"] == true)
        .filter_map(|item| item["position"].as_u64())
        .collect();
    // 3 could not be asked, the law of 4 was not known, 5 is the API server's own policy.
    assert_eq!(eligible, [2, 1, 0]);
}

#[tokio::test]
async fn each_filter_takes_what_it_names_and_nothing_else() {
    let world = court();
    for (filter, expected) in [
        ("namespace=krate-org-globex", &[1][..]),
        ("policy=require-pr-description", &[4, 2, 1, 0]),
        ("policy=webhook-signing-required", &[4]),
        ("rule=has-secret", &[4]),
        ("kind=Job", &[2]),
        ("name=pr-other", &[1]),
        ("repository=api", &[2]),
        ("surface=run", &[2]),
        ("actor=bob", &[1]),
        ("enforcer=ValidatingAdmissionPolicy", &[5]),
        ("verdict=unavailable", &[3]),
        ("verdict=denied", &[5, 4, 2, 1, 0]),
        ("verdict=failedOpen", &[6]),
        ("operation=UPDATE", &[2]),
        ("dryRun=true", &[2]),
        ("dryRun=false", &[5, 4, 3, 1, 0]),
        ("since=2026-10-05T12:00:04Z", &[5, 4]),
        ("until=2026-10-05T12:00:02Z", &[1, 0]),
        (
            "since=2026-10-05T12:00:01Z&until=2026-10-05T12:00:03Z",
            &[2, 1],
        ),
        ("since=10000w&until=0s&actor=alice&kind=Job", &[2]),
        ("actor=nobody", &[]),
        ("q=bob", &[1]),
        ("q=PULLREQUEST+pr-1", &[]),
        ("q=description+short", &[5, 4, 3, 2, 1, 0]),
        ("q=%22too+short%22+has-secret", &[4]),
        ("q=%22short+too%22", &[]),
        ("q=no-latest+OR+*", &[]),
        ("q=pr-2&kind=Job", &[2]),
        ("q=pr-6&verdict=failedOpen", &[6]),
    ] {
        let answer = world
            .get("admin", &format!("/api/policy-denials?{filter}"))
            .await;
        assert_eq!(answer.positions(), expected, "{filter}");
        assert_eq!(answer.total(), expected.len() as u64, "{filter}");
        let summary = world
            .get("admin", &format!("/api/policy-denials/summary?{filter}"))
            .await;
        assert_eq!(summary.total(), expected.len() as u64, "summary, {filter}");
        if filter.starts_with("q=") && !filter.contains("failedOpen") {
            let series = &summary.json()["series"];
            let counts = series.as_array().unwrap().iter();
            let counted: u64 = counts.filter_map(|row| row["count"].as_u64()).sum();
            assert_eq!(counted, expected.len() as u64, "series, {filter}");
        }
    }
}

#[tokio::test]
async fn each_wrong_parameter_is_refused_by_name_with_what_is_allowed() {
    let world = court();
    for (query, named, allowed) in [
        ("colour=red", "colour", "since, until, namespace"),
        ("policy=a&text=b", "text", "dryRun, limit, offset, cursor"),
        ("q=%22+-*%22", "q", "words"),
        ("limit=0", "limit", "a number from 1 to 200"),
        ("limit=201", "limit", "a number from 1 to 200"),
        ("limit=ten", "limit", "a number from 1 to 200"),
        ("limit=%2B5", "limit", "a number from 1 to 200"),
        ("offset=-1", "offset", "a number from 0"),
        (
            "offset=1&cursor=AQAAAAAAAAAAAAAAAAAAAAA",
            "offset",
            "either cursor or offset",
        ),
        ("cursor=zzz", "cursor", "what an earlier answer gave"),
        ("since=yesterday", "since", "RFC 3339"),
        ("until=2h30m", "until", "how long ago"),
        (
            "verdict=maybe",
            "verdict",
            "denied, unavailable, unknown, failedOpen, excepted",
        ),
        (
            "operation=create",
            "operation",
            "CREATE, UPDATE, DELETE, CONNECT",
        ),
        ("dryRun=yes", "dryRun", "true, false"),
        ("actor=", "actor", "a value"),
        ("actor=a&actor=b", "actor", "given once"),
        ("%1b%5b31m=x", "?[31m", "allowed"),
    ] {
        let answer = world
            .get("admin", &format!("/api/policy-denials?{query}"))
            .await;
        let message = answer.refused(400, "bad_request");
        assert!(
            message.starts_with(&format!("{named}:")),
            "{query}: {message}"
        );
        assert!(message.contains(allowed), "{query}: {message}");
    }
    for (path, named) in [
        ("/api/policy-denials/summary?limit=1", "limit"),
        ("/api/gaps?policy=a", "policy"),
        ("/api/parts?actor=a", "actor"),
        (&format!("/api/policy-denials/{}?limit=1", id(0)), "limit"),
    ] {
        let message = world.get("admin", path).await.refused(400, "bad_request");
        assert!(
            message.starts_with(&format!("{named}: unknown")),
            "{path}: {message}"
        );
    }
    let long = format!("/api/policy-denials?actor={}", "a".repeat(513));
    assert!(
        world
            .get("admin", &long)
            .await
            .refused(400, "bad_request")
            .contains("512 bytes")
    );
}

#[tokio::test]
async fn a_total_is_counted_to_a_bound_and_says_so() {
    let mut world = World::new();
    let many = Records::FOUND as u32 + 5;
    for n in 0..many {
        let mut denial = Denial::new(n);
        denial.time = "2026-10-05T12:00:00.000000Z".to_owned();
        world.deny(&denial);
    }
    let found = world
        .get("admin", "/api/policy-denials?q=description")
        .await;
    assert_eq!(found.json()["total"], Records::FOUND);
    assert_eq!(found.json()["totalCapped"], true);
    let all = world.get("admin", "/api/policy-denials").await;
    assert_eq!(all.json()["total"], many);
    assert_eq!(all.json()["totalCapped"], Value::Null);
    // Behind the bound there are pages all the same.
    let path = format!("/api/policy-denials?q=description&offset={}", many - 2);
    let last = world.get("admin", &path).await;
    assert_eq!(last.positions(), [1, 0]);
    assert_eq!(last.json()["hasMore"], false);
    let one = format!("/api/policy-denials?q=pr-{}", many / 2);
    let one = world.get("admin", &one).await;
    assert_eq!(one.positions(), [u64::from(many / 2)]);
    assert_eq!(one.json()["totalCapped"], Value::Null);
}

#[tokio::test]
async fn words_are_looked_for_within_the_scope_only() {
    let mut world = World::new();
    world.deny(&Denial::new(0));
    world.deny(&Denial::new(1).namespace("krate-org-globex"));
    world.cluster.grant("anna", "krate-org-globex");
    for (path, expected) in [
        ("/api/policy-denials?q=description", &[1][..]),
        ("/api/policy-denials?q=pr-0", &[]),
        ("/api/orgs/globex/policy-denials?q=description", &[1]),
    ] {
        let answer = world.get("anna", path).await;
        assert_eq!(answer.positions(), expected, "{path}");
        assert_eq!(answer.total(), expected.len() as u64, "{path}");
        let summary = path.replace("policy-denials?", "policy-denials/summary?");
        let summary = world.get("anna", &summary).await;
        assert_eq!(summary.total(), expected.len() as u64, "{path}");
    }
}

#[tokio::test]
async fn pages_by_cursor_stay_whole_while_new_denials_arrive() {
    let mut world = World::new();
    for n in 0..10 {
        world.deny(&Denial::new(n));
    }
    let mut seen = Vec::new();
    let mut path = "/api/policy-denials?limit=4".to_owned();
    for next in [100, 101, 102] {
        let page = world.get("admin", &path).await;
        seen.extend(page.positions());
        world.deny(&Denial::new(next));
        let body = page.json();
        assert_eq!(
            body["hasMore"].as_bool(),
            Some(body["cursor"].is_string()),
            "{body}"
        );
        if let Some(cursor) = body["cursor"].as_str() {
            path = format!("/api/policy-denials?limit=4&cursor={cursor}");
        }
    }
    assert_eq!(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[tokio::test]
async fn denials_of_one_moment_are_neither_lost_nor_doubled_between_pages() {
    let mut world = World::new();
    for n in 0..5 {
        let mut denial = Denial::new(n);
        denial.time = "2026-10-05T12:00:00.000000Z".into();
        world.deny(&denial);
    }
    let first = world.get("admin", "/api/policy-denials?limit=2").await;
    let cursor = first.json()["cursor"].as_str().unwrap().to_owned();
    let rest = world
        .get(
            "admin",
            &format!("/api/policy-denials?limit=3&cursor={cursor}"),
        )
        .await;
    assert_eq!(
        (first.positions(), rest.positions()),
        (vec![4, 3], vec![2, 1, 0])
    );
    let offset = world
        .get("admin", "/api/policy-denials?limit=2&offset=3")
        .await;
    assert_eq!(offset.positions(), [1, 0]);
    assert_eq!(offset.json()["offset"], 3);
}

#[tokio::test]
async fn a_denial_is_found_by_its_id_and_by_the_beginning_of_it() {
    let world = court();
    for given in [id(2), id(2)[..6].to_owned(), id(2)[..20].to_owned()] {
        let answer = world
            .get("admin", &format!("/api/policy-denials/{given}"))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["position"].as_u64()),
            (200, Some(2)),
            "{given}"
        );
    }
    let unknown = [
        id(77),
        id(2)[..5].to_owned(),
        id(2).to_uppercase(),
        format!("{}a", id(2)),
        "%25".repeat(8),
    ];
    for given in unknown {
        let answer = world
            .get("admin", &format!("/api/policy-denials/{given}"))
            .await;
        answer.refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_beginning_of_two_ids_is_refused_and_says_so() {
    let mut world = World::new();
    for end in ['a', 'b'] {
        let id = format!("aaaaaaa{}", end.to_string().repeat(45));
        world.deny(&Denial::new(u32::from(end)).public(json!({"id": id})));
    }
    let message = world
        .get("admin", "/api/policy-denials/aaaaaaa")
        .await
        .refused(400, "bad_request");
    assert!(
        message.contains("several denials begin with aaaaaaa"),
        "{message}"
    );
    assert_eq!(
        world
            .get("admin", "/api/policy-denials/aaaaaaab")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn one_denial_holds_the_whole_text_and_a_list_does_not() {
    let world = court();
    let one = world
        .get("admin", &format!("/api/policy-denials/{}", id(0)))
        .await
        .json();
    assert_eq!(
        one["text"],
        "admission webhook denied the request: description too short"
    );
    let list = world.get("admin", "/api/policy-denials").await.json();
    assert!(list["items"][0].get("text").is_none());
    let groups = serde_json::to_string(&one).unwrap();
    assert!(
        !groups.contains("developers") && !groups.contains("10.1.2.3"),
        "evidence is not for readers: {one}"
    );
}

#[tokio::test]
async fn what_was_erased_is_null_and_said_to_be_erased() {
    let mut world = World::new();
    let (public, _) = Denial::new(0).parts();
    world.add(Class::Denial, &public, None);
    let item = world
        .get("admin", &format!("/api/policy-denials/{}", id(0)))
        .await
        .json();
    for name in ["actor", "impersonator", "message"] {
        assert!(item[name].is_null(), "{name}: {item}");
    }
    assert!(item["resourceRef"]["name"].is_null() && item["attributions"][0]["message"].is_null());
    assert_eq!(
        (item["erased"].as_bool(), item["policy"].as_str()),
        (Some(true), Some("require-pr-description"))
    );
}

#[tokio::test]
async fn what_was_learned_later_stands_on_the_item() {
    let mut world = court();
    let amendment = json!({"id": "amendment-1", "time": "2026-10-05T13:00:00Z", "amends": id(0), "kind": "disputed"});
    let position = world.add(Class::Amendment, &amendment, None);
    let item = world
        .get("admin", &format!("/api/policy-denials/{}", id(0)))
        .await
        .json();
    assert_eq!(item["testimony"], "disputed");
    assert_eq!(
        item["amendments"],
        json!([{"kind": "disputed", "time": "2026-10-05T13:00:00Z", "position": position}])
    );
}

#[tokio::test]
async fn a_series_says_how_often_and_since_when() {
    let mut world = World::new();
    for n in 0..3 {
        world.deny(&Denial::new(n));
    }
    let body = world
        .get("admin", "/api/policy-denials?limit=1")
        .await
        .json();
    let item = &body["items"][0];
    assert_eq!(
        (
            item["count"].as_u64(),
            item["firstSeen"].as_str(),
            item["lastSeen"].as_str()
        ),
        (
            Some(3),
            Some("2026-10-05T12:00:00.000000Z"),
            Some("2026-10-05T12:00:02.000000Z")
        )
    );
}

#[tokio::test]
async fn a_summary_adds_up_to_its_total() {
    let world = court();
    let body = world
        .get("admin", "/api/policy-denials/summary")
        .await
        .json();
    assert_eq!(body["total"], 6);
    let sum: u64 = body["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["count"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 6);
    assert_eq!(
        body["byPolicy"][0],
        json!({"policy": "require-pr-description", "count": 4})
    );
    assert_eq!(
        body["byKind"],
        json!([{"kind": "PullRequest", "count": 5}, {"kind": "Job", "count": 1}])
    );
}

#[tokio::test]
async fn gaps_are_listed_newest_first_and_a_closed_one_says_by_what() {
    let mut world = court();
    for n in 1..=3 {
        world.add(Class::Gap, &gap(n), None);
    }
    let closing = json!({"id": "amendment-2", "time": "2026-10-05T13:00:00Z", "amends": "gap-2", "kind": "gap-closed"});
    let closed_by = world.add(Class::Amendment, &closing, None);
    let answer = world.get("admin", "/api/gaps").await;
    assert_eq!((answer.positions(), answer.total()), (vec![9, 8, 7], 3));
    let body = answer.json();
    assert_eq!(
        (&body["items"][1]["closed"], &body["items"][1]["closedBy"]),
        (&json!(true), &json!(closed_by))
    );
    assert_eq!(
        (&body["items"][0]["closed"], &body["items"][0]["numbers"]),
        (&json!(false), &json!([4, 6]))
    );
    assert_eq!(
        world.get("admin", "/api/gaps?open=true").await.positions(),
        [9, 7]
    );
    assert_eq!(
        world
            .get("admin", "/api/gaps?since=2026-10-05T10:30:03Z")
            .await
            .positions(),
        [9]
    );
    assert_eq!(
        world
            .get("admin", "/api/gaps?until=2026-10-05T10:00:02Z")
            .await
            .positions(),
        [7]
    );
    let first = world.get("admin", "/api/gaps?limit=2").await;
    let cursor = first.json()["cursor"].as_str().unwrap().to_owned();
    assert_eq!(
        world
            .get("admin", &format!("/api/gaps?limit=2&cursor={cursor}"))
            .await
            .positions(),
        [7]
    );
    assert_eq!(
        world
            .get("admin", "/api/policy-denials/summary")
            .await
            .json()["openGaps"],
        2
    );
}

#[tokio::test]
async fn tiles_bundles_and_parts_are_what_the_checkpoint_signs() {
    use docket_ledger::entry::{Leaf, Part, commitment};
    use docket_ledger::{note, tree};
    let world = court();
    world.cluster.change(|cluster| {
        let all = ("admin".to_owned(), "*".to_owned());
        cluster.evidence.insert(all);
    });
    let text = |answer: super::world::Answer| String::from_utf8(answer.bytes).unwrap();
    let key = text(world.get("admin", "/verifier-key").await);
    let signed =
        note::check_note(&text(world.get("admin", "/checkpoint").await), key.trim()).unwrap();
    assert_eq!(signed.size, 7);
    let bundle = world.get("admin", "/tile/entries/000.p/7").await.bytes;
    let leaves: Vec<&[u8]> = bundle.chunks(108).map(|leaf| &leaf[2..]).collect();
    let hashes: Vec<_> = leaves.iter().map(|leaf| tree::leaf_hash(leaf)).collect();
    assert_eq!(
        tree::root_from_leaf_hashes(hashes.iter().copied()),
        signed.root
    );
    assert_eq!(
        world.get("admin", "/tile/0/000.p/7").await.bytes,
        hashes.concat()
    );
    let parts = world.get("admin", "/api/parts").await;
    assert_eq!(parts.positions(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(parts.json()["next"], 7);
    let part = world.get("admin", "/api/parts/3").await.json();
    let decode = |name: &str| {
        data_encoding::BASE64
            .decode(part["personal"][name].as_str().unwrap().as_bytes())
            .unwrap()
    };
    let salt: [u8; 32] = decode("salt").try_into().unwrap();
    assert_eq!(
        commitment(Part::Personal, &salt, &decode("bytes")),
        Leaf::parse(leaves[3]).unwrap().personal
    );
    for missing in [
        "/tile/0/000",
        "/tile/0/000.p/8",
        "/tile/1/000.p/1",
        "/tile/64/000",
        "/tile/00/000.p/7",
        "/tile/entries/001.p/1",
        "/api/parts/7",
        "/api/parts/x",
    ] {
        world.get("admin", missing).await.refused(404, "not_found");
    }
    assert!(
        world
            .get("admin", "/api/parts?from=7")
            .await
            .positions()
            .is_empty()
    );
}

#[tokio::test]
async fn a_replay_says_so_and_takes_its_own_token_only() {
    let token = "replay-token";
    let mut world = World::with(|settings| {
        settings.callers = crate::doors::Callers::Replay {
            token: token.into(),
        }
    });
    world.deny(&Denial::new(0));
    let request = |token: &str| {
        http::Request::get("/api/policy-denials").header("authorization", format!("Bearer {token}"))
    };
    let answer = world.request(request(token)).await;
    assert_eq!(
        (answer.positions(), &answer.json()["replay"]),
        (vec![0], &json!(true))
    );
    world
        .request(request("token-of-admin"))
        .await
        .refused(401, "unauthorized");
    let org = http::Request::get("/api/orgs/acme/policy-denials")
        .header("authorization", format!("Bearer {token}"));
    assert_eq!(world.request(org).await.positions(), [0]);
    let org = http::Request::get("/api/orgs/nobody/policy-denials")
        .header("authorization", format!("Bearer {token}"));
    world.request(org).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_denial_is_proved_by_one_answer_and_nothing_else() {
    let mut world = World::new();
    for n in 0..300 {
        world.deny(&Denial::new(n));
    }
    world.cluster.grant("anna", "krate-org-acme");
    let path = format!("/api/orgs/acme/policy-denials/{}/proof", id(77));
    let proof = world.get("anna", &path).await.json();
    let bytes = |value: &Value| BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap();
    // The leaf says which bytes the denial had.
    let leaf = bytes(&proof["leaf"]);
    let public = &proof["parts"]["public"];
    let salt = bytes(&public["salt"]).try_into().unwrap();
    let said = bytes(&public["bytes"]);
    let commitment = verify::commitment(Part::Public, &salt, &said);
    assert_eq!(Leaf::parse(&leaf).unwrap().public, commitment);
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(
        (&said["id"], &proof["id"]),
        (&json!(id(77)), &json!(id(77)))
    );
    // Names, addresses and texts are evidence.
    assert_eq!(proof["withheld"], json!(["personal"]));
    assert_eq!(proof["parts"]["personal"], Value::Null);
    // The hashes lead to the root that is signed: RFC 9162, 2.1.3.2.
    let number = |name: &str| proof[name].as_u64().unwrap();
    let (mut place, mut last) = (number("position"), number("treeSize") - 1);
    assert_eq!((place, last), (77, 299));
    let mut hash = leaf_hash(&leaf);
    for beside in proof["path"].as_array().unwrap() {
        let beside = bytes(beside).try_into().unwrap();
        if place % 2 == 1 || place == last {
            hash = node_hash(&beside, &hash);
            while place % 2 == 0 && place != 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            hash = node_hash(&hash, &beside);
        }
        (place, last) = (place / 2, last / 2);
    }
    assert_eq!(last, 0);
    let text = |name: &str| proof[name].as_str().unwrap();
    let key = world.get("anna", "/verifier-key").await.bytes;
    assert_eq!(text("verifierKey").as_bytes(), key.trim_ascii());
    let signed = verify::check_note(text("checkpoint"), text("verifierKey")).unwrap();
    assert_eq!((signed.root, signed.size), (hash, 300));

    let whole = format!("/api/policy-denials/{}/proof", id(77));
    let whole = world.get("admin", &whole).await.json();
    assert_eq!(whole["leaf"], proof["leaf"]);
    for path in [
        format!("/api/orgs/acme/policy-denials/{}/proof", id(999)),
        "/api/policy-denials/x/proof".to_owned(),
    ] {
        world.get("anna", &path).await.refused(404, "not_found");
    }
    let other = format!("/api/orgs/globex/policy-denials/{}/proof", id(77));
    world.get("anna", &other).await.refused(403, "forbidden");
}
