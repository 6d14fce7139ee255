//! CEL policies: `Policy p failed: …`, alone and several in one answer.

use super::{Form, Moment, deployment, namespace, on_pull_requests, pod, pull_request};
use serde_json::{Value, json};

/// A ValidatingPolicy in Deny on the form's pull requests.
fn vpol(name: &str, form: &str, validation: Value) -> Value {
    vpol_of(name, form, json!([validation]))
}

fn vpol_of(name: &str, form: &str, validations: Value) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {"validationActions": ["Deny"], "matchConstraints": on_pull_requests(form),
            "validations": validations},
    })
}

fn no(message: &str) -> Value {
    json!({"expression": "false", "message": message})
}

fn echo() -> Value {
    json!({"expression": "false", "messageExpression": "'The title is ' + object.spec.title"})
}

/// The same policy in the form's namespace.
fn namespaced(mut policy: Value, form: &str) -> Value {
    let kind = policy["kind"].as_str().unwrap_or_default();
    policy["kind"] = json!(format!("Namespaced{kind}"));
    policy["metadata"]["namespace"] = json!(namespace(form));
    policy
}

fn with(mut policy: Value, field: &str, value: Value) -> Value {
    policy["spec"][field] = value;
    policy
}

/// Words that no format likes: separators, quotes, YAML's own signs, line breaks.
pub(super) const WORDS: &str =
    "Say: \"why\"; - 'what' #1\n  key: [a, {b: &c *d}] | > %e @f `g`\n\n\"Wer\" — 誰? ; Policy: no";

pub(super) fn forms() -> Vec<Form> {
    let one = |form, validation, title| {
        Form::new(
            form,
            vec![vpol(form, form, validation)],
            pull_request(form, title),
        )
    };
    let mut all = vec![
        one(
            "vpol-message",
            no("A pull request says what it changes."),
            "t",
        ),
        one("vpol-echo", echo(), "mine"),
        one("vpol-words", no(WORDS), "t"),
        one("vpol-echo-words", echo(), WORDS),
        one("vpol-echo-unknown", echo(), "x; Policy nowhere failed: y"),
        one(
            "vpol-error",
            json!({"expression": "object.spec.nope.deep == 'x'", "message": "m"}),
            "t",
        ),
        one(
            "vpol-message-error",
            json!({"expression": "false", "message": "m",
            "messageExpression": "string(object.spec.nope.deep)"}),
            "t",
        ),
        Form::new(
            "vpol-default",
            vec![vpol_of(
                "vpol-default",
                "vpol-default",
                json!([{"expression": "true"}, {"expression": "false"}]),
            )],
            pull_request("vpol-default", "t"),
        ),
        Form::new(
            "vpol-several",
            vec![
                vpol("vpol-several-a", "vpol-several", no("The first says no.")),
                vpol("vpol-several-b", "vpol-several", echo()),
                vpol(
                    "vpol-several-c",
                    "vpol-several",
                    json!({"expression": "object.spec.nope.deep == 'x'", "message": "m"}),
                ),
            ],
            pull_request("vpol-several", "mine"),
        ),
        // Could be two policies, and is one that echoes the other's words.
        Form::new(
            "vpol-imitates",
            vec![
                vpol("vpol-imitates-a", "vpol-imitates", echo()),
                vpol(
                    "vpol-imitates-b",
                    "vpol-imitates",
                    json!({"expression": "object.spec.repository == 'web'", "message": "never"}),
                ),
            ],
            pull_request("vpol-imitates", "x; Policy vpol-imitates-b failed: never"),
        ),
        // The same with a fixed text: its author imitates another policy.
        Form::new(
            "vpol-imitates-fixed",
            vec![
                vpol(
                    "vpol-imitates-fixed-a",
                    "vpol-imitates-fixed",
                    no("m; Policy vpol-imitates-fixed-b failed: n"),
                ),
                vpol(
                    "vpol-imitates-fixed-b",
                    "vpol-imitates-fixed",
                    json!({"expression": "object.spec.repository == 'web'", "message": "n"}),
                ),
            ],
            pull_request("vpol-imitates-fixed", "t"),
        ),
        Form::new(
            "vpol-warns",
            vec![
                vpol("vpol-warns-a", "vpol-warns", no("Denied.")),
                with(
                    vpol("vpol-warns-b", "vpol-warns", no("Only warned.")),
                    "validationActions",
                    json!(["Warn"]),
                ),
            ],
            pull_request("vpol-warns", "t"),
        ),
        Form::new(
            "vpol-ignore",
            vec![with(
                vpol("vpol-ignore", "vpol-ignore", no("Denied all the same.")),
                "failurePolicy",
                json!("Ignore"),
            )],
            pull_request("vpol-ignore", "t"),
        ),
        Form::new(
            "vpol-finegrained",
            vec![with(
                vpol("vpol-finegrained", "vpol-finegrained", no("Asked alone.")),
                "matchConditions",
                json!([{"name": "c", "expression": "object.spec.title != ''"}]),
            )],
            pull_request("vpol-finegrained", "t"),
        ),
        Form::new(
            "nvpol",
            vec![namespaced(vpol("nvpol", "nvpol", no("At home.")), "nvpol")],
            pull_request("nvpol", "t"),
        ),
        Form::new(
            "nvpol-finegrained",
            vec![namespaced(
                with(
                    vpol("nvpol-fine", "nvpol-finegrained", no("At home, alone.")),
                    "matchConditions",
                    json!([{"name": "c", "expression": "object.spec.title != ''"}]),
                ),
                "nvpol-finegrained",
            )],
            pull_request("nvpol-finegrained", "t"),
        ),
    ];
    all.extend(autogen());
    all.extend(images());
    all.extend(mutating());
    all.extend(generated());
    all
}

