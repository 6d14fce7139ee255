//! Policy objects, as the API server gives them, to [`Policy`].

use super::{Places, Policy, Rule, about, wildcard};
use crate::krate::plural;
use serde_json::Value;

impl Policy {
    /// Reads an object of one of Kyverno's policy kinds, a ValidatingAdmissionPolicy or
    /// a MutatingAdmissionPolicy. `None` for anything else.
    ///
    /// A ValidatingAdmissionPolicy enforces only where a [`crate::law::LawBook`] knows a
    /// binding that says so.
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
            places: Places::of(&spec["matchConstraints"]["namespaceSelector"]),
            law: about::law(kind, &object["metadata"]),
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
                policy.messages = fixed_messages(spec);
                for made in autogen(object) {
                    policy.covers.extend(targets(made));
                    // Kyverno rewrites `object.spec` in every text of it, messages too.
                    let also = fixed_messages(&made["spec"]);
                    policy.messages = policy.messages.zip(also).map(|(mut all, also)| {
                        all.extend(also);
                        all
                    });
                }
            }
            "MutatingPolicy"
            | "NamespacedMutatingPolicy"
            | "GeneratingPolicy"
            | "NamespacedGeneratingPolicy" => {
                policy.enforces = text(&spec["failurePolicy"]) != "Ignore";
                policy.covers = resource_rules(&spec["matchConstraints"]);
                policy.covers.extend(autogen(object).flat_map(targets));
            }
            "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
                policy.covers = resource_rules(&spec["matchConstraints"]);
                policy.generated_from = generated_from(&object["metadata"]);
            }
            "ClusterPolicy" | "Policy" => legacy(&mut policy, spec, &object["status"]),
            _ => return None,
        }
        policy.set_enforces(policy.enforces);
        Some(policy)
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

/// What Kyverno has made of a CEL policy on pods for their controllers: a list of targets
/// and a spec for each form of pod template.
fn autogen(object: &Value) -> impl Iterator<Item = &Value> {
    let configs = object["status"]["autogen"]["configs"].as_object();
    configs.into_iter().flat_map(serde_json::Map::values)
}

fn targets(made: &Value) -> impl Iterator<Item = (String, String)> {
    list(&made["targets"]).iter().map(|target| {
        let of = |name: &str| text(&target[name]).to_owned();
        (of("group"), of("resource"))
    })
}

/// All messages of the validations, if none is computed.
fn fixed_messages(spec: &Value) -> Option<Vec<String>> {
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
                format!("CEL expression validation failed at index {index}")
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

fn legacy(policy: &mut Policy, spec: &Value, status: &Value) {
    let made = &status["autogen"]["rules"];
    for rule in list(&spec["rules"]).iter().chain(list(made)) {
        let rule = Rule {
            name: text(&rule["name"]).to_owned(),
            enforces: rule_enforces(rule, spec),
            covers: kinds_matched(&rule["match"]),
        };
        policy.enforces |= rule.enforces;
        policy.covers.extend(rule.covers.iter().cloned());
        policy.rules.push(rule);
    }
}

/// The action of the rule itself, where it has one, else that of the whole policy.
fn rule_enforces(rule: &Value, spec: &Value) -> bool {
    let enforce = |value: &Value| text(value).eq_ignore_ascii_case("enforce");
    let somewhere = |part: &Value, action: &str, overrides: &str| {
        enforce(&part[action])
            || list(&part[overrides])
                .iter()
                .any(|one| enforce(&one["action"]))
    };
    let own = |part: &Value| match &part["failureAction"] {
        Value::String(_) => somewhere(part, "failureAction", "failureActionOverrides"),
        _ => somewhere(
            spec,
            "validationFailureAction",
            "validationFailureActionOverrides",
        ),
    };
    let images = list(&rule["verifyImages"]);
    if rule["validate"].is_object() {
        own(&rule["validate"])
    } else if !images.is_empty() {
        images.iter().any(own)
    } else {
        // A mutate rule that fails refuses the request unless the policy ignores it.
        rule["mutate"].is_object() && text(&spec["failurePolicy"]) != "Ignore"
    }
}

fn kinds_matched(matched: &Value) -> Vec<(String, String)> {
    let filters = list(&matched["any"])
        .iter()
        .chain(list(&matched["all"]))
        .chain([matched]);
    filters
        .flat_map(|filter| list(&filter["resources"]["kinds"]))
        .flat_map(|kind| kind_selector(text(kind)))
        .collect()
}

/// Kinds that stand for a subresource, as policies for Kyverno up to 1.8 write them.
const OPTIONS: [(&str, &str); 8] = [
    ("Binding", "pods/binding"),
    ("Eviction", "pods/eviction"),
    ("NodeProxyOptions", "nodes/proxy"),
    ("PodAttachOptions", "pods/attach"),
    ("PodExecOptions", "pods/exec"),
    ("PodPortForwardOptions", "pods/portforward"),
    ("PodProxyOptions", "pods/proxy"),
    ("ServiceProxyOptions", "services/proxy"),
];
/// Subresources that Kyverno asks about by itself wherever a rule takes in the kind: the
/// first always, the second in 1.7 and 1.8.
const ALSO: [(&str, &str); 2] = [
    ("Pod", "pods/ephemeralcontainers"),
    ("Service", "services/status"),
];

/// `Kind`, `version/Kind`, `group/version/Kind`, each with `/subresource` or
/// `.subresource` after it, or `*/subresource`; to (group, resource). `*` and `?` stand for
/// any letters in each part.
fn kind_selector(selector: &str) -> Vec<(String, String)> {
    let is_version = |part: &str| {
        part == "*"
            || part
                .strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let is_lower = |part: &str| !part.contains(|c: char| c.is_ascii_uppercase());
    let parts: Vec<&str> = selector.split('/').collect();
    let (group, kind, subresource) = match parts[..] {
        [kind] => ("*", kind, ""),
        ["*", "*"] => ("*", "*", "*"),
        ["*", subresource] if is_lower(subresource) => ("*", "*", subresource),
        [version, kind] if is_version(version) => ("*", kind, ""),
        [kind, subresource] => ("*", kind, subresource),
        [version, kind, subresource] if version != "*" && is_version(version) => {
            ("*", kind, subresource)
        }
        [group, _, kind] => (group, kind, ""),
        [group, _, kind, subresource] => (group, kind, subresource),
        _ => return Vec::new(),
    };
    let (kind, subresource) = match kind.split_once('.') {
        Some((kind, own)) if subresource.is_empty() => (kind, own),
        _ => (kind, subresource),
    };
    let of = |resource: &str| (group.to_owned(), resource.to_owned());
    if let Some((_, resource)) = OPTIONS.iter().find(|(option, _)| *option == kind) {
        return vec![of(resource)];
    }
    let resource = if kind.contains(['*', '?']) {
        kind.to_owned()
    } else {
        plural(kind)
    };
    if !subresource.is_empty() {
        return vec![of(&format!("{resource}/{subresource}"))];
    }
    let mut all = vec![of(&resource)];
    if wildcard(group, "") {
        let also = ALSO.iter().filter(|(one, _)| wildcard(kind, one));
        all.extend(also.map(|(_, resource)| (String::new(), (*resource).to_owned())));
    }
    all
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
