use super::*;
use serde_json::{Value, json};

const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a-1","stage":"ResponseComplete","requestURI":"/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests","verb":"create","user":{"username":"alice","groups":["g"]},"objectRef":{"resource":"pullrequests","namespace":"krate-org-acme","name":"pr-1","apiGroup":"krate.a5c.ai","apiVersion":"v1alpha1"},"responseStatus":{"metadata":{},"status":"Failure","message":"admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: no","code":400},"requestReceivedTimestamp":"2026-11-22T23:00:00.000001Z","stageTimestamp":"2026-11-22T23:00:00.010000Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#;

fn one(record: &Value) -> Read<'static> {
    let bytes = serde_json::to_vec(record).unwrap();
    owned(read(&bytes, None).unwrap())
}

fn owned(read: Read<'_>) -> Read<'static> {
    match read {
        Read::Raw(shape, text) => Read::Raw(shape, Cow::Owned(text.into_owned())),
        Read::Derived(shape, event) => Read::Derived(shape, event),
        Read::Other => Read::Other,
    }
}

#[track_caller]
fn raw(record: &Value, shape: Shape) {
    assert_eq!(
        one(record),
        Read::Raw(shape, Cow::Borrowed(EVENT)),
        "{record:#}"
    );
}

#[track_caller]
fn derived(record: &Value, shape: Shape) -> AuditEvent {
    match one(record) {
        Read::Derived(found, event) if found == shape => *event,
        other => panic!("{other:?} of {record:#}"),
    }
}

#[test]
fn a_raw_event_keeps_its_own_bytes_in_every_wrapping() {
    assert_eq!(
        read(EVENT.as_bytes(), None).unwrap(),
        Read::Raw(Shape::Event, Cow::Borrowed(EVENT))
    );
    let message = json!({"eventId": "1", "timestamp": 1, "message": EVENT, "ingestionTime": 2,
        "logStreamName": "kube-apiserver-audit-0123"});
    raw(&message, Shape::Eks);
    raw(
        &json!({"@timestamp": "2026-11-22 23:00:00.000", "@message": EVENT}),
        Shape::Eks,
    );
    for line in [
        format!("2026-11-22T23:00:00.010Z {EVENT}"),
        format!("2026-11-22T23:00:00+00:00 kube-apiserver-audit-0123 {EVENT}"),
    ] {
        let read = owned(read(line.as_bytes(), None).unwrap());
        assert_eq!(read, Read::Raw(Shape::Eks, Cow::Borrowed(EVENT)), "{line}");
    }
    let properties = json!({"log": EVENT, "stream": "stdout", "pod": "kube-apiserver-0"});
    raw(
        &json!({"category": "kube-audit", "properties": properties}),
        Shape::Aks,
    );
    raw(
        &json!({"category": "kube-audit-admin", "properties": properties.to_string()}),
        Shape::Aks,
    );
    raw(
        &json!({"Category": "kube-audit", "log_s": EVENT}),
        Shape::Aks,
    );
}

#[test]
fn other_logs_of_the_same_place_are_told_apart_and_not_broken() {
    let eks = |message: &str| json!({"timestamp": 1, "message": message});
    for other in [
        eks("I1122 23:00:00.000001 1 controller.go:1] hello"),
        eks("{\"level\":\"info\",\"message\":\"not an event\"}"),
        json!({"message": EVENT, "logStreamName": "authenticator-0123"}),
        json!({"category": "kube-scheduler", "properties": {"log": "x"}}),
        json!({"logName": "x", "textPayload": "hello"}),
        json!({"protoPayload": {"serviceName": "container.googleapis.com"}}),
        json!({"resource": {"type": "gce_instance"}, "protoPayload": {}}),
    ] {
        assert_eq!(one(&other), Read::Other, "{other:#}");
    }
    let line = "2026-11-22T23:00:00Z I1122 klog of another component";
    assert_eq!(read(line.as_bytes(), None).unwrap(), Read::Other);
}

#[test]
fn a_message_that_was_cut_gives_what_stands_before_the_cut() {
    let end = EVENT.find(",\"requestReceivedTimestamp").unwrap();
    let at = 1_795_388_400_010_i64;
    let record = json!({"timestamp": at, "message": &EVENT[..end]});
    let event = derived(&record, Shape::EksCut);
    assert_eq!(event.verb, "create");
    assert_eq!(event.response_status.as_ref().unwrap().code, 400);
    assert_eq!(event.stage_timestamp, "2026-11-22T23:00:00.010000Z");
    assert_eq!(event.derived.unwrap().shape, "eks-cut");
    assert_eq!(derived(&record, Shape::EksCut), event, "the same again");
    // A number at the very end may have lost digits, so it is not believed; but the words
    // are an enforcer's.
    let code = EVENT.find("\"code\":400").unwrap();
    let torn = json!({"timestamp": at, "message": &EVENT[..code + 9]});
    let status = derived(&torn, Shape::EksCut).response_status.unwrap();
    assert_eq!(status.code, 0);
    assert!(
        status
            .message
            .unwrap()
            .text
            .ends_with("denied the request: no")
    );
    // Cut before it says what it is.
    let early = json!({"timestamp": at, "message": &EVENT[..60]});
    assert!(read(early.to_string().as_bytes(), None).is_err());
    let aks = json!({"category": "kube-audit", "time": "2026-11-22T23:00:00.0100000Z",
        "properties": {"log": &EVENT[..end]}});
    assert_eq!(derived(&aks, Shape::AksCut).verb, "create");
}

#[test]
fn a_cut_is_told_by_the_text_that_breaks_off_whatever_marks_it() {
    let at = 1_795_388_400_010_i64;
    let end = EVENT.find(",\"requestReceivedTimestamp").unwrap();
    let whole = &EVENT[..end];
    for mark in [
        "[Truncated...]",
        "...",
        "…",
        "[truncated]",
        "<truncated 1234 bytes>",
        "",
        "\\",
    ] {
        for tail in [
            "",
            ",",
            ",\"requestObject\":{\"kind\":\"Pod\",",
            ",\"requestObject\":{\"kind\":\"Pod\",\"a\":[1,2",
            ",\"requestObject\":{\"kind\":\"Pod\",\"a\":\"x{\\\"",
            ",\"requestObject\":tru",
            ",\"requ",
        ] {
            let message = format!("{whole}{tail}{mark}");
            let event = derived(&json!({"timestamp": at, "message": message}), Shape::EksCut);
            assert_eq!(event.verb, "create", "{message}");
            assert_eq!(event.object_ref.unwrap().name.text, "pr-1");
            let status = event.response_status.unwrap();
            assert_eq!(status.code, 400, "{message}");
            assert!(
                status.message.unwrap().text.ends_with("request: no"),
                "{message}"
            );
        }
    }
}

#[test]
fn a_refusal_whose_text_is_cut_is_one_by_the_words_that_begin_it() {
    let at = 1_795_388_400_010_i64;
    let cut_in = |text: &str| {
        let event: Value = serde_json::from_str(EVENT).unwrap();
        let head = &EVENT[..EVENT.find(",\"responseStatus\"").unwrap()];
        assert!(event.is_object());
        let message = format!(
            "{head},\"responseStatus\":{{\"metadata\":{{}},\"status\":\"Failure\",\"message\":\"{text}"
        );
        let record = json!({"timestamp": at, "message": message}).to_string();
        read(record.as_bytes(), None).map(owned)
    };
    let Ok(Read::Derived(Shape::EksCut, event)) =
        cut_in("admission webhook \\\"v.kyverno.svc\\\" denied the request: \\nPolicy \\u00")
    else {
        panic!("it is a refusal");
    };
    let message = event.response_status.unwrap().message.unwrap();
    assert_eq!(
        message.text,
        "admission webhook \"v.kyverno.svc\" denied the request: \nPolicy "
    );
    assert!(message.whole.is_some(), "it is only a prefix");
    // Of another stage no end is due, and of a list none is of interest.
    for (word, other) in [
        ("ResponseComplete", "RequestReceived"),
        ("\"create\"", "\"list\""),
    ] {
        let head = &EVENT[..EVENT.find(",\"responseStatus\"").unwrap()];
        let message = head.replace(word, other);
        let record = json!({"timestamp": at, "message": message}).to_string();
        assert!(
            matches!(read(record.as_bytes(), None), Ok(Read::Derived(..))),
            "{message}"
        );
    }
    // Without the code nothing else says that it was refused.
    for text in ["pods \\\"a\\\" already exists", "admission webh", ""] {
        assert!(matches!(cut_in(text), Err(ImportError::CutEarly)), "{text}");
    }
}

#[test]
fn an_event_is_found_in_the_records_of_those_who_carry_logs() {
    let event: Value = serde_json::from_str(EVENT).unwrap();
    let time = "2026-11-22T23:00:00.5Z";
    let cri = format!("{time} stdout F {EVENT}");
    for record in [
        json!({"date": 1.5, "_p": "F", "log": EVENT, "kubernetes": {"pod_name": "kube-apiserver-0"}}),
        json!({"log": cri, "file": "/var/log/containers/x.log"}),
        json!({"message": EVENT, "timestamp": time, "source_type": "kubernetes_logs", "kubernetes": {}}),
        json!({"@timestamp": time, "message": EVENT, "agent": {"type": "filebeat"}}),
        json!({"MESSAGE": EVENT, "__REALTIME_TIMESTAMP": "1795388400010000", "_PID": "1"}),
        json!({"preview": false, "result": {"_raw": EVENT, "_time": time}}),
        json!({"labels": {"pod": "x"}, "line": EVENT, "timestamp": time}),
        json!({"_index": "i", "_source": {"@timestamp": time, "message": EVENT}}),
        json!({"resource": {"type": "k8s_container"}, "textPayload": EVENT, "timestamp": time}),
        json!({"event": {"original": EVENT}, "@timestamp": time}),
        json!({"body": {"stringValue": EVENT}, "timeUnixNano": "1795388400010000000"}),
    ] {
        let Read::Raw(Shape::Wrapped, text) = one(&record) else {
            panic!("{:?} of {record:#}", one(&record));
        };
        assert_eq!(text.trim(), EVENT, "{record:#}");
    }
    let docker = json!({"log": format!("{EVENT}\n"), "stream": "stdout", "time": time});
    assert!(matches!(one(&docker), Read::Raw(Shape::Container, text) if text.trim() == EVENT));
    let carried = json!({"message": docker.to_string(), "@timestamp": time});
    assert!(matches!(one(&carried), Read::Raw(Shape::Wrapped, text) if text.trim() == EVENT));
    // Where it was read on the way its members are what they were.
    for record in [
        json!({"jsonPayload": event, "timestamp": time}),
        json!({"kubernetes": {"audit": event}, "@timestamp": time}),
        json!({"_source": {"log": event}}),
        json!({"attributes": event, "message": "x"}),
    ] {
        let Read::Raw(_, text) = one(&record) else {
            panic!("{record:#}");
        };
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), event);
    }
    for line in [
        cri,
        format!("Nov 22 23:00:00 node-1 kube-apiserver[811]: {EVENT}"),
        format!("<134>1 {time} node-1 kube-apiserver 811 - - {EVENT}"),
        format!("2026-11-22T23:00:00+0000 node-1 kube-apiserver[811]: {EVENT}"),
        format!("[pod/kube-apiserver-0/kube-apiserver] {EVENT}"),
        format!("kube-apiserver-0 kube-apiserver {time} {EVENT}"),
        format!(
            "{time} {{app=\"kube-apiserver\", node=\"a{}b\"}} {EVENT}",
            "_"
        ),
        format!("{time} host {EVENT}"),
    ] {
        let found = owned(read(line.as_bytes(), None).unwrap());
        assert!(
            matches!(&found, Read::Raw(Shape::Container | Shape::Wrapped, text) if text == EVENT),
            "{found:?} of {line}"
        );
    }
    // Cut on the way, it has the carrier's time.
    let cut = &EVENT[..EVENT.find(",\"requestReceived").unwrap()];
    for record in [
        json!({"log": cut, "stream": "stdout", "time": "2026-11-22T23:00:00.01Z"}),
        json!({"log": cut, "date": 1795388400.01}),
        json!({"_source": {"message": cut}, "@timestamp": "2026-11-22T23:00:00.01Z"}),
        json!({"MESSAGE": cut, "__REALTIME_TIMESTAMP": "1795388400010000"}),
    ] {
        let event = derived(&record, Shape::Cut);
        assert_eq!(
            event.stage_timestamp, "2026-11-22T23:00:00.010000Z",
            "{record:#}"
        );
    }
}