/// Kyverno makes rules for controllers only of a policy on pods without a selector.
fn autogen() -> Vec<Form> {
    let policy = |form: &str| {
        let expression = format!(
            "request.namespace != '{}' || object.spec.?hostNetwork.orValue(true) == false",
            namespace(form)
        );
        json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
            "metadata": {"name": form},
            "spec": {"validationActions": ["Deny"],
                "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["pods"], "operations": ["CREATE"]}]},
                "validations": [{"expression": expression,
                    "message": "object.spec.hostNetwork must be false."}]},
        })
    };
    let new = |form, write| Form::new(form, vec![policy(form)], write);
    vec![
        new(
            "vpol-autogen-pod",
            pod("vpol-autogen-pod", "example.test/none"),
        ),
        new(
            "vpol-autogen",
            deployment("vpol-autogen", "example.test/none"),
        ),
        new(
            "vpol-autogen-cron",
            super::cron_job("vpol-autogen-cron", "example.test/none"),
        ),
    ]
}

/// A certificate that signs nothing here: no image is reached.
const CERTIFICATE: &str = include_str!("certificate.pem");
/// Nothing listens on this port.
pub(super) const UNREACHABLE: &str = "127.0.0.1:1/none:v1";

fn images() -> Vec<Form> {
    let policy = |form: &str| {
        json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "ImageValidatingPolicy",
            "metadata": {"name": form},
            "spec": {"validationActions": ["Deny"],
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace(form)}},
                    "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                        "resources": ["pods"], "operations": ["CREATE"]}]},
                "matchImageReferences": [{"glob": "*"}],
                "attestors": [{"name": "notary", "notary": {"certs": {"value": CERTIFICATE}}}],
                "validations": [{"message": "The image is not signed.",
                    "expression": "images.containers.map(image, verifyImageSignatures(image, [attestors.notary])).all(e, e > 0)"}]},
        })
    };
    vec![Form::new(
        "ivpol",
        vec![policy("ivpol")],
        pod("ivpol", UNREACHABLE),
    )]
}

fn mutating() -> Vec<Form> {
    let policy = |name: &str, form: &str| {
        json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "MutatingPolicy",
            "metadata": {"name": name},
            "spec": {"failurePolicy": "Fail", "matchConstraints": on_pull_requests(form),
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression":
                    "[JSONPatch{op: 'add', path: '/spec/more', value: object.spec.nope.deep}]"}}]},
        })
    };
    vec![
        Form::new(
            "mpol-error",
            vec![policy("mpol-error", "mpol-error")],
            pull_request("mpol-error", "t"),
        ),
        Form::new(
            "mpol-several",
            vec![
                policy("mpol-several-a", "mpol-several"),
                policy("mpol-several-b", "mpol-several"),
            ],
            pull_request("mpol-several", "t"),
        ),
        // In 1.18 its hook has the name of the other kind's: beside one of those the API
        // server refuses the whole configuration, and no policy of any kind is enforced anew.
        Form::new(
            "nmpol-error",
            vec![namespaced(
                policy("nmpol-error", "nmpol-error"),
                "nmpol-error",
            )],
            pull_request("nmpol-error", "t"),
        )
        .only("1.19"),
    ]
}

/// Judged by the API server: Kyverno has written an admission policy of its own.
fn generated() -> Vec<Form> {
    let generate = json!({"validatingAdmissionPolicy": {"enabled": true}});
    vec![
        Form::new(
            "vpol-generated",
            vec![with(
                vpol(
                    "vpol-generated",
                    "vpol-generated",
                    no("Said by the API server."),
                ),
                "autogen",
                generate.clone(),
            )],
            pull_request("vpol-generated", "t"),
        )
        .at(Moment::Generated("vpol-vpol-generated")),
        Form::new(
            "vpol-generated-bare",
            vec![with(
                vpol(
                    "vpol-generated-bare",
                    "vpol-generated-bare",
                    json!({"expression": "object.spec.title == 'u'"}),
                ),
                "autogen",
                generate,
            )],
            pull_request("vpol-generated-bare", "t"),
        )
        .at(Moment::Generated("vpol-vpol-generated-bare")),
    ]
}
