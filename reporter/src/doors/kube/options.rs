//! What a list or a watch is asked for: Kubernetes' ListOptions, each read or refused by
//! name. One that is silently ignored would show too much, or too little.

use super::status::Failure;
use crate::doors::params::shown;
use axum::extract::Query;
use http::Uri;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most objects on a page; more follow with `continue`.
pub(super) const MOST: u32 = 500;
/// Longest value of a parameter, in bytes.
const LONGEST: usize = 4096;

const ALLOWED: [&str; 13] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "includeObject",
    "labelSelector",
    "limit",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeout",
    "timeoutSeconds",
    "watch",
];

/// What stands beside the cells of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Include {
    /// The object's metadata, as everybody wants it.
    #[default]
    Metadata,
    /// The whole object.
    Object,
    /// Nothing.
    None,
}

/// How a version is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// As it was then.
    Exact,
    /// As it was then or later.
    NotOlderThan,
}

/// As asked; versions and selectors are still texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) watch: bool,
    pub(super) limit: u32,
    pub(super) token: Option<String>,
    /// `None` for none and for "0", which a ledger answers alike.
    pub(super) version: Option<String>,
    pub(super) matching: Option<Match>,
    pub(super) bookmarks: bool,
    pub(super) initial: Option<bool>,
    pub(super) timeout: Option<Duration>,
    pub(super) labels: String,
    pub(super) fields: String,
    pub(super) include: Include,
}

impl Options {
    pub(super) fn parse(uri: &Uri) -> Result<Options, Failure> {
        let mut given = pairs(uri)?;
        let mut take = |name: &str| given.remove(name);
        let watch = truth(take("watch"));
        let version = take("resourceVersion");
        let zero = version.as_deref() == Some("0");
        let options = Options {
            watch,
            limit: limit(take("limit"))?,
            token: take("continue").filter(|text| !text.is_empty()),
            version: version.filter(|text| !text.is_empty() && text != "0"),
            matching: matching(take("resourceVersionMatch"))?,
            bookmarks: truth(take("allowWatchBookmarks")),
            initial: take("sendInitialEvents").map(|text| truth(Some(text))),
            timeout: seconds(take("timeoutSeconds"))?,
            labels: take("labelSelector").unwrap_or_default(),
            fields: take("fieldSelector").unwrap_or_default(),
            include: include(take("includeObject"))?,
        };
        // How it is laid out, and how long the client waits, is all one here.
        take("pretty");
        take("timeout");
        if let Some(name) = given.keys().next() {
            let allowed = ALLOWED.join(", ");
            let message = format!("{}: unknown; allowed: {allowed}", shown(name));
            return Err(Failure::bad_request(message));
        }
        options.consistent(zero)?;
        Ok(options)
    }

    /// What Kubernetes' own storage refuses too.
    fn consistent(&self, zero: bool) -> Result<(), Failure> {
        let versioned = zero || self.version.is_some();
        let wrong = match (self.watch, self.initial, self.matching) {
            (true, Some(_), Some(Match::NotOlderThan)) | (true, None, None) => None,
            (true, Some(_), _) => {
                Some("sendInitialEvents: needs resourceVersionMatch=NotOlderThan")
            }
            (true, None, Some(_)) => {
                Some("resourceVersionMatch: needs sendInitialEvents on a watch")
            }
            (false, Some(_), _) => Some("sendInitialEvents: only on a watch"),
            (false, None, Some(_)) if self.token.is_some() => {
                Some("resourceVersionMatch: not with continue, which says the version")
            }
            (false, None, Some(_)) if !versioned => {
                Some("resourceVersionMatch: needs resourceVersion")
            }
            (false, None, Some(Match::Exact)) if zero => {
                Some("resourceVersionMatch: Exact needs a resourceVersion other than 0")
            }
            (false, None, _) if self.token.is_some() && self.version.is_some() => {
                Some("resourceVersion: not with continue, which says the version")
            }
            (false, None, _) => None,
        };
        let wrong = wrong
            .or_else(|| (self.watch && self.token.is_some()).then_some("continue: not on a watch"));
        wrong.map_or(Ok(()), |message| Err(Failure::bad_request(message)))
    }
}