#[test]
fn what_a_log_line_quotes_is_no_event() {
    let quoted = serde_json::to_string(EVENT).unwrap();
    for line in [
        format!("I1122 23:00:00.000001       1 httplog.go:132] {EVENT}"),
        format!("2026-11-22T23:00:00Z stderr F E1122 23:00:00.000001 1 x.go:1] {EVENT}"),
        format!("2026-11-22T23:00:00Z W1122 23:00:00.000001 1 x.go:1] {EVENT}"),
        format!("Nov 22 23:00:00 node kube-apiserver[1]: E1122 23:00:00.1 1 x.go:1] {EVENT}"),
        format!("2026-11-22T23:00:00Z stdout F level=error obj={EVENT}"),
    ] {
        assert_eq!(read(line.as_bytes(), None).unwrap(), Read::Other, "{line}");
    }
    for record in [
        format!("{{\"ts\":1,\"msg\":\"refused\",\"object\":{quoted}}}"),
        format!("{{\"log\":\"x\",\"userAgent\":{quoted}}}"),
    ] {
        assert!(
            !matches!(read(record.as_bytes(), None), Ok(Read::Raw(..))),
            "{record}"
        );
    }
    // In a program's own structured log, however it is carried.
    let own = json!({"ts": 1.5, "msg": "Event occurred", "message": EVENT, "body": EVENT});
    let shipped = json!({"log": own.to_string(), "kubernetes": {}});
    let docker = json!({"log": json!({"message": EVENT}).to_string() + "\n", "stream": "stderr",
        "time": "2026-11-22T23:00:00Z"});
    for record in [own, shipped, docker] {
        assert_eq!(one(&record), Read::Other, "{record:#}");
    }
    for carried in [
        json!({"message": EVENT}),
        json!({"message": EVENT, "timestamp": 1}),
        json!({"category": "kube-audit", "properties": {"log": EVENT}}),
        json!({"AuditId": "a", "Stage": "ResponseComplete", "Verb": "create",
            "StageReceivedTime": "2026-11-22T23:00:00Z"}),
    ] {
        let cri = format!("2026-11-22T23:00:00Z stderr F {carried}");
        assert_eq!(read(cri.as_bytes(), None).unwrap(), Read::Other, "{cri}");
    }
    // A journal that leaves out what is long says nothing of it: that is not overlooked.
    let left_out = json!({"MESSAGE": null, "__REALTIME_TIMESTAMP": "1795388400010000"});
    assert!(read(left_out.to_string().as_bytes(), None).is_err());
}

