//! GKE: Cloud Logging entries of `cloudaudit.googleapis.com`. They are no raw Events:
//! groups, impersonation, the request's address and one of its two times are gone, so the
//! id is made from what an entry has. Its labels are the event's annotations.

use super::{ImportError, Read, Shape};
use crate::audit::AuditEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry<'a> {
    #[serde(borrow, default)]
    insert_id: Cow<'a, str>,
    #[serde(borrow, default)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
    #[serde(default)]
    resource: Resource,
    #[serde(borrow)]
    proto_payload: Payload<'a>,
}

#[derive(Deserialize, Default)]
struct Resource {
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    service_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method_name: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_name: Cow<'a, str>,
    #[serde(default)]
    authentication_info: Authentication,
    #[serde(default)]
    request_metadata: Metadata,
    #[serde(default)]
    status: Rpc,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Authentication {
    principal_email: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    #[serde(alias = "callerIP")]
    caller_ip: String,
    caller_supplied_user_agent: String,
}

/// `google.rpc.Status`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Rpc {
    code: i32,
    message: String,
}

/// The Kubernetes Status, where the body was logged.
#[derive(Deserialize)]
struct Status {
    #[serde(default, rename = "@type")]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    code: Option<u16>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    details: Value,
}

/// What `resourceName` says: `GROUP|core/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUB]]`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named<'a> {
    group: &'a str,
    version: &'a str,
    namespace: &'a str,
    resource: &'a str,
    name: &'a str,
    subresource: &'a str,
}

pub(super) fn entry(record: &[u8]) -> Result<Read<'static>, ImportError> {
    let entry: LogEntry<'_> = serde_json::from_slice(record)?;
    let payload = &entry.proto_payload;
    let kubernetes = payload
        .service_name
        .as_deref()
        .is_none_or(|n| n == "k8s.io");
    let cluster = matches!(entry.resource.kind.as_str(), "" | "k8s_cluster");
    if !kubernetes || !cluster {
        return Ok(Read::Other);
    }
    if entry.insert_id.is_empty() {
        return Err(ImportError::Member("insertId"));
    }
    let staged = super::time(&entry.timestamp).ok_or(ImportError::Member("timestamp"))?;
    let (_, verb) = payload
        .method_name
        .rsplit_once('.')
        .ok_or(ImportError::Member("protoPayload.methodName"))?;
    let object = named(&payload.resource_name);
    let labels = entry.labels.map_or("{}", RawValue::get);
    let principal = &payload.authentication_info.principal_email;
    let mut event = json!({
        "auditID": entry.insert_id,
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": principal},
        "sourceIPs": [payload.request_metadata.caller_ip],
        "userAgent": payload.request_metadata.caller_supplied_user_agent,
        "responseStatus": answer(payload),
        "stageTimestamp": staged,
    });
    if let Some(object) = object {
        event["objectRef"] = json!({
            "apiGroup": object.group, "apiVersion": object.version,
            "namespace": object.namespace, "resource": object.resource,
            "name": object.name, "subresource": object.subresource,
        });
    }
    // The labels go in as they stand, and are cut as any event's annotations are.
    let mut json = event.to_string();
    json.pop();
    json.push_str(",\"annotations\":");
    json.push_str(labels);
    json.push('}');
    let event = AuditEvent::parse(json.as_bytes())?;
    let parts: [&[u8]; 5] = [
        entry.insert_id.as_bytes(),
        staged.as_bytes(),
        payload.method_name.as_bytes(),
        payload.resource_name.as_bytes(),
        principal.as_bytes(),
    ];
    let event = Shape::Gke.derive(event, &parts);
    Ok(Read::Derived(Shape::Gke, Box::new(event)))
}

/// `None` for requests that are about no resource.
pub(super) fn named(text: &str) -> Option<Named<'_>> {
    let mut parts = text.split('/').filter(|part| !part.is_empty());
    let group = parts.next()?;
    let mut named = Named {
        group: if group == "core" { "" } else { group },
        version: parts.next()?,
        ..Named::default()
    };
    let rest: Vec<&str> = parts.collect();
    // A namespace's own subresources look like resources in it.
    let own = |part: Option<&&str>| matches!(part, None | Some(&"status" | &"finalize"));
    let rest = match rest.as_slice() {
        ["namespaces", namespace, inner @ ..] if !own(inner.first()) => {
            named.namespace = namespace;
            inner
        }
        all => all,
    };
    let mut rest = rest.iter().copied();
    named.resource = rest.next()?;
    named.name = rest.next().unwrap_or_default();
    named.subresource = rest.next().unwrap_or_default();
    Some(named)
}

/// The answer, from the Kubernetes Status if it was logged, else from the rpc status.
fn answer(payload: &Payload<'_>) -> Value {
    let rpc = &payload.status;
    let logged = payload
        .response
        .and_then(|raw| serde_json::from_str::<Status>(raw.get()).ok())
        .filter(|status| status.kind.ends_with(".Status") && status.status == "Failure");
    let code = logged.as_ref().and_then(|status| status.code);
    let mut answer = json!({"code": code.unwrap_or_else(|| http_code(rpc.code))});
    let said = logged.as_ref().and_then(|status| status.message.clone());
    let said = said.or_else(|| (rpc.code != 0).then(|| rpc.message.clone()));
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        answer["message"] = said.into();
    }
    if let Some(status) = logged {
        if let Some(reason) = status.reason {
            answer["reason"] = reason.into();
        }
        if status.details.is_object() {
            answer["details"] = status.details;
        }
    }
    answer
}

/// HTTP code of a `google.rpc.Code`, by the comments in google/rpc/code.proto; an
/// invalid argument may have been 400 or 422, and 400 is what webhooks answer.
fn http_code(rpc: i32) -> u16 {
    match rpc {
        0 => 200,
        3 | 9 | 11 => 400,
        1 | 4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_name_says_which_object() {
        let cases = [
            (
                "core/v1/namespaces/default/pods/nginx/exec",
                ("", "v1", "default", "pods", "nginx", "exec"),
            ),
            (
                "krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests",
                (
                    "krate.a5c.ai",
                    "v1alpha1",
                    "krate-org-acme",
                    "pullrequests",
                    "",
                    "",
                ),
            ),
            (
                "core/v1/namespaces/gone",
                ("", "v1", "", "namespaces", "gone", ""),
            ),
            (
                "core/v1/namespaces/gone/finalize",
                ("", "v1", "", "namespaces", "gone", "finalize"),
            ),
            (
                "kyverno.io/v1/clusterpolicies/p",
                ("kyverno.io", "v1", "", "clusterpolicies", "p", ""),
            ),
        ];
        for (text, (group, version, namespace, resource, name, subresource)) in cases {
            let wanted = Named {
                group,
                version,
                namespace,
                resource,
                name,
                subresource,
            };
            assert_eq!(named(text), Some(wanted), "{text}");
        }
        for none in ["", "core", "core/v1", "//"] {
            assert_eq!(named(none), None, "{none}");
        }
    }
}
