//! One object as the API server gives it, read as law.

use super::kinds::Kind;
use super::{Place, autogen, text};
use crate::policies::{Configuration, Exception, ExceptionRef, Policy};
use serde_json::Value;

/// What an object says, reduced to what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A policy that can refuse.
    Policy(Box<Policy>),
    /// What binds a ValidatingAdmissionPolicy or its mutating sibling.
    Binding(Binding),
    /// A PolicyException of either group.
    Exception(Exception),
    /// A webhook configuration.
    Configuration(Configuration),
    /// Law of another kind (DeletingPolicy), or a text that can't be read any more.
    Other,
    /// Nothing: it was deleted.
    Gone,
}

/// A binding of the API server's own policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Kind of the policy that it binds.
    pub kind: &'static str,
    /// Name of that policy.
    pub policy: String,
    /// Lets the policy refuse.
    pub denies: bool,
}

/// One object, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which.
    pub place: Place,
    /// Group and version.
    pub api_version: String,
    /// metadata.uid.
    pub uid: String,
    /// metadata.resourceVersion.
    pub resource_version: String,
    /// metadata.generation; 0 if there is none.
    pub generation: i64,
    /// What of it is law.
    pub text: Value,
    /// Hash of that.
    pub hash: String,
    /// What Kyverno has made of it for the controllers of pods, as
    /// [`autogen::Amendment::autogen`](super::autogen::Amendment); null for nothing.
    pub autogen: Value,
    /// What it says.
    pub body: Body,
}

impl Object {
    /// Reads an object with its `apiVersion` and `kind`. `None` for kinds that are no law
    /// and for objects without a name.
    #[must_use]
    pub fn read(object: &Value) -> Option<Object> {
        let metadata = &object["metadata"];
        let of = |field: &str| string(&metadata[field]).to_owned();
        let (group, _) = string(&object["apiVersion"]).split_once('/')?;
        let place = Place {
            kind: Kind::of(group, string(&object["kind"]))?,
            namespace: of("namespace"),
            name: Some(of("name")).filter(|name| !name.is_empty())?,
        };
        let text = text::text(object);
        Some(Object {
            place,
            api_version: string(&object["apiVersion"]).to_owned(),
            uid: of("uid"),
            resource_version: of("resourceVersion"),
            generation: metadata["generation"].as_i64().unwrap_or(0),
            hash: text::hash(&text),
            text,
            autogen: autogen::of(object),
            // With its status: there Kyverno says which rules it has made of a policy.
            body: body(object, &of("uid")),
        })
    }
}

/// What a text says. One that was cut, or is none of ours, says nothing.
pub(super) fn body(text: &Value, uid: &str) -> Body {
    let kind = string(&text["kind"]);
    let name = string(&text["metadata"]["name"]).to_owned();
    let namespace = string(&text["metadata"]["namespace"]).to_owned();
    let api_version = string(&text["apiVersion"]).to_owned();
    let spec = &text["spec"];
    match kind {
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            let mutating = kind.starts_with("Mutating");
            Body::Binding(Binding {
                kind: if mutating {
                    "MutatingAdmissionPolicy"
                } else {
                    "ValidatingAdmissionPolicy"
                },
                policy: string(&spec["policyName"]).to_owned(),
                denies: mutating || list(&spec["validationActions"]).iter().any(|a| a == "Deny"),
            })
        }
        "PolicyException" => Body::Exception(Exception {
            refs: refs(spec),
            api_version,
            namespace,
            name,
            uid: uid.to_owned(),
            ..Exception::default()
        }),
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            let hooks = list(&text["webhooks"]).iter();
            Body::Configuration(Configuration {
                kind: kind.to_owned(),
                name,
                hooks: hooks.map(|hook| string(&hook["name"]).to_owned()).collect(),
                ..Configuration::default()
            })
        }
        _ => match Policy::from_object(text) {
            Some(policy) => Body::Policy(Box::new(Policy {
                uid: uid.to_owned(),
                ..policy
            })),
            None => Body::Other,
        },
    }
}

/// `spec.exceptions` in kyverno.io, `spec.policyRefs` in policies.kyverno.io.
fn refs(spec: &Value) -> Vec<ExceptionRef> {
    let legacy = list(&spec["exceptions"]).iter().map(|one| ExceptionRef {
        kind: String::new(),
        policy: string(&one["policyName"]).to_owned(),
        rules: list(&one["ruleNames"])
            .iter()
            .map(|rule| string(rule).to_owned())
            .collect(),
    });
    let cel = list(&spec["policyRefs"]).iter().map(|one| ExceptionRef {
        kind: string(&one["kind"]).to_owned(),
        policy: string(&one["name"]).to_owned(),
        rules: Vec::new(),
    });
    legacy.chain(cel).collect()
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
