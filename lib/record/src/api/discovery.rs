//! Discovery: which resources there are, as kubectl and the API server's controllers ask.
//!
//! Two forms: the old one, a document per group and per version, and the aggregated one
//! (`apidiscovery.k8s.io/v2`), one document for all, which the API server prefers.

use super::{API_VERSION, GROUP, REPOSITORY_DENIALS, RESOURCES, Resource, Subresource, VERSION};
use serde_json::{Value, json};

/// `Content-Type` of [`aggregated`], and what to look for in `Accept`.
pub const AGGREGATED_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/apis`: the groups that are served here.
#[must_use]
pub fn groups() -> Value {
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [described()] })
}

/// `/apis/docket.a5c.ai`: the group's versions.
#[must_use]
pub fn group() -> Value {
    let mut group = described();
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    group
}

fn described() -> Value {
    let version = json!({ "groupVersion": API_VERSION, "version": VERSION });
    json!({ "name": GROUP, "versions": [version], "preferredVersion": version })
}

/// `/apis/docket.a5c.ai/v1`: the version's resources.
#[must_use]
pub fn resources() -> Value {
    let below = RESOURCES.iter().flat_map(|resource| {
        let below = resource.subresources.iter();
        below.map(|below| listed_below(resource.plural, resource.namespaced, below))
    });
    let (repositories, denials) = &REPOSITORY_DENIALS;
    let listed: Vec<Value> = RESOURCES
        .iter()
        .map(listed)
        .chain(below)
        .chain([listed_below(repositories, true, denials)])
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": API_VERSION,
        "resources": listed,
    })
}

fn listed(resource: &Resource) -> Value {
    let mut listed = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        listed["shortNames"] = resource.short_names.into();
    }
    if !resource.categories.is_empty() {
        listed["categories"] = resource.categories.into();
    }
    listed
}

fn listed_below(parent: &str, namespaced: bool, below: &Subresource) -> Value {
    json!({
        "name": format!("{parent}/{}", below.name),
        "singularName": "",
        "namespaced": namespaced,
        "kind": below.kind,
        "verbs": ["get"],
    })
}

/// `/apis` for those who accept [`AGGREGATED_TYPE`].
#[must_use]
pub fn aggregated() -> Value {
    let (repositories, denials) = &REPOSITORY_DENIALS;
    // A parent that can't be asked for has no kind and no verbs.
    let repositories = json!({
        "resource": repositories,
        "scope": "Namespaced",
        "singularResource": "",
        "verbs": [],
        "subresources": [discovered_below(denials)],
    });
    let resources: Vec<Value> = RESOURCES
        .iter()
        .map(discovered)
        .chain([repositories])
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": { "name": GROUP },
            "versions": [{ "version": VERSION, "freshness": "Current", "resources": resources }],
        }],
    })
}

fn discovered(resource: &Resource) -> Value {
    let mut discovered = json!({
        "resource": resource.plural,
        "responseKind": response(resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        discovered["shortNames"] = resource.short_names.into();
    }
    if !resource.categories.is_empty() {
        discovered["categories"] = resource.categories.into();
    }
    if !resource.subresources.is_empty() {
        let below = resource.subresources.iter().map(discovered_below);
        discovered["subresources"] = below.collect();
    }
    discovered
}

fn discovered_below(below: &Subresource) -> Value {
    json!({
        "subresource": below.name,
        "responseKind": response(below.kind),
        "verbs": ["get"],
    })
}

fn response(kind: &str) -> Value {
    json!({ "group": GROUP, "version": VERSION, "kind": kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with their verbs, subresources as `parent/name`.
    fn old() -> Vec<(String, Value, Value)> {
        let document = resources();
        let listed = document["resources"].as_array().unwrap();
        let mut all: Vec<_> = listed
            .iter()
            .map(|one| {
                let name = one["name"].as_str().unwrap().to_owned();
                (name, one["kind"].clone(), one["verbs"].clone())
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn new() -> Vec<(String, Value, Value)> {
        let document = aggregated();
        let mut all = Vec::new();
        for one in document["items"][0]["versions"][0]["resources"]
            .as_array()
            .unwrap()
        {
            let name = one["resource"].as_str().unwrap();
            let kind = one["responseKind"]["kind"].clone();
            if !kind.is_null() {
                all.push((name.to_owned(), kind, one["verbs"].clone()));
            }
            for below in one["subresources"].as_array().into_iter().flatten() {
                all.push((
                    format!("{name}/{}", below["subresource"].as_str().unwrap()),
                    below["responseKind"]["kind"].clone(),
                    below["verbs"].clone(),
                ));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    #[test]
    fn both_forms_of_discovery_tell_the_same() {
        assert_eq!(old(), new());
        let names: Vec<String> = old().into_iter().map(|one| one.0).collect();
        assert_eq!(
            names,
            [
                "clusterdenials",
                "denials",
                "denials/evidence",
                "denials/law",
                "denials/proof",
                "laws",
                "mydenials",
                "repositories/denials",
                "summaries",
            ]
        );
    }

    #[test]
    fn no_resource_has_a_verb_that_a_namespace_controller_or_a_garbage_collector_would_use() {
        for (name, _, verbs) in old() {
            let verbs = verbs.as_array().unwrap().clone();
            assert!(
                verbs
                    .iter()
                    .all(|verb| ["get", "list", "watch"].contains(&verb.as_str().unwrap())),
                "{name}: {verbs:?}"
            );
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<&str> = RESOURCES
            .iter()
            .flat_map(|one| {
                let names = [one.plural, one.singular];
                names.into_iter().chain(one.short_names.iter().copied())
            })
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
