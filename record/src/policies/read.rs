//! Policy objects, as the API server gives them, to [`Policy`].

use super::Policy;
use crate::audit::prefix;
use crate::denial::Law;
use crate::krate::plural;
use serde_json::Value;

/// Longest text taken over from a policy's annotations, in bytes.
const TEXT_LIMIT: usize = 1024;

impl Policy {
    /// Reads an object of one of Kyverno's policy kinds, a ValidatingAdmissionPolicy or
    /// a MutatingAdmissionPolicy. `None` for anything else.
    ///
    /// A ValidatingAdmissionPolicy enforces only where [`super::PolicyList::bind`] finds
    /// a binding that says so.
    pub fn from_object(object: &Value) -> Option<Policy> {
        let kind = text(&object["kind"]);
        let name = text(&object["metadata"]["name"]);
        let spec = &object["spec"];
        if name.is_empty() {
            return None;
        }
        let mut policy = Policy {
            kind: kind.to_owned(),
            namespace: text(&object["metadata"]["namespace"]).to_owned(),
            name: name.to_owned(),
            uid: text(&object["metadata"]["uid"]).to_owned(),
            api_version: text(&object["apiVersion"]).to_owned(),
            law: law(&object["metadata"]["annotations"]),
            ..Policy::default()
        };
        match kind {
            "ValidatingPolicy"
            | "NamespacedValidatingPolicy"
            | "ImageValidatingPolicy"
            | "NamespacedImageValidatingPolicy" => {
                let actions = list(&spec["validationActions"]);
                policy.enforces = actions.is_empty() || actions.iter().any(|a| a == "Deny");
                policy.covers = resource_rules(&spec["matchConstraints"]);
                policy.messages = fixed_messages(spec, |index| {
                    format!("CEL expression validation failed at index {index}")
                });
            }
            "MutatingPolicy"
            | "NamespacedMutatingPolicy"
            | "GeneratingPolicy"
            | "NamespacedGeneratingPolicy" => {
                policy.enforces = text(&spec["failurePolicy"]) != "Ignore";
                policy.covers = resource_rules(&spec["matchConstraints"]);
            }
            "ValidatingAdmissionPolicy" => {
                policy.covers = resource_rules(&spec["matchConstraints"]);
                policy.generated_from = generated_from(&object["metadata"]);
            }
            "MutatingAdmissionPolicy" => {
                policy.covers = resource_rules(&spec["matchConstraints"]);
                policy.generated_from = generated_from(&object["metadata"]);
            }
            "ClusterPolicy" | "Policy" => legacy(&mut policy, spec),
            _ => return None,
        }
        set_mode(&mut policy);
        Some(policy)
    }
}

fn set_mode(policy: &mut Policy) {
    policy.law.mode = if policy.enforces { "enforce" } else { "audit" }.to_owned();
}

fn law(annotations: &Value) -> Law {
    let take = |name: &str| {
        let key = format!("policies.kyverno.io/{name}");
        prefix(text(&annotations[key.as_str()]).trim(), TEXT_LIMIT).to_owned()
    };
    let remediation = take("remediation");
    Law {
        severity: take("severity"),
        category: take("category"),
        title: take("title"),
        remediation: if remediation.is_empty() {
            take("description")
        } else {
            remediation
        },
        mode: String::new(),
    }
}

fn resource_rules(constraints: &Value) -> Vec<(String, String)> {
    let mut covers = Vec::new();
    for rule in list(&constraints["resourceRules"]) {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                covers.push((text(group).to_owned(), text(resource).to_owned()));
            }
        }
    }
    covers
}

fn fixed_messages(spec: &Value, default: impl Fn(usize) -> String) -> Option<Vec<String>> {
    let validations = list(&spec["validations"]);
    validations
        .iter()
        .enumerate()
        .map(|(index, validation)| {
            if !text(&validation["messageExpression"]).trim().is_empty() {
                return None;
            }
            let message = text(&validation["message"]);
            Some(if message.is_empty() {
                default(index)
            } else {
                message.to_owned()
            })
        })
        .collect()
}

