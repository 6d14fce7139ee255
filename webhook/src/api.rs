//! The webhook's side of the aggregated API `docket.a5c.ai/v1`.
//!
//! kube-apiserver sends every request for the group here. What must stand while the
//! reporter is down is answered from memory (`documents`: discovery, OpenAPI, health): an
//! API that does not tell what it holds keeps every namespace of the cluster from being
//! deleted. All else is forwarded to the reporter (`forward`), who decides what the caller
//! sees; who that is, is said by headers, so that nobody but the API server's front proxy
//! gets through the handshake.
//!
//! Readers must never cost a writer anything: this listener has threads of its own, of lower
//! priority than those that answer reviews, its own connections, and limits of watches and
//! of calls (`concurrency`).

mod client;
mod concurrency;
mod counts;
mod documents;
mod forward;
mod status;
mod stream;

pub use client::ReporterFiles;
pub use concurrency::ConcurrencyLimit;
pub use counts::{Asked, Counts};

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use counts::Cause;
use docket_host::{Listener, ListenerConfig, ReloadingTls, RunningListener};
use docket_record::api::PREFIX;
use documents::Documents;
use forward::Forward;
use http::Method;
use http::uri::Authority;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

/// Threads of the listener: one copies what thousands of watches get, the other answers
/// meanwhile.
const THREADS: usize = 2;
/// Added to their nice value: reviews go first where processors are short.
const NICENESS: i32 = 10;

/// Where the reporter is, and what readers may cost.
pub struct Setting {
    /// Where the API server calls; our certificate, and the front proxy's authority.
    pub listener: ListenerConfig,
    /// Where the reporter listens for us.
    pub authority: Authority,
    /// The client, with our certificate for it.
    pub reporter: Arc<ReloadingTls<ReporterFiles>>,
    /// Watches at one time.
    pub watches: Arc<ConcurrencyLimit>,
    /// Other requests at one time.
    pub calls: Arc<ConcurrencyLimit>,
    /// In it a call must be answered in full, and a watch have begun.
    pub patience: Duration,
    /// What is counted.
    pub counts: Counts,
}

/// Threads of their own. They may be given up anywhere: a runtime that is dropped waits for
/// its threads, which is forbidden where others are served.
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("api")
            .on_thread_start(yield_to_reviews)
            .enable_all()
            .build()
            .context("cannot start the threads of the API")?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The listener with its threads, bound and not yet serving.
pub struct Api {
    threads: Threads,
    listener: Listener,
    ending: watch::Sender<bool>,
}

/// The listener while it serves.
#[must_use = "a listener that is not drained drops its callers"]
pub struct RunningApi {
    threads: Threads,
    /// The accept loop.
    pub listener: RunningListener,
    ending: watch::Sender<bool>,
}

struct Answerer {
    documents: Documents,
    forward: Forward,
    counts: Counts,
}

impl Api {
    /// Starts the threads and binds.
    pub fn bind(setting: Setting) -> anyhow::Result<Self> {
        let threads = Threads::start()?;
        let (ending, ended) = watch::channel(false);
        let address = setting.listener.address;
        let answerer = Answerer {
            documents: Documents::new(),
            counts: setting.counts.clone(),
            forward: Forward::new(
                setting.authority,
                setting.reporter,
                setting.watches,
                setting.calls,
                setting.patience,
                setting.counts,
                ended,
            ),
        };
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::new(answerer));
        // The listener belongs to the threads that accept on it.
        let entered = threads.handle.enter();
        let listener = Listener::bind(setting.listener, router)
            .with_context(|| format!("cannot listen on --api-listen {address}"))?;
        drop(entered);
        Ok(Self {
            threads,
            listener,
            ending,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.address()
    }

    /// Begins to serve.
    pub fn start(self) -> RunningApi {
        let entered = self.threads.handle.enter();
        let listener = self.listener.start();
        drop(entered);
        RunningApi {
            threads: self.threads,
            listener,
            ending: self.ending,
        }
    }
}

impl RunningApi {
    /// Ends the watches between two events, lets calls end, and closes. False: some did not
    /// end in time and were cut off.
    pub async fn drain(self) -> bool {
        self.ending.send_replace(true);
        let whole = self.threads.handle.spawn(self.listener.drain()).await;
        whole.unwrap_or(false)
    }
}

/// Every thread has a nice value of its own on Linux.
fn yield_to_reviews() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!("a thread of the API has the priority of all others: {error}");
    }
}

impl Answerer {
    fn refused(&self, cause: Cause) -> (Asked, Response) {
        self.counts.refused(cause);
        (Asked::Other, status::of(cause))
    }
}

async fn answer(State(api): State<Arc<Answerer>>, request: Request) -> Response {
    let path = request.uri().path();
    // The API server leaves out what it does not need, a slash at the end included.
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let below = trimmed
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix('/'));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let (asked, answer) = match below {
        None => match api.documents.get(trimmed) {
            Some(document) if reads => (document.asked, document.answer(request.headers())),
            Some(document) => (document.asked, status::method_not_allowed()),
            None => (Asked::Other, status::not_found(path)),
        },
        // Everything here is to read: a write needs no reporter to be refused.
        Some(_) if *request.method() != Method::GET => api.refused(Cause::Method),
        Some(below) if !is_plain(below) => api.refused(Cause::Path),
        Some(_) => api.forward.call(request).await,
    };
    api.counts.answered(asked, answer.status());
    answer
}

/// Names of this API are letters, digits, dashes and dots. Anything else might be read as
/// another path by the reporter than the one that the API server has allowed.
fn is_plain(below: &str) -> bool {
    below.split('/').all(|segment| {
        let plain = segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':'));
        plain && !matches!(segment, "" | "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_paths_with_one_reading_are_forwarded() {
        for good in [
            "denials",
            "namespaces/krate-org-acme/denials/abc234",
            "namespaces/a/repositories/Web_2.0/denials",
        ] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "namespaces//denials",
            "namespaces/a/../b/denials",
            "namespaces/a/./denials",
            "namespaces/a%2fb/denials",
            "namespaces/a/denials/%2e%2e",
            "namespaces/a\\b/denials",
            "denials;x=1",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
