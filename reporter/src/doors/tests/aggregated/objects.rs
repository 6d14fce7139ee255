//! Objects, tables, and what belongs to an object.

use super::super::world::{Denial, asked, id};
use super::{ACME, TABLE, V1, court, failed, version};
use axum::body::Body;
use docket_ledger::entry::Class;
use docket_record::harmful::{HARMFUL, is_harmful};
use serde_json::{Value, json};

const HOSTILE: &str = "a\u{1b}[31mred\u{7}\u{202e}<b>\u{9b}2J\r\n=cmd|' /C calc'!A0";

fn obeyed(c: char) -> bool {
    is_harmful(c) && !matches!(c, '\n' | '\t')
}

/// The same with every harmful character.
fn hostile() -> String {
    HARMFUL
        .into_iter()
        .flatten()
        .fold(HOSTILE.to_owned(), |mut all, c| {
            all.push(c);
            all
        })
}

#[tokio::test]
async fn an_object_has_the_fields_of_the_rest_item_beside_its_metadata() {
    let world = court();
    let object = world
        .kube("anna", &format!("{ACME}/denials/{}", id(1)))
        .await
        .json();
    let item = world
        .get("anna", &format!("/api/policy-denials/{}", id(1)))
        .await
        .json();
    for (name, value) in item.as_object().unwrap() {
        assert_eq!(object[name], *value, "{name}");
    }
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&json!("docket.a5c.ai/v1"), &json!("Denial"))
    );
    let metadata = &object["metadata"];
    assert_eq!(
        (
            &metadata["name"],
            &metadata["namespace"],
            &metadata["creationTimestamp"]
        ),
        (
            &json!(id(1)),
            &json!("krate-org-acme"),
            &json!("2026-10-05T12:00:01Z")
        )
    );
    assert_eq!(
        metadata["labels"],
        json!({"docket.a5c.ai/org": "acme", "docket.a5c.ai/repository": "web",
               "docket.a5c.ai/surface": "pr", "docket.a5c.ai/policy": "require-pr-description",
               "docket.a5c.ai/verdict": "denied"})
    );
    assert_eq!(
        version(&object) % 10_000_000_000,
        2,
        "made by the second entry"
    );
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn the_beginning_of_a_name_gets_the_object_and_a_shared_one_says_so() {
    let mut world = court();
    let short = format!("{ACME}/denials/{}", &id(2)[..12]);
    let object = world.kube("anna", &short).await.json();
    assert_eq!(object["metadata"]["name"], id(2));
    for end in ['a', 'b'] {
        let id = format!("aaaaaaa{}", end.to_string().repeat(45));
        world.deny(&Denial::new(u32::from(end)).public(json!({"id": id})));
    }
    let answer = world.kube("anna", &format!("{ACME}/denials/aaaaaaa")).await;
    let message = failed(&answer, 400, "BadRequest");
    assert!(message.contains("several"), "{message}");
}

#[tokio::test]
async fn a_value_that_no_label_can_have_is_in_its_field_only() {
    let mut world = court();
    let context = json!({"org": "acme", "repository": "web client!", "surface": ""});
    world.deny(&Denial::new(40).public(json!({"context": context})));
    let object = world
        .kube("anna", &format!("{ACME}/denials/{}", id(40)))
        .await
        .json();
    assert_eq!(object["repository"], "web client!");
    let labels = object["metadata"]["labels"].as_object().unwrap();
    assert_eq!(
        labels.keys().collect::<Vec<_>>(),
        [
            "docket.a5c.ai/org",
            "docket.a5c.ai/policy",
            "docket.a5c.ai/verdict"
        ]
    );
}

#[tokio::test]
async fn a_table_has_short_cells_and_the_wide_columns_have_priority_one() {
    let world = court();
    let request = asked("anna", &format!("{ACME}/denials")).header("accept", TABLE);
    let table = world
        .proxied("docket-webhook", request.body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(
        (&table["kind"], &table["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1"))
    );
    let columns = table["columnDefinitions"].as_array().unwrap();
    let of = |priority: u8| -> Vec<&str> {
        let own = columns
            .iter()
            .filter(|column| column["priority"] == priority);
        own.map(|column| column["name"].as_str().unwrap()).collect()
    };
    assert_eq!(
        of(0),
        [
            "Name", "Age", "Object", "Actor", "Policy", "Verdict", "Message"
        ]
    );
    assert_eq!(
        of(1),
        [
            "Rule",
            "Enforcer",
            "Operation",
            "Repository",
            "Outcome",
            "Time",
            "ID"
        ]
    );
    let row = &table["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][2], &row["cells"][3]),
        (
            &json!(&id(2)[..12]),
            &json!("PullRequest/pr-2"),
            &json!("alice")
        )
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row["object"]["metadata"]["name"], id(2));
    assert_eq!(version(&table) % 10_000_000_000, 6);
    for (include, expected) in [("None", Value::Null), ("Object", json!("Denial"))] {
        let path = format!("{ACME}/denials/{}?includeObject={include}", id(0));
        let request = asked("anna", &path).header("accept", TABLE);
        let table = world
            .proxied("docket-webhook", request.body(Body::empty()).unwrap())
            .await
            .json();
        assert_eq!(table["rows"][0]["object"]["kind"], expected);
    }
}

#[tokio::test]
async fn a_client_that_wants_metadata_gets_nothing_else() {
    let world = court();
    for (path, kind) in [
        ("denials", "PartialObjectMetadataList"),
        (&format!("denials/{}", id(0)), "PartialObjectMetadata"),
    ] {
        let request = asked("anna", &format!("{ACME}/{path}")).header(
            "accept",
            format!("application/json;as={kind};g=meta.k8s.io;v=v1"),
        );
        let answer = world
            .proxied("docket-webhook", request.body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.json()["kind"], kind);
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("alice"));
    }
}

