//! The answer to a review: allowed, at once, whatever it was; with a testimony if it
//! could be read and there is a key to swear with.
//!
//! Never a denial, never a patch, never `Retry-After`: kube-apiserver would call again.

use crate::body::{self, Read};
use crate::collections::{Reviewed, Whose};
use crate::labels::{Cause, Hook, Operation, Outcome};
use crate::witness::{Place, Witness};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use axum::routing::post;
use axum::{Router, response::IntoResponse};
use bytes::Bytes;
use docket_host::RequestStart;
use docket_record::denial::Context;
use docket_record::review::{self, Review};
use docket_record::testimony::{FINAL, Keys, Testimony, WITNESS};
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Above this a body is worth telling the runtime that this thread is busy for a while.
const LONG_READ: usize = 1 << 20;
/// Longest name part of an annotation's key.
const KEY_LIMIT: usize = 63;

/// The two hooks.
pub fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/mutate", post(mutate))
        .route("/validate", post(validate))
        .with_state(witness)
}

async fn mutate(State(witness): State<Arc<Witness>>, request: Request) -> Response {
    answer(&witness, Hook::Witness, request).await
}

async fn validate(State(witness): State<Arc<Witness>>, request: Request) -> Response {
    answer(&witness, Hook::Final, request).await
}

async fn answer(witness: &Witness, hook: Hook, request: Request) -> Response {
    let arrived = request.extensions().get::<RequestStart>();
    let began = arrived.map_or_else(Instant::now, |arrived| arrived.0);
    let call = Call {
        began,
        deadline: patience(request.uri()).and_then(|patience| began.checked_add(patience)),
    };
    let left = |at: Instant| at.saturating_duration_since(Instant::now());
    let within = witness
        .body_timeout
        .min(call.deadline.map_or(Duration::MAX, left));
    // If the caller hangs up, hyper drops this future.
    let answer = match body::read(request.into_body(), &witness.bodies, within).await {
        Read::Whole(held) if held.bytes.len() > LONG_READ => {
            tokio::task::block_in_place(|| consider(witness, hook, &held.bytes, call))
        }
        Read::Whole(held) => consider(witness, hook, &held.bytes, call),
        Read::Head(head, short) => unreadable(witness, hook, short.into(), &head),
    };
    witness.metrics.took(hook, began.elapsed());
    let mut response = Body::from(answer).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// One call of a hook.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// The head of its request was here.
    began: Instant,
    /// Then kube-apiserver waits no longer, if it says when.
    deadline: Option<Instant>,
}

impl Call {
    fn is_late(self) -> bool {
        self.deadline.is_some_and(|at| Instant::now() >= at)
    }

    /// When it began, by the clock.
    fn arrived(self, now: Timestamp) -> Timestamp {
        let since = SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        now.checked_sub(since).unwrap_or(now)
    }
}

/// How long kube-apiserver waits for the answer: whole seconds, as it says in the URL. It
/// counts from before the request's head is here, so its own end is never later than ours.
fn patience(uri: &Uri) -> Option<Duration> {
    let mut parameters = uri.query()?.split('&');
    let timeout = parameters.find_map(|one| one.strip_prefix("timeout="))?;
    let timeout: SignedDuration = timeout.parse().ok()?;
    Duration::try_from(timeout)
        .ok()
        .filter(|time| !time.is_zero())
}

/// Reads and swears; a fault of ours is an answer without testimony, not a lost call.
fn consider(witness: &Witness, hook: Hook, body: &Bytes, call: Call) -> Vec<u8> {
    guarded(|| swear(witness, hook, body, call)).unwrap_or_else(|| {
        tracing::error!(hook = ?hook, bytes = body.len(), "a review made the witness panic; it was allowed");
        unreadable(witness, hook, Cause::Panic, body)
    })
}

fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What `work` touches besides its own values is locks that hold valid values between
    // any two statements, and counters.
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn unreadable(witness: &Witness, hook: Hook, cause: Cause, body: &[u8]) -> Vec<u8> {
    witness.metrics.unreadable(hook, cause);
    let uid = guarded(|| review::find_uid(body)).unwrap_or(Cow::Borrowed(""));
    review::answer(&uid, "", None)
}

