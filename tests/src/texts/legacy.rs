//! Legacy policies: a block whose tail is YAML, and one line where a mutate rule fails.

use super::cel::{UNREACHABLE, WORDS};
use super::{Form, Moment, cron_job, deployment, namespace, pod, pull_request};
use serde_json::{Value, json};

fn matching(form: &str, kind: &str) -> Value {
    json!({"any": [{"resources": {"kinds": [kind], "namespaces": [namespace(form)],
        "operations": ["CREATE"]}}]})
}

fn rule(name: &str, form: &str, validate: Value) -> Value {
    rule_on(name, form, "PullRequest", validate)
}

fn rule_on(name: &str, form: &str, kind: &str, mut validate: Value) -> Value {
    if validate["failureAction"].is_null() {
        validate["failureAction"] = json!("Enforce");
    }
    json!({"name": name, "match": matching(form, kind), "validate": validate})
}

fn policy(name: &str, rules: Value) -> Value {
    json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
        "metadata": {"name": name}, "spec": {"background": false, "rules": rules},
    })
}

/// One policy and rule, both named as the form, on pull requests.
fn one(form: &'static str, validate: Value, title: &str) -> Form {
    let rules = json!([rule(form, form, validate)]);
    Form::new(form, vec![policy(form, rules)], pull_request(form, title))
}

fn never(message: &str) -> Value {
    json!({"message": message, "pattern": {"spec": {"title": "ok*"}}})
}

fn deny(message: &str) -> Value {
    json!({"message": message, "deny": {"conditions": {"any": [
        {"key": "{{ request.operation }}", "operator": "Equals", "value": "CREATE"}]}}})
}

const LONG: &str = "The pull request must say what it changes, why it changes it, who asked for it, \
    where the ticket is, how it was tested, and what is to be done if it has to be taken back; \
    see https://example.test/policies/pull-requests#descriptions-and-why-they-matter for more.";

pub(super) fn forms() -> Vec<Form> {
    let mut all = vec![
        one("cpol-pattern", never("The title must start with ok."), "no"),
        one(
            "cpol-pattern-bare",
            json!({"pattern": {"spec": {"title": "ok*"}}}),
            "no",
        ),
        one(
            "cpol-any-pattern",
            json!({"message": "One of two titles.",
            "anyPattern": [{"spec": {"title": "ok*"}}, {"spec": {"title": "fine*"}}]}),
            "no",
        ),
        one("cpol-deny", deny("Creating is not allowed."), "t"),
        one(
            "cpol-deny-bare",
            json!({"deny": {"conditions": {"any": [
            {"key": "{{ request.operation }}", "operator": "Equals", "value": "CREATE"}]}}}),
            "t",
        ),
        one(
            "cpol-deny-condition",
            json!({"message": "Not now.", "deny": {"conditions": {"any": [
            {"key": "{{ request.operation }}", "operator": "Equals", "value": "CREATE",
                "message": "the operation is CREATE"}]}}}),
            "t",
        ),
        one(
            "cpol-cel",
            json!({"cel": {"expressions": [
            {"expression": "object.spec.title == 'ok'", "message": "The title must be ok."}]}}),
            "no",
        ),
        one(
            "cpol-cel-bare",
            json!({"cel": {"expressions": [
            {"expression": "object.spec.title == 'ok'"}]}}),
            "no",
        ),
        one(
            "cpol-cel-echo",
            json!({"cel": {"expressions": [
            {"expression": "object.spec.title == 'ok'",
                "messageExpression": "'The title is ' + object.spec.title"}]}}),
            "no: 'x'",
        ),
        one(
            "cpol-cel-error",
            json!({"cel": {"expressions": [
            {"expression": "object.spec.nope.deep == 'ok'", "message": "m"}]}}),
            "no",
        ),
        one("cpol-long", deny(LONG), "t"),
        one("cpol-words", deny(WORDS), "t"),
        one(
            "cpol-echo",
            deny("The title is {{ request.object.spec.title }}"),
            WORDS,
        ),
        one(
            "cpol-imitates",
            deny("The title is {{ request.object.spec.title }}"),
            "x\n\nresource PullRequest/a/b was blocked due to the following policies \n\ncpol-deny:\n  cpol-deny: forged\n",
        ),
        one(
            "cpol-message-error",
            json!({"message": "The title is {{ request.object.spec.nope }}",
            "pattern": {"spec": {"title": "ok*"}}}),
            "no",
        ),
        one(
            "cpol-deny-error",
            json!({"message": "m", "deny": {"conditions": {"any": [
            {"key": "{{ request.object.spec.nope.deep }}", "operator": "Equals", "value": "x"}]}}}),
            "t",
        ),
        Form::new(
            "cpol-several",
            vec![
                policy(
                    "cpol-several-a",
                    json!([
                        rule("first", "cpol-several", never("One.")),
                        rule("second", "cpol-several", deny("Two: \"quoted\".")),
                        rule(
                            "passes",
                            "cpol-several",
                            json!({"message": "m", "pattern": {"spec": {"title": "n*"}}})
                        ),
                    ]),
                ),
                policy(
                    "cpol-several-b",
                    json!([rule("third", "cpol-several", deny("Three."))]),
                ),
            ],
            pull_request("cpol-several", "no"),
        ),
        Form::new(
            "cpol-two-actions",
            vec![policy(
                "cpol-two-actions",
                json!([
                    rule("denies", "cpol-two-actions", deny("Denied.")),
                    rule("tells", "cpol-two-actions", {
                        let mut told = deny("Only told.");
                        told["failureAction"] = json!("Audit");
                        told
                    }),
                ]),
            )],
            pull_request("cpol-two-actions", "t"),
        ),
        Form::new(
            "cpol-finegrained",
            vec![{
                let mut one = policy(
                    "cpol-finegrained",
                    json!([rule(
                        "cpol-finegrained",
                        "cpol-finegrained",
                        deny("Asked alone.")
                    )]),
                );
                one["spec"]["webhookConfiguration"] = json!({"matchConditions": [
                    {"name": "c", "expression": "object.spec.title != ''"}]});
                one
            }],
            pull_request("cpol-finegrained", "t"),
        ),
    ];
    all.extend(namespaced());
    all.extend(pods());
    all.extend(mutate());
    all.push(generated());
    all
}

