use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn body() -> Value {
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "0d5f1f0e-6b62-4a0c-9c4a-3b1c2d3e4f50",
            "kind": {"group": "krate.a5c.ai", "version": "v1alpha1", "kind": "PullRequest"},
            "resource": {"group": "krate.a5c.ai", "version": "v1alpha1", "resource": "pullrequests"},
            "requestKind": {"group": "x", "version": "x", "kind": "x"},
            "name": "pr-1", "namespace": "krate-org-acme", "operation": "UPDATE",
            "subResource": "status",
            "userInfo": {"username": "al\"ice", "uid": "7", "groups": ["g"], "extra": {"username": ["no"]}},
            "object": {"metadata": {"name": "pr-1", "uid": "u-new"}, "spec": {"a": [1, {"b": "]}"}]}},
            "oldObject": {"metadata": {"uid": "u-old"}},
            "dryRun": true, "options": {"kind": "UpdateOptions"},
        },
    })
}

#[test]
fn every_field_is_found_and_objects_are_not_copied() {
    let text = body().to_string();
    let review = Review::parse(text.as_bytes()).unwrap();
    assert_eq!(review.uid, "0d5f1f0e-6b62-4a0c-9c4a-3b1c2d3e4f50");
    assert_eq!(
        (&*review.kind, &*review.group, &*review.version),
        ("PullRequest", "krate.a5c.ai", "v1alpha1")
    );
    assert_eq!(
        (&*review.resource, &*review.subresource),
        ("pullrequests", "status")
    );
    assert_eq!(
        (&*review.name, &*review.namespace),
        ("pr-1", "krate-org-acme")
    );
    assert_eq!(
        (&*review.operation, &*review.username),
        ("UPDATE", "al\"ice")
    );
    assert!(review.dry_run && !review.is_collection());
    assert_eq!((&*review.new.uid, &*review.old.uid), ("u-new", "u-old"));
    let object: Value = serde_json::from_slice(review.object.unwrap()).unwrap();
    assert_eq!(object, body()["request"]["object"]);
    assert!(
        text.as_bytes()
            .as_ptr_range()
            .contains(&review.object.unwrap().as_ptr())
    );
    assert!(matches!(review.uid, Cow::Borrowed(_)));
}

#[test]
fn null_objects_are_absent_and_a_nameless_delete_is_a_collection() {
    let mut body = body();
    body["request"]["object"] = Value::Null;
    body["request"]["operation"] = "DELETE".into();
    body["request"]["name"] = "".into();
    let text = body.to_string();
    let review = Review::parse(text.as_bytes()).unwrap();
    assert!(review.object.is_none() && review.old_object.is_some());
    assert!(review.is_collection());
    assert_eq!(review.annotation_key(), COLLECTION);
}

#[test]
fn a_generated_name_is_told_from_a_given_one() {
    let generated = |operation: &str, generate: &str, name: &str| {
        let mut body = body();
        body["request"]["operation"] = operation.into();
        body["request"]["object"]["metadata"] = json!({"generateName": generate, "name": name});
        let text = body.to_string();
        Review::parse(text.as_bytes())
            .unwrap()
            .generated_name()
            .to_owned()
    };
    assert_eq!(generated("CREATE", "pr-", "pr-x7f2q"), "pr-x7f2q");
    assert_eq!(generated("CREATE", "pr-", ""), "");
    assert_eq!(generated("CREATE", "", "pr-1"), "");
    assert_eq!(generated("CREATE", "pr-", "other"), "");
    assert_eq!(generated("UPDATE", "pr-", "pr-x7f2q"), "");
    let long = "a".repeat(200);
    let made = "a".repeat(58) + "x7f2q";
    assert_eq!(generated("CREATE", &long, &made), made);
}

#[test]
fn a_body_nested_9990_deep_is_read() {
    let deep = format!("{}1{}", r#"{"a":["#.repeat(5_000), "]}".repeat(5_000));
    let text = body().to_string().replace(r#"{"b":"]}"}"#, &deep);
    let review = Review::parse(text.as_bytes()).unwrap();
    assert_eq!(review.name, "pr-1");
    assert!(review.object.unwrap().len() > deep.len());
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    let text = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",
        "request":{"uid":"a","uid":"b","name":"x","name":"y",
        "object":{"metadata":{"name":"1"}},"object":{"metadata":{"name":"2"}}}}"#;
    let review = Review::parse(text.as_bytes()).unwrap();
    assert_eq!(
        (&*review.uid, &*review.name, &*review.new.name),
        ("b", "y", "2")
    );
}

#[test]
fn unreadable_bodies_are_told_apart_and_their_uid_is_found() {
    let whole = body().to_string();
    let uid = "0d5f1f0e-6b62-4a0c-9c4a-3b1c2d3e4f50";
    assert_eq!(Review::parse(b"").unwrap_err(), ReviewError::Json);
    assert_eq!(Review::parse(b"[]").unwrap_err(), ReviewError::Json);
    assert_eq!(Review::parse(b"{}").unwrap_err(), ReviewError::Kind);
    assert_eq!(
        Review::parse(whole.replace("/v1\"", "/v2\"").as_bytes()).unwrap_err(),
        ReviewError::Kind
    );
    let no_request = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#;
    assert_eq!(Review::parse(no_request).unwrap_err(), ReviewError::Request);
    // In the API server's order of fields the uid comes first.
    let sent = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","object":{"a":"#;
    assert_eq!(
        Review::parse(sent.as_bytes()).unwrap_err(),
        ReviewError::Json
    );
    assert_eq!(find_uid(sent.as_bytes()), "u-1");
    assert_eq!(find_uid(whole.as_bytes()), uid);
    assert_eq!(find_uid(b"no json"), "");
    let far = format!(
        r#"{{"x":"{}","request":{{"uid":"u-1"}}}}"#,
        "x".repeat(UID_WINDOW)
    );
    assert_eq!(find_uid(far.as_bytes()), "");
    let v1beta1 = whole.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    assert!(Review::parse(v1beta1.as_bytes()).is_ok());
}

#[test]
fn the_answer_is_always_yes() {
    let plain: Value = serde_json::from_slice(&answer("u", "admission.k8s.io/v1", None)).unwrap();
    assert_eq!(
        plain,
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
            "response": {"uid": "u", "allowed": true}})
    );
    let value = r#"{"v":1,"m":"x"}"#;
    let sworn = answer("\"u", "admission.k8s.io/v1beta1", Some(("key", value)));
    let sworn: Value = serde_json::from_slice(&sworn).unwrap();
    assert_eq!(sworn["apiVersion"], "admission.k8s.io/v1beta1");
    assert_eq!(sworn["response"]["uid"], "\"u");
    assert_eq!(sworn["response"]["auditAnnotations"], json!({"key": value}));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(Review::parse(&bytes));
        drop(find_uid(&bytes));
    }

    #[test]
    fn a_changed_or_torn_body_never_panics(at in 0usize..2000, byte: u8, end in 0usize..2000) {
        let mut text = body().to_string().into_bytes();
        let length = text.len();
        text[at % length] = byte;
        text.truncate(end);
        drop(Review::parse(&text));
        drop(find_uid(&text));
    }
}
