use super::*;
use proptest::prelude::*;
use serde_json::json;

fn event() -> Value {
    json!({
        "level": "Metadata", "auditID": "a-1", "stage": "ResponseComplete", "verb": "create",
        "requestURI": "/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests",
        "user": {"username": "alice", "uid": "7", "groups": ["g"], "extra": {"k": ["v"]}},
        "sourceIPs": ["127.0.0.1"], "userAgent": "kubectl",
        "objectRef": {"resource": "pullrequests", "namespace": "krate-org-acme", "name": "pr-1",
            "apiGroup": "krate.a5c.ai", "apiVersion": "v1alpha1"},
        "responseStatus": {"metadata": {}, "status": "Failure", "message": "no", "reason": "Invalid",
            "details": {"kind": "pullrequests", "causes": [{"reason": "R", "message": "m"}]}, "code": 422},
        "requestReceivedTimestamp": "2026-11-22T23:29:51.000000Z",
        "stageTimestamp": "2026-11-22T23:29:51.500000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "pod-security.kubernetes.io/x": "y"},
    })
}

fn parse(value: &Value) -> AuditEvent {
    AuditEvent::parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn a_log_line_and_a_list_item_are_the_same_event() {
    let item = event().to_string();
    let line = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1",{}"#,
        &item[1..]
    );
    let from_line = AuditEvent::parse(line.as_bytes()).unwrap();
    assert_eq!(from_line, parse(&event()));
    assert_eq!(from_line.kept(), parse(&event()).kept());
    let status = from_line.response_status.unwrap();
    assert_eq!((status.code, status.causes[0].text.as_str()), (422, "m"));
    assert_eq!(from_line.other_annotations, 1);
}

#[test]
fn what_a_client_makes_long_is_cut_and_its_hash_kept() {
    let long = "<ü>".repeat(300_000);
    let mut value = event();
    for path in [
        "/auditID",
        "/requestURI",
        "/objectRef/name",
        "/responseStatus/message",
    ] {
        *value.pointer_mut(path).unwrap() = long.as_str().into();
    }
    value["responseStatus"]["details"]["causes"][0]["message"] = long.as_str().into();
    let event = parse(&value);
    let status = event.response_status.as_ref().unwrap();
    let name = &event.object_ref.as_ref().unwrap().name;
    for cut in [
        &event.audit_id,
        &event.request_uri,
        name,
        status.message.as_ref().unwrap(),
        &status.causes[0],
    ] {
        assert!(cut.text.len() <= Cut::MESSAGE_LIMIT && long.starts_with(&cut.text));
        assert_eq!(
            cut.whole,
            Some((long.len() as u64, sha256(long.as_bytes())))
        );
    }
    assert!(event.kept().to_string().len() < 64 * 1024);
}

#[test]
fn the_words_behind_a_huge_name_are_kept() {
    let name = "\\\"".repeat(100_000);
    let mut value = event();
    value["responseStatus"]["message"] =
        format!("pods \"{name}\" is forbidden: exceeded quota: q").into();
    let status = parse(&value).response_status.unwrap();
    assert_eq!(
        status.after_name.unwrap().text,
        "is forbidden: exceeded quota: q"
    );
}

#[test]
fn annotations_are_bounded_in_size_and_number() {
    let mut value = event();
    let witness = format!("{}/u", crate::testimony::WITNESS);
    value["annotations"][&witness] = "v".repeat(10_240).into();
    for index in 0..5000 {
        value["annotations"][format!("{}/{index}", crate::testimony::FINAL)] = "v".into();
    }
    let event = parse(&value);
    assert_eq!(event.annotations.len(), 2048 + 2);
    assert_eq!(
        event.annotations.len() + event.other_annotations as usize,
        5003
    );
    assert_eq!(
        event.annotations.values().map(String::len).max(),
        Some(1024)
    );
}

#[test]
fn a_deep_request_object_is_skipped() {
    let deep = format!("{}1{}", r#"{"a":["#.repeat(9_990), "]}".repeat(9_990));
    let text = format!(
        r#"{{"requestObject":{deep},"responseObject":{deep},{}"#,
        &event().to_string()[1..]
    );
    assert_eq!(AuditEvent::parse(text.as_bytes()).unwrap(), parse(&event()));
    let list = format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{text}]}}"#);
    let items = split_list(list.as_bytes()).unwrap();
    assert_eq!(glance(items[0]).unwrap().resource, "pullrequests");
}

#[test]
fn one_bad_item_leaves_the_others() {
    let list = format!(
        r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{},{{"stage":7}},"x",{}]}}"#,
        event(),
        event()
    );
    let items = split_list(list.as_bytes()).unwrap();
    let read: Vec<bool> = items
        .iter()
        .map(|item| AuditEvent::parse(item).is_ok())
        .collect();
    assert_eq!(read, [true, false, false, true]);
    assert_eq!(
        items.iter().filter(|item| glance(item).is_some()).count(),
        2
    );
}

#[test]
fn an_item_that_is_no_text_or_no_json_leaves_the_others() {
    let list = |items: &[&[u8]]| {
        let mut list = br#"{"kind":"EventList","metadata":{"a":[1]},"items":["#.to_vec();
        list.extend(items.join(&b','));
        list.extend(br#"],"apiVersion":"audit.k8s.io/v1"}"#);
        list
    };
    let good = event().to_string().into_bytes();
    let bad: &[u8] = b"{\"stage\":\"\xff\",nonsense}";
    let whole = list(&[&good, bad, &good]);
    let items = split_list(&whole).unwrap();
    let read: Vec<bool> = items
        .iter()
        .map(|item| AuditEvent::parse(item).is_ok())
        .collect();
    assert_eq!(read, [true, false, true]);
    // Where the brackets do not close, nothing says where an item ends.
    for broken in [
        list(&[&good, b"{\"a\":["]),
        whole[..whole.len() - 1].to_vec(),
    ] {
        assert!(split_list(&broken).is_err());
    }
    let mut other = whole;
    other[10] = b'X';
    assert!(split_list(&other).is_err(), "another kind");
}

#[test]
fn what_is_no_list_or_no_event_says_so() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"kind":"PodList","apiVersion":"v1","items":[]}"#,
    ] {
        assert!(split_list(body.as_bytes()).is_err(), "{body}");
    }
    let mut other = event();
    other["kind"] = "Policy".into();
    let error = AuditEvent::parse(other.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("Policy"), "{error}");
}

#[test]
fn a_glance_sees_what_the_whole_event_says() {
    let text = event().to_string();
    let whole = parse(&event());
    assert_eq!(glance(text.as_bytes()), Some(whole.glance()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(AuditEvent::parse(&bytes));
        drop(split_list(&bytes));
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0usize..1000, byte: u8) {
        let mut text = event().to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(event) = AuditEvent::parse(&text) {
            prop_assert!(event.kept().is_object());
        }
    }

    #[test]
    fn a_prefix_ends_at_a_character(text in "\\PC{0,50}", limit in 0usize..60) {
        let cut = prefix(&text, limit);
        prop_assert!(cut.len() <= limit && text.starts_with(cut));
    }
}