#[test]
fn the_legacy_format_is_refused_by_its_name_in_every_wrapping() {
    let line = "2026-12-01T10:00:01.885328047Z AUDIT: id=\"a\" stage=\"ResponseComplete\" \
                ip=\"192.0.2.10\" method=\"create\" user=\"dev-1\" response=\"400\"";
    let bare = line.split_once(' ').unwrap().1;
    for record in [
        line.to_owned(),
        bare.to_owned(),
        format!("2026-12-01T10:00:01.9Z stdout F {line}"),
        format!("Dec 01 10:00:01 node kube-apiserver[1]: {line}"),
        json!({"log": format!("{line}\n"), "stream": "stdout", "time": "2026-12-01T10:00:01Z"})
            .to_string(),
        json!({"timestamp": 1, "message": line}).to_string(),
    ] {
        let error = read(record.as_bytes(), None).unwrap_err();
        assert!(matches!(error, ImportError::Legacy), "{error} of {record}");
        assert!(error.to_string().contains("--audit-log-format=legacy"));
    }
}

#[test]
fn a_table_row_of_azure_gives_an_event_with_an_id_of_its_own() {
    let event: Value = serde_json::from_str(EVENT).unwrap();
    let mut row = json!({"AuditId": "a-1", "Stage": "ResponseComplete", "Verb": "create",
        "Level": "Metadata", "RequestUri": event["requestURI"], "User": event["user"],
        "SourceIps": ["10.0.0.1"], "UserAgent": "kubectl", "ObjectRef": event["objectRef"],
        "ResponseStatus": event["responseStatus"], "Annotations": event["annotations"],
        "RequestReceivedTime": "2026-11-22T23:00:00.0000010Z",
        "StageReceivedTime": "2026-11-22T23:00:00.0100000Z", "Type": "AKSAudit"});
    let of_json = derived(&row, Shape::AksRow);
    assert_eq!(of_json.user.groups, ["g"]);
    assert_eq!(of_json.stage_timestamp, "2026-11-22T23:00:00.010000Z");
    let message = of_json
        .response_status
        .as_ref()
        .unwrap()
        .message
        .as_ref()
        .unwrap();
    assert!(message.text.contains("denied the request"));
    // The same row with its dynamic columns as text, its times shorter.
    for column in [
        "User",
        "SourceIps",
        "ObjectRef",
        "ResponseStatus",
        "Annotations",
    ] {
        row[column] = row[column].to_string().into();
    }
    row["StageReceivedTime"] = "2026-11-22T23:00:00.010Z".into();
    assert_eq!(derived(&row, Shape::AksRow), of_json);
    let raw = AuditEvent::parse(EVENT.as_bytes()).unwrap();
    assert_ne!(
        crate::denial::DenialId::of(&of_json, "c"),
        crate::denial::DenialId::of(&raw, "c")
    );
}

