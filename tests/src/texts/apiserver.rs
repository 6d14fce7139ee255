//! What the API server says by itself: its own admission policies, and conditions of hooks.

use super::{Form, namespace, on_pull_requests, pull_request};
use serde_json::{Value, json};

fn rules() -> Value {
    json!({"resourceRules": [{"apiGroups": ["krate.a5c.ai"], "apiVersions": ["*"],
        "resources": ["pullrequests"], "operations": ["CREATE"]}]})
}

fn here(form: &str) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace(form)}}})
}

fn vap(form: &'static str, validation: Value) -> Form {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": form},
        "spec": {"matchConstraints": rules(), "validations": [validation]},
    });
    Form::new(form, vec![policy, binding(form)], pull_request(form, "t"))
}

fn binding(form: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": format!("{form}-bound")},
        "spec": {"policyName": form, "validationActions": ["Deny"], "matchResources": here(form)},
    })
}

pub(super) fn forms() -> Vec<Form> {
    let forbidden = json!({"expression": "false", "message": "m", "reason": "Forbidden"});
    let mut with_parameters = vap(
        "vap-parameters",
        json!({"expression": "false", "message": "m"}),
    );
    with_parameters.laws[0]["spec"]["paramKind"] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    with_parameters.laws[1]["spec"]["paramRef"] = json!({"name": "nowhere", "namespace": namespace("vap-parameters"), "parameterNotFoundAction": "Deny"});
    let mut unknown_parameters = vap(
        "vap-unknown-parameters",
        json!({"expression": "false", "message": "m"}),
    );
    // It refuses whatever it matches, before a binding is looked at.
    unknown_parameters.laws[0]["spec"]["matchConstraints"]["namespaceSelector"] =
        here("vap-unknown-parameters")["namespaceSelector"].clone();
    unknown_parameters.laws[0]["spec"]["paramKind"] =
        json!({"apiVersion": "example.test/v1", "kind": "Nowhere"});
    unknown_parameters.laws[1]["spec"]["paramRef"] =
        json!({"name": "nowhere", "parameterNotFoundAction": "Deny"});
    vec![
        vap(
            "vap",
            json!({"expression": "false", "message": "Said by the API server."}),
        ),
        vap(
            "vap-bare",
            json!({"expression": "object.spec.title == 'u'"}),
        ),
        vap("vap-forbidden", forbidden),
        vap(
            "vap-error",
            json!({"expression": "object.spec.nope.deep == 'x'", "message": "m"}),
        ),
        vap(
            "vap-echo",
            json!({"expression": "false",
            "messageExpression": "'The title is ' + object.spec.title"}),
        ),
        with_parameters,
        unknown_parameters,
        map(),
        match_condition(),
    ]
}

fn map() -> Form {
    let form = "map-error";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": form},
        "spec": {"matchConstraints": rules(), "reinvocationPolicy": "Never", "failurePolicy": "Fail",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression":
                "[JSONPatch{op: 'add', path: '/spec/more', value: object.spec.nope.deep}]"}}]},
    });
    let bound = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": format!("{form}-bound")},
        "spec": {"policyName": form, "matchResources": here(form)},
    });
    Form::new(form, vec![policy, bound], pull_request(form, "t"))
}

/// Kyverno hands the conditions of a policy on to its hook.
fn match_condition() -> Form {
    let form = "match-condition";
    let policy = json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": form},
        "spec": {"validationActions": ["Deny"], "matchConstraints": on_pull_requests(form),
            "matchConditions": [{"name": "c", "expression": "object.spec.nope.deep == 'x'"}],
            "validations": [{"expression": "false", "message": "m"}]},
    });
    Form::new(form, vec![policy], pull_request(form, "t"))
}
