use super::*;
use proptest::prelude::*;
use serde_json::json;

fn shown(rules: &Rules, object: &[u8]) -> Option<Value> {
    match rules.view(object, None).shown {
        Shown::Object(object) => Some(object),
        Shown::Secret | Shown::TooMuch | Shown::Unreadable => None,
    }
}

fn redact(object: &Value) -> Option<Value> {
    shown(&Rules::default(), object.to_string().as_bytes())
}

#[test]
fn secrets_are_taken_out_and_references_stay() {
    let object = json!({
        "kind": "WebhookSubscription",
        "metadata": {"name": "h", "managedFields": [1], "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{\"spec\":{\"token\":\"s3\"}}", "a": "b"}},
        "spec": {"url": "https://x", "secretRef": {"name": "n"}, "signingSecret": "s3",
            "auth": {"api_token": "s3", "tokenTTLSeconds": 5, "PASSWORD": 7}, "apiKey": "s3",
            "credentials": {"user": "s3", "nested": ["s3"]}, "secretName": "n", "keyboard": "qwerty"},
    });
    assert_eq!(
        redact(&object).unwrap(),
        json!({
            "kind": "WebhookSubscription",
            "metadata": {"name": "h", "annotations": {"a": "b"}},
            "spec": {"url": "https://x", "secretRef": {"name": "n"}, "signingSecret": REDACTED,
                "auth": {"api_token": REDACTED, "tokenTTLSeconds": 5, "PASSWORD": REDACTED},
                "apiKey": REDACTED,
                "credentials": {"user": REDACTED, "nested": [REDACTED]}, "secretName": "n",
                "keyboard": "qwerty"},
        })
    );
}

#[test]
fn secret_kinds_are_never_shown() {
    for kind in ["Secret", "SealedSecret"] {
        assert_eq!(redact(&json!({"kind": kind, "data": {"a": "b"}})), None);
    }
    let grant = json!({"kind": "AgentSecretGrant", "spec": {"data": {"A": "b"}, "purpose": "p"}});
    assert_eq!(
        redact(&grant).unwrap(),
        json!({"kind": "AgentSecretGrant", "spec": {"data": REDACTED, "purpose": "p"}})
    );
}

#[test]
fn a_variable_named_like_a_secret_loses_its_value() {
    let object = json!({"kind": "Pod", "spec": {"env": [
        {"name": "DB_PASSWORD", "value": "s3"}, {"name": "MODE", "value": "dev"}]}});
    assert_eq!(
        redact(&object).unwrap()["spec"]["env"],
        json!([{"name": "DB_PASSWORD", "value": REDACTED}, {"name": "MODE", "value": "dev"}])
    );
}

#[test]
fn configured_paths_are_taken_out() {
    let rules = Rules::new(["spec.steps.*.env", "spec.note"], []).unwrap();
    let object = json!({"spec": {"note": {"a": 1}, "steps": [{"x": {"env": [1]}}], "env": 1}});
    assert_eq!(
        shown(&rules, object.to_string().as_bytes()).unwrap(),
        json!({"spec": {"note": REDACTED, "steps": [{"x": {"env": REDACTED}}], "env": 1}})
    );
    assert!(Rules::new(["a..b"], []).is_err());
}

#[test]
fn a_field_is_a_secret_by_its_words() {
    for name in [
        "token",
        "accessToken",
        "ACCESS_TOKEN",
        "client-secret",
        "dbPassword",
        "sshKey",
        "key",
        "apikey",
        "Authorization",
    ] {
        assert!(Rules::default().is_secret_field(name), "{name}");
    }
    for name in [
        "secretRef",
        "secretName",
        "keyId",
        "tokenURL",
        "monkey",
        "keyboard",
        "tokenizer",
        "description",
        "secretKeyRef",
        "",
    ] {
        assert!(!Rules::default().is_secret_field(name), "{name}");
    }
}

#[test]
fn depth_ends_in_a_mark_and_not_in_the_stack() {
    let deep = format!(
        "{{\"spec\":{}1{}}}",
        "{\"a\":[".repeat(9_990),
        "]}".repeat(9_990)
    );
    let shown = shown(&Rules::default(), deep.as_bytes()).unwrap();
    assert!(shown.to_string().contains(TOO_DEEP));
}

#[test]
fn what_is_no_object_is_not_shown() {
    for text in ["", "[]", "\"x\"", "{", "{} {}"] {
        assert_eq!(shown(&Rules::default(), text.as_bytes()), None, "{text}");
    }
}

#[test]
fn texts_are_made_harmless() {
    assert_eq!(clean_text("plain", 10), "plain");
    assert_eq!(
        clean_text("a\u{1b}[31mb\u{7}\u{202e}c\nd", 100),
        "a\u{fffd}[31mb\u{fffd}\u{fffd}c d"
    );
    assert_eq!(clean_text("üüüü", 7), "üü…");
    assert_eq!(clean_text("abc", 2), "ab");
}

proptest! {
    #[test]
    fn a_clean_text_is_short_and_harmless(text in "\\PC{0,40}|.{0,40}", limit in 0usize..50) {
        let clean = clean_text(&text, limit);
        prop_assert!(clean.len() <= limit);
        prop_assert!(!clean.chars().any(crate::harmful::is_harmful));
    }

    #[test]
    fn no_bytes_make_redaction_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Rules::default().view(&bytes, None));
    }
}