fn swear(witness: &Witness, hook: Hook, body: &Bytes, call: Call) -> Vec<u8> {
    let review = match Review::parse(body) {
        Ok(review) => review,
        Err(error) => return unreadable(witness, hook, error.into(), body),
    };
    if !is_key(&review.uid) {
        witness.metrics.unreadable(hook, Cause::Uid);
        return review::answer(&review.uid, &review.api_version, None);
    }
    let time = Timestamp::now();
    let collection = review.is_collection();
    if collection {
        witness
            .collections
            .remember(whose(&review), reviewed(&review, call.arrived(time)));
    }
    let operation = Operation::of(&review.operation);
    let plain = |outcome| {
        witness.metrics.answered(hook, operation, outcome);
        review::answer(&review.uid, &review.api_version, None)
    };
    let keys = witness.keys.load();
    let Some(key_id) = keys.newest() else {
        return plain(Outcome::Keyless);
    };
    let (context, place) = if collection {
        (Context::default(), None)
    } else {
        let (context, place) = context(witness, hook, &review);
        (context, Some(place))
    };
    let mut testimony = Testimony {
        key_id: key_id.to_owned(),
        process: witness.process.clone(),
        number: None,
        time,
        operation: review.operation.clone().into_owned(),
        dry_run: review.dry_run,
        old_uid: if collection {
            String::new()
        } else {
            review.old.uid.clone().into_owned()
        },
        context,
        generated_name: match hook {
            Hook::Witness => String::new(),
            Hook::Final => review.generated_name().to_owned(),
        },
        exhibit: if collection {
            (0, String::new())
        } else {
            exhibit(witness, &keys, &review, body)
        },
    };
    let name = match hook {
        Hook::Witness => WITNESS,
        Hook::Final => FINAL,
    };
    let bound = review.bound(&witness.config.cluster, name);
    if call.is_late() {
        return plain(Outcome::Late);
    }
    // Last of all: a number is only given to a testimony that is certain to follow, and to
    // an answer that is waited for. One that comes back to nobody is a gap.
    if !collection {
        let number = witness.next_number();
        testimony.number = Some(number);
        if let Some(numbered) = &witness.numbered {
            numbered.remember(number, hook.into(), time, &review, &bound);
        }
    }
    if let (Hook::Witness, Some(place)) = (hook, place) {
        witness.sworn.note(place);
    }
    let Some(sworn) = keys.sign(&testimony, &bound) else {
        return plain(Outcome::Keyless);
    };
    let outcome = if collection {
        Outcome::Collection
    } else {
        Outcome::Sworn
    };
    witness.metrics.answered(hook, operation, outcome);
    review::answer(
        &review.uid,
        &review.api_version,
        Some((review.annotation_key(), &sworn)),
    )
}

/// Krate's terms, and their place among what was sworn. From the validating hook only what
/// the mutating one did not swear to.
fn context(witness: &Witness, hook: Hook, review: &Review<'_>) -> (Context, Place) {
    let context = review.context(&witness.config);
    // The name is not there yet in the mutating phase if the API server makes it.
    let name = if review.new.generate_name.is_empty() {
        &review.name
    } else {
        &review.new.generate_name
    };
    let request = (
        (
            &review.operation,
            &review.group,
            &review.resource,
            &review.subresource,
        ),
        (&review.namespace, name, &review.username),
    );
    let facts = (
        (
            &context.org,
            &context.repository,
            &context.pull_request,
            &context.run,
        ),
        (&context.environment, &context.surface, context.claimed),
    );
    let place = witness.sworn.place(request, facts);
    if hook == Hook::Final && witness.sworn.said(place) {
        return (Context::default(), place);
    }
    (context, place)
}

/// Keeps the object, and gives its length and digest.
fn exhibit(witness: &Witness, keys: &Keys, review: &Review<'_>, body: &Bytes) -> (u64, String) {
    // What a DELETE is about is the object as it was.
    let (object, replaced) = match &*review.operation {
        "CREATE" => (review.object, None),
        "UPDATE" => (review.object, review.old_object),
        "DELETE" => (review.old_object, None),
        // The command line of an exec: nothing in it tells a secret from a word.
        _ => (None, None),
    };
    let secret = review.kind == "Secret" || review.resource == "secrets";
    let Some(object) = object.filter(|object| object.len() > 2 && !secret) else {
        return (0, String::new());
    };
    if !witness.exhibits.keep(&review.uid, body, object, replaced) {
        return (0, String::new());
    }
    let digest = keys.digest_of_exhibit(object).unwrap_or_default();
    (object.len() as u64, digest)
}

fn whose<'a>(review: &'a Review<'_>) -> Whose<'a> {
    Whose {
        user: &review.username,
        group: &review.group,
        resource: &review.resource,
        namespace: &review.namespace,
    }
}

fn reviewed(review: &Review<'_>, time: Timestamp) -> Reviewed {
    Reviewed {
        name: review.old.name.clone().into_owned(),
        uid: review.old.uid.clone().into_owned(),
        review_uid: review.uid.clone().into_owned(),
        time,
    }
}

