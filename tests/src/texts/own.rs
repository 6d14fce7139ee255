//! What Kyverno refuses by itself: its own objects, what it manages, and calls that fail.

use super::{Form, Moment, namespace, on_pull_requests, pull_request};
use serde_json::{Value, json};

pub(super) fn forms() -> Vec<Form> {
    vec![
        refused(
            "own-vpol",
            json!({
                "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
                "metadata": {"name": "own-vpol"},
                "spec": {"matchConstraints": {"resourceRules": []},
                    "validations": [{"expression": "true"}]},
            }),
        ),
        refused(
            "own-vpol-cel",
            json!({
                "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
                "metadata": {"name": "own-vpol-cel"},
                "spec": {"matchConstraints": on_pull_requests("own-vpol-cel"),
                    "validations": [{"expression": "nope("}]},
            }),
        ),
        refused(
            "own-cpol",
            json!({
                "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
                "metadata": {"name": "own-cpol"},
                "spec": {"rules": [{"name": "r", "match": {"any": [{"resources": {"kinds": ["Nowhere"]}}]},
                    "validate": {"failureAction": "Enforce", "message": "m", "pattern": {"spec": {"a": "{{ nope }}"}}}}]},
            }),
        ),
        refused(
            "own-exception",
            json!({
                "apiVersion": "kyverno.io/v2", "kind": "PolicyException",
                "metadata": {"name": "own-exception", "namespace": namespace("own-exception")},
                "spec": {"exceptions": [{"policyName": "p", "ruleNames": ["r"]}],
                    "background": true,
                    "match": {"any": [{"resources": {"kinds": ["Pod"]}, "subjects": [{"kind": "User", "name": "alice"}]}]}},
            }),
        ),
        refused(
            "own-cel-exception",
            json!({
                "apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
                "metadata": {"name": "own-cel-exception", "namespace": namespace("own-cel-exception")},
                "spec": {"policyRefs": [{"name": "", "kind": ""}]},
            }),
        ),
        refused(
            "own-global-context",
            json!({
                "apiVersion": "kyverno.io/v2beta1", "kind": "GlobalContextEntry",
                "metadata": {"name": "own-global-context"},
                "spec": {"apiCall": {"method": "GET", "refreshInterval": "10s"}},
            }),
        ),
        managed(),
        // The hook of mutate rules is called first.
        Form::new("call-failed", Vec::new(), pull_request("call-failed", "t")).at(Moment::Killed),
        Form::new(
            "call-failed-vpol",
            vec![on_issues(vpol("call-failed-vpol", "call-failed-vpol"))],
            issue("call-failed-vpol"),
        )
        .at(Moment::Killed),
        Form::new(
            "call-failed-finegrained",
            vec![{
                let mut policy = on_issues(vpol("call-failed-fine", "call-failed-finegrained"));
                policy["spec"]["matchConditions"] =
                    json!([{"name": "c", "expression": "object.spec.title != ''"}]);
                policy
            }],
            issue("call-failed-finegrained"),
        )
        .at(Moment::Killed),
    ]
}

/// The write is the object itself.
fn refused(form: &'static str, object: Value) -> Form {
    Form::new(form, Vec::new(), object)
}

fn vpol(name: &str, form: &str) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {"validationActions": ["Deny"], "matchConstraints": on_pull_requests(form),
            "validations": [{"expression": "false", "message": "m"}]},
    })
}

fn on_issues(mut policy: Value) -> Value {
    policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"] = json!(["issues"]);
    policy
}

fn issue(form: &str) -> Value {
    let mut object = pull_request(form, "t");
    object["kind"] = json!("Issue");
    object
}

/// With `--protectManagedResources` no one but Kyverno writes what bears its label; a hook
/// must be called for it, so there is a policy that would let it pass.
fn managed() -> Form {
    let form = "managed";
    let mut passes = vpol(form, form);
    passes["spec"]["validations"] = json!([{"expression": "true"}]);
    let mut object = pull_request(form, "t");
    object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("kyverno");
    Form::new(form, vec![passes], object)
}