/// The policy that Kyverno generated this object from, by its owner reference.
fn generated_from(metadata: &Value) -> Option<(String, String)> {
    if metadata["labels"]["app.kubernetes.io/managed-by"] != "kyverno" {
        return None;
    }
    let owner = list(&metadata["ownerReferences"]).iter().find(|owner| {
        let api = text(&owner["apiVersion"]);
        api.starts_with("kyverno.io/") || api.starts_with("policies.kyverno.io/")
    })?;
    Some((
        text(&owner["kind"]).to_owned(),
        text(&owner["name"]).to_owned(),
    ))
}

fn legacy(policy: &mut Policy, spec: &Value) {
    let enforce = |value: &Value| text(value).eq_ignore_ascii_case("enforce");
    let whole = enforce(&spec["validationFailureAction"])
        || list(&spec["validationFailureActionOverrides"])
            .iter()
            .any(|o| enforce(&o["action"]));
    for rule in list(&spec["rules"]) {
        policy.rules.push(text(&rule["name"]).to_owned());
        let own = |part: &Value| match &part["failureAction"] {
            Value::String(_) => {
                enforce(&part["failureAction"])
                    || list(&part["failureActionOverrides"])
                        .iter()
                        .any(|o| enforce(&o["action"]))
            }
            _ => whole,
        };
        let images = list(&rule["verifyImages"]);
        policy.enforces |= match &rule["validate"] {
            Value::Object(_) => own(&rule["validate"]),
            // A mutate rule that fails refuses the request unless the policy ignores it.
            _ if images.is_empty() => {
                rule["mutate"].is_object() && text(&spec["failurePolicy"]) != "Ignore"
            }
            _ => images.iter().any(own),
        };
        let matched = &rule["match"];
        let filters = list(&matched["any"])
            .iter()
            .chain(list(&matched["all"]))
            .chain([matched]);
        for filter in filters {
            for kind in list(&filter["resources"]["kinds"]) {
                policy.covers.extend(kind_selector(text(kind)));
            }
        }
    }
}

/// `Kind`, `version/Kind`, `group/version/Kind`, each with `/subresource` or
/// `.subresource` after it; to (group, resource). `None` for a pattern inside a kind.
fn kind_selector(selector: &str) -> Option<(String, String)> {
    let is_version = |part: &str| {
        part == "*"
            || part
                .strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let parts: Vec<&str> = selector.split('/').collect();
    let (group, kind, subresource) = match parts[..] {
        [kind] => ("*", kind, ""),
        ["*", "*"] => ("*", "*", "*"),
        [version, kind] if is_version(version) => ("*", kind, ""),
        [kind, subresource] => ("*", kind, subresource),
        [version, kind, subresource] if version != "*" && is_version(version) => {
            ("*", kind, subresource)
        }
        [group, _, kind] => (group, kind, ""),
        [group, _, kind, subresource] => (group, kind, subresource),
        _ => return None,
    };
    let (kind, subresource) = match kind.split_once('.') {
        Some((kind, own)) if subresource.is_empty() => (kind, own),
        _ => (kind, subresource),
    };
    let resource = match kind {
        "*" => "*".to_owned(),
        kind if kind.contains(['*', '?']) => return None,
        kind => plural(kind),
    };
    let resource = if subresource.is_empty() {
        resource
    } else {
        format!("{resource}/{subresource}")
    };
    Some((group.to_owned(), resource))
}

pub(super) fn bind(policies: &mut [Policy], bindings: &[Value]) {
    for policy in policies {
        let binding_kind = match policy.kind.as_str() {
            "ValidatingAdmissionPolicy" => "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy" => "MutatingAdmissionPolicyBinding",
            _ => continue,
        };
        let mutating = policy.kind == "MutatingAdmissionPolicy";
        policy.enforces = bindings.iter().any(|binding| {
            // Items of a typed list carry no kind; then the two are told apart by name.
            let kind = text(&binding["kind"]);
            (kind.is_empty() || kind == binding_kind)
                && text(&binding["spec"]["policyName"]) == policy.name
                && (mutating
                    || list(&binding["spec"]["validationActions"])
                        .iter()
                        .any(|a| a == "Deny"))
        });
        set_mode(policy);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
