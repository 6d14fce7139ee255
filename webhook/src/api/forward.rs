//! A request on its way to the reporter, and the head of the answer on its way back.
//!
//! Both ways only headers pass that are named here. Who asks is what the API server says
//! (`X-Remote-*`); a caller's own credentials, cookies and hints of proxies have done their
//! work there.

use super::client::ReporterFiles;
use super::concurrency::{ConcurrencyLimit, Limit, Permit};
use super::counts::{Asked, Cause, Counts};
use super::status;
use super::stream::{Kind, Stream};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use docket_host::ReloadingTls;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER, UPGRADE, USER_AGENT, VARY, WARNING,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, Uri};
use http_body_util::Empty;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout_at;

const REMOTE_USER: HeaderName = HeaderName::from_static("x-remote-user");
/// Before the names of what else is known of who asks.
const REMOTE_EXTRA: &str = "x-remote-extra-";
/// Headers of a request that pass, beside those.
const THERE: [HeaderName; 6] = [
    REMOTE_USER,
    HeaderName::from_static("x-remote-group"),
    HeaderName::from_static("x-remote-uid"),
    ACCEPT,
    USER_AGENT,
    HeaderName::from_static("audit-id"),
];
/// Headers of an answer that pass.
const BACK: [HeaderName; 7] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    ETAG,
    RETRY_AFTER,
    VARY,
    WARNING,
    HeaderName::from_static("audit-id"),
];

/// A request that may go.
struct Ready {
    request: http::Request<Empty<Bytes>>,
    kind: Kind,
    permit: Permit,
}

/// What forwarding needs.
pub struct Forward {
    authority: Authority,
    reporter: Arc<ReloadingTls<ReporterFiles>>,
    watches: Arc<ConcurrencyLimit>,
    calls: Arc<ConcurrencyLimit>,
    patience: Duration,
    counts: Counts,
    ending: watch::Receiver<bool>,
    /// Changes are told, not every failure.
    reached: AtomicBool,
}

impl Forward {
    /// A way to the reporter.
    pub fn new(
        authority: Authority,
        reporter: Arc<ReloadingTls<ReporterFiles>>,
        watches: Arc<ConcurrencyLimit>,
        calls: Arc<ConcurrencyLimit>,
        patience: Duration,
        counts: Counts,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            authority,
            reporter,
            watches,
            calls,
            patience,
            counts,
            ending,
            reached: AtomicBool::new(true),
        }
    }

    /// Asks the reporter; the answer is given on as it comes.
    pub async fn call(&self, request: Request) -> (Asked, Response) {
        let began = Instant::now();
        let asked = if is_watch(request.uri().query()) {
            Asked::Watch
        } else {
            Asked::Read
        };
        let ready = self.ready(asked, &request, began);
        // The caller has nothing to say beyond its head.
        drop(request);
        let answer = match ready {
            Ok(ready) => self.ask(ready, began).await,
            Err(refused) => Err(refused),
        };
        self.counts.took(asked, began.elapsed());
        let answer = answer.unwrap_or_else(|cause| {
            self.counts.refused(cause);
            status::of(cause)
        });
        (asked, answer)
    }

    fn ready(&self, asked: Asked, request: &Request, began: Instant) -> Result<Ready, Cause> {
        let headers = request.headers();
        if headers.contains_key(UPGRADE) {
            return Err(Cause::Upgrade);
        }
        let user = user(headers).ok_or(Cause::Identity)?;
        let (limit, kind) = match asked {
            Asked::Watch => (&self.watches, Kind::Watch(self.ending.clone())),
            _ => (&self.calls, Kind::Call(began + self.patience)),
        };
        let request = self.request(request).ok_or(Cause::Path)?;
        let permit = limit.acquire(user).map_err(|limit| match limit {
            Limit::Global => Cause::Full,
            Limit::User => Cause::Share,
        })?;
        Ok(Ready {
            request,
            kind,
            permit,
        })
    }

    async fn ask(&self, ready: Ready, began: Instant) -> Result<Response, Cause> {
        let deadline = (began + self.patience).into();
        let asking = self.reporter.current().request(ready.request);
        let answer = match timeout_at(deadline, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                if self.reached.swap(false, Relaxed) {
                    let error = anyhow::Error::new(error);
                    tracing::warn!(reporter = %self.authority, "the reporter cannot be asked: {error:#}");
                }
                return Err(Cause::Unreachable);
            }
            Err(_) => return Err(Cause::Slow),
        };
        if !self.reached.swap(true, Relaxed) {
            tracing::info!(reporter = %self.authority, "the reporter answers again");
        }
        let (mut head, body) = answer.into_parts();
        head.headers = passing(&head.headers, |name| BACK.contains(name));
        head.extensions.clear();
        head.version = http::Version::default();
        let body = Stream::new(body, ready.kind, ready.permit, self.counts.clone());
        Ok(Response::from_parts(head, Body::new(body)))
    }

    /// The same request without a body, to the reporter.
    fn request(&self, request: &Request) -> Option<http::Request<Empty<Bytes>>> {
        let path = request.uri().path_and_query();
        let uri = Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(self.authority.clone())
            .path_and_query(path.cloned().unwrap_or(PathAndQuery::from_static("/")))
            .build()
            .ok()?;
        let mut there = http::Request::new(Empty::new());
        *there.uri_mut() = uri;
        *there.headers_mut() = passing(request.headers(), |name| {
            name.as_str().starts_with(REMOTE_EXTRA) || THERE.contains(name)
        });
        Some(there)
    }
}

fn passing(headers: &HeaderMap, pass: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let all = headers.iter().filter(|(name, _)| pass(name));
    let mut passed = HeaderMap::new();
    for (name, value) in all {
        passed.append(name, value.clone());
    }
    passed
}

/// Who asks. Said twice, it is not known which of the two the API server has allowed.
fn user(headers: &HeaderMap) -> Option<&[u8]> {
    let mut users = headers.get_all(REMOTE_USER).iter();
    let user = users.next().map(http::HeaderValue::as_bytes)?;
    (users.next().is_none() && !user.is_empty()).then_some(user)
}

/// As the API server reads it: there, and not false.
fn is_watch(query: Option<&str>) -> bool {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| match pair.split_once('=') {
            Some(("watch", value)) => Some(value),
            None if pair == "watch" => Some(""),
            _ => None,
        })
        .any(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_what_the_api_server_takes_for_one() {
        for yes in [
            "watch=true",
            "watch=1",
            "limit=5&watch=True",
            "watch",
            "watch=",
        ] {
            assert!(is_watch(Some(yes)), "{yes}");
        }
        for no in ["", "watch=false", "watch=0", "limit=5", "unwatch=true"] {
            assert!(!is_watch(Some(no)), "{no}");
        }
        assert!(!is_watch(None));
    }

    #[test]
    fn who_asks_is_said_once_or_not_known() {
        let of = |users: &[&str]| {
            let mut headers = HeaderMap::new();
            for user in users {
                headers.append(REMOTE_USER, user.parse().unwrap());
            }
            user(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(of(&["ann"]), Some(b"ann".to_vec()));
        assert_eq!(of(&["ann", "root"]), None);
        assert_eq!(of(&[""]), None);
        assert_eq!(of(&[]), None);
    }
}
