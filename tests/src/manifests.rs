//! Manifests: YAML files with several documents, and where an object lives in the API.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::Path;

/// Reads all documents of a YAML file of the repository.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| format!("read {}", path.display()))
}

/// Reads all documents of a YAML text.
pub fn parse(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).context("not YAML")?;
    Ok(all
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// The resource name of a kind, by the rule that all kinds used here follow.
pub fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if lower.ends_with(['s', 'x']) => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}

/// Path of the collection that an object belongs to.
pub fn collection(object: &Value) -> Result<String> {
    let kind = object["kind"].as_str().context("the object has no kind")?;
    let version = object["apiVersion"]
        .as_str()
        .context("the object has no apiVersion")?;
    Ok(collection_of(
        version,
        &plural(kind),
        object["metadata"]["namespace"].as_str(),
    ))
}

/// Path of a collection.
pub fn collection_of(api_version: &str, resource: &str, namespace: Option<&str>) -> String {
    let root = if api_version.contains('/') {
        "/apis"
    } else {
        "/api"
    };
    let namespace = namespace
        .map(|name| format!("/namespaces/{name}"))
        .unwrap_or_default();
    format!("{root}/{api_version}{namespace}/{resource}")
}

/// Path of an object.
pub fn path(object: &Value) -> Result<String> {
    let name = object["metadata"]["name"]
        .as_str()
        .context("the object has no name")?;
    Ok(format!("{}/{name}", collection(object)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_rule_for_plurals_gives_the_names_of_the_crds() {
        for kind in crate::krate::kinds() {
            assert_eq!(plural(kind.kind), kind.plural);
        }
        assert_eq!(
            plural("ValidatingAdmissionPolicy"),
            "validatingadmissionpolicies"
        );
    }

    #[test]
    fn an_object_has_a_path_with_and_without_a_namespace() {
        let policy = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
            "metadata": {"name": "p"}});
        assert_eq!(
            path(&policy).unwrap(),
            "/apis/policies.kyverno.io/v1/validatingpolicies/p"
        );
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": "n"}});
        assert_eq!(path(&pod).unwrap(), "/api/v1/namespaces/n/pods/a");
    }

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        assert_eq!(
            parse("a: 1\n---\n---\nb: 2\n").unwrap(),
            [json!({"a": 1}), json!({"b": 2})]
        );
    }
}
