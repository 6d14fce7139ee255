//! The aggregated API as the reporter serves it, over a real ledger.

mod lists;
mod objects;
mod refusals;
mod watches;

use super::world::{Answer, Denial, World};
use serde_json::{Value, json};

const V1: &str = "/apis/docket.a5c.ai/v1";
const ACME: &str = "/apis/docket.a5c.ai/v1/namespaces/krate-org-acme";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Three denials in acme, one in globex, one of no namespace, one admitted write.
fn court() -> World {
    let mut world = World::new();
    for n in 0..3 {
        world.deny(&Denial::new(n));
    }
    let other = Denial::new(3).namespace("krate-org-globex");
    world.deny(&other.personal(json!({"actor": {"username": "bob"}})));
    world.deny(&Denial::new(4).namespace(""));
    let (public, personal) = Denial::new(5).parts();
    let mut pass = public;
    pass["verdict"] = "failedOpen".into();
    world.add(docket_ledger::entry::Class::Pass, &pass, Some(&personal));
    world.cluster.grant("anna", "krate-org-acme");
    world
}

impl World {
    /// Names of the objects of a list.
    async fn names(&self, user: &str, path: &str) -> Vec<String> {
        let answer = self.kube(user, path).await;
        names(&answer)
    }
}

#[track_caller]
fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    let items = body["items"].as_array().expect("a list");
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Code, reason and message of a Status.
#[track_caller]
fn failed(answer: &Answer, code: u16, reason: &str) -> String {
    let body = answer.json();
    assert_eq!(body["kind"], "Status", "{body}");
    assert_eq!(
        (answer.status.as_u16(), &body["code"], &body["reason"]),
        (code, &json!(code), &json!(reason)),
        "{body}"
    );
    body["message"].as_str().unwrap().to_owned()
}

fn version(body: &Value) -> u64 {
    let version = body["metadata"]["resourceVersion"].as_str().unwrap();
    version.parse().unwrap()
}
