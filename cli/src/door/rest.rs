//! The reporter's REST API: docs/rest.md.

use super::changes::{Connection, Form, Refused};
use super::{Ask, Page, Place};
use crate::args::select::Pair;
use crate::client::{Client, encode, query};
use crate::failure::Failure;
use serde_json::Value;

/// The path of denials, below it `tail`, and the filters beside it.
pub(super) fn denials(ask: &Ask, tail: &str) -> (String, Vec<Pair>) {
    let mut filters = ask.filters.clone();
    let path = match &ask.place {
        Place::Org(org) => format!("/api/orgs/{}/policy-denials{tail}", encode(org)),
        Place::Namespace(namespace) => {
            filters.push(("namespace", namespace.clone()));
            format!("/api/policy-denials{tail}")
        }
        Place::Repository { namespace, name } => {
            filters.retain(|(filter, _)| *filter != "repository");
            let (namespace, name) = (encode(namespace), encode(name));
            format!("/api/namespaces/{namespace}/repositories/{name}/policy-denials{tail}")
        }
        Place::Mine => format!("/api/my-denials{tail}"),
        // Who may read what lies in no namespace has it among all.
        Place::Here | Place::Everywhere | Place::NoNamespace => {
            format!("/api/policy-denials{tail}")
        }
    };
    (path, filters)
}

/// One page of a list.
pub(super) async fn page(
    client: &Client,
    path: &str,
    filters: &[Pair],
    size: u64,
    cursor: Option<&str>,
) -> Result<Page, Failure> {
    let mut pairs = filters.to_vec();
    pairs.push(("limit", size.to_string()));
    pairs.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    let mut page = client.json(&format!("{path}{}", query(&pairs))).await?;
    let items = match page["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    Ok(Page {
        items,
        cursor: page["cursor"].as_str().map(str::to_owned),
        total: page["total"].as_u64().unwrap_or(0),
        remaining: None,
        capped: page["totalCapped"] == true,
        replay: page["replay"] == true,
        partial: page["partial"] == true,
        incomplete: page["incomplete"] == true,
        denials_since: page["denialsSince"].as_str().map(str::to_owned),
    })
}

pub(super) async fn one(client: &Client, place: &Place, id: &str) -> Result<Value, Failure> {
    let ask = Ask {
        place: match place {
            // An id needs no namespace.
            Place::Namespace(_) => Place::Here,
            place => place.clone(),
        },
        filters: Vec::new(),
    };
    let (path, _) = denials(&ask, &format!("/{}", encode(id)));
    client.json(&path).await
}

/// The place of a list that was just read.
pub(super) async fn newest(client: &Client, ask: &Ask) -> Result<String, Failure> {
    let (path, mut filters) = denials(ask, "");
    filters.push(("limit", "1".to_owned()));
    let list = client.json(&format!("{path}{}", query(&filters))).await?;
    let version = list["version"].as_str().map(str::to_owned);
    version.ok_or_else(|| {
        Failure::CouldNot("the reporter does not say of when its list is; use a newer one".into())
    })
}

pub(super) async fn connect(
    client: &Client,
    ask: &Ask,
    version: Option<&str>,
) -> Result<Connection, Refused> {
    let (path, filters) = denials(ask, "/stream");
    let body = client
        .stream(&format!("{path}{}", query(&filters)), version)
        .await?;
    Ok(Connection::new(body, Form::Events))
}

fn id_of(item: &Value) -> String {
    encode(item["id"].as_str().unwrap_or_default())
}

/// Those of one's own denials are read where one may not read the namespace.
pub(super) async fn laws_of(client: &Client, item: &Value) -> Result<Vec<Value>, Failure> {
    let id = id_of(item);
    let path = format!("/api/policy-denials/{id}/law");
    let laws = match client.json_if_any(&path).await? {
        None => {
            client
                .json_if_any(&format!("/api/my-denials/{id}/law"))
                .await?
        }
        laws => laws,
    };
    Ok(laws
        .and_then(|mut laws| match laws["items"].take() {
            Value::Array(items) => Some(items),
            _ => None,
        })
        .unwrap_or_default())
}

pub(super) fn exhibit(item: &Value) -> String {
    format!("/api/policy-denials/{}/exhibit", id_of(item))
}

pub(super) async fn summary(client: &Client, ask: &Ask) -> Result<Value, Failure> {
    let (path, filters) = denials(ask, "/summary");
    client.json(&format!("{path}{}", query(&filters))).await
}

pub(super) async fn law(client: &Client, id: &str) -> Result<Value, Failure> {
    client.json(&format!("/api/laws/{}", encode(id))).await
}

/// Open gaps that may hide what is asked for.
pub(super) async fn open_gaps(client: &Client, about: &[Pair]) -> Option<Page> {
    let open = [("open", "true".to_owned())];
    let filters = [&open, about].concat();
    page(client, "/api/gaps", &filters, super::PAGE, None)
        .await
        .ok()
}
