//! Audit events in the API server's own form, with testimonies that verify.

use docket_record::denial::Context;
use docket_record::numbers::{Hook, NumberedReview, RequestKey};
use docket_record::testimony::{Bound, FINAL, Keys, Process, Testimony, WITNESS};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

pub const CLUSTER: &str = "test";
pub const KEY: &str = "abababababababababababababababababababababababababababababababab";
pub const MESSAGE: &str = "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: \
     Policy require-pr-description failed: a pull request needs a description";

/// One API server and one witness.
pub struct Day {
    keys: Keys,
    pub process: Process,
    pub number: u64,
    pub clock: Timestamp,
    /// Length of the objects that the witness says it holds; 0: none.
    pub exhibit: u64,
    serial: u64,
}

pub fn keys() -> Keys {
    Keys::from_entries([("k1", KEY)]).unwrap()
}

/// A directory with that key, as the reporter holds it.
pub fn key_directory() -> std::sync::Arc<docket_host::KeyDirectory> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("k1"), KEY).unwrap();
    let keys = docket_host::KeyDirectory::open(dir.path().to_owned()).unwrap();
    std::sync::Arc::new(keys)
}

fn sha256(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .try_into()
        .unwrap()
}

impl Day {
    pub fn new(started: Timestamp) -> Day {
        Day {
            keys: keys(),
            process: Process {
                instance: "witness-0".into(),
                started: started.as_millisecond(),
            },
            number: 0,
            clock: started,
            exhibit: 0,
            serial: 0,
        }
    }

    /// From now on the witness signs with the last of these keys.
    pub fn sign_with(&mut self, keys: &[(&str, &str)]) {
        self.keys = Keys::from_entries(keys.iter().copied()).unwrap();
    }

    /// A denied create: both hooks were called.
    pub fn denied(&mut self) -> Value {
        let status = json!({"metadata": {}, "status": "Failure", "message": MESSAGE, "code": 400});
        self.create(status)
    }

    /// A create that went through.
    pub fn admitted(&mut self) -> Value {
        self.create(json!({"metadata": {}, "code": 201}))
    }

    /// A create whose client hung up while our hooks were called: the event has no
    /// testimony. With it what the witness remembers of the two numbers.
    pub fn hung_up(&mut self) -> (Value, Vec<NumberedReview>) {
        let message =
            "Timeout: request did not complete within requested timeout - context canceled";
        let mut event = self.create(json!({
            "metadata": {}, "status": "Failure", "message": message, "reason": "Timeout", "code": 504,
        }));
        event["annotations"] = json!({"authorization.k8s.io/decision": "allow"});
        let reviews = self.reviews(&event);
        (event, reviews)
    }

    /// What the witness remembers of the two numbers of the last event.
    pub fn reviews(&self, event: &Value) -> Vec<NumberedReview> {
        let name = event["objectRef"]["name"].as_str().unwrap();
        let user = event["user"]["username"].as_str().unwrap();
        let namespace = event["objectRef"]["namespace"].as_str().unwrap();
        let received: Timestamp = event["requestReceivedTimestamp"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let request = RequestKey::of(&Bound {
            cluster: CLUSTER,
            hook: WITNESS,
            uid: "",
            group: "krate.a5c.ai",
            resource: "pullrequests",
            subresource: "",
            namespace,
            name_sha256: sha256(name),
            user_sha256: sha256(user),
        });
        let review = |(place, hook): (u64, Hook)| NumberedReview {
            number: self.number - 1 + place,
            hook,
            time: received + SignedDuration::from_micros(10 + place.cast_signed()),
            request,
            operation: "CREATE".into(),
            group: "krate.a5c.ai".into(),
            resource: "pullrequests".into(),
            subresource: String::new(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            user: user.to_owned(),
        };
        [(0, Hook::Witness), (1, Hook::Final)].map(review).into()
    }

    fn create(&mut self, status: Value) -> Value {
        self.serial += 1;
        let serial = self.serial;
        let received = self.clock;
        let (name, user) = (format!("pr-{serial}"), "jane@acme.example");
        let mut annotations = serde_json::Map::new();
        for (place, hook) in [WITNESS, FINAL].into_iter().enumerate() {
            self.number += 1;
            let uid = format!("{:08x}-0000-4000-8000-{:012x}", serial, place);
            let bound = Bound {
                cluster: CLUSTER,
                hook,
                uid: &uid,
                group: "krate.a5c.ai",
                resource: "pullrequests",
                subresource: "",
                namespace: "krate-org-acme",
                name_sha256: sha256(&name),
                user_sha256: sha256(user),
            };
            let testimony = Testimony {
                key_id: String::new(),
                process: self.process.clone(),
                number: Some(self.number),
                time: received + SignedDuration::from_micros(10 + place as i64),
                operation: "CREATE".into(),
                dry_run: false,
                old_uid: String::new(),
                context: Context::default(),
                generated_name: String::new(),
                exhibit: (self.exhibit, String::new()),
            };
            let value = self.keys.sign(&testimony, &bound).unwrap();
            annotations.insert(format!("{hook}/{uid}"), value.into());
        }
        let stage = received + SignedDuration::from_millis(2);
        self.clock = received + SignedDuration::from_millis(3);
        json!({
            "level": "Metadata",
            "auditID": format!("{serial:08x}-1111-4111-8111-{:012x}", self.process.started),
            "stage": "ResponseComplete",
            "requestURI": "/apis/krate.a5c.ai/v1alpha1/namespaces/krate-org-acme/pullrequests",
            "verb": "create",
            "user": {"username": user, "groups": ["system:authenticated"]},
            "sourceIPs": ["127.0.0.1"],
            "userAgent": "kubectl/v1.36.3",
            "objectRef": {
                "resource": "pullrequests", "namespace": "krate-org-acme", "name": name,
                "apiGroup": "krate.a5c.ai", "apiVersion": "v1alpha1",
            },
            "responseStatus": status,
            "requestReceivedTimestamp": format!("{received:.6}"),
            "stageTimestamp": format!("{stage:.6}"),
            "annotations": annotations,
        })
    }
}

/// As the API server posts them.
pub fn list(items: &[Value]) -> Vec<u8> {
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items});
    serde_json::to_vec(&list).unwrap()
}

/// As they stand in the audit log, newline included.
pub fn line(item: &Value) -> Vec<u8> {
    let item = serde_json::to_string(item).unwrap();
    let line = format!(
        "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",{}\n",
        &item[1..]
    );
    line.into_bytes()
}