/// True if the API server would take it as the name part of an annotation's key.
fn is_key(uid: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    uid.len() <= KEY_LIMIT
        && ends(uid.as_bytes().first())
        && ends(uid.as_bytes().last())
        && uid
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_without_testimony() {
        assert_eq!(guarded(|| 1), Some(1));
        let caught = guarded(|| -> Vec<u8> { panic!("a fault of ours") });
        assert_eq!(caught, None);
    }

    fn call(deadline: Option<Instant>) -> Call {
        Call {
            began: Instant::now(),
            deadline,
        }
    }

    const REVIEW: &[u8] =
        br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{
        "uid":"7d0d4a3e-0000-4000-8000-000000000001","kind":{"kind":"Issue"},"name":"i",
        "resource":{"group":"krate.a5c.ai","version":"v1","resource":"issues"},
        "namespace":"krate-org-acme","operation":"UPDATE","userInfo":{"username":"\u00fc"},
        "object":{"metadata":{"generateName":"i-","labels":{"a":"b"}},"spec":{"repository":"r"}},
        "oldObject":{"metadata":{"uid":"o"}},"dryRun":true}}"#;

    fn witness() -> Witness {
        let config = docket_record::examine::Config {
            cluster: "c".to_owned(),
            krate_group: "krate.a5c.ai".to_owned(),
            label_prefix: "krate.a5c.ai/".to_owned(),
            org_namespace_prefix: "krate-org-".to_owned(),
            clock_tolerance: jiff::SignedDuration::ZERO,
        };
        let process = docket_record::testimony::Process {
            instance: "pod-1".to_owned(),
            started: 1,
        };
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("k1"), "5a".repeat(32)).unwrap();
        let keys = docket_host::KeyDirectory::open(dir.path().to_owned()).unwrap();
        let time = std::time::Duration::from_secs(1);
        Witness::new(process, config, keys, None, 1 << 20, 1 << 20, time)
    }

    #[test]
    fn no_cut_and_no_wrong_byte_makes_anything_but_an_allowed_answer() {
        let whole = REVIEW;
        let witness = witness();
        let mut cases: Vec<Vec<u8>> = (0..=whole.len()).map(|end| whole[..end].to_vec()).collect();
        for at in 0..whole.len() {
            for wrong in [0, b'"', b'\\', b'{', b'}', b'[', b']', b',', 0xff] {
                let mut case = whole.to_vec();
                case[at] = wrong;
                cases.push(case);
            }
        }
        for (at, case) in cases.into_iter().enumerate() {
            let hook = if at % 2 == 0 {
                Hook::Witness
            } else {
                Hook::Final
            };
            let answer = consider(&witness, hook, &Bytes::from(case), call(None));
            let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["kind"], "AdmissionReview");
            assert_eq!(answer["response"]["allowed"], true);
            assert!(answer["response"]["uid"].is_string());
            assert!(answer["response"].get("patch").is_none());
        }
        let page = witness.metrics.page(&witness);
        assert!(
            page.contains("docket_witness_unreadable_total{cause=\"panic\"} 0"),
            "{page}"
        );
        assert!(witness.last_number() > 1_000);
    }

    #[test]
    fn an_answer_after_the_deadline_has_no_testimony_and_takes_no_number() {
        let witness = witness();
        let body = Bytes::from_static(REVIEW);
        let now = Instant::now();
        for (deadline, numbered) in [
            (Some(now), 0),
            (now.checked_add(Duration::from_secs(60)), 1),
            (None, 2),
        ] {
            let answer = consider(&witness, Hook::Final, &body, call(deadline));
            let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["response"]["allowed"], true);
            let annotations = answer["response"].get("auditAnnotations");
            assert_eq!(annotations.is_some(), numbered > 0);
            assert_eq!(witness.last_number(), numbered);
        }
        let page = witness.metrics.page(&witness);
        let late = "hook=\"final\",operation=\"UPDATE\",result=\"late\"} 1";
        assert!(page.contains(late), "{page}");
    }

    #[tokio::test]
    async fn a_caller_that_has_hung_up_takes_no_number() {
        use tokio::io::AsyncWriteExt as _;
        for (hung_up, numbered) in [(true, 0), (false, 1)] {
            let witness = Arc::new(witness());
            let (mut caller, server) = tokio::io::duplex(1 << 16);
            let head = format!(
                "POST /mutate?timeout=1s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                REVIEW.len()
            );
            caller.write_all(head.as_bytes()).await.unwrap();
            caller.write_all(REVIEW).await.unwrap();
            if hung_up {
                caller.shutdown().await.unwrap();
            }
            let router = router(Arc::clone(&witness));
            let service = hyper_util::service::TowerToHyperService::new(router);
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(server), service)
                .await;
            assert_eq!(served.is_err(), hung_up);
            assert_eq!(witness.last_number(), numbered);
        }
    }

    #[test]
    fn the_time_that_the_api_server_waits_is_read_from_its_url() {
        let patience = |uri: &str| patience(&uri.parse().unwrap());
        for (uri, seconds) in [
            ("/mutate?timeout=1s", 1),
            ("/validate?a=b&timeout=30s", 30),
            ("/validate?timeout=1m0s", 60),
            ("/validate?timeout=1m30s&c", 90),
        ] {
            assert_eq!(patience(uri), Some(Duration::from_secs(seconds)), "{uri}");
        }
        for uri in [
            "/mutate",
            "/mutate?timeout=",
            "/mutate?timeout=0s",
            "/mutate?timeout=-1s",
            "/mutate?timeout=soon",
            "/mutate?xtimeout=1s",
        ] {
            assert_eq!(patience(uri), None, "{uri}");
        }
    }

    #[test]
    fn only_what_can_be_an_annotation_key_is_sworn_to() {
        assert!(is_key("0df28fbd-5f5f-11e8-bc74-36e6bb280816"));
        for bad in ["", "-a", "a-", "a/b", "ü", "a b", &"a".repeat(64)] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }
}
