//! The loop against a double of the API server, and a ledger that the test plays.

use super::table::ABSENCES;
use super::*;
use crate::gaps::{Gap, json as row};
use crate::health::Health;
use crate::intake::law_writes::{LawWrites, WRITES};
use crate::writer::ByHand;
use bytes::Bytes;
use docket_ledger::store::{Options, Store};
use docket_record::law::{AWAY, Entry, PENDING};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

const POLICIES: &str = "/apis/policies.kyverno.io/v1/validatingpolicies";

fn policy(action: &str, version: u64) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "p", "uid": "u", "generation": version,
            "resourceVersion": version.to_string()},
        "spec": {"validationActions": [action]},
    })
}

type Body = BoxBody<Bytes, Infallible>;

/// An API server with one kind of policy.
#[derive(Clone, Default)]
struct Double {
    objects: Arc<Mutex<Vec<Value>>>,
    /// To the watch that was opened last.
    watch: Arc<Mutex<Option<mpsc::UnboundedSender<Value>>>>,
    lists: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Double {
    fn client(&self) -> Client {
        let double = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let double = double.clone();
            async move {
                if double.hangs.load(Ordering::Relaxed) && request.uri().path() == "/version" {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(double.answer(request.uri()))
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, uri: &http::Uri) -> Response<Body> {
        let group = json!({"groupVersion": "policies.kyverno.io/v1", "version": "v1"});
        let watches = uri
            .query()
            .is_some_and(|query| query.contains("watch=true"));
        let answer = match uri.path() {
            "/apis" => json!({"groups": [{"name": "policies.kyverno.io", "versions": [group],
                "preferredVersion": group}]}),
            "/apis/policies.kyverno.io/v1" => json!({"groupVersion": "policies.kyverno.io/v1",
                "resources": [{"name": "validatingpolicies", "singularName": "validatingpolicy",
                    "kind": "ValidatingPolicy", "namespaced": false, "verbs": ["list", "watch"]}]}),
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices" => {
                json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList",
                    "metadata": {}, "items": []})
            }
            "/version" => json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0",
                "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "",
                "compiler": "", "platform": ""}),
            POLICIES if watches => return Response::new(self.open()),
            POLICIES => {
                self.lists.fetch_add(1, Ordering::Relaxed);
                json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicyList",
                    "metadata": {"resourceVersion": "1"}, "items": *self.objects.lock().unwrap()})
            }
            other => panic!("nobody asks for {other}"),
        };
        Response::new(BodyExt::boxed(Full::new(Bytes::from(answer.to_string()))))
    }

    fn open(&self) -> Body {
        let (sender, events) = mpsc::unbounded_channel::<Value>();
        *self.watch.lock().unwrap() = Some(sender);
        let lines = stream_of(events).map(|event| {
            let line = format!("{event}\n");
            Ok::<_, Infallible>(Frame::data(Bytes::from(line)))
        });
        BodyExt::boxed(StreamBody::new(lines))
    }

    fn say(&self, event: &str, object: &Value) {
        let watch = self.watch.lock().unwrap();
        let event = json!({"type": event, "object": object});
        watch.as_ref().unwrap().send(event).unwrap();
    }

    fn watched(&self) -> bool {
        self.watch.lock().unwrap().is_some()
    }
}

fn stream_of(
    events: mpsc::UnboundedReceiver<Value>,
) -> impl futures::Stream<Item = Value> + Send + Sync {
    futures::stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        Some((event, events))
    })
}

struct Bench {
    double: Double,
    laws: Arc<Laws>,
    ledger: ByHand,
    /// What the watch reads.
    store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// Watching one policy, which is on record.
    async fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let options = Options {
            origin: "docket.a5c.ai/test".into(),
            signing_seed: [7; 32],
            random: Box::new(|buffer| buffer.fill(1)),
        };
        let store = Store::open(&path, options).unwrap();
        let double = Double::default();
        double.objects.lock().unwrap().push(policy("Deny", 1));
        let (writer, ledger) = Writer::by_hand();
        let laws = Arc::new(Laws::new(None));
        let part = Health::default().part("policies", "");
        let (metrics, _) = Metrics::new();
        let shared = Arc::clone(&laws);
        let files = vec!["log".to_owned()];
        let mut watch = Watch::new(double.client(), shared, path, files, writer, part, metrics);
        watch.heartbeats = Duration::from_millis(100);
        watch.questions = Duration::from_millis(100);
        // Nothing here ends by itself.
        watch.times.watch = 3600;
        tokio::spawn(watch.run());
        let mut bench = Bench {
            double,
            laws,
            ledger,
            store,
            _dir: dir,
        };
        let (entries, gaps) = bench.committed().await;
        assert_eq!((entries.len(), gaps.len()), (1, 0));
        bench.until(|bench| bench.laws.now().synced).await;
        bench.until(|bench| bench.double.watched()).await;
        bench
    }

    /// The next transaction with something in it.
    async fn due(&mut self) -> (Vec<Entry>, Vec<Gap>, crate::writer::Done) {
        loop {
            let (arrival, done) = self.ledger.next().await;
            if arrival.entries.is_empty() && arrival.gaps.is_empty() {
                let _ = done.send(Ok(0));
                continue;
            }
            let entries = arrival.entries.iter();
            let entries = entries.map(|entry| serde_json::from_slice(&entry.public).unwrap());
            return (entries.collect(), arrival.gaps, done);
        }
    }

    async fn committed(&mut self) -> (Vec<Entry>, Vec<Gap>) {
        let (entries, gaps, done) = self.due().await;
        let _ = done.send(Ok(0));
        (entries, gaps)
    }

    async fn until(&self, holds: impl Fn(&Bench) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(Instant::now() < patience, "it never comes");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Of the one policy, long after now.
    fn doubt(&self) -> Option<&'static str> {
        let later = Timestamp::now() + jiff::SignedDuration::from_mins(5);
        self.laws.at(later).policies[0].doubt
    }
}

