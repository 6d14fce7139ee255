//! A denial as an OCSF API Activity (class 6003), schema 1.8.0 with the profile
//! `security_control`. What OCSF has no place for stands in `unmapped`.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Of the schema.
pub const VERSION: &str = "1.8.0";
const CLASS: u64 = 6003;

/// One event. Fields that are not known are left out.
pub fn event(item: &Value) -> Value {
    let (activity_id, activity) = match item["operation"].as_str() {
        Some("CREATE") => (1, "Create"),
        Some("UPDATE") => (3, "Update"),
        Some("DELETE") => (4, "Delete"),
        // CONNECT is none of OCSF's: the caption is then the source's own word.
        Some(other) => (99, other),
        None => (0, "Unknown"),
    };
    let (action, action_id, disposition, disposition_id, status, status_id) = outcome(item);
    let (severity, severity_id) = severity(item);
    let mut event = json!({
        "class_uid": CLASS, "class_name": "API Activity",
        "category_uid": 6, "category_name": "Application Activity",
        "activity_id": activity_id, "activity_name": activity,
        "type_uid": CLASS * 100 + activity_id, "type_name": format!("API Activity: {activity}"),
        "time": milliseconds(&item["time"]).unwrap_or(0),
        "severity": severity, "severity_id": severity_id,
        "action": action, "action_id": action_id,
        "disposition": disposition, "disposition_id": disposition_id,
        "status": status, "status_id": status_id,
        "status_code": item["code"].as_u64().map(|code| code.to_string()),
        "status_detail": item["reason"],
        "message": item["message"],
        "is_alert": disposition_id == 2,
        "metadata": {
            "version": VERSION,
            "profiles": ["security_control"],
            "product": {"name": "Docket", "vendor_name": "a5c.ai", "version": env!("CARGO_PKG_VERSION")},
            "uid": item["id"], "sequence": item["position"], "event_code": item["verdict"],
            "logged_time": milliseconds(&item["recordedAt"]),
            "correlation_uid": item["auditId"], "tenant_uid": item["org"],
            "log_provider": "kube-apiserver", "log_name": item["source"],
        },
        "actor": actor(item),
        "api": api(item),
        // Addresses are evidence, which a list of denials does not show.
        "src_endpoint": {"name": "not disclosed", "type": "Unknown", "type_id": 0},
        "resources": [resource(item)],
        "policy": policy(item),
        "unmapped": unmapped(item),
    });
    prune(&mut event);
    event
}

type Outcome = (&'static str, u64, &'static str, u64, &'static str, u64);

fn outcome(item: &Value) -> Outcome {
    match item["verdict"].as_str() {
        Some("denied") => ("Denied", 2, "Blocked", 2, "Failure", 2),
        Some("unavailable") => ("Denied", 2, "Error", 18, "Failure", 2),
        Some("failedOpen") => ("Allowed", 1, "Error", 18, "Success", 1),
        Some("excepted") => ("Allowed", 1, "Allowed", 1, "Success", 1),
        _ => ("Unknown", 0, "Unknown", 0, "Unknown", 0),
    }
}

fn severity(item: &Value) -> (&'static str, u64) {
    match item["severity"].as_str() {
        Some("info") => ("Informational", 1),
        Some("low") => ("Low", 2),
        Some("medium") => ("Medium", 3),
        Some("high") => ("High", 4),
        Some("critical") => ("Critical", 5),
        _ => ("Unknown", 0),
    }
}

fn actor(item: &Value) -> Value {
    match item["actor"].as_str() {
        Some(name) => json!({"user": {"name": name}, "app_name": item["impersonator"]}),
        None if item["erased"] == true => json!({"app_name": "erased"}),
        None => json!({"app_name": "unknown"}),
    }
}

fn api(item: &Value) -> Value {
    let version = item["resourceRef"]["apiVersion"]
        .as_str()
        .unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let operation = item["operation"].as_str().unwrap_or("unknown");
    let operation = operation.to_lowercase();
    json!({
        "operation": operation,
        "service": {"name": "kube-apiserver"},
        "version": version,
        "group": (!group.is_empty()).then(|| json!({"name": group})),
        "request": item["auditId"].as_str().map(|id| json!({"uid": id})),
        "response": {"code": item["code"], "message": item["message"], "error": item["reason"]},
    })
}

fn resource(item: &Value) -> Value {
    let object = &item["resourceRef"];
    // One of name and uid there must be; a generated name that never came is known by kind.
    let name = object["name"].as_str().or(object["kind"].as_str());
    json!({
        "name": name.unwrap_or("unknown"), "type": object["kind"],
        "namespace": object["namespace"], "version": object["apiVersion"],
    })
}

fn policy(item: &Value) -> Value {
    let Some(name) = item["policy"].as_str() else {
        return Value::Null;
    };
    let first = &item["attributions"][0];
    json!({
        "name": name, "type": first["policyKind"], "desc": first["law"]["title"],
        "is_applied": true,
    })
}

fn unmapped(item: &Value) -> Value {
    let mut unmapped = serde_json::Map::new();
    for name in [
        "rule",
        "dryRun",
        "verdict",
        "subresource",
        "repository",
        "environment",
        "surface",
        "testimony",
        "remediation",
        "attributions",
        "exceptionEligible",
    ] {
        unmapped.insert(name.to_owned(), item[name].clone());
    }
    Value::Object(unmapped)
}

fn milliseconds(time: &Value) -> Option<i64> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}