fn pairs(uri: &Uri) -> Result<BTreeMap<String, String>, Failure> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Failure::bad_request("query: not name=value pairs joined by &"))?;
    let mut given = BTreeMap::new();
    for (name, value) in pairs {
        if value.len() > LONGEST {
            let message = format!("{}: must be at most {LONGEST} bytes", shown(&name));
            return Err(Failure::bad_request(message));
        }
        if given.contains_key(&name) {
            let message = format!("{}: must be given once", shown(&name));
            return Err(Failure::bad_request(message));
        }
        given.insert(name, value);
    }
    Ok(given)
}

/// As the API server reads it: what is there and not "0" or "false" is true.
fn truth(text: Option<String>) -> bool {
    text.is_some_and(|text| text != "0" && !text.eq_ignore_ascii_case("false"))
}

/// 0 is the API's word for "no limit".
fn limit(text: Option<String>) -> Result<u32, Failure> {
    let number = number("limit", text)?.unwrap_or(0);
    let number = u32::try_from(number).unwrap_or(MOST);
    Ok(if number == 0 { MOST } else { number.min(MOST) })
}

fn seconds(text: Option<String>) -> Result<Option<Duration>, Failure> {
    Ok(number("timeoutSeconds", text)?.map(Duration::from_secs))
}

fn number(name: &str, text: Option<String>) -> Result<Option<u64>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(Failure::bad_request(format!(
            "{name}: must be a number from 0"
        ))),
    }
}

fn matching(text: Option<String>) -> Result<Option<Match>, Failure> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some("Exact") => Ok(Some(Match::Exact)),
        Some("NotOlderThan") => Ok(Some(Match::NotOlderThan)),
        Some(_) => Err(Failure::bad_request(
            "resourceVersionMatch: must be one of Exact, NotOlderThan",
        )),
    }
}

fn include(text: Option<String>) -> Result<Include, Failure> {
    match text.as_deref() {
        None | Some("" | "Metadata") => Ok(Include::Metadata),
        Some("Object") => Ok(Include::Object),
        Some("None") => Ok(Include::None),
        Some(_) => Err(Failure::bad_request(
            "includeObject: must be one of Metadata, None, Object",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Options, String> {
        let uri = format!("/apis/docket.a5c.ai/v1/denials?{query}")
            .parse()
            .unwrap();
        Options::parse(&uri).map_err(|failure| failure.status()["message"].to_string())
    }

    #[test]
    fn what_kubectl_and_client_libraries_send_is_read() {
        let options = parse("limit=500").unwrap();
        assert_eq!((options.watch, options.limit), (false, 500));
        assert_eq!(
            parse("limit=0&pretty=true&timeout=32s").unwrap().limit,
            MOST
        );
        assert_eq!(parse("limit=100000").unwrap().limit, MOST);
        let options = parse("resourceVersion=0&watch=true&timeoutSeconds=290").unwrap();
        assert!(options.watch && options.version.is_none());
        assert_eq!(options.timeout, Some(Duration::from_secs(290)));
        let list = "allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan\
                    &sendInitialEvents=true&watch=true&resourceVersion=";
        assert_eq!(parse(list).unwrap().initial, Some(true));
        assert!(parse("watch").unwrap().watch);
        assert!(!parse("watch=False").unwrap().watch);
        assert!(parse("resourceVersion=0&resourceVersionMatch=NotOlderThan").is_ok());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (query, named) in [
            ("colour=red", "colour"),
            ("limit=-1", "limit"),
            ("limit=%2B1", "limit"),
            ("limit=1&limit=2", "limit"),
            ("timeoutSeconds=soon", "timeoutSeconds"),
            (
                "resourceVersionMatch=Newest&resourceVersion=1",
                "resourceVersionMatch",
            ),
            ("resourceVersionMatch=Exact", "resourceVersionMatch"),
            (
                "resourceVersionMatch=Exact&resourceVersion=0",
                "resourceVersionMatch",
            ),
            (
                "watch=1&resourceVersionMatch=NotOlderThan",
                "resourceVersionMatch",
            ),
            ("watch=1&sendInitialEvents=true", "sendInitialEvents"),
            ("sendInitialEvents=true", "sendInitialEvents"),
            ("continue=abc&resourceVersion=7", "resourceVersion"),
            ("continue=abc&watch=1", "continue"),
            ("includeObject=All", "includeObject"),
        ] {
            let message = parse(query).unwrap_err();
            assert!(
                message.starts_with(&format!("\"{named}: ")),
                "{query}: {message}"
            );
        }
        assert!(
            parse("colour=red")
                .unwrap_err()
                .contains("labelSelector, limit")
        );
    }
}
