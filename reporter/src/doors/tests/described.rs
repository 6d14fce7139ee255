//! The published description against the code that answers.

use super::shape::check;
use super::violations::{report, world};
use super::world::id;
use crate::doors::rest::document;
use serde_json::{Value, json};
use std::path::Path;

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

#[test]
fn the_copy_in_docs_is_what_the_code_says() {
    let mut now = serde_json::to_string_pretty(&document()).unwrap();
    now.push('\n');
    if std::env::var_os("DOCKET_WRITE_OPENAPI").is_some() {
        std::fs::write(COPY, &now).unwrap();
    }
    let copy = std::fs::read_to_string(Path::new(COPY)).unwrap();
    assert!(
        copy == now,
        "docs/openapi.json is another: run this test once with DOCKET_WRITE_OPENAPI=1"
    );
}

/// What is referred to, if it is a reference.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(&reference[1..])
            .expect("what is referred to"),
        None => value,
    }
}

/// (path with something in the place of its parameters, operation)
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let gets = paths
        .iter()
        .filter_map(|(path, item)| Some((path, item.get("get")?)));
    gets.map(|(path, operation)| {
        let filled = path
            .replace("{id}", &id(0))
            .replace("{org}", "acme")
            .replace("{namespace}", "krate-org-acme")
            .replace("{name}", "web")
            .replace("{position}", "0")
            .replace("{level}", "entries")
            .replace("{place}", "000.p/1");
        assert!(!filled.contains('{'), "{filled}");
        (filled, operation)
    })
    .collect()
}

#[tokio::test]
async fn each_path_takes_the_parameters_that_it_is_said_to_take_and_no_other() {
    let document = document();
    let (world, _) = world();
    let acme = ("krate-org-acme".to_owned(), "acme".to_owned());
    world
        .cluster
        .change(|cluster| cluster.namespaces.extend([acme]));
    let mut checked = 0;
    for (path, operation) in operations(&document) {
        let answers = operation["responses"]["200"]["content"]
            .as_object()
            .unwrap();
        let plain = ["text/plain", "application/octet-stream"];
        if path == "/openapi.json" || plain.iter().any(|kind| answers.contains_key(*kind)) {
            continue;
        }
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let query: Vec<&str> = parameters
            .map(|parameter| resolved(&document, parameter))
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let needed = path == "/api/outcomes";
        let wrong = format!(
            "{path}?nonsense=1{}",
            if needed { "&namespace=a" } else { "" }
        );
        let message = world.get("admin", &wrong).await.refused(400, "bad_request");
        let said = match query.as_slice() {
            [] => "nonsense: unknown; no parameter is allowed".to_owned(),
            query => format!("nonsense: unknown; allowed: {}", query.join(", ")),
        };
        assert_eq!(message, said, "{path}");
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

#[tokio::test]
async fn what_is_answered_has_the_shape_that_is_said() {
    let document = document();
    let (mut world, known) = world();
    known
        .reports
        .write()
        .apply(report("krate-org-acme", "pr-1", json!({})));
    let acme = ("krate-org-acme".to_owned(), "acme".to_owned());
    world.cluster.change(|cluster| {
        cluster.namespaces.extend([acme]);
        for verb in ["get", "list"] {
            let own = format!("{verb} mydenials.docket.a5c.ai");
            cluster.also.insert(("admin".into(), own));
        }
    });
    let law = json!({"id": "law-9", "time": "2026-10-05T11:00:00Z", "change": "created", "namespace": "",
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "name": "p", "hash": "h"});
    world.add(docket_ledger::entry::Class::Law, &law, None);
    let gap = docket_ledger::entry::Class::Gap;
    world.add(gap, &super::world::gap(1), None);
    let (named, who) = super::world::gap_with_writes(2);
    world.add(gap, &named, Some(&who));
    let mut checked = 0;
    for (path, operation) in operations(&document) {
        let answers = &operation["responses"]["200"]["content"];
        let Some(answer) = answers.get("application/json") else {
            continue;
        };
        let path = match path.as_str() {
            "/api/outcomes" => "/api/outcomes?namespace=krate-org-acme".to_owned(),
            path => path
                .replace("/api/laws/", "/api/laws/law-9?")
                .replace(&format!("?{}", id(0)), ""),
        };
        let answered = world.get("admin", &path).await;
        let body = answered.json();
        let status = answered.status.as_u16().to_string();
        let schema = match status.as_str() {
            "200" => &answer["schema"],
            status => {
                let refused = resolved(&document, &operation["responses"][status]);
                &refused["content"]["application/json"]["schema"]
            }
        };
        check(&document, schema, &body, &format!("{path} ({status})"));
        // Admin was denied nothing, and may not see objects.
        let own = path.starts_with("/api/my-denials/") && status == "404";
        let exhibit = path.ends_with("/exhibit") && status == "403";
        assert!(status == "200" || own || exhibit, "{path}: {body}");
        checked += 1;
    }
    assert!(checked > 25, "{checked}");
}