/// What is not known is left out, not null.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{VERSION, event};
    use serde_json::{Value, json};

    /// What the published schema says of this class and the objects in it.
    fn schema() -> Value {
        let text = include_str!("../../tests/ocsf/api-activity-1.8.0.json");
        serde_json::from_str(text).unwrap()
    }

    /// Every attribute is one of the schema, of its type and among its values; every
    /// required one is there.
    fn check(schema: &Value, of: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
        let attributes = of["attributes"].as_object().unwrap();
        let fields = value.as_object().unwrap();
        for (name, attribute) in attributes {
            if attribute["requirement"] == "required" && !fields.contains_key(name) {
                wrong.push(format!("{place}.{name} is required"));
            }
        }
        if let Some(names) = of["constraints"]["at_least_one"].as_array()
            && !names
                .iter()
                .any(|name| fields.contains_key(name.as_str().unwrap()))
        {
            wrong.push(format!("{place} has none of {names:?}"));
        }
        for (name, value) in fields {
            let place = format!("{place}.{name}");
            let Some(attribute) = attributes.get(name) else {
                wrong.push(format!("{place} is not in the schema"));
                continue;
            };
            let values = match (attribute["array"] == true, value) {
                (true, Value::Array(values)) => values.clone(),
                (false, value) if !value.is_array() => vec![value.clone()],
                _ => {
                    wrong.push(format!("{place}: a list where none should be, or none"));
                    continue;
                }
            };
            for value in values {
                let fits = match attribute["type"].as_str() {
                    Some("string_t") => value.is_string(),
                    Some("integer_t" | "long_t") => value.is_i64() || value.is_u64(),
                    Some("boolean_t") => value.is_boolean(),
                    _ => true,
                };
                if !fits {
                    wrong.push(format!("{place}: {value} is no {}", attribute["type"]));
                }
                if let Some(known) = attribute["enum"].as_array()
                    && !known.contains(&value)
                {
                    wrong.push(format!("{place}: {value} is none of {known:?}"));
                }
                let object = attribute["object"].as_str().unwrap_or_default();
                let of = &schema["objects"][object];
                if of["attributes"]
                    .as_object()
                    .is_some_and(|all| !all.is_empty())
                {
                    check(schema, of, &value, &place, wrong);
                }
            }
        }
    }

    fn wrongs(event: &Value) -> Vec<String> {
        let schema = schema();
        let mut wrong = Vec::new();
        check(&schema, &schema["class"], event, "event", &mut wrong);
        wrong
    }

    fn denial() -> Value {
        json!({"id": "k3j5", "time": "2026-10-05T12:00:00.250000Z", "recordedAt": "2026-10-05T12:00:01Z",
            "position": 7, "verdict": "denied", "operation": "CREATE", "dryRun": false, "severity": "high",
            "policy": "require-pr-description", "rule": null, "message": "no", "namespace": "krate-org-acme",
            "org": "acme", "actor": "alice", "impersonator": "console", "code": 400, "reason": "BadRequest",
            "auditId": "3f0a", "source": "apiserver", "testimony": "verified",
            "resourceRef": {"kind": "PullRequest", "name": "pr-1", "namespace": "krate-org-acme", "apiVersion": "krate.a5c.ai/v1alpha1"},
            "attributions": [{"enforcer": "kyverno", "policyKind": "ValidatingPolicy", "law": {"title": "Say what"}}]})
    }

    #[test]
    fn a_denial_is_a_valid_event_of_the_published_schema() {
        let event = event(&denial());
        assert_eq!(wrongs(&event), Vec::<String>::new(), "{event:#}");
        assert_eq!(schema()["version"], VERSION);
        assert_eq!(event["type_uid"], 600_301);
        assert_eq!(event["time"], 1_791_201_600_250_i64);
        assert_eq!(event["metadata"]["uid"], "k3j5");
        assert_eq!(
            (&event["action_id"], &event["disposition_id"]),
            (&json!(2), &json!(2))
        );
        assert_eq!(event["actor"]["user"]["name"], "alice");
    }

    #[test]
    fn whatever_is_not_known_of_a_record_it_stays_valid() {
        let erased = json!({"id": "k", "time": "2026-10-05T12:00:00Z", "erased": true});
        for (verdict, operation) in [
            ("unavailable", "UPDATE"),
            ("unknown", "DELETE"),
            ("failedOpen", "CONNECT"),
            ("excepted", "CREATE"),
        ] {
            for mut item in [denial(), erased.clone()] {
                item["verdict"] = verdict.into();
                item["operation"] = operation.into();
                let event = event(&item);
                assert_eq!(wrongs(&event), Vec::<String>::new(), "{event:#}");
            }
        }
        let unreadable = json!({"id": "k", "time": "2026-10-05T12:00:00Z", "unreadable": true});
        assert_eq!(wrongs(&event(&unreadable)), Vec::<String>::new());
    }

    #[test]
    fn the_check_finds_what_is_wrong() {
        for (place, value) in [
            ("/severity_id", json!(9)),
            ("/time", json!("today")),
            ("/metadata", json!({"version": "1"})),
            ("/resources", json!({})),
            ("/actor", json!({})),
        ] {
            let mut event = event(&denial());
            *event.pointer_mut(place).unwrap() = value;
            assert_eq!(wrongs(&event).len(), 1, "{place}");
        }
        let mut event = event(&denial());
        event["color"] = "red".into();
        assert_eq!(wrongs(&event), ["event.color is not in the schema"]);
    }
}