#[tokio::test]
async fn a_hostile_text_is_harmless_in_objects_and_cells() {
    let mut world = court();
    let hostile = hostile();
    let long = format!("{hostile}{}", "x".repeat(65_536));
    let personal = json!({"name": hostile, "messages": [long], "text": long,
                          "actor": {"username": hostile, "groups": [hostile]}});
    let public = json!({"kind": hostile, "context": {"repository": hostile}, "notes": [hostile]});
    let mut denial = Denial::new(50).public(public).personal(personal);
    denial.policy = hostile;
    world.deny(&denial);
    for (path, accept) in [
        (format!("{ACME}/denials/{}", id(50)), "application/json"),
        (format!("{ACME}/denials"), TABLE),
        (format!("{ACME}/summaries"), TABLE),
        (format!("{ACME}/summaries"), "application/json"),
    ] {
        let request = asked("anna", &path).header("accept", accept);
        let answer = world
            .proxied("docket-webhook", request.body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.status, 200);
        let mut texts = Vec::new();
        gather(&answer.json(), &mut texts);
        assert!(
            texts.iter().any(|text| text.contains("\\u{1b}[31mred")),
            "{path}"
        );
        for text in texts {
            assert!(!text.chars().any(obeyed), "{path}: {text:?}");
            if accept == TABLE {
                assert!(text.len() < 400 && !text.contains('\n'), "{path}: {text:?}");
            }
        }
    }
}

fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            texts.push(name.clone());
            gather(member, texts);
        }),
        _ => {}
    }
}

#[tokio::test]
async fn evidence_needs_a_permission_of_its_own() {
    let mut world = court();
    let (public, personal) = Denial::new(60).parts();
    let exhibit = json!({"object": {"kind": "PullRequest"}});
    world.add_with(Class::Denial, &public, Some(&personal), Some(&exhibit));
    let path = format!("{ACME}/denials/{}/evidence", id(60));
    let message = failed(&world.kube("anna", &path).await, 403, "Forbidden");
    assert!(message.contains("denials/evidence"), "{message}");
    world.cluster.change(|cluster| {
        cluster
            .evidence
            .insert(("anna".into(), "krate-org-acme".into()))
    });
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    let evidence = world.kube("anna", &path).await.json();
    assert_eq!(
        (
            &evidence["kind"],
            &evidence["sourceIPs"],
            &evidence["exhibit"],
            &evidence["userAgent"]
        ),
        (
            &json!("DenialEvidence"),
            &json!(["10.1.2.3"]),
            &exhibit,
            &json!("kubectl/v1.36")
        )
    );
    assert_eq!(
        evidence["groups"],
        json!(["developers", "system:authenticated"])
    );
    assert_eq!(evidence["personal"]["event"], json!({"kind": "Event"}));
    let other = format!("{ACME}/denials/{}/evidence", id(3));
    failed(&world.kube("anna", &other).await, 404, "NotFound");
    let watched = format!("{path}?watch=true");
    failed(&world.kube("anna", &watched).await, 404, "NotFound");
}

#[tokio::test]
async fn laws_are_listed_for_who_may_and_those_of_a_denial_for_its_reader() {
    let mut world = court();
    let law = json!({"id": id(70), "time": "2026-10-05T11:00:00Z", "change": "first-seen",
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "name": "require-pr-description",
        "hash": "abc", "text": {"kind": "ValidatingPolicy", "metadata": {"name": "require-pr-description"}}});
    world.add(Class::Law, &law, None);
    let (mut public, personal) = Denial::new(71).parts();
    public["attributions"][0]["laws"] = json!([id(70)]);
    world.cluster.change(|cluster| {
        for verb in ["get", "list"] {
            let laws = ("admin".to_owned(), format!("{verb} laws.docket.a5c.ai"));
            cluster.also.insert(laws);
        }
    });
    world.add(Class::Denial, &public, Some(&personal));
    let list = world.kube("admin", &format!("{V1}/laws")).await.json();
    let object = &list["items"][0];
    assert_eq!(
        (&list["kind"], &object["kind"], &object["metadata"]["name"]),
        (&json!("LawList"), &json!("Law"), &json!(id(70)))
    );
    assert_eq!(
        object["of"],
        json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "name": "require-pr-description"})
    );
    let request = asked("admin", &format!("{V1}/laws")).header("accept", TABLE);
    let table = world
        .proxied("docket-webhook", request.body(Body::empty()).unwrap())
        .await
        .json();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(
        cells[..4],
        [
            json!(id(70)[..12]),
            json!("ValidatingPolicy"),
            json!("require-pr-description"),
            json!("first-seen")
        ]
    );
    let one = world
        .kube("admin", &format!("{V1}/laws/{}", &id(70)[..12]))
        .await
        .json();
    assert_eq!(one["text"]["kind"], "ValidatingPolicy");
    failed(
        &world.kube("admin", &format!("{V1}/laws/{}", id(71))).await,
        404,
        "NotFound",
    );
    failed(
        &world.kube("anna", &format!("{V1}/laws")).await,
        403,
        "Forbidden",
    );
    let of = world
        .kube("anna", &format!("{ACME}/denials/{}/law", id(71)))
        .await
        .json();
    assert_eq!(
        (&of["kind"], &of["items"][0]["metadata"]["name"]),
        (&json!("LawList"), &json!(id(70)))
    );
    let wrong = world
        .kube("admin", &format!("{V1}/laws?fieldSelector=actor%3Da"))
        .await;
    assert!(failed(&wrong, 400, "BadRequest").contains("policy, kind, namespace"));
    let other = format!("{V1}/laws?fieldSelector=policy%3Dother");
    assert!(world.names("admin", &other).await.is_empty());
}

