//! The chart and `deploy/` register the same hooks and the same API, and the registration
//! is what the design promises.
//!
//! This renders the templates itself and knows nothing but `{{ .Values.x }}`,
//! `{{ .Release.Namespace }}`, comments, and a condition around all of a file; anything
//! else in a template is an error. It does not show that Helm accepts the chart.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use docket_tests::{manifests, paths};
use serde_json::{Value, json};

fn render(template: &str, values: &Value, namespace: &str) -> Result<String, String> {
    if let Some((head, rest)) = template.split_once("{{- if .Values.") {
        let (path, rest) = rest.split_once(" }}").ok_or("a condition without an end")?;
        let inner = rest
            .strip_suffix("{{- end }}\n")
            .ok_or("not all of the file")?;
        let holds = match values.pointer(&format!("/{}", path.replace('.', "/"))) {
            Some(Value::Bool(holds)) => *holds,
            _ => return Err(format!("{path} is neither true nor false")),
        };
        return render(
            &[head, if holds { inner } else { "" }].concat(),
            values,
            namespace,
        );
    }
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

fn deployed(file: &str) -> Vec<Value> {
    manifests::read(&paths::repository().join("deploy").join(file)).unwrap()
}

#[test]
fn the_chart_with_its_default_values_is_what_deploy_holds() {
    let values = manifests::parse(&chart("values.yaml")).unwrap().remove(0);
    for file in ["webhookconfig.yaml", "apiservice.yaml"] {
        let template = chart(&format!("templates/{file}"));
        let rendered = render(&template, &values, "docket-system").unwrap();
        assert_eq!(
            manifests::parse(&rendered).unwrap(),
            deployed(file),
            "{file}"
        );
    }
}

#[test]
fn the_sidecar_form_has_no_api_service() {
    let mut values = manifests::parse(&chart("values.yaml")).unwrap().remove(0);
    values["apiService"]["enabled"] = json!(false);
    let rendered = render(
        &chart("templates/apiservice.yaml"),
        &values,
        "docket-system",
    );
    assert_eq!(
        manifests::parse(&rendered.unwrap()).unwrap(),
        [Value::Null; 0]
    );
}

#[test]
fn the_api_service_is_found_by_its_name_and_proves_who_it_is() {
    let service = deployed("apiservice.yaml").remove(0);
    let spec = &service["spec"];
    assert_eq!(
        (&spec["group"], &spec["version"]),
        (&json!("docket.a5c.ai"), &json!("v1"))
    );
    assert_eq!(service["metadata"]["name"], "v1.docket.a5c.ai");
    assert_eq!(spec["insecureSkipTLSVerify"], Value::Null);
}

#[test]
fn every_value_of_the_chart_is_used() {
    let values = json!({"krateGroup": "kradle.example", "webhook":
        {"service": "a-service", "port": 8443, "certificate": "a-certificate"},
        "apiService": {"enabled": true, "port": 7443}});
    let template = chart("templates/apiservice.yaml");
    let rendered = render(&template, &values, "a-namespace").unwrap();
    for value in ["a-service", "7443", "a-namespace/a-certificate"] {
        assert_eq!(rendered.matches(value).count(), 1, "{value}");
    }
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
    let objects = deployed("webhookconfig.yaml");
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
