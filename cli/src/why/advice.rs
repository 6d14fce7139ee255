//! What whoever was refused can do: change it, try again, ask for an exception.

use crate::door::Door;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Krate's kind for asking.
const REQUESTS: (&str, &str) = ("krate.a5c.ai", "policyexceptionrequests");
/// How long an exception is asked for, unless one writes another time.
const UNTIL: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Kyverno's kinds whose exceptions are of its older group.
const LEGACY: [&str; 2] = ["ClusterPolicy", "Policy"];

/// What to change, from those who refused.
pub fn change(item: &Value) -> Vec<String> {
    match item["verdict"].as_str() {
        Some("unavailable") => {
            return vec![
                "Nothing was found wrong with the object: whoever judges it could not be asked. \
                 Try again; if it stays, tell your platform engineers."
                    .to_owned(),
            ];
        }
        Some("unknown") => {
            return vec![
                "Look whether the object was stored: what became of the request is not known."
                    .to_owned(),
            ];
        }
        Some("failedOpen" | "excepted") => return vec!["It was let through.".to_owned()],
        _ => {}
    }
    let mut said: Vec<String> = Vec::new();
    for one in denied_by(item) {
        if let Some(remedy) = one["law"]["remediation"].as_str()
            && !said.iter().any(|other| other == remedy)
        {
            said.push(remedy.to_owned());
        }
    }
    said
}

/// Everyone who is known to have refused it.
pub fn denied_by(item: &Value) -> impl Iterator<Item = &Value> {
    let first = item["attributions"].as_array().into_iter().flatten();
    first.chain(
        item["others"]["attributions"]
            .as_array()
            .into_iter()
            .flatten(),
    )
}

/// Who can grant an exception, and how to ask; one for each policy that has any.
pub async fn exceptions(door: &Door, item: &Value, now: Timestamp) -> Vec<Value> {
    if item["verdict"] != "denied" {
        return Vec::new();
    }
    let namespace = item["namespace"].as_str().unwrap_or_default();
    let mut found: Vec<Value> = Vec::new();
    for one in denied_by(item) {
        let Some(policy) = one["policy"].as_str() else {
            continue;
        };
        let eligible = one["law"]["exceptionEligible"] == true && one["result"] == "fail";
        if !eligible || found.iter().any(|other| other["policy"] == policy) {
            continue;
        }
        let legacy = LEGACY.iter().any(|kind| one["policyKind"] == *kind);
        let group = if legacy {
            "kyverno.io"
        } else {
            "policies.kyverno.io"
        };
        let ask = request(item, one, now).map(|command| {
            json!({"verb": "create", "group": REQUESTS.0, "resource": REQUESTS.1,
                "namespace": namespace, "command": command})
        });
        let mut exception = json!({
            "policy": policy, "policyKind": one["policyKind"], "rule": one["rule"],
            "grant": {"verb": "create", "group": group, "resource": "policyexceptions",
                "namespace": namespace,
                "command": format!("kubectl auth can-i create policyexceptions.{group}{}", at(namespace))},
            "ask": ask,
        });
        if let Door::Cluster(cluster) = door {
            let may = |group: &'static str, resource: &'static str| async move {
                cluster.may("create", group, resource, namespace).await
            };
            exception["grant"]["you"] = may(group, "policyexceptions").await.into();
            if exception["ask"].is_object() {
                exception["ask"]["you"] = may(REQUESTS.0, REQUESTS.1).await.into();
            }
        }
        found.push(exception);
    }
    found
}

/// Asking in Krate's form, where it is known which org is meant.
fn request(item: &Value, attribution: &Value, now: Timestamp) -> Option<String> {
    let org = item["org"].as_str().filter(|org| is_name(org))?;
    let namespace = item["namespace"].as_str().filter(|name| is_name(name))?;
    let policy = attribution["policy"]
        .as_str()
        .filter(|name| is_name(name))?;
    let kind = attribution["policyKind"]
        .as_str()
        .filter(|kind| is_name(kind))?;
    let until = now.checked_add(UNTIL).ok()?;
    let until = until.strftime("%Y-%m-%dT00:00:00Z");
    Some(format!(
        "kubectl create -f - <<'END'\n\
         apiVersion: krate.a5c.ai/v1alpha1\n\
         kind: PolicyExceptionRequest\n\
         metadata: {{generateName: exception-, namespace: {namespace}}}\n\
         spec:\n  \
           organizationRef: {org}\n  \
           policyRef: {{kind: {kind}, name: {policy}}}\n  \
           justification: why this one\n  \
           expiresAt: \"{until}\"\n\
         END"
    ))
}

