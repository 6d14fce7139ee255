//! The chart and `deploy/` register the same hooks, and the registration is what the
//! design promises.
//!
//! This renders the template itself and knows nothing but `{{ .Values.x }}`,
//! `{{ .Release.Namespace }}` and comments; anything else in a template is an error. It
//! does not show that Helm accepts the chart.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use docket_tests::{manifests, paths};
use serde_json::{Value, json};

fn render(template: &str, values: &Value, namespace: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, after) = after.split_once("}}").ok_or("an action without an end")?;
        out.push_str(before);
        out.push_str(&evaluate(action.trim(), values, namespace)?);
        rest = after;
    }
    Ok(out + rest)
}

fn evaluate(action: &str, values: &Value, namespace: &str) -> Result<String, String> {
    if action.starts_with("/*") && action.ends_with("*/") {
        return Ok(String::new());
    }
    if action == ".Release.Namespace" {
        return Ok(namespace.to_owned());
    }
    let unknown = || format!("{{{{ {action} }}}} is more than this test can render");
    let path = action.strip_prefix(".Values.").ok_or_else(unknown)?;
    match values.pointer(&format!("/{}", path.replace('.', "/"))) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(unknown()),
    }
}

fn chart(file: &str) -> String {
    std::fs::read_to_string(paths::repository().join("charts/docket").join(file)).unwrap()
}

fn deployed() -> Vec<Value> {
    manifests::read(&paths::repository().join("deploy/webhookconfig.yaml")).unwrap()
}

#[test]
fn the_chart_with_its_default_values_is_what_deploy_holds() {
    let values = manifests::parse(&chart("values.yaml")).unwrap().remove(0);
    let template = chart("templates/webhookconfig.yaml");
    let rendered = render(&template, &values, "docket-system").unwrap();
    assert_eq!(manifests::parse(&rendered).unwrap(), deployed());
}

#[test]
fn every_value_of_the_chart_is_used() {
    let values = json!({"krateGroup": "kradle.example", "webhook":
        {"service": "a-service", "port": 8443, "certificate": "a-certificate"}});
    let template = chart("templates/webhookconfig.yaml");
    let rendered = render(&template, &values, "a-namespace").unwrap();
    for value in [
        "kradle.example",
        "a-service",
        "8443",
        "a-namespace/a-certificate",
    ] {
        assert_eq!(
            rendered.matches(value).count(),
            2,
            "{value}, once for each hook"
        );
    }
    assert_eq!(render("{{ include \"x\" . }}", &values, "n").ok(), None);
}

#[test]
fn the_hooks_only_watch() {
    let objects = deployed();
    let kinds: Vec<&Value> = objects.iter().map(|object| &object["kind"]).collect();
    assert_eq!(
        kinds,
        [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration"
        ]
    );
    for (object, (name, path)) in objects.iter().zip([
        ("witness.docket.a5c.ai", "/mutate"),
        ("final.docket.a5c.ai", "/validate"),
    ]) {
        assert_eq!(object["metadata"]["name"], "00-docket.a5c.ai");
        let hooks = object["webhooks"].as_array().unwrap();
        assert_eq!(hooks.len(), 1);
        let hook = &hooks[0];
        assert_eq!(hook["name"], name);
        assert_eq!(hook["clientConfig"]["service"]["path"], path);
        for (field, value) in [
            ("failurePolicy", json!("Ignore")),
            ("sideEffects", json!("None")),
            ("matchPolicy", json!("Exact")),
            ("timeoutSeconds", json!(1)),
            ("admissionReviewVersions", json!(["v1"])),
            ("namespaceSelector", Value::Null),
            ("objectSelector", Value::Null),
            ("matchConditions", Value::Null),
        ] {
            assert_eq!(hook[field], value, "{field} of {name}");
        }
        assert_eq!(hook["rules"].as_array().unwrap().len(), 2);
    }
    assert_eq!(objects[0]["webhooks"][0]["reinvocationPolicy"], "Never");
}
