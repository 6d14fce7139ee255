//! OpenAPI documents: `kubectl explain` reads version 3, older clients version 2.

use super::schema::{gvk, reference, schemas};
use super::{API_VERSION, GROUP, PREFIX, REPOSITORY_DENIALS, RESOURCES, Resource, Subresource};
use serde_json::{Map, Value, json};

/// Key of the document in the index of version 3.
pub const GROUP_VERSION_PATH: &str = "apis/docket.a5c.ai/v1";

/// `/openapi/v3`: where the documents are. `hash` changes whenever the document does.
#[must_use]
pub fn index(hash: &str) -> Value {
    let url = format!("/openapi/v3/{GROUP_VERSION_PATH}?hash={hash}");
    json!({ "paths": { GROUP_VERSION_PATH: { "serverRelativeURL": url } } })
}

/// `/openapi/v3/apis/docket.a5c.ai/v1`.
#[must_use]
pub fn version_3() -> Value {
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths(),
        "components": { "schemas": schemas() },
    })
}

/// `/openapi/v2`: the same in the older words.
#[must_use]
pub fn version_2() -> Value {
    let mut document = json!({
        "swagger": "2.0",
        "info": info(),
        "paths": paths(),
        "definitions": schemas(),
    });
    older(&mut document);
    document
}

fn info() -> Value {
    json!({ "title": "Docket", "version": API_VERSION })
}

/// Version 2 has no `nullable`, other references, and answers without media types.
fn older(document: &mut Value) {
    match document {
        Value::Object(all) => {
            all.remove("nullable");
            if let Some(Value::String(reference)) = all.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/definitions/");
            }
            if let Some(content) = all.remove("content") {
                all.insert(
                    "schema".to_owned(),
                    content["application/json"]["schema"].clone(),
                );
            }
            if all.contains_key("in")
                && let Some(schema) = all.remove("schema")
            {
                all.insert("type".to_owned(), schema["type"].clone());
            }
            all.values_mut().for_each(older);
        }
        Value::Array(all) => all.iter_mut().for_each(older),
        _ => {}
    }
}

fn paths() -> Value {
    let mut paths = Map::new();
    let mut add = |path: String, operation: Value, parameters: &[&str]| {
        let parameters: Value = parameters.iter().copied().map(parameter).collect();
        paths.insert(path, json!({ "get": operation, "parameters": parameters }));
    };
    for resource in RESOURCES {
        let plural = resource.plural;
        let (base, place): (String, &[&str]) = if resource.namespaced {
            add(
                format!("{PREFIX}/{plural}"),
                listing(resource, "ForAllNamespaces"),
                LISTED,
            );
            let base = format!("{PREFIX}/namespaces/{{namespace}}/{plural}");
            (base, &["namespace"])
        } else {
            (format!("{PREFIX}/{plural}"), &[])
        };
        add(
            base.clone(),
            listing(resource, ""),
            &[place, LISTED].concat(),
        );
        let named = [place, &["name"][..]].concat();
        let one = operation(
            &format!("read{}", resource.kind),
            "get",
            resource.kind,
            "One of them.",
        );
        add(format!("{base}/{{name}}"), one, &named);
        for below in resource.subresources {
            let id = format!("read{}{}", resource.kind, below.kind);
            let one = operation(&id, "get", below.kind, below.about);
            add(format!("{base}/{{name}}/{}", below.name), one, &named);
        }
    }
    let (repositories, Subresource { name, kind, about }) = &REPOSITORY_DENIALS;
    add(
        format!("{PREFIX}/namespaces/{{namespace}}/{repositories}/{{name}}/{name}"),
        operation("listRepositoryDenials", "get", kind, about),
        &[&["namespace", "name"], LISTED].concat(),
    );
    Value::Object(paths)
}

/// Parameters of a list.
const LISTED: &[&str] = &[
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "watch",
    "allowWatchBookmarks",
    "timeoutSeconds",
];