fn in_namespace(mut policy: Value, form: &str) -> Value {
    policy["kind"] = json!("Policy");
    policy["metadata"]["namespace"] = json!(namespace(form));
    for rule in policy["spec"]["rules"].as_array_mut().into_iter().flatten() {
        if let Some(resources) = rule["match"]["any"][0]["resources"].as_object_mut() {
            resources.remove("namespaces");
        }
    }
    policy
}

fn namespaced() -> Vec<Form> {
    let of = |name: &str, form: &str, message: &str| {
        policy(name, json!([rule("r", form, deny(message))]))
    };
    vec![
        Form::new(
            "pol",
            vec![in_namespace(of("pol", "pol", "At home."), "pol")],
            pull_request("pol", "t"),
        ),
        // The block's key is the name alone: one of the two is lost.
        Form::new(
            "pol-same-name",
            vec![
                of("pol-same-name", "pol-same-name", "Everywhere."),
                in_namespace(
                    of("pol-same-name", "pol-same-name", "At home."),
                    "pol-same-name",
                ),
            ],
            pull_request("pol-same-name", "t"),
        ),
    ]
}

fn pods() -> Vec<Form> {
    let on_pods = |form: &str| {
        policy(
            form,
            json!([rule_on(
                "host",
                form,
                "Pod",
                json!({"message": "hostNetwork must be false.",
                "pattern": {"spec": {"hostNetwork": false}}})
            )]),
        )
    };
    let restricted = json!([rule_on(
        "baseline",
        "cpol-pod-security",
        "Pod",
        json!({"message": "Pods must be restricted.", "podSecurity": {"level": "restricted", "version": "latest"}})
    )]);
    let images = json!([{"name": "signed", "match": matching("cpol-images", "Pod"), "verifyImages": [{
        "imageReferences": ["*"], "failureAction": "Enforce",
        "attestors": [{"entries": [{"keys": {"publicKeys": PUBLIC_KEY,
            "rekor": {"ignoreTlog": true}, "ctlog": {"ignoreSCT": true}}}]}]}]}]);
    vec![
        Form::new(
            "cpol-autogen",
            vec![on_pods("cpol-autogen")],
            deployment("cpol-autogen", "example.test/none"),
        ),
        Form::new(
            "cpol-autogen-cron",
            vec![on_pods("cpol-autogen-cron")],
            cron_job("cpol-autogen-cron", "example.test/none"),
        ),
        Form::new(
            "cpol-pod-security",
            vec![policy("cpol-pod-security", restricted)],
            pod("cpol-pod-security", "example.test/none"),
        ),
        Form::new(
            "cpol-images",
            vec![policy("cpol-images", images)],
            pod("cpol-images", UNREACHABLE),
        ),
    ]
}

/// Nothing here is signed with it.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEx0lgkNCNLbw7Dr6Hc0+W4CieDEdQ\n\
    UPwyzxKfj88DclLGxPC0bjG/03aE8d5IJSuJH6lzDyLAI7zT9rXRSTnpAQ==\n\
    -----END PUBLIC KEY-----\n";

fn mutate() -> Vec<Form> {
    let failing = |rule: &str, form: &str| {
        json!({"name": rule, "match": matching(form, "PullRequest"),
            "mutate": {"patchStrategicMerge": {"spec": {"more": "{{ request.object.spec.nope }}"}}}})
    };
    vec![
        Form::new(
            "cpol-mutate",
            vec![policy(
                "cpol-mutate",
                json!([failing("adds", "cpol-mutate")]),
            )],
            pull_request("cpol-mutate", "t"),
        ),
        Form::new(
            "cpol-mutate-several",
            vec![policy(
                "cpol-mutate-several",
                json!([
                    failing("adds", "cpol-mutate-several"),
                    failing("adds-too", "cpol-mutate-several")
                ]),
            )],
            pull_request("cpol-mutate-several", "t"),
        ),
    ]
}

fn generated() -> Form {
    let form = "cpol-generated";
    let mut rule = rule(
        form,
        form,
        json!({"cel": {"generate": true, "expressions": [
        {"expression": "object.spec.title == 'ok'", "message": "Said by the API server."}]}}),
    );
    rule["match"] = json!({"any": [{"resources": {"kinds": ["PullRequest"], "operations": ["CREATE"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace(form)}}}}]});
    Form::new(
        form,
        vec![policy(form, json!([rule]))],
        pull_request(form, "no"),
    )
    .at(Moment::Generated("cpol-cpol-generated"))
}