#[tokio::test]
async fn a_proof_holds_all_that_leads_to_the_signed_root_and_no_part_that_is_not_the_callers() {
    use data_encoding::BASE64;
    use docket_ledger::entry::{Leaf, Part, commitment};
    use docket_ledger::note::check_note;
    use docket_ledger::tree::{leaf_hash, node_hash};
    let world = court();
    let path = format!("{ACME}/denials/{}/proof", id(0));
    let proof = world.kube("anna", &path).await.json();
    assert_eq!(
        (&proof["kind"], &proof["position"], &proof["treeSize"]),
        (&json!("DenialProof"), &json!(0), &json!(6))
    );
    let bytes = |value: &Value| BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap();
    let leaf = bytes(&proof["leaf"]);
    // The first of six: everything beside it lies to its right.
    let mut root = leaf_hash(&leaf);
    for beside in proof["path"].as_array().unwrap() {
        root = node_hash(&root, &bytes(beside).try_into().unwrap());
    }
    let text = |name: &str| proof[name].as_str().unwrap();
    let signed = check_note(text("checkpoint"), text("verifierKey")).unwrap();
    assert_eq!((signed.root, signed.size), (root, 6));
    let public = &proof["parts"]["public"];
    let salt: [u8; 32] = bytes(&public["salt"]).try_into().unwrap();
    assert_eq!(
        commitment(Part::Public, &salt, &bytes(&public["bytes"])),
        Leaf::parse(&leaf).unwrap().public
    );
    assert_eq!(
        (&proof["parts"]["personal"], &proof["withheld"]),
        (&Value::Null, &json!(["personal"])),
        "the personal part as stored holds addresses and groups"
    );
    world.cluster.change(|cluster| {
        cluster
            .evidence
            .insert(("anna".into(), "krate-org-acme".into()))
    });
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    let proof = world.kube("anna", &path).await.json();
    assert!(proof["parts"]["personal"]["bytes"].is_string(), "{proof}");
    let other = format!("{ACME}/denials/{}/proof", id(3));
    failed(&world.kube("anna", &other).await, 404, "NotFound");
}

#[tokio::test]
async fn own_denials_are_of_the_kind_mydenial_and_never_anothers() {
    let mut world = court();
    world.cluster.change(|cluster| {
        for verb in ["get", "list", "watch"] {
            cluster
                .also
                .insert(("bob".into(), format!("{verb} mydenials.docket.a5c.ai")));
        }
    });
    world.deny(&Denial::new(80));
    let list = world.kube("bob", &format!("{V1}/mydenials")).await.json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(
        (&list["kind"], items.len()),
        (&json!("MyDenialList"), 1),
        "{list}"
    );
    assert_eq!(
        (
            &items[0]["kind"],
            &items[0]["metadata"]["name"],
            &items[0]["namespace"]
        ),
        (
            &json!("MyDenial"),
            &json!(id(3)),
            &json!("krate-org-globex")
        )
    );
    assert!(
        items[0]["metadata"].get("namespace").is_none(),
        "the kind has none"
    );
    let own = world
        .kube("bob", &format!("{V1}/mydenials/{}", id(3)))
        .await
        .json();
    assert_eq!(own["kind"], "MyDenial");
    let other = world
        .kube("bob", &format!("{V1}/mydenials/{}", id(0)))
        .await;
    failed(&other, 404, "NotFound");
    failed(
        &world.kube("anna", &format!("{V1}/mydenials")).await,
        403,
        "Forbidden",
    );
    let cluster = world
        .kube("admin", &format!("{V1}/clusterdenials/{}", id(4)))
        .await
        .json();
    assert_eq!(cluster["kind"], "ClusterDenial");
    let namespaced = world
        .kube("admin", &format!("{V1}/clusterdenials/{}", id(0)))
        .await;
    failed(&namespaced, 404, "NotFound");
}