fn gke() -> Value {
    json!({
        "insertId": "a-1", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "timestamp": "2026-11-22T23:00:00.000001Z", "resource": {"type": "k8s_cluster"},
        "labels": {"authorization.k8s.io/decision": "allow"},
        "operation": {"first": true, "id": "a-1", "last": true, "producer": "k8s.io"},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
            "methodName": "ai.a5c.krate.v1alpha1.pullrequests.create",
            "resourceName": "krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests/pr-1",
            "authenticationInfo": {"principalEmail": "alice"},
            "requestMetadata": {"callerIp": "10.0.0.1", "callerSuppliedUserAgent": "kubectl"},
            "status": {"code": 3, "message": "admission webhook \"x.y.z\" denied the request: no"},
            "response": {"@type": "core.k8s.io/v1.Status", "status": "Failure", "code": 422,
                "reason": "Invalid", "message": "the whole text", "details": {"kind": "pullrequests"}}
        }
    })
}

#[test]
fn an_entry_of_cloud_logging_is_mapped() {
    let event = derived(&gke(), Shape::Gke);
    let object = event.object_ref.as_ref().unwrap();
    assert_eq!(
        (
            object.api_group.as_str(),
            object.resource.as_str(),
            object.name.text.as_str()
        ),
        ("krate.a5c.ai", "pullrequests", "pr-1")
    );
    assert_eq!(
        (event.verb.as_str(), event.user.username.as_str()),
        ("create", "alice")
    );
    let status = event.response_status.as_ref().unwrap();
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(status.message.as_ref().unwrap().text, "the whole text");
    assert!(
        event
            .annotations
            .contains_key("authorization.k8s.io/decision")
    );
    // Without the body the rpc status has to do.
    let mut bare = gke();
    bare["protoPayload"]
        .as_object_mut()
        .unwrap()
        .remove("response");
    let status = derived(&bare, Shape::Gke).response_status.unwrap();
    assert_eq!(status.code, 400);
    assert!(
        status
            .message
            .unwrap()
            .text
            .starts_with("admission webhook")
    );
    bare["protoPayload"]["status"] = json!({});
    let status = derived(&bare, Shape::Gke).response_status.unwrap();
    assert_eq!((status.code, status.message), (200, None));
}

