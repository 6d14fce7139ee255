//! Who asks, as the API server's aggregator says in headers. They are believed on this
//! listener only, and only from a certificate that names the webhook, which takes them
//! from the aggregator's certificate alone.

use super::status::Failure;
use crate::doors::auth::Caller;
use crate::serve::Peer;
use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue};
use k8s_openapi::api::authentication::v1::UserInfo;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

const USER: HeaderName = HeaderName::from_static("x-remote-user");
const UID: HeaderName = HeaderName::from_static("x-remote-uid");
const GROUP: HeaderName = HeaderName::from_static("x-remote-group");
const EXTRA: &str = "x-remote-extra-";

/// Whoever the request is made for.
pub(super) fn caller(request: &Request, clients: &[String]) -> Result<Caller, Failure> {
    let peer = request.extensions().get::<Peer>();
    let name = peer.and_then(|peer| peer.0.as_deref());
    if !name.is_some_and(|name| clients.iter().any(|client| client == name)) {
        return Err(Failure::forbidden(format!(
            "requests are taken from the certificates of {} only (--api-client)",
            clients.join(", ")
        )));
    }
    user(request.headers()).map(Caller::of)
}

fn user(headers: &HeaderMap) -> Result<UserInfo, Failure> {
    let username = one(headers, &USER)?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Failure::unauthorized("the request names no user (X-Remote-User)"))?;
    let groups = headers.get_all(GROUP).iter().map(read);
    let groups: Vec<String> = groups.collect::<Result<_, _>>()?;
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let key = percent_decode_str(key)
                .decode_utf8()
                .map_err(|_| unreadable())?;
            extra
                .entry(key.to_lowercase())
                .or_default()
                .push(read(value)?);
        }
    }
    Ok(UserInfo {
        username: Some(username),
        uid: one(headers, &UID)?.filter(|uid| !uid.is_empty()),
        groups: Some(groups),
        extra: Some(extra).filter(|extra| !extra.is_empty()),
    })
}

/// Two values would leave it to each reader which one counts.
fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => read(value).map(Some),
        (Some(_), Some(_)) => Err(Failure::unauthorized(
            "the request names its user twice (X-Remote-User, X-Remote-Uid)",
        )),
    }
}

fn read(value: &HeaderValue) -> Result<String, Failure> {
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| unreadable())?;
    Ok(text.to_owned())
}

fn unreadable() -> Failure {
    Failure::unauthorized("the request's user cannot be read (X-Remote-…: not UTF-8)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        pairs.collect()
    }

    #[test]
    fn a_user_is_read_as_the_aggregator_writes_one() {
        let mut given = headers(&[
            ("x-remote-user", "zoë"),
            ("x-remote-uid", "u-1"),
            ("x-remote-extra-example.com%2fscopes", "view"),
        ]);
        for group in ["devs", "system:authenticated"] {
            given.append(GROUP, HeaderValue::from_static(group));
        }
        let user = user(&given).unwrap();
        assert_eq!(user.username.as_deref(), Some("zoë"));
        assert_eq!(user.uid.as_deref(), Some("u-1"));
        assert_eq!(user.groups.unwrap(), ["devs", "system:authenticated"]);
        assert_eq!(user.extra.unwrap()["example.com/scopes"], ["view"]);
    }

    #[test]
    fn a_request_that_names_no_user_or_two_is_nobodys() {
        let mut twice = headers(&[("x-remote-user", "anna")]);
        twice.append(USER, HeaderValue::from_static("bob"));
        let mut bytes = HeaderMap::new();
        bytes.insert(USER, HeaderValue::from_bytes(b"\xff").unwrap());
        for given in [
            HeaderMap::new(),
            headers(&[("x-remote-user", "")]),
            headers(&[("x-remote-group", "system:masters")]),
            twice,
            bytes,
        ] {
            assert_eq!(user(&given).unwrap_err().status()["code"], 401, "{given:?}");
        }
    }
}
