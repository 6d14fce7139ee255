//! The description of the REST API in OpenAPI 3.1, made of the list of its paths and the
//! parameters that the code reads. `docs/openapi.json` is a copy of it; a test holds it.

use super::paths::{Door, Gives, doors};
use crate::doors::json::Json;
use crate::doors::params::schema;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Answers that have no page of their own.
const SHAPES: &str = include_str!("shapes.json");
/// Those that have one.
const PUBLISHED: [(&str, &str); 3] = [
    (
        "Denial",
        include_str!("../../../../docs/policy-denial.schema.json"),
    ),
    (
        "Violation",
        include_str!("../../../../docs/policy-violation.schema.json"),
    ),
    (
        "Outcomes",
        include_str!("../../../../docs/outcomes.schema.json"),
    ),
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Nothing in it is about this cluster: it is told to anyone.
pub(super) async fn serve() -> Response {
    Json(&*DOCUMENT).into_response()
}

pub(in crate::doors) fn document() -> Value {
    let mut schemas: Map<String, Value> = serde_json::from_str(SHAPES).unwrap_or_default();
    for (name, text) in PUBLISHED {
        let mut published: Value = serde_json::from_str(text).unwrap_or_default();
        if let Value::Object(members) = &mut published {
            members.remove("$schema");
            members.remove("$id");
        }
        move_references(&mut published, name);
        schemas.insert(name.to_owned(), published);
    }
    schemas.insert("OpenApi".into(), json!({ "type": "object" }));
    let mut paths = Map::new();
    for door in doors() {
        if let Gives::Page(of) = door.gives {
            let mut page = schemas["Page"].clone();
            page["properties"]["items"]["items"] = reference(of);
            schemas.insert(format!("{of}List"), page);
        }
        paths.insert(
            door.path.replace("{*", "{"),
            json!({ "get": operation(&door) }),
        );
    }
    paths.insert("/import".into(), import());
    let names: BTreeSet<&str> = doors()
        .iter()
        .flat_map(|door| door.takes.concat())
        .collect();
    let parameters = names
        .into_iter()
        .map(|name| (name.to_owned(), parameter(name)));
    let responses = REFUSALS.into_iter().map(|(code, why)| {
        let body = json!({ "application/json": { "schema": reference("Error") } });
        (
            code.to_owned(),
            json!({ "description": why, "content": body }),
        )
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Docket",
            "description": "The court record of admission control. Who may read what, and what each name means: docs/rest.md.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters.collect::<Map<_, _>>(),
            "responses": responses.collect::<Map<_, _>>(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer", "description": "A token of the cluster.",
            } },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A published schema refers to its own parts; here they lie deeper.
fn move_references(value: &mut Value, name: &str) {
    match value {
        Value::Object(members) => {
            for (member, inner) in members {
                match inner {
                    Value::String(target) if member == "$ref" => {
                        *target = target.replacen('#', &format!("#/components/schemas/{name}"), 1);
                    }
                    inner => move_references(inner, name),
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| move_references(item, name)),
        _ => {}
    }
}

fn operation(door: &Door) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for name in door
        .path
        .split('/')
        .filter_map(|step| step.strip_prefix('{'))
    {
        let name = name.trim_end_matches('}').trim_start_matches('*');
        parameters.push(json!({
            "name": name, "in": "path", "required": true,
            "schema": { "type": "string", "minLength": 1 },
        }));
    }
    for name in door.takes.concat() {
        // Figures on outcomes never cross namespaces.
        if name == "namespace" && matches!(door.gives, Gives::Json("Outcomes")) {
            let mut needed = parameter(name);
            needed["required"] = true.into();
            parameters.push(needed);
        } else {
            parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        }
    }
    if matches!(door.gives, Gives::Events) && !door.takes.is_empty() {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "schema": { "type": "string" }, "description": "Instead of cursor.",
        }));
    }
    let (kind, schema) = match door.gives {
        Gives::Json(name) => ("application/json", reference(name)),
        Gives::Page(of) => ("application/json", reference(&format!("{of}List"))),
        Gives::Events => ("text/event-stream", json!({ "type": "string" })),
        Gives::Text => ("text/plain", json!({ "type": "string" })),
        Gives::Bytes => ("application/octet-stream", json!({})),
    };
    let mut responses = json!({
        "200": { "description": "As asked.", "content": { kind: { "schema": schema } } },
    });
    for (code, _) in REFUSALS {
        if code != "413" && (code != "410" || matches!(door.gives, Gives::Events)) {
            responses[code] = refused(code);
        }
    }
    let mut operation = json!({
        "summary": door.does, "operationId": name(&door.path), "parameters": parameters, "responses": responses,
    });
    if door.path == "/openapi.json" {
        operation["security"] = json!([]);
    }
    operation
}

/// What else may be answered.
const REFUSALS: [(&str, &str); 8] = [
    ("400", "The request is wrong; the message says how."),
    ("401", "No token, or none that the cluster knows."),
    (
        "403",
        "Not allowed; the message names the missing permission.",
    ),
    (
        "404",
        "There is no such thing, or it is not the caller's to read.",
    ),
    ("405", "Another method is answered."),
    (
        "410",
        "The place to go on from is not this ledger's, or ahead of it.",
    ),
    ("413", "More than one request may bring."),
    (
        "503",
        "Too much at once, or the ledger or the API server can't be asked: try again.",
    ),
];

fn refused(code: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{code}") })
}

fn parameter(name: &str) -> Value {
    json!({ "name": name, "in": "query", "required": false, "schema": schema(name) })
}

/// `get-api-orgs-org-policies`.
fn name(path: &str) -> String {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let words: Vec<&str> = path
        .split(|c| !letters(c))
        .filter(|word| !word.is_empty())
        .collect();
    format!("get-{}", words.join("-"))
}

/// The one door that leads the other way.
fn import() -> Value {
    json!({ "post": {
        "summary": "Takes audit records, one a line",
        "operationId": "import",
        "parameters": [{
            "name": "format", "in": "query", "required": false,
            "schema": { "type": "string", "enum": ["kubernetes", "eks", "aks", "gke"] },
        }],
        "requestBody": { "required": true, "content": { "text/plain": { "schema": { "type": "string" } } } },
        "responses": {
            "200": { "description": "All of it is committed.",
                     "content": { "application/json": { "schema": reference("Imported") } } },
            "400": refused("400"),
            "401": refused("401"),
            "403": refused("403"),
            "405": refused("405"),
            "413": refused("413"),
            "503": refused("503"),
        },
    } })
}