/// Commands to copy, each with what it does.
pub fn commands(item: &Value) -> Vec<(&'static str, String)> {
    let mut commands = Vec::new();
    let object = &item["resourceRef"];
    let of = |name: &str| object[name].as_str().unwrap_or_default();
    let namespace = at(item["namespace"].as_str().unwrap_or_default());
    match item["operation"].as_str() {
        _ if item["subresource"].is_string() => {}
        Some("CREATE" | "UPDATE") => commands.push((
            "try it first, once it is changed",
            format!("kubectl apply --dry-run=server{namespace} -f FILE"),
        )),
        Some("DELETE") if !of("name").is_empty() && !of("kind").is_empty() => {
            let group = of("apiVersion").split_once('/').map(|(group, _)| group);
            let kind = match group {
                Some(group) => format!("{}.{group}", of("kind").to_lowercase()),
                None => of("kind").to_lowercase(),
            };
            commands.push((
                "try it again, changing nothing",
                format!(
                    "kubectl delete --dry-run=server{namespace} {} {}",
                    quoted(&kind),
                    quoted(of("name"))
                ),
            ));
        }
        _ => {}
    }
    let id = item["id"].as_str().unwrap_or_default();
    commands.push((
        "this record",
        match item["namespace"].as_str() {
            Some(_) => format!("kubectl get denials{namespace} {} -o yaml", quoted(id)),
            None => format!("kubectl get clusterdenials {} -o yaml", quoted(id)),
        },
    ));
    commands.push(("all of your own", "kubectl get mydenials".to_owned()));
    commands
}

fn at(namespace: &str) -> String {
    if namespace.is_empty() {
        String::new()
    } else {
        format!(" -n {}", quoted(namespace))
    }
}

/// What needs no quotes in a shell or in YAML, and is what Kubernetes calls a name.
fn is_name(text: &str) -> bool {
    let first = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    first
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// One word of a shell: a name that a refused object chose must not become a command.
fn quoted(text: &str) -> String {
    let bare =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/' | b':');
    if !text.is_empty() && text.bytes().all(bare) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{change, commands, quoted, request};
    use serde_json::json;

    #[test]
    fn a_name_that_an_object_chose_never_becomes_a_command() {
        for (text, expected) in [
            ("add-login", "add-login"),
            ("system:node/x", "system:node/x"),
            ("a; rm -rf ~", "'a; rm -rf ~'"),
            ("-o=x", "'-o=x'"),
            ("it's $(x)", r"'it'\''s $(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), expected);
        }
        let hostile = json!({"org": "acme", "namespace": "n", "policyKind": "ValidatingPolicy"});
        let policy = json!({"policy": "p, x: y", "policyKind": "ValidatingPolicy"});
        assert_eq!(
            request(&hostile, &policy, jiff::Timestamp::UNIX_EPOCH),
            None
        );
    }

    #[test]
    fn a_deletion_is_tried_again_by_its_kind_and_group() {
        let item = json!({"id": "k3j5", "operation": "DELETE", "namespace": "krate-org-acme",
            "resourceRef": {"kind": "PullRequest", "name": "pr-1", "apiVersion": "krate.a5c.ai/v1alpha1"}});
        let said = commands(&item);
        assert_eq!(
            said[0].1,
            "kubectl delete --dry-run=server -n krate-org-acme pullrequest.krate.a5c.ai pr-1"
        );
        assert_eq!(
            said[1].1,
            "kubectl get denials -n krate-org-acme k3j5 -o yaml"
        );
    }

    #[test]
    fn each_remedy_is_said_once_and_none_where_nothing_was_wrong() {
        let item = json!({"verdict": "denied", "attributions": [
            {"law": {"remediation": "Say more."}}, {"law": {"remediation": "Say more."}}],
            "others": {"attributions": [{"law": {"remediation": "Sign it."}}]}});
        assert_eq!(change(&item), ["Say more.", "Sign it."]);
        let item =
            json!({"verdict": "unavailable", "attributions": [{"law": {"remediation": "x"}}]});
        assert!(change(&item)[0].starts_with("Nothing was found wrong"));
    }
}