fn listing(resource: &Resource, where_: &str) -> Value {
    let id = format!("list{}{where_}", resource.kind);
    let mut listing = operation(&id, "list", resource.list_kind, resource.about);
    // kubectl finds the kind of a resource by the operation on its list.
    listing["x-kubernetes-group-version-kind"] = gvk(resource.kind);
    listing
}

fn operation(id: &str, action: &str, kind: &str, about: &str) -> Value {
    json!({
        "operationId": format!("{id}DocketV1"),
        "description": about,
        "tags": [GROUP],
        "responses": {
            "200": {
                "description": "OK",
                "content": { "application/json": { "schema": reference(kind) } },
            },
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(kind),
    })
}

fn parameter(name: &str) -> Value {
    let (at, kind, about) = match name {
        "namespace" => ("path", "string", "Namespace of the refused requests."),
        "name" => ("path", "string", "Name of the object."),
        "labelSelector" => ("query", "string", "Only objects with these labels."),
        "fieldSelector" => (
            "query",
            "string",
            "Only objects with these fields; `q` searches the text.",
        ),
        "limit" => ("query", "integer", "At most so many objects on a page."),
        "continue" => ("query", "string", "The next page of a list."),
        "resourceVersion" => ("query", "string", "Where a watch begins."),
        "watch" => ("query", "boolean", "Follow what comes."),
        "allowWatchBookmarks" => (
            "query",
            "boolean",
            "Say now and then how far the watch has come.",
        ),
        _ => ("query", "integer", "End the watch after so many seconds."),
    };
    let mut parameter = json!({
        "name": name, "in": at, "description": about, "schema": { "type": kind },
    });
    if at == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_resource_of_discovery_has_its_paths() {
        let document = version_3();
        let paths = document["paths"].as_object().unwrap();
        for path in [
            "/apis/docket.a5c.ai/v1/denials",
            "/apis/docket.a5c.ai/v1/namespaces/{namespace}/denials",
            "/apis/docket.a5c.ai/v1/namespaces/{namespace}/denials/{name}",
            "/apis/docket.a5c.ai/v1/namespaces/{namespace}/denials/{name}/evidence",
            "/apis/docket.a5c.ai/v1/namespaces/{namespace}/repositories/{name}/denials",
            "/apis/docket.a5c.ai/v1/clusterdenials",
            "/apis/docket.a5c.ai/v1/mydenials/{name}",
        ] {
            assert!(paths.contains_key(path), "{path}");
        }
        assert!(!paths.contains_key("/apis/docket.a5c.ai/v1/namespaces/{namespace}/mydenials"));
        let below: usize = RESOURCES.iter().map(|one| one.subresources.len()).sum();
        let namespaced = RESOURCES.iter().filter(|one| one.namespaced).count();
        assert_eq!(paths.len(), 2 * RESOURCES.len() + namespaced + below + 1);
        let ids: BTreeSet<&str> = paths
            .values()
            .map(|path| path["get"]["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), paths.len(), "an operationId is used twice");
    }

    #[test]
    fn version_2_has_none_of_the_words_of_version_3() {
        let text = version_2().to_string();
        for word in [
            "\"components\"",
            "#/components",
            "\"nullable\"",
            "\"content\"",
        ] {
            assert!(!text.contains(word), "{word}");
        }
        let document = version_2();
        let get = &document["paths"]["/apis/docket.a5c.ai/v1/mydenials"]["get"];
        assert_eq!(
            get["responses"]["200"]["schema"]["$ref"],
            "#/definitions/ai.a5c.docket.v1.MyDenialList"
        );
    }

    #[test]
    fn the_index_leads_to_the_document() {
        assert_eq!(
            index("ab")["paths"]["apis/docket.a5c.ai/v1"]["serverRelativeURL"],
            "/openapi/v3/apis/docket.a5c.ai/v1?hash=ab"
        );
    }
}
