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
    // A number at the very end may have lost digits, so it is not believed.
    let code = EVENT.find("\"code\":400").unwrap();
    let torn = json!({"timestamp": at, "message": &EVENT[..code + 9]});
    assert_eq!(derived(&torn, Shape::EksCut).response_status, None);
    // Cut before it says what it is.
    let early = json!({"timestamp": at, "message": &EVENT[..60]});
    assert!(read(early.to_string().as_bytes(), None).is_err());
    let aks = json!({"category": "kube-audit", "time": "2026-11-22T23:00:00.0100000Z",
        "properties": {"log": &EVENT[..end]}});
    assert_eq!(derived(&aks, Shape::AksCut).verb, "create");
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