#[test]
fn what_makes_a_gke_entry_one_is_what_the_page_says() {
    let id = |entry: &Value| {
        crate::denial::DenialId::of(&derived(entry, Shape::Gke), "cluster").to_string()
    };
    let first = id(&gke());
    let mut same = gke();
    same["receiveTimestamp"] = "2026-11-22T23:09:00Z".into();
    same["labels"]["more"] = "x".into();
    assert_eq!(
        id(&same),
        first,
        "when it was taken and labels do not count"
    );
    for (path, value) in [
        ("/insertId", "a-2"),
        ("/timestamp", "2026-11-22T23:00:00.000002Z"),
        (
            "/protoPayload/methodName",
            "ai.a5c.krate.v1alpha1.pullrequests.update",
        ),
        (
            "/protoPayload/resourceName",
            "krate.a5c.ai/v1alpha1/namespaces/n/pullrequests/pr-1",
        ),
        ("/protoPayload/authenticationInfo/principalEmail", "bob"),
    ] {
        let mut other = gke();
        *other.pointer_mut(path).unwrap() = value.into();
        assert_ne!(id(&other), first, "{path}");
    }
}

#[test]
fn a_shape_that_was_not_asked_for_is_refused_and_unknown_ones_say_so() {
    for (format, holds) in [(Format::Kubernetes, true), (Format::Gke, false)] {
        assert_eq!(read(EVENT.as_bytes(), Some(format)).is_ok(), holds);
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    for bad in [
        "",
        "hello",
        "{\"a\":1}",
        "{\"auditID\":",
        "[1]",
        "\u{fffd} {}",
        "12",
    ] {
        assert!(read(bad.as_bytes(), None).is_err(), "{bad}");
    }
    assert!(read(b"\xff\xfe {}", None).is_err());
}
