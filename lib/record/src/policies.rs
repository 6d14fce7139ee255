//! The policies as they are known at one moment: enough to say whether an
//! attribution read from a text can be true, and what the policy says of itself.

mod about;
mod places;
mod read;

pub use places::Places;

use crate::denial::Law;
use crate::krate::kind;

/// One policy-like object (Kyverno's kinds, ValidatingAdmissionPolicy and its mutating
/// sibling).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `ValidatingPolicy`, `ClusterPolicy`, `ValidatingAdmissionPolicy`, …
    pub kind: String,
    /// For namespaced kinds.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid, for Events.
    pub uid: String,
    /// apiVersion, for Events.
    pub api_version: String,
    /// Deny or Enforce in some form (for a VAP: some binding has Deny).
    pub enforces: bool,
    /// What it matches: (apiGroup, resource), `*` allowed; empty: not readable,
    /// which makes no attribution exact.
    pub covers: Vec<(String, String)>,
    /// Rules of a legacy policy, with those that Kyverno made from them for the controllers
    /// of pods. CEL policies have none.
    pub rules: Vec<Rule>,
    /// All texts that a failing validation can give, if each is fixed; `None` if one is
    /// computed from the object and so may say anything.
    pub messages: Option<Vec<String>>,
    /// Kind and name of the Kyverno policy this object was generated from.
    pub generated_from: Option<(String, String)>,
    /// Namespaces, as far as a selector tells by their names.
    pub places: Places,
    /// What the policy says of itself.
    pub law: Law,
    /// Id of the `law` entry of this version; empty before there is one.
    pub law_id: String,
    /// Why this may not be what was in force; then nothing owed to it is exact.
    pub doubt: Option<&'static str>,
    /// For the API server's own policies: the bindings that let it refuse, and the ids of
    /// their versions that may have been in force.
    pub bindings: Vec<(String, Vec<String>)>,
}

/// One rule of a legacy policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its name; `autogen-…` for those that Kyverno made.
    pub name: String,
    /// Enforce in some form, or an error of it refuses the request.
    pub enforces: bool,
    /// As [`Policy::covers`].
    pub covers: Vec<(String, String)>,
}

/// A PolicyException of either group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// apiVersion: the two groups have a kind of the same name.
    pub api_version: String,
    /// Its namespace.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid.
    pub uid: String,
    /// What it names.
    pub refs: Vec<ExceptionRef>,
    /// Id of the `law` entry of this version; empty before there is one.
    pub law_id: String,
}

/// A policy, or some of its rules, that an exception names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionRef {
    /// Kind; empty where the exception does not say (`kyverno.io`: ClusterPolicy or Policy).
    pub kind: String,
    /// metadata.name; in `kyverno.io` perhaps `namespace/name`.
    pub policy: String,
    /// Rules; empty for all.
    pub rules: Vec<String>,
}

/// A webhook configuration of any enforcer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// `ValidatingWebhookConfiguration` or `MutatingWebhookConfiguration`.
    pub kind: String,
    /// metadata.name.
    pub name: String,
    /// Names of its hooks, in order.
    pub hooks: Vec<String>,
    /// Id of the `law` entry of this version; empty before there is one.
    pub law_id: String,
}

/// All policies known at one moment.
#[derive(Clone, Debug, Default)]
pub struct PolicyList {
    /// In no order. Two versions of one policy stand here where either may have been in
    /// force.
    pub policies: Vec<Policy>,
    /// Exceptions, in no order.
    pub exceptions: Vec<Exception>,
    /// Webhook configurations, in no order.
    pub configurations: Vec<Configuration>,
    /// False until every watch has had its first full list: until then nothing is exact.
    pub synced: bool,
    /// Why the list as a whole may not be what was in force; then nothing is exact
    /// either.
    pub doubt: Option<String>,
}

/// What a request was about, as a policy's match sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// API group.
    pub group: &'a str,
    /// Plural.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// Object name, if known.
    pub name: &'a str,
}

impl Policy {
    /// True if its match can take in the target. Selectors and conditions are not
    /// evaluated: a policy that denied has passed them.
    pub fn covers(&self, target: &Target<'_>) -> bool {
        let own_namespace = self.namespace.is_empty() || self.namespace == target.namespace;
        own_namespace && covers(&self.covers, target)
    }

    /// Says whether it refuses, and so its mode.
    pub(crate) fn set_enforces(&mut self, enforces: bool) {
        self.enforces = enforces;
        self.law.mode = if enforces { "enforce" } else { "audit" }.to_owned();
    }

    /// True if a failing validation of this policy can give this text.
    pub fn can_say(&self, message: &str) -> bool {
        self.messages
            .as_ref()
            .is_none_or(|fixed| fixed.iter().any(|text| text.trim() == message.trim()))
    }
}

impl Rule {
    /// True if its match can take in the target, as [`Policy::covers`].
    pub fn covers(&self, target: &Target<'_>) -> bool {
        covers(&self.covers, target)
    }
}

fn covers(all: &[(String, String)], target: &Target<'_>) -> bool {
    all.iter()
        .any(|(group, resource)| wildcard(group, target.group) && covers_resource(resource, target))
}

/// `pods` is the resource alone, `pods/*` and `*/*` take in subresources as well. What is
/// left of a legacy policy's `Pod*` is a pattern for kinds.
fn covers_resource(rule: &str, target: &Target<'_>) -> bool {
    let (resource, subresource) = rule.split_once('/').unwrap_or((rule, ""));
    let named = resource == target.resource
        || (resource.contains(['*', '?']) && wildcard(resource, kind(target.resource)));
    named && wildcard(subresource, target.subresource)
}

/// True if the pattern takes in the text: `*` stands for any letters, `?` for one. Upper
/// and lower case are one.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and up to where it has taken in the text.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(one) if *one == b'?' || one.eq_ignore_ascii_case(&text[read]) => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((place, taken)) = &mut star else {
                    return false;
                };
                *taken += 1;
                (at, read) = (*place + 1, *taken);
            }
        }
    }
    pattern[at..].iter().all(|one| *one == b'*')
}

impl PolicyList {
    /// Policies of one of `kinds` with this name that could judge in this namespace.
    pub fn named<'a>(
        &'a self,
        kinds: &'a [&'a str],
        name: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Policy> {
        self.policies.iter().filter(move |policy| {
            policy.name == name
                && kinds.contains(&policy.kind.as_str())
                && (policy.namespace.is_empty() || policy.namespace == namespace)
        })
    }
}

#[cfg(test)]
mod tests;
