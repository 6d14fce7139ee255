//! A front end that asks for its user: `Impersonate-User`, `-Group`, `-Uid` and
//! `-Extra-*`, with the meaning that they have to kube-apiserver.
//!
//! Each name must be one that the front end's own account may `impersonate`, the groups
//! and extras too: without that check any account could read as anybody.

use super::auth::{Caller, Permission};
use super::error::Refusal;
use http::{HeaderMap, HeaderName};
use k8s_openapi::api::authentication::v1::UserInfo;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

const PREFIX: &str = "impersonate-";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// Most names in one request: each is a question to the API server.
const MOST: usize = 64;

/// Where users are named beyond their names and groups.
const AUTHENTICATION: &str = "authentication.k8s.io";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// For whom a request is made, and what must be allowed to whoever makes it.
#[derive(Debug)]
pub(super) struct Impersonation {
    /// For whom.
    pub(super) user: UserInfo,
    /// All of these.
    pub(super) needs: Vec<Permission>,
}

impl Impersonation {
    /// `None` if the request is made for nobody else.
    ///
    /// # Errors
    /// 400 for headers that can't be read, or that name no user.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Impersonation>, Refusal> {
        let asked: Vec<&str> = headers
            .keys()
            .map(HeaderName::as_str)
            .filter(|name| name.starts_with(PREFIX))
            .collect();
        if asked.is_empty() {
            return Ok(None);
        }
        if let Some(unknown) = asked.into_iter().find(|name| !is_known(name)) {
            return Err(Refusal::bad_request(format!(
                "{unknown}: unknown; allowed: {USER}, {GROUP}, {UID}, {EXTRA}*"
            )));
        }
        let one = |name: &str| -> Result<Option<String>, Refusal> {
            let mut values = values(headers, name)?;
            match values.len() {
                0 | 1 => Ok(values.pop()),
                _ => Err(Refusal::bad_request(format!("{name}: must be given once"))),
            }
        };
        let Some(name) = one(USER)? else {
            return Err(Refusal::bad_request(format!(
                "{USER}: must be given where another impersonate header is"
            )));
        };
        let uid = one(UID)?;
        let groups = values(headers, GROUP)?;
        let mut extra = BTreeMap::new();
        for header in headers.keys().map(HeaderName::as_str) {
            if let Some(key) = header.strip_prefix(EXTRA) {
                let key = percent_decode_str(key).decode_utf8();
                let key = key.map_err(|_| not_text(header))?.into_owned();
                let more = values(headers, header)?;
                extra.entry(key).or_insert_with(Vec::new).extend(more);
            }
        }
        let needs = needs(&name, uid.as_deref(), &groups, &extra);
        if needs.len() > MOST {
            return Err(Refusal::bad_request(format!(
                "{GROUP}: at most {MOST} names in one request"
            )));
        }
        Ok(Some(Impersonation {
            user: UserInfo {
                groups: Some(with_own(&name, groups)),
                username: Some(name),
                uid,
                extra: Some(extra).filter(|extra| !extra.is_empty()),
            },
            needs,
        }))
    }

    /// The caller that it stands for, once all that it needs is allowed.
    pub(super) fn caller(self) -> Caller {
        Caller::of(self.user)
    }
}

fn is_known(name: &str) -> bool {
    [USER, GROUP, UID].contains(&name) || name.len() > EXTRA.len() && name.starts_with(EXTRA)
}

fn not_text(name: &str) -> Refusal {
    Refusal::bad_request(format!("{name}: must be text"))
}

/// Values of a header, none of them empty.
fn values(headers: &HeaderMap, name: &str) -> Result<Vec<String>, Refusal> {
    let read = |value: &http::HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok("") => Err(Refusal::bad_request(format!("{name}: must not be empty"))),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(not_text(name)),
    };
    headers.get_all(name).iter().map(read).collect()
}

fn needs(
    name: &str,
    uid: Option<&str>,
    groups: &[String],
    extra: &BTreeMap<String, Vec<String>>,
) -> Vec<Permission> {
    let of = |group: &str, resource, name: &str| Permission {
        verb: "impersonate",
        group: group.to_owned(),
        resource,
        subresource: String::new(),
        namespace: None,
        name: Some(name.to_owned()),
    };
    let account = name
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|rest| rest.split_once(':'));
    let mut needs = vec![match account {
        Some((namespace, name)) => Permission {
            namespace: Some(namespace.to_owned()),
            ..of("", "serviceaccounts", name)
        },
        None => of("", "users", name),
    }];
    needs.extend(groups.iter().map(|group| of("", "groups", group)));
    needs.extend(uid.map(|uid| of(AUTHENTICATION, "uids", uid)));
    for (key, values) in extra {
        needs.extend(values.iter().map(|value| Permission {
            subresource: key.clone(),
            ..of(AUTHENTICATION, "userextras", value)
        }));
    }
    needs
}

/// The groups, with those that every user of the kind is in.
fn with_own(name: &str, mut groups: Vec<String>) -> Vec<String> {
    const AUTHENTICATED: &str = "system:authenticated";
    const UNAUTHENTICATED: &str = "system:unauthenticated";
    if groups.is_empty()
        && let Some((namespace, _)) = name
            .strip_prefix(SERVICE_ACCOUNT)
            .and_then(|rest| rest.split_once(':'))
    {
        groups.push("system:serviceaccounts".to_owned());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    let known = name != "system:anonymous";
    let said = groups
        .iter()
        .any(|group| group == UNAUTHENTICATED || known && group == AUTHENTICATED);
    if !said {
        let own = if known {
            AUTHENTICATED
        } else {
            UNAUTHENTICATED
        };
        groups.push(own.to_owned());
    }
    groups
}