#[tokio::test]
async fn a_change_has_the_time_of_its_receipt_however_long_the_ledger_refuses() {
    let mut bench = Bench::new().await;
    bench.double.say("MODIFIED", &policy("Audit", 2));
    let (entries, _, held) = bench.due().await;
    assert_eq!(entries.len(), 1);
    assert_eq!(bench.doubt(), Some(PENDING));
    bench.double.say("MODIFIED", &policy("Deny", 3));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let released = Timestamp::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _ = held.send(Err(Unavailable));
    let (entries, gaps, done) = bench.due().await;
    assert_eq!((entries.len(), gaps.len()), (2, 0));
    for entry in &entries {
        assert!(entry.time < released, "{} {released}", entry.time);
        assert_eq!(entry.after, None);
    }
    assert_eq!(bench.doubt(), Some(PENDING));
    let _ = done.send(Ok(0));
    bench.until(|bench| bench.doubt().is_none()).await;
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_ends_the_belief_in_its_watches() {
    let mut bench = Bench::new().await;
    bench.double.hangs.store(true, Ordering::Relaxed);
    *bench.double.objects.lock().unwrap() = vec![policy("Audit", 2)];
    let (entries, gaps) = bench.committed().await;
    assert_eq!((entries.len(), gaps.len()), (1, 1));
    assert_eq!(entries[0].after, Some(gaps[0].from));
    bench.double.hangs.store(false, Ordering::Relaxed);
    bench.until(|bench| bench.doubt().is_none()).await;
}

#[tokio::test]
async fn more_changes_than_are_kept_are_an_absence_and_the_next_list_finds_the_last() {
    let mut bench = Bench::new().await;
    bench.double.say("MODIFIED", &policy("Audit", 2));
    let (_, _, held) = bench.due().await;
    let last = WAITING as u64 + 50;
    for version in 3..=last {
        let action = if version % 2 == 0 { "Audit" } else { "Deny" };
        bench.double.say("MODIFIED", &policy(action, version));
    }
    *bench.double.objects.lock().unwrap() = vec![policy("Deny", last + 1)];
    bench.until(|bench| bench.doubt() == Some(AWAY)).await;
    let lists = bench.double.lists.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.double.lists.load(Ordering::Relaxed), lists);
    let _ = held.send(Ok(0));
    let mut kept = 1;
    let absent = loop {
        let (entries, gaps) = bench.committed().await;
        if gaps.is_empty() {
            kept += entries.len();
        } else {
            break entries;
        }
    };
    assert_eq!(kept, WAITING + 1);
    assert_eq!(absent.len(), 1);
    assert_eq!(absent[0].resource_version, (last + 1).to_string());
    assert!(absent[0].after.is_some());
    bench.until(|bench| bench.doubt().is_none()).await;
}

#[tokio::test]
async fn the_gap_of_an_absence_is_closed_when_the_log_proves_that_nothing_happened() {
    let mut bench = Bench::new().await;
    bench.double.hangs.store(true, Ordering::Relaxed);
    let (entries, gaps) = bench.committed().await;
    bench.double.hangs.store(false, Ordering::Relaxed);
    assert_eq!((entries.len(), gaps.len()), (0, 1));
    let gap = &gaps[0];
    assert!(gap.detail.as_ref().unwrap().contains("made and deleted"));
    // The log was read from long before until long after.
    let hour = jiff::SignedDuration::from_hours(1);
    let file = json!({
        "whole_since": (gap.from - hour).as_millisecond(),
        "read_to": (gap.to + hour).as_microsecond(),
    });
    let batch = docket_ledger::store::Batch {
        entries: vec![gap.entry()],
        state: vec![
            ("source/log".to_owned(), Some(row(&file))),
            (
                WRITES.to_owned(),
                Some(row(&LawWrites::new(gap.from - hour))),
            ),
        ],
    };
    bench.store.append(&batch, Timestamp::now()).unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < patience, "it is never closed");
        let (arrival, done) = bench.ledger.next().await;
        let _ = done.send(Ok(0));
        let Some(closed) = arrival.amendments.first() else {
            continue;
        };
        let public: Value = serde_json::from_slice(&closed.entry().public).unwrap();
        assert_eq!(public["kind"], "gap-closed");
        assert_eq!(public["amends"], gap.id);
        assert!(public["detail"].as_str().unwrap().contains("no write"));
        let absences = arrival.state.iter().find(|(key, _)| key == ABSENCES);
        assert_eq!(absences.unwrap().1.as_deref(), Some(&b"[]"[..]));
        break;
    }
    // Once.
    let (arrival, _) = bench.ledger.next().await;
    assert!(arrival.amendments.is_empty());
}
